/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.c: from the bytes of a secret to what verification needs: symmetric keys as pre-keyed HMAC contexts, public keys from PEM,
 * certificates, SubjectPublicKeyInfo, raw Ed25519 and JWK Sets with verify contexts made ready. All decoding and fetching happens here,
 * when the configuration is read or a secret reloaded; a request only duplicates contexts.
 */
#include "verify/scheme.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>

#include "core/secret.h"
#include "core/units.h"

static const wh_alg algs[] = {
    { "sha1", WH_ALG_DIGEST, WH_SHA1 }, { "sha256", WH_ALG_DIGEST, WH_SHA256 }, { "sha384", WH_ALG_DIGEST, WH_SHA384 },
    { "sha512", WH_ALG_DIGEST, WH_SHA512 }, { "ed25519", WH_ALG_ED25519, WH_SHA512 },
    { "ecdsa-p256", WH_ALG_ECDSA, WH_SHA256 }, { "ecdsa-p256-raw", WH_ALG_ECDSA_RAW, WH_SHA256 },
    { "rsa-sha1", WH_ALG_RSA, WH_SHA1 }, { "rsa-sha256", WH_ALG_RSA, WH_SHA256 }, { "rsa-sha384", WH_ALG_RSA, WH_SHA384 },
    { "rsa-sha512", WH_ALG_RSA, WH_SHA512 }, { "rsa-pss-sha256", WH_ALG_RSA_PSS, WH_SHA256 },
    { "rsa-pss-sha384", WH_ALG_RSA_PSS, WH_SHA384 }, { "rsa-pss-sha512", WH_ALG_RSA_PSS, WH_SHA512 },
    /* RFC 7518 and 8037 */
    { "HS256", WH_ALG_DIGEST, WH_SHA256 }, { "HS384", WH_ALG_DIGEST, WH_SHA384 }, { "HS512", WH_ALG_DIGEST, WH_SHA512 },
    { "RS256", WH_ALG_RSA, WH_SHA256 }, { "RS384", WH_ALG_RSA, WH_SHA384 }, { "RS512", WH_ALG_RSA, WH_SHA512 },
    { "PS256", WH_ALG_RSA_PSS, WH_SHA256 }, { "PS384", WH_ALG_RSA_PSS, WH_SHA384 }, { "PS512", WH_ALG_RSA_PSS, WH_SHA512 },
    { "ES256", WH_ALG_ECDSA_RAW, WH_SHA256 }, { "EdDSA", WH_ALG_ED25519, WH_SHA512 },
    /* RFC 9421 section 6.2 */
    { "hmac-sha256", WH_ALG_DIGEST, WH_SHA256 }, { "ecdsa-p256-sha256", WH_ALG_ECDSA_RAW, WH_SHA256 },
    { "rsa-v1_5-sha256", WH_ALG_RSA, WH_SHA256 },
};

static const struct {
    const char *name, *openssl;
    apr_size_t size;
} digests[WH_DIGEST_COUNT] = { { "sha1", "SHA1", 20 }, { "sha256", "SHA256", 32 }, { "sha384", "SHA384", 48 }, { "sha512", "SHA512", 64 } };

const wh_alg *wh_alg_find(const char *name)
{
    apr_size_t i;

    for (i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
        if (strcmp(algs[i].name, name) == 0) return &algs[i];
    }
    return NULL;
}

apr_size_t wh_digest_size(wh_digest d)
{
    return digests[d].size;
}

const char *wh_digest_name(wh_digest d)
{
    return digests[d].openssl;
}

int wh_digest_find(const char *name)
{
    int i;

    for (i = 0; i < WH_DIGEST_COUNT; i++) {
        if (strcmp(digests[i].name, name) == 0) return i;
    }
    return -1;
}

/* Asking OpenSSL takes a walk through its names: once a key. */
static wh_key_type type_of(const EVP_PKEY *pkey)
{
    char group[32] = "";
    size_t len;

    if (EVP_PKEY_is_a(pkey, "RSA")) return WH_KEY_TYPE_RSA;
    if (EVP_PKEY_is_a(pkey, "ED25519")) return WH_KEY_TYPE_ED25519;
    if (EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) == 1 && strcmp(group, "prime256v1") == 0) {
        return WH_KEY_TYPE_P256;
    }
    return WH_KEY_TYPE_OTHER;
}

