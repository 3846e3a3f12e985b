/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatcher.h: what dispatch.c (the process: control, housekeeping, its end) and turn.c (leases, attempts, settlements) share.
 */
#ifndef WH_DISPATCH_DISPATCHER_H
#define WH_DISPATCH_DISPATCHER_H

#include <apr_hash.h>
#include "dispatch/attempt.h"
#include "dispatch/dispatch.h"
#include "dispatch/loop.h"

/** One handler in this process. */
typedef struct wh_worker {
    const wh_handler_def *def;
    webhook_handler *handler; /* NULL: not open */
    apr_pool_t *pool;
    wh_handler_counters *counters;
    int open;                 /* attempts */
    int hungry;               /* there may be due jobs */
    int asked, got;           /* in this turn */
    int touched;              /* started something in this turn */
    apr_time_t next_due;      /* 0: unknown or none */
    apr_time_t open_at;       /* monotonic: try to open again */
} wh_worker;

typedef struct wh_dispatcher {
    const wh_dispatch_conf *conf;
    apr_pool_t *pool, *turn_pool, *scratch;
    webhook_loop *loop;
    webhook_store *store;
    wh_fetcher *fetcher; /* NULL: nothing to fetch, or no more */
    wh_worker *workers;
    int worker_count;
    apr_hash_t *by_name, *warned;
    wh_record *open, *finished;
    int open_count, finished_count;
    int owned, draining, stopping, drain_asked, stop_asked;
    /* monotonic moments */
    apr_time_t store_at, failing_since, warned_at, tick_at, reclaim_at, maintain_at, orphans_at, drain_until, stop_force, stop_leave;
    apr_interval_time_t store_back_off, reclaim_every;
} wh_dispatcher;

/* dispatch.c */

/** Look whether the lifeline, life or the parent ended; sets drain_asked and stop_asked. */
void wh_control_check(wh_dispatcher *d);

/** Bracket every call of the store: should the server stop while a call hangs, the process still leaves in time. */
void wh_guard_begin(const wh_dispatcher *d);
void wh_guard_end(const wh_dispatcher *d);

/* turn.c */

/** Whether the store may be called now, or has its back-off. */
int wh_store_ready(const wh_dispatcher *d);
void wh_store_failed(wh_dispatcher *d, const char *what, apr_status_t rv, const webhook_result *res);
void wh_store_worked(wh_dispatcher *d);

/** The loop's finish callback; baton is the dispatcher. */
wh_loop_finish_cb wh_turn_finish;

/** Release what has not ended; the handlers lose it when they are closed. */
void wh_turn_force_release(wh_dispatcher *d);

/** Rows may have come for any handler. */
void wh_turn_all_hungry(wh_dispatcher *d);

/** Whether take_turn would have something to do, but for the store's back-off. */
int wh_turn_wanted(wh_dispatcher *d);

/** Settle what ended, lease what is due, start it. @return 0 when there was nothing to do or the store did not do it */
int wh_turn_take(wh_dispatcher *d);

#endif
