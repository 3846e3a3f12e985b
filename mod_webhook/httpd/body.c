/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body.c: reads the whole body once, within the endpoint's size and time, into contiguous memory or, beyond WebhookBodyMemory, into an
 * unlinked temporary file that is mapped afterwards.
 *
 * The time bound is our own and total. mod_reqtimeout may be absent, is removed by mod_http2 on its streams, and socket timeouts start
 * anew with every byte. So every read is non-blocking, and between reads we wait for the socket until the deadline; a stream of HTTP/2 has
 * no socket of its own (its bytes come from another thread), there we look again after short sleeps.
 *
 * Reading starts at the protocol filters: the verifier must see what was sent, not what an input filter of the resource made of it.
 */
#include "httpd/request.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "util_filter.h"
#include "apr_buckets.h"
#include "apr_mmap.h"
#include "apr_portable.h"
#include "apr_strings.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "core/durable.h"
#include "core/units.h"

APLOG_USE_MODULE(webhook);

#define READ_SIZE 65536
#define FIRST_ROOM 8192
/* Longest wait before the filters are asked again although the socket is silent: TLS may hold what poll(2) does not see. */
#define MAX_WAIT apr_time_from_sec(1)
#define FIRST_SLEEP 100 /* microseconds */
#define MAX_SLEEP apr_time_from_msec(10)

typedef struct spool {
    wh_req *wq;
    char *data;        /* memory; NULL once in the file */
    apr_size_t room;
    apr_size_t declared; /* Content-Length, where that much is kept in memory; 0 */
    apr_size_t memory; /* most that is kept in memory */
    apr_off_t limit;
    apr_off_t len;
    apr_time_t deadline; /* monotonic */
    apr_interval_time_t sleep;
    int fd;            /* of the temporary file, -1 */
    int futile;        /* the socket said "readable" and nothing came, in a row */
} spool;

static const char *temp_dir = "/tmp";

void wh_body_child_init(apr_pool_t *pchild)
{
    const char *dir;
    /* Tries directories by creating files: not at request time. */
    if (apr_temp_dir_get(&dir, pchild) == APR_SUCCESS) {
        temp_dir = dir;
    }
}

/* A file without a name, close-on-exec: nobody else can open it, and it is gone with its last descriptor. */
static int open_nameless(apr_pool_t *p)
{
    char *name;
    int fd;

#ifdef O_TMPFILE
    fd = open(temp_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || errno == EMFILE || errno == ENFILE || errno == ENOSPC) {
        return fd;
    }
#endif
    name = apr_pstrcat(p, temp_dir, "/webhook-XXXXXX", NULL);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0) {
        unlink(name);
    }
    return fd;
}

static apr_status_t to_file(spool *s)
{
    apr_status_t rv;

    s->fd = open_nameless(s->wq->r->pool);
    if (s->fd < 0) {
        return errno;
    }
    rv = s->len ? wh_write_all(s->fd, s->data, (apr_size_t)s->len) : APR_SUCCESS;
    s->data = NULL;
    return rv;
}

static apr_status_t append(spool *s, const char *data, apr_size_t len)
{
    apr_size_t need = (apr_size_t)s->len + len;
    apr_status_t rv;

    if (s->fd < 0 && need > s->memory && (rv = to_file(s)) != APR_SUCCESS) {
        return rv;
    }
    if (s->fd >= 0) {
        rv = wh_write_all(s->fd, data, len);
        s->len += rv == APR_SUCCESS ? (apr_off_t)len : 0;
        return rv;
    }
    if (need > s->room) {
        apr_size_t room = s->room ? s->room : s->declared ? s->declared : FIRST_ROOM;
        char *grown;
        while (room < need) {
            room *= 2;
        }
        room = room < s->memory ? room : s->memory;
        grown = apr_palloc(s->wq->r->pool, room);
        if (s->len) {
            memcpy(grown, s->data, (apr_size_t)s->len);
        }
        s->data = grown;
        s->room = room;
    }
    memcpy(s->data + s->len, data, len);
    s->len += (apr_off_t)len;
    return APR_SUCCESS;
}

/*
 * A small body comes in one piece with its head, in memory the connection has read it to: that is where it stays, as long as the request.
 * Not that of an HTTP/2 stream, whose memory another thread may have given.
 */
static int keep(spool *s, apr_bucket *b, const char *data, apr_size_t len)
{
    request_rec *r = s->wq->r;
    apr_bucket_brigade *kept;

    if (len != s->declared || s->len || s->fd >= 0 || !APR_BUCKET_IS_HEAP(b) || r->connection->master) {
        return 0;
    }
    kept = apr_brigade_create(r->pool, r->connection->bucket_alloc); /* which goes with the pool */
    APR_BUCKET_REMOVE(b);
    APR_BRIGADE_INSERT_TAIL(kept, b);
    s->data = (char *)data; /* nobody writes to it: there is no room */
    s->room = len;
    s->len = (apr_off_t)len;
    return 1;
}

