/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.h: texts for the tests of the JSON reader, in a pool of the program's, and why the reader refuses one. */
#ifndef WH_TEST_JSON_TEXT_H
#define WH_TEST_JSON_TEXT_H

#include <apr_strings.h>
#include "core/json.h"
#include "tap.h"

static apr_pool_t *pool;

/* NULL when it is read, into *doc */
TAP_UNUSED static const char *reason_of(webhook_slice text, const wh_json_limits *limits, wh_json **doc, apr_size_t *offset)
{
    wh_json_error err = { NULL, 0 };
    apr_status_t rv = wh_json_parse(doc, text, limits, pool, &err);

    if (offset)
        *offset = err.offset;
    return rv == APR_SUCCESS ? NULL : err.reason;
}

TAP_UNUSED static webhook_slice slice(const char *s)
{
    webhook_slice text = { s, strlen(s) };

    return text;
}

/* An object of so many members: "PREFIX0", "PREFIX1", ... */
TAP_UNUSED static webhook_slice named(apr_size_t count, const char *prefix)
{
    webhook_slice text;
    wh_buf b;

    wh_buf_init(&b, pool, count * 16);
    wh_buf_adds(&b, "{");
    for (apr_size_t i = 0; i < count; i++) {
        wh_buf_addf(&b, "%s\"%s%d\":0", i ? "," : "", prefix, (int)i);
    }
    wh_buf_adds(&b, "}");
    text.data = b.data;
    text.len = b.len;
    return text;
}

#endif
