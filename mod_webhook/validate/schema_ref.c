/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_ref.c: the documents of a schema: which dialect each is in, which identifiers and anchors they hold, where a reference leads.
 *
 * A document is walked once, through the keywords its draft knows: an "$id" inside an enum or below an unknown keyword is none. A
 * reference may still point into such a place; what it finds there is then a schema and is walked like one.
 */
#include "validate/schema_impl.h"
#include "validate/schema_uri.h"

#include <string.h>
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>

#define MAX_FILE (64 * 1024 * 1024)
#define MAX_NESTING 8

#define D07 1
#define D19 2
#define D20 4
#define DALL (D07 | D19 | D20)

static const struct {
    const char *name;
    int drafts;
    wh_keyword_kind kind;
} keywords[] = {
    {"additionalItems", D07 | D19, KEYWORD_SCHEMA},
    {"additionalProperties", DALL, KEYWORD_SCHEMA},
    {"allOf", DALL, KEYWORD_SCHEMAS},
    {"anyOf", DALL, KEYWORD_SCHEMAS},
    {"oneOf", DALL, KEYWORD_SCHEMAS},
    {"prefixItems", D20, KEYWORD_SCHEMAS},
    {"items", DALL, KEYWORD_SCHEMA_OR_SCHEMAS},
    {"contains", DALL, KEYWORD_SCHEMA},
    {"not", DALL, KEYWORD_SCHEMA},
    {"if", DALL, KEYWORD_SCHEMA},
    {"then", DALL, KEYWORD_SCHEMA},
    {"else", DALL, KEYWORD_SCHEMA},
    {"propertyNames", DALL, KEYWORD_SCHEMA},
    {"properties", DALL, KEYWORD_NAMED},
    {"patternProperties", DALL, KEYWORD_NAMED},
    {"definitions", DALL, KEYWORD_NAMED},
    {"$defs", D19 | D20, KEYWORD_NAMED},
    {"dependencies", DALL, KEYWORD_NAMED},
    {"dependentSchemas", D19 | D20, KEYWORD_NAMED},
    {"unevaluatedItems", D19 | D20, KEYWORD_SCHEMA},
    {"unevaluatedProperties", D19 | D20, KEYWORD_SCHEMA},
    {"contentSchema", D19 | D20, KEYWORD_SCHEMA},
};

static const struct {
    const char *uri;
    int draft;
} dialects[] = {
    {"http://json-schema.org/draft-07/schema", WH_SCHEMA_DRAFT_07},
    {"https://json-schema.org/draft/2019-09/schema", WH_SCHEMA_2019_09},
    {"https://json-schema.org/draft/2020-12/schema", WH_SCHEMA_2020_12},
};

static wh_keyword_kind kind_of(const wh_json_member *m, int draft)
{
    int bit = draft == WH_SCHEMA_DRAFT_07 ? D07 : draft == WH_SCHEMA_2019_09 ? D19 : D20;
    apr_size_t i;

    for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (keywords[i].drafts & bit && strlen(keywords[i].name) == m->name_len && memcmp(keywords[i].name, m->name, m->name_len) == 0) {
            return keywords[i].kind;
        }
    }
    return KEYWORD_NONE;
}

static const wh_json_value *string_member(const wh_json_value *object, const char *name)
{
    const wh_json_value *v = wh_json_get(object, name);
    return wh_json_typeof(v) == WH_JSON_STRING ? v : NULL;
}

static webhook_slice slice_of(const wh_json_value *v)
{
    return (webhook_slice){v->u.text, v->size};
}

/* ---- loading ---- */

