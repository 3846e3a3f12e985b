/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_store.h: what the sqlite_*.c files share; nobody else includes it but tests of the schema ladder.
 *
 * Every change runs as
 *
 *   wh_sq_begin     lock, look whether the files are still ours, open what is closed, BEGIN IMMEDIATE
 *   wh_sq_run ...   prepared statements; the first code that is not SQLITE_OK ends it through wh_sq_failed
 *   wh_sq_commit    counters, COMMIT, look at the files again, unlock
 *
 * and nothing is acknowledged before wh_sq_commit returned APR_SUCCESS; where the transaction was begun with wh_sq_begin_unsynced, so that the
 * lock is not held during the sync, not before
 * wh_sq_sync did.
 */
#ifndef WH_STORE_SQLITE_STORE_H
#define WH_STORE_SQLITE_STORE_H

#include <apr_hash.h>
#include <apr_pools.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include "store/key_index.h"
#include "store/lock.h"
#include "store/log_sync.h"
#include "store/sqlite.h"
#include "webhook_provider.h"

#define WH_SQ_APPLICATION_ID 0x77684442 /* "whDB" */
#define WH_SQ_VERSION 4                 /* schema version of this code, in user_version */
#define WH_SQ_PAGE_SIZE 4096

/* What a caller is told; the words are fixed at configuration because they must outlive every call (the log gets SQLite's own). */
typedef enum wh_sq_problem {
    WH_SQ_BUSY,     /* lock or database held by others */
    WH_SQ_FULL,     /* the disk */
    WH_SQ_LIMIT,    /* rows= or size= */
    WH_SQ_SPACE,    /* free= */
    WH_SQ_FAILED,   /* I/O, permissions, memory */
    WH_SQ_GONE,     /* deleted */
    WH_SQ_REPLACED, /* another file than the one this process had open */
    WH_SQ_FOREIGN,  /* not our database */
    WH_SQ_CORRUPT,
    WH_SQ_NEWER,    /* schema of a later version */
    WH_SQ_OLDER,    /* schema not yet brought up to date: a restart does it */
    WH_SQ_FORKED,   /* handle used in a process that did not open it */
    WH_SQ_ITEM,     /* this one item cannot be kept */
    WH_SQ_PROBLEMS
} wh_sq_problem;

struct webhook_store_conf {
    const char *path, *lock, *wal, *shm, *bodies, *dir;
    int rows;
    apr_int64_t size, reserve, free, body_file, wal_limit;
    apr_interval_time_t done, dead, lock_timeout;
    const char *say[WH_SQ_PROBLEMS];
    wh_key_index *keys; /* memory of these two is made by init() and shared by the processes forked afterwards */
    wh_log_sync *syncs;
};

/* Rows of the counters table. Totals are kept in the transaction that changes them, so limits and statistics cost nothing. */
typedef enum wh_sq_counter {
    WH_CN_DELIVERIES = 1,
    WH_CN_QUEUED, WH_CN_RETRY, WH_CN_LEASED, WH_CN_DONE, WH_CN_DEAD, /* jobs, in the order of wh_sq_job_state */
    WH_CN_UNROUTED, WH_CN_DROPPED,                                   /* deliveries */
    WH_CN_FILE_BYTES,                                                /* of body files */
    WH_CN_TOKEN,                                                     /* last fencing token given out */
    WH_CN_OWNER,                                                     /* last lease owner number given out */
    WH_CN_END
} wh_sq_counter;

/* jobs.state; "waiting" is < 2 in the partial index */
typedef enum wh_sq_job_state { WH_JOB_QUEUED, WH_JOB_RETRY, WH_JOB_LEASED, WH_JOB_DONE, WH_JOB_DEAD } wh_sq_job_state;

/* deliveries.closed: 0 while a job is unfinished */
typedef enum wh_sq_closed { WH_DL_OPEN, WH_DL_DONE, WH_DL_DEAD, WH_DL_UNROUTED, WH_DL_DROPPED } wh_sq_closed;

/* attempts.outcome beyond webhook_outcome */
#define WH_AT_LOST 5

