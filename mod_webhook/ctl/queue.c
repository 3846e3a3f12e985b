/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c: commands about deliveries in the store: list, show, replay, tail. Everything shown came from a network: it is escaped for
 * the terminal. Headers and query parameters that carry secrets are masked, with --json too: a token scheme's token is the endpoint's
 * secret itself. Only "show --json --unmasked" gives the envelope as handlers get it.
 */
#include "ctl/arguments.h"

#include <apr_strings.h>
#include <stdio.h>
#include <string.h>

#include "core/envelope.h"
#include "core/shape.h"
#include "core/id.h"
#include "core/json.h"
#include "core/units.h"

static int parse_when(wh_ctl *ctl, const char *name, const char *text, apr_time_t *out)
{
    apr_interval_time_t ago;
    if (!text) {
        return 0;
    }
    if (wh_parse_time(text, strlen(text), out) == APR_SUCCESS) {
        return 0;
    }
    if (wh_parse_duration(text, &ago) == APR_SUCCESS) {
        *out = apr_time_now() - ago;
        return 0;
    }
    return wh_ctl_error(ctl, "%s takes an RFC 3339 time or how long ago (\"2h\"), not \"%s\"", name, text);
}

/* What was frozen for a job, one slot at a time. Values are the payload's, but a credential is shown to nobody. */
static const wh_json_member *shape_next(const wh_json *shape, apr_size_t i, webhook_slice *value, const char *const *credentials, apr_pool_t *p)
{
    const wh_json_value *root = shape ? wh_json_root(shape) : NULL;
    const wh_json_member *m;

    if (i >= wh_json_size(root)) {
        return NULL;
    }
    m = &root->u.members[i];
    *value = wh_json_string(wh_json_typeof(&m->value) == WH_JSON_ARRAY ? wh_json_at(&m->value, 0) : &m->value);
    if (wh_slot_is_sensitive(apr_pstrmemdup(p, m->name, m->name_len), credentials)) {
        value->data = "***";
        value->len = 3;
    }
    return m;
}

static void put_shape(wh_buf *b, webhook_slice frozen, const char *const *credentials)
{
    const wh_json *shape = wh_shape_open(frozen, b->pool);
    const wh_json_member *m;
    webhook_slice value;
    apr_size_t i;

    if (!shape) {
        return;
    }
    wh_json_put_name(b, "shape");
    wh_buf_adds(b, "{");
    for (i = 0; (m = shape_next(shape, i, &value, credentials, b->pool)) != NULL; i++) {
        int bad = wh_json_typeof(&m->value) == WH_JSON_ARRAY;

        wh_json_put_name(b, apr_pstrmemdup(b->pool, m->name, m->name_len));
        wh_buf_adds(b, bad ? "[" : "");
        wh_json_put_string(b, value.data ? value.data : "", value.len);
        wh_buf_adds(b, bad ? "]" : "");
    }
    wh_buf_adds(b, "}");
}

static void put_job(wh_buf *b, const webhook_job_row *j, const char *const *credentials)
{
    int i;
    wh_buf_adds(b, b->data[b->len - 1] == '[' ? "{" : ",{");
    wh_json_put_member(b, "handler", j->handler);
    wh_json_put_member(b, "state", j->state);
    wh_json_put_member_int(b, "attempts", j->attempts);
    wh_json_put_member_time(b, "due", j->due);
    wh_json_put_member(b, "reason", j->reason);
    put_shape(b, j->shape, credentials);
    if (j->attempt_rows) {
        wh_json_put_name(b, "attempt_rows");
        wh_buf_adds(b, "[");
        for (i = 0; i < j->attempt_rows->nelts; i++) {
            const webhook_attempt_row *a = &APR_ARRAY_IDX(j->attempt_rows, i, const webhook_attempt_row);
            wh_buf_adds(b, i ? ",{" : "{");
            wh_json_put_member_int(b, "attempt", a->attempt);
            wh_json_put_member(b, "outcome", a->outcome);
            wh_json_put_member_time(b, "started", a->started);
            wh_json_put_member_time(b, "ended", a->ended);
            wh_json_put_member_int(b, "code", a->code);
            wh_json_put_member(b, "reason", a->reason);
            wh_json_put_member(b, "detail", a->detail);
            if (a->output.len) {
                wh_json_put_name(b, "output");
                wh_json_put_string(b, a->output.data, a->output.len);
            }
            wh_buf_adds(b, "}");
        }
        wh_buf_adds(b, "]");
    }
    wh_buf_adds(b, "}");
}

