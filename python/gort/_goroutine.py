"""What a thread may do while it is a goroutine: see Runtime.attach."""
from ._config import integer
from ._errors import ArgumentError, check
from ._gort import ffi, lib

_MAX_SECONDS = ((1 << 63) - 1) // 10**9


def _inside(code: int, name: str) -> None:
    if code == lib.GORT_EINVAL:
        raise ArgumentError(f"{name} outside a goroutine; see Runtime.attach")
    check(code, name)


def goid() -> int:
    """The number of this goroutine; 0 outside."""
    return lib.gort_goid()


def gosched() -> None:
    """Lets other goroutines run."""
    _inside(lib.binding_gosched(), "gosched")


def sleep(seconds: float) -> None:
    """Blocks this goroutine, and with it this thread, for at least so long."""
    try:
        if not -_MAX_SECONDS <= seconds <= _MAX_SECONDS:
            raise ArgumentError(f"sleep({seconds}) is out of range")
    except TypeError:
        raise ArgumentError(f"sleep takes seconds, not {seconds!r}") from None
    _inside(lib.binding_sleep(int(seconds * 10**9)), "sleep")


def num_goroutine() -> int:
    """How many goroutines the runtime of this one has."""
    n = ffi.new("int *")
    _inside(lib.binding_num_goroutine(n), "num_goroutine")
    return n[0]


def gomaxprocs(n: int = 0) -> int:
    """Sets the number of Ps of this goroutine's runtime if n > 0; returns what it was before."""
    before = ffi.new("int *")
    _inside(lib.binding_gomaxprocs(integer("n", n, 0, 1 << 20), before), "gomaxprocs")
    return before[0]
