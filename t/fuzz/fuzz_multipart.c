/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart: the first field is the media type, the rest the body. Parts lie inside the body, in order, and hold no delimiter. */
#include "core/multipart.h"
#include "verify_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_array_header_t *parts;
    apr_pool_t *p;
    const char *type;
    webhook_slice body;
    const char *last;
    int i;

    apr_pool_create(&p, fuzz_pool());
    type = fuzz_field(&data, &size, p);
    body.data = (const char *)data;
    body.len = size;
    last = body.data;
    if (wh_multipart_parse(&parts, type, body, p) == APR_SUCCESS) {
        check(parts->nelts <= WH_MULTIPART_MAX_PARTS);
        for (i = 0; i < parts->nelts; i++) {
            const wh_multipart_part *part = &APR_ARRAY_IDX(parts, i, wh_multipart_part);
            check(part->name != NULL);
            check(part->data.data >= last && part->data.data + part->data.len <= body.data + body.len);
            last = part->data.data + part->data.len;
        }
    }
    apr_pool_destroy(p);
    return 0;
}
