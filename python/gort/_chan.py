"""Chan: a channel of Python values.

The channel itself is the library's. It carries integers and floating-point numbers as they are; of other values it
carries a key, and the value waits in a dictionary here, in a box whose identity is the key. So what is left in a
channel belongs to its Chan: it goes with it, and Python's collector finds a channel that holds itself. (Owned pointers
in the library's memory would be seen by neither collector.)

A channel is made in a runtime, by the first goroutine that uses it, and belongs to that runtime from then on.
"""
import operator
import threading
from typing import Any, Dict, Generic, Iterator, List, Optional, Type, TypeVar

from ._config import integer
from ._errors import ArgumentError, ClosedError
from ._gort import ffi, lib
from ._home import Home
from ._inside import blocking, checked, here, home, nanoseconds
from ._unique import Unique

T = TypeVar("T")

_WORDS = {int: lib.BINDING_INT, float: lib.BINDING_FLOAT}
_TYPES = (int, float, str, bytes, object)
_making = threading.Lock()


class Chan(Unique, Generic[T]):
    """Go's make(chan type, cap). type: int (64 bits), float, str, bytes, or object, which takes every value. cap: how
    many values it holds before senders wait; 0: each waits for a receiver.

    All but len, cap and repr is for goroutines: callables of `Runtime.run` and `go`, threads within `Runtime.attach`;
    others get ArgumentError, as do goroutines of another runtime than the one where it was used first. Methods that
    block take a timeout in seconds: None waits for ever, 0 does not wait; when it is over they raise TimeoutError."""

    def __init__(self, type: Type[T] = object, cap: int = 0):  # type: ignore[assignment]
        if type not in _TYPES:
            raise ArgumentError(f"a channel is of int, float, str, bytes or object, not {type!r}")
        self._type = type
        self._cap = integer("cap", cap, 0, (1 << 62) - 1)
        self._home: Optional[Home] = None
        self._cell: Any = None
        self._boxes: Dict[int, List[Any]] = {}
        if here.home is not None:
            self._at("Chan")

    def __del__(self) -> None:
        if getattr(self, "_cell", None) is not None and self._home is not None:
            self._home.dead.append(self._cell)

    def __repr__(self) -> str:
        return f"<gort.Chan {self._type.__name__} cap={self._cap}>"

    # ---- Where it is ----

    def _at(self, doing: str) -> Any:
        """Its binding_chan, in the runtime of this goroutine."""
        mine = home(doing)
        if self._home is not mine:
            if self._home is None:
                self._make(mine)
            if self._home is not mine:
                raise ArgumentError(f"{doing}: the channel belongs to another runtime")
        return self._cell

    def _make(self, mine: Home) -> None:
        """Several may be here at once, and the first to be through has made it. Without the lock: another goroutine may
        go on in the middle of it, and under a seed nobody else would if that one stopped at the lock."""
        cell = mine.cell()
        code = lib.binding_chan_make(cell, _WORDS.get(self._type, lib.BINDING_KEY), self._cap, here.text)
        if code == 0:
            with _making:
                if self._home is None:
                    self._cell, self._home = cell, mine
                    return
        mine.dead.append(cell)
        checked(code, f"a channel for {self._cap} values")

    # ---- Values ----

    def _pack(self, value: Any, word: Any) -> int:
        """Stores value as the channel carries it. Returns its key; 0: it has none."""
        if self._type is int:
            word.i = operator.index(value)
        elif self._type is float:
            word.f = value
        elif isinstance(value, self._type):
            box = [value]
            word.key = key = id(box)
            self._boxes[key] = box
            return key
        else:
            raise TypeError(f"the channel carries {self._type.__name__}, not {type(value).__name__}")
        return 0

    def _unpack(self, word: Any) -> Any:
        if self._type is int:
            return word.i
        if self._type is float:
            return word.f
        return self._boxes.pop(word.key)[0]

    def _forget(self, key: int) -> None:
        """What had this key was not sent."""
        self._boxes.pop(key, None)

    # ---- Operations ----

    def send(self, value: T, timeout: Optional[float] = None) -> None:
        """Sends a value. PanicError: the channel is closed. TypeError, OverflowError: it carries no such value."""
        cell, ns = self._at("send"), nanoseconds(timeout, "send")
        word = ffi.new("binding_word *")
        key = self._pack(value, word)
        code = blocking(lambda ns: lib.binding_chan_send(cell, word, ns, here.text), ns)
        # After an exception nobody knows whether it was sent: then the value stays, as long as the channel.
        if code != 0:
            self._forget(key)
            checked(code, "send")

    def recv(self, timeout: Optional[float] = None) -> T:
        """Receives a value. ClosedError: the channel is closed and empty."""
        cell, ns = self._at("recv"), nanoseconds(timeout, "recv")
        word = ffi.new("binding_word *")
        checked(blocking(lambda ns: lib.binding_chan_recv(cell, word, ns, here.text), ns), "recv")
        return self._unpack(word)

    def close(self) -> None:
        """Says that no more values come; what is in the channel can still be received. PanicError: it is closed."""
        checked(lib.binding_chan_close(self._at("close"), here.text), "close")

    def __iter__(self) -> Iterator[T]:
        """The values that come, until the channel is closed."""
        while True:
            try:
                value = self.recv()
            except ClosedError:
                return
            yield value

    def __len__(self) -> int:
        """How many values it holds now."""
        mine = self._home
        if mine is None:
            return 0
        if here.home is mine:
            return self._count()
        try:
            return mine.call_as_goroutine(self._count)  # any thread may ask, also while another one closes the runtime
        except ClosedError:
            return 0

    def _count(self, pointer: Any = None) -> int:
        n = ffi.new("size_t *")
        checked(lib.binding_chan_len(self._cell, n), "len")
        return n[0]

    def __bool__(self) -> bool:
        return True

    @property
    def cap(self) -> int:
        """How many values it holds before senders wait."""
        return self._cap
