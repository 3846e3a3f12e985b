# SPDX-License-Identifier: Apache-2.0
#
# In whatever order modules are loaded, the same happens: what is ours is handled by us, what is behind a gate is reached by verified
# requests alone, though mod_proxy, mod_rewrite, mod_dav, mod_status, mod_security and mod_remoteip have a say in the same places.
use lib 't/lib';
use WebhookTest;

my $secret = 'order-secret';
my $up = WebhookTest::Upstream->new(sub { [200, ['Content-Type' => 'text/plain'], 'from the backend'] });
my $backend = $up->url('');
my @modules = grep { defined have_module($_) } qw(proxy proxy_http rewrite dav dav_fs remoteip unique_id security2 cgid dir negotiation autoindex info auth_basic);
my $conf = <<"EOF";
WebhookStore "sqlite:\@DIR\@/state/queue.db"
<WebhookEndpoint main>
    WebhookVerify  github
    WebhookSecret  file:\@DIR\@/secret
    WebhookDrop
</WebhookEndpoint>
<WebhookEndpoint gated>
    WebhookVerify github
    WebhookSecret file:\@DIR\@/secret
    WebhookGate   On
</WebhookEndpoint>
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.1
<Location "/hook">
    SetHandler webhook
    WebhookUse main
</Location>
<Location "/sender">
    SetHandler webhook
    WebhookUse main
    Require ip 192.0.2.0/24
</Location>
<Location "/hook-proxy">
    SetHandler webhook
    WebhookUse main
    ProxyPass "$backend/hook-proxy"
</Location>
<Location "/gate-proxy">
    WebhookUse gated
    ProxyPass "$backend/gate-proxy"
</Location>
<Location "/gate-handler">
    WebhookUse gated
    SetHandler "proxy:$backend/"
</Location>
RewriteEngine On
RewriteRule "^/hook-rewrite" "$backend/hook-rewrite" [P]
RewriteRule "^/gate-rewrite" "$backend/gate-rewrite" [P]
RewriteRule "^/open-rewrite" "/gate-static/file.txt" [PT]
<Location "/hook-rewrite">
    SetHandler webhook
    WebhookUse main
</Location>
<Location "/gate-rewrite">
    WebhookUse gated
</Location>
DavLockDB "\@DIR\@/run/davlock"
<Directory "\@DIR\@/htdocs">
    Dav On
    Options +ExecCGI +Indexes
    AddHandler cgi-script .cgi
</Directory>
<Location "/hook-dav">
    SetHandler webhook
    WebhookUse main
</Location>
<Location "/gate-static">
    WebhookUse gated
</Location>
<Location "/gate-dav">
    WebhookUse gated
    WebhookMethods POST PUT PROPFIND DELETE MKCOL
    WebhookContentTypes *
</Location>
<Location "/gate-status">
    WebhookUse gated
    WebhookMethods POST GET
    SetHandler server-status
</Location>
<IfModule security2_module>
    SecRuleEngine On
    SecRequestBodyAccess On
    SecTmpDir "\@DIR\@/run"
    SecDataDir "\@DIR\@/run"
    SecAuditEngine Off
    SecAction "id:2,phase:1,pass,nolog,ctl:forceRequestBodyVariable=On"
    SecRule REQUEST_BODY "\@contains evil-words" "id:1,phase:2,deny,status:406,t:none"
</IfModule>
EOF
announce(qr/ModSecurity/, qr/AH01630: /);

