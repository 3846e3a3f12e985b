/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refuse.c: the one way to refuse. A refusal is decided once (wh_refuse): status, reason, headers, variables, one counter, one log line,
 * one line in the delivery log. The phases then answer with the plain status, and httpd's own ap_die() takes it from there: an
 * ErrorDocument of the admin wins, else the output filter of this file puts the problem+json body (RFC 9457) in place of httpd's page.
 * The same filter gives authorization's 401 and 403 at an endpoint that form.
 *
 *   {"title":"Unauthorized","status":401,"detail":"The signature or token does not match","reason":"signature-mismatch","id":"..."}
 *
 * What a schema refused also has "pointer" (where, a JSON pointer as a URI fragment) and "keyword" (by what).
 *
 * `title` is the status's own phrase, as RFC 9457 wants it where there is no `type`; `detail` is the reason's fixed sentence, never
 * anything of the request. What exactly was wrong is in the log line alone.
 */
#include "httpd/request.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_core.h"
#include "util_filter.h"
#include "apr_buckets.h"
#include "apr_strings.h"

#include "core/delivery_log.h"
#include "core/id.h"
#include "core/json.h"

APLOG_USE_MODULE(webhook);

#define DEFAULT_RETRY_AFTER apr_time_from_sec(10)

static ap_filter_rec_t *problem_filter;

/* Quoted-string of RFC 9110; endpoint names come from the configuration. */
static const char *quoted(const char *text, apr_pool_t *p)
{
    char *out = apr_palloc(p, 2 * strlen(text) + 3), *w = out;

    *w++ = '"';
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            *w++ = '\\';
        }
        *w++ = c < 0x20 || c == 0x7f ? '_' : (char)c;
    }
    *w++ = '"';
    *w = '\0';
    return out;
}

/*
 * A body that is not wanted. httpd would read and throw away all of it for the sake of the next request, so there is none; and the connection
 * lingers for 2 s and not for the usual 30, in which a sender that does not stop gets a gigabyte rid (and with mpm_worker and mpm_prefork has
 * a worker for itself): mod_reqtimeout's note to httpd, which knows it since 2.2.
 */
static void leave_unread(request_rec *r)
{
    if (ap_request_has_body(r)) {
        r->connection->keepalive = AP_CONN_CLOSE;
        apr_table_setn(r->connection->notes, "short-lingering-close", "1");
    }
}

static void refusal_headers(wh_req *wq)
{
    request_rec *r = wq->r;

    if (wq->status == HTTP_UNAUTHORIZED && !apr_table_get(r->err_headers_out, "WWW-Authenticate")) {
        apr_table_setn(r->err_headers_out, "WWW-Authenticate",
                       apr_pstrcat(r->pool, "Webhook realm=", quoted(wq->auth->name, r->pool), NULL));
    }
    if (wq->status == HTTP_SERVICE_UNAVAILABLE) {
        apr_interval_time_t after = wq->retry_after > 0 ? wq->retry_after : DEFAULT_RETRY_AFTER;
        apr_table_setn(r->err_headers_out, "Retry-After",
                       apr_psprintf(r->pool, "%" APR_TIME_T_FMT, (after + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC));
    }
    if (!wq->body.complete) {
        leave_unread(r);
    }
}

static void log_delivery(const wh_req *wq)
{
    const request_rec *r = wq->r;
    wh_delivery_log log = wh_conf_global(r->server)->log;
    webhook_delivery d = {0};

    if (log.fd < 0) {
        return;
    }
    log.credentials = wq->auth->traits->credentials;
    d.id = wq->id;
    d.endpoint = wq->auth->name;
    d.scheme = wq->auth->scheme;
    d.received = wq->now;
    d.remote_addr = r->useragent_ip;
    d.method = r->method;
    d.uri = wq->request.uri;
    d.content_type = apr_table_get(r->headers_in, "Content-Type");
    d.body_len = wq->body.len;
    wh_dlog_refused(&log, &d, wq->status, wq->reason, wq->detail, r->pool);
}

static int refuse(wh_req *wq, wh_refusal refusal, int status, const char *reason, const char *detail, apr_interval_time_t retry_after)
{
    request_rec *r = wq->r;

    if (wq->state == WH_REFUSED) {
        return wq->status;
    }
    wq->state = WH_REFUSED;
    wq->refusal = refusal;
    wq->status = status;
    wq->reason = reason;
    wq->detail = detail;
    wq->retry_after = retry_after;
    refusal_headers(wq);
    wh_vars_export(wq, r);
    WH_COUNT(wq->count, refused, 1);
    WH_COUNT(wq->count, reason[refusal], 1);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "WH0200: refused endpoint=%s id=%s reason=%s status=%d%s%s", wq->auth->name, wq->id, reason,
                  status, detail ? " " : "", detail ? detail : "");
    log_delivery(wq);
    return status;
}

