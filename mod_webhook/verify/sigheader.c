/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigheader.c: how senders write signatures. Every form ends in the same thing: candidates, each decoded bytes of exactly the length the
 * algorithm gives, and named fields (a timestamp beside the signature).
 *
 *   plain     PREFIXdigest                              X-Hub-Signature-256: sha256=...
 *   list      PREFIXdigest SEP PREFIXdigest ...         any may match
 *   pairs     name=value SEP name=value ...             Stripe-Signature: t=...,v1=...   (the field that counts is named)
 *   labelled  label,digest SP label,digest ...          webhook-signature: v1,... v1a,...
 *   method    algorithm=digest                          WebSub
 *   keyed     keyid|digest SEP keyid|digest ...         Braintree
 *
 * One entry of the wanted kind that is not well formed spoils the whole: two lines folded into one, or a value written twice in a row,
 * would otherwise leave a good entry among the debris. Entries of other kinds (v0, v1a) are passed over.
 */
#include "verify/scheme.h"

#include <apr_lib.h>
#include <string.h>

static const wh_named_alg *alg_labelled(const webhook_verifier *v, const char *label, apr_size_t len)
{
    int i;

    for (i = 0; i < v->algorithms->nelts; i++) {
        const wh_named_alg *a = &APR_ARRAY_IDX(v->algorithms, i, wh_named_alg);
        if (strlen(a->label) == len && strncmp(a->label, label, len) == 0) return a;
    }
    return NULL;
}

/* Signature length by algorithm; 0: not fixed */
static apr_size_t expected_length(const wh_alg *alg)
{
    switch (alg->kind) {
    case WH_ALG_DIGEST: return wh_digest_size(alg->digest);
    case WH_ALG_ED25519:
    case WH_ALG_ECDSA_RAW: return 64;
    default: return 0;
    }
}

/* @return 1 added, 0 not well formed or of the wrong length, -1 too many */
static int add_candidate(wh_vctx *c, const char *text, apr_size_t len, const wh_alg *alg, const char *keyid, int soft)
{
    const webhook_verifier *v = c->v;
    const wh_alg *real = alg ? alg : APR_ARRAY_IDX(v->algorithms, 0, wh_named_alg).alg;
    int flags = 0;
    apr_size_t max, out_len, want = expected_length(real);
    unsigned char *room;
    wh_candidate *cand;

    if (len == 0) return 0;
    if (v->encoding == WH_ENC_HEX && (v->lenient & WH_LENIENT_UPPER)) flags |= WH_DECODE_UPPER;
    if (v->encoding != WH_ENC_HEX) {
        if (v->lenient & WH_LENIENT_TRAILING) flags |= WH_DECODE_TRAILING;
        if (v->lenient & WH_LENIENT_UNPADDED) flags |= WH_DECODE_UNPADDED;
        if (v->lenient & WH_LENIENT_PADDED) flags |= WH_DECODE_PADDED;
    }
    max = wh_decoded_max(v->encoding, len);
    if (max > 2048) return 0; /* no signature of ours is longer than RSA 16384 */
    room = apr_palloc(c->p, max + 1);
    if (wh_decode(v->encoding, flags, text, len, room, max, &out_len) != APR_SUCCESS) return 0;
    if (out_len == 0 || (want && out_len != want)) return 0;
    if (c->n_candidates == WH_MAX_CANDIDATES) return -1;
    cand = &c->candidates[c->n_candidates++];
    cand->bytes = room;
    cand->len = out_len;
    cand->alg = alg;
    cand->keyid = keyid;
    cand->keyid_soft = soft;
    return 1;
}

static int has_prefix(const webhook_verifier *v, const char *text, apr_size_t len, const char *prefix, apr_size_t plen)
{
    if (len < plen) return 0;
    return v->lenient & WH_LENIENT_CASE ? strncasecmp(text, prefix, plen) == 0 : strncmp(text, prefix, plen) == 0;
}

static int add_plain(wh_vctx *c, const char *text, apr_size_t len, const char *slot)
{
    const webhook_verifier *v = c->v;
    apr_size_t plen = v->prefix ? strlen(v->prefix) : 0;

    if (plen && has_prefix(v, text, len, v->prefix, plen)) {
        text += plen;
        len -= plen;
    } else if (plen && !(v->lenient & WH_LENIENT_BARE)) {
        return 0;
    }
    return add_candidate(c, text, len, NULL, slot, slot != NULL);
}

