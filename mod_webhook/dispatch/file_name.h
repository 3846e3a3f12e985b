/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_name.h: the names the file handler gives its files: patterns over time and delivery, and the names of rotated files.
 *
 * A pattern is one path component. Conversions are those of strftime(3) that yield digits only (and %F, with dashes), in UTC:
 * %Y %m %d %j %H %M %S %F %U %V %W %G %u %w %s; %{id} is the delivery's id, %{ext} json, txt or bin by the delivery's media
 * type. Everything else must be of [A-Za-z0-9._-], so an expanded name never leaves its directory and never needs quoting.
 */
#ifndef WH_DISPATCH_FILE_NAME_H
#define WH_DISPATCH_FILE_NAME_H

#include <apr_pools.h>
#include <apr_time.h>
#include "webhook_provider.h"

#define WH_FILE_NAME_MAX 200 /* bytes of an expanded name: a rotated name and a temporary one still fit into NAME_MAX */

/** Check a pattern. @param per_delivery whether %{id} and %{ext} are allowed (then %{id} is required). @return NULL or an error text from p */
const char *wh_file_pattern_check(const char *pattern, int per_delivery, apr_pool_t *p);

/** Whether names made from it change with time or delivery. */
int wh_file_pattern_varies(const char *pattern);

/**
 * Expand a checked pattern. @param out WH_FILE_NAME_MAX + 1 bytes @param d may be NULL where the pattern is not per delivery.
 * @return APR_SUCCESS, or APR_ENAMETOOLONG (or APR_EINVAL for a year that is not in 0 to 9999)
 */
apr_status_t wh_file_name_expand(char *out, const char *pattern, apr_time_t t, const webhook_delivery *d);

/** "json", "txt" or "bin" for a media type (NULL: bin). */
const char *wh_file_extension(const char *content_type);

/**
 * Rename dir/name to dir/name.<YYYYMMDDTHHMMSSZ>[-n], the first such name that is free, and sync the directory.
 * The caller holds the lock that keeps others from rotating the same file.
 */
apr_status_t wh_file_rotate(const char *dir, const char *name, apr_time_t now, apr_pool_t *scratch);

/** Remove the oldest rotated files of `name` but `keep`. Errors leave files behind, the first is returned. */
apr_status_t wh_file_prune(const char *dir, const char *name, int keep, apr_pool_t *scratch);

#endif
