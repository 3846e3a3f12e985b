/* SPDX-License-Identifier: Apache-2.0 */
/* What a body means: media types, forms and parts by name, the JSON inside them, CloudEvents in three modes, content codings. */
#include <apr_general.h>
#include <apr_strings.h>
#define ZLIB_CONST
#include <zlib.h>
#include "core/encoding.h"
#include "tap.h"
#include "validate/inflate.h"
#include "validate/media.h"
#include "validate/payload.h"

static apr_pool_t *p;

static webhook_slice slice(const char *text)
{
    webhook_slice s = { text, strlen(text) };
    return s;
}

/* A sender chooses the names of a form's fields: none may be known to meet in a table of names. */
static void test_names(void)
{
    apr_ssize_t two = 2, whole = APR_HASH_KEY_STRING;

    ok(wh_json_hash_key("Ez", &two) != wh_json_hash_key("FY", &two), "names that meet in APR's own hash do not in ours");
    ok(wh_json_hash_key("abc", &whole) == wh_json_hash("abc", 3) && whole == 3, "a name without its length");
}

/* ---- media types ---- */

static void test_media(void)
{
    static const struct { const char *list[4], *header; int kind; } found[] = {
        { { "application/json", "+json" }, "application/json", WH_PAYLOAD_JSON },
        { { "application/json", "+json" }, "Application/JSON ; charset=utf-8", WH_PAYLOAD_JSON },
        { { "application/json", "+json" }, "application/vnd.x+JSON", WH_PAYLOAD_JSON },
        { { "application/json", "+json" }, "application/jsonx", -1 },
        { { "application/json", "+json" }, "+json", -1 },
        { { "application/json", "+json" }, "text/plain", -1 },
        { { "*/*+xml" }, "image/svg+xml", WH_PAYLOAD_OPAQUE },
        { { "text/*" }, "Text/JSON; charset=utf-8", WH_PAYLOAD_JSON },
        { { "text/*" }, "text/plain", WH_PAYLOAD_OPAQUE },
        { { "text/*" }, "text/", -1 },
        { { "text/*" }, "texts/plain", -1 },
        { { "text/*=json" }, "text/plain", WH_PAYLOAD_JSON },
        { { "text/xml", "text/*=form" }, "text/xml", WH_PAYLOAD_OPAQUE },
        { { "text/xml", "text/*=form" }, "text/csv", WH_PAYLOAD_FORM },
        { { "application/json=opaque" }, "application/json", WH_PAYLOAD_OPAQUE },
        { { "*" }, "application/x-www-form-urlencoded", WH_PAYLOAD_FORM },
        { { "*" }, "multipart/form-data; boundary=x", WH_PAYLOAD_MULTIPART },
        { { "*/*" }, "multipart/mixed; boundary=x", WH_PAYLOAD_OPAQUE },
        { { "*" }, "application/cloudevents+json", WH_PAYLOAD_JSON },
        { { "*" }, "application/cloudevents+avro", -1 },
        { { "application/*" }, "application/cloudevents-batch+json; charset=UTF-8", WH_PAYLOAD_JSON },
        { { "application/*" }, "application/CloudEvents+xml", -1 },
        { { "application/cloudevents+xml" }, "application/cloudevents+xml", WH_PAYLOAD_OPAQUE },
        { { "application/cloudevents" }, "application/cloudevents", WH_PAYLOAD_OPAQUE },
    };
    static const char *const good[] = { "application/json", "text/*", "+json", "*/*+xml", "*", "*/*", "text/plain=json", "*=opaque", "a/b=form",
                                        "multipart/form-data=multipart", "multipart/form-data=opaque" };
    static const char *const bad[] = { "", "application", "application/", "/json", "a/b/c", "+", "a/b;c=d", "a b/c", "text/plain=", "text/plain=yaml",
                                       "a/b=multipart", "=json", "te*t/plain", "text/pl*" };
    apr_size_t i;

    for (i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        wh_payload_kind kind = WH_PAYLOAD_OPAQUE;
        int there = wh_media_find(found[i].list, found[i].header, &kind);

        is_int(there ? (int)kind : -1, found[i].kind, "%s, where %s is taken", found[i].header, found[i].list[0]);
    }
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) ok(!wh_media_check(good[i], p), "\"%s\" is a word", good[i]);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) ok(wh_media_check(bad[i], p) != NULL, "\"%s\" is none", bad[i]);
    ok(wh_media_is_utf8("a/b") && wh_media_is_utf8("a/b; charset=UTF-8") && wh_media_is_utf8("a/b;x=y; Charset = \"utf8\""), "UTF-8");
    ok(!wh_media_is_utf8("a/b; charset=latin1") && !wh_media_is_utf8("a/b; x=\"y\" ;charset=utf-16"), "not UTF-8");
    ok(wh_media_covers("*", "a/b=json") && wh_media_covers("a/*", "a/b") && wh_media_covers("+json", "a/b+json"), "a name behind its kind");
    ok(!wh_media_covers("a/b", "*") && !wh_media_covers("a/b", "a/*") && !wh_media_covers("a/*", "+json"), "a kind behind a name");
}

