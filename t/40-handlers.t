# SPDX-License-Identifier: Apache-2.0
#
# Handlers behind a running server: file, program, persistent program, upstream; retries, dead letters, replay, delivery log, counters.
use lib 't/lib';
use WebhookTest;

my $up = WebhookTest::Upstream->new(sub {
    my ($req, $n) = @_;
    my ($mode) = $req->{path} =~ m{^/(\w+)};
    return [200, [], 'taken'] if $mode eq 'ok';
    return [410] if $mode eq 'gone';
    return [404, [], 'no such thing'] if $mode eq 'missing';
    return [302, ['Location' => '/ok']] if $mode eq 'moved';
    return ($req->{headers}{'x-delivery-attempt'} // 0) < 2 ? [503, ['Retry-After' => 1]] : [204] if $mode eq 'later';
    return 'close';
});

my $secret = 'handlers-secret';
my $conf = <<'EOF';
WebhookLog "@DIR@/deliveries.jsonl" headers body=64
<WebhookHandler lines>
    WebhookSend file "@DIR@/out/%Y.jsonl"
</WebhookHandler>
<WebhookHandler raw>
    WebhookSend file "@DIR@/out/raw" format=raw
</WebhookHandler>
<WebhookHandler program>
    WebhookSend pipe "@DIR@/program 'one word' two" cwd=@DIR@/out umask=077
</WebhookHandler>
<WebhookHandler failing>
    WebhookSend  pipe "@DIR@/failing"
    WebhookRetry first=1s cap=1s within=1h
</WebhookHandler>
<WebhookHandler permanent>
    WebhookSend pipe "@DIR@/permanent" fail=65,78
</WebhookHandler>
<WebhookHandler slow>
    WebhookSend  pipe "@DIR@/slow" timeout=1s
    WebhookRetry within=0
</WebhookHandler>
<WebhookHandler talker>
    WebhookSend  pipe "@DIR@/talker" mode=persistent
    WebhookRetry first=1s cap=1s within=1h
</WebhookHandler>
EOF
for my $name (qw(ok gone missing moved later down)) {
    my $url = $up->url("/$name?a=b");
    $conf .= qq(<WebhookHandler $name>\nWebhookSend upstream "$url" timeout=10s\nWebhookRetry first=1s cap=1s within=1h\n</WebhookHandler>\n);
}
for my $name (qw(lines raw program failing permanent slow talker ok gone missing moved later down)) {
    $conf .= <<"EOF";
<WebhookEndpoint $name>
    WebhookVerify  github
    WebhookSecret  file:\@DIR\@/secret
    WebhookDeliver $name
</WebhookEndpoint>
<Location "/$name">
    SetHandler webhook
    WebhookUse $name
</Location>
EOF
}

my $srv = WebhookTest::Server->new(name => 'handlers');
mkdir $srv->path('out', 'raw');
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('program'), <<'EOF', 0755);
#!/bin/sh
env | grep -v '^PWD=\|^SHLVL=\|^_=\|^OLDPWD=' | sort >"$WEBHOOK_ID.env"
printf '%s|' "$@" >"$WEBHOOK_ID.args"
pwd >"$WEBHOOK_ID.cwd"
ls /proc/self/fd >"$WEBHOOK_ID.fds"
grep NoNewPrivs /proc/self/status >"$WEBHOOK_ID.privs"
cat >"$WEBHOOK_ID.body"
echo done well
echo and said so >&2
EOF
spew($srv->path('failing'), <<'EOF', 0755);
#!/bin/sh
cat >/dev/null
[ "$WEBHOOK_ATTEMPT" -ge 3 ] && exit 0
echo attempt $WEBHOOK_ATTEMPT
exit 75
EOF
spew($srv->path('permanent'), "#!/bin/sh\nexit 65\n", 0755);
spew($srv->path('slow'), "#!/bin/sh\ntrap '' TERM\nsleep 600 &\nsleep 600\n", 0755);
spew($srv->path('talker'), <<'EOF', 0755);
#!/usr/bin/perl
use JSON::PP;
$| = 1;
while (<STDIN>) {
    my $d = decode_json($_);
    my $body = $d->{body};
    open my $fh, '>>', "$0.log";
    print $fh "$$ $d->{id} $d->{attempt} ", length $body, "\n";
    close $fh;
    if ($body =~ /retry/ && $d->{attempt} < 2) { print "retry $d->{id} 1\n" }
    elsif ($body =~ /fail/) { print "fail $d->{id} not wanted here\n" }
    elsif ($body =~ /die/ && $d->{attempt} < 2) { exit 3 }
    else { print "ok $d->{id}\n" }
}
EOF
$srv->write_conf($conf);
$srv->start;

