/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_time.c: dates, times and durations of RFC 3339, section 5.6 and appendix A, exactly: ASCII digits in their number, a month's days,
 * a leap second only where UTC has 23:59:60.
 */
#include "validate/format_parts.h"

/* exactly two digits at i. @return their value, -1 without them */
static int two(const char *text, apr_size_t len, apr_size_t i)
{
    if (i + 2 > len || !wh_is_digit(text[i]) || !wh_is_digit(text[i + 1])) return -1;
    return (text[i] - '0') * 10 + (text[i + 1] - '0');
}

int wh_format_date(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int century, year, month, day, leap;

    if (len != 10 || text[4] != '-' || text[7] != '-') return 0;
    century = two(text, len, 0);
    year = two(text, len, 2);
    month = two(text, len, 5);
    day = two(text, len, 8);
    if (century < 0 || year < 0 || month < 1 || month > 12 || day < 1) return 0;
    year += century * 100;
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (month == 2 && leap);
}

int wh_format_is_time(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    int hour = two(text, len, 0), minute = two(text, len, 3), second = two(text, len, 6), minutes;
    apr_size_t i = 8;

    /* partial-time and at least Z */
    if (len < 9 || text[2] != ':' || text[5] != ':') return 0;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return 0;
    if (text[i] == '.') {
        for (i++; i < len && wh_is_digit(text[i]); i++) continue;
        if (i == 9 || i == len) return 0;
    }
    minutes = hour * 60 + minute;
    if (text[i] == 'Z' || text[i] == 'z') {
        if (i + 1 != len) return 0;
    } else {
        int away_hours = two(text, len, i + 1), away_minutes = two(text, len, i + 4), away;

        if ((text[i] != '+' && text[i] != '-') || len - i != 6 || text[i + 3] != ':') return 0;
        if (away_hours < 0 || away_hours > 23 || away_minutes < 0 || away_minutes > 59) return 0;
        away = away_hours * 60 + away_minutes;
        minutes = (minutes + (text[i] == '+' ? 1440 - away : away)) % 1440;
    }
    return second < 60 || minutes == 1439;
}

int wh_format_date_time(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    return len > 11 && (text[10] == 'T' || text[10] == 't') && wh_format_date(text, 10, scratch)
           && wh_format_is_time(text + 11, len - 11, scratch);
}

/* Components in their order and without a gap between the first and the last: "each unit may be followed by the next smaller alone". @return how
 * many there were; i is left behind the last */
static int components(const char *text, apr_size_t len, apr_size_t *i, const char *units)
{
    int found = 0;

    while (*units) {
        apr_size_t end = *i;

        while (end < len && wh_is_digit(text[end])) end++;
        if (end == *i || end == len) return found;
        if (!found)
            while (*units && *units != text[end]) units++;
        if (!*units || *units != text[end]) return found;
        units++;
        found++;
        *i = end + 1;
    }
    return found;
}

int wh_format_is_duration(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    apr_size_t i = 1;
    int dates;

    if (len < 3 || text[0] != 'P') return 0;
    if (components(text, len, &i, "W")) return i == len;
    dates = components(text, len, &i, "YMD");
    if (i == len) return dates > 0;
    if (text[i] != 'T') return 0;
    i++;
    return components(text, len, &i, "HMS") && i == len;
}
