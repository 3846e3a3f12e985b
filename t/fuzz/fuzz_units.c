/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integers, sizes, durations, dates: what is taken is written and read again with the same value.
 */
#include <apr_general.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    char time_text[WH_RFC3339_LEN + 1];
    apr_int64_t n, again;
    apr_interval_time_t t;
    apr_time_t when;
    char *text;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    apr_pool_clear(pool);
    if (wh_parse_int((const char *)data, size, -1000, INT64_MAX, &n) == APR_SUCCESS)
        check(n >= -1000 && size > 0);
    if (wh_parse_time((const char *)data, size, &when) == APR_SUCCESS) {
        apr_time_t back;
        wh_format_time(time_text, when);
        check(strlen(time_text) == WH_RFC3339_LEN && wh_parse_time(time_text, WH_RFC3339_LEN, &back) == APR_SUCCESS);
        /* an offset may lead out of the four-digit years */
        if (when >= INT64_C(-62167219200) * APR_USEC_PER_SEC && when < INT64_C(253402300800) * APR_USEC_PER_SEC)
            check(when >= back && when - back < 1000);
    }
    text = malloc(size + 1);
    check(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (wh_parse_size(text, &n) == APR_SUCCESS)
        check(n >= 0 && wh_parse_size(wh_format_size(n, pool), &again) == APR_SUCCESS && again == n);
    if (wh_parse_duration(text, &t) == APR_SUCCESS)
        check(t >= 0 && wh_parse_duration(wh_format_duration(t, pool), &again) == APR_SUCCESS && again == t);
    if (wh_parse_retry_after(text, apr_time_from_sec(784111777), &t) == APR_SUCCESS)
        check(t >= 0 && t <= apr_time_from_sec(INT64_C(3650) * 86400));
    /* any number of microseconds has a form */
    if (size >= sizeof(when)) {
        memcpy(&when, data, sizeof(when));
        wh_format_time(time_text, when);
        check(strlen(time_text) == WH_RFC3339_LEN && wh_parse_time(time_text, WH_RFC3339_LEN, &when) == APR_SUCCESS);
    }
    free(text);
    return 0;
}
