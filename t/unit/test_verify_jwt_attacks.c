/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What RFC 8725 (JSON Web Token Best Current Practices) warns of, and what tokens have been broken with: algorithms the sender chooses, keys
 * of another kind, keys that come with the token, kid as a path or a query, other numbers of segments, times that are none, spellings of one
 * token that are not the token. Every token here that could be signed is signed rightly, so that nothing but the rule refuses it.
 */
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>

#include "core/encoding.h"
#include "verify_fixture.h"

#define EXP "\"exp\":1796000300"
#define CLAIMS "{\"iss\":\"me\"," EXP "}"

static apr_pool_t *p;

static const char *b64n(const void *data, apr_size_t len)
{
    return wh_encode(WH_ENC_BASE64URL, data, len, p);
}

static const char *b64(const char *text)
{
    return b64n(text, strlen(text));
}

static const char *hs(const char *header, const char *claims, const EVP_MD *md, const void *key, apr_size_t len)
{
    const char *text = apr_pstrcat(p, b64(header), ".", b64(claims), NULL);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    HMAC(md, key, (int)len, (const unsigned char *)text, strlen(text), mac, &n);
    return apr_pstrcat(p, text, ".", b64n(mac, n), NULL);
}

static EVP_PKEY *private_key(const char *type)
{
    apr_size_t len;
    const char *pem = private_pem(type, &len);
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free(bio);
    return pkey;
}

static const char *public_pem(const char *type)
{
    EVP_PKEY *pkey = private_key(type);
    BIO *bio = BIO_new(BIO_s_mem());
    const char *text;
    char *data;
    long len;

    PEM_write_bio_PUBKEY(bio, pkey);
    len = BIO_get_mem_data(bio, &data);
    text = apr_pstrmemdup(p, data, (apr_size_t)len);
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return text;
}

/* Signed with the private key; with pss as PS256, with raw as JWT writes ECDSA */
static const char *signed_by(const char *type, const char *header, const char *claims, int pss, int raw)
{
    const char *text = apr_pstrcat(p, b64(header), ".", b64(claims), NULL);
    EVP_PKEY *pkey = private_key(type);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    unsigned char sig[512], flat[64];
    size_t len = sizeof(sig);

    EVP_DigestSignInit(ctx, &pctx, type[1] == 'D' ? NULL : EVP_sha256(), NULL, pkey);
    if (pss) {
        EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
    }
    EVP_DigestSign(ctx, sig, &len, (const unsigned char *)text, strlen(text));
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    if (raw) {
        const unsigned char *der = sig;
        ECDSA_SIG *both = d2i_ECDSA_SIG(NULL, &der, (long)len);
        BN_bn2binpad(ECDSA_SIG_get0_r(both), flat, 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(both), flat + 32, 32);
        ECDSA_SIG_free(both);
        return apr_pstrcat(p, text, ".", b64n(flat, 64), NULL);
    }
    return apr_pstrcat(p, text, ".", b64n(sig, len), NULL);
}

static void check(fixture *f, const char *value, const char *want, const char *what)
{
    apr_table_set(headers_of(f), "X-Token", value);
    is_str(outcome(f), want, "%s", what);
}

static void symmetric(fixture *f)
{
    configure(f, p, "jwt", "header=X-Token\nclaim=iss=me\nclaim=exp");
    add_key(f, "1", "secret", 6);
}

