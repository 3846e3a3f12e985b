/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_query.c: listing, replay, handlers that have work; rows into structures. */
#include <apr_strings.h>
#include <string.h>

#include "core/id.h"
#include "core/units.h"
#include "store/sqlite_store.h"

/* Slack between the time inside an id and the row's `received`, when the latter narrows the walk over the former. */
#define ID_SLACK (APR_TIME_C(600) * 1000000)
#define PROGRESS_OPS 20000
#define LIST_MAX 1000

static const char *const job_states[] = { "queued", "retry", "leased", "done", "dead" };
static const char *const attempt_outcomes[] = { "", "done", "retry", "dead", "released", "lost" };

int wh_sq_delivery(webhook_store *s, sqlite3_stmt *stmt, webhook_delivery *d, sqlite3_int64 *body, apr_pool_t *p)
{
    char *id = apr_palloc(p, WH_ID_LEN + 1);
    const char *endpoint, *scheme;
    int rc;

    if (sqlite3_column_bytes(stmt, 1) != 16)
        return SQLITE_CORRUPT;
    wh_id_unpack(id, sqlite3_column_blob(stmt, 1));
    d->id = id;
    rc = wh_sq_name_text(s, sqlite3_column_int64(stmt, 2), &endpoint);
    if (rc == SQLITE_OK)
        rc = wh_sq_name_text(s, sqlite3_column_int64(stmt, 3), &scheme);
    if (rc != SQLITE_OK)
        return rc;
    d->endpoint = apr_pstrdup(p, endpoint);
    d->scheme = apr_pstrdup(p, scheme);
    d->verified = sqlite3_column_int(stmt, 4);
    d->key_id = wh_sq_text(stmt, 5, p);
    d->event = wh_sq_text(stmt, 6, p);
    d->sender_id = wh_sq_text(stmt, 7, p);
    d->received = sqlite3_column_int64(stmt, 8);
    d->remote_addr = wh_sq_text(stmt, 9, p);
    d->method = wh_sq_text(stmt, 10, p);
    d->uri = wh_sq_text(stmt, 11, p);
    d->content_type = wh_sq_text(stmt, 12, p);
    d->body_len = sqlite3_column_int64(stmt, 13);
    d->body_sha256 = wh_sq_text(stmt, 14, p);
    d->body_file = sqlite3_column_int(stmt, 15) ? wh_sq_body_path(s->conf, id, p) : NULL;
    *body = sqlite3_column_int64(stmt, 16);
    return d->remote_addr && d->method && d->uri && d->body_sha256 ? SQLITE_OK : SQLITE_CORRUPT;
}

int wh_sq_load_body(webhook_store *s, sqlite3_int64 body, webhook_delivery *d, apr_pool_t *p)
{
    sqlite3_stmt *stmt;
    int rc = wh_sq_row(s, WH_SQ_BODY_GET, &stmt, "i", body);

    if (rc != SQLITE_ROW)
        return rc == SQLITE_OK ? SQLITE_CORRUPT : rc;
    d->headers = wh_sq_blob(stmt, 0, p);
    d->body = wh_sq_blob(stmt, 1, p);
    wh_sq_done(stmt);
    return SQLITE_OK;
}