const char *wh_schema_read_file(webhook_slice *text, const char *path, apr_pool_t *p)
{
    apr_file_t *file;
    apr_finfo_t info;
    apr_size_t len;
    char *data, why[120];
    apr_status_t rv;

    /* looked at first: opening a FIFO would wait for somebody to write */
    if (apr_stat(&info, path, APR_FINFO_TYPE, p) == APR_SUCCESS && info.filetype != APR_REG) return "is no regular file";
    rv = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY, APR_OS_DEFAULT, p);
    if (rv) return apr_pstrcat(p, "cannot be opened: ", apr_strerror(rv, why, sizeof(why)), NULL);
    rv = apr_file_info_get(&info, APR_FINFO_SIZE | APR_FINFO_TYPE, file);
    if (!rv && info.filetype != APR_REG) {
        apr_file_close(file);
        return "is no regular file";
    }
    if (!rv && info.size > MAX_FILE) {
        apr_file_close(file);
        return "is larger than 64 MiB";
    }
    if (!rv) {
        data = apr_palloc(p, (apr_size_t)info.size + 1);
        rv = apr_file_read_full(file, data, (apr_size_t)info.size, &len);
        *text = (webhook_slice){data, len};
    }
    apr_file_close(file);
    return rv ? apr_pstrcat(p, "cannot be read: ", apr_strerror(rv, why, sizeof(why)), NULL) : NULL;
}

/* The file a mapped URI stands for, NULL when none is mapped. */
static const char *mapped_file(wh_compiler *c, const char *uri)
{
    const wh_schema_map *best = NULL;
    apr_size_t best_len = 0;
    const char *path;
    apr_finfo_t info;
    int i;

    for (i = 0; c->opts->maps && i < c->opts->maps->nelts; i++) {
        const wh_schema_map *map = &APR_ARRAY_IDX(c->opts->maps, i, wh_schema_map);
        apr_size_t len = strlen(map->prefix);
        if (strncmp(uri, map->prefix, len) != 0 || (best && len <= best_len)) continue;
        /* "https://a/b" stands for https://a/b/c, but not for https://a/bc. */
        if (len && map->prefix[len - 1] != '/' && uri[len] && uri[len] != '/') continue;
        best = map;
        best_len = len;
    }
    if (!best) return NULL;
    path = wh_uri_to_path(best->directory, uri + best_len, c->ptemp);
    if (!path) return NULL;
    if (apr_stat(&info, path, APR_FINFO_TYPE, c->ptemp) == APR_SUCCESS && info.filetype == APR_REG) return path;
    return apr_pstrcat(c->ptemp, path, ".json", NULL);
}

static wh_resource *load(wh_compiler *c, const char *uri, int draft, const wh_schema_doc *doc, const wh_json_value *at)
{
    wh_resource *r = apr_hash_get(c->resources, uri, APR_HASH_KEY_STRING);
    const webhook_slice *builtin;
    const char *path, *failed;
    webhook_slice text;

    if (r) return r;
    builtin = wh_schema_builtin(uri);
    if (builtin) return wh_schema_add(c, *builtin, apr_pstrdup(c->p, uri), uri, draft);
    path = mapped_file(c, uri);
    if (!path) {
        return wh_schema_fail(c, doc, at, "refers to \"%s\", which is neither in this file nor built in nor mapped to a directory", uri);
    }
    failed = wh_schema_read_file(&text, path, c->p);
    if (failed) return wh_schema_fail(c, doc, at, "refers to \"%s\": %s %s", uri, path, failed);
    return wh_schema_add(c, text, apr_pstrdup(c->p, path), uri, draft);
}

/* ---- dialects ---- */

static unsigned vocabulary_bits(const char *name)
{
    static const struct {
        const char *name;
        unsigned bits;
    } known[] = {
        {"2019-09/vocab/core", 0}, {"2019-09/vocab/applicator", VOCAB_APPLICATOR | VOCAB_UNEVALUATED},
        {"2019-09/vocab/validation", VOCAB_VALIDATION}, {"2019-09/vocab/meta-data", 0}, {"2019-09/vocab/format", VOCAB_FORMAT},
        {"2019-09/vocab/content", 0}, {"2020-12/vocab/core", 0}, {"2020-12/vocab/applicator", VOCAB_APPLICATOR},
        {"2020-12/vocab/unevaluated", VOCAB_UNEVALUATED}, {"2020-12/vocab/validation", VOCAB_VALIDATION},
        {"2020-12/vocab/meta-data", 0}, {"2020-12/vocab/format-annotation", 0}, {"2020-12/vocab/format-assertion", VOCAB_FORMAT},
        {"2020-12/vocab/content", 0},
    };
    static const char base[] = "https://json-schema.org/draft/";
    apr_size_t i;

    if (strncmp(name, base, sizeof(base) - 1) != 0) return ~0u;
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i].name, name + sizeof(base) - 1) == 0) return known[i].bits;
    }
    return ~0u;
}

