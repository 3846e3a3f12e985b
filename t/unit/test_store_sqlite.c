/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_sqlite.c: configuration, schema, limits, body files, leases of dead owners, the lock: what is particular to the SQLite store. */
#include "tap.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <time.h>
#include <utime.h>

#include "store/lock.h"
#include "store/sqlite_store.h"

static void check_configure(void)
{
    static const struct {
        const char *text, *options, *error;
    } cases[] = {
        { "sqlite:/x/queue.db", "", NULL },
        { "sqlite:/x/queue.db", "rows=5 size=2G free=0 done=1d dead=2d body-file=0 lock-timeout=1s wal-limit=8M reserve=1M", NULL },
        { "sqlite:queue.db", "", "absolute path" },
        { "sqlite:", "", "absolute path" },
        { "sqlite:/x/", "", "absolute path" },
        { "sqlite", "", "does not name a store" },
        { ":x", "", "does not name a store" },
        { "mongo:/x", "", "unknown" },
        { "memory:x", "", "not expected" },
        { "sqlite:/x/q", "rows=0", "rows" },
        { "sqlite:/x/q", "rows=5K", "rows" },
        { "sqlite:/x/q", "size=10", "size" },
        { "sqlite:/x/q", "size=2M reserve=2M", "reserve" },
        { "sqlite:/x/q", "done=5", "done" },
        { "sqlite:/x/q", "colour=red", "unknown" },
        { "sqlite:/x/q", "rows=1 rows=2", "twice" },
    };
    unsigned i;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        apr_array_header_t *options = apr_array_make(fx_pool, 4, sizeof(webhook_option));
        char *last, *w, *copy = apr_pstrdup(fx_pool, cases[i].options);
        wh_store_spec *spec;
        const char *err;

        for (w = apr_strtok(copy, " ", &last); w; w = apr_strtok(NULL, " ", &last)) {
            webhook_option *o = apr_array_push(options);
            char *eq = strchr(w, '=');
            *eq = '\0';
            o->name = w;
            o->value = eq + 1;
        }
        err = wh_store_configure(&spec, cases[i].text, options, NULL, NULL, fx_pool, fx_pool);
        if (cases[i].error)
            ok(err && strstr(err, cases[i].error), "%s %s: %s", cases[i].text, cases[i].options, err ? err : "accepted");
        else
            is_str(err, NULL, "%s %s", cases[i].text, cases[i].options);
    }
    {
        wh_store_spec *spec;
        is_str(wh_store_configure(&spec, NULL, NULL, NULL, NULL, fx_pool, fx_pool), NULL, "the default store");
        is_str(spec->text, WH_STORE_DEFAULT, "is where it is said to be");
        ok(strstr(spec->provider->describe(spec->conf, fx_pool), "path=" WH_STATE_DIR "/queue.db\n") != NULL, "and describes itself");
    }
    ok(wh_store_builtin("sqlite") == &wh_store_sqlite && !wh_store_builtin("none"), "built-ins by name");
}

static int exec_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    int rc = sqlite3_open(path, &db);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return rc;
}

