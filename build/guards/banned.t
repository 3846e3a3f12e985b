# SPDX-License-Identifier: Apache-2.0
# Calls that have no place in this code, each with the reason.
use strict;
use warnings;
use Guard;

my %never = (
    (map { $_ => 'writes without a bound' } qw(strcpy strcat sprintf vsprintf gets stpcpy)),
    (map { $_ => 'not reentrant' } qw(strtok localtime gmtime ctime asctime)),
    (map { $_ => 'cannot refuse; wh_ parsers can' } qw(atoi atol atoll atof sscanf)),
    (map { $_ => 'runs a shell' } qw(system popen)),
    (map { $_ => 'no bound on the stack' } qw(alloca)),
    (map { $_ => 'not for secrets or identities' } qw(rand srand random)),
    (map { $_ => 'races with whoever sees the name' } qw(tmpnam tempnam mktemp)),
    (map { $_ => 'leaves the descriptor to children' } qw(pipe accept creat dup)),
);
my $never = join '|', sort keys %never;
my $secret = qr/\b\w*(?:hmac|mac|digest|signature|secret|token|expected|computed|password)\w*\b/i;

for my $file (files(qr/\.[ch]$/, 'mod_webhook', 'include')) {
    my ($room) = $file =~ m{^mod_webhook/(\w+)/};
    my $full = code(slurp($file));
    my $text = code(slurp($file), 1);
    seen('files');
    my $line = sub { 1 + (substr($_[0], 0, $_[1]) =~ tr/\n//) };
    while ($text =~ /(?<![\w.>])($never)\s*\(/g) {
        bad('%s:%d: %s %s', $file, $line->($text, $-[0]), $1, $never{$1});
    }
    # constant time wherever the bytes decide whether a sender is believed
    if (($room // '') =~ /^(?:verify|httpd)$/) {
        while ($text =~ /\b(memcmp|strcmp|strncmp|strcasecmp)\s*\(([^;{]*?)\)\s*(?:[=!<>]=?|\)|&&|\|\||;)/g) {
            my ($call, $args, $at) = ($1, $2, $-[0]);
            seen('comparisons');
            next if substr($text, $at - 7 < 0 ? 0 : $at - 7, 7) eq 'CRYPTO_';
            bad('%s:%d: %s(%s): CRYPTO_memcmp compares secrets', $file, $line->($text, $at), $call, $args)
                if $args =~ /$secret/ && $args !~ /"|\b(?:name|prefix|label)\b/;
        }
    }
    while ($text =~ /\b(open|openat|socket|socketpair|epoll_create1|fopen|memfd_create|eventfd)\s*\(/g) {
        my ($call, $at) = ($1, $-[0]);
        next if $at && substr($text, $at - 1, 1) =~ /[\w.>]/;
        my ($statement) = substr($full, $at) =~ /^([^;]*)/;
        seen('descriptors');
        bad('%s:%d: %s without CLOEXEC', $file, $line->($text, $at), $call)
            if $statement !~ /CLOEXEC/ && !($statement =~ /\bflags\b/ && $full =~ /\bflags = [^;]*CLOEXEC/) && !($call eq 'fopen' && $statement =~ /"[a-z+]*e[a-z+]*"/);
    }
    # apr's formatter has neither
    while ($full =~ /\b(apr_p?v?s?n?printf|apr_p[sv]*printf|apr_snprintf|ap_rprintf|ap_log_\w+)\s*\(([^;]*);/g) {
        bad('%s:%d: %s does not know %%z or %%ll', $file, $line->($full, $-[0]), $1) if $2 =~ /"[^"]*%[-0-9.*]*(?:z|ll|j|t)[dux]/;
    }
    while ($full =~ /"((?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|REPLACE|ATTACH)\s[^"]*)"/g) {
        seen('statements');
        bad('%s:%d: SQL is bound, not printed: %s', $file, $line->($full, $-[0]), $1) if $1 =~ /%[-0-9.]*[a-zA-Z]/ && $1 !~ /LIKE/;
    }
}
verdict('banned calls', files => 50, comparisons => 3, descriptors => 3, statements => 5);
done_testing;
