# SPDX-License-Identifier: Apache-2.0
#
# What bodies may be and what they mean: media types before the body is read, forms, multipart, CloudEvents, bytes, content codings. What
# is kept, delivered and replayed is what was received, always.
use lib 't/lib';
use WebhookTest;
use Compress::Raw::Zlib ();

my $secret = 'bodies-secret';
my $srv = WebhookTest::Server->new(name => 'bodies', loglevel => 'warn webhook:trace2', modules => ['reflector'], conf => <<'EOF');
WebhookBodyTimeout 5min
WebhookLog "@DIR@/deliveries.jsonl"
<WebhookHandler one>
    WebhookSend file "@DIR@/out/%{id}" format=raw
</WebhookHandler>
<WebhookEndpoint signed>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookDeliver one "webhook_json('/ref') == 'main'"
</WebhookEndpoint>
<WebhookEndpoint stream>
    WebhookVerify getstream
    WebhookSecret file:@DIR@/secret
    WebhookDeliver one "webhook_json('/ref') == 'main'"
</WebhookEndpoint>
<WebhookEndpoint gated>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookDecode gzip
    WebhookGate On
</WebhookEndpoint>
<Location "/default">
    SetHandler webhook
    WebhookVerify hmac header=X-Sig
    WebhookSecret file:@DIR@/secret
    WebhookDeliver one
</Location>
<Location "/github">
    SetHandler webhook
    WebhookUse signed
</Location>
<Location "/body">
    SetHandler webhook
    WebhookUse signed
    WebhookPayload body
</Location>
<Location "/data">
    SetHandler webhook
    WebhookUse signed
    WebhookPayload field=data
</Location>
<Location "/unasked">
    SetHandler webhook
    WebhookUse signed
    WebhookContentTypes *
    WebhookDecode gzip
    WebhookDeliver one
</Location>
<Location "/mixed">
    SetHandler webhook
    WebhookUse signed
    WebhookContentTypes text/plain=json text/x-fields=form multipart/form-data text/xml application/json=opaque
    WebhookPayload field=json
</Location>
<Location "/open">
    SetHandler webhook
    WebhookUse signed
    WebhookContentTypes *
</Location>
<Location "/gzip">
    SetHandler webhook
    WebhookUse signed
    WebhookDecode gzip deflate
    WebhookBodyLimit 2M
</Location>
<Location "/gzip-only">
    SetHandler webhook
    WebhookUse signed
    WebhookDecode gzip
</Location>
<Location "/small">
    SetHandler webhook
    WebhookUse signed
    WebhookDecode gzip limit=1K ratio=1032
</Location>
<Location "/wide">
    SetHandler webhook
    WebhookUse signed
    WebhookDecode gzip ratio=1032
    WebhookBodyLimit 2M
</Location>
<Location "/stream">
    SetHandler webhook
    WebhookUse stream
    WebhookDecode gzip limit=2M ratio=1032
    WebhookBodyLimit 2M
</Location>
<Location "/stream-wire">
    SetHandler webhook
    WebhookUse stream
    WebhookDecode gzip hmac=wire
</Location>
<Location "/gate">
    SetHandler reflector
    WebhookUse gated
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
$srv->start;

