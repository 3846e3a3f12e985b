/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c: the forms in which a delivery leaves (see format.h).
 */
#include "dispatch/format.h"

#include <string.h>

#include "core/cloudevents_write.h"
#include "core/envelope.h"
#include "core/reasons.h"

const char *const wh_format_names[] = { "raw", "envelope", "cloudevents", "cloudevents-binary" };

const char *wh_format_type(wh_format format)
{
    switch (format) {
    case WH_FORMAT_ENVELOPE:
        return "application/json";
    case WH_FORMAT_CLOUDEVENTS:
        return WH_CE_STRUCTURED_TYPE;
    default:
        return NULL;
    }
}

static webhook_slice write_text(wh_format format, const webhook_attempt *attempt, webhook_slice received, const char *end)
{
    const webhook_delivery *d = attempt->lease->delivery;
    webhook_slice out;
    wh_buf b;

    if (!received.data)
        received.data = ""; /* {NULL,0} would leave the member out */
    wh_buf_init(&b, attempt->pool, received.len + received.len / 8 + 2 * d->headers.len + 1024);
    if (format == WH_FORMAT_CLOUDEVENTS)
        wh_ce_write(&b, d, received, attempt->pool);
    else
        wh_envelope_write(&b, d, received, attempt->handler_name, attempt->lease->attempt);
    wh_buf_adds(&b, end);
    out.data = b.data;
    out.len = b.len;
    return out;
}

webhook_slice wh_format_body(wh_format format, const webhook_attempt *attempt, webhook_slice received)
{
    return wh_format_type(format) ? write_text(format, attempt, received, "") : received;
}

webhook_slice wh_format_line(wh_format format, const webhook_attempt *attempt, webhook_slice received)
{
    return write_text(format, attempt, received, "\n");
}

void wh_format_failed(webhook_attempt_result *result, wh_filled how, const char *why)
{
    memset(result, 0, sizeof(*result));
    result->outcome = WEBHOOK_OUTCOME_DEAD;
    result->reason = how == WH_FILLED_MISSING ? wh_failure_TEMPLATE_MISSING : wh_failure_TEMPLATE_VALUE;
    result->detail = why;
}
