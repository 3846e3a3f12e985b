# SPDX-License-Identifier: Apache-2.0
#
# A gate in front of every kind of handler: the handler gets the identical bytes, and only when the signature is right; through internal
# redirects, sub-requests and rewriting too.
use lib 't/lib';
use WebhookTest;

my $secret = 'gate-secret';
my %given = (modules => [qw(cgid proxy proxy_http rewrite actions reflector include filter deflate negotiation autoindex)], conf => <<'EOF');
WebhookBodyMemory 16K
ScriptAlias "/cgi/" "@DIR@/cgi/"
ScriptAlias "/cgi-open/" "@DIR@/cgi/"
AddHandler cgi-script .cgi
<Directory "@DIR@">
    Options ExecCGI Includes Indexes FollowSymLinks
</Directory>
<WebhookEndpoint app>
    WebhookVerify github
    WebhookSecret id=k1 file:@DIR@/secret
    WebhookBodyLimit 8M
    WebhookBodyTimeout 5min
</WebhookEndpoint>
<WebhookEndpoint other>
    WebhookVerify github
    WebhookSecret file:@DIR@/other
</WebhookEndpoint>
<LocationMatch "^/(cgi|static|reflect|index|rewritten|fallback|action|ssi|deflated|multi)(/|$)">
    WebhookUse app
    WebhookGate On
</LocationMatch>
<Location "/proxied">
    WebhookUse app
    WebhookGate On
    ProxyPass "http://127.0.0.1:BACKEND/cgi/echo.cgi"
</Location>
<Location "/reflect">
    SetHandler reflector
</Location>
<Location "/deflated">
    SetInputFilter DEFLATE
    SetHandler reflector
</Location>
<Directory "@DIR@/htdocs/index">
    DirectoryIndex front.cgi
</Directory>
<Directory "@DIR@/htdocs/rewritten">
    RewriteEngine On
    RewriteCond %{REQUEST_FILENAME} !-f
    RewriteRule ^ front.cgi
</Directory>
<Directory "@DIR@/htdocs/fallback">
    FallbackResource /fallback/front.cgi
</Directory>
Action my-type "/cgi/echo.cgi" virtual
<Location "/action">
    SetHandler my-type
</Location>
<Directory "@DIR@/htdocs/ssi">
    AddOutputFilter INCLUDES .shtml
</Directory>

<IfDefine Php>
    ScriptAlias "/php-bin" "PHPCGI"
    Action php-app "/php-bin"
    <Location "/php">
        WebhookUse app
        WebhookGate On
        SetHandler php-app
    </Location>
</IfDefine>

# rewriting into a gated place from an open one
<Directory "@DIR@/htdocs/open">
    RewriteEngine On
    RewriteRule ^into$ /cgi/echo.cgi [PT]
    RewriteRule ^into-other$ /two/front.cgi [PT]
    RewriteRule ^handler$ - [H=webhook]
</Directory>
<Location "/two">
    WebhookUse other
    WebhookGate On
</Location>
<Directory "@DIR@/htdocs/from-app">
    RewriteEngine On
    RewriteRule ^ /two/front.cgi [PT]
</Directory>
<Location "/from-app">
    WebhookUse app
    WebhookGate On
</Location>
# only the index of an open directory is gated
<Location "/half/front.cgi">
    WebhookUse app
    WebhookGate On
</Location>
<Directory "@DIR@/htdocs/half">
    DirectoryIndex front.cgi
</Directory>
<Directory "@DIR@/htdocs/open-ssi">
    AddOutputFilter INCLUDES .shtml
</Directory>

EOF

my $echo = <<'CGI';
#!/usr/bin/perl
use Digest::SHA 'sha256_hex';
local $/; binmode STDIN; my $body = <STDIN>; $body = '' if !defined $body;
print "Content-Type: text/plain\r\n\r\n";
print "sha256=", sha256_hex($body), "\nlength=", length $body, "\n";
print "$_=$ENV{$_}\n" for sort grep /^(?:REDIRECT_)?WEBHOOK_|^HTTP_X_WEBHOOK|^HTTP_TRANSFER|^CONTENT_|^REMOTE_USER|^REQUEST_METHOD|^PATH_INFO|^HTTP_WEBHOOK/, keys %ENV;
CGI

# the proxied application: another server, which knows nothing of webhooks
my $app = WebhookTest::Server->new(name => 'app', webhook => 0, loglevel => 'warn', modules => ['cgid'], conf => <<'EOF');
ScriptAlias "/cgi/" "@DIR@/cgi/"
<Directory "@DIR@/cgi">
    Options ExecCGI
