/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern.c: compiling a translated pattern (or an administrator's own) with PCRE2, and matching it on a budget.
 *
 * What is charged: at each callout a step for every character the match got further since the last one, and TURN for the callout itself, or
 * what its mark says a piece without callouts may cost at most. Between two callouts of a translated pattern there are at most a run, whose
 * length the next callout sees, and LITERALS_PER_MARK single characters (pattern_parse.c). PCRE2's limits remain as the last fence.
 */
#include <string.h>

#include <apr_strings.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/encoding.h"
#include "validate/pattern.h"
#include "validate/pattern_parts.h"

#define TURN 20                /* a callout and what little is between two of them */
#define TURN_INTERPRETED 100   /* the same without JIT */
#define MATCH_LIMIT 10000000   /* of PCRE2, for each start: the budget is always smaller */
#define HEAP_LIMIT 2000        /* KiB, the interpreter's memory for going back; more costs more time than the steps do */
#define STACK_LIMIT 2048       /* KiB, the JIT's for the same; without one it has 32 on the thread's stack */
#define CHEAP 64               /* looks in one try that need no callout */

struct wh_pattern {
    const wh_pattern_row *row; /* NULL: it takes the engine */
    pcre2_code *code;          /* of the engine */
    int metered;
    int turn;
    apr_size_t fixed, per_char;   /* of an unmetered one, in steps */
};

typedef struct pattern_work {
    pcre2_match_context *context;
    pcre2_match_data *found;
    pcre2_jit_stack *stack;   /* made when the first match needs it */
    int turn;
    apr_int64_t left;
    PCRE2_SIZE last;   /* where the previous callout was */
} pattern_work;

static apr_status_t free_code(void *code)
{
    pcre2_code_free(code);
    return APR_SUCCESS;
}

static apr_status_t free_work(void *data)
{
    pattern_work *work = data;

    pcre2_match_data_free(work->found);
    pcre2_jit_stack_free(work->stack);
    pcre2_match_context_free(work->context);
    return APR_SUCCESS;
}

/* a comparison with what a group captured looks at all of it, and fails at its last character in the worst case */
static PCRE2_SIZE longest_capture(const pcre2_callout_block *block)
{
    PCRE2_SIZE longest = 0;
    apr_uint32_t i;

    for (i = 1; i < block->capture_top; i++) {
        PCRE2_SIZE from = block->offset_vector[i * 2], to = block->offset_vector[i * 2 + 1];

        if (from != PCRE2_UNSET && to != PCRE2_UNSET && to > from && to - from > longest) longest = to - from;
    }
    return longest;
}

/* @return 0 go on, PCRE2_ERROR_CALLOUT the budget is exhausted: the whole match ends */
static int charge(pcre2_callout_block *block, void *data)
{
    pattern_work *work = data;
    PCRE2_SIZE at = block->current_position;

    work->left -= work->turn;
    if (at > work->last) work->left -= (apr_int64_t)(at - work->last);
    work->last = at;
    if (block->callout_number == WH_MARK_BACKREF) work->left -= (apr_int64_t)longest_capture(block);
    else if (block->callout_number && block->callout_number < WH_MARK_PLAIN) work->left -= (apr_int64_t)1 << block->callout_number;
    return work->left < 0 ? PCRE2_ERROR_CALLOUT : 0;
}

void wh_pattern_budget_init(wh_pattern_budget *budget, apr_int64_t steps, apr_pool_t *p)
{
    budget->left = steps;
    budget->p = p;
    budget->work = NULL;
}

static pattern_work *work_of(wh_pattern_budget *budget)
{
    pattern_work *work = budget->work;

    if (work) return work;
    work = apr_pcalloc(budget->p, sizeof(*work));
    apr_pool_cleanup_register(budget->p, work, free_work, apr_pool_cleanup_null);
    /* one pair: whether it matches is all that is asked; the engine keeps what backreferences need elsewhere */
    work->found = pcre2_match_data_create(1, NULL);
    work->context = pcre2_match_context_create(NULL);
    if (!work->found || !work->context) return NULL;
    pcre2_set_match_limit(work->context, MATCH_LIMIT);
    pcre2_set_heap_limit(work->context, HEAP_LIMIT);
    pcre2_set_callout(work->context, charge, work);
    return budget->work = work;
}

/* @return whether there is enough left for a match that pays at once, which then is taken; whoever has too little for what costs little has
 * exhausted the budget */
static int pay(const wh_pattern *re, apr_size_t len, wh_pattern_budget *budget)
{
    if (budget->left >= 0) budget->left -= (apr_int64_t)(re->fixed + re->per_char * len);
    if (budget->left < 0) budget->left = -1;
    return budget->left >= 0;
}

int wh_pattern_match(const wh_pattern *re, const char *subject, apr_size_t len, wh_pattern_budget *budget)
{
    pattern_work *work;
    int rc;

    if (!subject) subject = "";
    if (re->row) return pay(re, len, budget) ? wh_pattern_row_match(re->row, subject, len) : -1;
    work = work_of(budget);
    if (!work || budget->left < 0) return -1;
    if (!re->metered && !pay(re, len, budget)) return -1;
    work->left = budget->left - (re->metered ? (apr_int64_t)re->fixed : 0);
    work->last = 0;
    work->turn = re->turn;
    rc = pcre2_match(re->code, (PCRE2_SPTR)subject, len, 0, PCRE2_NO_UTF_CHECK, work->found, work->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT && !work->stack) {
        work->stack = pcre2_jit_stack_create(STACK_LIMIT * 128, STACK_LIMIT * 1024, NULL);
        if (work->stack) {
            pcre2_jit_stack_assign(work->context, NULL, work->stack);
            work->last = 0;
            rc = pcre2_match(re->code, (PCRE2_SPTR)subject, len, 0, PCRE2_NO_UTF_CHECK, work->found, work->context);
        }
    }
    budget->left = work->left;
    if (rc >= 0) return 1;
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    return -1;
}

/* @return NULL or PCRE2's message */
static const char *compile(wh_pattern *re, const char *text, apr_size_t len, apr_uint32_t options, apr_size_t *at, apr_pool_t *p)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    PCRE2_SIZE offset = 0;
    PCRE2_UCHAR message[160];
    int error = PCRE2_ERROR_NOMEMORY;

    /* \ud800 alone is valid ECMA-262; it matches nothing a JSON reader lets through */
    if (context) {
        pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALLOW_SURROGATE_ESCAPES);
        re->code = pcre2_compile((PCRE2_SPTR)text, len, options | PCRE2_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                                 context);
        pcre2_compile_context_free(context);
    }
    if (!re->code) {
        pcre2_get_error_message(error, message, sizeof(message));
        *at = offset;
        return apr_pstrdup(p, (const char *)message);
    }
    apr_pool_cleanup_register(p, re->code, free_code, apr_pool_cleanup_null);
    /* where memory cannot be made executable (SELinux, MDWE), the interpreter does as well */
    re->turn = pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) ? TURN_INTERPRETED : TURN;
    return NULL;
}

