/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate.c: our hooks in httpd's request phases. They decide when to ask for a verdict (verdict.c) and what follows from it; request.h
 * lists the phases and the order the hooks must have.
 *
 * A place is ours when its configuration makes it an endpoint (WebhookVerify) that is in use: by WebhookGate On, by SetHandler webhook,
 * or by AuthType Webhook. The handler hook is the last gate: a request that came around the earlier phases (a sub-request, DirectoryIndex,
 * a handler set late by a rewrite) is verified there if its body is unread, and refused otherwise.
 */
#include "httpd/request.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "apr_strings.h"

APLOG_USE_MODULE(webhook);

#define HANDLER_NAME "webhook"
#define AUTH_TYPE "Webhook"

/* request_rec wants writable strings that nobody writes to. */
static char auth_type[] = AUTH_TYPE;
#define USER "webhook:"
static char refused_user[] = USER;
#define UNVERIFIED_USER "webhook-unverified:" /* WebhookEnforce Off: Require valid-user is content, Require user is not */

static int auth_is_webhook(request_rec *r)
{
    const char *type = ap_auth_type(r);
    return type && !ap_cstr_casecmp(type, AUTH_TYPE);
}

static int handler_is_webhook(const request_rec *r)
{
    return r->handler && !strcmp(r->handler, HANDLER_NAME);
}

/* Before type_checker r->handler is not set; what SetHandler will make of it is known. */
static int handler_will_be_webhook(request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const char *handler = core->handler, *err = NULL;

    if (core->expr_handler) {
        handler = ap_expr_str_exec(r, core->expr_handler, &err);
        if (err) {
            return 0;
        }
    }
    return handler && !strcmp(handler, HANDLER_NAME);
}

/* The endpoint in use here, NULL if none. Only the main request and its internal redirects get a record of their own. */
static wh_req *endpoint_here(request_rec *r, int early)
{
    const wh_dir_conf *conf = wh_conf_here(r);

    if (!conf || !conf->auth) {
        return NULL;
    }
    if (conf->gate != 1 && !handler_is_webhook(r) && !(early && handler_will_be_webhook(r)) && !auth_is_webhook(r)) {
        return NULL;
    }
    return wh_req_get(r);
}

/* check_config reports this; should a section escape it all the same, nothing behind its gate is served. */
static int gate_without_verifier(request_rec *r)
{
    const wh_dir_conf *conf = wh_conf_here(r);
    return conf && conf->gate == 1 && !conf->auth;
}

/* httpd fetches the admin's ErrorDocument for our own refusal: it is served even where it lies behind the gate that refused. */
static int is_error_document(const request_rec *r)
{
    return r->prev && ap_is_HTTP_ERROR(r->status);
}

int wh_hook_post_read(request_rec *r)
{
    wh_req *wq;

    if (wh_conf_global(r->server)->auths->nelts == 0 || r->main) {
        return DECLINED;
    }
    if (!r->prev) {
        wh_vars_remove_spoofed(r);
        return DECLINED;
    }
    /* An internal redirect has renamed the variables to REDIRECT_* and dropped every filter that was ours. */
    wq = wh_req_find(r);
    if (wq && wq->state != WH_UNDECIDED) {
        wh_vars_export(wq, r);
        if (wq->state == WH_ACCEPTED) {
            wh_replay_insert(wq, r);
        }
    }
    return DECLINED;
}

int wh_hook_access(request_rec *r)
{
    wh_req *wq;

    if (r->main || (wq = endpoint_here(r, 1)) == NULL) {
        return DECLINED;
    }
    if (wq->state == WH_REFUSED && is_error_document(r)) {
        return DECLINED;
    }
    if (wq->state == WH_UNDECIDED || wq->state == WH_REFUSED) {
        int rc = wh_req_screen(wq);
        return rc == OK ? DECLINED : rc;
    }
    return DECLINED;
}

