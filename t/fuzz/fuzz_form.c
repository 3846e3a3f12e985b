/* SPDX-License-Identifier: Apache-2.0 */
/* Forms: decoded bytes are never more than the text's, and encoding every pair anew gives the same pairs. */
#include "core/form.h"
#include "verify_fuzz.h"

static void put(wh_buf *b, unsigned char ch, const char *digits)
{
    char esc[3] = { '%', digits[ch >> 4], digits[ch & 15] };

    wh_buf_add(b, esc, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    webhook_slice text = { (const char *)data, size }, again;
    wh_form one, two;
    apr_pool_t *p;
    size_t total = 0;
    wh_buf b;
    int i;

    apr_pool_create(&p, fuzz_pool());
    if (wh_form_parse(&one, text, p) == APR_SUCCESS) {
        wh_buf_init(&b, p, size * 3 + 8);
        for (i = 0; i < one.count; i++) {
            const wh_form_pair *pair = &one.pairs[i];
            apr_size_t k;
            total += pair->name.len + pair->value.len;
            for (k = 0; k < pair->name.len; k++) put(&b, (unsigned char)pair->name.data[k], "0123456789abcdef");
            wh_buf_adds(&b, "=");
            for (k = 0; k < pair->value.len; k++) put(&b, (unsigned char)pair->value.data[k], "0123456789ABCDEF");
            wh_buf_adds(&b, "&");
        }
        check(total <= size && one.count <= WH_FORM_MAX_PAIRS);
        again.data = b.data;
        again.len = b.len;
        check(wh_form_parse(&two, again, p) == APR_SUCCESS && two.count == one.count);
        for (i = 0; i < one.count; i++) {
            check(one.pairs[i].name.len == two.pairs[i].name.len && one.pairs[i].value.len == two.pairs[i].value.len);
            check(!one.pairs[i].name.len || memcmp(one.pairs[i].name.data, two.pairs[i].name.data, one.pairs[i].name.len) == 0);
            check(!one.pairs[i].value.len || memcmp(one.pairs[i].value.data, two.pairs[i].value.data, one.pairs[i].value.len) == 0);
        }
    }
    apr_pool_destroy(p);
    return 0;
}
