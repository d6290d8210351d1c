#!/usr/bin/env python3
"""json_sites.py PROGRAM: leaves one store of tests/stress/json.c plain at a time: GODEBUG=gccheckmark=1 must find each.
And nothing, when none is."""
import os
import re
import shlex
import subprocess
import sys

WRAPPER = shlex.split(os.environ.get('MESON_EXE_WRAPPER', ''))
FOUND = 'stored without gort_store?'
SITES = 20
TRIES = 40  # a collection has to mark while the store is made and not yet undone: of the rarest, one run in three


def no_core():
    import resource  # pylint: disable=import-outside-toplevel  # not on Windows
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(site):
    """Status and output of a run in which this site is plain; 0: none."""
    env = dict(os.environ, WINEDEBUG='-all')
    command = [*WRAPPER, sys.argv[1], '15000', 'gccheckmark=1,gcstress=300', str(site)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=100, preexec_fn=no_core)
    return done.returncode, done.stdout.decode(errors='replace')


def main():
    status, text = run(0)
    if status != 0:
        print(f'no site: status {status}\n{text}')
        return 1
    missed = []
    for site in range(1, SITES + 1):
        for attempt in range(1, TRIES + 1):
            status, text = run(site)
            if status != 0:
                break
        if status == 0 or FOUND not in text:
            missed.append(f'site {site}: status {status}\n{text}')
        else:
            said = re.search(r'checkmark: (.*)', text)
            print(f'site {site}: {said[1] if said else text} (run {attempt})')
    print('\n'.join(missed) or 'json_sites: ok')
    return bool(missed)


if __name__ == '__main__':
    sys.exit(main())
