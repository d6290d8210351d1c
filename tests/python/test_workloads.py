"""The C workloads: each computes something that Python can check."""
import array
import random

import gort
import pytest
from gort import _workloads
from gort._gort import ffi


def primes():
    known = []
    n = 2
    while True:
        if all(n % p for p in known if p * p <= n):
            known.append(n)
            yield n
        n += 1


def inversions(numbers):
    return sum(a > b for i, a in enumerate(numbers) for b in numbers[i + 1:])


@pytest.fixture(params=[1, 2, 4])
def rt(request):
    with gort.Runtime(procs=request.param) as runtime:
        yield runtime


@pytest.mark.parametrize("n", [1, 2, 50, 300])
def test_sieve(rt, n):
    assert rt.run("sieve", n=n).value == [p for p, _ in zip(primes(), range(n))][-1]


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 99, 100, 12345])
def test_skynet(rt, n):
    assert rt.run("skynet", n=n).value == n * (n - 1) // 2


@pytest.mark.parametrize("n, rounds", [(1, 1), (1, 50), (2, 3), (100, 30)])
def test_ring(rt, n, rounds):
    assert rt.run("ring", n=n, rounds=rounds).value == n * rounds


def test_pingpong(rt):
    assert rt.run("pingpong", rounds=2000).value == 2000


@pytest.mark.parametrize("producers, messages, cap", [
    (1, 1, 0), (7, 300, 0), (7, 300, 1), (50, 40, 9)])
def test_fanin(rt, producers, messages, cap):
    total = producers * messages
    value = rt.run("fanin", producers=producers, messages=messages, cap=cap).value
    assert value == total * (total - 1) // 2


@pytest.mark.parametrize("n, rounds", [(2, 1), (3, 50), (7, 300)])
def test_philosophers(rt, n, rounds):
    """Who takes the right fork first is not in the circle."""
    assert rt.run("philosophers", n=n, rounds=rounds).value == n * rounds


@pytest.mark.parametrize("n", [0, 1, 9])
def test_leak(n):
    with gort.Runtime(seed=1) as runtime:
        assert runtime.run("leak", n=n, ms=1).value == n


@pytest.mark.parametrize("live, churn, workers", [(1, 0, 1), (1, 5, 1), (2, 3, 3), (1, 2, 100)])
def test_gc_churn(rt, live, churn, workers):
    """Each entry that is thrown out is what was put in: the treap works, and nothing was freed too early."""
    assert rt.run("gc_churn", live=live, churn=churn, workers=workers).value == 4096 * churn


@pytest.mark.parametrize("depth", [4, 5, 10, 13])
def test_binary_trees(rt, depth):
    short = sum(2 ** (depth - d + 4) * (2 ** (d + 1) - 1) for d in range(4, depth + 1, 2))
    assert rt.run("binary_trees", depth=depth).value == 2 ** (depth + 2) - 1 + short + 2 ** (depth + 1) - 1


def test_yield(rt):
    assert rt.run("yield", n=20, rounds=100).value == 2000


def test_workloads_describe_themselves():
    known = gort.workloads()
    assert {"sieve", "skynet", "ring", "pingpong", "fanin", "mergesort", "yield"} <= set(known)
    assert list(known) == sorted(known)
    for name, w in known.items():
        assert w.name == name and w.summary and w.value
        for p in w.parameters:
            assert p.min <= p.default <= p.max and p.text and p.name.isidentifier()
    known.clear()
    assert gort.workloads(), "a copy: nobody can spoil it for others"


@pytest.mark.parametrize("name", [n for n, w in gort.workloads().items()
                                  if not w.summary.startswith("fails")])
def test_progress_ends_at_the_total(rt, name):
    small = {"sieve": {"n": 20}, "skynet": {"n": 1000}, "mergesort": {"n": 5000, "cutoff": 64},
             "yield": {"n": 5, "rounds": 10}}
    seen = []
    rt.run(name, progress=lambda *a: seen.append(a), **small.get(name, {}))
    done, total = seen[-1]
    assert done == total > 0


# ---- Arrays ----

@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 100, 1000])
def test_mergesort_sorts_in_place(rt, n):
    numbers = [random.Random(n).randrange(-n, n + 1) for _ in range(n)]
    data = array.array("q", numbers)
    result = rt.run("mergesort", data=data, cutoff=16)
    assert list(data) == sorted(numbers)
    assert result.value == inversions(numbers) and result.data is data


def test_mergesort_extremes(rt):
    for numbers in ([2**63 - 1, -2**63] * 100, list(range(500)), list(range(500, 0, -1)),
                    [7] * 300):
        data = array.array("q", numbers)
        assert rt.run("mergesort", data=data, cutoff=16).value == inversions(numbers)
        assert list(data) == sorted(numbers)


def test_mergesort_without_data_gives_the_same_number_each_time(rt):
    values = {rt.run("mergesort", n=50_000, cutoff=c).value for c in (16, 1000, 100_000)}
    assert len(values) == 1


@pytest.mark.parametrize("make", [
    lambda: array.array("q", range(100, 0, -1)),
    lambda: memoryview(bytearray(800)).cast("q"),
    lambda: pytest.importorskip("numpy").arange(100, 0, -1, dtype="int64"),
    lambda: pytest.importorskip("numpy").arange(300, 0, -1, dtype="int64")[100:200],
])
def test_arrays_are_not_copied(rt, make):
    data = make()
    address = int(ffi.cast("uintptr_t", ffi.from_buffer(data)))
    work = _workloads.buffer(gort.workloads()["mergesort"], data)
    assert int(ffi.cast("uintptr_t", work)) == address and len(work) == 100
    ffi.release(work)
    before = sorted(data)
    rt.run("mergesort", data=data, cutoff=16)
    assert list(data) == before
    assert int(ffi.cast("uintptr_t", ffi.from_buffer(data))) == address


def test_an_array_cannot_shrink_while_c_works_on_it(rt):
    data = array.array("q", range(1000, 0, -1))
    refused = []

    def progress(done, total):
        if not refused:
            with pytest.raises(BufferError):
                data.pop()
            refused.append(True)
    rt.run("mergesort", data=data, cutoff=16, progress=progress)
    assert refused and len(data) == 1000 and data[0] == 1
    data.pop()  # afterwards it is free again


@pytest.mark.parametrize("make, message", [
    (lambda: [3, 2, 1], "data has no buffer: list"),
    (lambda: array.array("i", [3, 2, 1]), "'i'; it takes int64"),
    (lambda: array.array("d", [3, 2, 1]), "'d'; it takes int64"),
    (lambda: array.array("Q", [3, 2, 1]), "'Q'; it takes int64"),
    (lambda: b"12345678", "'B'; it takes int64"),
    (lambda: memoryview(bytes(80)).cast("q"), "read-only"),
    (lambda: pytest.importorskip("numpy").arange(10)[::2], "without gaps"),
    (lambda: pytest.importorskip("numpy").zeros((3, 3), dtype="int64"), "one row"),
])
def test_unfit_arrays(rt, make, message):
    with pytest.raises(gort.ArgumentError, match=message):
        rt.run("mergesort", data=make())


def test_data_for_a_workload_that_takes_none(rt):
    with pytest.raises(gort.ArgumentError, match="sieve takes no data"):
        rt.run("sieve", data=array.array("q", [1]))
