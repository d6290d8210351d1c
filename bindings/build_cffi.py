"""build_cffi.py OUT HEADER ...: writes OUT, the C source of the extension module gort._gort.

CFFI in API mode: the compiler checks each declaration of the cdef against the header itself. CFFI
releases the GIL around every call. (CFFI 1.15 has no command of its own for this; emit_c_code is
what it would call.)
"""
import os
import sys

from cffi import FFI

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cdef  # noqa: E402  (a sibling of this script, wherever the script is run from)

INCLUDES = """
#include <gort.h>
#include "bindings/guard.h"
#include "bindings/trace.h"
#include "bindings/workloads/workload.h"
#include "bindings/callable.h"
#include "bindings/chan.h"
#include "bindings/locks.h"
#include "bindings/explore.h"
"""

out, *headers = sys.argv[1:]
ffibuilder = FFI()
ffibuilder.set_source("gort._gort", INCLUDES)
ffibuilder.cdef(cdef.read(headers))
ffibuilder.emit_c_code(out)
