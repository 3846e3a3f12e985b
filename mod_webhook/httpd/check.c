/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c: what only the whole configuration tells. Everything is looked at before the check fails, so that one run of -t names every
 * mistake, with virtual host, file and line.
 *
 *   1. each WebhookVerify becomes an endpoint: name, secrets
 *   2. WebhookUse is resolved, and every section put over those that surely enclose it
 *   3. handlers of rules are resolved; inline ones are made
 *   4. each section is judged
 *   5. the store: the default one, if some endpoint keeps deliveries
 */
#include "httpd/config.h"
#include "httpd/fetch.h"

#include "ap_provider.h"
#include "apr_lib.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"

#include <stdarg.h>
#include <string.h>

#include "core/units.h"

APLOG_USE_MODULE(webhook);

typedef struct check {
    wh_global *g;
    apr_pool_t *pconf, *ptemp;
    int errors;
    int dumping; /* only looked at: secrets are not read */
    int testing; /* -t */
    int real;    /* the configuration that will be served; not the first of httpd's two passes */
} check;

/* "virtual host www.example.org:443, /etc/x.conf:12: " */
static const char *where(const server_rec *s, const char *file, int line, apr_pool_t *p)
{
    const char *name = s->server_hostname ? s->server_hostname : "(unnamed)";
    apr_port_t port = s->addrs && s->addrs->host_port ? s->addrs->host_port : s->port;

    if (!s->is_virtual) {
        return apr_psprintf(p, "main server, %s:%d: ", file, line);
    }
    return port ? apr_psprintf(p, "virtual host %s:%d, %s:%d: ", name, (int)port, file, line)
                : apr_psprintf(p, "virtual host %s, %s:%d: ", name, file, line);
}

/* A mistake: said at once. `tag` is the message's own. */
static void mistake(check *k, server_rec *s, const char *file, int line, const char *tag, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
static void mistake(check *k, server_rec *s, const char *file, int line, const char *tag, const char *fmt, ...)
{
    va_list ap;
    const char *text;

    va_start(ap, fmt);
    text = apr_pvsprintf(k->ptemp, fmt, ap);
    va_end(ap);
    k->errors++;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, "%s%s%s", tag, where(s, file, line, k->ptemp), text);
}

/* A warning or notice: said by -t, and at a real start once the error log is open. */
static void note(check *k, int level, server_rec *s, const char *file, int line, const char *tag, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));
static void note(check *k, int level, server_rec *s, const char *file, int line, const char *tag, const char *fmt, ...)
{
    wh_note *n = apr_array_push(k->g->notes);
    va_list ap;

    va_start(ap, fmt);
    n->text = apr_pvsprintf(k->ptemp, fmt, ap);
    va_end(ap);
    n->text = apr_pstrcat(k->pconf, tag, where(s, file, line, k->ptemp), n->text, NULL);
    n->level = level;
    n->server = s;
}

static void say(const wh_global *g)
{
    int i;

    for (i = 0; i < g->notes->nelts; i++) {
        const wh_note *n = &APR_ARRAY_IDX(g->notes, i, wh_note);
        ap_log_error(APLOG_MARK, n->level, 0, n->server, "%s", n->text);
    }
}

int wh_check_say_notes(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG) {
        say(wh_conf_global(s));
    }
    return OK;
}

/* ---- kinds of sections ---- */

static int is_endpoint(const wh_section *section)
{
    return section->directive && !strcmp(section->directive, WH_D_ENDPOINT);
}

static int is_directive(const wh_section *section, const char *name)
{
    return section->directive && !ap_cstr_casecmp(section->directive, name);
}

/* A section that is a place in a tree of paths: what encloses it can be told. Patterns and conditions cannot. */
static int is_place(const wh_section *section)
{
    return (is_directive(section, "<Location") || is_directive(section, "<Directory")) && section->conf->path && section->conf->path[0] == '/'
           && !strpbrk(section->conf->path, "*?[") && section->container->args[strspn(section->container->args, " \t\"'")] != '~';
}

static int path_encloses(const char *outer, const char *inner)
{
    apr_size_t n = strlen(outer);

    return !strncmp(outer, inner, n) && (outer[n - 1] == '/' || inner[n] == '/' || inner[n] == '\0');
}

