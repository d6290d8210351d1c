"""The timeline: slices computed right, and one file that fetches nothing."""
import json
import re

import gort
import pytest
from gort import _slices, _timeline
from gort._gort import lib


def event(time, kind, goid=0, p=0, *args):
    return (time, goid, 1, p, getattr(lib, "GORT_EV_" + kind), 0, *(args + (0, 0, 0))[:3], 0)


def page_data(text):
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    return json.loads(found[1])


def test_a_slice_begins_with_start_and_ends_with_what_comes():
    s = _slices.Slices([
        event(100, "GO_CREATE", 0, 0, 1), event(110, "GO_START", 1),
        event(120, "GO_CREATE", 1, 0, 2), event(130, "GO_BLOCK", 1, 0, 5),
        event(131, "GO_START", 2), event(140, "GO_UNBLOCK", 2, 0, 1), event(150, "GO_END", 2),
        event(151, "GO_START", 1), event(160, "GO_YIELD", 1, 0, 1), event(170, "GO_START", 1),
        event(180, "STEAL", 0, 1, 0, 1)])
    ends = [(a, b, g, s.ends[end]) for a, b, g, _, end in s.procs[0]]
    assert [e[:3] for e in ends] == [(110, 130, 1), (131, 150, 2), (151, 160, 1), (170, 180, 1)]
    assert [e[3] for e in ends][1:] == ["it ended", "preempted", "the trace ends"]
    g = s.goroutines[2]
    assert (g.creator, g.created, g.ended, g.ran, g.slices) == (1, 120, 150, 19, 1)


def test_system_calls():
    s = _slices.Slices([
        event(0, "GO_START", 1), event(10, "SYSCALL_BEGIN", 1), event(20, "SYSCALL_END", 1, 0, 0),
        event(30, "SYSCALL_BEGIN", 1), event(40, "GO_START", 2), event(50, "SYSCALL_END", 1, -1, 1),
        event(60, "GO_END", 2)])
    assert [(a, b, g, call) for a, b, g, call, _ in s.procs[0]] == [
        (0, 10, 1, False), (10, 20, 1, True), (20, 30, 1, False), (30, 40, 1, True),
        (40, 60, 2, False)]
    assert s.goroutines[1].ran == 20 and s.goroutines[1].slices == 2


def test_what_the_trace_did_not_see_begin():
    s = _slices.Slices([event(5, "GO_UNBLOCK", 0, 1, 9), event(10, "GO_BLOCK", 7, 0, 1),
                        event(20, "GO_BLOCK", 8, 0, 1), event(30, "GO_START", 3),
                        event(40, "GO_START", 4)])
    assert [row[:3] for row in s.procs[0]] == [(5, 10, 7), (30, 40, 3), (40, 40, 4)]
    assert s.ends[s.procs[0][1][4]] == "unknown" and s.goroutines[3].ran == 0
    assert _slices.Slices([]).procs == {}


def test_a_goroutine_that_turns_up_on_another_p():
    """Its go_block was lost: nobody knows how long it ran on the first."""
    s = _slices.Slices([event(10, "GO_START", 5, 0), event(50, "GO_START", 5, 1),
                        event(60, "GO_BLOCK", 5, 1, 3), event(90, "GO_START", 6, 0),
                        event(95, "GO_END", 6, 0)])
    assert [(*row[:3], row[4]) for row in s.procs[0]] == [
        (10, 50, 5, _slices.UNKNOWN), (90, 95, 6, _slices.ENDED)]
    assert [row[:3] for row in s.procs[1]] == [(50, 60, 5)]
    assert s.goroutines[5].ran == 10 and s.goroutines[5].slices == 2


