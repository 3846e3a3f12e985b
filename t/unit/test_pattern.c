/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECMA-262 patterns (u flag): what is valid, what it means, and that no match gets past its budget. What V8 thinks of random ones is
 * test_pattern_v8's.
 */
#include <apr_general.h>
#include <apr_pools.h>

#include "evil_patterns.h"
#include "tap.h"
#include "validate/pattern.h"
#include "validate/pattern_parts.h"

static apr_pool_t *pool;

static int matches(const char *pattern, const char *text, size_t len)
{
    wh_pattern_budget budget;
    wh_pattern *re;
    const char *error = wh_pattern_compile(&re, pattern, strlen(pattern), pool);

    if (error) {
        diag("%s: %s", pattern, error);
        return -2;
    }
    wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
    return wh_pattern_match(re, text, len, &budget);
}

static void meaning(void)
{
    static const struct { const char *pattern, *text; int match; } table[] = {
        /* $ is the very end, ^ the very start */
        { "^abc$", "abc", 1 }, { "^abc$", "abc\n", 0 }, { "^b", "a\nb", 0 }, { "a$", "a\nb", 0 }, { "b", "abc", 1 },
        /* ASCII alone */
        { "^\\d$", "7", 1 }, { "^\\d$", "\331\243", 0 }, { "^\\D$", "\331\243", 1 }, { "^\\w$", "\303\251", 0 }, { "^\\W$", "\303\251", 1 },
        { "^[\\d]$", "\331\243", 0 }, { "^[^\\D\\p{L}]$", "\342\200\250", 0 }, { "^[^\\W]$", "_", 1 }, { "\\b\303\251", "a\303\251", 1 },
        /* white space is Unicode's, in and out of a class */
        { "^\\s$", "\302\240", 1 }, { "^\\s$", "\357\273\277", 1 }, { "^\\s$", "\342\200\251", 1 }, { "^\\s$", "\341\240\216", 0 },
        { "^\\S$", "\302\240", 0 }, { "^[\\s]$", "\343\200\200", 1 }, { "^[^\\s]$", "\343\200\200", 0 }, { "^[\\S]$", "\302\205", 1 },
        /* the dot and line terminators */
        { "^.$", "\r", 0 }, { "^.$", "\n", 0 }, { "^.$", "\342\200\250", 0 }, { "^.$", "\302\205", 1 }, { "^.$", "\360\237\230\200", 1 },
        { "^[^]$", "\n", 1 }, { "[]", "a", 0 }, { "^[]*a$", "a", 1 }, { "^[]?$", "", 1 },
        /* escapes */
        { "^\\u0061\\x62\\u{63}$", "abc", 1 }, { "^\\ud83d\\ude00$", "\360\237\230\200", 1 }, { "^[\\ud83d\\ude00]$", "\360\237\230\200", 1 },
        { "^\360\237\230\200{2}$", "\360\237\230\200\360\237\230\200", 1 }, { "^\\cA\\v\\f$", "\001\013\014", 1 }, { "^[\\b]$", "\b", 1 },
        { "^[\\-\\]\\^]+$", "-]^", 1 }, { "^\\/\\.$", "/.", 1 }, { "^\\ud83d$", "\360\237\230\200", 0 }, { "[\\ud800-\\udfff]", "a", 0 },
        /* what PCRE2 alone would understand */
        { "^[[:alpha:]$", "z", 0 }, { "^[[:alpha:]$", ":", 1 }, { "^#a b$", "#a b", 1 }, { "^[a-z&&b]$", "&", 1 },
        /* properties by their long names */
        { "^\\p{Letter}+$", "a\303\251", 1 }, { "^\\p{Lowercase_Letter}$", "A", 0 }, { "^\\p{digit}+$", "\331\243", 1 }, { "^\\p{gc=Nd}$", "3", 1 },
        { "^\\p{Script=Greek}$", "\316\261", 1 }, { "^\\p{sc=Grek}$", "a", 0 }, { "^\\p{scx=Hira}$", "\343\201\202", 1 }, { "^\\P{ASCII}$", "a", 0 },
        { "^\\p{Any}$", "\n", 1 }, { "^\\p{Assigned}$", "a", 1 }, { "^\\P{Assigned}$", "a", 0 }, { "^[\\p{Lu}\\p{LC}]$", "a", 1 },
        { "^[^\\P{Lu}]$", "A", 1 },
        /* groups and references */
        { "^(a)\\1$", "aa", 1 }, { "^(?<x>a)\\k<x>$", "aa", 1 }, { "^\\1(a)$", "a", 1 }, { "^(?:(a)|b)\\1$", "b", 1 }, { "^\\1+?(a)$", "a", 1 },
        { "^\\k<\303\251>(?<\303\251>a)$", "a", 1 }, { "^(?<\\u0061>x)\\k<a>$", "xx", 1 }, { "^(?=a)(?!b)a$", "a", 1 }, { "(?<=a|b)c", "bc", 1 },
        { "(?<!a)c", "ac", 0 }, { "^(a{0}b)\\1$", "bb", 1 }, { "^a{02}$", "aa", 1 }, { "^a{2,}?$", "aaa", 1 }, { "^(|a)+$", "aa", 1 },
        { "^x*$", "", 1 }, { "", "anything", 1 }, { "|", "", 1 },
    };
    apr_size_t i;
    wh_pattern_budget budget;
    wh_pattern *re;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        is_int(matches(table[i].pattern, table[i].text, strlen(table[i].text)), table[i].match, "%s", table[i].pattern);
    is_int(matches("^a\\0b$", "a\0b", 3), 1, "a NUL in the subject is a character");
    is_int(matches("^a$", "a\0b", 3), 0, "and does not end it");
    ok(!wh_pattern_compile(&re, "a\0[b]", 5, pool), "a NUL in the pattern is one as well");
    wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
    is_int(wh_pattern_match(re, "a\0b", 3, &budget), 1, "and matches itself");
    is_int(wh_pattern_match(re, NULL, 0, &budget), 0, "nothing is an empty subject");
}

