# SPDX-License-Identifier: Apache-2.0
package WebhookTest::Server;

# A private Apache with the configuration a test gives it.
#
#   WebhookTest::Server->new(
#       conf    => text,              # @DIR@ @PORT@ @PORT:name@ @STAGE@ @BUILD@ @URL@ are replaced
#       mpm     => 'event',           # worker, prefork
#       modules => ['cgid', 'ssl'],   # beyond the usual ones; 'ssl', '/a/mod_x.so', 'mine=/a/mod_mine.so'
#       name    => 'kill',            # of its directory
#       store   => 0,                 # no WebhookStore line of our own (it is left out too when conf has one)
#       webhook => 0,                 # without mod_webhook
#       size    => text,              # instead of our StartServers, ThreadsPerChild, ...
#       loglevel => 'warn webhook:debug',
#       env     => { NAME => value }, # for httpd
#       wrap    => ['strace', ...],   # argv before httpd
#       preload => file,
#       ask     => 1,                 # webhookctl asks httpd each time, see ctl
#   )
#
# httpd is as patient with its clients as they are with it: what a test wants to
# see end in time says so itself. Nothing runs until start. All files are below path(): htdocs/, out/, state/,
# error_log, access_log, httpd.conf, stderr. httpd stays in the foreground in a
# session of its own, so that its exit is seen and its whole group can be hit.

use strict;
use warnings;
use parent -norequire, 'WebhookTest::Client';
use WebhookTest::Client;
use Cwd ();
use POSIX ();
use Time::HiRes ();

my @all;
sub all { return @all }

my $PATIENCE = 120; # seconds for a start, a restart, a stop; a ceiling

sub new {
    my ($class, %opt) = @_;
    my $self = $class->SUPER::new(mpm => 'event', modules => [], conf => '', name => 'srv', loglevel => 'warn webhook:debug',
        webhook => 1, store => 1, env => {}, %opt);
    $self->{dir} = WebhookTest::tmp_dir($self->{name});
    $self->{ports} = {};
    $self->{problems} = [];
    mkdir "$self->{dir}/$_" for qw(htdocs out run);
    WebhookTest::spew("$self->{dir}/htdocs/index.html", "home\n");
    $self->write_conf($self->{conf});
    push @all, $self;
    return $self;
}