static void check_settings(void)
{
    wh_store_spec *spec = fx_sqlite("settings", NULL);
    webhook_result res;
    webhook_store *s;
    struct stat st;
    sqlite3_stmt *stmt;
    const char *path = fx_path("settings");
    int rc;

    is_int(fx_init(spec, &res), APR_SUCCESS, "init makes the directory and the files");
    is_int(stat(fx_path("settings"), &st), 0, "database is there");
    is_int(st.st_mode & 0777, 0600, "database 0600");
    stat(apr_pstrcat(fx_pool, path, ".lock", NULL), &st);
    is_int(st.st_mode & 0777, 0600, "lock 0600");
    ok(st.st_size > 0, "lock file is marked");
    stat(apr_psprintf(fx_pool, "%s/settings", fx_dir), &st);
    is_int(st.st_mode & 0777, 0700, "directory 0700");
    stat(apr_pstrcat(fx_pool, path, "-bodies", NULL), &st);
    is_int(st.st_mode & 0777, 0700, "body directory 0700");

    s = fx_open(spec, fx_pool);
    ok(s->db != NULL, "open connects");
    is_str(sqlite3_db_filename(s->db, "main"), path, "to that file");
#define PRAGMA(name, want)                                                                        \
    do {                                                                                          \
        rc = sqlite3_prepare_v2(s->db, "PRAGMA " name, -1, &stmt, NULL);                          \
        if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)                                  \
            is_str((const char *)sqlite3_column_text(stmt, 0), want, "PRAGMA %s", name);          \
        else                                                                                      \
            fail("PRAGMA %s", name);                                                              \
        sqlite3_finalize(stmt);                                                                   \
    } while (0)
    PRAGMA("journal_mode", "wal");
    PRAGMA("synchronous", "2");
    PRAGMA("wal_autocheckpoint", "0");
    PRAGMA("trusted_schema", "0");
    PRAGMA("user_version", apr_itoa(fx_pool, WH_SQ_VERSION));
    PRAGMA("application_id", "2003321922");
    stat(apr_pstrcat(fx_pool, path, "-wal", NULL), &st);
    is_int(st.st_mode & 0777, 0600, "log 0600");
    stat(apr_pstrcat(fx_pool, path, "-shm", NULL), &st);
    is_int(st.st_mode & 0777, 0600, "log index 0600");
    is_int(fx_init(spec, &res), APR_SUCCESS, "init beside a running server changes nothing");
}

static void check_no_auto_checkpoint(void)
{
    wh_store_spec *spec = fx_sqlite("auto", FX_PLAIN " wal-limit=64M");
    apr_pool_t *p;
    webhook_result res;
    webhook_store *s;
    struct stat st;
    apr_time_t now = apr_time_now();
    char *body = apr_pcalloc(fx_pool, 60000);
    apr_off_t before;
    int i;

    fx_init(spec, &res);
    apr_pool_create(&p, fx_pool);
    s = fx_open(spec, p);
    stat(fx_path("auto"), &st);
    before = st.st_size;
    for (i = 0; i < 100; i++)
        fx_accept(spec, s, fx_make(p, body, 60000, NULL, "h", NULL, now), now);
    ok(s->wal_pages > 1000, "the log holds more pages than SQLite would let it");
    stat(fx_path("auto"), &st);
    is_int(st.st_size, before, "and none was copied into the database");
    apr_pool_destroy(p);
    stat(fx_path("auto"), &st);
    is_int(st.st_size, before, "nor by closing");
    s = fx_open(spec, fx_pool);
    is_int(fx_stats(spec, s).deliveries, 100, "a new handle finds all of it");
    is_int(spec->provider->maintain(s, now, &i, fx_pool, &res), APR_SUCCESS, "maintain");
    stat(fx_path("auto"), &st);
    ok(st.st_size > before + 5000000, "copies the log");
}

static void check_wal_limit(void)
{
    wh_store_spec *spec = fx_sqlite("wal", FX_PLAIN " wal-limit=1M");
    webhook_result res;
    webhook_store *s;
    struct stat st;
    apr_time_t now = apr_time_now();
    char *body = apr_pcalloc(fx_pool, 50000);
    int i, bad = 0;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    for (i = 0; i < 200; i++)
        bad += fx_accept(spec, s, fx_make(fx_pool, body, 50000, NULL, "h", NULL, now), now) != WEBHOOK_ACCEPT_STORED;
    is_int(bad, 0, "10 MB accepted without any maintenance");
    stat(apr_pstrcat(fx_pool, fx_path("wal"), "-wal", NULL), &st);
    ok(st.st_size < 2 * 1024 * 1024, "and the log stayed near its limit of 1 MiB (%ld)", (long)st.st_size);
}