static void validity(void)
{
    static const char *const invalid[] = {
        "\\a", "\\e", "\\A", "\\z", "\\Z", "\\G", "\\h", "\\R", "\\K", "\\N", "\\X", "\\Q", "\\_", "\\-", "\\ ", "\\\303\251", "\\", "(?i)", "(?i:a)", "(?#x)",
        "(?P<n>a)", "(?>a)", "(?|a)", "(?1)", "(*FAIL)", "a++", "a*+", "a**", "*", "+a", "?", "{", "}", "a{", "a{1", "a{,2}", "a{2,1}", "a{x}", "{1}", "]", ")", "(",
        "[", "[a", "[]a]", "[[:alpha:]]", "(a", "a)", "\\1", "(a)\\2", "\\8", "\\00", "\\07", "[\\1]", "[\\00]", "\\u", "\\u12", "\\u{", "\\u{}", "\\u{110000}", "\\u{0000110000}", "\\x1",
        "\\xgg", "\\c", "\\c1", "[\\c1]", "\\p", "\\pL", "\\p{}", "\\p{letter}", "\\p{L", "\\p{ L}", "\\p{Greek}", "\\p{Script}", "\\p{Script=}", "\\p{gc=Greek}", "\\p{sc=L}",
        "\\p{InGreek}", "\\p{L&}", "\\p{^L}", "\\p{RGI_Emoji}", "\\k", "\\k<a>", "(?<a>x)\\k<b>", "(?<a>x)(?<a>y)", "(?<a>x)|(?<a>y)", "(?<>x)", "(?<1>x)", "(?<a", "(?<a b>x)",
        "\\b*", "^*", "$?", "(?=a)*", "(?!a)+", "(?<=a){2}", "[b-a]", "[\\d-a]", "[a-\\d]", "[\\B]", "[\\k]", "\\k<\\ud83d>", "\377", "[\303]", "a\300\200", "^(?",
    };
    static const char *const valid[] = {
        "", "a|b|", "()", "(?:)", "(|)", "[]", "[^]", "[-]", "[a-]", "[-a]", "[^-a]", "[a-a]", "[\\-a]", "[.*+?{}()|$]", "a{0}", "a{0,0}", "a{1,2}?", "\\u{000041}", "\\ud800", "[\\ud800-\\udfff]",
        "(?<$_>x)", "(?<_1>x)\\k<_1>", "\\0", "\\(\\)\\[\\]\\{\\}\\^\\$\\.\\*\\+\\?\\|\\/\\\\", "\\p{Script_Extensions=Zyyy}", "\\p{General_Category=Uppercase_Letter}", "\\P{XIDS}",
        "(?=a)(?!b)(?<=c)(?<!d)", "\\b\\B", "(?<=a*)b", "a{99999999999999999999}", "\302\240", "-", "/", ",", "=", "!", "&", "~", "#", "\"", "<>",
    };
    apr_size_t i, deep = 201;
    wh_pattern *re;
    char nested[1000], *at = nested;
    const char *error;

    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        ok(wh_pattern_compile(&re, invalid[i], strlen(invalid[i]), pool) != NULL, "not a pattern: %s", invalid[i]);
        ok(wh_pattern_check(invalid[i], strlen(invalid[i]), pool) != NULL, "the check says so too");
    }
    for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        error = wh_pattern_check(valid[i], strlen(valid[i]), pool);
        ok(!error, "a pattern: %s", valid[i]);
        if (error) diag("%s", error);
    }
    error = wh_pattern_compile(&re, "ab\303\251[z-a]", 9, pool);
    is_str(error, "at character 5: the ends of a range are in the wrong order", "an error says where, in characters");
    error = wh_pattern_compile(&re, "(?<=a*)b", 8, pool);
    ok(error && strstr(error, "valid, but more than the engine can do") && strstr(error, "lookbehind"), "a limit is named as one: %s", error);
    error = wh_pattern_compile(&re, "a{70000}", 8, pool);
    ok(error && strstr(error, "a count over 65535"), "so is a large count: %s", error);
    for (i = 0; i < deep; i++) *at++ = '(';
    for (i = 0; i < deep; i++) *at++ = ')';
    ok(wh_pattern_check(nested, (apr_size_t)(at - nested), pool) != NULL, "201 groups in each other are too deep");
    ok(!wh_pattern_compile(&re, nested + 1, (apr_size_t)(at - nested) - 2, pool), "200 are not");
}

