/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.h: a delivery as one JSON object on one line, the form handlers that take JSON get and the tool prints. Version 1:
 *
 *   {"webhook":1,"id":"...","endpoint":"github","scheme":"github","verified":true,"key_id":"2026","event":"push","sender_id":"...",
 *    "received":"2026-11-23T20:22:01.123Z","remote_addr":"192.0.2.1","method":"POST","uri":"/hooks/github","content_type":"...",
 *    "headers":[["Name","value"],...],"body_sha256":"...","body_length":123,"body":"..."}
 *
 * Members without a value are left out. The body is "body" when it is valid UTF-8 without NUL, else "body_base64"; the received bytes
 * come back exactly from either. "handler" and "attempt" follow when the envelope is made for an attempt. New members may be added
 * within a version; members never change meaning.
 */
#ifndef WH_CORE_ENVELOPE_H
#define WH_CORE_ENVELOPE_H

#include "core/json.h"
#include "webhook_provider.h"

#define WH_ENVELOPE_VERSION 1

/** Append the envelope. @param body the bytes, {NULL,0} to leave the body members out. @param handler NULL: none, then attempt is ignored */
void wh_envelope_write(wh_buf *b, const webhook_delivery *d, webhook_slice body, const char *handler, int attempt);

/** The members "body" or "body_base64" for these bytes, as the envelope has them. body.data must not be NULL. */
void wh_json_put_body(wh_buf *b, webhook_slice body);

/** The delivery's body wherever it is; body files are mapped read-only until p goes (they are never written again once stored).
 *  data is never NULL on success. @return APR error when the file is gone; APR_EINVAL when it has another length or is no regular
 *  file, or when the body was not loaded */
apr_status_t wh_delivery_body(const webhook_delivery *d, webhook_slice *body, apr_pool_t *p);

/** Walk received header lines ("Name: value\r\n"...); value comes without surrounding blanks, lines that are no header are passed
 *  over. @return 1 with name and value set and *at advanced, 0 at the end. Start with *at = 0. */
int wh_headers_next(webhook_slice lines, apr_size_t *at, webhook_slice *name, webhook_slice *value);

/** First value of a header in lines, case-insensitive; NULL if absent. */
const char *wh_headers_get(webhook_slice lines, const char *name, apr_pool_t *p);

/** Whether a header's value must not be shown (Authorization, Cookie, Proxy-Authorization, and names holding token, secret, signature,
 *  api-key, password, hmac, credential, jwt, or ending in -sig): for logs and pages. */
int wh_header_is_sensitive(const char *name, apr_size_t len);

/** Whether a name is among those the endpoint's scheme reads its signature or token from (webhook_scheme_traits.credentials; may be
 *  NULL), case-insensitive: such names need no telling word in them ("X-Doorbell"). */
int wh_name_is_credential(const char *const *credentials, const char *name, apr_size_t len);

/** Path and query for logs and pages: the values of sensitive parameters, and of those in credentials (may be NULL), are "***". From p. */
const char *wh_uri_masked(const char *uri, const char *const *credentials, apr_pool_t *p);

#endif
