#!/bin/sh
# Usage: backtrace.sh PROGRAM. gdb's backtraces of made contexts end at the entry, and are whole at
# every instruction of a switch. PROGRAM is backtrace.c. Exit status 77: no gdb, or it may not trace.
set -u
program=$1
here=$(dirname "$0")

command -v gdb >/dev/null || { echo "no gdb"; exit 77; }
output=$(gdb -q -nx -batch -x "$here/backtrace.py" "$program" 2>&1)
status=$?
if echo "$output" | grep -q -i -e 'could not trace' -e 'ptrace: Operation not permitted'; then
	echo "gdb cannot trace here"
	exit 77
fi
echo "$output" | tail -n 40
for sign in 'corrupt stack' 'previous frame inner' 'previous frame identical' 'Backtrace stopped' \
	'Cannot access memory' 'Traceback'; do
	if echo "$output" | grep -q "$sign"; then
		echo "FAILED: gdb says \"$sign\""
		exit 1
	fi
done
if ! echo "$output" | grep -q '^backtraces: ok'; then
	echo "FAILED: gdb did not get to the end ($status)"
	exit 1
fi
