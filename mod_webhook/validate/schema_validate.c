/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_validate.c: a document against a compiled schema.
 *
 * One engine, two passes. The first wants a verdict: it stops at the first failure and notes nothing. Only when that is "invalid" the
 * second goes on after failures and notes them, up to the cap. In both, branches of anyOf, oneOf, not, if and contains are asked quietly:
 * that one of them fails is no failure of the document.
 *
 * Every visit of a node, member or element counts as a step, long strings and hashed values as several. When a bound is hit nothing is
 * visited any more, so that all loops run out, and whatever they make of it the verdict is "refused".
 */
#include "core/json_hash.h"
#include "validate/schema_run.h"

#include <string.h>

#define CHUNK 8192
#define MIB (1024 * 1024)

typedef struct wh_chunk {
    struct wh_chunk *next;
    apr_size_t size, used;
    apr_uint64_t data[];
} wh_chunk;

/* ---- marks ---- */

static apr_uint64_t *marks_room(wh_run *c, apr_uint32_t words)
{
    apr_uint64_t *out;

    while (c->chunks->used + words > c->chunks->size) {
        if (!c->chunks->next || c->chunks->next->size < words) {
            apr_size_t size = words > CHUNK ? words : CHUNK;
            wh_chunk *fresh = apr_palloc(c->p, sizeof(*fresh) + size * sizeof(apr_uint64_t));
            fresh->size = size;
            fresh->next = c->chunks->next;
            c->chunks->next = fresh;
        }
        c->chunks = c->chunks->next;
        c->chunks->used = 0;
    }
    out = c->chunks->data + c->chunks->used;
    c->chunks->used += words;
    memset(out, 0, words * sizeof(*out));
    return out;
}

typedef struct marks_place {
    wh_chunk *at;
    apr_size_t used;
} marks_place;

static void marks_open(wh_run *c, wh_marks *m, apr_uint32_t size, marks_place *place)
{
    if (!c->chunks) {
        c->chunks = apr_palloc(c->p, sizeof(wh_chunk) + 64 * sizeof(apr_uint64_t));
        c->chunks->next = NULL;
        c->chunks->size = 64;
        c->chunks->used = 0;
    }
    place->at = c->chunks;
    place->used = c->chunks->used;
    m->words = size / 64 + 1;
    m->bits = marks_room(c, m->words);
    c->steps += m->words / 8;
}

static void marks_close(wh_run *c, const marks_place *place)
{
    c->chunks = place->at;
    c->chunks->used = place->used;
}

static inline void mark(wh_marks *m, apr_uint32_t i)
{
    m->bits[i / 64] |= (apr_uint64_t)1 << (i % 64);
}

static inline int is_marked(const wh_marks *m, apr_uint32_t i)
{
    return (m->bits[i / 64] >> (i % 64)) & 1;
}

static void mark_from(wh_marks *m, apr_uint32_t from, apr_uint32_t size)
{
    for (; from < size && from % 64; from++) mark(m, from);
    if (from < size) memset(m->bits + from / 64, 0xff, (m->words - from / 64) * sizeof(*m->bits));
}

static void marks_add(wh_marks *to, const wh_marks *from)
{
    apr_uint32_t i;

    for (i = 0; i < from->words; i++) to->bits[i] |= from->bits[i];
}

/* ---- one schema in another ---- */

static int check_array(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m);
static int check_object(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m);

/* What a node says about a member or element: for most of them the type says it all, or one group does, and a visit is that and a step. */
static inline int judge(wh_run *c, const wh_node *n, const wh_json_value *v)
{
    unsigned bit = type_of(v);
    int ok;

    if (n->types & bit && !(n->busy & bit)) return 1;
    if (!(n->types & n->alone & bit) || c->skip || !c->depth || c->steps >= c->limit) return wh_run_visit(c, n, v, NULL);
    c->steps++;
    if (v->type == WH_JSON_STRING) return wh_run_string(c, n, v);
    c->depth--;
    ok = v->type == WH_JSON_ARRAY ? check_array(c, n, v, NULL) : check_object(c, n, v, NULL);
    c->depth++;
    return ok;
}