static void check_schema(void)
{
    static const wh_sq_step later[] = {
        { 0, "CREATE TABLE a(x)" },
        { 1, "ALTER TABLE a ADD COLUMN y DEFAULT 5" },
        { 2, "INSERT INTO a(x) VALUES(1)" },
    };
    static const wh_sq_step broken[] = { { 3, "CREATE TABLE b(x); INSERT INTO nowhere VALUES(1)" } };
    wh_store_spec *spec = fx_sqlite("schema", NULL);
    const char *path = apr_psprintf(fx_pool, "%s/ladder.db", fx_dir);
    sqlite3_stmt *stmt;
    webhook_result res;
    webhook_store *s;
    fx_item *i = fx_small(fx_pool, NULL, "h", NULL, apr_time_now());
    sqlite3 *db;

    sqlite3_open(path, &db);
    is_int(wh_sq_upgrade(db, later, 1), SQLITE_OK, "ladder: first step");
    sqlite3_exec(db, "INSERT INTO a(x) VALUES(9)", NULL, NULL, NULL);
    is_int(wh_sq_upgrade(db, later, 3), SQLITE_OK, "ladder: the older file climbs the rest");
    sqlite3_prepare_v2(db, "SELECT group_concat(x||'-'||y) FROM a", -1, &stmt, NULL);
    sqlite3_step(stmt);
    is_str((const char *)sqlite3_column_text(stmt, 0), "9-5,1-5", "ladder: its rows came along");
    sqlite3_finalize(stmt);
    is_int(wh_sq_upgrade(db, later, 3), SQLITE_OK, "ladder: a second time does nothing");
    ok(wh_sq_upgrade(db, broken, 1) != SQLITE_OK, "ladder: a broken step fails");
    sqlite3_prepare_v2(db, "SELECT (SELECT count(*) FROM a), (SELECT user_version FROM pragma_user_version),"
                           " (SELECT count(*) FROM sqlite_schema WHERE name='b')", -1, &stmt, NULL);
    sqlite3_step(stmt);
    is_int(sqlite3_column_int(stmt, 0), 2, "ladder: nothing was done twice");
    is_int(sqlite3_column_int(stmt, 1), 3, "ladder: the version is the last good one");
    is_int(sqlite3_column_int(stmt, 2), 0, "ladder: half a step leaves nothing");
    sqlite3_finalize(stmt);
    sqlite3_close(db);

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    is_int(exec_sql(fx_path("schema"), apr_psprintf(fx_pool, "PRAGMA user_version=%d", WH_SQ_VERSION + 1)), SQLITE_OK, "a later version takes the file over");
    is_int(fx_accept(spec, s, i, apr_time_now()), WEBHOOK_ACCEPT_FAILED, "it is not written to");
    ok(strstr(i->accept.result.detail, "later version") != NULL, "and says why");
    is_int(fx_init(spec, &res) != APR_SUCCESS, 1, "init refuses it");
    ok(strstr(res.detail, "later version") != NULL, "in the same words");
    exec_sql(fx_path("schema"), apr_psprintf(fx_pool, "PRAGMA user_version=%d", WH_SQ_VERSION));
    is_int(fx_accept(spec, s, i, apr_time_now()), WEBHOOK_ACCEPT_STORED, "after the way back it works again");

    /* a file whose creation was interrupted before its schema was there */
    spec = fx_sqlite("halfway", NULL);
    fx_init(spec, &res);
    unlink(fx_path("halfway"));
    unlink(apr_pstrcat(fx_pool, fx_path("halfway"), "-wal", NULL));
    unlink(apr_pstrcat(fx_pool, fx_path("halfway"), "-shm", NULL));
    exec_sql(fx_path("halfway"), "PRAGMA application_id=2003321922");
    s = fx_open(spec, fx_pool);
    i = fx_small(fx_pool, NULL, "h", NULL, apr_time_now());
    is_int(fx_accept(spec, s, i, apr_time_now()), WEBHOOK_ACCEPT_FAILED, "an older file is not written to");
    ok(strstr(i->accept.result.detail, "restart") != NULL, "and asks for a restart");
    is_int(fx_init(spec, &res), APR_SUCCESS, "which brings it up to date");
    is_int(fx_accept(spec, s, i, apr_time_now()), WEBHOOK_ACCEPT_STORED, "and then it works");
}

