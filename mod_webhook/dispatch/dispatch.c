/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.c: the dispatcher process. Its life:
 *
 *   1. begin      open store, loop and handlers
 *   2. own        become a lease owner; take back what dead owners left
 *   3. turns      settle what ended and lease what is due (one transaction), start it, wait for whatever is next
 *   4. drain      lifeline closed: lease nothing, finish what is open; or
 *      stop       life closed or parent dead: end everything within 3 s
 *   5. leave      close handlers, loop, store
 */
#include "dispatch/dispatcher.h"

#include <apr_strings.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/log.h"
#include "core/units.h"
#include "dispatch/runner.h"

#define USEC(ms) ((apr_interval_time_t)(ms) * 1000)

#define TICK USEC(1000)          /* look for rows nobody woke us for */
#define RECLAIM_FIRST USEC(100)  /* look for leases of dead owners: often at first, the one before us may be dying just now */
#define RECLAIM_EVERY USEC(3000)
#define MAINTAIN_EVERY USEC(1000)
#define MAINTAIN_AGAIN USEC(50)  /* when there is more to do and attempts to serve */
#define ORPHANS_EVERY USEC(60000)
#define OPEN_AGAIN USEC(5000)    /* a handler that cannot be opened */
#define POOL_FREE_MAX (4 * 1024 * 1024)

#define KILL_AFTER USEC(2000)
#define STOP_FORCE USEC(2300)    /* attempts that have not ended by then are released */
#define STOP_LEAVE USEC(2700)    /* settled or not */
#define STOP_EXIT USEC(2900)     /* a store call that does not return is cut by an alarm */
#define GUARD_EVERY USEC(100)    /* how often that alarm looks */

/* ---- control ---- */

static void look_at(wh_dispatcher *d, struct pollfd *pfd, int *asked)
{
    char spill[64];
    ssize_t n;

    if (pfd->fd < 0 || !pfd->revents)
        return;
    if (pfd->fd == d->conf->parent_pidfd) {
        *asked = 1;
        return;
    }
    n = read(pfd->fd, spill, sizeof(spill)); /* readable, so this does not block */
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        *asked = 1;
}

void wh_control_check(wh_dispatcher *d)
{
    struct pollfd pfd[3];
    int i;

    pfd[0].fd = d->drain_asked ? -1 : d->conf->lifeline_fd;
    pfd[1].fd = d->stop_asked ? -1 : d->conf->life_fd;
    pfd[2].fd = d->stop_asked ? -1 : d->conf->parent_pidfd;
    for (i = 0; i < 3; i++) {
        pfd[i].events = POLLIN;
        pfd[i].revents = 0;
    }
    if (poll(pfd, 3, 0) <= 0)
        return;
    look_at(d, &pfd[0], &d->drain_asked);
    look_at(d, &pfd[1], &d->stop_asked);
    look_at(d, &pfd[2], &d->stop_asked);
}

/* The loop only wakes for these; wh_control_check, once per turn, reads them. */
static void on_control(int fd, int revents, void *baton)
{
    wh_dispatcher *d = baton;

    (void)revents;
    wh_control_check(d);
    if (fd == d->conf->lifeline_fd ? d->drain_asked : d->stop_asked)
        wh_loop_services.watch(d->loop, fd, 0, NULL, NULL);
}

static void on_wake(int fd, int revents, void *baton)
{
    wh_dispatcher *d = baton;
    char spill[4096];
    ssize_t n;

    (void)revents;
    do
        n = read(fd, spill, sizeof(spill));
    while (n == (ssize_t)sizeof(spill) || (n < 0 && errno == EINTR));
    if (n == 0 || (n < 0 && errno != EAGAIN)) /* no server processes are left that could write */
        wh_loop_services.watch(d->loop, fd, 0, NULL, NULL);
    wh_turn_all_hungry(d);
    if (d->fetcher)
        wh_fetch_wake(d->fetcher);
}

/* What is wanted stays wanted: the next dispatcher fetches it. */
static void end_fetching(wh_dispatcher *d)
{
    if (d->fetcher)
        wh_fetch_close(d->fetcher);
    d->fetcher = NULL;
}

static void begin_drain(wh_dispatcher *d)
{
    d->draining = 1;
    end_fetching(d);
    if (d->conf->drain_max > 0)
        d->drain_until = wh_monotonic() + d->conf->drain_max;
    /* The next dispatcher's now. */
    wh_loop_services.watch(d->loop, d->conf->wake_fd, 0, NULL, NULL);
    wh_log(WH_LOG_INFO, 0, "WH0616: draining, %d attempts are open", d->open_count);
}

