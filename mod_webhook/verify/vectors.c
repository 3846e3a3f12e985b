/* SPDX-License-Identifier: Apache-2.0 */
/* vectors.c: see vectors.h. */
#include "verify/vectors.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <string.h>
#include "core/encoding.h"
#include "verify/verify.h"

#define MAX_FILE (64 << 20)

typedef enum member_role { ROLE_SECRET, ROLE_NAMED_SECRET, ROLE_BASE64, ROLE_HEX, ROLE_MAP, ROLE_JWK, ROLE_ID, ROLE_USER } member_role;

/* How members of a key object are meant; all others are options. */
static const struct {
    const char *name;
    member_role role;
} roles[] = {
    { "secret", ROLE_SECRET }, { "api_secret", ROLE_SECRET }, { "private_key", ROLE_SECRET }, { "signing_secret", ROLE_SECRET },
    { "client_secret", ROLE_SECRET }, { "app_secret", ROLE_SECRET }, { "auth_token", ROLE_SECRET }, { "webhook_secret", ROLE_SECRET },
    { "shared_secret", ROLE_SECRET }, { "signature_key", ROLE_SECRET }, { "signing_key", ROLE_SECRET }, { "encrypt_key", ROLE_SECRET },
    { "token", ROLE_SECRET }, { "authorization", ROLE_SECRET }, { "passcode", ROLE_SECRET }, { "client_state", ROLE_SECRET }, { "clientState", ROLE_SECRET },
    { "password", ROLE_SECRET }, { "pass", ROLE_SECRET }, { "key", ROLE_SECRET }, { "public_key_pem", ROLE_SECRET },
    { "cert_pem", ROLE_SECRET }, { "certificate", ROLE_SECRET }, { "pem", ROLE_SECRET }, { "verification_key", ROLE_SECRET },
    { "verification_token", ROLE_SECRET }, { "access_token", ROLE_SECRET }, { "consumer_secret", ROLE_SECRET },
    { "current", ROLE_NAMED_SECRET }, { "next", ROLE_NAMED_SECRET }, { "primary", ROLE_NAMED_SECRET },
    { "secondary", ROLE_NAMED_SECRET }, { "old", ROLE_NAMED_SECRET }, { "new", ROLE_NAMED_SECRET },
    { "secret_b64", ROLE_BASE64 }, { "key_b64", ROLE_BASE64 }, { "secret_hex", ROLE_HEX }, { "certs", ROLE_MAP },
    { "cert_by_url", ROLE_MAP }, { "public_keys", ROLE_MAP }, { "secrets", ROLE_MAP }, { "keys", ROLE_MAP }, { "jwk", ROLE_JWK },
    { "jwks", ROLE_JWK }, { "keyid", ROLE_ID }, { "key_id", ROLE_ID }, { "kid", ROLE_ID }, { "app_key", ROLE_ID }, { "api_key", ROLE_ID },
    { "user", ROLE_USER }, { "username", ROLE_USER },
};

/* Other names for options */
static const struct {
    const char *member, *option;
} renamed[] = { { "required_components", "components" }, { "alg", "algorithm" }, { "aud", "audience" }, { "callback_url", "url" },
                { "notification_url", "url" } };

typedef struct gathering {
    apr_pool_t *p;
    const webhook_verifier_provider *provider;
    apr_array_header_t *secrets; /* webhook_secret * */
    apr_array_header_t *options; /* webhook_option */
} gathering;

static const char *text_of(const wh_json_value *v, apr_pool_t *p)
{
    webhook_slice s;

    if (!v) return NULL;
    if (wh_json_typeof(v) != WH_JSON_STRING) return wh_json_text(v, p);
    s = wh_json_string(v);
    return s.len ? apr_pstrmemdup(p, s.data, s.len) : "";
}

static const char *name_of(const wh_json_value *object, apr_size_t i, apr_pool_t *p)
{
    return apr_pstrmemdup(p, object->u.members[i].name, object->u.members[i].name_len);
}

