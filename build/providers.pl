#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# mod_webhook/manual/providers.md on standard output: the facts of the preset
# table (webhookctl schemes --json) with the prose of build/providers.txt.
#
#   build/providers.pl .build/webhookctl > mod_webhook/manual/providers.md
use strict;
use warnings;
use File::Basename qw(dirname);
use JSON::PP ();

my $ctl = shift // '.build/webhookctl';
my %basis = (
    sdk => 'the sender\'s own SDK, which was run; the requests of the tests are made to match it',
    judged => 'requests judged by the sender\'s own SDK, which are among the tests',
    doc => 'the sender\'s documentation',
    source => 'the sender\'s source code',
    'third-party' => 'third-party code; not confirmed by the sender\'s documentation',
    unconfirmed => 'general knowledge; not confirmed',
);

my @schemes = grep { !$_->{generic} } map { JSON::PP->new->utf8->decode($_) } split /\n/, read_command($ctl, 'schemes', '--json');
my %judged = map { /"provider": ?"([^"]+)"/ ? ($1 => 1) : () } split /\n/, read_command('cat', dirname($0) . '/../t/unit/vectors/portable.json');
my %prose = read_prose(dirname($0) . '/providers.txt');
my @bad = ((map { "no entry for $_->{name}" } grep { !$prose{ $_->{name} } } @schemes),
    map { my $name = $_; (grep { $_->{name} eq $name } @schemes) ? () : "there is no preset $name" } sort keys %prose);
for my $scheme (@schemes) {
    my $p = $prose{ $scheme->{name} } or next;
    push @bad, "$scheme->{name}: basis is not one of " . join ' ', sort keys %basis if !$basis{ $p->{basis}[0] // '' };
    push @bad, "$scheme->{name}: where?" if !$p->{where};
    push @bad, "$scheme->{name}: what is covered when the body is not?" if !$scheme->{protects_body} && $scheme->{primitive} ne 'token' && !$p->{uncovered};
    push @bad, "$scheme->{name}: the body is covered, so 'uncovered' says nothing" if $scheme->{protects_body} && $p->{uncovered};
}
die map { "build/providers.txt: $_\n" } @bad if @bad;

@schemes = sort { lc $a->{title} cmp lc $b->{title} || $a->{name} cmp $b->{name} } @schemes;
print <<"EOF_HEAD";
# Providers

<!-- made by build/providers.pl from the preset table and build/providers.txt -->

For each sender the lines to paste, where its secret is found, and what its scheme protects. Add `WebhookDeliver` lines for what is to
become of deliveries; put the secret into the file, readable by root alone (`0600`) or by the server's group (`0640`: then a change
counts without a restart). Several secrets are several `WebhookSecret` lines, each with an `id=`. `webhookctl schemes NAME` shows the options a
name stands for; each of them can be written in the `WebhookVerify` line to replace it. `webhookctl sign` makes the headers of a sender for a trial.

Read the rows so:

* *Protects*: what somebody without the secret cannot change. Where the body is not covered, whoever sees one request can send others with
  any body: use TLS, narrow the place with `Require ip` and the sender's published addresses, `AuthType Basic` or client certificates
  where the sender has them, and let the handler fetch the object from the sender's API before it acts.
* *Stricter*: what makes up for it where the body is not covered. [Access](access.md) has the lines.
* *Time*: how old, and how far ahead, a signed request may be. Without a signed time an old request stays good for ever; then the id
  stops repeats, for as long as `WebhookDuplicates` remembers.
* *Repeats*: what a delivery is known by. A signed id alone is enough. Without one the signed time and the body are what a repeat is known by,
  where both are signed, and two events with the same bytes in the same unit of time are taken for one; an unsigned id counts beside them, so
  that the sender's own second attempt, signed anew, is known as well. Where no time is signed an unsigned id counts together with the
  body, and whoever has seen a request can repeat it under another id. Where there is neither, every request is a new delivery.
* *Answer*: the status for an accepted delivery; `WebhookAnswer` changes it.
* *Known from*: how sure this is. Menus at the senders move; where a secret is found is not always confirmed.

`url=` is written where the sender signs the address: it is scheme and host as the sender knows them, path and query come from the request.
With a path in it, it is taken as a whole, for servers behind something that rewrites paths.

| sender | preset | body | time | id | answer |
|---|---|---|---|---|---|
EOF_HEAD
for my $s (@schemes) {
    printf "| [%s](#%s) | `%s` | %s | %s | %s | %d |\n", $s->{title}, $s->{name}, $s->{name}, $s->{protects_body} ? 'covered' : '**not covered**',
        has_time($s) ? 'signed' : 'none', !defined option($s, 'id') ? 'none' : $s->{id_signed} ? 'signed' : 'unsigned', $s->{status} // 202;
}
section($_, $prose{ $_->{name} }) for @schemes;

# ---- one sender ----

