# SPDX-License-Identifier: Apache-2.0
#
# webhookctl route: the rules of an endpoint tried on a body without a running server: by the server's own program, so that what it says is
# what the server would do.
use lib 't/lib';
use WebhookTest;
use IO::Compress::Gzip ();

my $conf = <<'EOF';
WebhookLog "@DIR@/deliveries.jsonl"
<WebhookHandler deploy>
    WebhookSend file "@DIR@/out/deploy"
</WebhookHandler>
<WebhookHandler rest>
    WebhookSend file "@DIR@/out/rest"
</WebhookHandler>
<WebhookEndpoint github>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookDrop "webhook_json('/sender/type') == 'Bot'"
    WebhookDeliver deploy "%{WEBHOOK_EVENT} == 'push' && webhook_json('/ref') == 'refs/heads/main'"
    WebhookDeliver deploy "'hot.c' in webhook_list('/commits/*/modified/*')"
    WebhookDeliver rest default
</WebhookEndpoint>
<Location "/github">
    SetHandler webhook
    WebhookUse github
</Location>
<Location "/also-github">
    SetHandler webhook
    WebhookUse github
    WebhookBodyLimit 2K
</Location>
<Location "/server">
    SetHandler webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookName server
    WebhookDeliver deploy "req('X-Kind') == 'a b' && %{HTTP_HOST} == 'localhost' && %{REQUEST_METHOD} == 'POST'"
    WebhookDeliver rest   "%{REQUEST_URI} == '/server/x' && %{QUERY_STRING} == 'q=1' && %{REMOTE_ADDR} == '127.0.0.1' && %{DOCUMENT_ROOT} != '' && %{HTTPS} != 'on' && ! -F '/nonexistent/x' && -U '/server'"
    WebhookDeliver file:@DIR@/out/env "reqenv('WEBHOOK_ENDPOINT') == 'server' && %{WEBHOOK_SENDER_ID} == 'guid'"
</Location>
<WebhookEndpoint two>
    WebhookVerify none
    WebhookDeliver rest
</WebhookEndpoint>
<Location "/two/a">
    SetHandler webhook
    WebhookUse two
</Location>
<Location "/two/b">
    SetHandler webhook
    WebhookUse two
    WebhookRoute first
</Location>
<Location "/stripe">
    SetHandler webhook
    WebhookVerify stripe
    WebhookSecret file:@DIR@/secret
    WebhookName stripe
    WebhookDeliver rest "%{WEBHOOK_EVENT} == 'invoice.paid' && %{WEBHOOK_SENDER_ID} == 'evt_1'"
</Location>
<Location "/slack">
    SetHandler webhook
    WebhookVerify slack
    WebhookSecret file:@DIR@/secret
    WebhookName slack
    WebhookDeliver rest
</Location>
<Location "/forms">
    SetHandler webhook
    WebhookVerify none
    WebhookName forms
    WebhookContentTypes application/x-www-form-urlencoded
    WebhookDeliver rest "webhook_form('From') == '+1'"
</Location>
<Location "/evil">
    SetHandler webhook
    WebhookVerify none
    WebhookName evil
    WebhookDeliver rest "webhook_json('/s') -match '^(a+)+$'"
</Location>
<Location "/gate">
    WebhookVerify none
    WebhookName gate
    WebhookGate On
</Location>
<Location "/decoded">
    SetHandler webhook
    WebhookVerify getstream event=json:/type
    WebhookSecret file:@DIR@/secret
    WebhookName decoded
    WebhookDecode gzip
    WebhookDeliver rest "%{WEBHOOK_EVENT} == 'message.new'"
</Location>
<WebhookHandler shaped>
    WebhookSend upstream "http://127.0.0.1:9/?a=%{webhook_urlenc:%{webhook_json:/a}}"
</WebhookHandler>
<Location "/shaped">
    SetHandler webhook
    WebhookVerify none
    WebhookName shaped
    WebhookDeliver shaped
</Location>
<WebhookEndpoint three>
    WebhookVerify none
    WebhookDeliver rest
</WebhookEndpoint>
<Location "/three/a">
    SetHandler webhook
    WebhookUse three
</Location>
<Location "/three/b">
    SetHandler webhook
    WebhookUse three
    WebhookContentTypes text/plain
</Location>
EOF
announce(qr/WebhookVerify none/);
my $srv = WebhookTest::Server->new(name => 'route', modules => [grep { defined have_module($_) } qw(ssl rewrite)], conf => $conf);
spew($srv->path('secret'), "s3cr3t-of-the-test\n", 0000); # nobody needs it here
my ($file, $line) = ($srv->conf_file, sub { $srv->conf_line($_[0]) });
my $n = 0;

# The tool's exit status, output and errors for a body.
sub route {
    my ($endpoint, $body, @args) = @_;
    my $in = $srv->path('out/body' . $n++);
    spew($in, ref $body ? json_encode($body) : $body);
    return $srv->ctl('route', '--endpoint', $endpoint, @args, $in);
}