/* Next item of a separated list; blanks behind a separator only where the scheme has them. @return 0 at the end, -1 for an empty item */
static int next_item(webhook_slice s, apr_size_t *at, char sep, int spaces, const char **item, apr_size_t *len)
{
    const char *end;

    if (*at > s.len) return 0;
    if (spaces && *at > 0) {
        while (*at < s.len && (s.data[*at] == ' ' || s.data[*at] == '\t')) (*at)++;
    }
    *item = s.data + *at;
    end = *at < s.len ? memchr(*item, sep, s.len - *at) : NULL;
    *len = end ? (apr_size_t)(end - *item) : s.len - *at;
    *at += *len + 1;
    return *len ? 1 : -1;
}

int wh_fields_parse(wh_vctx *c, webhook_slice value, char separator, int spaces)
{
    apr_size_t at = 0, len;
    const char *item;
    int rc;

    while ((rc = next_item(value, &at, separator, spaces, &item, &len)) > 0) {
        const char *eq = memchr(item, '=', len);
        apr_size_t i, nlen = eq ? (apr_size_t)(eq - item) : 0;
        wh_field *f;

        if (nlen == 0 || c->n_fields == WH_MAX_FIELDS) return 0;
        for (i = 0; i < nlen; i++) {
            if (!apr_isalnum(item[i]) && item[i] != '_' && item[i] != '-') return 0;
        }
        f = &c->fields[c->n_fields++];
        f->name = apr_pstrmemdup(c->p, item, nlen);
        f->value.data = eq + 1;
        f->value.len = len - nlen - 1;
    }
    return rc == 0;
}

/* @return 1, or 0 when the value is not well formed as a whole */
static int read_value(wh_vctx *c, webhook_slice value, const char *slot)
{
    const webhook_verifier *v = c->v;
    int spaces = (v->lenient & WH_LENIENT_SPACES) != 0, rc, i, first_field = c->n_fields;
    apr_size_t at = 0, len;
    const char *item, *mark;

    switch (v->syntax) {
    case WH_SYN_PLAIN:
        return add_plain(c, value.data, value.len, slot) > 0;
    case WH_SYN_LIST:
        while ((rc = next_item(value, &at, v->separator, spaces, &item, &len)) > 0) {
            if (add_plain(c, item, len, slot) <= 0) return 0;
        }
        return rc == 0;
    case WH_SYN_PAIRS:
        if (!wh_fields_parse(c, value, v->separator, spaces)) return 0;
        for (i = first_field; i < c->n_fields; i++) {
            if (strcmp(c->fields[i].name, v->field) != 0) continue;
            if (add_plain(c, c->fields[i].value.data, c->fields[i].value.len, slot) <= 0) return 0;
        }
        return 1;
    case WH_SYN_LABELLED:
        while ((rc = next_item(value, &at, v->separator, spaces, &item, &len)) > 0) {
            mark = memchr(item, ',', len);
            if (!mark) {
                if (!(v->lenient & WH_LENIENT_BARE)) continue;
                mark = item - 1;
            } else if ((apr_size_t)(mark - item) != strlen(v->field) || strncmp(item, v->field, (apr_size_t)(mark - item)) != 0) {
                continue;
            }
            if (add_candidate(c, mark + 1, len - (apr_size_t)(mark + 1 - item), NULL, slot, slot != NULL) <= 0) return 0;
        }
        return rc == 0;
    case WH_SYN_METHOD: {
        const wh_named_alg *a;
        mark = memchr(value.data, '=', value.len);
        if (!mark || (a = alg_labelled(v, value.data, (apr_size_t)(mark - value.data))) == NULL) return 0;
        return add_candidate(c, mark + 1, value.len - (apr_size_t)(mark + 1 - value.data), a->alg, slot, slot != NULL) > 0;
    }
    case WH_SYN_KEYED:
        while ((rc = next_item(value, &at, v->separator, spaces, &item, &len)) > 0) {
            mark = memchr(item, '|', len);
            if (!mark || mark == item) return 0;
            if (add_candidate(c, mark + 1, len - (apr_size_t)(mark + 1 - item), NULL,
                              apr_pstrmemdup(c->p, item, (apr_size_t)(mark - item)), 0) <= 0) return 0;
        }
        return rc == 0;
    }
    return 0;
}

typedef struct family {
    wh_vctx *c;
    const wh_locator *loc;
    int seen, bad, twice, folded;
    const char *names[WH_MAX_CANDIDATES];
} family;

