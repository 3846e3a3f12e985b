# SPDX-License-Identifier: Apache-2.0
#
# Secrets and expected signatures stay where they are: in none of the files a server writes at the highest log level, no answer, page, dump,
# message of the tool, no process's command line or environment; and what comes from a file or a program is in no core image.
use lib 't/lib';
use WebhookTest;
use Digest::SHA ();
use MIME::Base64 ();
use POSIX ();

my %secret = map { ($_ => "canary-$_-" . sha256_hex("$_$$")) } qw(file inline exec env token upstream query basic);
my @mpm = (mpm => 'event', loglevel => 'warn webhook:trace8');
my $up = WebhookTest::Upstream->new(sub { my ($req) = @_; return $req->{path} =~ /fail/ ? [500, [], 'no'] : [200, [], 'ok'] });
my $url = $up->url('');
my @modules = ('cgid', defined have_module('info') ? 'info' : ());
my $srv = WebhookTest::Server->new(name => 'leak', @mpm, modules => \@modules, env => { WEBHOOK_TEST_CANARY => $secret{env} }, conf => <<"EOF");
ExtendedStatus On
WebhookLog "\@DIR\@/deliveries.jsonl" headers body=4K
LogFormat "%h %r %>s %{WEBHOOK_VERIFIED}e %{WEBHOOK_ENDPOINT}e %{WEBHOOK_SCHEME}e %{WEBHOOK_KEY_ID}e %{WEBHOOK_ID}e %{WEBHOOK_EVENT}e %{WEBHOOK_SENDER_ID}e %{WEBHOOK_REASON}e" ours
CustomLog "\@DIR\@/webhook_log" ours
<Location "/status">
    SetHandler server-status
</Location>
@{[@modules > 1 ? qq(<Location "/info">\nSetHandler server-info\n</Location>) : '']}
<WebhookHandler program>
    WebhookSend pipe "\@DIR\@/program" capture=64K
</WebhookHandler>
<WebhookHandler resident>
    WebhookSend pipe "\@DIR\@/resident" mode=persistent
</WebhookHandler>
<WebhookHandler api>
    WebhookSend upstream "$url/in?access_token=$secret{query}" "header=Authorization: Bearer $secret{upstream}"
</WebhookHandler>
<WebhookHandler failing>
    WebhookSend  upstream "$url/fail?access_token=$secret{query}" "header=X-Api-Key: $secret{upstream}"
    WebhookRetry within=0
</WebhookHandler>
<WebhookHandler lines>
    WebhookSend file "\@DIR\@/out/lines"
</WebhookHandler>
@{[map { my ($name, $verify, $secret) = @$_; <<"E" }
<WebhookEndpoint $name>
    WebhookVerify $verify
    WebhookSecret id=k-$name $secret
    WebhookDeliver program
    WebhookDeliver resident
    WebhookDeliver api
    WebhookDeliver failing
</WebhookEndpoint>
<Location "/$name">
    SetHandler webhook
    WebhookUse $name
</Location>
E
    ['file', 'github', 'file:secret'], ['inline', 'hmac header=X-Sum encoding=base64', $secret{inline}],
    ['exec', 'hmac header=X-Sum algorithm=sha512 encoding=base64url prefix=v1=', "\"exec:\@DIR\@/print-secret\""],
    ['env', 'hmac header=X-Sum algorithm=sha1 encoding=hex', 'env:WEBHOOK_TEST_CANARY']]}
<WebhookEndpoint token>
    WebhookVerify  token header=X-Doorbell
    WebhookSecret  file:token
    WebhookDeliver program
</WebhookEndpoint>
<WebhookEndpoint knock>
    WebhookVerify  token signature=query:knock
    WebhookSecret  file:token
    WebhookDeliver resident
</WebhookEndpoint>
<Location "/token">
    SetHandler webhook
    WebhookUse token
</Location>
<Location "/knock">
    SetHandler webhook
    WebhookUse knock
</Location>
ScriptAlias "/gate" "\@DIR\@/gate.cgi"
<Directory "\@DIR\@">
    Options ExecCGI
</Directory>
<Location "/gate">
    WebhookVerify github
    WebhookSecret file:secret
    WebhookGate   On
