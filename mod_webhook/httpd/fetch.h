/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h: WebhookFetch, and what of the configuration has keys that live elsewhere. Private to httpd/. */
#ifndef WH_HTTPD_FETCH_H
#define WH_HTTPD_FETCH_H

#include "core/encoding.h"
#include "core/json.h"
#include "httpd/config.h"

/** WebhookFetch: once, in the main server. */
const char *wh_set_fetch(cmd_parms *cmd, void *mconfig, int argc, char *const argv[]);

/** An endpoint is complete: note what it needs fetched. @return NULL or an error text for the line with WebhookVerify */
const char *wh_fetch_add(wh_global *g, const wh_auth *auth, apr_pool_t *pconf, apr_pool_t *ptemp);

/** All endpoints and the store are known: where the key cache is. */
void wh_fetch_locate(wh_global *g, apr_pool_t *pconf);

/** Whether anything is fetched at all. */
int wh_fetch_needed(const wh_global *g);

/** post_config of a real start: make the cache directory as the server's user, and say to verifiers where it is. */
void wh_fetch_prepare(wh_global *g, apr_pool_t *ptemp);

/** "fetch":{...} of the configuration dump; nothing when nothing is fetched. */
void wh_fetch_dump(wh_buf *b, const wh_global *g);

#endif
