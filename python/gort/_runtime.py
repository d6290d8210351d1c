"""Runtime: a scheduler and a heap of one's own; Result: what a run left.

A run has a Python thread of its own. The thread that called `run` only waits, so that Ctrl-C
reaches it, it can show progress, and the interpreter stays free: CFFI releases the GIL while C
runs. All that C may touch during a run - the call record, the caller's array, the runtime - is held
by that thread and not by the waiting one, which an exception may take away at any time.

The library trusts its callers: after free a handle must not be used. So each use of a handle is
counted here, `close` refuses while there is one, and after `close` there is no handle to use.
"""
import dataclasses
import html
import math
import os
import threading
import time
import traceback
import warnings
from contextlib import contextmanager
from typing import (
    TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple, Union,
)

from . import _workloads
from ._config import RANGES, Config, integer
from ._errors import ArgumentError, BusyError, ClosedError, Error, ForkedError, PanicError, check, error
from ._gort import ffi, lib
from ._home import Home
from ._inside import enter, here, leave
from ._progress import Progress, reporter
from ._trace import Trace

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

    from ._heap import Heap

KEEP = 1000  # goroutines in a result at most
POLL = 0.05  # seconds between looks at progress; the end of a run is noticed at once


class ProcStats(NamedTuple):
    """What one P did: gort_proc_stats of gort.h, field by field."""

    id: int
    idle: bool
    queued: int     # goroutines on its run queue now
    switches: int   # goroutines that it started or went on with
    steals: int     # goroutines that it took from others
    stolen: int     # goroutines that others took from it
    parked: int     # goroutines that blocked on it
    readied: int    # goroutines that it made runnable
    preempted: int  # slices that were cut short
    handoffs: int   # times it left a thread that was blocked or stopped

    def since(self, before: "Optional[ProcStats]") -> "ProcStats":
        """The counts since then; states stay as they are now."""
        if before is None:
            return self
        return self._replace(**{name: getattr(self, name) - getattr(before, name)
                                for name in self._fields[3:]})


class Goroutine(NamedTuple):
    """A goroutine as it was: gort_goroutine of gort.h, field by field."""

    goid: int
    parent: int       # the goid of who started it; 0: it was started from outside
    status: str       # "runnable", "running", "syscall", "waiting"
    wait_reason: str  # Go's words, "chan receive", if it waits; else ""
    since: float      # seconds that it had waited by then, to about 0.01; 0.0 if it does not wait
    start: int        # the address of its function
    creator: int      # the code address that started it; 0 from outside
    stack_used: int   # bytes
    thread: int       # the system's id while it runs or is wired; else 0
    locked: bool      # wired to its thread
    system: bool      # the runtime's own
    name: str         # "" if it has none


class SizeClass(NamedTuple):
    """What was allocated and freed of one size class."""

    size: int     # bytes of an object
    mallocs: int
    frees: int


class MemStats(NamedTuple):
    """The account of the heap: gort_mem_stats of gort.h, as Go's runtime.MemStats. Bytes, if nothing else is said."""

    alloc: int           # in objects that live or are not swept yet
    total_alloc: int     # in all objects that ever were
    sys: int             # from the system, the sum of the *_sys
    mallocs: int         # objects
    frees: int           # objects
    heap_alloc: int      # as alloc
    heap_sys: int
    heap_idle: int       # in no span
    heap_inuse: int      # in spans
    heap_released: int   # of heap_idle: given back
    heap_objects: int    # mallocs - frees
    stack_inuse: int
    stack_sys: int
    mspan_inuse: int
    mspan_sys: int
    mcache_inuse: int
    mcache_sys: int
    buck_hash_sys: int   # 0
    gc_sys: int
    other_sys: int
    next_gc: int         # the heap at which the next collection shall have ended
    last_gc: int         # ns since 1970; 0: there was none
    pause_total_ns: int
    num_gc: int
    num_forced_gc: int
    gc_cpu_fraction: float
    pauses_ns: "tuple[int, ...]"  # of the last collections, 256 at most, the oldest first
    by_size: "tuple[SizeClass, ...]"


