#!/usr/bin/env python3
"""fatal.py SOURCE PROGRAM: runs a program that must end badly and compares the end with what the
program's source says in its first comment:

    expect: TEXT    each of these stands in what the program writes, in this order
    status: N       exit status (0 if not said), or `abort`: it is killed by SIGABRT
    without: TEXT   does not stand there

abort() exits with 3 on Windows, and an emulator hands on the signal or 128 + its number."""
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile

ABORTED = (-signal.SIGABRT, 128 + signal.SIGABRT, 3)


def no_core():
    import resource  # pylint: disable=import-outside-toplevel  # not on Windows
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def find_in_order(text, wanted):
    at = 0
    for want in wanted:
        found = text.find(want, at)
        if found < 0:
            return want
        at = found + len(want)
    return None


def main():
    with open(sys.argv[1], encoding='utf-8') as f:
        head = f.read().split('*/')[0]
    said = re.findall(r'^ \*\s+(expect|status|without): (.*?)\s*$', head, re.M)
    status = next((v for k, v in said if k == 'status'), '0')
    wrapper = shlex.split(os.environ.get('MESON_EXE_WRAPPER', ''))
    # A file, not a pipe: wine's server inherits it and would keep a pipe open for as long as it lives.
    with tempfile.TemporaryFile() as out:
        done = subprocess.run([*wrapper, *sys.argv[2:]], stdin=subprocess.DEVNULL, check=False,
                              stdout=out, stderr=subprocess.STDOUT, preexec_fn=no_core)
        out.seek(0)
        text = out.read().decode(errors='replace').replace('\r\n', '\n')
    bad = []
    if status == 'abort' and done.returncode not in ABORTED:
        bad.append(f'ended with {done.returncode}, not by abort')
    if status != 'abort' and done.returncode != int(status):
        bad.append(f'ended with {done.returncode}, not with {status}')
    missing = find_in_order(text, [v for k, v in said if k == 'expect'])
    if missing is not None:
        bad.append(f'missing: {missing}')
    bad += [f'should not say: {v}' for k, v in said if k == 'without' and v in text]
    print(text)
    print('\n'.join('fatal.py: ' + b for b in bad))
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
