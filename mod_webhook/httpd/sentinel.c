/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentinel.c: the tiny process between httpd's parent and the dispatcher.
 *
 * httpd terminates its registered children at every restart and gives them a fraction of a second in a storm of signals. The sentinel
 * owns nothing, so it can leave at once; its end closes the lifeline, and the dispatcher drains in its own time while a new pair works
 * already. On a stop it stays until all dispatchers have settled, or 2.5 s, because the service manager kills what is left when httpd
 * is gone. A dispatcher that dies is started again from here, with back-off.
 */
#include "httpd/daemon.h"

#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "ap_listen.h"
#include "mpm_common.h"
#include "unixd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/units.h"
#include "verify/key_cache.h"

APLOG_USE_MODULE(webhook);

#define SETTLE_PATIENCE_MS 2500
#define HEALTHY_LIFE apr_time_from_sec(30)
#define BACK_OFF_MIN apr_time_from_msec(100)
#define BACK_OFF_MAX apr_time_from_sec(30)

static void close_end(int *fd)
{
    if (*fd != -1) {
        close(*fd);
        *fd = -1;
    }
}

static int is_readable(int fd, int timeout_ms)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    int n;
    do {
        n = poll(&pfd, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

static void drop_privileges(wh_global *g)
{
    if (geteuid() == 0 && ap_run_drop_privileges(g->pconf, g->main_server) != OK) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, g->main_server, "WH0410: the dispatcher cannot give up root's privileges and does not run");
        _exit(1);
    }
}

/* The forked dispatcher; never returns. */
static void __attribute__((noreturn)) dispatcher_main(wh_global *g, wh_retained *kept, pid_t httpd_pid, int lifeline)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE, SIGALRM, SIGQUIT};
    struct sigaction sa = {0};
    wh_dispatch_conf conf = {0};
    apr_pool_t *pool;
    sigset_t none;
    size_t i;
    int rc;

    /* Told to leave by pipes alone: a SIGTERM to the whole group must not cut an attempt short. */
    sa.sa_handler = SIG_IGN;
    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        sigaction(ignored[i], &sa, NULL);
    }
    sa.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &sa, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    close_end(&kept->alive[0]);
    prctl(PR_SET_NAME, "wh-dispatcher");
    conf.parent_pidfd = (int)syscall(SYS_pidfd_open, httpd_pid, 0);
    if (conf.parent_pidfd < 0 && errno == ESRCH) {
        _exit(0);
    }
    drop_privileges(g);
    prctl(PR_SET_PDEATHSIG, 0);
    apr_pool_create(&pool, NULL);

    conf.store = g->delivers ? g->store : NULL;
    conf.store_conf = g->store_conf;
    conf.fetch = wh_key_cache_dir() ? &g->fetch : NULL;
    conf.handlers = g->handlers;
    conf.log = &g->log;
    conf.counters = g->counters;
    conf.kill_after = apr_time_from_sec(2);
    conf.drain_max = g->drain_max;
    conf.wake_fd = kept->wake[0];
    conf.lifeline_fd = lifeline;
    conf.life_fd = kept->life[0];
    if (g->counters) {
        WH_COUNT(g->counters, dispatcher_starts, 1);
    }
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, g->main_server, "WH0411: dispatcher started");
    rc = wh_dispatch_run(&conf, pool);
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, g->main_server, "WH0412: dispatcher leaves");
    _exit(rc);
}

static pid_t fork_dispatcher(wh_global *g, wh_retained *kept, pid_t httpd_pid, int lifeline[2])
{
    pid_t pid = fork();
    if (pid == 0) {
        close(lifeline[1]);
        dispatcher_main(g, kept, httpd_pid, lifeline[0]);
    }
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, g->main_server, "WH0413: cannot fork the dispatcher, trying again");
    }
    return pid;
}

static uint64_t attempts_ended(const wh_global *g)
{
    return wh_counters_attempts(g->counters, g->auths->nelts, g->handlers->nelts);
}

/*
 * How long to wait before the next start. A dispatcher that worked, or lived, died of something that came from outside or that one job in
 * many does to it: waiting would only hold up the deliveries. One that dies before it gets anything done waits longer each time.
 */
