# SPDX-License-Identifier: Apache-2.0
package WebhookTest::Vectors;

# Recorded requests (t/unit/vectors) for a running server: what a record's key
# means in directives, where each record's endpoint is, and how to send one.
#
#   my @records = map { WebhookTest::Vectors::load($_) } 'portable';
#   my $conf = WebhookTest::Vectors::place($keys_dir, \@records);
#   my $res = WebhookTest::Vectors::send($srv, $records[0]);
#
# Many records share a path and differ in the key, so endpoints are spread over
# virtual hosts by address: 127.0.1.1, 127.0.1.2, ...

use strict;
use warnings;
use JSON::PP ();
use MIME::Base64 ();

my $canonical = JSON::PP->new->utf8->canonical->allow_nonref;

sub load {
    my ($name) = @_;
    my $list = WebhookTest::json_decode(WebhookTest::slurp(file($name)) // die "no vectors $name\n");
    $_->{file} = $name for @$list;
    return @$list;
}

sub file { return WebhookTest::stage() . "/t/unit/vectors/$_[0].json" }

# Members of a key: those that are secrets, those that name the secret beside them, other names of options.
my %secret = map { $_ => 1 } qw(api_secret private_key secret password public_key_pem cert_pem authorization token passcode);
my %named = map { $_ => 1 } qw(current next primary secondary);
my %id = map { $_ => 1 } qw(keyid app_key api_key);
my %option = (required_components => 'components', alg => 'algorithm');

# (secrets as [id, bytes], options as [name, value]) of a record's key; the C
# reader of the same files is mod_webhook/verify/vectors.c.
sub directives {
    my ($key) = @_;
    return ([], []) if !defined $key;
    return ([[undef, utf8($key)]], []) if !ref $key;
    my (@secrets, @options);
    if (ref $key eq 'ARRAY') {
        for my $one (@$key) {
            my ($s, $o) = directives($one);
            push @secrets, @$s;
            push @options, @$o;
        }
        return (\@secrets, \@options);
    }
    return ([[undef, $canonical->encode($key)]], []) if $key->{kty} || ref $key->{keys};
    my ($name) = map { $key->{$_} } grep { $id{$_} || $_ eq 'public_key' || $key->{secret} && /^(?:key|id)$/ } sort keys %$key;
    for my $member (sort keys %$key) {
        my $value = $key->{$member};
        next if $id{$member} || $member eq 'user' || $member eq 'public_key' || $member eq 'note' || $key->{secret} && $member =~ /^(?:key|id)$/;
        if ($member eq 'password') { push @secrets, [$name, utf8("$key->{user}:$value")] }
        elsif ($secret{$member} || $member =~ /^(?:channel_secret|verifier_token|webhookKey)$/) { push @secrets, [$name, utf8($value)] }
        elsif ($named{$member}) { push @secrets, [$member, utf8($value)] }
        elsif ($member =~ /^(primary|secondary)_?[kK]ey$/) { push @secrets, [$1, utf8($value)] }
        elsif (ref $value eq 'ARRAY' && ref $value->[0]) { push @secrets, map { [$name, $canonical->encode($_)] } @$value }
        elsif (ref $value eq 'HASH' && grep { ref } values %$value and !$value->{keys} && !$value->{kty}) { push @secrets, map { [$_, $canonical->encode($value->{$_})] } sort keys %$value }
        elsif ($member =~ /^(?:certs|cert_by_url)$/) { push @secrets, map { [$_, utf8($value->{$_})] } sort keys %$value }
        elsif ($member =~ /^jwks?$/) { push @secrets, [$name, $canonical->encode($value)] }
        elsif ($member eq 'secret_b64') { push @secrets, [$name, MIME::Base64::decode($value)] }
        elsif ($member eq 'no_digest') { push @options, ['body-digest', $value ? 'off' : 'required'] }
        else { push @options, [$option{$member} // $member =~ tr/_/-/r, ref $value ? @$value ? join(',', @$value) : 'none' : $value] }
    }
    return (\@secrets, \@options);
}

sub utf8 { my ($text) = @_; utf8::encode($text); return $text }

sub quoted { my ($word) = @_; return '"' . $word =~ s/(["\\])/\\$1/gr . '"' }

# The lines of an endpoint; secrets go into files of $dir.
my $files = 0;
sub endpoint {
    my ($dir, $scheme, $key, @more) = @_;
    my ($secrets, $options) = directives($key);
    my $conf = join(' ', "    WebhookVerify $scheme", map { quoted("$_->[0]=$_->[1]") } @$options, @more) . "\n";
    for my $secret (@$secrets) {
        my $file = "$dir/" . ++$files;
        # one line end at the end of the file is not part of the secret
        WebhookTest::spew($file, $secret->[1] . ($secret->[1] =~ /\n\z/ ? "\n" : ''), 0600);
        $conf .= '    WebhookSecret ' . (defined $secret->[0] ? quoted("id=$secret->[0]") . ' ' : '') . "file:$file\n";
    }
    return $conf;
}

# Gives each record an address; returns the configuration with an endpoint for
# each scheme, key and path. $extra->(RECORD) may add options and lines.
sub place {
    my ($dir, $records, $extra) = @_;
    my (@hosts, %group);
    for my $record (@$records) {
        my ($base, $target) = $record->{url} =~ m{^(\w+://[^/?]+)(.*)$}s or die "$record->{id}: $record->{url}\n";
        $target = "/$target" if $target !~ m{^/};
        my ($path) = $target =~ /^([^?]*)/;
        $record->{target} = $target;
        my $group = $group{ join "\0", $record->{provider}, $canonical->encode($record->{key}), $base, $path } //= do {
            my $at = 0;
            $at++ while grep { clash($_, $path) } @{ $hosts[$at] // [] };
            push @{ $hosts[$at] }, $path;
            my ($options, $lines) = $extra ? $extra->($record) : ();
            { at => $at, path => $path, conf => endpoint($dir, $record->{provider}, $record->{key}, ["url", $base], @{ $options // [] }) . ($lines // '') };
        };
        $record->{address} = '127.0.1.' . ($group->{at} + 1);
    }
    my $conf = join '', map { "Listen 127.0.1.$_:\@PORT\@\n" } 1 .. @hosts;
    for my $at (0 .. $#hosts) {
        $conf .= '<VirtualHost 127.0.1.' . ($at + 1) . ":\@PORT\@>\nServerName localhost\n" . join('', map {
            my $path = $_->{path} =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger;
            "<Location \"$path\">\n    SetHandler webhook\n$_->{conf}    WebhookDrop\n    WebhookDuplicates off\n</Location>\n"
        } sort { $a->{path} cmp $b->{path} } grep { $_->{at} == $at } values %group) . "</VirtualHost>\n";
    }
    return $conf;
}

# Whether one of two paths is the other or below it
sub clash { my ($x, $y) = map { s{/*$}{/}r } @_; return index($x, $y) == 0 || index($y, $x) == 0 }

# The record's request, byte for byte where HTTP lets it
sub send {
    my ($srv, $record) = @_;
    my ($host) = $record->{url} =~ m{^\w+://([^/?]+)};
    my @headers = map { my $name = $_; map { ($name => $_) } ref $record->{headers}{$name} ? @{ $record->{headers}{$name} } : $record->{headers}{$name} }
        sort keys %{ $record->{headers} };
    my $body = MIME::Base64::decode($record->{body} // '');
    return $srv->request($record->{method}, $record->{target}, address => $record->{address}, host => $host, headers => \@headers,
        body => length $body || $record->{method} ne 'GET' ? $body : undef);
}

1;
