/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What looks like the right signature and is another thing: other digests, plain digests, cut ones, the continuation of a plain digest, and
 * signatures over what a parser would have made of the body.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* to continue a digest one needs its inner state */
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "core/encoding.h"
#include "verify_fixture.h"

#define KEY "It's a Secret to Everybody"

static apr_pool_t *p;

static const char *hex_of(const unsigned char *bytes, apr_size_t len)
{
    return wh_encode(WH_ENC_HEX, bytes, len, p);
}

static const char *hmac_hex(const char *digest, const char *key, const char *text)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    HMAC(EVP_get_digestbyname(digest), key, (int)strlen(key), (const unsigned char *)text, strlen(text), md, &len);
    return hex_of(md, len);
}

static const char *digest_hex(const char *digest, const char *a, const char *b)
{
    const char *text = apr_pstrcat(p, a, b, NULL);
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    EVP_Digest(text, strlen(text), md, &len, EVP_get_digestbyname(digest), NULL);
    return hex_of(md, len);
}

static const char *with_signature(fixture *f, const char *header, const char *value)
{
    apr_table_set(headers_of(f), header, value);
    return outcome(f);
}

static void test_algorithms(void)
{
    static const char *const digests[] = { "SHA1", "SHA384", "SHA512", "SHA224", "SHA512-256", "SHA3-256", "MD5" };
    const char *body = "{\"id\":\"1\"}", *good = hmac_hex("SHA256", KEY, body), *name = "X-Hub-Signature-256";
    apr_size_t i;
    fixture f;

    configure(&f, p, "github", "");
    add_key(&f, "1", KEY, strlen(KEY));
    is_str(with_signature(&f, name, apr_pstrcat(p, "sha256=", good, NULL)), "accepted", "the right one");
    for (i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        const char *other = hmac_hex(digests[i], KEY, body);
        ok(strcmp(with_signature(&f, name, apr_pstrcat(p, "sha256=", other, NULL)), "accepted") != 0, "HMAC of %s", digests[i]);
        ok(strcmp(with_signature(&f, name, apr_pstrcat(p, "sha1=", other, NULL)), "accepted") != 0, "HMAC of %s, named sha1", digests[i]);
    }
    ok(strcmp(with_signature(&f, name, apr_pstrcat(p, "sha1=", good, NULL)), "accepted") != 0, "the right one under another name");
    is_str(with_signature(&f, name, apr_pstrcat(p, "sha256=", digest_hex("SHA256", KEY, body), NULL)), "signature-mismatch", "digest of key and body");
    is_str(with_signature(&f, name, apr_pstrcat(p, "sha256=", digest_hex("SHA256", body, KEY), NULL)), "signature-mismatch", "digest of body and key");
    is_str(with_signature(&f, name, apr_pstrcat(p, "sha256=", digest_hex("SHA256", "", body), NULL)), "signature-mismatch", "digest of the body");
    is_str(with_signature(&f, name, apr_pstrcat(p, "sha256=", hmac_hex("SHA256", body, KEY), NULL)), "signature-mismatch", "key and body exchanged");
    is_str(with_signature(&f, name, apr_pstrcat(p, "sha256=", hmac_hex("SHA256", "", body), NULL)), "signature-mismatch", "an empty key");
    is_str(with_signature(&f, name, apr_pstrcat(p, "sha256=", hmac_hex("SHA256", KEY, ""), NULL)), "signature-mismatch", "an empty body");
    is_str(with_signature(&f, name, apr_pstrcat(p, "sha256=", hmac_hex("SHA256", KEY "\n", body), NULL)), "signature-mismatch", "the key with its newline");
    for (i = 0; i < 128; i++) {
        const char *cut = apr_pstrmemdup(p, apr_pstrcat(p, good, good, NULL), i);
        if (i != 64) ok(strcmp(with_signature(&f, name, apr_pstrcat(p, "sha256=", cut, NULL)), "accepted") != 0, "%d of its digits", (int)i);
    }
}

/* One interpretation: the received bytes. A signature over what a parser would write again is none. */
static void test_reencoded(void)
{
    static const char *const forms[][2] = {
        { "{\"a\":1,\"a\":2}", "{\"a\":2}" },
        { "{\"a\":1,\"a\":2}", "{\"a\":1}" },
        { "\xef\xbb\xbf{\"a\":1}", "{\"a\":1}" },
        { "{\"a\":1}\r\n", "{\"a\":1}\n" },
        { "{\"a\":1}\n", "{\"a\":1}" },
        { "{\"a\":1}  ", "{\"a\":1}" },
        { "{ \"a\" : 1 }", "{\"a\":1}" },
        { "{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}" },
        { "{\"a\":\"\\u00e9\"}", "{\"a\":\"\xc3\xa9\"}" },
        { "{\"a\":\"\\/\"}", "{\"a\":\"/\"}" },
        { "{\"a\":1.0}", "{\"a\":1}" },
        { "{\"a\":1e2}", "{\"a\":100}" },
        { "{\"a\":12345678901234567890}", "{\"a\":12345678901234567000}" },
        { "a=1&b=2", "b=2&a=1" },
        { "a=%7e", "a=~" },
        { "a=b+c", "a=b%20c" },
    };
    static const char *const schemes[] = { "github", "slack", "stripe", "shopify", "hubspot-v1", "discord" };
    apr_size_t i, k;

    for (k = 0; k < sizeof(schemes) / sizeof(schemes[0]); k++) {
        int wrong = 0;
        for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
            wh_verifier_info info;
            fixture f;

            wh_verifier_describe(wh_verifier_builtin(schemes[k]), &info);
            configure_with_key(&f, p, &info);
            f.req.body.data = forms[i][1];
            f.req.body.len = strlen(forms[i][1]);
            sign(&f, "id-1", NULL);
            if (strcmp(outcome(&f), "accepted") != 0) wrong++;
            f.req.body.data = forms[i][0];
            f.req.body.len = strlen(forms[i][0]);
            if (strcmp(outcome(&f), "signature-mismatch") != 0) wrong++;
            sign(&f, "id-1", NULL);
            if (strcmp(outcome(&f), "accepted") != 0) wrong++;
        }
        is_int(wrong, 0, "%s: each of %d spellings has a signature of its own", schemes[k], (int)(sizeof(forms) / sizeof(forms[0])));
    }
}

