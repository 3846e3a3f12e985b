/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoding.h: strict hex, base64 and base64url. Decoders accept the canonical form alone (RFC 4648 sections 3.5, 4, 5, 8):
 * no white space, no missing or surplus padding, no non-zero trailing bits, the whole input consumed; lenient forms are flags with
 * names, for senders known to need them.
 */
#ifndef WH_CORE_ENCODING_H
#define WH_CORE_ENCODING_H

#include <apr_pools.h>
#include "webhook_provider.h"

typedef enum wh_encoding { WH_ENC_HEX, WH_ENC_BASE64, WH_ENC_BASE64URL } wh_encoding;

#define WH_DECODE_UPPER 0x1      /* hex: upper-case digits too */
#define WH_DECODE_UNPADDED 0x2   /* base64: padding may be missing (base64url is unpadded unless PADDED) */
#define WH_DECODE_PADDED 0x4     /* base64url: padding may be present */
#define WH_DECODE_TRAILING 0x8   /* base64: non-zero trailing bits are ignored */

/**
 * Decode. @param out room for at least the decoded length (wh_decoded_max). @param out_len answer.
 * @return APR_SUCCESS or APR_EINVAL; nothing about the content is revealed by time beyond its length and validity.
 */
apr_status_t wh_decode(wh_encoding enc, int flags, const char *in, apr_size_t in_len, unsigned char *out, apr_size_t out_max,
                       apr_size_t *out_len);
apr_size_t wh_decoded_max(wh_encoding enc, apr_size_t in_len);

/** Encode into the pool, NUL-terminated; lower-case hex, padded base64, unpadded base64url. */
const char *wh_encode(wh_encoding enc, const unsigned char *in, apr_size_t in_len, apr_pool_t *p);

/** Characters wh_encode makes of in_len bytes, without the NUL. */
apr_size_t wh_encoded_len(wh_encoding enc, apr_size_t in_len);
/** Encode into a caller's buffer of wh_encoded_len + 1. @return characters written, without the NUL */
apr_size_t wh_encode_to(char *out, wh_encoding enc, const unsigned char *in, apr_size_t in_len);

/** Lower-case hex into a caller's buffer of 2 * len + 1. */
void wh_hex(char *out, const unsigned char *in, apr_size_t len);

/** Value of a hexadecimal digit of either case, -1 for anything else. It branches on what it reads: not for secrets. */
static inline int wh_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
int wh_utf8_valid(const char *in, apr_size_t len);
/** Bytes of the well-formed UTF-8 sequence at the start of `in` (1 to 4); 0 when there is none. */
apr_size_t wh_utf8_sequence(const char *in, apr_size_t len);
/** The character at the start of `in`. @param size answer: its bytes, 0 when there is none @return its code point, (apr_uint32_t)-1 then */
apr_uint32_t wh_utf8_char(const char *in, apr_size_t len, apr_size_t *size);

/** SHA-256. Both forms abort the process only on an OpenSSL internal failure (out of memory). */
void wh_sha256(unsigned char out[32], const void *in, apr_size_t len);
void wh_sha256_hex(char out[65], const void *in, apr_size_t len);

#endif
