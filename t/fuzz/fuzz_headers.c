/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Received header lines of any bytes: the walk ends, stays inside, and an envelope made of them is one line of valid JSON.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/encoding.h"
#include "core/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    webhook_slice lines = { (const char *)data, size }, name, value, text;
    webhook_delivery d = { 0 };
    const wh_json_value *headers;
    apr_size_t at = 0, before = 0, count = 0;
    wh_json_error err;
    wh_json *doc;
    wh_buf b;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    apr_pool_clear(pool);
    while (wh_headers_next(lines, &at, &name, &value)) {
        const char *end = lines.data + size;
        check(at > before && at <= size);
        check(name.data >= lines.data && name.len && name.data + name.len <= end && !memchr(name.data, ':', name.len));
        check(value.data >= name.data + name.len && value.data + value.len <= end && !memchr(value.data, '\n', value.len));
        check(!value.len || (value.data[0] != ' ' && value.data[value.len - 1] != ' '));
        wh_header_is_sensitive(name.data, name.len);
        if (!memchr(name.data, '\0', name.len))
            check(wh_headers_get(lines, apr_pstrmemdup(pool, name.data, name.len), pool) != NULL);
        before = at;
        count++;
    }

    d.id = d.endpoint = d.scheme = d.remote_addr = d.method = d.uri = "x";
    d.headers = lines;
    d.body_len = (apr_off_t)size;
    wh_buf_init(&b, pool, 0);
    wh_envelope_write(&b, &d, lines, "h", 1);
    check(wh_utf8_valid(b.data, b.len) && !strpbrk(b.data, "\r\n<>&") && strlen(b.data) == b.len);
    text.data = b.data;
    text.len = b.len;
    if (wh_json_parse(&doc, text, NULL, pool, &err) == APR_SUCCESS) {
        headers = wh_json_get(wh_json_root(doc), "headers");
        check(wh_json_size(headers) == count);
    }
    else {
        /* names and values may hold NUL here, which the reader refuses; httpd refuses them before */
        check(!strcmp(err.reason, "nul") && memchr(data, '\0', size));
    }
    return 0;
}
