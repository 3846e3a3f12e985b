# SPDX-License-Identifier: Apache-2.0
#
# Processes are killed, stopped and restarted under load; then every
# acknowledged delivery must have come out of every sink, unchanged, and no
# attempt may have run beside another of the same job. What is counted and by
# which rules is in WebhookTest::Ledger.
#
#   F1   SIGKILL of a worker process
#   F2   SIGKILL of the dispatcher
#   F3   SIGKILL of everything, then a start
#   F4   SIGKILL of the parent and its workers, at once a new instance; the old dispatcher is still there for a moment
#   F5   SIGSTOP and SIGCONT of the dispatcher, half the time with a graceful restart in between
#   F6   SIGTERM, then a start
#   F7   SIGKILL of the sentinel
#   F10  graceful restarts, programs running across them
#
# A few cycles here; make -f apxs.mk chaos CYCLES=200 SEED=7 FAULT=F2,F3 for
# more. What is drawn by lot follows from SEED; when it happens does not.
use WebhookTest;
use WebhookTest::Ledger;

my $cycles = $ENV{WEBHOOK_CYCLES} || 6;
my $seed = $ENV{WEBHOOK_SEED} || time ^ $$;
my @wanted = split /[\s,]+/, uc($ENV{WEBHOOK_FAULT} || 'F1,F2,F3,F4,F5,F6,F7,F10');

my $killed = qr/AH00052: child pid \d+ exit signal Killed \(9\)/;
my $torn = qr/WH0703: handler file: the last line of /; # a SIGKILL in the middle of a write
my $again = qr/WH0415: the dispatcher ended \(signal 9\), starting it again in \d+ ms/;
my $many = qr/AH10392: children are killed successively!/;
my $sentinel = qr/WH0401: the dispatcher's sentinel ended \(status 0x9\), starting another/;

# run: one cycle; deaths: how many dispatchers one cycle may kill or stop in their work; log: what the error log may say
my %fault = (
    F1 => { what => 'SIGKILL of a worker', deaths => 0, log => [$killed, $many], run => \&kill_worker },
    F2 => { what => 'SIGKILL of the dispatcher', deaths => 1, log => [$again, $torn], run => \&kill_dispatcher },
    F3 => { what => 'SIGKILL of everything', deaths => 1, log => [$torn], run => \&kill_everything },
    F4 => { what => 'SIGKILL of the parent', deaths => 1, log => [$torn], run => \&kill_parent },
    F5 => { what => 'SIGSTOP of the dispatcher', deaths => 0, log => [], run => \&stop_dispatcher },
    F6 => { what => 'SIGTERM', deaths => 1, log => [], run => \&stop_server },
    F7 => { what => 'SIGKILL of the sentinel', deaths => 0, log => [$sentinel], run => \&kill_sentinel },
    F10 => { what => 'graceful restarts', deaths => 0, log => [], run => \&graceful,
        ledger => { linger => 300, concurrency => 32 } },
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

sub kill_everything {
    my ($srv) = @_;
    doze(0.05, 0.5);
    $srv->kill_all;
    $srv->start;
    return 1;
}

sub kill_parent {
    my ($srv, $bad) = @_;
    doze(0.05, 0.5);
    my @old = $srv->processes;
    my @workers = workers($srv);
    kill KILL => $srv->pid;
    kill KILL => @workers; # they would keep the port
    wait_for { !$srv->running } 60;
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
    $srv->stop;
    $srv->start;
    return 1;
}

sub kill_sentinel {
    my ($srv) = @_;
    my @pid;
    wait_for { @pid = grep { !$killed{$_} } sentinels($srv) } 120 or return 0;
    doze(0.05, 0.5);
    %killed = ($pid[0] => 1);
    return kill KILL => $pid[0];
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
    my $number = substr $name, 1;
    srand($seed * 31 + $number);
    %killed = ();
    my $ledger = WebhookTest::Ledger->new(name => $name, seed => $seed * 16 + $number, %{ $fault->{ledger} // {} });
    my $srv = WebhookTest::Server->new(name => lc $name, loglevel => 'warn webhook:info', conf => $ledger->conf,
        size => "StartServers 4\nServerLimit 16\nThreadsPerChild 4\nMaxRequestWorkers 64\nMinSpareThreads 12\nMaxSpareThreads 64\n")->start;
    my $began = time;
    push @announce, @{ $fault->{log} };

    my @bad;
    my $bad = sub { push @bad, @_ };
    $srv->graceful if $name eq 'F10'; # what the parent opens once is open now
    my $before = descriptors($srv->pid);
    $ledger->begin($srv);
    my $done = 0;
    for my $cycle (1 .. $cycles) {
        $done += $fault->{run}->($srv, $bad) ? 1 : 0;
        if (!$srv->running) {
            $bad->("the server is gone after cycle $cycle");
            last;
        }
        $ledger->throttle(400);
    }
    is $done, $cycles, "$cycles cycles";
    $ledger->finish;
    ok $srv->running && $ledger->drain($srv), 'every job ended';

    my $account = $ledger->account;
    diag("$name $fault->{what}: $done cycles in " . (time - $began) . ' s; ' . WebhookTest::Ledger::describe($account));
    ok !@{ $account->{problems} }, 'nothing lost, changed, mixed up or made up, nothing twice at once' or diag(map { "$_\n" } @{ $account->{problems} });
    cmp_ok $account->{acked}, '>=', $cycles, 'there was load';
    is $account->{acked}, $account->{sent}, 'everything was acknowledged in the end';

    my %in_flight = $ledger->in_flight;
    for my $sink (sort keys %in_flight) {
        cmp_ok $account->{sinks}{$sink}{repeats}, '<=', $fault->{deaths} * $done * $in_flight{$sink}, "$sink: no more repeats than attempts were cut off";
        if (!$fault->{deaths}) {
            is $account->{sinks}{$sink}{higher}, 0, "$sink: every attempt is the first";
            is $account->{sinks}{$sink}{interrupted}, 0, "$sink: none was cut off";
        }
    }
    cmp_ok $account->{torn}, '<=', $fault->{deaths} * $done, 'no more torn lines than deaths';
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

diag("CYCLES=$cycles SEED=$seed");
for my $name (@wanted) {
    $fault{$name} or die "FAULT=$name: there are " . join(' ', sort keys %fault) . "\n";
    subtest "$name: $fault{$name}{what}" => sub { run_fault($name) };
}
announce(@announce);
done_testing;
