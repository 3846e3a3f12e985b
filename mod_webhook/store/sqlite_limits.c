/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_limits.c: how much is there and whether more may come. Accepting stops at rows=, at size= less reserve=, and while the file system
 * has less than free=; settling, retries and replays never ask, so what is stored can always be finished.
 */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "core/units.h"
#include "store/sqlite_store.h"

#define MEASURE_EVERY APR_TIME_C(1000000)

apr_int64_t wh_sq_disk_free(const webhook_store_conf *conf)
{
    struct statvfs vfs;

    if (statvfs(conf->dir, &vfs) < 0)
        return -1;
    return (apr_int64_t)vfs.f_bavail * (apr_int64_t)vfs.f_frsize;
}

static int first_int(webhook_store *s, wh_sq_statement which, apr_int64_t *value)
{
    sqlite3_stmt *stmt;
    int rc = wh_sq_row(s, which, &stmt, "");

    if (rc != SQLITE_ROW)
        return rc == SQLITE_OK ? SQLITE_CORRUPT : rc;
    *value = sqlite3_column_int64(stmt, 0);
    wh_sq_done(stmt);
    return SQLITE_OK;
}

static apr_int64_t wal_bytes(const webhook_store_conf *conf)
{
    struct stat st;

    return stat(conf->wal, &st) == 0 ? (apr_int64_t)st.st_size : 0;
}

static int bytes_used(webhook_store *s, apr_int64_t *bytes)
{
    apr_int64_t pages = 0, unused = 0, in_files = 0;
    int rc = first_int(s, WH_SQ_PAGE_COUNT, &pages);

    if (rc == SQLITE_OK)
        rc = first_int(s, WH_SQ_PAGE_FREE, &unused);
    if (rc == SQLITE_OK)
        rc = wh_sq_counter_get(s, WH_CN_FILE_BYTES, &in_files);
    if (rc == SQLITE_OK)
        *bytes = (pages - unused) * WH_SQ_PAGE_SIZE + in_files + wal_bytes(s->conf);
    return rc;
}

int wh_sq_measure(webhook_store *s)
{
    apr_time_t now = wh_monotonic();
    int rc = wh_sq_counter_get(s, WH_CN_DELIVERIES, &s->row_count);

    if (rc != SQLITE_OK || (s->measured && now - s->measured < MEASURE_EVERY))
        return rc;
    rc = bytes_used(s, &s->used);
    s->free = wh_sq_disk_free(s->conf);
    s->measured = now;
    return rc;
}

int wh_sq_room(webhook_store *s, apr_int64_t rows, apr_int64_t bytes, wh_sq_problem *problem)
{
    const webhook_store_conf *c = s->conf;

    if (s->row_count + rows > c->rows || s->used + bytes > c->size - c->reserve) {
        *problem = WH_SQ_LIMIT;
        return 0;
    }
    if (s->free >= 0 && s->free - bytes < c->free) {
        *problem = WH_SQ_SPACE;
        return 0;
    }
    return 1;
}

static int counters_read(webhook_store *s, webhook_store_stats *t)
{
    apr_int64_t v[WH_CN_END];
    sqlite3_stmt *stmt;
    int rc = wh_sq_row(s, WH_SQ_COUNTERS, &stmt, "");

    memset(v, 0, sizeof v);
    while (rc == SQLITE_ROW) {
        sqlite3_int64 k = sqlite3_column_int64(stmt, 0);
        if (k > 0 && k < WH_CN_END)
            v[k] = sqlite3_column_int64(stmt, 1);
        rc = wh_sq_next(stmt);
    }
    t->deliveries = v[WH_CN_DELIVERIES];
    t->queued = v[WH_CN_QUEUED];
    t->retry = v[WH_CN_RETRY];
    t->leased = v[WH_CN_LEASED];
    t->done = v[WH_CN_DONE];
    t->dead = v[WH_CN_DEAD];
    t->unrouted = v[WH_CN_UNROUTED];
    t->dropped = v[WH_CN_DROPPED];
    return rc;
}

/* One step into the index of waiting jobs per name. */
static int oldest_ready(webhook_store *s, apr_time_t *oldest)
{
    sqlite3_stmt *names, *stmt;
    int rc = wh_sq_row(s, WH_SQ_NAMES, &names, "");

    *oldest = 0;
    while (rc == SQLITE_ROW) {
        rc = wh_sq_row(s, WH_SQ_FIRST_DUE, &stmt, "i", sqlite3_column_int64(names, 0));
        if (rc != SQLITE_ROW) {
            wh_sq_done(names);
            return rc == SQLITE_OK ? SQLITE_CORRUPT : rc;
        }
        if (sqlite3_column_type(stmt, 0) == SQLITE_INTEGER && (!*oldest || sqlite3_column_int64(stmt, 0) < *oldest))
            *oldest = sqlite3_column_int64(stmt, 0);
        wh_sq_done(stmt);
        rc = wh_sq_next(names);
    }
    return rc;
}

apr_status_t wh_sq_stats(webhook_store *s, webhook_store_stats *t, apr_pool_t *scratch, webhook_result *res)
{
    apr_status_t rv = wh_sq_reader(s, res);
    int rc;

    (void)scratch;
    memset(t, 0, sizeof *t);
    if (rv != APR_SUCCESS)
        return rv;
    rc = counters_read(s, t);
    if (rc == SQLITE_OK)
        rc = oldest_ready(s, &t->oldest_ready);
    if (rc == SQLITE_OK)
        rc = bytes_used(s, &t->bytes);
    if (rc != SQLITE_OK)
        return wh_sq_failed(s, rc, "reading statistics", res);
    t->wal_bytes = wal_bytes(s->conf);
    t->free_bytes = wh_sq_disk_free(s->conf);
    if (t->free_bytes < 0)
        t->free_bytes = 0;
    return APR_SUCCESS;
}
