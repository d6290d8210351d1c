"""The timeline: a trace as one HTML file, drawn by the script in timeline.html.

The file holds its data, style and script, and fetches nothing. What a browser draws quickly is
bounded, so the newest MAX_SLICES slices are shown, and the page says what is not.
"""
import html
import os
from typing import Any, Dict, List, Optional, Set, Tuple

from . import _slices
from ._trace import Trace, dump, event_name, wait_reason

MAX_SLICES = 300_000
MAX_EMBED = 20_000  # in a notebook, where every output is saved with it
MAX_MARKS = 5_000
MAX_STATES = 10_000  # of one goroutine in a lane; the newest
LANES = 40  # goroutines by each of the orders that the page offers

_TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "timeline.html")


def page(trace: Trace, title: str) -> str:
    """The whole file."""
    with open(_TEMPLATE, encoding="utf-8") as f:
        template = f.read()
    return (template.replace("{{title}}", html.escape(title))
            .replace("{{data}}", dump(data(trace, title))))


def embed(trace: Trace) -> str:
    """The timeline for a notebook; a sentence if it is too large for one."""
    if len(trace) > MAX_EMBED:
        return "<p>The timeline is too large for a notebook: use <code>.to_html(path)</code>.</p>"
    document = html.escape(page(trace, "gort trace"), quote=True)
    return (f'<iframe sandbox="allow-scripts" style="width:100%;height:480px;border:1px solid #ccc"'
            f' srcdoc="{document}"></iframe>')


def data(trace: Trace, title: str) -> Dict[str, Any]:
    """What the script draws. Times are nanoseconds since the first event."""
    slices = _slices.Slices(trace._raw(), trace.lost)
    shown, hidden = _newest(slices.procs)
    marks = sorted([(t, trace._texts.get(text, ""), value) for t, text, value in slices.marks] + slices.instants)
    reasons: Dict[int, int] = {}
    return {
        "title": title,
        "span": slices.last - slices.first,
        "events": trace.events, "kept": len(trace), "dropped": trace.dropped, "lost": trace.lost,
        "hidden": hidden, "goroutineCount": len(slices.goroutines),
        "counts": list(trace.counts.items()),
        "ends": slices.ends,
        "procs": [_proc(slices, p, shown.get(p, [])) for p in sorted(slices.counts)],
        "goroutines": _goroutines(slices),
        "lanes": _lanes(trace, slices, reasons),
        "reasons": {number: wait_reason(number) for number in reasons},
        "spans": [[name, a - slices.first, b - slices.first] for name, a, b in slices.spans],
        "marks": [[t - slices.first, name, value] for t, name, value in marks[-MAX_MARKS:]],
        "hiddenMarks": max(0, len(marks) - MAX_MARKS),
    }


def _newest(procs: Dict[int, list]) -> Tuple[Dict[int, list], int]:
    """The newest MAX_SLICES of all, and how many are left out."""
    total = sum(map(len, procs.values()))
    if total <= MAX_SLICES:
        return procs, 0
    starts = sorted(s[0] for rows in procs.values() for s in rows)
    oldest = starts[total - MAX_SLICES]
    shown = {p: [s for s in rows if s[0] >= oldest] for p, rows in procs.items()}
    return shown, total - sum(map(len, shown.values()))


def _proc(slices: _slices.Slices, p: int, rows: list) -> Dict[str, Any]:
    """Columns rather than rows, and differences rather than times: half the size."""
    out: Dict[str, Any] = {"id": p, "gap": [], "len": [], "goid": [], "end": []}
    before = slices.first
    for start, stop, goid, syscall, end in rows:
        out["gap"].append(start - before)
        out["len"].append(stop - start)
        out["goid"].append(-goid if syscall else goid)
        out["end"].append(end)
        before = stop
    everything = slices.procs.get(p, [])
    out["slices"] = sum(not s[3] for s in everything)
    out["busy"] = sum(s[1] - s[0] for s in everything if not s[3] and s[4] != _slices.UNKNOWN)
    out["counts"] = {event_name(kind): n for kind, n in slices.counts[p].items()}
    return out


def _goroutines(slices: _slices.Slices) -> Dict[str, List[int]]:
    """Columns; -1 for a creation or end that was not seen."""
    def since(t: Optional[int]) -> int:
        return -1 if t is None else t - slices.first

    rows = [slices.goroutines[goid] for goid in sorted(slices.goroutines)]
    return {
        "goid": _differences([g.goid for g in rows]), "creator": [g.creator for g in rows],
        "created": [since(g.created) for g in rows], "ended": [since(g.ended) for g in rows],
        "ran": [g.ran for g in rows], "slices": [g.slices for g in rows],
    }


def _interesting(slices: _slices.Slices) -> Set[int]:
    """The goroutines that get a lane: those that ran longest, most often, and the first ones."""
    known = [g for g in slices.goroutines.values() if g.slices]
    orders = (lambda g: (-g.ran, g.goid), lambda g: (-g.slices, g.goid), lambda g: g.goid)
    return {g.goid for order in orders for g in sorted(known, key=order)[:LANES]}


def _lanes(trace: Trace, slices: _slices.Slices,
           reasons: Dict[int, int]) -> List[Dict[str, Any]]:
    out = []
    for goid, rows in _slices.states(trace._raw(), _interesting(slices)).items():
        for row in rows:
            row[0] -= slices.first
            if row[1] == _slices.BLOCKED:
                reasons[row[2]] = 1
        cut = len(rows) > MAX_STATES
        rows = rows[-MAX_STATES:]
        out.append({"goid": goid, "cut": cut, "time": _differences([r[0] for r in rows]),
                    "state": [r[1] for r in rows], "reason": [r[2] for r in rows]})
    return sorted(out, key=lambda lane: lane["goid"])


def _differences(times: List[int]) -> List[int]:
    return [b - a for a, b in zip([0] + times, times)]
