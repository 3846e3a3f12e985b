# SPDX-License-Identifier: Apache-2.0
# Every directive has its heading in the manual, every heading its directive;
# every directive that prose and examples use exists.
use strict;
use warnings;
use Guard;

my $manual = 'mod_webhook/manual/directives.md';
my %code = directives_of();
my %heading;
for (split /\n/, -e $manual ? slurp($manual) : '') {
    $heading{$1 =~ s/>$//r}++ if /^#{2,4}\s+`?(<?Webhook\w+>?)`?\s*(?:\{.*)?$/;
}
seen('directives', scalar keys %code);
seen('headings', scalar keys %heading);
for (sort keys %code) { bad('%s has no heading "## %s" in %s', $_, /^</ ? "$_>" : $_, $manual) if !$heading{$_} }
for (sort keys %heading) {
    bad('%s has a heading in %s, but no table has it', $_, $manual) if !$code{$_};
    bad('%s has %d headings', $_, $heading{$_}) if $heading{$_} > 1;
}
verdict('directives and manual', directives => 10, headings => 10);

my %name = map { s/^<//r => 1 } keys %code;
for my $file ('README.md', files(qr/\.md$/, 'mod_webhook/manual'), files(qr/\.(?:conf|in)$/, 'build', 't/conf'),
    files(qr/\.t$/, 't')) {
    next if !-e $file;
    my $n = 0;
    for (split /\n/, slurp($file)) {
        $n++;
        while (m{^[\s#>]*</?(Webhook[A-Z]\w+)\b|^[\s#]*(Webhook[A-Z]\w+)[ \t]|`(Webhook[A-Z][a-z]\w+)`}g) {
            my $used = $1 // $2 // $3;
            next if $used =~ /^WebhookTest/;
            seen('uses');
            # tests may try what must not exist
            bad('%s:%d: there is no directive %s', $file, $n, $used) if !$name{$used} && $file !~ /\.t$/;
        }
    }
}
verdict('directives in prose and examples exist', uses => 20);
done_testing;
