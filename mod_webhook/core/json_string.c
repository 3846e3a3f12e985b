/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_string.c: strings that are more than plain ASCII: UTF-8 is checked, escapes are checked and then resolved into the pool.
 */
#include "core/json_reader.h"
#include "core/json_scan.h"

#include <string.h>

static int hex4(const unsigned char *s, unsigned *out)
{
    unsigned n = 0;

    for (int i = 0; i < 4; i++) {
        unsigned c = s[i];
        if (c >= '0' && c <= '9')
            c -= '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            c = (c | 0x20) - 'a' + 10;
        else
            return 0;
        n = n << 4 | c;
    }
    *out = n;
    return 1;
}

/* Behind the escape whose backslash is at `at`. Both halves of a surrogate pair are one. */
static const unsigned char *check_escape(wh_json_reader *r, const unsigned char *at, unsigned char *nul)
{
    unsigned code, low;

    if (r->end - at < 2)
        return wh_json_fail(r, "syntax", r->end);
    switch (at[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return at + 2;
    case 'u':
        break;
    default:
        return wh_json_fail(r, "syntax", at);
    }
    if (r->end - at < 6 || !hex4(at + 2, &code))
        return wh_json_fail(r, "syntax", at);
    if (code == 0) {
        if (!(r->limits->allow & WH_JSON_NULS))
            return wh_json_fail(r, "nul", at);
        *nul = 1;
    }
    if (code < 0xd800 || code > 0xdfff)
        return at + 6;
    if (code < 0xdc00 && r->end - at >= 12 && at[6] == '\\' && at[7] == 'u' && hex4(at + 8, &low) && low >= 0xdc00 && low <= 0xdfff)
        return at + 12;
    return r->limits->allow & WH_JSON_SURROGATES ? at + 6 : wh_json_fail(r, "surrogate", at);
}

static char *put_code(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    }
    else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* Resolve the escapes of [at, end), which were checked. @return the end of what was written: never more bytes than there were */
static char *unescape(char *out, const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        const unsigned char *backslash = memchr(at, '\\', (apr_size_t)(end - at));
        apr_size_t plain = (apr_size_t)((backslash ? backslash : end) - at);
        unsigned code = 0, low = 0;

        memcpy(out, at, plain);
        out += plain;
        if (!backslash)
            break;
        at = backslash + 2;
        switch (backslash[1]) {
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'n': *out++ = '\n'; break;
        case 'r': *out++ = '\r'; break;
        case 't': *out++ = '\t'; break;
        case 'u':
            hex4(at, &code);
            at += 4;
            if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u' && hex4(at + 2, &low) && low >= 0xdc00
                && low <= 0xdfff) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                at += 6;
            }
            out = put_code(out, code);
            break;
        default: *out++ = (char)backslash[1];
        }
    }
    return out;
}

const unsigned char *wh_json_read_long(wh_json_reader *r, const unsigned char *start, const unsigned char *at, const char **text,
                                       apr_uint32_t *len, unsigned char *nul)
{
    int escaped = 0;
    char *copy;

    for (;;) {
        const unsigned char *next;
        if (at == r->end)
            return wh_json_fail(r, "syntax", at);
        if (*at == '"')
            break;
        if (*at == '\\') {
            escaped = 1;
            next = check_escape(r, at, nul);
            if (!next)
                return NULL;
        }
        else if (*at < 0x20) {
            return wh_json_fail(r, *at ? "syntax" : "nul", at);
        }
        else {
            next = wh_json_scan_utf8(at, r->end);
            if (next < r->end && *next >= 0x80)
                return wh_json_fail(r, "utf8", next);
        }
        at = wh_json_scan(next, r->end);
    }
    if (escaped) {
        copy = apr_palloc(r->pool, (apr_size_t)(at - start));
        if (!copy)
            return wh_json_fail(r, "memory", start);
        *text = copy;
        *len = (apr_uint32_t)(unescape(copy, start, at) - copy);
    }
    else {
        *text = (const char *)start;
        *len = (apr_uint32_t)(at - start);
    }
    return at + 1;
}
