"""Schedules: what a seeded run chose, and what came of it, as a picture.

A Schedule is a list of choices (gort_choice). What they do to a program is seen when it runs again with a trace. Where
in the trace a choice took effect is found by trying, too: with one choice less the run is the same up to there.
"""
import html
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ._config import integer
from ._errors import ArgumentError, check
from ._gort import ffi, lib
from ._trace import wait_reason
from ._waits import Label, Names

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

    from ._trace import Trace

MARKED = 100  # choices whose place is looked for at most
TAIL = 4      # events' worth of what was still so at the end
_LARGEST = (1 << 64) - 1


class Choice(NamedTuple):
    """At this step, counted from 1 over the moments at which several goroutines could go on, this goroutine did, and
    not the usual one: who runs, else who has waited longest."""

    step: int
    goid: int


def pairs(choices: "Iterable[Tuple[int, int]]") -> List[Choice]:
    """As plan takes them. ArgumentError: something is no (step, goid), or the steps do not rise."""
    out: List[Choice] = []
    for choice in choices:
        try:
            step, goid = choice
        except (TypeError, ValueError):
            raise ArgumentError(f"a choice is (step, goid), not {choice!r}") from None
        out.append(Choice(integer("step", step, 0, _LARGEST), integer("goid", goid, 0, _LARGEST)))
        if len(out) > 1 and out[-2].step >= out[-1].step:
            raise ArgumentError(f"choices come by rising steps: {out[-1].step} is after {out[-2].step}")
    return out


def plan(pointer: Any, choices: "Optional[Sequence[Tuple[int, int]]]") -> None:
    """What the next run shall choose; None: as its seed says. It keeps what it chooses."""
    rows = ffi.NULL if choices is None else ffi.new("gort_choice[]", [tuple(c) for c in choices] or 1)
    check(lib.gort_schedule_set(pointer, rows, len(choices or ())), "schedule")


def taken(pointer: Any, seed: int, again: Any) -> "Schedule":
    """What the last run chose."""
    steps = ffi.new("uint64_t *")
    n = check(lib.gort_schedule_get(pointer, ffi.NULL, 0, steps), "schedule")
    rows = ffi.new("gort_choice[]", max(n, 1))
    check(lib.gort_schedule_get(pointer, rows, n, steps), "schedule")
    return Schedule([Choice(rows[i].step, rows[i].goid) for i in range(n)], seed, steps[0], again)


class Schedule(Sequence[Choice]):
    """The choices of a run with this seed, by rising steps; `steps` is how many steps it had. An empty one is the
    schedule without switches that nobody was forced to."""

    def __init__(self, choices: "Iterable[Choice]", seed: int, steps: int,
                 again: "Optional[Callable[[Iterable[Tuple[int, int]]], Any]]" = None):
        self._choices = tuple(choices)
        self.seed = seed
        self.steps = steps
        self._again = again  # runs the program with other choices, and returns the trace
        self._timeline: Optional[Timeline] = None

    def __len__(self) -> int:
        return len(self._choices)

    def __getitem__(self, i: Any) -> Any:
        return self._choices[i]

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Schedule) and (self._choices, self.seed) == (other._choices, other.seed)

    def __hash__(self) -> int:
        return hash((self._choices, self.seed))

    def frame(self) -> "pandas.DataFrame":
        """A pandas DataFrame, one row for each choice: step, goid."""
        import pandas as pd

        return pd.DataFrame(self._choices, columns=["step", "goid"])

    def timeline(self) -> "Timeline":
        """Runs the program again, with these choices and then with fewer, to see what they did. ArgumentError: that
        cannot be done with data of the caller, or when the runtime had goroutines before: those of other runs, of `go`
        and `attach`, of a collection or a setting that was asked for."""
        if self._timeline is None:
            if self._again is None:
                raise ArgumentError("only the first run of a runtime that had no goroutines before, and one without "
                                    "data, can be made again")
            self._timeline = Timeline(self._again(self), self, self._effects())
        return self._timeline

    def _effects(self) -> List[int]:
        """For each of the first choices, the index among the events where it made a difference; -1: it made none."""
        assert self._again is not None
        out: List[int] = []
        before = happened(self._again(self[:0]))
        for i in range(min(len(self), MARKED)):
            now = happened(self._again(self[:i + 1]))
            same = next((k for k, (a, b) in enumerate(zip(before, now)) if a != b), min(len(before), len(now)))
            out.append(-1 if before == now else same)
            before = now
        return out

    def plot(self, ax: "Optional[matplotlib.axes.Axes]" = None, last: int = 160) -> "matplotlib.axes.Axes":
        """Draws the timeline, of the last so many events."""
        return self.timeline().plot(ax, last)

    def __str__(self) -> str:
        return ", ".join(f"step {c.step}: goroutine {c.goid}" for c in self) or "no choices"

    def __repr__(self) -> str:
        return f"<gort.Schedule of seed {self.seed}: {len(self)} choices in {self.steps} steps>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{c.step}</td><td>{c.goid}</td></tr>" for c in self[:50])
        more = f"<p>... and {len(self) - 50} more</p>" if len(self) > 50 else ""
        table = f"<table><tr><th>step</th><th>goroutine</th></tr>{rows}</table>{more}" if self else ""
        picture = self.timeline()._repr_html_() if self._again is not None else ""
        return f"<p>{html.escape(repr(self)[1:-1])}</p>{picture}{table}"


# ---- What happened ---------------------------------------------------------------------------------

