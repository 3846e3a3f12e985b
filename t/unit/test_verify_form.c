/* SPDX-License-Identifier: Apache-2.0 */
/* Forms and multipart bodies: what is taken, what is refused, and that parts are exactly the bytes between the delimiters. */
#include "core/form.h"
#include "core/multipart.h"
#include "memory.h"
#include "verify_fixture.h"

static apr_pool_t *p;

static int parse(const char *text, apr_size_t len, wh_form *form)
{
    webhook_slice s = { text, len };
    return wh_form_parse(form, s, p) == APR_SUCCESS;
}

static void test_form(void)
{
    static const char *const broken[] = { "%", "a=%4", "a=%zz", "%g0=1", "a=b&c=%", NULL };
    wh_form f;
    webhook_slice v;
    char *many;
    int i;

    ok(parse("", 0, &f) && f.count == 0, "empty");
    ok(parse("a=1&b=two+words&c=%e2%82%AC&d&=e&&f=", 37, &f) && f.count == 6, "six pairs");
    ok(wh_form_get(&f, "b", &v) == 1, "found");
    is_mem(v.data, v.len, "two words", 9, "plus is a blank");
    wh_form_get(&f, "c", &v);
    is_mem(v.data, v.len, "\xe2\x82\xac", 3, "escapes in either case");
    ok(wh_form_get(&f, "d", &v) == 1 && v.len == 0, "a name alone has an empty value");
    ok(wh_form_get(&f, "", &v) == 1, "an empty name is one");
    is_mem(v.data, v.len, "e", 1, "with its value");
    ok(wh_form_get(&f, "x", &v) == 0, "not there");
    ok(parse("a=1&a=2&A=3", 11, &f) && wh_form_get(&f, "a", &v) == 2, "repeated names are counted, case matters");
    is_mem(v.data, v.len, "1", 1, "the first one's value");
    ok(parse("a=b=c", 5, &f) && f.pairs[0].value.len == 3, "only the first '=' separates");
    ok(parse("a=%00b", 6, &f) && f.pairs[0].value.len == 2, "NUL is a byte like others");
    for (i = 0; broken[i]; i++) ok(!parse(broken[i], strlen(broken[i]), &f), "\"%s\" is broken", broken[i]);
    many = apr_palloc(p, 2 * WH_FORM_MAX_PAIRS + 2);
    for (i = 0; i <= WH_FORM_MAX_PAIRS; i++) memcpy(many + 2 * i, "a&", 2);
    ok(parse(many, 2 * WH_FORM_MAX_PAIRS, &f) && f.count == WH_FORM_MAX_PAIRS, "as many pairs as allowed");
    ok(!parse(many, 2 * WH_FORM_MAX_PAIRS + 1, &f), "and not one more");
}

#define TYPE "multipart/form-data; boundary=XyZ"
#define PART(name, data) "--XyZ\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" data "\r\n"

static apr_array_header_t *split(const char *type, const char *text)
{
    webhook_slice s = { text, strlen(text) };
    apr_array_header_t *parts = NULL;
    return wh_multipart_parse(&parts, type, s, p) == APR_SUCCESS ? parts : NULL;
}

