# SPDX-License-Identifier: Apache-2.0
#
# Upstreams at their worst behind a running server, all at once: every attempt ends, with the right outcome and reason; the dispatcher stays
# small, and the good upstream beside them is served. What each single behaviour does is in unit/test_handler_upstream.c.
use lib 't/lib';
use WebhookTest;
use IO::Socket::INET;
use Socket ();
use Time::HiRes ();

my $secret = 'hostile-secret';
my $each = 8;
my %ok = (state => 'done');
my %dead = (state => 'dead', reason => 'http-status');
sub lost { return { state => 'dead', reason => 'transport' } }
my $block = 'b' x 65536;
my $head = "HTTP/1.1 200 OK\r\n";
# what is said, what is said again and again, how it ends; what becomes of the job (within=0: the first failure is the last)
my %act = (
    good        => { say => "${head}Content-Length: 2\r\n\r\nok", want => { %ok } },
    reset       => { reset => 1, want => lost() },
    'reset-mid' => { say => "${head}Content-Length: 100000\r\n\r\nabc", reset => 1, want => lost() },
    silent      => { hang => 1, want => { state => 'dead', reason => 'timeout' } },
    unread      => { deaf => 1, want => { state => 'dead', reason => 'timeout' } },
    drip        => { say => "HTTP/1.1", drip => ' ', want => { state => 'dead', reason => 'timeout' } },
    'drip-body' => { say => "${head}Content-Length: 100000\r\n\r\n", drip => 'x', want => { state => 'dead', reason => 'timeout' } },
    'huge-head' => { say => $head, again => 'X-Big: ' . 'h' x 60_000 . "\r\n", want => lost() },
    'many-head' => { say => $head, again => "X-A: b\r\n" x 1000, want => lost() },
    interim     => { say => '', again => "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" x 100, want => lost() },
    chunks      => { say => "${head}Transfer-Encoding: chunked\r\n\r\n", again => "10000\r\n$block\r\n", want => { %ok } },
    endless     => { say => "$head\r\n", again => $block, want => { %ok } },
    'bad-chunk' => { say => "${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n", want => lost() },
    'bad-line'  => { say => "HTTP/1.1 OK 200\r\n\r\n", want => lost() },
    smtp        => { say => "220 mail ESMTP\r\n", want => lost() },
    short       => { say => "${head}Content-Length: 100\r\n\r\nshort", want => lost() },
    bomb        => { say => "${head}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", again => "10000\r\n$block\r\n", want => { %ok } },
    loop        => { say => "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n", want => { %dead } },
    lured       => { say => "HTTP/1.1 307 T\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", want => { %dead } },
    busy        => { say => "HTTP/1.1 429 Busy\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n", want => { %dead } },
    odd         => { say => "HTTP/1.1 503 Odd\r\nRetry-After: -1\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n", want => { %dead } },
    teapot      => { say => "HTTP/1.1 418 \x1b[31m\xff\r\nContent-Length: 6\r\n\r\n\x1b[31m\0\xff", want => { %dead } },
);
my $big = (1 << 20) * 20; # what the endless ones offer to each: far more than the dispatcher may grow

# ---- the upstream ----
my $listen = IO::Socket::INET->new(Listen => 256, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die $!;
my $port = $listen->sockport;
my $asked = tmp_dir('asked');
my $upstream = fork // die $!;
if (!$upstream) {
    setpgrp;
    open STDOUT, '>&', \*STDERR;
    alarm 0;
    $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
    $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $sock = $listen->accept or next;
        my $child = fork // next;
        if ($child) { close $sock; next }
        close $listen;
        serve($sock);
        POSIX::_exit(0);
    }
}
close $listen;
END { if ($upstream) { local $?; kill KILL => -$upstream; waitpid $upstream, 0 } }