/* which character of the text, from 1 */
static apr_size_t character_at(const char *text, const char *at)
{
    apr_size_t n = 1;

    for (; text < at; text++)
        if (((unsigned char)*text & 0xc0) != 0x80) n++;
    return n;
}

static const char *explain(const wh_pattern_parse *ps, const char *text)
{
    return apr_psprintf(ps->p, "at character %" APR_SIZE_T_FMT ": %s", character_at(text, ps->error_at), ps->error);
}

static void parse_init(wh_pattern_parse *ps, const char *text, apr_size_t len, int emitting, apr_pool_t *p)
{
    memset(ps, 0, sizeof(*ps));
    ps->at = len ? text : "";
    ps->end = ps->at + len;
    ps->emitting = emitting;
    ps->p = p;
}

const char *wh_pattern_check(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    wh_pattern_parse ps;

    parse_init(&ps, text, len, 0, scratch);
    return wh_pattern_parse_text(&ps) ? NULL : explain(&ps, text);
}

const char *wh_pattern_compile(wh_pattern **out, const char *text, apr_size_t len, apr_pool_t *p)
{
    wh_pattern_parse ps;
    wh_pattern *re;
    apr_pool_t *ptemp;
    const char *translated, *error = NULL;
    apr_size_t translated_len, at;
    double looks;

    apr_pool_create(&ptemp, p);
    parse_init(&ps, text, len, 1, ptemp);
    if (!wh_pattern_parse_text(&ps)) {
        error = apr_pstrdup(p, explain(&ps, text));
        goto leave;
    }
    if (ps.limit) {
        error = apr_pstrcat(p, "valid, but more than the engine can do: ", ps.limit, NULL);
        goto leave;
    }
    re = apr_pcalloc(p, sizeof(*re));
    looks = ps.cost.paths * ps.cost.work;
    /* what cannot go back over a run it began, and tries little at each place, pays by the length of the subject */
    re->metered = ps.cost.unbounded || ps.cost.runs + !ps.anchored > 1 || looks > CHEAP;
    re->fixed = TURN;
    if (!re->metered) {
        re->fixed += (apr_size_t)looks;
        if (ps.cost.runs || !ps.anchored) re->per_char = 1 + (apr_size_t)looks / 16;
    }
    re->row = wh_pattern_row_compile(text, len, p);
    if (re->row) {
        if (re->metered) re->per_char = 1;
        *out = re;
        goto leave;
    }
    translated = wh_pattern_finish(&ps, re->metered, &translated_len);
    error = compile(re, translated, translated_len,
                    PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF, &at, p);
    if (error) error = apr_pstrcat(p, "valid, but more than the engine can do: ", error, NULL);
    else *out = re;
leave:
    apr_pool_destroy(ptemp);
    return error;
}

const char *wh_pattern_compile_pcre(wh_pattern **out, const char *text, apr_size_t len, int flags, apr_pool_t *p)
{
    apr_uint32_t options = PCRE2_AUTO_CALLOUT | PCRE2_DOLLAR_ENDONLY;
    wh_pattern *re = apr_pcalloc(p, sizeof(*re));
    apr_size_t at;
    const char *error;

    if (flags & WH_PATTERN_CASELESS) options |= PCRE2_CASELESS;
    if (flags & WH_PATTERN_DOTALL) options |= PCRE2_DOTALL;
    if (flags & WH_PATTERN_MULTILINE) options |= PCRE2_MULTILINE;
    if (flags & WH_PATTERN_EXTENDED) options |= PCRE2_EXTENDED;
    /* here PCRE2 checks the UTF-8: a configuration file may be in any encoding */
    re->metered = 1;
    re->fixed = TURN;
    error = compile(re, text, len, options, &at, p);
    if (error) return apr_psprintf(p, "at character %" APR_SIZE_T_FMT ": %s", character_at(text, text + at), error);
    *out = re;
    return NULL;
}
