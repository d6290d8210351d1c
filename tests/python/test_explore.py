"""Seeds until one fails, the shortest schedule that does, and what it looks like."""
import io
import json
import os
import signal
import threading

import gort
import pytest
from gort._explore import minimal

SEEDS = range(1, 51)


@pytest.fixture(scope="module")
def found():
    """Philosophers who all take the left fork first."""
    return gort.explore("philosophers", left_first=1, progress=False)


# ---- The search ----

def test_a_deadlock_is_found_and_replayed(found):
    assert 1 <= found.seed <= 1000 and found.runs == found.seed and isinstance(found.error, gort.DeadlockError)
    for _ in range(3):
        with pytest.raises(gort.DeadlockError) as again:
            found.replay()
        assert again.value.schedule == found.schedule
    with gort.Runtime(seed=found.seed) as rt, pytest.raises(gort.DeadlockError) as again:
        rt.run("philosophers", left_first=1)
    assert again.value.schedule == found.full


def test_the_first_seed_that_fails_is_found(found):
    for seed in range(1, found.seed):
        with gort.Runtime(seed=seed) as rt:
            assert rt.run("philosophers", left_first=1).value == 3
    assert gort.explore("philosophers", left_first=1, runs=found.seed - 1) is None
    assert gort.explore("philosophers", left_first=1, runs=1, seed=found.seed).runs == 1


def test_a_right_program_passes():
    assert gort.explore("philosophers", runs=300) is None
    assert gort.explore("pingpong", rounds=5, runs=50, seed=2**64 - 20) is None
    assert gort.explore("deadlock", runs=0) is None


def test_no_choice_can_be_left_out(found):
    assert 0 < len(found.schedule) <= len(found.full)
    assert [c.step for c in found.schedule] == sorted({c.step for c in found.schedule})
    for i in range(len(found.schedule)):
        fewer = found.schedule[:i] + found.schedule[i + 1:]
        assert found.replay(fewer).value == 3
    assert found.replay([]).value == 3, "the usual schedule hides it"


def test_what_always_fails_needs_no_choice():
    found = gort.explore("deadlock")
    assert (found.seed, found.runs, list(found.schedule)) == (1, 1, [])
    found = gort.explore("panic", seed=7)
    assert isinstance(found.error, gort.PanicError) and (found.seed, found.runs) == (7, 1)
    found = gort.explore("fatal", seed=2**64 - 1)
    assert isinstance(found.error, gort.FatalError) and found.seed == 2**64 - 1


@pytest.mark.parametrize("guilty", [[], [3], [0, 9], [1, 4, 5, 8], list(range(10))])
def test_delta_debugging(guilty):
    tried = []

    def fails(items):
        tried.append(items)
        return set(guilty) <= set(items)
    assert minimal(list(range(10)), fails) == guilty
    assert len(tried) < 150


def test_delta_debugging_of_what_is_not_monotonous():
    """In the end no single one can be left out, whatever fails on the way."""
    def fails(items):
        return sum(items) % 7 == 3
    items = list(range(1, 31))
    assert fails(items)
    short = minimal(items, fails)
    assert fails(short) and not any(fails(short[:i] + short[i + 1:]) for i in range(len(short)))


def test_arguments():
    with pytest.raises(gort.ArgumentError, match="did you mean 'philosophers'"):
        gort.explore("philosopher")
    with pytest.raises(gort.ArgumentError, match="no parameter 'forks'"):
        gort.explore("philosophers", forks=2)
    with pytest.raises(gort.ArgumentError, match="by name"):
        gort.explore("philosophers", 3)
    with pytest.raises(gort.ArgumentError, match="runs"):
        gort.explore("philosophers", runs=-1)
    with pytest.raises(gort.ArgumentError, match="seed"):
        gort.explore("philosophers", seed=2**64)
    with pytest.raises(gort.ArgumentError, match="procs"):
        gort.explore("philosophers", procs=-1)
    with pytest.raises(gort.ArgumentError, match="collector|best"):
        gort.explore("philosophers", collector="best")


def test_not_from_a_goroutine(rt):
    def inside():
        with pytest.raises(gort.BusyError):
            gort.explore("philosophers")
        return 1
    assert rt.run(inside).value == 1


