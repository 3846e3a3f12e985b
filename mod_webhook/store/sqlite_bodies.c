/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_bodies.c: big bodies as files, <database>-bodies/<2 hex digits>/<delivery id>. The file is synced, and its directory too, before the row
 * that speaks of it commits; a file nobody speaks of (a process died between the two) is swept after an hour.
 */
#include <apr_strings.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/durable.h"
#include "core/id.h"
#include "core/log.h"
#include "core/units.h"
#include "store/sqlite_store.h"

#define ORPHAN_AGE (APR_TIME_C(3600) * 1000000)
#define SWEEP_EVERY (APR_TIME_C(1800) * 1000000)

/* The last two digits of an id are random, the first are the time. */
static const char *subdirectory(const webhook_store_conf *conf, const char *id, apr_pool_t *p)
{
    return apr_pstrcat(p, conf->bodies, "/", id + WH_ID_LEN - 2, NULL);
}

const char *wh_sq_body_path(const webhook_store_conf *conf, const char *id, apr_pool_t *p)
{
    return apr_pstrcat(p, subdirectory(conf, id, p), "/", id, NULL);
}

static apr_status_t make_directory(const char *path, const char *parent)
{
    if (mkdir(path, 0700) == 0)
        return wh_sync_dir(parent);
    return errno == EEXIST ? APR_SUCCESS : errno;
}

/* The body's bytes wherever the caller has them; a spooled file is mapped and unmapped by the caller of this. */
static apr_status_t body_bytes(const webhook_delivery *d, webhook_slice *out, int *mapped)
{
    struct stat st;
    void *data;
    int fd;

    *mapped = 0;
    if (!d->body_file) {
        *out = d->body;
        return APR_SUCCESS;
    }
    fd = open(d->body_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    if (fstat(fd, &st) < 0 || st.st_size != d->body_len) {
        close(fd);
        return APR_EGENERAL;
    }
    out->data = "";
    out->len = (apr_size_t)st.st_size;
    if (out->len) {
        data = mmap(NULL, out->len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            int err = errno;
            close(fd);
            return err;
        }
        out->data = data;
        *mapped = 1;
    }
    close(fd);
    return APR_SUCCESS;
}

apr_status_t wh_sq_stage(const webhook_store_conf *conf, webhook_accept *item, apr_pool_t *scratch)
{
    const webhook_delivery *d = item->delivery;
    wh_sq_problem problem = WH_SQ_FAILED;
    webhook_slice body;
    apr_int64_t room;
    const char *dir;
    apr_status_t rv;
    int mapped;

    /* what the caller spooled to a file is not read back into memory, however small */
    if (item->staged || (!d->body_file && d->body_len <= conf->body_file))
        return APR_SUCCESS;
    if (!wh_id_valid(d->id)) {
        item->outcome = WEBHOOK_ACCEPT_FAILED;
        return wh_sq_say(conf, WH_SQ_ITEM, 0, &item->result);
    }
    room = wh_sq_disk_free(conf);
    if (room >= 0 && room - d->body_len < conf->free) {
        item->outcome = WEBHOOK_ACCEPT_FAILED;
        return wh_sq_say(conf, WH_SQ_SPACE, 0, &item->result);
    }
    dir = subdirectory(conf, d->id, scratch);
    rv = make_directory(conf->bodies, conf->dir);
    if (rv == APR_SUCCESS)
        rv = make_directory(dir, conf->bodies);
    if (rv == APR_SUCCESS)
        rv = body_bytes(d, &body, &mapped);
    if (rv == APR_SUCCESS) {
        rv = wh_durable_create(dir, d->id, body, 0600, 0, scratch);
        if (mapped)
            munmap((void *)(apr_uintptr_t)body.data, body.len);
    }
    if (rv == APR_SUCCESS) {
        item->staged = 1;
        return rv;
    }
    if (rv == ENOSPC || rv == EDQUOT || rv == EFBIG)
        problem = WH_SQ_FULL;
    wh_log(WH_LOG_ERROR, rv, "WH0520: the body of %s cannot be written below %s", d->id, conf->bodies);
    item->outcome = WEBHOOK_ACCEPT_FAILED;
    return wh_sq_say(conf, problem, rv, &item->result);
}

void wh_sq_body_remove(const webhook_store_conf *conf, const char *id)
{
    char path[4096];
    int n = apr_snprintf(path, sizeof path, "%s/%s/%s", conf->bodies, id + WH_ID_LEN - 2, id);

    if (n < (int)sizeof path - 1 && unlink(path) < 0 && errno != ENOENT)
        wh_log(WH_LOG_WARNING, errno, "WH0521: %s cannot be removed", path);
}

void wh_sq_unstage(const webhook_store_conf *conf, webhook_accept *item)
{
    if (!item->staged)
        return;
    item->staged = 0;
    wh_sq_body_remove(conf, item->delivery->id);
}

static int has_row(webhook_store *s, const char *name, int *yes)
{
    unsigned char id[16];
    sqlite3_stmt *stmt;
    int rc;

    *yes = 0;
    if (!wh_id_valid(name))
        return SQLITE_OK;
    wh_id_pack(id, name);
    rc = wh_sq_find(s, id, &stmt, NULL);
    if (rc != SQLITE_ROW)
        return rc;
    *yes = 1;
    wh_sq_done(stmt);
    return SQLITE_OK;
}

int wh_sq_sweep(webhook_store *s, apr_time_t now, apr_pool_t *scratch)
{
    static const char hex[] = "0123456789abcdef";
    const char digits[3] = { hex[s->body_cursor >> 4], hex[s->body_cursor & 15], '\0' };
    const char *dir = apr_pstrcat(scratch, s->conf->bodies, "/", digits, NULL);
    struct dirent *e;
    DIR *d;
    int rc = SQLITE_OK;

    if (s->body_next && wh_monotonic() < s->body_next)
        return rc;
    d = opendir(dir);
    while (d && rc == SQLITE_OK && (e = readdir(d)) != NULL) {
        struct stat st;
        int yes;

        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        if ((apr_time_t)st.st_mtime * 1000000 > now - ORPHAN_AGE)
            continue;
        rc = has_row(s, e->d_name, &yes);
        if (rc == SQLITE_OK && !yes && unlinkat(dirfd(d), e->d_name, 0) == 0)
            wh_log(WH_LOG_INFO, 0, "WH0522: removed %s/%s, which belongs to no delivery", dir, e->d_name);
    }
    if (d)
        closedir(d);
    s->body_cursor = (s->body_cursor + 1) & 255;
    if (s->body_cursor == 0)
        s->body_next = wh_monotonic() + SWEEP_EVERY;
    return rc;
}
