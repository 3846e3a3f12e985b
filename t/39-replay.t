# SPDX-License-Identifier: Apache-2.0
#
# Replay of requests whose sender gives no id: a copy is known by the signed time and all that is signed with it, whatever else was changed;
# two events are two. The window of the clock around it, and what httpd makes of repeated, folded and odd headers.
use lib 't/lib';
use WebhookTest;
use MIME::Base64 qw(encode_base64);

my $secret = 'replay-secret';
my $clock = spew(tmp_dir('clock') . '/now', pack 'q', 0);
sub clock {
    open my $fh, '+<:raw', $clock or die "$clock: $!\n";
    syswrite $fh, pack('q', int($_[0] * 1_000_000)) or die "$clock: $!\n";
}
my $conf = '';
for (['answer', 'slack'], ['reject', 'slack'], ['off', 'slack'], ['answer', 'hubspot-v3', 'url=http://hooks.example.com'], ['answer', 'contentful'], ['answer', 'cloudinary-sha256'],
    ['answer', 'clickup'], ['answer', 'standard-webhooks'], ['answer', 'github'], ['answer', 'sanity'], ['answer', 'stripe'], ['answer', 'token', 'header=X-Token']) {
    my ($policy, $scheme, @options) = @$_;
    my $file = $scheme eq 'standard-webhooks' ? 'secret64' : 'secret';
    $conf .= "<Location \"/$policy/$scheme\">\n    SetHandler webhook\n    WebhookVerify $scheme @options\n    WebhookSecret file:\@DIR\@/$file\n    WebhookDuplicates $policy\n    WebhookAnswer 202\n    WebhookDrop\n</Location>\n";
}
my $srv = WebhookTest::Server->new(name => 'replay', preload => build_file('modules/shim_clock.so'), env => { WEBHOOK_CLOCK => $clock },
    conf => qq(WebhookStore "sqlite:\@DIR\@/state/queue.db" done=1000w\n) . $conf);
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('secret64'), encode_base64($secret, ''), 0600);
my $T = 1796000000;
clock($T);
$srv->start;