/* ---- payloads ---- */

static wh_payload read_as(wh_payload_kind kind, const char *type, const char *field, const char *body)
{
    wh_payload_source in = { 0 };
    wh_payload out;

    in.kind = kind;
    in.content_type = type;
    in.content = slice(body);
    in.field = field;
    wh_payload_read(&out, &in, p);
    return out;
}

static const char *at(const wh_json *doc, const char *pointer)
{
    wh_json_pointer *ptr;

    return doc && !wh_json_pointer_compile(&ptr, pointer, p) ? wh_json_text(wh_json_pointer_get(doc, ptr), p) : "(no document)";
}

#define FORM "application/x-www-form-urlencoded"
#define MULTI "multipart/form-data; boundary=XyZ"
#define PART(disposition, data) "--XyZ\r\nContent-Disposition: form-data; " disposition "\r\n\r\n" data "\r\n"

static void test_kinds(void)
{
    wh_payload out = read_as(WH_PAYLOAD_JSON, "application/json", NULL, "{\"a\":{\"b\":\"c\"}}");

    is_str(at(out.json, "/a/b"), "c", "JSON");
    ok(!out.form && !out.parts && !out.ce && !out.events && !out.broken, "and nothing else");
    out = read_as(WH_PAYLOAD_JSON, "application/json", NULL, "");
    ok(!out.broken && !out.json, "an empty body has no JSON and is not broken");
    out = read_as(WH_PAYLOAD_JSON, "application/json", NULL, "{\"a\":1,\"a\":2}");
    ok(out.broken && out.refusal == WH_REFUSAL_JSON_DUPLICATE_NAME && !out.json, "broken JSON says why");
    out = read_as(WH_PAYLOAD_OPAQUE, "text/xml", "payload", "<a/>");
    ok(!out.broken && !out.json && out.content.len == 4, "bytes are bytes");

    out = read_as(WH_PAYLOAD_FORM, FORM, NULL, "a=1&b=%7B%22x%22%3A1%7D&c=&l[]=1&l[]=2&%00=z&n=a%00b");
    ok(out.form && !out.broken && !out.json, "a form; nobody said where JSON is");
    is_str(wh_payload_field(&out, "a", p), "1", "a field");
    is_str(wh_payload_field(&out, "b", p), "{\"x\":1}", "decoded once");
    is_str(wh_payload_field(&out, "c", p), "", "an empty one");
    is_str(wh_payload_field(&out, "l[]", p), NULL, "a list is not one text");
    is_str(wh_payload_field(&out, "n", p), NULL, "what holds a NUL is no text");
    is_str(wh_payload_field(&out, "A", p), NULL, "case matters");
    out = read_as(WH_PAYLOAD_FORM, FORM, "b", "a=1&b=%7B%22x%22%3A1%7D");
    is_str(at(out.json, "/x"), "1", "the JSON in a field");
    out = read_as(WH_PAYLOAD_FORM, FORM, "b", "a=1");
    ok(out.form && !out.json && !out.broken, "the field need not be there");
    out = read_as(WH_PAYLOAD_FORM, FORM, "b", "b=%7B");
    ok(out.broken && out.refusal == WH_REFUSAL_JSON_INVALID && !out.form, "but it must be JSON");
    out = read_as(WH_PAYLOAD_FORM, FORM, "l[]", "l[]=1&l[]=2");
    ok(!out.broken && !out.json, "of several fields of its name none is taken");
    out = read_as(WH_PAYLOAD_FORM, FORM, NULL, "a=1&b=2&%61=3");
    ok(out.broken && out.refusal == WH_REFUSAL_FORM_DUPLICATE && !out.form, "a field that occurs twice, once in escapes");
    out = read_as(WH_PAYLOAD_FORM, FORM, NULL, "a=%4");
    ok(out.broken && out.refusal == WH_REFUSAL_FORM_INVALID, "a broken escape");
    is_str(wh_payload_field(&out, "a", p), NULL, "nothing is to be had from it");
    out = read_as(WH_PAYLOAD_FORM, FORM, "x", "");
    ok(!out.broken && !out.json, "an empty form");
}

