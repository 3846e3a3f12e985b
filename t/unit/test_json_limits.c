/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile document may cost the JSON reader, and that nothing it reads is changed: limits to the byte, nesting on a small stack,
 * memory of the shapes that amplify most, and both twins of every scan.
 */
#include "json_text.h"
#include "memory.h"

#include <apr_general.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/json_scan.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static unsigned long long random_state = 88172645463325252ull;

static unsigned long long random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* `times` of `unit`, between brackets, without the last byte of the last one (its comma) */
static webhook_slice repeated(const char *open, const char *unit, apr_size_t times, const char *close)
{
    apr_size_t len = strlen(unit);
    webhook_slice text;
    wh_buf b;

    wh_buf_init(&b, pool, len * times + 16);
    wh_buf_adds(&b, open);
    for (apr_size_t i = 0; i < times; i++)
        wh_buf_add(&b, unit, len);
    b.len--;
    wh_buf_adds(&b, close);
    text.data = b.data;
    text.len = b.len;
    return text;
}

static void test_limits(void)
{
    webhook_slice text;
    apr_size_t offset;
    wh_json *doc;
    char *name = apr_palloc(pool, 1100);

    is_str(reason_of(repeated("[", "0,", 99999, "]"), NULL, &doc, NULL), NULL, "100,000 values");
    is_int(wh_json_size(wh_json_root(doc)), 99999, "are all there");
    text = repeated("[", "0,", 100000, "]");
    is_str(reason_of(text, NULL, &doc, &offset), "values", "one more is too many");
    is_int(offset, text.len - 2, "noticed at it");
    ok(doc == NULL, "and nothing is left");
    is_str(reason_of(repeated("[", "0,", 100000, "]"), &wh_json_plain, &doc, NULL), NULL, "a file may have them");
    /* 1 MiB and a byte: the second MiB has begun */
    text = repeated("[", "0,       ", 120000, "0]"); /* a number in the place of the last blank */
    is_int(text.len > (1 << 20), 1, "more than 1 MiB");
    is_str(reason_of(text, NULL, &doc, NULL), NULL, "may have 100,000 more");
    is_int(wh_json_size(wh_json_root(doc)), 120001, "and has them");
    is_str(reason_of(repeated("[", "0,     ", 140000, "0]"), NULL, &doc, NULL), "values", "in less than 1 MiB they are too many");

    is_str(reason_of(named(10000, ""), NULL, &doc, NULL), NULL, "10,000 members");
    is_str(reason_of(named(10001, ""), NULL, &doc, &offset), "members", "one more is too many");
    is_int(offset, named(10000, "").len, "noticed at its name");
    is_str(reason_of(named(10001, ""), &wh_json_plain, &doc, NULL), NULL, "a file may have it");

    memset(name, 'n', 1100);
    is_str(reason_of(slice(apr_psprintf(pool, "{\"%.1024s\":1}", name)), NULL, &doc, NULL), NULL, "a name of 1,024 bytes");
    is_str(reason_of(slice(apr_psprintf(pool, "{\"a\":0,\"%.1025s\":1}", name)), NULL, &doc, &offset), "name-length", "one more is too many");
    is_int(offset, 7, "noticed at its quote");
    is_str(reason_of(slice(apr_psprintf(pool, "{\"%.1018s\\u00e9%.4s\":1}", name, name)), NULL, &doc, NULL), NULL, "escapes count as what they mean");
    is_str(reason_of(slice(apr_psprintf(pool, "[\"%.1100s\"]", name)), NULL, &doc, NULL), NULL, "strings are not bounded");
    text.data = name;
    text.len = (apr_size_t)UINT32_MAX;
    is_str(reason_of(text, &wh_json_plain, &doc, &offset), "size", "4 GiB less a byte");
    is_int(offset, 0, "are not looked at");
}