sub section {
    my ($s, $p) = @_;
    print "\n## <a id=\"$s->{name}\"></a>$s->{title}\n\n";
    print map { "    $_\n" } lines($s, $p);
    print "\n| | |\n|---|---|\n";
    my @where = map { m{^https?://} ? $_ : ucfirst } @{ $p->{where} };
    row('Secret', ucfirst("$s->{secret}. $where[0]."));
    row('Scheme', scheme_text($s));
    row('Protects', protects($s, $p));
    row('Stricter', 'Beside it [addresses](access.md#addresses), [a password](access.md#passwords) or [client certificates](access.md#client-certificates),'
        . ' as far as the sender has them; the handler asks the sender for the object instead of believing the body') if !$s->{protects_body};
    row('Time', time_text($s));
    row('Repeats', repeats($s));
    row('Takes', takes($s));
    row('Answer', answer($s));
    row('Handshake', $_) for handshakes($s);
    my $basis = $p->{basis}[0];
    row('Known from', ucfirst $basis{ $basis eq 'sdk' && $judged{ $s->{name} } ? 'judged' : $basis });
    print "\n", join("\n\n", @{ $p->{note} }), "\n" if $p->{note};
}

sub row { my ($name, $text) = @_; print "| $name | ", $text =~ s/\|/\\|/gr, " |\n" }

sub lines {
    my ($s, $p) = @_;
    my @options = (($s->{uses_url} ? 'url=https://hooks.example.org' : ()), @{ $p->{options} // [] });
    my @secrets = map { my ($id, $file) = split / /; "$id file:/etc/apache2/webhook/$file" } grep { $_ ne 'none' } @{ $p->{secret} // [] };
    @secrets = ("file:/etc/apache2/webhook/$s->{name}.key") if !$p->{secret};
    return (qq(<Location "/hooks/$s->{name}">), '    SetHandler    webhook', "    WebhookVerify $s->{name}" . join('', map { " $_" } @options),
        (map { "    WebhookSecret $_" } @secrets), (map { "    $_" } @{ $p->{line} // [] }), '</Location>');
}

sub scheme_text {
    my ($s) = @_;
    my $of = join ' or ', @{ $s->{algorithms} // [] };
    my $at = place(option($s, 'header') ? 'header:' . option($s, 'header') : option($s, 'signature') // 'header:Signature');
    return "A token in $at, compared as it is" if $s->{primitive} eq 'token';
    return "JSON Web Token ($of) in $at; claims " . join(', ', map { "`$_`" } claims($s)) if $s->{primitive} eq 'jwt' && claims($s);
    return "JSON Web Token ($of) in $at" if $s->{primitive} eq 'jwt';
    return "HTTP Message Signatures, RFC 9421 ($of); must cover " . join(', ', map { "`$_`" } split /,/, option($s, 'components')) if $s->{primitive} eq 'httpsig';
    my $what = { hmac => 'HMAC', hash => 'Plain digest with the secret in it', 'public-key' => 'Public-key signature' }->{ $s->{primitive} };
    return "$what ($of) in $at, over `$s->{signs}`";
}

sub claims { my ($s) = @_; return map { /^claim=(.*)/s ? $1 : () } @{ $s->{options} } }

sub option {
    my ($s, $name) = @_;
    my ($value) = map { /^\Q$name\E=(.*)/s ? $1 : () } @{ $s->{options} };
    return defined $value && $value ne 'none' ? $value : undef;
}

# A locator in words
sub place {
    my ($text) = @_;
    my %kind = ('header' => 'header', 'header*' => 'headers', json => 'the body\'s', item => 'each item\'s', form => 'the form field', query => 'the query\'s',
        multipart => 'the part', claim => 'the claim', field => 'the signature\'s');
    my @places = map {
        my ($kind, $name) = /^([a-z]+\*?):([^@]+)/;
        $_ eq 'bearer' ? '`Authorization: Bearer`' : $_ eq 'basic' ? '`Authorization: Basic`' : $_ eq 'body' ? 'the body itself' : $kind ? "$kind{$kind} `$name`" : "`$_`"
    } split /,/, $text;
    return join ' or ', @places;
}

sub protects {
    my ($s, $p) = @_;
    my $also = $s->{uses_url} && $s->{primitive} ne 'httpsig' && ($s->{signs} // '') !~ /plivo/ ? ', and the URL' : '';
    if (!$s->{protects_body}) {
        return '**Nothing but the token itself**: not the body, not the time' if $s->{primitive} eq 'token';
        return "**Not the body**: $p->{uncovered}[0]";
    }
    my $signs = $s->{signs} // '';
    return 'The members that the sender signs, by value' if $signs =~ /\{sns\}/;
    return 'The form field `' . (option($s, 'unpack') =~ s/.*://r) . '`, decoded' if $signs =~ /\{payload\}/;
    return 'The URL and the decoded form fields, not their spelling' if $signs =~ /\{form-sorted\}|\{plivo\}/;
    return 'The body, which is the token' if option($s, 'signature') && option($s, 'signature') eq 'body';
    return 'Method, path, query, the named headers and the body, byte for byte' if $signs =~ /\{contentful\}/;
    return 'The components named, and the body by its `Content-Digest`' if $s->{primitive} eq 'httpsig';
    return "The body, byte for byte$also";
}

sub has_time { my ($s) = @_; return $s->{timestamp_signed} || $s->{max_age_seconds} || grep { $_ eq 'exp' } claims($s) }

sub time_text {
    my ($s) = @_;
    if ($s->{primitive} eq 'jwt') {
        my @parts = ((map { "`$_` is required and checked" } grep { /^(?:exp|nbf|iat)$/ } claims($s)),
            ($s->{max_age_seconds} ? 'issued at most ' . span($s->{max_age_seconds}) . ' ago' : ()), ($s->{leeway_seconds} ? 'leeway ' . span($s->{leeway_seconds}) : ()));
        return @parts ? join '; ', @parts : 'None required; `exp` and `nbf` are checked where they are there';
    }
    return 'None' if !exists $s->{timestamp_signed};
    my $bounds = join ', ', defined $s->{tolerance_seconds} ? 'at most ' . span($s->{tolerance_seconds}) . ' old' : 'any age',
        defined $s->{future_seconds} ? 'at most ' . span($s->{future_seconds}) . ' ahead' : 'any time ahead';
    my $at = option($s, 'timestamp') ? ' (' . place(option($s, 'timestamp')) . ')' : '';
    return ($s->{timestamp_signed} ? 'Signed' : 'Stated but **not signed**') . "$at: $bounds";
}

sub span {
    my ($n) = @_;
    return $n / 86400 . ' d' if $n > 86400 && $n % 86400 == 0;
    return $n % 3600 == 0 && $n ? $n / 3600 . ' h' : $n % 60 == 0 && $n ? $n / 60 . ' min' : "$n s";
}

sub repeats {
    my ($s) = @_;
    my $id = option($s, 'id');
    return 'No id: the signed time and the body' if !defined $id && $s->{moment};
    return 'No id, and no signed time with the body: a repeated request is a new delivery' . (has_time($s) ? ' while its time is good' : '') if !defined $id;
    return ucfirst(place($id)) . ', not signed; and the signed time with the body' if $s->{moment} && !$s->{id_signed};
    return ucfirst(place($id)) . ($s->{id_signed} ? ', signed' : ', not signed: counts together with the body')
        . ($s->{moment} && $id !~ /^header/ ? '; without one the signed time and the body' : '');
}

sub takes {
    my ($s) = @_;
    my @types = @{ $s->{content_types} // ['JSON types'] };
    return join(', ', @{ $s->{methods} }) . '; ' . ("@types" eq '*' ? 'any media type' : join ', ', map { m{/} ? "`$_`" : $_ } @types)
        . ($s->{body_limit} ? '; bodies up to ' . $s->{body_limit} / 1048576 . ' MiB' : '');
}

sub answer {
    my ($s) = @_;
    return ($s->{status} ? $s->{status} : '202; any 2xx will do') . (!defined $s->{success_body} ? '' : length $s->{success_body} ? ", `$s->{success_body}`" : ', without a body')
        . ($s->{refusal_status} ? "; refusals $s->{refusal_status}" : '') . ($s->{empty_refusal_body} ? '; refusals have no body' : '');
}

sub handshakes {
    my ($s) = @_;
    return map {
        my ($how, $request, $reply) = /^handshake=(signed|unsigned) (.*?) -> (.*)$/s;
        my ($status) = $reply =~ /^(\d+|pass\b)/;
        $status = 'a delivery, and a line in the error log' if $status eq 'pass';
        $status .= ' (with `confirm=on`; else a delivery, and a line in the error log)' if $request =~ / confirm:/;
        my ($method, @conditions) = $request =~ /^([A-Z]+)(?: |$)/ ? ($1, split / /, substr $request, length $1) : ('POST', split / /, $request);
        @conditions = grep { length } @conditions;
        ucfirst("$how `$method`") . (@conditions ? ' with ' . join(', ', map { "`$_`" } @conditions) : '') . ": $status"
    } grep { /^handshake=/ } @{ $s->{options} };
}

# ---- reading ----

sub read_command {
    open my $fh, '-|', @_ or die "$_[0]: $!\n";
    local $/;
    my $text = <$fh>;
    close $fh or die "@_: exit $?\n";
    return $text;
}

sub read_prose {
    my ($file) = @_;
    open my $fh, '<', $file or die "$file: $!\n";
    my (%all, $at);
    while (my $line = <$fh>) {
        chomp $line;
        next if $line =~ /^#|^\s*$/;
        if ($line =~ /^\[([\w-]+)\]$/) {
            die "$file:$.: $1 is there twice\n" if $all{$1};
            $at = $all{$1} = {};
        }
        elsif ($at && $line =~ /^(basis|where|note|options|secret|line|uncovered) +(\S.*)$/) { push @{ $at->{$1} }, $2 }
        else { die "$file:$.: not understood: $line\n" }
    }
    return %all;
}
