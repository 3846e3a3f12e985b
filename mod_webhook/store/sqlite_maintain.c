/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_maintain.c: retention, expired deduplication keys, checkpoints and orphaned body files, a bounded piece of each per call. */
#include <apr_strings.h>
#include <string.h>

#include "core/id.h"
#include "core/units.h"
#include "store/sqlite_store.h"

#define SECOND APR_TIME_C(1000000)
#define DELETE_MAX 200
#define KEYS_READ 2000
#define KEYS_EVERY (900 * SECOND)
#define CHECKPOINT_EVERY (10 * SECOND)

typedef struct old_row {
    sqlite3_int64 n, body, body_len;
    int in_file, closed;
    char id[WH_ID_LEN + 1];
} old_row;

static int find_old(webhook_store *s, apr_time_t now, apr_array_header_t *rows)
{
    static const wh_sq_closed kinds[] = { WH_DL_DONE, WH_DL_DEAD, WH_DL_UNROUTED, WH_DL_DROPPED };
    int i, rc = SQLITE_OK;

    apr_array_clear(rows);
    for (i = 0; i < 4 && rc == SQLITE_OK && rows->nelts < DELETE_MAX; i++) {
        apr_time_t before = now - (kinds[i] == WH_DL_DEAD ? s->conf->dead : s->conf->done);
        sqlite3_stmt *stmt;

        rc = wh_sq_row(s, WH_SQ_CLOSED, &stmt, "iii", (sqlite3_int64)kinds[i], (sqlite3_int64)before,
                       (sqlite3_int64)(DELETE_MAX - rows->nelts));
        for (; rc == SQLITE_ROW; rc = wh_sq_next(stmt)) {
            old_row *r;

            if (sqlite3_column_bytes(stmt, 1) != 16) {
                wh_sq_done(stmt);
                return SQLITE_CORRUPT;
            }
            r = apr_array_push(rows);
            r->n = sqlite3_column_int64(stmt, 0);
            wh_id_unpack(r->id, sqlite3_column_blob(stmt, 1));
            r->body = sqlite3_column_int64(stmt, 2);
            r->in_file = sqlite3_column_int(stmt, 3);
            r->body_len = sqlite3_column_int64(stmt, 4);
            r->closed = sqlite3_column_int(stmt, 5);
        }
    }
    return rc;
}

typedef struct old_job {
    sqlite3_int64 job;
    int state;
} old_job;

static int drop_one(webhook_store *s, const old_row *r, apr_array_header_t *jobs)
{
    sqlite3_stmt *stmt;
    int i, rc;

    apr_array_clear(jobs);
    rc = wh_sq_row(s, WH_SQ_JOBS_OF, &stmt, "i", r->n);
    for (; rc == SQLITE_ROW; rc = wh_sq_next(stmt)) {
        old_job *j = apr_array_push(jobs);
        j->job = sqlite3_column_int64(stmt, 0);
        j->state = sqlite3_column_int(stmt, 2);
    }
    for (i = 0; i < jobs->nelts && rc == SQLITE_OK; i++) {
        const old_job *j = &APR_ARRAY_IDX(jobs, i, old_job);

        rc = wh_sq_run(s, WH_SQ_ATTEMPTS_DROP, "ii", WH_SQ_ATTEMPT(j->job, 0), WH_SQ_ATTEMPT(j->job + 1, 0) - 1);
        if (rc == SQLITE_OK)
            rc = wh_sq_run(s, WH_SQ_SHAPE_DROP, "i", j->job);
        if (rc == SQLITE_OK)
            rc = wh_sq_run(s, WH_SQ_JOB_DROP, "i", j->job);
        if (j->state >= WH_JOB_QUEUED && j->state <= WH_JOB_DEAD)
            s->delta[WH_CN_QUEUED + j->state]--;
    }
    if (rc == SQLITE_OK)
        rc = wh_sq_run(s, WH_SQ_BODY_DROP, "i", r->body);
    if (rc == SQLITE_OK)
        rc = wh_sq_run(s, WH_SQ_DELIVERY_DROP, "i", r->n);
    s->delta[WH_CN_DELIVERIES]--;
    if (r->closed == WH_DL_UNROUTED)
        s->delta[WH_CN_UNROUTED]--;
    if (r->closed == WH_DL_DROPPED)
        s->delta[WH_CN_DROPPED]--;
    if (r->in_file)
        s->delta[WH_CN_FILE_BYTES] -= r->body_len;
    return rc;
}

