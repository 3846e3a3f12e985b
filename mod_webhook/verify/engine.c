/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c: the decision for tokens, HMACs, keyed hashes and public-key signatures over a template. Order: exact headers, signature syntax,
 * timestamp, id, key selection, then every usable key against every candidate without an early exit, then what lies in the body.
 */
#include "verify/key_cache.h"
#include "verify/scheme.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

int wh_deny(wh_vctx *c, wh_refusal refusal, const char *fmt, ...)
{
    va_list ap;

    if (c->failed) {
        c->verdict->detail = "there was no memory to verify the request";
        c->verdict->status = wh_refusal_table[WH_REFUSAL_INTERNAL].status;
        c->verdict->reason = wh_refusal_table[WH_REFUSAL_INTERNAL].code;
        return 0;
    }
    va_start(ap, fmt);
    c->verdict->detail = apr_pvsprintf(c->p, fmt, ap);
    va_end(ap);
    c->verdict->status = wh_refusal_table[refusal].status;
    c->verdict->reason = wh_refusal_table[refusal].code;
    return 0;
}

int wh_equal(const void *a, apr_size_t alen, const void *b, apr_size_t blen)
{
    return alen == blen && alen > 0 && CRYPTO_memcmp(a, b, alen) == 0;
}

int wh_folded(const wh_locator *loc, webhook_slice value)
{
    apr_size_t i;

    if (loc->kind != WH_LOC_HEADER && loc->kind != WH_LOC_FAMILY && loc->kind != WH_LOC_BEARER && loc->kind != WH_LOC_BASIC) return 0;
    for (i = 0; i + 1 < value.len; i++) {
        if (value.data[i] == ',' && value.data[i + 1] == ' ') return 1;
    }
    return 0;
}

int wh_hash_bytes(const webhook_verifier *v, wh_digest d, const void *data, apr_size_t len, unsigned char out[EVP_MAX_MD_SIZE])
{
    return v->md[d] && EVP_Digest(data, len, out, NULL, v->md[d], NULL) == 1;
}

int wh_key_valid(const wh_key *key, apr_time_t now)
{
    return (!key->from || now >= key->from) && (!key->until || now < key->until);
}

/* Codes are constants of one table: the same code is the same pointer. */
static int refused_as(const wh_vctx *c, wh_refusal refusal)
{
    return c->verdict->reason == wh_refusal_table[refusal].code;
}

static int is_wanted(const wh_vctx *c, const wh_key *key)
{
    return !c->keyid_text || strcmp(c->keyid_text, key->id) == 0;
}

/* Keys that are fetched, beside those of the secrets. @return 0 after wh_deny: they are on their way, or cannot be had */
static int add_fetched(wh_vctx *c, wh_key_kind kind, const char *url, apr_array_header_t *keys, int *valid)
{
    wh_keys_found found;
    int k;

    switch (wh_key_ring_find(c->v, c->v->ring, kind, url, c->req->now, &found, c->p)) {
    case WH_KEYS_THERE:
        for (k = 0; k < found.set->count; k++) {
            const wh_key *key = found.set->list[k];
            if (!wh_key_valid(key, c->req->now)) continue;
            ++*valid;
            if (is_wanted(c, key)) APR_ARRAY_PUSH(keys, const wh_key *) = key;
        }
        if (kind == WH_KIND_KEYS) c->keys_made = found.made;
        return 1;
    case WH_KEYS_PENDING:
        c->verdict->retry_after = found.retry_after;
        return wh_deny(c, WH_REFUSAL_KEY_PENDING, "%s", found.why);
    case WH_KEYS_REFUSED:
        /* A key set the configuration names is bad: that is not the sender's fault. */
        return wh_deny(c, kind == WH_KIND_KEYS ? WH_REFUSAL_SECRET_UNAVAILABLE : WH_REFUSAL_KEY_UNKNOWN, "%s", found.why);
    default:
        return 1;
    }
}

/* None of the secrets at hand did it, but the key may be in the set that is on its way. */
void wh_key_awaited(wh_vctx *c)
{
    if (!c->pending || (!refused_as(c, WH_REFUSAL_SIGNATURE_MISMATCH) && !refused_as(c, WH_REFUSAL_KEY_UNKNOWN))) return;
    c->verdict->retry_after = c->pending_for;
    wh_deny(c, WH_REFUSAL_KEY_PENDING, "%s", c->pending);
}

