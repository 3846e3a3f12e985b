/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict.c: one verdict per request and endpoint. Finds or makes the record of a request, passes it through the gates that need no
 * body, and has the verifier decide over the received bytes; each of these happens once, whoever asks first.
 */
#include "httpd/request.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "apr_lib.h"
#include "apr_strings.h"

#include "core/id.h"
#include "core/units.h"
#include "validate/inflate.h"
#include "validate/media.h"

APLOG_USE_MODULE(webhook);

static wh_req *slot(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &webhook_module);
}

/* The request this one came from: by an internal redirect, else as a sub-request. */
static const request_rec *origin(const request_rec *r)
{
    return r->prev ? r->prev : r->main;
}

wh_req *wh_req_find(const request_rec *r)
{
    for (; r; r = origin(r)) {
        wh_req *wq = slot(r);
        if (wq) {
            return wq;
        }
    }
    return NULL;
}

const wh_dir_conf *wh_conf_here(const request_rec *r)
{
    const wh_dir_conf *conf = ap_get_module_config(r->per_dir_config, &webhook_module);
    return conf ? wh_conf_effective(conf) : NULL;
}

const apr_table_t *wh_req_headers(const wh_req *wq)
{
    return wq->headers_in ? wq->headers_in : wq->r->headers_in;
}

/*
 * The path and query as the client sent them, whatever was rewritten since. An absolute-form target ("POST http://host/path") is cut to
 * the path: that is what schemes sign.
 */
static const char *received_uri(const request_rec *r)
{
    const char *uri, *colon;

    while (r->prev) {
        r = r->prev;
    }
    uri = r->unparsed_uri ? r->unparsed_uri : r->uri;
    if (*uri != '/' && (colon = strstr(uri, "://")) != NULL) {
        const char *path = strchr(colon + 3, '/');
        return path ? path : "/";
    }
    return uri;
}

wh_req *wh_req_make(request_rec *r, const wh_dir_conf *conf)
{
    wh_req *wq = apr_pcalloc(r->pool, sizeof(*wq));
    const request_rec *o;

    wq->r = r;
    wq->conf = conf;
    wq->dir_config = r->per_dir_config;
    wq->auth = conf->auth;
    wq->now = apr_time_now();
    wq->count = wh_counters_endpoint(wh_conf_global(r->server)->counters, conf->auth->counter);
    for (o = r; o; o = origin(o)) {
        const wh_req *other = slot(o);
        if (other && other->body_read) {
            wq->body_taken = 1;
        }
    }
    wq->request.method = r->method;
    wq->request.uri = received_uri(r);
    wq->request.query = strchr(wq->request.uri, '?');
    if (wq->request.query) {
        wq->request.query++;
    }
    wq->request.url = ap_construct_url(r->pool, wq->request.uri, r);
    wq->request.headers = r->headers_in;
    wq->request.now = wq->now;
    wq->request.parsed = &wq->json;
    ap_set_module_config(r->request_config, &webhook_module, wq);
    WH_COUNT(wq->count, requests, 1);
    if (wh_id_make(wq->id, wq->now) != APR_SUCCESS) {
        wh_refuse(wq, WH_REFUSAL_INTERNAL, "no random bytes for an id");
    }
    return wq;
}

wh_req *wh_req_get(request_rec *r)
{
    const wh_dir_conf *conf;
    const request_rec *o;
    wh_req *wq = slot(r);

    if (wq && wq->dir_config == r->per_dir_config) {
        return wq;
    }
    if ((conf = wh_conf_here(r)) == NULL || !conf->auth) {
        return NULL;
    }
    for (o = r; o; o = origin(o)) {
        wq = slot(o);
        if (wq && wq->auth == conf->auth) {
            if (r->main) {
                return wq; /* who looks on from a sub-request changes nothing: wh_req_holds() has the settings there */
            }
            /* Same endpoint, other section (DirectoryIndex, a rewrite): the verdict holds, the settings are those in force here. */
            if (wq->conf->decode != conf->decode || wq->conf->payload_field != conf->payload_field) {
                wq->payload = NULL;
                wq->decoded = 0;
            }
            wq->conf = conf;
            wq->dir_config = r->per_dir_config;
            ap_set_module_config(r->request_config, &webhook_module, wq);
            return wq;
        }
    }
    return r->main ? NULL : wh_req_make(r, conf);
}

int wh_req_proven(const wh_req *wq)
{
    return wq->state == WH_ACCEPTED && !wq->unenforced && strcmp(wq->auth->provider->name, "none") != 0;
}

/* ---- gates before the body ---- */

static int has_word(const char *const *list, const char *word)
{
    for (; *list; list++) {
        if (!strcmp(*list, word)) {
            return 1;
        }
    }
    return 0;
}

