/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_impl.h: what a schema is compiled to, and the seams between schema_ref.c (documents, identifiers, references), schema_compile.c
 * (keywords to nodes), schema_link.c (nodes to a graph that can be walked fast), schema_validate.c and schema_error.c.
 *
 * A node is one schema at one place of one document. What it asks of each kind of value hangs in groups; a node that asks nothing more
 * of a value than its type is settled without a visit (`busy`). Nodes point at each other, cycles included.
 */
#ifndef WH_VALIDATE_SCHEMA_IMPL_H
#define WH_VALIDATE_SCHEMA_IMPL_H

#include <apr_hash.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include "core/json.h"
#include "validate/decimal.h"
#include "validate/format.h"
#include "validate/pattern.h"
#include "validate/schema.h"

typedef struct wh_node wh_node;
typedef struct wh_resource wh_resource;

/* ---- types: a bit for each wh_json_type, and one for numbers written as integers ---- */

#define TYPE_BIT(type) (1u << (type))
#define TYPE_INTEGER TYPE_BIT(WH_JSON_NUMBER + 4)
#define TYPE_FRACTION TYPE_BIT(WH_JSON_NUMBER)
#define TYPE_NUMBER (TYPE_FRACTION | TYPE_INTEGER)
#define TYPE_ALL 0xffu

static inline unsigned type_of(const wh_json_value *v)
{
    return 1u << (v->type + (v->integer << 2));
}

/* ---- what a node may ask ---- */

typedef struct wh_node_list {
    wh_node **nodes;
    apr_uint32_t count;
} wh_node_list;

/* A property by name; with node NULL it is only counted. */
typedef struct wh_prop {
    apr_uint32_t hash, len;
    const char *name; /* NULL: empty slot */
    wh_node *node;
    apr_uint32_t required; /* 1: one of `required` */
} wh_prop;

typedef struct wh_pattern_prop {
    wh_pattern *pattern;
    wh_node *node;
} wh_pattern_prop;

/* dependentRequired, dependentSchemas, dependencies: when there is a member of that name … */
typedef struct wh_depend {
    wh_json_member name; /* its value is not used */
    wh_prop *required;   /* … these must be there too */
    apr_uint32_t nrequired;
    wh_node *node;       /* … and the object must be so; NULL: nothing */
    const char *keyword;
} wh_depend;

typedef struct wh_object_rules {
    wh_prop *table;        /* open addressing; NULL: none */
    apr_uint32_t mask;     /* slots - 1 */
    apr_uint32_t required; /* how many of the table are required */
    const wh_json_value *required_names; /* the keyword's array, for errors */
    apr_uint32_t min, max;
    wh_pattern_prop *patterns;
    apr_uint32_t npatterns;
    wh_node *additional;   /* NULL: anything */
    wh_node *names;
    wh_depend *depends;
    apr_uint32_t ndepends;
} wh_object_rules;

typedef struct wh_array_rules {
    wh_node_list prefix;
    wh_node *items; /* for those behind the prefix; NULL: anything */
    wh_node *contains;
    apr_uint32_t min, max, min_contains, max_contains;
    unsigned unique : 1, contains_evaluates : 1;
} wh_array_rules;

typedef struct wh_string_rules {
    apr_uint32_t min, max; /* code points */
    wh_pattern *pattern;
    wh_format_check *format;
    unsigned base64 : 1, media_json : 1, scratch : 1; /* scratch: some of these need memory */
} wh_string_rules;

#define BOUND_MINIMUM 0
#define BOUND_MAXIMUM 1
#define BOUND_ABOVE 2
#define BOUND_BELOW 3
#define BOUND_MULTIPLE 4
#define BOUNDS 5

typedef struct wh_number_rules {
    unsigned has; /* 1 << BOUND_… */
    wh_decimal bound[BOUNDS];
} wh_number_rules;

/* Values of enum or const: few are compared one by one, many are looked up by hash. */
typedef struct wh_choice {
    const wh_json_value *value;
    apr_uint64_t hash;
} wh_choice;

typedef struct wh_choices {
    wh_choice *list; /* table of mask + 1 slots when mask is not 0, else `count` in a row */
    apr_uint32_t count, mask;
} wh_choices;

/* What is asked of a value of any type, schemas for the same place among it. */
typedef struct wh_any_rules {
    const wh_choices *enumeration, *constant;
    wh_node *ref;          /* $ref, and the first target of a dynamic reference */
    int dynamic;           /* ≥ 0: number of the dynamic anchor `ref` has to be looked up by; -1 */
    wh_node *plain;        /* $ref beside a dynamic one; NULL */
    wh_node_list all, any, one;
    wh_node *not_, *if_, *then_, *else_;
} wh_any_rules;

struct wh_node {
    unsigned char types;    /* bits of the types that can pass */
    unsigned char busy;     /* of those, the ones that need a visit to be judged */
    unsigned char declared; /* what `type` says: for errors, where `types` was narrowed by enum and const */
    unsigned char refused;  /* the schema `false` */
    unsigned char alone;    /* of the busy ones, those of which nothing but their own group asks anything: no visit for these either */
    wh_object_rules *object;
    wh_array_rules *array;
    wh_string_rules *string;
    wh_number_rules *number;
    wh_any_rules *any;
    wh_node *unevaluated_props, *unevaluated_items;
    const wh_resource *resource;
    const wh_json_value *source; /* where it stands */
    const char *keyword;         /* under which keyword */
};

/* ---- documents, resources, dialects ---- */

typedef struct wh_schema_doc {
    const char *name; /* for people: file, or URI */
    const wh_json *json;
} wh_schema_doc;

