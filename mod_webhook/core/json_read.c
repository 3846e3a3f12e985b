/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_read.c: JSON (RFC 8259) read once, front to back, into an arena.
 *
 * Nothing here recurses. What is not complete yet lies on one stack of our own: for every open container a frame, behind it the values
 * (of an object: the members) it has so far. When a container ends, they are copied to the pool in one piece, and the frame goes. So
 * the children of a container are contiguous, the pool holds nothing but what the document needs, and the stack, which is given back
 * at the end, never more than all values together. A value costs 24 bytes (a member 40) whatever its shape; the limit on values
 * bounds both.
 *
 * Strings without escapes and all numbers stay where they are in the text.
 */
#include "core/json.h"
#include "core/json_hash.h"
#include "core/json_scan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1u << 20)
#define STACK_FIRST 8192 /* bytes of the stack that cost no allocation: enough for the usual webhook */
#define NO_FRAME SIZE_MAX

/* Names that may be equal: by a filter of bits and a look at all before as long as they are few, then by a table. */
#define FILTER_WORDS 8
#define FILTER_MEMBERS 96

const wh_json_limits wh_json_strict = { 64, 100000, 10000, 1024, 0 };
const wh_json_limits wh_json_plain = { 1024, UINT32_MAX, UINT32_MAX, UINT32_MAX, WH_JSON_NULS | WH_JSON_DUPLICATES | WH_JSON_SURROGATES };

/* An open container. The values it has so far lie behind its frame. */
typedef struct frame {
    apr_size_t outer; /* of the container around it, offset in the stack; NO_FRAME */
    apr_size_t slot;  /* the container's own value, offset in the stack */
    apr_size_t object;
} frame;

typedef struct reader {
    const unsigned char *text, *end;
    const wh_json_limits *limits;
    const wh_json_seed *seed;
    apr_pool_t *pool;
    apr_uint64_t values_left;
    apr_uint64_t members_bytes; /* as many as one object's members may take on the stack */
    char *stack;              /* `first` of wh_json_parse(), or malloc()ed */
    char *first;
    apr_size_t top, room;
    apr_size_t frame;         /* innermost open container; NO_FRAME */
    int depth;
    const char *reason;       /* of failure, with where */
    const unsigned char *where;
} reader;

static const unsigned char *fail(reader *r, const char *reason, const unsigned char *where)
{
    r->reason = reason;
    r->where = where;
    return NULL;
}

/* ---- the stack ---- */

static int grow(reader *r, apr_size_t len)
{
    apr_size_t room = r->room;
    char *stack;

    do {
        if (room > SIZE_MAX / 2)
            return 0;
        room *= 2;
    } while (room - r->top < len);
    stack = realloc(r->stack == r->first ? NULL : r->stack, room);
    if (!stack)
        return 0;
    if (r->stack == r->first)
        memcpy(stack, r->stack, r->top);
    r->stack = stack;
    r->room = room;
    return 1;
}

/* Room on top. @return NULL with the reason set when there is no memory; good until the next push */
static inline void *push(reader *r, apr_size_t len, const unsigned char *at)
{
    void *made;

    if (r->room - r->top < len && !grow(r, len)) {
        fail(r, "memory", at);
        return NULL;
    }
    made = r->stack + r->top;
    r->top += len;
    return made;
}

/* ---- strings ---- */

static int hex4(const unsigned char *s, unsigned *out)
{
    unsigned n = 0;

    for (int i = 0; i < 4; i++) {
        unsigned c = s[i];
        if (c >= '0' && c <= '9')
            c -= '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            c = (c | 0x20) - 'a' + 10;
        else
            return 0;
        n = n << 4 | c;
    }
    *out = n;
    return 1;
}

