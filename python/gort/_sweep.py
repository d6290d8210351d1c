"""sweep: one workload with all combinations of settings, each several times.

Each run has a runtime of its own, so that nothing is left of the one before. The combinations take turns: a
disturbance of the machine meets all of them a little, and not one of them alone.
"""
import dataclasses
import html
import itertools
import statistics
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence

from . import _plots, _workloads
from ._config import Config
from ._errors import ArgumentError
from ._progress import Progress, reporter
from ._figures import Histogram
from ._runtime import Runtime

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

SETTINGS = tuple(f.name for f in dataclasses.fields(Config))
MEASURED = ("seconds", "peak_heap", "cycles", "pause_seconds", "longest_pause", "gc_cpu_seconds", "allocated")


def run_once(workload: str, settings: Mapping[str, Any], params: Mapping[str, int]) -> Dict[str, Any]:
    """One run in a runtime of its own; numbers only, so that it can be the answer of another process."""
    with Runtime(**settings) as rt:
        result = rt.run(workload, progress=False, **params)
    m = result.metrics
    pauses = m["/sched/pauses/total/gc:seconds"]
    assert isinstance(pauses, Histogram)
    rows = [(low or 0.0, high or low or 0.0, n) for low, high, n in pauses.rows()]
    return {"value": result.value, "seconds": result.seconds, "peak_heap": m["/gc/heap/peak:bytes"],
            "cycles": m["/gc/cycles/total:gc-cycles"],
            "pause_seconds": sum((low + high) / 2 * n for low, high, n in rows),
            "longest_pause": rows[-1][1] if rows else 0.0,
            "gc_cpu_seconds": m["/cpu/classes/gc/total:cpu-seconds"], "allocated": m["/gc/heap/allocs:bytes"]}


class Sweep(Sequence[Mapping[str, Any]]):
    """What the runs of a sweep measured: a mapping for each, with what was varied, `repeat` (counts from 0), `value` (of
    the workload) and

    seconds         by the clock
    peak_heap       bytes: the largest heap, garbage included, that a collection found, or that was left
    cycles          collections
    pause_seconds   how long the collector had the world stopped in all, by the middles of a histogram's buckets
    longest_pause   the upper bound of its last bucket
    gc_cpu_seconds  what the collector cost
    allocated       bytes
    """

    def __init__(self, workload: str, varied: Sequence[str], rows: Sequence[Mapping[str, Any]]):
        self.workload = workload
        self.varied = tuple(varied)
        self._rows = list(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: Any) -> Any:
        return self._rows[i]

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._rows)

    def frame(self) -> "pandas.DataFrame":
        """A pandas DataFrame, one row for each run."""
        import pandas as pd

        return pd.DataFrame(self._rows, columns=[*self.varied, "repeat", "value", *MEASURED])

    def medians(self) -> List[Dict[str, Any]]:
        """A mapping for each combination: what was varied, and the median of each measure over its repeats."""
        groups: Dict[Any, List[Mapping[str, Any]]] = {}
        for row in self._rows:
            groups.setdefault(tuple(row[name] for name in self.varied), []).append(row)
        return [{**dict(zip(self.varied, key)), **{m: statistics.median(r[m] for r in rows) for m in MEASURED}}
                for key, rows in groups.items()]

    def plot(self, x: str = "peak_heap", y: str = "seconds",
             ax: "Optional[matplotlib.axes.Axes]" = None) -> "matplotlib.axes.Axes":
        """Two measures against each other: a point for each run, and a line through the medians along the first that
        was varied, whose values stand beside it; a line for each combination of the others."""
        ax = _plots.one(ax)
        along = self.varied[:1]
        others = [n for n in self.varied[1:] if len({r[n] for r in self._rows}) > 1]
        lines: Dict[Any, List[Dict[str, Any]]] = {}
        for point in self.medians():
            lines.setdefault(tuple(point[name] for name in others), []).append(point)
        for key, points in lines.items():
            name = ", ".join(f"{n}={v}" for n, v in zip(others, key))
            line, = ax.plot([p[x] for p in points], [p[y] for p in points], "o-", markersize=5, linewidth=1.2, label=name)
            rows = [r for r in self._rows if tuple(r[n] for n in others) == key]
            ax.plot([r[x] for r in rows], [r[y] for r in rows], ".", color=line.get_color(), alpha=0.3, markersize=5)
            for p in points:
                ax.annotate(f"{p[along[0]]}" if along else "", (p[x], p[y]), xytext=(5, 5), textcoords="offset points",
                            fontsize="small", color=line.get_color())
        _measure_axis(ax.xaxis, ax.set_xlabel, x)
        _measure_axis(ax.yaxis, ax.set_ylabel, y)
        ax.set_ylim(bottom=0)
        ax.set_xlim(left=0)
        ax.set_title(self.workload + (f": {along[0]} along each line" if along else ""), loc="left", fontsize="medium")
        if others:
            ax.legend(frameon=False, fontsize="small")
        return ax

    def __repr__(self) -> str:
        return f"<gort.Sweep {self.workload}: {len(self)} runs over {', '.join(self.varied) or 'nothing'}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(n)}</th>" for n in (*self.varied, *MEASURED))
        rows = "".join("<tr>" + "".join(f"<td>{_text(n, p[n])}</td>" for n in (*self.varied, *MEASURED)) + "</tr>"
                       for p in self.medians())
        picture = _plots.embed(self.plot) if self._rows else ""
        return f"<p>{html.escape(repr(self)[1:-1])}; medians:</p>{picture}<table><tr>{head}</tr>{rows}</table>"


