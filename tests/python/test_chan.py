"""Channels, select, mutexes and wait groups of Python goroutines."""
import builtins
import gc
import math
import threading
import warnings
import weakref

import gort
import pytest


@pytest.fixture
def inside(rt):
    """inside(program): runs it as a goroutine; a failed assertion in it fails the test."""
    def run(program):
        try:
            return rt.run(program).value
        except gort.PanicError as e:
            raise e.__cause__ or e
    return run


# ---- Values ----

@pytest.mark.parametrize("type, values", [
    (int, [0, -1, 2**63 - 1, -2**63, True]),
    (float, [0.0, -0.5, math.inf, 1e300, 3]),
    (str, ["", "a\0b", "\N{SNOWMAN}" * 1000]),
    (bytes, [b"", b"\0\xff"]),
    (object, [None, {}, (), "x", 2**100, gort.Chan]),
])
@pytest.mark.parametrize("cap", [0, 2])
def test_values_arrive_as_they_were(inside, type, values, cap):
    def program():
        ch = gort.Chan(type, cap)

        def feed():
            for v in values:
                ch.send(v)
            ch.close()
        gort.go(feed)
        return list(ch)
    got = inside(program)
    assert got == values
    if type in (int, float):
        assert all(builtins.type(v) is type for v in got)
    else:
        assert all(a is b for a, b in zip(got, values))


@pytest.mark.parametrize("type, value, error", [
    (int, 2**63, OverflowError), (int, -2**63 - 1, OverflowError), (int, 1.5, TypeError), (int, "1", TypeError),
    (float, "1", TypeError), (float, None, TypeError), (str, b"", TypeError), (bytes, "", TypeError),
    (str, None, TypeError),
])
def test_values_of_another_type(inside, type, value, error):
    def program():
        ch = gort.Chan(type, 1)
        with pytest.raises(error):
            ch.send(value)
        with pytest.raises(error):
            gort.select((ch, value))
        return len(ch)
    assert inside(program) == 0


@pytest.mark.parametrize("args, message", [
    ((list,), "of int, float, str, bytes or object"), ((3,), "of int"), ((int, -1), "cap=-1 is out of range"),
    ((int, "2"), "cap is an integer"),
])
def test_wrong_channels(args, message):
    with pytest.raises(gort.ArgumentError, match=message):
        gort.Chan(*args)


def test_too_large_a_channel(inside):
    def program():
        with pytest.raises(gort.PanicError, match="makechan: size out of range"):
            gort.Chan(int, 1 << 61)
        with pytest.raises(gort.MemoryLimitError):
            gort.Chan(int, 1 << 44)
        return True
    assert inside(program)


# ---- Operations ----

def test_order_length_and_close(inside):
    def program():
        ch = gort.Chan(int, cap=3)
        assert (ch.cap, len(ch), bool(ch), repr(ch)) == (3, 0, True, "<gort.Chan int cap=3>")
        for i in range(3):
            ch.send(i)
        assert len(ch) == 3
        ch.close()
        assert [ch.recv(), ch.recv(), ch.recv()] == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(gort.ClosedError):
                ch.recv()
        with pytest.raises(gort.PanicError, match="send on closed channel"):
            ch.send(1)
        with pytest.raises(gort.PanicError, match="send on closed channel"):
            gort.select((ch, 1), timeout=0)
        assert list(ch) == []
        return True
    assert inside(program)


def test_close_wakes_those_who_wait(inside):
    def program():
        ch, seen = gort.Chan(), gort.Chan(cap=2)

        def receiver():
            try:
                ch.recv()
            except gort.ClosedError:
                seen.send("closed")

        def sender(other):
            try:
                other.send(1)
            except gort.PanicError as e:
                seen.send(str(e))
        gort.go(receiver)
        ch.close()
        assert seen.recv() == "closed"
        other = gort.Chan()
        gort.go(sender, other)
        other.close()
        return seen.recv()
    assert inside(program) == "panic: send on closed channel"


def test_timeouts(inside):
    def program():
        empty, full = gort.Chan(int), gort.Chan(str)
        begin = gort._lib.gort_nanotime()
        for wait in (empty.recv, lambda timeout: full.send("x", timeout=timeout),
                     lambda timeout: gort.select(empty, (full, "x"), timeout=timeout),
                     lambda timeout: gort.select(timeout=timeout)):
            for timeout in 0, 0.01:
                with pytest.raises(TimeoutError) as e:
                    wait(timeout=timeout)
                assert isinstance(e.value, gort.TimeoutError)
        assert gort._lib.gort_nanotime() - begin >= 40_000_000
        assert full._boxes == {}, "what was not sent is let go"
        ready = gort.Chan(int, 1)
        ready.send(5, timeout=0)
        assert ready.recv(timeout=0) == 5
        gort.go(ready.send, 6)
        return ready.recv(timeout=math.inf)
    assert inside(program) == 6


