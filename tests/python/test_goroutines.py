"""Python callables as goroutines: how they begin, see each other and fail."""
import functools
import threading

import gort
import pytest
from conftest import spin, wait
from gort._threads import Goroutine

MANY = 1000


# ---- Begin ----

def test_a_callable_is_a_program(rt):
    def program(n, *, twice):
        """Doubles.

        Or not."""
        return {"value": 2 * n if twice else n, "goid": gort.goid()}
    result = rt.run(program, 21, twice=True)
    assert result.value["value"] == 42 and result.value["goid"] > 1
    assert result.params == {"twice": True} and result.seconds > 0
    assert result.workload.name.endswith("program") and result.workload.summary == "Doubles."
    assert result.goroutines[0].goid == 1, "which waits for the callable"
    assert result.as_dict()["value"] == repr(result.value)
    assert "42" in result._repr_html_()
    assert rt.run(program, 1, twice=False).value["value"] == 1, "and once more"


def test_a_callable_runs_on_a_thread_of_its_own(rt):
    assert rt.run(threading.get_ident).value != threading.get_ident()


@pytest.mark.parametrize("call, message", [
    (lambda rt: rt.run(print, data=[1]), "data is for C workloads"),
    (lambda rt: rt.run("sieve", 3), "by name"),
    (lambda rt: rt.go(None), "go takes a function"),
    (lambda rt: gort.go(print), "go outside a goroutine"),
    (lambda rt: rt.run(lambda: gort.go(3)), "go takes a function"),
])
def test_wrong_arguments(rt, call, message):
    with pytest.raises(gort.Error, match=message) as e:
        call(rt)
    assert isinstance(e.value, gort.ArgumentError) or isinstance(e.value.__cause__, gort.ArgumentError)


async def _coroutine():
    pass


def _generator():
    yield


async def _asynchronous_generator():
    yield


class _Called:
    async def __call__(self):
        pass


@pytest.mark.parametrize("fn", [
    _coroutine, _generator, _asynchronous_generator, functools.partial(_generator), _Called()])
@pytest.mark.parametrize("call", [
    lambda rt, fn: rt.run(fn), lambda rt, fn: rt.go(fn), lambda rt, fn: gort.explore(fn, runs=1),
    lambda rt, fn: rt.run(gort.go, fn), lambda rt, fn: rt.run(lambda: gort.WaitGroup().go(fn))])
def test_what_would_do_nothing_is_refused(rt, call, fn):
    with pytest.raises(gort.Error, match="of which nothing has run"):
        call(rt, fn)
    assert isinstance(rt.run(_Called).value, _Called), "a class is called as it is"


def test_a_thousand_goroutines(rt):
    """Each is a thread and a goroutine of its own; all are there at once."""
    def program():
        ready, start, out = gort.Chan(int), gort.Chan(), gort.Chan(int, cap=10)

        def worker(i):
            ready.send(gort.goid())
            start.recv()
            out.send(i * i)
        started = [gort.go(worker, i) for i in range(MANY)]
        ids = [ready.recv() for _ in range(MANY)]
        there = gort.num_goroutine()
        for _ in range(MANY):
            start.send(None)
        return started, ids, there, sum(out.recv() for _ in range(MANY))
    started, ids, there, total = rt.run(program).value
    assert sorted(ids) == sorted(started) and len(set(ids)) == MANY
    assert there >= MANY + 2 and total == sum(i * i for i in range(MANY))


def test_goroutines_see_each_other(rt):
    def program():
        ch = gort.Chan()
        blocked = gort.go(ch.recv)
        while {g.goid: g for g in rt.goroutines()}[blocked].wait_reason != "chan receive":
            gort.gosched()
        there = {g.goid: g.status for g in rt.goroutines()}
        return there[blocked], there[gort.goid()], "chan receive" in rt.stack_dump()
    assert rt.run(program).value == ("waiting", "syscall", True)


def test_go_while_a_workload_runs(rt, while_running):
    done = threading.Event()

    def action():
        rt.go(done.set)
        return done.wait(30)
    assert while_running(rt, action)


def test_go_outside_a_run():
    with gort.Runtime(procs=1) as rt:
        ch = gort.Chan(int, cap=1)
        rt.go(ch.send, 7)
        with rt.attach():
            assert ch.recv() == 7


def test_python_code_holds_no_p():
    """One P, a goroutine that computes and never calls gort: the others, and a workload of another runtime, go on."""
    def program():
        gort.go(spin)
        ch = gort.Chan(int)
        for i in range(20):
            gort.go(ch.send, i)
        return sum(ch.recv() for _ in range(20))
    with gort.Runtime(procs=1) as rt:
        assert rt.run(program).value == 190


def test_blocking_elsewhere_is_no_deadlock(rt):
    """A lock of Python's is nothing that the detector knows; who waits for it counts as awake."""
    lock = threading.Lock()

    def program():
        ch = gort.Chan()
        lock.acquire()

        def other():
            with lock:
                ch.send(1)
        gort.go(other)
        gort.sleep(0.001)
        lock.release()
        return ch.recv()
    assert rt.run(program).value == 1


