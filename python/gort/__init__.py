"""gort: Go's runtime as a library, from Python.

    import gort

    with gort.Runtime(procs=2, trace=True) as rt:
        result = rt.run("sieve", n=1000)
    print(result.value, result.seconds)
    result.trace.to_html("sieve.html")

`workloads()` names what `run` takes beside Python callables, `backends()` what the library was built from. Every failure
is a `gort.Error`.

In a callable, which is a goroutine: `go`, `gosched`, `sleep`, `goid`, `nanotime`; `Chan`, `select`, `Mutex`,
`WaitGroup`. Each goroutine of Python is a thread: there may be thousands.
"""
from ._chan import Chan
from ._config import Config
from ._errors import (
    ArgumentError, BusyError, CanceledError, ClosedError, DeadlockError, Error, FatalError,
    ForkedError, MemoryLimitError, PanicError, SystemCallError, TimeoutError, UnsupportedError,
    WouldBlockError,
)
from ._explore import Found, explore
from ._goroutine import goid, gomaxprocs, gosched, nanotime, num_goroutine, sleep
from ._gort import ffi as _ffi, lib as _lib
from ._figures import Goroutine, Histogram, MemStats, ProcStats, SizeClass
from ._gctrace import Collection, GcTrace
from ._heap import Heap, Step, Way
from ._locks import Mutex, WaitGroup
from ._run import Result
from ._runtime import Runtime
from ._schedule import Choice, Schedule, Timeline
from ._select import select
from ._sweep import Sweep, sweep
from ._threads import go
from ._trace import Event, Trace
from ._waits import Label, Leaks, WaitGraph
from ._workloads import Parameter, Workload, workloads

__all__ = [
    "ArgumentError", "BusyError", "CanceledError", "Chan", "Choice", "ClosedError", "Collection", "Config",
    "DeadlockError", "Error", "Event", "FatalError", "ForkedError", "Found", "GcTrace", "Goroutine", "Heap",
    "Histogram", "Label", "Leaks", "MemStats", "MemoryLimitError", "Mutex", "PanicError", "Parameter", "ProcStats",
    "Result", "Runtime", "Schedule", "SizeClass", "Step", "Sweep", "SystemCallError", "TimeoutError", "Timeline",
    "Trace", "UnsupportedError", "WaitGraph", "WaitGroup", "Way", "Workload", "WouldBlockError", "backends",
    "explore", "go", "goid", "gomaxprocs", "gosched", "nanotime", "num_cpu", "num_goroutine", "select", "sleep",
    "sweep", "workloads",
]

__version__ = _ffi.string(_lib.gort_version()).decode()


def backends() -> "dict[str, str]":
    """What fills each slot of the library: {"context": "asm", "arena": "mmap", ...}."""
    n = _ffi.new("size_t *")
    rows = _lib.gort_backends(n)
    return {_ffi.string(rows[i].slot).decode(): _ffi.string(rows[i].name).decode()
            for i in range(n[0])}


def num_cpu() -> int:
    """The CPUs that this process may use; also how many Ps a runtime has by default."""
    return _lib.gort_num_cpu()