/* What a meta-schema's $vocabulary says; without one it is like the draft's own. @return 0 with the error kept */
static int read_vocabularies(wh_compiler *c, wh_dialect *d, const wh_resource *meta)
{
    const wh_json_value *v = wh_json_get(meta->root, "$vocabulary");
    apr_uint32_t i;

    d->vocabularies = VOCAB_ALL;
    if (d->draft == WH_SCHEMA_DRAFT_07 || wh_json_typeof(v) != WH_JSON_OBJECT) return 1;
    d->vocabularies = 0;
    for (i = 0; i < v->size; i++) {
        const wh_json_member *m = &v->u.members[i];
        const char *name = apr_pstrmemdup(c->ptemp, m->name, m->name_len);
        int required = m->value.type == WH_JSON_TRUE;
        unsigned bits = vocabulary_bits(name);
        if (bits == ~0u && required) {
            wh_schema_fail(c, meta->doc, &m->value, "requires the vocabulary \"%s\", which is not known", name);
            return 0;
        }
        /* 2019-09's format is an annotation unless it is required; 2020-12's format-assertion always decides. */
        if (bits == ~0u || (bits == VOCAB_FORMAT && !required && d->draft == WH_SCHEMA_2019_09)) continue;
        d->vocabularies |= bits;
    }
    return 1;
}

static int dialect_find(wh_compiler *c, wh_dialect *d, const wh_json_value *name, const wh_schema_doc *doc)
{
    webhook_slice fragment;
    const char *uri = wh_uri_resolve("", slice_of(name), &fragment, c->ptemp);
    wh_resource *meta;
    apr_size_t i;

    for (i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        if (strcmp(uri, dialects[i].uri) == 0 && fragment.len == 0) {
            *d = (wh_dialect){dialects[i].draft, VOCAB_ALL, dialects[i].uri};
            return 1;
        }
    }
    if (strncmp(uri, "http://json-schema.org/draft-0", 30) == 0 || strncmp(uri, "http://json-schema.org/schema", 29) == 0) {
        wh_schema_fail(c, doc, name, "\"%s\" is no draft that is known; known are %s, %s and %s", uri, dialects[0].uri, dialects[1].uri,
                       dialects[2].uri);
        return 0;
    }
    if (++c->nesting > MAX_NESTING) {
        wh_schema_fail(c, doc, name, "meta-schemas are nested too deep");
        return 0;
    }
    meta = load(c, uri, WH_SCHEMA_2020_12, doc, name);
    c->nesting--;
    if (!meta) return 0;
    d->draft = meta->dialect.draft;
    d->meta = uri;
    return read_vocabularies(c, d, meta);
}

/* ---- identifiers ---- */

static void add_anchor(wh_compiler *c, wh_resource *r, webhook_slice name, const wh_json_value *value, int dynamic)
{
    wh_anchor *anchor = apr_hash_get(r->anchors, name.data, (apr_ssize_t)name.len);

    if (anchor && anchor->value != value) {
        wh_schema_fail(c, r->doc, value, "the anchor \"%.*s\" is given twice", (int)name.len, name.data);
        return;
    }
    if (!anchor) anchor = apr_pcalloc(c->ptemp, sizeof(*anchor));
    anchor->value = value;
    anchor->dynamic |= dynamic;
    apr_hash_set(r->anchors, name.data, (apr_ssize_t)name.len, anchor);
}

