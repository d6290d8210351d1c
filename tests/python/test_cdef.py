"""The cdef is the header: nothing typed twice, nothing left out."""
import re
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "bindings"))
import cdef  # noqa: E402

HEADER = (ROOT / "core" / "include" / "gort.h").read_text()


def test_every_public_function_is_in_the_cdef():
    above = cdef.strip_comments(HEADER.split(cdef.END)[0])
    declared = set(re.findall(r"\b(gort_\w+)\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*[,;]", above))
    declared -= {name for name in declared if re.search(rf"typedef[^;]*\b{name}\b", above)}
    assert len(declared) > 50
    seen = cdef.cdef(HEADER)
    assert {n for n in declared if not re.search(rf"\b{n}\b", seen)} == set()


def test_the_library_has_every_function_of_the_header():
    cffi = pytest.importorskip("cffi")
    from gort._gort import lib

    parsed = cffi.FFI()
    parsed.cdef(cdef.cdef(HEADER))
    names = [key.split()[1] for key in parsed._parser._declarations if key.startswith("function ")]
    assert len(names) > 50
    for name in names:
        assert callable(getattr(lib, name)), name


def test_no_macro_comment_or_directive_is_left():
    text = cdef.cdef(HEADER)
    assert "GORT_API" not in text and "GORT_NORETURN" not in text
    assert "/*" not in text and "__cplusplus" not in text and 'extern "C"' not in text
    assert all(line.endswith(" ...") for line in text.splitlines() if line.startswith("#"))


@pytest.mark.parametrize("line, expected", [
    ("#define N 3", "#define N ..."),
    ("#define N -0x10u", "#define N ..."),
    ("#define N INT64_C(1000)", "#define N ..."),
    ("#define FOREVER INT64_MAX", "#define FOREVER ..."),
    ("#define EMPTY", ""),
    ("#define INIT { { 0 } }", ""),
    ("#define F(x) 3", ""),
    ("#define API __attribute__((x))", ""),
])
def test_constants(line, expected):
    assert cdef.constant(line) == expected


def test_conditionals_and_the_end_marker():
    text = ('#ifdef __cplusplus\nextern "C" {\n#else\nint in_c;\n#endif\n'
            'GORT_API int f(void); /* a comment, with "quotes" and GORT_API */\n'
            "/* ---- Macros ---- */\nint hidden;\n")
    assert cdef.cdef(text) == "int in_c;\nint f(void);\n"


def test_constants_have_the_value_of_the_compiler():
    from gort._gort import lib

    assert lib.GORT_FOREVER == 2**63 - 1
    assert lib.GORT_SECOND == 10**9
    assert lib.GORT_EOS == -1000
