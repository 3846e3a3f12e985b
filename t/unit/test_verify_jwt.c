/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and HTTP signatures under attack: what RFC 8725 warns of, times that are none, claims of the wrong kind; signatures that cover too
 * little, digests that do not fit, parameters out of range.
 */
#include <openssl/hmac.h>

#include "core/encoding.h"
#include "verify_fixture.h"

static apr_pool_t *p;

static const char PUBLIC_KEY[] = "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsA4tYTMARfzz2/nuJSEo\nj4mIBlA8XwCPq7v5MnOUqOgtGNrWAxByDR7a5RbPva6Ur7DmY3sdL4J2F0flu4oJ\n"
    "+9w7S+ld+1E5T2eAIPVkJAYAQ6urAoUFi3tJjgvA8iaWwYKBR//5tDfUTZaYmHDg\nCjmyErEMChupilKuGZ1mmpstEfkA533+dQS4Qxqx6qcB+eHZmjZSPKHRZ3DY8oZ+\n"
    "2xgR1oX/pqUFZemspI7bcpVPMxBNM95o0lhEUCpFCIvieTZCKAXqCmsB6k7k0Q2n\nlqGIieWfS/A4thpvrjXojRcVnFe9zKm6odTp36qh0XpPBpnCN4U3jByE+tOTwgDp\n"
    "kQIDAQAB\n-----END PUBLIC KEY-----\n";

static const char *b64(const char *text)
{
    return wh_encode(WH_ENC_BASE64URL, (const unsigned char *)text, strlen(text), p);
}

static const char *token_with(const char *header, const char *claims, const EVP_MD *md, const char *key)
{
    const char *text = apr_pstrcat(p, b64(header), ".", b64(claims), NULL);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    HMAC(md, key, (int)strlen(key), (const unsigned char *)text, strlen(text), mac, &len);
    return apr_pstrcat(p, text, ".", wh_encode(WH_ENC_BASE64URL, mac, len, p), NULL);
}

static const char *token(const char *claims)
{
    return token_with("{\"alg\":\"HS256\"}", claims, EVP_sha256(), "secret");
}

static void check(fixture *f, const char *value, const char *want, const char *what)
{
    apr_table_set(headers_of(f), "X-Token", value);
    is_str(outcome(f), want, "%s", what);
}

/* A JWK that says since when it is out of use */
static void test_expired_key(void)
{
    static const char *const keys[] = { "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"expired_at\":null}", "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"expired_at\":1796000001}",
                                        "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"expired_at\":1796000000}" };
    static const char *const wanted[] = { "accepted", "accepted", "secret-unavailable" };
    fixture f;
    int i;

    for (i = 0; i < 3; i++) {
        configure(&f, p, "jwt", "header=X-Token\nclaim=exp");
        is_str(add_key(&f, "1", keys[i], strlen(keys[i])), NULL, "a key is taken");
        check(&f, token("{\"exp\":1796000300}"), wanted[i], keys[i]);
    }
}

