/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheme.c: from the options of WebhookVerify to a configured scheme. A preset's row is nothing but such options; what the administrator
 * writes replaces the row's option of the same name, except for claims and required headers, where it adds to them: a preset can be
 * made stricter that way, never laxer by accident.
 */
#include "verify/scheme.h"

#include <apr_lib.h>
#include <stddef.h>
#include <string.h>
#include "core/http_client.h"
#include "core/options.h"
#include "core/units.h"
#include "verify/key_cache.h"
#include "verify/scheme_options.h"

static const char *parse_window(const char *text, apr_interval_time_t *out, const char *option, apr_pool_t *p)
{
    if (strcmp(text, "off") == 0) {
        *out = -1;
        return NULL;
    }
    if (wh_parse_duration(text, out) == APR_SUCCESS) return NULL;
    return apr_psprintf(p, "option %s=%s: expected a duration such as 30s or 5min, or off", option, text);
}

static const char *parse_separator(const char *text, char *out, apr_pool_t *p)
{
    static const struct { const char *word; char ch; } words[] = { { "comma", ',' }, { "semicolon", ';' }, { "space", ' ' },
                                                                   { "ampersand", '&' } };
    apr_size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i].word) == 0 || (text[0] == words[i].ch && !text[1])) {
            *out = words[i].ch;
            return NULL;
        }
    }
    return apr_psprintf(p, "option separator=%s: allowed are comma, semicolon, space, ampersand", text);
}

static const char *parse_lenient(const apr_array_header_t *words, int *out, apr_pool_t *p)
{
    static const struct { const char *word; int flag; } flags[] = {
        { "upper-hex", WH_LENIENT_UPPER }, { "noncanonical", WH_LENIENT_TRAILING }, { "unpadded", WH_LENIENT_UNPADDED },
        { "padded", WH_LENIENT_PADDED }, { "repeated", WH_LENIENT_REPEAT }, { "bare", WH_LENIENT_BARE },
        { "spaces", WH_LENIENT_SPACES }, { "scheme-case", WH_LENIENT_CASE } };
    apr_size_t k, n = sizeof(flags) / sizeof(flags[0]);
    int i;

    for (i = 0; words && i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);
        for (k = 0; k < n && strcmp(flags[k].word, word) != 0; k++) {}
        if (k == n && strcmp(word, "none") != 0) {
            return apr_psprintf(p, "option lenient=%s: allowed are none, upper-hex, noncanonical, unpadded, padded, repeated, bare, spaces, "
                                "scheme-case", word);
        }
        if (k < n) *out |= flags[k].flag;
    }
    return NULL;
}

static const char *parse_algorithms(webhook_verifier *v, const apr_array_header_t *words, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    int i, asymmetric = 0, symmetric = 0;

    v->algorithms = apr_array_make(pconf, words ? words->nelts : 1, sizeof(wh_named_alg));
    for (i = 0; i < (words ? words->nelts : 1); i++) {
        const char *word = words ? APR_ARRAY_IDX(words, i, const char *)
                                 : v->primitive == WH_HTTPSIG ? "hmac-sha256" : v->primitive == WH_JWT ? "HS256" : "sha256";
        const char *colon = strchr(word, ':');
        wh_named_alg *a = apr_array_push(v->algorithms);
        a->alg = wh_alg_find(colon ? colon + 1 : word);
        a->label = colon ? apr_pstrmemdup(pconf, word, (apr_size_t)(colon - word)) : apr_pstrdup(pconf, word);
        if (!a->alg) {
            return apr_psprintf(ptemp, "option algorithm=%s: allowed are sha1, sha256, sha384, sha512, ed25519, ecdsa-p256, ecdsa-p256-raw, "
                                "rsa-sha1, rsa-sha256, rsa-sha384, rsa-sha512, rsa-pss-sha256, rsa-pss-sha384, rsa-pss-sha512; with jwt "
                                "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, EdDSA; with httpsig hmac-sha256, "
                                "ed25519, ecdsa-p256-sha256, rsa-v1_5-sha256, rsa-pss-sha512", word);
        }
        if (a->alg->kind == WH_ALG_DIGEST) symmetric = 1; else asymmetric = 1;
    }
    /* RFC 8725 section 3.1: one key must not serve as a public key and as an HMAC secret. */
    if (symmetric && asymmetric) return "option algorithm mixes shared-secret and public-key algorithms";
    if (symmetric && v->primitive == WH_PUBLIC_KEY) return "option algorithm: public-key takes ed25519, ecdsa-p256, rsa-... algorithms";
    if (asymmetric && (v->primitive == WH_HMAC || v->primitive == WH_HASH)) {
        return "option algorithm: hmac and hash take sha1, sha256, sha384, sha512";
    }
    if (v->algorithms->nelts > 1 && (v->primitive == WH_HMAC || v->primitive == WH_HASH || v->primitive == WH_PUBLIC_KEY)
        && v->syntax != WH_SYN_METHOD && !v->has_alg_by) {
        return "option algorithm names several: only syntax=method or algorithm-by= say which one a request uses";
    }
    return NULL;
}

