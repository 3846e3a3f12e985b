#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fuzzes every target for SECONDS with libFuzzer (clang), starting from its
# corpus. New inputs stay in .build/libfuzzer/new; those worth keeping are
# copied to t/fuzz/corpus by hand. A crash ends with its file named.
#
# usage: fuzz.sh SECONDS
set -eu
seconds=$1
make=${MAKE:-make}
build=${BUILD:-.build}/libfuzzer
# libFuzzer is clang's
$make -f apxs.mk BUILD="$build" CC="${FUZZ_CC:-clang}" SANITIZE=fuzzer libfuzzer
rc=0 found=0
for bin in "$build"/libfuzzer/fuzz_*; do
    [ -x "$bin" ] || continue
    found=1
    name=${bin##*/fuzz_}
    mkdir -p "$build/new/$name" "$build/crash"
    echo "== $name, $seconds s"
    # APR's pools hide pointers from the leak check; valgrind looks for leaks in the replay
    ASAN_OPTIONS=detect_leaks=0 "$bin" -detect_leaks=0 -max_total_time="$seconds" -verbosity=0 -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$build/crash/$name-" "$build/new/$name" "t/fuzz/corpus/$name" || rc=1
done
[ $found = 1 ] || { echo "fuzz.sh: no targets" >&2; exit 1; }
exit $rc