@pytest.mark.parametrize("timeout", [-1, math.nan, "1", -math.inf,
                                     pytest.param(10**400, id="huge"), pytest.param(-10**5000, id="no text")])
def test_wrong_timeouts(inside, timeout):
    def program():
        ch = gort.Chan(int, 1)
        for call in (lambda: ch.recv(timeout), lambda: ch.send(1, timeout), lambda: gort.select(ch, timeout=timeout),
                     lambda: gort.Mutex().lock(timeout), lambda: gort.WaitGroup().wait(timeout)):
            with pytest.raises(gort.ArgumentError, match="timeout"):
                call()
        return len(ch)
    assert inside(program) == 0


# ---- Whose it is ----

def test_outside_a_goroutine():
    ch, mutex, group = gort.Chan(), gort.Mutex(), gort.WaitGroup()
    for call in (lambda: ch.send(1), ch.recv, ch.close, lambda: next(iter(ch)), lambda: gort.select(ch), gort.select,
                 mutex.lock, mutex.unlock, mutex.try_lock, group.done, group.wait, lambda: group.go(print)):
        with pytest.raises(gort.ArgumentError, match="outside a goroutine"):
            call()
    assert len(ch) == 0


def test_a_channel_made_outside_belongs_to_the_first_runtime_that_uses_it(rt):
    ch, mutex, group = gort.Chan(int, 2), gort.Mutex(), gort.WaitGroup()
    rt.run(ch.send, 1)
    rt.run(mutex.lock)
    rt.run(group.add)
    assert len(ch) == 1

    def use():
        for call in ch.recv, ch.close, lambda: gort.select(ch), mutex.unlock, group.done:
            with pytest.raises(gort.ArgumentError, match="another runtime"):
                call()
        return True
    with gort.Runtime(procs=1) as other:
        assert other.run(use).value
        mine = gort.Chan(int, 1)
        other.run(mine.send, 2)
    assert len(mine) == 0, "its runtime is closed"
    assert rt.run(ch.recv).value == 1, "it lasts from run to run"


def test_a_channel_survives_collections():
    """Only Python knows of it while nobody waits in it."""
    def program():
        chans = [gort.Chan(int, 1) for _ in range(1000)]
        for i, ch in enumerate(chans):
            ch.send(i)
        rt.gc()
        del chans[::2]
        gc.collect()
        more = [gort.Chan(int, 1) for _ in range(1000)]  # in the cells of those that are gone, too
        for ch in more:
            ch.send(-1)
        rt.gc()
        return [ch.recv() for ch in chans], {ch.recv() for ch in more}
    for collector in "concurrent", "stw":
        with gort.Runtime(procs=2, debug="gccheckmark=1,clobberfree=1", collector=collector) as rt:
            assert rt.run(program).value == ([*range(1, 1000, 2)], {-1})


def test_channels_are_garbage_when_python_has_forgotten_them(rt):
    """By the next time that one is made."""
    def program():
        chans = [gort.Chan(int, 1000) for _ in range(500)]
        rt.gc()
        before = rt.mem_stats().heap_alloc
        del chans
        gort.Chan()
        rt.gc()
        return before, rt.mem_stats().heap_alloc
    before, after = rt.run(program).value
    assert before > 500 * 8000 and after < 50 * 8000


def test_what_was_received_is_let_go(inside):
    class Thing:
        pass

    def program():
        ch = gort.Chan(cap=1)
        thing = Thing()
        gone = weakref.ref(thing)
        ch.send(thing)
        del thing
        assert gone() is not None
        ch.recv()
        return gone() is None
    assert inside(program)


# ---- Select ----

def test_select(inside):
    def program():
        a, b = gort.Chan(int, 1), gort.Chan(str, 1)
        assert gort.select(a, (b, "x")) == (1, None, True)
        assert gort.select(a, b) == (1, "x", True)
        a.send(7)
        assert gort.select(None, b, a) == (2, 7, True)
        b.close()
        assert gort.select(a, b) == (1, None, False)
        gort.go(a.send, 8)
        assert gort.select(a, None, (None, 1), timeout=30) == (0, 8, True)
        gort.go(gort.select, (a, 9))
        return a.recv()
    assert inside(program) == 9


def test_select_of_many(inside):
    def program():
        chans = [gort.Chan(int) for _ in range(100)]
        for i, ch in enumerate(chans):
            gort.go(ch.send, i)
        got = [gort.select(*chans)[:2] for _ in chans]
        assert all(i == v for i, v in got)
        return len(set(got))
    assert inside(program) == 100