#define WH_SQ_STATEMENTS(X)                                                                                                          \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                                                      \
    X(BEGIN_READ, "BEGIN")                                                                                                           \
    X(COMMIT, "COMMIT")                                                                                                              \
    X(ROLLBACK, "ROLLBACK")                                                                                                          \
    X(VERSION_NOW, "PRAGMA user_version")                                                                                               \
    X(PAGE_COUNT, "PRAGMA page_count")                                                                                               \
    X(PAGE_FREE, "PRAGMA freelist_count")                                                                                            \
    X(COUNTER_GET, "SELECT v FROM counters WHERE k=?1")                                                                              \
    X(COUNTER_ADD, "UPDATE counters SET v=v+?2 WHERE k=?1")                                                                          \
    X(COUNTERS, "SELECT k, v FROM counters")                                                                                         \
    X(NAME_BY_TEXT, "SELECT k FROM names WHERE name=?1")                                                                             \
    X(NAME_BY_KEY, "SELECT name FROM names WHERE k=?1")                                                                              \
    X(NAME_ADD, "INSERT INTO names(name) VALUES(?1)")                                                                                \
    X(NAMES, "SELECT k, name FROM names ORDER BY k")                                                                                 \
    /* accept */                                                                                                                     \
    X(KEY_ENDS, "SELECT (SELECT coalesce(min(k),0) FROM dedupe), (SELECT coalesce(max(k),0) FROM dedupe)")                           \
    X(KEYS_SINCE, "SELECT k, hash FROM dedupe WHERE k>?1 ORDER BY k")                                                                \
    X(KEY_GET, "SELECT hash, rest, id, expires FROM dedupe WHERE k=?1")                                                              \
    X(KEY_ADD, "INSERT INTO dedupe(hash, rest, id, expires) VALUES(?1,?2,?3,?4)")                                                    \
    X(DELIVERY_FIND, "SELECT n, id, closed, open, dead FROM deliveries WHERE n BETWEEN ?1 AND ?1+63")                                \
    X(BODY_ADD, "INSERT INTO bodies(headers, body) VALUES(?1,?2)")                                                                   \
    X(DELIVERY_ADD,                                                                                                                  \
      "INSERT INTO deliveries(n, id, endpoint, scheme, verified, key_id, event, sender_id, received, remote_addr, method, uri,"      \
      " content_type, body_len, body_sha256, in_file, body, duplicates, open, dead, closed, finished, why)"                          \
      " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,0,?18,0,?19,?20,?21)")                                     \
    X(DELIVERY_COPY, "UPDATE deliveries SET duplicates=duplicates+1 WHERE n=?1")                                                     \
    X(JOB_ADD,                                                                                                                       \
      "INSERT INTO jobs(delivery, handler, state, attempts, created, due, token, owner, leased, lease_until, reason)"                \
      " VALUES(?1,?2,0,0,?3,?3,0,0,0,0,NULL)")                                                                                       \
    X(SHAPE_ADD, "INSERT INTO shapes(job, shape) VALUES(?1,?2)")                                                                     \
    X(SHAPE_AGAIN, "INSERT OR REPLACE INTO shapes(job, shape) SELECT job, ?3 FROM jobs WHERE delivery=?1 AND handler=?2 AND state<2")  \
    X(JOBS_OF, "SELECT job, handler, state, attempts FROM jobs WHERE delivery=?1")                                                   \
    X(JOB_AGAIN, "UPDATE jobs SET state=?2, created=?3, due=?3, token=0, owner=0, reason=NULL WHERE job=?1")                         \
    X(DELIVERY_STATE, "UPDATE deliveries SET open=?2, dead=?3, closed=?4, finished=?5 WHERE n=?1")                                   \
    /* turn */                                                                                                                       \
    X(FIRST_DUE, "SELECT min(due) FROM jobs WHERE state<2 AND handler=?1")                                                           \
    X(DUE_BOUNDS, "SELECT (SELECT min(due) FROM jobs WHERE state<2 AND handler=?1), (SELECT max(due) FROM jobs WHERE state<2 AND handler=?1)") \
    X(DUE_TOO_LATE,                                                                                                                  \
      "UPDATE jobs SET due=?2 WHERE job IN (SELECT job FROM jobs WHERE state<2 AND handler=?1 AND due>?2 ORDER BY due LIMIT ?3)")    \
    X(FIRST_AFTER, "SELECT min(due) FROM jobs WHERE state<2 AND handler=?1 AND due>?2")                                              \
    X(DUE, "SELECT job FROM jobs WHERE state<2 AND handler=?1 AND due<=?2 ORDER BY due LIMIT ?3")                                    \
    X(JOB_GET, "SELECT delivery, handler, state, attempts, created, token, owner, leased FROM jobs WHERE job=?1")                    \
    X(JOB_LEASE,                                                                                                                     \
      "UPDATE jobs SET state=2, token=?2, owner=?3, leased=?4, lease_until=?5, attempts=attempts+1 WHERE job=?1 AND state<2")        \
    X(JOB_SETTLE, "UPDATE jobs SET state=?4, due=?5, attempts=?6, reason=?7, token=0, owner=0 WHERE job=?1 AND token=?2 AND state=?3") \
    X(ATTEMPT_ADD,                                                                                                                   \
      "INSERT OR REPLACE INTO attempts(k, started, ended, outcome, code, reason, detail, output) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")   \
    X(DELIVERY_BY_N, WH_SQ_COLUMNS " FROM deliveries WHERE n=?1")                                                                             \
    X(BODY_GET, "SELECT headers, body FROM bodies WHERE b=?1")                                                                       \
    X(SHAPE_GET, "SELECT shape FROM shapes WHERE job=?1")                                                                            \
    X(LEASED, "SELECT job, owner, lease_until FROM jobs WHERE state=2 ORDER BY lease_until LIMIT 1000 OFFSET ?1")                    \
    /* maintain */                                                                                                                   \
    X(CLOSED, "SELECT n, id, body, in_file, body_len, closed FROM deliveries WHERE closed=?1 AND finished<?2 ORDER BY finished LIMIT ?3") \
    X(ATTEMPTS_DROP, "DELETE FROM attempts WHERE k BETWEEN ?1 AND ?2")                                                               \
    X(JOB_DROP, "DELETE FROM jobs WHERE job=?1")                                                                                     \
    X(SHAPE_DROP, "DELETE FROM shapes WHERE job=?1")                                                                                 \
    X(BODY_DROP, "DELETE FROM bodies WHERE b=?1")                                                                                    \
    X(DELIVERY_DROP, "DELETE FROM deliveries WHERE n=?1")                                                                            \
    X(KEY_SCAN, "SELECT k, expires FROM dedupe WHERE k>?1 ORDER BY k LIMIT ?2")                                                      \
    X(KEY_DROP, "DELETE FROM dedupe WHERE k=?1 AND expires<=?2 AND k<(SELECT max(k) FROM dedupe)")                                                                   \
    /* query */                                                                                                                      \
    X(LIST_JOBS, "SELECT job, handler, state, attempts, due, reason FROM jobs WHERE delivery=?1 ORDER BY job")                       \
    X(LIST_ATTEMPTS,                                                                                                                 \
      "SELECT k, started, ended, outcome, code, reason, detail, output FROM attempts WHERE k BETWEEN ?1 AND ?2 ORDER BY k")          \
    X(WAITS, "SELECT 1 FROM jobs WHERE state<2 AND handler=?1 LIMIT 1")                                                              \
    X(LEASED_BY, "SELECT DISTINCT handler FROM jobs WHERE state=2")                                                                  \
    X(LIST_NEWEST, WH_SQ_DELIVERY_SQL WH_SQ_LIST_SQL " AND n<?9 ORDER BY n DESC LIMIT ?10")                                          \
    X(LIST_OLDEST, WH_SQ_DELIVERY_SQL WH_SQ_LIST_SQL " AND n>?9 ORDER BY n LIMIT ?10")                                               \
    X(DEAD_NEWEST, WH_SQ_DELIVERY_SQL " INDEXED BY deliveries_dead" WH_SQ_LIST_SQL " AND dead>0 AND n<?9 ORDER BY n DESC LIMIT ?10") \
    X(DEAD_OLDEST, WH_SQ_DELIVERY_SQL " INDEXED BY deliveries_dead" WH_SQ_LIST_SQL " AND dead>0 AND n>?9 ORDER BY n LIMIT ?10")