my $bytes = \&WebhookTest::Client::request_bytes;
sub reason { ($_[0]->json // {})->{reason} // '-' }
sub row { my ($res) = @_; my ($row) = $srv->ctl_json('show', $res->json->{id}); return $row }
# What became of a request: how many jobs, or why it was refused.
sub jobs { my ($res) = @_; return $res->status =~ /^20/ ? scalar @{ row($res)->{jobs} // [] } : $res->status . ' ' . reason($res) }
sub sent {
    my ($path, $type, $body, @headers) = @_;
    my $list = github_headers($secret, $body);
    $list->[1] = $type;
    return $srv->post($path, $body, headers => [@$list, @headers]);
}

# ---- before the body is read ----
for (undef, 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/xml', 'application/octet-stream',
    'application/jsonx', 'application/cloudevents+avro', 'application/json; charset=utf-16', 'application/x+json;charset="latin1"') {
    my $conn = $srv->connect;
    # a body that never comes
    $conn->print($bytes->(POST => '/default', headers => ['Content-Type' => $_, 'Content-Length' => 100, 'X-Sig' => 'f' x 64, Expect => '100-continue']));
    my $res = $conn->response('POST');
    is $res->status . ' ' . reason($res), '415 content-type', 'refused unread: ' . ($_ // 'no type');
    is_deeply $res->{interim}, [], 'no 100';
    $conn->close;
}
for (['/default', 'gzip', 'identity'], ['/gzip', 'br', 'gzip, deflate'], ['/gzip', 'gzip, gzip', 'gzip, deflate'], ['/gzip', 'zstd', 'gzip, deflate'],
    ['/gzip', 'identity, gzip', 'gzip, deflate'], ['/gzip-only', 'deflate', 'gzip'], ['/gate', 'deflate', 'gzip']) {
    my ($path, $coding, $accept) = @$_;
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => $path, headers => ['Content-Type' => 'application/json', 'Content-Encoding' => $coding, 'Content-Length' => 100,
        'X-Sig' => 'f' x 64, 'X-Hub-Signature-256' => 'sha256=' . 'f' x 64]));
    my $res = $conn->response('POST');
    is $res->status . ' ' . reason($res), '415 content-encoding', "refused unread: $path does not take $coding";
    is $res->header('Accept-Encoding'), $accept, 'and says what it takes';
    $conn->close;
}
{
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/gzip', headers => ['Content-Type' => 'application/json', 'Content-Length' => 5, 'X-Hub-Signature-256' => 'sha256=' . 'f' x 64,
        'Content-Encoding' => 'gzip', 'Content-Encoding' => 'gzip']));
    is reason($conn->response('POST')), 'content-encoding', 'two Content-Encoding headers are not one';
    $conn->close;
}

# ---- forms ----
my $form = 'application/x-www-form-urlencoded';
my $main = '%7B%22ref%22%3A%22main%22%7D';
is jobs(sent('/github', $form, "payload=$main")), 1, 'a form: the rule reads the JSON of its payload field';
is jobs(sent('/github', $form, 'payload=%7B%22ref%22%3A%22other%22%7D')), 0, 'and not everything matches';
is jobs(sent('/github', "$form; charset=utf-8", "a=1&payload=$main&b=2")), 1, 'among other fields';
is jobs(sent('/github', $form, "data=$main")), 0, 'without the field there is no JSON';
is jobs(sent('/github', $form, "payload=$main&payload=%7B%7D")), '400 form-duplicate', 'a field that occurs twice is refused';
is jobs(sent('/github', $form, "p%61yload=%7B%7D&payload=$main")), '400 form-duplicate', 'however it is written';
is jobs(sent('/github', $form, "payload=$main&x[]=1&x[]=2")), 1, 'a list is no field that occurs twice';
is jobs(sent('/github', $form, "payload=$main&x=%zz")), '400 form-invalid', 'a broken escape is refused';
is jobs(sent('/github', $form, "payload=$main&" . 'a[]&' x 4096)), '400 form-invalid', 'and so are too many fields';
is jobs(sent('/github', $form, 'payload=%7B%22ref%22')), '400 json-invalid', 'JSON that is cut';
is jobs(sent('/github', $form, 'payload=%7B%22ref%22%3A1,%22ref%22%3A%22main%22%7D')), '400 json-duplicate-name', 'JSON with a name twice';
is jobs(sent('/github', 'application/json', '{"ref":"main"}')), 1, 'JSON is JSON as ever';
is jobs(sent('/github', 'application/json', '{"payload":{"ref":"main"}}')), 0, 'and no field of it is looked for';
is jobs(sent('/body', $form, "payload=$main")), 0, 'WebhookPayload body: no field is read';
is jobs(sent('/data', $form, "data=$main&payload=x")), 1, 'WebhookPayload field=: another one is';
{
    my $res = sent('/unasked', $form, "payload=$main&payload=$main&x=%zz");
    is $res->status, 202, 'where nothing asks what the body means, it is not read';
    is row($res)->{body_sha256}, sha256_hex("payload=$main&payload=$main&x=%zz"), 'and kept as it came';
}
is jobs(sent('/mixed', 'text/x-fields', "json=$main")), 1, 'a type read as a form';

