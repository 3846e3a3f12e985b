/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_turn.c: the dispatcher's side: settle what ended, lease what is due, take back what a dead owner or an expired lease left.
 *
 * A lease is a row in state "leased" with a token that no other lease ever had; a settlement that does not bring that token changes
 * nothing. An owner is a number whose byte in the lock file is locked as long as its process lives.
 *
 * A turn that only leases is committed without a sync of its own: it is on the way of every delivery, and all a power cut can undo is that
 * the attempt happened, which is repeated then (with the same number) as after any crash. Killed processes undo nothing: what was
 * written is in the kernel's hands. A settlement is synced, and with it every lease before it.
 */
#include <apr_strings.h>
#include <string.h>

#include "core/encoding.h"
#include "core/log.h"
#include "core/reasons.h"
#include "store/sqlite_store.h"
#include "store/store.h"

#define LEASE_BYTES_MAX (32 * 1024 * 1024) /* bodies loaded in one turn */
#define OWNER_TRIES 1000

/* ------------------------------------------------------------------------------------------------------------- owners --- */

static int owner_ensure(webhook_store *s)
{
    apr_int64_t last;
    int rc, i;

    if (s->lock.owner && s->owner_file.dev == s->file[0].dev && s->owner_file.ino == s->file[0].ino)
        return SQLITE_OK;
    rc = wh_sq_counter_get(s, WH_CN_OWNER, &last);
    if (rc != SQLITE_OK)
        return rc;
    /* A number whose transaction was rolled back may still be held by who took it: the next is as good. */
    for (i = 1; i <= OWNER_TRIES; i++) {
        if (wh_lock_own(&s->lock, last + i) == APR_SUCCESS) {
            s->delta[WH_CN_OWNER] += i;
            s->owner_file = s->file[0];
            return SQLITE_OK;
        }
    }
    return SQLITE_IOERR_LOCK;
}

apr_status_t wh_sq_own(webhook_store *s, webhook_result *res)
{
    apr_status_t rv = wh_sq_begin(s, res);
    int rc;

    if (rv != APR_SUCCESS)
        return rv;
    rc = owner_ensure(s);
    if (rc != SQLITE_OK)
        return wh_sq_failed(s, rc, "becoming a lease owner", res);
    return wh_sq_commit(s, res);
}

int wh_sq_life_fd(const webhook_store *s)
{
    return s->lock.owner ? s->lock.life : -1;
}

/* -------------------------------------------------------------------------------------------------------------- settle --- */

typedef struct job_now {
    sqlite3_int64 delivery, handler, created, token, owner, leased;
    int state, attempts;
} job_now;

static int job_get(webhook_store *s, sqlite3_int64 job, job_now *j, int *found)
{
    sqlite3_stmt *stmt;
    int rc = wh_sq_row(s, WH_SQ_JOB_GET, &stmt, "i", job);

    *found = rc == SQLITE_ROW;
    if (rc != SQLITE_ROW)
        return rc;
    j->delivery = sqlite3_column_int64(stmt, 0);
    j->handler = sqlite3_column_int64(stmt, 1);
    j->state = sqlite3_column_int(stmt, 2);
    j->attempts = sqlite3_column_int(stmt, 3);
    j->created = sqlite3_column_int64(stmt, 4);
    j->token = sqlite3_column_int64(stmt, 5);
    j->owner = sqlite3_column_int64(stmt, 6);
    j->leased = sqlite3_column_int64(stmt, 7);
    wh_sq_done(stmt);
    return SQLITE_OK;
}

/* Write how the lease ended into the job. */
static int job_close(webhook_store *s, sqlite3_int64 job, const job_now *j, int state, sqlite3_int64 due, int attempts, const char *reason,
                     apr_time_t now)
{
    int rc = wh_sq_run(s, WH_SQ_JOB_SETTLE, "iiiiiit", job, j->token, (sqlite3_int64)WH_JOB_LEASED, (sqlite3_int64)state, due,
                       (sqlite3_int64)attempts, reason);

    if (rc != SQLITE_OK)
        return rc;
    if (sqlite3_changes(s->db) != 1)
        return SQLITE_CORRUPT;
    s->delta[WH_CN_LEASED]--;
    s->delta[WH_CN_QUEUED + state]++;
    return state >= WH_JOB_DONE ? wh_sq_restate(s, j->delivery, WH_DL_OPEN, now) : SQLITE_OK;
}

