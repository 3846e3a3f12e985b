# SPDX-License-Identifier: Apache-2.0
#
# Keys that live elsewhere, JWK Sets: fetched at start, kept on disk, fetched again ahead of their end and for an unknown key id; the
# configuration around them.
use lib 't/lib';
use WebhookTest;

plan(skip_all => 'no mod_ssl') if !defined have_module('ssl') || !defined have_module('proxy_http');
announce(qr/WH0680/, qr/ssl:(?:warn|error)/, qr/AH\d+:.*(?:proxy|SSL)/, qr/proxy/);
my $net = WebhookTest::Elsewhere->new;
my $url = 'https://keys.example.test/jwks.json';
sub endpoint { my ($path, $verify, @more) = @_; return join "\n", "<Location \"/$path\">", 'SetHandler webhook', "WebhookName $path", "WebhookVerify $verify", @more, "</Location>\n" }
my $conf = $net->fetch . endpoint('jwt', "jwt header=Authorization \"prefix=Bearer \" algorithm=RS256 claim=exp jwks=$url", 'WebhookDrop')
    . endpoint('pubsub', "google-pubsub audience=https://me.example/push email=push\@example.test jwks=$url", 'WebhookDrop')
    . endpoint('both', "jwt header=Authorization \"prefix=Bearer \" algorithm=RS256 claim=exp jwks=https://keys.example.test/jwks-missing-hang",
        'WebhookSecret id=pem file:@DIR@/own.pem', 'WebhookDrop');
my $srv = WebhookTest::Server->new(name => 'sets', conf => $conf, loglevel => 'warn webhook:trace2');
my $dir = $srv->path('state', 'keys');
$net->rotate('own');
spew($srv->path('own.pem'), (run_command('openssl', 'pkey', '-pubout', '-in', $net->file('jwt-own.key')))[1], 0640);
$net->rotate('one');

my $n = 0;
sub claims { return { exp => time + 600, iat => time, @_ } }
sub post { my ($path, $token) = @_; return $srv->post("/$path", '{"n":' . ++$n . '}', headers => ['Content-Type' => 'application/json', Authorization => "Bearer $token"]) }
sub sets { return $net->count(qr{/jwks\.json}) }
sub settle { my ($path, $token) = @_; my $res; wait_for { $res = post($path, $token); $res->status != 503 } 30; return $res }
# as if it had been fetched that much earlier
sub age {
    my ($seconds, %set) = @_;
    my ($file) = grep { slurp($_) =~ m{/jwks\.json$}m } glob "$dir/keys-*.key";
    my $text = slurp($file);
    $text =~ s/^(made|refresh|until) (\d+)/"$1 " . (exists $set{$1} ? $set{$1} : $2 - $seconds * 1_000_000)/gme;
    return spew($file, $text);
}

# ---- before the first ----

$net->mode('busy');
$srv->start;
my $token = $net->jwt(claims(), 'one');
my $res = post('jwt', $token);
is $res->status, 503, 'no key set yet: come again';
like $res->body, qr/key-pending/, 'key-pending';
cmp_ok $res->header('Retry-After') // 0, '>', 0, 'with Retry-After';
wait_for { $srv->error_log_lines(qr/WH0680: keys \Q$url\E could not be fetched \(http-status: status 503\); tried again after/) } 30, 'a failure is said';
is post('jwt', 'abc.def.ghi')->status, 401, 'what is no token is refused at once';
is post('both', $net->jwt(claims(), 'own'))->status, 202, 'a secret at hand is enough, wherever the set is';
is post('both', $net->jwt(claims(), 'one'))->status, 503, 'for another key the set is waited for';
$net->mode('');
is settle('jwt', $token)->status, 202, 'then the set comes';
my $sets = sets();
is post('jwt', $net->jwt(claims(n => 2), 'one'))->status, 202, 'from then on at once';
is post('jwt', $net->jwt(claims(), 'one', 'own'))->status, 401, 'another key is refused';
is post('jwt', $net->jwt({ exp => time - 600 }, 'one'))->status, 401, 'so is a token that has expired';
is sets(), $sets, 'nothing of that fetches';
my $push = claims(iss => 'https://accounts.google.com', aud => 'https://me.example/push', email => 'push@example.test', email_verified => JSON::PP::true);
is settle('pubsub', $net->jwt($push, 'one'))->status, 202, 'an OIDC push';
is post('pubsub', $net->jwt({ %$push, aud => 'https://you.example/push' }, 'one'))->status, 401, 'not for another audience';
is post('pubsub', $net->jwt({ %$push, email => 'x@example.test' }, 'one'))->status, 401, 'not from another account';
is sets(), $sets, 'one set for both endpoints';

