/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sfield.h: as much of Structured Fields (RFC 8941) as HTTP Message Signatures need. Each reader takes the text at *s, moves *s behind what it
 * read and leaves it anywhere when that is not well formed. Results live in the pool.
 */
#ifndef WH_VERIFY_SFIELD_H
#define WH_VERIFY_SFIELD_H

#include <apr_pools.h>
#include "webhook_provider.h"

/** Over optional white space. */
void wh_sf_skip(const char **s);
/** A key (section 3.1.2); NULL when there is none. */
const char *wh_sf_key(const char **s, apr_pool_t *p);
/** A quoted string (3.3.3), decoded; NULL when it is not one. */
const char *wh_sf_string(const char **s, apr_pool_t *p);
/** A byte sequence (3.3.5), at most 4096 bytes. @return 0 when it is not one */
int wh_sf_bytes(const char **s, webhook_slice *out, apr_pool_t *p);
/** One parameter at its ';': a string decoded, integers and tokens as text, "" for a name alone or a byte sequence; NULL when broken. */
const char *wh_sf_param(const char **s, const char **name, apr_pool_t *p);

/* sfvalue.c */
/** A field's whole value, written again in the strict way (RFC 9421 section 2.1.1); NULL when it is no structured field, or one whose type
 *  cannot be told. */
const char *wh_sf_serialize(const char *text, apr_pool_t *p);
/** The value of one member of a dictionary, in the strict way (section 2.1.2); NULL when there is none. */
const char *wh_sf_member(const char *text, const char *key, apr_pool_t *p);

#endif