static int screen_type(wh_req *wq)
{
    request_rec *r = wq->r;
    const char *header = apr_table_get(wh_req_headers(wq), "Content-Type");
    const char *coding = apr_table_get(wh_req_headers(wq), "Content-Encoding");
    const char *const *list = wh_conf_content_types(wq->conf);
    wh_payload_kind kind = wq->kind;
    int codings = wq->conf->decode ? wq->conf->decode->codings : 0, known;

    if ((known = wh_coding_find(coding)) != 0 && (known < 0 || !(codings & known))) {
        /* RFC 9110 section 12.5.3: in a 415 it says what would have been taken */
        apr_table_setn(r->err_headers_out, "Accept-Encoding",
                       !codings                                             ? "identity"
                       : codings == (WH_CODING_GZIP | WH_CODING_DEFLATE) ? "gzip, deflate"
                       : codings == WH_CODING_GZIP                        ? "gzip"
                                                                          : "deflate");
        return wh_refuse(wq, WH_REFUSAL_CONTENT_ENCODING, apr_psprintf(r->pool, "Content-Encoding is \"%s\"", coding));
    }
    if (!header || !*header) {
        if (!ap_request_has_body(r) || has_word(list, "*")) {
            return OK;
        }
        return wh_refuse(wq, WH_REFUSAL_CONTENT_TYPE, "Content-Type is missing");
    }
    if (!wh_media_find(list, header, &wq->kind)) {
        return wh_refuse(wq, WH_REFUSAL_CONTENT_TYPE, apr_psprintf(r->pool, "Content-Type is \"%s\"", header));
    }
    if (wq->kind != kind) {
        wq->payload = NULL; /* read for another place, where this type meant something else */
    }
    /* JSON is UTF-8 (RFC 8259): a charset that says otherwise is a body nobody here would read as its sender means it. */
    if (wq->kind == WH_PAYLOAD_JSON && !wh_media_is_utf8(header)) {
        return wh_refuse(wq, WH_REFUSAL_CONTENT_TYPE, apr_psprintf(r->pool, "Content-Type is \"%s\": JSON is UTF-8", header));
    }
    return OK;
}

static int screen_method(wh_req *wq)
{
    request_rec *r = wq->r;
    const char *const *list = wh_conf_methods(wq->conf), *const *m;
    const char *allow = "";

    if (has_word(list, r->method)) {
        return OK;
    }
    for (m = list; *m; m++) {
        allow = apr_pstrcat(r->pool, allow, *allow ? ", " : "", *m, NULL);
    }
    apr_table_setn(r->err_headers_out, "Allow", allow);
    return wh_refuse(wq, WH_REFUSAL_METHOD, apr_psprintf(r->pool, "method %s", r->method));
}

static int screen_length(wh_req *wq)
{
    const char *header = apr_table_get(wh_req_headers(wq), "Content-Length");
    apr_off_t limit = wh_conf_body_limit(wq->conf);
    apr_int64_t length;

    if (wq->body.complete && wq->body.len > limit) {
        return wh_refuse(wq, WH_REFUSAL_BODY_TOO_LARGE, apr_psprintf(wq->r->pool, "more than %" APR_OFF_T_FMT " bytes", limit));
    }
    if (!header) {
        return OK;
    }
    /* httpd has refused what is no number; what overflows here is too large all the same. */
    if (wh_parse_int(header, strlen(header), 0, APR_INT64_MAX, &length) != APR_SUCCESS || length > limit) {
        return wh_refuse(wq, WH_REFUSAL_BODY_TOO_LARGE,
                         apr_psprintf(wq->r->pool, "Content-Length is %s, the limit %" APR_OFF_T_FMT, header, limit));
    }
    return OK;
}

static int screen_scheme(wh_req *wq)
{
    const wh_auth *auth = wq->auth;
    const char *const *name;

    if (wq->state != WH_UNDECIDED || !wh_conf_enforces(wq->conf)) {
        return OK; /* verification comes to the same, with the body, and only reports it */
    }
    if (auth->provider->screen) {
        auth->provider->screen(auth->verifier, &wq->request, &wq->verdict, wq->r->pool);
        if (wq->verdict.status != 0 && wq->verdict.status != HTTP_OK) {
            return wh_refuse_verdict(wq, &wq->verdict);
        }
        return OK;
    }
    for (name = auth->traits->required_headers; name && *name; name++) {
        const char *value = apr_table_get(wq->r->headers_in, *name);
        if (!value || !*value) {
            return wh_refuse(wq, WH_REFUSAL_SIGNATURE_MISSING, apr_psprintf(wq->r->pool, "%s is missing", *name));
        }
    }
    return OK;
}

static int screen_transport(wh_req *wq)
{
    const char *fault = wh_tls_fault(wq->r, wq->conf->tls);
    return fault ? wh_refuse(wq, WH_REFUSAL_TLS_REQUIRED, fault) : OK;
}

int wh_req_screen_form(wh_req *wq)
{
    int rc;

    if ((rc = screen_method(wq)) != OK || (rc = screen_type(wq)) != OK) {
        return rc;
    }
    return screen_length(wq);
}

