/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpsig.c: HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530). The algorithm comes from the configuration; the endpoint says
 * which components must be covered; a body that is not empty must be covered through a digest that is recomputed here.
 */
#include "verify/scheme.h"
#include "verify/sfield.h"

#include <apr_lib.h>
#include <string.h>
#include "core/units.h"

#define MAX_COMPONENTS 32
#define MAX_SIGNATURES 8

typedef struct component {
    const char *name;       /* lower case, with '@' for derived ones */
    const char *param_name; /* ;name= of @query-param */
    int sf, bs;             /* ;sf and ;bs of a field (sections 2.1.1 and 2.1.3) */
    const char *key;        /* ;key= of a field: one member of a dictionary (2.1.2) */
    const char *text;       /* as written, quotes and parameters included: it goes into the signature base */
} component;

typedef struct input {
    const char *label;
    const char *params;  /* text behind "label=": the value of @signature-params */
    int n_components;
    component components[MAX_COMPONENTS];
    const char *keyid, *alg, *tag;
    apr_time_t created, expires;
    int has_created, has_expires;
    webhook_slice sig; /* decoded */
} input;

/* One parameter of a component; `last` is the last character of its text. tr and req stand for what a request does not have: not
 * understood, so not accepted. */
static int component_param(component *comp, const char *name, const char *value, char last)
{
    if (comp->name[0] == '@') {
        if (strcmp(name, "name") != 0 || last != '"' || strcmp(comp->name, "@query-param") != 0 || comp->param_name) return 0;
        comp->param_name = value;
        return 1;
    }
    if (strcmp(name, "key") == 0 && last == '"' && !comp->key) {
        comp->key = value;
        return 1;
    }
    if (*value || last == '"' || last == ':') return 0; /* the others are there or not */
    if (strcmp(name, "sf") == 0 && !comp->sf) return comp->sf = 1;
    if (strcmp(name, "bs") == 0 && !comp->bs) return comp->bs = 1;
    return 0;
}

static int parse_components(input *in, const char **s, apr_pool_t *p)
{
    int i;

    if (*(*s)++ != '(') return 0;
    for (;;) {
        component *comp;
        const char *start, *name;
        while (**s == ' ') (*s)++;
        if (**s == ')') break;
        if (in->n_components == MAX_COMPONENTS) return 0;
        comp = &in->components[in->n_components];
        memset(comp, 0, sizeof(*comp));
        start = *s;
        if ((comp->name = wh_sf_string(s, p)) == NULL || !*comp->name) return 0;
        while (**s == ';') {
            const char *value = wh_sf_param(s, &name, p);
            if (!value || !component_param(comp, name, value, (*s)[-1])) return 0;
        }
        if (comp->bs && (comp->sf || comp->key)) return 0; /* section 2.1: they contradict each other */
        for (i = 0; comp->name[i]; i++) {
            if (apr_isupper(comp->name[i])) return 0;
        }
        comp->text = apr_pstrmemdup(p, start, (apr_size_t)(*s - start));
        for (i = 0; i < in->n_components; i++) {
            if (strcmp(in->components[i].text, comp->text) == 0) return 0; /* section 2: each identifier once */
        }
        in->n_components++;
    }
    (*s)++;
    return 1;
}

static int parse_seconds(const char *text, apr_time_t *out)
{
    apr_int64_t n;

    if (wh_parse_int(text, strlen(text), 0, APR_INT64_C(999999999999), &n) != APR_SUCCESS) return 0;
    *out = n * APR_USEC_PER_SEC;
    return 1;
}

static int parse_input_params(input *in, const char **s, apr_pool_t *p)
{
    while (**s == ';') {
        const char *name, *value = wh_sf_param(s, &name, p);
        if (!value) return 0;
        if (strcmp(name, "created") == 0) {
            if (in->has_created || !parse_seconds(value, &in->created)) return 0;
            in->has_created = 1;
        } else if (strcmp(name, "expires") == 0) {
            if (in->has_expires || !parse_seconds(value, &in->expires)) return 0;
            in->has_expires = 1;
        } else if (strcmp(name, "keyid") == 0) {
            if (in->keyid) return 0;
            in->keyid = value;
        } else if (strcmp(name, "alg") == 0) {
            if (in->alg) return 0;
            in->alg = value;
        } else if (strcmp(name, "tag") == 0) {
            if (in->tag) return 0;
            in->tag = value;
        }
    }
    return 1;
}

