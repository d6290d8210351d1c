"""Trace: the events of one run.

The events stay in the library's buffer, 64 bytes each, and become Python objects only when somebody
asks. What names they use (user marks) belongs to the runtime, so it is copied while that lives: a
Trace may be kept after the runtime is closed.
"""
import html
import json
import os
import struct
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from ._config import integer
from ._errors import check
from ._gort import ffi, lib
from ._unique import Unique

if TYPE_CHECKING:
    import pandas

    Path = Union[str, "os.PathLike[str]"]

CHUNK = 1 << 14  # events copied at a time: a megabyte

# gort_event as struct sees it: time, goid, thread, p, id, unused, args[3], text.
_LAYOUT = struct.Struct("@qQIiIIQQQP0q")
if _LAYOUT.size != ffi.sizeof("gort_event"):
    raise ImportError("gort_event of the library is not the one this package knows")

Raw = Tuple[int, int, int, int, int, int, int, int, int, int]


def _table(lookup: Any, first: int) -> List[str]:
    names = [""] * first
    while lookup(len(names)) != ffi.NULL:
        names.append(ffi.string(lookup(len(names))).decode())
    return names


EVENT_NAMES = _table(lib.gort_event_name, 1)  # by id


def event_name(number: int) -> str:
    return EVENT_NAMES[number] if 0 < number < len(EVENT_NAMES) else f"event_{number}"


def wait_reason(number: int) -> str:
    """Why a goroutine blocks, in Go's words."""
    text = lib.gort_wait_reason(number) if number < 1 << 32 else ffi.NULL
    return ffi.string(text).decode() if text != ffi.NULL else f"reason {number}"


class Event(NamedTuple):
    """One event: see gort_event and GORT_EV_* in gort.h. Times are nanoseconds of one clock; p is
    -1 where there is none, goid 0."""

    time: int
    event: str
    goid: int
    thread: int
    p: int
    args: Tuple[int, int, int]
    text: Optional[str] = None

    @property
    def reason(self) -> Optional[str]:
        """Of go_block: what the goroutine waits for."""
        return wait_reason(self.args[0]) if self.event == "go_block" else None


