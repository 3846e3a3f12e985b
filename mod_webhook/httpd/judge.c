/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.c: whether a section, with all that encloses it, makes sense: rules that never count, doors without a verifier, gates that would
 * have to store, less protection than it seems. The last part of check.c's look at the configuration that is about one section.
 */
#include "httpd/check.h"

#include "apr_strings.h"
#include "http_core.h"
#include "http_log.h"

#include <string.h>

#include "core/units.h"

APLOG_USE_MODULE(webhook);

static const wh_rule *without_condition(const apr_array_header_t *rules)
{
    int i;

    for (i = 0; rules && i < rules->nelts; i++) {
        const wh_rule *rule = APR_ARRAY_IDX(rules, i, const wh_rule *);
        if (!rule->expr && !rule->otherwise) {
            return rule;
        }
    }
    return NULL;
}

/* Rules that can never count are somebody's mistake, and what was meant to be delivered would not be. */
static void judge_rules(wh_check *k, const wh_section *section)
{
    const wh_dir_conf *c = section->effective;
    const wh_rule *all = without_condition(c->drops), *rule;
    int i;

    if (all && c->rules) {
        rule = APR_ARRAY_IDX(c->rules, 0, const wh_rule *);
        wh_check_mistake(k, section->server, rule->file, rule->line, "WH0340: ",
                WH_D_DELIVER " %s never counts: the " WH_D_DROP " at %s:%d has no expression, so it drops everything", rule->handler, all->file,
                all->line);
        return;
    }
    all = without_condition(c->rules);
    for (i = 0; all && i < c->rules->nelts; i++) {
        rule = APR_ARRAY_IDX(c->rules, i, const wh_rule *);
        if (rule->otherwise) {
            wh_check_mistake(k, section->server, rule->file, rule->line, "WH0341: ",
                    WH_D_DELIVER " %s default never counts: the rule at %s:%d has no expression, so it always matches", rule->handler, all->file,
                    all->line);
        }
    }
}

/* SetHandler's value is an expression that only a request could evaluate; the tree has it as written. */
static int has_handler_webhook(wh_check *k, const wh_section *section)
{
    const ap_directive_t *d;

    for (d = section->container ? section->container->first_child : NULL; d; d = d->next) {
        const char *args = d->args;
        if (!ap_cstr_casecmp(d->directive, "SetHandler") && !strcmp(ap_getword_conf(k->ptemp, &args), "webhook")) {
            return 1;
        }
    }
    return 0;
}

static int may_have_auth(wh_check *k, const wh_section *section)
{
    int i;

    for (i = 0; i < k->g->sections->nelts; i++) {
        const wh_section *other = APR_ARRAY_IDX(k->g->sections, i, wh_section *);
        if (wh_section_may_enclose(other, section) && wh_conf_effective(other->conf)->auth) {
            return 1;
        }
    }
    return 0;
}

/* What makes the door less than it seems. */
static void judge_door(wh_check *k, const wh_section *section)
{
    const wh_dir_conf *c = section->conf, *eff = section->effective;
    const char *endpoint = eff->auth ? eff->auth->name : "(whichever is met)";
    const char *place = section->directive
                            ? apr_pstrcat(k->ptemp, section->directive, c->path ? " " : "", c->path ? c->path : "", ">", NULL)
                            : "the server";

    if (!wh_conf_enforces(eff)) {
        wh_check_note(k, APLOG_WARNING, section->server, c->file, c->line, "WH0422: ", "endpoint %s in %s is not enforced (" WH_D_ENFORCE
             " Off): what fails verification is let pass, marked as unverified", endpoint, place);
    }
    if (eff->auth && eff->tls && eff->tls->required && !eff->tls->proxies && !ap_find_linked_module("mod_ssl.c")) {
        wh_check_note(k, APLOG_WARNING, section->server, c->file, c->line, "WH0423: ", "endpoint %s in %s: " WH_D_REQUIRE_TLS " On, and there is no "
             "mod_ssl: unless another module speaks TLS, every request will be refused (proxy= names proxies that end TLS in front of "
             "this server)", endpoint, place);
    }
}

void wh_check_judge(wh_check *k, const wh_section *section, int *stores)
{
    const wh_dir_conf *c = section->conf, *own = wh_conf_effective(c), *eff = section->effective;
    server_rec *s = section->server;

    if (wh_section_is_endpoint(section)) {
        if (own->gate == 1 && (own->rules || own->drops)) {
            wh_check_mistake(k, s, c->file, c->line, "WH0127: ", "endpoint \"%s\": a gate stores nothing, so %s and " WH_D_GATE
                    " On exclude each other", c->name, own->rules ? WH_D_DELIVER : WH_D_DROP);
        }
        judge_rules(k, section);
        return;
    }
    judge_door(k, section);
    if (!eff->auth) {
        if (c->use && !c->used) {
            return; /* that was said */
        }
        if (own->gate == 1) {
            /* Strictly: a gate that only some requests find a verifier for would be open for the others. */
            wh_check_mistake(k, s, c->file, c->line, "WH0128: ", WH_D_GATE " On without a verifier: there is no " WH_D_VERIFY " or " WH_D_USE
                    " in this section or one that encloses it (" WH_D_VERIFY " none, if nothing is to be verified)");
        }
        else if (section->container && !may_have_auth(k, section)) {
            wh_check_mistake(k, s, c->file, c->line, "WH0129: ", "webhook directives in %s%s%s> without a verifier: there is no " WH_D_VERIFY " or "
                    WH_D_USE " in this section or one that encloses it (" WH_D_VERIFY " none, if nothing is to be verified)",
                    section->directive, c->path ? " " : "", c->path ? c->path : "");
        }
        return;
    }
    if (eff->gate == 1) {
        if (!k->g->store_none && has_handler_webhook(k, section)) {
            wh_check_mistake(k, s, c->file, c->line, "WH0424: ", "endpoint %s: " WH_D_GATE " On hands requests to another handler, and SetHandler "
                    "webhook keeps them: they exclude each other", eff->auth->name);
        }
        if (own->rules || own->drops) {
            wh_check_mistake(k, s, c->file, c->line, "WH0130: ", "endpoint %s: a gate stores nothing, so %s and " WH_D_GATE
                    " On exclude each other", eff->auth->name, own->rules ? WH_D_DELIVER : WH_D_DROP);
        }
        return;
    }
    judge_rules(k, section);
    *stores = 1;
    if (eff->window > 0 && eff->duplicates != WH_DUPLICATES_OFF && eff->window < 2 * eff->auth->traits->window) {
        wh_check_mistake(k, s, c->file, c->line, "WH0421: ", "endpoint %s: " WH_D_DUPLICATES " window=%s is too short: a request of scheme %s "
                "stays good for %s, and is to be remembered for twice that", eff->auth->name, wh_format_duration(eff->window, k->ptemp),
                eff->auth->scheme, wh_format_duration(eff->auth->traits->window, k->ptemp));
    }
    if (k->g->store_none && (eff->rules || eff->drops || has_handler_webhook(k, section))) {
        wh_check_mistake(k, s, c->file, c->line, "WH0131: ", "endpoint %s keeps and delivers what it accepts, but there is " WH_D_STORE
                " none (" WH_D_STORE " sqlite:PATH, or " WH_D_GATE " On here)", eff->auth->name);
    }
}
