/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_pointer.c: JSON Pointer (RFC 6901), split and unescaped at configuration so that a request only walks.
 */
#include "core/json.h"

#include <apr_strings.h>
#include <stdint.h>
#include <string.h>

typedef struct token {
    const char *name;
    apr_size_t index; /* INDEX_NONE when the token cannot be an array index */
} token;

#define INDEX_NONE SIZE_MAX

struct wh_json_pointer {
    apr_size_t count;
    token *tokens;
};

/* array index: digits without a leading zero (section 4); "-" names the element that is not there */
static apr_size_t array_index(const char *name)
{
    apr_size_t n = 0;

    if (!*name || (*name == '0' && name[1]))
        return INDEX_NONE;
    for (; *name; name++) {
        if (*name < '0' || *name > '9' || n > (INDEX_NONE - 10) / 10)
            return INDEX_NONE;
        n = n * 10 + (apr_size_t)(*name - '0');
    }
    return n;
}

/* One token with ~0 and ~1 resolved, in a single pass so that "~01" becomes "~1". @return NULL for any other ~ */
static const char *unescape(const char *text, apr_size_t len, apr_pool_t *p)
{
    char *name = apr_palloc(p, len + 1), *at = name;

    for (apr_size_t i = 0; i < len; i++) {
        if (text[i] != '~') {
            *at++ = text[i];
            continue;
        }
        if (++i == len || (text[i] != '0' && text[i] != '1'))
            return NULL;
        *at++ = text[i] == '0' ? '~' : '/';
    }
    *at = '\0';
    return name;
}

const char *wh_json_pointer_compile(wh_json_pointer **out, const char *text, apr_pool_t *p)
{
    wh_json_pointer *ptr = apr_pcalloc(p, sizeof(*ptr));
    apr_size_t slashes = 0;

    *out = NULL;
    if (*text && *text != '/')
        return "must begin with '/'";
    for (const char *s = text; *s; s++)
        slashes += *s == '/';
    ptr->tokens = apr_pcalloc(p, (slashes + 1) * sizeof(token));
    while (*text) {
        apr_size_t len = strcspn(++text, "/");
        token *t = &ptr->tokens[ptr->count++];
        t->name = unescape(text, len, p);
        if (!t->name)
            return "~ must be followed by 0 or 1";
        t->index = array_index(t->name);
        text += len;
    }
    *out = ptr;
    return NULL;
}

const wh_json_value *wh_json_pointer_get(const wh_json *doc, const wh_json_pointer *ptr)
{
    const wh_json_value *v = wh_json_root(doc);

    for (apr_size_t i = 0; v && i < ptr->count; i++) {
        const token *t = &ptr->tokens[i];
        switch (wh_json_typeof(v)) {
        case WH_JSON_OBJECT:
            v = wh_json_get(v, t->name);
            break;
        case WH_JSON_ARRAY:
            v = t->index == INDEX_NONE ? NULL : wh_json_at(v, t->index);
            break;
        default:
            v = NULL;
        }
    }
    return v;
}