int wh_hook_authn(request_rec *r)
{
    wh_req *wq;
    int rc;

    if (!auth_is_webhook(r)) {
        return DECLINED;
    }
    wq = endpoint_here(r, 1);
    if (!wq) {
        /* Sub-request into an endpoint the main request has nothing to do with: there is no body to verify. */
        return r->main ? HTTP_FORBIDDEN : wh_refuse_request(r, WH_REFUSAL_NO_ENDPOINT, "AuthType Webhook without WebhookVerify");
    }
    if (wq->state == WH_REFUSED && is_error_document(r)) {
        r->user = refused_user;
        r->ap_auth_type = auth_type;
        return OK;
    }
    rc = !r->main ? wh_req_verify(wq) : wh_req_holds(wq, r) ? OK : HTTP_FORBIDDEN;
    if (rc != OK) {
        return rc;
    }
    r->user = apr_pstrcat(r->pool, wq->unenforced ? UNVERIFIED_USER : USER, wq->auth->name, NULL);
    r->ap_auth_type = auth_type;
    return OK;
}

/*
 * What a verified GET brings is for that request alone. mod_cache, which answers before any of our phases, and caches elsewhere would give
 * it to everybody who asks for the same URL: to them it does not look like the answer to a request with credentials.
 */
static void keep_from_caches(request_rec *r)
{
    if (r->method_number == M_GET) {
        r->no_cache = 1;
    }
}

int wh_hook_fixups(request_rec *r)
{
    wh_req *wq;
    int rc;

    /* Sub-requests are often mere look-ups; if one is run, the handler hook sees to it. */
    if (r->main) {
        return DECLINED;
    }
    if ((wq = endpoint_here(r, 0)) == NULL) {
        return gate_without_verifier(r) ? wh_refuse_request(r, WH_REFUSAL_NOT_VERIFIED, "WebhookGate On without WebhookVerify") : DECLINED;
    }
    if (wq->state == WH_REFUSED && is_error_document(r)) {
        return DECLINED;
    }
    keep_from_caches(r);
    if ((rc = wh_req_verify(wq)) != OK) {
        return rc;
    }
    if (wq->state == WH_ACCEPTED) {
        wh_vars_export(wq, r);
        if (!handler_is_webhook(r)) {
            wh_vars_gate_headers(wq, r);
        }
        wh_replay_insert(wq, r);
    }
    return OK;
}

void wh_hook_insert_filter(request_rec *r)
{
    wh_req *wq;

    if (!r->main && (wq = wh_req_find(r)) != NULL && wq->state == WH_ACCEPTED) {
        wh_replay_insert(wq, r);
    }
}

/* Behind a gate: the request goes on to its own handler when the verdict for this endpoint allows it. */
static int pass_gate(wh_req *wq, request_rec *r)
{
    if (!wq->passed) {
        wq->passed = 1;
        WH_COUNT(wq->count, gated, 1);
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "WH0253: passed endpoint=%s id=%s to handler %s, %" APR_OFF_T_FMT " bytes",
                      wq->auth->name, wq->id, r->handler ? r->handler : "default-handler", wq->body.len);
    }
    return DECLINED;
}

int wh_hook_handler(request_rec *r)
{
    const wh_dir_conf *conf = wh_conf_here(r);
    int ours = handler_is_webhook(r), late, rc;
    wh_req *wq = endpoint_here(r, 0);

    wh_headers_clean_request(r); /* whether this place is the endpoint's or one that the request came to from there */
    if (!wq) {
        if (ours) {
            return wh_refuse_request(r, WH_REFUSAL_NO_ENDPOINT, "SetHandler webhook without WebhookVerify");
        }
        if (r->main && conf && conf->auth && (conf->gate == 1 || auth_is_webhook(r))) {
            ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "WH0254: sub-request %s for %s refused: not verified for endpoint %s", r->uri,
                          r->main->uri, conf->auth->name);
            return HTTP_FORBIDDEN;
        }
        return DECLINED;
    }
    if (wq->state == WH_REFUSED) {
        return is_error_document(r) && !ours ? DECLINED : wq->status;
    }
    if (r->main) {
        return wh_req_holds(wq, r) && !ours ? DECLINED : HTTP_FORBIDDEN;
    }
    keep_from_caches(r);
    late = wq->state == WH_UNDECIDED;
    if ((rc = wh_req_verify(wq)) != OK) {
        return rc;
    }
    if (wq->state == WH_HANDSHAKE) {
        return wh_accept_handshake(wq, r);
    }
    if (late) {
        wh_vars_export(wq, r);
        if (!ours) {
            wh_vars_gate_headers(wq, r);
        }
        wh_replay_insert(wq, r);
    }
    return ours ? wh_accept(wq, r) : pass_gate(wq, r);
}
