/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.c: the parent's side of the dispatcher: start a sentinel in post_config, start another when it dies, tell a restart from a
 * stop. The sentinel's own life is in sentinel.c.
 *
 * Start-up, in order:
 *   1. open_logs: the delivery log, while we may still be root
 *   2. post_config, first of all modules (before mod_ssl reads private keys, before any thread) and only at a real start:
 *      2a. pipes, once per parent process
 *      2b. the store's files, with the right owner
 *      2c. counters in shared memory, kept when the layout is the same
 *      2d. the sentinel
 *   3. child_init: workers close the pipe ends that would keep a stop from being seen
 */
#include "httpd/daemon.h"
#include "httpd/fetch.h"

#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "ap_mpm.h"
#include "apr_strings.h"
#include "apr_thread_proc.h"
#include "unixd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/units.h"

APLOG_USE_MODULE(webhook);

#define RETAINED_KEY "mod_webhook"
/* A sentinel that lived this long was healthy, and so was one under which anything was delivered: back-off is for those that cannot work. */
#define HEALTHY_LIFE apr_time_from_sec(30)

/* How long a sentinel may take to leave after SIGTERM; on a stop it waits for the dispatchers meanwhile. */
#define SENTINEL_PATIENCE apr_time_from_sec(3)

typedef struct sentinel_baton {
    wh_global *global;
    apr_proc_t proc; /* pid -1: it has ended */
    pid_t parent;    /* whose child it is: other processes have inherited this record */
} sentinel_baton;

/* The wake pipe's write end in a worker; found again through the retained record after the DSO was loaded anew. */
static int wake_fd = -1;

wh_retained *wh_retained_get(void)
{
    wh_retained *kept = ap_retained_data_get(RETAINED_KEY);
    if (!kept) {
        kept = ap_retained_data_create(RETAINED_KEY, sizeof(*kept));
        kept->life[0] = kept->life[1] = kept->alive[0] = kept->alive[1] = kept->wake[0] = kept->wake[1] = -1;
    }
    return kept;
}

int wh_daemon_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    wake_fd = -1;
    return OK;
}

int wh_daemon_open_logs(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    wh_global *g = wh_conf_global(s);

    (void)plog;
    g->log.fd = -1;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    return wh_logs_open(g, pconf, ptemp);
}

static int make_pipes(wh_retained *kept, server_rec *s)
{
    if (kept->started) {
        return OK;
    }
    if (pipe2(kept->life, O_CLOEXEC) != 0 || pipe2(kept->alive, O_CLOEXEC) != 0 || pipe2(kept->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, errno, s, "WH0400: cannot make the dispatcher's pipes");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    kept->started = 1;
    return OK;
}

static void start_sentinel(wh_global *g, wh_retained *kept);

/*
 * httpd calls this when the sentinel ended, and when the configuration goes (unregister). It is entered again by
 * apr_proc_other_child_unregister() below: the pid is cleared before, so that nothing ever signals a recycled pid.
 */
static void sentinel_maintenance(int reason, void *data, apr_wait_t status)
{
    sentinel_baton *b = data;
    wh_retained *kept = wh_retained_get();
    int mpm_state = AP_MPMQ_STOPPING;

    switch (reason) {
    case APR_OC_REASON_DEATH:
    case APR_OC_REASON_LOST:
        b->proc.pid = -1;
        apr_proc_other_child_unregister(data);
        if (ap_mpm_query(AP_MPMQ_MPM_STATE, &mpm_state) == APR_SUCCESS && mpm_state != AP_MPMQ_STOPPING) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, b->global->main_server,
                         "WH0401: the dispatcher's sentinel ended (status 0x%x), starting another", (unsigned)status);
            start_sentinel(b->global, kept);
        }
        break;
    case APR_OC_REASON_UNREGISTER:
        /* Restart or stop? Only on a stop is the state EXITING; then EOF on life tells every dispatcher, drainers included. */
        if (b->proc.pid != -1 && ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_EXITING && kept->life[1] != -1) {
            close(kept->life[1]);
            kept->life[1] = -1;
            close(kept->alive[1]);
            kept->alive[1] = -1;
            wh_counters_unlink(kept);
        }
        break;
    default:
        break;
    }
}

/*
 * The configuration goes, UNREGISTER was called: end the sentinel and reap it. Not apr_pool_note_subprocess: for one that has ended
 * meanwhile it would wait for, and signal, process -1, which is everybody. And its patience is made of sleeps that signals cut short.
 */