static void test_multipart(void)
{
    wh_payload out = read_as(WH_PAYLOAD_MULTIPART, MULTI, "json",
                             PART("name=json", "{\"k\":\"v\"}") PART("name=text", "two\r\nlines") PART("name=up; filename=\"a b.txt\"", "bytes")
                             PART("name=many; filename=1", "1") PART("name=many; filename=2", "2") PART("name=\"up#size\"", "mine") "--XyZ--");
    char hex[65];

    wh_sha256_hex(hex, "bytes", 5);
    ok(!out.broken && out.parts && out.parts->nelts == 6, "six parts");
    is_str(at(out.json, "/k"), "v", "the JSON in one");
    is_str(wh_payload_field(&out, "text", p), "two\r\nlines", "a text");
    is_str(wh_payload_field(&out, "up", p), NULL, "a file is not its content");
    is_str(wh_payload_field(&out, "up#filename", p), "a b.txt", "its name");
    is_str(wh_payload_field(&out, "up#type", p), "", "its type, none here");
    is_str(wh_payload_field(&out, "up#sha256", p), hex, "its digest");
    is_str(wh_payload_field(&out, "up#size", p), "mine", "a field of that very name comes first");
    is_str(wh_payload_field(&out, "text#size", p), NULL, "of a text there is no size");
    is_str(wh_payload_field(&out, "many#size", p), NULL, "files may share a name: then neither is to be had by it");
    is_str(wh_payload_field(&out, "up#owner", p), NULL, "an unknown fact");
    out = read_as(WH_PAYLOAD_MULTIPART, MULTI, NULL, PART("name=a", "1") PART("name=a", "2") "--XyZ--");
    ok(out.broken && out.refusal == WH_REFUSAL_FORM_DUPLICATE, "two texts of one name");
    out = read_as(WH_PAYLOAD_MULTIPART, MULTI, NULL, PART("name=a", "1") PART("name=a; filename=x", "2") "--XyZ--");
    ok(out.broken && out.refusal == WH_REFUSAL_FORM_DUPLICATE, "a text and a file of one name");
    out = read_as(WH_PAYLOAD_MULTIPART, MULTI, NULL, PART("name=\"a[]\"", "1") PART("name=\"a[]\"", "2") "--XyZ--");
    ok(!out.broken, "a list");
    out = read_as(WH_PAYLOAD_MULTIPART, MULTI, NULL, PART("name=a", "1"));
    ok(out.broken && out.refusal == WH_REFUSAL_MULTIPART_INVALID && !out.parts, "no closing delimiter");
}

/* ---- CloudEvents ---- */

#define REQUIRED "\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/s\",\"type\":\"t.x\""