static void budgets(void)
{
    static const size_t sizes[] = { 30, 1000, 50000 };
    apr_size_t i, s;
    wh_pattern_budget budget;
    wh_pattern *re;
    char *text;
    size_t len;
    apr_int64_t before;
    int rc;

    for (i = 0; i < EVIL_COUNT; i++) {
        const struct evil *e = &evil_patterns[i];

        if (wh_pattern_compile(&re, e->pattern, strlen(e->pattern), pool)) {
            ok(0, "%s compiles", e->pattern);
            continue;
        }
        for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            text = evil_string(e, sizes[s], &len);
            wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
            rc = wh_pattern_match(re, text, len, &budget);
            /* one callout, a run or a weight more than there was: never more */
            ok(budget.left > -2 * (apr_int64_t)len - 100, "%s, %d bytes: %s after %ld steps", e->pattern, (int)len, rc < 0 ? "refused" : "judged",
               (long)(WH_PATTERN_STEPS - budget.left));
            free(text);
        }
    }
    /* these need far more than there is */
    for (i = 0; i < 6; i++) {
        const struct evil *e = &evil_patterns[i];

        text = evil_string(e, 100, &len);
        wh_pattern_compile(&re, e->pattern, strlen(e->pattern), pool);
        wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
        is_int(wh_pattern_match(re, text, len, &budget), -1, "%s is refused", e->pattern);
        is_int(wh_pattern_match(re, "a", 1, &budget), -1, "and so is all that would come after");
        free(text);
    }
    /* what honest patterns pay grows with the subject, not with its square */
    text = malloc(100000);
    memset(text, 'a', 100000);
    ok(!wh_pattern_compile(&re, "^[a-z]+$", 8, pool), "an honest pattern");
    wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
    is_int(wh_pattern_match(re, text, 100000, &budget), 1, "matches 100,000 characters");
    before = budget.left;
    ok(WH_PATTERN_STEPS - before >= 100000 && WH_PATTERN_STEPS - before < 200000, "and pays for them");
    is_int(wh_pattern_match(re, "abc", 3, &budget), 1, "the budget is shared");
    ok(budget.left < before, "by all matches");
    ok(!wh_pattern_compile(&re, "^(a|b)*$", 8, pool), "one that remembers each turn");
    wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
    is_int(wh_pattern_match(re, text, 4000, &budget), 1, "does so for 4,000 characters");
    /* each kind of uncounted work has its charge */
    memset(text, 'a', 4999);
    text[4999] = '?';
    ok(!wh_pattern_compile(&re, "[a-z]{5000}[!#]", 15, pool), "a fixed count");
    wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
    is_int(wh_pattern_match(re, text, 10000, &budget), -1, "is charged wherever it was tried, though it fails before its end");
    memset(text, 'a', 1000);
    ok(!wh_pattern_compile(&re, "[a-z]+[0-9]", 11, pool), "a run");
    wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
    is_int(wh_pattern_match(re, text, 1000, &budget), 0, "does not match");
    ok(WH_PATTERN_STEPS - budget.left >= 500000, "and is charged its length from each start (%ld)", (long)(WH_PATTERN_STEPS - budget.left));
    ok(!wh_pattern_compile(&re, "^(a+)\\1[bc]", 11, pool), "a reference");
    wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
    is_int(wh_pattern_match(re, text, 1000, &budget), 0, "does not match");
    /* of 1,000 captures, 500 characters on average */
    ok(WH_PATTERN_STEPS - budget.left >= 500000, "and is charged what it may compare (%ld)", (long)(WH_PATTERN_STEPS - budget.left));
    free(text);
}

