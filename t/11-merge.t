# SPDX-License-Identifier: Apache-2.0
# What an inner section, an endpoint that is used, an enclosing section, a
# virtual host and the main server say about one place, and who wins.
use WebhookTest;

my ($A, $C, $E, $V) = map { "secret-of-$_" } qw(a c e v);
my $srv = WebhookTest::Server->new(name => 'merge', conf => <<'EOF');
Listen 127.0.0.1:@PORT:vhost@
Header always set X-Endpoint "%{WEBHOOK_ENDPOINT}e"
Header always set X-Key "%{WEBHOOK_KEY_ID}e"
WebhookBodyLimit 64
WebhookAnswer 207 text/plain server

<WebhookEndpoint e>
    WebhookVerify    github
    WebhookSecret    id=e file:e.key
    WebhookAnswer    206 text/plain e
    WebhookBodyLimit 128
    WebhookDeliver   file:out/e.jsonl
</WebhookEndpoint>

<Location "/a">
    SetHandler     webhook
    WebhookVerify  github
    WebhookSecret  id=a file:a.key
    WebhookDeliver file:out/a.jsonl
    WebhookMethods POST PUT
</Location>
<Location "/a/b">
    WebhookAnswer 208 text/plain b
</Location>
<Location "/a/b/c">
    WebhookVerify    github
    WebhookSecret    id=c file:c.key
    WebhookBodyLimit 1000
</Location>
<Location "/a/d">
    WebhookDeliver file:out/d.jsonl
</Location>
<Location "/a/u">
    WebhookUse e
</Location>
<Location "/a/u/deep">
    WebhookRoute first
</Location>

<Location "/u">
    SetHandler webhook
    WebhookUse e
</Location>
<Location "/u/own">
    WebhookUse       e
    WebhookAnswer    203 text/plain own
    WebhookDeliver   file:out/own.jsonl
</Location>
<Location "/u/in">
    WebhookBodyLimit 256
</Location>
<Location "/u/again">
    WebhookUse   e
</Location>

<Location "/index.html">
    WebhookVerify github
    WebhookSecret file:a.key
    WebhookGate   On
</Location>
<Location "/g">
    WebhookVerify github
    WebhookSecret file:a.key
    WebhookGate   On
</Location>
<Location "/g/open">
    SetHandler     webhook
    WebhookGate    Off
    WebhookDeliver file:out/g.jsonl
</Location>

<Location "/z/in">
    WebhookAnswer 203 text/plain in
    WebhookMethods PUT
</Location>
<Location "/z">
    SetHandler    webhook
    WebhookVerify github
    WebhookSecret id=a file:a.key
    WebhookAnswer 201 text/plain z
</Location>

<VirtualHost 127.0.0.1:@PORT:vhost@>
    ServerName v.example.org
    WebhookBodyLimit 32
    <WebhookEndpoint e>
        WebhookVerify  github
        WebhookSecret  id=v file:v.key
    </WebhookEndpoint>
    <Location "/v">
        SetHandler webhook
        WebhookUse e
    </Location>
    <Location "/a/b">
        WebhookAnswer 203 text/plain vhost
    </Location>
</VirtualHost>
EOF
spew($srv->path("$_->[0].key"), "$_->[1]\n", 0600) for [a => $A], [c => $C], [e => $E], [v => $V];
$srv->start;

