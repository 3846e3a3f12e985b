/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_io.c: every read, write, sync and truncation SQLite makes fails once (then: from there on) while a small life of deliveries runs.
 * Whatever is acknowledged must be there when the trouble is over, the store must be sound, and the same handle must work again.
 *
 * The failures are injected by a VFS around SQLite's own, made the default before anything is opened, and by a fdatasync(2) of this program's own.
 */
#include "tap.h"
#include "store_fixture.h"

#include <sqlite3.h>
#include <sys/syscall.h>

#include "store/sqlite.h"

enum { ONCE, FROM_THEN_ON };

static struct {
    int armed, mode, at, calls, hits, rc_sync, rc_write;
} fault;

static int fails(void)
{
    int hit;

    if (!fault.armed)
        return 0;
    fault.calls++;
    hit = fault.mode == ONCE ? fault.calls == fault.at : fault.calls >= fault.at;
    fault.hits += hit;
    return hit;
}

typedef struct shim_file {
    sqlite3_file base;
    sqlite3_file *real;
    int log, main; /* the write-ahead log, the database */
} shim_file;

#define REAL(f) (((shim_file *)(void *)(f))->real)
#define M(f) REAL(f)->pMethods

static int f_close(sqlite3_file *f)
{
    int rc = M(f)->xClose(REAL(f));

    sqlite3_free(REAL(f));
    return rc;
}

static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return fails() ? SQLITE_IOERR_READ : M(f)->xRead(REAL(f), p, n, at);
}

static int syncs, writes, unsynced; /* unsynced: writes since the last sync */
static int db_writes, sync_fails;      /* writes of the database; whether the log cannot be synced */
static int rounds, header, early;   /* times the log was begun, its header is not synced, frames written while it was not */

/* a failed write may have written a part */
static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    writes++;
    unsynced++;
    db_writes += ((shim_file *)(void *)f)->main;
    if (((shim_file *)(void *)f)->log) {
        early += header && at > 0;
        if (at == 0) {
            rounds++;
            header = 1;
            early += n > 32;
        }
    }
    if (fails()) {
        M(f)->xWrite(REAL(f), p, n / 2, at);
        return fault.rc_write;
    }
    return M(f)->xWrite(REAL(f), p, n, at);
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    return fails() ? SQLITE_IOERR_TRUNCATE : M(f)->xTruncate(REAL(f), n);
}

/* SQLite's own syncs come through here once more: they have been counted above. */
static int in_sqlite;

int fdatasync(int fd)
{
    if (!in_sqlite) {
        syncs++;
        unsynced = 0;
        if (sync_fails || fails()) {
            errno = fault.rc_write == SQLITE_FULL ? ENOSPC : EIO;
            return -1;
        }
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static int f_sync(sqlite3_file *f, int flags)
{
    int rc;

    syncs++;
    unsynced = 0;
    if (((shim_file *)(void *)f)->log)
        header = 0;
    if (fails())
        return fault.rc_sync;
    in_sqlite = 1;
    rc = M(f)->xSync(REAL(f), flags);
    in_sqlite = 0;
    return rc;
}

static int f_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return M(f)->xFileSize(REAL(f), n);
}

static int f_lock(sqlite3_file *f, int l)
{
    return M(f)->xLock(REAL(f), l);
}

static int f_unlock(sqlite3_file *f, int l)
{
    return M(f)->xUnlock(REAL(f), l);
}

static int f_reserved(sqlite3_file *f, int *out)
{
    return M(f)->xCheckReservedLock(REAL(f), out);
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
    return M(f)->xFileControl(REAL(f), op, arg);
}

static int f_sector(sqlite3_file *f)
{
    return M(f)->xSectorSize(REAL(f));
}

static int f_device(sqlite3_file *f)
{
    return M(f)->xDeviceCharacteristics(REAL(f));
}

static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return fails() ? SQLITE_IOERR_SHMMAP : M(f)->xShmMap(REAL(f), page, size, extend, out);
}

static int f_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return M(f)->xShmLock(REAL(f), at, n, flags);
}

static void f_shm_barrier(sqlite3_file *f)
{
    M(f)->xShmBarrier(REAL(f));
}

static int f_shm_unmap(sqlite3_file *f, int drop)
{
    return M(f)->xShmUnmap(REAL(f), drop);
}

static const sqlite3_io_methods methods = {
    2, f_close, f_read, f_write, f_truncate, f_sync, f_size, f_lock, f_unlock, f_reserved, f_control, f_sector, f_device,
    f_shm_map, f_shm_lock, f_shm_barrier, f_shm_unmap, NULL, NULL
};

static sqlite3_vfs *real_vfs, shim_vfs;

