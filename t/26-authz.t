# SPDX-License-Identifier: Apache-2.0
#
# Beside httpd's own access control: addresses before the signature, AuthType Webhook, Satisfy Any, Require webhook-event and webhook-key.
use lib 't/lib';
use WebhookTest;

my $secret = 'authz-secret';
my $srv = WebhookTest::Server->new(name => 'authz', loglevel => 'warn webhook:debug', modules => ['cgid', 'access_compat', 'auth_basic', 'authn_file', 'authz_user'], conf => <<'EOF');
ScriptAliasMatch "^/(auth|authonly|event|key|any|both|openauth)" "@DIR@/out/echo.cgi"
<Directory "@DIR@">
    Options ExecCGI
</Directory>
<WebhookEndpoint main>
    WebhookVerify github
    WebhookSecret id=k1 file:@DIR@/secret
    WebhookSecret id=k2 file:@DIR@/secret2
</WebhookEndpoint>
<Location "/ip">
    SetHandler webhook
    WebhookUse main
    Require ip 192.0.2.0/24
</Location>
<Location "/local">
    SetHandler webhook
    WebhookUse main
    Require ip 127.0.0.0/8
</Location>
<Location "/auth">
    WebhookUse main
    WebhookGate On
    AuthType Webhook
    Require valid-user
</Location>
<Location "/authonly">
    WebhookUse main
    AuthType Webhook
    Require valid-user
</Location>
<Location "/openauth">
    WebhookUse main
    AuthType Webhook
    Require all granted
</Location>
<Location "/hook">
    SetHandler webhook
    WebhookUse main
    AuthType Webhook
    Require valid-user
</Location>
<Location "/event">
    WebhookUse main
    WebhookGate On
    AuthType Webhook
    AuthzSendForbiddenOnFailure On
    Require webhook-event push "pull_*"
</Location>
<Location "/key">
    WebhookUse main
    WebhookGate On
    AuthType Webhook
    Require webhook-key k2
</Location>
<Location "/both">
    WebhookUse main
    WebhookGate On
    AuthType Webhook
    <RequireAll>
        Require ip 127.0.0.1
        Require webhook-event push
        Require webhook-key k1
    </RequireAll>
</Location>
<Location "/any">
    WebhookUse main
    WebhookGate On
    Order deny,allow
    Allow from all
    Satisfy Any
    AuthType Basic
    AuthName x
    AuthUserFile "@DIR@/users"
    Require valid-user
</Location>
<Location "/any-ip">
    SetHandler webhook
    WebhookUse main
    Order deny,allow
    Deny from all
    Allow from 127.0.0.1
    Satisfy Any
    AuthType Basic
    AuthName x
    AuthUserFile "@DIR@/users"
    Require valid-user
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('secret2'), 'second', 0600);
spew($srv->path('users'), 'joe:' . crypt('pw', '$6$saltsalt') . "\n");
spew($srv->path('out/echo.cgi'), <<'CGI', 0755);
#!/usr/bin/perl
local $/; my $body = <STDIN>;
print "Content-Type: text/plain\r\n\r\nuser=", $ENV{REMOTE_USER} // '', " type=", $ENV{AUTH_TYPE} // '', " body=$body";
CGI
announce(qr/AH0163[01]: /);
$srv->start;

