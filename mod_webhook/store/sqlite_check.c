/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_check.c: is the file sound, and do its rows keep the rules of the state machine? For the tool and for fault tests. */
#include <apr_strings.h>
#include <string.h>

#include "core/id.h"
#include "store/sqlite_store.h"

/* Each query yields the offending rows' number or a difference; anything but 0 is a problem. */
static const struct {
    const char *sql, *text;
} rules[] = {
    { "SELECT (SELECT v FROM counters WHERE k=1) - (SELECT count(*) FROM deliveries)", "the counter of deliveries is off" },
    { "SELECT (SELECT v FROM counters WHERE k=2) - (SELECT count(*) FROM jobs WHERE state=0)", "the counter of queued jobs is off" },
    { "SELECT (SELECT v FROM counters WHERE k=3) - (SELECT count(*) FROM jobs WHERE state=1)", "the counter of jobs to retry is off" },
    { "SELECT (SELECT v FROM counters WHERE k=4) - (SELECT count(*) FROM jobs WHERE state=2)", "the counter of leased jobs is off" },
    { "SELECT (SELECT v FROM counters WHERE k=5) - (SELECT count(*) FROM jobs WHERE state=3)", "the counter of done jobs is off" },
    { "SELECT (SELECT v FROM counters WHERE k=6) - (SELECT count(*) FROM jobs WHERE state=4)", "the counter of dead jobs is off" },
    { "SELECT (SELECT v FROM counters WHERE k=7) - (SELECT count(*) FROM deliveries WHERE closed=3)",
      "the counter of unrouted deliveries is off" },
    { "SELECT (SELECT v FROM counters WHERE k=8) - (SELECT count(*) FROM deliveries WHERE closed=4)",
      "the counter of dropped deliveries is off" },
    { "SELECT (SELECT v FROM counters WHERE k=9) - (SELECT coalesce(sum(body_len),0) FROM deliveries WHERE in_file)",
      "the counter of bytes in body files is off" },
    { "SELECT count(*) FROM jobs WHERE state NOT BETWEEN 0 AND 4", "jobs are in a state that does not exist" },
    { "SELECT count(*) FROM jobs WHERE delivery NOT IN (SELECT n FROM deliveries)", "jobs belong to no delivery" },
    { "SELECT count(*) FROM jobs WHERE handler NOT IN (SELECT k FROM names)", "jobs are for a handler without a name" },
    { "SELECT count(*) FROM (SELECT 1 FROM jobs GROUP BY delivery, handler HAVING count(*)>1)", "deliveries have two jobs of one handler" },
    { "SELECT count(*) FROM jobs WHERE state=0 AND attempts<>0", "queued jobs were tried before" },
    { "SELECT count(*) FROM jobs WHERE state>0 AND attempts=0", "tried jobs have no attempt number" },
    { "SELECT count(*) FROM jobs WHERE state=2 AND (token<=0 OR owner<=0)", "leased jobs lack token or owner" },
    { "SELECT count(*) FROM jobs WHERE state<>2 AND (token<>0 OR owner<>0)", "jobs that are not leased have a token or an owner" },
    { "SELECT count(*) FROM jobs WHERE token>(SELECT v FROM counters WHERE k=10)", "tokens are ahead of their counter" },
    { "SELECT count(*) FROM jobs WHERE owner>(SELECT v FROM counters WHERE k=11)", "owners are ahead of their counter" },
    { "SELECT count(*)-count(DISTINCT token) FROM jobs WHERE state=2", "two leases have one token" },
    { "SELECT count(*) FROM jobs WHERE state=4 AND reason IS NULL", "dead jobs have no reason" },
    { "SELECT count(*) FROM deliveries d WHERE open<>(SELECT count(*) FROM jobs WHERE delivery=d.n AND state<3)",
      "deliveries miscount their unfinished jobs" },
    { "SELECT count(*) FROM deliveries d WHERE dead<>(SELECT count(*) FROM jobs WHERE delivery=d.n AND state=4)",
      "deliveries miscount their dead jobs" },
    { "SELECT count(*) FROM deliveries d WHERE closed<>CASE WHEN open>0 THEN 0 WHEN dead>0 THEN 2"
      " WHEN EXISTS(SELECT 1 FROM jobs WHERE delivery=d.n) THEN 1 WHEN closed=4 THEN 4 ELSE 3 END",
      "deliveries are closed in another way than their jobs" },
    { "SELECT count(*) FROM deliveries WHERE (closed=0)<>(finished IS NULL)", "deliveries lack the time they were finished" },
    { "SELECT count(*) FROM deliveries WHERE length(id)<>16", "deliveries have ids of another length" },
    { "SELECT count(*)-count(DISTINCT id) FROM deliveries", "two deliveries have one id" },
    { "SELECT count(*) FROM deliveries WHERE body NOT IN (SELECT b FROM bodies)", "deliveries have no body row" },
    { "SELECT (SELECT count(*) FROM bodies) - (SELECT count(*) FROM deliveries)", "body rows belong to no delivery" },
    { "SELECT count(*) FROM deliveries d JOIN bodies ON b=d.body WHERE NOT in_file AND length(bodies.body) IS NOT d.body_len",
      "bodies have another length than when they were accepted" },
    { "SELECT count(*) FROM shapes WHERE job NOT IN (SELECT job FROM jobs)", "shapes belong to no job" },
    { "SELECT count(*) FROM attempts WHERE (k>>20) NOT IN (SELECT job FROM jobs)", "attempts belong to no job" },
    { "SELECT count(*) FROM attempts a JOIN jobs j ON j.job=(a.k>>20) WHERE (a.k & 1048575) NOT BETWEEN 1 AND j.attempts",
      "attempts are numbered beyond their job's" },
    { "SELECT count(*) FROM attempts WHERE outcome NOT BETWEEN 1 AND 5", "attempts have an outcome that does not exist" },
};

