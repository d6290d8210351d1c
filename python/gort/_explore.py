"""explore: runs under one seed after the other until one fails; then the shortest list of choices that makes it fail.

A seed that fails says all, but its schedule has as many switches as the seed drew. Which of them matter is found by
delta debugging (Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing Input, 2002): run again with a part of
them, as long as it fails in the same way; in the end none can be left out.
"""
import dataclasses
import html
import re
import threading
from typing import Any, Callable, Iterable, List, Optional, Sequence, Tuple, Union

from . import _workloads
from ._config import Config, integer
from ._errors import ArgumentError, BusyError, DeadlockError, Error, FatalError, MemoryLimitError, PanicError, check
from ._gort import ffi, lib
from ._program import Program
from ._progress import Progress, reporter
from ._run import POLL, Result
from ._schedule import Choice, Schedule

FAILURES = (DeadlockError, PanicError, FatalError, MemoryLimitError)
_CODES = tuple(e.code for e in FAILURES)
_LAST_SEED = (1 << 64) - 1


@dataclasses.dataclass(frozen=True)
class Found:
    """A run that failed.

    seed      its seed: `Runtime(seed=seed)` makes any run of the program fail in the same way
    error     what it failed with: DeadlockError, PanicError, FatalError, MemoryLimitError; with its trace
    runs      how many seeds were tried
    schedule  the choices that make it fail, none of which can be left out
    full      all choices of the seed
    repeats   whether these made it fail again; False: it depends on more than its schedule, and `schedule` is `full`
    """

    seed: int
    error: Error
    runs: int
    schedule: Schedule
    full: Schedule
    _program: Program = dataclasses.field(repr=False)
    repeats: bool = True

    def replay(self, choices: "Optional[Iterable[Tuple[int, int]]]" = None,
               trace: "Union[bool, int]" = False) -> Result:
        """Runs the program again with the choices of `schedule`, or others, in a new runtime of the same seed: raises
        as the run did; or returns its Result if these choices do not make it fail."""
        return self._program.replay(self.seed, self.schedule if choices is None else choices, trace)

    def as_dict(self) -> dict:
        """Ready for JSON."""
        return {**self._program.as_dict(), "seed": self.seed, "runs": self.runs, "error": str(self.error),
                "kind": type(self.error).__name__, "code": self.error.code, "steps": self.schedule.steps,
                "schedule": [list(c) for c in self.schedule], "choices": len(self.full), "repeats": self.repeats}

    def __str__(self) -> str:
        how = (f"{len(self.schedule)} of {len(self.full)} choices make it fail: {self.schedule}" if self.repeats else
               f"with its {len(self.full)} choices it did not fail again: it depends on more than its schedule")
        return f"{self._program.name}, seed {self.seed} (run {self.runs}): {self.error}\n{how}"

    def _repr_html_(self) -> str:
        more = self.error._repr_html_() if hasattr(self.error, "_repr_html_") else ""
        return f"<pre>{html.escape(str(self))}</pre>{self.schedule._repr_html_()}{more}"


def explore(program: "str | Callable[..., Any]", /, *args: Any, runs: int = 10_000, seed: int = 1,
            config: "Union[Config, str, None]" = None, procs: Optional[int] = None, gogc: "Optional[int | str]" = None,
            memory_limit: Optional[int] = None, stack_size: Optional[int] = None, collector: Optional[str] = None,
            debug: Optional[str] = None, progress: Progress = None, **params: Any) -> Optional[Found]:
    """Runs a workload by name, or a callable, under the seeds seed, seed + 1, ... until one fails, and makes its
    schedule as short as it can. None: all `runs` passed.

    Each run has a runtime of its own, with these settings: see Runtime. params are the workload's parameters; a
    callable is called as program(*args, **params), so often that it should not change what it is given; what is named
    as runs, seed and the others here, or data, it takes as args or by functools.partial. progress is as in
    Runtime.run, and counts runs; then, of a total of 0, tries to make it short. Ctrl-C ends it. Error: a seed
    failed, and did not when run again, since the program depends on more than its seed. BusyError: from a
    goroutine.
    """
    runs, seed = integer("runs", runs, 0, _LAST_SEED), integer("seed", seed, 0, _LAST_SEED)
    if lib.gort_goid() != 0:
        raise BusyError("a goroutine cannot explore: each run has a runtime of its own")
    from ._runtime import Runtime, _merge

    given = dict(procs=procs, gogc=gogc, memory_limit=memory_limit, stack_size=stack_size, collector=collector,
                 debug=debug)
    settings = _merge(config, {k: v for k, v in given.items() if v is not None})
    Runtime(settings, seed=_nth(seed, 0)).close()  # says what is wrong with them
    what = Program(program, args, params, settings)
    bar = reporter(progress, f"gort explore {what.name}")
    try:
        found = (_search if callable(program) else _search_c)(what, runs, seed, bar)
    finally:
        bar.close()
    if found is None:
        return None
    bar = reporter(progress, f"gort explore {what.name}: making it short")
    try:
        return _shorten(what, *found, bar)
    finally:
        bar.close()


