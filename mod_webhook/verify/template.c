/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.c: what is signed, as text with places: "{id}.{ts}.{body}". Compiled at configuration into parts; at a request resolved into
 * runs of bytes that are hashed one after the other, so that a body is never copied.
 *
 *   {place}               the value there; the request is refused when it is missing
 *   {place?}              nothing when it is missing
 *   {?before|place|after} all three, or nothing when it is missing
 *   {{ \n \\              a brace, a newline, a backslash
 */
#include "verify/scheme.h"

#include <openssl/crypto.h>
#include <string.h>

/* Read a literal up to the next placeholder, resolving escapes. @return the rest of the text */
static const char *take_literal(const char *s, const char **literal, apr_size_t *len, apr_pool_t *p)
{
    char *out = apr_palloc(p, strlen(s) + 1), *at = out;

    while (*s && !(*s == '{' && s[1] != '{')) {
        if (*s == '{') s++;
        else if (*s == '\\' && (s[1] == 'n' || s[1] == '\\')) {
            s++;
            *at++ = *s == 'n' ? '\n' : '\\';
            s++;
            continue;
        }
        *at++ = *s++;
    }
    *at = '\0';
    *literal = out;
    *len = (apr_size_t)(at - out);
    return s;
}

static const char *take_place(wh_part *part, const char *inner, apr_pool_t *p)
{
    apr_size_t len = strlen(inner);

    part->has_loc = 1;
    if (inner[0] == '?') {
        const char *bar = strchr(inner, '|'), *bar2 = bar ? strchr(bar + 1, '|') : NULL;
        if (!bar2) return apr_psprintf(p, "{%s} must be {?before|place|after}", inner);
        part->optional = 1;
        part->before = apr_pstrmemdup(p, inner + 1, (apr_size_t)(bar - inner - 1));
        part->after = apr_pstrdup(p, bar2 + 1);
        inner = apr_pstrmemdup(p, bar + 1, (apr_size_t)(bar2 - bar - 1));
    } else if (len > 1 && inner[len - 1] == '?') {
        part->optional = 1;
        part->before = part->after = "";
        inner = apr_pstrmemdup(p, inner, len - 1);
    }
    return wh_locator_compile(&part->loc, inner, p);
}

static void note_use(wh_template *t, const wh_locator *loc)
{
    switch (loc->kind) {
    case WH_LOC_BODY:
    case WH_LOC_PAYLOAD: t->uses_body = 1; break;
    case WH_LOC_URL: t->uses_url = 1; break;
    case WH_LOC_ID: t->uses_id = 1; break;
    case WH_LOC_TS: t->uses_ts = 1; break;
    case WH_LOC_SECRET: t->uses_secret = 1; break;
    case WH_LOC_FORM_SORTED:
    case WH_LOC_CONTENTFUL: t->uses_builder = t->uses_body = 1; break;
    case WH_LOC_PLIVO: t->uses_builder = t->uses_body = t->uses_url = 1; break;
    case WH_LOC_SNS: t->uses_builder = t->uses_body = 1; break;
    case WH_LOC_ATLASSIAN: t->uses_builder = 1; break;
    default: break;
    }
}

/* Single values that come from outside the body could otherwise swallow the text that follows them. */
static int needs_stop(const wh_locator *loc)
{
    return loc->kind == WH_LOC_HEADER || loc->kind == WH_LOC_QUERY || loc->kind == WH_LOC_FIELD || loc->kind == WH_LOC_ID;
}

const char *wh_template_compile(wh_template **out, const char *text, apr_pool_t *p)
{
    apr_array_header_t *parts = apr_array_make(p, 8, sizeof(wh_part));
    wh_template *t = apr_pcalloc(p, sizeof(*t));
    const char *s = text;
    int i;

    t->text = apr_pstrdup(p, text);
    while (*s) {
        wh_part *part = apr_array_push(parts);
        const char *end, *err;

        memset(part, 0, sizeof(*part));
        s = take_literal(s, &part->literal, &part->literal_len, p);
        if (!*s) break;
        if ((end = strchr(s, '}')) == NULL) return apr_psprintf(p, "\"%s\": '{' without '}' (a brace itself is written {{)", text);
        if ((err = take_place(part, apr_pstrmemdup(p, s + 1, (apr_size_t)(end - s - 1)), p)) != NULL) return err;
        note_use(t, &part->loc);
        s = end + 1;
        if (parts->nelts > WH_TEMPLATE_MAX_PARTS) {
            return apr_psprintf(p, "a template may have %d places at most", WH_TEMPLATE_MAX_PARTS);
        }
    }
    for (i = 0; i < parts->nelts; i++) {
        wh_part *part = &APR_ARRAY_IDX(parts, i, wh_part);
        if (!part->has_loc || !needs_stop(&part->loc)) continue;
        if (part->optional && part->after[0]) part->stop = part->after[0];
        else if (i + 1 < parts->nelts) part->stop = APR_ARRAY_IDX(parts, i + 1, wh_part).literal[0];
    }
    t->count = parts->nelts;
    t->parts = (const wh_part *)parts->elts;
    *out = t;
    return NULL;
}

wh_message *wh_message_room(const wh_template *t, apr_pool_t *p)
{
    wh_message *m = apr_palloc(p, sizeof(*m));

    m->count = 0;
    m->pieces = apr_palloc(p, (apr_size_t)(4 * t->count + 1) * sizeof(wh_piece)); /* literal, before, value, after */
    return m;
}

wh_message *wh_message_of(webhook_slice bytes, apr_pool_t *p)
{
    wh_message *m = apr_palloc(p, sizeof(*m));

    m->count = 1;
    m->pieces = apr_palloc(p, sizeof(wh_piece));
    m->pieces[0].kind = WH_PIECE_DATA;
    m->pieces[0].data = bytes;
    return m;
}

static void add(wh_message *m, const char *data, apr_size_t len)
{
    wh_piece *piece;

    if (len == 0) return;
    piece = &m->pieces[m->count++];
    piece->kind = WH_PIECE_DATA;
    piece->data.data = data;
    piece->data.len = len;
}

static int has_control(webhook_slice s)
{
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        unsigned char ch = (unsigned char)s.data[i];
        if (ch < 0x20 || ch == 0x7f) return 1;
    }
    return 0;
}

/* @return NULL, or the part that could not be had; *why says how */
static const wh_part *resolve(wh_vctx *c, const wh_template *t, wh_message *m, wh_found *why)
{
    int i;

    m->count = 0;
    for (i = 0; i < t->count; i++) {
        const wh_part *part = &t->parts[i];
        webhook_slice value;

        add(m, part->literal, part->literal_len);
        if (!part->has_loc) continue;
        if (part->loc.kind == WH_LOC_SECRET || (part->loc.kind == WH_LOC_KEYID && !c->keyid_text)) {
            m->pieces[m->count++].kind = part->loc.kind == WH_LOC_SECRET ? WH_PIECE_SECRET : WH_PIECE_KEYID;
            continue;
        }
        *why = wh_value(c, &part->loc, &value);
        if (*why == WH_ABSENT && part->optional) continue;
        if (*why == WH_FOUND && part->optional && !value.len) continue; /* nothing there is nothing to put words around */
        if (*why != WH_FOUND) return part;
        if (needs_stop(&part->loc) && ((part->stop && memchr(value.data, part->stop, value.len))
                                       || (part->loc.kind != WH_LOC_ID && has_control(value)))) { /* an id is of other characters */
            *why = WH_BROKEN;
            return part;
        }
        if (part->optional) add(m, part->before, strlen(part->before));
        add(m, value.data, value.len);
        if (part->optional) add(m, part->after, strlen(part->after));
    }
    return NULL;
}

int wh_template_resolve(wh_vctx *c, const wh_template *t, wh_message *m)
{
    wh_found why = WH_FOUND;
    const wh_part *bad = resolve(c, t, m, &why);

    if (!bad) return 1;
    if (why == WH_TWICE) return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", bad->loc.text);
    if (bad->loc.kind == WH_LOC_ID) return wh_deny(c, why == WH_ABSENT ? WH_REFUSAL_ID_MISSING : WH_REFUSAL_ID_MALFORMED,
                                                   "the id is %s", why == WH_ABSENT ? "missing" : "not well formed");
    if (bad->loc.kind == WH_LOC_TS) return wh_deny(c, WH_REFUSAL_TIMESTAMP_MISSING, "the timestamp is missing");
    if (why == WH_ABSENT) return wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "%s, which is part of the signature, is missing", bad->loc.text);
    return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "%s, which is part of the signature, is not well formed", bad->loc.text);
}