static void administrators(void)
{
    wh_pattern_budget budget;
    wh_pattern *re = NULL;
    const char *error;
    char text[101];

    ok(!wh_pattern_compile_pcre(&re, "^[[:alpha:]]++(?i)x$", 20, 0, pool), "PCRE2's own language");
    wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
    is_int(wh_pattern_match(re, "abcX", 4, &budget), 0, "possessive");
    ok(!wh_pattern_compile_pcre(&re, "^main$", 6, WH_PATTERN_CASELESS, pool), "without case");
    is_int(wh_pattern_match(re, "MAIN", 4, &budget), 1, "matches");
    is_int(wh_pattern_match(re, "main\0x", 6, &budget), 0, "a NUL does not end the subject");
    ok(!wh_pattern_compile_pcre(&re, "a . b", 5, WH_PATTERN_EXTENDED | WH_PATTERN_DOTALL, pool), "extended, dot matches all");
    is_int(wh_pattern_match(re, "a\nb", 3, &budget), 1, "matches");
    ok(!wh_pattern_compile_pcre(&re, "^b$", 3, WH_PATTERN_MULTILINE, pool), "lines");
    is_int(wh_pattern_match(re, "a\nb\nc", 5, &budget), 1, "match");
    error = wh_pattern_compile_pcre(&re, "a(b", 3, 0, pool);
    is_str(error, "at character 4: missing closing parenthesis", "an error says where");
    ok(wh_pattern_compile_pcre(&re, "\\C", 2, 0, pool) != NULL, "no half characters");
    ok(wh_pattern_compile_pcre(&re, "(*UCP)a", 7, 0, pool) != NULL, "no Unicode digits by the back door");
    ok(wh_pattern_compile_pcre(&re, "\377", 1, 0, pool) != NULL, "UTF-8");
    memset(text, 'a', 100);
    text[100] = '!';
    ok(!wh_pattern_compile_pcre(&re, "^(a+)+$", 7, 0, pool), "an evil one");
    is_int(wh_pattern_match(re, text, 101, &budget), -1, "is bounded");
    ok(!wh_pattern_compile_pcre(&re, "(*NO_JIT)^(a+)+$", 16, 0, pool), "interpreted");
    wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
    is_int(wh_pattern_match(re, text, 101, &budget), -1, "too");
}

static int is_row(const char *pattern)
{
    return wh_pattern_row_compile(pattern, strlen(pattern), pool) != NULL;
}