/* The verdict of a branch, without notes. */
static int ask(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    int quiet = c->quiet, ok;

    c->quiet = 1;
    ok = wh_run_visit(c, n, v, m);
    if (!c->refused) c->quiet = quiet;
    return ok;
}

/* The same where marks of a branch count only if it holds. */
static int ask_marking(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    marks_place place;
    wh_marks own;
    int ok;

    if (!m) return ask(c, n, v, NULL);
    marks_open(c, &own, m->words * 64 - 1, &place);
    ok = ask(c, n, v, &own);
    if (ok) marks_add(m, &own);
    marks_close(c, &place);
    return ok;
}

/* ---- arrays ---- */

static int check_contains(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    const wh_array_rules *a = n->array;
    apr_uint32_t i, found = 0;
    int ok = 1;

    for (i = 0; i < v->size && !c->refused; i++) {
        unsigned bit = type_of(&v->u.items[i]);
        if (!((a->contains->types & bit && !(a->contains->busy & bit)) || ask(c, a->contains, &v->u.items[i], NULL))) continue;
        found++;
        if (m && a->contains_evaluates) mark(m, i);
        else if (found >= a->min_contains && a->max_contains >= v->size) break; /* no more can change it */
    }
    if (c->refused) return 0;
    if (found < a->min_contains) FAIL(a->min_contains == 1 ? "contains" : "minContains", v);
    if (found > a->max_contains) FAIL("maxContains", v);
    return ok;
}

static int check_array(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    const wh_array_rules *a = n->array;
    apr_uint32_t i, prefix = a->prefix.count < v->size ? a->prefix.count : v->size;
    int ok = 1;

    if (!v->size && !a->min && !a->contains) return 1;
    if (!wh_run_spend(c, v->size)) return wh_run_refuse(c, "schema-budget", n, "items", v);
    if (v->size < a->min) FAIL("minItems", v);
    if (v->size > a->max) FAIL("maxItems", v);
    for (i = 0; i < prefix; i++) {
        MUST(judge(c, a->prefix.nodes[i], &v->u.items[i]));
        if (m) mark(m, i);
    }
    if (a->items) {
        for (; i < v->size; i++) MUST(judge(c, a->items, &v->u.items[i]));
        if (m) mark_from(m, prefix, v->size);
    }
    if (a->contains) MUST(check_contains(c, n, v, m));
    if (a->unique && v->size > 1) {
        apr_uint64_t work = 0;
        int unique = wh_values_unique(v->u.items, v->size, &work, wh_run_scratch(c));
        apr_pool_clear(c->scratch);
        if (!wh_run_spend(c, work)) return wh_run_refuse(c, "schema-budget", n, "uniqueItems", v);
        if (!unique) FAIL("uniqueItems", v);
    }
    return ok;
}

/* ---- objects ---- */

static inline const wh_prop *prop_find(const wh_object_rules *o, const wh_json_member *m)
{
    const wh_prop *prop;
    apr_uint32_t i;

    if (!o->table) return NULL;
    for (i = m->hash;; i++) {
        prop = &o->table[i & o->mask];
        if (!prop->name) return NULL;
        if (prop->hash == m->hash && prop->len == m->name_len && wh_json_same_name(prop->name, m->name, m->name_len)) return prop;
    }
}

static int __attribute__((noinline)) note_missing(wh_run *c, const wh_node *n, const wh_json_value *v)
{
    const wh_json_value *names = n->object->required_names;
    apr_uint32_t i;
    int ok = 1;

    for (i = 0; i < names->size; i++) {
        const wh_json_value *name = &names->u.items[i];
        if (!wh_json_member_get(v, name->u.text, name->size, wh_json_hash(name->u.text, name->size))) FAIL("required", v);
    }
    return ok;
}

/* A name as the value that propertyNames judges. */
static int check_name(wh_run *c, const wh_node *n, const wh_json_member *member)
{
    wh_json_value name = member->value;
    int ok = 1;

    name.type = WH_JSON_STRING;
    name.integer = 0;
    name.size = member->name_len;
    name.u.text = member->name;
    if (!ask(c, n->object->names, &name, NULL)) {
        if (c->refused) return 0;
        FAIL("propertyNames", &member->value);
    }
    return ok;
}

