# SPDX-License-Identifier: Apache-2.0
#
# What expressions can ask of a payload, in our directives and in other modules': the functions and operators, and each of their traps.
use lib 't/lib';
use WebhookTest;

my $secret = 'expression-secret';

# Expressions that hold, and ones that do not, for the payload below.
my @true = (
    # scalars as text, exactly as sent
    q{webhook_json('/s') == 'text'}, q{webhook_json('/t') == 'true'}, q{webhook_json('/f') == 'false'}, q{webhook_json('/i') == '42'},
    q{webhook_json('/d') == '149.90'}, q{webhook_json('/exp') == '1e3'}, q{webhook_json('/big') == '9007199254740993'},
    q{webhook_json('/huge') == '123456789012345678901234567890'}, q{webhook_json('/uni') == 'grüße'}, q{webhook_json('/o/a') == '1'},
    q{webhook_json('/arr/1') == 'y'}, q{webhook_json('/a~1b') == 'slash'}, q{webhook_json('/m~0n') == 'tilde'}, q{webhook_json('/*') == 'star'},
    q{WEBHOOK_JSON('/s') == 'text'}, q{%{webhook_json:/s} == 'text'}, q{webhook_json('/' . 's') == 'text'}, q{webhook_json('/esc') == 'a"b'},
    # missing, null and "" are one and the same: "" ...
    q{webhook_json('/missing') == ''}, q{webhook_json('/null') == ''}, q{webhook_json('/empty') == ''}, q{webhook_json('/missing') != 'x'},
    q{webhook_json('/o') == ''}, q{webhook_json('/arr') == ''}, q{webhook_json('/s/deeper') == ''}, q{webhook_json('/arr/9') == ''}, q{webhook_json('') == ''},
    # ... and existence tells them apart
    q{-J '/s'}, q{-J '/null'}, q{-J '/empty'}, q{-J '/o'}, q{-J '/arr/0'}, q{-J ''}, q{! -J '/missing'}, q{-J '/nu' . 'll'},
    # lists
    q{'README.md' in webhook_list('/commits/*/modified/*')}, q{'c' -in webhook_list('/commits/*/added/*')}, q{'x' in webhook_list('/arr/*')},
    q{'42' in webhook_list('/i')}, q{'text' in webhook_list('/*')}, q{'1' in webhook_list('/o/*')}, q{'y' in webhook_list('/arr/1')},
    q{webhook_json('/s') in {'other','text'}}, q{'star' in webhook_list('/*')}, q{'x' in webhook_list('/a' . 'rr/*')},
    # decimals
    q{webhook_json('/dec') -ngt '149'}, q{webhook_json('/dec') -neq '149.9'}, q{webhook_json('/dec') -nge '149.900'}, q{webhook_json('/dec') -nlt '150'},
    q{webhook_json('/neg') -nlt '0'}, q{webhook_json('/neg') -nle '-0.5'}, q{webhook_json('/exp') -neq '1000'}, q{webhook_json('/i') -nne '43'},
    q{webhook_json('/big') -ngt '9007199254740992'}, q{webhook_json('/huge') -ngt '123456789012345678901234567889'}, q{'-0' -neq '0'},
    q{webhook_json('/d') -neq webhook_json('/dec')}, q{webhook_json('/tiny') -ngt '0'}, q{'10' -ngt webhook_json('/i/x') || 'x' == 'x'},
    # core's own comparison is of whole numbers: why ours exist
    q{! webhook_json('/dec') -gt '149'},
    # regular expressions
    q{webhook_json('/s') -match '^te[x]t$'}, q{webhook_json('/s') -match '(?i)TEXT'}, q{webhook_json('/uni') -match '^gr.+e$'}, q{! webhook_json('/s') -match '^ext'},
    q{webhook_json('/missing') -match '^$'}, q{webhook_json('/lines') -match '^a$' || webhook_json('/lines') -match '(?m)^b$'}, q{req('X-Latin') -match '^caf.$'},
    q{webhook_json('/v') -match '^v[0-9]+[.][0-9]+$'}, q{webhook_json('/s') =~ m#^te(.)t$# && $1 == 'x'},
    # variables
    q{%{WEBHOOK_EVENT} == 'push'}, q{%{WEBHOOK_VERIFIED} == '1'}, q{%{webhook_endpoint} == 'main'},
    # nothing of the kind
    q{webhook_form('a') == ''}, q{webhook_ce('type') == ''},
);
my @false = (
    q{webhook_json('/s') == 'tex'}, q{webhook_json('/missing') == 'x'}, q{webhook_json('/big') == '9007199254740992'}, q{webhook_json('/d') == '149.9'},
    q{webhook_json('/S') == 'text'}, q{-J '/missing'}, q{-J '/arr/9'}, q{-J '/arr/-'}, q{-J '/s/0'},
    # what has no text is not in a list
    q{'' in webhook_list('/arr/*')}, q{'' in webhook_list('/missing/*')}, q{'' in webhook_list('/null')}, q{'z' in webhook_list('/arr/*')},
    q{'README' in webhook_list('/commits/*/modified/*')}, q{'x' in webhook_list('/*')}, q{'text' in webhook_list('/o/*')},
    # what is no number is neither more nor less nor equal nor different
    (map {; "webhook_json('/missing') $_ '1'", "webhook_json('/s') $_ '1'", "webhook_json('/t') $_ '1'", "webhook_json('/empty') $_ '0'", "'1' $_ webhook_json('/s')" }
            qw(-ngt -nge -nlt -nle -neq -nne)),
    q{'0x10' -neq '16'}, q{' 1' -neq '1'}, q{'01' -neq '1'}, q{'1.' -neq '1'}, q{'+1' -neq '1'}, q{'1,5' -ngt '1'}, q{'NaN' -nne '1'},
    q{webhook_json('/dec') -ngt '149.9'}, q{webhook_json('/dec') -nlt '149.90'}, q{webhook_json('/big') -neq '9007199254740992'},
    q{webhook_json('/d') -nne webhook_json('/dec')}, q{webhook_json('/dec') -gt '149'},
    # the end is the end, also before a newline
    q{webhook_json('/line') -match '^a$'}, q{webhook_json('/s') -match '^$'},
);
my $checks = '';
$checks .= qq{    Header set X-True-$_ yes "expr=} . ($true[$_] =~ s/"/\\"/gr) . qq{"\n} for 0 .. $#true;
$checks .= qq{    Header set X-False-$_ yes "expr=} . ($false[$_] =~ s/"/\\"/gr) . qq{"\n} for 0 .. $#false;

my $conf = <<'EOF';
WebhookLog "@DIR@/deliveries.jsonl"
LimitRequestFieldSize 65536
LogFormat "%{WEBHOOK_EVENT}n|%{/s}^wj|%{/ctrl}^wj|%{/missing}^wj|%{no-pointer}^wj|%{From}^wf|%{type}^wc" asked
CustomLog "@DIR@/asked.log" asked
LogFormat "%U" place
CustomLog "@DIR@/chosen.log" place "expr=webhook_json('/s') == 'text'"
<Directory "@DIR@/htdocs">
    Options Includes
    AddOutputFilter INCLUDES .shtml
</Directory>
<WebhookEndpoint main>
    WebhookVerify github
    WebhookSecret file:@DIR@/secret
    WebhookDuplicates off
</WebhookEndpoint>
<Location "/checks">
    SetHandler webhook
    WebhookUse main
CHECKS
    Header set X-Ref "expr=<%{webhook_json:/s}|%{webhook_json:/missing}|%{webhook_json:/big}>"
</Location>
<Location "/evil">
    SetHandler webhook
    WebhookUse main
    WebhookDeliver file:@DIR@/out/evil "! webhook_json('/s') -match '^(a+)+$'"
</Location>
<Location "/many">
    SetHandler webhook
    WebhookUse main
    WebhookDeliver file:@DIR@/out/many "'nowhere' in webhook_list('/list/*')"
</Location>
<Location "/forms">
    SetHandler webhook
    WebhookUse main
    WebhookContentTypes application/x-www-form-urlencoded application/json
    Header set X-From "expr=<%{webhook_form:From}>"
    Header set X-Blank "expr=<%{webhook_form:a b}>"
    Header set X-Nul "expr=<%{webhook_form:nul}>"
</Location>
<Location "/events">
    SetHandler webhook
    WebhookUse main
    WebhookContentTypes application/json application/cloudevents+json
    Header set X-Type "expr=<%{webhook_ce:type}>"
    Header set X-More "expr=<%{webhook_ce:myextension}>"
</Location>

# before the handler nothing is known, and nothing reads the body
<Location "/early">
    SetHandler webhook
    WebhookUse main
    WebhookDeliver file:@DIR@/out/early "webhook_json('/s') == 'text'"
    SetEnvIfExpr "webhook_json('/s') == 'text' || -J '/s'" EARLY=yes
    <If "webhook_json('/s') == 'text' || -J '/s' || 'x' in webhook_list('/arr/*')">
        Header set X-If yes
    </If>
    <If "webhook_json('/s') == ''">
        Header set X-If-Empty yes
    </If>
    Header set X-Env yes env=EARLY
    Header set X-Late "expr=%{webhook_json:/s}"
</Location>
<Location "/require">
    SetHandler webhook
    WebhookUse main
    Require expr "webhook_json('/s') == 'text'"
</Location>

# what a payload brings into headers by other modules' doing
<Location "/headers">
    SetHandler webhook
    WebhookUse main
    RequestHeader set X-Ctrl "expr=<%{webhook_json:/ctrl}>"
    Header        set X-Ctrl "expr=<%{webhook_json:/ctrl}>"
    Header always set X-Encoded "expr=%{webhook_urlenc:%{webhook_json:/ctrl}}"
</Location>
<Location "/proxied">
    WebhookUse main
    WebhookGate On
    RequestHeader set X-Ctrl "expr=<%{webhook_json:/ctrl}>"
    Header        set X-Ctrl "expr=<%{webhook_json:/ctrl}>"
    Header always set X-Always "expr=<%{webhook_json:/ctrl}>"
    ProxyPass "@UP@"
</Location>

# a gate: the application's answer, its subrequests, its error documents
<Location "/app">
    WebhookUse main
    WebhookGate On
    ErrorDocument 404 /errors/404.html
</Location>
<Location "/errors">
    Header always set X-Error "expr=%{webhook_json:/s}"
</Location>
<Location "/refused">
    SetHandler webhook
    WebhookUse main
    ErrorDocument 401 /errors/401.html
</Location>
EOF
$conf =~ s/CHECKS\n/$checks/;
my $up = WebhookTest::Upstream->new(sub { return $_[0]{path} =~ /missing/ ? [404] : [200] });
$conf =~ s/\@UP\@/$up->url/e;
my $srv = WebhookTest::Server->new(name => 'expr', modules => ['include', 'rewrite', 'proxy', 'proxy_http'], conf => $conf);
spew($srv->path('secret'), $secret, 0600);
mkdir $srv->path("htdocs/$_") for qw(app errors);
spew($srv->path("htdocs/errors/$_.html"), "error $_\n") for 401, 404;
spew($srv->path('htdocs/app/page.shtml'), qq{<!--#if expr="webhook_json('/s') == 'text'" -->page<!--#endif --> <!--#include virtual="/app/part.shtml" -->\n});
spew($srv->path('htdocs/app/part.shtml'), qq{<!--#if expr="webhook_json('/s') == 'text' && -J '/null'" -->part<!--#endif -->\n});
$srv->start;

my $payload = <<'EOF';
{"s":"text","empty":"","null":null,"t":true,"f":false,"i":42,"big":9007199254740993,"huge":123456789012345678901234567890,
 "dec":"149.90","d":149.90,"neg":-0.5,"exp":1e3,"tiny":1e-400,"o":{"a":1},"arr":["x","y",{"a":"z"},null,"",["n"]],
 "commits":[{"modified":["README.md","a"],"added":[]},{"modified":[],"added":["b","c"]}],"a/b":"slash","m~n":"tilde","*":"star","esc":"a\"b",
 "uni":"gr\u00fc\u00dfe","ctrl":"a\r\nb\u001b","lines":"a\nb","line":"a\n","v":"v1.20"}
EOF

# ---- every expression of the two lists ----
{
    my $res = $srv->github('/checks', $secret, $payload, headers => ['X-Latin' => "caf\xe9"]);
    is $res->status, 202, 'accepted';
    is $res->header("X-True-$_") // 'no', 'yes', $true[$_] for 0 .. $#true;
    is $res->header("X-False-$_") // 'no', 'no', "not: $false[$_]" for 0 .. $#false;
    is $res->header('X-Ref'), '<text||9007199254740993>', 'Header with a text of an expression';
}

# ---- regular expressions are bounded, and what is not known is not decided ----
announce(qr/Evaluation of expression from .* failed: -match/, qr/WH0301: .*rule failed: WebhookDeliver .* take too many steps/,
    qr/Evaluation of expression from .* failed: webhook_list/, qr/WH0301: .*rule failed: WebhookDeliver .* more than 65536 values/);
{
    my $res = $srv->github('/evil', $secret, json_encode({ s => 'a' x 5000 . 'b' }));
    is $res->status, 503, 'a regular expression that does not come to an end refuses the request';
    is $res->json->{reason}, 'expression-failed', 'for that reason, also behind a !';
    is $srv->github('/evil', $secret, json_encode({ s => 'a' x 20 }))->status, 202, 'another one is decided';
    ok !-e $srv->path('out/evil'), 'it matched, so its opposite delivers nothing';
    is $srv->github('/many', $secret, json_encode({ list => [(1) x 65536] }))->status, 202, 'a list of 65536 values';
    is $srv->github('/many', $secret, json_encode({ list => [(1) x 65537] }))->json->{reason}, 'expression-failed', 'a longer one is refused';
}
is $srv->github('/evil', $secret, '{"s":"main\u0000x"}')->status, 400, 'a NUL never reaches an expression';
is $srv->github('/evil', $secret, '{"s":')->status, 400, 'a rule that asks for JSON where there is none refuses';
is $srv->github('/checks', $secret, '{"s":')->status, 202, 'nobody asked: accepted as it is';

# ---- forms and events ----
{
    my $res = $srv->github('/forms', $secret, 'From=%2B15551234&a+b=c%26d&nul=main%00x', type => 'application/x-www-form-urlencoded');
    is $res->status, 202, 'a form';
    is $res->header('X-From'), '<+15551234>', 'its field, decoded';
    is $res->header('X-Blank'), '<c&d>', 'a name with a blank';
    is $res->header('X-Nul'), '<>', 'a field with a NUL is empty';
    is $srv->github('/forms', $secret, $payload)->header('X-From'), '<>', 'JSON has no fields';

    $res = $srv->github('/events', $secret, json_encode({ specversion => '1.0', id => '1', source => '/s', type => 'com.example.done', myextension => 'm' }),
        type => 'application/cloudevents+json');
    is $res->status, 202, 'an event';
    is $res->header('X-Type'), '<com.example.done>', 'its type';
    is $res->header('X-More'), '<m>', 'its extension';
    $res = $srv->github('/events', $secret, '{"a":1}',
        headers => ['Ce-Specversion' => '1.0', 'Ce-Id' => '1', 'Ce-Source' => '/s', 'Ce-Type' => 'binary.done', 'Ce-Myextension' => 'a%20b']);
    is $res->header('X-Type'), '<binary.done>', 'an event in binary mode';
    is $res->header('X-More'), '<a b>', 'its extension, decoded';
}

# ---- phases ----
{
    my $res = $srv->github('/early', $secret, $payload);
    is $res->status, 202, 'expressions of earlier phases leave the body alone';
    is $res->header('X-If'), undef, '<If> sees no payload';
    is $res->header('X-If-Empty'), 'yes', 'its functions are empty';
    is $res->header('X-Env'), undef, 'neither does SetEnvIfExpr';
    is $res->header('X-Late'), 'text', 'the answer does';
    wait_for { -s $srv->path('out/early') } 30, 'and rules do';
    is $srv->github('/require', $secret, $payload)->status, 403, 'Require expr sees none, so it lets nobody in';
}
announce(qr/AH01630: client denied/);
{
    my $res = $srv->github('/app/page.shtml', $secret, $payload);
    is $res->status, 200, 'a gated page';
    like $res->body, qr/^page part\n/, 'the request and its subrequest see the payload';
    $res = $srv->github('/app/missing.html', $secret, $payload);
    is $res->status, 404, 'an error of the application';
    is $res->body, "error 404\n", 'its error document';
    is $res->header('X-Error'), 'text', 'sees the payload of the request it comes from';
    $res = $srv->github('/refused', 'wrong', $payload);
    is $res->status, 401, 'an unsigned request';
    is $res->body, "error 401\n", 'its error document';
    is $res->header('X-Error') // '', '', 'sees nothing: what is not verified is not read';
}

# ---- headers of other modules' making: a value is never a line, and never an error ----
for my $ctrl ('a\r\nX-Webhook-Verified: forged', 'a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x', 'a\u0001\u001b\u007f', 'a\tb') {
    (my $clean = json_decode(qq(["$ctrl"]))->[0]) =~ s/[^\t -~]/ /g;
    my $res = $srv->github('/headers', $secret, qq({"ctrl":"$ctrl"}));
    is $res->status, 202, "a header of $ctrl: the receipt is one";
    is $res->header('X-Ctrl'), "<$clean>", '... and says it with blanks';
    unlike $res->header('X-Encoded'), qr/[^-.%\w]/, '... or encoded';
    like $res->header('X-Encoded'), $ctrl =~ /tb/ ? qr/%09/ : qr/%(?:0D%0A|01)/, '... with what there was';
    is_deeply [map { $_->[1] } grep { $_->[0] =~ /^X-Ctrl/i } @{ ($srv->ctl_json('show', $res->json->{id}))[0]{headers} }], ["<$clean>"], 'kept so too';
    is scalar(grep { $_->[1] =~ /forged|smuggled/ && $_->[0] !~ /^X-Ctrl/i } @{ ($srv->ctl_json('show', $res->json->{id}))[0]{headers} }), 0, '... as one';
    for my $path ('/proxied/x', '/proxied/missing') {
        $res = $srv->github($path, $secret, qq({"ctrl":"$ctrl"}));
        is $res->status, $path =~ /missing/ ? 404 : 200, "... $path: the application's answer";
        is $res->header('X-Always'), "<$clean>", '... with that header';
        my $got = ($up->requests)[-1];
        is $got->{headers}{'x-ctrl'}, "<$clean>", '... it got one header';
        is $got->{headers}{'x-webhook-verified'}, '1', '... and ours';
    }
    is scalar(grep { $_->{path} =~ /smuggled/ } $up->requests), 0, '... and no other request';
}

# ---- logs ----
{
    $srv->stop;
    my @asked = lines($srv->path('asked.log'));
    is $asked[0], 'push|text|a\r\nb\x1b|-|-|-|-', 'LogFormat: values escaped, - for nothing';
    is scalar(grep { /\|\+15551234\|-$/ } @asked), 1, 'a field';
    is scalar(grep { /\|-\|binary\.done$/ } @asked), 1, 'an attribute';
    is_deeply [grep { $_ eq '/refused' || $_ eq '/errors/401.html' } lines($srv->path('chosen.log'))], [], 'CustomLog expr=: not what was refused';
    is scalar(grep { $_ eq '/checks' } lines($srv->path('chosen.log'))), 1, 'but what has that value';
}

# ---- mistakes are found at configuration, with file and line ----
my $bad = WebhookTest::Server->new(name => 'bad', store => 0);
for (
    [q{webhook_json('ref') == 'x'}, "webhook_json('ref'): a JSON pointer must begin with '/'"],
    [q{webhook_json('/a~2') == 'x'}, '~ must be followed by 0 or 1'],
    [q{webhook_json('/' . webhook_jsn('/x')) == 'x'}, "'webhook_jsn' does not exist"],
    [q{-J 'ref'}, "-J 'ref': a JSON pointer must begin with '/'"],
    [q{'x' in webhook_list('a')}, "webhook_list('a'): a JSON pointer must begin with '/'"],
    [q{'x' in webhook_list('/*/*/*/*/*')}, 'webhook_list('],
    [q{'x' in webhook_json('/a')}, 'webhook_json() gives one text, no list'],
    [q{webhook_list('/a') == 'x'}, 'webhook_list() gives a list: it can only stand right of -in'],
    [q{'x' in webhook_form('a')}, 'webhook_form() gives one text, no list'],
    [q{webhook_form('') == 'x'}, 'the name of a field is empty'],
    [q{webhook_ce('Type') == 'x'}, 'lower-case letters and digits'],
    [q{webhook_json('/a') -ngt 'many'}, q{-ngt 'many': the right side is no decimal number}],
    [q{webhook_json('/a') -nle ''}, 'the right side is no decimal number'],
    [q{webhook_json('/a') -match '('}, q{-match '(': }],
    [q{webhook_json('/a') -match webhook_json('/b')}, 'the right side of -match must be a constant'],
    [q{webhook_json('/a') -nxx '1'}, "-nxx' does not exist"],
) {
    my ($expr, $text) = @$_;
    for my $directive (qq{WebhookDeliver file:x "$expr"}, qq{WebhookDrop "$expr"}, qq{Header set X-A b "expr=$expr"}) {
        $bad->write_conf("<Location /h>\nWebhookVerify none\n$directive\n</Location>");
        my ($rc, $out) = $bad->config_test;
        my $line = $bad->conf_line(3);
        ok $rc != 0 && $out =~ /line $line of / && index($out, $text) >= 0, "refused: $directive" or diag $out;
    }
}
done_testing;