static void test_tokens(void)
{
    const char *good = token("{\"iss\":\"me\",\"exp\":1796000300}"), *dot = strrchr(good, '.');
    fixture f;

    configure(&f, p, "jwt", "header=X-Token\nclaim=iss=me|myself\nclaim=exp");
    add_key(&f, "1", "secret", 6);
    check(&f, good, "accepted", "a good token");
    check(&f, token("{\"iss\":\"myself\",\"exp\":1796000300}"), "accepted", "the other issuer");
    check(&f, apr_pstrcat(p, "Bearer ", good, NULL), "signature-malformed", "a prefix that is not configured");
    check(&f, token_with("{\"alg\":\"none\"}", "{\"iss\":\"me\",\"exp\":1796000300}", EVP_sha256(), "secret"), "signature-malformed", "alg none");
    check(&f, token_with("{\"alg\":\"None\"}", "{\"iss\":\"me\",\"exp\":1796000300}", EVP_sha256(), "secret"), "signature-malformed", "alg None");
    check(&f, token_with("{\"alg\":\"HS512\"}", "{\"iss\":\"me\",\"exp\":1796000300}", EVP_sha512(), "secret"), "signature-malformed", "an algorithm not configured");
    check(&f, token_with("{\"alg\":\"hs256\"}", "{\"iss\":\"me\",\"exp\":1796000300}", EVP_sha256(), "secret"), "signature-malformed", "alg in other letters");
    check(&f, token_with("{\"alg\":\"HS256\",\"alg\":\"none\"}", "{\"iss\":\"me\",\"exp\":1796000300}", EVP_sha256(), "secret"), "signature-malformed", "alg twice");
    check(&f, token_with("{\"alg\":[\"HS256\"]}", "{\"iss\":\"me\",\"exp\":1796000300}", EVP_sha256(), "secret"), "signature-malformed", "alg a list");
    check(&f, token_with("{\"typ\":\"JWT\"}", "{\"iss\":\"me\",\"exp\":1796000300}", EVP_sha256(), "secret"), "signature-malformed", "no alg");
    check(&f, token_with("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{\"iss\":\"me\",\"exp\":1796000300}", EVP_sha256(), "secret"), "signature-malformed", "crit");
    check(&f, token_with("{\"alg\":\"HS256\",\"jku\":\"https://evil\",\"jwk\":{\"kty\":\"oct\",\"k\":\"ZXZpbA\"}}", "{\"iss\":\"me\",\"exp\":1796000300}", EVP_sha256(), "evil"),
          "signature-mismatch", "a key that comes with the token");
    check(&f, token_with("{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", "{\"iss\":\"me\",\"exp\":1796000300}", EVP_sha256(), ""), "signature-mismatch", "a kid that is a path");
    check(&f, apr_pstrmemdup(p, good, (apr_size_t)(dot - good + 1)), "signature-malformed", "no signature");
    check(&f, apr_pstrmemdup(p, good, (apr_size_t)(dot - good)), "signature-malformed", "two segments");
    check(&f, apr_pstrcat(p, good, ".AAAA.AAAA", NULL), "signature-malformed", "five segments");
    check(&f, apr_pstrcat(p, good, "=", NULL), "signature-malformed", "padding");
    check(&f, apr_pstrcat(p, good, "AAAA", NULL), "signature-mismatch", "a longer signature");
    check(&f, apr_pstrmemdup(p, good, strlen(good) - 3), "signature-mismatch", "a shorter signature");
    check(&f, token("[1]"), "signature-malformed", "claims that are no object");
    check(&f, token("{\"iss\":\"me\",\"iss\":\"me\",\"exp\":1796000300}"), "signature-malformed", "a claim twice");
    check(&f, token("{\"iss\":\"them\",\"exp\":1796000300}"), "claim-mismatch", "another issuer");
    check(&f, token("{\"iss\":[\"them\",\"me\"],\"exp\":1796000300}"), "accepted", "one of a list");
    check(&f, token("{\"iss\":{\"me\":1},\"exp\":1796000300}"), "claim-mismatch", "an object");
    check(&f, token("{\"iss\":\"me\"}"), "claim-mismatch", "no exp");
    check(&f, token("{\"iss\":\"me\",\"exp\":1796000000}"), "timestamp-outside-window", "expired this very second");
    check(&f, token("{\"iss\":\"me\",\"exp\":1796000001}"), "accepted", "one second left");
    check(&f, token("{\"iss\":\"me\",\"exp\":1796000300,\"nbf\":1796000001}"), "timestamp-outside-window", "not yet valid");
    check(&f, token("{\"iss\":\"me\",\"exp\":1796000300,\"iat\":1796000001}"), "timestamp-outside-window", "issued in the future");
    check(&f, token("{\"iss\":\"me\",\"exp\":1796000300.5}"), "accepted", "a fraction of a second");
    check(&f, token("{\"iss\":\"me\",\"exp\":1e300}"), "timestamp-malformed", "1e300");
    check(&f, token("{\"iss\":\"me\",\"exp\":-1}"), "timestamp-malformed", "negative");
    check(&f, token("{\"iss\":\"me\",\"exp\":\"1796000300\"}"), "timestamp-malformed", "a string");
    check(&f, token("{\"iss\":\"me\",\"exp\":9999999999999}"), "timestamp-malformed", "milliseconds");
    check(&f, token("{\"iss\":\"me\",\"exp\":null}"), "timestamp-malformed", "null");
    apr_table_addn(headers_of(&f), "X-Token", good);
    is_str(outcome(&f), "header-duplicate", "two tokens");

    configure(&f, p, "jwt", "header=X-Token\nalgorithm=RS256");
    is_str(add_key(&f, "1", PUBLIC_KEY, strlen(PUBLIC_KEY)), NULL, "an RSA key");
    check(&f, token_with("{\"alg\":\"HS256\"}", "{}", EVP_sha256(), PUBLIC_KEY), "signature-malformed", "HS256 keyed with the public key");
    check(&f, token_with("{\"alg\":\"RS256\"}", "{}", EVP_sha256(), PUBLIC_KEY), "signature-mismatch", "even when it says RS256");

    configure(&f, p, "jwt", "header=X-Token\nmax-age=1min\nleeway=5s\nclaim=h=hex:sha256:{body}");
    add_key(&f, "1", "secret", 6);
    f.req.body.len = 0;
#define H "\"h\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""
    check(&f, token("{\"iat\":1795999935," H "}"), "accepted", "as old as allowed with leeway");
    check(&f, token("{\"iat\":1795999934," H "}"), "timestamp-outside-window", "a second older");
    check(&f, token("{" H "}"), "timestamp-missing", "no iat");
    check(&f, token("{\"iat\":1796000000,\"h\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8\"}"), "digest-mismatch", "a cut digest");
    check(&f, token("{\"iat\":1796000000,\"h\":\"\"}"), "digest-mismatch", "an empty digest");
    check(&f, token("{\"iat\":1796000000}"), "claim-mismatch", "no digest");
}

