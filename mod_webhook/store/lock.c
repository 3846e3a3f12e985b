/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c: open-file-description locks on one file, with a bounded and fair wait. */
#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/units.h"

#define BYTE_WRITE 0
#define BYTE_TURNSTILE 1
#define BYTE_OWNERS 1000

#define NAP_MIN 50L
#define NAP_MAX 1000L
#define USUAL_MAX 4000L

static int lock_byte(int fd, apr_int64_t byte, short type)
{
    struct flock fl;
    int rc;

    memset(&fl, 0, sizeof fl);
    fl.l_type = type;
    fl.l_whence = SEEK_SET;
    fl.l_start = (off_t)byte;
    fl.l_len = 1;
    do
        rc = fcntl(fd, F_OFD_SETLK, &fl);
    while (rc < 0 && errno == EINTR);
    if (rc == 0)
        return 0;
    return errno == EACCES ? EAGAIN : errno;
}

static void nap(long usec)
{
    struct timespec ts;

    ts.tv_sec = 0;
    ts.tv_nsec = usec * 1000;
    nanosleep(&ts, NULL);
}

/*
 * The first sleep is half the time it usually takes (commits of the same load resemble each other), so that waiting costs few looks.
 * The others grow only slowly: the one waiter that polls must not oversleep the end.
 */
static apr_status_t lock_byte_until(int fd, apr_int64_t byte, apr_time_t deadline, long *usual)
{
    apr_time_t begun = 0, now = 0;
    long wait = NAP_MIN;
    int tries, err;

    for (tries = 0;; tries++) {
        err = lock_byte(fd, byte, F_WRLCK);
        if (err != EAGAIN)
            break;
        now = wh_monotonic();
        if (now >= deadline)
            return APR_TIMEUP;
        if (!tries)
            begun = now;
        if (!tries && *usual > 2 * NAP_MIN) {
            nap(*usual / 2);
            continue;
        }
        nap(wait);
        if (tries % 16 == 15 && wait < NAP_MAX)
            wait = wait * 2 < NAP_MAX ? wait * 2 : NAP_MAX;
    }
    *usual = (*usual * 3 + (begun ? (long)(wh_monotonic() - begun) : 0)) / 4;
    if (*usual > USUAL_MAX)
        *usual = USUAL_MAX;
    return err;
}

void wh_lock_init(wh_lock *l, const char *path)
{
    memset(l, 0, sizeof *l);
    l->path = path;
    l->fd = l->life = -1;
}

static apr_status_t open_file(const char *path, int create, int *out, struct stat *st)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);

    if (fd < 0)
        return errno;
    if (fstat(fd, st) < 0) {
        int err = errno;
        close(fd);
        return err;
    }
    if (!S_ISREG(st->st_mode)) {
        close(fd);
        return EINVAL;
    }
    *out = fd;
    return APR_SUCCESS;
}

static apr_status_t lock_open(wh_lock *l, int create)
{
    struct stat st;
    apr_status_t rv = open_file(l->path, create, &l->fd, &st);

    if (rv == APR_SUCCESS) {
        l->dev = st.st_dev;
        l->ino = st.st_ino;
    }
    return rv;
}

static void life_close(wh_lock *l)
{
    if (l->life >= 0)
        close(l->life);
    l->life = -1;
    l->owner = 0;
}

/* Have `life` open on the file that `fd` is open on. What was held on another file is of no use any more. */
static apr_status_t life_open(wh_lock *l)
{
    struct stat st;
    apr_status_t rv;

    if (l->life >= 0 && fstat(l->life, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
        return APR_SUCCESS;
    life_close(l);
    rv = open_file(l->path, 0, &l->life, &st);
    if (rv == APR_SUCCESS && (st.st_dev != l->dev || st.st_ino != l->ino)) {
        life_close(l);
        rv = ESTALE;
    }
    return rv;
}

/* Somebody may have removed or replaced the file while we waited for a lock on the old one: then we hold a lock nobody else sees. */
static int lock_is_current(const wh_lock *l)
{
    struct stat st;

    return lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino;
}

static void life_renew(wh_lock *l)
{
    apr_int64_t owner = l->owner;

    if (life_open(l) == APR_SUCCESS && lock_byte(l->life, BYTE_OWNERS + owner, F_WRLCK) == 0)
        l->owner = owner;
    else
        life_close(l);
}

apr_status_t wh_lock_take(wh_lock *l, int create, apr_time_t deadline)
{
    apr_status_t rv;
    int rounds, opened = 0;

    for (rounds = 0; rounds < 100; rounds++) {
        if (l->fd < 0) {
            if ((rv = lock_open(l, create)) != APR_SUCCESS)
                return rv;
            opened = 1;
        }
        rv = lock_byte_until(l->fd, BYTE_TURNSTILE, deadline, &l->usual[0]);
        if (rv != APR_SUCCESS)
            return rv;
        rv = lock_byte_until(l->fd, BYTE_WRITE, deadline, &l->usual[1]);
        lock_byte(l->fd, BYTE_TURNSTILE, F_UNLCK);
        if (rv != APR_SUCCESS)
            return rv;
        l->held = 1;
        if (lock_is_current(l)) {
            /* On a new file our life sign must be set again; if the number is taken there, we are not that owner any more. */
            if (opened && l->owner)
                life_renew(l);
            return APR_SUCCESS;
        }
        close(l->fd);
        l->fd = -1;
        l->held = 0;
    }
    return APR_TIMEUP;
}

void wh_lock_give(wh_lock *l)
{
    if (l->fd >= 0 && l->held)
        lock_byte(l->fd, BYTE_WRITE, F_UNLCK);
    l->held = 0;
}

apr_status_t wh_lock_own(wh_lock *l, apr_int64_t owner)
{
    apr_status_t rv;
    int err;

    if (l->owner == owner)
        return APR_SUCCESS;
    if ((rv = life_open(l)) != APR_SUCCESS)
        return rv;
    err = lock_byte(l->life, BYTE_OWNERS + owner, F_WRLCK);
    if (err)
        return err;
    if (l->owner)
        lock_byte(l->life, BYTE_OWNERS + l->owner, F_UNLCK);
    l->owner = owner;
    return APR_SUCCESS;
}

int wh_lock_owner_alive(const wh_lock *l, apr_int64_t owner)
{
    struct flock fl;
    int rc;

    if (owner == l->owner || l->fd < 0)
        return 1;
    memset(&fl, 0, sizeof fl);
    fl.l_type = F_WRLCK;
    fl.l_whence = SEEK_SET;
    fl.l_start = (off_t)(BYTE_OWNERS + owner);
    fl.l_len = 1;
    do
        rc = fcntl(l->fd, F_OFD_GETLK, &fl);
    while (rc < 0 && errno == EINTR);
    return rc < 0 || fl.l_type != F_UNLCK;
}

void wh_lock_close(wh_lock *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    l->held = 0;
    life_close(l);
}

void wh_lock_forget(wh_lock *l)
{
    /* close() alone: an explicit unlock here would release what the parent holds, closing releases only with the last descriptor */
    wh_lock_close(l);
}
