/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sfvalue.c: whole Structured Fields (RFC 8941; dates of RFC 9651) read and written again in the one strict way, which is what the parameters
 * `sf` and `key` of a signed component stand for (RFC 9421 sections 2.1.1 and 2.1.2). Reading and writing are one pass: each reader moves
 * *s and appends to the buffer.
 *
 * Which type a field has is known by its definition alone. Where a text could be two, both are tried, and it is nothing when they
 * disagree. Repeated keys are refused: what counts then is where implementations differ; so is a type guessed wrongly: the signature is
 * over what its maker wrote.
 */
#include "verify/sfield.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>
#include "core/encoding.h"
#include "core/json.h"

#define MAX_MEMBERS 128 /* of a list or dictionary: repeated keys are looked for one by one */

static int number(const char **s, wh_buf *b)
{
    const char *at = *s, *fraction;
    apr_size_t whole, digits = 0, zeros;
    int minus = *at == '-';

    at += minus;
    whole = strspn(at, "0123456789");
    fraction = at + whole;
    if (*fraction == '.') {
        digits = strspn(++fraction, "0123456789");
        if (digits < 1 || digits > 3) return 0;
    }
    if (whole < 1 || whole > (digits ? 12u : 15u)) return 0;
    zeros = strspn(at, "0");
    if (zeros == whole) zeros--;
    *s = at + whole + (digits ? digits + 1 : 0);
    while (digits > 1 && fraction[digits - 1] == '0') digits--;
    if (minus && !(whole - zeros == 1 && at[zeros] == '0' && strspn(fraction, "0") >= digits)) wh_buf_add(b, "-", 1); /* there is no -0 */
    wh_buf_add(b, at + zeros, whole - zeros);
    if (digits) {
        wh_buf_add(b, ".", 1);
        wh_buf_add(b, fraction, digits);
    }
    return 1;
}

static int is_token(char ch)
{
    return apr_isalnum(ch) || (ch && strchr("!#$%&'*+-.^_`|~:/", ch));
}

static int bare_item(const char **s, wh_buf *b)
{
    const char *start = *s;
    webhook_slice bytes;

    switch (*start) {
    case '"':
        if (!wh_sf_string(s, b->pool)) return 0;
        wh_buf_add(b, start, (apr_size_t)(*s - start)); /* a string has one spelling */
        return 1;
    case ':':
        if (!wh_sf_bytes(s, &bytes, b->pool)) return 0;
        wh_buf_addf(b, ":%s:", wh_encode(WH_ENC_BASE64, (const unsigned char *)bytes.data, bytes.len, b->pool));
        return 1;
    case '?':
        if (start[1] != '0' && start[1] != '1') return 0;
        wh_buf_add(b, start, 2);
        *s += 2;
        return 1;
    case '@':
        (*s)++;
        if (**s == '-' ? !apr_isdigit((*s)[1]) : !apr_isdigit(**s)) return 0;
        wh_buf_add(b, "@", 1);
        return number(s, b) && !memchr(start, '.', (apr_size_t)(*s - start));
    default:
        if (*start == '-' || apr_isdigit(*start)) return number(s, b);
        if (!apr_isalpha(*start) && *start != '*') return 0;
        while (is_token(**s)) (*s)++;
        wh_buf_add(b, start, (apr_size_t)(*s - start));
        return 1;
    }
}

/* @return 0 when it is there already, or there are too many */
static int note_key(apr_array_header_t *keys, const char *key)
{
    int i;

    if (keys->nelts == MAX_MEMBERS) return 0;
    for (i = 0; i < keys->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(keys, i, const char *), key) == 0) return 0;
    }
    APR_ARRAY_PUSH(keys, const char *) = key;
    return 1;
}

