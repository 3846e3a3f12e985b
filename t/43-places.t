# SPDX-License-Identifier: Apache-2.0
#
# One request, several places of one endpoint: by internal redirects and sub-requests. The verdict is the same everywhere; method, media type,
# size, validation and all else are those of the place the request is in, and who looks on from a sub-request changes nothing.
use lib 't/lib';
use WebhookTest;

my $secret = 'places-secret';
my $srv = WebhookTest::Server->new(name => 'places', modules => [qw(cgid rewrite include authz_user)], conf => <<'EOF');
LogFormat "%{WEBHOOK_REASON}e|%{WEBHOOK_REASON}n|%{WEBHOOK_VERIFIED}n|%{WEBHOOK_EVENT}n|%>s" reasons
CustomLog "@DIR@/reasons.log" reasons
ScriptAliasMatch "^/(wide|narrow|valid|text)\b" "@DIR@/out/echo.cgi"
ScriptAlias "/include" "@DIR@/out/include.cgi"
<Directory "@DIR@">
    Options +ExecCGI +Includes
</Directory>
<WebhookEndpoint e>
    WebhookVerify github
    WebhookSecret id=k1 file:@DIR@/secret
</WebhookEndpoint>
<Location "/wide">
    WebhookUse e
    WebhookGate On
    WebhookMethods POST PUT
    WebhookContentTypes application/json text/plain text/x-json=json
    WebhookBodyLimit 1000
    RewriteEngine On
    RewriteCond "%{REQUEST_URI}" "^/wide/((?:narrow|valid|text)/.*)"
    RewriteRule ".*" "/%1" [PT]
</Location>
<Location "/narrow">
    WebhookUse e
    WebhookGate On
    WebhookBodyLimit 100
</Location>
<Location "/valid">
    WebhookUse e
    WebhookGate On
    WebhookValidate json schema=@DIR@/schema.json
</Location>
<Location "/text">
    WebhookUse e
    WebhookGate On
    WebhookContentTypes text/x-json=opaque application/json
    WebhookValidate json
</Location>
<Location "/include">
    WebhookUse e
    WebhookGate On
    SetOutputFilter INCLUDES
</Location>
<Location "/kept">
    SetHandler webhook
    WebhookUse e
    WebhookDeliver file:@DIR@/out/kept.jsonl "-U '/look'"
    WebhookDuplicates answer window=7d
</Location>
<Location "/kept/inner">
    WebhookDuplicates reject
</Location>
<Location "/kept/other">
    WebhookRoute first
</Location>
<Location "/copies">
    WebhookVerify slack
    WebhookSecret file:@DIR@/secret
    WebhookName   copies
    WebhookGate   On
    RewriteEngine On
    RewriteCond "%{REQUEST_URI}" "^/copies/here"
    RewriteRule ".*" "/copies/kept" [PT]
</Location>
<Location "/copies/kept">
    WebhookGate   Off
    SetHandler    webhook
    WebhookDuplicates reject
</Location>
<Location "/look">
    WebhookUse e
    AuthType Webhook
    AuthName x
    Require valid-user
    WebhookAnswer 299
    WebhookDuplicates off
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('schema.json'), '{"type":"object","required":["a"]}', 0644);
spew($srv->path('out/echo.cgi'), <<'CGI', 0755);
#!/usr/bin/perl
local $/; my $body = <STDIN>;
print "Content-Type: text/plain\r\n\r\n[$body]";
CGI
spew($srv->path('out/include.cgi'), <<'CGI', 0755);
#!/usr/bin/perl
local $/; my $body = <STDIN>;
print "Content-Type: text/html\r\n\r\n<!--#include virtual=\"/narrow/page\"--><!--#include virtual=\"/valid/page\"-->";
CGI
announce(qr/unable to include|AH01371|AH01374/);
$srv->start;

my $asked = 0;
# What the access log says of the request that was just answered; those before it may be written down after their answers too.
sub logged {
    wait_for { lines($srv->path('reasons.log')) == $asked } 10, 'a line in the access log for each request';
    return (lines($srv->path('reasons.log')))[-1];
}
sub at {
    my ($path, $body, %opt) = @_;
    my $type = delete $opt{type} // 'application/json';
    my $method = delete $opt{method} // 'POST';
    $asked++;
    return $srv->request($method => $path, body => $body, headers => github_headers($secret, $body, type => $type), %opt);
}
sub reason { $_[0]->body =~ /"reason":"([^"]+)"/ ? $1 : "-" }

