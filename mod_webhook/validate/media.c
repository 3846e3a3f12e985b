/* SPDX-License-Identifier: Apache-2.0 */
/* media.c: see media.h. */
#include "validate/media.h"

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

static const struct {
    const char *name;
    wh_payload_kind kind;
} kinds[] = {
    { "json", WH_PAYLOAD_JSON }, { "form", WH_PAYLOAD_FORM }, { "multipart", WH_PAYLOAD_MULTIPART }, { "opaque", WH_PAYLOAD_OPAQUE },
};
#define KIND_COUNT ((int)(sizeof(kinds) / sizeof(kinds[0])))

#define MULTIPART "multipart/form-data"
#define CLOUDEVENTS "application/cloudevents"

static int is_token_char(char c)
{
    return apr_isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* "type/subtype" without parameters. */
static apr_size_t type_len(const char *header)
{
    return strcspn(header, "; \t");
}

static int same(const char *text, apr_size_t len, const char *name)
{
    return strlen(name) == len && apr_cstr_casecmpn(text, name, len) == 0;
}

static int ends_with(const char *text, apr_size_t len, const char *suffix, apr_size_t n)
{
    return len > n && apr_cstr_casecmpn(text + len - n, suffix, n) == 0;
}

static int is_any(const char *pattern, apr_size_t n)
{
    return same(pattern, n, "*") || same(pattern, n, "*/*");
}

/* The pattern is in lower case, the type as sent. */
static int matches(const char *type, apr_size_t len, const char *pattern, apr_size_t n)
{
    if (is_any(pattern, n)) return 1;
    if (n > 4 && memcmp(pattern, "*/*+", 4) == 0) return ends_with(type, len, pattern + 3, n - 3);
    if (*pattern == '+') return ends_with(type, len, pattern, n);
    if (n > 2 && memcmp(pattern + n - 2, "/*", 2) == 0) return len > n - 1 && apr_cstr_casecmpn(type, pattern, n - 1) == 0;
    return len == n && apr_cstr_casecmpn(type, pattern, n) == 0;
}

static wh_payload_kind natural_kind(const char *type, apr_size_t len)
{
    if (wh_json_is_type(type)) return WH_PAYLOAD_JSON;
    if (same(type, len, "application/x-www-form-urlencoded")) return WH_PAYLOAD_FORM;
    if (same(type, len, MULTIPART)) return WH_PAYLOAD_MULTIPART;
    return WH_PAYLOAD_OPAQUE;
}

/* "*", "+json", "text" "/" "*" or "application/json" */
static int is_range(const char *text, apr_size_t len)
{
    const char *c = text, *end = text + len, *from;

    if (is_any(text, len)) return 1;
    if (len > 4 && memcmp(text, "*/*+", 4) == 0) c += 3;
    if (c < end && *c == '+') {
        for (c++; c < end && is_token_char(*c) && *c != '*'; c++) {}
        return c == end && c[-1] != '+';
    }
    for (; c < end && is_token_char(*c) && *c != '*'; c++) {}
    if (c == text || c == end || *c++ != '/') return 0;
    if (end - c == 1 && *c == '*') return 1;
    for (from = c; c < end && is_token_char(*c) && *c != '*'; c++) {}
    return c == end && c > from;
}

const char *wh_media_check(const char *word, apr_pool_t *p)
{
    apr_size_t len = strcspn(word, "=");
    int i;

    if (!is_range(word, len)) {
        return "is not a media type (expected application/json, text/*, +json for all types that end so, or * for any), without parameters";
    }
    if (word[len] == '\0') return NULL;
    for (i = 0; i < KIND_COUNT && apr_cstr_casecmp(word + len + 1, kinds[i].name) != 0; i++) {}
    if (i == KIND_COUNT) return "is read in a way that is unknown (allowed behind =: json, form, multipart, opaque)";
    if (kinds[i].kind == WH_PAYLOAD_MULTIPART && !same(word, len, MULTIPART)) return "is not " MULTIPART ", the only type with parts of that kind";
    return NULL;
}

int wh_media_covers(const char *earlier, const char *word)
{
    apr_size_t n = strcspn(earlier, "="), len = strcspn(word, "=");

    if (is_any(earlier, n)) return 1;
    if (is_any(word, len)) return 0;
    /* a kind is not covered by a name or another kind, only by what is written the same */
    if (*word == '+' || *word == '*' || word[len - 1] == '*') return len == n && apr_cstr_casecmpn(word, earlier, n) == 0;
    return matches(word, len, earlier, n);
}

int wh_media_find(const char *const *list, const char *header, wh_payload_kind *kind)
{
    apr_size_t len = type_len(header);
    int i;

    for (; *list; list++) {
        apr_size_t n = strcspn(*list, "=");

        if (!matches(header, len, *list, n)) continue;
        if (len >= sizeof(CLOUDEVENTS) - 1 && apr_cstr_casecmpn(header, CLOUDEVENTS, sizeof(CLOUDEVENTS) - 1) == 0
            && !ends_with(header, len, "+json", 5) && !(len == n && apr_cstr_casecmpn(header, *list, n) == 0)) {
            continue;
        }
        *kind = natural_kind(header, len);
        for (i = 0; (*list)[n] && i < KIND_COUNT; i++) {
            if (apr_cstr_casecmp(*list + n + 1, kinds[i].name) == 0) *kind = kinds[i].kind;
        }
        return 1;
    }
    return 0;
}

int wh_media_is(const char *header, const char *type)
{
    return header && same(header, type_len(header), type);
}

int wh_media_is_utf8(const char *header)
{
    const char *at = header;

    while ((at = strchr(at, ';')) != NULL) {
        const char *value;
        apr_size_t len;

        at++;
        at += strspn(at, " \t");
        if (apr_cstr_casecmpn(at, "charset", 7) != 0) continue;
        value = at + 7;
        value += strspn(value, " \t");
        if (*value != '=') continue;
        value++;
        value += strspn(value, " \t");
        if (*value == '"') value++;
        len = strcspn(value, "\"; \t");
        return same(value, len, "utf-8") || same(value, len, "utf8");
    }
    return 1;
}
