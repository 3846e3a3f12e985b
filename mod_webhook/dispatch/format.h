/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h: the forms in which a delivery leaves, the same words for every handler, and how attempts end whose templates cannot be filled.
 *
 *   raw                 the received bytes
 *   envelope            the JSON line of core/envelope.h
 *   cloudevents         a structured CloudEvent (core/cloudevents_write.h)
 *   cloudevents-binary  the received bytes, the attributes beside them: as ce-* headers, or CE_* variables of a program
 */
#ifndef WH_DISPATCH_FORMAT_H
#define WH_DISPATCH_FORMAT_H

#include "core/shape.h"
#include "webhook_provider.h"

typedef enum wh_format { WH_FORMAT_RAW = 0, WH_FORMAT_ENVELOPE, WH_FORMAT_CLOUDEVENTS, WH_FORMAT_CE_BINARY } wh_format;

/** The option's words, by wh_format. */
#define WH_FORMAT_WORDS "raw|envelope|cloudevents|cloudevents-binary"
extern const char *const wh_format_names[];

/** The media type of what wh_format_body makes; NULL: the delivery's own. */
const char *wh_format_type(wh_format format);

/** The bytes for an attempt, without a line end. @param received the delivery's body, returned itself where the format is its bytes;
 *  else from the attempt's pool */
webhook_slice wh_format_body(wh_format format, const webhook_attempt *attempt, webhook_slice received);

/** The same with a line end behind it; not for formats that are the received bytes. */
webhook_slice wh_format_line(wh_format format, const webhook_attempt *attempt, webhook_slice received);

/** Fill a result for an attempt that ends because a template could not be filled: dead, since no later attempt has other values. */
void wh_format_failed(webhook_attempt_result *result, wh_filled how, const char *why);

#endif
