/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c: finding and describing the built-in rows; see verify.h. */
#include "verify/verify.h"
#include "verify/scheme.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

static const char *const primitive_names[] = { "none", "token", "hmac", "hash", "public-key", "jwt", "httpsig" };

const webhook_verifier_provider *wh_verifier_builtins(int index)
{
    return index >= 0 && index < wh_preset_count ? &wh_preset_rows[index].provider : NULL;
}

const webhook_verifier_provider *wh_verifier_builtin(const char *name)
{
    int i;

    for (i = 0; name && i < wh_preset_count; i++) {
        if (strcmp(wh_preset_rows[i].provider.name, name) == 0) return &wh_preset_rows[i].provider;
    }
    return NULL;
}

#define NEAR_WORD 40 /* letters and digits looked at */
#define NEAR_MOST 8  /* names in an answer */

/* Letters and digits alone, in lower case: "Cal.com", "calcom" and "cal-com" are one word. */
static apr_size_t near_word(char *out, const char *text)
{
    apr_size_t n = 0;

    for (; *text && n < NEAR_WORD; text++) {
        if (apr_isalnum(*text)) out[n++] = (char)apr_tolower(*text);
    }
    out[n] = '\0';
    return n;
}

/* Letters to add, drop or change to make one word the other (Levenshtein) */
static apr_size_t near_distance(const char *a, apr_size_t alen, const char *b, apr_size_t blen)
{
    apr_size_t row[NEAR_WORD + 1], i, k;

    for (k = 0; k <= blen; k++) row[k] = k;
    for (i = 1; i <= alen; i++) {
        apr_size_t diagonal = row[0];
        row[0] = i;
        for (k = 1; k <= blen; k++) {
            apr_size_t least = diagonal + (a[i - 1] != b[k - 1]);
            if (row[k] + 1 < least) least = row[k] + 1;
            if (row[k - 1] + 1 < least) least = row[k - 1] + 1;
            diagonal = row[k];
            row[k] = least;
        }
    }
    return row[blen];
}

const char *wh_verifier_near(const char *name, apr_pool_t *p)
{
    char given[NEAR_WORD + 1], own[NEAR_WORD + 1], title[NEAR_WORD + 1];
    apr_size_t given_len = near_word(given, name ? name : ""), own_len, title_len;
    const char *list = NULL;
    int i, found = 0;

    for (i = 0; i < wh_preset_count && given_len > 1 && found < NEAR_MOST; i++) {
        const wh_preset *row = &wh_preset_rows[i];
        own_len = near_word(own, row->provider.name);
        title_len = near_word(title, row->title);
        if ((given_len > 2 && (strstr(own, given) || (title_len >= given_len && strstr(title, given)))) || (own_len > 3 && strstr(given, own))
            || near_distance(given, given_len, own, own_len) <= (given_len > 4 ? 2 : 1)) {
            list = list ? apr_pstrcat(p, list, ", ", row->provider.name, NULL) : row->provider.name;
            found++;
        }
    }
    return list;
}

static const wh_preset *row_of(const webhook_verifier_provider *provider)
{
    int i;

    for (i = 0; i < wh_preset_count; i++) {
        if (&wh_preset_rows[i].provider == provider) return &wh_preset_rows[i];
    }
    return NULL;
}

int wh_verifier_describe(const webhook_verifier_provider *provider, wh_verifier_info *info)
{
    const wh_preset *row = row_of(provider);

    if (!row) return 0;
    info->name = row->provider.name;
    info->title = row->title;
    info->primitive = primitive_names[row->primitive];
    info->generic = row->generic;
    info->options = row->options;
    info->variables = row->vars;
    info->secret = row->secret;
    return 1;
}

int wh_verifier_parameter(const webhook_verifier_provider *provider, int index, const char **name, const char **values)
{
    const wh_preset *row = (const wh_preset *)provider;

    return row >= wh_preset_rows && row < wh_preset_rows + wh_preset_count && wh_scheme_parameter(row, index, name, values);
}

static void put_parameters(wh_buf *b, const webhook_verifier_provider *provider)
{
    const char *name, *values;
    int i;

    wh_json_put_name(b, "parameters");
    for (i = 0; wh_verifier_parameter(provider, i, &name, &values); i++) {
        wh_buf_adds(b, i ? "," : "{");
        wh_json_put_string(b, name, strlen(name));
        wh_buf_adds(b, ":");
        wh_json_put_string(b, values, strlen(values));
    }
    wh_buf_adds(b, "}");
}

static void put_list(wh_buf *b, const char *name, const char *const *list)
{
    int first = 1;

    wh_json_put_name(b, name);
    wh_buf_adds(b, "[");
    for (; list && *list; list++) {
        if (!first) wh_buf_adds(b, ",");
        first = 0;
        wh_json_put_string(b, *list, strlen(*list));
    }
    wh_buf_adds(b, "]");
}

static void put_seconds(wh_buf *b, const char *name, apr_interval_time_t t)
{
    if (t >= 0) wh_json_put_member_int(b, name, (apr_int64_t)apr_time_sec(t));
}

