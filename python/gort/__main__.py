"""python -m gort: runs workloads from the command line.

Exit status: 0; 1 when the program failed, explore found a seed that does, or there is no such workload; 2 for bad
usage; 130 when interrupted, as shells have it.
With --json one object goes to standard output and nothing else, failed or not.
"""
import argparse
import json
import sys
from typing import Any, Dict, List, Optional, Sequence, Union

from . import Error, Result, Runtime, backends, explore, sweep, workloads
from ._config import Config
from ._errors import ArgumentError
from ._plots import size_text, time_text
from ._workloads import find

COLUMNS = ("id", "switches", "steals", "stolen", "parked", "readied", "preempted", "handoffs")


class Usage(Exception):
    """The command line is wrong."""


def _assignments(words: Sequence[str]) -> Dict[str, int]:
    """name=value ..., each value an integer; 1_000 and 0x10 as in Python."""
    out: Dict[str, int] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not name or not sign:
            raise Usage(f"{word!r} is not name=value")
        if name in out:
            raise Usage(f"{name} is given twice")
        try:
            out[name] = int(value, 0)
        except ValueError:
            raise Usage(f"{word!r}: {value!r} is not an integer") from None
    return out


def _value(text: str) -> "Union[int, str]":
    try:
        return int(text, 0)
    except ValueError:
        return text


def _grid(words: Sequence[str]) -> "Dict[str, List[Union[int, str]]]":
    """name=v1,v2 ...: integers, and words for settings that take some."""
    out: "Dict[str, List[Union[int, str]]]" = {}
    for word in words:
        name, sign, values = word.partition("=")
        if not name or not sign or not all(values.split(",")):
            raise Usage(f"{word!r} is not name=value,value")
        if name in out:
            raise Usage(f"{name} is given twice")
        out[name] = [_value(v) for v in values.split(",")]
    return out


def _table(head: Sequence[str], rows: List[Sequence[Any]]) -> str:
    texts = [list(map(str, row)) for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*texts)]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths)) for row in texts)


def _write_trace(trace: Any, path: str, title: str) -> None:
    if path.endswith(".html"):
        trace.to_html(path, title=title)
    else:
        trace.to_chrome(path)


def _print_result(result: Result, trace_path: Optional[str]) -> None:
    params = " ".join(f"{k}={v}" for k, v in result.params.items())
    print(f"{result.workload.name} {params}".rstrip())
    print(f"{result.workload.value}: {result.value}")
    print(f"{result.seconds:.6f} s")
    print(_table(("P",) + COLUMNS[1:], [[getattr(p, c) for c in COLUMNS] for p in result.procs]))
    if result.trace is not None:
        print(f"{trace_path}: {result.trace._describe()}")


def _run(args: argparse.Namespace) -> int:
    if args.trace and not args.trace.endswith((".html", ".json")):
        raise Usage(f"--trace {args.trace}: the name ends in .html or .json")
    params = _assignments(args.params)
    known, _ = find(args.workload)
    title = f"gort: {args.workload} {' '.join(args.params)}".rstrip()
    try:
        known.values(params)
        rt = Runtime(procs=args.procs, seed=args.seed, trace=bool(args.trace))
    except ArgumentError as e:
        raise Usage(str(e)) from None
    with rt:
        try:
            result = rt.run(args.workload, progress=True, **params)
        except Error as e:
            if args.trace and e.trace is not None:
                _write_trace(e.trace, args.trace, title)
            raise
    if args.trace:
        _write_trace(result.trace, args.trace, title)
    if args.json:
        print(json.dumps(result.as_dict()))
    else:
        _print_result(result, args.trace)
    return 0


def _sweep(args: argparse.Namespace) -> int:
    grid = _grid(args.params)
    find(args.workload)
    if args.repeat < 1:
        raise Usage(f"--repeat {args.repeat}: at least 1")
    try:
        done = sweep(args.workload, grid, repeat=args.repeat, progress=True)
    except ArgumentError as e:
        raise Usage(str(e)) from None
    if args.json:
        print(json.dumps({"workload": done.workload, "varied": list(done.varied), "rows": list(done)}))
        return 0
    shown = [*done.varied, "seconds", "peak_heap", "cycles", "pause_seconds", "gc_cpu_seconds"]
    texts = {"peak_heap": size_text, "seconds": time_text, "pause_seconds": time_text, "gc_cpu_seconds": time_text}
    print(f"{done.workload}: {args.repeat} runs each, medians" if args.repeat > 1 else done.workload)
    print(_table([n.replace("_seconds", "") for n in shown],
                 [[texts.get(n, _plain)(p[n]) for n in shown] for p in done.medians()]))
    return 0