/* A file as version 2 of the schema left it, with a delivery that waits. */
static void check_upgrade(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec = fx_sqlite("upgrade", NULL);
    webhook_slice shape = { "{}", 2 };
    apr_array_header_t *l;
    const char *problem;
    webhook_result res;
    webhook_store *s;
    fx_item *old = fx_small(fx_pool, "old", "h", NULL, now), *i;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    is_int(fx_accept(spec, s, old, now), WEBHOOK_ACCEPT_STORED, "upgrade: a delivery waits");
    is_int(exec_sql(fx_path("upgrade"), "DROP TABLE shapes; PRAGMA user_version=2"), SQLITE_OK, "upgrade: in a file of version 2");
    i = fx_small(fx_pool, NULL, "h", NULL, now);
    is_int(fx_accept(spec, s, i, now), WEBHOOK_ACCEPT_FAILED, "upgrade: it is not written to");
    ok(strstr(i->accept.result.detail, "restart") != NULL, "upgrade: but asks for a restart");
    is_int(fx_init(spec, &res), APR_SUCCESS, "upgrade: which brings it up to date");
    l = fx_lease(spec, s, "h", 10, now, NULL);
    is_int(l->nelts, 1, "upgrade: what waited is there");
    is_str(l->nelts ? FX_LEASE(l, 0)->delivery->id : NULL, old->id, "upgrade: itself");
    ok(l->nelts && !FX_LEASE(l, 0)->shape.data, "upgrade: without a shape");
    i = fx_small(fx_pool, NULL, "h", NULL, now);
    i->accept.shapes = &shape;
    is_int(fx_accept(spec, s, i, now), WEBHOOK_ACCEPT_STORED, "upgrade: the new table is there");
    l = fx_lease(spec, s, "h", 10, now, NULL);
    is_mem(l->nelts ? FX_LEASE(l, 0)->shape.data : "", l->nelts ? FX_LEASE(l, 0)->shape.len : 0, "{}", 2, "upgrade: and keeps what it is given");
    is_int(wh_sqlite_check(fx_path("upgrade"), &problem, fx_pool), APR_SUCCESS, "upgrade: the check passes");
    is_str(problem, NULL, "upgrade: without a remark");
}

static void check_limits(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec = fx_sqlite("size", FX_PLAIN " size=2M reserve=1M body-file=1M");
    webhook_result res;
    webhook_store *s;
    char *body = apr_pcalloc(fx_pool, 100000);
    apr_array_header_t *l;
    fx_item *i = NULL;
    int n;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    for (n = 0; n < 60; n++) {
        i = fx_make(fx_pool, body, 100000, NULL, "h", NULL, now + n);
        if (fx_accept(spec, s, i, now + n) != WEBHOOK_ACCEPT_STORED)
            break;
    }
    ok(n > 2 && n < 20, "size= less reserve= stops accepting (after %d × 100 kB)", n);
    is_str(i->accept.result.reason, "store-full", "as full");
    ok(strstr(i->accept.result.detail, "size=2M") != NULL, "naming the limit");
    l = fx_lease(spec, s, "h", 1, now + 100, NULL);
    is_int(l->nelts, 1, "leasing goes on");
    is_int(fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DONE, 0, now), 1, "settling goes on");

    spec = fx_sqlite("free", "free=1000T");
    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    i = fx_small(fx_pool, NULL, "h", NULL, now);
    is_int(fx_accept(spec, s, i, now), WEBHOOK_ACCEPT_FAILED, "free= stops accepting");
    is_str(i->accept.result.reason, "store-full", "as full");
    ok(strstr(i->accept.result.detail, "free=") != NULL, "naming the limit");
    i = fx_make(fx_pool, body, 100000, NULL, "h", NULL, now);
    is_int(fx_accept(spec, s, i, now), WEBHOOK_ACCEPT_FAILED, "a big body is not even written");
    ok(access(wh_sq_body_path(spec->conf, i->id, fx_pool), F_OK) < 0, "no file was made");
}

static int write_file(const char *path, const char *data, apr_size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int good = fd >= 0 && write(fd, data, len) == (ssize_t)len;

    if (fd >= 0)
        close(fd);
    return good;
}

