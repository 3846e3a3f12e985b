/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.c: the headers a sender of the scheme would send, from the same options that verify it. What lies inside a body cannot be put there
 * from outside; those schemes say so.
 */
#include "verify/scheme.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

const char *wh_private_sign(const wh_key *key, const wh_alg *alg, const webhook_verifier *v, webhook_slice msg, unsigned char **sig,
                            apr_size_t *len, apr_pool_t *p)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    int ed = alg->kind == WH_ALG_ED25519, ok;

    if (!key->has_private || !wh_alg_fits_key(alg, key)) {
        EVP_MD_CTX_free(ctx);
        return "signing needs the private key of the scheme's algorithm";
    }
    *len = (apr_size_t)EVP_PKEY_get_size(key->pkey);
    *sig = apr_palloc(p, *len);
    ok = ctx && EVP_DigestSignInit_ex(ctx, &pctx, ed ? NULL : wh_digest_name(alg->digest), NULL, NULL, key->pkey, NULL) == 1;
    if (ok && alg->kind == WH_ALG_RSA_PSS) {
        ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1
             && EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    ok = ok && EVP_DigestSign(ctx, *sig, len, (const unsigned char *)msg.data, msg.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    if (ok && alg->kind == WH_ALG_ECDSA_RAW) {
        const unsigned char *der = *sig;
        ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)*len);
        unsigned char *raw = apr_palloc(p, 64);
        ok = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, 32) == 32 && BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + 32, 32) == 32;
        ECDSA_SIG_free(pair);
        *sig = raw;
        *len = 64;
    }
    (void)v;
    return ok ? NULL : "the signature could not be made";
}

static const char *header_name(const wh_locator *loc, apr_pool_t *p)
{
    if (loc->kind == WH_LOC_HEADER) return loc->name;
    if (loc->kind == WH_LOC_FAMILY) return apr_pstrcat(p, loc->name, "1", NULL);
    return NULL;
}

static const wh_locator *first_locator(const apr_array_header_t *locs)
{
    return locs && locs->nelts ? &APR_ARRAY_IDX(locs, 0, wh_locator) : NULL;
}

/* A header the sender adds: into the answer, and into what the template sees */
static void put(apr_table_t *out, apr_table_t *seen, const char *name, const char *value)
{
    apr_table_set(out, name, value);
    apr_table_set(seen, name, value);
}

static const char *sign_token(const webhook_verifier *v, const wh_key *key, apr_table_t *headers, apr_pool_t *p)
{
    const wh_locator *loc = first_locator(v->signatures);
    const char *secret = apr_pstrmemdup(p, (const char *)key->raw, key->raw_len);
    int i;

    for (i = v->signatures->nelts; i-- > 0;) { /* the first of its places that is a header */
        const wh_locator *l = &APR_ARRAY_IDX(v->signatures, i, wh_locator);
        if (l->kind == WH_LOC_HEADER || l->kind == WH_LOC_BEARER || l->kind == WH_LOC_BASIC) loc = l;
    }
    switch (loc->kind) {
    case WH_LOC_HEADER:
        apr_table_set(headers, loc->name, apr_pstrcat(p, v->prefix ? v->prefix : "", secret, NULL));
        return NULL;
    case WH_LOC_BEARER:
        apr_table_set(headers, "Authorization", apr_pstrcat(p, "Bearer ", secret, NULL));
        return NULL;
    case WH_LOC_BASIC:
        apr_table_set(headers, "Authorization", apr_pstrcat(p, "Basic ", wh_encode(WH_ENC_BASE64, key->raw, key->raw_len, p), NULL));
        return NULL;
    default:
        return apr_psprintf(p, "the token of this scheme is at %s, not in a header", loc->text);
    }
}

/* The signature as the scheme writes it */
static const char *written(const webhook_verifier *v, const wh_key *key, const unsigned char *sig, apr_size_t len, const char *ts, apr_pool_t *p)
{
    const char *text = wh_encode(v->encoding, sig, len, p), *prefix = v->prefix ? v->prefix : "";
    char sep[2] = { v->separator, '\0' };
    const wh_locator *ts_loc = first_locator(v->ts_locs);

    switch (v->syntax) {
    case WH_SYN_PAIRS:
        if (ts_loc && ts_loc->kind == WH_LOC_FIELD) return apr_pstrcat(p, ts_loc->name, "=", ts, sep, v->field, "=", prefix, text, NULL);
        return apr_pstrcat(p, v->field, "=", prefix, text, NULL);
    case WH_SYN_LABELLED:
        return apr_pstrcat(p, v->field, ",", text, NULL);
    case WH_SYN_METHOD:
        return apr_pstrcat(p, APR_ARRAY_IDX(v->algorithms, v->algorithms->nelts > 1 ? 1 : 0, wh_named_alg).label, "=", text, NULL);
    case WH_SYN_KEYED:
        return apr_pstrcat(p, key->id, "|", text, NULL);
    default:
        return apr_pstrcat(p, prefix, text, NULL);
    }
}