static int is_masked(webhook_slice name, const char *const *credentials)
{
    return wh_header_is_sensitive(name.data, name.len) || wh_name_is_credential(credentials, name.data, name.len);
}

/* The delivery as it may be shown: secrets in headers and query are "***". @param p what it lives in */
static webhook_delivery masked(const webhook_delivery *d, const char *const *credentials, apr_pool_t *p)
{
    webhook_delivery shown = *d;
    webhook_slice name, value;
    apr_size_t at = 0;
    wh_buf b;

    wh_buf_init(&b, p, d->headers.len + 16);
    while (wh_headers_next(d->headers, &at, &name, &value)) {
        wh_buf_add(&b, name.data, name.len);
        wh_buf_adds(&b, ": ");
        if (is_masked(name, credentials)) {
            wh_buf_adds(&b, "***");
        }
        else {
            wh_buf_add(&b, value.data, value.len);
        }
        wh_buf_adds(&b, "\r\n");
    }
    shown.headers.data = b.data;
    shown.headers.len = b.len;
    shown.uri = wh_uri_masked(d->uri, credentials, p);
    return shown;
}

/* A row as one JSON object: the members of the envelope of d, which is the row's delivery, masked or not; then state and jobs. */
static const char *row_json(const webhook_delivery *d, const webhook_row *row, webhook_slice body, const char *const *credentials, apr_pool_t *p)
{
    wh_buf b;
    int i;

    wh_buf_init(&b, p, 1024);
    wh_envelope_write(&b, d, body, NULL, 0);
    if (b.len && b.data[b.len - 1] == '\n') {
        b.len--;
    }
    b.data[--b.len] = '\0'; /* the closing brace */
    wh_json_put_member(&b, "state", row->state);
    wh_json_put_member(&b, "why", row->why);
    wh_json_put_member_int(&b, "duplicates", row->duplicates);
    if (row->jobs) {
        wh_json_put_name(&b, "jobs");
        wh_buf_adds(&b, "[");
        for (i = 0; i < row->jobs->nelts; i++) {
            put_job(&b, &APR_ARRAY_IDX(row->jobs, i, const webhook_job_row), credentials);
        }
        wh_buf_adds(&b, "]");
    }
    wh_buf_adds(&b, "}");
    return b.data;
}

/* @param p for a moment: there may be a million rows */
static void print_row(wh_ctl *ctl, const webhook_row *row, apr_pool_t *p)
{
    char when[WH_RFC3339_LEN + 1];
    int i;

    if (ctl->json) {
        webhook_slice none = {NULL, 0};
        const char *const *credentials = wh_ctl_credentials(ctl, row->delivery.endpoint);
        webhook_delivery shown = masked(&row->delivery, credentials, p);
        puts(row_json(&shown, row, none, credentials, p));
        return;
    }
    wh_format_time(when, row->delivery.received);
    printf("%s %s %-8s ", when, row->delivery.id, row->state);
    wh_ctl_say(row->delivery.endpoint);
    putchar(' ');
    wh_ctl_say(row->delivery.event);
    printf(" %" APR_OFF_T_FMT, row->delivery.body_len);
    for (i = 0; row->jobs && i < row->jobs->nelts; i++) {
        const webhook_job_row *j = &APR_ARRAY_IDX(row->jobs, i, const webhook_job_row);
        printf("%s", i ? ", " : "  ");
        wh_ctl_say(j->handler);
        printf(" %s/%d", j->state, j->attempts);
        if (j->reason && strcmp(j->state, "done") != 0) {
            printf(" (%s)", j->reason);
        }
    }
    putchar('\n');
}

/* One page into `rows`. @return 0 or an exit code */
static int fetch(wh_ctl *ctl, webhook_store *store, const webhook_store_provider *provider, const webhook_query *q, apr_array_header_t **rows,
                 apr_pool_t *p)
{
    webhook_result res = {0};
    *rows = apr_array_make(p, 64, sizeof(webhook_row *));
    return provider->list(store, q, *rows, p, &res) == APR_SUCCESS ? 0 : wh_ctl_store_error(ctl, &res);
}

