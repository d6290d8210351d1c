"""Charts of a Heap: bytes by size of object, and pages by address."""
from typing import TYPE_CHECKING, Any, List, Tuple

from . import _plots

if TYPE_CHECKING:
    import numpy

    from ._heap import Heap

GAP = 512     # pages: a longer gap between spans is not drawn, a new row begins
WIDEST = 256  # pages in a row


def _rows(heap: "Heap") -> "List[Tuple[Any, ...]]":
    """For each size of object: its name, bytes of live objects, of garbage, of room, and what is left over."""
    page = heap.info["page"]
    spans = heap.spans.assign(
        live_bytes=heap.spans["live"] * heap.spans["size"],
        garbage=(heap.spans["used"] - heap.spans["live"]) * heap.spans["size"],
        room=heap.spans["free"] * heap.spans["size"],
        rest=heap.spans["pages"] * page - heap.spans["objects"] * heap.spans["size"])
    out = []
    for (klass, noscan), group in spans.groupby(["class", "noscan"]):
        name = _plots.size_text(int(group["size"].iloc[0])) if klass else "large"
        sums = group[["live_bytes", "garbage", "room", "rest"]].sum()
        key = int(group["size"].iloc[0]) if klass else 1 << 60
        out.append((key, noscan, (name + (" data" if noscan else ""), *map(int, sums))))
    return [row for _, _, row in sorted(out)]


def by_class(heap: "Heap", ax: Any = None) -> Any:
    rows = _rows(heap)
    ax = _plots.one(ax, (7, 1.2 + 0.26 * max(len(rows), 3)))
    left = [0] * len(rows)
    for i, (label, colour) in enumerate((("live", _plots.LIVE), ("garbage", _plots.GARBAGE), ("free", _plots.FREE),
                                         ("left over", _plots.WASTE)), 1):
        sizes = [row[i] for row in rows]
        ax.barh(range(len(rows)), sizes, left=left, color=colour, label=label, height=0.8)
        left = [a + b for a, b in zip(left, sizes)]
    for y, (row, end) in enumerate(zip(rows, left)):
        ax.annotate(f"{_plots.size_text(row[1])} live of {_plots.size_text(end)}", (end, y), xytext=(4, 0),
                    textcoords="offset points", va="center", fontsize="small", color=_plots.MARK)
    ax.set_yticks(range(len(rows)), [row[0] for row in rows])
    ax.set_ylim(max(len(rows), 3) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0, max(left, default=0) * 1.35 or 1)
    _plots.byte_ticks(ax.xaxis)
    ax.set_title("Spans by size of object", loc="left", fontsize="medium")
    ax.legend(frameon=False, ncols=4, fontsize="small", loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2,
              columnspacing=1, handlelength=1)
    return ax


NO_SPAN, NO_PAGE = -1.0, -2.0  # instead of a part


def _parts(heap: "Heap") -> "numpy.ndarray":
    """For each page in order of address the live part of its span and the part that is garbage; NO_SPAN; nan: here a
    new row begins."""
    import numpy as np

    page = heap.info["page"]
    spans = heap.spans
    first, pages = spans["address"].to_numpy() // page, spans["pages"].to_numpy()
    room = (spans["pages"] * page).to_numpy()
    live = (spans["live"] * spans["size"]).to_numpy() / room
    garbage = ((spans["used"] - spans["live"]) * spans["size"]).to_numpy() / room
    pieces = []
    for i in range(len(spans)):
        gap = int(first[i] - first[i - 1] - pages[i - 1]) if i else 0
        if gap:
            pieces.append(np.full((1, 2), np.nan) if gap > GAP else np.full((gap, 2), NO_SPAN))
        pieces.append(np.tile([live[i], garbage[i]], (int(pages[i]), 1)))
    return np.concatenate(pieces) if pieces else np.full((1, 2), NO_SPAN)


def _in_rows(parts: "numpy.ndarray", width: int) -> "numpy.ndarray":
    import numpy as np

    rows = []
    for block in np.split(parts, np.flatnonzero(np.isnan(parts[:, 0]))):
        block = block[~np.isnan(block[:, 0])]
        rows.append(np.pad(block, ((0, -len(block) % width), (0, 0)), constant_values=NO_PAGE))
    return np.concatenate(rows).reshape(-1, width, 2)


def pages(heap: "Heap", ax: Any = None) -> Any:
    import numpy as np
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    parts = _parts(heap)
    width = int(min(WIDEST, max(16, 2 ** round(np.log2(max(len(parts), 1) * 2) / 2))))
    cells = _in_rows(parts, width)
    ax = _plots.one(ax, (7, min(9.0, 1.2 + 6 * len(cells) / width)))
    live, garbage, free = (np.array(to_rgb(c)) for c in (_plots.LIVE, _plots.GARBAGE, _plots.FREE))
    share = np.clip(cells, 0, 1)
    rest = np.clip(1 - share.sum(axis=2, keepdims=True), 0, 1)
    image = share[:, :, :1] * live + share[:, :, 1:] * garbage + rest * free
    image[cells[:, :, 0] < 0] = 1.0
    ax.imshow(image, interpolation="nearest", aspect="auto", extent=(0, width, len(cells), 0))
    for side in ax.spines.values():
        side.set_visible(True)
        side.set_color(_plots.WASTE)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(f"Pages of {heap.info['page'] >> 10} KiB, {width} in a row", loc="left", fontsize="medium")
    ax.legend(handles=[Patch(color=_plots.LIVE, label="live"), Patch(color=_plots.GARBAGE, label="garbage"),
                       Patch(color=_plots.FREE, label="free"),
                       Patch(facecolor="white", edgecolor=_plots.WASTE, label="in no span")],
              frameon=False, ncols=4, fontsize="small", loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2,
              columnspacing=1, handlelength=1)
    return ax


def both(heap: "Heap") -> Any:
    """The two beside each other; their axes."""
    import matplotlib.pyplot as plt

    height = max(4.0, 1.2 + 0.26 * len(_rows(heap)))
    axes = plt.subplots(1, 2, figsize=(13, min(height, 9)), layout="constrained")[1]
    return [pages(heap, _plots.plain(axes[0])), by_class(heap, _plots.plain(axes[1]))]
