/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locator.c: where a value is in a request. Written `kind:name` in options and as placeholders of templates. Bodies are parsed only when
 * a locator that needs it is asked for, and at most once per verification.
 */
#include "verify/scheme.h"

#include <apr_lib.h>
#include <string.h>

static const struct {
    const char *word;
    wh_loc_kind kind;
    int named;
} kinds[] = {
    { "header", WH_LOC_HEADER, 1 }, { "header*", WH_LOC_FAMILY, 1 }, { "query", WH_LOC_QUERY, 1 }, { "form", WH_LOC_FORM, 1 },
    { "multipart", WH_LOC_MULTIPART, 1 }, { "json", WH_LOC_JSON, 1 }, { "item", WH_LOC_ITEM, 1 }, { "field", WH_LOC_FIELD, 1 },
    { "claim", WH_LOC_CLAIM, 1 }, { "var", WH_LOC_VAR, 1 }, { "basic", WH_LOC_BASIC, 0 }, { "body", WH_LOC_BODY, 0 },
    { "payload", WH_LOC_PAYLOAD, 0 }, { "method", WH_LOC_METHOD, 0 }, { "url", WH_LOC_URL, 0 }, { "uri", WH_LOC_URI, 0 },
    { "path", WH_LOC_PATH, 0 }, { "host", WH_LOC_HOST, 0 }, { "query-string", WH_LOC_QUERY_STRING, 0 }, { "ts", WH_LOC_TS, 0 },
    { "id", WH_LOC_ID, 0 }, { "keyid", WH_LOC_KEYID, 0 }, { "secret", WH_LOC_SECRET, 0 }, { "crc32", WH_LOC_CRC32, 0 },
    { "form-sorted", WH_LOC_FORM_SORTED, 0 }, { "plivo", WH_LOC_PLIVO, 0 }, { "contentful", WH_LOC_CONTENTFUL, 0 },
    { "sns", WH_LOC_SNS, 0 }, { "kid", WH_LOC_KID, 0 }, { "bearer", WH_LOC_BEARER, 0 }, { "atlassian", WH_LOC_ATLASSIAN, 0 },
};

static int is_header_name(const char *name)
{
    apr_size_t i;

    for (i = 0; name[i]; i++) {
        if (!apr_isalnum(name[i]) && !strchr("!#$%&'*+-.^_`|~", name[i])) return 0;
    }
    return i > 0;
}

const char *const *wh_path_compile(const char *text, apr_pool_t *p)
{
    apr_array_header_t *path = apr_array_make(p, 4, sizeof(const char *));
    char sep = text[0] == '/' ? '/' : '.';
    const char *s = text[0] == '/' ? text + 1 : text;

    if (!*text) return NULL;
    for (;;) {
        apr_size_t len = 0;
        char *name = apr_palloc(p, strlen(s) + 1);
        for (; *s && *s != sep; s++) {
            char ch = *s;
            if (sep == '/' && ch == '~') { /* RFC 6901 escapes */
                if (s[1] != '0' && s[1] != '1') return NULL;
                ch = *++s == '0' ? '~' : '/';
            }
            name[len++] = ch;
        }
        name[len] = '\0';
        if (len == 0 && sep == '.') return NULL;
        APR_ARRAY_PUSH(path, const char *) = name;
        if (!*s) break;
        s++;
    }
    APR_ARRAY_PUSH(path, const char *) = NULL;
    return (const char *const *)path->elts;
}

const wh_json_value *wh_path_walk(const wh_json_value *v, const char *const *path)
{
    for (; v && *path; path++) {
        if (wh_json_typeof(v) == WH_JSON_ARRAY) {
            const char *s = *path;
            apr_size_t index = 0;
            if (!*s || (s[0] == '0' && s[1])) return NULL;
            for (; *s; s++) {
                if (!apr_isdigit(*s) || index > 100000000) return NULL;
                index = index * 10 + (apr_size_t)(*s - '0');
            }
            v = wh_json_at(v, index);
        } else {
            v = wh_json_get(v, *path);
        }
    }
    return v;
}

