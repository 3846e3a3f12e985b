/* SPDX-License-Identifier: Apache-2.0 */
/*
 * public_key.c: one signature against one public key, whatever room asks: ECDSA in its two spellings, Ed25519, RSA PKCS#1 v1.5 and PSS.
 */
#include "verify/scheme.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>

static int raw_to_der(const unsigned char *raw, apr_size_t len, unsigned char out[80], apr_size_t *out_len)
{
    ECDSA_SIG *sig = len == 64 ? ECDSA_SIG_new() : NULL;
    BIGNUM *r = NULL, *s = NULL;
    unsigned char *at = out;
    int n = 0;

    if (sig) {
        r = BN_bin2bn(raw, 32, NULL);
        s = BN_bin2bn(raw + 32, 32, NULL);
        if (r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
            n = i2d_ECDSA_SIG(sig, &at);
        } else {
            BN_free(r);
            BN_free(s);
        }
    }
    ECDSA_SIG_free(sig);
    *out_len = n > 0 ? (apr_size_t)n : 0;
    return n > 0;
}

/* A context serves one thread at a time, and a copy costs a twentieth of a verification: the last one used is kept for the next. */
static EVP_PKEY_CTX *context_take(const wh_key *key, int slot)
{
    EVP_PKEY_CTX *ctx;

    if (!key->vctx[slot]) return NULL;
    ctx = __atomic_exchange_n(&key->spare[slot], NULL, __ATOMIC_ACQUIRE);
    return ctx ? ctx : EVP_PKEY_CTX_dup(key->vctx[slot]);
}

static void context_give(const wh_key *key, int slot, EVP_PKEY_CTX *ctx)
{
    if (ctx) EVP_PKEY_CTX_free(__atomic_exchange_n(&key->spare[slot], ctx, __ATOMIC_ACQ_REL));
}

int wh_public_verify(const wh_key *key, const wh_alg *alg, const unsigned char *digest, webhook_slice msg, const unsigned char *sig,
                     apr_size_t sig_len)
{
    unsigned char der[80];
    EVP_PKEY_CTX *ctx;
    int ok = 0, slot;

    if (!wh_alg_fits_key(alg, key)) return 0;
    if (alg->kind == WH_ALG_ED25519) {
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        if (md && EVP_DigestVerifyInit_ex(md, NULL, NULL, NULL, NULL, key->pkey, NULL) == 1) {
            ok = EVP_DigestVerify(md, sig, sig_len, (const unsigned char *)msg.data, msg.len) == 1;
        }
        EVP_MD_CTX_free(md);
        ERR_clear_error();
        return ok;
    }
    if (alg->kind == WH_ALG_ECDSA_RAW) {
        if (!raw_to_der(sig, sig_len, der, &sig_len)) return 0;
        sig = der;
    }
    slot = (int)alg->digest + (alg->kind == WH_ALG_RSA_PSS ? WH_DIGEST_COUNT : 0);
    ctx = context_take(key, slot);
    /* 1 is good, 0 is bad, negative is an error: only 1 may pass. */
    ok = ctx && EVP_PKEY_verify(ctx, sig, sig_len, digest, wh_digest_size(alg->digest)) == 1;
    context_give(key, slot, ctx);
    ERR_clear_error(); /* the queue belongs to the thread, and mod_ssl reads it */
    return ok;
}
