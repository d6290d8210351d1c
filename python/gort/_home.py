"""Home: what Python has in one runtime: its goroutines, its channels, its run.

Channels, locks and goroutines hold the Home and not the Runtime, so that a forgotten Runtime is still collected; only
goroutines that run keep it alive. The Home has the library's pointer: each use of it is counted here, it is not freed
while there is one, and after that there is no pointer to use.

Ctrl-C, and Dropped, may be raised after any call, the C call that has just done its work included, and what it returned
is lost. So each use is an object of its own, and who takes it out of `users`, with one call that cannot be interrupted,
need not know whether it is in there.

The end of a run. The library releases all attached threads of the runtime: from then on what would block returns
GORT_ECANCELED, which raises Dropped. `end` waits until all goroutines have unwound. Those that compute, and call
nothing of gort, get Dropped from the interpreter, and again each second if they have caught it; those that are blocked
elsewhere (a socket, time.sleep) are waited for. One may have attached just after the library had released all: the end
of an empty run releases it, too, and outside of runs this is how goroutines are ended.
"""
import atexit
import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, List, Optional, Set

from ._errors import BusyError, ClosedError, ForkedError, check
from ._gort import ffi, lib
from ._inside import Dropped, here
from ._unique import Unique

if TYPE_CHECKING:
    from ._threads import Goroutine

GRACE = 0.05    # seconds that goroutines have to unwind before they are interrupted; doubles each time
LONGEST = 1.0   # at most
AT_EXIT = 1.0   # seconds that the end of the interpreter waits for goroutines

_all: "weakref.WeakSet[Home]" = weakref.WeakSet()  # those that ever had a goroutine


