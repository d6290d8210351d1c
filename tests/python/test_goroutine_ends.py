"""The end of Python goroutines: of a run, of a runtime, of the interpreter; Ctrl-C; and nothing is left behind."""
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref

import gort
import pytest
from conftest import spin, wait
from gort import _home
from gort._threads import Goroutine

MANY = 1000


# ---- The end of a run ----

def test_the_others_are_dropped_when_main_returns(rt):
    ends = []

    def waiter():
        try:
            wait()
        except Exception:
            ends.append("caught as an error")
        finally:
            ends.append("unwound")

    def program():
        for _ in range(10):
            gort.go(waiter)
        return "done"
    assert rt.run(program).value == "done"
    assert ends == ["unwound"] * 10, "and run has waited for them"


@pytest.mark.parametrize("block", [
    lambda: gort.Chan().recv(), lambda: gort.Chan().send(1), lambda: gort.Chan(int).recv(timeout=1000),
    lambda: gort.select(), lambda: gort.select(gort.Chan()), lambda: gort.select((gort.Chan(), 1)),
    lambda: gort.select(gort.Chan(), (gort.Chan(int), 1), timeout=1000), lambda: gort.select(None),
    lambda: gort.sleep(1000), lambda: next(iter(gort.Chan())),
])
def test_what_blocks_is_dropped(rt, block, monkeypatch):
    """By what the call returns: nobody is interrupted here."""
    monkeypatch.setattr(_home, "GRACE", 1000)
    ends = []

    def waiter(begun):
        begun.send(None)
        try:
            block()
            ends.append("came back")
        finally:
            ends.append("unwound")

    def program():
        begun = gort.Chan()
        gort.go(waiter, begun)
        begun.recv()
        while any(g.status != "waiting" for g in rt.goroutines() if g.goid != gort.goid() and not g.system):
            gort.gosched()
    rt.run(program)
    assert ends == ["unwound"]


@pytest.mark.parametrize("step", [gort.gosched, lambda: gort.sleep(0)])
def test_what_gives_way_is_dropped(rt, step, monkeypatch):
    monkeypatch.setattr(_home, "GRACE", 1000)

    def program():
        begun = gort.Chan()

        def busy():
            begun.send(None)
            while True:
                step()
        gort.go(busy)
        begun.recv()
    rt.run(program)


def test_what_computes_is_dropped(rt):
    def program():
        begun = gort.Chan()
        gort.go(lambda: begun.send(None) or spin())
        begun.recv()
    rt.run(program)


def test_locks_and_groups_are_dropped_too(rt):
    ends = []

    def waiter(wait):
        try:
            wait()
            ends.append("came back")
        finally:
            ends.append("unwound")
    mutex, group = gort.Mutex(), gort.WaitGroup()

    def program():
        mutex.lock()
        group.add(1)
        gort.go(waiter, mutex.lock)
        gort.go(waiter, group.wait)
        while sum(g.status == "waiting" for g in rt.goroutines() if not g.system) < 3:
            gort.gosched()
    rt.run(program)
    assert ends == ["unwound"] * 2

    def again():
        mutex.unlock()
        group.done()
        with mutex:
            group.wait()
        return mutex.try_lock()
    assert rt.run(again).value, "the next run finds them as they were"


def test_what_fails_while_it_is_dropped_is_nobodys_failure(rt):
    def waiter():
        try:
            wait()
        finally:
            1 / 0

    def program():
        for _ in range(20):
            gort.go(waiter)
        return 1
    for _ in range(10):
        assert rt.run(program).value == 1


def test_one_that_comes_as_the_run_ends_is_dropped(rt, monkeypatch):
    """The library has released all by then: it takes the end of another run."""
    end, ends = _home.Home.end, []

    def late():
        try:
            wait()
        finally:
            ends.append("unwound")

    def end_with_one_more(self, patience=None):
        monkeypatch.undo()
        goid = rt.go(late)
        while {g.goid: g.wait_reason for g in rt.goroutines()}.get(goid) != "chan receive":
            pass
        return end(self, patience)
    monkeypatch.setattr(_home.Home, "end", end_with_one_more)
    rt.run(gort.goid)
    assert ends == ["unwound"]


