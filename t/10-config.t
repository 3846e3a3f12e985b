# SPDX-License-Identifier: Apache-2.0
# Everything that can be wrong in a configuration is found by httpd -t, which
# then exits non-zero and names virtual host, file and line, what was given and
# what is allowed. What is right passes, and the dump shows it without secrets.
use WebhookTest;

my $srv = WebhookTest::Server->new(name => 'config', store => 0);
my $file = $srv->conf_file;
my $elsewhere = qr/not allowed (?:here|in)/; # as httpd says it
my $CANARY = 'c4n4ry-0f-th3-s3cr3t';
spew($srv->path('good.key'), "$CANARY\n", 0600);
spew($srv->path('empty.key'), '', 0600);
spew($srv->path('newline.key'), "\r\n", 0600);
spew($srv->path('blank.key'), " \t \n", 0600);
spew($srv->path('closed.key'), "$CANARY\n", 0000);
spew($srv->path('open.key'), "$CANARY\n", 0644);
spew($srv->path('spaces.key'), " $CANARY\n\n", 0600);
spew($srv->path('big.key'), 'x' x 65537, 0600);
spew($srv->path('full.key'), 'x' x 65535 . "\n", 0600);
spew($srv->path('script'), "#!/bin/sh\necho $CANARY\n", 0755);
mkdir $srv->path($_) for qw(dir.key out/raw);

# -t fails; the line of the test's part that is named; texts that must be there.
sub bad {
    my ($name, $conf, $line, @texts) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $srv->write_conf($conf);
    my ($rc, $out) = $srv->config_test;
    my $at = $srv->conf_line($line);
    my $ok = $rc != 0 && $out =~ /(?:line $at of \Q$file\E:|\Q$file\E:$at: )/ && $out !~ /\Q$CANARY\E/;
    $ok &&= $out =~ (ref $_ ? $_ : qr/\Q$_\E/) for @texts;
    ok $ok, "refused: $name" or diag "exit $rc, wanted line $at\n$out";
}

# -t passes; texts that must (regular expressions: match) be there.
sub good {
    my ($name, $conf, @texts) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $srv->write_conf($conf);
    my ($rc, $out) = $srv->config_test;
    my $ok = $rc == 0 && $out =~ /Syntax OK/ && $out !~ /\Q$CANARY\E/;
    $ok &&= $out =~ (ref $_ ? $_ : qr/\Q$_\E/) for @texts;
    ok $ok, "passes: $name" or diag "exit $rc\n$out";
}

# A section with these lines behind a verifier: the first is line 4.
sub section { return "<Location \"/h\">\nWebhookVerify github\nWebhookSecret file:good.key\n$_[0]\n</Location>\n" }
# The same in a named handler: the first is line 2.
sub handler { return "<WebhookHandler h>\n$_[0]\n</WebhookHandler>\n" }

# ---- the four-line form, and what else is right ----

good 'four lines', <<'EOF', qr/good\.key is read again when it changes/;
WebhookStore sqlite:state/queue.db
<Location "/hooks/github">
    SetHandler     webhook
    WebhookVerify  github
    WebhookSecret  file:good.key
    WebhookDeliver pipe:/bin/true
</Location>
EOF
good 'the secret before the scheme', "<Location /h>\nWebhookSecret file:good.key\nWebhookVerify github\n</Location>";
good 'no directive of ours at all', '';
good 'a handler that nothing uses', handler('WebhookSend file out/x.jsonl');
good 'a relative directory of files', handler('WebhookSend file out/raw/ format=raw');
good 'inline handlers of every kind', section(join "\n", map { "WebhookDeliver $_" } 'file:out/x.jsonl', 'pipe:/bin/true',
    'upstream:https://a.invalid/x', 'https://b.invalid/', 'http://127.0.0.1:1/');
good 'everything is dropped', section('WebhookDrop');
good 'what is dropped, what is delivered, and what is left', section(<<'EOT');
WebhookDrop    "webhook_json('/sender/type') == 'Bot'"
WebhookDeliver https://a.invalid/ "%{WEBHOOK_EVENT} == 'push'"
WebhookDeliver file:out/rest.jsonl default
EOT
good 'a gate without a store', "WebhookStore none\n" . section('WebhookGate On');
good 'a secret in a variable of the environment', section('') =~ s/file:good.key/env:PATH/r;
good 'a program that prints the secret is only looked at', section('') =~ s{file:good.key}{"exec:\@DIR\@/script word"}r;
good 'an inline secret warns', section('') =~ s/file:good.key/$CANARY/r, 'the secret is written in the configuration';
good 'an inline secret said so', section('') =~ s/file:good.key/inline:a:b/r, 'the secret is written in the configuration';
good 'a secret that others can read warns', section('') =~ s/good/open/r, '/open.key can be read by every user';
good 'outer white space warns', section('') =~ s/good/spaces/r, '/spaces.key begins or ends with white space';
good 'the largest secret', section('') =~ s/good/full/r;
good 'several secrets with times', section("WebhookSecret id=b from=2026-01-01T00:00:00Z until=2027-01-01T00:00:00+01:00 file:good.key");
good 'nothing verified, written out', "<Location /h>\nWebhookVerify none\nSetHandler webhook\n</Location>\nWebhookStore sqlite:state/q.db",
    'verifies nothing (WebhookVerify none)';
