"""sweep: which runs there are, what is measured, who runs them."""
import concurrent.futures

import gort
import pytest


def test_all_combinations_each_so_often():
    seen = []
    done = gort.sweep("sieve", {"n": [5, 10], "procs": (1, 2), "collector": ["stw"]}, repeat=2,
                      progress=lambda i, n: seen.append((i, n)))
    assert len(done) == 8 and done.varied == ("n", "procs", "collector")
    assert [(r["repeat"], r["n"], r["procs"]) for r in done] == [(r, n, p) for r in (0, 1) for n in (5, 10) for p in (1, 2)]
    assert {r["n"]: r["value"] for r in done} == {5: 11, 10: 29}
    assert all(r["seconds"] > 0 and r["cycles"] == 0 and r["allocated"] > 0 for r in done)
    assert seen[0] == (0, 8) and seen[-1] == (8, 8)
    medians = done.medians()
    assert [(m["n"], m["procs"]) for m in medians] == [(5, 1), (5, 2), (10, 1), (10, 2)]
    assert done[0]["n"] == 5 and "8 runs over n, procs, collector" in repr(done)


def test_what_gogc_buys():
    done = gort.sweep("gc_churn", {"gogc": [20, 400], "procs": [1], "live": [2], "churn": [16]})
    tight, loose = done
    assert tight["cycles"] > loose["cycles"] and tight["peak_heap"] < loose["peak_heap"]
    assert tight["pause_seconds"] > 0 and tight["longest_pause"] > 0 and tight["gc_cpu_seconds"] > 0
    assert tight["value"] == loose["value"] == 16 * 4096


def test_no_grid_is_one_run():
    assert len(gort.sweep("sieve", {})) == 1


@pytest.mark.parametrize("grid, settings", [
    ({"m": [1]}, {}), ({"n": 5}, {}), ({"n": "5"}, {}), ({"n": [0]}, {}), ({"procs": [-1]}, {}), ({"n": [1]}, {"repeat": 0})])
def test_bad_grids_are_refused_before_anything_runs(grid, settings):
    with pytest.raises(gort.ArgumentError):
        gort.sweep("sieve", grid, progress=lambda done, total: pytest.fail("it runs"), **settings)
    with pytest.raises(gort.ArgumentError):
        gort.sweep("seive", {})


def test_a_program_that_fails():
    with pytest.raises(gort.PanicError):
        gort.sweep("panic", {"procs": [1, 2]})


def test_executors():
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        done = gort.sweep("sieve", {"n": [5, 10, 20]}, executor=executor)
    assert [r["value"] for r in done] == [11, 29, 71]


def test_frame():
    pytest.importorskip("pandas")
    frame = gort.sweep("sieve", {"n": [5, 10]}).frame()
    assert list(frame["value"]) == [11, 29] and {"seconds", "peak_heap", "cycles"} <= set(frame.columns)


def test_plot(pyplot):
    done = gort.sweep("sieve", {"n": [5, 10, 20], "procs": [1, 2]}, repeat=2)
    ax = done.plot()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["procs=1", "procs=2"]
    assert {t.get_text() for t in ax.texts} == {"5", "10", "20"}
    assert "<img" in done._repr_html_() and "<table>" in done._repr_html_()
    pyplot.close("all")
