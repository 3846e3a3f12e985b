/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_connection.c: the one connection of a handle. Opens it when needed, notices when the files under it were removed or replaced,
 * brackets every change with the lock and a transaction, and decides what an error means for the connection.
 *
 * The database is never opened by other means in this process: closing such a descriptor would drop SQLite's POSIX locks. Looking at
 * it is stat() by path.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "core/reasons.h"
#include "core/units.h"
#include "store/sqlite_store.h"

#define SECOND APR_TIME_C(1000000)
#define SAY_EVERY (10 * SECOND)     /* one log line per kind of trouble and process */
#define CORRUPT_RETRY (30 * SECOND) /* an unchanged damaged file is looked at again this often */
#define CHECK_WHOLE_MAX (64 * 1024 * 1024) /* bytes up to which a reopened damaged file is checked in full */

static const struct {
    wh_refusal reason;
    apr_status_t rv;
    int retry_after; /* seconds */
} problem_facts[WH_SQ_PROBLEMS] = {
    [WH_SQ_BUSY] = { WH_REFUSAL_STORE_BUSY, APR_TIMEUP, 5 },
    [WH_SQ_FULL] = { WH_REFUSAL_STORE_FULL, ENOSPC, 60 },
    [WH_SQ_LIMIT] = { WH_REFUSAL_STORE_FULL, ENOSPC, 60 },
    [WH_SQ_SPACE] = { WH_REFUSAL_STORE_FULL, ENOSPC, 60 },
    [WH_SQ_FAILED] = { WH_REFUSAL_STORE_FAILED, APR_EGENERAL, 30 },
    [WH_SQ_GONE] = { WH_REFUSAL_STORE_FAILED, ENOENT, 30 },
    [WH_SQ_REPLACED] = { WH_REFUSAL_STORE_FAILED, APR_EGENERAL, 30 },
    [WH_SQ_FOREIGN] = { WH_REFUSAL_STORE_FAILED, APR_EGENERAL, 30 },
    [WH_SQ_CORRUPT] = { WH_REFUSAL_STORE_FAILED, APR_EGENERAL, 30 },
    [WH_SQ_NEWER] = { WH_REFUSAL_STORE_FAILED, APR_EGENERAL, 30 },
    [WH_SQ_OLDER] = { WH_REFUSAL_STORE_FAILED, APR_EGENERAL, 30 },
    [WH_SQ_FORKED] = { WH_REFUSAL_STORE_FAILED, APR_EGENERAL, 30 },
    [WH_SQ_ITEM] = { WH_REFUSAL_INTERNAL, APR_EINVAL, 60 },
};

apr_status_t wh_sq_say(const webhook_store_conf *conf, wh_sq_problem problem, apr_status_t rv, webhook_result *res)
{
    res->rv = rv ? rv : problem_facts[problem].rv;
    res->reason = wh_refusal_table[problem_facts[problem].reason].code;
    res->detail = conf->say[problem];
    res->retry_after = problem_facts[problem].retry_after * SECOND;
    return res->rv;
}

apr_status_t wh_sq_trouble(webhook_store *s, wh_sq_problem problem, apr_status_t rv, webhook_result *res)
{
    apr_time_t now = wh_monotonic();

    if (!s->said[problem] || now - s->said[problem] > SAY_EVERY) {
        s->said[problem] = now;
        wh_log(problem == WH_SQ_BUSY ? WH_LOG_WARNING : WH_LOG_ERROR, rv, "WH0501: %s", s->conf->say[problem]);
    }
    s->broken = (int)problem + 1;
    return wh_sq_say(s->conf, problem, rv, res);
}

/* ------------------------------------------------------------------------------------------------------ lock and clock --- */

apr_status_t wh_sq_enter_call(webhook_store *s, webhook_result *res)
{
    if (s->pid != getpid())
        return wh_sq_trouble(s, WH_SQ_FORKED, 0, res);
    if (!s->entered)
        s->deadline = wh_monotonic() + s->conf->lock_timeout;
    return APR_SUCCESS;
}

