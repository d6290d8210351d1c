"""The settings of a runtime.

A setting that nobody gave is not passed on, so the library's defaults and the environment
(GOMAXPROCS, GOGC, GOMEMLIMIT, GODEBUG) hold, as in C. Later beats earlier: environment, option
string, keyword.
"""
import operator
from dataclasses import dataclass, fields
from typing import Any, List, Optional, Tuple

from ._errors import ArgumentError
from ._gort import ffi, lib


@dataclass(frozen=True)
class Config:
    """What a Runtime is made from.

    options       the option string of the library: "procs=4,gogc=50,memlimit=64MiB,seed=7"
    procs         how many Ps, GOMAXPROCS; 0 = one for each CPU
    gogc          GOGC in percent; negative or "off" = no collections
    memory_limit  GOMEMLIMIT in bytes
    stack_size    address space of a goroutine's stack in bytes; 0 = the library's default
    collector     "concurrent", "stw" or "none"
    seed          0 = production scheduler; else reproducible, in virtual time
    debug         the switches of GODEBUG: "gctrace=1,schedtrace=1000"
    library       True: other threads may bring work any time, so nothing is a deadlock
    """

    options: Optional[str] = None
    procs: Optional[int] = None
    gogc: "Optional[int | str]" = None
    memory_limit: Optional[int] = None
    stack_size: Optional[int] = None
    collector: Optional[str] = None
    seed: Optional[int] = None
    debug: Optional[str] = None
    library: bool = False

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (name == "gogc" and value == "off"):
                object.__setattr__(self, name, integer(name, value, low, high))
        for name in ("options", "collector", "debug"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or "\0" in value):
                raise ArgumentError(f"{name} is a string, not {value!r}")

    def to_c(self) -> "Tuple[Any, List[Any]]":
        """A gort_config, and what its pointers need to stay alive."""
        cfg = ffi.new("gort_config *")
        lib.gort_config_init_sized(cfg, ffi.sizeof("gort_config"))
        keep: List[Any] = []
        if self.options:
            keep.append(_parse(cfg, self.options))
        for name, field in (("procs", "procs"), ("memory_limit", "memory_limit"),
                            ("stack_size", "stack_size"), ("seed", "seed")):
            if getattr(self, name) is not None:
                setattr(cfg, field, getattr(self, name))
        if self.gogc is not None:
            cfg.gc_percent = -1 if self.gogc == "off" else self.gogc
        for name in ("collector", "debug"):
            if getattr(self, name) is not None:
                keep.append(ffi.new("char[]", getattr(self, name).encode()))
                setattr(cfg, name, keep[-1])
        # A fatal error is an exception here; it must not exit(2) with the interpreter.
        cfg.flags &= ~lib.GORT_EXIT_ON_FATAL
        if self.library:
            cfg.flags |= lib.GORT_LIBRARY
        return cfg, keep

    def given(self) -> str:
        """The settings that somebody gave, for reprs."""
        return ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self)
                         if getattr(self, f.name) not in (None, False))


RANGES = {
    "procs": (0, 1 << 20),
    "gogc": (-(1 << 31), (1 << 31) - 1),
    "memory_limit": (0, (1 << 63) - 1),
    "stack_size": (0, (1 << (8 * ffi.sizeof("size_t") - 1)) - 1),
    "seed": (0, (1 << 64) - 1),
}


def integer(name: str, value: Any, low: int, high: int) -> int:
    """value as an int in [low, high]."""
    try:
        value = operator.index(value)
    except TypeError:
        raise ArgumentError(f"{name} is an integer, not {value!r}") from None
    if not low <= value <= high:
        raise ArgumentError(f"{name}={value} is out of range: {low} to {high}")
    return value


def _parse(cfg: Any, options: str) -> Any:
    text = ffi.new("char[]", options.encode())
    if lib.gort_config_parse(cfg, text) == 0:
        return text
    # The library says only that something is wrong; say what. debug= takes the rest.
    head, debug, _ = options.partition("debug=")
    for part in head.rstrip(",").split(",") if head else []:
        if lib.gort_config_parse(ffi.new("gort_config *", cfg[0]), part.encode()) != 0:
            raise ArgumentError(f"unknown name or value in the options {options!r}: {part!r}")
    raise ArgumentError(f"unknown name or value in the options {options!r}")