static const char *compile_demand(wh_demand *out, const char *text, apr_pool_t *p)
{
    apr_array_header_t *values = apr_array_make(p, 2, sizeof(const char *));
    const char *eq = strchr(text, '=');
    char *word, *at;

    memset(out, 0, sizeof(*out));
    if (!eq || eq == text || !eq[1]) return apr_psprintf(p, "option demand=%s: expected PLACE=TEXT or PLACE=TEXT|TEXT", text);
    for (word = apr_strtok(apr_pstrdup(p, eq + 1), "|", &at); word; word = apr_strtok(NULL, "|", &at)) {
        APR_ARRAY_PUSH(values, const char *) = word;
    }
    out->values = values;
    return wh_locator_compile(&out->loc, apr_pstrmemdup(p, text, (apr_size_t)(eq - text)), p);
}

static const char *parse_required(webhook_verifier *v, const apr_array_header_t *many, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    int i;

    v->required = apr_array_make(pconf, 2, sizeof(wh_required_header));
    v->claims = apr_array_make(pconf, 4, sizeof(wh_claim_rule));
    v->handshakes = apr_array_make(pconf, 2, sizeof(wh_handshake_rule));
    v->demands = apr_array_make(pconf, 1, sizeof(wh_demand));
    for (i = 0; i < many->nelts; i++) {
        const webhook_option *o = &APR_ARRAY_IDX(many, i, webhook_option);
        const char *err = NULL, *colon;
        if (strcmp(o->name, "claim") == 0) {
            err = wh_claim_compile(apr_array_push(v->claims), o->value, pconf);
        } else if (strcmp(o->name, "handshake") == 0) {
            if (strcmp(o->value, "off") == 0) continue;
            err = wh_handshake_compile(apr_array_push(v->handshakes), o->value, pconf);
            if (!err && !APR_ARRAY_IDX(v->handshakes, v->handshakes->nelts - 1, wh_handshake_rule).needs_signature) v->open_handshake = 1;
        } else if (strcmp(o->name, "demand") == 0) {
            err = compile_demand(apr_array_push(v->demands), o->value, pconf);
        } else if ((colon = strchr(o->value, ':')) == NULL || colon == o->value || !colon[1 + strspn(colon + 1, " ")]) {
            err = apr_psprintf(ptemp, "option require=%s: expected Header:value", o->value);
        } else {
            wh_required_header *h = apr_array_push(v->required);
            h->name = apr_pstrmemdup(pconf, o->value, (apr_size_t)(colon - o->value));
            for (colon++; *colon == ' '; colon++) {}
            h->value = apr_pstrdup(pconf, colon);
        }
        if (err) return err;
    }
    return NULL;
}

static const char *one_locator(wh_locator *out, int *has, const char *text, apr_pool_t *p)
{
    if (!text || strcmp(text, "none") == 0) return NULL;
    *has = 1;
    return wh_locator_compile(out, text, p);
}

static const char *locator_list(apr_array_header_t **out, const apr_array_header_t *words, apr_pool_t *p)
{
    if (words && words->nelts == 1 && strcmp(APR_ARRAY_IDX(words, 0, const char *), "none") == 0) words = NULL;
    return wh_locators_compile(out, words, p);
}