sub name { $_[0]{name} }
sub dir { $_[0]{dir} }
sub path { my ($self, @parts) = @_; return join '/', $self->{dir}, @parts }
sub pid { $_[0]{pid} }
sub error_log { $_[0]->path('error_log') }
sub error_log_lines { my ($self, $re) = @_; return grep { !$re || $_ =~ $re } WebhookTest::lines($self->error_log) }
sub problems { return @{ $_[0]{problems} } }
sub port { my ($self, $name) = @_; return $self->{ports}{ $name // '' } //= WebhookTest::free_port() }

# ---- configuration ----

sub expand {
    my ($self, $text) = @_;
    $text =~ s/\@PORT:(\w+)\@/$self->port($1)/ge;
    my %value = (DIR => $self->{dir}, PORT => $self->port, STAGE => WebhookTest::stage(), BUILD => WebhookTest::build_file(''), URL => $self->url(''));
    $value{BUILD} =~ s{/$}{};
    $text =~ s/\@(DIR|PORT|STAGE|BUILD|URL)\@/$value{$1}/g;
    return $text;
}

# Replaces the test's part of the configuration; graceful or restart makes it count.
sub write_conf {
    my ($self, $conf) = @_;
    $self->{conf} = $conf;
    my @modules = ("mpm_$self->{mpm}", qw(unixd log_config authn_core authz_core authz_host mime alias dir env setenvif headers reqtimeout status),
        @{ $self->{modules} });
    push @modules, 'socache_shmcb' if grep { $_ eq 'ssl' } @modules;
    push @modules, 'webhook=' . WebhookTest::build_file('mod_webhook.so') if $self->{webhook};
    my %seen;
    my $load = join '', map { load_line($_) } grep { !$seen{$_}++ } @modules;
    my $size = $self->{size} // ($self->{mpm} eq 'prefork'
        ? "StartServers 4\nMinSpareServers 2\nMaxSpareServers 8\nServerLimit 40\nMaxRequestWorkers 40\n"
        : "StartServers 2\nServerLimit 4\nThreadsPerChild 16\nMaxRequestWorkers 64\nMinSpareThreads 1\nMaxSpareThreads 64\n");
    my $store = $self->{webhook} && $self->{store} && $conf !~ /^\s*WebhookStore\s/mi ? qq(WebhookStore "sqlite:$self->{dir}/state/queue.db"\n) : '';
    my $mime = -e '/etc/mime.types' ? '/etc/mime.types' : '/dev/null';
    my $text = $self->expand(<<"EOF");
ServerRoot "\@DIR\@"
ServerName localhost
Listen 127.0.0.1:\@PORT\@
DefaultRuntimeDir "\@DIR\@/run"
PidFile "\@DIR\@/httpd.pid"
GracefulShutdownTimeout 5
ErrorLog "\@DIR\@/error_log"
$load
KeepAliveTimeout 60
<IfModule reqtimeout_module>
    RequestReadTimeout header=120 body=120
</IfModule>
LogLevel $self->{loglevel}
LogFormat "%h %t \\"%r\\" %>s %b" common
CustomLog "\@DIR\@/access_log" common
DocumentRoot "\@DIR\@/htdocs"
TypesConfig $mime
$size
<Directory "/">
    AllowOverride None
</Directory>
<IfModule ssl_module>
    SSLSessionCache "shmcb:\@DIR\@/run/ssl(512000)"
</IfModule>
<IfModule cgid_module>
    ScriptSock "\@DIR\@/run/cgisock"
</IfModule>
$store
EOF
    $self->{first_line} = 1 + ($text =~ tr/\n//);
    WebhookTest::spew($self->conf_file, $text . $self->expand($conf) . "\n");
    return $self;
}

sub conf_file { $_[0]->path('httpd.conf') }

# The line of httpd.conf that line N of the test's part became, for messages that name it.
sub conf_line { my ($self, $n) = @_; return $self->{first_line} + $n - 1 }

# The file of an httpd module, '' if it is compiled in, undef if there is none.
my $static;
sub module_path {
    my ($name) = @_;
    $static //= { map { /^\s+(?:mod_)?(\w+)\.c/ ? ($1 => 1) : () } split /\n/, (WebhookTest::run_command($ENV{WEBHOOK_HTTPD}, '-l'))[1] };
    return '' if $static->{$name};
    my $file = "$ENV{WEBHOOK_LIBEXEC}/mod_$name.so";
    return -e $file ? $file : undef;
}

sub load_line {
    my ($what) = @_;
    my ($name, $file) = $what =~ /=/ ? split(/=/, $what, 2) : $what =~ m{/(?:mod_)?(\w+)\.so$} ? ($1, $what) : ($what, module_path($what));
    die "httpd has no module $name\n" if !defined $file;
    return $file eq '' ? '' : "LoadModule ${name}_module \"$file\"\n";
}

# ---- running ----

sub command {
    my ($self, @args) = @_;
    return (@{ $self->{wrap} // [] }, WebhookTest::httpd(), '-d', $self->{dir}, '-f', $self->conf_file, @args);
}

sub with_env {
    my ($self, $code) = @_;
    local %ENV = (%ENV, WEBHOOK_SERVER => $self->{dir}, %{ $self->{env} });
    $ENV{LD_PRELOAD} = $self->{preload} if $self->{preload};
    return $code->();
}

# httpd -t: (exit status, output); more arguments may follow, as -D DUMP_VHOSTS.
sub config_test {
    my ($self, @args) = @_;
    local $self->{wrap};
    my ($rc, $out, $err) = $self->with_env(sub { WebhookTest::run_command($self->command('-t', @args)) });
    return ($rc, "$out$err");
}

# What -D DUMP_WEBHOOK prints: text, or the decoded JSON with dump_json.
sub dump {
    my ($self) = @_;
    local $self->{wrap};
    return ($self->with_env(sub { WebhookTest::run_command($self->command('-t', '-D', 'DUMP_WEBHOOK')) }))[1];
}
sub dump_json { my ($self) = @_; return WebhookTest::json_decode($self->dump) }

# Dies with the error log if the server does not come up.
sub start {
    my ($self) = @_;
    $self->try_start or die "server $self->{name} did not start:\n$self->{output}\n";
    return $self;
}

# False if it did not; then ->output has what it said.
sub try_start {
    my ($self) = @_;
    die "already running\n" if $self->{pid};
    unlink $self->path('httpd.pid');
    my $from = -s $self->error_log || 0;
    my @argv = $self->command('-D', 'FOREGROUND');
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        POSIX::setsid();
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>>', $self->path('stderr');
        open STDERR, '>>', $self->path('stderr');
        $self->with_env(sub { exec { $argv[0] } @argv or POSIX::_exit(127) });
    }
    $self->{child} = $pid; # with wrap it is the wrapper's
    my $up = WebhookTest::wait_for {
        return -1 if waitpid($pid, POSIX::WNOHANG()) == $pid;
        my $main = $self->main_pid or return 0;
        return 0 if !grep { /resuming normal operations/ } split /\n/, substr(WebhookTest::slurp($self->error_log) // '', $from);
        my $conn = $self->connect or return 0;
        $conn->close;
        $self->{pid} = $main;
        return 1;
    } $PATIENCE;
    return $self if $up && $up > 0;
    $self->{output} = join '', map { $_ // '' } WebhookTest::slurp($self->path('stderr')), substr(WebhookTest::slurp($self->error_log) // '', $from);
    if (!$up) {
        $self->{output} .= "(no answer within $PATIENCE s)\n";
        kill KILL => -$pid;
        waitpid $pid, 0;
    }
    delete @$self{qw(child pid)};
    return;
}

sub output { $_[0]{output} }

sub main_pid { my ($self) = @_; my ($pid) = (WebhookTest::slurp($self->path('httpd.pid')) // '') =~ /\A(\d+)\n/; return $pid }

# Whether the parent is there; reaps it if not.
sub running {
    my ($self) = @_;
    $self->{pid} or return 0;
    if ($self->{child} && waitpid($self->{child}, POSIX::WNOHANG()) == $self->{child}) {
        delete @$self{qw(child pid)};
        return 0;
    }
    return 1;
}

# Stop and wait until nothing of this server is left. Gracefully: at a SIGTERM mpm_event's main thread closes connections that its workers are still
# closing, and now and then a child crashes over it, whatever modules it has.
sub stop { my ($self) = @_; return $self->end('WINCH') }

# SIGTERM: requests in flight are cut off.
sub terminate { my ($self) = @_; return $self->end('TERM') }

sub end {
    my ($self, $signal) = @_;
    return $self if !$self->running;
    kill $signal => $self->{pid};
    $self->gone;
    return $self;
}

# Waits for the end of a server that is on its way out, however it was hit.
sub gone {
    my ($self) = @_;
    WebhookTest::wait_for { !$self->running } $PATIENCE;
    if ($self->{pid}) {
        push @{ $self->{problems} }, "still running $PATIENCE s after it was told to stop";
        kill KILL => -$self->{pid};
        kill KILL => $self->{pid};
        waitpid $self->{child}, 0;
        delete @$self{qw(child pid)};
    }
    my @left;
    WebhookTest::wait_for { !(@left = $self->processes) } 15;
    if (@left) {
        push @{ $self->{problems} }, map { "left behind: " . describe($_) } @left;
        kill KILL => @left;
    }
    return $self;
}

# Every process of this server at once, as a power cut would (orphans too).
sub kill_all {
    my ($self) = @_;
    for (1 .. 200) {
        my @pids = $self->processes or last;
        kill KILL => @pids;
        waitpid $self->{child}, POSIX::WNOHANG() if $self->{child};
        select undef, undef, undef, 0.005;
    }
    waitpid $self->{child}, 0 if $self->{child};
    delete @$self{qw(child pid)};
    return $self;
}

# SIGUSR1 or SIGHUP; back when the new generation serves.
sub graceful { my ($self) = @_; return $self->signal_restart('USR1') }
sub restart { my ($self) = @_; return $self->signal_restart('HUP') }

sub generations { my ($self) = @_; return scalar $self->error_log_lines(qr/resuming normal operations/) }

sub signal_restart {
    my ($self, $signal) = @_;
    my $before = $self->generations;
    kill $signal => $self->{pid};
    my $ok = WebhookTest::wait_for { !$self->running || $self->generations > $before } $PATIENCE;
    push @{ $self->{problems} }, "no new generation after SIG$signal" if !$ok || !$self->{pid};
    return $self;
}

# ---- its processes ----

sub stat_of {
    my ($pid) = @_;
    my ($state, $parent) = (WebhookTest::slurp("/proc/$pid/stat") // '') =~ /\A\d+ \(.*\) (\S) (\d+)/s or return;
    return { state => $state, parent => $parent };
}

sub describe { my ($pid) = @_; (my $cmd = WebhookTest::slurp("/proc/$pid/cmdline") // '') =~ tr/\0/ /; return "$pid $cmd" }

# Processes alive (no zombies) that were started with NAME=VALUE in their
# environment. Forking keeps it, so orphans are found too.
sub marked {
    my ($mark) = @_;
    my @found;
    for my $pid (map { m{(\d+)$} } glob '/proc/[0-9]*') {
        next if $pid == $$;
        my $env = WebhookTest::slurp("/proc/$pid/environ") // next;
        next if index("\0$env", "\0$mark\0") < 0;
        my $stat = stat_of($pid) or next;
        push @found, $pid if $stat->{state} ne 'Z' && $stat->{state} ne 'X';
    }
    return @found;
}

# All that came from this server.
sub processes { my ($self) = @_; return marked("WEBHOOK_SERVER=$self->{dir}") }

# Direct children of the parent, alive: workers, and what modules have forked.
sub children {
    my ($self) = @_;
    my $pid = $self->{pid} or return;
    return grep { my $s = stat_of($_); $s && $s->{parent} == $pid && $s->{state} !~ /[ZX]/ } map { m{(\d+)$} } glob '/proc/[0-9]*';
}

# The dispatcher, once there is one: the sentinel's child. What it forks has its
# name too until it takes its own.
sub dispatcher {
    my ($self) = @_;
    my $comm = sub { (WebhookTest::slurp("/proc/$_[0]/comm") // '') =~ s/\n//r };
    my $found;
    WebhookTest::wait_for {
        ($found) = grep { $comm->($_) eq 'wh-dispatcher' && $comm->((stat_of($_) // { parent => 0 })->{parent}) eq 'wh-sentinel' } $self->processes;
    };
    return $found;
}

# ---- the tool ----

# webhookctl with this server's configuration: (exit status, output, errors).
# What only looks at the store or the queue gets a saved dump, made once for
# each configuration: asking httpd takes several times as long as the answer.
my %looks = map { $_ => 1 } qw(list show stats check replay);
sub ctl {
    my ($self, @args) = @_;
    local $self->{wrap};
    my $dump = $looks{ $args[0] } && !$self->{ask} ? $self->saved_dump : undef;
    return $self->with_env(sub {
        delete $ENV{LD_PRELOAD};
        WebhookTest::run_command(WebhookTest::build_file('webhookctl'),
            $dump ? ('--dump', $dump) : ('--httpd', WebhookTest::httpd(), '-d', $self->{dir}, '-f', $self->conf_file), @args);
    });
}

# The file, or undef if the configuration is not good.
sub saved_dump {
    my ($self) = @_;
    local $self->{preload};
    my $of = join "\0", WebhookTest::slurp($self->conf_file), map { ($_, $self->{env}{$_}) } sort keys %{ $self->{env} };
    if (($self->{dump_of} // '') ne $of) {
        my $text = $self->dump;
        return if !eval { WebhookTest::json_decode($text) };
        WebhookTest::spew($self->path('dump.saved'), $text);
        $self->{dump_of} = $of;
    }
    return $self->path('dump.saved');
}

# The same with --json: the decoded answer; dies when the tool fails.
sub ctl_json {
    my ($self, @args) = @_;
    my ($rc, $out, $err) = $self->ctl(@args, '--json');
    die "webhookctl @args: exit $rc: $err\n" if $rc;
    my @docs = JSON::PP->new->utf8->allow_nonref->incr_parse($out);
    return wantarray ? @docs : $docs[0];
}

1;
