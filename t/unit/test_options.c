/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of directives: each type, each message.
 */
#include "tap.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <stddef.h>

#include "core/options.h"

typedef struct target {
    const char *text;
    apr_int64_t size;
    apr_interval_time_t timeout;
    int count;
    int delta;
    int flag;
    int algorithm;
    apr_array_header_t *headers;
} target;

static const wh_option_spec specs[] = {
    { "text", WH_OPT_STRING, offsetof(target, text), 0, 0, NULL },
    { "size", WH_OPT_SIZE, offsetof(target, size), 1024, 1 << 20, NULL },
    { "timeout", WH_OPT_DURATION, offsetof(target, timeout), APR_USEC_PER_SEC, 0, NULL },
    { "count", WH_OPT_INT, offsetof(target, count), 0, 0, NULL },
    { "delta", WH_OPT_INT, offsetof(target, delta), -5, 5, NULL },
    { "flag", WH_OPT_BOOL, offsetof(target, flag), 0, 0, NULL },
    { "algorithm", WH_OPT_ENUM, offsetof(target, algorithm), 0, 0, "none|sha1|sha256" },
    { "headers", WH_OPT_LIST, offsetof(target, headers), 0, 0, NULL },
    { NULL, WH_OPT_STRING, 0, 0, 0, NULL },
};

static apr_pool_t *pool;

/* words, separated by blanks, through split and apply */
static const char *apply(target *t, const char *line)
{
    const char *argv[16];
    int argc = 0;
    char *copy = apr_pstrdup(pool, line), *last;
    apr_array_header_t *options;
    const char *err;

    for (char *word = strtok_r(copy, " ", &last); word; word = strtok_r(NULL, " ", &last))
        argv[argc++] = word;
    err = wh_options_split(&options, argc, argv, pool);
    return err ? err : wh_options_apply(t, specs, options, "handler pipe", pool);
}

static void test_values(void)
{
    target t = { 0 };

    t.count = 9;
    is_str(apply(&t, ""), NULL, "no options");
    is_int(t.count, 9, "leave what was there");
    is_str(apply(&t, "text=a=b size=64K timeout=1h30min count=12 delta=-5 flag=ON algorithm=SHA256 headers=a,b headers=c"), NULL,
           "all of them");
    is_str(t.text, "a=b", "text, with a sign of its own");
    is_int(t.size, 65536, "size");
    is_int(t.timeout, 5400 * APR_USEC_PER_SEC, "duration");
    is_int(t.count, 12, "integer");
    is_int(t.delta, -5, "negative integer");
    is_int(t.flag, 1, "on");
    is_int(t.algorithm, 2, "word");
    is_int(t.headers->nelts, 3, "list");
    is_str(APR_ARRAY_IDX(t.headers, 0, const char *), "a", "first");
    is_str(APR_ARRAY_IDX(t.headers, 2, const char *), "c", "last");
    is_str(apply(&t, "flag=off headers=x algorithm=none"), NULL, "again");
    is_int(t.flag, 0, "off");
    is_int(t.algorithm, 0, "first word");
    is_int(t.headers->nelts, 1, "a list replaces the one before");
}

static void test_errors(void)
{
    static const char *const rows[][2] = {
        { "text", "\"text\" is not an option (expected name=value)" },
        { "=x", "\"=x\" is an option without a name (expected name=value)" },
        { "text=", "handler pipe: option \"text\" cannot be \"\" (expected a value)" },
        { "timout=3s", "handler pipe: option \"timout\" is unknown (allowed: text, size, timeout, count, delta, flag, algorithm, headers)" },
        { "Text=x", "handler pipe: option \"Text\" is unknown (allowed: text, size, timeout, count, delta, flag, algorithm, headers)" },
        { "size=1K size=2K", "handler pipe: option \"size\" is given twice" },
        { "size=1", "handler pipe: option \"size\" cannot be \"1\" (expected a size such as 64K, 25M or 1G, from 1K to 1M)" },
        { "size=2M", "handler pipe: option \"size\" cannot be \"2M\" (expected a size such as 64K, 25M or 1G, from 1K to 1M)" },
        { "size=x", "handler pipe: option \"size\" cannot be \"x\" (expected a size such as 64K, 25M or 1G, from 1K to 1M)" },
        { "timeout=10", "handler pipe: option \"timeout\" cannot be \"10\" (expected a duration such as 500ms, 10s or 1h30min, at least 1s)" },
        { "timeout=10ms", "handler pipe: option \"timeout\" cannot be \"10ms\" (expected a duration such as 500ms, 10s or 1h30min, at least 1s)" },
        { "count=-1", "handler pipe: option \"count\" cannot be \"-1\" (expected a whole number)" },
        { "count=2147483648", "handler pipe: option \"count\" cannot be \"2147483648\" (expected a whole number)" },
        { "delta=6", "handler pipe: option \"delta\" cannot be \"6\" (expected a whole number, from -5 to 5)" },
        { "flag=yes", "handler pipe: option \"flag\" cannot be \"yes\" (allowed: on, off)" },
        { "flag=", "handler pipe: option \"flag\" cannot be \"\" (allowed: on, off)" },
        { "algorithm=md5", "handler pipe: option \"algorithm\" cannot be \"md5\" (allowed: none, sha1, sha256)" },
        { "algorithm=sha", "handler pipe: option \"algorithm\" cannot be \"sha\" (allowed: none, sha1, sha256)" },
        { "algorithm=none|sha1", "handler pipe: option \"algorithm\" cannot be \"none|sha1\" (allowed: none, sha1, sha256)" },
        { "headers=", "handler pipe: option \"headers\" cannot be \"\" (expected words separated by commas, none of them empty)" },
        { "headers=a,,b", "handler pipe: option \"headers\" cannot be \"a,,b\" (expected words separated by commas, none of them empty)" },
        { "headers=a,", "handler pipe: option \"headers\" cannot be \"a,\" (expected words separated by commas, none of them empty)" },
    };
    static const wh_option_spec empty[] = { { NULL, WH_OPT_STRING, 0, 0, 0, NULL } };
    static const char *const one[] = { "a=b" };
    apr_array_header_t *options;
    target t = { 0 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is_str(apply(&t, rows[i][0]), rows[i][1], "message for %s", rows[i][0]);
    wh_options_split(&options, 1, one, pool);
    is_str(wh_options_apply(&t, empty, options, "scheme none", pool), "scheme none: option \"a\" is unknown (allowed: none)",
           "a thing without options");
    is_str(wh_options_apply(&t, specs, NULL, "x", pool), NULL, "no array at all");
}

static void test_take(void)
{
    static const char *const argv[] = { "count=3", "umask=022", "flag=on", "cwd=/tmp" };
    apr_array_header_t *options, *rest;
    target t = { 0 };

    wh_options_split(&options, 4, argv, pool);
    is_str(wh_options_take(&t, specs, options, &rest, "handler pipe", pool), NULL, "some of them");
    is_int(t.count, 3, "taken");
    is_int(t.flag, 1, "taken");
    is_int(rest->nelts, 2, "the others stay");
    is_str(APR_ARRAY_IDX(rest, 0, webhook_option).name, "umask", "in order");
    is_str(APR_ARRAY_IDX(rest, 1, webhook_option).value, "/tmp", "with their values");
    is_int(options->nelts, 4, "the list they came in is unchanged");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_values();
    test_errors();
    test_take();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