/* Everything that names a place */
static const char *parse_places(webhook_verifier *v, const wh_scheme_raw *r, apr_pool_t *p)
{
    const char *err = NULL;
    apr_array_header_t *words;

    if (r->header) {
        if (r->signature) return "header= and signature= say the same thing: give one of them";
        words = apr_array_make(p, 1, sizeof(const char *));
        APR_ARRAY_PUSH(words, const char *) = apr_pstrcat(p, "header:", r->header, NULL);
        err = wh_locators_compile(&v->signatures, words, p);
    } else {
        err = wh_locators_compile(&v->signatures, r->signature, p);
    }
    if (!err) err = locator_list(&v->ts_locs, r->timestamp, p);
    if (!err) err = locator_list(&v->id_locs, r->id, p);
    if (!err) err = locator_list(&v->event_locs, r->event, p);
    if (!err) err = one_locator(&v->keyid, &v->has_keyid, r->keyid, p);
    if (!err) err = one_locator(&v->alg_by, &v->has_alg_by, r->algorithm_by, p);
    if (!err) err = one_locator(&v->digest_loc, &v->has_digest, r->digest, p);
    if (!err) err = one_locator(&v->unpack, &v->has_unpack, r->unpack, p);
    if (!err && v->has_unpack && v->unpack.kind != WH_LOC_FORM && v->unpack.kind != WH_LOC_MULTIPART && v->unpack.kind != WH_LOC_JSON) {
        err = "option unpack: form:NAME, multipart:NAME or json:PATH";
    }
    if (!err && v->has_unpack && v->unpack.lower) err = "option unpack: a payload is taken as it is, without lower:";
    if (!err && r->decrypt && !v->has_unpack) err = "decrypt= needs unpack=, the place of what is encrypted";
    if (!err && r->items && (v->items = wh_path_compile(r->items, p)) == NULL) err = "option items is neither a.b.c nor a JSON Pointer";
    return err;
}

static const char *parse_url(webhook_verifier *v, const char *url, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const char *host;

    if (!url) return NULL;
    if (strncmp(url, "https://", 8) == 0) host = url + 8;
    else if (strncmp(url, "http://", 7) == 0) host = url + 7;
    else return apr_psprintf(ptemp, "option url=%s: expected http://host or https://host, with or without a path", url);
    if (!*host || strcspn(host, "/?#") == 0 || strpbrk(url, " \t#")) return apr_psprintf(ptemp, "option url=%s is not a URL", url);
    v->url = apr_pstrdup(pconf, url);
    v->url_has_path = host[strcspn(host, "/?")] != '\0';
    return NULL;
}

static const char *const *finish_list(apr_array_header_t *list)
{
    if (list->nelts == 0) return NULL;
    APR_ARRAY_PUSH(list, const char *) = NULL;
    return (const char *const *)list->elts;
}

