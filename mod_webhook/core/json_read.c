/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_read.c: the reader behind json.h, for now jansson. A value handed out is a json_t in disguise; the document owns the tree and a
 * pool cleanup gives it back.
 *
 * Two things jansson does not do are done around it. Its parser recurses, to a depth of 2048, on a thread's stack, and builds values
 * of a hundred bytes from three bytes of text: a scan before it bounds depth and number of values. And it keeps numbers as double:
 * after parsing, each number written with a fraction or an exponent is replaced by a string node that begins with a NUL byte, which no
 * string of a document can (NUL is refused), and goes on with the number's text. Whole numbers are exact in jansson as far as 64 bits
 * go; larger ones are refused with the reason "number"; "-0" is read as "0".
 */
#include "core/json.h"

#include <apr_strings.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64         /* nesting of arrays and objects */
#define VALUES_MAX (1 << 20) /* commas and brackets: bounds memory to some hundred MiB in the worst case */

struct wh_json {
    json_t *root;
};

static const json_t *as_json(const wh_json_value *v)
{
    return (const json_t *)(const void *)v;
}

static const wh_json_value *as_value(const json_t *json)
{
    return (const wh_json_value *)(const void *)json;
}

static apr_status_t fail(wh_json_error *err, const char *reason, apr_size_t offset)
{
    if (err) {
        err->reason = reason;
        err->offset = offset;
    }
    return APR_EINVAL;
}

/* Offset behind the string whose opening quote is at i; the end of text if it does not end. */
static apr_size_t skip_string(webhook_slice text, apr_size_t i)
{
    for (i++; i < text.len && text.data[i] != '"'; i++) {
        if (text.data[i] == '\\')
            i++;
    }
    return i < text.len ? i + 1 : text.len;
}

/* Offset behind the run of number characters at i. @param real set if a fraction or an exponent is among them */
static apr_size_t skip_number(webhook_slice text, apr_size_t i, int *real)
{
    *real = 0;
    for (; i < text.len; i++) {
        char c = text.data[i];
        if (c == '.' || c == 'e' || c == 'E')
            *real = 1;
        else if ((c < '0' || c > '9') && c != '-' && c != '+')
            break;
    }
    return i;
}

/* The next number at or behind *i that has a fraction or an exponent, in document order. @return 0 if there is none */
static int next_real(webhook_slice text, apr_size_t *i, webhook_slice *number)
{
    while (*i < text.len) {
        char c = text.data[*i];
        if (c == '"') {
            *i = skip_string(text, *i);
        }
        else if (c == '-' || (c >= '0' && c <= '9')) {
            apr_size_t start = *i;
            int real;
            *i = skip_number(text, start, &real);
            if (real) {
                number->data = text.data + start;
                number->len = *i - start;
                return 1;
            }
        }
        else {
            ++*i;
        }
    }
    return 0;
}

/* Bound what parsing may cost. Text that is not JSON may pass: the parser refuses it. @param reals set if next_real finds any */
static apr_status_t scan_text(webhook_slice text, int *reals, wh_json_error *err)
{
    apr_size_t i = 0, values = 0;
    int depth = 0, real;

    *reals = 0;
    while (i < text.len) {
        switch (text.data[i]) {
        case '"':
            i = skip_string(text, i);
            continue;
        case '[':
        case '{':
            if (++depth > DEPTH_MAX)
                return fail(err, "depth", i);
            if (++values > VALUES_MAX)
                return fail(err, "values", i);
            break;
        case ']':
        case '}':
            depth--;
            break;
        case ',':
            if (++values > VALUES_MAX)
                return fail(err, "values", i);
            break;
        case '-':
        case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
            i = skip_number(text, i, &real);
            *reals |= real;
            continue;
        default:
            break;
        }
        i++;
    }
    return APR_SUCCESS;
}

static const char *reason_of(const json_error_t *e)
{
    switch (json_error_code(e)) {
    case json_error_duplicate_key:
        return "duplicate-name";
    case json_error_invalid_utf8:
        return "utf8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "nul";
    case json_error_numeric_overflow:
        return "number";
    case json_error_stack_overflow:
        return "depth";
    case json_error_out_of_memory:
    case json_error_unknown: /* it gives up without a word when it gets no memory for a node */
        return "memory";
    default:
        return "syntax";
    }
}

static apr_status_t free_tree(void *data)
{
    json_decref(data);
    return APR_SUCCESS;
}

/* Where the walk over the tree is in the text. */
typedef struct retext {
    webhook_slice text;
    apr_size_t at;
} retext;

static int put_texts(retext *r, json_t *json);

/* A new node with the text of the next real if `json` is one, NULL for other values; *rc is cleared when memory is short. */
static json_t *text_node(retext *r, json_t *json, int *rc)
{
    webhook_slice number;
    char *tagged;
    json_t *node;

    if (!json_is_real(json)) {
        *rc = put_texts(r, json);
        return NULL;
    }
    if (!next_real(r->text, &r->at, &number)) {
        *rc = 0;
        return NULL;
    }
    node = NULL;
    tagged = malloc(number.len + 1);
    if (tagged) {
        tagged[0] = '\0';
        memcpy(tagged + 1, number.data, number.len);
        node = json_stringn_nocheck(tagged, number.len + 1);
        free(tagged);
    }
    *rc = node != NULL;
    return node;
}