static int family_entry(void *baton, const char *name, const char *value)
{
    family *f = baton;
    apr_size_t plen = strlen(f->loc->name), i;
    webhook_slice s = { value, strlen(value) };
    int k;

    if (strncasecmp(name, f->loc->name, plen) != 0 || !name[plen]) return 1;
    if (name[plen] == '0') return 1; /* members are numbered from 1, without leading zeros */
    for (i = plen; name[i]; i++) {
        if (!apr_isdigit(name[i])) return 1;
    }
    for (k = 0; k < f->seen; k++) {
        if (strcasecmp(f->names[k], name) == 0) f->twice = 1;
    }
    if (f->seen == WH_MAX_CANDIDATES) {
        f->bad = 1;
        return 0;
    }
    f->names[f->seen++] = name;
    if (!read_value(f->c, s, NULL)) {
        f->bad = 1;
        f->folded |= wh_folded(f->loc, s);
    }
    return 1;
}

static int repeated_entry(void *baton, const char *name, const char *value)
{
    family *f = baton;
    webhook_slice s = { value, strlen(value) };
    apr_size_t at = 0, len;
    const char *item;
    int rc;

    (void)name;
    /* httpd may have folded the lines into one: "a, b" */
    while ((rc = next_item(s, &at, ',', 1, &item, &len)) > 0) {
        webhook_slice one = { item, len };
        if (++f->seen > WH_MAX_CANDIDATES || !read_value(f->c, one, f->loc->slot)) f->bad = 1;
    }
    if (rc < 0) f->bad = 1; /* an empty signature is one that is not well formed, also among others */
    return 1;
}

static const char *signature_names(wh_vctx *c)
{
    const char *names = "";
    int i;

    for (i = 0; i < c->v->signatures->nelts; i++) {
        names = apr_pstrcat(c->p, names, i ? " or " : "", APR_ARRAY_IDX(c->v->signatures, i, wh_locator).text, NULL);
    }
    return names;
}

/* Whether a value that is not well formed was two. Pairs are, when the first one's name comes again behind a comma and a blank. */
static int was_folded(wh_vctx *c, const wh_locator *loc, webhook_slice value)
{
    const webhook_verifier *v = c->v;
    const char *eq;

    if (!wh_folded(loc, value) || (v->separator == ',' && (v->lenient & WH_LENIENT_SPACES))) return 0;
    if (v->syntax != WH_SYN_PAIRS || v->separator != ',') return 1;
    eq = memchr(value.data, '=', value.len);
    return eq && strstr(apr_pstrmemdup(c->p, value.data, value.len),
                        apr_pstrcat(c->p, ", ", apr_pstrmemdup(c->p, value.data, (apr_size_t)(eq + 1 - value.data)), NULL)) != NULL;
}

int wh_signatures_collect(wh_vctx *c)
{
    const webhook_verifier *v = c->v;
    int i, seen = 0, bad = 0, folded = 0;

    c->n_candidates = c->n_fields = 0;
    for (i = 0; i < v->signatures->nelts; i++) {
        const wh_locator *loc = &APR_ARRAY_IDX(v->signatures, i, wh_locator);
        family f;
        webhook_slice value;
        wh_found found;

        memset(&f, 0, sizeof(f));
        f.c = c;
        f.loc = loc;
        if (loc->kind == WH_LOC_FAMILY) {
            if (c->req->headers) apr_table_do(family_entry, &f, c->req->headers, NULL);
            folded |= f.folded;
            if (f.twice) return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s# is there more than once for one number", loc->name);
            seen += f.seen;
            bad |= f.bad;
            continue;
        }
        if (loc->kind == WH_LOC_HEADER && (v->lenient & WH_LENIENT_REPEAT)) {
            if (c->req->headers) apr_table_do(repeated_entry, &f, c->req->headers, loc->name, NULL);
            seen += f.seen;
            bad |= f.bad;
            continue;
        }
        found = wh_value(c, loc, &value);
        if (found == WH_ABSENT) continue;
        if (found == WH_TWICE) return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", loc->text);
        seen++;
        if (found == WH_BROKEN || !read_value(c, value, loc->slot)) {
            bad = 1;
            folded |= was_folded(c, loc, value);
        }
    }
    if (!seen) return wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "%s is missing", signature_names(c));
    if (bad && folded) return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", signature_names(c));
    if (bad || c->n_candidates == 0) {
        return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "%s is not written as this scheme writes it", signature_names(c));
    }
    return 1;
}
