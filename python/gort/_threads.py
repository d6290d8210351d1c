"""Goroutines of Python: `go`, and the thread that each of them is.

Each is a thread of the interpreter of its own, attached to the runtime: it has a goid, blocks in channels and locks as
all goroutines do, and is seen by the deadlock detector. It costs what a thread costs, some hundred microseconds and
tens of KiB: there may be thousands, not millions. Python code of one interpreter runs on one thread at a time (but for
free-threaded builds), so goroutines overlap in what blocks and in what C does, not in Python.

`go` makes the goroutine first, a seat (gort_seat_new), and then its thread, which takes it. So it has its goid and
counts as awake before the thread is there, and in a seeded run the schedule alone says when it goes on.
"""
import inspect
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from ._errors import ArgumentError, MemoryLimitError, check, error
from ._gort import ffi, lib
from ._home import Home
from ._inside import Dropped, enter, here, home, leave

if TYPE_CHECKING:
    from ._runtime import Runtime


class Goroutine(threading.Thread):
    """One goroutine. `main`: it is the callable of this run, which is told what it returns."""

    def __init__(self, rt: "Runtime", fn: Callable[..., Any], args: Tuple[Any, ...],
                 kwargs: Optional[Dict[str, Any]] = None, main: Any = None):
        super().__init__(name="goroutine", daemon=True)
        self.rt, self.home, self.main = rt, rt._home, main
        self.fn, self.args, self.kwargs = fn, args, kwargs or {}
        self.goid = 0
        self.ended = False         # its run has, as it has seen itself or Home.end has told
        self.told = False          # Dropped was raised in it, or will be at its next step
        self.stack: Any = None     # where it was when its run had ended
        self.made = ""             # where: "program at main.py:12"
        self._seat: Any = None
        self._code = 0
        self.begun = False         # it is a goroutine, or has been one
        self._came = False         # its thread has; guarded by _hold
        self._given_up = False     # it will never be one; the same
        self._door = threading.Lock()  # locked until it has attached, or failed to
        self._door.acquire()
        self._open = False         # interrupt() may raise Dropped in it
        self._hold = threading.Lock()

    def begin_main(self) -> None:
        """Starts the thread of a run's callable, whose goroutine comes with the run."""
        self.home.add(self)
        try:
            self.start()
        except RuntimeError as e:  # no thread
            self.home.gone(self)
            raise MemoryLimitError(f"run: {e}") from e

    def begin(self) -> int:
        """Starts it, and returns its goid.

        Ctrl-C, or Dropped, may come at any step. Whether there is a goroutine then, `begun` says: the seat is its
        thread's once that has come, and who would free it has to give it up before."""
        pointer, outer = self.home.pointer, sys.exc_info()[1]
        seat, goid = ffi.new("gort_seat **"), ffi.new("uint64_t *")
        self.made = _caller()
        try:
            self.home.add(self)
            check(lib.binding_seat_new(pointer, seat, goid), "go")
            self._seat, self.goid, self.name = seat[0], goid[0], f"goroutine {goid[0]}"
            self.home.known(self)
            self._start_thread()
            self.begun = True
        except BaseException as e:
            if not self._give_up():
                self.begun = True
                self._seated(pointer, seat[0])
                raise _interrupt(e, outer)
            try:
                if seat[0] != ffi.NULL:
                    lib.binding_seat_free(pointer, seat[0])
            finally:
                self.home.gone(self)
                self._door.release()
                del self.rt, self.fn, self.args, self.kwargs  # `start` may have left it in a list of its own
            if isinstance(e, RuntimeError) and _interrupt(e, outer) is e:  # no thread
                raise MemoryLimitError(f"go: {e}") from e
            raise _interrupt(e, outer)
        self._seated(pointer, seat[0])
        if self._code != 0 and not self.rt.seed:
            self.begun = False
            check(self._code, "go")
        return self.goid

    def _start_thread(self) -> None:
        """A goroutine that does this gets no Dropped meanwhile: `start` is not made for it, and the interpreter might
        take the new thread for the one that is meant, since the record of that has its number at first."""
        if here.goroutine is None:
            self.start()
        else:
            with here.goroutine._hold:
                self.start()

    def _seated(self, pointer: Any, seat: Any) -> None:
        lib.binding_seat_ready(pointer, seat)
        if not self.rt.seed:  # so that it is listed when `go` returns; under a seed that is for the schedule to say
            with self._door:
                pass

    def _give_up(self) -> bool:
        """By who makes it. False: its thread has come, and attaches."""
        with self._hold:
            self._given_up = not self._came
            return self._given_up

    def _come(self) -> bool:
        """By its thread. False: nobody waits for it any more."""
        with self._hold:
            self._came = not self._given_up
            return self._came

    def run(self) -> None:
        if not self._come():
            return
        try:
            self._attach()
        finally:
            self.home.gone(self)

    def _attach(self) -> None:
        code = self._code = lib.binding_seat_attach(self._seat) if self.main is None else self.main.attach()
        self._door.release()
        if code == 0:
            if self.main is not None:
                self.goid = lib.gort_goid()
                self.name = f"goroutine {self.goid}"
            self._as_goroutine()
        elif code != lib.GORT_ECANCELED and self.rt.seed:
            self._fail(error(code, f"goroutine {self.goid} has no memory"))

    def _as_goroutine(self) -> None:
        run: Any = False
        try:
            enter(self.rt, self)
            left = self._outcome()
            if isinstance(left, Dropped):
                self.stack = _stack(left)
                left = None
            if left is not None:
                run = self.home.failed(self, _from_function(left))
                if run and run.fail_inside():
                    run = False
            elif self.main is not None:
                self.main.returned()
        finally:
            leave()
            lib.binding_detach()
        # Only now: in a system call, which is where a goroutine of Python mostly is, the library must not be called.
        # All others may have been found asleep since it was detached; the panic, which was told before, goes first.
        if left is not None:
            self._tell(left, run)

    def _fail(self, error: BaseException) -> None:
        """It could not begin."""
        self._tell(error, self.home.failed(self, error))

    def _tell(self, error: BaseException, run: Any) -> None:
        """run: as Home.failed says."""
        if run is None:
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, self)))
        elif run is not False:
            run.end_failed()

    def _outcome(self) -> Optional[BaseException]:
        """Calls the function; returns the exception that has left it.

        Dropped may be raised at any step while _open is set. The assignments that end that come first in their blocks,
        where the interpreter does not look for it. An interrupt() that was under way is waited for, and its
        exception raised here."""
        left: Optional[BaseException] = None
        self._open = True
        try:
            if self.main is None:
                self.fn(*self.args, **self.kwargs)
            else:
                self.main.program(self.fn, self.args, self.kwargs)
            self._open = False
        except BaseException as e:
            self._open = False
            left = e
        try:
            with self._hold:
                pass
            _let_it_in()
        except Dropped:
            pass
        try:
            return left
        finally:
            left = None  # or frame and traceback would hold each other

    def stays(self, seconds: float) -> bool:
        """Waits for its end, at most so long; whether it is still there. It is from when it is added to its Home on:
        who makes it may not have started its thread yet, which could not be joined."""
        until = time.monotonic() + seconds
        if self._comes() and self._door.acquire(timeout=seconds):
            self._door.release()
        if self.is_alive():
            self.join(max(0.0, until - time.monotonic()))
        return self._comes() or self.is_alive()

    def _comes(self) -> bool:
        return not self._came and self in self.home.goroutines

    def where(self) -> str:
        """Where it was when its run had ended, as in a traceback."""
        return f"\ngoroutine {self.goid}, in Python:\n{''.join(self.stack.format())}"

    def interrupt(self) -> None:
        """Raises Dropped in it at the next step of Python code, wherever that is."""
        with self._hold:
            if self._open and self.is_alive():
                self.told = True
                _raise_in(self.ident, Dropped)