const char *wh_locator_compile(wh_locator *out, const char *text, apr_pool_t *p)
{
    const char *colon = strchr(text, ':');
    apr_size_t wlen = colon ? (apr_size_t)(colon - text) : strlen(text), i;
    const char *at;

    if (strncmp(text, "lower:", 6) == 0) {
        at = wh_locator_compile(out, text + 6, p);
        out->text = apr_pstrdup(p, text);
        out->lower = 1;
        return at ? at : out->kind == WH_LOC_SECRET ? "the secret is taken as it is, without lower:" : NULL;
    }
    memset(out, 0, sizeof(*out));
    out->text = apr_pstrdup(p, text);
    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strlen(kinds[i].word) == wlen && strncmp(kinds[i].word, text, wlen) == 0) break;
    }
    if (i == sizeof(kinds) / sizeof(kinds[0])) {
        return apr_psprintf(p, "\"%s\" is no place in a request (allowed: header:NAME, header*:NAME-#, query:NAME, form:NAME, "
                            "multipart:NAME, json:PATH, item:PATH, field:NAME, claim:PATH, var:NAME, basic, bearer, body, payload, method, "
                            "url, uri, path, host, query-string, ts, id, keyid, kid, crc32, form-sorted, plivo, contentful, sns, "
                            "atlassian; before one of them lower:)", text);
    }
    out->kind = kinds[i].kind;
    if (!kinds[i].named) return colon ? apr_psprintf(p, "\"%s\": %s takes no name", text, kinds[i].word) : NULL;
    if (!colon || !colon[1]) return apr_psprintf(p, "\"%s\" needs a name, %s:NAME", text, kinds[i].word);
    out->name = apr_pstrdup(p, colon + 1);
    if ((at = strrchr(out->name, '@')) != NULL && out->kind == WH_LOC_HEADER) {
        out->slot = at + 1;
        out->name = apr_pstrmemdup(p, out->name, (apr_size_t)(at - out->name));
        if (!*out->slot) return apr_psprintf(p, "\"%s\": no key id behind '@'", text);
    }
    switch (out->kind) {
    case WH_LOC_HEADER:
        if (!is_header_name(out->name)) return apr_psprintf(p, "\"%s\" is not a header name", out->name);
        break;
    case WH_LOC_FAMILY: {
        apr_size_t len = strlen(out->name);
        if (len < 2 || out->name[len - 1] != '#') return apr_psprintf(p, "\"%s\" must end in '#', the place of the number", text);
        out->name = apr_pstrmemdup(p, out->name, len - 1);
        if (!is_header_name(out->name)) return apr_psprintf(p, "\"%s\" is not a header name", out->name);
        break;
    }
    case WH_LOC_JSON:
    case WH_LOC_ITEM:
    case WH_LOC_CLAIM:
        out->path = wh_path_compile(out->name, p);
        if (!out->path) return apr_psprintf(p, "\"%s\" is neither a.b.c nor a JSON Pointer", out->name);
        break;
    default:
        break;
    }
    return NULL;
}

const char *wh_locators_compile(apr_array_header_t **out, const apr_array_header_t *words, apr_pool_t *p)
{
    int i;

    *out = apr_array_make(p, words ? words->nelts : 1, sizeof(wh_locator));
    for (i = 0; words && i < words->nelts; i++) {
        const char *err = wh_locator_compile(apr_array_push(*out), APR_ARRAY_IDX(words, i, const char *), p);
        if (err) return err;
    }
    return NULL;
}

/* ---- looking ---- */

typedef struct header_walk {
    const char *first;
    int count;
} header_walk;

static int header_entry(void *baton, const char *name, const char *value)
{
    header_walk *w = baton;

    (void)name;
    if (w->count++ == 0) w->first = value;
    return 1;
}

static wh_found header_value(wh_vctx *c, const char *name, webhook_slice *out)
{
    header_walk w = { NULL, 0 };

    if (!c->req->headers) return WH_ABSENT;
    apr_table_do(header_entry, &w, c->req->headers, name, NULL);
    if (w.count == 0) return WH_ABSENT;
    out->data = w.first;
    out->len = strlen(w.first);
    return w.count > 1 ? WH_TWICE : WH_FOUND;
}

const wh_form *wh_ctx_query(wh_vctx *c)
{
    if (c->query_state == 0) {
        webhook_slice text = { c->req->query, c->req->query ? strlen(c->req->query) : 0 };
        c->query_state = wh_form_parse(&c->query, text, c->p) == APR_SUCCESS ? 1 : -1;
    }
    return c->query_state > 0 ? &c->query : NULL;
}

const wh_form *wh_ctx_form(wh_vctx *c)
{
    if (c->headers_only) return NULL;
    if (c->form_state == 0) c->form_state = wh_form_parse(&c->form, c->req->body, c->p) == APR_SUCCESS ? 1 : -1;
    return c->form_state > 0 ? &c->form : NULL;
}