/* What httpd surely merges below `inner`: a shorter path of the same kind, or the section it is written in. */
static int encloses(const wh_section *outer, const wh_section *inner)
{
    const ap_directive_t *d;

    if (outer == inner || !outer->container || is_endpoint(outer) || (outer->server != inner->server && outer->server->is_virtual)) {
        return 0;
    }
    for (d = inner->container ? inner->container->parent : NULL; d; d = d->parent) {
        if (d == outer->container) {
            return 1;
        }
    }
    return is_place(outer) && is_place(inner) && !ap_cstr_casecmp(outer->directive, inner->directive)
           && path_encloses(outer->conf->path, inner->conf->path);
}

/* Whether httpd may merge it there for some request; no use where a mistake must not go unseen. */
static int may_enclose(const wh_section *outer, const wh_section *inner)
{
    if (outer == inner || is_endpoint(outer) || (outer->server != inner->server && outer->server->is_virtual)) {
        return 0;
    }
    return !is_place(outer) || !is_place(inner) || ap_cstr_casecmp(outer->directive, inner->directive) != 0;
}

/* ---- 1. endpoints ---- */

static void name_auth(check *k, const wh_section *section)
{
    wh_dir_conf *c = section->conf;
    wh_auth *auth = c->auth;
    const char *host = section->server->server_hostname;
    int i;

    if (c->name) {
        auth->name = c->name;
    }
    else if (section->container && !is_place(section)) {
        auth->name = "(unnamed)";
        mistake(k, section->server, auth->file, auth->line, "WH0110: ",
                "an endpoint in %s> needs a " WH_D_NAME " (only <Location> and <Directory> with a plain path have one of their own)",
                section->directive);
        return;
    }
    else {
        auth->name = apr_pstrcat(k->pconf, host ? host : "localhost", c->path ? c->path : "", NULL);
    }
    for (i = 0; i < k->g->auths->nelts; i++) {
        const wh_auth *other = APR_ARRAY_IDX(k->g->auths, i, wh_auth *);
        if (other->server == auth->server && !strcmp(other->name, auth->name)) {
            mistake(k, section->server, auth->file, auth->line, "WH0111: ",
                    "there is another endpoint \"%s\" (%s:%d): names must differ, give one with " WH_D_NAME, auth->name, other->file, other->line);
        }
    }
}

static void load_secret(check *k, const wh_auth *auth, wh_secret_spec *spec)
{
    server_rec *s = auth->server;
    const char *err, *warning = NULL;

    if ((err = wh_secret_load(spec, k->real, &warning, k->pconf, k->ptemp)) != NULL) {
        mistake(k, s, spec->conf_file, spec->conf_line, "WH0112: ", WH_D_SECRET ": the secret %s %s", spec->spec, err);
        return;
    }
    if (warning) {
        note(k, APLOG_WARNING, s, spec->conf_file, spec->conf_line, "WH0113: ", WH_D_SECRET ": %s %s", spec->spec, warning);
    }
    if (!spec->path && !strcmp(spec->spec, "inline")) {
        note(k, APLOG_WARNING, s, spec->conf_file, spec->conf_line, "WH0114: ",
             WH_D_SECRET ": the secret is written in the configuration, for all who can read that; file:PATH keeps it out");
    }
    if (spec->path) {
        note(k, k->testing ? APLOG_NOTICE : APLOG_INFO, s, spec->conf_file, spec->conf_line, "WH0115: ", WH_D_SECRET ": %s %s", spec->spec,
             spec->live ? "is read again when it changes: the server's user can read it"
                        : "is read again at a graceful restart: the server's user cannot read it");
    }
    if (spec->secret && auth->provider->prepare
        && (err = auth->provider->prepare(auth->verifier, spec->secret, k->pconf)) != NULL) {
        mistake(k, s, spec->conf_file, spec->conf_line, "WH0116: ", WH_D_SECRET ": the secret %s does not fit the scheme %s: %s", spec->spec,
                auth->scheme, err);
    }
}

