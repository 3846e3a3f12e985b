/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode_for.h: what makes a value from outside harmless in the place it goes to, and what tells whether a text may stand there. One
 * encoder per place; all are pure, take any bytes and never fail but for memory. The results are NUL-terminated, from p.
 */
#ifndef WH_CORE_ENCODE_FOR_H
#define WH_CORE_ENCODE_FOR_H

#include <apr_pools.h>
#include "core/json.h"

/** One component of a URL's path, or a name or value of its query (RFC 3986): everything but A-Z a-z 0-9 - . _ ~ percent-encoded. */
const char *wh_encode_for_url(const char *in, apr_size_t len, apr_pool_t *p);

/** A JSON string with its quotes. */
const char *wh_encode_for_json(const char *in, apr_size_t len, apr_pool_t *p);

/** Text between markup, as chat messages and HTML elements (not their attributes) have it: & < > as entities. */
const char *wh_encode_for_text(const char *in, apr_size_t len, apr_pool_t *p);

/**
 * Part of a file name: A-Z a-z 0-9 . - stay, '_' becomes "__", any other byte "_" and two upper-case hex digits; a dot at the
 * beginning is such a byte, nothing at all becomes "_". Longer than WH_NAME_PART_MAX: its beginning, "_." and 32 hex digits of the whole
 * value's SHA-256. Different values give different parts, as surely as that digest differs.
 */
#define WH_NAME_PART_MAX 120
const char *wh_encode_for_name(const char *in, apr_size_t len, apr_pool_t *p);

/** A value of a CloudEvents HTTP header (binding 1.0.2, section 3.1.3.2): blank, '"', '%' and all but U+0021 to U+007E percent-encoded;
 *  bytes that are not UTF-8 are read as ISO-8859-1. */
const char *wh_encode_for_ce_header(const char *in, apr_size_t len, apr_pool_t *p);

/** Field content of RFC 9110 section 5.5, obs-text included: no CR, LF, NUL or other control but the tab. */
int wh_fits_header(const char *in, apr_size_t len);

/** A path and query: visible ASCII alone, without '#', and no segment of the path that is "." or ".." in plain or encoded form (servers
 *  resolve those to other paths). */
int wh_fits_path(const char *in, apr_size_t len);

#endif
