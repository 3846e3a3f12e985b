/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_append.c: opens, locks, writes, syncs and rotates the file that JSON lines go to.
 */
#include "dispatch/file_append.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/durable.h"

void wh_append_close(wh_append *a)
{
    if (a->fd >= 0)
        close(a->fd); /* the lock goes with it */
    a->fd = -1;
    a->current[0] = '\0';
}

static const char *describe_error(const wh_append *a, apr_pool_t *scratch, const char *what, const char *name, apr_status_t rv)
{
    char text[120];

    return apr_psprintf(scratch, "cannot %s %s/%s: %s", what, a->dir, name, apr_strerror(rv, text, sizeof(text)));
}

/* Open (make) the file named by a->current. @return NULL or what went wrong */
static const char *open_current(wh_append *a, apr_pool_t *scratch)
{
    const char *path = apr_pstrcat(scratch, a->dir, "/", a->current, NULL);
    /* O_NONBLOCK: a FIFO put in its place must not hang the dispatcher. O_RDWR: the last byte is read */
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    struct stat st;
    apr_status_t rv;

    for (int tries = 0; tries < 4 && a->fd < 0; tries++) {
        a->fd = open(path, flags);
        if (a->fd >= 0 || errno != ENOENT)
            break;
        a->fd = open(path, flags | O_CREAT | O_EXCL, a->mode);
        if (a->fd >= 0) {
            if (fchmod(a->fd, a->mode)) /* the umask is httpd's, the mode was asked for */
                return describe_error(a, scratch, "set the mode of", a->current, errno);
            break;
        }
        if (errno != EEXIST)
            break;
    }
    if (a->fd < 0 && errno == ELOOP)
        return apr_psprintf(scratch, "%s is a symbolic link", path);
    if (a->fd < 0)
        return describe_error(a, scratch, "open", a->current, errno);
    if (fstat(a->fd, &st))
        return describe_error(a, scratch, "look at", a->current, errno);
    if (!S_ISREG(st.st_mode))
        return apr_psprintf(scratch, "%s is not a regular file", path);
    /* also when it was there: who made it may have died before this */
    rv = wh_sync_dir(a->dir);
    return rv == APR_SUCCESS ? NULL : describe_error(a, scratch, "sync the directory of", a->current, rv);
}

/**
 * Have a->fd open on today's file, locked. @param size answer: its length. @param busy answer: another process holds the lock.
 * @return NULL or what went wrong
 */
static const char *lock_current(wh_append *a, apr_time_t now, apr_off_t *size, int *busy, apr_pool_t *scratch)
{
    char name[WH_FILE_NAME_MAX + 1];
    struct stat there, ours;
    const char *err;
    apr_status_t rv = wh_file_name_expand(name, a->pattern, now, NULL);

    *busy = 0;
    if (rv != APR_SUCCESS)
        return describe_error(a, scratch, "name", a->pattern, rv);
    for (int tries = 0; tries < 8; tries++) {
        if (strcmp(name, a->current))
            wh_append_close(a);
        if (a->fd < 0) {
            memcpy(a->current, name, sizeof(name));
            err = open_current(a, scratch);
            if (err)
                return err;
        }
        if (flock(a->fd, LOCK_EX | LOCK_NB)) {
            if (errno == EINTR)
                continue;
            if (errno != EWOULDBLOCK)
                return describe_error(a, scratch, "lock", name, errno);
            *busy = 1;
            return NULL;
        }
        if (fstat(a->fd, &ours))
            return describe_error(a, scratch, "look at", name, errno);
        if (!lstat(apr_pstrcat(scratch, a->dir, "/", name, NULL), &there) && there.st_ino == ours.st_ino
            && there.st_dev == ours.st_dev) {
            *size = ours.st_size;
            return NULL;
        }
        wh_append_close(a); /* moved or removed meanwhile: the name counts, not the inode */
    }
    return apr_psprintf(scratch, "%s/%s is replaced again and again", a->dir, name);
}

/* Write all of it. @return 0 or errno */
static int write_vector(int fd, struct iovec *iov, int count)
{
    while (count) {
        ssize_t n = writev(fd, iov, count);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return EIO;
        for (; count && (size_t)n >= iov->iov_len; iov++, count--)
            n -= (ssize_t)iov->iov_len;
        if (count) {
            iov->iov_base = (char *)iov->iov_base + n;
            iov->iov_len -= (size_t)n;
        }
    }
    return 0;
}

