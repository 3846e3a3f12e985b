/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern_row.c: most patterns of schemas are of one kind: from the beginning of the text on, so and so many of these characters, then of those
 * or one of these words ("^[0-9a-f]{40}$", "^v[0-9]+\.[0-9]+", "^refs/(heads|tags)/"). They need no engine: without ever going back, a look at
 * each character, or one for each word, decides. What that costs is plainly proportional to the subject, and a fraction of what it takes to
 * enter an engine.
 *
 * Never going back is right where a set that is repeated a variable number of times has no character in common with what may come next:
 * nothing but the set itself could then take a character of its run; and where no word begins another one. A pattern where that is not so, or
 * that holds anything but characters of ASCII, classes of them, counts and words, is no row, and is the engine's.
 *
 * The text was parsed before (pattern_parse.c): it is valid ECMA-262 with the u flag, and what is not understood here is merely not a row.
 */
#include <string.h>

#include <apr_strings.h>

#include "validate/pattern_parts.h"
#include "webhook_provider.h"

#define PARTS_MAX 16 /* bits of a table's entries */
#define WORDS_MAX 16 /* in one pair of brackets */
#define SYNTAX "^$\\.*+?()[]{}|/"

typedef struct row_part {
    apr_uint32_t min, max;      /* characters */
    const webhook_slice *words; /* one of these instead, NULL: characters */
    int count;
} row_part;

struct wh_pattern_row {
    apr_uint16_t parts_of[256]; /* by byte: a bit for each part that takes it (as the first, of a word); none takes one beyond ASCII */
    row_part parts[PARTS_MAX];
    apr_uint16_t count;
    int whole; /* ends with $ */
};

typedef struct row_reader {
    const char *at, *end;
    wh_pattern_row *row;
    unsigned bit; /* of the part that is read */
    apr_pool_t *p;
} row_reader;

static void add_range(row_reader *r, unsigned first, unsigned last)
{
    for (; first <= last; first++) r->row->parts_of[first] |= (apr_uint16_t)r->bit;
}

/* A character at `at`, escaped or not. @return it, 0 when it is something else; the reader is behind it */
static unsigned read_char(row_reader *r, const char *special)
{
    unsigned char c;

    if (r->at == r->end) return 0;
    c = (unsigned char)*r->at++;
    if (c == '\\') {
        if (r->at == r->end) return 0;
        c = (unsigned char)*r->at++;
        return c == '-' || (c && strchr(SYNTAX, c)) ? c : 0;
    }
    return c < 0x20 || c > 0x7e || strchr(special, c) ? 0 : c;
}

/* \d or \w. @return 1 and behind it, or 0 */
static int read_set(row_reader *r)
{
    if (r->end - r->at < 2 || r->at[0] != '\\' || (r->at[1] != 'd' && r->at[1] != 'w')) return 0;
    add_range(r, '0', '9');
    if (r->at[1] == 'w') {
        add_range(r, 'A', 'Z');
        add_range(r, 'a', 'z');
        add_range(r, '_', '_');
    }
    r->at += 2;
    return 1;
}

/* Behind the opening bracket. @return 1, or 0: not understood */
static int read_class(row_reader *r)
{
    if (r->at < r->end && *r->at == '^') return 0;
    while (r->at < r->end && *r->at != ']') {
        unsigned first, last;

        if (read_set(r)) continue;
        first = last = read_char(r, "\\]");
        if (first && r->end - r->at >= 2 && r->at[0] == '-' && r->at[1] != ']') {
            r->at++;
            last = read_char(r, "\\]");
        }
        if (!first || last < first) return 0;
        add_range(r, first, last);
    }
    if (r->at == r->end) return 0;
    r->at++;
    return 1;
}

static int read_number(row_reader *r, apr_uint32_t *n)
{
    const char *start = r->at;

    for (*n = 0; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        if (*n > WH_PATTERN_COUNT) return 0;
        *n = *n * 10 + (apr_uint32_t)(*r->at - '0');
    }
    return r->at > start;
}

static int read_count(row_reader *r, row_part *part)
{
    part->min = part->max = 1;
    if (r->at == r->end || !strchr("*+?{", *r->at)) return 1;
    switch (*r->at++) {
    case '*':
        part->min = 0;
        part->max = APR_UINT32_MAX;
        break;
    case '+':
        part->max = APR_UINT32_MAX;
        break;
    case '?':
        part->min = 0;
        break;
    default:
        if (!read_number(r, &part->min)) return 0;
        part->max = part->min;
        if (r->at < r->end && *r->at == ',') {
            r->at++;
            if (r->at < r->end && *r->at == '}') part->max = APR_UINT32_MAX;
            else if (!read_number(r, &part->max)) return 0;
        }
        if (r->at == r->end || *r->at++ != '}') return 0;
    }
    return r->at == r->end || *r->at != '?'; /* the lazy ones are rare */
}