static void test_structured(void)
{
    static const struct { const char *body, *what; } broken[] = {
        { "[]", "no object" }, { "{}", "nothing" }, { "{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/s\"}", "no type" },
        { "{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/s\",\"type\":\"t\"}", "an empty id" },
        { "{\"specversion\":\"1.0\",\"id\":null,\"source\":\"/s\",\"type\":\"t\"}", "a null id" },
        { "{\"specversion\":\"0.3\",\"id\":\"7\",\"source\":\"/s\",\"type\":\"t\"}", "another version" },
        { "{\"specversion\":1.0,\"id\":\"7\",\"source\":\"/s\",\"type\":\"t\"}", "a version that is a number" },
        { "{" REQUIRED ",\"subject\":\"\"}", "an empty subject" }, { "{" REQUIRED ",\"time\":\"yesterday\"}", "a time that is none" },
        { "{" REQUIRED ",\"ext\":[1]}", "an attribute that is an array" }, { "{" REQUIRED ",\"ext\":1.5}", "or a fraction" },
        { "{" REQUIRED ",\"ext\":\"a\\u0001\"}", "a control character" }, { "{" REQUIRED ",\"ext\":\"a\\u0085\"}", "of the other kind" },
        { "{" REQUIRED ",\"data\":1,\"data_base64\":\"AA==\"}", "both kinds of data" }, { "{" REQUIRED ",\"data_base64\":\"A\"}", "broken base64" },
        { "{" REQUIRED ",\"data_base64\":1}", "base64 that is a number" }, { "{", "no JSON" },
    };
    wh_payload out = read_as(WH_PAYLOAD_JSON, WH_CE_TYPE "; charset=utf-8", NULL,
                             "{" REQUIRED ",\"time\":\"2026-01-02T03:04:05Z\",\"ext\":7,\"flag\":true,\"gone\":null,\"Odd_Name\":\"x\",\"data\":{\"a\":[1,{\"b\":\"c\"}]}}");
    apr_size_t i;

    ok(out.ce && !out.broken && out.events && out.events->nelts == 1, "an event");
    if (!out.ce) return;
    is_str(out.ce->type, "t.x", "its type");
    is_str(wh_cloudevent_get(out.ce, "ext"), "7", "an extension");
    is_str(wh_cloudevent_get(out.ce, "flag"), "true", "a boolean one");
    is_str(wh_cloudevent_get(out.ce, "gone"), NULL, "null is absent");
    is_str(wh_cloudevent_get(out.ce, "Odd_Name"), NULL, "what cannot be an attribute's name is none");
    is_str(wh_cloudevent_get(out.ce, "data"), NULL, "nor is the data");
    is_str(at(out.json, "/a/1/b"), "c", "the JSON is the data's");
    is_mem(out.ce->data.data, out.ce->data.len, "{\"a\":[1,{\"b\":\"c\"}]}", 19, "and its bytes");
    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        out = read_as(WH_PAYLOAD_JSON, WH_CE_TYPE, NULL, broken[i].body);
        ok(out.broken && out.refusal == (strcmp(broken[i].body, "{") ? WH_REFUSAL_CLOUDEVENT_INVALID : WH_REFUSAL_JSON_INVALID) && !out.ce && !out.json,
           "refused: %s (%s)", broken[i].what, out.detail ? out.detail : "-");
    }
    out = read_as(WH_PAYLOAD_JSON, WH_CE_TYPE, NULL, "{" REQUIRED "}");
    ok(out.ce && !out.json && out.ce->data.len == 0, "an event without data has no JSON");
    out = read_as(WH_PAYLOAD_JSON, WH_CE_TYPE, NULL, "{" REQUIRED ",\"datacontenttype\":\"text/xml\",\"data\":\"<a/>\"}");
    ok(out.ce && !out.json && out.ce->data.len == 4, "data that is text");
    out = read_as(WH_PAYLOAD_JSON, WH_CE_TYPE, NULL, "{" REQUIRED ",\"data_base64\":\"AAEC\"}");
    ok(out.ce && out.ce->data.len == 3 && memcmp(out.ce->data.data, "\0\1\2", 3) == 0, "data that is bytes");
    out = read_as(WH_PAYLOAD_OPAQUE, WH_CE_TYPE, NULL, "{" REQUIRED "}");
    ok(!out.ce && !out.broken, "an endpoint that reads the type as bytes sees bytes");
}

