/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape.c: finds the slots of a configured text, and fills them from what was frozen for a job (see shape.h).
 */
#include "core/shape.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "core/encode_for.h"
#include "core/encoding.h"
#include "core/envelope.h"

#define DEPTH_MAX 16

typedef struct piece {
    const char *literal; /* in front of the slot */
    apr_size_t len;
    const char *slot;    /* NULL: the end */
} piece;

struct wh_slotted {
    webhook_place place;
    const char *prefix;
    int count;
    piece pieces[1]; /* count */
};

apr_size_t wh_slot_len(const char *text, apr_size_t len)
{
    int depth = 0;

    for (apr_size_t i = 0; i < len; i++) {
        if (text[i] == '%' && i + 1 < len && text[i + 1] == '{') {
            depth++;
            i++;
        }
        else if (text[i] == '}' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

int wh_slot_split(const char *text, apr_size_t len, webhook_slice *name, webhook_slice *argument)
{
    apr_size_t n;

    argument->data = NULL;
    argument->len = 0;
    if (len < 4 || memcmp(text, "%{", 2) || wh_slot_len(text, len) != len)
        return 0;
    for (n = 2; apr_isalnum(text[n]) || text[n] == '_'; n++)
        ;
    name->data = text + 2;
    name->len = n - 2;
    if (!name->len || apr_isdigit(*name->data))
        return 0;
    if (n == len - 1)
        return 1;
    if (text[n] != ':')
        return 0;
    argument->data = text + n + 1;
    argument->len = len - n - 2;
    return 1;
}

int wh_slotted_any(const wh_slotted *s)
{
    return s->count > 1;
}

/* The encoders were demanded at configuration; what they promise is looked at once more where it counts. */
static int fits(webhook_place place, webhook_slice value)
{
    static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-~%";

    if (memchr(value.data, '\0', value.len))
        return 0;
    switch (place) {
    case WEBHOOK_PLACE_URL:
    case WEBHOOK_PLACE_FORM:
    case WEBHOOK_PLACE_NAME:
        for (apr_size_t i = 0; i < value.len; i++) {
            if (!strchr(place == WEBHOOK_PLACE_NAME ? name : url, value.data[i]))
                return 0;
        }
        return 1;
    case WEBHOOK_PLACE_HEADER:
        return wh_fits_header(value.data, value.len);
    default:
        return 1;
    }
}

const char *wh_place_name(webhook_place place)
{
    switch (place) {
    case WEBHOOK_PLACE_URL:
        return "in a URL";
    case WEBHOOK_PLACE_HEADER:
        return "in a header";
    case WEBHOOK_PLACE_JSON:
        return "in a JSON body";
    case WEBHOOK_PLACE_FORM:
        return "in a form";
    case WEBHOOK_PLACE_NAME:
        return "in a file name";
    case WEBHOOK_PLACE_ARGUMENT:
        return "in an argument of a program";
    case WEBHOOK_PLACE_TEXT:
        break;
    }
    return "in a text";
}

/* The server's parser would read backslashes and control characters in ways of its own: both must mean the same text. */
static const char *check_slot(const char *text, apr_size_t len, apr_pool_t *p)
{
    const char *shown = apr_pstrmemdup(p, text, len);
    webhook_slice name, argument;
    int depth = 0, deepest = 0;

    if (len > WH_SLOT_TEXT_MAX)
        return apr_psprintf(p, "a value (%%{...}) is longer than %d bytes", WH_SLOT_TEXT_MAX);
    for (apr_size_t i = 0; i < len; i++) {
        if (text[i] == '\\' || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return "a value (%{...}) holds a backslash or a control character";
        if (text[i] == '{' && i && text[i - 1] == '%')
            depth++;
        else if (text[i] == '}')
            depth--;
        deepest = depth > deepest ? depth : deepest;
    }
    if (deepest > DEPTH_MAX)
        return apr_psprintf(p, "%s is nested deeper than %d", shown, DEPTH_MAX);
    if (!wh_utf8_valid(text, len))
        return apr_psprintf(p, "%s is not UTF-8", shown);
    if (!wh_slot_split(text, len, &name, &argument))
        return apr_psprintf(p, "%s is no value (expected %%{NAME} or %%{function:argument})", shown);
    return NULL;
}

static void add_slot(apr_array_header_t *slots, const char *text, webhook_place place)
{
    webhook_slot *slot = apr_array_push(slots);

    slot->text = text;
    slot->place = place;
}

/* What the patterns of file names have of their own. */
static int is_conversion(const char *text)
{
    return !strncmp(text, "%{id}", 5) || !strncmp(text, "%{ext}", 6);
}

const char *wh_slotted_parse(wh_slotted **out, const char *text, webhook_place place, apr_array_header_t *slots, apr_pool_t *p)
{
    const char *at = text, *from = text, *found, *err;
    wh_slotted *s;
    int count = 0;

    for (found = text; (found = strstr(found, "%{")) != NULL; found += 2)
        count++;
    s = apr_pcalloc(p, sizeof(*s) + sizeof(piece) * (apr_size_t)count);
    s->place = place;
    while ((found = strstr(from, "%{")) != NULL) {
        piece *next = &s->pieces[s->count];
        apr_size_t len = wh_slot_len(found, strlen(found));

        if (place == WEBHOOK_PLACE_NAME && is_conversion(found)) {
            from = found + len;
            continue;
        }
        s->count++;
        if (!len)
            return apr_psprintf(p, "\"%s\" is not closed (every %%{ needs its })", found);
        if ((err = check_slot(found, len, p)) != NULL)
            return err;
        next->len = (apr_size_t)(found - at);
        next->literal = apr_pstrmemdup(p, at, next->len);
        next->slot = apr_pstrmemdup(p, found, len);
        if (slots)
            add_slot(slots, next->slot, place);
        at = from = found + len;
    }
    s->pieces[s->count].literal = apr_pstrdup(p, at);
    s->pieces[s->count++].len = strlen(at);
    s->prefix = s->pieces[0].literal;
    *out = s;
    return NULL;
}

const char *wh_slotted_prefix(const wh_slotted *s)
{
    return s->prefix;
}

const char *wh_slotted_with(const wh_slotted *s, const char *word, apr_pool_t *p)
{
    wh_buf b;

    wh_buf_init(&b, p, 256);
    for (int i = 0; i < s->count; i++) {
        wh_buf_add(&b, s->pieces[i].literal, s->pieces[i].len);
        if (s->pieces[i].slot)
            wh_buf_adds(&b, word);
    }
    return b.data;
}

const wh_json *wh_shape_open(webhook_slice shape, apr_pool_t *p)
{
    wh_json_error err;
    wh_json *doc;

    if (!shape.data || wh_json_parse(&doc, shape, &wh_json_plain, p, &err) != APR_SUCCESS)
        return NULL;
    return doc;
}

wh_filled wh_slotted_fill(wh_buf *b, const wh_slotted *s, const wh_json *shape, const char **why)
{
    *why = NULL;
    for (int i = 0; i < s->count; i++) {
        const piece *next = &s->pieces[i];
        const wh_json_value *v;
        webhook_slice value;

        wh_buf_add(b, next->literal, next->len);
        if (!next->slot)
            continue;
        v = shape ? wh_json_get(wh_json_root(shape), next->slot) : NULL;
        if (!v) {
            *why = apr_psprintf(b->pool, "the job was made without a value for %s", next->slot);
            return WH_FILLED_MISSING;
        }
        value = wh_json_string(v);
        if (!value.data) {
            value = wh_json_string(wh_json_at(v, 0));
            *why = apr_psprintf(b->pool, "the value of %s %.*s", next->slot, value.data ? (int)value.len : 14,
                                value.data ? value.data : "cannot be used");
            return WH_FILLED_BAD;
        }
        if (!fits(s->place, value)) {
            *why = apr_psprintf(b->pool, "the value of %s cannot stand %s", next->slot, wh_place_name(s->place));
            return WH_FILLED_BAD;
        }
        wh_buf_add(b, value.data, value.len);
    }
    return WH_FILLED;
}

void wh_shape_put(wh_buf *b, const char *slot, const char *value, const char *why)
{
    apr_size_t len = value ? strlen(value) : 0;

    if (value && len > WH_SHAPE_VALUE_MAX) {
        why = apr_psprintf(b->pool, "is longer than %d bytes", WH_SHAPE_VALUE_MAX);
        value = NULL;
    }
    if (value && !wh_utf8_valid(value, len)) {
        why = "is not UTF-8";
        value = NULL;
    }
    wh_json_put_name(b, slot);
    if (value) {
        wh_json_put_string(b, value, len);
        return;
    }
    wh_buf_adds(b, "[");
    wh_json_put_string(b, why, strlen(why));
    wh_buf_adds(b, "]");
}

int wh_slot_is_sensitive(const char *text, const char *const *credentials)
{
    static const char *const whole[] = { "QUERY_STRING", "THE_REQUEST", NULL }; /* a token in the query is in these */
    const char *c = text;
    apr_size_t n;

    if (wh_header_is_sensitive(text, strlen(text))) return 1;
    for (; *c; c += n ? n : 1) {
        n = strspn(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
        if (n && (wh_name_is_credential(credentials, c, n) || wh_name_is_credential(whole, c, n))) return 1;
    }
    return 0;
}