static int v_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    shim_file *s = (shim_file *)(void *)f;
    int rc;

    (void)v;
    s->base.pMethods = NULL;
    if (fails())
        return SQLITE_CANTOPEN;
    s->real = sqlite3_malloc(real_vfs->szOsFile);
    memset(s->real, 0, (size_t)real_vfs->szOsFile);
    rc = real_vfs->xOpen(real_vfs, name, s->real, flags, out);
    if (rc != SQLITE_OK) {
        sqlite3_free(s->real);
        return rc;
    }
    s->base.pMethods = &methods;
    s->log = (flags & SQLITE_OPEN_WAL) != 0;
    s->main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    return SQLITE_OK;
}

static void install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    shim_vfs = *real_vfs;
    shim_vfs.zName = "shim";
    shim_vfs.pNext = NULL;
    shim_vfs.szOsFile = (int)sizeof(shim_file);
    shim_vfs.xOpen = v_open;
    sqlite3_vfs_register(&shim_vfs, 1);
}

typedef struct ledger {
    char id[64][WH_ID_LEN + 1];
    int n, refused, done; /* done: settlements the store said were applied */
} ledger;

/* The life: accept, lease, settle, replay, reclaim, checkpoint. */
static void live(const wh_store_spec *spec, webhook_store *s, ledger *book, apr_pool_t *p)
{
    static char body[9000];
    apr_time_t now = apr_time_now();
    apr_array_header_t *l;
    webhook_result res;
    int i, n;

    for (i = 0; i < 3; i++) {
        fx_item *it = fx_make(p, body, sizeof body, i == 1 ? "key" : NULL, "h", i ? "g" : NULL, now);

        if (fx_accept(spec, s, it, now) == WEBHOOK_ACCEPT_FAILED)
            book->refused++;
        else
            memcpy(book->id[book->n++], it->accept.first_id, WH_ID_LEN + 1);
    }
    spec->provider->own(s, &res);
    l = fx_lease(spec, s, "h", 2, now, NULL);
    for (i = 0; i < l->nelts; i++)
        book->done += fx_settle(spec, s, FX_LEASE(l, i), i ? WEBHOOK_OUTCOME_DEAD : WEBHOOK_OUTCOME_DONE, 0, now) == 1;
    spec->provider->reclaim(s, now + SECONDS(100), &n, &res);
    if (book->n)
        spec->provider->replay(s, book->id[0], NULL, now, &n, &res);
    spec->provider->maintain(s, now, &n, p, &res);
}

static int ever_hit;

/* @return problems found; *over when the failure lies beyond the life */
static int one(int mode, int at, int rc_sync, int rc_write, int *over)
{
    wh_store_spec *spec = fx_sqlite("io", FX_PLAIN " lock-timeout=500ms wal-limit=1M");
    webhook_store_stats stats;
    const char *problem;
    webhook_result res;
    webhook_store *s;
    apr_pool_t *p;
    int i, bad = 0;
    ledger book;

    fx_remove(apr_psprintf(fx_pool, "%s/io", fx_dir));
    apr_pool_create(&p, fx_pool);
    memset(&book, 0, sizeof book);
    fault.armed = 0;
    if (fx_init(spec, &res) != APR_SUCCESS) {
        diag("init: %s", res.detail);
        return 1;
    }
    fault.mode = mode;
    fault.at = at;
    fault.calls = fault.hits = 0;
    fault.rc_sync = rc_sync;
    fault.rc_write = rc_write;
    fault.armed = 1;
    s = fx_open(spec, p);
    live(spec, s, &book, p);
    *over = fault.hits == 0;
    ever_hit += fault.hits > 0;
    fault.armed = 0;
    /* the same handle, healthy again */
    for (i = 0; i < book.n; i++) {
        if (!fx_get(spec, s, book.id[i])) {
            diag("mode %d, call %d: %s was acknowledged and is not there", mode, at, book.id[i]);
            bad++;
        }
    }
    memset(&stats, 0, sizeof stats);
    if (fx_accept(spec, s, fx_small(p, NULL, "h", NULL, apr_time_now()), apr_time_now()) != WEBHOOK_ACCEPT_STORED) {
        diag("mode %d, call %d: does not heal", mode, at);
        bad++;
    }
    apr_pool_destroy(p);
    wh_sqlite_check(fx_path("io"), &problem, fx_pool);
    if (problem) {
        diag("mode %d, call %d: %s", mode, at, problem);
        bad++;
    }
    return bad;
}

