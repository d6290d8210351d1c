"""What a goroutine may do beside channels and locks."""
from ._config import integer
from ._errors import ArgumentError
from ._gort import ffi, lib
from ._inside import blocking, checked, dropped, here

_MAX_SECONDS = ((1 << 63) - 1) // 10**9


def goid() -> int:
    """The number of this goroutine; 0 outside."""
    return lib.gort_goid()


def gosched() -> None:
    """Lets other goroutines run."""
    code = lib.binding_gosched()
    if code == lib.GORT_ECANCELED:
        if here.goroutine is not None:
            raise dropped()
        return  # an attached thread goes on, and this does not block
    checked(code, "gosched")


def sleep(seconds: float) -> None:
    """Blocks this goroutine, and with it this thread, for at least so long."""
    try:
        if not -_MAX_SECONDS <= seconds <= _MAX_SECONDS:
            raise ArgumentError("sleep: the time is out of range")  # without it: it may have too many digits
    except TypeError:
        raise ArgumentError(f"sleep takes seconds, not {seconds!r}") from None
    code = blocking(_slept, max(0, int(seconds * 10**9)))
    if code != lib.GORT_ETIMEDOUT:
        checked(code, "sleep")


def _slept(ns: int) -> int:
    """A sleep is a wait for nothing: it ends when its time is over."""
    code = lib.binding_sleep(ns)
    return lib.GORT_ETIMEDOUT if code == 0 else code


def num_goroutine() -> int:
    """How many goroutines the runtime of this one has."""
    n = ffi.new("int *")
    checked(lib.binding_num_goroutine(n), "num_goroutine")
    return n[0]


def gomaxprocs(n: int = 0) -> int:
    """Sets the number of Ps of this goroutine's runtime if n > 0; returns what it was before."""
    before = ffi.new("int *")
    checked(lib.binding_gomaxprocs(integer("n", n, 0, 1 << 20), before), "gomaxprocs")
    return before[0]


def nanotime() -> int:
    """Nanoseconds of a clock that only goes on; in a goroutine of a seeded runtime they are virtual: the clock stands
    while a goroutine can run, and jumps to the next timer when none can. Anybody may call it."""
    return lib.gort_nanotime()