static apr_status_t end_sentinel(void *data)
{
    sentinel_baton *b = data;
    apr_time_t until = wh_monotonic() + SENTINEL_PATIENCE;
    struct timespec nap = {0, 500 * 1000};
    pid_t pid = b->proc.pid, got;

    if (pid <= 0 || b->parent != getpid()) {
        return APR_SUCCESS;
    }
    b->proc.pid = -1;
    kill(pid, SIGTERM);
    for (;;) {
        got = waitpid(pid, NULL, WNOHANG);
        if (got == pid || (got < 0 && errno != EINTR)) {
            return APR_SUCCESS;
        }
        if (wh_monotonic() >= until) {
            break;
        }
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 16 * 1000 * 1000) {
            nap.tv_nsec *= 2;
        }
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        continue;
    }
    return APR_SUCCESS;
}

static void start_sentinel(wh_global *g, wh_retained *kept)
{
    apr_pool_t *pconf = g->pconf;
    apr_time_t now = wh_monotonic();
    apr_interval_time_t delay = 0;
    sentinel_baton *b;
    sigset_t all, before;
    pid_t httpd_pid = getpid(), pid;
    uint64_t attempts = wh_counters_attempts(g->counters, g->auths->nelts, g->handlers->nelts);

    if (kept->sentinel_born && now - kept->sentinel_born < HEALTHY_LIFE && attempts == kept->attempts) {
        unsigned n = kept->quick_deaths < 6 ? kept->quick_deaths : 6;
        kept->quick_deaths++;
        delay = n ? apr_time_from_sec((apr_time_t)1 << (n - 1)) : 0; /* 0 1 2 4 8 16 32 s */
    }
    else {
        kept->quick_deaths = 0;
    }
    kept->sentinel_born = now;
    kept->attempts = attempts;

    /* Everything is blocked before the fork: a SIGTERM that comes before the sentinel waits for it stays pending, and httpd's handlers
     * never run in the child. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0) {
        wh_sentinel_main(g, kept, httpd_pid, delay);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, errno, g->main_server,
                     "WH0402: cannot fork the dispatcher's sentinel: deliveries are kept and wait for the next restart");
        return;
    }
    b = apr_pcalloc(pconf, sizeof(*b));
    b->global = g;
    b->proc.pid = pid;
    b->parent = httpd_pid;
    apr_pool_cleanup_register(pconf, b, end_sentinel, apr_pool_cleanup_null); /* before the next line: runs after its own */
    apr_proc_other_child_register(&b->proc, sentinel_maintenance, b, NULL, pconf);
    ap_log_error(APLOG_MARK, APLOG_DEBUG, 0, g->main_server, "WH0403: sentinel %" APR_PID_T_FMT " started", pid);
}

/* Not a restart but the same parent: the sentinel_born of the previous generation says nothing about health. */
static void forget_back_off(wh_retained *kept)
{
    kept->sentinel_born = 0;
    kept->quick_deaths = 0;
}

int wh_daemon_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    wh_global *g = wh_conf_global(s);
    wh_retained *kept;
    webhook_result res = {0};

    (void)pconf;
    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    wh_logs_library(s);
    kept = wh_retained_get();
    if (g->auths->nelts || g->delivers) {
        apr_status_t rv = wh_counters_map(g, kept, ptemp);
        if (rv != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, "WH0404: no shared memory for the counters");
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    if ((!g->delivers || !g->store) && !wh_fetch_needed(g)) {
        return OK;
    }
    if (make_pipes(kept, s) != OK) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    /* A store that is broken must not keep the other virtual hosts from starting: endpoints answer 503 until it heals. */
    if (g->delivers && g->store && g->store->init
        && g->store->init(g->store_conf, geteuid() == 0 ? (int)ap_unixd_config.user_id : -1,
                          geteuid() == 0 ? (int)ap_unixd_config.group_id : -1, ptemp, &res)
               != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, res.rv, s, "WH0405: store %s: %s (%s); endpoints answer 503 until this is mended",
                     g->store_text, res.detail ? res.detail : "cannot be prepared", res.reason ? res.reason : "store-failed");
    }
    wh_fetch_prepare(g, ptemp); /* after the store, which makes the directory it lies in */
    forget_back_off(kept);
    start_sentinel(g, kept);
    return OK;
}

void wh_daemon_child_init(apr_pool_t *pchild, server_rec *s)
{
    wh_retained *kept = ap_retained_data_get(RETAINED_KEY);

    (void)pchild;
    wh_logs_library(s);
    if (!kept || !kept->started) {
        return;
    }
    /* A worker that kept these would hide the parent's death and a stop from the dispatchers. */
    close(kept->life[0]);
    close(kept->life[1]);
    close(kept->alive[0]);
    close(kept->alive[1]);
    close(kept->wake[0]);
    kept->life[0] = kept->life[1] = kept->alive[0] = kept->alive[1] = kept->wake[0] = -1;
    wake_fd = kept->wake[1];
}

void wh_daemon_wake(void)
{
    /* Full pipe: the dispatcher has not read yet and will see the new rows anyway. */
    if (wake_fd != -1 && write(wake_fd, "w", 1) < 0 && errno != EAGAIN && errno != EINTR) {
        wake_fd = -1;
    }
}