static wh_resource *add_resource(wh_compiler *c, const char *uri, const wh_schema_doc *doc, const wh_json_value *root, wh_dialect dialect)
{
    wh_resource *r = apr_pcalloc(c->p, sizeof(*r));

    r->uri = uri;
    r->doc = doc;
    r->root = root;
    r->dialect = dialect;
    r->anchors = apr_hash_make(c->ptemp);
    return r;
}

static void name_resource(wh_compiler *c, wh_resource *r, const char *uri, const wh_json_value *at)
{
    wh_resource *other = apr_hash_get(c->resources, uri, APR_HASH_KEY_STRING);

    if (other && other != r) {
        wh_schema_fail(c, r->doc, at, "the identifier \"%s\" is given twice", uri);
        return;
    }
    apr_hash_set(c->resources, uri, APR_HASH_KEY_STRING, r);
}

/* $id at a schema. @return the resource the schema is in */
static wh_resource *read_id(wh_compiler *c, const wh_json_value *schema, wh_resource *r)
{
    const wh_json_value *id = string_member(schema, "$id"), *dialect;
    webhook_slice fragment;
    const char *uri;

    /* Draft 07, section 8.3: beside $ref everything is ignored. */
    if (!id || (r->dialect.draft == WH_SCHEMA_DRAFT_07 && string_member(schema, "$ref"))) return r;
    uri = wh_uri_resolve(r->uri, slice_of(id), &fragment, c->ptemp);
    if (uri != r->uri && !(id->size && id->u.text[0] == '#')) {
        if (schema == r->root) {
            r->uri = uri;
        } else {
            wh_dialect d = r->dialect;
            dialect = string_member(schema, "$schema");
            if (dialect && !dialect_find(c, &d, dialect, r->doc)) return r;
            if (!d.meta || !r->dialect.meta || strcmp(d.meta, r->dialect.meta) != 0) {
                r = add_resource(c, uri, r->doc, schema, d);
                APR_ARRAY_PUSH(c->embedded, wh_resource *) = r;
            } else {
                r = add_resource(c, uri, r->doc, schema, d);
            }
        }
        name_resource(c, r, uri, id);
    }
    if (r->dialect.draft == WH_SCHEMA_DRAFT_07 && fragment.len) add_anchor(c, r, fragment, schema, 0);
    return r;
}

static void walk(wh_compiler *c, const wh_json_value *schema, wh_resource *r);

static void walk_all(wh_compiler *c, const wh_json_value *list, wh_resource *r)
{
    apr_uint32_t i;

    if (list->type == WH_JSON_ARRAY) {
        for (i = 0; i < list->size; i++) walk(c, &list->u.items[i], r);
    } else if (list->type == WH_JSON_OBJECT) {
        for (i = 0; i < list->size; i++) walk(c, &list->u.members[i].value, r);
    }
}

static void walk(wh_compiler *c, const wh_json_value *schema, wh_resource *r)
{
    const wh_json_value *v;
    apr_uint32_t i;

    if (c->error || schema->type != WH_JSON_OBJECT || apr_hash_get(c->places, &schema, sizeof(schema))) return;
    r = read_id(c, schema, r);
    if (c->error) return;
    {
        const wh_json_value **key = apr_palloc(c->ptemp, sizeof(*key));
        *key = schema;
        apr_hash_set(c->places, key, sizeof(*key), r);
    }
    if (r->dialect.draft != WH_SCHEMA_DRAFT_07) {
        if ((v = string_member(schema, "$anchor")) != NULL) add_anchor(c, r, slice_of(v), schema, 0);
        if (r->dialect.draft == WH_SCHEMA_2020_12) {
            if ((v = string_member(schema, "$dynamicAnchor")) != NULL) add_anchor(c, r, slice_of(v), schema, 1);
        } else if (schema == r->root && wh_json_typeof(wh_json_get(schema, "$recursiveAnchor")) == WH_JSON_TRUE) {
            r->is_recursive = 1;
        }
    }
    for (i = 0; i < schema->size; i++) {
        const wh_json_member *m = &schema->u.members[i];
        switch (kind_of(m, r->dialect.draft)) {
        case KEYWORD_SCHEMA: walk(c, &m->value, r); break;
        case KEYWORD_SCHEMAS:
            if (m->value.type == WH_JSON_ARRAY) walk_all(c, &m->value, r);
            break;
        case KEYWORD_SCHEMA_OR_SCHEMAS:
            if (m->value.type == WH_JSON_ARRAY) walk_all(c, &m->value, r);
            else walk(c, &m->value, r);
            break;
        case KEYWORD_NAMED:
            if (m->value.type == WH_JSON_OBJECT) walk_all(c, &m->value, r);
            break;
        case KEYWORD_NONE: break;
        }
    }
}