static void check_bodies(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec = fx_sqlite("bodies", FX_PLAIN " done=1h");
    char *body = apr_palloc(fx_pool, 70000);
    const char *spool = apr_psprintf(fx_pool, "%s/spool", fx_dir), *problem, *orphan, *stray;
    struct utimbuf old = { time(NULL) - 4000, time(NULL) - 4000 };
    apr_array_header_t *l;
    fx_item *a, *b, *c;
    webhook_result res;
    webhook_store *s;
    int more, n;

    memset(body, 'x', 70000);
    write_file(spool, body, 70000);
    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    a = fx_make(fx_pool, body, 70000, "big", "h", NULL, now);
    is_int(fx_accept(spec, s, a, now), WEBHOOK_ACCEPT_STORED, "a big body is stored");
    is_int(access(wh_sq_body_path(spec->conf, a->id, fx_pool), F_OK), 0, "in a file");
    b = fx_make(fx_pool, body, 70000, "big", "h", NULL, now);
    is_int(fx_accept(spec, s, b, now), WEBHOOK_ACCEPT_DUPLICATE, "a big duplicate");
    ok(access(wh_sq_body_path(spec->conf, b->id, fx_pool), F_OK) < 0, "leaves no file");
    c = fx_make(fx_pool, body, 70000, NULL, "h", NULL, now + 1);
    c->d.body.data = NULL;
    c->d.body.len = 0;
    c->d.body_file = spool;
    is_int(fx_accept(spec, s, c, now + 1), WEBHOOK_ACCEPT_STORED, "a spooled body is stored");
    is_int(access(spool, F_OK), 0, "the caller's file stays the caller's");
    l = fx_lease(spec, s, "h", 5, now + 1, NULL);
    is_int(l->nelts, 2, "both are leased");
    is_str(FX_LEASE(l, 1)->delivery->body_file, wh_sq_body_path(spec->conf, c->id, fx_pool), "with the path of their file");
    ok(!FX_LEASE(l, 1)->delivery->body.data, "and not the bytes");
    is_int(wh_sqlite_check(fx_path("bodies"), &problem, fx_pool), APR_SUCCESS, "check");
    is_str(problem, NULL, "is content");
    fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DONE, 0, now);
    ok(fx_stats(spec, s).bytes > 140000, "files count");

    orphan = apr_pstrdup(fx_pool, wh_sq_body_path(spec->conf, "019a0000-0000-7000-8000-0000000000ff", fx_pool));
    mkdir(apr_psprintf(fx_pool, "%s-bodies/ff", fx_path("bodies")), 0700);
    write_file(orphan, "x", 1);
    stray = apr_psprintf(fx_pool, "%s-bodies/ff/tmp.half", fx_path("bodies"));
    write_file(stray, "x", 1);
    for (n = 0; n < 256; n++)
        spec->provider->maintain(s, now, &more, fx_pool, &res);
    is_int(access(orphan, F_OK), 0, "a young orphan stays");
    utime(orphan, &old);
    utime(stray, &old);
    utime(wh_sq_body_path(spec->conf, c->id, fx_pool), &old);
    s->body_next = 0;
    for (n = 0; n < 256; n++)
        spec->provider->maintain(s, now, &more, fx_pool, &res);
    ok(access(orphan, F_OK) < 0, "an old orphan goes");
    ok(access(stray, F_OK) < 0, "so does a half-written file");
    is_int(access(wh_sq_body_path(spec->conf, c->id, fx_pool), F_OK), 0, "what has a row stays however old");
    spec->provider->maintain(s, now + SECONDS(3700), &more, fx_pool, &res);
    ok(access(wh_sq_body_path(spec->conf, a->id, fx_pool), F_OK) < 0, "retention removes the file with its row");
    unlink(wh_sq_body_path(spec->conf, c->id, fx_pool));
    wh_sqlite_check(fx_path("bodies"), &problem, fx_pool);
    ok(problem && strstr(problem, "missing"), "check finds a missing file");
}

static void check_damaged_body(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec = fx_sqlite("damaged", NULL);
    fx_item *a = fx_small(fx_pool, NULL, "h", NULL, now);
    webhook_result res;
    webhook_store *s;
    webhook_row *r;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    fx_accept(spec, s, a, now);
    exec_sql(fx_path("damaged"), "UPDATE bodies SET body=replace(CAST(body AS TEXT),'opened','closed')");
    is_int(fx_lease(spec, s, "h", 1, now, NULL)->nelts, 0, "other bytes than were accepted are not handed out");
    r = fx_get(spec, s, a->id);
    is_str(r->state, "dead", "the job is dead");
    is_str(APR_ARRAY_IDX(r->jobs, 0, webhook_job_row).reason, "body-lost", "and says why");
}

