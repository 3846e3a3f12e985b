/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_dedupe.c: the SQLite store's idempotency keys where the contract's test does not look: files of version 1, several indexes
 * over one file, a file that was put back, keys that expire.
 */
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/sqlite_store.h"
#include "store_fixture.h"
#include "tap.h"

static sqlite3 *open_db(const char *path)
{
    sqlite3 *db = NULL;

    if (sqlite3_open(path, &db) != SQLITE_OK) {
        fprintf(stderr, "# %s: %s\n", path, sqlite3_errmsg(db));
        exit(1);
    }
    return db;
}

static int run_sql(const char *path, const char *sql)
{
    sqlite3 *db = open_db(path);
    char *why = NULL;
    int rc = sqlite3_exec(db, sql, NULL, NULL, &why);

    if (rc != SQLITE_OK)
        diag("%s: %s", sql, why);
    sqlite3_free(why);
    sqlite3_close(db);
    return rc;
}

static sqlite3_int64 number(const char *path, const char *sql)
{
    sqlite3 *db = open_db(path);
    sqlite3_int64 n = -1;

    wh_sq_int(db, sql, &n);
    sqlite3_close(db);
    return n;
}

static webhook_accept_outcome bring(const wh_store_spec *spec, webhook_store *s, const char *key, char *first, apr_time_t now)
{
    fx_item *i = fx_small(fx_pool, key, "h", NULL, now);
    webhook_accept_outcome outcome = fx_accept(spec, s, i, now);

    if (first)
        memcpy(first, i->accept.first_id, WH_ID_LEN + 1);
    return outcome;
}

/* What version 1 wrote for a key. */
static sqlite3_int64 old_place(const unsigned char *key, int from)
{
    apr_uint64_t v = 0;
    int i;

    for (i = 0; i < 8; i++)
        v = v << 8 | key[from + i];
    return from ? (sqlite3_int64)v : (sqlite3_int64)(v >> 1) & ~(sqlite3_int64)3;
}

static void check_upgrade(void)
{
    wh_store_spec *spec = fx_sqlite("version1", NULL);
    const char *path = fx_path("version1");
    char id[WH_ID_LEN + 1], first[WH_ID_LEN + 1];
    unsigned char key[32], packed[16];
    apr_time_t now = apr_time_now();
    webhook_result res;
    sqlite3_stmt *stmt;
    webhook_store *s;
    sqlite3 *db;
    int k;

    mkdir(apr_pstrcat(fx_pool, fx_dir, "/version1", NULL), 0700);
    db = open_db(path);
    sqlite3_exec(db, "PRAGMA application_id=0x77684442; PRAGMA journal_mode=WAL", NULL, NULL, NULL);
    is_int(wh_sq_upgrade(db, wh_sq_ladder, 1), SQLITE_OK, "a file of version 1");
    wh_id_make(id, now);
    wh_id_pack(packed, id);
    for (k = 0; k < 3; k++) { /* three keys of one place, told apart by `rest` */
        wh_sha256(key, "a key", 5);
        sqlite3_prepare_v2(db, "INSERT INTO dedupe(k, rest, id, expires) VALUES(?1,?2,?3,?4)", -1, &stmt, NULL);
        sqlite3_bind_int64(stmt, 1, old_place(key, 0) + k);
        sqlite3_bind_int64(stmt, 2, old_place(key, 8) + (k == 1 ? 0 : k + 1));
        sqlite3_bind_blob(stmt, 3, packed, 16, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 4, now / 1000000 + 100);
        is_int(sqlite3_step(stmt), SQLITE_DONE, "with a key");
        sqlite3_finalize(stmt);
    }
    sqlite3_close(db);
    chmod(path, 0600);
    is_int(fx_init(spec, &res), APR_SUCCESS, "is brought up to date: %s", res.detail ? res.detail : "");
    is_int(number(path, "PRAGMA user_version"), WH_SQ_VERSION, "as its number says");
    is_int(number(path, "SELECT count(*) FROM dedupe"), 3, "and keeps its keys");
    s = fx_open(spec, fx_pool);
    is_int(bring(spec, s, "a key", first, now), WEBHOOK_ACCEPT_DUPLICATE, "a repetition from before the upgrade is known");
    is_str(first, id, "with the first delivery's id");
    is_int(bring(spec, s, "another", NULL, now), WEBHOOK_ACCEPT_STORED, "another key is not");
}

