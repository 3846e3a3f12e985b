/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h: the file beside the database that orders everybody who writes it: httpd's children of all generations, the dispatchers, other
 * instances and the tool. Open-file-description locks (fcntl F_OFD_SETLK): the kernel releases them when their last descriptor goes,
 * whatever killed the process, and they do not vanish when some other descriptor of the file is closed, as POSIX locks do.
 *
 *   byte 0          the write lock: every transaction, checkpoint, opening and closing of a connection
 *   byte 1          the turnstile: who waits for byte 0 holds it meanwhile, so a holder that comes straight back queues behind
 *   byte 1000 + N   lease owner N is alive
 *
 * There is no blocking wait with a time limit for these locks, so waiting is trying with short sleeps; the turnstile leaves one waiter
 * at a time that has to try often.
 */
#ifndef WH_STORE_LOCK_H
#define WH_STORE_LOCK_H

#include <apr_errno.h>
#include <apr_time.h>
#include <sys/types.h>

/**
 * A process's own opens of the lock file. `fd` is never shared over fork: a child would share the locks too. `life` has an open of its own,
 * so that a child may keep a copy of it: it then keeps the owner alive without holding the write lock of a parent that was killed inside a
 * transaction.
 */
typedef struct wh_lock {
    const char *path;   /* lives as long as the structure */
    int fd;             /* bytes 0 and 1; -1: not open */
    int life;           /* byte 1000 + owner; -1: not open */
    int held;           /* byte 0 is ours */
    long usual[2];      /* microseconds that waiting for bytes 1 and 0 took lately */
    dev_t dev;          /* identity of what fd is open on */
    ino_t ino;
    apr_int64_t owner;  /* lease owner number held, 0: none; taken again when the file was replaced */
} wh_lock;

void wh_lock_init(wh_lock *l, const char *path);

/**
 * Take the write lock, opening the file first when it is not open or is no longer the one at `path`.
 * @param create make the file (0600) when it is missing
 * @param deadline wh_monotonic() time after which to give up; at least one try is made
 * @return APR_SUCCESS, APR_TIMEUP when somebody else held it to the end, or errno (ENOENT, EACCES, ELOOP, ...)
 */
apr_status_t wh_lock_take(wh_lock *l, int create, apr_time_t deadline);
void wh_lock_give(wh_lock *l);

/** Hold byte 1000 + owner from now on, by `life`. The write lock must be held. @return errno; EAGAIN if somebody else holds it */
apr_status_t wh_lock_own(wh_lock *l, apr_int64_t owner);

/** Whether that owner's process lives. Our own owner number is always alive. When the kernel cannot say, the answer is yes. */
int wh_lock_owner_alive(const wh_lock *l, apr_int64_t owner);

/** Give everything back. */
void wh_lock_close(wh_lock *l);

/** After fork, in the child: let go of the inherited descriptor without touching the parent's locks. */
void wh_lock_forget(wh_lock *l);

#endif
