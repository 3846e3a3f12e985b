/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery_log.h: the delivery log: JSON lines on a descriptor that httpd's parent opened (a file or a pipe to a program). One
 * write(2) per line on an O_APPEND descriptor, so lines of several processes never mix; on pipes lines are at most PIPE_BUF bytes
 * (body and headers are cut, then dropped, then long strings cut, with "cut":true).
 *
 * A line that cannot be written is dropped, with the warning WH0901 at most once a minute per process. A pipe's write end is made
 * non-blocking; a reader that lags gets 100 ms to take a line, and then a while no time at all. The process ignores SIGPIPE.
 * In headers and in the query of the URI the values of sensitive names are "***": those that sound like it, and those the endpoint's
 * scheme reads its signature or token from. Any thread.
 *
 *   {"time":"...","log":"accepted","id":"...","endpoint":"...","event":...,"handlers":[...],...}
 *   log is accepted, duplicate, refused, attempt, done or dead.
 */
#ifndef WH_CORE_DELIVERY_LOG_H
#define WH_CORE_DELIVERY_LOG_H

#include <apr_pools.h>
#include "webhook_provider.h"

typedef struct wh_delivery_log {
    int fd;           /* -1: off */
    int is_pipe;
    int with_headers; /* masked where sensitive */
    apr_int64_t body_max; /* bytes of the body to include; 0: none */
    const char *const *credentials; /* further names that are sensitive, as in webhook_scheme_traits; may be NULL */
    const char *unenforced; /* accepted and duplicate: the reason verification gave, where it was not enforced; NULL */
    const char *invalid; /* of this request: what WebhookValidate reported and let pass; NULL */
} wh_delivery_log;

/** accepted and duplicate: the delivery, where it goes and what was answered. */
void wh_dlog_accepted(const wh_delivery_log *log, const webhook_delivery *d, webhook_accept_outcome outcome, const char *first_id,
                      const char *const *handlers, int handler_count, const char *kept_as, int status, apr_pool_t *scratch);

/** refused: d carries what is known (id, endpoint, remote_addr, method, uri, headers, body_len); body bytes are never logged. */
void wh_dlog_refused(const wh_delivery_log *log, const webhook_delivery *d, int status, const char *reason, const char *detail,
                     apr_pool_t *scratch);

/** attempt, and done or dead when it was the last (a line of its own). After the settling: s->applied counts. */
void wh_dlog_attempt(const wh_delivery_log *log, const webhook_lease *lease, const webhook_settlement *s, apr_pool_t *scratch);

#endif