def _text(name: str, value: Any) -> str:
    if name in ("peak_heap", "allocated"):
        return _plots.size_text(value)
    if name.endswith("seconds") or name == "longest_pause":
        return _plots.time_text(value)
    return html.escape(str(value))


def _measure_axis(axis: Any, label: Any, name: str) -> None:
    from matplotlib.ticker import FuncFormatter

    if name in ("peak_heap", "allocated"):
        _plots.byte_ticks(axis)
    elif name in MEASURED and name != "cycles":
        axis.set_major_formatter(FuncFormatter(lambda v, _: _plots.time_text(v)))
    label({"seconds": "time"}.get(name, name.replace("_", " ")))


def _points(workload: str, grid: Mapping[str, Sequence[Any]]) -> "List[Dict[str, Any]]":
    """All combinations, checked before anything runs."""
    known, _ = _workloads.find(workload)
    params = [p.name for p in known.parameters]
    for name, values in grid.items():
        if name not in SETTINGS and name not in params:
            raise ArgumentError(f"{name!r} is neither a setting of a runtime ({', '.join(SETTINGS)}) nor a parameter of "
                                f"{workload} ({', '.join(params) or 'it has none'})")
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            raise ArgumentError(f"{name}: a list of values, not {values!r}")
    points = [dict(zip(grid, values)) for values in itertools.product(*(list(v) for v in grid.values()))]
    for point in points:
        Config(**{k: v for k, v in point.items() if k in SETTINGS})
        known.values({k: v for k, v in point.items() if k not in SETTINGS})
    return points


def sweep(workload: str, grid: Mapping[str, Sequence[Any]], *, repeat: int = 1, executor: Any = None,
          progress: Progress = None) -> Sweep:
    """Runs a workload with all combinations of grid, each `repeat` times.

    grid gives lists of values by name, of settings of Runtime (procs, gogc, ...) and of parameters of the workload:
    sweep("gc_churn", {"gogc": [50, 100, 200], "live": [64]}, repeat=5). executor is a concurrent.futures.Executor or a
    Dask client; without one the runs follow each other here, which is what to do when time is measured. progress is as in
    Runtime.run, and counts runs.
    """
    points = _points(workload, grid)
    if repeat < 1:
        raise ArgumentError(f"repeat is at least 1, not {repeat!r}")
    jobs = [(r, p) for r in range(repeat) for p in points]
    calls = [(workload, {k: v for k, v in p.items() if k in SETTINGS}, {k: v for k, v in p.items() if k not in SETTINGS})
             for _, p in jobs]
    bar = reporter(progress, f"gort sweep {workload}")
    measured: List[Dict[str, Any]] = []
    futures: List[Any] = []
    try:
        bar.show(0, len(jobs))
        if executor is not None:
            futures = [executor.submit(run_once, *call) for call in calls]
        for i, call in enumerate(calls):
            measured.append(futures[i].result() if executor is not None else run_once(*call))
            bar.show(i + 1, len(jobs))
    finally:
        for future in futures[len(measured):]:
            future.cancel()
        bar.close()
    return Sweep(workload, list(grid), [{**p, "repeat": r, **m} for (r, p), m in zip(jobs, measured)])