</Directory>
EOF
mkdir $app->path('cgi');
spew($app->path('cgi/echo.cgi'), $echo, 0755);
$app->start;
$given{conf} =~ s/BACKEND/$app->port/e;
my ($php) = grep { -x } map { "$_/php-cgi" } split /:/, $ENV{PATH};
$given{conf} = "Define Php\n$given{conf}" if $php;
$given{conf} =~ s/PHPCGI/$php \/\/ '\/nowhere'/e;
my $srv = WebhookTest::Server->new(name => 'gate', %given);
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('other'), 'other-secret', 0600);
mkdir $srv->path($_) for 'cgi', map { "htdocs/$_" } qw(static index rewritten fallback ssi open from-app two half open-ssi multi php);
spew($srv->path('cgi/echo.cgi'), $echo, 0755);
spew($srv->path("htdocs/$_/front.cgi"), $echo, 0755) for qw(index rewritten fallback two half);
spew($srv->path('htdocs/php/app.php'), <<'PHP');
<?php
header('Content-Type: text/plain');
$body = file_get_contents('php://input');
echo 'sha256=', hash('sha256', $body), "\nlength=", strlen($body), "\n";
foreach ($_SERVER as $name => $value) {
    if (is_string($value)) { echo "$name=", strtr($value, "\n", ' '), "\n"; }
}
PHP
spew($srv->path('htdocs/static/file.txt'), "a static file\n");
spew($srv->path('htdocs/ssi/page.shtml'), qq(<!--#include virtual="/static/file.txt" --><!--#echo var="WEBHOOK_VERIFIED" -->\n));
spew($srv->path('htdocs/open-ssi/page.shtml'), qq(open <!--#include virtual="/static/file.txt" -->\n));
spew($srv->path('htdocs/multi/page.txt'), "negotiated\n");
announce(qr/unable to include "\/static\/file.txt"/);
$srv->start;

my $bytes = \&WebhookTest::Client::request_bytes;
sub body_of { my ($size) = @_; return '"' . join('', map { chr 35 + ($_ * 11) % 50 } 1 .. $size - 2) . '"' }
sub fields { my ($res) = @_; return { map { /^([^=]+)=(.*)/ ? ($1 => $2) : () } split /\n/, $res->body } }

# ---- the same bytes, whatever reads them ----
my @programs = (['/cgi/echo.cgi', 'CGI'], ['/proxied', 'mod_proxy_http'], ['/index/', 'DirectoryIndex'], ['/rewritten/some/path', 'RewriteRule'],
    ['/fallback/some/path', 'FallbackResource'], ['/action/x', 'Action'], $php ? ['/php/app.php', 'PHP'] : ());
for (@programs) {
    my ($path, $name) = @$_;
    for my $size (2, 100, 8192, 16384, 16385, 300_000) {
        my $body = body_of($size);
        for my $chunked (0, [unpack '(a4099)*', $body]) {
            my $res = $srv->github($path, $secret, $body, chunked => $chunked);
            my $got = fields($res);
            my $case = "$name, $size bytes" . ($chunked ? ', chunked' : '');
            is $res->status, 200, "$case: 200";
            is $got->{sha256}, sha256_hex($body), "$case: identical";
            is $got->{CONTENT_LENGTH}, $size, "$case: Content-Length";
            is $got->{HTTP_TRANSFER_ENCODING}, undef, "$case: no Transfer-Encoding";
        }
    }
    my $res = $srv->github($path, $secret, '{"a":1}', id => 'guid-1', event => 'push');
    my $got = fields($res);
    if ($path ne '/proxied') {
        is $got->{WEBHOOK_VERIFIED}, 1, "$name: WEBHOOK_VERIFIED";
        is $got->{WEBHOOK_ENDPOINT}, 'app', "$name: WEBHOOK_ENDPOINT";
        is $got->{WEBHOOK_SCHEME}, 'github', "$name: WEBHOOK_SCHEME";
        is $got->{WEBHOOK_KEY_ID}, 'k1', "$name: WEBHOOK_KEY_ID";
        is $got->{WEBHOOK_EVENT}, 'push', "$name: WEBHOOK_EVENT";
        is $got->{WEBHOOK_SENDER_ID}, 'guid-1', "$name: WEBHOOK_SENDER_ID";
        is $got->{WEBHOOK_ID}, $got->{HTTP_X_WEBHOOK_DELIVERY_ID}, "$name: WEBHOOK_ID";
    }
    is $got->{HTTP_X_WEBHOOK_VERIFIED}, 1, "$name: X-Webhook-Verified";
    is $got->{HTTP_X_WEBHOOK_ENDPOINT}, 'app', "$name: X-Webhook-Endpoint";
    is $got->{HTTP_X_WEBHOOK_KEY_ID}, 'k1', "$name: X-Webhook-Key-Id";
    like $got->{HTTP_X_WEBHOOK_DELIVERY_ID}, qr/^[0-9a-f-]{36}$/, "$name: X-Webhook-Delivery-Id";
    is $got->{REQUEST_METHOD}, 'POST', "$name: POST";

    # and nobody else gets in
    for (['a wrong signature', 'wrong'], ['no signature', undef]) {
        my ($what, $with) = @$_;
        $res = $with ? $srv->github($path, $with, '{"a":1}') : $srv->post($path, '{"a":1}', headers => ['Content-Type' => 'application/json']);
        is $res->status, 401, "$name, $what: 401";
        unlike $res->body, qr/sha256=/, 'the program did not run';
    }
    is $srv->get($path)->status, 405, "$name, GET: 405";
}

# ---- other handlers ----
for my $size (1, 16384, 200_000) {
    my $body = $size == 1 ? '1' : body_of($size);
    for my $path ('/reflect', '/deflated') {
        my $res = $srv->github($path, $secret, $body);
        is $res->body, $body, "reflector at $path, $size bytes";
    }
}
is $srv->github('/static/file.txt', $secret, '{}')->body, "a static file\n", 'a static file, verified';
is $srv->github('/static/file.txt', 'wrong', '{}')->status, 401, 'a static file, not verified';
is $srv->get('/static/file.txt')->status, 405, 'a static file, GET';
is $srv->github('/static/missing.txt', $secret, '{}')->status, 404, "the handler's own 404";
like $srv->github('/static/missing.txt', $secret, '{}')->header('Content-Type'), qr{^text/html}, 'in its own form';

# ---- a keep-alive connection goes on behind a gated request, read or not ----
{
    my $conn = $srv->connect;
    for my $path ('/cgi/echo.cgi', '/static/file.txt', '/index/') {
        my $body = body_of(20_000);
        $conn->print($bytes->(POST => $path, body => $body, headers => github_headers($secret, $body), keepalive => 1));
        is $conn->response('POST')->status, 200, "$path on the same connection";
    }
    $conn->close;
}

# ---- a gate with a body of no bytes ----
{
    my $res = $srv->github('/cgi/echo.cgi', $secret, '');
    is $res->status, 200, 'an empty body, signed';
    is fields($res)->{length}, 0, 'is empty';
}

# ---- spoofed headers ----
{
    my @spoof = ('X-Webhook-Verified' => 1, 'x-webhook-endpoint' => 'evil', 'X_Webhook_Key_Id' => 'evil', 'X-WEBHOOK_Delivery-id' => 'evil',
        'X-Webhook-Delivery-Id' => 'evil', 'Webhook-Id' => 'msg_1');
    my $got = fields($srv->github('/cgi/echo.cgi', $secret, '{}', headers => \@spoof));
    is $got->{HTTP_X_WEBHOOK_ENDPOINT}, 'app', 'spoofed headers are replaced';
    is $got->{HTTP_X_WEBHOOK_KEY_ID}, 'k1', 'also those with underscores';
    unlike join(' ', %$got), qr/evil/, 'nothing of them is left';
    is $got->{HTTP_WEBHOOK_ID}, 'msg_1', "Standard Webhooks' own headers pass";
    my $open = fields($srv->post('/cgi-open/echo.cgi', '{}', headers => \@spoof));
    unlike join(' ', %$open), qr/evil|HTTP_X_WEBHOOK_VERIFIED/, 'they are removed outside gates too';
}

# ---- rewriting into a gated place ----
{
    my $res = $srv->github('/open/into', $secret, my $body = body_of(5000));
    is $res->status, 200, 'an open path rewritten into a gate, signed: 200';
    is fields($res)->{sha256}, sha256_hex($body), 'identical';
    is $srv->github('/open/into', 'wrong', $body)->status, 401, 'an open path rewritten into a gate, wrong: 401';
    is $srv->post('/open/into', $body)->status, 415, 'and the gates count';
    is $srv->github('/open/into-other', $secret, $body)->status, 401, "another endpoint's secret: 401";
    is $srv->github('/open/into-other', 'other-secret', $body)->status, 200, "the right endpoint's: 200";
    $res = $srv->github('/from-app/x', $secret, $body);
    is $res->status, 403, 'from a verified gate into another: 403';
    is(($res->json // {})->{reason}, 'not-verified', 'not-verified');
    $res = $srv->post('/open/handler', '{}', headers => ['Content-Type' => 'application/json']);
    is $res->status, 404, 'a rewrite that sets the handler where there is no endpoint: 404';
    is(($res->json // {})->{reason}, 'no-endpoint', 'no-endpoint');
}

# ---- a gated index of an open directory: the look-up is a sub-request, the body the main request's ----
{
    my $res = $srv->github('/half/', $secret, my $body = body_of(3000));
    is $res->status, 200, 'gated index, signed: 200';
    is fields($res)->{sha256}, sha256_hex($body), 'identical';
    for (['wrong', $srv->github('/half/', 'wrong', $body)], ['unsigned', $srv->post('/half/', $body, headers => ['Content-Type' => 'application/json'])],
        ['GET', $srv->get('/half/')]) {
        my ($what, $got) = @$_;
        like $got->status, qr/^40[15]$/, "gated index, $what: " . $got->status;
        unlike $got->body, qr/sha256=/, 'the program did not run';
    }
}

# ---- sub-requests ----
is $srv->github('/ssi/page.shtml', $secret, '{}')->body, "a static file\n1\n", 'a verified page includes a gated file of the same endpoint';
{
    my $res = $srv->get('/open-ssi/page.shtml');
    is $res->status, 200, 'an open page that includes a gated file';
    unlike $res->body, qr/a static file/, 'does not get it';
}

# ---- counters: gated requests store nothing ----
ok !-e $srv->path('state/queue.db'), 'a server of gates alone has no store';

done_testing;