/* Behind the escape whose backslash is at `at`. Both halves of a surrogate pair are one. */
static const unsigned char *check_escape(reader *r, const unsigned char *at, unsigned char *nul)
{
    unsigned code, low;

    if (r->end - at < 2)
        return fail(r, "syntax", r->end);
    switch (at[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return at + 2;
    case 'u':
        break;
    default:
        return fail(r, "syntax", at);
    }
    if (r->end - at < 6 || !hex4(at + 2, &code))
        return fail(r, "syntax", at);
    if (code == 0) {
        if (!(r->limits->allow & WH_JSON_NULS))
            return fail(r, "nul", at);
        *nul = 1;
    }
    if (code < 0xd800 || code > 0xdfff)
        return at + 6;
    if (code < 0xdc00 && r->end - at >= 12 && at[6] == '\\' && at[7] == 'u' && hex4(at + 8, &low) && low >= 0xdc00 && low <= 0xdfff)
        return at + 12;
    return r->limits->allow & WH_JSON_SURROGATES ? at + 6 : fail(r, "surrogate", at);
}

static char *put_code(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    }
    else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* Resolve the escapes of [at, end), which were checked. @return the end of what was written: never more bytes than there were */
static char *unescape(char *out, const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        const unsigned char *backslash = memchr(at, '\\', (apr_size_t)(end - at));
        apr_size_t plain = (apr_size_t)((backslash ? backslash : end) - at);
        unsigned code = 0, low = 0;

        memcpy(out, at, plain);
        out += plain;
        if (!backslash)
            break;
        at = backslash + 2;
        switch (backslash[1]) {
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'n': *out++ = '\n'; break;
        case 'r': *out++ = '\r'; break;
        case 't': *out++ = '\t'; break;
        case 'u':
            hex4(at, &code);
            at += 4;
            if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u' && hex4(at + 2, &low) && low >= 0xdc00
                && low <= 0xdfff) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                at += 6;
            }
            out = put_code(out, code);
            break;
        default: *out++ = (char)backslash[1];
        }
    }
    return out;
}

/* A string with escapes or more than ASCII in it; its text begins at `start`, the first byte that is not plain is at `at`. */
static const unsigned char *read_long_string(reader *r, const unsigned char *start, const unsigned char *at, const char **text,
                                             apr_uint32_t *len, unsigned char *nul)
{
    int escaped = 0;
    char *copy;

    for (;;) {
        const unsigned char *next;
        if (at == r->end)
            return fail(r, "syntax", at);
        if (*at == '"')
            break;
        if (*at == '\\') {
            escaped = 1;
            next = check_escape(r, at, nul);
            if (!next)
                return NULL;
        }
        else if (*at < 0x20) {
            return fail(r, *at ? "syntax" : "nul", at);
        }
        else {
            next = wh_json_scan_utf8(at, r->end);
            if (next < r->end && *next >= 0x80)
                return fail(r, "utf8", next);
        }
        at = wh_json_scan(next, r->end);
    }
    if (escaped) {
        copy = apr_palloc(r->pool, (apr_size_t)(at - start));
        if (!copy)
            return fail(r, "memory", start);
        *text = copy;
        *len = (apr_uint32_t)(unescape(copy, start, at) - copy);
    }
    else {
        *text = (const char *)start;
        *len = (apr_uint32_t)(at - start);
    }
    return at + 1;
}

/* `at` is behind the opening quote. @return behind the closing one */
static inline const unsigned char *read_string(reader *r, const unsigned char *at, const char **text, apr_uint32_t *len, unsigned char *nul)
{
    const unsigned char *stop = wh_json_scan(at, r->end);

    *nul = 0;
    if (stop == r->end || *stop != '"')
        return read_long_string(r, at, stop, text, len, nul);
    *text = (const char *)at;
    *len = (apr_uint32_t)(stop - at);
    return stop + 1;
}

/* ---- other scalars ---- */

static inline const unsigned char *digits(const unsigned char *at, const unsigned char *end)
{
    while (at < end && (unsigned)(*at - '0') <= 9)
        at++;
    return at;
}

static inline const unsigned char *read_number(reader *r, const unsigned char *at, wh_json_value *v)
{
    const unsigned char *start = at, *end = r->end, *first;

    if (*at == '-')
        at++;
    if (at < end && *at == '0') {
        at++;
    }
    else {
        first = at;
        at = digits(at, end);
        if (at == first)
            return fail(r, "syntax", at);
    }
    v->integer = 1;
    if (at < end && *at == '.') {
        v->integer = 0;
        first = ++at;
        at = digits(at, end);
        if (at == first)
            return fail(r, "syntax", at);
    }
    if (at < end && (*at | 0x20) == 'e') {
        v->integer = 0;
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        first = at;
        at = digits(at, end);
        if (at == first)
            return fail(r, "syntax", at);
    }
    v->type = WH_JSON_NUMBER;
    v->u.text = (const char *)start;
    v->size = (apr_uint32_t)(at - start);
    return at;
}

static const unsigned char *read_word(reader *r, const unsigned char *at, wh_json_value *v, const char *word, apr_size_t len, wh_json_type type)
{
    apr_size_t left = (apr_size_t)(r->end - at), same = 0;

    while (same < len && same < left && at[same] == (unsigned char)word[same])
        same++;
    if (same < len)
        return fail(r, "syntax", at + same);
    v->type = (unsigned char)type;
    return at + len;
}

/* ---- equal names ---- */

static inline int same_name(const wh_json_member *a, const wh_json_member *b)
{
    return a->hash == b->hash && a->name_len == b->name_len && !memcmp(a->name, b->name, a->name_len);
}

