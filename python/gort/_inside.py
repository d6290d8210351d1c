"""What this thread is to gort, how long a call may block, and what a code means inside a goroutine.

A thread is a goroutine of one runtime if it runs a callable of `go`, or between `Runtime.attach` and its end. Its
runtime is known by its Home (_home.py); channels and locks remember theirs, since they belong to one runtime.

The interpreter handles signals in its main thread, between two steps of Python code. There a call of gort that blocks
comes back every SLICE, so that Ctrl-C is seen.
"""
import math
import threading
from typing import TYPE_CHECKING, Any, Callable, Optional

from ._errors import ArgumentError, CanceledError, ClosedError, PanicError, TimeoutError, check
from ._gort import ffi, lib

if TYPE_CHECKING:
    from ._home import Home
    from ._runtime import Runtime

SLICE = 50_000_000  # ns
_LONGEST = (1 << 63) - 1


class Dropped(BaseException):
    """The run of this goroutine has ended. Raised by the next call of gort in it that would block, or by itself soon
    after, so that it unwinds as if it had returned; who catches it delays the end of `Runtime.run`."""


class _Here(threading.local):
    runtime: "Optional[Runtime]" = None
    home: "Optional[Home]" = None  # its own
    goroutine: Any = None  # the Goroutine of _threads.py; None in a thread that called Runtime.attach
    text: Any = None       # where C puts the text of a panic
    attached: Any = None   # by which call of Runtime.attach it is one, or will be


here = _Here()


def enter(runtime: "Runtime", goroutine: Any = None) -> None:
    """This thread is attached now."""
    here.runtime, here.home, here.goroutine = runtime, runtime._home, goroutine
    here.text = ffi.new("char[]", lib.BINDING_TEXT)


def leave() -> None:
    here.runtime = here.home = here.goroutine = here.text = None


def home(doing: str) -> "Home":
    """The Home of this goroutine's runtime. ArgumentError: it is none."""
    found = here.home
    if found is None:
        raise ArgumentError(f"{doing} outside a goroutine; see Runtime.attach")
    return found


def dropped() -> BaseException:
    """What to raise where the run has ended."""
    if here.goroutine is None:
        return CanceledError("the run has ended: attach again")
    here.goroutine.ended = here.goroutine.told = True  # what goes wrong from here on is nobody's failure
    return Dropped()


def checked(code: int, doing: str) -> int:
    """Raises what a code below 0 means."""
    if code >= 0:
        return code
    if code == lib.GORT_ECANCELED:
        raise dropped()
    if code == lib.GORT_EPANIC:
        raise PanicError("panic: " + ffi.string(here.text).decode(errors="replace"))
    if code == lib.GORT_ETIMEDOUT:
        raise TimeoutError(f"{doing}: the time is over")
    if code == lib.GORT_ECLOSED:
        raise ClosedError(f"{doing}: the channel is closed")
    if code == lib.GORT_EINVAL:
        raise ArgumentError(f"{doing} outside a goroutine; see Runtime.attach")
    return check(code, doing)


def nanoseconds(timeout: Optional[float], doing: str) -> int:
    """A timeout as C takes it: -1 for none."""
    if timeout is None:
        return -1
    try:
        if math.isnan(timeout) or timeout < 0:
            raise ArgumentError(f"{doing}: timeout={timeout!r} is no number of seconds from 0 on")
        return -1 if math.isinf(timeout) else min(int(timeout * 10**9), _LONGEST)
    except TypeError:
        raise ArgumentError(f"{doing}: timeout is a number of seconds, not {timeout!r}") from None
    except OverflowError:  # an integer beyond all floats; its digits may be too many to be shown
        raise ArgumentError(f"{doing}: the timeout is out of range") from None


def blocking(call: Callable[[int], int], ns: int) -> int:
    """call(timeout in ns), in slices where signals are handled. Returns its code."""
    if threading.current_thread() is not threading.main_thread():
        return call(ns)
    end = lib.gort_nanotime() + ns
    while True:
        left = SLICE if ns < 0 else min(SLICE, end - lib.gort_nanotime())
        code = call(max(left, 0))
        if code != lib.GORT_ETIMEDOUT or (ns >= 0 and lib.gort_nanotime() >= end):
            return code
