# SPDX-License-Identifier: Apache-2.0
#
# One way to refuse: the form of each status, one log line, one counter, the admin's ErrorDocument; and nothing secret anywhere.
use lib 't/lib';
use WebhookTest;

my $secret = 'canary-secret-51b1f3';
my $srv = WebhookTest::Server->new(name => 'refuse', loglevel => 'trace8', modules => ['cgid', 'negotiation'], conf => <<'EOF');
LogFormat "%>s %{WEBHOOK_REASON}e %{WEBHOOK_REASON}n %{WEBHOOK_ID}e %{WEBHOOK_ENDPOINT}e %{WEBHOOK_VERIFIED}e" webhook
CustomLog "@DIR@/webhook_log" webhook
WebhookLog "@DIR@/deliveries.jsonl"
ExtendedStatus On
<Location "/status">
    SetHandler server-status
</Location>
<WebhookEndpoint main>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookBodyLimit 1K
    WebhookDrop
</WebhookEndpoint>
<Location "/hook">
    SetHandler webhook
    WebhookUse main
</Location>
<Location "/hook/slow">
    WebhookBodyTimeout 1s
</Location>
<Location "/reject">
    SetHandler webhook
    WebhookUse main
    WebhookDuplicates reject
</Location>
<Location "/denied">
    SetHandler webhook
    WebhookUse main
    Require ip 192.0.2.1
</Location>
<Location "/broken-rule">
    SetHandler webhook
    WebhookUse main
    WebhookDrop "webhook_json('no-slash-' . %{WEBHOOK_EVENT}) == 'x'"
</Location>
<Location "/json-rule">
    SetHandler webhook
    WebhookUse main
    WebhookBodyLimit 1M
    WebhookDrop "webhook_json('/ref') == 'x'"
</Location>
<Location "/text">
    SetHandler webhook
    WebhookUse main
    ErrorDocument 401 "my own words"
</Location>
<Location "/page">
    SetHandler webhook
    WebhookUse main
    ErrorDocument 401 /errors/401.html
    ErrorDocument 405 /errors/missing.html
    ErrorDocument 415 http://elsewhere.example/415
</Location>
ScriptAlias "/errors/401.cgi" "@DIR@/out/401.cgi"
<Location "/gate">
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookName gated
    WebhookGate On
    ErrorDocument 401 /gate/401.html
    ErrorDocument 405 /errors/401.cgi
</Location>
<Location "/loop">
    SetHandler webhook
    WebhookUse main
    ErrorDocument 401 /loop/401.html
</Location>
<Location "/none">
    SetHandler webhook
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
mkdir $srv->path("htdocs/$_") for qw(errors gate);
spew($srv->path('htdocs/errors/401.html'), "the admin's page\n");
spew($srv->path('htdocs/gate/401.html'), "the gate's page\n");
spew($srv->path('htdocs/gate/index.html'), "behind the gate\n");
spew($srv->path('out/401.cgi'), <<'CGI', 0755);
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\nreason=%s redirect=%s\n' "$WEBHOOK_REASON" "$REDIRECT_WEBHOOK_REASON"
CGI
announce(qr/AH01630: client denied/, qr/Evaluation of expression from .* failed: webhook_json/, qr/WH0301: .*rule failed: WebhookDrop /, qr{AH00036|AH00132|AH01215|AH00128});
$srv->start;

my $body = github_push(canary => 'canary-payload-77aa');
my $bytes = \&WebhookTest::Client::request_bytes;
my @refused; # [status, reason, id] in order

sub refused {
    my ($res, $status, $reason, $name) = @_;
    my $json = $res->json // {};
    is $res->status, $status, "$name: $status";
    is $res->header('Content-Type'), 'application/problem+json', "$name: media type";
    is $json->{reason}, $reason, "$name: reason";
    is_deeply [sort keys %$json], [qw(detail id reason status title)], "$name: members";
    like $json->{detail} // '', qr/^[A-Z][^{}<>]+$/, "$name: a sentence";
    unlike $res->body, qr/canary/, "$name: nothing of the payload or the secret";
    push @refused, [$status, $reason, $json->{id}];
    return $json;
}

