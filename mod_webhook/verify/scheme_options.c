/* SPDX-License-Identifier: Apache-2.0 */
/* scheme_options.c: see scheme_options.h. */
#include "verify/scheme_options.h"

#include <stddef.h>
#include <string.h>

#define O(name, type, member, min, max, words) { name, type, offsetof(wh_scheme_raw, member), min, max, words }
const wh_option_spec wh_scheme_specs[] = {
    O("header", WH_OPT_STRING, header, 0, 0, NULL),
    O("signature", WH_OPT_LIST, signature, 0, 0, NULL),
    O("prefix", WH_OPT_STRING, prefix, 0, 0, NULL),
    O("syntax", WH_OPT_ENUM, syntax, 0, 0, "plain|list|pairs|labelled|method|keyed"),
    O("separator", WH_OPT_STRING, separator, 0, 0, NULL),
    O("field", WH_OPT_STRING, field, 0, 0, NULL),
    O("label", WH_OPT_STRING, label, 0, 0, NULL),
    O("encoding", WH_OPT_ENUM, encoding, 0, 0, "hex|base64|base64url"),
    O("lenient", WH_OPT_LIST, lenient, 0, 0, NULL),
    O("algorithm", WH_OPT_LIST, algorithm, 0, 0, NULL),
    O("algorithm-by", WH_OPT_STRING, algorithm_by, 0, 0, NULL),
    O("template", WH_OPT_STRING, template, 0, 0, NULL),
    O("key-encoding", WH_OPT_ENUM, key_encoding, 0, 0, WH_KEY_ENCODINGS),
    O("key-prefix", WH_OPT_STRING, key_prefix, 0, 0, NULL),
    O("private-prefix", WH_OPT_STRING, private_prefix, 0, 0, NULL),
    O("key-without-prefix", WH_OPT_ENUM, key_bare, 0, 0, "encoded|text"),
    O("keyid", WH_OPT_STRING, keyid, 0, 0, NULL),
    O("keyid-host", WH_OPT_LIST, keyid_host, 0, 0, NULL),
    O("jwks", WH_OPT_STRING, jwks, 0, 0, NULL),
    O("fetch", WH_OPT_ENUM, fetch, 0, 0, "off|on|auto"),
    O("certificate-name", WH_OPT_LIST, certificate_name, 0, 0, NULL),
    O("confirm", WH_OPT_BOOL, confirm, 0, 0, NULL),
    O("confirm-path", WH_OPT_STRING, confirm_path, 0, 0, NULL),
    O("timestamp", WH_OPT_LIST, timestamp, 0, 0, NULL),
    O("timestamp-unit", WH_OPT_ENUM, unit, 0, 0, "s|ms|rfc3339|auto"),
    O("tolerance", WH_OPT_STRING, tolerance, 0, 0, NULL),
    O("future", WH_OPT_STRING, future, 0, 0, NULL),
    O("id", WH_OPT_LIST, id, 0, 0, NULL),
    O("event", WH_OPT_LIST, event, 0, 0, NULL),
    O("digest", WH_OPT_STRING, digest, 0, 0, NULL),
    O("digest-algorithm", WH_OPT_ENUM, digest_algorithm, 0, 0, "sha1|sha256|sha384|sha512"),
    O("digest-encoding", WH_OPT_ENUM, digest_encoding, 0, 0, "hex|base64|base64url"),
    O("unpack", WH_OPT_STRING, unpack, 0, 0, NULL),
    O("decrypt", WH_OPT_ENUM, decrypt, 0, 0, "off|aes-256-cbc"),
    O("payload-field", WH_OPT_STRING, payload_field, 0, 0, NULL),
    O("items", WH_OPT_STRING, items, 0, 0, NULL),
    O("url", WH_OPT_STRING, url, 0, 0, NULL),
    O("url-ports", WH_OPT_BOOL, url_ports, 0, 0, NULL),
    O("url-decoded", WH_OPT_STRING, url_decoded, 0, 0, NULL),
    O("leeway", WH_OPT_DURATION, leeway, 0, 0, NULL),
    O("max-age", WH_OPT_DURATION, max_age, 0, 0, NULL),
    O("components", WH_OPT_LIST, components, 0, 0, NULL),
    O("tag", WH_OPT_STRING, tag, 0, 0, NULL),
    O("body-digest", WH_OPT_ENUM, body_digest, 0, 0, "required|off"),
    O("methods", WH_OPT_LIST, methods, 0, 0, NULL),
    O("content-types", WH_OPT_LIST, content_types, 0, 0, NULL),
    O("body-limit", WH_OPT_SIZE, body_limit, 1, 0, NULL),
    O("signed-body", WH_OPT_ENUM, signed_body, 0, 0, "wire|decoded"),
    O("status", WH_OPT_INT, status, 200, 299, NULL),
    O("refusal-status", WH_OPT_INT, refusal_status, 200, 499, NULL),
    O("refusal-body", WH_OPT_ENUM, refusal_body, 0, 0, "problem|empty"),
    O("answer-body", WH_OPT_STRING, answer_body, 0, 0, NULL),
    O("pending-secret", WH_OPT_STRING, pending_secret, 0, 0, NULL),
    { NULL, WH_OPT_STRING, 0, 0, 0, NULL },
};
#undef O

