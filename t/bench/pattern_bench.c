/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a match may cost: known-evil patterns against hostile strings of several lengths, and some honest ones. One line each, the worst of all
 * last; "-" where the budget ended it.
 *
 * usage: pattern_bench [repeats]
 */
#include <apr_general.h>
#include <apr_pools.h>
#include <stdio.h>
#include <time.h>

#include "../unit/evil_patterns.h"
#include "validate/pattern.h"

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* @return the best of the repeats, in ns */
static double measure(const wh_pattern *re, const char *text, size_t len, int repeats, int *verdict, apr_int64_t *steps, apr_pool_t *p)
{
    double best = 1e18;

    while (repeats--) {
        wh_pattern_budget budget;
        double from = now(), took;

        wh_pattern_budget_init(&budget, WH_PATTERN_STEPS_FOR(len), p);
        *verdict = wh_pattern_match(re, text, len, &budget);
        took = now() - from;
        if (took < best) best = took;
        *steps = WH_PATTERN_STEPS_FOR(len) - budget.left;
        apr_pool_clear(p);
    }
    return best;
}

/* one budget for many, as in a validation. @return ns for each */
static double measure_many(const wh_pattern *re, const char *text, size_t len, apr_int64_t *steps, apr_pool_t *p)
{
    wh_pattern_budget budget;
    double from;
    int i;

    wh_pattern_budget_init(&budget, APR_INT64_C(1) << 60, p);
    wh_pattern_match(re, text, len, &budget);
    budget.left = APR_INT64_C(1) << 60;
    from = now();
    for (i = 0; i < 100000; i++) wh_pattern_match(re, text, len, &budget);
    from = now() - from;
    *steps = ((APR_INT64_C(1) << 60) - budget.left) / 100000;
    return from / 100000;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = { 30, 1000, 100000, 1000000 };
    static const struct { const char *pattern, *text; } honest[] = {
        { "^[0-9a-f]{40}$", "6113728f27ae82c7b1a177c8d03f9e96e0adf246" },
        { "^refs/(heads|tags)/", "refs/heads/main" },
        { "^\\d{4}-\\d{2}-\\d{2}T", "2026-11-26T02:29:10Z" },
        { "^[a-z0-9-]+$", "mod-webhook-2026" },
        { "^[\\w.+-]+@[\\w-]+\\.[\\w.-]+$", "someone.else@mail.example.com" },
        { "^https?://[^/]+/([^/]+/)*[^/]*$", "https://api.example.com/repos/a/b/commits" },
        { "[A-Z]{2,}-\\d+", "fixes the thing that ABC-1234 was about" },
    };
    int repeats = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    double worst = 0;
    apr_pool_t *pool, *p;
    apr_int64_t steps;
    wh_pattern *re;
    const char *error;
    size_t i, s;
    int verdict = 0;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_pool_create(&p, pool);
    for (i = 0; i < sizeof(honest) / sizeof(honest[0]); i++) {
        double ns;

        if ((error = wh_pattern_compile(&re, honest[i].pattern, strlen(honest[i].pattern), pool))) return fprintf(stderr, "%s\n", error), 1;
        ns = measure_many(re, honest[i].text, strlen(honest[i].text), &steps, p);
        printf("honest %-34s %7.0f ns %7ld steps\n", honest[i].pattern, ns, (long)steps);
    }
    for (i = 0; i < EVIL_COUNT; i++) {
        const struct evil *e = &evil_patterns[i];

        if ((error = wh_pattern_compile(&re, e->pattern, strlen(e->pattern), pool))) return fprintf(stderr, "%s: %s\n", e->pattern, error), 1;
        for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            size_t len;
            char *text = evil_string(e, sizes[s], &len);
            double us = measure(re, text, len, repeats, &verdict, &steps, p) / 1000;

            printf("evil   %-34s %7lu bytes %8.1f us %9ld steps %s\n", e->pattern, (unsigned long)len, us, (long)steps,
                   verdict < 0 ? "-" : verdict ? "match" : "no match");
            if (us > worst) worst = us;
            free(text);
        }
    }
    printf("worst %.1f us\n", worst);
    return worst > 5000;
}