static const apr_array_header_t *ctx_parts(wh_vctx *c)
{
    if (c->headers_only) return NULL;
    if (c->parts_state == 0) {
        webhook_slice type;
        c->parts_state = header_value(c, "Content-Type", &type) == WH_FOUND
                         && wh_multipart_parse(&c->parts, type.data, c->req->body, c->p) == APR_SUCCESS ? 1 : -1;
    }
    return c->parts_state > 0 ? c->parts : NULL;
}

static wh_found json_value(wh_vctx *c, const wh_json_value *v, webhook_slice *out)
{
    const char *text;

    if (!v) return WH_ABSENT;
    if (wh_json_typeof(v) == WH_JSON_STRING) {
        *out = wh_json_string(v);
        if (!out->data) out->data = "";
        return WH_FOUND;
    }
    if ((text = wh_json_text(v, c->p)) == NULL) return WH_ABSENT;
    out->data = text;
    out->len = strlen(text);
    return WH_FOUND;
}

static const wh_json *parse(wh_vctx *c, webhook_slice text, wh_json_once *once)
{
    const wh_json *json = wh_json_get_once(once, text, c->p);

    if (!json && strcmp(once->error.reason, "memory") == 0) c->failed = 1;
    return json;
}

/* The body as JSON: it may have been parsed for somebody else, and will be wanted again. */
static const wh_json *body_json(wh_vctx *c)
{
    wh_json_once own = { 0 };

    return parse(c, c->req->body, c->req->parsed ? c->req->parsed : &own);
}

static wh_found ctx_payload(wh_vctx *c, webhook_slice *out)
{
    if (c->headers_only) return WH_ABSENT;
    if (c->payload_state == 0) {
        const webhook_verifier *v = c->v;
        wh_found found = WH_ABSENT;
        c->payload_state = 1;
        c->payload = c->req->body;
        if (v->has_unpack && v->unpack.kind == WH_LOC_JSON) {
            const wh_json *whole = body_json(c);
            found = whole ? json_value(c, wh_path_walk(wh_json_root(whole), v->unpack.path), &c->payload) : WH_ABSENT;
        } else if (v->has_unpack) {
            found = wh_value(c, &v->unpack, &c->payload);
        }
        /* A sender that can encrypt need not: without the member the body is the payload. */
        if (v->cipher) c->payload_state = found == WH_ABSENT || (found == WH_FOUND && wh_decrypt(c, c->payload, &c->payload)) ? 1 : -1;
        else if (v->has_unpack) c->payload_state = found == WH_FOUND ? 1 : -1;
    }
    if (c->payload_state < 0) return WH_ABSENT;
    *out = c->payload;
    return WH_FOUND;
}

const wh_json *wh_ctx_json(wh_vctx *c)
{
    if (c->headers_only) return NULL;
    if (c->json_state == 0) {
        wh_json_once own = { 0 };
        webhook_slice text;

        c->json_state = -1;
        if (ctx_payload(c, &text) == WH_FOUND) {
            c->json = text.data == c->req->body.data && text.len == c->req->body.len ? body_json(c) : parse(c, text, &own);
            if (c->json) c->json_state = 1;
        }
    }
    return c->json_state > 0 ? c->json : NULL;
}

/* Token of an Authorization: Bearer header (RFC 6750 section 2.1); another scheme's credentials are not a token. */
static wh_found bearer_value(wh_vctx *c, webhook_slice *out)
{
    wh_found found = header_value(c, "Authorization", out);

    if (found != WH_FOUND) return found;
    if (out->len < 7 || strncasecmp(out->data, "Bearer ", 7) != 0) return WH_ABSENT;
    out->data += 7;
    out->len -= 7;
    while (out->len && *out->data == ' ') out->data++, out->len--;
    return WH_FOUND;
}

/* user:password of an Authorization: Basic header (RFC 7617) */
static wh_found basic_value(wh_vctx *c, webhook_slice *out)
{
    static const wh_locator authorization = { .kind = WH_LOC_HEADER, .name = "Authorization" };
    webhook_slice text;
    wh_found found = header_value(c, authorization.name, &text);
    unsigned char *room;
    apr_size_t skip = 6, max, len;

    if (found != WH_FOUND) return found;
    if (text.len < 6 || strncasecmp(text.data, "Basic ", 6) != 0) return WH_ABSENT;
    if (wh_folded(&authorization, text)) return WH_TWICE;
    while (skip < text.len && text.data[skip] == ' ') skip++;
    max = wh_decoded_max(WH_ENC_BASE64, text.len - skip);
    room = apr_palloc(c->p, max + 1);
    if (wh_decode(WH_ENC_BASE64, 0, text.data + skip, text.len - skip, room, max, &len) != APR_SUCCESS) return WH_BROKEN;
    out->data = (const char *)room;
    out->len = len;
    return WH_FOUND;
}