static const char *sign_message(wh_vctx *c, const wh_key *key, apr_table_t *headers, apr_table_t *seen)
{
    const webhook_verifier *v = c->v;
    const wh_locator *loc = first_locator(v->signatures), *ts_loc = first_locator(v->ts_locs);
    const char *name = header_name(loc, c->p), *ts = NULL, *err;
    /* With syntax=method the second algorithm is sha256 where the row lists sha1 first. */
    const wh_alg *alg = APR_ARRAY_IDX(v->algorithms, v->syntax == WH_SYN_METHOD && v->algorithms->nelts > 1 ? 1 : 0, wh_named_alg).alg;
    unsigned char md[EVP_MAX_MD_SIZE], *sig = md;
    apr_size_t len = wh_digest_size(alg->digest);
    wh_message *m = wh_message_room(v->message, c->p);
    int i;

    if (!name || v->items) return apr_psprintf(c->p, "the signature of this scheme is at %s, not in a header", loc->text);
    if (ts_loc) {
        ts = wh_time_format(v->unit, c->req->now, c->p);
        if (ts_loc->kind == WH_LOC_HEADER) put(headers, seen, ts_loc->name, ts);
        c->ts_text.data = ts;
        c->ts_text.len = strlen(ts);
        c->have_ts = 1;
    }
    if (v->has_keyid && v->keyid.kind == WH_LOC_HEADER) put(headers, seen, v->keyid.name, key->id);
    for (i = 0; i < v->message->count; i++) {
        const wh_part *part = &v->message->parts[i];
        if (part->has_loc && part->loc.kind == WH_LOC_CONTENTFUL && !apr_table_get(seen, "x-contentful-signed-headers")) {
            put(headers, seen, "x-contentful-signed-headers", "x-contentful-signed-headers,x-contentful-timestamp");
        }
    }
    if (v->message->uses_id && !wh_id_restrict(c)) return c->verdict->detail;
    if (!wh_template_resolve(c, v->message, m)) return c->verdict->detail;
    if (v->primitive == WH_PUBLIC_KEY) {
        if ((err = wh_private_sign(key, alg, v, wh_message_join(m, key, c->p), &sig, &len, c->p)) != NULL) return err;
    } else if (!(v->primitive == WH_HASH ? wh_hash_message(v, alg->digest, m, key, md) : wh_mac_one(key, alg->digest, m, md))) {
        return "the signature could not be made";
    }
    apr_table_set(headers, name, written(v, key, sig, len, ts, c->p));
    return NULL;
}

/* ---- tokens ---- */

static void put_claim(wh_buf *b, const char *name, const char *value)
{
    if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) wh_json_put_member_bool(b, name, value[0] == 't');
    else wh_json_put_member(b, name, value);
}

