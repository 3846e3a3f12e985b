# SPDX-License-Identifier: Apache-2.0
#
# webhookctl validate: one line a file, in their order, for every kind of document; the exit code; a schema that does not compile; references
# to directories; drafts; formats; plain and strict reading.
use lib 't/lib';
use WebhookTest;

my $dir = tmp_dir('validate');
mkdir "$dir/refs" or die "$dir/refs: $!\n";
sub file { my ($name, $text) = @_; return spew("$dir/$name", $text) }

# The tool runs in the directory, so that names in its output are short. (rc, out, err)
sub validate {
    my (@args) = @_;
    return run_command('sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', $dir, build_file('webhookctl'), @args);
}

sub says {
    my ($what, $args, $rc, $out) = @_;
    my ($got_rc, $got, $err) = validate('validate', @$args);
    is $got, $out, "$what: what is said";
    is $got_rc, $rc, "$what: exit $rc" or diag $err;
    return $err;
}

file('schema.json', '{"type":"object","properties":{"a":{"type":"integer"},"b":{"items":{"minLength":2}}},"required":["a"],"additionalProperties":false}');
file('good.json', '{"a":1.0,"b":["xx"]}');
file('type.json', '{"a":"x"}');
file('deep.json', '{"a":1,"b":["xx","y"]}');
file('missing.json', '{}');
file('more.json', '{"a":1,"c/d e":2}');
file('broken.json', '{"a":');
file('utf8.json', qq({"a":"\xff"}));
file('twice.json', '{"a":"x","a":1}');
file('nul.json', '{"a":1,"b":["a\u0000"]}');

says('all kinds', ['--schema', 'schema.json', map { "$_.json" } qw(good type deep missing more broken utf8 twice nul)], 1, <<'EOT');
valid good.json
invalid type.json #/a type
invalid deep.json #/b/1 minLength
invalid missing.json # required
invalid more.json #/c~1d%20e additionalProperties
invalid broken.json # json-invalid
invalid utf8.json # json-utf8
valid twice.json
valid nul.json
EOT
says('a valid one', ['--schema', 'schema.json', 'good.json'], 0, "valid good.json\n");
says('as a request is read', ['--strict', '--schema', 'schema.json', 'twice.json', 'nul.json', 'good.json'], 1,
    "invalid twice.json # json-duplicate-name\ninvalid nul.json # json-nul\nvalid good.json\n");
like says('a file that is not there', ['--schema', 'schema.json', 'none.json', 'good.json'], 2, "valid good.json\n"), qr/none\.json/, '... is named';
unlike((validate('validate', '--schema', 'schema.json', 'more.json', 'type.json'))[1], qr/"x"|[: ]2\b/, 'no values');

# ---- schemas that do not compile ----
for (['type', '{"properties":{"a":{"type":"strin"}}}', qr{/bad\.json#/properties/a/type: }], ['pattern', '{"pattern":"("}', qr{/bad\.json#/pattern: }],
    ['reference', '{"$ref":"http://127.0.0.1:9/x.json"}', qr{/bad\.json#/\$ref: refers to "http://127\.0\.0\.1:9/x\.json"}],
    ['JSON', '{', qr{/bad\.json: is no JSON}], ['draft', '{"$schema":"http://json-schema.org/draft-04/schema#"}', qr{#/\$schema: .*draft-07}])
{
    my ($what, $text, $error) = @$_;
    file('bad.json', $text);
    like says("a schema with a bad $what", ['--schema', 'bad.json', 'good.json'], 2, ''), $error, '... file, place and cause';
}

# ---- references, drafts, options ----
file('refs/types.json', '{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"pair":{"items":[{"type":"null"}],"additionalItems":false}}}');
file('ref.json', '{"$ref":"https://example.org/s/types.json#/definitions/pair"}');
file('pair.json', '[null]');
file('triple.json', '[null,1]');
says('a mapped reference', ['--schema', 'ref.json', '--ref', 'https://example.org/s/=refs', 'pair.json', 'triple.json'], 1,
    "valid pair.json\ninvalid triple.json #/1 additionalItems\n");
says('a reference that is not mapped', ['--schema', 'ref.json', 'pair.json'], 2, '');
says('a directory that is not there', ['--schema', 'ref.json', '--ref', 'https://example.org/s/=none', 'pair.json'], 2, '');
file('items.json', '{"items":[{"type":"null"}]}');
file('one.json', '[1]');
says('draft 07', ['--schema', 'items.json', '--draft', '7', 'one.json'], 1, "invalid one.json #/0 type\n");
says('draft 2020-12 has no such items', ['--schema', 'items.json', 'one.json'], 2, '');
says('no draft', ['--schema', 'items.json', '--draft', '4', 'one.json'], 2, '');
file('format.json', '{"items":{"format":"ipv4"}}');
file('addresses.json', '["127.0.0.1","127.0.0.256"]');
says('formats', ['--schema', 'format.json', 'addresses.json'], 0, "valid addresses.json\n");
says('formats that decide', ['--schema', 'format.json', '--format-assert', 'addresses.json'], 1, "invalid addresses.json #/1 format\n");
file('content.json', '{"$schema":"http://json-schema.org/draft-07/schema#","items":{"contentEncoding":"base64"}}');
says('content that decides', ['--schema', 'content.json', '--content-assert', 'addresses.json'], 1, "invalid addresses.json #/0 contentEncoding\n");
says('content that decides with formats', ['--schema', 'content.json', '--format-assert', 'addresses.json'], 1, "invalid addresses.json #/0 contentEncoding\n");
says('content that does not', ['--schema', 'content.json', 'addresses.json'], 0, "valid addresses.json\n");
file('evil.json', '{"items":{"pattern":"^(a+)+$"}}');
file('evil-doc.json', '["' . 'a' x 5000 . '!"]');
like((validate('validate', '--schema', 'evil.json', 'evil-doc.json'))[1], qr{\Ainvalid evil-doc\.json #/0 (?:regex-limit|pattern)\n\z}, 'an evil pattern ends');
says('--option=value', ['--schema=schema.json', '--draft=7', 'good.json'], 0, "valid good.json\n");
like says('a value for an option that takes none', ['--schema=schema.json', '--strict=no', 'good.json'], 2, ''), qr/unknown option --strict=no/, '... is named';
says('no schema', ['good.json'], 2, '');
says('no file', ['--schema', 'schema.json'], 2, '');

my ($rc, $out) = validate('--json', 'validate', '--schema', 'schema.json', 'more.json');
my $json = JSON::PP::decode_json($out);
is_deeply [$rc, $json->{file}, !!$json->{valid}, $json->{errors}[0]{instance}, $json->{errors}[0]{schema} =~ m{/schema\.json#/additionalProperties\z} ? 1 : 0],
    [1, 'more.json', !!0, '#/c~1d%20e', 1], '--json: errors with places in document and schema';
done_testing;
