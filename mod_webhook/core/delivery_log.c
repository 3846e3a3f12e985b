/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery_log.c: composes the lines of the delivery log and writes each with one write(2).
 *
 * A line for a pipe that would be longer than PIPE_BUF is composed again with less in it, level by level; the last level is short
 * enough whatever the names and addresses in it are.
 */
#include "core/delivery_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "core/durable.h"
#include "core/envelope.h"
#include "core/json.h"
#include "core/log.h"
#include "core/units.h"

/* a reader that is this far behind is stuck; the line is dropped and nobody waits for it again for a while */
#define PIPE_WAIT_MS 100
#define PIPE_FORGIVE apr_time_from_sec(5)
#define WARN_EVERY apr_time_from_sec(60)

/* What is left out of a line: each level leaves out more. */
enum { CUT_NOTHING, CUT_HEADERS, CUT_STRINGS, CUT_MORE, CUT_LEVELS };

/* bytes of a string member at each level, 0: all of them; escaped a byte takes up to six */
static const apr_size_t string_max[CUT_LEVELS] = { 0, 0, 160, 40 };

/* room kept at CUT_HEADERS for what ends a line behind the headers */
#define TAIL_ROOM 32

/* A line in the making. */
typedef struct line {
    wh_buf buf;
    const wh_delivery_log *log;
    int cut;
} line;

/* Everything a line can be about; unused members are NULL. */
typedef struct entry {
    const char *kind;
    apr_time_t when;
    const webhook_delivery *d;
    int status;
    const char *reason;
    const char *detail;
    int with_body;
    /* accepted, duplicate */
    webhook_accept_outcome outcome;
    const char *first_id;
    const char *const *handlers;
    int handler_count;
    const char *kept_as;
    /* attempts */
    const webhook_lease *lease;
    const webhook_settlement *s;
} entry;

/* ---- composing ---- */

