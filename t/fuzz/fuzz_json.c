/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON reader over any bytes; JSON Pointer over the same. Strings of any bytes are written as valid JSON, which the reader gives
 * back unchanged where they were UTF-8, and exactly as much of it as a limit allows.
 */
#include <apr_general.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/encoding.h"
#include "core/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good)
        abort();
}

/* the seam offers no walk over names, so objects are checked for their size alone */
static void visit(const wh_json_value *v, apr_pool_t *p)
{
    webhook_slice s = wh_json_string(v);
    const char *number = wh_json_number(v, p);

    switch (wh_json_typeof(v)) {
    case WH_JSON_ARRAY:
        for (apr_size_t i = 0; i < wh_json_size(v); i++) {
            check(wh_json_at(v, i) != NULL);
            visit(wh_json_at(v, i), p);
        }
        check(!wh_json_at(v, wh_json_size(v)));
        break;
    case WH_JSON_STRING:
        check(s.data && !number && wh_utf8_valid(s.data, s.len) && !memchr(s.data, '\0', s.len));
        break;
    case WH_JSON_NUMBER:
        check(number && !s.data && strspn(number, "0123456789+-.eE") == strlen(number) && *number);
        break;
    default:
        check(!s.data && !number);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    webhook_slice text = { (const char *)data, size }, back;
    wh_json *doc, *again;
    wh_json_pointer *ptr;
    wh_json_error err = { NULL, 0 };
    char *copy;
    wh_buf b;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    copy = malloc(size + 1);
    check(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    copy[size] = '\0';
    if (wh_json_pointer_compile(&ptr, copy, pool))
        ptr = NULL;

    if (wh_json_parse(&doc, text, NULL, pool, &err) == APR_SUCCESS) {
        visit(wh_json_root(doc), pool);
        if (ptr)
            wh_json_pointer_get(doc, ptr);
    }
    else {
        check(!doc && err.reason && err.offset <= size);
    }

    wh_buf_init(&b, pool, 0);
    wh_json_put_string(&b, (const char *)data, size);
    back.data = b.data;
    back.len = b.len;
    check(strlen(b.data) >= 2 && wh_utf8_valid(b.data, b.len));
    if (!memchr(copy, '\0', size)) {
        webhook_slice s;
        check(wh_json_parse(&again, back, NULL, pool, &err) == APR_SUCCESS);
        s = wh_json_string(wh_json_root(again));
        if (wh_utf8_valid(copy, size))
            check(s.len == size && !memcmp(s.data, data, size));
    }
    wh_buf_init(&b, pool, 0);
    b.max = 1 + size / 2;
    wh_json_put_string(&b, (const char *)data, size);
    check(b.len <= b.max && b.overflow == (back.len > b.max) && !memcmp(b.data, back.data, b.len) && !b.data[b.len]);
    free(copy);
    apr_pool_clear(pool);
    return 0;
}