int wh_req_screen(wh_req *wq)
{
    int rc;

    if (wq->state == WH_REFUSED) {
        return wq->status;
    }
    /* A request may come to another place of the same endpoint, which has gates of its own. */
    if (wq->screened == wq->conf) {
        return OK;
    }
    if ((rc = screen_transport(wq)) != OK || (rc = wh_req_screen_form(wq)) != OK || (rc = screen_scheme(wq)) != OK) {
        return rc;
    }
    wq->screened = wq->conf;
    ap_log_rerror(APLOG_MARK, APLOG_TRACE2, 0, wq->r, "WH0250: endpoint %s: method, media type, length and headers pass",
                  wq->auth->name);
    return OK;
}

/* ---- the verdict ---- */

int wh_req_holds(const wh_req *wq, const request_rec *r)
{
    const wh_dir_conf *here = wh_conf_here(r);

    return wq->state == WH_ACCEPTED && !(wq->unenforced && wh_conf_enforces(here)) && !wh_tls_fault(wq->r, here->tls)
           && (!here->validate || here->validate->nelts == 0 || here->validate == wq->validated);
}

/*
 * WebhookEnforce Off: what would have been refused is reported and goes on, marked everywhere as unverified. A warning, for each of them
 * is one that an endpoint as it should be would not have let in.
 */
static void let_pass(wh_req *wq)
{
    const webhook_verdict *v = &wq->verdict;

    wq->unenforced = 1;
    wq->status = v->status;
    wq->reason = v->reason ? v->reason : wh_refusal_table[WH_REFUSAL_INTERNAL].code;
    wq->detail = v->detail;
    wq->verdict.key_id = NULL;
    wq->verdict.sender_id_signed = 0;
    wq->state = WH_ACCEPTED;
    WH_COUNT(wq->count, unenforced, 1);
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, wq->r, "WH0420: not enforced: endpoint=%s id=%s reason=%s status=%d%s%s", wq->auth->name,
                  wq->id, wq->reason, wq->status, wq->detail ? " " : "", wq->detail ? wq->detail : "");
}

int wh_req_verify(wh_req *wq)
{
    const wh_auth *auth = wq->auth;
    request_rec *r = wq->r;
    const webhook_secrets *secrets;
    int rc, handshake;

    if ((rc = wh_req_screen(wq)) != OK) {
        return rc;
    }
    if (wq->state != WH_UNDECIDED) {
        if (wq->unenforced && wh_conf_enforces(wq->conf)) {
            wq->unenforced = 0;
            return wh_refuse_verdict(wq, &wq->verdict);
        }
        return wh_req_validate(wq);
    }
    if (wq->body_taken) {
        return wh_refuse(wq, WH_REFUSAL_NOT_VERIFIED, "the body was already read for another endpoint");
    }
    if ((rc = wh_body_read(wq)) != OK) {
        return rc;
    }
    if ((rc = wh_req_signed_body(wq, &wq->request.body)) != OK) {
        return rc;
    }
    wq->request.report_only = !wh_conf_enforces(wq->conf);
    wq->request.want_moment = wq->conf->gate != 1 && wq->conf->duplicates != WH_DUPLICATES_OFF;
    secrets = wh_secrets_now(auth, wq->now, r->pool);
    memset(&wq->verdict, 0, sizeof(wq->verdict));
    if (auth->traits->needs_secret && (!secrets || secrets->count == 0)) {
        wq->verdict.status = HTTP_SERVICE_UNAVAILABLE;
        wq->verdict.reason = wh_refusal_table[WH_REFUSAL_SECRET_UNAVAILABLE].code;
        wq->verdict.detail = "no secret of this endpoint is valid now";
    }
    else {
        auth->provider->verify(auth->verifier, secrets, &wq->request, &wq->verdict, r->pool);
    }
    /* Whatever the verdict: some handshakes are unsigned, and some bring the secret. */
    handshake = auth->provider->handshake
                && auth->provider->handshake(auth->verifier, secrets, &wq->request, &wq->verdict, &wq->reply, r->pool);
    if (wq->reply.note) {
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r, "WH0416: endpoint %s: id %s: %s", auth->name, wq->id, wq->reply.note);
    }
    if (handshake) {
        wq->state = WH_HANDSHAKE;
        ap_log_rerror(APLOG_MARK, APLOG_TRACE2, 0, r, "WH0251: endpoint %s: a handshake", auth->name);
        return OK;
    }
    if (wq->verdict.status != HTTP_OK) {
        if (wh_conf_enforces(wq->conf)) {
            return wh_refuse_verdict(wq, &wq->verdict);
        }
        let_pass(wq);
        return wh_req_validate(wq);
    }
    wq->state = WH_ACCEPTED;
    ap_log_rerror(APLOG_MARK, APLOG_TRACE2, 0, r, "WH0252: endpoint %s: verified, key %s, event %s, sender's id %s (%s)", auth->name,
                  wq->verdict.key_id ? wq->verdict.key_id : "-", wq->verdict.event ? wq->verdict.event : "-",
                  wq->verdict.sender_id ? wq->verdict.sender_id : "-", wq->verdict.sender_id_signed ? "signed" : "unsigned");
    return wh_req_validate(wq);
}
