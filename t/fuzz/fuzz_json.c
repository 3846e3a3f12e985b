/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON reader over any bytes, beside jansson where that is installed. Both take or refuse the same texts and understand the same of
 * them, but for these differences, each of which is shown to be there, and to be the only one, before it is let pass:
 *
 *   only jansson takes   what is beyond our limits (depth 64 or 1,024, values, members, names); never with limits kept. And a NUL byte
 *                        behind a number or a word, which it loses when it puts it back
 *   only we take         whole numbers beyond 64 bits and reals beyond double; of what wh_json_plain allows, lone surrogates and NUL in
 *                        names. (What jansson has nested beyond 2,048 it refuses, and so do we, at less.)
 *
 * Also: budgets refuse just the documents that are beyond them; JSON Pointers over the same bytes; strings of any bytes are written as
 * valid JSON, which the reader gives back unchanged where they were UTF-8, and exactly as much of it as a limit allows.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(WH_ORACLE)
#include <jansson.h>
#endif

#include "core/encoding.h"
#include "core/json.h"
#include "core/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUTS 8 /* texts compared for each input: the input itself and others one change away from it */
#define CHECK(good) ((good) ? (void)0 : complain(#good, __LINE__))

static void complain(const char *what, int line)
{
    fprintf(stderr, "fuzz_json.c:%d: not so: %s\n", line, what);
    abort();
}

/* ---- what a document holds ---- */

typedef struct measure {
    apr_size_t values, members, name_len;
    int depth;
} measure;

static int has_lone_surrogate(const char *s, apr_size_t len)
{
    for (apr_size_t i = 0; i + 2 < len; i++) {
        if ((unsigned char)s[i] == 0xed && (unsigned char)s[i + 1] >= 0xa0)
            return 1;
    }
    return 0;
}

/* A tree as it must be: children inside their parents and one after the other, strings UTF-8, numbers as written. */
static void visit(const wh_json *doc, const wh_json_value *v, unsigned allow, int depth, measure *m)
{
    webhook_slice s = wh_json_string(v), source = wh_json_source(doc, v);
    apr_uint32_t at = v->start + 1;

    m->values++;
    CHECK(v->start < v->end && v->end <= doc->text.len && source.data == doc->text.data + v->start && source.len == v->end - v->start);
    switch (wh_json_typeof(v)) {
    case WH_JSON_ARRAY:
    case WH_JSON_OBJECT:
        if (++depth > m->depth)
            m->depth = depth;
        CHECK(source.data[0] == (v->type == WH_JSON_ARRAY ? '[' : '{') && source.data[source.len - 1] == (v->type == WH_JSON_ARRAY ? ']' : '}'));
        CHECK(wh_json_size(v) == v->size && !wh_json_at(v, v->size));
        for (apr_uint32_t i = 0; i < v->size; i++) {
            const wh_json_value *child = v->type == WH_JSON_ARRAY ? wh_json_at(v, i) : &v->u.members[i].value;
            CHECK(child && child->start >= at && child->end < v->end);
            at = child->end;
            if (v->type == WH_JSON_OBJECT) {
                const wh_json_member *name = &v->u.members[i];
                CHECK(name->hash == wh_json_hash(name->name, name->name_len));
                CHECK(wh_json_member_get(v, name->name, name->name_len, name->hash) == child);
                CHECK(allow & WH_JSON_NULS || !memchr(name->name, '\0', name->name_len));
                CHECK(wh_utf8_valid(name->name, name->name_len) || (allow & WH_JSON_SURROGATES && has_lone_surrogate(name->name, name->name_len)));
                if (name->name_len > m->name_len)
                    m->name_len = name->name_len;
            }
            visit(doc, child, allow, depth, m);
        }
        if (v->type == WH_JSON_OBJECT && v->size > m->members)
            m->members = v->size;
        break;
    case WH_JSON_STRING:
        CHECK(s.data && s.len == v->size && source.data[0] == '"' && source.data[source.len - 1] == '"' && source.len >= 2);
        CHECK(!v->nul == !memchr(s.data, '\0', s.len) && (allow & WH_JSON_NULS || !v->nul));
        CHECK(wh_utf8_valid(s.data, s.len) || (allow & WH_JSON_SURROGATES && has_lone_surrogate(s.data, s.len)));
        break;
    case WH_JSON_NUMBER:
        CHECK(!s.data && v->u.text == source.data && v->size == source.len);
        CHECK(!v->integer == (memchr(source.data, '.', source.len) || memchr(source.data, 'e', source.len) || memchr(source.data, 'E', source.len)));
        break;
    case WH_JSON_NULL:
        CHECK(source.len == 4 && !memcmp(source.data, "null", 4));
        break;
    case WH_JSON_TRUE:
        CHECK(source.len == 4 && !memcmp(source.data, "true", 4));
        break;
    case WH_JSON_FALSE:
        CHECK(source.len == 5 && !memcmp(source.data, "false", 5));
        break;
    }
}

