"""Mutex and WaitGroup: those of Go's package sync.

Like a channel each belongs to the runtime whose goroutine uses it first, and is for goroutines only. The rest of what
_chan.py says of timeouts and errors holds here, too.
"""
import threading
from typing import Any, Callable, Optional

from ._config import integer
from ._errors import ArgumentError
from ._gort import ffi, lib
from ._home import Home
from ._inside import blocking, checked, here, home, nanoseconds
from ._threads import function, new
from ._unique import Unique

_choosing = threading.Lock()


class _OfOneRuntime(Unique):
    _home: Optional[Home] = None

    def _at(self, doing: str) -> Any:
        """The runtime, of this goroutine and of the lock."""
        mine = home(doing)
        if self._home is not mine:
            with _choosing:
                if self._home is None:
                    self._home = mine
            if self._home is not mine:
                raise ArgumentError(f"{doing}: it belongs to another runtime")
        return mine.pointer


class Mutex(_OfOneRuntime):
    """Go's sync.Mutex; `with mutex:` locks it for the body. Any goroutine may unlock it. The end of a run leaves it as
    it is."""

    def __init__(self) -> None:
        self._mutex = ffi.new("binding_mutex *")

    def lock(self, timeout: Optional[float] = None) -> None:
        """Waits until nobody else has it, at most so many seconds; then TimeoutError."""
        rt, ns = self._at("lock"), nanoseconds(timeout, "lock")
        checked(blocking(lambda ns: lib.binding_mutex_lock(rt, self._mutex, ns, here.text), ns), "lock")

    def try_lock(self) -> bool:
        """Locks it if nobody has it; whether it did."""
        code = lib.binding_mutex_try_lock(self._at("try_lock"), self._mutex, here.text)
        return code != lib.GORT_EAGAIN and checked(code, "try_lock") == 0

    def unlock(self) -> None:
        """Gives it to the next. PanicError: it is not locked; the mutex is as it was."""
        checked(lib.binding_mutex_unlock(self._at("unlock"), self._mutex, here.text), "unlock")

    def __enter__(self) -> "Mutex":
        self.lock()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.unlock()

    def __repr__(self) -> str:
        return f"<{'locked ' if self._mutex.held else ''}gort.Mutex>"


class WaitGroup(_OfOneRuntime):
    """Go's sync.WaitGroup: waits until a count comes to 0."""

    def __init__(self) -> None:
        self._group = ffi.new("gort_waitgroup *")

    def add(self, n: int = 1) -> None:
        """Adds n, which may be negative, to the count. PanicError: the count would be below 0; it is as it was."""
        self._add(integer("n", n, -(1 << 31), (1 << 31) - 1), ffi.NULL)

    def _add(self, n: int, done: Any) -> None:
        checked(lib.binding_waitgroup_add(self._at("add"), self._group, n, here.text, done), "add")

    def done(self) -> None:
        """Takes 1 off."""
        self.add(-1)

    def wait(self, timeout: Optional[float] = None) -> None:
        """Waits until the count is 0, at most so many seconds; then TimeoutError."""
        rt, ns = self._at("wait"), nanoseconds(timeout, "wait")
        checked(blocking(lambda ns: lib.binding_waitgroup_wait(rt, self._group, ns, here.text), ns), "wait")

    def go(self, fn: Callable[..., Any], *args: Any) -> int:
        """Counts one more, and starts fn(*args) as a goroutine that takes it off when it ends, however it does. Returns
        its goid. Errors as `go`."""
        function("go", fn)
        counted = ffi.new("int *")
        goroutine = new("go", self._call, fn, args)
        try:
            self._add(1, counted)
            return goroutine.begin()
        except BaseException:
            if counted[0] and not goroutine.begun:
                self.done()
            raise

    def _call(self, fn: Callable[..., Any], args: Any) -> None:
        try:
            fn(*args)
        finally:
            self.done()
