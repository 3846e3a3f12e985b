#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the unit tests and replays the fuzz corpora, under prove. Finding
# nothing to run is a failure. With the word valgrind each runs under memcheck,
# whose findings alone count then: valgrind is slow and does not know every
# system call, so what a test thinks of the time or of a pidfd is check's matter.
#
# usage: units.sh BUILD [valgrind]
set -u
build=$1 how=${2:-}
list=$(ls t/unit/test_*.c t/fuzz/fuzz_*.c 2>/dev/null)
[ -n "$list" ] || { echo "units.sh: no unit tests found" >&2; exit 1; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP

cat >"$tmp/plain" <<EOF
case \$1 in
*/unit/*) exec timeout -k 10 600 "\$1" ;; # a hang is an end
esac
corpus=t/fuzz/corpus/\${1##*/fuzz_}
echo 1..1
[ -d "\$corpus" ] || { echo "not ok 1 - \$corpus exists"; exit 1; }
# what a target sets up once lives in a pool that is never destroyed
out=\$(ASAN_OPTIONS=detect_leaks=0 timeout -k 10 600 "\$1" "\$corpus" 2>"$tmp/err"); rc=\$?
# the last input named is the one that did not come back
[ \$rc = 0 ] && echo "ok 1 - \$out" || { tail -n 20 "$tmp/err" | sed 's/^/# /' >&2; echo "not ok 1 - exit \$rc"; }
exit \$rc
EOF

cat >"$tmp/valgrind" <<EOF
args=
case \$1 in */fuzz/*) args=t/fuzz/corpus/\${1##*/fuzz_} ;; esac
rm -f "$tmp"/log.*
# Memory that is still reachable is not counted: APR keeps its pools until exit. The search for it reads every mapping, also the untouched
# gigabyte of each store's index, which so becomes real: of one store that is bearable, of this test's two dozen it is not.
leaks=full
case \$1 in */test_store_sqlite) leaks=no ;; esac
timeout -k 10 900 valgrind --quiet --error-exitcode=77 --leak-check=\$leaks --errors-for-leak-kinds=definite --show-leak-kinds=definite --trace-children=no --suppressions=build/valgrind.supp \
    --log-file="$tmp/log.%p" "\$1" \$args >"$tmp/out" 2>/dev/null
rc=\$?
ran=\$(grep -cE '^(not )?ok |^[0-9]+ inputs|^1\.\.0 ' "$tmp/out")
echo 1..2
if [ "\$ran" -gt 0 ] && [ \$rc -lt 124 ]; then echo "ok 1 - it ran to its end (\$ran results)"
else echo "not ok 1 - it ran to its end (\$ran results, exit \$rc)"; fi
# children that were forked, not executed, have a log of their own
if [ \$rc = 77 ] || grep -qE '^==[0-9]+== (Invalid|Conditional|Use of|Syscall param|Mismatched|Source and dest)' "$tmp"/log.*; then
    grep -hE '^==[0-9]+==' "$tmp"/log.* | head -n 60 | sed 's/^/# /' >&2
    echo "not ok 2 - memcheck finds nothing"; exit 1
fi
echo "ok 2 - memcheck finds nothing"
EOF

prove --exec "sh $tmp/${how:-plain}" $(for src in $list; do name=${src#t/}; echo "$build/${name%.c}"; done)