static void bind_secrets(check *k, const wh_section *section)
{
    wh_dir_conf *c = section->conf;
    wh_auth *auth = c->auth;
    int i, n;

    auth->secrets = c->secrets ? c->secrets : apr_array_make(k->pconf, 1, sizeof(wh_secret_spec *));
    if (auth->secrets->nelts && (!auth->provider->prepare || !strcmp(auth->scheme, "none"))) {
        const wh_secret_spec *spec = APR_ARRAY_IDX(auth->secrets, 0, wh_secret_spec *);
        mistake(k, section->server, spec->conf_file, spec->conf_line, "WH0117: ",
                WH_D_SECRET ": the scheme %s has no use for a secret", auth->scheme);
        return;
    }
    if (!auth->secrets->nelts && auth->traits->needs_secret) {
        mistake(k, section->server, auth->file, auth->line, "WH0118: ",
                WH_D_VERIFY " %s needs at least one " WH_D_SECRET " in the same section", auth->scheme);
        return;
    }
    for (i = 0; i < auth->secrets->nelts; i++) {
        wh_secret_spec *spec = APR_ARRAY_IDX(auth->secrets, i, wh_secret_spec *);
        for (n = 0; n < i; n++) {
            const wh_secret_spec *other = APR_ARRAY_IDX(auth->secrets, n, wh_secret_spec *);
            if (!strcmp(other->id, spec->id)) {
                mistake(k, section->server, spec->conf_file, spec->conf_line, "WH0119: ",
                        WH_D_SECRET ": the id \"%s\" is given twice (first at %s:%d): ids must differ", spec->id, other->conf_file,
                        other->conf_line);
            }
        }
        if (!k->dumping) {
            load_secret(k, auth, spec);
        }
    }
}

static void make_auth(check *k, const wh_section *section)
{
    wh_dir_conf *c = section->conf;
    const char *err;

    if (!c->auth) {
        if (c->secrets) {
            const wh_secret_spec *spec = APR_ARRAY_IDX(c->secrets, 0, wh_secret_spec *);
            mistake(k, section->server, spec->conf_file, spec->conf_line, "WH0120: ",
                    WH_D_SECRET " without " WH_D_VERIFY " in the same section: a secret belongs to a scheme");
        }
        if (is_endpoint(section)) {
            mistake(k, section->server, c->file, c->line, "WH0121: ",
                    "<WebhookEndpoint> \"%s\" has no " WH_D_VERIFY " (" WH_D_VERIFY " none, if nothing is to be verified)", c->name);
        }
        else if (c->name) {
            mistake(k, section->server, c->file, c->line, "WH0122: ",
                    WH_D_NAME " \"%s\" without " WH_D_VERIFY " in the same section: there is no endpoint to be named", c->name);
        }
        return;
    }
    name_auth(k, section);
    bind_secrets(k, section);
    wh_secret_publish(c->auth, k->pconf);
    if ((err = wh_fetch_add(k->g, c->auth, k->pconf, k->ptemp)) != NULL) {
        mistake(k, section->server, c->auth->file, c->auth->line, "WH0418: ", WH_D_VERIFY " %s: option %s", c->auth->scheme, err);
    }
    c->auth->counter = k->g->auths->nelts;
    APR_ARRAY_PUSH(k->g->auths, wh_auth *) = c->auth;
    if (!strcmp(c->auth->scheme, "none")) {
        note(k, APLOG_WARNING, section->server, c->auth->file, c->auth->line, "WH0123: ",
             "endpoint %s verifies nothing (" WH_D_VERIFY " none): whoever reaches it is believed", c->auth->name);
    }
    else if (!c->auth->traits->protects_body) {
        note(k, APLOG_NOTICE, section->server, c->auth->file, c->auth->line, "WH0133: ",
             "endpoint %s: scheme %s does not sign the body: who sees one request can send others; add Require ip, a password, TLS client "
             "certificates or fetch the facts back from the sender", c->auth->name, c->auth->scheme);
    }
}

/* ---- 2. what a section stands for ---- */

static const char *endpoint_names(check *k, const wh_server_conf *sc)
{
    apr_array_header_t *names = apr_array_make(k->ptemp, 8, sizeof(const char *));
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(k->ptemp, sc->endpoints); hi; hi = apr_hash_next(hi)) {
        APR_ARRAY_PUSH(names, const char *) = apr_hash_this_key(hi);
    }
    return names->nelts ? apr_pstrcat(k->ptemp, "defined: ", apr_array_pstrcat(k->ptemp, names, ' '), NULL) : "none is defined";
}