static apr_interval_time_t next_back_off(apr_interval_time_t last, apr_interval_time_t lived, int worked)
{
    if (last <= 0 || lived >= HEALTHY_LIFE || worked) {
        return BACK_OFF_MIN;
    }
    return last < BACK_OFF_MAX / 2 ? last * 2 : BACK_OFF_MAX;
}

/* Stop or restart, both come as SIGTERM: EOF on life tells. */
static void __attribute__((noreturn)) leave(wh_retained *kept, int lifeline_w)
{
    if (is_readable(kept->life[0], 0)) {
        close(lifeline_w);
        close_end(&kept->alive[1]); /* ours; what is left are the dispatchers' */
        is_readable(kept->alive[0], SETTLE_PATIENCE_MS);
    }
    _exit(0);
}

/* Wait for one of our signals, at most `patience` (negative: for ever). @return its number, 0 on time-out */
static int wait_signal(const sigset_t *set, apr_interval_time_t patience)
{
    siginfo_t info;
    struct timespec ts;
    int sig;

    do {
        if (patience < 0) {
            sig = sigwaitinfo(set, &info);
        }
        else {
            ts.tv_sec = (time_t)apr_time_sec(patience);
            ts.tv_nsec = (long)apr_time_usec(patience) * 1000;
            sig = sigtimedwait(set, &info, &ts);
        }
    } while (sig < 0 && errno == EINTR);
    return sig < 0 ? 0 : sig;
}

void wh_sentinel_main(wh_global *g, wh_retained *kept, pid_t httpd_pid, apr_interval_time_t delay)
{
    struct sigaction sa = {.sa_handler = SIG_DFL};
    sigset_t ours;
    int lifeline[2], sig, status;
    pid_t dispatcher = -1;
    apr_time_t born = 0;
    uint64_t ended = 0;
    apr_interval_time_t back_off = delay;

    /* SIGCHLD must be deliverable to sigwaitinfo: a pending blocked signal whose action is "ignore" would be dropped. */
    sigaction(SIGCHLD, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGCHLD);

    setsid();
    prctl(PR_SET_NAME, "wh-sentinel");
    ap_close_listeners();
    close_end(&kept->life[1]);
    close_end(&kept->wake[1]);
    if (pipe2(lifeline, O_CLOEXEC) != 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, errno, g->main_server, "WH0414: no pipe for the dispatcher");
        _exit(1);
    }
    if (!back_off) {
        ended = attempts_ended(g);
        dispatcher = fork_dispatcher(g, kept, httpd_pid, lifeline);
        born = wh_monotonic();
        if (dispatcher < 0) {
            back_off = BACK_OFF_MIN;
        }
    }
    drop_privileges(g);
    /* After setuid, which clears it; the parent may have died before, hence the look at getppid. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);

    for (;;) {
        if (getppid() != httpd_pid) {
            leave(kept, lifeline[1]);
        }
        sig = wait_signal(&ours, dispatcher < 0 ? back_off : -1);
        if (sig == SIGTERM) {
            leave(kept, lifeline[1]);
        }
        if (sig == SIGCHLD) {
            while (dispatcher > 0 && waitpid(dispatcher, &status, WNOHANG) == dispatcher) {
                dispatcher = -1;
                if (is_readable(kept->life[0], 0)) {
                    leave(kept, lifeline[1]);
                }
                back_off = next_back_off(back_off, wh_monotonic() - born, attempts_ended(g) != ended);
                ap_log_error(APLOG_MARK, APLOG_WARNING, 0, g->main_server,
                             "WH0415: the dispatcher ended (%s %d), starting it again in %" APR_TIME_T_FMT " ms",
                             WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                             apr_time_as_msec(back_off));
            }
            continue;
        }
        if (sig == 0 && dispatcher < 0) {
            ended = attempts_ended(g);
            dispatcher = fork_dispatcher(g, kept, httpd_pid, lifeline);
            born = wh_monotonic();
            if (dispatcher < 0) {
                back_off = next_back_off(back_off, 0, 0);
            }
        }
    }
}
