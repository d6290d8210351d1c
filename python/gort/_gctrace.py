"""GcTrace: the lines that GODEBUG gctrace=1 prints, one for each collection, in Go's format.

    gc 4 @0.012s 5%: 0.018+0.42+0.003 ms clock, 0.036+0.1/0.3/0.05+0.006 ms cpu, 4->5->1 MB, 4 MB goal, 0 MB stacks,
    0 MB globals, 2 P

Those of Go programs are read, too.
"""
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator, List, NamedTuple, Optional, Union

from . import _plots

if TYPE_CHECKING:
    import pandas

    Path = Union[str, "os.PathLike[str]"]

_N = r"(\d+(?:\.\d+)?)"
_LINE = re.compile(
    rf"^gc (\d+) @{_N}s (\d+)%: {_N}\+{_N}\+{_N} ms clock, {_N}\+{_N}/{_N}/{_N}\+{_N} ms cpu, "
    r"(\d+)->(\d+)->(\d+) MB, (\d+) MB goal, (?:(\d+) MB stacks, (\d+) MB globals, )?(\d+) P( \(forced\))?$", re.M)


class Collection(NamedTuple):
    """One collection. Times of the clock in seconds, of CPUs in CPU seconds, memory in MiB, whole ones."""

    cycle: int
    time: float          # since the start of the runtime, at its end
    cpu_percent: int     # of all CPU time so far
    stop_begin: float    # the world stood for its beginning
    mark: float          # it marked, mostly while the program ran
    stop_end: float      # the world stood for its end
    cpu_begin: float
    cpu_assist: float    # marking by goroutines that allocate
    cpu_background: float
    cpu_idle: float      # marking by Ps that had nothing else to do
    cpu_end: float
    heap_before: int     # when marking began
    heap_after: int      # when marking ended
    heap_live: int       # of that: marked
    goal: int
    stacks: int
    globals: int
    procs: int
    forced: bool         # the program asked for it

    @property
    def pause(self) -> float:
        """How long the world stood in all."""
        return self.stop_begin + self.stop_end


class GcTrace:
    """The collections that a text tells of, in order: `GcTrace(text)`, `GcTrace.read(path)`, or

        with gort.GcTrace.capture() as trace:    # takes what is printed to descriptor 2 meanwhile
            with gort.Runtime(debug="gctrace=1") as rt:
                rt.run("gc_churn")

    Other lines are passed by. A capture prints them when it ends.
    """

    def __init__(self, text: str = ""):
        self.collections: List[Collection] = [_collection(m) for m in _LINE.finditer(text)]

    @classmethod
    def read(cls, path: "Path") -> "GcTrace":
        with open(path, encoding="utf-8", errors="replace") as f:
            return cls(f.read())

    @classmethod
    @contextmanager
    def capture(cls) -> "Iterator[GcTrace]":
        """Of the whole process: only one thread may do that at a time."""
        trace = cls()
        sys.stderr.flush()
        before = os.dup(2)
        try:
            with tempfile.TemporaryFile() as f:
                os.dup2(f.fileno(), 2)
                try:
                    yield trace
                finally:
                    sys.stderr.flush()
                    os.dup2(before, 2)
                    f.seek(0)
                    text = f.read().decode(errors="replace")
                    trace.collections = cls(text).collections
                    os.write(2, _LINE.sub("", text).replace("\n\n", "\n").lstrip("\n").encode())
        finally:
            os.close(before)

    def __len__(self) -> int:
        return len(self.collections)

    def __iter__(self) -> Iterator[Collection]:
        return iter(self.collections)

    def __getitem__(self, i: int) -> Collection:
        return self.collections[i]

    def frame(self) -> "pandas.DataFrame":
        """A pandas DataFrame, one row for each collection: the fields of Collection, and pause."""
        import pandas as pd

        rows = [(*c, c.pause) for c in self.collections]
        return pd.DataFrame(rows, columns=[*Collection._fields, "pause"])

    def plot(self) -> List[Any]:
        """The heap over time with its goal, and below it how long the world stood. Returns the two axes."""
        from matplotlib.ticker import FuncFormatter

        heap, pauses = _plots.column(2, (3, 2), (8, 5))
        frame = self.frame()
        times, sizes = [0.0], [0.0]
        for c in self.collections:
            times += [c.time - c.mark - c.stop_end, c.time, c.time]
            sizes += [c.heap_before, c.heap_after, c.heap_live]
        heap.plot(times, sizes, color=_plots.LINE, linewidth=1, label="heap")
        heap.fill_between(times, sizes, color=_plots.LINE, alpha=0.12, linewidth=0)
        heap.plot(frame["time"], frame["heap_live"], ".", color=_plots.LINE, markersize=4, label="live afterwards")
        heap.step(frame["time"], frame["goal"], where="pre", color=_plots.GOAL, linewidth=1, label="goal")
        forced = frame[frame["forced"]]
        if len(forced):
            heap.plot(forced["time"], forced["heap_before"], "v", color=_plots.MARK, markersize=5, label="asked for")
        heap.set_ylim(bottom=0)
        heap.set_ylabel("MiB")
        heap.set_title(f"{len(self)} collections", loc="left", fontsize="medium")
        heap.legend(frameon=False, fontsize="small", ncols=4, loc="lower right", bbox_to_anchor=(1, 1))
        span = (frame["time"].max() - min(0, frame["time"].min())) if len(frame) else 1.0
        width = span / max(120, 2 * len(frame))
        pauses.bar(frame["time"], frame["stop_begin"], width=width, color=_plots.LINE, label="to begin marking")
        pauses.bar(frame["time"], frame["stop_end"], bottom=frame["stop_begin"], width=width, color=_plots.GARBAGE,
                   label="to end it")
        pauses.yaxis.set_major_formatter(FuncFormatter(lambda v, _: _plots.time_text(v)))
        pauses.set_ylabel("world stopped")
        pauses.set_xlabel("seconds")
        pauses.legend(frameon=False, fontsize="small", ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
        return [heap, pauses]

    def __repr__(self) -> str:
        return f"<gort.GcTrace {self._describe()}>"

    def _describe(self) -> str:
        if not self.collections:
            return "no collections"
        longest = max(c.pause for c in self.collections)
        return (f"{len(self)} collections, the world stood {_plots.time_text(sum(c.pause for c in self.collections))} in all, "
                f"{_plots.time_text(longest)} at most")

    def _repr_html_(self) -> str:
        picture: Optional[str] = _plots.embed(self.plot) if self.collections else ""
        return f"<p>GC trace: {self._describe()}</p>{picture}"


def _collection(m: "re.Match[str]") -> Collection:
    g = m.groups()
    fields: List[Any] = [int(g[0]), float(g[1]), int(g[2]), *(float(x) / 1000 for x in g[3:11])]
    fields += [*(int(x or 0) for x in g[11:18]), g[18] is not None]
    return Collection(*fields)
