/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoders and texts with slots, over any bytes: what comes out of an encoder consists of what its place allows, and decodes to what went in; a
 * text with slots that parses is put together again from its pieces; a filled one holds nothing that its place forbids. The input is a
 * template, a zero byte, and a value.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/durable.h"
#include "core/encode_for.h"
#include "core/encoding.h"
#include "core/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static void check(int good)
{
    if (!good)
        abort();
}

/* Takes the escapes of an encoder back. @return the length */
static size_t decoded(char *out, const char *in, char mark)
{
    size_t n = 0;

    while (*in) {
        if (*in == mark && mark == '_' && in[1] == '_') {
            out[n++] = '_';
            in += 2;
        }
        else if (*in == mark) {
            char hex[3] = { in[1], in[1] ? in[2] : 0, 0 };

            check(strlen(hex) == 2 && strspn(hex, "0123456789ABCDEF") == 2);
            out[n++] = (char)strtol(hex, NULL, 16);
            in += 3;
        }
        else {
            out[n++] = *in++;
        }
    }
    return n;
}

static void check_encoders(const char *in, size_t len, apr_pool_t *p)
{
    const char *url = wh_encode_for_url(in, len, p), *name = wh_encode_for_name(in, len, p), *text = wh_encode_for_text(in, len, p);
    const char *ce = wh_encode_for_ce_header(in, len, p), *json = wh_encode_for_json(in, len, p);
    char *back = apr_palloc(p, strlen(url) + strlen(name) + strlen(ce) + 3);
    webhook_slice source = { json, strlen(json) };
    wh_json_error err;
    wh_json *doc;

    check(strspn(url, PLAIN "-._~%") == strlen(url));
    check(decoded(back, url, '%') == len && !memcmp(back, in, len));
    check(strspn(name, PLAIN "-._") == strlen(name) && strlen(name) <= WH_NAME_PART_MAX && *name && *name != '.');
    check(wh_name_is_safe(name));
    if (len && !strstr(name, "_."))
        check(decoded(back, name, '_') == len && !memcmp(back, in, len));
    check(!strpbrk(text, "<>") && (!memchr(in, 0, len) || strlen(text) < len * 5 + 1));
    check(wh_fits_header(ce, strlen(ce)) && !strpbrk(ce, " \"") && decoded(back, ce, '%') >= len);
    check(wh_utf8_valid(back, decoded(back, ce, '%')));
    check(wh_json_parse(&doc, source, &wh_json_plain, p, &err) == APR_SUCCESS && wh_json_typeof(wh_json_root(doc)) == WH_JSON_STRING);
    if (wh_utf8_valid(in, len)) {
        webhook_slice s = wh_json_string(wh_json_root(doc));

        check(s.len == len && !memcmp(s.data, in, len));
    }
    if (wh_fits_path(in, len))
        check(!memchr(in, '#', len) && !memchr(in, ' ', len) && !memchr(in, '\n', len));
    /* alone between slashes only the dots themselves lead elsewhere */
    check(wh_fits_path(url, strlen(url)) || strchr(url, '.'));
}

static void check_place(const char *text, const char *value, webhook_place place, apr_pool_t *p)
{
    apr_array_header_t *slots = apr_array_make(p, 4, sizeof(webhook_slot));
    const wh_json *shape;
    webhook_slice frozen;
    wh_slotted *s;
    const char *why;
    wh_buf b, out;
    wh_filled how;

    if (wh_slotted_parse(&s, text, place, slots, p))
        return;
    check(wh_slotted_any(s) == (slots->nelts > 0));
    check(!strncmp(text, wh_slotted_prefix(s), strlen(wh_slotted_prefix(s))));
    wh_buf_init(&b, p, 64);
    wh_buf_init(&out, p, 64);
    wh_buf_adds(&b, "{");
    for (int i = 0; i < slots->nelts; i++) {
        const char *slot = APR_ARRAY_IDX(slots, i, webhook_slot).text;
        webhook_slice name, argument;

        check(strstr(text, slot) != NULL && wh_slot_split(slot, strlen(slot), &name, &argument) && wh_slot_len(slot, strlen(slot)) == strlen(slot));
        wh_slot_is_sensitive(slot, NULL);
        wh_shape_put(&b, slot, value, NULL);
    }
    wh_buf_adds(&b, "}");
    frozen.data = b.data;
    frozen.len = b.len;
    shape = wh_shape_open(frozen, p);
    check(shape != NULL);
    how = wh_slotted_fill(&out, s, shape, &why);
    check(how == WH_FILLED || how == WH_FILLED_BAD);
    if (how == WH_FILLED) {
        check(!strcmp(out.data, wh_slotted_with(s, value, p)));
        if (place == WEBHOOK_PLACE_HEADER && slots->nelts)
            check(wh_fits_header(value, strlen(value)));
        if (place == WEBHOOK_PLACE_NAME && slots->nelts)
            check(!strpbrk(value, "/%"));
    }
    else {
        check(why != NULL);
    }
    if (slots->nelts)
        check(wh_slotted_fill(&out, s, NULL, &why) == WH_FILLED_MISSING);
    /* whatever stands in the store, it fills or it fails */
    frozen.data = value;
    frozen.len = strlen(value);
    wh_slotted_fill(&out, s, wh_shape_open(frozen, p), &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    const char *text, *value;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    check_encoders((const char *)data, size, pool);
    text = apr_pstrmemdup(pool, (const char *)data, size);
    value = strlen(text) < size ? text + strlen(text) + 1 : "";
    /* one place an input, chosen by its length: all would cost seven times as much */
    check_place(text, value, (webhook_place)(WEBHOOK_PLACE_URL + size % WEBHOOK_PLACE_ARGUMENT), pool);
    apr_pool_clear(pool);
    return 0;
}
