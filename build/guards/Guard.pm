# SPDX-License-Identifier: Apache-2.0
package Guard;

# What the guards share. A guard collects what it dislikes with bad(), counts
# what it looked at with seen(), and ends with verdict(): it fails when
# something was bad, and also when it saw less than it must, so that a renamed
# directory or a changed spelling cannot silence it.

use strict;
use warnings;
use Exporter 'import';
use File::Find ();
use Test::More;

our @EXPORT = (qw(files slurp code strings body_of directives_of bad seen verdict), @Test::More::EXPORT);

my (@bad, %seen);

sub bad { push @bad, sprintf shift, @_; return }
sub seen { my ($what, $n) = @_; $seen{$what} += $n // 1; return }

# verdict(NAME, what => least, ...)
sub verdict {
    my ($name, %least) = @_;
    ok(!@bad, $name) or diag(map { "  $_\n" } @bad);
    for my $what (sort keys %least) {
        cmp_ok($seen{$what} // 0, '>=', $least{$what}, "looked at $what (" . ($seen{$what} // 0) . ')');
    }
    @bad = ();
    return;
}

# Files below the given places whose name matches, sorted; never the build's or git's.
sub files {
    my ($re, @places) = @_;
    my @found;
    File::Find::find({ no_chdir => 1, wanted => sub {
        return $File::Find::prune = 1 if -d && m{/\.(?:build|git)$};
        push @found, s{^\./}{}r if -f && $_ =~ $re;
    } }, @places ? grep { -e } @places : '.');
    return sort @found;
}

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!\n";
    local $/;
    return scalar(<$fh>) // '';
}

# C without comments, line numbers kept; with $blank also without what is
# in strings, of the same length.
sub code {
    my ($text, $blank) = @_;
    $text =~ s{("(?:\\.|[^"\\\n])*")|('(?:\\.|[^'\\\n])*')|(/\*.*?\*/|//[^\n]*)}{
        defined $3 ? $3 =~ s/[^\n]//gr : defined $1 && $blank ? '"' . ' ' x (length($1) - 2) . '"' : $&
    }gse;
    return $text;
}

# The body of a C function, undef if the file has none of that name.
sub body_of {
    my ($text, $name) = @_;
    return $text =~ /\b\Q$name\E\s*\([^;{]*\)\s*(\{.*?^\})/ms ? $1 : undef;
}

# Names of the directives in the module's tables: name => "file:line".
sub directives_of {
    my %macro;
    for my $file (files(qr/\.[ch]$/, 'mod_webhook/httpd')) {
        my $text = code(slurp($file));
        $macro{$1} = $2 while $text =~ /^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+"([^"]*)"/mg;
    }
    my %found;
    for my $file (files(qr/\.c$/, 'mod_webhook/httpd')) {
        my $text = code(slurp($file));
        while ($text =~ /\bAP_INIT_\w+\s*\(\s*(?:"([^"]+)"|(\w+))/g) {
            my $name = $1 // $macro{$2};
            if (!defined $name) { bad("%s: cannot tell what directive %s is", $file, $2); next }
            $found{$name} = $file;
        }
    }
    return %found;
}

1;