_SHOWN = {getattr(lib, "GORT_EV_" + name): name.lower() for name in (
    "GO_CREATE", "GO_START", "GO_END", "GO_YIELD", "GO_BLOCK", "GO_UNBLOCK", "CHAN_SEND", "CHAN_RECV",
    "CHAN_CLOSE", "SELECT", "TIMER", "USER", "LOCK", "UNLOCK")}
_SYSTEM = 1 << 40  # goids from here on are the runtime's own


class Happened(NamedTuple):
    """An event of a schedule: `on` is the object, if there is one, `other` the goid created or woken."""

    event: str
    goid: int
    on: Optional[Label]
    other: int
    detail: str  # the wait reason; the name of a mark


def happened(trace: "Trace") -> List[Happened]:
    """The events of a trace that belong to its schedule."""
    names, out = Names(trace), []
    for raw in trace._of_run():
        event, goid, first, second = _SHOWN.get(raw[4]), raw[1], raw[6], raw[7]
        acts = event in ("go_create", "go_unblock")
        if event is None or goid >= _SYSTEM or (acts and first >= _SYSTEM):
            continue
        on: Optional[Label] = None
        detail = ""
        if event == "go_block":
            detail = wait_reason(first)
            on = names.known(second)  # of a select there is none
        elif event.startswith("chan_") or event in ("lock", "unlock"):
            on = names.known(first)
        elif event == "user":
            detail = trace._texts.get(raw[9], "")
        elif event == "go_yield":
            detail = "preempted" if first else "yields"
        out.append(Happened(event, goid, on, first if acts else 0, detail))
    return out


def _without_the_dropped(events: List[Happened]) -> List[Happened]:
    """The end of a run ends goroutines that wait or could run, and wakes threads of Python; that is nothing they do."""
    running, out = 0, []
    for e in events:
        if e.event == "go_start":
            running = e.goid
        elif e.event in ("go_yield", "go_block") and e.goid == running:
            running = 0
        if e.event != "go_end" or e.goid == running:
            out.append(e)
    while out and out[-1].event == "go_unblock":
        out.pop()
    return out


class Bar(NamedTuple):
    """What a goroutine did from one event to another: "runs", "waits", "ready"."""

    start: int
    end: int
    state: str
    label: str


class Mark(NamedTuple):
    """Something that it did at an event: "+mutex 1", "-mutex 1", "send chan 1", ..."""

    at: int
    event: str
    label: str


class Timeline:
    """What the goroutines of a seeded run did, event by event; time stands still in such a run, so there is none.

    lanes    goid: its bars
    marks    goid: what it did
    choices  (index of the event at which it went on, the choice), of those that made a difference
    """

    def __init__(self, trace: "Trace", schedule: Schedule, effects: Sequence[int]):
        self.schedule = schedule
        self.events = _without_the_dropped(happened(trace))
        self.lanes: Dict[int, List[Bar]] = {}
        self.marks: Dict[int, List[Mark]] = {}
        self._open: Dict[int, Tuple[int, str, str]] = {}
        for i, event in enumerate(self.events):
            self._add(i, event)
        for goid in list(self._open):  # what was so when the run ended is drawn to the edge
            self._become(goid, len(self.events) + TAIL, "", "")
        self.choices = [(self._went_on(at, choice.goid), choice) for at, choice in zip(effects, schedule) if at >= 0]

    def _went_on(self, at: int, goid: int) -> int:
        return next((i for i in range(at, len(self.events))
                     if self.events[i].event == "go_start" and self.events[i].goid == goid), at)

    def _become(self, goid: int, at: int, state: str, label: str) -> None:
        start, before, text = self._open.pop(goid, (at, "", ""))
        if before and at > start:
            self.lanes.setdefault(goid, []).append(Bar(start, at, before, text))
        if state:
            self._open[goid] = at, state, label

    def _add(self, i: int, e: Happened) -> None:
        if e.event == "go_create":
            self._become(e.other, i, "ready", "")
            if e.goid:
                self._mark(i, e, f"go {e.other}")
        elif e.event == "go_start":
            self._become(e.goid, i, "runs", "")
        elif e.event == "go_yield":
            self._become(e.goid, i, "ready", "")
        elif e.event == "go_block":
            self._become(e.goid, i, "waits", f"{e.detail}: {e.on}" if e.on else e.detail)
        elif e.event == "go_end":
            self._become(e.goid, i, "", "")
            self._mark(i, e, "ends")
        elif e.event == "go_unblock":
            self._become(e.other, i, "ready", "")
        elif e.event in ("lock", "unlock"):
            self._mark(i, e, f"{'+' if e.event == 'lock' else '−'}{e.on}")
        elif e.event.startswith("chan_"):
            self._mark(i, e, f"{e.event[5:]} {e.on}")
        elif e.event == "user":
            self._mark(i, e, e.detail)

    def _mark(self, i: int, e: Happened, label: str) -> None:
        self.marks.setdefault(e.goid, []).append(Mark(i, e.event, label))

    def plot(self, ax: "Optional[matplotlib.axes.Axes]" = None, last: int = 160) -> "matplotlib.axes.Axes":
        """A lane for each goroutine: dark where it runs, light where it waits, with what for; +mutex 1 where it gets
        one, −mutex 1 where it gives it back. A red line is a choice of the schedule. Of the last so many events."""
        from ._scheduleplot import draw

        return draw(self, ax, last)

    def __repr__(self) -> str:
        return f"<gort.Timeline: {len(self.lanes)} goroutines, {len(self.events)} events>"

    def _repr_html_(self) -> str:
        from . import _plots

        return _plots.embed(self.plot)
