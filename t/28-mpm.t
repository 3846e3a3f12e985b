# SPDX-License-Identifier: Apache-2.0
#
# The request side on each MPM: accept, duplicate, refuse, time out, gate, restart.
use lib 't/lib';
use WebhookTest;

my $secret = 'mpm-secret';
my $body = github_push();
my $bytes = \&WebhookTest::Client::request_bytes;
for my $mpm (qw(event worker prefork)) {
    my $srv = WebhookTest::Server->new(name => $mpm, mpm => $mpm, modules => [$mpm eq 'prefork' ? 'cgi' : 'cgid', 'rewrite'], conf => <<'EOF');
WebhookBodyMemory 16K
<Directory "@DIR@/htdocs">
    Options ExecCGI FollowSymLinks
    AddHandler cgi-script .cgi
    RewriteEngine On
    RewriteCond %{REQUEST_FILENAME} !-f
    RewriteRule ^gate/ gate/front.cgi
</Directory>
<Location "/hook">
    SetHandler webhook
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookDrop
</Location>
<Location "/hook/slow">
    WebhookBodyTimeout 1s
</Location>
<Location "/gate">
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookGate On
</Location>
EOF
    spew($srv->path('secret'), $secret, 0600);
    mkdir $srv->path('htdocs/gate');
    spew($srv->path('htdocs/gate/front.cgi'), "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nexec cat\n", 0755);
    $srv->start;

    my $res = $srv->github('/hook', $secret, $body, id => 'one');
    is $res->status, 202, "$mpm: accepted";
    is $srv->github('/hook', $secret, $body, id => 'one')->json->{id}, $res->json->{id}, "$mpm: duplicate";
    is $srv->github('/hook', 'wrong', $body)->status, 401, "$mpm: refused";
    my $conn = $srv->connect;
    $conn->print($bytes->(POST => '/hook/slow', headers => [@{ github_headers($secret, $body) }, 'Content-Length' => 100]));
    is $conn->response('POST')->status, 408, "$mpm: timed out";
    $conn->close;
    for my $size (10, 100_000) {
        my $long = '"' . ('g' x $size) . '"';
        for my $chunked (0, 1) {
            ok $srv->github('/gate/some/path', $secret, $long, chunked => $chunked)->body eq $long, "$mpm: gated and rewritten, $size bytes";
        }
        is $srv->github('/gate/some/path', 'wrong', $long)->status, 401, "$mpm: gate closed";
    }
    $srv->graceful;
    is $srv->github('/hook', $secret, $body, id => 'one')->json->{id}, $res->json->{id}, "$mpm: duplicate after a graceful restart";
    my @rows = $srv->ctl_json('list');
    is scalar @rows, 1, "$mpm: one delivery";
    $srv->stop;
}

done_testing;
