/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept.c: what a verified request becomes: rules choose handlers (route.c), the delivery is built and stored durably, and only then is it
 * answered.
 *
 * Idempotency key: SHA-256 over endpoint and sender's id where the scheme signs the id, over endpoint, id and body digest where it does
 * not (GitHub's "Redeliver" repeats the id, and an unsigned id could be forged onto another body). Without a sender's id it is over
 * endpoint and all that is signed, where that has a time in it; where it has none a request is never taken for a duplicate: two events
 * may well have the same bytes. What was not verified has no key: it must not stand in the way of what will be.
 */
#include "httpd/request.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "util_filter.h"
#include "apr_buckets.h"
#include "apr_strings.h"

#include "core/encoding.h"
#include "core/json.h"
#include "store/group.h"

APLOG_USE_MODULE(webhook);

/* The store of this process: set once in child_init, before any thread. */
static wh_group *group;

void wh_accept_child_init(apr_pool_t *pchild, server_rec *s)
{
    wh_global *g = wh_conf_global(s);
    wh_group_conf conf = {0};
    webhook_result res = {0};
    wh_store_spec *spec;
    apr_status_t rv;

    wh_body_child_init(pchild);
    group = NULL;
    if (!g->store || !g->delivers) {
        return;
    }
    spec = apr_pcalloc(pchild, sizeof(*spec));
    spec->text = g->store_text;
    spec->provider = g->store;
    spec->conf = g->store_conf;
    if (g->counters) {
        conf.commits = &g->counters->commits;
        conf.commit_items = &g->counters->commit_items;
        conf.store_errors = &g->counters->store_errors;
    }
    conf.wake = wh_daemon_wake;
    rv = wh_group_create(&group, spec, &conf, pchild, &res);
    if (rv != APR_SUCCESS) {
        group = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, "WH0300: store %s cannot be used by this process: %s; endpoints answer 503",
                     g->store_text, res.detail ? res.detail : "no locks");
    }
}

/* ---- the delivery ---- */

static int count_line(void *baton, const char *name, const char *value)
{
    *(apr_size_t *)baton += strlen(name) + strlen(value) + 4;
    return 1;
}

static int write_line(void *baton, const char *name, const char *value)
{
    char **at = baton;
    apr_size_t n = strlen(name), v = strlen(value);

    memcpy(*at, name, n);
    memcpy(*at + n, ": ", 2);
    memcpy(*at + n + 2, value, v);
    memcpy(*at + n + 2 + v, "\r\n", 2);
    *at += n + v + 4;
    return 1;
}

static webhook_slice header_lines(const apr_table_t *headers, apr_pool_t *p)
{
    webhook_slice lines = {NULL, 0};
    char *text, *at;

    apr_table_do(count_line, &lines.len, headers, NULL);
    at = text = apr_palloc(p, lines.len + 1);
    apr_table_do(write_line, &at, headers, NULL);
    lines.data = text;
    return lines;
}

static void fill_delivery(webhook_delivery *d, wh_req *wq, const unsigned char digest[32])
{
    const request_rec *r = wq->r;
    const apr_table_t *headers = wh_req_headers(wq);
    char *hex = apr_palloc(r->pool, 65);

    wh_hex(hex, digest, 32);
    d->id = wq->id;
    d->endpoint = wq->auth->name;
    d->scheme = wq->auth->scheme;
    d->verified = wh_req_proven(wq);
    d->key_id = wq->verdict.key_id;
    d->event = wq->verdict.event;
    d->sender_id = wq->verdict.sender_id;
    d->received = wq->now;
    d->remote_addr = r->useragent_ip;
    d->method = r->method;
    d->uri = wq->request.uri;
    d->content_type = apr_table_get(headers, "Content-Type");
    d->headers = header_lines(headers, r->pool);
    d->body = wq->body.data;
    d->body_len = wq->body.len;
    d->body_sha256 = hex;
}

/* Fields with their lengths in front, so that no two lists of fields give the same bytes. */
static void add_field(wh_buf *b, const void *data, apr_size_t len)
{
    unsigned char size[8];
    int i;

    for (i = 0; i < 8; i++) {
        size[i] = (unsigned char)((apr_uint64_t)len >> (56 - 8 * i));
    }
    wh_buf_add(b, (const char *)size, sizeof(size));
    wh_buf_add(b, data, len);
}

