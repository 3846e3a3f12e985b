/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_checkpoint.c: copying the write-ahead log into the database: most of it beside the writers, the rest and the new beginning under the
 * lock.
 */
#include <apr_time.h>
#include <string.h>

#include "core/log.h"
#include "core/units.h"
#include "store/sqlite_store.h"

/* A reader is done in a moment or not soon: a list somebody pages through must not hold up who accepts. */
static int wait_for_reader(void *baton, int tries)
{
    (void)baton;
    if (tries >= 40)
        return 0;
    apr_sleep(500);
    return 1;
}

static void checkpoint_ahead(webhook_store *s)
{
    int pass, in_log = 0, copied = 0;

    /* What is in doubt must not overwrite the database. */
    if (!s->db || wh_log_sync_in_doubt(s->conf->syncs))
        return;
    /* Two passes: what others write during the first, which may take a tenth of a second, is copied by the second. */
    for (pass = 0; pass < 2; pass++) {
        if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied) != SQLITE_OK)
            return;
    }
}

int wh_sq_checkpoint(webhook_store *s)
{
    int in_log = 0, copied = 0;
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);

    s->checkpointed = wh_monotonic();
    if (rc == SQLITE_OK && in_log > 0 && copied == in_log) {
        /* All is copied, but the log is only begun anew by a writer that meets no reader at that instant, and a busy dispatcher reads all the
         * time: wait for that instant here, or the log grows for as long as the load lasts. */
        sqlite3_busy_handler(s->db, wait_for_reader, NULL);
        (void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
        wh_sq_wait_for_foreigners(s);
    }
    /* A long reader keeps the log from being begun anew; then it is tried again after as much again was written. */
    if (rc == SQLITE_OK)
        s->wal_pages = copied == in_log ? 0 : s->wal_pages / 2;
    else if ((rc & 0xff) != SQLITE_BUSY) /* another process is at it */
        wh_log(WH_LOG_WARNING, 0, "WH0509: store %s, copying the write-ahead log: %s (SQLite code %d)", s->conf->path,
               sqlite3_errmsg(s->db), rc);
    return rc;
}

apr_status_t wh_sq_checkpoint_beside(webhook_store *s, webhook_result *res)
{
    apr_status_t rv;
    int rc = SQLITE_OK;

    checkpoint_ahead(s);
    rv = wh_sq_enter_call(s, res);
    if (rv == APR_SUCCESS)
        rv = wh_sq_lock(s, res);
    if (rv == APR_SUCCESS)
        rv = wh_sq_connect(s, res);
    if (rv == APR_SUCCESS)
        rv = wh_sq_log_sound(s, res);
    if (rv == APR_SUCCESS)
        rc = wh_sq_checkpoint(s);
    /* A reader in its way is no failure, the next call goes on. */
    if (rv == APR_SUCCESS && rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
        return wh_sq_failed(s, rc, "copying the write-ahead log", res);
    wh_sq_unlock(s);
    return rv;
}

int wh_sq_work_due(webhook_store *s)
{
    return s->wal_pages * WH_SQ_PAGE_SIZE > s->conf->wal_limit / 2;
}

void wh_sq_work(webhook_store *own)
{
    webhook_result res;

    memset(&res, 0, sizeof res);
    (void)wh_sq_checkpoint_beside(own, &res);
}
