/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn.c: the dispatcher's turns: attempts end, one store transaction settles them and leases what is due, attempts begin.
 *
 * A store that is away stops the leasing and delays the settling, with back-off; nothing else. Settlements are kept until one turn took
 * them; that a turn took them twice is harmless, because the second finds the token gone.
 */
#include "dispatch/dispatcher.h"

#include <apr_strings.h>
#include <openssl/rand.h>
#include <string.h>

#include "core/log.h"
#include "core/reasons.h"
#include "core/units.h"
#include "dispatch/crash.h"
#include "dispatch/runner.h"
#include "store/store.h"

#define USEC(ms) ((apr_interval_time_t)(ms) * 1000)

#define STORE_BACK_OFF USEC(50)
#define STORE_BACK_OFF_MAX USEC(5000)
#define STORE_BACK_OFF_LEAVING USEC(200)
#define STORE_AWAY USEC(2000)    /* failing for longer is worth a warning; shorter is a busy lock */
#define STORE_AWAY_AGAIN USEC(60000)
#define LEASE_EXTRA USEC(60000)  /* leases are this much longer than the attempt may take */
#define WANT_MAX 512             /* leases of a handler per turn: starting them must not hold up the rest */
#define FULL_TURN_BYTES (4 * 1024 * 1024) /* a turn this big may have been cut short by the store */

/* ---- the store's moods ---- */

int wh_store_ready(const wh_dispatcher *d)
{
    return wh_monotonic() >= d->store_at;
}

void wh_store_failed(wh_dispatcher *d, const char *what, apr_status_t rv, const webhook_result *res)
{
    apr_time_t now = wh_monotonic();
    apr_interval_time_t max = d->stopping ? STORE_BACK_OFF_LEAVING : STORE_BACK_OFF_MAX;
    int level = WH_LOG_INFO;

    d->store_back_off = d->store_back_off ? d->store_back_off * 2 : STORE_BACK_OFF;
    if (d->store_back_off > max)
        d->store_back_off = max;
    d->store_at = now + d->store_back_off;
    if (!d->failing_since)
        d->failing_since = now;
    if (now - d->failing_since >= STORE_AWAY && (!d->warned_at || now - d->warned_at >= STORE_AWAY_AGAIN)) {
        d->warned_at = now;
        level = WH_LOG_WARNING;
    }
    if (d->conf->counters)
        __atomic_fetch_add(&d->conf->counters->store_errors, 1, __ATOMIC_RELAXED);
    wh_log(level, rv, "WH0610: the store cannot %s: %s: %s; %d attempts wait to be settled", what, res->reason ? res->reason : "failed",
           res->detail ? res->detail : "no detail", d->finished_count);
}

void wh_store_worked(wh_dispatcher *d)
{
    if (d->warned_at)
        wh_log(WH_LOG_NOTICE, 0, "WH0611: the store works again after %d s", (int)apr_time_sec(wh_monotonic() - d->failing_since));
    d->store_at = d->failing_since = d->warned_at = 0;
    d->store_back_off = 0;
}

/* ---- attempts end ---- */

static unsigned random_bits(void)
{
    static unsigned fallback;
    unsigned bits;

    if (RAND_bytes((unsigned char *)&bits, sizeof(bits)) == 1)
        return bits;
    /* Jitter, not a secret. */
    fallback = fallback * 1664525u + 1013904223u + (unsigned)apr_time_now();
    return fallback;
}

void wh_turn_finish(void *baton, webhook_attempt *attempt, const webhook_attempt_result *result)
{
    wh_dispatcher *d = baton;
    wh_record *r = (wh_record *)attempt;
    wh_worker *w = r->owner;

    if (r->finished) /* already released by force; its memory stays for the handler */
        return;
    wh_record_conclude(r, result, &w->def->retry, apr_time_now(), random_bits());
    wh_record_unlink(r);
    wh_record_link(r, &d->finished);
    d->open_count--;
    d->finished_count++;
    w->open--;
    apr_pool_destroy(attempt->pool);
    r->attempt.pool = NULL;
}

static const char *outcome_name(webhook_outcome o)
{
    static const char *const names[] = { "?", "done", "retry", "dead", "released" };

    return names[o >= WEBHOOK_OUTCOME_DONE && o <= WEBHOOK_OUTCOME_RELEASED ? o : 0];
}

