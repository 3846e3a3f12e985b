/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of handlers share: attempts with a memory of their own that is really freed when they end (so that a sanitizer sees
 * a handler that looks back), a record of how they ended, and a real loop.
 */
#ifndef T_HANDLER_H
#define T_HANDLER_H

#include <apr_allocator.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "core/encoding.h"
#include "core/id.h"
#include "core/log.h"
#include "core/units.h"
#include "dispatch/handlers.h"
#include "dispatch/loop.h"

#define PATIENCE apr_time_from_sec(60) /* a ceiling: nothing waits for it unless something is broken */

typedef struct try {
    webhook_attempt attempt; /* first: finish() gets its address */
    webhook_lease lease;
    webhook_delivery d;
    char id[WEBHOOK_ID_LEN + 1], sha[65];
    int ended;
    webhook_outcome outcome;
    int code;
    char reason[64], detail[512];
    apr_interval_time_t retry_after;
    char *output;
    apr_size_t output_len;
} try;

static apr_pool_t *pool; /* of the whole test */
static webhook_loop *loop;
static int log_lines[10];
static char last_log[2048];

static void t_finish(void *baton, webhook_attempt *attempt, const webhook_attempt_result *r)
{
    try *t = (try *)attempt;

    (void)baton;
    t->ended++;
    t->outcome = r->outcome;
    t->code = r->code;
    apr_cpystrn(t->reason, r->reason ? r->reason : "", sizeof(t->reason));
    apr_cpystrn(t->detail, r->detail ? r->detail : "", sizeof(t->detail));
    t->retry_after = r->retry_after;
    t->output = malloc(r->output.len + 1);
    if (r->output.len)
        memcpy(t->output, r->output.data, r->output.len);
    t->output[r->output.len] = '\0';
    t->output_len = r->output.len;
    apr_pool_destroy(attempt->pool);
    attempt->pool = NULL;
}

static void t_log(void *baton, int level, apr_status_t rv, const char *text)
{
    (void)baton;
    (void)rv;
    if (level >= 0 && level < 10)
        log_lines[level]++;
    apr_cpystrn(last_log, text, sizeof(last_log));
}

static void t_begin(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    wh_log_set(t_log, NULL, WH_LOG_DEBUG);
    if (wh_loop_create(&loop, t_finish, NULL, pool) != APR_SUCCESS) {
        fprintf(stderr, "no loop\n");
        exit(1);
    }
}

/* An attempt with this body; everything else may be changed before it is started. */
static try *t_try(const char *body, apr_size_t len)
{
    try *t = calloc(1, sizeof(*t));
    apr_allocator_t *allocator;

    apr_allocator_create(&allocator);
    apr_allocator_max_free_set(allocator, 1);
    apr_pool_create_ex(&t->attempt.pool, NULL, NULL, allocator);
    apr_allocator_owner_set(allocator, t->attempt.pool);
    wh_id_make(t->id, apr_time_now());
    wh_sha256_hex(t->sha, body, len);
    t->d.id = t->id;
    t->d.endpoint = "github";
    t->d.scheme = "github";
    t->d.verified = 1;
    t->d.key_id = "2026";
    t->d.event = "push";
    t->d.received = apr_time_from_sec(1795465321); /* 2026-11-23T20:22:01Z */
    t->d.remote_addr = "192.0.2.1";
    t->d.method = "POST";
    t->d.uri = "/hooks/github";
    t->d.content_type = "application/json";
    t->d.headers.data = "Content-Type: application/json\r\nX-GitHub-Event: push\r\n";
    t->d.headers.len = strlen(t->d.headers.data);
    t->d.body.data = body;
    t->d.body.len = len;
    t->d.body_len = (apr_off_t)len;
    t->d.body_sha256 = t->sha;
    t->lease.job = 1;
    t->lease.token = 1;
    t->lease.attempt = 1;
    t->lease.handler = "h";
    t->lease.delivery = &t->d;
    t->attempt.lease = &t->lease;
    t->attempt.handler_name = "h";
    t->attempt.timeout = apr_time_from_sec(30);
    t->attempt.capture = 65536;
    return t;
}

static void t_free(try *t)
{
    if (t->attempt.pool)
        apr_pool_destroy(t->attempt.pool);
    free(t->output);
    free(t);
}

/* Run the loop until the attempt ended. @return whether it did */
static int t_wait(const try *t)
{
    apr_time_t until = wh_monotonic() + PATIENCE;

    while (!t->ended && wh_monotonic() < until)
        wh_loop_once(loop, apr_time_from_msec(100));
    return t->ended == 1;
}

/* options as "name=value" words, NULL-terminated */
static apr_array_header_t *t_options(const char *const *words)
{
    apr_array_header_t *a = apr_array_make(pool, 4, sizeof(webhook_option));

    for (; words && *words; words++) {
        webhook_option *o = apr_array_push(a);
        const char *sep = strchr(*words, '=');

        o->name = apr_pstrmemdup(pool, *words, (apr_size_t)(sep - *words));
        o->value = apr_pstrdup(pool, sep + 1);
    }
    return a;
}

static const char *t_configure(const webhook_handler_provider *prov, webhook_handler_conf **conf, const char *target,
                               const char *const *words)
{
    apr_pool_t *ptemp;
    const char *err;

    apr_pool_create(&ptemp, pool);
    err = apr_pstrdup(pool, prov->configure(conf, target, t_options(words), pool, ptemp));
    apr_pool_destroy(ptemp);
    return err;
}

/* configure and open; a failure ends the program */
static webhook_handler *t_open(const webhook_handler_provider *prov, const char *target, const char *const *words)
{
    webhook_handler_conf *conf;
    webhook_handler *h = NULL;
    webhook_result res = {0};
    const char *err = t_configure(prov, &conf, target, words);

    if (err || prov->open(&h, conf, "h", loop, &wh_loop_services, pool, &res) != APR_SUCCESS) {
        printf("Bail out! %s: %s\n", target, err ? err : res.detail);
        exit(1);
    }
    return h;
}

#endif