# LoadModule lines in another order; what links to what must come behind it.
my @behind = (['proxy', 'proxy_http'], ['dav', 'dav_fs']);
sub reorder {
    my ($srv, $order) = @_;
    my (@load, @rest);
    push @{ /^LoadModule / ? \@load : \@rest }, $_ for split /^/, slurp($srv->conf_file);
    my %line = map { /^LoadModule (\w+)_module/ ? ($1 => $_) : () } @load;
    my @names = $order->(sort keys %line);
    for (@behind) {
        my ($first, $then) = @$_;
        my %at = map { ($names[$_] => $_) } 0 .. $#names;
        defined $at{$first} && defined $at{$then} && $at{$then} < $at{$first} or next;
        @names[@at{$first, $then}] = ($then, $first);
    }
    # IfModule and options stand behind all of them
    spew($srv->conf_file, join '', @line{@names}, @rest);
    return @names;
}
my $state;
sub lot { $state = ($state * 1103515245 + 12345) % 2147483648; return int($state / 65536) % $_[0] }
sub shuffled { my ($seed, @list) = @_; $state = $seed; for (reverse 1 .. $#list) { my $k = lot($_ + 1); @list[$_, $k] = @list[$k, $_] } return @list }
my @orders = (
    ['webhook first', sub { 'webhook', grep { $_ ne 'webhook' } @_ }],
    ['webhook last', sub { (grep { $_ ne 'webhook' } @_), 'webhook' }],
    ['backwards', sub { reverse @_ }],
    map { my $seed = $_; ["shuffled $seed", sub { shuffled($seed, @_) }] } 1 .. 5,
);

my %outcome;
for (@orders) {
    my ($name, $order) = @$_;
    my $srv = WebhookTest::Server->new(name => 'order', modules => \@modules, conf => $conf);
    spew($srv->path('secret'), $secret, 0600);
    mkdir $srv->path("htdocs/$_") for qw(gate-static gate-dav hook-dav);
    spew($srv->path('htdocs/gate-static/file.txt'), "protected\n");
    spew($srv->path('htdocs/gate-static/x.cgi'), "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nprotected '\ncat\n", 0755);
    my @names = reorder($srv, $order);
    my ($at) = grep { $names[$_] eq 'webhook' } 0 .. $#names;
    note("$name: @names");
    $srv->start;
    my $before = $up->count;
    my $body = '{"ref":"x"}';
    my $signed = sub { my ($path, %opt) = @_; $srv->github($path, $secret, $body, %opt) };
    my $forged = sub { my ($path, %opt) = @_; $srv->github($path, 'wrong', $body, %opt) };
    my $bare = sub { my ($method, $path) = @_; $srv->request($method => $path, $method eq 'PUT' ? (body => 'x') : ()) };

    # ours
    for my $path ('/hook', '/hook-proxy/x', '/hook-rewrite/x', '/hook-dav/x') {
        my $res = $signed->($path);
        is $res->status, 202, "$name: $path, signed: 202";
        like $res->body, qr/"id":"[0-9a-f-]{36}"/, 'with a receipt';
        is $forged->($path)->status, 401, "$name: $path, wrong: 401";
        is $bare->(GET => $path)->status, 405, "$name: $path, GET: 405";
    }
    is $bare->($_ => '/hook-dav/x')->status, 405, "$name: $_ is not mod_dav's there" for qw(PUT PROPFIND DELETE);
    is $up->count, $before, "$name: the backend saw none of it";

    # behind gates
    for (['/gate-proxy/x', qr/^from the backend$/], ['/gate-handler/x', qr/^from the backend$/], ['/gate-rewrite/x', qr/^from the backend$/],
        ['/gate-static/file.txt', qr/^protected$/], ['/gate-static/x.cgi', qr/^protected \Q$body\E$/], ['/gate-status', qr/Apache Server Status/],
        ['/open-rewrite', qr/^protected$/]) {
        my ($path, $content) = @$_;
        # mod_status answers GET alone
        my $res = $srv->request($path =~ /status/ ? 'GET' : 'POST', $path, body => $body, headers => github_headers($secret, $body));
        is $res->status, 200, "$name: $path, signed: 200" or diag $res->body;
        like $res->body, $content, 'its own content';
        my $then = $up->count;
        for my $refused ($forged->($path), $srv->post($path, $body, headers => ['Content-Type' => 'application/json']), map { $bare->($_ => $path) } qw(GET HEAD PUT DELETE PROPFIND OPTIONS)) {
            like $refused->status, qr/^(?:401|405|415)$/, "$name: $path, not verified: " . $refused->status;
            unlike $refused->body, qr/from the backend|protected|Apache Server Status/, 'nothing of it';
        }
        is $up->count, $then, 'the backend was not asked';
    }
    is slurp($srv->path('htdocs/gate-static/file.txt')), "protected\n", "$name: mod_dav changed nothing";
    is $bare->(PUT => '/gate-dav/new.txt')->status, 401, "$name: mod_dav's PUT behind a gate, not signed: 401";
    ok !-e $srv->path('htdocs/gate-dav/new.txt'), 'no file';
    my $res = $srv->request(PUT => '/gate-dav/new.txt', body => $body, headers => github_headers($secret, $body));
    is $res->status, 201, "$name: signed: 201";
    is slurp($srv->path('htdocs/gate-dav/new.txt')), $body, 'the file has the bytes';

    # addresses, and mod_security
    is $signed->('/sender', headers => ['X-Forwarded-For' => '192.0.2.7'])->status, 202, "$name: Require ip follows mod_remoteip: 202";
    is $signed->('/sender', headers => ['X-Forwarded-For' => '198.51.100.7'])->status, 403, "$name: and refuses: 403";
    if (defined have_module('security2')) {
        my $evil = '{"a":"evil-words"}';
        is $srv->github('/hook', $secret, $evil)->status, 406, "$name: mod_security's rules see the body";
        is $srv->github('/hook', 'wrong', $evil)->status, 401, 'behind the signature';
        is $srv->github('/gate-proxy/x', $secret, $evil)->status, 406, 'at a gate too';
    }
    $srv->stop;
}
done_testing;
