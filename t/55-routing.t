# SPDX-License-Identifier: Apache-2.0
#
# Where deliveries go: what is dropped, every match or the first, what is left over; and where one reads why.
use lib 't/lib';
use WebhookTest;

my $secret = 'routing-secret';
my $conf = <<'EOF';
WebhookLog "@DIR@/deliveries.jsonl"
LogLevel webhook:trace2
<Location "/status">
    SetHandler server-status
</Location>
<WebhookHandler all>
    WebhookSend file "@DIR@/out/all"
</WebhookHandler>
<WebhookHandler main>
    WebhookSend file "@DIR@/out/main"
</WebhookHandler>
<WebhookHandler rest>
    WebhookSend file "@DIR@/out/rest"
</WebhookHandler>
<WebhookEndpoint hooks>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookDrop "webhook_json('/sender/type') == 'Bot'"
    WebhookDrop "%{WEBHOOK_EVENT} == 'ping'"
    WebhookDeliver rest default
    WebhookDeliver main "webhook_json('/ref') == 'refs/heads/main'"
    WebhookDeliver all  "%{WEBHOOK_EVENT} == 'push'"
    WebhookDeliver main "webhook_json('/urgent') == 'true'"
</WebhookEndpoint>
<Location "/hooks">
    SetHandler webhook
    WebhookUse hooks
</Location>
<Location "/first">
    SetHandler webhook
    WebhookUse hooks
    WebhookRoute first
</Location>
<Location "/defaults">
    SetHandler webhook
    WebhookUse hooks
    WebhookDrop "'never' == 'true'"
    WebhookDeliver main "%{WEBHOOK_EVENT} == 'release'"
    WebhookDeliver rest default
    WebhookDeliver all  default
    WebhookDeliver rest default
</Location>
<Location "/first-default">
    SetHandler webhook
    WebhookUse hooks
    WebhookRoute first
    WebhookDeliver rest default
    WebhookDeliver all  default
</Location>
<Location "/inner-drop">
    SetHandler webhook
    WebhookUse hooks
    WebhookDrop "webhook_json('/ref') == 'refs/heads/wip'"
</Location>
<Location "/everything">
    SetHandler webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookName everything
    WebhookDrop
</Location>
<Location "/nothing">
    SetHandler webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookName nothing
</Location>
<Location "/unmatched">
    SetHandler webhook
    WebhookUse hooks
    WebhookDeliver main "webhook_json('/ref') == 'refs/heads/main'"
</Location>
<Location "/broken">
    SetHandler webhook
    WebhookUse hooks
    WebhookDrop "webhook_json('no-slash-' . %{WEBHOOK_EVENT}) == 'x'"
</Location>
EOF
my $srv = WebhookTest::Server->new(name => 'routing', conf => $conf);
spew($srv->path('secret'), $secret, 0600);
$srv->start;
my ($file, $drop_line) = ($srv->conf_file, $srv->conf_line(18));
is((lines($file))[$drop_line - 1], q{    WebhookDrop "webhook_json('/sender/type') == 'Bot'"}, 'the line that messages must name');

