/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vars.c: what the rest of the server may know of a verified request: variables for logs, programs and expressions, request headers for
 * gated applications, and Require webhook-event / webhook-key. Functions and operators of expressions are in expr.c.
 *
 *   WEBHOOK_VERIFIED     1, or 0 where nothing was proven (WebhookVerify none, WebhookEnforce Off, refused)
 *   WEBHOOK_ENDPOINT     name of the endpoint
 *   WEBHOOK_SCHEME       scheme or preset
 *   WEBHOOK_KEY_ID       which secret matched
 *   WEBHOOK_ID           delivery id; WEBHOOK_DELIVERY_ID is the same
 *   WEBHOOK_EVENT        the sender's event name
 *   WEBHOOK_SENDER_ID    the sender's own id
 *   WEBHOOK_REASON       why it was refused, or would have been (WebhookEnforce Off)
 *
 * Each is in the environment (%{WEBHOOK_ID}e, CGI, SetEnvIf), in the notes (%{WEBHOOK_ID}n) and in expressions (%{WEBHOOK_ID}).
 */
#include "httpd/request.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "ap_provider.h"
#include "mod_auth.h"
#include "apr_fnmatch.h"
#include "apr_lib.h"
#include "apr_strings.h"

APLOG_USE_MODULE(webhook);

static const char *var_verified(const wh_req *wq) { return wh_req_proven(wq) ? "1" : "0"; }
static const char *var_endpoint(const wh_req *wq) { return wq->auth->name; }
static const char *var_scheme(const wh_req *wq) { return wq->auth->scheme; }
static const char *var_id(const wh_req *wq) { return wq->id; }
static const char *var_reason(const wh_req *wq) { return wq->state == WH_REFUSED || wq->unenforced ? wq->reason : NULL; }

/* What only an accepted request may say of itself. */
static const char *var_key_id(const wh_req *wq) { return wq->state == WH_ACCEPTED ? wq->verdict.key_id : NULL; }
static const char *var_event(const wh_req *wq) { return wq->state == WH_ACCEPTED ? wq->verdict.event : NULL; }
static const char *var_sender_id(const wh_req *wq) { return wq->state == WH_ACCEPTED ? wq->verdict.sender_id : NULL; }

#define PREFIX "WEBHOOK_" /* of all of them */

static const wh_variable variables[] = {
    {"WEBHOOK_VERIFIED", var_verified},
    {"WEBHOOK_ENDPOINT", var_endpoint},
    {"WEBHOOK_SCHEME", var_scheme},
    {"WEBHOOK_KEY_ID", var_key_id},
    {"WEBHOOK_ID", var_id},
    {"WEBHOOK_DELIVERY_ID", var_id},
    {"WEBHOOK_EVENT", var_event},
    {"WEBHOOK_SENDER_ID", var_sender_id},
    {"WEBHOOK_REASON", var_reason},
};
#define VARIABLE_COUNT (sizeof(variables) / sizeof(variables[0]))

const wh_variable *wh_vars_find(const char *name)
{
    apr_size_t i;

    for (i = 0; i < VARIABLE_COUNT; i++) {
        if (!strcasecmp(name, variables[i].name)) {
            return &variables[i];
        }
    }
    return NULL;
}

/* Whether one of the variables may be in a table already. */
static int has_variables(const apr_table_t *table)
{
    const apr_array_header_t *all = apr_table_elts(table);
    const apr_table_entry_t *entry = (const apr_table_entry_t *)all->elts;
    int i;

    for (i = 0; i < all->nelts; i++) {
        if (entry[i].key && (entry[i].key[0] | 0x20) == 'w' && !strncasecmp(entry[i].key, PREFIX, sizeof(PREFIX) - 1)) {
            return 1;
        }
    }
    return 0;
}

/* Tables compare a name with all that begin like it; ours do, so that is left out while none is there. */
static void export_to(apr_table_t *table, const wh_req *wq)
{
    int fresh = !has_variables(table);
    apr_size_t i;

    for (i = 0; i < VARIABLE_COUNT; i++) {
        const char *value = variables[i].get(wq);
        if (value && fresh) {
            apr_table_addn(table, variables[i].name, value);
        }
        else if (value) {
            apr_table_setn(table, variables[i].name, value);
        }
        else if (!fresh) {
            /* SetEnv, or the request this one was redirected from, must not speak for a value that is not there. */
            apr_table_unset(table, variables[i].name);
        }
    }
}

void wh_vars_export(wh_req *wq, request_rec *r)
{
    export_to(r->subprocess_env, wq);
    export_to(r->notes, wq);
}

/* ---- headers of gated requests ---- */

static const char *const our_headers[] = {"X-Webhook-Verified", "X-Webhook-Endpoint", "X-Webhook-Key-Id", "X-Webhook-Delivery-Id"};
#define HEADER_COUNT (sizeof(our_headers) / sizeof(our_headers[0]))