_STATUS = {lib.GORT_G_RUNNABLE: "runnable", lib.GORT_G_RUNNING: "running",
           lib.GORT_G_SYSCALL: "syscall", lib.GORT_G_WAITING: "waiting"}


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Times by bucket: counts[i] of them lie in [bounds[i], bounds[i + 1]) seconds. The outermost
    bounds are infinite."""

    counts: "tuple[int, ...]"
    bounds: "tuple[float, ...]" = dataclasses.field(repr=False)

    @property
    def total(self) -> int:
        return sum(self.counts)

    def rows(self) -> "list[tuple[Optional[float], Optional[float], int]]":
        """(from, to, how many) of the buckets that are not empty; None for an infinite bound."""
        return [(_finite(low), _finite(high), n)
                for low, high, n in zip(self.bounds, self.bounds[1:], self.counts) if n]

    def quantile(self, q: float) -> float:
        """The upper bound of the bucket that the q-th part of all times reaches; nan if there are none."""
        if not 0 <= q <= 1:
            raise ArgumentError(f"a quantile is from 0 to 1, not {q!r}")
        seen, wanted = 0, q * self.total
        for count, upper in zip(self.counts, self.bounds[1:]):
            seen += count
            if count and seen >= wanted:
                return upper
        return math.nan

    def frame(self) -> "pandas.DataFrame":
        """A pandas DataFrame, one row for each bucket that is not empty: from_, to (infinite at the ends), count."""
        import pandas as pd

        rows = [(low, high, n) for low, high, n in zip(self.bounds, self.bounds[1:], self.counts) if n]
        return pd.DataFrame(rows, columns=["from_", "to", "count"])

    def plot(self, ax: "Optional[matplotlib.axes.Axes]" = None) -> "matplotlib.axes.Axes":
        """How many there are of each length, on a scale that doubles."""
        from ._plots import histogram

        return histogram(self, ax)

    def since(self, before: "Histogram") -> "Histogram":
        return Histogram(tuple(a - b for a, b in zip(self.counts, before.counts)), self.bounds)


Metrics = Mapping[str, Union[int, float, Histogram]]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run left: `value` is what the workload computed or the callable returned, `procs` what each P did for it.
    `trace` is a Trace if the runtime was made with trace=True, else None. `metrics` is what happened
    meanwhile (counts of this run; states as they were at its end), `goroutines` those that were
    there when the workload's main function returned, itself included."""

    workload: _workloads.Workload
    params: Mapping[str, Any]
    value: Any
    seconds: float
    procs: List[ProcStats]
    metrics: Metrics = dataclasses.field(default_factory=dict, repr=False)
    goroutines: List[Goroutine] = dataclasses.field(default_factory=list, repr=False)
    trace: Optional[Trace] = None
    data: Any = dataclasses.field(default=None, repr=False)

    def as_dict(self) -> dict:
        """All but the events, ready for JSON."""
        return {
            "workload": self.workload.name, "params": {k: _plain(v) for k, v in self.params.items()},
            "value": _plain(self.value),
            "seconds": self.seconds, "procs": [p._asdict() for p in self.procs],
            "goroutines": [g._asdict() for g in self.goroutines],
            "metrics": {k: v.rows() if isinstance(v, Histogram) else v
                        for k, v in self.metrics.items()},
            "trace": self.trace.summary() if self.trace is not None else None,
        }

    def _repr_html_(self) -> str:
        params = ", ".join(f"{k}={_plain(v)}" for k, v in self.params.items())
        head = "".join(f"<th>{name}</th>" for name in ("P",) + ProcStats._fields[3:])
        rows = "".join("<tr>" + "".join(f"<td>{n}</td>" for n in (p.id,) + p[3:]) + "</tr>"
                       for p in self.procs)
        out = (f"<p><b>{html.escape(self.workload.name)}</b> {html.escape(params)}: "
               f"{html.escape(self.workload.value)} = <b>{html.escape(str(_plain(self.value)))}</b> "
               f"in {self.seconds:.6f} s</p><table><tr>{head}</tr>{rows}</table>")
        return out + (self.trace._repr_html_() if self.trace is not None else "")