static void wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
}

/* A child that does something with a fresh handle, tells, and waits to be killed. */
static pid_t in_child(void (*fn)(void *baton, int tell), void *baton)
{
    char c;
    int ends[2];
    pid_t pid;

    if (pipe(ends) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        fn(baton, ends[1]);
        pause();
        _exit(0);
    }
    close(ends[1]);
    if (read(ends[0], &c, 1) != 1)
        diag("child said nothing");
    close(ends[0]);
    return pid;
}

static void child_leases(void *baton, int tell)
{
    wh_store_spec *spec = baton;
    webhook_store *s = fx_open(spec, fx_pool);
    webhook_result res;

    spec->provider->own(s, &res);
    fx_lease(spec, s, "h", 3, apr_time_now(), NULL);
    if (write(tell, "x", 1) != 1)
        _exit(1);
}

static void check_dead_owner(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec = fx_sqlite("owner", NULL);
    apr_array_header_t *l;
    webhook_result res;
    webhook_store *s;
    pid_t pid;
    int n;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    for (n = 0; n < 3; n++)
        fx_accept(spec, s, fx_small(fx_pool, NULL, "h", NULL, now), now);
    spec->provider->own(s, &res);
    pid = in_child(child_leases, spec);
    is_int(fx_stats(spec, s).leased, 3, "another process has leased everything");
    spec->provider->reclaim(s, now, &n, &res);
    is_int(n, 0, "while it lives nothing is taken back");
    kill(pid, SIGKILL);
    wait_for(pid);
    spec->provider->reclaim(s, now, &n, &res);
    is_int(n, 3, "after SIGKILL all of it, at once");
    l = fx_lease(spec, s, "h", 3, apr_time_now(), NULL);
    is_int(l->nelts, 3, "and leased here");
    is_int(l->nelts ? FX_LEASE(l, 0)->attempt : 0, 2, "as second attempts");
    spec->provider->reclaim(s, now, &n, &res);
    is_int(n, 0, "one's own leases are alive");
}

static void child_holds(void *baton, int tell)
{
    wh_lock l;

    wh_lock_init(&l, baton);
    if (wh_lock_take(&l, 0, wh_monotonic() + SECONDS(5)) != APR_SUCCESS || write(tell, "x", 1) != 1)
        _exit(1);
}

static void check_lock(void)
{
    wh_store_spec *spec = fx_sqlite("lock", FX_PLAIN " lock-timeout=200ms");
    const char *path = apr_pstrcat(fx_pool, fx_path("lock"), ".lock", NULL);
    apr_time_t now = apr_time_now(), begun, took;
    fx_item *a = fx_small(fx_pool, NULL, "h", NULL, now);
    webhook_result res;
    webhook_store *s;
    pid_t pid;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    pid = in_child(child_holds, (void *)(apr_uintptr_t)path);
    begun = wh_monotonic();
    is_int(fx_accept(spec, s, a, now), WEBHOOK_ACCEPT_FAILED, "while another process holds the lock nothing is accepted");
    took = wh_monotonic() - begun;
    is_str(a->accept.result.reason, "store-busy", "it is busy");
    ok(a->accept.result.retry_after > 0, "and says when to come again");
    ok(took >= 200000, "after lock-timeout=");
    ok(took < SECONDS(20), "and not much later");
    is_int(fx_stats(spec, s).deliveries, 0, "reading needs no lock");
    kill(pid, SIGKILL);
    wait_for(pid);
    is_int(fx_accept(spec, s, a, now), WEBHOOK_ACCEPT_STORED, "SIGKILL of the holder frees it");

    /* the turnstile: with a holder that takes it again at once, a waiter gets its turn */
    pid = fork();
    if (pid == 0) {
        wh_lock l;
        wh_lock_init(&l, path);
        for (;;) {
            if (wh_lock_take(&l, 0, wh_monotonic() + SECONDS(30)) == APR_SUCCESS) {
                usleep(2000);
                wh_lock_give(&l);
            }
        }
    }
    {
        wh_lock l;
        int i, got = 0;
        wh_lock_init(&l, path);
        for (i = 0; i < 20; i++) {
            got += wh_lock_take(&l, 0, wh_monotonic() + SECONDS(10)) == APR_SUCCESS;
            wh_lock_give(&l);
        }
        is_int(got, 20, "a greedy holder does not starve others");
        wh_lock_close(&l);
    }
    kill(pid, SIGKILL);
    wait_for(pid);

    /* a lock file that was replaced under its holder protects nobody */
    rename(path, apr_pstrcat(fx_pool, path, ".old", NULL));
    is_int(fx_accept(spec, s, fx_small(fx_pool, NULL, "h", NULL, now), now), WEBHOOK_ACCEPT_STORED, "a missing lock file is made anew");
    is_int(access(path, F_OK), 0, "it is there");
    is_int(spec->provider->open(&s, fx_spec("sqlite:/nonexistent/x/queue.db", FX_PLAIN)->conf, fx_pool, &res), APR_SUCCESS,
           "open does not fail for what may heal");
}