/* digest(secret m) is enough to make digest(secret m padding x). */
static void continued(const unsigned char digest[32], apr_size_t secret_len, const char *m, const char *x, webhook_slice *body, const char **sig)
{
    apr_size_t len = secret_len + strlen(m), pad = 64 - (len + 9) % 64, i;
    unsigned char md[32], *at;
    SHA256_CTX ctx;

    pad = pad == 64 ? 0 : pad;
    body->len = strlen(m) + 9 + pad + strlen(x);
    at = apr_pcalloc(p, body->len + 1);
    body->data = (const char *)at;
    memcpy(at, m, strlen(m));
    at += strlen(m);
    *at = 0x80;
    at += 1 + pad;
    for (i = 0; i < 8; i++) *at++ = (unsigned char)((apr_uint64_t)len * 8 >> (56 - 8 * i));
    memcpy(at, x, strlen(x));
    SHA256_Init(&ctx);
    for (i = 0; i < 8; i++) {
        ctx.h[i] = (unsigned)digest[4 * i] << 24 | (unsigned)digest[4 * i + 1] << 16 | (unsigned)digest[4 * i + 2] << 8 | digest[4 * i + 3];
    }
    len += 9 + pad;
    ctx.Nl = (unsigned)(len << 3);
    SHA256_Update(&ctx, x, strlen(x));
    SHA256_Final(md, &ctx);
    *sig = hex_of(md, 32);
}

static void test_continuation(void)
{
    static const char secret[] = "a secret of some length";
    unsigned char digest[32], whole[32];
    const char *m = "{\"id\":\"1\"}", *sig, *forged_by_owner;
    char *all;
    webhook_slice body;
    apr_size_t n;
    fixture f;
    int wrong = 0;

    configure(&f, p, "hubspot-v1", "");
    add_key(&f, "1", secret, strlen(secret));
    f.req.body.data = m;
    f.req.body.len = strlen(m);
    is_str(sign(&f, NULL, NULL), NULL, "hubspot-v1: signed");
    is_str(outcome(&f), "accepted", "and accepted");
    is_str(apr_table_get(headers_of(&f), "X-HubSpot-Signature"), digest_hex("SHA256", secret, m), "a plain digest");
    all = apr_pstrcat(p, secret, m, NULL);
    EVP_Digest(all, strlen(all), digest, NULL, EVP_sha256(), NULL);

    continued(digest, strlen(secret), m, ",{\"id\":\"2\"}", &body, &sig);
    all = apr_palloc(p, strlen(secret) + body.len);
    memcpy(all, secret, strlen(secret));
    memcpy(all + strlen(secret), body.data, body.len);
    EVP_Digest(all, strlen(secret) + body.len, whole, NULL, EVP_sha256(), NULL);
    forged_by_owner = hex_of(whole, 32);
    is_str(sig, forged_by_owner, "without the secret, the very digest that the owner of the secret would make");
    f.req.body = body;
    is_str(with_signature(&f, "X-HubSpot-Signature", sig), "signature-mismatch", "is refused");

    /* of every length: the padding has a NUL byte always */
    for (n = 1; n < 200; n++) {
        char *text = apr_palloc(p, n + 1);
        memset(text, 'x', n);
        text[n] = '\0';
        all = apr_pstrcat(p, secret, text, NULL);
        EVP_Digest(all, strlen(all), digest, NULL, EVP_sha256(), NULL);
        continued(digest, strlen(secret), text, "y", &body, &sig);
        f.req.body = body;
        if (strcmp(with_signature(&f, "X-HubSpot-Signature", sig), "signature-mismatch") != 0) wrong++;
    }
    is_int(wrong, 0, "bodies of 1 to 199 bytes, continued");

    /* with the secret at the end nothing can be continued, and the body is anything */
    configure(&f, p, "cloudinary-sha256", "");
    add_key(&f, "1", secret, strlen(secret));
    f.req.body.data = "a\0b";
    f.req.body.len = 3;
    sign(&f, NULL, NULL);
    is_str(outcome(&f), "accepted", "a NUL byte before the secret is one like any other");
    configure(&f, p, "github", "");
    add_key(&f, "1", secret, strlen(secret));
    f.req.body.data = "a\0b";
    f.req.body.len = 3;
    sign(&f, NULL, NULL);
    is_str(outcome(&f), "accepted", "as it is for an HMAC");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&p, NULL);
    test_algorithms();
    test_reencoded();
    test_continuation();
    apr_pool_destroy(p);
    return tap_done();
}
