/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_sync.c: making transactions durable whose commit did not: waiting, syncing for others, and a log whose sync failed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/units.h"
#include "store/sqlite_store.h"

static apr_status_t sync_failed(const webhook_store_conf *conf, apr_status_t rv, webhook_result *res)
{
    if (rv == APR_TIMEUP)
        return wh_sq_say(conf, WH_SQ_BUSY, rv, res);
    if (rv == APR_EGENERAL) /* somebody else's failure, which they have logged */
        return wh_sq_say(conf, WH_SQ_FAILED, rv, res);
    wh_log(WH_LOG_ERROR, rv, "WH0512: store %s: the write-ahead log cannot be synced", conf->path);
    return wh_sq_say(conf, wh_sq_problem_of(rv), rv, res);
}

/* Of the caller's own, as the connection may be closed before the sync is over. */
static int own_fd(const webhook_store *s)
{
    return fcntl(s->wal_fd, F_DUPFD_CLOEXEC, 0);
}

apr_status_t wh_sq_sync_turn(webhook_store *s, webhook_sync *sync)
{
    apr_status_t rv;

    sync->number = 0;
    sync->fd = -1;
    if (!s->db || !wh_log_sync_slow(s->conf->syncs))
        return APR_SUCCESS;
    rv = wh_log_sync_turn(s->conf->syncs, wh_monotonic() + s->conf->lock_timeout);
    if (rv != APR_INCOMPLETE)
        return APR_SUCCESS; /* who writes is told what is wrong */
    sync->fd = own_fd(s);
    if (sync->fd < 0) {
        wh_log_sync_pass(s->conf->syncs);
        return APR_SUCCESS;
    }
    return rv;
}

apr_status_t wh_sq_sync_begin(webhook_store *s, webhook_sync *sync, webhook_result *res)
{
    apr_status_t rv = wh_log_sync_begin(s->conf->syncs, sync->number, wh_monotonic() + s->conf->lock_timeout);

    if (rv == APR_INCOMPLETE) {
        sync->fd = own_fd(s);
        if (sync->fd >= 0)
            return rv;
        rv = wh_log_sync_end(s->conf->syncs, s->wal_fd);
    }
    return rv == APR_SUCCESS ? rv : sync_failed(s->conf, rv, res);
}

apr_status_t wh_sq_sync_end(const webhook_store_conf *conf, webhook_sync *sync, webhook_result *res)
{
    apr_status_t rv = APR_SUCCESS;

    if (wh_log_sync_done(conf->syncs, sync->number))
        wh_log_sync_pass(conf->syncs); /* nothing was written, or somebody outside has synced it */
    else
        rv = wh_log_sync_end(conf->syncs, sync->fd);
    close(sync->fd);
    return rv == APR_SUCCESS ? rv : sync_failed(conf, rv, res);
}

apr_status_t wh_sq_sync(webhook_store *s, uint64_t number, webhook_result *res)
{
    apr_status_t rv = wh_log_sync_begin(s->conf->syncs, number, wh_monotonic() + s->conf->lock_timeout);

    if (rv == APR_INCOMPLETE)
        rv = wh_log_sync_end(s->conf->syncs, s->wal_fd);
    return rv == APR_SUCCESS ? rv : sync_failed(s->conf, rv, res);
}

apr_status_t wh_sq_log_sound(webhook_store *s, webhook_result *res)
{
    apr_status_t rv;

    /* What is written now could not be made durable in time: better not to have written it than to say that it failed. */
    if (wh_log_sync_stuck(s->conf->syncs, s->conf->lock_timeout))
        return wh_sq_trouble(s, WH_SQ_BUSY, 0, res);
    if (!wh_log_sync_in_doubt(s->conf->syncs))
        return APR_SUCCESS;
    rv = wh_log_sync_heal(s->conf->syncs, s->wal_fd, s->deadline);
    if (rv == APR_SUCCESS)
        wh_log(WH_LOG_NOTICE, 0, "WH0513: store %s: the write-ahead log was written and synced once more", s->conf->path);
    return rv == APR_SUCCESS ? rv : wh_sq_trouble(s, rv == APR_TIMEUP ? WH_SQ_BUSY : wh_sq_problem_of(rv), rv, res);
}
