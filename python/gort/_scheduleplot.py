"""The picture of a Timeline."""
from typing import Any, List

from . import _plots

RUNS, READY, WAITS, DARK = _plots.LINE, "#d4e3ee", "#f3e2c7", "#12344d"
LANES = 30   # at most
NAMED = 16   # of more choices the steps are not written beside their lines
UNIT = 0.19  # inches for an event


def _goids(timeline: Any, first: int) -> List[int]:
    """Those that have a bar in what is shown, those that did most if they are too many."""
    seen = {g: sum(b.state == "runs" for b in bars if b.end > first) for g, bars in timeline.lanes.items()
            if any(b.end > first for b in bars)}
    return sorted(sorted(seen, key=lambda g: (-seen[g], g))[:LANES])


def draw(timeline: Any, ax: Any, last: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    n = len(timeline.events)
    end = max([n, *(bar.end for bars in timeline.lanes.values() for bar in bars)])
    first = max(0, n - last)
    goids = _goids(timeline, first)
    row = {goid: i for i, goid in enumerate(goids)}
    new = ax is None
    ax = _plots.one(ax, (min(18.0, max(6.0, 1.5 + UNIT * (end - first))), 1.3 + 0.62 * max(1, len(goids))))
    for goid in goids:
        for bar in timeline.lanes[goid]:
            if bar.end > first:
                _bar(ax, bar, row[goid], first)
        for mark in timeline.marks.get(goid, ()):
            if mark.at >= first:
                _mark(ax, mark, row[goid])
    shown = [(at, choice) for at, choice in timeline.choices if at >= first]
    for k, (at, choice) in enumerate(shown):
        _choice(ax, at, choice, k, row.get(choice.goid), len(shown) <= NAMED)
    ax.set_yticks(range(len(goids)), [f"goroutine {g}" for g in goids])
    ax.set_ylim(len(goids) - 0.3, -0.8)
    ax.set_xlim(first, end + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(f"events, in their order ({timeline.schedule.steps} steps)")
    hidden = len(timeline.lanes) - len(goids)
    parts = [f"seed {timeline.schedule.seed}: {_count(len(timeline.schedule), 'choice')}",
             f"first {first} events not shown" if first else "", f"{hidden} goroutines not shown" if hidden else ""]
    ax.set_title(", ".join(p for p in parts if p), loc="left", fontsize="medium", pad=24 if timeline.choices else 6)
    if new:
        _legend(ax)
    return ax


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _bar(ax: Any, bar: Any, y: int, first: int) -> None:
    start = max(bar.start, first)
    colour, height = {"runs": (RUNS, 0.44), "ready": (READY, 0.16), "waits": (WAITS, 0.44)}[bar.state]
    ax.barh(y, bar.end - start, left=start, height=height, color=colour, edgecolor="white", linewidth=0.6, zorder=2)
    if bar.state == "waits":
        room = int((bar.end - start) * 2.4)
        text = bar.label if len(bar.label) <= room else bar.label.split(": ")[-1]
        if len(text) <= room:
            ax.text((start + bar.end) / 2, y, text, ha="center", va="center", fontsize=7, color="#6b4e16", zorder=4,
                    clip_on=True)


def _mark(ax: Any, mark: Any, y: int) -> None:
    up = mark.event not in ("unlock", "go_end")
    ax.plot([mark.at + 0.5], [y], marker={"lock": "^", "unlock": "v"}.get(mark.event, "."), markersize=4, color="white",
            markeredgecolor=DARK, markeredgewidth=0.6, zorder=5)
    ax.text(mark.at + 0.5, y - 0.25 if up else y + 0.25, mark.label, rotation=35 if up else -35, ha="left",
            va="bottom" if up else "top", rotation_mode="anchor", fontsize=6.5, color=DARK, zorder=6, clip_on=False)


def _choice(ax: Any, at: int, choice: Any, k: int, y: Any, named: bool) -> None:
    ax.axvline(at, color=_plots.GOAL, linewidth=1, linestyle="--", zorder=1)
    if y is not None:
        ax.plot([at], [y], marker="D", markersize=5, color=_plots.GOAL, zorder=7)
    if not named:
        return
    ax.annotate(f"step {choice.step}: g{choice.goid}", (at, 1), xycoords=("data", "axes fraction"),
                xytext=(0, 2 + 8 * (k % 2)), textcoords="offset points", fontsize=6.5, color=_plots.GOAL, ha="center",
                va="bottom", annotation_clip=False)


def _legend(ax: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    states = [Patch(color=colour, label=text) for colour, text in
              ((RUNS, "runs"), (READY, "could run"), (WAITS, "waits for"))]
    choice = Line2D([], [], color=_plots.GOAL, linestyle="--", marker="D", markersize=4, label="choice")
    ax.legend(handles=[*states, choice], loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False, fontsize="small")
