# SPDX-License-Identifier: Apache-2.0
# In the room that believes or disbelieves senders every comparison that stops at
# the first difference is with a word written beside it, or is here with the
# reason why what it compares is no secret. Signatures, tokens and keys go
# through wh_equal().
use strict;
use warnings;
use Guard;

# file => arguments => what they are
my %public = (
    'builders.c' => {
        '*(const char *const *)a, *(const char *const *)b' => 'names of parameters, sorted',
        'name, loc.name' => 'names of headers',
        'uri, base, blen' => 'the configured path',
    },
    'engine.c' => {
        'c->keyid_text, key->id' => 'key ids choose, they prove nothing',
        'cand->keyid, key->id' => 'key ids',
        'cand->keyid, keys[i]->id' => 'key ids',
        'a->label, label' => 'names of algorithms',
        'have.data, want, have.len' => 'demand= of a request that is verified already',
        'token.data, v->prefix, plen' => 'the word before a token',
    },
    'handshake.c' => { 'rule->method, c->req->method' => 'methods' },
    'httpsig.c' => {
        'in->components[i].text, comp->text' => 'names of components',
        'list[i].label, in->label' => 'labels',
        'list[i].label, label' => 'labels',
        'out + len - strlen(port), port' => 'the default port',
        'comp->name, name' => 'names of components',
        'a->label, in->alg' => 'names of algorithms',
        'v->label, in->label' => 'labels',
        'v->tag, in->tag' => 'tags',
        'in->keyid, keys[k]->id' => 'key ids',
    },
    'jwt.c' => {
        'value, encodings[i].word, wlen' => 'words of the configuration',
        'out->data, v->prefix, plen' => 'the word before a token',
        'a->label, alg.data, alg.len' => 'names of algorithms',
        'a.data, b.data, a.len' => 'claims of a token whose signature is right',
        't->kid, key->id' => 'key ids',
    },
    'key_cache.c' => { 'e->file.url, url' => 'addresses of public keys' },
    'key_files.c' => {
        's, MAGIC, sizeof(MAGIC) - 1' => 'first bytes of a file',
        'kinds[i], value' => 'words of a file',
        'out->url, url' => 'addresses of public keys',
        'name + n - m, suffix' => 'file names',
        'file_name(e->kind, e->url, state, p), ent->d_name' => 'file names',
        'ent->d_name, WH_DURABLE_TEMP, strlen(WH_DURABLE_TEMP)' => 'file names',
        'end, path, lead' => 'paths of addresses',
    },
    'keys.c' => {
        'algs[i].name, name' => 'names of algorithms',
        'digests[i].name, name' => 'names of digests',
        'text, prefix, strlen(prefix)' => 'the word before a key, at configuration',
        's.data, text, s.len' => 'words of a JWK, at configuration',
    },
    'locator.c' => {
        'kinds[i].word, text, wlen' => 'words of the configuration',
        'port, dflt, dlen' => 'the default port', 'at, escapes, 3' => 'escapes of the configuration',
        'c->fields[i].name, loc->name' => 'names of fields',
    },
    'scheme.c' => {
        'repeated[i], name' => 'names of options', 's->name, name' => 'names of options', 'limits[i].name, name' => 'names of options',
        's, name, len - (apr_size_t)optional' => 'names of options',
        'APR_ARRAY_IDX(options, i, webhook_option).name, name' => 'names of options',
        'text, words[i].word' => 'words of the configuration', 'flags[k].word, word' => 'words of the configuration',
        'part->loc.text, loc->text' => 'places', 'have, text' => 'names of headers and methods',
    },
    'sfvalue.c' => {
        'APR_ARRAY_IDX(keys, i, const char *), key' => 'keys of a dictionary', 'wanted, key' => 'keys of a dictionary',
        'as_list, as_dictionary' => 'two spellings of one field',
    },
    'sigheader.c' => {
        'a->label, label, len' => 'names of algorithms',
        'text, prefix, plen' => 'the word before a signature',
        'c->fields[i].name, v->field' => 'names of fields',
        'item, v->field, (apr_size_t)(mark - item)' => 'labels',
        'name, f->loc->name, plen' => 'names of headers', 'f->names[k], name' => 'names of headers',
    },
    'vectors.c' => {
        'roles[i].name, name' => 'names of members',
        'renamed[k].member, name' => 'names of members',
        'own, name' => 'names of options',
        'own, name, strlen(name)' => 'names of options',
        'name, ids[i], strlen(ids[i])' => 'names of members',
        'name + len - strlen(ends[i]), ends[i]' => 'names of members',
    },
    'verify.c' => { 'wh_preset_rows[i].provider.name, name' => 'names of schemes' },
);

my %used;
for my $path (files(qr/\.[ch]$/, 'mod_webhook/verify')) {
    my ($file) = $path =~ m{([^/]+)$};
    my $text = code(slurp($path));
    while ($text =~ /(?<![\w.>])(memcmp|bcmp|memmem|str(?:n?case)?cmp|strncmp|strncasecmp|strcoll|wcscmp|apr_strnat(?:case)?cmp|apr_cstr_\w*cmp\w*|ap_cstr_\w*cmp\w*)\s*(\((?:[^()"]|"(?:\\.|[^"\\])*"|(?2))*\))/g) {
        my ($call, $args, $line) = ($1, $2, 1 + (substr($text, 0, $-[0]) =~ tr/\n//));
        $args =~ s/^\(|\)$//g;
        $args =~ s/\s+/ /g;
        seen('comparisons');
        next if $args =~ /"/ && $args !~ /\b(?:raw|md|mac|sig|token_hash|bytes|secret)\b/;
        if ($public{$file}{$args}) { $used{$file}{$args} = 1; next }
        bad('%s:%d: %s(%s) stops at the first difference: wh_equal(), or a line in %s that says why not', $path, $line, $call, $args, $0);
    }
    seen('constant', scalar(() = $text =~ /\b(?:wh_equal|CRYPTO_memcmp)\s*\(/g));
}
for my $file (sort keys %public) {
    for my $args (sort keys %{ $public{$file} }) { bad('%s has no comparison of (%s) any more', $file, $args) if !$used{$file}{$args} }
}
verdict('comparisons in verify/', comparisons => 100, constant => 8);
done_testing;
