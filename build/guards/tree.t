# SPDX-License-Identifier: Apache-2.0
# The tree is cut as fixed: nothing else at the top, no file too long for one
# concept, licences named, nothing left open, nothing of one machine.
use strict;
use warnings;
use Guard;

my %top = map { $_ => 1 } qw(mod_webhook include t build apxs.mk README.md LICENSE);
opendir my $dh, '.' or die "$!\n";
my %there = map { $_ => 1 } grep { !/^\./ } readdir $dh;
for (sort keys %there) { seen('entries'); bad('%s does not belong to the top level', $_) if !$top{$_} }
for (sort keys %top) { bad('%s is missing', $_) if !$there{$_} }
verdict('the top level', entries => 6);

# written so that these lines do not match themselves
my $open = qr/\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K|TB[D])\b/;
my $machine = qr{(?<![\w.])/(?:wor[k]\b|hom[e]/\w|roo[t]/)};
for my $file (files(qr{}, qw(mod_webhook include t build apxs.mk README.md .ci .gitignore))) {
    next if $file =~ m{^t/fuzz/corpus/} || -B $file && -s $file;
    my $text = slurp($file);
    my @lines = split /\n/, $text, -1;
    pop @lines if @lines && $lines[-1] eq '';
    seen('files');
    bad('%s: %d lines, the limit is 800', $file, scalar @lines) if @lines > 800 && $file !~ /\.(?:md|json|jsonl|tsv|txt)$/;
    if ($file =~ /\.(?:c|h)$/) {
        bad('%s: the first line is not the licence tag', $file) if ($lines[0] // '') ne '/* SPDX-License-Identifier: Apache-2.0 */';
        bad('%s: no line says what the file is', $file) if ($lines[1] // '') !~ m{^/\*};
    }
    bad('%s: does not end with a newline', $file) if length $text && $text !~ /\n\z/ && $file =~ /\.(?:c|h|t|pm|sh|md|mk)$/;
    next if $file =~ /\.(?:json|jsonl)$/; # senders' payloads are as they are
    for my $i (0 .. $#lines) {
        bad('%s:%d: left open', $file, $i + 1) if $lines[$i] =~ $open;
        bad('%s:%d: a path of one machine', $file, $i + 1) if $lines[$i] =~ $machine;
        bad('%s:%d: white space at the end', $file, $i + 1) if $lines[$i] =~ /[ \t]+$/ && $file =~ /\.(?:c|h|t|pm|sh|mk)$/;
    }
}
verdict('files', files => 60);

# the README's words are the ones that work
my $make = slurp('apxs.mk');
my $readme = -e 'README.md' ? slurp('README.md') : '';
for my $file (grep { -e } 'README.md', files(qr/\.md$/, 'mod_webhook/manual')) {
    my $text = slurp($file);
    while ($text =~ /make -f apxs\.mk((?: [A-Z]+=\S+)*)((?: [a-z]+)?)/g) {
        my $goal = $2 =~ s/^ //r || 'all';
        seen('commands');
        bad('%s: apxs.mk has no goal %s', $file, $goal) if $make !~ /^(?:OUTER := .*\b$goal\b|$goal:|\.PHONY: .*\b$goal\b)/m;
    }
}
my ($ci) = slurp('.ci/run') =~ /^(make .*)$/m;
for my $page (files(qr/\.(?:md|1)$/, 'mod_webhook/manual')) {
    seen('pages');
    bad('README.md does not lead to %s', $page) if $readme !~ /^\* \[[^\]]+\]\(\Q$page\E\)/m;
}
bad('.ci/run runs "%s", README.md does not', $ci // 'nothing') if !$ci || index($readme, $ci) < 0;
verdict('commands in README.md and the manual', commands => 2, pages => 10);
done_testing;