static void test_offsets(void)
{
#define ROW(text, reason, offset) { text, sizeof(text) - 1, reason, offset }
    static const struct {
        const char *text;
        apr_size_t len;
        const char *reason;
        apr_size_t offset;
    } rows[] = {
        ROW("", "syntax", 0), ROW("  ", "syntax", 2), ROW("[1, x]", "syntax", 4), ROW("[1,]", "syntax", 3), ROW("{\"a\" 1}", "syntax", 5),
        ROW("{\"a\":1,}", "syntax", 7), ROW("[1}", "syntax", 2), ROW("[truth]", "syntax", 4), ROW("[1] 2", "syntax", 4), ROW("[01]", "syntax", 2),
        ROW("[\"abc", "syntax", 5), ROW("[\"a\\q\"]", "syntax", 3), ROW("[\"a\nb\"]", "syntax", 3), ROW("[-]", "syntax", 2),
        ROW("[1.x]", "syntax", 3), ROW("[\"a\\u12g4\"]", "syntax", 3), ROW("{\"a\":{\"b\":[1,2", "syntax", 14),
        ROW("[\"\xc3\xbc\xff\"]", "utf8", 4), ROW("[\"0123456789abcdef0123\xe2\x82\"]", "utf8", 22), ROW("\xef\xbb\xbf{}", "bom", 0),
        ROW("[\"a\0\"]", "nul", 3), ROW("[\"abc\\u0000\"]", "nul", 5), ROW("[\0]", "nul", 1), ROW("[1\0]", "nul", 2), ROW("{}\0", "nul", 2),
        ROW("[\"ab\\ud800\"]", "surrogate", 4), ROW("[\"ab\\udc00\\ud800\"]", "surrogate", 4),
        ROW("{\"a\":1,\"a\":2}", "duplicate-name", 7), ROW("{ \"a\" : 1 , \"a\" : 2 }", "duplicate-name", 12),
        ROW("{\"a\":1,\"b\":2,\"\\u0061\" : 3}", "duplicate-name", 13), ROW("{\"\\\"\":1,\"\\u0022\":2}", "duplicate-name", 8),
        ROW("{\"\\\\\":1,\"\\\\\":2}", "duplicate-name", 8), ROW("{\"a\\\\\\\"b\":1,\"a\\\\\\\"b\":2}", "duplicate-name", 12),
        ROW("[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]", "duplicate-name", 19), ROW("{\"\":1,\"\":2}", "duplicate-name", 6),
    };
    wh_json *doc;
    apr_size_t offset;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        webhook_slice text = { rows[i].text, rows[i].len };
        is_str(reason_of(text, NULL, &doc, &offset), rows[i].reason, "row %d", (int)i);
        is_int(offset, rows[i].offset, "noticed where it is");
    }
}

/* ---- nesting ---- */

static webhook_slice nested(apr_size_t depth, int closed, int objects)
{
    webhook_slice text;
    wh_buf b;

    wh_buf_init(&b, pool, depth * 8);
    for (apr_size_t i = 0; i < depth; i++)
        wh_buf_adds(&b, objects ? "{\"a\":" : "[");
    if (closed) {
        wh_buf_adds(&b, "1");
        for (apr_size_t i = 0; i < depth; i++)
            wh_buf_adds(&b, objects ? "}" : "]");
    }
    text.data = b.data;
    text.len = b.len;
    return text;
}

static void *nest(void *unused)
{
    apr_size_t offset;
    wh_json *doc;

    (void)unused;
    for (int objects = 0; objects < 2; objects++) {
        const int step = objects ? 5 : 1;
        is_str(reason_of(nested(63, 1, objects), NULL, &doc, NULL), NULL, "63 inside each other");
        is_str(reason_of(nested(64, 1, objects), NULL, &doc, NULL), NULL, "64");
        is_str(reason_of(nested(65, 1, objects), NULL, &doc, &offset), "depth", "65 are too many");
        is_int(offset, 64 * step, "noticed at the last");
        is_str(reason_of(nested(1024, 1, objects), &wh_json_plain, &doc, NULL), NULL, "1,024 in a file");
        is_str(reason_of(nested(1025, 1, objects), &wh_json_plain, &doc, NULL), "depth", "1,025");
        for (apr_size_t depth = 2047; depth <= 2049; depth++)
            is_str(reason_of(nested(depth, 1, objects), NULL, &doc, NULL), "depth", "%d", (int)depth);
        is_str(reason_of(nested(1000000, 0, objects), NULL, &doc, &offset), "depth", "a million, never closed");
        is_int(offset, 64 * step, "are noticed at the same place");
        is_str(reason_of(nested(1000000, 1, objects), &wh_json_plain, &doc, NULL), "depth", "a million in a file");
    }
    is_str(reason_of(slice("[[[[]]],[[[]]],{\"a\":[[]]}]"), &(wh_json_limits){ 4, 100, 10, 10, 0 }, &doc, NULL), NULL, "depth is not a sum");
    is_str(reason_of(slice("[[[[[]]]]]"), &(wh_json_limits){ 4, 100, 10, 10, 0 }, &doc, &offset), "depth", "an empty one counts");
    is_int(offset, 4, "there");
    return NULL;
}

