/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_write.c: growing text in a pool, and JSON written into it. Whatever bytes come in, what goes out is valid UTF-8 JSON on one
 * line, harmless inside HTML and JavaScript.
 */
#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/encoding.h"
#include "core/units.h"

void wh_buf_init(wh_buf *b, apr_pool_t *p, apr_size_t room)
{
    memset(b, 0, sizeof(*b));
    b->pool = p;
    b->room = room < 64 ? 64 : room;
    b->data = apr_palloc(p, b->room);
    b->data[0] = '\0';
}

/* How many of `len` more bytes the limit lets in. */
static apr_size_t admit(wh_buf *b, apr_size_t len)
{
    apr_size_t left;

    if (!b->max)
        return len;
    left = b->max > b->len ? b->max - b->len : 0;
    if (len > left) {
        b->overflow = 1;
        return left;
    }
    return len;
}

void wh_buf_reserve(wh_buf *b, apr_size_t len)
{
    apr_size_t room = b->room;
    char *data;

    if (len < room - b->len)
        return;
    /* a pool gives nothing back: doubling keeps what is lost below what is used */
    do {
        if (room > (apr_size_t)-1 / 2)
            abort();
        room *= 2;
    } while (len >= room - b->len);
    data = apr_palloc(b->pool, room);
    memcpy(data, b->data, b->len + 1);
    b->data = data;
    b->room = room;
}

void wh_buf_add(wh_buf *b, const char *data, apr_size_t len)
{
    len = admit(b, len);
    if (!len)
        return;
    wh_buf_reserve(b, len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void wh_buf_adds(wh_buf *b, const char *text)
{
    wh_buf_add(b, text, strlen(text));
}

void wh_buf_addf(wh_buf *b, const char *fmt, ...)
{
    char text[256], *rest = text;
    va_list ap, again;
    int len;

    va_start(ap, fmt);
    va_copy(again, ap);
    len = vsnprintf(text, sizeof(text), fmt, ap);
    if (len >= (int)sizeof(text)) {
        rest = malloc((apr_size_t)len + 1);
        if (!rest)
            abort();
        vsnprintf(rest, (apr_size_t)len + 1, fmt, again);
    }
    va_end(again);
    va_end(ap);
    if (len > 0)
        wh_buf_add(b, rest, (apr_size_t)len);
    if (rest != text)
        free(rest);
}

/* ---- strings ---- */

#define ESCAPE_MAX 6 /* \u003c */
#define BLOCK 16

/* Sixteen bytes compared at once, whatever the processor calls that; only the search for the first hit depends on the byte order. */
#if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
typedef unsigned char bytes16 __attribute__((vector_size(BLOCK)));

/* Copy a block and say how many of its first bytes stand for themselves: ASCII that needs no escape. */
static inline unsigned copy_plain(char *out, const char *in)
{
    bytes16 v;
    unsigned long long hit[2];

    memcpy(&v, in, BLOCK);
    memcpy(out, &v, BLOCK);
    v = (bytes16)((v < 0x20) | (v > 0x7f) | (v == '"') | (v == '\\') | (v == '<') | (v == '>') | (v == '&'));
    memcpy(hit, &v, BLOCK);
    if (hit[0])
        return (unsigned)__builtin_ctzll(hit[0]) / 8;
    return hit[1] ? 8 + (unsigned)__builtin_ctzll(hit[1]) / 8 : BLOCK;
}
#else
static inline unsigned copy_plain(char *out, const char *in)
{
    unsigned i;

    for (i = 0; i < BLOCK; i++) {
        unsigned char c = (unsigned char)in[i];
        if (c < 0x20 || c > 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&')
            break;
        out[i] = in[i];
    }
    return i;
}
#endif

static apr_size_t put_u(char *out, unsigned code)
{
    static const char digits[] = "0123456789abcdef";

    out[0] = '\\';
    out[1] = 'u';
    out[2] = digits[code >> 12 & 15];
    out[3] = digits[code >> 8 & 15];
    out[4] = digits[code >> 4 & 15];
    out[5] = digits[code & 15];
    return ESCAPE_MAX;
}

/* Write the character at `in`, at most ESCAPE_MAX bytes. @param used answer: bytes of `in` it took */
static apr_size_t put_char(char *out, const char *in, apr_size_t len, apr_size_t *used)
{
    /* what stands behind the backslash, 1 for \u00xx, 0 for the character itself */
    static const char escapes[128] = {
        1, 1, 1, 1, 1, 1, 1, 1, 'b', 't', 'n', 1, 'f', 'r', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        ['"'] = '"', ['\\'] = '\\', ['<'] = 1, ['>'] = 1, ['&'] = 1,
    };
    unsigned char c = (unsigned char)*in;

    *used = 1;
    if (c < 0x80) {
        if (!escapes[c]) {
            out[0] = (char)c;
            return 1;
        }
        if (escapes[c] == 1)
            return put_u(out, c);
        out[0] = '\\';
        out[1] = escapes[c];
        return 2;
    }
    *used = wh_utf8_sequence(in, len);
    if (!*used) {
        /* no UTF-8: the byte is taken as ISO-8859-1, whose code points are Unicode's first 256 */
        *used = 1;
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    /* line separators to JavaScript */
    if (c == 0xe2 && (unsigned char)in[1] == 0x80 && ((unsigned char)in[2] & 0xfe) == 0xa8)
        return put_u(out, 0x2000u | (unsigned)(in[2] & 0x3f));
    memcpy(out, in, *used);
    return *used;
}

void wh_json_put_string(wh_buf *b, const char *data, apr_size_t len)
{
    char out[2048];
    apr_size_t i = 0, n = 0, used;

    out[n++] = '"';
    while (i < len) {
        if (n > sizeof(out) - BLOCK - 2 * ESCAPE_MAX) {
            wh_buf_add(b, out, n);
            n = 0;
        }
        if (len - i >= BLOCK) {
            unsigned plain = copy_plain(out + n, data + i);
            i += plain;
            n += plain;
            if (plain == BLOCK)
                continue;
        }
        n += put_char(out + n, data + i, len - i, &used);
        i += used;
    }
    out[n++] = '"';
    wh_buf_add(b, out, n);
}

/* ---- members ---- */

static void put_comma(wh_buf *b)
{
    if (b->len && b->data[b->len - 1] != '{' && b->data[b->len - 1] != '[')
        wh_buf_add(b, ",", 1);
}

void wh_json_put_name(wh_buf *b, const char *name)
{
    put_comma(b);
    wh_json_put_string(b, name, strlen(name));
    wh_buf_add(b, ":", 1);
}

void wh_json_put_member(wh_buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    wh_json_put_name(b, name);
    wh_json_put_string(b, value, strlen(value));
}

void wh_json_put_member_int(wh_buf *b, const char *name, apr_int64_t value)
{
    wh_json_put_name(b, name);
    wh_buf_addf(b, "%" APR_INT64_T_FMT, value);
}

void wh_json_put_member_bool(wh_buf *b, const char *name, int value)
{
    wh_json_put_name(b, name);
    wh_buf_adds(b, value ? "true" : "false");
}

void wh_json_put_member_time(wh_buf *b, const char *name, apr_time_t t)
{
    char text[WH_RFC3339_LEN + 1];

    wh_format_time(text, t);
    wh_json_put_member(b, name, text);
}
