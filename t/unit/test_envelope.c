/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope, bodies in memory and in files, header lines.
 */
#include "tap.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/encoding.h"
#include "core/envelope.h"

static apr_pool_t *pool;

#define SLICE(text) { text, sizeof(text) - 1 }

static webhook_delivery sample(void)
{
    webhook_delivery d = { 0 };

    d.id = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    d.endpoint = "github";
    d.scheme = "github";
    d.verified = 1;
    d.key_id = "2026";
    d.event = "push";
    d.sender_id = "72d3162e-cc78-11e3-81ab-4c9367dc0958";
    d.received = INT64_C(1795465321123456);
    d.remote_addr = "192.0.2.1";
    d.method = "POST";
    d.uri = "/hooks/github?a=1&b=2";
    d.content_type = "application/json";
    d.headers.data = "Host: example.org\r\nX-Odd: gr\xfc\xdf \r\nEmpty:\r\n";
    d.headers.len = strlen(d.headers.data);
    d.body_len = 7;
    d.body.data = "{\"a\":1}";
    d.body.len = 7;
    d.body_sha256 = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    return d;
}

static void test_write(void)
{
    webhook_delivery d = sample();
    webhook_slice none = { NULL, 0 }, empty = { "", 0 };
    webhook_slice nul = SLICE("a\0b"), odd = SLICE("\xff\xfe\x00\x01"), text = SLICE("gr\xc3\xbc\xc3\x9f\n");
    wh_buf b;

    wh_buf_init(&b, pool, 0);
    wh_envelope_write(&b, &d, d.body, "deploy", 3);
    is_str(b.data,
           "{\"webhook\":1,\"id\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\",\"endpoint\":\"github\",\"scheme\":\"github\",\"verified\":true,"
           "\"key_id\":\"2026\",\"event\":\"push\",\"sender_id\":\"72d3162e-cc78-11e3-81ab-4c9367dc0958\","
           "\"received\":\"2026-11-23T20:22:01.123Z\",\"remote_addr\":\"192.0.2.1\",\"method\":\"POST\","
           "\"uri\":\"/hooks/github?a=1\\u0026b=2\",\"content_type\":\"application/json\","
           "\"headers\":[[\"Host\",\"example.org\"],[\"X-Odd\",\"gr\xc3\xbc\xc3\x9f\"],[\"Empty\",\"\"]],"
           "\"body_sha256\":\"015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862\",\"body_length\":7,"
           "\"body\":\"{\\\"a\\\":1}\",\"handler\":\"deploy\",\"attempt\":3}",
           "an envelope with everything");
    d.key_id = d.event = d.sender_id = d.content_type = NULL;
    d.verified = 0;
    d.headers = none;
    d.body_len = 0;
    wh_buf_init(&b, pool, 0);
    wh_envelope_write(&b, &d, none, NULL, 9);
    is_str(b.data,
           "{\"webhook\":1,\"id\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\",\"endpoint\":\"github\",\"scheme\":\"github\",\"verified\":false,"
           "\"received\":\"2026-11-23T20:22:01.123Z\",\"remote_addr\":\"192.0.2.1\",\"method\":\"POST\","
           "\"uri\":\"/hooks/github?a=1\\u0026b=2\",\"headers\":[],"
           "\"body_sha256\":\"015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862\",\"body_length\":0}",
           "and one with little");
    wh_buf_init(&b, pool, 0);
    wh_envelope_write(&b, &d, empty, NULL, 0);
    ok(strstr(b.data, ",\"body\":\"\"}") != NULL, "an empty body is one");
    wh_buf_init(&b, pool, 0);
    wh_envelope_write(&b, &d, text, NULL, 0);
    ok(strstr(b.data, ",\"body\":\"gr\xc3\xbc\xc3\x9f\\n\"}") != NULL, "text");
    wh_buf_init(&b, pool, 0);
    wh_envelope_write(&b, &d, nul, NULL, 0);
    ok(strstr(b.data, ",\"body_base64\":\"YQBi\"}") != NULL, "a NUL makes it binary");
    wh_buf_init(&b, pool, 0);
    wh_envelope_write(&b, &d, odd, NULL, 0);
    ok(strstr(b.data, ",\"body_base64\":\"//4AAQ==\"}") != NULL, "and so does what is no UTF-8");
    ok(!strchr(b.data, '\n'), "one line");
}

/* bodies of many sizes, text and not, come back exactly through the reader */
static void test_round_trips(void)
{
    apr_pool_t *turn;
    char *body = malloc(70000);
    int wrong = 0;

    apr_pool_create(&turn, pool);
    for (int i = 0; i < 120; i++) {
        apr_size_t len = i < 60 ? (apr_size_t)i : (apr_size_t)(i - 60) * 1100;
        for (int binary = 0; binary < 2; binary++) {
            webhook_delivery d = sample();
            webhook_slice in = { body, len }, text, got;
            const wh_json_value *root;
            wh_json_error err;
            wh_json *doc;
            wh_buf b;
            int same;

            for (apr_size_t k = 0; k < len; k++)
                body[k] = (char)(binary ? (k * 131 + 128 + (apr_size_t)i) & 0xff : 1 + (k * 7 + (apr_size_t)i) % 127);
            wh_buf_init(&b, turn, 0);
            wh_envelope_write(&b, &d, in, NULL, 0);
            text.data = b.data;
            text.len = b.len;
            if (wh_json_parse(&doc, text, NULL, turn, &err) != APR_SUCCESS) {
                wrong++;
                continue;
            }
            root = wh_json_root(doc);
            if (binary && len) {
                unsigned char *out = apr_palloc(turn, len + 3);
                apr_size_t n = 0;
                got = wh_json_string(wh_json_get(root, "body_base64"));
                same = got.data && wh_decode(WH_ENC_BASE64, 0, got.data, got.len, out, len, &n) == APR_SUCCESS && n == len
                       && !memcmp(out, body, len);
            }
            else {
                got = wh_json_string(wh_json_get(root, "body"));
                same = got.data && got.len == len && !memcmp(got.data, body, len);
            }
            wrong += !same;
        }
        apr_pool_clear(turn);
    }
    is_int(wrong, 0, "240 bodies come back");
    free(body);
}

