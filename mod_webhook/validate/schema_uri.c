/* SPDX-License-Identifier: Apache-2.0 */
/* schema_uri.c: see schema_uri.h. */
#include "validate/schema_uri.h"

#include <string.h>
#include <apr_strings.h>

#include "core/encoding.h"

/* The parts of a URI reference (RFC 3986, appendix B); data NULL: not there. */
typedef struct uri_parts {
    webhook_slice scheme, authority, path, query;
} uri_parts;

static const char *find(const char *s, const char *end, const char *any)
{
    while (s < end && !(*s && strchr(any, *s))) s++;
    return s;
}

static int is_scheme(const char *s, const char *end)
{
    if (s == end || !((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z')) return 0;
    for (; s < end; s++) {
        if (!(((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z') || (*s >= '0' && *s <= '9') || *s == '+' || *s == '-' || *s == '.')) return 0;
    }
    return 1;
}

static uri_parts split(const char *s, const char *end)
{
    uri_parts u = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    const char *stop = find(s, end, ":/?");

    if (stop < end && *stop == ':' && is_scheme(s, stop)) {
        u.scheme = (webhook_slice){s, (apr_size_t)(stop - s)};
        s = stop + 1;
    }
    if (end - s >= 2 && s[0] == '/' && s[1] == '/') {
        stop = find(s + 2, end, "/?");
        u.authority = (webhook_slice){s + 2, (apr_size_t)(stop - s - 2)};
        s = stop;
    }
    stop = find(s, end, "?");
    u.path = (webhook_slice){s, (apr_size_t)(stop - s)};
    if (stop < end) u.query = (webhook_slice){stop + 1, (apr_size_t)(end - stop - 1)};
    return u;
}

/* RFC 3986, 5.2.4, in place. @return the new length */
static apr_size_t remove_dots(char *path, apr_size_t len)
{
    apr_size_t in = 0, out = 0;

    while (in < len) {
        const char *rest = path + in;
        apr_size_t left = len - in, segment;

        if (left >= 3 && memcmp(rest, "../", 3) == 0) {
            in += 3;
        } else if (left >= 2 && memcmp(rest, "./", 2) == 0) {
            in += 2;
        } else if (left >= 3 && memcmp(rest, "/./", 3) == 0) {
            in += 2;
        } else if (left == 2 && memcmp(rest, "/.", 2) == 0) {
            path[++in] = '/';
        } else if ((left >= 4 && memcmp(rest, "/../", 4) == 0) || (left == 3 && memcmp(rest, "/..", 3) == 0)) {
            while (out && path[--out] != '/') ;
            in += left == 3 ? 2 : 3;
            path[in] = '/';
        } else if ((left == 1 && *rest == '.') || (left == 2 && memcmp(rest, "..", 2) == 0)) {
            in = len;
        } else {
            for (segment = 1; segment < left && rest[segment] != '/'; segment++) ;
            memmove(path + out, rest, segment);
            out += segment;
            in += segment;
        }
    }
    return out;
}

static char *put(char *out, const char *before, webhook_slice part, const char *after)
{
    if (!part.data) return out;
    while (*before) *out++ = *before++;
    memcpy(out, part.data, part.len);
    out += part.len;
    while (*after) *out++ = *after++;
    return out;
}

const char *wh_uri_resolve(const char *base, webhook_slice ref, webhook_slice *fragment, apr_pool_t *p)
{
    const char *end = ref.data + ref.len, *hash = ref.len ? memchr(ref.data, '#', ref.len) : NULL;
    uri_parts b = split(base, base + strlen(base)), r, t;
    char *merged, *out, *text;

    *fragment = (webhook_slice){"", 0};
    if (hash) {
        *fragment = wh_uri_decode(hash + 1, (apr_size_t)(end - hash - 1), p);
        end = hash;
    }
    if (end == ref.data) return base;
    r = split(ref.data, end);
    t = r;
    merged = apr_palloc(p, b.path.len + r.path.len + 2);
    if (r.scheme.data || r.authority.data) {
        if (!r.scheme.data) t.scheme = b.scheme;
        memcpy(merged, r.path.data, r.path.len);
        t.path = (webhook_slice){merged, remove_dots(merged, r.path.len)};
    } else {
        t.scheme = b.scheme;
        t.authority = b.authority;
        if (r.path.len == 0) {
            t.path = b.path;
            if (!r.query.data) t.query = b.query;
        } else {
            apr_size_t keep = 0;
            if (r.path.data[0] != '/') {
                keep = b.path.len;
                while (keep && b.path.data[keep - 1] != '/') keep--;
                memcpy(merged, b.path.data, keep);
                if (keep == 0 && b.authority.data) merged[keep++] = '/';
            }
            memcpy(merged + keep, r.path.data, r.path.len);
            t.path = (webhook_slice){merged, remove_dots(merged, keep + r.path.len)};
        }
    }
    text = out = apr_palloc(p, t.scheme.len + t.authority.len + t.path.len + t.query.len + 6);
    out = put(out, "", t.scheme, ":");
    out = put(out, "//", t.authority, "");
    out = put(out, "", t.path, "");
    out = put(out, "?", t.query, "");
    *out = '\0';
    return text;
}

webhook_slice wh_uri_decode(const char *text, apr_size_t len, apr_pool_t *p)
{
    char *out = apr_palloc(p, len + 1);
    apr_size_t i, n = 0;

    for (i = 0; i < len; i++) {
        char ch = text[i];
        if (ch == '%') {
            if (len - i < 3 || wh_hex_digit(text[i + 1]) < 0 || wh_hex_digit(text[i + 2]) < 0) return (webhook_slice){NULL, 0};
            ch = (char)(wh_hex_digit(text[i + 1]) * 16 + wh_hex_digit(text[i + 2]));
            i += 2;
        }
        out[n++] = ch;
    }
    out[n] = '\0';
    return (webhook_slice){out, n};
}

const char *wh_uri_of_file(const char *path, apr_pool_t *p)
{
    static const char digits[] = "0123456789ABCDEF";
    char *uri = apr_palloc(p, 3 * strlen(path) + sizeof("file://")), *out = uri;

    memcpy(out, "file://", 7);
    for (out += 7; *path; path++) {
        unsigned char ch = (unsigned char)*path;
        if (ch > 0x20 && ch < 0x7f && !strchr("%#?\"<>\\^`{|}", ch)) {
            *out++ = (char)ch;
        } else {
            *out++ = '%';
            *out++ = digits[ch >> 4];
            *out++ = digits[ch & 15];
        }
    }
    *out = '\0';
    return uri;
}

const char *wh_uri_to_path(const char *directory, const char *rest, apr_pool_t *p)
{
    const char *path = directory;

    if (strchr(rest, '?')) return NULL;
    while (*rest) {
        apr_size_t len = strcspn(rest, "/");
        webhook_slice name = wh_uri_decode(rest, len, p);
        if (!name.data || memchr(name.data, '\0', name.len) || memchr(name.data, '/', name.len)) return NULL;
        if (strcmp(name.data, "..") == 0 || strcmp(name.data, ".") == 0) return NULL;
        if (name.len) path = apr_pstrcat(p, path, "/", name.data, NULL);
        rest += len;
        if (*rest) rest++;
    }
    return path;
}