/* Limits refuse what is beyond them and nothing else. The first one noticed is named. */
static void check_budgets(const wh_json *doc, const measure *m, apr_pool_t *p)
{
    static const wh_json_limits small = { 3, 12, 4, 8, 0 };
    wh_json_error err = { NULL, 0 };
    wh_json *again;

    if (wh_json_parse(&again, doc->text, &small, p, &err) == APR_SUCCESS)
        CHECK(m->depth <= small.depth && m->values <= small.values && m->members <= small.members && m->name_len <= small.name_len);
    else if (!strcmp(err.reason, "depth"))
        CHECK(m->depth > small.depth);
    else if (!strcmp(err.reason, "values"))
        CHECK(m->values > small.values);
    else if (!strcmp(err.reason, "members"))
        CHECK(m->members > small.members);
    else
        CHECK(!strcmp(err.reason, "name-length") && m->name_len > small.name_len);
}

/* ---- the oracle ---- */

#if defined(WH_ORACLE)

#define HAS_BIG_NUMBER 1
#define HAS_LONE_SURROGATE 2
#define HAS_NUL_NAME 4

static int is_big(const char *number, apr_size_t len)
{
    char copy[64], *text = len < sizeof(copy) ? copy : malloc(len + 1);
    int big;

    CHECK(text != NULL);
    memcpy(text, number, len);
    text[len] = '\0';
    if (strpbrk(text, ".eE")) {
        big = !isfinite(strtod(text, NULL));
    }
    else {
        apr_size_t digits = strlen(text + strspn(text, "-"));
        /* the larger in magnitude by one for negative ones */
        big = digits > 19 || (digits == 19 && strcmp(text + strspn(text, "-"), *text == '-' ? "9223372036854775808" : "9223372036854775807") > 0);
    }
    if (text != copy)
        free(text);
    return big;
}

static unsigned hex4_of(const char *s)
{
    char digits[5] = { s[0], s[1], s[2], s[3], 0 };

    return (unsigned)strtoul(digits, NULL, 16);
}

/* What a text that is known to be JSON has of what jansson does not take, found by its tokens alone: members that a later one replaced
 * count too. */
static unsigned features(webhook_slice text)
{
    const char *s = text.data, *end = s + text.len;
    unsigned found = 0;

    while (s < end) {
        if (*s == '-' || (*s >= '0' && *s <= '9')) {
            const char *start = s;
            while (s < end && strchr("0123456789+-.eE", *s) && *s)
                s++;
            if (is_big(start, (apr_size_t)(s - start)))
                found |= HAS_BIG_NUMBER;
        }
        else if (*s == '"') {
            int nul = 0;
            for (s++; *s != '"'; s++) {
                unsigned code;
                if (*s != '\\')
                    continue;
                if (*++s != 'u')
                    continue;
                code = hex4_of(s + 1);
                s += 4;
                nul |= code == 0;
                if (code >= 0xd800 && code < 0xdc00 && s[1] == '\\' && s[2] == 'u' && (hex4_of(s + 3) & 0xfc00) == 0xdc00)
                    s += 6;
                else if ((code & 0xf800) == 0xd800)
                    found |= HAS_LONE_SURROGATE;
            }
            for (s++; s < end && strchr(" \t\r\n", *s) && *s; s++)
                ;
            if (nul && s < end && *s == ':')
                found |= HAS_NUL_NAME;
        }
        else {
            s++;
        }
    }
    return found;
}

static void measure_oracle(json_t *json, int depth, measure *m)
{
    const char *name;
    json_t *value;
    apr_size_t i;

    m->values++;
    depth += json_is_array(json) || json_is_object(json);
    if (depth > m->depth)
        m->depth = depth;
    json_array_foreach(json, i, value)
        measure_oracle(value, depth, m);
    if (json_is_object(json) && json_object_size(json) > m->members)
        m->members = json_object_size(json);
    json_object_foreach(json, name, value) {
        if (strlen(name) > m->name_len)
            m->name_len = strlen(name);
        measure_oracle(value, depth, m);
    }
}