/* Section 3.1, 3.2: the algorithm is the endpoint's, whatever the token says */
static void test_none(void)
{
    static const char *const names[] = { "none", "None", "NONE", "nOnE", "", " none", "none ", "HS256 ", "hs256", "HS-256", "HS2560", "HS25", "HS384",
                                         "HS512", "RS256", "ES256", "EdDSA", "PS256", "dir", "A128KW", "HS256\\u0000", "\\u0048S256\\u0020" };
    static const char *const values[] = { "null", "1", "true", "[]", "[\"HS256\"]", "{}", "{\"alg\":\"HS256\"}" };
    apr_size_t i;
    fixture f;

    symmetric(&f);
    check(&f, hs("{\"alg\":\"HS256\"}", CLAIMS, EVP_sha256(), "secret", 6), "accepted", "a good token");
    check(&f, hs("{\"alg\":\"\\u0048S256\"}", CLAIMS, EVP_sha256(), "secret", 6), "accepted", "the same name, escaped as JSON may");
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *header = apr_psprintf(p, "{\"alg\":\"%s\"}", names[i]);
        check(&f, apr_pstrcat(p, b64(header), ".", b64(CLAIMS), ".", NULL), "signature-malformed", apr_psprintf(p, "alg \"%s\", unsigned", names[i]));
        check(&f, hs(header, CLAIMS, EVP_sha256(), "secret", 6), "signature-malformed", apr_psprintf(p, "alg \"%s\", signed", names[i]));
    }
    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const char *header = apr_psprintf(p, "{\"alg\":%s}", values[i]);
        check(&f, hs(header, CLAIMS, EVP_sha256(), "secret", 6), "signature-malformed", header);
    }
    check(&f, hs("{}", CLAIMS, EVP_sha256(), "secret", 6), "signature-malformed", "no alg");
    check(&f, hs("{\"Alg\":\"HS256\"}", CLAIMS, EVP_sha256(), "secret", 6), "signature-malformed", "Alg");
    check(&f, hs("{\"alg\":\"none\",\"alg\":\"HS256\"}", CLAIMS, EVP_sha256(), "secret", 6), "signature-malformed", "alg twice");
    check(&f, hs("{\"alg\":\"HS256\",\"enc\":\"A128GCM\"}", CLAIMS, EVP_sha256(), "secret", 6), "accepted", "a header of no meaning here");
    check(&f, hs("{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", CLAIMS, EVP_sha256(), "secret", 6), "signature-malformed", "RFC 7797");
    check(&f, hs("{\"alg\":\"HS256\",\"crit\":[]}", CLAIMS, EVP_sha256(), "secret", 6), "signature-malformed", "an empty crit");
}

/* Section 2.1: a public key as a shared secret, in every form it may be had; one algorithm's key with another */
static void test_confusion(void)
{
    const char *rsa = public_pem("RSA"), *ec = public_pem("EC");
    EVP_PKEY *pkey = private_key("RSA");
    unsigned char *der = NULL;
    int der_len = i2d_PUBKEY(pkey, &der), bits;
    apr_size_t end = strlen(rsa);
    fixture f;

    EVP_PKEY_free(pkey);
    configure(&f, p, "jwt", "header=X-Token\nalgorithm=RS256\nclaim=iss=me\nclaim=exp");
    is_str(add_key(&f, "1", rsa, strlen(rsa)), NULL, "an RSA key");
    check(&f, signed_by("RSA", "{\"alg\":\"RS256\"}", CLAIMS, 0, 0), "accepted", "RS256");
    for (bits = 256; bits <= 512; bits += 128) {
        const EVP_MD *md = bits == 256 ? EVP_sha256() : bits == 384 ? EVP_sha384() : EVP_sha512();
        const char *header = apr_psprintf(p, "{\"alg\":\"HS%d\"}", bits);
        check(&f, hs(header, CLAIMS, md, rsa, end), "signature-malformed", "HMAC with the key as PEM");
        check(&f, hs(header, CLAIMS, md, rsa, end - 1), "signature-malformed", "without its newline");
        check(&f, hs(header, CLAIMS, md, der, (apr_size_t)der_len), "signature-malformed", "as DER");
        check(&f, hs("{\"alg\":\"RS256\"}", CLAIMS, md, rsa, end), "signature-mismatch", "and called RS256");
    }
    OPENSSL_free(der);
    check(&f, signed_by("RSA", "{\"alg\":\"PS256\"}", CLAIMS, 1, 0), "signature-malformed", "PS256, signed rightly with this key");
    check(&f, signed_by("RSA", "{\"alg\":\"RS256\"}", CLAIMS, 1, 0), "signature-mismatch", "and called RS256");
    check(&f, signed_by("EC", "{\"alg\":\"ES256\"}", CLAIMS, 0, 1), "signature-malformed", "ES256");
    check(&f, signed_by("EC", "{\"alg\":\"RS256\"}", CLAIMS, 0, 1), "signature-mismatch", "and called RS256");

    configure(&f, p, "jwt", "header=X-Token\nalgorithm=RS256,ES256\nclaim=iss=me\nclaim=exp");
    is_str(add_key(&f, "1", rsa, strlen(rsa)), NULL, "an RSA key where both are taken");
    check(&f, signed_by("RSA", "{\"alg\":\"RS256\"}", CLAIMS, 0, 0), "accepted", "RS256 with it");
    check(&f, signed_by("EC", "{\"alg\":\"ES256\"}", CLAIMS, 0, 1), "key-unknown", "ES256 has no key of its kind");

    configure(&f, p, "jwt", "header=X-Token\nalgorithm=ES256\nclaim=iss=me\nclaim=exp");
    is_str(add_key(&f, "1", ec, strlen(ec)), NULL, "an EC key");
    check(&f, signed_by("EC", "{\"alg\":\"ES256\"}", CLAIMS, 0, 1), "accepted", "ES256");
    check(&f, signed_by("EC", "{\"alg\":\"ES256\"}", CLAIMS, 0, 0), "signature-mismatch", "as DER, which JWT does not write");
    check(&f, apr_pstrcat(p, b64("{\"alg\":\"ES256\"}"), ".", b64(CLAIMS), ".", b64n((const char[64]){ 0 }, 64), NULL), "signature-mismatch", "r and s 0");
    check(&f, apr_pstrcat(p, b64("{\"alg\":\"ES256\"}"), ".", b64(CLAIMS), ".",
                          "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVH_____AAAAAP__________vOb6racXnoTzucrC_GMlUQ", NULL),
          "signature-mismatch", "r and s the order of the curve");

    configure(&f, p, "jwt", "header=X-Token");
    is_str(add_key(&f, "1", rsa, strlen(rsa)), "is PEM, but the scheme takes a shared secret", "a public key is no shared secret");
    ok(configure(&f, p, "jwt", "header=X-Token\nalgorithm=HS256,RS256") != NULL, "nor are both kinds taken at once");
}