@pytest.fixture(params=["is interrupted", "goes on"])
def slow_start(request, monkeypatch):
    """slow_start(fn): the thread of a goroutine that calls fn starts only when an end has waited for it once. Returns
    an event: it is about to."""
    start, interrupt = Goroutine.start, Goroutine.interrupt
    about, go_on = threading.Event(), threading.Event()

    def make(fn):
        def slow(self):
            if self.fn is fn:
                about.set()
                go_on.wait()
            start(self)

        def tell(self):
            go_on.set()
            if request.param == "is interrupted":
                interrupt(self)
        monkeypatch.setattr(Goroutine, "start", slow)
        monkeypatch.setattr(Goroutine, "interrupt", tell)
        return about
    return make


def test_a_run_ends_while_a_thread_is_about_to_start(rt, slow_start):
    about = slow_start(gort.goid)

    def program():
        gort.go(gort.go, gort.goid)
        about.wait()
        return "fine"
    assert rt.run(program).value == "fine"
    assert not rt._home.goroutines


def test_close_while_a_thread_is_about_to_start(slow_start):
    about = slow_start(gort.goid)
    with gort.Runtime(procs=2) as rt:
        rt.go(gort.go, gort.goid)
        about.wait()
    assert rt.closed


def test_who_catches_it_is_told_again(rt):
    """In a loop that never calls gort, and in one that always does."""
    caught = []

    def stubborn(step):
        while len(caught) < 3:
            try:
                while True:
                    step()
            except BaseException as e:
                caught.append(type(e).__name__)

    def program(step):
        begun = gort.Chan()
        gort.go(lambda: begun.send(1) or stubborn(step))
        begun.recv()
    for step in gort.gosched, lambda: None:
        caught.clear()
        rt.run(program, step)
        assert caught == ["Dropped"] * 3


def test_unwinding_may_take_its_time(rt):
    """Nothing interrupts it at once, though it calls nothing of gort."""
    seen = []

    def waiter():
        try:
            wait()
        finally:
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                pass
            seen.append("all of it")
    rt.run(lambda: gort.go(waiter) and None)
    assert seen == ["all of it"]


def test_a_dropped_goroutine_starts_no_other(rt):
    started = []

    def waiter():
        try:
            wait()
        finally:
            gort.go(started.append, 1)
    rt.run(lambda: gort.go(waiter) and None)
    assert started == []


def test_the_report_of_a_failed_run_outlives_those_who_are_slow_to_end(rt):
    for _ in range(3):
        rt.go(spin)
        with pytest.raises(gort.PanicError, match="^panic: this workload panics") as e:
            rt.run("panic")
        assert "goroutine" in e.value.report


def test_close_drops_goroutines():
    ends = []

    def waiter(wait):
        try:
            wait()
        finally:
            ends.append(1)
    with gort.Runtime(procs=2) as rt:
        for _ in range(10):
            rt.go(waiter, wait)
        rt.go(waiter, spin)
    assert rt.closed and len(ends) == 11


def test_a_goroutine_cannot_close_its_runtime(rt):
    def program():
        with pytest.raises(gort.BusyError):
            rt.close()
        with pytest.raises(gort.BusyError):
            rt.run("sieve")
        return True
    assert rt.run(program).value
    seen, told = [], threading.Event()

    def outside():
        try:
            rt.close()
        except gort.BusyError as e:
            seen.append(str(e))
        told.set()
    rt.go(outside)
    assert told.wait(30) and "its runtime" in seen[0]


def test_stop(rt):
    def program():
        assert rt.stop() is True
        wait()
    for _ in range(5):
        with pytest.raises(gort.CanceledError):
            rt.run(program)


