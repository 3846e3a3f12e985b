/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoding.c: hex and base64 in both directions, UTF-8 well-formedness, SHA-256. The decoders see signatures and keys, so they neither
 * branch on nor index tables with what they read; they report badness once, at the end.
 */
#include "core/encoding.h"

#include <apr_strings.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* -1 (all bits) if lo <= c <= hi, else 0 */
static inline int within(int c, int lo, int hi)
{
    return ((lo - 1 - c) & (c - hi - 1)) >> 31;
}

/* 0 to 15, or negative */
static inline int hex_value(int c, int upper)
{
    int digit = within(c, '0', '9'), lower = within(c, 'a', 'f');
    int upped = within(c, 'A', 'F') & upper;

    return (digit & (c - '0')) | (lower & (c - 'a' + 10)) | (upped & (c - 'A' + 10)) | ~(digit | lower | upped);
}

/* 0 to 63 for each of sixteen characters, in whatever registers the machine has for that; a signature of 2048 bits is 344 of them. What is none
 * leaves all bits set in *bad. */
typedef signed char sixteen __attribute__((vector_size(16)));

static inline sixteen hex_values(const unsigned char *in, int upper, sixteen *bad)
{
    sixteen c, digit, lower, upped;

    memcpy(&c, in, sizeof(c));
    digit = (sixteen)(c >= '0') & (sixteen)(c <= '9');
    lower = (sixteen)(c >= 'a') & (sixteen)(c <= 'f');
    upped = (sixteen)(c >= 'A') & (sixteen)(c <= 'F') & (signed char)upper;
    *bad |= ~(digit | lower | upped);
    return (digit & (c - '0')) | (lower & (c - ('a' - 10))) | (upped & (c - ('A' - 10)));
}

static inline sixteen base64_values(const unsigned char *in, int c62, int c63, sixteen *bad)
{
    sixteen c, upper, lower, digit, is62, is63;

    memcpy(&c, in, sizeof(c));
    upper = (sixteen)(c >= 'A') & (sixteen)(c <= 'Z');
    lower = (sixteen)(c >= 'a') & (sixteen)(c <= 'z');
    digit = (sixteen)(c >= '0') & (sixteen)(c <= '9');
    is62 = (sixteen)(c == (signed char)c62);
    is63 = (sixteen)(c == (signed char)c63);
    *bad |= ~(upper | lower | digit | is62 | is63);
    return (upper & (c - 'A')) | (lower & (c - ('a' - 26))) | (digit & (c + (52 - '0'))) | (is62 & 62) | (is63 & 63);
}

apr_size_t wh_decoded_max(wh_encoding enc, apr_size_t in_len)
{
    return enc == WH_ENC_HEX ? in_len / 2 : in_len / 4 * 3 + in_len % 4 * 3 / 4;
}

static apr_status_t decode_hex(int flags, const unsigned char *in, apr_size_t in_len, unsigned char *out, apr_size_t out_max,
                               apr_size_t *out_len)
{
    int upper = flags & WH_DECODE_UPPER ? -1 : 0, bad = 0;
    sixteen bad16 = {0};
    apr_size_t i, n = 0;

    if (in_len % 2 || in_len / 2 > out_max)
        return APR_EINVAL;
    for (i = 0; i + 16 <= in_len; i += 16) {
        sixteen values = hex_values(in + i, upper, &bad16);
        int k;
        for (k = 0; k < 16; k += 2)
            out[n++] = (unsigned char)((unsigned)values[k] << 4 | (unsigned)values[k + 1]);
    }
    for (; i < in_len; i += 2) {
        int hi = hex_value(in[i], upper), lo = hex_value(in[i + 1], upper);
        bad |= hi | lo;
        out[n++] = (unsigned char)(((unsigned)hi << 4 | (unsigned)lo) & 0xff);
    }
    for (i = 0; i < 16; i++)
        bad |= bad16[i];
    if (bad < 0)
        return APR_EINVAL;
    *out_len = in_len / 2;
    return APR_SUCCESS;
}