/* State of a delivery as a number: -1 unrouted, -2 dropped, else wh_sq_job_state over its jobs. */
#define WH_SQ_STATE_SQL                                                                                                         \
    "CASE WHEN closed=3 THEN -1 WHEN closed=4 THEN -2 WHEN dead>0 THEN 4 WHEN open=0 THEN 3"                                    \
    " WHEN EXISTS(SELECT 1 FROM jobs WHERE delivery=n AND state=2) THEN 2"                                                      \
    " WHEN EXISTS(SELECT 1 FROM jobs WHERE delivery=n AND state=1) THEN 1 ELSE 0 END"

#define WH_SQ_COLUMNS                                                                                                           \
    "SELECT n, id, endpoint, scheme, verified, key_id, event, sender_id, received, remote_addr, method, uri, content_type,"     \
    " body_len, body_sha256, in_file, body"
#define WH_SQ_DELIVERY_SQL WH_SQ_COLUMNS ", duplicates, " WH_SQ_STATE_SQL ", why FROM deliveries"

#define WH_SQ_LIST_SQL                                                                                                          \
    " WHERE (?1 IS NULL OR id=?1) AND (?2 IS NULL OR endpoint=?2) AND (?3 IS NULL OR event=?3)"                                 \
    " AND (?4 IS NULL OR EXISTS(SELECT 1 FROM jobs WHERE delivery=n AND handler=?4))"                                           \
    " AND (?5 IS NULL OR " WH_SQ_STATE_SQL "=?5) AND (?6 IS NULL OR received>=?6) AND (?7 IS NULL OR received<?7)"              \
    " AND n BETWEEN ?8 AND ?11"