/* Section 3.10: nothing in the token chooses its key, but kid among ours, exactly */
static void test_keys_in_token(void)
{
    static const char *const members[] = { "\"jku\":\"https://evil.example/jwks\"", "\"x5u\":\"https://evil.example/c.pem\"", "\"x5c\":[\"MIIB\"]",
                                           "\"jwk\":{\"kty\":\"oct\",\"k\":\"ZXZpbA\"}", "\"x5t\":\"AAAA\"", "\"x5t#S256\":\"AAAA\"" };
    static const char *const kids[] = { "../../../../dev/null", "/dev/null", "1' OR '1'='1", "1; DROP TABLE keys", "$(id)", "|id", "", " 1", "1 ",
                                        "01", "2", "%31", "file:///etc/passwd", "https://evil.example/k", "\\ud83d\\ude00" };
    static const char *const odd[] = { "1", "null", "[\"1\"]", "{\"1\":1}", "true" };
    const char *set = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"one\",\"k\":\"c2VjcmV0\"},{\"kty\":\"oct\",\"kid\":\"two\",\"k\":\"b3RoZXI\"}]}"; /* secret, other */
    apr_size_t i;
    fixture f;

    symmetric(&f);
    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const char *header = apr_pstrcat(p, "{\"alg\":\"HS256\",", members[i], "}", NULL);
        check(&f, hs(header, CLAIMS, EVP_sha256(), "evil", 4), "signature-mismatch", apr_pstrcat(p, "a key of its own: ", members[i], NULL));
        check(&f, hs(header, CLAIMS, EVP_sha256(), "secret", 6), "accepted", "and with ours: it means nothing");
    }
    for (i = 0; i < sizeof(kids) / sizeof(kids[0]); i++) {
        const char *header = apr_psprintf(p, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", kids[i]);
        check(&f, hs(header, CLAIMS, EVP_sha256(), "", 0), "signature-mismatch", apr_psprintf(p, "kid \"%s\" and an empty key", kids[i]));
    }

    configure(&f, p, "jwt", "header=X-Token\nclaim=iss=me\nclaim=exp");
    is_str(add_key(&f, "set", set, strlen(set)), NULL, "a set of keys");
    check(&f, hs("{\"alg\":\"HS256\",\"kid\":\"one\"}", CLAIMS, EVP_sha256(), "secret", 6), "accepted", "the key of that kid");
    check(&f, hs("{\"alg\":\"HS256\",\"kid\":\"two\"}", CLAIMS, EVP_sha256(), "secret", 6), "signature-mismatch", "another's kid");
    check(&f, hs("{\"alg\":\"HS256\"}", CLAIMS, EVP_sha256(), "other", 5), "accepted", "no kid: each is tried");
    for (i = 0; i < sizeof(kids) / sizeof(kids[0]); i++) {
        const char *header = apr_psprintf(p, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", kids[i]);
        if (kids[i][0]) check(&f, hs(header, CLAIMS, EVP_sha256(), "secret", 6), "key-unknown", apr_psprintf(p, "kid \"%s\"", kids[i]));
    }
    check(&f, hs("{\"alg\":\"HS256\",\"kid\":\"ONE\"}", CLAIMS, EVP_sha256(), "secret", 6), "key-unknown", "kid in other letters");
    check(&f, hs("{\"alg\":\"HS256\",\"kid\":\"on\"}", CLAIMS, EVP_sha256(), "secret", 6), "key-unknown", "the beginning of a kid");
    check(&f, hs("{\"alg\":\"HS256\",\"kid\":\"one\\u0000\"}", CLAIMS, EVP_sha256(), "secret", 6), "signature-malformed", "a kid with a NUL behind it");
    for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        const char *header = apr_psprintf(p, "{\"alg\":\"HS256\",\"kid\":%s}", odd[i]);
        check(&f, hs(header, CLAIMS, EVP_sha256(), "evil", 4), "signature-mismatch", apr_psprintf(p, "kid %s is none", odd[i]));
    }
}

