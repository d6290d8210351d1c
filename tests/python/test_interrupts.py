"""Ctrl-C at each step of what does not block: nothing is left half done."""
import gc
import threading
import warnings

import gort
import pytest
from conftest import interrupted_everywhere
from gort._threads import Goroutine


@pytest.mark.parametrize("call", [
    gort.Runtime.goroutines, gort.Runtime.procs, gort.Runtime.mem_stats, gort.Runtime.stack_dump, gort.Runtime.stop,
    gort.Runtime.gc, gort.Runtime.__enter__, lambda rt: rt.gogc])
def test_a_call_leaves_the_runtime_unused(call):
    rts = [gort.Runtime(procs=1)]

    def close():
        rts.pop().close()  # BusyError: it is in use
        rts.append(gort.Runtime(procs=1))
    interrupted_everywhere(lambda: call(rts[0]), close)
    rts.pop().close()


def test_close_knows_whether_it_is_done():
    """One that believed to be open would free what another runtime has got meanwhile."""
    rts = [gort.Runtime(procs=1)]

    def again():
        rts[0].close()
        assert rts.pop().closed
        rts.append(gort.Runtime(procs=1))
    interrupted_everywhere(lambda: rts[0].close(), again)
    rts.pop().close()


def test_a_runtime_is_made_or_not():
    """The check that nothing is left is that of all tests."""
    made = []

    def close():
        gc.collect()
        for rt in made:
            rt.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        interrupted_everywhere(lambda: made.append(gort.Runtime(procs=1)), close)


def test_attach(rt):
    """A thread that stayed attached would keep the runtime, and could not attach again."""
    def attach():
        with rt.attach():
            assert gort.goid() and gort.num_goroutine()

    def outside():
        assert gort.goid() == 0 and not rt._home.users
        with pytest.raises(gort.ArgumentError, match="outside a goroutine"):
            gort.Chan().recv()
    interrupted_everywhere(attach, outside)


def test_attach_twice(rt):
    with rt.attach():
        goid = gort.goid()

        def attach():
            with pytest.raises(gort.BusyError):
                with rt.attach():
                    pass

        def still():
            assert gort.goid() == goid and gort.Chan(int, 1).send(1) is None
        interrupted_everywhere(attach, still)
    assert gort.goid() == 0


# ---- Goroutines ----

class _Limbo(dict):
    """threading's list of threads that are about to start. When `start` is interrupted a thread may stay in there."""

    def __delitem__(self, thread):
        self.pop(thread, None)


@pytest.fixture
def threads(monkeypatch):
    """Exceptions that have left a thread."""
    left = []
    monkeypatch.setattr(threading, "_limbo", _Limbo())
    monkeypatch.setattr(threading, "excepthook", left.append)
    return left


@pytest.mark.parametrize("seed", [0, 1])
def test_go(threads, seed):
    """A seat that were freed under its thread would end the interpreter."""
    rts = [gort.Runtime(procs=1, seed=seed)]
    ran = []

    def close():
        rts.pop().close()
        rts.append(gort.Runtime(procs=1, seed=seed))
    interrupted_everywhere(lambda: rts[0].go(ran.append, 1), close)
    rts.pop().close()
    assert not threads and (ran or seed)


def test_wait_group_go(rt, threads):
    """The count is that of goroutines that are there."""
    ran = []
    with rt.attach():
        group = gort.WaitGroup()
        interrupted_everywhere(lambda: group.go(ran.append, 1), lambda: group.wait(timeout=60))
        with pytest.raises(gort.PanicError, match="negative"):
            group.done()
    assert ran and not threads


def test_a_signal_that_start_makes_an_error_of(rt, monkeypatch):
    """The waiting in Thread.start may find its own lock unlocked then."""
    def start(self):
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("release unlocked lock")
    monkeypatch.setattr(Goroutine, "start", start)
    try:
        raise ValueError
    except ValueError:  # what is handled already does not matter
        with pytest.raises(KeyboardInterrupt):
            rt.go(print)

        def no_thread(self):
            raise RuntimeError("can't start new thread")
        monkeypatch.setattr(Goroutine, "start", no_thread)
        with pytest.raises(gort.MemoryLimitError, match="can't start"):
            rt.go(print)


@pytest.mark.parametrize("seed", [0, 1])
def test_ctrl_c_when_the_thread_has_come(monkeypatch, seed):
    """The goroutine goes on."""
    came, ran = threading.Event(), []
    start, come = Goroutine.start, Goroutine._come

    def interrupted(self):
        start(self)
        came.wait()
        raise KeyboardInterrupt

    def seen(self):
        try:
            return come(self)
        finally:
            came.set()
    monkeypatch.setattr(Goroutine, "start", interrupted)
    monkeypatch.setattr(Goroutine, "_come", seen)
    with gort.Runtime(procs=1, seed=seed) as rt:
        with pytest.raises(KeyboardInterrupt):
            rt.go(ran.append, 1)
        monkeypatch.undo()
        rt.run(lambda: [gort.gosched() for _ in range(1000) if not ran])
    assert ran == [1]