/* Both understood the same. @param ordered members come in one order (with members of one name jansson keeps the first one's place) */
static void compare(const wh_json_value *v, json_t *json, int ordered, apr_pool_t *p)
{
    void *at;
    apr_int64_t n;

    switch (wh_json_typeof(v)) {
    case WH_JSON_OBJECT:
        CHECK(json_is_object(json) && json_object_size(json) == v->size);
        at = json_object_iter(json);
        for (apr_uint32_t i = 0; i < v->size; i++) {
            const wh_json_member *m = &v->u.members[i];
            char *name = apr_palloc(p, m->name_len + 1);
            json_t *value;
            memcpy(name, m->name, m->name_len);
            name[m->name_len] = '\0';
            value = json_object_get(json, name);
            CHECK(value != NULL && strlen(name) == m->name_len);
            if (ordered) {
                CHECK(!strcmp(json_object_iter_key(at), name));
                at = json_object_iter_next(json, at);
            }
            compare(&m->value, value, ordered, p);
        }
        break;
    case WH_JSON_ARRAY:
        CHECK(json_is_array(json) && json_array_size(json) == v->size);
        for (apr_uint32_t i = 0; i < v->size; i++)
            compare(&v->u.items[i], json_array_get(json, i), ordered, p);
        break;
    case WH_JSON_STRING:
        CHECK(json_is_string(json) && json_string_length(json) == v->size && !memcmp(json_string_value(json), v->u.text, v->size));
        break;
    case WH_JSON_NUMBER:
        if (v->integer)
            CHECK(json_is_integer(json) && wh_json_int(v, &n) && json_integer_value(json) == n);
        else
            CHECK(json_is_real(json) && !wh_json_int(v, &n) && json_real_value(json) == strtod(wh_json_number(v, p), NULL));
        break;
    case WH_JSON_TRUE:
        CHECK(json_is_true(json));
        break;
    case WH_JSON_FALSE:
        CHECK(json_is_false(json));
        break;
    case WH_JSON_NULL:
        CHECK(json_is_null(json));
        break;
    }
}

/* jansson's stream marks the end of what was put back by a NUL: one that was put back itself is gone. */
static webhook_slice without_lost_nul(webhook_slice text, apr_pool_t *p)
{
    char *copy = apr_pmemdup(p, text.data, text.len);

    for (apr_size_t i = 1; i < text.len; i++) {
        char before = text.data[i - 1];
        if (!text.data[i] && ((before >= '0' && before <= '9') || (before >= 'a' && before <= 'z')))
            copy[i] = ' ';
    }
    text.data = copy;
    return text;
}

static void check_oracle(webhook_slice text, const wh_json *doc, const wh_json_error *err, const wh_json_limits *limits, apr_pool_t *p)
{
    size_t flags = limits->allow & WH_JSON_NULS ? JSON_DECODE_ANY | JSON_ALLOW_NUL : JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
    json_error_t error;
    json_t *json = json_loadb(text.len ? text.data : "", text.len, flags, &error);

    if (json && doc) {
        compare(&doc->root, json, !(limits->allow & WH_JSON_DUPLICATES), p);
    }
    else if (json) {
        measure m = { 0, 0, 0, 0 };
        measure_oracle(json, 0, &m);
        if (!strcmp(err->reason, "nul")) {
            wh_json *other;
            wh_json_error why;
            CHECK(wh_json_parse(&other, without_lost_nul(text, p), limits, p, &why) == APR_SUCCESS);
            compare(&other->root, json, !(limits->allow & WH_JSON_DUPLICATES), p);
        }
        else if (!strcmp(err->reason, "depth"))
            CHECK(m.depth > limits->depth);
        else if (!strcmp(err->reason, "values"))
            CHECK(m.values > limits->values);
        else if (!strcmp(err->reason, "members"))
            CHECK(m.members > limits->members);
        else
            CHECK(!strcmp(err->reason, "name-length") && m.name_len > limits->name_len);
    }
    else if (doc) {
        unsigned found = features(text);
        switch (json_error_code(&error)) {
        case json_error_numeric_overflow:
            CHECK(found & HAS_BIG_NUMBER);
            break;
        case json_error_null_byte_in_key:
            CHECK(limits->allow & WH_JSON_NULS && found & HAS_NUL_NAME);
            break;
        default:
            CHECK(limits->allow & WH_JSON_SURROGATES && found & HAS_LONE_SURROGATE);
        }
    }
    json_decref(json);
}

#else

static void check_oracle(webhook_slice text, const wh_json *doc, const wh_json_error *err, const wh_json_limits *limits, apr_pool_t *p)
{
    (void)text, (void)doc, (void)err, (void)limits, (void)p;
}

#endif

/* ---- one input ---- */