/* A CGI or WSGI application cannot tell X_Webhook_Verified from X-Webhook-Verified. */
static int same_header(const char *name, const char *ours)
{
    for (; *name && *ours; name++, ours++) {
        int c = *name == '_' ? '-' : apr_tolower(*name);
        if (c != apr_tolower(*ours)) {
            return 0;
        }
    }
    return *name == *ours;
}

void wh_vars_remove_spoofed(request_rec *r)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    const apr_table_entry_t *entry = (const apr_table_entry_t *)all->elts;
    const char *found[8];
    int i, n = 0;
    apr_size_t k;

    for (;;) {
        for (i = 0; i < all->nelts && n < 8; i++) {
            const char *key = entry[i].key;
            if (!key || (key[0] | 0x20) != 'x' || (key[1] != '-' && key[1] != '_') || (key[2] | 0x20) != 'w') {
                continue; /* all of ours begin with X-W */
            }
            for (k = 0; k < HEADER_COUNT; k++) {
                if (same_header(key, our_headers[k])) {
                    found[n++] = key;
                    break;
                }
            }
        }
        if (n == 0) {
            return;
        }
        for (i = 0; i < n; i++) {
            apr_table_unset(r->headers_in, found[i]);
        }
        all = apr_table_elts(r->headers_in);
        entry = (const apr_table_entry_t *)all->elts;
        n = 0;
    }
}

void wh_vars_gate_headers(wh_req *wq, request_rec *r)
{
    if (!wq->headers_in) {
        wq->headers_in = apr_table_copy(r->pool, r->headers_in);
    }
    /* Once more: MergeTrailers lets a chunked body add headers behind our back. None of ours is there then: they need no looking for. */
    wh_vars_remove_spoofed(r);
    apr_table_addn(r->headers_in, "X-Webhook-Verified", wh_req_proven(wq) ? "1" : "0");
    apr_table_addn(r->headers_in, "X-Webhook-Endpoint", wq->auth->name);
    apr_table_addn(r->headers_in, "X-Webhook-Delivery-Id", wq->id);
    if (wq->verdict.key_id) {
        apr_table_addn(r->headers_in, "X-Webhook-Key-Id", wq->verdict.key_id);
    }
    /* The body is known now; a chunked one would make mod_proxy and CGI guess. */
    if (apr_table_get(r->headers_in, "Transfer-Encoding") || wq->body.len > 0) {
        apr_table_unset(r->headers_in, "Transfer-Encoding");
        apr_table_setn(r->headers_in, "Content-Length", apr_off_t_toa(r->pool, wq->body.len));
    }
}

/* ---- authorization ---- */

static const char *require_parse(cmd_parms *cmd, const char *line, const void **parsed)
{
    apr_array_header_t *words = apr_array_make(cmd->pool, 4, sizeof(const char *));
    const char *word;

    while (*(word = ap_getword_conf(cmd->pool, &line))) {
        APR_ARRAY_PUSH(words, const char *) = word;
    }
    if (words->nelts == 0) {
        return "at least one name is needed; * stands for any characters";
    }
    *parsed = words;
    return NULL;
}

static authz_status require_check(request_rec *r, const void *parsed, const char *(*get)(const wh_req *wq))
{
    const apr_array_header_t *words = parsed;
    const wh_req *wq = wh_req_find(r);
    const char *value;
    int i;

    /* Nobody yet: authorization asks AuthType Webhook first and comes again. */
    if (!r->user) {
        return AUTHZ_DENIED_NO_USER;
    }
    /* What WebhookEnforce Off lets pass says nothing about itself that could open a door. */
    value = wq && !wq->unenforced ? get(wq) : NULL;
    for (i = 0; value && i < words->nelts; i++) {
        if (apr_fnmatch(APR_ARRAY_IDX(words, i, const char *), value, 0) == APR_SUCCESS) {
            return AUTHZ_GRANTED;
        }
    }
    return AUTHZ_DENIED;
}

static authz_status event_check(request_rec *r, const char *line, const void *parsed)
{
    (void)line;
    return require_check(r, parsed, var_event);
}

static authz_status key_check(request_rec *r, const char *line, const void *parsed)
{
    (void)line;
    return require_check(r, parsed, var_key_id);
}

static const authz_provider event_provider = {event_check, require_parse};
static const authz_provider key_provider = {key_check, require_parse};

void wh_vars_register(apr_pool_t *p)
{
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "webhook-event", AUTHZ_PROVIDER_VERSION, &event_provider,
                              AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "webhook-key", AUTHZ_PROVIDER_VERSION, &key_provider, AP_AUTH_INTERNAL_PER_CONF);
}
