/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters in shared memory: layout, recognition, counting by several threads, and what is shown.
 */
#include "tap.h"

#include <apr_general.h>
#include <pthread.h>

#include "core/counters.h"

static apr_pool_t *pool;

static const char *const endpoints[] = { "github", "stripe <b>", NULL };
static const char *const handlers[] = { "deploy", NULL };

static char long_name[200];

static void *count_many(void *arg)
{
    wh_endpoint_counters *e = wh_counters_endpoint(arg, 0);

    for (int i = 0; i < 100000; i++) {
        WH_COUNT(e, requests, 1);
        WH_COUNT(e, reason[WH_REFUSAL_METHOD], 2);
    }
    return NULL;
}

static void test_layout(void)
{
    apr_size_t size = wh_counters_size(2, 1);
    /* exactly as large as said, so that a sanitizer sees a step beyond */
    wh_counters *c = malloc(size);
    wh_endpoint_counters *e;
    wh_handler_counters *h;

    wh_counters_init(c, size, endpoints, 2, handlers, 1);
    is_int(c->magic, WH_COUNTERS_MAGIC, "magic");
    is_int(c->size, size, "size");
    ok(c->started > 0, "started");
    is_str(wh_counters_endpoint(c, 0)->name, "github", "first endpoint");
    is_str(wh_counters_endpoint(c, 1)->name, "stripe <b>", "second");
    is_str(wh_counters_endpoint(c, 2)->name, "(other)", "the rest");
    is_str(wh_counters_endpoint(c, 3)->name, "(other)", "beyond");
    is_str(wh_counters_endpoint(c, -1)->name, "(other)", "before");
    is_str(wh_counters_handler(c, 0)->name, "deploy", "handler");
    is_str(wh_counters_handler(c, 1)->name, "(other)", "the rest");
    is_str(wh_counters_handler(c, 99)->name, "(other)", "beyond");
    is_int(wh_counters_find_endpoint(c, "stripe <b>"), 1, "by name");
    is_int(wh_counters_find_endpoint(c, "nope"), 2, "unknown: the rest");
    is_int(wh_counters_find_endpoint(c, "git"), 2, "no prefix");
    is_int(wh_counters_find_endpoint(c, NULL), 2, "no name");
    is_int(wh_counters_find_handler(c, "deploy"), 0, "by name");
    is_int(wh_counters_find_handler(c, "(other)"), 1, "the rest by name");
    is_int(wh_counters_find_handler(NULL, "deploy"), -1, "no mapping");
    ok(!wh_counters_endpoint(NULL, 0) && !wh_counters_handler(NULL, 0), "no mapping, no block");
    e = NULL;
    WH_COUNT(e, requests, 1);
    pass("counting nowhere");
    for (int i = 0; i < 3; i++) {
        is_int((apr_uintptr_t)wh_counters_endpoint(c, i) % 8, 0, "aligned");
        is_int(wh_counters_endpoint(c, i)->requests, 0, "zero");
        memset((char *)wh_counters_endpoint(c, i) + WH_COUNTER_NAME, 0xff, sizeof(*e) - WH_COUNTER_NAME);
    }
    h = wh_counters_handler(c, 0);
    is_int((apr_uintptr_t)h % 8, 0, "aligned");
    is_int(h->attempts + wh_counters_handler(c, 1)->busy_usec, 0, "blocks do not overlap");
    memset((char *)wh_counters_handler(c, 1) + WH_COUNTER_NAME, 0xff, sizeof(*h) - WH_COUNTER_NAME);
    wh_counters_handler(c, 0)->attempts = 40;
    wh_counters_handler(c, 1)->attempts = 2;
    is_int(wh_counters_attempts(c, 2, 1), 42, "attempts of all handlers");
    c->endpoint_count = c->handler_count = 1u << 30;
    is_int(wh_counters_attempts(c, 2, 1), 42, "whatever the header says");
    c->endpoint_count = 3;
    c->handler_count = 2;
    is_int(wh_counters_attempts(NULL, 2, 1), 0, "no mapping, no attempts");
    ok((char *)(wh_counters_handler(c, 1) + 1) == (char *)c + size, "the last ends where the mapping does");
    ok(wh_counters_match(c, size, endpoints, 2, handlers, 1), "still recognised");
    free(c);
}