static const unsigned char *key_of(const wh_req *wq, const char *id, webhook_slice more)
{
    unsigned char *key = apr_palloc(wq->r->pool, 32);
    wh_buf b;

    wh_buf_init(&b, wq->r->pool, 256);
    add_field(&b, wq->auth->name, strlen(wq->auth->name));
    add_field(&b, id, strlen(id));
    if (more.data) {
        add_field(&b, more.data, more.len);
    }
    wh_sha256(key, b.data, b.len);
    return key;
}

/*
 * An id that is not signed can be changed by whoever copies a request; what is signed with its time cannot. So where there is a moment it is the
 * key, and such an id is a claim beside it, for retries that the sender signs anew. Where there is none, id and body are.
 */
static void dedupe_keys(const wh_req *wq, const unsigned char digest[32], webhook_accept *item)
{
    static const webhook_slice none = { NULL, 0 }, claimed = { "claimed", 7 };
    const webhook_verdict *v = &wq->verdict;
    webhook_slice body = { (const char *)digest, 32 };
    int has_id = v->sender_id && *v->sender_id;

    if (wq->conf->duplicates == WH_DUPLICATES_OFF || wq->unenforced || (!has_id && !v->moment.len)) {
        return;
    }
    if (has_id && v->sender_id_signed) {
        item->dedupe_key = key_of(wq, v->sender_id, none);
        return;
    }
    item->dedupe_key = v->moment.len ? key_of(wq, "", v->moment) : key_of(wq, v->sender_id, body);
    if (v->moment.len && has_id) {
        item->dedupe_claim = key_of(wq, v->sender_id, claimed);
    }
}

/* ---- the answer ---- */

static int send_answer(request_rec *r, int status, const char *type, const char *body, apr_size_t len)
{
    apr_bucket_brigade *bb;

    r->status = status;
    r->no_local_copy = 1;
    if (len) {
        ap_set_content_type(r, type);
    }
    if (status != HTTP_NO_CONTENT) {
        ap_set_content_length(r, (apr_off_t)len);
    }
    bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    if (len && status != HTTP_NO_CONTENT) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(body, len, r->pool, bb->bucket_alloc));
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    /* The delivery is kept; a client that went away will ask again and be told the same id. */
    (void)ap_pass_brigade(r->output_filters, bb);
    return OK;
}

static int answer(const wh_req *wq, request_rec *r, const char *id)
{
    const wh_answer *own = wq->conf->answer;
    int status = wh_conf_answer_status(wq->conf);
    const char *body;

    if (own && own->body) {
        return send_answer(r, status, own->content_type ? own->content_type : "text/plain; charset=utf-8", own->body, strlen(own->body));
    }
    if ((body = wq->auth->traits->success_body) != NULL) {
        return send_answer(r, status, "text/plain; charset=utf-8", body, strlen(body));
    }
    body = apr_pstrcat(r->pool, "{\"id\":\"", id, "\"}\n", NULL);
    return send_answer(r, status, own && own->content_type ? own->content_type : "application/json", body, strlen(body));
}

static int add_header(void *baton, const char *name, const char *value)
{
    apr_table_addn(((request_rec *)baton)->headers_out, name, value);
    return 1;
}

int wh_accept_handshake(wh_req *wq, request_rec *r)
{
    const webhook_reply *reply = &wq->reply;

    WH_COUNT(wq->count, handshakes, 1);
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "WH0303: handshake endpoint=%s id=%s status=%d", wq->auth->name, wq->id, reply->status);
    if (reply->headers) {
        apr_table_do(add_header, r, reply->headers, NULL);
    }
    /* What came in goes back out: never as something a browser would run. */
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    return send_answer(r, reply->status, reply->content_type ? reply->content_type : "text/plain", reply->body.data, reply->body.len);
}

static const char *const outcome_names[] = {"pending", "stored", "duplicate", "requeued", "failed"};

static void count_stored(const wh_req *wq, const webhook_accept *item)
{
    WH_COUNT(wq->count, accepted, 1);
    WH_COUNT(wq->count, body_bytes, wq->body.len);
    if (item->handler_count == 0) {
        if (!strcmp(item->kept_as, "dropped")) {
            WH_COUNT(wq->count, dropped, 1);
        }
        else {
            WH_COUNT(wq->count, unrouted, 1);
        }
    }
}