static void test_depth(void)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    is_int(pthread_create(&thread, &attr, nest, NULL), 0, "a thread with a stack of 256 KiB");
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
}

/* ---- memory ---- */

/* Whether a process that may not take more than `more` bytes of data can parse this. */
static int parses_within(webhook_slice text, apr_size_t more, const char *reason)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        struct rlimit limit;
        const char *got;
        wh_json *doc;

        limit.rlim_cur = limit.rlim_max = mapped() + more;
        if (setrlimit(RLIMIT_DATA, &limit))
            _exit(4);
        got = reason_of(text, NULL, &doc, NULL);
        _exit(got ? !reason || strcmp(got, reason) != 0 : reason != NULL);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void test_memory(void)
{
    /* bytes of text and of memory for each value; the fifth are members, the sixth escapes */
    static const struct {
        const char *open, *unit, *close;
        int most; /* bytes of memory a byte of text */
    } shapes[] = {
        { "[", "{},", "]", 9 }, { "[", "[],", "]", 9 }, { "[", "\"\",", "]", 9 }, { "[", "0,", "]", 13 }, { "[", "[0],", "]", 13 },
        { "[", "{\"\":0},", "]", 11 }, { "[", "\"\\n\",", "]", 8 },
    };
    const char *preload = getenv("LD_PRELOAD");
    int counted = !SANITIZED && !(preload && strstr(preload, "vgpreload"));
    apr_pool_t *outer = pool;
    wh_json *doc;

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        apr_size_t units = 65536 / strlen(shapes[i].unit), taken;
        usage before;
        webhook_slice text = repeated(shapes[i].open, shapes[i].unit, units, shapes[i].close), large;
        apr_allocator_t *own;

        apr_allocator_create(&own);
        before = in_use();
        apr_pool_create_ex(&pool, NULL, NULL, own);
        is_str(reason_of(text, NULL, &doc, NULL), NULL, "64 KiB of %s", shapes[i].unit);
        taken = used_since(before);
        if (counted)
            ok(taken > text.len && taken <= text.len * (apr_size_t)shapes[i].most + 32768, "take %.1f bytes a byte, %d and a bit at most",
               (double)taken / (double)text.len, shapes[i].most);
        apr_pool_destroy(pool);
        apr_allocator_destroy(own);
        pool = outer;
        if (counted) {
            large = repeated(shapes[i].open, shapes[i].unit, (1 << 20) / strlen(shapes[i].unit), shapes[i].close);
            ok(parses_within(large, 9 << 20, "values"), "1 MiB of them is refused within 9 MiB");
            large = repeated(shapes[i].open, shapes[i].unit, i < 4 || i == 6 ? 99999 : 49999, shapes[i].close);
            ok(parses_within(large, 9 << 20, NULL), "as many values as may be are taken within 9 MiB");
        }
    }
    if (counted) {
        ok(parses_within(named(10000, ""), 4 << 20, NULL), "the largest object is taken within 4 MiB");
        ok(!parses_within(repeated("[", "0,", 99999, "]"), 1 << 20, NULL), "the measure measures");
    }
    else {
        diag("memory is not counted here");
    }
}

/* ---- scans ---- */

