# SPDX-License-Identifier: Apache-2.0
#
# Behind a proxy, as the manual's page shows it: the client's address by header and by PROXY protocol, and TLS that ended in front of us. What
# counts is who the other end of the connection is; whatever a client writes itself changes nothing.
use lib 't/lib';
use WebhookTest;
use WebhookTest::Manual;
use IO::Socket::IP ();

my $secret = 'secret of the shop';
my $keys = tmp_dir('keys');
spew("$keys/shop.key", $secret, 0600);
# the proxy of the page is 127.0.0.10 here; everybody else has other addresses of the loopback
my ($proxy, $stranger) = ('127.0.0.10', '127.0.0.66');
my $recipe = WebhookTest::Manual::recipe('access.md', 'proxy', '/etc/apache2/webhook' => $keys, '192.0.2.10' => $proxy);
my $protocol = WebhookTest::Manual::recipe('access.md', 'proxy-protocol', '/etc/apache2/webhook' => $keys, '/hooks/shop' => '/hooks/balanced');
my $tls = join '', map { my ($name, $words) = @$_; "<Location \"/tls/$name\">\n    SetHandler webhook\n    WebhookVerify none\n    WebhookName tls-$name\n    WebhookRequireTLS $words\n</Location>\n" }
    ['one', "proxy=$proxy"], ['net', 'proxy=127.0.0.8/29'], ['mapped', "proxy=::ffff:$proxy"], ['mappednet', 'proxy=::ffff:127.0.0.8/125'], ['several', "proxy=192.0.2.1,2001:db8::/32 proxy=$proxy"],
    ['other', 'proxy=127.0.0.11'], ['six', 'proxy=::1'], ['none', 'On'];
my $v6 = IO::Socket::IP->new(Listen => 1, LocalHost => '::1') ? 1 : 0;
my $srv = WebhookTest::Server->new(name => 'proxy', modules => [qw(remoteip ssl http2)], conf => <<'EOF' . ($v6 ? "Listen [::1]:\@PORT\@\n" : '') . "$recipe$tls<VirtualHost 127.0.0.1:\@PORT:tls\@>\n" . ca->conf . "</VirtualHost>\n<VirtualHost 127.0.0.1:\@PORT:pp\@>\n$protocol</VirtualHost>\n");
Listen 127.0.0.1:@PORT:tls@
Listen 127.0.0.1:@PORT:pp@
Protocols h2c http/1.1
EOF
announce(qr/AH0163[01]: /, qr/WH0123: /, qr/AH0349[1-9]: |AH0350[0-9]: /);
$srv->start;

