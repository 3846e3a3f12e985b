/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c: the event loop (see loop.h) and the services table that handlers get.
 */
#include "dispatch/loop.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/log.h"
#include "core/units.h"

#define EVENTS_PER_TURN 64

/* An idle connection kept for reuse costs a descriptor here and a slot at the upstream. */
#define CURL_CONNECTIONS 256L

typedef struct watch {
    webhook_watch_cb *cb; /* NULL: this descriptor is not watched */
    void *baton;
    unsigned generation;  /* tells an event of an earlier watch of the same number from one of this watch */
} watch;

typedef struct timer {
    apr_time_t due; /* monotonic */
    webhook_timer_cb *cb; /* NULL: free slot */
    void *baton;
    int heap_at;    /* index in heap; next free slot while free */
    int generation;
} timer;

struct webhook_loop {
    apr_pool_t *pool;
    wh_loop_finish_cb *finish;
    void *finish_baton;
    int epoll_fd;
    CURLM *multi;
    watch *watches; /* by descriptor */
    int watch_room, watch_count;
    unsigned generation;
    timer *timers;
    int timer_room, timer_free; /* free list, -1 ends */
    int *heap;                  /* slots, earliest due first */
    int heap_count;
};

/* A timer handle is slot + 1 in the low bits and the slot's generation above, so that cancelling one that fired is harmless. */
#define SLOT_BITS 20
#define SLOT_MASK ((1 << SLOT_BITS) - 1)
#define GENERATION_MASK ((1 << (31 - SLOT_BITS)) - 1)

static void *grow(void *mem, apr_size_t bytes)
{
    void *bigger = realloc(mem, bytes);

    /* As APR's pools do: a dispatcher without memory ends, its leases are reclaimed. */
    if (!bigger)
        abort();
    return bigger;
}

/* ---- watches ---- */

static void loop_watch(webhook_loop *loop, int fd, int events, webhook_watch_cb *cb, void *baton)
{
    struct epoll_event ev;
    int known, rc;

    if (fd < 0)
        return;
    if (fd >= loop->watch_room) {
        int room = loop->watch_room;

        if (!events)
            return;
        loop->watch_room = fd + 64;
        loop->watches = grow(loop->watches, sizeof(watch) * (apr_size_t)loop->watch_room);
        memset(loop->watches + room, 0, sizeof(watch) * (apr_size_t)(loop->watch_room - room));
    }
    known = loop->watches[fd].cb != NULL;
    memset(&ev, 0, sizeof(ev));
    if (!events) {
        if (!known)
            return;
        loop->watches[fd].cb = NULL;
        loop->watch_count--;
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, &ev);
        return;
    }
    loop->watches[fd].cb = cb;
    loop->watches[fd].baton = baton;
    loop->watches[fd].generation = ++loop->generation;
    loop->watch_count += !known;
    ev.events = ((events & WEBHOOK_WATCH_READ) ? EPOLLIN : 0u) | ((events & WEBHOOK_WATCH_WRITE) ? EPOLLOUT : 0u);
    ev.data.u64 = ((uint64_t)loop->generation << 32) | (uint32_t)fd;
    rc = epoll_ctl(loop->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev);
    /* A descriptor closed while watched has left the set by itself: ADD then is what is meant, and the other way round. */
    if (rc != 0 && (errno == EEXIST || errno == ENOENT))
        rc = epoll_ctl(loop->epoll_fd, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev);
    if (rc != 0)
        wh_log(WH_LOG_ERROR, errno, "WH0600: descriptor %d cannot be watched", fd);
}

