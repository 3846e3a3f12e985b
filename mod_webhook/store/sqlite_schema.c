/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_schema.c: the tables, the ladder that brings older files up to date, and init.
 *
 * What the shapes are for:
 *   deliveries   keyed by n, the first 63 bits of the time-ordered id without its fixed ones: new rows go to the end, an id is found
 *                without an index, newest-first paging is walking the table backwards. Rows are small; headers and body are elsewhere
 *   bodies       in their order of arrival, so that big rows are only ever appended
 *   jobs         partial indexes hold only what waits or is leased: a million finished jobs cost a lease nothing
 *   dedupe       idempotency keys in the order of acceptance, 61 bits and 64 of each; key_index.h finds them
 *   attempts     keyed by job and attempt number in one integer
 *   names        endpoint, scheme and handler names; rows elsewhere hold numbers
 *   shapes       what a handler's templates gave, by job: apart from jobs, whose rows are written at every lease and settlement
 *   counters     totals (wh_sq_counter), changed in the transaction that changes the rows
 */
#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/durable.h"
#include "core/reasons.h"
#include "core/units.h"
#include "store/files.h"
#include "store/sqlite_store.h"

#define CHECK_WHOLE_MAX (64 * 1024 * 1024)

static const char schema_1[] =
    "CREATE TABLE names(k INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE deliveries(n INTEGER PRIMARY KEY, id BLOB NOT NULL, endpoint INTEGER NOT NULL, scheme INTEGER NOT NULL,"
    " verified INTEGER NOT NULL, key_id TEXT, event TEXT, sender_id TEXT, received INTEGER NOT NULL, remote_addr TEXT NOT NULL,"
    " method TEXT NOT NULL, uri TEXT NOT NULL, content_type TEXT, body_len INTEGER NOT NULL, body_sha256 TEXT NOT NULL,"
    " in_file INTEGER NOT NULL, body INTEGER NOT NULL, duplicates INTEGER NOT NULL, open INTEGER NOT NULL, dead INTEGER NOT NULL,"
    " closed INTEGER NOT NULL, finished INTEGER);"
    "CREATE INDEX deliveries_closed ON deliveries(closed, finished) WHERE closed>0;"
    "CREATE INDEX deliveries_dead ON deliveries(n) WHERE dead>0;"
    "CREATE TABLE bodies(b INTEGER PRIMARY KEY, headers BLOB NOT NULL, body BLOB);"
    "CREATE TABLE jobs(job INTEGER PRIMARY KEY, delivery INTEGER NOT NULL, handler INTEGER NOT NULL, state INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, created INTEGER NOT NULL, due INTEGER NOT NULL, token INTEGER NOT NULL, owner INTEGER NOT NULL,"
    " leased INTEGER NOT NULL, lease_until INTEGER NOT NULL, reason TEXT);"
    "CREATE INDEX jobs_delivery ON jobs(delivery);"
    "CREATE INDEX jobs_waiting ON jobs(handler, due) WHERE state<2;"
    "CREATE INDEX jobs_leased ON jobs(lease_until) WHERE state=2;"
    "CREATE TABLE attempts(k INTEGER PRIMARY KEY, started INTEGER NOT NULL, ended INTEGER NOT NULL, outcome INTEGER NOT NULL,"
    " code INTEGER NOT NULL, reason TEXT, detail TEXT, output BLOB NOT NULL);"
    "CREATE TABLE dedupe(k INTEGER PRIMARY KEY, rest INTEGER NOT NULL, id BLOB NOT NULL, expires INTEGER NOT NULL);"
    "CREATE TABLE counters(k INTEGER PRIMARY KEY, v INTEGER NOT NULL);"
    "INSERT INTO counters(k, v) VALUES(1,0),(2,0),(3,0),(4,0),(5,0),(6,0),(7,0),(8,0),(9,0),(10,0),(11,0);";

/* Version 1 kept the keys in the order of their hashes: k was `hash` and two spare bits. */
static const char schema_2[] =
    "CREATE TABLE dedupe_2(k INTEGER PRIMARY KEY, hash INTEGER NOT NULL, rest INTEGER NOT NULL, id BLOB NOT NULL, expires INTEGER NOT NULL);"
    "INSERT INTO dedupe_2(hash, rest, id, expires) SELECT k - k%4, rest, id, expires FROM dedupe ORDER BY expires;"
    "DROP TABLE dedupe;"
    "ALTER TABLE dedupe_2 RENAME TO dedupe;";