class _Run(threading.Thread):
    """One run. Owns everything that C touches until `finished` is set."""

    def __init__(self, rt: "Runtime", workload: _workloads.Workload, params: Dict[str, Any], call: Any):
        super().__init__(name=f"gort {workload.name}", daemon=True)
        self.rt = rt
        self.workload = workload
        self.shown = params
        self.data: Any = None
        self.call = call  # a workload_call
        self.over = False                                    # written under Home.lock
        self.panic: Optional[Tuple[int, BaseException]] = None  # who failed, by what; the same
        self.stacks: List[Any] = []                          # of Python goroutines that it has ended
        self.code = 0
        self.seconds = 0.0
        self.report = ""
        self.before: List[ProcStats] = []
        self.after: List[ProcStats] = []
        self.left = ffi.new("gort_goroutine[]", KEEP)
        self.call.left, self.call.nleft = self.left, KEEP
        self.goroutines: List[Goroutine] = []
        self.metrics: Metrics = {}
        self.trace: Optional[Trace] = None
        self.failure: Optional[BaseException] = None
        self.finished = threading.Event()
        self._hold = threading.Lock()
        self._canceled = self._began = False  # guarded by _hold: which was first

    def run(self) -> None:
        """All of it on this thread, the right to run included: the waiting one may be interrupted at any step."""
        try:
            with self._hold:
                if self._canceled:
                    return
                self._began = True
            self.rt._run_begins()
            try:
                self._run(self.rt._pointer)
            finally:
                self.rt._run_ended()
        except BaseException as e:  # reported by the thread that waits
            self.failure = e
        finally:
            self.finished.set()

    def _run(self, pointer: Any) -> None:
        self.before = _proc_stats(pointer)
        before = _metrics(pointer)
        if self.rt._trace_max is not None:
            self.trace = Trace(self.rt._trace_max)
            self.trace._start(pointer)
        try:
            self.rt._home.begin(self)
            start = time.perf_counter()
            try:
                self.code = self._execute(pointer)
                self.seconds = time.perf_counter() - start
                if self.code != 0:  # now: the end of goroutines may take another run
                    self.report = ffi.string(lib.gort_runtime_error(pointer)).decode(errors="replace")
            finally:
                self.rt._home.end()
        finally:
            if self.trace is not None:
                self.trace._stop(pointer)
        self.after = _proc_stats(pointer)
        self.metrics = _since(_metrics(pointer), before)
        if self.code == 0:
            now = lib.gort_nanotime()
            self.goroutines = [_goroutine(self.left[i], now)
                               for i in range(min(self.call.nleft, KEEP))]

    def _execute(self, pointer: Any) -> int:
        """The run itself: what gort_runtime_run returned."""
        raise NotImplementedError

    def result(self) -> Any:
        """What Result.value shall be."""
        return self.call.value

    def panicked(self, goid: int, error: BaseException) -> None:
        """Under Home.lock: an exception has left a Python goroutine. The first counts."""
        if self.panic is None:
            self.panic = goid, error

    def end_failed(self) -> None:
        """By a goroutine that has panicked and is one no more: ends the run, even one that is only about to begin."""
        while not self.over and lib.gort_runtime_stop(self.rt._pointer, lib.GORT_EPANIC) == lib.GORT_EINVAL:
            time.sleep(0.001)

    def show(self, bar: Any) -> None:
        done, total = ffi.new("uint64_t *"), ffi.new("uint64_t *")
        lib.workload_progress(self.call, done, total)
        bar.show(done[0], total[0])

    def stop(self) -> None:
        """Ends the run, even one that is only about to begin, or whose thread may never have started."""
        with self._hold:
            self._canceled = True
            if not self._began:
                return
        while not self.finished.wait(POLL):
            lib.gort_runtime_stop(self.rt._pointer, lib.GORT_ECANCELED)
        self.join()


