#!/usr/bin/env python3
"""installed.py BUILD CC CXX: installs BUILD into a new root, then compiles and runs a C and a C++ program
with nothing but gort.pc: against the shared library, and against the static one alone."""
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def run(command, **kw):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **kw)
    if done.returncode:
        print('$ ' + shlex.join(map(str, command)), done.stdout, sep='\n')
        sys.exit(1)
    return done.stdout


def main():
    build, cc, cxx = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as tmp:
        root, out = pathlib.Path(tmp) / 'root', pathlib.Path(tmp) / 'user'
        run(['meson', 'install', '-C', build, '--no-rebuild', '--tags', 'devel,runtime',
             '--destdir', root])
        pc, = root.rglob('gort.pc')
        libdir = pc.parent.parent
        env = {**os.environ, 'PKG_CONFIG_LIBDIR': str(pc.parent), 'PKG_CONFIG_SYSROOT_DIR': str(root)}

        def flags(*what):
            return run(['pkg-config', *what, 'gort'], env=env).split()

        installed = sorted(p.relative_to(root).as_posix() for p in root.rglob('*') if p.is_file())
        headers = [p for p in installed if p.endswith('.h')]
        assert len(headers) == 1 and headers[0].endswith('/gort.h'), headers
        assert '-fstack-clash-protection' in flags('--cflags'), flags('--cflags')

        compilers = [[*cc.split(), '-std=c11', '-xc']]
        if cxx:
            compilers.append([cxx, '-std=c++11', '-xc++'])

        def programs(kind, *link, **env_more):
            for compiler in compilers:
                run([*compiler, '-Wall', '-Wextra', '-Werror', HERE / 'user.c', '-xnone', '-o', out,
                     *link])
                needed = run(['readelf', '-d', out])
                assert ('libgort' in needed) == (kind == 'shared'), needed
                print(kind, compiler[-1], run([out], env={**os.environ, **env_more}).strip())

        programs('shared', *flags('--cflags', '--libs'), LD_LIBRARY_PATH=str(libdir))
        for shared in libdir.glob('libgort.so*'):
            shared.unlink()
        programs('static', *flags('--static', '--cflags', '--libs'))
    return 0


if __name__ == '__main__':
    sys.exit(main())
