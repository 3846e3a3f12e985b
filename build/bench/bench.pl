# SPDX-License-Identifier: Apache-2.0
#
# The benchmark behind `make -f apxs.mk bench`. Everything is a ratio of two measurements of the same run on the same machine, taken in turns;
# rates and times stand beside them only to show what the ratio was made of, and mean nothing elsewhere. Seven parts (BENCH_PARTS):
#
#   rates   requests per second, wrk with 64 keep-alive connections, against the floor: the same Apache with a handler that reads the same
#           body and answers 204. Rounds in turn, so that what else the machine does falls on all alike.
#   idle    one request at a time: from sending it until the upstream has it, through accept, store and dispatcher, beside the same
#           request passed on by mod_proxy.
#   memory  of workers and dispatcher after few and after many accepted and delivered deliveries.
#   json    reading JSON, a byte: the module's reader beside jansson and, where node is, JSON.parse, over the same texts.
#   schemas reading a payload and holding it to a schema: the module's reader and validator beside JSON.parse and a compiled ajv, with GitHub's
#           schemas and payloads (build/schemas.sh; needs npm); and, without these, the worst that evil patterns and hostile documents cost.
#   verify  one verification of each kind of signature, beside the bare operation of the cryptographic library.
#   patterns  one match of a regular expression: known-evil ones over hostile strings up to a megabyte, the longest of each in milliseconds (the one
#           part that is no ratio), and honest ones.
#   queue   accepting, leasing and the first acknowledgement after a start, with few and with many jobs in the store.
#
# BENCH_FULL=1 takes a million deliveries and a million jobs for the last two; otherwise a hundred thousand, which says less but ends soon.

use strict;
use warnings;
use Rig;
use Turns;
use Time::HiRes ();

my $full = $ENV{BENCH_FULL};
my $rounds = $ENV{BENCH_ROUNDS} // 5;
my $seconds = $ENV{BENCH_SECONDS} // 2;
my %parts = map { $_ => 1 } split ' ', $ENV{BENCH_PARTS} // 'rates idle json schemas verify patterns memory queue';
my $problems = 0;

Rig::begin();

# ---- the table ----

sub sorted { return sort { $a <=> $b } @_ }
sub median { my @v = sorted(@_); return @v % 2 ? $v[$#v / 2] : ($v[@v / 2 - 1] + $v[@v / 2]) / 2 }

sub heading { my ($text) = @_; printf "\n%s\n\n%-46s %8s %8s %8s  %s\n", $text, 'ratio', 'median', 'min', 'max', 'goal'; return }

# row(NAME, [ratios], GOAL, beside): GOAL is ">= 0.8", "<= 2" or undef.
sub row {
    my ($name, $ratios, $goal, $beside) = @_;
    my @v = sorted(@$ratios);
    my $verdict = '';
    if ($goal) {
        my ($op, $than) = split ' ', $goal;
        $verdict = "$goal " . (($op eq '>=' ? median(@v) >= $than : median(@v) <= $than) ? 'reached' : 'MISSED');
    }
    printf "%-46s %8.2f %8.2f %8.2f  %-18s %s\n", $name, median(@v), $v[0], $v[-1], $verdict, $beside // '';
    return;
}

# A part that cannot be run is said, and the others still are.
sub part {
    my ($name, $code) = @_;
    return if !$parts{$name};
    return if eval { $code->(); 1 };
    print "\n$name: could not be run: $@";
    Rig::stop_all();
    $problems++;
    return;
}

sub clean {
    my ($server) = @_;
    my @lines = Rig::complaints($server) or return;
    die "the server complained:\n", @lines > 5 ? @lines[0 .. 4] : @lines;
}

# ---- rates ----

my $endpoint = <<'EOC';
    SetHandler webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
EOC

# What the body must look like, said as a schema of GitHub's would say it.
my $schema = <<'EOC';
{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["ref", "repository", "commits"],
 "properties": {
  "ref": {"type": "string", "pattern": "^refs/(heads|tags)/"},
  "repository": {"type": "object", "required": ["id", "full_name"], "additionalProperties": false,
   "properties": {"id": {"type": "integer", "minimum": 1}, "full_name": {"type": "string"}, "private": {"type": "boolean"}}},
  "commits": {"type": "array", "items": {"$ref": "#/$defs/commit"}}, "pad": {"type": "string"}},
 "additionalProperties": false,
 "$defs": {
  "commit": {"type": "object", "required": ["id", "tree_id", "distinct", "message", "timestamp", "author", "added", "removed", "modified"],
   "additionalProperties": false, "properties": {
    "id": {"$ref": "#/$defs/sha"}, "tree_id": {"$ref": "#/$defs/sha"}, "distinct": {"type": "boolean"}, "message": {"type": "string"},
    "timestamp": {"type": "string", "format": "date-time"},
    "author": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "email": {"type": ["string", "null"]}, "username": {"type": "string"}}},
    "added": {"$ref": "#/$defs/files"}, "removed": {"$ref": "#/$defs/files"}, "modified": {"$ref": "#/$defs/files"}}},
  "sha": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
  "files": {"type": "array", "items": {"type": "string"}}}}
