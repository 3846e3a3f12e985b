/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON strictly, pointers, and writing it so that it comes back.
 */
#include "tap.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <stdint.h>

#include "core/encoding.h"
#include "core/json.h"

static apr_pool_t *pool;

static wh_json *parse(const char *text, apr_size_t len, wh_json_error *err)
{
    /* a copy of exactly this length, which lives as long as the document may */
    webhook_slice s = { len ? apr_pmemdup(pool, text, len) : NULL, len };
    wh_json *doc = NULL;

    err->reason = NULL;
    err->offset = 0;
    if (wh_json_parse(&doc, s, NULL, pool, err) == APR_SUCCESS)
        return doc;
    if (doc || !err->reason)
        err->reason = "wrong refusal";
    return NULL;
}

static const wh_json_value *root_of(const char *text)
{
    wh_json_error err;
    const wh_json *doc = parse(text, strlen(text), &err);

    if (!doc)
        diag("%s at %d: %s", err.reason, (int)err.offset, text);
    return wh_json_root(doc);
}

static void test_refusals(void)
{
#define ROW(text, reason) { text, sizeof(text) - 1, reason }
    static const struct {
        const char *text;
        apr_size_t len;
        const char *reason; /* NULL: taken */
    } rows[] = {
        ROW("", "syntax"),
        ROW(" ", "syntax"),
        ROW("{", "syntax"),
        ROW("}", "syntax"),
        ROW("[1,]", "syntax"),
        ROW("{\"a\":1,}", "syntax"),
        ROW("{a:1}", "syntax"),
        ROW("{'a':1}", "syntax"),
        ROW("[1 2]", "syntax"),
        ROW("1 2", "syntax"),
        ROW("{} x", "syntax"),
        ROW("{}{}", "syntax"),
        ROW("[01]", "syntax"),
        ROW("[+1]", "syntax"),
        ROW("[.5]", "syntax"),
        ROW("[1.]", "syntax"),
        ROW("[1e]", "syntax"),
        ROW("[-]", "syntax"),
        ROW("[0x1]", "syntax"),
        ROW("[NaN]", "syntax"),
        ROW("[Infinity]", "syntax"),
        ROW("[TRUE]", "syntax"),
        ROW("[nul]", "syntax"),
        ROW("// c\n1", "syntax"),
        ROW("\xef\xbb\xbf{}", "bom"),
        ROW("\"\t\"", "syntax"),
        ROW("\"\\x\"", "syntax"),
        ROW("\"\\u12\"", "syntax"),
        ROW("\"\\ud800\"", "surrogate"),
        ROW("\"\\udc00\"", "surrogate"),
        ROW("\"\\ud800\\u0041\"", "surrogate"),
        ROW("\"open", "syntax"),
        ROW("\"open\\", "syntax"),
        ROW("\"\xff\"", "utf8"),
        ROW("\"\xc0\x80\"", "utf8"),
        ROW("\"\xed\xa0\x80\"", "utf8"),
        ROW("\"a\0b\"", "nul"),
        ROW("{}\0", "nul"),
        ROW("\"\\u0000\"", "nul"),
        ROW("{\"\\u0000\":1}", "nul"),
        ROW("{\"a\":1,\"a\":2}", "duplicate-name"),
        ROW("{\"a\":1,\"\\u0061\":2}", "duplicate-name"),
        ROW("{\"x\":{\"a\":1,\"b\":2,\"a\":3}}", "duplicate-name"),
        ROW("9223372036854775808", NULL),
        ROW("-9223372036854775809", NULL),
        ROW("[123456789012345678901234567890]", NULL),
        ROW("1e400", NULL),
        ROW("null", NULL),
        ROW("\"x\"", NULL),
        ROW("\t\r\n {} \n", NULL),
        ROW("9223372036854775807", NULL),
        ROW("\"\\ud83d\\ude00\"", NULL),
    };
    wh_json_error err;
    wh_json *doc;
    char *deep = apr_palloc(pool, 200001);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        parse(rows[i].text, rows[i].len, &err);
        is_str(err.reason, rows[i].reason, "row %d", (int)i);
        ok(err.offset <= rows[i].len, "and its offset is inside");
    }
    parse("[1, x]", 6, &err);
    ok(err.offset >= 4 && err.offset <= 5, "the offset is where the mistake is (%d)", (int)err.offset);

    memset(deep, '[', 200000);
    parse(deep, 200000, &err);
    is_str(err.reason, "depth", "200000 brackets");
    is_int(err.offset, 64, "at the 65th");
    memset(deep + 64, ']', 64);
    ok(parse(deep, 128, &err) != NULL, "64 are taken");
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    ok(!parse(deep, 130, &err), "65 are not");
    is_str(err.reason, "depth", "for that reason");
    memset(deep, '[', 200);
    memcpy(deep, "[\"\\\"{", 5);
    memcpy(deep + 198, "\"]", 2);
    doc = parse(deep, 200, &err);
    is_int(wh_json_string(wh_json_at(wh_json_root(doc), 0)).len, 195, "brackets in strings do not count");
    ok(!parse(deep, 199, &err) && !strcmp(err.reason, "syntax"), "also when the end is missing");
    memset(deep, ',', 200000);
    parse(deep, 200000, &err);
    is_str(err.reason, "syntax", "many commas");
}