typedef struct join {
    apr_pool_t *p;
    int bytes; /* each line as a byte sequence */
    const char *text;
} join;

static int join_line(void *baton, const char *name, const char *value)
{
    join *j = baton;
    const char *end;

    (void)name;
    while (*value == ' ' || *value == '\t') value++;
    end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
    if (j->bytes) value = apr_pstrcat(j->p, ":", wh_encode(WH_ENC_BASE64, (const unsigned char *)value, (apr_size_t)(end - value), j->p), ":", NULL);
    else value = apr_pstrmemdup(j->p, value, (apr_size_t)(end - value));
    j->text = j->text ? apr_pstrcat(j->p, j->text, ", ", value, NULL) : value;
    return 1;
}

/* Lines of one field joined as section 2.1 says, or each as a byte sequence; NULL when absent */
static const char *field_lines(wh_vctx *c, const char *name, int bytes)
{
    join j = { c->p, bytes, NULL };

    if (c->req->headers) apr_table_do(join_line, &j, c->req->headers, name, NULL);
    return j.text;
}

static const char *field_value(wh_vctx *c, const char *name)
{
    return field_lines(c, name, 0);
}

/* A field as its component's parameters want it; NULL when it is not there in that form */
static const char *field_component(wh_vctx *c, const component *comp)
{
    const char *value = field_lines(c, comp->name, comp->bs);

    if (value && comp->key) return wh_sf_member(value, comp->key, c->p);
    return value && comp->sf ? wh_sf_serialize(value, c->p) : value;
}

/* @return number of signatures, -1 when malformed */
static int parse_inputs(wh_vctx *c, const char *text, input *list)
{
    const char *s = text;
    int n = 0, i;

    wh_sf_skip(&s);
    while (*s) {
        input *in = &list[n];
        const char *start;
        if (n == MAX_SIGNATURES) return -1;
        memset(in, 0, sizeof(*in));
        if ((in->label = wh_sf_key(&s, c->p)) == NULL || *s++ != '=') return -1;
        start = s;
        if (!parse_components(in, &s, c->p) || !parse_input_params(in, &s, c->p)) return -1;
        in->params = apr_pstrmemdup(c->p, start, (apr_size_t)(s - start));
        for (i = 0; i < n; i++) {
            if (strcmp(list[i].label, in->label) == 0) return -1;
        }
        n++;
        wh_sf_skip(&s);
        if (!*s) break;
        if (*s++ != ',') return -1;
        wh_sf_skip(&s);
        if (!*s) return -1;
    }
    return n;
}

static int parse_signatures(wh_vctx *c, const char *text, input *list, int n)
{
    const char *s = text, *label;

    wh_sf_skip(&s);
    while (*s) {
        webhook_slice bytes;
        int i;
        if ((label = wh_sf_key(&s, c->p)) == NULL || *s++ != '=' || !wh_sf_bytes(&s, &bytes, c->p)) return 0;
        for (i = 0; i < n; i++) {
            if (strcmp(list[i].label, label) != 0) continue;
            if (list[i].sig.data) return 0;
            list[i].sig = bytes;
        }
        wh_sf_skip(&s);
        if (!*s) break;
        if (*s++ != ',') return 0;
        wh_sf_skip(&s);
        if (!*s) return 0;
    }
    return 1;
}

/* ---- components (section 2.2) ---- */

static const char *lower(const char *s, apr_size_t len, apr_pool_t *p)
{
    char *out = apr_pstrmemdup(p, s, len), *at;

    for (at = out; *at; at++) *at = (char)apr_tolower(*at);
    return out;
}

