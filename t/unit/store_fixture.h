/* SPDX-License-Identifier: Apache-2.0 */
/* store_fixture.h: what the store tests share: a directory, a configured store, deliveries made up from a number. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <apr_general.h>
#include <apr_strings.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/encoding.h"
#include "core/id.h"
#include "core/log.h"
#include "core/options.h"
#include "core/units.h"
#include "store/store.h"

#define FIXTURE_UNUSED __attribute__((unused))
#define SECONDS(n) ((apr_time_t)(n) * 1000000)

static apr_pool_t *fx_pool;
static char fx_dir[200];
static int fx_quiet; /* failures are expected: do not remark on them */

static void fx_remove(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char below[1024];

    while (d && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        if (unlink(below) < 0)
            fx_remove(below);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static pid_t fx_starter;

static void fx_end(void)
{
    if (getpid() != fx_starter)
        return;
    apr_pool_destroy(fx_pool);
    fx_remove(fx_dir);
}

static void fx_begin(void)
{
    const char *tmp = getenv("TMPDIR");

    apr_initialize();
    apr_pool_create(&fx_pool, NULL);
    snprintf(fx_dir, sizeof fx_dir, "%s/store_test_XXXXXX", tmp && strlen(tmp) < 150 ? tmp : "/tmp");
    if (!mkdtemp(fx_dir)) {
        perror("mkdtemp");
        exit(1);
    }
    fx_starter = getpid();
    atexit(fx_end);
}

/* The target of a database in a directory of its own. */
FIXTURE_UNUSED static const char *fx_path(const char *name)
{
    return apr_psprintf(fx_pool, "%s/%s/queue.db", fx_dir, name);
}

/* "sqlite:/path" or "memory:" with options as words; dies when they are wrong. */
static wh_store_spec *fx_spec(const char *text, const char *words)
{
    char *copy = apr_pstrdup(fx_pool, words ? words : ""), *last, *w;
    const char *argv[32];
    apr_array_header_t *options;
    wh_store_spec *spec;
    const char *err;
    int n = 0;

    for (w = apr_strtok(copy, " ", &last); w && n < 32; w = apr_strtok(NULL, " ", &last))
        argv[n++] = w;
    err = wh_options_split(&options, n, argv, fx_pool);
    if (!err)
        err = wh_store_configure(&spec, text, options, NULL, NULL, fx_pool, fx_pool);
    if (err) {
        fprintf(stderr, "# fixture: %s\n", err);
        exit(1);
    }
    return spec;
}

/* Small free space on a build machine must not fail tests that are about something else. */
#define FX_PLAIN "free=0"

FIXTURE_UNUSED static wh_store_spec *fx_sqlite(const char *name, const char *words)
{
    return fx_spec(apr_pstrcat(fx_pool, "sqlite:", fx_path(name), NULL), words ? words : FX_PLAIN);
}

FIXTURE_UNUSED static apr_status_t fx_init(const wh_store_spec *spec, webhook_result *res)
{
    memset(res, 0, sizeof *res);
    return spec->provider->init(spec->conf, -1, -1, fx_pool, res);
}

FIXTURE_UNUSED static webhook_store *fx_open(const wh_store_spec *spec, apr_pool_t *p)
{
    webhook_store *s = NULL;
    webhook_result res;

    memset(&res, 0, sizeof res);
    if (spec->provider->open(&s, spec->conf, p, &res) != APR_SUCCESS) {
        fprintf(stderr, "# fixture: open: %s\n", res.detail);
        exit(1);
    }
    return s;
}

typedef struct fx_item {
    webhook_accept accept;
    webhook_delivery d;
    char id[WH_ID_LEN + 1], sha[65];
    unsigned char key[32];
    const char *handlers[4];
} fx_item;

static const char fx_body[] = "{\"action\":\"opened\"}";
static const char fx_headers[] = "Content-Type: application/json\r\nX-Event: push\r\n";

/* A delivery for up to two handlers (NULL: none); key NULL: no deduplication. */
static fx_item *fx_make(apr_pool_t *p, const char *body, apr_size_t len, const char *key, const char *h1, const char *h2, apr_time_t now)
{
    fx_item *i = apr_pcalloc(p, sizeof *i);

    wh_id_make(i->id, now);
    wh_sha256_hex(i->sha, body, len);
    i->d.id = i->id;
    i->d.endpoint = "github";
    i->d.scheme = "github";
    i->d.verified = 1;
    i->d.key_id = "1";
    i->d.event = "push";
    i->d.sender_id = key;
    i->d.received = now;
    i->d.remote_addr = "192.0.2.1";
    i->d.method = "POST";
    i->d.uri = "/hooks/github?x=1";
    i->d.content_type = "application/json";
    i->d.headers.data = fx_headers;
    i->d.headers.len = sizeof fx_headers - 1;
    i->d.body.data = body;
    i->d.body.len = len;
    i->d.body_len = (apr_off_t)len;
    i->d.body_sha256 = i->sha;
    i->accept.delivery = &i->d;
    i->accept.handlers = i->handlers;
    i->accept.kept_as = "unrouted";
    if (h1)
        i->handlers[i->accept.handler_count++] = h1;
    if (h2)
        i->handlers[i->accept.handler_count++] = h2;
    if (key) {
        wh_sha256(i->key, key, strlen(key));
        i->accept.dedupe_key = i->key;
        i->accept.dedupe_window = SECONDS(86400);
    }
    return i;
}

FIXTURE_UNUSED static fx_item *fx_small(apr_pool_t *p, const char *key, const char *h1, const char *h2, apr_time_t now)
{
    return fx_make(p, fx_body, sizeof fx_body - 1, key, h1, h2, now);
}

FIXTURE_UNUSED static webhook_accept_outcome fx_accept(const wh_store_spec *spec, webhook_store *s, fx_item *i, apr_time_t now)
{
    webhook_accept *items[1] = { &i->accept };
    webhook_result res;

    memset(&res, 0, sizeof res);
    spec->provider->accept(s, items, 1, now, &res);
    return i->accept.outcome;
}

FIXTURE_UNUSED static apr_array_header_t *fx_lease(const wh_store_spec *spec, webhook_store *s, const char *handler, int max,
                                                   apr_time_t now, apr_time_t *next)
{
    apr_array_header_t *leases = apr_array_make(fx_pool, 4, sizeof(webhook_lease *));
    webhook_lease_want want = { handler, max, SECONDS(60), 0 };
    webhook_result res;
    apr_time_t unused;

    memset(&res, 0, sizeof res);
    if (spec->provider->turn(s, NULL, 0, &want, 1, now, leases, next ? next : &unused, fx_pool, &res) != APR_SUCCESS
        && !fx_quiet)
        fprintf(stderr, "# fixture: turn: %s: %s\n", res.reason, res.detail);
    return leases;
}

#define FX_LEASE(leases, i) APR_ARRAY_IDX(leases, i, webhook_lease *)

/* @return whether it was applied; -1 on failure */
FIXTURE_UNUSED static int fx_settle(const wh_store_spec *spec, webhook_store *s, const webhook_lease *l, webhook_outcome outcome,
                                    apr_time_t due, apr_time_t now)
{
    apr_array_header_t *none = apr_array_make(fx_pool, 1, sizeof(webhook_lease *));
    webhook_settlement t, *list[1] = { &t };
    webhook_result res;
    apr_time_t next;

    memset(&t, 0, sizeof t);
    memset(&res, 0, sizeof res);
    t.job = l->job;
    t.token = l->token;
    t.attempt = l->attempt;
    t.outcome = outcome;
    t.due = due;
    t.started = now;
    t.ended = now;
    if (outcome != WEBHOOK_OUTCOME_DONE) {
        t.reason = "exit-status";
        t.detail = "the program ended with status 1";
        t.code = 1;
    }
    t.output.data = "out";
    t.output.len = 3;
    if (spec->provider->turn(s, list, 1, NULL, 0, now, none, &next, fx_pool, &res) != APR_SUCCESS)
        return -1;
    return t.applied;
}

FIXTURE_UNUSED static apr_array_header_t *fx_list(const wh_store_spec *spec, webhook_store *s, const webhook_query *q)
{
    apr_array_header_t *rows = apr_array_make(fx_pool, 4, sizeof(webhook_row *));
    webhook_result res;

    memset(&res, 0, sizeof res);
    if (spec->provider->list(s, q, rows, fx_pool, &res) != APR_SUCCESS)
        fprintf(stderr, "# fixture: list: %s\n", res.detail);
    return rows;
}

#define FX_ROW(rows, i) APR_ARRAY_IDX(rows, i, webhook_row *)

FIXTURE_UNUSED static webhook_row *fx_get(const wh_store_spec *spec, webhook_store *s, const char *id)
{
    webhook_query q;
    apr_array_header_t *rows;

    memset(&q, 0, sizeof q);
    q.id = id;
    q.limit = 1;
    q.with_body = q.with_jobs = q.with_attempts = 1;
    rows = fx_list(spec, s, &q);
    return rows->nelts ? FX_ROW(rows, 0) : NULL;
}

FIXTURE_UNUSED static webhook_store_stats fx_stats(const wh_store_spec *spec, webhook_store *s)
{
    webhook_store_stats stats;
    webhook_result res;

    memset(&res, 0, sizeof res);
    memset(&stats, 0, sizeof stats);
    if (spec->provider->stats(s, &stats, fx_pool, &res) != APR_SUCCESS)
        fprintf(stderr, "# fixture: stats: %s\n", res.detail);
    return stats;
}

#endif