static void resolve_use(check *k, const wh_section *section)
{
    wh_dir_conf *c = section->conf;
    const wh_server_conf *sc = wh_conf_server(section->server);
    wh_dir_conf *used;

    if (!c->use) {
        return;
    }
    used = apr_hash_get(sc->endpoints, c->use, APR_HASH_KEY_STRING);
    if (!used) {
        mistake(k, section->server, c->file, c->use_line, "WH0124: ",
                WH_D_USE ": there is no <WebhookEndpoint> \"%s\" in this server or the main one (%s)", c->use, endpoint_names(k, sc));
        return;
    }
    c->used = used;
    c->flat = wh_merge_dir_conf(k->pconf, used, c);
}

/*
 * httpd's order: directories by their depth, locations as they are written, those of the main server first. So a location that is written
 * behind another counts more, though its path be shorter.
 */
static int goes_before(const wh_section *x, const wh_section *y)
{
    if (is_directive(x, "<Directory") && is_directive(y, "<Directory") && strlen(x->conf->path) != strlen(y->conf->path)) {
        return strlen(x->conf->path) < strlen(y->conf->path);
    }
    return !x->server->is_virtual && y->server->is_virtual;
}

static void make_effective(check *k, wh_section *section)
{
    wh_dir_conf *base = ap_get_module_config(section->server->lookup_defaults, &webhook_module);
    apr_array_header_t *order;
    int i, n;

    if (is_endpoint(section)) {
        section->effective = section->conf;
        return;
    }
    section->effective = base;
    if (!section->container) {
        return;
    }
    order = apr_array_make(k->ptemp, 4, sizeof(wh_section *));
    for (i = 0; i < k->g->sections->nelts; i++) {
        wh_section *other = APR_ARRAY_IDX(k->g->sections, i, wh_section *);
        if (other != section && !encloses(other, section)) {
            continue;
        }
        APR_ARRAY_PUSH(order, wh_section *) = other;
        for (n = order->nelts - 1; n > 0 && goes_before(other, APR_ARRAY_IDX(order, n - 1, wh_section *)); n--) {
            APR_ARRAY_IDX(order, n, wh_section *) = APR_ARRAY_IDX(order, n - 1, wh_section *);
        }
        APR_ARRAY_IDX(order, n, wh_section *) = other;
    }
    for (i = 0; i < order->nelts; i++) {
        base = wh_merge_dir_conf(k->pconf, base, APR_ARRAY_IDX(order, i, wh_section *)->conf);
    }
    section->effective = base;
}

/* ---- 3. handlers ---- */

/* An inline handler's text into type and target. "https://..." alone is an upstream. @return 0 if it is a name */
static int split_inline(const char *text, const char **type, const char **target, apr_pool_t *p)
{
    const char *colon = strchr(text, ':');

    if (!colon) {
        return 0;
    }
    *type = apr_pstrmemdup(p, text, (apr_size_t)(colon - text));
    *target = colon + 1;
    if (!strcmp(*type, "http") || !strcmp(*type, "https")) {
        *type = "upstream";
        *target = text;
    }
    return 1;
}

static const char *handler_names(check *k)
{
    apr_array_header_t *names = apr_array_make(k->ptemp, 8, sizeof(const char *));
    int i;

    for (i = 0; i < k->g->handlers->nelts; i++) {
        APR_ARRAY_PUSH(names, const char *) = APR_ARRAY_IDX(k->g->handlers, i, wh_handler_def *)->name;
    }
    return names->nelts ? apr_array_pstrcat(k->ptemp, names, ' ') : "none";
}

static void resolve_rule(check *k, const wh_section *section, wh_rule *rule)
{
    wh_global *g = k->g;
    apr_array_header_t *options = apr_array_make(k->ptemp, 1, sizeof(webhook_option));
    const char *type, *target, *err;
    wh_handler_def *def;

    def = apr_hash_get(g->handlers_by_name, rule->handler, APR_HASH_KEY_STRING);
    if (!def && split_inline(rule->handler, &type, &target, k->ptemp)) {
        if ((err = wh_conf_define_handler(&def, rule->handler, type, target, options, k->pconf, k->ptemp)) != NULL) {
            mistake(k, section->server, rule->file, rule->line, "WH0125: ", WH_D_DELIVER " \"%s\": %s", rule->handler, err);
            return;
        }
        def->file = rule->file;
        def->line = rule->line;
        apr_hash_set(g->handlers_by_name, def->name, APR_HASH_KEY_STRING, def);
        APR_ARRAY_PUSH(g->handlers, wh_handler_def *) = def;
    }
    if (!def) {
        mistake(k, section->server, rule->file, rule->line, "WH0126: ",
                WH_D_DELIVER ": there is no handler \"%s\" (named ones: %s; or one written here as TYPE:TARGET with a type of: %s)",
                rule->handler, handler_names(k), wh_conf_provider_names(WEBHOOK_HANDLER_GROUP, k->ptemp));
        return;
    }
    rule->def = def;
}

