/* SPDX-License-Identifier: Apache-2.0 */
/* files.c: making a store's directory as root, and doing the rest as the server's user. */
#include "store/files.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/durable.h"
#include "core/reasons.h"
#include "store/store.h"

static const char *make_directories(const char *dir, apr_pool_t *p)
{
    char *path = apr_pstrdup(p, dir), *at = path;
    struct stat st;

    if (stat(dir, &st) == 0)
        return S_ISDIR(st.st_mode) ? NULL : apr_psprintf(p, "%s is not a directory", dir);
    while (at) {
        at = strchr(at + 1, '/');
        if (at)
            *at = '\0';
        if (mkdir(path, at ? 0755 : 0700) < 0 && errno != EEXIST)
            return apr_psprintf(p, "the directory %s cannot be created: %s", path, strerror(errno));
        if (at)
            *at = '/';
    }
    return NULL;
}

/* One file that root made: opened without following a link, looked at, handed over through the same descriptor. */
static const char *hand_over(int dirfd, const char *path, int uid, int gid, apr_pool_t *p)
{
    const char *name = strrchr(path, '/') + 1, *err = NULL;
    struct stat st;
    int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? NULL : apr_psprintf(p, "%s cannot be looked at: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0)
        err = apr_psprintf(p, "%s cannot be looked at: %s", path, strerror(errno));
    else if (st.st_uid == 0 && uid != 0 && ((S_ISREG(st.st_mode) && st.st_nlink == 1) || S_ISDIR(st.st_mode))
             && fchownat(fd, "", (uid_t)uid, gid < 0 ? (gid_t)-1 : (gid_t)gid, AT_EMPTY_PATH) < 0)
        err = apr_psprintf(p, "%s cannot be given to user %d: %s", path, uid, strerror(errno));
    close(fd);
    return err;
}

const char *wh_files_prepare(const char *dir, const char *const *files, int uid, int gid, apr_pool_t *p)
{
    struct stat st;
    int made = stat(dir, &st) < 0, fd, i;
    const char *err = make_directories(dir, p);

    if (err)
        return err;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return apr_psprintf(p, "the directory %s cannot be opened: %s", dir, strerror(errno));
    if (fstat(fd, &st) < 0)
        err = apr_psprintf(p, "the directory %s cannot be looked at: %s", dir, strerror(errno));
    else if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
        err = apr_psprintf(p, "everybody may write the directory %s: a store needs one of its own (mode 0700)", dir);
    else if (geteuid() == 0 && uid > 0 && made && fchown(fd, (uid_t)uid, gid < 0 ? (gid_t)-1 : (gid_t)gid) < 0)
        err = apr_psprintf(p, "the directory %s cannot be given to user %d: %s", dir, uid, strerror(errno));
    if (geteuid() == 0 && uid > 0) {
        for (i = 0; files[i] && !err; i++)
            err = hand_over(fd, files[i], uid, gid, p);
    }
    close(fd);
    return err;
}

apr_status_t wh_store_owner(const char *path, uid_t *uid, gid_t *gid)
{
    const char *slash = strrchr(path, '/');
    struct stat st;

    if (lstat(path, &st) < 0) {
        char dir[4096];
        size_t len = slash ? (size_t)(slash - path) : 0;

        if (errno != ENOENT)
            return errno;
        if (len >= sizeof dir)
            return ENAMETOOLONG;
        memcpy(dir, path, len);
        dir[len] = '\0';
        if (stat(len ? dir : (slash ? "/" : "."), &st) < 0)
            return errno;
    }
    *uid = st.st_uid;
    *gid = st.st_gid;
    return APR_SUCCESS;
}

apr_status_t wh_store_become(uid_t uid, gid_t gid)
{
    struct passwd *pw;

    if (geteuid() != 0 || uid == 0)
        return APR_SUCCESS;
    pw = getpwuid(uid);
    if ((pw ? initgroups(pw->pw_name, gid) : setgroups(1, &gid)) < 0 || setgid(gid) < 0 || setuid(uid) < 0)
        return errno;
    return APR_SUCCESS;
}

/* What the child reports through the pipe: this, then the detail's bytes. */
typedef struct report {
    apr_status_t rv;
    int reason; /* wh_refusal, -1: none */
    apr_interval_time_t retry_after;
    int detail_len;
} report;

static int read_all(int fd, void *data, size_t len)
{
    char *at = data;

    while (len > 0) {
        ssize_t n = read(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        at += n;
        len -= (size_t)n;
    }
    return 1;
}

static apr_status_t no_child(const char *what, int err, apr_pool_t *p, webhook_result *res)
{
    res->rv = err ? err : APR_EGENERAL;
    res->reason = wh_refusal_table[WH_REFUSAL_STORE_FAILED].code;
    res->detail = err ? apr_psprintf(p, "setting up the store: %s: %s", what, strerror(err)) : apr_psprintf(p, "setting up the store: %s", what);
    res->retry_after = 0;
    return res->rv;
}

apr_status_t wh_files_as(int uid, int gid, wh_files_call *fn, void *baton, apr_pool_t *p, webhook_result *res)
{
    report r;
    int ends[2], status, whole = 0;
    char *detail = NULL;
    pid_t pid, got;

    if (geteuid() != 0 || uid <= 0)
        return fn(baton, res);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return no_child("pipe", errno, p, res);
    pid = fork();
    if (pid < 0) {
        int err = errno;
        close(ends[0]);
        close(ends[1]);
        return no_child("fork", err, p, res);
    }
    if (pid == 0) {
        webhook_result mine;

        memset(&mine, 0, sizeof mine);
        memset(&r, 0, sizeof r);
        close(ends[0]);
        /* without a group given, the user's own files keep whatever group this process has */
        r.rv = wh_store_become((uid_t)uid, gid < 0 ? getgid() : (gid_t)gid);
        if (r.rv == APR_SUCCESS)
            r.rv = fn(baton, &mine);
        else
            mine.detail = "the server's user cannot be assumed";
        r.reason = mine.reason ? wh_refusal_find(mine.reason) : -1;
        r.retry_after = mine.retry_after;
        r.detail_len = mine.detail ? (int)strlen(mine.detail) : 0;
        if (wh_write_all(ends[1], (const char *)&r, sizeof r) == APR_SUCCESS && r.detail_len)
            wh_write_all(ends[1], mine.detail, (apr_size_t)r.detail_len);
        _exit(0); /* none of the parent's exit handlers may run here */
    }
    close(ends[1]);
    if (read_all(ends[0], &r, sizeof r) && r.detail_len >= 0 && r.detail_len < 65536) {
        detail = apr_pcalloc(p, (apr_size_t)r.detail_len + 1);
        whole = read_all(ends[0], detail, (size_t)r.detail_len);
    }
    close(ends[0]);
    do
        got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    if (!whole)
        return no_child("the process that does it ended early", 0, p, res);
    if (r.rv == APR_SUCCESS)
        return r.rv;
    res->rv = r.rv;
    res->reason = wh_refusal_table[r.reason >= 0 && r.reason < WH_REFUSAL_COUNT ? r.reason : WH_REFUSAL_STORE_FAILED].code;
    res->detail = detail;
    res->retry_after = r.retry_after;
    return r.rv;
}