/* Hold a document, and what in it is of another dialect, each to its own meta-schema. */
static void check_documents(wh_compiler *c, apr_array_header_t *roots)
{
    apr_hash_t *others = NULL;
    int i;

    for (i = 0; i < roots->nelts; i++) {
        const wh_resource *r = APR_ARRAY_IDX(roots, i, wh_resource *);
        if (i == 0) continue;
        if (!others) others = apr_hash_make(c->ptemp);
        apr_hash_set(others, &r->root, sizeof(r->root), r);
    }
    for (i = 0; i < roots->nelts && !c->error; i++) {
        const wh_resource *r = APR_ARRAY_IDX(roots, i, wh_resource *);
        const wh_schema *meta = wh_schema_meta(c, r->dialect.meta, r->doc, r->root);
        wh_schema_result result;
        wh_json part = *r->doc->json;
        const wh_json_value *own = r->root;
        if (!meta) return;
        part.root = *r->root;
        if (i) apr_hash_set(others, &own, sizeof(own), NULL);
        if (wh_schema_validate_but(meta, i ? &part : r->doc->json, others, &result, c->ptemp) != WH_SCHEMA_VALID) {
            const char *where = result.count ? result.errors[0].instance : "#";
            if (!c->error) {
                c->error = apr_pstrcat(c->p, r->doc->name, i ? apr_pstrcat(c->ptemp, wh_schema_pointer(r->doc->json, own, c->ptemp),
                                       where + 1, NULL) : where, ": is not what ", r->dialect.meta, " allows there (",
                                       result.verdict == WH_SCHEMA_INVALID ? result.errors[0].keyword : result.reason, ")", NULL);
            }
        }
        if (i) apr_hash_set(others, &r->root, sizeof(r->root), r);
    }
}

wh_resource *wh_schema_add(wh_compiler *c, webhook_slice text, const char *name, const char *uri, int draft)
{
    wh_schema_doc *doc = apr_pcalloc(c->p, sizeof(*doc));
    apr_array_header_t *outer = c->embedded, *roots;
    const wh_json_value *dialect;
    wh_json_error err = {NULL, 0};
    wh_json *json = NULL;
    wh_dialect d = {draft, VOCAB_ALL, NULL};
    wh_resource *r;
    apr_size_t i;

    doc->name = name;
    if (wh_json_parse(&json, text, &wh_json_plain, c->p, &err)) {
        return wh_schema_fail(c, doc, NULL, "is no JSON: %s at byte %" APR_SIZE_T_FMT, err.reason ? err.reason : "syntax", err.offset);
    }
    doc->json = json;
    if (json->root.type != WH_JSON_OBJECT && json->root.type != WH_JSON_TRUE && json->root.type != WH_JSON_FALSE) {
        return wh_schema_fail(c, doc, &json->root, "is no schema: it must be an object, true or false");
    }
    for (i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        if (dialects[i].draft == draft) d.meta = dialects[i].uri;
    }
    dialect = string_member(&json->root, "$schema");
    if (dialect && !dialect_find(c, &d, dialect, doc)) return NULL;

    /* Loading its meta-schema may have brought it here already. */
    r = apr_hash_get(c->resources, uri, APR_HASH_KEY_STRING);
    if (r) return r;
    r = add_resource(c, uri, doc, &json->root, d);
    name_resource(c, r, uri, &json->root);
    roots = c->embedded = apr_array_make(c->ptemp, 4, sizeof(wh_resource *));
    APR_ARRAY_PUSH(roots, wh_resource *) = r;
    walk(c, &json->root, r);
    c->embedded = outer;
    if (!c->error && !c->is_meta && !wh_schema_builtin(uri)) check_documents(c, roots);
    return c->error ? NULL : r;
}

