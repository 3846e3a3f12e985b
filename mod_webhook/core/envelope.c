/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.c: writes a delivery as one JSON line, finds its body, and walks its header lines.
 */
#include "core/envelope.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/encoding.h"

/* what the members other than headers and body take, as a first guess */
#define FIXED_ROOM 768

static void put_base64(wh_buf *b, webhook_slice body)
{
    char text[4096 + 1];
    const apr_size_t step = 3072; /* a multiple of 3, so that only the last piece is padded */

    wh_buf_add(b, "\"", 1);
    for (apr_size_t i = 0; i < body.len; i += step) {
        apr_size_t len = body.len - i < step ? body.len - i : step;
        wh_buf_add(b, text, wh_encode_to(text, WH_ENC_BASE64, (const unsigned char *)body.data + i, len));
    }
    wh_buf_add(b, "\"", 1);
}

void wh_json_put_body(wh_buf *b, webhook_slice body)
{
    int is_text = !memchr(body.data, '\0', body.len) && wh_utf8_valid(body.data, body.len);

    wh_json_put_name(b, is_text ? "body" : "body_base64");
    if (is_text) {
        /* a JSON payload grows by about an eighth: its quotes */
        wh_buf_reserve(b, body.len + body.len / 8);
        wh_json_put_string(b, body.data, body.len);
    }
    else {
        wh_buf_reserve(b, wh_encoded_len(WH_ENC_BASE64, body.len) + 256);
        put_base64(b, body);
    }
}

void wh_envelope_write(wh_buf *b, const webhook_delivery *d, webhook_slice body, const char *handler, int attempt)
{
    webhook_slice name, value;
    apr_size_t at = 0;

    wh_buf_reserve(b, FIXED_ROOM + d->headers.len + d->headers.len / 4 + body.len + body.len / 8);
    wh_buf_adds(b, "{");
    wh_json_put_member_int(b, "webhook", WH_ENVELOPE_VERSION);
    wh_json_put_member(b, "id", d->id);
    wh_json_put_member(b, "endpoint", d->endpoint);
    wh_json_put_member(b, "scheme", d->scheme);
    wh_json_put_member_bool(b, "verified", d->verified);
    wh_json_put_member(b, "key_id", d->key_id);
    wh_json_put_member(b, "event", d->event);
    wh_json_put_member(b, "sender_id", d->sender_id);
    wh_json_put_member_time(b, "received", d->received);
    wh_json_put_member(b, "remote_addr", d->remote_addr);
    wh_json_put_member(b, "method", d->method);
    wh_json_put_member(b, "uri", d->uri);
    wh_json_put_member(b, "content_type", d->content_type);
    wh_json_put_name(b, "headers");
    wh_buf_adds(b, "[");
    while (wh_headers_next(d->headers, &at, &name, &value)) {
        wh_buf_adds(b, b->data[b->len - 1] == '[' ? "[" : ",[");
        wh_json_put_string(b, name.data, name.len);
        wh_buf_adds(b, ",");
        wh_json_put_string(b, value.data, value.len);
        wh_buf_adds(b, "]");
    }
    wh_buf_adds(b, "]");
    wh_json_put_member(b, "body_sha256", d->body_sha256);
    wh_json_put_member_int(b, "body_length", d->body_len);
    if (body.data)
        wh_json_put_body(b, body);
    if (handler) {
        wh_json_put_member(b, "handler", handler);
        wh_json_put_member_int(b, "attempt", attempt);
    }
    wh_buf_adds(b, "}");
}

typedef struct mapping {
    void *at;
    size_t len;
} mapping;

static apr_status_t unmap(void *data)
{
    const mapping *m = data;

    return munmap(m->at, m->len) ? errno : APR_SUCCESS;
}