def test_progress_counts_runs():
    seen = []
    assert gort.explore("philosophers", runs=2000, progress=lambda done, total: seen.append((done, total))) is None
    assert seen[-1] == (2000, 2000) and seen == sorted(seen)
    seen.clear()
    found = gort.explore("philosophers", left_first=1, progress=lambda done, total: seen.append((done, total)))
    tries = [done for done, total in seen if total == 0]
    assert (found.runs, 10_000) in seen and tries == list(range(1, len(tries) + 1)) and len(tries) > 2


def test_an_exception_of_the_progress_function_ends_it():
    def stop(done, total):
        raise KeyError("enough")
    with pytest.raises(KeyError):
        gort.explore("pingpong", rounds=10**9, runs=10, progress=stop)


@pytest.mark.skipif(os.name != "posix", reason="signals as in POSIX")
def test_ctrl_c_ends_a_search_though_its_run_does_not():
    main = threading.main_thread().ident
    with pytest.raises(KeyboardInterrupt):
        gort.explore("pingpong", rounds=10**9, progress=lambda done, total: signal.pthread_kill(main, signal.SIGINT))


def test_settings_reach_the_runtimes():
    found = gort.explore("deadlock", procs=3, gogc=50, config="stack=64KiB")
    assert found._program.config == gort.Config(options="stack=64KiB", procs=3, gogc=50)


# ---- Schedules ----

def test_a_seed_is_a_schedule():
    texts = {}
    for _ in range(2):
        for seed in SEEDS:
            with gort.Runtime(seed=seed, trace=True) as rt:
                result = rt.run("philosophers", n=4, rounds=3)
            text = result.trace.schedule()
            assert texts.setdefault(seed, text) == text
            assert "lock" in text and "0x" not in text
    assert len(set(texts.values())) > 25


def test_a_recorded_schedule_is_the_run():
    for seed in SEEDS[:10]:
        with gort.Runtime(seed=seed, trace=True) as rt:
            was = rt.run("philosophers", n=4)
        assert was.schedule.steps > 4 and was.schedule.seed == seed
        with gort.Runtime(seed=99, trace=True) as rt:
            now = rt.replay(was.schedule, "philosophers", n=4)
        assert now.trace.schedule() == was.trace.schedule()
        assert list(now.schedule) == list(was.schedule)


def test_runs_after_a_replay_are_the_seeds_again():
    with gort.Runtime(seed=7, trace=True) as rt:
        first = rt.run("philosophers").trace.schedule()
        rt.replay([], "philosophers")
        assert len(rt.run("philosophers").schedule) > 0
    with gort.Runtime(seed=7, trace=True) as rt:
        assert rt.run("philosophers").trace.schedule() == first


def test_replay_needs_a_seed_and_rising_steps(rt):
    with pytest.raises(gort.ArgumentError, match="seed"):
        rt.replay([], "philosophers")
    assert rt.run("philosophers").schedule is None
    with gort.Runtime(seed=1) as seeded, pytest.raises(gort.ArgumentError):
        seeded.replay([(2, 1), (2, 1)], "philosophers")


@pytest.mark.parametrize("choices, message", [
    ([(1,)], r"is \(step, goid\), not \(1,\)"), ([(1, 2, 3)], "is .step, goid., not"), ([5], "is .step, goid., not 5"),
    ([(-1, 2)], "step=-1 is out of range"), ([(1, -2)], "goid=-2 is out of range"), ([(1.5, 2)], "step is an integer"),
    ([(1, 2**64)], "goid=.* is out of range"), ([(3, 2), (2, 2)], "2 is after 3"), ([(2, 1), (2, 1)], "2 is after 2")])
def test_what_is_no_list_of_choices(choices, message):
    with gort.Runtime(seed=1) as rt, pytest.raises(gort.ArgumentError, match=message):
        rt.replay(choices, "philosophers")


def test_only_a_first_run_can_be_drawn():
    with gort.Runtime(seed=3) as rt:
        first, second = rt.run("philosophers"), rt.run("philosophers")
    assert first.schedule.timeline().lanes
    with pytest.raises(gort.ArgumentError, match="first run"):
        second.schedule.timeline()
    assert "choices" in second.schedule._repr_html_()


def _attach(rt):
    with rt.attach():
        pass


