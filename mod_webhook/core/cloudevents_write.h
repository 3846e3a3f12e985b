/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloudevents_write.h: a delivery as a CloudEvent 1.0 (cloudevents/spec v1.0.2, JSON format and HTTP protocol binding).
 *
 *   specversion      "1.0"
 *   id               the delivery's id: the same for every attempt
 *   source           "/webhook/" and the endpoint's name, percent-encoded where it must be
 *   type             the sender's event name; "webhook.delivery" where there is none
 *   subject          the sender's own id; left out where there is none
 *   time             when it was received
 *   datacontenttype  the media type as received; left out where there was none
 *   verified         extension: whether the sender was proven
 *   keyid            extension: which secret matched; left out where there is none
 *
 * Structured: one line of JSON. "data" is the body's own JSON (text of its numbers and order of its members kept, blanks between them left
 * out) where the media type says JSON and it is, within the bounds of wh_json_lenient; a string where it is valid UTF-8 of another type; else "data_base64". An empty body has
 * neither. The received bytes come back exactly from "data_base64" and from a string.
 */
#ifndef WH_CORE_CLOUDEVENTS_WRITE_H
#define WH_CORE_CLOUDEVENTS_WRITE_H

#include "core/json.h"
#include "webhook_provider.h"

#define WH_CE_STRUCTURED_TYPE "application/cloudevents+json; charset=UTF-8"

/** Append the structured form, without a line end. */
void wh_ce_write(wh_buf *b, const webhook_delivery *d, webhook_slice body, apr_pool_t *scratch);

/** One attribute of the binary form. */
typedef struct wh_ce_attribute {
    const char *name;  /* "id": the header is ce-id */
    const char *value; /* plain, not yet encoded for any place */
} wh_ce_attribute;

#define WH_CE_ATTRIBUTES 9
/** The attributes but datacontenttype, which is the message's own Content-Type. @return how many */
int wh_ce_attributes(wh_ce_attribute out[WH_CE_ATTRIBUTES], const webhook_delivery *d, apr_pool_t *p);

#endif
