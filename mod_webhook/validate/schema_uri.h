/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_uri.h: the URIs of schemas: references resolved (RFC 3986, section 5.2), fragments cut and decoded, mapped to files.
 * Private to validate/schema*.c.
 */
#ifndef WH_VALIDATE_SCHEMA_URI_H
#define WH_VALIDATE_SCHEMA_URI_H

#include <apr_pools.h>
#include "webhook_provider.h"

/** Resolve `ref` against `base` ("" for none). The fragment is cut off and given in *fragment (percent-decoded, may be empty, may hold
 *  NUL; {NULL,0} when its escapes are broken). @return the URI without fragment, in p */
const char *wh_uri_resolve(const char *base, webhook_slice ref, webhook_slice *fragment, apr_pool_t *p);
/** Percent-decode. @return {NULL,0} for a broken escape */
webhook_slice wh_uri_decode(const char *text, apr_size_t len, apr_pool_t *p);
/** file:// URI of an absolute path. */
const char *wh_uri_of_file(const char *path, apr_pool_t *p);
/** The path below a directory that the rest of a URI behind a mapped prefix names. @return NULL when it would lead out of it: "..", NUL,
 *  an escaped '/', a query */
const char *wh_uri_to_path(const char *directory, const char *rest, apr_pool_t *p);

#endif