/* ---- waiting ---- */

/* The client waits for our word: say it only now that nothing speaks against the body, and only if the body is not here already. */
static int send_continue(request_rec *r)
{
    int status = r->status;
    const char *line = r->status_line;

    if (!r->expecting_100 || r->proto_num < HTTP_VERSION(1, 1)) {
        return 0;
    }
    r->status = HTTP_CONTINUE;
    r->status_line = NULL;
    ap_send_interim_response(r, 0);
    r->status = status;
    r->status_line = line;
    r->expecting_100 = 0;
    return 1;
}

static void sleep_a_little(spool *s, apr_interval_time_t left)
{
    apr_sleep(s->sleep < left ? s->sleep : left);
    s->sleep = s->sleep * 2 < MAX_SLEEP ? s->sleep * 2 : MAX_SLEEP;
}

/* Wait until there may be more to read. @return APR_TIMEUP after the deadline */
static apr_status_t wait_for_more(spool *s)
{
    request_rec *r = s->wq->r;
    conn_rec *c = r->connection;
    apr_socket_t *socket = c->master ? NULL : ap_get_conn_socket(c);
    apr_interval_time_t left = s->deadline - wh_monotonic();
    struct pollfd pfd;
    apr_os_sock_t fd;
    int n;

    if (left <= 0) {
        return APR_TIMEUP;
    }
    if (send_continue(r)) {
        return APR_SUCCESS;
    }
    if (!socket || apr_os_sock_get(&fd, socket) != APR_SUCCESS || s->futile > 16) {
        sleep_a_little(s, left);
        return APR_SUCCESS;
    }
    left = left < MAX_WAIT ? left : MAX_WAIT;
    pfd.fd = fd;
    pfd.events = POLLIN;
    pfd.revents = 0;
    n = poll(&pfd, 1, (int)((left + 999) / 1000));
    if (n < 0 && errno != EINTR) {
        return errno;
    }
    s->futile = n > 0 ? s->futile + 1 : 0;
    return APR_SUCCESS;
}

/* ---- reading ---- */

static int refuse_read(spool *s, apr_status_t rv)
{
    wh_req *wq = s->wq;
    int status = ap_map_http_request_error(rv, HTTP_BAD_REQUEST);

    wq->r->connection->keepalive = AP_CONN_CLOSE;
    switch (status) {
    case AP_FILTER_ERROR:
        /* A filter has answered already (refuse.c gave the answer its form): do not answer twice. */
        wh_refuse(wq, WH_REFUSAL_BODY_INCOMPLETE, "an input filter refused the body");
        wq->status = AP_FILTER_ERROR;
        return wq->status;
    case HTTP_REQUEST_ENTITY_TOO_LARGE:
        return wh_refuse(wq, WH_REFUSAL_BODY_TOO_LARGE, "more than LimitRequestBody allows");
    case HTTP_REQUEST_TIME_OUT:
        return wh_refuse(wq, WH_REFUSAL_BODY_TIMEOUT,
                         apr_psprintf(wq->r->pool, "%" APR_OFF_T_FMT " bytes came in time", s->len));
    default:
        return wh_refuse(wq, WH_REFUSAL_BODY_INCOMPLETE,
                         apr_psprintf(wq->r->pool, "after %" APR_OFF_T_FMT " bytes: %pm", s->len, &rv));
    }
}

/* Take what a read brought. @return APR_SUCCESS, APR_EOF at the end of the body; else *refused is the answer */
static apr_status_t take(spool *s, apr_bucket_brigade *bb, int *refused)
{
    apr_bucket *b, *next;
    apr_status_t rv;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = next) {
        const char *data;
        apr_size_t len;

        if (APR_BUCKET_IS_EOS(b)) {
            return APR_EOF;
        }
        if (APR_BUCKET_IS_METADATA(b)) {
            next = APR_BUCKET_NEXT(b);
            continue;
        }
        rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
        if (rv != APR_SUCCESS) {
            *refused = refuse_read(s, rv);
            return rv;
        }
        next = APR_BUCKET_NEXT(b); /* reading may put one behind it */
        if (len == 0 || keep(s, b, data, len)) {
            continue;
        }
        if ((apr_off_t)len > s->limit - s->len) {
            s->wq->r->connection->keepalive = AP_CONN_CLOSE;
            *refused = wh_refuse(s->wq, WH_REFUSAL_BODY_TOO_LARGE,
                                 apr_psprintf(s->wq->r->pool, "more than %" APR_OFF_T_FMT " bytes", s->limit));
            return APR_ENOSPC;
        }
        rv = append(s, data, len);
        if (rv != APR_SUCCESS) {
            *refused = wh_refuse(s->wq, WH_REFUSAL_INTERNAL,
                                 apr_psprintf(s->wq->r->pool, "the body's temporary file in %s: %pm", temp_dir, &rv));
            return rv;
        }
    }
    return APR_SUCCESS;
}