static int attempt_add(webhook_store *s, sqlite3_int64 job, const webhook_settlement *t, int outcome)
{
    return wh_sq_run(s, WH_SQ_ATTEMPT_ADD, "iiiiittz", WH_SQ_ATTEMPT(job, t->attempt), (sqlite3_int64)t->started, (sqlite3_int64)t->ended,
                     (sqlite3_int64)outcome, (sqlite3_int64)t->code, t->reason, t->detail, t->output.data, t->output.len);
}

static int settle_one(webhook_store *s, webhook_settlement *t, apr_time_t now)
{
    int rc, found, state, attempts;
    sqlite3_int64 due = now;
    job_now j;

    t->applied = 0;
    rc = job_get(s, t->job, &j, &found);
    if (rc != SQLITE_OK || !found || j.state != WH_JOB_LEASED || j.token != t->token)
        return rc;
    attempts = j.attempts;
    switch (t->outcome) {
    case WEBHOOK_OUTCOME_DONE:
        state = WH_JOB_DONE;
        break;
    case WEBHOOK_OUTCOME_RETRY:
        state = WH_JOB_RETRY;
        due = t->due;
        break;
    case WEBHOOK_OUTCOME_DEAD:
        state = WH_JOB_DEAD;
        break;
    default:
        if (t->unstarted && attempts > 0)
            attempts--;
        state = attempts ? WH_JOB_RETRY : WH_JOB_QUEUED;
        break;
    }
    rc = job_close(s, t->job, &j, state, due, attempts, t->reason, now);
    if (rc == SQLITE_OK && !(t->outcome == WEBHOOK_OUTCOME_RELEASED && t->unstarted))
        rc = attempt_add(s, t->job, t, (int)t->outcome);
    t->applied = rc == SQLITE_OK;
    return rc;
}

/* --------------------------------------------------------------------------------------------------------------- lease --- */

/* A job of this handler that is due later was given its time by a clock that was set back since. */
static apr_time_t latest(const webhook_lease_want *want, apr_time_t now)
{
    return want->wait_max > 0 && now < INT64_MAX - want->wait_max ? now + want->wait_max : INT64_MAX;
}

/* Look without the lock whether anything is to be done. @param due answer: something is; *next the earliest later time */
static int look(webhook_store *s, const webhook_lease_want *wants, int count, apr_time_t now, int *due, apr_time_t *next)
{
    int i, rc = SQLITE_OK;

    *due = 0;
    *next = 0;
    for (i = 0; i < count && rc == SQLITE_OK; i++) {
        sqlite3_int64 handler, first, last;
        sqlite3_stmt *stmt;

        rc = wh_sq_name_key(s, wants[i].handler, 0, &handler);
        if (rc != SQLITE_OK || !handler)
            continue;
        rc = wh_sq_row(s, WH_SQ_DUE_BOUNDS, &stmt, "i", handler);
        if (rc != SQLITE_ROW)
            continue;
        first = sqlite3_column_int64(stmt, 0);
        last = sqlite3_column_int64(stmt, 1);
        rc = SQLITE_OK;
        if (sqlite3_column_type(stmt, 0) != SQLITE_NULL) {
            if (first <= now || last > latest(&wants[i], now))
                *due = 1;
            else if (!*next || first < *next)
                *next = first;
        }
        wh_sq_done(stmt);
    }
    return rc;
}

#define TOO_LATE_MAX 1000

