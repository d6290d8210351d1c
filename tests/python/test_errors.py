"""Errors: one class for each code, and no call that ends the interpreter."""
import builtins
import copy
import errno
import gc
import os
import pickle
import re
import sys

import gort
import pytest
from conftest import ROOT
from gort import _errors
from gort._gort import lib


def test_each_code_of_the_header_has_a_class():
    header = (ROOT / "core" / "include" / "gort.h").read_text()
    codes = {int(n) for n in re.findall(r"\bGORT_E[A-Z]+ = (-\d+)", header)}
    assert codes == set(_errors.BY_CODE)
    for code, cls in _errors.BY_CODE.items():
        assert issubclass(cls, gort.Error) and getattr(gort, cls.__name__) is cls
        assert cls.__doc__ and cls().code == code
        assert str(_errors.error(code)), "a text for each code"


@pytest.mark.parametrize("ours, builtin", [
    (gort.ArgumentError, ValueError), (gort.TimeoutError, builtins.TimeoutError),
    (gort.MemoryLimitError, MemoryError), (gort.SystemCallError, OSError),
    (gort.UnsupportedError, NotImplementedError)])
def test_python_code_catches_what_it_knows(ours, builtin):
    assert issubclass(ours, builtin)


def test_system_errors_carry_errno():
    with pytest.raises(OSError) as e:
        _errors.check(lib.GORT_EOS - errno.ENOENT, "opening")
    assert isinstance(e.value, gort.SystemCallError)
    assert e.value.errno == errno.ENOENT and e.value.code == lib.GORT_EOS - errno.ENOENT
    assert str(e.value).startswith("opening: ")


# ---- Programs that fail ----

def test_deadlock(rt):
    with pytest.raises(gort.DeadlockError, match="all goroutines are asleep - deadlock!") as e:
        rt.run("deadlock")
    assert e.value.code == lib.GORT_EDEADLOCK
    assert e.value.report.startswith(str(e.value)) and "goroutine 1" in e.value.report


def test_panic(rt):
    with pytest.raises(gort.PanicError, match="^panic: this workload panics, as it should") as e:
        rt.run("panic")
    assert "goroutine" in e.value.report


def test_fatal(rt):
    with pytest.raises(gort.FatalError, match="unlock of unlocked mutex"):
        rt.run("fatal")


def test_the_runtime_survives_failures(rt):
    for name, kind in (("panic", gort.PanicError), ("deadlock", gort.DeadlockError),
                       ("fatal", gort.FatalError)) * 2:
        with pytest.raises(kind):
            rt.run(name)
        assert rt.run("pingpong", rounds=10).value == 10


def test_a_failed_run_keeps_its_trace(traced):
    with pytest.raises(gort.PanicError) as e:
        traced.run("panic")
    assert e.value.trace.counts["go_create"] >= 2


# ---- Bad arguments ----

def test_unknown_workload_names_the_known(rt):
    with pytest.raises(ValueError, match="no workload 'seive'.*did you mean 'sieve'.*skynet") as e:
        rt.run("seive")
    assert isinstance(e.value, gort.Error) and e.value.code == lib.GORT_EINVAL
    with pytest.raises(gort.ArgumentError):
        rt.run(3)


@pytest.mark.parametrize("params, message", [
    ({"n": -1}, r"sieve: n=-1 is out of range: 1 to 100000"),
    ({"n": 0}, "out of range"),
    ({"n": 10**30}, "out of range"),
    ({"n": 1.5}, "n is an integer, not 1.5"),
    ({"n": "10"}, "n is an integer, not '10'"),
    ({"n": None}, "n is an integer"),
    ({"m": 1}, "sieve has no parameter 'm'; it has: n"),
])
def test_bad_parameters(rt, params, message):
    with pytest.raises(gort.ArgumentError, match=message):
        rt.run("sieve", **params)


def test_the_c_side_checks_parameters_too(rt):
    """Whoever calls the workloads from C gets an error, not a crash."""
    from gort._gort import ffi
    from gort._workloads import find

    _, raw = find("sieve")
    params = ffi.new("int64_t[]", [-5])
    call = ffi.new("workload_call *", {"params": params})
    assert lib.workload_run(rt._pointer, raw, call) == lib.GORT_EINVAL
    params[0] = 5
    data = ffi.new("int64_t[]", 4)
    call.data = data
    assert lib.workload_run(rt._pointer, raw, call) == lib.GORT_EINVAL, "sieve takes no data"


