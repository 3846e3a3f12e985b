# SPDX-License-Identifier: Apache-2.0
#
# A client certificate, an address and a signature together, as the manual's page shows it; and WebhookRequireTLS on plain, TLS and HTTP/2
# connections: refused with its own reason before the body is read, and no header makes up for it.
use lib 't/lib';
use WebhookTest;
use WebhookTest::Manual;

my $secret = 'secret of the bank';
my $keys = tmp_dir('keys');
spew("$keys/bank.key", $secret, 0600);
ca->issue('sender', 'sender.bank.example', 'extendedKeyUsage=clientAuth');
my $foreign = WebhookTest::CA->new(tmp_dir('foreign'));
$foreign->issue('sender', 'sender.bank.example', 'extendedKeyUsage=clientAuth');
ca->openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', 2, '-subj', '/CN=sender.bank.example', '-keyout', "$keys/self.key", '-out', "$keys/self.crt");
spew("$keys/bank-ca.pem", slurp(ca->cert('ca')));
my $recipe = WebhookTest::Manual::recipe('access.md', 'mtls', '/etc/apache2/webhook' => $keys);
my $elsewhere = $recipe =~ s/.*?(?=<Location)//sr =~ s/127\.0\.0\.1//r =~ s{/hooks/bank}{/hooks/elsewhere}r;
my $places = <<'EOF';
<WebhookEndpoint main>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
</WebhookEndpoint>
<Location "/on">
    SetHandler webhook
    WebhookUse main
    WebhookRequireTLS On
</Location>
<Location "/on/off">
    WebhookRequireTLS Off
</Location>
<Location "/gate">
    WebhookUse main
    WebhookGate On
    WebhookRequireTLS On
    SetHandler reflector
</Location>
<Location "/auth">
    WebhookUse main
    WebhookRequireTLS On
    AuthType Webhook
    Require valid-user
    SetHandler reflector
</Location>
<Location "/report">
    SetHandler webhook
    WebhookUse main
    WebhookEnforce Off
    WebhookRequireTLS On
</Location>
EOF
my $srv = WebhookTest::Server->new(name => 'mtls', modules => [qw(ssl http2 reflector authz_user)],
    conf => <<'EOF' . $places . "<VirtualHost 127.0.0.1:\@PORT:tls\@>\n" . ca->conf . "Protocols h2 http/1.1\n$recipe$elsewhere</VirtualHost>\n");
Listen 127.0.0.1:@PORT:tls@
Protocols h2c http/1.1
EOF
spew($srv->path('secret'), $secret, 0600);
announce(qr/AH0163[01]: |WH042[02]: /, qr/AH0203[39]|AH02008|AH02276|AH01382/);
$srv->start;