int wh_template_text(wh_vctx *c, const wh_template *t, webhook_slice *out)
{
    wh_message *m = wh_message_room(t, c->p);
    wh_found why = WH_FOUND;

    if (resolve(c, t, m, &why)) return 0;
    *out = wh_message_join(m, NULL, c->p);
    return 1;
}

static webhook_slice piece_bytes(const wh_piece *piece, const wh_key *key)
{
    webhook_slice s = { "", 0 };

    if (piece->kind == WH_PIECE_DATA) return piece->data;
    if (!key) return s;
    if (piece->kind == WH_PIECE_SECRET) {
        s.data = (const char *)key->raw;
        s.len = key->raw_len;
    } else {
        s.data = key->id;
        s.len = strlen(key->id);
    }
    return s;
}

webhook_slice wh_message_join(const wh_message *m, const wh_key *key, apr_pool_t *p)
{
    webhook_slice all = { "", 0 };
    char *room;
    int i;

    if (m->count == 1) return piece_bytes(&m->pieces[0], key);
    for (i = 0; i < m->count; i++) all.len += piece_bytes(&m->pieces[i], key).len;
    room = apr_palloc(p, all.len + 1);
    all.data = room;
    for (i = 0; i < m->count; i++) {
        webhook_slice s = piece_bytes(&m->pieces[i], key);
        if (s.len) memcpy(room, s.data, s.len);
        room += s.len;
    }
    *room = '\0';
    return all;
}