static int check_depends(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    const wh_object_rules *o = n->object;
    apr_uint32_t i, j;
    int ok = 1;

    for (i = 0; i < o->ndepends; i++) {
        const wh_depend *d = &o->depends[i];
        if (!wh_run_spend(c, v->size / 4 + 1)) return wh_run_refuse(c, "schema-budget", n, d->keyword, v);
        if (!wh_json_member_get(v, d->name.name, d->name.name_len, d->name.hash)) continue;
        for (j = 0; j < d->nrequired; j++) {
            if (!wh_run_spend(c, v->size / 4 + 1)) return wh_run_refuse(c, "schema-budget", n, d->keyword, v);
            if (!wh_json_member_get(v, d->required[j].name, d->required[j].len, d->required[j].hash)) FAIL(d->keyword, v);
        }
        if (d->node) MUST(wh_run_visit(c, d->node, v, m));
    }
    return ok;
}

/* Members that patternProperties may say something about. @return 1 valid; *matched when one did */
static int check_patterns(wh_run *c, const wh_node *n, const wh_json_member *member, int *matched)
{
    const wh_object_rules *o = n->object;
    apr_uint32_t i;
    int ok = 1;

    for (i = 0; i < o->npatterns; i++) {
        if (!wh_run_spend(c, 1)) return wh_run_refuse(c, "schema-budget", n, "patternProperties", &member->value);
        if (!wh_run_matches(c, o->patterns[i].pattern, member->name, member->name_len, n, "patternProperties", &member->value)) continue;
        *matched = 1;
        MUST(judge(c, o->patterns[i].node, &member->value));
    }
    return ok;
}

/* The members of an object that is asked for more than its properties. *hits grows by the required ones. */
static int __attribute__((noinline)) check_members(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m, apr_uint32_t *hits)
{
    const wh_object_rules *o = n->object;
    apr_uint32_t i;
    int ok = 1;

    for (i = 0; i < v->size; i++) {
        const wh_json_member *member = &v->u.members[i];
        const wh_prop *prop = prop_find(o, member);
        int matched = 0;
        if (prop) {
            *hits += prop->required;
            if (prop->node) {
                matched = 1;
                MUST(judge(c, prop->node, &member->value));
            }
        }
        if (o->npatterns) MUST(check_patterns(c, n, member, &matched));
        if (!matched && o->additional) {
            matched = 1;
            MUST(judge(c, o->additional, &member->value));
        }
        if (m && matched) mark(m, i);
        if (o->names) MUST(check_name(c, n, member));
    }
    return ok;
}

static int check_object(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    const wh_object_rules *o = n->object;
    apr_uint32_t hits = 0;
    int ok = 1;

    if (!wh_run_spend(c, v->size)) return wh_run_refuse(c, "schema-budget", n, "properties", v);
    if (v->size < o->min) FAIL("minProperties", v);
    if (v->size > o->max) FAIL("maxProperties", v);
    if (m || o->npatterns || o->names) MUST(check_members(c, n, v, m, &hits));
    else {
        const wh_json_member *member = v->u.members, *end = member + v->size;
        for (; member < end; member++) {
            const wh_prop *prop = prop_find(o, member);
            const wh_node *node = o->additional;
            if (prop) {
                hits += prop->required;
                if (prop->node) node = prop->node;
            }
            if (node) MUST(judge(c, node, &member->value));
        }
    }
    if (hits < o->required) MUST(c->quiet ? 0 : note_missing(c, n, v));
    if (o->ndepends) MUST(check_depends(c, n, v, m));
    return ok;
}

/* ---- what is asked of any value ---- */

/* Where a dynamic reference leads now: the outermost resource entered that has the anchor. */
static const wh_node *dynamic_target(wh_run *c, const wh_any_rules *a)
{
    apr_uint32_t i;

    for (i = 0; i < c->scopes; i++) {
        const wh_node *target = c->scope[i]->dynamic ? c->scope[i]->dynamic[a->dynamic] : NULL;
        if (!target) continue;
        c->steps += i;
        return target;
    }
    return a->ref;
}

