# SPDX-License-Identifier: Apache-2.0
#
# webhookctl against a running server: it takes everything from the configuration dump.
use lib 't/lib';
use WebhookTest;
use Compress::Zlib ();
use MIME::Base64 ();

my $secret = 'tool-secret';
my $srv = WebhookTest::Server->new(name => 'tool', ask => 1, conf => <<'EOF');
<WebhookHandler keep>
    WebhookSend file "@DIR@/out/lines"
</WebhookHandler>
<WebhookHandler never>
    WebhookSend  pipe "/bin/false" fail=1
</WebhookHandler>
<WebhookEndpoint github>
    WebhookVerify  github
    WebhookSecret  id=2026 file:@DIR@/secret
    WebhookDeliver keep
    WebhookDeliver never "%{WEBHOOK_EVENT} == 'ping'"
</WebhookEndpoint>
<Location "/hook">
    SetHandler webhook
    WebhookUse github
</Location>
<Location "/token">
    SetHandler webhook
    WebhookName    tokens
    WebhookVerify  token header=X-Token
    WebhookSecret  file:@DIR@/secret
    WebhookDeliver keep
</Location>
EOF
spew($srv->path('secret'), "$secret\n", 0600);
spew($srv->path('push.json'), my $push = github_push());
$srv->start;

sub ctl { my ($rc, $out, $err) = $srv->ctl(@_); return { rc => $rc, out => $out, err => $err } }

# ---- send ----
my $sent = ctl('send', 'github', '--event', 'push', '--id', 'guid-1', $srv->path('push.json'));
is $sent->{rc}, 0, 'send: accepted';
my ($id) = $sent->{out} =~ /\AHTTP 202\n\{"id":"([0-9a-f-]{36})"\}\n\z/;
ok $id, 'send: shows the answer';
is ctl('send', 'github', '--event', 'push', '--id', 'guid-1', $srv->path('push.json'))->{out}, $sent->{out}, 'send: a duplicate has the same answer';
my $wrong = ctl('send', 'github', '--secret', 'wrong', $srv->path('push.json'));
is $wrong->{rc}, 1, 'send: refused is exit 1';
like $wrong->{out}, qr/\AHTTP 401\n.*signature-mismatch/s, 'send: shows the refusal';
is ctl('send', 'tokens', $srv->path('push.json'))->{rc}, 0, 'send: the endpoint\'s own scheme';
my $nowhere = ctl('send', 'nowhere', $srv->path('push.json'));
is $nowhere->{rc}, 2, 'send: unknown endpoint is exit 2';
like $nowhere->{err}, qr/nowhere/, 'send: says which';
is ctl('send', 'github', '--event', 'ping', '--id', 'guid-2', $srv->path('push.json'), '--json')->{rc}, 0, 'send --json';

# ---- a server's program that has very much to say before its answer ----
spew(my $talker = $srv->path('talker'), <<'EOF', 0755);
#!/usr/bin/perl
print STDERR 'x' x 1023, "\n" for 1 .. 1024;
print qq({"endpoints":[{"name":"spoken","scheme":"github","urls":[]}]}\n);
EOF
{
    my ($rc, $out) = run_command('timeout', 120, build_file('webhookctl'), '--httpd', $talker, 'endpoints');
    is $rc, 0, 'a megabyte of warnings does not stop it';
    like $out, qr/^spoken +github/m, 'and its answer is read';
}