@pytest.mark.parametrize("settings, message", [
    ({"procs": -1}, "procs=-1 is out of range"),
    ({"procs": "two"}, "procs is an integer"),
    ({"stack_size": -1}, "stack_size=-1 is out of range"),
    ({"memory_limit": -1}, "memory_limit=-1"),
    ({"seed": -1}, "seed=-1"),
    ({"seed": 2**64}, "out of range"),
    ({"gogc": 2**40}, "gogc"),
    ({"gogc": "half"}, "gogc is an integer"),
    ({"collector": 3}, "collector is a string"),
    ({"collector": "refcount"}, "collector='refcount'"),
    ({"debug": "a\0b"}, "debug is a string"),
    ({"trace": -1}, "trace is True, False or how many"),
    ({"trace": "yes"}, "trace is"),
    ({"config": 7}, "config is a Config or an option string"),
    ({"config": "procs=2,colour=red"}, "'colour=red'"),
    ({"config": "procs=minus"}, "'procs=minus'"),
])
def test_bad_settings(settings, message):
    with pytest.raises(gort.ArgumentError, match=message):
        gort.Runtime(**settings)


def test_unknown_setting_is_a_type_error():
    with pytest.raises(TypeError):
        gort.Runtime(cores=2)


# ---- Wrong time, wrong thread ----

def test_after_close_everything_raises():
    rt = gort.Runtime(procs=1)
    rt.close()
    rt.close()  # once more does nothing
    assert rt.closed and "closed" in repr(rt)
    for use in (lambda: rt.run("sieve"), rt.stop, rt.procs, rt.__enter__,
                lambda: rt.attach().__enter__()):
        with pytest.raises(gort.ClosedError, match="the runtime is closed"):
            use()


def test_goroutine_calls_outside_a_goroutine_raise(rt):
    assert gort.goid() == 0
    for call in (gort.gosched, lambda: gort.sleep(0), gort.num_goroutine, gort.gomaxprocs):
        with pytest.raises(gort.ArgumentError, match="outside a goroutine"):
            call()
    assert lib.binding_detach() == lib.GORT_EINVAL


@pytest.mark.parametrize("seconds", ["1", None, float("nan"), float("inf"), 1e300,
                                     pytest.param(10**5000, id="no text")])
def test_sleep_takes_seconds(seconds):
    with pytest.raises(gort.ArgumentError, match="sleep"):
        gort.sleep(seconds)


def test_close_and_run_while_running(rt, while_running):
    def action():
        with pytest.raises(gort.BusyError, match="in use"):
            rt.close()
        with pytest.raises(gort.BusyError, match="running already"):
            rt.run("pingpong")
        assert "running" in repr(rt)
        return True
    assert while_running(rt, action)
    assert rt.run("pingpong", rounds=5).value == 5


def test_close_in_a_with_keeps_the_first_error():
    """The error of the body is what the caller sees, not that the runtime is busy."""
    with pytest.raises(ZeroDivisionError):
        with gort.Runtime(procs=1) as rt:
            rt._home.enter(rt)  # as if another thread were inside
            1 / 0
    rt._home.leave(rt)
    rt.close()
    with pytest.raises(gort.BusyError):
        with gort.Runtime(procs=1) as rt:
            rt._home.enter(rt)
    rt._home.leave(rt)
    rt.close()


def test_forgotten_runtime_warns_and_is_freed():
    with pytest.warns(ResourceWarning, match="unclosed <gort.Runtime procs=1>"):
        gort.Runtime(procs=1)
        gc.collect()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps, lambda x: pickle.dumps(x, 0)])
def test_what_has_a_destructor_is_not_copied(traced, copied):
    chan = gort.Chan(int, 4)
    trace = traced.run(chan.send, 7).trace
    for original in traced, chan, trace, traced._home, gort.Chan(), gort.Mutex(), gort.WaitGroup():
        with pytest.raises(TypeError, match=f"a {type(original).__name__} can be neither copied nor pickled"):
            copied(original)
    gc.collect()
    assert (traced.closed, len(chan), len(trace) > 0) == (False, 1, True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_gets_an_error_and_can_close():
    with gort.Runtime(procs=1) as rt:
        rt.run("pingpong", rounds=3)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                rt.run("pingpong", rounds=3)
            except gort.ForkedError:
                rt.close()
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
        assert rt.run("pingpong", rounds=3).value == 3, "the parent is as it was"
