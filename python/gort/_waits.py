"""Who waits for whom: goroutines, what they wait for, and who has it.

What a goroutine waits for comes from the library (gort_goroutine.on). Who has a mutex is known of seeded runs that had
a trace: there each lock and unlock is an event. So a cycle of mutexes is found; who could send on a channel nobody
knows.
"""
import html
import os
import re
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ._gort import lib

if TYPE_CHECKING:
    import matplotlib.axes

    from ._figures import Goroutine

SHOWN = 30        # nodes of a picture at most
OTHER = "object"  # that a goroutine waits for in a select, for time: nothing that others know

_KINDS = {"chan receive": "chan", "chan send": "chan", "sync.Mutex.Lock": "mutex", "sync.RWMutex.Lock": "rwmutex",
          "sync.RWMutex.RLock": "rwmutex", "sync.Cond.Wait": "cond", "semacquire": "semaphore"}


class Label(str):
    """A channel, mutex, ... by a name that people can tell from others: "mutex 2". Numbers count from 1 for each kind,
    in the order in which objects come up, in one list or one trace. A WaitGroup is a semaphore."""

    kind: str     # "chan", "mutex", "rwmutex", "cond", "semaphore"
    address: int

    def __new__(cls, kind: str, number: int, address: int) -> "Label":
        self = super().__new__(cls, f"{kind} {number}")
        self.kind, self.address = kind, address
        return self


def kind_of(reason: str) -> str:
    """What one who waits for this reason waits for."""
    return _KINDS.get(reason, OTHER)


class Names:
    """Labels by address. Those of a trace are numbered first, in the order of its events."""

    def __init__(self, trace: Any = None):
        self._labels: Dict[int, Label] = {}
        self._numbers: Dict[str, int] = {}
        for kind, address in _objects(trace) if trace is not None else ():
            self(kind, address)

    def __call__(self, kind: str, address: int) -> Label:
        if address not in self._labels:
            self._numbers[kind] = self._numbers.get(kind, 0) + 1
            self._labels[address] = Label(kind, self._numbers[kind], address)
        return self._labels[address]

    def known(self, address: int) -> Optional[Label]:
        return self._labels.get(address)


def _objects(trace: Any) -> Iterator[Tuple[str, int]]:
    """(kind, address) as they come up. A lock event does not say of what: a mutex, if nothing else tells."""
    from ._trace import wait_reason

    rows = [(raw[4], raw[6], raw[7]) for raw in trace._of_run()]
    kinds: Dict[int, str] = {}
    for event, first, second in rows:
        if event == lib.GORT_EV_GO_BLOCK and second:
            kinds[second] = kind_of(wait_reason(first))
        elif event == lib.GORT_EV_LOCK and second:
            kinds[first] = "rwmutex"
    for event, first, second in rows:
        if event in (lib.GORT_EV_CHAN_SEND, lib.GORT_EV_CHAN_RECV, lib.GORT_EV_CHAN_CLOSE):
            yield "chan", first
        elif event in (lib.GORT_EV_LOCK, lib.GORT_EV_UNLOCK):
            yield kinds.get(first, "mutex"), first
        elif event == lib.GORT_EV_GO_BLOCK and second and kinds[second] != OTHER:
            yield kinds[second], second


def holders(trace: Any) -> Dict[int, Tuple[int, ...]]:
    """By address of a mutex: the goids that have it at the end of the run of a trace; of readers there may be
    several."""
    held: Dict[int, List[int]] = {}
    for raw in trace._of_run() if trace is not None else ():
        if raw[4] == lib.GORT_EV_LOCK:
            held.setdefault(raw[6], []).append(raw[1])
        elif raw[4] == lib.GORT_EV_UNLOCK:
            mine = held.get(raw[6], [])
            if raw[1] in mine:
                mine.remove(raw[1])
            elif mine:  # another goroutine may unlock a mutex
                mine.pop()
    return {address: tuple(goids) for address, goids in held.items() if goids}


# ---- What a report says ----------------------------------------------------------------------------

_BLOCK = re.compile(r"^goroutine (\d+)\b.*\[.*\]:\n((?:.+\n)*)", re.M)
_CREATED = re.compile(r"^created by (.+) in goroutine \d+\n(?:\t(\S+?)(?: \+0x[0-9a-f]+)?$)?", re.M)


def stacks(report: str) -> Dict[int, Tuple[str, str]]:
    """By goid, from a report in Go's format: its frames, and what made it: "main_ at philosophers.c:57"."""
    out: Dict[int, Tuple[str, str]] = {}
    for block in _BLOCK.finditer(report + "\n"):
        made = _CREATED.search(block[2])
        frames = block[2][:made.start()] if made else block[2]
        place = f" at {made[2]}" if made and made[2] else ""
        out.setdefault(int(block[1]), (frames, made[1] + place if made else ""))
    return out


def with_stacks(goroutines: "Iterable[Goroutine]", report: str) -> "List[Goroutine]":
    """The same, with what the report says of each."""
    known = stacks(report)
    return [g._replace(stack=known[g.goid][0], created_by=known[g.goid][1] or g.created_by) if g.goid in known else g
            for g in goroutines]


# ---- The graph -------------------------------------------------------------------------------------

Node = Union[int, Label]  # a goid, or an object


class Edge(NamedTuple):
    """From who waits to what for, "waits for"; from an object to who has it, "held by"."""

    source: Node
    target: Node
    text: str


