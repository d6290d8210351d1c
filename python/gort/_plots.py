"""What the charts share. matplotlib is imported only here, and only when somebody wants to see one."""
import base64
import io
import math
from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple

if TYPE_CHECKING:
    import matplotlib.axes

# Of things that stand side by side in most charts: colours that differ in brightness, too.
LIVE, GARBAGE, FREE, WASTE = "#2a6f97", "#e9a03b", "#e4e7ea", "#b9bec4"
LINE, GOAL, MARK = "#2a6f97", "#c1443c", "#5c6670"


def one(ax: "Optional[matplotlib.axes.Axes]", size: Tuple[float, float] = (7, 4)) -> "matplotlib.axes.Axes":
    """ax, or that of a new figure."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=size, layout="constrained")[1]
    return plain(ax)


def plain(ax: Any) -> Any:
    """Without the lines that say nothing."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def column(n: int, heights: Tuple[float, ...], size: Tuple[float, float]) -> Any:
    """n axes, one below the other, with one axis of x."""
    import matplotlib.pyplot as plt

    axes = plt.subplots(n, 1, figsize=size, sharex=True, layout="constrained",
                        gridspec_kw={"height_ratios": heights})[1]
    return [plain(ax) for ax in axes]


def byte_ticks(axis: Any) -> None:
    """KiB, MiB, ... at places that are round in powers of two."""
    from matplotlib.ticker import FuncFormatter, Locator

    class Binary(Locator):
        def __call__(self) -> Any:
            return self.tick_values(*axis.get_view_interval())

        def tick_values(self, low: float, high: float) -> Any:
            step = 2 ** math.ceil(math.log2(max(high - low, 1) / 6))
            return [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]

    axis.set_major_locator(Binary())
    axis.set_major_formatter(FuncFormatter(lambda v, _: size_text(v)))


def size_text(n: float) -> str:
    """1536 -> "1.5 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(n) < 1024 or unit == "GiB":
            break
        n /= 1024
    return f"{n:.3g} {unit}" if n < 1000 else f"{n:.0f} {unit}"


def time_text(seconds: float) -> str:
    """0.0015 -> "1.5 ms"."""
    for unit, least in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= least:
            return f"{seconds / least:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns" if seconds else "0"


def histogram(times: Any, ax: Any = None) -> Any:
    """Of a gort.Histogram of seconds: bars from bound to bound on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    ax = one(ax)
    rows = [(low, high, n) for low, high, n in times.rows() if low is not None and high is not None and high > 0]
    low = [max(a, b / 2) if a <= 0 else a for a, b, _ in rows]
    ax.bar(low, [n for _, _, n in rows], width=[b - a for a, (_, b, _) in zip(low, rows)], align="edge", color=LINE,
           edgecolor="white", linewidth=0.5)
    if rows:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(numticks=12))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: time_text(v)))
        ax.set_xlim(min(low) / 2, max(b for _, b, _ in rows) * 2)
        for q, name in ((0.5, "half"), (0.99, "99 %")):
            at = times.quantile(q)
            ax.axvline(at, color=GOAL, linewidth=1, linestyle="--")
            ax.annotate(f"{name} ≤ {time_text(at)}", (at, 1), xycoords=("data", "axes fraction"), xytext=(3, -9 if q < 0.9 else -22),
                        textcoords="offset points", fontsize="small", color=GOAL)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel("how many")
    ax.set_xlabel("how long")
    ax.set_title(f"{times.total} times", loc="left", fontsize="medium")
    return ax


def embed(draw: Callable[[], Any]) -> str:
    """An <img> of the figure of the axes (or the list of them) that draw() returns; "" without matplotlib."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return ""
    axes = draw()
    figure = (axes[0] if isinstance(axes, (list, tuple)) else axes).figure
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    plt.close(figure)
    return f'<img src="data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}">'