/* What the store made of it. @return OK when there is a delivery, a new one or the first, to be acknowledged */
static int settle(wh_req *wq, request_rec *r, const webhook_accept *item)
{
    switch (item->outcome) {
    case WEBHOOK_ACCEPT_STORED:
        count_stored(wq, item);
        if (item->kept_as) {
            apr_table_setn(r->headers_out, "Webhook-Outcome", item->kept_as);
        }
        return OK;
    case WEBHOOK_ACCEPT_REQUEUED:
        WH_COUNT(wq->count, duplicates, 1);
        return OK;
    case WEBHOOK_ACCEPT_DUPLICATE:
        WH_COUNT(wq->count, duplicates, 1);
        if (wq->conf->duplicates == WH_DUPLICATES_REJECT) {
            return wh_refuse(wq, WH_REFUSAL_REPLAYED, apr_pstrcat(r->pool, "first seen as ", item->first_id, NULL));
        }
        return OK;
    case WEBHOOK_ACCEPT_PENDING:
    case WEBHOOK_ACCEPT_FAILED:
    default:
        return wh_refuse_result(wq, &item->result);
    }
}

static void log_accepted(const wh_req *wq, request_rec *r, const webhook_accept *item)
{
    wh_delivery_log log = wh_conf_global(r->server)->log;

    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                  "WH0304: accepted endpoint=%s id=%s outcome=%s event=%s sender-id=%s bytes=%" APR_OFF_T_FMT " jobs=%d%s%s%s%s", wq->auth->name,
                  item->first_id, outcome_names[item->outcome], wq->verdict.event ? wq->verdict.event : "-",
                  wq->verdict.sender_id ? wq->verdict.sender_id : "-", wq->body.len, item->handler_count,
                  item->kept_as ? " kept as " : "", item->kept_as ? item->kept_as : "", item->why ? ": " : "", item->why ? item->why : "");
    if (log.fd < 0) {
        return;
    }
    log.credentials = wq->auth->traits->credentials;
    log.unenforced = wq->unenforced ? wq->reason : NULL;
    log.invalid = wq->invalid;
    wh_dlog_accepted(&log, item->delivery, item->outcome, item->first_id, item->handlers, item->handler_count, item->kept_as, item->why,
                     wh_conf_answer_status(wq->conf), r->pool);
}

int wh_accept(wh_req *wq, request_rec *r)
{
    const wh_global *g = wh_conf_global(r->server);
    unsigned char digest[32];
    webhook_delivery d = {0};
    webhook_accept item = {0};
    wh_routing to = {0};
    int rc;

    if ((rc = wh_route_choose(wq, r, &to)) != OK) {
        return rc;
    }
    if (!group && !(g->store_none && wq->conf->gate == 1 && to.handlers->nelts == 0)) {
        return wh_refuse(wq, WH_REFUSAL_STORE_FAILED, "this process has no store");
    }
    /* Without a store the digest is only for the log: it costs as much as the signature. */
    if (group || g->log.fd >= 0) {
        wh_sha256(digest, wq->body.data.data, wq->body.data.len);
        fill_delivery(&d, wq, digest);
        if (group) {
            dedupe_keys(wq, digest, &item);
        }
    }
    item.delivery = &d;
    item.handler_count = to.handlers->nelts;
    item.handlers = (const char *const *)to.handlers->elts;
    item.shapes = to.shapes;
    item.kept_as = to.kept_as;
    item.why = to.why;
    item.dedupe_window = wh_conf_window(wq->conf);
    if (group) {
        wh_group_accept(group, &item, r->pool);
    }
    else {
        /* WebhookStore none and WebhookGate On: verified and acknowledged, as the configuration says in so many words. */
        item.outcome = WEBHOOK_ACCEPT_STORED;
        apr_cpystrn(item.first_id, wq->id, sizeof(item.first_id));
    }
    if ((rc = settle(wq, r, &item)) != OK) {
        return rc;
    }
    log_accepted(wq, r, &item);
    return answer(wq, r, item.first_id);
}
