# SPDX-License-Identifier: Apache-2.0
#
# WebhookEnforce Off: what fails verification is reported, counted and let pass, and is unverified wherever somebody could ask: record, envelope,
# program, upstream, log, variables, headers, authorization. It stands in nobody's way and opens no other door.
use lib 't/lib';
use WebhookTest;
use WebhookTest::Manual;

my $secret = 'enforce-secret';
my $up = WebhookTest::Upstream->new;
my $keys = tmp_dir('keys');
spew("$keys/legacy.key", $secret, 0600);
my $srv = WebhookTest::Server->new(name => 'enforce', modules => [qw(cgid rewrite include authz_user)], conf => <<'EOF' . WebhookTest::Manual::recipe('access.md', 'report', '/etc/apache2/webhook' => $keys));
WebhookLog "@DIR@/delivery.log"
ScriptAliasMatch "^/(gate|user|valid|event|key|lax|strict)\b" "@DIR@/out/echo.cgi"
ScriptAlias "/include" "@DIR@/out/include.cgi"
<Directory "@DIR@">
    Options +ExecCGI +Includes
</Directory>
<WebhookHandler up>
    WebhookSend upstream "@UP@"
</WebhookHandler>
<WebhookHandler program>
    WebhookSend pipe "@DIR@/out/program" input=envelope
</WebhookHandler>
<WebhookEndpoint main>
    WebhookVerify  github
    WebhookSecret  id=k1 file:@DIR@/secret
    WebhookEnforce Off
    WebhookDeliver "file:@DIR@/out/all.jsonl"
    WebhookDeliver up "%{WEBHOOK_EVENT} == 'push'"
    WebhookDeliver program "%{WEBHOOK_VERIFIED} == '0'"
</WebhookEndpoint>
<WebhookEndpoint gate>
    WebhookVerify  github
    WebhookSecret  id=k1 file:@DIR@/secret
</WebhookEndpoint>
<Location "/hook">
    SetHandler webhook
    WebhookUse main
    WebhookBodyLimit 1000
</Location>
<Location "/hook/strict">
    WebhookEnforce On
</Location>
<Location "/reject">
    SetHandler webhook
    WebhookVerify     slack
    WebhookSecret     file:@DIR@/secret
    WebhookEnforce    Off
    WebhookDuplicates reject
</Location>
<Location "/expired">
    SetHandler webhook
    WebhookVerify  github
    WebhookSecret  until=2020-01-01T00:00:00Z file:@DIR@/secret
    WebhookEnforce Off
</Location>
<Location "/handshake">
    SetHandler webhook
    WebhookVerify  zoom
    WebhookSecret  file:@DIR@/secret
    WebhookEnforce Off
</Location>
<Location "/unsigned">
    SetHandler webhook
    WebhookVerify  dropbox
    WebhookSecret  file:@DIR@/secret
    WebhookEnforce Off
</Location>
<Location "/gate">
    WebhookUse gate
    WebhookGate On
    WebhookEnforce Off
</Location>
<LocationMatch "^/(user|valid|event|key)">
    WebhookUse gate
    WebhookGate On
    WebhookEnforce Off
    AuthType Webhook
    AuthzSendForbiddenOnFailure On
</LocationMatch>
<Location "/valid">
    Require valid-user
</Location>
<Location "/user">
    Require user webhook:gate
</Location>
<Location "/event">
    Require webhook-event push
</Location>
<Location "/key">
    Require webhook-key *
</Location>
<Location "/lax">
    WebhookUse gate
    WebhookGate On
    WebhookEnforce Off
    RewriteEngine On
    RewriteCond "%{REQUEST_URI}" "^/lax/(strict/.*)"
    RewriteRule ".*" "/%1" [PT]
</Location>
<Location "/include">
    WebhookUse gate
    WebhookGate On
    WebhookEnforce Off
    SetOutputFilter INCLUDES
</Location>
<Location "/strict">
    WebhookUse gate
    WebhookGate On
</Location>
<Location "/strict/tls">
    WebhookEnforce Off
    WebhookRequireTLS proxy=192.0.2.1
</Location>
<Location "/server-status">
    SetHandler server-status
</Location>
<Location "/closed">
    SetHandler webhook
    WebhookUse main
    Require all denied
