/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.h: when a failed job is tried again. Pure arithmetic: time and randomness are arguments.
 */
#ifndef WH_DISPATCH_RETRY_H
#define WH_DISPATCH_RETRY_H

#include <apr_tables.h>
#include <apr_time.h>

typedef struct wh_retry_policy {
    apr_interval_time_t first;  /* upper bound of the first delay */
    int factor_percent;         /* growth per attempt: 300 is factor 3; >= 100 */
    apr_interval_time_t cap;    /* upper bound of any delay, Retry-After included */
    apr_interval_time_t within; /* a job is given up this long after it was made or replayed; 0: never retried */
} wh_retry_policy;

extern const wh_retry_policy wh_retry_default; /* 10 s, 300 %, 6 h, 3 d */

/** Parse the options of WebhookRetry (first= factor= cap= within=) over the given policy. @return NULL or an error text */
const char *wh_retry_parse(wh_retry_policy *policy, const apr_array_header_t *options, apr_pool_t *p);

/**
 * Full jitter: a delay drawn evenly from (0, min(cap, first * factor^(attempt-1))], at least 1 s; raised to `retry_after` (itself cut
 * at cap). Never negative, never over cap, whatever the arguments.
 * @param attempt the attempt that just failed, >= 1   @param random any 32 random bits
 * @return 1 and *due (>= now + 1 s), or 0 when *due would be past created + within: give up.
 */
int wh_retry_next(const wh_retry_policy *policy, int attempt, apr_time_t created, apr_time_t now, apr_interval_time_t retry_after,
                  unsigned random, apr_time_t *due);

/** The longest delay wh_retry_next() can ask for. */
apr_interval_time_t wh_retry_longest(const wh_retry_policy *policy);

#endif
