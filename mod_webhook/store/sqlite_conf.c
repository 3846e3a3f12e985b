/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_conf.c: the SQLite store's table, its WebhookStore line, and the sentences callers are given when something is wrong with the file. */
#include <apr_strings.h>
#include <stddef.h>
#include <string.h>

#include "core/options.h"
#include "core/units.h"
#include "store/sqlite_store.h"

#define SECOND APR_TIME_C(1000000)
#define DAY (86400 * SECOND)
#define KIB APR_INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

static const wh_option_spec sqlite_options[] = {
    { "rows", WH_OPT_INT, offsetof(webhook_store_conf, rows), 1, 2000000000, NULL },
    { "size", WH_OPT_SIZE, offsetof(webhook_store_conf, size), MIB, 1024 * TIB, NULL },
    { "reserve", WH_OPT_SIZE, offsetof(webhook_store_conf, reserve), 0, 1024 * TIB, NULL },
    { "free", WH_OPT_SIZE, offsetof(webhook_store_conf, free), 0, 1024 * TIB, NULL },
    { "done", WH_OPT_DURATION, offsetof(webhook_store_conf, done), 0, 36500 * DAY, NULL },
    { "dead", WH_OPT_DURATION, offsetof(webhook_store_conf, dead), 0, 36500 * DAY, NULL },
    { "body-file", WH_OPT_SIZE, offsetof(webhook_store_conf, body_file), 0, 64 * MIB, NULL },
    { "lock-timeout", WH_OPT_DURATION, offsetof(webhook_store_conf, lock_timeout), 10000, 60 * SECOND, NULL },
    { "wal-limit", WH_OPT_SIZE, offsetof(webhook_store_conf, wal_limit), MIB, 4 * GIB, NULL },
    { NULL, WH_OPT_STRING, 0, 0, 0, NULL }
};

static void compose_sentences(webhook_store_conf *c, apr_pool_t *p)
{
    const char *f = c->path;

    c->say[WH_SQ_BUSY] = apr_psprintf(p, "the store %s is in use by another process for longer than lock-timeout=", f);
    c->say[WH_SQ_BUSY] = apr_pstrcat(p, c->say[WH_SQ_BUSY], wh_format_duration(c->lock_timeout, p), NULL);
    c->say[WH_SQ_FULL] = apr_psprintf(p, "no space is left for the store %s", f);
    c->say[WH_SQ_LIMIT] = apr_psprintf(p, "the store %s has reached rows=%d or size=%s", f, c->rows,
                                       wh_format_size(c->size, p));
    c->say[WH_SQ_SPACE] = apr_psprintf(p, "less than free=%s is left on the file system of the store %s", wh_format_size(c->free, p), f);
    c->say[WH_SQ_FAILED] = apr_psprintf(p, "the store %s cannot be read or written", f);
    c->say[WH_SQ_GONE] = apr_psprintf(p, "the store %s is missing: restore it; to begin anew with an empty one, remove %s too and restart",
                                      f, c->lock);
    c->say[WH_SQ_REPLACED] = apr_psprintf(p, "the files of the store %s were replaced or removed while it was in use", f);
    c->say[WH_SQ_FOREIGN] = apr_psprintf(p, "%s is not a store of this module: move it away, or name another file in WebhookStore", f);
    c->say[WH_SQ_CORRUPT] = apr_psprintf(p, "the store %s is damaged: restore it from a backup; to begin anew, move it and %s away"
                                         " and restart", f, c->lock);
    c->say[WH_SQ_NEWER] = apr_psprintf(p, "the store %s was written by a later version of this module", f);
    c->say[WH_SQ_OLDER] = apr_psprintf(p, "the store %s was written by an earlier version of this module: restart the server to bring it"
                                       " up to date", f);
    c->say[WH_SQ_FORKED] = apr_psprintf(p, "the store %s was used in a process that did not open it", f);
    c->say[WH_SQ_ITEM] = apr_psprintf(p, "this delivery cannot be kept in the store %s", f);
}