# ---- endpoints, list, show ----
like ctl('endpoints')->{out}, qr{^github +github +http://\S+/hook$}m, 'endpoints';
my @rows = $srv->ctl_json('list');
is scalar(@rows), 3, 'list: all';
is $rows[2]{id}, $id, 'list: newest first';
my $sender = 'sender_id';
is_deeply [map { $_->{$sender} // '' } $srv->ctl_json('list', '--oldest', '--endpoint', 'github')], ['guid-1', 'guid-2'], 'list: of one endpoint, oldest first';
is scalar(my @pings = $srv->ctl_json('list', '--event', 'ping')), 1, 'list: of one event';
is scalar(my @one = $srv->ctl_json('list', '--limit', 1)), 1, 'list: limited';
is scalar(my @before = $srv->ctl_json('list', '--before', '1h')), 0, 'list: received more than an hour ago';
is scalar(my @since = $srv->ctl_json('list', '--since', '1h')), 3, 'list: received within the hour';
is ctl('list', '--since', 'yesterday')->{rc}, 2, 'list: a time that is none';
is ctl('list', '--frobnicate')->{rc}, 2, 'list: an unknown option';
wait_for { my @dead = $srv->ctl_json('list', '--state', 'dead'); @dead == 1 } 30, 'list: dead letters';
my ($dead) = $srv->ctl_json('list', '--state', 'dead');
like ctl('list')->{out}, qr/never dead\/1 \(exit-status\)/, 'list: jobs with state, attempts and reason';

my $shown = ctl('show', $id);
like $shown->{out}, qr/^delivery \Q$id\E: done$/m, 'show';
like $shown->{out}, qr/key 2026/, 'show: which secret matched';
like $shown->{out}, qr/X-Hub-Signature-256: \*\*\*/i, 'show: the signature is masked';
unlike $shown->{out}, qr/\Q$secret\E/, 'show: no secret';
is ctl('show', $id, '--body')->{out}, $push, 'show --body: exactly the received bytes';
my $row = $srv->ctl_json('show', $id);
is $row->{body}, $push, 'show --json: the body';
is $row->{jobs}[0]{attempt_rows}[0]{outcome}, 'done', 'show --json: attempts';
sub signature_of { my ($of) = @_; return join '|', map { lc $_->[0] eq 'x-hub-signature-256' ? $_->[1] : () } @{ $of->{headers} } }
is signature_of($row), '***', 'show --json: the signature is masked';
is signature_of($srv->ctl_json('show', $id, '--unmasked')), sign_github($secret, $push), 'show --json --unmasked: as received';
is ctl('show', $id, '--unmasked')->{rc}, 2, 'show: --unmasked is for --json';
is ctl('show', '0192f0c4-7d5e-7a31-9c41-2f1e5b8a9d10')->{rc}, 1, 'show: not there is exit 1';
is ctl('show', '../etc/passwd')->{rc}, 2, 'show: not an id is exit 2';

# ---- replay ----
is ctl('replay', $id, '--handler', 'keep')->{rc}, 0, 'replay';
wait_for { (() = json_lines($srv->path('out', 'lines'))) == 4 } 30, 'replay: delivered again';
my @again = grep { $_->{id} eq $id } json_lines($srv->path('out', 'lines'));
is_deeply [map { $_->{attempt} } @again], [1, 2], 'replay: the same id, a higher attempt';
is ctl('replay', $dead->{id}, '--handler', 'never')->{rc}, 0, 'replay: a dead letter';
wait_for { ($srv->ctl_json('show', $dead->{id}))[0]{jobs}[1]{attempts} == 2 } 30, 'replay: tried again';
is ctl('replay', '0192f0c4-7d5e-7a31-9c41-2f1e5b8a9d10')->{rc}, 1, 'replay: not there';

# ---- tail, stats, check ----
is scalar(split /\n/, ctl('tail', '--once', '--lines', 2)->{out}), 2, 'tail: the last ones';
my $stats = $srv->ctl_json('stats');
is $stats->{counters}{endpoints}{github}{accepted}, 2, 'stats: accepted';
is $stats->{counters}{endpoints}{github}{duplicates}, 1, 'stats: duplicates';
is $stats->{counters}{endpoints}{github}{reasons}{'signature-mismatch'}, 1, 'stats: refusals by reason';
is $stats->{store}{deliveries}, 3, 'stats: the store';
like ctl('stats')->{out}, qr/^handler +keep: attempts \d+/m, 'stats: for people';
is ctl('check')->{out}, "consistent\n", 'check';

# ---- verify, sign, schemes ----
my $sig = sign_github($secret, $push);
my @verify = ('verify', 'github', '--secret', 'file:' . $srv->path('secret'), '--body', $srv->path('push.json'));
my $ok = ctl(@verify, '--header', "X-Hub-Signature-256: $sig", '--header', 'X-GitHub-Event: push', '--header', 'X-GitHub-Delivery: g1');
is $ok->{out}, "accepted key=1 id=g1 event=push\n", 'verify: accepted';
is $ok->{rc}, 0, 'verify: exit 0';
my $no = ctl(@verify, '--header', 'X-Hub-Signature-256: sha256=' . 'a' x 64);
like $no->{out}, qr/\Arefused signature-mismatch/, 'verify: refused and why';
is $no->{rc}, 1, 'verify: exit 1';
is ctl('verify', 'githib', '--secret', 'x')->{rc}, 2, 'verify: unknown scheme is exit 2';
like ctl('verify', 'githib', '--secret', 'x')->{err}, qr/"githib" \(near: github;/, 'verify: what may have been meant';
like ctl('verify', 'Twilio', '--secret', 'x')->{err}, qr/\(near: twilio-form, twilio-json;/, 'verify: names that hold it';
like ctl('schemes', 'facebook')->{err}, qr/\(near: meta;/, 'schemes: senders by what people call them';
unlike ctl('verify', 'qqqqqq', '--secret', 'x')->{err}, qr/near/, 'verify: nothing is near';
my @pusher = ('verify', 'pusher', '--header', 'X-Pusher-Key: k1', '--header', 'X-Pusher-Signature: ' . hmac_hex('s1', $push), '--body',
    $srv->path('push.json'));
like ctl(@pusher, '--secret', 's1')->{out}, qr/\Arefused key-unknown/, 'verify: a scheme that names its key, a secret without a name';
is ctl(@pusher, '--secret', 'id=k2 s2', '--secret', 'id=k1 s1')->{out}, "accepted key=k1\n", 'verify: secrets with names, as in the directive';
like ctl(@pusher, '--secret', 'id=k2 s1', '--secret', 'id=k1 s2')->{out}, qr/\Arefused signature-mismatch/, 'verify: a name selects its own secret';
is ctl(@pusher, '--secret', 'id=k1 inline:s1')->{rc}, 0, 'verify: inline:';
is ctl(@pusher, '--secret', 'id= s1')->{rc}, 2, 'verify: an empty name';
is ctl(@pusher, '--now', 1796000000, '--secret', 'id=k1 from=2026-11-01T00:00:00Z until=2026-12-01T00:00:00Z s1')->{rc}, 0, 'verify: a secret in its time';
like ctl(@pusher, '--now', 1797000000, '--secret', 'id=k1 until=2026-12-01T00:00:00Z s1')->{out}, qr/\Arefused secret-unavailable/, 'verify: behind it';
is ctl(@pusher, '--secret', 'until=soon s1')->{rc}, 2, 'verify: until= no time';
is ctl(@pusher, '--secret', 'from=2027-01-01T00:00:00Z until=2026-01-01T00:00:00Z s1')->{rc}, 2, 'verify: from= behind until=';
my $gz = Compress::Zlib::memGzip($push);
spew($srv->path('push.gz'), $gz);
my @stream = ('verify', 'getstream', '--secret', 's1', '--body', $srv->path('push.gz'), '--header', 'X-Signature: ' . hmac_hex('s1', $push));
is ctl(@stream, '--header', 'Content-Encoding: gzip')->{rc}, 0, 'verify: what is signed before it is compressed';
like ctl(@stream)->{out}, qr/\Arefused signature-mismatch/, 'verify: the same without a Content-Encoding';
like ctl(@stream, '--header', 'Content-Encoding: br')->{out}, qr/\Arefused content-encoding/, 'verify: another coding';
spew($srv->path('gz.json'), json_encode([{ id => 'gz', provider => 'getstream', key => 's1', url => 'https://h.example/', body => MIME::Base64::encode_base64($gz, ''),
    headers => { 'Content-Encoding' => 'gzip', 'X-Signature' => hmac_hex('s1', $push) } },
    { id => 'near', provider => 'hubspot', key => 's', url => 'https://h.example/', headers => {}, body => '' }]));
my $run = ctl('verify', '--vectors', $srv->path('gz.json'));
like $run->{out}, qr/\Agz accepted\nnear refused unusable: .*\(near: hubspot-v1, hubspot-v2, hubspot-v3\)\n\z/, 'verify --vectors: the same, and a scheme that is none';
is $run->{rc}, 2, 'verify --vectors: exit 2 when a record could not be run';
{
    # a record with as little as there can be, and headers as a list of pairs: a name twice stays twice
    my %record = (provider => 'github', key => $secret, body => MIME::Base64::encode($push, ''));
    my @header = ('X-Hub-Signature-256', $sig);
    spew($srv->path('few.json'), json_encode([{ id => 'pair', %record, headers => [[@header]] }, { id => 'twice', %record, headers => [[@header], [@header]] },
        { id => 'named', %record, key => { hook_word => $secret }, headers => {@header} },
        { id => 'beside', provider => 'airtable', key => ['not base64!', 'c2VjcmV0'], body => '', headers => { 'X-Airtable-Content-MAC' => 'hmac-sha256=' . hmac_hex('secret', '') } },
        { id => 'seconds', provider => 'slack', key => { secret => 's1', tolerance => 10 }, now => 1796000010, body => '', headers => { 'X-Slack-Request-Timestamp' => 1796000000, 'X-Slack-Signature' => 'v0=' . hmac_hex('s1', 'v0:1796000000:') } },
        { id => 'late', provider => 'slack', key => { secret => 's1', tolerance => 10 }, now => 1796000011, body => '', headers => { 'X-Slack-Request-Timestamp' => 1796000000, 'X-Slack-Signature' => 'v0=' . hmac_hex('s1', 'v0:1796000000:') } },
        { id => 'list', %record, headers => { $header[0] => [$sig, $sig] } }, { id => 'none', %record, headers => undef }]));
    my $few = ctl('verify', '--vectors', $srv->path('few.json'));
    is $few->{out}, "pair accepted\ntwice refused header-duplicate\nnamed accepted\nbeside accepted\nseconds accepted\nlate refused timestamp-outside-window\nlist refused header-duplicate\nnone refused signature-missing\n", 'verify --vectors: headers as pairs, values as a list, none; keys by another name, beside a bad one; seconds' or diag $few->{err};
    is $few->{rc}, 0, 'verify --vectors: exit 0 when all could be run';
}
is ctl('verify', 'dropbox', '--secret', 's1', '--method', 'GET', '--url', 'https://h.example/?challenge=abc')->{out}, "refused signature-missing (header:X-Dropbox-Signature is missing) handshake=200\n",
    'verify: what is answered as a handshake';
is json_decode(ctl('--json', 'verify', 'dropbox', '--secret', 's1', '--method', 'GET', '--url', 'https://h.example/?challenge=abc')->{out})->{handshake}, 200, 'verify --json: too';
like ctl('sign', 'datadog', '--secret', 'user:word')->{out}, qr/^Authorization: Basic dXNlcjp3b3Jk$/m, 'sign: a token that may be in the URL, in a header';
is ctl('verify', 'hmac', 'algorithm=sha257', 'header=X', '--secret', 'x')->{rc}, 2, 'verify: unusable option is exit 2';
is ctl('verify', 'github')->{rc}, 2, 'verify: without a secret is exit 2';
like ctl('sign', 'github', '--secret', $secret, '--event', 'push', '--body', $srv->path('push.json'))->{out}, qr/^X-Hub-Signature-256: \Q$sig\E$/m, 'sign';
like ctl('schemes')->{out}, qr/^github +hmac/m, 'schemes';
is json_decode(ctl('--json', 'schemes', 'github')->{out})->{name}, 'github', 'schemes NAME as JSON';
like ctl('schemes', 'greenhouse')->{out}, qr/^  WebhookVerify hmac .*^ +"prefix=sha256 "/ms, 'schemes NAME: the line it stands for';
like ctl('schemes', 'google-pubsub')->{out}, qr/^ +var\.audience=.*^takes\n  audience +TEXT, must be given.*^  leeway +DURATION/ms, 'schemes NAME: what it takes';

# ---- other ways to the settings ----
spew($srv->path('dump.json'), $srv->dump);
my ($rc, $out) = run_command(build_file('webhookctl'), '--dump', $srv->path('dump.json'), 'list', '--limit', 1);
is $rc, 0, '--dump: a saved dump';
($rc, $out) = run_command(build_file('webhookctl'), '--store', 'sqlite:' . $srv->path('state', 'queue.db'), 'list');
is scalar(split /\n/, $out), 3, '--store: a store alone';
unlike $srv->dump, qr/\Q$secret\E/, 'no secret in the dump';
is +(run_command(build_file('webhookctl')))[0], 2, 'no command is exit 2';
is +(run_command(build_file('webhookctl'), 'help'))[0], 0, 'help';

# ---- more deliveries than one page of the store holds ----
$srv->post('/token', '{}', headers => ['Content-Type' => 'application/json', 'X-Token' => $secret]) for 1 .. 510;
my %seen;
my @all = map { $_->{id} } $srv->ctl_json('list', '--limit', 100000);
is scalar(@all), 513, 'list: page after page';
is scalar(grep { !$seen{$_}++ } @all), 513, 'list: each of them once';
is_deeply \@all, [reverse sort @all], 'list: newest first over all pages';
is scalar(my @some = $srv->ctl_json('list', '--limit', 505)), 505, 'list: no more than asked for';
$srv->stop;
is ctl('list', '--limit', 1)->{rc}, 0, 'list: also while the server is stopped';

# ---- the man page knows every command ----
my $man = slurp(stage() . '/mod_webhook/manual/webhookctl.1');
my ($help) = (run_command(build_file('webhookctl'), 'help'))[1];
my @commands = $help =~ /^  (\w+) ?/mg;
cmp_ok scalar(@commands), '>=', 12, 'commands in help';
like $man, qr/\b\Q$_\E\b/, "man page: $_" for @commands;
done_testing;
