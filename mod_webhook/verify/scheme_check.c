/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheme_check.c: whether the options of a scheme go together: those that need another one, those that exclude each other, those that would
 * mean nothing, and places that no request of this scheme could have. Found when the configuration is read, not by the first delivery.
 */
#include "verify/scheme.h"
#include "verify/scheme_options.h"

#include <string.h>

static int is_signature(const webhook_verifier *v)
{
    return v->primitive == WH_HMAC || v->primitive == WH_HASH || v->primitive == WH_PUBLIC_KEY;
}

static const char *check_syntax(const webhook_verifier *v, const wh_scheme_raw *r)
{
    if (is_signature(v)) {
        if ((v->syntax == WH_SYN_PAIRS) != (r->field != NULL)) return "field= and syntax=pairs go together";
        if ((v->syntax == WH_SYN_LABELLED) != (r->label != NULL)) return "label= and syntax=labelled go together";
        if ((v->syntax == WH_SYN_PLAIN || v->syntax == WH_SYN_METHOD) && r->separator) return "separator= needs a syntax with several values";
        if (v->syntax == WH_SYN_METHOD && r->prefix) return "prefix= and syntax=method exclude each other";
        if ((v->syntax == WH_SYN_LABELLED || v->syntax == WH_SYN_KEYED) && r->prefix) return "prefix= needs syntax=plain, list or pairs";
        if (v->syntax != WH_SYN_METHOD && v->syntax != WH_SYN_PLAIN && !r->separator) return "this syntax needs separator=";
        if (v->has_alg_by && v->syntax == WH_SYN_METHOD) return "algorithm-by= and syntax=method exclude each other";
        if (v->message->uses_secret != (v->primitive == WH_HASH)) {
            return v->primitive == WH_HASH ? "the template of a keyed hash must hold {secret}: without it anyone could make the signature"
                                           : "{secret} belongs into the template of scheme hash only";
        }
        if (v->message->uses_ts && v->ts_locs->nelts == 0) return "the template uses {ts}: timestamp= must say where it is";
        if (v->message->uses_id && v->id_locs->nelts == 0) return "the template uses {id}: id= must say where it is";
    }
    if (v->ts_locs->nelts == 0 && (r->tolerance || r->future) && v->primitive != WH_HTTPSIG) return "tolerance= and future= need timestamp=";
    if (v->ts_locs->nelts == 0 && r->unit) return "timestamp-unit= needs timestamp=";
    if (v->has_digest == 0 && (r->digest_algorithm != WH_SHA256 || r->digest_encoding != 0)) return "digest-algorithm= and digest-encoding= need digest=";
    if (v->primitive != WH_NONE && v->primitive != WH_HTTPSIG && v->signatures->nelts == 0) {
        return v->primitive == WH_TOKEN ? "header= or signature= must say where the token is" : "header= or signature= must say where the signature is";
    }
    if (r->keyid_host && !v->has_keyid) return "keyid-host= needs keyid=";
    if (r->key_bare && !v->key_prefix) return "key-without-prefix= needs key-prefix=";
    if (v->private_prefix && APR_ARRAY_IDX(v->algorithms, 0, wh_named_alg).alg->kind == WH_ALG_DIGEST) {
        return "private-prefix= is for public keys: algorithm= must name one of those";
    }
    return NULL;
}

/* Each word of lenient= asks for something that the scheme would have without it */
static const char *check_lenient(const webhook_verifier *v, const wh_scheme_raw *r)
{
    int base64 = v->encoding != WH_ENC_HEX, i;

    for (i = 0; r->lenient && r->lenient->nelts > 1 && i < r->lenient->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(r->lenient, i, const char *), "none") == 0) return "lenient=none goes alone";
    }
    if ((v->lenient & WH_LENIENT_CASE) && !v->prefix) return "lenient=scheme-case needs prefix=";
    if ((v->lenient & WH_LENIENT_BARE) && !v->prefix && v->syntax != WH_SYN_LABELLED) return "lenient=bare needs prefix= or syntax=labelled";
    if (v->primitive == WH_TOKEN && (v->lenient & ~WH_LENIENT_CASE)) return "lenient= of a token: none or scheme-case";
    if (v->primitive == WH_JWT && (v->lenient & ~(WH_LENIENT_CASE | WH_LENIENT_BARE))) return "lenient= of a jwt: none, bare, scheme-case";
    if ((v->lenient & WH_LENIENT_UPPER) && base64) return "lenient=upper-hex needs encoding=hex";
    if ((v->lenient & (WH_LENIENT_TRAILING | WH_LENIENT_UNPADDED)) && !base64) return "lenient=noncanonical and unpadded need encoding=base64 or base64url";
    if ((v->lenient & WH_LENIENT_PADDED) && v->encoding != WH_ENC_BASE64URL) return "lenient=padded needs encoding=base64url";
    if ((v->lenient & WH_LENIENT_SPACES) && !v->separator) return "lenient=spaces needs separator=";
    return NULL;
}

