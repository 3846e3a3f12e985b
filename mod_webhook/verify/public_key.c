/* SPDX-License-Identifier: Apache-2.0 */
/*
 * public_key.c: one signature against one public key, whatever room asks: ECDSA in its two spellings, Ed25519, RSA PKCS#1 v1.5 and PSS.
 */
#include "verify/scheme.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>

/* An error that is about OpenSSL itself and not about a signature: no memory, and what it makes of that further up. */
static int is_ours(unsigned long err)
{
    int reason = ERR_GET_REASON(err);

    return reason == ERR_R_MALLOC_FAILURE
           || (ERR_GET_LIB(err) == ERR_LIB_EVP && (reason == EVP_R_INITIALIZATION_ERROR || reason == ERR_R_UNSUPPORTED));
}

/*
 * Why a verification did not say yes: OpenSSL's answer is the same for a signature that is no good and for want of memory. What it says of it
 * is not, but for one allocation of Ed25519's, of which it says nothing: so there it is tried whether that can be had now. What RSA-PSS finds
 * wrong with a signature is always an error of RSA's own.
 * @return 0: the signature is no good; -1: memory
 */
static int why_not(const wh_alg *alg)
{
    int said = 0, ours = 0, rsa = 0;
    unsigned long err;
    EVP_MD_CTX *md;

    for (; (err = ERR_get_error()) != 0; said = 1) {
        ours |= is_ours(err);
        rsa |= ERR_GET_LIB(err) == ERR_LIB_RSA;
    }
    if (alg->kind == WH_ALG_RSA_PSS && !rsa) ours = 1;
    if (!said && alg->kind == WH_ALG_ED25519) {
        md = EVP_MD_CTX_new();
        ours = md == NULL;
        EVP_MD_CTX_free(md);
    }
    return ours ? -1 : 0;
}

/* @return as wh_public_verify */
static int raw_to_der(const unsigned char *raw, apr_size_t len, unsigned char out[80], apr_size_t *out_len)
{
    ECDSA_SIG *sig;
    BIGNUM *r = NULL, *s = NULL;
    unsigned char *at = out;
    int n = 0;

    if (len != 64) return 0;
    if ((sig = ECDSA_SIG_new()) != NULL) {
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
    return n > 0 ? 1 : -1;
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
    int ok = -1, slot;

    if (!wh_alg_fits_key(alg, key)) return 0;
    ERR_clear_error();
    if (alg->kind == WH_ALG_ED25519) {
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        if (md && EVP_DigestVerifyInit_ex(md, NULL, NULL, NULL, NULL, key->pkey, NULL) == 1) {
            ok = EVP_DigestVerify(md, sig, sig_len, (const unsigned char *)msg.data, msg.len) == 1;
            if (!ok) ok = why_not(alg);
        }
        EVP_MD_CTX_free(md);
        ERR_clear_error();
        return ok;
    }
    if (alg->kind == WH_ALG_ECDSA_RAW) {
        if ((ok = raw_to_der(sig, sig_len, der, &sig_len)) != 1) return ok;
        sig = der;
    }
    slot = (int)alg->digest + (alg->kind == WH_ALG_RSA_PSS ? WH_DIGEST_COUNT : 0);
    ctx = context_take(key, slot);
    /* 1 is good, 0 is bad, negative is an error: only 1 may pass. */
    ok = !ctx ? -1 : EVP_PKEY_verify(ctx, sig, sig_len, digest, wh_digest_size(alg->digest)) == 1;
    if (!ok) ok = why_not(alg);
    context_give(key, slot, ctx);
    ERR_clear_error(); /* the queue belongs to the thread, and mod_ssl reads it */
    return ok;
}