typedef enum wh_sq_statement {
#define WH_X(e, sql) WH_SQ_##e,
    WH_SQ_STATEMENTS(WH_X)
#undef WH_X
    WH_SQ_STATEMENT_COUNT
} wh_sq_statement;

typedef struct wh_sq_file {
    dev_t dev;
    ino_t ino;
} wh_sq_file;

struct webhook_store {
    const webhook_store_conf *conf;
    apr_pool_t *pool;    /* life of the handle */
    pid_t pid;           /* who opened it */
    wh_lock lock;
    int entered;         /* enter() took the lock: it stays ours over many accept(), until leave() */
    apr_time_t deadline; /* wh_monotonic() end of patience of the running call */

    sqlite3 *db;         /* NULL: closed */
    sqlite3_stmt *statement[WH_SQ_STATEMENT_COUNT];
    wh_sq_file file[3];  /* database, -wal, -shm as this connection has them open */
    int wal_fd;          /* file[1] once more, to sync and to heal it; -1: not open */
    int unsynced;        /* the running transaction's commit is not synced */
    uint64_t number;     /* log_sync.h's, to wait for after an unsynced commit; 0: none */
    int broken;          /* wh_sq_problem + 1 of the last failure, for the log's "is back" */
    apr_time_t said[WH_SQ_PROBLEMS]; /* wh_monotonic() of the last log line of each kind */
    struct stat corrupt; /* the file as it was when corruption was seen; st_ino 0: none */
    apr_time_t corrupt_next; /* wh_monotonic() before which an unchanged corrupt file is not tried again */

    apr_pool_t *names;   /* holds the caches below; dies with the connection and with every rollback */
    apr_hash_t *name_keys, *name_texts;

    apr_int64_t delta[WH_CN_END]; /* counters changed by the running transaction */
    apr_int64_t wal_pages;        /* pages in the log after our last commit or checkpoint */
    apr_time_t checkpointed;      /* wh_monotonic() */

    apr_time_t measured;          /* wh_monotonic() when the two below were read */
    apr_int64_t used, free;       /* bytes, kept up between measurements by what we add */
    apr_int64_t row_count;        /* deliveries at the beginning of the transaction */

    int wants_owner;     /* own() was called: an owner number is needed on whatever database is open */
    wh_sq_file owner_file; /* database the number is from */

    sqlite3_int64 key_first; /* oldest row of dedupe, as of the running accept() */
    sqlite3_int64 key_added; /* newest row it added, 0: none */
    apr_int64_t key_cursor;  /* maintain: where the sweep of expired keys is */
    apr_time_t key_next;     /* wh_monotonic() when the next sweep begins */
    int body_cursor;         /* maintain: 0 to 255, subdirectory looked at next */
    apr_time_t body_next;
};

/* sqlite_conf.c */
const char *wh_sq_configure(webhook_store_conf **out, const char *target, const apr_array_header_t *options, apr_pool_t *pconf,
                            apr_pool_t *ptemp);