# ---- The search ------------------------------------------------------------------------------------

def _search(program: Program, runs: int, seed: int, bar: Any) -> "Optional[Tuple[int, int]]":
    """The seed that fails, and how many were tried."""
    for i in range(runs):
        bar.show(i, runs)
        now = _nth(seed, i)
        try:
            program.run(now)
        except FAILURES:
            return now, i + 1
    bar.show(runs, runs)
    return None


def _nth(seed: int, i: int) -> int:
    """0 is no seed."""
    seed = max(seed, 1) + i
    return seed if seed <= _LAST_SEED else seed - _LAST_SEED


class _Search(threading.Thread):
    """The same of a C workload, in C. As with Run the thread that waits may be interrupted."""

    def __init__(self, program: Program, runs: int, seed: int):
        super().__init__(name=f"gort explore {program.name}", daemon=True)
        if program.args:
            raise ArgumentError("a workload takes its parameters by name")
        known, self.raw = _workloads.find(program.workload)
        self.params = ffi.new("int64_t[]", known.values(program.params) or 1)
        self.config, self._keep = program.config.to_c()
        self.search = ffi.new("binding_search *", {"seed": max(seed, 1), "runs": runs})
        self.code = 0
        self.finished = threading.Event()

    def run(self) -> None:
        try:
            self.code = lib.binding_explore(self.search, self.config, self.raw, self.params)
        finally:
            self.finished.set()

    def stop(self) -> None:
        if not self.is_alive():  # in the child of a fork it never will be, and has nothing to finish
            return
        while not self.finished.wait(POLL):
            lib.binding_explore_stop(self.search)
        self.join()


def _search_c(program: Program, runs: int, seed: int, bar: Any) -> "Optional[Tuple[int, int]]":
    search = _Search(program, runs, seed)
    try:
        search.start()
        while not search.finished.wait(POLL):
            bar.show(lib.binding_explore_done(search.search), runs)
        search.join()
    except BaseException:
        if search.ident is not None:
            search.stop()
        raise
    bar.show(search.search.done, runs)
    if search.code in _CODES:
        return search.search.seed, search.search.done
    check(search.code, f"explore {program.name}")
    return None


# ---- Shorter ---------------------------------------------------------------------------------------

def _kind(e: Error) -> Tuple[type, int, str]:
    """What makes two failures the same: of panics what they say, too."""
    said = str(e).split("\n")[0] if isinstance(e, PanicError) else ""
    return type(e), e.code, re.sub("0x[0-9a-fA-F]+", "0x", said)  # where an object lies is no part of it


def _failure(run: Callable[[], Any]) -> Optional[Error]:
    try:
        run()
    except FAILURES as e:
        return e
    return None


def _shorten(program: Program, seed: int, runs: int, bar: Any) -> Found:
    first = _failure(lambda: program.run(seed))
    full: Optional[Schedule] = getattr(first, "schedule", None)
    if first is not None and full is None:
        raise first  # there was no run to make a schedule
    if first is None or full is None:
        raise Error(f"{program.name} failed with seed {seed}, and did not when run again: "
                    "it depends on more than its seed")
    kind = _kind(first)
    tries = 0

    def fails(choices: "Sequence[Choice]") -> bool:
        nonlocal tries
        tries += 1
        bar.show(tries, 0)
        e = _failure(lambda: program.replay(seed, choices))
        return e is not None and _kind(e) == kind

    repeats = fails(full)
    short = minimal(list(full), fails) if repeats else list(full)
    error = _failure(lambda: program.replay(seed, short, trace=True)) or first
    made = getattr(error, "schedule", None)
    schedule = Schedule(short, seed, made.steps if made else full.steps, program.again(seed))
    return Found(seed, error, runs, schedule, full, program, repeats)


def minimal(items: List[Any], fails: Callable[[Sequence[Any]], bool]) -> List[Any]:
    """The algorithm ddmin: a sublist of items, which fail, that does not fail any more when one is left out."""
    if not items or fails([]):
        return []
    n = 2
    while len(items) >= 2:
        size = -(-len(items) // n)
        parts = [items[i:i + size] for i in range(0, len(items), size)]
        for i, part in enumerate(parts):
            rest = [x for k, other in enumerate(parts) if k != i for x in other]
            if n > 2 and fails(rest):
                items, n = rest, max(n - 1, 2)
                break
            if fails(part):
                items, n = part, 2
                break
        else:
            if n >= len(items):
                break
            n = min(len(items), 2 * n)
    return items
