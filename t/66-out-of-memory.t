# SPDX-License-Identifier: Apache-2.0
#
# Allocations that fail, in workers and in the dispatcher, in every library: whatever happens to a request, what was acknowledged is kept
# and delivered unchanged, what was not signed is not let in, and all is well again afterwards.
use lib 't/lib';
use WebhookTest;

my $shim = build_file('modules/shim_malloc.so');
plan(skip_all => 'needs an allocator of its own') if $ENV{WEBHOOK_ASAN};
plan(skip_all => 'no shim') if !-e $shim;
my $secret = 'memory-secret';
my $up = WebhookTest::Upstream->new(sub { [200, [], 'ok'] });
my $url = $up->url('/in');
my $control = tmp_dir('control') . '/malloc';
spew($control, pack 'QQQ', 0, 0, 0);
sub every {
    my ($n) = @_;
    open my $fh, '+<:raw', $control or die $!;
    syswrite $fh, pack 'Q', $n;
    close $fh;
    return;
}
my $srv = WebhookTest::Server->new(name => 'memory', wrap => ['sh', '-c', 'ulimit -c 0; exec "$@"', 'sh'], # httpd aborts by design: no cores
    preload => $shim, env => { WEBHOOK_TEST_MALLOC => $control }, conf => <<"EOF");
WebhookStore "sqlite:\@DIR\@/state/queue.db" body-file=8K
WebhookLog "\@DIR\@/deliveries.jsonl" headers
<WebhookHandler lines>
    WebhookSend  file "\@DIR\@/out/lines"
    WebhookRetry first=1s factor=1 cap=1s within=1d
</WebhookHandler>
<WebhookHandler program>
    WebhookSend  pipe "\@DIR\@/program"
    WebhookRetry first=1s factor=1 cap=1s within=1d
</WebhookHandler>
<WebhookHandler api>
    WebhookSend  upstream "$url"
    WebhookRetry first=1s factor=1 cap=1s within=1d
</WebhookHandler>
<WebhookEndpoint main>
    WebhookVerify  github
    WebhookSecret  file:\@DIR\@/secret
    WebhookDeliver lines   "webhook_json('/pad') != ''"
    WebhookDeliver program "%{WEBHOOK_EVENT} == 'push'"
    WebhookDeliver api
</WebhookEndpoint>
<Location "/hook">
    SetHandler webhook
    WebhookUse main
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('program'), "#!/bin/sh\nsha256sum | cut -d' ' -f1 >>$srv->{dir}/out/program\n", 0755);
# everything that is said of it, but not a crash that nobody decided on
announce(qr/^\[crit\] Memory allocation failed, aborting process/, qr/\[(?:core|mpm_event|webhook|http|ssl|authz_core|reqtimeout|log_config)?:(?:warn|error|crit|alert|emerg)\](?!.*exit signal (?!Abort))/, qr/[Oo]ut of memory/, qr/exit signal Abort/);
$srv->start;

my (%acked, %status, $n);
my $patience = $WebhookTest::Client::PATIENCE;
$WebhookTest::Client::PATIENCE = 5;
for my $every (2000, 500, 100, 40, 15) {
    every($every);
    for my $i (1 .. 60) {
        my $body = github_push(n => $n++, pad => 'm' x ($i % 6 == 0 ? 20_000 : 100));
        my $forged = $i % 10 == 0;
        my $res = $srv->github('/hook', $forged ? 'wrong' : $secret, $body);
        $status{ $res->status . ($res->status == 401 && $forged ? ' of a forged one' : '') }++;
        is $res->status == 202 ? 'let in' : 'not', 'not', 'a forged one' if $forged;
        $acked{ sha256_hex($body) } = ($res->json // {})->{id} if $res->status == 202;
        next if ($res->error // '') ne 'timeout';
        # no child is left, and none gets through its start with so little: as on a real machine, it must first be given some
        every(0);
        wait_for { $srv->get('/')->status } 60, 'children came back';
        every($every);
    }
    every(0);
}
$WebhookTest::Client::PATIENCE = $patience;
my (undef, $failures) = unpack 'Q2', slurp($control);
note("$failures allocations failed; answers: " . join ', ', map { "$_: $status{$_}" } sort keys %status);
cmp_ok $failures, '>', 100, 'allocations failed';
is_deeply [grep { !/^(?:0|202|401 of a forged one|50[03])$/ } keys %status], [], 'accepted, 503 or no answer; nothing says that the sender was wrong';
my $body = github_push(n => $n++, pad => 'x');
wait_for { my $res = $srv->github('/hook', $secret, $body); $acked{ sha256_hex($body) } = $res->json->{id} if $res->status == 202; $res->status == 202 } 60, 'all is well afterwards';
cmp_ok scalar(keys %acked), '>', 10, scalar(keys %acked) . ' were acknowledged';

wait_for { my $s = eval { $srv->ctl_json('stats')->{store} }; $s && !$s->{queued} && !$s->{leased} && !$s->{retry} } 120, 'every job is done';
my $dump = spew($srv->path('dump'), $srv->dump);
my %row;
{
    my ($rc, $out) = run_command(build_file('webhookctl'), '--dump', $dump, 'list', '--limit', 1000, '--json');
    $row{ $_->{body_sha256} } = $_ for JSON::PP->new->utf8->incr_parse($out);
    ($rc, $out) = run_command(build_file('webhookctl'), '--dump', $dump, 'check');
    is $out, "consistent\n", 'the store is consistent';
}
is_deeply [grep { !$row{$_} || $row{$_}{id} ne $acked{$_} } sort keys %acked], [], 'what was acknowledged is kept, under that id';
is_deeply [grep { $row{$_}{state} ne 'done' } sort keys %acked], [], 'and done';
my %line = map { ($_->{body_sha256} => $_) } grep { ref } map { eval { json_decode($_) } } lines($srv->path('out', 'lines'));
my %program = map { ($_ => 1) } lines($srv->path('out', 'program'));
my %api = map { (sha256_hex($_->{body}) => 1) } $up->requests;
is_deeply [grep { !$line{$_} || sha256_hex($line{$_}{body}) ne $_ } sort keys %acked], [], 'in the file, unchanged';
is_deeply [grep { !$program{$_} } sort keys %acked], [], 'given to the program, unchanged';
is_deeply [grep { !$api{$_} } sort keys %acked], [], 'sent to the upstream, unchanged';
is scalar($srv->error_log_lines(qr/exit signal (?!Abort)/)), 0, 'no process crashed';
done_testing;