# ---- the gates of the place it comes to ----
my $body = '{"a":1}';
my $long = '{"a":"' . 'x' x 200 . '"}';
{
    my $res = at('/wide/narrow/x', $body);
    is $res->status . $res->body, "200[$body]", 'a redirect to another place of the endpoint: verified there too, with its body';
    is logged(), '-|-|1|push|200', 'and in the log';
    is at('/wide', $body, method => 'PUT')->status, 200, 'what only the first place lets in: a method';
    is at('/wide', $body, type => 'text/plain')->status, 200, 'a media type';
    is at('/wide', $long)->status, 200, 'a size';
    logged();
    for (['a method', 405, 'method-not-allowed', $body, method => 'PUT'], ['a media type', 415, 'content-type', $body, type => 'text/plain'],
        ['a declared size', 413, 'body-too-large', $long], ['a size in chunks', 413, 'body-too-large', $long, chunked => 1]) {
        my ($what, $status, $reason, $sent, %opt) = @$_;
        my $res = at('/wide/narrow/x', $sent, %opt);
        is $res->status, $status, "$what that the second does not let in is refused there";
        is reason($res), $reason, 'with the reason';
        is $res->header('Allow'), 'POST', 'and the methods of that place' if $status == 405;
        is logged(), "$reason|$reason|0|-|$status", 'which the access log has, and nothing of what it said before';
    }
}

# ---- WebhookValidate ----
is at('/wide/valid/x', $body)->status, 200, 'valid in the second place';
is reason(at('/wide/valid/x', '{}')), 'schema-invalid', 'not valid there';
is at('/wide', '{}')->status, 200, 'which the first does not ask';
is reason(at('/wide/text/x', $body, type => 'text/x-json')), 'json-invalid', 'a type that is JSON in the first place and not in the second';
is at('/wide/text/x', $body)->status, 200, 'and one that is in both';
like at('/include', $body)->body, qr/^\[[^\[]*\]\[an error/, 'a sub-request: into a place with the same settings; not into one that wants validation, which nobody did';

# ---- sub-requests look on ----
{
    my $res = at('/kept', $body);
    is $res->status, 202, 'a rule that looks at another place of the endpoint: the answer is that of the place of the request';
    my $row = $srv->ctl_json('show', $res->json->{id});
    is scalar(@{ $row->{jobs} // [] }), 1, 'the rule matched';
    my @headers = @{ github_headers($secret, $body) };
    my ($first, $second) = map { $srv->post('/kept', $body, headers => \@headers) } 1, 2;
    is $second->body, $first->body, 'and duplicates are looked for as that place says';
}

# ---- copies ----
{
    my $now = time;
    my @headers = ('Content-Type' => 'application/json', 'X-Slack-Request-Timestamp' => $now, 'X-Slack-Signature' => 'v0=' . hmac_hex($secret, "v0:$now:$body"));
    is_deeply [map { $srv->post('/copies/here', $body, headers => \@headers)->status } 1, 2], [200, 409], 'verified by a gate, which looks for no copies; found where it is kept';
}

# ---- what belongs together ----
my %dump = map { $_->{path} => $_ } @{ $srv->dump_json->{endpoints} };
is_deeply [map { @{ $dump{$_} }{qw(duplicates window)} } qw(/kept /kept/other /kept/inner)], [qw(answer 7d answer 7d reject 1d)], 'a window goes with its WebhookDuplicates';
is $dump{'/kept'}{body_memory}, 65536, 'the dump has WebhookBodyMemory';

# ---- nothing is acknowledged that is not kept ----
my $none = WebhookTest::Server->new(name => 'none', conf => <<'EOF');
WebhookStore none
<Location "/">
    SetHandler webhook
</Location>
<Location "/keeps">
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
</Location>
<Location "/checks">
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookGate On
</Location>
EOF
spew($none->path('secret'), $secret, 0600);
$none->start;
is $none->github('/keeps', $secret, $body)->status, 503, 'WebhookStore none, and a handler that configtest cannot see: nothing is acknowledged';
is $none->github('/checks', $secret, $body)->status, 202, 'unless it is written that nothing is kept';
is $none->github('/checks', 'wrong', $body)->status, 401, 'and then what is verified';

done_testing;
