/* SPDX-License-Identifier: Apache-2.0 */
/* decimal.c: see decimal.h. */
#include "validate/decimal.h"

#include <string.h>

#define SMALL_DIGITS 18  /* 10 × (10^18 - 1) + 9 still fits 64 bits */
#define LARGE_DIGITS 400 /* of either operand of a division by more than SMALL_DIGITS */

__extension__ typedef unsigned __int128 wide;

/* The exponent behind 'e', saturated. @return 0 when it is none */
static int read_exponent(const char *s, const char *end, apr_int64_t *out)
{
    int negative = 0;
    apr_int64_t n = 0;

    if (s < end && (*s == '+' || *s == '-')) negative = *s++ == '-';
    if (s == end) return 0;
    for (; s < end; s++) {
        if (*s < '0' || *s > '9') return 0;
        if (n <= 4 * (apr_int64_t)WH_DECIMAL_MAX_EXPONENT) n = n * 10 + (*s - '0');
    }
    *out = negative ? -n : n;
    return 1;
}

int wh_decimal_parse(wh_decimal *d, const char *text, apr_size_t len)
{
    const char *s = text, *end = text + len, *dot = NULL, *first = NULL;
    apr_uint32_t digits = 0;  /* since the first significant one */
    apr_uint32_t zeros = 0;   /* at their end */
    apr_int64_t fraction = 0; /* digits behind the point */
    apr_int64_t exponent = 0;
    apr_uint32_t i;

    memset(d, 0, sizeof(*d));
    if (s < end && *s == '-') {
        d->negative = 1;
        s++;
    }
    if (s == end || *s < '0' || *s > '9') return 0;
    for (; s < end; s++) {
        if (*s == '.') {
            if (dot || s + 1 == end || s[1] < '0' || s[1] > '9') return 0;
            dot = s;
            continue;
        }
        if (*s < '0' || *s > '9') break;
        if (dot) fraction++;
        if (*s != '0') {
            if (!first) first = s;
            zeros = 0;
        } else if (first) {
            zeros++;
        }
        if (first) digits++;
    }
    if (s < end) {
        if ((*s != 'e' && *s != 'E') || !read_exponent(s + 1, end, &exponent)) return 0;
    }
    if (!first) {
        d->negative = 0; /* -0 is 0, and 0e9999999999 too */
        d->small = 1;
        return 1;
    }
    exponent += (apr_int64_t)zeros - fraction;
    if (exponent > WH_DECIMAL_MAX_EXPONENT || exponent < -WH_DECIMAL_MAX_EXPONENT) return 0;
    d->digits = first;
    d->count = digits - zeros;
    d->exponent = (apr_int32_t)exponent;
    if (d->count <= SMALL_DIGITS) {
        d->small = 1;
        for (i = 0; i < d->count; first++) {
            if (*first == '.') continue;
            d->coefficient = d->coefficient * 10 + (apr_uint64_t)(*first - '0');
            i++;
        }
    }
    return 1;
}

/* The digits one after the other: the point between them is skipped. */
static int next_digit(const char **at)
{
    if (**at == '.') ++*at;
    return *(*at)++ - '0';
}

static int compare_magnitude(const wh_decimal *a, const wh_decimal *b)
{
    apr_int64_t ma = (apr_int64_t)a->count + a->exponent, mb = (apr_int64_t)b->count + b->exponent;
    const char *da = a->digits, *db = b->digits;
    apr_uint32_t i;

    if (ma != mb) return ma < mb ? -1 : 1;
    if (a->small && b->small && a->exponent == b->exponent) {
        return a->coefficient == b->coefficient ? 0 : a->coefficient < b->coefficient ? -1 : 1;
    }
    for (i = 0; i < a->count && i < b->count; i++) {
        int x = next_digit(&da), y = next_digit(&db);
        if (x != y) return x < y ? -1 : 1;
    }
    /* Neither ends in a zero, so the one with digits left is the larger. */
    return a->count == b->count ? 0 : a->count < b->count ? -1 : 1;
}

int wh_decimal_compare(const wh_decimal *a, const wh_decimal *b)
{
    int order;

    if (a->count == 0 && b->count == 0) return 0;
    if (a->count == 0) return b->negative ? 1 : -1;
    if (b->count == 0) return a->negative ? -1 : 1;
    if (a->negative != b->negative) return a->negative ? -1 : 1;
    order = compare_magnitude(a, b);
    return a->negative ? -order : order;
}

