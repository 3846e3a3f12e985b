# SPDX-License-Identifier: Apache-2.0
package Turns;

# The measurements of bench.pl that need more than wrk: one request at a time towards an upstream of our own, and stores with many jobs.

use strict;
use warnings;
use IO::Select ();
use IO::Socket::INET ();
use Rig;
use Socket ();
use Time::HiRes ();

# The same order for the same round, another for the next.
sub shuffled {
    my ($round, @list) = @_;
    push @list, shift @list for 2 .. $round;
    return $round % 2 ? @list : reverse @list;
}

# ---- one request at a time ----

sub listener { return IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', ReuseAddr => 1) // die "upstream: $!\n" }

sub complete { # one whole HTTP message at the beginning of the buffer; its length
    my ($buf) = @_;
    my $end = index $$buf, "\r\n\r\n";
    return 0 if $end < 0;
    my $length = substr($$buf, 0, $end) =~ /^Content-Length:\s*(\d+)/mi ? $1 : 0;
    my $whole = $end + 4 + $length;
    return length $$buf >= $whole ? $whole : 0;
}

# Sends one request; when the upstream has all of it, the clock stops. Then the upstream answers and the client reads its answer.
sub one {
    my ($state, $request) = @_;
    my ($client, $upstream, $select) = @$state{qw(client upstream select)};
    my ($at, $answered, $took) = (0, 0);
    my $in = '';
    my $begun = Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC());
    while ($at < length $request) {
        $at += syswrite($client, $request, length($request) - $at, $at) // die "client: $!\n";
    }
    until ($answered && defined $took) {
        my @ready = $select->can_read(30) or die "idle: no answer, or nothing came to the upstream, within 30 s\n";
        for my $fh (@ready) {
            if ($fh == $upstream) {
                my $conn = $upstream->accept;
                setsockopt $conn, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
                $state->{buffer}{$conn} = '';
                $select->add($conn);
            }
            elsif ($fh == $client) {
                sysread $client, $in, 65536, length $in or die "idle: the server closed the connection\n";
                my $whole = complete(\$in) or next;
                $in =~ m{\AHTTP/1.1 2} or die 'idle: ', substr($in, 0, $whole), "\n";
                $answered = 1;
            }
            else {
                my $n = sysread $fh, $state->{buffer}{$fh}, 65536, length $state->{buffer}{$fh};
                if (!$n) {
                    delete $state->{buffer}{$fh};
                    $select->remove($fh);
                    close $fh;
                    next;
                }
                complete(\$state->{buffer}{$fh}) or next;
                $took = Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) - $begun;
                $state->{buffer}{$fh} = '';
                syswrite $fh, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            }
        }
    }
    return $took;
}

# idle(...): { path => [[seconds, ...] per round] }
sub idle {
    my ($port, $upstream, $body, $signature, $paths, $count, $rounds) = @_;
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "client: $!\n";
    setsockopt $client, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
    my %state = (client => $client, upstream => $upstream, select => IO::Select->new($client, $upstream), buffer => {});
    my %times;
    for my $i (-10 .. $count - 1) {
        for my $path (@$paths) {
            my $took = one(\%state, "POST $path HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n"
                . "X-Hub-Signature-256: $signature\r\nX-GitHub-Delivery: idle-$$-$i\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
            push @{ $times{$path}[$i * $rounds / $count] }, $took if $i >= 0; # the first ones warm up
            Time::HiRes::sleep(0.01); # until all is idle again
        }
    }
    return \%times;
}

# ---- stores with many jobs ----

sub store_bench {
    my ($name, @args) = @_;
    return Rig::run_as_user("$Rig::dir/lib/store_bench", "$Rig::dir/$name/state", 'seconds=0', 'body=1000', 'handler=archive', @args);
}

# A store with this many queued jobs, made anew, and nothing running on it.
sub fill {
    my ($name, $conf, $jobs) = @_;
    Rig::apache($name, $conf);
    Rig::stop($name);
    store_bench($name, "preload=$jobs", 'preload_body=1000', 'lease=0');
    system 'sync'; # what filling left to be written is no part of what is measured next
    return;
}

# Start a server on that store, its jobs paused: (seconds to the first acknowledgement after the start, accepts per second).
sub accept {
    my ($name, $conf, $body, $seconds) = @_;
    my $server = Rig::apache($name, $conf, keep => 1);
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->{port}) or die "client: $!\n";
    print $client "POST /kept HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\nConnection: close\r\n"
        . 'X-Hub-Signature-256: ' . Rig::signature($body) . "\r\nX-GitHub-Delivery: first-$name-$$-" . Time::HiRes::time() . "\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";
    $client->flush;
    my $answer = <$client> // '';
    my $first = Time::HiRes::time() - $server->{begun};
    $answer =~ m{\AHTTP/1.1 202} or die "first acknowledgement: $answer\n";
    close $client;
    Rig::pause($name);
    Rig::load($server->{port}, '/kept', $body, 1);
    my $rate = Rig::load($server->{port}, '/kept', $body, $seconds)->{rate};
    Rig::stop($name);
    return ($first, $rate);
}

# Leases per second, each settled as done. With few jobs the store is filled again and again, so that there are never more.
sub lease {
    my ($name, $jobs, $count) = @_;
    my @args = $jobs <= $count ? ("preload=$jobs", "lease=$jobs", 'repeat=' . int($count / $jobs)) : ("lease=$count");
    my ($rate) = store_bench($name, @args) =~ m{lease\+settle (\d+)/s} or die "no lease rate\n";
    return $rate;
}

1;
