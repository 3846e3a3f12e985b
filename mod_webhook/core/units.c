/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units.c: integers, sizes, durations and dates from and to text. Every parser takes the whole text or refuses; every multiplication
 * is checked.
 */
#include "core/units.h"

#include <apr_strings.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Retry-After beyond this is this: far more than any retry period, and safe to add to a time */
#define RETRY_AFTER_MAX (apr_time_from_sec(10 * 365 * 86400LL))

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at *at, at least one, below 2^63. @return 0 if there are none or too many */
static int take_number(const char **at, const char *end, apr_int64_t *out)
{
    const char *s = *at;
    apr_int64_t n = 0;

    for (; s < end && is_digit(*s); s++) {
        if (__builtin_mul_overflow(n, (apr_int64_t)10, &n) || __builtin_add_overflow(n, (apr_int64_t)(*s - '0'), &n))
            return 0;
    }
    if (s == *at)
        return 0;
    *at = s;
    *out = n;
    return 1;
}

apr_status_t wh_parse_int(const char *text, apr_size_t len, apr_int64_t min, apr_int64_t max, apr_int64_t *out)
{
    const char *at = text, *end = text + len;
    int negative = 0;
    apr_int64_t n;

    if (min < 0 && at < end && *at == '-') {
        negative = 1;
        at++;
        /* the one number whose magnitude does not fit */
        if (end - at == 19 && !memcmp(at, "9223372036854775808", 19)) {
            if (min > INT64_MIN || max < INT64_MIN)
                return APR_EINVAL;
            *out = INT64_MIN;
            return APR_SUCCESS;
        }
    }
    if (!take_number(&at, end, &n) || at != end)
        return APR_EINVAL;
    if (negative)
        n = -n;
    if (n < min || n > max)
        return APR_EINVAL;
    *out = n;
    return APR_SUCCESS;
}

apr_status_t wh_parse_size(const char *text, apr_int64_t *bytes)
{
    static const char letters[] = "kmgt";
    const char *at = text, *unit;
    apr_int64_t n, factor = 1;

    if (!take_number(&at, text + strlen(text), &n))
        return APR_EINVAL;
    if (*at && strcasecmp(at, "b")) {
        unit = strchr(letters, *at | 0x20);
        if (!unit || (at[1] && strcasecmp(at + 1, "ib")))
            return APR_EINVAL;
        factor = (apr_int64_t)1 << (10 * (unit - letters + 1));
    }
    if (__builtin_mul_overflow(n, factor, &n))
        return APR_EINVAL;
    *bytes = n;
    return APR_SUCCESS;
}

/* largest first; where two rows have the same value the first is the spelling that is written */
static const struct {
    const char *name;
    apr_int64_t usec;
    int written;
} duration_units[] = {
    { "w", 7 * 86400 * APR_USEC_PER_SEC, 0 },
    { "d", 86400 * APR_USEC_PER_SEC, 1 },
    { "h", 3600 * APR_USEC_PER_SEC, 1 },
    { "min", 60 * APR_USEC_PER_SEC, 1 },
    { "m", 60 * APR_USEC_PER_SEC, 0 },
    { "s", APR_USEC_PER_SEC, 1 },
    { "ms", 1000, 1 },
    { "us", 1, 1 },
};
#define DURATION_UNITS (sizeof(duration_units) / sizeof(duration_units[0]))

apr_status_t wh_parse_duration(const char *text, apr_interval_time_t *out)
{
    const char *at = text, *end = text + strlen(text);
    apr_int64_t total = 0, below = INT64_MAX;

    if (!strcmp(text, "0")) {
        *out = 0;
        return APR_SUCCESS;
    }
    do {
        apr_size_t len = 0, i;
        apr_int64_t n;

        if (!take_number(&at, end, &n))
            return APR_EINVAL;
        while (at + len < end && !is_digit(at[len]))
            len++;
        for (i = 0; i < DURATION_UNITS; i++) {
            if (strlen(duration_units[i].name) == len && !strncasecmp(duration_units[i].name, at, len))
                break;
        }
        /* units must descend, so none comes twice */
        if (i == DURATION_UNITS || duration_units[i].usec >= below)
            return APR_EINVAL;
        below = duration_units[i].usec;
        if (__builtin_mul_overflow(n, below, &n) || __builtin_add_overflow(total, n, &total))
            return APR_EINVAL;
        at += len;
    } while (at < end);
    *out = total;
    return APR_SUCCESS;
}

