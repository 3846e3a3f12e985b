/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c: which handlers a verified request goes to. Rules are looked at in this order, each kind in the order written:
 *
 *   1. WebhookDrop                  the first that matches: acknowledged, kept as dropped, delivered nowhere
 *   2. WebhookDeliver               every match, or the first one (WebhookRoute)
 *   3. WebhookDeliver ... default   when none of those matched
 *
 * What the chosen handlers' templates need of the request is read here too (template.c).
 *
 * When nothing is left the delivery is kept as unrouted. A rule that cannot be evaluated refuses the request: what it would have said is
 * not known, and the sender will come again.
 */
#include "httpd/request.h"

#include "http_core.h"
#include "http_log.h"
#include "apr_strings.h"

APLOG_USE_MODULE(webhook);

/* How a rule is spoken of in logs and records. The text is the administrator's. */
static const char *describe(const wh_rule *rule, apr_pool_t *p)
{
    return apr_pstrcat(p, rule->handler ? WH_D_DELIVER " " : WH_D_DROP, rule->handler ? rule->handler : "",
                       rule->otherwise ? " default" : rule->expr_text ? " " : "", rule->expr_text ? rule->expr_text : "",
                       apr_psprintf(p, " (%s:%d)", rule->file ? rule->file : "?", rule->line), NULL);
}

static void tell(const wh_routing *to, const wh_rule *rule, wh_rule_result result, const char *err)
{
    if (to->report) {
        to->report(to->baton, rule, result, err);
    }
}

/* @return 1 it matches, 0 it does not, -1 refused */
static int matches(wh_req *wq, request_rec *r, const wh_routing *to, const wh_rule *rule)
{
    const char *err = NULL;
    int match = rule->expr ? ap_expr_exec(r, rule->expr, &err) : 1;

    if (match < 0 || err) {
        err = err ? err : "no reason given";
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "WH0301: endpoint %s: rule failed: %s: %s", wq->auth->name, describe(rule, r->pool), err);
        tell(to, rule, WH_RULE_FAILED, err);
        wh_refuse(wq, WH_REFUSAL_EXPRESSION_FAILED, describe(rule, r->pool));
        return -1;
    }
    if (APLOGrtrace2(r)) {
        ap_log_rerror(APLOG_MARK, APLOG_TRACE2, 0, r, "WH0302: endpoint %s: %s %s", wq->auth->name, describe(rule, r->pool),
                      match ? "matches" : "does not match");
    }
    tell(to, rule, match ? WH_RULE_MATCHED : WH_RULE_NO_MATCH, NULL);
    return match;
}

static void add_handler(wh_routing *to, const wh_rule *rule)
{
    int i;

    for (i = 0; i < to->handlers->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(to->handlers, i, const char *), rule->def->name)) {
            return;
        }
    }
    APR_ARRAY_PUSH(to->handlers, const char *) = rule->def->name;
    APR_ARRAY_PUSH(to->rules, const wh_rule *) = rule;
}

/* @return 1 dropped, 0 not, -1 refused */
static int drop(wh_req *wq, request_rec *r, wh_routing *to)
{
    const apr_array_header_t *drops = wq->conf->drops;
    int i, match, dropped = 0;

    for (i = 0; drops && i < drops->nelts; i++) {
        const wh_rule *rule = APR_ARRAY_IDX(drops, i, const wh_rule *);

        if (dropped) {
            tell(to, rule, WH_RULE_UNUSED, NULL);
            continue;
        }
        if ((match = matches(wq, r, to, rule)) < 0) {
            return -1;
        }
        if (match) {
            to->kept_as = "dropped";
            to->why = describe(rule, r->pool);
            dropped = 1;
        }
    }
    return dropped;
}

/* One round over the rules: those that are defaults, or those that are not. @return -1 refused */
static int deliver(wh_req *wq, request_rec *r, wh_routing *to, int otherwise, int unused)
{
    const apr_array_header_t *rules = wq->conf->rules;
    int i, match;

    for (i = 0; rules && i < rules->nelts; i++) {
        const wh_rule *rule = APR_ARRAY_IDX(rules, i, const wh_rule *);

        if (rule->otherwise != otherwise) {
            continue;
        }
        if (unused) {
            tell(to, rule, WH_RULE_UNUSED, NULL);
            continue;
        }
        if ((match = matches(wq, r, to, rule)) < 0) {
            return -1;
        }
        if (match) {
            add_handler(to, rule);
            unused = wq->conf->route == WH_ROUTE_FIRST;
        }
    }
    return 0;
}

int wh_route_choose(wh_req *wq, request_rec *r, wh_routing *to)
{
    int n = wq->conf->rules ? wq->conf->rules->nelts : 1, dropped, rc;

    to->handlers = apr_array_make(r->pool, n, sizeof(const char *));
    to->rules = apr_array_make(r->pool, n, sizeof(const wh_rule *));
    if ((dropped = drop(wq, r, to)) < 0 || deliver(wq, r, to, 0, dropped) < 0
        || deliver(wq, r, to, 1, dropped || to->handlers->nelts) < 0) {
        return wq->status;
    }
    if (!dropped && !to->handlers->nelts) {
        to->kept_as = "unrouted";
        to->why = wq->conf->rules ? "no rule matched" : "no " WH_D_DELIVER " here";
    }
    /* A rule asked for the payload and it is broken: what the rule said then counts for nothing. The same goes for templates. */
    if ((rc = wh_req_payload_check(wq)) != OK) {
        return rc;
    }
    to->shapes = wh_templates_freeze(wq, r, (const char *const *)to->handlers->elts, to->handlers->nelts);
    return wh_req_payload_check(wq);
}