int wh_alg_fits_key(const wh_alg *alg, const wh_key *key)
{
    switch (alg->kind) {
    case WH_ALG_DIGEST: return key->raw != NULL;
    case WH_ALG_ED25519: return key->type == WH_KEY_TYPE_ED25519;
    case WH_ALG_ECDSA:
    case WH_ALG_ECDSA_RAW: return key->type == WH_KEY_TYPE_P256;
    default: return key->type == WH_KEY_TYPE_RSA;
    }
}

static apr_status_t free_md_ctx(void *data)
{
    EVP_MD_CTX_free(data);
    return APR_SUCCESS;
}

static apr_status_t free_pkey(void *data)
{
    EVP_PKEY_free(data);
    return APR_SUCCESS;
}

static apr_status_t free_pkey_ctx(void *data)
{
    EVP_PKEY_CTX_free(data);
    return APR_SUCCESS;
}

static apr_status_t free_spare(void *data)
{
    EVP_PKEY_CTX_free(*(EVP_PKEY_CTX **)data);
    return APR_SUCCESS;
}

/* ---- symmetric ---- */

/* State of a digest after one block of key XOR pad */
static EVP_MD_CTX *keyed_state(const EVP_MD *md, const unsigned char *key, apr_size_t len, unsigned char pad, apr_pool_t *p)
{
    unsigned char block[128];
    apr_size_t i, size = (apr_size_t)EVP_MD_get_block_size(md);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && size <= sizeof(block) && len <= size;

    memset(block, pad, sizeof(block));
    for (i = 0; ok && i < len; i++) block[i] ^= key[i];
    ok = ok && EVP_DigestInit_ex2(ctx, md, NULL) == 1 && EVP_DigestUpdate(ctx, block, size) == 1;
    OPENSSL_cleanse(block, sizeof(block));
    if (!ok) {
        EVP_MD_CTX_free(ctx);
        return NULL;
    }
    apr_pool_cleanup_register(p, ctx, free_md_ctx, apr_pool_cleanup_null); /* freeing cleanses the state */
    return ctx;
}

static const char *mac_contexts(const webhook_verifier *v, wh_key *key, apr_pool_t *p)
{
    int i;

    for (i = 0; i < v->algorithms->nelts; i++) {
        const wh_alg *alg = APR_ARRAY_IDX(v->algorithms, i, wh_named_alg).alg;
        const EVP_MD *md = v->md[alg->digest];
        unsigned char hashed[EVP_MAX_MD_SIZE];
        const unsigned char *raw = key->raw;
        apr_size_t len = key->raw_len;

        if (alg->kind != WH_ALG_DIGEST || key->inner[alg->digest]) continue;
        if (md && len > (apr_size_t)EVP_MD_get_block_size(md)) { /* RFC 2104 section 2: longer keys are hashed first */
            if (!wh_hash_bytes(v, alg->digest, raw, len, hashed)) md = NULL;
            raw = hashed;
            len = wh_digest_size(alg->digest);
        }
        if (md) {
            key->inner[alg->digest] = keyed_state(md, raw, len, 0x36, p);
            key->outer[alg->digest] = keyed_state(md, raw, len, 0x5c, p);
        }
        OPENSSL_cleanse(hashed, sizeof(hashed));
        if (!key->inner[alg->digest] || !key->outer[alg->digest]) {
            return "cannot be used: the cryptographic library refuses HMAC with this digest";
        }
    }
    return NULL;
}

static const char *set_raw(const webhook_verifier *v, wh_key *key, const unsigned char *data, apr_size_t len, apr_pool_t *p)
{
    unsigned char *room;

    /* HMAC with an empty key works in OpenSSL and protects nothing. */
    if (len == 0) return "is empty";
    room = wh_secret_room(len, p);
    memcpy(room, data, len);
    key->raw = room;
    key->raw_len = len;
    SHA256(room, len, key->token_hash);
    return v->primitive == WH_TOKEN || v->primitive == WH_HASH ? NULL : mac_contexts(v, key, p);
}

/* base64 of keys: padding may be missing, as senders show them either way */
static const char *decode_key(const webhook_verifier *v, wh_key *key, wh_encoding enc, const char *text, apr_size_t len, apr_pool_t *p)
{
    apr_size_t max = wh_decoded_max(enc, len), out_len = 0;
    unsigned char *room = wh_secret_room(max, p);

    if (wh_decode(enc, WH_DECODE_UPPER | WH_DECODE_UNPADDED | WH_DECODE_PADDED, text, len, room, max, &out_len) != APR_SUCCESS) {
        return enc == WH_ENC_HEX ? "is not hexadecimal" : enc == WH_ENC_BASE64 ? "is not base64" : "is not base64url";
    }
    return set_raw(v, key, room, out_len, p);
}

