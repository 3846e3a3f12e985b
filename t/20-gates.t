# SPDX-License-Identifier: Apache-2.0
#
# The gates before the body: method, media type, coding, length, what the scheme needs; and that nothing of the body is read before them.
use lib 't/lib';
use WebhookTest;

my $secret = 'gates-secret';
my $srv = WebhookTest::Server->new(name => 'gates', conf => <<'EOF');
<Location "/github">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookContentTypes application/json +json
    WebhookBodyLimit 2K
    WebhookDrop
</Location>
<Location "/open">
    SetHandler webhook
    WebhookVerify none
    WebhookDrop
</Location>
<Location "/put">
    SetHandler webhook
    WebhookVerify none
    WebhookMethods PUT DELETE
    WebhookContentTypes text/* application/xml
    WebhookDrop
</Location>
<Location "/any">
    SetHandler webhook
    WebhookVerify none
    WebhookContentTypes *
    WebhookDrop
</Location>
<Location "/nothing">
    SetHandler webhook
</Location>
<Directory "@DIR@/htdocs/user">
    AllowOverride All
</Directory>
EOF
spew($srv->path('secret'), $secret, 0600);
mkdir $srv->path('htdocs/user');
spew($srv->path('htdocs/user/.htaccess'), "SetHandler webhook\n");
announce(qr/WebhookVerify none/);
$srv->start;

my $body = github_push();
my $bytes = \&WebhookTest::Client::request_bytes;

sub refused {
    my ($res, $status, $reason, $name) = @_;
    my $json = $res->json // {};
    is $res->status, $status, "$name: $status";
    is $json->{reason}, $reason, "$name: $reason";
    is $json->{status}, $status, "$name: status in the body";
    like $json->{id}, qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, "$name: an id";
    is $res->header('Content-Type'), 'application/problem+json', "$name: problem+json";
    return $json;
}

# ---- methods ----
for my $method (qw(GET PUT PATCH DELETE OPTIONS PROPFIND FOO)) {
    my $res = $srv->request($method => '/github');
    refused($res, 405, 'method-not-allowed', $method);
    is $res->header('Allow'), 'POST', "$method: Allow";
}
{
    my $res = $srv->request(HEAD => '/github');
    is $res->status, 405, 'HEAD: 405';
    is $res->header('Allow'), 'POST', 'HEAD: Allow';
    is $res->header('Content-Type'), 'application/problem+json', 'HEAD: media type';
    is $res->body, '', 'HEAD: no body';
}
for my $method (qw(POST GET HEAD)) {
    my $res = $srv->request($method => '/put');
    is $res->status, 405, "$method where PUT and DELETE are taken";
    is $res->header('Allow'), 'PUT, DELETE', "$method: Allow lists them";
}
is $srv->request(PUT => '/put', headers => ['Content-Type' => 'text/plain'], body => 'x')->status, 202, 'an opened method is taken';
is $srv->request(DELETE => '/put')->status, 202, 'and without a body no media type is needed';

# ---- media types ----
my @types = (
    ['/github', undef, 415], ['/github', '', 415], ['/github', 'text/plain', 415], ['/github', 'application/xml', 415],
    ['/github', 'application/x-www-form-urlencoded', 415], ['/github', 'application/jsonx', 415], ['/github', 'xapplication/json', 415],
    ['/github', 'application/json+xml', 415], ['/github', '+json', 415],
    ['/github', 'application/json; charset=iso-8859-1', 415], ['/github', 'application/json; charset="utf-16"', 415],
    ['/github', 'application/vnd.x+json; charset=latin1', 415],
    ['/github', 'application/json', 202], ['/github', 'APPLICATION/JSON', 202], ['/github', 'application/json;charset=utf-8', 202],
    ['/github', 'application/json; x=y; Charset="UTF-8"', 202], ['/github', 'application/vnd.github+json', 202],
    ['/open', 'application/json', 202], ['/open', 'application/cloudevents+json', 202], ['/open', 'text/plain', 202],
    ['/put', 'text/plain', 202], ['/put', 'text/html; charset=latin1', 202], ['/put', 'application/xml', 202],
    ['/put', 'application/json', 415], ['/put', 'texty/plain', 415],
    ['/any', 'image/png', 202], ['/any', undef, 202],
);
for (@types) {
    my ($path, $type, $status) = @$_;
    my @headers = $path eq '/github' ? @{ github_headers($secret, $body) } : ();
    my @rest;
    while (my ($name, $value) = splice @headers, 0, 2) { push @rest, $name, $value if $name ne 'Content-Type' }
    push @rest, 'Content-Type' => $type if defined $type;
    my $res = $srv->request($path eq '/put' ? 'PUT' : 'POST', $path, headers => \@rest, body => $body);
    my $name = "$path " . ($type // '(no type)');
    $status == 202 ? is($res->status, 202, $name) : refused($res, $status, 'content-type', $name);
}

# ---- codings ----
for (['gzip', 415], ['GZIP', 415], ['br', 415], ['identity, gzip', 415], ['identity', 202], ['Identity', 202]) {
    my ($coding, $status) = @$_;
    my $res = $srv->github('/github', $secret, $body, headers => ['Content-Encoding' => $coding]);
    $status == 202 ? is($res->status, 202, "coding $coding") : refused($res, $status, 'content-encoding', "coding $coding");
}

# ---- declared length: refused without reading ----
for my $length (2049, 4096, 2**31, '9223372036854775807') {
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/github', headers => [@{ github_headers($secret, $body) }, 'Content-Length' => $length], keepalive => 1));
    my $res = $conn->response('POST');
    refused($res, 413, 'body-too-large', "Content-Length $length");
    is $res->header('Connection'), 'close', "Content-Length $length: the connection ends";
    $conn->shutdown;
    ok $conn->eof(30), "Content-Length $length: and is closed";
}
{
    my $exact = '{"x":"' . ('y' x (2048 - 8)) . '"}';
    is length $exact, 2048, 'a body of exactly the limit';
    is $srv->github('/github', $secret, $exact)->status, 202, 'is taken';
    is $srv->github('/github', $secret, $exact, chunked => 1)->status, 202, 'chunked too';
    refused($srv->github('/github', $secret, "$exact ", chunked => 1), 413, 'body-too-large', 'chunked and one byte more');
}

# ---- what the scheme needs, before the body: the body never comes, the answer does ----
{
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/github', keepalive => 1, headers => ['Content-Type' => 'application/json', 'Content-Length' => 100]));
    my $res = $conn->response('POST');
    my $json = refused($res, 401, 'signature-missing', 'no signature');
    is $res->header('WWW-Authenticate'), 'Webhook realm="localhost/github"', 'WWW-Authenticate names the endpoint';
    is $res->header('Connection'), 'close', 'the unread body ends the connection';
    is $json->{title}, 'Unauthorized', 'the title is the status phrase';
    $conn->close;
}

# ---- order: the first gate that closes gives the reason ----
{
    my $res = $srv->request(PUT => '/github', headers => ['Content-Type' => 'text/plain', 'Content-Encoding' => 'gzip'], body => 'x' x 5000);
    refused($res, 405, 'method-not-allowed', 'method before everything');
    $res = $srv->request(POST => '/github', headers => ['Content-Type' => 'text/plain'], body => 'x' x 5000);
    refused($res, 415, 'content-type', 'media type before length');
    $res = $srv->request(POST => '/github', headers => ['Content-Type' => 'application/json'], body => 'x' x 5000);
    refused($res, 413, 'body-too-large', 'length before signature');
}

# ---- no endpoint ----
for my $method (qw(POST GET)) {
    refused($srv->request($method => '/nothing', $method eq 'POST' ? (body => 'x') : ()), 404, 'no-endpoint', "$method where there is no endpoint");
    refused($srv->request($method => '/user/x', $method eq 'POST' ? (body => 'x') : ()), 404, 'no-endpoint', "$method where .htaccess says SetHandler webhook");
}

# ---- TRACE is core's ----
is $srv->request(TRACE => '/github')->status, 200, 'TRACE is answered by the core, before us';

# ---- a wrong signature, then a right one on the same connection ----
{
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/github', keepalive => 1, body => $body, headers => github_headers('wrong', $body)));
    my $res = $conn->response('POST');
    refused($res, 401, 'signature-mismatch', 'wrong secret');
    isnt $res->header('Connection') // '', 'close', 'the body was read: the connection may go on';
    $conn->print($bytes->(POST => '/github', keepalive => 1, body => $body, headers => github_headers($secret, $body)));
    is $conn->response('POST')->status, 202, 'the next request on it is taken';
    $conn->close;
}

done_testing;
