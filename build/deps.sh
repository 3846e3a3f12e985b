#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what a goal needs and is not there yet, by build/packages.txt. When
# nothing is missing it asks nobody and changes nothing.
#
# usage: deps.sh build|run|test|valgrind|fuzz|bench
set -u
case ${1:-build} in
build)    goals="build" ;;
run)      goals="build run" ;;
test)     goals="build run test" ;;
valgrind) goals="build valgrind" ;;
fuzz)     goals="build fuzz" ;;
bench)    goals="build run test bench" ;;
*)        echo "deps.sh: no goal '$1'; there are build, run, test, valgrind, fuzz, bench" >&2; exit 2 ;;
esac

if command -v apt-get >/dev/null; then column=2
elif command -v dnf >/dev/null; then column=3
else
    echo "deps.sh: neither apt-get nor dnf here; build/packages.txt says what is needed" >&2
    exit 0 # the build says what it lacks
fi
wanted=$(awk -v goals=" $goals " -v column=$column \
    '!/^#/ && NF == 3 && index(goals, " " $1 " ") && $column != "-" { print $column }' "$(dirname "$0")/packages.txt")
[ -n "$wanted" ] || { echo "deps.sh: nothing listed for $goals" >&2; exit 1; }

missing=
if [ $column = 2 ]; then
    have=$(dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package}\n' 2>/dev/null | awk '$1 ~ /^.i/ { sub(/:.*/, "", $2); print $2 }')
    for pkg in $wanted; do
        printf '%s\n' "$have" | grep -qxF "$pkg" || missing="$missing $pkg"
    done
else
    for pkg in $wanted; do
        rpm -q --quiet --whatprovides "$pkg" || missing="$missing $pkg"
    done
fi
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "deps.sh: these packages are missing, ask root to install them:$missing" >&2; exit 1; }
    as_root=sudo
fi
echo "installing:$missing"
if [ $column = 3 ]; then
    exec $as_root dnf install -y --setopt=install_weak_deps=False $missing
fi
$as_root apt-get update -qq -o Acquire::Retries=3 || echo "deps.sh: apt-get update failed, trying with the lists that are there" >&2
plan=$($as_root apt-get install -s --no-install-recommends $missing 2>&1) || { printf '%s\n' "$plan" >&2; exit 1; }
if printf '%s\n' "$plan" | grep -q '^Inst apache2 '; then
    echo "deps.sh: this would install the apache2 package, which starts a server on port 80; not done" >&2
    exit 1
fi
exec $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Acquire::Retries=3 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold $missing