static int begins_other(const webhook_slice *words, int count)
{
    int i, k;

    for (i = 0; i < count; i++) {
        for (k = 0; k < count; k++) {
            if (i != k && words[i].len <= words[k].len && memcmp(words[i].data, words[k].data, words[i].len) == 0) return 1;
        }
    }
    return 0;
}

/* Behind the opening bracket: words of characters alone. @return 1, or 0: not understood */
static int read_words(row_reader *r, row_part *part)
{
    webhook_slice words[WORDS_MAX];
    char *text = apr_palloc(r->p, (apr_size_t)(r->end - r->at) + 1);
    unsigned c;

    if (r->end - r->at > 2 && r->at[0] == '?' && r->at[1] == ':') r->at += 2;
    for (;;) {
        webhook_slice *word = &words[part->count];

        if (part->count == WORDS_MAX) return 0;
        word->data = text;
        while (r->at < r->end && *r->at != '|' && *r->at != ')') {
            c = *r->at == '/' ? (unsigned char)*r->at++ : read_char(r, SYNTAX);
            if (!c) return 0;
            *text++ = (char)c;
        }
        word->len = (apr_size_t)(text - word->data);
        if (!word->len || r->at == r->end) return 0;
        add_range(r, (unsigned char)word->data[0], (unsigned char)word->data[0]);
        part->count++;
        if (*r->at++ == ')') break;
    }
    if (begins_other(words, part->count)) return 0;
    part->min = part->max = 1;
    part->words = apr_pmemdup(r->p, words, (apr_size_t)part->count * sizeof(words[0]));
    return r->at == r->end || !strchr("*+?{", *r->at);
}

static int read_part(row_reader *r, row_part *part)
{
    unsigned c;

    if (*r->at == '(') {
        r->at++;
        return read_words(r, part);
    }
    if (*r->at == '[') {
        r->at++;
        if (!read_class(r)) return 0;
    }
    else if (!read_set(r)) {
        /* a slash needs no escape here, but may have one */
        c = *r->at == '/' ? (unsigned char)*r->at++ : read_char(r, SYNTAX);
        if (!c) return 0;
        add_range(r, c, c);
    }
    return read_count(r, part);
}

static int have_common(const wh_pattern_row *row, int one, int other)
{
    unsigned both = 1u << one | 1u << other, c;

    for (c = 0; c < 128; c++) {
        if ((row->parts_of[c] & both) == both) return 1;
    }
    return 0;
}

/* Whether a part that varies may be followed at once by one that takes what it takes */
static int may_go_back(const wh_pattern_row *row)
{
    int i, next;

    for (i = 0; i < row->count; i++) {
        if (row->parts[i].min == row->parts[i].max) continue;
        for (next = i + 1; next < row->count; next++) {
            if (have_common(row, i, next)) return 1;
            if (row->parts[next].min) break;
        }
    }
    return 0;
}

const wh_pattern_row *wh_pattern_row_compile(const char *text, apr_size_t len, apr_pool_t *p)
{
    wh_pattern_row row = {0};
    row_reader r = {text, text + len, &row, 1, p};

    if (!len || *r.at++ != '^') return NULL;
    while (r.at < r.end) {
        if (*r.at == '$' && r.at + 1 == r.end) {
            row.whole = 1;
            break;
        }
        if (row.count == PARTS_MAX || !read_part(&r, &row.parts[row.count])) return NULL;
        row.count++;
        r.bit <<= 1;
    }
    return may_go_back(&row) ? NULL : apr_pmemdup(p, &row, sizeof(row));
}

/* @return behind the word that is there, NULL: none is */
static const unsigned char *__attribute__((noinline)) match_word(const row_part *part, const unsigned char *at, const unsigned char *end)
{
    int i;

    for (i = 0; i < part->count; i++) {
        apr_size_t len = part->words[i].len;
        if (len <= (apr_size_t)(end - at) && memcmp(part->words[i].data, at, len) == 0) return at + len;
    }
    return NULL;
}

/* @return behind those characters that have the bit */
static inline const unsigned char *match_run(const apr_uint16_t *parts_of, unsigned bit, const unsigned char *at, const unsigned char *stop)
{
    for (; stop - at >= 4; at += 4) {
        if (!(parts_of[at[0]] & parts_of[at[1]] & parts_of[at[2]] & parts_of[at[3]] & bit)) break;
    }
    while (at < stop && parts_of[*at] & bit) at++;
    return at;
}

int wh_pattern_row_match(const wh_pattern_row *row, const char *subject, apr_size_t len)
{
    const unsigned char *at = (const unsigned char *)subject, *end = at + len;
    const row_part *part = row->parts, *behind = part + row->count;
    unsigned bit = 1;

    for (; part < behind; part++, bit <<= 1) {
        const unsigned char *start = at;

        if (part->words) {
            if ((at = match_word(part, at, end)) == NULL) return 0;
            continue;
        }
        at = match_run(row->parts_of, bit, at, (apr_size_t)(end - at) > part->max ? at + part->max : end);
        if ((apr_size_t)(at - start) < part->min) return 0;
    }
    return !row->whole || at == end;
}