sub outcome { my ($rc, $out, $err) = route(@_); my ($last) = reverse split /\n/, $out; return "$rc " . ($last // $err) }

# ---- what it prints ----
my %push = (ref => 'refs/heads/main', sender => { type => 'User' }, commits => [{ modified => ['a.c', 'b.c'] }]);
my ($rc, $out, $err) = route('github', \%push, '--event', 'push');
is $rc, 0, 'delivered: exit status 0';
is $err, '', 'nothing on standard error';
is $out, <<"EOF", 'each rule and why, and the outcome';
does not match  WebhookDrop webhook_json('/sender/type') == 'Bot' ($file:${\$line->(11)})
                  webhook_json('/sender/type') is "User"
matches         WebhookDeliver deploy %{WEBHOOK_EVENT} == 'push' && webhook_json('/ref') == 'refs/heads/main' ($file:${\$line->(12)})
                  %{WEBHOOK_EVENT} is "push"
                  webhook_json('/ref') is "refs/heads/main"
does not match  WebhookDeliver deploy 'hot.c' in webhook_list('/commits/*/modified/*') ($file:${\$line->(13)})
                  webhook_list('/commits/*/modified/*') is "a.c,b.c"
not looked at   WebhookDeliver rest default ($file:${\$line->(14)})
delivered to deploy
EOF
($rc, $out) = route('github', { sender => { type => 'Bot' } });
is $rc, 1, 'dropped: exit status 1';
like $out, qr/^matches         WebhookDrop .*\n.*\n(?:not looked at .*\n){3}dropped: WebhookDrop .*:${\$line->(11)}\)\n\z/, 'by which rule; the others are not looked at';
is outcome('github', {}), '0 delivered to rest', 'the default handler';
is outcome('server', {}), '1 unrouted: no rule matched', 'no handler: exit status 1';
is outcome('/github', \%push, '--header', 'X-GitHub-Event: push'), '0 delivered to deploy', 'an endpoint by its path; the event from the header';
is outcome('github', \%push, '--header', 'X-GitHub-Event: issues'), '0 delivered to rest', 'another event';
is outcome('github', { commits => [{ modified => ['hot.c'] }] }), '0 delivered to deploy', 'two rules, one handler';

# ---- the request that is made up ----
is outcome('server', {}, '--header', 'X-Kind: a b'), '0 delivered to deploy', 'a header, the host, the method';
is outcome('server', {}, '--url', 'https://hooks.example.org/server/x?q=1'), '0 delivered to rest', 'a URL, an address, what the server knows';
is outcome('server', {}, '--id', 'guid'), "0 delivered to file:" . $srv->path('out/env'), "the sender's id";
is outcome('stripe', { id => 'evt_1', type => 'invoice.paid' }), '0 delivered to rest', 'event and id are where the scheme has them';
is outcome('stripe', { id => 'evt_1', type => 'other' }), '1 unrouted: no rule matched', 'and are looked at';
is outcome('slack', { type => 'url_verification', challenge => 'c' }) =~ s/:.*//r, '1 handshake', 'a handshake is none of the rules\' business';
is outcome('slack', { type => 'event_callback' }), '0 delivered to rest', 'something else is';
is outcome('forms', 'From=%2B1', '--header', 'Content-Type: application/x-www-form-urlencoded'), '0 delivered to rest', 'a form';
ok !-e $srv->path('state'), 'nothing was stored';
ok !-e $srv->path('deliveries.jsonl'), 'or logged';

# ---- why: also what httpd's own functions and variables gave ----
($rc, $out) = route('server', {}, '--header', 'X-Kind: a', '--header', 'X-Kind: b');
like $out, qr/^does not match  WebhookDeliver deploy .*\n                  req\('X-Kind'\) is "a, b"\n\S/m, 'a header that came twice';
($rc, $out) = route('server', {}, '--header', 'X-Kind: a b', '--header', 'X-Long: ' . 'x' x 500, '--method', 'POST');
like $out, qr/^matches         WebhookDeliver deploy .*\n +req\('X-Kind'\) is "a b"\n +%\{HTTP_HOST\} is "localhost"\n +%\{REQUEST_METHOD\} is "POST"\n\S/m, 'variables';
like $out, qr/^does not match .*\n +reqenv\('WEBHOOK_ENDPOINT'\) is "server"\n +%\{WEBHOOK_SENDER_ID\} is empty$/m, 'functions';
like +(route('server', {}, '--url', '/server/x?q=1'))[1], qr/-F '\/nonexistent\/x' is "false"\n/, 'tests';

# ---- what the server would refuse ----
like outcome('github', '{"ref":'), qr/^1 refused 400 json-\S+: /, 'no JSON';
like outcome('github', '{"ref":1,"ref":2}'), qr/^1 refused 400 json-duplicate-name: /, 'JSON that is not to be trusted';
like outcome('github', 'x', '--header', 'Content-Type: text/plain'), qr/^1 refused 415 content-type: /, 'another media type';
like outcome('github', {}, '--method', 'PUT'), qr/^1 refused 405 method-not-allowed: method PUT/, 'another method';
like outcome('/also-github', { a => 'x' x 2048 }), qr/^1 refused 413 body-too-large/, 'too large';
($rc, $out) = route('evil', { s => 'a' x 5000 . 'b' });
is $rc, 1, 'a rule that fails: exit status 1';
like $out, qr/^failed          WebhookDeliver rest .*\n.*\n +error: -match .* too many steps\nrefused 503 expression-failed/, 'said with its error';

like outcome('shaped', '{"a":'), qr/^1 refused 400 json-\S+: /, 'a payload that is not what a template reads';
is outcome('shaped', '{"a":1}'), '0 delivered to shaped', 'and one that is';
IO::Compress::Gzip::gzip(\'{"type":"message.new"}', \my $packed) or die;
is outcome('decoded', $packed, '--header', 'Content-Encoding: gzip'), '0 delivered to rest', 'a body that is signed decoded: the event is where the scheme has it';
like outcome('decoded', 'no gzip', '--header', 'Content-Encoding: gzip'), qr/^1 refused 400 coding-invalid/, 'a broken coding';

# ---- machine-readable ----
($rc, $out) = route('github', \%push, '--event', 'push', '--json');
my $json = json_decode($out);
is $json->{outcome}, 'delivered', 'JSON: outcome';
is_deeply $json->{handlers}, ['deploy'], 'handlers';
is_deeply [map { $_->{result} } @{ $json->{rules} }], ['does not match', 'matches', 'does not match', 'not looked at'], 'rules';
is $json->{rules}[1]{line}, $line->(12), 'where they stand';
is $json->{event}, 'push', 'the event';
{
    my ($s, $o) = route('github', { sender => { type => "\e[31m\x{202e}" } });
    unlike $o, qr/\e|\xe2\x80\xae/, 'nothing of a payload reaches the terminal as a control character';
}

# ---- mistakes ----
like outcome('nobody', {}), qr/^2 webhookctl: route: there is no endpoint "nobody"/, 'an unknown endpoint: exit status 2';
like outcome('gate', {}), qr/^2 webhookctl: route: there is no endpoint "gate" that keeps/, 'a gate has no rules';
like outcome('two', {}), qr{^2 webhookctl: route: "two" has other rules in other places: name one \(/two/a, /two/b\)}, 'places that differ';
like outcome('three', {}), qr{^2 webhookctl: route: "three" has other rules in other places}, 'places that take other bodies';
is outcome('/two/b', {}), '0 delivered to rest', 'one of them';
like outcome('github', {}, '--header', 'no colon'), qr/^2 webhookctl: --header "no colon" is not/, 'no header';
is +($srv->ctl('route', 'x'))[0], 2, 'no endpoint named';
is +($srv->ctl('route', '--endpoint', 'github'))[0], 2, 'no body';
like +($srv->ctl('route', '--endpoint', 'github', '/nonexistent'))[2], qr{/nonexistent}, 'a body that is not there';
{
    my $in = $srv->path('out/body0');
    my @tool = (build_file('webhookctl'), '--httpd', httpd());
    my ($s, $o) = run_command(@tool, '-d', $srv->dir, 'route', '--endpoint', 'github', '--event', 'push', '--conf', $srv->conf_file, $in);
    is $s, 0, '--conf names the configuration';
    like $o, qr/^delivered to deploy$/m, 'and works';
    ($s, $o) = run_command('sh', '-c', 'exec "$@" <' . $in, 'sh', @tool, '-d', $srv->dir, '-f', $srv->conf_file, 'route', '--endpoint', 'github', '-');
    is $s, 0, 'the body on standard input' or diag $o;
    ($s, $o) = $srv->config_test('-D', 'WEBHOOK_ROUTE');
    like $o, qr/"error":"standard input does not begin with a request|"error":"the request comes on standard input/, 'without the tool: what is missing';
    $srv->write_conf("<Location /h>\nWebhookVerify none\nWebhookDeliver nobody\n</Location>");
    ($s, $o, my $e) = route('/h', {});
    is $s, 2, 'a configuration that is wrong: exit status 2';
    like $e, qr/no handler "nobody"/, 'with the words of the server';
    $srv->write_conf($conf);
}

# ---- it tells what the server does ----
chmod 0600, $srv->path('secret');
$srv->start;
for my $body (\%push, { sender => { type => 'Bot' } }, { commits => [{ modified => ['hot.c'] }] }, {}) {
    my $text = json_encode($body);
    my $res = $srv->github('/github', "s3cr3t-of-the-test", $text);
    my ($row) = $srv->ctl_json('show', $res->json->{id});
    my ($told) = json_decode((route('github', $text, '--event', 'push', '--json'))[1]);
    is join(' ', map { $_->{handler} } @{ $row->{jobs} // [] }), join(' ', @{ $told->{handlers} }), "told and done: $text";
    is $row->{why}, $told->{why}, 'and why';
}
done_testing;
