/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h: name=value words of directives, described by a table, so that every option of every provider is checked and explained in
 * the same way.
 */
#ifndef WH_CORE_OPTIONS_H
#define WH_CORE_OPTIONS_H

#include <apr_pools.h>
#include <apr_tables.h>
#include "webhook_provider.h"

typedef enum wh_option_type {
    WH_OPT_STRING,   /* const char *; empty is refused */
    WH_OPT_SIZE,     /* apr_int64_t bytes */
    WH_OPT_DURATION, /* apr_interval_time_t */
    WH_OPT_INT,      /* int */
    WH_OPT_BOOL,     /* int: on/off */
    WH_OPT_ENUM,     /* int: index into the '|'-separated words */
    WH_OPT_LIST      /* apr_array_header_t * of const char *: may be given several times, comma-separated */
} wh_option_type;

typedef struct wh_option_spec {
    const char *name; /* NULL ends the table */
    wh_option_type type;
    apr_size_t offset; /* offsetof in the target structure */
    apr_int64_t min, max; /* inclusive, for SIZE, DURATION, INT; both 0: any non-negative value; max 0 above min > 0: no upper limit */
    const char *words;    /* ENUM: "none|sha1|sha256" */
} wh_option_spec;

/** Split directive words into webhook_option entries; a word without '=' or with an empty name is an error. */
const char *wh_options_split(apr_array_header_t **out, int argc, const char *const *argv, apr_pool_t *p);

/**
 * Fill `target` from `options` by `specs`. @param what names the thing in messages: "scheme hmac", "handler pipe".
 * @return NULL or e.g. `handler pipe: option "timout" is unknown (allowed: timeout, umask, ...)`; a twice-given option is an error
 *  (a list's values are added; they replace the list the target came with). Strings keep pointing to the options' values; other
 *  members stay as they were where no option names them. BOOL and ENUM words are taken in any case.
 */
const char *wh_options_apply(void *target, const wh_option_spec *specs, const apr_array_header_t *options, const char *what,
                             apr_pool_t *p);

/** Take the options named in `specs` out of the list into `target`, leave the others in *rest: for options common to all handlers. */
const char *wh_options_take(void *target, const wh_option_spec *specs, const apr_array_header_t *options, apr_array_header_t **rest,
                            const char *what, apr_pool_t *p);

#endif
