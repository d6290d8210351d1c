#!/bin/bash
# self_asm.sh LIB: that the self word (backends/thread/self.h) is read as cheaply as it is meant to be, on
# x86-64 with glibc: an offset from the GOT or an immediate, then one load through %fs.
#
# LIB is a built libgort.so or a program that holds it. Then the same for a probe that is built here with
# every compiler that is found, plain and with LTO, as a library and as a program: the probe's reader
# asks twice around a call that changes the word, so a compiler or linker that keeps the first answer, or
# renames the variable away from the asm, is caught by running it. Exit status 77: nothing to check here.
set -euo pipefail
export LC_ALL=C

[ $# = 1 ] || { echo "usage: ci/self_asm.sh LIB" >&2; exit 2; }
lib=$1
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "$(uname -m)" != x86_64 ] || ! objdump -f "$lib" | grep -q 'elf64-x86-64'; then
	echo "self_asm: the asm is for x86-64 ELF only"
	exit 77
fi

fail() {
	echo "self_asm: $1" >&2
	exit 1
}

# body FILE FUNCTION: its disassembly, in $work/function
body() {
	objdump -d --no-show-raw-insn "$1" |
		awk -v f="<$2>:" '$2 == f { on = 1; next } /^$/ { on = 0 } on' >"$work/function"
	[ -s "$work/function" ] || fail "$1 has no function $2"
	! grep -q __tls_get_addr "$work/function" || fail "$1: $2 calls __tls_get_addr"
}

# check FILE FUNCTION...: each loads from %fs:(register), whose value is from the GOT or an immediate.
check() {
	local file=$1 f
	shift
	for f in "$@"; do
		body "$file" "$f"
		grep -A1 -E 'mov +(0x[0-9a-f]+\(%rip\)|\$0x[0-9a-f]+),%r' "$work/function" |
			grep -qE 'mov +%fs:\(%r[a-z0-9]+\),%r' || fail "$file: $f does not read through %fs"
	done
	! nm -D "$file" 2>/dev/null | grep -q be_self_word || fail "$file exports be_self_word"
}

check "$lib" gort_gosched rt_goroutine_entry
body "$lib" be_self_set

cat >"$work/probe.c" <<'C'
#include "backends/thread/self.h"
__attribute__((visibility("default"))) int twice(void *other);
__attribute__((visibility("default"))) int twice(void *other)
{
	void *first = be_self_get();

	be_self_set(other);
	return first == 0 && be_self_get() == other;
}
C
cat >"$work/main.c" <<'C'
int twice(void *other);
int main(void)
{
	int here;

	return twice(&here) ? 0 : 1;
}
C

tried=0
for cc in gcc clang; do
	command -v $cc >/dev/null || continue
	for lto in "" -flto; do
		flags="-std=gnu11 -O2 -Wall -Wextra -Werror -DBE_SELF_INITIAL_EXEC -fvisibility=hidden -I$root $lto"
		sources="$work/probe.c $root/backends/thread/self.c"
		# clang's LTO wants a linker plug-in that not every machine has.
		if ! $cc $flags "$work/main.c" -o "$work/empty" -Wl,--unresolved-symbols=ignore-all 2>/dev/null; then
			echo "self_asm: $cc $lto cannot link here: not checked"
			continue
		fi
		$cc $flags -fPIC -shared $sources -o "$work/libprobe.so"
		check "$work/libprobe.so" twice
		$cc $flags "$work/main.c" "$work/libprobe.so" -Wl,-rpath,"$work" -o "$work/shared"
		$cc $flags "$work/main.c" $sources -o "$work/static"
		"$work/shared" || fail "$cc $lto: the library keeps an old value"
		"$work/static" || fail "$cc $lto: the program keeps an old value"
		tried=$((tried + 1))
	done
done
echo "self_asm: $lib and $tried probes read through %fs"