# ---- the state ----

my ($fetch) = $srv->dump_json->{fetch};
is $fetch->{dir}, $dir, 'the dump: where';
is_deeply $fetch->{allow}, ['127.0.0.1/32'], 'from where';
my ($source) = grep { $_->{endpoint} eq 'jwt' } @{ $fetch->{sources} };
is $source->{keys}, $url, 'for whom';
ok $source->{fetched} && $source->{until}, 'since and until when';
my ($file) = grep { slurp($_) =~ m{/jwks\.json$}m } glob "$dir/keys-*.key";
my %has = slurp($file) =~ /^(\w+) (\d+)$/gm;
is int(($has{refresh} - $has{made}) / 1e6), 5760, 'fetched again after four fifths of max-age';
is int(($has{until} - $has{made}) / 1e6), 7200 + 86400, 'and good for a day longer';

# ---- an unknown key id ----

$net->rotate('two');
is post('jwt', $net->jwt(claims(), 'two'))->status, 401, 'a key id that is unknown, right after a fetch';
is sets(), $sets, 'is not fetched for';
$srv->stop;
age(120);
$srv->start;
$res = post('jwt', $net->jwt(claims(), 'two'));
is $res->status, 503, 'a minute later it is worth another look';
like $res->body, qr/key-pending/, 'and the sender comes again';
is settle('jwt', $net->jwt(claims(), 'two'))->status, 202, 'the new key counts';
my $old = $net->jwt(claims(), 'one');
wait_for { post('jwt', $old)->status == 401 } 30, 'the old one soon no more';
is sets(), $sets + 1, 'one fetch';
post('jwt', $net->jwt(claims(), "x$_", 'two')) for 1 .. 20;
is sets(), $sets + 1, 'strangers cannot make it a loop';

# ---- ahead of its end ----

$sets = sets();
$srv->stop;
age(6000);
$net->rotate('three');
$srv->start;
wait_for { sets() > $sets } 30, 'a set whose time comes is fetched again, unasked';
is settle('jwt', $net->jwt(claims(), 'three'))->status, 202, 'and counts without a restart';
wait_for { $srv->error_log_lines(qr/WH0683: keys.*again in 1h36min/) } 30, 'said';

# ---- restarts, no network ----

$sets = sets();
$srv->graceful;
is post('jwt', $net->jwt(claims(), 'three'))->status, 202, 'a graceful restart keeps the set';
is sets(), $sets, 'and fetches nothing';
$net->down;
$srv->stop;
age(6000);
$srv->start;
wait_for { $srv->error_log_lines(qr/WH0680: keys \Q$url\E .*connect/) } 30, 'without a network it cannot be refreshed';
is post('jwt', $net->jwt(claims(), 'three'))->status, 202, 'the one at hand goes on';
$srv->stop;
age(0, until => 1_000_000);
$srv->start;
is post('jwt', $net->jwt(claims(), 'three'))->status, 503, 'not for ever';
$srv->stop;

# ---- a gate alone, without a store ----

