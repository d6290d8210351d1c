"""A run whose program is a Python callable.

The callable is a goroutine on a thread of its own. The run's main goroutine, number 1, makes it and waits for it in C
(bindings/callable.h), on the thread of the run; so all that is said of runs in _run.py holds here, too.
"""
from typing import TYPE_CHECKING, Any, Callable, Dict, Tuple

from ._errors import check
from ._gort import ffi, lib
from ._inside import Dropped
from ._run import Run
from ._threads import Goroutine
from ._workloads import Workload

if TYPE_CHECKING:
    from ._runtime import Runtime


def described(fn: Callable[..., Any]) -> Workload:
    """A callable as `Result.workload` names it."""
    name = getattr(fn, "__qualname__", None) or type(fn).__qualname__
    lines = (getattr(fn, "__doc__", None) or "").strip().splitlines()
    return Workload(name, lines[0] if lines else "a Python callable", "what it returned", None, ())


class CallableRun(Run):
    """One run of fn(*args, **kwargs)."""

    def __init__(self, rt: "Runtime", fn: Callable[..., Any], args: Tuple[Any, ...], kwargs: Dict[str, Any]):
        self.record = ffi.new("binding_run *")
        super().__init__(rt, described(fn), kwargs, ffi.addressof(self.record, "call"))
        check(lib.binding_run_init(self.record), "run")
        self.record = ffi.gc(self.record, lib.binding_run_fini)
        self.value: Any = None
        self._main = Goroutine(rt, fn, args, kwargs, main=self)

    def _execute(self, pointer: Any) -> int:
        main, self._main = self._main, None  # type: ignore[assignment]
        main.begin_main()
        try:
            return lib.binding_run_main(pointer, self.record)
        finally:
            lib.binding_run_abandon(self.record)  # it may never have begun

    def result(self) -> Any:
        return self.value

    # ---- By the callable's thread ----

    def attach(self) -> int:
        """Waits until the run has begun; GORT_ECANCELED: it is over already."""
        return lib.binding_run_attach(self.record)

    def program(self, fn: Callable[..., Any], args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
        if self.over:
            raise Dropped
        self.value = fn(*args, **kwargs)

    def decided(self) -> bool:
        return lib.binding_run_over(self.record)

    def fail_inside(self) -> bool:
        """In a seeded run who panics ends the run as the callable does: what stops it from outside comes when the clock
        says."""
        if self.rt.seed:
            self.returned()
        return self.rt.seed != 0

    def returned(self) -> None:
        """The end of the callable is the end of the run."""
        lib.binding_run_done(self.rt._pointer, self.record)
