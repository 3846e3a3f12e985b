/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_accept.c: one transaction for many new deliveries; duplicates; making finished jobs ready again. */
#include <string.h>

#include "core/id.h"
#include "store/sqlite_store.h"

/* Bytes a row of each kind takes beside its body, roughly: limits are measured anew every second anyway. */
#define ROW_BYTES 1024

#define ID_SPAN 63  /* rows an id may lie behind its first place */

apr_status_t wh_sq_enter(webhook_store *s, webhook_result *res)
{
    apr_status_t rv = wh_sq_enter_call(s, res);

    if (rv == APR_SUCCESS)
        rv = wh_sq_lock(s, res);
    if (rv == APR_SUCCESS)
        s->entered = 1;
    return rv;
}

void wh_sq_leave(webhook_store *s)
{
    s->entered = 0;
    wh_sq_unlock(s);
}

/* 48 bits of milliseconds, 12 of rand_a, then the 3 behind the two fixed variant bits of RFC 9562's layout. */
sqlite3_int64 wh_sq_n(const unsigned char id[16])
{
    apr_uint64_t n = 0;
    int i;

    for (i = 0; i < 6; i++)
        n = n << 8 | id[i];
    n = n << 4 | (id[6] & 0x0f);
    n = n << 8 | id[7];
    n = n << 3 | ((id[8] >> 3) & 7);
    return (sqlite3_int64)n;
}

int wh_sq_find(webhook_store *s, const unsigned char id[16], sqlite3_stmt **out, sqlite3_int64 *free_n)
{
    sqlite3_int64 n = wh_sq_n(id), at;
    sqlite3_stmt *stmt;
    int rc = wh_sq_row(s, WH_SQ_DELIVERY_FIND, &stmt, "i", n);

    for (at = n; rc == SQLITE_ROW; rc = wh_sq_next(stmt)) {
        sqlite3_int64 row = sqlite3_column_int64(stmt, 0);
        if (row == at)
            at++;
        if (sqlite3_column_bytes(stmt, 1) == 16 && memcmp(sqlite3_column_blob(stmt, 1), id, 16) == 0) {
            *out = stmt;
            return SQLITE_ROW;
        }
    }
    if (free_n)
        *free_n = at <= n + ID_SPAN ? at : -1;
    return rc;
}

/* ---------------------------------------------------------------------------------------------------------- job states --- */

typedef struct job_brief {
    sqlite3_int64 job, handler;
    int state;
} job_brief;

/* A delivery has as many jobs as its endpoint has handlers: few. They are read whole before one is changed, because a changed row moves
 * inside the indexes that are being read. */
static int jobs_of(webhook_store *s, sqlite3_int64 n, apr_array_header_t *jobs)
{
    sqlite3_stmt *stmt;
    int rc = wh_sq_row(s, WH_SQ_JOBS_OF, &stmt, "i", n);

    for (; rc == SQLITE_ROW; rc = wh_sq_next(stmt)) {
        job_brief *j = apr_array_push(jobs);
        j->job = sqlite3_column_int64(stmt, 0);
        j->handler = sqlite3_column_int64(stmt, 1);
        j->state = sqlite3_column_int(stmt, 2);
    }
    return rc;
}

int wh_sq_again(webhook_store *s, sqlite3_int64 n, sqlite3_int64 handler, int only_state, apr_time_t now, int *made, int *seen)
{
    apr_array_header_t *jobs;
    apr_pool_t *p;
    int i, rc;

    apr_pool_create(&p, s->pool);
    jobs = apr_array_make(p, 8, sizeof(job_brief));
    rc = jobs_of(s, n, jobs);
    for (i = 0; i < jobs->nelts && rc == SQLITE_OK; i++) {
        const job_brief *j = &APR_ARRAY_IDX(jobs, i, job_brief);

        if (handler && j->handler != handler)
            continue;
        ++*seen;
        if (j->state < WH_JOB_DONE || (only_state >= 0 && j->state != only_state))
            continue;
        /* "queued" is for jobs never tried; one that was tried waits for its next attempt. */
        rc = wh_sq_run(s, WH_SQ_JOB_AGAIN, "iii", j->job, (sqlite3_int64)WH_JOB_RETRY, (sqlite3_int64)now);
        s->delta[WH_CN_QUEUED + j->state]--;
        s->delta[WH_CN_QUEUED + WH_JOB_RETRY]++;
        ++*made;
    }
    apr_pool_destroy(p);
    return rc;
}

