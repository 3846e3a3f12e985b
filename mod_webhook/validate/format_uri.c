/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_uri.c: URIs (RFC 3986), IRIs (RFC 3987) and URI templates (RFC 6570) by their grammars. Nothing is resolved, decoded or normalised.
 */
#include <string.h>

#include "validate/format_parts.h"

/* what a component may consist of */
#define UNRESERVED 0x01    /* with percent-encoding, in an IRI with ucschar */
#define SUB_DELIMS 0x02
#define COLON 0x04
#define AT 0x08
#define SLASH 0x10
#define QUESTION 0x20
#define PRIVATE 0x40       /* iprivate, in an IRI */
#define PCHAR (UNRESERVED | SUB_DELIMS | COLON | AT)

typedef struct component {
    const char *at, *end;
} component;

static int is_ucschar(apr_uint32_t c)
{
    if (c < 0x10000) return (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xf900 && c <= 0xfdcf) || (c >= 0xfdf0 && c <= 0xffef);
    return c <= 0xefffd && (c & 0xffff) <= 0xfffd && (c < 0xe0000 || c >= 0xe1000);
}

static int is_iprivate(apr_uint32_t c)
{
    return (c >= 0xe000 && c <= 0xf8ff) || (c >= 0xf0000 && c <= 0xffffd) || (c >= 0x100000 && c <= 0x10fffd);
}

static int is_percent(const char *at, const char *end)
{
    return end - at >= 3 && at[0] == '%' && wh_is_hex(at[1]) && wh_is_hex(at[2]);
}

/* bytes of the one character of the set that is at the start; 0: none */
static apr_size_t one_of(const char *at, const char *end, int set, int iri)
{
    apr_size_t size;
    apr_uint32_t c;

    if (at == end) return 0;
    if (wh_is_alpha(*at) || wh_is_digit(*at)) return 1;
    switch (*at) {
    case '%': return is_percent(at, end) ? 3 : 0;
    case '-': case '.': case '_': case '~': return 1;
    case '!': case '$': case '&': case '\'': case '(': case ')': case '*': case '+': case ',': case ';': case '=': return !!(set & SUB_DELIMS);
    case ':': return !!(set & COLON);
    case '@': return !!(set & AT);
    case '/': return !!(set & SLASH);
    case '?': return !!(set & QUESTION);
    default: break;
    }
    if (!iri || !((unsigned char)*at & 0x80)) return 0;
    c = wh_utf8_char(at, (apr_size_t)(end - at), &size);
    return size && (is_ucschar(c) || ((set & PRIVATE) && is_iprivate(c))) ? size : 0;
}

static int all_of(const char *at, const char *end, int set, int iri)
{
    while (at < end) {
        apr_size_t size = one_of(at, end, set, iri);

        if (!size) return 0;
        at += size;
    }
    return 1;
}

/* the part before the first of the stops, or all */
static component cut(component *rest, const char *stops)
{
    component part = { rest->at, rest->at };

    while (part.end < rest->end && !(*part.end && strchr(stops, *part.end))) part.end++;
    rest->at = part.end;
    return part;
}

/* between [ and ] */
static int is_ip_literal(const char *at, const char *end, apr_pool_t *scratch)
{
    const char *dot;

    if (at == end || (*at != 'v' && *at != 'V')) return wh_format_ipv6(at, (apr_size_t)(end - at), scratch);
    for (dot = ++at; dot < end && wh_is_hex(*dot); dot++) continue;
    if (dot == at || dot == end || *dot != '.' || dot + 1 == end) return 0;
    for (at = dot + 1; at < end; at++)
        if (*at == '%' || !one_of(at, end, UNRESERVED | SUB_DELIMS | COLON, 0)) return 0;
    return 1;
}

static int is_authority(component all, int iri, apr_pool_t *scratch)
{
    const char *at = memchr(all.at, '@', (apr_size_t)(all.end - all.at)), *end;

    if (at) {
        if (!all_of(all.at, at, UNRESERVED | SUB_DELIMS | COLON, iri)) return 0;
        all.at = at + 1;
    }
    if (all.at < all.end && *all.at == '[') {
        end = memchr(all.at, ']', (apr_size_t)(all.end - all.at));
        if (!end || !is_ip_literal(all.at + 1, end, scratch)) return 0;
        end++;
    } else {
        component rest = all;

        cut(&rest, ":");
        end = rest.at;
        if (!all_of(all.at, end, UNRESERVED | SUB_DELIMS, iri)) return 0;
    }
    if (end == all.end) return 1;
    if (*end != ':') return 0;
    for (end++; end < all.end; end++)
        if (!wh_is_digit(*end)) return 0;
    return 1;
}