apr_status_t wh_sq_lock(webhook_store *s, webhook_result *res)
{
    apr_status_t rv;
    struct stat st;
    int there;

    if (s->lock.held)
        return APR_SUCCESS;
    there = lstat(s->conf->path, &st) == 0;
    if (!there && !s->db)
        return wh_sq_trouble(s, errno == ENOENT ? WH_SQ_GONE : WH_SQ_FAILED, errno, res);
    /* A lock file is only made beside a database: its presence without one means that the database was removed. */
    rv = wh_lock_take(&s->lock, there, s->deadline);
    if (rv == APR_SUCCESS)
        return rv;
    if (!there)
        wh_sq_disconnect(s);
    return wh_sq_trouble(s, rv == APR_TIMEUP ? WH_SQ_BUSY : there ? WH_SQ_FAILED : WH_SQ_GONE, rv, res);
}

void wh_sq_unlock(webhook_store *s)
{
    if (!s->entered)
        wh_lock_give(&s->lock);
}

/* SQLite finds the file locked: with our own lock held that is somebody who does not know it, a sqlite3 shell or a backup. */
static int wait_for_foreigner(void *baton, int tries)
{
    const webhook_store *s = baton;
    struct timespec ts = { 0, 1000000 };

    (void)tries;
    if (wh_monotonic() >= s->deadline)
        return 0;
    nanosleep(&ts, NULL);
    return 1;
}

void wh_sq_wait_for_foreigners(webhook_store *s)
{
    sqlite3_busy_handler(s->db, wait_for_foreigner, s);
}

/* --------------------------------------------------------------------------------------------------- opening and closing --- */

int wh_sq_file_same(const char *path, const wh_sq_file *f)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino;
}

static int file_note(const char *path, wh_sq_file *f)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return 0;
    f->dev = st.st_dev;
    f->ino = st.st_ino;
    return 1;
}

static int files_same(const webhook_store *s)
{
    return wh_sq_file_same(s->conf->path, &s->file[0]) && wh_sq_file_same(s->conf->wal, &s->file[1])
           && wh_sq_file_same(s->conf->shm, &s->file[2]);
}

void wh_sq_disconnect(webhook_store *s)
{
    int i;

    if (!s->db)
        return;
    for (i = 0; i < WH_SQ_STATEMENT_COUNT; i++) {
        sqlite3_finalize(s->statement[i]);
        s->statement[i] = NULL;
    }
    sqlite3_close_v2(s->db);
    s->db = NULL;
    if (s->wal_fd >= 0)
        close(s->wal_fd);
    s->wal_fd = -1;
    s->wal_pages = 0;
    s->measured = 0;
    memset(s->delta, 0, sizeof s->delta);
    wh_sq_forget_names(s);
}

static int file_missing(const char *path)
{
    struct stat st;

    return stat(path, &st) < 0 && errno == ENOENT;
}

/*
 * With the lock held: the files are not what this connection has open. What the log holds was acknowledged, so it is copied into the database
 * file we have open, wherever that is called now; and a log that belongs to another file than the one now at our path must not stay, for
 * whoever opens that file next would take it for its own. That is done by the first process that notices, which then removes log and index;
 * the others see a log that is not theirs and touch nothing. Where only the index was removed the log speaks for itself.
 * @return 0 when a reader is in the way: to be tried again
 */
static int salvage(webhook_store *s)
{
    int moved = !wh_sq_file_same(s->conf->path, &s->file[0]), lost = file_missing(s->conf->wal);
    int ours = wh_sq_file_same(s->conf->wal, &s->file[1]) && wh_sq_file_same(s->conf->shm, &s->file[2]);
    int in_log = 0, copied = 0, rc;

    if (!(moved && ours) && !lost)
        return 1;
    rc = sqlite3_wal_checkpoint_v2(s->db, NULL, lost ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE, &in_log, &copied);
    if ((rc & 0xff) == SQLITE_BUSY || (rc == SQLITE_OK && copied < in_log))
        return 0;
    if (rc != SQLITE_OK)
        wh_log(WH_LOG_ERROR, 0, "WH0511: store %s: what the write-ahead log held cannot be saved: %s", s->conf->path, sqlite3_errmsg(s->db));
    if (ours)
        unlink(s->conf->wal);
    if (wh_sq_file_same(s->conf->shm, &s->file[2]))
        unlink(s->conf->shm);
    return 1;
}

