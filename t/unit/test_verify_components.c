/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Components of HTTP Message Signatures with parameters (RFC 9421 section 2.1): the examples of the RFC as lines of the signature base, which
 * is made and signed here without the code under test, and Structured Fields (RFC 8941) written again.
 */
#include <openssl/hmac.h>

#include "core/encoding.h"
#include "verify/sfield.h"
#include "verify_fixture.h"

#define KEY "a shared secret"

static apr_pool_t *p;

/* A request whose base is `line`, a newline and the parameters. @return the outcome */
static const char *signed_line(const char *const *headers, const char *component, const char *line)
{
    const char *params = apr_pstrcat(p, "(", component, ");created=1796000000;keyid=\"k1\"", NULL);
    const char *base = apr_pstrcat(p, line, "\n\"@signature-params\": ", params, NULL), *err;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    fixture f;

    if ((err = configure(&f, p, "httpsig", "components=none\nbody-digest=off")) != NULL) return err;
    if ((err = add_key(&f, "k1", KEY, strlen(KEY))) != NULL) return err;
    for (; *headers; headers += 2) apr_table_addn(headers_of(&f), headers[0], headers[1]);
    HMAC(EVP_sha256(), KEY, (int)strlen(KEY), (const unsigned char *)base, strlen(base), mac, &len);
    apr_table_setn(headers_of(&f), "Signature-Input", apr_pstrcat(p, "sig1=", params, NULL));
    apr_table_setn(headers_of(&f), "Signature", apr_pstrcat(p, "sig1=:", wh_encode(WH_ENC_BASE64, mac, len, p), ":", NULL));
    return outcome(&f);
}

