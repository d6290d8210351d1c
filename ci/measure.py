#!/usr/bin/env python3
"""measure.py [ROOT]: sizes and habits of the C sources, a row for each room. Prints; a person judges.

kloc: physical lines. file, function: median/90th percentile/largest, in lines. #if: conditionals for
1000 lines less include guards. comment: share of lines with only comment. assert: RT_ASSERT, rt_throw,
rt_misuse and RT_UNREACHABLE for 1000 lines of code (in tests: cmocka's)."""
import pathlib
import re
import sys

CONDITIONAL = re.compile(r'^\s*#\s*(if|ifdef|ifndef|elif)\b', re.M)
ASSERT = re.compile(r'\b(RT_ASSERT|rt_throw|rt_misuse|RT_UNREACHABLE|_Static_assert'
                    r'|assert_[a-z_]+|fail_msg|fail)\s*\(')
NAME = re.compile(r'(\w+)\s*\(')


def functions(lines):
    """(name, lines) of what stands between a brace in column 0 and its end, if a parameter list
    comes before it."""
    start = None
    for i, line in enumerate(lines):
        if line.rstrip() == '{':
            head = next((lines[j] for j in range(i - 1, max(i - 6, -1), -1)
                         if lines[j][:1] not in (' ', '\t', '')), '')
            found = NAME.search(head)
            start = (i, found.group(1)) if found else None
        elif line.startswith('}') and start:
            yield start[1], i - start[0] + 1
            start = None


def comment_lines(text):
    count, inside = 0, False
    for line in text.splitlines():
        s = line.strip()
        if inside or s.startswith('/*') or s.startswith('//'):
            count += 1
            if s.startswith('/*'):
                inside = True
            if '*/' in s:
                inside = False
    return count


def middle(values):
    v = sorted(values) or [0]
    return f'{v[len(v) // 2]}/{v[min(len(v) - 1, len(v) * 9 // 10)]}/{v[-1]}'


def conditionals(f, text):
    n = len(CONDITIONAL.findall(text)) - text.count('#ifdef __cplusplus')
    return max(0, n - (f.suffix == '.h'))


def row(name, files):
    texts = [(f, f.read_text()) for f in files]
    lines = sum(t.count('\n') for _, t in texts)
    found = [(n, name_, f) for f, t in texts for name_, n in functions(t.splitlines())]
    comments = sum(comment_lines(t) for _, t in texts)
    blank = sum(1 for _, t in texts for x in t.splitlines() if not x.strip())
    code = max(1, lines - comments - blank)
    ifs = [conditionals(f, t) for f, t in texts]
    asserts = sum(len(ASSERT.findall(t)) for _, t in texts)
    largest = max(found, default=(0, '', None), key=lambda x: x[0])
    print(f'{name:20}{len(files):6}{lines / 1000:7.1f}{middle(t.count(chr(10)) for _, t in texts):>14}'
          f'{1000 * sum(ifs) / max(1, lines):6.1f}{100 * sum(n == 0 for n in ifs) // len(ifs):7}%'
          f'{middle(n for n, _, _ in found):>12}{100 * comments // max(1, lines):8}%'
          f'{1000 * asserts / code:8.0f}  {largest[1]}')


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent
    rooms, everything = {}, {}
    for top in ('core', 'backends', 'bindings', 'tests'):
        for f in sorted((root / top).rglob('*')):
            if f.suffix in ('.c', '.h', '.S', '.cc'):
                where = f.relative_to(root).parts
                rooms.setdefault('/'.join(where[:2]) if len(where) > 2 else top, []).append(f)
                everything.setdefault(top, []).append(f)
    print(f'{"room":20}{"files":>6}{"kloc":>7}{"file":>14}{"#if":>6}{"no #if":>8}{"function":>12}'
          f'{"comment":>9}{"assert":>8}  largest function')
    for name, files in rooms.items():
        row(name, files)
    for name, files in everything.items():
        row('all of ' + name, files)
    return 0


if __name__ == '__main__':
    sys.exit(main())
