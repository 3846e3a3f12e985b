# SPDX-License-Identifier: Apache-2.0
#
# A refused request never brings what is behind the gate: for files, programs and proxied applications, for every way to be refused, whatever
# the method and the ErrorDocument; the answer is one message and the protected program has not run. Nor does a cache hand it out.
use lib 't/lib';
use WebhookTest;

my $secret = 'doors-secret';
my $mark = 'PROTECTED-CONTENT';
my $up = WebhookTest::Upstream->new(sub { [200, ['X-Protected' => $mark, 'Cache-Control' => 'max-age=3600'], "$mark\n"] });
my $backend = $up->url('/app');
my @cache = grep { defined have_module($_) } qw(cache socache_shmcb cache_socache);
@cache = () if @cache < 3;
my %documents = (plain => '', text => qq(ErrorDocument 400 "own words"\nErrorDocument 401 "own words"\nErrorDocument 403 "own words"\nErrorDocument 405 "own words"\nErrorDocument 408 "own words"\n)
        . qq(ErrorDocument 413 "own words"\nErrorDocument 415 "own words"\nErrorDocument 503 "own words"),
    page => join("\n", map { "ErrorDocument $_ /errors/page.html" } 400, 401, 403, 405, 408, 413, 415, 503),
    program => join("\n", map { "ErrorDocument $_ /errors/page.cgi" } 400, 401, 403, 405, 408, 413, 415, 503),
    inside => join("\n", map { "ErrorDocument $_ /static-inside/missing.html" } 400, 401, 403, 405, 408, 413, 415, 503));
my $places = '';
for my $document (sort keys %documents) {
    for my $kind (qw(static cgi proxy ssi index)) {
        $places .= <<"EOF";
<Location "/$kind-$document">
    WebhookUse gate
    @{[$kind eq 'proxy' ? qq(ProxyPass "$backend") : '']}
    $documents{$document}
</Location>
<Location "/$kind-$document/denied">
    WebhookUse gate
    Require ip 192.0.2.1
    $documents{$document}
</Location>
<Location "/$kind-$document/slow">
    WebhookBodyTimeout 500ms
</Location>
EOF
    }
}
my $srv = WebhookTest::Server->new(name => 'doors', modules => [qw(cgid proxy proxy_http include negotiation deflate filter), @cache], conf => <<"EOF");
<WebhookEndpoint gate>
    WebhookVerify github
    WebhookSecret file:\@DIR\@/secret
    WebhookGate   On
    WebhookBodyLimit 1000
</WebhookEndpoint>
<Directory "\@DIR\@/htdocs">
    Options ExecCGI Includes FollowSymLinks
    AddHandler cgi-script .cgi
    AddOutputFilter INCLUDES .shtml
    DirectoryIndex index.html
</Directory>
ScriptAliasMatch "^/cgi-(?:\\w+)(?:/|\$)" "\@DIR\@/out/app.cgi"
<Directory "\@DIR\@/out">
    Options ExecCGI
</Directory>
$places
<Location "/cached">
    WebhookVerify github
    WebhookSecret file:\@DIR\@/secret
    WebhookGate   On
    WebhookMethods GET POST
</Location>
<Location "/cached/proxy">
    ProxyPass "$backend"
