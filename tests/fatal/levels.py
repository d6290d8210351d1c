#!/usr/bin/env python3
"""levels.py PROGRAM: what GOTRACEBACK lets a program print that fails: tests/fatal/levels.c."""
import os
import re
import shlex
import signal
import subprocess
import sys

WRAPPER = shlex.split(os.environ.get('MESON_EXE_WRAPPER', ''))
WINDOWS = sys.argv[1].endswith('.exe')
ABORTED = (-signal.SIGABRT, 128 + signal.SIGABRT, 3)
BAD = []


def no_core():
    import resource  # pylint: disable=import-outside-toplevel  # not on Windows
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(case, level):
    env = {k: v for k, v in os.environ.items() if k != 'GOTRACEBACK'}
    env.setdefault('WINEDEBUG', '-all')
    if level is not None:
        env['GOTRACEBACK'] = level
    done = subprocess.run([*WRAPPER, sys.argv[1], case], stdin=subprocess.DEVNULL, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=60,
                          preexec_fn=no_core)
    return done.returncode, done.stderr.decode(errors='replace').replace('\r\n', '\n')


def check(case, level, statuses, headers, system):
    status, text = run(case, level)
    found = re.findall(r'^goroutine \d+( gp=\S+ m=\S+.*)? \[.*\]:$', text, re.M)
    ok = status in statuses and len(found) == headers and bool(found and found[0]) == system
    if system and not WINDOWS:
        ok = ok and re.search(r'^\t.* fp=0x\w+ sp=0x\w+ pc=0x\w+$', text, re.M) is not None
        ok = ok and 'rt_' in text
    if not ok:
        BAD.append(f'{case} GOTRACEBACK={level}: status {status}, {len(found)} goroutines\n{text}')
    return text


def frames(text):
    return len(re.findall(r'^\S+\(\.\.\.\)$', text, re.M))


def main():
    for level, headers, system in ((None, 1, False), ('', 1, False), ('single', 1, False), ('none', 0, False),
                                   ('0', 0, False), ('all', 4, False), ('1', 4, False),
                                   ('system', 4, True), ('2', 4, True)):
        check('panic', level, (2,), headers, system)
    check('panic', 'crash', ABORTED, 4, True)
    check('fatal', None, (2,), 4, False)
    check('fatal', 'none', (2,), 0, False)
    text = check('deep', None, (2,), 1, False)
    elided = re.search(r'^\.\.\.(\d+) frames elided\.\.\.$', text, re.M)
    # Without names on Windows the library's own frames are among them.
    if frames(text) != 100 or elided is None or not 902 <= int(elided.group(1)) <= (930 if WINDOWS else 903):
        BAD.append(f'deep: {frames(text)} frames\n{text}')
    print('\n'.join(BAD) or 'levels: ok')
    return bool(BAD)


if __name__ == '__main__':
    sys.exit(main())