/* Where the name of a member stands: the value is known, the name may be a copy. */
static const unsigned char *name_place(const reader *r, const wh_json_member *m)
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

/* Refuse or drop members of one name. The members are the last thing on the stack, from `base`. @return 0 when refused */
static int settle_names(reader *r, apr_size_t base, apr_size_t *n)
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
        table = push(r, places * sizeof(*table), r->end);
        if (!table)
            return 0;
        memset(table, 0, places * sizeof(*table));
        m = (wh_json_member *)(void *)(r->stack + base);
        later = find_equal_many(m, *n, drop, &dropped, table, places - 1);
        r->top = top;
    }
    if (later) {
        fail(r, "duplicate-name", name_place(r, later));
        return 0;
    }
    if (dropped)
        *n = without_removed(m, *n);
    return 1;
}

/* ---- containers ---- */

/* A bracket opened at `at` for the value at `slot`. @return behind it, or behind the closing one when nothing is in it (*empty set) */
static const unsigned char *open_container(reader *r, const unsigned char *at, apr_size_t slot, int *empty)
{
    int object = *at == '{';
    const unsigned char *next;
    frame *f;

    if (r->depth == r->limits->depth)
        return fail(r, "depth", at);
    next = wh_json_blanks(at + 1, r->end);
    *empty = next < r->end && *next == (object ? '}' : ']');
    if (*empty) {
        wh_json_value *v = (wh_json_value *)(void *)(r->stack + slot);
        v->type = object ? WH_JSON_OBJECT : WH_JSON_ARRAY;
        v->size = 0;
        v->end = (apr_uint32_t)(next + 1 - r->text);
        v->u.items = NULL;
        return next + 1;
    }
    f = push(r, sizeof(*f), at);
    if (!f)
        return NULL;
    f->outer = r->frame;
    f->slot = slot;
    f->object = (apr_size_t)object;
    r->frame = r->top - sizeof(*f);
    r->depth++;
    return next;
}

/* The innermost container ends before `at`: its children go to the pool, and its value is complete. */
static int close_container(reader *r, const unsigned char *at)
{
    frame f = *(frame *)(void *)(r->stack + r->frame);
    apr_size_t base = r->frame + sizeof(f), len = r->top - base, n = len / (f.object ? sizeof(wh_json_member) : sizeof(wh_json_value));
    wh_json_value *v;
    void *children;

    if (f.object && n > 1) {
        if (!settle_names(r, base, &n))
            return 0;
        len = n * sizeof(wh_json_member);
    }
    children = apr_palloc(r->pool, len);
    if (!children) {
        fail(r, "memory", at);
        return 0;
    }
    memcpy(children, r->stack + base, len);
    v = (wh_json_value *)(void *)(r->stack + f.slot);
    v->type = f.object ? WH_JSON_OBJECT : WH_JSON_ARRAY;
    v->size = (apr_uint32_t)n;
    v->end = (apr_uint32_t)(at - r->text);
    if (f.object)
        v->u.members = children;
    else
        v->u.items = children;
    r->top = r->frame;
    r->frame = f.outer;
    r->depth--;
    return 1;
}

/* The name of the next member and the colon behind it. @return where its value begins */
static inline const unsigned char *read_name(reader *r, const unsigned char *at, wh_json_value **value)
{
    const unsigned char *start = at;
    wh_json_member *m;
    unsigned char nul;

    if (at == r->end || *at != '"')
        return fail(r, "syntax", at);
    if (r->top - r->frame - sizeof(frame) >= r->members_bytes)
        return fail(r, "members", at);
    m = push(r, sizeof(*m), at);
    if (!m)
        return NULL;
    at = read_string(r, at + 1, &m->name, &m->name_len, &nul);
    if (!at)
        return NULL;
    if (m->name_len > r->limits->name_len)
        return fail(r, "name-length", start);
    m->hash = wh_json_hash_with(r->seed, m->name, m->name_len);
    at = wh_json_blanks(at, r->end);
    if (at == r->end || *at != ':')
        return fail(r, "syntax", at);
    *value = &m->value;
    return wh_json_blanks(at + 1, r->end);
}

