#!/usr/bin/env python3
"""layers.py [ROOT]: who may include whom, from the table below, for every #include "..." of ours."""
import pathlib
import re
import sys

BASE, THREAD, ARENA = 'core/base', 'backends/thread', 'backends/arena'
CONTEXT, PREEMPT, NETPOLL, FAULT, DATA, IO = ('backends/context', 'backends/preempt', 'backends/netpoll',
                                              'backends/fault', 'backends/data', 'backends/io')
PUBLIC = 'core/include/gort.h'
# Room -> rooms whose headers it may include; its own and the public header always. Down only: a
# room that needs one above gets a function pointer, registered by core/api.
MAY = {
    'core/include': [],
    # Trace rings and the scheduler's tables are pages of their own: malloc's lock may be held by a
    # goroutine that does not run.
    BASE: [THREAD, ARENA],
    'core/stack': [BASE, 'core/alloc', ARENA, FAULT],  # how much room a handler needs
    'core/alloc': [BASE, ARENA],
    'core/sched': [BASE, 'core/stack', 'core/alloc', CONTEXT, THREAD, PREEMPT, NETPOLL, FAULT,
                   ARENA],
    'core/gc': [BASE, 'core/stack', 'core/alloc', 'core/sched', ARENA, THREAD, DATA],
    'core/builtin': [BASE, 'core/alloc', 'core/gc', 'core/sched'],
    'core/iface': [BASE, 'core/alloc', 'core/gc', 'core/builtin'],
    'core/sync': [BASE, 'core/alloc', 'core/gc', 'core/sched', 'core/builtin'],
    'core/net': [BASE, 'core/alloc', 'core/gc', 'core/sched', 'core/sync', IO],
    # Watches every room below the compiler.
    'core/watch': [BASE, 'core/stack', 'core/alloc', 'core/sched', 'core/gc', 'core/builtin',
                   'core/iface', 'core/sync', THREAD],
    # The public entry points: puts all rooms together.
    'core/api': ['core/*', 'backends/*'],
    'core/compiler': [BASE, 'core/builtin', 'backends/codegen'],
    'backends': [],
    CONTEXT: [BASE],
    ARENA: [BASE],
    THREAD: [BASE],
    PREEMPT: [BASE, THREAD, 'backends'],
    NETPOLL: [BASE, THREAD],
    IO: [BASE],
    DATA: [BASE, THREAD],  # no fork comes in between
    FAULT: [BASE, THREAD, 'backends'],  # the folder itself: machine.h
    'bindings': ['bindings/workloads'],
    'bindings/workloads': [],  # programs of a user
    'tests/bench': [],
    'tests/golden': [],
    'tests/packaging': [],
    'tests/*': ['core/*', 'backends/*', 'tests/support'],
}
# One file, one header more, each with its reason.
EXCEPT = {
    # The cost of a bare switch is a property of the slot.
    'tests/bench/switch_cost.c': 'backends/context',
    # What is explored in the tests is what is measured.
    'tests/bench/explore.c': 'tests/support',
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def room(path):
    parts = path.split('/')[:-1]
    return '/'.join(parts[:2])


def listed(where, table):
    return where in table or where.split('/')[0] + '/*' in table


def allowed(file, include):
    here, there = room(file), room(include)
    if include == PUBLIC or there == here:
        return True
    if EXCEPT.get(file) == there:
        return True
    key = here if here in MAY else here.split('/')[0] + '/*'
    return key in MAY and listed(there, MAY[key])


def sources(root):
    for top in ('core', 'backends', 'bindings', 'tests'):
        for f in sorted((root / top).rglob('*')):
            if f.suffix in ('.c', '.h', '.S', '.cc'):
                yield f


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    if root.is_file():
        root = root.parent.parent
    bad, files = [], 0
    for f in sources(root):
        rel = f.relative_to(root).as_posix()
        files += 1
        here = room(rel)
        if not (here in MAY or here.split('/')[0] + '/*' in MAY):
            bad.append(f'{rel}: the room {here} is not in the table of ci/layers.py')
        for include in INCLUDE.findall(f.read_text()):
            if not allowed(rel, include):
                bad.append(f'{rel}: may not include "{include}"')
            elif not (root / include).is_file():
                bad.append(f'{rel}: "{include}" is not rooted at the repository')
    print('\n'.join(bad) or f'layers: {files} files, ok')
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
