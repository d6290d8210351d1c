"""The picture of a WaitGraph."""
import math
from typing import Any, Dict, List, Tuple

from . import _plots
from ._waits import SHOWN, Label, Node, WaitGraph

PLAIN, RED = _plots.MARK, _plots.GOAL
GOROUTINE, OBJECT = "#dbe9f2", "#f6e7cf"


def _chosen(graph: WaitGraph) -> Tuple[List[Node], List[Node]]:
    """The nodes of the first cycle, and others that are shown: those of edges first."""
    ring = graph.cycles[0] if graph.cycles and len(graph.cycles[0]) <= SHOWN else []
    order: Dict[Node, None] = {}
    for edge in sorted(graph.edges, key=lambda e: not graph.in_cycle(e)):
        order[edge.source] = order[edge.target] = None
    order.update(dict.fromkeys(graph.nodes))
    return ring, [n for n in order if n not in ring][:SHOWN - len(ring)]


def _places(ring: List[Node], rest: List[Node]) -> Dict[Node, Tuple[float, float]]:
    """The ring round 0; beside it two columns, of goroutines and of objects."""
    out: Dict[Node, Tuple[float, float]] = {}
    radius = max(1.1, 0.3 * len(ring)) if ring else 0.0
    for i, node in enumerate(ring):
        angle = math.pi / 2 - 2 * math.pi * i / len(ring)
        out[node] = (1.3 * radius * math.cos(angle), radius * math.sin(angle))
    left = 1.3 * radius + 1.7 if ring else 0.0
    goroutines: List[Node] = [n for n in rest if not isinstance(n, Label)]
    objects: List[Node] = [n for n in rest if isinstance(n, Label)]
    for x, column in ((left, goroutines), (left + 1.9, objects)):
        for i, node in enumerate(column):
            out[node] = (x, 0.8 * ((len(column) - 1) / 2 - i))
    return out


def _text(graph: WaitGraph, node: Node) -> str:
    if isinstance(node, Label):
        return node
    g = graph.goroutines.get(node)
    state = "ended" if g is None else g.wait_reason or g.status
    return f"goroutine {node}\n{state}"


def draw(graph: WaitGraph, ax: Any) -> Any:
    ring, rest = _chosen(graph)
    places = _places(ring, rest)
    xs, ys = [x for x, _ in places.values()] or [0.0], [y for _, y in places.values()] or [0.0]
    width, height = max(xs) - min(xs) + 2.2, max(ys) - min(ys) + 1.6
    ax = _plots.one(ax, (min(12.0, max(4.5, 0.95 * width)), min(9.0, max(2.0, 0.85 * height))))
    ax.set_axis_off()
    ax.set_xlim(min(xs) - 1.1, max(xs) + 1.1)
    ax.set_ylim(min(ys) - 0.8, max(ys) + 0.8)
    boxes = {}
    for node, (x, y) in places.items():
        thing = isinstance(node, Label)
        boxes[node] = ax.text(
            x, y, _text(graph, node), ha="center", va="center", fontsize="small", zorder=3,
            bbox=dict(boxstyle="square,pad=0.4" if thing else "round,pad=0.5,rounding_size=0.9",
                      facecolor=OBJECT if thing else GOROUTINE,
                      edgecolor=RED if node in ring else PLAIN, linewidth=1.4 if node in ring else 0.8))
    for edge in graph.edges:
        if edge.source not in places or edge.target not in places:
            continue
        colour = RED if graph.in_cycle(edge) else PLAIN
        back = edge.source not in ring and isinstance(edge.source, Label)
        style = dict(arrowstyle="-|>", color=colour, linewidth=1.3, linestyle="-" if edge.text == "waits for" else "--",
                     patchA=boxes[edge.source].get_bbox_patch(), patchB=boxes[edge.target].get_bbox_patch(),
                     shrinkA=2, shrinkB=2, connectionstyle=f"arc3,rad={0.25 if back else 0.0}")
        ax.annotate("", places[edge.target], places[edge.source], zorder=2, arrowprops=style)
    shown, total = len(places), len(graph.nodes)
    more = f"; {shown} of {total} shown" if shown < total else ""
    cycles = {0: "", 1: ", a cycle"}.get(len(graph.cycles), f", {len(graph.cycles)} cycles")
    ax.set_title(f"solid: waits for, dashed: held by{cycles}{more}", loc="left", fontsize="small", color=PLAIN)
    return ax
