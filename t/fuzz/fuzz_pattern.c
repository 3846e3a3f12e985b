/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECMA-262 patterns: the first byte is the pattern's length, the rest the subject. The check and the compiler agree on what is valid, the same text
 * as an administrator's expression is bounded as well, and no match gets past its budget. (Compiling is configuration's, so its cost is not bounded
 * by this: patterns are short.)
 */
#include <apr_general.h>
#include <apr_pools.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/encoding.h"
#include "validate/pattern.h"

#define STEPS 20000

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
    wh_pattern_budget_init(&budget, STEPS, p);
    again = wh_pattern_match(re, text, len, &budget);
    check(first == again);
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
    len = data[0] < size - 1 ? data[0] : size - 1;
    subject = text + len;
    left = size - 1 - len;
    apr_pool_create(&p, pool);
    error = wh_pattern_compile(&re, text, len, p);
    if (!error || strstr(error, "valid, but")) check(!wh_pattern_check(text, len, p));
    else check(wh_pattern_check(text, len, p) != NULL);
    if (wh_utf8_valid(subject, left)) {
        if (!error) match(re, subject, left, p);
        if (!wh_pattern_compile_pcre(&re, text, len, 0, p)) match(re, subject, left, p);
    }
    apr_pool_destroy(p);
    return 0;
}