static int note_wal(void *baton, sqlite3 *db, const char *name, int pages)
{
    webhook_store *s = baton;

    (void)db;
    (void)name;
    s->wal_pages = pages;
    return SQLITE_OK;
}

/* The file was damaged when last seen: do not accept into it again before SQLite finds it sound. */
static int check_again(webhook_store *s)
{
    return s->corrupt.st_size > CHECK_WHOLE_MAX ? SQLITE_OK : wh_sq_sound(s->db);
}

wh_sq_problem wh_sq_problem_of(apr_status_t rv)
{
    return rv == ENOSPC || rv == EDQUOT || rv == EFBIG ? WH_SQ_FULL : WH_SQ_FAILED;
}

static int problem_of(int rc, int sys)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
        return WH_SQ_BUSY;
    case SQLITE_FULL:
        return WH_SQ_FULL;
    case SQLITE_CORRUPT:
        return WH_SQ_CORRUPT;
    case SQLITE_NOTADB:
        return WH_SQ_FOREIGN;
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
        return WH_SQ_ITEM;
    case SQLITE_IOERR:
        return wh_sq_problem_of(sys);
    default:
        return WH_SQ_FAILED;
    }
}

/* SQLite does not pass on the system's error of a failed commit: ask the two files it writes. */
static int system_error(sqlite3 *db)
{
    sqlite3_file *wal = NULL;
    int err = sqlite3_system_errno(db);

    if (!err)
        sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &err);
    if (!err && sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK && wal && wal->pMethods)
        wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &err);
    return err;
}

static void note_corrupt(webhook_store *s)
{
    if (stat(s->conf->path, &s->corrupt) < 0 || s->corrupt.st_ino == 0)
        memset(&s->corrupt, 0, sizeof s->corrupt);
    s->corrupt_next = wh_monotonic() + CORRUPT_RETRY;
}

