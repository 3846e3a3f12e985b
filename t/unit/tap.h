/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TAP from C, for the unit tests: a program includes this file once, states
 * its checks with ok() and the is_…() family, and ends main() with
 * "return tap_done();". plan(n) at the start is optional; without it the plan
 * is printed at the end. A failed check prints where it is and what it saw,
 * the program goes on. tap_done() returns 0 only if at least one check ran,
 * none failed and a stated plan was kept.
 *
 * Not thread-safe: checks belong in the main thread (and not in a forked
 * child, whose counters would be lost).
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_planned, tap_run, tap_failed;

#define TAP_UNUSED __attribute__((unused))

/* How many checks there will be; call it before the first. */
TAP_UNUSED static void plan(int n)
{
    /* a crash must not take buffered results with it */
    setvbuf(stdout, NULL, _IOLBF, 0);
    tap_planned = n;
    printf("1..%d\n", n);
}

/* The whole file does not apply here: say why and leave. */
#define skip_all(...) \
    do { printf("1..0 # SKIP "); printf(__VA_ARGS__); printf("\n"); exit(0); } while (0)

/* A remark, on stderr, so that it shows without verbose output. */
__attribute__((format(printf, 1, 2)))
TAP_UNUSED static void diag(const char *fmt, ...)
{
    va_list ap;

    fputs("# ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

__attribute__((format(printf, 4, 5)))
static int tap_result(int pass, const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    if (!tap_run && !tap_planned)
        setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%sok %d - ", pass ? "" : "not ", ++tap_run);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    if (!pass) {
        tap_failed++;
        diag("failed at %s line %d", file, line);
    }
    return pass;
}

/* All of these return whether the check passed. The name is a printf format. */
#define ok(cond, ...)  tap_result(!!(cond), __FILE__, __LINE__, __VA_ARGS__)
#define pass(...)      tap_result(1, __FILE__, __LINE__, __VA_ARGS__)
#define fail(...)      tap_result(0, __FILE__, __LINE__, __VA_ARGS__)

/* two integers of any type up to 64 bits, compared as long long */
#define is_int(got, want, ...) __extension__({ \
    long long tap_g = (long long)(got), tap_w = (long long)(want); \
    int tap_p = tap_result(tap_g == tap_w, __FILE__, __LINE__, __VA_ARGS__); \
    if (!tap_p) diag("     got: %lld, expected: %lld", tap_g, tap_w); \
    tap_p; })

/* two NUL-terminated strings; NULL equals NULL only */
#define is_str(got, want, ...) __extension__({ \
    const char *tap_g = (got), *tap_w = (want); \
    int tap_p = tap_result(tap_g && tap_w ? !strcmp(tap_g, tap_w) : tap_g == tap_w, __FILE__, __LINE__, __VA_ARGS__); \
    if (!tap_p) diag("     got: '%s', expected: '%s'", tap_g ? tap_g : "(null)", tap_w ? tap_w : "(null)"); \
    tap_p; })

/* two byte strings with their lengths */
#define is_mem(got, glen, want, wlen, ...) __extension__({ \
    size_t tap_gl = (glen), tap_wl = (wlen); \
    const void *tap_g = (got), *tap_w = (want); \
    int tap_p = tap_result(tap_gl == tap_wl && (!tap_gl || !memcmp(tap_g, tap_w, tap_gl)), __FILE__, __LINE__, __VA_ARGS__); \
    if (!tap_p) diag("     got: %zu bytes '%.*s', expected: %zu bytes '%.*s'", \
                     tap_gl, (int)(tap_gl > 200 ? 200 : tap_gl), tap_g ? (const char *)tap_g : "", \
                     tap_wl, (int)(tap_wl > 200 ? 200 : tap_wl), tap_w ? (const char *)tap_w : ""); \
    tap_p; })

/* a check that does not apply here: counted, never failing */
#define skip(...) \
    do { printf("ok %d # SKIP ", ++tap_run); printf(__VA_ARGS__); putchar('\n'); } while (0)

/* Close the account; main() returns what this returns. */
TAP_UNUSED static int tap_done(void)
{
    if (!tap_planned)
        printf("1..%d\n", tap_run);
    else if (tap_planned != tap_run)
        diag("planned %d checks but ran %d", tap_planned, tap_run);
    if (tap_failed)
        diag("failed %d of %d checks", tap_failed, tap_run);
    return !tap_run || tap_failed || (tap_planned && tap_planned != tap_run);
}

#endif
