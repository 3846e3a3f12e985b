/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_compile.c: from keywords to nodes. Nodes are made when something leads to them, so what no reference reaches costs nothing;
 * whether it is a schema at all the meta-schema has said before. Which keywords count is a matter of the draft and of the vocabularies of
 * the dialect; others are annotations.
 */
#include "validate/schema_impl.h"

#include <string.h>
#include <apr_strings.h>

/* In the order of their bytes: they are searched by halves. */
#define KEYWORDS(X) \
    X(K_DYNAMIC_REF, "$dynamicRef") X(K_RECURSIVE_REF, "$recursiveRef") X(K_REF, "$ref") \
    X(K_ADDITIONAL_ITEMS, "additionalItems") X(K_ADDITIONAL_PROPERTIES, "additionalProperties") X(K_ALL_OF, "allOf") \
    X(K_ANY_OF, "anyOf") X(K_CONST, "const") X(K_CONTAINS, "contains") X(K_CONTENT_ENCODING, "contentEncoding") \
    X(K_CONTENT_MEDIA_TYPE, "contentMediaType") X(K_DEPENDENCIES, "dependencies") \
    X(K_DEPENDENT_REQUIRED, "dependentRequired") X(K_DEPENDENT_SCHEMAS, "dependentSchemas") X(K_ELSE, "else") \
    X(K_ENUM, "enum") X(K_EXCLUSIVE_MAXIMUM, "exclusiveMaximum") X(K_EXCLUSIVE_MINIMUM, "exclusiveMinimum") \
    X(K_FORMAT, "format") X(K_IF, "if") X(K_ITEMS, "items") X(K_MAX_CONTAINS, "maxContains") X(K_MAX_ITEMS, "maxItems") \
    X(K_MAX_LENGTH, "maxLength") X(K_MAX_PROPERTIES, "maxProperties") X(K_MAXIMUM, "maximum") \
    X(K_MIN_CONTAINS, "minContains") X(K_MIN_ITEMS, "minItems") X(K_MIN_LENGTH, "minLength") \
    X(K_MIN_PROPERTIES, "minProperties") X(K_MINIMUM, "minimum") X(K_MULTIPLE_OF, "multipleOf") X(K_NOT, "not") \
    X(K_ONE_OF, "oneOf") X(K_PATTERN, "pattern") X(K_PATTERN_PROPERTIES, "patternProperties") \
    X(K_PREFIX_ITEMS, "prefixItems") X(K_PROPERTIES, "properties") X(K_PROPERTY_NAMES, "propertyNames") \
    X(K_REQUIRED, "required") X(K_THEN, "then") X(K_TYPE, "type") X(K_UNEVALUATED_ITEMS, "unevaluatedItems") \
    X(K_UNEVALUATED_PROPERTIES, "unevaluatedProperties") X(K_UNIQUE_ITEMS, "uniqueItems")
#define X(id, name) id,
enum { KEYWORDS(X) K_COUNT };
#undef X
#define X(id, name) name,
static const char *const keyword_names[] = {KEYWORDS(X)};
#undef X

#define UNBOUNDED 0xffffffffu

/* What is being compiled: the node and the values of its keywords. */
typedef struct work {
    wh_compiler *c;
    wh_node *n;
    const wh_resource *r;
    const wh_json_value *k[K_COUNT];
} work;

static int keyword_find(const wh_json_member *m)
{
    int low = 0, high = K_COUNT - 1;

    while (low <= high) {
        int mid = (low + high) / 2;
        /* a name may hold a NUL: its length counts, and no more of the keyword is looked at than there is */
        apr_size_t len = strlen(keyword_names[mid]);
        int order = memcmp(keyword_names[mid], m->name, len < m->name_len ? len : m->name_len);
        if (order == 0) order = len == m->name_len ? 0 : len < m->name_len ? -1 : 1;
        if (order == 0) return mid;
        if (order < 0) low = mid + 1;
        else high = mid - 1;
    }
    return -1;
}

static void *room(work *w, apr_size_t size)
{
    return apr_pcalloc(w->c->p, size);
}

static int is(const wh_json_value *v, wh_json_type type)
{
    return v && v->type == type;
}