/* Patterns that need no engine are judged as the engine does: the same in a group is the engine's. */
static void rows(void)
{
    static const char *const rows_[] = { "^", "^$", "^[0-9a-f]{40}$", "^v\\d+\\.\\d+", "^a?b*c+[d-f]{2,3}$", "^\\w+\\/x$", "^[]$", "^[-a\\]\\d]{0,2}x$", "^a{3}a*$", "^a{65535}$",
                                         "^[a-c][a-c][a-c]?$", "^a+b?c",
                                         "^refs/(heads|tags)/", "^(?:a|b|cd)$", "^a*(b|cb)" };
    static const char *const others[] = { "", "a$", "^a|b", "^(a|)$", "^(a|ab)$", "^(ab|a)", "^(a|a)", "^(a)?", "^(?=a)b", "^(?<x>a)", "^(a|(b))", "^(a.)", "^(a[b])", "^a*(b|ab)", "^(a)\\1", "^(a|b)|c", "^.$", "^[^a]$", "^a+a$", "^a?a", "^a*b*a", "^a+?b", "^\\s", "^\\x41", "^\303\251", "^[\303\251]", "^a$b", "^\\b",
                                          "^abcdefghijklmnopq$", "^[a-z]{1,3}[x-z]", "^[\\u0061]", "^[\\b]", "^\\ca", "^a{1}b??", "^[-a]{0,2}-$" };
    static const char *const sets[] = { "a", "b", "[ab]", "[b-d]", "c", "\\d", "[\\d-]", "\\w", "-", "\\.", "[]", "\\/", "(a|b)", "(ab|c|-\\.)", "(?:d0|d_)", "(b)" };
    static const char *const counts[] = { "", "", "", "?", "*", "+", "{2}", "{0}", "{1,2}", "{2,}", "{0,3}" };
    static const char letters[] = "aaabbbcd0-._]/\n";
    unsigned seed = 7, found = 0, wrong = 0, matched = 0, i, k, n;
    wh_pattern_budget budget;

    for (i = 0; i < sizeof(rows_) / sizeof(rows_[0]); i++) ok(is_row(rows_[i]), "a row: %s", rows_[i]);
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) ok(!is_row(others[i]), "no row: %s", others[i]);
#define ANY(n) ((seed = seed * 1103515245u + 12345u) >> 16) % (n)
    for (i = 0; i < 3000; i++) {
        char pattern[200] = "^", grouped[210];
        wh_pattern *re, *engine;

        for (n = 1 + ANY(4); n > 0; n--) {
            strcat(pattern, sets[ANY(sizeof(sets) / sizeof(sets[0]))]);
            strcat(pattern, counts[ANY(sizeof(counts) / sizeof(counts[0]))]);
        }
        if (ANY(3)) strcat(pattern, "$");
        snprintf(grouped, sizeof(grouped), "(?:%s)", pattern);
        if (wh_pattern_compile(&re, pattern, strlen(pattern), pool) || wh_pattern_compile(&engine, grouped, strlen(grouped), pool)) continue;
        found += (unsigned)is_row(pattern);
        wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, pool);
        for (k = 0; k < 60; k++) {
            char text[12];
            int here, there;

            for (n = 0; n < k % 12; n++) text[n] = letters[ANY(sizeof(letters) - 1)];
            here = wh_pattern_match(re, text, n, &budget);
            there = wh_pattern_match(engine, text, n, &budget);
            matched += here == 1;
            if (here != there && wrong++ < 5) diag("%s and \"%.*s\": %d, the engine: %d", pattern, (int)n, text, here, there);
        }
    }
#undef ANY
    ok(found > 500, "%u of the random patterns are rows", found);
    ok(matched > 5000, "%u matches", matched);
    is_int(wrong, 0, "and all of them are judged as the engine does");
    wh_pattern_budget_init(&budget, 100, pool);
    {
        wh_pattern *re;

        ok(!wh_pattern_compile(&re, "^[0-9a-f]+$", 11, pool), "a row that is as long as the text");
        is_int(wh_pattern_match(re, "0123456789", 10, &budget), 1, "matches");
        ok(budget.left <= 90, "and pays for it");
        is_int(wh_pattern_match(re, NULL, 0, &budget), 0, "as does one that does not");
        while (budget.left > 0 && wh_pattern_match(re, "0123456789", 10, &budget) >= 0) continue;
        is_int(wh_pattern_match(re, "0", 1, &budget), -1, "until there is nothing left");
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    meaning();
    validity();
    budgets();
    administrators();
    rows();
    apr_pool_destroy(pool);
    return tap_done();
}