static int starts(const char *text, apr_size_t len, const char *prefix)
{
    return len >= strlen(prefix) && strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *symmetric(const webhook_verifier *v, wh_key *key, const char *text, apr_size_t len, apr_pool_t *p)
{
    wh_key_encoding enc = v->key_encoding;
    unsigned char sha1[SHA_DIGEST_LENGTH];
    const char *err;

    if (v->key_prefix && starts(text, len, v->key_prefix)) {
        text += strlen(v->key_prefix);
        len -= strlen(v->key_prefix);
        if (len == 0) return apr_psprintf(p, "is empty behind \"%s\"", v->key_prefix);
    } else if (v->key_prefix && v->key_bare_text) {
        enc = WH_KEY_TEXT;
    }
    switch (enc) {
    case WH_KEY_BASE64: return decode_key(v, key, WH_ENC_BASE64, text, len, p);
    case WH_KEY_BASE64URL: return decode_key(v, key, WH_ENC_BASE64URL, text, len, p);
    case WH_KEY_HEX: return decode_key(v, key, WH_ENC_HEX, text, len, p);
    case WH_KEY_SHA1:
        SHA1((const unsigned char *)text, len, sha1);
        err = set_raw(v, key, sha1, sizeof(sha1), p);
        OPENSSL_cleanse(sha1, sizeof(sha1));
        return err;
    default: return set_raw(v, key, (const unsigned char *)text, len, p);
    }
}

/* ---- public ---- */

static const char *ready_context(wh_key *key, const wh_alg *alg, apr_pool_t *p)
{
    int slot = (int)alg->digest + (alg->kind == WH_ALG_RSA_PSS ? WH_DIGEST_COUNT : 0);
    EVP_PKEY_CTX *ctx;
    EVP_MD *md;
    int ok;

    if (alg->kind == WH_ALG_ED25519 || key->vctx[slot]) return NULL;
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    md = EVP_MD_fetch(NULL, wh_digest_name(alg->digest), NULL);
    ok = ctx && md && EVP_PKEY_verify_init(ctx) == 1;
    if (ok && alg->kind == WH_ALG_RSA) ok = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    if (ok && alg->kind == WH_ALG_RSA_PSS) ok = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1;
    if (ok) ok = EVP_PKEY_CTX_set_signature_md(ctx, md) == 1;
    if (ok && alg->kind == WH_ALG_RSA_PSS) {
        ok = EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1 && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    EVP_MD_free(md);
    if (!ok) {
        EVP_PKEY_CTX_free(ctx);
        return "cannot be used: the cryptographic library refuses this key with the scheme's algorithm";
    }
    apr_pool_cleanup_register(p, ctx, free_pkey_ctx, apr_pool_cleanup_null);
    key->vctx[slot] = ctx;
    if (!key->spare) key->spare = apr_pcalloc(p, 2 * WH_DIGEST_COUNT * sizeof(*key->spare));
    apr_pool_cleanup_register(p, &key->spare[slot], free_spare, apr_pool_cleanup_null);
    return NULL;
}

/* Take ownership of pkey. It must fit one of the scheme's algorithms. */
static const char *set_public(const webhook_verifier *v, wh_key *key, EVP_PKEY *pkey, apr_pool_t *p)
{
    int i, fits = 0;

    apr_pool_cleanup_register(p, pkey, free_pkey, apr_pool_cleanup_null);
    key->pkey = pkey;
    key->type = type_of(pkey);
    if (EVP_PKEY_is_a(pkey, "RSA") && EVP_PKEY_get_bits(pkey) < 2048) return "is an RSA key of less than 2048 bits";
    for (i = 0; i < v->algorithms->nelts; i++) {
        const wh_alg *alg = APR_ARRAY_IDX(v->algorithms, i, wh_named_alg).alg;
        const char *err;
        if (alg->kind == WH_ALG_DIGEST || !wh_alg_fits_key(alg, key)) continue;
        fits = 1;
        if ((err = ready_context(key, alg, p)) != NULL) return err;
    }
    return fits ? NULL : "is a key of another type than the scheme's algorithm needs";
}

static apr_time_t asn1_time(const ASN1_TIME *t)
{
    struct tm tm;
    apr_time_exp_t exp;
    apr_time_t out = 0;

    memset(&exp, 0, sizeof(exp));
    if (!t || ASN1_TIME_to_tm(t, &tm) != 1) return 0;
    exp.tm_year = tm.tm_year;
    exp.tm_mon = tm.tm_mon;
    exp.tm_mday = tm.tm_mday;
    exp.tm_hour = tm.tm_hour;
    exp.tm_min = tm.tm_min;
    exp.tm_sec = tm.tm_sec;
    return apr_time_exp_gmt_get(&out, &exp) == APR_SUCCESS ? out : 0;
}

static int no_password(char *buf, int size, int rwflag, void *u)
{
    (void)buf; (void)size; (void)rwflag; (void)u;
    return -1; /* never asks on a terminal */
}

static const char *from_pem(const webhook_verifier *v, wh_key *key, const char *text, apr_size_t len, apr_pool_t *p)
{
    BIO *bio = len < 1u << 20 ? BIO_new_mem_buf(text, (int)len) : NULL;
    const char *head = len ? memchr(text, '-', len) : NULL;
    EVP_PKEY *pkey = NULL;

    if (!bio || !head) {
        BIO_free(bio);
        return "is not PEM";
    }
    if (strstr(head, "-----BEGIN CERTIFICATE-----") || strstr(head, "-----BEGIN TRUSTED CERTIFICATE-----")) {
        X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        if (cert) {
            pkey = X509_get_pubkey(cert);
            key->from = asn1_time(X509_get0_notBefore(cert));
            key->until = asn1_time(X509_get0_notAfter(cert));
            if (!key->from || !key->until) {
                EVP_PKEY_free(pkey);
                pkey = NULL;
            }
        }
        X509_free(cert);
    } else if (strstr(head, "PRIVATE KEY-----")) {
        pkey = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
        key->has_private = pkey != NULL;
    } else {
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    }
    BIO_free(bio);
    ERR_clear_error();
    return pkey ? set_public(v, key, pkey, p) : "is not a PEM public key or certificate";
}

static const char *from_raw(const webhook_verifier *v, wh_key *key, wh_encoding enc, const char *text, apr_size_t len, apr_pool_t *p)
{
    apr_size_t max = wh_decoded_max(enc, len), n = 0;
    unsigned char *room = wh_secret_room(max, p);
    const unsigned char *der = room;
    EVP_PKEY *pkey = NULL;

    if (wh_decode(enc, WH_DECODE_UPPER | WH_DECODE_UNPADDED, text, len, room, max, &n) != APR_SUCCESS) {
        return enc == WH_ENC_HEX ? "is not hexadecimal" : "is not base64";
    }
    if (v->key_encoding == WH_KEY_SPKI || (v->key_encoding == WH_KEY_AUTO && n > 64)) {
        pkey = d2i_PUBKEY(NULL, &der, (long)n);
        if (pkey && der != room + n) {
            EVP_PKEY_free(pkey);
            pkey = NULL;
        }
    } else if (n == 32) {
        pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, room, n);
    }
    ERR_clear_error();
    return pkey ? set_public(v, key, pkey, p) : "is neither 32 bytes of Ed25519 nor a SubjectPublicKeyInfo";
}

/* Ed25519 private key as senders hand it out: seed, or seed and public key */
static const char *from_seed(const webhook_verifier *v, wh_key *key, const char *text, apr_size_t len, apr_pool_t *p)
{
    apr_size_t max = wh_decoded_max(WH_ENC_BASE64, len), n = 0;
    unsigned char *room = wh_secret_room(max, p);
    EVP_PKEY *pkey;

    if (wh_decode(WH_ENC_BASE64, WH_DECODE_UNPADDED, text, len, room, max, &n) != APR_SUCCESS) return "is not base64";
    if (n != 32 && n != 64) return "is not an Ed25519 private key";
    pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, room, 32);
    ERR_clear_error();
    key->has_private = pkey != NULL;
    return pkey ? set_public(v, key, pkey, p) : "is not an Ed25519 private key";
}