int wh_sq_load_shape(webhook_store *s, sqlite3_int64 job, webhook_slice *shape, apr_pool_t *p)
{
    sqlite3_stmt *stmt;
    int rc = wh_sq_row(s, WH_SQ_SHAPE_GET, &stmt, "i", job);

    shape->data = NULL;
    shape->len = 0;
    if (rc != SQLITE_ROW)
        return rc;
    *shape = wh_sq_blob(stmt, 0, p);
    wh_sq_done(stmt);
    return SQLITE_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- list --- */

static int give_up(void *baton)
{
    const webhook_store *s = baton;

    return wh_monotonic() >= s->deadline;
}

/* Number of WH_SQ_STATE_SQL for a word; 0 if the word is none. */
static int state_number(const char *word, sqlite3_int64 *number)
{
    int i;

    for (i = 0; i < 5; i++) {
        if (strcmp(word, job_states[i]) == 0) {
            *number = i;
            return 1;
        }
    }
    *number = strcmp(word, "unrouted") == 0 ? -1 : -2;
    return *number == -1 || strcmp(word, "dropped") == 0;
}

static const char *state_word(int number)
{
    return number == -1 ? "unrouted" : number == -2 ? "dropped" : number >= 0 && number < 5 ? job_states[number] : "";
}

static sqlite3_int64 n_of_time(apr_time_t t)
{
    sqlite3_int64 ms = t < 0 ? 0 : t / 1000;

    return ms < (APR_INT64_C(1) << 48) ? ms << 15 : APR_INT64_MAX;
}

static int load_attempts(webhook_store *s, webhook_job_row *j, apr_pool_t *p)
{
    apr_array_header_t *attempts = apr_array_make(p, 4, sizeof(webhook_attempt_row));
    sqlite3_stmt *stmt;
    int rc = wh_sq_row(s, WH_SQ_LIST_ATTEMPTS, &stmt, "ii", WH_SQ_ATTEMPT(j->job, 0), WH_SQ_ATTEMPT(j->job + 1, 0) - 1);

    for (; rc == SQLITE_ROW; rc = wh_sq_next(stmt)) {
        webhook_attempt_row *a = apr_array_push(attempts);
        int outcome = sqlite3_column_int(stmt, 3);

        memset(a, 0, sizeof *a);
        a->attempt = (int)(sqlite3_column_int64(stmt, 0) & ((1 << WH_SQ_ATTEMPT_BITS) - 1));
        a->started = sqlite3_column_int64(stmt, 1);
        a->ended = sqlite3_column_int64(stmt, 2);
        a->outcome = attempt_outcomes[outcome >= 1 && outcome <= WH_AT_LOST ? outcome : 0];
        a->code = sqlite3_column_int(stmt, 4);
        a->reason = wh_sq_text(stmt, 5, p);
        a->detail = wh_sq_text(stmt, 6, p);
        a->output = wh_sq_blob(stmt, 7, p);
    }
    j->attempt_rows = attempts;
    return rc;
}

static int load_jobs(webhook_store *s, sqlite3_int64 n, webhook_row *row, int with_attempts, int with_shapes, apr_pool_t *p)
{
    apr_array_header_t *jobs = apr_array_make(p, 4, sizeof(webhook_job_row));
    sqlite3_stmt *stmt;
    int i, rc = wh_sq_row(s, WH_SQ_LIST_JOBS, &stmt, "i", n);

    for (; rc == SQLITE_ROW; rc = wh_sq_next(stmt)) {
        webhook_job_row *j = apr_array_push(jobs);
        const char *handler;
        int state = sqlite3_column_int(stmt, 2), name_rc;

        memset(j, 0, sizeof *j);
        j->job = sqlite3_column_int64(stmt, 0);
        name_rc = wh_sq_name_text(s, sqlite3_column_int64(stmt, 1), &handler);
        if (name_rc != SQLITE_OK) {
            wh_sq_done(stmt);
            return name_rc;
        }
        j->handler = apr_pstrdup(p, handler);
        j->state = state_word(state);
        j->attempts = sqlite3_column_int(stmt, 3);
        j->due = sqlite3_column_int64(stmt, 4);
        j->reason = wh_sq_text(stmt, 5, p);
    }
    for (i = 0; with_attempts && i < jobs->nelts && rc == SQLITE_OK; i++)
        rc = load_attempts(s, &APR_ARRAY_IDX(jobs, i, webhook_job_row), p);
    for (i = 0; with_shapes && i < jobs->nelts && rc == SQLITE_OK; i++)
        rc = wh_sq_load_shape(s, APR_ARRAY_IDX(jobs, i, webhook_job_row).job, &APR_ARRAY_IDX(jobs, i, webhook_job_row).shape, p);
    row->jobs = jobs;
    return rc;
}

typedef struct list_filter {
    unsigned char id[16];
    sqlite3_int64 endpoint, handler, state, since, before;
    sqlite3_int64 first, last, after; /* of n */
} list_filter;

/* @return 1, or 0 when nothing can match */
static int filter_make(webhook_store *s, const webhook_query *q, list_filter *f, int *rc)
{
    unsigned char after[16];
    sqlite3_stmt *stmt;

    *rc = SQLITE_OK;
    f->first = 0;
    f->last = APR_INT64_MAX;
    f->after = q->ascending ? -1 : APR_INT64_MAX;
    if (q->id) {
        if (!wh_id_valid(q->id))
            return 0;
        wh_id_pack(f->id, q->id);
        f->first = wh_sq_n(f->id);
        f->last = f->first + 63;
    }
    if (q->endpoint) {
        *rc = wh_sq_name_key(s, q->endpoint, 0, &f->endpoint);
        if (*rc != SQLITE_OK || !f->endpoint)
            return 0;
    }
    if (q->handler) {
        *rc = wh_sq_name_key(s, q->handler, 0, &f->handler);
        if (*rc != SQLITE_OK || !f->handler)
            return 0;
    }
    if (q->state && !state_number(q->state, &f->state))
        return 0;
    f->since = q->since;
    f->before = q->before;
    if (q->since && n_of_time(q->since - ID_SLACK) > f->first)
        f->first = n_of_time(q->since - ID_SLACK);
    if (q->before && n_of_time(q->before + ID_SLACK) < f->last)
        f->last = n_of_time(q->before + ID_SLACK);
    if (q->after_id) {
        if (!wh_id_valid(q->after_id))
            return 0;
        wh_id_pack(after, q->after_id);
        *rc = wh_sq_find(s, after, &stmt, NULL);
        if (*rc == SQLITE_ROW) {
            f->after = sqlite3_column_int64(stmt, 0);
            wh_sq_done(stmt);
            *rc = SQLITE_OK;
        } else {
            f->after = wh_sq_n(after); /* cleared away since the page before: its place is known all the same */
        }
    }
    return *rc == SQLITE_OK;
}

static int list_rows(webhook_store *s, const webhook_query *q, const list_filter *f, apr_array_header_t *rows, apr_pool_t *p)
{
    int limit = q->limit < 1 ? 1 : q->limit > LIST_MAX ? LIST_MAX : q->limit, rc;
    int dead = q->state && strcmp(q->state, "dead") == 0;
    wh_sq_statement which = dead ? (q->ascending ? WH_SQ_DEAD_OLDEST : WH_SQ_DEAD_NEWEST)
                                 : (q->ascending ? WH_SQ_LIST_OLDEST : WH_SQ_LIST_NEWEST);
    sqlite3_stmt *stmt;

    rc = wh_sq_row(s, which, &stmt, "botooooiiii", q->id ? (const void *)f->id : NULL, (apr_size_t)16, q->endpoint ? &f->endpoint : NULL,
                   q->event, q->handler ? &f->handler : NULL, q->state ? &f->state : NULL, q->since ? &f->since : NULL,
                   q->before ? &f->before : NULL, f->first, f->after, (sqlite3_int64)limit, f->last);
    while (rc == SQLITE_ROW) {
        webhook_row *row = apr_pcalloc(p, sizeof *row);
        sqlite3_int64 body, n = sqlite3_column_int64(stmt, 0);

        rc = wh_sq_delivery(s, stmt, &row->delivery, &body, p);
        row->duplicates = sqlite3_column_int(stmt, 17);
        row->state = state_word(sqlite3_column_int(stmt, 18));
        if (rc == SQLITE_OK && q->with_body)
            rc = wh_sq_load_body(s, body, &row->delivery, p);
        if (rc == SQLITE_OK && q->with_jobs)
            rc = load_jobs(s, n, row, q->with_attempts, q->with_shapes, p);
        if (rc != SQLITE_OK) {
            wh_sq_done(stmt);
            return rc;
        }
        APR_ARRAY_PUSH(rows, webhook_row *) = row;
        rc = wh_sq_next(stmt);
    }
    return rc;
}

apr_status_t wh_sq_list(webhook_store *s, const webhook_query *q, apr_array_header_t *rows, apr_pool_t *p, webhook_result *res)
{
    apr_status_t rv = wh_sq_reader(s, res);
    int rc, end, before = rows->nelts;
    list_filter f;

    if (rv != APR_SUCCESS)
        return rv;
    memset(&f, 0, sizeof f);
    /* A filter that matches little reads much: no longer than any other call may take, for meanwhile the log cannot be begun anew. */
    sqlite3_progress_handler(s->db, PROGRESS_OPS, give_up, s);
    rc = wh_sq_run(s, WH_SQ_BEGIN_READ, "");
    if (rc == SQLITE_OK) {
        if (filter_make(s, q, &f, &rc))
            rc = list_rows(s, q, &f, rows, p);
        end = wh_sq_run(s, WH_SQ_COMMIT, "");
        if (rc == SQLITE_OK)
            rc = end;
    }
    sqlite3_progress_handler(s->db, 0, NULL, NULL);
    if (rc == SQLITE_OK)
        return APR_SUCCESS;
    rows->nelts = before;
    return wh_sq_failed(s, rc, "listing", res);
}

/* -------------------------------------------------------------------------------------------------------------- replay --- */

static int replay_rows(webhook_store *s, const char *id, const char *handler, apr_time_t now, int *made, int *found)
{
    sqlite3_int64 n, key = 0;
    unsigned char packed[16];
    sqlite3_stmt *stmt;
    int rc, closed, seen = 0;

    *made = *found = 0;
    wh_id_pack(packed, id);
    rc = wh_sq_find(s, packed, &stmt, NULL);
    if (rc != SQLITE_ROW)
        return rc;
    *found = 1;
    n = sqlite3_column_int64(stmt, 0);
    closed = sqlite3_column_int(stmt, 2);
    wh_sq_done(stmt);
    if (handler && (rc = wh_sq_name_key(s, handler, 1, &key)) != SQLITE_OK)
        return rc;
    rc = wh_sq_again(s, n, key, -1, now, made, &seen);
    if (rc == SQLITE_OK && handler && !seen) {
        rc = wh_sq_run(s, WH_SQ_JOB_ADD, "iii", n, key, (sqlite3_int64)now);
        s->delta[WH_CN_QUEUED]++;
        ++*made;
    }
    if (rc != SQLITE_OK || !*made)
        return rc;
    if (closed == WH_DL_UNROUTED)
        s->delta[WH_CN_UNROUTED]--;
    if (closed == WH_DL_DROPPED)
        s->delta[WH_CN_DROPPED]--;
    return wh_sq_restate(s, n, (wh_sq_closed)closed, now);
}

apr_status_t wh_sq_replay(webhook_store *s, const char *id, const char *handler, apr_time_t now, int *count, webhook_result *res)
{
    apr_status_t rv;
    int rc, found;

    *count = 0;
    if (!wh_id_valid(id))
        return APR_NOTFOUND;
    rv = wh_sq_begin(s, res);
    if (rv != APR_SUCCESS)
        return rv;
    rc = replay_rows(s, id, handler, now, count, &found);
    if (rc != SQLITE_OK) {
        *count = 0;
        return wh_sq_failed(s, rc, "replaying", res);
    }
    if (!*count) {
        wh_sq_abandon(s);
        return found ? APR_SUCCESS : APR_NOTFOUND;
    }
    rv = wh_sq_commit(s, res);
    if (rv != APR_SUCCESS)
        *count = 0;
    return rv;
}

/* ------------------------------------------------------------------------------------------------------------ handlers --- */

apr_status_t wh_sq_waiting(webhook_store *s, apr_array_header_t *names, apr_pool_t *p, webhook_result *res)
{
    apr_status_t rv = wh_sq_reader(s, res);
    apr_hash_t *leased = apr_hash_make(p);
    sqlite3_stmt *stmt, *wait;
    int rc, before = names->nelts;

    if (rv != APR_SUCCESS)
        return rv;
    rc = wh_sq_row(s, WH_SQ_LEASED_BY, &stmt, "");
    for (; rc == SQLITE_ROW; rc = wh_sq_next(stmt)) {
        sqlite3_int64 *k = apr_palloc(p, sizeof *k);
        *k = sqlite3_column_int64(stmt, 0);
        apr_hash_set(leased, k, sizeof *k, k);
    }
    if (rc == SQLITE_OK)
        rc = wh_sq_row(s, WH_SQ_NAMES, &stmt, "");
    while (rc == SQLITE_ROW) {
        sqlite3_int64 k = sqlite3_column_int64(stmt, 0);
        int waits;

        rc = wh_sq_row(s, WH_SQ_WAITS, &wait, "i", k);
        if (rc != SQLITE_OK && rc != SQLITE_ROW) {
            wh_sq_done(stmt);
            break;
        }
        waits = rc == SQLITE_ROW;
        if (waits)
            wh_sq_done(wait);
        if (waits || apr_hash_get(leased, &k, sizeof k))
            APR_ARRAY_PUSH(names, const char *) = wh_sq_text(stmt, 1, p);
        rc = wh_sq_next(stmt);
    }
    if (rc == SQLITE_OK)
        return APR_SUCCESS;
    names->nelts = before;
    return wh_sq_failed(s, rc, "looking for handlers", res);
}
