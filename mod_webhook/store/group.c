/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.c: leader and followers. A waiting thread owns a ticket on its stack with a semaphore of its own: it is woken once, by a leader, either
 * because its item is decided or because it is to lead. Nobody else's wake-up disturbs it, and it needs no mutex to go on.
 */
#include "store/group.h"

#include <apr_allocator.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

#include "core/reasons.h"
#include "core/units.h"

#define BATCH_MAX 64
#define BATCH_LIMIT 512
#define BATCH_BYTES (4 * 1024 * 1024)
#define WORK_PAUSE 50000 /* microseconds between two works: the first may be another process's */

typedef enum ticket_call { CALL_WAIT, CALL_LEAD, CALL_DECIDED } ticket_call;

typedef struct ticket {
    webhook_accept *item; /* NULL: wants the handle for a call of its own */
    struct ticket *next;
    ticket_call call; /* written before the semaphore is posted, read after it was waited for */
    sem_t woken;
} ticket;

struct wh_group {
    const wh_store_spec *spec;
    wh_group_conf conf;
    apr_pool_t *pool;
    webhook_store *store; /* used by whoever leads */
    pthread_mutex_t mutex; /* guards what follows */
    int leading;           /* somebody leads, or runs a call of its own */
    ticket *first, **last;

    /* The store's long work, in a thread that is there from the first time on. */
    pthread_t worker;
    int has_worker, working; /* a leader's; working: until the worker says that it is done */
    int quit;
    sem_t work;
    apr_time_t work_next; /* wh_monotonic() */
};

/* A leader's, on its stack: while it wakes the others the next one has a batch of its own. */
typedef struct batch {
    int n;
    ticket *ticket[BATCH_LIMIT];
    webhook_accept *item[BATCH_LIMIT];
} batch;

static void count(uint64_t *counter, int n)
{
    if (counter && n)
        __atomic_fetch_add(counter, (uint64_t)n, __ATOMIC_RELAXED);
}

static apr_status_t group_destroy(void *data)
{
    wh_group *g = data;

    pthread_mutex_destroy(&g->mutex);
    sem_destroy(&g->work);
    return APR_SUCCESS;
}

/* ---------------------------------------------------------------------------------------------------- the store's long work --- */

static void *work(void *data)
{
    wh_group *g = data;
    const webhook_store_provider *provider = g->spec->provider;

    for (;;) {
        webhook_store *own;
        webhook_result res;
        apr_pool_t *p;

        while (sem_wait(&g->work) < 0 && errno == EINTR)
            ;
        if (__atomic_load_n(&g->quit, __ATOMIC_ACQUIRE))
            return NULL;
        memset(&res, 0, sizeof res);
        /* with an allocator of its own: nothing of it is shared with other threads */
        if (apr_pool_create_unmanaged_ex(&p, NULL, NULL) == APR_SUCCESS) {
            if (provider->open(&own, g->spec->conf, p, &res) == APR_SUCCESS)
                provider->work(own);
            apr_pool_destroy(p);
        }
        __atomic_store_n(&g->working, 0, __ATOMIC_RELEASE);
    }
}

/* The worker's handle is closed before what the group's own needs goes. */
static apr_status_t stop_worker(void *data)
{
    wh_group *g = data;

    if (g->has_worker) {
        __atomic_store_n(&g->quit, 1, __ATOMIC_RELEASE);
        sem_post(&g->work);
        pthread_join(g->worker, NULL);
        g->has_worker = 0;
    }
    return APR_SUCCESS;
}

static int start_worker(wh_group *g)
{
    sigset_t all, before;
    int err;

    /* signals are for httpd's own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&g->worker, NULL, work, g);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    g->has_worker = !err;
    return g->has_worker;
}

/* Only who leads. */
static void look_for_work(wh_group *g)
{
    const webhook_store_provider *provider = g->spec->provider;

    if (!provider->work || !provider->work_due(g->store) || __atomic_load_n(&g->working, __ATOMIC_ACQUIRE) || wh_monotonic() < g->work_next)
        return;
    g->work_next = wh_monotonic() + WORK_PAUSE;
    if (!g->has_worker && !start_worker(g))
        return; /* the store does it itself in the end, while all wait */
    g->working = 1;
    sem_post(&g->work);
}

apr_status_t wh_group_create(wh_group **out, const wh_store_spec *spec, const wh_group_conf *conf, apr_pool_t *p, webhook_result *res)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;
    apr_status_t rv;
    wh_group *g;

    /* The handle allocates from whichever thread leads; its pool must share nothing with pools other threads use. */
    if ((rv = apr_allocator_create(&allocator)) != APR_SUCCESS)
        return rv;
    if ((rv = apr_pool_create_ex(&pool, p, NULL, allocator)) != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return rv;
    }
    apr_allocator_owner_set(allocator, pool);
    apr_pool_tag(pool, "webhook group");
    g = apr_pcalloc(pool, sizeof *g);
    g->spec = spec;
    g->pool = pool;
    if (conf)
        g->conf = *conf;
    if (g->conf.batch_max <= 0)
        g->conf.batch_max = BATCH_MAX;
    if (g->conf.batch_max > BATCH_LIMIT)
        g->conf.batch_max = BATCH_LIMIT;
    if (!g->conf.batch_bytes)
        g->conf.batch_bytes = BATCH_BYTES;
    g->last = &g->first;
    rv = pthread_mutex_init(&g->mutex, NULL);
    if (rv == APR_SUCCESS) {
        sem_init(&g->work, 0, 0);
        apr_pool_cleanup_register(pool, g, group_destroy, apr_pool_cleanup_null);
        apr_pool_pre_cleanup_register(pool, g, stop_worker);
        rv = spec->provider->open(&g->store, spec->conf, pool, res);
    }
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return rv;
    }
    *out = g;
    return APR_SUCCESS;
}

