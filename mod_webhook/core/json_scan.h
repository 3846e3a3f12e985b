/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_scan.h: the two loops in which reading JSON spends its time, behind json_read.c: along the bytes of a string that stand for
 * themselves, and over UTF-8. Each loop over sixteen bytes at once has a twin that takes one; both are always compiled, so that a test
 * holds them against each other.
 */
#ifndef WH_CORE_JSON_SCAN_H
#define WH_CORE_JSON_SCAN_H

#include <apr.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/** The first byte at or behind `at` that is no plain character of a JSON string: a quote, a backslash, a control character, anything
 *  beyond ASCII. @return `end` if there is none */
static inline const unsigned char *wh_json_scan_bytes(const unsigned char *at, const unsigned char *end)
{
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

static inline const unsigned char *wh_json_scan(const unsigned char *at, const unsigned char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), blank = _mm_set1_epi8(0x20);

    while (end - at >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* signed: bytes beyond ASCII are below the blank too */
        __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)), _mm_cmplt_epi8(v, blank));
        unsigned mask = (unsigned)_mm_movemask_epi8(special);
        if (mask)
            return at + __builtin_ctz(mask);
        at += 16;
    }
#endif
    return wh_json_scan_bytes(at, end);
}

static inline int wh_json_is_blank(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/** Behind blanks (RFC 8259 section 2). @return `end` if there is nothing else */
static inline const unsigned char *wh_json_blanks_bytes(const unsigned char *at, const unsigned char *end)
{
    while (at < end && wh_json_is_blank(*at))
        at++;
    return at;
}

static inline const unsigned char *wh_json_blanks(const unsigned char *at, const unsigned char *end)
{
    if (at == end || *at > ' ')
        return at;
#if defined(__SSE2__)
    /* the indentation of a document for people: one end of line, then a run of one character */
    while (end - at >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i blank = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(' ')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\n'))),
                                     _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\r')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'))));
        unsigned other = 0xffffu ^ (unsigned)_mm_movemask_epi8(blank);
        if (other)
            return at + __builtin_ctz(other);
        at += 16;
    }
#endif
    return wh_json_blanks_bytes(at, end);
}

/** The first byte at or behind `at` that is ASCII or begins no well-formed UTF-8 sequence (Unicode, table 3-7). */
static inline const unsigned char *wh_json_scan_utf8(const unsigned char *at, const unsigned char *end)
{
#define WH_CONT(c) (((c) & 0xc0) == 0x80)
    while (at < end && *at >= 0xc2) {
        apr_size_t left = (apr_size_t)(end - at);
        unsigned char c = at[0];
        if (c < 0xe0) {
            if (left < 2 || !WH_CONT(at[1]))
                break;
            at += 2;
        }
        else if (c < 0xf0) {
            /* overlong below U+0800, surrogates from U+D800 */
            if (left < 3 || !WH_CONT(at[1]) || !WH_CONT(at[2]) || (c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f))
                break;
            at += 3;
        }
        else {
            /* overlong below U+10000, nothing beyond U+10FFFF */
            if (c > 0xf4 || left < 4 || !WH_CONT(at[1]) || !WH_CONT(at[2]) || !WH_CONT(at[3]) || (c == 0xf0 && at[1] < 0x90)
                || (c == 0xf4 && at[1] > 0x8f))
                break;
            at += 4;
        }
    }
    return at;
#undef WH_CONT
}

#endif
