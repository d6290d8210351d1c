"""Program: what a seeded run needs to be made again: a workload or callable, its parameters, the settings."""
import dataclasses
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Mapping, Tuple, Union

from ._config import Config

if TYPE_CHECKING:
    from ._run import Result


@dataclasses.dataclass(frozen=True)
class Program:
    """`config` is that of its runtimes; their seed comes with each run."""

    workload: "Union[str, Callable[..., Any]]"
    args: Tuple[Any, ...]
    params: Mapping[str, Any]
    config: Config

    @property
    def name(self) -> str:
        if isinstance(self.workload, str):
            return self.workload
        return getattr(self.workload, "__qualname__", repr(self.workload))

    def run(self, seed: int, trace: Any = False) -> "Result":
        """In a runtime of its own, as the seed says."""
        from ._runtime import Runtime

        with Runtime(dataclasses.replace(self.config, seed=seed), trace=trace) as rt:
            return rt.run(self.workload, *self.args, progress=False, **self.params)

    def replay(self, seed: int, choices: "Iterable[Tuple[int, int]]", trace: Any = False) -> "Result":
        """The same with these choices."""
        from ._runtime import Runtime

        with Runtime(dataclasses.replace(self.config, seed=seed), trace=trace) as rt:
            return rt.replay(choices, self.workload, *self.args, progress=False, **self.params)

    def again(self, seed: int) -> "Callable[[Iterable[Tuple[int, int]]], Any]":
        """A function of choices that runs it once more, and returns the trace, whether or not that fails."""
        from ._errors import Error

        def traced(choices: "Iterable[Tuple[int, int]]") -> Any:
            try:
                return self.replay(seed, choices, trace=True).trace
            except Error as e:
                if e.trace is None:
                    raise
                return e.trace
        return traced

    def as_dict(self) -> Dict[str, Any]:
        return {"workload": self.name, "params": dict(self.params)}