static void sweep(const char *what, int mode, int rc_sync, int rc_write)
{
    int at, over = 0, bad = 0;

    for (at = 1; !over && at < 5000 && bad < 5; at++)
        bad += one(mode, at, rc_sync, rc_write, &over);
    ok(over, "%s: all %d places", what, at - 2);
    is_int(bad, 0, "%s: nothing acknowledged is lost, the store is sound and heals", what);
}

/* A log that is begun anew has its header on the disk before any frame, whoever syncs the frames: or a power cut could leave the new header's
 * salt with frames of the round before. */
static void check_rounds(void)
{
    static char body[60000];
    wh_store_spec *spec = fx_sqlite("rounds", FX_PLAIN " wal-limit=1M");
    webhook_result res;
    webhook_store *s;
    int i, stored = 0;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    rounds = header = early = 0;
    for (i = 0; i < 100; i++)
        stored += fx_accept(spec, s, fx_make(fx_pool, body, sizeof body, NULL, "h", NULL, apr_time_now()), apr_time_now()) == WEBHOOK_ACCEPT_STORED;
    is_int(stored, 100, "a hundred accepted");
    ok(rounds > 2, "the log was begun %d times", rounds);
    is_int(early, 0, "and never a frame written before its header was synced");
}

/* A log whose sync failed is what nobody knows it to be: it must not get into the database before it was written once more. */
static void check_doubt(void)
{
    wh_store_spec *spec = fx_sqlite("doubt", FX_PLAIN);
    apr_time_t now = apr_time_now();
    fx_item *first = fx_small(fx_pool, NULL, "h", NULL, now), *kept = fx_small(fx_pool, "key", "h", NULL, now);
    webhook_result res;
    webhook_store *s;
    int more;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    is_int(fx_accept(spec, s, first, now), WEBHOOK_ACCEPT_STORED, "accepted");
    sync_fails = 1;
    is_int(fx_accept(spec, s, kept, now), WEBHOOK_ACCEPT_FAILED, "the sync fails: not accepted");
    db_writes = 0;
    ok(spec->provider->maintain(s, now, &more, fx_pool, &res) != APR_SUCCESS, "no checkpoint of a log in doubt");
    is_int(db_writes, 0, "nothing of it is written to the database");
    is_int(fx_accept(spec, s, fx_small(fx_pool, NULL, "h", NULL, now), now), WEBHOOK_ACCEPT_FAILED, "nor is anything accepted");
    sync_fails = 0;
    is_int(spec->provider->maintain(s, now, &more, fx_pool, &res), APR_SUCCESS, "when it can be healed it is");
    ok(db_writes > 0, "and copied");
    ok(fx_get(spec, s, first->id) != NULL, "with what was accepted");
    is_int(fx_accept(spec, s, fx_small(fx_pool, "key", "h", NULL, now), now), WEBHOOK_ACCEPT_DUPLICATE, "and what was not said to be is known when it comes again");
}

/* What is acknowledged or settled is synced, also by a handle that leased without a sync before; and many pages are few writes. */
static void check_syncs(void)
{
    static char body[40000];
    wh_store_spec *spec = fx_sqlite("syncs", FX_PLAIN);
    apr_time_t now = apr_time_now();
    apr_array_header_t *l;
    webhook_result res;
    webhook_store *s;
    int round;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    spec->provider->own(s, &res);
    for (round = 1; round <= 2; round++) {
        syncs = writes = 0;
        is_int(fx_accept(spec, s, fx_make(fx_pool, body, sizeof body, NULL, "h", NULL, now), now), WEBHOOK_ACCEPT_STORED, "accepted");
        is_int(syncs, 1, "round %d: accepting syncs once", round);
        is_int(unsynced, 0, "round %d: after everything it wrote", round);
        ok(writes < 10, "round %d: ten and more pages are %d writes", round, writes);
        syncs = 0;
        l = fx_lease(spec, s, "h", 1, now, NULL);
        is_int(l->nelts, 1, "leased");
        is_int(syncs, 0, "round %d: leasing alone does not sync", round);
        is_int(fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DONE, 0, now), 1, "settled");
        is_int(syncs, 1, "round %d: settling syncs once", round);
        is_int(unsynced, 0, "round %d: after everything, the lease too", round);
    }
}

int main(void)
{
    /* thousands of syncs whose real meaning does not matter here */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    fx_begin();
    fx_quiet = 1;
    install();
    check_syncs();
    check_rounds();
    check_doubt();
    sweep("an I/O error once", ONCE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE);
    sweep("a full disk once", ONCE, SQLITE_IOERR_FSYNC, SQLITE_FULL);
    sweep("I/O errors from then on", FROM_THEN_ON, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE);
    ok(ever_hit > 100, "failures were injected in %d lives", ever_hit);
    return tap_done();
}