sub deliver {
    my ($to, $body, %opt) = @_;
    my $res = $srv->github("/$to", $secret, $body, %opt);
    is $res->status, 202, "$to: accepted";
    return $res->json->{id};
}
sub row { return scalar $srv->ctl_json('show', $_[0]) }

# Waits until the delivery is in that state and gives its job.
sub settled {
    my ($id, $state) = @_;
    my $row;
    wait_for { $row = row($id); $row->{state} eq $state } 60;
    is $row->{state}, $state, "$row->{endpoint}: $state";
    return $row->{jobs}[0];
}

my $body = github_push();

# ---- file ----
{
    my @ids = map { deliver('lines', github_push(n => $_)) } 1 .. 5;
    settled($_, 'done') for @ids;
    my ($file) = glob $srv->path('out', '2*.jsonl');
    my @lines = json_lines($file);
    is_deeply [sort map { $_->{id} } @lines], [sort @ids], 'file: a line for each';
    is $lines[0]{webhook}, 1, 'an envelope';
    is $lines[0]{handler}, 'lines', 'with the handler';
    is $lines[0]{attempt}, 1, 'and the attempt';
    is sha256_hex($lines[0]{body}), $lines[0]{body_sha256}, 'and the bytes';
    is sprintf('%o', (stat $file)[2] & 07777), '640', 'mode 0640';
    rename $file, "$file.1";
    settled(deliver('lines', $body), 'done');
    is scalar(json_lines($file)), 1, 'file: a rotated file is opened anew';
    rename $file, "$file.2";
    $srv->graceful;
    settled(deliver('lines', $body, id => 'after-graceful'), 'done');
    is scalar(json_lines($file)), 1, 'also after a graceful restart';

    my $binary = join '', map { chr } 0 .. 255;
    my $id = deliver('raw', $binary);
    settled($id, 'done');
    my @raw = glob $srv->path('out', 'raw', '*');
    is scalar(@raw), 1, 'raw: a file';
    like $raw[0], qr/\Q$id\E\.json$/, 'named by the delivery';
    is sha256_hex(slurp($raw[0])), sha256_hex($binary), 'with exactly the bytes';
}