/* The settlement is durable (or was refused): tell everybody, forget the attempt. */
static void account(wh_dispatcher *d, wh_record *r)
{
    const webhook_settlement *s = &r->settlement;
    const webhook_lease *lease = r->attempt.lease;
    wh_worker *w = r->owner;
    wh_handler_counters *c = w ? w->counters : NULL;

    if (!s->applied) {
        WH_COUNT(c, fenced, 1);
        wh_log(WH_LOG_INFO, 0, "WH0612: attempt %d of %s for %s ended (%s) after its lease was lost; the result is not recorded", s->attempt,
               lease->delivery->id, lease->handler, outcome_name(s->outcome));
    } else if (s->unstarted) {
        wh_log(WH_LOG_DEBUG, 0, "WH0613: %s for %s given back unstarted", lease->delivery->id, lease->handler);
    } else {
        WH_COUNT(c, attempts, 1);
        WH_COUNT(c, busy_usec, s->ended - s->started);
        switch (s->outcome) {
        case WEBHOOK_OUTCOME_DONE:
            WH_COUNT(c, done, 1);
            break;
        case WEBHOOK_OUTCOME_RETRY:
            WH_COUNT(c, retried, 1);
            if (w && (!w->next_due || s->due < w->next_due))
                w->next_due = s->due;
            break;
        case WEBHOOK_OUTCOME_DEAD:
            WH_COUNT(c, dead, 1);
            break;
        case WEBHOOK_OUTCOME_RELEASED:
            WH_COUNT(c, released, 1);
            break;
        }
        if (s->outcome == WEBHOOK_OUTCOME_DEAD)
            wh_log(WH_LOG_NOTICE, 0, "WH0614: dead letter: %s for %s after attempt %d: %s%s%s", lease->delivery->id, lease->handler, s->attempt,
                   s->reason ? s->reason : "failed", s->detail ? ": " : "", s->detail ? s->detail : "");
        else if (wh_log_is(s->outcome == WEBHOOK_OUTCOME_RETRY ? WH_LOG_INFO : WH_LOG_DEBUG))
            wh_log(s->outcome == WEBHOOK_OUTCOME_RETRY ? WH_LOG_INFO : WH_LOG_DEBUG, 0,
                   "WH0615: attempt %d of %s for %s: %s, code %d%s%s%s%s, %d ms", s->attempt, lease->delivery->id, lease->handler,
                   outcome_name(s->outcome), s->code, s->reason ? ", " : "", s->reason ? s->reason : "", s->detail ? ": " : "",
                   s->detail ? s->detail : "", (int)((s->ended - s->started) / 1000));
        if (d->conf->log)
            wh_dlog_attempt(d->conf->log, lease, s, d->scratch);
    }
    wh_record_unlink(r);
    d->finished_count--;
    if (!r->attempt.pool) /* else released by force: its handler still knows it */
        apr_pool_destroy(r->pool);
}

/* Out of time: what the handlers still hold is released here; they lose it when they are closed. */
void wh_turn_force_release(wh_dispatcher *d)
{
    while (d->open) {
        wh_record *r = d->open;

        r->finished = 1;
        r->settlement.outcome = WEBHOOK_OUTCOME_RELEASED;
        r->settlement.reason = wh_failure_STOPPED;
        r->settlement.ended = apr_time_now();
        wh_record_unlink(r);
        wh_record_link(r, &d->finished);
        d->open_count--;
        d->finished_count++;
    }
}

void wh_turn_all_hungry(wh_dispatcher *d)
{
    int i;

    for (i = 0; i < d->worker_count; i++)
        d->workers[i].hungry = 1;
}

/* ---- attempts begin ---- */

static void refuse_lease(wh_dispatcher *d, const webhook_lease *lease, wh_worker *w)
{
    wh_record *r = wh_record_make(lease, d->pool);

    r->owner = w;
    wh_record_release(r, apr_time_now());
    wh_record_link(r, &d->finished);
    d->finished_count++;
}

static void start_lease(wh_dispatcher *d, const webhook_lease *lease)
{
    wh_worker *w = apr_hash_get(d->by_name, lease->handler, APR_HASH_KEY_STRING);
    webhook_attempt_result lost;
    apr_status_t rv;
    wh_record *r;

    if (d->drain_asked || d->stop_asked || d->draining || !w || !w->handler || w->open >= w->def->concurrency) {
        refuse_lease(d, lease, w);
        return;
    }
    w->got++;
    r = wh_record_make(lease, d->pool);
    r->owner = w;
    r->settlement.started = apr_time_now();
    r->attempt.timeout = w->def->timeout;
    r->attempt.capture = (apr_size_t)w->def->capture;
    apr_pool_create(&r->attempt.pool, d->pool);
    wh_record_link(r, &d->open);
    d->open_count++;
    w->open++;
    rv = wh_record_body_check(r);
    if (rv != APR_SUCCESS) {
        char text[120];

        memset(&lost, 0, sizeof(lost));
        lost.outcome = APR_STATUS_IS_EMFILE(rv) || APR_STATUS_IS_ENFILE(rv) || APR_STATUS_IS_ENOMEM(rv) ? WEBHOOK_OUTCOME_RETRY
                                                                                                       : WEBHOOK_OUTCOME_DEAD;
        lost.reason = wh_failure_BODY_LOST;
        lost.detail = rv == APR_EINVAL ? "the file has another length" : apr_strerror(rv, text, sizeof(text));
        wh_turn_finish(d, &r->attempt, &lost);
        return;
    }
    w->touched = 1;
    WH_CRASH("before-start");
    w->def->provider->start(w->handler, &r->attempt); /* may have ended when this returns */
    WH_CRASH("after-start");
}