int wh_decimal_is_whole(const wh_decimal *d)
{
    return d->exponent >= 0;
}

static apr_uint64_t times(apr_uint64_t a, apr_uint64_t b, apr_uint64_t mod)
{
    return (apr_uint64_t)((wide)a * b % mod);
}

static int small_multiple(const wh_decimal *a, apr_uint64_t b, apr_uint32_t zeros)
{
    apr_uint64_t rest = 0, power = 10 % b;
    const char *at = a->digits;
    apr_uint32_t i;

    if (a->small) {
        rest = a->coefficient % b;
    } else {
        for (i = 0; i < a->count; i++) rest = (rest * 10 + (apr_uint64_t)next_digit(&at)) % b;
    }
    for (; zeros && rest; zeros >>= 1) {
        if (zeros & 1) rest = times(rest, power, b);
        power = times(power, power, b);
    }
    return rest == 0;
}

#define LIMB 1000000000u
#define LIMBS (LARGE_DIGITS / 9 + 2) /* one more digit than LARGE_DIGITS must fit */

/* n = n × 10 + digit, least significant limb first. */
static void push_digit(apr_uint32_t *n, int digit)
{
    apr_uint64_t carry = (apr_uint64_t)digit;
    int i;

    for (i = 0; i < LIMBS; i++) {
        carry += (apr_uint64_t)n[i] * 10;
        n[i] = (apr_uint32_t)(carry % LIMB);
        carry /= LIMB;
    }
}

/* @return 1 when n was at least m and is less by m now */
static int subtract(apr_uint32_t *n, const apr_uint32_t *m)
{
    int i, borrow = 0;

    for (i = LIMBS - 1; i >= 0 && n[i] == m[i]; i--) ;
    if (i >= 0 && n[i] < m[i]) return 0;
    for (i = 0; i < LIMBS; i++) {
        apr_int64_t limb = (apr_int64_t)n[i] - m[i] - borrow;
        borrow = limb < 0;
        n[i] = (apr_uint32_t)(borrow ? limb + LIMB : limb);
    }
    return 1;
}

static int large_multiple(const wh_decimal *a, const wh_decimal *b, apr_uint32_t zeros)
{
    apr_uint32_t rest[LIMBS] = {0}, divisor[LIMBS] = {0};
    const char *at = b->digits;
    apr_uint32_t i;

    for (i = 0; i < b->count; i++) push_digit(divisor, next_digit(&at));
    /* Zeros bring in factors of 2 and 5, of which b has fewer than four for each of its digits: more change nothing. */
    if (zeros > b->count * 4) zeros = b->count * 4;
    at = a->digits;
    for (i = 0; i < a->count + zeros; i++) {
        push_digit(rest, i < a->count ? next_digit(&at) : 0);
        while (subtract(rest, divisor)) ;
    }
    for (i = 0; i < LIMBS; i++) {
        if (rest[i]) return 0;
    }
    return 1;
}

int wh_decimal_is_multiple(const wh_decimal *a, const wh_decimal *b)
{
    apr_uint32_t zeros;

    if (a->count == 0) return 1;
    /* a = k·b with a of the smaller power would make a's digits divisible by ten, and they do not end in zero. */
    if (a->exponent < b->exponent) return 0;
    zeros = (apr_uint32_t)((apr_int64_t)a->exponent - b->exponent);
    if (b->small) return b->coefficient ? small_multiple(a, b->coefficient, zeros) : -1;
    if (a->count > LARGE_DIGITS || b->count > LARGE_DIGITS) return -1;
    return large_multiple(a, b, zeros);
}

apr_uint64_t wh_decimal_hash(const wh_decimal *d, apr_uint64_t seed)
{
    apr_uint64_t h = seed ^ ((apr_uint64_t)(apr_uint32_t)d->exponent << 1 | d->negative);
    const char *at = d->digits;
    apr_uint32_t i;

    h *= 0x9e3779b97f4a7c15ULL;
    if (d->small) {
        h = (h ^ (h >> 29) ^ d->coefficient) * 0xbf58476d1ce4e5b9ULL;
    } else {
        for (i = 0; i < d->count; i++) h = (h ^ (h >> 29) ^ (apr_uint64_t)next_digit(&at)) * 0xbf58476d1ce4e5b9ULL;
    }
    return h ^ (h >> 32);
}