static int read_all(spool *s)
{
    request_rec *r = s->wq->r;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    int refused = OK;

    for (;;) {
        apr_status_t rv = ap_get_brigade(r->proto_input_filters, bb, AP_MODE_READBYTES, APR_NONBLOCK_READ, READ_SIZE);

        if (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(bb)) {
            s->futile = 0;
            s->sleep = FIRST_SLEEP;
            rv = take(s, bb, &refused);
            apr_brigade_cleanup(bb);
            if (rv != APR_SUCCESS) {
                break;
            }
            /* Bytes that keep dripping in must not outlast the deadline either. */
            rv = wh_monotonic() < s->deadline ? APR_SUCCESS : APR_TIMEUP;
        }
        else if (rv == APR_SUCCESS || APR_STATUS_IS_EAGAIN(rv)) {
            rv = wait_for_more(s);
        }
        if (rv != APR_SUCCESS) {
            refused = refuse_read(s, rv);
            break;
        }
    }
    apr_brigade_destroy(bb);
    return refused;
}

/* The bytes in one piece for the verifier. */
static int finish(spool *s)
{
    wh_body *body = &s->wq->body;
    apr_pool_t *p = s->wq->r->pool;
    const char *declared = apr_table_get(s->wq->r->headers_in, "Content-Length");
    apr_int64_t length;

    /* Someone has read before us (a filter, another module): what is left is not what was sent. */
    if (declared && !apr_table_get(s->wq->r->headers_in, "Transfer-Encoding")
        && (wh_parse_int(declared, strlen(declared), 0, APR_INT64_MAX, &length) != APR_SUCCESS || length != s->len)) {
        s->wq->r->connection->keepalive = AP_CONN_CLOSE;
        return wh_refuse(s->wq, WH_REFUSAL_BODY_INCOMPLETE,
                         apr_psprintf(p, "%" APR_OFF_T_FMT " bytes came where Content-Length said %s", s->len, declared));
    }
    if (s->fd >= 0) {
        apr_os_file_t fd = s->fd;
        apr_file_t *file = NULL;
        void *data = NULL;
        apr_status_t rv = apr_os_file_put(&file, &fd, APR_FOPEN_READ | APR_FOPEN_BINARY, p);
        if (rv == APR_SUCCESS) {
            rv = apr_mmap_create(&body->map, file, 0, (apr_size_t)s->len, APR_MMAP_READ, p);
        }
        if (rv == APR_SUCCESS) {
            rv = apr_mmap_offset(&data, body->map, 0);
        }
        if (rv != APR_SUCCESS) {
            return wh_refuse(s->wq, WH_REFUSAL_INTERNAL, apr_psprintf(p, "the body's temporary file cannot be mapped: %pm", &rv));
        }
        body->data.data = data;
    }
    else {
        body->data.data = s->data ? s->data : "";
    }
    body->data.len = (apr_size_t)s->len;
    body->len = s->len;
    body->complete = 1;
    return OK;
}

int wh_body_read(wh_req *wq)
{
    request_rec *r = wq->r;
    const char *declared = apr_table_get(r->headers_in, "Content-Length");
    spool s = {0};
    apr_int64_t length;
    int rc;

    s.wq = wq;
    s.fd = -1;
    s.limit = wh_conf_body_limit(wq->conf);
    s.memory = wh_conf_body_memory(wh_conf_server(r->server));
    s.deadline = wh_monotonic() + wh_conf_body_timeout(wq->conf);
    s.sleep = FIRST_SLEEP;
    /* A declared length is within the limit (wh_req_screen): one allocation of the right size, or the file at once. */
    if (declared && wh_parse_int(declared, strlen(declared), 0, s.limit, &length) == APR_SUCCESS && length > 0) {
        if ((apr_uint64_t)length <= s.memory) {
            s.declared = (apr_size_t)length;
        }
        else {
            s.memory = 0;
        }
    }
    wq->body_read = 1;
    rc = read_all(&s);
    if (rc == OK) {
        rc = finish(&s);
    }
    if (s.fd >= 0) {
        close(s.fd); /* the mapping needs it no more */
    }
    return rc;
}
