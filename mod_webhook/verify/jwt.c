/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt.c: JSON Web Tokens in compact form (RFC 7515, 7519) with the rules of RFC 8725: the algorithm comes from the configuration and must
 * fit the key's type, keys come from the configuration alone (jku, x5u, jwk and x5c in the header are ignored, an unknown `crit` is
 * refused), kid is looked up exactly, and claims are compared with what the endpoint demands.
 *
 * Claim rules: NAME (present), NAME=TEXT|TEXT (any of, templates), NAME=hex:sha256:TEMPLATE (hash of a template), NAME?=... (may be
 * missing while the body is empty).
 */
#include "verify/scheme.h"

#include <openssl/crypto.h>
#include <string.h>
#include "core/units.h"

const char *wh_claim_compile(wh_claim_rule *out, const char *text, apr_pool_t *p)
{
    static const struct { const char *word; wh_encoding enc; } encodings[] = {
        { "hex:", WH_ENC_HEX }, { "base64:", WH_ENC_BASE64 }, { "base64url:", WH_ENC_BASE64URL } };
    const char *eq = strchr(text, '='), *value;
    apr_array_header_t *alternatives = apr_array_make(p, 2, sizeof(wh_template *));
    apr_size_t i, len = eq ? (apr_size_t)(eq - text) : strlen(text);
    char *copy, *at, *word;

    memset(out, 0, sizeof(*out));
    if (len && text[len - 1] == '?') {
        out->may_be_missing_without_body = 1;
        len--;
    }
    if (len == 0) return apr_psprintf(p, "claim \"%s\" has no name", text);
    out->name = apr_pstrmemdup(p, text, len);
    out->path = wh_path_compile(out->name, p);
    if (!out->path) return apr_psprintf(p, "claim \"%s\" is neither a.b.c nor a JSON Pointer", out->name);
    out->alternatives = alternatives;
    if (!eq) {
        out->present_only = 1;
        return NULL;
    }
    value = eq + 1;
    for (i = 0; i < 3; i++) {
        apr_size_t wlen = strlen(encodings[i].word);
        const char *colon;
        int d;
        if (strncmp(value, encodings[i].word, wlen) != 0 || (colon = strchr(value + wlen, ':')) == NULL) continue;
        d = wh_digest_find(apr_pstrmemdup(p, value + wlen, (apr_size_t)(colon - value) - wlen));
        if (d < 0) return apr_psprintf(p, "claim \"%s\": no digest of sha1, sha256, sha384, sha512", text);
        out->hashed = 1;
        out->encoding = encodings[i].enc;
        out->digest = (wh_digest)d;
        return wh_template_compile((wh_template **)apr_array_push(alternatives), colon + 1, p);
    }
    copy = apr_pstrdup(p, value);
    for (word = apr_strtok(copy, "|", &at); word; word = apr_strtok(NULL, "|", &at)) {
        const char *err = wh_template_compile((wh_template **)apr_array_push(alternatives), word, p);
        if (err) return err;
    }
    return alternatives->nelts ? NULL : apr_psprintf(p, "claim \"%s\" has no value", text);
}

typedef struct token {
    webhook_slice text;      /* whole */
    webhook_slice signing;   /* header.payload */
    wh_json *header, *claims;
    unsigned char *sig;
    apr_size_t sig_len;
    const wh_alg *alg;
    const char *kid;
} token;

static int segment(wh_vctx *c, const char *s, apr_size_t len, unsigned char **out, apr_size_t *out_len)
{
    apr_size_t max = wh_decoded_max(WH_ENC_BASE64URL, len);

    *out = apr_palloc(c->p, max + 1);
    return len > 0 && wh_decode(WH_ENC_BASE64URL, 0, s, len, *out, max, out_len) == APR_SUCCESS;
}

static int parse_part(wh_vctx *c, const char *s, apr_size_t len, wh_json **doc)
{
    unsigned char *bytes;
    webhook_slice text;
    wh_json_error err;

    if (!segment(c, s, len, &bytes, &text.len)) return 0;
    text.data = (const char *)bytes;
    if (wh_json_parse(doc, text, NULL, c->p, &err) == APR_SUCCESS) return wh_json_typeof(wh_json_root(*doc)) == WH_JSON_OBJECT;
    if (strcmp(err.reason, "memory") == 0) c->failed = 1;
    return 0;
}