my $body = '{"a":1}';
sub reason { ($_[0]->json // {})->{reason} // '-' }
sub id { ($_[0]->json // {})->{id} // 'none: ' . $_[0]->status . ' ' . $_[0]->body }
sub post_to { my ($path, $body, @headers) = @_; $srv->post($path, $body, headers => ['Content-Type' => 'application/json', @headers], host => 'hooks.example.com') }
sub slack { my ($body, $t, $key) = @_; return ('X-Slack-Request-Timestamp' => $t, 'X-Slack-Signature' => 'v0=' . hmac_hex($key // $secret, "v0:$t:$body")) }
sub rows { $srv->ctl_json('stats')->{store}{deliveries} }

# ---- by signed time and body ----
{
    my $first = post_to('/answer/slack', $body, slack($body, $T));
    is $first->status, 202, 'without an id: accepted';
    my $before = rows();
    for (['a copy', '/answer/slack'], ['with another query', '/answer/slack?x=1'], ['with further headers', '/answer/slack', 'X-Request-Id' => 'other', 'User-Agent' => 'other'],
        ['under another path of the same endpoint', '/answer/slack/deeper']) {
        my ($what, $path, @more) = @$_;
        my $res = post_to($path, $body, slack($body, $T), @more);
        is $res->status, 202, "$what: acknowledged";
        is id($res), id($first), "$what: with the first one's id";
    }
    is $srv->post('/answer/slack', $body, headers => ['Content-Type' => 'application/json', slack($body, $T)], chunked => 1)->json->{id}, id($first), 'in chunks: too';
    is rows(), $before, 'and nothing is kept';
    isnt id(post_to('/answer/slack', $body, slack($body, $T + 1))), id($first), 'the same bytes a second later are another delivery';
    isnt id(post_to('/answer/slack', "$body ", slack("$body ", $T))), id($first), 'other bytes in the same second too';
    my $with_id = '{"event_id":"Ev1","a":1}';
    is id(post_to('/answer/slack', $with_id, slack($with_id, $T + 2))), id(post_to('/answer/slack', $with_id, slack($with_id, $T))), 'with a signed id, signed anew: the same delivery';
    is reason(post_to('/answer/slack', $body, slack($body, $T, 'wrong'))), 'signature-mismatch', 'a forged copy is refused, not answered as a duplicate';

    is post_to('/reject/slack', $body, slack($body, $T))->status, 202, 'reject: the first; and another endpoint remembers for itself';
    my $res = post_to('/reject/slack', $body, slack($body, $T));
    is $res->status, 409, 'reject: the copy';
    is reason($res), 'replayed', 'reject: the reason';
    isnt id(post_to('/off/slack', $body, slack($body, $T))), id(post_to('/off/slack', $body, slack($body, $T))), 'off: every request is a delivery';
    $srv->graceful;
    is id(post_to('/answer/slack', $body, slack($body, $T))), id($first), 'after a graceful restart: still known';
}

# ---- what else is signed tells events apart ----
{
    my $hubspot = sub {
        my ($method, $target, $ms) = @_;
        my $sig = encode_base64(Digest::SHA::hmac_sha256("${method}http://hooks.example.com$target$body$ms", $secret), '');
        return $srv->request($method => $target, host => 'hooks.example.com', body => $body, headers => ['Content-Type' => 'application/json', 'X-HubSpot-Request-Timestamp' => $ms, 'X-HubSpot-Signature-v3' => $sig]);
    };
    my $first = $hubspot->('POST', '/answer/hubspot-v3', $T * 1000);
    is $first->status, 202, 'hubspot-v3: accepted';
    is id($hubspot->('POST', '/answer/hubspot-v3', $T * 1000)), id($first), 'hubspot-v3: a copy';
    isnt id($hubspot->('POST', '/answer/hubspot-v3?object=2', $T * 1000)), id($first), 'hubspot-v3: another signed URL is another event';
    isnt id($hubspot->('POST', '/answer/hubspot-v3', $T * 1000 + 1)), id($first), 'hubspot-v3: a millisecond later';
    my $contentful = sub {
        my ($method, $target) = @_;
        my $ms = $T * 1000;
        my $list = 'x-contentful-signed-headers,x-contentful-timestamp';
        my $sig = hmac_hex($secret, join "\n", $method, $target, "x-contentful-signed-headers:$list;x-contentful-timestamp:$ms", $body);
        return $srv->request($method => $target, body => $body, headers => ['Content-Type' => 'application/json', 'x-contentful-signed-headers' => $list, 'x-contentful-timestamp' => $ms, 'x-contentful-signature' => $sig]);
    };
    $first = $contentful->('PUT', '/answer/contentful/a');
    is $first->status, 202, 'contentful: accepted' or diag $first->body;
    is id($contentful->('PUT', '/answer/contentful/a')), id($first), 'contentful: a copy';
    isnt id($contentful->('POST', '/answer/contentful/a')), id($first), 'contentful: another method';
    isnt id($contentful->('PUT', '/answer/contentful/b')), id($first), 'contentful: another path';
    my @cloudinary = ('X-Cld-Timestamp' => $T, 'X-Cld-Signature' => sha256_hex("$body$T$secret"));
    is id(post_to('/answer/cloudinary-sha256', $body, @cloudinary)), id(post_to('/answer/cloudinary-sha256', $body, @cloudinary)), 'a keyed hash: a copy';
}

# ---- by id, and by nothing ----
{
    my @clickup = ('X-Signature' => hmac_hex($secret, $body));
    isnt id(post_to('/answer/clickup', $body, @clickup)), id(post_to('/answer/clickup', $body, @clickup)), 'neither id nor signed time: two deliveries, as the manual says';
    isnt id(post_to('/answer/token', $body, 'X-Token' => $secret)), id(post_to('/answer/token', $body, 'X-Token' => $secret)), 'a token: too';
    my $guid = delivery_guid();
    my $first = $srv->github('/answer/github', $secret, $body, id => $guid);
    is id($srv->github('/answer/github', $secret, $body, id => $guid)), id($first), 'an unsigned id and the body: a copy';
    isnt id($srv->github('/answer/github', $secret, '{"b":1}', id => $guid)), id($first), 'the id on another body';
    my $sanity = sub {
        my ($key, $ms, $text) = @_;
        my $sig = MIME::Base64::encode_base64url(Digest::SHA::hmac_sha256("$ms.$text", $secret));
        return post_to('/answer/sanity', $text, 'idempotency-key' => $key, 'sanity-webhook-signature' => "t=$ms,v1=$sig");
    };
    $first = $sanity->('key-1', $T * 1000, $body);
    is $first->status, 202, 'an unsigned id, a signed time: accepted';
    is id($sanity->('key-1', $T * 1000, $body)), id($first), 'a copy';
    is id($sanity->('key-2', $T * 1000, $body)), id($first), 'a copy that calls itself another event';
    my $second = $sanity->('key-2', $T * 1000, '{"c":1}');
    isnt id($second), id($first), 'which does not take the name from the one that has it';
    is id($sanity->('key-1', $T * 1000 + 1, $body)), id($first), 'signed anew: the same delivery';
    is id($sanity->('key-3', $T * 1000 + 1, $body)), id($first), 'a copy of that, too, that calls itself another event';
    isnt id($sanity->('key-3', $T * 1000 + 2, $body)), id($first), 'signed anew under another id: another delivery';
}

# ---- 500 copies at once ----
{
    announce(qr/AH00484: server reached MaxRequestWorkers/); # where syncs are slow
    my $before = rows();
    my $t = $T + 7;
    my $bytes = WebhookTest::Client::request_bytes(POST => '/answer/slack', body => $body, headers => ['Content-Type' => 'application/json', slack($body, $t)]);
    my %id;
    for my $round (1 .. 5) {
        my @conn = map { $srv->connect } 1 .. 100;
        $_->print($bytes) for @conn;
        $id{ id($_->response('POST')) }++ for @conn;
    }
    is_deeply [values %id], [500], '500 copies at once: one id' or diag explain \%id;
    is rows(), $before + 1, 'and one delivery';
}

# ---- the window, by the clock of the server ----
{
    # 300 s either way for Slack: coarse over all of it, to the second at the edges
    my %age = map { $_ => 1 } map({ 25 * $_ } -24 .. 24), -302 .. -298, -1 .. 1, 298 .. 302;
    my (@wrong, %first);
    for my $age (sort { $a <=> $b } keys %age) {
        my $t = $T + 1000;
        clock($t + $age);
        my $text = "{\"age\":$age}";
        my $res = post_to('/answer/slack', $text, slack($text, $t));
        my $good = $age >= -300 && $age <= 300;
        push @wrong, "$age: " . $res->status . ' ' . reason($res) if $good ? $res->status != 202 : $res->status != 401 || reason($res) ne 'timestamp-outside-window';
    }
    is_deeply \@wrong, [], scalar(keys %age) . ' ages from -600 to 600 s: accepted from -300 to 300';
    # a request that was signed ahead of our clock stays good for the whole window, and is known all that time
    my $t = $T + 5000;
    clock($t - 300);
    my $first = post_to('/answer/slack', $body, slack($body, $t));
    is $first->status, 202, 'signed at the far edge';
    my %answers;
    for my $later (0, 1, 100, 299, 300, 301, 450, 599, 600) {
        clock($t - 300 + $later);
        $answers{ id(post_to('/answer/slack', $body, slack($body, $t))) }++;
    }
    is_deeply \%answers, { id($first) => 9 }, 'its copies are known as long as they are good';
    clock($t + 301);
    is reason(post_to('/answer/slack', $body, slack($body, $t))), 'timestamp-outside-window', 'then they are refused';
    clock($t - 301);
    is reason(post_to('/answer/slack', $body, slack($body, $t))), 'timestamp-outside-window', 'also when the clock is set back';
    clock($t);
    is id(post_to('/answer/slack', $body, slack($body, $t))), id($first), 'and back again: known';
}

# ---- headers as bytes ----
{
    clock($T);
    my $before = rows();
    my $raw = sub {
        my ($path, @lines) = @_;
        my $conn = $srv->connect;
        $conn->print("POST $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n" . join('', @lines) . "\r\n$body");
        my $res = $conn->response('POST');
        $conn->close;
        return $res;
    };
    my ($ts, $sig) = map { (slack($body, $T + 20))[$_] } 1, 3;
    my ($bad_ts, $bad_sig) = ($T + 21, 'v0=' . '0' x 64);
    my ($H, $S) = ('X-Slack-Request-Timestamp', 'X-Slack-Signature');
    my $wh = 'v1,' . encode_base64(Digest::SHA::hmac_sha256("msg_1.$T.$body", $secret), '');
    my $dotted = 'v1,' . encode_base64(Digest::SHA::hmac_sha256("msg.1.$T.$body", $secret), '');
    my @webhook = ("webhook-timestamp: $T\r\n", "webhook-signature: $wh\r\n");
    my $github = sign_github($secret, $body);
    my @refused = (
        ['two signatures, good and bad', '/answer/slack', "$H: $ts\r\n", "$S: $sig\r\n", "$S: $bad_sig\r\n"],
        ['two signatures, bad and good', '/answer/slack', "$H: $ts\r\n", "$S: $bad_sig\r\n", "$S: $sig\r\n"],
        ['the same signature twice', '/answer/slack', "$H: $ts\r\n", "$S: $sig\r\n", "$S: $sig\r\n"],
        ['in another case', '/answer/slack', "$H: $ts\r\n", "$S: $sig\r\n", lc($S) . ": $sig\r\n"],
        ['two times', '/answer/slack', "$H: $ts\r\n", "$H: $bad_ts\r\n", "$S: $sig\r\n"],
        ['two times, the other way round', '/answer/slack', "$H: $bad_ts\r\n", "$S: $sig\r\n", "$H: $ts\r\n"],
        ['the same time twice', '/answer/slack', "$H: $ts\r\n", "$H: $ts\r\n", "$S: $sig\r\n"],
        ['a signature folded in the middle', '/answer/slack', "$H: $ts\r\n", "$S: " . substr($sig, 0, 30) . "\r\n " . substr($sig, 30) . "\r\n"],
        ['a time folded in the middle', '/answer/slack', "$H: " . substr($ts, 0, 5) . "\r\n\t" . substr($ts, 5) . "\r\n", "$S: $sig\r\n"],
        ['a folded line that looks like a header', '/answer/slack', "$H: $ts\r\n", "X-A: b\r\n $S: $sig\r\n"],
        ['a blank before the colon', '/answer/slack', "$H: $ts\r\n", "$S : $sig\r\n"],
        ['an underscore', '/answer/slack', "$H: $ts\r\n", ($S =~ tr/-/_/r) . ": $sig\r\n"],
        ['a NUL in the signature', '/answer/slack', "$H: $ts\r\n", "$S: $sig\0\r\n"],
        ['two ids', '/answer/standard-webhooks', "webhook-id: msg_1\r\n", "webhook-id: msg_2\r\n", @webhook],
        ['the same id twice', '/answer/standard-webhooks', "webhook-id: msg_1\r\n", "webhook-id: msg_1\r\n", @webhook],
        ['an id with a dot, signed', '/answer/standard-webhooks', "webhook-id: msg.1\r\n", "webhook-timestamp: $T\r\n", "webhook-signature: $dotted\r\n"],
        ['a dot moved from id to time', '/answer/standard-webhooks', "webhook-id: msg\r\n", "webhook-timestamp: 1.$T\r\n", "webhook-signature: $dotted\r\n"],
        ['an id folded', '/answer/standard-webhooks', "webhook-id: msg\r\n _1\r\n", @webhook],
        ['an empty id', '/answer/standard-webhooks', "webhook-id:\r\n", @webhook],
        ['an id of 256 characters', '/answer/standard-webhooks', 'webhook-id: ' . 'a' x 256 . "\r\n", @webhook],
        ['a time with a sign', '/answer/standard-webhooks', "webhook-id: msg_1\r\n", "webhook-timestamp: +$T\r\n", "webhook-signature: $wh\r\n"],
        ['a time with a zero before it', '/answer/standard-webhooks', "webhook-id: msg_1\r\n", "webhook-timestamp: 0$T\r\n", "webhook-signature: $wh\r\n"],
        ['two tokens', '/answer/token', "X-Token: $secret\r\n", "X-Token: $secret\r\n"],
        ['two tokens, one bad', '/answer/token', "X-Token: bad\r\n", "X-Token: $secret\r\n"],
        ['two signatures of GitHub', '/answer/github', "X-Hub-Signature-256: $github\r\n", "X-Hub-Signature-256: $github\r\n"],
    );
    for (@refused) {
        my ($what, $path, @lines) = @$_;
        my $res = $raw->($path, @lines);
        ok $res->status == 400 || $res->status == 401, "$what: " . $res->status . ' ' . reason($res);
        is reason($res), 'header-duplicate', "$what: it says so" if $what =~ /^(two|the same|in another case)/ && $what !~ /tokens/;
    }
    is rows(), $before, 'none is kept';
    # blanks around a value are no part of it, a fold at its ends is a blank (RFC 9112, 5.2)
    is $raw->('/answer/slack', "$H:\t$ts \r\n", "$S:   $sig\t\r\n")->status, 202, 'blanks around a value';
    is $raw->('/answer/slack', "$H:\r\n $ts\r\n", "$S:\r\n\t$sig\r\n")->status, 202, 'a fold before a value';
    is $raw->('/answer/standard-webhooks', "webhook-id: msg_1\r\n", @webhook)->status, 202, 'and the good one';
}

# ---- the memory is longer than the window ----
for (['10min', 0], ['19min59s', 0], ['20min', 1], ['1d', 1]) {
    my ($window, $good) = @$_;
    my $other = WebhookTest::Server->new(name => 'window', conf => "<Location \"/x\">\nSetHandler webhook\nWebhookVerify slack\nWebhookSecret text-of-a-secret\nWebhookDuplicates answer window=$window\n</Location>\n");
    my ($rc, $out) = $other->config_test;
    is $rc ? 0 : 1, $good, "window=$window for a scheme with 10 min";
    like $out, qr{WH0421: .*httpd\.conf:\d+: endpoint localhost/x: WebhookDuplicates window=\S+ is too short: a request of scheme slack stays good for 10min}, 'it says why' if !$good;
}
done_testing;
