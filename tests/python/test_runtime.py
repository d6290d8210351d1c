"""Runtime, Config, Result: settings, several runtimes, Ctrl-C, progress, attached threads."""
import json
import signal
import threading

import gort
import pytest
from conftest import FOREVER
from gort._gort import ffi, lib


def test_version_backends_cpus():
    assert gort.__version__ == f"{lib.GORT_VERSION_MAJOR}.{lib.GORT_VERSION_MINOR}." \
                               f"{lib.GORT_VERSION_PATCH}"
    slots = gort.backends()
    assert {"context", "arena", "thread"} <= set(slots) and all(slots.values())
    assert gort.num_cpu() >= 1


def test_result(rt):
    result = rt.run("sieve", n=100)
    assert result.value == 541 and result.seconds > 0
    assert result.params == {"n": 100} and result.workload.name == "sieve"
    assert result.trace is None and result.data is None
    assert [p.id for p in result.procs] == [0, 1]
    assert sum(p.switches for p in result.procs) > 100
    assert sum(p.parked for p in result.procs) > 100
    assert json.loads(json.dumps(result.as_dict()))["value"] == 541
    page = result._repr_html_()
    assert "<b>sieve</b>" in page and "541" in page


def test_result_counts_only_its_own_run(rt):
    first = rt.run("pingpong", rounds=1000)
    second = rt.run("pingpong", rounds=1)

    def switches(result):
        return sum(p.switches for p in result.procs)
    assert switches(second) < switches(first)
    assert sum(p.switches for p in rt.procs()) >= switches(first) + switches(second)


def test_proc_stats_are_those_of_the_header():
    fields = [name for name, _ in ffi.typeof("gort_proc_stats").fields]
    assert list(gort.ProcStats._fields) == fields
    assert fields[:3] == ["id", "idle", "queued"], "the rest are counts: see ProcStats.since"


@pytest.mark.parametrize("config, settings, procs", [
    (None, {"procs": 3}, 3),
    ("procs=3", {}, 3),
    ("procs=3,gogc=50", {"procs": 1}, 1),
    (gort.Config(procs=2), {}, 2),
    (gort.Config(procs=2), {"procs": 1, "gogc": "off"}, 1),
])
def test_settings_and_who_wins(config, settings, procs):
    with gort.Runtime(config, **settings) as rt:
        assert len(rt.procs()) == procs
        assert rt.run("skynet", n=100).value == 4950


def test_environment_holds_for_what_nobody_gave(monkeypatch):
    monkeypatch.setenv("GOMAXPROCS", "3")
    with gort.Runtime() as rt:
        assert len(rt.procs()) == 3
    with gort.Runtime(procs=1) as rt:
        assert len(rt.procs()) == 1


def test_config_becomes_a_gort_config():
    cfg, keep = gort.Config("gogc=50", procs=2, memory_limit=1 << 30, stack_size=1 << 17,
                            collector="stw", seed=2**64 - 1, debug="stackguard=0",
                            library=True).to_c()
    assert (cfg.procs, cfg.gc_percent, cfg.memory_limit, cfg.stack_size, cfg.seed) == \
        (2, 50, 1 << 30, 1 << 17, 2**64 - 1)
    assert ffi.string(cfg.collector) == b"stw" and ffi.string(cfg.debug) == b"stackguard=0"
    assert cfg.flags & lib.GORT_LIBRARY and not cfg.flags & lib.GORT_EXIT_ON_FATAL
    assert len(keep) == 3, "the strings live as long as the runtime"
    assert gort.Config(gogc="off").to_c()[0].gc_percent < 0


def test_config_repr_names_what_was_given():
    with gort.Runtime(procs=2, gogc=50) as rt:
        assert repr(rt) == "<gort.Runtime procs=2, gogc=50>"


def test_two_runtimes_side_by_side():
    with gort.Runtime(procs=1) as a, gort.Runtime(procs=2) as b:
        values = []

        def progress(done, total):
            if not values:
                values.append(b.run("sieve", n=10).value)
        assert a.run("sieve", n=300, progress=progress).value == 1987
        assert values == [29]


