/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats of JSON Schema: tables of our own for each grammar's corners; the official suites' assertions are judged elsewhere.
 */
#include <apr_general.h>
#include <apr_pools.h>

#include "tap.h"
#include "validate/format.h"

static apr_pool_t *pool;

/* the strings of a list, to the empty one (which is judged too when `empty` says so) */
static void judge(const char *format, int valid, const char *const *list)
{
    wh_format_check *check = wh_format_find(format, 202012);
    apr_pool_t *p;

    if (!check) {
        ok(0, "%s is known", format);
        return;
    }
    apr_pool_create(&p, pool);
    for (; *list; list++) {
        is_int(check(*list, strlen(*list), wh_format_takes_scratch(check) ? p : NULL), valid, "%s: %.*s", format, (int)strcspn(*list, "\n"), *list);
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
}

#define LIST(...) (const char *const[]){ __VA_ARGS__, NULL }
#define VALID(format, ...) judge(format, 1, LIST(__VA_ARGS__))
#define INVALID(format, ...) judge(format, 0, LIST(__VA_ARGS__))

#define L63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static void times(void)
{
    VALID("date", "2026-11-26", "2024-02-29", "2000-02-29", "0000-01-01", "9999-12-31");
    INVALID("date", "", "2026-02-29", "1900-02-29", "2026-04-31", "2026-00-10", "2026-13-10", "2026-01-00", "2026-01-32", "2026-1-01", "20261126", "2026-11-26Z",
            "2026-11-2\n", "2026/11/26", " 2026-11-26", "+026-11-26", "2026-11-26 ");
    VALID("time", "00:00:00Z", "23:59:59.1z", "23:59:60Z", "00:59:60+01:00", "18:29:60-05:30", "12:00:00.123456789012345678901234567890Z", "12:00:00-00:00");
    INVALID("time", "", "12:00Z", "12:00:00", "24:00:00Z", "12:60:00Z", "12:00:61Z", "22:59:60Z", "23:59:60+01:00", "12:00:00.Z", "12:00:00,5Z", "12:00:00+1:00",
            "12:00:00+24:00", "12:00:00+00:60", "12:00:00+0000", "12:00:00+00:00Z", "12:00:00Zx", "1:00:00Z", "12-00-00Z", "12:00:00 Z", "12:00:00.");
    VALID("date-time", "2026-11-26T02:29:10Z", "2016-12-31t23:59:60z", "2026-11-26T02:29:10.5+14:00");
    INVALID("date-time", "", "2018-04-25 20:42:10", "2026-11-26", "2026-11-26T", "2026-11-26T02:29:10", "2026-02-30T02:29:10Z", "2026-11-26T02:29Z", "2026-11-26_02:29:10Z");
    VALID("duration", "P1Y", "P1Y2M3D", "P1M2D", "P3D", "P1W", "PT1H", "PT1H2M3S", "PT2M3S", "PT3S", "P1DT1S", "P0Y", "P01Y");
    INVALID("duration", "", "P", "PT", "P1", "1Y", "P1Y3D", "PT1H3S", "P1W2D", "P1D1W", "P1WT1S", "P1YT", "P1H", "PT1D", "P1.5D", "p1d", "P-1D", "P1Y1Y", "P1D ", "PY", "P1M1Y");
}

static void addresses(void)
{
    VALID("ipv4", "0.0.0.0", "192.0.2.1", "255.255.255.255");
    INVALID("ipv4", "", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.04", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4 ", "0x1.2.3.4", "1.2.3.4\n", "1.2.3.1000", "00.0.0.0");
    VALID("ipv6", "::", "::1", "1::", "2001:db8::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "::ffff:192.0.2.1", "1:2:3:4:5:6:1.2.3.4", "ABCD:ef01::", "1::1.2.3.4");
    INVALID("ipv6", "", ":", ":::", "1", "1:", ":1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::1%eth0", "[::1]", "::1.2.3", "1.2.3.4", "::1.2.3.04",
            "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6:7:8::", "::1 ", "fe80::/10", "::1.2.3.4:5", "1:2:3:4:5:6:7:", "::-1");
    VALID("hostname", "a", "A", "a.b", "1host", "x--y", "a-b.c-d.example", "3com.com", L63 ".com", "xn--bcher-kva.example", "XN--BCHER-KVA.example");
    INVALID("hostname", "", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "a b", "a\n", L63 "l.com", L63 "." L63 "." L63 "." L63, "b\303\274cher.example", "xn--", "xn--X",
            "xn--bcher-kvb0", "*.example", "a/b", "[::1]");
    VALID("idn-hostname", "b\303\274cher.example", "a\343\200\202b", "\316\262\317\214\316\273\316\277\317\202.com", "\327\220\327\221.example", "l\302\267l", "example", "xn--bcher-kva",
          "\327\220" "1");
    INVALID("idn-hostname", "", "B\303\234CHER", "\302\267l", "u\314\210.example", "ab--c", "xn--bcher-kvb0", "\342\230\203.example", "a\327\220", "1.\327\220", "\342\200\215a",
            "\327\220" "0\331\240", "\343\200\202", "b\303\274cher-", "-b\303\274cher", "a b");
    VALID("email", "a@b", "someone@example.com", "a.b+c@x.example", "\"a b\"@example.com", "\"a\\\"@\"@example.com", "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "!#$%&'*+-/=?^_`{|}~@x",
          "\"\"@example.com");
    INVALID("email", "", "@", "a@", "@b", "a", ".a@b", "a.@b", "a..b@c", "a b@c", "a@b@c", "\"a@b", "\"a\"b@c", "a@[192.0.2]", "a@[2001:db8::1]", "a@[IPv6:1]", "a@-b", "a@b_c", "a@b.",
            "\303\274@example.com", "a@b\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@b", "a@[192.0.2.1");
    VALID("idn-email", "a@b", "a@ab--c", "\303\274@b\303\274cher.example", "\"\303\274 \"@example.com", "a@[192.0.2.1]");
    INVALID("idn-email", "", "\303\274", "@b\303\274cher.example", "a@\342\230\203.example", "\303\274..a@b");
}

static void references(void)
{
    VALID("uri", "a:", "http://h", "http://h:80/p?q#f", "http://h:/", "urn:a:b", "mailto:a@b", "file:///etc", "a:/", "a://", "http://u:p@h/", "http://[::1]:80/", "http://[v1.a:b]/", "x+y-z.1:a",
          "http://h/%41", "http://h/?/?:@", "a:b?c#d/?", "http://%41/");
    INVALID("uri", "", ":", "a", "/a", "//h", "1a:b", "a b:c", "http://h/ ", "http://h/%", "http://h/%4", "http://h/%4g", "http://h/\303\274", "http://[::1", "http://::1]/", "http://[::1]a/",
            "http://h:a/", "http://u@v@h/", "a:#b#c", "a:b\\c", "a:<b>", "a:b|c", "a:[b]", "a:b?[c]", "http://[v.a]/", "http://[v1.]/", "http://[1.2.3.4]/", "a:b\n", "a:\x7f", "http://[v1.%41]/");
    VALID("uri-reference", "", "a", "/a", "//h/p", "?q", "#f", "./a:b", "../..", "a/b:c", "http://h", "//", "a;b=c,d");
    INVALID("uri-reference", ":a", "1:a", "a\\b", "%", "#a#b", "//h:x", "[a]", "\303\274", " ", "//[::1");
    VALID("iri", "http://b\303\274cher.example/\303\274?\356\200\200#\303\274", "a:\360\220\200\200");
    INVALID("iri", "", "\303\274", "\303\274:b", "a:\356\200\200", "a:#\356\200\200", "a:\357\277\277", "a: ", "a:\302\200");
    VALID("iri-reference", "", "\303\274", "//b\303\274cher", "#\303\274");
    INVALID("iri-reference", "\357\277\277", "\303\274:a", "\\");
    VALID("uri-template", "", "a", "{a}", "{+a,b*}", "{#a:3}", "{?a,b}{&c}", "{a.b_c%41}", "x{/y}z", "\303\274", "a%41", "{=a}", "{1}");
    INVALID("uri-template", "{", "}", "{}", "{a", "a}", "{{a}}", "{a,}", "{,}", "{a:}", "{a:0}", "{a:12345}", "{a*:3}", "{a b}", "{.}", "{a..b}", "{.a.}", "%", "%4", "a b", "<", "\"", "\\", "^", "`", "|",
            "{\303\274}", "a\n");
}

static void others(void)
{
    static const char *const both[] = { "date-time", "date", "time", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri", "uri-reference", "iri",
        "iri-reference", "uri-template", "json-pointer", "relative-json-pointer", "regex", "uuid", "duration" };
    apr_size_t i;

    VALID("uuid", "00000000-0000-0000-0000-000000000000", "2EB8AA08-aa98-11ea-B4AA-73b441d16380");
    INVALID("uuid", "", "2eb8aa08aa9811eab4aa73b441d16380", "2eb8aa08-aa98-11ea-b4aa-73b441d1638", "2eb8aa08-aa98-11ea-b4aa-73b441d1638g", "2eb8aa0-8aa98-11ea-b4aa-73b441d16380",
            "{2eb8aa08-aa98-11ea-b4aa-73b441d16380}", "2eb8aa08-aa98-11ea-b4aa-73b441d16380\n");
    VALID("json-pointer", "", "/", "/a/b", "//", "/~0~1", "/\303\274", "/a b");
    INVALID("json-pointer", "a", "/~", "/~2", "/a~", "#/a", "0");
    VALID("relative-json-pointer", "0", "1/a", "0#", "10/~0", "0/");
    INVALID("relative-json-pointer", "", "/a", "01", "-1", "0##", "0#/a", "0a", "1/~", "00", "+1");
    VALID("regex", "", "a", "^[a-z]+$", "(?<n>a)\\k<n>", "\\p{Letter}", "(?<=a*)b");
    INVALID("regex", "(", "\\a", "\\Z", "a{2,1}", "^(?i)a");
    for (i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
        int later = i >= 17;
        wh_format_check *check = wh_format_find(both[i], 202012);

        ok(check && check == wh_format_find(both[i], 201909), "%s is known", both[i]);
        is_int(wh_format_find(both[i], 7) == NULL, later, "%s by draft 07", later ? "not" : "and");
        /* a NUL is a character like others, and mostly a wrong one */
        if (check) is_int(check("a\0b", 3, pool), !strcmp(both[i], "regex"), "%s and NUL", both[i]);
        if (check) check(NULL, 0, pool);
    }
    ok(!wh_format_find("colour", 202012) && !wh_format_find("", 7) && !wh_format_find("Date", 7), "unknown names");
    ok(!wh_format_find("date", 4), "unknown drafts");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    times();
    addresses();
    references();
    others();
    apr_pool_destroy(pool);
    return tap_done();
}