int wh_key_missing(wh_vctx *c, const char *text)
{
    if (c->v->jwks && c->keys_made && wh_key_ring_again(c->v->jwks, c->keys_made, c->req->now, c->p)) {
        c->verdict->retry_after = 5 * APR_USEC_PER_SEC;
        return wh_deny(c, WH_REFUSAL_KEY_PENDING, "%s; the key set is fetched again", text);
    }
    return wh_deny(c, WH_REFUSAL_KEY_UNKNOWN, "%s", text);
}

int wh_keys_usable(wh_vctx *c, const webhook_secrets *secrets, const wh_key ***out, int *count)
{
    const webhook_verifier *v = c->v;
    apr_array_header_t *keys = apr_array_make(c->p, 4, sizeof(const wh_key *));
    int i, k, valid = 0, folded = 0;

    if (v->has_keyid) {
        webhook_slice id;
        wh_found found = wh_value(c, &v->keyid, &id);
        if (found == WH_TWICE) return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", v->keyid.text);
        if (found != WH_FOUND || id.len == 0 || id.len > 1024 || memchr(id.data, '\0', id.len)) {
            return wh_deny(c, WH_REFUSAL_KEY_UNKNOWN, "%s does not name a key", v->keyid.text);
        }
        c->keyid_text = apr_pstrmemdup(c->p, id.data, id.len);
        folded = wh_folded(&v->keyid, id);
        if (v->keyid_hosts && !wh_key_url_allowed(c->keyid_text, v->keyid_hosts, NULL)) {
            return wh_deny(c, WH_REFUSAL_KEY_UNKNOWN, "%s is not an address this scheme takes keys from", v->keyid.text);
        }
    }
    for (i = 0; secrets && i < secrets->count; i++) {
        const wh_keyset *set = secrets->list[i]->prepared;
        for (k = 0; set && k < set->count; k++) {
            const wh_key *key = set->list[k];
            if (!wh_key_valid(key, c->req->now)) continue;
            valid++;
            if (is_wanted(c, key)) APR_ARRAY_PUSH(keys, const wh_key *) = key;
        }
    }
    /* A key set that is on its way is no reason to refuse what a secret at hand may verify. */
    if (v->jwks && !add_fetched(c, WH_KIND_KEYS, v->jwks, keys, &valid)) {
        if (keys->nelts == 0) return 0;
        if (refused_as(c, WH_REFUSAL_KEY_PENDING)) {
            c->pending = c->verdict->detail;
            c->pending_for = c->verdict->retry_after;
        }
        c->verdict->status = 0;
        c->verdict->reason = c->verdict->detail = NULL;
        c->verdict->retry_after = 0;
    }
    if (keys->nelts == 0 && v->keyid_hosts && (v->fetch == 1 || (v->fetch == 2 && !(secrets && secrets->count)))
        && !add_fetched(c, WH_KIND_CERTIFICATE, c->keyid_text, keys, &valid)) {
        return 0;
    }
    if (valid == 0 && v->ring && !wh_key_cache_dir()) return wh_deny(c, WH_REFUSAL_SECRET_UNAVAILABLE, "keys cannot be fetched here");
    if (valid == 0) return wh_deny(c, WH_REFUSAL_SECRET_UNAVAILABLE, "no secret of this endpoint is valid now");
    if (keys->nelts == 0 && folded) return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", v->keyid.text);
    if (keys->nelts == 0) return wh_key_missing(c, apr_pstrcat(c->p, v->keyid.text, " names a key this endpoint does not have", NULL));
    *out = (const wh_key **)keys->elts;
    *count = keys->nelts;
    return 1;
}

typedef struct required {
    const char *value, *given;
    int count, equal;
} required;

static int required_entry(void *baton, const char *name, const char *value)
{
    required *r = baton;

    (void)name;
    r->count++;
    r->given = value;
    r->equal = wh_equal(value, strlen(value), r->value, strlen(r->value)); /* some senders' "version" is others' shared word */
    return 1;
}

int wh_common_before(wh_vctx *c)
{
    int i;

    for (i = 0; i < c->v->required->nelts; i++) {
        const wh_required_header *h = &APR_ARRAY_IDX(c->v->required, i, wh_required_header);
        apr_size_t len = strlen(h->value);
        required r = { h->value, NULL, 0, 0 };
        if (c->req->headers) apr_table_do(required_entry, &r, c->req->headers, h->name, NULL);
        if (r.count == 0) return wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "%s is missing", h->name);
        if (r.count > 1 || (strlen(r.given) > len + 2 && wh_equal(r.given, len, h->value, len) && r.given[len] == ',' && r.given[len + 1] == ' ')) {
            return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", h->name);
        }
        if (!r.equal) return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "%s does not have the value this endpoint requires", h->name);
    }
    return 1;
}