/* Options that may be given several times, each value as a whole */
static const char *const repeated[] = { "claim", "demand", "require", "handshake", NULL };

/* Which primitives know an option; every primitive knows those that are not listed. */
#define P(x) (1 << (x))
#define SIGNED (P(WH_HMAC) | P(WH_HASH) | P(WH_PUBLIC_KEY))
static const struct {
    const char *name;
    int primitives;
} limits[] = {
    { "header", SIGNED | P(WH_TOKEN) | P(WH_JWT) }, { "signature", SIGNED | P(WH_TOKEN) | P(WH_JWT) },
    { "prefix", SIGNED | P(WH_TOKEN) | P(WH_JWT) }, { "syntax", SIGNED }, { "separator", SIGNED }, { "field", SIGNED },
    { "label", SIGNED | P(WH_HTTPSIG) }, { "encoding", SIGNED }, { "lenient", SIGNED | P(WH_TOKEN) | P(WH_JWT) },
    { "algorithm", SIGNED | P(WH_JWT) | P(WH_HTTPSIG) }, { "algorithm-by", SIGNED }, { "template", SIGNED },
    { "keyid", SIGNED | P(WH_TOKEN) | P(WH_JWT) }, { "keyid-host", SIGNED | P(WH_JWT) },
    { "jwks", P(WH_PUBLIC_KEY) | P(WH_JWT) | P(WH_HTTPSIG) }, { "fetch", P(WH_PUBLIC_KEY) }, { "certificate-name", P(WH_PUBLIC_KEY) },
    { "confirm", SIGNED }, { "confirm-path", SIGNED }, { "demand", SIGNED | P(WH_TOKEN) }, { "timestamp", SIGNED | P(WH_TOKEN) },
    { "timestamp-unit", SIGNED | P(WH_TOKEN) }, { "tolerance", SIGNED | P(WH_TOKEN) | P(WH_HTTPSIG) },
    { "future", SIGNED | P(WH_TOKEN) | P(WH_HTTPSIG) }, { "digest", SIGNED }, { "digest-algorithm", SIGNED },
    { "digest-encoding", SIGNED }, { "items", SIGNED | P(WH_TOKEN) }, { "url-ports", SIGNED | P(WH_JWT) },
    { "url-decoded", SIGNED }, { "leeway", P(WH_JWT) },
    { "max-age", P(WH_JWT) }, { "claim", P(WH_JWT) }, { "components", P(WH_HTTPSIG) }, { "tag", P(WH_HTTPSIG) },
    { "body-digest", P(WH_HTTPSIG) }, { "decrypt", P(WH_HMAC) | P(WH_HASH) }, { "key-encoding", ~P(WH_NONE) }, { "key-prefix", ~P(WH_NONE) }, { "private-prefix", ~P(WH_NONE) },
    { "key-without-prefix", ~P(WH_NONE) }, { "require", ~P(WH_NONE) },
};

static int is_repeated(const char *name)
{
    int i;

    for (i = 0; repeated[i]; i++) {
        if (strcmp(repeated[i], name) == 0) return 1;
    }
    return 0;
}

static const wh_option_spec *find_spec(const char *name)
{
    const wh_option_spec *s;

    for (s = wh_scheme_specs; s->name; s++) {
        if (strcmp(s->name, name) == 0) return s;
    }
    return NULL;
}

static int knows(wh_primitive primitive, const char *name)
{
    apr_size_t i;

    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (strcmp(limits[i].name, name) == 0) return (limits[i].primitives & P(primitive)) != 0;
    }
    return 1;
}

/* Is `name` one of the row's own options? @return 0 no, 1 yes, 2 yes and optional */
static int row_variable(const wh_preset *row, const char *name)
{
    const char *s = row->vars;
    apr_size_t len;

    for (; *s; s += len + (s[len] == ' ')) {
        int optional;
        len = strcspn(s, " ");
        optional = len && s[len - 1] == '?';
        if (strlen(name) == len - (apr_size_t)optional && strncmp(s, name, len - (apr_size_t)optional) == 0) return optional ? 2 : 1;
    }
    return 0;
}