static const char *authority(wh_vctx *c)
{
    const char *url = wh_ctx_url(c), *host = strstr(url, "://");
    apr_size_t len;
    const char *out, *port;

    if (!host) return NULL;
    host += 3;
    len = strcspn(host, "/?#");
    out = lower(host, len, c->p);
    port = strncasecmp(url, "https:", 6) == 0 ? ":443" : ":80";
    len = strlen(out);
    if (len > strlen(port) && strcmp(out + len - strlen(port), port) == 0) out = apr_pstrmemdup(c->p, out, len - strlen(port));
    return out;
}

static const char *url_path(wh_vctx *c, const char **query)
{
    const char *url = wh_ctx_url(c), *s = strstr(url, "://"), *mark;
    apr_size_t len;

    s = s ? s + 3 : url;
    s += strcspn(s, "/?#");
    len = strcspn(s, "?#");
    mark = s[len] == '?' ? s + len + 1 : NULL;
    *query = mark ? apr_pstrmemdup(c->p, mark, strcspn(mark, "#")) : NULL;
    return len ? apr_pstrmemdup(c->p, s, len) : "/";
}

/* Section 2.2.8: decoded, then percent-encoded again in one way */
static const char *query_param(wh_vctx *c, const char *name)
{
    const wh_form *query = wh_ctx_query(c);
    wh_form wanted;
    webhook_slice value, text = { name, strlen(name) };
    char *decoded;
    wh_buf b;
    apr_size_t i;

    if (!query || wh_form_parse(&wanted, text, c->p) != APR_SUCCESS || wanted.count != 1) return NULL;
    decoded = apr_pstrmemdup(c->p, wanted.pairs[0].name.data, wanted.pairs[0].name.len);
    if (wh_form_get(query, decoded, &value) != 1) return NULL; /* repeated ones have no value of their own */
    wh_buf_init(&b, c->p, value.len * 3 + 1);
    for (i = 0; i < value.len; i++) {
        unsigned char ch = (unsigned char)value.data[i];
        if (apr_isalnum(ch) || (ch && strchr("-_.~*", ch))) wh_buf_add(&b, value.data + i, 1);
        else wh_buf_addf(&b, "%%%02X", ch);
    }
    return b.data;
}

static const char *component_value(wh_vctx *c, const component *comp)
{
    const char *query, *path;

    if (comp->name[0] != '@') return field_component(c, comp);
    if (strcmp(comp->name, "@method") == 0) return c->req->method;
    if (strcmp(comp->name, "@target-uri") == 0) return wh_ctx_url(c);
    if (strcmp(comp->name, "@authority") == 0) return authority(c);
    if (strcmp(comp->name, "@scheme") == 0) {
        const char *url = wh_ctx_url(c), *colon = strchr(url, ':');
        return colon ? lower(url, (apr_size_t)(colon - url), c->p) : NULL;
    }
    if (strcmp(comp->name, "@request-target") == 0) return c->req->uri;
    path = url_path(c, &query);
    if (strcmp(comp->name, "@path") == 0) return path;
    if (strcmp(comp->name, "@query") == 0) return apr_pstrcat(c->p, "?", query ? query : "", NULL);
    if (strcmp(comp->name, "@query-param") == 0 && comp->param_name) return query_param(c, comp->param_name);
    return NULL;
}

/* Signature base (section 2.5); NULL when a component cannot be had */
static const char *signature_base(wh_vctx *c, const input *in, const char **missing)
{
    wh_buf b;
    int i;

    wh_buf_init(&b, c->p, 1024);
    for (i = 0; i < in->n_components; i++) {
        const char *value = component_value(c, &in->components[i]);
        if (!value || strpbrk(value, "\r\n")) {
            *missing = in->components[i].text;
            return NULL;
        }
        wh_buf_adds(&b, in->components[i].text);
        wh_buf_adds(&b, ": ");
        wh_buf_adds(&b, value);
        wh_buf_add(&b, "\n", 1);
    }
    wh_buf_adds(&b, "\"@signature-params\": ");
    wh_buf_adds(&b, in->params);
    return b.data;
}

