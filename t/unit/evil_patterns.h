/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns known to cost exponential or polynomial time in engines that go back, with the strings that make them: from advisories, from the
 * literature on regular expression denial of service and from what a bound of PCRE2's own does not count. For the unit test (by steps) and the
 * benchmark (by time).
 */
#ifndef EVIL_PATTERNS_H
#define EVIL_PATTERNS_H

#include <stdlib.h>
#include <string.h>

static const struct evil {
    const char *pattern;
    const char *head, *unit, *tail;   /* head, unit many times, tail */
} evil_patterns[] = {
    { "^(a+)+$", "", "a", "!" },
    { "(a+)+$", "", "a", "!" },
    { "^(a|a)*$", "", "a", "!" },
    { "(a|aa)+$", "", "a", "!" },
    { "^(a|a?)+$", "", "a", "!" },
    { "^(.*a){25}$", "", "a", "!" },
    { "^([a-zA-Z]+)*$", "", "a", "!" },
    { "^(([a-z])+.)+[A-Z]([a-z])+$", "", "a", "!" },
    { "(x+x+)+y", "y!", "x", "!y" },
    { "^(a?){30}a{30}$", "", "a", "!" },
    { "^(\\w+\\s?)*$", "", "aaaa ", "!" },
    { "^(?:[^<]+|<[^>]*>)*>$", "", "<a", "!" },
    { "[a-z]+[0-9]", "", "a", "!" },
    { "\\s*,\\s*$", "", " ", "," },
    { "(?=a*b)", "", "a", "!" },
    { "[a-z]{5000}!", "", "a", "?" },
    { "(a*)*b", "b", "a", "!b!" },
    { "^([a-zA-Z0-9._-])+@(([a-zA-Z0-9-])+\\.)+([a-zA-Z0-9]{2,4})+$", "a@", "a.a", "!" },
    { "^(a*)\\1*\\1*\\1*b", "", "a", "!b" },
    { "(.*)=(.*)=(.*)=(.*);$", "", "=", ";!" },
    { "^((ab)*(ab)*)*$", "", "ab", "!" },
    { "^(?:.?.?.?.?.?.?.?.?)*x$", "", "\303\251", "!x" },
    { "(?<=a)(a+)+b\\b", "", "a", "bb" },
    { "<!--(?:.|\\n)*?-->", "", "<!--", "" },
};

#define EVIL_COUNT (sizeof(evil_patterns) / sizeof(evil_patterns[0]))

/* a string of about `size` bytes, to be freed */
static inline char *evil_string(const struct evil *e, size_t size, size_t *len)
{
    size_t head = strlen(e->head), unit = strlen(e->unit), tail = strlen(e->tail), n = size / unit + 1, i;
    char *text = malloc(head + n * unit + tail + 1), *at = text;

    if (!text) abort();
    memcpy(at, e->head, head);
    at += head;
    for (i = 0; i < n; i++, at += unit) memcpy(at, e->unit, unit);
    memcpy(at, e->tail, tail + 1);
    *len = (size_t)(at - text) + tail;
    return text;
}

#endif