</Location>
@{[@cache ? qq(CacheEnable socache /\nCacheSocache shmcb\nCacheIgnoreNoLastMod On\nCacheIgnoreQueryString On) : '']}
EOF
spew($srv->path('secret'), $secret, 0600);
mkdir $srv->path("htdocs/$_") for 'errors', 'cached', map { my $d = $_; map { ("$_-$d", "$_-$d/denied", "$_-$d/slow") } qw(static ssi index) } sort keys %documents;
for my $d (sort keys %documents) {
    spew($srv->path("htdocs/static-$d$_"), "$mark\n") for map { "$_/file.txt" } '', '/denied', '/slow';
    spew($srv->path("htdocs/index-$d$_"), "$mark\n") for map { "$_/index.html" } '', '/denied', '/slow';
    spew($srv->path("htdocs/ssi-$d$_"), qq($mark <!--#echo var="DATE_GMT" -->\n)) for map { "$_/page.shtml" } '', '/denied', '/slow';
}
spew($srv->path('htdocs/cached/file.txt'), "$mark\n");
spew($srv->path('htdocs/errors/page.html'), "an error page\n");
spew($srv->path('htdocs/errors/page.cgi'), "#!/bin/sh\ncat >/dev/null\nprintf 'Content-Type: text/plain\\r\\n\\r\\nan error page\\n'\n", 0755);
spew($srv->path('out/app.cgi'), "#!/bin/sh\ncat >/dev/null\necho ran >>$srv->{dir}/ran\nprintf 'Content-Type: text/plain\\r\\nX-Protected: $mark\\r\\n\\r\\n$mark\\n'\n", 0755);
announce(qr/AH01630: /);
$srv->start;
my $bytes = \&WebhookTest::Client::request_bytes;

my %path = (static => 'file.txt', cgi => 'x', proxy => 'x', ssi => 'page.shtml', index => '');
my $body = '{"a":1}';
sub github { my ($with, $text) = @_; return github_headers($with, $text // $body) }
# [name, status, method, path prefix, request options]; unfinished: bytes are cut
my @ways = (
    ['no signature', 401, 'POST', '', headers => ['Content-Type' => 'application/json'], body => $body],
    ['wrong signature', 401, 'POST', '', headers => github('wrong'), body => $body],
    ['wrong signature, chunked', 401, 'POST', '', headers => github('wrong'), body => $body, chunked => 1],
    (map { ["$_", 405, $_, '', headers => []] } qw(GET HEAD OPTIONS PROPFIND)),
    (map { ["$_ with a right signature", 405, $_, '', headers => github($secret), body => $body] } qw(GET HEAD PUT DELETE PATCH)),
    ['media type', 415, 'POST', '', headers => ['Content-Type' => 'text/plain'], body => $body],
    ['coding', 415, 'POST', '', headers => [@{ github($secret) }, 'Content-Encoding' => 'gzip'], body => $body],
    ['length', 413, 'POST', '', headers => github($secret, 'x' x 2000), body => 'x' x 2000],
    ['length not known', 413, 'POST', '', headers => github($secret, 'x' x 2000), body => 'x' x 2000, chunked => 1],
    ['address', 403, 'POST', 'denied/', headers => github($secret), body => $body],
    ['broken chunk', 400, 'POST', '', headers => [@{ github($secret) }, 'Transfer-Encoding' => 'chunked'], then => "zz\r\n"],
    ['too slow', 408, 'POST', 'slow/', headers => [@{ github($secret) }, 'Content-Length' => 100], then => '{'],
    ['Expect', 401, 'POST', '', headers => [@{ github('wrong') }, Expect => '100-continue'], body => $body],
    ['range', 401, 'POST', '', headers => [@{ github('wrong') }, Range => 'bytes=0-3'], body => $body],
    ['condition', 401, 'POST', '', headers => [@{ github('wrong') }, 'If-Modified-Since' => 'Mon, 01 Jan 2035 00:00:00 GMT', 'If-None-Match' => '*'], body => $body],
);

# All bytes of one exchange, to the end of the connection.
sub exchange {
    my ($method, $path, %opt) = @_;
    my $then = delete $opt{then};
    my $conn = $srv->connect;
    $conn->print($bytes->($method => $path, %opt) . ($then // ''));
    1 while $conn->fill;
    my $raw = $conn->{buf};
    $conn->close;
    return $raw;
}

for my $document (sort keys %documents) {
    for my $kind (sort keys %path) {
        my $place = "/$kind-$document/";
        like exchange(POST => "$place$path{$kind}", headers => github($secret), body => $body), qr{^HTTP/1.1 200 .*\Q$mark\E}s, "$kind, $document: the right one gets in";
        my $asked = $up->count;
        my $ran = lines($srv->path('ran'));
        my @bad;
        for my $way (@ways) {
            my ($name, $status, $method, $prefix, %opt) = @$way;
            # half a second of waiting: not everywhere
            next if $status == 408 && $document ne 'plain' && $document ne 'page';
            my $raw = exchange($method => "$place$prefix$path{$kind}", %opt);
            my ($got) = $raw =~ m{^HTTP/1.1 (\d+) };
            my $messages = () = $raw =~ m{^HTTP/1.1 \d+ }mg;
            push @bad, "$name: status " . ($got // 'none') if ($got // 0) != $status;
            push @bad, "$name: $messages messages" if $messages != 1;
            push @bad, "$name: the content" if $raw =~ /$mark/;
            push @bad, "$name: a body for HEAD" if $method eq 'HEAD' && $raw !~ /\r\n\r\n\z/;
            my ($length) = $raw =~ /^Content-Length: (\d+)/mi;
            my ($rest) = $raw =~ /\r\n\r\n(.*)\z/s;
            push @bad, "$name: " . length($rest) . " bytes where $length were announced" if defined $length && $method ne 'HEAD' && length $rest != $length;
            push @bad, "$name: the page is missing" if $document =~ /^(?:page|program)$/ && $method ne 'HEAD' && $raw !~ /an error page/;
            push @bad, "$name: the words are missing" if $document eq 'text' && $method ne 'HEAD' && $raw !~ /own words/;
            # an ErrorDocument behind the gate that is refused itself: httpd's own page, where the first refusal came from httpd
            push @bad, "$name: no reason" if ($document eq 'plain' || $document eq 'inside' && $name !~ /^(?:address|broken chunk)$/) && $method ne 'HEAD' && $raw !~ /"reason":"/;
        }
        is_deeply \@bad, [], "$kind, ErrorDocument $document: the others get their refusal and nothing else";
        is $up->count, $asked, "$kind, $document: the application was not asked";
        is scalar(lines($srv->path('ran'))), $ran, "$kind, $document: the program did not run";
    }
}

# ---- a cache in front of everything ----
SKIP: {
    skip 'no mod_cache', 12 if !@cache;
    for my $path ('/cached/file.txt', '/cached/proxy/x') {
        my $get = sub { my ($with) = @_; return $srv->request(GET => $path, $with ? (headers => github($with), body => $body) : ()) };
        for my $turn (1, 2) {
            my $res = $get->($secret);
            is $res->status, 200, "$path, verified: 200";
            like $res->body, qr/$mark/, 'with the content';
        }
        for my $with (undef, 'wrong') {
            my $res = $get->($with);
            like $res->status, qr/^(?:401|415)$/, "$path, " . ($with // 'no signature') . ': not from the cache either';
            unlike $res->raw . $res->body, qr/$mark/, 'nothing of it';
        }
        my $res = $srv->request(HEAD => $path);
        like $res->status, qr/^(?:401|405|415)$/, "$path, HEAD";
    }
}
done_testing;