/* The value that begins at `at`, or of a container its beginning. @return behind it */
static inline const unsigned char *read_value(reader *r, const unsigned char *at, wh_json_value *v, int *complete)
{
    const char *text;
    int empty;

    v->start = (apr_uint32_t)(at - r->text);
    v->integer = v->nul = 0;
    v->size = 0;
    v->u.text = NULL;
    switch (*at) {
    case '"':
        v->type = WH_JSON_STRING;
        at = read_string(r, at + 1, &text, &v->size, &v->nul);
        v->u.text = at ? text : NULL;
        break;
    case '{':
    case '[':
        at = open_container(r, at, (apr_size_t)((char *)v - r->stack), &empty);
        *complete = empty;
        return at;
    case '-':
    case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        at = read_number(r, at, v);
        break;
    case 'n':
        at = read_word(r, at, v, "null", 4, WH_JSON_NULL);
        break;
    case 't':
        at = read_word(r, at, v, "true", 4, WH_JSON_TRUE);
        break;
    case 'f':
        at = read_word(r, at, v, "false", 5, WH_JSON_FALSE);
        break;
    default:
        return fail(r, *at ? "syntax" : "nul", at);
    }
    *complete = 1;
    if (at)
        v->end = (apr_uint32_t)(at - r->text);
    return at;
}

/* What follows a complete value: a comma, or ends of containers and then one. @return where the next value or name is due; the text's
 * end with *done set when the document is complete */
static const unsigned char *read_ends(reader *r, const unsigned char *at, int *done)
{
    for (;;) {
        const frame *f;
        at = wh_json_blanks(at, r->end);
        if (r->frame == NO_FRAME) {
            *done = 1;
            return at == r->end ? at : fail(r, *at ? "syntax" : "nul", at);
        }
        if (at == r->end)
            return fail(r, "syntax", at);
        if (*at == ',')
            return wh_json_blanks(at + 1, r->end);
        f = (const frame *)(const void *)(r->stack + r->frame);
        if (*at != (f->object ? '}' : ']'))
            return fail(r, *at ? "syntax" : "nul", at);
        if (!close_container(r, ++at))
            return NULL;
    }
}

/* The document's value is at the bottom of the stack afterwards. @return 0 with reason and where */
static int read_document(reader *r)
{
    const unsigned char *at = wh_json_blanks(r->text, r->end);
    int done = 0;

    while (!done) {
        wh_json_value *v;
        int complete;

        if (r->frame != NO_FRAME && ((const frame *)(const void *)(r->stack + r->frame))->object) {
            at = read_name(r, at, &v);
            if (!at)
                return 0;
        }
        else {
            v = push(r, sizeof(*v), at);
            if (!v)
                return 0;
        }
        if (at == r->end) {
            fail(r, "syntax", at);
            return 0;
        }
        if (!r->values_left--) {
            fail(r, "values", at);
            return 0;
        }
        at = read_value(r, at, v, &complete);
        if (at && complete)
            at = read_ends(r, at, &done);
        if (!at)
            return 0;
    }
    return 1;
}

#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define WH_UNINITIALIZED __attribute__((uninitialized)) /* builds that clear every variable would spend more on this one than on parsing */
#endif
#endif
#ifndef WH_UNINITIALIZED
#define WH_UNINITIALIZED
#endif

apr_status_t wh_json_parse(wh_json **out, webhook_slice text, const wh_json_limits *limits, apr_pool_t *p, wh_json_error *err)
{
    union {
        char bytes[STACK_FIRST];
        wh_json_member aligned;
    } first WH_UNINITIALIZED;
    reader r = { 0 };
    wh_json *doc = NULL;

    *out = NULL;
    r.text = (const unsigned char *)(text.len ? text.data : "");
    r.end = r.text + text.len;
    r.limits = limits ? limits : &wh_json_strict;
    r.seed = wh_json_seed_get();
    r.pool = p;
    r.values_left = (apr_uint64_t)r.limits->values * (text.len > MIB ? (text.len + MIB - 1) / MIB : 1);
    r.members_bytes = (apr_uint64_t)r.limits->members * sizeof(wh_json_member);
    r.stack = r.first = first.bytes;
    r.room = sizeof(first.bytes);
    r.frame = NO_FRAME;
    if (text.len >= UINT32_MAX)
        fail(&r, "size", r.text);
    else if (text.len >= 3 && !memcmp(text.data, "\xef\xbb\xbf", 3))
        fail(&r, "bom", r.text);
    else if (read_document(&r)) {
        doc = apr_palloc(p, sizeof(*doc));
        if (doc) {
            memcpy(&doc->root, r.stack, sizeof(doc->root));
            doc->text = text;
        }
        else {
            fail(&r, "memory", r.text);
        }
    }
    if (r.stack != r.first)
        free(r.stack);
    if (!doc) {
        if (err) {
            err->reason = r.reason;
            err->offset = (apr_size_t)(r.where - r.text);
        }
        return strcmp(r.reason, "memory") ? APR_EINVAL : APR_ENOMEM;
    }
    *out = doc;
    return APR_SUCCESS;
}
