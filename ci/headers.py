#!/usr/bin/env python3
"""headers.py ROOT CC CXX [-- CFLAGS]: every header compiles alone, and the public one in the strictest
modes of C11 and C++11, with all of its macros used. CXX may be empty."""
import pathlib
import subprocess
import sys
import tempfile

INTERNAL = ['-std=gnu11', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Wno-unused-function',
            '-Wundef', '-Werror']
STRICT = ['-pedantic', '-Wall', '-Wextra', '-Wshadow', '-Wundef', '-Werror']
# What a user may write with the header's macros, in both languages.
USE = '''
#include <gort.h>
#include <gort.h>
typedef struct node { struct node *left, *right; int key; } node;
GORT_DEFINE_TYPE(node, GORT_PTR(node, left), GORT_PTR(node, right), GORT_FIELD(node, key, int));
typedef struct blob { char bytes[40]; } blob;
GORT_DEFINE_TYPE(blob, GORT_NO_FIELDS);
GORT_DEFINE_ALIAS(number, GORT_TYPE(int));
static void body(void *arg)
{
	gort_chan *c = gort_chan_make(GORT_TYPE(node), 0);
	node n = { 0, 0, 1 };
	gort_config cfg;
	gort_proc_stats stats[2];

	(void)arg;
	gort_config_init(&cfg);
	(void)gort_proc_stats_read(gort_self(), stats, 2);
	gort_chan_send(c, &n);
	(void)gort_new(GORT_TYPE(blob));
	(void)gort_new(GORT_TYPE(number));
	(void)GORT_STR("text").len;
	(void)GORT_OS_ERROR(GORT_EOS - 2);
}
int main(void) { return gort_main(body, 0); }
'''


def compile_(command, text):
    with tempfile.TemporaryDirectory() as tmp:
        suffix = '.cc' if command[-1] == 'c++' else '.c'
        source = pathlib.Path(tmp) / ('alone' + suffix)
        source.write_text(text)
        done = subprocess.run([*command[:-1], '-fsyntax-only', str(source)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout if done.returncode else ''


def main():
    root, cc, cxx = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    flags = sys.argv[5:]
    public = f'-I{root}/core/include'
    bad = []
    headers = [h for top in ('core', 'backends', 'bindings', 'tests')
               for h in sorted((root / top).rglob('*.h'))]
    for h in headers:
        rel = h.relative_to(root)
        # Twice: the guard is part of it.
        text = f'#include "{rel}"\n#include "{rel}"\nextern int not_empty;\n'
        bad.append(compile_([*cc.split(), *INTERNAL, f'-I{root}', public, *flags, 'c'], text))
    bad.append(compile_([*cc.split(), '-std=c11', *STRICT, public, 'c'], USE))
    modes = 1
    if cxx:
        for std in ('c++11', 'c++17'):
            bad.append(compile_([*cxx.split(), f'-std={std}', *STRICT, public, 'c++'], USE))
            modes += 1
    bad = [b for b in bad if b]
    print('\n'.join(bad) or f'headers: {len(headers)} alone, gort.h in {modes} strict modes, ok')
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