good 'a scheme that leaves the body open says so', section('') =~ s/github/gitlab-token/r, 'scheme gitlab-token does not sign the body';
good 'all of a section', section(<<'EOF');
WebhookName a-name
WebhookDeliver file:out/x.jsonl "req('X-Kind') == 'a' && webhook_json('/ref') =~ m#^refs/heads/#"
WebhookRoute first
WebhookMethods POST PUT
WebhookContentTypes application/json +json text/* application/x-www-form-urlencoded
WebhookBodyLimit 2M
WebhookBodyTimeout 1min30s
WebhookAnswer 200 text/plain "thank you"
WebhookDuplicates reject window=3d
EOF
good 'all of the server', <<'EOF';
WebhookStore "sqlite:state/queue.db" done=1d size=1G
WebhookLog logs.jsonl headers body=4K
WebhookBodyMemory 128K
WebhookDrainTimeout 10min
<WebhookHandler a.b_c-1>
    WebhookRetry first=1s factor=2 cap=1h within=1d
    WebhookSend pipe "/bin/cat -n" concurrency=1 timeout=5s capture=1K
</WebhookHandler>
EOF

# ---- the scheme ----

bad 'an unknown scheme', "<Location /h>\nWebhookVerify gihub\n</Location>", 2, '"gihub" is unknown', qr/allowed: .*\bgithub\b.*\bhmac\b.*\bnone\b/;
bad 'an unknown option of a scheme', "<Location /h>\nWebhookVerify hmac heder=X\n</Location>", 2, '"heder" is unknown', 'allowed: ';
bad 'a word that is no option', "<Location /h>\nWebhookVerify hmac X-Sig\n</Location>", 2, '"X-Sig" is not an option';
bad 'two schemes', section('WebhookVerify github'), 4, 'given twice', qr/first at .*:\d+/;
bad 'the scheme that was meant', "<Location /h>\nWebhookVerify twilio\n</Location>", 2, qr/"twilio" is unknown \(near: twilio-form, twilio-json; allowed: /;
bad 'no scheme', "<Location /h>\nWebhookVerify\n</Location>", 2, 'takes a scheme';
bad 'no verifier for what is to be delivered', "<Location /h>\nWebhookDeliver file:x\n</Location>", 1, '<Location /h> without a verifier',
    'WebhookVerify none, if';
bad 'no verifier for what is only limited', "<Location /h>\nWebhookBodyLimit 1M\n</Location>", 1, 'without a verifier';
bad 'no verifier behind a gate', "<Location /h>\nWebhookGate On\n</Location>", 1, 'WebhookGate On without a verifier';
bad 'no verifier behind a gate that some other place has', <<'EOF', 5, 'WebhookGate On without a verifier';
<Location /h>
WebhookVerify none
WebhookGate On
</Location>
<LocationMatch "^/h/x">
WebhookGate On
</LocationMatch>
EOF
bad 'a verifier beside, not around', "<Location /ho>\nWebhookVerify none\nWebhookGate On\n</Location>\n<Location /hooks>\nWebhookMethods PUT\n</Location>",
    5, '<Location /hooks> without a verifier';
bad 'a verifier just beside: /h/ is not /h', <<'EOF', 5, 'WebhookGate On without a verifier';
<Location /h/>
WebhookVerify none
WebhookGate On
</Location>
<Location /h>
WebhookGate On
</Location>
EOF
bad 'a verifier in a pattern that looks like a path', <<'EOF', 6, 'WebhookGate On without a verifier';
<Location ~ "/h(/a|/b)">
WebhookVerify none
WebhookName x
WebhookGate On
</Location>
<Location "/h(/a|/b)/c">
WebhookGate On
</Location>
EOF
good 'a gate in a condition inside a verified place', "<Location /h>\nWebhookVerify none\n<If true>\nWebhookGate On\n</If>\n</Location>\nWebhookStore sqlite:x.db";
bad 'a gate for the whole server without a verifier', 'WebhookGate On', 1, 'WebhookGate On without a verifier';
bad 'a virtual host is named', <<'EOF', 3, 'WH0129: virtual host www.example.org:8080, ';
<VirtualHost *:8080>
ServerName www.example.org
<Location /h>
WebhookDeliver file:x
</Location>
</VirtualHost>
EOF
bad 'an endpoint in a pattern without a name', "<LocationMatch ^/h>\nWebhookVerify none\n</LocationMatch>", 2, 'needs a WebhookName';
good 'an endpoint in a pattern with a name', "<LocationMatch ^/h>\nWebhookVerify none\nWebhookName x\nWebhookGate On\n</LocationMatch>";

# ---- secrets ----

bad 'a scheme that needs a secret', "<Location /h>\nWebhookVerify github\n</Location>", 2, 'github needs at least one WebhookSecret';
bad 'a secret without a scheme', "<Location /h>\nWebhookSecret file:good.key\n</Location>", 2, 'WebhookSecret without WebhookVerify';
bad 'a secret without a scheme, under one', section('') . "<Location /h/i>\nWebhookSecret file:good.key\n</Location>", 7,
    'WebhookSecret without WebhookVerify';
bad 'a secret for nothing', "<Location /h>\nWebhookVerify none\nWebhookSecret file:good.key\n</Location>", 3, 'none has no use for a secret';
for ([empty => 'is empty'], [newline => 'is empty'], [blank => 'holds white space only'], [missing => 'cannot be read: No such file'],
    [big => 'is larger than 65536 bytes'], [dir => qr/is not a regular file|cannot be read/]) {
    my ($key, $text) = @$_;
    bad "secret: $key file", section('') =~ s/good/$key/r, 3, "file:" . $srv->path("$key.key") . ' ', $text;
}
SKIP: {
    skip 'root reads everything', 1 if !$>;
    bad 'secret: unreadable file', section('') =~ s/good/closed/r, 3, '/closed.key cannot be read: Permission denied';
}
bad 'secret: device', section('') =~ s{file:good.key}{file:/dev/null}r, 3, '/dev/null is not a regular file';
bad 'secret: no file named', section('') =~ s/good.key//r, 3, 'file: needs the path';
bad 'secret: variable that is not set', section('') =~ s/file:good.key/env:WEBHOOK_TEST_NO_SUCH/r, 3, 'env:WEBHOOK_TEST_NO_SUCH is not set';
bad 'secret: variable without a name', section('') =~ s/file:good.key/env:/r, 3, 'env: needs the name';
{
    local $srv->{env} = { WEBHOOK_TEST_EMPTY => '', WEBHOOK_TEST_BLANK => '  ' };
    bad 'secret: empty variable', section('') =~ s/file:good.key/env:WEBHOOK_TEST_EMPTY/r, 3, 'env:WEBHOOK_TEST_EMPTY is empty';
    bad 'secret: blank variable', section('') =~ s/file:good.key/env:WEBHOOK_TEST_BLANK/r, 3, 'holds white space only';
}
bad 'secret: relative program', section('') =~ s{file:good.key}{exec:script}r, 3, 'absolute path of a program';
bad 'secret: missing program', section('') =~ s{file:good.key}{exec:/nonexistent/x}r, 3, 'exec:/nonexistent/x cannot be run';
bad 'secret: program that is none', section('') =~ s{file:good.key}{exec:\@DIR\@/good.key}r, 3, 'is not an executable file';
bad 'secret: path without file:', section('') =~ s{file:good.key}{/etc/x.key}r, 3, 'looks like a path', 'allowed: file:PATH, env:NAME';
bad 'secret: mistyped kind', section('') =~ s{file:good.key}{flie:/etc/x.key}r, 3, 'looks like a path';
bad 'secret: empty inline', section('') =~ s{file:good.key}{inline:}r, 3, 'is empty';
bad 'secret: no word', section('') =~ s{file:good.key}{}r, 3, 'takes file:PATH';
bad 'secret: unknown option', section("WebhookSecret name=$CANARY file:good.key"), 4, 'allowed: id=, from=, until=';
bad 'secret: bad id', section('WebhookSecret id= file:good.key'), 4, '"" cannot be the id';
bad 'secret: bad time', section('WebhookSecret from=2026-13-01 file:good.key'), 4, '"from=2026-13-01" is not a time', 'RFC 3339';
bad 'secret: from behind until', section('WebhookSecret from=2027-01-01T00:00:00Z until=2026-01-01T00:00:00Z file:good.key'), 4,
    'from= must be before until=';
bad 'secret: an id twice', section("WebhookSecret id=a file:good.key\nWebhookSecret id=a file:good.key"), 5, 'id "a" is given twice', qr/first at .*:\d+/;
bad 'secret: given id is another one\'s number', section("WebhookSecret id=1 file:good.key"), 4, 'id "1" is given twice';

# ---- endpoints and their use ----

my $endpoint = "<WebhookEndpoint one>\nWebhookVerify github\nWebhookSecret file:good.key\n</WebhookEndpoint>\n"; # 4 lines
good 'an endpoint defined behind its use', "WebhookStore sqlite:state/q.db\n<Location /h>\nWebhookUse one\nSetHandler webhook\n</Location>\n$endpoint";
bad 'an unknown endpoint', "$endpoint<Location /h>\nWebhookUse two\n</Location>", 6, 'no <WebhookEndpoint> "two"', 'defined: one';
bad 'an endpoint of another virtual host', <<'EOF', 10, 'no <WebhookEndpoint> "mine"', 'none is defined';
<VirtualHost *:8080>
ServerName a
<WebhookEndpoint mine>
WebhookVerify none
</WebhookEndpoint>
</VirtualHost>
<VirtualHost *:8081>
ServerName b
<Location /h>
WebhookUse mine
</Location>
</VirtualHost>
EOF
bad 'an endpoint made of another', "$endpoint<WebhookEndpoint two>\nWebhookUse one\n</WebhookEndpoint>", 6, 'WebhookUse is not allowed in <WebhookEndpoint>';
bad 'WebhookUse for a whole server', "${endpoint}WebhookUse one", 5, $elsewhere;
bad 'two endpoints of one name', "$endpoint$endpoint", 5, '"one" is defined twice', qr/first at .*:\d+/;
bad 'a place named like an endpoint', $endpoint . section('WebhookName one'), 6, 'another endpoint "one"', 'give one with WebhookName';
bad 'an endpoint without a scheme', "<WebhookEndpoint e>\nWebhookDeliver file:x\n</WebhookEndpoint>", 1, '"e" has no WebhookVerify';
bad 'a name in an endpoint', "<WebhookEndpoint e>\nWebhookVerify none\nWebhookName f\n</WebhookEndpoint>", 3, 'already named "e"';
bad 'a name where no endpoint is', section('') . "<Location /h/i>\nWebhookName x\n</Location>", 6, 'WebhookName "x" without WebhookVerify';
bad 'a name that cannot be one', section('WebhookName "a b"'), 4, '"a b" cannot be the name';
bad 'an endpoint without a name', "<WebhookEndpoint>\nWebhookVerify none\n</WebhookEndpoint>", 1, 'takes one name';
bad 'an endpoint with two names', "<WebhookEndpoint a b>\n</WebhookEndpoint>", 1, 'takes one name';
bad 'a directive that would be lost in an endpoint', "<WebhookEndpoint e>\nWebhookVerify none\nRequire ip 192.0.2.1\n</WebhookEndpoint>", 3,
    'Require is not allowed in <WebhookEndpoint>';
bad 'a server directive in an endpoint', "<WebhookEndpoint e>\nWebhookVerify none\nWebhookBodyMemory 1M\n</WebhookEndpoint>", 3, $elsewhere;
bad 'an endpoint in a location', "<Location /h>\n<WebhookEndpoint e>\n</WebhookEndpoint>\n</Location>", 2, $elsewhere;
bad 'a verifier for some methods only', "<Location /h>\n<Limit POST>\nWebhookVerify none\n</Limit>\n</Location>", 3, 'cannot occur within <Limit>';

# ---- handlers and rules ----

bad 'a handler nobody defined', handler('WebhookSend file x') . section('WebhookDeliver nobody'), 7, 'no handler "nobody"', 'named ones: h',
    qr/type of: .*file.*pipe.*upstream/;
bad 'a handler type nobody has', section('WebhookDeliver ftp:x'), 4, 'handler type "ftp" is unknown', 'allowed: file, pipe, upstream';
bad "an inline handler $_", section("WebhookDeliver $_"), 4, qq("$_" is not a URL), 'expected http://host[:port]/path' for 'http:/x', 'http:///x', 'https:x';
bad 'an inline handler that its type refuses', section('WebhookDeliver pipe:relative/program'), 4, 'pipe:relative/program', 'absolute path';
bad 'a handler without words', section('WebhookDeliver ""'), 4, 'takes a handler, and one expression';
bad 'a rule that is empty', section('WebhookDeliver file:x ""'), 4, 'takes a handler, and one expression';
bad 'a rule without its quotes', section('WebhookDeliver file:x true false'), 4, 'takes a handler, and one expression';
bad 'a broken expression', section(q{WebhookDeliver file:x "%{REQUEST_URI} == "}), 4, 'cannot parse expression', 'syntax error';
bad 'an unknown function', section(q{WebhookDeliver file:x "webhook_jsn('/a') == 'b'"}), 4, 'cannot parse expression', 'webhook_jsn';
bad 'a function that reads files', section(q{WebhookDeliver file:x "file('/etc/passwd') != ''"}), 4, 'cannot parse expression';
bad 'what drops is no handler', section('WebhookDeliver drop'), 4, '"drop" is no handler', 'WebhookDrop [expression]';
bad 'a broken expression of what is dropped', section(q{WebhookDrop "webhook_json('ref') == 'x'"}), 4, 'cannot parse expression', "must begin with '/'";
bad 'dropping with an empty expression', section('WebhookDrop ""'), 4, 'takes one expression';
bad 'dropping with an expression without quotes', section(q{WebhookDrop %{WEBHOOK_EVENT} == 'push'}), 4, 'takes one expression';
bad 'delivering what is all dropped', section("WebhookDrop\nWebhookDeliver file:x"), 5, 'never counts', qr/WebhookDrop at .*:\d+ has no expression/;
bad 'a default that nothing is left for', section("WebhookDeliver file:x\nWebhookDeliver file:y default"), 5, 'never counts', 'always matches';
bad 'dropping from a gate', section("WebhookGate On\nWebhookDrop"), 1, 'WebhookDrop and WebhookGate On exclude each other';
bad 'delivering from a gate', section("WebhookGate On\nWebhookDeliver file:x"), 1, 'exclude each other';
bad 'delivering from a gate, in an endpoint', $endpoint =~ s/<\/W/WebhookGate On\nWebhookDeliver file:x\n<\/W/r, 1, 'exclude each other';
bad 'delivering below a gate', section('WebhookGate On') . "<Location /h/i>\nWebhookDeliver file:x\n</Location>", 6, 'exclude each other';
bad 'keeping at a gate', section("WebhookGate On\nSetHandler webhook"), 1, 'SetHandler webhook keeps them';
good 'acknowledging at a gate, where nothing is kept', "WebhookStore none\n" . section("WebhookGate On\nSetHandler webhook");
good 'delivering below a gate that is opened', section('WebhookGate On') . "<Location /h/i>\nWebhookGate Off\nWebhookDeliver file:x\n</Location>";
bad 'delivering without a store', "WebhookStore none\n" . section('WebhookDeliver file:x'), 2, 'there is WebhookStore none';
bad 'keeping without a store', "WebhookStore none\n" . section('SetHandler webhook'), 2, 'there is WebhookStore none';
bad 'a second handler of one name', handler('WebhookSend file x') . handler('WebhookSend file y'), 4, '"h" is defined twice', qr/first at .*:\d+/;
bad 'a second handler of one name in a virtual host', handler('WebhookSend file x') . "<VirtualHost *:8080>\n" . handler('WebhookSend file y') . "</VirtualHost>",
    5, '"h" is defined twice';
bad 'a handler called drop', "<WebhookHandler drop>\nWebhookSend file x\n</WebhookHandler>", 1, 'cannot be the name of a handler';
bad 'a handler with a colon', "<WebhookHandler a:b>\nWebhookSend file x\n</WebhookHandler>", 1, 'takes one name';
bad 'a handler that sends nowhere', handler('WebhookRetry first=1s'), 1, 'has no WebhookSend';
bad 'a handler that sends twice', handler("WebhookSend file x\nWebhookSend file y"), 3, 'given twice';
bad 'an unknown type', handler('WebhookSend smtp x'), 2, '"smtp" is unknown', 'allowed: file, pipe, upstream';
bad 'no target', handler('WebhookSend file'), 2, 'takes a type and a target';
bad 'an unknown option of a handler', handler('WebhookSend pipe /bin/true timout=1s'), 2, '"timout" is unknown', 'allowed: ';
bad 'a value an option cannot have', handler('WebhookSend pipe /bin/true concurrency=0'), 2, '"concurrency" cannot be "0"', 'from 1 to 1024';
bad 'a bare number for a time', handler('WebhookSend pipe /bin/true timeout=10'), 2, '"timeout" cannot be "10"', 'a duration such as';
bad 'an unknown option of retries', handler("WebhookSend file x\nWebhookRetry firts=1s"), 3, '"firts" is unknown';
bad 'retries twice', handler("WebhookSend file x\nWebhookRetry first=1s\nWebhookRetry first=2s"), 4, 'given twice';
bad 'a section directive in a handler', handler('WebhookVerify none'), 2, 'not allowed in <WebhookHandler>';
bad 'another module\'s directive in a handler', handler('SetEnv A b'), 2, 'SetEnv is not allowed in <WebhookHandler>';
bad 'WebhookSend in a location', "<Location /h>\nWebhookSend file x\n</Location>", 2, 'in <WebhookHandler> only';
bad 'WebhookRetry in an endpoint', "<WebhookEndpoint e>\nWebhookRetry first=1s\n</WebhookEndpoint>", 2, 'in <WebhookHandler> only';

# ---- the words of the other directives ----

bad 'a route', section('WebhookRoute some'), 4, '"some"', 'allowed: all, first';
bad 'a gate', section('WebhookGate maybe'), 4, 'must be On or Off';
bad 'a method in lower case', section('WebhookMethods post'), 4, '"post" is not possible', 'upper case';
bad 'a method that echoes', section('WebhookMethods TRACE'), 4, '"TRACE" is not possible';
bad 'methods twice', section("WebhookMethods POST\nWebhookMethods PUT"), 5, 'given twice';
good 'bodies', section("WebhookContentTypes text/*=json application/x=form multipart/form-data=multipart *=opaque\nWebhookPayload field=x\n"
    . "WebhookDecode gzip deflate hmac=decoded limit=1M ratio=1032\nWebhookValidate json report");
bad 'a type behind one that stands for it', section("WebhookContentTypes $_->[0] $_->[1]"), 4, "\"$_->[1]\" is never looked at behind \"$_->[0]\""
    for ['*', 'text/plain=json'], ['text/*', 'text/xml=opaque'], ['+json', 'application/x+json=opaque'], ['text/*', 'text/*=json'], ['a/b', 'A/B=form'];
bad 'a way to read', section('WebhookContentTypes text/plain=yaml'), 4, '"text/plain=yaml"', 'json, form, multipart, opaque';
bad 'parts of another type', section('WebhookContentTypes multipart/mixed=multipart'), 4, 'is not multipart/form-data';
bad 'types of a scheme', section('') =~ s/github/hmac header=X-Sig content-types=text\/plain=yaml/r, 2, '"text/plain=yaml"', 'json, form, multipart, opaque';
bad "WebhookPayload $_", section("WebhookPayload $_"), 4, "cannot be \"$_\"", 'body, field=NAME' for qw(json field= form=x);
bad "WebhookDecode $_", section("WebhookDecode $_"), 4, 'WebhookDecode' for '', 'br', 'gzip off', 'off gzip', 'gzip hmac=both', 'gzip limit=0', 'gzip limit=2G',
    'gzip ratio=0', 'gzip ratio=1033', 'limit=1M';
bad 'WebhookDecode twice', section("WebhookDecode gzip\nWebhookDecode deflate"), 5, 'given twice';
bad "WebhookValidate $_->[0]", section("WebhookValidate $_->[0]"), 4, 'WebhookValidate', $_->[1] for ['', 'json and its options'], ['xml', 'cannot be "xml"'],
    ['json schem=x', '"schem=x" is not possible'], ['json draft=2020-12', 'there is no schema='], ['json schema=nothing.json', 'nothing.json'],
    ['json schema=x draft=4', '2020-12, 2019-09, 7'], ['json schema=x format=yes', 'annotate, assert'], ['json schema=x ref=nothing', 'URI=DIRECTORY'],
    ['json schema=x ref=http://x/=nowhere', '"nowhere" is not a directory'];
bad 'two lines for an event', section("WebhookValidate json event=a\nWebhookValidate json event=a"), 5, 'the event "a" has a line already';
bad 'two lines for all events', section("WebhookValidate json\nWebhookValidate json report"), 5, 'a line without event= already';
bad 'off beside others', section("WebhookValidate json\nWebhookValidate off"), 5, 'there is another line';
bad 'others beside off', section("WebhookValidate off\nWebhookValidate json"), 5, 'off is in this section already';
bad "a media type: $_", section("WebhookContentTypes $_"), 4, "\"$_\" is not a media type" for qw(json application/ /json a/b/c application/json;charset=utf-8 +);
bad "a size: $_", section("WebhookBodyLimit $_"), 4, "\"$_\"", 'from 1 to 1G' for qw(0 1Q -1 1.5M 2G 99999999999999999999);
bad "a time: $_", section("WebhookBodyTimeout $_"), 4, "\"$_\"", 'a duration such as' for qw(20 0 1x 2h 1h61q);
bad "a status: $_", section("WebhookAnswer $_"), 4, "\"$_\"", '200 to 299' for qw(199 300 2OO -200);
bad 'a body without one', section('WebhookAnswer 204 text/plain x'), 4, 'a 204 answer has no body';
bad 'a type without a body', section('WebhookAnswer 200 text/plain'), 4, 'needs a body';
bad 'a type that is none', section('WebhookAnswer 200 text "x"'), 4, '"text" is not a media type';
bad 'duplicates', section('WebhookDuplicates keep'), 4, '"keep"', 'allowed: answer, reject, off';
bad 'a window', section('WebhookDuplicates answer window=1'), 4, 'window= cannot be "1"';
bad 'a window of nothing', section('WebhookDuplicates off window=1h'), 4, '"window=1h" is not possible';
bad 'an unknown store', 'WebhookStore mysql:x', 1, 'mysql', 'sqlite';
bad 'a store without a path', 'WebhookStore sqlite:', 1, 'sqlite';
bad 'an unknown option of the store', 'WebhookStore sqlite:x.db rwos=1', 1, '"rwos" is unknown';
bad 'two stores', "WebhookStore sqlite:x.db\nWebhookStore sqlite:y.db", 2, 'given twice';
bad 'no store with options', 'WebhookStore none rows=1', 1, 'none has no options';
bad "$_->[0] in a virtual host", "<VirtualHost *:8080>\n$_->[0] $_->[1]\n</VirtualHost>", 2, 'cannot occur within <VirtualHost>'
    for ['WebhookStore', 'sqlite:x.db'], ['WebhookLog', 'x'], ['WebhookDrainTimeout', '1h'], ['WebhookFetch', 'timeout=1s'];
bad "$_->[0] in a location", "<Location /h>\n$_->[0] $_->[1]\n</Location>", 2, $elsewhere
    for ['WebhookStore', 'sqlite:x.db'], ['WebhookLog', 'x'], ['WebhookDrainTimeout', '1h'], ['WebhookBodyMemory', '1M'], ['WebhookFetch', 'timeout=1s'];
bad 'an option of the log', 'WebhookLog x.jsonl header', 1, '"header" is not an option', 'allowed: headers, body=SIZE';
bad 'a body in the log', 'WebhookLog x.jsonl body=2M', 1, 'up to 1M';
bad 'memory for bodies', 'WebhookBodyMemory 1', 1, '"1"', 'from 1K to 64M';
bad 'a drain time', 'WebhookDrainTimeout 0', 1, '"0"', 'a duration such as';

# ---- all mistakes in one run ----

$srv->write_conf(<<'EOF');
<Location /a>
WebhookVerify github
</Location>
<Location /b>
WebhookVerify github
WebhookSecret file:missing.key
WebhookDeliver nobody
</Location>
<Location /c>
WebhookUse nothing
</Location>
EOF
my ($rc, $out) = $srv->config_test;
is $rc, 1, 'several mistakes: refused';
like $out, qr/\Q$file\E:@{[$srv->conf_line($_)]}: /, "the one on line $_ is named" for 2, 6, 7, 10;

# ---- the dump ----

$srv->write_conf(<<"EOF");
WebhookStore sqlite:state/queue.db done=1d
WebhookLog "|/bin/cat" headers
<WebhookHandler api>
WebhookSend upstream https://api.invalid:8443/in timeout=7s header=Authorization:$CANARY
WebhookRetry first=2s within=1h
</WebhookHandler>
<WebhookEndpoint shared>
WebhookVerify hmac header=X-Sig prefix=v1=
WebhookSecret id=a file:closed.key
WebhookSecret id=b $CANARY
WebhookSecret id=c until=2030-01-01T00:00:00Z "exec:\@DIR\@/script $CANARY"
WebhookDeliver api "req('X-Kind') == 'a'"
WebhookDeliver api default
WebhookDrop "req('X-Kind') == 'b'"
</WebhookEndpoint>
<WebhookEndpoint idle>
WebhookVerify none
</WebhookEndpoint>
<Location "/one">
SetHandler webhook
WebhookUse shared
WebhookBodyLimit 4K
</Location>
<VirtualHost *:443>
ServerName secure.example.org
<Location "/two">
WebhookUse shared
WebhookDuplicates off
</Location>
</VirtualHost>
EOF
my $text = $srv->dump;
unlike $text, qr/\Q$CANARY\E/, 'the dump has no secret, though one is inline, one in a program\'s words, one in a header';
my $dump = json_decode($text);
my $dir = $srv->dir;
is $dump->{webhook}, 1, 'the dump has a version';
is $dump->{server_root}, $dir, 'ServerRoot';
is $dump->{store}{text}, "sqlite:$dir/state/queue.db", 'the store, with its absolute path';
is_deeply $dump->{store}{options}, ['done=1d'], 'and its options';
is $dump->{log}{target}, '|/bin/cat', 'the log';
like $dump->{counters}, qr{^/}, 'where the counters are';
my ($one, $two, $idle) = map { my $n = $_; grep { ($_->{path} // '') eq $n } @{ $dump->{endpoints} } } '/one', '/two', '';
is $one->{name}, 'shared', 'a place that uses an endpoint has its name';
is_deeply $one->{urls}, [$srv->url('/one') =~ s/127.0.0.1/localhost/r, 'https://secure.example.org/one'], 'where it is reached, in virtual hosts too';
is $one->{scheme}, 'hmac', 'its scheme';
is_deeply $one->{options}, ['header=X-Sig', 'prefix=v1='], 'the scheme\'s options';
is_deeply [map { "$_->{id} $_->{spec}" } @{ $one->{secrets} }], ["a file:$dir/closed.key", 'b inline', "c exec:$dir/script"],
    'where secrets are, though one is unreadable here';
is_deeply [map { $_->{handler} . ' ' . ($_->{expr} // '-') . ($_->{default} ? ' default' : '') } @{ $one->{rules} }],
    [q{api req('X-Kind') == 'a'}, 'api - default'], 'its rules';
is_deeply [map { $_->{expr} } @{ $one->{drops} }], [q{req('X-Kind') == 'b'}], 'what it drops';
is $one->{body_limit}, 4096, 'its own limit';
is $two->{body_limit}, 1048576, 'the default limit elsewhere';
is_deeply $two->{urls}, ['https://secure.example.org/two'], 'a virtual host on port 443 is https';
is $two->{duplicates}, 'off', 'duplicates';
ok !exists $two->{window}, 'no window where nothing is remembered';
my ($api) = @{ $dump->{handlers} };
is_deeply [@$api{qw(name type timeout concurrency)}], ['api', 'upstream', '7s', 4], 'the handler';
is_deeply $api->{retry}, { first => '2s', factor => 300, cap => '6h', within => '1h' }, 'its retries';
is_deeply [map { $_->{name} } grep { !$_->{path} } @{ $dump->{endpoints} }], ['idle'], 'an endpoint that no place uses is listed';
$srv->write_conf("<Location /h>\nWebhookVerify meta verify-token=$CANARY\nWebhookSecret file:good.key\nWebhookGate On\n</Location>");
is $srv->dump_json->{endpoints}[0]{options}[0], 'verify-token=***', 'an option that is a secret is shown by name';
SKIP: {
    skip 'no mod_info', 2 if !defined have_module('info');
    my $info = WebhookTest::Server->new(name => 'info', modules => ['info'], conf => section('WebhookGate On') =~ s/file:good.key/$CANARY/r);
    ($rc, $out) = $info->config_test('-D', 'DUMP_CONFIG');
    like $out, qr/WebhookSecret \(not shown\)/, 'mod_info shows that there is a secret';
    unlike $out, qr/\Q$CANARY\E/, 'but not an inline one';
}

# ---- .htaccess ----

my %words = (WebhookVerify => 'none', WebhookSecret => 'file:x', WebhookDeliver => 'file:x', WebhookDrop => "'a' == 'b'", WebhookRoute => 'all', WebhookGate => 'Off',
    WebhookUse => 'x', WebhookName => 'x', WebhookMethods => 'POST', WebhookContentTypes => '*', WebhookBodyLimit => '1G', WebhookBodyTimeout => '1h',
    WebhookAnswer => '200', WebhookDuplicates => 'off', WebhookStore => 'none', WebhookBodyMemory => '1M', WebhookLog => 'x',
    WebhookDrainTimeout => '1h', WebhookSend => 'file x', WebhookRetry => 'first=1s',
    WebhookPayload => 'body', WebhookDecode => 'off', WebhookValidate => 'off',
    WebhookEnforce => 'On', WebhookRequireTLS => 'On', WebhookFetch => 'timeout=1s',
    WebhookSendHeader => 'x y', WebhookSendBody => 'text/plain y');
is_deeply [sort keys %words], [sort(slurp(stage() . '/mod_webhook/httpd/config.h') =~ /#define WH_D_\w+ "(Webhook\w+)"/g)],
    'every directive is tried in .htaccess' if -e stage() . '/mod_webhook/httpd/config.h';
my $ht = WebhookTest::Server->new(name => 'htaccess', conf => join "\n", '<Directory "@DIR@/htdocs">', 'AllowOverride All',
    'AllowOverrideList ' . join(' ', grep { !/^Webhook(?:Store|BodyMemory|Log|DrainTimeout|Fetch)$/ } sort keys %words), '</Directory>');
announce(qr{/\.htaccess: }, qr/WH0\d+: refused .*no-endpoint/);
$ht->start;
for my $name (sort keys %words) {
    mkdir $ht->path('htdocs', $name);
    spew($ht->path('htdocs', $name, '.htaccess'), "$name $words{$name}\n", 0644);
    spew($ht->path('htdocs', $name, 'x.txt'), "open\n", 0644);
    is $ht->get("/$name/x.txt")->status, 500, ".htaccess: $name is refused";
}
mkdir $ht->path('htdocs', 'sethandler');
spew($ht->path('htdocs/sethandler/.htaccess'), "SetHandler webhook\n", 0644);
spew($ht->path('htdocs/sethandler/x.txt'), "open\n", 0644);
is $ht->post('/sethandler/x.txt', '{}')->status, 404, '.htaccess: SetHandler webhook without an endpoint is 404';
is scalar(grep { /not allowed here|cannot occur within htaccess|allowed in <WebhookHandler> only/ } $ht->error_log_lines(qr/\.htaccess: /)), scalar(keys %words),
    'and each time for being there';
done_testing;
