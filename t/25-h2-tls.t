# SPDX-License-Identifier: Apache-2.0
#
# TLS and HTTP/2: the same verification, bounds and refusals on connections that are not plain sockets.
use lib 't/lib';
use WebhookTest;
use IO::Socket::SSL ();

my $secret = 'tls-secret';
my $srv = WebhookTest::Server->new(name => 'tls', modules => ['ssl', 'socache_shmcb', 'http2', 'cgid', 'reflector'], conf => <<'EOF' . "<VirtualHost 127.0.0.1:\@PORT:tls\@>\n" . ca->conf . "Protocols h2 http/1.1\n</VirtualHost>\n");
Listen 127.0.0.1:@PORT:tls@
Protocols h2c http/1.1
WebhookBodyMemory 16K
ScriptAlias "/gate" "@DIR@/out/echo.cgi"
<Directory "@DIR@">
    Options ExecCGI
</Directory>
<WebhookEndpoint main>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookBodyLimit 8M
    WebhookBodyTimeout 2min
</WebhookEndpoint>
<Location "/hook">
    SetHandler webhook
    WebhookUse main
</Location>
<Location "/slow">
    SetHandler webhook
    WebhookUse main
    WebhookBodyTimeout 2s
</Location>
<Location "/small">
    SetHandler webhook
    WebhookUse main
    WebhookBodyLimit 1000
</Location>
<Location "/gate">
    WebhookUse main
    WebhookGate On
</Location>
<Location "/reflect">
    WebhookUse main
    WebhookGate On
    SetHandler reflector
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('out/echo.cgi'), <<'CGI', 0755);
#!/usr/bin/perl
use Digest::SHA 'sha256_hex';
local $/; binmode STDIN; my $body = <STDIN>; $body = '' if !defined $body;
print "Content-Type: text/plain\r\n\r\n", sha256_hex($body), " $ENV{CONTENT_LENGTH} ", $ENV{HTTP_TRANSFER_ENCODING} // '-', "\n";
CGI
$srv->start;
my $tls = 'https://localhost:' . $srv->port('tls');
my @ways = (
    ['TLS, HTTP/1.1', '1.1', $tls, '--cacert', ca->cert('ca'), '--http1.1'],
    ['TLS, HTTP/2', '2', $tls, '--cacert', ca->cert('ca'), '--http2'],
    ['h2c', '2', $srv->url(''), '--http2-prior-knowledge'],
    ['HTTP/1.1', '1.1', $srv->url(''), '--http1.1'],
);
my $expected = 0;
my %asked;
sub headers { my @h = @{ $_[0] }; my @args; while (my ($n, $v) = splice @h, 0, 2) { push @args, '-H', "$n: $v" } return @args }
sub file { my ($body) = @_; return spew($srv->path('out/body'), $body) }

for (@ways) {
    my ($name, $version, $url, @how) = @$_;
    for my $size (2, 1000, 16384, 16385, 100_000, 3_000_000) {
        my $body = '"' . join('', map { chr 35 + ($_ * 11) % 50 } 1 .. $size - 2) . '"';
        for my $unknown (0, 1) {
            # a length that is not known beforehand: chunked in HTTP/1.1, just no Content-Length in HTTP/2
            my @length = $unknown ? ('-H', 'Transfer-Encoding: chunked') : ();
            my $case = "$name, $size bytes" . ($unknown ? ', no length' : '');
            my $res = $srv->curl(@how, "$url/hook", headers(github_headers($secret, $body)), @length, '--data-binary', '@' . file($body));
            is $res->status, 202, "$case: 202" or diag $res->error, $res->body;
            is $res->version, $version, "$case: version";
            $expected++;
            $res = $srv->curl(@how, "$url/gate", headers(github_headers($secret, $body)), @length, '--data-binary', '@' . file($body));
            is $res->body, sha256_hex($body) . " $size -\n", "$case: a gated program gets the same bytes";
            next if $version eq '2'; # mod_reflector sends nothing there, gated or not
            $res = $srv->curl(@how, "$url/reflect", headers(github_headers($secret, $body)), @length, '--data-binary', '@' . file($body));
            ok $res->body eq $body, "$case: a reflector sends them back";
        }
    }
    my $body = '{"a":1}';
    my $res = $srv->curl(@how, "$url/hook", headers(github_headers('wrong', $body)), '--data-binary', $body);
    is $res->status, 401, "$name: wrong signature";
    is $res->header('Content-Type'), 'application/problem+json', "$name: problem+json";
    is $res->json->{reason}, 'signature-mismatch', "$name: reason";
    $res = $srv->curl(@how, "$url/hook");
    is $res->status, 405, "$name: GET";
    is $res->header('Allow'), 'POST', "$name: Allow";
    my $path = '/small?declared';
    $res = $srv->curl(@how, "$url$path", headers(github_headers($secret, 'x' x 1001)), '--data-binary', 'x' x 1001);
    cut_off($res, $name, 413, $path, "$name: too large");
    $path = '/small?unknown';
    $res = $srv->curl(@how, "$url$path", headers(github_headers($secret, 'x' x 300_000)), '-H', 'Transfer-Encoding: chunked', '--data-binary', '@' . file('x' x 300_000));
    cut_off($res, $name, 413, $path, "$name: too large, length not known");
    # total time: curl sends 40 bytes a second, far too slowly for what it has
    $path = '/slow?limit-rate';
    $res = $srv->curl(@how, "$url$path", headers(github_headers($secret, 'x' x 8000)), '--limit-rate', '40', '--data-binary', '@' . file('"' . 'x' x 800_000 . '"'));
    cut_off($res, $name, 408, $path, "$name: too slow");
}