static void test_values_limit(void)
{
    apr_size_t n = (1 << 20) + 2, len = 2 * n + 1;
    char *text = malloc(len);
    wh_json *doc = NULL;
    wh_json_error err;
    webhook_slice s = { text, len };

    text[0] = '[';
    for (apr_size_t i = 0; i < n; i++) {
        text[1 + 2 * i] = '1';
        text[2 + 2 * i] = i + 1 < n ? ',' : ']';
    }
    is_int(wh_json_parse(&doc, s, NULL, pool, &err), APR_EINVAL, "a million values and more are refused");
    is_str(err.reason, "values", "for that reason");
    free(text);
}

static void test_tree(void)
{
    const wh_json_value *root = root_of("{\"s\":\"gr\\u00fc\\u00df\",\"n\":null,\"t\":true,\"f\":false,\"i\":-12,\"z\":0,"
                                        "\"r\":1.50,\"e\":1E+2,\"big\":0.1000000000000000055511151231257827,"
                                        "\"a\":[1,2.0,\"x\",[],{\"d\":3.25}],\"\":\"empty\",\"m\":-0,\"q\":\"1.5\",\"es\":\"\"}");
    const wh_json_value *a = wh_json_get(root, "a");
    webhook_slice s;

    is_int(wh_json_typeof(root), WH_JSON_OBJECT, "an object");
    is_int(wh_json_size(root), 14, "of 14 members");
    s = wh_json_string(wh_json_get(root, "s"));
    is_mem(s.data, s.len, "gr\xc3\xbc\xc3\x9f", 6, "string");
    is_int(wh_json_typeof(wh_json_get(root, "n")), WH_JSON_NULL, "null");
    is_int(wh_json_typeof(wh_json_get(root, "t")), WH_JSON_TRUE, "true");
    is_int(wh_json_typeof(wh_json_get(root, "f")), WH_JSON_FALSE, "false");
    is_int(wh_json_typeof(wh_json_get(root, "i")), WH_JSON_NUMBER, "number");
    is_str(wh_json_number(wh_json_get(root, "i"), pool), "-12", "integer");
    is_str(wh_json_number(wh_json_get(root, "z"), pool), "0", "zero");
    is_str(wh_json_number(root_of("-0"), pool), "-0", "minus zero");
    is_str(wh_json_number(root_of("123456789012345678901234567890"), pool), "123456789012345678901234567890", "more than 64 bits");
    is_str(wh_json_number(root_of("1e400"), pool), "1e400", "more than a double");
    is_int(wh_json_typeof(wh_json_get(root, "r")), WH_JSON_NUMBER, "a real is a number");
    is_str(wh_json_number(wh_json_get(root, "r"), pool), "1.50", "with its text");
    is_str(wh_json_number(wh_json_get(root, "e"), pool), "1E+2", "exponents too");
    is_str(wh_json_number(wh_json_get(root, "big"), pool), "0.1000000000000000055511151231257827", "all digits");
    ok(!wh_json_string(wh_json_get(root, "r")).data, "it is no string");
    is_str(wh_json_number(wh_json_get(root, "q"), pool), NULL, "a string is no number");
    is_int(wh_json_typeof(wh_json_get(root, "es")), WH_JSON_STRING, "the empty string is a string");
    ok(wh_json_string(wh_json_get(root, "es")).data && !wh_json_string(wh_json_get(root, "es")).len, "and empty");
    is_int(wh_json_typeof(a), WH_JSON_ARRAY, "array");
    is_int(wh_json_size(a), 5, "of 5");
    is_str(wh_json_number(wh_json_at(a, 1), pool), "2.0", "a real in an array");
    is_str(wh_json_number(wh_json_get(wh_json_at(a, 4), "d"), pool), "3.25", "and deeper");
    ok(!wh_json_at(a, 5), "nothing behind the end");
    ok(!wh_json_at(root, 0), "an object has no elements");
    ok(!wh_json_get(a, "x"), "an array has no members");
    ok(!wh_json_get(root, "nope"), "a missing member");
    is_str(wh_json_text(wh_json_get(root, ""), pool), "empty", "the member without a name");

    is_str(wh_json_text(wh_json_get(root, "q"), pool), "1.5", "text of a string");
    is_str(wh_json_text(wh_json_get(root, "r"), pool), "1.50", "of a number");
    is_str(wh_json_text(wh_json_get(root, "t"), pool), "true", "of true");
    is_str(wh_json_text(wh_json_get(root, "f"), pool), "false", "of false");
    is_str(wh_json_text(wh_json_get(root, "n"), pool), NULL, "of null");
    is_str(wh_json_text(a, pool), NULL, "of an array");
    is_str(wh_json_text(NULL, pool), NULL, "of nothing");
    is_int(wh_json_size(NULL), 0, "size of nothing");
    ok(!wh_json_get(NULL, "x") && !wh_json_at(NULL, 0), "members of nothing");
    is_int(wh_json_typeof(NULL), WH_JSON_NULL, "type of nothing");
    is_str(wh_json_text(root_of("2.50"), pool), "2.50", "a number alone");
    is_str(wh_json_text(root_of(" -0.0e-3 "), pool), "-0.0e-3", "with blanks around");
    is_str(wh_json_text(root_of("\"1.5\""), pool), "1.5", "a string alone");
    is_str(wh_json_number(wh_json_at(root_of("[\"1.5 \\\" 2.5\",3.5]"), 1), pool), "3.5", "digits in strings are no numbers");
}

