/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decimal.h: numbers of JSON compared exactly, from their text.
 *
 * No double is ever made: 19.99 is a multiple of 0.01, 9007199254740993 is not 9007199254740992, and 1e400 is less than 1e401. A decimal
 * is sign, digits and a power of ten, and refers to the text it was read from: nothing is allocated, however large the exponent is.
 */
#ifndef WH_VALIDATE_DECIMAL_H
#define WH_VALIDATE_DECIMAL_H

#include <apr.h>

/** value = (-1)^negative × digits × 10^exponent. Leading and trailing zeros are gone; zero has no digits, exponent 0 and no sign. */
typedef struct wh_decimal {
    const char *digits;    /* first significant digit in the text; a '.' may lie between, count does not count it */
    apr_uint32_t count;    /* significant digits; 0: zero */
    apr_int32_t exponent;
    unsigned char negative;
    unsigned char small;   /* 1: at most 18 digits, `coefficient` holds them */
    apr_uint64_t coefficient;
} wh_decimal;

#define WH_DECIMAL_MAX_EXPONENT 1000000000

/** Read a JSON number (RFC 8259). @return 0 when it is none, or when its exponent is beyond WH_DECIMAL_MAX_EXPONENT either way */
int wh_decimal_parse(wh_decimal *d, const char *text, apr_size_t len);
/** @return < 0, 0, > 0 */
int wh_decimal_compare(const wh_decimal *a, const wh_decimal *b);
/** Is it a whole number? 1.0 and 1e3 are. */
int wh_decimal_is_whole(const wh_decimal *d);
/** Is a a multiple of b? b is not zero. @return -1 when that would cost too much: b of more than 18 digits and a of more than 400 */
int wh_decimal_is_multiple(const wh_decimal *a, const wh_decimal *b);
/** The same for equal values. `seed` makes it unpredictable. */
apr_uint64_t wh_decimal_hash(const wh_decimal *d, apr_uint64_t seed);

#endif
