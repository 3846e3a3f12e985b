/* SPDX-License-Identifier: Apache-2.0 */
/* vectors.h: `webhookctl verify --vectors FILE`; the form of the file is described in verify/vectors.h. */
#ifndef WH_CTL_VECTORS_H
#define WH_CTL_VECTORS_H

#include <apr_pools.h>
#include "webhook_provider.h"

/** Run a file of recorded requests, one line each to standard output. @return 0, or 2 when something could not be run */
int wh_ctl_vectors(const char *file, apr_pool_t *p);

/**
 * Where a scheme signs what is below a Content-Encoding (webhook_scheme_traits.signs_decoded), undo it, as WebhookDecode does before the
 * server verifies.
 * @param req its body is replaced
 * @return NULL, or the reason code of a refusal
 */
const char *wh_ctl_signed_body(webhook_request *req, const webhook_scheme_traits *traits, apr_pool_t *p);

#endif
