"""select: waits for one of several channels."""
from typing import Any, Optional, Tuple

from ._chan import Chan
from ._errors import ArgumentError
from ._gort import ffi, lib
from ._inside import blocking, checked, here, home, nanoseconds


def _parts(case: Any) -> "Tuple[Optional[Chan[Any]], int, Any]":
    """channel, direction, value to send"""
    if case is None or isinstance(case, Chan):
        return case, lib.GORT_RECV, None
    if isinstance(case, tuple) and len(case) == 2 and isinstance(case[0], (Chan, type(None))):
        return case[0], lib.GORT_SEND, case[1]
    raise ArgumentError(f"a case is a Chan, to receive, or (Chan, value), to send; not {case!r}")


def select(*cases: Any, timeout: Optional[float] = None) -> "Tuple[int, Any, bool]":
    """Go's select: waits until one of the cases can be done, and does it; one by chance if several can. A Chan
    receives, a pair (Chan, value) sends; None in place of a Chan is never ready.

    Returns (index of the case, value, ok): what was received, and False as ok, with None, when that channel is closed
    and empty; for a send (index, None, True). timeout is in seconds: None waits for ever, 0 is Go's `default`; when it
    is over TimeoutError is raised. PanicError: the case that was chosen sends on a closed channel."""
    mine, ns = home("select"), nanoseconds(timeout, "select")
    parts = [_parts(case) for case in cases]
    if len(parts) > 65535:
        raise ArgumentError("select takes at most 65535 cases")
    rows = ffi.new("binding_case[]", max(len(parts), 1))
    keys = [0] * len(parts)
    try:
        for i, (chan, direction, value) in enumerate(parts):
            rows[i].dir = direction
            if chan is not None:
                rows[i].cell = chan._at("select")
                if direction == lib.GORT_SEND:
                    keys[i] = chan._pack(value, rows[i].value)
    except BaseException:
        _forget(parts, keys, -1)
        raise
    chosen = blocking(lambda ns: lib.binding_select(mine.pointer, rows, len(parts), ns, here.text), ns)
    _forget(parts, keys, chosen)
    checked(chosen, "select")
    chan, direction, _ = parts[chosen]
    if direction == lib.GORT_SEND:
        return chosen, None, True
    assert chan is not None
    return (chosen, chan._unpack(rows[chosen].value), True) if rows[chosen].ok else (chosen, None, False)


def _forget(parts: Any, keys: Any, sent: int) -> None:
    for i, key in enumerate(keys):
        if key and i != sent:
            parts[i][0]._forget(key)