/* What a configured scheme looks at and covers */
static void put_facts(wh_buf *b, const webhook_verifier *v, const char *const *no_list)
{
    const webhook_scheme_traits *traits = &v->traits;
    int i, k, url = v->primitive == WH_HTTPSIG || (v->message && v->message->uses_url);

    put_list(b, "methods", traits->methods ? traits->methods : no_list);
    if (traits->content_types) put_list(b, "content_types", traits->content_types);
    if (traits->body_limit) wh_json_put_member_int(b, "body_limit", (apr_int64_t)traits->body_limit);
    if (traits->success_status) wh_json_put_member_int(b, "status", traits->success_status);
    if (traits->refusal_status) wh_json_put_member_int(b, "refusal_status", traits->refusal_status);
    if (traits->empty_refusal_body) wh_json_put_member_bool(b, "empty_refusal_body", 1);
    wh_json_put_member(b, "success_body", traits->success_body);
    if (v->primitive != WH_NONE && v->primitive != WH_TOKEN) {
        wh_json_put_name(b, "algorithms");
        for (i = 0; i < v->algorithms->nelts; i++) {
            const char *name = APR_ARRAY_IDX(v->algorithms, i, wh_named_alg).alg->name;
            wh_buf_adds(b, i ? "," : "[");
            wh_json_put_string(b, name, strlen(name));
        }
        wh_buf_adds(b, "]");
    }
    wh_json_put_member(b, "signs", v->message ? v->message->text : NULL);
    for (i = 0; i < v->claims->nelts; i++) {
        const wh_claim_rule *rule = &APR_ARRAY_IDX(v->claims, i, wh_claim_rule);
        for (k = 0; k < rule->alternatives->nelts; k++) {
            if (APR_ARRAY_IDX(rule->alternatives, k, wh_template *)->uses_url) url = 1;
        }
    }
    wh_json_put_member_bool(b, "uses_url", url);
    if (v->ts_locs->nelts || v->primitive == WH_HTTPSIG) {
        wh_json_put_member_bool(b, "timestamp_signed", v->ts_signed);
        put_seconds(b, "tolerance_seconds", v->tolerance);
        put_seconds(b, "future_seconds", v->future);
    }
    if (v->primitive == WH_JWT) {
        put_seconds(b, "leeway_seconds", v->leeway);
        if (v->max_age) put_seconds(b, "max_age_seconds", v->max_age);
    }
    if (traits->window) put_seconds(b, "window_seconds", traits->window);
    wh_json_put_member_bool(b, "protects_body", traits->protects_body);
    wh_json_put_member_bool(b, "id_signed", v->id_signed);
    wh_json_put_member_bool(b, "moment", v->has_moment); /* with a token: where it says when it was issued */
    wh_json_put_member_int(b, "handshakes", v->handshakes->nelts);
}

const char *wh_verifier_json(wh_buf *b, const webhook_verifier_provider *provider, apr_pool_t *p)
{
    wh_verifier_info info;
    webhook_verifier *v = NULL;
    apr_array_header_t *options = apr_array_make(p, 2, sizeof(webhook_option));
    static const char *const post[] = { "POST", NULL };
    const char *s;
    apr_size_t len;

    if (!wh_verifier_describe(provider, &info)) return "not a built-in scheme";
    wh_buf_adds(b, "{");
    wh_json_put_member(b, "name", info.name);
    wh_json_put_member(b, "title", info.title);
    wh_json_put_member(b, "primitive", info.primitive);
    wh_json_put_member_bool(b, "generic", info.generic);
    wh_json_put_member(b, "secret", info.secret);
    wh_json_put_member(b, "variables", *info.variables ? info.variables : NULL);
    put_list(b, "options", info.options);
    if (info.generic) put_parameters(b, provider); /* a preset takes those of its primitive */
    if (!info.generic) {
        /* Mandatory variables get a stand-in so that the row can be configured and asked for its traits. */
        for (s = info.variables; *s; s += len + (s[len] == ' ')) {
            len = strcspn(s, " ");
            if (len && s[len - 1] != '?') {
                webhook_option *o = apr_array_push(options);
                o->name = apr_pstrmemdup(p, s, len);
                o->value = "x";
            }
        }
        if ((s = provider->configure(&v, provider, options, p, p)) != NULL) return s;
        put_facts(b, v, post);
    }
    wh_buf_adds(b, "}");
    return NULL;
}

void wh_verify_request(const webhook_verifier_provider *provider, const webhook_verifier *v, const webhook_secrets *secrets,
                       const webhook_request *req, webhook_verdict *verdict, webhook_reply *reply, int *replied, apr_pool_t *p)
{
    webhook_request head = *req;

    memset(verdict, 0, sizeof(*verdict));
    *replied = 0;
    head.body.data = NULL;
    head.body.len = 0;
    if (provider->screen) provider->screen(v, &head, verdict, p);
    if (verdict->status == 0) provider->verify(v, secrets, req, verdict, p);
    if (provider->handshake && reply) *replied = provider->handshake(v, secrets, req, verdict, reply, p);
}

int wh_verifier_rehearse(const webhook_verifier_provider *provider, const webhook_verifier *v, const webhook_request *req,
                         webhook_verdict *verdict, int *handshake, apr_pool_t *p)
{
    *handshake = 0;
    if (!row_of(provider)) return 0;
    *handshake = wh_scheme_rehearse(v, req, verdict, p);
    return 1;
}

const char *wh_verifier_event_header(const webhook_verifier_provider *provider, const webhook_verifier *v)
{
    return row_of(provider) ? wh_scheme_event_header(v) : NULL;
}