# An answer in the middle of the upload. HTTP/2 closes the stream behind it with NO_ERROR (RFC 9113 8.1), which some versions of curl take
# for a failure: then the access log is asked what was sent, as often as this was asked.
sub cut_off {
    my ($res, $way, $status, $path, $name) = @_;
    my $version = $way =~ /2/ ? '2.0' : '1.1';
    my $times = ++$asked{"$path $version"};
    if ($res->status || $version ne '2.0' || $res->curl != 92) {
        is $res->status, $status, $name or diag $res->error, $res->body;
        return;
    }
    my @log;
    wait_for { @log = grep { m{"POST \Q$path\E HTTP/\Q$version\E" $status } } lines($srv->path('access_log')); @log == $times } 30, "$name (in the log)";
}

my @rows = $srv->ctl_json('list', '--limit', 1000);
is scalar @rows, $expected, 'what was acknowledged is kept and nothing else';

# ---- TLS by hand: a body in one-byte records, a cut, a second request on the connection ----
{
    my $connect = sub { IO::Socket::SSL->new(PeerHost => '127.0.0.1', PeerPort => $srv->port('tls'), SSL_hostname => 'localhost',
        SSL_verifycn_name => 'localhost', SSL_ca_file => ca->cert('ca'), Timeout => 60) or die "TLS: $IO::Socket::SSL::SSL_ERROR\n" };
    my $read = sub {
        my ($sock) = @_;
        my $in = '';
        while ($in !~ /\r\n\r\n.*\}\n/s) { sysread $sock, $in, 4096, length $in or last }
        return $in;
    };
    my $body = '{"records":"' . ('r' x 60) . '"}';
    my $request = WebhookTest::Client::request_bytes(POST => '/hook', body => $body, headers => github_headers($secret, $body), keepalive => 1);
    my $sock = $connect->();
    for my $byte (split //, $request) { syswrite $sock, $byte }
    like $read->($sock), qr{^HTTP/1.1 202 }, 'one-byte TLS records: 202';
    syswrite $sock, WebhookTest::Client::request_bytes(POST => '/hook', body => $body, headers => github_headers($secret, $body), keepalive => 1);
    like $read->($sock), qr{^HTTP/1.1 202 }, 'another on the same connection: 202';
    close $sock;
    my $before = @{ [$srv->ctl_json('list', '--limit', 1000)] };
    $sock = $connect->();
    syswrite $sock, substr $request, 0, -5;
    close $sock;
    is $srv->curl($ways[0][2] . '/hook', @{ $ways[0] }[3 .. 5], headers(github_headers($secret, $body)), '--data-binary', $body)->status, 202, 'after one that was cut';
    is scalar(@{ [$srv->ctl_json('list', '--limit', 1000)] }), $before + 1, 'nothing that was cut is kept';
}

done_testing;