static const char schema_3[] = "CREATE TABLE shapes(job INTEGER PRIMARY KEY, shape BLOB NOT NULL);";

/* Why no handler got a delivery. */
static const char schema_4[] = "ALTER TABLE deliveries ADD COLUMN why TEXT;";

const wh_sq_step wh_sq_ladder[] = {
    { 0, schema_1 },
    { 1, schema_2 },
    { 2, schema_3 },
    { 3, schema_4 },
};
const int wh_sq_ladder_count = (int)(sizeof wh_sq_ladder / sizeof wh_sq_ladder[0]);

int wh_sq_int(sqlite3 *db, const char *sql, sqlite3_int64 *value)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *value = sqlite3_column_int64(stmt, 0);
        rc = SQLITE_OK;
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_CORRUPT;
    }
    sqlite3_finalize(stmt);
    return rc;
}

int wh_sq_sound(sqlite3 *db)
{
    sqlite3_stmt *stmt;
    const char *found;
    int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);

    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        found = (const char *)sqlite3_column_text(stmt, 0); /* NULL without memory */
        rc = !found ? SQLITE_NOMEM : strcmp(found, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_finalize(stmt);
    return rc;
}

/* PRAGMA takes no parameters; a version is a small number. */
static int set_version(sqlite3 *db, int version)
{
    static const char *const sql[] = { "PRAGMA user_version=0", "PRAGMA user_version=1", "PRAGMA user_version=2", "PRAGMA user_version=3",
                                       "PRAGMA user_version=4", "PRAGMA user_version=5", "PRAGMA user_version=6", "PRAGMA user_version=7" };

    if (version < 0 || version >= (int)(sizeof sql / sizeof sql[0]))
        return SQLITE_RANGE;
    return sqlite3_exec(db, sql[version], NULL, NULL, NULL);
}

