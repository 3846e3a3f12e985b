#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the unit tests and replays the fuzz corpora, under prove; with the word
# valgrind each under memcheck. Finding nothing to run is a failure.
#
# usage: units.sh BUILD [valgrind]
set -u
build=$1 how=${2:-}
list=$(ls t/unit/test_*.c t/fuzz/fuzz_*.c 2>/dev/null)
[ -n "$list" ] || { echo "units.sh: no unit tests found" >&2; exit 1; }
run=
if [ "$how" = valgrind ]; then
    # still reachable memory is not counted: APR keeps its pools until exit
    run="valgrind --quiet --error-exitcode=77 --leak-check=full --errors-for-leak-kinds=definite --trace-children=no"
fi
wrap=$(mktemp) || exit 1
trap 'rm -f "$wrap"' EXIT
cat >"$wrap" <<EOF
case \$1 in
*/unit/*) exec $run "\$1" ;;
*)  name=\${1##*/fuzz_}
    echo 1..1
    if [ ! -d "t/fuzz/corpus/\$name" ]; then echo "not ok 1 - t/fuzz/corpus/\$name exists"; exit 1; fi
    out=\$($run "\$1" "t/fuzz/corpus/\$name" 2>"$wrap.err"); rc=\$?
    if [ \$rc = 0 ]; then echo "ok 1 - \$name: \$out"; else
        tail -n 40 "$wrap.err" | sed 's/^/# /' >&2; echo "not ok 1 - \$name: exit \$rc"; fi
    rm -f "$wrap.err"; exit \$rc ;;
esac
EOF
prove --exec "sh $wrap" $(for src in $list; do name=${src#t/}; echo "$build/${name%.c}"; done)
