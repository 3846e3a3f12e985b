# SPDX-License-Identifier: Apache-2.0
#
# The body: read once, whole, within its size and time; whatever is short, broken or late is refused and leaves nothing behind.
use lib 't/lib';
use WebhookTest;
use Errno qw(EAGAIN);
use Time::HiRes ();

my $secret = 'body-secret';
my $srv = WebhookTest::Server->new(name => 'body', conf => <<'EOF');
RequestReadTimeout body=0
WebhookBodyTimeout 5min
WebhookBodyMemory 16K
<Location "/hook">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookBodyLimit 4M
    WebhookDrop
</Location>
<Location "/slow">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookBodyTimeout 1s
    WebhookDrop
</Location>
<Location "/denied">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookDrop
    Require ip    192.0.2.1
</Location>
<Location "/core">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookDrop
    LimitRequestBody 1000
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
$srv->start;

my $bytes = \&WebhookTest::Client::request_bytes;
sub rows { my @rows = $srv->ctl_json('list', '--limit', 1000); return @rows }
sub count { return scalar(my @rows = rows()) }
sub reason { ($_[0]->json // {})->{reason} }
my $expected = 0;

# ---- stalled senders do not keep a good one waiting ----
{
    my @slow = map {
        my $c = $srv->connect;
        $c->print(substr $bytes->(POST => '/slow', body => '"slow"', headers => github_headers($secret, '"slow"')), 0, -3);
        $c
    } 1 .. 40;
    is $srv->github('/hook', $secret, '{}')->status, 202, 'a good request among 40 stalled ones';
    $expected++;
    is_deeply [grep { $_ != 408 } map { $_->response('POST')->status } @slow], [], 'the stalled ones end with 408';
    $_->close for @slow;
}

# ---- sizes, both framings: what is verified is what was sent ----
for my $size (2, 100, 8191, 8192, 8193, 16383, 16384, 16385, 65536, 200_000, 1 << 20, 3_000_000) {
    my $body = '"' . join('', map { chr 97 + $_ % 26 } 1 .. $size - 2) . '"';
    for my $chunked (0, 1, [unpack '(a997)*', $body]) {
        my $res = $srv->github('/hook', $secret, $body, $chunked ? (chunked => $chunked) : ());
        is $res->status, 202, "$size bytes, " . (!$chunked ? 'length' : ref $chunked ? 'many chunks' : 'one chunk');
        $expected++;
    }
}
is count(), $expected, 'each is kept';
{
    my $body = '"' . join('', map { chr 35 + ($_ * 7) % 50 } 1 .. 50_000) . '"';
    my $id = $srv->github('/hook', $secret, $body)->json->{id};
    $expected++;
    my ($row) = grep { $_->{id} eq $id } rows();
    is $row->{body_sha256}, sha256_hex($body), 'the digest is that of the sent bytes, through the temporary file too';
    is $row->{body_length}, length $body, 'and the length';
}
is scalar(grep { /webhook-/ } glob "$ENV{TMPDIR}/*"), 0, 'no temporary file has a name';

# ---- cut at every byte: never a delivery ----
{
    my $body = '{"cut":"' . ('z' x 180) . '"}';
    for my $chunked (0, [unpack '(a60)*', $body]) {
        my $request = $bytes->(POST => '/hook', body => $body, headers => github_headers($secret, $body), chunked => $chunked);
        my %seen;
        for my $at (0 .. length($request) - 1) {
            my $conn = $srv->connect;
            $conn->print(substr $request, 0, $at);
            if ($at % 2) {
                $conn->shutdown;
                $seen{ $conn->response('POST')->status }++;
                $conn->close;
            }
            else {
                $conn->reset;
            }
        }
        delete @seen{ 0, 400, 408 };
        is_deeply \%seen, {}, 'cut anywhere' . ($chunked ? ' (chunked)' : '') . ': no answer, 400 or 408';
    }
    is count(), $expected, 'nothing that was cut is kept';
    is $srv->github('/hook', $secret, $body)->status, 202, 'the whole request is taken';
    $expected++;
}

# ---- time: total, not per byte ----
for my $chunked (0, 1) {
    my $body = '"' . ('s' x 98) . '"';
    my $request = $bytes->(POST => '/slow', body => $body, headers => github_headers($secret, $body), chunked => $chunked, keepalive => 1);
    my $conn = $srv->connect;
    $conn->print(substr $request, 0, length($request) - 90);
    my $sent = 0;
    for my $byte (split //, substr $request, -90) {
        # a byte now and then: a timeout that starts anew with each would only end with the last, much later
        vec(my $in = '', fileno $conn->sock, 1) = 1;
        last if select $in, undef, undef, 0.3;
        $conn->print($byte);
        $sent++;
    }
    cmp_ok $sent, '<', 90, 'dripping ' . ($chunked ? 'chunks' : 'bytes') . ': ended before all were there';
    my $res = $conn->response('POST');
    is $res->status, 408, 'with 408';
    is reason($res), 'body-timeout', 'body-timeout';
    is $res->header('Connection'), 'close', 'and the connection ends';
    $conn->close;
}
{
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/slow', headers => [@{ github_headers($secret, '"x"') }, 'Content-Length' => 3]));
    is $conn->response('POST')->status, 408, 'silence: 408';
    $conn->close;
}

# ---- Expect: 100-continue ----
{
    my $body = '"expected"';
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/hook', keepalive => 1,
        headers => [@{ github_headers($secret, $body) }, 'Content-Length' => length $body, Expect => '100-continue']));
    wait_for { $conn->fill(1); $conn->{buf} =~ /\r\n\r\n/ } 30;
    like $conn->{buf}, qr{^HTTP/1.1 100 }, 'a request that passes the gates is told to go on';
    $conn->print($body);
    my $res = $conn->response('POST');
    is $res->status, 202, 'and taken';
    $expected++;
    is_deeply [$res->interim], [100], 'one 100';
    $conn->close;

    $conn = $srv->connect;
    $conn->print($bytes->(POST => '/hook', keepalive => 1,
        headers => ['Content-Type' => 'application/json', 'Content-Length' => 10, Expect => '100-continue']));
    $res = $conn->response('POST');
    is $res->status, 401, 'a refused one is refused at once';
    is_deeply [$res->interim], [], 'and never sees a 100';
    is $res->header('Connection'), 'close', 'its body is not waited for';
    $conn->close;

    $conn = $srv->connect;
    $conn->print($bytes->(POST => '/hook', keepalive => 1, body => $body, headers => [@{ github_headers($secret, $body) }, Expect => '100-continue']));
    is $conn->response('POST')->status, 202, 'a client that does not wait for the 100 is served';
    $expected++;
    $conn->close;
}

