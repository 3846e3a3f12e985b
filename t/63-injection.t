# SPDX-License-Identifier: Apache-2.0
#
# What a sender chooses is a value and nothing else: one record in each log, no line in anybody's headers, no file name, no counter.
use lib 't/lib';
use WebhookTest;

my $secret = 'injection-secret';
my $up = WebhookTest::Upstream->new(sub { [200] });
my $url = $up->url('/in');
my $srv = WebhookTest::Server->new(name => 'inject', loglevel => 'warn webhook:trace8', conf => <<"EOF");
MaxKeepAliveRequests 0
WebhookLog "\@DIR\@/deliveries.jsonl" headers body=1K
<Location "/status">
    SetHandler server-status
</Location>
<WebhookHandler lines>
    WebhookSend  file "\@DIR\@/out/lines"
    WebhookRetry first=1s factor=1 cap=1s within=1h
</WebhookHandler>
<WebhookHandler raw>
    WebhookSend file "\@DIR\@/out/raw/%{id}.%{ext}" format=raw
</WebhookHandler>
<WebhookHandler api>
    WebhookSend upstream "$url"
</WebhookHandler>
<WebhookEndpoint main>
    WebhookVerify  github
    WebhookSecret  file:\@DIR\@/secret
    WebhookContentTypes *
</WebhookEndpoint>
<Location "/hook">
    SetHandler webhook
    WebhookUse main
    WebhookDeliver lines
    WebhookDeliver raw
    WebhookDeliver api
</Location>
<Location "/drop">
    SetHandler webhook
    WebhookUse main
    WebhookDrop
</Location>
<Location "/gate">
    WebhookUse main
    WebhookGate On
</Location>
<Location "/none">
    SetHandler webhook
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
mkdir $srv->path('out', 'raw');
announce(qr/AH\d+: |WH0700: /);
$srv->start;
my $dump = spew($srv->path('dump'), $srv->dump);
sub tool { return run_command(build_file('webhookctl'), '--dump', $dump, @_) }
sub row { my (undef, $out, $err) = tool('show', $_[0], '--json'); return json_decode($out) }
sub jobs { my ($id) = @_; return { map { ($_->{handler} => $_) } @{ row($id)->{jobs} } } }
my $bytes = \&WebhookTest::Client::request_bytes;

# ---- strings for every place a sender fills ----

my @hostile = ("a\tb", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b1A", 'quote " backslash \\ end', "a\x01\x02\x7f", '%0d%0aX-Evil: 1', '%n%n%s%s', '$(id)`id`;|&', "'--",
    '../../../../etc/passwd', '/etc/passwd', '..', '.', '-rf', 'CON', "\xff\xfe\x80", "\xe2\x80\xae\xc2\x85\xe2\x80\xa8", "{\"log\":\"accepted\"}", '<script>alert(1)</script>',
    'x' x 300, "id=1 reason=none WH0304: accepted endpoint=main", '');

