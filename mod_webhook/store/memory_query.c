/* SPDX-License-Identifier: Apache-2.0 */
/* memory_query.c: listing, replay and statistics of the memory store. */
#include <apr_strings.h>
#include <string.h>

#include "store/memory_store.h"

static const char *const state_words[] = { "queued", "retry", "leased", "done", "dead" };

static const char *state_of(const mem_delivery *d)
{
    int count[5] = { 0, 0, 0, 0, 0 }, i;

    if (!d->jobs->nelts)
        return d->kept_as;
    for (i = 0; i < d->jobs->nelts; i++)
        count[wh_mem_job(d, i)->state]++;
    return state_words[count[DEAD] ? DEAD : count[LEASED] ? LEASED : count[RETRY] ? RETRY : count[QUEUED] ? QUEUED : DONE];
}

static int has_handler(const mem_delivery *d, const char *handler)
{
    int i;

    for (i = 0; i < d->jobs->nelts; i++) {
        if (strcmp(wh_mem_job(d, i)->handler, handler) == 0)
            return 1;
    }
    return 0;
}

static int matches(const mem_delivery *m, const webhook_query *q)
{
    const webhook_delivery *d = &m->d;

    return (!q->id || strcmp(d->id, q->id) == 0) && (!q->endpoint || strcmp(d->endpoint, q->endpoint) == 0)
           && (!q->event || (d->event && strcmp(d->event, q->event) == 0)) && (!q->handler || has_handler(m, q->handler))
           && (!q->state || strcmp(state_of(m), q->state) == 0) && (!q->since || d->received >= q->since)
           && (!q->before || d->received < q->before)
           && (!q->after_id || (q->ascending ? strcmp(d->id, q->after_id) > 0 : strcmp(d->id, q->after_id) < 0));
}

static apr_array_header_t *rows_of_jobs(const mem_delivery *d, int with_attempts, int with_shapes, apr_pool_t *p)
{
    apr_array_header_t *rows = apr_array_make(p, 4, sizeof(webhook_job_row));
    int i;

    for (i = 0; i < d->jobs->nelts; i++) {
        const mem_job *j = wh_mem_job(d, i);
        webhook_job_row *r = apr_array_push(rows);

        memset(r, 0, sizeof *r);
        r->job = j->job;
        r->handler = apr_pstrdup(p, j->handler);
        r->state = state_words[j->state];
        r->attempts = j->attempts;
        r->due = j->due;
        r->reason = wh_mem_text(p, j->reason);
        if (with_attempts)
            r->attempt_rows = apr_array_copy(p, j->rows);
        if (with_shapes)
            r->shape = wh_mem_shape(p, j->shape);
    }
    return rows;
}

apr_status_t wh_mem_list(webhook_store *s, const webhook_query *q, apr_array_header_t *rows, apr_pool_t *p, webhook_result *res)
{
    int limit = q->limit < 1 ? 1 : q->limit > 1000 ? 1000 : q->limit, n = s->m->deliveries->nelts, i, found = 0;

    (void)res;
    for (i = 0; i < n && found < limit; i++) {
        const mem_delivery *d = wh_mem_at(s->m, q->ascending ? i : n - 1 - i);
        webhook_row *r;

        if (!matches(d, q))
            continue;
        r = apr_pcalloc(p, sizeof *r);
        wh_mem_copy(&r->delivery, &d->d, q->with_body, p);
        r->state = state_of(d);
        r->duplicates = d->duplicates;
        if (q->with_jobs)
            r->jobs = rows_of_jobs(d, q->with_attempts, q->with_shapes, p);
        APR_ARRAY_PUSH(rows, webhook_row *) = r;
        found++;
    }
    return APR_SUCCESS;
}

apr_status_t wh_mem_replay(webhook_store *s, const char *id, const char *handler, apr_time_t now, int *count, webhook_result *res)
{
    mem_delivery *d = wh_mem_find(s->m, id);
    int seen = 0;

    (void)res;
    *count = 0;
    if (!d)
        return APR_NOTFOUND;
    *count = wh_mem_again(d, handler, QUEUED, now, &seen);
    if (handler && !seen) {
        wh_mem_job_add(s->m, d, handler, now);
        ++*count;
    }
    return APR_SUCCESS;
}

apr_status_t wh_mem_stats(webhook_store *s, webhook_store_stats *t, apr_pool_t *scratch, webhook_result *res)
{
    int i, k;

    (void)scratch, (void)res;
    memset(t, 0, sizeof *t);
    t->deliveries = s->m->deliveries->nelts;
    for (i = 0; i < s->m->deliveries->nelts; i++) {
        const mem_delivery *d = wh_mem_at(s->m, i);

        t->bytes += (apr_int64_t)d->d.body_len + (apr_int64_t)d->d.headers.len;
        if (!d->jobs->nelts) {
            t->unrouted += d->kept_as[0] == 'u';
            t->dropped += d->kept_as[0] == 'd';
        }
        for (k = 0; k < d->jobs->nelts; k++) {
            const mem_job *j = wh_mem_job(d, k);

            t->queued += j->state == QUEUED;
            t->retry += j->state == RETRY;
            t->leased += j->state == LEASED;
            t->done += j->state == DONE;
            t->dead += j->state == DEAD;
            if (j->state <= RETRY && (!t->oldest_ready || j->due < t->oldest_ready))
                t->oldest_ready = j->due;
        }
    }
    return APR_SUCCESS;
}

apr_status_t wh_mem_waiting(webhook_store *s, apr_array_header_t *names, apr_pool_t *p, webhook_result *res)
{
    int i, k, n;

    (void)res;
    for (i = 0; i < s->m->deliveries->nelts; i++) {
        for (k = 0; k < wh_mem_at(s->m, i)->jobs->nelts; k++) {
            const mem_job *j = wh_mem_job(wh_mem_at(s->m, i), k);

            for (n = 0; n < names->nelts && strcmp(APR_ARRAY_IDX(names, n, const char *), j->handler) != 0; n++)
                ;
            if (j->state < DONE && n == names->nelts)
                APR_ARRAY_PUSH(names, const char *) = apr_pstrdup(p, j->handler);
        }
    }
    return APR_SUCCESS;
}