# ---- the form of each ----
refused($srv->get('/hook'), 405, 'method-not-allowed', '405');
refused($srv->github('/hook', $secret, 'x', headers => ['Content-Encoding' => 'gzip']), 415, 'content-encoding', '415');
refused($srv->github('/hook', $secret, $body x 10), 413, 'body-too-large', '413');
{
    my $json = refused(my $res = $srv->github('/hook', 'wrong', $body), 401, 'signature-mismatch', '401');
    is $res->header('WWW-Authenticate'), 'Webhook realm="main"', '401: WWW-Authenticate';
}
{
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/hook/slow', headers => [@{ github_headers($secret, $body) }, 'Content-Length' => 100], keepalive => 1));
    refused($conn->response('POST'), 408, 'body-timeout', '408');
    $conn->close;
}
{
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/hook', headers => [@{ github_headers($secret, $body) }, 'Transfer-Encoding' => 'chunked'], keepalive => 1), "zz\r\n");
    refused($conn->response('POST'), 400, 'body-incomplete', '400');
    $conn->close;
}
refused($srv->github('/denied', $secret, $body), 403, 'forbidden', '403');
refused($srv->post('/none', 'x'), 404, 'no-endpoint', '404');
is $srv->github('/reject', $secret, $body, id => 'once')->status, 202, 'a delivery';
refused($srv->github('/reject', $secret, $body, id => 'once'), 409, 'replayed', '409');
{
    my $json = refused(my $res = $srv->github('/broken-rule', $secret, $body), 503, 'expression-failed', '503');
    like $res->header('Retry-After'), qr/^[1-9]\d*$/, '503: Retry-After';
}
refused($srv->github('/json-rule', $secret, '{"a":'), 400, 'json-invalid', 'JSON that a rule needs and that is none');
for my $case (['json-utf8', 400, qq({"a":"\xff"})], ['json-bom', 400, "\xef\xbb\xbf{}"], ['json-nul', 400, '{"a":"\u0000"}'], ['json-surrogate', 400, '{"a":"\ud800"}'],
    ['json-duplicate-name', 400, '{"ref":"x","\u0072ef":"y"}'], ['json-depth', 400, '[' x 65 . ']' x 65], ['json-values', 413, '[' . '0,' x 100_000 . '0]'],
    ['json-members', 413, '{' . join(',', map { qq("$_":0) } 0 .. 10_000) . '}'], ['json-name-length', 413, '{"' . 'n' x 1025 . '":0}']) {
    refused($srv->github('/json-rule', $secret, $case->[2]), $case->[1], $case->[0], $case->[0]);
}
is $srv->github('/hook', $secret, '{"a":')->status, 202, 'where no rule needs it nobody parses';

