"""The C workloads that are built in: bindings/workloads."""
import difflib
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ._config import integer
from ._errors import ArgumentError
from ._gort import ffi, lib


@dataclass(frozen=True)
class Parameter:
    name: str
    default: int
    min: int
    max: int
    text: str


@dataclass(frozen=True)
class Workload:
    """A program that Runtime.run knows: its parameters, and what its result means. `data` says what
    the array is for that run(..., data=...) hands over; None: it takes none."""

    name: str
    summary: str
    value: str
    data: Optional[str]
    parameters: Tuple[Parameter, ...]

    def values(self, given: Mapping[str, Any]) -> List[int]:
        """The parameters of a call in order, checked."""
        for name in given:
            if name not in (p.name for p in self.parameters):
                known = ", ".join(p.name for p in self.parameters) or "none"
                raise ArgumentError(f"{self.name} has no parameter {name!r}; it has: {known}")
        return [integer(f"{self.name}: {p.name}", given.get(p.name, p.default), p.min, p.max)
                for p in self.parameters]


class UnknownWorkload(ArgumentError):
    """There is no workload of that name."""


def _text(pointer: Any) -> str:
    return ffi.string(pointer).decode()


def _load() -> "Tuple[Dict[str, Workload], Dict[str, Any]]":
    n = ffi.new("size_t *")
    rows = lib.workload_list(n)
    known, raw = {}, {}
    for w in (rows[i] for i in range(n[0])):
        params = tuple(Parameter(_text(p.name), p.initial, p.min, p.max, _text(p.text))
                       for p in (w.params[i] for i in range(w.nparams)))
        data = _text(w.data) if w.data else None
        name = _text(w.name)
        known[name] = Workload(name, _text(w.summary), _text(w.value), data, params)
        raw[name] = w
    return known, raw


_KNOWN, _RAW = _load()


def workloads() -> Dict[str, Workload]:
    """What Runtime.run takes, by name."""
    return dict(_KNOWN)


def find(name: str) -> "Tuple[Workload, Any]":
    """A workload and its C record."""
    if not isinstance(name, str):
        raise ArgumentError(f"a workload is named by a string, not {name!r}")
    if name not in _KNOWN:
        close = difflib.get_close_matches(name, _KNOWN, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise UnknownWorkload(f"no workload {name!r}{hint}; there are: {', '.join(_KNOWN)}")
    return _KNOWN[name], _RAW[name]


def buffer(workload: Workload, data: Any) -> Any:
    """data as an int64_t array that C may write to: the same memory, never a copy."""
    if workload.data is None:
        raise ArgumentError(f"{workload.name} takes no data")
    try:
        view = memoryview(data)
    except TypeError:
        raise ArgumentError(
            f"data has no buffer: {type(data).__name__}; use array.array('q') or numpy") from None
    with view:
        # "l" is a 64-bit integer on some systems; what counts is the size.
        if view.format.lstrip("@=<") not in ("q", "l") or view.itemsize != 8:
            raise ArgumentError(f"data holds items of format {view.format!r}; it takes int64")
        if view.readonly:
            raise ArgumentError("data is read-only")
        if view.ndim != 1 or not view.c_contiguous:
            raise ArgumentError("data is one row of integers without gaps")
    return ffi.from_buffer("int64_t[]", data, require_writable=True)