class Home(Unique):
    """See above. `run` is the Run in progress."""

    def __init__(self) -> None:
        self.out = ffi.new("gort_runtime **")      # NULL: it is not made yet, or gone; written by C, under door
        self.users: Set[Any] = set()               # who uses it now; added to under door
        self.forgotten = False                     # its Runtime is garbage
        self.runner: Any = None                    # of these the one that runs it; set under door
        self.fresh = True                          # nothing has used up a goid
        self.pid = os.getpid()
        self.door = threading.Lock()
        self.lock = threading.Lock()
        self.goroutines: "Set[Goroutine]" = set()  # guarded by lock
        self.run: Any = None                       # guarded by lock
        self.dropped: "List[Goroutine]" = []       # guarded by lock: by the run in progress, or the last one
        self.made: Dict[int, str] = {}             # guarded by lock: by goid, who made those that have not ended
        self.dead: Deque[Any] = deque()            # cells of channels that Python has forgotten
        self._cells = ffi.new("binding_chans **")  # NULL: none yet; guarded by lock

    # ---- The pointer ----

    @property
    def pointer(self) -> Any:
        return self.out[0]

    def forked(self) -> bool:
        return os.getpid() != self.pid

    def enter(self, use: Any, runs: bool = False) -> Any:
        """The pointer; it lasts until `use` is taken out of `users`. `runs`: until `leave`."""
        if self.forked():
            raise ForkedError("the runtime belongs to the process that forked this one")
        with self.door:
            if self.pointer == ffi.NULL:
                raise ClosedError("the runtime is closed")
            if runs:
                if self.runner is not None:
                    raise BusyError("the runtime is running already")
                self.runner = use
            self.users.add(use)
            return self.pointer

    def leave(self, use: Any) -> None:
        if self.runner is use:
            self.runner = None
        self.users.discard(use)

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """fn(pointer, *args)."""
        use = object()
        try:
            return fn(self.enter(use), *args)
        finally:
            self.users.discard(use)
            if self.forgotten:
                self.forget()

    def call_as_goroutine(self, fn: Callable[..., Any], *args: Any) -> Any:
        """The same for what makes a goroutine, which uses up a goid: who has it is another one in the runs after."""
        self.fresh = False
        return self.call(fn, *args)

    def check_unused(self) -> None:
        """Under door."""
        if self.users and not self.forked():
            raise BusyError("the runtime is in use: it runs, or another thread calls it")

    def free(self) -> int:
        """What gort_runtime_free returns; 0: it is free. BusyError: somebody uses it."""
        with self.door:
            self.check_unused()
            return lib.binding_runtime_free(self.out, self._cells)

    def forget(self) -> None:
        """Nobody can close it any more. Who asks for the length of a channel may still use it, and calls this, too.
        A runtime that cannot be freed stays: nobody is left to tell."""
        self.forgotten = True
        try:
            self.free()
        except BusyError:
            pass

    # ---- Channels ----

    def cell(self) -> Any:
        """A binding_chan without a channel."""
        with self.lock:
            if self._cells[0] == ffi.NULL:
                check(lib.binding_chans_new(self._cells, self.pointer), "channel")
            while self.dead:
                lib.binding_chans_put(self._cells[0], self.dead.popleft())
            out = ffi.new("binding_chan **")
            check(lib.binding_chans_get(self._cells[0], out), "channel")
            return out[0]

    # ---- Goroutines ----

    def add(self, goroutine: "Goroutine") -> None:
        """Dropped: it is started by one whose run has ended."""
        with self.lock:
            if here.goroutine is not None and here.goroutine.ended:
                raise Dropped
            self.goroutines.add(goroutine)
        _all.add(self)

    def gone(self, goroutine: "Goroutine") -> None:
        with self.lock:
            self.goroutines.discard(goroutine)
            if not goroutine.ended:
                self.made.pop(goroutine.goid, None)
            if goroutine.stack is not None:
                self.dropped.append(goroutine)

    def failed(self, goroutine: "Goroutine", error: BaseException) -> Any:
        """An exception has left a goroutine. Returns the run that ends by it; None: there is none; False: nobody is
        told, since the goroutine's own run has ended before."""
        with self.lock:
            if goroutine.ended or (self.run is not None and self.run.decided()):
                return False
            if self.run is not None:
                self.run.panicked(goroutine.goid, error)
            return self.run

    def begin(self, run: Any) -> None:
        with self.lock:
            self.run = run

    def known(self, goroutine: "Goroutine") -> None:
        """It has its goid."""
        with self.lock:
            self.made[goroutine.goid] = goroutine.made

    def end(self, patience: Optional[float] = None) -> bool:
        """The run is over, or shall be: returns when all goroutines that were there have ended. With a patience, in
        seconds, False if some have not by then."""
        with self.lock:
            run, self.run = self.run, None
            if run is not None:
                run.over = True
            there = list(self.goroutines)
            for goroutine in there:
                goroutine.ended = True
        give_up = None if patience is None else time.monotonic() + patience
        grace = GRACE
        while there := _alive(there, grace):
            if give_up is not None and time.monotonic() > give_up:
                return False
            for goroutine in there:
                if not goroutine.told or grace == LONGEST:  # who knows already may be busy with its `finally`
                    goroutine.interrupt()
            lib.binding_run_nothing(self.pointer)
            grace = min(2 * grace, LONGEST)
        with self.lock:
            dropped, self.dropped = self.dropped, []
            made, self.made = self.made, {}
        if run is not None:
            run.made = made
            if run.code == lib.GORT_EDEADLOCK:
                run.dropped = sorted(dropped, key=lambda g: g.goid)
        return True

    def finish_alone(self) -> None:
        """Ends all goroutines before the runtime is freed: by an empty run, so nobody else may use it meanwhile."""
        use = object()
        try:
            with self.door:
                self.check_unused()
                self.users.add(use)
                self.runner = use
            self.finish()
        finally:
            if self.runner is use:  # not by `leave`, which might be interrupted as it begins
                self.runner = None
            self.users.discard(use)

    def finish(self, patience: Optional[float] = None) -> bool:
        """The same as `end` outside of a run."""
        if self.pointer == ffi.NULL or not self.goroutines:
            return True
        lib.binding_run_nothing(self.pointer)
        return self.end(patience)


def _alive(goroutines: "List[Goroutine]", seconds: float) -> "List[Goroutine]":
    """Those that have not ended when so many seconds have passed."""
    until = time.monotonic() + seconds
    return [g for g in goroutines if g.stays(max(0.0, until - time.monotonic()))]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_all.clear)  # their goroutines are the parent's


@atexit.register
def _end_all() -> None:
    """Goroutines do not keep the interpreter, like those of a Go program whose main has returned; but they unwind. Later
    their threads would be stopped for ever where they next wait for the interpreter."""
    for home in list(_all):
        run = home.run
        if run is not None:
            lib.gort_runtime_stop(home.pointer, lib.GORT_ECANCELED)
            run.finished.wait(AT_EXIT)
        home.finish(AT_EXIT)