static void resolve_rules(check *k, const wh_section *section)
{
    const apr_array_header_t *rules = section->conf->rules;
    int i;

    for (i = 0; rules && i < rules->nelts; i++) {
        resolve_rule(k, section, APR_ARRAY_IDX(rules, i, wh_rule *));
    }
}

/* ---- 4. sections ---- */

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
static void judge_rules(check *k, const wh_section *section)
{
    const wh_dir_conf *c = section->effective;
    const wh_rule *all = without_condition(c->drops), *rule;
    int i;

    if (all && c->rules) {
        rule = APR_ARRAY_IDX(c->rules, 0, const wh_rule *);
        mistake(k, section->server, rule->file, rule->line, "WH0340: ",
                WH_D_DELIVER " %s never counts: the " WH_D_DROP " at %s:%d has no expression, so it drops everything", rule->handler, all->file,
                all->line);
        return;
    }
    all = without_condition(c->rules);
    for (i = 0; all && i < c->rules->nelts; i++) {
        rule = APR_ARRAY_IDX(c->rules, i, const wh_rule *);
        if (rule->otherwise) {
            mistake(k, section->server, rule->file, rule->line, "WH0341: ",
                    WH_D_DELIVER " %s default never counts: the rule at %s:%d has no expression, so it always matches", rule->handler, all->file,
                    all->line);
        }
    }
}

/* SetHandler's value is an expression that only a request could evaluate; the tree has it as written. */
static int has_handler_webhook(check *k, const wh_section *section)
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

static int may_have_auth(check *k, const wh_section *section)
{
    int i;

    for (i = 0; i < k->g->sections->nelts; i++) {
        const wh_section *other = APR_ARRAY_IDX(k->g->sections, i, wh_section *);
        if (may_enclose(other, section) && wh_conf_effective(other->conf)->auth) {
            return 1;
        }
    }
    return 0;
}

/* What makes the door less than it seems. */
static void judge_door(check *k, const wh_section *section)
{
    const wh_dir_conf *c = section->conf, *eff = section->effective;
    const char *endpoint = eff->auth ? eff->auth->name : "(whichever is met)";
    const char *place = section->directive
                            ? apr_pstrcat(k->ptemp, section->directive, c->path ? " " : "", c->path ? c->path : "", ">", NULL)
                            : "the server";

    if (!wh_conf_enforces(eff)) {
        note(k, APLOG_WARNING, section->server, c->file, c->line, "WH0422: ", "endpoint %s in %s is not enforced (" WH_D_ENFORCE
             " Off): what fails verification is let pass, marked as unverified", endpoint, place);
    }
    if (eff->auth && eff->tls && eff->tls->required && !eff->tls->proxies && !ap_find_linked_module("mod_ssl.c")) {
        note(k, APLOG_WARNING, section->server, c->file, c->line, "WH0423: ", "endpoint %s in %s: " WH_D_REQUIRE_TLS " On, and there is no "
             "mod_ssl: unless another module speaks TLS, every request will be refused (proxy= names proxies that end TLS in front of "
             "this server)", endpoint, place);
    }
}

