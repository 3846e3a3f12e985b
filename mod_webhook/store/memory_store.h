/* SPDX-License-Identifier: Apache-2.0 */
/* memory_store.h: what memory.c and memory_query.c share; nobody else includes it. */
#ifndef WH_STORE_MEMORY_STORE_H
#define WH_STORE_MEMORY_STORE_H

#include "core/id.h"
#include "store/memory.h"

typedef enum job_state { QUEUED, RETRY, LEASED, DONE, DEAD } job_state;

typedef struct mem_job {
    apr_int64_t job, token;
    const char *handler, *reason;
    job_state state;
    int attempts, owner;
    apr_time_t created, due, leased, until;
    apr_array_header_t *rows; /* webhook_attempt_row */
    webhook_slice shape;
} mem_job;

typedef struct mem_delivery {
    apr_pool_t *pool;
    webhook_delivery d;
    const char *kept_as; /* while it has no jobs */
    int duplicates;
    apr_time_t finished; /* 0 while a job is unfinished */
    apr_array_header_t *jobs; /* mem_job * */
} mem_delivery;

typedef struct mem_key {
    unsigned char key[32];
    char id[WH_ID_LEN + 1];
    apr_time_t expires;
} mem_key;

typedef struct mem_state {
    apr_pool_t *pool;
    apr_array_header_t *deliveries; /* mem_delivery *, ascending by id */
    apr_array_header_t *keys;       /* mem_key */
    apr_int64_t job, token;
    int owners;
} mem_state;

struct webhook_store_conf {
    int rows;
    apr_interval_time_t done, dead;
    mem_state *state;
};

struct webhook_store {
    const webhook_store_conf *conf;
    mem_state *m;
    int owner;
};

/* memory.c */
mem_delivery *wh_mem_at(const mem_state *m, int i);
mem_delivery *wh_mem_find(const mem_state *m, const char *id);
mem_job *wh_mem_job(const mem_delivery *d, int i);
const char *wh_mem_text(apr_pool_t *p, const char *text); /* NULL stays NULL */
apr_status_t wh_mem_copy(webhook_delivery *to, const webhook_delivery *from, int with_body, apr_pool_t *p);
mem_job *wh_mem_job_add(mem_state *m, mem_delivery *d, const char *handler, apr_time_t now);
/** A copy in p; data NULL stays NULL. */
webhook_slice wh_mem_shape(apr_pool_t *p, webhook_slice shape);
/** Make finished jobs ready again. @param handler NULL: all @param only DEAD, or QUEUED for any finished state */
int wh_mem_again(mem_delivery *d, const char *handler, job_state only, apr_time_t now, int *seen);

/* memory_query.c */
apr_status_t wh_mem_list(webhook_store *s, const webhook_query *q, apr_array_header_t *rows, apr_pool_t *p, webhook_result *res);
apr_status_t wh_mem_replay(webhook_store *s, const char *id, const char *handler, apr_time_t now, int *count, webhook_result *res);
apr_status_t wh_mem_stats(webhook_store *s, webhook_store_stats *t, apr_pool_t *scratch, webhook_result *res);
apr_status_t wh_mem_waiting(webhook_store *s, apr_array_header_t *names, apr_pool_t *p, webhook_result *res);

#endif