/* One token has one spelling */
static void test_spellings(void)
{
    const char *good = hs("{\"alg\":\"HS256\"}", CLAIMS, EVP_sha256(), "secret", 6), *dot = strrchr(good, '.');
    const char *first = strchr(good, '.');
    static const char *const tails[] = { ".", "..", ".AAAA", ".AAAA.AAAA", ".AAAA.AAAA.AAAA", "=", "==", "\n", " ", "\t", "%2e", "AA", ".." };
    static const char *const heads[] = { " ", ".", "=", "\t", "eyJ", "Bearer " };
    apr_size_t i, len = strlen(good);
    int wrong = 0;
    fixture f;

    symmetric(&f);
    check(&f, good, "accepted", "the token");
    for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        ok(strcmp((apr_table_set(headers_of(&f), "X-Token", apr_pstrcat(p, good, tails[i], NULL)), outcome(&f)), "accepted") != 0, "\"%s\" behind it", tails[i]);
    }
    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        ok(strcmp((apr_table_set(headers_of(&f), "X-Token", apr_pstrcat(p, heads[i], good, NULL)), outcome(&f)), "accepted") != 0, "\"%s\" before it", heads[i]);
    }
    for (i = 0; i < len; i++) { /* every character replaced by every other of the alphabet's neighbours: unused bits count */
        char *changed = apr_pstrdup(p, good);
        changed[i] = changed[i] == 'A' ? 'B' : changed[i] == '.' ? '-' : (char)(changed[i] ^ 1);
        if (strcmp(changed, good) == 0) continue;
        apr_table_setn(headers_of(&f), "X-Token", changed);
        if (strcmp(outcome(&f), "accepted") == 0) wrong++;
    }
    is_int(wrong, 0, "one character changed, at %d places", (int)len);
    for (i = wrong = 0; i < len; i++) {
        apr_table_setn(headers_of(&f), "X-Token", apr_pstrmemdup(p, good, i));
        if (strcmp(outcome(&f), "accepted") == 0) wrong++;
    }
    is_int(wrong, 0, "cut at every place");
    check(&f, apr_pstrcat(p, apr_pstrmemdup(p, good, (apr_size_t)(first - good)), "..", dot + 1, NULL), "signature-malformed", "no claims");
    check(&f, apr_pstrcat(p, ".", first + 1, NULL), "signature-malformed", "no header");
    check(&f, "..", "signature-malformed", "nothing but dots");
    check(&f, hs("{\"alg\":\"HS256\"}", "{\"iss\":\"me\",\"exp\":1796000300,\"x\":\"\xff\xfe\"}", EVP_sha256(), "secret", 6), "signature-malformed", "bytes that are no UTF-8");
    check(&f, hs("{\"alg\":\"HS256\"}", "{\"iss\":\"me\",\"exp\":1796000300}x", EVP_sha256(), "secret", 6), "signature-malformed", "claims and something behind them");
    check(&f, hs("\xef\xbb\xbf{\"alg\":\"HS256\"}", CLAIMS, EVP_sha256(), "secret", 6), "signature-malformed", "a byte order mark");
}