int wh_ctl_list(wh_ctl *ctl, int argc, const char *const *argv)
{
    const char *since = NULL, *before = NULL, *limit = NULL;
    const webhook_store_provider *provider;
    webhook_query q = {.limit = 50, .with_jobs = 1};
    const wh_argument table[] = {{"--endpoint", &q.endpoint, NULL, NULL}, {"--state", &q.state, NULL, NULL}, {"--handler", &q.handler, NULL, NULL},
                                 {"--event", &q.event, NULL, NULL},       {"--since", &since, NULL, NULL},   {"--before", &before, NULL, NULL},
                                 {"--after", &q.after_id, NULL, NULL},    {"--limit", &limit, NULL, NULL},   {"--oldest", NULL, NULL, &q.ascending},
                                 {NULL, NULL, NULL, NULL}};
    apr_array_header_t *words, *rows;
    webhook_store *store;
    apr_int64_t wanted = 50, n;
    char last[WH_ID_LEN + 1];
    apr_pool_t *page;
    int i;

    if (wh_ctl_arguments(ctl, table, argc, argv, &words) || parse_when(ctl, "--since", since, &q.since)
        || parse_when(ctl, "--before", before, &q.before)) {
        return WH_CTL_USAGE;
    }
    if (words->nelts) {
        return wh_ctl_error(ctl, "list takes options alone, not \"%s\"", APR_ARRAY_IDX(words, 0, const char *));
    }
    if (limit && wh_parse_int(limit, strlen(limit), 1, APR_INT64_C(1000000000), &wanted) != APR_SUCCESS) {
        return wh_ctl_error(ctl, "--limit takes a whole number from 1, not \"%s\"", limit);
    }
    if (q.after_id && !wh_id_valid(q.after_id)) {
        return wh_ctl_error(ctl, "--after takes a delivery id, not \"%s\"", q.after_id);
    }
    store = wh_ctl_store(ctl, &provider);
    if (!store) {
        return WH_CTL_USAGE;
    }
    /* pages, so that a million rows need no million rows of memory */
    apr_pool_create(&page, ctl->pool);
    for (n = 0; n < wanted; n += i) {
        apr_pool_clear(page);
        q.limit = (int)(wanted - n < 500 ? wanted - n : 500);
        if (fetch(ctl, store, provider, &q, &rows, page)) {
            return WH_CTL_USAGE;
        }
        for (i = 0; i < rows->nelts; i++) {
            print_row(ctl, APR_ARRAY_IDX(rows, i, const webhook_row *), page);
        }
        if (rows->nelts < q.limit) {
            break;
        }
        apr_cpystrn(last, APR_ARRAY_IDX(rows, rows->nelts - 1, const webhook_row *)->delivery.id, sizeof(last));
        q.after_id = last;
    }
    return WH_CTL_OK;
}

static void show_headers(webhook_slice lines, const char *const *credentials)
{
    webhook_slice name, value;
    apr_size_t at = 0;
    while (wh_headers_next(lines, &at, &name, &value)) {
        printf("    ");
        wh_ctl_print(name.data, name.len, 0);
        printf(": ");
        if (is_masked(name, credentials)) {
            printf("***");
        }
        else {
            wh_ctl_print(value.data, value.len, 0);
        }
        putchar('\n');
    }
}

static void show_shape(webhook_slice frozen, const char *const *credentials, apr_pool_t *p)
{
    const wh_json *shape = wh_shape_open(frozen, p);
    const wh_json_member *m;
    webhook_slice value;
    apr_size_t i;

    for (i = 0; (m = shape_next(shape, i, &value, credentials, p)) != NULL; i++) {
        printf("  ");
        wh_ctl_say(apr_pstrmemdup(p, m->name, m->name_len));
        printf(wh_json_typeof(&m->value) == WH_JSON_ARRAY ? " has no value: it " : " = ");
        wh_ctl_say(apr_pstrmemdup(p, value.data ? value.data : "", value.len));
        putchar('\n');
    }
}