int wh_id_restrict(wh_vctx *c)
{
    const wh_locator *which = NULL;
    webhook_slice id;
    apr_size_t i;
    wh_found found = wh_value_first(c, c->v->id_locs, &id, &which);

    if (found == WH_ABSENT || (found == WH_FOUND && id.len == 0)) {
        return wh_deny(c, WH_REFUSAL_ID_MISSING, "%s, which is part of the signature, is missing", which ? which->text
                       : APR_ARRAY_IDX(c->v->id_locs, 0, wh_locator).text);
    }
    if (found == WH_TWICE) return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", which->text);
    if (found != WH_FOUND || id.len > 255) return wh_deny(c, WH_REFUSAL_ID_MALFORMED, "%s is not an id", which->text);
    for (i = 0; i < id.len; i++) {
        char ch = id.data[i];
        if (ch == '=' && i >= 16 && (i + 1 == id.len || (i + 2 == id.len && id.data[i + 1] == '='))) continue; /* base64's padding */
        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-')) {
            if (wh_folded(which, id)) return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", which->text);
            return wh_deny(c, WH_REFUSAL_ID_MALFORMED, "%s holds bytes that a signed id may not have", which->text);
        }
    }
    c->id_text = id;
    c->have_id = 1;
    return 1;
}

int wh_digest_check(wh_vctx *c)
{
    const webhook_verifier *v = c->v;
    unsigned char md[EVP_MAX_MD_SIZE], *room;
    webhook_slice text;
    apr_size_t max, len;
    wh_found found;

    if (!v->has_digest) return 1;
    found = wh_value(c, &v->digest_loc, &text);
    if (found != WH_FOUND) {
        return wh_deny(c, WH_REFUSAL_DIGEST_MISMATCH, "%s, the digest of the body, is %s", v->digest_loc.text,
                       found == WH_TWICE ? "there more than once" : "missing");
    }
    if (!wh_hash_bytes(v, v->digest_alg, c->req->body.data, c->req->body.len, md)) {
        c->failed = 1;
        return wh_deny(c, WH_REFUSAL_INTERNAL, "the digest could not be made");
    }
    max = wh_decoded_max(v->digest_encoding, text.len);
    room = apr_palloc(c->p, max + 1);
    if (max > 256 || wh_decode(v->digest_encoding, 0, text.data, text.len, room, max, &len) != APR_SUCCESS
        || !wh_equal(room, len, md, wh_digest_size(v->digest_alg))) {
        return wh_deny(c, WH_REFUSAL_DIGEST_MISMATCH, "the body does not match %s", v->digest_loc.text);
    }
    return 1;
}

int wh_demands_hold(wh_vctx *c)
{
    int i, k;

    for (i = 0; i < c->v->demands->nelts; i++) {
        const wh_demand *d = &APR_ARRAY_IDX(c->v->demands, i, wh_demand);
        webhook_slice have;
        int holds = 0;
        if (wh_value(c, &d->loc, &have) == WH_FOUND) {
            for (k = 0; k < d->values->nelts; k++) {
                const char *want = APR_ARRAY_IDX(d->values, k, const char *);
                holds |= have.len == strlen(want) && memcmp(have.data, want, have.len) == 0;
            }
        }
        if (!holds) return wh_deny(c, WH_REFUSAL_CLAIM_MISMATCH, "%s does not have the value this endpoint demands", d->loc.text);
    }
    return 1;
}

/* Text fit for logs, headers and keys: printable, bounded; NULL otherwise */
static const char *clean_text(wh_vctx *c, const apr_array_header_t *locs, apr_size_t max)
{
    webhook_slice s;
    apr_size_t i;
    int k;

    for (k = 0; locs && k < locs->nelts; k++) {
        /* An unsigned id that is there twice says nothing; it is treated as absent. */
        if (wh_value(c, &APR_ARRAY_IDX(locs, k, wh_locator), &s) != WH_FOUND || s.len == 0 || s.len > max) continue;
        for (i = 0; i < s.len && (unsigned char)s.data[i] >= 0x20 && s.data[i] != 0x7f; i++) {}
        if (i == s.len && wh_utf8_valid(s.data, s.len)) return apr_pstrmemdup(c->p, s.data, s.len);
    }
    return NULL;
}

