# SPDX-License-Identifier: Apache-2.0
#
# The configurations of the manual's page on choosing, taken out of the page as people paste them.
use lib 't/lib';
use WebhookTest;
use WebhookTest::Manual;

my $up = WebhookTest::Upstream->new(sub { return [200] });
my @names = WebhookTest::Manual::recipes('choosing.md');
is_deeply [sort @names], [sort qw(deploy payments slack orders fan-out bots)], 'every recipe of the page is tried here';
my $base = WebhookTest::tmp_dir('recipes');
my %also = (deploy => ['/usr/local/bin/deploy' => "$base/deploy"], payments => ['https://billing.internal:8443' => $up->url('') =~ s{/$}{}r],
    'fan-out' => ['https://ci.internal:8443' => $up->url('') =~ s{/$}{}r, 'https://chat.internal:8443' => $up->url('') =~ s{/$}{}r]);
my $conf = join '', map {
    my $text = WebhookTest::Manual::recipe('choosing.md', $_, @{ $also{$_} // [] });
    $text =~ s{/etc/apache2/webhook}{$base}g;
    $text =~ s{/var/log/webhook}{$base/log}g;
    $text;
} @names;
mkdir "$base/log";
chmod 0777, "$base/log";
spew("$base/$_.key", "secret-of-$_-for-tests", 0600) for qw(github stripe slack shopify);
spew("$base/push.schema.json", json_encode({ type => 'object', required => ['ref', 'commits'], properties => { ref => { type => 'string' } } }));
spew("$base/deploy", "#!/bin/sh\necho \"\$WEBHOOK_EVENT \$# \$1 <\$2> <\$3> \$(cat | wc -c)\" >>$base/log/deployed\n", 0755);
my $srv = WebhookTest::Server->new(name => 'six', conf => $conf)->start;

my $n = 0;

# Signs and sends as the endpoint's sender would. Returns the handlers that have jobs, or what the delivery was kept as; or the status.
sub sent {
    my ($path, $body, @args) = @_;
    my $file = $srv->path('out/body' . $n++);
    spew($file, ref $body ? json_encode($body) : $body);
    my ($rc, $out, $err) = $srv->ctl('send', $path, '--url', $srv->url($path), @args, '--json', $file);
    my $answer = $rc == 2 ? die "send: $err\n" : json_decode($out);
    return "$answer->{status} $answer->{body}" if $answer->{status} != 202 && $answer->{status} != 200;
    my $id = eval { json_decode($answer->{body})->{id} } or return "$answer->{status} $answer->{body}";
    my ($row) = $srv->ctl_json('show', $id);
    # the tool that tries rules out says the same
    my @event = map { $args[$_] eq '--event' ? @args[$_, $_ + 1] : () } 0 .. $#args;
    my (undef, $told) = $srv->ctl('route', '--endpoint', $path, @event, '--json', $file);
    my $done = join(' ', map { $_->{handler} } @{ $row->{jobs} // [] });
    is join(' ', @{ json_decode($told)->{handlers} }), $done, "route says the same of $file";
    return $done || $row->{state};
}

# ---- a push to main that touches the README ----
my @push = ('--event', 'push');
is sent('/hooks/github', { ref => 'refs/heads/main', after => 'abc', repository => { full_name => 'o/r;id' }, commits => [{ modified => ['a', 'README.md'], added => [] }] }, @push), 'deploy', 'deploy: modified';
is sent('/hooks/github', { ref => 'refs/heads/main', deleted => \0, after => 'def', repository => { full_name => 'o/r' }, commits => [{}, { added => ['README.md'] }] }, @push), 'deploy', 'deploy: added';
is sent('/hooks/github', { ref => 'refs/heads/main', commits => [{ modified => ['README'] }] }, @push), 'unrouted', 'deploy: another file';
is sent('/hooks/github', { ref => 'refs/heads/dev', commits => [{ modified => ['README.md'] }] }, @push), 'unrouted', 'deploy: another branch';
is sent('/hooks/github', { ref => 'refs/heads/main', deleted => \1, commits => [{ modified => ['README.md'] }] }, @push), 'unrouted', 'deploy: deleted';
is sent('/hooks/github', { ref => 'refs/heads/main', commits => [{ modified => ['README.md'] }] }, '--event', 'fork'), 'unrouted', 'deploy: another event';
like sent('/hooks/github', { ref => 1, commits => [] }, @push), qr/^422 .*"pointer"/, 'deploy: a payload that is not what its schema says';
is sent('/hooks/github', { zen => 'x' }, '--event', 'ping'), 'unrouted', 'deploy: the schema is that of pushes';
wait_for { (() = lines("$base/log/deployed")) == 2 } 30, 'the program ran twice';
is scalar(grep { /^push 3 -- <abc> <o\/r;id> \d{2,}$/ } lines("$base/log/deployed")), 1, 'with the payload, the event, and an argument for each value';

# ---- payments ----
is sent('/hooks/stripe', { id => 'evt_1', type => 'payment_intent.succeeded', livemode => \1 }), 'billing', 'payments: succeeded';
is sent('/hooks/stripe', { id => 'evt_2', type => 'payment_intent.payment_failed', livemode => \1 }), 'billing', 'payments: failed';
is sent('/hooks/stripe', { id => 'evt_3', type => 'payment_intent.created', livemode => \1 }), 'unrouted', 'payments: another type';
is sent('/hooks/stripe', { id => 'evt_4', type => 'payment_intent.succeeded', livemode => \0 }), 'unrouted', 'payments: not live';
wait_for { (() = grep { $_->{path} =~ m{^/stripe} } $up->requests) == 2 } 30, 'the API got both';
is_deeply [sort map { "$_->{path} $_->{headers}{'idempotency-key'}" } grep { $_->{path} =~ m{^/stripe} } $up->requests],
    ['/stripe?type=payment_intent.payment_failed evt_2', '/stripe?type=payment_intent.succeeded evt_1'], 'with the type in the URL and the event as the key';

# ---- Slack ----
like sent('/hooks/slack', { type => 'url_verification', challenge => 'ch4ll3ng3' }), qr/^200 .*ch4ll3ng3/, 'slack: the challenge comes back';
is sent('/hooks/slack', { type => 'event_callback', event_id => 'Ev1' }), "file:$base/log/slack.jsonl", 'slack: events are kept';
{
    my $body = json_encode({ type => 'url_verification', challenge => 'x' });
    my $res = $srv->post('/hooks/slack', $body, headers => ['Content-Type' => 'application/json', 'X-Slack-Request-Timestamp' => time, 'X-Slack-Signature' => 'v0=' . '0' x 64]);
    is $res->status, 401, 'slack: nobody else gets an answer';
}

# ---- large orders ----
my @order = ('--event', 'orders/create');
is sent('/hooks/shopify', { total_price => '1000.01', currency => 'USD' }, @order), 'large-orders', 'orders: a cent more';
is sent('/hooks/shopify', { total_price => '10000000000000000000000.00', currency => 'EUR' }, @order), 'large-orders', 'orders: much more';
is sent('/hooks/shopify', { total_price => '1000.00', currency => 'USD' }, @order), 'unrouted', 'orders: not more';
is sent('/hooks/shopify', { total_price => '999.99', currency => 'USD' }, @order), 'unrouted', 'orders: less';
is sent('/hooks/shopify', { total_price => '2000.00', currency => 'JPY' }, @order), 'unrouted', 'orders: another currency';
is sent('/hooks/shopify', { total_price => '2000.00', currency => 'USD' }, '--event', 'orders/paid'), 'unrouted', 'orders: another event';
is sent('/hooks/shopify', { currency => 'USD' }, @order), 'unrouted', 'orders: no price';

# ---- two receivers ----
my $both = { ref => 'x', after => 'abc', repository => { full_name => 'o/"r"' } };
is sent('/hooks/github-all', $both, @push), 'ci chat', 'fan-out: both';
is sent('/hooks/github-all', { ref => 'x' }, '--event', 'fork'), 'ci', 'fan-out: one';
wait_for { (() = grep { $_->{path} eq '/hook' } $up->requests) == 2 && (() = grep { $_->{path} eq '/post' } $up->requests) == 1 } 30, 'they got theirs';
{
    my ($first) = grep { $_->{path} eq '/hook' } $up->requests;
    my ($second) = grep { $_->{path} eq '/post' } $up->requests;
    is $first->{body}, json_encode($both), 'the first as it came';
    is_deeply json_decode($second->{body}), { repo => 'o/"r"', sha => 'abc' }, 'the second in its own shape';
}

# ---- bots ----
my $people = "file:$base/log/people.jsonl";
is sent('/hooks/github-people', { sender => { type => 'Bot', login => 'x' } }), 'dropped', 'bots: by type';
is sent('/hooks/github-people', { sender => { type => 'User', login => 'dependabot[bot]' } }), 'dropped', 'bots: by name';
is sent('/hooks/github-people', { sender => { type => 'User', login => 'robot' } }), $people, 'bots: people are none';
is sent('/hooks/github-people', { sender => { type => 'User', login => '[bot]x' } }), $people, 'bots: the end of the name counts';
is sent('/hooks/github-people', {}), $people, 'bots: nobody in particular';
done_testing;