static apr_status_t retention(webhook_store *s, apr_time_t now, int *more, apr_pool_t *scratch, webhook_result *res)
{
    apr_array_header_t *rows = apr_array_make(scratch, 16, sizeof(old_row)), *jobs = apr_array_make(scratch, 8, sizeof(old_job));
    apr_status_t rv;
    int i, rc = find_old(s, now, rows);

    if (rc != SQLITE_OK)
        return wh_sq_failed(s, rc, "looking for old deliveries", res);
    if (!rows->nelts)
        return APR_SUCCESS;
    rv = wh_sq_begin(s, res);
    if (rv != APR_SUCCESS)
        return rv;
    rc = find_old(s, now, rows); /* a replay may have come between */
    for (i = 0; i < rows->nelts && rc == SQLITE_OK; i++)
        rc = drop_one(s, &APR_ARRAY_IDX(rows, i, old_row), jobs);
    if (rc != SQLITE_OK)
        return wh_sq_failed(s, rc, "removing old deliveries", res);
    rv = wh_sq_commit(s, res);
    if (rv != APR_SUCCESS)
        return rv;
    for (i = 0; i < rows->nelts; i++) {
        const old_row *r = &APR_ARRAY_IDX(rows, i, old_row);
        if (r->in_file)
            wh_sq_body_remove(s->conf, r->id);
    }
    if (rows->nelts == DELETE_MAX)
        *more = 1;
    return APR_SUCCESS;
}

/* Walk the keys in their order, which is random in time: an index by expiry would cost every acceptance a row. */
static apr_status_t expire_keys(webhook_store *s, apr_time_t now, int *more, apr_pool_t *scratch, webhook_result *res)
{
    apr_array_header_t *old = apr_array_make(scratch, 64, sizeof(sqlite3_int64));
    sqlite3_int64 second = now / SECOND, last = s->key_cursor;
    sqlite3_stmt *stmt;
    apr_status_t rv;
    int i, rc, read = 0;

    if (s->key_next && wh_monotonic() < s->key_next)
        return APR_SUCCESS;
    rc = wh_sq_row(s, WH_SQ_KEY_SCAN, &stmt, "ii", (sqlite3_int64)s->key_cursor, (sqlite3_int64)KEYS_READ);
    for (; rc == SQLITE_ROW; rc = wh_sq_next(stmt)) {
        last = sqlite3_column_int64(stmt, 0);
        read++;
        if (sqlite3_column_int64(stmt, 1) > second)
            continue;
        APR_ARRAY_PUSH(old, sqlite3_int64) = last;
        if (old->nelts == DELETE_MAX) {
            wh_sq_done(stmt);
            read = KEYS_READ; /* there may be more behind */
            rc = SQLITE_OK;
            break;
        }
    }
    if (rc != SQLITE_OK)
        return wh_sq_failed(s, rc, "looking for expired keys", res);
    if (old->nelts) {
        rv = wh_sq_begin(s, res);
        if (rv != APR_SUCCESS)
            return rv;
        for (i = 0; i < old->nelts && rc == SQLITE_OK; i++)
            rc = wh_sq_run(s, WH_SQ_KEY_DROP, "ii", APR_ARRAY_IDX(old, i, sqlite3_int64), second);
        if (rc != SQLITE_OK)
            return wh_sq_failed(s, rc, "removing expired keys", res);
        rv = wh_sq_commit(s, res);
        if (rv != APR_SUCCESS)
            return rv;
    }
    if (read < KEYS_READ) {
        s->key_cursor = 0;
        s->key_next = wh_monotonic() + KEYS_EVERY;
    } else {
        s->key_cursor = last;
        *more = 1;
    }
    return APR_SUCCESS;
}

static apr_status_t checkpoint(webhook_store *s, webhook_result *res)
{
    if (!wh_sq_work_due(s) && s->checkpointed && wh_monotonic() - s->checkpointed < CHECKPOINT_EVERY)
        return APR_SUCCESS;
    return wh_sq_checkpoint_beside(s, res);
}

apr_status_t wh_sq_maintain(webhook_store *s, apr_time_t now, int *more, apr_pool_t *scratch, webhook_result *res)
{
    apr_status_t rv = wh_sq_reader(s, res);
    int rc;

    *more = 0;
    if (rv == APR_SUCCESS)
        rv = retention(s, now, more, scratch, res);
    if (rv == APR_SUCCESS)
        rv = expire_keys(s, now, more, scratch, res);
    if (rv == APR_SUCCESS)
        rv = checkpoint(s, res);
    if (rv != APR_SUCCESS)
        return rv;
    rc = wh_sq_sweep(s, now, scratch);
    return rc == SQLITE_OK ? APR_SUCCESS : wh_sq_failed(s, rc, "sweeping body files", res);
}
