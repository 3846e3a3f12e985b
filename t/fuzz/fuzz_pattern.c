/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns: the low bits of the first byte are the pattern's length, its high bit says whose it is, ECMA-262's or an administrator's; the rest is the
 * subject. The check and the compiler agree on what is valid, and no match gets past its budget. (Compiling is configuration's, so its cost is not
 * bounded by this: patterns are short.) What needs no engine is judged as the engine judges the same in a group.
 */
#include <apr_general.h>
#include <apr_pools.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/encoding.h"
#include "validate/pattern.h"
#include "validate/pattern_parts.h"

#define STEPS 4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good) abort();
}

static void match(const wh_pattern *re, const char *text, size_t len, apr_pool_t *p)
{
    wh_pattern_budget budget;
    int first, again;

    wh_pattern_budget_init(&budget, STEPS, p);
    first = wh_pattern_match(re, text, len, &budget);
    check(first >= -1 && first <= 1);
    /* the last charge may go below nothing: by a weight, a run and what a reference compares */
    check(budget.left >= -(apr_int64_t)(3 * len + 70000));
    if (first < 0) return;
    wh_pattern_budget_init(&budget, STEPS, p);
    again = wh_pattern_match(re, text, len, &budget);
    check(first == again);
}

static void row(const char *pattern, size_t pattern_len, const char *text, size_t len, apr_pool_t *p)
{
    const wh_pattern_row *made = wh_pattern_row_compile(pattern, pattern_len, p);
    char *group = apr_palloc(p, pattern_len + 4);
    wh_pattern_budget budget;
    wh_pattern *engine;
    int there;

    if (!made) return;
    memcpy(group, "(?:", 3);
    memcpy(group + 3, pattern, pattern_len);
    group[pattern_len + 3] = ')';
    if (wh_pattern_compile(&engine, group, pattern_len + 4, p)) return;
    wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, p);
    there = wh_pattern_match(engine, text, len, &budget);
    check(there < 0 || there == wh_pattern_row_match(made, text, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    const char *text = (const char *)data + 1, *subject, *error;
    size_t len, left;
    wh_pattern *re;
    apr_pool_t *p;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    if (size == 0) return 0;
    len = data[0] & 0x7f;
    if (len > size - 1) len = size - 1;
    subject = text + len;
    left = size - 1 - len;
    apr_pool_create(&p, pool);
    if (data[0] & 0x80) {
        error = wh_pattern_compile_pcre(&re, text, len, 0, p);
    } else {
        error = wh_pattern_compile(&re, text, len, p);
        check((!error || strstr(error, "valid, but")) == !wh_pattern_check(text, len, p));
    }
    if (!error && wh_utf8_valid(subject, left)) {
        match(re, subject, left, p);
        if (!(data[0] & 0x80)) row(text, len, subject, left, p);
    }
    apr_pool_destroy(p);
    return 0;
}
