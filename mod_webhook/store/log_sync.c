/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_sync.c: numbers of transactions and a mutex that is held during a sync, in shared memory. Who waits for the mutex while another syncs
 * has usually been waiting for the sync itself: when it gets the mutex it looks whether that sync, or one after it, was late enough.
 */
#include "store/log_sync.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "core/units.h"
#include "store/mapping.h"

#define PIECE (16 * 1024)
#define SLOW 1000 /* microseconds */

typedef struct shared {
    pthread_mutex_t door;    /* held while waiting for: */
    pthread_mutex_t syncing; /* or who comes straight back would have it before those who wait. Both are robust: a process killed during its
                                sync made nothing durable, and nobody believes it did */
    uint64_t wrote;          /* changed by the holder of the write lock */
    uint64_t synced;         /* changed by the holder of the mutex, as are: */
    int64_t usual;           /* microseconds a sync took lately */
    apr_time_t since;        /* wh_monotonic() when the running sync began; 0: none runs */
    int doubt;
} shared;

struct wh_log_sync {
    shared *s;
    wh_mapping memory;
};

wh_log_sync *wh_log_sync_create(apr_pool_t *p)
{
    wh_log_sync *ls = apr_pcalloc(p, sizeof *ls);

    wh_mapping_init(&ls->memory, p);
    return ls;
}

static int init_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attr;
    int err = pthread_mutexattr_init(&attr);

    if (err)
        return err;
    err = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    if (!err)
        err = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    if (!err)
        err = pthread_mutex_init(mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    return err;
}

apr_status_t wh_log_sync_map(wh_log_sync *ls)
{
    apr_status_t rv;
    shared *s;

    if (ls->s)
        return APR_SUCCESS;
    if ((rv = wh_mapping_take(&ls->memory, sizeof *s)) != APR_SUCCESS)
        return rv;
    s = ls->memory.at;
    rv = init_mutex(&s->door);
    if (rv == APR_SUCCESS)
        rv = init_mutex(&s->syncing);
    if (rv == APR_SUCCESS)
        ls->s = s;
    else
        wh_mapping_drop(&ls->memory);
    return rv;
}

uint64_t wh_log_sync_wrote(wh_log_sync *ls)
{
    return __atomic_add_fetch(&ls->s->wrote, 1, __ATOMIC_SEQ_CST);
}

uint64_t wh_log_sync_latest(const wh_log_sync *ls)
{
    return __atomic_load_n(&ls->s->wrote, __ATOMIC_SEQ_CST);
}

int wh_log_sync_done(const wh_log_sync *ls, uint64_t number)
{
    return __atomic_load_n(&ls->s->synced, __ATOMIC_ACQUIRE) >= number;
}

int wh_log_sync_in_doubt(const wh_log_sync *ls)
{
    return __atomic_load_n(&ls->s->doubt, __ATOMIC_ACQUIRE);
}

static apr_status_t lock_until(pthread_mutex_t *mutex, apr_time_t deadline)
{
    struct timespec until = { (time_t)apr_time_sec(deadline), (long)apr_time_usec(deadline) * 1000 };
    int err = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);

    if (err == EOWNERDEAD)
        err = pthread_mutex_consistent(mutex);
    return err == ETIMEDOUT ? APR_TIMEUP : err;
}

static apr_status_t take(shared *s, apr_time_t deadline)
{
    apr_status_t rv = lock_until(&s->door, deadline);

    if (rv != APR_SUCCESS)
        return rv;
    rv = lock_until(&s->syncing, deadline);
    pthread_mutex_unlock(&s->door);
    return rv;
}

static void give(shared *s)
{
    __atomic_store_n(&s->since, 0, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&s->syncing);
}

int wh_log_sync_stuck(const wh_log_sync *ls, apr_interval_time_t limit)
{
    shared *s = ls->s;
    apr_time_t since = __atomic_load_n(&s->since, __ATOMIC_RELAXED);
    int err;

    if (!since || wh_monotonic() - since <= limit)
        return 0;
    /* Or who had the turn was killed, and nobody has wanted it since. */
    err = pthread_mutex_trylock(&s->syncing);
    if (err == EOWNERDEAD)
        err = pthread_mutex_consistent(&s->syncing);
    if (err)
        return 1;
    give(s);
    return 0;
}

int wh_log_sync_slow(const wh_log_sync *ls)
{
    return __atomic_load_n(&ls->s->usual, __ATOMIC_RELAXED) > SLOW;
}

static apr_status_t have_turn(shared *s)
{
    if (s->doubt) {
        give(s);
        return APR_EGENERAL;
    }
    __atomic_store_n(&s->since, wh_monotonic(), __ATOMIC_RELAXED);
    return APR_INCOMPLETE;
}

apr_status_t wh_log_sync_turn(wh_log_sync *ls, apr_time_t deadline)
{
    apr_status_t rv = take(ls->s, deadline);

    return rv == APR_SUCCESS ? have_turn(ls->s) : rv;
}

apr_status_t wh_log_sync_begin(wh_log_sync *ls, uint64_t number, apr_time_t deadline)
{
    shared *s = ls->s;
    apr_status_t rv;

    if (wh_log_sync_done(ls, number))
        return APR_SUCCESS;
    if ((rv = take(s, deadline)) != APR_SUCCESS)
        return rv;
    if (!wh_log_sync_done(ls, number))
        return have_turn(s);
    give(s);
    return APR_SUCCESS;
}

void wh_log_sync_pass(wh_log_sync *ls)
{
    give(ls->s);
}

static apr_status_t sync_log(int fd)
{
    int rc;

    do
        rc = fdatasync(fd);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? errno : APR_SUCCESS;
}

apr_status_t wh_log_sync_end(wh_log_sync *ls, int fd)
{
    shared *s = ls->s;
    uint64_t written = wh_log_sync_latest(ls);
    apr_time_t begun = wh_monotonic();
    apr_status_t rv = sync_log(fd);

    if (rv == APR_SUCCESS)
        __atomic_store_n(&s->synced, written, __ATOMIC_RELEASE);
    else
        __atomic_store_n(&s->doubt, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&s->usual, (s->usual * 7 + wh_monotonic() - begun) / 8, __ATOMIC_RELAXED);
    give(s);
    return rv;
}

static apr_status_t write_again(int fd)
{
    char piece[PIECE];
    off_t at = 0;
    ssize_t n;

    while ((n = pread(fd, piece, sizeof piece, at)) != 0) {
        ssize_t done = n > 0 ? pwrite(fd, piece, (size_t)n, at) : -1;

        if (done < 0 && errno == EINTR)
            continue;
        if (done != n)
            return done < 0 ? errno : ENOSPC;
        at += n;
    }
    return APR_SUCCESS;
}

apr_status_t wh_log_sync_heal(wh_log_sync *ls, int fd, apr_time_t deadline)
{
    shared *s = ls->s;
    apr_status_t rv = take(s, deadline);
    int tries;

    if (rv != APR_SUCCESS)
        return rv;
    /* The first sync may tell of the old failure: each descriptor is told once. */
    for (tries = 0; s->doubt && tries < 2; tries++) {
        rv = write_again(fd);
        if (rv == APR_SUCCESS)
            rv = sync_log(fd);
        if (rv == APR_SUCCESS) {
            __atomic_store_n(&s->synced, wh_log_sync_latest(ls), __ATOMIC_RELEASE);
            __atomic_store_n(&s->doubt, 0, __ATOMIC_RELEASE);
        }
    }
    give(s);
    return rv;
}