/* Keys that live elsewhere: from where, and whether they fit what the scheme does with them */
static const char *parse_fetching(webhook_verifier *v, const wh_scheme_raw *r, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const char *err;
    int i;

    v->fetch = r->fetch;
    v->confirm = r->confirm;
    v->confirm_path = r->confirm_path ? apr_pstrdup(pconf, r->confirm_path) : NULL;
    if (r->certificate_name) v->certificate_names = finish_list(apr_array_copy(pconf, r->certificate_name));
    if (r->jwks) {
        /* Whether http:// will do is WebhookFetch's to say, and whoever fetches asks again. */
        if ((err = wh_http_url_check(r->jwks, 1)) != NULL) return apr_psprintf(ptemp, "option jwks=%s %s", wh_key_url_masked(r->jwks, ptemp), err);
        if (APR_ARRAY_IDX(v->algorithms, 0, wh_named_alg).alg->kind == WH_ALG_DIGEST) {
            return "jwks= is for public keys: algorithm= must name one of those (a shared secret is not published)";
        }
        if (v->key_encoding != WH_KEY_AUTO && v->key_encoding != WH_KEY_JWKS) return "jwks= and key-encoding= contradict each other";
        v->jwks = apr_pstrdup(pconf, r->jwks);
    }
    if (v->fetch && !v->keyid_hosts) return "fetch= needs keyid= and keyid-host=: what may be fetched must be limited to hosts";
    if (v->certificate_names && !v->fetch) return "certificate-name= needs fetch=";
    if (v->confirm && (!v->keyid_hosts || !v->confirm_path)) return "confirm= needs keyid-host= and confirm-path=: what is visited must be limited to hosts";
    if (v->confirm_path && v->confirm_path[0] != '/') return "option confirm-path: expected the beginning of a path, as /?Action=";
    if (v->confirm && v->demands->nelts == 0) {
        return "confirm=on needs demand=, for SNS demand=json:TopicArn=ARN: whoever has an account there could have it confirmed";
    }
    for (i = 0; i < v->handshakes->nelts; i++) {
        const wh_handshake_rule *rule = &APR_ARRAY_IDX(v->handshakes, i, wh_handshake_rule);
        if (rule->confirms && (!v->keyid_hosts || !v->confirm_path)) return "a handshake with confirm: needs keyid-host= and confirm-path=";
    }
    if (v->jwks || v->fetch || v->confirm) v->ring = wh_key_ring_make(pconf);
    return NULL;
}

static void push_unique(apr_array_header_t *list, const char *text, int fold)
{
    int i;

    for (i = 0; i < list->nelts; i++) {
        const char *have = APR_ARRAY_IDX(list, i, const char *);
        if (fold ? strcasecmp(have, text) == 0 : strcmp(have, text) == 0) return;
    }
    APR_ARRAY_PUSH(list, const char *) = text;
}

static void require_located(apr_array_header_t *headers, const apr_array_header_t *locs)
{
    if (locs->nelts == 1 && APR_ARRAY_IDX(locs, 0, wh_locator).kind == WH_LOC_HEADER) {
        push_unique(headers, APR_ARRAY_IDX(locs, 0, wh_locator).name, 1);
    }
}

static void set_traits(webhook_verifier *v, const wh_scheme_raw *r, apr_pool_t *p)
{
    apr_array_header_t *headers = apr_array_make(p, 4, sizeof(const char *)), *methods = apr_array_make(p, 4, sizeof(const char *));
    apr_array_header_t *types = apr_array_make(p, 4, sizeof(const char *)), *credentials = apr_array_make(p, 2, sizeof(const char *));
    int i;

    /* A handshake that comes unsigned lacks these headers; then screen() decides, not their mere presence. */
    if (!v->open_handshake && v->primitive != WH_NONE) {
        require_located(headers, v->signatures);
        if (v->primitive == WH_HTTPSIG) {
            push_unique(headers, "Signature-Input", 1);
            push_unique(headers, "Signature", 1);
        }
        require_located(headers, v->ts_locs);
        if (v->message && v->message->uses_id) require_located(headers, v->id_locs);
        for (i = 0; i < v->required->nelts; i++) push_unique(headers, APR_ARRAY_IDX(v->required, i, wh_required_header).name, 1);
    }
    v->traits.required_headers = finish_list(headers);
    for (i = 0; i < v->signatures->nelts; i++) {
        const wh_locator *loc = &APR_ARRAY_IDX(v->signatures, i, wh_locator);

        if (loc->kind == WH_LOC_HEADER || loc->kind == WH_LOC_QUERY) push_unique(credentials, loc->name, 1);
        if (loc->kind == WH_LOC_FAMILY) push_unique(credentials, apr_pstrcat(p, loc->name, "*", NULL), 1);
    }
    v->traits.credentials = finish_list(credentials);
    for (i = 0; r->methods && i < r->methods->nelts; i++) push_unique(methods, APR_ARRAY_IDX(r->methods, i, const char *), 0);
    if (v->handshakes->nelts) {
        if (methods->nelts == 0) push_unique(methods, "POST", 0);
        for (i = 0; i < v->handshakes->nelts; i++) push_unique(methods, APR_ARRAY_IDX(v->handshakes, i, wh_handshake_rule).method, 0);
    }
    v->traits.methods = finish_list(methods);
    for (i = 0; r->content_types && i < r->content_types->nelts; i++) push_unique(types, APR_ARRAY_IDX(r->content_types, i, const char *), 1);
    v->traits.content_types = finish_list(types);
    v->traits.body_limit = (apr_off_t)r->body_limit;
    v->traits.success_status = r->status;
    v->traits.empty_refusal_body = r->refusal_body;
    v->traits.refusal_status = r->refusal_status;
    if (r->answer_body && strcmp(r->answer_body, "id") != 0) {
        v->traits.success_body = strcmp(r->answer_body, "empty") == 0 ? "" : apr_pstrdup(p, r->answer_body);
    }
    v->traits.signs_decoded = r->signed_body;
    v->traits.payload_field = r->payload_field ? apr_pstrdup(p, r->payload_field) : v->has_unpack && v->unpack.kind != WH_LOC_JSON ? v->unpack.name : NULL;
    v->traits.needs_secret = v->primitive != WH_NONE && !v->pending_secret && !v->jwks && !v->fetch;
    if (v->primitive == WH_JWT) v->traits.window = v->max_age ? v->max_age + v->leeway : 0;
    else if ((v->ts_locs->nelts || v->primitive == WH_HTTPSIG) && v->tolerance >= 0 && v->future >= 0) v->traits.window = v->tolerance + v->future;
}