# ---- program ----
{
    my $id = deliver('program', $body, event => 'push', id => 'guid-7');
    my $job = settled($id, 'done');
    my $out = sub { slurp($srv->path('out', "$id.$_[0]")) };
    is $out->('body'), $body, 'program: the received bytes';
    is $out->('args'), 'one word|two|', 'its arguments, without a shell';
    is $out->('cwd'), $srv->path('out') . "\n", 'its directory';
    like $out->('privs'), qr/1$/, 'no new privileges';
    is join(' ', split ' ', $out->('fds')), '0 1 2 3', 'no descriptors but 0, 1, 2 (3 is what ls reads the directory by)';
    is sprintf('%o', (stat $srv->path('out', "$id.body"))[2] & 07777), '600', 'umask';
    my %env = map { /^(\w+)=(.*)$/ ? ($1, $2) : () } split /\n/, $out->('env');
    my $row = row($id);
    is_deeply \%env, { PATH => '/usr/local/bin:/usr/bin:/bin', WEBHOOK_ID => $id, WEBHOOK_ENDPOINT => 'program', WEBHOOK_HANDLER => 'program', WEBHOOK_ATTEMPT => 1,
        WEBHOOK_SCHEME => 'github', WEBHOOK_VERIFIED => 1, WEBHOOK_KEY_ID => 1, WEBHOOK_EVENT => 'push', WEBHOOK_SENDER_ID => 'guid-7', WEBHOOK_RECEIVED => $row->{received},
        WEBHOOK_REMOTE_ADDR => '127.0.0.1', WEBHOOK_METHOD => 'POST', WEBHOOK_URI => '/program', WEBHOOK_CONTENT_TYPE => 'application/json',
        WEBHOOK_BODY_LENGTH => length $body, WEBHOOK_BODY_SHA256 => sha256_hex($body) }, 'exactly that environment';
    is $job->{attempt_rows}[0]{output}, "done well\nand said so\n", 'its output is kept';

    for my $value ('; touch /tmp/x', '$(id)', '`id`', "a\tb", '-rf', '../../etc', '%n%s', "\xc3\xa9", 'x' x 200) {
        my $got = deliver('program', $body, event => $value);
        settled($got, 'done');
        my ($event) = slurp($srv->path('out', "$got.env")) =~ /^WEBHOOK_EVENT=(.*)$/m;
        is $event, $value =~ /[\x00-\x1f\x7f]/ ? undef : $value, 'program: a hostile event is a value or nothing';
    }
}
{
    my $job = settled(deliver('failing', $body), 'done');
    is $job->{attempts}, 3, 'exit 75: tried again until it works';
    is_deeply [map { $_->{outcome} } @{ $job->{attempt_rows} }], [qw(retry retry done)], 'every attempt is kept';
    is $job->{attempt_rows}[0]{code}, 75, 'with its exit status';
    is $job->{attempt_rows}[1]{output}, "attempt 2\n", 'and output';

    my $id = deliver('permanent', $body, id => 'dead-1');
    $job = settled($id, 'dead');
    is $job->{reason}, 'exit-status', 'fail=65: a dead letter at once';
    is $job->{attempts}, 1, 'after one attempt';
    spew($srv->path('permanent'), "#!/bin/sh\nexit 0\n", 0755);
    my ($rc, $out) = $srv->ctl('replay', $id);
    is $rc, 0, 'replayed';
    $job = settled($id, 'done');
    is $job->{attempts}, 2, 'a new attempt of the same delivery';
    spew($srv->path('permanent'), "#!/bin/sh\nexit 65\n", 0755);
    my $other = github_push(n => 2);
    $id = deliver('permanent', $other, id => 'dead-2');
    settled($id, 'dead');
    spew($srv->path('permanent'), "#!/bin/sh\nexit 0\n", 0755);
    is deliver('permanent', $other, id => 'dead-2'), $id, 'a duplicate of a dead delivery has its id';
    is settled($id, 'done')->{attempts}, 2, 'and is delivered again';

    $id = deliver('slow', $body);
    $job = settled($id, 'dead');
    is $job->{reason}, 'timeout', 'within=0: a timeout is the end';
    wait_for { !grep { (slurp("/proc/$_/cmdline") // '') =~ /sleep\0600/ } $srv->processes } 30, 'the whole process group was killed';
}

# ---- persistent program ----
{
    my @ids = map { deliver('talker', github_push(n => $_)) } 1 .. 10;
    settled($_, 'done') for @ids;
    my @log = lines($srv->path('talker.log'));
    is scalar(@log), 10, 'persistent: every delivery';
    my %pids = map { (split)[0] => 1 } @log;
    is scalar(keys %pids), 1, 'by one process';
    is settled(deliver('talker', github_push(n => 'retry')), 'done')->{attempts}, 2, 'it may ask for another attempt';
    my $job = settled(deliver('talker', github_push(n => 'fail')), 'dead');
    is $job->{reason}, 'program', 'or give up';
    like $job->{attempt_rows}[0]{detail}, qr/not wanted here/, 'with its words';
    announce(qr/WH06\d\d.*exit status 3/);
    $job = settled(deliver('talker', github_push(n => 'die')), 'done');
    is $job->{attempts}, 2, 'it is started again when it ends';
}

# ---- upstream ----
{
    my $id = deliver('ok', $body, event => 'push', id => 'guid-9', headers => ['X-Mine' => 'yes', Cookie => 'secret', Authorization => 'Basic c2VjcmV0']);
    my $job = settled($id, 'done');
    is $job->{attempt_rows}[0]{code}, 200, 'upstream: its status is kept';
    is $job->{attempt_rows}[0]{output}, 'taken', 'and its answer';
    my ($req) = grep { $_->{path} =~ m{^/ok} } $up->requests;
    is $req->{body}, $body, 'the received bytes';
    is $req->{path}, '/ok?a=b', 'to that URL';
    is $req->{headers}{'x-delivery-id'}, $id, 'delivery id';
    is $req->{headers}{'idempotency-key'}, $id, 'idempotency key';
    is $req->{headers}{'x-delivery-attempt'}, 1, 'attempt';
    is $req->{headers}{'x-delivery-endpoint'}, 'ok', 'endpoint';
    is $req->{headers}{'x-delivery-event'}, 'push', 'event';
    is $req->{headers}{'x-mine'}, 'yes', 'the sender\'s headers';
    is $req->{headers}{'x-hub-signature-256'}, sign_github($secret, $body), 'with its signature';
    is $req->{headers}{cookie}, undef, 'but no cookies';
    is $req->{headers}{authorization}, undef, 'and no credentials';

    is settled(deliver('gone', $body), 'dead')->{attempt_rows}[0]{code}, 410, '410: dead';
    is settled(deliver('missing', $body), 'dead')->{reason}, 'http-status', '404: dead';
    is settled(deliver('moved', $body), 'dead')->{attempt_rows}[0]{code}, 302, 'redirects are not followed';
    $job = settled(deliver('later', $body), 'done');
    is $job->{attempts}, 2, '503: tried again';
    $id = deliver('down', $body);
    wait_for { my $row = row($id); $row->{jobs}[0]{attempts} >= 2 && $row->{jobs}[0]{state} eq 'retry' } 60, 'a broken exchange is tried again';
    is row($id)->{jobs}[0]{reason}, 'transport', 'with its reason';
}

# ---- the delivery log ----
{
    my (@log, %count);
    wait_for { @log = json_lines($srv->path('deliveries.jsonl')); %count = map { $_->{log} => 1 } @log; $count{attempt} && $count{done} && $count{dead} } 30;
    ok $count{$_}, "delivery log: $_" for qw(accepted duplicate attempt done dead);
    is $srv->github('/ok', 'wrong', $body)->status, 401, 'refused';
    my ($refused) = grep { $_->{log} eq 'refused' } json_lines($srv->path('deliveries.jsonl'));
    is $refused->{reason}, 'signature-mismatch', 'delivery log: refused with its reason';
    is $refused->{body}, undef, 'a refused body is not logged';
    my $all = slurp($srv->path('deliveries.jsonl'));
    unlike $all, qr/c2VjcmV0|"Cookie","secret/, 'credentials are masked';
    unlike $all, qr/\Q$secret\E/, 'and no secret is in it';
    my ($accepted) = grep { $_->{log} eq 'accepted' && $_->{endpoint} eq 'ok' } @log;
    ok ref $accepted->{headers}, 'headers are there when asked for';
}

# ---- counters ----
{
    my $stats;
    wait_for { $stats = $srv->ctl_json('stats'); ($stats->{counters}{handlers}{gone}{dead} // 0) == 1 } 30; # counted after it is settled
    cmp_ok $stats->{store}{done}, '>', 20, 'stats: jobs done';
    is $stats->{counters}{endpoints}{ok}{accepted}, 1, 'stats: accepted per endpoint';
    is $stats->{counters}{endpoints}{ok}{reasons}{'signature-mismatch'}, 1, 'stats: refusals by reason';
    is $stats->{counters}{handlers}{gone}{dead}, 1, 'stats: dead letters per handler';
    my ($rc, $out) = $srv->ctl('check');
    is $out, "consistent\n", 'the store is consistent';
}
done_testing;
