# SPDX-License-Identifier: Apache-2.0
#
# Formats: the same delivery as raw bytes, envelope, structured and binary CloudEvent, to upstreams, programs, persistent programs and files.
use lib 't/lib';
use WebhookTest;
use MIME::Base64 ();

# ---- what cannot be ----
{
    my $srv = WebhookTest::Server->new(name => 'mistakes', store => 0);
    for ([qq(upstream "http://127.0.0.1/" format=xml), 'cannot be "xml" (allowed: raw, envelope, cloudevents, cloudevents-binary)'],
        [qq(pipe /bin/true format=json), 'cannot be "json" (allowed: raw, envelope, cloudevents, cloudevents-binary)'],
        [qq(pipe /bin/true format=raw input=raw), 'are the same'],
        [qq(pipe /bin/cat mode=persistent format=raw), 'allowed with mode=persistent: envelope, cloudevents'],
        [qq(pipe /bin/cat mode=persistent format=cloudevents-binary), 'allowed with mode=persistent: envelope, cloudevents'],
        [qq(file "/tmp/x" format=cloudevents-binary), 'cannot be "cloudevents-binary" (allowed: json, raw, envelope, cloudevents)'],
        [qq(upstream "http://127.0.0.1/" format=cloudevents "header=Content-Type: text/plain"), 'is given twice']) {
        my ($send, $text) = @$_;
        $srv->write_conf("<WebhookHandler h>\nWebhookSend $send\n</WebhookHandler>\n");
        my ($rc, $out) = $srv->config_test;
        my $at = $srv->conf_line(2);
        ok $rc && $out =~ /line $at of/ && index($out, $text) >= 0, "refused: $send" or diag $out;
    }
}