class Trace(Unique):
    """The events of a run in the order in which they happened: a cause comes before its effects.

    len() counts the events kept. `events` counts all that happened, `dropped` those that were
    let go because newer ones needed the room, `lost` those that came too fast to be recorded.
    """

    DEFAULT_MAX = 1_000_000

    def __init__(self, maximum: int = DEFAULT_MAX):
        out = ffi.new("binding_trace **")
        check(lib.binding_trace_new(out, maximum), "trace")
        self._pointer = ffi.gc(out[0], lib.binding_trace_free)
        self._texts: Dict[int, str] = {}
        self._totals = ffi.new("binding_trace_totals *")
        self._len = 0

    def _start(self, runtime: Any) -> None:
        check(lib.binding_trace_start(self._pointer, runtime, lib.GORT_TRACE_ALL), "trace")

    def _stop(self, runtime: Any) -> None:
        check(lib.gort_trace_stop(runtime), "trace")
        lib.binding_trace_read_totals(self._pointer, self._totals)
        self._len = lib.binding_trace_len(self._pointer)
        if self._totals.counts[lib.GORT_EV_USER]:
            for raw in self._raw():
                if raw[9] and raw[9] not in self._texts:
                    text = ffi.string(ffi.cast("const char *", raw[9]))
                    self._texts[raw[9]] = text.decode(errors="replace")

    # ---- Counts ----

    @property
    def events(self) -> int:
        return self._totals.events

    @property
    def dropped(self) -> int:
        return self._totals.events - self._len

    @property
    def lost(self) -> int:
        return self._totals.lost

    @property
    def counts(self) -> Dict[str, int]:
        """How many there were of each event, those dropped included; the most frequent first."""
        rows = [(event_name(i), n) for i, n in enumerate(self._totals.counts) if n]
        return dict(sorted(rows, key=lambda row: (-row[1], row[0])))

    def summary(self) -> Dict[str, Any]:
        """The counts, ready for JSON."""
        return {"events": self.events, "kept": len(self), "dropped": self.dropped,
                "lost": self.lost, "counts": self.counts}

    # ---- Events ----

    def __len__(self) -> int:
        return self._len

    def __iter__(self) -> Iterator[Event]:
        return map(self._event, self._raw())

    def __getitem__(self, i: Union[int, slice]) -> Union[Event, List[Event]]:
        if isinstance(i, slice):
            return [self._at(k) for k in range(*i.indices(self._len))]
        i = integer("index", i, -(1 << 62), 1 << 62)
        if not -self._len <= i < self._len:
            raise IndexError(f"event {i} of {self._len}")
        return self._at(i % self._len)

    def _at(self, i: int) -> Event:
        return self._event(_LAYOUT.unpack(self._bytes(i, 1)))

    def _event(self, raw: Raw) -> Event:
        return Event(raw[0], event_name(raw[4]), raw[1], raw[2], raw[3], raw[6:9],
                     self._texts.get(raw[9]))

    def _bytes(self, first: int, n: int) -> Any:
        rows = ffi.new("gort_event[]", max(n, 1))
        n = lib.binding_trace_read(self._pointer, first, rows, n)
        return ffi.buffer(rows, n * _LAYOUT.size)

    def _raw(self) -> Iterator[Raw]:
        """The records as tuples, see _LAYOUT: much cheaper than Events."""
        for first in range(0, self._len, CHUNK):
            yield from _LAYOUT.iter_unpack(self._bytes(first, min(CHUNK, self._len - first)))

    def _of_run(self) -> Iterator[Raw]:
        """Those up to the end of main, after which goroutines are dropped and unwind."""
        for raw in self._raw():
            yield raw
            if raw[4] == lib.GORT_EV_GO_END and raw[1] == 1:
                return

    def frame(self) -> "pandas.DataFrame":
        """A pandas DataFrame, one row for each event: time, event, goid, thread, p, arg0 to arg2,
        reason (of go_block) and text (of user)."""
        import numpy as np
        import pandas as pd

        data = self._bytes(0, self._len)
        kind = np.dtype({
            "names": ["time", "goid", "thread", "p", "id", "arg0", "arg1", "arg2", "text"],
            "formats": ["i8", "u8", "u4", "i4", "u4", "u8", "u8", "u8", f"u{ffi.sizeof('void *')}"],
            "offsets": [0, 8, 16, 20, 24, 32, 40, 48, 56], "itemsize": _LAYOUT.size})
        rows = np.frombuffer(data, dtype=kind)
        ids, codes = np.unique(rows["id"], return_inverse=True)
        names = pd.Categorical.from_codes(codes, [event_name(int(i)) for i in ids])
        blocked = rows["id"] == lib.GORT_EV_GO_BLOCK
        reasons = np.full(len(rows), None, dtype=object)
        for number in np.unique(rows["arg0"][blocked]):
            reasons[blocked & (rows["arg0"] == number)] = wait_reason(int(number))
        texts = np.full(len(rows), None, dtype=object)
        for address, text in self._texts.items():
            texts[rows["text"] == address] = text
        columns = {"time": rows["time"], "event": names}
        columns.update((name, rows[name]) for name in
                       ("goid", "thread", "p", "arg0", "arg1", "arg2"))
        # Copies: the columns must not keep the block of records alive, nor be read-only.
        columns.update(reason=pd.Categorical(reasons), text=texts)
        return pd.DataFrame(columns, copy=True)

    # ---- Files ----

    def to_html(self, path: "Path", title: str = "gort trace") -> None:
        """Writes a timeline to look at in a browser: one file that needs no network."""
        from ._timeline import page

        with open(path, "w", encoding="utf-8") as f:
            f.write(page(self, title))

    def to_chrome(self, path: "Path") -> None:
        """Writes JSON for chrome://tracing and ui.perfetto.dev."""
        self._save(lib.GORT_TRACE_CHROME, path)

    def to_text(self, path: "Path") -> None:
        """Writes a line for each event."""
        self._save(lib.GORT_TRACE_TEXT, path)

    def schedule(self) -> str:
        """A line for each event of goroutines, channels, locks and timers, without time, thread and P, addresses
        numbered as they come up: of two seeded runs equal if their schedules are. It goes to the end of main: what
        threads of Python that are left do then is no part of it. It is one only if nothing was dropped or lost."""
        text, n = ffi.new("char **"), ffi.new("size_t *")
        check(lib.binding_trace_text(self._pointer, lib.GORT_TRACE_SCHEDULE, text, n), "schedule")
        try:
            lines = bytes(ffi.buffer(text[0], n[0])).decode(errors="replace") if n[0] else ""
        finally:
            lib.binding_free(text[0])
        run, end, _ = lines.partition("\ng1 go_end\n")
        return run + end

    def _save(self, form: int, path: "Path") -> None:
        name = os.fsencode(path)
        check(lib.binding_trace_save(self._pointer, form, name), os.fsdecode(name))

    def __repr__(self) -> str:
        return f"<gort.Trace {self._describe()}>"

    def _describe(self) -> str:
        parts = [f"{len(self)} events"]
        if self.dropped:
            parts.append(f"{self.dropped} older ones dropped")
        if self.lost:
            parts.append(f"{self.lost} lost")
        return ", ".join(parts)

    def _repr_html_(self) -> str:
        from ._timeline import embed

        rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{n}</td></tr>"
                       for name, n in self.counts.items())
        return (f"<p>Trace: {self._describe()}</p>{embed(self)}"
                f"<details><summary>events by kind</summary><table>{rows}</table></details>")


def dump(data: Any) -> str:
    """JSON that may stand inside a <script> element."""
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\!--")