my (%answered, @answered);
sub one {
    my ($path, $what, $headers, $body) = @_;
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => $path, body => $body, headers => $headers));
    my $res = $conn->response('POST');
    $conn->close;
    my $status = $res->status;
    $answered{$status}++;
    like $status, qr/^(?:202|4\d\d)$/, "$what: $status" or diag $res->raw;
    my $raw = $res->raw . $res->body;
    unlike $raw, qr/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]/, "$what: no control byte comes back";
    unlike $raw, qr/^X-Evil/m, "$what: nor a header";
    # 404 and 414, and 400 for what is no request: httpd's own
    push @answered, $res->json->{id} if $res->json;
    return $status == 202 ? $res->json->{id} : undef;
}
my (@ids, $n);
for my $value (@hostile) {
    (my $shown = substr $value, 0, 30) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
    my $plain = sub { my ($body) = @_; (my $id = delivery_guid()); return ['Content-Type' => 'application/json', 'X-GitHub-Event' => 'push', 'X-GitHub-Delivery' => $id, 'X-Hub-Signature-256' => sign_github($secret, $body)] };
    my %place = (
        event => sub { my $h = $plain->($_[0]); $h->[3] = $value; $h },
        id => sub { my $h = $plain->($_[0]); $h->[5] = $value; $h },
        type => sub { my $h = $plain->($_[0]); $h->[1] = $value; $h },
        signature => sub { my $h = $plain->($_[0]); $h->[7] = $value; $h },
        other => sub { [@{ $plain->($_[0]) }, 'X-Other' => $value, 'User-Agent' => $value, Referer => $value] },
        name => sub { [@{ $plain->($_[0]) }, "X-$value" => 'x'] },
    );
    for my $place (sort keys %place) {
        my $body = json_encode({ n => $n++, to => $place });
        push @ids, grep { defined } one('/hook', "$place $shown", $place{$place}->($body), $body);
    }
    (my $escaped = $value) =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
    for my $path ($value eq '..' ? () : "/hook/$escaped", "/hook?q=$escaped", '/hook?' . ($value =~ s/[^!-~]/_/gr =~ s/#/_/gr)) {
        my $body = json_encode({ n => $n++, path => $escaped });
        push @ids, grep { defined } one($path, "path $shown", $plain->($body), $body);
    }
}
# raw line ends inside of a header never make another one
for my $break ("\rX-Evil: 1", "\nX-Evil: 1", "\r\n X-Evil: folded") {
    my $body = json_encode({ n => $n++ });
    (my $shown = $break) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
    push @ids, grep { defined } one('/hook', "event with $shown", ['Content-Type' => 'application/json', 'X-GitHub-Event' => "push$break", 'X-GitHub-Delivery' => delivery_guid(),
        'X-Hub-Signature-256' => sign_github($secret, $body)], $body);
}
cmp_ok scalar @ids, '>', 100, 'many were accepted: ' . join ', ', map { "$_: $answered{$_}" } sort keys %answered;

my %job;
wait_for {
    my (undef, $out) = tool('list', '--limit', 1000, '--json');
    for my $row (JSON::PP->new->utf8->incr_parse($out)) { $job{ $row->{id} } = { map { ($_->{handler} => $_) } @{ $row->{jobs} } } }
    !grep { !$job{$_} || grep { $_->{state} !~ /^(?:done|dead)$/ } values %{ $job{$_} } } @ids;
} 60, 'all are settled';

# ---- logs: one record each ----
{
    my $text = slurp($srv->path('deliveries.jsonl'));
    unlike $text, qr/[\x00-\x09\x0b-\x1f\x7f]/, 'delivery log: no control byte';
    my @records = map { json_decode($_) } split /\n/, $text;
    my %seen;
    $seen{ $_->{id} }++ for grep { $_->{log} =~ /^(?:accepted|duplicate|refused)$/ } @records;
    is_deeply \%seen, { map { ($_ => 1) } @answered }, 'delivery log: one record of each request that reached the endpoint, under the id of its answer';
    is scalar(grep { $_->{log} !~ /^(?:accepted|duplicate|refused|attempt|done|dead)$/ } @records), 0, 'and nothing else';
    my $log = slurp($srv->error_log);
    unlike $log, qr/[\x00-\x08\x0b-\x1f\x7f]/, 'error log: no control byte';
    is scalar(grep { !/^\[\w{3} \w{3} \d\d [\d:.]+ \d{4}\] \[/ } split /\n/, $log), 0, 'error log: every line is a record of its own';
    my %logged;
    $logged{ $_ // '' }++ for map { /\] WH(?:0304: accepted|0200: refused) endpoint=main id=(\S+) / } split /\n/, $log;
    is_deeply \%logged, { map { ($_ => 1) } @answered }, 'error log: one record of each';
    for my $how (['list', '--limit', 1000], map { ['show', $_] } @ids[map { $_ * 4 } 0 .. $#ids / 4]) {
        my (undef, $out, $err) = tool(@$how);
        my $shown = $out . $err;
        next if utf8::decode($shown) && $shown !~ /[\x00-\x08\x0b-\x1f\x7f-\x9f\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{206f}]/;
        fail("webhookctl @$how prints control characters");
    }
}

# ---- headers of the upstream ----
{
    my %by_id = map { ($_->{headers}{'x-delivery-id'} => $_) } $up->requests;
    is scalar(grep { exists $_->{headers}{'x-evil'} } values %by_id), 0, 'upstream: no header was injected';
    is_deeply [sort keys %by_id], [sort @ids], 'upstream: each delivery once';
    is_deeply [grep { $job{$_}{api}{state} ne 'done' } @ids], [], 'and done';
    my %odd = map { ($_ => 1) } map { grep { /[^!#\$%&'*+.^_`|~0-9a-z-]/ } keys %{ $_->{headers} } } values %by_id;
    is_deeply [sort keys %odd], [], 'names of headers are names';
}

# ---- names of files ----
{
    opendir my $dh, $srv->path('out', 'raw') or die;
    my @names = grep { !/^\.\.?$/ } readdir $dh;
    is_deeply [grep { !/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\.(?:json|txt|xml|bin)$/ } @names], [], 'raw files: their names are ours';
    is_deeply [sort map { s/\..*//r } @names], [sort @ids], 'raw files: one of each delivery';
    opendir $dh, $srv->path('out') or die;
    is_deeply [sort grep { !/^\./ } readdir $dh], ['lines', 'raw'], 'and nothing beside them';
    my @lines = json_lines($srv->path('out', 'lines'));
    is_deeply [sort map { $_->{id} } @lines], [sort @ids], 'envelopes: one line of each';
}

# ---- something else where the file should be ----
{
    my $file = $srv->path('out', 'lines');
    my $victim = spew($srv->path('victim'), "untouched\n");
    for (['a symbolic link', sub { symlink $victim, $file }], ['a FIFO', sub { POSIX::mkfifo($file, 0644) }], ['a directory', sub { mkdir $file }], ['a link to nothing', sub { symlink $srv->path('nowhere'), $file }]) {
        my ($what, $make) = @$_;
        rename $file, "$file.away";
        ok $make->(), "$what in place of the file";
        my $id = $srv->github('/hook', $secret, json_encode({ n => $n++ }))->json->{id};
        wait_for { my $j = jobs($id)->{lines}; $j->{attempts} >= 1 && $j->{state} eq 'retry' } 60, "$what: the attempt fails";
        is jobs($id)->{lines}{reason}, 'file-write', "$what: with its reason";
        wait_for { jobs($id)->{raw}{state} eq 'done' } 60, "$what: another handler goes on";
        -d $file && !-l $file ? rmdir $file : unlink $file;
        rename "$file.away", $file;
        wait_for { jobs($id)->{lines}{state} eq 'done' } 60, "$what: done when it is gone";
    }
    is slurp($victim), "untouched\n", 'what the link named is untouched';
    ok !-e $srv->path('nowhere'), 'and nothing was made behind the other';
}

# ---- counters: 10,000 paths, events, ids ----
{
    my $names = sub { join "\n", sort map { /^([^:]+): / } grep { /^Webhook/ } split /\n/, $srv->get('/status?auto')->body };
    my $body = '{}';
    my $burst = sub {
        my ($count) = @_;
        my %status;
        for my $at (0 .. 3) {
            my $conn = $srv->connect;
            for my $round (1 .. $count / 80) {
                my $out = '';
                for my $i (1 .. 20) {
                    my $x = sha256_hex("$at $round $i $count");
                    my @signed = ('Content-Type' => "application/$x", 'X-GitHub-Event' => $x, 'X-GitHub-Delivery' => $x, 'X-Hub-Signature-256' => sign_github($i % 4 ? 'wrong' : $secret, $body));
                    my $path = ('/drop/', '/none/', '/gate/', '/drop?')[$i % 4 ? $i % 3 : 3];
                    # a body nobody reads would end the connection
                    $out .= $bytes->($path eq '/none/' ? ('GET', "$path$x") : ('POST', "$path$x", body => $body), headers => \@signed, keepalive => 1);
                }
                $conn->print($out);
                $status{ $conn->response('POST')->status }++ for 1 .. 20;
            }
            $conn->close;
        }
        return \%status;
    };
    $burst->(80);
    my $before = $names->();
    my @size = map { -s } glob $srv->path('run', 'webhook-counters-*');
    cmp_ok scalar @size, '>', 0, 'the counters\' file is looked at' ;
    my $status = $burst->(10_000);
    is_deeply [map { $status->{$_} } 202, 401, 404], [2500, 5000, 2500], '10,000 requests, each with a path, an event and an id of its own' or diag(json_encode($status));
    is $names->(), $before, 'counters: the same names as before';
    is_deeply [map { -s } glob $srv->path('run', 'webhook-counters-*')], \@size, 'and the same size';
}
done_testing;