static void test_twins(void)
{
    static const unsigned char special[] = { 0, 1, 0x1f, 0x20, '"', '\\', 0x7f, 0x80, 0xc3, 0xff, '\n', '\r', '\t', 'a' };
    unsigned char *bytes = malloc(80);
    int wrong = 0;

    for (int round = 0; round < 200000; round++) {
        apr_size_t len = random_next() % 80;
        unsigned char *at = bytes + (80 - len), *end = bytes + 80; /* up to the very end of the allocation */
        for (apr_size_t i = 0; i < len; i++) {
            unsigned long long r = random_next();
            at[i] = r % 29 == 0 ? special[(r >> 8) % sizeof(special)] : (r >> 8) % 3 ? (unsigned char)(0x20 + (r >> 16) % 0x5f) : (unsigned char)' ';
            if (round % 3 == 0 && r % 23)
                at[i] = (unsigned char)" \n\t\r"[(r >> 30) % 4];
        }
        wrong += wh_json_scan(at, end) != wh_json_scan_bytes(at, end);
        wrong += wh_json_blanks(at, end) != wh_json_blanks_bytes(at, end);
    }
    for (int c = 0; c < 256; c++) { /* every byte at every place of a block and beyond */
        for (int place = 0; place < 40; place++) {
            memset(bytes, 'x', 40);
            bytes[place] = (unsigned char)c;
            wrong += wh_json_scan(bytes, bytes + 40) != wh_json_scan_bytes(bytes, bytes + 40);
            wrong += (wh_json_scan(bytes, bytes + 40) == bytes + place) != (c < 0x20 || c > 0x7f || c == '"' || c == '\\');
            memset(bytes, ' ', 40);
            bytes[place] = (unsigned char)c;
            wrong += wh_json_blanks(bytes, bytes + 40) != wh_json_blanks_bytes(bytes, bytes + 40);
            wrong += (wh_json_blanks(bytes, bytes + 40) == bytes + 40) != (c == ' ' || c == '\n' || c == '\r' || c == '\t');
        }
    }
    free(bytes);
    is_int(wrong, 0, "sixteen at once find what one at a time find");
}

/* Well-formed UTF-8 and nothing else: every sequence of up to three bytes, and those of four at their borders, against the definition. */
static int is_utf8(const unsigned char *s, int len)
{
    unsigned code = s[0];
    int need = code < 0x80 ? 1 : code < 0xc0 ? 0 : code < 0xe0 ? 2 : code < 0xf0 ? 3 : code < 0xf8 ? 4 : 0;

    if (need != len)
        return 0;
    if (need > 1)
        code &= 0x7fu >> need;
    for (int i = 1; i < need; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) && (need < 2 || code >= 0x80) && (need < 3 || code >= 0x800) && (need < 4 || code >= 0x10000);
}

static void test_utf8(void)
{
    int wrong = 0;

    for (unsigned a = 0x80; a < 0x100; a++) {
        for (unsigned b = 0; b < 0x100; b++) {
            unsigned char two[2] = { (unsigned char)a, (unsigned char)b };
            wrong += (wh_json_scan_utf8(two, two + 2) == two + 2) != (is_utf8(two, 2) || 0);
            for (unsigned c = 0x7e; c < 0xc2; c++) {
                unsigned char three[3] = { (unsigned char)a, (unsigned char)b, (unsigned char)c };
                int want = is_utf8(three, 3);
                wrong += (wh_json_scan_utf8(three, three + 3) == three + 3) != want;
                for (unsigned d = 0x7f; d < 0xc1; d += a < 0xef || a > 0xf5 ? 0x41 : 1) {
                    unsigned char four[4] = { (unsigned char)a, (unsigned char)b, (unsigned char)c, (unsigned char)d };
                    /* two of two bytes are well-formed too */
                    want = is_utf8(four, 4) || (is_utf8(four, 2) && is_utf8(four + 2, 2));
                    if (four[2] >= 0x80 && four[3] >= 0x80)
                        wrong += (wh_json_scan_utf8(four, four + 4) == four + 4) != want;
                }
            }
        }
    }
    is_int(wrong, 0, "well-formed UTF-8 and nothing else");
}

/* ---- nothing is altered ---- */

static void put_blanks(wh_buf *pretty)
{
    static const char *const blanks[] = { "", "", "", " ", "\n", "\t", "\r\n", "  ", "\n                    " };

    wh_buf_adds(pretty, blanks[random_next() % 9]);
}

static void put_scalar(wh_buf *pretty, wh_buf *compact)
{
    static const char *const scalars[] = { "0", "-0", "1.50", "-1e400", "123456789012345678901234567890", "true", "false", "null", "\"\"", "\"a\"",
                                           "\"gr\xc3\xbc\xc3\x9f\"", "\"\\u0041\\ud83d\\ude00\\n\\/\"", "\"\xf0\x9f\x98\x80 0123456789abcdef\"", "1E+2",
                                           "\"a long one without anything special in it, over more than a block\"", "9223372036854775807" };
    const char *s = scalars[random_next() % 16];

    wh_buf_adds(pretty, s);
    wh_buf_adds(compact, s);
}

