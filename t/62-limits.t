# SPDX-License-Identifier: Apache-2.0
#
# When descriptors, processes and patience run out: 503 or no answer, never a false one, no crash, and all is well again afterwards.
# Limits are set on the running processes, so that what fails is known.
use lib 't/lib';
use WebhookTest;
use Errno qw(EAGAIN EINPROGRESS EWOULDBLOCK);
use IO::Select;
use Socket qw(MSG_NOSIGNAL);

my $secret = 'limits-secret';
my ($prlimit) = grep { -x } map { "$_/prlimit" } split /:/, $ENV{PATH};
plan(skip_all => 'no prlimit') if !$prlimit;
my $one = "StartServers 1\nServerLimit 1\nThreadsPerChild 64\nMaxRequestWorkers 64\nMinSpareThreads 1\nMaxSpareThreads 64\nListenBacklog 511\n";
my $where = <<'EOF';
<WebhookHandler lines>
    WebhookSend  file "@DIR@/out/lines"
    WebhookRetry first=1s factor=1 cap=1s within=1h
</WebhookHandler>
<WebhookHandler program>
    WebhookSend  pipe "@DIR@/program"
    WebhookRetry first=1s factor=1 cap=1s within=1h
</WebhookHandler>
<WebhookEndpoint main>
    WebhookVerify  github
    WebhookSecret  file:@DIR@/secret
    WebhookBodyLimit 1M
    WebhookDeliver lines
    WebhookDeliver program
</WebhookEndpoint>
<Location "/hook">
    SetHandler webhook
    WebhookUse main
