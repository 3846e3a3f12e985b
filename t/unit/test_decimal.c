/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact decimals: what doubles get wrong, what cannot be written as one, and every small pair against integer arithmetic.
 */
#include "tap.h"

#include "validate/decimal.h"

static wh_decimal decimal(const char *text)
{
    wh_decimal d;
    if (!wh_decimal_parse(&d, text, strlen(text))) fail("%s is a number", text);
    return d;
}

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void test_parse(void)
{
    static const char *const good[] = {"0", "-0", "0.0", "-0.0e5", "0e99999999999999999999", "1", "10", "1.50", "1e3", "1E+3", "1e-3",
                                       "123456789012345678901234567890", "0.000000000000000000001", "1e1000000000", "1e-1000000000"};
    static const char *const bad[] = {"", "-", "+1", ".5", "1.", "1.e3", "1e", "1e+", "1x", "e3", " 1", "1 ", "1.2.3", "0x10", "NaN", "1e1.5",
                                      "1e1000000001", "1e-1000000001", "1e99999999999999999999999", "10e1000000000"};
    wh_decimal d;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) ok(wh_decimal_parse(&d, good[i], strlen(good[i])), "\"%s\"", good[i]);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) ok(!wh_decimal_parse(&d, bad[i], strlen(bad[i])), "not \"%s\"", bad[i]);
    d = decimal("-120.0450e2");
    ok(d.negative && d.count == 6 && d.exponent == -1 && d.small && d.coefficient == 120045, "what is kept of -120.0450e2");
}

static void test_order(void)
{
    /* ascending; those on one line are equal */
    static const char *const rows[][3] = {
        {"-1e1000000000", NULL, NULL}, {"-123456789012345678901234567891", NULL, NULL},
        {"-123456789012345678901234567890", "-12345678901234567890123456789e1", NULL}, {"-2", "-2.0", "-20e-1"}, {"-0.5", NULL, NULL},
        {"-1e-400", NULL, NULL}, {"0", "-0", "0e5"}, {"1e-1000000000", NULL, NULL}, {"0.1", "1e-1", "0.10"},
        {"0.10000000000000000000000000001", NULL, NULL}, {"1", "1.0", "1e0"}, {"9007199254740992", NULL, NULL},
        {"9007199254740993", "9007199254740993.000", NULL}, {"18446744073709551616", "1.8446744073709551616e19", NULL},
        {"1e400", "10e399", NULL}, {"1e401", NULL, NULL},
    };
    const int n = (int)(sizeof(rows) / sizeof(rows[0]));
    int i, j, a, b, wrong = 0;

    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++) {
            for (a = 0; a < 3 && rows[i][a]; a++) {
                for (b = 0; b < 3 && rows[j][b]; b++) {
                    wh_decimal x = decimal(rows[i][a]), y = decimal(rows[j][b]);
                    if (sign(wh_decimal_compare(&x, &y)) != sign(i - j)) {
                        diag("%s against %s", rows[i][a], rows[j][b]);
                        wrong++;
                    }
                    if (i == j && wh_decimal_hash(&x, 7) != wh_decimal_hash(&y, 7)) wrong++;
                }
            }
        }
    }
    is_int(wrong, 0, "the order of %d numbers, however written", n);
}

static void test_multiples(void)
{
    static const struct {
        const char *a, *b;
        int is;
    } rows[] = {
        {"19.99", "0.01", 1}, {"4.35", "0.01", 1}, {"0.0075", "0.0001", 1}, {"0.00751", "0.0001", 0}, {"0.3", "0.1", 1}, {"35", "1.5", 0},
        {"4.5", "1.5", 1}, {"1e308", "0.123456789", 0}, {"1e308", "0.5", 1}, {"12391239123", "1e-8", 1}, {"1e1000000000", "7", 0},
        {"1e1000000000", "1024", 1}, {"7e1000000000", "7", 1}, {"1e-1000000000", "1", 0}, {"0", "3", 1}, {"-9", "3", 1}, {"-10", "3", 0},
        {"246913578024691357802469135780", "123456789012345678901234567890", 1},
        {"246913578024691357802469135781", "123456789012345678901234567890", 0},
        {"1e2000", "1208925819614629174706176", 1}, /* 2^80 */
        {"1e79", "1208925819614629174706176", 0}, {"1e80", "1208925819614629174706176", 1},
        {"99999999999999999999", "33333333333333333333", 1}, {"99999999999999999999", "33333333333333333334", 0},
        {"1.5", "123456789012345678901234567890", 0}, {"12345678901234567890123.5", "0.00000000000000000001", 1},
    };
    static char digits[500];
    wh_decimal a, b;
    size_t i;
    int x, y, wrong = 0;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        a = decimal(rows[i].a);
        b = decimal(rows[i].b);
        is_int(wh_decimal_is_multiple(&a, &b), rows[i].is, "%s is%s a multiple of %s", rows[i].a, rows[i].is ? "" : " not", rows[i].b);
    }
    /* every pair of tenths up to 40 */
    for (x = 0; x <= 400; x++) {
        for (y = 1; y <= 400; y++) {
            char one[16], two[16];
            snprintf(one, sizeof(one), "%d.%d", x / 10, x % 10);
            snprintf(two, sizeof(two), "%d.%d", y / 10, y % 10);
            a = decimal(one);
            b = decimal(two);
            wrong += wh_decimal_is_multiple(&a, &b) != (x % y == 0) || sign(wh_decimal_compare(&a, &b)) != sign(x - y)
                     || wh_decimal_is_whole(&a) != (x % 10 == 0);
        }
    }
    is_int(wrong, 0, "tenths, each against each");
    memset(digits, '3', sizeof(digits) - 1);
    a = decimal(digits);
    b = decimal("3");
    is_int(wh_decimal_is_multiple(&a, &b), 1, "as many digits as there may be, by a small number");
    b = decimal("3333333333333333333333");
    is_int(wh_decimal_is_multiple(&a, &b), -1, "... by a large one that costs too much");
}

int main(void)
{
    test_parse();
    test_order();
    test_multiples();
    return tap_done();
}
