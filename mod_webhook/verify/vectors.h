/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors.h: recorded requests through the verifiers, as `webhookctl verify --vectors FILE` does. A file is a JSON array of records:
 *
 *   { "id", "provider", "key", "method", "url", "headers": {name: value or [values]}, "body": base64, "now": unix seconds, ... }
 *
 * `key` is a string, a list of keys, null, or an object where a scheme has several parts: members that hold a secret become secrets, members
 * that name a key become its id, the others become options of the scheme when it knows them.
 */
#ifndef WH_VERIFY_VECTORS_H
#define WH_VERIFY_VECTORS_H

#include <apr_pools.h>
#include "core/json.h"
#include "webhook_provider.h"

/** A record made ready. Lives in the pool given to wh_vector_prepare. */
typedef struct wh_vector {
    const char *id;
    const webhook_verifier_provider *provider;
    webhook_verifier *verifier;
    webhook_secrets secrets;
    webhook_request request;
    const wh_json_value *record; /**< for members not read here ("expect", "portable") */
} wh_vector;

/** Turn one record into a configured scheme with secrets and a request. @return NULL or an error text */
const char *wh_vector_prepare(wh_vector *out, const wh_json_value *record, apr_pool_t *p);

/** Read a file of records. @return NULL or an error text */
const char *wh_vectors_load(const wh_json_value **list, const char *file, apr_pool_t *p);

#endif
