# SPDX-License-Identifier: Apache-2.0
#
# The recipes of the manual, as they stand there: each configuration is taken out of the page, its addresses, secrets and programs are put on this
# machine, and what arrives is judged.
use lib 't/lib';
use WebhookTest;
use WebhookTest::Manual;

my %recipe;
{
    my ($heading, $conf);
    for (split /\n/, slurp(WebhookTest::stage() . '/mod_webhook/manual/recipes.md')) {
        if (/^## (.*)/) { $heading = $1 }
        elsif (/^```apache$/) { $conf = '' }
        elsif (/^```$/) { $recipe{$heading} = $conf; $conf = undef }
        elsif (defined $conf) { $conf .= "$_\n" }
    }
}
my @names = sort keys %recipe;
is join(', ', @names), 'A broker that speaks CloudEvents, A deployment script, Discord, Microsoft Teams, Slack', 'the recipes of the page';
$recipe{$_} = WebhookTest::Manual::recipe('choosing.md', $_) for qw(payments fan-out);

my $up = WebhookTest::Upstream->new(sub { $_[0]{path} =~ m{^/api/webhooks} ? [204] : $_[0]{path} =~ m{/triggers/} ? [202] : [200, [], 'ok'] });
my $secret = 'recipes-secret';
my $srv;
my ($hostile) = ("<!channel> & \"co\" \\ '\x{20ac}\n");

# A server with one recipe, its outside on this machine.
sub start {
    my ($name) = @_;
    $srv->stop if $srv;
    my $conf = $recipe{$name};
    my $port = $up->port;
    $conf =~ s{https?://[a-z0-9.-]+(?::\d+)?/}{http://127.0.0.1:$port/}g;
    $conf =~ s{http://127.0.0.1:$port/schemas}{http://adaptivecards.io/schemas}g; # a name, not an address
    $conf =~ s{file:(?:conf|/etc/apache2/webhook)/\w+\.key}{file:\@DIR\@/secret}g;
    $conf =~ s{/usr/local/bin/deploy}{\@DIR\@/deploy}g;
    $srv = WebhookTest::Server->new(name => lc $name =~ s/\W+/-/gr);
    mkdir $srv->path('out');
    spew($srv->path('secret'), $secret, 0600);
    spew($srv->path('deploy'), "#!/bin/sh\nprintf '%s\\n' \"\$@\" >" . $srv->path('out') . '/"$WEBHOOK_ID"' . "\n", 0755);
    $srv->write_conf($conf);
    $srv->start;
    return $conf;
}
sub settle {
    my ($res, $state) = @_;
    is $res->status, 202, 'accepted' or is $res->status, 200, 'accepted' or diag $res->body;
    my $id = $res->json->{id};
    my $row;
    wait_for { $row = $srv->ctl_json('show', $id); $row->{state} eq ($state // 'done') } 30;
    is $row->{state}, $state // 'done', 'settled';
    return $id;
}
sub github { return settle($srv->github('/hooks/github', $secret, $_[0], event => $_[1] // 'push'), $_[2]) }
sub requests { my ($id) = @_; return grep { ($_->{headers}{'x-delivery-id'} // '') eq $id } $up->requests }
sub push_by { return json_encode({ ref => 'refs/heads/main', after => 'a1' x 20, deleted => JSON::PP::false, pusher => { name => $_[0] },
    repository => { full_name => 'octo/hello' }, padding => 'x' x 100 }) }

# ---- chats ----
for (['Slack', '/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX'], ['Microsoft Teams', '/workflows/0000/triggers/manual/paths/invoke?api-version=2016-06-01&sig=XXXX'],
    ['Discord', '/api/webhooks/000000000000000000/XXXX']) {
    my ($name, $path) = @$_;
    my $conf = start($name);
    for my $who ('monalisa', $hostile) {
        my $id = github(push_by($who));
        my ($req) = requests($id);
        is $req->{path}, $path, "$name: to its address";
        is $req->{headers}{'content-type'}, 'application/json', 'as JSON';
        is join(' ', grep { /^x-(?:hub|github)/ } keys %{ $req->{headers} }), '', 'without the sender\'s headers';
        my $body = eval { json_decode($req->{body}) };
        ok $body, 'which it is' or diag $req->{body};
        my $plain = "$who pushed to octo/hello";
        if ($name eq 'Slack') {
            (my $text = $plain) =~ s/([&<>])/{ '&' => '&amp;', '<' => '&lt;', '>' => '&gt;' }->{$1}/ge;
            is_deeply $body, { text => $text }, 'a text without markup of the sender\'s';
        }
        elsif ($name eq 'Discord') {
            is_deeply $body, { content => $plain, allowed_mentions => { parse => [] } }, 'a text that mentions nobody';
        }
        else {
            my $card = $body->{attachments}[0]{content};
            is "$body->{type} $body->{attachments}[0]{contentType}", 'message application/vnd.microsoft.card.adaptive', 'a message with a card';
            is join(' ', @$card{qw(type version $schema)}), 'AdaptiveCard 1.4 http://adaptivecards.io/schemas/adaptive-card.json', 'of that version';
            is $card->{body}[0]{inlines}[0]{text}, 'octo/hello', 'the repository';
            is $card->{body}[1]{inlines}[0]{text}, "$who pushed refs/heads/main", 'and who it was';
            is $card->{body}[1]{inlines}[0]{type}, 'TextRun', 'which knows no markup';
        }
    }
    my $id = github(push_by('x'), 'ping', 'unrouted');
    is scalar(requests($id)), 0, 'other events say nothing';
    my $queue = join '', map { slurp($_) // '' } glob $srv->path('state', 'queue.db*');
    cmp_ok index($queue, 'jsonenc'), '>', 0, 'the queue holds the values';
    is index($queue, 'XXXX'), -1, 'but not the address';
}

# ---- payments ----
{
    start('payments');
    my $stripe = sub {
        my ($event) = @_;
        my $body = json_encode($event);
        my $t = time;
        return $srv->post('/hooks/stripe', $body, headers => ['Content-Type' => 'application/json', 'Stripe-Signature' => "t=$t,v1=" . WebhookTest::hmac_hex($secret, "$t.$body")]);
    };
    my $event = { id => 'evt_1', type => 'payment_intent.succeeded', livemode => JSON::PP::true };
    my $id = settle($stripe->($event));
    my ($req) = requests($id);
    is $req->{path}, '/stripe?type=payment_intent.succeeded', 'payments: the type in the URL';
    is $req->{headers}{'idempotency-key'}, 'evt_1', 'the event\'s id as its key';
    is $req->{body}, json_encode($event), 'the received bytes';
    settle($stripe->({ %$event, id => 'evt_2', livemode => JSON::PP::false }), 'unrouted');
    settle($stripe->({ %$event, id => 'evt_3', type => 'charge.refunded' }), 'unrouted');
    $id = settle($stripe->({ %$event, id => "evt_4\r\nX-Admin: 1" }), 'dead');
    is $srv->ctl_json('show', $id)->{jobs}[0]{reason}, 'bad-template-value', 'an id that is two headers is none';
}

# ---- fan-out ----
{
    start('fan-out');
    my $body = push_by('octo');
    my $id = settle($srv->github('/hooks/github-all', $secret, $body));
    my %by = map { $_->{path} => $_ } requests($id);
    is join(' ', sort keys %by), '/hook /post', 'fan-out: both';
    is $by{'/hook'}{body}, $body, 'one with the received bytes';
    is $by{'/hook'}{headers}{'x-hub-signature-256'}, sign_github($secret, $body), 'and their signature';
    is_deeply json_decode($by{'/post'}{body}), { repo => 'octo/hello', sha => 'a1' x 20 }, 'the other with a body of its own';
}

# ---- script ----
{
    start('A deployment script');
    my $id = github(push_by('octo'));
    is slurp($srv->path('out', $id)), "--\n" . 'a1' x 20 . "\nocto/hello\n", 'script: its arguments';
    $id = github(json_encode({ ref => 'refs/heads/main', after => '-rf', repository => { full_name => '$(id); x' } }));
    is slurp($srv->path('out', $id)), "--\n-rf\n\$(id); x\n", 'whatever is in them';
    github(json_encode({ ref => 'refs/heads/main', after => 'x', deleted => JSON::PP::true }), 'push', 'unrouted');
    github(json_encode({ ref => 'refs/heads/other', after => 'x' }), 'push', 'unrouted');
}

# ---- CloudEvents ----
{
    start('A broker that speaks CloudEvents');
    my $id = github(push_by('octo'));
    my ($req) = requests($id);
    my $event = json_decode($req->{body});
    is "$req->{headers}{'content-type'} $event->{id} $event->{source} $event->{type}", "application/cloudevents+json; charset=UTF-8 $id /webhook/github push", 'broker: an event';
    is $event->{data}{pusher}{name}, 'octo', 'with the payload';
}
done_testing;