def test_a_chain_of_goroutines_is_never_asleep(rt):
    """Each starts the next one and ends; main waits for the last. A moment in which none counts would be a deadlock."""
    def link(n, ch):
        if n:
            gort.go(link, n - 1, ch)
        else:
            ch.send("last")

    def program():
        ch = gort.Chan()
        link(200, ch)
        return ch.recv()
    for _ in range(5):
        assert rt.run(program).value == "last"


def test_goroutines_of_two_runtimes():
    """One may run the other's programs; each has its own channels."""
    def inner(n):
        ch = gort.Chan(int)
        gort.go(ch.send, n + 1)
        return ch.recv()

    def outer():
        ch = gort.Chan(int)
        for i in range(3):
            ch_value = b.run(inner, i).value
            gort.go(ch.send, ch_value)
        return sum(ch.recv() for _ in range(3))
    with gort.Runtime(procs=1) as a, gort.Runtime(procs=2) as b:
        assert a.run(outer).value == 6


def test_an_attached_thread_starts_goroutines(rt):
    with rt.attach():
        ch, group = gort.Chan(int, 3), gort.WaitGroup()
        for i in range(3):
            group.go(ch.send, i)
        group.wait()
        ch.close()
        assert sorted(ch) == [0, 1, 2]


def test_a_trace_of_goroutines(traced):
    def program():
        ch, done = gort.Chan(int, 1), gort.WaitGroup()
        done.go(ch.send, 1)
        done.wait()
        return ch.recv()
    trace = traced.run(program).trace
    assert trace.counts["go_create"] >= 3 and trace.counts["chan_send"] == trace.counts["chan_recv"] == 1
    assert trace.counts["go_create"] == trace.counts["go_end"], "the end of the last one is part of it"


# ---- Failures ----

def test_the_system_has_no_thread_left(rt, monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    def program():
        monkeypatch.setattr(Goroutine, "start", start)
        with pytest.raises(gort.MemoryLimitError, match="can't start new thread"):
            gort.go(wait)
        group = gort.WaitGroup()
        with pytest.raises(MemoryError):
            group.go(wait)
        group.wait()
        return "went on"
    assert rt.run(program).value == "went on"
    for call in rt.run, rt.go:
        with pytest.raises(gort.MemoryLimitError):
            call(wait)
    monkeypatch.undo()
    assert rt.run(program).value == "went on"


def test_an_exception_is_a_panic(rt):
    def fail():
        raise KeyError("gone")

    def program():
        gort.go(fail)
        wait()
    for p in fail, program:
        with pytest.raises(gort.PanicError, match="^panic: KeyError: 'gone'$") as e:
            rt.run(p)
        assert isinstance(e.value.__cause__, KeyError)
        assert "goroutine" in e.value.report and "in fail" in e.value.report
        assert "_threads.py" not in e.value.report, "the traceback begins with the goroutine's function"
    assert rt.run(gort.goid).value > 1, "the runtime is fit for another run"


@pytest.mark.parametrize("exception", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError()])
def test_every_exception_is_a_panic(rt, exception):
    def fail():
        raise exception
    with pytest.raises(gort.PanicError, match=type(exception).__name__) as e:
        rt.run(fail)
    assert e.value.__cause__ is exception


def test_a_panic_of_gort_is_an_exception_that_can_be_caught(rt):
    def program():
        ch = gort.Chan()
        ch.close()
        with pytest.raises(gort.PanicError, match="^panic: close of closed channel$"):
            ch.close()
        return "caught"
    assert rt.run(program).value == "caught"

    def not_caught():
        ch = gort.Chan()
        ch.close()
        ch.close()
    with pytest.raises(gort.PanicError, match="^panic: close of closed channel$") as e:
        rt.run(not_caught)
    assert isinstance(e.value.__cause__, gort.PanicError)


def test_a_python_goroutine_ends_a_workload_by_its_panic(rt):
    def progress(done, total):
        if done and not started:
            started.append(rt.go(int, "x"))
    started = []
    with pytest.raises(gort.PanicError, match="ValueError"):
        rt.run("pingpong", rounds=10**9, progress=progress)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_exception_outside_a_run_is_told_like_that_of_any_thread(rt, monkeypatch):
    seen, told = [], threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda args: (seen.append(args.exc_type), told.set()))
    rt.go(int, "x")
    assert told.wait(30) and seen == [ValueError]
    assert rt.run("pingpong", rounds=2).value == 2


def test_deadlock(rt):
    def waits_for_nobody():
        gort.Chan().recv()

    def program():
        gort.go(waits_for_nobody)
        mutex = gort.Mutex()
        mutex.lock()
        mutex.lock()
    with pytest.raises(gort.DeadlockError, match="all goroutines are asleep - deadlock!") as e:
        rt.run(program)
    assert "[chan receive" in e.value.report and "[sync.Mutex.Lock" in e.value.report
    assert "in waits_for_nobody" in e.value.report and "in program" in e.value.report, "where they were, in Python"
    assert rt.run(gort.goid).value > 1


def test_deadlock_of_many(rt):
    def program():
        ch = gort.Chan()
        for _ in range(50):
            gort.go(ch.recv)
        ch.recv()
    for _ in range(3):
        with pytest.raises(gort.DeadlockError) as e:
            rt.run(program)
        assert e.value.report.count("[chan receive") == 51
