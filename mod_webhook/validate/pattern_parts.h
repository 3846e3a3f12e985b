/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern_parts.h: between the files of the pattern translator; nobody else includes it.
 */
#ifndef WH_VALIDATE_PATTERN_PARTS_H
#define WH_VALIDATE_PATTERN_PARTS_H

#include <apr_hash.h>
#include <apr_pools.h>

#define WH_PATTERN_NESTING 200   /* groups in groups; PCRE2's own limit is 250 */
#define WH_PATTERN_COUNT 65535   /* the largest count of a quantifier PCRE2 takes */

/* Marks in the translation, two bytes: MARK and one of these or a weight n (1 to 40: 2^n steps). They become callouts or nothing. */
#define WH_MARK 0x01
#define WH_MARK_PLAIN 0x80
#define WH_MARK_BACKREF 0x81

/* What the engine may have to do in one try at one position; "paths" and "work" multiply to the looks at characters, per character of the
 * subject when there is a run. Saturates. */
typedef struct wh_pattern_cost {
    double paths;    /* ways through */
    double work;     /* looks along one of them */
    unsigned runs;   /* unbounded repeats of single characters */
    int unbounded;   /* repeated groups, backreferences: only measuring can tell */
} wh_pattern_cost;

typedef struct wh_pattern_parse {
    const char *start, *at, *end;
    apr_pool_t *p;
    int emitting;           /* 0: the grammar alone */
    char *out;              /* the translation, with marks; not NUL-terminated */
    apr_size_t out_len, out_max;
    apr_size_t since_mark;  /* single characters translated since the last mark */
    unsigned groups;        /* capturing groups of the whole pattern */
    unsigned groups_open;   /* of them, those that began so far */
    apr_hash_t *names;      /* group name => number, as a pointer's value; NULL: none */
    void *name_code, *name_match;   /* of wh_pattern_is_name */
    unsigned depth;
    const char *error;      /* the pattern is not valid, and this is why */
    const char *error_at;
    const char *limit;      /* valid, but beyond the engine */
    wh_pattern_cost cost;   /* of the whole */
    int anchored;           /* every alternative begins with ^ */
} wh_pattern_parse;

/** Parse (and translate, where emitting) what lies between at and end. Answers in ps. @return 1 valid */
int wh_pattern_parse_text(wh_pattern_parse *ps);

/* pattern_row.c: the patterns that need no engine */
typedef struct wh_pattern_row wh_pattern_row;
/** @param text a valid pattern; not kept. @return NULL when it is none of them. Immutable, lives with p */
const wh_pattern_row *wh_pattern_row_compile(const char *text, apr_size_t len, apr_pool_t *p);
/** @return whether it matches; looks at no character twice */
int wh_pattern_row_match(const wh_pattern_row *row, const char *subject, apr_size_t len);

/* pattern_emit.c: no-ops unless emitting */
void wh_pattern_emit(wh_pattern_parse *ps, const char *text);
void wh_pattern_emit_char(wh_pattern_parse *ps, apr_uint32_t c);
void wh_pattern_emit_set(wh_pattern_parse *ps, char set, int in_class);   /* one of d D s S w W */
void wh_pattern_mark(wh_pattern_parse *ps, unsigned mark);
void wh_pattern_mark_at(wh_pattern_parse *ps, apr_size_t offset, unsigned mark);
void wh_pattern_unmark_at(wh_pattern_parse *ps, apr_size_t offset);
/** The text for the engine: marks as callouts when metered, else without. @param len answer. */
char *wh_pattern_finish(const wh_pattern_parse *ps, int metered, apr_size_t *len);

/**
 * A property of \p{…} by ECMA-262's names. @param name without braces, with an optional "Name=" before the value.
 * @return what PCRE2 calls it, NULL when ECMA-262 has no such property
 */
const char *wh_pattern_property(const char *name, apr_size_t len, apr_pool_t *p);

/** Whether well-formed UTF-8 may be the name of a group: Unicode's ID_Start and ID_Continue, $ and _. */
int wh_pattern_is_name(wh_pattern_parse *ps, const char *name, apr_size_t len);

#endif
