"""Heap, gctrace, the heap's faces of Runtime: what a dump says, and what is made of it."""
import random

import gort
import pytest
from gort._config import Config

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

from gort import _dominators  # noqa: E402  (needs numpy)

HEAD = ('{"kind":"dump","version":1,"word":8,"page":8192,"time_ns":1,"stopped_ns":2,"collector":"stw","collections":3,'
        '"heap_live":4,"heap_goal":5,"heaptypes":true}\n')
BASE = 1 << 40


def obj(n, pointers, at=None, size=64, type_="null"):
    at = [8 * i for i in range(len(pointers))] if at is None else at
    return (f'{{"kind":"object","address":{BASE + 64 * n},"size":{size},"type":{type_},'
            f'"pointers":{[BASE + 64 * p for p in pointers]},"at":{at}}}\n').replace(" ", "")


def goroutine(goid, pointers):
    return (f'{{"kind":"root","root":"goroutine","goid":{goid},"name":"","status":"waiting","reason":"sleep",'
            f'"pointers":{[BASE + 64 * p for p in pointers]}}}\n')


SPAN = (f'{{"kind":"span","address":{BASE},"pages":1,"class":5,"noscan":false,"size":64,"objects":128,"used":9,"live":8,'
        '"free":119}\n')
TYPE = '{"kind":"type","id":1,"name":"node","size":32,"fields":[["value",0,"uint64"],["left",8,"*"],["right",16,"*"]]}\n'


def dump(objects, roots, types="", spans=SPAN):
    text = HEAD + types + spans + "".join(roots) + "".join(objects)
    return (text + f'{{"kind":"end","objects":{len(objects)}}}\n').encode()


def test_a_dump_becomes_frames():
    heap = gort.Heap(dump([obj(3, [1], [16], type_="1"), obj(1, [], size=48), obj(2, [1, 3])], [goroutine(7, [2, 2])], TYPE))
    assert len(heap) == 3 and heap.bytes == 64 + 48 + 64 and heap.info["collector"] == "stw"
    objects = heap.objects
    assert list(objects["address"]) == [BASE + 64, BASE + 128, BASE + 192]
    assert list(objects["size"]) == [48, 64, 64] and list(objects["pointers"]) == [0, 2, 1]
    assert objects["type"].isna().tolist() == [True, True, False] and objects["type"][2] == "node"
    assert list(objects["retained"]) == [48, 176, 64]
    assert list(objects["dominator"]) == [BASE + 128, 0, BASE + 128]
    assert heap.pointers.sort_values(["source", "offset"]).values.tolist() == [[1, 0, 0], [1, 2, 8], [2, 0, 16]]
    roots = heap.roots
    assert roots["name"][0] == "goroutine 7 [sleep]" and roots["retained"][0] == 176 and roots["pointers"][0] == 2
    assert heap.spans["live"][0] == 8
    assert "3 objects" in repr(heap)


def test_paths():
    heap = gort.Heap(dump([obj(0, [1]), obj(1, [2], [48], type_="1"), obj(2, []), obj(3, [2])],
                          [goroutine(1, [0]), goroutine(2, [3]), goroutine(3, [2])], TYPE))
    ways = heap.paths(BASE + 128 + 5)
    assert [way.root for way in ways] == ["goroutine 3 [sleep]", "goroutine 2 [sleep]", "goroutine 1 [sleep]"]
    assert [len(way.steps) for way in ways] == [1, 2, 3]
    assert str(ways[2]).endswith(f"object 0x{BASE:x}+0 -> node 0x{BASE + 64:x}.[1].right -> object 0x{BASE + 128:x}")
    assert len(heap.paths(BASE + 128, limit=1)) == 1
    with pytest.raises(gort.ArgumentError):
        heap.paths(BASE - 1)


@pytest.mark.parametrize("text", [
    b"", b"x", HEAD.encode(), dump([obj(0, [])], [])[:-20], dump([obj(0, []), obj(1, [])], []).replace(b'"objects":2', b'"objects":3'),
    dump([obj(0, [9])], []), dump([obj(0, [])], []).replace(b'"version":1', b'"version":9'),
    dump([obj(0, [])], []).replace(b'"at":[]', b'"at":[7]'), b'{"kind":"cat"}\n', b"{}\n"])
def test_what_is_no_dump(text):
    with pytest.raises((gort.ArgumentError, ValueError)):
        gort.Heap(text)


