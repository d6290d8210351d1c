"""Heap: all objects of a runtime at one moment, what leads to them, and the memory they lie in.

It is read from a dump of the library (see core/watch/heapdump.c for the lines). Lines of objects, nearly all of a large
dump, hold nothing but numbers besides their words, so numpy reads them without a look at each. Objects are kept in order of
address, and pointers as pairs of places in that order.

As a graph the heap has one node more at the top, which leads to all roots: so each object has one immediate dominator, and a
root retains what would go with it.
"""
import html
import json
import os
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from . import _dominators, _plots
from ._errors import ArgumentError

if TYPE_CHECKING:
    import matplotlib.axes
    import numpy
    import pandas

    Path = Union[str, "os.PathLike[str]"]

CHUNK = 1 << 24  # bytes of text that are read at once
OBJECT = b'{"kind":"object"'
_DIGITS = bytes(c if chr(c).isdigit() else ord(" ") for c in range(256))


class Step(NamedTuple):
    """An object on a way through the heap, and what in it leads on: the offset of the word and, if the type is known,
    the name of the field; None at the end."""

    address: int
    type: Optional[str]
    size: int
    offset: Optional[int]
    field: Optional[str]

    def __str__(self) -> str:
        out = f"{self.type or 'object'} 0x{self.address:x}"
        if self.offset is not None:
            out += f".{self.field}" if self.field else f"+{self.offset}"
        return out


class Way(NamedTuple):
    """How a root keeps an object alive: the root, in words and as a row of Heap.roots, and the objects from there on."""

    root: str
    row: int
    steps: Tuple[Step, ...]

    def __str__(self) -> str:
        return " -> ".join([self.root, *map(str, self.steps)])