class WaitGraph:
    """Goroutines, what they wait for, who has that, and the cycles in it.

    goroutines  by goid; of one that has a mutex and has ended since there is none
    waits       goid: the object; without those that wait for time, for a descriptor or in a select
    held        object: the goids that have it, if known
    cycles      each a list of nodes, goids and objects in turns, that begins with the smallest goid
    """

    def __init__(self, goroutines: "Iterable[Goroutine]", held: "Optional[Dict[int, Tuple[int, ...]]]" = None):
        self.goroutines = {g.goid: g for g in goroutines if not g.system}
        self.waits: Dict[int, Label] = {g.goid: g.on for g in self.goroutines.values() if g.on is not None}
        has = held or {}
        self.held: Dict[Label, Tuple[int, ...]] = {
            on: has[on.address] for on in dict.fromkeys(self.waits.values()) if on.address in has}
        self.cycles = self._cycles()

    @property
    def nodes(self) -> List[Node]:
        """Goroutines, then objects."""
        goids = [*self.goroutines, *(g for has in self.held.values() for g in has)]
        return [*dict.fromkeys(goids), *dict.fromkeys(self.waits.values())]

    @property
    def edges(self) -> List[Edge]:
        return [Edge(goid, on, "waits for") for goid, on in self.waits.items()] + \
            [Edge(on, goid, "held by") for on, goids in self.held.items() for goid in goids]

    def _next(self, node: Node) -> Sequence[Node]:
        if isinstance(node, Label):
            return self.held.get(node, ())
        return (self.waits[node],) if node in self.waits else ()

    def _cycles(self) -> List[List[Node]]:
        """One for each knot, by a walk in depth: what leads back to the path closes a cycle."""
        done, out = set(), []
        for start in self.waits:
            path: List[Node] = []
            where: Dict[Node, int] = {}
            todo: List[Tuple[Node, bool]] = [(start, False)]
            while todo:
                node, over = todo.pop()
                if over:
                    path.pop()
                    del where[node]
                    done.add(node)
                elif node in where:
                    out.append(_turned(path[where[node]:]))
                elif node not in done:
                    where[node] = len(path)
                    path.append(node)
                    todo.append((node, True))
                    todo += [(after, False) for after in self._next(node)]
        return out

    def in_cycle(self, edge: Edge) -> bool:
        return any(a == edge.source and b == edge.target
                   for cycle in self.cycles for a, b in zip(cycle, cycle[1:] + cycle[:1]))

    def describe(self, goid: int) -> str:
        """A line of one goroutine: state, what for, who has it, made by whom."""
        g = self.goroutines[goid]
        out = f"{_name(goid)} [{g.wait_reason or g.status}]"
        if g.on is not None:
            out += f" waits for {g.on}"
            if g.on in self.held:
                out += f", held by {', '.join(_name(h, self) for h in self.held[g.on])}"
        if g.created_by:
            function, at, place = g.created_by.partition(" at ")
            out += f"; made by {function}{at}{os.path.basename(place)}"
        return out

    def __str__(self) -> str:
        lines = [self.describe(goid) for goid in self.goroutines]
        lines += ["cycle: " + " → ".join(_name(n, self) for n in [*c, c[0]]) for c in self.cycles]
        return "\n".join(lines) or "no goroutines"

    def __repr__(self) -> str:
        return f"<gort.WaitGraph: {len(self.goroutines)} goroutines, {len(self.cycles)} cycles>"

    def plot(self, ax: "Optional[matplotlib.axes.Axes]" = None) -> "matplotlib.axes.Axes":
        """Goroutines as ellipses, objects as boxes; the first cycle is a ring, in red. Of many the first 30 are
        shown."""
        from ._waitplot import draw

        return draw(self, ax)

    def _repr_html_(self) -> str:
        from . import _plots

        return (_plots.embed(self.plot) if self.goroutines else "") + f"<pre>{html.escape(str(self))}</pre>"


def _turned(cycle: List[Node]) -> List[Node]:
    """So that it begins with its smallest goid."""
    first = cycle.index(min(n for n in cycle if not isinstance(n, Label)))
    return cycle[first:] + cycle[:first]


def _name(node: Node, graph: Optional[WaitGraph] = None) -> str:
    if isinstance(node, Label):
        return node
    ended = graph is not None and node not in graph.goroutines
    return f"goroutine {node}{' (ended)' if ended else ''}"


class Leaks(Sequence["Goroutine"]):
    """The goroutines that nobody can wake any more, in order of goid. `report` is their backtraces in Go's format."""

    def __init__(self, goroutines: "Iterable[Goroutine]", report: str,
                 held: "Optional[Dict[int, Tuple[int, ...]]]" = None):
        self._goroutines = list(goroutines)
        self._held = held
        self.report = report

    def __len__(self) -> int:
        return len(self._goroutines)

    def __getitem__(self, i: Any) -> Any:
        return self._goroutines[i]

    def graph(self) -> WaitGraph:
        """Who waits for what."""
        return WaitGraph(self, self._held)

    def plot(self, ax: "Optional[matplotlib.axes.Axes]" = None) -> "matplotlib.axes.Axes":
        """A picture of the graph."""
        return self.graph().plot(ax)

    def __str__(self) -> str:
        return str(self.graph()) if self else "no leaks"

    def __repr__(self) -> str:
        return f"<gort.Leaks: {len(self)} goroutines>"

    def _repr_html_(self) -> str:
        return self.graph()._repr_html_() if self else "<p>no leaks</p>"
