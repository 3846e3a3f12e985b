/* SPDX-License-Identifier: Apache-2.0 */
/* sfield.c: see sfield.h. */
#include "verify/sfield.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>
#include "core/encoding.h"

void wh_sf_skip(const char **s)
{
    while (**s == ' ' || **s == '\t') (*s)++;
}

static int is_key_start(char ch)
{
    return (ch >= 'a' && ch <= 'z') || ch == '*';
}

const char *wh_sf_key(const char **s, apr_pool_t *p)
{
    const char *start = *s;

    if (!is_key_start(**s)) return NULL;
    while (is_key_start(**s) || apr_isdigit(**s) || **s == '_' || **s == '-' || **s == '.') (*s)++;
    return apr_pstrmemdup(p, start, (apr_size_t)(*s - start));
}

const char *wh_sf_string(const char **s, apr_pool_t *p)
{
    const char *in = *s;
    char *out, *at;

    if (*in++ != '"') return NULL;
    out = at = apr_palloc(p, strlen(in) + 1);
    for (; *in && *in != '"'; in++) {
        if (*in == '\\' && *++in != '"' && *in != '\\') return NULL;
        if ((unsigned char)*in < 0x20 || (unsigned char)*in > 0x7e) return NULL;
        *at++ = *in;
    }
    if (*in != '"') return NULL;
    *at = '\0';
    *s = in + 1;
    return out;
}

/* :base64: */
int wh_sf_bytes(const char **s, webhook_slice *out, apr_pool_t *p)
{
    const char *end;
    apr_size_t max;
    unsigned char *room;

    if (**s != ':' || (end = strchr(*s + 1, ':')) == NULL) return 0;
    max = wh_decoded_max(WH_ENC_BASE64, (apr_size_t)(end - *s - 1));
    if (max > 4096) return 0;
    room = apr_palloc(p, max + 1);
    out->data = (const char *)room;
    if (wh_decode(WH_ENC_BASE64, 0, *s + 1, (apr_size_t)(end - *s - 1), room, max, &out->len) != APR_SUCCESS) return 0;
    *s = end + 1;
    return 1;
}

/* One parameter behind ';'. A string value is decoded, an integer or token returned as text, a bare name gives "". */
const char *wh_sf_param(const char **s, const char **name, apr_pool_t *p)
{
    const char *start;

    (*s)++;
    while (**s == ' ') (*s)++;
    if ((*name = wh_sf_key(s, p)) == NULL) return NULL;
    if (**s != '=') return "";
    (*s)++;
    if (**s == '"') return wh_sf_string(s, p);
    if (**s == ':') {
        webhook_slice bytes;
        return wh_sf_bytes(s, &bytes, p) ? "" : NULL;
    }
    start = *s;
    while (apr_isalnum(**s) || (**s && strchr("!#$%&'*+-.^_`|~:/?", **s))) (*s)++;
    return *s > start ? apr_pstrmemdup(p, start, (apr_size_t)(*s - start)) : NULL;
}