static apr_status_t map_body(const char *path, apr_off_t len, webhook_slice *body, apr_pool_t *p)
{
    apr_status_t rv = APR_SUCCESS;
    struct stat st;
    mapping *m;
    void *at;
    int fd;

    /* not blocking: what stands there may not be the file that was written */
    do {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return errno;
    if (fstat(fd, &st))
        rv = errno;
    else if (!S_ISREG(st.st_mode) || st.st_size != len)
        rv = APR_EINVAL;
    if (rv != APR_SUCCESS || !len) {
        close(fd);
        return rv;
    }
    at = mmap(NULL, (size_t)len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        rv = errno;
    close(fd);
    if (rv != APR_SUCCESS)
        return rv;
    m = apr_palloc(p, sizeof(*m));
    m->at = at;
    m->len = (size_t)len;
    apr_pool_cleanup_register(p, m, unmap, apr_pool_cleanup_null);
    body->data = at;
    body->len = (apr_size_t)len;
    return APR_SUCCESS;
}

apr_status_t wh_delivery_body(const webhook_delivery *d, webhook_slice *body, apr_pool_t *p)
{
    body->data = "";
    body->len = 0;
    if (d->body_len < 0)
        return APR_EINVAL;
    if (d->body_file)
        return map_body(d->body_file, d->body_len, body, p);
    if ((apr_off_t)d->body.len != d->body_len || (d->body_len && !d->body.data))
        return APR_EINVAL;
    if (d->body_len)
        *body = d->body;
    return APR_SUCCESS;
}

int wh_headers_next(webhook_slice lines, apr_size_t *at, webhook_slice *name, webhook_slice *value)
{
    while (*at < lines.len) {
        const char *line = lines.data + *at;
        const char *end = memchr(line, '\n', lines.len - *at);
        const char *colon;

        *at = end ? (apr_size_t)(end - lines.data) + 1 : lines.len;
        if (!end)
            end = lines.data + lines.len;
        if (end > line && end[-1] == '\r')
            end--;
        colon = memchr(line, ':', (apr_size_t)(end - line));
        /* the front server has refused or unfolded anything else; what is no header line is no header */
        if (!colon || colon == line || *line == ' ' || *line == '\t')
            continue;
        name->data = line;
        name->len = (apr_size_t)(colon - line);
        for (colon++; colon < end && (*colon == ' ' || *colon == '\t'); colon++)
            ;
        while (end > colon && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        value->data = colon;
        value->len = (apr_size_t)(end - colon);
        return 1;
    }
    return 0;
}

const char *wh_headers_get(webhook_slice lines, const char *name, apr_pool_t *p)
{
    apr_size_t at = 0, len = strlen(name);
    webhook_slice n, v;

    while (wh_headers_next(lines, &at, &n, &v)) {
        if (n.len == len && !strncasecmp(n.data, name, len))
            return apr_pstrmemdup(p, v.data, v.len);
    }
    return NULL;
}

static int holds(const char *text, apr_size_t len, const char *word)
{
    apr_size_t n = strlen(word);

    for (apr_size_t i = 0; i + n <= len; i++) {
        if (!strncasecmp(text + i, word, n))
            return 1;
    }
    return 0;
}

int wh_header_is_sensitive(const char *name, apr_size_t len)
{
    static const char *const words[] = {
        "authorization", "cookie", "token", "secret", "signature", "api-key", "api_key", "apikey", "password", "hmac", "credential",
        "jwt", NULL,
    };

    for (int i = 0; words[i]; i++) {
        if (holds(name, len, words[i]))
            return 1;
    }
    /* PAYPAL-TRANSMISSION-SIG */
    return len >= 4 && !strncasecmp(name + len - 4, "-sig", 4);
}

int wh_name_is_credential(const char *const *credentials, const char *name, apr_size_t len)
{
    for (; credentials && *credentials; credentials++) {
        apr_size_t n = strlen(*credentials);

        if (n && (*credentials)[n - 1] == '*') {
            if (len >= n - 1 && !strncasecmp(*credentials, name, n - 1))
                return 1;
        }
        else if (n == len && !strncasecmp(*credentials, name, n)) {
            return 1;
        }
    }
    return 0;
}

/* Some senders put their token in the query. */
static int is_secret_parameter(const char *name, apr_size_t len)
{
    static const char *const names[] = { "key", "sig", "auth", "code", NULL };

    for (int i = 0; names[i]; i++) {
        if (strlen(names[i]) == len && !strncasecmp(names[i], name, len))
            return 1;
    }
    return wh_header_is_sensitive(name, len);
}

const char *wh_uri_masked(const char *uri, const char *const *credentials, apr_pool_t *p)
{
    apr_size_t n = strcspn(uri, "?");
    wh_buf masked;

    wh_buf_init(&masked, p, strlen(uri) + 64);
    wh_buf_add(&masked, uri, n);
    for (uri += n; *uri; uri += n) {
        apr_size_t name;

        wh_buf_add(&masked, uri++, 1); /* ? & or ; */
        n = strcspn(uri, "&;");
        name = strcspn(uri, "=&;");
        if (name < n && (is_secret_parameter(uri, name) || wh_name_is_credential(credentials, uri, name))) {
            wh_buf_add(&masked, uri, name + 1);
            wh_buf_adds(&masked, "***");
        }
        else {
            wh_buf_add(&masked, uri, n);
        }
    }
    return masked.data;
}
