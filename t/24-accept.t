# SPDX-License-Identifier: Apache-2.0
#
# Acceptance: what is answered is kept, once; rules choose handlers; duplicates are recognised, also 1,000 at once and across restarts.
use lib 't/lib';
use WebhookTest;
use Socket ();

my $secret = 'accept-secret';
my $conf = <<'EOF';
WebhookLog "@DIR@/deliveries.jsonl"
<Location "/status">
    SetHandler server-status
</Location>
<WebhookHandler one>
    WebhookSend file "@DIR@/out/one"
</WebhookHandler>
<WebhookHandler two>
    WebhookSend file "@DIR@/out/two"
</WebhookHandler>
<WebhookEndpoint github>
    WebhookVerify github
    WebhookSecret id=2026 file:@DIR@/secret
    WebhookSecret id=2025 file:@DIR@/old-secret
    WebhookDeliver one
</WebhookEndpoint>
<WebhookEndpoint rules>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookDeliver one "%{WEBHOOK_EVENT} == 'push' && webhook_json('/ref') == 'refs/heads/main'"
    WebhookDeliver two "webhook_json('/repository/full_name') =~ m#^octo/#"
    WebhookDeliver two "%{WEBHOOK_KEY_ID} == '1' && %{WEBHOOK_VERIFIED} == '1' && %{WEBHOOK_SENDER_ID} == 'named'"
    WebhookDeliver one "webhook_json('/list/' . '1') == 'b'"
</WebhookEndpoint>
<Location "/hook">
    SetHandler webhook
    WebhookUse github
</Location>
<Location "/rules">
    SetHandler webhook
    WebhookUse rules
</Location>
<Location "/first">
    SetHandler webhook
    WebhookUse rules
    WebhookRoute first
</Location>
<Location "/drop">
    SetHandler webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookDrop "%{WEBHOOK_EVENT} == 'ping'"
    WebhookDeliver two
</Location>
<Location "/reject">
    SetHandler webhook
    WebhookUse github
    WebhookDuplicates reject
</Location>
<Location "/all">
    SetHandler webhook
    WebhookUse github
    WebhookDuplicates off
</Location>
<Location "/plain">
    SetHandler webhook
    WebhookVerify none
    WebhookAnswer 200 text/plain "thanks"
    WebhookDeliver one
</Location>
<Location "/empty">
    SetHandler webhook
    WebhookVerify none
    WebhookAnswer 204
    WebhookDeliver one
</Location>
<Location "/created">
    SetHandler webhook
    WebhookVerify none
    WebhookAnswer 201
    WebhookDeliver one
</Location>
EOF
my $srv = WebhookTest::Server->new(name => 'accept', conf => $conf);
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('old-secret'), 'older', 0600);
announce(qr/WebhookVerify none/, qr/AH00484: server reached MaxRequestWorkers/); # a crowd, where syncs are slow
$srv->start;