/* many members, so that the order in which they come back matters */
static void test_order(void)
{
    wh_buf b;
    const wh_json_value *root;
    char name[16], want[32];
    int wrong = 0;

    wh_buf_init(&b, pool, 0);
    wh_buf_adds(&b, "{");
    for (int i = 0; i < 2000; i++)
        wh_buf_addf(&b, "%s\"k%d\":%s%d.%d0", i ? "," : "", i * 7919 % 2000, i % 3 ? "" : "-", i, i % 10);
    wh_buf_adds(&b, "}");
    root = root_of(b.data);
    for (int i = 0; i < 2000; i++) {
        const char *got;
        snprintf(name, sizeof(name), "k%d", i * 7919 % 2000);
        snprintf(want, sizeof(want), "%s%d.%d0", i % 3 ? "" : "-", i, i % 10);
        got = wh_json_number(wh_json_get(root, name), pool);
        wrong += !got || strcmp(got, want);
    }
    is_int(wrong, 0, "2000 numbers keep their text");
}

static void test_pointer(void)
{
    static const char text[] = /* RFC 6901 section 5 */
        "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,"
        "\"~1\":9,\"o\":{\"0\":10,\"01\":11,\"-\":12}}";
    static const struct {
        const char *pointer, *want;
    } rows[] = {
        { "/foo/0", "bar" }, { "/foo/1", "baz" }, { "/", "0" },      { "/a~1b", "1" },  { "/c%d", "2" },
        { "/e^f", "3" },     { "/g|h", "4" },     { "/i\\j", "5" },  { "/k\"l", "6" },  { "/ ", "7" },
        { "/m~0n", "8" },    { "/~01", "9" },     { "/o/0", "10" },  { "/o/01", "11" }, { "/o/-", "12" },
        { "/foo/2", NULL },  { "/foo/00", NULL }, { "/foo/01", NULL }, { "/foo/-", NULL }, { "/foo/", NULL },
        { "/foo/+1", NULL }, { "/foo/ 1", NULL }, { "/foo/1e0", NULL }, { "/foo/18446744073709551616", NULL },
        { "/foo/18446744073709551617", NULL },    { "/foo/0/x", NULL }, { "/nope", NULL }, { "/nope/x", NULL },
        { "//", NULL },      { "/FOO", NULL },
    };
    wh_json_error err;
    const wh_json *doc = parse(text, sizeof(text) - 1, &err);
    wh_json_pointer *ptr;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        is_str(wh_json_pointer_compile(&ptr, rows[i].pointer, pool), NULL, "pointer '%s'", rows[i].pointer);
        is_str(wh_json_text(wh_json_pointer_get(doc, ptr), pool), rows[i].want, "its value");
    }
    wh_json_pointer_compile(&ptr, "", pool);
    ok(wh_json_pointer_get(doc, ptr) == wh_json_root(doc), "the empty pointer is the document");
    ok(!wh_json_pointer_get(NULL, ptr), "without a document there is nothing");
    wh_json_pointer_compile(&ptr, "/foo", pool);
    is_int(wh_json_size(wh_json_pointer_get(doc, ptr)), 2, "a pointer to an array");
    is_str(wh_json_pointer_compile(&ptr, "foo", pool), "must begin with '/'", "no slash");
    is_str(wh_json_pointer_compile(&ptr, "#/foo", pool), "must begin with '/'", "the URI form");
    is_str(wh_json_pointer_compile(&ptr, "/a~", pool), "~ must be followed by 0 or 1", "a lone ~");
    is_str(wh_json_pointer_compile(&ptr, "/a~2", pool), "~ must be followed by 0 or 1", "another escape");
    is_str(wh_json_pointer_compile(&ptr, "/~/0", pool), "~ must be followed by 0 or 1", "~ before a slash");
}