static apr_status_t decode_base64(wh_encoding enc, int flags, const unsigned char *in, apr_size_t in_len, unsigned char *out,
                                  apr_size_t out_max, apr_size_t *out_len)
{
    int url = enc == WH_ENC_BASE64URL;
    int c62 = url ? '-' : '+', c63 = url ? '_' : '/';
    int may_pad = !url || (flags & WH_DECODE_PADDED);
    int may_lack = url || (flags & WH_DECODE_UNPADDED);
    apr_size_t len = in_len, padding = 0, n = 0, i;
    sixteen bad16 = {0};
    uint64_t wrong[2];
    unsigned rest;
    int bad = 0;

    while (padding < 2 && len > 0 && in[len - 1] == '=') {
        len--;
        padding++;
    }
    /* a last group of 2 characters carries one byte, of 3 two bytes; 1 cannot be */
    rest = (unsigned)(len % 4);
    if (rest == 1 || (padding && (!may_pad || in_len % 4 || !rest)) || (!padding && rest && !may_lack))
        return APR_EINVAL;
    if (len / 4 * 3 + (rest ? rest - 1 : 0) > out_max)
        return APR_EINVAL;

    for (i = 0; i + 16 <= len; i += 16) {
        sixteen values = base64_values(in + i, c62, c63, &bad16);
        int k;
        for (k = 0; k < 16; k += 4) {
            unsigned bits = (unsigned)values[k] << 18 | (unsigned)values[k + 1] << 12 | (unsigned)values[k + 2] << 6 | (unsigned)values[k + 3];
            out[n++] = (unsigned char)(bits >> 16);
            out[n++] = (unsigned char)(bits >> 8);
            out[n++] = (unsigned char)bits;
        }
    }
    if (i < len) { /* what is left, with zero bits behind it */
        unsigned char last[16];
        sixteen values;
        apr_size_t k, left = len - i;
        memset(last, 'A', sizeof(last));
        memcpy(last, in + i, left);
        values = base64_values(last, c62, c63, &bad16);
        for (k = 0; k < left; k += 4) {
            unsigned bits = (unsigned)values[k] << 18 | (unsigned)values[k + 1] << 12 | (unsigned)values[k + 2] << 6 | (unsigned)values[k + 3];
            apr_size_t bytes = left - k < 4 ? left - k - 1 : 3;
            if (bytes < 3 && bits & (bytes == 2 ? 0xffu : 0xffffu) && !(flags & WH_DECODE_TRAILING))
                bad = -1;
            out[n++] = (unsigned char)(bits >> 16);
            if (bytes > 1)
                out[n++] = (unsigned char)(bits >> 8);
            if (bytes > 2)
                out[n++] = (unsigned char)bits;
        }
    }
    memcpy(wrong, &bad16, sizeof(wrong));
    if ((wrong[0] | wrong[1]) & UINT64_C(0x8080808080808080))
        bad = -1;
    if (bad < 0)
        return APR_EINVAL;
    *out_len = n;
    return APR_SUCCESS;
}

apr_status_t wh_decode(wh_encoding enc, int flags, const char *in, apr_size_t in_len, unsigned char *out, apr_size_t out_max,
                       apr_size_t *out_len)
{
    const unsigned char *bytes = (const unsigned char *)in;

    *out_len = 0;
    return enc == WH_ENC_HEX ? decode_hex(flags, bytes, in_len, out, out_max, out_len)
                             : decode_base64(enc, flags, bytes, in_len, out, out_max, out_len);
}

apr_size_t wh_encoded_len(wh_encoding enc, apr_size_t in_len)
{
    switch (enc) {
    case WH_ENC_HEX:
        return in_len * 2;
    case WH_ENC_BASE64:
        return (in_len + 2) / 3 * 4;
    case WH_ENC_BASE64URL:
        break;
    }
    return in_len / 3 * 4 + (in_len % 3 ? in_len % 3 + 1 : 0);
}

apr_size_t wh_encode_to(char *out, wh_encoding enc, const unsigned char *in, apr_size_t in_len)
{
    static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *digits = enc == WH_ENC_BASE64URL ? url : standard;
    char *at = out;
    apr_size_t i;

    if (enc == WH_ENC_HEX) {
        wh_hex(out, in, in_len);
        return in_len * 2;
    }
    for (i = 0; i + 3 <= in_len; i += 3) {
        unsigned bits = (unsigned)in[i] << 16 | (unsigned)in[i + 1] << 8 | in[i + 2];
        *at++ = digits[bits >> 18];
        *at++ = digits[bits >> 12 & 63];
        *at++ = digits[bits >> 6 & 63];
        *at++ = digits[bits & 63];
    }
    if (i < in_len) {
        unsigned bits = (unsigned)in[i] << 16 | (i + 1 < in_len ? (unsigned)in[i + 1] << 8 : 0);
        *at++ = digits[bits >> 18];
        *at++ = digits[bits >> 12 & 63];
        if (i + 1 < in_len)
            *at++ = digits[bits >> 6 & 63];
        else if (enc == WH_ENC_BASE64)
            *at++ = '=';
        if (enc == WH_ENC_BASE64)
            *at++ = '=';
    }
    *at = '\0';
    return (apr_size_t)(at - out);
}