static void ticket_wait(ticket *t)
{
    while (sem_wait(&t->woken) < 0 && errno == EINTR)
        ;
}

/* After the post the ticket's owner may be gone at once: its frame is not touched again. */
static void ticket_wake(ticket *t, ticket_call call)
{
    t->call = call;
    sem_post(&t->woken);
}

static void queue_add(wh_group *g, ticket *t)
{
    t->next = NULL;
    *g->last = t;
    g->last = &t->next;
}

static ticket *queue_take(wh_group *g)
{
    ticket *t = g->first;

    g->first = t->next;
    if (!g->first)
        g->last = &g->first;
    return t;
}

/* What an item adds to a transaction: a body that goes to a file of its own does not count. */
static apr_size_t item_bytes(const webhook_accept *item)
{
    apr_size_t bytes = (item->staged ? 0 : item->delivery->body.len) + item->delivery->headers.len;
    int i;

    for (i = 0; item->shapes && i < item->handler_count; i++)
        bytes += item->shapes[i].len;
    return bytes;
}

/* With the mutex held. */
static void batch_collect(wh_group *g, batch *b)
{
    apr_size_t bytes = 0;

    b->n = 0;
    while (g->first && g->first->item && b->n < g->conf.batch_max && (b->n == 0 || bytes + item_bytes(g->first->item) <= g->conf.batch_bytes)) {
        ticket *t = queue_take(g);

        bytes += item_bytes(t->item);
        b->ticket[b->n] = t;
        b->item[b->n++] = t->item;
    }
}

static void item_fail(webhook_accept *item, const webhook_result *res)
{
    item->outcome = WEBHOOK_ACCEPT_FAILED;
    item->result = *res;
}

/* With the mutex held: nobody gets the store now, so nobody behind us need try again and wait as long once more. */
static void fail_waiting(wh_group *g, const ticket *mine, const webhook_result *res)
{
    ticket *t = g->first, *next;
    int failed = 0;

    g->first = NULL;
    g->last = &g->first;
    for (; t; t = next) {
        next = t->next;
        if (!t->item) {
            queue_add(g, t);
            continue;
        }
        item_fail(t->item, res);
        failed++;
        if (t != mine)
            ticket_wake(t, CALL_DECIDED);
    }
    count(g->conf.store_errors, failed);
}

/* Jobs were written. The dispatcher may begin while we sync: it waits for the same sync before it hands anything on. */
static void batch_wake(const wh_group *g, const batch *b)
{
    int i;

    for (i = 0; g->conf.wake && i < b->n; i++) {
        const webhook_accept *item = b->item[i];

        if ((item->outcome == WEBHOOK_ACCEPT_STORED && item->handler_count) || item->outcome == WEBHOOK_ACCEPT_REQUEUED) {
            g->conf.wake();
            return;
        }
    }
}

/* What the items have come to is durable, or has failed. */
static void batch_done(wh_group *g, const batch *b)
{
    int i, failed = 0;

    for (i = 0; i < b->n; i++)
        failed += b->item[i]->outcome == WEBHOOK_ACCEPT_FAILED;
    count(g->conf.store_errors, failed);
    count(g->conf.commit_items, b->n - failed);
}

static int is_items_fault(const webhook_result *res)
{
    return res->reason && strcmp(res->reason, wh_refusal_table[WH_REFUSAL_INTERNAL].code) == 0;
}

/* What is written is not durable yet where the store can write without that: then the lock is held, during which nobody may wait for a sync. */
static apr_status_t write_items(wh_group *g, webhook_accept *const *items, int n, webhook_sync *sync, webhook_result *res)
{
    const webhook_store_provider *provider = g->spec->provider;
    apr_status_t rv = provider->write ? provider->write(g->store, items, n, apr_time_now(), sync, res)
                                      : provider->accept(g->store, items, n, apr_time_now(), res);

    if (rv == APR_SUCCESS)
        count(g->conf.commits, 1);
    return rv;
}

