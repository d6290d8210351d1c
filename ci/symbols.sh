#!/bin/sh
# symbols.sh ARCHIVE SHARED: the names of a library are its own. Every external name in the archive begins with
# gort_, rt_ or be_; the shared library exports gort_ only, all that gort.h declares.
set -eu
export LC_ALL=C
nm=${NM:-nm}
here=$(dirname "$0")
status=0

names() { "$nm" "$@" 2>/dev/null | awk 'NF == 3 { print $3 }'; }
complain() {
	[ -z "$2" ] && return
	echo "$1:"
	echo "$2" | sed 's/^/  /'
	status=1
}

archive=$(names -g --defined-only "$1")
shared=$(names -D --defined-only "$2")
[ -n "$archive" ] && [ -n "$shared" ] || { echo "symbols: nothing found"; exit 1; }
# What a header declares as a function that is neither inline nor a macro.
promised=$(tr '\n' ' ' <"$here/../core/include/gort.h" |
	grep -oE 'GORT_API [^;{]*;' | grep -oE 'gort_[a-z0-9_]+\(' | tr -d '(' | sort -u)

complain "external names in the archive without our prefixes" \
	"$(echo "$archive" | grep -vE '^(gort_|rt_|be_)' || true)"
complain "names that the shared library exports and should not" \
	"$(echo "$shared" | grep -vE '^gort_' || true)"
complain "declared in gort.h, missing in the shared library" \
	"$(echo "$promised" | while read -r f; do echo "$shared" | grep -qx "$f" || echo "$f"; done)"
[ $status = 0 ] && echo "symbols: $(echo "$archive" | wc -l) internal and public, $(echo "$shared" | wc -l) exported, ok"
exit $status
