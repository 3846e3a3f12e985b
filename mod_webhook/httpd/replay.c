/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c: the input filter that gives the verified bytes to whoever reads next. It sits at AP_FTYPE_PROTOCOL - 1, directly above
 * HTTP_IN: inflaters, mod_security and the handler above it see what the verifier saw; HTTP_IN below it is at its end.
 *
 * The bytes are not copied: pool buckets over the memory (which turn into heap buckets if the pool goes first), mmap buckets over the
 * temporary file. Each reader, one per request_rec, has a position of its own.
 */
#include "httpd/request.h"

#include "http_log.h"
#include "util_filter.h"
#include "apr_buckets.h"
#include "apr_mmap.h"

APLOG_USE_MODULE(webhook);

typedef struct replay {
    const wh_req *wq;
    apr_off_t at; /* next byte to give */
    int eos;      /* EOS was given */
} replay;

static ap_filter_rec_t *replay_filter;

/* An mmap bucket deletes its mapping with its last reference: each gets a duplicate, which shares the pages. */
static apr_bucket *bucket_over(const wh_body *body, apr_off_t at, apr_size_t n, apr_pool_t *pool, apr_bucket_alloc_t *list)
{
    apr_mmap_t *map;

    if (body->map && apr_mmap_dup(&map, body->map, pool) == APR_SUCCESS) {
        return apr_bucket_mmap_create(map, at, n, list);
    }
    return apr_bucket_pool_create(body->data.data + at, n, pool, list);
}

/* Append up to n bytes from position at. @return how many */
static apr_off_t add_bytes(replay *c, apr_bucket_brigade *out, apr_off_t at, apr_off_t n)
{
    const wh_body *body = &c->wq->body;
    apr_off_t left = body->len - at;

    if (n > left) {
        n = left;
    }
    if (n <= 0) {
        return 0;
    }
    APR_BRIGADE_INSERT_TAIL(out, bucket_over(body, at, (apr_size_t)n, c->wq->r->pool, out->bucket_alloc));
    return n;
}

static void add_eos(replay *c, apr_bucket_brigade *out)
{
    APR_BRIGADE_INSERT_TAIL(out, apr_bucket_eos_create(out->bucket_alloc));
    c->eos = 1;
}

static apr_status_t replay_read(ap_filter_t *f, apr_bucket_brigade *out, ap_input_mode_t mode, apr_read_type_e block, apr_off_t n)
{
    replay *c = f->ctx;
    const wh_body *body = &c->wq->body;
    apr_off_t left = body->len - c->at;
    const char *lf;

    (void)block; /* everything is here already */
    switch (mode) {
    case AP_MODE_INIT:
    case AP_MODE_EATCRLF: /* between requests only; what comes after this body is not ours */
        return APR_SUCCESS;
    case AP_MODE_SPECULATIVE:
        if (add_bytes(c, out, c->at, n) == 0) {
            APR_BRIGADE_INSERT_TAIL(out, apr_bucket_eos_create(out->bucket_alloc));
        }
        return APR_SUCCESS;
    case AP_MODE_GETLINE:
        n = left < HUGE_STRING_LEN ? left : HUGE_STRING_LEN;
        lf = n > 0 ? memchr(body->data.data + c->at, '\n', (apr_size_t)n) : NULL;
        if (lf) {
            n = lf + 1 - (body->data.data + c->at);
        }
        break;
    case AP_MODE_EXHAUSTIVE:
        n = left;
        break;
    case AP_MODE_READBYTES:
        if (n <= 0) {
            return APR_EINVAL;
        }
        break;
    default:
        return APR_ENOTIMPL;
    }
    c->at += add_bytes(c, out, c->at, n);
    /* EOS comes with the last bytes: it saves every reader a call. A line is given alone, as core's filter does. */
    if (c->at == body->len && (mode != AP_MODE_GETLINE || left == 0)) {
        add_eos(c, out);
    }
    return APR_SUCCESS;
}

void wh_replay_register(apr_pool_t *p)
{
    (void)p;
    replay_filter = ap_register_input_filter("WEBHOOK_REPLAY", replay_read, NULL, AP_FTYPE_PROTOCOL - 1);
}

void wh_replay_insert(wh_req *wq, request_rec *r)
{
    const ap_filter_t *f;
    replay *c;

    for (f = r->input_filters; f && f != r->proto_input_filters; f = f->next) {
        if (f->frec == replay_filter) {
            return;
        }
    }
    c = apr_pcalloc(r->pool, sizeof(*c));
    c->wq = wq;
    ap_add_input_filter_handle(replay_filter, c, r, r->connection);
}
