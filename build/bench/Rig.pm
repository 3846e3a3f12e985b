# SPDX-License-Identifier: Apache-2.0
package Rig;

# What the benchmark runs things with: a directory of its own, a private Apache, other receivers, wrk, and the end of all of them. Every
# program is stopped by its pid; the directory is removed.
#
# As root everything but this script runs as an unprivileged user, as it would in production.

use strict;
use warnings FATAL => 'uninitialized'; # a path made of nothing would be somewhere else
use Digest::SHA ();
use File::Path ();
use File::Temp ();
use IO::Socket::INET ();
use JSON::PP ();
use POSIX ();
use Time::HiRes ();

our $SECRET = 'benchmark secret, thirty-two bytes';
our ($dir, $user, $group, $uid, $gid);
my ($build, $httpd, $libexec) = @ENV{qw(BENCH_BUILD BENCH_HTTPD BENCH_LIBEXEC)};
my (%running, $owner);

sub slurp { my ($f) = @_; open my $fh, '<:raw', $f or return; local $/; return scalar <$fh> }
sub spew { my ($f, $text, $mode) = @_; open my $fh, '>:raw', $f or die "$f: $!\n"; print $fh $text; close $fh; chmod $mode, $f if $mode; return $f }
sub free_port { return IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', ReuseAddr => 1)->sockport }
sub which { my ($name) = @_; -x "$_/$name" and return "$_/$name" for split /:/, $ENV{PATH}; return }

sub wait_for {
    my ($what, $seconds, $code) = @_;
    my $until = Time::HiRes::time() + $seconds;
    until ($code->()) {
        die "$what: not within $seconds s\n" if Time::HiRes::time() > $until;
        Time::HiRes::sleep(0.02);
    }
    return;
}

# ---- the directory ----

# Beside the build, or, when the server's user cannot get there, in the directory for temporary files: it has to be on the same file
# system, or the store would be measured on another disk.
sub begin {
    $owner = $$;
    if ($> == 0) {
        for my $name (qw(www-data apache nobody)) {
            my @pw = getpwnam $name or next;
            ($user, $uid, $gid, $group) = ($name, @pw[2, 3], scalar getgrgid $pw[3]);
            last;
        }
        die "no unprivileged user (www-data, apache, nobody) to run the server as\n" if !$user;
    }
    my @tries = ($build, $ENV{TMPDIR} // '/tmp', '/var/tmp');
    for my $parent (@tries) {
        next if !-d $parent || (stat $parent)[0] != (stat $build)[0];
        my $try = eval { File::Temp::tempdir('bench-XXXXXX', DIR => $parent) } or next;
        chmod 0755, $try;
        if (as_user("test -x $try && test -r $try")) {
            $dir = $try;
            last;
        }
        rmdir $try;
    }
    die "the server's user can use none of @tries on the file system of $build\n" if !$dir;
    mkdir "$dir/$_" or die "$dir/$_: $!\n" for qw(lib tmp);
    chmod 01777, "$dir/tmp";
    system('cp', "$build/mod_webhook.so", "$build/modules/mod_floor.so", "$build/webhookctl", "$build/bench/store_bench", "$build/bench/json_bench", "$build/bench/verify_bench", "$build/bench/pattern_bench", "$dir/lib") == 0
        or die "nothing was built in $build\n";
    (my $here = $INC{'Rig.pm'}) =~ s{/[^/]*$}{};
    system('cp', "$here/$_", "$dir/lib") == 0 or die "no $here/$_\n" for qw(post.lua receiver.js parse.js);
    system 'chmod', '-R', 'a+rX', "$dir/lib";
    $SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);
    $SIG{PIPE} = 'IGNORE';
    return;
}

END {
    if ($owner && $owner == $$) {
        local $?;
        stop_all();
        File::Path::remove_tree($dir) if $dir && !$ENV{BENCH_KEEP};
    }
}

# ---- programs ----

sub become_user {
    return if !$user;
    $( = $gid;
    $) = "$gid $gid";
    POSIX::setuid($uid);
    $> == $uid or POSIX::_exit(126);
    return;
}

sub spawn {
    my (%opt) = @_;
    my $pid = fork // die "fork: $!\n";
    return $pid if $pid;
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
    POSIX::setsid();
    open STDIN, '<', '/dev/null' or POSIX::_exit(126);
    open STDOUT, '>>', $opt{out} or POSIX::_exit(126);
    open STDERR, '>&', \*STDOUT;
    become_user() if $opt{as_user};
    $ENV{$_} = $opt{env}{$_} for keys %{ $opt{env} // {} };
    exec { $opt{argv}[0] } @{ $opt{argv} } or POSIX::_exit(127);
}

sub as_user {
    my ($command) = @_;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        become_user();
        exec '/bin/sh', '-c', $command or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return $? == 0;
}

sub run_as_user { # output of a command
    my (@argv) = @_;
    my $out = "$dir/output";
    my $pid = spawn(argv => \@argv, out => $out, as_user => 1);
    waitpid $pid, 0;
    my ($rc, $text) = ($?, slurp($out) // '');
    unlink $out;
    die "@argv: exit $rc: $text\n" if $rc;
    return $text;
}

# Start a server and wait until it takes connections.
sub serve {
    my ($name, $port, %opt) = @_;
    my $pid = spawn(out => "$dir/$name.log", %opt);
    $running{$name} = $pid;
    wait_for("$name on port $port", 30, sub {
        waitpid($pid, POSIX::WNOHANG()) == $pid and do { delete $running{$name}; die "$name ended:\n", slurp("$dir/$name.log") };
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
    });
    return $pid;
}

sub stop {
    my ($name) = @_;
    my $pid = delete $running{$name} or return;
    my @below = below($pid);
    kill CONT => $_ for @below; # a paused dispatcher cannot leave
    kill TERM => $pid;
    my $until = Time::HiRes::time() + 30;
    while (waitpid($pid, POSIX::WNOHANG()) == 0) {
        kill KILL => $pid if Time::HiRes::time() > $until;
        Time::HiRes::sleep(0.01);
    }
    return;
}

sub pid { my ($name) = @_; return $running{$name} }
sub stop_all { stop($_) for keys %running; return }

# ---- processes ----

sub parents {
    my %parent;
    for my $pid (map { m{(\d+)$} } glob '/proc/[0-9]*') {
        (slurp("/proc/$pid/stat") // '') =~ /\A\d+ \(.*\) (\S) (\d+)/s or next;
        $parent{$pid} = $2 if $1 ne 'Z';
    }
    return \%parent;
}

sub children { my ($pid, $parent) = @_; $parent //= parents(); return grep { $parent->{$_} == $pid } keys %$parent }
sub below { my ($pid, $parent) = @_; $parent //= parents(); return map { ($_, below($_, $parent)) } children($pid, $parent) }

# The dispatcher is the sentinel's child; workers have none.
sub dispatcher {
    my ($name) = @_;
    my $found;
    wait_for('the dispatcher', 30, sub {
        my $parent = parents();
        ($found) = map { children($_, $parent) } children($running{$name}, $parent);
        return $found;
    });
    return $found;
}

# Stop the dispatcher without ending it; not while it holds the store's lock, which would be an outage and not a pause. No requests may be
# running.
sub pause {
    my ($name) = @_;
    my $pid = dispatcher($name);
    my $inode = (stat "$dir/$name/state/queue.db.lock")[1];
    for (1 .. 100) {
        kill STOP => $pid;
        wait_for('the dispatcher to stop', 10, sub { (slurp("/proc/$pid/stat") // '') =~ /\) T/ });
        return $pid if slurp('/proc/locks') !~ /:$inode 0 /;
        kill CONT => $pid;
        Time::HiRes::sleep(0.01);
    }
    die "the dispatcher holds the store's lock whenever it is looked at\n";
}

# Memory of workers and dispatcher in kB: (sum of RSS, sum of PSS).
sub memory {
    my ($name) = @_;
    my ($rss, $pss) = (0, 0);
    for my $pid (below($running{$name})) {
        my $text = slurp("/proc/$pid/smaps_rollup") // next;
        $rss += $1 if $text =~ /^Rss:\s+(\d+)/m;
        $pss += $1 if $text =~ /^Pss:\s+(\d+)/m;
    }
    return ($rss, $pss);
}

# ---- Apache ----

# apache(NAME, CONF): @DIR@ in CONF is the server's directory. Event MPM with two children (BENCH_CHILDREN) and a fixed number of threads,
# each child with enough for all connections: it closes idle ones when it runs out of threads. The modules of an ordinary reverse proxy;
# no access log, which would only make the floor higher.
sub apache {
    my ($name, $conf, %opt) = @_;
    my $root = "$dir/$name";
    if (!$opt{keep}) {
        File::Path::remove_tree($root);
        mkdir $_ or die "$_: $!\n" for $root, map { "$root/$_" } qw(run htdocs);
        for my $sub (qw(state out)) {
            mkdir "$root/$sub", 0700;
            chown $uid, $gid, "$root/$sub" if $user;
        }
        spew("$root/$_", $opt{files}{$_}, 0644) for keys %{ $opt{files} || {} };
        spew("$root/secret", $SECRET, 0600);
        chown $uid, $gid, "$root/secret" if $user;
    }
    my $port = free_port();
    my $load = join '', map { -e "$libexec/mod_$_.so" ? qq(LoadModule ${_}_module "$libexec/mod_$_.so"\n) : '' }
        qw(mpm_event unixd authn_core authz_core log_config alias env setenvif headers reqtimeout proxy proxy_http);
    my $text = <<"EOC";
ServerRoot "$root"
ServerName localhost
Listen 127.0.0.1:$port
DefaultRuntimeDir "$root/run"
PidFile "$root/run/httpd.pid"
ErrorLog "$root/error_log"
LogLevel warn
DocumentRoot "$root/htdocs"
$load
LoadModule floor_module "$dir/lib/mod_floor.so"
LoadModule webhook_module "$dir/lib/mod_webhook.so"
@{[ $user ? "User $user\nGroup $group" : '' ]}
StartServers @{[ $ENV{BENCH_CHILDREN} // 2 ]}
ServerLimit @{[ $ENV{BENCH_CHILDREN} // 2 ]}
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers @{[ 128 * ($ENV{BENCH_CHILDREN} // 2) ]}
MinSpareThreads 1
MaxSpareThreads 512
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
<Directory "/">
    AllowOverride None
</Directory>
<Location "/floor">
    SetHandler floor
</Location>
$conf
EOC
    $text =~ s/\@DIR\@/$root/g;
    spew("$root/httpd.conf", $text);
    my $begun = Time::HiRes::time();
    my $pid = serve($name, $port, argv => [$httpd, '-d', $root, '-f', "$root/httpd.conf", '-D', 'FOREGROUND']);
    return { name => $name, port => $port, root => $root, pid => $pid, begun => $begun };
}

# What went wrong inside, if anything: nothing that was measured may have been an error.
sub complaints {
    my ($server) = @_;
    return grep { /\[(?:[\w-]+:)?(?:warn|error|crit|alert|emerg)\]|exit signal/ } split /^/, slurp("$server->{root}/error_log") // '';
}

sub store_stats {
    my ($server) = @_;
    return JSON::PP::decode_json(run_as_user("$dir/lib/webhookctl", '--store', "sqlite:$server->{root}/state/queue.db", '--json', 'stats'))->{store};
}

sub drain {
    my ($server, $seconds) = @_;
    wait_for('delivering the queue', $seconds // 300, sub { my $s = store_stats($server); !($s->{queued} + $s->{leased} + $s->{retry}) });
    return;
}

# ---- load ----

my $run = 0;

# A push as GitHub sends it, of this many bytes.
sub push_body {
    my ($bytes) = @_;
    my $body = '{"ref":"refs/heads/main","repository":{"id":35129377,"full_name":"acme/site","private":false},"commits":[';
    my $n = 0;
    while (length($body) < $bytes - 420) {
        $body .= ',' if $n;
        $body .= sprintf '{"id":"%s","tree_id":"%s","distinct":true,"message":"change %d of the site","timestamp":"2024-05-17T09:%02d:00+02:00",'
            . '"author":{"name":"A. Developer","email":"dev@example.org","username":"dev"},"added":[],"removed":[],"modified":["docs/page-%d.md"]}',
            Digest::SHA::sha1_hex("a$n"), Digest::SHA::sha1_hex("b$n"), $n, $n % 60, $n;
        $n++;
    }
    $body .= '],"pad":"';
    $body .= 'x' x ($bytes - length($body) - 2);
    return "$body\"}";
}

sub signature { return 'sha256=' . Digest::SHA::hmac_sha256_hex($_[0], $SECRET) }

# load(PORT, PATH, BODY, SECONDS): { rate, ok, p50, p99 } with 64 keep-alive connections.
sub load {
    my ($port, $path, $body, $seconds) = @_;
    my $file = spew("$dir/body", $body);
    my $out = "$dir/wrk.out";
    unlink $out;
    my $pid = spawn(argv => [which('wrk'), '-t1', '-c64', "-d${seconds}s", '-s', "$dir/lib/post.lua", "http://127.0.0.1:$port$path"], out => $out,
        env => { BENCH_BODY => $file, BENCH_PATH => $path, BENCH_SIGNATURE => signature($body), BENCH_RUN => "$$-" . ++$run });
    waitpid $pid, 0;
    my $text = slurp($out) // '';
    my ($requests, $usec, $status, $errors, $p50, $p99) = $text =~ /^RESULT (\d+) (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)/m or die "wrk: $text\n";
    # a server may close an idle connection at any time; what may not happen is an answer that is an error
    die "wrk on $path: not one answer within $seconds s\n" if !$requests;
    die "wrk on $path: $status answers were errors, $errors connections failed\n" if $status || $errors > $requests / 1000;
    return { rate => $requests * 1e6 / $usec, requests => $requests, p50 => $p50, p99 => $p99 };
}

1;