int wh_sq_upgrade(sqlite3 *db, const wh_sq_step *steps, int count)
{
    sqlite3_int64 version = 0;
    int i, rc;

    rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = wh_sq_int(db, "PRAGMA user_version", &version);
    for (i = 0; i < count && rc == SQLITE_OK; i++) {
        if (version != steps[i].from)
            continue;
        rc = sqlite3_exec(db, steps[i].sql, NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            rc = set_version(db, (int)++version);
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int wh_sq_prepare_connection(sqlite3 *db)
{
    static const struct {
        int op, value;
    } flags[] = {
        { SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1 }, /* checkpoints belong under the lock, at moments we choose */
        { SQLITE_DBCONFIG_DEFENSIVE, 1 },
        { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },   /* a file may have been written by somebody else */
        { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
    };
    int i, on = 1, rc = SQLITE_OK;
    sqlite3_int64 level = 0;

    for (i = 0; i < (int)(sizeof flags / sizeof flags[0]); i++)
        sqlite3_db_config(db, flags[i].op, flags[i].value, NULL);
    /* The log stays when the last connection goes: its identity is what tells a removed log from one that was tidied away. */
    sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    sqlite3_wal_autocheckpoint(db, 0);
    rc = sqlite3_exec(db,
                      "PRAGMA journal_mode=WAL;"
                      "PRAGMA synchronous=FULL;"
                      "PRAGMA cache_size=-2048;" /* KiB per process: a batch and the way to it; every commit of another process empties it anyway */
                      "PRAGMA temp_store=MEMORY;"
                      "PRAGMA mmap_size=0;" /* a mapped file that somebody truncates is a SIGBUS for the whole server */
                      "PRAGMA journal_size_limit=268435456",
                      NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = wh_sq_int(db, "PRAGMA synchronous", &level);
    if (rc == SQLITE_OK && level != 2)
        rc = SQLITE_MISUSE;
    return rc;
}

/* ---------------------------------------------------------------------------------------------------------------- init --- */

typedef struct init_call {
    const webhook_store_conf *conf;
    apr_pool_t *p;
} init_call;

static apr_status_t init_failed(webhook_result *res, apr_status_t rv, const char *detail)
{
    res->rv = rv ? rv : APR_EGENERAL;
    res->reason = wh_refusal_table[WH_REFUSAL_STORE_FAILED].code;
    res->detail = detail;
    res->retry_after = 0;
    return res->rv;
}

static apr_status_t init_sqlite_failed(const init_call *c, sqlite3 *db, int rc, const char *doing, webhook_result *res)
{
    const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    int problem = (rc & 0xff) == SQLITE_CORRUPT ? WH_SQ_CORRUPT : (rc & 0xff) == SQLITE_NOTADB ? WH_SQ_FOREIGN : -1;

    why = problem >= 0 ? apr_psprintf(c->p, "%s (%s: %s)", c->conf->say[problem], doing, why)
                       : apr_psprintf(c->p, "store %s, %s: %s (SQLite code %d)", c->conf->path, doing, why, rc);
    return init_failed(res, APR_EGENERAL, why);
}

/* Checking everything takes time in proportion to the file, which a start does not have; big files are looked at in a few places. */
static int init_check(sqlite3 *db, apr_int64_t bytes)
{
    sqlite3_int64 value;

    if (bytes > CHECK_WHOLE_MAX)
        return wh_sq_int(db, "SELECT (SELECT count(*) FROM counters) + (SELECT count(*) FROM names) + coalesce((SELECT max(n) FROM deliveries),0)"
                           " + coalesce((SELECT max(job) FROM jobs),0) + coalesce((SELECT max(b) FROM bodies),0)", &value);
    return wh_sq_sound(db);
}

/* What is to be found in the list of keys, before any child needs it: the first delivery would wait for it. */
static int init_keys(const webhook_store_conf *conf, sqlite3 *db)
{
    sqlite3_stmt *ends = NULL, *since = NULL;
    sqlite3_int64 first;
    struct stat st;
    wh_sq_file file;
    int rc = SQLITE_CANTOPEN;

    if (stat(conf->path, &st) == 0) {
        file.dev = st.st_dev;
        file.ino = st.st_ino;
        rc = sqlite3_prepare_v2(db, wh_sq_sql[WH_SQ_KEY_ENDS], -1, &ends, NULL);
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, wh_sq_sql[WH_SQ_KEYS_SINCE], -1, &since, NULL);
    if (rc == SQLITE_OK)
        rc = wh_sq_keys_load(conf, &file, ends, since, &first);
    sqlite3_finalize(ends);
    sqlite3_finalize(since);
    return rc;
}

static apr_status_t init_database(const init_call *c, int fresh, webhook_result *res)
{
    sqlite3_int64 id = 0, version = 0;
    struct stat st;
    sqlite3 *db = NULL;
    const char *doing = "opening";
    apr_status_t rv = APR_SUCCESS;
    int rc = sqlite3_open_v2(c->conf->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(db, (int)(c->conf->lock_timeout / 1000));
        if (fresh) {
            doing = "creating";
            rc = sqlite3_exec(db, "PRAGMA page_size=4096; PRAGMA application_id=0x77684442", NULL, NULL, NULL);
        }
    }
    if (rc == SQLITE_OK) {
        doing = "reading";
        rc = wh_sq_int(db, "PRAGMA application_id", &id);
    }
    if (rc == SQLITE_OK)
        rc = wh_sq_int(db, "PRAGMA user_version", &version);
    if (rc == SQLITE_OK && (id != WH_SQ_APPLICATION_ID || version > WH_SQ_VERSION)) {
        rv = init_failed(res, APR_EGENERAL, c->conf->say[id != WH_SQ_APPLICATION_ID ? WH_SQ_FOREIGN : WH_SQ_NEWER]);
    } else {
        if (rc == SQLITE_OK) {
            doing = "setting up";
            rc = wh_sq_prepare_connection(db);
        }
        if (rc == SQLITE_OK && version < WH_SQ_VERSION) {
            doing = "bringing the schema up to date";
            rc = wh_sq_upgrade(db, wh_sq_ladder, wh_sq_ladder_count);
        }
        if (rc == SQLITE_OK) {
            doing = "checking";
            rc = init_check(db, stat(c->conf->path, &st) == 0 ? (apr_int64_t)st.st_size : 0);
        }
        if (rc == SQLITE_OK) {
            doing = "reading the idempotency keys";
            rc = init_keys(c->conf, db);
        }
        if (rc == SQLITE_OK && fresh) {
            /* Out of the log and into the file: a new store is whole by itself, and the file is never seen empty again. */
            doing = "writing";
            rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        }
        if (rc != SQLITE_OK)
            rv = init_sqlite_failed(c, db, rc, doing, res);
    }
    sqlite3_close_v2(db);
    return rv;
}

/* As the user who will serve. */
static apr_status_t init_files(void *baton, webhook_result *res)
{
    const init_call *c = baton;
    const webhook_store_conf *conf = c->conf;
    struct stat st, mark;
    wh_lock lock;
    apr_status_t rv;
    int fresh = 0, known, fd;

    wh_lock_init(&lock, conf->lock);
    rv = wh_lock_take(&lock, 1, wh_monotonic() + conf->lock_timeout);
    if (rv == APR_TIMEUP)
        return wh_sq_say(conf, WH_SQ_BUSY, rv, res);
    if (rv != APR_SUCCESS)
        return init_failed(res, rv, apr_psprintf(c->p, "%s cannot be opened: %s; the directory must belong to the server's user", conf->lock,
                                                 strerror(rv)));
    known = fstat(lock.fd, &mark) == 0 && mark.st_size > 0;
    if (lstat(conf->path, &st) < 0) {
        if (errno != ENOENT)
            rv = init_failed(res, errno, apr_psprintf(c->p, "%s cannot be looked at: %s", conf->path, strerror(errno)));
        else if (known)
            rv = wh_sq_say(conf, WH_SQ_GONE, ENOENT, res);
        else
            fresh = 1;
    } else if (!S_ISREG(st.st_mode)) {
        rv = wh_sq_say(conf, WH_SQ_FOREIGN, 0, res);
    } else if (st.st_size == 0) {
        /* An empty file with an unmarked lock is a creation that was interrupted; with a marked one it is a store somebody emptied. */
        if (known)
            rv = wh_sq_say(conf, WH_SQ_CORRUPT, 0, res);
        else
            fresh = 1;
    }
    if (rv == APR_SUCCESS && fresh) {
        fd = open(conf->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            rv = init_failed(res, errno, apr_psprintf(c->p, "%s cannot be created: %s", conf->path, strerror(errno)));
        else
            close(fd);
    }
    if (rv == APR_SUCCESS)
        rv = init_database(c, fresh, res);
    if (rv == APR_SUCCESS && mkdir(conf->bodies, 0700) < 0 && errno != EEXIST)
        rv = init_failed(res, errno, apr_psprintf(c->p, "%s cannot be created: %s", conf->bodies, strerror(errno)));
    if (rv == APR_SUCCESS && (rv = wh_sync_dir(conf->dir)) != APR_SUCCESS)
        rv = init_failed(res, rv, apr_psprintf(c->p, "%s cannot be synced: %s", conf->dir, strerror(rv)));
    if (rv == APR_SUCCESS && !known) {
        static const char text[] = "lock of the webhook store beside this file; keep it as long as the store\n";
        if (pwrite(lock.fd, text, sizeof text - 1, 0) != (ssize_t)(sizeof text - 1) || fsync(lock.fd) < 0)
            rv = init_failed(res, errno, apr_psprintf(c->p, "%s cannot be written: %s", conf->lock, strerror(errno)));
    }
    wh_lock_give(&lock);
    wh_lock_close(&lock);
    return rv;
}

apr_status_t wh_sq_init(const webhook_store_conf *conf, int uid, int gid, apr_pool_t *ptemp, webhook_result *res)
{
    const char *const files[] = { conf->path, conf->wal, conf->shm, conf->lock, conf->bodies, NULL };
    init_call call = { conf, ptemp };
    const char *err = wh_files_prepare(conf->dir, files, uid, gid, ptemp);

    if (err)
        return init_failed(res, APR_EGENERAL, err);
    /* Here, not in the process that reads the keys as the server's user: this one's children share it. */
    if (wh_log_sync_map(conf->syncs) != APR_SUCCESS)
        return init_failed(res, APR_ENOMEM, apr_psprintf(ptemp, "store %s: no memory for what its processes share", conf->path));
    if (wh_key_index_map(conf->keys, 0) != APR_SUCCESS)
        return init_failed(res, APR_ENOMEM, apr_psprintf(ptemp, "store %s: no memory for the idempotency keys", conf->path));
    return wh_files_as(uid, gid, init_files, &call, ptemp, res);
}