/* Replace the reals below `json` in document order (jansson keeps members in the order they came). @return 0 when memory is short */
static int put_texts(retext *r, json_t *json)
{
    int rc = 1;

    if (json_is_array(json)) {
        for (size_t i = 0; rc && i < json_array_size(json); i++) {
            json_t *node = text_node(r, json_array_get(json, i), &rc);
            if (node && json_array_set_new(json, i, node))
                rc = 0;
        }
    }
    else if (json_is_object(json)) {
        for (void *it = json_object_iter(json); rc && it; it = json_object_iter_next(json, it)) {
            json_t *node = text_node(r, json_object_iter_value(it), &rc);
            if (node && json_object_iter_set_new(json, it, node))
                rc = 0;
        }
    }
    return rc;
}

apr_status_t wh_json_parse(wh_json **out, webhook_slice text, apr_pool_t *p, wh_json_error *err)
{
    json_error_t jerr;
    json_t *root;
    apr_status_t rv;
    const char *nul;
    wh_json *doc;
    int reals;

    *out = NULL;
    if (!text.len)
        return fail(err, "syntax", 0);
    nul = memchr(text.data, '\0', text.len);
    if (nul)
        return fail(err, "nul", (apr_size_t)(nul - text.data));
    rv = scan_text(text, &reals, err);
    if (rv != APR_SUCCESS)
        return rv;
    errno = 0;
    root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &jerr);
    /* It goes on without the bytes it found no memory for: what comes of that is neither the sender's mistake nor his document. */
    if (errno == ENOMEM) {
        json_decref(root);
        return fail(err, "memory", 0);
    }
    if (!root)
        return fail(err, reason_of(&jerr), jerr.position > 0 ? (apr_size_t)jerr.position : 0);

    doc = apr_palloc(p, sizeof(*doc));
    if (reals) {
        retext r = { text, 0 };
        int rc;
        json_t *node = text_node(&r, root, &rc);
        if (node) {
            json_decref(root);
            root = node;
        }
        if (!rc) {
            json_decref(root);
            return fail(err, "memory", 0);
        }
    }
    doc->root = root;
    apr_pool_cleanup_register(p, root, free_tree, apr_pool_cleanup_null);
    *out = doc;
    return APR_SUCCESS;
}

const wh_json_value *wh_json_root(const wh_json *doc)
{
    return doc ? as_value(doc->root) : NULL;
}

/* the text of a tagged number, NULL for a real string */
static const char *tagged_text(const json_t *json)
{
    return json_string_length(json) && !*json_string_value(json) ? json_string_value(json) + 1 : NULL;
}

wh_json_type wh_json_typeof(const wh_json_value *v)
{
    const json_t *json = as_json(v);

    if (!json)
        return WH_JSON_NULL;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return WH_JSON_OBJECT;
    case JSON_ARRAY:
        return WH_JSON_ARRAY;
    case JSON_STRING:
        return tagged_text(json) ? WH_JSON_NUMBER : WH_JSON_STRING;
    case JSON_INTEGER:
    case JSON_REAL:
        return WH_JSON_NUMBER;
    case JSON_TRUE:
        return WH_JSON_TRUE;
    case JSON_FALSE:
        return WH_JSON_FALSE;
    case JSON_NULL:
        break;
    }
    return WH_JSON_NULL;
}

webhook_slice wh_json_string(const wh_json_value *v)
{
    webhook_slice s = { NULL, 0 };

    if (wh_json_typeof(v) == WH_JSON_STRING) {
        s.data = json_string_value(as_json(v));
        s.len = json_string_length(as_json(v));
    }
    return s;
}

const char *wh_json_number(const wh_json_value *v, apr_pool_t *p)
{
    const json_t *json = as_json(v);

    if (wh_json_typeof(v) != WH_JSON_NUMBER)
        return NULL;
    if (json_is_integer(json))
        return apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)json_integer_value(json));
    return apr_pstrdup(p, tagged_text(json));
}

const wh_json_value *wh_json_get(const wh_json_value *object, const char *name)
{
    return as_value(json_object_get(as_json(object), name));
}

const wh_json_value *wh_json_at(const wh_json_value *array, apr_size_t index)
{
    return as_value(json_array_get(as_json(array), index));
}

apr_size_t wh_json_size(const wh_json_value *v)
{
    const json_t *json = as_json(v);

    return json_is_array(json) ? json_array_size(json) : json_object_size(json);
}

const wh_json_value *wh_json_next(const wh_json_value *object, void **iter, const char **name)
{
    json_t *json = (json_t *)(apr_uintptr_t)object;

    if (!json_is_object(json))
        return NULL;
    *iter = *iter ? json_object_iter_next(json, *iter) : json_object_iter(json);
    if (!*iter)
        return NULL;
    *name = json_object_iter_key(*iter);
    return as_value(json_object_iter_value(*iter));
}

const char *wh_json_text(const wh_json_value *v, apr_pool_t *p)
{
    webhook_slice s;

    switch (wh_json_typeof(v)) {
    case WH_JSON_STRING:
        s = wh_json_string(v);
        return apr_pstrmemdup(p, s.data, s.len);
    case WH_JSON_NUMBER:
        return wh_json_number(v, p);
    case WH_JSON_TRUE:
        return "true";
    case WH_JSON_FALSE:
        return "false";
    default:
        return NULL;
    }
}