static int find_token(wh_vctx *c, webhook_slice *out)
{
    const webhook_verifier *v = c->v;
    const wh_locator *which = NULL;
    apr_size_t plen = v->prefix ? strlen(v->prefix) : 0;
    wh_found found = wh_value_first(c, v->signatures, out, &which);

    if (found == WH_ABSENT) {
        return wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "%s is missing", APR_ARRAY_IDX(v->signatures, 0, wh_locator).text);
    }
    if (found == WH_TWICE) return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", which->text);
    if (found == WH_FOUND && plen) {
        if (out->len >= plen && (v->lenient & WH_LENIENT_CASE ? strncasecmp(out->data, v->prefix, plen) == 0
                                                              : strncmp(out->data, v->prefix, plen) == 0)) {
            out->data += plen;
            out->len -= plen;
        } else if (!(v->lenient & WH_LENIENT_BARE)) {
            found = WH_BROKEN;
        }
    }
    /* No token holds a comma: base64url and dots. */
    if (found == WH_FOUND && wh_folded(which, *out)) return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", which->text);
    /* 16 KiB: more than any header line httpd takes; a body that is a token may be longer */
    if (found != WH_FOUND || out->len < 5 || out->len > (which->kind == WH_LOC_BODY ? 1u << 20 : 1u << 14)) {
        return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "%s does not hold a token as this scheme writes it", which->text);
    }
    return 1;
}

static int parse_token(wh_vctx *c, token *t)
{
    const char *dot, *dot2, *end = t->text.data + t->text.len;
    webhook_slice alg, kid;
    int i;

    dot = memchr(t->text.data, '.', t->text.len);
    dot2 = dot ? memchr(dot + 1, '.', (apr_size_t)(end - dot - 1)) : NULL;
    if (!dot2 || memchr(dot2 + 1, '.', (apr_size_t)(end - dot2 - 1))) {
        return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "the token does not have three segments");
    }
    t->signing.data = t->text.data;
    t->signing.len = (apr_size_t)(dot2 - t->text.data);
    if (!parse_part(c, t->text.data, (apr_size_t)(dot - t->text.data), &t->header)
        || !parse_part(c, dot + 1, (apr_size_t)(dot2 - dot - 1), &t->claims)) {
        return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "the token's header or claims are not base64url of a JSON object");
    }
    alg = wh_json_string(wh_json_get(wh_json_root(t->header), "alg"));
    for (i = 0; i < c->v->algorithms->nelts; i++) {
        const wh_named_alg *a = &APR_ARRAY_IDX(c->v->algorithms, i, wh_named_alg);
        if (strlen(a->label) == alg.len && memcmp(a->label, alg.data, alg.len) == 0) t->alg = a->alg;
    }
    if (!t->alg) return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "the token's algorithm is not one this endpoint takes");
    if (wh_json_get(wh_json_root(t->header), "crit")) {
        return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "the token demands extensions that are not understood");
    }
    kid = wh_json_string(wh_json_get(wh_json_root(t->header), "kid"));
    if (kid.len && kid.len < 1024) t->kid = apr_pstrmemdup(c->p, kid.data, kid.len);
    if (!segment(c, dot2 + 1, (apr_size_t)(end - dot2 - 1), &t->sig, &t->sig_len)) {
        return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "the token's signature is not base64url");
    }
    return 1;
}

int wh_jwt_screen(wh_vctx *c)
{
    token t;
    const wh_locator *loc = &APR_ARRAY_IDX(c->v->signatures, 0, wh_locator);

    memset(&t, 0, sizeof(t));
    if (loc->kind != WH_LOC_HEADER && loc->kind != WH_LOC_QUERY) return 1;
    return find_token(c, &t.text) && parse_token(c, &t);
}