const char *wh_sq_configure(webhook_store_conf **out, const char *target, const apr_array_header_t *options, apr_pool_t *pconf,
                            apr_pool_t *ptemp)
{
    webhook_store_conf *c = apr_pcalloc(pconf, sizeof *c);
    const char *slash, *err;

    *out = NULL;
    slash = target ? strrchr(target, '/') : NULL;
    if (!target || target[0] != '/' || !slash[1])
        return apr_psprintf(ptemp, "store sqlite: \"%s\" is not the absolute path of a file (expected sqlite:/directory/queue.db)",
                            target ? target : "");
    c->keys = wh_key_index_create(pconf);
    c->syncs = wh_log_sync_create(pconf);
    c->path = apr_pstrdup(pconf, target);
    c->dir = slash == target ? "/" : apr_pstrmemdup(pconf, target, (apr_size_t)(slash - target));
    c->lock = apr_pstrcat(pconf, target, ".lock", NULL);
    c->wal = apr_pstrcat(pconf, target, "-wal", NULL);
    c->shm = apr_pstrcat(pconf, target, "-shm", NULL);
    c->bodies = apr_pstrcat(pconf, target, "-bodies", NULL);

    c->rows = 10000000;
    c->size = 10 * GIB;
    c->reserve = -1;
    c->free = GIB;
    c->done = 7 * DAY;
    c->dead = 30 * DAY;
    c->body_file = 64 * KIB;
    c->lock_timeout = 5 * SECOND;
    c->wal_limit = 64 * MIB;
    if (options && (err = wh_options_apply(c, sqlite_options, options, "store sqlite", ptemp)) != NULL)
        return err;
    if (c->reserve < 0)
        c->reserve = c->size / 16 < 64 * MIB ? c->size / 16 : 64 * MIB;
    if (c->reserve >= c->size)
        return apr_psprintf(ptemp, "store sqlite: reserve=%s leaves nothing of size=%s (reserve must be smaller than size)",
                            wh_format_size(c->reserve, ptemp), wh_format_size(c->size, ptemp));
    compose_sentences(c, pconf);
    *out = c;
    return NULL;
}

const char *wh_sq_describe(const webhook_store_conf *c, apr_pool_t *p)
{
    return apr_pstrcat(p, "path=", c->path, "\nrows=", apr_itoa(p, c->rows), "\nsize=", wh_format_size(c->size, p),
                       "\nreserve=", wh_format_size(c->reserve, p), "\nfree=", wh_format_size(c->free, p),
                       "\ndone=", wh_format_duration(c->done, p), "\ndead=", wh_format_duration(c->dead, p),
                       "\nbody-file=", wh_format_size(c->body_file, p), "\nlock-timeout=", wh_format_duration(c->lock_timeout, p),
                       "\nwal-limit=", wh_format_size(c->wal_limit, p), "\n", NULL);
}

const webhook_store_provider wh_store_sqlite = {
    .name = "sqlite",
    .configure = wh_sq_configure,
    .init = wh_sq_init,
    .open = wh_sq_open,
    .accept = wh_sq_accept,
    .own = wh_sq_own,
    .turn = wh_sq_turn,
    .reclaim = wh_sq_reclaim,
    .maintain = wh_sq_maintain,
    .list = wh_sq_list,
    .replay = wh_sq_replay,
    .stats = wh_sq_stats,
    .waiting_handlers = wh_sq_waiting,
    .describe = wh_sq_describe,
    .stage = wh_sq_stage,
    .enter = wh_sq_enter,
    .leave = wh_sq_leave,
    .write = wh_sq_write,
    .sync_turn = wh_sq_sync_turn,
    .sync_begin = wh_sq_sync_begin,
    .sync_end = wh_sq_sync_end,
    .work_due = wh_sq_work_due,
    .work = wh_sq_work,
    .life_fd = wh_sq_life_fd,
};
