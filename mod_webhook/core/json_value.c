/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_value.c: looking at parsed values, and the hash by which members are found.
 */
#include "core/json.h"
#include "core/json_hash.h"

#include <apr_strings.h>
#include <apr_time.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static wh_json_seed the_seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_draw(void)
{
    if (RAND_bytes((unsigned char *)&the_seed, sizeof(the_seed)) == 1)
        return;
    /* No random source: what is left are addresses and the time, which nobody outside knows exactly. Names may be made to meet by who
     * does; the limit on members bounds what comes of it. */
    the_seed.a = wh_json_fold((uint64_t)apr_time_now() ^ UINT64_C(0x9e3779b97f4a7c15), (uint64_t)(uintptr_t)&the_seed ^ (uint64_t)getpid());
    the_seed.b = wh_json_fold(the_seed.a, (uint64_t)(uintptr_t)&apr_time_now ^ UINT64_C(0xd1b54a32d192ed03));
}

const wh_json_seed *wh_json_seed_get(void)
{
    pthread_once(&seed_once, seed_draw);
    return &the_seed;
}

apr_uint32_t wh_json_hash(const char *name, apr_size_t len)
{
    return wh_json_hash_with(wh_json_seed_get(), name, len);
}

unsigned int wh_json_hash_key(const char *key, apr_ssize_t *len)
{
    if (*len == APR_HASH_KEY_STRING)
        *len = (apr_ssize_t)strlen(key);
    return wh_json_hash(key, (apr_size_t)*len);
}

int wh_json_is_type(const char *type)
{
    apr_size_t len = type ? strcspn(type, "; \t") : 0;

    return len > 5 && (!strncasecmp(type + len - 5, "/json", 5) || !strncasecmp(type + len - 5, "+json", 5));
}

const wh_json *wh_json_get_once(wh_json_once *once, webhook_slice text, apr_pool_t *p)
{
    if (!once->tried || once->text.data != text.data || once->text.len != text.len) {
        once->tried = 1;
        once->text = text;
        if (wh_json_parse(&once->doc, text, NULL, p, &once->error) != APR_SUCCESS)
            once->doc = NULL;
    }
    return once->doc;
}

const wh_json_value *wh_json_root(const wh_json *doc)
{
    return doc ? &doc->root : NULL;
}

wh_json_type wh_json_typeof(const wh_json_value *v)
{
    return v ? (wh_json_type)v->type : WH_JSON_NULL;
}

webhook_slice wh_json_string(const wh_json_value *v)
{
    webhook_slice s = { NULL, 0 };

    if (v && v->type == WH_JSON_STRING) {
        s.data = v->u.text;
        s.len = v->size;
    }
    return s;
}

const char *wh_json_number(const wh_json_value *v, apr_pool_t *p)
{
    return v && v->type == WH_JSON_NUMBER ? apr_pstrmemdup(p, v->u.text, v->size) : NULL;
}

int wh_json_int(const wh_json_value *v, apr_int64_t *out)
{
    apr_uint64_t n = 0, most = APR_INT64_MAX;
    apr_uint32_t i = 0;
    int minus;

    if (!v || v->type != WH_JSON_NUMBER || !v->integer)
        return 0;
    minus = v->u.text[0] == '-';
    most += (apr_uint64_t)minus;
    for (i = (apr_uint32_t)minus; i < v->size; i++) {
        apr_uint64_t digit = (apr_uint64_t)(v->u.text[i] - '0');
        if (n > (most - digit) / 10)
            return 0;
        n = n * 10 + digit;
    }
    *out = minus && n ? -(apr_int64_t)(n - 1) - 1 : (apr_int64_t)n;
    return 1;
}

const wh_json_value *wh_json_member_get(const wh_json_value *object, const char *name, apr_size_t len, apr_uint32_t hash)
{
    const wh_json_member *m, *end;

    if (!object || object->type != WH_JSON_OBJECT)
        return NULL;
    for (m = object->u.members, end = m + object->size; m < end; m++) {
        if (m->hash == hash && m->name_len == len && !memcmp(m->name, name, len))
            return &m->value;
    }
    return NULL;
}

const wh_json_value *wh_json_get(const wh_json_value *object, const char *name)
{
    apr_size_t len = strlen(name);

    if (!object || object->type != WH_JSON_OBJECT || !object->size)
        return NULL;
    return wh_json_member_get(object, name, len, wh_json_hash(name, len));
}

const wh_json_value *wh_json_at(const wh_json_value *array, apr_size_t index)
{
    return array && array->type == WH_JSON_ARRAY && index < array->size ? &array->u.items[index] : NULL;
}

apr_size_t wh_json_size(const wh_json_value *v)
{
    return v && (v->type == WH_JSON_ARRAY || v->type == WH_JSON_OBJECT) ? v->size : 0;
}

webhook_slice wh_json_source(const wh_json *doc, const wh_json_value *v)
{
    webhook_slice s = { NULL, 0 };

    if (doc && v) {
        s.data = doc->text.data + v->start;
        s.len = v->end - v->start;
    }
    return s;
}

const char *wh_json_text(const wh_json_value *v, apr_pool_t *p)
{
    switch (wh_json_typeof(v)) {
    case WH_JSON_STRING:
        return v->nul || !v->size ? "" : apr_pstrmemdup(p, v->u.text, v->size);
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