static int check_any_of(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    const wh_node_list *list = &n->any->any;
    apr_uint32_t i, found = 0;
    int ok = 1;

    for (i = 0; i < list->count && !c->refused && (m || !found); i++) found += (apr_uint32_t)ask_marking(c, list->nodes[i], v, m);
    if (c->refused) return 0;
    if (!found) {
        FAIL("anyOf", v);
        wh_run_explain(c, list, v);
    }
    return ok;
}

static int check_one_of(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    const wh_node_list *list = &n->any->one;
    apr_uint32_t i, found = 0;
    int ok = 1;

    for (i = 0; i < list->count && !c->refused && found < 2; i++) found += (apr_uint32_t)ask_marking(c, list->nodes[i], v, m);
    if (c->refused) return 0;
    if (found != 1) FAIL("oneOf", v);
    if (!found) wh_run_explain(c, list, v);
    return ok;
}

static int check_any(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    const wh_any_rules *a = n->any;
    apr_uint64_t work = 0;
    apr_uint32_t i;
    int ok = 1, constant, listed;

    constant = !a->constant || wh_choices_have(a->constant, v, &work);
    listed = !a->enumeration || wh_choices_have(a->enumeration, v, &work);
    /* paid for also where it says no */
    if (!wh_run_spend(c, work)) return wh_run_refuse(c, "schema-budget", n, "enum", v);
    if (!constant) FAIL("const", v);
    if (!listed) FAIL("enum", v);
    if (a->plain) MUST(wh_run_visit(c, a->plain, v, m));
    if (a->ref) MUST(wh_run_visit(c, a->dynamic < 0 ? a->ref : dynamic_target(c, a), v, m));
    for (i = 0; i < a->all.count; i++) MUST(wh_run_visit(c, a->all.nodes[i], v, m));
    if (a->any.count) MUST(check_any_of(c, n, v, m));
    if (a->one.count) MUST(check_one_of(c, n, v, m));
    if (a->not_ && ask(c, a->not_, v, NULL)) {
        if (c->refused) return 0;
        FAIL("not", v);
    }
    if (a->if_ && (a->then_ || a->else_ || m)) {
        const wh_node *next = ask_marking(c, a->if_, v, m) ? a->then_ : a->else_;
        if (c->refused) return 0;
        if (next) MUST(wh_run_visit(c, next, v, m));
    }
    return ok;
}

/* ---- a node ---- */

static inline int check(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    int ok = 1;

    switch (v->type) {
    case WH_JSON_OBJECT:
        if (n->object) MUST(check_object(c, n, v, m));
        break;
    case WH_JSON_ARRAY:
        if (n->array) MUST(check_array(c, n, v, m));
        break;
    case WH_JSON_STRING:
        if (n->string) MUST(wh_run_string(c, n, v));
        break;
    case WH_JSON_NUMBER:
        if (n->number) MUST(wh_run_number(c, n, v));
        break;
    default: break;
    }
    if (n->any) MUST(check_any(c, n, v, m));
    return ok;
}

/* A node with unevaluatedProperties or unevaluatedItems looks at what all its other keywords left. */
static int __attribute__((noinline)) check_left(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    const wh_node *rest = v->type == WH_JSON_OBJECT ? n->unevaluated_props : n->unevaluated_items;
    marks_place place;
    apr_uint32_t i;
    wh_marks own;
    int ok = 1;

    marks_open(c, &own, v->size, &place);
    if (!check(c, n, v, &own)) ok = 0;
    for (i = 0; (ok || !c->quiet) && i < v->size; i++) {
        if (is_marked(&own, i)) continue;
        if (!judge(c, rest, v->type == WH_JSON_OBJECT ? &v->u.members[i].value : &v->u.items[i])) ok = 0;
    }
    if (m) mark_from(m, 0, v->size);
    marks_close(c, &place);
    return ok && (wh_run_spend(c, v->size) || wh_run_refuse(c, "schema-budget", n, "unevaluatedProperties", v));
}