</Location>
EOF
spew($srv->path('secret'), "$secret{file}\n", 0600);
spew($srv->path('token'), "$secret{token}\n", 0600);
spew($srv->path('print-secret'), "#!/bin/sh\necho $secret{exec}\n", 0700);
my $look = q(tr '\0' '\n' </proc/self/environ; tr '\0' ' ' </proc/$PPID/cmdline);
spew($srv->path('program'), "#!/bin/sh\ncat >/dev/null\n$look; env\n", 0755);
spew($srv->path('resident'), "#!/bin/sh\n{ $look; env; } >$srv->{dir}/resident.env 2>&1\n"
    . q(while read -r line; do id=${line#*\"id\":\"}; echo "ok ${id%%\"*}"; done) . "\n", 0755);
spew($srv->path('gate.cgi'), "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'; env; cat\n", 0755);
announce(qr/WH0114: /, qr/WH0664: /);
$srv->start;

# Every way somebody may have written the bytes down.
sub spellings {
    my ($raw) = @_;
    my $hex = unpack 'H*', $raw;
    (my $b64 = MIME::Base64::encode_base64($raw, '')) =~ s/=+$//;
    (my $url = $b64) =~ tr{+/}{-_};
    (my $escaped = $raw) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
    return map { quotemeta } $raw, $hex, uc $hex, $b64, $url, $escaped;
}
my @needles; # [what, pattern]
push @needles, ["secret \"$_\"", join '|', spellings($secret{$_})] for sort keys %secret;
my @dont; # answers, pages, output: [where, text]

# ---- traffic: accepted, refused in many ways, each body of its own, so that each expected signature is a needle ----

my %sign = (
    file   => sub { ['X-Hub-Signature-256', 'sha256=' . Digest::SHA::hmac_sha256_hex($_[1], $_[0])] },
    inline => sub { ['X-Sum', MIME::Base64::encode_base64(Digest::SHA::hmac_sha256($_[1], $_[0]), '')] },
    exec   => sub { ['X-Sum', 'v1=' . MIME::Base64::encode_base64url(Digest::SHA::hmac_sha512($_[1], $_[0])) =~ s/=+$//r] },
    env    => sub { ['X-Sum', Digest::SHA::hmac_sha1_hex($_[1], $_[0])] },
    token  => sub { ['X-Doorbell', $_[0]] },
);
my %mac = (file => \&Digest::SHA::hmac_sha256, inline => \&Digest::SHA::hmac_sha256, exec => \&Digest::SHA::hmac_sha512, env => \&Digest::SHA::hmac_sha1);
my (@accepted, $n);
sub send_to {
    my ($name, $headers, $body) = @_;
    my $res = $srv->post("/$name", $body, headers => ['Content-Type' => 'application/json', 'X-GitHub-Event' => 'push', 'X-GitHub-Delivery' => delivery_guid(), @$headers]);
    push @dont, ["answer of /$name", $res->raw . $res->body];
    return $res;
}
for my $name (sort keys %sign) {
    my $body = json_encode({ n => $n++, to => $name });
    my $res = send_to($name, $sign{$name}->($secret{$name}, $body), $body);
    is $res->status, 202, "$name: signed: accepted" or diag $res->body;
    push @accepted, $res->json->{id};
    my $good = $sign{$name}->($secret{$name}, $body);
    next if $name eq 'token';
    my $other = sub { $sign{$name}->('another secret', $_[0]) };
    my ($field, $value) = @{ $good };
    for my $try (['wrong', sub { $other->($_[0]) }], ['missing', sub { [] }], ['empty', sub { [$field => ''] }], ['short', sub { [$field => substr $other->($_[0])->[1], 0, -4] }],
        ['long', sub { [$field => $other->($_[0])->[1] . 'aa'] }], ['no such encoding', sub { [$field => ($value =~ /^(\w+=)/ && $1) . '~~~~'] }],
        ['twice', sub { [@{ $other->($_[0]) }, $field => 'x'] }], ['another prefix', sub { [$field => "md5=$value"] }]) {
        my ($what, $make) = @$try;
        my $body = json_encode({ n => $n++, to => $name, try => $what });
        my $mac = $mac{$name}->($body, $secret{$name});
        push @needles, ["the expected signature of /$name, $what", join '|', spellings($mac)];
        my $res = send_to($name, $make->($body), $body);
        ok $res->status == 401 || $res->status == 400, "$name, $what: refused";
    }
}
{
    my $body = json_encode({ n => $n++ });
    is send_to('token', ['X-Doorbell' => 'not it'], $body)->status, 401, 'token, wrong: refused';
    my $res = send_to("knock?a=b&knock=$secret{token}", [], $body);
    is $res->status, 202, 'token in the query: accepted';
    push @accepted, $res->json->{id};
    $res = send_to("knock?knock=$secret{token}&knock=$secret{token}x", [], $body);
    like $res->status, qr/^40[01]$/, 'token in the query, twice: refused';
    $res = send_to('gate', $sign{file}->($secret{file}, $body), $body);
    like $res->body, qr/^WEBHOOK_VERIFIED=1$/m, 'a gated program ran';
    $body = json_encode({ n => $n++, gate => 1 });
    push @needles, ['the expected signature at the gate', join '|', spellings(Digest::SHA::hmac_sha256($body, $secret{file}))];
    is send_to('gate', $sign{file}->('wrong', $body), $body)->status, 401, 'and did not, unsigned';
}
for my $id (@accepted) {
    wait_for { my ($row) = $srv->ctl_json('show', $id); !grep { $_->{state} !~ /^(?:done|dead)$/ } @{ $row->{jobs} } } 60, "$id: delivered everywhere";
}
my ($answer) = map { slurp($srv->path('resident.env')) } 1;
like $answer, qr/^PATH=/m, 'the persistent program has written down what it sees';

# ---- every process: command line and environment ----

{
    my @pids = $srv->processes;
    cmp_ok scalar @pids, '>=', 4, 'parent, workers, sentinel, dispatcher are looked at';
    for my $pid (@pids) {
        push @dont, ["command line of $pid", slurp("/proc/$pid/cmdline") // ''];
        # what the administrator put into httpd's environment is there, of course
        push @dont, ["environment of $pid", (slurp("/proc/$pid/environ") // '') =~ s/WEBHOOK_TEST_CANARY=[^\0]*//r];
    }
    my ($row) = $srv->ctl_json('show', $accepted[0]);
    my ($job) = grep { $_->{handler} eq 'program' } @{ $row->{jobs} };
    my $env = $job->{attempt_rows}[0]{output};
    like $env, qr/^WEBHOOK_ID=\Q$accepted[0]\E$/m, "a program's environment was seen";
    push @dont, ["a program's environment", $env =~ s/.*?(?=^PATH=)//smr], ['the persistent program\'s environment', $answer];
}

# ---- what a core image of each process would hold ----

# The pages of a process that are there: in mappings that a core image has, or in those that are marked to be left out.
sub pages {
    my ($pid, $left_out) = @_;
    my ($text, $at) = ('');
    my $page = POSIX::sysconf(POSIX::_SC_PAGESIZE());
    open my $mem, '<:raw', "/proc/$pid/mem" or return;
    open my $map, '<:raw', "/proc/$pid/pagemap" or return;
    for (split /^(?=[0-9a-f]+-[0-9a-f]+ )/m, slurp("/proc/$pid/smaps") // '') {
        my ($from, $to, $readable, $name) = /^([0-9a-f]+)-([0-9a-f]+) (r?)\S+ \S+ \S+ \d+ *(.*)$/m or next;
        my ($rss) = /^Rss:\s+(\d+)/m;
        my ($flags) = /^VmFlags:(.*)$/m;
        next if !$readable || !$rss || ($flags // '') =~ /\bio\b/ || $name =~ /^\[v/ || !!$left_out != !!(($flags // '') =~ /\bdd\b/);
        no warnings 'portable'; # addresses have 64 bits
        ($from, $to) = (hex $from, hex $to);
        sysseek $map, $from / $page * 8, 0 or next;
        sysread $map, my $entries, ($to - $from) / $page * 8;
        my $n = 0;
        for my $entry (unpack 'Q*', $entries) {
            next if !(($entry >> 63) & 1) && ++$n;
            sysseek $mem, $from + $n++ * $page, 0;
            sysread $mem, $text, $page, length $text;
        }
    }
    return $text;
}
SKIP: {
    skip 'a sanitizer maps terabytes', 1 if $ENV{WEBHOOK_ASAN};
    my $seen = pages($srv->pid);
    skip 'the memory of other processes cannot be read here', 1 if !length($seen // '');
    my $left_out = pages($srv->pid, 1) // '';
    ok index($left_out, $secret{$_}) >= 0, "the secret \"$_\" is where core images do not look" for qw(file exec);
    ok index($seen, $secret{env}) >= 0, 'one in the environment is where they do: it would have been seen';
    for my $pid ($srv->processes) {
        my $image = pages($pid) // next;
        (my $what = slurp("/proc/$pid/comm") // '') =~ s/\n//;
        cmp_ok length $image, '>', 500_000, "$what: its memory was read";
        is_deeply [grep { index($image, $secret{$_}) >= 0 } qw(file exec)], [], "$what: a core image has neither";
    }
}

# ---- dumps, pages, the tool ----

{
    for my $how ([], ['-D', 'DUMP_WEBHOOK'], ['-D', 'DUMP_VHOSTS'], ['-D', 'DUMP_RUN_CFG'], ['-D', 'DUMP_MODULES'], ['-D', 'DUMP_INCLUDES']) {
        my ($rc, $out) = $srv->config_test(@$how);
        is $rc, 0, "httpd -t @$how";
        push @dont, ["httpd -t @$how", $out];
    }
    for my $path ('/status', '/status?auto', '/status?notable', @modules > 1 ? ('/info', '/info?config', '/info?mod_webhook.c') : ()) {
        my $res = $srv->get($path);
        is $res->status, 200, "GET $path";
        # mod_info shows the configuration as it is written; what we do not keep from it is said in the manual
        push @dont, ["GET $path", $path =~ /info/ ? join "\n", grep { !/WebhookSend/ } split /\n/, $res->body : $res->body];
    }
    like $srv->get('/status')->body, qr{<td>token</td>}, 'the page has our part';
    for my $how (['list'], ['list', '--json'], ['tail', '--once', '--json'], ['stats'], ['stats', '--json'], ['check'], map { (['show', $_], ['show', $_, '--json']) } @accepted) {
        my ($rc, $out, $err) = $srv->ctl(@$how);
        push @dont, ["webhookctl @$how", $out . $err];
    }
    # broken configurations that have the secrets in them
    my $bad = WebhookTest::Server->new(name => 'leakbad', store => 0);
    spew($bad->path('secret'), "$secret{file}\n", 0644);
    for my $conf ("WebhookSecret $secret{inline}\n", "WebhookVerify gihub\nWebhookSecret $secret{inline}\n", "WebhookVerify hmac header=X-A key-encoding=hex\nWebhookSecret $secret{inline}\n",
        "WebhookVerify hmac header=X-A key-encoding=base64\nWebhookSecret file:secret\n", "WebhookVerify github\nWebhookSecret id=a id=b $secret{inline}\n",
        "WebhookVerify github\nWebhookSecret file:secret $secret{inline}\n",
        "WebhookVerify none\nWebhookSecret $secret{inline}\n", "WebhookVerify public-key\nWebhookSecret $secret{inline}\n",
        "WebhookVerify token signature=query:knock\nWebhookSecret\nWebhookSecret $secret{inline} $secret{inline}\n") {
        $bad->write_conf("<WebhookHandler h>\nWebhookSend upstream $url/?token=$secret{query} timeout=x \"header=X-Key: $secret{upstream}\"\n</WebhookHandler>\n"
            . "<Location \"/h\">\n$conf</Location>\n");
        my ($rc, $out) = $bad->config_test;
        push @dont, ['httpd -t of a broken configuration: ' . ($conf =~ s/canary\S*/.../gr =~ tr/\n/;/r), $out];
    }
}

# ---- all that was written to disk, but for what holds secrets by its nature ----

$srv->graceful;
$srv->stop;
{
    my @files;
    my @dirs = $srv->dir;
    while (defined(my $dir = shift @dirs)) {
        opendir my $dh, $dir or next;
        for (map { "$dir/$_" } grep { !/^\.\.?$/ } readdir $dh) {
            -d && !-l ? push @dirs, $_ : -f && push @files, $_;
        }
    }
    my %own = map { ($srv->path($_) => 1) } qw(secret token print-secret httpd.conf);
    my @checked = grep { !$own{$_} } @files;
    ok scalar(grep { $_ eq $srv->path('state', 'queue.db') } @checked), 'the database is looked at';
    cmp_ok -s $srv->error_log, '>', 20_000, 'the error log has much to say at trace8';
    my ($what) = grep { -s } $srv->path('deliveries.jsonl');
    ok $what, 'the delivery log has lines';
    for my $file (@checked) {
        my $text = slurp($file) // next;
        # a token is part of the request, which the store keeps whole, and its place in the query is httpd's access log's too
        $text =~ s/\Q$secret{token}\E//g if $file =~ m{/state/|/webhook_log$|/access_log$};
        push @dont, [$file =~ s{.*/}{}r, $text];
    }
}

my $places = 0;
for (@dont) {
    my ($where, $text) = @$_;
    my @found = map { $_->[0] } grep { $text =~ /$_->[1]/ } @needles;
    $places++;
    @found and fail("$where: holds " . join ', ', @found);
}
cmp_ok $places, '>', 80, "looked for @{[scalar @needles]} needles in $places places";
# would it have been seen?
for my $needle (@needles) {
    my ($first) = $needle->[1] =~ /^((?:\\.|[^\\|])+)/s;
    (my $plain = $first) =~ s/\\(.)/$1/gs;
    "x$plain" =~ /$needle->[1]/ or fail("$needle->[0] would not be found");
}
my @lines = json_lines($srv->path('deliveries.jsonl'));
my ($line) = grep { $_->{log} eq 'accepted' && $_->{endpoint} eq 'token' } @lines;
is_deeply [map { $_->[1] } grep { lc $_->[0] eq 'x-doorbell' } @{ $line->{headers} }], ['***'], 'delivery log: the header the scheme reads is masked, whatever its name';
is_deeply [map { $_->{uri} } grep { ($_->{endpoint} // '') eq 'knock' && $_->{uri} } @lines], ['/knock?a=b&knock=***', '/knock?knock=***&knock=***'],
    'and the parameter, of refused ones too';
done_testing;
