/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expr.c: what httpd's expressions can ask of a verified request, in our directives and in everybody else's (Header, CustomLog expr=,
 * RequestHeader, SetEnvIfExpr ...), and the items of LogFormat that say the same.
 *
 *   %{WEBHOOK_EVENT} ...        variables: vars.c
 *   webhook_json('/pointer')    text of a scalar: strings, numbers as written, true, false. "" for null, objects, arrays, what is not
 *                               there, and for a string that holds a NUL (it would end early and be taken for another)
 *   webhook_list('/pointer')    the same for every value reached, a segment * standing for all elements or members; right of -in. What would
 *                               be "" above is not in the list
 *   webhook_form('name')        field of a form
 *   webhook_ce('attribute')     attribute of a CloudEvent
 *   -J '/pointer'               whether there is a value, null included
 *   'a' -match 'regex'          PCRE2's language with bounded steps, which =~ has not; a request that needs more fails the expression
 *   'a' -ngt 'b' and -nge -nlt -nle -neq -nne   exact decimals; none of them holds when one side is no number
 *   %{/pointer}^wj %{name}^wf %{attribute}^wc   in LogFormat
 *
 * Everything is empty, and -J false, before the request is verified: nothing here reads a body, so <If>, Require expr and RewriteCond, which
 * run earlier, never see a payload. Subrequests and error documents see that of the request they come from. Constant arguments are compiled
 * at configuration.
 */
#include "httpd/request.h"

#include "http_core.h"
#include "http_log.h"
#include "ap_expr.h"
#include "apr_lib.h"
#include "apr_optional.h"
#include "apr_strings.h"
#include "mod_log_config.h"

#include <string.h>

#include "core/encoding.h"
#include "core/json.h"
#include "validate/decimal.h"
#include "validate/pattern.h"

APLOG_USE_MODULE(webhook);

/* Values a list may hold: what a rule costs stays in proportion to the body, but so does memory. */
#define LIST_MAX 65536

/* ---- what a request is asked for ---- */

static const char *field_of(wh_req *wq, const char *name, apr_pool_t *p)
{
    const wh_payload *payload = wh_req_payload(wq);
    return payload ? wh_payload_field(payload, name, p) : NULL;
}

static const char *attribute_of(wh_req *wq, const char *name)
{
    const wh_payload *payload = wh_req_payload(wq);
    return payload && payload->ce ? wh_cloudevent_get(payload->ce, name) : NULL;
}

static wh_req *asked(const ap_expr_eval_ctx_t *ctx)
{
    return ctx->r ? wh_req_find(ctx->r) : NULL;
}

/* @return NULL after the expression was made to fail */
static const wh_json_pointer *pointer_now(ap_expr_eval_ctx_t *ctx, const char *what, const char *arg,
                                          const char *(*compile)(wh_json_pointer **, const char *, apr_pool_t *))
{
    wh_json_pointer *made;
    const char *err = compile(&made, arg, ctx->p);

    if (err) {
        *ctx->err = apr_psprintf(ctx->p, "%s'%s': a JSON pointer %s", what, arg, err);
        return NULL;
    }
    return made;
}

/* The data of a function whose argument is not constant: httpd wants some. */
static const char computed[] = "";

static const wh_json_value *value_at(ap_expr_eval_ctx_t *ctx, wh_req *wq, const void *data, const char *what, const char *arg)
{
    const wh_json *doc = wq ? wh_req_json(wq) : NULL;
    const wh_json_pointer *pointer = data != computed ? data : doc ? pointer_now(ctx, what, arg, wh_json_pointer_compile) : NULL;

    return doc && pointer ? wh_json_pointer_get(doc, pointer) : NULL;
}

/* ---- functions ---- */

static const char *expr_variable(ap_expr_eval_ctx_t *ctx, const void *data)
{
    const wh_req *wq = asked(ctx);
    const wh_variable *variable = data;

    return wq ? variable->get(wq) : NULL;
}

static const char *expr_json(ap_expr_eval_ctx_t *ctx, const void *data, const char *arg)
{
    return wh_json_text(value_at(ctx, asked(ctx), data, "webhook_json(", arg), ctx->p);
}