/* NumericDate (RFC 7519 section 2): seconds, a fraction allowed; anything else is not one. @return 1 there, 0 absent, -1 broken */
static int numeric_date(wh_vctx *c, const wh_json *claims, const char *name, apr_time_t *out)
{
    const wh_json_value *v = wh_json_get(wh_json_root(claims), name);
    const char *text;
    apr_size_t whole;
    apr_int64_t n;

    if (!v) return 0;
    if (wh_json_typeof(v) != WH_JSON_NUMBER || (text = wh_json_number(v, c->p)) == NULL) return -1;
    whole = strspn(text, "0123456789");
    if (whole == 0 || whole > 12 || wh_parse_int(text, whole, 0, APR_INT64_C(999999999999), &n) != APR_SUCCESS) return -1;
    if (text[whole] == '.') {
        apr_size_t digits = strspn(text + whole + 1, "0123456789");
        if (digits == 0 || text[whole + 1 + digits]) return -1;
    } else if (text[whole]) {
        return -1;
    }
    *out = n * APR_USEC_PER_SEC;
    return 1;
}

static int check_times(wh_vctx *c, const wh_json *claims)
{
    const webhook_verifier *v = c->v;
    apr_time_t exp = 0, nbf = 0, iat = 0, now = c->req->now;
    int has_exp = numeric_date(c, claims, "exp", &exp), has_nbf = numeric_date(c, claims, "nbf", &nbf);
    int has_iat = numeric_date(c, claims, "iat", &iat);

    if (has_exp < 0 || has_nbf < 0 || has_iat < 0) {
        return wh_deny(c, WH_REFUSAL_TIMESTAMP_MALFORMED, "exp, nbf or iat of the token is not a time");
    }
    if (has_exp && now >= exp + v->leeway) return wh_deny(c, WH_REFUSAL_TIMESTAMP_OUTSIDE, "the token has expired");
    if (has_nbf && now < nbf - v->leeway) return wh_deny(c, WH_REFUSAL_TIMESTAMP_OUTSIDE, "the token is not valid yet");
    if (has_iat && iat - v->leeway > now) return wh_deny(c, WH_REFUSAL_TIMESTAMP_OUTSIDE, "the token was issued in the future");
    if (v->max_age) {
        if (!has_iat) return wh_deny(c, WH_REFUSAL_TIMESTAMP_MISSING, "the token does not say when it was issued");
        if (now - iat > v->max_age + v->leeway) {
            return wh_deny(c, WH_REFUSAL_TIMESTAMP_OUTSIDE, "the token is older than %s", wh_format_duration(v->max_age, c->p));
        }
    }
    c->verdict->timestamp = has_iat ? iat : has_nbf ? nbf : 0;
    return 1;
}

