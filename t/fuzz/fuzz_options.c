/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of directives from words separated by line feeds: an error text, or values within what the table allows.
 */
#include <apr_general.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good)
        abort();
}

typedef struct target {
    const char *text;
    apr_int64_t size;
    apr_interval_time_t timeout;
    int count, flag, word;
    apr_array_header_t *list;
} target;

static const wh_option_spec specs[] = {
    { "t", WH_OPT_STRING, offsetof(target, text), 0, 0, NULL },
    { "s", WH_OPT_SIZE, offsetof(target, size), 0, 1 << 30, NULL },
    { "d", WH_OPT_DURATION, offsetof(target, timeout), 1000, 0, NULL },
    { "c", WH_OPT_INT, offsetof(target, count), -3, 100, NULL },
    { "b", WH_OPT_BOOL, offsetof(target, flag), 0, 0, NULL },
    { "e", WH_OPT_ENUM, offsetof(target, word), 0, 0, "none|sha1|sha256" },
    { "l", WH_OPT_LIST, offsetof(target, list), 0, 0, NULL },
    { NULL, WH_OPT_STRING, 0, 0, 0, NULL },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    apr_array_header_t *options = NULL, *rest;
    const char *words[32], *err;
    target t = { "", 0, 1000, 0, 0, 0, NULL };
    char *text = malloc(size + 1), *at = text;
    int count = 0;

    check(text != NULL);
    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    while (at && count < 32) {
        char *end = strchr(at, '\n');
        if (end)
            *end++ = '\0';
        words[count++] = at;
        at = end;
    }
    err = wh_options_split(&options, count, words, pool);
    if (err) {
        check(*err && !options);
    }
    else {
        check(options->nelts == count);
        err = wh_options_apply(&t, specs, options, "fuzz", pool);
        if (err)
            check(!strncmp(err, "fuzz: option \"", 14));
        check(t.size >= 0 && t.size <= 1 << 30 && t.timeout >= 1000 && t.count >= -3 && t.count <= 100);
        check((t.flag == 0 || t.flag == 1) && t.word >= 0 && t.word < 3);
        for (int i = 0; t.list && i < t.list->nelts; i++)
            check(*APR_ARRAY_IDX(t.list, i, const char *));
        if (!err) {
            check(!wh_options_take(&t, specs, options, &rest, "fuzz", pool) && !rest->nelts);
        }
    }
    free(text);
    apr_pool_clear(pool);
    return 0;
}
