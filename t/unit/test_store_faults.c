/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_faults.c: the file is deleted, replaced, damaged, foreign, or the disk is full: nothing is acknowledged into it, and it heals. */
#include "tap.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "store/sqlite_store.h"

static int log_lines;

static void on_log(void *baton, int level, apr_status_t rv, const char *text)
{
    (void)baton, (void)level, (void)rv;
    log_lines++;
    if (getenv("STORE_LOG"))
        diag("%s", text);
}

static wh_store_spec *fresh(const char *name, const char *words, webhook_store **s)
{
    wh_store_spec *spec = fx_sqlite(name, words);
    webhook_result res;

    if (fx_init(spec, &res) != APR_SUCCESS)
        diag("init: %s", res.detail);
    *s = fx_open(spec, fx_pool);
    return spec;
}

static fx_item *last;

static webhook_accept_outcome accept_one(const wh_store_spec *spec, webhook_store *s)
{
    apr_time_t now = apr_time_now();

    last = fx_small(fx_pool, NULL, "h", NULL, now);
    return fx_accept(spec, s, last, now);
}

static const char *name_of(const char *name, const char *suffix)
{
    return apr_pstrcat(fx_pool, fx_path(name), suffix, NULL);
}

static int copy_file(const char *from, const char *to)
{
    char buffer[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n = -1;

    while (in >= 0 && out >= 0 && (n = read(in, buffer, sizeof buffer)) > 0) {
        if (write(out, buffer, (size_t)n) != n)
            n = -1;
    }
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return n == 0;
}

static void check_deleted(void)
{
    webhook_store *s;
    wh_store_spec *spec = fresh("deleted", NULL, &s);
    webhook_store_stats stats;
    webhook_result res;

    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_STORED, "deleted: before");
    rename(fx_path("deleted"), name_of("deleted", ".away"));
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_FAILED, "deleted: nothing is acknowledged");
    is_str(last->accept.result.reason, "store-failed", "deleted: reason");
    ok(strstr(last->accept.result.detail, "missing") && strstr(last->accept.result.detail, fx_path("deleted")), "deleted: %s",
       last->accept.result.detail);
    ok(last->accept.result.retry_after > 0, "deleted: come again");
    ok(access(fx_path("deleted"), F_OK) < 0, "deleted: not created by accepting");
    ok(fx_init(spec, &res) != APR_SUCCESS, "deleted: not created by a restart either");
    ok(strstr(res.detail, "restore it") != NULL, "deleted: which says what to do");
    ok(access(fx_path("deleted"), F_OK) < 0, "deleted: still not there");
    ok(spec->provider->stats(s, &stats, fx_pool, &res) != APR_SUCCESS, "deleted: no statistics");
    rename(name_of("deleted", ".away"), fx_path("deleted"));
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_STORED, "deleted: heals when it is back");
    is_int(fx_stats(spec, s).deliveries, 2, "deleted: with all it held");

    unlink(fx_path("deleted"));
    unlink(name_of("deleted", "-wal"));
    unlink(name_of("deleted", "-shm"));
    unlink(name_of("deleted", ".lock"));
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_FAILED, "deleted: with its lock file: nothing is acknowledged");
    is_int(fx_init(spec, &res), APR_SUCCESS, "deleted: with its lock file: a restart begins anew");
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_STORED, "deleted: and the old handle finds it");
    is_int(fx_stats(spec, s).deliveries, 1, "deleted: empty but for that");
}

static void check_replaced(void)
{
    webhook_store *s, *other;
    wh_store_spec *spec = fresh("replaced", NULL, &s);
    apr_pool_t *p;

    accept_one(spec, s);
    /* a valid store in its place, e.g. a backup that was restored over the running one */
    apr_pool_create(&p, fx_pool);
    other = fx_open(fx_sqlite("replaced2", NULL), p);
    (void)other;
    apr_pool_destroy(p);
    {
        wh_store_spec *spec2 = fx_sqlite("replaced2", NULL);
        webhook_result res;
        fx_init(spec2, &res);
    }
    rename(fx_path("replaced"), name_of("replaced", ".away"));
    rename(name_of("replaced", "-wal"), name_of("replaced", ".away-wal"));
    rename(name_of("replaced", "-shm"), name_of("replaced", ".away-shm"));
    is_int(copy_file(fx_path("replaced2"), fx_path("replaced")), 1, "replaced: another store takes its place");
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_STORED, "replaced: it is opened");
    is_int(fx_stats(spec, s).deliveries, 1, "replaced: and written, not the old one");
    {
        const char *problem;
        wh_sqlite_check(name_of("replaced", ""), &problem, fx_pool);
        is_str(problem, NULL, "replaced: sound");
    }
    {
        /* leases: owner numbers are those of the file that is there now */
        apr_array_header_t *l;
        webhook_result res;
        int n;
        is_int(spec->provider->own(s, &res), APR_SUCCESS, "replaced: own");
        l = fx_lease(spec, s, "h", 1, apr_time_now() + SECONDS(1), NULL);
        is_int(l->nelts, 1, "replaced: lease");
        spec->provider->reclaim(s, apr_time_now(), &n, &res);
        is_int(n, 0, "replaced: owned by the living");
    }

    /* the log alone is taken away: what is in it is saved first */
    spec = fresh("walgone", NULL, &s);
    accept_one(spec, s);
    unlink(name_of("walgone", "-wal"));
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_STORED, "log removed: goes on");
    is_int(fx_stats(spec, fx_open(spec, fx_pool)).deliveries, 2, "log removed: nothing acknowledged was lost");
}