static void run_watches(webhook_loop *loop, int wait_ms)
{
    struct epoll_event ev[EVENTS_PER_TURN];
    int i, n = epoll_wait(loop->epoll_fd, ev, EVENTS_PER_TURN, wait_ms);

    for (i = 0; i < n; i++) {
        int fd = (int)(ev[i].data.u64 & 0xffffffffu);
        watch *w = &loop->watches[fd];
        int revents = 0;

        if (!w->cb || w->generation != (unsigned)(ev[i].data.u64 >> 32))
            continue;
        /* Hang-up and error show themselves to whoever reads or writes. */
        if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            revents |= WEBHOOK_WATCH_READ;
        if (ev[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            revents |= WEBHOOK_WATCH_WRITE;
        w->cb(fd, revents, w->baton);
    }
}

/* ---- timers ---- */

static void heap_put(webhook_loop *loop, int at, int slot)
{
    loop->heap[at] = slot;
    loop->timers[slot].heap_at = at;
}

static void heap_settle(webhook_loop *loop, int at)
{
    int slot = loop->heap[at];
    apr_time_t due = loop->timers[slot].due;

    while (at > 0 && loop->timers[loop->heap[(at - 1) / 2]].due > due) {
        heap_put(loop, at, loop->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        int child = 2 * at + 1;

        if (child >= loop->heap_count)
            break;
        if (child + 1 < loop->heap_count && loop->timers[loop->heap[child + 1]].due < loop->timers[loop->heap[child]].due)
            child++;
        if (loop->timers[loop->heap[child]].due >= due)
            break;
        heap_put(loop, at, loop->heap[child]);
        at = child;
    }
    heap_put(loop, at, slot);
}

static void timer_drop(webhook_loop *loop, int slot)
{
    timer *t = &loop->timers[slot];
    int at = t->heap_at, last = --loop->heap_count;

    if (at != last) {
        heap_put(loop, at, loop->heap[last]);
        heap_settle(loop, at);
    }
    t->cb = NULL;
    t->generation = (t->generation + 1) & GENERATION_MASK;
    t->heap_at = loop->timer_free;
    loop->timer_free = slot;
}

static int loop_timer(webhook_loop *loop, apr_interval_time_t after, webhook_timer_cb *cb, void *baton)
{
    int slot = loop->timer_free;
    timer *t;

    if (slot < 0) {
        int i, room = loop->timer_room ? loop->timer_room * 2 : 64;

        if (room > SLOT_MASK) {
            wh_log(WH_LOG_ERROR, 0, "WH0601: more than %d timers", SLOT_MASK);
            abort();
        }
        loop->timers = grow(loop->timers, sizeof(timer) * (apr_size_t)room);
        loop->heap = grow(loop->heap, sizeof(int) * (apr_size_t)room);
        for (i = room - 1; i >= loop->timer_room; i--) {
            memset(&loop->timers[i], 0, sizeof(timer));
            loop->timers[i].heap_at = loop->timer_free;
            loop->timer_free = i;
        }
        loop->timer_room = room;
        slot = loop->timer_free;
    }
    t = &loop->timers[slot];
    loop->timer_free = t->heap_at;
    t->due = wh_monotonic() + (after > 0 ? after : 0);
    t->cb = cb;
    t->baton = baton;
    heap_put(loop, loop->heap_count++, slot);
    heap_settle(loop, t->heap_at);
    return (t->generation << SLOT_BITS) | (slot + 1);
}

static void loop_cancel(webhook_loop *loop, int handle)
{
    int slot = (handle & SLOT_MASK) - 1;

    if (handle <= 0 || slot < 0 || slot >= loop->timer_room || !loop->timers[slot].cb
        || loop->timers[slot].generation != handle >> SLOT_BITS)
        return;
    timer_drop(loop, slot);
}

/* Only what was due when this began: a callback that arms a timer of 0 must not keep the loop here. */
static void run_timers(webhook_loop *loop)
{
    apr_time_t now = wh_monotonic();
    int left = loop->heap_count;

    while (left-- > 0 && loop->heap_count && loop->timers[loop->heap[0]].due <= now) {
        timer t = loop->timers[loop->heap[0]];

        timer_drop(loop, loop->heap[0]);
        t.cb(t.baton);
    }
}

/* ---- libcurl ---- */

static void *loop_curl_multi(webhook_loop *loop)
{
    static int initialised; /* curl_global_init is once per process */

    if (!loop->multi) {
        if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
            return NULL;
        initialised = 1;
        if (!(loop->multi = curl_multi_init()))
            return NULL;
        curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, CURL_CONNECTIONS);
        curl_multi_setopt(loop->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    }
    return loop->multi;
}

/* @return transfers that ended */
static int run_curl(webhook_loop *loop)
{
    CURLMsg *msg;
    int running, left, ended = 0;

    (void)curl_multi_perform(loop->multi, &running);
    while ((msg = curl_multi_info_read(loop->multi, &left))) {
        webhook_curl_done *done = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        ended++;
        if (curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&done) == CURLE_OK && done) {
            done->done(done, (int)msg->data.result);
        } else {
            wh_log(WH_LOG_ERROR, 0, "WH0602: a transfer ended that belongs to no handler");
            curl_multi_remove_handle(loop->multi, msg->easy_handle);
        }
    }
    return ended;
}

/* ---- the loop ---- */

static void loop_finish(webhook_loop *loop, webhook_attempt *attempt, const webhook_attempt_result *result)
{
    loop->finish(loop->finish_baton, attempt, result);
}

__attribute__((format(printf, 3, 4)))
static void loop_log(webhook_loop *loop, int level, const char *fmt, ...)
{
    va_list ap;

    (void)loop;
    va_start(ap, fmt);
    wh_logv(level, 0, fmt, ap);
    va_end(ap);
}

const webhook_services wh_loop_services = { loop_watch, loop_timer, loop_cancel, loop_finish, loop_log, loop_curl_multi };

void wh_loop_once(webhook_loop *loop, apr_interval_time_t max_wait)
{
    apr_interval_time_t wait = max_wait > 0 ? max_wait : 0;
    int wait_ms;

    if (loop->heap_count) {
        apr_interval_time_t until = loop->timers[loop->heap[0]].due - wh_monotonic();

        if (until < wait)
            wait = until > 0 ? until : 0;
    }
    wait_ms = wait > (apr_interval_time_t)60 * APR_USEC_PER_SEC ? 60000 : (int)((wait + 999) / 1000);
    if (loop->multi) {
        struct curl_waitfd extra;

        extra.fd = loop->epoll_fd;
        extra.events = CURL_WAIT_POLLIN;
        extra.revents = 0;
        /* Handles added since the last turn are begun before waiting, or the wait would be for nothing. */
        if (run_curl(loop))
            wait_ms = 0;
        if (curl_multi_poll(loop->multi, &extra, 1, wait_ms, NULL) != CURLM_OK)
            run_watches(loop, wait_ms < 10 ? wait_ms : 10);
        (void)run_curl(loop);
        wait_ms = 0;
    }
    run_watches(loop, wait_ms);
    run_timers(loop);
}

int wh_loop_watches(const webhook_loop *loop)
{
    return loop->watch_count;
}

int wh_loop_timers(const webhook_loop *loop)
{
    return loop->heap_count;
}

static apr_status_t loop_cleanup(void *data)
{
    webhook_loop *loop = data;

    if (loop->multi)
        curl_multi_cleanup(loop->multi);
    close(loop->epoll_fd);
    free(loop->watches);
    free(loop->timers);
    free(loop->heap);
    loop->multi = NULL;
    return APR_SUCCESS;
}

void wh_loop_destroy(webhook_loop *loop)
{
    apr_pool_cleanup_run(loop->pool, loop, loop_cleanup);
}

apr_status_t wh_loop_create(webhook_loop **out, wh_loop_finish_cb *finish, void *baton, apr_pool_t *p)
{
    webhook_loop *loop = apr_pcalloc(p, sizeof(*loop));

    loop->pool = p;
    loop->finish = finish;
    loop->finish_baton = baton;
    loop->timer_free = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return errno;
    apr_pool_cleanup_register(p, loop, loop_cleanup, apr_pool_cleanup_null);
    *out = loop;
    return APR_SUCCESS;
}
