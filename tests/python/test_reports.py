"""Who waits for whom: of programs that failed, and of goroutines that leaked."""
import io

import gort
import pytest
from conftest import wait
from gort._figures import Goroutine
from gort._waits import Label, WaitGraph, stacks

REPORT = """fatal error: all goroutines are asleep - deadlock!

goroutine 1 [semacquire]:
gort_waitgroup_wait(...)
\t/src/waitgroup.c:337 +0x41
main_(...)
\t/src/main.c:62 +0x111

goroutine 2 [sync.Mutex.Lock, 3 minutes, locked to thread]:
work(...)
\t/src/main.c:34 +0x83
created by main_ in goroutine 1
\t/src/main.c:60 +0x12

goroutine 9 [chan receive (leaked)]:
?
created by ? in goroutine 2
"""


def goroutine(goid, on=None, **more):
    reason = "sync.Mutex.Lock" if on else "sleep"
    return Goroutine(goid, 0, "waiting", reason, 0.0, 0, 0, 0, 0, False, False, "", on, **more)


def mutex(i):
    return Label("mutex", i, 0x1000 + i)


# ---- The graph ----

def test_cycles():
    a, b, c = mutex(1), mutex(2), mutex(3)
    graph = WaitGraph([goroutine(4, b), goroutine(2, a), goroutine(7, c), goroutine(8)],
                      {a.address: (4,), b.address: (2,), c.address: (2,)})
    assert graph.cycles == [[2, a, 4, b]]
    assert graph.waits == {4: b, 2: a, 7: c} and graph.held == {b: (2,), a: (4,), c: (2,)}
    assert len(graph.nodes) == 7 and len(graph.edges) == 6
    marked = [e for e in graph.edges if graph.in_cycle(e)]
    assert len(marked) == 4 and all(7 not in (e.source, e.target) for e in marked)
    text = str(graph)
    assert "goroutine 2 [sync.Mutex.Lock] waits for mutex 1, held by goroutine 4" in text
    assert "cycle: goroutine 2 → mutex 1 → goroutine 4 → mutex 2 → goroutine 2" in text


def test_no_cycle_without_a_holder():
    a = mutex(1)
    assert WaitGraph([goroutine(2, a), goroutine(3, a)]).cycles == []
    graph = WaitGraph([goroutine(2, a)], {a.address: (5,)})
    assert graph.cycles == [] and "held by goroutine 5 (ended)" in str(graph)
    assert WaitGraph([goroutine(2, a)], {a.address: (2,)}).cycles == [[2, a]], "one may wait for himself"


def test_readers_and_two_cycles():
    a, b, c, d = map(mutex, (1, 2, 3, 4))
    graph = WaitGraph([goroutine(1, a), goroutine(2, b), goroutine(3, b), goroutine(5, c), goroutine(6, d)],
                      {a.address: (2, 3), b.address: (9, 1), c.address: (6,), d.address: (5,)})
    assert [5, c, 6, d] in graph.cycles
    assert any(cycle[0] == 1 for cycle in graph.cycles)


def test_a_long_cycle_is_found():
    n = 5000
    graph = WaitGraph([goroutine(i + 1, mutex(i)) for i in range(n)],
                      {mutex(i).address: ((i + 1) % n + 1,) for i in range(n)})
    assert [len(c) for c in graph.cycles] == [2 * n]


def test_stacks_of_a_report():
    found = stacks(REPORT)
    assert sorted(found) == [1, 2, 9]
    frames, made = found[1]
    assert frames == "gort_waitgroup_wait(...)\n\t/src/waitgroup.c:337 +0x41\nmain_(...)\n\t/src/main.c:62 +0x111\n"
    assert made == ""
    assert found[2] == ("work(...)\n\t/src/main.c:34 +0x83\n", "main_ at /src/main.c:60")
    assert found[9] == ("?\n", "?")


# ---- Failures ----

def failure(name, seed=0, trace=False, **params):
    with gort.Runtime(procs=2, seed=seed, trace=trace) as rt, pytest.raises(gort.Error) as failed:
        rt.run(name, **params)
    return failed.value