</Location>
EOF
$srv->write_conf($srv->{conf} =~ s/\@UP\@/$up->url('\/in')/er);
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('out/echo.cgi'), <<'CGI', 0755);
#!/usr/bin/perl
local $/; my $body = <STDIN>;
print "Content-Type: text/plain\r\n\r\n", (map { "$_=" . ($ENV{$_} // '-') . "\n" } qw(WEBHOOK_VERIFIED WEBHOOK_REASON WEBHOOK_KEY_ID WEBHOOK_EVENT HTTP_X_WEBHOOK_VERIFIED HTTP_X_WEBHOOK_KEY_ID REMOTE_USER)), $body;
CGI
spew($srv->path('out/include.cgi'), <<'CGI', 0755);
#!/usr/bin/perl
local $/; my $body = <STDIN>;
print "Content-Type: text/html\r\n\r\n[<!--#include virtual=\"/strict/page\"-->]";
CGI
spew($srv->path('out/program'), "#!/bin/sh\n{ echo \"verified=\$WEBHOOK_VERIFIED key=\$WEBHOOK_KEY_ID\"; cat; echo; } >> " . $srv->path('out/program.log') . "\n", 0755);
announce(qr/WH042[02]: /, qr/AH0163[01]: /, qr/unable to include|AH01371|AH01374/);

# ---- at start ----
my ($rc, $out) = $srv->config_test;
is $rc, 0, 'a good configuration' or diag $out;
for (['main', '<Location /hook>'], ['gate', '<Location /gate>'], ['gate', '<Location /lax>'], ['gate', '<Location /strict/tls>'], ['localhost/reject', '<Location /reject>'], ['localhost/hooks/legacy', '<Location /hooks/legacy>']) {
    like $out, qr/WH0422: .* endpoint \Q$_->[0]\E in \Q$_->[1]\E is not enforced/, "configtest warns of $_->[1]";
}
unlike $out, qr/WH0422: .* in <Location \/(?:hook\/strict|strict)> /, 'not of what is enforced';
$srv->start;
is scalar($srv->error_log_lines(qr/WH0422: .*endpoint main in <Location \/hook> is not enforced/)), 1, 'and so does a start, in the error log';
my %dump = map { $_->{path} => $_ } @{ $srv->dump_json->{endpoints} };
is_deeply [map { $dump{$_}{enforce} ? 1 : 0 } qw(/hook /hook/strict /gate /strict)], [0, 1, 0, 1], 'the dump says which';

my $body = '{"a":1}';
sub reason { ($_[0]->json // {})->{reason} // '-' }
sub row { $srv->ctl_json('show', $_[0]->json->{id}) }
my %wrong = (
    'a wrong signature' => ['signature-mismatch', 'X-GitHub-Event' => 'push', 'X-Hub-Signature-256' => sign_github('wrong', $body)],
    'no signature' => ['signature-missing', 'X-GitHub-Event' => 'push'],
    'a broken signature' => ['signature-malformed', 'X-GitHub-Event' => 'push', 'X-Hub-Signature-256' => 'sha256=x'],
);

# ---- deliveries ----
my $n = 0;
for my $what (sort keys %wrong) {
    my ($reason, @headers) = @{ $wrong{$what} };
    my $id = delivery_guid();
    my $res = $srv->post('/hook', $body, headers => ['Content-Type' => 'application/json', 'X-GitHub-Delivery' => $id, @headers]);
    is $res->status, 202, "$what: accepted";
    my $row = row($res);
    ok !$row->{verified}, "$what: the record is unverified";
    is $row->{key_id}, undef, 'without a key';
    is $row->{event}, 'push', 'with the event that the request names';
    is $row->{sender_id}, $id, 'and its id';
    is scalar($srv->error_log_lines(qr/\[webhook:warn\].* WH0420: not enforced: endpoint=main id=\Q@{[$res->json->{id}]}\E reason=$reason status=401/)), 1, 'one warning';
    $n++;
    my ($log) = grep { ($_->{id} // '') eq $res->json->{id} && $_->{log} eq 'accepted' } json_lines($srv->path('delivery.log'));
    is $log->{reason}, $reason, 'the delivery log has the reason';
    ok defined $log->{verified} && !$log->{verified}, 'and that it is unverified';
    wait_for { grep { $_->{id} eq $res->json->{id} } json_lines($srv->path('out/all.jsonl')) } 30, 'a file handler has it';
    my ($envelope) = grep { $_->{id} eq $res->json->{id} } json_lines($srv->path('out/all.jsonl'));
    ok defined $envelope->{verified} && !$envelope->{verified} && !exists $envelope->{key_id}, 'the envelope says so';
    wait_for { (slurp($srv->path('out/program.log')) // '') =~ /verified=0 key=\n\{[^\n]*"id":"\Q@{[$res->json->{id}]}\E"/ } 30, 'a program is told';
    wait_for { grep { ($_->{headers}{'x-delivery-id'} // '') eq $res->json->{id} } $up->requests } 30, 'an upstream has it';
    my ($sent) = grep { ($_->{headers}{'x-delivery-id'} // '') eq $res->json->{id} } $up->requests;
    is $sent->{headers}{'x-delivery-verified'}, 'false', 'and is told';
}
{
    my $res = $srv->github('/hook', $secret, $body);
    is $res->status, 202, 'a good one';
    my $row = row($res);
    ok $row->{verified} && $row->{key_id} eq 'k1', 'is verified as ever';
    is scalar($srv->error_log_lines(qr/WH0420: .*id=\Q@{[$res->json->{id}]}\E/)), 0, 'without a warning';
    $res = $srv->github('/hook/strict', 'wrong', $body);
    is $res->status, 401, 'a place below that enforces: 401';
    is reason($res), 'signature-mismatch', 'with the reason';
}
my %auto = map { /^(.*?): (.*)$/ ? ($1 => $2) : () } split /\n/, $srv->get('/server-status?auto')->body;
is $auto{'WebhookEndpoint[main].unenforced'}, $n, 'mod_status counts them';
is $auto{'WebhookEndpoint[main].refused'}, 1, 'apart from what was refused';
is $srv->ctl_json('stats')->{counters}{endpoints}{main}{unenforced}, $n, 'and so does webhookctl stats';

# ---- other gates stay ----
is $srv->get('/hook')->status, 405, 'method';
is $srv->post('/hook', $body, headers => ['Content-Type' => 'text/plain'])->status, 415, 'media type';
is $srv->post('/hook', 'x' x 1001, headers => ['Content-Type' => 'application/json'])->status, 413, 'length';
is $srv->post('/hook', 'x' x 1001, headers => ['Content-Type' => 'application/json'], chunked => 1)->status, 413, 'length of a chunked body';
is $srv->post('/closed', $body, headers => ['Content-Type' => 'application/json'])->status, 403, 'authorization';

# ---- duplicates: what is unverified is neither remembered nor found ----
{
    my @forged = ('Content-Type' => 'application/json', 'X-GitHub-Delivery' => my $id = delivery_guid());
    my $first = $srv->post('/hook', $body, headers => \@forged)->json->{id};
    my $second = $srv->post('/hook', $body, headers => \@forged)->json->{id};
    isnt $second, $first, 'the same forged request again is another delivery';
    my $good = $srv->github('/hook', $secret, $body, id => $id);
    isnt $good->json->{id}, $first, "the sender's own is not taken for a duplicate of it";
    ok row($good)->{verified}, 'and is verified';
    is $srv->github('/hook', $secret, $body, id => $id)->json->{id}, $good->json->{id}, 'its own duplicate is';
    my $later = $srv->post('/hook', $body, headers => \@forged);
    isnt $later->json->{id}, $good->json->{id}, 'a forged one behind it is not answered with its id';

    my $now = time;
    my @slack = ('Content-Type' => 'application/json', 'X-Slack-Request-Timestamp' => $now);
    my $sig = 'v0=' . hmac_hex($secret, "v0:$now:$body");
    is $srv->post('/reject', $body, headers => [@slack, 'X-Slack-Signature' => 'v0=' . '0' x 64])->status, 200, 'forged, at an endpoint that rejects duplicates';
    is $srv->post('/reject', $body, headers => [@slack, 'X-Slack-Signature' => $sig])->status, 200, 'then the good one';
    is $srv->post('/reject', $body, headers => [@slack, 'X-Slack-Signature' => $sig])->status, 409, 'and its copy';
    is $srv->post('/reject', $body, headers => [@slack, 'X-Slack-Signature' => 'v0=' . '0' x 64])->status, 200, 'and the forged one again';
}

# ---- no key, and handshakes ----
is $srv->github('/expired', $secret, $body)->status, 202, 'no secret is valid: it passes';
is scalar($srv->error_log_lines(qr/WH0420: .*reason=secret-unavailable status=503/)), 1, 'and is reported';
is $srv->get('/unsigned?challenge=abc')->body, 'abc', 'an unsigned handshake is answered';
{
    my $challenge = '{"event":"endpoint.url_validation","payload":{"plainToken":"abc"}}';
    my $now = time;
    my @headers = ('Content-Type' => 'application/json', 'x-zm-request-timestamp' => $now);
    like $srv->post('/handshake', $challenge, headers => [@headers, 'x-zm-signature' => 'v0=' . hmac_hex($secret, "v0:$now:$challenge")])->body, qr/encryptedToken/, 'a signed handshake';
    my $res = $srv->post('/handshake', $challenge, headers => [@headers, 'x-zm-signature' => 'v0=' . '0' x 64]);
    unlike $res->body, qr/encryptedToken/, 'one with a wrong signature is not answered as one';
    ok !row($res)->{verified}, 'but kept, unverified';
}

# ---- gates and authorization ----
for (['/gate', ''], ['/valid', 'webhook-unverified:gate']) {
    my ($path, $user) = @$_;
    my $res = $srv->github($path, 'wrong', $body, headers => ['X-Webhook-Verified' => '1', 'X-Webhook-Key-Id' => 'k1']);
    is $res->status, 200, "$path: let pass";
    is $res->body, "WEBHOOK_VERIFIED=0\nWEBHOOK_REASON=signature-mismatch\nWEBHOOK_KEY_ID=-\nWEBHOOK_EVENT=push\nHTTP_X_WEBHOOK_VERIFIED=0\nHTTP_X_WEBHOOK_KEY_ID=-\nREMOTE_USER=" . ($user || '-') . "\n$body",
        "$path: the application is told, whatever the client says";
    $res = $srv->github($path, $secret, $body);
    like $res->body, qr/WEBHOOK_VERIFIED=1\nWEBHOOK_REASON=-\nWEBHOOK_KEY_ID=k1\n.*HTTP_X_WEBHOOK_VERIFIED=1\nHTTP_X_WEBHOOK_KEY_ID=k1\n/s, "$path: a good one";
}
for my $path ('/user', '/event', '/key') {
    is $srv->github($path, $secret, $body)->status, 200, "$path: verified: 200";
    is $srv->github($path, 'wrong', $body)->status, 403, "$path: unverified: 403";
}

# ---- no way from a place that does not enforce into one that does ----
like $srv->github('/lax/strict/x', $secret, $body)->body, qr/WEBHOOK_VERIFIED=1\n/, 'rewritten into a strict place, verified';
{
    my $res = $srv->github('/lax/strict/x', 'wrong', $body);
    is $res->status, 401, 'rewritten into a strict place, unverified: 401';
    is reason($res), 'signature-mismatch', 'with the reason';
    is $srv->github('/lax/strict/tls', $secret, $body)->status, 403, 'rewritten into a place that demands TLS: 403';
    is reason($srv->github('/lax/strict/tls', $secret, $body)), 'tls-required', 'with that reason';
    like $srv->github('/include', $secret, $body)->body, qr/^\[WEBHOOK_VERIFIED/, 'a sub-request into a strict place, verified';
    $res = $srv->github('/include', 'wrong', $body);
    is $res->status, 200, 'the unverified request itself passes';
    unlike $res->body, qr/WEBHOOK_VERIFIED/, 'but its sub-request into a strict place does not';
}

# ---- the directive ----
for (["<Location /x>\nWebhookVerify github\nWebhookSecret text\nWebhookEnforce Maybe\n</Location>", qr/WebhookEnforce must be On or Off/],
    ["WebhookEnforce Off", qr/WebhookEnforce not allowed (?:here|in this context)/i], ["<VirtualHost *:1>\nWebhookEnforce Off\n</VirtualHost>", qr/WebhookEnforce not allowed/i]) {
    my $other = WebhookTest::Server->new(name => 'bad', conf => $_->[0]);
    my ($rc, $out) = $other->config_test;
    isnt $rc, 0, 'a mistake';
    like $out, $_->[1], 'that is named';
}
done_testing;