static int covers(const input *in, const char *name)
{
    int i;

    for (i = 0; i < in->n_components; i++) {
        const component *comp = &in->components[i];
        if (strcmp(comp->name, name) == 0 && !comp->param_name && !comp->key) return 1; /* a member alone is not the field */
    }
    return 0;
}

/* Whether a demanded component is covered by itself or by one that says as much, or is not there to be covered. What is absent and not
 * covered cannot be added later: then it is there. */
static int satisfied(wh_vctx *c, const input *in, const char *name)
{
    if (covers(in, name)) return 1;
    if (name[0] == '@') {
        if (covers(in, "@target-uri") && (strcmp(name, "@authority") == 0 || strcmp(name, "@path") == 0 || strcmp(name, "@query") == 0
                                          || strcmp(name, "@scheme") == 0)) return 1;
        if (covers(in, "@request-target") && (strcmp(name, "@path") == 0 || strcmp(name, "@query") == 0)) return 1;
        return strcmp(name, "@query") == 0 && !c->req->query;
    }
    if (strcmp(name, "content-digest") == 0 && !c->headers_only && c->req->body.len) return 0;
    return field_value(c, name) == NULL;
}

static int check_content_digest(wh_vctx *c, const input *in)
{
    const char *s = field_value(c, "content-digest"), *key;
    int strong = 0;

    if (!covers(in, "content-digest")) {
        if (c->v->need_digest && c->req->body.len) {
            return wh_deny(c, WH_REFUSAL_DIGEST_MISMATCH, "the signature does not cover content-digest, so the body is not protected");
        }
        return 1;
    }
    for (wh_sf_skip(&s); *s;) {
        webhook_slice bytes;
        unsigned char md[EVP_MAX_MD_SIZE];
        int d;
        if ((key = wh_sf_key(&s, c->p)) == NULL || *s++ != '=' || !wh_sf_bytes(&s, &bytes, c->p)) {
            return wh_deny(c, WH_REFUSAL_DIGEST_MISMATCH, "content-digest is not well formed");
        }
        d = strcmp(key, "sha-256") == 0 ? WH_SHA256 : strcmp(key, "sha-512") == 0 ? WH_SHA512 : -1;
        if (d >= 0) { /* the other algorithms of the registry are broken */
            strong++;
            if (!wh_hash_bytes(c->v, (wh_digest)d, c->req->body.data, c->req->body.len, md)) {
                c->failed = 1;
                return wh_deny(c, WH_REFUSAL_INTERNAL, "the digest could not be made");
            }
            if (!wh_equal(md, wh_digest_size((wh_digest)d), bytes.data, bytes.len)) {
                return wh_deny(c, WH_REFUSAL_DIGEST_MISMATCH, "the body does not match content-digest");
            }
        }
        wh_sf_skip(&s);
        if (!*s) break;
        if (*s++ != ',') return wh_deny(c, WH_REFUSAL_DIGEST_MISMATCH, "content-digest is not well formed");
        wh_sf_skip(&s);
    }
    return strong ? 1 : wh_deny(c, WH_REFUSAL_DIGEST_MISMATCH, "content-digest has neither sha-256 nor sha-512");
}

static int read_headers(wh_vctx *c, input **out, int *count)
{
    const char *inputs = field_value(c, "signature-input"), *sigs = field_value(c, "signature");
    int n;

    if (!inputs) return wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "Signature-Input is missing");
    if (!sigs) return wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "Signature is missing");
    *out = apr_palloc(c->p, MAX_SIGNATURES * sizeof(input));
    n = parse_inputs(c, inputs, *out);
    if (n <= 0 || !parse_signatures(c, sigs, *out, n)) {
        return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "Signature-Input or Signature is not as RFC 9421 writes it");
    }
    *count = n;
    return 1;
}