int wh_refuse(wh_req *wq, wh_refusal refusal, const char *detail)
{
    const wh_refusal_info *info = &wh_refusal_table[refusal];
    return refuse(wq, refusal, info->status, info->code, detail, 0);
}

/* A third-party provider's own code is passed on and counted as internal. */
static wh_refusal known(const char *reason)
{
    int i = reason ? wh_refusal_find(reason) : -1;
    return i < 0 ? WH_REFUSAL_INTERNAL : (wh_refusal)i;
}

int wh_refuse_verdict(wh_req *wq, const webhook_verdict *v)
{
    const webhook_scheme_traits *traits = wq->auth->traits;
    int status = v->status;

    /* Whatever a verifier answers that is no refusal we know is one all the same. */
    if (status < 400 || status > 599 || !v->reason) {
        return wh_refuse(wq, WH_REFUSAL_INTERNAL, "the verifier gave no usable verdict");
    }
    if (status < 500 && traits->refusal_status) {
        status = traits->refusal_status;
    }
    return refuse(wq, known(v->reason), status, v->reason, v->detail, v->retry_after);
}

int wh_refuse_result(wh_req *wq, const webhook_result *res)
{
    wh_refusal refusal = res->reason ? known(res->reason) : WH_REFUSAL_STORE_FAILED;
    return refuse(wq, refusal, HTTP_SERVICE_UNAVAILABLE, wh_refusal_table[refusal].code, res->detail, res->retry_after);
}

int wh_refuse_request(request_rec *r, wh_refusal refusal, const char *detail)
{
    const wh_refusal_info *info = &wh_refusal_table[refusal];
    wh_counters *all = wh_conf_global(r->server)->counters;
    wh_endpoint_counters *other = wh_counters_endpoint(all, -1);
    char *id = apr_pcalloc(r->pool, WH_ID_LEN + 1);

    if (wh_id_make(id, apr_time_now()) != APR_SUCCESS) {
        id = apr_pstrdup(r->pool, "-");
    }
    leave_unread(r);
    apr_table_setn(r->notes, "WEBHOOK_ID", id);
    apr_table_setn(r->notes, "WEBHOOK_REASON", info->code);
    apr_table_setn(r->subprocess_env, "WEBHOOK_ID", id);
    apr_table_setn(r->subprocess_env, "WEBHOOK_REASON", info->code);
    WH_COUNT(other, requests, 1);
    WH_COUNT(other, refused, 1);
    WH_COUNT(other, reason[refusal], 1);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "WH0201: refused uri=%s id=%s reason=%s status=%d %s", r->uri, id, info->code, info->status,
                  detail);
    return info->status;
}

/* ---- the form ---- */

typedef struct problem {
    const char *reason;
    const char *detail;
    const char *id;
    const char *allow; /* with 405 */
    const char *pointer, *keyword; /* with schema-invalid: what the sender may know of it; NULL */
    int empty;
    int sent;
} problem;

static const char *problem_body(const problem *c, const request_rec *r, apr_size_t *len)
{
    const char *line = ap_get_status_line(r->status);
    wh_buf b;

    wh_buf_init(&b, r->pool, 256);
    wh_buf_adds(&b, "{");
    wh_json_put_member(&b, "title", strlen(line) > 4 ? line + 4 : line);
    wh_json_put_member_int(&b, "status", r->status);
    wh_json_put_member(&b, "detail", c->detail);
    wh_json_put_member(&b, "reason", c->reason);
    wh_json_put_member(&b, "pointer", c->pointer);
    wh_json_put_member(&b, "keyword", c->keyword);
    wh_json_put_member(&b, "id", c->id);
    wh_buf_adds(&b, "}\n");
    *len = b.len;
    return b.data;
}