my $other = WebhookTest::Elsewhere->new;
$other->rotate('gate');
my $gate = WebhookTest::Server->new(name => 'gate', conf => "WebhookStore none\n" . $other->fetch('"dir=@DIR@/cache"') . <<"EOF")->start;
Alias "/gate" "\@DIR\@/htdocs/index.html"
<Location "/gate">
    WebhookVerify jwt header=Authorization "prefix=Bearer " algorithm=RS256 claim=exp jwks=$url
    WebhookGate   On
    WebhookMethods GET POST
</Location>
EOF
$srv = $gate;
sub through { return $gate->get('/gate', headers => [Authorization => 'Bearer ' . $_[0]]) }
my $good = $other->jwt(claims(), 'gate');
wait_for { $res = through($good); $res->status != 503 } 30;
is $res->status, 200, 'a gate needs no store';
like $res->body, qr/home/, 'and opens';
is through($other->jwt(claims(), 'gate', 'one'))->status, 401, 'not for everybody';

# ---- the configuration ----

my $jwt = 'WebhookVerify jwt header=Authorization algorithm=RS256';
my @wrong = (
    ["$jwt jwks=http://keys.example.test/jwks", qr/jwks=http:.*is not https \(WebhookFetch plain=on/],
    ["$jwt jwks=https://user:pass\@keys.example.test/jwks", qr/holds a user or password/],
    ["$jwt jwks=https://keys.example.test/jwks#x", qr/has a fragment/],
    ["$jwt jwks=https://keys.example.test:0/", qr/has no valid port/],
    ["$jwt jwks=https:///jwks", qr/has no valid host/],
    ["$jwt jwks=keys.json", qr/does not begin with https/],
    ["WebhookVerify jwt header=Authorization algorithm=HS256 jwks=$url", qr/jwks= is for public keys/],
    ["WebhookVerify hmac header=X jwks=$url", qr/"jwks" does not go with it/],
    ['WebhookVerify public-key header=X fetch=on', qr/fetch= needs keyid= and keyid-host=/],
    ['WebhookVerify aws-sns confirm=on', qr/confirm=on needs demand=/],
    ['WebhookVerify aws-sns demand=TopicArn', qr/demand=TopicArn: expected PLACE=TEXT/],
    [$jwt, qr/needs at least one WebhookSecret/],
);
for (@wrong) {
    my ($verify, $re) = @$_;
    my $bad = WebhookTest::Server->new(name => 'wrong', conf => "<Location \"/x\">\nSetHandler webhook\n$verify\n</Location>\n");
    my ($rc, $out) = $bad->config_test;
    isnt $rc, 0, "refused: $verify";
    like $out, $re, 'with the reason';
    unlike $out, qr/user:pass/, '(no password is shown)' if $verify =~ /user:pass/;
}
for (['allow=10.0.0.1/8', qr/bits set behind its prefix/], ['allow=localhost', qr/is not an address or a range/], ['resolve=a:443', qr/is not HOST:PORT:ADDRESS/],
    ['resolve=a:443:b', qr/does not begin with an address/], ['resolve=a:443:127.0.0.1:x', qr/is not a port/], ['ca=none.pem', qr/cannot be read or holds no certificate/],
    ['size=1M', qr/size/], ['timeout=0', qr/timeout/], ['plain=on', qr/plain=on .* allow=/], ['proxy=x', qr/"proxy" is unknown/], ['', qr/takes options/],
    ["timeout=1s\nWebhookFetch timeout=2s", qr/given twice/]) {
    my ($rc, $out) = WebhookTest::Server->new(name => 'wrong', conf => "WebhookFetch $_->[0]\n")->config_test;
    isnt $rc, 0, "refused: WebhookFetch $_->[0]";
    like $out, $_->[1], 'with the reason';
}
my ($rc, $out) = WebhookTest::Server->new(name => 'right', conf => "WebhookFetch plain=on allow=127.0.0.1,::1\n" . endpoint('x', substr("$jwt jwks=http://127.0.0.1/jwks", 14), 'WebhookDrop'))->config_test;
is $rc, 0, "http:// with the switch: $out";

done_testing;