class _WorkloadRun(_Run):
    """One run of a C workload."""

    def __init__(self, rt: "Runtime", name: str, given: Dict[str, Any], data: Any):
        known, self.raw = _workloads.find(name)
        values = known.values(given)
        self.params = ffi.new("int64_t[]", values or 1)
        super().__init__(rt, known, dict(zip((p.name for p in known.parameters), values)),
                         ffi.new("workload_call *", {"params": self.params}))
        if data is not None:
            self.array = _workloads.buffer(known, data)
            self.call.data = self.array
            self.call.length = len(self.array)
            self.data = data

    def _execute(self, pointer: Any) -> int:
        return lib.workload_run(pointer, self.raw, self.call)


class Runtime:
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
        self._pointer = ffi.NULL
        self._lock = threading.Lock()
        self._uses = 0         # guarded by _lock: who uses _pointer now
        self._running = False  # guarded by _lock
        self._pid = os.getpid()
        self._trace_max = _trace_max(trace)
        given = dict(procs=procs, gogc=gogc, memory_limit=memory_limit, stack_size=stack_size,
                     collector=collector, seed=seed, debug=debug, library=library)
        self.config = _merge(config, {k: v for k, v in given.items() if v is not None})
        cfg, self._keep = self.config.to_c()
        out = ffi.new("gort_runtime **")
        code = lib.gort_runtime_new(out, cfg)
        if code != 0:
            raise error(code, f"no runtime with {self.config.given() or 'the defaults'}: "
                              f"{ffi.string(lib.gort_strerror(code)).decode()}")
        self._pointer = out[0]
        self._home = Home(self._pointer)

    # ---- Life ----

    @property
    def closed(self) -> bool:
        return self._pointer == ffi.NULL

    def close(self) -> None:
        """Gives everything back, after it has ended the goroutines of Python that are left: it waits until they
        have unwound. Once more does nothing. BusyError: it runs, a thread is attached, or a goroutine of it calls."""
        if self._home.goroutines and not self._forked():
            self._end_goroutines()
        with self._lock:
            if self.closed:
                return
            self._check_unused()
            check(lib.gort_runtime_free(self._pointer), "close")
            self._pointer = ffi.NULL
            self._home.close()

    def _check_unused(self) -> None:
        if self._uses and not self._forked():
            raise BusyError("the runtime is in use: it runs, or another thread calls it")

    def _end_goroutines(self) -> None:
        if here.home is self._home:
            raise BusyError("a goroutine cannot close its runtime")
        with self._lock:
            self._check_unused()
            self._uses += 1
            self._running = True  # an empty run ends them
        try:
            self._home.finish()
        finally:
            self._run_ended()

    def __enter__(self) -> "Runtime":
        with self._using():
            return self

    def __exit__(self, *exc: Any) -> None:
        try:
            self.close()
        except BusyError:
            if exc[0] is None:
                raise
            # Something else went wrong first, and that is what the caller must see.

    def __del__(self) -> None:
        if getattr(self, "_pointer", ffi.NULL) == ffi.NULL:
            return
        if not self._forked():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
        # Nobody is left to tell about a runtime that cannot be freed: it stays.
        if lib.gort_runtime_free(self._pointer) == 0:
            self._home.close()

    def __repr__(self) -> str:
        state = "closed " if self.closed else "running " if self._running else ""
        return f"<{state}gort.Runtime {self.config.given()}>".replace(" >", ">")

    def _forked(self) -> bool:
        return os.getpid() != self._pid

    @contextmanager
    def _using(self) -> Iterator[Any]:
        self._acquire()
        try:
            yield self._pointer
        finally:
            self._release()

    def _acquire(self) -> None:
        if self._forked():
            raise ForkedError("the runtime belongs to the process that forked this one")
        with self._lock:
            if self.closed:
                raise ClosedError("the runtime is closed")
            self._uses += 1

    def _release(self) -> None:
        with self._lock:
            self._uses -= 1

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
        run = self._new_run(workload, args, params, data)
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
            raise _panic_error(run, goid, cause) from cause
        if run.code != 0:
            raise _program_error(run)
        before = {p.id: p for p in run.before}
        return Result(
            workload=run.workload, params=run.shown,
            value=run.result(), seconds=run.seconds,
            procs=[p.since(before.get(p.id)) for p in run.after], trace=run.trace,
            metrics=run.metrics, goroutines=run.goroutines, data=run.data)

    def _new_run(self, workload: Any, args: "Tuple[Any, ...]", params: Dict[str, Any], data: Any) -> _Run:
        if not callable(workload):
            if args:
                raise ArgumentError("a workload takes its parameters by name")
            return _WorkloadRun(self, workload, params, data)
        if data is not None:
            raise ArgumentError("data is for C workloads; a callable takes arguments")
        from ._callable import CallableRun

        return CallableRun(self, workload, args, params)

    def go(self, fn: "Callable[..., Any]", *args: Any) -> int:
        """Starts fn(*args) as a goroutine, whether or not the runtime runs, and returns its goid. It is dropped when fn
        has not returned by the end of the next run, the one in progress included, or by `close`; see `run`. An
        exception that leaves fn ends a run in progress with PanicError; outside of one it is printed, as for any
        thread. MemoryLimitError: the system has no thread left."""
        if not callable(fn):
            raise ArgumentError(f"go takes a function, not {fn!r}")
        from ._threads import Goroutine

        with self._using():
            return Goroutine(self, fn, args).begin()

    def _run_begins(self) -> None:
        self._acquire()
        with self._lock:
            if self._running:
                self._uses -= 1
                raise BusyError("the runtime is running already")
            self._running = True

    def _run_ended(self) -> None:
        with self._lock:
            self._running = False
            self._uses -= 1

    @staticmethod
    def _wait(run: _Run, progress: Progress) -> None:
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
        with self._using() as pointer:
            code = lib.gort_runtime_stop(pointer, lib.GORT_ECANCELED)
            if code == lib.GORT_EINVAL:
                return False
            check(code, "stop")
            return True

    def procs(self) -> List[ProcStats]:
        """What each P did since the runtime was made."""
        with self._using() as pointer:
            return _proc_stats(pointer)

    def mem_stats(self) -> MemStats:
        """The account of the heap, exact in objects and their bytes. Stops the world for a moment."""
        with self._using() as pointer:
            return _mem_stats(pointer)

    def goroutines(self) -> List[Goroutine]:
        """The goroutines that there are now, in order of goid. Stops the world for a moment."""
        with self._using() as pointer:
            return _goroutines(pointer)

    def metrics(self) -> Metrics:
        """Figures by Go's names, "/sched/latencies:seconds" and others, since the runtime was
        made."""
        with self._using() as pointer:
            return _metrics(pointer)

    def stack_dump(self) -> str:
        """All goroutines with their backtraces, in Go's format. Stops the world for a moment."""
        with self._using() as pointer:
            return _dump(lib.binding_stack_dump, pointer, "stack_dump").decode(errors="replace")

    def leak_dump(self) -> str:
        """The same of the goroutines that nobody can wake any more: what they wait for, without a
        deadline, is reached by none but leaked goroutines. Stops the world for as long as a walk
        through the whole heap takes."""
        with self._using() as pointer:
            return _dump(lib.binding_leak_dump, pointer, "leak_dump").decode(errors="replace")

    # ---- The heap ----

    def heap(self, path: "Optional[str | os.PathLike[str]]" = None) -> "Heap":
        """All objects that can be reached now, as a Heap; the dump is also written to a file if a path is given. Any
        thread may ask, also while a program runs; the world stands while the objects are counted up."""
        from ._heap import Heap

        with self._using() as pointer:
            text = _dump(lib.binding_heap_dump, pointer, "heap")
        if path is not None:
            with open(path, "wb") as f:
                f.write(text)
        return Heap(text)

    def gc(self) -> None:
        """A full collection; returns when it is done and all garbage is free."""
        with self._using() as pointer:
            check(lib.binding_gc(pointer), "gc")

    def free_os_memory(self) -> None:
        """A full collection, after which the system gets back every page that is not used."""
        with self._using() as pointer:
            check(lib.binding_free_os_memory(pointer), "free_os_memory")

    @property
    def gogc(self) -> int:
        """GOGC in percent: how much may be allocated, of what the last collection left, before the next; negative: no
        collections. May be set at any time, to "off", too."""
        with self._using() as pointer:
            percent = _number(pointer, "/gc/gogc:percent")
        return percent if percent <= RANGES["gogc"][1] else -1

    @gogc.setter
    def gogc(self, percent: "int | str") -> None:
        value = -1 if percent == "off" else integer("gogc", percent, *RANGES["gogc"])
        with self._using() as pointer:
            check(lib.binding_set_gc_percent(pointer, value), "gogc")

    @property
    def memory_limit(self) -> Optional[int]:
        """GOMEMLIMIT in bytes: where the collector works harder; None: there is none. May be set at any time."""
        with self._using() as pointer:
            limit = _number(pointer, "/gc/gomemlimit:bytes")
        return limit if limit < RANGES["memory_limit"][1] else None

    @memory_limit.setter
    def memory_limit(self, limit: Optional[int]) -> None:
        largest = RANGES["memory_limit"][1]
        value = largest if limit is None else integer("memory_limit", limit, 0, largest)
        with self._using() as pointer:
            check(lib.binding_set_memory_limit(pointer, value), "memory_limit")

    @contextmanager
    def attach(self) -> Iterator[None]:
        """`with rt.attach():` makes this thread a goroutine for the body: it has a goid, and may call `go`, `select`,
        and use channels and locks. While it runs code of Python it is awake, so that no run is found to be a deadlock.
        When a run ends meanwhile, what would block raises CanceledError from then on."""
        with self._using() as pointer:
            check(lib.binding_attach(pointer), "attach")
            enter(self)
            try:
                yield
            finally:
                leave()
                check(lib.binding_detach(), "detach")


