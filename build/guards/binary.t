# SPDX-License-Identifier: Apache-2.0
# The module exports its record and nothing else, and is linked hardened.
use strict;
use warnings;
use Guard;

my $module = ($ENV{BUILD} || '.build') . '/mod_webhook.so';
ok(-s $module, "$module is built");
my @symbols = map { /^\S+ \S (\S+)$/ ? $1 : () } split /\n/, qx(nm -D --defined-only '$module');
is("@symbols", 'webhook_module', 'only webhook_module is exported');

my $segments = qx(LC_ALL=C readelf -Wl '$module');
like($segments, qr/GNU_RELRO/, 'relocations are read-only after start');
like($segments, qr/GNU_STACK\s.*\bRW\s/, 'the stack is not executable');
unlike($segments, qr/^\s*LOAD\s.*\bRWE\b/m, 'no segment is writable and executable');
my $dynamic = qx(LC_ALL=C readelf -Wd '$module');
like($dynamic, qr/BIND_NOW|FLAGS.*\bNOW\b/, 'symbols are bound at start');
unlike($dynamic, qr/TEXTREL/, 'no relocations in code');
unlike($dynamic, qr/RPATH|RUNPATH/, 'no library path of this machine');
done_testing;
