# SPDX-License-Identifier: Apache-2.0
#
# Processes are killed, stopped and restarted under load; then every
# acknowledged delivery must have come out of every sink, unchanged, and no
# attempt may have run beside another of the same job. What is counted and by
# which rules is in WebhookTest::Ledger.
#
#   F1   SIGKILL of a worker process
#   F2   SIGKILL of the dispatcher
#   F2P  the dispatcher kills itself at named points, again and again; for a module built with -DWH_CRASH_POINTS
#   F3   SIGKILL of everything, then a start; sometimes a start is killed too
#   F4   SIGKILL of the parent and its workers, at once a new instance; the old dispatcher is still there for a moment
#   F5   SIGSTOP and SIGCONT of the dispatcher, half the time with a graceful restart in between
#   F6   SIGTERM, then a start; sometimes SIGHUP
#   F7   SIGKILL of the sentinel, sometimes a graceful restart soon after, before or after the parent noticed
#   F10  graceful restarts, programs running across them
#
# A few cycles here; make -f apxs.mk chaos CYCLES=200 SEED=7 FAULT=F2,F3
# MPM=worker for more. What is drawn by lot follows from SEED; when it happens does not.
use WebhookTest;
use WebhookTest::Ledger;

my $cycles = $ENV{WEBHOOK_CYCLES} || 5;
my $seed = $ENV{WEBHOOK_SEED} || time ^ $$;
my $mpm = $ENV{WEBHOOK_MPM} || 'event';
my @wanted = split /[\s,]+/, uc($ENV{WEBHOOK_FAULT} || 'F1,F2,F2P,F3,F4,F5,F6,F7,F10');

my $killed = qr/AH00052: child pid \d+ exit signal Killed \(9\)/;
my $torn = qr/WH0703: handler file: the last line of /; # a SIGKILL in the middle of a write
my $again = qr/WH0415: the dispatcher ended \(signal 9\), starting it again in \d+ ms/;
my $many = qr/AH10392: children are killed successively!/;
my $sentinel = qr/WH0401: the dispatcher's sentinel ended \(status 0x9\), starting another/;

# Programs that would still be running when the next dispatcher begins, were they not ended or waited for.
my $long = { linger => 300, concurrency => 32 };
my $longer = { linger => 700, concurrency => 48 };

# run: one cycle; deaths: how many dispatchers one cycle may kill or stop in their work; log: what the error log may say
my %fault = (
    F1 => { what => 'SIGKILL of a worker', deaths => 0, log => [$killed, $many], run => \&kill_worker },
    F2 => { what => 'SIGKILL of the dispatcher', deaths => 1, log => [$again, $torn], run => \&kill_dispatcher, ledger => $longer },
    F2P => { what => 'SIGKILL of the dispatcher at named points', deaths => 1, log => [$again, $torn], run => \&crash_at_points, ledger => $long,
        last => sub { my ($srv) = @_; delete $srv->{env}{WEBHOOK_CRASH_AT}; $srv->stop; $srv->start } },
    F3 => { what => 'SIGKILL of everything', deaths => 1, log => [$torn], run => \&kill_everything, ledger => $longer },
    F4 => { what => 'SIGKILL of the parent', deaths => 1, log => [$torn], run => \&kill_parent, ledger => $longer },
    F5 => { what => 'SIGSTOP of the dispatcher', deaths => 0, log => [], run => \&stop_dispatcher },
    F6 => { what => 'SIGTERM', deaths => 1, log => [], run => \&stop_server },
    F7 => { what => 'SIGKILL of the sentinel', deaths => 0, log => [$sentinel], run => \&kill_sentinel },
    F10 => { what => 'graceful restarts', deaths => 0, log => [], run => \&graceful, ledger => $long },
);

# ---- processes ----