static void add_secret(gathering *g, const char *id, const char *data, apr_size_t len)
{
    webhook_secret *secret = apr_pcalloc(g->p, sizeof(*secret));

    secret->id = id ? id : apr_itoa(g->p, g->secrets->nelts + 1);
    secret->data = (const unsigned char *)data;
    secret->len = len;
    APR_ARRAY_PUSH(g->secrets, webhook_secret *) = secret;
}

static void add_option(gathering *g, const char *name, const char *value)
{
    webhook_option *o = apr_array_push(g->options);
    o->name = name;
    o->value = value;
}

/* A value back as JSON text, for keys that are JSON themselves */
static void write_json(wh_buf *b, const wh_json_value *v, apr_pool_t *p)
{
    webhook_slice s;
    apr_size_t i;

    switch (wh_json_typeof(v)) {
    case WH_JSON_STRING:
        s = wh_json_string(v);
        wh_json_put_string(b, s.data, s.len);
        break;
    case WH_JSON_ARRAY:
        wh_buf_adds(b, "[");
        for (i = 0; i < wh_json_size(v); i++) {
            if (i) wh_buf_adds(b, ",");
            write_json(b, wh_json_at(v, i), p);
        }
        wh_buf_adds(b, "]");
        break;
    case WH_JSON_OBJECT:
        wh_buf_adds(b, "{");
        for (i = 0; i < wh_json_size(v); i++) {
            wh_json_put_name(b, name_of(v, i, p));
            write_json(b, &v->u.members[i].value, p);
        }
        wh_buf_adds(b, "}");
        break;
    default:
        wh_buf_adds(b, wh_json_text(v, p) ? wh_json_text(v, p) : "null");
        break;
    }
}

static void add_json_secret(gathering *g, const char *id, const wh_json_value *v)
{
    wh_buf b;

    wh_buf_init(&b, g->p, 512);
    write_json(&b, v, g->p);
    add_secret(g, id, b.data, b.len);
}

static int find_role(const char *name, member_role *out)
{
    apr_size_t i;

    for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(roles[i].name, name) == 0) {
            *out = roles[i].role;
            return 1;
        }
    }
    return 0;
}

static const char *gather(gathering *g, const wh_json_value *key);

static int takes_option(const gathering *g, const char *name)
{
    wh_verifier_info info;
    const char *own, *values;
    apr_size_t len;
    int i;

    for (i = 0; wh_verifier_parameter(g->provider, i, &own, &values); i++) {
        if (strcmp(own, name) == 0) return 1;
    }
    if (!wh_verifier_describe(g->provider, &info)) return 1;
    if (info.generic && strncmp(name, "var.", 4) == 0) return 1;
    for (own = info.variables; *own; own += len + (own[len] == ' ')) {
        len = strcspn(own, " ");
        if (strlen(name) == len - (own[len - 1] == '?') && strncmp(own, name, strlen(name)) == 0) return 1;
    }
    return 0;
}

/* "verifier_token", "channelSecret": a secret by what it is called. @return the secret's id, "" for none of its own, NULL for a member that is something else */
static const char *secret_by_name(const char *name)
{
    static const char *const ends[] = { "secret", "key", "token", "password" }, *const ids[] = { "primary", "secondary", "current", "next",
                                                                                               "previous", "old", "new" };
    apr_size_t i, len = strlen(name);

    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        if (strncmp(name, ids[i], strlen(ids[i])) == 0) return ids[i];
    }
    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (len >= strlen(ends[i]) && strcasecmp(name + len - strlen(ends[i]), ends[i]) == 0) return "";
    }
    return NULL;
}

/* {"key": ..., "secret": ...}, as Pusher calls them: beside a secret the key is its name. So is an id, unless it is a place ("header:X"). */
static int is_key_name(const wh_json_value *object, const char *name, const char *text)
{
    if (!text || !wh_json_get(object, "secret")) return 0;
    return strcmp(name, "key") == 0 || (strcmp(name, "id") == 0 && !strchr(text, ':'));
}

/* Options that are seconds where a record gives a number */
static int is_duration(const char *name)
{
    return strcmp(name, "tolerance") == 0 || strcmp(name, "future") == 0 || strcmp(name, "leeway") == 0 || strcmp(name, "max-age") == 0;
}

