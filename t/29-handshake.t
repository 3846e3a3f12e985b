# SPDX-License-Identifier: Apache-2.0
#
# Handshakes: answered at once, by the handler and in front of a gated program, and never stored; other requests of their methods are
# refused. And refusals without a body, for senders that insist on them.
use lib 't/lib';
use WebhookTest;
use Digest::SHA ();

my $srv = WebhookTest::Server->new(name => 'handshake', modules => ['cgid'], conf => <<'EOF');
<Location "/status">
    SetHandler server-status
</Location>
ScriptAlias "/gate" "@DIR@/out/echo.cgi"
<Directory "@DIR@/out">
    Options ExecCGI
</Directory>
<Location "/dropbox">
    SetHandler webhook
    WebhookName dropbox
    WebhookVerify dropbox
    WebhookSecret file:@DIR@/secret
    WebhookDrop
</Location>
<Location "/gate">
    WebhookVerify dropbox
    WebhookSecret file:@DIR@/secret
    WebhookGate On
</Location>
<Location "/slack">
    SetHandler webhook
    WebhookVerify slack
    WebhookSecret file:@DIR@/secret
    WebhookDrop
</Location>
<Location "/xero">
    SetHandler webhook
    WebhookVerify xero
    WebhookSecret file:@DIR@/secret
    WebhookDrop
</Location>
EOF
my $secret = 'handshake-secret';
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('out/echo.cgi'), "#!/bin/sh\ncat >/dev/null\nprintf 'Content-Type: text/plain\\r\\n\\r\\nran'\n", 0755);
$srv->start;

for my $path ('/dropbox', '/gate') {
    my $res = $srv->get("$path?challenge=abc123");
    is $res->status, 200, "$path: a challenge";
    is $res->body, 'abc123', 'is echoed';
    is $res->header('Content-Type'), 'text/plain', 'as text';
    is $res->header('X-Content-Type-Options'), 'nosniff', 'that no browser takes for anything else';
    for my $query ('', '?challenge=', '?challenge=%3Cscript%3E', '?other=1') {
        $res = $srv->get("$path$query");
        like $res->status, qr/^40[0135]$/, "$path$query: refused (" . $res->status . ')';
        unlike $res->body, qr/script|^ran/, 'and nothing is echoed or run';
    }
}
my $body = '{"list_folder":{"accounts":["a"]}}';
my $signature = Digest::SHA::hmac_sha256_hex($body, $secret);
my @headers = ('Content-Type' => 'application/json', 'X-Dropbox-Signature' => $signature);
is $srv->post('/dropbox', $body, headers => \@headers)->status, 202, 'a delivery';
is $srv->post('/gate', $body, headers => \@headers)->body, 'ran', 'a gated one its program';
is $srv->post('/dropbox?challenge=abc', $body, headers => ['Content-Type' => 'application/json'])->status, 401, 'a challenge does not stand for a signature';
is $srv->post('/gate?challenge=abc', $body, headers => ['Content-Type' => 'application/json'])->status, 401, 'nor at a gate';

# signed ones
my $slack = sub {
    my ($with, $text) = @_;
    my $now = time;
    return $srv->post('/slack', $text, headers => ['Content-Type' => 'application/json', 'X-Slack-Request-Timestamp' => $now,
        'X-Slack-Signature' => 'v0=' . Digest::SHA::hmac_sha256_hex("v0:$now:$text", $with)]);
};
my $verify = json_encode({ type => 'url_verification', challenge => 'ch"<x>' });
my $res = $slack->($secret, $verify);
is $res->status, 200, 'a signed handshake';
is_deeply $res->json, { challenge => 'ch"<x>' }, 'is answered';
is $slack->('wrong', $verify)->status, 401, 'not without its signature';
is $slack->($secret, json_encode({ type => 'event_callback', event_id => 'Ev1', event => { type => 'message' } }))->status, 200, 'an event';

# without a body
$res = $srv->post('/xero', '{}', headers => ['Content-Type' => 'application/json', 'x-xero-signature' => 'AAAA']);
is $res->status, 401, 'Xero: 401';
is $res->body, '', 'with nothing in it';
is $res->header('Content-Length'), 0, 'of length 0';
is $res->header('Content-Type'), undef, 'and no type';

my @rows = $srv->ctl_json('list');
is_deeply [sort map { $_->{scheme} } @rows], [qw(dropbox slack)], 'deliveries are kept, handshakes are not';
my %auto = map { /^(\S+): (\S+)/ ? ($1 => $2) : () } split /\n/, $srv->get('/status?auto')->body;
is $auto{'WebhookEndpoint[dropbox].handshakes'}, 1, 'handshakes are counted';
is $auto{'WebhookEndpoint[dropbox].accepted'}, 1, 'apart from deliveries';

done_testing;
