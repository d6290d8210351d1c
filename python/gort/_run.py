"""Runs: one program each, and the Result that it leaves.

A run has a Python thread of its own. The thread that called `Runtime.run` only waits, so that Ctrl-C
reaches it, it can show progress, and the interpreter stays free: CFFI releases the GIL while C
runs. All that C may touch during a run - the call record, the caller's array, the runtime - is held
by that thread and not by the waiting one, which an exception may take away at any time.
"""
import dataclasses
import html
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from . import _workloads
from ._errors import Error, PanicError, ProgramError, error
from ._figures import (
    Goroutine, Histogram, Metrics, ProcStats, proc_stats, read_goroutines, read_metrics, since, to_goroutines,
)
from ._gort import ffi, lib
from ._schedule import Schedule, plan, taken
from ._trace import Trace
from ._waits import Names, with_stacks

if TYPE_CHECKING:
    from ._runtime import Runtime

KEEP = 1000  # goroutines in a result at most
POLL = 0.05  # seconds between looks at progress; the end of a run is noticed at once


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run left: `value` is what the workload computed or the callable returned, `procs` what each P did for it.
    `trace` is a Trace if the runtime was made with trace=True, else None. `metrics` is what happened
    meanwhile (counts of this run; states as they were at its end), `goroutines` those that were
    there when the workload's main function returned, itself included. `schedule` is what a seeded run chose."""

    workload: _workloads.Workload
    params: Mapping[str, Any]
    value: Any
    seconds: float
    procs: List[ProcStats]
    metrics: Metrics = dataclasses.field(default_factory=dict, repr=False)
    goroutines: List[Goroutine] = dataclasses.field(default_factory=list, repr=False)
    trace: Optional[Trace] = None
    data: Any = dataclasses.field(default=None, repr=False)
    schedule: Optional[Schedule] = dataclasses.field(default=None, repr=False)

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


class Run(threading.Thread):
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
        self.dropped: List[Any] = []                         # by a deadlock: Python goroutines, with their stacks
        self.made: Dict[int, str] = {}                       # by goid: who made those that it has dropped
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
        self.choices: Any = None                             # of a seeded run: what it shall choose; None: its seed's
        self.again: Any = None                               # see Schedule
        self.schedule: Optional[Schedule] = None
        self.failed: List[Goroutine] = []                    # those of the moment when it failed
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
            self.rt._home.enter(self, runs=True)
            try:
                self._run(self.rt._pointer)
            finally:
                self.rt._home.leave(self)
        except BaseException as e:  # reported by the thread that waits
            self.failure = e
        finally:
            self.finished.set()

    def _run(self, pointer: Any) -> None:
        self.before = proc_stats(pointer)
        before = read_metrics(pointer)
        if self.rt._trace_max is not None:
            self.trace = Trace(self.rt._trace_max)
            self.trace._start(pointer)
        try:
            if self.rt.seed:
                plan(pointer, self.choices)
            self.rt._home.begin(self)
            start = time.perf_counter()
            try:
                self.code = self._execute(pointer)
                self.seconds = time.perf_counter() - start
                if self.code != 0:  # now: the end of goroutines may take another run
                    self.report = ffi.string(lib.gort_runtime_error(pointer)).decode(errors="replace")
                    self.failed = read_goroutines(pointer, lib.gort_failed_goroutines_sized, self.rt.seed != 0)
                if self.rt.seed:
                    self.schedule = taken(pointer, self.rt.seed, self.again)
            finally:
                self.rt._home.end()
        finally:
            if self.trace is not None:
                self.trace._stop(pointer)
        self.after = proc_stats(pointer)
        self.metrics = since(read_metrics(pointer), before)
        if self.code == 0:
            n = min(self.call.nleft, KEEP)
            self.goroutines = to_goroutines(self.left, n, self.rt.seed != 0, Names(self.trace))

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

    def decided(self) -> bool:
        """Nothing that happens from now on is part of the run, though its end has not reached all goroutines yet."""
        return False

    def fail_inside(self) -> bool:
        """By a goroutine that has panicked and still is one: ends the run if that can be left to the schedule."""
        return False

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
            if lib.gort_runtime_stop(self.rt._pointer, lib.GORT_ECANCELED) == lib.GORT_EFORKED:
                return  # the run is the parent's, and its thread is not here
        self.join()


class WorkloadRun(Run):
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


def _plain(value: Any) -> Any:
    """As JSON can hold it."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def program_error(run: Run) -> Error:
    # The report begins with the message; states and backtraces follow after an empty line.
    message = run.report.split("\n\n")[0].strip()
    err = error(run.code, message, run.report + "".join(g.where() for g in run.dropped))
    err.trace, err.schedule = run.trace, run.schedule
    if isinstance(err, ProgramError):
        err.goroutines = _told(run)
    return err


def _told(run: Run) -> List[Goroutine]:
    """Those that failed, with what the report and Python know of them."""
    names, stacks = Names(run.trace), {g.goid: "".join(g.stack.format()) for g in run.dropped}
    return [g._replace(on=names(g.on.kind, g.on.address) if g.on is not None else None,
                       created_by=run.made.get(g.goid, g.created_by), stack=stacks.get(g.goid, g.stack))
            for g in with_stacks(run.failed or run.goroutines, run.report)]


def _text(cause: BaseException) -> str:
    try:
        return str(cause)
    except Exception as e:  # what its class says of itself is the program's
        return f"<str() raised {type(e).__name__}>"


def panic_error(run: Run, goid: int, cause: BaseException) -> PanicError:
    """An exception has left a Python goroutine."""
    message = str(cause) if isinstance(cause, PanicError) else f"panic: {type(cause).__name__}: {_text(cause)}"
    trace = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))
    err = PanicError(message, report=f"{message}\n\ngoroutine {goid} [running]:\n{trace}")
    err.trace, err.schedule, err.goroutines = run.trace, run.schedule, _told(run)
    return err