static int parameters(const char **s, wh_buf *b)
{
    apr_array_header_t *keys = NULL;

    while (**s == ';') {
        const char *key;
        (*s)++;
        while (**s == ' ') (*s)++;
        if (!keys) keys = apr_array_make(b->pool, 4, sizeof(const char *));
        if ((key = wh_sf_key(s, b->pool)) == NULL || !note_key(keys, key)) return 0;
        wh_buf_addf(b, ";%s", key);
        if (**s != '=') continue;
        (*s)++;
        if ((*s)[0] == '?' && (*s)[1] == '1') { /* true is written by being there */
            *s += 2;
            continue;
        }
        wh_buf_add(b, "=", 1);
        if (!bare_item(s, b)) return 0;
    }
    return 1;
}

static int inner_list(const char **s, wh_buf *b)
{
    int n;

    (*s)++;
    wh_buf_add(b, "(", 1);
    for (n = 0;; n++) {
        const char *gap = *s;
        while (**s == ' ') (*s)++;
        if (**s == ')') break;
        if (n == MAX_MEMBERS || (n && gap == *s)) return 0;
        if (n) wh_buf_add(b, " ", 1);
        if (!bare_item(s, b) || !parameters(s, b)) return 0;
    }
    (*s)++;
    wh_buf_add(b, ")", 1);
    return 1;
}

static int member(const char **s, wh_buf *b)
{
    return (**s == '(' ? inner_list(s, b) : bare_item(s, b)) && parameters(s, b);
}

/* To the next member. @return 1 there is one, 0 the end, -1 neither */
static int next_member(const char **s)
{
    wh_sf_skip(s);
    if (!**s) return 0;
    if (*(*s)++ != ',') return -1;
    wh_sf_skip(s);
    return **s ? 1 : -1;
}

/* A list; an item is a list of one. NULL when it is neither */
static const char *list(const char *text, apr_pool_t *p)
{
    const char *s = text;
    int n = 0, more;
    wh_buf b;

    wh_buf_init(&b, p, strlen(text) + 1);
    wh_sf_skip(&s);
    do {
        if (n == MAX_MEMBERS) return NULL;
        if (n++) wh_buf_adds(&b, ", ");
        if (!member(&s, &b)) return NULL;
    } while ((more = next_member(&s)) > 0);
    return more == 0 ? b.data : NULL;
}

/* A dictionary, or the value of one of its members as an item. NULL when it is none, or has no such member */
static const char *dictionary(const char *text, const char *wanted, apr_pool_t *p)
{
    apr_array_header_t *keys = apr_array_make(p, 8, sizeof(const char *));
    const char *s = text, *key, *found = NULL;
    int more;
    wh_buf b;

    wh_buf_init(&b, p, strlen(text) + 1);
    wh_sf_skip(&s);
    do {
        wh_buf value;
        int truth;
        if ((key = wh_sf_key(&s, p)) == NULL || !note_key(keys, key)) return NULL;
        truth = *s != '=';
        if (!truth) s++;
        if (!truth && s[0] == '?' && s[1] == '1') {
            truth = 1;
            s += 2;
        }
        wh_buf_init(&value, p, 32);
        if (!(truth ? parameters(&s, &value) : member(&s, &value))) return NULL;
        if (keys->nelts > 1) wh_buf_adds(&b, ", ");
        wh_buf_addf(&b, "%s%s%s", key, truth ? "" : "=", value.len ? value.data : "");
        if (wanted && strcmp(wanted, key) == 0) found = apr_pstrcat(p, truth ? "?1" : "", value.len ? value.data : "", NULL);
    } while ((more = next_member(&s)) > 0);
    if (more != 0) return NULL;
    return wanted ? found : b.data;
}

const char *wh_sf_serialize(const char *text, apr_pool_t *p)
{
    const char *as_list = list(text, p), *as_dictionary = dictionary(text, NULL, p);

    if (as_list && as_dictionary && strcmp(as_list, as_dictionary) != 0) return NULL;
    return as_dictionary ? as_dictionary : as_list;
}

const char *wh_sf_member(const char *text, const char *key, apr_pool_t *p)
{
    return dictionary(text, key, p);
}