const char *wh_sq_describe(const webhook_store_conf *conf, apr_pool_t *p);

/* sqlite_connection.c: all leave the lock as they found it unless said */
apr_status_t wh_sq_open(webhook_store **out, const webhook_store_conf *conf, apr_pool_t *p, webhook_result *res);
apr_status_t wh_sq_say(const webhook_store_conf *conf, wh_sq_problem problem, apr_status_t rv, webhook_result *res);
/** Trouble with the store as a whole: say it in the log too, but not once per request. @return what wh_sq_say returns */
apr_status_t wh_sq_trouble(webhook_store *s, wh_sq_problem problem, apr_status_t rv, webhook_result *res);
/** Start the clock of a call and refuse a handle that crossed a fork. */
apr_status_t wh_sq_enter_call(webhook_store *s, webhook_result *res);
apr_status_t wh_sq_lock(webhook_store *s, webhook_result *res);
void wh_sq_unlock(webhook_store *s);
/** SQLite's own waiting, as every open connection has it. */
void wh_sq_wait_for_foreigners(webhook_store *s);
/** With the lock held: the files are those we have open, or open them. */
apr_status_t wh_sq_connect(webhook_store *s, webhook_result *res);
/** For reading without the lock: connect (taking the lock only for that) when closed or replaced. */
apr_status_t wh_sq_reader(webhook_store *s, webhook_result *res);
void wh_sq_disconnect(webhook_store *s);
/** A statement or call failed with rc: log, roll back, drop the connection where its state is in doubt, unlock, fill res. */
apr_status_t wh_sq_failed(webhook_store *s, int rc, const char *doing, webhook_result *res);
apr_status_t wh_sq_begin(webhook_store *s, webhook_result *res);
/** The same for a transaction whose commit is not synced, so that the others need not wait for the disk. A power cut may undo it until
 *  wh_sq_sync() of its number, or a sync of any later transaction: nobody is told of it before. */
apr_status_t wh_sq_begin_unsynced(webhook_store *s, webhook_result *res);
apr_status_t wh_sq_commit(webhook_store *s, webhook_result *res);
/** Roll back and unlock: for callers that found nothing to do. */
void wh_sq_abandon(webhook_store *s);
/** What a system error of the file system means for the store. */
wh_sq_problem wh_sq_problem_of(apr_status_t rv);
int wh_sq_file_same(const char *path, const wh_sq_file *f);

/** One integer of one row, by constant SQL. @return SQLite code; SQLITE_CORRUPT when there is no row */
int wh_sq_int(sqlite3 *db, const char *sql, sqlite3_int64 *value);
/** SQLite's quick check of the whole file: time in proportion to it. @return SQLite code; SQLITE_CORRUPT when something was found */
int wh_sq_sound(sqlite3 *db);

/* sqlite_wal_file.c */
/**
 * The VFS that connections of a process that serves are opened with, made at first use; NULL: SQLite's own. Never in httpd's parent, where
 * SQLite would still know it after a restart has unloaded this code.
 */
const char *wh_sq_vfs(void);
typedef enum wh_sq_hold {
    WH_SQ_HOLD_NOT,
    WH_SQ_HOLD_SYNCED,  /* collect writes to the log, in a transaction that its commit syncs */
    WH_SQ_HOLD_UNSYNCED /* and leave that sync to the caller */
} wh_sq_hold;
/** Inside a transaction, or at its end (NOT); what is still held is forgotten. */
void wh_sq_wal_hold(sqlite3 *db, wh_sq_hold hold);
/** Whether the transaction has left out a sync. */
int wh_sq_wal_due(sqlite3 *db);

/* sqlite_checkpoint.c */
/** With the lock held, outside a transaction: copy the log into the database and begin it anew. */
int wh_sq_checkpoint(webhook_store *s);
/** Without the lock: copy most of the log while others go on writing, and only the rest, with the new beginning, under the lock. */
apr_status_t wh_sq_checkpoint_beside(webhook_store *s, webhook_result *res);
/** The log is half as long as it may get. */
int wh_sq_work_due(webhook_store *s);
void wh_sq_work(webhook_store *own);

