/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the test of the dispatcher: a store whose calls can fail, hang or be looked at, a handler whose attempts do what the event of their
 * delivery says, and a scene of both.
 */
#ifndef DISPATCH_HARNESS_H
#define DISPATCH_HARNESS_H

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "core/reasons.h"
#include "dispatch/dispatch.h"
#include "store/memory.h"
#include "store_fixture.h"
#include "tap.h"

/* ---- the wrapped store ---- */

static struct {
    const webhook_store_provider *real;
    int fail_turns, fail_settles, fail_owns, hang_turn;
    int hung; /* what a turn writes to before it hangs */
    int turns, close_after_lease; /* descriptor to close after a turn that leased; -1: none */
    int steal; /* take back all leases before the next settling turn */
} hook;

static webhook_store_provider wrapped;

static apr_status_t refuse(webhook_result *res)
{
    res->reason = "store-busy";
    res->detail = "refused by the test";
    return res->rv = APR_EBUSY;
}

static apr_status_t wrapped_own(webhook_store *s, webhook_result *res)
{
    return hook.fail_owns > 0 && hook.fail_owns-- ? refuse(res) : hook.real->own(s, res);
}

static apr_status_t wrapped_turn(webhook_store *s, webhook_settlement *const *settled, int settled_count, const webhook_lease_want *wants,
                                 int want_count, apr_time_t now, apr_array_header_t *leases, apr_time_t *next_due, apr_pool_t *p,
                                 webhook_result *res)
{
    apr_status_t rv;

    hook.turns++;
    if (hook.hang_turn && settled_count) {
        (void)!write(hook.hung, "h", 1);
        for (;;)
            poll(NULL, 0, 1000);
    }
    if ((hook.fail_turns > 0 && hook.fail_turns--) || (settled_count && hook.fail_settles > 0 && hook.fail_settles--))
        return refuse(res);
    if (hook.steal && settled_count) {
        int n;

        hook.steal = 0;
        hook.real->reclaim(s, now + SECONDS(86400), &n, res);
    }
    rv = hook.real->turn(s, settled, settled_count, wants, want_count, now, leases, next_due, p, res);
    if (rv == APR_SUCCESS && leases->nelts && hook.close_after_lease >= 0) {
        close(hook.close_after_lease);
        hook.close_after_lease = -1;
    }
    return rv;
}

/* ---- the handler made for the test ---- */

/*
 * What an attempt does is the event of its delivery: "done", "retry", "dead" end at once; "slow-done" after 20 ms; "hold" waits for a stop;
 * "flaky" fails its first attempt; "close" ends after 20 ms and closes the lifeline when it starts.
 */
typedef struct fake_attempt {
    struct fake_attempt *next;
    webhook_attempt *attempt;
    webhook_handler *owner;
    const char *event;
} fake_attempt;

struct webhook_handler {
    webhook_loop *loop;
    const webhook_services *services;
    fake_attempt *held;
    apr_pool_t *pool;
};

static struct {
    int open_now, open_max, started, finished, flushed, stopped, closed;
    int fail_open, deaf; /* deaf: a stop is not obeyed */
    int leave_after;     /* close the lifeline when so many have ended */
    apr_interval_time_t die_after; /* when a held attempt has been open for so long, the parent is gone; 0: it stays */
    apr_interval_time_t kill_after; /* what stop was called with */
    char order[2000];
} fake;

static int lifeline[2] = { -1, -1 }, life[2] = { -1, -1 };

static void close_lifeline(void)
{
    if (lifeline[1] >= 0)
        close(lifeline[1]);
    lifeline[1] = -1;
}

static apr_time_t died; /* when life was closed */

static void close_life(void)
{
    if (life[1] < 0)
        return;
    close(life[1]);
    life[1] = -1;
    died = apr_time_now();
}

static void fake_parent_dies(void *baton)
{
    (void)baton;
    close_life();
}

static void fake_end(fake_attempt *f, webhook_outcome outcome)
{
    webhook_handler *h = f->owner;
    webhook_attempt_result r = { .outcome = outcome };

    if (outcome != WEBHOOK_OUTCOME_DONE) {
        r.reason = outcome == WEBHOOK_OUTCOME_RELEASED ? wh_failure_STOPPED : wh_failure_EXIT;
        r.detail = apr_pstrdup(f->attempt->pool, "as told");
        r.code = 3;
    }
    r.output.data = apr_pstrdup(f->attempt->pool, "said");
    r.output.len = 4;
    fake.open_now--;
    fake.finished++;
    if (fake.leave_after && fake.finished >= fake.leave_after)
        close_lifeline();
    h->services->finish(h->loop, f->attempt, &r);
}

static void fake_later(void *baton)
{
    fake_end(baton, WEBHOOK_OUTCOME_DONE);
}

static apr_status_t fake_open(webhook_handler **out, const webhook_handler_conf *conf, const char *name, webhook_loop *loop,
                              const webhook_services *services, apr_pool_t *p, webhook_result *res)
{
    webhook_handler *h = apr_pcalloc(p, sizeof(*h));

    (void)conf;
    (void)name;
    if (fake.fail_open) {
        res->reason = "not-started";
        return APR_EGENERAL;
    }
    h->loop = loop;
    h->services = services;
    h->pool = p;
    *out = h;
    return APR_SUCCESS;
}

