/* SPDX-License-Identifier: Apache-2.0 */
/* form.c: see form.h. */
#include "core/form.h"

#include <string.h>

#include "core/encoding.h"

/* Decode text[from, to) to `out`, which has room for as many bytes. @return length, or -1 for a broken escape */
static apr_ssize_t decode(char *out, const char *text, apr_size_t from, apr_size_t to)
{
    apr_size_t i, n = 0;

    for (i = from; i < to; i++) {
        char ch = text[i];
        if (ch == '+') {
            ch = ' ';
        } else if (ch == '%') {
            int hi, lo;
            if (to - i < 3 || (hi = wh_hex_digit(text[i + 1])) < 0 || (lo = wh_hex_digit(text[i + 2])) < 0) return -1;
            ch = (char)(hi * 16 + lo);
            i += 2;
        }
        out[n++] = ch;
    }
    return (apr_ssize_t)n;
}

apr_status_t wh_form_parse(wh_form *out, webhook_slice text, apr_pool_t *p)
{
    apr_size_t i, start, pairs = 0, used = 0;
    wh_form_pair *list;
    char *room;
    int n = 0;

    out->count = 0;
    out->pairs = NULL;
    if (text.len == 0) return APR_SUCCESS;
    /* Counting first keeps memory in proportion to the text whatever it looks like. */
    for (i = 0, start = 0; i <= text.len; i++) {
        if (i == text.len || text.data[i] == '&') {
            if (i > start && ++pairs > WH_FORM_MAX_PAIRS) return APR_ENOSPC;
            start = i + 1;
        }
    }
    if (pairs == 0) return APR_SUCCESS;
    list = apr_palloc(p, pairs * sizeof(*list));
    room = apr_palloc(p, text.len + 1);

    for (i = 0, start = 0; i <= text.len; i++) {
        const char *eq;
        apr_size_t mid;
        apr_ssize_t len;

        if (i != text.len && text.data[i] != '&') continue;
        if (i > start) {
            eq = memchr(text.data + start, '=', i - start);
            mid = eq ? (apr_size_t)(eq - text.data) : i;
            if ((len = decode(room + used, text.data, start, mid)) < 0) return APR_EINVAL;
            list[n].name.data = room + used;
            list[n].name.len = (apr_size_t)len;
            used += (apr_size_t)len;
            if ((len = eq ? decode(room + used, text.data, mid + 1, i) : 0) < 0) return APR_EINVAL;
            list[n].value.data = room + used;
            list[n].value.len = (apr_size_t)len;
            used += (apr_size_t)len;
            list[n].bare = eq == NULL;
            n++;
        }
        start = i + 1;
    }
    out->count = n;
    out->pairs = list;
    return APR_SUCCESS;
}

int wh_form_get(const wh_form *form, const char *name, webhook_slice *value)
{
    apr_size_t len = strlen(name);
    int i, n = 0;

    for (i = 0; i < form->count; i++) {
        const wh_form_pair *pair = &form->pairs[i];
        if (pair->name.len == len && memcmp(pair->name.data, name, len) == 0) {
            if (n++ == 0) *value = pair->value;
        }
    }
    return n;
}