/* The id and user members belong to the secret beside them. */
static const char *gather_object(gathering *g, const wh_json_value *key)
{
    const wh_json_value *private_key = wh_json_get(key, "private_key");
    const char *id = private_key ? text_of(wh_json_get(key, "public_key"), g->p) : NULL, *user = NULL, *other = NULL, *name, *err;
    apr_size_t i;
    member_role role;
    int before = g->secrets->nelts, known;

    if (wh_json_get(key, "kty") || (wh_json_get(key, "keys") && wh_json_typeof(wh_json_get(key, "keys")) == WH_JSON_ARRAY
                                    && wh_json_get(wh_json_at(wh_json_get(key, "keys"), 0), "kty"))) {
        add_json_secret(g, NULL, key);
        return NULL;
    }
    for (i = 0; i < wh_json_size(key); i++) {
        const wh_json_value *v = &key->u.members[i].value;
        const char *text = text_of(v, g->p);
        known = find_role((name = name_of(key, i, g->p)), &role);
        if (((known && role == ROLE_ID) || is_key_name(key, name, text)) && !id) id = text;
        if (known && role == ROLE_USER) user = text;
    }
    for (i = 0; i < wh_json_size(key); i++) {
        const wh_json_value *v = &key->u.members[i].value;
        const char *text = text_of(v, g->p);
        name = name_of(key, i, g->p);
        if (strcmp(name, "public_key") == 0) {
            if (!private_key && text) add_secret(g, id, text, strlen(text));
            continue;
        }
        if (is_key_name(key, name, text)) continue;
        known = find_role(name, &role);
        if (!text && wh_json_get(v, "kty")) { /* one JWK, by whatever name */
            add_json_secret(g, known ? id : name, v);
            continue;
        }
        if (!known && wh_json_typeof(v) == WH_JSON_OBJECT) { /* keys by their ids */
            known = 1;
            role = wh_json_get(v, "keys") ? ROLE_JWK : ROLE_MAP;
        }
        if (!known) {
            wh_buf list;
            apr_size_t k;
            const char *option = name;
            char *copy;
            if (strcmp(name, "no_digest") == 0) {
                add_option(g, "body-digest", text && strcmp(text, "true") == 0 ? "off" : "required");
                continue;
            }
            for (k = 0; k < sizeof(renamed) / sizeof(renamed[0]); k++) {
                if (strcmp(renamed[k].member, name) == 0) option = renamed[k].option;
            }
            copy = apr_pstrdup(g->p, option);
            for (k = 0; copy[k]; k++) {
                if (copy[k] == '_') copy[k] = '-';
            }
            if (wh_json_typeof(v) == WH_JSON_ARRAY) {
                wh_buf_init(&list, g->p, 128);
                for (k = 0; k < wh_json_size(v); k++) {
                    const char *item = text_of(wh_json_at(v, k), g->p);
                    wh_buf_addf(&list, "%s%s", k ? "," : "", item ? item : "");
                }
                text = wh_json_size(v) ? list.data : "none";
            }
            if (text && wh_json_typeof(v) == WH_JSON_NUMBER && is_duration(copy)) text = apr_pstrcat(g->p, text, "s", NULL);
            if (text && takes_option(g, copy)) add_option(g, copy, text);
            else if (text && (option = secret_by_name(name)) != NULL) add_secret(g, *option ? option : id, text, strlen(text));
            else if (text && wh_json_typeof(v) == WH_JSON_STRING) other = text;
            continue;
        }
        if (role == ROLE_MAP || (role == ROLE_SECRET && !text)) {
            if (wh_json_typeof(v) == WH_JSON_OBJECT) {
                for (apr_size_t k = 0; k < wh_json_size(v); k++) {
                    const wh_json_value *one = &v->u.members[k].value;
                    const char *member = name_of(v, k, g->p), *t = text_of(one, g->p);
                    if (t) add_secret(g, member, t, strlen(t));
                    else add_json_secret(g, member, one);
                }
            } else if ((err = gather(g, v)) != NULL) {
                return err;
            }
        } else if (role == ROLE_JWK && wh_json_typeof(v) == WH_JSON_ARRAY) {
            if ((err = gather(g, v)) != NULL) return err;
        } else if (role == ROLE_JWK) {
            if (text) add_secret(g, id, text, strlen(text));
            else add_json_secret(g, id, v);
        } else if (text && (role == ROLE_SECRET || role == ROLE_NAMED_SECRET)) {
            if (user) text = apr_pstrcat(g->p, user, ":", text, NULL);
            add_secret(g, role == ROLE_NAMED_SECRET ? name : id, text, strlen(text));
        } else if (text && (role == ROLE_BASE64 || role == ROLE_HEX)) {
            wh_encoding enc = role == ROLE_HEX ? WH_ENC_HEX : WH_ENC_BASE64;
            apr_size_t max = wh_decoded_max(enc, strlen(text)), len;
            unsigned char *room = apr_palloc(g->p, max + 1);
            if (wh_decode(enc, WH_DECODE_UNPADDED, text, strlen(text), room, max, &len) != APR_SUCCESS) {
                return apr_psprintf(g->p, "key.%s is not well formed", name);
            }
            add_secret(g, id, (const char *)room, len);
        }
    }
    /* {"api_key": ...} alone: what names the key elsewhere is the secret itself; as is what has a name of its own */
    if (g->secrets->nelts == before && !id && wh_json_size(key) == 1) id = other;
    if (g->secrets->nelts == before && id) add_secret(g, NULL, id, strlen(id));
    return NULL;
}