static void judge_section(check *k, const wh_section *section, int *stores)
{
    const wh_dir_conf *c = section->conf, *own = wh_conf_effective(c), *eff = section->effective;
    server_rec *s = section->server;

    if (is_endpoint(section)) {
        if (own->gate == 1 && (own->rules || own->drops)) {
            mistake(k, s, c->file, c->line, "WH0127: ", "endpoint \"%s\": a gate stores nothing, so %s and " WH_D_GATE
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
            mistake(k, s, c->file, c->line, "WH0128: ", WH_D_GATE " On without a verifier: there is no " WH_D_VERIFY " or " WH_D_USE
                    " in this section or one that encloses it (" WH_D_VERIFY " none, if nothing is to be verified)");
        }
        else if (section->container && !may_have_auth(k, section)) {
            mistake(k, s, c->file, c->line, "WH0129: ", "webhook directives in %s%s%s> without a verifier: there is no " WH_D_VERIFY " or "
                    WH_D_USE " in this section or one that encloses it (" WH_D_VERIFY " none, if nothing is to be verified)",
                    section->directive, c->path ? " " : "", c->path ? c->path : "");
        }
        return;
    }
    if (eff->gate == 1) {
        if (!k->g->store_none && has_handler_webhook(k, section)) {
            mistake(k, s, c->file, c->line, "WH0424: ", "endpoint %s: " WH_D_GATE " On hands requests to another handler, and SetHandler "
                    "webhook keeps them: they exclude each other", eff->auth->name);
        }
        if (own->rules || own->drops) {
            mistake(k, s, c->file, c->line, "WH0130: ", "endpoint %s: a gate stores nothing, so %s and " WH_D_GATE
                    " On exclude each other", eff->auth->name, own->rules ? WH_D_DELIVER : WH_D_DROP);
        }
        return;
    }
    judge_rules(k, section);
    *stores = 1;
    if (eff->window > 0 && eff->duplicates != WH_DUPLICATES_OFF && eff->window < 2 * eff->auth->traits->window) {
        mistake(k, s, c->file, c->line, "WH0421: ", "endpoint %s: " WH_D_DUPLICATES " window=%s is too short: a request of scheme %s stays good "
                "for %s, and is to be remembered for twice that", eff->auth->name, wh_format_duration(eff->window, k->ptemp),
                eff->auth->scheme, wh_format_duration(eff->auth->traits->window, k->ptemp));
    }
    if (k->g->store_none && (eff->rules || eff->drops || has_handler_webhook(k, section))) {
        mistake(k, s, c->file, c->line, "WH0131: ", "endpoint %s keeps and delivers what it accepts, but there is " WH_D_STORE
                " none (" WH_D_STORE " sqlite:PATH, or " WH_D_GATE " On here)", eff->auth->name);
    }
}

/* ---- 5. the store ---- */

static void make_store(check *k, int stores)
{
    wh_global *g = k->g;
    wh_store_spec *spec;
    const char *err;

    if (!g->store_set && stores) {
        if ((err = wh_store_configure(&spec, NULL, NULL, NULL, NULL, k->pconf, k->ptemp)) != NULL) {
            mistake(k, g->main_server, "(default)", 0, "WH0132: ", WH_D_STORE " " WH_STORE_DEFAULT ": %s", err);
            return;
        }
        g->store_spec = spec;
    }
    if (g->store_spec) {
        g->store = g->store_spec->provider;
        g->store_conf = g->store_spec->conf;
        g->store_text = g->store_spec->text;
    }
    /* Jobs of endpoints that are gone may wait in a store that was written out: its handlers go on. */
    g->delivers = g->store_spec && (stores || g->handlers->nelts);
}

int wh_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    wh_global *g = wh_conf_global(s);
    int i, n = g->sections->nelts, stores = 0;
    int mode = ap_state_query(AP_SQ_RUN_MODE);
    check k;

    (void)plog;
    memset(&k, 0, sizeof(k));
    k.g = g;
    k.pconf = pconf;
    k.ptemp = ptemp;
    k.dumping = mode == AP_SQ_RM_CONFIG_DUMP || ap_exists_config_define("DUMP_WEBHOOK") || ap_exists_config_define("WEBHOOK_ROUTE");
    k.testing = mode == AP_SQ_RM_CONFIG_TEST && !k.dumping;
    k.real = mode == AP_SQ_RM_NORMAL && ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG;

    for (i = 0; i < n; i++) {
        make_auth(&k, APR_ARRAY_IDX(g->sections, i, wh_section *));
    }
    for (i = 0; i < n; i++) {
        resolve_use(&k, APR_ARRAY_IDX(g->sections, i, wh_section *));
    }
    for (i = 0; i < n; i++) {
        make_effective(&k, APR_ARRAY_IDX(g->sections, i, wh_section *));
    }
    for (i = 0; i < n; i++) {
        resolve_rules(&k, APR_ARRAY_IDX(g->sections, i, wh_section *));
    }
    for (i = 0; i < n; i++) {
        judge_section(&k, APR_ARRAY_IDX(g->sections, i, wh_section *), &stores);
    }
    make_store(&k, stores);
    wh_fetch_locate(g, pconf);
    if (k.testing) {
        say(g);
    }
    return k.errors ? HTTP_INTERNAL_SERVER_ERROR : OK;
}