static void check_foreign_shell(void)
{
    wh_store_spec *spec = fx_sqlite("shell", FX_PLAIN " lock-timeout=200ms");
    apr_time_t now = apr_time_now(), begun;
    fx_item *a = fx_small(fx_pool, NULL, "h", NULL, now);
    webhook_result res;
    webhook_store *s;
    sqlite3 *db;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    sqlite3_open(fx_path("shell"), &db);
    is_int(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK, "somebody without the lock writes");
    begun = wh_monotonic();
    is_int(fx_accept(spec, s, a, now), WEBHOOK_ACCEPT_FAILED, "then accepting gives up");
    ok(wh_monotonic() - begun < SECONDS(20), "within bounds");
    is_str(a->accept.result.reason, "store-busy", "as busy");
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    is_int(fx_accept(spec, s, a, now), WEBHOOK_ACCEPT_STORED, "and works when they are done");
    sqlite3_close(db);
    is_int(fx_accept(spec, s, fx_small(fx_pool, NULL, "h", NULL, now), now), WEBHOOK_ACCEPT_STORED, "also after they closed it");
}

static void check_fork(void)
{
    wh_store_spec *spec = fx_sqlite("fork", NULL);
    apr_time_t now = apr_time_now();
    apr_pool_t *p;
    webhook_result res;
    webhook_store *s;
    int status = 0;
    pid_t pid;

    fx_init(spec, &res);
    apr_pool_create(&p, fx_pool);
    s = fx_open(spec, p);
    pid = fork();
    if (pid == 0) {
        fx_item *a = fx_small(p, NULL, "h", NULL, now);
        int failed = fx_accept(spec, s, a, now) == WEBHOOK_ACCEPT_FAILED && strstr(a->accept.result.detail, "did not open it") != NULL;
        apr_pool_destroy(p);
        _exit(failed ? 7 : 1);
    }
    waitpid(pid, &status, 0);
    is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7, "a handle that crossed a fork refuses");
    is_int(fx_accept(spec, s, fx_small(p, NULL, "h", NULL, now), now), WEBHOOK_ACCEPT_STORED, "and the parent's is unharmed");
    apr_pool_destroy(p);
}