/* A document at random, with blanks and without. */
static void put_random(wh_buf *pretty, wh_buf *compact, int depth)
{
    int kind = (int)(random_next() % (depth > 5 ? 2 : 4)), count, object = kind == 3;

    if (kind < 2) {
        put_scalar(pretty, compact);
        return;
    }
    count = (int)(random_next() % 5);
    wh_buf_adds(pretty, object ? "{" : "[");
    wh_buf_adds(compact, object ? "{" : "[");
    put_blanks(pretty);
    for (int i = 0; i < count; i++) {
        if (i) {
            wh_buf_adds(pretty, ",");
            wh_buf_adds(compact, ",");
            put_blanks(pretty);
        }
        if (object) {
            char name[40];
            snprintf(name, sizeof(name), "\"%c\xc3\xbc%llu\"", 'a' + i, random_next() % 100);
            wh_buf_adds(pretty, name);
            wh_buf_adds(compact, name);
            put_blanks(pretty);
            wh_buf_adds(pretty, ":");
            wh_buf_adds(compact, ":");
            put_blanks(pretty);
        }
        put_random(pretty, compact, depth + 1);
        put_blanks(pretty);
    }
    wh_buf_adds(pretty, object ? "}" : "]");
    wh_buf_adds(compact, object ? "}" : "]");
}

/* The document put together again from what the values say their source is. */
static void put_sources(wh_buf *b, const wh_json *doc, const wh_json_value *v)
{
    webhook_slice s = wh_json_source(doc, v);

    if (v->type != WH_JSON_ARRAY && v->type != WH_JSON_OBJECT) {
        wh_buf_add(b, s.data, s.len);
        return;
    }
    wh_buf_adds(b, v->type == WH_JSON_ARRAY ? "[" : "{");
    for (apr_uint32_t i = 0; i < v->size; i++) {
        if (i)
            wh_buf_adds(b, ",");
        if (v->type == WH_JSON_OBJECT) {
            wh_buf_adds(b, "\"");
            wh_buf_add(b, v->u.members[i].name, v->u.members[i].name_len);
            wh_buf_adds(b, "\":");
        }
        put_sources(b, doc, v->type == WH_JSON_ARRAY ? &v->u.items[i] : &v->u.members[i].value);
    }
    wh_buf_adds(b, v->type == WH_JSON_ARRAY ? "]" : "}");
}

static void test_sources(void)
{
    apr_pool_t *outer = pool;
    int wrong = 0, containers = 0;

    apr_pool_create(&pool, outer);
    for (int i = 0; i < 100000; i++) {
        wh_buf pretty, compact, again;
        webhook_slice text, source;
        char *copy;
        wh_json *doc;

        wh_buf_init(&pretty, pool, 256);
        wh_buf_init(&compact, pool, 256);
        wh_buf_init(&again, pool, 256);
        put_blanks(&pretty);
        put_random(&pretty, &compact, 0);
        text.data = copy = apr_pmemdup(pool, pretty.data, pretty.len + 1);
        text.len = pretty.len;
        if (reason_of(text, NULL, &doc, NULL)) {
            wrong++;
            continue;
        }
        containers += wh_json_size(wh_json_root(doc)) > 0;
        source = wh_json_source(doc, wh_json_root(doc));
        wrong += source.len != text.len - strspn(text.data, " \t\r\n") || memcmp(source.data, text.data + strspn(text.data, " \t\r\n"), source.len) != 0;
        put_sources(&again, doc, wh_json_root(doc));
        wrong += again.len != compact.len || memcmp(again.data, compact.data, compact.len) != 0;
        wrong += memcmp(copy, pretty.data, pretty.len + 1) != 0; /* and the text was only read */
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    pool = outer;
    is_int(wrong, 0, "100,000 documents at random are their sources, byte for byte");
    ok(containers > 30000, "many of them large (%d)", containers);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_limits();
    test_offsets();
    test_depth();
    test_memory();
    test_twins();
    test_utf8();
    test_sources();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