EOC
my $rule = q(%{WEBHOOK_EVENT} == 'push' && webhook_json('/ref') == 'refs/heads/main');

my $kept = <<"EOC";
WebhookStore "sqlite:\@DIR\@/state/queue.db" size=200G rows=100000000
<WebhookHandler archive>
    WebhookSend file "\@DIR\@/out/deliveries.jsonl"
</WebhookHandler>
<Location "/gated">
    SetHandler floor
    WebhookVerify github
    WebhookSecret file:\@DIR\@/secret
    WebhookGate On
</Location>
<Location "/kept">
$endpoint
    WebhookDeliver archive
</Location>
<Location "/checked">
$endpoint
    WebhookValidate json schema=\@DIR\@/push.json event=push
    WebhookDeliver archive "$rule"
</Location>
EOC

my $unkept = <<"EOC";
WebhookStore none
<Location "/signed">
$endpoint
    WebhookGate On
</Location>
<Location "/checked">
$endpoint
    WebhookValidate json schema=\@DIR\@/push.json event=push
    WebhookGate On
    Header always set X-Rule matches "expr=$rule"
</Location>
EOC

sub others {
    my %port;
    if (my $node = Rig::which('node')) {
        Rig::serve('node', $port{node} = Rig::free_port(), as_user => 1, argv => [$node, "$Rig::dir/lib/receiver.js", $port{node}, $Rig::SECRET]);
    }
    if (my $webhook = Rig::which('webhook')) {
        # response first, command in the background: the fastest it can do
        Rig::spew("$Rig::dir/hooks.json", <<"EOC");
[{"id": "github", "execute-command": "/bin/true", "response-message": "ok",
  "trigger-rule": {"match": {"type": "payload-hmac-sha256", "secret": "$Rig::SECRET", "parameter": {"source": "header", "name": "X-Hub-Signature-256"}}}}]
EOC
        chmod 0644, "$Rig::dir/hooks.json";
        Rig::serve('adnanh', $port{adnanh} = Rig::free_port(), as_user => 1,
            argv => [$webhook, '-hooks', "$Rig::dir/hooks.json", '-ip', '127.0.0.1', '-port', $port{adnanh}]);
    }
    return %port;
}