int wh_run_visit(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m)
{
    unsigned bit = type_of(v), types = c->quiet ? n->types : n->declared;
    int ok = 1, entered = 0;

    if (++c->steps > c->limit) return wh_run_refuse(c, "schema-budget", n, "$ref", v);
    if (c->depth == 0) return wh_run_refuse(c, "schema-depth", n, "$ref", v);
    if (c->skip && apr_hash_get(c->skip, &v, sizeof(v))) return 1;
    if (!(types & bit)) {
        if (!(bit == TYPE_FRACTION && types & TYPE_INTEGER && wh_run_whole(c, n, v))) {
            if (c->refused) return 0;
            FAIL(n->refused ? n->keyword : "type", v);
        }
    }
    if (c->schema->dynamic && c->scope[c->scopes - 1] != n->resource) {
        c->scope[c->scopes++] = n->resource;
        entered = 1;
    }
    c->depth--;
    if ((n->unevaluated_props && v->type == WH_JSON_OBJECT) || (n->unevaluated_items && v->type == WH_JSON_ARRAY)) {
        if (!check_left(c, n, v, m)) ok = 0;
    } else if (!check(c, n, v, m)) {
        ok = 0;
    }
    c->depth++;
    if (entered) c->scopes--;
    return ok;
}

/* ---- passes ---- */

static int pass(wh_run *c, int quiet, apr_uint64_t limit)
{
    int valid;

    c->steps = c->spent->steps[!quiet];
    c->limit = limit;
    c->depth = c->schema->depth;
    c->quiet = quiet;
    c->noting = !quiet;
    c->refused = NULL;
    c->scopes = 1;
    valid = wh_run_visit(c, c->schema->root, &c->doc->root, NULL);
    c->spent->steps[!quiet] = c->steps;
    return valid;
}

static wh_schema_verdict validate(const wh_schema *schema, const wh_json *doc, apr_hash_t *skip, wh_schema_spent *spent,
                                  wh_schema_result *result, apr_pool_t *p)
{
    apr_uint64_t before = spent->steps[0], limit = schema->steps + (apr_uint64_t)schema->steps * (doc->text.len / MIB);
    wh_run c;
    int valid;

    memset(result, 0, sizeof(*result));
    memset(&c, 0, sizeof(c));
    c.schema = schema;
    c.doc = doc;
    c.skip = skip;
    c.spent = spent;
    c.result = result;
    c.p = p;
    if (schema->dynamic) {
        c.scope = apr_palloc(p, (schema->depth + 1) * sizeof(*c.scope));
        c.scope[0] = schema->root->resource;
    }
    valid = pass(&c, 1, limit);
    result->steps = c.steps - before;
    if (c.refused) {
        wh_run_tell(&c);
        result->reason = c.refused;
        return result->verdict = WH_SCHEMA_REFUSED;
    }
    if (valid) return result->verdict = WH_SCHEMA_VALID;
    c.spare = apr_palloc(p, 2 * sizeof(*c.spare));
    /* Going on after failures visits more than stopping at the first: what is not found within a multiple is not worth it. */
    pass(&c, 0, limit * 2);
    result->more |= c.refused != NULL;
    if (result->count == 0) wh_run_note(&c, schema->root, "schema", &doc->root);
    wh_run_tell(&c);
    result->reason = "schema";
    return result->verdict = WH_SCHEMA_INVALID;
}

wh_schema_verdict wh_schema_validate_but(const wh_schema *schema, const wh_json *doc, apr_hash_t *skip, wh_schema_result *result,
                                         apr_pool_t *p)
{
    wh_schema_spent own;

    memset(&own, 0, sizeof(own));
    return validate(schema, doc, skip, &own, result, p);
}

wh_schema_verdict wh_schema_validate(const wh_schema *schema, const wh_json *doc, wh_schema_result *result, apr_pool_t *p)
{
    return wh_schema_validate_but(schema, doc, NULL, result, p);
}

wh_schema_verdict wh_schema_validate_part(const wh_schema *schema, const wh_json *doc, wh_schema_spent *spent, wh_schema_result *result,
                                          apr_pool_t *p)
{
    return validate(schema, doc, NULL, spent, result, p);
}
