/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answers.c: lines out of a program's pipe, answers out of lines (see answers.h). What a program writes is believed as far as its form goes
 * and no further: lines are bounded, and so is the time one call takes.
 */
#include "dispatch/answers.h"

#include <apr_strings.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/units.h"

#define DETAIL_MAX 512
#define RETRY_SECONDS_MAX 1000000000

const char *wh_answer_words(const char *text, apr_size_t len, apr_pool_t *p)
{
    char *s = apr_pstrmemdup(p, text, len < DETAIL_MAX ? len : DETAIL_MAX), *c;

    for (c = s; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
    return s;
}

int wh_answer_parse(wh_answer *a, const char *line, apr_size_t len)
{
    static const struct {
        const char *verb;
        apr_size_t len;
        webhook_outcome outcome;
    } verbs[] = { { "ok ", 3, WEBHOOK_OUTCOME_DONE }, { "retry ", 6, WEBHOOK_OUTCOME_RETRY }, { "fail ", 5, WEBHOOK_OUTCOME_DEAD } };
    const char *end = line + len, *rest;
    apr_int64_t seconds = 0;
    unsigned i;

    memset(a, 0, sizeof(*a));
    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (len >= verbs[i].len && !memcmp(line, verbs[i].verb, verbs[i].len))
            break;
    }
    if (i == sizeof(verbs) / sizeof(verbs[0]))
        return 0;
    a->outcome = verbs[i].outcome;
    a->id.data = line + verbs[i].len;
    for (rest = a->id.data; rest < end && *rest != ' '; rest++)
        ;
    a->id.len = (apr_size_t)(rest - a->id.data);
    while (rest < end && *rest == ' ')
        rest++;
    len = (apr_size_t)(end - rest);
    if (a->outcome == WEBHOOK_OUTCOME_DEAD) {
        a->words.data = rest;
        a->words.len = len;
    } else if (a->outcome == WEBHOOK_OUTCOME_DONE) {
        a->malformed = len > 0;
    } else if (len && wh_parse_int(rest, len, 0, RETRY_SECONDS_MAX, &seconds) != APR_SUCCESS) {
        a->malformed = 1;
    }
    a->retry_after = apr_time_from_sec(seconds);
    return 1;
}

int wh_read_lines(int fd, wh_line_reader *r, wh_line_cb *cb, void *baton, int *too_long)
{
    int turns;

    *too_long = 0;
    /* Bounded: a program that never stops writing must leave the loop its turn. */
    for (turns = 0; turns < 64; turns++) {
        char *start, *newline;
        ssize_t n = read(fd, r->data + r->len, r->room - r->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 1;
        if (n <= 0)
            return 0;
        r->len += (apr_size_t)n;
        start = r->data;
        while ((newline = memchr(start, '\n', (apr_size_t)(r->data + r->len - start)))) {
            if (!r->skipping)
                cb(baton, start, (apr_size_t)(newline - start));
            r->skipping = 0;
            start = newline + 1;
        }
        r->len -= (apr_size_t)(start - r->data);
        memmove(r->data, start, r->len);
        if (r->len == r->room) {
            if (!r->skipping)
                cb(baton, r->data, r->len);
            *too_long = 1;
            r->skipping = 1;
            r->len = 0;
        }
    }
    return 1;
}