int wh_sq_restate(webhook_store *s, sqlite3_int64 n, wh_sq_closed keep, apr_time_t now)
{
    sqlite3_int64 open = 0, dead = 0, total = 0, finished = now;
    wh_sq_closed closed = keep;
    sqlite3_stmt *stmt;
    int rc = wh_sq_row(s, WH_SQ_JOBS_OF, &stmt, "i", n);

    for (; rc == SQLITE_ROW; rc = wh_sq_next(stmt)) {
        int state = sqlite3_column_int(stmt, 2);
        total++;
        open += state < WH_JOB_DONE;
        dead += state == WH_JOB_DEAD;
    }
    if (rc != SQLITE_OK)
        return rc;
    if (total)
        closed = open ? WH_DL_OPEN : dead ? WH_DL_DEAD : WH_DL_DONE;
    return wh_sq_run(s, WH_SQ_DELIVERY_STATE, "iiiio", n, open, dead, (sqlite3_int64)closed, closed == WH_DL_OPEN ? NULL : &finished);
}

/* -------------------------------------------------------------------------------------------------------------- accept --- */

static int item_failed(webhook_store *s, webhook_accept *item, wh_sq_problem problem)
{
    item->outcome = WEBHOOK_ACCEPT_FAILED;
    wh_sq_say(s->conf, problem, 0, &item->result);
    return SQLITE_OK;
}

/* The sender brought it again and its dead jobs get another life: with what the templates gave now, as they may have died of it. */
static int shape_again(webhook_store *s, const webhook_accept *item, sqlite3_int64 n)
{
    sqlite3_int64 handler;
    int i, rc = SQLITE_OK;

    for (i = 0; i < item->handler_count && rc == SQLITE_OK; i++) {
        if (!item->shapes[i].data)
            continue;
        rc = wh_sq_name_key(s, item->handlers[i], 0, &handler);
        if (rc == SQLITE_OK && handler)
            rc = wh_sq_run(s, WH_SQ_SHAPE_AGAIN, "iiz", n, handler, item->shapes[i].data, item->shapes[i].len);
    }
    return rc;
}

/* Seen before: answer with the first delivery, after making its dead jobs ready again. @param fresh answer: it is to be kept after all */
static int accept_known(webhook_store *s, webhook_accept *item, const unsigned char first[16], apr_time_t now, int *fresh)
{
    sqlite3_stmt *stmt;
    sqlite3_int64 n = 0;
    int rc, closed = 0, dead = 0, made = 0, seen = 0;

    *fresh = 0;
    wh_id_unpack(item->first_id, first);
    rc = wh_sq_find(s, first, &stmt, NULL);
    if (rc == SQLITE_OK) {
        item->outcome = WEBHOOK_ACCEPT_DUPLICATE; /* its row has been cleared away already; it counts all the same */
        return rc;
    }
    if (rc != SQLITE_ROW)
        return rc;
    n = sqlite3_column_int64(stmt, 0);
    closed = sqlite3_column_int(stmt, 2);
    dead = sqlite3_column_int(stmt, 4);
    wh_sq_done(stmt);
    if (item->handler_count > 0 && (closed == WH_DL_UNROUTED || closed == WH_DL_DROPPED)) {
        *fresh = 1;
        return SQLITE_OK;
    }
    rc = wh_sq_run(s, WH_SQ_DELIVERY_COPY, "i", n);
    if (rc == SQLITE_OK && item->handler_count > 0 && dead > 0) {
        rc = wh_sq_again(s, n, 0, WH_JOB_DEAD, now, &made, &seen);
        if (rc == SQLITE_OK && item->shapes && made)
            rc = shape_again(s, item, n);
        if (rc == SQLITE_OK)
            rc = wh_sq_restate(s, n, WH_DL_OPEN, now);
    }
    item->outcome = made ? WEBHOOK_ACCEPT_REQUEUED : WEBHOOK_ACCEPT_DUPLICATE;
    return rc;
}

