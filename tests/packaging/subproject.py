#!/usr/bin/env python3
"""subproject.py ROOT CC: builds and runs a Meson project that has this one in subprojects/."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = """project('user', 'c', default_options: ['c_std=c11', 'warning_level=3', 'werror=true'])
gort = dependency('gort', fallback: 'gort')
test('user', executable('user', 'user.c', dependencies: gort))
"""


def main():
    root, cc = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as tmp:
        top = pathlib.Path(tmp)
        (top / 'subprojects').mkdir()
        (top / 'subprojects/gort').symlink_to(root)
        (top / 'meson.build').write_text(PROJECT)
        shutil.copy(HERE / 'user.c', top)
        env = {**os.environ, 'CC': cc}
        # Not the installed one, should this machine have it.
        setup = ['meson', 'setup', '--force-fallback-for=gort', top / 'build', top]
        for command in (setup, ['ninja', '-C', top / 'build', '-j2'],
                        ['meson', 'test', '-C', top / 'build', '--no-rebuild', '--print-errorlogs']):
            done = subprocess.run(command, env=env, text=True, check=False, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            print(done.stdout)
            if done.returncode:
                return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
