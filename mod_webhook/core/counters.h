/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h: observation in shared memory. A fixed layout of 64-bit counters in one mapping shared by httpd's children and the
 * dispatcher; labels are names from the configuration, never from a request. Fixed-width integers and offsets only, no pointers; writers
 * use relaxed atomic additions, readers may see slightly different moments per counter. Nobody trusts the content beyond being numbers.
 *
 * Layout: header, `endpoint_count` endpoint blocks, `handler_count` handler blocks, in the order of the configuration. The last
 * block of each kind is "(other)" for names that did not fit or are not configured.
 */
#ifndef WH_CORE_COUNTERS_H
#define WH_CORE_COUNTERS_H

#include <apr_pools.h>
#include <stdint.h>
#include "core/json.h"
#include "core/reasons.h"

#define WH_COUNTERS_MAGIC 0x77684331u /* "whC1" */
#define WH_COUNTER_NAME 96

/* name, help */
#define WH_ENDPOINT_COUNTERS(X)                                             \
    X(requests, "requests that reached the endpoint")                       \
    X(accepted, "deliveries stored and acknowledged")                       \
    X(duplicates, "deliveries recognised as seen before")                   \
    X(unrouted, "deliveries acknowledged that no rule wanted")              \
    X(dropped, "deliveries acknowledged and dropped by a rule")             \
    X(gated, "verified requests passed to another handler")                 \
    X(handshakes, "handshakes answered")                                    \
    X(invalid, "requests that WebhookValidate ... report let pass")         \
    X(refused, "requests refused, all reasons")                             \
    X(unenforced, "requests let pass that were not verified")               \
    X(body_bytes, "bytes of accepted bodies")

/* name, help */
#define WH_HANDLER_COUNTERS(X)                                   \
    X(attempts, "attempts ended")                                \
    X(done, "jobs done")                                         \
    X(retried, "attempts that will be repeated")                 \
    X(dead, "jobs that became dead letters")                     \
    X(released, "attempts interrupted by a stop")                \
    X(fenced, "results of attempts whose lease was lost")        \
    X(busy_usec, "time spent in attempts, in microseconds")

typedef struct wh_endpoint_counters {
    char name[WH_COUNTER_NAME]; /* NUL-terminated, cut if longer */
#define WH_X(n, help) uint64_t n;
    WH_ENDPOINT_COUNTERS(WH_X)
#undef WH_X
    uint64_t reason[WH_REFUSAL_COUNT];
} wh_endpoint_counters;

typedef struct wh_handler_counters {
    char name[WH_COUNTER_NAME];
#define WH_X(n, help) uint64_t n;
    WH_HANDLER_COUNTERS(WH_X)
#undef WH_X
} wh_handler_counters;

typedef struct wh_counters {
    uint32_t magic, version;
    uint32_t size;           /* bytes of the whole mapping */
    uint32_t endpoint_count; /* with "(other)" */
    uint32_t handler_count;  /* with "(other)" */
    uint32_t refusal_count;  /* WH_REFUSAL_COUNT when written */
    uint64_t started;        /* apr_time_t when counting began */
    uint64_t generation;     /* restarts since then */
    uint64_t commits;        /* store transactions that accepted something */
    uint64_t commit_items;   /* deliveries in them: items / commits is the batch size */
    uint64_t store_errors;
    uint64_t dispatcher_starts;
} wh_counters;

apr_size_t wh_counters_size(int endpoints, int handlers);

/** Whether an existing mapping of `size` bytes has exactly this layout and these names (then it is kept). */
int wh_counters_match(const void *mem, apr_size_t size, const char *const *endpoints, int n_endpoints, const char *const *handlers,
                      int n_handlers);

/** Lay out a fresh mapping of wh_counters_size bytes; counts do not include "(other)", which is added. */
void wh_counters_init(void *mem, apr_size_t size, const char *const *endpoints, int n_endpoints, const char *const *handlers,
                      int n_handlers);

/** Blocks by index; NULL mapping gives NULL; an index out of range gives "(other)". */
wh_endpoint_counters *wh_counters_endpoint(wh_counters *c, int index);
wh_handler_counters *wh_counters_handler(wh_counters *c, int index);
/** Index by name; the index of "(other)" for a name that is not there, -1 without a mapping. */
int wh_counters_find_endpoint(wh_counters *c, const char *name);
int wh_counters_find_handler(wh_counters *c, const char *name);

/** Add to a counter, which may be NULL-based: WH_COUNT(block, member, n) does nothing when block is NULL. */
#define WH_COUNT(block, member, n)                                                              \
    do {                                                                                        \
        if (block) __atomic_fetch_add(&(block)->member, (uint64_t)(n), __ATOMIC_RELAXED);       \
    } while (0)

/** Attempts ended so far, over all handlers: what grows when dispatchers do their work. Takes the layout from the numbers that
 *  wh_counters_init was given, not from the header: also for httpd's parent. 0 without a mapping. */
uint64_t wh_counters_attempts(wh_counters *c, int n_endpoints, int n_handlers);

/** All counters as one JSON object: {"started":...,"endpoints":{"name":{...,"reasons":{...}}},"handlers":{...}}; "reasons" holds the
 *  codes that occurred. Trusts the counts in the header: not for a process that is more than the writers are (httpd's parent). */
void wh_counters_json(wh_buf *b, wh_counters *c);

#endif