def test_a_count_of_starts_that_jumps():
    """The block seen at 90 may belong to a start that was lost."""
    s = _slices.Slices([event(10, "GO_START", 5, 0, 1), event(20, "GO_BLOCK", 5, 0, 3),
                        event(30, "GO_START", 5, 0, 2), event(90, "GO_BLOCK", 5, 0, 3),
                        event(95, "GO_START", 5, 0, 7), event(99, "GO_END", 5, -1)], lost=9)
    assert [(*row[:2], row[4] == _slices.UNKNOWN) for row in s.procs[0]] == [
        (10, 20, False), (30, 90, True), (95, 99, True)]
    assert s.goroutines[5].ran == 10


def test_states_after_lost_events():
    rows = _slices.states([
        event(1, "GO_START", 7), event(2, "GO_UNBLOCK", 1, 0, 7), event(3, "GO_START", 7),
        event(4, "GO_START", 7), event(5, "GO_YIELD", 7)], {7})[7]
    assert [state for _, state, _ in rows] == [
        _slices.LOST, _slices.RUNNABLE, _slices.LOST, _slices.RUNNING, _slices.RUNNABLE]


def test_states():
    rows = _slices.states([
        event(1, "GO_CREATE", 0, 0, 7), event(2, "GO_START", 7), event(3, "GO_BLOCK", 7, 0, 4),
        event(4, "GO_UNBLOCK", 1, 0, 7), event(5, "GO_START", 7), event(6, "SYSCALL_BEGIN", 7),
        event(7, "SYSCALL_END", 7, 0, 1), event(8, "GO_END", 7), event(9, "GO_START", 8)], {7})
    assert rows == {7: [[1, _slices.RUNNABLE, 0], [2, _slices.RUNNING, 0], [3, _slices.BLOCKED, 4],
                        [4, _slices.RUNNABLE, 0], [5, _slices.RUNNING, 0],
                        [6, _slices.IN_SYSCALL, 0], [7, _slices.RUNNABLE, 0], [8, _slices.GONE, 0]]}


def test_collections():
    """One is under way when the trace begins, and one when it ends; the end of one was lost."""
    s = _slices.Slices([
        event(0, "GO_START", 1), event(10, "MARK_TERM", 2, 0, 3), event(12, "GC_END", 2, 0, 3, 100),
        event(20, "GC_BEGIN", 2, 0, 4, 2), event(30, "GC_BEGIN", 2, 0, 5, 0), event(40, "GC_END", 2, 0, 5, 90),
        event(50, "GC_END", 2, 0, 6, 90), event(60, "GC_BEGIN", 2, 0, 7, 0), event(70, "GO_END", 1)], lost=2)
    assert s.spans == [("GC", 0, 12), ("GC", 30, 40), ("GC", 50, 50), ("GC", 60, 70)]
    assert s.instants == [(10, "mark termination", 3)]


@pytest.mark.parametrize("collector", ["concurrent", "stw"])
def test_collections_of_a_run(collector, tmp_path):
    with gort.Runtime(procs=2, trace=True, collector=collector) as rt:
        trace = rt.run("gc_churn", live=4, churn=16, workers=2).trace
    assert trace.counts["gc_begin"] == trace.counts["gc_end"] >= trace.counts["mark_term"] > 1
    assert trace.lost == 0 and trace.counts["sweep_begin"] == trace.counts["sweep_end"] > 0
    numbers = [e.args[0] for e in trace if e.event == "mark_term"]
    assert numbers == list(range(1, len(numbers) + 1))
    # In the page.
    trace.to_html(tmp_path / "t.html")
    d = page_data((tmp_path / "t.html").read_text(encoding="utf-8"))
    spans = [(a, b) for name, a, b in d["spans"] if name == "GC"]
    assert len(spans) == trace.counts["gc_begin"]
    assert all(a <= b for a, b in spans) and all(x[1] < y[0] for x, y in zip(spans, spans[1:]))
    ends = [(t, number) for t, name, number in d["marks"] if name == "mark termination"]
    assert [number for _, number in ends] == numbers
    assert all(any(a <= t <= b for a, b in spans) for t, _ in ends)
    # In the JSON.
    trace.to_chrome(tmp_path / "t.json")
    rows = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))["traceEvents"]
    collections = [r for r in rows if r["name"] == "collection"]
    assert len(collections) == len(spans) and {r["ph"] for r in collections} == {"X"}
    assert not {"B", "E"} & {r["ph"] for r in rows}, "no half pairs"
    live = [r["args"]["bytes"] for r in rows if r["name"] == "heap_live" and r["ph"] == "C"]
    goals = [r["args"]["bytes"] for r in rows if r["name"] == "heap_goal" and r["ph"] == "C"]
    assert len(live) == trace.counts["heap_live"] and max(live) > 4 << 20
    assert len(goals) == trace.counts["heap_goal"] > 1