const char *wh_scheme_missing(const webhook_verifier *v, apr_pool_t *p)
{
    const char *s = v->preset->vars;
    apr_size_t len;

    for (; *s; s += len + (s[len] == ' ')) {
        const char *name;
        len = strcspn(s, " ");
        if (len == 0 || s[len - 1] == '?') continue;
        name = apr_pstrmemdup(p, s, len);
        if (!apr_table_get(v->vars, name)) return name;
    }
    return NULL;
}

static const char *allowed_names(const wh_preset *row, apr_pool_t *p)
{
    const char *names = "";
    const wh_option_spec *s;
    int i;

    for (s = wh_scheme_specs; s->name; s++) {
        if (knows(row->primitive, s->name)) names = apr_pstrcat(p, names, *names ? ", " : "", s->name, NULL);
    }
    for (i = 0; repeated[i]; i++) {
        if (knows(row->primitive, repeated[i])) names = apr_pstrcat(p, names, ", ", repeated[i], NULL);
    }
    if (row->generic) names = apr_pstrcat(p, names, ", var.NAME", NULL);
    else if (*row->vars) names = apr_pstrcat(p, row->vars, ", ", names, NULL);
    return names;
}

/* What one would write for an option of this type */
static const char *values_of(const wh_option_spec *s)
{
    switch (s->type) {
    case WH_OPT_SIZE: return "SIZE";
    case WH_OPT_DURATION: return "DURATION";
    case WH_OPT_INT: return "NUMBER";
    case WH_OPT_BOOL: return "on|off";
    case WH_OPT_ENUM: return s->words;
    case WH_OPT_LIST: return "TEXT,...";
    default: return "TEXT";
    }
}

int wh_scheme_parameter(const wh_preset *row, int index, const char **name, const char **values)
{
    const wh_option_spec *s;
    int i;

    for (s = wh_scheme_specs; s->name; s++) {
        if (!knows(row->primitive, s->name) || index-- > 0) continue;
        *name = s->name;
        *values = values_of(s);
        return 1;
    }
    for (i = 0; repeated[i]; i++) {
        if (!knows(row->primitive, repeated[i]) || index-- > 0) continue;
        *name = repeated[i];
        *values = "TEXT, may be repeated";
        return 1;
    }
    return 0;
}

static void add_option(apr_array_header_t *list, const char *name, const char *value)
{
    webhook_option *o = apr_array_push(list);
    o->name = name;
    o->value = value;
}

static int given(const apr_array_header_t *options, const char *name)
{
    int i;

    for (i = 0; i < options->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(options, i, webhook_option).name, name) == 0) return 1;
    }
    return 0;
}

const char *wh_scheme_merge(webhook_verifier *v, const apr_array_header_t *options, apr_array_header_t *plain, apr_array_header_t *many,
                            apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const wh_preset *row = v->preset;
    int i;

    for (i = 0; i < options->nelts; i++) {
        const webhook_option *o = &APR_ARRAY_IDX(options, i, webhook_option);
        if (row_variable(row, o->name) || (row->generic && strncmp(o->name, "var.", 4) == 0 && o->name[4])) {
            const char *name = row->generic ? o->name + 4 : o->name;
            if (!*o->value) return apr_psprintf(ptemp, "scheme %s: option \"%s\" is empty", row->provider.name, o->name);
            if (apr_table_get(v->vars, name)) return apr_psprintf(ptemp, "scheme %s: option \"%s\" is given twice", row->provider.name, o->name);
            apr_table_setn(v->vars, apr_pstrdup(pconf, name), apr_pstrdup(pconf, o->value));
        } else if (is_repeated(o->name) && knows(row->primitive, o->name)) {
            add_option(many, o->name, o->value);
        } else if (find_spec(o->name) && knows(row->primitive, o->name)) {
            add_option(plain, o->name, o->value);
        } else if (find_spec(o->name) || is_repeated(o->name)) {
            return apr_psprintf(ptemp, "scheme %s: option \"%s\" does not go with it (allowed: %s)", row->provider.name, o->name,
                                allowed_names(row, ptemp));
        } else {
            return apr_psprintf(ptemp, "scheme %s: option \"%s\" is unknown (allowed: %s)", row->provider.name, o->name,
                                allowed_names(row, ptemp));
        }
    }
    for (i = 0; row->options[i]; i++) {
        const char *eq = strchr(row->options[i], '=');
        const char *name = apr_pstrmemdup(ptemp, row->options[i], (apr_size_t)(eq - row->options[i]));
        if (is_repeated(name)) {
            if (strcmp(name, "handshake") != 0 || !given(options, "handshake")) add_option(many, name, eq + 1);
        } else if (!given(options, name) && !(strcmp(name, "signature") == 0 && given(options, "header"))) {
            add_option(plain, name, eq + 1);
        }
    }
    return NULL;
}