/*
 * The alarm: a store call that does not return must not keep the process beyond a stop. It rings during slow store calls and all through
 * a stop; nothing else in this process uses SIGALRM.
 */
static struct {
    int life_fd, parent_pidfd;
    apr_time_t leave_at; /* monotonic; 0: no stop was seen yet */
} alarm_state;

static void on_alarm(int sig)
{
    int err = errno;
    apr_time_t now = wh_monotonic();

    (void)sig;
    if (!alarm_state.leave_at) {
        struct pollfd pfd[2] = { { alarm_state.life_fd, POLLIN, 0 }, { alarm_state.parent_pidfd, POLLIN, 0 } };

        if (poll(pfd, 2, 0) > 0)
            alarm_state.leave_at = now + STOP_EXIT - GUARD_EVERY;
    } else if (now >= alarm_state.leave_at) {
        _exit(0); /* runners see our end of their sockets close and kill their programs */
    }
    errno = err;
}

static void alarm_every(apr_interval_time_t interval)
{
    struct itimerval it;

    it.it_value.tv_sec = it.it_interval.tv_sec = (time_t)(interval / APR_USEC_PER_SEC);
    it.it_value.tv_usec = it.it_interval.tv_usec = (suseconds_t)(interval % APR_USEC_PER_SEC);
    setitimer(ITIMER_REAL, &it, NULL);
}

static void alarm_prepare(const wh_dispatch_conf *conf)
{
    struct sigaction sa;
    sigset_t set;

    alarm_state.life_fd = conf->life_fd;
    alarm_state.parent_pidfd = conf->parent_pidfd;
    alarm_state.leave_at = 0;
    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_alarm;
    sa.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &sa, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void wh_guard_begin(const wh_dispatcher *d)
{
    if (!d->stopping)
        alarm_every(GUARD_EVERY);
}

void wh_guard_end(const wh_dispatcher *d)
{
    if (d->stopping)
        return;
    alarm_every(0);
    alarm_state.leave_at = 0;
}

static void begin_stop(wh_dispatcher *d, const char *why)
{
    apr_interval_time_t kill_after = d->conf->kill_after > 0 && d->conf->kill_after < KILL_AFTER ? d->conf->kill_after : KILL_AFTER;
    int i;

    d->draining = d->stopping = 1;
    end_fetching(d);
    d->stop_force = wh_monotonic() + STOP_FORCE;
    d->stop_leave = wh_monotonic() + STOP_LEAVE;
    d->store_back_off = 0;
    d->store_at = 0;
    alarm_state.leave_at = wh_monotonic() + STOP_EXIT;
    alarm_every(GUARD_EVERY);
    wh_log(WH_LOG_INFO, 0, "WH0617: stopping (%s), %d attempts are open", why, d->open_count);
    for (i = 0; i < d->worker_count; i++) {
        wh_worker *w = &d->workers[i];

        if (w->handler && w->def->provider->stop)
            w->def->provider->stop(w->handler, kill_after);
    }
}

/* ---- housekeeping ---- */

static void open_handlers(wh_dispatcher *d, apr_time_t now)
{
    int i;

    for (i = 0; i < d->worker_count; i++) {
        wh_worker *w = &d->workers[i];
        webhook_result res;
        apr_status_t rv;

        if (w->handler || now < w->open_at)
            continue;
        memset(&res, 0, sizeof(res));
        apr_pool_clear(w->pool);
        rv = w->def->provider->open(&w->handler, w->def->conf, w->def->name, d->loop, &wh_loop_services, w->pool, &res);
        if (rv == APR_SUCCESS) {
            w->hungry = 1;
            continue;
        }
        w->handler = NULL;
        wh_log(w->open_at ? WH_LOG_INFO : WH_LOG_WARNING, rv, "WH0618: handler %s cannot be opened, its jobs wait: %s%s%s", w->def->name,
               res.reason ? res.reason : "failed", res.detail ? ": " : "", res.detail ? res.detail : "");
        w->open_at = now + OPEN_AGAIN;
    }
}

static void warn_orphans(wh_dispatcher *d)
{
    apr_array_header_t *names = apr_array_make(d->scratch, 8, sizeof(const char *));
    webhook_result res;
    apr_status_t rv;
    int i;

    memset(&res, 0, sizeof(res));
    wh_guard_begin(d);
    rv = d->conf->store->waiting_handlers(d->store, names, d->scratch, &res);
    wh_guard_end(d);
    if (rv != APR_SUCCESS)
        wh_store_failed(d, "list the waiting handlers", rv, &res);
    for (i = 0; rv == APR_SUCCESS && i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);

        if (apr_hash_get(d->by_name, name, APR_HASH_KEY_STRING) || apr_hash_get(d->warned, name, APR_HASH_KEY_STRING))
            continue;
        name = apr_pstrdup(d->pool, name);
        apr_hash_set(d->warned, name, APR_HASH_KEY_STRING, "");
        wh_log(WH_LOG_WARNING, 0, "WH0619: jobs wait for handler %s, which is not configured", name);
    }
    apr_pool_clear(d->scratch);
}