const char *wh_encode(wh_encoding enc, const unsigned char *in, apr_size_t in_len, apr_pool_t *p)
{
    char *out = apr_palloc(p, wh_encoded_len(enc, in_len) + 1);

    wh_encode_to(out, enc, in, in_len);
    return out;
}

void wh_hex(char *out, const unsigned char *in, apr_size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (apr_size_t i = 0; i < len; i++) {
        *out++ = digits[in[i] >> 4];
        *out++ = digits[in[i] & 0xf];
    }
    *out = '\0';
}

apr_size_t wh_utf8_sequence(const char *in, apr_size_t len)
{
    const unsigned char *s = (const unsigned char *)in;
    unsigned char lo = 0x80, hi = 0xbf;
    apr_size_t need;

    if (!len)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        need = 2;
    else if ((s[0] & 0xf0) == 0xe0)
        need = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        need = 4;
    else
        return 0;
    if (len < need)
        return 0;
    /* the first byte narrows the second: overlong forms, surrogates, beyond U+10FFFF */
    switch (s[0]) {
    case 0xe0: lo = 0xa0; break;
    case 0xed: hi = 0x9f; break;
    case 0xf0: lo = 0x90; break;
    case 0xf4: hi = 0x8f; break;
    default: break;
    }
    if (s[1] < lo || s[1] > hi)
        return 0;
    for (apr_size_t i = 2; i < need; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return need;
}

apr_uint32_t wh_utf8_char(const char *in, apr_size_t len, apr_size_t *size)
{
    const unsigned char *s = (const unsigned char *)in;

    *size = wh_utf8_sequence(in, len);
    switch (*size) {
    case 1: return s[0];
    case 2: return (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
    case 3: return (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
    case 4: return (s[0] & 0x07u) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 | (s[3] & 0x3fu);
    default: return (apr_uint32_t)-1;
    }
}

int wh_utf8_valid(const char *in, apr_size_t len)
{
    apr_size_t i = 0;

    while (i < len) {
        apr_size_t n;
        while (len - i >= 16) {
            uint64_t a, b;
            memcpy(&a, in + i, 8);
            memcpy(&b, in + i + 8, 8);
            if ((a | b) & 0x8080808080808080u)
                break;
            i += 16;
        }
        /* one sequence at least, then on to the next run of ASCII */
        do {
            if (i == len)
                return 1;
            n = wh_utf8_sequence(in + i, len - i);
            if (!n)
                return 0;
            i += n;
        } while (n > 1);
    }
    return 1;
}

/* The algorithm is looked up once per process: with OpenSSL 3 a look-up per call costs as much as hashing a kilobyte. The reference is
 * never given back; libcrypto keeps the object anyway, and at exit it may be gone before us. */
static const EVP_MD *sha256_md(void)
{
    static EVP_MD *shared;
    EVP_MD *md = __atomic_load_n(&shared, __ATOMIC_ACQUIRE), *none = NULL;

    if (md)
        return md;
    md = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!md)
        abort();
    if (!__atomic_compare_exchange_n(&shared, &none, md, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        EVP_MD_free(md);
        md = none;
    }
    return md;
}

void wh_sha256(unsigned char out[32], const void *in, apr_size_t len)
{
    unsigned size = 0;

    /* the alternative to abort() would be a digest that identifies nothing */
    if (EVP_Digest(len ? in : "", len, out, &size, sha256_md(), NULL) != 1 || size != 32)
        abort();
}

void wh_sha256_hex(char out[65], const void *in, apr_size_t len)
{
    unsigned char digest[32];

    wh_sha256(digest, in, len);
    wh_hex(out, digest, sizeof(digest));
}
