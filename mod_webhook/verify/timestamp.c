/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timestamp.c: when the sender says it signed. Digits only, no sign, no blank, no leading zero: an unseparated template is only safe while
 * one moment has exactly one spelling. The window is symmetric unless the scheme says otherwise.
 */
#include "verify/scheme.h"

#include <string.h>
#include "core/units.h"

int wh_time_parse(const char *text, apr_size_t len, wh_time_unit unit, apr_time_t *out)
{
    apr_int64_t n;

    if (unit == WH_UNIT_RFC3339) return wh_parse_time(text, len, out) == APR_SUCCESS;
    if (len == 0 || len > 15 || text[0] == '0' || wh_parse_int(text, len, 1, APR_INT64_C(999999999999999), &n) != APR_SUCCESS) return 0;
    if (unit == WH_UNIT_AUTO) {
        if (len != 10 && len != 13) return 0;
        unit = len == 10 ? WH_UNIT_S : WH_UNIT_MS;
    }
    if (unit == WH_UNIT_S) {
        if (len > 12) return 0;
        *out = n * APR_USEC_PER_SEC;
    } else {
        *out = n * 1000;
    }
    return 1;
}

const char *wh_time_format(wh_time_unit unit, apr_time_t t, apr_pool_t *p)
{
    char text[WH_RFC3339_LEN + 1];

    switch (unit) {
    case WH_UNIT_RFC3339:
        wh_format_time(text, t);
        return apr_pstrdup(p, text);
    case WH_UNIT_MS:
        return apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)(t / 1000));
    default:
        return apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)(t / APR_USEC_PER_SEC));
    }
}

int wh_time_within(wh_vctx *c, apr_time_t t)
{
    apr_interval_time_t age = c->req->now - t;

    if (c->v->tolerance >= 0 && age > c->v->tolerance) {
        return wh_deny(c, WH_REFUSAL_TIMESTAMP_OUTSIDE, "the timestamp is %s old, %s are accepted", wh_format_duration(age, c->p),
                       wh_format_duration(c->v->tolerance, c->p));
    }
    if (c->v->future >= 0 && -age > c->v->future) {
        return wh_deny(c, WH_REFUSAL_TIMESTAMP_OUTSIDE, "the timestamp is %s in the future, %s are accepted",
                       wh_format_duration(-age, c->p), wh_format_duration(c->v->future, c->p));
    }
    return 1;
}

int wh_timestamp_check(wh_vctx *c)
{
    const wh_locator *which = NULL;
    webhook_slice text;
    wh_found found;
    apr_time_t t;

    if (!c->v->ts_locs || c->v->ts_locs->nelts == 0) return 1;
    found = wh_value_first(c, c->v->ts_locs, &text, &which);
    if (found == WH_ABSENT) {
        return wh_deny(c, WH_REFUSAL_TIMESTAMP_MISSING, "%s is missing", APR_ARRAY_IDX(c->v->ts_locs, 0, wh_locator).text);
    }
    if (found == WH_TWICE) {
        return wh_deny(c, which->kind == WH_LOC_FIELD ? WH_REFUSAL_TIMESTAMP_MALFORMED : WH_REFUSAL_HEADER_DUPLICATE,
                       "%s is there more than once", which->text);
    }
    if (found == WH_BROKEN || !wh_time_parse(text.data, text.len, c->v->unit, &t)) {
        if (found == WH_FOUND && wh_folded(which, text)) {
            return wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "%s is there more than once", which->text);
        }
        return wh_deny(c, WH_REFUSAL_TIMESTAMP_MALFORMED, "%s is not a timestamp of this scheme", which->text);
    }
    if (!wh_time_within(c, t)) return 0;
    c->ts_text = text;
    c->have_ts = 1;
    c->verdict->timestamp = t;
    return 1;
}