/* Due times that no policy of the handler gives any more. So many at a time: others want the lock too. */
static int bring_forward(webhook_store *s, const webhook_lease_want *want, sqlite3_int64 handler, apr_time_t now, apr_time_t *next)
{
    int rc, changed;

    if (latest(want, now) == INT64_MAX)
        return SQLITE_OK;
    rc = wh_sq_run(s, WH_SQ_DUE_TOO_LATE, "iii", handler, (sqlite3_int64)latest(want, now), (sqlite3_int64)TOO_LATE_MAX);
    if (rc != SQLITE_OK || (changed = sqlite3_changes(s->db)) == 0)
        return rc;
    wh_log(WH_LOG_NOTICE, 0, "WH0531: store %s: %d jobs for %s were due later than any retry can be: the clock was set back; they are due "
           "within %d s now", s->conf->path, changed, want->handler, (int)apr_time_sec(want->wait_max));
    if (changed == TOO_LATE_MAX)
        *next = now;
    return SQLITE_OK;
}

/* Jobs due for one handler, oldest first. */
static int due_jobs(webhook_store *s, const webhook_lease_want *want, apr_time_t now, apr_array_header_t *jobs, apr_time_t *next)
{
    sqlite3_int64 handler;
    sqlite3_stmt *stmt;
    int rc = wh_sq_name_key(s, want->handler, 0, &handler);

    if (rc != SQLITE_OK || !handler)
        return rc;
    rc = bring_forward(s, want, handler, now, next);
    if (rc != SQLITE_OK)
        return rc;
    rc = wh_sq_row(s, WH_SQ_DUE, &stmt, "iii", handler, (sqlite3_int64)now, (sqlite3_int64)want->max);
    for (; rc == SQLITE_ROW; rc = wh_sq_next(stmt))
        APR_ARRAY_PUSH(jobs, sqlite3_int64) = sqlite3_column_int64(stmt, 0);
    if (rc != SQLITE_OK)
        return rc;
    rc = wh_sq_row(s, WH_SQ_FIRST_AFTER, &stmt, "ii", handler, (sqlite3_int64)now);
    if (rc != SQLITE_ROW)
        return rc;
    if (sqlite3_column_type(stmt, 0) != SQLITE_NULL && (!*next || sqlite3_column_int64(stmt, 0) < *next))
        *next = sqlite3_column_int64(stmt, 0);
    wh_sq_done(stmt);
    return SQLITE_OK;
}

/* The bytes must be those that were accepted: a damaged page inside a body is invisible to SQLite. */
static int body_is_sound(const webhook_delivery *d)
{
    char hex[65];

    if (d->body_file)
        return 1; /* looked at by who reads it */
    if (!d->body.data || (apr_off_t)d->body.len != d->body_len)
        return 0;
    wh_sha256_hex(hex, d->body.data, d->body.len);
    return strcmp(hex, d->body_sha256) == 0;
}

