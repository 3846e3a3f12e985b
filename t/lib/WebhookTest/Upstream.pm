# SPDX-License-Identifier: Apache-2.0
package WebhookTest::Upstream;

# A scripted HTTP server on loopback: answers in, requests out.
#
#   my $up = WebhookTest::Upstream->new(sub {
#       my ($req, $n) = @_;        # $n counts from 1
#       return $n == 1 ? [503, ['Retry-After' => 1], 'later'] : [200];
#   });
#   $up->url('/hook');  $up->requests;   # { n, method, path, headers => {lc name => value}, body, conn, time }
#
# Instead of [status, headers, body] the script may return 'close' (without an
# answer), 'hang' (until the peer goes), or { raw => bytes } to send just those
# and close. The script runs in a process of its own per connection: what it
# changes is not seen by the test.

use strict;
use warnings;
use Fcntl qw(:flock);
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use MIME::Base64 ();
use POSIX ();
use Time::HiRes ();

my @all;
sub all { return @all }

# new(SCRIPT, unix => 'name of a socket file', port => ...)
sub new {
    my ($class, $script, %opt) = @_;
    my $dir = WebhookTest::tmp_dir('up');
    my $unix = $opt{unix} ? "$dir/$opt{unix}" : undef;
    my $listen = $unix ? IO::Socket::UNIX->new(Listen => 128, Local => $unix)
        : IO::Socket::INET->new(Listen => 128, LocalAddr => '127.0.0.1', LocalPort => $opt{port} // 0, ReuseAddr => 1);
    $listen or die "upstream: $!\n";
    my $self = bless { log => "$dir/requests", unix => $unix, port => $unix ? undef : $listen->sockport }, $class;
    WebhookTest::spew($self->{log}, '');
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        setpgrp;
        open STDOUT, '>&', \*STDERR; # the harness waits for the end of stdout
        alarm 0;
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
        $SIG{CHLD} = 'IGNORE';
        my $conn = 0;
        while (1) {
            my $sock = $listen->accept or next;
            $conn++;
            my $child = fork // next;
            if (!$child) {
                close $listen;
                eval { $self->serve($sock, $script // sub { [200] }, $conn) };
                print STDERR "# upstream: $@" if $@;
                POSIX::_exit(0);
            }
            close $sock;
        }
    }
    close $listen;
    $self->{pid} = $pid;
    push @all, $self;
    return $self;
}

sub port { $_[0]{port} }
sub unix { $_[0]{unix} }
sub url { my ($self, $path) = @_; return "http://127.0.0.1:$self->{port}" . ($path // '/') }

sub requests {
    my ($self) = @_;
    return map { my $r = WebhookTest::json_decode($_); $r->{body} = MIME::Base64::decode_base64($r->{body}); $r }
        WebhookTest::slurp($self->{log}) =~ /^(.+)\n/mg; # not the one that is just being written
}

sub count { my ($self) = @_; return scalar(() = WebhookTest::slurp($self->{log}) =~ /\n/g) }

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill KILL => -$pid;
    kill KILL => $pid;
    local $?;
    waitpid $pid, 0;
    return;
}

sub serve {
    my ($self, $sock, $script, $number) = @_;
    my $conn = bless { sock => $sock, buf => '' }, 'WebhookTest::Connection';
    local $WebhookTest::Client::PATIENCE = 3600; # stop() ends it
    while (1) {
        while ($conn->{buf} !~ /\r\n\r\n/) { $conn->fill or return }
        $conn->{buf} =~ s/\A(.*?)\r\n\r\n//s;
        my ($first, @lines) = split /\r\n/, $1;
        my ($method, $path) = split / /, $first;
        my %headers;
        for (@lines) {
            my ($n, $v) = split /:\s*/, $_, 2;
            $n = lc $n;
            $headers{$n} = exists $headers{$n} ? "$headers{$n}, $v" : $v;
        }
        $conn->print("HTTP/1.1 100 Continue\r\n\r\n") if ($headers{expect} // '') =~ /100-continue/i;
        my $message = bless { status => 200, headers => [map { [$_, $headers{$_}] } keys %headers] }, 'WebhookTest::Response';
        my $body = $headers{'content-length'} || $headers{'transfer-encoding'} ? $conn->body($message, $method) : '';
        return if !defined $body;
        my %req = (method => $method, path => $path, headers => \%headers, body => $body, conn => $number, time => Time::HiRes::time());
        $req{n} = $self->record(\%req);
        my $answer = $script->(\%req, $req{n});
        if (!ref $answer) {
            return if $answer eq 'close';
            1 while $conn->fill; # hang
            return;
        }
        if (ref $answer eq 'HASH') {
            $conn->print($answer->{raw});
            return;
        }
        my ($status, $head, $content) = @$answer;
        $content //= '';
        my @head = @{ $head // [] };
        my $out = "HTTP/1.1 $status Scripted\r\nContent-Length: " . length($content) . "\r\n";
        while (my ($n, $v) = splice @head, 0, 2) { $out .= "$n: $v\r\n" }
        $conn->print("$out\r\n" . ($method eq 'HEAD' ? '' : $content)) or return;
    }
}

# One line per request; its number is its line.
sub record {
    my ($self, $req) = @_;
    open my $fh, '+>>', $self->{log} or die "$self->{log}: $!\n";
    flock $fh, LOCK_EX;
    seek $fh, 0, 0;
    my $n = 1;
    $n++ while <$fh>;
    my $line = WebhookTest::json_encode({ %$req, n => $n, body => MIME::Base64::encode_base64($req->{body}, '') }) . "\n";
    syswrite $fh, $line;
    close $fh;
    return $n;
}

1;