my $last;
sub routed {
    my ($path, $fields, $event, %opt) = @_;
    $last = $srv->github($path, $secret, github_push(%$fields), event => $event // 'push', %opt);
    return "status " . $last->status if $last->status != 202;
    my ($row) = $srv->ctl_json('show', $last->json->{id});
    $last->{row} = $row;
    return join(' ', map { $_->{handler} } @{ $row->{jobs} // [] }) || $row->{state};
}

# ---- who gets what ----
is routed('/hooks', {}), 'main all', 'every match, in the order of the rules';
is $last->header('Webhook-Outcome'), undef, 'nothing to be said of what is delivered';
ok !exists $last->{row}{why}, 'neither in the record';
is routed('/hooks', { urgent => \1 }), 'main all', 'two rules of one handler make one job';
is routed('/hooks', { ref => 'x' }), 'all', 'one match';
is routed('/hooks', { ref => 'x', urgent => \1 }, 'issues'), 'main', 'another';
is routed('/hooks', { ref => 'x' }, 'issues'), 'rest', 'no match: the default handler, wherever its line stands';
is routed('/first', {}), 'main', 'the first match alone';
is routed('/first', { ref => 'x', urgent => \1 }), 'all', 'the first in the order of the rules';
is routed('/first', { ref => 'x' }, 'issues'), 'rest', 'none: the default';
is routed('/defaults', {}, 'push'), 'rest all', 'every default, each handler once';
is routed('/defaults', {}, 'release'), 'main', 'none of them when a rule matched';
is routed('/first-default', {}), 'rest', 'the first default alone';

# ---- what is dropped ----
is routed('/hooks', { sender => { type => 'Bot' } }), 'dropped', 'dropped though other rules match';
is $last->header('Webhook-Outcome'), 'dropped', 'the answer says so';
is $last->json->{id}, $last->{row}{id}, 'and has the id';
is $last->{row}{why}, qq{WebhookDrop webhook_json('/sender/type') == 'Bot' ($file:$drop_line)}, 'the record names the rule';
is scalar($srv->error_log_lines(qr/WH0304: accepted endpoint=hooks id=\Q$last->{row}{id}\E .* jobs=0 kept as dropped: WebhookDrop .*\Q:$drop_line)\E/)), 1,
    'the error log too';
like scalar(($srv->ctl('show', $last->{row}{id}))[1]), qr/^delivery \S+: dropped\n  because WebhookDrop webhook_json/, 'and the tool';
is routed('/first', { sender => { type => 'Bot' } }), 'dropped', 'with the first match too';
is routed('/hooks', {}, 'ping'), 'dropped', 'a second rule of that kind';
is routed('/everything', {}), 'dropped', 'everything';
is routed('/inner-drop', { sender => { type => 'Bot' } }), 'main all', 'an inner WebhookDrop replaces the outer ones';
is routed('/inner-drop', { ref => 'refs/heads/wip' }), 'dropped', 'and leaves the outer WebhookDeliver lines alone';
my $id = delivery_guid();
is routed('/hooks', { sender => { type => 'Bot' } }, 'push', id => $id), 'dropped', 'dropped, and';
my $dropped = $last->json->{id};
is routed('/hooks', { sender => { type => 'Bot' } }, 'push', id => $id), 'dropped', 'sent again,';
is $last->json->{id}, $dropped, 'it is the same';

# ---- what is left ----
is routed('/unmatched', { ref => 'x' }), 'unrouted', 'no rule matches';
is $last->header('Webhook-Outcome'), 'unrouted', 'the answer says so';
is $last->{row}{why}, 'no rule matched', 'the record says why';
is routed('/nothing', {}), 'unrouted', 'no rules at all';
is $last->{row}{why}, 'no WebhookDeliver here', 'is another reason';
is scalar($srv->error_log_lines(qr/WH0304: accepted endpoint=nothing .* kept as unrouted: no WebhookDeliver here/)), 1, 'in the error log too';

# ---- what cannot be decided ----
announce(qr/Evaluation of expression from .* failed: webhook_json/, qr/WH0301: endpoint hooks: rule failed: WebhookDrop /);
is routed('/broken', {}), 'status 503', 'a rule of what is dropped that fails refuses';
is $last->json->{reason}, 'expression-failed', 'for that reason';
is $srv->github('/hooks', $secret, '{"sender":')->status, 400, 'a payload that rules cannot read is refused';

# ---- the logs ----
{
    my @log = grep { $_->{log} eq 'accepted' } json_lines($srv->path('deliveries.jsonl'));
    my ($line) = grep { $_->{kept_as} && $_->{why} =~ /Bot/ } @log;
    is $line->{kept_as}, 'dropped', 'the delivery log: dropped';
    like $line->{why}, qr/^WebhookDrop .*:$drop_line\)$/, 'and by which rule';
    ok !(grep { $_->{handlers} && ($_->{why} || $_->{kept_as}) } @log), 'neither where something is delivered';
    ok $srv->error_log_lines(qr/WH0302: endpoint hooks: WebhookDrop .* \(\S+:$drop_line\) does not match/), 'each rule at level trace2';
    ok $srv->error_log_lines(qr/WH0302: endpoint hooks: WebhookDeliver rest default \(\S+\) matches/), 'the default too';
    my %auto = $srv->get('/status?auto')->body =~ /^(WebhookEndpoint\[\w+\]\.\w+): (\d+)$/mg;
    is $auto{'WebhookEndpoint[everything].dropped'}, 1, 'counter: dropped';
    is $auto{'WebhookEndpoint[nothing].unrouted'}, 1, 'counter: unrouted';
}
done_testing;