static int add_rows(webhook_store *s, webhook_accept *item, const unsigned char id[16], sqlite3_int64 n, apr_time_t now)
{
    const webhook_delivery *d = item->delivery;
    sqlite3_int64 endpoint, scheme, body, handler, finished = now;
    wh_sq_closed closed = WH_DL_OPEN;
    int i, rc, in_file = item->staged;

    rc = wh_sq_name_key(s, d->endpoint, 1, &endpoint);
    if (rc == SQLITE_OK)
        rc = wh_sq_name_key(s, d->scheme, 1, &scheme);
    if (rc == SQLITE_OK)
        rc = in_file ? wh_sq_run(s, WH_SQ_BODY_ADD, "zn", d->headers.data, d->headers.len)
                     : wh_sq_run(s, WH_SQ_BODY_ADD, "zz", d->headers.data, d->headers.len, d->body.data, d->body.len);
    if (rc != SQLITE_OK)
        return rc;
    body = sqlite3_last_insert_rowid(s->db);
    if (item->handler_count == 0)
        closed = item->kept_as && strcmp(item->kept_as, "dropped") == 0 ? WH_DL_DROPPED : WH_DL_UNROUTED;
    rc = wh_sq_run(s, WH_SQ_DELIVERY_ADD, "ibiiitttitttt" "itiiii" "ot", n, (const void *)id, (apr_size_t)16, endpoint, scheme,
                   (sqlite3_int64)(d->verified != 0), d->key_id, d->event, d->sender_id, (sqlite3_int64)d->received, d->remote_addr,
                   d->method, d->uri, d->content_type, (sqlite3_int64)d->body_len, d->body_sha256, (sqlite3_int64)in_file, body,
                   (sqlite3_int64)item->handler_count, (sqlite3_int64)closed, closed == WH_DL_OPEN ? NULL : &finished,
                   closed == WH_DL_OPEN ? NULL : item->why);
    for (i = 0; i < item->handler_count && rc == SQLITE_OK; i++) {
        rc = wh_sq_name_key(s, item->handlers[i], 1, &handler);
        if (rc == SQLITE_OK)
            rc = wh_sq_run(s, WH_SQ_JOB_ADD, "iii", n, handler, (sqlite3_int64)now);
        if (rc == SQLITE_OK && item->shapes && item->shapes[i].data)
            rc = wh_sq_run(s, WH_SQ_SHAPE_ADD, "iz", sqlite3_last_insert_rowid(s->db), item->shapes[i].data, item->shapes[i].len);
    }
    s->delta[WH_CN_DELIVERIES]++;
    s->delta[WH_CN_QUEUED] += item->handler_count;
    if (closed != WH_DL_OPEN)
        s->delta[closed == WH_DL_DROPPED ? WH_CN_DROPPED : WH_CN_UNROUTED]++;
    if (in_file)
        s->delta[WH_CN_FILE_BYTES] += d->body_len;
    return rc;
}

/* Whether its key, or else the id it claims, is remembered. @param first answer, with *hit */
static int is_known(webhook_store *s, const webhook_accept *item, apr_time_t now, unsigned char first[16], int *hit)
{
    int rc = SQLITE_OK;

    *hit = 0;
    if (item->dedupe_key)
        rc = wh_sq_key_find(s, item->dedupe_key, now, first, hit);
    if (rc != SQLITE_OK || *hit || !item->dedupe_claim)
        return rc;
    rc = wh_sq_key_find(s, item->dedupe_claim, now, first, hit);
    if (rc == SQLITE_OK && *hit && item->dedupe_key)
        rc = wh_sq_key_add(s, item->dedupe_key, first, now + item->dedupe_window);
    return rc;
}

static int remember(webhook_store *s, const webhook_accept *item, const unsigned char id[16], apr_time_t now)
{
    int rc = SQLITE_OK;

    if (item->dedupe_key)
        rc = wh_sq_key_add(s, item->dedupe_key, id, now + item->dedupe_window);
    if (rc == SQLITE_OK && item->dedupe_claim)
        rc = wh_sq_key_add(s, item->dedupe_claim, id, now + item->dedupe_window);
    return rc;
}

static int accept_one(webhook_store *s, webhook_accept *item, apr_time_t now)
{
    const webhook_delivery *d = item->delivery;
    sqlite3_int64 n = -1;
    apr_int64_t bytes = d->body_len + (apr_int64_t)d->headers.len + ROW_BYTES;
    wh_sq_problem problem;
    unsigned char id[16], first[16];
    sqlite3_stmt *stmt;
    int i, rc, hit, fresh = 1;

    for (i = 0; item->shapes && i < item->handler_count; i++)
        bytes += (apr_int64_t)item->shapes[i].len;
    rc = is_known(s, item, now, first, &hit);
    if (rc == SQLITE_OK && hit)
        rc = accept_known(s, item, first, now, &fresh);
    if (rc != SQLITE_OK || !fresh)
        return rc;
    if (!wh_sq_room(s, s->delta[WH_CN_DELIVERIES] + 1, bytes, &problem))
        return item_failed(s, item, problem);
    wh_id_pack(id, d->id);
    rc = wh_sq_find(s, id, &stmt, &n);
    if (rc == SQLITE_ROW) {
        wh_sq_done(stmt);
        return item_failed(s, item, WH_SQ_ITEM); /* an id is used once */
    }
    if (rc != SQLITE_OK)
        return rc;
    if (n < 0)
        return item_failed(s, item, WH_SQ_ITEM);
    rc = add_rows(s, item, id, n, now);
    if (rc == SQLITE_OK)
        rc = remember(s, item, id, now);
    if (rc != SQLITE_OK)
        return rc;
    s->used += bytes;
    if (s->free >= 0)
        s->free -= bytes;
    item->outcome = WEBHOOK_ACCEPT_STORED;
    memcpy(item->first_id, d->id, WH_ID_LEN + 1);
    return SQLITE_OK;
}