static apr_status_t free_digests(void *data)
{
    webhook_verifier *v = data;
    int i;

    for (i = 0; i < WH_DIGEST_COUNT; i++) {
        EVP_MD_free(v->md[i]);
        v->md[i] = NULL;
    }
    EVP_CIPHER_free(v->cipher);
    v->cipher = NULL;
    return APR_SUCCESS;
}

/* "%3A%2F": what a URL keeps escaped for a reason is not for decoding (controls, blanks, '%' itself, bytes above ASCII) */
static int is_escapes(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";

    if (strcmp(text, "none") == 0) return 1;
    for (; *text; text += 3) {
        const char *high = text[0] == '%' && text[1] ? strchr(digits, text[1]) : NULL, *low = high && text[2] ? strchr(digits, text[2]) : NULL;
        int byte = low ? (int)(high - digits) * 16 + (int)(low - digits) : 0;
        if (byte <= 0x20 || byte >= 0x7f || byte == '%' || apr_isalnum(byte)) return 0;
    }
    return 1;
}

static const char *build(webhook_verifier *v, wh_scheme_raw *r, const apr_array_header_t *many, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const char *err;
    int i;

    v->syntax = (wh_syntax)r->syntax;
    v->encoding = r->encoding == 0 ? WH_ENC_HEX : r->encoding == 1 ? WH_ENC_BASE64 : WH_ENC_BASE64URL;
    v->digest_encoding = r->digest_encoding == 0 ? WH_ENC_HEX : r->digest_encoding == 1 ? WH_ENC_BASE64 : WH_ENC_BASE64URL;
    v->digest_alg = (wh_digest)r->digest_algorithm;
    v->unit = (wh_time_unit)r->unit;
    v->key_encoding = (wh_key_encoding)r->key_encoding;
    v->key_bare_text = r->key_bare;
    v->leeway = r->leeway;
    v->max_age = r->max_age;
    v->need_digest = r->body_digest == 0;
    v->url_ports = r->url_ports;
#define KEEP(member) v->member = r->member ? apr_pstrdup(pconf, r->member) : NULL
    KEEP(prefix);
    KEEP(field);
    KEEP(label);
    KEEP(tag);
    KEEP(key_prefix);
    KEEP(private_prefix);
    KEEP(pending_secret);
    KEEP(url_decoded);
#undef KEEP
    if (v->syntax == WH_SYN_LABELLED) v->field = v->label;
    if (v->url_decoded && !is_escapes(v->url_decoded)) {
        return "option url-decoded: expected escapes of other characters than letters and digits, \"%3A%2F\", upper-case, or none";
    }
    if (v->url_decoded && strcmp(v->url_decoded, "none") == 0) v->url_decoded = NULL;
    if (r->refusal_status >= 300 && r->refusal_status < 400) return "option refusal-status: expected 200 to 299 or 400 to 499";
    if (v->pending_secret && v->pending_secret[0] != '/') return "option pending-secret: expected an absolute path";
    if ((err = parse_places(v, r, pconf)) != NULL) return err;
    if ((err = parse_algorithms(v, r->algorithm, pconf, ptemp)) != NULL) return err;
    if ((err = parse_lenient(r->lenient, &v->lenient, ptemp)) != NULL) return err;
    if (r->separator && (err = parse_separator(r->separator, &v->separator, ptemp)) != NULL) return err;
    if ((err = wh_template_compile(&v->message, r->template ? r->template : "{body}", pconf)) != NULL) return err;
    v->tolerance = v->future = 5 * APR_USEC_PER_SEC * 60;
    if (r->tolerance && (err = parse_window(r->tolerance, &v->tolerance, "tolerance", ptemp)) != NULL) return err;
    v->future = v->tolerance;
    if (r->future && (err = parse_window(r->future, &v->future, "future", ptemp)) != NULL) return err;
    if ((err = parse_required(v, many, pconf, ptemp)) != NULL) return err;
    if ((err = parse_url(v, r->url, pconf, ptemp)) != NULL) return err;
    v->components = apr_array_make(pconf, 8, sizeof(const char *));
    for (i = 0; r->components && i < r->components->nelts; i++) {
        const char *name = APR_ARRAY_IDX(r->components, i, const char *);
        if (strcmp(name, "none") != 0) APR_ARRAY_PUSH(v->components, const char *) = apr_pstrdup(pconf, name);
    }
    if (r->keyid_host) {
        v->keyid_hosts = finish_list(apr_array_copy(pconf, r->keyid_host));
    }
    if ((err = wh_scheme_check(v, r, ptemp)) != NULL) return err;
    if ((err = parse_fetching(v, r, pconf, ptemp)) != NULL) return err;
    if (v->primitive == WH_NONE || v->primitive == WH_TOKEN || v->primitive == WH_JWT || v->primitive == WH_HTTPSIG) v->message = NULL;
    wh_scheme_protection(v);
    set_traits(v, r, pconf);
    return NULL;
}

