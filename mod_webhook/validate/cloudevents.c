/* SPDX-License-Identifier: Apache-2.0 */
/* cloudevents.c: see cloudevents.h. Sections are those of the CloudEvents specification 1.0.2 unless another document is named. */
#include "validate/cloudevents.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "core/encoding.h"
#include "core/units.h"
#include "validate/media.h"

#define PREFIX "ce-"
#define MAX_ATTRIBUTES 128

const char *wh_cloudevent_get(const wh_cloudevent *ce, const char *name)
{
    int i;

    for (i = 0; i < ce->attributes->nelts; i++) {
        const wh_ce_attribute *a = &APR_ARRAY_IDX(ce->attributes, i, wh_ce_attribute);
        if (strcmp(a->name, name) == 0) return a->value;
    }
    return NULL;
}

int wh_cloudevent_is_binary(const apr_table_t *headers, const char *content_type)
{
    return apr_table_get(headers, PREFIX "specversion") != NULL
           && (!content_type || strncasecmp(content_type, "application/cloudevents", 23) != 0);
}

/* ---- attributes ---- */

/* Section "Attribute Naming Convention": lower-case letters and digits. Members named otherwise are no attributes, and not to be had. */
static int is_name(const char *name, apr_size_t len)
{
    apr_size_t i;

    for (i = 0; i < len && (apr_isdigit(name[i]) || (name[i] >= 'a' && name[i] <= 'z')); i++) {}
    return len > 0 && i == len;
}

/* Section "Type System", String: well-formed, and none of the control characters U+0000 to U+001F and U+007F to U+009F. */
static int is_string(const char *text, apr_size_t len)
{
    apr_size_t i;

    if (!wh_utf8_valid(text, len)) return 0;
    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f) return 0;
        if (c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0) return 0;
    }
    return 1;
}

static int has(const wh_cloudevent *ce, const char *name)
{
    return wh_cloudevent_get(ce, name) != NULL;
}

static const char *add(wh_cloudevent *ce, const char *name, const char *value, apr_pool_t *p)
{
    wh_ce_attribute *a;

    if (!is_string(value, strlen(value))) return apr_psprintf(p, "%s is not UTF-8 without control characters", name);
    if (ce->attributes->nelts == MAX_ATTRIBUTES) return "there are more than " APR_STRINGIFY(MAX_ATTRIBUTES) " attributes";
    a = apr_array_push(ce->attributes);
    a->name = name;
    a->value = value;
    return NULL;
}

static const char *required(const wh_cloudevent *ce, const char *name, const char **out, apr_pool_t *p)
{
    *out = wh_cloudevent_get(ce, name);
    if (!*out) return apr_pstrcat(p, "the required attribute ", name, " is missing", NULL);
    return **out ? NULL : apr_pstrcat(p, "the required attribute ", name, " is empty", NULL);
}

/* What must be there, and what optional attributes must be when they are. */
static const char *check(wh_cloudevent *ce, apr_pool_t *p)
{
    static const char *const not_empty[] = { "datacontenttype", "dataschema", "subject", NULL };
    const char *version, *time, *err;
    apr_time_t t;
    int i;

    if ((err = required(ce, "specversion", &version, p)) != NULL) return err;
    if (strcmp(version, "1.0") != 0) return "specversion is not 1.0";
    if ((err = required(ce, "id", &ce->id, p)) != NULL || (err = required(ce, "source", &ce->source, p)) != NULL
        || (err = required(ce, "type", &ce->type, p)) != NULL) {
        return err;
    }
    for (i = 0; not_empty[i]; i++) {
        const char *value = wh_cloudevent_get(ce, not_empty[i]);
        if (value && !*value) return apr_pstrcat(p, not_empty[i], " is empty", NULL);
    }
    time = wh_cloudevent_get(ce, "time");
    if (time && wh_parse_time(time, strlen(time), &t) != APR_SUCCESS) return "time is not RFC 3339";
    return NULL;
}

static wh_cloudevent *make(apr_pool_t *p)
{
    wh_cloudevent *ce = apr_pcalloc(p, sizeof(*ce));

    ce->attributes = apr_array_make(p, 8, sizeof(wh_ce_attribute));
    return ce;
}

/* ---- binary mode ---- */

/*
 * HTTP Protocol Binding, section 3.1.3.2: a double-quoted value is unquoted first, then percent escapes are decoded once. What is no escape
 * is refused: it would be something else to a reader that leaves it alone.
 */
static const char *header_value(const char *value, apr_pool_t *p)
{
    apr_size_t len = strlen(value);
    char *out = apr_palloc(p, len + 1), *w = out;
    const char *s = value, *end = value + len;
    int quoted = len >= 2 && *s == '"' && end[-1] == '"';

    if (quoted) s++, end--;
    while (s < end) {
        char c = *s++;

        if (quoted && c == '\\' && s < end) c = *s++;
        else if (quoted && c == '"') return NULL;
        if (c == '%') {
            if (end - s < 2 || wh_hex_digit(s[0]) < 0 || wh_hex_digit(s[1]) < 0) return NULL;
            c = (char)(wh_hex_digit(s[0]) * 16 + wh_hex_digit(s[1]));
            s += 2;
            if (c == '\0') return NULL;
        }
        *w++ = c;
    }
    *w = '\0';
    return out;
}

typedef struct reading {
    wh_cloudevent *ce;
    const char *err;
    apr_pool_t *p;
} reading;

