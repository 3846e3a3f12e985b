# SPDX-License-Identifier: Apache-2.0
# The manual's page of providers is what build/providers.pl makes of the preset
# table, and the script refuses a preset without an entry.
use strict;
use warnings;
use Guard;

my $page = 'mod_webhook/manual/providers.md';
my $ctl = ($ENV{BUILD} // '.build') . '/webhookctl';
my $made = qx(build/providers.pl '$ctl');
bad('build/providers.pl fails') if $?;
my $have = -e $page ? slurp($page) : '';
if ($made ne $have) {
    my @made = split /\n/, $made;
    my @have = split /\n/, $have;
    my $n = 0;
    $n++ while $n < @made && $n < @have && $made[$n] eq $have[$n];
    bad('%s:%d is "%s", build/providers.pl makes "%s"', $page, $n + 1, $have[$n] // '', $made[$n] // '');
}
seen('presets', scalar(() = $have =~ /^## <a id=/mg));
seen('lines to paste', scalar(() = $have =~ /^    <Location /mg));

my ($rows) = qx('$ctl' schemes --json) =~ tr/\n//;
my $generic = () = qx('$ctl' schemes --json) =~ /"generic":true/g;
my $sections = () = $have =~ /^## <a id=/mg;
bad('%d presets, %d sections', $rows - $generic, $sections) if $sections != $rows - $generic;
verdict($page, presets => 100, 'lines to paste' => 100);
done_testing;
