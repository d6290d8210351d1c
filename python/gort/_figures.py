"""What a runtime tells of itself: Ps, goroutines, the account of the heap, metrics, dumps.

Records with the fields of gort.h, and the functions that read them. `pointer` is a runtime that somebody keeps open.
"""
import dataclasses
import math
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Set, Union

from ._errors import ArgumentError, check
from ._gort import ffi, lib
from ._waits import Label, Names, kind_of

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas


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
    """A goroutine as it was: gort_goroutine of gort.h, field by field, and what a report says of it."""

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
    on: Optional[Label] = None  # what it waits for, "chan 1"; None: several, time, a descriptor, or it does not wait
    created_by: str = ""        # of failures and leaks: "program at main.c:12"; the address if nobody knows its name
    stack: str = ""             # of failures and leaks: its frames as in a report


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


# ---- Reading ---------------------------------------------------------------------------------------

def proc_stats(pointer: Any) -> List[ProcStats]:
    size = ffi.sizeof("gort_proc_stats")
    n = lib.gort_proc_stats_read_sized(pointer, ffi.NULL, 0, size)
    rows = ffi.new("gort_proc_stats[]", max(n, 1))
    # There may be fewer by now, or more: each call says how many there are.
    n = min(n, lib.gort_proc_stats_read_sized(pointer, rows, n, size))
    return [ProcStats(*(getattr(rows[i], name) for name in ProcStats._fields)) for i in range(n)]


def mem_stats(pointer: Any) -> MemStats:
    s = ffi.new("gort_mem_stats *")
    lib.gort_mem_stats_read_sized(pointer, s, ffi.sizeof("gort_mem_stats"))
    kept = len(s.pause_ns)
    pauses = tuple(s.pause_ns[i % kept] for i in range(max(0, s.num_gc - kept), s.num_gc))
    classes = tuple(SizeClass(c.size, c.mallocs, c.frees) for c in s.by_size if c.size)
    return MemStats(*(getattr(s, name) for name in MemStats._fields[:-2]), pauses, classes)


def _finite(bound: float) -> Optional[float]:
    """JSON has no infinity."""
    return bound if math.isfinite(bound) else None


def to_goroutine(g: Any, now: int, names: Names) -> Goroutine:
    reason = ffi.string(g.wait_reason).decode()
    on, creator = int(ffi.cast("uintptr_t", g.on)), int(ffi.cast("uintptr_t", g.creator))
    return Goroutine(
        goid=g.goid, parent=g.parent, status=_STATUS.get(g.status, str(g.status)),
        wait_reason=reason,
        since=max(0, now - g.since) / 1e9 if g.since else 0.0,
        start=int(ffi.cast("uintptr_t", g.start)), creator=creator,
        stack_used=g.stack_used, thread=g.thread, locked=g.locked, system=g.system,
        name=ffi.string(g.name).decode(errors="replace"), on=names(kind_of(reason), on) if on else None,
        created_by=hex(creator) if creator else "")


def to_goroutines(rows: Any, n: int, seeded: bool, names: Names) -> List[Goroutine]:
    """The first n rows. In a seeded runtime time is virtual; it has stood since the last of them began to wait."""
    now = max((rows[i].since for i in range(n)), default=0) if seeded else lib.gort_nanotime()
    return [to_goroutine(rows[i], now, names) for i in range(n)]


def read_goroutines(pointer: Any, read: Any = None, seeded: bool = False) -> List[Goroutine]:
    """By lib.gort_goroutines_sized, or another function like it."""
    size, room = ffi.sizeof("gort_goroutine"), 64
    while True:
        rows = ffi.new("gort_goroutine[]", room)
        n = check((read or lib.gort_goroutines_sized)(pointer, rows, room, size), "goroutines")
        if n <= room:
            return to_goroutines(rows, n, seeded, Names())
        room = n + n // 4  # more may come meanwhile


def read_metrics(pointer: Any) -> Metrics:
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


def since(after: Metrics, before: Metrics) -> Metrics:
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


def dump(function: Any, pointer: Any, what: str) -> bytes:
    text, n = ffi.new("char **"), ffi.new("size_t *")
    check(function(pointer, text, n), what)
    try:
        return bytes(ffi.buffer(text[0], n[0])) if n[0] else b""
    finally:
        lib.binding_free(text[0])


def number(pointer: Any, name: str) -> int:
    """One metric that is an integer."""
    row = ffi.new("gort_metric *")
    text = ffi.new("char[]", name.encode())
    row.name = text
    lib.gort_metrics_read(pointer, row, 1)
    return row.value.u64