static void test_multipart(void)
{
    static const struct { const char *type, *body, *what; } broken[] = {
        { NULL, PART("a", "1") "--XyZ--", "no media type" },
        { "multipart/form-data", PART("a", "1") "--XyZ--", "no boundary" },
        { "multipart/form-data; boundary=", PART("a", "1") "--XyZ--", "empty boundary" },
        { "multipart/form-data; boundary=XyZ; boundary=Q", PART("a", "1") "--XyZ--", "two boundaries" },
        { "multipart/form-data; boundary=\"XyZ", PART("a", "1") "--XyZ--", "unclosed quotes" },
        { "multipart/mixed; boundary=XyZ", PART("a", "1") "--XyZ--", "another type" },
        { TYPE, "", "empty" },
        { TYPE, PART("a", "1"), "no closing delimiter" },
        { TYPE, "--XyZ\r\n\r\n1\r\n--XyZ--", "a part without a name" },
        { TYPE, "--XyZ\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XyZ--", "no name in the disposition" },
        { TYPE, "--XyZ\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--XyZ--", "another disposition" },
        { TYPE, "--XyZ\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n1\r\n--XyZ--", "two names" },
        { TYPE, "--XyZ\nContent-Disposition: form-data; name=a\n\n1\n--XyZ--", "bare line feeds" },
        { TYPE, "--XyZ\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==\r\n--XyZ--", "base64" },
        { TYPE, "--XyZ\r\nContent-Disposition: form-data; name=a; filename=b; filename=c\r\n\r\n1\r\n--XyZ--", "two file names" },
        { TYPE, "--XyZ\r\nContent-Disposition: form-data; name=\"a\nb\"\r\n\r\n1\r\n--XyZ--", "a line feed in a name" },
        { TYPE, "--XyZ\r\nContent-Disposition: form-data; name=a\r\nX: b\rContent-Type: c\r\n\r\n1\r\n--XyZ--", "a bare carriage return" },
        { TYPE, "--XyZ\r\nContent-Disposition: form-data; name=\"a\x1b[2J\"\r\n\r\n1\r\n--XyZ--", "an escape sequence" },
        { TYPE, "--XyZ\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\n1\r\n--XyZ--", "a folded header" },
        { TYPE, "--XyZjunk\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--XyZ--", "text behind the delimiter" } };
    apr_array_header_t *parts;
    webhook_slice v;
    apr_size_t i;
    wh_buf b;

    parts = split(TYPE, PART("a", "one") PART("json", "{\"x\":\r\n--XyQ\r\n1}") PART("e", "") "--XyZ--\r\n");
    ok(parts && parts->nelts == 3, "three parts");
    ok(wh_multipart_get(parts, "json", &v) == 1, "found");
    is_mem(v.data, v.len, "{\"x\":\r\n--XyQ\r\n1}", 16, "exactly the bytes between the delimiters");
    ok(wh_multipart_get(parts, "e", &v) == 1 && v.len == 0, "an empty part");
    parts = split("Multipart/Form-Data; charset=utf-8; boundary=\"X y:Z\"", "preamble\r\n--X y:Z \t\r\ncontent-disposition: form-data; name=\"a \\\"q\\\" b\"; "
                  "filename=x.txt\r\nContent-Type: text/plain\r\n\r\n1\r\n--X y:Z--epilogue");
    ok(parts && parts->nelts == 1, "preamble, epilogue, padding, quoted boundary");
    if (parts) {
        const wh_multipart_part *part = &APR_ARRAY_IDX(parts, 0, wh_multipart_part);
        is_str(part->name, "a \"q\" b", "quoted name");
        is_str(part->filename, "x.txt", "file name");
        is_str(part->content_type, "text/plain", "type");
    }
    parts = split(TYPE, PART("a", "1") PART("a", "2") "--XyZ--");
    ok(wh_multipart_get(parts, "a", &v) == 2, "repeated names are counted");
    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) ok(split(broken[i].type, broken[i].body) == NULL, "%s is refused", broken[i].what);
    wh_buf_init(&b, p, 1 << 16);
    for (i = 0; i <= WH_MULTIPART_MAX_PARTS; i++) wh_buf_adds(&b, PART("a", "1"));
    wh_buf_adds(&b, "--XyZ--");
    ok(split(TYPE, b.data) == NULL, "too many parts");
}

/* Very many quoted parameters: what they are kept in is as long as they are, not as the rest of the line is. */
static void test_memory(void)
{
    usage before;
    wh_buf b;
    int i, k;

    wh_buf_init(&b, p, 1 << 18);
    for (i = 0; i < 20; i++) {
        wh_buf_adds(&b, "--XyZ\r\nContent-Disposition: form-data; name=a");
        for (k = 0; k < 1600; k++) wh_buf_adds(&b, ";a=\"\"");
        wh_buf_adds(&b, "\r\n\r\n\r\n");
    }
    wh_buf_adds(&b, "--XyZ--");
    before = in_use();
    ok(split(TYPE, b.data) != NULL, "%d KiB of parameters", (int)(b.len / 1024));
    ok(used_since(before) < 20 * b.len, "take %d KiB", (int)((used_since(before)) / 1024));
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&p, NULL);
    test_form();
    test_multipart();
    test_memory();
    apr_pool_destroy(p);
    return tap_done();
}
