/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units.h: sizes, durations, integers and dates as they are written in directives and headers; parsed whole or not at all.
 */
#ifndef WH_CORE_UNITS_H
#define WH_CORE_UNITS_H

#include <apr_pools.h>
#include <apr_time.h>

/** Decimal integer, digits only (an optional '-' when min < 0), within [min, max]. @return APR_SUCCESS or APR_EINVAL */
apr_status_t wh_parse_int(const char *text, apr_size_t len, apr_int64_t min, apr_int64_t max, apr_int64_t *out);

/** Size: digits with an optional unit B, K, M, G, T (binary; KiB/MiB/GiB spellings too), "25M". */
apr_status_t wh_parse_size(const char *text, apr_int64_t *bytes);

/** Duration: one or more number+unit, largest first: w d h min|m s ms us ("1h30min", "10s", "500ms"). A bare number is refused (except 0):
 *  httpd's directives disagree on what it would mean. */
apr_status_t wh_parse_duration(const char *text, apr_interval_time_t *out);

/** Shortest exact spelling: "25M", "10s", "1h30min". */
const char *wh_format_size(apr_int64_t bytes, apr_pool_t *p);
const char *wh_format_duration(apr_interval_time_t t, apr_pool_t *p);

/** RFC 3339 in UTC with milliseconds, "2026-11-23T20:22:01.123Z". out: 25 bytes. */
#define WH_RFC3339_LEN 24
void wh_format_time(char *out, apr_time_t t);

/** RFC 3339 date-time (any offset, fraction up to 9 digits, of which 6 are kept; 23:59:60 UTC is the next second).
 *  @return APR_EINVAL otherwise */
apr_status_t wh_parse_time(const char *text, apr_size_t len, apr_time_t *out);

/** HTTP date (IMF-fixdate) or delta-seconds of Retry-After, as a delay from now, never negative and at most ten years.
 *  @return APR_EINVAL otherwise */
apr_status_t wh_parse_retry_after(const char *text, apr_time_t now, apr_interval_time_t *delay);

/** CLOCK_MONOTONIC in microseconds: for intervals within one process only. */
apr_time_t wh_monotonic(void);

#endif