static apr_array_header_t *expr_list(ap_expr_eval_ctx_t *ctx, const void *data, const char *arg)
{
    wh_req *wq = asked(ctx);
    const wh_json *doc = wq ? wh_req_json(wq) : NULL;
    const wh_json_pointer *pointer = data != computed ? data : doc ? pointer_now(ctx, "webhook_list(", arg, wh_json_pointer_compile_list) : NULL;
    apr_array_header_t *found, *texts;
    const char *text;
    int i;

    if (!doc || !pointer) {
        return NULL;
    }
    found = apr_array_make(ctx->p, 16, sizeof(const wh_json_value *));
    if (!wh_json_pointer_list(doc, pointer, found, LIST_MAX)) {
        *ctx->err = apr_psprintf(ctx->p, "webhook_list('%s'): more than %d values", arg, LIST_MAX);
        return NULL;
    }
    texts = apr_array_make(ctx->p, found->nelts, sizeof(const char *));
    for (i = 0; i < found->nelts; i++) {
        text = wh_json_text(APR_ARRAY_IDX(found, i, const wh_json_value *), ctx->p);
        if (text && *text) {
            APR_ARRAY_PUSH(texts, const char *) = text;
        }
    }
    return texts;
}

static const char *expr_form(ap_expr_eval_ctx_t *ctx, const void *data, const char *arg)
{
    wh_req *wq = asked(ctx);

    (void)data;
    return wq ? field_of(wq, arg, ctx->p) : NULL;
}

static const char *expr_ce(ap_expr_eval_ctx_t *ctx, const void *data, const char *arg)
{
    wh_req *wq = asked(ctx);

    (void)data;
    return wq ? attribute_of(wq, arg) : NULL;
}

/* ---- operators ---- */

static int expr_exists(ap_expr_eval_ctx_t *ctx, const void *data, const char *arg)
{
    return value_at(ctx, asked(ctx), data, "-J ", arg) != NULL;
}

/* As JSON writes numbers, that is not 007. */
static int read_number(wh_decimal *d, const char *text)
{
    const char *c = text + (*text == '-');
    return !(*c == '0' && apr_isdigit(c[1])) && wh_decimal_parse(d, text, strlen(text));
}

/* Which results of a comparison an operator wants: less, equal, more. */
#define WANT_LESS 1
#define WANT_EQUAL 2
#define WANT_MORE 4

typedef struct comparison {
    int wants;
    const char *text; /* constant right side, NULL: computed */
    wh_decimal number;
} comparison;

static int expr_compare(ap_expr_eval_ctx_t *ctx, const void *data, const char *left, const char *right)
{
    const comparison *c = data;
    wh_decimal a, b;
    int order;

    (void)ctx;
    if (!read_number(&a, left) || (!c->text && !read_number(&b, right))) {
        return 0;
    }
    order = wh_decimal_compare(&a, c->text ? &c->number : &b);
    return (c->wants & (order < 0 ? WANT_LESS : order > 0 ? WANT_MORE : WANT_EQUAL)) != 0;
}

/* What is no UTF-8 is read as ISO-8859-1, as everywhere. */
static const char *utf8_of(const char *text, apr_pool_t *p)
{
    const unsigned char *c = (const unsigned char *)text;
    char *made, *at;

    if (wh_utf8_valid(text, strlen(text))) {
        return text;
    }
    for (made = at = apr_palloc(p, 2 * strlen(text) + 1); *c; c++) {
        if (*c >= 0x80) {
            *at++ = (char)(0xc0 | *c >> 6);
        }
        *at++ = (char)(*c < 0x80 ? *c : 0x80 | (*c & 0x3f));
    }
    *at = '\0';
    return made;
}

/* All matches of a request share what they may cost, so that many rules are no way around it. */
static wh_pattern_budget *budget_of(ap_expr_eval_ctx_t *ctx)
{
    wh_req *wq = asked(ctx);
    wh_pattern_budget *budget = wq ? wq->matching : NULL;
    apr_pool_t *p = wq ? wq->r->pool : ctx->p;

    if (!budget) {
        budget = apr_palloc(p, sizeof(*budget));
        wh_pattern_budget_init(budget, WH_PATTERN_STEPS, p);
        if (wq) {
            wq->matching = budget;
        }
    }
    return budget;
}