wh_node *wh_schema_node(wh_compiler *c, const wh_json_value *source, wh_resource *resource, const char *keyword)
{
    wh_node *n = apr_hash_get(c->nodes, &source, sizeof(source));
    const wh_resource *own;

    if (n) return n;
    n = apr_pcalloc(c->p, sizeof(*n));
    own = apr_hash_get(c->places, &source, sizeof(source));
    n->source = source;
    n->keyword = keyword;
    n->resource = own ? own : resource;
    ((wh_resource *)n->resource)->entered = 1;
    apr_hash_set(c->nodes, &n->source, sizeof(n->source), n);
    APR_ARRAY_PUSH(c->all, wh_node *) = n;
    return n;
}

static wh_node *child(work *w, int keyword, const wh_json_value *source)
{
    if (!source) return NULL;
    return wh_schema_node(w->c, source, (wh_resource *)w->r, keyword_names[keyword]);
}

static wh_node_list children(work *w, int keyword)
{
    const wh_json_value *list = w->k[keyword];
    wh_node_list out = {NULL, 0};
    apr_uint32_t i;

    if (!is(list, WH_JSON_ARRAY) || list->size == 0) return out;
    out.nodes = room(w, list->size * sizeof(*out.nodes));
    out.count = list->size;
    for (i = 0; i < list->size; i++) out.nodes[i] = child(w, keyword, &list->u.items[i]);
    return out;
}

/* A count, as the meta-schema allows it: not negative, whole, perhaps written 2.0. Anything that large is no bound. */
static apr_uint32_t count_of(const wh_json_value *v, apr_uint32_t otherwise)
{
    wh_decimal d;

    if (!is(v, WH_JSON_NUMBER) || !wh_decimal_parse(&d, v->u.text, v->size) || d.negative || d.exponent < 0) return otherwise;
    if (!d.small || d.exponent > 9) return UNBOUNDED;
    while (d.exponent-- > 0 && d.coefficient < UNBOUNDED) d.coefficient *= 10;
    return d.coefficient < UNBOUNDED ? (apr_uint32_t)d.coefficient : UNBOUNDED;
}

static wh_pattern *pattern_of(work *w, const wh_json_value *at, const char *text, apr_size_t len)
{
    wh_pattern *out = NULL;
    const char *failed = wh_pattern_compile(&out, text, len, w->c->p);

    if (!failed) return out;
    /* The pattern is the operator's own text, so it may be shown. */
    return wh_schema_fail(w->c, w->r->doc, at, "the pattern \"%.*s\": %s", (int)(len > 200 ? 200 : len), text, failed);
}

/* ---- what is asked of any value ---- */

static wh_any_rules *any_rules(work *w)
{
    if (!w->n->any) {
        w->n->any = room(w, sizeof(*w->n->any));
        w->n->any->dynamic = -1;
    }
    return w->n->any;
}

static wh_node *reference(work *w, int keyword, const char **anchor)
{
    wh_resource *target = NULL;
    const wh_json_value *v = wh_schema_resolve(w->c, w->r, w->k[keyword], &target, anchor);
    return v ? wh_schema_node(w->c, v, target, keyword_names[keyword]) : NULL;
}

static int dynamic_number(wh_compiler *c, const char *name)
{
    int *number = apr_hash_get(c->dynamics, name, APR_HASH_KEY_STRING);

    if (!number) {
        number = apr_palloc(c->ptemp, sizeof(*number));
        *number = (int)apr_hash_count(c->dynamics);
        apr_hash_set(c->dynamics, apr_pstrdup(c->ptemp, name), APR_HASH_KEY_STRING, number);
    }
    return *number;
}

static void compile_references(work *w)
{
    const char *anchor = NULL;

    if (is(w->k[K_REF], WH_JSON_STRING)) any_rules(w)->ref = reference(w, K_REF, &anchor);
    if (w->r->dialect.draft == WH_SCHEMA_2020_12 && is(w->k[K_DYNAMIC_REF], WH_JSON_STRING)) {
        wh_any_rules *a = any_rules(w);
        a->plain = a->ref;
        a->ref = reference(w, K_DYNAMIC_REF, &anchor);
        if (anchor) a->dynamic = dynamic_number(w->c, anchor);
    } else if (w->r->dialect.draft == WH_SCHEMA_2019_09 && is(w->k[K_RECURSIVE_REF], WH_JSON_STRING)) {
        wh_any_rules *a = any_rules(w);
        a->plain = a->ref;
        a->ref = reference(w, K_RECURSIVE_REF, &anchor);
        if (a->ref && a->ref->source == a->ref->resource->root && a->ref->resource->is_recursive) a->dynamic = dynamic_number(w->c, "");
    }
}