sub comm { my ($pid) = @_; chomp(my $name = slurp("/proc/$pid/comm") // ''); return $name }

my ($sentinel_name, $dispatcher_name) = ('wh-sentinel', 'wh-dispatcher');

sub children_of {
    my ($parent) = @_;
    my @found;
    for my $pid (map { m{(\d+)$} } glob '/proc/[0-9]*') {
        my $stat = WebhookTest::Server::stat_of($pid) or next;
        push @found, $pid if $stat->{parent} == $parent && $stat->{state} !~ /[ZX]/;
    }
    return @found;
}

sub zombies_below {
    my (@parents) = @_;
    my %parent = map { $_ => 1 } @parents;
    return grep { my $s = WebhookTest::Server::stat_of($_); $s && $parent{ $s->{parent} } && $s->{state} eq 'Z' } map { m{(\d+)$} } glob '/proc/[0-9]*';
}

sub sentinels { my ($srv) = @_; return grep { comm($_) eq $sentinel_name } $srv->children }
sub workers { my ($srv) = @_; return grep { comm($_) ne $sentinel_name } $srv->children }
sub dispatchers { my ($srv) = @_; return grep { comm($_) eq $dispatcher_name } $srv->processes }

# The dispatcher of this generation: the sentinel's child. Not one that was killed and is not gone yet.
my %killed;
sub dispatcher {
    my ($srv) = @_;
    my @found;
    wait_for { @found = grep { !$killed{$_} && comm($_) eq $dispatcher_name } map { children_of($_) } sentinels($srv) } 120;
    return $found[0];
}

sub descriptors { my ($pid) = @_; return scalar(my @fd = glob "/proc/$pid/fd/*") }

sub doze { my ($from, $to) = @_; select undef, undef, undef, $from + rand($to - $from); return }

# ---- one cycle each; false when there was nothing to do it to ----

sub kill_worker {
    my ($srv) = @_;
    doze(0.05, 0.5);
    my @workers;
    wait_for { @workers = grep { !$killed{$_} } workers($srv) } 120 or return 0;
    my $pid = $workers[rand @workers];
    $killed{$pid} = 1;
    return kill KILL => $pid;
}

sub kill_dispatcher {
    my ($srv) = @_;
    my $pid = dispatcher($srv) or return 0;
    doze(0, 0.4);
    %killed = ($pid => 1);
    return kill KILL => $pid;
}

# Another point with each cycle; the sentinel starts the next, which dies there too.
my @points = qw(after-lease before-start after-start before-settle after-settle);
my $has_points = index(slurp(build_file('mod_webhook.so')), 'WEBHOOK_CRASH_AT') >= 0;

sub crash_at_points {
    my ($srv) = @_;
    $srv->{env}{WEBHOOK_CRASH_AT} = $points[rand @points] . ':' . (1 + int rand 8);
    $srv->terminate;
    $srv->start;
    doze(0.3, 1);
    return 1;
}

sub kill_everything {
    my ($srv) = @_;
    doze(0.05, 0.5);
    $srv->kill_all;
    killed_start($srv) if rand() < 0.25;
    $srv->start;
    return 1;
}

# A start that is killed somewhere on its way.
sub killed_start {
    my ($srv) = @_;
    my @argv = $srv->command('-D', 'FOREGROUND');
    unlink $srv->path('httpd.pid');
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        POSIX::setsid();
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $srv->path('stderr');
        open STDERR, '>>', $srv->path('stderr');
        $srv->with_env(sub { exec { $argv[0] } @argv or POSIX::_exit(127) });
    }
    doze(0, 0.2);
    kill KILL => $pid;
    waitpid $pid, 0;
    $srv->kill_all;
    return;
}

sub kill_parent {
    my ($srv, $bad) = @_;
    doze(0.05, 0.5);
    kill KILL => $srv->pid;
    wait_for { !$srv->running } 60;
    my @old = $srv->processes;
    for (1 .. 100) { # workers do not notice, and would keep the port
        my @workers = grep { comm($_) !~ /^wh-/ } $srv->processes or last;
        kill KILL => @workers;
        doze(0.001, 0.002);
    }
    $srv->start;
    # nobody tells the others, they see it
    wait_for { !grep { my $s = WebhookTest::Server::stat_of($_); $s && $s->{state} !~ /[ZX]/ } @old } 60
        or $bad->('still there: ' . join ', ', map { WebhookTest::Server::describe($_) } grep { kill 0 => $_ } @old);
    return 1;
}

sub stop_dispatcher {
    my ($srv) = @_;
    my $pid = dispatcher($srv) or return 0;
    doze(0, 0.3);
    kill STOP => $pid or return 0;
    my $generation = $srv->generations;
    my $graceful = rand() < 0.5;
    kill USR1 => $srv->pid if $graceful;
    doze(0.05, 0.6);
    kill CONT => $pid;
    # it may have been stopped with the store's lock in its hands, then the new generation waited for that
    return !$graceful || wait_for { $srv->generations > $generation } 120;
}

sub stop_server {
    my ($srv) = @_;
    doze(0.05, 0.5);
    if (rand() < 0.25) {
        $srv->restart;
        return 1;
    }
    $srv->terminate;
    $srv->start;
    return 1;
}

sub kill_sentinel {
    my ($srv) = @_;
    my @pid;
    wait_for { @pid = grep { !$killed{$_} } sentinels($srv) } 120 or return 0;
    doze(0.05, 0.5);
    %killed = ($pid[0] => 1);
    kill KILL => $pid[0] or return 0;
    if (rand() < 0.3) {
        doze(0, 1.5);
        $srv->graceful;
    }
    return 1;
}

sub graceful {
    my ($srv) = @_;
    if (rand() < 0.1) { # a storm
        for (1 .. 3) {
            kill USR1 => $srv->pid;
            doze(0, 0.05);
        }
    }
    $srv->graceful;
    doze(0, 0.3);
    return 1;
}

# ---- a fault ----

my @announce;

sub run_fault {
    my ($name) = @_;
    my $fault = $fault{$name};
    my ($number) = $name =~ /(\d+)/;
    srand($seed * 31 + $number);
    %killed = ();
    my $ledger = WebhookTest::Ledger->new(name => $name, seed => $seed * 16 + $number, %{ $fault->{ledger} // {} });
    my $srv = WebhookTest::Server->new(name => lc $name, loglevel => 'warn webhook:info', conf => $ledger->conf,
        mpm => $mpm, $mpm eq 'prefork' ? () : (size => "StartServers 4\nServerLimit 16\nThreadsPerChild 4\nMaxRequestWorkers 64\nMinSpareThreads 12\nMaxSpareThreads 64\n"))->start;
    my $began = time;
    push @announce, @{ $fault->{log} };

    my @bad;
    my $bad = sub { push @bad, @_ };
    $srv->graceful if $name eq 'F10'; # what the parent opens once is open now
    my $before = descriptors($srv->pid);
    $ledger->begin($srv);
    my $done = 0;
    my $acked = 0;
    for my $cycle (1 .. $cycles) {
        # a slow machine gets its load too: something new since the last cycle
        wait_for { $ledger->acked > $acked } 120;
        $acked = $ledger->acked;
        $done += $fault->{run}->($srv, $bad) ? 1 : 0;
        if (!$srv->running) {
            $bad->("the server is gone after cycle $cycle");
            last;
        }
        $ledger->throttle(400);
    }
    is $done, $cycles, "$cycles cycles";
    $ledger->finish;
    $fault->{last}->($srv) if $fault->{last};
    ok $srv->running && $ledger->drain($srv), 'every job ended';

    my $account = $ledger->account;
    diag("$name $fault->{what}: $done cycles in " . (time - $began) . ' s; ' . WebhookTest::Ledger::describe($account));
    ok !@{ $account->{problems} }, 'nothing lost, changed, mixed up or made up, nothing twice at once' or diag(map { "$_\n" } @{ $account->{problems} });
    cmp_ok $account->{acked}, '>=', $cycles, 'there was load';
    is $account->{acked}, $account->{sent}, 'everything was acknowledged in the end';

    my $deaths = $fault->{deaths} * $done;
    $deaths += $srv->error_log_lines($again) if $name eq 'F2P';
    my %in_flight = $ledger->in_flight;
    for my $sink (sort keys %in_flight) {
        cmp_ok $account->{sinks}{$sink}{repeats}, '<=', $deaths * $in_flight{$sink}, "$sink: no more repeats than attempts were cut off";
        if (!$fault->{deaths}) {
            is $account->{sinks}{$sink}{higher}, 0, "$sink: every attempt is the first";
            is $account->{sinks}{$sink}{interrupted}, 0, "$sink: none was cut off";
        }
    }
    cmp_ok $account->{torn}, '<=', $deaths, 'no more torn lines than deaths';
    if ($name eq 'F10' || $name eq 'F5') {
        my $failures = $account->{failures};
        is_deeply [grep { /^(?:refused|connect|timeout|cut|status-)/ } sort keys %$failures], [], 'no connection refused, no 5xx, no half answer';
        is_deeply [grep { $failures->{$_}[1] } sort keys %$failures], [], 'no failure of the first request of a connection';
    }

    my ($rc, $out, $err) = $srv->ctl('check');
    is $rc, 0, 'webhookctl check finds the store consistent' or diag "$out$err";
    if ($name eq 'F10') {
        # once more, so that nothing of the load is left in the parent
        $srv->graceful;
        wait_for { descriptors($srv->pid) <= $before } 60;
        cmp_ok descriptors($srv->pid), '<=', $before, 'the parent has as many descriptors as before';
    }
    my @dispatchers;
    wait_for { (@dispatchers = dispatchers($srv)) == 1 } 60;
    is scalar @dispatchers, 1, 'one dispatcher is left';
    my @zombies;
    wait_for { !(@zombies = zombies_below($srv->processes)) } 60;
    is scalar @zombies, 0, 'no zombies';
    $srv->stop;
    is_deeply [$srv->problems], [], 'the server stopped and left nothing behind';
    my @said = grep { my $line = $_; !grep { $line =~ $_ } @{ $fault->{log} } } map { WebhookTest::suspicious($_, 0) } $srv->error_log, $srv->path('stderr');
    is_deeply \@said, [], 'the error log has only what this fault must cause';
    is_deeply \@bad, [], 'nothing else went wrong';
    return;
}

# ---- would the account see it? ----

# Logs as they are after two deliveries, with one thing changed; the problems that are found, as "I3 pipe" and the like.
sub problems_with {
    my ($file, $change) = @_;
    my @body = map { qq({"id":"s$_"}) } 1, 2;
    my @sha = map { sha256_hex($_) } @body;
    my @id = map { "01900000-0000-7000-8000-00000000000$_" } 1, 2;
    my %log = (
        'sent.1' => join('', map { "s$_ $sha[$_ - 1]\n" } 1, 2),
        'acked.1' => join('', map { "s$_ 202 $id[$_ - 1]\n" } 1, 2),
        'failed.1' => '',
        'pipe.log' => join('', map { "\nstart $id[$_] 1 7 1\n\nbody $id[$_] 1 $body[$_]\n\nend $id[$_] 1 7 2\n" } 0, 1),
        'up.log' => join('', map { "start $id[$_] 1 $sha[$_]\nend $id[$_] 1 $sha[$_]\n" } 0, 1),
        'file.jsonl' => join('', map { qq({"webhook":1,"id":"$id[$_]","sender_id":"s) . ($_ + 1) . qq(","body_sha256":"$sha[$_]","body_length":11,"body":"{\\"id\\":\\"s)
            . ($_ + 1) . qq(\\"}","handler":"file","attempt":1}\n) } 0, 1),
    );
    local $_ = $log{$file};
    $change->();
    $log{$file} = $_;
    my $ledger = WebhookTest::Ledger->new(name => 'false', clients => 1);
    spew($ledger->path($_), $log{$_}) for keys %log;
    my %seen = map { /\A(\S+ \S+?):?\s/ ? ($1 => 1) : () } @{ $ledger->account->{problems} };
    return join ', ', sort keys %seen;
}

subtest 'the account sees what is wrong' => sub {
    is problems_with('up.log', sub { }), '', 'nothing is';
    for my $sink (['pipe', 'pipe.log'], ['file', 'file.jsonl'], ['up', 'up.log']) {
        my ($name, $file) = @$sink;
        is problems_with($file, sub { $_ = '' }), "I1 $name", "$name: both are lost";
        is problems_with($file, sub { s/^(?:start|body|end|\{).*000002[" ].*\n//mg }), "I1 $name", "$name: one is lost";
        is problems_with($file, sub { $_ .= $_ }), "I3 $name", "$name: both came twice as the same attempt";
        is problems_with($file, sub { my $more = $_; $more =~ s/^(start|body|end) (\S+) 1/$1 $2 2/mg; $more =~ s/"attempt":1/"attempt":2/g; $_ .= $more }), '',
            "$name: a repeat with a higher attempt is none";
        like problems_with($file, sub { s/00000000000(2[" ])/00000000001$1/g }), qr/\bI4 $name\b/, "$name: one came under another id";
    }
    is problems_with('pipe.log', sub { s/"s2"/"s3"/ }), 'I1 pipe, I2 pipe', 'pipe: other bytes';
    is problems_with('pipe.log', sub { s/^end \S+2 .*\n//m }), 'I1 pipe', 'pipe: one never ended';
    is problems_with('pipe.log', sub { s/^(start (\S+) 1 .*\n)/overlap $2 1 7 1\n$1/m }), 'I3 pipe', 'pipe: two at once';
    is problems_with('pipe.log', sub { s/^(start (\S+) )1( .*\n)/${1}1$3${1}2$3/m }), 'I3 pipe', 'pipe: an attempt ends after the next began';
    is problems_with('file.jsonl', sub { s/s2\\"/s3\\"/ }), 'I1 file, I2 file', 'file: other bytes';
    is problems_with('file.jsonl', sub { s/"attempt":1\}\n\z/"att/ }), 'I1 file', 'file: a torn line is no delivery';
    is problems_with('up.log', sub { s/ \w{64}\n\z/' ' . 'f' x 64 . "\n"/e }), 'I1 up, I2 up', 'up: other bytes';
    is problems_with('acked.1', sub { s/000002\n/000001\n/ }), 'I4 acked, I4 file, I4 pipe, I4 up', 'one id was given for two';
    is problems_with('acked.1', sub { s/s2/s3/ }), 'I1 file, I1 pipe, I1 up, I4 acked, I4 file, I4 pipe, I4 up', 'one was never sent';
};

diag("CYCLES=$cycles SEED=$seed MPM=$mpm");
for my $name (@wanted) {
    $fault{$name} or die "FAULT=$name: there are " . join(' ', sort keys %fault) . "\n";
    subtest "$name: $fault{$name}{what}" => sub {
        plan skip_all => 'the module was built without crash points' if $name eq 'F2P' && !$has_points;
        run_fault($name);
    };
}
announce(@announce);
done_testing;