/* Lease one job; one whose body is damaged becomes a dead letter instead. */
static int lease_one(webhook_store *s, sqlite3_int64 job, const webhook_lease_want *want, apr_time_t now, apr_array_header_t *leases,
                     apr_size_t *bytes, apr_pool_t *p)
{
    webhook_delivery *d = apr_pcalloc(p, sizeof *d);
    webhook_lease *l = apr_pcalloc(p, sizeof *l);
    sqlite3_int64 body = 0;
    apr_int64_t token;
    sqlite3_stmt *stmt;
    int rc, found;
    job_now j;

    rc = wh_sq_counter_get(s, WH_CN_TOKEN, &token);
    if (rc == SQLITE_OK)
        rc = job_get(s, job, &j, &found);
    if (rc != SQLITE_OK)
        return rc;
    if (!found)
        return SQLITE_CORRUPT; /* in the index but not in the table */
    token++;
    s->delta[WH_CN_TOKEN]++;
    rc = wh_sq_run(s, WH_SQ_JOB_LEASE, "iiiii", job, (sqlite3_int64)token, (sqlite3_int64)s->lock.owner, (sqlite3_int64)now,
                   (sqlite3_int64)(now + want->lease_time));
    if (rc != SQLITE_OK)
        return rc;
    s->delta[WH_CN_QUEUED + j.state]--;
    s->delta[WH_CN_LEASED]++;

    rc = wh_sq_row(s, WH_SQ_DELIVERY_BY_N, &stmt, "i", j.delivery);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_OK ? SQLITE_CORRUPT : rc;
    rc = wh_sq_delivery(s, stmt, d, &body, p);
    wh_sq_done(stmt);
    if (rc == SQLITE_OK)
        rc = wh_sq_load_body(s, body, d, p);
    if (rc == SQLITE_OK)
        rc = wh_sq_load_shape(s, job, &l->shape, p);
    if (rc != SQLITE_OK)
        return rc;
    if (!body_is_sound(d)) {
        webhook_settlement t;

        wh_log(WH_LOG_ERROR, 0, "WH0530: store %s: the body of %s is damaged; its job for %s is dead", s->conf->path, d->id, want->handler);
        memset(&t, 0, sizeof t);
        t.job = job;
        t.token = token;
        t.attempt = j.attempts + 1;
        t.outcome = WEBHOOK_OUTCOME_DEAD;
        t.started = t.ended = now;
        t.reason = wh_failure_BODY_LOST;
        t.detail = "the stored body does not have the digest it was accepted with";
        return settle_one(s, &t, now);
    }
    *bytes += d->body.len + l->shape.len;
    l->job = job;
    l->token = token;
    l->attempt = j.attempts + 1;
    l->created = j.created;
    l->handler = want->handler;
    l->delivery = d;
    APR_ARRAY_PUSH(leases, webhook_lease *) = l;
    return SQLITE_OK;
}

/* One job of each handler in turn, until all have what they want or the turn is full. */
static int lease_all(webhook_store *s, const webhook_lease_want *wants, int count, apr_time_t now, apr_array_header_t *leases,
                     apr_time_t *next, apr_pool_t *p)
{
    apr_array_header_t **jobs = apr_pcalloc(p, sizeof *jobs * (apr_size_t)(count ? count : 1));
    apr_size_t bytes = 0;
    int i, round, left = 1, rc = SQLITE_OK;

    for (i = 0; i < count && rc == SQLITE_OK; i++) {
        jobs[i] = apr_array_make(p, wants[i].max > 0 ? wants[i].max : 1, sizeof(sqlite3_int64));
        if (wants[i].max > 0)
            rc = due_jobs(s, &wants[i], now, jobs[i], next);
    }
    if (rc == SQLITE_OK)
        rc = owner_ensure(s);
    for (round = 0; left && rc == SQLITE_OK; round++) {
        left = 0;
        for (i = 0; i < count && rc == SQLITE_OK && bytes < LEASE_BYTES_MAX; i++) {
            if (round >= jobs[i]->nelts)
                continue;
            left = 1;
            rc = lease_one(s, APR_ARRAY_IDX(jobs[i], round, sqlite3_int64), &wants[i], now, leases, &bytes, p);
        }
    }
    return rc;
}

apr_status_t wh_sq_turn(webhook_store *s, webhook_settlement *const *settled, int settled_count, const webhook_lease_want *wants,
                        int want_count, apr_time_t now, apr_array_header_t *leases, apr_time_t *next_due, apr_pool_t *p,
                        webhook_result *res)
{
    int i, rc = SQLITE_OK, due = 0, before = leases ? leases->nelts : 0;
    uint64_t accepted;
    apr_status_t rv;

    *next_due = 0;
    if (!settled_count) {
        rv = wh_sq_reader(s, res);
        if (rv != APR_SUCCESS)
            return rv;
        rc = look(s, wants, want_count, now, &due, next_due);
        if (rc != SQLITE_OK)
            return wh_sq_failed(s, rc, "looking for due jobs", res);
        if (!due)
            return APR_SUCCESS;
    }

    rv = wh_sq_begin_unsynced(s, res);
    if (rv != APR_SUCCESS)
        return rv;
    accepted = wh_log_sync_latest(s->conf->syncs);
    for (i = 0; i < settled_count && rc == SQLITE_OK; i++)
        rc = settle_one(s, settled[i], now);
    *next_due = 0;
    if (rc == SQLITE_OK && want_count)
        rc = lease_all(s, wants, want_count, now, leases, next_due, p);
    rv = rc == SQLITE_OK ? wh_sq_commit(s, res) : wh_sq_failed(s, rc, "settling and leasing", res);
    if (rv != APR_SUCCESS) {
        for (i = 0; i < settled_count; i++)
            settled[i]->applied = 0;
        if (leases)
            leases->nelts = before;
        return rv;
    }
    /* No handler sees a delivery before it is durable; a lease itself need not be. When the disk fails now, what was settled is settled for
     * everybody who looks, and is forgotten only by a power cut before the log was healed: then the attempt is repeated. */
    if (settled_count || (leases && leases->nelts > before))
        wh_sq_sync(s, settled_count ? s->number : accepted, res);
    return APR_SUCCESS;
}