/* `len` or less, so that no UTF-8 sequence is broken */
static apr_size_t cut_at(const char *text, apr_size_t len, apr_size_t max)
{
    apr_size_t n = max;

    if (!max || len <= max)
        return len;
    while (n > 0 && max - n < 4 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static void put_text(line *l, const char *name, const char *text)
{
    if (!text)
        return;
    wh_json_put_name(&l->buf, name);
    wh_json_put_string(&l->buf, text, cut_at(text, strlen(text), string_max[l->cut]));
}

static void put_uri(line *l, const char *uri, apr_pool_t *scratch)
{
    if (uri)
        put_text(l, "uri", wh_uri_masked(uri, l->log->credentials, scratch));
}

static void put_headers(line *l, webhook_slice lines)
{
    webhook_slice name, value;
    apr_size_t at = 0;
    wh_buf *b = &l->buf;

    if (!l->log->with_headers || l->cut >= CUT_STRINGS || !lines.len)
        return;
    wh_json_put_name(b, "headers");
    wh_buf_adds(b, "[");
    while (wh_headers_next(lines, &at, &name, &value)) {
        apr_size_t before = b->len;
        wh_buf_adds(b, b->data[b->len - 1] == '[' ? "[" : ",[");
        wh_json_put_string(b, name.data, name.len);
        wh_buf_adds(b, ",");
        if (wh_header_is_sensitive(name.data, name.len) || wh_name_is_credential(l->log->credentials, name.data, name.len))
            wh_buf_adds(b, "\"***\"");
        else
            wh_json_put_string(b, value.data, value.len);
        wh_buf_adds(b, "]");
        if (l->cut == CUT_HEADERS && b->len > PIPE_BUF - TAIL_ROOM) {
            b->len = before;
            b->data[before] = '\0';
        }
    }
    wh_buf_adds(b, "]");
}

static void put_body(line *l, const webhook_delivery *d, apr_pool_t *scratch)
{
    apr_size_t max = l->log->body_max > 0 ? (apr_size_t)l->log->body_max : 0;
    webhook_slice body;

    if (!max || l->cut >= CUT_HEADERS || wh_delivery_body(d, &body, scratch) != APR_SUCCESS)
        return;
    if (body.len > max) {
        body.len = cut_at(body.data, body.len, max);
        wh_json_put_body(&l->buf, body);
        wh_json_put_member_bool(&l->buf, "body_cut", 1);
    }
    else {
        wh_json_put_body(&l->buf, body);
    }
}

static void put_handlers(line *l, const entry *e)
{
    wh_buf *b = &l->buf;

    if (l->cut >= CUT_STRINGS) {
        wh_json_put_member_int(b, "handler_count", e->handler_count);
        return;
    }
    wh_json_put_name(b, "handlers");
    wh_buf_adds(b, "[");
    for (int i = 0; i < e->handler_count; i++) {
        wh_buf_adds(b, i ? "," : "");
        wh_json_put_string(b, e->handlers[i], strlen(e->handlers[i]));
    }
    wh_buf_adds(b, "]");
}

static const char *outcome_name(webhook_outcome outcome)
{
    switch (outcome) {
    case WEBHOOK_OUTCOME_DONE: return "done";
    case WEBHOOK_OUTCOME_RETRY: return "retry";
    case WEBHOOK_OUTCOME_DEAD: return "dead";
    case WEBHOOK_OUTCOME_RELEASED: return "released";
    }
    return "unknown";
}

static void put_attempt(line *l, const entry *e)
{
    const webhook_settlement *s = e->s;
    wh_buf *b = &l->buf;

    put_text(l, "handler", e->lease->handler);
    wh_json_put_member_int(b, "job", e->lease->job);
    wh_json_put_member_int(b, "attempt", e->lease->attempt);
    wh_json_put_member(b, "outcome", outcome_name(s->outcome));
    if (!s->applied)
        wh_json_put_member_bool(b, "applied", 0);
    if (s->started) {
        wh_json_put_member_time(b, "started", s->started);
        wh_json_put_member_int(b, "duration_ms", s->ended > s->started ? (s->ended - s->started) / 1000 : 0);
    }
    if (s->code)
        wh_json_put_member_int(b, "code", s->code);
    if (s->outcome == WEBHOOK_OUTCOME_RETRY && s->due)
        wh_json_put_member_time(b, "due", s->due);
    wh_json_put_member_int(b, "output_length", (apr_int64_t)s->output.len);
}

static void compose(line *l, const entry *e, int cut, apr_pool_t *scratch)
{
    const webhook_delivery *d = e->d;
    wh_buf *b = &l->buf;

    l->cut = cut;
    wh_buf_init(b, scratch, 1024);
    wh_buf_adds(b, "{");
    wh_json_put_member_time(b, "time", e->when);
    wh_json_put_member(b, "log", e->kind);
    put_text(l, "id", d->id);
    put_text(l, "endpoint", d->endpoint);
    if (e->lease) {
        put_attempt(l, e);
    }
    else {
        put_text(l, "scheme", d->scheme);
        if (d->scheme)
            wh_json_put_member_bool(b, "verified", d->verified);
        put_text(l, "key_id", d->key_id);
        put_text(l, "event", d->event);
        put_text(l, "sender_id", d->sender_id);
        put_text(l, "remote_addr", d->remote_addr);
        put_text(l, "method", d->method);
        put_uri(l, d->uri, scratch);
        put_text(l, "content_type", d->content_type);
        wh_json_put_member_int(b, "body_length", d->body_len);
        wh_json_put_member(b, "body_sha256", d->body_sha256);
        wh_json_put_member_int(b, "status", e->status);
    }
    if (e->handlers && e->handler_count)
        put_handlers(l, e);
    put_text(l, "kept_as", e->kept_as);
    put_text(l, "invalid", l->log->invalid);
    if (e->first_id && d->id && strcmp(e->first_id, d->id))
        put_text(l, "first_id", e->first_id);
    if (e->outcome == WEBHOOK_ACCEPT_REQUEUED)
        wh_json_put_member_bool(b, "requeued", 1);
    put_text(l, "reason", e->reason);
    put_text(l, "detail", e->detail);
    if (!e->lease)
        put_headers(l, d->headers);
    if (e->with_body)
        put_body(l, d, scratch);
    if (cut)
        wh_json_put_member_bool(b, "cut", 1);
    wh_buf_adds(b, "}\n");
}

/* ---- writing ---- */

static apr_time_t last_stuck, last_warned;

static void warn_dropped(apr_status_t rv)
{
    apr_time_t now = wh_monotonic(), last = __atomic_load_n(&last_warned, __ATOMIC_RELAXED);

    if (last && now - last < WARN_EVERY)
        return;
    if (__atomic_compare_exchange_n(&last_warned, &last, now, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        wh_log(WH_LOG_WARNING, rv, "WH0901: a line of the delivery log could not be written and is dropped "
                                   "(said at most once a minute per process)");
}

/* Whether the pipe takes a line now. Its write end is made non-blocking first: it belongs to the delivery log alone, and with several
 * writers even a pipe that was found ready may be full a moment later. */
static apr_status_t pipe_ready(int fd)
{
    static int nonblocking = -1;
    struct pollfd pfd = { fd, POLLOUT, 0 };
    apr_time_t now;
    int wait_ms, rc;

    if (__atomic_load_n(&nonblocking, __ATOMIC_RELAXED) != fd) {
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
            return errno;
        __atomic_store_n(&nonblocking, fd, __ATOMIC_RELAXED);
    }
    rc = poll(&pfd, 1, 0);
    if (rc > 0)
        return APR_SUCCESS;
    now = wh_monotonic();
    wait_ms = PIPE_WAIT_MS;
    if (__atomic_load_n(&last_stuck, __ATOMIC_RELAXED) && now - __atomic_load_n(&last_stuck, __ATOMIC_RELAXED) < PIPE_FORGIVE)
        wait_ms = 0;
    rc = wait_ms ? poll(&pfd, 1, wait_ms) : 0;
    if (rc > 0)
        return APR_SUCCESS;
    __atomic_store_n(&last_stuck, now, __ATOMIC_RELAXED);
    return rc < 0 ? errno : EAGAIN;
}

static void write_line(const wh_delivery_log *log, const char *data, apr_size_t len)
{
    apr_status_t rv = log->is_pipe ? pipe_ready(log->fd) : APR_SUCCESS;
    ssize_t n;

    if (rv != APR_SUCCESS) {
        warn_dropped(rv);
        return;
    }
    do {
        n = write(log->fd, data, len);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        warn_dropped(errno);
    }
    else if ((apr_size_t)n < len) {
        /* a full disk: end the line, so that the next one, once there is room, is readable again */
        rv = wh_write_all(log->fd, "\n", 1);
        warn_dropped(rv != APR_SUCCESS ? rv : ENOSPC);
    }
}

static void log_entry(const wh_delivery_log *log, const entry *e, apr_pool_t *scratch)
{
    line l;

    memset(&l, 0, sizeof(l));
    l.log = log;
    for (int cut = CUT_NOTHING; cut < CUT_LEVELS; cut++) {
        compose(&l, e, cut, scratch);
        if (!log->is_pipe || l.buf.len <= PIPE_BUF)
            break;
    }
    write_line(log, l.buf.data, l.buf.len);
}

static int is_off(const wh_delivery_log *log)
{
    return !log || log->fd < 0;
}

void wh_dlog_accepted(const wh_delivery_log *log, const webhook_delivery *d, webhook_accept_outcome outcome, const char *first_id,
                      const char *const *handlers, int handler_count, const char *kept_as, int status, apr_pool_t *scratch)
{
    entry e = { 0 };

    if (is_off(log) || outcome == WEBHOOK_ACCEPT_PENDING || outcome == WEBHOOK_ACCEPT_FAILED)
        return;
    e.kind = outcome == WEBHOOK_ACCEPT_STORED ? "accepted" : "duplicate";
    e.when = d->received;
    e.d = d;
    e.status = status;
    e.with_body = 1;
    e.outcome = outcome;
    e.first_id = first_id;
    e.handlers = handlers;
    e.handler_count = handler_count;
    e.kept_as = handler_count ? NULL : kept_as;
    e.reason = log->unenforced;
    log_entry(log, &e, scratch);
}

void wh_dlog_refused(const wh_delivery_log *log, const webhook_delivery *d, int status, const char *reason, const char *detail,
                     apr_pool_t *scratch)
{
    entry e = { 0 };

    if (is_off(log))
        return;
    e.kind = "refused";
    e.when = d->received ? d->received : apr_time_now();
    e.d = d;
    e.status = status;
    e.reason = reason;
    e.detail = detail;
    log_entry(log, &e, scratch);
}

void wh_dlog_attempt(const wh_delivery_log *log, const webhook_lease *lease, const webhook_settlement *s, apr_pool_t *scratch)
{
    entry e = { 0 };

    /* what was never started is no attempt */
    if (is_off(log) || (s->outcome == WEBHOOK_OUTCOME_RELEASED && s->unstarted))
        return;
    e.kind = "attempt";
    e.when = s->ended ? s->ended : apr_time_now();
    e.d = lease->delivery;
    e.reason = s->reason;
    e.detail = s->detail;
    e.lease = lease;
    e.s = s;
    log_entry(log, &e, scratch);
    /* a result that was fenced off says nothing about the job */
    if (s->applied && (s->outcome == WEBHOOK_OUTCOME_DONE || s->outcome == WEBHOOK_OUTCOME_DEAD)) {
        e.kind = outcome_name(s->outcome);
        log_entry(log, &e, scratch);
    }
}
