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
#include "core/json_reader.h"
#include "core/json_scan.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1u << 20)
#define STACK_FIRST 8192 /* bytes of the stack that cost no allocation: enough for the usual webhook */

const wh_json_limits wh_json_strict = { 64, 100000, 10000, 1024, 0 };
const wh_json_limits wh_json_lenient = { 1024, 100000, UINT32_MAX, UINT32_MAX, WH_JSON_NULS | WH_JSON_DUPLICATES | WH_JSON_SURROGATES };
const wh_json_limits wh_json_plain = { 1024, UINT32_MAX, UINT32_MAX, UINT32_MAX, WH_JSON_NULS | WH_JSON_DUPLICATES | WH_JSON_SURROGATES };

/* An open container. The values it has so far lie behind its frame. */
typedef struct frame {
    apr_size_t outer; /* of the container around it, offset in the stack; WH_JSON_NO_FRAME */
    apr_size_t slot;  /* the container's own value, offset in the stack */
    apr_size_t object;
} frame;

/* ---- the stack ---- */

int wh_json_grow(wh_json_reader *r, apr_size_t len)
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

/* `at` is behind the opening quote. @return behind the closing one */
static inline const unsigned char *read_string(wh_json_reader *r, const unsigned char *at, const char **text, apr_uint32_t *len, unsigned char *nul)
{
    const unsigned char *stop = wh_json_scan(at, r->end);

    *nul = 0;
    if (stop == r->end || *stop != '"')
        return wh_json_read_long(r, at, stop, text, len, nul);
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

static inline const unsigned char *read_number(wh_json_reader *r, const unsigned char *at, wh_json_value *v)
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
            return wh_json_fail(r, "syntax", at);
    }
    v->integer = 1;
    if (at < end && *at == '.') {
        v->integer = 0;
        first = ++at;
        at = digits(at, end);
        if (at == first)
            return wh_json_fail(r, "syntax", at);
    }
    if (at < end && (*at | 0x20) == 'e') {
        v->integer = 0;
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        first = at;
        at = digits(at, end);
        if (at == first)
            return wh_json_fail(r, "syntax", at);
    }
    v->type = WH_JSON_NUMBER;
    v->u.text = (const char *)start;
    v->size = (apr_uint32_t)(at - start);
    return at;
}

static const unsigned char *read_word(wh_json_reader *r, const unsigned char *at, wh_json_value *v, const char *word, apr_size_t len, wh_json_type type)
{
    apr_size_t left = (apr_size_t)(r->end - at), same = 0;

    while (same < len && same < left && at[same] == (unsigned char)word[same])
        same++;
    if (same < len)
        return wh_json_fail(r, "syntax", at + same);
    v->type = (unsigned char)type;
    return at + len;
}

/* ---- containers ---- */

/* A bracket opened at `at` for the value at `slot`. @return behind it, or behind the closing one when nothing is in it (*empty set) */
static const unsigned char *open_container(wh_json_reader *r, const unsigned char *at, apr_size_t slot, int *empty)
{
    int object = *at == '{';
    const unsigned char *next;
    frame *f;

    if (r->depth == r->limits->depth)
        return wh_json_fail(r, "depth", at);
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
    f = wh_json_push(r, sizeof(*f), at);
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
static int close_container(wh_json_reader *r, const unsigned char *at)
{
    frame f = *(frame *)(void *)(r->stack + r->frame);
    apr_size_t base = r->frame + sizeof(f), len = r->top - base, n = len / (f.object ? sizeof(wh_json_member) : sizeof(wh_json_value));
    wh_json_value *v;
    void *children;

    if (f.object && n > 1) {
        if (!wh_json_settle_names(r, base, &n))
            return 0;
        len = n * sizeof(wh_json_member);
    }
    children = apr_palloc(r->pool, len);
    if (!children) {
        wh_json_fail(r, "memory", at);
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
static inline const unsigned char *read_name(wh_json_reader *r, const unsigned char *at, wh_json_value **value)
{
    const unsigned char *start = at;
    wh_json_member *m;
    unsigned char nul;

    if (at == r->end || *at != '"')
        return wh_json_fail(r, "syntax", at);
    if (r->top - r->frame - sizeof(frame) >= r->members_bytes)
        return wh_json_fail(r, "members", at);
    m = wh_json_push(r, sizeof(*m), at);
    if (!m)
        return NULL;
    at = read_string(r, at + 1, &m->name, &m->name_len, &nul);
    if (!at)
        return NULL;
    if (m->name_len > r->limits->name_len)
        return wh_json_fail(r, "name-length", start);
    m->hash = wh_json_hash_with(r->seed, m->name, m->name_len);
    at = wh_json_blanks(at, r->end);
    if (at == r->end || *at != ':')
        return wh_json_fail(r, "syntax", at);
    *value = &m->value;
    return wh_json_blanks(at + 1, r->end);
}

/* The value that begins at `at`, or of a container its beginning. @return behind it */
static inline const unsigned char *read_value(wh_json_reader *r, const unsigned char *at, wh_json_value *v, int *complete)
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
        return wh_json_fail(r, *at ? "syntax" : "nul", at);
    }
    *complete = 1;
    if (at)
        v->end = (apr_uint32_t)(at - r->text);
    return at;
}

/* What follows a complete value: a comma, or ends of containers and then one. @return where the next value or name is due; the text's
 * end with *done set when the document is complete */
static const unsigned char *read_ends(wh_json_reader *r, const unsigned char *at, int *done)
{
    for (;;) {
        const frame *f;
        at = wh_json_blanks(at, r->end);
        if (r->frame == WH_JSON_NO_FRAME) {
            *done = 1;
            return at == r->end ? at : wh_json_fail(r, *at ? "syntax" : "nul", at);
        }
        if (at == r->end)
            return wh_json_fail(r, "syntax", at);
        if (*at == ',')
            return wh_json_blanks(at + 1, r->end);
        f = (const frame *)(const void *)(r->stack + r->frame);
        if (*at != (f->object ? '}' : ']'))
            return wh_json_fail(r, *at ? "syntax" : "nul", at);
        if (!close_container(r, ++at))
            return NULL;
    }
}

/* The document's value is at the bottom of the stack afterwards. @return 0 with reason and where */
static int read_document(wh_json_reader *r)
{
    const unsigned char *at = wh_json_blanks(r->text, r->end);
    int done = 0;

    while (!done) {
        wh_json_value *v;
        int complete;

        if (r->frame != WH_JSON_NO_FRAME && ((const frame *)(const void *)(r->stack + r->frame))->object) {
            at = read_name(r, at, &v);
            if (!at)
                return 0;
        }
        else {
            v = wh_json_push(r, sizeof(*v), at);
            if (!v)
                return 0;
        }
        if (at == r->end) {
            wh_json_fail(r, "syntax", at);
            return 0;
        }
        if (!r->values_left--) {
            wh_json_fail(r, "values", at);
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
    wh_json_reader r = { 0 };
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
    r.frame = WH_JSON_NO_FRAME;
    if (text.len >= UINT32_MAX)
        wh_json_fail(&r, "size", r.text);
    else if (text.len >= 3 && !memcmp(text.data, "\xef\xbb\xbf", 3))
        wh_json_fail(&r, "bom", r.text);
    else if (read_document(&r)) {
        doc = apr_palloc(p, sizeof(*doc));
        if (doc) {
            memcpy(&doc->root, r.stack, sizeof(doc->root));
            doc->text = text;
        }
        else {
            wh_json_fail(&r, "memory", r.text);
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