static void check_list(const wh_json *doc, const char *pointer, int max, const char *want, int whole)
{
    apr_array_header_t *found = apr_array_make(pool, 4, sizeof(const wh_json_value *));
    wh_json_pointer *ptr;
    wh_buf b;

    is_str(wh_json_pointer_compile_list(&ptr, pointer, pool), NULL, "list '%s'", pointer);
    is_int(wh_json_pointer_list(doc, ptr, found, max), whole, whole ? "is whole" : "is cut");
    wh_buf_init(&b, pool, 0);
    for (int i = 0; i < found->nelts; i++) {
        webhook_slice s = wh_json_source(doc, APR_ARRAY_IDX(found, i, const wh_json_value *));
        wh_buf_addf(&b, "%s%.*s", i ? " " : "", (int)s.len, s.data);
    }
    is_str(b.data, want, "its values");
}

static void test_pointer_lists(void)
{
    static const char text[] = "{\"commits\":[{\"id\":1,\"files\":[\"a\",\"b\"]},{\"id\":2,\"files\":[]},{\"files\":[\"c\"]},7,null],"
                               "\"labels\":{\"x\":{\"n\":10},\"*\":{\"n\":20},\"y\":{\"m\":30}},\"deep\":[[[[1,2],[3]]],[[[4]]]],\"none\":null}";
    wh_json_error err;
    const wh_json *doc = parse(text, sizeof(text) - 1, &err);
    wh_json_pointer *ptr;

    check_list(doc, "/commits/*/id", 10, "1 2", 1);
    check_list(doc, "/commits/*/files/*", 10, "\"a\" \"b\" \"c\"", 1);
    check_list(doc, "/commits/*/files/0", 10, "\"a\" \"c\"", 1);
    check_list(doc, "/commits/0/files/*", 10, "\"a\" \"b\"", 1);
    check_list(doc, "/commits/3", 10, "7", 1);
    check_list(doc, "/commits/*", 2, "{\"id\":1,\"files\":[\"a\",\"b\"]} {\"id\":2,\"files\":[]}", 0);
    check_list(doc, "/labels/*/n", 10, "10 20", 1);
    check_list(doc, "/labels/*/n", 2, "10 20", 1);
    check_list(doc, "/labels/*/n", 1, "10", 0);
    check_list(doc, "/labels/*/n", 0, "", 0);
    check_list(doc, "/deep/*/*/*/*", 10, "1 2 3 4", 1);
    check_list(doc, "/deep/*/*/*/*", 3, "1 2 3", 0);
    check_list(doc, "/none/*", 10, "", 1);
    check_list(doc, "/none", 10, "null", 1);
    check_list(doc, "/nope/*/x", 0, "", 1);
    check_list(doc, "/commits/*/files/*/x", 10, "", 1);
    check_list(NULL, "/*", 10, "", 1);
    check_list(doc, "/labels/*x", 10, "", 1);
    check_list(parse("[[1],[2]]", 9, &err), "/*/*", 10, "1 2", 1);
    check_list(parse("5", 1, &err), "", 10, "5", 1);
    is_str(wh_json_pointer_compile_list(&ptr, "/*/*/*/*/*", pool), "may hold 4 '*' at most", "five stars");
    ok(ptr == NULL, "are none");
    is_str(wh_json_pointer_compile_list(&ptr, "*", pool), "must begin with '/'", "no slash");
    wh_json_pointer_compile(&ptr, "/labels/*/n", pool);
    is_str(wh_json_text(wh_json_pointer_get(doc, ptr), pool), "20", "in a plain pointer a star is a name");
    wh_json_pointer_compile_list(&ptr, "/labels/x/n", pool);
    is_str(wh_json_text(wh_json_pointer_get(doc, ptr), pool), "10", "a list of one is a pointer");
}

