/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h: the formats of JSON Schema, drafts 07, 2019-09 and 2020-12. Each check costs time linear in the text (idn-hostname and idn-email:
 * in at most 253 characters of it) and keeps nothing. All functions are thread-safe.
 */
#ifndef WH_VALIDATE_FORMAT_H
#define WH_VALIDATE_FORMAT_H

#include <apr_pools.h>

/**
 * Whether a string is of the format. @param text well-formed UTF-8 as the JSON reader proved it; may contain NUL; may be NULL when len is 0.
 * @param scratch for what the check needs; may grow, the caller clears it. @return 1 valid, 0 not
 */
typedef int wh_format_check(const char *text, apr_size_t len, apr_pool_t *scratch);

/**
 * The check of a format. @param name case-sensitive. @param draft 7, 201909 or 202012.
 * @return NULL when that draft does not know the format (which then constrains nothing)
 */
wh_format_check *wh_format_find(const char *name, int draft);

/** Whether a check takes anything from its scratch; else that may be NULL. */
int wh_format_takes_scratch(wh_format_check *check);

#endif
