# SPDX-License-Identifier: Apache-2.0
# A log tag belongs to one place and one room; messages of the server, the
# store and the dispatcher have one. Reason codes are in the manual.
use strict;
use warnings;
use Guard;

my %range = (httpd => [100, 499], store => [500, 599], dispatch => [600, 799], verify => [800, 849], validate => [850, 899], core => [900, 949]);
my %at;
for my $file (files(qr/\.[ch]$/, 'mod_webhook')) {
    my ($room) = $file =~ m{^mod_webhook/(\w+)/};
    my $text = code(slurp($file));
    while ($text =~ /"[^"\n]*?\bWH(\d{4})\b/g) {
        my ($tag, $line) = ($1, 1 + (substr($text, 0, $-[0]) =~ tr/\n//));
        my $here = "$file:$line";
        seen('tags');
        bad('WH%s is at %s and at %s', $tag, $at{$tag}, $here) if $at{$tag};
        $at{$tag} = $here;
        my $r = $range{$room};
        bad('%s: WH%s is not one of room %s (%s)', $here, $tag, $room, $r ? "@$r" : 'none') if !$r || $tag < $r->[0] || $tag > $r->[1];
    }
    next if $room !~ /^(?:httpd|store|dispatch)$/;
    while ($text =~ /\b(ap_log_(?:error|rerror|cerror|perror|cserror)|wh_log)\s*\(([^;]*);/g) {
        my ($call, $args, $line) = ($1, $2, 1 + (substr($text, 0, $-[0]) =~ tr/\n//));
        # a declaration, or a wrapper that passes a message on
        next if $args =~ /^\s*(?:int|void|wh_log_sink)\b/ || $args !~ /"/ || $args =~ /"%s/;
        seen('messages');
        bad('%s:%d: a message without its tag', $file, $line) if $args !~ /"WH\d{4}: /;
    }
}
verdict('log tags', tags => 20, messages => 20);

my $manual = join "\n", map { slurp($_) } files(qr/\.md$/, 'mod_webhook/manual');
my $table = slurp('mod_webhook/core/reasons.h');
while ($table =~ /^\s*X\(\w+,\s*"([a-z-]+)"/mg) {
    seen('reasons');
    bad('reason %s is not in the manual', $1) if $manual !~ /`\Q$1\E`/;
}
verdict('reason codes are in the manual', reasons => 30);
done_testing;
