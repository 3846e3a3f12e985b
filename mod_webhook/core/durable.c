/* SPDX-License-Identifier: Apache-2.0 */
/*
 * durable.c: creates files so that they are either there, whole, after a power cut, or not at all.
 */
#include "core/durable.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/id.h"

apr_status_t wh_write_all(int fd, const char *data, apr_size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return errno;
        }
        if (!n)
            return ENOSPC; /* no file system answers so; going on would never end */
        data += n;
        len -= (apr_size_t)n;
    }
    return APR_SUCCESS;
}

static int open_dir(const char *path)
{
    int fd;

    do {
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static apr_status_t sync_fd(int fd)
{
    int rc;

    do {
        rc = fsync(fd);
    } while (rc && errno == EINTR);
    return rc ? errno : APR_SUCCESS;
}

apr_status_t wh_sync_dir(const char *path)
{
    int fd = open_dir(path);
    apr_status_t rv;

    if (fd < 0)
        return errno;
    rv = sync_fd(fd);
    close(fd);
    return rv;
}

int wh_name_is_safe(const char *name)
{
    apr_size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    return len >= 1 && len <= 200 && !name[len] && name[0] != '.';
}

static apr_status_t write_file(int dir, const char *name, webhook_slice data, mode_t mode)
{
    apr_status_t rv = APR_SUCCESS;
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

    if (fd < 0)
        return errno;
    /* the mode asked for, whatever the umask */
    if (fchmod(fd, mode))
        rv = errno;
    if (rv == APR_SUCCESS)
        rv = wh_write_all(fd, data.data, data.len);
    if (rv == APR_SUCCESS)
        rv = sync_fd(fd);
    if (close(fd) && rv == APR_SUCCESS)
        rv = errno;
    return rv;
}

/* Give the temporary file its name, unless that is taken. */
static apr_status_t rename_new(int dir, const char *temp, const char *name)
{
#ifdef RENAME_NOREPLACE
    if (!renameat2(dir, temp, dir, name, RENAME_NOREPLACE))
        return APR_SUCCESS;
    if (errno != ENOSYS && errno != EINVAL)
        return errno == EEXIST ? APR_EEXIST : errno;
#endif
    /* file systems without that call: a second name is never put over an existing one either */
    if (linkat(dir, temp, dir, name, 0))
        return errno == EEXIST ? APR_EEXIST : errno;
    unlinkat(dir, temp, 0);
    return APR_SUCCESS;
}

apr_status_t wh_durable_create(const char *dir, const char *name, webhook_slice data, mode_t mode, int replace, apr_pool_t *scratch)
{
    char id[WH_ID_LEN + 1];
    const char *temp;
    apr_status_t rv;
    int fd;

    if (!wh_name_is_safe(name))
        return APR_EINVAL;
    rv = wh_id_make(id, apr_time_now());
    if (rv != APR_SUCCESS)
        return rv;
    /* no safe name begins with a dot, so the two kinds never meet */
    temp = apr_pstrcat(scratch, WH_DURABLE_TEMP, id, NULL);
    fd = open_dir(dir);
    if (fd < 0)
        return errno;

    rv = write_file(fd, temp, data, mode);
    if (rv == APR_SUCCESS) {
        if (replace)
            rv = renameat(fd, temp, fd, name) ? errno : APR_SUCCESS;
        else
            rv = rename_new(fd, temp, name);
    }
    if (rv != APR_SUCCESS) {
        unlinkat(fd, temp, 0);
    }
    else {
        rv = sync_fd(fd);
        /* what may not be there after a power cut must not look as if it were; a replaced file's old content is gone already */
        if (rv != APR_SUCCESS && !replace)
            unlinkat(fd, name, 0);
    }
    close(fd);
    return rv;
}