my $body = '{"a":1}';
sub reason { ($_[0]->json // {})->{reason} // '-' }
sub bytes { my ($path, @headers) = @_; return WebhookTest::Client::request_bytes(POST => $path, body => $body, headers => ['Content-Type' => 'application/json', 'X-Signature' => hmac_hex($secret, $body), @headers]) }
# From an address of the loopback, with bytes before the request if wanted
sub from {
    my ($address, $bytes, %opt) = @_;
    my $conn = $srv->connect or die;
    $conn->close;
    $conn->{sock} = IO::Socket::IP->new(LocalHost => $address, PeerHost => $opt{to} // '127.0.0.1', PeerPort => $opt{port} // $srv->port, Type => Socket::SOCK_STREAM()) or die "$address: $@";
    $conn->{sock}->autoflush(1);
    $conn->print($bytes);
    my $res = $conn->response('POST');
    $conn->close;
    return $res;
}
sub address { my ($res) = @_; return ($srv->ctl_json('show', ($res->json // {})->{id} // return '-' . $res->status))->{remote_addr} }
my ($good, $bad) = ('198.51.100.7', '203.0.113.9');
my @https = ('X-Forwarded-Proto' => 'https');

# ---- X-Forwarded-For ----
{
    my $res = from($proxy, bytes('/hooks/shop', 'X-Forwarded-For' => $good, @https));
    is $res->status, 202, "from the proxy, for $good: 202";
    is address($res), $good, 'the record has the address of the client';
    for (['the client wrote an address first', "$good, $bad", 403], ['the client wrote several', "$good, $good, 127.0.0.10, $bad", 403], ['a client behind two proxies', "$bad, $good", 202],
        ['an address that is none', "$bad, unknown", 403], ['a private one, which this proxy may not vouch for', '10.0.0.1', 403], ['a name', 'sender.example', 403], ['an empty list', '', 403], ['with a port', "$good:80", 403]) {
        my ($what, $list, $status) = @$_;
        is from($proxy, bytes('/hooks/shop', 'X-Forwarded-For' => $list, @https))->status, $status, "from the proxy, $what: $status";
    }
    is from($proxy, bytes('/hooks/shop', @https))->status, 403, 'from the proxy itself: 403';
    for my $header ('X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'X-Client-IP', 'True-Client-IP', 'CF-Connecting-IP', 'Client-IP') {
        my $value = $header eq 'Forwarded' ? "for=$good;proto=https" : $good;
        $res = from($stranger, bytes('/hooks/shop', $header => $value, @https));
        is $res->status, 403, "from a stranger who writes $header: 403";
        is from($proxy, bytes('/hooks/shop', 'X-Forwarded-For' => $bad, $header => $value, @https))->status, 403, "and through the proxy: 403" if $header ne 'X-Forwarded-For' && $header ne 'Forwarded';
    }
    is reason(from($proxy, bytes('/hooks/shop', 'X-Forwarded-For' => $good))), 'tls-required', 'from the proxy, over HTTP: tls-required';
}

# ---- TLS in front of us ----
my @said = (
    # headers of the proxy, accepted or not
    [1, 'X-Forwarded-Proto' => 'https'], [1, 'X-Forwarded-Proto' => 'HTTPS'], [1, 'x-forwarded-proto' => ' https '], [1, 'X-Forwarded-Proto' => 'https, https'], [1, 'X-Forwarded-Proto' => 'https', 'X-Forwarded-Proto' => 'https'],
    [0], [0, 'X-Forwarded-Proto' => 'http'], [0, 'X-Forwarded-Proto' => ''], [0, 'X-Forwarded-Proto' => 'https,http'], [0, 'X-Forwarded-Proto' => 'http,https'], [0, 'X-Forwarded-Proto' => 'https', 'X-Forwarded-Proto' => 'http'],
    [0, 'X-Forwarded-Proto' => 'httpsx'], [0, 'X-Forwarded-Proto' => 'https,'], [0, 'X-Forwarded-Proto' => 'https;http'], [0, 'X-Forwarded-Proto' => '"https"'], [0, 'X-Forwarded-Proto' => 'on'], [0, 'X_Forwarded_Proto' => 'https'],
    [0, 'X-Forwarded-Ssl' => 'on'], [0, 'Front-End-Https' => 'on'], [0, 'X-Forwarded-Port' => '443'],
    [1, 'Forwarded' => 'proto=https'], [1, 'Forwarded' => 'for=192.0.2.7;proto=https;by=203.0.113.43'], [1, 'Forwarded' => 'for="[2001:db8::1]:80"; Proto="https"'], [1, 'Forwarded' => 'for=192.0.2.7, for=192.0.2.8;proto=HTTPS'],
    [1, 'Forwarded' => 'for="a,b;proto=http";proto=https'], [1, 'Forwarded' => 'for="a\\"b;proto=http";proto=https'], [1, 'Forwarded' => 'proto=https, proto=https'],
    [0, 'Forwarded' => 'for=192.0.2.7'], [0, 'Forwarded' => 'proto=https, for=192.0.2.7'], [0, 'Forwarded' => 'proto=http'], [0, 'Forwarded' => 'proto=http, proto=https'], [0, 'Forwarded' => 'proto=https, proto=http'],
    [0, 'Forwarded' => 'for="x;proto=https"'], [0, 'Forwarded' => 'for="x, proto=https'], [0, 'Forwarded' => 'proto=https;proto=http'], [0, 'Forwarded' => 'xproto=https'], [0, 'Forwarded' => 'proto="https'], [0, 'Forwarded' => 'proto = https'],
    [0, 'Forwarded' => 'proto=https for=x'], [0, 'Forwarded' => ''], [0, 'Forwarded' => ','], [0, 'Forwarded' => 'proto=https,'], [0, 'Forwarded' => 'proto'], [0, 'Forwarded' => 'for=x\\;proto=https"'],
    [0, 'Forwarded' => 'proto=https', 'X-Forwarded-Proto' => 'http'], [0, 'Forwarded' => 'proto=http', 'X-Forwarded-Proto' => 'https'], [1, 'Forwarded' => 'proto=https', 'X-Forwarded-Proto' => 'https'],
);
for (@said) {
    my ($good, @headers) = @$_;
    my $what = @headers ? join ', ', map { "$headers[2 * $_]: $headers[2 * $_ + 1]" } 0 .. $#headers / 2 : 'nothing';
    my $res = from($proxy, bytes('/tls/one', @headers));
    is $res->status, $good ? 202 : 403, "the proxy says $what: " . ($good ? 'TLS' : 'not TLS');
    is reason($res), 'tls-required', 'with the reason' if !$good;
    is from($stranger, bytes('/tls/one', @headers))->status, 403, 'a stranger says it: not TLS';
}
for (['one', 127, 0, 0, 11], ['net', 127, 0, 0, 7], ['net', 127, 0, 0, 16], ['mapped', 127, 0, 0, 11], ['mappednet', 127, 0, 0, 16], ['several', 127, 0, 0, 1], ['other', 127, 0, 0, 10], ['six', 127, 0, 0, 1], ['none', 127, 0, 0, 10]) {
    my ($name, @bytes) = @$_;
    my $address = join '.', @bytes;
    is from($address, bytes("/tls/$name", @https))->status, 403, "$name: $address is not trusted";
}
for (['net', '127.0.0.8'], ['net', '127.0.0.15'], ['mapped', $proxy], ['mappednet', '127.0.0.15'], ['several', $proxy], ['other', '127.0.0.11']) {
    my ($name, $address) = @$_;
    is from($address, bytes("/tls/$name", @https))->status, 202, "$name: $address is";
    is from($address, bytes("/tls/$name", @https, 'X-Forwarded-For' => $bad))->status, 202, 'whoever its client is';
}
SKIP: {
    skip 'no IPv6 loopback here', 2 if !$v6;
    is from('::1', bytes('/tls/six', @https), to => '::1')->status, 202, 'IPv6: one address';
    is from('::1', bytes('/tls/one', @https), to => '::1')->status, 403, 'is not another';
}
# a client cannot claim the proxy's address where mod_remoteip would believe it: the connection's counts
is from($stranger, bytes('/tls/one', @https, 'X-Forwarded-For' => $proxy))->status, 403, "the proxy's address in a header";
# the proxy's own TLS does not make up for its client's
{
    my $url = 'https://localhost:' . $srv->port('tls');
    my @how = ('--cacert', ca->cert('ca'), '--data-binary', $body, '-H', 'Content-Type: application/json');
    is $srv->curl(@how, "$url/tls/one")->status, 202, 'direct TLS';
    is $srv->curl(@how, '--interface', $proxy, '-H', 'X-Forwarded-Proto: https', "$url/tls/one")->status, 202, 'TLS from the proxy, and https before it';
    is $srv->curl(@how, '--interface', $proxy, '-H', 'X-Forwarded-Proto: http', "$url/tls/one")->status, 403, 'TLS from the proxy, and http before it';
    is $srv->curl(@how, '--interface', $stranger, '-H', 'X-Forwarded-Proto: http', "$url/tls/one")->status, 202, 'TLS from a stranger, whose words mean nothing';
    my $h2c = $srv->curl('--http2-prior-knowledge', '--interface', $proxy, '-H', 'X-Forwarded-Proto: https', '--data-binary', $body, '-H', 'Content-Type: application/json', $srv->url('/tls/one'));
    is $h2c->status, 202, 'h2c from the proxy, and https before it';
    is $h2c->version, '2', 'HTTP/2';
}
my ($endpoint) = grep { $_->{path} eq '/tls/several' } @{ $srv->dump_json->{endpoints} };
is_deeply $endpoint->{tls_proxies}, ['192.0.2.1', '2001:db8::/32', $proxy], 'the dump lists the proxies';

# ---- random networks and addresses against an oracle of our own ----
{
    my $seed = $ENV{WEBHOOK_SEED} // time;
    srand $seed;
    diag "seed $seed";
    my $bits = sub { my ($address) = @_; my $f = $address =~ /:/ ? Socket::AF_INET6() : Socket::AF_INET(); unpack 'B*', Socket::inet_pton($f, $address) };
    my $text = sub { my ($bits) = @_; Socket::inet_ntop(length $bits == 32 ? Socket::AF_INET() : Socket::AF_INET6(), pack 'B*', $bits) };
    # v4 in v6 is v4
    my $plain = sub { my ($b) = @_; length $b == 128 && $b =~ /\A0{80}1{16}/ ? substr $b, 96 : $b };
    my $inside = sub {
        my ($address, $net) = @_;
        my ($n, $len) = split m{/}, $net;
        my ($a, $b) = ($plain->($bits->($address)), $bits->($n));
        $len //= length $b;
        return length $a == length $b && substr($a, 0, $len) eq substr $b, 0, $len;
    };
    my $random = sub { join '', map { rand() < .5 ? 1 : 0 } 1 .. $_[0] };
    my (@nets, $conf);
    for (0 .. 39) {
        my $size = rand() < .5 ? 32 : 128;
        my $len = 1 + int rand $size;
        my $start = $size == 32 ? ($_ % 2 ? '01111111' : '') : '001';
        $len = length($start) + 1 if $len <= length $start;
        my $net = $text->(substr($start . $random->($len), 0, $len) . '0' x ($size - $len)) . ($len == $size && rand() < .5 ? '' : "/$len");
        push @nets, $net;
        $conf .= "<Location \"/require/$_\">\n    SetHandler webhook\n    WebhookVerify none\n    WebhookName require-$_\n    Require ip $net\n</Location>\n"
            . "<Location \"/peer/$_\">\n    SetHandler webhook\n    WebhookVerify none\n    WebhookName peer-$_\n    WebhookRequireTLS proxy=$net\n</Location>\n";
    }
    my $other = WebhookTest::Server->new(name => 'oracle', modules => ['remoteip'], loglevel => 'crit', conf => "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0\n$conf");
    $other->start;
    my $conn = $other->connect;
    my ($pairs, $yes, @wrong) = (0, 0);
    for my $i (0 .. $#nets) {
        my ($n, $len) = split m{/}, $nets[$i];
        my $b = $bits->($n);
        $len //= length $b;
        for (1 .. 50) {
            # the network's first bits, one of them or none changed, and anything behind
            my $a = substr($b, 0, $len) . $random->(length($b) - $len);
            if (rand() < .5) { my $at = int rand $len; substr($a, $at, 1) = 1 - substr $a, $at, 1 }
            my $address = $text->($a);
            $address = "::ffff:$address" if length $a == 32 && rand() < .2;
            $conn->print(WebhookTest::Client::request_bytes(POST => "/require/$i", body => $body, headers => ['X-Forwarded-For' => $address, 'Content-Type' => 'application/json'], keepalive => 1));
            my $res = $conn->response('POST');
            if (($res->header('Connection') // '') =~ /close/i || !$res->status) { $conn->close; $conn = $other->connect }
            my $want = $inside->($address, $nets[$i]) ? 1 : 0;
            $yes += $want;
            $pairs++;
            push @wrong, "Require ip $nets[$i]: $address: " . $res->status if $res->status != ($want ? 202 : 403);
        }
        # the other end of a connection: any of the loopback's addresses
        next if $nets[$i] !~ /^127\./;
        for (1 .. 20) {
            my $a = substr($b, 0, $len) . $random->(32 - $len);
            if (rand() < .5) { my $at = 8 + int rand($len - 8); substr($a, $at, 1) = 1 - substr $a, $at, 1 }
            my $address = $text->($a);
            next if $address =~ /^127\.(?:0\.0\.0|255\.255\.255)$/;
            my $res = from($address, bytes("/peer/$i", @https), port => $other->port);
            my $want = $inside->($address, $nets[$i]) ? 1 : 0;
            $pairs++;
            push @wrong, "proxy=$nets[$i]: $address: " . $res->status if $res->status != ($want ? 202 : 403);
        }
    }
    is_deeply \@wrong, [], "$pairs pairs of network and address";
    cmp_ok $yes, '>', 500, 'many of them inside';
}

# ---- PROXY protocol ----
{
    my @to = (port => $srv->port('pp'));
    my $v2 = sub { my ($from) = @_; pack('a12 C C n', "\r\n\r\n\0\r\nQUIT\n", 0x21, 0x11, 12) . Socket::inet_aton($from) . Socket::inet_aton('127.0.0.1') . pack 'nn', 1234, 443 };
    for (['version 1', sub { "PROXY TCP4 $_[0] 127.0.0.1 1234 443\r\n" }], ['version 2', $v2]) {
        my ($what, $line) = @$_;
        my $res = from($proxy, $line->($good) . bytes('/hooks/balanced'), @to);
        is $res->status, 202, "$what, for $good: 202";
        is address($res), $good, "$what: the record has the address of the client";
        is from($proxy, $line->($bad) . bytes('/hooks/balanced'), @to)->status, 403, "$what, for $bad: 403";
        is from($proxy, $line->($bad) . bytes('/hooks/balanced', 'X-Forwarded-For' => $good), @to)->status, 403, "$what: a header does not change it";
        is from($proxy, $line->($bad) . $line->($good) . bytes('/hooks/balanced'), @to)->status, 400, "$what: a second line of the client's is no request";
    }
    my $conn = from($proxy, bytes('/hooks/balanced'), @to);
    is $conn->status, 0, 'without the line: the connection is closed';
    is from($proxy, "PROXY TCP4 $good 127.0.0.1 1234 443\r\n" . bytes('/hooks/balanced'))->status, 400, 'where it is not switched on, the line is no request';
}
done_testing;