static void check_writing(const char *copy, size_t size, apr_pool_t *p)
{
    webhook_slice back, s;
    wh_json_error err;
    wh_json *again;
    wh_buf b;

    wh_buf_init(&b, p, 0);
    wh_json_put_string(&b, copy, size);
    back.data = b.data;
    back.len = b.len;
    CHECK(strlen(b.data) >= 2 && wh_utf8_valid(b.data, b.len));
    if (!memchr(copy, '\0', size)) {
        CHECK(wh_json_parse(&again, back, NULL, p, &err) == APR_SUCCESS);
        s = wh_json_string(wh_json_root(again));
        if (wh_utf8_valid(copy, size))
            CHECK(s.len == size && !memcmp(s.data, copy, size));
    }
    wh_buf_init(&b, p, 0);
    b.max = 1 + size / 2;
    wh_json_put_string(&b, copy, size);
    CHECK(b.len <= b.max && b.overflow == (back.len > b.max) && !memcmp(b.data, back.data, b.len) && !b.data[b.len]);
}

/* One text: by the rules for bodies and for files. */
static void check_text(webhook_slice text, wh_json **docs, apr_pool_t *p)
{
    static const wh_json_limits *const all[] = { &wh_json_strict, &wh_json_plain };

    for (int i = 0; i < 2; i++) {
        wh_json_error err = { NULL, 0 };
        measure m = { 0, 0, 0, 0 };
        if (wh_json_parse(&docs[i], text, all[i], p, &err) == APR_SUCCESS) {
            visit(docs[i], wh_json_root(docs[i]), all[i]->allow, 0, &m);
            if (i == 0)
                check_budgets(docs[i], &m, p);
        }
        else {
            CHECK(!docs[i] && err.reason && strcmp(err.reason, "memory") && err.offset <= text.len);
        }
        check_oracle(text, docs[i], &err, all[i], p);
    }
    CHECK(!docs[0] || docs[1]);
}

/* Change one place of `copy`, which has room for a byte more. The input alone decides how. @return the new length */
static size_t vary(char *copy, size_t size, uint64_t *state)
{
    static const char bytes[] = "\"\\{}[],:0123456789eE.+-truefalsn /u\0\x1f\x80\xbf\xc3\xed\xf0\xff\n";
    size_t at;
    char c;

    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    at = (size_t)(*state >> 40) % (size + 1);
    c = bytes[(*state >> 32 & 0xff) % (sizeof(bytes) - 1)];
    switch (*state >> 29 & 7) {
    case 0: /* cut */
        return at;
    case 1: /* left out */
    case 2:
        if (at == size)
            return size;
        memmove(copy + at, copy + at + 1, size - at - 1);
        return size - 1;
    case 3: /* put in */
    case 4:
        memmove(copy + at + 1, copy + at, size - at);
        copy[at] = c;
        return size + 1;
    default: /* replaced */
        if (at < size)
            copy[at] = c;
        return size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    webhook_slice text;
    wh_json *docs[2], *others[2];
    wh_json_pointer *ptr;
    uint64_t state = size;
    char *copy;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    /* of exactly this size: a byte beyond is seen by the sanitizer */
    copy = malloc(size ? size : 1);
    CHECK(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    text.data = copy;
    text.len = size;
    CHECK(wh_json_scan((unsigned char *)copy, (unsigned char *)copy + size) == wh_json_scan_bytes((unsigned char *)copy, (unsigned char *)copy + size));
    CHECK(wh_json_blanks((unsigned char *)copy, (unsigned char *)copy + size) == wh_json_blanks_bytes((unsigned char *)copy, (unsigned char *)copy + size));
    check_text(text, docs, pool);
    if (size && data[size - 1] == '\0' && !wh_json_pointer_compile_list(&ptr, copy, pool)) {
        apr_array_header_t *found = apr_array_make(pool, 4, sizeof(const wh_json_value *));
        wh_json_pointer_list(docs[1], ptr, found, 100);
        CHECK(found->nelts <= 100);
    }
    check_writing(copy, size, pool);
    free(copy);

    /* Inputs of its own kind beside it: what surrounds the parsers costs more than they do. */
    for (size_t i = 0; i < size && i < 256; i++)
        state = state * 31 + data[i];
    for (int i = 1; size && i < INPUTS; i++) {
        copy = malloc(size + 1);
        CHECK(copy != NULL);
        memcpy(copy, data, size);
        text.len = vary(copy, size, &state);
        text.data = realloc(copy, text.len ? text.len : 1);
        CHECK(text.data != NULL);
        check_text(text, others, pool);
        free((void *)(uintptr_t)text.data);
    }
    apr_pool_clear(pool);
    return 0;
}
