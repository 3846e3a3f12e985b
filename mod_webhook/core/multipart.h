/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multipart.h: multipart/form-data (RFC 7578 over RFC 2046 section 5.1), for bodies that are already in memory. Parts are slices of the
 * body. Strict where receivers differ: CRLF line ends and no other control characters in headers, one Content-Disposition per part with
 * one name and at most one file name, a closing delimiter, nothing but the encodings 7bit, 8bit and binary.
 */
#ifndef WH_CORE_MULTIPART_H
#define WH_CORE_MULTIPART_H

#include <apr_pools.h>
#include <apr_tables.h>
#include "webhook_provider.h"

#define WH_MULTIPART_MAX_PARTS 256

typedef struct wh_multipart_part {
    const char *name;         /* decoded, never NULL */
    const char *filename;     /* NULL if none */
    const char *content_type; /* NULL if none */
    webhook_slice data;       /* in the body */
} wh_multipart_part;

/**
 * Split a body. @param content_type value of the Content-Type header (its boundary is used)
 * @param parts answer: wh_multipart_part
 * @return APR_EINVAL when it is not multipart/form-data or broken, APR_ENOSPC for too many parts
 */
apr_status_t wh_multipart_parse(apr_array_header_t **parts, const char *content_type, webhook_slice body, apr_pool_t *p);

/** How often a name occurs; *value is the first one's data. */
int wh_multipart_get(const apr_array_header_t *parts, const char *name, webhook_slice *value);

#endif