def test_attached_threads_are_told_that_a_run_has_ended(rt):
    with rt.attach():
        ch = gort.Chan(int, cap=1)
        rt.run(gort.goid)
        ch.send(1)
        assert ch.recv() == 1, "what does not block is done"
        for block in ch.recv, lambda: gort.select(ch), lambda: gort.sleep(1000):
            with pytest.raises(gort.CanceledError, match="attach again"):
                block()
        gort.gosched()
    with rt.attach(), pytest.raises(gort.TimeoutError):
        ch.recv(timeout=0.01)


# ---- Ctrl-C ----

@pytest.mark.parametrize("body", [wait, spin, lambda: gort.sleep(1000), lambda: gort.select()])
def test_ctrl_c_ends_a_run(rt, body):
    def program():
        gort.go(body)
        signal.raise_signal(signal.SIGINT)  # the interpreter handles it in the main thread
        body()
    with pytest.raises(KeyboardInterrupt):
        rt.run(program)
    assert rt.run(gort.goid).value > 1


@pytest.mark.parametrize("block", [lambda: gort.Chan().recv(), lambda: gort.sleep(1000), lambda: gort.select(),
                                   lambda: gort.Chan().send(1)])
def test_ctrl_c_in_an_attached_main_thread(rt, block):
    def interrupt():
        while not any(g.goid == main and g.status == "waiting" for g in rt.goroutines()):
            gort.gosched()
        signal.raise_signal(signal.SIGINT)
    with rt.attach(), pytest.raises(KeyboardInterrupt):
        main = gort.goid()
        rt.go(interrupt)
        block()


# ---- Nothing is left ----

def test_a_hundred_runtimes_in_a_row():
    def program(n):
        ch = gort.Chan()
        for i in range(n):
            gort.go(ch.send, i)
        return sum(ch.recv() for _ in range(n))
    for i in range(100):
        with gort.Runtime(procs=1 + i % 3) as rt:
            assert rt.run(program, 5).value == 10


def test_no_reference_is_left():
    class Thing:
        pass
    things = [Thing() for _ in range(6)]
    left = weakref.WeakSet(things)

    def keep(thing, ch):
        ch.recv()

    def program(a, b, c, d):
        full, empty = gort.Chan(cap=8), gort.Chan()
        full.send(a)                     # stays in the channel
        full.send(full)                  # a channel in itself
        gort.go(empty.send, b)           # its sender is dropped
        gort.go(gort.select, (gort.Chan(), c))
        gort.go(keep, d, gort.Chan())
        with pytest.raises(gort.TimeoutError):
            gort.Chan().send(a, timeout=0)
        return Thing()
    with gort.Runtime(procs=2) as rt:
        left.add(rt.run(program, *things[:4]).value)
        rt.go(keep, things[4], gort.Chan())
        try:
            rt.run(exec, "raise ValueError(thing)", {"thing": things[5]})
        except gort.PanicError:
            pass
        del things
    gc.collect()
    assert len(left) == 0


def test_memory_does_not_grow_from_run_to_run():
    def program():
        ch, mutex = gort.Chan(cap=10), gort.Mutex()
        for i in range(20):
            gort.go(ch.send, [i])
        with mutex, pytest.raises(gort.TimeoutError):
            gort.select(gort.Chan(), (gort.Chan(), [0]), timeout=0)
        for _ in range(5):
            ch.recv()
        gort.go(spin)

    def run(times):
        for _ in range(times):
            with gort.Runtime(procs=2) as rt:
                rt.run(program)
                with pytest.raises(gort.DeadlockError):
                    rt.run(lambda: gort.Chan().recv())
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    tracemalloc.start()
    try:
        before = run(5)
        grown = run(20) - before
    finally:
        tracemalloc.stop()
    assert grown < 20 * 500, "bytes, of 20 runs of 21 goroutines"


def test_a_runtime_with_goroutines_is_not_forgotten_and_a_closed_one_is():
    with gort.Runtime(procs=1) as rt:
        rt.run(gort.goid)
        rt.go(wait)
    gone = weakref.ref(rt)
    del rt
    gc.collect()
    assert gone() is None


