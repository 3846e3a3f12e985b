/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_directives.c: the directives that say where deliveries go: WebhookDeliver, WebhookDrop, WebhookRoute.
 */
#include "httpd/directives.h"

#include "ap_expr.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_log.h"

#include <string.h>

APLOG_USE_MODULE(webhook);

/* Restricted: no functions that read files. What a rule may depend on is the request. */
static const char *rule_expr(cmd_parms *cmd, wh_rule *rule, const char *text)
{
    const char *err;

    rule->expr_text = text;
    rule->expr = ap_expr_parse_cmd(cmd, text, AP_EXPR_FLAG_DONT_VARY | AP_EXPR_FLAG_RESTRICTED, &err, wh_rule_lookup);
    return err ? apr_psprintf(cmd->pool, "%s: cannot parse expression \"%s\": %s", cmd->cmd->name, text, err) : NULL;
}

static wh_rule *new_rule(const cmd_parms *cmd, apr_array_header_t **rules)
{
    wh_rule *rule = apr_pcalloc(cmd->pool, sizeof(*rule));

    rule->file = cmd->directive->filename;
    rule->line = cmd->directive->line_num;
    if (!*rules) {
        *rules = apr_array_make(cmd->pool, 4, sizeof(wh_rule *));
    }
    APR_ARRAY_PUSH(*rules, wh_rule *) = rule;
    return rule;
}

/* The lines as they are: of words, httpd would take "" (a variable that is not set) for none, and that would be everything. */
const char *wh_set_deliver(cmd_parms *cmd, void *mconfig, const char *args)
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c), *handler, *expr = NULL;
    wh_rule *rule;

    if (err) {
        return err;
    }
    handler = ap_getword_conf(cmd->pool, &args);
    if (*args) {
        expr = ap_getword_conf(cmd->pool, &args);
    }
    if (!*handler || (expr && !*expr) || *args) {
        return WH_D_DELIVER " takes a handler, and one expression in quotes that says which deliveries, or default; nothing for all of them";
    }
    if (!strcmp(handler, "drop")) {
        return WH_D_DELIVER ": \"drop\" is no handler: what is to be acknowledged and not delivered is said with " WH_D_DROP " [expression]";
    }
    rule = new_rule(cmd, &c->rules);
    rule->handler = handler;
    if (expr && !strcmp(expr, "default")) {
        rule->otherwise = 1;
        return NULL;
    }
    return expr ? rule_expr(cmd, rule, expr) : NULL;
}

const char *wh_set_drop(cmd_parms *cmd, void *mconfig, const char *args)
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c), *expr = NULL;
    wh_rule *rule;

    if (err) {
        return err;
    }
    if (*args) {
        expr = ap_getword_conf(cmd->pool, &args);
        if (!*expr || *args) {
            return WH_D_DROP " takes one expression, in quotes, or nothing for all deliveries";
        }
    }
    rule = new_rule(cmd, &c->drops);
    return expr ? rule_expr(cmd, rule, expr) : NULL;
}

const char *wh_set_route(cmd_parms *cmd, void *mconfig, const char *arg)
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);

    if (err) {
        return err;
    }
    if (!ap_cstr_casecmp(arg, "all")) {
        c->route = WH_ROUTE_ALL;
    }
    else if (!ap_cstr_casecmp(arg, "first")) {
        c->route = WH_ROUTE_FIRST;
    }
    else {
        return apr_psprintf(cmd->pool, WH_D_ROUTE " cannot be \"%s\" (allowed: all, first)", arg);
    }
    return NULL;
}