/* Two generations of httpd, or two servers, have an index each. */
static void check_two_indexes(void)
{
    wh_store_spec *a = fx_sqlite("two", NULL), *b = fx_sqlite("two", NULL);
    apr_time_t now = apr_time_now();
    webhook_store *sa, *sb;
    webhook_result res;
    int i, wrong = 0, unknown = 0;

    fx_init(a, &res);
    fx_init(b, &res);
    sa = fx_open(a, fx_pool);
    sb = fx_open(b, fx_pool);
    for (i = 0; i < 3000; i++) {
        const char *key = apr_psprintf(fx_pool, "key %d", i);

        wrong += bring(i % 3 ? a : b, i % 3 ? sa : sb, key, NULL, now) != WEBHOOK_ACCEPT_STORED;
        if (i % 7 == 0)
            unknown += bring(i % 3 ? b : a, i % 3 ? sb : sa, key, NULL, now) != WEBHOOK_ACCEPT_DUPLICATE;
    }
    is_int(wrong, 0, "two indexes over one file: what is new is new");
    is_int(unknown, 0, "what the other one stored is known");
    for (i = 0; i < 3000; i++) {
        const char *key = apr_psprintf(fx_pool, "key %d", i);
        unknown += bring(a, sa, key, NULL, now) != WEBHOOK_ACCEPT_DUPLICATE;
        unknown += bring(b, sb, key, NULL, now) != WEBHOOK_ACCEPT_DUPLICATE;
    }
    is_int(unknown, 0, "all of it, by both");
}

/* Killed between COMMIT and the word that the rows are known: whoever comes next reads them from the file. */
static void check_killed(void)
{
    wh_store_spec *spec = fx_sqlite("killed", NULL);
    apr_time_t now = apr_time_now();
    webhook_result res;
    webhook_store *s;
    int status = -1;
    pid_t pid;

    fx_init(spec, &res);
    pid = fork();
    if (pid == 0) {
        apr_pool_t *p;
        apr_pool_create(&p, NULL);
        s = fx_open(spec, p);
        status = bring(spec, s, "mine", NULL, now) != WEBHOOK_ACCEPT_STORED;
        wh_key_index_clear(spec->conf->keys);
        _exit(status);
    }
    waitpid(pid, &status, 0);
    is_int(status, 0, "a child stores a key and leaves no trace in the index");
    s = fx_open(spec, fx_pool);
    is_int(bring(spec, s, "mine", NULL, now), WEBHOOK_ACCEPT_DUPLICATE, "the next one knows it");
}

static void check_put_back(void)
{
    wh_store_spec *spec = fx_sqlite("back", NULL);
    apr_time_t now = apr_time_now();
    webhook_result res;
    webhook_store *s;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    bring(spec, s, "one", NULL, now);
    bring(spec, s, "two", NULL, now);
    bring(spec, s, "three", NULL, now);
    is_int(run_sql(fx_path("back"), "DELETE FROM dedupe WHERE k>1"), SQLITE_OK, "the file goes back to an earlier state");
    is_int(bring(spec, s, "four", NULL, now), WEBHOOK_ACCEPT_STORED, "a new key takes the number of one that is gone");
    is_int(bring(spec, s, "four", NULL, now), WEBHOOK_ACCEPT_DUPLICATE, "and is known");
    is_int(bring(spec, s, "one", NULL, now), WEBHOOK_ACCEPT_DUPLICATE, "so is what is still there");
    is_int(bring(spec, s, "three", NULL, now), WEBHOOK_ACCEPT_STORED, "what is gone is not");
}

static void check_expiry(void)
{
    wh_store_spec *spec = fx_sqlite("expiry", NULL);
    apr_time_t now = apr_time_now(), later = now + SECONDS(100000);
    webhook_result res;
    webhook_store *s;
    int i, more = 1;

    fx_init(spec, &res);
    s = fx_open(spec, fx_pool);
    for (i = 0; i < 50; i++)
        bring(spec, s, apr_psprintf(fx_pool, "old %d", i), NULL, now);
    while (more && spec->provider->maintain(s, later, &more, fx_pool, &res) == APR_SUCCESS)
        ;
    is_int(number(fx_path("expiry"), "SELECT count(*) FROM dedupe"), 1, "expired keys go, but the newest: its number must not come again");
    is_int(bring(spec, s, "old 49", NULL, later), WEBHOOK_ACCEPT_STORED, "it is expired all the same");
    is_int(bring(spec, s, "old 3", NULL, later), WEBHOOK_ACCEPT_STORED, "so is one that is gone");
    is_int(bring(spec, s, "old 49", NULL, later), WEBHOOK_ACCEPT_DUPLICATE, "and then it is known anew");
    is_int(number(fx_path("expiry"), "SELECT min(k)*1000+max(k) FROM dedupe"), 50052, "numbers go on");
}

int main(void)
{
    fx_begin();
    check_upgrade();
    check_two_indexes();
    check_killed();
    check_put_back();
    check_expiry();
    return tap_done();
}
