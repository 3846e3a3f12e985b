/* SPDX-License-Identifier: Apache-2.0 */
/* multipart.c: see multipart.h. */
#include "core/multipart.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "core/encode_for.h"

#define MAX_BOUNDARY 70 /* RFC 2046 section 5.1.1 */
#define MAX_HEADER_LINE 8192

static int is_token(char ch)
{
    return apr_isalnum(ch) || (ch != '\0' && strchr("!#$%&'*+-.^_`|~", ch) != NULL);
}

/* Next `; name=value` of a header; value may be quoted. @return 1 found, 0 end, -1 broken. */
static int next_param(const char **at, const char **name, const char **value, apr_pool_t *p)
{
    const char *s = *at, *start;
    char *out;
    apr_size_t len;

    while (*s == ' ' || *s == '\t') s++;
    if (*s == '\0') return 0;
    if (*s++ != ';') return -1;
    while (*s == ' ' || *s == '\t') s++;
    if (*s == '\0') return 0;
    for (start = s; is_token(*s); s++) {}
    if (s == start || *s != '=') return -1;
    *name = apr_pstrmemdup(p, start, (apr_size_t)(s - start));
    s++;
    if (*s == '"') {
        /* room for this value, not for the rest of the line: a line may have very many */
        for (len = 1; s[len] && s[len] != '"'; len += s[len] == '\\' && s[len + 1] ? 2 : 1) {}
        out = apr_palloc(p, len + 1);
        *value = out;
        for (s++; *s && *s != '"'; s++) {
            /* Browsers percent-encode quotes; RFC 7578 leaves backslash pairs to RFC 822 quoting. */
            if (*s == '\\' && (s[1] == '"' || s[1] == '\\')) s++;
            *out++ = *s;
        }
        if (*s != '"') return -1;
        *out = '\0';
        s++;
    } else {
        for (start = s; is_token(*s); s++) {}
        if (s == start) return -1;
        *value = apr_pstrmemdup(p, start, (apr_size_t)(s - start));
    }
    *at = s;
    return 1;
}

static const char *boundary_of(const char *content_type, apr_pool_t *p)
{
    const char *at, *name, *value, *boundary = NULL;
    apr_size_t len;
    int rc;

    if (!content_type || strncasecmp(content_type, "multipart/form-data", 19) != 0) return NULL;
    at = content_type + 19;
    while ((rc = next_param(&at, &name, &value, p)) > 0) {
        if (strcasecmp(name, "boundary") == 0) {
            if (boundary) return NULL;
            boundary = value;
        }
    }
    if (rc < 0 || !boundary) return NULL;
    len = strlen(boundary);
    return len == 0 || len > MAX_BOUNDARY || boundary[len - 1] == ' ' ? NULL : boundary;
}

/* Find `needle` in hay[from..]. @return offset or hay.len + 1 */
static apr_size_t find(webhook_slice hay, apr_size_t from, const char *needle, apr_size_t nlen)
{
    while (hay.len >= nlen && from <= hay.len - nlen) {
        const char *hit = memchr(hay.data + from, needle[0], hay.len - nlen - from + 1);
        if (!hit) break;
        from = (apr_size_t)(hit - hay.data);
        if (memcmp(hit, needle, nlen) == 0) return from;
        from++;
    }
    return hay.len + 1;
}

/* Headers of one part from *at to the empty line. @return 0 when broken */
static int part_headers(wh_multipart_part *part, webhook_slice body, apr_size_t *at, apr_pool_t *p)
{
    for (;;) {
        apr_size_t end = find(body, *at, "\r\n", 2);
        const char *line, *colon, *rest, *name, *value;
        int rc;

        if (end > body.len || end - *at > MAX_HEADER_LINE) return 0;
        if (end == *at) {
            *at += 2;
            return part->name != NULL;
        }
        /* no bare CR or LF either, which some readers end a line at */
        if (!wh_fits_header(body.data + *at, end - *at)) return 0;
        line = apr_pstrmemdup(p, body.data + *at, end - *at);
        *at = end + 2;
        colon = strchr(line, ':');
        if (!colon || colon == line || line[0] == ' ' || line[0] == '\t') return 0;
        for (rest = colon + 1; *rest == ' ' || *rest == '\t'; rest++) {}
        if (strncasecmp(line, "Content-Disposition:", 20) == 0) {
            if (part->name || strncasecmp(rest, "form-data", 9) != 0) return 0;
            rest += 9;
            while ((rc = next_param(&rest, &name, &value, p)) > 0) {
                if (strcasecmp(name, "name") == 0) {
                    if (part->name) return 0;
                    part->name = value;
                } else if (strcasecmp(name, "filename") == 0) {
                    if (part->filename) return 0;
                    part->filename = value;
                }
            }
            if (rc < 0 || !part->name) return 0;
        } else if (strncasecmp(line, "Content-Type:", 13) == 0) {
            if (part->content_type) return 0;
            part->content_type = rest;
        } else if (strncasecmp(line, "Content-Transfer-Encoding:", 26) == 0) {
            if (strcasecmp(rest, "7bit") != 0 && strcasecmp(rest, "8bit") != 0 && strcasecmp(rest, "binary") != 0) return 0;
        }
    }
}

apr_status_t wh_multipart_parse(apr_array_header_t **parts, const char *content_type, webhook_slice body, apr_pool_t *p)
{
    const char *boundary = boundary_of(content_type, p);
    const char *delimiter;
    apr_size_t dlen, at, end;

    if (!boundary) return APR_EINVAL;
    *parts = apr_array_make(p, 4, sizeof(wh_multipart_part));
    delimiter = apr_pstrcat(p, "\r\n--", boundary, NULL);
    dlen = strlen(delimiter);

    /* The first delimiter may stand at the very beginning, without its CRLF. */
    if (body.len >= dlen - 2 && memcmp(body.data, delimiter + 2, dlen - 2) == 0) {
        at = dlen - 2;
    } else {
        at = find(body, 0, delimiter, dlen);
        if (at > body.len) return APR_EINVAL;
        at += dlen;
    }
    for (;;) {
        wh_multipart_part *part;

        if (body.len - at >= 2 && memcmp(body.data + at, "--", 2) == 0) return APR_SUCCESS;
        while (at < body.len && (body.data[at] == ' ' || body.data[at] == '\t')) at++; /* transport padding */
        if (body.len - at < 2 || memcmp(body.data + at, "\r\n", 2) != 0) return APR_EINVAL;
        at += 2;
        if ((*parts)->nelts == WH_MULTIPART_MAX_PARTS) return APR_ENOSPC;
        part = apr_array_push(*parts);
        memset(part, 0, sizeof(*part));
        if (!part_headers(part, body, &at, p)) return APR_EINVAL;
        /* at >= 2 here: an empty part's delimiter shares the CRLF that ended the headers. */
        end = find(body, at - 2, delimiter, dlen);
        if (end > body.len) return APR_EINVAL;
        part->data.data = body.data + at;
        part->data.len = end >= at ? end - at : 0;
        at = end + dlen;
    }
}

int wh_multipart_get(const apr_array_header_t *parts, const char *name, webhook_slice *value)
{
    int i, n = 0;

    for (i = 0; i < parts->nelts; i++) {
        const wh_multipart_part *part = &APR_ARRAY_IDX(parts, i, wh_multipart_part);
        if (strcmp(part->name, name) == 0 && n++ == 0) *value = part->data;
    }
    return n;
}