static void check_check(void)
{
    static const char *const wrongs[] = {
        "UPDATE counters SET v=v+1 WHERE k=1", "UPDATE counters SET v=v+1 WHERE k=2", "UPDATE jobs SET state=4",
        "UPDATE jobs SET delivery=1", "UPDATE deliveries SET open=0", "DELETE FROM bodies", "UPDATE jobs SET token=5",
        "INSERT INTO attempts VALUES(999999999,0,0,1,0,NULL,NULL,x'')", "UPDATE bodies SET body=x'00'", "UPDATE deliveries SET closed=1",
    };
    apr_time_t now = apr_time_now();
    unsigned i;

    for (i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        wh_store_spec *spec = fx_sqlite(apr_psprintf(fx_pool, "check%u", i), NULL);
        const char *path = fx_path(apr_psprintf(fx_pool, "check%u", i)), *problem;
        webhook_result res;
        apr_pool_t *p;

        fx_init(spec, &res);
        apr_pool_create(&p, fx_pool);
        fx_accept(spec, fx_open(spec, p), fx_small(p, "k", "h", "g", now), now);
        apr_pool_destroy(p);
        wh_sqlite_check(path, &problem, fx_pool);
        if (problem)
            diag("%s", problem);
        if (i == 0)
            is_str(problem, NULL, "check: a sound store");
        is_int(exec_sql(path, wrongs[i]), SQLITE_OK, "check: made wrong");
        wh_sqlite_check(path, &problem, fx_pool);
        ok(problem != NULL, "check: finds %s: %s", wrongs[i], problem ? problem : "no");
    }
}

static void check_owner(void)
{
    uid_t uid = 1;
    gid_t gid = 1;
    struct stat st;
    wh_store_spec *spec;
    webhook_result res;
    const char *path;

    is_int(wh_store_owner("/nonexistent/dir/queue.db", &uid, &gid), ENOENT, "owner of what is nowhere");
    is_int(wh_store_owner(fx_path("owner"), &uid, &gid), APR_SUCCESS, "owner of a store");
    is_int(uid, geteuid(), "is who made it");
    is_int(wh_store_owner(apr_psprintf(fx_pool, "%s/owner/none.db", fx_dir), &uid, &gid), APR_SUCCESS, "of a store not made yet");
    is_int(uid, geteuid(), "is the directory's");
    if (geteuid() != 0) {
        skip("only root can give files away");
        return;
    }
    chmod(fx_dir, 0711);
    path = fx_path("given");
    spec = fx_sqlite("given", NULL);
    memset(&res, 0, sizeof res);
    is_int(spec->provider->init(spec->conf, 65534, 65534, fx_pool, &res), APR_SUCCESS, "init as root for somebody else");
    if (res.detail)
        diag("%s", res.detail);
    is_int(stat(path, &st) == 0 ? st.st_uid : 0, 65534, "the database is theirs");
    is_int(st.st_mode & 0777, 0600, "0600");
    stat(apr_pstrcat(fx_pool, path, ".lock", NULL), &st);
    is_int(st.st_uid, 65534, "the lock is theirs");
    stat(apr_pstrcat(fx_pool, path, "-bodies", NULL), &st);
    is_int(st.st_uid, 65534, "the body directory is theirs");
    stat(apr_psprintf(fx_pool, "%s/given", fx_dir), &st);
    is_int(st.st_uid, 65534, "the directory is theirs");
    is_int(st.st_mode & 0777, 0700, "0700");
    if (chown(path, 0, 0) == 0) {
        is_int(spec->provider->init(spec->conf, 65534, 65534, fx_pool, &res), APR_SUCCESS, "a database made by root");
        stat(path, &st);
        is_int(st.st_uid, 65534, "is handed over");
    }
    rename(path, apr_pstrcat(fx_pool, path, ".away", NULL));
    is_int(symlink("/etc/passwd", path), 0, "a link planted in its place");
    ok(spec->provider->init(spec->conf, 65534, 65534, fx_pool, &res) != APR_SUCCESS, "is refused");
    stat("/etc/passwd", &st);
    is_int(st.st_uid, 0, "and what it points to untouched");
    chmod(apr_psprintf(fx_pool, "%s/given", fx_dir), 0777);
    ok(spec->provider->init(spec->conf, 65534, 65534, fx_pool, &res) != APR_SUCCESS && strstr(res.detail, "everybody may write"),
       "a directory for everybody is refused");
}

int main(void)
{
    fx_begin();
    check_configure();
    check_settings();
    check_no_auto_checkpoint();
    check_wal_limit();
    check_schema();
    check_upgrade();
    check_limits();
    check_bodies();
    check_damaged_body();
    check_dead_owner();
    check_lock();
    check_foreign_shell();
    check_fork();
    check_check();
    check_owner();
    return tap_done();
}
