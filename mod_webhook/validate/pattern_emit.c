/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern_emit.c: PCRE2's spelling of what the ECMA-262 grammar found. Everything but ASCII letters, digits and _ is written as its code
 * point, so no character of a pattern can mean to PCRE2 what it does not mean to ECMA-262.
 */
#include <string.h>

#include <apr_strings.h>

#include "validate/pattern_parts.h"

/* WhiteSpace and LineTerminator of ECMA-262, and all the others */
#define SPACES "\\x09-\\x0d\\x20\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}"
#define NO_SPACES "\\x00-\\x08\\x0e-\\x1f\\x21-\\x9f\\xa1-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}" \
    "\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"
/* PCRE2 10.42 forgets what is beyond U+00FF of \D and \W in a negated class that has a property as well: [^\D\p{L}] */
#define NO_DIGITS "\\x00-\\x2f\\x3a-\\x{10ffff}"
#define NO_WORD "\\x00-\\x2f\\x3a-\\x40\\x5b-\\x5e\\x60\\x7b-\\x{10ffff}"

static void put(wh_pattern_parse *ps, const char *text, apr_size_t len)
{
    if (ps->out_max - ps->out_len < len) {
        apr_size_t max = (ps->out_max + len) * 2 + 64;
        char *out = apr_palloc(ps->p, max);

        if (ps->out_len) memcpy(out, ps->out, ps->out_len);
        ps->out = out;
        ps->out_max = max;
    }
    memcpy(ps->out + ps->out_len, text, len);
    ps->out_len += len;
}

void wh_pattern_emit(wh_pattern_parse *ps, const char *text)
{
    if (ps->emitting) put(ps, text, strlen(text));
}

void wh_pattern_emit_char(wh_pattern_parse *ps, apr_uint32_t c)
{
    char text[16];
    int len;

    if (!ps->emitting) return;
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_') {
        text[0] = (char)c;
        len = 1;
    } else {
        len = apr_snprintf(text, sizeof(text), "\\x{%x}", c);
    }
    put(ps, text, (apr_size_t)len);
}

void wh_pattern_emit_set(wh_pattern_parse *ps, char set, int in_class)
{
    const char plain[3] = { '\\', set, '\0' };

    /* without PCRE2_UCP \d and \w are ASCII, as they are in ECMA-262 */
    if (in_class && (set == 'D' || set == 'W')) {
        wh_pattern_emit(ps, set == 'D' ? NO_DIGITS : NO_WORD);
        return;
    }
    if (set != 's' && set != 'S') {
        wh_pattern_emit(ps, plain);
        return;
    }
    if (!in_class) wh_pattern_emit(ps, "[");
    wh_pattern_emit(ps, set == 's' ? SPACES : NO_SPACES);
    if (!in_class) wh_pattern_emit(ps, "]");
}

void wh_pattern_mark(wh_pattern_parse *ps, unsigned mark)
{
    const char text[2] = { WH_MARK, (char)mark };

    if (!ps->emitting) return;
    ps->since_mark = 0;
    put(ps, text, 2);
}

void wh_pattern_mark_at(wh_pattern_parse *ps, apr_size_t offset, unsigned mark)
{
    const char text[2] = { WH_MARK, (char)mark };

    if (!ps->emitting) return;
    put(ps, text, 2);
    memmove(ps->out + offset + 2, ps->out + offset, ps->out_len - offset - 2);
    memcpy(ps->out + offset, text, 2);
}

void wh_pattern_unmark_at(wh_pattern_parse *ps, apr_size_t offset)
{
    if (!ps->emitting) return;
    ps->out_len -= 2;
    memmove(ps->out + offset, ps->out + offset + 2, ps->out_len - offset);
}

char *wh_pattern_finish(const wh_pattern_parse *ps, int metered, apr_size_t *len)
{
    /* "(?C255)" is what two bytes become at most */
    char *text = apr_palloc(ps->p, ps->out_len * 4 + 1), *t = text;
    apr_size_t i;

    for (i = 0; i < ps->out_len; i++) {
        if (ps->out[i] != WH_MARK) {
            *t++ = ps->out[i];
            continue;
        }
        i++;
        /* two things in a row may want the same mark: one is enough */
        if (!metered || (i + 2 < ps->out_len && ps->out[i + 1] == WH_MARK && ps->out[i + 2] == ps->out[i])) continue;
        t += apr_snprintf(t, 8, "(?C%u)", (unsigned)(unsigned char)ps->out[i]);
    }
    *t = '\0';
    *len = (apr_size_t)(t - text);
    return text;
}
