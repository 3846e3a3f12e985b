# SPDX-License-Identifier: Apache-2.0
#
# Addresses: IPv6, mod_remoteip; and mod_security in front of us, which must see the body and leave it whole.
use lib 't/lib';
use WebhookTest;

my $secret = 'address-secret';
plan(skip_all => 'no mod_security2') if !have_module('security2');
my $v6 = IO::Socket::IP->new(Listen => 1, LocalHost => '::1') ? 1 : 0;
my $srv = WebhookTest::Server->new(name => 'address', modules => ['remoteip', 'unique_id', 'security2', 'cgid'], conf => ($v6 ? 'Listen [::1]:@PORT@' : '') . <<'EOF');

RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.1
ScriptAlias "/gate" "@DIR@/out/echo.cgi"
<Directory "@DIR@">
    Options ExecCGI
</Directory>
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 4194304
SecRequestBodyNoFilesLimit 4194304
SecTmpDir "@DIR@/run"
SecDataDir "@DIR@/run"
SecAuditEngine Off
SecRule REQUEST_BODY "@contains evil-words" "id:1,phase:2,deny,status:406,t:none,ctl:forceRequestBodyVariable=On"
SecAction "id:2,phase:1,pass,nolog,ctl:forceRequestBodyVariable=On"
<WebhookEndpoint main>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
</WebhookEndpoint>
<Location "/hook">
    SetHandler webhook
    WebhookUse main
</Location>
<Location "/sender">
    SetHandler webhook
    WebhookUse main
    Require ip 192.0.2.0/24 2001:db8::/32
</Location>
<Location "/gate">
    WebhookUse main
    WebhookGate On
</Location>
EOF
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('out/echo.cgi'), <<'CGI', 0755);
#!/usr/bin/perl
local $/; my $body = <STDIN>; print "Content-Type: text/plain\r\n\r\n", $body;
CGI
announce(qr/ModSecurity/, qr/AH01630: /);
$srv->start;
my $body = '{"a":1}';
sub row { my ($res) = @_; my ($row) = $srv->ctl_json('show', $res->json->{id}); return $row }

SKIP: {
    skip 'no IPv6 loopback here', 2 if !$v6;
    my $res = $srv->github('/hook', $secret, $body, address => '::1');
    is $res->status, 202, 'over IPv6';
    is row($res)->{remote_addr}, '::1', 'its address';
}
for (['192.0.2.7', 202], ['2001:db8::5', 202], ['198.51.100.1', 403], ['2001:db9::1', 403]) {
    my ($address, $status) = @$_;
    my $res = $srv->github('/sender', $secret, $body, headers => ['X-Forwarded-For' => $address]);
    is $res->status, $status, "mod_remoteip: $address: $status";
    is row($res)->{remote_addr}, $address, 'the address is kept' if $status == 202;
}

# ---- mod_security reads the same bytes ----
for my $size (10, 60_000, 300_000) {
    my $long = '"' . ('m' x $size) . '"';
    for my $chunked (0, 1) {
        is $srv->github('/hook', $secret, $long, chunked => $chunked)->status, 202, "mod_security, $size bytes: 202";
        is $srv->github('/gate', $secret, $long, chunked => $chunked)->body, $long, 'and the gated program has them';
    }
}
is $srv->github('/gate', $secret, '{"a":"evil-words"}')->status, 406, 'its rules see the body of a gated request';
is $srv->github('/hook', $secret, '{"a":"evil-words"}')->status, 406, 'and of a delivery';
is $srv->github('/hook', 'wrong', '{"a":"evil-words"}')->status, 401, 'the signature comes first';
my @rows = $srv->ctl_json('list', '--limit', 1000);
is scalar(grep { $_->{body_sha256} eq sha256_hex('{"a":"evil-words"}') } @rows), 0, 'what it denied is not kept';

done_testing;