/* What a copy of a request is known by where the sender signs no id: all that is signed as one text, so that no byte can be moved from one
 * part to the next, and without the key's own parts, so that a second signature with another key makes no second moment. */
static void set_moment(wh_vctx *c)
{
    unsigned char md[EVP_MAX_MD_SIZE];

    if (!wh_hash_message(c->v, WH_SHA256, c->matched, NULL, md)) {
        c->failed = 1;
        wh_deny(c, WH_REFUSAL_INTERNAL, "the digest could not be made");
        return;
    }
    c->verdict->moment.data = apr_pmemdup(c->p, md, SHA256_DIGEST_LENGTH);
    c->verdict->moment.len = SHA256_DIGEST_LENGTH;
}

void wh_name_request(wh_vctx *c)
{
    /* An id that is part of what is signed was found already, and holds nothing that a log must not see. */
    c->verdict->sender_id = c->have_id ? apr_pstrmemdup(c->p, c->id_text.data, c->id_text.len) : clean_text(c, c->v->id_locs, 1024);
    c->verdict->event = clean_text(c, c->v->event_locs, 255);
}

void wh_accept_verdict(wh_vctx *c, const wh_key *key)
{
    webhook_verdict *verdict = c->verdict;

    verdict->status = 200;
    verdict->reason = verdict->detail = NULL;
    verdict->key_id = key ? key->secret_id : NULL;
    wh_name_request(c);
    verdict->sender_id_signed = verdict->sender_id && c->v->id_signed;
    verdict->timestamp_signed = verdict->timestamp && c->v->ts_signed;
    /* An id anyone can change says nothing against a copy; what is signed does. */
    if (c->req->want_moment && !verdict->sender_id_signed && verdict->timestamp_signed && c->v->has_moment && c->matched) set_moment(c);
}

/* ---- one message against all keys and candidates ---- */

static int candidate_applies(const wh_candidate *cand, const wh_key *key, const wh_key **keys, int n_keys)
{
    int i;

    if (!cand->keyid || strcmp(cand->keyid, key->id) == 0) return 1;
    if (!cand->keyid_soft) return 0;
    for (i = 0; i < n_keys; i++) {
        if (strcmp(cand->keyid, keys[i]->id) == 0) return 0;
    }
    return 1;
}

static const wh_alg *algorithm(const wh_vctx *c, int i)
{
    return c->candidates[i].alg ? c->candidates[i].alg : APR_ARRAY_IDX(c->v->algorithms, 0, wh_named_alg).alg;
}

/* @return index of the key that matched, -1 if none */
static int match_symmetric(wh_vctx *c, const wh_message *m, const wh_key **keys, int n_keys)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    int k, i, hit = -1;

    for (k = 0; k < n_keys; k++) {
        unsigned int found = 0;
        int d;
        for (d = 0; d < WH_DIGEST_COUNT; d++) {
            int made = 0;
            for (i = 0; i < c->n_candidates; i++) {
                if (algorithm(c, i)->digest != (wh_digest)d || !candidate_applies(&c->candidates[i], keys[k], keys, n_keys)) continue;
                if (!made) {
                    int ok = c->v->primitive == WH_HASH ? wh_hash_message(c->v, (wh_digest)d, m, keys[k], md)
                                                        : wh_mac_one(keys[k], (wh_digest)d, m, md);
                    if (!ok) {
                        c->failed = 1;
                        break;
                    }
                    made = 1;
                }
                found |= (unsigned int)wh_equal(c->candidates[i].bytes, c->candidates[i].len, md, wh_digest_size((wh_digest)d));
            }
        }
        if (found && hit < 0) hit = k;
    }
    OPENSSL_cleanse(md, sizeof(md));
    return hit;
}

static int match_public(wh_vctx *c, const wh_message *m, const wh_key **keys, int n_keys)
{
    unsigned char md[WH_DIGEST_COUNT][EVP_MAX_MD_SIZE];
    int have[WH_DIGEST_COUNT] = { 0, 0, 0, 0 }, k, i, hit = -1;
    webhook_slice whole = { NULL, 0 };

    for (i = 0; i < c->n_candidates; i++) {
        const wh_alg *alg = algorithm(c, i);
        if (alg->kind == WH_ALG_ED25519) {
            if (!whole.data) whole = wh_message_join(m, NULL, c->p);
        } else if (!have[alg->digest]) {
            if (!wh_hash_message(c->v, alg->digest, m, NULL, md[alg->digest])) {
                c->failed = 1;
                return -1;
            }
            have[alg->digest] = 1;
        }
        for (k = 0; k < n_keys; k++) {
            int ok;
            if (!candidate_applies(&c->candidates[i], keys[k], keys, n_keys)) continue;
            ok = wh_public_verify(keys[k], alg, md[alg->digest], whole, c->candidates[i].bytes, c->candidates[i].len);
            if (ok < 0) c->failed = 1;
            if (ok > 0 && hit < 0) hit = k;
        }
    }
    return hit;
}

