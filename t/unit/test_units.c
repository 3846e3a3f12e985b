/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integers, sizes, durations and dates: tables of what is taken and what is refused.
 */
#include "tap.h"

#include <apr_general.h>
#include <stdint.h>
#include <time.h>

#include "core/units.h"

#define SEC APR_USEC_PER_SEC
#define REFUSED INT64_MIN

static apr_pool_t *pool;

static void test_int(void)
{
    static const struct {
        const char *text;
        apr_int64_t min, max, want;
    } rows[] = {
        { "0", 0, 10, 0 },
        { "10", 0, 10, 10 },
        { "11", 0, 10, REFUSED },
        { "007", 0, 10, 7 },
        { "", 0, 10, REFUSED },
        { "-", -5, 10, REFUSED },
        { "-3", -5, 10, -3 },
        { "-6", -5, 10, REFUSED },
        { "-3", 0, 10, REFUSED },
        { "+3", 0, 10, REFUSED },
        { " 3", 0, 10, REFUSED },
        { "3 ", 0, 10, REFUSED },
        { "3x", 0, 10, REFUSED },
        { "0x3", 0, 10, REFUSED },
        { "1e3", 0, 10000, REFUSED },
        { "9223372036854775807", 0, INT64_MAX, INT64_MAX },
        { "9223372036854775808", 0, INT64_MAX, REFUSED },
        { "-9223372036854775807", INT64_MIN, INT64_MAX, -INT64_MAX },
        { "-9223372036854775808", -5, INT64_MAX, REFUSED },
        { "-9223372036854775809", INT64_MIN, INT64_MAX, REFUSED },
        { "99999999999999999999", 0, INT64_MAX, REFUSED },
    };
    apr_int64_t n;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_status_t rv;
        n = 4711;
        rv = wh_parse_int(rows[i].text, strlen(rows[i].text), rows[i].min, rows[i].max, &n);
        if (rows[i].want == REFUSED)
            ok(rv == APR_EINVAL && n == 4711, "integer '%s' is refused", rows[i].text);
        else
            ok(rv == APR_SUCCESS && n == rows[i].want, "integer '%s'", rows[i].text);
    }
    is_int(wh_parse_int("-9223372036854775808", 20, INT64_MIN, INT64_MAX, &n), APR_SUCCESS, "the least number");
    is_int(n, INT64_MIN, "is itself");
    is_int(wh_parse_int("123456", 3, 0, 1000, &n), APR_SUCCESS, "the length counts");
    is_int(n, 123, "not the NUL");
}

static void test_size(void)
{
    static const struct {
        const char *text;
        apr_int64_t want;
    } rows[] = {
        { "0", 0 },          { "1", 1 },           { "1B", 1 },
        { "1b", 1 },         { "64K", 65536 },     { "64k", 65536 },
        { "64KiB", 65536 },  { "64kib", 65536 },   { "25M", 25 << 20 },
        { "25MiB", 25 << 20 }, { "10G", INT64_C(10) << 30 }, { "3T", INT64_C(3) << 40 },
        { "3TiB", INT64_C(3) << 40 }, { "8388607T", INT64_C(8388607) << 40 },
        { "8388608T", REFUSED }, { "9223372036854775807", INT64_MAX }, { "9223372036854775808", REFUSED },
        { "", REFUSED },     { "M", REFUSED },     { "25MB", REFUSED },
        { "25m ", REFUSED }, { " 25m", REFUSED },  { "25 M", REFUSED },
        { "2.5M", REFUSED }, { "-1", REFUSED },    { "+1", REFUSED },
        { "1P", REFUSED },   { "1Ki", REFUSED },   { "1KiBs", REFUSED },
        { "1KK", REFUSED },  { "1bB", REFUSED },   { "0x10", REFUSED },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_int64_t n = REFUSED;
        apr_status_t rv = wh_parse_size(rows[i].text, &n);
        is_int(n, rows[i].want, "size '%s'", rows[i].text);
        is_int(rv, rows[i].want == REFUSED ? APR_EINVAL : APR_SUCCESS, "and its status");
    }
    is_str(wh_format_size(0, pool), "0", "no bytes");
    is_str(wh_format_size(1023, pool), "1023", "odd bytes");
    is_str(wh_format_size(1536, pool), "1536", "a half");
    is_str(wh_format_size(25 << 20, pool), "25M", "megabytes");
    is_str(wh_format_size(INT64_C(3) << 40, pool), "3T", "terabytes");
    is_str(wh_format_size(INT64_C(2) << 50, pool), "2048T", "and more of them");
}

