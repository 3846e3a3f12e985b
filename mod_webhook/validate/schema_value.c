/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_value.c: JSON values as JSON Schema compares them (draft-bhutton-json-schema-01, 4.2.2): numbers by value, objects whatever the
 * order of their members, strings by their bytes. Hashes are seeded like the reader's, so that a sender cannot choose collisions.
 */
#include "validate/schema_impl.h"

#include <string.h>

#define FEW 8 /* up to so many values comparing is cheaper than hashing */

static int number_equal(const wh_json_value *a, const wh_json_value *b)
{
    wh_decimal x, y;

    if (a->size == b->size && memcmp(a->u.text, b->u.text, a->size) == 0) return 1;
    /* Numbers beyond what a decimal can be are equal only when written alike. */
    return wh_decimal_parse(&x, a->u.text, a->size) && wh_decimal_parse(&y, b->u.text, b->size) && wh_decimal_compare(&x, &y) == 0;
}

/* The member of that name; beginning at its own place, since equal objects mostly have one order. Where they have not, that is paid for. */
static const wh_json_value *same_member(const wh_json_value *object, apr_uint32_t place, const wh_json_member *like, apr_uint64_t *work)
{
    apr_uint32_t i, n = object->size;

    for (i = 0; i < n; i++, place++) {
        const wh_json_member *m = &object->u.members[place < n ? place : (place = 0)];
        if (m->hash == like->hash && m->name_len == like->name_len && memcmp(m->name, like->name, m->name_len) == 0) {
            *work += i / 16;
            return &m->value;
        }
    }
    *work += n / 16;
    return NULL;
}

int wh_value_equal(const wh_json_value *a, const wh_json_value *b, apr_uint64_t *work)
{
    apr_uint32_t i;

    *work += a->type == WH_JSON_ARRAY || a->type == WH_JSON_OBJECT ? a->size : a->size / 256;
    if (a->type != b->type) return 0;
    switch (a->type) {
    case WH_JSON_NUMBER: return number_equal(a, b);
    case WH_JSON_STRING: return a->size == b->size && (a->size == 0 || memcmp(a->u.text, b->u.text, a->size) == 0);
    case WH_JSON_ARRAY:
        if (a->size != b->size) return 0;
        for (i = 0; i < a->size; i++) {
            if (!wh_value_equal(&a->u.items[i], &b->u.items[i], work)) return 0;
        }
        return 1;
    case WH_JSON_OBJECT:
        if (a->size != b->size) return 0;
        for (i = 0; i < a->size; i++) {
            const wh_json_value *v = same_member(b, i, &a->u.members[i], work);
            if (!v || !wh_value_equal(&a->u.members[i].value, v, work)) return 0;
        }
        return 1;
    default: return 1;
    }
}

static apr_uint64_t mix(apr_uint64_t h)
{
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
    return h ^ (h >> 31);
}

apr_uint64_t wh_value_hash(const wh_json_value *v, apr_uint64_t *work)
{
    apr_uint64_t h = v->type * 0x9e3779b97f4a7c15ULL;
    wh_decimal d;
    apr_uint32_t i;

    *work += 1;
    switch (v->type) {
    case WH_JSON_NUMBER:
        *work += v->size / 64;
        if (!wh_decimal_parse(&d, v->u.text, v->size)) return mix(h ^ wh_json_hash(v->u.text, v->size));
        return mix(h ^ wh_decimal_hash(&d, wh_json_hash("number", 6)));
    case WH_JSON_STRING:
        *work += v->size / 64;
        return mix(h ^ wh_json_hash(v->u.text, v->size));
    case WH_JSON_ARRAY:
        for (i = 0; i < v->size; i++) h = mix(h + wh_value_hash(&v->u.items[i], work));
        return h;
    case WH_JSON_OBJECT:
        /* A sum does not know the order. */
        for (i = 0; i < v->size; i++) h += mix(v->u.members[i].hash ^ mix(wh_value_hash(&v->u.members[i].value, work)));
        return mix(h);
    default: return mix(h);
    }
}

const wh_choices *wh_choices_make(const wh_json_value *values, apr_uint32_t count, apr_pool_t *p)
{
    wh_choices *c = apr_pcalloc(p, sizeof(*c));
    apr_uint64_t work = 0;
    apr_uint32_t i, at;

    c->count = count;
    if (count > FEW) {
        for (c->mask = 15; c->mask < count * 2; c->mask = c->mask * 2 + 1) ;
        c->list = apr_pcalloc(p, (c->mask + 1) * sizeof(*c->list));
    } else {
        c->list = apr_pcalloc(p, (count + 1) * sizeof(*c->list));
    }
    for (i = 0; i < count; i++) {
        if (c->mask) {
            apr_uint64_t h = wh_value_hash(&values[i], &work);
            for (at = (apr_uint32_t)h & c->mask; c->list[at].value; at = (at + 1) & c->mask) ;
            c->list[at].hash = h;
            c->list[at].value = &values[i];
        } else {
            c->list[i].value = &values[i];
        }
    }
    return c;
}

int wh_choices_have(const wh_choices *choices, const wh_json_value *v, apr_uint64_t *work)
{
    apr_uint32_t i;
    apr_uint64_t h;

    if (!choices->mask) {
        for (i = 0; i < choices->count; i++) {
            if (wh_value_equal(choices->list[i].value, v, work)) return 1;
        }
        return 0;
    }
    h = wh_value_hash(v, work);
    for (i = (apr_uint32_t)h & choices->mask; choices->list[i].value; i = (i + 1) & choices->mask) {
        if (choices->list[i].hash == h && wh_value_equal(choices->list[i].value, v, work)) return 1;
    }
    return 0;
}

int wh_values_unique(const wh_json_value *items, apr_uint32_t count, apr_uint64_t *work, apr_pool_t *p)
{
    wh_choice *table;
    apr_uint32_t i, j, mask;

    /* Containers are hashed however few they are: each pair might be alike up to its last member. */
    for (i = 0; i < count && items[i].type != WH_JSON_ARRAY && items[i].type != WH_JSON_OBJECT; i++) ;
    if (i == count && count <= FEW) {
        for (i = 1; i < count; i++) {
            for (j = 0; j < i; j++) {
                if (wh_value_equal(&items[i], &items[j], work)) return 0;
            }
        }
        *work += count * count / 2;
        return 1;
    }
    for (mask = 31; mask < count * 2; mask = mask * 2 + 1) ;
    table = apr_pcalloc(p, (mask + 1) * sizeof(*table));
    for (i = 0; i < count; i++) {
        apr_uint64_t h = wh_value_hash(&items[i], work);
        for (j = (apr_uint32_t)h & mask; table[j].value; j = (j + 1) & mask) {
            if (table[j].hash == h && wh_value_equal(table[j].value, &items[i], work)) return 0;
        }
        table[j].value = &items[i];
        table[j].hash = h;
    }
    return 1;
}
