# SPDX-License-Identifier: Apache-2.0
#
# The handshakes of every sender through a running server: the recorded ones at
# the moment they were recorded, and those of the documentation beyond them.
# None of them is kept as a delivery.
use lib 't/lib';
use WebhookTest;
use WebhookTest::Vectors;
use Digest::SHA qw(hmac_sha256_base64 hmac_sha256_hex);
use MIME::Base64 ();

announce(qr/WH0800: the secret a handshake delivered could not be kept/); # the second one

my $now = 1796000000;
my $dir = tmp_dir('keys');
my $base = 'https://hooks.example.com/in';
my $secret = 'handshake-secret';

sub request {
    my ($id, $method, $path, $headers, $body, $status, $answer, $type, %more) = @_;
    my ($provider) = $id =~ m{^([^/]+)};
    return { id => $id, provider => $provider, key => $secret, method => $method, url => "$base/$path", headers => $headers, now => $now,
        body => MIME::Base64::encode($body // '', ''), response => { status => $status, body => $answer,
            headers => { $type ? ('content-type' => $type) : (), %{ $more{headers} // {} } } }, %more };
}

my %json = ('Content-Type' => 'application/json');
my $twitch = json_encode({ challenge => 'pogchamp-kappa-360noscope-vohiyo', subscription => { id => 's1' } });
my $time = '2026-11-30T00:53:20.123456789Z'; # $now
my %twitch = (%json, 'Twitch-Eventsub-Message-Id' => 'e76c6bd4-55c9', 'Twitch-Eventsub-Message-Timestamp' => $time,
    'Twitch-Eventsub-Message-Type' => 'webhook_callback_verification',
    'Twitch-Eventsub-Message-Signature' => 'sha256=' . hmac_sha256_hex("e76c6bd4-55c9$time$twitch", $secret));
my $xero = '{"events":[]}';
my ($zoho) = grep { $_->{id} eq 'zoho-desk/valid' } WebhookTest::Vectors::load('made');
my $meta = 'meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=';
my $echo = 'text/plain';

# Beyond the recorded ones. Status 401 stands for: refused, nothing answered.
my @more = (
    request('twitch/verification', POST => 'twitch', \%twitch, $twitch, 200, 'pogchamp-kappa-360noscope-vohiyo', $echo),
    request('twitch/other-signature', POST => 'twitch', { %twitch, 'Twitch-Eventsub-Message-Signature' => 'sha256=' . '0' x 64 }, $twitch, 401),
    request('meta/challenge', GET => "${meta}my-word", {}, undef, 200, '1158201444', $echo, key => { secret => $secret, verify_token => 'my-word' }),
    request('meta/other-word', GET => "${meta}their-word", {}, undef, 403, undef, undef, key => { secret => $secret, verify_token => 'my-word' }),
    request('meta/markup', GET => 'meta?hub.mode=subscribe&hub.challenge=%3Cb%3E&hub.verify_token=my-word', {}, undef, 403, undef, undef,
        key => { secret => $secret, verify_token => 'my-word' }),
    request('msgraph/validation', POST => 'graph?validationToken=Validation%3A+Testing%20client', { 'Content-Type' => 'text/plain; charset=utf-8' }, '', 200,
        'Validation: Testing client', $echo),
    request('trello/head', HEAD => 'trello', {}, undef, 200, ''),
    request('websub/other-topic', GET => 'websub-topic?hub.mode=subscribe&hub.topic=https%3A%2F%2Fevil.example%2F&hub.challenge=abc', {}, undef, 404, undef, undef,
        key => { secret => $secret, topic => 'https://example.org/feed' }),
    request('braintree/payload-as-challenge', GET => 'bt-oracle?bt_challenge=PG5vdGlmaWNhdGlvbj4K', {}, undef, 401, undef, undef,
        key => { private_key => $secret, public_key => 'pk' }),
    request('x-twitter/body-as-token', GET => 'x-oracle?crc_token=%7B%22for_user_id%22%3A1%7D', {}, undef, 401),
    request('okta/other-key', GET => 'okta-other', { 'x-okta-verification-challenge' => 'c', Authorization => 'other' }, undef, 401),
    request('cloudevents/no-origin', OPTIONS => 'ce-plain', {}, undef, 401),
    request('monday/challenge-among-others', POST => 'monday-other', \%json, '{"challenge":"c","event":{}}', 401),
    request('woocommerce/more-than-the-ping', POST => 'wc-other', { 'Content-Type' => 'application/x-www-form-urlencoded' }, 'webhook_id=12x&a=b', 401),
    request('asana/secret', POST => 'asana', { %json, 'X-Hook-Secret' => '5a0e9b' }, '{}', 200, '', undef, headers_back => { 'X-Hook-Secret' => '5a0e9b' },
        key => { 'pending-secret' => "$dir/asana.pending" }, leaves => ["$dir/asana.pending", '5a0e9b']),
    request('xero/intent-to-receive', POST => 'xero-good', { %json, 'x-xero-signature' => hmac_sha256_base64($xero, $secret) . '=' }, $xero, 200, '', undef, kept => 1),
    request('airtable/answer', POST => 'airtable', { %json, 'X-Airtable-Content-MAC' => 'hmac-sha256=' . hmac_sha256_hex('{}', $secret) }, '{}', 200, '', undef, kept => 1,
        key => MIME::Base64::encode($secret, '')),
    request('dropbox-sign/answer', POST => 'dropbox-sign', { 'Content-Type' => 'multipart/form-data; boundary=b' }, dropbox_sign(), 200, 'Hello API Event Received', "$echo; charset=utf-8", kept => 1),
    request('zoho-desk/saved', GET => 'zoho-desk', {}, undef, 200, '', undef, key => $zoho->{key}),
    request('discord-events/event', POST => 'discord-events', { %json, 'X-Signature-Timestamp' => $now, 'X-Signature-Ed25519' => 'bffa0a8e3bb776a722a227ae3ae2c4972e9145466912b86846428dd77340b636b54af2729509b519129a9f318d218660fa35f3c92fe5ac9dc76d9cfdbc67f70c' },
        '{"version":1,"application_id":"2","type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}', 204, '', undef, kept => 1, key => 'ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c'),
    request('lark/challenge', POST => 'lark', \%json, '{"challenge":"aj\"x","token":"t","type":"url_verification"}', 200, '{"challenge":"aj\"x"}', 'application/json'),
    request('lark/encrypted', POST => 'lark-encrypted', \%json, lark('{"challenge":"aj\"x","token":"t","type":"url_verification"}', $secret), 200, '{"challenge":"aj\"x"}', 'application/json',
        key => { secret => $secret, 'verification-token' => 't' }),
    request('lark/other-token', POST => 'lark-token', \%json, lark('{"challenge":"aj","token":"u","type":"url_verification"}', $secret), 401, undef, undef,
        key => { secret => $secret, 'verification-token' => 't' }),
    request('lark/other-key', POST => 'lark-key', \%json, lark('{"challenge":"aj","token":"t","type":"url_verification"}', 'another key'), 401),
    request('lark-card/challenge', POST => 'lark-card', \%json, '{"challenge":"c1","token":"t","type":"url_verification"}', 200, '{"challenge":"c1"}', 'application/json'),
    request('azure-event-grid/options', OPTIONS => 'eg-options', { 'WebHook-Request-Origin' => 'eventgrid.azure.net', 'WebHook-Request-Rate' => '120' }, undef, 200, '', undef,
        headers_back => { 'webhook-allowed-origin' => 'eventgrid.azure.net', 'webhook-allowed-rate' => '120' }),
    request('cloudevents/no-rate', OPTIONS => 'ce-no-rate', { 'WebHook-Request-Origin' => 'eventemitter.example.com' }, undef, 200, '', undef,
        headers_back => { 'webhook-allowed-origin' => 'eventemitter.example.com', 'webhook-allowed-rate' => undef }),
    request('websub/not-told', POST => 'websub-kind', { %json, 'X-Hub-Signature' => 'sha1=' . '0' x 40 }, '{}', 202, '', undef, key => { secret => $secret, 'refusal-status' => 202 }),
    request('adyen-payments/answer', POST => 'adyen', \%json, adyen(), 200, '[accepted]', 'text/plain; charset=utf-8', kept => 1, key => unpack 'H*', $secret),
);

# What the sender makes of a body where an encrypt key is set, by OpenSSL's own tool
sub lark {
    my ($text, $key) = @_;
    my $iv = '00112233445566778899aabbccddeeff';
    my $file = spew(tmp_dir('lark') . '/plain', $text);
    my $bytes = qx(openssl enc -aes-256-cbc -K @{[sha256_hex($key)]} -iv $iv -in $file);
    return '{"encrypt":"' . MIME::Base64::encode(pack('H*', $iv) . $bytes, '') . '"}';
}

sub dropbox_sign {
    my $event = json_encode({ event => { event_time => "$now", event_type => 'signature_request_sent', event_hash => hmac_sha256_hex("${now}signature_request_sent", $secret) } });
    return qq(--b\r\nContent-Disposition: form-data; name="json"\r\n\r\n$event\r\n--b--\r\n);
}

sub adyen {
    my %item = (pspReference => '7914073381342284', merchantAccountCode => 'TestMerchant', merchantReference => 'ref-1', eventCode => 'AUTHORISATION',
        success => 'true', amount => { value => 1130, currency => 'EUR' });
    my $mac = hmac_sha256_base64('7914073381342284::TestMerchant:ref-1:1130:EUR:AUTHORISATION:true', $secret) . '=';
    return json_encode({ live => 'false', notificationItems => [{ NotificationRequestItem => { %item, additionalData => { hmacSignature => $mac } } }] });
}

my @recorded = grep { $_->{id} ne 'adyen/ack' } WebhookTest::Vectors::load('handshakes');
for my $record (@recorded) {
    if ($record->{provider} eq 'notion') {
        $record->{key} = { 'pending-secret' => "$dir/notion.pending" };
        $record->{leaves} = ["$dir/notion.pending", json_decode(MIME::Base64::decode($record->{body}))->{verification_token}];
    }
    elsif (!defined $record->{key}) { $record->{key} = $secret }
    elsif (ref $record->{key} && $record->{key}{verify_token}) { $record->{key}{secret} = $secret }
}
my @records = (@recorded, @more);

my $clock = spew("$dir/now", pack 'q', $now * 1_000_000);
my $srv = WebhookTest::Server->new(name => 'handshakes', preload => build_file('modules/shim_clock.so'), env => { WEBHOOK_CLOCK => $clock },
    conf => WebhookTest::Vectors::place($dir, \@records))->start;

my $kept = 0;
for my $record (@records) {
    my ($id, $want) = @$record{qw(id response)};
    my $res = WebhookTest::Vectors::send($srv, $record);
    is $res->status, $want->{status}, "$id: $want->{status}" or diag $res->raw, $res->body, "\n";
    $kept++ if $record->{kept};
    if ($want->{status} >= 400) {
        is $res->body, '', "$id: no body" if $record->{provider} eq 'xero';
        next;
    }
    my $body = $want->{body};
    if ($body =~ /^\{/) { is_deeply $res->json, json_decode($body), "$id: body" }
    else { is $res->body, $body, "$id: body" }
    my %back = (%{ $want->{headers} }, %{ $record->{headers_back} // {} });
    is $res->header($_), $back{$_}, "$id: $_" for sort keys %back;
    is $res->header('X-Content-Type-Options'), 'nosniff', "$id: no browser takes it for anything else" if ($res->header('Content-Type') // '') eq $echo && !$record->{kept} && $record->{method} eq 'GET';
    if (my $leaves = $record->{leaves}) {
        my ($file, $text) = @$leaves;
        is slurp($file), $text, "$id: the secret is kept for the operator";
        is +(stat $file)[2] & 07777, 0600, "$id: for nobody else";
    }
}

# A second handshake does not replace a kept secret.
my ($asana) = grep { $_->{id} eq 'asana/secret' } @records;
isnt WebhookTest::Vectors::send($srv, { %$asana, headers => { %json, 'X-Hook-Secret' => 'evil' } })->status, 200, 'asana: a second secret is refused';
is slurp("$dir/asana.pending"), '5a0e9b', 'asana: the first one stays';

is $srv->ctl_json('stats')->{store}{deliveries}, $kept, 'none of them is a delivery';
done_testing;