static void test_examples(void)
{
    static const char *const dict[] = { "Example-Dict", "  a=1,    b=2;x=1;y=2,   c=(a   b   c)", NULL };
    static const char *const members[] = { "Example-Dict", "  a=1, b=2;x=1;y=2, c=(a   b    c), d", NULL };
    static const char *const lines[] = { "Example-Header", "value, with, lots", "Example-Header", "of, commas", NULL };
    static const char *const line[] = { "Example-Header", "value, with, lots, of, commas", NULL };
    static const struct { const char *const *headers; const char *component, *line, *want; } cases[] = {
        /* section 2.1 */
        { dict, "\"example-dict\"", "\"example-dict\": a=1,    b=2;x=1;y=2,   c=(a   b   c)", "accepted" },
        { lines, "\"example-header\"", "\"example-header\": value, with, lots, of, commas", "accepted" },
        /* 2.1.1 */
        { dict, "\"example-dict\";sf", "\"example-dict\";sf: a=1, b=2;x=1;y=2, c=(a b c)", "accepted" },
        { dict, "\"example-dict\";sf", "\"example-dict\";sf: a=1,    b=2;x=1;y=2,   c=(a   b   c)", "signature-mismatch" },
        { dict, "\"example-dict\"", "\"example-dict\": a=1, b=2;x=1;y=2, c=(a b c)", "signature-mismatch" },
        /* 2.1.2 */
        { members, "\"example-dict\";key=\"a\"", "\"example-dict\";key=\"a\": 1", "accepted" },
        { members, "\"example-dict\";key=\"d\"", "\"example-dict\";key=\"d\": ?1", "accepted" },
        { members, "\"example-dict\";key=\"b\"", "\"example-dict\";key=\"b\": 2;x=1;y=2", "accepted" },
        { members, "\"example-dict\";key=\"c\"", "\"example-dict\";key=\"c\": (a b c)", "accepted" },
        { members, "\"example-dict\";sf;key=\"c\"", "\"example-dict\";sf;key=\"c\": (a b c)", "accepted" },
        { members, "\"example-dict\";key=\"a\" \"example-dict\";key=\"d\"",
          "\"example-dict\";key=\"a\": 1\n\"example-dict\";key=\"d\": ?1", "accepted" },
        { members, "\"example-dict\";key=\"a\"", "\"example-dict\";key=\"a\": 2", "signature-mismatch" },
        { members, "\"example-dict\";key=\"e\"", "\"example-dict\";key=\"e\": ", "signature-malformed" },
        /* 2.1.3 */
        { lines, "\"example-header\";bs", "\"example-header\";bs: :dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:", "accepted" },
        { line, "\"example-header\";bs", "\"example-header\";bs: :dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:", "accepted" },
        { lines, "\"example-header\";bs", "\"example-header\";bs: :dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:", "signature-mismatch" },
        /* what contradicts itself, or stands for what a request does not have */
        { line, "\"example-header\";bs;sf", "\"example-header\";bs;sf: x", "signature-malformed" },
        { dict, "\"example-dict\";bs;key=\"a\"", "\"example-dict\";bs;key=\"a\": 1", "signature-malformed" },
        { dict, "\"example-dict\";sf;sf", "\"example-dict\";sf;sf: a=1, b=2;x=1;y=2, c=(a b c)", "signature-malformed" },
        { dict, "\"example-dict\";sf=?1", "\"example-dict\";sf=?1: a=1, b=2;x=1;y=2, c=(a b c)", "signature-malformed" },
        { dict, "\"example-dict\";key=a", "\"example-dict\";key=a: 1", "signature-malformed" },
        { dict, "\"example-dict\";key=\"a\";key=\"b\"", "\"example-dict\";key=\"a\";key=\"b\": 1", "signature-malformed" },
        { dict, "\"example-dict\";tr", "\"example-dict\";tr: a=1,    b=2;x=1;y=2,   c=(a   b   c)", "signature-malformed" },
        { dict, "\"example-dict\";req", "\"example-dict\";req: a=1,    b=2;x=1;y=2,   c=(a   b   c)", "signature-malformed" },
        { dict, "\"@method\";sf", "\"@method\";sf: POST", "signature-malformed" },
        { line, "\"example-header\";key=\"value\"", "\"example-header\";key=\"value\": ?1", "accepted" },
        { line, "\"example-dict\";sf", "\"example-dict\";sf: ", "signature-malformed" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_str(signed_line(cases[i].headers, cases[i].component, cases[i].line), cases[i].want, "%s", cases[i].line);
    }
}

static void test_serialized(void)
{
    static const struct { const char *text, *want; } cases[] = {
        { "a=1,b=2", "a=1, b=2" }, { "a = 1", NULL }, { "a=1,", NULL }, { ",a", NULL }, { "", NULL }, { " ", NULL },
        { "a=?1;x=?1;y=?0", "a;x;y=?0" }, { "a=?0", "a=?0" }, { "a=?2", NULL }, { "a=()", "a=()" }, { "a=( b;c  \"d\" );e", "a=(b;c \"d\");e" },
        { "a=(b\"c\")", NULL }, { "a=(b", NULL }, { "(a b), c", "(a b), c" }, { "007", "7" }, { "-0", "0" }, { "-0.0", "0.0" }, { "-0.5", "-0.5" }, { "-00.50", "-0.5" },
        { "1.50", "1.5" }, { "1.000", "1.0" }, { "1.", NULL }, { ".5", NULL }, { "1.0001", NULL }, { "--1", NULL }, { "-", NULL },
        { "999999999999999", "999999999999999" }, { "9999999999999999", NULL }, { "1234567890123.1", NULL }, { "123456789012.1", "123456789012.1" },
        { "\"a \\\"b\\\\\"", "\"a \\\"b\\\\\"" }, { "\"a", NULL }, { "\"a\\n\"", NULL }, { ":AAE=:", ":AAE=:" }, { ":AAE:", NULL }, { "@1796000000", "@1796000000" },
        { "@1.5", NULL }, { "@-", NULL }, { "tok/en:x", "tok/en:x" }, { "*a", "*a" }, { "a;b=1;b=2", NULL }, { "a=1, a=2", NULL },
        { "text/html;q=1.0, */*;  q=0.10", "text/html;q=1.0, */*;q=0.1" }, { "a\tb", NULL }, { "a \t,\t b", "a, b" }, { "a,,b", NULL },
        { "a, a", "a, a" /* a list: no dictionary has a key twice */ }, { "a;B=1", NULL }, { "%\"x\"", NULL },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_str(wh_sf_serialize(cases[i].text, p), cases[i].want, "\"%s\"", cases[i].text);
    }
    is_str(wh_sf_member("a=1;x, b", "a", p), "1;x", "a member");
    is_str(wh_sf_member("a=1;x, b;y=2", "b", p), "?1;y=2", "one that is true");
    is_str(wh_sf_member("a=1, b, ", "a", p), NULL, "of a dictionary that is none");
    is_str(wh_sf_member("a=1", "b", p), NULL, "none of that name");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&p, NULL);
    test_examples();
    test_serialized();
    apr_pool_destroy(p);
    return tap_done();
}