class Heap:
    """The objects of a heap that can be reached, the roots that lead to them, and the spans that they lie in.

    len() counts objects, `bytes` what they take, `info` is what the dump says of itself. `objects`, `pointers`,
    `roots` and `spans` are pandas DataFrames. Names of types are known of objects above 512 bytes with pointers; of all
    that have a type in a runtime with debug="heaptypes=1".
    """

    def __init__(self, text: bytes):
        head, numbers, tail = _parts(text)
        lines: Dict[str, List[Dict[str, Any]]] = {"dump": [], "type": [], "span": [], "root": [], "end": []}
        for line in (*head, *tail):
            record = json.loads(line)
            if record.get("kind") not in lines:
                raise ArgumentError(f"this is no heap dump: {line[:60]!r}")
            lines[record["kind"]].append(record)
        if not lines["dump"] or not lines["end"]:
            raise ArgumentError("the heap dump is cut: it must begin with a line of kind dump, and end with one of kind end")
        self.info: Dict[str, Any] = lines["dump"][0]
        if self.info["version"] != 1:
            raise ArgumentError(f"a heap dump of version {self.info['version']}; this reads version 1")
        self._types = {t["id"]: t for t in lines["type"]}
        self._roots = lines["root"]
        self._spans = sorted(lines["span"], key=lambda s: s["address"])
        self._read_objects(numbers)
        if len(self) != lines["end"][0]["objects"]:
            raise ArgumentError(f"the heap dump is cut: {len(self)} objects of {lines['end'][0]['objects']}")
        self._cache: Dict[str, Any] = {}

    @classmethod
    def read(cls, path: "Path") -> "Heap":
        """From a file of what gort_heap_dump or Runtime.heap(path) has written."""
        with open(path, "rb") as f:
            return cls(f.read())

    # ---- Reading ----

    def _read_objects(self, chunks: "List[Tuple[numpy.ndarray, numpy.ndarray]]") -> None:
        import numpy as np

        none = np.zeros(0, dtype=np.int64)
        counts = np.concatenate([none] + [c for c, _ in chunks])
        values = np.concatenate([none] + [v for _, v in chunks])
        first = np.cumsum(counts) - counts
        pointers = (counts - 3) // 2
        address = values[first]
        order = np.argsort(address)
        self._address = address[order]
        self._size = values[first + 1][order]
        self._type = values[first + 2][order]
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        # Of each pointer: which object, and the how-manieth of its list.
        source = np.repeat(np.arange(len(counts)), pointers)
        nth = np.arange(len(source)) - np.repeat(np.cumsum(pointers) - pointers, pointers)
        at = first[source] + 3 + nth
        self._source = place[source]
        self._target = self._places(values[at])
        self._offset = values[at + pointers[source]]
        roots = [r["pointers"] for r in self._roots]
        lengths = np.fromiter(map(len, roots), dtype=np.int64, count=len(roots))
        self._from_root = np.repeat(np.arange(len(roots)), lengths)
        self._to = self._places(np.fromiter((p for r in roots for p in r), dtype=np.int64, count=int(lengths.sum())))

    def _places(self, addresses: "numpy.ndarray") -> "numpy.ndarray":
        import numpy as np

        out = np.searchsorted(self._address, addresses)
        if len(addresses) and (out.max() >= len(self._address) or (self._address[out] != addresses).any()):
            raise ArgumentError("the heap dump is damaged: a pointer leads to no object")
        return out

    # ---- What there is ----

    def __len__(self) -> int:
        return len(self._address)

    @property
    def bytes(self) -> int:
        return int(self._size.sum())

    def _get(self, name: str, make: Any) -> Any:
        if name not in self._cache:
            self._cache[name] = make()
        return self._cache[name]

    def _type_names(self) -> "pandas.Categorical":
        import numpy as np
        import pandas as pd

        ids = sorted(self._types)
        codes = np.full(max(ids, default=0) + 1, -1)
        codes[ids] = np.arange(len(ids))
        names = [self._types[i]["name"] for i in ids]
        if len(set(names)) == len(names):
            return pd.Categorical.from_codes(codes[self._type], names)
        return pd.Categorical([names[c] if c >= 0 else None for c in codes[self._type]])

    @property
    def objects(self) -> "pandas.DataFrame":
        """One row for each object in order of address: address, size (bytes that it takes), type, noscan (it has no
        pointers), pointers (how many lead on), retained (bytes that would go with it), dominator (the address of the
        nearest object without which nothing leads here; 0: there is none)."""
        def make() -> Any:
            import numpy as np
            import pandas as pd

            up = self._dominators[0][1 + len(self._roots):] - 1 - len(self._roots)
            return pd.DataFrame({
                "address": self._address, "size": self._size, "type": self._type_names(), "noscan": self._noscan(),
                "pointers": np.bincount(self._source, minlength=len(self)), "retained": self.retained,
                "dominator": np.where(up >= 0, self._address[np.maximum(up, 0)] if len(self) else up, 0)})
        return self._get("objects", make)

    @property
    def pointers(self) -> "pandas.DataFrame":
        """One row for each pointer from object to object: source and target (places in `objects`), offset (of the word)."""
        import pandas as pd

        return pd.DataFrame({"source": self._source, "target": self._target, "offset": self._offset})

    @property
    def spans(self) -> "pandas.DataFrame":
        """One row for each span in order of address: address, pages, class (0: one large object), noscan, size (of an
        object), objects (that have room), used (that are there), live (of those: can be reached), free."""
        def make() -> Any:
            import pandas as pd

            return pd.DataFrame(self._spans, columns=["address", "pages", "class", "noscan", "size", "objects", "used",
                                                      "live", "free"])
        return self._get("spans", make)

    @property
    def roots(self) -> "pandas.DataFrame":
        """One row for each root: kind ("goroutine", "data", "added", "alarms", "pools", "finalizer", "cleanup", "weak",
        "due"), name (in words), goid, address and size (of memory), object (on which it hangs), pointers (how many),
        retained (bytes that nothing else keeps)."""
        def make() -> Any:
            import pandas as pd

            rows = [{"kind": r["root"], "name": _root_text(r), "goid": r.get("goid", 0), "address": r.get("address", 0),
                     "size": r.get("size", 0), "object": r.get("object", 0), "pointers": len(r["pointers"])}
                    for r in self._roots]
            frame = pd.DataFrame(rows, columns=["kind", "name", "goid", "address", "size", "object", "pointers"])
            frame["retained"] = self._retained[1:1 + len(self._roots)]
            return frame
        return self._get("roots", make)

    def _noscan(self) -> "numpy.ndarray":
        import numpy as np

        starts = np.array([s["address"] for s in self._spans] or [0])
        flags = np.array([s["noscan"] for s in self._spans] or [False])
        return flags[np.searchsorted(starts, self._address, side="right") - 1]

    # ---- The graph: node 0, the roots, the objects ----

    @property
    def _dominators(self) -> "Tuple[numpy.ndarray, numpy.ndarray]":
        def make() -> Any:
            import numpy as np

            n = 1 + len(self._roots)
            source = np.concatenate([np.zeros(n - 1, dtype=np.int64), self._from_root + 1, self._source + n])
            target = np.concatenate([np.arange(1, n), self._to + n, self._target + n])
            return _dominators.dominators(source, target, n + len(self))
        return self._get("dominators", make)

    @property
    def _retained(self) -> "numpy.ndarray":
        def make() -> Any:
            import numpy as np

            sizes = np.concatenate([np.zeros(1 + len(self._roots), dtype=np.int64), self._size])
            return _dominators.retained(sizes, *self._dominators)
        return self._get("retained", make)

    @property
    def retained(self) -> "numpy.ndarray":
        """For each row of `objects` the bytes that would go with it: its own, and those of all that nothing else leads to."""
        return self._retained[1 + len(self._roots):]

    def by_type(self) -> "pandas.DataFrame":
        """One row for each type, the largest first: objects, bytes. What has no name goes by its size."""
        import pandas as pd

        names = self.objects["type"].astype(object)
        kinds = self.objects["noscan"].map({True: "data", False: "object"})
        sizes = self.objects["size"].map(_plots.size_text)
        label = names.where(names.notna(), kinds + " of " + sizes)
        grouped = pd.DataFrame({"type": label, "size": self._size}).groupby("type")["size"]
        return grouped.agg(objects="count", bytes="sum").sort_values("bytes", ascending=False)

    # ---- Ways ----

    def place(self, address: int) -> int:
        """The row of the object that lies at the address, or that it points into."""
        import numpy as np

        i = int(np.searchsorted(self._address, address, side="right")) - 1
        if i < 0 or address >= self._address[i] + self._size[i]:
            raise ArgumentError(f"no object lies at 0x{address:x}")
        return i

    def paths(self, address: int, limit: int = 5) -> List[Way]:
        """Ways from the roots to an object, the shortest first: one for each root and each object that points to it."""
        import numpy as np

        target = self.place(address)
        depth, edge, root = self._shortest
        ways = [Way(_root_text(self._roots[r]), int(r), (self._step(target, None),))
                for r in np.unique(self._from_root[self._to == target])]
        edges = np.flatnonzero(self._target == target)
        sources, which = np.unique(self._source[edges], return_index=True)
        for i in np.argsort(depth[sources], kind="stable")[:limit]:
            steps = [self._step(target, None), self._step(sources[i], edges[which[i]])]
            at = int(sources[i])
            while edge[at] >= 0:
                steps.append(self._step(self._source[edge[at]], edge[at]))
                at = int(self._source[edge[at]])
            ways.append(Way(_root_text(self._roots[root[at]]), int(root[at]), tuple(reversed(steps))))
        return sorted(ways, key=lambda way: len(way.steps))[:limit]

    def _step(self, i: Any, edge: Any) -> Step:
        record = self._types.get(int(self._type[i]))
        offset = None if edge is None else int(self._offset[edge])
        field = None
        if record is not None and offset is not None and record["size"]:
            inside = offset % record["size"]
            before = [name for name, start, _ in record["fields"] if start <= inside]
            field = before[-1] if before else None
            if field is not None and record["size"] <= offset:
                field = f"[{offset // record['size']}].{field}"
        return Step(int(self._address[i]), record["name"] if record else None, int(self._size[i]), offset, field)

    @property
    def _shortest(self) -> "Tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]":
        """Of each object: how far it is from the roots, the pointer that leads there (-1: a root does), which root."""
        def make() -> Any:
            import numpy as np

            depth, edge, root = (np.full(len(self), -1, dtype=np.int64) for _ in range(3))
            now, first = np.unique(self._to, return_index=True)
            depth[now] = 0
            root[now] = self._from_root[first]
            begin, edges = _dominators.csr(self._source, np.arange(len(self._source)), len(self))
            while len(now):
                counts = begin[now + 1] - begin[now]
                nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
                out = edges[np.repeat(begin[now], counts) + nth]
                out = out[depth[self._target[out]] < 0]
                reached, first = np.unique(self._target[out], return_index=True)
                depth[reached] = depth[now[0]] + 1
                edge[reached] = out[first]
                now = reached
            return depth, edge, root
        return self._get("shortest", make)

    # ---- To look at ----

    def picture(self, ax: "Optional[matplotlib.axes.Axes]" = None) -> "matplotlib.axes.Axes":
        """What the pages of the heap hold, by size of object: objects that can be reached, garbage that is still there,
        room for more, and what is left over at the ends of spans."""
        from ._heapmap import by_class

        return by_class(self, ax)

    def map(self, ax: "Optional[matplotlib.axes.Axes]" = None) -> "matplotlib.axes.Axes":
        """The pages of the heap in order of address, a cell for each, coloured by how much of its span is live, garbage
        and free."""
        from ._heapmap import pages

        return pages(self, ax)

    def __repr__(self) -> str:
        return f"<gort.Heap {self._describe()}>"

    def _describe(self) -> str:
        return (f"{len(self)} objects, {_plots.size_text(self.bytes)}, {len(self._source)} pointers, "
                f"{len(self._roots)} roots, {len(self._spans)} spans")

    def _repr_html_(self) -> str:
        from ._heapmap import both

        rows = "".join(f"<tr><td>{html.escape(str(name))}</td><td>{row.objects}</td><td>{_plots.size_text(row.bytes)}</td></tr>"
                       for name, row in self.by_type().head(12).iterrows())
        return (f"<p>Heap: {self._describe()}</p>{_plots.embed(lambda: both(self))}"
                f"<table><tr><th>type</th><th>objects</th><th>bytes</th></tr>{rows}</table>")