# ---- the admin's ErrorDocument wins ----
{
    my $res = $srv->github('/text', 'wrong', $body);
    is $res->status, 401, 'a text: 401';
    is $res->body, 'my own words', 'the text';
    push @refused, [401, 'signature-mismatch', undef];
    $res = $srv->github('/page', 'wrong', $body);
    is $res->status, 401, 'a page: 401';
    is $res->body, "the admin's page\n", 'the page';
    is $res->header('WWW-Authenticate'), 'Webhook realm="main"', 'with our headers';
    push @refused, [401, 'signature-mismatch', undef];
    $res = $srv->get('/page');
    push @refused, [405, 'method-not-allowed', undef];
    is $res->status, 405, 'a page that is missing: 405';
    is $res->header('Allow'), 'POST', 'with Allow';
    is(($res->json // {})->{reason}, 'method-not-allowed', 'and our own form');
    $res = $srv->post('/page', 'x', headers => ['Content-Type' => 'text/plain']);
    push @refused, [302, 'content-type', undef];
    is $res->status, 302, 'an URL elsewhere: httpd redirects';
    is $res->header('Location'), 'http://elsewhere.example/415', 'to it';

    $res = $srv->github('/gate/', 'wrong', $body);
    push @refused, [401, 'signature-mismatch', undef];
    is $res->status, 401, 'a page behind the same gate: 401';
    is $res->body, "the gate's page\n", 'it is served';
    $res = $srv->get('/gate/401.html');
    push @refused, [405, 'method-not-allowed', undef];
    is $res->body, "reason=method-not-allowed redirect=method-not-allowed\n", 'a program sees the reason, also under its own name';
    $res = $srv->github('/gate/401.html', 'wrong', $body);
    push @refused, [401, 'signature-mismatch', undef];
    is $res->body, "the gate's page\n", 'the page itself is behind the gate';
    $res = $srv->github('/loop', 'wrong', $body);
    push @refused, [401, 'signature-mismatch', undef];
    is $res->status, 401, 'a page that is an endpoint: 401, no loop';
    is(($res->json // {})->{reason}, 'signature-mismatch', 'and our own form');
}

# ---- an attacker's bytes in the log: one record ----
{
    my $res = $srv->request(POST => '/hook', body => 'x', headers => ['Content-Type' => qq(text/x"\\\x1b[31m\xff; evil)]);
    my $code = $res->status;
    ok $code == 415 || $code == 400, "escape sequences in a header ($code)";
    push @refused, [415, 'content-type', ($res->json // {})->{id}] if $code == 415;
}

# ---- one log line each, in one place ----
$srv->stop;
my @log = $srv->error_log_lines(qr/ WH020[01]: refused /);
is scalar @log, scalar @refused, 'one log line for each refusal';
for my $i (0 .. $#refused) {
    my ($status, $reason, $id) = @{ $refused[$i] };
    like $log[$i] // '', qr/\[webhook:info\].* reason=\Q$reason\E /, "line " . ($i + 1) . ": info, $reason";
    like $log[$i] // '', qr/ id=\Q$id\E /, 'with the answer\'s id' if $id;
}
is scalar(grep { /[\x00-\x08\x0b-\x1f\x7f]/ } @log), 0, 'no control bytes in it';
my @lines = grep { !/^\S+ - - / } lines($srv->path('webhook_log'));
my @with_reason = grep { (split)[1] ne '-' } @lines;
is scalar @with_reason, scalar @refused, 'the access log has the reason of each';
my %by_id = map { my (undef, $env, $note, $id) = split; ($id => "$env $note") } @with_reason;
is $by_id{ $_->[2] }, "$_->[1] $_->[1]", "access log, $_->[1]: variable and note under the answer's id" for grep { $_->[2] } @refused;
is_deeply [sort map { (split)[1] } @with_reason], [sort map { $_->[1] } @refused], 'and no others';
my @dlog = grep { $_->{log} eq 'refused' } json_lines($srv->path('deliveries.jsonl'));
is scalar @dlog, scalar(grep { $_->[1] ne 'no-endpoint' } @refused), 'the delivery log has each at an endpoint';

# ---- nothing secret ----
my $signature = sign_github($secret, $body) =~ s/^sha256=//r;
for my $file ($srv->error_log, $srv->path('access_log'), $srv->path('deliveries.jsonl'), $srv->path('stderr')) {
    my $text = slurp($file) // '';
    my ($name) = $file =~ m{([^/]+)$};
    # httpd's own core at trace4 and mod_dumpio may print what a client sent; our messages may not
    my $ours = $name eq 'error_log' ? join "\n", grep { / \[webhook:/ } split /\n/, $text : $text;
    unlike $text, qr/\Q$secret\E/, "$name: no secret";
    unlike $ours, qr/\Q$signature\E/, "$name: no expected signature";
    unlike $ours, qr/canary-payload/, "$name: no payload";
}

# ---- counters ----
$srv->start;
$srv->get('/hook') for 1 .. 3;
$srv->github('/hook', 'wrong', $body);
$srv->github('/hook', $secret, $body);
$srv->post('/none', 'x');
my %auto = map { /^(\S+): (\S+)/ ? ($1 => $2) : () } split /\n/, $srv->get('/status?auto')->body;
is $auto{'WebhookEndpoint[main].requests'}, 5, 'counter: requests';
is $auto{'WebhookEndpoint[main].refused'}, 4, 'counter: refused';
is $auto{'WebhookEndpoint[main].refused.method-not-allowed'}, 3, 'counter: by reason';
is $auto{'WebhookEndpoint[main].refused.signature-mismatch'}, 1, 'counter: by reason';
is $auto{'WebhookEndpoint[main].accepted'}, 1, 'counter: accepted';
is $auto{'WebhookEndpoint[main].dropped'}, 1, 'counter: dropped';
is $auto{'WebhookEndpoint[main].body_bytes'}, length $body, 'counter: bytes';
is $auto{'WebhookEndpoint[(other)].refused.no-endpoint'}, 1, 'counter: no endpoint';

done_testing;
