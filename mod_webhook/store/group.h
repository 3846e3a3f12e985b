/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.h: group commit inside one process. Many threads each bring one delivery; whoever comes first leads: it waits for the store's
 * cross-process lock (meanwhile others queue up behind it), takes what is queued, commits all of it as one transaction, wakes each
 * owner, and hands the lead to the first that is still queued. One handle, one transaction, one sync for many deliveries. Where the store
 * can sync apart from writing, other processes write during the sync. Long work that accepting leaves behind (copying a write-ahead log) is
 * done in a thread beside it.
 *
 * A batch that fails because of one of its items is tried again item by item; one that fails because of the disk, the file or the lock
 * is not: every item in it is FAILED with that result, and the callers answer 503.
 */
#ifndef WH_STORE_GROUP_H
#define WH_STORE_GROUP_H

#include <apr_pools.h>
#include <stdint.h>
#include "store/store.h"

typedef struct wh_group wh_group;

/** All zero is a valid configuration. */
typedef struct wh_group_conf {
    int batch_max;          /* deliveries per transaction; 0: 64 */
    apr_size_t batch_bytes; /* bytes of bodies kept inside the store per transaction; 0: 4 MiB */
    uint64_t *commits;      /* counters, may be NULL; added to with relaxed atomics (core/counters.h): */
    uint64_t *commit_items; /* transactions that stored something, deliveries they answered for, */
    uint64_t *store_errors; /* deliveries that could not be stored */
    void (*wake)(void);     /* called by the leader after each commit that left jobs to do, durable or not yet, before anybody is told; may be NULL */
} wh_group_conf;

/**
 * In a child after fork, before its threads accept. Opens the store; a store that cannot be opened now is no failure: accepting fails until
 * it heals. Everything lives in a pool of its own below p and is closed by p's cleanup, when no thread is in accept any more.
 * @return APR_SUCCESS or why the locks could not be made
 */
apr_status_t wh_group_create(wh_group **out, const wh_store_spec *spec, const wh_group_conf *conf, apr_pool_t *p, webhook_result *res);

/**
 * Store one delivery; any thread. Returns when it is durable or cannot be: item->outcome is never PENDING then. Waits no longer than the
 * store's lock timeout plus the commits in front of it.
 * @param item zeroed by the caller before it is filled; it and all it points to must live until the call returns
 * @param scratch the calling thread's own pool
 */
webhook_accept_outcome wh_group_accept(wh_group *g, webhook_accept *item, apr_pool_t *scratch);

/**
 * Do something else with the group's handle (statistics, a replay) while no batch uses it; accepting waits meanwhile. Long reads are
 * better done on a handle of their own.
 * @return what fn returned
 */
typedef apr_status_t wh_group_call(void *baton, webhook_store *store, const webhook_store_provider *provider);
apr_status_t wh_group_run(wh_group *g, wh_group_call *fn, void *baton);

#endif