static void test_batch(void)
{
    wh_payload out = read_as(WH_PAYLOAD_JSON, WH_CE_BATCH_TYPE, NULL, "[{" REQUIRED ",\"data\":1},{\"specversion\":\"1.0\",\"id\":\"8\",\"source\":\"s\",\"type\":\"u\"}]");

    ok(out.events && out.events->nelts == 2 && !out.broken, "two events");
    if (out.events) is_str(APR_ARRAY_IDX(out.events, 1, wh_cloudevent *)->type, "u", "the second");
    is_str(out.ce ? out.ce->id : NULL, "7", "the first one's attributes");
    is_str(at(out.json, "/1/id"), "8", "the JSON is the whole array");
    out = read_as(WH_PAYLOAD_JSON, WH_CE_BATCH_TYPE, NULL, "[]");
    ok(!out.broken && !out.ce && out.events && out.events->nelts == 0, "a batch may be empty");
    out = read_as(WH_PAYLOAD_JSON, WH_CE_BATCH_TYPE, NULL, "{" REQUIRED "}");
    ok(out.broken && out.refusal == WH_REFUSAL_CLOUDEVENT_INVALID, "but not an event alone");
    out = read_as(WH_PAYLOAD_JSON, WH_CE_BATCH_TYPE, NULL, "[{" REQUIRED "},{}]");
    ok(out.broken && strstr(out.detail, "event 1 "), "each is checked");
}

static wh_payload binary(const char *type, const char *const *headers, const char *body)
{
    wh_payload_source in = { 0 };
    apr_table_t *t = apr_table_make(p, 8);
    wh_payload out;

    apr_table_setn(t, "CE-SpecVersion", "1.0");
    apr_table_setn(t, "ce-id", "7");
    apr_table_setn(t, "ce-source", "/s");
    apr_table_setn(t, "ce-type", "t.x");
    for (; headers && *headers; headers += 2) apr_table_addn(t, headers[0], headers[1]);
    in.kind = type && wh_json_is_type(type) ? WH_PAYLOAD_JSON : WH_PAYLOAD_OPAQUE;
    in.content_type = type;
    in.headers = t;
    in.content = slice(body);
    wh_payload_read(&out, &in, p);
    return out;
}

static void test_binary(void)
{
    static const struct { const char *value, *text; } values[] = {
        { "plain", "plain" }, { "Euro %E2%82%AC %F0%9F%98%80", "Euro \xe2\x82\xac \xf0\x9f\x98\x80" }, { "%2525", "%25" }, { "\"a \\\"b\\\" %20\"", "a \"b\"  " },
        { "%E2%82", NULL }, { "%C0%AF", NULL }, { "%ED%A0%80", NULL }, { "\xff", NULL }, { "50%", NULL }, { "%zz", NULL }, { "%00", NULL }, { "%0a", NULL },
        { "%C2%85", NULL }, { "\"a\"b\"", NULL },
    };
    static const char *const twice[] = { "Ce-Ext", "1", "cE-ext", "2", NULL };
    static const char *const type_header[] = { "ce-datacontenttype", "text/plain", NULL };
    static const char *const odd[] = { "ce-odd_name", "1", "ce-", "2", "certainly", "3", NULL };
    wh_payload out = binary("application/json", NULL, "{\"a\":1}");
    apr_size_t i;

    ok(out.ce && !out.broken, "an event");
    is_str(out.ce ? wh_cloudevent_get(out.ce, "datacontenttype") : NULL, "application/json", "Content-Type is its attribute");
    is_str(at(out.json, "/a"), "1", "the JSON is the body");
    out = binary("text/plain", NULL, "x");
    ok(out.ce && !out.json && out.ce->data.len == 1, "other data");
    out = binary(NULL, NULL, "");
    ok(out.ce && out.ce->data.len == 0, "no data");
    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const char *const headers[] = { "ce-ext", values[i].value, NULL };

        out = binary(NULL, headers, "");
        if (values[i].text) is_str(out.ce ? wh_cloudevent_get(out.ce, "ext") : out.detail, values[i].text, "ce-ext: %s", values[i].value);
        else ok(out.broken && out.refusal == WH_REFUSAL_CLOUDEVENT_INVALID && !out.ce, "refused: ce-ext number %d", (int)i);
    }
    ok(binary(NULL, twice, "").broken, "refused: an attribute twice");
    ok(binary(NULL, type_header, "").broken, "refused: ce-datacontenttype");
    out = binary(NULL, odd, "");
    ok(out.ce && out.ce->attributes->nelts == 4, "headers that are no attributes");
    out = binary("application/json", NULL, "{");
    ok(out.broken && out.refusal == WH_REFUSAL_JSON_INVALID, "JSON that is broken is said first");
    out = binary(WH_CE_TYPE, NULL, "{" REQUIRED ",\"data\":2}");
    is_str(at(out.json, ""), "2", "CloudEvents' own type wins over the headers");
}

