#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the module as "apxs -i -n webhook" does, the tool, its man page and
# the public headers. On Debian also what a2enmod needs; a webhook.conf that is
# already there is left alone. The module is not enabled. With the word
# uninstall the same files are removed, a changed webhook.conf is not.
#
# usage: install.sh [uninstall]
# environment: APXS, BUILD, DESTDIR, PREFIX
set -eu
apxs=${APXS:-apxs} build=${BUILD:-.build} dest=${DESTDIR:-} prefix=${PREFIX:-/usr/local}
libexec=$("$apxs" -q LIBEXECDIR) include=$("$apxs" -q INCLUDEDIR) conf=$("$apxs" -q SYSCONFDIR)

if [ "${1:-}" = uninstall ]; then
    if [ -e "$dest$conf/mods-enabled/webhook.load" ]; then
        echo "install.sh: the module is enabled: a2dismod webhook, and restart the server" >&2
        exit 1
    fi
    for file in "$libexec/mod_webhook.so" "$prefix/bin/webhookctl" "$prefix/share/man/man1/webhookctl.1" "$conf/mods-available/webhook.load"; do
        rm -f "$dest$file"
    done
    for header in include/*.h; do
        rm -f "$dest$include/${header##*/}"
    done
    if cmp -s build/debian/webhook.conf "$dest$conf/mods-available/webhook.conf"; then
        rm -f "$dest$conf/mods-available/webhook.conf"
    elif [ -e "$dest$conf/mods-available/webhook.conf" ]; then
        echo "  $dest$conf/mods-available/webhook.conf was changed and is kept"
    fi
    exit 0
fi

put() { # mode, file, directory
    install -d "$dest$3"
    install -m "$1" "$2" "$dest$3/"
    echo "  $dest$3/${2##*/}"
}

# install(1) and not apxs -i: that knows no DESTDIR
put 644 "$build/mod_webhook.so" "$libexec"
put 755 "$build/webhookctl" "$prefix/bin"
if [ -f mod_webhook/manual/webhookctl.1 ]; then
    put 644 mod_webhook/manual/webhookctl.1 "$prefix/share/man/man1"
fi
for header in include/*.h; do
    put 644 "$header" "$include"
done

if [ -d "$conf/mods-available" ] || { [ -n "$dest" ] && [ -f /etc/debian_version ]; }; then
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    sed "s,@LIBEXECDIR@,$libexec," build/debian/webhook.load >"$tmp/webhook.load"
    put 644 "$tmp/webhook.load" "$conf/mods-available"
    if [ -f "$dest$conf/mods-available/webhook.conf" ]; then
        echo "  $dest$conf/mods-available/webhook.conf is kept as it is"
    else
        put 644 build/debian/webhook.conf "$conf/mods-available"
    fi
    [ -n "$dest" ] || echo "enable it with: a2enmod webhook"
elif [ -z "$dest" ]; then
    echo "enable it with: LoadModule webhook_module \"$libexec/mod_webhook.so\""
fi