static void test_body(void)
{
    char path[] = "/tmp/test_envelope.XXXXXX";
    const char *link = apr_psprintf(pool, "/tmp/test_envelope.%d", (int)getpid());
    webhook_delivery d = sample();
    webhook_slice body;
    apr_pool_t *p;
    int fd = mkstemp(path);

    is_int(wh_delivery_body(&d, &body, pool), APR_SUCCESS, "a body in memory");
    is_mem(body.data, body.len, "{\"a\":1}", 7, "is that");
    d.body_len = 8;
    is_int(wh_delivery_body(&d, &body, pool), APR_EINVAL, "with another length it is refused");
    d.body.data = NULL;
    d.body.len = 0;
    is_int(wh_delivery_body(&d, &body, pool), APR_EINVAL, "and when it was not loaded");
    d.body_len = 0;
    is_int(wh_delivery_body(&d, &body, pool), APR_SUCCESS, "no body");
    ok(body.data && !body.len, "is an empty one");
    d.body_len = -1;
    is_int(wh_delivery_body(&d, &body, pool), APR_EINVAL, "a negative length");

    if (fd < 0 || write(fd, "0123456789", 10) != 10) {
        fail("temporary file");
        return;
    }
    apr_pool_create(&p, pool);
    d.body_file = path;
    d.body_len = 10;
    is_int(wh_delivery_body(&d, &body, p), APR_SUCCESS, "a body in a file");
    is_mem(body.data, body.len, "0123456789", 10, "is mapped");
    apr_pool_destroy(p);
    d.body_len = 9;
    is_int(wh_delivery_body(&d, &body, pool), APR_EINVAL, "a file that is longer");
    d.body_len = 11;
    is_int(wh_delivery_body(&d, &body, pool), APR_EINVAL, "or shorter");
    ok(symlink(path, link) == 0, "a symbolic link");
    d.body_file = link;
    d.body_len = 10;
    ok(wh_delivery_body(&d, &body, pool) != APR_SUCCESS, "is not followed");
    unlink(link);
    ok(mkfifo(link, 0600) == 0, "a pipe");
    d.body_len = 0;
    is_int(wh_delivery_body(&d, &body, pool), APR_EINVAL, "is no body, and nobody waits for it");
    unlink(link);
    d.body_file = path;
    ok(ftruncate(fd, 0) == 0, "an empty file");
    is_int(wh_delivery_body(&d, &body, pool), APR_SUCCESS, "is an empty body");
    ok(body.data && !body.len, "of no bytes");
    unlink(path);
    ok(APR_STATUS_IS_ENOENT(wh_delivery_body(&d, &body, pool)), "a file that is gone");
    close(fd);
}

static void test_headers(void)
{
    static const char text[] = "Host: example.org\r\nX-A:1\r\nx-a:  two words \t\r\nno colon\r\n: no name\r\n folded: x\r\nE:\r\nlf: y\nT: a:b\r\nLast: z";
    static const char *const want[] = { "Host=example.org", "X-A=1", "x-a=two words", "E=", "lf=y", "T=a:b", "Last=z" };
    webhook_slice lines, name, value, none = { NULL, 0 };
    apr_size_t at = 0;
    int n = 0;

    lines.len = sizeof(text) - 1;
    lines.data = apr_pmemdup(pool, text, lines.len);
    while (wh_headers_next(lines, &at, &name, &value)) {
        const char *got = apr_pstrcat(pool, apr_pstrmemdup(pool, name.data, name.len), "=", apr_pstrmemdup(pool, value.data, value.len), NULL);
        if (n < 7)
            is_str(got, want[n], "header line %d", n);
        n++;
    }
    is_int(n, 7, "seven headers");
    ok(!wh_headers_next(lines, &at, &name, &value), "the end stays the end");
    at = 0;
    ok(!wh_headers_next(none, &at, &name, &value), "no lines");
    is_str(wh_headers_get(lines, "HOST", pool), "example.org", "a header by name");
    is_str(wh_headers_get(lines, "x-a", pool), "1", "the first of two");
    is_str(wh_headers_get(lines, "e", pool), "", "an empty one");
    is_str(wh_headers_get(lines, "x", pool), NULL, "none");
    is_str(wh_headers_get(lines, "no colon", pool), NULL, "what is no header");
}

static void test_sensitive(void)
{
    static const char *const yes[] = { "Authorization", "authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Gitlab-Token",
                                       "X-Hub-Signature-256", "webhook-signature", "X-Api-Key", "X-APIKEY", "X-Password", "X-Shopify-Hmac-Sha256",
                                       "X-Secret", "x-api_key", "PAYPAL-TRANSMISSION-SIG", "X-JWT-Assertion" };
    static const char *const no[] = { "Host", "User-Agent", "Content-Type", "X-GitHub-Event", "X-GitHub-Delivery", "webhook-id", "webhook-timestamp",
                                      "Content-Length", "X-Sigma", "", "sig" };

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        ok(wh_header_is_sensitive(yes[i], strlen(yes[i])), "%s is masked", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        ok(!wh_header_is_sensitive(no[i], strlen(no[i])), "'%s' is not", no[i]);
    ok(!wh_header_is_sensitive("Cookie", 5), "the length counts");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_write();
    test_round_trips();
    test_body();
    test_headers();
    test_sensitive();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
