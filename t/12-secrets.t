# SPDX-License-Identifier: Apache-2.0
# Secrets of every kind at work: files that are read again when they change,
# variables, programs, several at once, times between which they count.
use WebhookTest;

my $BODY = '{"a":1}';
my $srv = WebhookTest::Server->new(name => 'secrets', loglevel => 'warn webhook:info', env => { WEBHOOK_TEST_SECRET => 'from-environment' },
    size => "StartServers 1\nServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16\n", conf => <<'EOF');
Header always set X-Key "%{WEBHOOK_KEY_ID}e"
<Location "/live">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret id=steady file:steady.key
    WebhookSecret id=moving file:moving.key
</Location>
<Location "/env">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret id=variable env:WEBHOOK_TEST_SECRET
</Location>
<Location "/exec">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret id=program "exec:@DIR@/program 'from program'"
</Location>
<Location "/inline">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret from-the-configuration
</Location>
<Location "/times">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret id=past    until=2020-01-01T00:00:00Z file:past.key
    WebhookSecret id=present from=2020-01-01T00:00:00Z until=2100-01-01T00:00:00Z file:present.key
    WebhookSecret id=future  from=2100-01-01T00:00:00Z file:future.key
</Location>
EOF
spew($srv->path("$_.key"), "$_\n", 0600) for qw(steady past present future);
spew($srv->path('program'), "#!/bin/sh\necho run >>'@{[$srv->path('runs')]}'\nenv >'@{[$srv->path('program.env')]}'\necho \"\$1\"\n", 0755);

# As a careful administrator does it.
sub replace {
    my ($text) = @_;
    spew($srv->path('new'), $text, 0600);
    rename $srv->path('new'), $srv->path('moving.key') or die $!;
}
sub at { my ($path, $secret) = @_; return $srv->github($path, $secret, $BODY) }
sub key { my $res = at(@_); return $res->status . ' ' . (($res->header('X-Key') // '') =~ s{\(null\)}{}r) }

replace("one\n");
announce(qr/WH0114: .* the secret is written in the configuration/);

# ---- the start ----

is(($srv->config_test)[0], 0, 'configuration test');
ok !-e $srv->path('runs'), 'which does not run the program';
$srv->start;
is slurp($srv->path('runs')), "run\n", 'the start runs it once';
like slurp($srv->path('program.env')), qr/^PATH=/m, 'it has a PATH';
unlike slurp($srv->path('program.env')), qr/WEBHOOK/, 'and nothing of the server\'s environment';

is key('/env', 'from-environment'), '202 variable', 'a variable of the environment';
is key('/exec', 'from program'), '202 program', 'what a program printed, without the newline';
is key('/inline', 'from-the-configuration'), '202 1', 'inline, with a number for its id';
is key('/live', 'steady'), '202 steady', 'one of two';
is key('/live', 'one'), '202 moving', 'the other of two';
is key('/live', "one\n"), '401 ', 'the newline of the file is not part of it';
is key('/times', 'present'), '202 present', 'a secret whose time it is';
is key('/times', 'past'), '401 ', 'one whose time is over';
is key('/times', 'future'), '401 ', 'one whose time is to come';

# ---- a file that changes ----

replace("two\n");
wait_for { key('/live', 'two') eq '202 moving' } 30, 'a new secret counts without a restart';
is key('/live', 'one'), '401 ', 'the old one no longer';
is scalar($srv->error_log_lines(qr/WH0182: .*"moving" was read again/)), 1, 'which is logged once';

announce(qr/WH0181: /);
for (['' => 'is empty'], [" \n" => 'holds white space only']) {
    my ($text, $why) = @$_;
    replace($text);
    wait_for { key('/live', 'two'); $srv->error_log_lines(qr/WH0181: .*"moving": .* $why; the secret read before stays in force/) } 30,
        "a file that $why is reported";
    is key('/live', 'two'), '202 moving', 'the secret before stays in force';
}
unlink $srv->path('moving.key');
wait_for { key('/live', 'two'); $srv->error_log_lines(qr/WH0181: .* cannot be read: No such file/) } 30, 'a file that is gone is reported';
is key('/live', 'two'), '202 moving', 'the secret before stays in force';
replace("three\n");
wait_for { key('/live', 'three') eq '202 moving' } 30, 'it heals when the file does';
is scalar($srv->error_log_lines(qr/WH0181: /)), 3, 'each state of the file was reported once';
spew($srv->path('moving.key'), "four!\n");
wait_for { key('/live', 'four!') eq '202 moving' } 30, 'a file written in place counts too';

# ---- changes under load ----

my $before = $srv->error_log_lines(qr/WH0182: /);
my @children;
for my $n (1 .. 4) {
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        my ($bad, $until) = (0, time + 60);
        while (!-e $srv->path('enough') && time < $until) { $bad++ if at('/live', 'steady')->status !~ /^20/ }
        POSIX::_exit($bad ? 1 : 0);
    }
    push @children, $pid;
}
my $turn = 0;
ok wait_for { replace('turn' . $turn++ . "\n"); $srv->error_log_lines(qr/WH0182: /) >= $before + 3 } 60;
spew($srv->path('enough'), '');
is scalar(grep { waitpid($_, 0) == $_ && $? } @children), 0, 'while one secret changed under load, no request with the other was refused';
is scalar($srv->error_log_lines(qr/exit signal/)), 0, 'and no process died';

# ---- a restart ----

replace("last\n");
$srv->graceful;
is key('/live', 'last'), '202 moving', 'a graceful restart reads secrets anew';
is key('/exec', 'from program'), '202 program', 'programs too';
is slurp($srv->path('runs')), "run\nrun\n", 'once for each start';
my $all = join '', map { slurp($_) // '' } $srv->error_log, $srv->path('access_log'), $srv->path('stderr');
unlike $all, qr/from.program\b(?!')|from-environment|from-the-configuration|three|four!/, 'no secret is in a log';

# ---- programs that do not do ----

for (['exit 3' => 'ended with status 3'], ['kill -9 $$' => 'was ended by signal 9'], ['exit 0' => 'is empty'], ['echo; echo' => 'holds white space only'],
    ['head -c 70000 /dev/zero' => 'writes more than 65536 bytes']) {
    my ($script, $why) = @$_;
    my $bad = WebhookTest::Server->new(name => 'exec', conf => <<'EOF');
<Location "/exec">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret exec:@DIR@/program
</Location>
EOF
    spew($bad->path('program'), "#!/bin/sh\n$script\n", 0755);
    announce(qr/\Q@{[$bad->path('program')]}\E /);
    ok !$bad->try_start, "a program that says \"$script\" keeps the server from starting";
    like $bad->output, qr/WH0112: .*:@{[$bad->conf_line(4)]}: .*exec:\S+ $why/, "and is reported: $why";
}
done_testing;