def test_many_runtimes_one_after_another():
    for i in range(20):
        with gort.Runtime(procs=1 + i % 3) as rt:
            assert rt.run("skynet", n=50).value == 1225


# ---- While it runs ----

def test_progress_is_called_while_it_runs(rt, while_running):
    """The progress function runs while C runs: the GIL is free."""
    seen = []
    assert rt.run("pingpong", rounds=1000, progress=lambda *a: seen.append(a)).value == 1000
    assert seen[-1] == (1000, 1000)
    assert while_running(rt, lambda: True)


def test_an_exception_of_progress_ends_the_run(rt):
    def progress(done, total):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        rt.run("pingpong", rounds=FOREVER, progress=progress)
    assert rt.run("pingpong", rounds=2).value == 2


def test_ctrl_c(rt):
    def progress(done, total):
        if done:
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        rt.run("pingpong", rounds=FOREVER, progress=progress)
    assert rt.run("pingpong", rounds=2).value == 2, "the runtime is fit for another run"


def test_stop(rt, while_running):
    assert rt.stop() is False
    assert while_running(rt, lambda: rt.stop()) is True


@pytest.mark.parametrize("name, params", [
    ("sieve", {"n": 100000}), ("ring", {"n": 1000, "rounds": 10**9}),
    ("yield", {"n": 1000, "rounds": 10**6}), ("fanin", {"producers": 10**4, "messages": 10**4})])
def test_every_kind_of_program_can_be_stopped(rt, name, params):
    def progress(done, total):
        rt.stop()
    with pytest.raises(gort.CanceledError):
        rt.run(name, progress=progress, **params)
    assert rt.run("pingpong", rounds=2).value == 2


# ---- Attached threads ----

def test_attach(rt):
    with rt.attach():
        me = gort.goid()
        assert me > 0
        gort.gosched()
        gort.sleep(0.001)
        gort.sleep(-1)
        assert gort.num_goroutine() >= 1
        assert gort.gomaxprocs() == 2
        assert gort.goid() == me
        with pytest.raises(gort.BusyError):
            with rt.attach():
                pass
        with pytest.raises(gort.BusyError):
            rt.close()
    assert gort.goid() == 0
    assert rt.run("pingpong", rounds=2).value == 2


def test_an_attached_thread_holds_no_p_while_python_runs():
    """With one P a run could not begin if it did."""
    with gort.Runtime(procs=1) as rt, rt.attach():
        assert rt.run("sieve", n=20).value == 71
        gort.gosched()


def test_threads_attach_side_by_side(rt):
    ids = []

    def work():
        with rt.attach():
            for _ in range(100):
                gort.gosched()
            ids.append(gort.goid())
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(ids)) == 4


# ---- Watching ----

def test_goroutines_are_those_of_the_header():
    fields = [name for name, _ in ffi.typeof("gort_goroutine").fields]
    assert list(gort.Goroutine._fields) == [*fields, "created_by", "stack"]


def test_goroutines_while_it_runs(rt, while_running):
    assert rt.goroutines() == []
    there = while_running(rt, rt.goroutines)
    assert [g.goid for g in there] == sorted(g.goid for g in there) and there[0].goid == 1
    main = there[0]
    assert main.parent == 0 and main.creator == 0 and not main.system
    for g in there[1:]:
        assert g.parent >= 1 and g.creator and g.start
        assert g.status in ("runnable", "running", "waiting")
        assert (g.status == "waiting") == bool(g.wait_reason)


def test_result_goroutines(rt):
    left = rt.run("sieve", n=20).goroutines
    assert left[0].goid == 1 and left[0].status == "running"
    assert {g.wait_reason for g in left[1:]} <= {"chan send", "chan receive", ""}
    waiting = [g for g in left if g.status == "waiting"]
    assert waiting and all(0 <= g.since < 60 and g.stack_used > 0 for g in waiting)
    assert rt.run("yield").goroutines[0].goid == 1