const char *wh_jwt_sign(wh_vctx *c, const wh_key *key, const char *sender_id, const char **token)
{
    const webhook_verifier *v = c->v;
    const wh_named_alg *alg = &APR_ARRAY_IDX(v->algorithms, 0, wh_named_alg);
    apr_int64_t now = c->req->now / APR_USEC_PER_SEC;
    unsigned char md[EVP_MAX_MD_SIZE], *sig = md;
    apr_size_t len;
    webhook_slice text;
    wh_buf head, body;
    const char *err;
    int i;

    for (i = 0; i < v->algorithms->nelts; i++) { /* the first that this key is for */
        if (wh_alg_fits_key(APR_ARRAY_IDX(v->algorithms, i, wh_named_alg).alg, key)) break;
    }
    if (i < v->algorithms->nelts) alg += i;
    len = wh_digest_size(alg->alg->digest);
    wh_buf_init(&head, c->p, 128);
    wh_buf_adds(&head, "{");
    wh_json_put_member(&head, "alg", alg->label);
    wh_json_put_member(&head, "typ", "JWT");
    if (v->has_keyid && v->keyid.kind == WH_LOC_KID) wh_json_put_member(&head, "kid", key->id);
    wh_buf_adds(&head, "}");
    wh_buf_init(&body, c->p, 512);
    wh_buf_adds(&body, "{");
    wh_json_put_member_int(&body, "iat", now);
    wh_json_put_member_int(&body, "nbf", now);
    wh_json_put_member_int(&body, "exp", now + 300);
    if (v->has_keyid && v->keyid.kind == WH_LOC_CLAIM) wh_json_put_member(&body, v->keyid.name, key->id);
    c->keyid_text = key->id;
    for (i = 0; i < v->claims->nelts; i++) {
        const wh_claim_rule *rule = &APR_ARRAY_IDX(v->claims, i, wh_claim_rule);
        if (strcmp(rule->name, "iat") == 0 || strcmp(rule->name, "nbf") == 0 || strcmp(rule->name, "exp") == 0) continue;
        if (rule->path[1]) return apr_psprintf(c->p, "claim %s is nested, which cannot be signed", rule->name);
        if (rule->present_only) {
            put_claim(&body, rule->name, sender_id ? sender_id : "1");
            continue;
        }
        if (!wh_template_text(c, APR_ARRAY_IDX(rule->alternatives, 0, wh_template *), &text)) {
            return apr_psprintf(c->p, "claim %s cannot be made from this request", rule->name);
        }
        if (rule->hashed) {
            if (!wh_hash_bytes(v, rule->digest, text.data, text.len, md)) return "the digest could not be made";
            put_claim(&body, rule->name, wh_encode(rule->encoding, md, wh_digest_size(rule->digest), c->p));
        } else {
            put_claim(&body, rule->name, apr_pstrmemdup(c->p, text.data, text.len));
        }
    }
    wh_buf_adds(&body, "}");
    text.data = apr_pstrcat(c->p, wh_encode(WH_ENC_BASE64URL, (const unsigned char *)head.data, head.len, c->p), ".",
                            wh_encode(WH_ENC_BASE64URL, (const unsigned char *)body.data, body.len, c->p), NULL);
    text.len = strlen(text.data);
    if (alg->alg->kind == WH_ALG_DIGEST) {
        if (!wh_mac_one(key, alg->alg->digest, wh_message_of(text, c->p), md)) return "the signature could not be made";
    } else if ((err = wh_private_sign(key, alg->alg, v, text, &sig, &len, c->p)) != NULL) {
        return err;
    }
    *token = apr_pstrcat(c->p, text.data, ".", wh_encode(WH_ENC_BASE64URL, sig, len, c->p), NULL);
    return NULL;
}

const char *wh_sign(const webhook_verifier *v, const webhook_secret *secret, const webhook_request *req, const char *sender_id,
                    const char *event, apr_table_t *headers, apr_pool_t *p)
{
    const wh_keyset *set = secret ? secret->prepared : NULL;
    webhook_request copy = *req;
    apr_table_t *seen = req->headers ? apr_table_copy(p, req->headers) : apr_table_make(p, 8);
    const wh_locator *loc;
    webhook_verdict verdict;
    const char *token = NULL, *err;
    wh_vctx *c;
    int i;

    if (v->primitive == WH_NONE) return NULL;
    if (!set || set->count == 0) return "signing needs a secret";
    copy.headers = seen;
    c = wh_vctx_make(v, &copy, &verdict, p);
    for (i = 0; i < v->required->nelts; i++) {
        const wh_required_header *h = &APR_ARRAY_IDX(v->required, i, wh_required_header);
        put(headers, seen, h->name, h->value);
    }
    if (sender_id && (loc = first_locator(v->id_locs)) != NULL && loc->kind == WH_LOC_HEADER) put(headers, seen, loc->name, sender_id);
    if (event && (loc = first_locator(v->event_locs)) != NULL && loc->kind == WH_LOC_HEADER) put(headers, seen, loc->name, event);
    switch (v->primitive) {
    case WH_TOKEN:
        return sign_token(v, set->list[0], headers, p);
    case WH_JWT:
        loc = first_locator(v->signatures);
        if (loc->kind != WH_LOC_HEADER) return apr_psprintf(p, "the token of this scheme is at %s, not in a header", loc->text);
        if ((err = wh_jwt_sign(c, set->list[0], sender_id, &token)) != NULL) return err;
        apr_table_set(headers, loc->name, apr_pstrcat(p, v->prefix ? v->prefix : "", token, NULL));
        return NULL;
    case WH_HTTPSIG:
        return wh_httpsig_sign(v, set->list[0], &copy, headers, p);
    default:
        return sign_message(c, set->list[0], headers, seen);
    }
}