/* ---- content codings ---- */

static webhook_slice coded(const char *data, apr_size_t len, int window, const gz_header *header)
{
    webhook_slice out;
    unsigned char *bytes;
    z_stream z;

    memset(&z, 0, sizeof(z));
    deflateInit2(&z, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY);
    if (header) deflateSetHeader(&z, (gz_header *)(apr_uintptr_t)header);
    out.len = deflateBound(&z, len) + 70000;
    bytes = apr_palloc(p, out.len);
    z.next_in = (const Bytef *)data;
    z.avail_in = (uInt)len;
    z.next_out = bytes;
    z.avail_out = (uInt)out.len;
    deflate(&z, Z_FINISH);
    out.data = (const char *)bytes;
    out.len = z.total_out;
    deflateEnd(&z);
    return out;
}

static const wh_inflate_limits roomy = { 1 << 20, 1000 };

static int inflated(int coding, webhook_slice in, const wh_inflate_limits *limits, webhook_slice *out)
{
    const char *detail = NULL;
    int rc = (int)wh_inflate(out, coding, in, limits, p, &detail);

    if (rc != WH_INFLATE_DONE && !detail) diag("an outcome without a detail");
    return rc == WH_INFLATE_DONE || detail ? rc : -1;
}

static void test_inflate(void)
{
    const char *text = apr_pstrcat(p, "{\"hello\":\"", "world, world, world, world", "\"}", NULL);
    apr_size_t len = strlen(text), i, big = 200000;
    webhook_slice gz = coded(text, len, 31, NULL), z = coded(text, len, 15, NULL), raw = coded(text, len, -15, NULL), out, in, two;
    char *zeros = apr_pcalloc(p, big), *extra = apr_pcalloc(p, 65536);
    wh_inflate_limits exact = { 0, 1000 };
    gz_header header;
    int cut = 0, wrong = 0;
    char *both;

    ok(wh_coding_find(NULL) == 0 && wh_coding_find("") == 0 && wh_coding_find("Identity") == 0, "no coding");
    ok(wh_coding_find("GZip") == WH_CODING_GZIP && wh_coding_find("x-gzip") == WH_CODING_GZIP && wh_coding_find("deflate") == WH_CODING_DEFLATE, "codings");
    ok(wh_coding_find("br") < 0 && wh_coding_find("gzip, gzip") < 0 && wh_coding_find("gzip;q=1") < 0 && wh_coding_find("identity, gzip") < 0, "others");

    is_int(inflated(WH_CODING_GZIP, gz, &roomy, &out), WH_INFLATE_DONE, "gzip");
    is_mem(out.data, out.len, text, len, "decoded");
    is_int(inflated(WH_CODING_DEFLATE, z, &roomy, &out), WH_INFLATE_DONE, "deflate");
    is_mem(out.data, out.len, text, len, "decoded");
    is_int(inflated(WH_CODING_DEFLATE, raw, &roomy, &out), WH_INFLATE_BROKEN, "deflate without zlib's header");
    is_int(inflated(WH_CODING_DEFLATE, gz, &roomy, &out), WH_INFLATE_BROKEN, "gzip under another name");
    is_int(inflated(WH_CODING_GZIP, z, &roomy, &out), WH_INFLATE_BROKEN, "and the reverse");
    for (i = 0; i < gz.len; i++) {
        in.data = gz.data;
        in.len = i;
        cut += inflated(WH_CODING_GZIP, in, &roomy, &out) == WH_INFLATE_BROKEN;
    }
    is_int(cut, gz.len, "cut anywhere");
    for (i = 10, cut = 0; i < gz.len; i++) {
        char *damaged = apr_pmemdup(p, gz.data, gz.len);

        damaged[i] ^= 0x10;
        in.data = damaged;
        in.len = gz.len;
        /* a bit that pads the last byte is nobody's: then the text is right */
        if (inflated(WH_CODING_GZIP, in, &roomy, &out) == WH_INFLATE_BROKEN) cut++;
        else wrong += out.len != len || memcmp(out.data, text, len) != 0;
    }
    is_int(wrong, 0, "a flipped bit anywhere behind the header never gives another text");
    ok(cut >= (int)gz.len - 11, "and hardly ever one at all");
    both = apr_palloc(p, 2 * gz.len);
    memcpy(both, gz.data, gz.len);
    memcpy(both + gz.len, gz.data, gz.len);
    two.data = both;
    two.len = 2 * gz.len;
    is_int(inflated(WH_CODING_GZIP, two, &roomy, &out), WH_INFLATE_BROKEN, "two members");
    two.len = gz.len + 1;
    is_int(inflated(WH_CODING_GZIP, two, &roomy, &out), WH_INFLATE_BROKEN, "a byte behind the end");

    memset(&header, 0, sizeof(header));
    header.extra = (Bytef *)extra;
    header.extra_len = 65535;
    header.name = (Bytef *)apr_pstrdup(p, "../../etc/passwd");
    header.hcrc = 1;
    in = coded(text, len, 31, &header);
    ok(in.len > 65535, "a header with 65,535 extra bytes, a name and a checksum");
    is_int(inflated(WH_CODING_GZIP, in, &roomy, &out), WH_INFLATE_DONE, "is read over");
    is_mem(out.data, out.len, text, len, "and what is behind it decoded");

    in = coded(gz.data, gz.len, 31, NULL);
    is_int(inflated(WH_CODING_GZIP, in, &roomy, &out), WH_INFLATE_DONE, "gzip in gzip");
    is_mem(out.data, out.len, gz.data, gz.len, "is decoded once");

    in = coded("", 0, 31, NULL);
    is_int(inflated(WH_CODING_GZIP, in, &roomy, &out), WH_INFLATE_DONE, "nothing, coded");
    is_int(out.len, 0, "is nothing");

    exact.size = len;
    is_int(inflated(WH_CODING_GZIP, gz, &exact, &out), WH_INFLATE_DONE, "exactly the limit");
    exact.size = len - 1;
    is_int(inflated(WH_CODING_GZIP, gz, &exact, &out), WH_INFLATE_TOO_LARGE, "one byte more");
    in = coded(zeros, big, 31, NULL);
    exact.size = 1 << 20;
    exact.ratio = (int)(big / in.len) + 1;
    is_int(inflated(WH_CODING_GZIP, in, &exact, &out), WH_INFLATE_DONE, "200,000 zeros are %d bytes: within the ratio", (int)in.len);
    is_int(out.len, big, "all of them");
    exact.ratio = (int)(big / in.len);
    if (big == in.len * (apr_size_t)exact.ratio) exact.ratio--;
    is_int(inflated(WH_CODING_GZIP, in, &exact, &out), WH_INFLATE_RATIO, "beyond the ratio");
    exact.ratio = 1;
    in = coded(zeros, WH_INFLATE_FLOOR, 31, NULL);
    is_int(inflated(WH_CODING_GZIP, in, &exact, &out), WH_INFLATE_DONE, "the ratio does not count for the first 64 KiB");
    in = coded(zeros, WH_INFLATE_FLOOR + 1, 31, NULL);
    is_int(inflated(WH_CODING_GZIP, in, &exact, &out), WH_INFLATE_RATIO, "but from there on");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&p, NULL);
    test_media();
    test_kinds();
    test_multipart();
    test_names();
    test_structured();
    test_batch();
    test_binary();
    test_inflate();
    apr_pool_destroy(p);
    apr_terminate();
    return tap_done();
}