def _dump(function: Any, pointer: Any, what: str) -> bytes:
    text, n = ffi.new("char **"), ffi.new("size_t *")
    check(function(pointer, text, n), what)
    try:
        return bytes(ffi.buffer(text[0], n[0])) if n[0] else b""
    finally:
        lib.binding_free(text[0])


def _number(pointer: Any, name: str) -> int:
    """One metric that is an integer."""
    row = ffi.new("gort_metric *")
    text = ffi.new("char[]", name.encode())
    row.name = text
    lib.gort_metrics_read(pointer, row, 1)
    return row.value.u64


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


def _proc_stats(pointer: Any) -> List[ProcStats]:
    size = ffi.sizeof("gort_proc_stats")
    n = lib.gort_proc_stats_read_sized(pointer, ffi.NULL, 0, size)
    rows = ffi.new("gort_proc_stats[]", max(n, 1))
    # There may be fewer by now, or more: each call says how many there are.
    n = min(n, lib.gort_proc_stats_read_sized(pointer, rows, n, size))
    return [ProcStats(*(getattr(rows[i], name) for name in ProcStats._fields)) for i in range(n)]


def _mem_stats(pointer: Any) -> MemStats:
    s = ffi.new("gort_mem_stats *")
    lib.gort_mem_stats_read_sized(pointer, s, ffi.sizeof("gort_mem_stats"))
    kept = len(s.pause_ns)
    pauses = tuple(s.pause_ns[i % kept] for i in range(max(0, s.num_gc - kept), s.num_gc))
    classes = tuple(SizeClass(c.size, c.mallocs, c.frees) for c in s.by_size if c.size)
    return MemStats(*(getattr(s, name) for name in MemStats._fields[:-2]), pauses, classes)