static int expr_match(ap_expr_eval_ctx_t *ctx, const void *data, const char *left, const char *right)
{
    const char *subject = utf8_of(left, ctx->p);
    int match = wh_pattern_match(data, subject, strlen(subject), budget_of(ctx));

    if (match < 0) {
        *ctx->err = apr_psprintf(ctx->p, "-match '%s': the regular expressions of this request take too many steps", right);
        return 0;
    }
    return match;
}

/* ---- what is known at configuration ---- */

static const char *check_pointer(const void **data, const char *arg, apr_pool_t *p)
{
    wh_json_pointer *pointer;
    const char *err = wh_json_pointer_compile(&pointer, arg, p);

    *data = pointer;
    return err ? apr_pstrcat(p, "a JSON pointer ", err, NULL) : NULL;
}

static const char *check_list(const void **data, const char *arg, apr_pool_t *p)
{
    wh_json_pointer *pointer;
    const char *err = wh_json_pointer_compile_list(&pointer, arg, p);

    *data = pointer;
    return err ? apr_pstrcat(p, "a JSON pointer ", err, NULL) : NULL;
}

static const char *check_field(const void **data, const char *arg, apr_pool_t *p)
{
    (void)p;
    *data = computed;
    return *arg ? NULL : "the name of a field is empty";
}

/* CloudEvents 1.0, section "Naming conventions". */
static const char *check_attribute(const void **data, const char *arg, apr_pool_t *p)
{
    const char *c;

    (void)p;
    for (c = arg; apr_islower(*c) || apr_isdigit(*c); c++) {
        continue;
    }
    *data = computed;
    return *c || c == arg ? "the name of an attribute is made of lower-case letters and digits" : NULL;
}

/* A pattern of the sender's making is none of ours. */
static int lookup_match(ap_expr_lookup_parms *parms)
{
    wh_pattern *pattern;
    const char *err;

    if (!parms->arg) {
        *parms->err = "the right side of -match must be a constant";
        return !OK;
    }
    err = wh_pattern_compile_pcre(&pattern, parms->arg, strlen(parms->arg), WH_PATTERN_DOTALL, parms->pool);
    if (err) {
        *parms->err = apr_psprintf(parms->ptemp, "-match '%s': %s", parms->arg, err);
        return !OK;
    }
    *parms->func = expr_match;
    *parms->data = pattern;
    return OK;
}

static int lookup_comparison(ap_expr_lookup_parms *parms)
{
    static const struct {
        const char *name;
        int wants;
    } operators[] = {
        {"ngt", WANT_MORE}, {"nge", WANT_MORE | WANT_EQUAL}, {"nlt", WANT_LESS}, {"nle", WANT_LESS | WANT_EQUAL},
        {"neq", WANT_EQUAL}, {"nne", WANT_LESS | WANT_MORE},
    };
    comparison *c;
    apr_size_t i;

    for (i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (strcmp(parms->name, operators[i].name)) {
            continue;
        }
        c = apr_pcalloc(parms->pool, sizeof(*c));
        c->wants = operators[i].wants;
        if (parms->arg) {
            c->text = apr_pstrdup(parms->pool, parms->arg);
            if (!read_number(&c->number, c->text)) {
                *parms->err = apr_psprintf(parms->ptemp, "-%s '%s': the right side is no decimal number (expected one such as 10, -0.5 or 1e3)",
                                           parms->name, parms->arg);
                return !OK;
            }
        }
        *parms->func = expr_compare;
        *parms->data = c;
        return OK;
    }
    return DECLINED;
}

static const struct {
    int type;
    const char *name;
    const void *func;
    const char *(*check)(const void **data, const char *arg, apr_pool_t *p);
} functions[] = {
    {AP_EXPR_FUNC_STRING, "webhook_json", expr_json, check_pointer},
    {AP_EXPR_FUNC_LIST, "webhook_list", expr_list, check_list},
    {AP_EXPR_FUNC_STRING, "webhook_form", expr_form, check_field},
    {AP_EXPR_FUNC_STRING, "webhook_ce", expr_ce, check_attribute},
    {AP_EXPR_FUNC_OP_UNARY, "J", expr_exists, check_pointer},
};
#define FUNCTION_COUNT (sizeof(functions) / sizeof(functions[0]))

