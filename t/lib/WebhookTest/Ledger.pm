# SPDX-License-Identifier: Apache-2.0
package WebhookTest::Ledger;

# Load, sinks and the account of the fault tests.
#
#   my $ledger = WebhookTest::Ledger->new(name => 'F2', seed => 1, clients => 4, pause => 12, linger => 20, concurrency => 4);
#   my $srv = WebhookTest::Server->new(conf => $ledger->conf, ...)->start;
#   $ledger->begin($srv);      # clients send until finish
#   ... faults ...
#   $ledger->finish;           # every id that was sent is acknowledged
#   $ledger->drain($srv);      # no job waits
#   my $account = $ledger->account;   # counts, and ->{problems}
#
# The rules of the account:
#   I1  everything acknowledged was delivered to each of the three sinks
#   I2  with the bytes that were sent
#   I3  a repeat has the same delivery id and a higher attempt, and no two attempts of a job run at once
#   I4  nothing was delivered that was not sent; one delivery id per sender's id, and the reverse
#
# Files, all below one directory: sent.N "id sha256" before a request is written for the first time; acked.N "id status delivery" after a
# whole 2xx was read; failed.N "kind first id" for every try that brought none, where first says whether it was the first request of its
# connection (kind "left": the sender went away by itself); pipe.log from modules/sink_pipe, file.jsonl from the file handler, up.log from the upstream here.

use strict;
use warnings;
use Digest::SHA ();
use Fcntl ();
use IO::Socket::INET ();
use POSIX ();
use Socket ();
use Time::HiRes ();

my $PATIENCE = 120;  # seconds for one answer
my $GIVE_UP  = 300;  # seconds for one delivery, over all its tries

sub new {
    my ($class, %opt) = @_;
    my $self = bless { clients => 4, pause => 12, linger => 20, concurrency => 4, seed => 1, name => 'ledger', body_file => '4K', %opt }, $class;
    $self->{dir} = WebhookTest::tmp_dir("ledger-$self->{name}");
    $self->{secret} = 'ledger secret';
    WebhookTest::spew("$self->{dir}/secret", $self->{secret}, 0600);
    $self->upstream;
    return $self;
}

sub path { my ($self, $name) = @_; return "$self->{dir}/$name" }

# Handlers, endpoint and store, for WebhookTest::Server's conf.
sub conf {
    my ($self) = @_;
    return <<"EOC";
WebhookStore "sqlite:\@DIR\@/state/queue.db" body-file=$self->{body_file}
<WebhookHandler pipe>
    WebhookSend pipe "\@BUILD\@/modules/sink_pipe $self->{dir} $self->{linger}" concurrency=$self->{concurrency} timeout=60s
    WebhookRetry first=1s
</WebhookHandler>
<WebhookHandler file>
    WebhookSend file "$self->{dir}/file.jsonl" concurrency=32
    WebhookRetry first=1s
</WebhookHandler>
<WebhookHandler up>
    WebhookSend upstream "http://127.0.0.1:$self->{up_port}/sink" concurrency=4 timeout=60s
    WebhookRetry first=1s
</WebhookHandler>
<Location "/hook">
    SetHandler webhook
    WebhookVerify github
    WebhookSecret file:$self->{dir}/secret
    WebhookDeliver pipe
    WebhookDeliver file
    WebhookDeliver up
</Location>
EOC
}

# The most repeats one death of a dispatcher can cause at each sink: what it had in flight.
sub in_flight { my ($self) = @_; return (pipe => $self->{concurrency}, file => 32, up => 4) }

# ---- processes of our own ----

sub spawn {
    my ($self, $code) = @_;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        open STDOUT, '>&', \*STDERR; # the harness waits for the end of stdout
        alarm 0;
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP CHLD);
        $SIG{PIPE} = 'IGNORE';
        my $ok = eval { $code->(); 1 };
        print STDERR "# ledger: $@" if !$ok;
        POSIX::_exit($ok ? 0 : 1);
    }
    return $pid;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} && $self->{owner} != $$;
    local ($?, $!, $@);
    for my $pid (@{ $self->{pids} // [] }, $self->{up_pid} // ()) {
        kill KILL => -$pid;
        kill KILL => $pid;
        waitpid $pid, 0;
    }
}

sub log_to {
    my ($self, $name) = @_;
    sysopen my $fh, $self->path($name), Fcntl::O_WRONLY() | Fcntl::O_APPEND() | Fcntl::O_CREAT() or die "$name: $!\n";
    return $fh;
}

sub put { my ($fh, $line) = @_; defined syswrite $fh, $line or die "log: $!\n"; return }