part rates => sub {
    my $body = Rig::push_body(7700);
    my %port = others();
    my (%ratio, %got);
    for my $round (1 .. $rounds) {
        # a new server and store in each round: rounds differ in nothing but when they are
        my $server = Rig::apache('kept', $kept, files => {'push.json' => $schema});
        my $storeless = Rig::apache('unkept', $unkept, files => {'push.json' => $schema});
        my %measure = (
            floor => sub { Rig::load($server->{port}, '/floor', $body, $_[0]) },
            'verified: gate before the floor handler' => sub { Rig::load($server->{port}, '/gated', $body, $_[0]) },
            'verified: answered by the module, no store' => sub { Rig::load($storeless->{port}, '/signed', $body, $_[0]) },
            'verified, durable 202, jobs paused' => sub {
                my $dispatcher = Rig::pause('kept');
                my $got = Rig::load($server->{port}, '/kept', $body, $_[0]);
                kill CONT => $dispatcher;
                Rig::drain($server);
                return $got;
            },
            'verified, parsed, schema, rule, durable 202, paused' => sub {
                my $dispatcher = Rig::pause('kept');
                my $got = Rig::load($server->{port}, '/checked', $body, $_[0]);
                kill CONT => $dispatcher;
                Rig::drain($server);
                return $got;
            },
            'verified, parsed, schema, rule, no store' => sub { Rig::load($storeless->{port}, '/checked', $body, $_[0]) },
            'verified, durable 202, delivered to a file' => sub {
                my $got = Rig::load($server->{port}, '/kept', $body, $_[0]);
                Rig::drain($server);
                return $got;
            },
            'adnanh/webhook, runs true(1), not durable' => $port{adnanh} && sub {
                my $got = Rig::load($port{adnanh}, '/hooks/github', $body, $_[0]);
                Rig::wait_for('the commands of adnanh/webhook', 120, sub { !Rig::below(Rig::pid('adnanh')) });
                return $got;
            },
            'node, not durable' => $port{node} && sub { Rig::load($port{node}, '/', $body, $_[0]) },
        );
        my @names = grep { $_ ne 'floor' && $measure{$_} } sort keys %measure;
        $measure{$_}->(1) for @names; # threads, caches and a log that has its size
        # The floor is measured before and after each: the machine may be doing something else by then. Not always in the same order: what
        # one leaves behind must not always fall on the same other.
        my $before = $measure{floor}->($seconds);
        for my $name (Turns::shuffled($round, @names)) {
            my $now = $measure{$name}->($seconds);
            my $after = $measure{floor}->($seconds);
            push @{ $got{$name} }, $now;
            push @{ $got{floor} }, $after;
            push @{ $ratio{$name} }, 2 * $now->{rate} / ($before->{rate} + $after->{rate});
            push @{ $ratio{floor} }, $after->{rate} / $before->{rate};
            $before = $after;
        }
        clean($_) for $server, $storeless;
        Rig::stop($_) for qw(kept unkept);
    }
    Rig::stop($_) for qw(node adnanh);
    heading("Requests per second against the floor ($rounds rounds, $seconds s each, 64 connections, " . length($body) . ' bytes)');
    my %goal = ('verified: gate before the floor handler' => '>= 0.80', 'verified: answered by the module, no store' => '>= 0.80',
        'verified, durable 202, jobs paused' => '>= 0.45', 'verified, parsed, schema, rule, durable 202, paused' => '>= 0.40',
        'verified, parsed, schema, rule, no store' => '>= 0.70');
    for my $name (sort { ($b eq 'floor') - ($a eq 'floor') || median(@{ $ratio{$b} }) <=> median(@{ $ratio{$a} }) } keys %ratio) {
        my ($rate, $p99) = map { my $k = $_; median(map { $_->{$k} } @{ $got{$name} }) } qw(rate p99);
        row($name, $ratio{$name}, $goal{$name}, sprintf '(%.0f/s, 99 %% within %.1f ms)', $rate, $p99 / 1000);
    }
    print "\nnot there, left out: $_\n" for grep { !Rig::which($_) } qw(node webhook);
};

# ---- idle ----

part idle => sub {
    my $body = Rig::push_body(7700);
    my $upstream = Turns::listener();
    my $port = $upstream->sockport;
    my $server = Rig::apache('idle', <<"EOC");
WebhookStore "sqlite:\@DIR\@/state/queue.db"
<WebhookHandler api>
    WebhookSend upstream "http://127.0.0.1:$port/hook"
</WebhookHandler>
<Location "/kept">
$endpoint
    WebhookDeliver api
</Location>
<Location "/proxied">
    ProxyPass "http://127.0.0.1:$port/hook"
</Location>
EOC
    my $times = Turns::idle($server->{port}, $upstream, $body, Rig::signature($body), [qw(/kept /proxied)], 50 * $rounds, $rounds);
    Rig::drain($server);
    clean($server);
    Rig::stop('idle');
    my @ratio = map { median(@{ $times->{'/kept'}[$_] }) / median(@{ $times->{'/proxied'}[$_] }) } 0 .. $rounds - 1;
    heading("From sending a request until the upstream has it, one at a time ($rounds rounds of 50 of each, in turn)");
    row('accept, store, deliver : mod_proxy', \@ratio, '<= 2', sprintf '(%.0f and %.0f us)', map { 1e6 * median(map { @$_ } @{ $times->{$_} }) } qw(/kept /proxied));
};

# ---- memory ----

