/* SPDX-License-Identifier: Apache-2.0 */
/*
 * form.h: application/x-www-form-urlencoded, for bodies and query strings (WHATWG URL Standard, section 5.1, read strictly: every '%' must
 * begin two hex digits). Order and repetition are kept: signatures depend on both.
 */
#ifndef WH_CORE_FORM_H
#define WH_CORE_FORM_H

#include <apr_pools.h>
#include "webhook_provider.h"

#define WH_FORM_MAX_PAIRS 4096

typedef struct wh_form_pair {
    webhook_slice name, value; /* decoded bytes, may hold anything */
    int bare;                  /* written without '=': the value is empty */
} wh_form_pair;

typedef struct wh_form {
    int count;
    const wh_form_pair *pairs; /* in the order received */
} wh_form;

/**
 * Decode into the pool. Empty sequences between '&' are skipped; a name without '=' has an empty value.
 * @return APR_EINVAL for a broken escape, APR_ENOSPC for more than WH_FORM_MAX_PAIRS pairs
 */
apr_status_t wh_form_parse(wh_form *out, webhook_slice text, apr_pool_t *p);

/** How often a name occurs; *value is the first one's. */
int wh_form_get(const wh_form *form, const char *name, webhook_slice *value);

#endif
