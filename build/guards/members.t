# SPDX-License-Identifier: Apache-2.0
# Every member of the configuration records is set when a record is created and
# treated when two are merged: a forgotten one would be lost in a nested section.
use strict;
use warnings;
use Guard;

my $header = code(slurp('mod_webhook/httpd/config.h'));
my $source = code(slurp('mod_webhook/httpd/config.c'));

# Members of a section's record that describe that one section and are never inherited.
my %own = map { $_ => 1 } qw(file line path name use use_line secrets used flat words);

for my $record (qw(dir server)) {
    my ($struct) = $header =~ /struct\s+wh_${record}_conf\s*\{(.*?)\n\}/s or do { bad("config.h has no wh_${record}_conf"); next };
    my %part;
    for my $what (qw(create merge)) {
        my $name = "wh_${what}_${record}_conf";
        $part{$what} = body_of($source, $name) // do { bad("config.c has no $name"); '' };
        # with the static helpers it calls
        for my $helper ($part{$what} =~ /\b(\w+)\s*\(/g) {
            next if $source !~ /^static\s[^;(]*\b\Q$helper\E\s*\(/m;
            $part{$what} .= body_of($source, $helper) // '';
        }
    }
    # a list of members stands for each of them, wherever it is expanded
    my @lists = $struct =~ /^\s*(WH_\w+_MEMBERS)\s*\(/mg;
    my %listed;
    for my $list (@lists) {
        my ($text) = $header =~ /define\s+\Q$list\E\(\w\)((?:[^\n]*\\\n)*[^\n]*)/ or do { bad("config.h has no list $list"); next };
        $listed{$_} = $list for $text =~ /\bX\([^,]+,\s*(\w+)\s*,/g;
    }
    s/^[ \t]*#.*$//mg, s/^\s*WH_\w+_MEMBERS\s*\(.*$//mg for $struct;
    my @plain = map { /(\w+)\s*(?:\[[^\]]*\])?$/ ? $1 : () } map { split /,/ } map { s/\s+$//r } split /;/, $struct;
    seen('members', @plain + keys %listed);
    for my $what (qw(create merge)) {
        for my $member (sort keys %listed) {
            bad('wh_%s_%s_conf does not treat %s', $what, $record, $listed{$member}) if $part{$what} !~ /\b$listed{$member}\b/;
        }
        for my $member (@plain) {
            next if $record eq 'dir' && $own{$member};
            bad('wh_%s_%s_conf does not treat %s', $what, $record, $member) if $part{$what} !~ /(?:->|\.)$member\b/;
        }
    }
}
verdict('configuration members are created and merged', members => 15);
done_testing;
