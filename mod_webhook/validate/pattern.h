/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern.h: regular expressions over what a sender wrote. Two languages are compiled, one engine (PCRE2) matches, and no match can cost more
 * than its budget:
 *
 *   ECMA-262 with the u flag, which is what JSON Schema's "pattern", "patternProperties" and "format": "regex" mean. A grammar of our own
 *   decides what is valid, then translates; nothing PCRE2 alone understands gets through.
 *   PCRE2's own, for the expressions of administrators.
 *
 * Why a budget of our own: PCRE2's match limit starts anew at each position of the subject and does not count what a run of single characters
 * costs, so it bounds one try and not the match; and its JIT counts differently. A translated pattern therefore carries callouts wherever work
 * can repeat (a group's turn, an alternative, both ends of a run), and each one charges for itself and for the way since the last. Interpreter
 * and JIT are metered alike. Patterns whose cost is plainly proportional to the subject carry none and pay at once.
 */
#ifndef WH_VALIDATE_PATTERN_H
#define WH_VALIDATE_PATTERN_H

#include <apr_pools.h>

/** A compiled pattern: immutable, to be shared by threads; lives as long as the pool it was compiled in. */
typedef struct wh_pattern wh_pattern;

/*
 * Steps for the patterns of one payload. A step is about the look at one character, half a nanosecond or less, so these are at most 2 ms; what a
 * payload of len bytes honestly needs grows with it, to twice that.
 */
#define WH_PATTERN_STEPS 3000000
#define WH_PATTERN_STEPS_FOR(len) (WH_PATTERN_STEPS + ((len) < 1500000 ? 2 * (apr_int64_t)(len) : WH_PATTERN_STEPS))

/**
 * What the matches of one validation may cost together. Belongs to one thread; the engine's working memory is taken at the first match and
 * goes with the pool.
 */
typedef struct wh_pattern_budget {
    apr_int64_t left;  /* steps; negative once exhausted, and every match from then on is refused */
    apr_pool_t *p;
    void *work;        /* of pattern.c */
} wh_pattern_budget;

/** @param steps WH_PATTERN_STEPS or WH_PATTERN_STEPS_FOR(bytes of the body) unless there is a reason. @param p as long as the budget is in use. */
void wh_pattern_budget_init(wh_pattern_budget *budget, apr_int64_t steps, apr_pool_t *p);

/**
 * Compile ECMA-262 (u flag, ES2023: no modifiers, no v flag). For configuration: the cost grows with the pattern alone.
 * @param text UTF-8, any bytes; not kept. @param p owns the result.
 * @return NULL, or what is wrong with the pattern and at which character; a pattern that is valid but beyond the engine (a lookbehind of
 *         variable length, a count over 65535) is named as such
 */
const char *wh_pattern_compile(wh_pattern **out, const char *text, apr_size_t len, apr_pool_t *p);

#define WH_PATTERN_CASELESS 0x1
#define WH_PATTERN_DOTALL 0x2
#define WH_PATTERN_MULTILINE 0x4
#define WH_PATTERN_EXTENDED 0x8

/** Compile PCRE2's own language with the same bounds. Never Unicode properties for \d \w \s; \C is refused. @return as above */
const char *wh_pattern_compile_pcre(wh_pattern **out, const char *text, apr_size_t len, int flags, apr_pool_t *p);

/**
 * Whether the pattern matches anywhere in the subject.
 * @param subject well-formed UTF-8 (the JSON reader proved it; anything else is undefined); may contain NUL; may be NULL when len is 0.
 * @return 1 match, 0 no match, -1 the budget is exhausted or the engine gave up: a refusal, never "no match"
 */
int wh_pattern_match(const wh_pattern *re, const char *subject, apr_size_t len, wh_pattern_budget *budget);

/**
 * Whether the text is a valid ECMA-262 pattern (u flag): "format": "regex". Time is linear in the text and memory is what its group names
 * take. @return NULL, or what is wrong (in scratch)
 */
const char *wh_pattern_check(const char *text, apr_size_t len, apr_pool_t *scratch);

#endif