static const char *gather(gathering *g, const wh_json_value *key)
{
    const char *text, *err;
    apr_size_t i;

    if (!key || wh_json_typeof(key) == WH_JSON_NULL) return NULL;
    switch (wh_json_typeof(key)) {
    case WH_JSON_STRING:
        text = text_of(key, g->p);
        add_secret(g, NULL, text, strlen(text));
        return NULL;
    case WH_JSON_ARRAY:
        for (i = 0; i < wh_json_size(key); i++) {
            if ((err = gather(g, wh_json_at(key, i))) != NULL) return err;
        }
        return NULL;
    case WH_JSON_OBJECT:
        return gather_object(g, key);
    default:
        return "key is neither a string, a list nor an object";
    }
}

static apr_table_t *read_headers(const wh_json_value *headers, apr_pool_t *p)
{
    apr_table_t *table = apr_table_make(p, 10);
    apr_size_t i, k;

    for (i = 0; wh_json_typeof(headers) == WH_JSON_ARRAY && i < wh_json_size(headers); i++) { /* [name, value], in order */
        const char *name = text_of(wh_json_at(wh_json_at(headers, i), 0), p), *text = text_of(wh_json_at(wh_json_at(headers, i), 1), p);
        if (name && text) apr_table_addn(table, name, text);
    }
    for (i = 0; wh_json_typeof(headers) == WH_JSON_OBJECT && i < wh_json_size(headers); i++) {
        const wh_json_value *v = &headers->u.members[i].value;
        const char *name = name_of(headers, i, p);
        if (wh_json_typeof(v) == WH_JSON_ARRAY) {
            for (k = 0; k < wh_json_size(v); k++) {
                const char *text = text_of(wh_json_at(v, k), p);
                if (text) apr_table_addn(table, name, text);
            }
        } else {
            const char *text = text_of(v, p);
            if (text) apr_table_addn(table, name, text);
        }
    }
    return table;
}

static const char *read_body(webhook_slice *out, const wh_json_value *v, apr_pool_t *p)
{
    webhook_slice text = wh_json_string(v);
    apr_size_t max = wh_decoded_max(WH_ENC_BASE64, text.len);
    unsigned char *room = apr_palloc(p, max + 1);

    out->data = (const char *)room;
    out->len = 0;
    if (!v || text.len == 0) return NULL;
    return wh_decode(WH_ENC_BASE64, 0, text.data, text.len, room, max, &out->len) == APR_SUCCESS ? NULL : "body is not base64";
}

