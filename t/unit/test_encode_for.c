/* SPDX-License-Identifier: Apache-2.0 */
/* test_encode_for.c: each encoder over every byte and over what is known to have hurt somebody. */
#include "tap.h"

#include <apr_general.h>

#include "core/durable.h"
#include "core/encode_for.h"
#include "core/encoding.h"

static apr_pool_t *pool;

#define ENCODED(fn, in, want) is_str(fn(in, sizeof(in) - 1, pool), want, #fn ": %s", want)

static void check_url(void)
{
    int bad = 0;

    ENCODED(wh_encode_for_url, "", "");
    ENCODED(wh_encode_for_url, "AZaz09-._~", "AZaz09-._~");
    ENCODED(wh_encode_for_url, "a b&c=d?e#f/g%h+i", "a%20b%26c%3Dd%3Fe%23f%2Fg%25h%2Bi");
    ENCODED(wh_encode_for_url, "x\r\nHost: evil", "x%0D%0AHost%3A%20evil");
    ENCODED(wh_encode_for_url, "\xc3\xa9\0z", "%C3%A9%00z");
    ENCODED(wh_encode_for_url, "//evil.example/@", "%2F%2Fevil.example%2F%40");
    for (int c = 0; c < 256; c++) {
        char in = (char)c;
        const char *out = wh_encode_for_url(&in, 1, pool);

        bad += strspn(out, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%") != strlen(out);
        bad += strlen(out) != (*out == '%' ? 3 : 1);
    }
    is_int(bad, 0, "every byte is unreserved or escaped");
}

static void check_json(void)
{
    ENCODED(wh_encode_for_json, "", "\"\"");
    ENCODED(wh_encode_for_json, "say \"hi\"\\\n", "\"say \\\"hi\\\"\\\\\\n\"");
    ENCODED(wh_encode_for_json, "\",\"admin\":true,\"x\":\"", "\"\\\",\\\"admin\\\":true,\\\"x\\\":\\\"\"");
}

static void check_text(void)
{
    ENCODED(wh_encode_for_text, "<!channel> & \"you\" 'too'", "&lt;!channel&gt; &amp; \"you\" 'too'");
    ENCODED(wh_encode_for_text, "caf\xc3\xa9", "caf\xc3\xa9");
}

static void check_name(void)
{
    char many[400];
    const char *a, *b;
    int bad = 0;

    ENCODED(wh_encode_for_name, "", "_");
    ENCODED(wh_encode_for_name, "_", "__");
    ENCODED(wh_encode_for_name, "octo/Hello-World.git", "octo_2FHello-World.git");
    ENCODED(wh_encode_for_name, "..", "_2E.");
    ENCODED(wh_encode_for_name, ".ssh", "_2Essh");
    ENCODED(wh_encode_for_name, "../../etc/passwd", "_2E._2F.._2Fetc_2Fpasswd");
    ENCODED(wh_encode_for_name, "%2e%2e%2f", "_252e_252e_252f");
    ENCODED(wh_encode_for_name, "a\0b", "a_00b");
    ENCODED(wh_encode_for_name, "a_2F", "a__2F");
    for (int c = 0; c < 256; c++) {
        char in = (char)c;

        bad += !wh_name_is_safe(wh_encode_for_name(&in, 1, pool)) && in != '-';
    }
    is_int(bad, 0, "every byte gives a safe component");
    memset(many, 'a', sizeof(many));
    is_int(strlen(wh_encode_for_name(many, WH_NAME_PART_MAX, pool)), WH_NAME_PART_MAX, "a long value stays itself");
    a = wh_encode_for_name(many, WH_NAME_PART_MAX + 1, pool);
    b = wh_encode_for_name(many, WH_NAME_PART_MAX + 2, pool);
    is_int(strlen(a), WH_NAME_PART_MAX, "a longer one is cut");
    ok(strcmp(a, b) != 0, "and its digest tells it from another");
    ok(wh_name_is_safe(a) && strstr(a, "_.") != NULL, "%s", a);
    memset(many, '/', sizeof(many));
    a = wh_encode_for_name(many, sizeof(many), pool);
    ok(strlen(a) <= WH_NAME_PART_MAX && !strncmp(strstr(a, "_."), "_.", 2) && a[strlen(a) - 33] == '.', "cut between two escapes: %s", a);
}

static void check_ce(void)
{
    ENCODED(wh_encode_for_ce_header, "Euro \xe2\x82\xac \xf0\x9f\x98\x80", "Euro%20%E2%82%AC%20%F0%9F%98%80"); /* the binding's own example */
    ENCODED(wh_encode_for_ce_header, "a\"b%c\r\n", "a%22b%25c%0D%0A");
    ENCODED(wh_encode_for_ce_header, "caf\xe9", "caf%C3%A9");
    ENCODED(wh_encode_for_ce_header, "!#$&'()*+,/:;=?@[]~", "!#$&'()*+,/:;=?@[]~");
}

static void check_fits(void)
{
    static const struct {
        const char *path;
        int fits;
    } paths[] = {
        { "/a/b?c=d", 1 }, { "", 1 }, { "/", 1 }, { "/a..b/c.", 1 }, { "/...", 1 }, { "/a?x=../..", 1 }, { "/%2e%2e%2e", 1 }, { "/a//b", 1 },
        { "/..", 0 }, { "/a/../b", 0 }, { "/a/./b", 0 }, { "/a/%2e%2E/b", 0 }, { "/a/.%2e", 0 }, { "/a/..;x=1/b", 0 }, { "/a\\..\\b", 0 },
        { "/a%2f..%2fb", 0 }, { "/a/..%5Cb", 0 }, { "/a b", 0 }, { "/a#b", 0 }, { "/a\r\nb", 0 }, { "/\xc3\xa9", 0 }, { "/a?b\x7f", 0 },
    };

    for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        is_int(wh_fits_path(paths[i].path, strlen(paths[i].path)), paths[i].fits, "path %u", i);
    ok(wh_fits_header("a\tb \xe9", 5), "a header takes tabs and obs-text");
    ok(!wh_fits_header("a\rb", 3) && !wh_fits_header("a\nb", 3) && !wh_fits_header("a\0b", 3) && !wh_fits_header("\x1b[1m", 4)
       && !wh_fits_header("\x7f", 1), "and no control character");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    check_url();
    check_json();
    check_text();
    check_name();
    check_ce();
    check_fits();
    return tap_done();
}