/* An operator's name is spelled as it is. */
static int same_name(int type, const char *name, const char *ours)
{
    return type == AP_EXPR_FUNC_STRING || type == AP_EXPR_FUNC_LIST ? !strcasecmp(name, ours) : !strcmp(name, ours);
}

static int expr_lookup(ap_expr_lookup_parms *parms)
{
    const wh_variable *variable;
    const char *err;
    apr_size_t i;

    if (parms->type == AP_EXPR_FUNC_VAR) {
        if ((variable = wh_vars_find(parms->name)) == NULL) {
            return DECLINED;
        }
        *parms->func = expr_variable;
        *parms->data = variable;
        return OK;
    }
    if (parms->type == AP_EXPR_FUNC_OP_BINARY) {
        return strcmp(parms->name, "match") ? lookup_comparison(parms) : lookup_match(parms);
    }
    for (i = 0; i < FUNCTION_COUNT; i++) {
        if (!same_name(parms->type, parms->name, functions[i].name)) {
            continue;
        }
        if (functions[i].type != parms->type) {
            if (parms->type != AP_EXPR_FUNC_STRING && parms->type != AP_EXPR_FUNC_LIST) {
                continue;
            }
            *parms->err = apr_psprintf(parms->ptemp, parms->type == AP_EXPR_FUNC_LIST ? "%s() gives one text, no list: compare it with =="
                                                                                      : "%s() gives a list: it can only stand right of -in",
                                       functions[i].name);
            return !OK;
        }
        *parms->func = functions[i].func;
        *parms->data = computed;
        if (parms->arg && (err = functions[i].check(parms->data, parms->arg, parms->pool)) != NULL) {
            *parms->err = apr_psprintf(parms->ptemp, parms->type == AP_EXPR_FUNC_OP_UNARY ? "-%s '%s': %s" : "%s('%s'): %s", functions[i].name,
                                       parms->arg, err);
            return !OK;
        }
        return OK;
    }
    return DECLINED;
}

/* ---- LogFormat ---- */

/* httpd gives the argument with each request. What a sender wrote is escaped as the client's words in a log are. */
static const char *logged(request_rec *r, const char *text)
{
    return text ? ap_escape_logitem(r->pool, text) : NULL;
}

static const char *log_json(request_rec *r, char *arg)
{
    wh_req *wq = wh_req_find(r);
    const wh_json *doc = wq ? wh_req_json(wq) : NULL;
    wh_json_pointer *pointer;

    if (!doc || wh_json_pointer_compile(&pointer, arg, r->pool)) {
        return NULL;
    }
    return logged(r, wh_json_text(wh_json_pointer_get(doc, pointer), r->pool));
}

static const char *log_field(request_rec *r, char *arg)
{
    wh_req *wq = wh_req_find(r);
    return wq ? logged(r, field_of(wq, arg, r->pool)) : NULL;
}

static const char *log_attribute(request_rec *r, char *arg)
{
    wh_req *wq = wh_req_find(r);
    return wq ? logged(r, attribute_of(wq, arg)) : NULL;
}

void wh_expr_log_items(apr_pool_t *pconf)
{
    static const struct {
        char tag[4];
        ap_log_handler_fn_t *func;
    } items[] = {{"^wj", log_json}, {"^wf", log_field}, {"^wc", log_attribute}};
    APR_OPTIONAL_FN_TYPE(ap_register_log_handler) *add = APR_RETRIEVE_OPTIONAL_FN(ap_register_log_handler);
    apr_size_t i;

    for (i = 0; add && i < sizeof(items) / sizeof(items[0]); i++) {
        add(pconf, apr_pstrdup(pconf, items[i].tag), items[i].func, 0);
    }
}

void wh_expr_register(void)
{
    ap_hook_expr_lookup(expr_lookup, NULL, NULL, APR_HOOK_MIDDLE);
}
