/* SPDX-License-Identifier: Apache-2.0 */
/* payload.c: see payload.h. */
#include "validate/payload.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <string.h>

#include "core/encoding.h"
#include "validate/media.h"

static void refuse(wh_payload *out, wh_refusal refusal, const char *detail)
{
    out->broken = 1;
    out->refusal = refusal;
    out->detail = detail;
    out->json = NULL;
    out->form = NULL;
    out->parts = NULL;
    out->ce = NULL;
    out->events = NULL;
}

static const wh_json *read_json(wh_payload *out, webhook_slice text, wh_json_once *once, const char *where, apr_pool_t *p)
{
    wh_json_once own = { 0 };
    const wh_json *doc;

    if (!once) once = &own;
    if ((doc = wh_json_get_once(once, text, p)) != NULL) return doc;
    refuse(out, wh_refusal_of_json(once->error.reason), apr_psprintf(p, "%s at byte %" APR_SIZE_T_FMT "%s", once->error.reason, once->error.offset, where));
    return NULL;
}

static int is_list_name(const char *name, apr_size_t len)
{
    return len >= 2 && memcmp(name + len - 2, "[]", 2) == 0;
}

static void read_form(wh_payload *out, const wh_payload_source *in, apr_pool_t *p)
{
    wh_form *form = apr_pcalloc(p, sizeof(*form));
    apr_status_t rv = wh_form_parse(form, in->content, p);
    apr_hash_t *names;
    int i;

    if (rv != APR_SUCCESS) {
        refuse(out, WH_REFUSAL_FORM_INVALID,
               rv == APR_ENOSPC ? "the form has more than " APR_STRINGIFY(WH_FORM_MAX_PAIRS) " fields" : "a % in the form without two hexadecimal digits");
        return;
    }
    names = apr_hash_make_custom(p, wh_json_hash_key);
    for (i = 0; i < form->count; i++) {
        const wh_form_pair *pair = &form->pairs[i];

        /* apr_hash takes a length of APR_HASH_KEY_STRING (-1) for something else; ours fit */
        if (pair->name.len == 0 || is_list_name(pair->name.data, pair->name.len)) continue;
        if (apr_hash_get(names, pair->name.data, (apr_ssize_t)pair->name.len)) {
            refuse(out, WH_REFUSAL_FORM_DUPLICATE, "a field occurs twice");
            return;
        }
        apr_hash_set(names, pair->name.data, (apr_ssize_t)pair->name.len, pair);
    }
    out->form = form;
}

static void read_parts(wh_payload *out, const wh_payload_source *in, apr_pool_t *p)
{
    apr_array_header_t *parts;
    apr_status_t rv = wh_multipart_parse(&parts, in->content_type, in->content, p);
    apr_hash_t *names;
    int i;

    if (rv != APR_SUCCESS) {
        refuse(out, WH_REFUSAL_MULTIPART_INVALID, rv == APR_ENOSPC ? "there are more than " APR_STRINGIFY(WH_MULTIPART_MAX_PARTS) " parts"
                                                                    : "a boundary, a part's header or the closing delimiter is not as it must be");
        return;
    }
    names = apr_hash_make_custom(p, wh_json_hash_key);
    for (i = 0; i < parts->nelts; i++) {
        const wh_multipart_part *part = &APR_ARRAY_IDX(parts, i, wh_multipart_part), *other;

        if (is_list_name(part->name, strlen(part->name))) continue;
        other = apr_hash_get(names, part->name, APR_HASH_KEY_STRING);
        if (other && (!other->filename || !part->filename)) {
            refuse(out, WH_REFUSAL_FORM_DUPLICATE, "a field occurs twice");
            return;
        }
        apr_hash_set(names, part->name, APR_HASH_KEY_STRING, part);
    }
    out->parts = parts;
}

/* The JSON that some senders put into a field of a form. That it is not there is no mistake: other requests of theirs have none. */
static void read_field(wh_payload *out, const char *field, apr_pool_t *p)
{
    webhook_slice text;
    int n = 0;

    if (!field || !*field) return;
    if (out->form) n = wh_form_get(out->form, field, &text);
    if (out->parts) n = wh_multipart_get(out->parts, field, &text);
    if (n != 1 || text.len == 0) return;
    out->json = read_json(out, text, NULL, " of its field", p);
}