static apr_status_t problem_write(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    problem *c = f->ctx;
    apr_bucket *b, *next;
    int eos = 0;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = next) {
        next = APR_BUCKET_NEXT(b);
        if (APR_BUCKET_IS_EOS(b)) {
            eos = 1;
        }
        else if (!APR_BUCKET_IS_METADATA(b)) {
            apr_bucket_delete(b);
        }
    }
    /* httpd sends its page with headers of its own choice; ours are set at the last moment, when all of it is here. */
    if (!eos) {
        apr_brigade_cleanup(bb);
        return APR_SUCCESS;
    }
    if (!c->sent) {
        c->sent = 1;
        if (c->allow && r->status == HTTP_METHOD_NOT_ALLOWED) {
            apr_table_setn(r->headers_out, "Allow", c->allow);
        }
        apr_table_unset(r->headers_out, "Content-Length");
        if (c->empty) {
            ap_set_content_type(r, NULL);
            ap_set_content_length(r, 0);
        }
        else {
            apr_size_t len;
            const char *text = problem_body(c, r, &len);
            ap_set_content_type(r, "application/problem+json");
            ap_set_content_length(r, (apr_off_t)len);
            if (!r->header_only) {
                APR_BRIGADE_INSERT_HEAD(bb, apr_bucket_pool_create(text, len, r->pool, bb->bucket_alloc));
            }
        }
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

/*
 * httpd refused at an endpoint of ours, without asking us: authorization, before there was a verdict or against it; or its HTTP filter,
 * while we were reading (LimitRequestBody, broken chunks).
 */
static void refused_by_httpd(wh_req *wq, int status)
{
    wh_refusal refusal;

    if (wq->state == WH_REFUSED || wq->passed) {
        return;
    }
    if (status == HTTP_FORBIDDEN || status == HTTP_UNAUTHORIZED) {
        refuse(wq, WH_REFUSAL_FORBIDDEN, status, wh_refusal_table[WH_REFUSAL_FORBIDDEN].code, "by another module", 0);
    }
    else if (wq->body_read && !wq->body.complete) {
        refusal = status == HTTP_REQUEST_ENTITY_TOO_LARGE ? WH_REFUSAL_BODY_TOO_LARGE
                  : status == HTTP_REQUEST_TIME_OUT       ? WH_REFUSAL_BODY_TIMEOUT
                                                          : WH_REFUSAL_BODY_INCOMPLETE;
        refuse(wq, refusal, status, wh_refusal_table[refusal].code, "by httpd's own limits", 0);
    }
}

/* refusal-status=2xx: the sender is not told, and httpd's page for it says nothing */
static int refused_kindly(const wh_req *wq, int status)
{
    return wq && wq->state == WH_REFUSED && wq->status == status && ap_is_HTTP_SUCCESS(status);
}

void wh_hook_insert_error_filter(request_rec *r)
{
    const char *own, *reason = NULL;
    wh_req *wq;
    problem *c;

    wq = ap_get_module_config(r->request_config, &webhook_module);
    if (r->main || !(ap_is_HTTP_ERROR(r->status) || refused_kindly(wq, r->status))) {
        return;
    }
    if (wq && ap_is_HTTP_ERROR(r->status)) {
        refused_by_httpd(wq, r->status);
    }
    if (wq && wq->state == WH_REFUSED && wq->r != r) {
        wh_vars_export(wq, r); /* refused after an internal redirect: what is logged is this request */
    }
    if (wq ? wq->state != WH_REFUSED || wq->status != r->status : !(reason = apr_table_get(r->notes, "WEBHOOK_REASON"))) {
        return;
    }
    /* A text of the admin's wins; an URL here is one that failed. */
    own = ap_response_code_string(r, ap_index_of_response(r->status));
    if (own && *own == '"') {
        return;
    }
    c = apr_pcalloc(r->pool, sizeof(*c));
    if (wq) {
        c->reason = wq->reason;
        c->detail = wh_refusal_table[wq->refusal].title;
        c->id = wq->id;
        c->pointer = wq->pointer;
        c->keyword = wq->keyword;
        c->allow = apr_table_get(r->err_headers_out, "Allow");
        c->empty = wq->auth->traits->empty_refusal_body || !ap_is_HTTP_ERROR(wq->status);
    }
    else {
        c->reason = reason;
        c->detail = wh_refusal_table[known(reason)].title;
        c->id = apr_table_get(r->notes, "WEBHOOK_ID");
    }
    ap_add_output_filter_handle(problem_filter, c, r, r->connection);
}

int wh_hook_note_auth_failure(request_rec *r, const char *auth_type)
{
    const wh_req *wq;

    if (ap_cstr_casecmp(auth_type, "Webhook")) {
        return DECLINED;
    }
    wq = wh_req_find(r);
    apr_table_setn(r->err_headers_out, "WWW-Authenticate",
                   apr_pstrcat(r->pool, "Webhook realm=", quoted(wq ? wq->auth->name : "webhook", r->pool), NULL));
    return OK;
}

void wh_refuse_register(apr_pool_t *p)
{
    (void)p;
    problem_filter = ap_register_output_filter("WEBHOOK_PROBLEM", problem_write, NULL, AP_FTYPE_RESOURCE);
}
