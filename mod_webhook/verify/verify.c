/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c: finding and describing the built-in rows; see verify.h. */
#include "verify/verify.h"
#include "verify/scheme.h"

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

const char *wh_verifier_json(wh_buf *b, const webhook_verifier_provider *provider, apr_pool_t *p)
{
    wh_verifier_info info;
    webhook_verifier *v = NULL;
    apr_array_header_t *options = apr_array_make(p, 2, sizeof(webhook_option));
    const webhook_scheme_traits *traits;
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
        traits = provider->traits(v);
        if (traits->methods) put_list(b, "methods", traits->methods);
        if (traits->content_types) put_list(b, "content_types", traits->content_types);
        if (traits->body_limit) wh_json_put_member_int(b, "body_limit", (apr_int64_t)traits->body_limit);
        if (traits->success_status) wh_json_put_member_int(b, "status", traits->success_status);
        if (traits->window) wh_json_put_member_int(b, "window_seconds", (apr_int64_t)apr_time_sec(traits->window));
        wh_json_put_member_bool(b, "protects_body", traits->protects_body);
        wh_json_put_member_bool(b, "id_signed", v->id_signed);
        wh_json_put_member_int(b, "handshakes", v->handshakes->nelts);
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