def interpreter(code, **env):
    """Runs code in an interpreter of its own: status, output, errors."""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **env}, text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("dev", ["", "1"])
@pytest.mark.parametrize("left", ["gort.Chan().recv", "gort.Chan().send, 1", "gort.sleep, 1000", "spin"])
def test_the_interpreter_ends_though_goroutines_are_left(left, dev):
    """Of a run that nobody waits for, and outside a run. They unwind before."""
    code = f"""
import gort, threading
def spin():
    while True: pass
begun = threading.Semaphore(0)
def unwinds(fn, *args):
    try:
        begun.release()
        fn(*args)
    finally: print("unwound")
rt = gort.Runtime(procs=2)
rt.go(unwinds, {left})
other = gort.Runtime(procs=2)
def program():
    gort.go(unwinds, {left})
    gort.sleep(1000)
threading.Thread(target=other.run, args=(program,), daemon=True).start()
begun.acquire()
begun.acquire()
print("end")
"""
    status, out, _ = interpreter(code, PYTHONDEVMODE=dev)
    assert (status, out) == (0, "end\n" + 2 * "unwound\n")


@pytest.mark.skipif(not hasattr(os, "kill"), reason="no signals here")
def test_ctrl_c_from_outside_ends_a_thousand():
    """As a terminal sends it, to a process that has its hands full: all unwind, and the interpreter says so."""
    code = f"""
import gort, os, signal
ends = []
def wait(ch):
    try:
        ch.recv()
    finally:
        ends.append(1)
def program():
    ch = gort.Chan()
    for i in range({MANY}):
        gort.go(wait, ch)
    os.kill(os.getpid(), signal.SIGINT)
    gort.sleep(1000)
    ends.append("not reached")
rt = gort.Runtime(procs=2)
try:
    rt.run(program)
finally:
    rt.close()
    print(len(ends))
"""
    status, out, err = interpreter(code)
    assert out == f"{MANY}\n" and err.rstrip().endswith("KeyboardInterrupt"), (out, err)
    assert status in (-signal.SIGINT, 130)


def test_development_mode_has_nothing_to_say():
    code = """
import gort
def program():
    ch, done = gort.Chan(), gort.WaitGroup()
    for i in range(20):
        done.go(ch.send, str(i))
    values = {ch.recv() for _ in range(20)}
    done.wait()
    gort.go(ch.recv)
    return len(values)
with gort.Runtime(procs=2) as rt:
    print(rt.run(program).value)
"""
    assert interpreter(code, PYTHONDEVMODE="1") == (0, "20\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_goroutine_is_no_goroutine(rt):
    def program():
        child = os.fork()
        if child == 0:
            code = 1
            try:
                gort.gosched()
            except gort.ArgumentError:
                code = 0
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert rt.run(program).value == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_leaves_the_run_to_its_parent():
    """It ends as a child does, without waiting for goroutines that it does not have, whoever waits for a run."""
    code = """
import os, sys, threading, time
import gort
def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
with gort.Runtime(procs=2) as rt:
    def beside():                                   # a run of another thread is under way
        begun.set()
        gort.Chan().recv(timeout=60)
    begun = threading.Event()
    other = threading.Thread(target=lambda: rt.run(beside), daemon=True)
    other.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        t = time.monotonic()
        import atexit
        atexit.register(lambda: os._exit(5) if time.monotonic() - t > 60 else None)
        sys.exit(7)
    print(ended(child))
    rt.stop()
    other.join()
with gort.Runtime(procs=2) as rt:
    def forks(done, total):                         # by the thread that waits for the run
        if not children:
            children.append(os.fork())
            if children[0] == 0:
                sys.exit(8)
    children = []
    rt.run("sieve", n=2000, progress=forks)
    print(ended(children[0]))
"""
    assert interpreter(code)[:2] == (0, "7\n8\n")


def test_time_is_kept(rt):
    def program():
        begin = time.monotonic()
        gort.sleep(0.02)
        return time.monotonic() - begin
    assert rt.run(program).value >= 0.02