static int match_message(wh_vctx *c, const wh_key **keys, int n_keys, int *hit)
{
    const webhook_verifier *v = c->v;
    wh_message *m = wh_message_room(v->message, c->p);
    const char *url = v->message->uses_url ? wh_ctx_url(c) : NULL;
    const char *variants[4]; /* the URL, and as else the sender may have written it */
    int round, found, rounds = 1, i;

    variants[0] = url;
    if (url && v->url_ports && (variants[1] = wh_url_other_port(url, c->p)) != NULL) rounds++;
    for (i = rounds; url && v->url_decoded && i > 0; i--) {
        if ((variants[rounds] = wh_url_decoded(variants[i - 1], v->url_decoded, c->p)) != NULL) rounds++;
    }
    *hit = -1;
    for (round = 0; round < rounds; round++) {
        if (round) c->url = variants[round];
        if (!wh_template_resolve(c, v->message, m)) return 0;
        found = v->primitive == WH_PUBLIC_KEY ? match_public(c, m, keys, n_keys) : match_symmetric(c, m, keys, n_keys);
        if (*hit < 0 && found >= 0) {
            *hit = found;
            c->matched = m;
            if (round + 1 < rounds) m = wh_message_room(v->message, c->p); /* the next spelling must not write over what matched */
        }
    }
    if (url) c->url = url;
    if (*hit < 0) return wh_deny(c, WH_REFUSAL_SIGNATURE_MISMATCH, "no secret of this endpoint gives this signature");
    return 1;
}

/* Which of the scheme's algorithms the request says it used (SNS SignatureVersion) */
static int choose_algorithm(wh_vctx *c)
{
    const webhook_verifier *v = c->v;
    const char *label;
    int i, k;

    if (!v->has_alg_by) return 1;
    label = wh_value_text(c, &v->alg_by);
    for (i = 0; label && i < v->algorithms->nelts; i++) {
        const wh_named_alg *a = &APR_ARRAY_IDX(v->algorithms, i, wh_named_alg);
        if (strcmp(a->label, label) != 0) continue;
        for (k = 0; k < c->n_candidates; k++) c->candidates[k].alg = a->alg;
        return 1;
    }
    return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "%s names an algorithm this endpoint does not take", v->alg_by.text);
}

/* Syntax, algorithm, message and match for the request, or for one item of it */
static int verify_one(wh_vctx *c, const wh_key **keys, int n_keys, int *hit)
{
    if (!wh_signatures_collect(c) || !choose_algorithm(c)) return 0;
    return match_message(c, keys, n_keys, hit);
}

/* The array of items the scheme signs one by one */
static int signed_items(wh_vctx *c, const wh_json_value **out)
{
    const wh_json *json = wh_ctx_json(c);
    const wh_json_value *list = json ? wh_path_walk(wh_json_root(json), c->v->items) : NULL;
    apr_size_t n = list && wh_json_typeof(list) == WH_JSON_ARRAY ? wh_json_size(list) : 0;

    if (n == 0) return wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "the body holds no signed item");
    if (n > 1000) return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "the body holds more than 1000 signed items");
    *out = list;
    return 1;
}

/* Every element of the array must carry a good signature of its own. */
static int verify_items(wh_vctx *c, const wh_key **keys, int n_keys, int *hit)
{
    const wh_json_value *list;
    apr_size_t i;

    if (!signed_items(c, &list)) return 0;
    for (i = wh_json_size(list); i-- > 0;) { /* backwards: the first item stays current, its id and event are the delivery's */
        c->item = wh_json_at(list, i);
        if (!verify_one(c, keys, n_keys, hit)) return 0;
    }
    return 1;
}