def _explore(args: argparse.Namespace) -> int:
    params: Dict[str, Any] = _assignments(args.params)
    known, _ = find(args.workload)
    try:
        known.values(params)
        found = explore(args.workload, runs=args.runs, seed=args.seed, progress=True, config=_settings(args), **params)
    except ArgumentError as e:
        raise Usage(str(e)) from None
    if args.json:
        what = {"runs": args.runs} if found is None else found.as_dict()
        print(json.dumps({"workload": args.workload, **what, "params": params, "found": found and found.seed}))
    elif found is None:
        print(f"{args.workload}: {args.runs} seeds from {args.seed} on, and none fails")
    else:
        _print_found(found, args)
    return 0 if found is None else 1


def _settings(args: argparse.Namespace) -> Config:
    return Config(procs=args.procs)


def _print_found(found: Any, args: argparse.Namespace) -> None:
    print(found)
    print(found.error.graph() if hasattr(found.error, "graph") else found.error.report)
    procs = f" --procs {args.procs}" if args.procs is not None else ""
    words = "".join(f" {w}" for w in args.params)
    print(f"again: python -m gort run {args.workload}{words} --seed {found.seed}{procs}")


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _list(args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps({name: {
            "summary": w.summary, "value": w.value, "data": w.data,
            "parameters": [vars(p) for p in w.parameters]} for name, w in workloads().items()}))
        return 0
    for name, w in workloads().items():
        print(f"{name:<10} {w.summary}")
        for p in w.parameters:
            assignment = f"{p.name}={p.default}"
            print(f"{'':10}   {assignment:<16} {p.text} ({p.min} to {p.max})")
    return 0


def _backends(args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps(backends()))
    else:
        for slot, name in backends().items():
            print(f"{slot:10} {name}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gort",
                                     description="Go's runtime as a library.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a workload")
    run.add_argument("workload", metavar="WORKLOAD", help="see list")
    run.add_argument("params", metavar="name=value", nargs="*", help="its parameters, integers")
    run.add_argument("--procs", type=int, help="how many Ps; by default one for each CPU")
    run.add_argument("--seed", type=int, help="a reproducible schedule, in virtual time")
    run.add_argument("--trace", metavar="FILE", help="write a timeline: FILE.html to look at, "
                     "FILE.json for Chrome and Perfetto")
    run.set_defaults(function=_run)
    sweeping = commands.add_parser("sweep", help="run a workload with all combinations of settings")
    sweeping.add_argument("workload", metavar="WORKLOAD", help="see list")
    sweeping.add_argument("params", metavar="name=v1,v2", nargs="*",
                          help="values of settings (procs, gogc, collector, ...) and of the workload's parameters")
    sweeping.add_argument("--repeat", type=int, default=1, metavar="N", help="so many runs of each combination")
    sweeping.set_defaults(function=_sweep)
    exploring = commands.add_parser("explore", help="run a workload under many seeds until one fails")
    exploring.add_argument("workload", metavar="WORKLOAD", help="see list")
    exploring.add_argument("params", metavar="name=value", nargs="*", help="its parameters, integers")
    exploring.add_argument("--runs", type=int, default=10_000, metavar="N", help="so many seeds at most")
    exploring.add_argument("--seed", type=int, default=1, metavar="N", help="the first one")
    exploring.add_argument("--procs", type=int, help="what GOMAXPROCS says; it changes no schedule")
    exploring.set_defaults(function=_explore)
    listing = commands.add_parser("list", help="what run takes")
    listing.set_defaults(function=_list)
    building = commands.add_parser("backends", help="what the library was built from")
    building.set_defaults(function=_backends)
    for command in (run, sweeping, exploring, listing, building):
        command.add_argument("--json", action="store_true", help="one JSON object to stdout")
    return parser


def _failed(args: argparse.Namespace, e: Error) -> int:
    # The report begins with what e says: Go's text, or nothing if the program never ran.
    print((e.report or f"gort: {e}").rstrip(), file=sys.stderr)
    if args.json:
        print(json.dumps({"error": str(e), "kind": type(e).__name__, "code": e.code}))
    return 1


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    # argparse takes name=value only where the workload stands; people also put options first.
    if rest and (args.command not in ("run", "sweep", "explore") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if args.command in ("run", "sweep", "explore"):
            args.params += rest
        return args.function(args)
    except Usage as e:
        parser.error(str(e))  # exits
    except Error as e:
        return _failed(args, e)
    except OSError as e:
        print(f"gort: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("gort: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