# ---- Text ----------------------------------------------------------------------------------------

def _root_text(root: Dict[str, Any]) -> str:
    kind = root["root"]
    if kind == "goroutine":
        name = f' "{root["name"]}"' if root["name"] else ""
        return f"goroutine {root['goid']}{name} [{root['reason'] or root['status']}]"
    if "address" in root:
        return f"{'static data' if kind == 'data' else 'root'} at 0x{root['address']:x}"
    if "object" in root:
        return f"{kind} of 0x{root['object']:x}"
    return kind


def _parts(text: bytes) -> "Tuple[List[bytes], List[Any], List[bytes]]":
    """The lines before those of objects, the numbers of these (see _numbers), the lines behind."""
    begin = text.find(OBJECT)
    if begin < 0:
        return text.splitlines(), [], []
    end = text.find(b"\n", text.rfind(OBJECT)) + 1
    if end == 0:
        raise ArgumentError("the heap dump is cut in the middle of a line")
    return text[:begin].splitlines(), [_numbers(c) for c in _chunks(text, begin, end)], text[end:].splitlines()


def _chunks(text: bytes, begin: int, end: int) -> Iterator[bytes]:
    while begin < end:
        stop = end if end - begin <= CHUNK else text.rfind(b"\n", begin, begin + CHUNK) + 1
        if stop == 0:  # one line is longer
            stop = text.find(b"\n", begin) + 1
        yield text[begin:stop]
        begin = stop


def _numbers(lines: bytes) -> "Tuple[numpy.ndarray, numpy.ndarray]":
    """How many numbers each line has, and all of them; null is 0."""
    import numpy as np

    lines = lines.replace(b"null", b"0")
    raw = np.frombuffer(lines, dtype=np.uint8)
    digit = (raw >= ord("0")) & (raw <= ord("9"))
    begins = np.flatnonzero(digit[1:] & ~digit[:-1]) + 1  # no line begins with one
    ends = np.flatnonzero(raw == ord("\n"))
    counts = np.diff(np.searchsorted(begins, ends), prepend=0)
    values = np.fromstring(lines.translate(_DIGITS), dtype=np.int64, sep=" ")
    if len(values) != len(begins) or (counts < 3).any() or (counts % 2 == 0).any():
        raise ArgumentError("the heap dump is damaged: a line of an object is not what it should be")
    return counts, values
