/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.c: records of leased jobs (see attempt.h).
 */
#include "dispatch/attempt.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *text_copy(apr_pool_t *p, const char *text)
{
    return text ? apr_pstrdup(p, text) : NULL;
}

static webhook_slice slice_copy(apr_pool_t *p, webhook_slice s)
{
    if (s.data)
        s.data = apr_pmemdup(p, s.data, s.len ? s.len : 1);
    return s;
}

static const webhook_delivery *delivery_copy(const webhook_delivery *from, apr_pool_t *p)
{
    webhook_delivery *d = apr_pmemdup(p, from, sizeof(*from));

    d->id = text_copy(p, from->id);
    d->endpoint = text_copy(p, from->endpoint);
    d->scheme = text_copy(p, from->scheme);
    d->key_id = text_copy(p, from->key_id);
    d->event = text_copy(p, from->event);
    d->sender_id = text_copy(p, from->sender_id);
    d->remote_addr = text_copy(p, from->remote_addr);
    d->method = text_copy(p, from->method);
    d->uri = text_copy(p, from->uri);
    d->content_type = text_copy(p, from->content_type);
    d->headers = slice_copy(p, from->headers);
    d->body = slice_copy(p, from->body);
    d->body_file = text_copy(p, from->body_file);
    d->body_sha256 = text_copy(p, from->body_sha256);
    return d;
}

wh_record *wh_record_make(const webhook_lease *from, apr_pool_t *parent)
{
    webhook_lease *lease;
    apr_pool_t *p;
    wh_record *r;

    apr_pool_create(&p, parent);
    r = apr_pcalloc(p, sizeof(*r));
    lease = apr_pmemdup(p, from, sizeof(*from));
    lease->handler = text_copy(p, from->handler);
    lease->delivery = delivery_copy(from->delivery, p);
    lease->shape = slice_copy(p, from->shape);
    r->pool = p;
    r->attempt.lease = lease;
    r->attempt.handler_name = lease->handler;
    r->settlement.job = from->job;
    r->settlement.token = from->token;
    r->settlement.attempt = from->attempt;
    return r;
}

void wh_record_link(wh_record *r, wh_record **list)
{
    r->next = *list;
    if (r->next)
        r->next->link = &r->next;
    r->link = list;
    *list = r;
}

void wh_record_unlink(wh_record *r)
{
    if ((*r->link = r->next))
        r->next->link = r->link;
    r->next = NULL;
    r->link = NULL;
}

void wh_record_conclude(wh_record *r, const webhook_attempt_result *result, const wh_retry_policy *policy, apr_time_t now, unsigned random)
{
    webhook_settlement *s = &r->settlement;
    apr_pool_t *p = r->pool;

    r->finished = 1;
    s->outcome = result->outcome >= WEBHOOK_OUTCOME_DONE && result->outcome <= WEBHOOK_OUTCOME_RELEASED ? result->outcome
                                                                                                         : WEBHOOK_OUTCOME_RETRY;
    s->ended = now > s->started ? now : s->started; /* the wall clock may have been set back */
    s->code = result->code;
    s->reason = text_copy(p, result->reason);
    s->detail = text_copy(p, result->detail);
    s->output = slice_copy(p, result->output);
    if (s->outcome == WEBHOOK_OUTCOME_RETRY
        && !wh_retry_next(policy, s->attempt, r->attempt.lease->created, now, result->retry_after, random, &s->due)) {
        s->outcome = WEBHOOK_OUTCOME_DEAD;
        s->detail = apr_psprintf(p, "%s%sexpired after %d attempt%s", s->detail ? s->detail : "", s->detail ? "; " : "", s->attempt,
                                 s->attempt == 1 ? "" : "s");
    }
}

void wh_record_release(wh_record *r, apr_time_t now)
{
    r->finished = 1;
    r->settlement.outcome = WEBHOOK_OUTCOME_RELEASED;
    r->settlement.unstarted = 1;
    r->settlement.started = r->settlement.ended = now;
}

apr_status_t wh_record_body_check(const wh_record *r)
{
    const webhook_delivery *d = r->attempt.lease->delivery;
    apr_status_t rv = APR_SUCCESS;
    struct stat st;
    int fd;

    if (!d->body_file)
        return APR_SUCCESS;
    fd = open(d->body_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno;
    if (fstat(fd, &st) != 0)
        rv = errno;
    else if (!S_ISREG(st.st_mode) || st.st_size != d->body_len)
        rv = APR_EINVAL;
    close(fd);
    return rv;
}