def test_select_is_fair(inside):
    def program():
        a, b = gort.Chan(int, 400), gort.Chan(int, 400)
        for i in range(400):
            a.send(i)
            b.send(i)
        return sum(gort.select(a, b)[0] for _ in range(400))
    assert 100 < inside(program) < 300


def test_select_lets_go_what_it_did_not_send(inside):
    def program():
        a, b = gort.Chan(cap=1), gort.Chan(cap=1)
        index, _, _ = gort.select((a, "a"), (b, "b"))
        assert [len(a._boxes), len(b._boxes)] == [1 - index, index]
        with pytest.raises(TypeError):
            gort.select((a, 1), (gort.Chan(int), "x"))
        return len(a._boxes) + len(b._boxes)
    assert inside(program) == 1


@pytest.mark.parametrize("case", [3, (), (1, 2), [None, 1], "ab"])
def test_wrong_cases(inside, case):
    def program():
        with pytest.raises(gort.ArgumentError, match="a case is a Chan"):
            gort.select(case)
        return True
    assert inside(program)


# ---- Locks ----

def test_mutex(inside):
    def program():
        mutex, group, n = gort.Mutex(), gort.WaitGroup(), [0]

        def count():
            for _ in range(100):
                with mutex:
                    before = n[0]
                    gort.gosched()
                    n[0] = before + 1
        for _ in range(5):
            group.go(count)
        group.wait()
        assert mutex.try_lock() and not mutex.try_lock() and "locked" in repr(mutex)
        with pytest.raises(gort.TimeoutError):
            mutex.lock(timeout=0.01)
        mutex.unlock()
        assert "locked" not in repr(mutex)
        return n[0]
    assert inside(program) == 500


def test_unlock_of_an_unlocked_mutex(inside):
    """Fatal in Go, and in C; here it neither ends the process nor harms the mutex."""
    def program():
        mutex = gort.Mutex()
        for _ in range(2):
            with pytest.raises(gort.PanicError, match="sync: unlock of unlocked mutex"):
                mutex.unlock()
            with mutex:
                pass
        return True
    assert inside(program)


def test_wait_group(inside):
    def program():
        group, ch = gort.WaitGroup(), gort.Chan(cap=10)
        group.wait()
        group.add(2)
        with pytest.raises(gort.TimeoutError):
            group.wait(timeout=0.01)
        group.add(-1)
        group.done()
        with pytest.raises(gort.PanicError, match="sync: negative WaitGroup counter"):
            group.done()
        with pytest.raises(gort.ArgumentError):
            group.add(1 << 40)
        with pytest.raises(gort.ArgumentError):
            group.go(None)
        for i in range(10):
            group.go(ch.send, i)
        group.wait()
        return len(ch)
    assert inside(program) == 10


def test_wait_group_counts_who_failed(rt):
    group = gort.WaitGroup()

    def fail():
        raise ValueError

    def program():
        group.go(fail)
        gort.Chan().recv()
    with pytest.raises(gort.PanicError, match="ValueError"):
        rt.run(program)
    assert rt.run(group.wait).value is None


# ---- Who looks from outside ----

def test_the_length_while_another_thread_closes(monkeypatch):
    """A thread that asks for it uses the runtime."""
    rt = gort.Runtime(procs=1)
    chan = rt.run(lambda: gort.Chan(int, 3)).value
    count, asked, go_on, found = gort.Chan._count, threading.Event(), threading.Event(), []

    def slow(self, *args):
        asked.set()
        go_on.wait()
        return count(self, *args)
    monkeypatch.setattr(gort.Chan, "_count", slow)
    asker = threading.Thread(target=lambda: found.append(len(chan)))
    asker.start()
    asked.wait()
    with pytest.raises(gort.BusyError, match="in use"):
        rt.close()
    go_on.set()
    asker.join()
    rt.close()
    assert found == [0] and len(chan) == 0


def test_the_length_while_the_runtime_is_forgotten(monkeypatch):
    """Who asked gives it back."""
    rt = gort.Runtime(procs=1)
    chan = rt.run(lambda: gort.Chan(int, 3)).value
    home, gone = rt._home, weakref.ref(rt)
    count = gort.Chan._count
    held = [rt]
    del rt

    def forgotten_meanwhile(self, *args):
        held.clear()
        gc.collect()
        assert gone() is None and home.pointer
        return count(self, *args)
    monkeypatch.setattr(gort.Chan, "_count", forgotten_meanwhile)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a record of it would keep the runtime
        assert len(chan) == 0
    assert not home.pointer and len(chan) == 0


def test_the_length_uses_up_a_goid():
    with gort.Runtime(procs=1, seed=1) as rt:
        chan = rt.run(lambda: gort.Chan(int, 3)).value
        rt._home.fresh = True
        assert len(chan) == 0 and not rt._home.fresh