/* ------------------------------------------------------------------------------------------------------------- reclaim --- */

#define RECLAIM_MAX 200

static int is_lost(const webhook_store *s, sqlite3_int64 owner, sqlite3_int64 until, apr_time_t now)
{
    return until < now || !wh_lock_owner_alive(&s->lock, owner);
}

/* Leases to take back, from the oldest end on. */
static int find_lost(webhook_store *s, apr_time_t now, sqlite3_int64 *jobs, int *count)
{
    sqlite3_int64 offset = 0, rows;
    sqlite3_stmt *stmt;
    int rc;

    *count = 0;
    do {
        rows = 0;
        rc = wh_sq_row(s, WH_SQ_LEASED, &stmt, "i", offset);
        for (; rc == SQLITE_ROW; rc = wh_sq_next(stmt)) {
            rows++;
            if (*count < RECLAIM_MAX && is_lost(s, sqlite3_column_int64(stmt, 1), sqlite3_column_int64(stmt, 2), now))
                jobs[(*count)++] = sqlite3_column_int64(stmt, 0);
        }
        offset += rows;
    } while (rc == SQLITE_OK && rows == 1000 && *count < RECLAIM_MAX);
    return rc;
}

static int take_back(webhook_store *s, sqlite3_int64 job, apr_time_t now)
{
    webhook_settlement t;
    job_now j;
    int found, rc = job_get(s, job, &j, &found);

    if (rc != SQLITE_OK || !found || j.state != WH_JOB_LEASED)
        return rc;
    memset(&t, 0, sizeof t);
    t.attempt = j.attempts;
    t.started = j.leased;
    t.ended = now;
    t.reason = wh_failure_LOST;
    rc = job_close(s, job, &j, WH_JOB_RETRY, wh_store_lost_due(j.attempts, now), j.attempts, wh_failure_LOST, now);
    return rc == SQLITE_OK ? attempt_add(s, job, &t, WH_AT_LOST) : rc;
}

apr_status_t wh_sq_reclaim(webhook_store *s, apr_time_t now, int *count, webhook_result *res)
{
    sqlite3_int64 jobs[RECLAIM_MAX];
    apr_status_t rv = wh_sq_reader(s, res);
    int i, rc, n;

    *count = 0;
    while (rv == APR_SUCCESS) {
        /* Most calls find nothing, without the lock; what is found is looked for again under it. */
        rc = find_lost(s, now, jobs, &n);
        if (rc != SQLITE_OK)
            return wh_sq_failed(s, rc, "looking for lost leases", res);
        if (!n)
            return APR_SUCCESS;
        rv = wh_sq_begin(s, res);
        if (rv != APR_SUCCESS)
            return rv;
        rc = find_lost(s, now, jobs, &n);
        for (i = 0; i < n && rc == SQLITE_OK; i++)
            rc = take_back(s, jobs[i], now);
        if (rc != SQLITE_OK)
            return wh_sq_failed(s, rc, "taking back lost leases", res);
        rv = wh_sq_commit(s, res);
        if (rv == APR_SUCCESS)
            *count += n;
    }
    return rv;
}
