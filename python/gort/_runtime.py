"""Runtime: a scheduler and a heap of one's own.

The library trusts its callers: after free a handle must not be used. So the Home has the handle and counts each use of
it, `close` refuses while there is one, and after `close` there is no handle to use.
"""
import dataclasses
import os
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from ._config import RANGES, Config, integer
from ._errors import ArgumentError, BusyError, check, error
from ._figures import (
    Goroutine, MemStats, Metrics, ProcStats, dump, mem_stats, number, proc_stats, read_goroutines, read_metrics,
)
from ._gort import ffi, lib
from ._home import Home
from ._inside import enter, here
from ._progress import Progress, reporter
from ._program import Program
from ._run import POLL, Result, Run, WorkloadRun, panic_error, program_error
from ._schedule import pairs
from ._trace import Trace
from ._unique import Unique
from ._waits import Leaks, with_stacks

if TYPE_CHECKING:
    from ._heap import Heap


class Runtime(Unique):
    """A runtime: `with Runtime(procs=2) as rt: rt.run("sieve", n=1000)`.

    Settings come as a Config or an option string, as keywords, or both; keywords win. trace=True
    keeps the last million events of each run for its result, trace=N the last N. Errors of a
    program are exceptions; the runtime survives them and may run again.
    """

    def __init__(self, config: Union[Config, str, None] = None, *,
                 procs: Optional[int] = None, gogc: "Optional[int | str]" = None,
                 memory_limit: Optional[int] = None, stack_size: Optional[int] = None,
                 collector: Optional[str] = None, seed: Optional[int] = None,
                 debug: Optional[str] = None, library: Optional[bool] = None,
                 trace: Union[bool, int] = False):
        self._home = Home()
        self._trace_max = _trace_max(trace)
        given = dict(procs=procs, gogc=gogc, memory_limit=memory_limit, stack_size=stack_size,
                     collector=collector, seed=seed, debug=debug, library=library)
        self.config = _merge(config, {k: v for k, v in given.items() if v is not None})
        cfg, self._keep = self.config.to_c()
        code = lib.gort_runtime_new(self._home.out, cfg)
        if code != 0:
            raise error(code, f"no runtime with {self.config.given() or 'the defaults'}: "
                              f"{ffi.string(lib.gort_strerror(code)).decode()}")
        self.seed: int = cfg.seed

    # ---- Life ----

    @property
    def _pointer(self) -> Any:
        return self._home.pointer

    @property
    def closed(self) -> bool:
        return self._pointer == ffi.NULL

    def close(self) -> None:
        """Gives everything back, after it has ended the goroutines of Python that are left: it waits until they
        have unwound. Once more does nothing. BusyError: it runs, a thread is attached, or a goroutine of it calls."""
        if self._home.goroutines and not self._home.forked():
            if here.home is self._home:
                raise BusyError("a goroutine cannot close its runtime")
            self._home.finish_alone()
        check(self._home.free(), "close")

    def __enter__(self) -> "Runtime":
        return self._home.call(lambda _: self)

    def __exit__(self, *exc: Any) -> None:
        try:
            self.close()
        except BusyError:
            if exc[0] is None:
                raise
            # Something else went wrong first, and that is what the caller must see.

    def __del__(self) -> None:
        home = getattr(self, "_home", None)
        if home is None or home.pointer == ffi.NULL:
            return
        if not home.forked():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
        home.forget()

    def __repr__(self) -> str:
        state = "closed " if self.closed else "running " if self._home.runner is not None else ""
        return f"<{state}gort.Runtime {self.config.given()}>".replace(" >", ">")

    # ---- Running ----

    def run(self, workload: "str | Callable[..., Any]", /, *args: Any, data: Any = None, progress: Progress = None,
            **params: Any) -> Result:
        """Runs a workload by name, see `workloads()`, or a callable: workload(*args, **params). Returns its Result.

        A callable becomes a goroutine, and may use all that a goroutine may: `go`, `Chan`, `select`. When it returns
        the run is over, and the goroutines that are left are dropped: each gets an exception of class BaseException
        from the call of gort in which it blocks, or in the midst of its code, and unwinds; `run` returns when all have.

        data is an array of int64 (array.array, numpy) for workloads that work on one, in place and
        without a copy. progress: True for a bar, False for none, or a function of (done, total);
        by default a bar on a terminal. A program that fails raises DeadlockError, PanicError,
        FatalError or MemoryLimitError; an exception that leaves a goroutine is a PanicError, and its __cause__. Ctrl-C
        ends the run and raises KeyboardInterrupt.
        """
        return self._run_to_end(self._new_run(workload, args, params, data), progress)

    def replay(self, choices: "Iterable[Tuple[int, int]]", workload: "str | Callable[..., Any]", /, *args: Any,
               data: Any = None, progress: Progress = None, **params: Any) -> Result:
        """The same as `run` with these choices, a Schedule or (step, goid) by rising steps, instead of the seed's; what
        select draws stays the seed's. ArgumentError: the runtime has no seed, or these are no such pairs. For the runs
        of `explore` the runtime has to be a new one of the same seed."""
        if not self.seed:
            raise ArgumentError("a replay needs a runtime with a seed")
        run = self._new_run(workload, args, params, data)
        run.choices = pairs(choices)
        return self._run_to_end(run, progress)

    def _run_to_end(self, run: Run, progress: Progress) -> Result:
        try:
            run.start()
            self._wait(run, progress)
        except BaseException:  # Ctrl-C, or the caller's progress function
            run.stop()
            raise
        if run.failure is not None:
            raise run.failure
        if run.panic is not None:
            goid, cause = run.panic
            raise panic_error(run, goid, cause) from cause
        if run.code != 0:
            raise program_error(run)
        before = {p.id: p for p in run.before}
        return Result(
            workload=run.workload, params=run.shown,
            value=run.result(), seconds=run.seconds,
            procs=[p.since(before.get(p.id)) for p in run.after], trace=run.trace,
            metrics=run.metrics, goroutines=run.goroutines, data=run.data, schedule=run.schedule)

    def _new_run(self, workload: Any, args: "Tuple[Any, ...]", params: Dict[str, Any], data: Any) -> Run:
        if not callable(workload):
            if args:
                raise ArgumentError("a workload takes its parameters by name")
            run: Run = WorkloadRun(self, workload, params, data)
            return self._repeatable(run, Program(workload, (), params, self.config), data is None)
        if data is not None:
            raise ArgumentError("data is for C workloads; a callable takes arguments")
        from ._callable import CallableRun
        from ._threads import function

        function("run", workload)
        run = CallableRun(self, workload, args, params)
        return self._repeatable(run, Program(workload, args, params, self.config), True)

    def _repeatable(self, run: Run, program: Program, pure: bool) -> Run:
        """A seeded run can be made again if nothing before it has used up goids, and it changes no array of the
        caller."""
        if self.seed and pure and self._home.fresh:
            run.again = program.again(self.seed)
        self._home.fresh = False
        return run

    def go(self, fn: "Callable[..., Any]", *args: Any) -> int:
        """Starts fn(*args) as a goroutine, whether or not the runtime runs, and returns its goid. It is dropped when fn
        has not returned by the end of the next run, the one in progress included, or by `close`; see `run`. An
        exception that leaves fn ends a run in progress with PanicError; outside of one it is printed, as for any
        thread. MemoryLimitError: the system has no thread left."""
        from ._threads import Goroutine, function

        function("go", fn)
        return self._home.call_as_goroutine(lambda _: Goroutine(self, fn, args).begin())

    @staticmethod
    def _wait(run: Run, progress: Progress) -> None:
        bar = reporter(progress, run.name)
        try:
            while not run.finished.wait(POLL):
                run.show(bar)
            run.join()
            run.show(bar)
        finally:
            bar.close()

    def stop(self) -> bool:
        """Ends the run in progress from another thread; its `run` raises CanceledError. False:
        nothing runs."""
        code = self._home.call(lib.gort_runtime_stop, lib.GORT_ECANCELED)
        return code != lib.GORT_EINVAL and check(code, "stop") == 0

    def procs(self) -> List[ProcStats]:
        """What each P did since the runtime was made."""
        return self._home.call(proc_stats)

    def mem_stats(self) -> MemStats:
        """The account of the heap, exact in objects and their bytes. Stops the world for a moment."""
        return self._home.call(mem_stats)

    def goroutines(self) -> List[Goroutine]:
        """The goroutines that there are now, in order of goid. Stops the world for a moment."""
        return self._home.call(lambda pointer: read_goroutines(pointer, seeded=self.seed != 0))

    def metrics(self) -> Metrics:
        """Figures by Go's names, "/sched/latencies:seconds" and others, since the runtime was
        made."""
        return self._home.call(read_metrics)

    def stack_dump(self) -> str:
        """All goroutines with their backtraces, in Go's format. Stops the world for a moment."""
        return self._dump(lib.binding_stack_dump, "stack_dump").decode(errors="replace")

    def _dump(self, function: Any, what: str) -> bytes:
        return self._home.call(lambda pointer: dump(function, pointer, what))

    def leak_dump(self) -> str:
        """The same of the goroutines that nobody can wake any more: what they wait for, without a
        deadline, is reached by none but leaked goroutines. Of Python's goroutines none: their frames
        keep what they wait for. Stops the world for as long as a walk through the whole heap takes."""
        return self._dump(lib.binding_leak_dump, "leak_dump").decode(errors="replace")

    def leaks(self) -> Leaks:
        """The goroutines of `leak_dump` as a sequence of Goroutine, with `on`, `created_by` and `stack`, a graph and a
        picture; none of Python's, as there. Stops the world twice for as long as `leak_dump` does once."""
        return self._home.call(self._leaks)

    def _leaks(self, pointer: Any) -> Leaks:
        report = dump(lib.binding_leak_dump, pointer, "leaks").decode(errors="replace")
        found = read_goroutines(pointer, lib.gort_leaked_goroutines_sized, self.seed != 0)
        return Leaks(with_stacks(found, report), report)

    # ---- The heap ----

    def heap(self, path: "Optional[str | os.PathLike[str]]" = None) -> "Heap":
        """All objects that can be reached now, as a Heap; the dump is also written to a file if a path is given. Any
        thread may ask, also while a program runs; the world stands while the objects are counted up."""
        from ._heap import Heap

        text = self._dump(lib.binding_heap_dump, "heap")
        if path is not None:
            with open(path, "wb") as f:
                f.write(text)
        return Heap(text)

    def gc(self) -> None:
        """A full collection; returns when it is done and all garbage is free."""
        check(self._home.call_as_goroutine(lib.binding_gc), "gc")

    def free_os_memory(self) -> None:
        """A full collection, after which the system gets back every page that is not used."""
        check(self._home.call_as_goroutine(lib.binding_free_os_memory), "free_os_memory")

    @property
    def gogc(self) -> int:
        """GOGC in percent: how much may be allocated, of what the last collection left, before the next; negative: no
        collections. May be set at any time, to "off", too."""
        percent = self._home.call(number, "/gc/gogc:percent")
        return percent if percent <= RANGES["gogc"][1] else -1

    @gogc.setter
    def gogc(self, percent: "int | str") -> None:
        value = -1 if percent == "off" else integer("gogc", percent, *RANGES["gogc"])
        check(self._home.call_as_goroutine(lib.binding_set_gc_percent, value), "gogc")

    @property
    def memory_limit(self) -> Optional[int]:
        """GOMEMLIMIT in bytes: where the collector works harder; None: there is none. May be set at any time."""
        limit = self._home.call(number, "/gc/gomemlimit:bytes")
        return limit if limit < RANGES["memory_limit"][1] else None

    @memory_limit.setter
    def memory_limit(self, limit: Optional[int]) -> None:
        largest = RANGES["memory_limit"][1]
        value = largest if limit is None else integer("memory_limit", limit, 0, largest)
        check(self._home.call_as_goroutine(lib.binding_set_memory_limit, value), "memory_limit")

    @contextmanager
    def attach(self) -> Iterator[None]:
        """`with rt.attach():` makes this thread a goroutine for the body: it has a goid, and may call `go`, `select`,
        and use channels and locks. While it runs code of Python it is awake, so that no run is found to be a deadlock.
        When a run ends meanwhile, what would block raises CanceledError from then on."""
        use, attached = object(), ffi.new("int *")
        try:
            self._home.fresh = False
            pointer = self._home.enter(use)
            if here.home is None:
                here.attached = attached
            check(lib.binding_attach(pointer, attached), "attach")
            enter(self)
            yield
        finally:
            # Ctrl-C may come from here on, too, but not before the first call, which is that of detach. Another thread
            # that lets go what is left of a body that was interrupted has nothing to detach.
            try:
                if attached[0] and here.attached is attached:
                    here.runtime = here.home = here.goroutine = here.text = here.attached = None
                    check(lib.binding_detach(), "detach")
            finally:
                self._home.users.discard(use)


def _merge(config: Union[Config, str, None], given: dict) -> Config:
    if config is None:
        config = Config()
    elif isinstance(config, str):
        config = Config(options=config)
    elif not isinstance(config, Config):
        raise ArgumentError(f"config is a Config or an option string, not {config!r}")
    return dataclasses.replace(config, **given)


def _trace_max(trace: Union[bool, int]) -> Optional[int]:
    """How many events to keep; None for no trace."""
    if trace is False or trace is None:
        return None
    if trace is True:
        return Trace.DEFAULT_MAX
    if not isinstance(trace, int) or trace <= 0:
        raise ArgumentError(f"trace is True, False or how many events to keep, not {trace!r}")
    return trace