static void show_job(const webhook_job_row *j, const char *const *credentials, apr_pool_t *p)
{
    char when[WH_RFC3339_LEN + 1];
    int i;

    wh_format_time(when, j->due);
    printf("job ");
    wh_ctl_say(j->handler);
    printf(": %s, %d attempt%s%s%s%s%s\n", j->state, j->attempts, j->attempts == 1 ? "" : "s", j->reason ? ", " : "",
           j->reason ? j->reason : "", strcmp(j->state, "retry") == 0 || strcmp(j->state, "queued") == 0 ? ", due " : "",
           strcmp(j->state, "retry") == 0 || strcmp(j->state, "queued") == 0 ? when : "");
    show_shape(j->shape, credentials, p);
    for (i = 0; j->attempt_rows && i < j->attempt_rows->nelts; i++) {
        const webhook_attempt_row *a = &APR_ARRAY_IDX(j->attempt_rows, i, const webhook_attempt_row);
        wh_format_time(when, a->started);
        printf("  attempt %d: %s at %s, %" APR_TIME_T_FMT " ms", a->attempt, a->outcome, when, apr_time_as_msec(a->ended - a->started));
        if (a->code) {
            printf(", code %d", a->code);
        }
        if (a->reason) {
            printf(", %s", a->reason);
        }
        if (a->detail) {
            printf(": ");
            wh_ctl_say(a->detail);
        }
        putchar('\n');
        if (a->output.len) {
            printf("    ");
            wh_ctl_print(a->output.data, a->output.len, 1);
            if (a->output.data[a->output.len - 1] != '\n') {
                putchar('\n');
            }
        }
    }
}

int wh_ctl_show(wh_ctl *ctl, int argc, const char *const *argv)
{
    int body_only = 0, unmasked = 0, i;
    const wh_argument table[] = {{"--body", NULL, NULL, &body_only}, {"--unmasked", NULL, NULL, &unmasked}, {NULL, NULL, NULL, NULL}};
    const webhook_store_provider *provider;
    webhook_query q = {.limit = 1, .with_jobs = 1, .with_attempts = 1, .with_shapes = 1, .with_body = 1};
    apr_array_header_t *words, *rows;
    const webhook_row *row;
    const char *const *credentials;
    webhook_slice body = {NULL, 0};
    char when[WH_RFC3339_LEN + 1];
    webhook_store *store;
    apr_status_t rv;

    if (wh_ctl_arguments(ctl, table, argc, argv, &words)) {
        return WH_CTL_USAGE;
    }
    if (words->nelts != 1 || !wh_id_valid(APR_ARRAY_IDX(words, 0, const char *))) {
        return wh_ctl_error(ctl, "show: a delivery id");
    }
    if (unmasked && !ctl->json) {
        return wh_ctl_error(ctl, "show: --unmasked goes with --json");
    }
    q.id = APR_ARRAY_IDX(words, 0, const char *);
    store = wh_ctl_store(ctl, &provider);
    if (!store || fetch(ctl, store, provider, &q, &rows, ctl->pool)) {
        return WH_CTL_USAGE;
    }
    if (!rows->nelts) {
        wh_ctl_error(ctl, "there is no delivery %s", q.id);
        return WH_CTL_NO;
    }
    row = APR_ARRAY_IDX(rows, 0, const webhook_row *);
    rv = wh_delivery_body(&row->delivery, &body, ctl->pool);
    if (rv != APR_SUCCESS) {
        wh_ctl_error(ctl, "the body of %s cannot be read", q.id);
        return WH_CTL_NO;
    }
    if (body_only) {
        return fwrite(body.data, 1, body.len, stdout) == body.len ? WH_CTL_OK : WH_CTL_USAGE;
    }
    credentials = wh_ctl_credentials(ctl, row->delivery.endpoint);
    if (ctl->json) {
        webhook_delivery shown = unmasked ? row->delivery : masked(&row->delivery, credentials, ctl->pool);
        puts(row_json(&shown, row, body, credentials, ctl->pool));
        return WH_CTL_OK;
    }
    wh_format_time(when, row->delivery.received);
    printf("delivery %s: %s\n", row->delivery.id, row->state);
    if (row->why) {
        printf("  because ");
        wh_ctl_say(row->why);
        putchar('\n');
    }
    printf("  endpoint ");
    wh_ctl_say(row->delivery.endpoint);
    printf(" (");
    wh_ctl_say(row->delivery.scheme);
    printf("%s%s", row->delivery.verified ? ", verified" : ", not verified", row->delivery.key_id ? ", key " : "");
    if (row->delivery.key_id) {
        wh_ctl_say(row->delivery.key_id); /* of a key set, its server's */
    }
    printf(")\n  received %s from ", when);
    wh_ctl_say(row->delivery.remote_addr);
    printf("\n  event ");
    wh_ctl_say(row->delivery.event);
    printf(", sender's id ");
    wh_ctl_say(row->delivery.sender_id);
    printf(", %d duplicate%s\n  ", row->duplicates, row->duplicates == 1 ? "" : "s");
    wh_ctl_say(row->delivery.method);
    putchar(' ');
    wh_ctl_say(wh_uri_masked(row->delivery.uri, credentials, ctl->pool));
    printf("\n  body %" APR_OFF_T_FMT " bytes, SHA-256 %s\n  headers\n", row->delivery.body_len, row->delivery.body_sha256);
    show_headers(row->delivery.headers, credentials);
    for (i = 0; row->jobs && i < row->jobs->nelts; i++) {
        show_job(&APR_ARRAY_IDX(row->jobs, i, const webhook_job_row), credentials, ctl->pool);
    }
    return WH_CTL_OK;
}