static void test_duration(void)
{
    static const struct {
        const char *text;
        apr_int64_t want;
        const char *back;
    } rows[] = {
        { "0", 0, "0s" },
        { "0s", 0, "0s" },
        { "10s", 10 * SEC, "10s" },
        { "500ms", SEC / 2, "500ms" },
        { "7us", 7, "7us" },
        { "1h30min", 5400 * SEC, "1h30min" },
        { "1h30m", 5400 * SEC, "1h30min" },
        { "90min", 5400 * SEC, "1h30min" },
        { "90s", 90 * SEC, "1min30s" },
        { "1w2d3h4min5s6ms7us", ((7 + 2) * 86400 + 3 * 3600 + 4 * 60 + 5) * SEC + 6007, "9d3h4min5s6ms7us" },
        { "3d", 3 * 86400 * SEC, "3d" },
        { "6H", 6 * 3600 * SEC, "6h" },
        { "1d24h", 2 * 86400 * SEC, "2d" },
        { "106751991d", INT64_C(106751991) * 86400 * SEC, "106751991d" },
        { "106751992d", REFUSED, NULL },
        { "106751991d24h", REFUSED, NULL },
        { "9223372036854775807s", REFUSED, NULL },
        { "", REFUSED, NULL },
        { "10", REFUSED, NULL },
        { "00", REFUSED, NULL },
        { "s", REFUSED, NULL },
        { "10 s", REFUSED, NULL },
        { " 10s", REFUSED, NULL },
        { "10s ", REFUSED, NULL },
        { "-10s", REFUSED, NULL },
        { "1.5h", REFUSED, NULL },
        { "30min1h", REFUSED, NULL },
        { "1min1m", REFUSED, NULL },
        { "10s10s", REFUSED, NULL },
        { "1h30", REFUSED, NULL },
        { "1y", REFUSED, NULL },
        { "1mins", REFUSED, NULL },
        { "1msec", REFUSED, NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_interval_time_t t = REFUSED, again = -1;
        apr_status_t rv = wh_parse_duration(rows[i].text, &t);
        is_int(t, rows[i].want, "duration '%s'", rows[i].text);
        is_int(rv, rows[i].want == REFUSED ? APR_EINVAL : APR_SUCCESS, "and its status");
        if (rows[i].back) {
            is_str(wh_format_duration(t, pool), rows[i].back, "written");
            wh_parse_duration(rows[i].back, &again);
            is_int(again, t, "and read again");
        }
    }
    is_str(wh_format_duration(-90 * SEC, pool), "-1min30s", "a negative one");
    ok(wh_format_duration(INT64_MIN, pool)[0] == '-', "the least one");
}

static void test_time(void)
{
    static const struct {
        const char *text;
        apr_int64_t want;
    } rows[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1969-12-31T23:59:59Z", -1 * SEC },
        { "2000-02-29T12:00:00Z", 951825600 * SEC },
        { "2026-11-23T20:22:01Z", INT64_C(1795465321) * SEC },
        { "2026-11-23T20:22:01.123Z", INT64_C(1795465321123000) },
        { "2026-11-23T20:22:01.123456789Z", INT64_C(1795465321123456) },
        { "2026-11-23T20:22:01.1234567890Z", REFUSED },
        { "2026-11-23t20:22:01z", INT64_C(1795465321) * SEC },
        { "2026-11-23T20:22:01+00:00", INT64_C(1795465321) * SEC },
        { "2026-11-23T20:22:01-00:00", INT64_C(1795465321) * SEC },
        { "2026-11-23T21:22:01+01:00", INT64_C(1795465321) * SEC },
        { "2026-11-24T01:52:01+05:30", INT64_C(1795465321) * SEC },
        { "2026-11-23T12:22:01-08:00", INT64_C(1795465321) * SEC },
        { "1985-04-12T23:20:50.52Z", INT64_C(482196050520000) }, /* RFC 3339 section 5.8 */
        { "1996-12-19T16:39:57-08:00", INT64_C(851042397) * SEC },
        { "1990-12-31T23:59:60Z", INT64_C(662688000) * SEC },
        { "1990-12-31T15:59:60-08:00", INT64_C(662688000) * SEC },
        { "1937-01-01T12:00:27.87+00:20", INT64_C(-1041337172130000) },
        { "1990-12-31T12:59:60Z", REFUSED },
        { "1990-12-31T23:58:60Z", REFUSED },
        { "1990-12-31T23:59:61Z", REFUSED },
        { "9999-12-31T23:59:59Z", INT64_C(253402300799) * SEC },
        { "0000-01-01T00:00:00Z", INT64_C(-62167219200) * SEC },
        { "2026-02-29T00:00:00Z", REFUSED },
        { "2100-02-29T00:00:00Z", REFUSED },
        { "2026-00-10T00:00:00Z", REFUSED },
        { "2026-13-10T00:00:00Z", REFUSED },
        { "2026-01-00T00:00:00Z", REFUSED },
        { "2026-04-31T00:00:00Z", REFUSED },
        { "2026-01-01T24:00:00Z", REFUSED },
        { "2026-01-01T00:60:00Z", REFUSED },
        { "2026-01-01 00:00:00Z", REFUSED },
        { "2026-01-01T00:00:00", REFUSED },
        { "2026-01-01T00:00:00.Z", REFUSED },
        { "2026-01-01T00:00:00,5Z", REFUSED },
        { "2026-01-01T00:00Z", REFUSED },
        { "2026-1-1T00:00:00Z", REFUSED },
        { "26-01-01T00:00:00Z", REFUSED },
        { "2026-01-01T00:00:00+0100", REFUSED },
        { "2026-01-01T00:00:00+01", REFUSED },
        { "2026-01-01T00:00:00+24:00", REFUSED },
        { "2026-01-01T00:00:00+01:60", REFUSED },
        { "2026-01-01T00:00:00Zx", REFUSED },
        { " 2026-01-01T00:00:00Z", REFUSED },
        { "2026-01-01T00:00:0\xef\xbc\x90Z", REFUSED },
        { "-026-01-01T00:00:00Z", REFUSED },
        { "2026-01-01", REFUSED },
        { "", REFUSED },
    };
    static const struct {
        apr_time_t t;
        const char *text;
    } forms[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 999, "1970-01-01T00:00:00.000Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { INT64_C(1795465321123456), "2026-11-23T20:22:01.123Z" },
        { INT64_C(951868799999999), "2000-02-29T23:59:59.999Z" },
        { INT64_C(4107542400000000), "2100-03-01T00:00:00.000Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999Z" },
        { INT64_MIN, "0000-01-01T00:00:00.000Z" },
    };
    char text[WH_RFC3339_LEN + 1];
    int wrong = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_time_t t = REFUSED;
        apr_size_t len = strlen(rows[i].text);
        char *copy = malloc(len ? len : 1);
        apr_status_t rv;
        memcpy(copy, rows[i].text, len);
        rv = wh_parse_time(copy, len, &t);
        free(copy);
        is_int(t, rows[i].want, "time '%s'", rows[i].text);
        is_int(rv, rows[i].want == REFUSED ? APR_EINVAL : APR_SUCCESS, "and its status");
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        wh_format_time(text, forms[i].t);
        is_str(text, forms[i].text, "form of %lld", (long long)forms[i].t);
    }
    /* each day of 900 years, against the C library */
    for (apr_int64_t day = -130000; day < 200000; day++) {
        apr_time_t t = day * 86400 * SEC + 45296789000, back;
        time_t seconds = (time_t)(day * 86400 + 45296);
        struct tm e;
        char want[40];
        gmtime_r(&seconds, &e);
        strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.789Z", &e);
        wh_format_time(text, t);
        wrong += strcmp(text, want) || wh_parse_time(text, WH_RFC3339_LEN, &back) || back != t;
    }
    is_int(wrong, 0, "each day of 900 years there and back");
}