part memory => sub {
    my $body = Rig::push_body(1000);
    my ($few, $many) = (10_000, $full ? 1_000_000 : 100_000);
    my $server = Rig::apache('memory', $kept);
    Rig::load($server->{port}, '/gated', $body, 2 * $seconds); # threads that have never worked are not what is asked about
    my @at;
    my $accepted = 0;
    for my $count ($few, $many) {
        while ($accepted < $count) {
            $accepted += Rig::load($server->{port}, '/kept', $body, $accepted < $few ? 1 : 5)->{requests};
        }
        Rig::drain($server, 1800);
        push @at, [$accepted, Rig::memory('memory')];
    }
    clean($server);
    Rig::stop('memory');
    heading("Memory of workers and dispatcher after $at[1][0] deliveries of " . length($body) . " bytes against after $at[0][0]");
    row($_->[0], [$at[1][$_->[1]] / $at[0][$_->[1]]], '<= 1.05', sprintf '(%.1f and %.1f MiB)', map { $_ / 1024 } $at[1][$_->[1]], $at[0][$_->[1]])
        for ['resident (RSS)', 1], ['proportional (PSS)', 2];
};

# ---- json ----

part json => sub {
    my $texts = "$Rig::dir/json";
    mkdir $texts;
    my (%cost, %bytes, @names);
    for my $round (1 .. $rounds) {
        for my $line (split /\n/, `"$Rig::dir/lib/json_bench" write="$texts"`) {
            my ($name, $bytes, $ours, $jansson) = split ' ', $line;
            push @names, $name if $round == 1;
            $bytes{$name} = $bytes;
            push @{ $cost{$name} }, [$ours, $jansson];
        }
        die "json_bench failed\n" if $? || !@names;
        next if !grep { -x "$_/node" } split /:/, $ENV{PATH};
        my %node = map { my ($name, undef, $cost) = split ' '; $name => $cost } split /\n/, `node "$Rig::dir/lib/parse.js" $texts/*.json`;
        $cost{$_}[-1][2] = $node{$_} for @names;
    }
    heading("Reading JSON: an object of 10,000 members whose names are made to meet against one whose names are not ($rounds rounds)");
    my ($any, $meet) = map { [map { $_->[0] } @{ $cost{$_} }] } qw(names-at-random names-made-to-meet);
    row('the reader', [map { $meet->[$_] / $any->[$_] } 0 .. $#$any], '<= 2', sprintf '(%.2f and %.2f ns a byte)', median(@$meet), median(@$any));
    for my $other ([jansson => 1, '>= 10'], ['JSON.parse' => 2, undef]) {
        my ($what, $column, $goal) = @$other;
        next if !$cost{ $names[0] }[0][$column];
        heading("Reading JSON: $what against the reader ($rounds rounds)");
        for my $name (@names) {
            my @rounds = @{ $cost{$name} };
            row("$name, $bytes{$name} bytes", [map { $_->[$column] / $_->[0] } @rounds], $name eq 'push' ? $goal : undef,
                sprintf '(%.2f and %.2f ns a byte)', median(map { $_->[$column] } @rounds), median(map { $_->[0] } @rounds));
        }
    }
};

# ---- verify ----

part verify => sub {
    my %goal = (8192 => {map({ $_ => '<= 1.15' } qw(github stripe slack shopify standard-webhooks hmac)),
        map { $_ => '<= 1.05' } qw(discord public-key-ecdsa public-key-rsa public-key-rsa-pss)});
    heading('One verification against the bare digest or signature operation over the same bytes (CPU time, in turns)');
    for my $line (split /\n/, `"$Rig::dir/lib/verify_bench" rounds=@{[20 * $rounds + 1]}`) {
        my ($scheme, $secrets, $bytes, $median, $min, $max, $ns) = split ' ', $line;
        row("$scheme, " . ($secrets > 1 ? "$secrets secrets, " : '') . "$bytes bytes", [$min, $median, $max], $goal{$bytes} && $goal{$bytes}{$scheme},
            sprintf '(%.1f us)', $ns / 1000);
    }
    die "verify_bench failed\n" if $?;
};

# ---- patterns ----

part patterns => sub {
    my (%evil, %honest, @evil, @honest);
    for my $round (1 .. $rounds) {
        my %worst;
        for my $line (split /\n/, `"$Rig::dir/lib/pattern_bench" 3`) {
            if ($line =~ /^evil +(\S.*?) +\d+ bytes +([\d.]+) us/) {
                push @evil, $1 if $round == 1 && !exists $worst{$1};
                $worst{$1} = $2 / 1000 if $2 / 1000 > ($worst{$1} // -1);
            } elsif ($line =~ /^honest +(\S.*?) +(\d+) ns/) {
                push @honest, $1 if $round == 1;
                push @{ $honest{$1} }, $2;
            }
        }
        die "pattern_bench failed\n" if !@evil || !@honest;
        push @{ $evil{$_} }, $worst{$_} for @evil;
    }
    heading("The longest match of evil patterns, in milliseconds of processor time ($rounds rounds)");
    row(length > 45 ? substr($_, 0, 43) . '..' : $_, $evil{$_}, '<= 5') for @evil;
    heading('A match of honest ones, in nanoseconds');
    row(length > 45 ? substr($_, 0, 43) . '..' : $_, $honest{$_}) for @honest;
};

# ---- schemas ----

part schemas => sub {
    my ($top) = __FILE__ =~ m{^(.*)/build/bench/};
    my $data = "$ENV{BENCH_BUILD}/schemas";
    my $there = system("$top/build/schemas.sh", $ENV{BENCH_BUILD}) == 0;
    my (%cost, %about, %worst, @names);
    for my $round (1 .. $rounds) {
        my %node;
        if ($there) {
            %node = map { my ($name, $n, undef, $ns) = split ' '; $name => [$n, $ns] } split /\n/, `node "$top/build/bench/ajv.js" "$data" 1000`;
            die "ajv.js failed\n" if $? || !%node;
        }
        for my $line (split /\n/, `"$ENV{BENCH_BUILD}/bench/schema_bench" "@{[ $there ? $data : '-' ]}"`) {
            my ($name, $n, $bytes, $ns) = split ' ', $line;
            if ($name =~ /^(?:evil|hostile)$/) {
                push @{ $worst{$name} }, $bytes / 1000;
                $about{$name} = "(the worst of $n)";
                next;
            }
            die "$name: ajv took $node{$name}[0] payloads, the module $n\n" if $node{$name}[0] != $n;
            push @names, $name if $round == 1;
            $about{$name} = [$n, $bytes];
            push @{ $cost{$name} }, [$node{$name}[1], $ns];
        }
        die "schema_bench failed\n" if $? || !%worst;
    }
    my %goal = (push => '>= 2', union => '>= 10');
    heading("Reading and validating: JSON.parse and ajv against the module ($rounds rounds)") if @names;
    for my $name (@names) {
        my @all = @{ $cost{$name} };
        row("$name, $about{$name}[0] of $about{$name}[1] bytes", [map { $_->[0] / $_->[1] } @all], $goal{$name},
            sprintf '(%.1f and %.1f us)', median(map { $_->[0] } @all) / 1000, median(map { $_->[1] } @all) / 1000);
    }
    heading("What the worst costs, ms ($rounds rounds)");
    row('known-evil patterns, hostile strings', $worst{evil}, '<= 5', $about{evil});
    row('schemas and documents made for harm', $worst{hostile}, '<= 20', $about{hostile});
};

# ---- queue ----

part queue => sub {
    my $body = Rig::push_body(1000);
    my %jobs = (few => 1000, many => $full ? 1_000_000 : 100_000);
    my (%rate, @first);
    Turns::fill('many', $kept, $jobs{many});
    for my $round (1 .. $rounds) {
        for my $size (Turns::shuffled($round, qw(few many))) {
            Turns::fill('few', $kept, $jobs{few}) if $size eq 'few';
            my ($first, $rate) = Turns::accept($size, $kept, $body, $seconds);
            push @{ $rate{"accept $size"} }, $rate;
            push @first, $first if $size eq 'many';
        }
        for my $size (Turns::shuffled($round, qw(few many))) {
            Turns::fill('few', $kept, 1) if $size eq 'few';
            push @{ $rate{"lease $size"} }, Turns::lease($size, $jobs{$size}, 10_000);
        }
    }
    heading("With $jobs{many} queued jobs against with $jobs{few} ($rounds rounds)");
    for my $what (qw(accept lease)) {
        my ($few, $many) = map { $rate{"$what $_"} } qw(few many);
        row($what, [map { $many->[$_] / $few->[$_] } 0 .. $#$many], '>= 0.7', sprintf '(%.0f/s and %.0f/s)', median(@$many), median(@$few));
    }
    my $worst = (sorted(@first))[-1];
    printf "\nfirst acknowledgement after a start with %d queued jobs: %s the ceiling of 5 s\n", $jobs{many}, $worst <= 5 ? 'within' : 'ABOVE';
};

Rig::stop_all();
print "\n";
exit($problems ? 1 : 0);