def _finite(bound: float) -> Optional[float]:
    """JSON has no infinity."""
    return bound if math.isfinite(bound) else None


def _goroutine(g: Any, now: int) -> Goroutine:
    return Goroutine(
        goid=g.goid, parent=g.parent, status=_STATUS.get(g.status, str(g.status)),
        wait_reason=ffi.string(g.wait_reason).decode(),
        since=max(0, now - g.since) / 1e9 if g.since else 0.0,
        start=int(ffi.cast("uintptr_t", g.start)), creator=int(ffi.cast("uintptr_t", g.creator)),
        stack_used=g.stack_used, thread=g.thread, locked=g.locked, system=g.system,
        name=ffi.string(g.name).decode(errors="replace"))


def _goroutines(pointer: Any) -> List[Goroutine]:
    size, room = ffi.sizeof("gort_goroutine"), 64
    while True:
        rows = ffi.new("gort_goroutine[]", room)
        n = lib.gort_goroutines_sized(pointer, rows, room, size)
        if n <= room:
            now = lib.gort_nanotime()
            return [_goroutine(rows[i], now) for i in range(n)]
        room = n + n // 4  # more may come meanwhile


def _metrics(pointer: Any) -> Metrics:
    descs = []
    while (desc := lib.gort_metric_at(len(descs))) != ffi.NULL:
        descs.append(desc)
    rows = ffi.new("gort_metric[]", max(len(descs), 1))
    keep = []  # the arrays that rows point to
    for row, desc in zip(rows, descs):
        row.name = desc.name
        if desc.kind == lib.GORT_METRIC_HISTOGRAM:
            keep.append(ffi.new("uint64_t[]", desc.nbuckets))
            row.value.counts = keep[-1]
    lib.gort_metrics_read(pointer, rows, len(descs))
    out = {}
    for row, desc in zip(rows, descs):
        name = ffi.string(desc.name).decode()
        if row.kind == lib.GORT_METRIC_HISTOGRAM:
            out[name] = Histogram(tuple(ffi.unpack(row.value.counts, desc.nbuckets)),
                                  tuple(ffi.unpack(desc.bounds, desc.nbuckets + 1)))
        elif row.kind == lib.GORT_METRIC_UINT64:
            out[name] = row.value.u64
        elif row.kind == lib.GORT_METRIC_FLOAT64:
            out[name] = row.value.f64
    return out