# ---- JSON under other names, bytes under JSON's ----
is jobs(sent('/mixed', 'text/plain; charset=UTF-8', '{"ref":"main"}')), 1, 'text/plain read as JSON';
is jobs(sent('/mixed', 'text/plain; charset=iso-8859-1', '{"ref":"main"}')), '415 content-type', 'is UTF-8 too';
is jobs(sent('/mixed', 'text/plain', "{\"ref\":\"\xff\"}")), '400 json-utf8', 'and read as strictly';
is jobs(sent('/mixed', 'application/json', '{"ref":"main"}')), 0, 'JSON as bytes: no rule sees into it';
is jobs(sent('/mixed', 'application/json', '{"ref":"main"')), 0, 'and nothing is wrong with any of them';
{
    my $xml = qq(<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;\0\xff</a>);
    my $res = sent('/mixed', 'text/xml', $xml);
    is jobs($res), 0, 'XML is bytes';
    is row($res)->{body_sha256}, sha256_hex($xml), 'kept as they came';
}

# ---- multipart ----
{
    my $part = sub { my ($name, $data, $more) = @_; return "--b0\r\nContent-Disposition: form-data; name=\"$name\"" . ($more // '') . "\r\n\r\n$data\r\n" };
    my $type = 'multipart/form-data; boundary=b0';
    is jobs(sent('/mixed', $type, $part->('a', '1') . $part->('json', '{"ref":"main"}') . '--b0--')), 1, 'multipart: the JSON of its field';
    is jobs(sent('/mixed', $type, $part->('json', '{"ref":"main"}') . $part->('up', "\0\xff\r\n", '; filename=a') . $part->('up', '2', '; filename=b') . '--b0--')),
        1, 'beside two files of one name';
    is jobs(sent('/mixed', $type, $part->('json', '{"ref":"main"}') . $part->('a', '1') . $part->('a', '2') . '--b0--')), '400 form-duplicate', 'a text twice';
    is jobs(sent('/mixed', $type, $part->('json', '{"ref":"main"}'))), '400 multipart-invalid', 'no end';
    is jobs(sent('/mixed', 'multipart/form-data', $part->('json', '{"ref":"main"}') . '--b0--')), '400 multipart-invalid', 'no boundary';
    is jobs(sent('/mixed', $type, $part->('json', '{"ref":') . '--b0--')), '400 json-invalid', 'broken JSON in it';
}

# ---- CloudEvents ----
{
    my %ce = (specversion => '1.0', id => '7', source => '/s', type => 'com.example.push');
    my $event = sub { return json_encode({ %ce, @_ }) };
    my @binary = map { ("ce-$_" => $ce{$_}) } sort keys %ce;
    my $type = 'application/cloudevents+json; charset=UTF-8';
    is jobs(sent('/open', 'application/x+json', $event->(data => { ref => 'main' }))), 0, 'an event under another type is JSON';
    is jobs(sent('/open', $type, $event->(data => { ref => 'main' }))), 1, 'structured: the JSON is its data';
    is jobs(sent('/open', $type, $event->(ref => 'main'))), 0, 'not its attributes';
    is jobs(sent('/open', $type, $event->(id => ''))), '400 cloudevent-invalid', 'a required attribute is empty';
    is jobs(sent('/open', $type, $event->(specversion => '0.3'))), '400 cloudevent-invalid', 'another version';
    is jobs(sent('/open', 'application/cloudevents-batch+json', '[' . $event->() . ',' . $event->(id => 8) . ']')), 0, 'a batch';
    is jobs(sent('/open', 'application/cloudevents-batch+json', '[]')), 0, 'an empty one';
    is jobs(sent('/open', 'application/cloudevents-batch+json', '[' . $event->() . ',{}]')), '400 cloudevent-invalid', 'one with an event that is none';
    is jobs(sent('/open', 'application/cloudevents+xml', '<event/>')), '415 content-type', 'another format';
    is jobs(sent('/open', 'application/json', '{"ref":"main"}', @binary)), 1, 'binary: the JSON is the body';
    is jobs(sent('/open', 'text/plain', 'x', @binary)), 0, 'with other data';
    is jobs(sent('/open', 'application/json', '{"ref":"main"}', @binary, 'ce-subject' => '%E2%82%AC')), 1, 'percent escapes';
    is jobs(sent('/open', 'application/json', '{"ref":"main"}', @binary, 'ce-subject' => '%E2%82')), '400 cloudevent-invalid', 'that are not UTF-8';
    is jobs(sent('/open', 'application/json', '{"ref":"main"}', @binary, 'ce-subject' => '%C2%85')), '400 cloudevent-invalid', 'that are control characters';
    is jobs(sent('/open', 'application/json', '{"ref":"main"}', @binary[0 .. 5])), '400 cloudevent-invalid', 'a required attribute is missing';
    is jobs(sent('/open', 'application/json', '{"ref":"main"}', @binary, 'ce-datacontenttype' => 'text/plain')), '400 cloudevent-invalid', 'ce-datacontenttype';
}

# ---- content codings ----
sub coded {
    my ($data, %opt) = @_;
    my $z = Compress::Raw::Zlib::Deflate->new(-WindowBits => $opt{zlib} ? 15 : $opt{raw} ? -15 : 31, -Level => 9, -AppendOutput => 1);
    my $out = '';
    for (1 .. $opt{times} // 1) {
        $z->deflate($data, $out);
        $z->flush($out, $opt{flush}) if $opt{flush};
    }
    $z->flush($out) if !$opt{flush};
    return $out;
}
my $json = json_encode({ ref => 'main', text => 'a word and another word ' x 40 });
my $gz = coded($json);
my $js = 'application/json';
my @gz = ('Content-Encoding' => 'gzip');
{
    my $res = sent('/gzip', $js, $gz, @gz);
    is jobs($res), 1, 'gzip: the rule sees what is inside';
    my $row = row($res);
    is $row->{body_sha256}, sha256_hex($gz), 'what is kept is what was received';
    my %header = map { lc $_->[0] => $_->[1] } @{ $row->{headers} };
    is $header{'content-encoding'}, 'gzip', 'with the coding it has';
    wait_for { (slurp($srv->path('out', $row->{id})) // '') eq $gz } 30, 'and so is what is delivered';
}
is jobs(sent('/gzip', $js, $gz, 'Content-Encoding' => 'X-GZIP')), 1, 'x-gzip';
is jobs(sent('/gzip', $js, coded($json, zlib => 1), 'Content-Encoding' => 'deflate')), 1, 'deflate';
is jobs(sent('/gzip', $js, coded($json, raw => 1), 'Content-Encoding' => 'deflate')), '400 coding-invalid', 'deflate without its header';
is jobs(sent('/gzip', $js, $json, 'Content-Encoding' => 'identity')), 1, 'identity';
is jobs(sent('/gzip', $js, $json)), 1, 'no coding';
is jobs(sent('/gzip', $js, '', @gz)), 0, 'nothing at all';
is jobs(sent('/gzip', $js, $json, @gz)), '400 coding-invalid', 'what is not gzip';
is jobs(sent('/gzip', $js, substr($gz, 0, $_), @gz)), '400 coding-invalid', "cut at $_" for 1, 10, 20, length($gz) - 8, length($gz) - 1;
is jobs(sent('/gzip', $js, "$gz\0", @gz)), '400 coding-invalid', 'a byte behind the end';
is jobs(sent('/gzip', $js, $gz . coded('{}'), @gz)), '400 coding-invalid', 'a second member';
is jobs(sent('/gzip', $js, coded($gz), @gz)), '400 json-invalid', 'gzip in gzip is decoded once';
{
    my $extra = substr($gz, 0, 3) . "\x0c" . substr($gz, 4, 6) . pack('v', 65535) . ("\xee" x 65535) . "../../etc/passwd\0" . substr($gz, 10);
    is jobs(sent('/gzip', $js, $extra, @gz)), 1, 'a header with an extra field of 64 KiB and a name is read over';
}
is jobs(sent('/gzip-only', $form, coded("payload=$main"), @gz)), 1, 'a form, coded';
is jobs(sent('/unasked', $js, 'no gzip', @gz)), 1, 'where nothing asks, nothing is decoded';
for my $size (1024, 1025) {
    my $text = '{"ref":"main","x":"' . ('y' x ($size - 21)) . '"}';
    is length $text, $size, "$size bytes";
    is jobs(sent('/small', $js, coded($text), @gz)), $size == 1024 ? 1 : '413 decoded-too-large', $size == 1024 ? 'exactly the limit' : 'one byte more';
}
is jobs(sent('/gzip', $js, coded('"' . ('x' x 300_000) . '"'), @gz)), '413 decoded-ratio', 'more than the ratio';

# ---- a bomb: 1 MiB that would be 1 GiB ----
{
    # The second MiB and each after it are the same bytes, so they need not be deflated again; the check value is never come to.
    my $part = sub { my ($n) = @_; coded("\0" x (1 << 20), raw => 1, times => $n, flush => Compress::Raw::Zlib::Z_FULL_FLUSH()) };
    my $one = length $part->(1);
    my $mib = substr $part->(2), $one;
    my $bomb = substr(coded(''), 0, 10) . $part->(1) . $mib x 1023 . "\3\0" . pack('VV', 0, 1 << 30);
    is $mib, substr($part->(3), $one + length $mib), 'a MiB like the one before';
    cmp_ok length $bomb, '>', 1_000_000, 'a bomb of ' . length($bomb) . ' bytes';
    my $peak = sub {
        my $max = 0;
        for my $pid ($srv->children) {
            my ($kb) = (slurp("/proc/$pid/status") // '') =~ /^VmHWM:\s+(\d+)/m;
            $max = $kb if ($kb // 0) > $max;
        }
        return $max;
    };
    my $before = $peak->();
    cmp_ok $before, '>', 1000, 'what a child takes is known';
    is jobs(sent($_, $js, $bomb, @gz)), '413 decoded-too-large', "is stopped at the limit at $_" for '/wide', '/gzip';
    my @conn = map {
        my $c = $srv->connect;
        $c->print($bytes->(POST => '/stream', body => $bomb, headers => ['Content-Type' => $js, @gz, 'X-Signature' => 'f' x 64]));
        $c
    } 1 .. 8;
    is_deeply [map { reason($_->response('POST')) } @conn], [('decoded-too-large') x 8], 'also where it is decoded before it is verified, eight at once';
    $_->close for @conn;
    # each: the body, its decoded form up to 2 MiB, and what growing takes
    SKIP: {
        skip 'a sanitizer keeps what is freed', 1 if $ENV{WEBHOOK_ASAN};
        cmp_ok $peak->() - $before, '<', 8 * 8 * 1024, 'for a few MiB each, not a thousand';
    }
}

# ---- what the signature covers ----
{
    my $stream = sub {
        my ($path, $signed, $body) = @_;
        return jobs($srv->post($path, $body, headers => ['Content-Type' => $js, @gz, 'X-Signature' => hmac_hex($secret, $signed)]));
    };
    is $stream->('/stream', $json, $gz), 1, 'getstream signs what is inside';
    is $stream->('/stream', $gz, $gz), '401 signature-mismatch', 'not what was received';
    is $stream->('/stream-wire', $gz, $gz), 1, 'hmac=wire: the reverse';
    is $stream->('/stream-wire', $json, $gz), '401 signature-mismatch', 'alone';
    is $stream->('/stream', $json, 'no gzip'), '400 coding-invalid', 'what cannot be decoded cannot be verified';
    is jobs($srv->post('/stream', $json, headers => ['Content-Type' => $js, 'X-Signature' => hmac_hex($secret, $json)])), 1, 'no coding: there is one body';
}

# ---- gates ----
{
    my $from = length slurp($srv->error_log);
    my $res = sent('/gate', $js, $gz, @gz);
    is $res->status, 200, 'a gate';
    is $res->body, $gz, 'gives the application what was received';
    is sent('/gate', $js, '{"a":')->status, 200, 'and has no opinion on it';
    unlike substr(slurp($srv->error_log), $from), qr/WH0312|WH0313/, 'it was neither decoded nor read';
    like slurp($srv->error_log), qr/WH0312.*WH0313/s, 'elsewhere that shows in the log';
}

# ---- the dump ----
{
    my %place = map { $_->{path} => $_ } @{ $srv->dump_json->{endpoints} };
    is $place{'/github'}{payload_field}, 'payload', "dump: the preset's field";
    ok !exists $place{$_}{payload_field}, "dump: no field at $_" for '/body', '/default';
    is_deeply $place{'/small'}{decode}, { codings => ['gzip'], hmac => 'wire', limit => 1024, ratio => 1032 }, 'dump: codings';
    is $place{'/stream'}{decode}{hmac}, 'decoded', "dump: the preset's signature";
    is $place{'/gzip'}{decode}{limit}, 2 << 20, "dump: the body's limit";
    is $place{'/mixed'}{content_types}[0], 'text/plain=json', 'dump: media types';
}
done_testing;