@pytest.mark.parametrize("program, params", [
    ("skynet", {"n": 300}), ("ring", {"n": 10, "rounds": 30}), ("mergesort", {"n": 20_000})])
def test_slices_of_a_run(traced, program, params):
    trace = traced.run(program, **params).trace
    s = _slices.Slices(trace._raw())
    for rows in s.procs.values():
        assert all(a <= b for a, b, *_ in rows)
        assert all(x[1] <= y[0] for x, y in zip(rows, rows[1:])), "slices of a P do not overlap"
    starts = trace.counts["go_start"]
    assert sum(g.slices for g in s.goroutines.values()) == starts
    assert sorted(s.counts) == [0, 1], "each P, even one that did nothing"


def test_page(traced, tmp_path):
    trace = traced.run("fanin", producers=4, messages=30).trace
    trace.to_html(tmp_path / "t.html", title="a <b>title</b> & more")
    text = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert "<title>a &lt;b&gt;title&lt;/b&gt; &amp; more</title>" in text
    assert "{{" not in text
    # Nothing that a browser would fetch, from the network or from beside the file.
    assert not re.search(r"https?:|\bsrc\s*=|\bhref\s*=|@import|url\(|fetch\(|XMLHttpRequest", text)
    d = page_data(text)
    assert d["events"] == len(trace) and d["dropped"] == 0 and d["title"].startswith("a <b>")
    assert dict(d["counts"]) == trace.counts
    for p in d["procs"]:
        assert len(p["gap"]) == len(p["len"]) == len(p["goid"]) == len(p["end"])
        assert all(n >= 0 for n in p["gap"]) and all(e < len(d["ends"]) for e in p["end"])
        assert sum(p["gap"]) + sum(p["len"]) <= d["span"]
    assert {lane["goid"] for lane in d["lanes"]} <= set(
        sum(d["goroutines"]["goid"][:i + 1]) for i in range(len(d["goroutines"]["goid"])))
    assert d["reasons"].values()


def test_data_cannot_end_the_script():
    text = _timeline.dump({"name": "</script><!--"})
    assert "</" not in text and "<!--" not in text
    with pytest.raises(ValueError):
        json.loads(text + "}")


def test_the_page_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(_timeline, "MAX_SLICES", 50)
    monkeypatch.setattr(_timeline, "MAX_STATES", 5)
    with gort.Runtime(procs=1, trace=300) as rt:
        trace = rt.run("pingpong", rounds=500).trace
    d = _timeline.data(trace, "t")
    assert d["dropped"] == trace.dropped > 0 and d["hidden"] > 0
    assert sum(len(p["gap"]) for p in d["procs"]) <= 51
    assert any(lane["cut"] for lane in d["lanes"])


def test_notebook_forms(traced, monkeypatch):
    result = traced.run("pingpong", rounds=20)
    text = result._repr_html_()
    assert "<iframe" in text and 'sandbox="allow-scripts"' in text and "go_block" in text
    monkeypatch.setattr(_timeline, "MAX_EMBED", 10)
    assert "too large for a notebook" in result.trace._repr_html_()