const char *wh_scheme_configure(webhook_verifier **out, const webhook_verifier_provider *self, const apr_array_header_t *options,
                                apr_pool_t *pconf, apr_pool_t *ptemp)
{
    webhook_verifier *v = apr_pcalloc(pconf, sizeof(*v));
    apr_array_header_t *plain = apr_array_make(pconf, 16, sizeof(webhook_option)), *many = apr_array_make(pconf, 4, sizeof(webhook_option));
    apr_array_header_t *none = apr_array_make(ptemp, 1, sizeof(webhook_option));
    const char *err, *what = apr_pstrcat(ptemp, "scheme ", self->name, NULL);
    wh_scheme_raw *r = apr_pcalloc(ptemp, sizeof(*r));
    int i;

    v->preset = (const wh_preset *)self;
    v->primitive = v->preset->primitive;
    v->vars = apr_table_make(pconf, 2);
    r->digest_algorithm = WH_SHA256;
    if ((err = wh_scheme_merge(v, options ? options : none, plain, many, pconf, ptemp)) != NULL) return err;
    if ((err = wh_options_apply(r, wh_scheme_specs, plain, what, pconf)) != NULL) return err;
    if ((err = build(v, r, many, pconf, ptemp)) != NULL) return apr_pstrcat(ptemp, what, ": ", err, NULL);
    if ((err = wh_scheme_missing(v, ptemp)) != NULL) return apr_psprintf(ptemp, "%s: option %s= is missing", what, err);
    for (i = 0; i < WH_DIGEST_COUNT; i++) v->md[i] = EVP_MD_fetch(NULL, wh_digest_name((wh_digest)i), NULL);
    if (r->decrypt) v->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    apr_pool_cleanup_register(pconf, v, free_digests, apr_pool_cleanup_null);
    if (r->decrypt && !v->cipher) return apr_pstrcat(ptemp, what, ": the cryptographic library has no AES-256-CBC", NULL);
    *out = v;
    return NULL;
}