sub serve {
    my ($sock) = @_;
    my $in = '';
    sysread $sock, $in, 65536, length $in or return until $in =~ /\r\n\r\n/;
    my ($path) = $in =~ m{^POST /(\S+)} or return;
    my $act = $act{$path} or return;
    open my $fh, '>>', "$asked/$path";
    syswrite $fh, "x\n";
    close $fh;
    if ($act->{deaf}) { sleep 600; return }
    my ($length) = $in =~ /^Content-Length: (\d+)/mi;
    while (length $in < index($in, "\r\n\r\n") + 4 + ($length // 0)) { sysread $sock, $in, 65536, length $in or last }
    my $all = sub { my ($text) = @_; for (my $at = 0; $at < length $text;) { my $n = syswrite $sock, $text, length($text) - $at, $at or return; $at += $n } return 1 };
    $all->($act->{say} // '') or return;
    if ($act->{hang}) { sleep 600 }
    if (defined $act->{drip}) { while ($all->($act->{drip})) { select undef, undef, undef, 0.05 } }
    if ($act->{again}) { for (my $sent = 0; $sent < $big && $all->($act->{again}); $sent += length $act->{again}) { } }
    setsockopt $sock, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0 if $act->{reset};
    close $sock;
    return;
}

# ---- the server ----
my @names = sort keys %act;
my $free = free_port();
my $srv = WebhookTest::Server->new(name => 'hostile', conf => join '', qq(WebhookBodyTimeout 5min\nWebhookLog "\@DIR\@/deliveries.jsonl"\n), map { my ($name, $url) = @$_; my $timeout = ($act{$name}{want}{reason} // '') eq 'timeout' ? '6s' : '5min'; <<"EOF" } (map { [$_, "http://127.0.0.1:$port/$_"] } @names), ['refuse', "http://127.0.0.1:$free/"]);
<WebhookHandler $name>
    WebhookSend  upstream "$url" timeout=$timeout concurrency=8
    WebhookRetry within=0
</WebhookHandler>
<Location "/$name">
    SetHandler webhook
    WebhookVerify  github
    WebhookSecret  file:\@DIR\@/secret
    WebhookName    $name
    WebhookDeliver $name
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
$srv->start;
$act{refuse} = { want => { state => 'dead', reason => 'connect' } };
push @names, 'refuse';

my $dispatcher = $srv->dispatcher;
sub peak { my ($kb) = slurp("/proc/$dispatcher/status") =~ /^VmHWM:\s+(\d+)/m; return $kb }
my $n = 0;
my $id = $srv->github('/good', $secret, github_push(n => $n++))->json->{id};
wait_for { $srv->ctl_json('show', $id)->{state} eq 'done' } 60, 'the first is delivered';
my $base = peak();
my $fds = () = glob "/proc/$dispatcher/fd/*";

my %ids;
for my $round (1 .. $each) {
    for my $name (@names) {
        my $res = $srv->github("/$name", $secret, github_push(n => $n++, pad => 'p' x ($name eq 'unread' ? 700_000 : 10)));
        push @{ $ids{$name} }, $res->json->{id};
    }
}
is scalar(map { @$_ } values %ids), $each * @names, "$each to each of " . @names;
my $total = $each * @names + 1;
my $dump = spew($srv->path('dump'), $srv->dump);
sub tool { my (undef, $out) = run_command(build_file('webhookctl'), '--dump', $dump, @_, '--json'); return json_decode($out) }
wait_for { my $s = tool('stats')->{store}; $s->{done} + $s->{dead} == $total } 120, 'every job has come to an end';
wait_for { grep({ $_->{log} =~ /^(?:done|dead)$/ } json_lines($srv->path('deliveries.jsonl'))) == $total } 60, 'and to its line in the delivery log';
my %seen;
for my $line (json_lines($srv->path('deliveries.jsonl'))) {
    if ($line->{log} eq 'attempt') {
        $seen{ $line->{handler} }{attempts}++;
        $seen{ $line->{handler} }{'too much kept'}++ if ($line->{output_length} // 0) > 65536;
    }
    $seen{ $line->{handler} }{ join ' ', $line->{log}, $line->{reason} // () }++ if $line->{log} =~ /^(?:done|dead)$/;
}
for my $name (@names) {
    my $want = $act{$name}{want};
    my $count = $each + ($name eq 'good');
    is_deeply $seen{$name}, { attempts => $count, join(' ', $want->{state}, $want->{reason} // ()) => $count }, "$name: $want->{state}" . ($want->{reason} ? ", $want->{reason}" : '');
    is scalar(lines("$asked/$name")), $count, "$name: asked once for each" if $name ne 'refuse';
}
my $grown = peak() - $base;
SKIP: {
    skip 'a sanitizer keeps what is freed', 1 if $ENV{WEBHOOK_ASAN};
    cmp_ok $grown, '<', 64 * 1024, "the dispatcher grew by $grown KiB, where " . ($big >> 20) * $each * 6 . ' MiB were offered';
}
is $srv->dispatcher, $dispatcher, 'and is the same process';
wait_for { (() = glob "/proc/$dispatcher/fd/*") <= $fds + 2 * @names } 60, 'descriptors were given back';
unlike slurp($srv->error_log), qr/[\x00-\x08\x0b-\x1f\x7f]/, 'nothing of it is raw in the error log';
is $srv->github('/good', $secret, github_push(n => $n++))->status, 202, 'and it goes on';

# ---- stopping while they hang ----
{
    $srv->github("/$_", $secret, github_push(n => $n++)) for ('silent', 'drip', 'drip-body', 'unread') x 4;
    wait_for { lines("$asked/silent") > $each && lines("$asked/drip") > $each } 60, 'attempts hang';
    $srv->stop;
    my @left = $srv->processes;
    is_deeply [@left, $srv->problems], [], 'a stop ends everything all the same';
    is tool('stats')->{store}{leased}, 0, 'and gives back what was leased';
}
done_testing;