def brute_force(edges, n):
    def reach(without):
        seen, todo = set(), [0]
        while todo:
            node = todo.pop()
            if node == without or node in seen:
                continue
            seen.add(node)
            todo += [b for a, b in edges if a == node]
        return seen
    full = reach(None)
    above = {v: {d for d in full if d != v and v not in reach(d)} for v in full}
    return [(0 if v == 0 else max(above[v], key=lambda d: len(above[d]))) if v in full else -1 for v in range(n)]


def test_dominators_of_small_graphs():
    draw = random.Random(1)
    for _ in range(400):
        n = draw.randint(1, 12)
        edges = [(draw.randrange(n), draw.randrange(n)) for _ in range(draw.randint(0, 3 * n))]
        source, target = (np.array([e[i] for e in edges], dtype=np.int64) for i in (0, 1))
        idom, order = _dominators.dominators(source, target, n)
        assert idom.tolist() == brute_force(edges, n), edges
        place = {int(node): i for i, node in enumerate(order)}
        assert len(place) == len(order) == sum(d >= 0 for d in idom)
        assert all(place[int(idom[v])] <= place[v] for v in place)
        size = np.arange(1, n + 1)
        total = _dominators.retained(size, idom, order)
        for v in place:
            under = [w for w in place if v in chain(idom, w)]
            assert total[v] == sum(int(size[w]) for w in under)


def chain(idom, v):
    out = {v}
    while v != 0:
        v = int(idom[v])
        out.add(v)
    return out


def test_dominators_of_large_graphs():
    """Deep, and without recursion."""
    n = 20000
    line = np.arange(n - 1)
    idom, _ = _dominators.dominators(np.concatenate([line, line + 1]), np.concatenate([line + 1, line]), n)
    assert idom.tolist() == [0, *range(n - 1)]
    idom, _ = _dominators.dominators(np.concatenate([line, np.zeros(n - 1, dtype=int)]), np.concatenate([line + 1, line + 1]), n)
    assert set(idom.tolist()) == {0}


# ---- Of a program --------------------------------------------------------------------------------

def heap_of(config, workload, part, **params):
    """The heap when that part of the run is done."""
    with gort.Runtime(config) as rt:
        got = []

        def progress(done, total):
            if done > part * total and not got:
                got.append(rt.heap())
                rt.stop()
        with pytest.raises(gort.CanceledError):
            rt.run(workload, progress=progress, **params)
    return got[0]