static void compile_in_place(work *w)
{
    if (is(w->k[K_ALL_OF], WH_JSON_ARRAY)) any_rules(w)->all = children(w, K_ALL_OF);
    if (is(w->k[K_ANY_OF], WH_JSON_ARRAY)) any_rules(w)->any = children(w, K_ANY_OF);
    if (is(w->k[K_ONE_OF], WH_JSON_ARRAY)) any_rules(w)->one = children(w, K_ONE_OF);
    if (w->k[K_NOT]) any_rules(w)->not_ = child(w, K_NOT, w->k[K_NOT]);
    if (w->k[K_IF]) {
        wh_any_rules *a = any_rules(w);
        a->if_ = child(w, K_IF, w->k[K_IF]);
        a->then_ = child(w, K_THEN, w->k[K_THEN]);
        a->else_ = child(w, K_ELSE, w->k[K_ELSE]);
    }
}

static unsigned type_named(const wh_json_value *v)
{
    static const struct {
        const char *name;
        unsigned bits;
    } names[] = {
        {"null", TYPE_BIT(WH_JSON_NULL)}, {"boolean", TYPE_BIT(WH_JSON_FALSE) | TYPE_BIT(WH_JSON_TRUE)}, {"number", TYPE_NUMBER},
        {"integer", TYPE_INTEGER}, {"string", TYPE_BIT(WH_JSON_STRING)}, {"array", TYPE_BIT(WH_JSON_ARRAY)},
        {"object", TYPE_BIT(WH_JSON_OBJECT)},
    };
    apr_size_t i;

    for (i = 0; is(v, WH_JSON_STRING) && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i].name) == v->size && memcmp(names[i].name, v->u.text, v->size) == 0) return names[i].bits;
    }
    return 0;
}

/* Types that values of enum or const can have: others need no visit to be refused. */
static unsigned types_among(const wh_json_value *values, apr_uint32_t count)
{
    unsigned types = 0;
    apr_uint32_t i;

    for (i = 0; i < count; i++) types |= values[i].type == WH_JSON_NUMBER ? TYPE_NUMBER : type_of(&values[i]);
    return types;
}

static void compile_values(work *w)
{
    const wh_json_value *v = w->k[K_TYPE];
    unsigned types = TYPE_ALL;
    apr_uint32_t i;

    if (is(v, WH_JSON_ARRAY)) {
        for (i = 0, types = 0; i < v->size; i++) types |= type_named(&v->u.items[i]);
    } else if (v) {
        types = type_named(v);
        if (!types) wh_schema_fail(w->c, w->r->doc, v, "unknown type");
    }
    w->n->declared = (unsigned char)types;
    v = w->k[K_ENUM];
    if (is(v, WH_JSON_ARRAY)) {
        any_rules(w)->enumeration = wh_choices_make(v->u.items, v->size, w->c->p);
        types &= types_among(v->u.items, v->size);
    }
    v = w->k[K_CONST];
    if (v) {
        any_rules(w)->constant = wh_choices_make(v, 1, w->c->p);
        types &= types_among(v, 1);
    }
    w->n->types = (unsigned char)types;
}

/* ---- numbers and strings ---- */