/* ---- JWK (RFC 7517, 7518, 8037) ---- */

static int jwk_bytes(const wh_json_value *jwk, const char *name, unsigned char **out, apr_size_t *len, apr_pool_t *p)
{
    webhook_slice s = wh_json_string(wh_json_get(jwk, name));
    apr_size_t max;

    if (!s.len || s.len > 4096) return 0;
    max = wh_decoded_max(WH_ENC_BASE64URL, s.len);
    *out = wh_secret_room(max, p);
    return wh_decode(WH_ENC_BASE64URL, 0, s.data, s.len, *out, max, len) == APR_SUCCESS && *len > 0;
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY *pkey = NULL;

    if (!ctx || !params || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        pkey = NULL;
    }
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

static EVP_PKEY *jwk_rsa(const wh_json_value *jwk, apr_pool_t *p)
{
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    unsigned char *n, *e;
    apr_size_t nlen, elen;
    BIGNUM *bn = NULL, *be = NULL;
    EVP_PKEY *pkey = NULL;

    if (bld && jwk_bytes(jwk, "n", &n, &nlen, p) && jwk_bytes(jwk, "e", &e, &elen, p)) {
        bn = BN_bin2bn(n, (int)nlen, NULL);
        be = BN_bin2bn(e, (int)elen, NULL);
        if (bn && be && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1
            && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1) {
            pkey = pkey_from("RSA", bld);
        }
    }
    OSSL_PARAM_BLD_free(bld);
    BN_free(bn);
    BN_free(be);
    return pkey;
}

static EVP_PKEY *jwk_ec(const wh_json_value *jwk, apr_pool_t *p)
{
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    unsigned char *x, *y, point[65];
    apr_size_t xlen, ylen;
    EVP_PKEY *pkey = NULL;

    if (bld && jwk_bytes(jwk, "x", &x, &xlen, p) && jwk_bytes(jwk, "y", &y, &ylen, p) && xlen == 32 && ylen == 32) {
        point[0] = 4; /* uncompressed */
        memcpy(point + 1, x, 32);
        memcpy(point + 33, y, 32);
        if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1
            && OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1) {
            pkey = pkey_from("EC", bld);
        }
    }
    OSSL_PARAM_BLD_free(bld);
    return pkey;
}