static void verify_token(wh_vctx *c, const wh_key **keys, int n_keys)
{
    const webhook_verifier *v = c->v;
    const wh_locator *which = NULL;
    webhook_slice token;
    unsigned char md[EVP_MAX_MD_SIZE];
    apr_size_t plen = v->prefix ? strlen(v->prefix) : 0;
    wh_found found = wh_value_first(c, v->signatures, &token, &which);
    int k, hit = -1;

    if (found == WH_ABSENT) {
        wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "%s is missing", APR_ARRAY_IDX(v->signatures, 0, wh_locator).text);
        return;
    }
    if (found == WH_TWICE) {
        wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", which->text);
        return;
    }
    if (found == WH_FOUND && plen) {
        int same = token.len >= plen && (v->lenient & WH_LENIENT_CASE ? strncasecmp(token.data, v->prefix, plen) == 0
                                                                      : strncmp(token.data, v->prefix, plen) == 0);
        if (!same) found = WH_BROKEN;
        token.data += same ? plen : 0;
        token.len -= same ? plen : 0;
    }
    if (found != WH_FOUND || token.len == 0) {
        wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "%s does not hold a token as this scheme writes it", which->text);
        return;
    }
    /* Digests have one length: neither the content nor the length of a secret shows in the time. */
    if (!wh_hash_bytes(v, WH_SHA256, token.data, token.len, md)) {
        wh_deny(c, WH_REFUSAL_INTERNAL, "the digest could not be made");
        return;
    }
    for (k = 0; k < n_keys; k++) {
        int same = wh_equal(md, SHA256_DIGEST_LENGTH, keys[k]->token_hash, sizeof(keys[k]->token_hash));
        if (same && hit < 0) hit = k;
    }
    if (hit < 0) wh_deny(c, WH_REFUSAL_SIGNATURE_MISMATCH, "no secret of this endpoint is this token");
    else if (wh_timestamp_check(c) && wh_demands_hold(c)) wh_accept_verdict(c, keys[hit]);
}

/* Every element of the array must carry the token. */
static void verify_token_items(wh_vctx *c, const wh_key **keys, int n_keys)
{
    const wh_json_value *list;
    apr_size_t i;

    if (!signed_items(c, &list)) return;
    for (i = wh_json_size(list); i-- > 0;) {
        c->item = wh_json_at(list, i);
        verify_token(c, keys, n_keys);
        if (c->verdict->status != 200) return;
    }
}

/*
 * A plain digest with the secret in front can be continued by anyone who has seen it: digest(secret m) is the state from which
 * digest(secret m padding x) goes on. The padding of SHA-1 and SHA-2 ends with the message's length in bits, 8 or 16 bytes of which the first
 * are zero, and of all that a request brings only its body can hold such a byte: texts never do, so it is refused.
 */
static int could_be_extended(const wh_vctx *c)
{
    return c->v->extensible && c->req->body.len && memchr(c->req->body.data, '\0', c->req->body.len);
}

/* Whether the timestamp is part of what is signed, or at least readable without the body */
static int timestamp_first(const wh_vctx *c)
{
    wh_loc_kind kind;

    if (c->v->ts_locs->nelts == 0 || c->v->message->uses_ts) return 1;
    kind = APR_ARRAY_IDX(c->v->ts_locs, 0, wh_locator).kind;
    return kind == WH_LOC_HEADER || kind == WH_LOC_FIELD || kind == WH_LOC_QUERY;
}

void wh_engine_verify(wh_vctx *c, const webhook_secrets *secrets)
{
    const webhook_verifier *v = c->v;
    const wh_key **keys;
    int n_keys, hit = -1, early;

    if (v->primitive == WH_TOKEN) {
        if (!wh_common_before(c) || !wh_keys_usable(c, secrets, &keys, &n_keys)) return;
        if (v->items) verify_token_items(c, keys, n_keys);
        else verify_token(c, keys, n_keys);
        return;
    }
    if (!wh_common_before(c)) return;
    if (could_be_extended(c)) {
        wh_deny(c, WH_REFUSAL_SIGNATURE_MISMATCH, "the body holds a NUL byte: it may be another one's continuation, which a plain digest cannot tell");
        return;
    }
    if (!v->items && !wh_signatures_collect(c)) return;
    early = timestamp_first(c);
    if (early && !wh_timestamp_check(c)) return;
    if (v->message->uses_id && !wh_id_restrict(c)) return;
    if (!wh_keys_usable(c, secrets, &keys, &n_keys)) return;
    if (v->items) {
        if (!verify_items(c, keys, n_keys, &hit)) return;
    } else if (!choose_algorithm(c) || !match_message(c, keys, n_keys, &hit)) {
        return;
    }
    if (!wh_digest_check(c)) return;
    /* A timestamp inside the body is read once the body is known to be the sender's. */
    if (!early && !wh_timestamp_check(c)) return;
    if (!wh_demands_hold(c)) return;
    wh_accept_verdict(c, keys[hit]);
}