static void check_foreign(void)
{
    webhook_store *s;
    wh_store_spec *spec = fresh("foreign", NULL, &s);
    webhook_result res;
    sqlite3 *db;
    int fd;

    accept_one(spec, s);
    rename(fx_path("foreign"), name_of("foreign", ".away"));
    sqlite3_open(fx_path("foreign"), &db);
    sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL);
    sqlite3_close(db);
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_FAILED, "foreign: somebody else's database is not written to");
    ok(strstr(last->accept.result.detail, "not a store of this module") != NULL, "foreign: %s", last->accept.result.detail);
    ok(fx_init(spec, &res) != APR_SUCCESS, "foreign: nor by a restart");
    ok(strstr(res.detail, "not a store of this module") != NULL, "foreign: in the same words");

    unlink(fx_path("foreign"));
    fd = open(fx_path("foreign"), O_WRONLY | O_CREAT, 0600);
    is_int(write(fd, "this is a text, and rather a long one, as databases go", 54), 54, "foreign: a text file");
    close(fd);
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_FAILED, "foreign: is not written to");
    ok(fx_init(spec, &res) != APR_SUCCESS, "foreign: nor by a restart");

    ok(truncate(fx_path("foreign"), 0) == 0, "an empty file in its place");
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_FAILED, "foreign: an emptied file is not filled");
    ok(fx_init(spec, &res) != APR_SUCCESS, "foreign: nor by a restart");
    unlink(fx_path("foreign"));
    mkdir(fx_path("foreign"), 0700);
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_FAILED, "foreign: a directory");
    ok(fx_init(spec, &res) != APR_SUCCESS, "foreign: nor by a restart");
    rmdir(fx_path("foreign"));
    is_int(symlink(name_of("foreign", ".away"), fx_path("foreign")), 0, "foreign: a symbolic link");
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_FAILED, "foreign: is not followed");
    unlink(fx_path("foreign"));
    rename(name_of("foreign", ".away"), fx_path("foreign"));
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_STORED, "foreign: heals when the right one is back");
    is_int(fx_stats(spec, s).deliveries, 2, "foreign: with all it held");
}

static void overwrite(const char *path, off_t from, off_t to)
{
    char noise[4096];
    int fd = open(path, O_WRONLY);

    memset(noise, 0xa5, sizeof noise);
    for (; fd >= 0 && from < to; from += (off_t)sizeof noise) {
        if (pwrite(fd, noise, sizeof noise, from) < 0)
            break;
    }
    if (fd >= 0)
        close(fd);
}

