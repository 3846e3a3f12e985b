# SPDX-License-Identifier: Apache-2.0
# Every reason code of core/reasons.h is in the manual's table with its status and meaning, and the reverse.
use strict;
use warnings;
use Guard;

my $code = slurp('mod_webhook/core/reasons.h');
my (%code, %manual);
while ($code =~ /X\(\w+, "([^"]+)", (\d+), "([^"]+)"\)/g) { bad('reasons.h has %s twice', $1) if $code{$1}; $code{$1} = "$2: $3" }
while ($code =~ /X\(\w+, "([^"]+)", "([^"]+)"\)/g) { bad('reasons.h has %s twice', $1) if $code{$1}; $code{$1} = $2 }
for my $line (split /\n/, slurp('mod_webhook/manual/reasons.md')) {
    if ($line =~ /^\| `([^`]+)` \| (\d+) \| (.*?) \|/) { $manual{$1} = "$2: $3" }
    elsif ($line =~ /^\| `([^`]+)` \| (.*?) \|$/) { $manual{$1} = $2 }
}
seen('codes', scalar keys %code);
for my $name (sort keys %code) {
    if (!defined $manual{$name}) { bad('reasons.md lacks %s', $name) }
    elsif ($manual{$name} ne $code{$name}) { bad('reasons.md says of %s "%s", the code "%s"', $name, $manual{$name}, $code{$name}) }
}
for my $name (sort keys %manual) {
    bad('reasons.md has %s, which the code does not know', $name) if !defined $code{$name};
}
verdict('the reasons of code and manual are the same', codes => 40);
done_testing;