/* Section 3.9 and what a number may be: exp, nbf and iat each */
static void test_times(void)
{
    static const char *const names[] = { "exp", "nbf", "iat" };
    static const char *const broken[] = { "1e300", "-1e300", "1e-300", "1E9", "1.796e9", "-1", "-0", "-1796000000", "1796000000000", "99999999999999999999", "9223372036854775807",
                                          "9223372036854775808", "18446744073709551616", "null", "true", "\"1796000000\"", "[1796000000]", "{}", "\"\"", "\"never\"" };
    static const char *const impossible[] = { "1796000000.", ".5", "01796000000", "+1", "0x6b0d1000", "NaN", "Infinity", "1_796" };
    static const struct { const char *claims, *want, *what; } edges[] = {
        { "\"exp\":1796000000", "timestamp-outside-window", "exp now" }, { "\"exp\":1796000001", "accepted", "exp in a second" },
        { "\"exp\":1796000000.999999", "timestamp-outside-window", "exp in a fraction: cut, not rounded up" }, { "\"exp\":1796000001.5", "accepted", "exp with a fraction" },
        { "\"exp\":0", "timestamp-outside-window", "exp 0" }, { "\"exp\":999999999999", "accepted", "exp in the year 33658" },
        { EXP ",\"nbf\":1796000000", "accepted", "nbf now" }, { EXP ",\"nbf\":1796000001", "timestamp-outside-window", "nbf in a second" }, { EXP ",\"nbf\":0", "accepted", "nbf 0" },
        { EXP ",\"iat\":1796000000", "accepted", "iat now" }, { EXP ",\"iat\":1796000001", "timestamp-outside-window", "iat in a second" }, { EXP ",\"iat\":0", "accepted", "iat 0" },
        { EXP ",\"iat\":1795999999.25", "accepted", "iat with a fraction" }, { "\"exp\":1795999999,\"exp\":1796000300", "signature-malformed", "exp twice" } };
    apr_size_t i, k;
    fixture f;

    configure(&f, p, "jwt", "header=X-Token\nclaim=exp");
    add_key(&f, "1", "secret", 6);
    for (k = 0; k < 3; k++) {
        const char *rest = k ? EXP "," : "";
        for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
            const char *claims = apr_psprintf(p, "{%s\"%s\":%s}", rest, names[k], broken[i]);
            check(&f, hs("{\"alg\":\"HS256\"}", claims, EVP_sha256(), "secret", 6), "timestamp-malformed", claims);
        }
        for (i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
            const char *claims = apr_psprintf(p, "{%s\"%s\":%s}", rest, names[k], impossible[i]);
            check(&f, hs("{\"alg\":\"HS256\"}", claims, EVP_sha256(), "secret", 6), "signature-malformed", claims);
        }
    }
    for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        check(&f, hs("{\"alg\":\"HS256\"}", apr_pstrcat(p, "{", edges[i].claims, "}", NULL), EVP_sha256(), "secret", 6), edges[i].want, edges[i].what);
    }
    configure(&f, p, "jwt", "header=X-Token\nleeway=10s\nmax-age=1min");
    add_key(&f, "1", "secret", 6);
    check(&f, hs("{\"alg\":\"HS256\"}", "{\"iat\":999999999999}", EVP_sha256(), "secret", 6), "timestamp-outside-window", "iat far ahead, with leeway and age");
    check(&f, hs("{\"alg\":\"HS256\"}", "{\"iat\":0}", EVP_sha256(), "secret", 6), "timestamp-outside-window", "iat long ago");
    check(&f, hs("{\"alg\":\"HS256\"}", "{\"iat\":1796000010,\"nbf\":1796000010,\"exp\":1795999991}", EVP_sha256(), "secret", 6), "accepted", "all within the leeway");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&p, NULL);
    test_none();
    test_confusion();
    test_keys_in_token();
    test_spellings();
    test_times();
    apr_pool_destroy(p);
    return tap_done();
}