#define VOCAB_APPLICATOR 1u
#define VOCAB_UNEVALUATED 2u
#define VOCAB_VALIDATION 4u
#define VOCAB_FORMAT 8u /* format decides */
#define VOCAB_ALL (VOCAB_APPLICATOR | VOCAB_UNEVALUATED | VOCAB_VALIDATION)

typedef struct wh_dialect {
    int draft;
    unsigned vocabularies;
    const char *meta; /* while compiling: URI of the meta-schema */
} wh_dialect;

/* A schema with an identifier of its own: the unit that references and dynamic scopes know. */
struct wh_resource {
    const char *uri;           /* while compiling */
    const wh_schema_doc *doc;
    const wh_json_value *root;
    wh_dialect dialect;
    apr_hash_t *anchors;       /* while compiling: name → wh_anchor */
    int entered;               /* while compiling: a node of it exists */
    int is_recursive;          /* $recursiveAnchor: true */
    wh_node **dynamic;         /* by number of the dynamic anchor; NULL: none in this schema */
};

typedef struct wh_anchor {
    const wh_json_value *value;
    int dynamic;
} wh_anchor;

struct wh_schema {
    wh_node *root;
    int dynamic; /* 1: there are dynamic references, so that scopes must be kept */
    apr_uint32_t steps, depth;
};

/* ---- compiling ---- */

typedef struct wh_compiler {
    apr_pool_t *p, *ptemp;
    const wh_schema_opts *opts;
    const char *error;       /* the first one; sticky */
    apr_hash_t *resources;   /* URI → wh_resource */
    apr_hash_t *places;      /* wh_json_value * of every schema known → its wh_resource */
    apr_hash_t *nodes;       /* wh_json_value * → wh_node */
    apr_hash_t *dynamics;    /* name of a dynamic anchor that is referred to → its number (int *); "" is $recursiveAnchor */
    apr_array_header_t *all; /* wh_node *, every node in the order it was asked for; the compiler works through it */
    apr_hash_t *metas;       /* URI → wh_schema of the meta-schemas documents were held to */
    apr_array_header_t *embedded; /* wh_resource *: the document just added, and what in it changes the dialect */
    int is_meta;             /* compiling a meta-schema: not held to its own */
    int nesting;             /* meta-schemas that are being loaded for each other */
} wh_compiler;

/* schema_meta.c */
const webhook_slice *wh_schema_builtin(const char *uri);

/* schema_error.c */
/** JSON pointer in fragment form to a value of a document, found by the offsets of its text. */
const char *wh_schema_pointer(const wh_json *doc, const wh_json_value *value, apr_pool_t *p);
/** Keep the first error: document, pointer, text. @return NULL, whatever the caller's type */
void *wh_schema_fail(wh_compiler *c, const wh_schema_doc *doc, const wh_json_value *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* schema_ref.c */
/** A keyword's kind, as far as schemas below it are concerned. */
typedef enum wh_keyword_kind { KEYWORD_NONE, KEYWORD_SCHEMA, KEYWORD_SCHEMAS, KEYWORD_SCHEMA_OR_SCHEMAS, KEYWORD_NAMED } wh_keyword_kind;
/** A whole regular file of at most 64 MiB. @return NULL or what is wrong with it */
const char *wh_schema_read_file(webhook_slice *text, const char *path, apr_pool_t *p);
/** Add a document: its root resource, those embedded in it, their anchors. @param draft of a document without $schema */
wh_resource *wh_schema_add(wh_compiler *c, webhook_slice text, const char *name, const char *uri, int draft);
/** Where a reference leads. @param at the value that holds it, for errors. @param target_resource the one the target lies in
 *  @param anchor set to the dynamic anchor's name when the reference went through one, else NULL */
const wh_json_value *wh_schema_resolve(wh_compiler *c, const wh_resource *from, const wh_json_value *at, wh_resource **target_resource,
                                       const char **anchor);

/* schema.c */
/** A compiled meta-schema, once per compilation. */
const wh_schema *wh_schema_meta(wh_compiler *c, const char *uri, const wh_schema_doc *doc, const wh_json_value *at);

/* schema_compile.c */
/** The node of a schema, made if there is none; what it asks follows when its turn comes. */
wh_node *wh_schema_node(wh_compiler *c, const wh_json_value *source, wh_resource *resource, const char *keyword);
void wh_schema_compile_node(wh_compiler *c, wh_node *n);

/* schema_link.c */
/** Shortcuts, busy bits, dynamic tables; an error for schemas that would refer to themselves for ever. */
void wh_schema_link(wh_compiler *c, wh_schema *schema);

/* schema_validate.c */
/** As the public one, with values that count as valid wherever they are met (values → anything, may be NULL). */
wh_schema_verdict wh_schema_validate_but(const wh_schema *schema, const wh_json *doc, apr_hash_t *skip, wh_schema_result *result,
                                         apr_pool_t *p);

/* schema_value.c */
/** *work grows by what it cost, in steps. */
int wh_value_equal(const wh_json_value *a, const wh_json_value *b, apr_uint64_t *work);
/** The same for equal values, unpredictable from outside. *work grows by what it cost. */
apr_uint64_t wh_value_hash(const wh_json_value *v, apr_uint64_t *work);
const wh_choices *wh_choices_make(const wh_json_value *values, apr_uint32_t count, apr_pool_t *p);
int wh_choices_have(const wh_choices *choices, const wh_json_value *v, apr_uint64_t *work);
/** @return 1, or 0 when two elements are equal */
int wh_values_unique(const wh_json_value *items, apr_uint32_t count, apr_uint64_t *work, apr_pool_t *p);

#endif
