# SPDX-License-Identifier: Apache-2.0
#
# Apache's own means beside the signature, as the manual's page shows them: passwords, lists of addresses and the program that makes them,
# events and keys, identity tokens. The configuration is the page's own text.
use lib 't/lib';
use WebhookTest;
use WebhookTest::Manual;
use MIME::Base64 qw(encode_base64 encode_base64url);

my $keys = tmp_dir('keys');
my %secret = map { $_ => "secret of $_" } qw(crm github production staging);
spew("$keys/$_.key", $secret{$_}, 0600) for keys %secret;
spew("$keys/passwords", 'crm:' . crypt('pass word', '$6$saltsalt') . "\nother:" . crypt('pw', '$6$saltsalt') . "\n");
mkdir "$keys/ranges";
spew("$keys/ranges/github.conf", "Require ip 192.0.2.0/24\nRequire ip 2001:db8:1::5\n");

# keys of two identity providers
my %jwks;
for (['google', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'], ['partner', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'], ['foreign', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']) {
    my ($name, $type, @how) = @$_;
    run_command('openssl', 'genpkey', '-algorithm', $type, @how, '-out', "$keys/$name.pem");
    my %jwk = (kid => '1', use => 'sig');
    if ($type eq 'RSA') {
        my ($hex) = (run_command('openssl', 'rsa', '-in', "$keys/$name.pem", '-noout', '-modulus'))[1] =~ /=([0-9A-F]+)/;
        @jwk{qw(kty alg n e)} = ('RSA', 'RS256', encode_base64url(pack 'H*', $hex), 'AQAB');
    }
    else {
        my ($der) = (run_command('openssl', 'ec', '-in', "$keys/$name.pem", '-pubout', '-outform', 'DER'))[1];
        @jwk{qw(kty crv alg x y)} = ('EC', 'P-256', 'ES256', map { encode_base64url($_) } unpack 'a32 a32', substr $der, -64);
    }
    $jwks{$name} = json_encode({ keys => [\%jwk] });
    spew("$keys/$name.jwks", $jwks{$name}, 0600);
}

sub recipe { WebhookTest::Manual::recipe('access.md', shift, '/etc/apache2/webhook' => $keys, @_) }

my $conf = join "\n", 'RemoteIPHeader X-Forwarded-For', 'RemoteIPInternalProxy 127.0.0.1', recipe('basic'), recipe('ranges'),
    recipe('event') =~ s{</Location>}{    SetHandler reflector\n</Location>}r, recipe('oidc', 'WebhookRequireTLS On' => ''), recipe('jwt', 'WebhookRequireTLS On' => ''), <<'EOF';
<Location "/trap/any-of">
    SetHandler    webhook
    WebhookVerify hmac header=X-Signature
    WebhookSecret file:@DIR@/secret
    AuthType      Basic
    AuthName      "hooks"
    AuthUserFile  "@DIR@/passwords"
    Require ip    198.51.100.1
    Require user  crm
</Location>
<Location "/trap/all-of">
    SetHandler    webhook
    WebhookVerify hmac header=X-Signature
    WebhookSecret file:@DIR@/secret
    AuthType      Basic
    AuthName      "hooks"
    AuthUserFile  "@DIR@/passwords"
    <RequireAll>
        Require ip    198.51.100.1
        Require user  crm
    </RequireAll>
</Location>
<Location "/trap/granted">
    SetHandler    webhook
    WebhookVerify hmac header=X-Signature
    WebhookSecret file:@DIR@/secret
    AuthType      Basic
    AuthName      "hooks"
    AuthUserFile  "@DIR@/passwords"
    Require user  crm
    Require all granted
</Location>
<Location "/trap/inner">
    SetHandler    webhook
    WebhookVerify hmac header=X-Signature
    WebhookSecret file:@DIR@/secret
    Require ip    198.51.100.1
</Location>
<Location "/trap/inner/open">
    Require all granted
</Location>
EOF
my @address = (
    # the list, and addresses: allowed or not
    ['192.0.2.7', '192.0.2.7' => 1, '192.0.2.70' => 0, '::ffff:192.0.2.7' => 1, '::ffff:c000:207' => 1, '::192.0.2.7' => 0],
    ['192.0.2.0/25', '192.0.2.127' => 1, '192.0.2.128' => 0, '::ffff:192.0.2.127' => 1, '::ffff:192.0.2.128' => 0],
    ['2001:db8:1::5', '2001:db8:1::5' => 1, '2001:db8:1::4' => 0, '2001:db8:1:0:8000::5' => 0, '2001:db8:2::5' => 0, '2001:DB8:1:0::0:5' => 1],
    ['2001:db8:8000::/33', '2001:db8:8000::1' => 1, '2001:db8:ffff:ffff::1' => 1, '2001:db8:7fff::1' => 0],
    ['fe80::1', 'fe80::1' => 1, 'fe80::2' => 0],
    ['128.0.0.0/1', '192.0.2.7' => 1, '2001:db8::1' => 0, '::ffff:192.0.2.7' => 1, '64.0.0.1' => 0],
    ['10', '10.1.2.3' => 1, '110.1.2.3' => 0],
);
$conf .= "<Location \"/address/$_\">\n    SetHandler webhook\n    WebhookName address-$_\n    WebhookVerify token header=X-Token\n    WebhookSecret file:\@DIR\@/secret\n    Require ip $address[$_][0]\n</Location>\n" for 0 .. $#address;

my $srv = WebhookTest::Server->new(name => 'access', modules => [qw(remoteip auth_basic authn_file authz_user reflector)], conf => $conf);
spew($srv->path('secret'), 'a secret', 0600);
spew($srv->path('passwords'), slurp("$keys/passwords"));
announce(qr/AH01617: |AH01618: |AH01630: |AH01631: /);
my ($rc, $out) = $srv->config_test;
is $rc, 0, 'the recipes are a good configuration' or diag $out;
$srv->start;

my $body = '{"a":1}';
sub reason { ($_[0]->json // {})->{reason} // '-' }
sub send_to { my ($path, $secret, @more) = @_; $srv->post($path, $body, headers => ['Content-Type' => 'application/json', 'X-Signature' => hmac_hex($secret, $body), @more]) }
sub basic { (Authorization => 'Basic ' . encode_base64("$_[0]:$_[1]", '')) }

# ---- passwords ----
is send_to('/hooks/crm', $secret{crm}, basic('crm', 'pass word'))->status, 202, 'password and signature';
{
    my $res = send_to('/hooks/crm', 'wrong', basic('crm', 'pass word'));
    is $res->status, 401, 'a password alone: 401';
    is reason($res), 'signature-mismatch', 'for the signature';
    $res = send_to('/hooks/crm', $secret{crm});
    is $res->status, 401, 'a signature alone: 401';
    is $res->header('WWW-Authenticate'), 'Basic realm="hooks"', 'for the password';
    is $res->header('Connection'), 'close', 'and the body is not read';
    is send_to('/hooks/crm', $secret{crm}, basic('crm', 'wrong'))->status, 401, 'a wrong password';
    is send_to('/hooks/crm', $secret{crm}, basic('other', 'pw'))->status, 401, "somebody else's";
}

# ---- traps ----
my %here = map { $_ => ['X-Forwarded-For' => $_] } '198.51.100.1', '203.0.113.9';
sub tries {
    my ($path, %want) = @_;
    for my $who (sort keys %want) {
        my ($address, $password) = $who =~ /(\S+) (\S+)/;
        my @headers = (@{ $here{$address} }, $password eq 'password' ? basic('crm', 'pass word') : ());
        is send_to($path, 'a secret', @headers)->status, $want{$who}, "$path, $who: $want{$who}";
        is send_to($path, 'wrong', @headers)->status, $want{$who} == 202 ? 401 : $want{$who}, "$path, $who, a wrong signature never passes";
    }
}
tries '/trap/any-of', '198.51.100.1 none' => 202, '203.0.113.9 password' => 202, '203.0.113.9 none' => 401, '198.51.100.1 password' => 202;
tries '/trap/all-of', '198.51.100.1 none' => 401, '203.0.113.9 password' => 403, '203.0.113.9 none' => 403, '198.51.100.1 password' => 202;
tries '/trap/granted', '203.0.113.9 none' => 202, '203.0.113.9 password' => 202;
tries '/trap/inner', '198.51.100.1 none' => 202, '203.0.113.9 none' => 403;
tries '/trap/inner/open', '203.0.113.9 none' => 202;

# ---- lists of addresses ----
for (['192.0.2.77', 202], ['2001:db8:1::5', 202], ['2001:db8:1::6', 403], ['192.0.3.1', 403], ['198.51.100.1', 403]) {
    my ($address, $status) = @$_;
    is $srv->github('/hooks/github', $secret{github}, $body, headers => ['X-Forwarded-For' => $address])->status, $status, "ranges: $address: $status";
}
for my $i (0 .. $#address) {
    my ($list, %case) = @{ $address[$i] };
    for my $address (sort keys %case) {
        my $res = $srv->post("/address/$i", $body, headers => ['Content-Type' => 'application/json', 'X-Token' => 'a secret', 'X-Forwarded-For' => $address]);
        is $res->status, $case{$address} ? 202 : 403, "Require ip $list: $address" . ($case{$address} ? '' : ' not');
    }
}
# the zone of an address does not count, neither for nor against it; what is no address is not the listed one: then the connection's own counts
for my $address ('fe80::1%1', 'fe80::1%lo') {
    for my $i (0 .. $#address) {
        my $res = $srv->post("/address/$i", $body, headers => ['Content-Type' => 'application/json', 'X-Token' => 'a secret', 'X-Forwarded-For' => $address]);
        is $res->status, $address[$i][0] eq 'fe80::1' ? 202 : 403, "Require ip $address[$i][0]: '$address'";
    }
}
for my $address ('fe80::1%no-such-interface', '192.0.2.7.', 'localhost', '192.0.2.7 x', '[2001:db8:1::5]:80', '192.0.2.7/32', '::ffff:192.0.2.7:80') {
    for my $i (grep { $address[$_][0] !~ m{/1|^10$} } 0 .. $#address) {
        my $res = $srv->post("/address/$i", $body, headers => ['Content-Type' => 'application/json', 'X-Token' => 'a secret', 'X-Forwarded-For' => $address]);
        is $res->status, 403, "Require ip $address[$i][0]: '$address' is not it";
    }
}

# ---- the program that makes the list ----
{
    my $bin = tmp_dir('bin');
    my $program = spew("$bin/webhook-ranges", recipe('ranges-program'), 0755);
    spew("$bin/curl", "#!/bin/sh\necho \"\$@\" > $bin/asked\n[ -s $bin/answer ] && cat $bin/answer || exit 22\n", 0755);
    spew("$bin/apachectl", "#!/bin/sh\necho \$1 >> $bin/done\n", 0755);
    my $list = "$keys/ranges/github.conf";
    my $run = sub {
        my ($answer) = @_;
        unlink "$bin/done";
        spew("$bin/answer", $answer);
        local $ENV{PATH} = "$bin:$ENV{PATH}";
        my ($rc, $out, $err) = run_command($program, 'github', 'https://api.github.com/meta', 'hooks');
        return ($rc, join(' ', lines("$bin/done")), $err);
    };
    my $before = slurp($list);
    for (['' => 'no answer'], ['<html>' => 'no JSON'], ['{"hooks":[]}' => 'an empty list'], ['{"web":["192.0.2.0/24"]}' => 'no such list'],
        ['{"hooks":["192.0.2.0/24\nRequire all granted"]}' => 'a directive in it'], ['{"hooks":["all granted"]}' => 'words'], ['{"hooks":["192.0.2.0/24",null]}' => 'null']) {
        my ($answer, $what) = @$_;
        my ($rc, $done) = $run->($answer);
        isnt $rc, 0, "$what: it fails";
        is slurp($list), $before, "$what: the old list stays";
        is $done, '', "$what: and the server as it is";
    }
    is join(' ', glob "$keys/ranges/* $keys/ranges/.[a-z]*"), $list, 'nothing is left behind';
    is +($run->('{"hooks":["203.0.113.0/24","2001:db8:7::/48"],"web":["10.0.0.0/8"]}'))[0, 1], 'configtest graceful', 'a new list';
    like slurp("$bin/asked"), qr{https://api\.github\.com/meta}, 'from there';
    is slurp($list), "Require ip 203.0.113.0/24\nRequire ip 2001:db8:7::/48\n", 'as lines';
    is +($run->('{"hooks":["203.0.113.0/24","2001:db8:7::/48"]}'))[1], '', 'the same again: nothing to do';
    $srv->graceful;
    for (['203.0.113.5', 202], ['2001:db8:7:1::1', 202], ['192.0.2.77', 403]) {
        my ($address, $status) = @$_;
        wait_for { $srv->github('/hooks/github', $secret{github}, $body, headers => ['X-Forwarded-For' => $address])->status == $status } 30, "$address: $status by the new list";
    }
    rename $list, "$list.away";
    ($rc, $out) = $srv->config_test;
    isnt $rc, 0, 'a missing list is a configuration error';
    rename "$list.away", $list;
}

# ---- events and keys ----
for (['production', 'push', 200], ['production', 'release', 200], ['production', 'release_x', 200], ['production', 'issues', 403], ['staging', 'push', 403]) {
    my ($key, $event, $status) = @$_;
    is $srv->github('/app/deploy', $secret{$key}, $body, event => $event)->status, $status, "$event with the key of $key: $status";
}
is $srv->github('/app/deploy', 'wrong', $body, event => 'push')->status, 401, 'a wrong signature: 401';

# ---- identity tokens ----
my $ctl = build_file('webhookctl');
sub token {
    my ($scheme, $key, $now, @options) = @_;
    spew("$keys/body", $body);
    my ($rc, $out, $err) = run_command($ctl, 'sign', $scheme, @options, '--secret', "file:$keys/$key.pem", '--now', $now, '--url', 'https://hooks.example.org/', '--body', "$keys/body");
    die "sign: $err" if $rc;
    return $out =~ /^Authorization: (.*)$/m ? $1 : die "no token: $out";
}
my @google = ('audience=https://hooks.example.org/hooks/pubsub', 'email=push@project.iam.gserviceaccount.com');
sub push_to { my ($path, $token) = @_; $srv->post($path, $body, headers => ['Content-Type' => 'application/json', Authorization => $token]) }
is push_to('/hooks/pubsub', token('google-pubsub', 'google', time, @google))->status, 202, "OIDC: Google's token";
is reason(push_to('/hooks/pubsub', token('google-pubsub', 'foreign', time, @google))), 'signature-mismatch', 'one that another key signed';
is reason(push_to('/hooks/pubsub', token('google-pubsub', 'google', time, 'audience=https://elsewhere', $google[1]))), 'claim-mismatch', 'one for another audience';
is reason(push_to('/hooks/pubsub', token('google-pubsub', 'google', time, $google[0], 'email=x@project.iam.gserviceaccount.com'))), 'claim-mismatch', 'one of another account';
is reason(push_to('/hooks/pubsub', token('google-pubsub', 'google', time - 1000, @google))), 'timestamp-outside-window', 'one that has expired';
is reason($srv->post('/hooks/pubsub', $body, headers => ['Content-Type' => 'application/json'])), 'signature-missing', 'none';

my @partner = ('algorithm=ES256', 'keyid=kid', 'header=Authorization', 'prefix=Bearer ', 'claim=exp', 'claim=iss=https://id.partner.example', 'claim=aud=hooks');
is push_to('/hooks/partner', token('jwt', 'partner', time, @partner))->status, 202, 'OIDC: a partner with ES256';
is reason(push_to('/hooks/partner', token('jwt', 'partner', time, @partner[0 .. 5], 'claim=aud=other'))), 'claim-mismatch', 'for somebody else';
is reason(push_to('/hooks/partner', token('jwt', 'partner', time - 331, @partner))), 'timestamp-outside-window', 'expired';
is push_to('/hooks/partner', token('google-pubsub', 'google', time, @google))->status, 401, "another provider's token";

is_deeply [sort(WebhookTest::Manual::recipes('access.md'))], [sort qw(basic ranges ranges-program mtls proxy proxy-protocol event oidc jwt report)], 'every recipe is tested, here or in the files for TLS and proxies';
done_testing;
