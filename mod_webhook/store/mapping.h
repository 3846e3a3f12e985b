/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapping.h: memory that a process shares with those that are forked after it was taken. A process that never had any takes its own, which
 * is then shared with its children alone.
 */
#ifndef WH_STORE_MAPPING_H
#define WH_STORE_MAPPING_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <sys/types.h>

/** Part of a structure that lives in a pool; all zero: no memory. */
typedef struct wh_mapping {
    void *at; /* NULL: none */
    apr_size_t bytes;
    pid_t pid; /* who took it */
} wh_mapping;

/** What is taken later goes back with p, in the process that took it. */
void wh_mapping_init(wh_mapping *m, apr_pool_t *p);

/** Take memory, all zero; only what is touched costs any. @return errno of mmap(2); m is as before then */
apr_status_t wh_mapping_take(wh_mapping *m, apr_size_t bytes);

/** Give it back before the pool goes. */
void wh_mapping_drop(wh_mapping *m);

#endif