def _interrupt(error: BaseException, outer: Optional[BaseException]) -> BaseException:
    """What came in the midst of Thread.start: that is not made for it either, and may fail by it with a RuntimeError of
    its own. outer: what was handled before."""
    before = error.__context__
    return before if isinstance(error, RuntimeError) and before is not None and before is not outer else error


def _let_it_in() -> None:
    """The interpreter raises what is to be raised at the beginning of a function."""


def _raise_in(thread: Optional[int], cls: type) -> None:
    try:
        import ctypes

        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(cls))
    except (ImportError, AttributeError):
        pass  # another interpreter: such goroutines are waited for


def _ours(filename: str) -> bool:
    return filename.startswith(__file__.rpartition("_threads")[0])


def _caller() -> str:
    """Who starts a goroutine: the innermost frame outside of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _ours(frame.f_code.co_filename):
        frame = frame.f_back
    code = frame.f_code
    return f"{getattr(code, 'co_qualname', code.co_name)} at {code.co_filename}:{frame.f_lineno}"


def _stack(error: BaseException) -> traceback.StackSummary:
    """From the goroutine's function to the call in which it was dropped; the frames of this package left out."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    return traceback.StackSummary.from_list([f for f in frames if not _ours(f.filename)])


def _from_function(error: BaseException) -> BaseException:
    """Its traceback begins with the goroutine's function, if that was reached."""
    trace = error.__traceback__
    while trace is not None and _ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return error.with_traceback(trace or error.__traceback__)


def function(doing: str, fn: Any) -> None:
    """ArgumentError: fn is no function whose call does what it is for."""
    if not callable(fn):
        raise ArgumentError(f"{doing} takes a function, not {fn!r}")
    for f in (fn, type(fn).__call__):
        if inspect.iscoroutinefunction(f) or inspect.isgeneratorfunction(f) or inspect.isasyncgenfunction(f):
            raise ArgumentError(f"{doing} takes a function, and who calls {fn!r} gets a coroutine or a generator, "
                                "of which nothing has run")


def go(fn: Callable[..., Any], *args: Any) -> int:
    """Go's `go fn(*args)`: a new goroutine in the runtime of this one; returns its goid.

    It ends with fn, or when the run does, by an exception of class BaseException that unwinds it. An exception that
    leaves fn ends the run with PanicError. ArgumentError: outside a goroutine (see Runtime.go); MemoryLimitError: the
    system has no thread left."""
    function("go", fn)
    return new("go", fn, *args).begin()


def new(doing: str, fn: Callable[..., Any], *args: Any) -> Goroutine:
    """A goroutine in the runtime of this one, which has not begun."""
    home(doing)
    assert here.runtime is not None
    return Goroutine(here.runtime, fn, args)
