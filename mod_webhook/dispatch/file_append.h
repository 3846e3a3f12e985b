/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_append.h: complete lines into a file, durably, beside other writers: the file handler's format=json.
 *
 * A drainer and its successor, or two servers, may append to the same file: whoever writes holds flock(2) on it, so that cutting a
 * failed batch off again never cuts another's lines. Under the lock the path is looked at again (logrotate, or the other one's
 * rotation, may have put another file there), and a last line without its newline (a crash in the middle of a write) is closed before
 * the next one, so that no two records merge.
 */
#ifndef WH_DISPATCH_FILE_APPEND_H
#define WH_DISPATCH_FILE_APPEND_H

#include <apr_pools.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "dispatch/file_name.h"

#define WH_APPEND_LINES 1000 /* lines of one call at most: below IOV_MAX everywhere */

typedef struct wh_append {
    const char *handler; /* name, for messages */
    const char *dir;     /* absolute */
    const char *pattern; /* checked by wh_file_pattern_check; expanded with the time of writing */
    mode_t mode;
    apr_int64_t rotate;  /* bytes the file may reach; 0: no rotation */
    int keep;            /* rotated files kept; 0: all */
    void (*warn)(void *baton, const char *text); /* what does not stop the writing, tag included */
    void *warn_baton;
    int fd;              /* open file, -1: none; set to -1 at the start */
    char current[WH_FILE_NAME_MAX + 1]; /* its name */
} wh_append;

/**
 * Append lines, each complete with its newline, with one write and one sync per file. Rotates before a file would pass its limit; a
 * line longer than the limit gets a file of its own. Never waits for the lock. A batch that could not be written or synced whole is
 * cut off again.
 * @param written answer: so many of the lines, from the first, are on disk, also when the call failed later
 * @param busy answer: another process holds the lock; try again soon
 * @return NULL (all written, or busy), or what went wrong, from scratch
 */
const char *wh_append_lines(wh_append *a, const struct iovec *lines, int count, int *written, int *busy, apr_pool_t *scratch);

void wh_append_close(wh_append *a);

#endif
