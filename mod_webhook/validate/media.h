/* SPDX-License-Identifier: Apache-2.0 */
/*
 * media.h: media types: which ones an endpoint takes, and what it takes them for. A list is what WebhookContentTypes and a scheme's traits
 * hold: "application/json", "text/" with "*" behind it, "+json" (every type that ends so), "*", and each of them with "=json", "=form",
 * "=multipart" or "=opaque" behind it, which says how a body of that type is read.
 */
#ifndef WH_VALIDATE_MEDIA_H
#define WH_VALIDATE_MEDIA_H

#include <apr_pools.h>
#include "validate/payload.h"

/**
 * Check one word of a list. @return NULL or an error text from p without the word itself
 */
const char *wh_media_check(const char *word, apr_pool_t *p);

/** Whether every type that `word` stands for is taken by `earlier` already: it would never be looked at. */
int wh_media_covers(const char *earlier, const char *word);

/**
 * The first word that takes the media type of a Content-Type header. CloudEvents in a format that is not JSON are taken only by their full
 * name: a receiver must refuse formats it cannot read.
 * @param list NULL-terminated
 * @param kind answer: how the body is read
 * @return whether there is one
 */
int wh_media_find(const char *const *list, const char *header, wh_payload_kind *kind);

/** Whether a Content-Type's charset, if it has one, is UTF-8. */
int wh_media_is_utf8(const char *header);

/** Whether the media type (without parameters) is this one, in lower case. */
int wh_media_is(const char *header, const char *type);

#endif
