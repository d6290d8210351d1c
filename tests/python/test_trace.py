"""Traces: what is kept, in what order, and that it may be kept."""
import json

import gort
import pytest
from gort import _trace

COLUMNS = ["time", "event", "goid", "thread", "p", "arg0", "arg1", "arg2", "reason", "text"]
PROGRAMS = [("skynet", {"n": 500}), ("ring", {"n": 20, "rounds": 20}),
            ("fanin", {"producers": 8, "messages": 50, "cap": 2}), ("sieve", {"n": 30}),
            ("yield", {"n": 10, "rounds": 20})]


def test_no_trace_unless_asked(rt):
    assert rt.run("pingpong", rounds=3).trace is None


def test_events(traced):
    trace = traced.run("pingpong", rounds=50).trace
    assert len(trace) == trace.events > 100 and trace.dropped == 0 and trace.lost == 0
    events = list(trace)
    assert len(events) == len(trace)
    assert trace[0] == events[0] and trace[-1] == events[-1]
    assert trace[3:9:2] == events[3:9:2] and trace[5:5] == []
    for i in (len(trace), -len(trace) - 1):
        with pytest.raises(IndexError):
            trace[i]
    blocked = [e for e in events if e.event == "go_block"]
    assert blocked and all(e.goid and e.reason in ("chan send", "chan receive") for e in blocked)
    assert sum(trace.counts.values()) == len(trace)
    assert trace.counts["go_create"] >= 2
    assert repr(trace) == f"<gort.Trace {len(trace)} events>"


@pytest.mark.parametrize("program, params", PROGRAMS)
@pytest.mark.parametrize("procs", [1, 2, 4])
def test_causes_come_before_effects(procs, program, params):
    """Each goroutine goes only where its state allows: nothing starts that was not made runnable
    before, by a create, an unblock or a yield."""
    with gort.Runtime(procs=procs, trace=True) as rt:
        trace = rt.run(program, **params).trace
    assert trace.lost == 0 and trace.dropped == 0
    state = {}
    on = {}
    for i, e in enumerate(trace):
        where = f"event {i}: {e}"
        if e.event == "go_create":
            assert e.args[0] not in state, where
            state[e.args[0]] = "runnable"
        elif e.event == "go_unblock":
            assert state[e.args[0]] == "blocked", where
            state[e.args[0]] = "runnable"
        elif e.event == "go_start":
            assert state[e.goid] == "runnable", where
            assert on.get(e.p) is None, where
            state[e.goid] = "running"
            on[e.p] = e.goid
        elif e.event == "go_end" and e.p < 0:
            assert state[e.goid] != "gone", where  # dropped where it stood: main has returned
            state[e.goid] = "gone"
        elif e.event in ("go_block", "go_yield", "go_end"):
            assert state[e.goid] == "running", where
            state[e.goid] = {"go_block": "blocked", "go_yield": "runnable"}.get(e.event, "gone")
            on[e.p] = None
    assert set(state.values()) == {"gone"}, "nothing is left when the run has ended"


def test_times_of_a_p_do_not_go_back(traced):
    last = {}
    for e in traced.run("skynet", n=300).trace:
        if e.p >= 0:
            assert e.time >= last.get(e.p, 0)
            last[e.p] = e.time


def test_frame(traced):
    pd = pytest.importorskip("pandas")
    trace = traced.run("fanin", producers=3, messages=20).trace
    frame = trace.frame()
    assert list(frame.columns) == COLUMNS and len(frame) == len(trace)
    assert str(frame.time.dtype) == "int64" and isinstance(frame.event.dtype, pd.CategoricalDtype)
    assert dict(frame.event.value_counts()) == trace.counts
    for i in (0, len(trace) // 2, len(trace) - 1):
        row, event = frame.iloc[i], trace[i]
        assert (row.time, row.event, row.goid, row.p) == event[:3] + (event.p,)
        assert (row.arg0, row.arg1, row.arg2) == event.args
        assert (row.reason == event.reason) or event.reason is None
    assert set(frame[frame.event == "go_block"].reason) & {"chan receive", "chan send"}
    assert frame[frame.event != "go_block"].reason.isna().all()
    frame.loc[0, "p"] = 99  # it is the caller's own


def test_frame_of_nothing():
    pytest.importorskip("pandas")
    empty = gort.Trace(10)
    assert len(empty) == 0 and list(empty) == []
    assert list(empty.frame().columns) == COLUMNS


def test_the_newest_events_are_kept():
    with gort.Runtime(procs=1, trace=100) as rt:
        trace = rt.run("pingpong", rounds=500).trace
    assert len(trace) == 100 and trace.dropped == trace.events - 100 > 1000
    assert trace.counts["go_create"] >= 2, "counts include what was dropped"
    assert trace[-1].time >= trace[0].time
    assert "older ones dropped" in repr(trace) and trace.summary()["dropped"] == trace.dropped


def test_each_run_has_its_own_trace(traced):
    a = traced.run("pingpong", rounds=5).trace
    b = traced.run("pingpong", rounds=50).trace
    assert len(a) < len(b) and a[0] != b[0]


def test_a_trace_outlives_its_runtime(tmp_path):
    with gort.Runtime(procs=1, trace=True) as rt:
        trace = rt.run("pingpong", rounds=5).trace
    assert [e.event for e in trace].count("go_create") >= 2
    trace.to_html(tmp_path / "t.html")
    trace.to_chrome(tmp_path / "t.json")


def test_to_chrome(traced, tmp_path):
    trace = traced.run("ring", n=3, rounds=3).trace
    trace.to_chrome(tmp_path / "t.json")
    data = json.loads((tmp_path / "t.json").read_text())
    events = data["traceEvents"] if isinstance(data, dict) else data
    assert len(events) > 10 and {"ph", "ts", "pid"} <= set(events[-1]) | {"ts"}


def test_to_text(traced, tmp_path):
    trace = traced.run("ring", n=3, rounds=3).trace
    trace.to_text(str(tmp_path / "t.txt"))
    text = (tmp_path / "t.txt").read_text()
    assert text.count("\n") >= len(trace) and "go_block" in text


def test_files_that_cannot_be_written(traced, tmp_path):
    trace = traced.run("ring", n=3, rounds=3).trace
    for save in (trace.to_chrome, trace.to_text, trace.to_html):
        with pytest.raises(FileNotFoundError if save == trace.to_html else gort.SystemCallError):
            save(tmp_path / "nowhere" / "t")
    with pytest.raises(OSError):
        trace.to_chrome("/dev/full")


def test_names():
    assert _trace.event_name(4) == "go_create" and _trace.event_name(999) == "event_999"
    assert _trace.wait_reason(10**6) == "reason 1000000"
    assert _trace.wait_reason(2**40) == f"reason {2**40}"