# One delivery of that many bytes; what came back as "status body".
sub at {
    my ($path, $secret, %opt) = @_;
    my $body = '"' . 'x' x (($opt{bytes} // 20) - 2) . '"';
    $opt{port} = $srv->port('vhost') if delete $opt{vhost};
    my $method = delete $opt{method} // 'POST';
    return $srv->request($method => $path, body => $body, headers => github_headers($secret, $body), %opt);
}

sub answers {
    my ($res, $status, $body, $endpoint, $key, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is join(' ', $res->status, $res->body, $res->header('X-Endpoint') // '', $res->header('X-Key') // ''), "$status $body $endpoint $key", $name;
}

# ---- nested locations ----

my $a = 'localhost/a';
answers at('/a', $A), 207, 'server', $a, 'a', 'a place has what the server says and its own';
is at('/a', $A, bytes => 65)->status, 413, 'the server\'s limit counts';
answers at('/a/b', $A), 208, 'b', $a, 'a', 'an inner place has the outer verifier and name, and its own answer';
is at('/a/b', $A, bytes => 65)->status, 413, 'and still the server\'s limit';
answers at('/a/b', $A, method => 'PUT'), 208, 'b', $a, 'a', 'and the outer methods';
answers at('/a/b/c', $C), 208, 'b', 'localhost/a/b/c', 'c', 'a verifier of its own makes it an endpoint of its own, the answer stays';
is at('/a/b/c', $A)->status, 401, 'whose secrets are its own only';
is at('/a/b', $C)->status, 401, 'and only its';
is at('/a/b/c', $C, bytes => 1000)->status, 208, 'its own limit counts';
is at('/a/b/c', $C, bytes => 1001)->status, 413, 'and not beyond';
is at('/a/b/c', $C, method => 'PUT')->status, 208, 'methods come from two levels up';
answers at('/a/d', $A), 207, 'server', $a, 'a', 'a place with rules of its own';

answers at('/z/in', $A, method => 'PUT'), 201, 'z', 'localhost/z', 'a', 'of two locations the one written later wins, as everywhere in httpd';

# ---- the use of an endpoint ----

answers at('/u', $E), 206, 'e', 'e', 'e', 'a place that uses an endpoint has its answer, name and secret';
is at('/u', $E, bytes => 128)->status, 206, 'and its limit, not the server\'s';
is at('/u', $E, bytes => 129)->status, 413, 'and not beyond';
is at('/u', $E, method => 'PUT')->status, 405, 'methods are the scheme\'s where nobody says any';
answers at('/u/own', $E), 203, 'own', 'e', 'e', 'what the place says itself comes before the endpoint';
is at('/u/own', $E, bytes => 128)->status, 203, 'the rest is the endpoint\'s';
answers at('/u/in', $E, bytes => 256), 206, 'e', 'e', 'e', 'a place inside one that uses an endpoint has it too, with its own limit';
is at('/u/in', $E, bytes => 257)->status, 413, 'and not beyond';
answers at('/u/again', $E), 206, 'e', 'e', 'e', 'using the same endpoint again changes nothing';
answers at('/a/u', $E), 206, 'e', 'e', 'e', 'an endpoint used inside another place comes before that place';
is at('/a/u', $A)->status, 401, 'whose secret does not count there';
answers at('/a/u', $E, method => 'PUT'), 206, 'e', 'e', 'e', 'but what the endpoint does not say comes from that place';
answers at('/a/u/deep', $E, method => 'PUT'), 206, 'e', 'e', 'e', 'also one level deeper';

# ---- gates ----

answers at('/g/open', $A), 207, 'server', 'localhost/g', '1', 'a gate that is opened inside keeps its verifier';
is at('/index.html', $C)->status, 401, 'a gate refuses';

# ---- virtual hosts ----

answers at('/a', $A, vhost => 1), 207, 'server', $a, 'a', 'virtual host: a place of the main server is there too';
is at('/a', $A, vhost => 1, bytes => 33)->status, 413, 'with the virtual host\'s limit';
answers at('/a/b', $A, vhost => 1), 203, 'vhost', $a, 'a', 'and what the virtual host says of it';
answers at('/v', $V, vhost => 1), 207, 'server', 'e', 'v', 'its own endpoint hides the main server\'s of the same name';
is at('/v', $E, vhost => 1)->status, 401, 'whose secret does not count';
is at('/v', $V, vhost => 1, bytes => 33)->status, 413, 'its limit is the virtual host\'s, which the endpoint does not set';
answers at('/u', $E, vhost => 1), 206, 'e', 'e', 'e', 'a place of the main server keeps the endpoint it was written with';
is at('/v', $V)->status, 404, 'the main server has nothing of the virtual host\'s';

# ---- rules are whole records ----

my %want = (a => 8, d => 1, e => 8, own => 2, g => 1);
sub lines_in { my $n = () = lines($srv->path("out/$_[0].jsonl")); return $n }
wait_for { !grep { lines_in($_) < $want{$_} } keys %want } 60;
is lines_in($_), $want{$_}, "out/$_.jsonl has what the rules in force there sent" for sort keys %want;

# ---- the dump sees it the same way ----

my %by = map { ("$_->{server} $_->{path}" => $_) } grep { $_->{path} } @{ $srv->dump_json->{endpoints} };
is $by{'localhost /a/u'}{name}, 'e', 'dump: the endpoint used';
is_deeply $by{'localhost /a/u'}{methods}, [qw(POST PUT)], 'dump: methods of the enclosing place';
is $by{'localhost /a/b/c'}{answer}{status}, 208, 'dump: an answer from the place around';
is $by{'localhost /z/in'}{answer}{status}, 201, 'dump: the location written later';
is $by{'v.example.org /v'}{body_limit}, 32, 'dump: the virtual host\'s limit';
is $by{'v.example.org /a/b'}{name}, 'localhost/a', 'dump: a verifier of the main server';
done_testing;