@pytest.mark.parametrize("collector", ["concurrent", "stw", "none"])
def test_heap_of_a_program(collector):
    churn = 1000 if collector == "none" else 100000
    config = Config(procs=2, collector=collector, debug="heaptypes=1")
    # A worker that stands in the tree keeps what is below it: then that is not the cache's alone. Most of the time none does.
    for _ in range(20):
        heap = heap_of(config, "gc_churn", 0.01, live=4, churn=churn, workers=2)
        objects = heap.objects
        cache = objects[objects["type"] == "cache"].iloc[0]
        if cache["retained"] > 0.9 * heap.bytes:
            break
    assert heap.info["collector"] == collector and heap.info["heaptypes"]
    kinds = heap.by_type()
    entries = int(kinds.loc["entry", "objects"])
    assert entries > 1000 and kinds.loc["cache", "objects"] == 1
    assert cache["pointers"] == 2 and cache["retained"] > 0.9 * heap.bytes
    assert objects["retained"].min() > 0 and int(heap.spans["live"].sum()) == len(heap)
    some = objects[objects["type"] == "entry"].iloc[entries // 2]
    way = heap.paths(int(some["address"]))[-1]
    assert way.root.startswith("goroutine ") and way.steps[-1].address == some["address"]
    assert {step.field for step in way.steps[1:-1]} <= {"left", "right"}


def test_heap_between_runs_and_in_a_file(rt, tmp_path):
    path = tmp_path / "heap.jsonl"
    assert len(rt.heap()) == 0
    heap = rt.heap(path)
    assert len(heap) == len(gort.Heap.read(path)) and gort.Heap.read(path).info == heap.info
    assert heap.objects.empty and heap.by_type().empty and "0 objects" in repr(heap)
    assert heap.roots.empty and heap.pointers.empty


# ---- Settings and collections ---------------------------------------------------------------------

def test_gc(rt):
    rt.run("skynet", n=1000)
    before = rt.mem_stats()
    rt.gc()
    after = rt.mem_stats()
    assert after.num_forced_gc == before.num_forced_gc + 1 and after.frees > before.frees
    with rt.attach():
        rt.gc()
    assert rt.mem_stats().num_forced_gc == after.num_forced_gc + 1


def test_gc_while_it_runs(rt, while_running):
    while_running(rt, rt.gc)
    assert rt.mem_stats().num_forced_gc == 1


def test_free_os_memory(rt):
    rt.run("gc_churn", live=2, churn=2)
    rt.free_os_memory()
    stats = rt.mem_stats()
    assert stats.heap_released == stats.heap_idle > 2 << 20


def test_gogc_and_memory_limit(rt):
    assert rt.gogc == 100 and rt.memory_limit is None
    rt.gogc = 50
    rt.memory_limit = 1 << 30
    assert rt.gogc == 50 and rt.memory_limit == 1 << 30
    rt.gogc = "off"
    rt.memory_limit = None
    assert rt.gogc < 0 and rt.memory_limit is None
    for bad in ("many", 1.5, 1 << 40):
        with pytest.raises(gort.ArgumentError):
            rt.gogc = bad
    with pytest.raises(gort.ArgumentError):
        rt.memory_limit = -1


def test_another_runtimes_goroutine_may_not(rt):
    with gort.Runtime(procs=1) as other, other.attach():
        with pytest.raises(gort.BusyError):
            rt.gc()
        other.gc()


# ---- gctrace --------------------------------------------------------------------------------------

GO = """gc 1 @0.007s 2%: 0.010+0.31+0.018 ms clock, 0.080+0.12/0.23/0.47+0.14 ms cpu, 4->5->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 8 P
scvg: not a collection
gc 2 @1.5s 0%: 0+12+0.5 ms clock, 0+0/1/2+0.05 ms cpu, 30->31->15 MB, 30 MB goal, 1 MB stacks, 2 MB globals, 8 P (forced)
"""


def test_gctrace_of_go():
    trace = gort.GcTrace(GO)
    assert len(trace) == 2
    first, second = trace
    assert (first.cycle, first.time, first.cpu_percent, first.procs, first.forced) == (1, 0.007, 2, 8, False)
    assert first.stop_begin == pytest.approx(10e-6) and first.mark == pytest.approx(310e-6)
    assert (first.heap_before, first.heap_after, first.heap_live, first.goal) == (4, 5, 1, 4)
    assert second.forced and second.pause == pytest.approx(0.5e-3) and (second.stacks, second.globals) == (1, 2)
    assert list(trace.frame()["cpu_background"]) == pytest.approx([230e-6, 1e-3])
    assert "2 collections" in repr(trace)
    assert len(gort.GcTrace("")) == 0 and gort.GcTrace("").frame().empty and "no collections" in repr(gort.GcTrace(""))


def test_gctrace_is_captured(capfd):
    import os

    with gort.GcTrace.capture() as trace:
        with gort.Runtime(procs=2, debug="gctrace=1") as rt:
            rt.gc()
            os.write(2, b"something else\n")
            rt.gc()
            cycles = rt.mem_stats().num_gc
    assert len(trace) == cycles >= 2 and all(c.forced and c.procs == 2 for c in trace)
    assert capfd.readouterr().err == "something else\n"


def test_histogram_frame(rt):
    rt.gc()
    pauses = rt.metrics()["/sched/pauses/total/gc:seconds"]
    frame = pauses.frame()
    assert frame["count"].sum() == pauses.total > 0 and (frame["from_"] < frame["to"]).all()


# ---- Charts ---------------------------------------------------------------------------------------

def test_charts(rt, pyplot):
    heap = gort.Heap(dump([obj(0, [1]), obj(1, [])], [goroutine(1, [0])]))
    bars = heap.picture()
    assert [t.get_text() for t in bars.get_yticklabels()] == ["64 B"]
    assert [t.get_text() for t in bars.get_legend().get_texts()] == ["live", "garbage", "free", "left over"]
    widths = [p.get_width() for p in bars.patches]
    assert widths == [8 * 64, 64, 119 * 64, 8192 - 128 * 64]
    image = heap.map().get_images()[0].get_array()
    assert image.shape[2] == 3
    assert "<img" in heap._repr_html_() and "<img" in gort.GcTrace(GO)._repr_html_()
    assert len(gort.GcTrace(GO).plot()) == 2
    rt.gc()
    assert rt.metrics()["/sched/pauses/total/gc:seconds"].plot().patches
    gort.Heap(dump([], [], spans="")).picture()
    gort.Heap(dump([], [], spans="")).map()
    ax = pyplot.subplots()[1]
    assert heap.picture(ax) is ax
    pyplot.close("all")