static int is_text(const wh_json_value *v, const char *text)
{
    webhook_slice s = wh_json_string(v);
    return s.len == strlen(text) && s.len && memcmp(s.data, text, s.len) == 0;
}

/* Since when a key is out of use: Plaid's "expired_at", seconds or null. A key that was sound once stays in the file it was fetched to. */
static apr_time_t jwk_end(const wh_json_value *jwk, apr_pool_t *p)
{
    const wh_json_value *at = wh_json_get(jwk, "expired_at");
    const char *text = at && wh_json_typeof(at) == WH_JSON_NUMBER ? wh_json_number(at, p) : NULL;
    apr_int64_t seconds;

    if (!text || wh_parse_int(text, strlen(text), 1, APR_INT64_C(253402300799), &seconds) != APR_SUCCESS) return 0;
    return apr_time_from_sec(seconds);
}

/* One JWK. Keys of unknown type, for encryption or that fit none of the scheme's algorithms are skipped: a set serves many purposes. */
static const char *from_jwk(const webhook_verifier *v, const wh_json_value *jwk, const char *secret_id, apr_array_header_t *keys, apr_pool_t *p)
{
    const wh_json_value *kty = wh_json_get(jwk, "kty"), *kid = wh_json_get(jwk, "kid"), *use = wh_json_get(jwk, "use");
    wh_key *key = apr_pcalloc(p, sizeof(*key));
    webhook_slice id = wh_json_string(kid);
    EVP_PKEY *pkey = NULL;
    unsigned char *raw;
    apr_size_t len;

    if (wh_json_typeof(jwk) != WH_JSON_OBJECT || (use && !is_text(use, "sig"))) return NULL;
    key->secret_id = secret_id;
    key->has_kid = id.len > 0;
    key->until = jwk_end(jwk, p);
    key->id = id.len ? apr_pstrmemdup(p, id.data, id.len) : secret_id;
    if (is_text(kty, "RSA")) {
        pkey = jwk_rsa(jwk, p);
    } else if (is_text(kty, "EC") && is_text(wh_json_get(jwk, "crv"), "P-256")) {
        pkey = jwk_ec(jwk, p);
    } else if (is_text(kty, "OKP") && is_text(wh_json_get(jwk, "crv"), "Ed25519")) {
        if (jwk_bytes(jwk, "x", &raw, &len, p) && len == 32) pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, raw, len);
    } else if (is_text(kty, "oct")) {
        if (!jwk_bytes(jwk, "k", &raw, &len, p) || set_raw(v, key, raw, len, p) != NULL) return "holds an unusable symmetric key";
        APR_ARRAY_PUSH(keys, wh_key *) = key;
        return NULL;
    } else {
        return NULL;
    }
    ERR_clear_error();
    if (!pkey) return "holds a broken key";
    if (set_public(v, key, pkey, p) == NULL) APR_ARRAY_PUSH(keys, wh_key *) = key;
    return NULL;
}

