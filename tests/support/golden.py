#!/usr/bin/env python3
"""golden.py [--update] [--no-frames] GO_SOURCE PROGRAM [GO]: do a Go program and its C half do the same?

Both take the name of a case. What a case must print, and its status, stand in the comment at the end
of the Go source:

    == NAME STATUS
    out| a line of standard output
    err| a line of standard error

PROGRAM, the C half, runs always; the Go half, too, if GO is a go 1.23. --update writes the comment from what
the Go half does. --no-frames: functions of backtraces have no names here. What cannot agree is made equal first: addresses, arguments and places of frames,
names of packages, numbers of goroutines other than main (they are numbered as they appear), and
frames of either runtime itself."""
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile

TIMEOUT = 60
NO_FRAMES = '--no-frames' in sys.argv


def number_goroutines(text):
    seen = {'1': '1'}

    def name(match):
        return 'goroutine ' + seen.setdefault(match.group(1), f'#{len(seen)}')
    return re.sub(r'\bgoroutine (\d+)', name, text)


def function(line):
    """The name in a line of a backtrace, as both halves have it; None: it is dropped."""
    m = re.fullmatch(r'(created by )?([\w.*()/]+?)(?:\(\.\.\.\)|\(.*\))?( in goroutine .*)?', line)
    if m is None:
        return None
    created, name, where = m.group(1) or '', m.group(2), m.group(3) or ''
    name = re.sub(r'^main\.', '', name)
    name = {'gort_panic': 'panic', 'gort_panics': 'panic', 'gort_faulted': 'panic',
            'golden_main': 'main'}.get(name, name)
    name = name.rstrip('_')
    if '.' in name or name.startswith('gort_'):
        return None
    return created + name + where


def backtraces(text):
    """Frames are two lines: the function, then a tab and the place."""
    lines, out, inside = text.split('\n'), [], False
    for i, line in enumerate(lines):
        if re.match(r'goroutine \S+ \[.*\]:$', line):
            inside = True
            out.append(line)
        elif not inside or line == '':
            inside = inside and line != ''
            out.append(line)
        elif not line.startswith('\t'):
            place = lines[i + 1] if i + 1 < len(lines) else ''
            if not re.match(r'\t\S.*( \+0x[0-9a-f]+)?$', place):
                out.append(f'no place follows: {line}')
            name = function(line)
            if name is not None:
                out.append(name)
    return '\n'.join(out)


EMULATOR = re.compile(r'(it looks like wine32|multiarch needs|execute "dpkg|apt-get install wine32'
                      r'|[0-9a-f]{4}:(err|fixme|warn):|wine client error:).*\n', re.M)  # what wine says by itself


def equalise(text):
    text = EMULATOR.sub('', text.replace('\r\n', '\n'))
    text = backtraces(number_goroutines(text))
    text = re.sub(r'\bpc=0x[0-9a-f]+', 'pc=PC', text)
    text = re.sub(r'\) 0x[0-9a-f]+', ') ADDRESS', text)
    text = re.sub(r'\bmain\.', '', text)
    return re.sub(r'\n+$', '\n', text)


def no_core():
    import resource  # pylint: disable=import-outside-toplevel  # not on Windows
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, case):
    env = {k: v for k, v in os.environ.items()
           if k not in ('GOTRACEBACK', 'GODEBUG', 'GOMAXPROCS')}
    env.setdefault('WINEDEBUG', '-all')
    # exit(2) joins nobody.
    env['TSAN_OPTIONS'] = env.get('TSAN_OPTIONS', '') + ':report_thread_leaks=0'
    try:
        done = subprocess.run([*command, case], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=TIMEOUT, check=False, env=env,
                              preexec_fn=no_core)
    except subprocess.TimeoutExpired:
        return 'hangs', '', ''
    return (done.returncode, equalise(done.stdout.decode(errors='replace')),
            equalise(done.stderr.decode(errors='replace')))


def write_case(name, result):
    status, out, err = result
    lines = [f'== {name} {status}']
    for label, text in (('out', out), ('err', err)):
        body = text[:-1] if text.endswith('\n') else text
        lines += [f'{label}| {line}'.rstrip() for line in body.split('\n')] if text else []
    return '\n'.join(lines) + '\n'


def read_cases(source):
    """Name -> text of the case, from the last comment."""
    cases = {}
    comment = source[source.rindex('/*'):].split('*/')[0]
    for part in re.split(r'^(?=== )', comment, flags=re.M)[1:]:
        cases[part.split()[1]] = part.rstrip('\n') + '\n'
    return cases


def go_command(go, source, folder, cache):
    version = subprocess.run([go, 'version'], stdout=subprocess.PIPE, check=False, text=True).stdout
    if 'go1.23' not in version:
        return None
    program = os.path.join(folder, 'golden-go')
    env = dict(os.environ, GOCACHE=str(cache), GOFLAGS='', GOTOOLCHAIN='local')
    subprocess.run([go, 'build', '-o', program, str(source)], check=True, env=env, cwd=folder)
    return [program]


def without_frames(text):
    """Of a case: what stands between a goroutine's header and the next empty line is dropped."""
    text = re.sub(r'\[signal .* addr=', '[signal addr=', text)  # Windows has numbers
    return re.sub(r'(err\| goroutine \S+ \[.*\]:\n)(err\| .+\n)*', r'\1', text)


def compare(who, command, cases):
    bad = 0
    for name, want in cases.items():
        result = run(command, name)
        if result[0] == 77:
            print(f'skipped: {name}')
            continue
        got = write_case(name, result)
        if NO_FRAMES:
            got, want = without_frames(got), without_frames(want)
        if got != want:
            bad += 1
            print(f'---- {who} differs: {name}\n-- wanted\n{want}-- got\n{got}')
    return bad


def main():
    args = sys.argv[1:]
    update = '--update' in args
    args = [a for a in args if not a.startswith('--')]
    source = pathlib.Path(args[0]).resolve()
    wrapper = shlex.split(os.environ.get('MESON_EXE_WRAPPER', ''))
    text = source.read_text()
    with tempfile.TemporaryDirectory() as folder:
        go = None
        if len(args) > 2 and args[2] and not wrapper:
            cache = pathlib.Path(args[1]).resolve().parent / 'go-cache'
            go = go_command(args[2], source, folder, cache)
        if update:
            body = text[:text.rindex('/*')] if '\n/*\n' in text else text + '\n'
            names = re.findall(r'"(\w+)": \w+[,}]', text)
            text = body + '/*\n' + '\n'.join(write_case(n, run(go, n)) for n in names) + '*/\n'
            source.write_text(text)
        cases = read_cases(text)
        bad = compare('the C half', [*wrapper, args[1]], cases)
        if go is not None:
            bad += compare('the Go half', go, cases)
    print(f'golden: {len(cases)} cases, {bad} differences' + ('' if go else ', without Go'))
    return bad != 0


if __name__ == '__main__':
    if hasattr(signal, 'SIGPIPE'):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