static void housekeep(wh_dispatcher *d)
{
    apr_time_t now = wh_monotonic();
    webhook_result res;
    apr_status_t rv;

    if (d->fetcher)
        wh_fetch_turn(d->fetcher);
    if (!d->store)
        return;
    open_handlers(d, now);
    memset(&res, 0, sizeof(res));
    if (!d->owned) {
        if (!wh_store_ready(d))
            return;
        wh_guard_begin(d);
        rv = d->conf->store->own(d->store, &res);
        wh_guard_end(d);
        if (rv != APR_SUCCESS) {
            wh_store_failed(d, "make this process a lease owner", rv, &res);
            return;
        }
        wh_store_worked(d);
        d->owned = 1;
        wh_log(WH_LOG_INFO, 0, "WH0620: dispatching to %d handlers", d->worker_count);
    }
    if (now >= d->tick_at) {
        d->tick_at = now + TICK;
        wh_turn_all_hungry(d);
    }
    if (now >= d->reclaim_at && wh_store_ready(d)) {
        int count = 0;

        d->reclaim_every = d->reclaim_every ? d->reclaim_every * 2 : RECLAIM_FIRST;
        if (d->reclaim_every > RECLAIM_EVERY)
            d->reclaim_every = RECLAIM_EVERY;
        d->reclaim_at = now + d->reclaim_every;
        wh_guard_begin(d);
        rv = d->conf->store->reclaim(d->store, apr_time_now(), &count, &res);
        wh_guard_end(d);
        if (rv != APR_SUCCESS)
            wh_store_failed(d, "take back lost leases", rv, &res);
        if (count) {
            wh_log(WH_LOG_INFO, 0, "WH0621: %d leases of dead owners or past their time were taken back", count);
            wh_turn_all_hungry(d);
        }
    }
    if (now >= d->maintain_at && wh_store_ready(d)) {
        int more = 0;

        wh_guard_begin(d);
        rv = d->conf->store->maintain(d->store, apr_time_now(), &more, d->scratch, &res);
        wh_guard_end(d);
        apr_pool_clear(d->scratch);
        if (rv != APR_SUCCESS)
            wh_store_failed(d, "maintain itself", rv, &res);
        d->maintain_at = now + (rv == APR_SUCCESS && more ? d->open_count || d->finished_count ? MAINTAIN_AGAIN : 0 : MAINTAIN_EVERY);
    }
    if (now >= d->orphans_at && wh_store_ready(d)) {
        d->orphans_at = now + ORPHANS_EVERY;
        warn_orphans(d);
    }
}

static void sooner(apr_interval_time_t *wait, apr_time_t at, apr_time_t now)
{
    if (at && at - now < *wait)
        *wait = at > now ? at - now : 0;
}

static apr_interval_time_t wait_time(wh_dispatcher *d)
{
    apr_time_t now = wh_monotonic(), wall = apr_time_now();
    apr_interval_time_t wait = TICK;
    int i;

    if (wh_turn_wanted(d))
        sooner(&wait, d->store_at > now ? d->store_at : now, now);
    if (!d->draining) {
        if (d->fetcher && wh_fetch_wait(d->fetcher) < wait)
            wait = wh_fetch_wait(d->fetcher);
        sooner(&wait, d->owned ? d->tick_at : d->store_at, now);
        if (d->owned && d->store_at <= now)
            sooner(&wait, d->maintain_at < d->reclaim_at ? d->maintain_at : d->reclaim_at, now);
        for (i = 0; i < d->worker_count; i++)
            sooner(&wait, d->workers[i].open < d->workers[i].def->concurrency ? d->workers[i].next_due : 0, wall);
    }
    sooner(&wait, d->drain_until, now);
    sooner(&wait, d->open_count ? d->stop_force : d->stop_leave, now);
    return wait;
}

/* ---- the process ---- */