/* sqlite_sync.c */
apr_status_t wh_sq_sync_turn(webhook_store *s, webhook_sync *sync);
apr_status_t wh_sq_sync_begin(webhook_store *s, webhook_sync *sync, webhook_result *res);
apr_status_t wh_sq_sync_end(const webhook_store_conf *conf, webhook_sync *sync, webhook_result *res);
/** Both. Without the lock: wait until that transaction is durable, syncing if nobody else does. */
apr_status_t wh_sq_sync(webhook_store *s, uint64_t number, webhook_result *res);
/** With the lock held, before a transaction or a checkpoint: what the log holds is, or is made, what the disk holds; and the disk answers. */
apr_status_t wh_sq_log_sound(webhook_store *s, webhook_result *res);

/* sqlite_statement.c */
/** The text of a statement, for connections that are no handle. */
extern const char *const wh_sq_sql[WH_SQ_STATEMENT_COUNT];
/**
 * Bind and step once. Formats: i sqlite3_int64, t text or NULL, b data and apr_size_t (no data: NULL), z the same but empty bytes when
 * there are none, n NULL, o pointer to sqlite3_int64 or NULL.
 * @return SQLITE_ROW (the statement stays open: wh_sq_done), SQLITE_OK for no row, or an error code
 */
int wh_sq_row(webhook_store *s, wh_sq_statement which, sqlite3_stmt **out, const char *format, ...);
/** The statement itself, unbound. @return SQLite code */
int wh_sq_prepared(webhook_store *s, wh_sq_statement which, sqlite3_stmt **out);
/** The next row of an open statement: SQLITE_ROW, SQLITE_OK at the end (then it is reset), or an error code (reset too). */
int wh_sq_next(sqlite3_stmt *stmt);
void wh_sq_done(sqlite3_stmt *stmt);
/** Bind and run to the end. SQLITE_OK or an error code. */
int wh_sq_run(webhook_store *s, wh_sq_statement which, const char *format, ...);
int wh_sq_name_key(webhook_store *s, const char *name, int create, sqlite3_int64 *key); /* key 0: unknown */
int wh_sq_name_text(webhook_store *s, sqlite3_int64 key, const char **name);            /* lives as long as the connection's cache */
int wh_sq_counter_get(webhook_store *s, wh_sq_counter which, apr_int64_t *value);       /* with the running transaction's changes */
void wh_sq_forget_names(webhook_store *s);
char *wh_sq_text(sqlite3_stmt *stmt, int col, apr_pool_t *p);
webhook_slice wh_sq_blob(sqlite3_stmt *stmt, int col, apr_pool_t *p);

/* sqlite_schema.c */
typedef struct wh_sq_step {
    int from; /* user_version it starts from; brings it to from + 1 */
    const char *sql;
} wh_sq_step;
/** Climb the ladder to its end in one transaction. A file that is not ours is refused by the caller before. */
int wh_sq_upgrade(sqlite3 *db, const wh_sq_step *steps, int count);
extern const wh_sq_step wh_sq_ladder[];
extern const int wh_sq_ladder_count;
apr_status_t wh_sq_init(const webhook_store_conf *conf, int uid, int gid, apr_pool_t *ptemp, webhook_result *res);
/** Set up a connection: modes, limits, hooks. With the lock held. */
int wh_sq_prepare_connection(sqlite3 *db);

/* sqlite_accept.c */
apr_status_t wh_sq_enter(webhook_store *s, webhook_result *res);
void wh_sq_leave(webhook_store *s);
apr_status_t wh_sq_accept(webhook_store *s, webhook_accept *const *items, int count, apr_time_t now, webhook_result *res);
apr_status_t wh_sq_write(webhook_store *s, webhook_accept *const *items, int count, apr_time_t now, webhook_sync *sync, webhook_result *res);
sqlite3_int64 wh_sq_n(const unsigned char id[16]);
/** Find a delivery's row by its packed id: SQLITE_ROW with the statement open on DELIVERY_FIND's columns, SQLITE_OK, or an error. */
int wh_sq_find(webhook_store *s, const unsigned char id[16], sqlite3_stmt **out, sqlite3_int64 *free_n);
/** Make one job of a delivery ready again; -1 in `only_state` takes any finished state. Counts into *made. */
int wh_sq_again(webhook_store *s, sqlite3_int64 n, sqlite3_int64 handler, int only_state, apr_time_t now, int *made, int *seen);
/** Write open, dead, closed of a delivery from its jobs. @param keep state to use when there are no jobs */
int wh_sq_restate(webhook_store *s, sqlite3_int64 n, wh_sq_closed keep, apr_time_t now);

