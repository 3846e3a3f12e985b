/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decrypt.c: payloads a sender encrypts with a key of the endpoint's secret, so that what lies in them (event, id, a challenge) can be read.
 * One form: base64 of an initialization vector of 16 bytes and AES-256-CBC with PKCS#7 padding, the key being the secret's SHA-256
 * (Feishu and Lark, "Encrypt Key"; others copied it).
 *
 * CBC authenticates nothing: what is read here is believed only as far as a signature over the whole body goes, or as an unsigned handshake
 * is. A request cannot be used to ask whether a padding is right: whatever does not come out as an object is as good as nothing there.
 */
#include "verify/scheme.h"

#include <openssl/crypto.h>
#include <string.h>

#define BLOCK 16

/* Length without the padding; 0 when that is not right. Looks at all of the last block whatever it finds. */
static apr_size_t without_padding(const unsigned char *text, apr_size_t len)
{
    unsigned int pad = text[len - 1], bad = (pad == 0) | (pad > BLOCK), i;

    for (i = 0; i < BLOCK; i++) bad |= (i < pad) & (text[len - 1 - i] != pad);
    return bad ? 0 : len - pad;
}

static int is_object(const unsigned char *text, apr_size_t len)
{
    apr_size_t from = 0;

    while (from < len && text[from] && strchr(" \t\r\n", text[from])) from++;
    while (len > from && text[len - 1] && strchr(" \t\r\n", text[len - 1])) len--;
    return len - from >= 2 && text[from] == '{' && text[len - 1] == '}';
}

/* @return 1 or 0; *fault when there was no memory */
static int decrypt(const webhook_verifier *v, const wh_key *key, const unsigned char *in, apr_size_t len, unsigned char *out, int *fault)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0, last = 0, ok;

    ok = ctx && v->cipher && EVP_DecryptInit_ex2(ctx, v->cipher, key->token_hash, in, NULL) == 1 && EVP_CIPHER_CTX_set_padding(ctx, 0) == 1
         && EVP_DecryptUpdate(ctx, out, &n, in + BLOCK, (int)(len - BLOCK)) == 1 && EVP_DecryptFinal_ex(ctx, out + n, &last) == 1;
    EVP_CIPHER_CTX_free(ctx);
    *fault |= !ok;
    return ok;
}

int wh_decrypt(wh_vctx *c, webhook_slice text, webhook_slice *out)
{
    const webhook_secrets *secrets = c->secrets;
    apr_size_t max = wh_decoded_max(WH_ENC_BASE64, text.len), len;
    unsigned char *bytes, *plain;
    int i, k;

    if (!secrets || text.len > 1u << 30) return 0;
    bytes = apr_palloc(c->p, max + 1);
    if (wh_decode(WH_ENC_BASE64, 0, text.data, text.len, bytes, max, &len) != APR_SUCCESS || len < 2 * BLOCK || len % BLOCK) return 0;
    plain = apr_palloc(c->p, len);
    for (i = 0; i < secrets->count; i++) {
        const wh_keyset *set = secrets->list[i]->prepared;
        for (k = 0; set && k < set->count; k++) {
            const wh_key *key = set->list[k];
            apr_size_t n;
            if (!key->raw || !wh_key_valid(key, c->req->now) || !decrypt(c->v, key, bytes, len, plain, &c->failed)) continue;
            n = without_padding(plain, len - BLOCK);
            if (!is_object(plain, n)) continue;
            out->data = (const char *)plain;
            out->len = n;
            return 1;
        }
    }
    return 0;
}
