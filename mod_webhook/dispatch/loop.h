/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h: the dispatcher's event loop: descriptors, timers on the monotonic clock, and libcurl transfers, waited for together.
 * Single-threaded. Callbacks may add and remove any watch or timer, their own included.
 *
 * Watches live in an epoll set whose descriptor is the one extra descriptor given to curl_multi_poll: thousands of watches cost
 * nothing per turn, and hang-ups and errors come through whatever libcurl's version makes of them.
 */
#ifndef WH_DISPATCH_LOOP_H
#define WH_DISPATCH_LOOP_H

#include "webhook_provider.h"

/** What services->finish() calls. */
typedef void wh_loop_finish_cb(void *baton, webhook_attempt *attempt, const webhook_attempt_result *result);

/** Make a loop. Everything is freed by p's cleanup (or wh_loop_destroy, earlier). @return an errno value when there are no descriptors */
apr_status_t wh_loop_create(webhook_loop **out, wh_loop_finish_cb *finish, void *baton, apr_pool_t *p);

/** Close the epoll set and the curl multi handle. No easy handle may be in it any more. */
void wh_loop_destroy(webhook_loop *loop);

/** The table handed to handlers with `loop`. */
extern const webhook_services wh_loop_services;

/** Wait for at most max_wait (less when a timer is due or libcurl wants to act), then run what is ready. A signal ends the wait too. */
void wh_loop_once(webhook_loop *loop, apr_interval_time_t max_wait);

/** Open watches and timers, for tests. */
int wh_loop_watches(const webhook_loop *loop);
int wh_loop_timers(const webhook_loop *loop);

#endif