def test_mem_stats(rt):
    before = rt.mem_stats()
    rt.run("skynet", n=1000)
    after = rt.mem_stats()
    assert after.mallocs - before.mallocs >= 111  # a channel for each inner node
    assert after.total_alloc > before.total_alloc
    assert after.heap_objects == after.mallocs - after.frees and after.frees == 0
    assert after.sys == sum(v for k, v in after._asdict().items() if k.endswith("_sys"))
    assert [c.size for c in after.by_size[:3]] == [8, 16, 24] and len(after.by_size) == 60
    assert after.num_gc == 0 and after.pauses_ns == () and after.last_gc == 0


def test_mem_stats_of_collections():
    with gort.Runtime(procs=2, collector="concurrent", debug="gcstress=100") as rt:
        rt.run("skynet", n=10000)
        rt.gc()  # the run's own may have ended before anything was garbage
        stats = rt.mem_stats()
    assert stats.num_gc > 0 and len(stats.pauses_ns) == min(stats.num_gc, 256)
    assert 0 < sum(stats.pauses_ns) <= stats.pause_total_ns
    assert stats.frees > 0 and 0 < stats.gc_cpu_fraction <= 1


def test_metrics(rt):
    result = rt.run("pingpong", rounds=8000)
    assert result.metrics["/sched/gomaxprocs:threads"] == 2
    latencies = result.metrics["/sched/latencies:seconds"]
    assert 125 <= latencies.total <= 5000
    assert len(latencies.bounds) == len(latencies.counts) + 1
    assert 0 < latencies.quantile(0.5) <= latencies.quantile(0.99)
    assert sum(n for _, _, n in latencies.rows()) == latencies.total
    assert rt.metrics()["/sched/latencies:seconds"].total >= latencies.total
    assert rt.metrics()["/sched/goroutines:goroutines"] == 0
    with pytest.raises(gort.ArgumentError):
        latencies.quantile(2)
    assert json.loads(json.dumps(result.as_dict()))["metrics"]["/sched/gomaxprocs:threads"] == 2


def test_metrics_count_only_their_own_run(rt):
    first = rt.run("pingpong", rounds=8000).metrics["/sched/latencies:seconds"].total
    second = rt.run("pingpong", rounds=1).metrics["/sched/latencies:seconds"].total
    assert second < first


def test_metrics_of_the_heap():
    # Who allocates waits for the collection, so that each run has ended one.
    with gort.Runtime(procs=2, collector="stw", debug="gcstress=100") as rt:
        first = rt.run("skynet", n=1000).metrics
        second = rt.run("skynet", n=1000).metrics
        now, stats = rt.metrics(), rt.mem_stats()
    # What grows is told of each run alone, the rest as it is.
    for metrics in first, second:
        assert metrics["/gc/cycles/total:gc-cycles"] > 0 and metrics["/gc/heap/allocs:objects"] > 100
    assert now["/gc/cycles/total:gc-cycles"] >= sum(m["/gc/cycles/total:gc-cycles"] for m in (first, second))
    assert now["/gc/cycles/total:gc-cycles"] == stats.num_gc
    assert now["/gc/heap/allocs:bytes"] == stats.total_alloc
    assert now["/gc/heap/allocs-by-size:bytes"].total == now["/gc/heap/allocs:objects"]
    assert now["/cpu/classes/gc/total:cpu-seconds"] > 0
    assert now["/gc/gogc:percent"] == second["/gc/gogc:percent"] == 100


def test_leak_dump(rt, while_running):
    assert rt.leak_dump() == ""
    assert while_running(rt, rt.leak_dump) == ""


def test_stack_dump(rt, while_running):
    assert rt.stack_dump() == ""
    text = while_running(rt, rt.stack_dump)
    assert text.startswith("goroutine 1 [") and "\ncreated by " in text and "(...)\n\t" in text