/* Into a digest, the short pieces together: a call of the library costs more than they do. */
static int digest_pieces(EVP_MD_CTX *ctx, const wh_message *m, const wh_key *key)
{
    unsigned char together[256];
    apr_size_t n = 0;
    int i, ok = 1, secret = 0;

    for (i = 0; ok && i < m->count; i++) {
        webhook_slice s = piece_bytes(&m->pieces[i], key);
        secret |= m->pieces[i].kind == WH_PIECE_SECRET;
        if (n && s.len > sizeof(together) - n) {
            ok = EVP_DigestUpdate(ctx, together, n) == 1;
            n = 0;
        }
        if (s.len > sizeof(together) || (n == 0 && i + 1 == m->count)) {
            ok = ok && EVP_DigestUpdate(ctx, s.data, s.len) == 1;
        } else if (s.len) {
            memcpy(together + n, s.data, s.len);
            n += s.len;
        }
    }
    if (ok && n) ok = EVP_DigestUpdate(ctx, together, n) == 1;
    if (secret) OPENSSL_cleanse(together, sizeof(together));
    return ok;
}

int wh_hash_message(const webhook_verifier *v, wh_digest d, const wh_message *m, const wh_key *key, unsigned char out[EVP_MAX_MD_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && v->md[d] && EVP_DigestInit_ex2(ctx, v->md[d], NULL) == 1 && digest_pieces(ctx, m, key);

    if (ok) ok = EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

int wh_mac_one(const wh_key *key, wh_digest d, const wh_message *m, unsigned char out[EVP_MAX_MD_SIZE])
{
    EVP_MD_CTX *ctx = key->inner[d] ? EVP_MD_CTX_new() : NULL;
    int ok = ctx && EVP_MD_CTX_copy_ex(ctx, key->inner[d]) == 1 && digest_pieces(ctx, m, key);

    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1 && EVP_MD_CTX_copy_ex(ctx, key->outer[d]) == 1
         && EVP_DigestUpdate(ctx, out, wh_digest_size(d)) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}