static int item_is_sound(const webhook_accept *item)
{
    const webhook_delivery *d = item->delivery;

    return wh_id_valid(d->id) && d->endpoint && d->scheme && d->remote_addr && d->method && d->uri && d->body_sha256 && d->body_len >= 0
           && (d->body_file || (apr_off_t)d->body.len == d->body_len) && item->handler_count >= 0;
}

static void fail_all(webhook_accept *const *items, int count, const webhook_result *res)
{
    int i;

    for (i = 0; i < count; i++) {
        items[i]->outcome = WEBHOOK_ACCEPT_FAILED;
        items[i]->result = *res;
    }
}

/* Refuse what cannot be a row, and write the files of big bodies nobody staged. */
static void prepare_items(webhook_store *s, webhook_accept *const *items, int count)
{
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, s->pool);
    for (i = 0; i < count; i++) {
        webhook_accept *item = items[i];

        item->outcome = WEBHOOK_ACCEPT_PENDING;
        item->first_id[0] = '\0';
        if (!item_is_sound(item))
            item_failed(s, item, WH_SQ_ITEM);
        else
            wh_sq_stage(s->conf, item, p);
    }
    apr_pool_destroy(p);
}

static void unstage_unless_stored(webhook_store *s, webhook_accept *const *items, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        if (items[i]->outcome != WEBHOOK_ACCEPT_STORED)
            wh_sq_unstage(s->conf, items[i]);
    }
}

apr_status_t wh_sq_write(webhook_store *s, webhook_accept *const *items, int count, apr_time_t now, webhook_sync *sync, webhook_result *res)
{
    apr_status_t rv;
    int i, rc, changed = 0, keys = 0;

    prepare_items(s, items, count);
    rv = wh_sq_begin_unsynced(s, res);
    if (rv != APR_SUCCESS) {
        fail_all(items, count, res);
        unstage_unless_stored(s, items, count);
        return rv;
    }
    for (i = 0; i < count; i++)
        keys |= items[i]->dedupe_key || items[i]->dedupe_claim;
    rc = wh_sq_measure(s);
    if (rc == SQLITE_OK && keys)
        rc = wh_sq_keys_begin(s);
    for (i = 0; i < count && rc == SQLITE_OK; i++) {
        if (items[i]->outcome != WEBHOOK_ACCEPT_PENDING)
            continue;
        rc = accept_one(s, items[i], now);
        changed += items[i]->outcome != WEBHOOK_ACCEPT_FAILED;
    }
    if (rc != SQLITE_OK) {
        rv = wh_sq_failed(s, rc, "accepting", res);
        fail_all(items, count, res);
        unstage_unless_stored(s, items, count);
        return rv;
    }
    if (!changed) {
        wh_sq_abandon(s);
        unstage_unless_stored(s, items, count);
        *res = items[0]->result;
        return res->rv;
    }
    rv = wh_sq_commit(s, res);
    if (rv != APR_SUCCESS) {
        /* A commit that failed may still be found after a crash; its body files stay for that case, or are swept as orphans. */
        fail_all(items, count, res);
        return rv;
    }
    if (keys)
        wh_sq_keys_committed(s);
    unstage_unless_stored(s, items, count);
    if (s->number > sync->number)
        sync->number = s->number;
    return APR_SUCCESS;
}

apr_status_t wh_sq_accept(webhook_store *s, webhook_accept *const *items, int count, apr_time_t now, webhook_result *res)
{
    webhook_sync sync = { 0, -1 };
    apr_status_t rv = wh_sq_write(s, items, count, now, &sync, res);

    if (rv == APR_SUCCESS)
        rv = wh_sq_sync(s, sync.number, res);
    if (rv != APR_SUCCESS)
        fail_all(items, count, res);
    return rv;
}
