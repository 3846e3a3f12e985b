/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_names.c: members of one name in one object. As long as they are few, a name that sets a bit of its own in a filter is new, and
 * only for the others all names before are looked at; then a table takes over. Hashes are seeded (json_hash.h), so that no sender can
 * choose names that meet: the time is that of any other names.
 */
#include "core/json_reader.h"

#include <string.h>

#define FILTER_WORDS 8
#define FILTER_MEMBERS 96

static inline int same_name(const wh_json_member *a, const wh_json_member *b)
{
    return a->hash == b->hash && a->name_len == b->name_len && !memcmp(a->name, b->name, a->name_len);
}

/* Where the name of a member stands: the value is known, the name may be a copy. */
static const unsigned char *name_place(const wh_json_reader *r, const wh_json_member *m)
{
    const unsigned char *at = r->text + m->value.start;

    /* back over blanks and the colon to the closing quote, then to the one that no odd number of backslashes precedes */
    while (*--at != '"')
        ;
    for (;;) {
        const unsigned char *before;
        while (*--at != '"')
            ;
        for (before = at; before > r->text && before[-1] == '\\'; before--)
            ;
        if ((at - before) % 2 == 0)
            return at;
    }
}

/* The members to be kept, in place and in order. */
static apr_size_t without_removed(wh_json_member *m, apr_size_t n)
{
    apr_size_t kept = 0;

    for (apr_size_t i = 0; i < n; i++) {
        if (m[i].name)
            m[kept++] = m[i];
    }
    return kept;
}

/* Few names: one that sets a bit of its own is new. @return the later of two equal names, NULL if all differ; with `drop` the earlier
 * ones lose their name instead */
static const wh_json_member *find_equal_few(wh_json_member *m, apr_size_t n, int drop, int *dropped)
{
    uint64_t filter[FILTER_WORDS] = { 0 };

    for (apr_size_t i = 0; i < n; i++) {
        uint64_t bit = UINT64_C(1) << (m[i].hash & 63), *word = &filter[m[i].hash >> 6 & (FILTER_WORDS - 1)];
        if (!(*word & bit)) {
            *word |= bit;
            continue;
        }
        for (apr_size_t k = 0; k < i; k++) {
            if (m[k].name && same_name(&m[k], &m[i])) {
                if (!drop)
                    return &m[i];
                m[k].name = NULL;
                *dropped = 1;
                break;
            }
        }
    }
    return NULL;
}

/* Many names: `table` has `mask + 1` places, at least twice as many as there are names, all 0. */
static const wh_json_member *find_equal_many(wh_json_member *m, apr_size_t n, int drop, int *dropped, apr_uint32_t *table, apr_size_t mask)
{
    for (apr_size_t i = 0; i < n; i++) {
        apr_size_t at = m[i].hash & mask;
        while (table[at] && !same_name(&m[table[at] - 1], &m[i]))
            at = (at + 1) & mask;
        if (table[at]) {
            if (!drop)
                return &m[i];
            /* its name stays readable for the look-ups to come: the place changes hands */
            m[table[at] - 1].name = NULL;
            *dropped = 1;
        }
        table[at] = (apr_uint32_t)i + 1;
    }
    return NULL;
}

int wh_json_settle_names(wh_json_reader *r, apr_size_t base, apr_size_t *n)
{
    wh_json_member *m = (wh_json_member *)(void *)(r->stack + base);
    const wh_json_member *later;
    int drop = (r->limits->allow & WH_JSON_DUPLICATES) != 0, dropped = 0;

    if (*n <= FILTER_MEMBERS) {
        later = find_equal_few(m, *n, drop, &dropped);
    }
    else {
        apr_size_t places = 256, top = r->top;
        apr_uint32_t *table;
        while (places < *n * 2)
            places *= 2;
        table = wh_json_push(r, places * sizeof(*table), r->end);
        if (!table)
            return 0;
        memset(table, 0, places * sizeof(*table));
        m = (wh_json_member *)(void *)(r->stack + base);
        later = find_equal_many(m, *n, drop, &dropped, table, places - 1);
        r->top = top;
    }
    if (later) {
        wh_json_fail(r, "duplicate-name", name_place(r, later));
        return 0;
    }
    if (dropped)
        *n = without_removed(m, *n);
    return 1;
}