static void test_match(void)
{
    static const char *const renamed[] = { "github", "stripe", NULL };
    static const char *const swapped[] = { "stripe <b>", "github", NULL };
    apr_size_t size = wh_counters_size(2, 1);
    wh_counters *c = malloc(size), keep;
    char *other;

    wh_counters_init(c, size, endpoints, 2, handlers, 1);
    keep = *c;
    ok(wh_counters_match(c, size, endpoints, 2, handlers, 1), "recognised");
    ok(!wh_counters_match(NULL, size, endpoints, 2, handlers, 1), "no mapping");
    ok(!wh_counters_match(c, size, renamed, 2, handlers, 1), "another name");
    ok(!wh_counters_match(c, size, swapped, 2, handlers, 1), "another order");
    ok(!wh_counters_match(c, size, endpoints, 1, handlers, 1), "fewer endpoints");
    ok(!wh_counters_match(c, size, endpoints, 2, endpoints, 1), "another handler");
    ok(!wh_counters_match(c, size, endpoints, 2, handlers, 0), "fewer handlers");
    ok(!wh_counters_match(c, size - 8, endpoints, 2, handlers, 1), "a smaller mapping");
    ok(!wh_counters_match(c, size + 8, endpoints, 2, handlers, 1), "a larger one");
    ok(!wh_counters_match(c, 8, endpoints, 2, handlers, 1), "one that has no room for the header");
#define DAMAGE(member) \
    c->member ^= 1; \
    ok(!wh_counters_match(c, size, endpoints, 2, handlers, 1), "wrong " #member); \
    *c = keep;
    DAMAGE(magic)
    DAMAGE(version)
    DAMAGE(size)
    DAMAGE(endpoint_count)
    DAMAGE(handler_count)
    DAMAGE(refusal_count)
    other = wh_counters_endpoint(c, 2)->name;
    other[0] = 'x';
    ok(!wh_counters_match(c, size, endpoints, 2, handlers, 1), "wrong last name");
    memset(other, 'x', WH_COUNTER_NAME);
    ok(!wh_counters_match(c, size, endpoints, 2, handlers, 1), "a name without end");
    free(c);
}

static void test_long_names(void)
{
    static const char *const names[] = { long_name, NULL };
    apr_size_t size = wh_counters_size(1, 0);
    wh_counters *c = malloc(size);

    memset(long_name, 'n', sizeof(long_name) - 1);
    wh_counters_init(c, size, names, 1, NULL, 0);
    is_int(strlen(wh_counters_endpoint(c, 0)->name), WH_COUNTER_NAME - 1, "a long name is cut");
    is_int(wh_counters_find_endpoint(c, long_name), 0, "and found");
    ok(wh_counters_match(c, size, names, 1, NULL, 0), "and recognised");
    free(c);
}

static void test_threads_and_json(void)
{
    apr_size_t size = wh_counters_size(2, 1);
    wh_counters *c = malloc(size);
    pthread_t t[4];
    wh_buf b;
    wh_json *doc;
    wh_json_error err;
    webhook_slice text;
    const wh_json_value *root, *github;

    wh_counters_init(c, size, endpoints, 2, handlers, 1);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, count_many, c);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    WH_COUNT(wh_counters_handler(c, 0), busy_usec, 77);
    WH_COUNT(c, commits, 5);
    wh_buf_init(&b, pool, 0);
    wh_counters_json(&b, c);
    text.data = b.data;
    text.len = b.len;
    is_int(wh_json_parse(&doc, text, NULL, pool, &err), APR_SUCCESS, "valid JSON");
    root = wh_json_root(doc);
    is_str(wh_json_text(wh_json_get(root, "commits"), pool), "5", "a counter of the header");
    is_int(wh_json_string(wh_json_get(root, "started")).len, 24, "the time");
    is_int(wh_json_size(wh_json_get(root, "endpoints")), 3, "endpoints");
    github = wh_json_get(wh_json_get(root, "endpoints"), "github");
    is_str(wh_json_text(wh_json_get(github, "requests"), pool), "400000", "no addition is lost");
    is_str(wh_json_text(wh_json_get(github, "accepted"), pool), "0", "zero is shown");
    is_int(wh_json_size(wh_json_get(github, "reasons")), 1, "reasons that occurred");
    is_str(wh_json_text(wh_json_get(wh_json_get(github, "reasons"), "method-not-allowed"), pool), "800000", "by their code");
    ok(wh_json_get(wh_json_get(root, "endpoints"), "stripe <b>") != NULL, "any name");
    ok(!strchr(b.data, '<'), "is escaped");
    is_str(wh_json_text(wh_json_get(wh_json_get(wh_json_get(root, "handlers"), "deploy"), "busy_usec"), pool), "77", "handlers");
    ok(wh_json_get(wh_json_get(root, "handlers"), "(other)") != NULL, "all of them");

    /* what a writer could leave behind is shown as far as it goes */
    memset(wh_counters_endpoint(c, 0)->name, 'x', WH_COUNTER_NAME);
    wh_buf_init(&b, pool, 0);
    wh_counters_json(&b, c);
    text.data = b.data;
    text.len = b.len;
    is_int(wh_json_parse(&doc, text, NULL, pool, &err), APR_SUCCESS, "a name without end does not hurt");
    wh_buf_init(&b, pool, 0);
    wh_counters_json(&b, NULL);
    is_str(b.data, "{\"endpoints\":{},\"handlers\":{}}", "no mapping");
    free(c);
}

static void test_reasons(void)
{
    int wrong = 0;

    for (int i = 0; i < WH_REFUSAL_COUNT; i++) {
        const wh_refusal_info *info = &wh_refusal_table[i];
        wrong += wh_refusal_find(info->code) != i || info->status < 400 || info->status > 503 || !*info->title;
    }
    is_int(wrong, 0, "each reason is found by its code, which is unique");
    is_int(wh_refusal_find("nope"), -1, "others are not");
    is_int(wh_refusal_find(NULL), -1, "nor is none");
    is_str(wh_failure_TIMEOUT, "timeout", "failure codes");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_layout();
    test_match();
    test_long_names();
    test_threads_and_json();
    test_reasons();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
