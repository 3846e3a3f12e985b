#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The benchmark behind `make -f apxs.mk bench`; what it measures is said in build/bench/bench.pl.
#   environment: APXS, BUILD, BENCH_FULL=1 (a million deliveries and jobs), BENCH_ROUNDS, BENCH_SECONDS, BENCH_CHILDREN,
#     BENCH_PARTS="rates idle json schemas verify patterns memory queue"
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
apxs=${APXS:-apxs}
BENCH_BUILD=$top/${BUILD:-.build}
case ${BUILD:-} in /*) BENCH_BUILD=$BUILD ;; esac
BENCH_HTTPD=$("$apxs" -q SBINDIR)/$("$apxs" -q PROGNAME)
BENCH_LIBEXEC=$("$apxs" -q LIBEXECDIR)
export BENCH_BUILD BENCH_HTTPD BENCH_LIBEXEC
exec perl -I"$top/build/bench" "$top/build/bench/bench.pl"