/* Append lines to the locked file of this length and sync it. @return NULL or what went wrong */
static const char *append_batch(wh_append *a, const struct iovec *lines, int count, apr_off_t size, apr_pool_t *scratch)
{
    static char newline[] = "\n";
    struct iovec *iov = apr_palloc(scratch, sizeof(*iov) * (apr_size_t)(count + 1));
    const char *err;
    struct stat st;
    char last = '\n';
    int n = 0, rc;

    if (size > 0 && pread(a->fd, &last, 1, (off_t)size - 1) < 0)
        return describe_error(a, scratch, "read", a->current, errno);
    if (last != '\n') {
        iov[n].iov_base = newline;
        iov[n++].iov_len = 1;
        a->warn(a->warn_baton, apr_psprintf(scratch, "WH0703: handler %s: the last line of %s/%s is not complete (a crash while it was "
                                            "written?); it is closed, its delivery comes again", a->handler, a->dir, a->current));
    }
    memcpy(iov + n, lines, sizeof(*iov) * (apr_size_t)count); /* write_vector() changes it */
    rc = write_vector(a->fd, iov, n + count);
    if (rc) {
        err = describe_error(a, scratch, "write to", a->current, rc);
    }
    else {
        if (!fdatasync(a->fd))
            return NULL;
        err = describe_error(a, scratch, "sync", a->current, errno);
    }
    /* What is there of the batch will come again. Only ever shorter: somebody without the lock may have truncated the file. */
    if (!fstat(a->fd, &st) && st.st_size > (off_t)size && ftruncate(a->fd, (off_t)size)) {
        a->warn(a->warn_baton, apr_psprintf(scratch, "WH0704: handler %s: %s", a->handler,
                                            describe_error(a, scratch, "take back a failed write to", a->current, errno)));
    }
    return err;
}

/* A full file gives its name away. A failure is a warning: going on in the full file loses nothing. @return whether it was renamed */
static int rotate_current(wh_append *a, apr_time_t now, apr_pool_t *scratch)
{
    char name[WH_FILE_NAME_MAX + 1];
    apr_status_t rv = wh_file_rotate(a->dir, a->current, now, scratch);

    if (rv != APR_SUCCESS) {
        a->warn(a->warn_baton, apr_psprintf(scratch, "WH0702: handler %s: %s", a->handler,
                                            describe_error(a, scratch, "rotate", a->current, rv)));
        return 0;
    }
    memcpy(name, a->current, sizeof(name));
    wh_append_close(a);
    if (a->keep) {
        rv = wh_file_prune(a->dir, name, a->keep, scratch);
        if (rv != APR_SUCCESS)
            a->warn(a->warn_baton, apr_psprintf(scratch, "WH0705: handler %s: %s", a->handler,
                                                describe_error(a, scratch, "remove old rotated files of", name, rv)));
    }
    return 1;
}

/* How many lines go into a file of this length before it must rotate; at least one into an empty file. */
static int lines_that_fit(const struct iovec *lines, int count, apr_off_t size, apr_int64_t limit)
{
    apr_int64_t room = limit - size;

    for (int i = 0; i < count; i++) {
        room -= (apr_int64_t)lines[i].iov_len;
        if (room < 0 && (size > 0 || i > 0))
            return i;
    }
    return count;
}

const char *wh_append_lines(wh_append *a, const struct iovec *lines, int count, int *written, int *busy, apr_pool_t *scratch)
{
    int rotates = a->rotate > 0;

    *written = *busy = 0;
    while (*written < count) {
        apr_time_t now = apr_time_now();
        int left = count - *written, batch = left;
        apr_off_t size = 0;
        const char *err = lock_current(a, now, &size, busy, scratch);

        if (*busy)
            return NULL;
        if (!err && rotates) {
            batch = lines_that_fit(lines + *written, left, size, a->rotate);
            if (!batch) {
                rotates = rotate_current(a, now, scratch);
                if (rotates)
                    continue;
                batch = left;
            }
        }
        if (!err)
            err = append_batch(a, lines + *written, batch, size, scratch);
        if (err) {
            /* also the lock; and after a failed sync the kernel forgets what it could not write: start over with a fresh descriptor */
            wh_append_close(a);
            return err;
        }
        flock(a->fd, LOCK_UN);
        *written += batch;
    }
    return NULL;
}