/* What can be said of one signature without its key */
static int check_input(wh_vctx *c, const input *in, const wh_named_alg **alg)
{
    const webhook_verifier *v = c->v;
    int i;

    if (!in->sig.data) return wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "there is no signature for a label of Signature-Input");
    *alg = &APR_ARRAY_IDX(v->algorithms, 0, wh_named_alg);
    if (in->alg) {
        *alg = NULL;
        for (i = 0; i < v->algorithms->nelts; i++) {
            const wh_named_alg *a = &APR_ARRAY_IDX(v->algorithms, i, wh_named_alg);
            if (strcmp(a->label, in->alg) == 0) *alg = a;
        }
        if (!*alg) return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "the signature's algorithm is not one this endpoint takes");
    } else if (v->algorithms->nelts > 1) {
        *alg = NULL; /* the key's type decides */
    }
    for (i = 0; i < v->components->nelts; i++) {
        const char *name = APR_ARRAY_IDX(v->components, i, const char *);
        if (!satisfied(c, in, name)) return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "the signature does not cover %s", name);
    }
    if (!in->has_created && v->tolerance >= 0) {
        return wh_deny(c, WH_REFUSAL_TIMESTAMP_MISSING, "the signature does not say when it was created");
    }
    if (in->has_created && !wh_time_within(c, in->created)) return 0;
    if (in->has_expires && c->req->now >= in->expires) return wh_deny(c, WH_REFUSAL_TIMESTAMP_OUTSIDE, "the signature has expired");
    return 1;
}

static int wanted(const webhook_verifier *v, const input *in)
{
    if (v->label && strcmp(v->label, in->label) != 0) return 0;
    return !v->tag || (in->tag && strcmp(v->tag, in->tag) == 0);
}

int wh_httpsig_screen(wh_vctx *c)
{
    input *list;
    const wh_named_alg *alg;
    int n, i, ok = 0, any = 0;

    if (!read_headers(c, &list, &n)) return 0;
    for (i = 0; i < n; i++) {
        if (!wanted(c->v, &list[i])) continue;
        any = 1;
        if (check_input(c, &list[i], &alg)) ok = 1;
    }
    if (!any) return wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "there is no signature with this endpoint's label and tag");
    if (ok) {
        c->verdict->status = 0;
        c->verdict->reason = c->verdict->detail = NULL;
    }
    return ok;
}

static int verify_input(wh_vctx *c, const input *in, const webhook_secrets *secrets)
{
    const wh_named_alg *alg;
    const wh_key **keys;
    const char *base, *missing = NULL;
    unsigned char md[EVP_MAX_MD_SIZE];
    webhook_slice text;
    wh_message *m;
    int n_keys, k, i, hit = -1, tried = 0;

    if (!check_input(c, in, &alg)) return 0;
    c->keyid_text = NULL;
    if (!wh_keys_usable(c, secrets, &keys, &n_keys)) return 0;
    if ((base = signature_base(c, in, &missing)) == NULL) {
        return wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "a component the signature covers is not there");
    }
    text.data = base;
    text.len = strlen(base);
    m = wh_message_of(text, c->p);
    for (k = 0; k < n_keys; k++) {
        /* A signature that names its key is checked with that key alone. */
        if (in->keyid && strcmp(in->keyid, keys[k]->id) != 0) continue;
        for (i = 0; i < c->v->algorithms->nelts; i++) {
            const wh_named_alg *a = &APR_ARRAY_IDX(c->v->algorithms, i, wh_named_alg);
            int ok;
            if ((alg && a != alg) || !wh_alg_fits_key(a->alg, keys[k])) continue;
            tried++;
            if (a->alg->kind == WH_ALG_DIGEST) {
                ok = !wh_mac_one(keys[k], a->alg->digest, m, md)
                         ? -1 : wh_equal(md, wh_digest_size(a->alg->digest), in->sig.data, in->sig.len);
            } else {
                ok = a->alg->kind != WH_ALG_ED25519 && !wh_hash_message(c->v, a->alg->digest, m, NULL, md)
                         ? -1 : wh_public_verify(keys[k], a->alg, md, text, (const unsigned char *)in->sig.data, in->sig.len);
            }
            if (ok < 0) c->failed = 1;
            if (ok > 0 && hit < 0) hit = k;
        }
    }
    if (!tried) return wh_key_missing(c, "the signature names a key this endpoint does not have");
    if (hit < 0) return wh_deny(c, WH_REFUSAL_SIGNATURE_MISMATCH, "no secret of this endpoint gives this signature");
    if (!check_content_digest(c, in)) return 0;
    c->verdict->timestamp = in->has_created ? in->created : 0;
    c->matched = m;
    wh_accept_verdict(c, keys[hit]);
    return 1;
}

