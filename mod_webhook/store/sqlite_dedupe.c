/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_dedupe.c: the idempotency keys. The table `dedupe` is a list in the order of acceptance; key_index.h finds the rows of a key in it.
 * The index is brought up to date at the beginning of each transaction with what was committed since, by whatever process: other children
 * share it, but those of another generation, or of another server on the same store, have one of their own.
 */
#include <string.h>

#include "core/log.h"
#include "store/key_index.h"
#include "store/sqlite_store.h"

static sqlite3_int64 eight_bytes(const unsigned char *b)
{
    apr_uint64_t v = 0;
    int i;

    for (i = 0; i < 8; i++)
        v = v << 8 | b[i];
    return (sqlite3_int64)v;
}

/* 61 bits of the key, as version 1 of the schema kept them, and 64 that tell apart what shares those. */
static sqlite3_int64 hash_of(const unsigned char *key)
{
    return (sqlite3_int64)((apr_uint64_t)eight_bytes(key) >> 1) & ~(sqlite3_int64)3;
}

static uint64_t index_hash(sqlite3_int64 hash)
{
    return (uint64_t)hash >> 2;
}

static void add(const webhook_store_conf *conf, sqlite3_int64 hash, sqlite3_int64 k, sqlite3_int64 first)
{
    if (wh_key_index_add(conf->keys, index_hash(hash), k, first))
        wh_log(WH_LOG_WARNING, 0, "WH0516: store %s: more idempotency keys than fit into memory; repetitions of the oldest are no longer seen", conf->path);
}

int wh_sq_keys_load(const webhook_store_conf *conf, const wh_sq_file *file, sqlite3_stmt *ends, sqlite3_stmt *since, sqlite3_int64 *first)
{
    sqlite3_int64 k = 0;
    int rc;

    if (wh_key_index_map(conf->keys, 0) != APR_SUCCESS)
        return SQLITE_NOMEM;
    wh_key_index_for(conf->keys, (uint64_t)file->dev * 0x9e3779b97f4a7c15u + (uint64_t)file->ino);
    rc = sqlite3_step(ends);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
    *first = sqlite3_column_int64(ends, 0);
    /* The newest row is never removed, so a list that ends earlier is another list: a copy was put back. */
    if (sqlite3_column_int64(ends, 1) < wh_key_index_last(conf->keys))
        wh_key_index_clear(conf->keys);
    rc = sqlite3_reset(ends);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(since, 1, wh_key_index_last(conf->keys));
    if (rc != SQLITE_OK)
        return rc;
    while ((rc = sqlite3_step(since)) == SQLITE_ROW) {
        k = sqlite3_column_int64(since, 0);
        add(conf, sqlite3_column_int64(since, 1), k, *first);
    }
    if (rc != SQLITE_DONE)
        return rc;
    wh_key_index_known(conf->keys, k);
    return sqlite3_reset(since);
}

int wh_sq_keys_begin(webhook_store *s)
{
    sqlite3_stmt *ends, *since;
    int rc = wh_sq_prepared(s, WH_SQ_KEY_ENDS, &ends);

    s->key_added = 0;
    if (rc == SQLITE_OK)
        rc = wh_sq_prepared(s, WH_SQ_KEYS_SINCE, &since);
    if (rc == SQLITE_OK)
        rc = wh_sq_keys_load(s->conf, &s->file[0], ends, since, &s->key_first);
    return rc;
}

void wh_sq_keys_committed(webhook_store *s)
{
    wh_key_index_known(s->conf->keys, s->key_added);
}

int wh_sq_key_find(webhook_store *s, const unsigned char *key, apr_time_t now, unsigned char id[16], int *hit)
{
    sqlite3_int64 hash = hash_of(key), rest = eight_bytes(key + 8), second = now / 1000000;
    int64_t k, newest = 0;
    uint64_t at = 0;

    *hit = 0;
    while (wh_key_index_next(s->conf->keys, index_hash(hash), &at, &k)) {
        sqlite3_stmt *stmt;
        int rc;

        /* A key is there twice when what it first stood for was not wanted then. */
        if (k < newest)
            continue;
        rc = wh_sq_row(s, WH_SQ_KEY_GET, &stmt, "i", (sqlite3_int64)k);
        if (rc == SQLITE_OK)
            continue;
        if (rc != SQLITE_ROW)
            return rc;
        if (sqlite3_column_int64(stmt, 0) == hash && sqlite3_column_int64(stmt, 1) == rest && sqlite3_column_bytes(stmt, 2) == 16
            && sqlite3_column_int64(stmt, 3) > second) {
            newest = k;
            *hit = 1;
            memcpy(id, sqlite3_column_blob(stmt, 2), 16);
        }
        wh_sq_done(stmt);
    }
    return SQLITE_OK;
}

int wh_sq_key_add(webhook_store *s, const unsigned char *key, const unsigned char id[16], apr_time_t until)
{
    sqlite3_int64 hash = hash_of(key), expires = (until + 999999) / 1000000;
    int rc = wh_sq_run(s, WH_SQ_KEY_ADD, "iibi", hash, eight_bytes(key + 8), (const void *)id, (apr_size_t)16, expires);

    if (rc != SQLITE_OK)
        return rc;
    s->key_added = sqlite3_last_insert_rowid(s->db);
    add(s->conf, hash, s->key_added, s->key_first);
    return SQLITE_OK;
}