static int is_scheme(component part)
{
    if (part.at == part.end || !wh_is_alpha(*part.at)) return 0;
    for (; part.at < part.end; part.at++)
        if (!wh_is_alpha(*part.at) && !wh_is_digit(*part.at) && !(*part.at && strchr("+-.", *part.at))) return 0;
    return 1;
}

static int is_reference(const char *text, apr_size_t len, int iri, int absolute, apr_pool_t *scratch)
{
    component rest, part;

    if (!len) return !absolute;
    rest = (component){ text, text + len };
    part = cut(&rest, ":/?#");
    if (rest.at < rest.end && *rest.at == ':') {
        /* a first segment with a colon would be taken for a scheme, so it is either one or wrong */
        if (!is_scheme(part)) return 0;
        rest.at++;
    } else {
        if (absolute) return 0;
        rest.at = text;
    }
    if (rest.end - rest.at >= 2 && rest.at[0] == '/' && rest.at[1] == '/') {
        rest.at += 2;
        if (!is_authority(cut(&rest, "/?#"), iri, scratch)) return 0;
    }
    part = cut(&rest, "?#");
    if (!all_of(part.at, part.end, PCHAR | SLASH, iri)) return 0;
    if (rest.at < rest.end && *rest.at == '?') {
        rest.at++;
        part = cut(&rest, "#");
        if (!all_of(part.at, part.end, PCHAR | SLASH | QUESTION | PRIVATE, iri)) return 0;
    }
    /* a # is all that can be here */
    return rest.at == rest.end || all_of(rest.at + 1, rest.end, PCHAR | SLASH | QUESTION, iri);
}

int wh_format_uri(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    return is_reference(text, len, 0, 1, scratch);
}

int wh_format_uri_reference(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    return is_reference(text, len, 0, 0, scratch);
}

int wh_format_iri(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    return is_reference(text, len, 1, 1, scratch);
}

int wh_format_iri_reference(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    return is_reference(text, len, 1, 0, scratch);
}

/* bytes of a varchar (RFC 6570 section 2.3); 0: none */
static apr_size_t varchar(const char *at, const char *end)
{
    if (at == end) return 0;
    if (wh_is_alpha(*at) || wh_is_digit(*at) || *at == '_') return 1;
    return is_percent(at, end) ? 3 : 0;
}

/* varname with its modifier. @return the end, NULL where there is none */
static const char *varspec(const char *at, const char *end)
{
    apr_size_t size = varchar(at, end);
    int digits = 0;

    if (!size) return NULL;
    for (at += size; at < end;) {
        const char *next = *at == '.' ? at + 1 : at;

        size = varchar(next, end);
        if (!size) break;
        at = next + size;
    }
    if (at < end && *at == '*') return at + 1;
    if (at == end || *at != ':') return at;
    if (++at == end || *at == '0') return NULL;
    for (; at < end && wh_is_digit(*at); at++) digits++;
    return digits >= 1 && digits <= 4 ? at : NULL;
}

/* between { and }. The operators reserved for extensions are of the grammar as well. */
static int is_expression(const char *at, const char *end)
{
    if (at < end && *at && strchr("+#./;?&=,!@|", *at)) at++;
    for (;;) {
        at = varspec(at, end);
        if (!at) return 0;
        if (at == end) return 1;
        if (*at++ != ',') return 0;
    }
}

int wh_format_uri_template(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    const char *at = text, *end = len ? text + len : text;

    while (at < end) {
        apr_size_t size;
        apr_uint32_t c;

        if (*at == '{') {
            const char *close = memchr(at, '}', (apr_size_t)(end - at));

            if (!close || !is_expression(at + 1, close)) return 0;
            at = close + 1;
            continue;
        }
        if (*at == '%') {
            if (!is_percent(at, end)) return 0;
            at += 3;
            continue;
        }
        c = wh_utf8_char(at, (apr_size_t)(end - at), &size);
        if (!size) return 0;
        /* literals (erratum 6937 gives the apostrophe back) */
        if (c < 0x80 ? c <= ' ' || c == 0x7f || strchr("\"<>\\^`|}", (int)c) != NULL : !is_ucschar(c) && !is_iprivate(c)) return 0;
        at += size;
    }
    return 1;
}
