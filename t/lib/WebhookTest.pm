# SPDX-License-Identifier: Apache-2.0
package WebhookTest;

# What test files share. "use WebhookTest;" gives Test::More and everything in
# @EXPORT below; end the file with done_testing. That, and only that:
#   - stops every server the file started,
#   - fails the file if an error log has a warning, an error, a crash or a
#     sanitizer report that announce() did not announce.
#
#   my $srv = WebhookTest::Server->new(mpm => 'event', conf => <<'EOF')->start;
#   <Location "/hook">...</Location>
#   EOF
#   my $res = $srv->request(POST => '/hook', headers => ['X-A' => 'b'], body => $bytes);
#   is $res->status, 202;
#   wait_for { -s $srv->path('out.log') } 30, 'the file got it';
#
# The server that Apache::Test keeps running for all files is base(), with the
# same methods for requests. Times given are ceilings, never waits.

use strict;
use warnings;
use Carp ();
use Digest::SHA ();
use File::Path ();
use IO::Socket::INET ();
use JSON::PP ();
use Test::More ();
use Time::HiRes ();
sub wait_for(&;$$); # its prototype is needed by the packages below
use WebhookTest::CA;
use WebhookTest::Client;
use WebhookTest::Elsewhere;
use WebhookTest::Server;
use WebhookTest::Upstream;

our @EXPORT = qw(
    done_testing is announce base ca stage build_file httpd have_module
    slurp spew lines json_lines json_encode json_decode tmp_dir free_port wait_for
    sha256_hex hmac_hex sign_github github_headers delivery_guid github_push run_command
);

sub import {
    my ($class) = @_;
    my $caller = caller;
    no strict 'refs';
    for my $name (@Test::More::EXPORT) {
        next if $name =~ /^(?:done_testing|is)$/ || $name =~ /^[\$\@%]/;
        *{"${caller}::$name"} = \&{"Test::More::$name"};
    }
    *{"${caller}::$_"} = \&{"WebhookTest::$_"} for @EXPORT;
    Test::More->builder->exported_to($caller);
    strict->import;
    warnings->import;
}

our $stage = $ENV{WEBHOOK_STAGE} or die "run tests with t/TEST\n";
my $base_log = "$stage/t/logs/error_log";
my ($base_from, %asan_known, $closed);
my @announced = (
    qr/AH01882/, # mod_ssl was compiled against another patch level of OpenSSL
    # an ungraceful stop of mpm_event closes its workers' sockets under them: one that is just lingering may notice
    qr/\(9\)Bad file descriptor: AH03092: process_lingering_close/,
    # a child that is told to end has three seconds, which a machine can stand still for; one that has to be killed says AH00046
    qr/AH00045: child process \d+ still did not exit, sending a SIGTERM/,
);
my $main = $$;