static void compile_numbers(work *w)
{
    static const int keywords[BOUNDS] = {K_MINIMUM, K_MAXIMUM, K_EXCLUSIVE_MINIMUM, K_EXCLUSIVE_MAXIMUM, K_MULTIPLE_OF};
    int i;

    for (i = 0; i < BOUNDS; i++) {
        const wh_json_value *v = w->k[keywords[i]];
        if (!is(v, WH_JSON_NUMBER)) continue;
        if (!w->n->number) w->n->number = room(w, sizeof(*w->n->number));
        if (!wh_decimal_parse(&w->n->number->bound[i], v->u.text, v->size)) {
            wh_schema_fail(w->c, w->r->doc, v, "exponents are bounded by 1000000000");
            return;
        }
        if (i == BOUND_MULTIPLE && (w->n->number->bound[i].count == 0 || w->n->number->bound[i].negative)) {
            wh_schema_fail(w->c, w->r->doc, v, "must be greater than 0");
            return;
        }
        w->n->number->has |= 1u << i;
    }
}

static wh_string_rules *string_rules(work *w)
{
    if (!w->n->string) {
        w->n->string = room(w, sizeof(*w->n->string));
        w->n->string->max = UNBOUNDED;
    }
    return w->n->string;
}

static void compile_strings(work *w)
{
    const wh_json_value *v;

    if (w->k[K_MIN_LENGTH]) string_rules(w)->min = count_of(w->k[K_MIN_LENGTH], 0);
    if (w->k[K_MAX_LENGTH]) string_rules(w)->max = count_of(w->k[K_MAX_LENGTH], UNBOUNDED);
    v = w->k[K_PATTERN];
    if (is(v, WH_JSON_STRING)) string_rules(w)->pattern = pattern_of(w, v, v->u.text, v->size);
}

static int text_is(const wh_json_value *v, const char *text)
{
    return v->size == strlen(text) && memcmp(v->u.text, text, v->size) == 0;
}

static void compile_meaning(work *w)
{
    const wh_json_value *v = w->k[K_FORMAT];

    if (is(v, WH_JSON_STRING) && (w->c->opts->format_assert || w->r->dialect.vocabularies & VOCAB_FORMAT)) {
        wh_format_check *check = wh_format_find(apr_pstrmemdup(w->c->ptemp, v->u.text, v->size), w->r->dialect.draft);
        if (check) {
            string_rules(w)->format = check;
            w->n->string->scratch = wh_format_takes_scratch(check) != 0;
        }
    }
    if (!w->c->opts->content_assert || w->r->dialect.draft != WH_SCHEMA_DRAFT_07) return;
    v = w->k[K_CONTENT_ENCODING];
    if (is(v, WH_JSON_STRING)) {
        if (!text_is(v, "base64")) return; /* what cannot be decoded says nothing about what is in it */
        string_rules(w)->base64 = 1;
        w->n->string->scratch = 1;
    }
    v = w->k[K_CONTENT_MEDIA_TYPE];
    if (is(v, WH_JSON_STRING) && text_is(v, "application/json")) {
        string_rules(w)->media_json = 1;
        w->n->string->scratch = 1;
    }
}

/* ---- arrays ---- */

static wh_array_rules *array_rules(work *w)
{
    if (!w->n->array) {
        w->n->array = room(w, sizeof(*w->n->array));
        w->n->array->max = w->n->array->max_contains = UNBOUNDED;
        w->n->array->min_contains = 1;
        w->n->array->contains_evaluates = w->r->dialect.draft == WH_SCHEMA_2020_12;
    }
    return w->n->array;
}

static void compile_items(work *w)
{
    if (w->r->dialect.draft == WH_SCHEMA_2020_12) {
        if (is(w->k[K_PREFIX_ITEMS], WH_JSON_ARRAY)) array_rules(w)->prefix = children(w, K_PREFIX_ITEMS);
        if (w->k[K_ITEMS]) array_rules(w)->items = child(w, K_ITEMS, w->k[K_ITEMS]);
    } else if (is(w->k[K_ITEMS], WH_JSON_ARRAY)) {
        array_rules(w)->prefix = children(w, K_ITEMS);
        array_rules(w)->items = child(w, K_ADDITIONAL_ITEMS, w->k[K_ADDITIONAL_ITEMS]);
    } else if (w->k[K_ITEMS]) {
        array_rules(w)->items = child(w, K_ITEMS, w->k[K_ITEMS]);
    }
    if (w->k[K_CONTAINS]) array_rules(w)->contains = child(w, K_CONTAINS, w->k[K_CONTAINS]);
}

