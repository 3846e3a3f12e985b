/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_wal_file.c: SQLite's VFS with two differences: inside a transaction the write-ahead log is written in large pieces, and the sync at
 * its end can be left to whoever committed (log_sync.h).
 *
 * SQLite writes each page of the log with two calls, 24 bytes and a page, and a batch of deliveries is a hundred pages. Here consecutive
 * writes are collected and written together: when they are many, before anything reads or asks about the file, and before the sync that
 * makes the transaction durable, which brings home their errors. SQLite tells other connections of a transaction only after that sync.
 *
 * So it is only safe while synchronous=FULL, and what is held when a transaction ends otherwise is part of no transaction and must be
 * forgotten: by then the place in the file may belong to another process. wh_sq_wal_hold() says when; everything else passes through.
 *
 * The sync that a transaction needs when it begins the log anew is never left out: the new header must be on the disk before any frame, or
 * frames of an older round could be taken for its own. Nor are those of a checkpoint: it runs outside of transactions.
 */
#include <string.h>

#include "store/sqlite_store.h"

#define VFS_NAME "webhook"
#define HOLD_MAX (128 * 1024)

typedef struct wal_file {
    sqlite3_file base;
    wh_sq_hold holding;
    int header;       /* the file's beginning was written and not synced */
    int due;          /* a sync was left out */
    int len;          /* bytes held */
    sqlite3_int64 at; /* where in the file they belong */
    char *held;       /* HOLD_MAX bytes, from the first use until the file is closed */
} wal_file;

/* SQLite's own file lies behind ours. */
#define WAL(f) ((wal_file *)(void *)(f))
#define REAL_AT ((int)((sizeof(wal_file) + 15) & ~(size_t)15))

static sqlite3_file *real_file(sqlite3_file *f)
{
    return (sqlite3_file *)(void *)((char *)f + REAL_AT);
}

static int write_held(sqlite3_file *f)
{
    wal_file *w = WAL(f);
    int len = w->len;

    w->len = 0;
    return len ? real_file(f)->pMethods->xWrite(real_file(f), w->held, len, w->at) : SQLITE_OK;
}

static int wal_close(sqlite3_file *f)
{
    sqlite3_free(WAL(f)->held);
    return real_file(f)->pMethods->xClose(real_file(f));
}

static int wal_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at)
{
    int rc = write_held(f);

    return rc == SQLITE_OK ? real_file(f)->pMethods->xRead(real_file(f), data, n, at) : rc;
}

static int wal_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    wal_file *w = WAL(f);
    int rc = SQLITE_OK;

    if (w->len && (at != w->at + w->len || n > HOLD_MAX - w->len))
        rc = write_held(f);
    if (rc != SQLITE_OK)
        return rc;
    w->header |= at == 0;
    if (w->holding && !w->held)
        w->held = sqlite3_malloc(HOLD_MAX);
    if (!w->holding || !w->held || n > HOLD_MAX)
        return real_file(f)->pMethods->xWrite(real_file(f), data, n, at);
    if (!w->len)
        w->at = at;
    memcpy(w->held + w->len, data, (size_t)n);
    w->len += n;
    return SQLITE_OK;
}

static int wal_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = write_held(f);

    return rc == SQLITE_OK ? real_file(f)->pMethods->xTruncate(real_file(f), size) : rc;
}

static int wal_sync(sqlite3_file *f, int flags)
{
    wal_file *w = WAL(f);
    int rc = write_held(f);

    if (rc == SQLITE_OK && w->holding == WH_SQ_HOLD_UNSYNCED && !w->header) {
        w->due = 1;
        return SQLITE_OK;
    }
    if (rc == SQLITE_OK)
        rc = real_file(f)->pMethods->xSync(real_file(f), flags);
    if (rc == SQLITE_OK)
        w->header = 0;
    return rc;
}

static int wal_size(sqlite3_file *f, sqlite3_int64 *size)
{
    int rc = write_held(f);

    return rc == SQLITE_OK ? real_file(f)->pMethods->xFileSize(real_file(f), size) : rc;
}

static int wal_lock(sqlite3_file *f, int level)
{
    return real_file(f)->pMethods->xLock(real_file(f), level);
}

static int wal_unlock(sqlite3_file *f, int level)
{
    return real_file(f)->pMethods->xUnlock(real_file(f), level);
}

static int wal_reserved(sqlite3_file *f, int *out)
{
    return real_file(f)->pMethods->xCheckReservedLock(real_file(f), out);
}

static int wal_control(sqlite3_file *f, int op, void *arg)
{
    return real_file(f)->pMethods->xFileControl(real_file(f), op, arg);
}

static int wal_sector(sqlite3_file *f)
{
    return real_file(f)->pMethods->xSectorSize(real_file(f));
}

static int wal_device(sqlite3_file *f)
{
    return real_file(f)->pMethods->xDeviceCharacteristics(real_file(f));
}

/* version 1: a log has no shared memory and is not mapped */
static const sqlite3_io_methods wal_methods = {
    1, wal_close, wal_read, wal_write, wal_truncate, wal_sync, wal_size, wal_lock, wal_unlock, wal_reserved, wal_control, wal_sector,
    wal_device, NULL, NULL, NULL, NULL, NULL, NULL
};

static sqlite3_vfs *sqlites_own;
static sqlite3_vfs vfs;

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    int rc;

    (void)v;
    if (!(flags & SQLITE_OPEN_WAL))
        return sqlites_own->xOpen(sqlites_own, name, f, flags, out);
    memset(f, 0, (size_t)vfs.szOsFile);
    rc = sqlites_own->xOpen(sqlites_own, name, real_file(f), flags, out);
    if (real_file(f)->pMethods)
        f->pMethods = &wal_methods; /* also after a failure SQLite closes what has methods */
    return rc;
}

const char *wh_sq_vfs(void)
{
    if (sqlites_own)
        return VFS_NAME;
    sqlites_own = sqlite3_vfs_find(NULL);
    if (!sqlites_own)
        return NULL;
    vfs = *sqlites_own;
    vfs.zName = VFS_NAME;
    vfs.pNext = NULL;
    vfs.szOsFile = REAL_AT + sqlites_own->szOsFile;
    vfs.xOpen = vfs_open;
    if (sqlite3_vfs_register(&vfs, 0) == SQLITE_OK)
        return VFS_NAME;
    sqlites_own = NULL;
    return NULL;
}

static wal_file *wal_of(sqlite3 *db)
{
    sqlite3_file *f = NULL;

    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f) != SQLITE_OK || !f || f->pMethods != &wal_methods)
        return NULL;
    return WAL(f);
}

void wh_sq_wal_hold(sqlite3 *db, wh_sq_hold hold)
{
    wal_file *w = wal_of(db);

    if (!w)
        return;
    w->holding = hold;
    w->len = 0;
    w->due = 0;
}

int wh_sq_wal_due(sqlite3 *db)
{
    const wal_file *w = wal_of(db);

    return w && w->due;
}