const char *wh_vector_prepare(wh_vector *out, const wh_json_value *record, apr_pool_t *p)
{
    gathering g;
    const char *name = text_of(wh_json_get(record, "provider"), p), *url = text_of(wh_json_get(record, "url"), p), *now, *err, *host, *unusable = NULL;
    int i, usable = 0;

    memset(out, 0, sizeof(*out));
    out->record = record;
    out->id = text_of(wh_json_get(record, "id"), p);
    if (!out->id) return "a record has no id";
    if (!name) return "provider is missing";
    if (!url) url = "https://localhost/";
    if ((out->provider = wh_verifier_builtin(name)) == NULL) {
        const char *meant = wh_verifier_near(name, p);
        return apr_psprintf(p, "there is no scheme \"%s\"%s%s%s", name, meant ? " (near: " : "", meant ? meant : "", meant ? ")" : "");
    }
    g.p = p;
    g.provider = out->provider;
    g.secrets = apr_array_make(p, 2, sizeof(webhook_secret *));
    g.options = apr_array_make(p, 4, sizeof(webhook_option));
    if ((err = gather(&g, wh_json_get(record, "key"))) != NULL) return err;
    if ((err = out->provider->configure(&out->verifier, out->provider, g.options, p, p)) != NULL) return err;
    for (i = 0; i < g.secrets->nelts; i++) {
        webhook_secret *secret = APR_ARRAY_IDX(g.secrets, i, webhook_secret *);
        if ((err = out->provider->prepare(out->verifier, secret, p)) == NULL) APR_ARRAY_IDX(g.secrets, usable++, webhook_secret *) = secret;
        else unusable = apr_psprintf(p, "secret %s %s", secret->id, err);
    }
    if (unusable && !usable) return unusable; /* beside a good one it is another sender's */
    out->secrets.count = usable;
    out->secrets.list = (const webhook_secret *const *)g.secrets->elts;

    out->request.method = text_of(wh_json_get(record, "method"), p);
    if (!out->request.method) out->request.method = "POST";
    out->request.url = url;
    host = strstr(url, "://");
    host = host ? host + 3 : url;
    out->request.uri = host + strcspn(host, "/?");
    if (*out->request.uri != '/') out->request.uri = apr_pstrcat(p, "/", out->request.uri, NULL);
    out->request.query = strchr(out->request.uri, '?');
    if (out->request.query) out->request.query++;
    out->request.headers = read_headers(wh_json_get(record, "headers"), p);
    now = text_of(wh_json_get(record, "now"), p);
    out->request.now = now ? apr_time_from_sec(apr_strtoi64(now, NULL, 10)) : apr_time_now();
    return read_body(&out->request.body, wh_json_get(record, "body"), p);
}

static const char *read_file(webhook_slice *out, const char *file, apr_pool_t *p)
{
    apr_file_t *f;
    apr_finfo_t info;
    char *room;
    apr_status_t rv = apr_file_open(&f, file, APR_FOPEN_READ | APR_FOPEN_BINARY, APR_FPROT_OS_DEFAULT, p);
    char why[120];

    if (rv == APR_SUCCESS) rv = apr_file_info_get(&info, APR_FINFO_SIZE, f);
    if (rv != APR_SUCCESS) return apr_psprintf(p, "%s: %s", file, apr_strerror(rv, why, sizeof(why)));
    if (info.size > MAX_FILE) return apr_psprintf(p, "%s is larger than 64 MiB", file);
    room = apr_palloc(p, (apr_size_t)info.size + 1);
    rv = apr_file_read_full(f, room, (apr_size_t)info.size, &out->len);
    apr_file_close(f);
    out->data = room;
    return rv == APR_SUCCESS || info.size == 0 ? NULL : apr_psprintf(p, "%s: %s", file, apr_strerror(rv, why, sizeof(why)));
}

const char *wh_vectors_load(const wh_json_value **list, const char *file, apr_pool_t *p)
{
    webhook_slice text;
    wh_json *doc;
    wh_json_error jerr;
    const char *err = read_file(&text, file, p);

    if (err) return err;
    if (wh_json_parse(&doc, text, &wh_json_plain, p, &jerr) != APR_SUCCESS) {
        return apr_psprintf(p, "%s: not JSON (%s at byte %" APR_SIZE_T_FMT ")", file, jerr.reason, jerr.offset);
    }
    *list = wh_json_root(doc);
    return wh_json_typeof(*list) == WH_JSON_ARRAY ? NULL : apr_psprintf(p, "%s: expected an array of records", file);
}
