/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_run.h: one validation on its way, for schema_validate.c (what walks), schema_scalar.c (strings and numbers) and schema_error.c
 * (notes and bounds).
 */
#ifndef WH_VALIDATE_SCHEMA_RUN_H
#define WH_VALIDATE_SCHEMA_RUN_H

#include "validate/schema_impl.h"

/* Which members or elements of one object or array some schema has looked at: for unevaluatedProperties and unevaluatedItems. */
typedef struct wh_marks {
    apr_uint64_t *bits;
    apr_uint32_t words;
} wh_marks;

typedef struct wh_run {
    apr_uint64_t steps, limit;
    apr_uint32_t depth;  /* schemas that may still be nested */
    int noting;          /* the second pass */
    int quiet;           /* failures are not noted, the first one ends it */
    const char *refused; /* the bound that was hit */
    const wh_schema *schema;
    const wh_json *doc;
    apr_hash_t *skip;
    wh_schema_result *result;
    const wh_resource **scope; /* resources entered, outermost first; only with dynamic references */
    apr_uint32_t scopes;
    struct wh_chunk *chunks;   /* a stack of marks */
    int explaining;
    wh_schema_result *spare;   /* two, for alternatives; in the second pass */
    wh_schema_spent *spent;    /* by this document and others of the same payload; of it the second ones while noting */
    apr_pool_t *p, *scratch;
} wh_run;

/* A failure: in the first pass, and in branches, the end of it. */
#define FAIL(keyword, at) \
    do { \
        if (c->quiet) return 0; \
        wh_run_note(c, n, keyword, at); \
        ok = 0; \
    } while (0)

#define MUST(test) \
    do { \
        if (!(test)) { \
            if (c->quiet) return 0; \
            ok = 0; \
        } \
    } while (0)

/** A failure of the value `at`, for the caller; over the cap the pass goes on quietly. */
void wh_run_note(wh_run *c, const wh_node *n, const char *keyword, const wh_json_value *at);
/** Places as text for the failures that are told. Of all that are noted on the way (of alternatives, very many) most are not, and a place
 *  deep in a document may be long. */
void wh_run_tell(wh_run *c);
/** A bound was hit: nothing is visited any more. @return 0 */
int wh_run_refuse(wh_run *c, const char *reason, const wh_node *n, const char *keyword, const wh_json_value *at);
/** After no alternative was found and that was noted. */
void wh_run_explain(wh_run *c, const wh_node_list *list, const wh_json_value *v);

/** A value against a node. @param m NULL, or what marks of it are wanted in. @return 1 valid; what it says means nothing once c->refused */
int wh_run_visit(wh_run *c, const wh_node *n, const wh_json_value *v, wh_marks *m);
int wh_run_string(wh_run *c, const wh_node *n, const wh_json_value *v);
int wh_run_number(wh_run *c, const wh_node *n, const wh_json_value *v);
/** Is a number with point or exponent an integer? */
int wh_run_whole(wh_run *c, const wh_node *n, const wh_json_value *v);
int wh_run_matches(wh_run *c, const wh_pattern *pattern, const char *text, apr_size_t len, const wh_node *n, const char *keyword,
                   const wh_json_value *at);
/** Memory for a moment: whoever uses it clears it. */
apr_pool_t *wh_run_scratch(wh_run *c);

static inline int wh_run_spend(wh_run *c, apr_uint64_t steps)
{
    c->steps += steps;
    return c->steps <= c->limit;
}

#endif