const char *wh_format_size(apr_int64_t bytes, apr_pool_t *p)
{
    static const char *const units[] = { "", "K", "M", "G", "T" };
    unsigned i = 0;

    while (i < 4 && bytes && !(bytes % 1024)) {
        bytes /= 1024;
        i++;
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT "%s", bytes, units[i]);
}

const char *wh_format_duration(apr_interval_time_t t, apr_pool_t *p)
{
    const char *text = "";
    uint64_t left = t < 0 ? -(uint64_t)t : (uint64_t)t;

    if (!t)
        return "0s";
    for (apr_size_t i = 0; i < DURATION_UNITS; i++) {
        uint64_t unit = (uint64_t)duration_units[i].usec;
        if (duration_units[i].written && left >= unit) {
            text = apr_psprintf(p, "%s%" APR_UINT64_T_FMT "%s", text, (apr_uint64_t)(left / unit), duration_units[i].name);
            left %= unit;
        }
    }
    return t < 0 ? apr_pstrcat(p, "-", text, NULL) : text;
}

/* ---- dates: proleptic Gregorian calendar, days counted from 1970-01-01 ---- */

/* March-based years of 400-year eras make the leap day the last of its year */
static apr_int64_t days_from_date(int year, int month, int day)
{
    apr_int64_t y = month <= 2 ? year - 1 : year;
    apr_int64_t era = (y >= 0 ? y : y - 399) / 400;
    apr_int64_t yoe = y - era * 400;
    apr_int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void date_from_days(apr_int64_t days, int *year, int *month, int *day)
{
    apr_int64_t z = days + 719468;
    apr_int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    apr_int64_t doe = z - era * 146097;
    apr_int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    apr_int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    apr_int64_t mp = (5 * doy + 2) / 153;

    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static int days_in_month(int year, int month)
{
    static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    if (month == 2 && year % 4 == 0 && (year % 100 || year % 400 == 0))
        return 29;
    return days[month - 1];
}

/* `digits` decimal digits of value, most significant first */
static char *put_digits(char *out, int value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + digits;
}

void wh_format_time(char *out, apr_time_t t)
{
    static const apr_int64_t day_usec = 86400 * APR_USEC_PER_SEC;
    apr_int64_t days = t / day_usec, in_day = t % day_usec;
    int year, month, day, ms;

    if (in_day < 0) {
        in_day += day_usec;
        days--;
    }
    /* the form has four digits for the year */
    if (days < days_from_date(0, 1, 1)) {
        days = days_from_date(0, 1, 1);
        in_day = 0;
    }
    else if (days > days_from_date(9999, 12, 31)) {
        days = days_from_date(9999, 12, 31);
        in_day = day_usec - 1;
    }
    date_from_days(days, &year, &month, &day);
    ms = (int)(in_day / 1000);
    out = put_digits(out, year, 4);
    *out++ = '-';
    out = put_digits(out, month, 2);
    *out++ = '-';
    out = put_digits(out, day, 2);
    *out++ = 'T';
    out = put_digits(out, ms / 3600000, 2);
    *out++ = ':';
    out = put_digits(out, ms / 60000 % 60, 2);
    *out++ = ':';
    out = put_digits(out, ms / 1000 % 60, 2);
    *out++ = '.';
    out = put_digits(out, ms % 1000, 3);
    *out++ = 'Z';
    *out = '\0';
}

/* Exactly `digits` decimal digits at *at, behind an expected separator (0: none). @return -1 if they are not there */
static int take_digits(const char **at, const char *end, char separator, int digits)
{
    const char *s = *at;
    int n = 0;

    if (separator && (s == end || *s++ != separator))
        return -1;
    if (end - s < digits)
        return -1;
    for (int i = 0; i < digits; i++, s++) {
        if (!is_digit(*s))
            return -1;
        n = n * 10 + (*s - '0');
    }
    *at = s;
    return n;
}

apr_status_t wh_parse_time(const char *text, apr_size_t len, apr_time_t *out)
{
    const char *at = text, *end = text + len;
    int year = take_digits(&at, end, 0, 4);
    int month = take_digits(&at, end, '-', 2);
    int day = take_digits(&at, end, '-', 2);
    int hour, min, sec, usec = 0, offset = 0;
    apr_int64_t seconds;

    if (year < 0 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return APR_EINVAL;
    if (at == end || (*at | 0x20) != 't')
        return APR_EINVAL;
    at++;
    hour = take_digits(&at, end, 0, 2);
    min = take_digits(&at, end, ':', 2);
    sec = take_digits(&at, end, ':', 2);
    if (hour < 0 || hour > 23 || min < 0 || min > 59 || sec < 0 || sec > 60)
        return APR_EINVAL;
    if (at < end && *at == '.') {
        int digits = 0;
        for (at++; at < end && is_digit(*at); at++, digits++) {
            if (digits == 9)
                return APR_EINVAL;
            if (digits < 6)
                usec = usec * 10 + (*at - '0');
        }
        if (!digits)
            return APR_EINVAL;
        for (; digits < 6; digits++)
            usec *= 10;
    }
    if (at == end)
        return APR_EINVAL;
    if ((*at | 0x20) == 'z') {
        at++;
    }
    else {
        char sign = *at++;
        int oh = take_digits(&at, end, 0, 2), om = take_digits(&at, end, ':', 2);
        if ((sign != '+' && sign != '-') || oh < 0 || oh > 23 || om < 0 || om > 59)
            return APR_EINVAL;
        offset = (oh * 60 + om) * 60 * (sign == '-' ? -1 : 1);
    }
    if (at != end)
        return APR_EINVAL;
    seconds = days_from_date(year, month, day) * 86400 + hour * 3600 + min * 60 - offset;
    /* leap seconds are inserted at the end of a UTC day; this time scale has none: the next second stands for it */
    if (sec == 60 && ((seconds % 86400 + 86400) % 86400) != 86340)
        return APR_EINVAL;
    *out = (seconds + sec) * APR_USEC_PER_SEC + usec;
    return APR_SUCCESS;
}

/* IMF-fixdate of RFC 9110 section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT" */
static apr_status_t parse_imf(const char *at, const char *end, apr_time_t *out)
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* the first of 1970 was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *weekday = at;
    int day, month, year, hour, min, sec;
    apr_int64_t date;

    if (end - at != 29 || memcmp(at + 3, ", ", 2))
        return APR_EINVAL;
    at += 5;
    day = take_digits(&at, end, 0, 2);
    if (day < 1 || *at++ != ' ')
        return APR_EINVAL;
    for (month = 0; month < 12; month++) {
        if (!memcmp(months + 3 * month, at, 3))
            break;
    }
    at += 3;
    year = take_digits(&at, end, ' ', 4);
    hour = take_digits(&at, end, ' ', 2);
    min = take_digits(&at, end, ':', 2);
    sec = take_digits(&at, end, ':', 2);
    if (month == 12 || year < 0 || hour < 0 || hour > 23 || min < 0 || min > 59 || sec < 0 || sec > 60)
        return APR_EINVAL;
    if (end - at != 4 || memcmp(at, " GMT", 4) || day > days_in_month(year, month + 1))
        return APR_EINVAL;
    date = days_from_date(year, month + 1, day);
    if (memcmp(days + 3 * ((date % 7 + 7) % 7), weekday, 3))
        return APR_EINVAL;
    *out = apr_time_from_sec(date * 86400 + hour * 3600 + min * 60 + sec);
    return APR_SUCCESS;
}

apr_status_t wh_parse_retry_after(const char *text, apr_time_t now, apr_interval_time_t *delay)
{
    const char *end;
    apr_size_t digits;
    apr_int64_t seconds;
    apr_time_t when;
    apr_status_t rv;

    text += strspn(text, " \t");
    for (end = text + strlen(text); end > text && (end[-1] == ' ' || end[-1] == '\t'); end--)
        ;
    digits = strspn(text, "0123456789");
    if (digits && text + digits == end) {
        const char *at = text;
        /* a sender that says "in 10^30 seconds" means: not soon */
        if (!take_number(&at, end, &seconds) || seconds > apr_time_sec(RETRY_AFTER_MAX))
            *delay = RETRY_AFTER_MAX;
        else
            *delay = apr_time_from_sec(seconds);
        return APR_SUCCESS;
    }
    rv = parse_imf(text, end, &when);
    if (rv != APR_SUCCESS)
        return rv;
    *delay = when <= now ? 0 : when - now > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : when - now;
    return APR_SUCCESS;
}

apr_time_t wh_monotonic(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return apr_time_from_sec((apr_time_t)ts.tv_sec) + ts.tv_nsec / 1000;
}
