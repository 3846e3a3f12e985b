/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.h: the dispatcher's record of one leased job, from the lease until its settlement is durable.
 *
 * Each record has a pool of its own with a copy of the lease, so that memory goes with the attempt and not with the slowest attempt of the
 * turn that leased it. What the handler allocates is in a second pool that goes when the handler says finish().
 */
#ifndef WH_DISPATCH_ATTEMPT_H
#define WH_DISPATCH_ATTEMPT_H

#include "dispatch/retry.h"
#include "webhook_provider.h"

typedef struct wh_record wh_record;
struct wh_record {
    webhook_attempt attempt;       /* first: finish() gets its address */
    wh_record *next, **link;       /* in the list of open, then of finished ones */
    void *owner;                   /* the dispatcher's */
    apr_pool_t *pool;              /* this record */
    webhook_settlement settlement;
    int finished;
};

/** Make a record with a copy of the lease. Destroy with apr_pool_destroy(record->pool). */
wh_record *wh_record_make(const webhook_lease *lease, apr_pool_t *parent);

void wh_record_link(wh_record *r, wh_record **list);
void wh_record_unlink(wh_record *r);

/**
 * Turn the handler's result into the settlement; copies what it needs. A retry that the policy gives up becomes dead.
 * @param random any 32 random bits
 */
void wh_record_conclude(wh_record *r, const webhook_attempt_result *result, const wh_retry_policy *policy, apr_time_t now, unsigned random);

/** Never started: give the lease and the attempt number back. */
void wh_record_release(wh_record *r, apr_time_t now);

/** Whether the body file of a lease, if it has one, is there with the right length. */
apr_status_t wh_record_body_check(const wh_record *r);

#endif
