# SPDX-License-Identifier: Apache-2.0
#
# Templates: values of a delivery in URLs, headers, bodies, arguments and file names. What is wrong is said by -t with its line; what a sender
# writes changes no structure; values are frozen when the delivery is accepted, and a bad one costs a job, never a delivery.
use lib 't/lib';
use WebhookTest;

my $up = WebhookTest::Upstream->new(sub {
    my ($req) = @_;
    return [503] if $req->{path} =~ m{^/first-fails} && ($req->{headers}{'x-delivery-attempt'} // 0) < 2;
    return [200];
});

# ---- mistakes of the configuration ----
{
    my $srv = WebhookTest::Server->new(name => 'mistakes', store => 0);
    my $file = $srv->conf_file;
    my $bad = sub {
        my ($name, $line, $text, @conf) = @_;
        $srv->write_conf(join "\n", '<WebhookHandler h>', @conf, '</WebhookHandler>', '');
        my ($rc, $out) = $srv->config_test;
        my $at = $srv->conf_line($line + 1);
        ok $rc != 0 && $out =~ /line $at of \Q$file\E:/ && index($out, $text) >= 0, "refused: $name" or diag "exit $rc, wanted line $at and \"$text\"\n$out";
    };
    my $send = 'WebhookSend upstream "http://127.0.0.1/x"';
    my $value = '%{webhook_json:/id}';
    $bad->('a value in a URL without its encoder', 1, 'write %{webhook_urlenc:%{webhook_json:/id}}', qq(WebhookSend upstream "http://127.0.0.1/x?id=$value"));
    $bad->('another encoder', 1, 'write %{webhook_urlenc:', qq(WebhookSend upstream "http://127.0.0.1/x?id=%{webhook_jsonenc:$value}"));
    $bad->('a core function that leaves & and =', 1, 'stands in a URL', qq(WebhookSend upstream "http://127.0.0.1/x?id=%{escape:$value}"));
    $bad->('a request header in a URL', 1, 'stands in a URL', 'WebhookSend upstream "http://127.0.0.1/%{req:X-Path}"');
    $bad->('the query in a URL', 1, 'stands in a URL', 'WebhookSend upstream "http://127.0.0.1/?%{QUERY_STRING}"');
    $bad->('a variable the sender chooses', 1, 'stands in a URL', 'WebhookSend upstream "http://127.0.0.1/?%{WEBHOOK_EVENT}"');
    $bad->('an encoder for half of it', 1, 'stands in a URL', qq(WebhookSend upstream "http://127.0.0.1/%{webhook_urlenc:a}$value"));
    for my $url ("http://$value/x", "http://127.0.0.1:$value/x", "$value://127.0.0.1/", 'http://a%{webhook_urlenc:' . $value . '}.example/x',
        '%{webhook_urlenc:' . $value . '}', 'http://127.0.0.1%{webhook_urlenc:' . $value . '}', 'http://%{WEBHOOK_ID}@127.0.0.1/') {
        $bad->("scheme, host and port: $url", 1, 'scheme, host and port are the configuration', qq(WebhookSend upstream "$url"));
    }
    $bad->('not closed', 1, 'is not closed', 'WebhookSend upstream "http://127.0.0.1/%{webhook_urlenc:%{webhook_json:/id}"');
    $bad->('an unknown function', 2, "'webhook_jsn' does not exist", $send, 'WebhookSendHeader X-A "%{webhook_jsn:/id}"');
    $bad->('a broken pointer', 2, 'a JSON pointer', $send, 'WebhookSendHeader X-A "%{webhook_json:id}"');
    $bad->('the process\'s environment', 3, 'osenv is not for templates', $send, 'WebhookSendHeader X-B "b"', 'WebhookSendHeader X-A "%{osenv:TOKEN}"');
    $bad->('a file', 2, 'file is not for templates', $send, 'WebhookSendHeader X-A "%{file:/etc/passwd}"');
    $bad->('a header\'s name', 2, 'is not the name of a header', $send, 'WebhookSendHeader "X A" b');
    $bad->('a header that is the library\'s', 3, 'cannot set Host', $send, 'WebhookSendHeader X-A b', 'WebhookSendHeader Host b');
    $bad->('an unencoded value in JSON', 2, 'write %{webhook_jsonenc:%{webhook_json:/id}}', $send, qq(WebhookSendBody application/json '{"id":$value}'));
    $bad->('inside of a string', 2, 'the values bring their own quotes', $send, qq(WebhookSendBody application/json '{"id":"%{webhook_jsonenc:$value}"}'));
    $bad->('as a name', 2, 'the values bring their own quotes', $send, qq(WebhookSendBody application/json '{%{webhook_jsonraw:/id}:1}'));
    $bad->('a variable in JSON', 2, 'in a JSON body', $send, q(WebhookSendBody application/vnd.x+json '{"id":%{WEBHOOK_ID}}'));
    $bad->('JSON that is none', 2, 'is not JSON', $send, q(WebhookSendBody application/json '{"a":1,}'));
    $bad->('a form', 2, 'write %{webhook_urlenc:', $send, qq(WebhookSendBody application/x-www-form-urlencoded "a=$value"));
    $bad->('another type', 2, 'cannot be made (allowed: application/json', $send, 'WebhookSendBody text/html "<b>"');
    $bad->('two bodies', 3, 'is given twice', $send, 'WebhookSendBody text/plain a', 'WebhookSendBody text/plain b');
    $bad->('a body and a format', 2, 'exclude each other', "$send format=envelope", 'WebhookSendBody text/plain a');
    $bad->('the type twice', 3, 'given twice', $send, 'WebhookSendHeader Content-Type text/plain', 'WebhookSendBody text/plain a');
    $bad->('a body for a program', 1, 'option "body-type" is unknown', 'WebhookSend pipe /bin/true', 'WebhookSendBody text/plain a');
    $bad->('no destination', 0, 'has no WebhookSend', 'WebhookSendHeader X-A b');
    $bad->('the program itself', 1, 'the program itself cannot hold', qq(WebhookSend pipe "/bin/$value"));
    $bad->('a persistent program', 1, 'is started before any delivery', qq(WebhookSend pipe "/bin/cat $value" mode=persistent));
    $bad->('a file name', 1, 'write %{webhook_nameenc:', qq(WebhookSend file "/tmp/$value-%{id}" format=raw));
    $bad->('a file name that does not tell deliveries apart', 1, 'has no %{id}', qq(WebhookSend file "/tmp/%{webhook_nameenc:$value}" format=raw));
    $bad->('a directory', 1, 'a directory cannot hold', qq(WebhookSend file "/tmp/%{webhook_nameenc:$value}/%{id}" format=raw));
    $bad->('a file of lines', 1, 'is for format=raw', qq(WebhookSend file "/tmp/%{webhook_nameenc:$value}"));
    $srv->write_conf(qq(<Location "/h">\nWebhookVerify none\nWebhookDeliver "upstream:http://127.0.0.1/?a=$value"\n</Location>\n));
    my ($rc, $out) = $srv->config_test;
    my $at = $srv->conf_line(3);
    ok $rc && $out =~ /\Q$file\E:$at: .*stands in a URL without the encoder/, 'refused: in a handler written where it is used' or diag $out;
    $srv->write_conf(qq(<Location "/h">\nWebhookSendHeader X-A b\n</Location>\n));
    ($rc, $out) = $srv->config_test;
    ok $rc && $out =~ /WebhookSendHeader is allowed in <WebhookHandler> only/, 'refused: outside of a handler' or diag $out;
    $srv->write_conf("<WebhookHandler h>\n$send\nWebhookSendHeader X-Token s3cr3t-value\nWebhookSendBody text/plain hello\n</WebhookHandler>\n");
    unlike $srv->dump, qr/s3cr3t-value/, 'the dump shows headers by name alone';
    like $srv->dump, qr/header=X-Token/, 'but does show them';
    $srv->write_conf(qq(<WebhookHandler h>\nWebhookSend upstream "http://127.0.0.1/%{webhook_urlenc:$value}/x?token=s3cr3t-value"\n</WebhookHandler>\n));
    unlike $srv->dump, qr/s3cr3t-value/, 'and no query of a URL';
    cmp_ok index($srv->dump, 'url=http://127.0.0.1/%{webhook_urlenc:%{webhook_json:/id}}/x?...'), '>', 0, 'but what else there is, as it is written';
}

# ---- a server with one handler for each place ----
my $secret = 'templates-secret';
my $T = sub { "%{webhook_json:$_[0]}" };
my $base = $up->url;
my $conf = <<"EOF";
WebhookLog "\@DIR\@/deliveries.jsonl"
<WebhookHandler url>
    WebhookSend upstream "${base}hooks/%{webhook_urlenc:%{webhook_json:/name}}/x?type=%{webhook_urlenc:%{webhook_json:/type}}&id=%{WEBHOOK_ID}"
</WebhookHandler>
<WebhookHandler header>
    WebhookSend       upstream "${base}header" forward=none "header=X-Old: old %{webhook_json:/type}"
    WebhookSendHeader X-Type   "a %{webhook_json:/type}, %{WEBHOOK_EVENT}"
    WebhookSendHeader X-Req    "%{req:X-Mine}"
    WebhookSendHeader X-Token  "%{webhook_json:/token}"
    WebhookSendHeader Authorization "Bearer c0nfigured-t0ken"
</WebhookHandler>
<WebhookHandler json>
    WebhookSend     upstream "${base}json"
    WebhookSendBody application/json "{\\"name\\":%{webhook_jsonenc:%{webhook_json:/name} of %{WEBHOOK_ENDPOINT}},\\"raw\\":%{webhook_jsonraw:/data},\\"none\\":[%{webhook_jsonraw:/missing},%{webhook_jsonenc:%{webhook_json:/missing}}],\\"all\\":%{webhook_jsonraw:#}}"
</WebhookHandler>
<WebhookHandler form>
    WebhookSend     upstream "${base}form"
    WebhookSendBody application/x-www-form-urlencoded "name=%{webhook_urlenc:%{webhook_json:/name}}&b=c"
</WebhookHandler>
<WebhookHandler text>
    WebhookSend     upstream "${base}text"
    WebhookSendBody "text/plain; charset=utf-8" "name: %{webhook_textenc:%{webhook_json:/name}}"
</WebhookHandler>
<WebhookHandler argument>
    WebhookSend pipe "\@DIR\@/program first %{webhook_json:/name} 'a %{webhook_json:/type}' --type=%{webhook_json:/type}" cwd=\@DIR\@/out
</WebhookHandler>
<WebhookHandler behind>
    WebhookSend pipe "\@DIR\@/program -- %{webhook_json:/name}" cwd=\@DIR\@/out
</WebhookHandler>
<WebhookHandler name>
    WebhookSend file "\@DIR\@/out/raw/%Y-%{webhook_nameenc:%{webhook_json:/name}}-%{id}.%{ext}" format=raw
</WebhookHandler>
<WebhookHandler plain>
    WebhookSend file "\@DIR\@/out/plain"
</WebhookHandler>
<WebhookHandler again>
    WebhookSend       upstream "${base}first-fails/%{webhook_urlenc:%{webhook_json:/name}}"
    WebhookSendHeader X-Time   "%{TIME}-%{webhook_json:/type}"
    WebhookRetry first=1s cap=1s within=1h
</WebhookHandler>
EOF
my @all = qw(url header json form text argument behind name again);
for my $name (@all) {
    $conf .= <<"EOF";
<WebhookEndpoint $name>
    WebhookVerify  github
    WebhookSecret  file:\@DIR\@/secret
    WebhookDeliver $name
</WebhookEndpoint>
<Location "/$name">
    SetHandler webhook
    WebhookUse $name
</Location>
EOF
}
$conf .= <<"EOF";
<Location "/two">
    SetHandler webhook
    WebhookVerify  github
    WebhookSecret  file:\@DIR\@/secret
    WebhookDeliver text "webhook_json('/name') != 'not'"
    WebhookDeliver plain
    WebhookDeliver "upstream:${base}inline?n=%{webhook_urlenc:%{webhook_json:/name}}"
</Location>
EOF
my $srv = WebhookTest::Server->new(name => 'templates');
mkdir $srv->path('out');
mkdir $srv->path('out', 'raw');
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('program'), <<'EOF', 0755);
#!/usr/bin/perl
open my $fh, '>', "$ENV{WEBHOOK_ID}.args";
print $fh join("\n", map { unpack 'H*', $_ } @ARGV), "\n";
EOF
$srv->write_conf($conf);
$srv->start;

