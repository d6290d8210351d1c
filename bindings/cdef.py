"""cdef.py HEADER ...: prints the CFFI cdef of C headers, so that no declaration is typed twice.

The headers keep one rule: above the line "---- Macros" no macro stands inside a declaration, except
GORT_API and GORT_NORETURN. So this is a filter over lines, not a preprocessor: comments go,
conditionals count as compiled by a C compiler (__cplusplus is undefined), `#define`s of an integer
stay as "whatever the compiler says", every other directive goes, and the two macros are erased.

Rejected: running `cc -E` (the system's headers come along, and differ), and a cdef kept by hand
(it drifts; CFFI notices a wrong type when it compiles the module, but never a missing function).
"""
import re
import sys

END = "---- Macros"
ERASED = re.compile(r"\b(?:GORT_API|GORT_NORETURN)\b\s*")
COMMENT = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\])*"', re.S)
NUMBER = re.compile(r"[-+]?\s*(?:0[xX][0-9a-fA-F]+|\d+|U?INT\d+_(?:MAX|MIN|C\(\d+\)))[uUlL]*$")


def strip_comments(text: str) -> str:
    """Comments become a blank; string literals are kept, lest one holds a comment's start."""
    return COMMENT.sub(lambda m: m[0] if m[0][0] == '"' else " ", text)


def constant(line: str) -> str:
    """`#define NAME integer` as CFFI wants it; "" for any other macro."""
    words = line.split(None, 2)
    if len(words) == 3 and "(" not in words[1] and NUMBER.match(words[2].strip()):
        return f"#define {words[1]} ..."
    return ""


class Conditionals:
    """Which lines a C compiler sees. Conditions other than __cplusplus hold only `#define`s and
    attributes in these headers, so each of their branches may be looked at."""

    def __init__(self):
        self.hidden = []  # one flag for each open #if

    def directive(self, line: str) -> bool:
        words = line[1:].split()
        name = words[0] if words else ""
        if name in ("if", "ifdef", "ifndef"):
            self.hidden.append(name == "ifdef" and words[1] == "__cplusplus")
        elif name in ("else", "elif"):
            self.hidden[-1] = False
        elif name == "endif":
            self.hidden.pop()
        else:
            return False
        return True

    def visible(self) -> bool:
        return not any(self.hidden)


def cdef(text: str) -> str:
    """The declarations of one header."""
    # The marker stands in a comment, which is open after the cut: close it.
    text = text.split(END)[0] + ("*/" if END in text else "")
    text = strip_comments(text).replace("\\\n", " ")
    seen = Conditionals()
    out = []
    for line in text.splitlines():
        line = line.strip() if line.lstrip().startswith("#") else line.rstrip()
        if line.startswith("#"):
            if not seen.directive(line) and seen.visible() and line.startswith("#define"):
                out.append(constant(line))
        elif seen.visible():
            out.append(ERASED.sub("", line))
    return "\n".join(line for line in out if line.strip()) + "\n"


def read(paths) -> str:
    """The declarations of several headers, in order."""
    out = []
    for path in paths:
        with open(path, encoding="utf-8") as f:
            out.append(cdef(f.read()))
    return "".join(out)


if __name__ == "__main__":
    sys.stdout.write(read(sys.argv[1:]))
