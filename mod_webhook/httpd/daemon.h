/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.h: what the glue keeps across restarts and between processes. Private to httpd/: daemon.c, sentinel.c, shared.c.
 *
 * Processes, all of them children of one httpd parent:
 *
 *   parent --fork--> sentinel --fork--> dispatcher --fork--> runners of commands
 *      \--fork--> workers (prefork, worker, event)
 *
 * Pipes, kept in retained data because statics of a DSO do not survive a restart:
 *   life    the parent holds the write end; EOF in a sentinel or dispatcher means stop (or the parent is dead)
 *   alive   every dispatcher holds the write end; EOF in a sentinel means that all dispatchers are gone
 *   wake    workers write a byte after a commit, the newest dispatcher reads
 * and one per generation: lifeline, whose write end only the sentinel holds; EOF in the dispatcher means drain.
 */
#ifndef WH_HTTPD_DAEMON_H
#define WH_HTTPD_DAEMON_H

#include "httpd/config.h"
#include "httpd/request.h"

/** Plain data in ap_retained_data: lives as long as the parent process, across DSO unloads. No pointers into our code. */
typedef struct wh_retained {
    int life[2];
    int alive[2];
    int wake[2];
    int started;              /* the pipes exist */
    unsigned quick_deaths;    /* sentinels that died soon after their start, in a row */
    apr_time_t sentinel_born; /* monotonic */
    uint64_t attempts;        /* wh_counters_attempts() at that time */
    void *counters;           /* mapping, kept while the layout stays the same */
    apr_size_t counters_size;
    char counters_path[256];  /* its file, "" when anonymous */
} wh_retained;

/** The retained record, made on first use. Parent only, or a process forked from it. */
wh_retained *wh_retained_get(void);

/* sentinel.c */
/** Body of the sentinel process; never returns. All signals are blocked on entry. @param delay wait this long before the first dispatcher */
void wh_sentinel_main(wh_global *g, wh_retained *kept, pid_t httpd_pid, apr_interval_time_t delay) __attribute__((noreturn));

/* shared.c: counters in shared memory */
const char *wh_counters_file(apr_pool_t *p);
apr_status_t wh_counters_map(wh_global *g, wh_retained *kept, apr_pool_t *ptemp);
/** The server is leaving: remove the file. */
void wh_counters_unlink(wh_retained *kept);

/* logs.c */
/** Send the library's messages to httpd's error log of this server. Once per process. */
void wh_logs_library(server_rec *s);
/** Open what WebhookLog names. */
int wh_logs_open(wh_global *g, apr_pool_t *pconf, apr_pool_t *ptemp);

#endif
