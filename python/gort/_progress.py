"""Shows how far a run is, from the thread that waits for it.

The workload counts in one atomic word; nothing here runs inside the runtime.
"""
import sys
from typing import Any, Callable, Optional, Union

DELAY = 1.0  # seconds before a bar appears: short runs show none

Progress = Union[None, bool, Callable[[int, int], Any]]


class _Silent:
    def show(self, done: int, total: int) -> None:
        pass

    def close(self) -> None:
        pass


class _Callback(_Silent):
    def __init__(self, callback: Callable[[int, int], Any]):
        self.show = callback  # type: ignore[method-assign]


class _Bar(_Silent):
    def __init__(self, tqdm: Any, title: str):
        terminal = sys.stderr.isatty()
        self.bar = tqdm(desc=title, total=None, file=sys.stderr, delay=DELAY, leave=False,
                        unit_scale=True, mininterval=0.1 if terminal else 2.0)

    def show(self, done: int, total: int) -> None:
        if total:
            self.bar.total = total
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        self.bar.close()


def reporter(progress: Progress, title: str) -> _Silent:
    """None: a bar if somebody sits at the terminal; True, False: a bar or none; or a function of
    (done, total)."""
    if callable(progress):
        return _Callback(progress)
    if progress is None:
        progress = sys.stderr is not None and sys.stderr.isatty()
    tqdm = _tqdm() if progress and sys.stderr is not None else None
    return _Bar(tqdm, title) if tqdm else _Silent()


def _tqdm() -> Optional[Any]:
    try:
        from tqdm import tqdm
    except ImportError:
        return None  # a bar is a comfort, not a need
    return tqdm
