# SPDX-License-Identifier: Apache-2.0
#
# A 2xx is a receipt: for each of 1,000 deliveries, sent by many clients at
# once, its row was written to the write-ahead log, a sync of that log, by
# whatever process, began after the write and returned, and only then the first
# byte of the answer was written to the socket. For bodies in files of their own the
# file and its directory were synced before the row was written. The order is
# taken down inside httpd by modules/shim_order.c.
use WebhookTest;

my $requests = 1000;
my $clients = 8;

my $dir = tmp_dir('order');
my $secret = 'order secret';
spew("$dir/secret", $secret, 0600);
my $srv = WebhookTest::Server->new(name => 'order', loglevel => 'warn', env => { WEBHOOK_ORDER => "$dir/order" },
    preload => build_file('modules/shim_order.so'), conf => <<"EOC")->start;
WebhookStore "sqlite:\@DIR\@/state/queue.db" body-file=4K
<Location "/hook">
    SetHandler webhook
    WebhookVerify github
    WebhookSecret file:$dir/secret
    WebhookDeliver "file:$dir/out.jsonl"
</Location>
EOC

# ---- the load: who was answered with which id ----

sub send_share {
    my ($number) = @_;
    open my $log, '>', "$dir/answered.$number" or die "$!\n";
    my $conn;
    for my $n (1 .. $requests / $clients) {
        my $mark = sprintf 'mark-%04d%04d', $number, $n;
        my $big = $n % 5 == 0;
        my $body = '{"pad":"' . 'x' x ($big ? 4200 + $n * 60 : 10 + $n * 7) . qq(","id":"$mark."});
        $conn //= $srv->connect or die "connect: $@\n";
        $conn->print(WebhookTest::Client::request_bytes(POST => '/hook', body => $body, keepalive => 1,
            headers => github_headers($secret, $body, id => "$mark."), $n % 7 ? () : (chunked => [unpack '(a900)*', $body])));
        my $res = $conn->response('POST');
        my $id = $res->json && $res->json->{id} // '-';
        print $log join(' ', $res->status, $mark, $id, $big ? 1 : 0), "\n";
        undef $conn if ($res->header('Connection') // '') =~ /close/i;
    }
    close $log or die "$!\n";
    return;
}

my @pids;
for my $number (1 .. $clients) {
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        alarm 0;
        open STDOUT, '>&', \*STDERR;
        my $ok = eval { send_share($number); 1 };
        print STDERR "# client: $@" if !$ok;
        POSIX::_exit($ok ? 0 : 1);
    }
    push @pids, $pid;
}
my $failed = 0;
for my $pid (@pids) {
    waitpid $pid, 0;
    $failed++ if $?;
}
is $failed, 0, 'the clients came through';
$srv->stop;

my @answered = map { [split / /] } map { lines("$dir/answered.$_") } 1 .. $clients;
is scalar(grep { $_->[0] == 202 } @answered), $requests, "$requests deliveries were acknowledged";

# ---- the trace ----

sub read_trace {
    my ($file) = @_;
    my %trace = (read => {}, row => {}, answer => {}, synced => []);
    for (lines($file)) {
        my ($n, $what, $pid, $tid, @rest) = split / /;
        if ($what eq 'read') { $trace{read}{ $rest[0] } = [$n, $pid, $tid] if ($trace{read}{ $rest[0] }[0] // 0) < $n } # the last: the body's end
        elsif ($what eq 'row') { $trace{row}{ $rest[0] } //= [$n, $pid] if !$trace{row}{ $rest[0] } || $trace{row}{ $rest[0] }[0] > $n } # the first
        elsif ($what eq 'answer') { $trace{answer}{ $rest[0] } = [$n, $pid, $tid] }
        elsif ($what eq 'synced') {
            my ($begin, $path) = (shift @rest, join ' ', @rest);
            my $kind = $path =~ /-wal$/ ? 'wal' : $path =~ m{-bodies/[0-9a-f]{2}/[^/]+$} ? 'body' : $path =~ m{-bodies/[0-9a-f]{2}$} ? 'dir' : '';
            push @{ $trace{synced} }, { begin => $begin, end => $n, pid => $pid, tid => $tid, kind => $kind } if $kind;
        }
    }
    return \%trace;
}

# The first of the syncs that began after number $from and returned before $to.
sub sync_between {
    my ($syncs, $from, $to) = @_;
    my ($found) = grep { $_->{begin} > $from && $_->{end} < $to } @{ $syncs // [] };
    return $found;
}

# What is wrong with each delivery: { mark => text }.
sub judge {
    my ($trace) = @_;
    my (@wal, %own, %bad);
    for my $s (sort { $a->{end} <=> $b->{end} } @{ $trace->{synced} }) {
        if ($s->{kind} eq 'wal') { push @wal, $s }
        else { push @{ $own{ $s->{kind} }{ $s->{tid} } }, $s }
    }
    for (@answered) {
        my ($status, $mark, $id, $big) = @$_;
        my ($read, $row, $answer) = ($trace->{read}{$mark}, $trace->{row}{$mark}, $trace->{answer}{$id});
        my $ready = $read ? $read->[0] : 0; # what the row may be written after
        $bad{$mark} = !$read ? 'the request was not seen' : !$answer ? 'the answer was not seen' : !$row ? 'the row was never written'
            : $row->[1] != $read->[1] ? 'another process wrote the row' : $row->[0] < $ready ? 'the row was written before the body was read' : undef;
        if (!defined $bad{$mark} && $big) {
            my $file = sync_between($own{body}{ $read->[2] }, $ready, $row->[0]);
            my $entry = $file && sync_between($own{dir}{ $read->[2] }, $file->{end}, $row->[0]);
            $bad{$mark} = 'the body file was not synced before the row was written' if !$file;
            $bad{$mark} //= 'the directory of the body file was not synced before the row was written' if !$entry;
        }
        $bad{$mark} //= 'the log was not synced between row and answer' if $row && $answer && !sync_between(\@wal, $row->[0], $answer->[0]);
        delete $bad{$mark} if !defined $bad{$mark};
    }
    return \%bad;
}

my $trace = read_trace("$dir/order.log");
my $bad = judge($trace);
is scalar(keys %$bad), 0, 'every answer came after the sync of what it acknowledges'
    or diag(map { "$_: $bad->{$_}\n" } (sort keys %$bad)[0 .. (keys %$bad > 10 ? 9 : keys(%$bad) - 1)]);
my $syncs = grep { $_->{kind} eq 'wal' } @{ $trace->{synced} };
diag("$requests deliveries, $syncs syncs of the log in all processes");

# ---- would it have been seen? The same trace, falsified ----

sub copy_of {
    my ($t) = @_;
    return { read => { %{ $t->{read} } }, row => { %{ $t->{row} } }, answer => { %{ $t->{answer} } }, synced => [map { {%$_} } @{ $t->{synced} }] };
}

{
    my $false = copy_of($trace);
    $false->{synced} = [grep { $_->{kind} ne 'wal' } @{ $false->{synced} }];
    is scalar(keys %{ judge($false) }), $requests, 'without a sync of the log every delivery is found fault with';
}
{
    my $false = copy_of($trace);
    $false->{synced} = [grep { $_->{kind} ne 'body' } @{ $false->{synced} }];
    is scalar(keys %{ judge($false) }), scalar(grep { $_->[3] } @answered), 'without syncs of body files every big one is';
    $false = copy_of($trace);
    $false->{synced} = [grep { $_->{kind} ne 'dir' } @{ $false->{synced} }];
    is scalar(keys %{ judge($false) }), scalar(grep { $_->[3] } @answered), 'without syncs of their directories too';
}
for my $one (@answered[0, $requests / 2, -1]) {
    my (undef, $mark, $id) = @$one;
    my $row = $trace->{row}{$mark};
    my ($sync) = sort { $a->{end} <=> $b->{end} } grep { $_->{kind} eq 'wal' && $_->{begin} > $row->[0] } @{ $trace->{synced} };
    my $false = copy_of($trace);
    $false->{answer}{$id} = [$sync->{end} - 0.5, @{ $trace->{answer}{$id} }[1, 2]];
    is_deeply [keys %{ judge($false) }], [$mark], "an answer just before the end of its sync is found ($mark)";
    $false = copy_of($trace);
    my $answer = $trace->{answer}{$id}[0];
    for (grep { $_->{kind} eq 'wal' && $_->{end} > $row->[0] && $_->{end} < $answer } @{ $false->{synced} }) { $_->{begin} = $row->[0] - 0.5 }
    ok exists judge($false)->{$mark}, "a sync that began before the row was written does not count ($mark)";
}
done_testing;
