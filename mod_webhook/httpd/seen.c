/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen.c: why a rule matches, for httpd -t -D WEBHOOK_ROUTE (rehearse.c): what its expression asked of the request and what the answer was,
 * of our functions and of httpd's own. The functions that an expression finds when it is parsed are wrapped; a server that serves requests
 * has no wrappers.
 */
#include "httpd/directives.h"
#include "httpd/request.h"

#include "ap_expr.h"
#include "apr_strings.h"
#include "http_core.h"

#include <string.h>

/* Of a value, so much is shown. */
#define SHOWN 120

typedef struct watched {
    const void *func; /* what was found, and */
    const void *data; /* its own */
    const char *name;
} watched;

static wh_req *watching(const ap_expr_eval_ctx_t *ctx)
{
    wh_req *wq = ctx->r ? wh_req_find(ctx->r) : NULL;
    return wq && wq->seen ? wq : NULL;
}

static void note(const ap_expr_eval_ctx_t *ctx, const char *what, const char *value)
{
    wh_req *wq = watching(ctx);
    apr_pool_t *p;
    const char *line;
    int i;

    if (!wq) {
        return;
    }
    p = wq->seen->pool;
    line = !value ? apr_pstrcat(p, what, " is empty", NULL)
                  : apr_pstrcat(p, what, " is \"", apr_pstrmemdup(p, value, strnlen(value, SHOWN)), strlen(value) > SHOWN ? "\"..." : "\"", NULL);
    for (i = 0; i < wq->seen->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(wq->seen, i, const char *), line)) {
            return; /* asked twice */
        }
    }
    APR_ARRAY_PUSH(wq->seen, const char *) = line;
}

/* As it is called in an expression. */
static const char *call(const ap_expr_eval_ctx_t *ctx, const watched *w, const char *arg)
{
    return apr_pstrcat(ctx->p, w->name, "('", arg, "')", NULL);
}

static const char *watch_variable(ap_expr_eval_ctx_t *ctx, const void *data)
{
    const watched *w = data;
    const char *text = ((ap_expr_var_func_t *)(apr_uintptr_t)w->func)(ctx, w->data);

    note(ctx, apr_pstrcat(ctx->p, "%{", w->name, "}", NULL), text);
    return text;
}

static const char *watch_string(ap_expr_eval_ctx_t *ctx, const void *data, const char *arg)
{
    const watched *w = data;
    const char *text = ((ap_expr_string_func_t *)(apr_uintptr_t)w->func)(ctx, w->data, arg);

    note(ctx, call(ctx, w, arg), text);
    return text;
}

static apr_array_header_t *watch_list(ap_expr_eval_ctx_t *ctx, const void *data, const char *arg)
{
    const watched *w = data;
    apr_array_header_t *texts = ((ap_expr_list_func_t *)(apr_uintptr_t)w->func)(ctx, w->data, arg);

    note(ctx, call(ctx, w, arg), texts ? apr_array_pstrcat(ctx->p, texts, ',') : NULL);
    return texts;
}

static int watch_unary(ap_expr_eval_ctx_t *ctx, const void *data, const char *arg)
{
    const watched *w = data;
    int holds = ((ap_expr_op_unary_t *)(apr_uintptr_t)w->func)(ctx, w->data, arg);

    note(ctx, apr_psprintf(ctx->p, "-%s '%s'", w->name, arg), holds ? "true" : "false");
    return holds;
}

int wh_rule_lookup(ap_expr_lookup_parms *parms)
{
    int rc = ap_expr_lookup_default(parms);
    const void *wrapper;
    watched *w;

    if (rc != OK || !ap_exists_config_define("WEBHOOK_ROUTE")) {
        return rc;
    }
    switch (parms->type) {
    case AP_EXPR_FUNC_VAR:
        wrapper = watch_variable;
        break;
    case AP_EXPR_FUNC_STRING:
        wrapper = watch_string;
        break;
    case AP_EXPR_FUNC_LIST:
        wrapper = watch_list;
        break;
    case AP_EXPR_FUNC_OP_UNARY:
        wrapper = watch_unary;
        break;
    default: /* comparisons: both of their sides are seen already, or written out */
        return rc;
    }
    w = apr_palloc(parms->pool, sizeof(*w));
    w->func = *parms->func;
    w->data = *parms->data;
    w->name = apr_pstrdup(parms->pool, parms->name);
    *parms->func = wrapper;
    *parms->data = w;
    return rc;
}