# ---- LimitRequestBody of the core: same form ----
for my $chunked (0, 1) {
    my $res = $srv->github('/core', $secret, '"' . ('c' x 1500) . '"', chunked => $chunked);
    is $res->status, 413, 'LimitRequestBody' . ($chunked ? ', chunked' : '');
    is reason($res), 'body-too-large', 'in our form';
}

# ---- framing: malformed requests, each followed by a pipelined good one that must not be taken from inside a body ----
my $good = '{"good":1}';
my $len = length $good;
my $fresh = sub { $bytes->(POST => '/hook', body => $good, headers => github_headers($secret, $good)) };
my @malformed = (
    ['two lengths', "Content-Length: $len\r\nContent-Length: " . ($len + 1) . "\r\n\r\n$good"],
    ['negative length', "Content-Length: -1\r\n\r\n$good"],
    ['signed length', "Content-Length: +$len\r\n\r\n$good"],
    ['length with junk', "Content-Length: ${len}x\r\n\r\n$good"],
    ['hex length', "Content-Length: 0xa\r\n\r\n$good"],
    ['length list', "Content-Length: $len, $len, 3\r\n\r\n$good"],
    ['huge length', "Content-Length: 99999999999999999999\r\n\r\n$good"],
    ['empty length', "Content-Length: \r\n\r\n$good"],
    ['bad chunk size', "Transfer-Encoding: chunked\r\n\r\nzz\r\n$good\r\n0\r\n\r\n"],
    ['negative chunk', "Transfer-Encoding: chunked\r\n\r\n-5\r\n$good\r\n0\r\n\r\n"],
    ['chunk overflow', "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n$good\r\n0\r\n\r\n"],
    ['empty chunk size', "Transfer-Encoding: chunked\r\n\r\n\r\n$good\r\n0\r\n\r\n"],
    ['chunk too short', sprintf "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $len - 2, $good],
    ['chunk too long', sprintf "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $len + 2, $good],
    ['no CRLF behind chunk', sprintf "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s0\r\n\r\n", $len, $good],
    ['bare LF chunks', sprintf "Transfer-Encoding: chunked\r\n\r\n%x\n%s\n0\n\n", $len, $good],
    ['unknown coding', "Transfer-Encoding: xchunked\r\n\r\n$good"],
    ['gzip, chunked', sprintf "Transfer-Encoding: gzip, chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $len, $good],
    ['chunked not last', sprintf "Transfer-Encoding: chunked, gzip\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $len, $good],
    ['identity', "Transfer-Encoding: identity\r\n\r\n$good"],
    ['chunked twice', sprintf "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $len, $good],
    ['space before colon', "Content-Length : $len\r\n\r\n$good"],
    ['folded length', "Content-Length:\r\n $len\r\n\r\n$good"],
    ['NUL in header', "X-Nul: a\0b\r\nContent-Length: $len\r\n\r\n$good"],
    ['CR in header', "X-Cr: a\rb\r\nContent-Length: $len\r\n\r\n$good"],
    ['header without colon', "nocolon\r\nContent-Length: $len\r\n\r\n$good"],
    ['no body at all', "Content-Length: 0\r\n\r\n"],
    ['length in Arabic digits', "Content-Length: \xd9\xa1\xd9\xa0\r\n\r\n$good"],
    ['length with a fraction', "Content-Length: $len.0\r\n\r\n$good"],
    ['length with an exponent', "Content-Length: 1e1\r\n\r\n$good"],
    ['length with a NUL', "Content-Length: $len\0\r\n\r\n$good"],
    ['length and another of a different case', "Content-Length: $len\r\nCONTENT-LENGTH: 0\r\n\r\n$good"],
    ['length that is too small', "Content-Length: " . ($len - 3) . "\r\n\r\n$good"],
    ['length of 64 bits', "Content-Length: 18446744073709551626\r\n\r\n$good"],
    ['bare LF lines', "Content-Length: $len\n\n$good"],
    ['bare CR line', "Content-Length: $len\rX-A: b\r\n\r\n$good"],
    ['header name with a space', "Content Length: $len\r\n\r\n$good"],
    ['header name with a tab', "Content-Length\t: $len\r\n\r\n$good"],
    ['nameless header', ": x\r\nContent-Length: $len\r\n\r\n$good"],
    ['line without end', "X-Long: " . ('a' x 20_000) . "\r\nContent-Length: $len\r\n\r\n$good"],
    ['200 headers', join('', map { "X-$_: y\r\n" } 1 .. 200) . "Content-Length: $len\r\n\r\n$good"],
    ['chunk size with 0x', sprintf "Transfer-Encoding: chunked\r\n\r\n0x%x\r\n%s\r\n0\r\n\r\n", $len, $good],
    ['chunk size with a sign', sprintf "Transfer-Encoding: chunked\r\n\r\n+%x\r\n%s\r\n0\r\n\r\n", $len, $good],
    ['chunk size behind a space', sprintf "Transfer-Encoding: chunked\r\n\r\n %x\r\n%s\r\n0\r\n\r\n", $len, $good],
    ['chunk extension with a bare LF', sprintf "Transfer-Encoding: chunked\r\n\r\n%x;a=b\n%s\r\n0\r\n\r\n", $len, $good],
    ['chunk extension without end', sprintf "Transfer-Encoding: chunked\r\n\r\n%x;%s\r\n%s\r\n0\r\n\r\n", $len, 'e' x 20_000, $good],
    ['length in a trailer', sprintf "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nContent-Length: 400\r\n\r\n", $len, $good],
    ['trailer that is none', sprintf "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nnocolon\r\n\r\n", $len, $good],
    ['last chunk twice', sprintf "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n0\r\n\r\n", $len, $good],
    ['last chunk of many noughts', sprintf "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%s\r\n\r\n", $len, $good, '0' x 40],
    ['coding with a vertical tab', sprintf "Transfer-Encoding: \x0bchunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $len, $good],
    ['coding in quotes', sprintf qq(Transfer-Encoding: "chunked"\r\n\r\n%x\r\n%s\r\n0\r\n\r\n), $len, $good],
    ['coding with a parameter', sprintf "Transfer-Encoding: chunked;q=1\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $len, $good],
    ['empty coding', sprintf "Transfer-Encoding:\r\nContent-Length: $len\r\n\r\n$good"],
    ['folded coding', sprintf "Transfer-Encoding:\r\n chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $len, $good],
    ['length and chunked', sprintf "Content-Length: 400\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $len, $good],
);
cmp_ok scalar(@malformed), '>=', 40, 'ways to say it wrongly';
for (@malformed) {
    my ($name, $rest) = @$_;
    my @headers = (Host => 'localhost', @{ github_headers($secret, $good) });
    my $head = '';
    while (my ($n, $v) = splice @headers, 0, 2) { $head .= "$n: $v\r\n" }
    my $before = count();
    my $conn = $srv->connect;
    $conn->print("POST /hook HTTP/1.1\r\n$head$rest" . $fresh->());
    $conn->shutdown;
    my @status;
    while ((my $res = $conn->response('POST'))->status) { push @status, $res->status }
    $conn->close;
    my $taken = grep { $_ == 202 } @status;
    my $kept = count() - $before;
    is $kept, $taken, "$name: as many kept as acknowledged (@status)";
    cmp_ok scalar(@status), '<=', 2, "$name: no more answers than requests";
    is_deeply [grep { !/^(?:202|4\d\d|501)$/ } @status], [], "$name: no server error";
    $expected += $kept;
}

# ---- a refused sender that does not stop: it is cut off soon, and has no worker meanwhile ----
{
    my %conn;
    my $big = 1 << 30;
    for (['no signature', ['Content-Type' => 'application/json', 'Content-Length' => 4_000_000]],
        ['no signature, chunked', ['Content-Type' => 'application/json', 'Transfer-Encoding' => 'chunked']],
        ['too large', [@{ github_headers($secret, 'x') }, 'Content-Length' => $big]],
        ['too large, chunked', [@{ github_headers($secret, 'x') }, 'Transfer-Encoding' => 'chunked']],
        ['media type', ['Content-Type' => 'text/plain', 'Content-Length' => $big]],
        ['method', ['Content-Length' => $big], 'PUT'], ['address', ['Content-Length' => $big], 'POST', '/denied'],
        ['silent', [@{ github_headers($secret, 'x') }, 'Content-Length' => 100], 'POST', '/slow']) {
        my ($name, $headers, $method, $path) = @$_;
        my $c = $srv->connect;
        $c->print($bytes->($method // 'POST' => $path // '/hook', headers => $headers, keepalive => 1));
        my $piece = 'z' x 65_536;
        $piece = sprintf "10000\r\n%s\r\n", $piece if $name =~ /chunked/;
        # its own refusals come while it is still sending
        if ($name =~ /^too large, chunked/) { $c->print($piece) for 1 .. 70 }
        my $res = $c->response('POST');
        like $res->status, qr/^(?:401|403|404|405|408|413|415)$/, "$name: refused with " . $res->status;
        $c->sock->blocking(0);
        $conn{$name} = { sock => $c->sock, piece => $piece, since => Time::HiRes::time() };
    }
    is $srv->github('/hook', $secret, '{}')->status, 202, 'a good request meanwhile';
    $expected++;
    local $SIG{PIPE} = 'IGNORE';
    my %over;
    while (%conn) {
        for my $name (keys %conn) {
            my $me = $conn{$name};
            my $sent = syswrite $me->{sock}, $me->{piece};
            my $seconds = Time::HiRes::time() - $me->{since};
            next if (defined $sent || $!{EAGAIN}) && $seconds < 25;
            $over{$name} = sprintf '%.1f s', $seconds if $seconds >= 25;
            delete $conn{$name};
        }
        select undef, undef, undef, 0.02;
    }
    is_deeply \%over, {}, 'each is cut off long before the 30 s that httpd would read on';
}

# ---- pipelining after refusals: what was read whole may be followed, what was not ends the connection ----
for (['wrong signature', github_headers('wrong', $good), [401, 202]], ['no signature', ['Content-Type' => 'application/json'], [401]],
    ['media type', ['Content-Type' => 'text/plain'], [415]]) {
    my ($name, $headers, $status) = @$_;
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/hook', body => $good, headers => $headers, keepalive => 1) . $fresh->());
    $conn->shutdown;
    my @got;
    while ((my $res = $conn->response('POST'))->status) { push @got, $res->status }
    is_deeply \@got, $status, "$name, then a good one: @$status";
    $expected++ if @$status == 2;
    $conn->close;
}
is count(), $expected, 'all told, what was acknowledged is kept and nothing else';

done_testing;
