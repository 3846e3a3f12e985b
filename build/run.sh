#!/bin/sh
# The demonstration behind `make -f apxs.mk run`: a private Apache on loopback, three requests, and where they went.
#   environment: APXS, BUILD, PORT, RUN_ONCE=1
# Everything it writes is under BUILD/run, or under a temporary copy when the server's user cannot enter this directory.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/${BUILD:-.build}
apxs=${APXS:-apxs}
server=$("$apxs" -q SBINDIR)/$("$apxs" -q PROGNAME)
modules=$("$apxs" -q LIBEXECDIR)
failures=0
copy=

say() { printf '%s\n' "$*"; }
die() { printf 'run: %s\n' "$*" >&2; exit 1; }

# As root the server changes to this user; it must be able to reach every file.
user=
if [ "$(id -u)" = 0 ]; then
    for u in www-data apache nobody; do
        if id "$u" >/dev/null 2>&1; then user=$u; break; fi
    done
    [ -n "$user" ] || die "no unprivileged user (www-data, apache, nobody) to run the server as"
    if ! setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups test -x "$build" -a -r "$build/mod_webhook.so" 2>/dev/null; then
        copy=$(mktemp -d)
        chmod 755 "$copy"
        mkdir -p "$copy/build" "$copy/.build"
        cp -R "$top/build/demo" "$copy/build/"
        cp "$build/mod_webhook.so" "$build/webhookctl" "$copy/.build/"
        chmod -R a+rX "$copy"
        top=$copy build=$copy/.build
        say "This directory cannot be entered by $user: running from the temporary copy $copy"
    fi
fi

root=$build/run
pid=
cleanup() {
    trap - EXIT INT TERM HUP
    if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
        kill "$pid" 2>/dev/null || true
        n=0
        while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
    fi
    [ -z "$copy" ] || rm -rf "$copy"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

rm -rf "$root"
mkdir -p "$root/conf" "$root/logs" "$root/out" "$root/state" "$root/htdocs"
( umask 077; od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$root/conf/github.key" )
if [ -n "$user" ]; then
    chown "$user" "$root/out" "$root/state"
fi

port=${PORT:-$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", ReuseAddr => 1)->sockport')}
load=
for m in mpm_event authn_core authz_core authz_host unixd log_config alias reqtimeout status cgid env setenvif; do
    if [ -f "$modules/mod_$m.so" ]; then load="${load}LoadModule ${m}_module \"$modules/mod_$m.so\"\\
"; fi
done
account=
if [ -n "$user" ]; then account="User $user\\
Group $(id -gn "$user")"; fi
sed -e "s|@ROOT@|$root|g" -e "s|@PORT@|$port|g" -e "s|@DEMO@|$top/build/demo|g" -e "s|@MODULE@|$build/mod_webhook.so|g" \
    -e "s|@USER@|$account|" -e "s|@MODULES@|$load|" "$top/build/demo/httpd.conf.in" >"$root/conf/httpd.conf"

say "== configuration test: $server -t -f $root/conf/httpd.conf"
"$server" -d "$root" -f "$root/conf/httpd.conf" -t
"$server" -d "$root" -f "$root/conf/httpd.conf" -k start || { cat "$root/logs/error.log" >&2; die "the server did not start"; }
n=0
while [ ! -s "$root/logs/httpd.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
pid=$(cat "$root/logs/httpd.pid") || die "the server did not start, see $root/logs/error.log"

ctl() { "$build/webhookctl" --httpd "$server" -d "$root" -f "$root/conf/httpd.conf" "$@"; }
expect() { # what, wanted status, got text
    case $3 in
        "HTTP $2"*) say "   as expected: $1" ;;
        *) say "   NOT as expected: $1 (wanted $2)"; failures=$((failures + 1)) ;;
    esac
}
# `|| true`: send exits 1 on a refusal, which is what the second request is for.
say
say "== a signed push"
answer=$(ctl send github --id demo-1 --event push "$top/build/demo/push.json" || true)
say "$answer"; expect "verified, stored, acknowledged" 202 "$answer"
say
say "== the same push with a wrong signature"
answer=$(ctl send github --id demo-2 --event push --secret wrong "$top/build/demo/push.json" || true)
say "$answer"; expect "refused" 401 "$answer"
say
say "== the first push once more"
answer=$(ctl send github --id demo-1 --event push "$top/build/demo/push.json" || true)
say "$answer"; expect "recognised, answered with the first delivery's id" 202 "$answer"

n=0
while [ $n -lt 300 ]; do
    if [ -s "$root/out/deliveries.jsonl" ] && [ -s "$root/out/deploy.log" ] && [ -s "$root/out/tickets.log" ]; then break; fi
    sleep 0.1; n=$((n + 1))
done
show() { # what, file, records wanted, pattern of a record
    say
    say "== $1: $2"
    if [ -s "$2" ] && [ "$(grep -c "$4" "$2")" = "$3" ]; then
        cut -c1-220 "$2"
    else
        say "   NOT as expected: $3 record(s) wanted"; failures=$((failures + 1))
    fi
}
show "the file got" "$root/out/deliveries.jsonl" 1 '"webhook":1'
show "the program got" "$root/out/deploy.log" 1 'delivery='
show "the upstream got" "$root/out/tickets.log" 1 'delivery='
say
say "== the store"
ctl list || failures=$((failures + 1))

if [ -n "${RUN_ONCE:-}" ]; then
    [ $failures = 0 ] || { say; say "$failures step(s) did not happen; the error log says:"; tail -n 20 "$root/logs/error.log"; exit 1; }
    say; say "All steps happened."
    exit 0
fi
say
say "Serving http://127.0.0.1:$port/hooks/github (secret in $root/conf/github.key, logs in $root/logs) until Ctrl-C."
say "Try: $build/webhookctl --httpd $server -d $root -f $root/conf/httpd.conf tail"
while kill -0 "$pid" 2>/dev/null; do sleep 1; done