static void test_retry_after(void)
{
    const apr_time_t now = INT64_C(784111777) * SEC; /* Sun, 06 Nov 1994 08:49:37 GMT */
    const apr_interval_time_t most = INT64_C(3650) * 86400 * SEC;
    const struct {
        const char *text;
        apr_int64_t want;
    } rows[] = {
        { "0", 0 },
        { "120", 120 * SEC },
        { " 120\t", 120 * SEC },
        { "315360000", most },
        { "315360001", most },
        { "9223372036854775807", most },
        { "99999999999999999999999999999999", most },
        { "Sun, 06 Nov 1994 08:49:37 GMT", 0 },
        { "Sun, 06 Nov 1994 08:50:37 GMT", 60 * SEC },
        { "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
        { "Tue, 29 Feb 2000 00:00:00 GMT", (INT64_C(951782400) - 784111777) * SEC },
        { "Fri, 31 Dec 9999 23:59:59 GMT", most },
        { "Mon, 06 Nov 1994 08:49:37 GMT", REFUSED }, /* it was a Sunday */
        { "Sun, 6 Nov 1994 08:49:37 GMT", REFUSED },
        { "Sun, 06 nov 1994 08:49:37 GMT", REFUSED },
        { "Sun, 06 Nov 1994 08:49:37 UTC", REFUSED },
        { "Sun, 06 Nov 1994 24:49:37 GMT", REFUSED },
        { "Wed, 29 Feb 1995 08:49:37 GMT", REFUSED },
        { "Sunday, 06-Nov-94 08:49:37 GMT", REFUSED },
        { "Sun Nov  6 08:49:37 1994", REFUSED },
        { "", REFUSED },
        { " ", REFUSED },
        { "-1", REFUSED },
        { "1.5", REFUSED },
        { "120s", REFUSED },
        { "12 0", REFUSED },
        { "soon", REFUSED },
        { "0x10", REFUSED },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_interval_time_t delay = REFUSED;
        apr_status_t rv = wh_parse_retry_after(rows[i].text, now, &delay);
        is_int(delay, rows[i].want, "Retry-After '%s'", rows[i].text);
        is_int(rv, rows[i].want == REFUSED ? APR_EINVAL : APR_SUCCESS, "and its status");
    }
}

int main(void)
{
    apr_time_t a, b;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_int();
    test_size();
    test_duration();
    test_time();
    test_retry_after();
    a = wh_monotonic();
    b = wh_monotonic();
    ok(a > 0 && b >= a, "the monotonic clock does not go back");
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
