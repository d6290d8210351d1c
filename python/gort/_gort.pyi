"""The CFFI module: `lib` has the functions and constants of gort.h, `ffi` the types.

Private. What is called here on the wrong thread or after free ends the process; the package checks.
"""
from typing import Any

class _Lib:
    def __getattr__(self, name: str) -> Any: ...

lib: _Lib
ffi: Any
