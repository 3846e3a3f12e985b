/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CloudEvents in binary mode: fields are header lines "name:value" up to an empty one, the rest is the body. What is taken has the required
 * attributes, in UTF-8 without control characters; encoded again and read again it is the same.
 */
#include "core/encoding.h"
#include "validate/cloudevents.h"
#include "verify_fuzz.h"

static const char *escaped(const char *value, apr_pool_t *p)
{
    char *out = apr_palloc(p, 3 * strlen(value) + 1), *w = out;

    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        /* HTTP Protocol Binding, section 3.1.3.2 */
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '%') {
            *w++ = '%';
            *w++ = "0123456789ABCDEF"[c >> 4];
            *w++ = "0123456789ABCDEF"[c & 15];
        } else {
            *w++ = (char)c;
        }
    }
    *w = '\0';
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_table_t *headers, *again;
    wh_cloudevent *ce = NULL, *other = NULL;
    webhook_slice body;
    const char *line, *err, *type;
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, fuzz_pool());
    headers = apr_table_make(p, 8);
    again = apr_table_make(p, 8);
    while (size && *(line = fuzz_field(&data, &size, p))) {
        const char *colon = strchr(line, ':');
        if (colon) apr_table_addn(headers, apr_pstrmemdup(p, line, (apr_size_t)(colon - line)), colon + 1);
    }
    type = apr_table_get(headers, "Content-Type");
    body.data = (const char *)data;
    body.len = size;
    (void)wh_cloudevent_is_binary(headers, type);
    err = wh_cloudevent_binary(&ce, headers, type, body, NULL, p);
    if (err) {
        check(!ce);
    } else {
        check(*ce->id && *ce->source && *ce->type && ce->data.len == size);
        for (i = 0; i < ce->attributes->nelts; i++) {
            const wh_ce_attribute *a = &APR_ARRAY_IDX(ce->attributes, i, wh_ce_attribute);
            const char *c;

            check(wh_utf8_valid(a->value, strlen(a->value)));
            for (c = a->value; *c; c++) check((unsigned char)*c >= 0x20 && *c != 0x7f);
            if (strcmp(a->name, "datacontenttype") != 0) apr_table_addn(again, apr_pstrcat(p, "ce-", a->name, NULL), escaped(a->value, p));
        }
        check(!wh_cloudevent_binary(&other, again, type, body, NULL, p) && other->attributes->nelts == ce->attributes->nelts);
        for (i = 0; i < ce->attributes->nelts; i++) {
            const wh_ce_attribute *a = &APR_ARRAY_IDX(ce->attributes, i, wh_ce_attribute);
            check(strcmp(wh_cloudevent_get(other, a->name), a->value) == 0);
        }
    }
    apr_pool_destroy(p);
    return 0;
}