/* SQLite holds no locks on the log, so that a descriptor of it may be closed. */
static int open_wal(webhook_store *s)
{
    struct stat st;

    if (wh_log_sync_map(s->conf->syncs) != APR_SUCCESS)
        return SQLITE_NOMEM;
    s->wal_fd = open(s->conf->wal, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (s->wal_fd < 0)
        return SQLITE_CANTOPEN;
    return fstat(s->wal_fd, &st) == 0 && st.st_dev == s->file[1].dev && st.st_ino == s->file[1].ino ? SQLITE_OK : SQLITE_CANTOPEN;
}

/* The lock file's text is the memory that a store was made here; see init. A lock file made by root must not lock the server out. */
static void mark_lock(webhook_store *s, const struct stat *db)
{
    static const char text[] = "lock of the webhook store beside this file; keep it as long as the store\n";
    struct stat st;

    if (fstat(s->lock.fd, &st) < 0 || st.st_size > 0)
        return;
    if (geteuid() == 0 && fchown(s->lock.fd, db->st_uid, db->st_gid) < 0)
        wh_log(WH_LOG_WARNING, errno, "WH0502: the owner of %s cannot be changed", s->conf->lock);
    if (pwrite(s->lock.fd, text, sizeof text - 1, 0) < 0)
        wh_log(WH_LOG_WARNING, errno, "WH0503: %s cannot be written", s->conf->lock);
}

/* Everything that can be wrong with the file shows here. */
static int connect_checked(webhook_store *s, const struct stat *st, int *problem)
{
    sqlite3_int64 value = 0;
    int rc;

    rc = sqlite3_open_v2(s->conf->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, wh_sq_vfs());
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_extended_result_codes(s->db, 1);
    wh_sq_wait_for_foreigners(s);
    if ((rc = wh_sq_int(s->db, "PRAGMA application_id", &value)) != SQLITE_OK)
        return rc;
    if (value != WH_SQ_APPLICATION_ID) {
        *problem = WH_SQ_FOREIGN;
        return SQLITE_OK;
    }
    if ((rc = wh_sq_int(s->db, "PRAGMA user_version", &value)) != SQLITE_OK)
        return rc;
    if (value != WH_SQ_VERSION) {
        *problem = value > WH_SQ_VERSION ? WH_SQ_NEWER : WH_SQ_OLDER;
        return SQLITE_OK;
    }
    if ((rc = wh_sq_prepare_connection(s->db)) != SQLITE_OK)
        return rc;
    sqlite3_wal_hook(s->db, note_wal, s);
    if ((rc = wh_sq_int(s->db, "SELECT count(*) FROM counters", &value)) != SQLITE_OK)
        return rc;
    if (s->corrupt.st_ino && (rc = check_again(s)) != SQLITE_OK)
        return rc;
    mark_lock(s, st);
    if (!file_note(s->conf->path, &s->file[0]) || !file_note(s->conf->wal, &s->file[1]) || !file_note(s->conf->shm, &s->file[2])
        || s->file[0].dev != st->st_dev || s->file[0].ino != st->st_ino)
        *problem = WH_SQ_REPLACED;
    return *problem < 0 ? open_wal(s) : SQLITE_OK;
}

apr_status_t wh_sq_connect(webhook_store *s, webhook_result *res)
{
    struct stat st;
    int rc, sys, problem = -1;

    if (s->db) {
        if (files_same(s))
            return APR_SUCCESS;
        if (!salvage(s))
            return wh_sq_trouble(s, WH_SQ_REPLACED, 0, res);
        wh_log(WH_LOG_WARNING, 0, "WH0504: %s; opening it again", s->conf->say[WH_SQ_REPLACED]);
        wh_sq_disconnect(s);
    }
    if (lstat(s->conf->path, &st) < 0) {
        sys = errno;
        return wh_sq_trouble(s, sys == ENOENT ? WH_SQ_GONE : WH_SQ_FAILED, sys, res);
    }
    if (!S_ISREG(st.st_mode))
        return wh_sq_trouble(s, WH_SQ_FOREIGN, 0, res);
    if (st.st_size == 0)
        return wh_sq_trouble(s, WH_SQ_CORRUPT, 0, res); /* a store is never empty; SQLite would take it for a new one */
    if (s->corrupt.st_ino && s->corrupt.st_ino == st.st_ino && s->corrupt.st_dev == st.st_dev && s->corrupt.st_size == st.st_size
        && s->corrupt.st_mtim.tv_sec == st.st_mtim.tv_sec && s->corrupt.st_mtim.tv_nsec == st.st_mtim.tv_nsec
        && wh_monotonic() < s->corrupt_next)
        return wh_sq_trouble(s, WH_SQ_CORRUPT, 0, res);

    rc = connect_checked(s, &st, &problem);
    if (rc == SQLITE_OK && problem < 0) {
        memset(&s->corrupt, 0, sizeof s->corrupt);
        if (s->broken) {
            wh_log(WH_LOG_NOTICE, 0, "WH0505: the store %s is back", s->conf->path);
            s->broken = 0;
            memset(s->said, 0, sizeof s->said);
        }
        return APR_SUCCESS;
    }
    sys = s->db ? system_error(s->db) : 0;
    if (rc != SQLITE_OK) {
        problem = problem_of(rc, sys);
        if (problem == WH_SQ_CORRUPT || problem == WH_SQ_FOREIGN)
            note_corrupt(s);
        if (!s->said[problem])
            wh_log(WH_LOG_ERROR, sys, "WH0506: opening the store %s: %s (SQLite code %d)", s->conf->path,
                   s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc), rc);
    }
    wh_sq_disconnect(s);
    return wh_sq_trouble(s, (wh_sq_problem)problem, rc == SQLITE_OK ? 0 : sys, res);
}

apr_status_t wh_sq_reader(webhook_store *s, webhook_result *res)
{
    apr_status_t rv = wh_sq_enter_call(s, res);

    if (rv != APR_SUCCESS)
        return rv;
    if (s->db && files_same(s))
        return APR_SUCCESS;
    rv = wh_sq_lock(s, res);
    if (rv == APR_SUCCESS)
        rv = wh_sq_connect(s, res);
    wh_sq_unlock(s);
    return rv;
}

