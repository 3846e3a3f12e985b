# SPDX-License-Identifier: Apache-2.0
#
# WebhookValidate: payloads that are not what they should be are refused before anything acts on them, say where and why without saying what,
# and are counted and logged; report-only lines let pass. Schemas are chosen by event and read again at a restart.
use lib 't/lib';
use WebhookTest;

my $secret = 'validate-secret';
my $canary = 'canary-value-7c1e';
my $srv = WebhookTest::Server->new(name => 'validate', modules => ['reflector', 'rewrite'], conf => <<'EOF');
WebhookLog "@DIR@/deliveries.jsonl"
<Location "/status">
    SetHandler server-status
</Location>
<WebhookHandler one>
    WebhookSend file "@DIR@/out/one"
</WebhookHandler>
<WebhookEndpoint events>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookValidate json schema=schemas/push.json event=push
    WebhookValidate json schema=schemas/many.json event=many
    WebhookValidate json schema=schemas/any.json
    WebhookDeliver one
</WebhookEndpoint>
<Location "/events">
    SetHandler webhook
    WebhookUse events
</Location>
<Location "/off">
    SetHandler webhook
    WebhookUse events
    WebhookValidate off
</Location>
<Location "/json">
    SetHandler webhook
    WebhookUse events
    WebhookValidate json
    WebhookContentTypes application/json application/x-www-form-urlencoded text/plain multipart/form-data
</Location>
<Location "/only">
    SetHandler webhook
    WebhookUse events
    WebhookValidate json schema=schemas/push.json event=push
</Location>
<Location "/report">
    SetHandler webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookName report
    WebhookValidate json schema=schemas/push.json report
    WebhookDeliver one
</Location>
<Location "/mixed-report">
    SetHandler webhook
    WebhookUse events
    WebhookValidate json schema=schemas/push.json event=push report
    WebhookValidate json schema=schemas/any.json event=other
</Location>
<Location "/rules">
    SetHandler webhook
    WebhookUse events
    WebhookValidate json report
    WebhookDeliver one "webhook_json('/ref') == 'main'"
</Location>
<Location "/gate">
    SetHandler reflector
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookName gate
    WebhookValidate json schema=schemas/push.json event=push
    WebhookGate On
</Location>
<Location "/authn">
    SetHandler reflector
    AuthType Webhook
    Require webhook-event push
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookName authn
    WebhookValidate json schema=schemas/push.json
    WebhookGate On
</Location>
<Location "/regex">
    SetHandler webhook
    WebhookUse events
    WebhookValidate json schema=schemas/regex.json
</Location>
<Location "/deep">
    SetHandler webhook
    WebhookUse events
    WebhookValidate json schema=schemas/costly.json
</Location>
<Location "/format">
    SetHandler webhook
    WebhookUse events
    WebhookValidate json schema=schemas/format.json event=a
    WebhookValidate json schema=schemas/format.json event=b format=assert
    WebhookValidate json schema=schemas/old.json    event=d draft=7
</Location>
<Location "/ref">
    SetHandler webhook
    WebhookUse events
    WebhookValidate json schema=schemas/ref.json ref=https://schemas.example/=@DIR@/schemas
</Location>
<Location "/ce">
    SetHandler webhook
    WebhookVerify none
    WebhookName ce
    WebhookValidate json schema=schemas/push.json event=com.example.push
    WebhookValidate json schema=schemas/push.json event=reported report
    WebhookValidate json schema=schemas/dear.json event=dear
    WebhookDeliver one
</Location>
<WebhookEndpoint moved>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookGate On
</WebhookEndpoint>
<Location "/moved">
    WebhookUse moved
    RewriteEngine On
    RewriteRule ^ /strict
</Location>
<Location "/strict">
    SetHandler reflector
    WebhookUse moved
    WebhookValidate json schema=schemas/push.json
</Location>
<Location "/gzip">
    SetHandler webhook
    WebhookUse events
    WebhookDecode gzip
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
mkdir $srv->path('schemas');
my $push = { type => 'object', required => ['ref'], properties => { ref => { type => 'string' }, list => { items => { type => 'integer' } },
    'a b/~"<' => { type => 'null' } } };
