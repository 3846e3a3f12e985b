/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.h: the dispatcher: one single-threaded process that leases due jobs, starts attempts on handlers, settles them.
 * The glue forks it (httpd/daemon.c); unit tests and nothing else run it in their own process.
 */
#ifndef WH_DISPATCH_DISPATCH_H
#define WH_DISPATCH_DISPATCH_H

#include <apr_pools.h>
#include <apr_tables.h>
#include "core/counters.h"
#include "core/delivery_log.h"
#include "dispatch/fetch.h"
#include "dispatch/retry.h"
#include "webhook_provider.h"

/** One named (or inline) handler. Configuration pool, read-only after check_config. */
typedef struct wh_handler_def {
    const char *name;     /* as written: a <WebhookHandler> name, or an inline handler's text "pipe:/usr/local/bin/deploy" */
    const webhook_handler_provider *provider;
    const webhook_handler_conf *conf;
    const char *target;
    int concurrency;              /* open attempts at a time, 1 to 1024; default 4 or the provider's own */
    apr_interval_time_t timeout;  /* of one attempt; default 30 s */
    apr_int64_t capture;          /* bytes of output or response kept; default 64 KiB, at most 16 MiB */
    wh_retry_policy retry;
    struct wh_templates *templates; /* httpd/template.c's: what of it is made from deliveries; NULL: nothing */
    const char *file; /* where it was configured */
    int line;
} wh_handler_def;

/** Built-in handler providers: "file", "pipe", "upstream"; NULL if there is no such. `wh_handler_builtins` ends with NULL. */
extern const webhook_handler_provider *const wh_handler_builtins[];
const webhook_handler_provider *wh_handler_builtin(const char *name);

/**
 * Make a handler from the words of WebhookSend: takes concurrency=, timeout=, capture= out of `options`, gives the rest to the
 * provider. `retry` starts as the default. @return NULL or an error text
 */
const char *wh_handler_define(wh_handler_def **out, const webhook_handler_provider *provider, const char *name, const char *target,
                              const apr_array_header_t *options, apr_pool_t *pconf, apr_pool_t *ptemp);

typedef struct wh_dispatch_conf {
    const webhook_store_provider *store; /* NULL: nothing is delivered, then there are no handlers either */
    const webhook_store_conf *store_conf;
    const apr_array_header_t *handlers; /* wh_handler_def * */
    const wh_fetch_conf *fetch;         /* NULL: no keys are fetched */
    const wh_delivery_log *log;         /* may be NULL */
    wh_counters *counters;              /* may be NULL */
    apr_interval_time_t kill_after;     /* on stop: TERM to KILL of commands; default 2 s, all gone within 3 s */
    apr_interval_time_t drain_max;      /* a drainer that is not done after this stops as if told to; 0: no bound */
    int wake_fd;     /* non-blocking read end: a byte means "rows were added"; -1: poll only */
    int lifeline_fd; /* EOF: drain: lease nothing new, finish what is open, settle, leave; -1: none */
    int life_fd;     /* EOF: stop: release HTTP attempts, end commands, settle, leave within 3 s; -1: none */
    int parent_pidfd; /* readable: the server's parent died: stop; -1: none */
} wh_dispatch_conf;

/**
 * Run until drained or stopped. Does everything that can fail again later (a store that is away is retried with back-off).
 * @return 0 when it left in order, 1 when it could not even begin (logged).
 */
int wh_dispatch_run(const wh_dispatch_conf *conf, apr_pool_t *pool);

#endif