/* @return whether sync_begin() is to follow */
static int batch_write(wh_group *g, const batch *b, webhook_sync *sync)
{
    const webhook_store_provider *provider = g->spec->provider;
    apr_status_t rv;
    webhook_result res;
    int i, some = 0;

    memset(&res, 0, sizeof res);
    rv = write_items(g, b->item, b->n, sync, &res);
    if (rv == APR_SUCCESS || b->n == 1 || !is_items_fault(&res))
        return rv == APR_SUCCESS && provider->write;
    /* One of them cannot be kept; alone the others can. */
    for (i = 0; i < b->n; i++) {
        webhook_accept *item = b->item[i];

        memset(&res, 0, sizeof res);
        memset(&item->result, 0, sizeof item->result);
        item->outcome = WEBHOOK_ACCEPT_PENDING;
        if (write_items(g, &item, 1, sync, &res) == APR_SUCCESS)
            some = 1;
    }
    return some && provider->write;
}

static void batch_fail(const batch *b, const webhook_result *res)
{
    int i;

    for (i = 0; i < b->n; i++)
        item_fail(b->item[i], res);
}

/* With the mutex held: the next that waits leads, or nobody does. */
static void lead_on(wh_group *g)
{
    if (g->first)
        ticket_wake(g->first, CALL_LEAD);
    else
        g->leading = 0;
}

/* Our own ticket is the first of the queue, so it is in the batch. @return whether it is written and not synced */
static int write_queued(wh_group *g, const ticket *mine, batch *b, webhook_sync *sync)
{
    const webhook_store_provider *provider = g->spec->provider;
    webhook_result res;
    apr_status_t rv = APR_SUCCESS;
    int unsynced;

    b->n = 0;
    memset(&res, 0, sizeof res);
    if (provider->enter)
        rv = provider->enter(g->store, &res);
    pthread_mutex_lock(&g->mutex);
    if (rv == APR_SUCCESS)
        batch_collect(g, b);
    else
        fail_waiting(g, mine, &res);
    pthread_mutex_unlock(&g->mutex);
    if (rv != APR_SUCCESS)
        return 0;
    unsynced = batch_write(g, b, sync);
    if (provider->leave)
        provider->leave(g->store);
    batch_wake(g, b);
    look_for_work(g);
    return unsynced;
}

/*
 * The lead goes on when the batch is durable: other processes write theirs during its sync, but what comes to this one meanwhile had better become
 * one batch. On a slow disk that holds for all of them.
 */
static void lead(wh_group *g, const ticket *mine)
{
    const webhook_store_provider *provider = g->spec->provider;
    webhook_sync sync = { 0, -1 };
    webhook_result res;
    apr_status_t rv = APR_SUCCESS;
    int i, unsynced;
    batch b;

    memset(&res, 0, sizeof res);
    if (provider->sync_turn)
        rv = provider->sync_turn(g->store, &sync);
    unsynced = write_queued(g, mine, &b, &sync);
    if (unsynced && rv != APR_INCOMPLETE)
        rv = provider->sync_begin(g->store, &sync, &res);
    if (rv == APR_INCOMPLETE)
        rv = provider->sync_end(g->spec->conf, &sync, &res);
    if (unsynced && rv != APR_SUCCESS)
        batch_fail(&b, &res);
    batch_done(g, &b);

    /* The next leader first: it can begin while the others are being woken. */
    pthread_mutex_lock(&g->mutex);
    lead_on(g);
    pthread_mutex_unlock(&g->mutex);
    for (i = 0; i < b.n; i++) {
        if (b.ticket[i] != mine)
            ticket_wake(b.ticket[i], CALL_DECIDED);
    }
}

/* Stand in the queue until it is our turn to lead (1) or somebody decided for us (0). */
static int queue_up(wh_group *g, ticket *t)
{
    int leader;

    t->call = CALL_WAIT;
    sem_init(&t->woken, 0, 0);
    pthread_mutex_lock(&g->mutex);
    queue_add(g, t);
    leader = !g->leading;
    g->leading = 1;
    pthread_mutex_unlock(&g->mutex);
    if (!leader) {
        ticket_wait(t);
        leader = t->call == CALL_LEAD;
    }
    sem_destroy(&t->woken);
    return leader;
}

webhook_accept_outcome wh_group_accept(wh_group *g, webhook_accept *item, apr_pool_t *scratch)
{
    const webhook_store_provider *provider = g->spec->provider;
    ticket t;

    item->outcome = WEBHOOK_ACCEPT_PENDING;
    if (provider->stage && provider->stage(g->spec->conf, item, scratch) != APR_SUCCESS) {
        count(g->conf.store_errors, 1);
        return item->outcome = WEBHOOK_ACCEPT_FAILED;
    }
    t.item = item;
    if (queue_up(g, &t))
        lead(g, &t);
    return item->outcome;
}

apr_status_t wh_group_run(wh_group *g, wh_group_call *fn, void *baton)
{
    apr_status_t rv;
    ticket t;

    t.item = NULL;
    queue_up(g, &t);
    pthread_mutex_lock(&g->mutex);
    queue_take(g); /* ours: who leads is first */
    pthread_mutex_unlock(&g->mutex);
    rv = fn(baton, g->store, g->spec->provider);
    pthread_mutex_lock(&g->mutex);
    lead_on(g);
    pthread_mutex_unlock(&g->mutex);
    return rv;
}