/* ---- turns ---- */

static int wants_of(wh_dispatcher *d, webhook_lease_want *wants)
{
    apr_time_t now = apr_time_now();
    int i, n = 0;

    for (i = 0; i < d->worker_count; i++) {
        wh_worker *w = &d->workers[i];
        int room = w->def->concurrency - w->open;

        if (w->next_due && w->next_due <= now) {
            w->next_due = 0;
            w->hungry = 1;
        }
        w->asked = w->got = 0;
        if (d->draining || !d->owned || !w->handler || !w->hungry || room <= 0)
            continue;
        if (wants) {
            w->asked = room < WANT_MAX ? room : WANT_MAX;
            wants[n].handler = w->def->name;
            wants[n].max = w->asked;
            wants[n].lease_time = w->def->timeout + LEASE_EXTRA;
            wants[n].wait_max = wh_retry_longest(&w->def->retry);
            if (wants[n].wait_max < WH_STORE_LOST_MAX)
                wants[n].wait_max = WH_STORE_LOST_MAX;
        }
        n++;
    }
    return n;
}

int wh_turn_wanted(wh_dispatcher *d)
{
    return d->finished_count || wants_of(d, NULL);
}

static webhook_settlement **settlements_of(wh_dispatcher *d, wh_record ***records, apr_pool_t *p)
{
    webhook_settlement **list = apr_palloc(p, sizeof(*list) * (apr_size_t)(d->finished_count + 1));
    int n = d->finished_count;
    wh_record *r;

    *records = apr_palloc(p, sizeof(**records) * (apr_size_t)(n + 1));
    for (r = d->finished; r; r = r->next) { /* newest first in the list, oldest first to the store */
        r->settlement.applied = 0;
        list[--n] = &r->settlement;
        (*records)[n] = r;
    }
    return list;
}

/* Everything leased is started, or given back when the end came meanwhile. */
static void start_all(wh_dispatcher *d, const apr_array_header_t *leases, apr_time_t next_due)
{
    apr_size_t bytes = 0;
    int i;

    wh_control_check(d);
    for (i = 0; i < leases->nelts; i++) {
        const webhook_lease *lease = APR_ARRAY_IDX(leases, i, const webhook_lease *);

        bytes += lease->delivery->body.len;
        start_lease(d, lease);
    }
    for (i = 0; i < d->worker_count; i++) {
        wh_worker *w = &d->workers[i];

        if (w->asked) {
            w->hungry = w->got >= w->asked || (w->got && bytes >= FULL_TURN_BYTES);
            w->next_due = next_due;
        }
        if (w->touched && w->def->provider->flush)
            w->def->provider->flush(w->handler);
        w->touched = 0;
    }
}

int wh_turn_take(wh_dispatcher *d)
{
    int settled = d->finished_count, want_count, i;
    webhook_lease_want *wants;
    webhook_settlement **list;
    wh_record **records;
    apr_array_header_t *leases;
    apr_time_t next_due = 0;
    webhook_result res;
    apr_status_t rv;

    if (!wh_turn_wanted(d) || !wh_store_ready(d))
        return 0;
    apr_pool_clear(d->turn_pool);
    memset(&res, 0, sizeof(res));
    wants = apr_palloc(d->turn_pool, sizeof(*wants) * (apr_size_t)(d->worker_count + 1));
    want_count = wants_of(d, wants);
    list = settlements_of(d, &records, d->turn_pool);
    leases = apr_array_make(d->turn_pool, 16, sizeof(webhook_lease *));
    if (settled)
        WH_CRASH("before-settle");
    wh_guard_begin(d);
    rv = d->conf->store->turn(d->store, list, settled, wants, want_count, apr_time_now(), leases, &next_due, d->turn_pool, &res);
    wh_guard_end(d);
    if (rv != APR_SUCCESS) {
        wh_store_failed(d, settled ? "settle" : "lease", rv, &res);
        return 0;
    }
    wh_store_worked(d);
    if (settled)
        WH_CRASH("after-settle");
    if (leases->nelts)
        WH_CRASH("after-lease");
    if (d->conf->store->life_fd) /* it changes when the store had to open its files again */
        wh_runner_hold(d->conf->store->life_fd(d->store));
    start_all(d, leases, next_due);
    for (i = 0; i < settled; i++) {
        account(d, records[i]);
        apr_pool_clear(d->scratch);
    }
    return 1;
}