void wh_httpsig_verify(wh_vctx *c, const webhook_secrets *secrets)
{
    input *list;
    int n, i, any = 0;

    if (!wh_common_before(c) || !read_headers(c, &list, &n)) return;
    for (i = 0; i < n; i++) {
        if (!wanted(c->v, &list[i])) continue;
        any = 1;
        if (verify_input(c, &list[i], secrets)) return;
    }
    if (!any) wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "there is no signature with this endpoint's label and tag");
}

/* ---- signing ---- */

const char *wh_httpsig_sign(const webhook_verifier *v, const wh_key *key, const webhook_request *req, apr_table_t *headers, apr_pool_t *p)
{
    const wh_alg *alg = APR_ARRAY_IDX(v->algorithms, 0, wh_named_alg).alg;
    const char *label = v->label ? v->label : "sig1", *missing = NULL, *base, *err;
    wh_vctx *c = apr_pcalloc(p, sizeof(*c));
    input *in = apr_pcalloc(p, sizeof(*in));
    unsigned char md[EVP_MAX_MD_SIZE], *sig = md;
    apr_size_t len = wh_digest_size(alg->digest);
    webhook_slice msg;
    wh_buf b;
    int i;

    c->v = v;
    c->req = req;
    c->p = p;
    c->verdict = apr_pcalloc(p, sizeof(webhook_verdict));
    if (v->need_digest || req->body.len) {
        if (!wh_hash_bytes(v, WH_SHA256, req->body.data, req->body.len, md)) return "the digest could not be made";
        apr_table_setn(headers, "Content-Digest", apr_pstrcat(p, "sha-256=:", wh_encode(WH_ENC_BASE64, md, 32, p), ":", NULL));
        apr_table_setn((apr_table_t *)(apr_uintptr_t)req->headers, "Content-Digest", apr_table_get(headers, "Content-Digest"));
    }
    wh_buf_init(&b, p, 256);
    wh_buf_add(&b, "(", 1);
    for (i = 0; i < v->components->nelts; i++) {
        component *comp = &in->components[in->n_components];
        comp->name = APR_ARRAY_IDX(v->components, i, const char *);
        if (in->n_components == MAX_COMPONENTS) return "too many components";
        if (!component_value(c, comp)) continue; /* what is not there is not covered */
        comp->text = apr_pstrcat(p, "\"", comp->name, "\"", NULL);
        if (in->n_components++) wh_buf_add(&b, " ", 1);
        wh_buf_adds(&b, comp->text);
    }
    wh_buf_addf(&b, ");created=%" APR_INT64_T_FMT ";keyid=\"%s\"", (apr_int64_t)(req->now / APR_USEC_PER_SEC), key->id);
    if (strpbrk(key->id, "\"\\")) return "the key id cannot be written in Signature-Input";
    wh_buf_addf(&b, ";alg=\"%s\"", APR_ARRAY_IDX(v->algorithms, 0, wh_named_alg).label);
    if (v->tag) wh_buf_addf(&b, ";tag=\"%s\"", v->tag);
    in->params = b.data;
    if ((base = signature_base(c, in, &missing)) == NULL) return apr_psprintf(p, "%s cannot be signed", missing);
    msg.data = base;
    msg.len = strlen(base);
    if (alg->kind == WH_ALG_DIGEST) {
        if (!wh_mac_one(key, alg->digest, wh_message_of(msg, p), md)) return "the signature could not be made";
    } else {
        if ((err = wh_private_sign(key, alg, v, msg, &sig, &len, p)) != NULL) return err;
    }
    apr_table_setn(headers, "Signature-Input", apr_pstrcat(p, label, "=", in->params, NULL));
    apr_table_setn(headers, "Signature", apr_pstrcat(p, label, "=:", wh_encode(WH_ENC_BASE64, sig, len, p), ":", NULL));
    return NULL;
}
