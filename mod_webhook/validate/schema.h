/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h: JSON Schema, drafts 2020-12, 2019-09 and 07.
 *
 * A schema is compiled once, at configuration, and then only read: any thread, any number of validations at a time. Nothing is ever
 * fetched: a reference leads to the same file, to a meta-schema (built in) or to a URI that was mapped to a local directory; any other is
 * an error when compiling. Sources: the JSON Schema core and validation documents of the three drafts (draft-handrews-json-schema-01 and
 * -validation-01; draft-bhutton-json-schema-01 and -validation-01; draft-handrews-json-schema-02 and -validation-02).
 *
 * A validation is bounded whatever schema and document are: by a budget of steps, of nested schemas, and of work in regular expressions.
 * A bound that is hit is a refusal, never a verdict "valid".
 */
#ifndef WH_VALIDATE_SCHEMA_H
#define WH_VALIDATE_SCHEMA_H

#include <apr_pools.h>
#include <apr_tables.h>
#include "core/json.h"
#include "validate/pattern.h"

#define WH_SCHEMA_MAX_ERRORS 10
#define WH_SCHEMA_STEPS 1000000 /* visits of schema nodes, members, elements; as many more for every further MiB of the document */
#define WH_SCHEMA_DEPTH 320     /* schemas nested inside each other, references included */

typedef struct wh_schema wh_schema;

typedef enum wh_schema_draft { WH_SCHEMA_DRAFT_07 = 7, WH_SCHEMA_2019_09 = 201909, WH_SCHEMA_2020_12 = 202012 } wh_schema_draft;

/** Where a reference may lead: URIs that begin with `prefix` are files below `directory` (the name as it is, else with ".json"). */
typedef struct wh_schema_map {
    const char *prefix;    /* absolute URI */
    const char *directory; /* absolute path */
} wh_schema_map;

/** Zeroed memory means the defaults. Needed only while compiling. */
typedef struct wh_schema_opts {
    int draft;                      /* wh_schema_draft of files without "$schema"; 0: 2020-12 */
    int format_assert;              /* 1: `format` decides, with the formats of the draft; 0: it is an annotation */
    int content_assert;             /* 1: draft-07's contentEncoding and contentMediaType decide */
    const apr_array_header_t *maps; /* wh_schema_map, may be NULL; the longest matching prefix counts */
    apr_uint32_t steps, depth;      /* 0: WH_SCHEMA_STEPS, WH_SCHEMA_DEPTH */
} wh_schema_opts;

/**
 * Compile a file. What is compiled, with the text of all files read, lies in p (pconf) and may be used until p is cleared.
 * @param ptemp what is needed only while compiling
 * @return NULL, or an error text in p with file, JSON pointer (fragment form) and cause: "/etc/x.json#/properties/a/type: …"
 */
const char *wh_schema_compile(const wh_schema **out, const char *file, const wh_schema_opts *opts, apr_pool_t *p, apr_pool_t *ptemp);

/** As above for a text in memory, which must outlive p. `name` stands for the file in errors; references are resolved against `base`
 *  (absolute URI; NULL: none, so only fragments and absolute URIs lead anywhere). */
const char *wh_schema_compile_text(const wh_schema **out, webhook_slice text, const char *name, const char *base,
                                   const wh_schema_opts *opts, apr_pool_t *p, apr_pool_t *ptemp);

/** "draft-07", "2019-09" or "2020-12" to a wh_schema_draft ("7" and "07" too); 0 for anything else. */
int wh_schema_draft_find(const char *name);

typedef enum wh_schema_verdict {
    WH_SCHEMA_VALID,
    WH_SCHEMA_INVALID, /* the document is not what the schema says */
    WH_SCHEMA_REFUSED  /* a bound was hit before there was a verdict */
} wh_schema_verdict;

/** One reason why a document is invalid. Never a value of the document; `instance` holds names of its members, which the sender chose:
 *  escape it for its destination. */
typedef struct wh_schema_error {
    const char *instance; /* JSON pointer in fragment form: "#", "#/a/0/b%20c" */
    const char *keyword;  /* "required", "type", …; of the schema `false` the keyword it stands under ("false" at the root) */
    const char *schema;   /* where in the schema: file or URI with the pointer to the keyword, "/etc/x.json#/properties/a/type" */
    const void *at, *of;  /* the engine's own: value and node, of which the texts are made once it is clear which errors are told */
} wh_schema_error;

typedef struct wh_schema_result {
    wh_schema_verdict verdict;
    const char *reason;  /* NULL when valid; "schema" when invalid; refused: "schema-budget", "schema-depth", "regex-limit", "number-limit" */
    int count;           /* errors kept, in the order found; at least 1 when invalid. When refused: 1, where the bound was hit, or 0 */
    int more;            /* 1 when there were more than WH_SCHEMA_MAX_ERRORS */
    wh_schema_error errors[WH_SCHEMA_MAX_ERRORS];
    apr_uint64_t steps;  /* spent on the verdict (not on the errors) */
} wh_schema_result;

/**
 * Validate a document. A valid one costs no more than the verdict; for any other a second pass collects the errors.
 * @param doc its text must still be there: pointers are made from offsets
 * @param result always filled; strings in p
 * @param p also what the validation itself needs (bits for unevaluated*, match data), a little
 */
wh_schema_verdict wh_schema_validate(const wh_schema *schema, const wh_json *doc, wh_schema_result *result, apr_pool_t *p);

/** What validations of several documents of one payload (the events of a batch) have cost so far; all zero at first. One thread's. */
typedef struct wh_schema_spent {
    apr_uint64_t steps[2];         /* for verdicts, for errors */
    wh_pattern_budget patterns[2]; /* likewise, once they are */
    int ready[2];
} wh_schema_spent;

/** The same, within what is left of the bounds of one payload. @param p lives as long as `spent` is used */
wh_schema_verdict wh_schema_validate_part(const wh_schema *schema, const wh_json *doc, wh_schema_spent *spent, wh_schema_result *result,
                                          apr_pool_t *p);

/** The draft the root of a compiled schema is in. */
int wh_schema_draft_of(const wh_schema *schema);

#endif
