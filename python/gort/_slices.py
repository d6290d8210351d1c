"""From events to pictures: what each P ran when, and what became of each goroutine.

A slice is the time from a go_start (or syscall_begin) to whatever ended it. Where the buffer had
dropped the beginning, a slice that is known to have been open begins with the trace. Where an end
is missing because events were lost, the slice reaches to where its P or its goroutine is next seen
elsewhere, is marked UNKNOWN, and does not count as time run: nobody knows. The same goes for a
slice after which the goroutine's count of starts jumps: the end seen may be that of a later one.

Invariant: the slices of one P do not overlap and come in order of time.
"""
from collections import Counter
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from ._gort import lib
from ._trace import wait_reason

# How a slice ended. Numbers below REASONS index these words; wait reasons are appended.
ENDS = ["unknown", "it ended", "gort_gosched", "preempted", "system call", "back from system call",
        "lost its P in a system call", "the trace ends"]
UNKNOWN, ENDED, YIELDED, PREEMPTED, SYSCALL, RESUMED, LOST_P, TRACE_END = range(len(ENDS))

# States of a goroutine.
RUNNABLE, RUNNING, BLOCKED, IN_SYSCALL, GONE, LOST = range(6)
# What may follow what; anything else means that events between the two are missing.
_NEXT = {
    RUNNABLE: {RUNNING, GONE}, RUNNING: {RUNNABLE, BLOCKED, IN_SYSCALL, GONE},
    BLOCKED: {RUNNABLE, GONE}, IN_SYSCALL: {RUNNING, RUNNABLE, GONE}, GONE: set(),
}

_WITHIN = {lib.GORT_EV_GC_BEGIN: "GC", lib.GORT_EV_STW_BEGIN: "stop the world"}
_WITHIN_END = {lib.GORT_EV_GC_END: "GC", lib.GORT_EV_STW_END: "stop the world"}


class Goroutine:
    """What is known of one goroutine."""

    __slots__ = ("goid", "creator", "created", "ended", "ran", "slices", "function", "starts",
                 "latest")

    def __init__(self, goid: int):
        self.goid = goid
        self.creator = 0
        self.created: Optional[int] = None
        self.ended: Optional[int] = None
        self.ran = 0
        self.slices = 0
        self.function = 0
        self.starts = 0  # as its last go_start said
        self.latest: Optional[Tuple[int, int]] = None  # its last slice: P, place among the P's


class _Open:
    """A slice that has begun."""

    __slots__ = ("goid", "start", "syscall")

    def __init__(self, goid: int, start: int, syscall: bool):
        self.goid = goid
        self.start = start
        self.syscall = syscall


