/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.c: the retry policy: parsing of WebhookRetry and the arithmetic of the next due time.
 */
#include "dispatch/retry.h"

#include <apr_strings.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/options.h"
#include "core/units.h"

#define DAY ((apr_interval_time_t)24 * 3600 * APR_USEC_PER_SEC)

/* A consumer that fails is not asked again at once, however small the random number. */
#define MIN_DELAY ((apr_interval_time_t)APR_USEC_PER_SEC)

const wh_retry_policy wh_retry_default = {
    10 * (apr_interval_time_t)APR_USEC_PER_SEC, 300, 6 * 3600 * (apr_interval_time_t)APR_USEC_PER_SEC, 3 * DAY
};

typedef struct retry_words {
    apr_interval_time_t first, cap, within;
    const char *factor;
} retry_words;

static const wh_option_spec retry_specs[] = {
    { "first", WH_OPT_DURATION, offsetof(retry_words, first), APR_USEC_PER_SEC, 30 * DAY, NULL },
    { "factor", WH_OPT_STRING, offsetof(retry_words, factor), 0, 0, NULL },
    { "cap", WH_OPT_DURATION, offsetof(retry_words, cap), APR_USEC_PER_SEC, 30 * DAY, NULL },
    { "within", WH_OPT_DURATION, offsetof(retry_words, within), 0, 366 * DAY, NULL },
    { NULL, WH_OPT_STRING, 0, 0, 0, NULL }
};

/* "3", "1.5", "2.25": 1 to 100 with at most two decimals, as percent. */
static int factor_parse(const char *text, int *percent)
{
    const char *dot = strchr(text, '.');
    apr_size_t whole_len = dot ? (apr_size_t)(dot - text) : strlen(text);
    apr_int64_t whole, part = 0;

    if (wh_parse_int(text, whole_len, 1, 100, &whole) != APR_SUCCESS)
        return 0;
    if (dot) {
        apr_size_t n = strlen(dot + 1);

        if (n < 1 || n > 2 || wh_parse_int(dot + 1, n, 0, 99, &part) != APR_SUCCESS)
            return 0;
        if (n == 1)
            part *= 10;
    }
    if (whole * 100 + part > 10000)
        return 0;
    *percent = (int)(whole * 100 + part);
    return 1;
}

const char *wh_retry_parse(wh_retry_policy *policy, const apr_array_header_t *options, apr_pool_t *p)
{
    retry_words words = { policy->first, policy->cap, policy->within, NULL };
    const char *err = wh_options_apply(&words, retry_specs, options, "retry policy", p);
    int percent = policy->factor_percent;

    if (err)
        return err;
    if (words.factor && !factor_parse(words.factor, &percent))
        return apr_psprintf(p, "retry policy: factor=%s is not a number from 1 to 100 with at most two decimals", words.factor);
    policy->first = words.first;
    policy->cap = words.cap;
    policy->within = words.within;
    policy->factor_percent = percent;
    return NULL;
}

static apr_time_t add_saturating(apr_time_t t, apr_interval_time_t d)
{
    return d > 0 && t > INT64_MAX - d ? INT64_MAX : t + d;
}

/* first * factor^(attempt - 1), never over cap; a growing factor reaches any cap in a few thousand steps at most. */
static apr_interval_time_t bound_of(const wh_retry_policy *policy, int attempt, apr_interval_time_t cap)
{
    apr_interval_time_t bound = policy->first;
    int n;

    if (bound >= cap)
        return cap;
    if (bound < MIN_DELAY)
        bound = MIN_DELAY;
    if (policy->factor_percent <= 100)
        return bound < cap ? bound : cap;
    for (n = 1; n < attempt && bound < cap; n++) {
        if (bound > INT64_MAX / policy->factor_percent)
            return cap;
        bound = bound * policy->factor_percent / 100;
    }
    return bound < cap ? bound : cap;
}

apr_interval_time_t wh_retry_longest(const wh_retry_policy *policy)
{
    return policy->cap > MIN_DELAY ? policy->cap : MIN_DELAY;
}

int wh_retry_next(const wh_retry_policy *policy, int attempt, apr_time_t created, apr_time_t now, apr_interval_time_t retry_after,
                  unsigned random, apr_time_t *due)
{
    apr_interval_time_t cap = wh_retry_longest(policy);
    uint64_t bound = (uint64_t)bound_of(policy, attempt, cap);
    uint64_t dice = (uint64_t)(uint32_t)random + 1; /* 1 to 2^32: the draw excludes 0 and includes the bound */
    apr_interval_time_t delay = (apr_interval_time_t)((bound >> 32) * dice + (((bound & 0xffffffffu) * dice) >> 32));
    apr_time_t at;

    if (policy->within <= 0)
        return 0;
    if (retry_after > cap)
        retry_after = cap;
    if (delay < retry_after)
        delay = retry_after;
    if (delay < MIN_DELAY)
        delay = MIN_DELAY;
    at = add_saturating(now, delay);
    if (at > add_saturating(created, policy->within))
        return 0;
    *due = at;
    return 1;
}