def _cumulative() -> "Set[str]":
    names, i = set(), 0
    while (desc := lib.gort_metric_at(i)) != ffi.NULL:
        if desc.cumulative:
            names.add(ffi.string(desc.name).decode())
        i += 1
    return names


def _since(after: Metrics, before: Metrics) -> Metrics:
    """What has been added in between, of metrics that only grow; of others what is now."""
    grown: Dict[str, Union[int, float, Histogram]] = {}
    for name in _cumulative():
        now, was = after[name], before[name]
        if isinstance(now, Histogram):
            assert isinstance(was, Histogram)
            grown[name] = now.since(was)
        else:
            assert not isinstance(was, Histogram)
            grown[name] = now - was
    return {**after, **grown}


def _plain(value: Any) -> Any:
    """As JSON can hold it."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def _program_error(run: _Run) -> Error:
    # The report begins with the message; states and backtraces follow after an empty line.
    message = run.report.split("\n\n")[0].strip()
    err = error(run.code, message, run.report + "".join(run.stacks))
    err.trace = run.trace
    return err


def _panic_error(run: _Run, goid: int, cause: BaseException) -> PanicError:
    """An exception has left a Python goroutine."""
    message = str(cause) if isinstance(cause, PanicError) else f"panic: {type(cause).__name__}: {cause}"
    trace = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))
    err = PanicError(message, report=f"{message}\n\ngoroutine {goid} [running]:\n{trace}")
    err.trace = run.trace
    return err