class Slices:
    """procs: for each P its slices (start, end, goid, in a system call, how it ended)."""

    def __init__(self, events: Iterable[Tuple[int, ...]], lost: int = 0):
        self._lost = lost
        self.procs: Dict[int, List[Tuple[int, int, int, bool, int]]] = {}
        self.goroutines: Dict[int, Goroutine] = {}
        self.ends = list(ENDS)
        self.counts: Dict[int, Counter] = {}
        self.spans: List[Tuple[str, int, int]] = []
        self.marks: List[Tuple[int, int, int]] = []  # time, address of the text, value
        self.instants: List[Tuple[int, str, int]] = []  # the same of the runtime itself; its name
        self.first: Optional[int] = None
        self.last = 0
        self._reasons: Dict[int, int] = {}
        self._on: Dict[int, _Open] = {}    # by P
        self._where: Dict[int, int] = {}   # goid -> P, while a slice is open
        self._began: Dict[str, int] = {}
        self._ended: Set[str] = set()
        handlers = self._handlers()
        for raw in events:
            time, goid, _, p, kind = raw[:5]
            if self.first is None:
                self.first = time
            self.last = max(self.last, time)
            if p >= 0:
                self.counts.setdefault(p, Counter())[kind] += 1
            handler = handlers.get(kind)
            if handler:
                handler(time, goid, p, raw)
        self.first = self.first or 0
        self._finish()

    def goroutine(self, goid: int) -> Goroutine:
        g = self.goroutines.get(goid)
        if g is None:
            g = self.goroutines[goid] = Goroutine(goid)
        return g

    # ---- Events ----

    def _handlers(self) -> Dict[int, Any]:
        out = {
            lib.GORT_EV_PROCS: self._procs,
            lib.GORT_EV_GO_CREATE: self._create,
            lib.GORT_EV_GO_START: self._start,
            lib.GORT_EV_GO_END: self._end,
            lib.GORT_EV_GO_YIELD:
                lambda t, g, p, raw: self._close_g(t, g, p, PREEMPTED if raw[6] else YIELDED),
            lib.GORT_EV_GO_BLOCK:
                lambda t, g, p, raw: self._close_g(t, g, p, self._reason(raw[6])),
            lib.GORT_EV_SYSCALL_BEGIN: self._syscall_begin,
            lib.GORT_EV_SYSCALL_END: self._syscall_end,
            lib.GORT_EV_PROC_STOP: lambda t, g, p, raw: self._close_p(t, p, UNKNOWN),
            lib.GORT_EV_MARK_TERM:
                lambda t, g, p, raw: self.instants.append((t, "mark termination", raw[6])),
            lib.GORT_EV_USER: lambda t, g, p, raw: self.marks.append((t, raw[9], raw[6])),
        }
        for kind, name in _WITHIN.items():
            out[kind] = lambda t, g, p, raw, name=name: self._began.__setitem__(name, t)
        for kind, name in _WITHIN_END.items():
            out[kind] = lambda t, g, p, raw, name=name: self._span_ends(name, t)
        return out

    def _reason(self, number: int) -> int:
        if number not in self._reasons:
            self._reasons[number] = len(self.ends)
            self.ends.append(wait_reason(number))
        return self._reasons[number]

    def _procs(self, time: int, goid: int, p: int, raw: Tuple[int, ...]) -> None:
        for each in range(raw[6]):  # those that never run anything, too
            self.counts.setdefault(each, Counter())

    def _create(self, time: int, goid: int, p: int, raw: Tuple[int, ...]) -> None:
        g = self.goroutine(raw[6])
        g.created, g.creator, g.function = time, goid, raw[7]

    def _start(self, time: int, goid: int, p: int, raw: Tuple[int, ...]) -> None:
        g = self.goroutine(goid)
        if g.starts and raw[6] > g.starts + 1:
            self._doubt(g)
        g.starts = raw[6]
        self._open(time, goid, p, False)

    def _doubt(self, g: Goroutine) -> None:
        if g.latest is not None:
            p, place = g.latest
            start, stop, goid, syscall, end = self.procs[p][place]
            if end != UNKNOWN and not syscall:
                self.procs[p][place] = (start, stop, goid, syscall, UNKNOWN)
                g.ran -= stop - start

    def _end(self, time: int, goid: int, p: int, raw: Tuple[int, ...]) -> None:
        # One that is dropped at the end of a run does not run any more: its block was lost.
        self._close_g(time, goid, p, UNKNOWN if p < 0 and self._lost else ENDED)
        self.goroutine(goid).ended = time

    def _syscall_begin(self, time: int, goid: int, p: int, raw: Tuple[int, ...]) -> None:
        p = self._where.get(goid, p)
        self._close_g(time, goid, p, SYSCALL)
        self._open(time, goid, p, True)

    def _syscall_end(self, time: int, goid: int, p: int, raw: Tuple[int, ...]) -> None:
        self._close_g(time, goid, p, LOST_P if raw[6] else RESUMED)
        if not raw[6]:
            self._open(time, goid, p, False)

    def _span_ends(self, name: str, time: int) -> None:
        # The first began before the trace; of another nobody knows when, since events are missing.
        unseen = time if name in self._ended else self.first
        self.spans.append((name, self._began.pop(name, unseen), time))
        self._ended.add(name)

    # ---- Slices ----

    def _open(self, time: int, goid: int, p: int, syscall: bool) -> None:
        if p < 0:
            return
        self._close_p(time, p, LOST_P if p in self._on and self._on[p].syscall else UNKNOWN)
        if goid in self._where:
            self._close_p(time, self._where[goid], UNKNOWN)
        self._on[p] = _Open(goid, time, syscall)
        self._where[goid] = p

    def _close_g(self, time: int, goid: int, p: int, end: int) -> None:
        """goid stops, on whatever P it was seen to start."""
        if goid in self._where:
            self._close_p(time, self._where[goid], end)
        elif p >= 0 and p not in self.procs and p not in self._on:
            self._on[p] = _Open(goid, self.first, False)  # it ran when the trace began
            self._close_p(time, p, end)

    def _close_p(self, time: int, p: int, end: int) -> None:
        slice_ = self._on.pop(p, None)
        if slice_ is None:
            return
        self._where.pop(slice_.goid, None)
        rows = self.procs.setdefault(p, [])
        g = self.goroutine(slice_.goid)
        g.latest = p, len(rows)
        rows.append((slice_.start, time, slice_.goid, slice_.syscall, end))
        if not slice_.syscall:
            g.slices += 1
            if end != UNKNOWN:
                g.ran += time - slice_.start

    def _finish(self) -> None:
        for p in list(self._on):
            self._close_p(self.last, p, TRACE_END)
        for name, start in self._began.items():
            self.spans.append((name, start, self.last))


def states(events: Iterable[Tuple[int, ...]], goids: Set[int]) -> "Dict[int, List[List[int]]]":
    """For each of these goroutines: times, and the state and wait reason it has from then on. What
    a goroutine did before something that cannot follow is LOST."""
    out: Dict[int, List[List[int]]] = {goid: [] for goid in goids}
    simple = {lib.GORT_EV_GO_START: RUNNING, lib.GORT_EV_GO_END: GONE,
              lib.GORT_EV_GO_YIELD: RUNNABLE, lib.GORT_EV_SYSCALL_BEGIN: IN_SYSCALL}
    for raw in events:
        kind, goid, reason, unblocked = raw[4], raw[1], 0, False
        if kind in simple:
            state = simple[kind]
        elif kind == lib.GORT_EV_GO_BLOCK:
            state, reason = BLOCKED, raw[6]
        elif kind in (lib.GORT_EV_GO_CREATE, lib.GORT_EV_GO_UNBLOCK):
            state, goid, unblocked = RUNNABLE, raw[6], True
        elif kind == lib.GORT_EV_SYSCALL_END:
            state = RUNNABLE if raw[6] else RUNNING
        else:
            continue
        rows = out.get(goid)
        if rows is None:
            continue
        if rows and (state not in _NEXT[rows[-1][1]] or (unblocked and rows[-1][1] != BLOCKED)):
            rows[-1][1] = LOST
        rows.append([raw[0], state, reason])
    return out