@pytest.mark.parametrize("before", [
    gort.Runtime.gc, gort.Runtime.free_os_memory, _attach, lambda rt: rt.go(len, ""),
    lambda rt: setattr(rt, "gogc", 50), lambda rt: setattr(rt, "memory_limit", None)])
def test_nor_a_run_after_something_that_used_up_a_goid(before):
    with gort.Runtime(seed=3) as rt:
        before(rt)
        schedule = rt.run("philosophers").schedule
    with pytest.raises(gort.ArgumentError, match="first run"):
        schedule.timeline()


def test_looking_at_a_seeded_runtime_hides_no_deadlock():
    """Each stops the world, from outside."""
    with gort.Runtime(seed=3) as rt:
        for look in (rt.goroutines, rt.mem_stats, rt.metrics, rt.stack_dump, rt.leaks):
            look()
            with pytest.raises(gort.DeadlockError):
                rt.run("deadlock")


def test_frame(found):
    pytest.importorskip("pandas", reason="Schedule.frame is a DataFrame; pandas is an extra of the package")
    frame = found.schedule.frame()
    assert list(frame.columns) == ["step", "goid"] and len(frame) == len(found.schedule)
    assert tuple(frame.iloc[0]) == found.schedule[0]


# ---- Pictures ----

def test_timeline(found):
    line = found.schedule.timeline()
    assert sorted(line.lanes) == [1, 2, 3, 4]
    assert len(line.choices) == len(found.schedule), "each makes a difference"
    for at, choice in line.choices:
        assert (line.events[at].event, line.events[at].goid) == ("go_start", choice.goid)
    for goid in (2, 3, 4):
        last = line.lanes[goid][-1]
        assert last.state == "waits" and last.label.startswith("sync.Mutex.Lock: mutex "), "it still does at the end"
        assert [m.event for m in line.marks[goid]] == ["lock"]
        bars = line.lanes[goid]
        assert all(a.end <= b.start for a, b in zip(bars, bars[1:]))
    runs = sorted((b.start, b.end) for bars in line.lanes.values() for b in bars if b.state == "runs")
    assert all(a[1] <= b[0] for a, b in zip(runs, runs[1:])), "one at a time"


def texts(ax):
    return [t.get_text() for t in ax.texts]


def test_pictures(found, pyplot):
    ax = found.schedule.plot()
    assert "+mutex 1" in texts(ax) and any(t.startswith("step ") for t in texts(ax))
    assert [t.get_text() for t in ax.get_yticklabels()] == [f"goroutine {i}" for i in (1, 2, 3, 4)]
    ax.figure.savefig(io.BytesIO())
    given = pyplot.subplots()[1]
    assert found.schedule.plot(given, last=5) is given and "not shown" in given.get_title(loc="left")
    given.figure.savefig(io.BytesIO())


def test_many_goroutines_fit(pyplot):
    with gort.Runtime(seed=5) as rt:
        schedule = rt.run("philosophers", n=60).schedule
    ax = schedule.plot(last=10_000)
    assert len(ax.get_yticks()) == 30 and "goroutines not shown" in ax.get_title(loc="left")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_leaves_the_search_to_its_parent():
    parent, children = os.getpid(), []

    def fork_once(done, total):
        if not children:
            children.append(os.fork())
            if children[0] == 0:
                raise KeyError
        raise IndexError

    try:
        with pytest.raises(IndexError):
            gort.explore("pingpong", rounds=10**9, runs=10, progress=fork_once)
    except KeyError:
        os._exit(0)
    finally:
        if os.getpid() != parent:
            os._exit(1)
    assert os.waitpid(children[0], 0)[1] == 0


def test_what_depends_on_more_than_its_schedule_says_so():
    runs = []

    def fails_twice():
        runs.append(1)
        if len(runs) <= 2:
            raise ValueError

    found = gort.explore(fails_twice, runs=3, progress=False)
    assert not found.repeats and "more than its schedule" in str(found) and found.schedule == found.full


def test_html(found, pyplot):
    assert found._repr_html_().count("<img") == 2 and "step" in found._repr_html_()
    assert "<img" in found.schedule._repr_html_()
    assert json.loads(json.dumps(found.as_dict()))["seed"] == found.seed
    assert str(found.seed) in str(found) and str(found.schedule[0].step) in str(found)