my $up = WebhookTest::Upstream->new(sub { [200] });
my $secret = 'formats-secret';
my $conf = '';
my @formats = qw(raw envelope cloudevents cloudevents-binary);
my @handlers;
for my $format (@formats) {
    push @handlers, [ "up-$format", 'upstream "' . $up->url("/$format") . qq(" format=$format) ], [ "pipe-$format", qq(pipe "\@DIR\@/program $format" format=$format cwd=\@DIR\@/out) ];
}
push @handlers, map { [ "file-$_", qq(file "\@DIR\@/out/$_.jsonl" format=$_) ] } qw(json envelope cloudevents);
push @handlers, map { [ "talker-$_", qq(pipe "\@DIR\@/talker \@DIR\@/out/talker-$_" mode=persistent format=$_) ] } qw(envelope cloudevents);
push @handlers, [ 'up-named', 'upstream "' . $up->url('/named') . '" format=cloudevents forward=X-Custom' ],
    [ 'up-none', 'upstream "' . $up->url('/none') . '" format=cloudevents-binary forward=none "header=ce-type: configured"' ];
$conf .= "<WebhookHandler $_->[0]>\n    WebhookSend $_->[1]\n</WebhookHandler>\n" for @handlers;
$conf .= qq(<WebhookEndpoint "all.of-them">\n    WebhookVerify github\n    WebhookSecret id=k1 file:\@DIR\@/secret\n    WebhookContentTypes *\n)
    . join('', map { "    WebhookDeliver $_->[0]\n" } @handlers) . qq(</WebhookEndpoint>\n<Location "/all">\n    SetHandler webhook\n    WebhookUse all.of-them\n</Location>\n);
my $srv = WebhookTest::Server->new(name => 'formats');
mkdir $srv->path('out');
spew($srv->path('secret'), $secret, 0600);
spew($srv->path('program'), <<'EOF', 0755);
#!/bin/sh
cat >"$WEBHOOK_ID.$1"
env | grep ^CE_ >"$WEBHOOK_ID.$1.env"
exit 0
EOF
spew($srv->path('talker'), <<'EOF', 0755);
#!/usr/bin/perl
use JSON::PP;
$| = 1;
while (<STDIN>) {
    open my $fh, '>>', $ARGV[0];
    print $fh $_;
    close $fh;
    print 'ok ', decode_json($_)->{id}, "\n";
}
EOF
$srv->write_conf($conf);
$srv->start;

sub deliver {
    my ($body, %opt) = @_;
    my $type = delete $opt{type} // 'application/json';
    my $headers = WebhookTest::github_headers($secret, $body, %opt);
    $headers->[1] = $type;
    my $res = $srv->post('/all', $body, headers => [@$headers, @{ $opt{headers} // [] }]);
    is $res->status, 202, 'accepted' or diag $res->body;
    my $id = $res->json->{id};
    my $row;
    wait_for { $row = $srv->ctl_json('show', $id); $row->{state} =~ /done|dead/ } 60;
    is $row->{state}, 'done', 'and delivered to all';
    return $row;
}
sub request { my ($id, $path) = @_; my ($req) = grep { $_->{path} eq "/$path" && $_->{headers}{'x-delivery-id'} eq $id } $up->requests; return $req }
sub file_line { my ($id, $name) = @_; my ($line) = grep { $_->{id} eq $id } json_lines($srv->path('out', $name)); return $line }

# What every CloudEvent of a delivery says.
sub attributes {
    my ($row, %more) = @_;
    return { specversion => '1.0', id => $row->{id}, source => '/webhook/all.of-them', type => $row->{event}, subject => $row->{sender_id},
        time => $row->{received}, keyid => 'k1', %more };
}

# ---- JSON ----
my $json = qq({\r\n  "n": 1.50, "text": "a \\" b",\n\t"list": [1, 2]\n}\n);
my $row = deliver($json, event => 'push', id => 'guid-1', headers => ['X-Custom' => 'c', 'ce-id' => 'spoofed', 'ce-extension' => 'x']);
my $id = $row->{id};
{
    my $data = json_decode($json);
    my $want = attributes($row, verified => JSON::PP::true, datacontenttype => 'application/json', data => $data);
    is request($id, 'raw')->{body}, $json, 'upstream raw: the received bytes';
    is request($id, 'raw')->{headers}{'x-custom'}, 'c', 'with the sender\'s headers';

    my $req = request($id, 'envelope');
    is json_decode($req->{body})->{body}, $json, 'upstream envelope: the bytes in it';
    is json_decode($req->{body})->{handler}, 'up-envelope', 'and the handler';
    is $req->{headers}{'content-type'}, 'application/json', 'its type';
    is $req->{headers}{'x-custom'}, undef, 'without the headers of another body';

    $req = request($id, 'cloudevents');
    is $req->{headers}{'content-type'}, 'application/cloudevents+json; charset=UTF-8', 'upstream structured: its type';
    is_deeply json_decode($req->{body}), $want, 'attributes and data';
    like $req->{body}, qr/"data":\{"n":1\.50,"text":"a \\" b","list":\[1,2\]\}\}\z/, 'data: numbers as written, on one line';
    is $req->{headers}{'x-hub-signature-256'}, undef, 'no signature over other bytes';
    is request($id, 'named')->{headers}{'x-custom'}, 'c', 'headers that are asked for';

    $req = request($id, 'cloudevents-binary');
    is $req->{body}, $json, 'upstream binary: the received bytes';
    is $req->{headers}{'content-type'}, 'application/json', 'their type';
    is_deeply { map { /^ce-(.*)/ ? ($1 => $req->{headers}{$_}) : () } keys %{ $req->{headers} } }, attributes($row, verified => 'true'), 'attributes as headers, not the sender\'s';
    is $req->{headers}{'x-custom'}, 'c', 'with the sender\'s other headers';
    $req = request($id, 'none');
    is "$req->{headers}{'content-type'} $req->{headers}{'ce-type'}", 'application/json configured', 'forward=none: the type all the same; a configured attribute stays';

    is slurp($srv->path('out', "$id.raw")), $json, 'program raw';
    is slurp($srv->path('out', "$id.raw.env")), '', 'no CE_ variables';
    is json_decode(slurp($srv->path('out', "$id.envelope")))->{body}, $json, 'program envelope';
    is_deeply json_decode(slurp($srv->path('out', "$id.cloudevents"))), $want, 'program structured';
    is slurp($srv->path('out', "$id.cloudevents")) =~ tr/\n//, 1, 'one line';
    is slurp($srv->path('out', "$id.cloudevents-binary")), $json, 'program binary';
    is_deeply { map { /^CE_(\w+)=(.*)/ ? (lc $1 => $2) : () } lines($srv->path('out', "$id.cloudevents-binary.env")) }, attributes($row, verified => 'true'), 'attributes as variables';

    is file_line($id, "$_.jsonl")->{body}, $json, "file $_" for qw(json envelope);
    is_deeply file_line($id, 'cloudevents.jsonl'), $want, 'file cloudevents';
    is file_line($id, 'talker-envelope')->{body}, $json, 'persistent envelope';
    is_deeply file_line($id, 'talker-cloudevents'), $want, 'persistent cloudevents';
}

# ---- what is not JSON ----
my $n = 0;
for (['text/plain', "line one\nline two \xc3\xa9", 'data', "line one\nline two \x{e9}"], ['application/octet-stream', join('', map { chr } 0 .. 255), 'data_base64'],
    ['application/xml', '<a/>', 'data', '<a/>'], ['application/octet-stream', '', undef]) {
    my ($type, $body, $member, $value) = @$_;
    my $row = deliver($body, type => $type, event => "x \"y\" %\xe2\x82\xac", id => "id-" . ++$n);
    my $ce = json_decode(request($row->{id}, 'cloudevents')->{body});
    is join(' ', grep { /^data(?!content)/ } sort keys %$ce), $member // '', "$type: where the data is";
    is $ce->{data}, $value, 'text as text' if $value;
    is MIME::Base64::decode_base64($ce->{data_base64}), $body, 'bytes as bytes' if ($member // '') eq 'data_base64';
    is $ce->{type}, "x \"y\" %\x{20ac}", 'an event of any characters';
    my $req = request($row->{id}, 'cloudevents-binary');
    is $req->{headers}{'ce-type'}, 'x%20%22y%22%20%25%E2%82%AC', 'percent-encoded in a header';
    is $req->{body}, $body, 'the bytes';
    is slurp($srv->path('out', "$row->{id}.cloudevents-binary")), $body, 'to a program too';
    is_deeply file_line($row->{id}, 'cloudevents.jsonl'), $ce, 'the same in a file';
}
done_testing;