/* Close all handles first: in this process nobody may open the file beside SQLite while SQLite has it open. */
static void check_corrupt(void)
{
    apr_pool_t *p;
    wh_store_spec *spec = fx_sqlite("corrupt", NULL);
    const char *problem;
    webhook_result res;
    webhook_store *s;
    struct stat st;
    int i, more, failed = 0, before;
    pid_t pid;
    apr_status_t rv;

    fx_init(spec, &res);
    apr_pool_create(&p, fx_pool);
    s = fx_open(spec, p);
    for (i = 0; i < 200; i++)
        accept_one(spec, s);
    spec->provider->maintain(s, apr_time_now(), &more, fx_pool, &res);
    is_int(copy_file(fx_path("corrupt"), name_of("corrupt", ".good")), 1, "corrupt: a good copy");
    stat(fx_path("corrupt"), &st);
    before = log_lines;
    /* from another process: closing a descriptor here would drop this connection's locks */
    pid = fork();
    if (pid == 0) {
        overwrite(fx_path("corrupt"), 4096, st.st_size);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    for (i = 0; i < 20; i++)
        failed += accept_one(spec, s) == WEBHOOK_ACCEPT_FAILED;
    apr_pool_destroy(p);
    apr_pool_create(&p, fx_pool);
    s = fx_open(spec, p);
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_FAILED, "corrupt: a new handle acknowledges nothing");
    is_str(last->accept.result.reason, "store-failed", "corrupt: reason");
    ok(strstr(last->accept.result.detail, "damaged") && strstr(last->accept.result.detail, fx_path("corrupt")), "corrupt: %s",
       last->accept.result.detail);
    ok(log_lines > before, "corrupt: the log speaks of it");
    before = log_lines;
    for (i = 0; i < 50; i++)
        accept_one(spec, s);
    ok(log_lines - before < 10, "corrupt: but not once per request");
    rv = wh_sqlite_check(fx_path("corrupt"), &problem, fx_pool);
    ok(problem != NULL, "corrupt: the check says so too (%d): %s", rv, problem ? problem : "");
    ok(fx_init(spec, &res) != APR_SUCCESS, "corrupt: a restart does not hide it");
    ok(res.detail && strstr(res.detail, "damaged"), "corrupt: %s", res.detail);
    is_int(rename(name_of("corrupt", ".good"), fx_path("corrupt")), 0, "corrupt: the copy comes back");
    unlink(name_of("corrupt", "-wal"));
    unlink(name_of("corrupt", "-shm"));
    is_int(accept_one(spec, s), WEBHOOK_ACCEPT_STORED, "corrupt: heals");
    is_int(fx_stats(spec, s).deliveries, 201, "corrupt: with what the copy held");
    apr_pool_destroy(p);
    ok(failed <= 20, "corrupt: the old handle noticed %d times of 20", failed);
}

/* Noise at every kind of place: nothing crashes, and what is acknowledged can be read back. */
static void check_noise(void)
{
    const char *good = name_of("noise", ".good");
    wh_store_spec *spec = fx_sqlite("noise", NULL);
    unsigned seed = 12345;
    int i, more, refused = 0, kept = 0, lost = 0;
    webhook_result res;
    apr_pool_t *p;
    struct stat st;

    fx_init(spec, &res);
    apr_pool_create(&p, fx_pool);
    {
        webhook_store *s = fx_open(spec, p);
        for (i = 0; i < 100; i++)
            accept_one(spec, s);
        spec->provider->maintain(s, apr_time_now(), &more, fx_pool, &res);
    }
    apr_pool_destroy(p);
    copy_file(fx_path("noise"), good);
    stat(good, &st);
    fx_quiet = 1;
    for (i = 0; i < 60; i++) {
        webhook_store *s;
        char id[WH_ID_LEN + 1];
        off_t at;
        int fd;

        unlink(name_of("noise", "-wal"));
        unlink(name_of("noise", "-shm"));
        copy_file(good, fx_path("noise"));
        seed = seed * 1103515245u + 12345u;
        at = (off_t)(seed % (unsigned)st.st_size);
        fd = open(fx_path("noise"), O_WRONLY);
        if (i % 10 == 9) {
            if (ftruncate(fd, at) < 0)
                diag("truncate");
        } else if (pwrite(fd, "\xff\x00\xa5\x5a", 4, at) != 4) {
            diag("write");
        }
        close(fd);
        apr_pool_create(&p, fx_pool);
        s = fx_open(spec, p);
        if (accept_one(spec, s) == WEBHOOK_ACCEPT_STORED) {
            kept++;
            memcpy(id, last->id, sizeof id);
            lost += fx_get(spec, s, id) == NULL;
        } else {
            refused++;
        }
        fx_lease(spec, s, "h", 2, apr_time_now() + SECONDS(1), NULL);
        spec->provider->reclaim(s, apr_time_now(), &more, &res);
        spec->provider->maintain(s, apr_time_now() + SECONDS(86400 * 40), &more, fx_pool, &res);
        apr_pool_destroy(p);
    }
    fx_quiet = 0;
    is_int(refused + kept, 60, "noise: %d refused, %d kept", refused, kept);
    is_int(lost, 0, "noise: what was acknowledged is there");
}

static void check_permissions(void)
{
    wh_store_spec *spec = fx_sqlite("perm", NULL);
    webhook_result res;
    int status = 0;
    pid_t pid;

    fx_init(spec, &res);
    if (geteuid() == 0 && chmod(fx_dir, 0711) == 0 && chmod(apr_psprintf(fx_pool, "%s/perm", fx_dir), 0711) == 0) {
        pid = fork();
        if (pid == 0) {
            apr_pool_t *p;
            webhook_store *s;
            int good;

            if (wh_store_become(65534, 65534) != APR_SUCCESS)
                _exit(1);
            apr_pool_create(&p, NULL);
            s = fx_open(spec, p);
            good = accept_one(spec, s) == WEBHOOK_ACCEPT_FAILED && strcmp(last->accept.result.reason, "store-failed") == 0;
            _exit(good ? 7 : 2);
        }
        waitpid(pid, &status, 0);
        is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7, "permissions: a store of somebody else is a failure, not a crash");
    } else {
        skip("needs root");
    }
}