static apr_status_t begin(wh_dispatcher *d)
{
    const wh_dispatch_conf *conf = d->conf;
    webhook_result res;
    apr_status_t rv;
    int i, fds[3];

    memset(&res, 0, sizeof(res));
    rv = conf->store ? conf->store->open(&d->store, conf->store_conf, d->pool, &res) : APR_SUCCESS;
    if (rv != APR_SUCCESS) {
        wh_log(WH_LOG_ERROR, rv, "WH0622: the store cannot be opened: %s: %s", res.reason ? res.reason : "failed",
               res.detail ? res.detail : "no detail");
        return rv;
    }
    rv = wh_loop_create(&d->loop, wh_turn_finish, d, d->pool);
    if (rv != APR_SUCCESS) {
        wh_log(WH_LOG_ERROR, rv, "WH0623: no event loop");
        return rv;
    }
    d->by_name = apr_hash_make(d->pool);
    d->warned = apr_hash_make(d->pool);
    d->worker_count = conf->handlers->nelts;
    d->workers = apr_pcalloc(d->pool, sizeof(*d->workers) * (apr_size_t)(d->worker_count + 1));
    for (i = 0; i < d->worker_count; i++) {
        wh_worker *w = &d->workers[i];

        w->def = APR_ARRAY_IDX(conf->handlers, i, const wh_handler_def *);
        apr_pool_create(&w->pool, d->pool);
        if (conf->counters)
            w->counters = wh_counters_handler(conf->counters, wh_counters_find_handler(conf->counters, w->def->name));
        apr_hash_set(d->by_name, w->def->name, APR_HASH_KEY_STRING, w);
    }
    fds[0] = conf->lifeline_fd;
    fds[1] = conf->life_fd;
    fds[2] = conf->parent_pidfd;
    for (i = 0; i < 3; i++)
        wh_loop_services.watch(d->loop, fds[i], WEBHOOK_WATCH_READ, on_control, d);
    wh_loop_services.watch(d->loop, conf->wake_fd, WEBHOOK_WATCH_READ, on_wake, d);
    if (conf->fetch)
        d->fetcher = wh_fetch_open(conf->fetch, d->loop, &wh_loop_services, d->pool);
    return APR_SUCCESS;
}

static void run(wh_dispatcher *d)
{
    for (;;) {
        wh_control_check(d);
        if (!d->stopping && d->stop_asked)
            begin_stop(d, "the server stops");
        if (!d->stopping && d->drain_asked && !d->draining)
            begin_drain(d);
        if (!d->stopping && d->drain_until && wh_monotonic() >= d->drain_until)
            begin_stop(d, "draining took too long");
        if (!d->draining)
            housekeep(d);
        if (d->stopping && d->open && wh_monotonic() >= d->stop_force)
            wh_turn_force_release(d);
        (void)wh_turn_take(d);
        if (d->draining && !d->open_count && !d->finished_count)
            return;
        if (d->stopping && wh_monotonic() >= d->stop_leave) {
            wh_log(WH_LOG_WARNING, 0, "WH0624: leaving without settling %d attempts; they are repeated", d->finished_count);
            return;
        }
        wh_loop_once(d->loop, wait_time(d));
    }
}

int wh_dispatch_run(const wh_dispatch_conf *conf, apr_pool_t *pool)
{
    apr_allocator_t *allocator;
    wh_dispatcher d;
    int i, ok;

    memset(&d, 0, sizeof(d));
    d.conf = conf;
    if (apr_allocator_create(&allocator) != APR_SUCCESS)
        return 1;
    /* Without a bound a burst's memory would be kept for ever. */
    apr_allocator_max_free_set(allocator, POOL_FREE_MAX);
    if (apr_pool_create_ex(&d.pool, pool, NULL, allocator) != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return 1;
    }
    apr_allocator_owner_set(allocator, d.pool);
    apr_pool_create(&d.turn_pool, d.pool);
    apr_pool_create(&d.scratch, d.pool);
    signal(SIGPIPE, SIG_IGN);  /* programs and upstreams close their ends when they like */
    signal(SIGCHLD, SIG_DFL);  /* ignored, runners could not be waited for */

    alarm_prepare(conf);

    ok = begin(&d) == APR_SUCCESS;
    if (ok)
        run(&d);
    end_fetching(&d);
    for (i = 0; ok && i < d.worker_count; i++) {
        if (d.workers[i].handler)
            d.workers[i].def->provider->close(d.workers[i].handler);
    }
    wh_runner_hold(-1);
    alarm_every(0);
    apr_pool_destroy(d.pool);
    return ok ? 0 : 1;
}
