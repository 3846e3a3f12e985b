# SPDX-License-Identifier: Apache-2.0
#
# Upstreams over TLS: the certificate is always verified, a client certificate is shown, HTTP/2 is spoken; unix sockets.
use lib 't/lib';
use WebhookTest;

plan(skip_all => 'no mod_ssl') if !defined have_module('ssl');
my $secret = 'tls-secret';
my $other = WebhookTest::CA->new(tmp_dir('other-ca'));
my $up = WebhookTest::Upstream->new(sub { [200, [], 'over a socket'] }, unix => 'up.sock');
my $h2 = defined have_module('http2');
my %handler = (
    trusted  => 'upstream "https://localhost:@PORT:tls@/sink" ca=' . ca->cert('ca'),
    stranger => 'upstream "https://localhost:@PORT:tls@/sink" ca=' . $other->cert('ca'),
    system   => 'upstream "https://localhost:@PORT:tls@/sink"',
    misnamed => 'upstream "https://127.0.0.2:@PORT:tls@/sink" ca=' . ca->cert('ca'),
    mutual   => 'upstream "https://localhost:@PORT:mtls@/sink" ca=' . ca->cert('ca') . ' cert=' . ca->cert('client') . ' key=' . ca->key('client'),
    nameless => 'upstream "https://localhost:@PORT:mtls@/sink" ca=' . ca->cert('ca'),
    socket   => 'upstream "http://localhost/sink" unix=' . $up->{unix},
);
my $conf = <<'EOF' . ca->conf . ($h2 ? "Protocols h2 http/1.1\n" : '') . <<'EOF' . ca->conf . 'SSLCACertificateFile "' . ca->cert('ca') . qq("\nSSLVerifyClient require\n</VirtualHost>\n);
LoadModule floor_module "@BUILD@/modules/mod_floor.so"
Listen 127.0.0.1:@PORT:tls@
Listen 127.0.0.2:@PORT:tls@
Listen 127.0.0.1:@PORT:mtls@
LogFormat "%U %H %>s %{X-Delivery-Id}i" sink
<Location "/sink">
    SetHandler floor
</Location>
<VirtualHost *:@PORT:tls@>
    CustomLog "@DIR@/sink_log" sink
EOF
</VirtualHost>
<VirtualHost *:@PORT:mtls@>
    CustomLog "@DIR@/mutual_log" sink
EOF
for my $name (sort keys %handler) {
    $conf .= <<"EOF";
<WebhookHandler $name>
    WebhookSend  $handler{$name}
    WebhookRetry first=1s cap=1s within=1h
</WebhookHandler>
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
announce(qr/ssl:(?:warn|error)/, qr/AH02(?:008|039|261)/);
my $srv = WebhookTest::Server->new(name => 'uptls', modules => ['ssl', 'socache_shmcb', $h2 ? 'http2' : ()], conf => $conf);
spew($srv->path('secret'), $secret, 0600);
$srv->start;

sub outcome {
    my ($to, $want) = @_;
    my $res = $srv->github("/$to", $secret, github_push());
    is $res->status, 202, "$to: accepted";
    my $row;
    wait_for { $row = $srv->ctl_json('show', $res->json->{id}); $row->{jobs}[0]{attempts} && $row->{state} =~ /^(?:done|retry|dead)$/ } 60;
    is $row->{state}, $want, "$to: $want";
    return $row;
}

my $row = outcome('trusted', 'done');
my ($line) = grep { /\Q$row->{id}\E/ } lines($srv->path('sink_log'));
like $line, $h2 ? qr{^/sink HTTP/2\.0 204} : qr{^/sink HTTP/1\.1 204}, 'over ' . ($h2 ? 'HTTP/2' : 'HTTP/1.1');
for my $name (qw(stranger system misnamed)) {
    is outcome($name, 'retry')->{jobs}[0]{reason}, 'tls', "$name: not verified, not sent";
}
is scalar(my @sent = lines($srv->path('sink_log'))), 1, 'nothing reached an upstream that was not verified';
$row = outcome('mutual', 'done');
ok scalar(grep { /204 \Q$row->{id}\E/ } lines($srv->path('mutual_log'))), 'mutual: with a client certificate';
isnt outcome('nameless', 'retry')->{jobs}[0]{reason}, undef, 'nameless: refused without one';
is outcome('socket', 'done')->{jobs}[0]{attempt_rows}[0]{output}, 'over a socket', 'socket: over a unix socket';
done_testing;