my $body = '{"a":1}';
my $bytes = \&WebhookTest::Client::request_bytes;
sub reason { ($_[0]->json // {})->{reason} // '-' }

# ---- addresses: after the cheap gates, before the body and the signature ----
{
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/ip', headers => [@{ github_headers($secret, $body) }, 'Content-Length' => 1000], keepalive => 1));
    my $res = $conn->response('POST');
    is $res->status, 403, 'a foreign address: 403 though the body never came';
    is reason($res), 'forbidden', 'forbidden';
    is $res->header('Content-Type'), 'application/problem+json', 'in our form';
    is $res->header('Connection'), 'close', 'the unread body ends the connection';
    $conn->close;
    is $srv->github('/ip', 'wrong', $body)->status, 403, 'whatever the signature';
    is $srv->post('/ip', $body, headers => ['Content-Type' => 'text/plain'])->status, 415, 'the media type comes first';
    is $srv->github('/local', $secret, $body)->status, 202, 'a known address and a signature: 202';
    is $srv->github('/local', 'wrong', $body)->status, 401, 'a known address alone: 401';
    is $srv->github('/ip', $secret, $body, headers => ['X-Forwarded-For' => '192.0.2.1'])->status, 403, 'a header is no address';
}

# ---- AuthType Webhook ----
for my $path ('/auth', '/authonly', '/openauth') {
    my $res = $srv->github($path, $secret, $body);
    is $res->status, 200, "$path, signed: 200";
    is $res->body, ($path eq '/openauth' ? 'user= type=' : 'user=webhook:main type=Webhook') . " body=$body", "$path: user and body";
    $res = $srv->github($path, 'wrong', $body);
    is $res->status, 401, "$path, wrong: 401";
    is reason($res), 'signature-mismatch', "$path: reason";
    is $res->header('WWW-Authenticate'), 'Webhook realm="main"', "$path: WWW-Authenticate";
    is $srv->get($path)->status, 405, "$path, GET: 405";
    is $srv->post($path, $body, headers => ['Content-Type' => 'application/json', Authorization => 'Basic am9lOnB3'])->status, 401, "$path, Basic: 401";
}
is $srv->github('/hook', $secret, $body)->status, 202, 'the handler behind AuthType Webhook';
is $srv->github('/hook', 'wrong', $body)->status, 401, 'and a wrong signature';

# ---- by event and key ----
for (['push', 200], ['pull_request', 200], ['pull', 403], ['issues', 403], ['PUSH', 403], ['', 403]) {
    my ($event, $status) = @$_;
    my $res = $srv->github('/event', $secret, $body, event => $event);
    is $res->status, $status, "Require webhook-event: '$event': $status";
    is reason($res), 'forbidden', 'in our form' if $status == 403;
}
is $srv->github('/event', 'wrong', $body)->status, 401, 'the signature comes before the event';
is $srv->github('/key', 'second', $body)->status, 200, 'Require webhook-key: the right one';
{
    my $res = $srv->github('/key', $secret, $body);
    is $res->status, 401, "the other one: httpd's 401";
    is $res->header('WWW-Authenticate'), 'Webhook realm="main"', 'with our WWW-Authenticate';
    is reason($res), 'forbidden', 'and our form';
}
is $srv->github('/both', $secret, $body)->status, 200, 'all of address, event and key';
is $srv->github('/both', 'second', $body)->status, 401, 'not with the other key';
is $srv->github('/both', $secret, $body, event => 'x')->status, 401, 'nor another event';

# ---- Satisfy Any satisfies httpd, not the gate ----
for my $path ('/any', '/any-ip') {
    for my $auth ([], [Authorization => 'Basic am9lOnB3']) {
        my $who = @$auth ? 'with a password' : 'with an address';
        my $res = $srv->github($path, 'wrong', $body, headers => $auth);
        is $res->status, 401, "Satisfy Any $who, $path, wrong: 401";
        is reason($res), 'signature-mismatch', 'because of the signature';
        is $srv->post($path, $body, headers => ['Content-Type' => 'application/json', @$auth])->status, 401, "$path, unsigned: 401";
        # what the gates refuse goes on to httpd's own question for a password; who has one still meets the gates
        is $srv->post($path, $body, headers => ['Content-Type' => 'text/plain', @$auth])->status, @$auth ? 415 : 401, "$path, media type";
        is $srv->get($path, headers => $auth)->status, @$auth ? 405 : 401, "$path, GET";
        is $srv->github($path, $secret, $body, headers => $auth)->status, $path eq '/any' ? 200 : 202, "$path, signed";
    }
}

done_testing;
