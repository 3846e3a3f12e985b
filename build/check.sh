#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What needs no server: the guards over the tree, the unit tests, the replay of
# the fuzz corpora. Everything runs, then any failure counts.
#
# usage: check.sh BUILD
set -u
rc=0
echo "guards"
BUILD=$1 prove -Ibuild/guards build/guards/*.t || rc=1
echo "unit tests and fuzz corpora"
"$(dirname "$0")/units.sh" "$1" || rc=1
exit $rc