static apr_status_t store_close(void *data)
{
    webhook_store *s = data;

    if (s->pid != getpid()) {
        /* Inherited over fork: the connection belongs to the parent and must not even be closed here. */
        wh_lock_forget(&s->lock);
        return APR_SUCCESS;
    }
    if (s->db) {
        if (!s->lock.held)
            wh_lock_take(&s->lock, 0, wh_monotonic() + SECOND);
        wh_sq_disconnect(s);
    }
    wh_lock_close(&s->lock);
    return APR_SUCCESS;
}

apr_status_t wh_sq_open(webhook_store **out, const webhook_store_conf *conf, apr_pool_t *p, webhook_result *res)
{
    webhook_store *s = apr_pcalloc(p, sizeof *s);
    webhook_result now;

    (void)res;
    s->conf = conf;
    s->pool = p;
    s->pid = getpid();
    s->wal_fd = -1;
    wh_lock_init(&s->lock, conf->lock);
    apr_pool_create(&s->names, p);
    wh_sq_forget_names(s);
    /* before sub-pools go: closing still empties the pool of names */
    apr_pool_pre_cleanup_register(p, s, store_close);
    *out = s;
    /* Opening early saves the first request the time; what is wrong now is said by the calls, if it is still wrong then. */
    memset(&now, 0, sizeof now);
    wh_sq_reader(s, &now);
    return APR_SUCCESS;
}

/* ------------------------------------------------------------------------------------------------------------- changes --- */

static void undo(webhook_store *s)
{
    /* A number taken in a transaction that never happened could be given out again while leases bear it. */
    if (s->delta[WH_CN_OWNER])
        memset(&s->owner_file, 0, sizeof s->owner_file);
    memset(s->delta, 0, sizeof s->delta);
    s->measured = 0;
    wh_sq_forget_names(s);
}

apr_status_t wh_sq_failed(webhook_store *s, int rc, const char *doing, webhook_result *res)
{
    int sys = s->db && (rc & 0xff) == SQLITE_IOERR ? system_error(s->db) : 0;
    int problem = problem_of(rc, sys), drop = 1;
    apr_time_t now = wh_monotonic();

    if (!s->said[problem] || now - s->said[problem] > SAY_EVERY)
        wh_log(problem == WH_SQ_BUSY ? WH_LOG_WARNING : WH_LOG_ERROR, 0, "WH0507: store %s, %s: %s (SQLite code %d, system error %d)",
               s->conf->path, doing, s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc), rc, sys);
    undo(s);
    if (s->db) {
        int i;

        wh_sq_wal_hold(s->db, WH_SQ_HOLD_NOT);
        for (i = 0; i < WH_SQ_STATEMENT_COUNT; i++)
            sqlite3_reset(s->statement[i]);
        if (!sqlite3_get_autocommit(s->db))
            wh_sq_run(s, WH_SQ_ROLLBACK, "");
        /* What was not decided by the disk leaves the connection as good as before; after an I/O error nobody knows what is in the file. */
        drop = !(problem == WH_SQ_BUSY || problem == WH_SQ_ITEM || (rc & 0xff) == SQLITE_FULL) || !sqlite3_get_autocommit(s->db);
    }
    if (problem == WH_SQ_CORRUPT || problem == WH_SQ_FOREIGN)
        note_corrupt(s);
    if (drop)
        wh_sq_disconnect(s);
    wh_sq_unlock(s);
    return problem == WH_SQ_ITEM ? wh_sq_say(s->conf, WH_SQ_ITEM, 0, res) : wh_sq_trouble(s, (wh_sq_problem)problem, sys, res);
}

void wh_sq_abandon(webhook_store *s)
{
    undo(s);
    if (s->db)
        wh_sq_wal_hold(s->db, WH_SQ_HOLD_NOT);
    if (s->db && !sqlite3_get_autocommit(s->db) && wh_sq_run(s, WH_SQ_ROLLBACK, "") != SQLITE_OK)
        wh_sq_disconnect(s);
    wh_sq_unlock(s);
}