my %schema = (push => $push, any => { type => 'object' }, many => { items => { type => 'string' } },
    regex => { properties => { x => { pattern => '^(a+)+$' } } },
    costly => { '$defs' => { n => { oneOf => [map { { items => { '$ref' => '#/$defs/n' }, title => "branch $_" } } 1 .. 2] } }, '$ref' => '#/$defs/n' },
    dear => { properties => { x => { anyOf => [{ pattern => '^(a+)+$' }, JSON::PP::true] } } },
    format => { properties => { at => { format => 'date-time' } } },
    old => { items => [{ type => 'string' }] },
    ref => { properties => { x => { '$ref' => 'https://schemas.example/any' } } });
spew($srv->path('schemas', "$_.json"), json_encode($schema{$_})) for keys %schema;
announce(qr/WebhookVerify none/);
$srv->start;

sub reason { ($_[0]->json // {})->{reason} // '-' }
sub result { my ($res) = @_; return $res->status =~ /^20/ ? 'taken' : $res->status . ' ' . reason($res) }
sub sent {
    my ($path, $body, %opt) = @_;
    my $list = github_headers($secret, $body, event => $opt{event} // 'push');
    $list->[1] = $opt{type} if $opt{type};
    return $srv->post($path, $body, headers => [@$list, @{ $opt{headers} // [] }]);
}
my $log_at = 0;
sub new_log { my $log = slurp($srv->error_log); my $new = substr $log, $log_at; $log_at = length $log; return $new }
sub counter { my ($name) = @_; my ($n) = $srv->get('/status?auto')->body =~ /^WebhookEndpoint\[\Q$name\E: (\d+)$/m; return $n // 0 }
sub delivery_log { my ($res) = @_; my $id = $res->json->{id}; return (grep { $_->{id} eq $id && $_->{log} =~ /^(?:accepted|refused)$/ } json_lines($srv->path('deliveries.jsonl')))[0] }

# ---- the schema of the event ----
is result(sent('/events', '{"ref":"main"}')), 'taken', 'a payload that matches';
is result(sent('/events', '{"other":1}', event => 'issues')), 'taken', 'another event, the default schema';
is result(sent('/events', '[]', event => 'issues')), '422 schema-invalid', 'which is one too';
is result(sent('/off', '{"ref":1}')), 'taken', 'WebhookValidate off';
{
    new_log();
    my $before = counter('events].refused.schema-invalid');
    my $res = sent('/events', json_encode({ ref => [$canary], secret => $canary }));
    is $res->status, 422, 'one that does not match: 422';
    is $res->header('Content-Type'), 'application/problem+json', 'a problem';
    my $problem = $res->json;
    is $problem->{reason}, 'schema-invalid', 'schema-invalid';
    is $problem->{pointer}, '#/ref', 'where';
    is $problem->{keyword}, 'type', 'by what';
    unlike $res->body, qr/\Q$canary\E/, 'not the value';
    is counter('events].refused.schema-invalid'), $before + 1, 'counted';
    my $log = new_log();
    like $log, qr/WH0200: refused endpoint=events id=$problem->{id} reason=schema-invalid status=422 #\/ref type/, 'logged';
    like $log, qr{WH0311: .*#/ref type \(\S*schemas/push\.json#/properties/ref/type\)}, 'with the place in the schema';
    unlike $log, qr/\Q$canary\E/, 'without the value';
    my $line = delivery_log($res);
    is "$line->{log} $line->{reason} $line->{detail}", 'refused schema-invalid #/ref type', 'in the delivery log';
}
{
    my $res = sent('/events', '{"ref":"x","a b/~\"<":"' . $canary . "\r\nX: y\"}");
    is result($res), '400 json-invalid', 'a control character is no JSON';
    $res = sent('/events', json_encode({ ref => 'x', 'a b/~"<' => $canary }));
    is $res->json->{pointer}, '#/a%20b~1~0%22%3C', 'a pointer is a fragment';
    unlike $res->body, qr/[<>]|\Q$canary\E/, 'harmless anywhere';
    $res = sent('/events', json_encode([map { 'x' } 1 .. 5]), event => 'many');
    is result($res), 'taken', 'an array';
    new_log();
    $res = sent('/events', json_encode([1 .. 25]), event => 'many');
    is result($res), '422 schema-invalid', 'with 25 mistakes';
    my @lines = grep { /WH0311/ } split /\n/, new_log();
    is scalar @lines, 10, 'ten are in the log';
    like $lines[-1], qr/there are more$/, 'and that there are more';
    $res = sent('/events', json_encode({ 'k' x 1000 => 1, ref => {} }));
    is result($res), '422 schema-invalid', 'a long name elsewhere';
}

# ---- JSON, and nothing more ----
for (['{"a":1}', 'taken'], ['{"a":1', '400 json-invalid'], ['', '400 json-invalid'], ["{\"a\":\"\xff\"}", '400 json-utf8'], ["\xef\xbb\xbf{}", '400 json-bom'],
    ['{"a":"\u0000"}', '400 json-nul'], ['{"a":"\ud800"}', '400 json-surrogate'], ['{"a":1,"\u0061":2}', '400 json-duplicate-name'],
    ['[' x 64 . ']' x 64, 'taken'], ['[' x 65 . ']' x 65, '400 json-depth'], ['[' . '0,' x 100_000 . '0]', '413 json-values'],
    ['{' . join(',', map { "\"$_\":0" } 1 .. 10_001) . '}', '413 json-members'], ['{"' . 'a' x 1025 . '":0}', '413 json-name-length']) {
    my ($body, $want) = @$_;
    is result(sent('/json', $body)), $want, 'WebhookValidate json: ' . substr $body, 0, 40;
}
is result(sent('/json', 'payload=%7B%7D', type => 'application/x-www-form-urlencoded')), 'taken', 'JSON in a form';
is result(sent('/json', 'a=%7B%7D', type => 'application/x-www-form-urlencoded')), '400 json-invalid', 'a form without any';
is result(sent('/json', 'payload=%7B%7D&a=1&a=2', type => 'application/x-www-form-urlencoded')), '400 form-duplicate', 'a form that is none';
is result(sent('/json', '{}', type => 'text/plain')), '400 json-invalid', 'bytes';
is result(sent('/only', '{"ref":1}')), '422 schema-invalid', 'lines for events alone: theirs';
is result(sent('/only', '{"ref":1}', event => 'issues')), 'taken', 'others must be JSON';
is result(sent('/only', '{"ref":1', event => 'issues')), '400 json-invalid', 'and are refused when they are not';

# ---- report ----
{
    new_log();
    my $before = counter('report].invalid');
    my $res = sent('/report', json_encode({ ref => [$canary] }));
    is result($res), 'taken', 'report: taken';
    is counter('report].invalid'), $before + 1, 'counted';
    is counter('report].refused'), 0, 'as no refusal';
    my $log = new_log();
    like $log, qr/WH0310: .*endpoint=report id=\S+ schema-invalid #\/ref type/, 'logged';
    unlike $log, qr/\Q$canary\E/, 'without the value';
    my $line = delivery_log($res);
    is "$line->{log} $line->{invalid}", 'accepted schema-invalid #/ref type', 'and in the delivery log';
    is result($res = sent('/report', '{"ref":"x"}')), 'taken', 'one that matches';
    ok !exists delivery_log($res)->{invalid}, 'has no such member';
    is result($res = sent('/report', '{"ref"')), 'taken', 'what is no JSON is taken too';
    is delivery_log($res)->{invalid}, 'json-invalid syntax at byte 6', 'and said';
    is result(sent('/mixed-report', '{"ref":1}')), 'taken', 'a line that reports beside one that does not';
    is result(sent('/mixed-report', '[]', event => 'other')), '422 schema-invalid', 'each for its event';
    is result(sent('/mixed-report', '[', event => 'none')), '400 json-invalid', 'other events are not only reported then';
    is result(sent('/rules', '{"ref"')), '400 json-invalid', 'a rule that needs JSON refuses what is none, whatever is reported';
}

# ---- gates ----
is sent('/gate', '{"ref":"main"}')->body, '{"ref":"main"}', 'a gate passes what matches';
{
    my $res = sent('/gate', '{"ref":1}');
    is result($res), '422 schema-invalid', 'and refuses the rest';
    is $res->json->{pointer}, '#/ref', 'in the same form';
    is counter('gate].gated'), 1, 'before the application';
    is result(sent('/gate', '{', event => 'issues')), '400 json-invalid', 'other events must be JSON';
    is sent('/gate', '{}', event => 'issues')->body, '{}', 'and pass then';
    is result(sent('/authn', '{"ref":1}')), '422 schema-invalid', 'with AuthType Webhook too';
    is sent('/authn', '{"ref":"x"}')->body, '{"ref":"x"}', 'the other way round';
    my $bad = github_headers('wrong', '{"ref":1}');
    is result($srv->post('/gate', '{"ref":1}', headers => $bad)), '401 signature-mismatch', 'who cannot sign is told nothing of the schema';
}

# ---- a request that is rewritten into a place that demands more ----
is sent('/moved', '{"ref":"x"}')->body, '{"ref":"x"}', 'rewritten: what matches passes';
{
    my $res = sent('/moved', '{"ref":1}');
    is result($res), '422 schema-invalid', 'what does not is refused';
    is $res->json->{pointer}, '#/ref', 'with the place';
}

# ---- bounds ----
is result(sent('/regex', json_encode({ x => 'a' x 30 }))), 'taken', 'a pattern';
is result(sent('/regex', json_encode({ x => 'a' x 5000 . '!' }))), '422 regex-limit', 'that takes too much work is a refusal';
{
    is result(sent('/deep', '[' x 60 . ']' x 60)), '422 schema-budget', 'so is a schema';
}

# ---- shapes that take the most memory, and depth: sixteen of each at once ----
{
    my $peak = sub {
        my $max = 0;
        for my $pid ($srv->children) {
            my ($kb) = (slurp("/proc/$pid/status") // '') =~ /^VmHWM:\s+(\d+)/m;
            $max = $kb if ($kb // 0) > $max;
        }
        return $max;
    };
    my $before = $peak->();
    cmp_ok $before, '>', 1000, 'what a child takes is known';
    for (['{}', 'json-values'], ['[]', 'json-values'], ['""', 'json-values'], ['0', 'json-values'], ['{"a":0}', 'json-values'], ['', 'json-depth']) {
        my ($element, $want) = @$_;
        my $body = $element eq '' ? '[' x 1_000_000 : '[' . join(',', ($element) x int(1_000_000 / (1 + length $element))) . ']';
        my $request = WebhookTest::Client::request_bytes(POST => '/json', body => $body, headers => github_headers($secret, $body));
        my @conn = map { my $c = $srv->connect; $c->print($request); $c } 1 .. 16;
        is_deeply [grep { $_ ne $want } map { reason($_->response('POST')) } @conn], [], 'a million bytes of ' . ($element || '[') . ", sixteen at once: $want";
        $_->close for @conn;
    }
    # a tree of objects made of the first shape takes 80 MiB each
    SKIP: {
        skip 'a sanitizer keeps what is freed', 1 if $ENV{WEBHOOK_ASAN};
        cmp_ok $peak->() - $before, '<', 16 * 10 * 1024, 'no request takes more than ten times its size';
    }
}

# ---- options ----
for (['a', '{"at":"2018-04-25 20:42:10"}', 'taken'], ['b', '{"at":"2018-04-25 20:42:10"}', '422 schema-invalid'], ['b', '{"at":"2018-04-25T20:42:10Z"}', 'taken']) {
    is result(sent('/format', $_->[1], event => $_->[0])), $_->[2], "format: event $_->[0] $_->[1]";
}
is result(sent('/format', '[1]', event => 'd')), '422 schema-invalid', 'draft=7: an array of items';
is result(sent('/ref', '{"x":{}}')), 'taken', 'a reference into a mapped directory';
is result(sent('/ref', '{"x":1}')), '422 schema-invalid', 'counts';

# ---- CloudEvents, codings ----
{
    my %ce = (specversion => '1.0', id => '1', source => '/s', type => 'com.example.push');
    my $post = sub { my ($type, $body, @headers) = @_; return result($srv->post('/ce', $body, headers => ['Content-Type' => $type, @headers])) };
    my $one = 'application/cloudevents+json';
    is $post->($one, json_encode({ %ce, data => { ref => 'x' } })), 'taken', 'an event: its data by its type';
    is $post->($one, json_encode({ %ce, data => { ref => 1 } })), '422 schema-invalid', 'does not match';
    is $post->($one, json_encode({ %ce, type => 'other', data => { ref => 1 } })), 'taken', 'another type';
    is $post->($one, json_encode({ %ce, id => '', data => { ref => 'x' } })), '400 cloudevent-invalid', 'no event';
    is $post->('application/json', '{"ref":1}', map { ("ce-$_" => $ce{$_}) } sort keys %ce), '422 schema-invalid', 'binary';
    my $batch = 'application/cloudevents-batch+json';
    is $post->($batch, json_encode([{ %ce, data => { ref => 'x' } }, { %ce, type => 'other', data => 1 }])), 'taken', 'a batch: each for itself';
    is $post->($batch, json_encode([{ %ce, type => 'other', data => 1 }, { %ce, data => { ref => 1 } }])), '422 schema-invalid', 'and one that does not match';
    my $res = $srv->post('/ce', json_encode([{ %ce, data => { ref => 'x' } }, { %ce, data => { ref => 1 } }]), headers => ['Content-Type' => $batch]);
    is $res->json->{pointer}, '#/1/data/ref', 'which one it is, and where in it';
    $res = $srv->post('/ce', json_encode([{ %ce, data => { ref => 'x' } }, { %ce, data => 'text', datacontenttype => 'text/plain' }]), headers => ['Content-Type' => $batch]);
    is result($res), '400 json-invalid', 'one that is no JSON';

    # thousands of events cost no more than one payload may, and say no more
    my $dear = sub { my ($n) = @_; return { %ce, type => 'dear', data => { x => 'a' x $n . '!' } } };
    my $most = 8;
    $most++ while $most < 64 && $post->($one, json_encode($dear->($most + 1))) eq 'taken';
    is $post->($one, json_encode($dear->($most + 1))), '422 regex-limit', "an event that costs too much ($most)";
    is $post->($batch, json_encode([$dear->($most)])), 'taken', 'a batch of one that does not';
    is $post->($batch, json_encode([($dear->($most)) x 8])), '422 regex-limit', 'a batch of many that do together';
    new_log();
    is $post->($batch, json_encode([map { { %ce, type => 'reported', id => "$_", data => { ref => $_ } } } 1 .. 50])), 'taken', 'a batch that is reported';
    is scalar(() = new_log() =~ /WH0311/g), 10, 'ten errors of it are in the log';
    require Compress::Zlib;
    is result(sent('/gzip', Compress::Zlib::memGzip('{"ref":1}'), headers => ['Content-Encoding' => 'gzip'])), '422 schema-invalid', 'gzip: what is inside';
    is result(sent('/gzip', Compress::Zlib::memGzip('{"ref":"x"}'), headers => ['Content-Encoding' => 'gzip'])), 'taken', 'matches';
    is result(sent('/gzip', 'no gzip', headers => ['Content-Encoding' => 'gzip'])), '400 coding-invalid', 'or cannot be had';
}

# ---- schemas are read again ----
spew($srv->path('schemas/push.json'), json_encode({ %$push, required => ['ref', 'new'] }));
is result(sent('/events', '{"ref":"main"}')), 'taken', 'a changed file does not count yet';
$srv->graceful;
wait_for { result(sent('/events', '{"ref":"main"}')) eq '422 schema-invalid' } 30, 'after a graceful restart it does';

# ---- mistakes ----
{
    my ($place) = map { $_->{validate} } grep { $_->{path} eq '/events' } @{ $srv->dump_json->{endpoints} };
    is_deeply $place, ['json schema=schemas/push.json event=push', 'json schema=schemas/many.json event=many', 'json schema=schemas/any.json'], 'the dump';
    my $bad = WebhookTest::Server->new(name => 'badschema');
    spew($bad->path('secret'), $secret, 0600);
    my %wrong = ('{"type":"strin"}' => qr{#/type}, '{"properties":{"a":{"$ref":"#/nowhere"}}}' => qr{#/properties/a}, '{' => qr{},
        '{"$schema":"http://json-schema.org/draft-04/schema#"}' => qr{draft-04}, '{"pattern":"("}' => qr{#/pattern},
        '{"$ref":"http://127.0.0.1:1/x.json"}' => qr{127\.0\.0\.1});
    for my $text (sort keys %wrong) {
        spew($bad->path('bad.json'), $text);
        $bad->write_conf("<Location /h>\nWebhookVerify github\nWebhookSecret file:secret\nWebhookValidate json schema=bad.json\n</Location>\n");
        my ($rc, $out) = $bad->config_test;
        my ($line, $file) = ($bad->conf_line(4), $bad->conf_file);
        ok $rc != 0 && $out =~ /line $line of \Q$file\E/ && $out =~ /\Q@{[$bad->path('bad.json')]}\E/ && $out =~ $wrong{$text}, "a schema that does not compile: $text" or diag $out;
    }
}
done_testing;