/* @return NULL, or what a place needs that is not there */
static const char *missing_for(const webhook_verifier *v, const wh_locator *loc, apr_pool_t *p)
{
    const char *need = NULL;

    switch (loc->kind) {
    case WH_LOC_ITEM: need = v->items ? NULL : "items="; break;
    case WH_LOC_FIELD: need = v->syntax == WH_SYN_PAIRS ? NULL : "syntax=pairs"; break;
    case WH_LOC_CLAIM:
    case WH_LOC_KID: need = v->primitive == WH_JWT ? NULL : "a token, scheme jwt"; break;
    default: break;
    }
    return need ? apr_psprintf(p, "the place %s needs %s", loc->text, need) : NULL;
}

static const char *check_list(const webhook_verifier *v, const apr_array_header_t *locs, apr_pool_t *p)
{
    const char *err;
    int i;

    for (i = 0; locs && i < locs->nelts; i++) {
        if ((err = missing_for(v, &APR_ARRAY_IDX(locs, i, wh_locator), p)) != NULL) return err;
    }
    return NULL;
}

static const char *check_template(const webhook_verifier *v, const wh_template *t, int *from_request, apr_pool_t *p)
{
    const char *err;
    int i;

    for (i = 0; i < t->count; i++) {
        const wh_part *part = &t->parts[i];
        if (!part->has_loc) continue;
        if ((err = missing_for(v, &part->loc, p)) != NULL) return err;
        if (part->loc.kind == WH_LOC_VAR && !part->optional && v->preset->generic && !apr_table_get(v->vars, part->loc.name)) {
            return apr_psprintf(p, "{%s} needs var.%s=", part->loc.text, part->loc.name);
        }
        if (part->loc.kind != WH_LOC_VAR && part->loc.kind != WH_LOC_SECRET && part->loc.kind != WH_LOC_KEYID) *from_request = 1;
    }
    return NULL;
}

static const char *check_places(const webhook_verifier *v, apr_pool_t *p)
{
    const char *err = NULL;
    int i, k, any = 0, url = v->message && is_signature(v) && v->message->uses_url;

    if (!err) err = check_list(v, v->signatures, p);
    if (!err) err = check_list(v, v->ts_locs, p);
    if (!err) err = check_list(v, v->id_locs, p);
    if (!err) err = check_list(v, v->event_locs, p);
    if (!err && v->has_keyid) err = missing_for(v, &v->keyid, p);
    if (!err && v->has_alg_by) err = missing_for(v, &v->alg_by, p);
    if (!err && v->has_digest) err = missing_for(v, &v->digest_loc, p);
    for (i = 0; !err && i < v->demands->nelts; i++) err = missing_for(v, &APR_ARRAY_IDX(v->demands, i, wh_demand).loc, p);
    if (!err && is_signature(v)) {
        err = check_template(v, v->message, &any, p);
        if (!err && !any) err = "the template holds nothing of the request: what is signed would be the same for all";
    }
    for (i = 0; !err && i < v->claims->nelts; i++) {
        const wh_claim_rule *rule = &APR_ARRAY_IDX(v->claims, i, wh_claim_rule);
        for (k = 0; !err && k < rule->alternatives->nelts; k++) {
            err = check_template(v, APR_ARRAY_IDX(rule->alternatives, k, wh_template *), &any, p);
            url |= APR_ARRAY_IDX(rule->alternatives, k, wh_template *)->uses_url;
        }
    }
    if (!err && (v->url_ports || v->url_decoded) && !url) err = "url-ports= and url-decoded= need {url} among what is signed";
    return err;
}

static const char *check_rest(const webhook_verifier *v)
{
    int i, found = 0;

    for (i = 0; v->items && i < v->signatures->nelts; i++) found |= APR_ARRAY_IDX(v->signatures, i, wh_locator).kind == WH_LOC_ITEM;
    if (v->items && !found) return "items= needs signature=item:PATH, the place in each of them";
    for (i = found = 0; i < v->handshakes->nelts; i++) found |= APR_ARRAY_IDX(v->handshakes, i, wh_handshake_rule).stores;
    if (v->pending_secret && !found) return "pending-secret= needs a handshake with store:, which brings the secret";
    return NULL;
}

const char *wh_scheme_check(const webhook_verifier *v, const wh_scheme_raw *r, apr_pool_t *p)
{
    const char *err = check_syntax(v, r);

    if (!err) err = check_lenient(v, r);
    if (!err) err = check_places(v, p);
    return err ? err : check_rest(v);
}