static apr_status_t begin(webhook_store *s, int unsynced, webhook_result *res)
{
    sqlite3_stmt *stmt;
    apr_status_t rv = wh_sq_enter_call(s, res);
    int rc, version = WH_SQ_VERSION;

    if (rv == APR_SUCCESS)
        rv = wh_sq_lock(s, res);
    if (rv == APR_SUCCESS)
        rv = wh_sq_connect(s, res);
    if (rv == APR_SUCCESS)
        rv = wh_sq_log_sound(s, res);
    if (rv != APR_SUCCESS) {
        wh_sq_unlock(s);
        return rv;
    }
    /* Usually maintain() has kept the log short; it does not run while there is no dispatcher. */
    if (s->wal_pages * WH_SQ_PAGE_SIZE > s->conf->wal_limit)
        wh_sq_checkpoint(s);
    s->unsynced = unsynced;
    s->number = 0;
    rc = wh_sq_run(s, WH_SQ_BEGIN, "");
    if (rc == SQLITE_OK) {
        wh_sq_wal_hold(s->db, unsynced ? WH_SQ_HOLD_UNSYNCED : WH_SQ_HOLD_SYNCED);
        /* Another process may have brought the schema to a version this code does not know. */
        rc = wh_sq_row(s, WH_SQ_VERSION_NOW, &stmt, "");
        if (rc == SQLITE_ROW) {
            version = sqlite3_column_int(stmt, 0);
            wh_sq_done(stmt);
            rc = SQLITE_OK;
        }
    }
    if (rc != SQLITE_OK)
        return wh_sq_failed(s, rc, "beginning a transaction", res);
    if (version != WH_SQ_VERSION) {
        wh_sq_run(s, WH_SQ_ROLLBACK, "");
        wh_sq_disconnect(s);
        wh_sq_unlock(s);
        return wh_sq_trouble(s, version > WH_SQ_VERSION ? WH_SQ_NEWER : WH_SQ_OLDER, 0, res);
    }
    return APR_SUCCESS;
}

apr_status_t wh_sq_begin(webhook_store *s, webhook_result *res)
{
    return begin(s, 0, res);
}

apr_status_t wh_sq_begin_unsynced(webhook_store *s, webhook_result *res)
{
    return begin(s, 1, res);
}

apr_status_t wh_sq_commit(webhook_store *s, webhook_result *res)
{
    int i, rc = SQLITE_OK;

    for (i = 1; i < WH_CN_END && rc == SQLITE_OK; i++) {
        if (s->delta[i])
            rc = wh_sq_run(s, WH_SQ_COUNTER_ADD, "ii", (sqlite3_int64)i, (sqlite3_int64)s->delta[i]);
    }
    if (rc != SQLITE_OK)
        return wh_sq_failed(s, rc, "counting", res);
    rc = wh_sq_run(s, WH_SQ_COMMIT, "");
    if (rc != SQLITE_OK)
        return wh_sq_failed(s, rc, "committing", res);
    /* One that changed nothing may still be the answer to somebody: that what another wrote is there. */
    if (s->unsynced)
        s->number = wh_sq_wal_due(s->db) ? wh_log_sync_wrote(s->conf->syncs) : wh_log_sync_latest(s->conf->syncs);
    wh_sq_wal_hold(s->db, WH_SQ_HOLD_NOT);
    memset(s->delta, 0, sizeof s->delta);
    if (!files_same(s)) {
        /* Committed into something that is no longer there under its name. The next call sees to what can be saved of it. */
        wh_sq_unlock(s);
        return wh_sq_trouble(s, WH_SQ_REPLACED, 0, res);
    }
    wh_sq_unlock(s);
    if (s->broken) {
        wh_log(WH_LOG_NOTICE, 0, "WH0508: the store %s works again", s->conf->path);
        s->broken = 0;
        memset(s->said, 0, sizeof s->said);
    }
    return APR_SUCCESS;
}