my $body = '{"a":1}';
my $file = spew($srv->path('body.json'), $body);
my $tls = 'https://localhost:' . $srv->port('tls');
my $plain = 'http://localhost:' . $srv->port;
sub reason { ($_[0]->json // {})->{reason} // '-' }
# An answer that comes before the body ends an HTTP/2 stream with NO_ERROR (RFC 9113 8.1), which some versions of curl now and then take
# for a failure without a status (92): then once more.
sub send_to {
    my ($url, $headers, @more) = @_;
    my $res;
    for (1 .. 30) {
        $res = $srv->curl('--cacert', ca->cert('ca'), '--data-binary', "\@$file", (map { ('-H', $_) } 'Content-Type: application/json', @$headers), @more, $url);
        last if $res->curl != 92;
    }
    return $res;
}
sub with_cert { my ($ca, $name) = @_; return ('--cert', $ca->cert($name), '--key', $ca->key($name)) }
my $signed = ['X-Signature: ' . hmac_hex($secret, $body)];

# ---- certificate, address, signature: each is needed ----
for my $http ('--http1.1', '--http2') {
    my @sender = (with_cert(ca, 'sender'), $http);
    is send_to("$tls/hooks/bank", $signed, @sender)->status, 202, "$http: all three";
    my $res = send_to("$tls/hooks/bank", ['X-Signature: ' . hmac_hex('wrong', $body)], @sender);
    is $res->status, 401, "$http: a wrong signature: 401";
    is reason($res), 'signature-mismatch', "$http: for the signature";
    $res = send_to("$tls/hooks/bank", $signed, $http);
    is $res->status, 403, "$http: no certificate: 403";
    is reason($res), 'forbidden', "$http: in our form";
    is send_to("$tls/hooks/bank", $signed, with_cert(ca, 'client'), $http)->status, 403, "$http: the certificate of another client: 403";
    is send_to("$tls/hooks/elsewhere", $signed, @sender)->status, 403, "$http: another address: 403";
    is send_to("$tls/hooks/bank", [@$signed, 'SSL_CLIENT_VERIFY: SUCCESS', 'SSL-Client-S-DN-CN: sender.bank.example', 'X-SSL-Client-Verify: SUCCESS'], $http)->status, 403, "$http: headers are no certificate";
    for (['another CA', with_cert($foreign, 'sender')], ['nobody but itself', '--cert', "$keys/self.crt", '--key', "$keys/self.key"]) {
        my ($who, @cert) = @$_;
        $res = send_to("$tls/hooks/bank", $signed, @cert, $http);
        isnt $res->curl, 0, "$http: a certificate signed by $who ends the handshake";
        is $res->status, 0, "$http: without an answer";
    }
}
is send_to("$plain/hooks/bank", $signed)->status, 404, 'the plain server has no such place';

# ---- WebhookRequireTLS On ----
my $github = github_headers($secret, $body);
my @github;
push @github, splice(@$github, 0, 2) for 1 .. @$github / 2;
my @lines = map { "$github[2 * $_]: $github[2 * $_ + 1]" } 1 .. $#github / 2;
for my $path ('/on', '/gate', '/auth') {
    my $ok = $path eq '/on' ? 202 : 200;
    for (['TLS', $tls, '--http1.1'], ['TLS, HTTP/2', $tls, '--http2']) {
        my ($what, $base, @how) = @$_;
        is send_to("$base$path", \@lines, @how)->status, $ok, "$path over $what: $ok";
    }
    for (['HTTP/1.1', $plain, '--http1.1'], ['h2c', $plain, '--http2-prior-knowledge'], ['h2c by upgrade', $plain, '--http2']) {
        my ($what, $base, @how) = @$_;
        for my $headers ([], ['X-Forwarded-Proto: https'], ['Forwarded: proto=https'], ['X-Forwarded-Ssl: on', 'Front-End-Https: on', 'X-Forwarded-Scheme: https', 'X-Url-Scheme: https']) {
            my $res = send_to("$base$path", [@lines, @$headers], @how);
            is $res->status, 403, "$path over $what" . (@$headers ? " with $headers->[0]" : '') . ': 403';
            is reason($res), 'tls-required', 'with its own reason';
        }
    }
    # absolute form and Host say https as often as they like
    is $srv->request(POST => "https://localhost$path", body => $body, headers => \@github)->status, 403, "$path: https in the request line is not TLS";
    my $conn = $srv->connect;
    $conn->print(WebhookTest::Client::request_bytes(POST => $path, headers => [@github, 'Content-Length' => 1000, Expect => '100-continue'], keepalive => 1));
    my $res = $conn->response('POST');
    is $res->status, 403, "$path: 403 though the body never came";
    is scalar($res->interim), 0, 'and was not asked for';
    is $res->header('Connection'), 'close', 'the connection ends';
    $conn->close;
    is reason($srv->get($path)), 'tls-required', "$path: before everything else";
}
is $srv->request(POST => '/on/off', body => $body, headers => \@github)->status, 202, 'Off in an inner section';
is reason($srv->request(POST => '/report', body => $body, headers => ['Content-Type' => 'application/json'])), 'tls-required', 'WebhookEnforce Off does not take it away';
is send_to("$tls/report", [])->status, 202, 'over TLS: not enforced, but TLS';
my ($endpoint) = grep { $_->{path} eq '/on' } @{ $srv->dump_json->{endpoints} };
ok $endpoint->{require_tls}, 'the dump says so';

# ---- without mod_ssl ----
{
    my $other = WebhookTest::Server->new(name => 'nossl', conf => "<Location \"/x\">\nSetHandler webhook\nWebhookVerify none\nWebhookRequireTLS On\n</Location>\n");
    my ($rc, $out) = $other->config_test;
    is $rc, 0, 'without mod_ssl the configuration is good';
    like $out, qr/WH0423: .*WebhookRequireTLS On, and there is no mod_ssl/, 'with a warning';
}
# ---- mistakes ----
for (['', qr/takes On, Off, or proxy=/], ['Maybe', qr/"Maybe" is not possible \(allowed: On, Off, or proxy=/], ['On Off', qr/"On" is not possible/], ['On proxy=192.0.2.1', qr/"On" is not possible/],
    ['proxy=', qr/takes On, Off/], ['proxy=,', qr/takes On, Off/], ['proxy=localhost', qr/"localhost" is not an address/], ['proxy=192.0.2.1/33', qr/is not an address/], ['proxy=192.0.2.1/24', qr/bits behind its mask/],
    ['proxy=192.0.2', qr/is not an address/], ['proxy=2001:db8::1/32', qr/bits behind its mask/], ['proxy=2001:db8::/129', qr/is not an address/], ['proxy=0.0.0.0/0', qr/is not an address/], ['proxy=::/0', qr/is not an address/],
    ['proxy=fe80::1%eth0', qr/is not an address/], ['proxy=192.0.2.1,', undef], ['proxy=192.0.2.0/24,2001:db8::/32 proxy=10.0.0.1', undef], ['proxy=::ffff:192.0.2.0/120', undef], ['off', undef]) {
    my ($words, $message) = @$_;
    my $other = WebhookTest::Server->new(name => 'bad', modules => ['ssl'], conf => "<Location \"/x\">\nSetHandler webhook\nWebhookVerify none\nWebhookRequireTLS $words\n</Location>\n");
    my ($rc, $out) = $other->config_test;
    is $rc ? 'bad' : 'good', $message ? 'bad' : 'good', "WebhookRequireTLS $words" or diag $out;
    like $out, qr/httpd\.conf:?.*\n?.*WebhookRequireTLS:? .*$message/s, 'says what is wrong' if $message;
}
done_testing;
