#!/bin/sh
# Instructions for one operation, counted by Callgrind on one P: they hardly depend on the machine's
# load, so a difference between two builds is a difference in the code. Each workload runs twice,
# with N and with 2N operations; the difference of the two counts is N operations and nothing else:
# no start-up, no end.
#
#   tests/bench/instr.sh [BUILD [NAME...]]
#
# BUILD is a build directory of gort (default build/bench, set up if new); NAME a workload of
# workloads.c. Instructions are not time: a locked one costs as much as twenty others.
set -eu

here=$(dirname "$0")
build=${1:-$here/../../build/bench}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- yield2 yield1000 pingpong spsc128 spawn100 mutex1
n=20000

command -v valgrind >/dev/null || { echo "instr.sh: no valgrind" >&2; exit 2; }
program=$("$here/compare" --build "$build" --build-only)/workloads
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The number of instructions of a run with $2 operations of workload $1.
count() {
	if ! GOMAXPROCS=1 valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$program" "$1" "$2" >"$log" 2>&1; then
		cat "$log" >&2
		return 1
	fi
	sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$log"
}

printf '%-12s %s\n' workload instructions
for name; do
	once=$(count "$name" $n)
	twice=$(count "$name" $((2 * n)))
	awk -v name="$name" -v d=$((twice - once)) -v n=$n \
		'BEGIN { printf "%-12s %12.1f\n", name, d / n }'
done
