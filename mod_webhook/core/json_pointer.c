/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_pointer.c: JSON Pointer (RFC 6901), split, unescaped and hashed at configuration so that a request only walks. A pointer for
 * lists may hold `*`, which stands for every child.
 */
#include "core/json.h"

#include <apr_strings.h>
#include <stdint.h>
#include <string.h>

#define STARS_MAX 4
#define INDEX_NONE SIZE_MAX

typedef struct token {
    const char *name;
    apr_size_t len;
    apr_uint32_t hash;
    apr_size_t index; /* INDEX_NONE when the token cannot be an array index */
    int every;        /* `*` of a pointer for lists */
} token;

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

static const char *compile(wh_json_pointer **out, const char *text, int stars_max, apr_pool_t *p)
{
    wh_json_pointer *ptr = apr_pcalloc(p, sizeof(*ptr));
    apr_size_t slashes = 0;
    int stars = 0;

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
        t->len = strlen(t->name);
        t->hash = wh_json_hash(t->name, t->len);
        t->index = array_index(t->name);
        t->every = stars_max && len == 1 && *text == '*';
        stars += t->every;
        if (stars > stars_max)
            return "may hold 4 '*' at most";
        text += len;
    }
    *out = ptr;
    return NULL;
}

const char *wh_json_pointer_compile(wh_json_pointer **out, const char *text, apr_pool_t *p)
{
    return compile(out, text, 0, p);
}

const char *wh_json_pointer_compile_list(wh_json_pointer **out, const char *text, apr_pool_t *p)
{
    return compile(out, text, STARS_MAX, p);
}

static const wh_json_value *child(const wh_json_value *v, const token *t)
{
    switch (wh_json_typeof(v)) {
    case WH_JSON_OBJECT:
        return wh_json_member_get(v, t->name, t->len, t->hash);
    case WH_JSON_ARRAY:
        return t->index == INDEX_NONE ? NULL : wh_json_at(v, t->index);
    default:
        return NULL;
    }
}

const wh_json_value *wh_json_pointer_get(const wh_json *doc, const wh_json_pointer *ptr)
{
    const wh_json_value *v = wh_json_root(doc);

    for (apr_size_t i = 0; v && i < ptr->count; i++)
        v = child(v, &ptr->tokens[i]);
    return v;
}

/* Calls itself at stars alone, of which there are few. @return 0 when `found` is full */
static int list_from(const wh_json_value *v, const wh_json_pointer *ptr, apr_size_t i, apr_array_header_t *found, int *left)
{
    for (; v && i < ptr->count && !ptr->tokens[i].every; i++)
        v = child(v, &ptr->tokens[i]);
    if (!v)
        return 1;
    if (i == ptr->count) {
        if (!*left)
            return 0;
        --*left;
        APR_ARRAY_PUSH(found, const wh_json_value *) = v;
        return 1;
    }
    for (apr_size_t k = 0, n = wh_json_size(v); k < n; k++) {
        const wh_json_value *next = v->type == WH_JSON_ARRAY ? &v->u.items[k] : &v->u.members[k].value;
        if (!list_from(next, ptr, i + 1, found, left))
            return 0;
    }
    return 1;
}

int wh_json_pointer_list(const wh_json *doc, const wh_json_pointer *ptr, apr_array_header_t *found, int max)
{
    return list_from(wh_json_root(doc), ptr, 0, found, &max);
}
