/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode_for.c: encoders for the places a value from outside may go to (see encode_for.h).
 */
#include "core/encode_for.h"

#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "core/encoding.h"

#define DIGEST_HEX 32

static const char upper_hex[] = "0123456789ABCDEF";

/* by hand: a locale must not make more of a byte */
static int is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void put_escaped(wh_buf *b, char mark, unsigned char c)
{
    char text[3] = { mark, upper_hex[c >> 4], upper_hex[c & 15] };

    wh_buf_add(b, text, sizeof(text));
}

const char *wh_encode_for_url(const char *in, apr_size_t len, apr_pool_t *p)
{
    wh_buf b;

    wh_buf_init(&b, p, len + len / 4 + 16);
    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)in[i];

        if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
            wh_buf_add(&b, in + i, 1);
        else
            put_escaped(&b, '%', c);
    }
    return b.data;
}

const char *wh_encode_for_json(const char *in, apr_size_t len, apr_pool_t *p)
{
    wh_buf b;

    wh_buf_init(&b, p, len + len / 8 + 16);
    wh_json_put_string(&b, in, len);
    return b.data;
}

const char *wh_encode_for_text(const char *in, apr_size_t len, apr_pool_t *p)
{
    wh_buf b;

    wh_buf_init(&b, p, len + len / 8 + 16);
    for (apr_size_t i = 0; i < len; i++) {
        switch (in[i]) {
        case '&':
            wh_buf_adds(&b, "&amp;");
            break;
        case '<':
            wh_buf_adds(&b, "&lt;");
            break;
        case '>':
            wh_buf_adds(&b, "&gt;");
            break;
        default:
            wh_buf_add(&b, in + i, 1);
        }
    }
    return b.data;
}

const char *wh_encode_for_name(const char *in, apr_size_t len, apr_pool_t *p)
{
    unsigned char digest[32];
    apr_size_t fits = 0;
    wh_buf b;

    wh_buf_init(&b, p, len + 16);
    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)in[i];

        if (is_alnum(c) || c == '-' || (c == '.' && i > 0))
            wh_buf_add(&b, in + i, 1);
        else if (c == '_')
            wh_buf_adds(&b, "__");
        else
            put_escaped(&b, '_', c);
        if (b.len <= WH_NAME_PART_MAX - 2 - DIGEST_HEX)
            fits = b.len; /* never half of an escape */
        if (b.len > WH_NAME_PART_MAX)
            break;
    }
    if (!len)
        return "_";
    if (b.len > WH_NAME_PART_MAX) {
        char hex[DIGEST_HEX + 1];

        wh_sha256(digest, in, len);
        wh_hex(hex, digest, DIGEST_HEX / 2);
        /* "_." is no escape: no short value gives such a part */
        return apr_pstrcat(p, apr_pstrmemdup(p, b.data, fits), "_.", hex, NULL);
    }
    return b.data;
}

static void put_ce_byte(wh_buf *b, unsigned char c)
{
    if (c > 0x20 && c < 0x7f && c != '"' && c != '%') {
        char text = (char)c;

        wh_buf_add(b, &text, 1);
    }
    else {
        put_escaped(b, '%', c);
    }
}

const char *wh_encode_for_ce_header(const char *in, apr_size_t len, apr_pool_t *p)
{
    int text = wh_utf8_valid(in, len);
    wh_buf b;

    wh_buf_init(&b, p, len + len / 4 + 16);
    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)in[i];

        if (text || c < 0x80) {
            put_ce_byte(&b, c);
        }
        else {
            put_escaped(&b, '%', (unsigned char)(0xc0 | c >> 6));
            put_escaped(&b, '%', (unsigned char)(0x80 | (c & 0x3f)));
        }
    }
    return b.data;
}

int wh_fits_header(const char *in, apr_size_t len)
{
    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)in[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return 0;
    }
    return 1;
}

/* "." or "..", each dot perhaps as %2e */
static int is_dots(const char *in, apr_size_t len)
{
    int dots = 0;

    while (len) {
        apr_size_t n = *in == '.' ? 1 : len >= 3 && !strncasecmp(in, "%2e", 3) ? 3 : 0;

        if (!n || ++dots > 2)
            return 0;
        in += n;
        len -= n;
    }
    return dots > 0;
}

/* Bytes of what some server takes for the end of a segment: '/' or '\\', perhaps encoded. */
static apr_size_t separator(const char *in, apr_size_t len)
{
    if (len && (*in == '/' || *in == '\\'))
        return 1;
    return len >= 3 && (!strncasecmp(in, "%2f", 3) || !strncasecmp(in, "%5c", 3)) ? 3 : 0;
}

int wh_fits_path(const char *in, apr_size_t len)
{
    const char *query = memchr(in, '?', len);
    apr_size_t path = query ? (apr_size_t)(query - in) : len, at, n;

    for (at = 0; at < len; at++) {
        if ((unsigned char)in[at] <= 0x20 || (unsigned char)in[at] >= 0x7f || in[at] == '#')
            return 0;
    }
    for (at = 0; at < path; at += n + separator(in + at + n, path - at - n)) {
        const char *parameters;

        for (n = 0; at + n < path && !separator(in + at + n, path - at - n); n++)
            ;
        /* "..;x" too: some servers take what follows ';' away first */
        parameters = memchr(in + at, ';', n);
        if (is_dots(in + at, parameters ? (apr_size_t)(parameters - (in + at)) : n))
            return 0;
    }
    return 1;
}