my $body = github_push();
my $bytes = \&WebhookTest::Client::request_bytes;
sub rows { my @rows = $srv->ctl_json('list', '--limit', 1000); return @rows }
sub row { my ($id) = @_; my ($row) = $srv->ctl_json('show', $id); return $row }
sub handlers { my ($res) = @_; my $row = row($res->json->{id}); return join ' ', sort map { $_->{handler} } @{ $row->{jobs} // [] } }
sub state_of { my ($res) = @_; return row($res->json->{id})->{state} }

# ---- the answer and what is kept ----
{
    my $res = $srv->github('/hook?a=b&c', $secret, $body, id => 'guid-1', headers => ['X-Custom' => 'kept', 'X-Webhook-Verified' => 'spoofed']);
    is $res->status, 202, 'acknowledged';
    is $res->header('Content-Type'), 'application/json', 'application/json';
    my $id = $res->json->{id};
    like $id, qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'an id';
    is $res->body, qq({"id":"$id"}\n), 'and nothing else';
    my $row = row($id);
    is $row->{endpoint}, 'github', 'kept: endpoint';
    is $row->{scheme}, 'github', 'scheme';
    ok $row->{verified}, 'verified';
    is $row->{key_id}, '2026', 'key id';
    is $row->{event}, 'push', 'event';
    is $row->{sender_id}, 'guid-1', "sender's id";
    is $row->{remote_addr}, '127.0.0.1', 'address';
    is $row->{method}, 'POST', 'method';
    is $row->{uri}, '/hook?a=b&c', 'uri with query';
    is $row->{content_type}, 'application/json', 'media type';
    is $row->{body_sha256}, sha256_hex($body), 'digest';
    is $row->{body_length}, length $body, 'length';
    my %header = map { lc $_->[0] => $_->[1] } @{ $row->{headers} };
    is $header{'x-custom'}, 'kept', 'received headers';
    is $header{'x-webhook-verified'}, undef, 'but no spoofed ones';
    is $srv->github('/hook', 'older', $body)->status, 202, 'the older secret is good too';
}
is $srv->post('/plain', '{}', headers => ['Content-Type' => 'application/json'])->body, 'thanks', 'a configured answer';
is $srv->post('/plain', '{}', headers => ['Content-Type' => 'application/json'])->status, 200, 'and status';
is $srv->post('/plain', '{}', headers => ['Content-Type' => 'application/json'])->header('Content-Type'), 'text/plain', 'and type';
{
    my $res = $srv->post('/empty', '{}', headers => ['Content-Type' => 'application/json']);
    is $res->status, 204, 'status 204';
    is $res->body, '', 'without a body';
    $res = $srv->post('/created', '{}', headers => ['Content-Type' => 'application/json']);
    is $res->status, 201, 'a status alone';
    my $row = row($res->json->{id});
    ok !$row->{verified}, 'WebhookVerify none: not verified';
}

# ---- rules ----
for (['push', { repository => { full_name => 'octo/hello' } }, 'one two'], ['push', { repository => { full_name => 'other/x' } }, 'one'],
    ['issues', { repository => { full_name => 'octo/x' } }, 'two'], ['issues', { repository => { full_name => 'x' } }, ''],
    ['push', { ref => 'refs/heads/dev', repository => {} }, ''], ['push', { ref => undef, repository => undef, list => ['a', 'b'] }, 'one'],
    ['push', { ref => ['refs/heads/main'], repository => undef }, '']) {
    my ($event, $fields, $handlers) = @$_;
    my $res = $srv->github('/rules', $secret, github_push(%$fields), event => $event);
    is $res->status, 202, 'rules: 202';
    is handlers($res), $handlers, "rules: $event " . json_encode($fields) . " goes to '$handlers'";
    is state_of($res), 'unrouted', 'kept as unrouted' if $handlers eq '';
}
is handlers($srv->github('/rules', $secret, github_push(ref => 'x', repository => undef), id => 'named')), 'two', 'rules: variables';
is handlers($srv->github('/first', $secret, github_push())), 'one', 'WebhookRoute first stops at the first match';
{
    my $res = $srv->github('/drop', $secret, $body, event => 'ping');
    is $res->status, 202, 'a dropped delivery is acknowledged';
    is state_of($res), 'dropped', 'and kept as dropped';
    is handlers($srv->github('/drop', $secret, $body)), 'two', 'what is not dropped goes on';
}

# ---- duplicates ----
{
    my $first = $srv->github('/hook', $secret, $body, id => 'dup')->json->{id};
    for my $again (1 .. 3) {
        my $res = $srv->github('/hook', $secret, $body, id => 'dup');
        is $res->status, 202, 'a copy is answered like the first';
        is $res->json->{id}, $first, "with the first one's id";
    }
    isnt $srv->github('/hook', $secret, github_push(other => 1), id => 'dup')->json->{id}, $first, 'same id, other body (unsigned id): another delivery';
    isnt $srv->github('/rules', $secret, $body, id => 'dup')->json->{id}, $first, 'same id, other endpoint: another delivery';
    is $srv->github('/reject', $secret, $body, id => 'dup')->status, 409, 'WebhookDuplicates reject: 409';
    isnt $srv->github('/all', $secret, $body, id => 'dup')->json->{id}, $first, 'WebhookDuplicates off: another delivery';
    $srv->stop;
    $srv->start;
    is $srv->github('/hook', $secret, $body, id => 'dup')->json->{id}, $first, 'a copy after a restart';
    $srv->graceful;
    is $srv->github('/hook', $secret, $body, id => 'dup')->json->{id}, $first, 'and after a graceful one';
    my @ids = map { $srv->post('/plain', '{"same":1}', headers => ['Content-Type' => 'application/json'])->status } 1 .. 2;
    is scalar(grep { $_->{endpoint} eq 'localhost/plain' && $_->{body_sha256} eq sha256_hex('{"same":1}') } rows()), 2,
        "without a sender's id equal bodies are two deliveries";
}

# ---- 1,000 copies at once ----
{
    my $before = rows();
    my $request = $bytes->(POST => '/hook', body => $body, headers => github_headers($secret, $body, id => 'thousand'), keepalive => 1);
    pipe my $go, my $start;
    pipe my $answers, my $tell;
    pipe my $ready, my $say;
    my @pids;
    for (1 .. 10) {
        my $pid = fork // die "fork: $!\n";
        if (!$pid) {
            close $start;
            my @conns;
            for (1 .. 50) { push @conns, $srv->connect // next }
            syswrite $say, 'r';
            sysread $go, my $nothing, 1;
            $_->print($request x 2) for @conns;
            for my $conn (@conns, @conns) {
                my $res = $conn->response('POST');
                syswrite $tell, $res->status . ' ' . (($res->json // {})->{id} // '-') . "\n";
            }
            POSIX::_exit(0);
        }
        push @pids, $pid;
    }
    close $_ for $go, $tell, $say;
    my $n = 0;
    while ($n < 10) { last if !sysread $ready, my $in, 10; $n += length $in }
    close $start;
    my %ids;
    while (<$answers>) { chomp; $ids{$_}++ }
    waitpid $_, 0 for @pids;
    is scalar(keys %ids), 1, '1,000 concurrent copies: one answer' or diag explain [(sort { $ids{$b} <=> $ids{$a} } keys %ids)[0 .. 9]];
    my ($only) = keys %ids;
    is $ids{$only}, 1000, 'given 1,000 times';
    like $only, qr/^202 /, 'with 202';
    is scalar(my @now = rows()), $before + 1, 'and one delivery';
}

# ---- the delivery log and the counters ----
my @log = json_lines($srv->path('deliveries.jsonl'));
ok scalar(grep { $_->{log} eq 'accepted' && ($_->{sender_id} // '') eq 'guid-1' } @log), 'the delivery log has what was accepted';
cmp_ok scalar(grep { $_->{log} eq 'duplicate' } @log), '>=', 999, 'and duplicates';
my %auto = map { /^(\S+): (\S+)/ ? ($1 => $2) : () } split /\n/, $srv->get('/status?auto')->body;
cmp_ok $auto{'WebhookEndpoint[github].duplicates'}, '>=', 999, 'counter: duplicates';
cmp_ok $auto{'WebhookCommits'}, '>', 0, 'counter: commits';

# ---- a store that is away: 503, and it heals ----
{
    $srv->stop;
    announce(qr/\[webhook:(?:error|warn)\]/);
    rename $srv->path('state'), $srv->path('away') or die "rename: $!\n";
    spew($srv->path('state'), 'not a directory');
    if ($srv->try_start) {
        my $res = $srv->github('/hook', $secret, $body);
        is $res->status, 503, 'no store: 503';
        like $res->header('Retry-After'), qr/^[1-9]\d*$/, 'with Retry-After';
        like $res->json->{reason}, qr/^store-(?:failed|busy)$/, 'and a reason';
        $srv->stop;
    }
    else {
        diag $srv->output;
        fail 'the server starts without its store';
    }
    unlink $srv->path('state');
    rename $srv->path('away'), $srv->path('state') or die "rename: $!\n";
    $srv->start;
    is $srv->github('/hook', $secret, github_push(back => 1))->status, 202, 'back: 202';
}

done_testing;
