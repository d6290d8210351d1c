"""One exception class for each code of gort.h.

Where Python has a class of its own for the same thing, ours is that one too, so that code which
knows nothing of gort catches it: a TimeoutError is a TimeoutError.
"""
import builtins
import html
import os
from typing import TYPE_CHECKING, Any, List, Optional

from ._gort import ffi, lib

if TYPE_CHECKING:
    import matplotlib.axes

    from ._figures import Goroutine
    from ._schedule import Schedule
    from ._waits import WaitGraph


class Error(Exception):
    """The library reported `code`. `report` is all that Go would print when the program fails: the
    message, then each goroutine's state and backtrace; "" if there is none. `trace` is the Trace of
    the run that failed, if it had one; `schedule` that of a seeded one."""

    code: int = 0
    trace: Any = None
    schedule: "Optional[Schedule]" = None

    def __init__(self, message: str = "", *, code: Optional[int] = None, report: str = ""):
        if code is not None:
            self.code = code
        super().__init__(message or _strerror(self.code))
        self.report = report


class ArgumentError(Error, ValueError):
    """An argument is out of range or malformed."""
    code = lib.GORT_EINVAL


class MemoryLimitError(Error, MemoryError):
    """The system refused memory, or the program reached its limit."""
    code = lib.GORT_ENOMEM


class WouldBlockError(Error):
    """It would block, and the caller asked not to."""
    code = lib.GORT_EAGAIN


class TimeoutError(Error, builtins.TimeoutError):
    """The deadline passed."""
    code = lib.GORT_ETIMEDOUT


class ClosedError(Error):
    """A channel or a runtime is closed."""
    code = lib.GORT_ECLOSED


class CanceledError(Error):
    """The caller's group was cancelled, or the run was stopped."""
    code = lib.GORT_ECANCELED


class BusyError(Error):
    """Not now: it runs already, is still in use, or was called from inside."""
    code = lib.GORT_EBUSY


class UnsupportedError(Error, NotImplementedError):
    """The backend built in cannot do it."""
    code = lib.GORT_ENOTSUP


class ProgramError(Error):
    """A program failed. `goroutines` are those of that moment, each with `on`, `created_by` and `stack`: who waits for
    what, since when, made where; the one that failed, if one did, is running."""

    goroutines: "List[Goroutine]" = []

    def graph(self) -> "WaitGraph":
        """Who waits for whom. Who has a mutex is known of a seeded run that had a trace."""
        from ._waits import WaitGraph, holders

        return WaitGraph(self.goroutines, holders(self.trace))

    def plot(self, ax: "Optional[matplotlib.axes.Axes]" = None) -> "matplotlib.axes.Axes":
        """A picture of the graph."""
        return self.graph().plot(ax)

    def _repr_html_(self) -> str:
        return (f"<p><b>{type(self).__name__}</b>: {html.escape(str(self))}</p>{self.graph()._repr_html_()}"
                f"<details><summary>report</summary><pre>{html.escape(self.report)}</pre></details>")


class DeadlockError(ProgramError):
    """All goroutines are asleep."""
    code = lib.GORT_EDEADLOCK


class PanicError(ProgramError):
    """A goroutine panicked and did not recover."""
    code = lib.GORT_EPANIC


class FatalError(ProgramError):
    """Go's "fatal error": not recoverable, as a stack overflow."""
    code = lib.GORT_EFATAL


class ForkedError(Error):
    """The runtime belongs to the process that forked this one."""
    code = lib.GORT_EFORKED


class SystemCallError(Error, OSError):
    """The system reported an error: see `errno`."""
    code = lib.GORT_EOS

    def __init__(self, message: str = "", *, code: Optional[int] = None, report: str = ""):
        super().__init__(message, code=code, report=report)
        if self.code < lib.GORT_EOS:
            self.errno = lib.GORT_EOS - self.code
            self.strerror = os.strerror(self.errno)

    def __str__(self) -> str:
        return str(self.args[0])


BY_CODE = {cls.code: cls for cls in (
    ArgumentError, MemoryLimitError, WouldBlockError, TimeoutError, ClosedError, CanceledError,
    BusyError, UnsupportedError, DeadlockError, PanicError, FatalError, ForkedError,
    SystemCallError)}


def _strerror(code: int) -> str:
    return ffi.string(lib.gort_strerror(code)).decode(errors="replace")


def error(code: int, message: str = "", report: str = "") -> Error:
    """The exception for a code below 0."""
    cls = SystemCallError if code < lib.GORT_EOS else BY_CODE.get(code, Error)
    return cls(message or _strerror(code), code=code, report=report)


def check(code: int, doing: str = "") -> int:
    """Raises if code is a failure. `doing` says what failed, for people."""
    if code < 0:
        raise error(code, f"{doing}: {_strerror(code)}" if doing else "")
    return code