/* ---- references ---- */

/* One step of a JSON pointer. */
static const wh_json_value *step(const wh_json_value *v, const char *token, apr_size_t len, apr_pool_t *p)
{
    char *name = apr_palloc(p, len + 1);
    apr_size_t i, n = 0;
    apr_uint64_t index = 0;

    for (i = 0; i < len; i++) {
        name[n++] = token[i];
        if (token[i] != '~') continue;
        if (++i == len || (token[i] != '0' && token[i] != '1')) return NULL;
        name[n - 1] = token[i] == '0' ? '~' : '/';
    }
    if (v->type == WH_JSON_OBJECT) return wh_json_member_get(v, name, n, wh_json_hash(name, n));
    if (v->type != WH_JSON_ARRAY || n == 0 || n > 10 || (n > 1 && name[0] == '0')) return NULL;
    for (i = 0; i < n; i++) {
        if (name[i] < '0' || name[i] > '9') return NULL;
        index = index * 10 + (apr_uint64_t)(name[i] - '0');
    }
    return index < v->size ? &v->u.items[index] : NULL;
}

static const wh_json_value *follow(wh_compiler *c, webhook_slice pointer, wh_resource **r)
{
    const wh_json_value *v = (*r)->root;
    const char *s = pointer.data, *end = s + pointer.len;

    while (s < end) {
        const char *stop = memchr(s + 1, '/', (apr_size_t)(end - s - 1));
        wh_resource *inner;
        if (!stop) stop = end;
        v = step(v, s + 1, (apr_size_t)(stop - s - 1), c->ptemp);
        if (!v) return NULL;
        inner = apr_hash_get(c->places, &v, sizeof(v));
        if (inner) *r = inner;
        s = stop;
    }
    return v;
}

const wh_json_value *wh_schema_resolve(wh_compiler *c, const wh_resource *from, const wh_json_value *at, wh_resource **target_resource,
                                       const char **anchor)
{
    webhook_slice fragment;
    const char *uri = wh_uri_resolve(from->uri, slice_of(at), &fragment, c->ptemp);
    const wh_json_value *v;
    wh_resource *r;

    *anchor = NULL;
    if (!fragment.data) return wh_schema_fail(c, from->doc, at, "broken escape in the fragment of a reference");
    r = uri == from->uri ? (wh_resource *)from : load(c, uri, from->dialect.draft, from->doc, at);
    if (!r) return NULL;
    if (fragment.len == 0) {
        v = r->root;
    } else if (fragment.data[0] == '/') {
        v = follow(c, fragment, &r);
        if (!v) return wh_schema_fail(c, from->doc, at, "leads nowhere: %s has no \"#%s\"", r->doc->name, fragment.data);
    } else {
        const wh_anchor *found = apr_hash_get(r->anchors, fragment.data, (apr_ssize_t)fragment.len);
        if (!found) return wh_schema_fail(c, from->doc, at, "leads nowhere: %s has no anchor \"%s\"", r->doc->name, fragment.data);
        v = found->value;
        if (found->dynamic) *anchor = fragment.data;
    }
    if (v->type == WH_JSON_OBJECT) {
        wh_resource *known = apr_hash_get(c->places, &v, sizeof(v));
        if (!known) walk(c, v, r);
        r = apr_hash_get(c->places, &v, sizeof(v));
        if (c->error || !r) return NULL;
    } else if (v->type != WH_JSON_TRUE && v->type != WH_JSON_FALSE) {
        return wh_schema_fail(c, from->doc, at, "leads to something that is no schema");
    }
    *target_resource = r;
    return v;
}