static void read_event(wh_payload *out, const wh_payload_source *in, apr_pool_t *p)
{
    apr_array_header_t *events = apr_array_make(p, 1, sizeof(wh_cloudevent *));
    const char *err = NULL;

    if (out->kind == WH_PAYLOAD_JSON && wh_media_is(in->content_type, WH_CE_TYPE)) {
        if (out->json) err = wh_cloudevent_structured(events, out->json, p);
    } else if (out->kind == WH_PAYLOAD_JSON && wh_media_is(in->content_type, WH_CE_BATCH_TYPE)) {
        if (out->json) err = wh_cloudevent_batch(events, out->json, p);
    } else if (in->headers && wh_cloudevent_is_binary(in->headers, in->content_type)) {
        wh_cloudevent *ce;

        err = wh_cloudevent_binary(&ce, in->headers, in->content_type, in->content, out->json, p);
        if (!err) APR_ARRAY_PUSH(events, wh_cloudevent *) = ce;
    } else {
        return;
    }
    if (err) {
        refuse(out, WH_REFUSAL_CLOUDEVENT_INVALID, err);
        return;
    }
    out->events = events;
    if (events->nelts == 0) return;
    out->ce = APR_ARRAY_IDX(events, 0, wh_cloudevent *);
    if (!wh_media_is(in->content_type, WH_CE_BATCH_TYPE)) out->json = out->ce->json;
}

void wh_payload_read(wh_payload *out, const wh_payload_source *in, apr_pool_t *p)
{
    memset(out, 0, sizeof(*out));
    out->kind = in->kind;
    out->content = in->content;
    if (in->content.len > 0) {
        switch (in->kind) {
        case WH_PAYLOAD_JSON:
            out->json = read_json(out, in->content, in->parsed, "", p);
            break;
        case WH_PAYLOAD_FORM:
            read_form(out, in, p);
            break;
        case WH_PAYLOAD_MULTIPART:
            read_parts(out, in, p);
            break;
        case WH_PAYLOAD_OPAQUE:
        default:
            break;
        }
        if (!out->broken) read_field(out, in->field, p);
    }
    if (!out->broken) read_event(out, in, p);
}

/* ---- fields ---- */

static const char *text_of(webhook_slice value, apr_pool_t *p)
{
    return value.len && memchr(value.data, '\0', value.len) ? NULL : apr_pstrmemdup(p, value.data ? value.data : "", value.len);
}

/* The only part of this name; NULL if there is none or more than one. */
static const wh_multipart_part *only_part(const apr_array_header_t *parts, const char *name, apr_size_t len)
{
    const wh_multipart_part *found = NULL;
    int i;

    for (i = 0; i < parts->nelts; i++) {
        const wh_multipart_part *part = &APR_ARRAY_IDX(parts, i, wh_multipart_part);

        if (strlen(part->name) != len || memcmp(part->name, name, len) != 0) continue;
        if (found) return NULL;
        found = part;
    }
    return found;
}

static const char *about_file(const wh_multipart_part *part, const char *what, apr_pool_t *p)
{
    if (strcmp(what, "filename") == 0) return part->filename;
    if (strcmp(what, "type") == 0) return part->content_type ? part->content_type : "";
    if (strcmp(what, "size") == 0) return apr_psprintf(p, "%" APR_SIZE_T_FMT, part->data.len);
    if (strcmp(what, "sha256") == 0) {
        unsigned char digest[32];
        char *hex = apr_palloc(p, 65);

        wh_sha256(digest, part->data.data, part->data.len);
        wh_hex(hex, digest, 32);
        return hex;
    }
    return NULL;
}

const char *wh_payload_field(const wh_payload *payload, const char *name, apr_pool_t *p)
{
    const wh_multipart_part *part;
    webhook_slice value;
    const char *mark;

    if (payload->form) return wh_form_get(payload->form, name, &value) == 1 ? text_of(value, p) : NULL;
    if (!payload->parts) return NULL;
    if ((part = only_part(payload->parts, name, strlen(name))) != NULL) return part->filename ? NULL : text_of(part->data, p);
    if ((mark = strrchr(name, '#')) == NULL) return NULL;
    part = only_part(payload->parts, name, (apr_size_t)(mark - name));
    return part && part->filename ? about_file(part, mark + 1, p) : NULL;
}