static const char *from_jwks(const webhook_verifier *v, const char *text, apr_size_t len, const char *secret_id, apr_array_header_t *keys,
                             apr_pool_t *p)
{
    webhook_slice s = { text, len };
    wh_json_error jerr;
    wh_json *doc;
    const wh_json_value *root, *list;
    const char *err;
    apr_size_t i;

    if (wh_json_parse(&doc, s, NULL, p, &jerr) != APR_SUCCESS) return "is not JSON";
    root = wh_json_root(doc);
    list = wh_json_get(root, "keys");
    if (wh_json_get(root, "kty")) {
        if ((err = from_jwk(v, root, secret_id, keys, p)) != NULL) return err;
    } else if (list && wh_json_typeof(list) == WH_JSON_ARRAY) {
        for (i = 0; i < wh_json_size(list); i++) {
            if ((err = from_jwk(v, wh_json_at(list, i), secret_id, keys, p)) != NULL) return err;
        }
    } else {
        return "is neither a JWK nor a JWK Set";
    }
    return keys->nelts ? NULL : "holds no key for the scheme's algorithm";
}

/* ---- */

static int wants_public(const webhook_verifier *v)
{
    return APR_ARRAY_IDX(v->algorithms, 0, wh_named_alg).alg->kind != WH_ALG_DIGEST;
}

const char *wh_keys_prepare(const webhook_verifier *v, webhook_secret *secret, apr_pool_t *p)
{
    const char *text = (const char *)secret->data, *err = NULL;
    apr_size_t len = secret->len;
    apr_array_header_t *keys = apr_array_make(p, 1, sizeof(wh_key *));
    wh_keyset *set = apr_pcalloc(p, sizeof(*set));
    wh_key_encoding enc = v->key_encoding;
    wh_key *key = apr_pcalloc(p, sizeof(*key));
    int public = v->algorithms->nelts && wants_public(v), i;

    if (!text || len == 0) return "is empty";
    key->id = key->secret_id = secret->id;
    text = apr_pstrmemdup(p, text, len); /* the PEM reader's helpers want a terminated string; cleansed below */
    if (enc == WH_KEY_JWKS || (enc == WH_KEY_AUTO && v->primitive != WH_TOKEN && text[strspn(text, " \t\r\n")] == '{')) {
        err = from_jwks(v, text, len, secret->id, keys, p);
    } else if (!public && strstr(text, "-----BEGIN ")) {
        /* A public key is public: as an HMAC secret it would let anyone sign (RFC 8725 section 2.1). */
        err = "is PEM, but the scheme takes a shared secret";
    } else if (!public) {
        err = symmetric(v, key, text, len, p);
        APR_ARRAY_PUSH(keys, wh_key *) = key;
    } else {
        APR_ARRAY_PUSH(keys, wh_key *) = key;
        if (v->private_prefix && starts(text, len, v->private_prefix)) {
            err = from_seed(v, key, text + strlen(v->private_prefix), len - strlen(v->private_prefix), p);
        } else if (enc == WH_KEY_PEM || (enc == WH_KEY_AUTO && strstr(text, "-----BEGIN "))) {
            err = from_pem(v, key, text, len, p);
        } else {
            const char *body = text;
            apr_size_t blen = len;
            int hex;
            if (v->key_prefix && starts(text, len, v->key_prefix)) {
                body += strlen(v->key_prefix);
                blen -= strlen(v->key_prefix);
            }
            hex = enc == WH_KEY_RAW_HEX || (enc == WH_KEY_AUTO && blen == 64 && strspn(body, "0123456789abcdefABCDEF") == 64);
            err = from_raw(v, key, hex ? WH_ENC_HEX : WH_ENC_BASE64, body, blen, p);
        }
    }
    OPENSSL_cleanse((char *)(apr_uintptr_t)text, len);
    if (err) return err;
    for (i = 0; i < keys->nelts; i++) {
        wh_key *k = APR_ARRAY_IDX(keys, i, wh_key *);
        if (secret->from > k->from) k->from = secret->from;
        if (secret->until && (!k->until || secret->until < k->until)) k->until = secret->until;
    }
    set->count = keys->nelts;
    set->list = (wh_key **)keys->elts;
    secret->prepared = set;
    return NULL;
}
