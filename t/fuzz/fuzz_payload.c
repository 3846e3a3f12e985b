/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads: the first byte says how the body is read, the first field is the media type, the second the name of the JSON's field, the rest
 * the body. A broken payload has a refusal and nothing else; of a good one every field is had by its name and lies where it should.
 */
#include "core/encoding.h"
#include "validate/media.h"
#include "validate/payload.h"
#include "verify_fuzz.h"

static void check_event(const wh_cloudevent *ce)
{
    static const char *const required[] = { "specversion", "id", "source", "type" };
    int i;

    for (i = 0; i < 4; i++) {
        const char *value = wh_cloudevent_get(ce, required[i]);
        check(value && *value);
    }
    for (i = 0; i < ce->attributes->nelts; i++) {
        const wh_ce_attribute *a = &APR_ARRAY_IDX(ce->attributes, i, wh_ce_attribute);
        const char *c;

        check(wh_utf8_valid(a->value, strlen(a->value)) && *a->name);
        for (c = a->name; *c; c++) check((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9'));
        for (c = a->value; *c; c++) check((unsigned char)*c >= 0x20 && *c != 0x7f);
        check(wh_cloudevent_get(ce, a->name) == a->value);
    }
}

static void check_form(const wh_payload *out, apr_pool_t *p)
{
    int i;

    for (i = 0; i < out->form->count; i++) {
        const wh_form_pair *pair = &out->form->pairs[i];
        const char *name, *value;

        if (pair->name.len == 0 || memchr(pair->name.data, '\0', pair->name.len)) continue;
        if (pair->name.len >= 2 && memcmp(pair->name.data + pair->name.len - 2, "[]", 2) == 0) continue;
        name = apr_pstrmemdup(p, pair->name.data, pair->name.len);
        value = wh_payload_field(out, name, p);
        if (pair->value.len && memchr(pair->value.data, '\0', pair->value.len)) check(!value);
        else check(value && strlen(value) == pair->value.len && memcmp(value, pair->value.len ? pair->value.data : "", pair->value.len) == 0);
    }
}

static void check_parts(const wh_payload *out, apr_pool_t *p)
{
    int i;

    for (i = 0; i < out->parts->nelts; i++) {
        const wh_multipart_part *part = &APR_ARRAY_IDX(out->parts, i, wh_multipart_part);
        const char *value = wh_payload_field(out, part->name, p), *size = wh_payload_field(out, apr_pstrcat(p, part->name, "#size", NULL), p);

        check(part->data.data >= out->content.data && part->data.data + part->data.len <= out->content.data + out->content.len);
        check(!value || strlen(value) <= out->content.len);
        check(!size || *size);
        (void)wh_payload_field(out, apr_pstrcat(p, part->name, "#sha256", NULL), p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const words[] = { "*", NULL };
    wh_payload_source in;
    wh_payload out;
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, fuzz_pool());
    memset(&in, 0, sizeof(in));
    if (size) {
        in.kind = (wh_payload_kind)(*data & 3);
        i = *data >> 2 & 1;
        data++;
        size--;
        in.content_type = fuzz_field(&data, &size, p);
        in.field = fuzz_field(&data, &size, p);
        if (i) wh_media_find(words, in.content_type, &in.kind);
        (void)wh_media_check(in.content_type, p);
        (void)wh_media_is_utf8(in.content_type);
    }
    in.content.data = (const char *)data;
    in.content.len = size;
    wh_payload_read(&out, &in, p);
    check(out.content.len == size && out.kind == in.kind);
    if (out.broken) {
        check(out.refusal < WH_REFUSAL_COUNT && wh_refusal_table[out.refusal].status >= 400 && out.detail);
        check(!out.json && !out.form && !out.parts && !out.ce && !out.events);
    } else {
        check(!out.form || out.kind == WH_PAYLOAD_FORM);
        check(!out.parts || out.kind == WH_PAYLOAD_MULTIPART);
        check(!out.ce || out.events);
        if (out.form) check_form(&out, p);
        if (out.parts) check_parts(&out, p);
        for (i = 0; out.events && i < out.events->nelts; i++) check_event(APR_ARRAY_IDX(out.events, i, wh_cloudevent *));
        if (out.json) (void)wh_json_source(out.json, wh_json_root(out.json));
    }
    apr_pool_destroy(p);
    return 0;
}