static void compile_array_sizes(work *w)
{
    if (w->k[K_MIN_ITEMS]) array_rules(w)->min = count_of(w->k[K_MIN_ITEMS], 0);
    if (w->k[K_MAX_ITEMS]) array_rules(w)->max = count_of(w->k[K_MAX_ITEMS], UNBOUNDED);
    if (is(w->k[K_UNIQUE_ITEMS], WH_JSON_TRUE)) array_rules(w)->unique = 1;
    if (!w->k[K_CONTAINS] || w->r->dialect.draft == WH_SCHEMA_DRAFT_07) return;
    array_rules(w)->min_contains = count_of(w->k[K_MIN_CONTAINS], 1);
    array_rules(w)->max_contains = count_of(w->k[K_MAX_CONTAINS], UNBOUNDED);
}

/* ---- objects ---- */

static wh_object_rules *object_rules(work *w)
{
    if (!w->n->object) {
        w->n->object = room(w, sizeof(*w->n->object));
        w->n->object->max = UNBOUNDED;
    }
    return w->n->object;
}

static wh_prop *slot_of(wh_object_rules *o, const char *name, apr_uint32_t len)
{
    apr_uint32_t hash = wh_json_hash(name, len), i = hash & o->mask;

    while (o->table[i].name && !(o->table[i].hash == hash && o->table[i].len == len && memcmp(o->table[i].name, name, len) == 0)) {
        i = (i + 1) & o->mask;
    }
    o->table[i].hash = hash;
    o->table[i].len = len;
    o->table[i].name = name;
    return &o->table[i];
}

/* properties and required share a table, so that one look at a member serves both. */
static void compile_properties(work *w, int applicators, int validation)
{
    const wh_json_value *props = applicators && is(w->k[K_PROPERTIES], WH_JSON_OBJECT) ? w->k[K_PROPERTIES] : NULL;
    const wh_json_value *required = validation && is(w->k[K_REQUIRED], WH_JSON_ARRAY) ? w->k[K_REQUIRED] : NULL;
    apr_uint32_t count = (props ? props->size : 0) + (required ? required->size : 0), i;
    wh_object_rules *o;

    if (!count) return;
    o = object_rules(w);
    for (o->mask = 3; o->mask < count * 2; o->mask = o->mask * 2 + 1) ;
    o->table = room(w, (o->mask + 1) * sizeof(*o->table));
    for (i = 0; props && i < props->size; i++) {
        const wh_json_member *m = &props->u.members[i];
        slot_of(o, m->name, m->name_len)->node = child(w, K_PROPERTIES, &m->value);
    }
    for (i = 0; required && i < required->size; i++) {
        const wh_json_value *name = &required->u.items[i];
        wh_prop *slot;
        if (name->type != WH_JSON_STRING) continue;
        slot = slot_of(o, name->u.text, name->size);
        o->required += !slot->required;
        slot->required = 1;
    }
    o->required_names = required;
}

static void compile_members(work *w)
{
    const wh_json_value *v = w->k[K_PATTERN_PROPERTIES];
    apr_uint32_t i;

    if (is(v, WH_JSON_OBJECT) && v->size) {
        wh_object_rules *o = object_rules(w);
        o->patterns = room(w, v->size * sizeof(*o->patterns));
        for (i = 0; i < v->size; i++) {
            const wh_json_member *m = &v->u.members[i];
            o->patterns[i].pattern = pattern_of(w, &m->value, m->name, m->name_len);
            o->patterns[i].node = child(w, K_PATTERN_PROPERTIES, &m->value);
        }
        o->npatterns = v->size;
    }
    if (w->k[K_ADDITIONAL_PROPERTIES]) {
        object_rules(w)->additional = child(w, K_ADDITIONAL_PROPERTIES, w->k[K_ADDITIONAL_PROPERTIES]);
    }
    if (w->k[K_PROPERTY_NAMES]) object_rules(w)->names = child(w, K_PROPERTY_NAMES, w->k[K_PROPERTY_NAMES]);
}

