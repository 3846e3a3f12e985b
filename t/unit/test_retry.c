/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The retry policy: exact values, bounds for a million random policies and attempts, and WebhookRetry's options.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <limits.h>
#include <stdint.h>

#include "dispatch/retry.h"
#include "tap.h"
#include "webhook_provider.h"

#define S ((apr_interval_time_t)APR_USEC_PER_SEC)

static uint64_t seed = 20260107;

static uint64_t dice(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static apr_interval_time_t delay_of(const wh_retry_policy *p, int attempt, apr_interval_time_t after, unsigned random)
{
    apr_time_t now = apr_time_from_sec(1700000000), due = 0;

    return wh_retry_next(p, attempt, now, now, after, random, &due) ? due - now : -1;
}

static void exact(void)
{
    const wh_retry_policy *d = &wh_retry_default;
    apr_time_t now = apr_time_from_sec(1700000000), due;
    wh_retry_policy p = wh_retry_default;

    is_int(delay_of(d, 1, 0, 0xffffffffu), 10 * S, "first delay is at most first=");
    is_int(delay_of(d, 1, 0, 0), 1 * S, "and at least a second");
    is_int(delay_of(d, 1, 0, 0x7fffffffu), 5 * S, "in proportion to the random number");
    is_int(delay_of(d, 2, 0, 0xffffffffu), 30 * S, "factor 3");
    is_int(delay_of(d, 3, 0, 0xffffffffu), 90 * S, "factor 3 again");
    is_int(delay_of(d, 8, 0, 0xffffffffu), 6 * 3600 * S, "capped");
    is_int(delay_of(d, 1000000, 0, 0xffffffffu), 6 * 3600 * S, "capped for ever");
    is_int(delay_of(d, 1, 100 * S, 0), 100 * S, "Retry-After raises the delay");
    is_int(delay_of(d, 1, 1000000 * S, 0), 6 * 3600 * S, "but not over the cap");
    is_int(delay_of(d, 1, -5 * S, 0), 1 * S, "a negative Retry-After is none");

    ok(wh_retry_next(d, 1, now - 3 * 86400 * S + 10 * S, now, 0, 0xffffffffu, &due), "due exactly at the end of the period");
    ok(!wh_retry_next(d, 1, now - 3 * 86400 * S + 10 * S - 1, now, 0, 0xffffffffu, &due), "a microsecond later is given up");
    ok(!wh_retry_next(d, 1, 0, now, 0, 0, &due), "long after the period is given up");
    p.within = 0;
    ok(!wh_retry_next(&p, 1, now, now, 0, 0, &due), "within=0 never retries");
    p = wh_retry_default;
    p.factor_percent = 150;
    is_int(delay_of(&p, 2, 0, 0xffffffffu), 15 * S, "factor 1.5");
    p.factor_percent = 100;
    is_int(delay_of(&p, 1000000, 0, 0xffffffffu), 10 * S, "factor 1 does not grow");
}

static apr_interval_time_t any_interval(void)
{
    switch (dice() % 6) {
    case 0:
        return 0;
    case 1:
        return INT64_MAX - (apr_int64_t)(dice() % 1000);
    case 2:
        return -(apr_int64_t)(dice() % INT64_MAX);
    default:
        return (apr_int64_t)(dice() % (uint64_t)(40 * 86400 * S));
    }
}

static void properties(void)
{
    int i, bad_cap = 0, bad_low = 0, bad_within = 0, gave_up = 0;

    for (i = 0; i < 1000000; i++) {
        wh_retry_policy p;
        apr_time_t now = (apr_int64_t)(dice() % (uint64_t)(4000000000LL * S)), created = now - (apr_int64_t)(dice() % (uint64_t)(5 * 86400 * S));
        apr_time_t due = -1;
        int attempt = (int)(dice() % 1000001);

        p.first = any_interval();
        p.factor_percent = (int)(dice() % 10100) - 100;
        p.cap = any_interval();
        p.within = any_interval();
        if (!wh_retry_next(&p, attempt, created, now, any_interval(), (unsigned)dice(), &due)) {
            gave_up++;
            continue;
        }
        if (due < now + 1 * S)
            bad_low++;
        if (due - now > (p.cap > 1 * S ? p.cap : 1 * S))
            bad_cap++;
        if (p.within <= 0 || (p.within < INT64_MAX / 2 && due > created + p.within))
            bad_within++;
    }
    is_int(bad_low, 0, "a million random calls: never sooner than a second");
    is_int(bad_cap, 0, "never over the cap");
    is_int(bad_within, 0, "never past the period");
    ok(gave_up > 1000 && gave_up < 999000, "both answers occur (%d given up)", gave_up);
}

static void spread(void)
{
    int i, low = 0, n = 100000;
    double sum = 0;

    for (i = 0; i < n; i++) {
        apr_interval_time_t d = delay_of(&wh_retry_default, 5, 0, (unsigned)dice());

        sum += (double)d;
        low += d < 405 * S;
    }
    ok(sum / n > 400e6 && sum / n < 410e6, "full jitter: the mean is half the bound (%.1f s of 810 s)", sum / n / 1e6);
    ok(low > n * 48 / 100 && low < n * 52 / 100, "half of the draws lie in the lower half (%d of %d)", low, n);
}

static const char *parse(wh_retry_policy *policy, const char *words, apr_pool_t *p)
{
    apr_array_header_t *options = apr_array_make(p, 4, sizeof(webhook_option));
    char *state, *word, *text = apr_pstrdup(p, words);

    *policy = wh_retry_default;
    for (word = apr_strtok(text, " ", &state); word; word = apr_strtok(NULL, " ", &state)) {
        webhook_option *o = apr_array_push(options);

        o->name = word;
        o->value = strchr(word, '=') + 1;
        word[strlen(word) - strlen(o->value) - 1] = '\0';
    }
    return wh_retry_parse(policy, options, p);
}

static void options(apr_pool_t *p)
{
    static const char *const wrong[] = { "first=10", "first=0s", "cap=1000d", "factor=0", "factor=0.5", "factor=101", "factor=1.234",
                                         "factor=x", "factor=1.", "within=-1s", "tries=3", "first=1s first=2s", NULL };
    wh_retry_policy policy;
    int i;

    is_str(parse(&policy, "first=2s factor=1.5 cap=1h within=1d", p), NULL, "all options");
    is_int(policy.first, 2 * S, "first");
    is_int(policy.factor_percent, 150, "factor");
    is_int(policy.cap, 3600 * S, "cap");
    is_int(policy.within, 86400 * S, "within");
    is_str(parse(&policy, "factor=2.25 within=0", p), NULL, "within=0 is allowed");
    is_int(policy.factor_percent, 225, "two decimals");
    is_int(policy.first, 10 * S, "what is not given stays");
    for (i = 0; wrong[i]; i++) {
        const char *err = parse(&policy, wrong[i], p);

        ok(err != NULL, "refused: %s (%s)", wrong[i], err ? err : "");
        ok(policy.first == wh_retry_default.first && policy.factor_percent == 300, "and nothing changed");
    }
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    exact();
    properties();
    spread();
    options(p);
    apr_terminate();
    return tap_done();
}