/* A size limit on files plays the full disk without needing one: EFBIG instead of ENOSPC. */
static void check_file_size(void)
{
    webhook_store *s;
    wh_store_spec *spec = fresh("efbig", FX_PLAIN " body-file=1M wal-limit=4M", &s);
    char *body = apr_pcalloc(fx_pool, 50000);
    apr_time_t now = apr_time_now();
    struct rlimit was, now_limit;
    fx_item *i = NULL;
    int n, failed = 0, stored = 0;
    const char *problem;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    now_limit = was;
    now_limit.rlim_cur = 1000000;
    setrlimit(RLIMIT_FSIZE, &now_limit);
    for (n = 0; n < 40; n++) {
        i = fx_make(fx_pool, body, 50000, NULL, "h", NULL, now + n);
        if (fx_accept(spec, s, i, now + n) == WEBHOOK_ACCEPT_STORED)
            stored++;
        else
            failed++;
    }
    ok(failed > 0 && stored > 0, "full: some fit (%d), then no more (%d)", stored, failed);
    is_str(i->accept.result.reason, "store-full", "full: as full");
    setrlimit(RLIMIT_FSIZE, &was);
    is_int(fx_accept(spec, s, fx_make(fx_pool, body, 50000, NULL, "h", NULL, now + n), now + n), WEBHOOK_ACCEPT_STORED,
           "full: with room again it accepts");
    ok(fx_stats(spec, s).deliveries >= stored + 1, "full: all that was acknowledged is there");
    wh_sqlite_check(fx_path("efbig"), &problem, fx_pool);
    is_str(problem, NULL, "full: check is content");
}

/* The same on a file system that really is full, where one can be mounted. Runs in a child with a mount of its own. */
static int full_disk(void)
{
    const char *dir = apr_psprintf(fx_pool, "%s/disk", fx_dir), *filler = apr_psprintf(fx_pool, "%s/disk/filler", fx_dir), *problem;
    char *body = apr_pcalloc(fx_pool, 20000);
    int round, n, fd, stored = 0, wrong = 0, full = 0, more;
    apr_time_t now = apr_time_now();
    wh_store_spec *spec;
    webhook_result res;
    webhook_store *s;

    mkdir(dir, 0700);
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0
        || mount("tmpfs", dir, "tmpfs", 0, "size=8m") < 0)
        return 77;
    spec = fx_spec(apr_psprintf(fx_pool, "sqlite:%s/q/queue.db", dir), FX_PLAIN " body-file=10K");
    if (fx_init(spec, &res) != APR_SUCCESS)
        return 1;
    s = fx_open(spec, fx_pool);
    for (round = 0; round < 5; round++) {
        fd = open(filler, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        while (write(fd, body, 20000) == 20000)
            ;
        while (write(fd, body, 1) == 1)
            ;
        close(fd);
        for (n = 0; n < 30; n++) {
            apr_size_t len = n % 2 ? 20000 : 2000; /* a body file, or a row */
            fx_item *i = fx_make(fx_pool, body, len, NULL, "h", NULL, now + n);
            if (fx_accept(spec, s, i, now + n) == WEBHOOK_ACCEPT_STORED) {
                stored++;
            } else {
                full++;
                wrong += strcmp(i->accept.result.reason, "store-full") != 0;
            }
        }
        unlink(filler);
        for (n = 0; n < 10; n++) {
            fx_item *i = fx_make(fx_pool, body, n % 2 ? 20000 : 2000, NULL, "h", NULL, now + n);
            if (fx_accept(spec, s, i, now + n) == WEBHOOK_ACCEPT_STORED)
                stored++;
            else
                wrong++;
        }
        spec->provider->maintain(s, now, &more, fx_pool, &res);
    }
    if (!full || wrong)
        return 2;
    if (fx_stats(spec, s).deliveries != stored)
        return 3;
    wh_sqlite_check(apr_psprintf(fx_pool, "%s/q/queue.db", dir), &problem, fx_pool);
    if (problem)
        diag("%s", problem);
    return problem ? 4 : 0;
}

static void check_full_disk(void)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(full_disk());
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip("no file system can be mounted here");
    else
        is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0, "full disk: refused as full, then as before, five times");
}

int main(void)
{
    fx_begin();
    wh_log_set(on_log, NULL, WH_LOG_DEBUG);
    check_deleted();
    check_replaced();
    check_foreign();
    check_corrupt();
    check_noise();
    check_permissions();
    check_file_size();
    check_full_disk();
    return tap_done();
}