static int first_int(sqlite3 *db, const char *sql, sqlite3_int64 *value)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    *value = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int check_integrity(sqlite3 *db, const char **problem, apr_pool_t *p)
{
    sqlite3_stmt *stmt;
    const char *text;
    int rc = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &stmt, NULL);

    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        text = (const char *)sqlite3_column_text(stmt, 0);
        if (strcmp(text, "ok") != 0) {
            char *line = apr_pstrdup(p, text), *at;

            for (at = line; (at = strchr(at, '\n')) != NULL;)
                *at = ' ';
            *problem = line;
        }
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int check_files(const webhook_store_conf *conf, sqlite3 *db, const char **problem, apr_pool_t *p)
{
    apr_pool_t *scratch;
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, "SELECT id, body_len FROM deliveries WHERE in_file", -1, &stmt, NULL);

    if (rc != SQLITE_OK)
        return rc;
    apr_pool_create(&scratch, p);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && !*problem) {
        char id[WH_ID_LEN + 1];
        const char *path;
        struct stat st;

        apr_pool_clear(scratch);
        wh_id_unpack(id, sqlite3_column_blob(stmt, 0));
        path = wh_sq_body_path(conf, id, scratch);
        if (stat(path, &st) < 0)
            *problem = apr_psprintf(p, "the body file %s is missing", path);
        else if (st.st_size != sqlite3_column_int64(stmt, 1))
            *problem = apr_psprintf(p, "the body file %s has another length than when it was accepted", path);
    }
    sqlite3_finalize(stmt);
    apr_pool_destroy(scratch);
    return *problem || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

apr_status_t wh_sqlite_check(const char *path, const char **problem, apr_pool_t *p)
{
    webhook_store_conf *conf;
    webhook_result res;
    sqlite3_int64 value;
    webhook_store *s;
    apr_pool_t *mine;
    apr_status_t rv;
    apr_size_t i;
    int rc;

    *problem = wh_sq_configure(&conf, path, NULL, p, p);
    if (*problem)
        return APR_EINVAL;
    apr_pool_create(&mine, p);
    memset(&res, 0, sizeof res);
    wh_sq_open(&s, conf, mine, &res);
    rv = wh_sq_reader(s, &res);
    if (rv != APR_SUCCESS) {
        *problem = res.detail;
        apr_pool_destroy(mine);
        return rv;
    }
    rc = sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = check_integrity(s->db, problem, p);
    for (i = 0; i < sizeof rules / sizeof rules[0] && rc == SQLITE_OK && !*problem; i++) {
        rc = first_int(s->db, rules[i].sql, &value);
        if (rc == SQLITE_OK && value)
            *problem = apr_psprintf(p, "%s (by %" APR_INT64_T_FMT ")", rules[i].text, (apr_int64_t)value);
    }
    if (rc == SQLITE_OK && !*problem)
        rc = check_files(conf, s->db, problem, p);
    if (rc != SQLITE_OK)
        *problem = apr_psprintf(p, "the check could not be finished: %s", sqlite3_errmsg(s->db));
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    apr_pool_destroy(mine);
    return rc == SQLITE_OK || (rc & 0xff) == SQLITE_CORRUPT ? APR_SUCCESS : APR_EGENERAL;
}