static void fake_start(webhook_handler *h, webhook_attempt *attempt)
{
    const char *event = attempt->lease->delivery->event;
    fake_attempt *f = apr_pcalloc(attempt->pool, sizeof(*f));
    size_t n = strlen(fake.order);

    f->attempt = attempt;
    f->owner = h;
    f->event = event;
    fake.started++;
    if (++fake.open_now > fake.open_max)
        fake.open_max = fake.open_now;
    snprintf(fake.order + n, sizeof(fake.order) - n, "%c", attempt->lease->delivery->uri[1]);
    if (!strcmp(event, "done"))
        fake_end(f, WEBHOOK_OUTCOME_DONE);
    else if (!strcmp(event, "retry"))
        fake_end(f, WEBHOOK_OUTCOME_RETRY);
    else if (!strcmp(event, "dead"))
        fake_end(f, WEBHOOK_OUTCOME_DEAD);
    else if (!strcmp(event, "flaky"))
        fake_end(f, attempt->lease->attempt == 1 ? WEBHOOK_OUTCOME_RETRY : WEBHOOK_OUTCOME_DONE);
    else if (!strcmp(event, "slow-done"))
        h->services->timer(h->loop, 20000, fake_later, f);
    else if (!strcmp(event, "close")) {
        close_lifeline();
        h->services->timer(h->loop, 20000, fake_later, f);
    } else {
        f->next = h->held;
        h->held = f;
        if (fake.die_after)
            h->services->timer(h->loop, fake.die_after, fake_parent_dies, NULL);
    }
}

static void fake_flush(webhook_handler *h)
{
    (void)h;
    fake.flushed++;
}

static void fake_stop(webhook_handler *h, apr_interval_time_t kill_after)
{
    fake.stopped++;
    fake.kill_after = kill_after;
    while (h->held && !fake.deaf) {
        fake_attempt *f = h->held;

        h->held = f->next;
        fake_end(f, WEBHOOK_OUTCOME_RELEASED);
    }
}

static void fake_close(webhook_handler *h)
{
    fake.closed++;
    /* What a handler that was not quick enough might still do; it must find its attempts' memory. */
    while (h->held) {
        fake_attempt *f = h->held;

        h->held = f->next;
        fake_end(f, WEBHOOK_OUTCOME_RELEASED);
    }
}

static const webhook_handler_provider fake_provider = {
    .name = "fake", .open = fake_open, .start = fake_start, .flush = fake_flush, .stop = fake_stop, .close = fake_close
};

/* ---- scenes ---- */

typedef struct scene {
    wh_store_spec *spec;
    webhook_store *store; /* our own handle */
    wh_dispatch_conf conf;
    wh_handler_def def;
    wh_counters *counters;
    apr_pool_t *pool;
} scene;

static char logged[200000];

static void log_sink(void *baton, int level, apr_status_t rv, const char *text)
{
    size_t n = strlen(logged);

    (void)baton;
    (void)rv;
    snprintf(logged + n, sizeof(logged) - n, "<%d>%s\n", level, text);
}

static scene scene_begin(void)
{
    static const char *names[] = { "h" };
    webhook_result res;
    scene s;

    memset(&s, 0, sizeof(s));
    memset(&fake, 0, sizeof(fake));
    memset(&hook, 0, sizeof(hook));
    hook.close_after_lease = -1;
    hook.real = &wh_store_memory;
    wrapped = wh_store_memory;
    wrapped.own = wrapped_own;
    wrapped.turn = wrapped_turn;
    logged[0] = '\0';
    apr_pool_create(&s.pool, fx_pool);
    s.spec = fx_spec("memory:", "");
    fx_init(s.spec, &res);
    s.store = fx_open(s.spec, s.pool);
    s.counters = apr_pcalloc(s.pool, wh_counters_size(0, 1));
    wh_counters_init(s.counters, wh_counters_size(0, 1), NULL, 0, names, 1);
    s.def.name = "h";
    s.def.provider = &fake_provider;
    s.def.concurrency = 4;
    s.def.timeout = SECONDS(30);
    s.def.capture = 65536;
    s.def.retry = wh_retry_default;
    s.conf.store = &wrapped;
    s.conf.store_conf = s.spec->conf;
    s.conf.counters = s.counters;
    s.conf.wake_fd = s.conf.parent_pidfd = -1;
    (void)!pipe2(lifeline, O_CLOEXEC);
    (void)!pipe2(life, O_CLOEXEC);
    s.conf.lifeline_fd = lifeline[0];
    s.conf.life_fd = life[0];
    return s;
}

/* A delivery for handler h; its uri begins with the letter. @return its id */
static const char *deliver(scene *s, const char *event, char letter)
{
    fx_item *i = fx_small(s->pool, NULL, "h", NULL, apr_time_now());

    i->d.event = event;
    i->d.uri = apr_psprintf(s->pool, "/%c", letter);
    if (fx_accept(s->spec, s->store, i, apr_time_now()) != WEBHOOK_ACCEPT_STORED)
        exit(1);
    apr_sleep(50); /* due times in the order of arrival */
    return i->id;
}

static int dispatch(scene *s)
{
    apr_array_header_t *handlers = apr_array_make(s->pool, 1, sizeof(wh_handler_def *));

    APR_ARRAY_PUSH(handlers, const wh_handler_def *) = &s->def;
    s->conf.handlers = handlers;
    return wh_dispatch_run(&s->conf, s->pool);
}

static void scene_end(scene *s)
{
    close_lifeline();
    close(lifeline[0]);
    close(life[0]);
    close_life();
    apr_pool_destroy(s->pool);
}

static const webhook_job_row *job_of(scene *s, const char *id)
{
    webhook_row *row = fx_get(s->spec, s->store, id);

    return row && row->jobs->nelts ? &APR_ARRAY_IDX(row->jobs, 0, const webhook_job_row) : NULL;
}

static const webhook_attempt_row *attempt_of(const webhook_job_row *j, int i)
{
    return i < j->attempt_rows->nelts ? &APR_ARRAY_IDX(j->attempt_rows, i, const webhook_attempt_row) : NULL;
}

#endif
