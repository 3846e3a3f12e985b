# SPDX-License-Identifier: Apache-2.0
# Every option, place and word of the schemes is in the manual's page of schemes,
# in the tables of the primitives that know it, and nothing else is there.
use strict;
use warnings;
use Guard;
use JSON::PP ();

my $page = 'mod_webhook/manual/schemes.md';
my $ctl = ($ENV{BUILD} // '.build') . '/webhookctl';
my %generic = map { $_->{generic} ? ($_->{name} => $_->{parameters}) : () } map { JSON::PP->new->utf8->decode($_) } split /\n/, qx('$ctl' schemes --json);
my @primitives = sort keys %generic;

# heading => primitives its first table is for
my %for = ('Every scheme' => \@primitives, 'Keys' => [grep { $_ ne 'none' } @primitives], map { $_ => [split /, /, s/:.*//r] } grep { $generic{ (split /[,:]/)[0] } }
    slurp($page) =~ /^## (.*)$/mg);
my (%manual, %words, $heading, $in);
for (split /\n/, slurp($page)) {
    if (/^## (.*)/) { ($heading, $in) = ($1, 0) }
    elsif (/^\| option \| values \| default \|/) { $in = 1; bad('%s: a table of options for no scheme', $heading) if !$for{$heading} }
    elsif (!/^\|/) { $in = 0 }
    elsif ($in && /^\| `([^`]+)` \| (.*?) \| (.*?) \| /) {
        my ($name, $values) = ($1, $2);
        for my $primitive (@{ $for{$heading} }) {
            bad('%s is twice in the tables of %s', $name, $primitive) if $manual{$primitive}{$name};
            $manual{$primitive}{$name} = $values;
        }
        push @{ $words{$name} }, $values =~ /`([^`]+)`/g;
        seen('rows');
    }
}
for my $primitive (@primitives) {
    my $code = $generic{$primitive};
    for my $name (sort keys %$code) {
        seen('options');
        my $values = $manual{$primitive}{$name};
        if (!defined $values) { bad('%s: option %s is not in the manual', $primitive, $name); next }
        next if $code->{$name} !~ /^[a-z][\w-]*(?:\|[\w-]+)+$/;
        my ($have, $want) = map { join ' ', sort @$_ } [$values =~ /`([^`]+)`/g], [split /\|/, $code->{$name}];
        bad('%s: option %s takes %s, the manual says %s', $primitive, $name, $want, $have) if $have ne $want;
    }
    for my $name (sort keys %{ $manual{$primitive} }) {
        bad('%s: the manual has an option %s', $primitive, $name) if !exists $code->{$name};
    }
}
verdict('options of schemes and manual are the same', options => 150, rows => 50);

# words that are no enumeration of the option table: what the error message allows
for (['lenient', 'hmac', 'header=X', 'lenient=?'], ['separator', 'hmac', 'header=X', 'syntax=list', 'separator=?'], ['algorithm', 'hmac', 'header=X', 'algorithm=?']) {
    my ($option, @words) = @$_;
    my $text = join ' ', map { "'$_'" } $ctl, 'verify', @words, '--secret', 'x';
    my ($allowed) = qx($text 2>&1) =~ /: (?:allowed are|allowed:) (.*)/s or bad('%s: no message says what is allowed', $option);
    my %want = map { s/^with (?:jwt|httpsig) //r => 1 } map { s/\s+\z//r } split /[,;] /, $allowed // '';
    my %have = map { $_ => 1 } @{ $words{$option} };
    seen('words', scalar keys %want);
    for my $word (sort keys %want) { bad('%s: %s is not in the manual', $option, $word) if !$have{$word} }
    for my $word (sort keys %have) { bad('%s: the manual has %s', $option, $word) if !$want{$word} }
}

my ($kinds) = slurp('mod_webhook/verify/locator.c') =~ /\} kinds\[\] = \{(.*?)\n\};/s;
my %code = map { $_ => 1 } ($kinds // '') =~ /\{ "([^"]+)", WH_LOC/g;
my ($places) = slurp($page) =~ /^## Places\n(.*?)^## /ms;
my %have = map { s/:.*//r => 1 } map { /^\| ((?:`[^`]+`(?:, )?)+) \|/ ? $1 =~ /`([^`]+)`/g : () } split /\n/, $places // '';
seen('places', scalar keys %code);
for (sort keys %code) { bad('place %s is not in the manual', $_) if !$have{$_} }
for (sort keys %have) { bad('the manual has a place %s', $_) if !$code{$_} }
verdict('words and places too', places => 30, words => 30);

# the page's own lines are good ones
for my $line (slurp($page) =~ /^    WebhookVerify (.*)$/mg) {
    my @words = map { s/^"(.*)"$/$1/r } $line =~ /("[^"]*"|\S+="[^"]*"|\S+)/g;
    my $text = join ' ', map { s/'/'\\''/gr =~ s/(.*)/'$1'/r } $ctl, 'verify', @words, '--secret', 'a secret', '--body', '/dev/null';
    my $said = qx($text 2>&1);
    seen('examples');
    bad('"%s": %s', $line, $said) if $said !~ /^(?:refused|accepted)/;
}
verdict('the lines of the page are configurations', examples => 2);
done_testing;