const char *wh_url_other_port(const char *url, apr_pool_t *p)
{
    const char *host = strstr(url, "://"), *end, *port;
    apr_size_t dlen;
    const char *dflt;

    if (!host) return NULL;
    if (strncasecmp(url, "https:", 6) == 0) dflt = ":443";
    else if (strncasecmp(url, "http:", 5) == 0) dflt = ":80";
    else return NULL;
    dlen = strlen(dflt);
    host += 3;
    end = host + strcspn(host, "/?#");
    port = end;
    while (port > host && apr_isdigit(port[-1])) port--;
    if (port > host && port[-1] == ':') {
        port--;
        if ((apr_size_t)(end - port) != dlen || strncmp(port, dflt, dlen) != 0) return NULL; /* another port is part of the name */
        return apr_pstrcat(p, apr_pstrmemdup(p, url, (apr_size_t)(port - url)), end, NULL);
    }
    return apr_pstrcat(p, apr_pstrmemdup(p, url, (apr_size_t)(end - url)), dflt, end, NULL);
}

/* One escape of the list at `at`? @return its character, or 0 */
static char listed_escape(const char *at, const char *escapes)
{
    unsigned char byte;
    apr_size_t len;

    if (*at != '%' || !at[1] || !at[2]) return 0;
    for (; *escapes; escapes += 3) {
        if (strncasecmp(at, escapes, 3) == 0) {
            return wh_decode(WH_ENC_HEX, WH_DECODE_UPPER, escapes + 1, 2, &byte, 1, &len) == APR_SUCCESS ? (char)byte : 0;
        }
    }
    return 0;
}

const char *wh_url_decoded(const char *url, const char *escapes, apr_pool_t *p)
{
    const char *r = strstr(url, "://");
    char *out, *w, ch;
    int found = 0;

    if (!r) return NULL;
    r += 3;
    r += strcspn(r, "/?#");
    out = apr_pstrdup(p, url);
    for (w = out + (r - url); *r; r++) {
        if ((ch = listed_escape(r, escapes)) != 0) {
            found = 1;
            r += 2;
            *w++ = ch;
        } else {
            *w++ = *r;
        }
    }
    *w = '\0';
    return found ? out : NULL;
}

const char *wh_ctx_url(wh_vctx *c)
{
    const webhook_verifier *v = c->v;

    if (c->url) return c->url;
    if (!v->url) {
        c->url = c->req->url ? c->req->url : "";
    } else if (!v->url_has_path) {
        c->url = apr_pstrcat(c->p, v->url, c->req->uri ? c->req->uri : "/", NULL);
    } else if (c->req->query && !strchr(v->url, '?')) {
        c->url = apr_pstrcat(c->p, v->url, "?", c->req->query, NULL);
    } else {
        c->url = v->url;
    }
    return c->url;
}

static wh_found text_value(const char *text, webhook_slice *out)
{
    if (!text) return WH_ABSENT;
    out->data = text;
    out->len = strlen(text);
    return WH_FOUND;
}

