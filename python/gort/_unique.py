"""Unique: what stands for one thing of the library, and has its destructor."""
from typing import Any


class Unique:
    """A second object of the same pointer would free it once more, or use it when it is gone."""

    def __copy__(self, *args: Any) -> Any:
        raise TypeError(f"a {type(self).__name__} can be neither copied nor pickled")

    __deepcopy__ = __reduce__ = __reduce_ex__ = __copy__