static void add_depends(work *w, int keyword, apr_array_header_t *list)
{
    const wh_json_value *v = w->k[keyword];
    apr_uint32_t i, j;

    for (i = 0; is(v, WH_JSON_OBJECT) && i < v->size; i++) {
        const wh_json_member *m = &v->u.members[i];
        wh_depend *d = apr_array_push(list);
        memset(d, 0, sizeof(*d));
        d->name = *m;
        d->keyword = keyword_names[keyword];
        if (m->value.type != WH_JSON_ARRAY) {
            if (keyword != K_DEPENDENT_REQUIRED) d->node = child(w, keyword, &m->value);
            continue;
        }
        if (keyword == K_DEPENDENT_SCHEMAS) continue;
        d->required = room(w, (m->value.size + 1) * sizeof(*d->required));
        for (j = 0; j < m->value.size; j++) {
            const wh_json_value *name = &m->value.u.items[j];
            if (name->type != WH_JSON_STRING) continue;
            d->required[d->nrequired].name = name->u.text;
            d->required[d->nrequired].len = name->size;
            d->required[d->nrequired++].hash = wh_json_hash(name->u.text, name->size);
        }
    }
}

/* Drafts that renamed `dependencies` still know it here: schemas were seldom changed for it. */
static void compile_depends(work *w, int applicators, int validation)
{
    apr_array_header_t *list = apr_array_make(w->c->p, 4, sizeof(wh_depend));
    int modern = w->r->dialect.draft != WH_SCHEMA_DRAFT_07;

    if (applicators) add_depends(w, K_DEPENDENCIES, list);
    if (applicators && modern) add_depends(w, K_DEPENDENT_SCHEMAS, list);
    if (validation && modern) add_depends(w, K_DEPENDENT_REQUIRED, list);
    if (!list->nelts) return;
    object_rules(w)->depends = (wh_depend *)list->elts;
    object_rules(w)->ndepends = (apr_uint32_t)list->nelts;
}

void wh_schema_compile_node(wh_compiler *c, wh_node *n)
{
    unsigned vocabularies = n->resource->dialect.vocabularies;
    int applicators = !!(vocabularies & VOCAB_APPLICATOR), validation = !!(vocabularies & VOCAB_VALIDATION);
    const wh_json_value *source = n->source;
    apr_uint32_t i;
    work w;

    n->types = n->declared = TYPE_ALL;
    if (source->type == WH_JSON_FALSE) {
        n->types = n->declared = 0;
        n->refused = 1;
    }
    if (source->type == WH_JSON_FALSE || source->type == WH_JSON_TRUE) return;
    if (source->type != WH_JSON_OBJECT) {
        wh_schema_fail(c, n->resource->doc, source, "is no schema: it must be an object, true or false");
        return;
    }
    memset(&w, 0, sizeof(w));
    w.c = c;
    w.n = n;
    w.r = n->resource;
    for (i = 0; i < source->size; i++) {
        int keyword = keyword_find(&source->u.members[i]);
        if (keyword >= 0) w.k[keyword] = &source->u.members[i].value;
    }
    compile_references(&w);
    /* Draft 07, section 8.3: "All other properties in a "$ref" object MUST be ignored." */
    if (w.r->dialect.draft == WH_SCHEMA_DRAFT_07 && is(w.k[K_REF], WH_JSON_STRING)) return;
    if (validation) {
        compile_values(&w);
        compile_numbers(&w);
        compile_strings(&w);
        compile_array_sizes(&w);
        if (w.k[K_MIN_PROPERTIES]) object_rules(&w)->min = count_of(w.k[K_MIN_PROPERTIES], 0);
        if (w.k[K_MAX_PROPERTIES]) object_rules(&w)->max = count_of(w.k[K_MAX_PROPERTIES], UNBOUNDED);
    }
    if (applicators) {
        compile_in_place(&w);
        compile_items(&w);
        compile_members(&w);
    }
    compile_properties(&w, applicators, validation);
    compile_depends(&w, applicators, validation);
    compile_meaning(&w);
    if (w.r->dialect.draft != WH_SCHEMA_DRAFT_07 && vocabularies & VOCAB_UNEVALUATED) {
        n->unevaluated_props = child(&w, K_UNEVALUATED_PROPERTIES, w.k[K_UNEVALUATED_PROPERTIES]);
        n->unevaluated_items = child(&w, K_UNEVALUATED_ITEMS, w.k[K_UNEVALUATED_ITEMS]);
    }
}