$base_from = -s $base_log || 0;
%asan_known = map { $_ => 1 } glob "$stage/t/logs/asan*";
$ENV{WEBHOOK_TEST_FILE} = "$0-$$"; # marks what this file starts
$SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
$SIG{ALRM} = sub { print STDERR Carp::longmess("# $0 takes too long"); exit 1 };
alarm($ENV{WEBHOOK_TEST_TIMEOUT} // 900); # one file; only so that a hang is an end, and says where it hung

sub stage { $stage }
sub build_file { "$stage/.build/$_[0]" }
sub httpd { $ENV{WEBHOOK_HTTPD} }
sub have_module { WebhookTest::Server::module_path($_[0]) }

# ---- the closing account ----

# Lines of the error log that match are expected in this file.
sub announce { push @announced, @_; return }

# Everything suspicious in a piece of an error log.
sub suspicious {
    my ($file, $from) = @_;
    open my $fh, '<', $file or return;
    seek $fh, $from, 0 if $from;
    my @found;
    while (my $line = <$fh>) {
        $line =~ /\[(?:[\w-]+:)?(?:warn|error|crit|alert|emerg)\]|AddressSanitizer|runtime error:|exit signal|core dump|Assertion|ASSERT|glibc detected|free\(\)|double free|stack smashing|buffer overflow detected/
            or next;
        chomp $line;
        push @found, $line if !grep { $line =~ $_ } @announced;
    }
    return @found;
}

sub account {
    return () if $closed++;
    my @bad;
    for my $srv (WebhookTest::Server::all()) {
        # an ungraceful stop of mpm_event looks at sockets its workers are freeing, and crashes now and then (close_worker_sockets)
        $srv->stop if $srv->pid;
        push @bad, map { $srv->name . ": $_" } $srv->problems,
            map { suspicious($_, 0) } $srv->error_log, $srv->path('stderr');
    }
    $_->stop for WebhookTest::Upstream::all();
    # what still runs would also keep the harness waiting for the end of its output
    # what was killed a moment ago may still be on its way out
    my @left;
    for (1 .. 100) {
        @left = WebhookTest::Server::marked("WEBHOOK_TEST_FILE=$ENV{WEBHOOK_TEST_FILE}") or last;
        select undef, undef, undef, 0.1;
    }
    if (@left) {
        push @bad, map { 'left behind: ' . WebhookTest::Server::describe($_) } @left;
        kill KILL => @left;
    }
    push @bad, map { "base server: $_" } suspicious($base_log, $base_from);
    for my $file (grep { !$asan_known{$_} } glob "$stage/t/logs/asan*") {
        push @bad, "sanitizer report $file", lines($file);
    }
    return @bad;
}

sub done_testing {
    my @bad = account();
    Test::More::ok(!@bad, 'no unannounced warning, error or crash in the error logs');
    Test::More::diag(map { "$_\n" } @bad > 60 ? (@bad[0 .. 59], '...') : @bad) if @bad;
    Test::More::done_testing();
}

END {
    if ($$ == $main && !$closed) {
        my $status = $?;
        my @bad = account();
        if (!Test::More->builder->summary || Test::More->builder->has_plan && Test::More->builder->has_plan eq 'skip_all') {
            $status ||= 0;
        }
        elsif (!$status) {
            print STDERR "# the file ended without done_testing\n";
            $status = 1;
        }
        print STDERR map { "# $_\n" } @bad;
        $? = $status || (@bad ? 1 : 0);
    }
}

# ---- the servers and their helpers ----

# Apache::Test's server, running all the time: requests only.
my $base;
sub base {
    require Apache::Test;
    return $base //= WebhookTest::Client->new(port => Apache::Test::config()->{vars}{port});
}

# A throw-away CA with a server's and a client's certificate, once per file.
my $ca;
sub ca { return $ca //= WebhookTest::CA->new(tmp_dir('ca')) }

# Below those that the system gives to connections: such a one could be taken by anybody's before our server listens there, or while it is stopped.
my %given;
sub free_port {
    my ($first) = (slurp('/proc/sys/net/ipv4/ip_local_port_range') // '') =~ /^(\d+)/;
    my ($low, $high) = ($first // 0) > 20_000 ? (10_000, $first) : (0, 0);
    for (1 .. 1000) {
        my $try = $high && $low + int rand($high - $low);
        next if $try && $given{$try};
        my $sock = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => $try, Proto => 'tcp') or next;
        my $port = $sock->sockport;
        return $port if !$given{$port}++;
    }
    die "no free port\n";
}

my $dirs = 0;
sub tmp_dir {
    my $dir = "$stage/t/srv/" . ($_[0] // 'tmp') . "-$$-" . $dirs++;
    File::Path::make_path($dir);
    return $dir;
}

# Until BLOCK is true, at most that many seconds, which are never fewer than
# 120: a machine may stand still for a while. With a name it is a check of its
# own. Returns what BLOCK returned last.
sub wait_for(&;$$) {
    my ($block, $seconds, $name) = @_;
    $seconds = 120 if ($seconds // 0) < 120;
    my $until = Time::HiRes::time() + $seconds;
    my ($got, $late);
    # looked at once more after the time is up: what came while this process stood still counts
    until (($got = $block->()) || $late) {
        $late = Time::HiRes::time() > $until;
        select undef, undef, undef, 0.02;
    }
    if (defined $name) {
        local $Test::Builder::Level = $Test::Builder::Level + 1;
        Test::More::ok($got, $name);
    }
    return $got;
}

# Test::More's, but two long strings that differ are not printed whole.
sub is ($$;$) {
    my ($got, $want, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::is($got, $want, $name)
        if !defined $got || !defined $want || $got eq $want || length("$got$want") < 4000;
    my $at = 0;
    $at++ while $at < length $got && $at < length $want && substr($got, $at, 1) eq substr($want, $at, 1);
    my $show = sub { my $from = $at > 40 ? $at - 40 : 0; sprintf "%d bytes, ...'%s'", length $_[0], substr $_[0], $from, 160 };
    return Test::More::fail($name) || Test::More::diag("they differ from byte $at on\n     got: ", $show->($got), "\nexpected: ", $show->($want)) && 0;
}

# ---- files and data ----

sub slurp {
    my ($file) = @_;
    open my $fh, '<:raw', $file or return;
    local $/;
    return scalar(<$fh>) // '';
}

# Writes the bytes; a mode may follow.
sub spew {
    my ($file, $bytes, $mode) = @_;
    open my $fh, '>:raw', $file or die "$file: $!\n";
    print $fh $bytes or die "$file: $!\n";
    close $fh or die "$file: $!\n";
    chmod $mode, $file if defined $mode;
    return $file;
}

sub lines { return split /\n/, slurp($_[0]) // '' }
# Those that end: the last one may just be written.
sub json_lines { return map { json_decode($_) } (slurp($_[0]) // '') =~ /^(.*)\n/mg }
sub json_encode { JSON::PP->new->utf8->canonical->encode($_[0]) }
sub json_decode { JSON::PP->new->utf8->allow_nonref->decode($_[0]) }

# A program's exit status, output and errors; the words are its argv.
sub run_command {
    my @argv = @_;
    my $dir = tmp_dir('cmd');
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', "$dir/out";
        open STDERR, '>', "$dir/err";
        exec { $argv[0] } @argv or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    my $rc = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    my @result = ($rc, slurp("$dir/out"), slurp("$dir/err"));
    File::Path::remove_tree($dir);
    return @result;
}

# ---- senders ----

sub sha256_hex { Digest::SHA::sha256_hex($_[0]) }
sub hmac_hex { my ($secret, $body, $bits) = @_; Digest::SHA->can('hmac_sha' . ($bits // 256) . '_hex')->($body, $secret) }
sub sign_github { my ($secret, $body) = @_; return 'sha256=' . hmac_hex($secret, $body) }

my $guid = 0;
sub delivery_guid { sprintf '%08x-%04x-11f0-8000-%012x', $$, $guid >> 16, $guid++ & 0xffff }

# The header list of a GitHub delivery: secret, body, then event => 'push', id => '...', type => 'application/json'.
sub github_headers {
    my ($secret, $body, %opt) = @_;
    return ['Content-Type' => $opt{type} // 'application/json', 'User-Agent' => 'GitHub-Hookshot/0000000',
        'X-GitHub-Event' => $opt{event} // 'push', 'X-GitHub-Delivery' => $opt{id} // delivery_guid(),
        'X-Hub-Signature-256' => sign_github($secret, $body)];
}

# A push event's payload; fields given replace or extend it.
sub github_push {
    return json_encode({ ref => 'refs/heads/main', before => '0' x 40, after => '1' x 40,
        repository => { id => 1, full_name => 'octo/hello' }, pusher => { name => 'octo' }, commits => [], @_ });
}

1;