static void test_integers(void)
{
    static const struct {
        const char *text;
        int good;
        apr_int64_t want;
    } rows[] = {
        { "0", 1, 0 }, { "-0", 1, 0 }, { "7", 1, 7 }, { "-7", 1, -7 }, { "9223372036854775807", 1, INT64_MAX },
        { "-9223372036854775808", 1, INT64_MIN }, { "-9223372036854775807", 1, -INT64_MAX }, { "9223372036854775808", 0, 0 },
        { "-9223372036854775809", 0, 0 }, { "18446744073709551616", 0, 0 }, { "100000000000000000000000", 0, 0 }, { "1.0", 0, 0 },
        { "1e3", 0, 0 }, { "\"1\"", 0, 0 }, { "true", 0, 0 }, { "[1]", 0, 0 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_int64_t n = 42;
        is_int(wh_json_int(root_of(rows[i].text), &n), rows[i].good, "%s", rows[i].text);
        ok(n == (rows[i].good ? rows[i].want : 42), "its value");
    }
    ok(!wh_json_int(NULL, NULL), "nothing is no number");
}

static void test_what_files_may(void)
{
    static const char text[] = "{\"nul\":\"a\\u0000b\",\"k\\u0000\":1,\"half\":\"x\\ud800y\"}";
    webhook_slice s = { text, sizeof(text) - 1 };
    const wh_json_value *root;
    wh_json_error err;
    wh_json *doc;

    is_int(wh_json_parse(&doc, s, &wh_json_plain, pool, &err), APR_SUCCESS, "NUL and half a pair in a file");
    root = wh_json_root(doc);
    s = wh_json_string(wh_json_get(root, "nul"));
    ok(s.len == 3 && !memcmp(s.data, "a\0b", 3) && wh_json_get(root, "nul")->nul, "NUL is kept and marked");
    is_str(wh_json_text(wh_json_get(root, "nul"), pool), "", "but not for rules: it would end there");
    ok(!wh_json_get(root, "k"), "a name is not what is before its NUL");
    ok(wh_json_member_get(root, "k", 2, wh_json_hash("k", 2)) != NULL, "it is all of it");
    s = wh_json_string(wh_json_get(root, "half"));
    is_mem(s.data, s.len, "x\xed\xa0\x80y", 5, "half a pair is three bytes");
}

static void test_once(void)
{
    static const char text[] = "{\"a\":1}", other[] = "[nope]";
    webhook_slice s = { text, sizeof(text) - 1 }, t = { other, sizeof(other) - 1 };
    wh_json_once once = { 0 };
    const wh_json *doc = wh_json_get_once(&once, s, pool);

    ok(doc != NULL && wh_json_get_once(&once, s, pool) == doc, "parsed once");
    ok(!wh_json_get_once(&once, t, pool), "another text is another document");
    is_str(once.error.reason, "syntax", "and has an error of its own");
    is_int(once.error.offset, 2, "there");
    ok(!wh_json_get_once(&once, t, pool) && once.tried, "which is remembered");
}

static const char *quoted(const char *in, apr_size_t len)
{
    wh_buf b;
    char *copy = malloc(len ? len : 1);

    memcpy(copy, in, len);
    wh_buf_init(&b, pool, 0);
    wh_json_put_string(&b, copy, len);
    free(copy);
    return b.data;
}

static void test_put_string(void)
{
    static const struct {
        const char *in;
        apr_size_t len;
        const char *want;
    } rows[] = {
        { "", 0, "\"\"" },
        { "plain", 5, "\"plain\"" },
        { "a\"b\\c/", 6, "\"a\\\"b\\\\c/\"" },
        { "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
        { "a\0b", 3, "\"a\\u0000b\"" },
        { "\x01\x1f\x7f", 3, "\"\\u0001\\u001f\x7f\"" },
        { "<b>&", 4, "\"\\u003cb\\u003e\\u0026\"" },
        { "gr\xc3\xbc\xc3\x9f", 6, "\"gr\xc3\xbc\xc3\x9f\"" },
        { "\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", 12, "\"\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa\"" },
        { "\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\"" },
        { "gr\xfc\xdf", 4, "\"gr\xc3\xbc\xc3\x9f\"" },
        { "\x80\xbf\xc0\xff", 4, "\"\xc2\x80\xc2\xbf\xc3\x80\xc3\xbf\"" },
        { "\xe2\x82", 2, "\"\xc3\xa2\xc2\x82\"" },
        { "\xed\xa0\x80", 3, "\"\xc3\xad\xc2\xa0\xc2\x80\"" },
        { "\xc3\xc3\xbc", 3, "\"\xc3\x83\xc3\xbc\"" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is_str(quoted(rows[i].in, rows[i].len), rows[i].want, "string, row %d", (int)i);
}

/* strings of all kinds of bytes, lengths and positions: valid, readable by the reader, and the same when they were UTF-8 */
static void test_string_round_trips(void)
{
    static const char *const pieces[] = { "a", "\"", "\\", "<", "\x01", "\xc3\xbc", "\xe2\x82\xac", "\xe2\x80\xa8", "\xf0\x9f\x98\x80", "\n",
                                          "0123456789abcdef", "\x7f", "}", "&", "\xff", "\xe2\x82", "\xc3" };
    unsigned seed = 12345;
    char in[4096];
    apr_pool_t *outer = pool;
    int wrong = 0;

    apr_pool_create(&pool, outer);
    for (int round = 0; round < 3000; round++) {
        apr_size_t len = 0;
        unsigned target, kinds;
        wh_json_error err;
        const char *text;
        wh_json *doc;
        webhook_slice s;

        seed = seed * 1103515245u + 12345u;
        target = (seed >> 8) % (round % 10 ? 64 : 3000);
        kinds = round & 1 ? 14 : 17; /* the last three are no UTF-8 */
        while (len < target) {
            const char *piece;
            seed = seed * 1103515245u + 12345u;
            piece = pieces[(seed >> 12) % kinds];
            memcpy(in + len, piece, strlen(piece));
            len += strlen(piece);
        }
        text = quoted(in, len);
        doc = parse(text, strlen(text), &err);
        s = wh_json_string(wh_json_root(doc));
        wrong += !doc || !wh_utf8_valid(text, strlen(text)) || strpbrk(text, "<>&\n\t\x01") != NULL || strstr(text, "\xe2\x80\xa8") != NULL;
        if (wh_utf8_valid(in, len))
            wrong += s.len != len || memcmp(s.data, in, len);
        else
            wrong += s.len <= len;
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    pool = outer;
    is_int(wrong, 0, "3000 strings come back");
}

static void test_buf(void)
{
    wh_buf b;
    char *big = apr_palloc(pool, 5000);

    wh_buf_init(&b, pool, 0);
    is_str(b.data, "", "empty at first");
    wh_buf_adds(&b, "");
    wh_buf_addf(&b, "%d-%s", 42, "x");
    is_str(b.data, "42-x", "formatted");
    memset(big, 'y', 4999);
    big[4999] = '\0';
    wh_buf_addf(&b, "%s", big);
    is_int(b.len, 5003, "formatted, long");
    is_int(strlen(b.data), 5003, "with its end");
    ok(!b.overflow, "no limit");

    wh_buf_init(&b, pool, 0);
    b.max = 10;
    wh_buf_adds(&b, "0123456789");
    ok(!b.overflow, "the limit may be reached");
    wh_buf_adds(&b, "");
    ok(!b.overflow, "nothing more is no overflow");
    wh_buf_adds(&b, "a");
    ok(b.overflow, "one byte more is");
    is_str(b.data, "0123456789", "and is dropped");
    wh_buf_init(&b, pool, 0);
    b.max = 70;
    wh_buf_adds(&b, "0123456789");
    wh_buf_add(&b, big, 100);
    is_int(b.len, 70, "what fits is kept");
    is_int(b.data[70], 0, "and ended");
    ok(b.overflow, "overflow");
    wh_json_put_string(&b, big, 4999);
    wh_buf_addf(&b, "%d", 5);
    is_int(b.len, 70, "nothing is added any more");
    wh_buf_init(&b, pool, 0);
    wh_buf_reserve(&b, 100000);
    ok(b.room > 100000 && !b.len, "room is made");
}

static void test_members(void)
{
    wh_buf b;

    wh_buf_init(&b, pool, 0);
    wh_buf_adds(&b, "{");
    wh_json_put_member(&b, "a", NULL);
    wh_json_put_member(&b, "b", "x{");
    wh_json_put_member_int(&b, "c", INT64_MIN);
    wh_json_put_member_bool(&b, "d", 1);
    wh_json_put_member_bool(&b, "e", 0);
    wh_json_put_member_time(&b, "f", INT64_C(1795465321123456));
    wh_json_put_name(&b, "g\"");
    wh_buf_adds(&b, "[{");
    wh_json_put_member_int(&b, "h", 0);
    wh_buf_adds(&b, "}]}");
    is_str(b.data, "{\"b\":\"x{\",\"c\":-9223372036854775808,\"d\":true,\"e\":false,\"f\":\"2026-11-23T20:22:01.123Z\",\"g\\\"\":[{\"h\":0}]}",
           "members");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_refusals();
    test_values_limit();
    test_tree();
    test_order();
    test_pointer();
    test_pointer_lists();
    test_integers();
    test_what_files_may();
    test_once();
    test_put_string();
    test_string_round_trips();
    test_buf();
    test_members();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
