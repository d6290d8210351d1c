"""What all tests share: runtimes, and a check that a test leaves nothing behind.

No test waits for time to pass. Where something must happen while a run is under way, the run's own
progress function does it.
"""
import gc
import io
import itertools
import os
import pathlib
import sys
import threading
import time

import pytest

import gort

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # or numpy's threads are counted below, and vanish with a fork
ROOT = pathlib.Path(__file__).resolve().parents[2]
FOREVER = 10**9  # rounds of pingpong: more than anybody waits for


def wait():
    """A goroutine that is in this has nothing to wait for."""
    gort.Chan().recv()


def spin():
    """And one in this calls nothing of gort."""
    while True:
        pass


def _apart(code):
    """What a destructor calls, where nobody would see the exception, and the locks of threading: interrupted there,
    Thread.start may leave one locked, and the new thread waits for ever."""
    return "_weakrefset" in code.co_filename or (code.co_filename == threading.__file__ and code.co_name != "start")


def interrupted_everywhere(action, afterwards):
    """Calls action() with a Ctrl-C at the first step where the interpreter may handle a signal, then at the second, and
    so on until it gets through: as a function begins, and when C has returned, whose result is lost. Calls afterwards()
    each time, when nobody has the exception any more."""
    for last in itertools.count(1):
        steps = 0

        def step(frame, event, arg):
            nonlocal steps
            if event in ("call", "c_return") and not _apart(frame.f_code):
                steps += 1
                if steps == last:
                    raise KeyboardInterrupt
        try:
            sys.setprofile(step)
            action()
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        afterwards()
        if steps < last:
            return


def _count(path):
    try:
        return len(os.listdir(path))
    except OSError:
        return None  # no /proc here


def _held():
    """Descriptors and threads of this process, as the system counts them."""
    gc.collect()
    return {"descriptors": _count("/proc/self/fd"), "threads": _count("/proc/self/task"),
            "python threads": threading.active_count()}


@pytest.fixture(autouse=True)
def leakcheck():
    """A closed runtime has given back its threads and descriptors. The system takes a joined thread
    off its list a moment after the join, and nobody says when: so this looks again for a while."""
    before = _held()
    yield
    give_up = time.monotonic() + 10
    while _held() != before and time.monotonic() < give_up:
        pass
    assert _held() == before


@pytest.fixture
def rt():
    with gort.Runtime(procs=2) as runtime:
        yield runtime


@pytest.fixture
def traced():
    with gort.Runtime(procs=2, trace=True) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def pyplot():
    """matplotlib.pyplot, without a screen. It has drawn before leaks are looked for, as it keeps the files of fonts."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.figure().text(0, 0, "\u00b5 \u2264 a").figure.savefig(io.BytesIO())
    plt.close("all")
    yield plt
    plt.close("all")


@pytest.fixture
def while_running():
    """while_running(rt, action): calls action once in the midst of an endless run, then ends it and
    returns what action returned. An exception of action goes through."""
    def call(rt, action):
        results = []

        def progress(done, total):
            if done and not results:
                results.append(action())
                rt.stop()
        with pytest.raises(gort.CanceledError):
            rt.run("pingpong", rounds=FOREVER, progress=progress)
        return results[0]
    return call