# ---- the upstream ----

sub upstream {
    my ($self) = @_;
    my $listen = IO::Socket::INET->new(Listen => 128, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "upstream: $!\n";
    $self->{up_port} = $listen->sockport;
    $self->{owner} = $$;
    $self->{up_pid} = $self->spawn(sub {
        setpgrp;
        $self->{owner} = 0; # DESTROY in here kills nothing
        $SIG{CHLD} = 'IGNORE';
        while (1) {
            my $sock = $listen->accept or next;
            my $child = fork // next;
            if (!$child) {
                close $listen;
                eval { $self->serve($sock) };
                print STDERR "# upstream: $@" if $@;
                POSIX::_exit(0);
            }
            close $sock;
        }
    });
    close $listen;
    return;
}

# Counts a delivery when it is whole, before it is answered.
sub serve {
    my ($self, $sock) = @_;
    my $log = $self->log_to('up.log');
    my $buf = '';
    srand($$);
    while (1) {
        until ($buf =~ /\r\n\r\n/) { sysread $sock, $buf, 65536, length $buf or return }
        $buf =~ s/\A(.*?)\r\n\r\n//s;
        my $head = $1;
        my ($length) = $head =~ /^Content-Length: *(\d+)/mi or die "no length in $head\n";
        my ($id) = $head =~ /^X-Delivery-Id: *(\S+)/mi;
        my ($attempt) = $head =~ /^X-Delivery-Attempt: *(\d+)/mi;
        my ($expects) = $head =~ /^Expect: *100-continue/mi;
        syswrite $sock, "HTTP/1.1 100 Continue\r\n\r\n" if $expects;
        while (length $buf < $length) { sysread $sock, $buf, 65536, length $buf or return }
        my $sha = Digest::SHA::sha256_hex(substr $buf, 0, $length, '');
        put($log, join(' ', 'start', $id // '-', $attempt // 0, $sha) . "\n");
        select undef, undef, undef, rand 0.01;
        put($log, join(' ', 'end', $id // '-', $attempt // 0, $sha) . "\n");
        defined syswrite $sock, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" or return;
    }
}

# ---- the senders ----

# Clients begin to send to that server (its port is what counts: it may be started anew under them).
sub begin {
    my ($self, $srv) = @_;
    unlink map { $self->path($_) } qw(stop slow);
    my $port = $srv->port;
    for my $n (1 .. $self->{clients}) {
        push @{ $self->{pids} }, $self->spawn(sub { $self->{owner} = 0; $self->client($n, $port) });
    }
    return $self;
}

# No new deliveries; back when every client had its last one acknowledged.
sub finish {
    my ($self) = @_;
    WebhookTest::spew($self->path('stop'), '');
    my @failed;
    for my $pid (splice @{ $self->{pids} }) {
        waitpid $pid, 0;
        push @failed, $pid if $?;
    }
    $self->{unfinished} = @failed;
    return $self;
}

my @PAD = ('abcdefghijklmnopqrstuvwxyz0123456789 ' x 40, "gr\xc3\xbc\xc3\x9fe \xe2\x82\xac ", 'tab\\t quote\\" slash\\/ ');

# A JSON object on one line, shorter than 64 KiB, most short, some long enough for a file of their own.
sub make_body {
    my ($id, $n) = @_;
    my $dice = rand;
    my $size = $dice < 0.75 ? 100 + int rand 1400 : $dice < 0.95 ? 4200 + int rand 5000 : 16000 + int rand 44000;
    my $pad = '';
    $pad .= $PAD[rand @PAD] while length $pad < $size;
    return qq({"id":"$id","n":$n,"pad":"$pad"});
}

sub client {
    my ($self, $number, $port) = @_;
    my ($sent, $acked, $failed) = map { $self->log_to("$_.$number") } qw(sent acked failed);
    srand($self->{seed} * 1009 + $number);
    my $conn;
    my $n = 0;
    until (-e $self->path('stop')) {
        my $id = sprintf '%08x-%04x-%04x-9000-%012x', $self->{seed} & 0xffffffff, $number, $$ & 0xffff, ++$n;
        my $body = make_body($id, $n);
        my $bytes = WebhookTest::Client::request_bytes(POST => '/hook', host => 'localhost', keepalive => 1, body => $body,
            headers => WebhookTest::github_headers($self->{secret}, $body, id => $id),
            rand() < 0.04 ? (chunked => [unpack '(a1000)*', $body]) : ());
        put($sent, "$id " . Digest::SHA::sha256_hex($body) . "\n");
        my $until = Time::HiRes::time() + $GIVE_UP;
        my $pause = rand() < 0.04 ? rand 0.2 : 0; # some take their time: between connecting and sending, or in the middle
        my $leave = rand() < 0.04;                # some go away without an answer, and come again
        while (1) {
            if (!$conn) {
                $conn = Conn->new($port);
                select undef, undef, undef, $pause if $pause > 0.1;
            }
            if ($leave && !$conn->{error}) {
                syswrite $conn->{sock}, $bytes;
                select undef, undef, undef, rand 0.01;
                undef $conn;
                $leave = 0;
                put($failed, "left 0 $id\n");
                next;
            }
            my ($kind, $status, $delivery) = $conn->exchange($bytes, $pause);
            if ($kind eq 'ok' && $status =~ /^2/) {
                put($acked, "$id $status $delivery\n");
                undef $conn if $conn->{closing} || rand() < 0.1; # keep-alive, but new ones all the time too
                last;
            }
            put($failed, join(' ', $kind eq 'ok' ? "status-$status" : $kind, $conn->{first}, $id) . "\n");
            undef $conn if $kind ne 'ok' || $conn->{closing};
            die "$id was not acknowledged within $GIVE_UP s\n" if Time::HiRes::time() > $until;
            select undef, undef, undef, 0.005 + rand 0.02;
        }
        select undef, undef, undef, rand($self->{pause} * 2) / 1000;
        select undef, undef, undef, 0.2 if -e $self->path('slow');
    }
    return;
}

{
    package Conn;

    sub new {
        my ($class, $port) = @_;
        my $self = bless { requests => 0, buf => '', first => 1 }, $class;
        socket $self->{sock}, Socket::PF_INET(), Socket::SOCK_STREAM(), 0 or die "socket: $!\n";
        setsockopt $self->{sock}, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
        $self->{error} = connect($self->{sock}, Socket::pack_sockaddr_in($port, Socket::inet_aton('127.0.0.1'))) ? ''
            : $!{ECONNREFUSED} ? 'refused' : 'connect';
        return $self;
    }

    sub fill {
        my ($self) = @_;
        my $bits = '';
        vec($bits, fileno $self->{sock}, 1) = 1;
        select $bits, undef, undef, $PATIENCE or return 'timeout';
        my $n = sysread $self->{sock}, $self->{buf}, 65536, length $self->{buf};
        return defined $n ? $n ? '' : 'eof' : 'reset';
    }

    # One request, one whole answer. Kinds: ok, refused, connect, eof, reset, timeout, cut (an answer that ended in the middle).
    sub exchange {
        my ($self, $bytes, $pause) = @_;
        return $self->{error} if $self->{error};
        $self->{first} = $self->{requests}++ ? 0 : 1;
        my $at = 0;
        if ($pause) {
            $at = syswrite($self->{sock}, $bytes, int rand length $bytes) // 0;
            select undef, undef, undef, $pause;
        }
        while ($at < length $bytes) {
            my $n = syswrite $self->{sock}, $bytes, length($bytes) - $at, $at;
            last if !defined $n; # there may be an answer nevertheless
            $at += $n;
        }
        my $why;
        until ($self->{buf} =~ /\r\n\r\n/) { ($why = $self->fill) && return length $self->{buf} ? 'cut' : $why }
        $self->{buf} =~ s/\A(.*?)\r\n\r\n//s;
        my $head = $1;
        my ($status) = $head =~ m{\AHTTP/1\.1 (\d{3})};
        my ($length) = $head =~ /^Content-Length: *(\d+)/mi;
        return 'cut' if !$status || !defined $length;
        while (length $self->{buf} < $length) { $self->fill && return 'cut' }
        my $body = substr $self->{buf}, 0, $length, '';
        $self->{closing} = $head =~ /^Connection: *close/mi ? 1 : 0;
        my ($delivery) = $body =~ /"id":"([0-9a-f-]{36})"/;
        return ('ok', $status, $delivery // '-');
    }
}

# Deliveries acknowledged and, of these, not yet done by the slowest sink: to slow the senders down when it grows. Reads only what is new.
sub backlog {
    my ($self) = @_;
    for my $file (map({ "acked.$_" } 1 .. $self->{clients}), 'pipe.log') {
        open my $fh, '<:raw', $self->path($file) or next;
        seek $fh, $self->{seen}{$file}{at} // 0, 0;
        local $/;
        my $new = <$fh> // '';
        $self->{seen}{$file}{at} += length $new;
        $self->{seen}{$file}{count} += $file eq 'pipe.log' ? () = $new =~ /^end /mg : $new =~ tr/\n//;
    }
    my $acked = 0;
    $acked += $self->{seen}{$_}{count} // 0 for map { "acked.$_" } 1 .. $self->{clients};
    return $acked - ($self->{seen}{'pipe.log'}{count} // 0);
}

# Deliveries acknowledged so far.
sub acked { my ($self) = @_; my $n = 0; $n += (WebhookTest::slurp($self->path("acked.$_")) // "") =~ tr/\n// for 1 .. $self->{clients}; return $n }

sub throttle {
    my ($self, $limit) = @_;
    if ($self->backlog > $limit) { WebhookTest::spew($self->path('slow'), '') }
    else { unlink $self->path('slow') }
    return;
}

# Until no job waits or runs; false when that does not happen.
sub drain {
    my ($self, $srv, $seconds) = @_;
    my $left;
    WebhookTest::wait_for {
        my $store = $srv->ctl_json('stats')->{store};
        $left = $store->{queued} + $store->{retry} + $store->{leased};
        select undef, undef, undef, 0.2 if $left;
        !$left;
    } $seconds // 600;
    return !$left;
}

# ---- the account ----

sub slurp_lines {
    my ($self, $prefix) = @_;
    my @lines = map { [split / /] } map { WebhookTest::lines($self->path("$prefix.$_")) } 1 .. $self->{clients};
    return @lines;
}

# Tries of the senders that brought no 2xx: { kind => [on later requests of a connection, on first requests] }
sub failures {
    my ($self) = @_;
    my %count;
    for ($self->slurp_lines('failed')) {
        $count{ $_->[0] } //= [0, 0];
        $count{ $_->[0] }[$_->[1]]++;
    }
    return \%count;
}

my %ESCAPE = (n => "\n", t => "\t", r => "\r", b => "\b", f => "\f", '"' => '"', '\\' => '\\', '/' => '/');

sub unescape {
    my ($text) = @_;
    $text =~ s{\\(?:u([0-9a-fA-F]{4})|(.))}{
        if (defined $1) { my $c = chr hex $1; utf8::encode($c); $c } else { $ESCAPE{$2} }
    }ge;
    return $text;
}

# What each sink saw, in order: [delivery id, attempt, sha256], one per finished delivery.
sub delivered_pipe {
    my ($self, $problem) = @_;
    my (@done, %sha, %running);
    my $starts = my $overlaps = 0;
    open my $fh, '<:raw', $self->path('pipe.log') or return { done => [], started => 0, overlaps => 0 };
    my %last;
    while (my $line = <$fh>) {
        chomp $line;
        if ($line =~ /^start (\S+) (\d+) /) {
            $starts++;
            $problem->("I3 pipe: $1 began attempt $2 after attempt $last{$1}") if ($last{$1} // 0) >= $2;
            $last{$1} = $2;
        }
        elsif ($line =~ /^body (\S+) (\d+) (.*)/s) { $sha{"$1 $2"} = Digest::SHA::sha256_hex($3) }
        elsif ($line =~ /^end (\S+) (\d+) /) {
            push @done, [$1, $2, delete $sha{"$1 $2"} // 'none'];
            $problem->("I3 pipe: attempt $2 of $1 ended after attempt $last{$1} began") if $last{$1} != $2;
        }
        elsif ($line =~ /^overlap (\S+) (\d+)/) { $overlaps++; $problem->("I3 pipe: attempt $2 of $1 runs beside another") }
    }
    return { done => \@done, started => $starts, overlaps => $overlaps };
}

sub delivered_file {
    my ($self, $problem) = @_;
    my (@done, %sender, $torn);
    $torn = 0;
    open my $fh, '<:raw', $self->path('file.jsonl') or return { done => [], started => 0, torn => 0 };
    while (my $line = <$fh>) {
        my ($id, $sender) = $line =~ /\A\{"webhook":1,"id":"([^"]+)".*?"sender_id":"([^"]+)"/;
        my ($sha, $text) = $line =~ /"body_sha256":"([0-9a-f]+)".*?"body":"((?:[^"\\]++|\\.)*+)"/s;
        my ($attempt) = $line =~ /"attempt":(\d+)\}\n\z/;
        if (!defined $attempt || !defined $text) {
            $torn++; # by a SIGKILL in the middle of a write; its delivery must come again, whole
            next;
        }
        my $is = Digest::SHA::sha256_hex(unescape($text));
        $problem->("I2 file: the body of $id is not what its body_sha256 says") if $is ne $sha;
        push @done, [$id, $attempt, $is, $sender];
    }
    return { done => \@done, started => scalar @done, torn => $torn };
}

sub delivered_up {
    my ($self, $problem) = @_;
    my (@done, $starts);
    $starts = 0;
    for (WebhookTest::lines($self->path('up.log'))) {
        my ($what, $id, $attempt, $sha) = split / /;
        if ($what eq 'start') { $starts++ }
        else { push @done, [$id, $attempt, $sha] }
    }
    return { done => \@done, started => $starts };
}

# Everything against everything. Returns { sent, acked, retries, failures, lost, overlaps, torn, sinks => { name => { delivered, repeats,
# higher => deliveries of an attempt above 1, interrupted => begun but not finished } }, problems => [texts] }.
sub account {
    my ($self) = @_;
    my (%sent, %by_sha, %acked, @problems, %many);
    my $problem = sub {
        my ($text) = @_;
        my ($kind) = $text =~ /\A(\S+ \S+)/;
        push @problems, $text if ++$many{$kind} <= 5;
    };
    for ($self->slurp_lines('sent')) {
        my ($id, $sha) = @$_;
        $sent{$id} = $sha;
        $by_sha{$sha} = $id;
    }
    for ($self->slurp_lines('acked')) {
        my ($id, $status, $delivery) = @$_;
        $problem->("I4 acked: $id was acknowledged without a delivery id") if $delivery eq '-';
        $problem->("I4 acked: $id was never sent") if !exists $sent{$id};
        $acked{$id} = $delivery;
    }
    $problem->("clients: $self->{unfinished} ended before everything was acknowledged") if $self->{unfinished};
    my %account = (sent => scalar keys %sent, acked => scalar keys %acked, lost => 0, overlaps => 0, failures => $self->failures);
    $account{retries} += $_->[0] + $_->[1] for values %{ $account{failures} };
    $account{retries} //= 0;

    my %of_sender = %acked; # sender's id => delivery id
    my %of_delivery = reverse %acked;
    $problem->('I4 acked: one delivery id was given for two') if keys %of_delivery != keys %acked;
    for my $sink (qw(pipe file up)) {
        my $seen = $self->can("delivered_$sink")->($self, $problem);
        my (%times, %attempt);
        my $repeats = my $higher = 0;
        for my $d (@{ $seen->{done} }) {
            my ($id, $attempt, $sha, $said) = @$d;
            my $sender = $by_sha{$sha};
            if (!defined $sender) {
                $problem->("I2 $sink: delivery $id has bytes that nobody sent");
                next;
            }
            $problem->("I2 $sink: delivery $id says it is $said, its body says $sender") if defined $said && $said ne $sender;
            $of_sender{$sender} //= $id;
            $of_delivery{$id} //= $sender;
            $problem->("I4 $sink: $sender came as $id and as $of_sender{$sender}") if $of_sender{$sender} ne $id;
            $problem->("I4 $sink: $id came for $sender and for $of_delivery{$id}") if $of_delivery{$id} ne $sender;
            $higher++ if $attempt > 1;
            if (defined $attempt{$id}) {
                $repeats++;
                $problem->("I3 $sink: $id came with attempt $attempt after attempt $attempt{$id}") if $attempt <= $attempt{$id};
            }
            $attempt{$id} = $attempt;
            $times{$sender}++;
        }
        my @lost = grep { !$times{$_} } keys %acked;
        $problem->("I1 $sink: $_ was acknowledged as $acked{$_} and never delivered") for @lost;
        $account{lost} += @lost;
        $account{overlaps} += $seen->{overlaps} // 0;
        $account{torn} = $seen->{torn} if defined $seen->{torn};
        # begun and not finished are the attempts that a fault interrupted
        $account{sinks}{$sink} = { delivered => scalar keys %times, repeats => $repeats, higher => $higher,
            interrupted => $seen->{started} - @{ $seen->{done} } };
    }
    $account{problems} = \@problems;
    return \%account;
}

# One line for people.
sub describe {
    my ($account) = @_;
    my $sinks = join ', ', map { my $s = $account->{sinks}{$_}; "$_ $s->{delivered} delivered $s->{repeats} repeated" . ($s->{interrupted} ? " $s->{interrupted} interrupted" : '') } qw(pipe file up);
    my $failures = join ' ', map { "$_=" . ($account->{failures}{$_}[0] + $account->{failures}{$_}[1]) } sort keys %{ $account->{failures} };
    return "sent $account->{sent}, acked $account->{acked}, lost $account->{lost}, overlaps $account->{overlaps}; $sinks; senders tried again $account->{retries}"
        . ($failures ? " ($failures)" : '');
}

1;
