#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Find out once how to compile: writes FILE, a makefile with the flags that CC
# takes and the places of httpd, APR and the libraries. make runs this at each
# start; FILE keeps its time stamp as long as nothing it depends on changed, so
# that objects, which depend on FILE, are rebuilt after a change of any setting
# and only then.
#
# usage: flags.sh FILE KEY      (CC, APXS, USERFLAGS, SANITIZE, WERROR in the environment)
set -u
file=$1
key="$2 $(cksum <"$0" | cut -d' ' -f1) $($CC --version 2>/dev/null | head -n 1)"
# what tests compare our reading of JSON with; they do without where it is missing
oracle=
pkg-config --exists jansson 2>/dev/null && oracle=-DWH_ORACLE
key=$(printf '%s' "$key $oracle" | tr '\n' ' ')
[ -f "$file" ] && [ "$(sed -n '1s/^# //p' "$file")" = "$key" ] && exit 0

fail() { echo "apxs.mk: $*" >&2; rm -f "$file"; exit 1; }

command -v "${CC%% *}" >/dev/null || fail "no C compiler '$CC'; make -f apxs.mk deps installs what is missing"
command -v "$APXS" >/dev/null || fail "no '$APXS' (httpd's development files); make -f apxs.mk deps installs what is missing, or set APXS"
apr=$($APXS -q APR_CONFIG) apu=$($APXS -q APU_CONFIG)
pkgs="sqlite3 libcurl libcrypto libpcre2-8 libidn2 zlib"
command -v pkg-config >/dev/null || fail "no pkg-config; make -f apxs.mk deps installs what is missing"
for pkg in $pkgs; do
    pkg-config --exists "$pkg" || fail "no development files of $pkg; make -f apxs.mk deps installs what is missing"
done

mkdir -p "$(dirname "$file")"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
printf '#include <string.h>\n#include <stdio.h>\nint probe(char *);\nint probe(char *s) { return puts(s); }\n' >"$tmp/p.c"

# each flag alone: what one compiler lacks must not take the others away
takes() { # compile|link FLAG...
    kind=$1; shift
    for flag; do
        case $kind in
        compile) $CC -Werror -Wall -O2 $USERFLAGS "$flag" -c "$tmp/p.c" -o "$tmp/p.o" ;;
        link) $CC -Werror -shared -fPIC "$flag" "$tmp/p.c" -o "$tmp/p.so" ;;
        esac >/dev/null 2>&1 && printf '%s ' "$flag"
    done
}

# -Wno-unused-parameter: hooks and callbacks have the signatures others gave them
warn=$(takes compile -Wall -Wextra -Wno-unused-parameter -Wformat=2 -Wformat-security -Wshadow -Wvla -Wstrict-prototypes \
    -Wmissing-prototypes -Wimplicit-fallthrough -Wundef -Wpointer-arith -Wwrite-strings)
# gcc's data flow sees through sanitized code badly: what is wrong here is found by the plain build
[ -z "$SANITIZE" ] || warn="$warn$(takes compile -Wno-maybe-uninitialized)"
[ "$WERROR" = 0 ] || warn="$warn-Werror "
harden="-O2 -g -fno-strict-overflow $(takes compile -fstack-protector-strong -fstack-clash-protection -fcf-protection=full)"
case $SANITIZE in
"")     # -U first: distributions predefine a lower level
        fortify=$(takes compile -D_FORTIFY_SOURCE=3)
        harden="$harden${fortify:+-U_FORTIFY_SOURCE $fortify}$(takes compile -ftrivial-auto-var-init=zero)"
        san= ;;
fuzzer) san="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -U_FORTIFY_SOURCE" ;;
fuzzer-only) san="-fsanitize-coverage=inline-8bit-counters,pc-table" ;; # for very many inputs
*)      san="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -U_FORTIFY_SOURCE" ;;
esac
ldso=$(takes link -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)

# foreign headers as system headers: their warnings are not ours
system() { printf '%s ' "$@" | sed 's/-I *\([^ ]*\)/-isystem \1/g; s,-isystem /usr/include\( \|$\),\1,g'; }

cat >"$file.$$" <<EOF
# $key
WARN    := $warn
HARDEN  := $harden
SAN     := $san
LDHARD  := $ldso
APRINC  := -D_GNU_SOURCE $($apr --cppflags) $(system "$($apr --includes)" "$($apu --includes)" "$(pkg-config --cflags $pkgs)")
APRLIBS := $($apu --link-ld) $($apr --link-ld --libs)
HTTPINC := -isystem $($APXS -q INCLUDEDIR)
LIBS    := $(pkg-config --libs $pkgs) -pthread
ORACLE  := $oracle${oracle:+ $(pkg-config --cflags --libs jansson)}
EOF
mv "$file.$$" "$file"