int wh_ctl_replay(wh_ctl *ctl, int argc, const char *const *argv)
{
    const char *handler = NULL, *id;
    const wh_argument table[] = {{"--handler", &handler, NULL, NULL}, {NULL, NULL, NULL, NULL}};
    const webhook_store_provider *provider;
    apr_array_header_t *words;
    webhook_result res = {0};
    webhook_store *store;
    apr_status_t rv;
    int count = 0;

    if (wh_ctl_arguments(ctl, table, argc, argv, &words)) {
        return WH_CTL_USAGE;
    }
    if (words->nelts != 1 || !wh_id_valid(APR_ARRAY_IDX(words, 0, const char *))) {
        return wh_ctl_error(ctl, "replay: a delivery id");
    }
    id = APR_ARRAY_IDX(words, 0, const char *);
    store = wh_ctl_store(ctl, &provider);
    if (!store) {
        return WH_CTL_USAGE;
    }
    rv = provider->replay(store, id, handler, apr_time_now(), &count, &res);
    if (rv == APR_NOTFOUND) {
        wh_ctl_error(ctl, "there is no delivery %s", id);
        return WH_CTL_NO;
    }
    if (rv != APR_SUCCESS) {
        return wh_ctl_store_error(ctl, &res);
    }
    if (ctl->json) {
        printf("{\"id\":\"%s\",\"jobs\":%d}\n", id, count);
    }
    else {
        printf("%d job%s of %s made ready%s\n", count, count == 1 ? "" : "s", id,
               count ? "" : " (none is finished; those that wait or run are left alone)");
    }
    return count ? WH_CTL_OK : WH_CTL_NO;
}

int wh_ctl_tail(wh_ctl *ctl, int argc, const char *const *argv)
{
    const char *lines = NULL;
    int once = 0, i;
    const webhook_store_provider *provider;
    webhook_query q = {.with_jobs = 1};
    const wh_argument table[] = {{"--endpoint", &q.endpoint, NULL, NULL}, {"--lines", &lines, NULL, NULL}, {"--once", NULL, NULL, &once},
                                 {NULL, NULL, NULL, NULL}};
    char last[WH_ID_LEN + 1] = "";
    apr_array_header_t *words, *rows;
    apr_int64_t n = 10;
    webhook_store *store;
    apr_pool_t *page;

    if (wh_ctl_arguments(ctl, table, argc, argv, &words)) {
        return WH_CTL_USAGE;
    }
    if (words->nelts || (lines && wh_parse_int(lines, strlen(lines), 0, 1000, &n) != APR_SUCCESS)) {
        return wh_ctl_error(ctl, "tail: --lines takes 0 to 1000");
    }
    store = wh_ctl_store(ctl, &provider);
    if (!store) {
        return WH_CTL_USAGE;
    }
    apr_pool_create(&page, ctl->pool);
    q.limit = n ? (int)n : 1;
    if (fetch(ctl, store, provider, &q, &rows, page)) {
        return WH_CTL_USAGE;
    }
    for (i = rows->nelts - 1; i >= 0; i--) {
        const webhook_row *row = APR_ARRAY_IDX(rows, i, const webhook_row *);
        if (n) {
            print_row(ctl, row, page);
        }
        apr_cpystrn(last, row->delivery.id, sizeof(last));
    }
    q.ascending = 1;
    q.limit = 500;
    while (!once) {
        fflush(stdout);
        if (ferror(stdout)) {
            return WH_CTL_USAGE;
        }
        apr_pool_clear(page);
        q.after_id = last[0] ? last : NULL;
        if (fetch(ctl, store, provider, &q, &rows, page)) {
            return WH_CTL_USAGE;
        }
        for (i = 0; i < rows->nelts; i++) {
            const webhook_row *row = APR_ARRAY_IDX(rows, i, const webhook_row *);
            print_row(ctl, row, page);
            apr_cpystrn(last, row->delivery.id, sizeof(last));
        }
        if (!rows->nelts) {
            apr_sleep(apr_time_from_msec(300));
        }
    }
    return WH_CTL_OK;
}