/* sqlite_dedupe.c: all inside a write transaction of accept() */
/** Bring the index up to date. @param ends, since the statements KEY_ENDS and KEYS_SINCE @param first answer: oldest row
 *  @return SQLite code */
int wh_sq_keys_load(const webhook_store_conf *conf, const wh_sq_file *file, sqlite3_stmt *ends, sqlite3_stmt *since, sqlite3_int64 *first);
int wh_sq_keys_begin(webhook_store *s);
void wh_sq_keys_committed(webhook_store *s);
/** @param id answer, with *hit: the delivery that the key stands for and that is still remembered at `now` */
int wh_sq_key_find(webhook_store *s, const unsigned char *key, apr_time_t now, unsigned char id[16], int *hit);
int wh_sq_key_add(webhook_store *s, const unsigned char *key, const unsigned char id[16], apr_time_t until);

/* sqlite_limits.c */
/** Inside a write transaction, before accepting. @return 0 or the problem that forbids `bytes` more */
int wh_sq_measure(webhook_store *s);
int wh_sq_room(webhook_store *s, apr_int64_t rows, apr_int64_t bytes, wh_sq_problem *problem);
apr_int64_t wh_sq_disk_free(const webhook_store_conf *conf);
apr_status_t wh_sq_stats(webhook_store *s, webhook_store_stats *stats, apr_pool_t *scratch, webhook_result *res);

/* sqlite_bodies.c */
apr_status_t wh_sq_stage(const webhook_store_conf *conf, webhook_accept *item, apr_pool_t *scratch);
/** Remove the file of a staged item that was not kept. */
void wh_sq_unstage(const webhook_store_conf *conf, webhook_accept *item);
const char *wh_sq_body_path(const webhook_store_conf *conf, const char *id, apr_pool_t *p);
void wh_sq_body_remove(const webhook_store_conf *conf, const char *id);
/** Remove files without a row in the next subdirectory. @return SQLite code */
int wh_sq_sweep(webhook_store *s, apr_time_t now, apr_pool_t *scratch);

/* sqlite_turn.c */
apr_status_t wh_sq_own(webhook_store *s, webhook_result *res);
int wh_sq_life_fd(const webhook_store *s);
apr_status_t wh_sq_turn(webhook_store *s, webhook_settlement *const *settled, int settled_count, const webhook_lease_want *wants,
                        int want_count, apr_time_t now, apr_array_header_t *leases, apr_time_t *next_due, apr_pool_t *p,
                        webhook_result *res);
apr_status_t wh_sq_reclaim(webhook_store *s, apr_time_t now, int *count, webhook_result *res);

/* sqlite_maintain.c */
apr_status_t wh_sq_maintain(webhook_store *s, apr_time_t now, int *more, apr_pool_t *scratch, webhook_result *res);

/* sqlite_query.c */
apr_status_t wh_sq_list(webhook_store *s, const webhook_query *q, apr_array_header_t *rows, apr_pool_t *p, webhook_result *res);
apr_status_t wh_sq_replay(webhook_store *s, const char *id, const char *handler, apr_time_t now, int *count, webhook_result *res);
apr_status_t wh_sq_waiting(webhook_store *s, apr_array_header_t *names, apr_pool_t *p, webhook_result *res);
/** Fill a delivery from an open WH_SQ_DELIVERY_SQL row, everything copied into p. */
int wh_sq_delivery(webhook_store *s, sqlite3_stmt *stmt, webhook_delivery *d, sqlite3_int64 *body, apr_pool_t *p);
/** Load headers and inline body. */
int wh_sq_load_body(webhook_store *s, sqlite3_int64 body, webhook_delivery *d, apr_pool_t *p);
/** What was frozen for a job; data NULL when nothing was. */
int wh_sq_load_shape(webhook_store *s, sqlite3_int64 job, webhook_slice *shape, apr_pool_t *p);

/* Keys of the attempts table. */
#define WH_SQ_ATTEMPT_BITS 20
#define WH_SQ_ATTEMPT(job, attempt) (((sqlite3_int64)(job) << WH_SQ_ATTEMPT_BITS) | ((attempt) & ((1 << WH_SQ_ATTEMPT_BITS) - 1)))

#endif