/* CRC-32 of IEEE 802.3, reflected, four bits at a time */
static unsigned int crc32_ieee(webhook_slice s)
{
    static const unsigned int table[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                            0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                            0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
    unsigned int crc = 0xffffffffu;
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        crc ^= (unsigned char)s.data[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return crc ^ 0xffffffffu;
}

static wh_found find(wh_vctx *c, const wh_locator *loc, webhook_slice *out)
{
    const webhook_request *req = c->req;
    const wh_form *form;
    const apr_array_header_t *parts;
    const wh_json *json;
    int n, i;

    out->data = "";
    out->len = 0;
    switch (loc->kind) {
    case WH_LOC_HEADER:
        return header_value(c, loc->name, out);
    case WH_LOC_FAMILY:
        return WH_ABSENT; /* a family is walked by who knows it is one */
    case WH_LOC_QUERY:
    case WH_LOC_FORM:
        form = loc->kind == WH_LOC_QUERY ? wh_ctx_query(c) : wh_ctx_form(c);
        if (!form) return loc->kind == WH_LOC_QUERY || !c->headers_only ? WH_BROKEN : WH_ABSENT;
        n = wh_form_get(form, loc->name, out);
        return n == 0 ? WH_ABSENT : n == 1 ? WH_FOUND : WH_TWICE;
    case WH_LOC_MULTIPART:
        if ((parts = ctx_parts(c)) == NULL) return WH_ABSENT;
        n = wh_multipart_get(parts, loc->name, out);
        return n == 0 ? WH_ABSENT : n == 1 ? WH_FOUND : WH_TWICE;
    case WH_LOC_JSON:
        json = wh_ctx_json(c);
        return json ? json_value(c, wh_path_walk(wh_json_root(json), loc->path), out) : WH_ABSENT;
    case WH_LOC_ITEM:
        return json_value(c, wh_path_walk(c->item, loc->path), out);
    case WH_LOC_CLAIM:
        return c->claims ? json_value(c, wh_path_walk(wh_json_root(c->claims), loc->path), out) : WH_ABSENT;
    case WH_LOC_FIELD:
        for (i = n = 0; i < c->n_fields; i++) {
            if (strcmp(c->fields[i].name, loc->name) == 0 && n++ == 0) *out = c->fields[i].value;
        }
        return n == 0 ? WH_ABSENT : n == 1 ? WH_FOUND : WH_TWICE;
    case WH_LOC_VAR:
        return text_value(apr_table_get(c->v->vars, loc->name), out);
    case WH_LOC_BASIC:
        return basic_value(c, out);
    case WH_LOC_BEARER:
        return bearer_value(c, out);
    case WH_LOC_BODY:
        if (c->headers_only) return WH_ABSENT;
        *out = req->body;
        return WH_FOUND;
    case WH_LOC_PAYLOAD:
        return ctx_payload(c, out);
    case WH_LOC_METHOD:
        return text_value(req->method, out);
    case WH_LOC_URL:
        return text_value(wh_ctx_url(c), out);
    case WH_LOC_URI:
        return text_value(req->uri, out);
    case WH_LOC_PATH:
        if (!req->uri) return WH_ABSENT;
        out->data = req->uri;
        out->len = strcspn(req->uri, "?");
        return WH_FOUND;
    case WH_LOC_QUERY_STRING:
        return text_value(req->query, out);
    case WH_LOC_HOST: {
        const char *url = wh_ctx_url(c), *host = strstr(url, "://");
        if (!host) return WH_ABSENT;
        out->data = host + 3;
        out->len = strcspn(host + 3, "/?#");
        return WH_FOUND;
    }
    case WH_LOC_TS:
        *out = c->ts_text;
        return c->have_ts ? WH_FOUND : WH_ABSENT;
    case WH_LOC_ID:
        *out = c->id_text;
        return c->have_id ? WH_FOUND : WH_ABSENT;
    case WH_LOC_KEYID:
        return text_value(c->keyid_text, out);
    case WH_LOC_KID:
        return text_value(c->kid, out);
    case WH_LOC_SECRET:
        return WH_ABSENT; /* never leaves the key; templates treat it apart */
    case WH_LOC_CRC32:
        if (c->headers_only) return WH_ABSENT;
        return text_value(apr_psprintf(c->p, "%u", crc32_ieee(req->body)), out);
    default:
        return c->headers_only ? WH_ABSENT : wh_build(c, loc->kind, out);
    }
}

wh_found wh_value(wh_vctx *c, const wh_locator *loc, webhook_slice *out)
{
    wh_found found = find(c, loc, out);
    apr_size_t i;
    char *text;

    if (!loc->lower || found != WH_FOUND) return found;
    text = apr_pmemdup(c->p, out->data, out->len + (out->len == 0));
    for (i = 0; i < out->len; i++) if (text[i] >= 'A' && text[i] <= 'Z') text[i] = (char)(text[i] + 32);
    out->data = text;
    return found;
}

wh_found wh_value_first(wh_vctx *c, const apr_array_header_t *locs, webhook_slice *out, const wh_locator **which)
{
    int i;

    for (i = 0; locs && i < locs->nelts; i++) {
        const wh_locator *loc = &APR_ARRAY_IDX(locs, i, wh_locator);
        wh_found found = wh_value(c, loc, out);
        if (found != WH_ABSENT) {
            if (which) *which = loc;
            return found;
        }
    }
    return WH_ABSENT;
}

const char *wh_value_text(wh_vctx *c, const wh_locator *loc)
{
    webhook_slice s;

    if (wh_value(c, loc, &s) != WH_FOUND || memchr(s.data, '\0', s.len)) return NULL;
    return apr_pstrmemdup(c->p, s.data, s.len);
}