</Location>
EOF
sub server {
    my ($name, $more) = @_;
    my $srv = WebhookTest::Server->new(name => $name, size => $one, conf => "WebhookBodyTimeout 5min\nWebhookBodyMemory 16K\nWebhookStore \"sqlite:\@DIR\@/state/queue.db\" body-file=4K\n$where" . ($more // ''));
    spew($srv->path('secret'), $secret, 0600);
    spew($srv->path('program'), "#!/bin/sh\ncat >/dev/null\necho \$WEBHOOK_ID >>$srv->{dir}/out/program\n", 0755);
    return $srv;
}
sub limit { my ($pid, $what, $value) = @_; my ($rc, undef, $err) = run_command($prlimit, '--pid', $pid, "--$what=$value"); die "prlimit: $err" if $rc; return }
sub threads { my ($pid) = @_; return scalar(() = glob "/proc/$pid/task/*") }
sub worker { my ($srv) = @_; my ($pid) = sort { threads($b) <=> threads($a) } $srv->children; return $pid }
# The limit that leaves $n more descriptors to a process.
sub nofile {
    my ($pid, $n) = @_;
    my %open = map { m{(\d+)$} ? ($1 => 1) : () } glob "/proc/$pid/fd/*";
    my $fd = 0;
    while (1) {
        if (!$open{$fd}) { $n-- or return $fd }
        $fd++;
    }
}
# Until the server holds no connection any more: an answered one is closed a moment later.
sub quiet {
    my ($srv) = @_;
    my $port = sprintf '%04X', $srv->port;
    return wait_for { !grep { my (undef, $local, undef, $state, @rest) = split; $local =~ /:$port$/ && $state ne '0A' && $rest[5] } lines('/proc/net/tcp') } 30;
}
sub soft { my ($pid, $what) = @_; my %name = (nofile => 'Max open files', nproc => 'Max processes'); my ($v) = slurp("/proc/$pid/limits") =~ /^\Q$name{$what}\E\s+(\S+)/m; return $v }
sub high_water { my ($pid) = @_; my ($kb) = (slurp("/proc/$pid/status") // '') =~ /^VmHWM:\s+(\d+)/m; return $kb // 0 }
sub zombies { my ($of) = @_; return grep { my $s = WebhookTest::Server::stat_of($_); $s && $s->{state} eq 'Z' && $s->{parent} == $of } map { m{(\d+)$} } glob '/proc/[0-9]*' }
sub states { my ($srv, $id) = @_; my ($row) = $srv->ctl_json('show', $id); return map { ($_->{handler} => $_) } @{ $row->{jobs} } }
sub all_done { my ($srv, $id) = @_; my %job = states($srv, $id); return !grep { $_->{state} ne 'done' } values %job }
my $n = 0;
sub body { my ($size) = @_; return github_push(n => $n++, pad => 'x' x ($size // 10)) }

# ---- JSON that takes much more memory than it has bytes: bounds of values, not of bytes, so that what senders really send may be large ----
{
    my $srv = server('amplify', qq(<Location "/asked">\n SetHandler webhook\n WebhookUse main\n WebhookDeliver lines "webhook_json('/1') == 'never'"\n</Location>\n))->start;
    my ($mib, $together) = (1024 * 1024, 16);
    is $srv->github('/asked', $secret, '[1]')->status, 202, 'amplify: a rule reads the payload';
    my ($pid, $before) = (worker($srv), high_water(worker($srv)));
    for my $unit ('{},', '[],', '"",', '0,', '[0],') {
        for my $fits (0, 1) {
            my $body = '[' . $unit x ($fits ? ($unit eq '[0],' ? 49_000 : 99_000) : int(($mib - 4) / length $unit));
            substr($body, -1) = ']';
            my $bytes = WebhookTest::Client::request_bytes(POST => '/asked', body => $body, headers => [@{ github_headers($secret, $body) }]);
            my @conn = map { my $c = $srv->connect; $c->print(substr $bytes, 0, -1); $c } 1 .. $together;
            $_->print(substr $bytes, -1) for @conn; # all at once
            my %got;
            for my $c (@conn) { my $res = $c->response('POST'); $got{ $res->status . ' ' . (($res->json // {})->{reason} // '') }++; $c->close }
            is_deeply \%got, $fits ? { '202 ' => $together } : { '413 json-values' => $together }, "amplify: $together of $unit, " . length($body) . ' bytes each';
        }
    }
    is worker($srv), $pid, 'amplify: the same process';
    my $grown = high_water($pid) - $before;
    SKIP: {
        skip 'a sanitizer keeps what is freed', 1 if $ENV{WEBHOOK_ASAN};
        cmp_ok $grown, '<', $together * 10 * 1024, "amplify: its memory grew by $grown KiB, less than 10 MiB for each that is read at once";
    }
}

# ---- a worker without descriptors ----
{
    my $srv = server('emfile')->start;
    announce(qr/AH00484: server reached MaxRequestWorkers/, qr/\[webhook:\w+\].*Too many open files/);
    is $srv->github('/hook', $secret, body(300_000))->status, 202, 'EMFILE: there are descriptors';
    my $pid = worker($srv);
    my $was = soft($pid, 'nofile');
    quiet($srv);

    limit($pid, 'nofile', nofile($pid, 1) . ':');
    my $res = $srv->github('/hook', $secret, body(50_000));
    is $res->status, 503, 'EMFILE: one descriptor, which the connection has: no temporary file, 503';
    is(($res->json // {})->{reason}, 'internal', 'internal');
    like $res->header('Retry-After'), qr/^[1-9]\d*$/, 'with Retry-After';
    my $small = body();
    quiet($srv);
    is $srv->github('/hook', $secret, $small)->status, 202, 'EMFILE: a small body needs none';

    my $large = body(12_000);
    quiet($srv);
    $res = $srv->github('/hook', $secret, $large);
    is $res->status, 503, 'EMFILE: none for the body\'s file in the store: 503';
    like(($res->json // {})->{reason}, qr/^store-/, 'a reason of the store');
    limit($pid, 'nofile', "$was:");
    is $srv->github('/hook', $secret, $large)->status, 202, 'EMFILE: taken when there are some again';
    is $srv->github('/hook', $secret, body(300_000))->status, 202, 'EMFILE: and a larger one';
    is worker($srv), $pid, 'by the same process';
    my @rows = $srv->ctl_json('list', '--limit', 100);
    is scalar @rows, 4, 'EMFILE: what was acknowledged is kept, and nothing else';
    for my $row (@rows) { wait_for { all_done($srv, $row->{id}) } 60, "EMFILE: $row->{id} is delivered" }
    my @lines = json_lines($srv->path('out', 'lines'));
    is_deeply [sort map { $_->{body_sha256} } @lines], [sort map { $_->{body_sha256} } @rows], 'EMFILE: unchanged';
    is(($srv->ctl('check'))[1], "consistent\n", 'EMFILE: the store is consistent');
}

# ---- a dispatcher without descriptors, then without processes ----
for (['nofile', 'Too many open files'], ['nproc', 'Resource temporarily unavailable']) {
    my ($what, $words) = @$_;
    my $srv = server($what)->start;
    announce(qr/WH0700: .*\Q$words\E/, qr/WH0[56]\d\d: .*(?:\Q$words\E|unable to open)/);
    my $id = $srv->github('/hook', $secret, body())->json->{id};
    wait_for { all_done($srv, $id) } 60, "$what: delivered before";
    my $pid = $srv->dispatcher;
    my $was = soft($pid, $what);
    limit($pid, $what, ($what eq 'nofile' ? nofile($pid, 0) : 1) . ':');
    my $next = $srv->github('/hook', $secret, body());
    is $next->status, 202, "$what: the dispatcher cannot work, accepting goes on";
    my %job;
    wait_for { %job = states($srv, $next->json->{id}); $job{program}{attempts} >= 2 && $job{program}{state} eq 'retry' } 60, "$what: its attempts fail and are repeated";
    my $first = $job{program}{attempt_rows}[0];
    is $first->{outcome}, 'retry', "$what: outcome";
    is $first->{reason}, 'not-started', "$what: reason";
    like $first->{detail}, qr/\Q$words\E/, "$what: detail";
    limit($pid, $what, "$was:");
    wait_for { all_done($srv, $next->json->{id}) } 60, "$what: delivered when there are some again";
    is $srv->dispatcher, $pid, "$what: by the same process";
    my %count;
    $count{$_}++ for lines($srv->path('out', 'program'));
    is $count{ $next->json->{id} }, 1, "$what: once";
    wait_for { !zombies($pid) } 30, "$what: no zombies";
}

# ---- a program that forks without end ----
{
    my ($uid) = $>;
    my $mine = () = grep { ((stat $_)[4] // -1) == $uid } glob '/proc/[0-9]*/task/*';
    my $max = $mine + 60;
    my $srv = server('bomb', <<"EOF");
<WebhookHandler bomb>
    WebhookSend  pipe "\@DIR\@/bomb" nproc=$max timeout=30s concurrency=3
    WebhookRetry within=0
</WebhookHandler>
<Location "/bomb">
    SetHandler webhook
    WebhookVerify  github
    WebhookSecret  file:\@DIR\@/secret
    WebhookDeliver bomb
</Location>
EOF
    spew($srv->path('bomb'), <<'EOF', 0755);
#!/usr/bin/perl
my $n = 0;
for (1 .. 20_000) {
    my $pid = fork;
    defined $pid or last;
    if (!$pid) { sleep 600; exit }
    $n++;
}
print "forked $n: $!\n";
EOF
    $srv->start;
    my @ids = map { $srv->github('/bomb', $secret, body())->json->{id} } 1 .. 6;
    for my $id (@ids) {
        my %job;
        wait_for { %job = states($srv, $id); ($job{bomb}{state} // '') =~ /^(?:done|dead)$/ } 60;
        my ($row) = @{ $job{bomb}{attempt_rows} };
        like $row->{output}, qr/\Aforked \d+: Resource temporarily unavailable\n\z/, "fork bomb: $job{bomb}{state}";
        my ($forked) = ($row->{output} // '') =~ /^forked (\d+)/;
        cmp_ok $forked // 0, '<=', $max, 'fork bomb: kept within nproc=';
    }
    wait_for { !grep { (slurp("$_/cmdline") // '') =~ m{^/usr/bin/perl\0\Q$srv->{dir}\E/bomb\0} } glob '/proc/[0-9]*' } 30, 'fork bomb: nothing of it is left';
    my $id = $srv->github('/hook', $secret, body())->json->{id};
    wait_for { all_done($srv, $id) } 60, 'fork bomb: other handlers work';
    my $pid = $srv->dispatcher;
    wait_for { !zombies($pid) } 30, 'fork bomb: no zombies';
}

# ---- concurrency bounds what runs at once ----
{
    my $srv = server('crowd', <<'EOF');
<WebhookHandler crowd>
    WebhookSend pipe "@DIR@/crowd" concurrency=3
</WebhookHandler>
<Location "/crowd">
    SetHandler webhook
    WebhookVerify  github
    WebhookSecret  file:@DIR@/secret
    WebhookDeliver crowd
</Location>
EOF
    mkdir $srv->path('out', 'running');
    spew($srv->path('crowd'), <<"EOF", 0755);
#!/bin/sh
cd $srv->{dir}/out
: >running/\$WEBHOOK_ID
ls running | wc -l >>seen
sleep 0.02
rm running/\$WEBHOOK_ID
EOF
    $srv->start;
    my @ids = map { $srv->github('/crowd', $secret, body())->json->{id} } 1 .. 60;
    wait_for { my @seen = lines($srv->path('out', 'seen')); @seen >= 60 } 60, 'crowd: all ran';
    my ($most) = sort { $b <=> $a } map { $_ + 0 } lines($srv->path('out', 'seen'));
    cmp_ok $most, '<=', 3, 'crowd: never more than concurrency= at once';
    wait_for { $srv->ctl_json('stats')->{store}{done} == 60 } 60, 'crowd: all done';
}

# ---- 200 uploads without end, at once ----
{
    my $srv = server('flood')->start;
    $srv->github('/hook', $secret, body(500_000)) for 1 .. 3;
    my $pid = worker($srv);
    my $base = high_water($pid);
    my $head = WebhookTest::Client::request_bytes(POST => '/hook', headers => [@{ github_headers($secret, 'x') }, 'Transfer-Encoding' => 'chunked']);
    my $chunk = sprintf "%x\r\n%s\r\n", 32768, 'z' x 32768;
    my (%conn, %status, $good);
    for (1 .. 200) {
        my $c = $srv->connect or next;
        $c->sock->blocking(0);
        $conn{ fileno $c->sock } = { c => $c, out => $head, in => '', sent => 0 };
    }
    is scalar(keys %conn), 200, 'flood: 200 connections';
    my $sel = IO::Select->new(map { $_->{c}->sock } values %conn);
    my $until = time + 600;
    my $turn = 0;
    while ($sel->count && time < $until) {
        my ($can_read, $can_write) = IO::Select->select($sel, $sel, undef, 5);
        for my $sock (@{ $can_read // [] }) {
            my $me = $conn{ fileno $sock } or next;
            my $got = sysread $sock, $me->{in}, 65536, length $me->{in};
            # an answer, or a reset that overtook it: either way this one is over
            if (!defined $got ? !$!{EAGAIN} : !$got || $me->{in} =~ /\r\n\r\n/) {
                $status{ $me->{in} =~ m{^HTTP/1.1 (\d+)} ? $1 : 'reset' }++;
                $sel->remove($sock);
                delete $conn{ fileno $sock };
                close $sock;
            }
        }
        for my $sock (@{ $can_write // [] }) {
            my $me = defined fileno $sock ? $conn{ fileno $sock } : undef;
            $me or next;
            $me->{out} = $chunk if !length $me->{out};
            my $done = send $sock, $me->{out}, MSG_NOSIGNAL;
            substr $me->{out}, 0, $done, '' if defined $done;
            $me->{sent} += $done // 0;
        }
        $good++ if ++$turn % 50 == 0 && $srv->get('/')->status == 200;
    }
    is $sel->count, 0, 'flood: each was ended by the server';
    is_deeply [grep { !/^(?:413|reset)$/ } keys %status], [], 'flood: with 413, as far as it was seen (' . join(', ', map { "$_: $status{$_}" } sort keys %status) . ')';
    cmp_ok $status{413} // 0, '>', 0, 'flood: it was seen';
    is worker($srv), $pid, 'flood: the same process';
    my $grown = high_water($pid) - $base;
    cmp_ok $grown, '<', 64 * 1024, "flood: memory grew by $grown KiB, less than 64 MiB, where 200 MiB had been taken in";
    is $srv->github('/hook', $secret, body())->status, 202, 'flood: good ones are taken';
    is scalar(my @rows = $srv->ctl_json('list', '--limit', 300)), 4, 'flood: nothing of it is kept';
    note('pages served meanwhile: ' . ($good // 0));
}
# ---- 500 senders that stall, each with a worker: good ones go on, and what they took is given back ----
{
    my $many = "StartServers 9\nServerLimit 9\nThreadsPerChild 64\nMaxRequestWorkers 576\nMinSpareThreads 1\nMaxSpareThreads 576\nListenBacklog 511\n";
    my $srv = WebhookTest::Server->new(name => 'stall', size => $many, conf => "RequestReadTimeout body=0\n$where" . <<'EOF');
<Location "/stalled">
    SetHandler webhook
    WebhookUse main
    WebhookBodyTimeout 5s
</Location>
EOF
    spew($srv->path('secret'), $secret, 0600);
    spew($srv->path('program'), "#!/bin/sh\ncat >/dev/null\n", 0755);
    $srv->start;
    my $body = body(20_000);
    my $request = WebhookTest::Client::request_bytes(POST => '/stalled', body => $body, headers => github_headers($secret, $body));
    my @peak;
    for my $round (1 .. 3) {
        my @slow = map { my $c = $srv->connect; $c->print(substr $request, 0, 10_000); $c } 1 .. 500;
        my $drip = 0;
        my @good;
        # until the first is over, they drip: their time is bounded all told
        while (!grep { my $in = ''; vec($in, fileno $_->sock, 1) = 1; select $in, undef, undef, 0 } $slow[0]) {
            $_->print(substr $request, 10_000 + $drip, 1) for @slow;
            $drip++;
            push @good, $srv->github('/hook', $secret, body())->status;
            select undef, undef, undef, 0.3;
        }
        is_deeply [grep { $_ != 202 } @good], [], 'stalled, ' . @good . ' good ones meanwhile: each is taken';
        cmp_ok scalar(@good), '>', 1, 'stalled: there were some';
        my %status;
        $status{ $_->response('POST')->status }++ for @slow;
        is_deeply \%status, { 408 => 500 }, 'stalled: each of 500 ends with 408';
        $_->close for @slow;
        quiet($srv);
        my $sum = 0;
        $sum += high_water($_) for grep { threads($_) > 60 } $srv->children;
        push @peak, $sum;
    }
    note("resident, summed over the children: @peak KiB");
    SKIP: {
        skip 'a sanitizer keeps what is freed', 1 if $ENV{WEBHOOK_ASAN};
        cmp_ok $peak[2] - $peak[1], '<', 16 * 1024, 'stalled: a third 500 take no memory that the second did not have';
    }
    my @rows = $srv->ctl_json('list', '--limit', 1000);
    is scalar(grep { $_->{body_length} > 10_000 } @rows), 0, 'stalled: nothing of them is kept';
}
done_testing;