static int take_header(void *baton, const char *key, const char *value)
{
    reading *c = baton;
    const char *text;
    char *name;

    if (strncasecmp(key, PREFIX, 3) != 0) return 1;
    name = apr_pstrdup(c->p, key + 3);
    for (char *s = name; *s; s++) *s = (char)apr_tolower(*s);
    if (!is_name(name, strlen(name))) return 1;
    if (strcmp(name, "datacontenttype") == 0) {
        c->err = "ce-datacontenttype: in binary mode that is Content-Type";
    } else if (has(c->ce, name)) {
        c->err = apr_psprintf(c->p, "%s is given twice", name);
    } else if ((text = header_value(value, c->p)) == NULL) {
        c->err = apr_psprintf(c->p, "ce-%s has broken quotes or percent escapes", name);
    } else {
        c->err = add(c->ce, name, text, c->p);
    }
    return c->err == NULL;
}

const char *wh_cloudevent_binary(wh_cloudevent **out, const apr_table_t *headers, const char *content_type, webhook_slice body,
                                 const wh_json *json, apr_pool_t *p)
{
    reading c = { make(p), NULL, p };

    apr_table_do(take_header, &c, headers, NULL);
    if (!c.err && content_type && *content_type) c.err = add(c.ce, "datacontenttype", content_type, p);
    if (!c.err) c.err = check(c.ce, p);
    if (c.err) return c.err;
    c.ce->data = body;
    c.ce->json = json;
    *out = c.ce;
    return NULL;
}

/* ---- structured and batched mode (JSON Event Format) ---- */

static int is_member(const wh_json_member *m, const char *name)
{
    return m->name_len == strlen(name) && memcmp(m->name, name, m->name_len) == 0;
}

/* A value of the event as a document of its own. */
static const wh_json *document_of(const wh_json *whole, const wh_json_value *v, apr_pool_t *p)
{
    wh_json *doc = apr_palloc(p, sizeof(*doc));

    doc->root = *v;
    doc->text = whole->text;
    return doc;
}

/* Section 2.2: strings, integers and booleans; null is as good as absent. */
static const char *take_attribute(wh_cloudevent *ce, const wh_json_member *m, apr_pool_t *p)
{
    const wh_json_value *v = &m->value;
    const char *name, *text;

    if (v->type == WH_JSON_NULL || !is_name(m->name, m->name_len)) return NULL;
    name = apr_pstrmemdup(p, m->name, m->name_len);
    if (v->type == WH_JSON_ARRAY || v->type == WH_JSON_OBJECT || (v->type == WH_JSON_NUMBER && !v->integer)) {
        return apr_pstrcat(p, name, " is no string, integer or boolean", NULL);
    }
    text = wh_json_text(v, p);
    return add(ce, name, text ? text : "", p);
}

static const char *take_base64(wh_cloudevent *ce, const wh_json_value *v, apr_pool_t *p)
{
    webhook_slice text = wh_json_string(v);
    unsigned char *bytes;
    apr_size_t room;

    if (v->type != WH_JSON_STRING) return "data_base64 is no string";
    room = wh_decoded_max(WH_ENC_BASE64, text.len);
    bytes = apr_palloc(p, room + 1);
    if (wh_decode(WH_ENC_BASE64, 0, text.data ? text.data : "", text.len, bytes, room, &ce->data.len) != APR_SUCCESS) {
        return "data_base64 is not base64";
    }
    ce->data.data = (const char *)bytes;
    return NULL;
}

/* Section 3.1.1: `data` is JSON where datacontenttype says so or says nothing; a string that is data of another type is its text. */
static void take_data(wh_cloudevent *ce, const wh_json *whole, const wh_json_value *v, apr_pool_t *p)
{
    const char *type = wh_cloudevent_get(ce, "datacontenttype");

    if (v->type == WH_JSON_STRING && type && !wh_json_is_type(type)) {
        ce->data = wh_json_string(v);
        return;
    }
    ce->json = document_of(whole, v, p);
    ce->data = wh_json_source(whole, v);
}

static const char *take_event(apr_array_header_t *events, const wh_json *whole, const wh_json_value *v, apr_pool_t *p)
{
    wh_cloudevent *ce = make(p);
    const wh_json_value *data = NULL, *base64 = NULL;
    const char *err;
    apr_uint32_t i;

    if (v->type != WH_JSON_OBJECT) return "the event is no JSON object";
    for (i = 0; i < v->size; i++) {
        const wh_json_member *m = &v->u.members[i];

        if (is_member(m, "data")) {
            data = &m->value;
        } else if (is_member(m, "data_base64")) {
            base64 = &m->value;
        } else if ((err = take_attribute(ce, m, p)) != NULL) {
            return err;
        }
    }
    if ((err = check(ce, p)) != NULL) return err;
    if (data && base64) return "there are both data and data_base64";
    if (base64) {
        if ((err = take_base64(ce, base64, p)) != NULL) return err;
    } else if (data) {
        take_data(ce, whole, data, p);
    }
    APR_ARRAY_PUSH(events, wh_cloudevent *) = ce;
    return NULL;
}

const char *wh_cloudevent_structured(apr_array_header_t *events, const wh_json *doc, apr_pool_t *p)
{
    return take_event(events, doc, wh_json_root(doc), p);
}

const char *wh_cloudevent_batch(apr_array_header_t *events, const wh_json *doc, apr_pool_t *p)
{
    const wh_json_value *root = wh_json_root(doc);
    const char *err;
    apr_uint32_t i;

    if (root->type != WH_JSON_ARRAY) return "the batch is no JSON array";
    if (root->size > WH_CE_MAX_EVENTS) return "the batch has more than " APR_STRINGIFY(WH_CE_MAX_EVENTS) " events";
    for (i = 0; i < root->size; i++) {
        if ((err = take_event(events, doc, &root->u.items[i], p)) != NULL) {
            return apr_psprintf(p, "event %u of the batch: %s", (unsigned)i, err);
        }
    }
    return NULL;
}