sub deliver {
    my ($to, $data, %opt) = @_;
    my $res = $srv->github("/$to", $secret, ref $data ? json_encode($data) : $data, %opt);
    is $res->status, 202, "$to: accepted" or diag $res->body;
    return $res->json->{id};
}
sub row { return scalar $srv->ctl_json('show', $_[0]) }
sub settled {
    my ($id, $state) = @_;
    my $row;
    wait_for { $row = row($id); $row->{state} eq $state } 30;
    is $row->{state}, $state, "$row->{endpoint}: $state";
    return $row->{jobs}[0];
}
sub request { my ($id) = @_; my ($req) = reverse grep { ($_->{headers}{'x-delivery-id'} // '') eq $id } $up->requests; return $req }

# Many at once: ids by number, settled together, so that the dispatcher's turns are shared.
sub each_settled {
    my ($to, $state, @data) = @_;
    my @ids = map { deliver($to, $_) } @data;
    my %state;
    wait_for { %state = map { $_->{id} => $_->{state} } $srv->ctl_json('list', '--endpoint', $to, '--limit', 1000); !grep { $state{$_} !~ /done|dead/ } @ids } 60;
    is scalar(grep { $state{$_} eq $state } @ids), scalar @ids, "$to: all are $state";
    return @ids;
}
sub dead {
    my ($to, $why, @data) = @_;
    for my $id (each_settled($to, 'dead', @data)) {
        my $job = row($id)->{jobs}[0];
        is "$job->{reason} $job->{attempts}", 'bad-template-value 1', "$to: with its reason, after one attempt";
        like $job->{attempt_rows}[0]{detail}, $why, "$to: $why";
    }
    return;
}
sub sent { my ($to, $data) = @_; my ($id) = each_settled($to, 'done', $data); return request($id) }
sub utf8 { my ($text) = @_; utf8::encode($text); return $text }

# Strings that have broken something somewhere.
my @evil = ("a b", "x&y=z", "a/b", "a?b", "a#b", "a%2fb", "%00", "a\r\nSet-Cookie: a=b", "a\nb", "\t", "'", '"', '\\', '";drop table', '$(id)', '`id`', '; touch x',
    '| id', '<script>', '&amp;', "\x{e9}\x{20ac}", "\x{1f600}", "{{7*7}}", '%{osenv:PATH}', '${PATH}', '%s%n', '-rf', '--help', '*', '~root', '../../etc/passwd',
    '..', '.', '', ' ', 'CON', '.htaccess', '//evil.example/', '@evil.example', ':8080', '","admin":true,"x":"', '\u0000', 'x' x 5000);

# ---- URLs ----
{
    my @dots = grep { m{\A\.\.?(?:/|\z)} } @evil;
    dead('url', qr/lead to another path/, map { { name => $_, type => 't' } } @dots); # "..%2F.." too: some servers decode before they look
    my @others = grep { my $e = $_; length $e < 1000 && !grep { $_ eq $e } @dots } @evil;
    my @ids = each_settled('url', 'done', map { { name => $_, type => $_ } } @others);
    for my $i (0 .. $#ids) {
        my $wanted = join '', map { /[A-Za-z0-9._~-]/ ? $_ : sprintf '%%%02X', ord } split //, utf8($others[$i]);
        is request($ids[$i])->{path}, "/hooks/$wanted/x?type=$wanted&id=$ids[$i]", "url: encoded, nothing else changed ($i)";
        is request($ids[$i])->{headers}{host}, '127.0.0.1:' . $up->port, 'to the configured host';
    }
    dead('url', qr/longer than 8192/, { name => 'a', type => 'x' x 9000 });
}

# ---- headers ----
{
    my @controls = grep { /[\x00-\x08\x0a-\x1f\x7f]/ } @evil;
    dead('header', qr/cannot stand in a header/, map { { type => $_ } } @controls);
    my @others = grep { !/[\x00-\x08\x0a-\x1f\x7f]/ } @evil;
    my @ids = each_settled('header', 'done', map { { type => $_ } } @others);
    for my $i (0 .. $#ids) {
        my $headers = request($ids[$i])->{headers};
        is $headers->{'x-type'}, 'a ' . utf8($others[$i]) . ', push', "header: the bytes ($i)";
        is $headers->{authorization}, 'Bearer c0nfigured-t0ken', 'beside a configured one';
        is join(' ', grep { !/^(?:x-|user-agent|accept|host|content-length|content-type|idempotency-key|authorization)/ } sort keys %$headers), '', 'and no others';
        like $headers->{'x-old'}, qr/\Aold/, 'the option says the same';
    }
    dead('header', qr/longer than 8192/, { type => 'x' x 9000 });
}

# ---- bodies ----
{
    my @ids = each_settled('json', 'done', map { { name => $_, data => { n => 1 } } } @evil);
    for my $i (0 .. $#ids) {
        my $got = eval { json_decode(request($ids[$i])->{body}) } // {};
        is $got->{name}, "$evil[$i] of json", "json: a string ($i)";
        is join(' ', sort keys %$got), 'all name none raw', 'and no other members';
        is_deeply $got->{none}, [undef, ''], 'nothing is null, or an empty string';
    }
    my $raw = '{"data": { "b": 1.500, "a": 12345678901234567890, "e": "\u00e9" }, "name":"n"}';
    my $req = sent('json', $raw);
    cmp_ok index($req->{body}, '"raw":{ "b": 1.500, "a": 12345678901234567890, "e": "\u00e9" },'), '>', 0, 'raw: the source, byte by byte';
    cmp_ok index($req->{body}, qq("all":$raw})), '>', 0, 'also of the whole';
    is $req->{headers}{'content-type'}, 'application/json', 'the type of the body';
    is $req->{headers}{'x-hub-signature-256'}, undef, 'and nothing that was said of the other one';
    $req = sent('form', { name => 'a b&c=d' });
    is $req->{body}, 'name=a%20b%26c%3Dd&b=c', 'form';
    is $req->{headers}{'content-type'}, 'application/x-www-form-urlencoded', 'and its type';
    $req = sent('text', { name => '<!channel> & co' });
    is $req->{body}, 'name: &lt;!channel&gt; &amp; co', 'text';
    is $req->{headers}{'content-type'}, 'text/plain; charset=utf-8', 'and its type';
}

# ---- arguments ----
{
    my @others = grep { !/^-/ } @evil;
    dead('argument', qr/begin with '-'/, map { { name => $_, type => 't' } } grep { /^-/ } @evil);
    my @ids = each_settled('argument', 'done', map { { name => $_, type => $_ } } @others);
    for my $i (0 .. $#ids) {
        my $bytes = utf8($others[$i]);
        is join('|', map { pack 'H*', $_ } split /\n/, slurp($srv->path('out', "$ids[$i].args")), -1), "first|$bytes|a $bytes|--type=$bytes|", "argument: one each ($i)";
    }
    @ids = each_settled('behind', 'done', map { { name => $_ } } @evil);
    is slurp($srv->path('out', "$ids[$_].args")), join("\n", map { unpack 'H*', $_ } '--', utf8($evil[$_])) . "\n", "behind --: whatever it begins with ($_)" for 0 .. $#ids;
    dead('argument', qr/longer than 65536/, { name => 'x' x 70000, type => 't' });
}

# ---- file names ----
{
    my @ids = each_settled('name', 'done', map { { name => $_ } } @evil);
    for my $i (0 .. $#ids) {
        my ($file, @more) = glob $srv->path('out', 'raw', "*$ids[$i]*");
        like $file, qr{/raw/2\d\d\d-[A-Za-z0-9_.-]{1,120}-\Q$ids[$i]\E\.json\z}, "name: one safe component ($i)";
        is slurp($file), json_encode({ name => $evil[$i] }), 'with the bytes';
    }
    is scalar(() = glob $srv->path('out', 'raw', '*')), scalar @evil, 'all of them in one directory';
    is_deeply [grep { !/\.args\z/ } map { s{.*/}{}r } glob $srv->path('out', '*')], ['raw'], 'and nothing beside it';
}

# ---- what is frozen ----
{
    my $id = deliver('again', { name => 'n', type => 't' });
    my $job = settled($id, 'done');
    is $job->{attempts}, 2, 'frozen: a second attempt';
    my @reqs = grep { ($_->{headers}{'x-delivery-id'} // '') eq $id } $up->requests;
    is $reqs[1]{headers}{'x-time'}, $reqs[0]{headers}{'x-time'}, 'has the values of the first, not of its own time';
    is_deeply $job->{shape}, { '%{TIME}' => $job->{shape}{'%{TIME}'}, '%{webhook_json:/type}' => 't',
        '%{webhook_urlenc:%{webhook_json:/name}}' => 'n' }, 'and the tool shows them';

    $id = deliver('header', { type => 't', token => 'payl0ad-token' }, headers => ['X-Mine' => 'm']);
    $job = settled($id, 'done');
    is request($id)->{headers}{'x-req'}, 'm', 'a header of the request';
    is request($id)->{headers}{'x-token'}, 'payl0ad-token', 'a token of the payload';
    is $job->{shape}{'%{webhook_json:/token}'}, '***', 'is shown to nobody';
    unlike json_encode($job), qr/c0nfigured/, 'and what the configuration says is not kept in the queue at all';
    my ($rc, $out) = $srv->ctl('show', $id);
    like $out, qr/\Q%{webhook_json:\/type}\E = t$/m, 'the same for people';
    unlike $out, qr/^\s*%\{webhook_json:\/token} = payl0ad/m, 'without the token';

    $id = deliver('two', { name => 'both' });
    wait_for { row($id)->{state} eq 'done' } 30;
    my $row = row($id);
    is scalar(@{ $row->{jobs} }), 3, 'fan-out: three jobs';
    my %shape = map { $_->{handler} => $_->{shape} } @{ $row->{jobs} };
    is $shape{text}{'%{webhook_textenc:%{webhook_json:/name}}'}, 'both', 'one with its shape';
    is $shape{plain}, undef, 'one without';
    is scalar(grep { $_->{path} eq '/inline?n=both' } $up->requests), 1, 'one written where it is used';

    # Replayed to a handler it was not accepted for: nobody evaluated its templates, and the dispatcher cannot.
    $id = deliver('two', { name => 'not' });
    wait_for { row($id)->{state} eq 'done' } 30;
    is scalar(grep { $_->{handler} eq 'text' } @{ row($id)->{jobs} }), 0, 'replay: never matched';
    is +($srv->ctl('replay', $id, '--handler', 'text'))[0], 0, 'replayed all the same';
    wait_for { row($id)->{state} eq 'dead' } 30;
    my ($text) = grep { $_->{handler} eq 'text' } @{ row($id)->{jobs} };
    is $text->{reason}, 'no-template-value', 'a dead letter that says why';
    is +($srv->ctl('replay', $id, '--handler', 'plain'))[0], 0, 'a handler without templates takes it';
}

# ---- what was frozen stays when the configuration changes; what is literal follows it ----
{
    my $down = WebhookTest::free_port();
    (my $away = $conf) =~ s{\Q${base}\Efirst-fails}{http://127.0.0.1:$down/first-fails};
    my $restart = sub { $srv->write_conf($_[0]); $srv->graceful };
    my $waits = sub {
        my $id = deliver('again', { name => 'waits', type => 't' }, @_);
        wait_for { my $j = row($id)->{jobs}[0]; $j->{attempts} >= 1 && $j->{state} eq 'retry' } 30;
        return $id;
    };
    $restart->($away);
    my $id = $waits->();
    $restart->($conf =~ s/(X-Time   ")/${1}new-literal-/r);
    settled($id, 'done');
    like request($id)->{headers}{'x-time'}, qr/\Anew-literal-\d{14}-t\z/, 'changed: the new literal text around the old value';
    is request($id)->{path}, '/first-fails/waits', 'to the new address';
    $restart->($away);
    $id = $waits->(id => 'again-dies');
    $restart->($conf =~ s/(X-Time   ")/${1}%{webhook_json:\/other}/r);
    my $job = settled($id, 'dead');
    is $job->{reason}, 'no-template-value', 'changed: a value nobody froze';
    like $job->{attempt_rows}[-1]{detail}, qr{\Q%{webhook_json:/other}\E}, 'is named';
    is deliver('again', { name => 'waits', type => 't' }, id => 'again-dies'), $id, 'the sender brings it again';
    $job = settled($id, 'done');
    is $job->{shape}{'%{webhook_json:/other}'}, '', 'and it has what it needs now';
}

# ---- bodies that are not what a template reads ----
{
    is $srv->github('/url', $secret, '{"broken')->status, 400, 'a template needs JSON: refused as when a rule does';
    my ($rc, $out) = $srv->ctl('check');
    is $out, "consistent\n", 'the store is consistent';
}
done_testing;