static void resigned(fixture *f, const char *what, const char *want, void (*change)(fixture *))
{
    is_str(sign(f, NULL, NULL), NULL, "%s: signed", what);
    change(f);
    is_str(outcome(f), want, "%s", what);
}

static void replace(fixture *f, const char *header, const char *from, const char *to)
{
    const char *value = apr_table_get(f->req.headers, header), *at = strstr(value, from);

    if (at) value = apr_pstrcat(p, apr_pstrmemdup(p, value, (apr_size_t)(at - value)), to, at + strlen(from), NULL);
    else diag("%s is not in %s", from, value);
    apr_table_set(headers_of(f), header, value);
}

static void nothing(fixture *f) { (void)f; }
static void other_alg(fixture *f) { replace(f, "Signature-Input", "hmac-sha256", "rsa-v1_5-sha256"); }
static void other_key(fixture *f) { replace(f, "Signature-Input", "keyid=\"k1\"", "keyid=\"k2\""); }
static void uncovered(fixture *f) { replace(f, "Signature-Input", "\"content-digest\"", ""); }
static void twice(fixture *f) { replace(f, "Signature-Input", "\"@method\"", "\"@method\" \"@method\""); }
static void unknown_param(fixture *f) { replace(f, "Signature-Input", "\"@method\"", "\"@method\";req"); }
static void old(fixture *f) { replace(f, "Signature-Input", "created=1796000000", "created=1795990000"); }
static void no_created(fixture *f) { replace(f, "Signature-Input", "created=1796000000;", ""); }
static void cut(fixture *f) { replace(f, "Signature", "=:", "="); }
static void other_label(fixture *f) { replace(f, "Signature", "sig1=", "sig2="); }
static void other_digest(fixture *f) { apr_table_set(headers_of(f), "Content-Digest", "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"); }
static void weak_digest(fixture *f) { apr_table_set(headers_of(f), "Content-Digest", "md5=:XrY7u+Ae7tCTyyK7j1rNww==:"); }
static void longer_body(fixture *f) { f->req.body.data = "{\"id\":\"2\"}"; }
static void other_method(fixture *f) { f->req.method = "PUT"; }
static void add_query(fixture *f) { f->req.query = "x=1"; f->req.uri = "/in?x=1"; f->req.url = "https://hooks.example.com/in?x=1"; }
static void with_second(fixture *f) { replace(f, "Signature-Input", "sig1=", "other=(\"@method\");created=1;keyid=\"x\", sig1="); }

static void test_httpsig(void)
{
    static const struct { const char *what, *want; void (*change)(fixture *); } cases[] = {
        { "unchanged", "accepted", nothing }, { "another algorithm", "signature-malformed", other_alg }, { "another key", "key-unknown", other_key },
        { "digest not covered", "signature-malformed", uncovered }, { "a component twice", "signature-malformed", twice },
        { "a parameter not understood", "signature-malformed", unknown_param }, { "old", "timestamp-outside-window", old },
        { "no creation time", "timestamp-missing", no_created }, { "a signature that is no byte sequence", "signature-malformed", cut },
        { "no signature of that label", "signature-missing", other_label }, { "another digest", "signature-mismatch", other_digest },
        { "a weak digest", "signature-mismatch", weak_digest }, { "another body", "digest-mismatch", longer_body },
        { "another method", "signature-mismatch", other_method }, { "a query added", "signature-mismatch", add_query },
        { "a second signature that is not ours", "accepted", with_second } };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture f;
        configure(&f, p, "httpsig", "");
        apr_table_set(headers_of(&f), "Content-Type", "application/json");
        add_key(&f, "k1", "a shared secret", 15);
        resigned(&f, cases[i].what, cases[i].want, cases[i].change);
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&p, NULL);
    test_tokens();
    test_expired_key();
    test_httpsig();
    apr_pool_destroy(p);
    return tap_done();
}