@pytest.fixture(scope="module")
def abba():
    """A deadlock of two, with its trace."""
    return gort.explore("philosophers", n=2, left_first=1).error


def test_a_deadlock_says_who_waits_for_what():
    error = failure("deadlock")
    (main,) = [g for g in error.goroutines if not g.system]
    assert (main.goid, main.status, main.wait_reason) == (1, "waiting", "chan receive")
    assert main.on == "chan 1" and main.on.kind == "chan" and main.on.address
    assert "gort_chan_recv" in main.stack and main.created_by == ""
    assert str(error.graph()) == "goroutine 1 [chan receive] waits for chan 1" and not error.graph().held
    assert error.schedule is None


def test_a_cycle_of_two(abba):
    graph = abba.graph()
    assert graph.cycles == [[2, "mutex 2", 3, "mutex 1"]]
    assert graph.waits[1].kind == "semaphore" and {g.goid for g in abba.goroutines if not g.system} == {1, 2, 3}
    two = abba.goroutines[1]
    assert two.goid == 2 and two.parent == 1 and "philosophers" in two.created_by
    assert "philosopher" in two.stack and two.since == 0.0
    assert "made by philosophers" in str(graph)


def test_holders_need_a_trace():
    seed = gort.explore("philosophers", n=2, left_first=1).seed
    without = failure("philosophers", seed, n=2, left_first=1)
    assert without.graph().cycles == [] and without.graph().held == {}
    assert failure("philosophers", seed, True, n=2, left_first=1).graph().cycles == [[2, "mutex 2", 3, "mutex 1"]]


def test_a_panic_says_who_ran():
    for seed in (0, 3):
        error = failure("panic", seed)
        (guilty,) = [g for g in error.goroutines if g.status == "running"]
        assert guilty.goid != 1 and "panicking" in guilty.stack and "start_panic" in guilty.created_by
        assert [g.wait_reason for g in error.goroutines if g.goid == 1] == ["sleep"]
        assert isinstance(error, gort.PanicError) and "[running]" in str(error.graph())


def test_pictures(abba, pyplot):
    ax = abba.plot()
    shown = [t.get_text() for t in ax.texts]
    assert "goroutine 2\nsync.Mutex.Lock" in shown and "mutex 1" in shown and "a cycle" in ax.get_title(loc="left")
    ax.figure.savefig(io.BytesIO())
    given = pyplot.subplots()[1]
    assert failure("deadlock").plot(given) is given
    many = WaitGraph([goroutine(i, mutex(1)) for i in range(100)]).plot()
    assert "30 of 101 shown" in many.get_title(loc="left")
    html = abba._repr_html_()
    assert "<img" in html and "cycle: " in html and "DeadlockError" in html


# ---- Leaks ----

def test_leaks():
    with gort.Runtime(procs=2) as rt:
        assert len(rt.leaks()) == 0 and str(rt.leaks()) == "no leaks" and "no leaks" in rt.leaks()._repr_html_()
        seen = []

        def look(done, total):
            if len(seen) < 3:
                seen[:] = rt.leaks()
                if len(seen) == 3:
                    seen.append(rt.leaks())
                    rt.stop()
        with pytest.raises(gort.CanceledError):
            rt.run("leak", n=3, ms=10**9, progress=look)
    leaks = seen.pop()
    assert [g.on for g in seen] == ["chan 1", "chan 2", "chan 3"]
    assert [g.goid for g in leaks] == [g.goid for g in seen]
    for g in leaks:
        assert g.wait_reason == "chan receive" and "leak at " in g.created_by and "gort_chan_recv" in g.stack
    assert "(leaked)" in leaks.report and "goroutine 1 " not in leaks.report
    assert "waits for chan 2" in str(leaks) and leaks.graph().cycles == []
    assert repr(leaks) == "<gort.Leaks: 3 goroutines>"


def test_goroutines_of_now_say_what_they_wait_for(rt):
    seen = []

    def look():
        gort.go(wait)
        while not seen:
            seen.extend(g for g in rt.goroutines() if g.wait_reason == "chan receive")
            gort.gosched()
    rt.run(look)
    assert seen[0].on == "chan 1" and seen[0].created_by == ""
