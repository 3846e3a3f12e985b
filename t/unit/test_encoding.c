/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict decoders, encoders, UTF-8 and SHA-256 against the vectors of RFC 4648, RFC 3629 and FIPS 180.
 */
#include "tap.h"

#include <apr_general.h>
#include <apr_pools.h>

#include "core/encoding.h"

static apr_pool_t *pool;

/* decoded bytes of `in`, "!" when it is refused */
static const char *decoded(wh_encoding enc, int flags, const char *in)
{
    apr_size_t max = wh_decoded_max(enc, strlen(in)), len = 99;
    /* exactly the promised room, so that a sanitizer sees a byte too many */
    unsigned char *out = malloc(max ? max : 1);
    apr_status_t rv = wh_decode(enc, flags, in, strlen(in), out, max, &len);
    char *text = apr_pcalloc(pool, max + 2);

    if (rv != APR_SUCCESS)
        text[0] = '!';
    else
        memcpy(text, out, len);
    free(out);
    if (rv != APR_SUCCESS && (rv != APR_EINVAL || len))
        return "wrong refusal";
    return text;
}

static void test_base64(void)
{
    static const char *const rfc[][3] = { /* section 10 */
        { "", "", "" },
        { "f", "Zg==", "Zg" },
        { "fo", "Zm8=", "Zm8" },
        { "foo", "Zm9v", "Zm9v" },
        { "foob", "Zm9vYg==", "Zm9vYg" },
        { "fooba", "Zm9vYmE=", "Zm9vYmE" },
        { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
    };
    static const struct {
        wh_encoding enc;
        int flags;
        const char *in, *out;
    } rows[] = {
        { WH_ENC_BASE64, 0, "Zg", "!" },
        { WH_ENC_BASE64, WH_DECODE_UNPADDED, "Zg", "f" },
        { WH_ENC_BASE64, WH_DECODE_UNPADDED, "Zg==", "f" },
        { WH_ENC_BASE64, WH_DECODE_UNPADDED, "Zg=", "!" },
        { WH_ENC_BASE64, 0, "Zg=", "!" },
        { WH_ENC_BASE64, 0, "Zg===", "!" },
        { WH_ENC_BASE64, 0, "Zm9v====", "!" },
        { WH_ENC_BASE64, 0, "Zm9v=", "!" },
        { WH_ENC_BASE64, 0, "====", "!" },
        { WH_ENC_BASE64, 0, "=", "!" },
        { WH_ENC_BASE64, 0, "Z", "!" },
        { WH_ENC_BASE64, 0, "Z===", "!" },
        { WH_ENC_BASE64, 0, "Zm9vZ", "!" },
        { WH_ENC_BASE64, 0, "Zh==", "!" }, /* trailing bits */
        { WH_ENC_BASE64, WH_DECODE_TRAILING, "Zh==", "f" },
        { WH_ENC_BASE64, 0, "Zm9=", "!" },
        { WH_ENC_BASE64, WH_DECODE_TRAILING, "Zm9=", "fo" },
        { WH_ENC_BASE64, 0, "Zm 9v", "!" },
        { WH_ENC_BASE64, 0, "Zm9v\n", "!" },
        { WH_ENC_BASE64, 0, " Zm9v", "!" },
        { WH_ENC_BASE64, 0, "Zm=v", "!" },
        { WH_ENC_BASE64, 0, "Zg==Zg==", "!" },
        { WH_ENC_BASE64, 0, "Zm9v\xc3\xa9xx", "!" },
        { WH_ENC_BASE64, 0, "fn5-", "!" },
        { WH_ENC_BASE64, 0, "fn5+", "~~~" },
        { WH_ENC_BASE64URL, 0, "fn5-", "~~~" },
        { WH_ENC_BASE64URL, 0, "fn5+", "!" },
        { WH_ENC_BASE64URL, 0, "Zg==", "!" },
        { WH_ENC_BASE64URL, WH_DECODE_PADDED, "Zg==", "f" },
        { WH_ENC_BASE64URL, WH_DECODE_PADDED, "Zg", "f" },
        { WH_ENC_BASE64URL, WH_DECODE_PADDED, "Zg=", "!" },
        { WH_ENC_BASE64URL, 0, "Zh", "!" },
    };
    unsigned char three[3];
    apr_size_t len;

    for (size_t i = 0; i < sizeof(rfc) / sizeof(rfc[0]); i++) {
        const unsigned char *in = (const unsigned char *)rfc[i][0];
        apr_size_t n = strlen(rfc[i][0]);
        is_str(wh_encode(WH_ENC_BASE64, in, n, pool), rfc[i][1], "base64 of '%s'", rfc[i][0]);
        is_str(wh_encode(WH_ENC_BASE64URL, in, n, pool), rfc[i][2], "base64url of '%s'", rfc[i][0]);
        is_str(decoded(WH_ENC_BASE64, 0, rfc[i][1]), rfc[i][0], "back from '%s'", rfc[i][1]);
        is_str(decoded(WH_ENC_BASE64URL, 0, rfc[i][2]), rfc[i][0], "back from '%s'", rfc[i][2]);
        is_int(wh_encoded_len(WH_ENC_BASE64, n), strlen(rfc[i][1]), "length of base64");
        is_int(wh_encoded_len(WH_ENC_BASE64URL, n), strlen(rfc[i][2]), "length of base64url");
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is_str(decoded(rows[i].enc, rows[i].flags, rows[i].in), rows[i].out, "%s, row %d with flags %d",
               rows[i].enc == WH_ENC_BASE64 ? "base64" : "base64url", (int)i, rows[i].flags);
    is_int(wh_decode(WH_ENC_BASE64, 0, "Zm9vYg==", 8, three, 3, &len), APR_EINVAL, "what does not fit is refused");
    is_int(wh_decode(WH_ENC_BASE64, 0, "Zm\0v", 4, three, 3, &len), APR_EINVAL, "NUL is no digit");
}

/* every byte is a digit of each alphabet exactly when the RFC says so */
static void test_alphabets(void)
{
    static const char base[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    int wrong = 0;

    for (int c = 0; c < 256; c++) {
        char four[4] = { 'A', 'A', 'A', (char)c }, two[2] = { '0', (char)c };
        unsigned char out[3];
        apr_size_t len;
        int known = c && strchr(base, c) != NULL;
        int want = known || c == '+' || c == '/';
        int hex = c && strchr("0123456789abcdef", c) != NULL;

        /* '=' at the end is padding, of a group with bits left over: AAA= is two bytes of zero */
        wrong += (wh_decode(WH_ENC_BASE64, 0, four, 4, out, 3, &len) == APR_SUCCESS) != (want || c == '=');
        want = known || c == '-' || c == '_';
        wrong += (wh_decode(WH_ENC_BASE64URL, 0, four, 4, out, 3, &len) == APR_SUCCESS) != want;
        wrong += (wh_decode(WH_ENC_HEX, 0, two, 2, out, 1, &len) == APR_SUCCESS) != hex;
        hex |= c && strchr("ABCDEF", c) != NULL;
        wrong += (wh_decode(WH_ENC_HEX, WH_DECODE_UPPER, two, 2, out, 1, &len) == APR_SUCCESS) != hex;
    }
    is_int(wrong, 0, "the alphabets hold what they should");

    /* long texts are read in blocks: every byte value at every place of one and a half of them */
    wrong = 0;
    for (int c = 0; c < 256; c++) {
        for (int at = 0; at < 24; at++) {
            char text[25] = "QUJDREVGR0hJSktMTU5PUFFS";
            unsigned char out[18];
            apr_size_t len;
            int known = c && strchr(base, c) != NULL;

            text[at] = (char)c;
            wrong += (wh_decode(WH_ENC_BASE64, 0, text, 24, out, 18, &len) == APR_SUCCESS) != (known || c == '+' || c == '/');
            wrong += (wh_decode(WH_ENC_BASE64URL, 0, text, 24, out, 18, &len) == APR_SUCCESS) != (known || c == '-' || c == '_');
        }
    }
    is_int(wrong, 0, "also in long texts");

    wrong = 0;
    for (int c = 0; c < 256; c++) {
        for (int at = 0; at < 24; at++) {
            char text[25] = "0123456789abcdeffedcba98";
            static const unsigned char want[12] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98 };
            unsigned char out[12], value;
            apr_size_t len;
            int lower = c && strchr("0123456789abcdef", c) != NULL, upper = c && strchr("ABCDEF", c) != NULL;

            text[at] = (char)c;
            wrong += (wh_decode(WH_ENC_HEX, 0, text, 24, out, 12, &len) == APR_SUCCESS) != lower;
            wrong += (wh_decode(WH_ENC_HEX, WH_DECODE_UPPER, text, 24, out, 12, &len) == APR_SUCCESS) != (lower || upper);
            if (!lower && !upper) continue;
            value = (unsigned char)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
            for (int i = 0; i < 12; i++) {
                unsigned char byte = want[i];
                if (i == at / 2) byte = (unsigned char)(at % 2 ? (byte & 0xf0) | value : (byte & 0xf) | value << 4);
                wrong += out[i] != byte;
            }
        }
    }
    is_int(wrong, 0, "in both cases also of hex, and each digit has its value");
}

static void test_hex(void)
{
    char text[9];

    is_str(decoded(WH_ENC_HEX, 0, "666f6f"), "foo", "hex");
    is_str(decoded(WH_ENC_HEX, 0, ""), "", "nothing");
    is_str(decoded(WH_ENC_HEX, 0, "666F6F"), "!", "upper case is refused");
    is_str(decoded(WH_ENC_HEX, WH_DECODE_UPPER, "666F6f"), "foo", "or taken");
    is_str(decoded(WH_ENC_HEX, 0, "666"), "!", "odd length");
    is_str(decoded(WH_ENC_HEX, 0, "66 6f"), "!", "blank");
    is_str(decoded(WH_ENC_HEX, 0, "0x66"), "!", "prefix");
    is_str(wh_encode(WH_ENC_HEX, (const unsigned char *)"\x00\xff\x10", 3, pool), "00ff10", "encoded");
    wh_hex(text, (const unsigned char *)"\xde\xad\xbe\xef", 4);
    is_str(text, "deadbeef", "into a buffer");
}

/* all lengths and byte values there and back */
static void test_round_trips(void)
{
    static const wh_encoding encs[] = { WH_ENC_HEX, WH_ENC_BASE64, WH_ENC_BASE64URL };
    unsigned char in[300], out[300];
    int wrong = 0;

    for (unsigned i = 0; i < sizeof(in); i++)
        in[i] = (unsigned char)(i * 167 + 13);
    for (int e = 0; e < 3; e++) {
        for (apr_size_t n = 0; n <= sizeof(in); n++) {
            const char *text = wh_encode(encs[e], in, n, pool);
            apr_size_t len = 0, tlen = strlen(text);
            wrong += tlen != wh_encoded_len(encs[e], n) || wh_decoded_max(encs[e], tlen) < n
                     || wh_decode(encs[e], 0, text, tlen, out, n, &len) != APR_SUCCESS || len != n || memcmp(in, out, n);
        }
        apr_pool_clear(pool);
    }
    is_int(wrong, 0, "round trips of 0 to 300 bytes");
}

static void test_utf8(void)
{
    static const struct {
        const char *in;
        apr_size_t len;
        int valid;
    } rows[] = {
        { "", 0, 1 },
        { "plain", 5, 1 },
        { "a\0b", 3, 1 },
        { "gr\xc3\xbc\xc3\x9f", 6, 1 },
        { "\xe2\x82\xac", 3, 1 },
        { "\xf0\x9f\x98\x80", 4, 1 },
        { "\xef\xbf\xbf", 3, 1 },
        { "\xf4\x8f\xbf\xbf", 4, 1 },
        { "\xed\x9f\xbf", 3, 1 },
        { "\xee\x80\x80", 3, 1 },
        { "\xf4\x90\x80\x80", 4, 0 }, /* beyond U+10FFFF */
        { "\xed\xa0\x80", 3, 0 },     /* surrogate */
        { "\xed\xbf\xbf", 3, 0 },
        { "\xc0\x80", 2, 0 }, /* overlong */
        { "\xc1\xbf", 2, 0 },
        { "\xe0\x9f\xbf", 3, 0 },
        { "\xf0\x8f\xbf\xbf", 4, 0 },
        { "\x80", 1, 0 },
        { "\xbf", 1, 0 },
        { "\xc3", 1, 0 }, /* cut off */
        { "\xe2\x82", 2, 0 },
        { "\xf0\x9f\x98", 3, 0 },
        { "\xc3x", 2, 0 },
        { "\xe2\x82x", 3, 0 },
        { "\xf5\x80\x80\x80", 4, 0 },
        { "\xff", 1, 0 },
        { "\xfe", 1, 0 },
        { "0123456789abcdef0123456789abcde\xff", 32, 0 },
        { "0123456789abcdef\xc3\xbc" "0123456789abcdef", 34, 1 },
    };
    char text[64];
    int wrong = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *copy = malloc(rows[i].len ? rows[i].len : 1);
        memcpy(copy, rows[i].in, rows[i].len);
        is_int(wh_utf8_valid(copy, rows[i].len), rows[i].valid, "UTF-8, row %d", (int)i);
        free(copy);
    }
    /* a bad byte is found at every place of a block, and in every length */
    for (apr_size_t len = 1; len <= sizeof(text); len++) {
        for (apr_size_t at = 0; at < len; at++) {
            memset(text, 'x', sizeof(text));
            wrong += !wh_utf8_valid(text, len);
            text[at] = (char)0xfe;
            wrong += wh_utf8_valid(text, len);
        }
    }
    is_int(wrong, 0, "a bad byte anywhere is found");
    is_int(wh_utf8_sequence("\xe2\x82\xac!", 4), 3, "length of a sequence");
    is_int(wh_utf8_sequence("\xe2\x82\xac!", 2), 0, "that is cut off");
    is_int(wh_utf8_sequence("", 0), 0, "that is not there");
}

static void test_sha256(void)
{
    static char million[1000000];
    char hex[65];
    unsigned char digest[32];
    apr_size_t len;

    wh_sha256_hex(hex, "", 0);
    is_str(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "SHA-256 of nothing");
    wh_sha256_hex(hex, NULL, 0);
    is_str(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "and of no pointer");
    wh_sha256_hex(hex, "abc", 3);
    is_str(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "of \"abc\"");
    wh_sha256_hex(hex, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56);
    is_str(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", "of two blocks");
    memset(million, 'a', sizeof(million));
    wh_sha256(digest, million, sizeof(million));
    wh_hex(hex, digest, 32);
    is_str(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", "of a million times \"a\"");
    is_int(wh_decode(WH_ENC_HEX, 0, hex, 64, digest, 32, &len), APR_SUCCESS, "a digest decodes in its place");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_base64();
    test_alphabets();
    test_hex();
    test_round_trips();
    test_utf8();
    test_sha256();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