static int slice_equal(webhook_slice a, webhook_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A claim that is an array of strings (aud) is satisfied by any of them. */
static int claim_has(wh_vctx *c, const wh_json_value *v, webhook_slice want)
{
    webhook_slice have;
    const char *text;
    apr_size_t i;

    if (wh_json_typeof(v) == WH_JSON_ARRAY) {
        for (i = 0; i < wh_json_size(v); i++) {
            const wh_json_value *e = wh_json_at(v, i);
            if (wh_json_typeof(e) == WH_JSON_STRING && slice_equal(wh_json_string(e), want)) return 1;
        }
        return 0;
    }
    if (wh_json_typeof(v) == WH_JSON_STRING) return slice_equal(wh_json_string(v), want);
    if ((text = wh_json_text(v, c->p)) == NULL) return 0;
    have.data = text;
    have.len = strlen(text);
    return slice_equal(have, want);
}

static int hashed_claim(wh_vctx *c, const wh_claim_rule *rule, const wh_json_value *v, webhook_slice message)
{
    unsigned char md[EVP_MAX_MD_SIZE], room[128];
    webhook_slice text = wh_json_string(v);
    apr_size_t len;

    if (!text.len || text.len > 130 || wh_decoded_max(rule->encoding, text.len) > sizeof(room)
        || wh_decode(rule->encoding, rule->encoding == WH_ENC_BASE64URL ? WH_DECODE_PADDED : 0, text.data, text.len, room, sizeof(room),
                     &len) != APR_SUCCESS) {
        return 0;
    }
    if (!wh_hash_bytes(c->v, rule->digest, message.data, message.len, md)) {
        c->failed = 1;
        return 0;
    }
    return wh_equal(room, len, md, wh_digest_size(rule->digest));
}

static int rule_holds(wh_vctx *c, const wh_claim_rule *rule, const wh_json_value *v)
{
    int i, round;

    for (i = 0; i < rule->alternatives->nelts; i++) {
        const wh_template *t = APR_ARRAY_IDX(rule->alternatives, i, wh_template *);
        const char *url = t->uses_url ? wh_ctx_url(c) : NULL;
        const char *other = url && c->v->url_ports ? wh_url_other_port(url, c->p) : NULL;
        int holds = 0;
        for (round = 0; round < (other ? 2 : 1) && !holds; round++) {
            webhook_slice want;
            if (round) c->url = other;
            if (wh_template_text(c, t, &want)) holds = rule->hashed ? hashed_claim(c, rule, v, want) : claim_has(c, v, want);
        }
        if (url) c->url = url;
        if (holds) return 1;
    }
    return 0;
}

static int check_claims(wh_vctx *c, const wh_json *claims)
{
    int i;

    for (i = 0; i < c->v->claims->nelts; i++) {
        const wh_claim_rule *rule = &APR_ARRAY_IDX(c->v->claims, i, wh_claim_rule);
        const wh_json_value *v = wh_path_walk(wh_json_root(claims), rule->path);

        if (!v) {
            if (rule->may_be_missing_without_body && c->req->body.len == 0) continue;
            return wh_deny(c, WH_REFUSAL_CLAIM_MISMATCH, "the token has no claim %s", rule->name);
        }
        if (rule->present_only || rule_holds(c, rule, v)) continue;
        if (rule->hashed && APR_ARRAY_IDX(rule->alternatives, 0, wh_template *)->uses_body) {
            return wh_deny(c, WH_REFUSAL_DIGEST_MISMATCH, "the body does not match claim %s", rule->name);
        }
        return wh_deny(c, WH_REFUSAL_CLAIM_MISMATCH, "claim %s does not have the value this endpoint demands", rule->name);
    }
    return 1;
}

/* The keys this token may have been signed with: by kid where the keys come with one */
static int key_applies(const token *t, const wh_key *key)
{
    if (!wh_alg_fits_key(t->alg, key)) return 0;
    return !t->kid || !key->has_kid || strcmp(t->kid, key->id) == 0;
}

void wh_jwt_verify(wh_vctx *c, const webhook_secrets *secrets)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    const wh_key **keys;
    wh_message *m;
    token t;
    int n_keys, k, hit = -1, tried = 0, have_md = 0;

    memset(&t, 0, sizeof(t));
    if (!wh_common_before(c) || !find_token(c, &t.text) || !parse_token(c, &t)) return;
    c->claims = t.claims; /* not believed yet: only the key id may come from them */
    c->kid = t.kid;
    if (!wh_keys_usable(c, secrets, &keys, &n_keys)) return;
    m = wh_message_of(t.signing, c->p);
    for (k = 0; k < n_keys; k++) {
        int ok = 0;
        if (!key_applies(&t, keys[k])) continue;
        tried++;
        if (t.alg->kind == WH_ALG_DIGEST) {
            ok = !wh_mac_one(keys[k], t.alg->digest, m, md) ? -1 : wh_equal(md, wh_digest_size(t.alg->digest), t.sig, t.sig_len);
        } else {
            if (!have_md && t.alg->kind != WH_ALG_ED25519) have_md = wh_hash_message(c->v, t.alg->digest, m, NULL, md);
            ok = !have_md && t.alg->kind != WH_ALG_ED25519 ? -1 : wh_public_verify(keys[k], t.alg, md, t.signing, t.sig, t.sig_len);
        }
        if (ok < 0) c->failed = 1;
        if (ok > 0 && hit < 0) hit = k;
    }
    if (!tried) wh_key_missing(c, "the token names a key this endpoint does not have, or one of another type");
    else if (hit < 0) wh_deny(c, WH_REFUSAL_SIGNATURE_MISMATCH, "no secret of this endpoint gives this token's signature");
    else if (check_times(c, t.claims)) {
        c->keyid_text = keys[hit]->id;
        c->matched = m;
        if (check_claims(c, t.claims)) wh_accept_verdict(c, keys[hit]);
    }
}
