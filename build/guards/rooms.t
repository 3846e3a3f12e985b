# SPDX-License-Identifier: Apache-2.0
# Includes follow the arrows between rooms, the library never sees httpd's
# headers, and names say which side they are on.
use strict;
use warnings;
use Guard;

my %may = (
    core     => [qw(core)],
    verify   => [qw(verify core)],
    validate => [qw(validate core)],
    store    => [qw(store core)],
    dispatch => [qw(dispatch store verify core)],
    httpd    => [qw(httpd dispatch store verify validate core)],
    ctl      => [qw(ctl dispatch store verify validate core)],
);
my $apxs = $ENV{APXS} || 'apxs';
chomp(my $include = qx($apxs -q INCLUDEDIR));
my %httpd_header = map { m{([^/]+)$} ? ($1 => 1) : () } glob "$include/*.h";
cmp_ok(scalar(keys %httpd_header), '>', 50, "httpd's headers are known");

for my $file (files(qr/\.[ch]$/, 'mod_webhook', 'include', 't/unit', 't/fuzz')) {
    my ($room) = $file =~ m{^mod_webhook/([^/]+)/} ;
    my $library = $file =~ m{^t/} || $file eq 'include/webhook_provider.h' || ($room // '') !~ /^(?:httpd|)$/ ;
    bad('%s: mod_webhook has no room %s', $file, $room) if $room && !$may{$room};
    my $n = 0;
    for (split /\n/, code(slurp($file))) {
        $n++;
        /^\s*#\s*include\b/ or next;
        my ($name) = /^\s*#\s*include\s*[<"]([^">]+)[">]/ or do { bad('%s:%d: which file is this?', $file, $n); next };
        seen('includes');
        bad('%s:%d: the library does not know httpd (%s)', $file, $n, $name)
            if $library && ($httpd_header{$name} || $name eq 'mod_webhook.h');
        my ($to) = $name =~ m{^(\w+)/[^/]+\.h$};
        next if !$to || !$may{$to} || !$room || !$may{$room};
        seen("arrows between rooms") if $to ne $room;
        bad('%s:%d: %s must not include %s', $file, $n, $room, $name) if !grep { $_ eq $to } @{ $may{$room} };
        bad('%s:%d: there is no %s', $file, $n, $name) if !-e "mod_webhook/$name";
    }
}
verdict('includes follow the arrows between rooms', includes => 200, 'arrows between rooms' => 20);

my $build = $ENV{BUILD} || '.build';
my %public = map { $_ => 1 } join('', map { slurp($_) } glob 'include/*.h') =~ /\b(webhook_\w+)/g;
for (split /\n/, qx(nm -g --defined-only $build/libwebhook.a)) {
    my ($name) = /^[0-9a-f]+ [A-Z] (\w+)$/ or next;
    next if $name =~ /^__(?:asan|odr_asan|ubsan|sancov)|^_[A-Z]\w*(?:asan|ubsan)/i;
    seen('symbols');
    bad('libwebhook.a: %s: the library\'s names begin with wh_', $name) if $name !~ /^wh_/ && !$public{$name};
}
verdict('names of the library', symbols => 30);
done_testing;
