/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c: what only the whole configuration tells. Everything is looked at before the check fails, so that one run of -t names every
 * mistake, with virtual host, file and line.
 *
 *   1. each WebhookVerify becomes an endpoint: name, secrets
 *   2. WebhookUse is resolved, and every section put over those that surely enclose it (enclosure.c)
 *   3. handlers of rules are resolved; inline ones are made
 *   4. each section is judged (judge.c)
 *   5. the store: the default one, if some endpoint keeps deliveries
 */
#include "httpd/check.h"
#include "httpd/fetch.h"

#include "ap_provider.h"
#include "apr_lib.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"

#include <stdarg.h>
#include <string.h>

APLOG_USE_MODULE(webhook);

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

void wh_check_mistake(wh_check *k, server_rec *s, const char *file, int line, const char *tag, const char *fmt, ...)
{
    va_list ap;
    const char *text;

    va_start(ap, fmt);
    text = apr_pvsprintf(k->ptemp, fmt, ap);
    va_end(ap);
    k->errors++;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, "%s%s%s", tag, where(s, file, line, k->ptemp), text);
}

void wh_check_note(wh_check *k, int level, server_rec *s, const char *file, int line, const char *tag, const char *fmt, ...)
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

/* ---- 1. endpoints ---- */

static void name_auth(wh_check *k, const wh_section *section)
{
    wh_dir_conf *c = section->conf;
    wh_auth *auth = c->auth;
    const char *host = section->server->server_hostname;
    int i;

    if (c->name) {
        auth->name = c->name;
    }
    else if (section->container && !wh_section_is_place(section)) {
        auth->name = "(unnamed)";
        wh_check_mistake(k, section->server, auth->file, auth->line, "WH0110: ",
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
            wh_check_mistake(k, section->server, auth->file, auth->line, "WH0111: ",
                    "there is another endpoint \"%s\" (%s:%d): names must differ, give one with " WH_D_NAME, auth->name, other->file, other->line);
        }
    }
}

static void load_secret(wh_check *k, const wh_auth *auth, wh_secret_spec *spec)
{
    server_rec *s = auth->server;
    const char *err, *warning = NULL;

    if ((err = wh_secret_load(spec, k->real, &warning, k->pconf, k->ptemp)) != NULL) {
        wh_check_mistake(k, s, spec->conf_file, spec->conf_line, "WH0112: ", WH_D_SECRET ": the secret %s %s", spec->spec, err);
        return;
    }
    if (warning) {
        wh_check_note(k, APLOG_WARNING, s, spec->conf_file, spec->conf_line, "WH0113: ", WH_D_SECRET ": %s %s", spec->spec, warning);
    }
    if (!spec->path && !strcmp(spec->spec, "inline")) {
        wh_check_note(k, APLOG_WARNING, s, spec->conf_file, spec->conf_line, "WH0114: ",
             WH_D_SECRET ": the secret is written in the configuration, for all who can read that; file:PATH keeps it out");
    }
    if (spec->path) {
        wh_check_note(k, k->testing ? APLOG_NOTICE : APLOG_INFO, s, spec->conf_file, spec->conf_line, "WH0115: ", WH_D_SECRET ": %s %s", spec->spec,
             spec->live ? "is read again when it changes: the server's user can read it"
                        : "is read again at a graceful restart: the server's user cannot read it");
    }
    if (spec->secret && auth->provider->prepare
        && (err = auth->provider->prepare(auth->verifier, spec->secret, k->pconf)) != NULL) {
        wh_check_mistake(k, s, spec->conf_file, spec->conf_line, "WH0116: ", WH_D_SECRET ": the secret %s does not fit the scheme %s: %s", spec->spec,
                auth->scheme, err);
    }
}

static void bind_secrets(wh_check *k, const wh_section *section)
{
    wh_dir_conf *c = section->conf;
    wh_auth *auth = c->auth;
    int i, n;

    auth->secrets = c->secrets ? c->secrets : apr_array_make(k->pconf, 1, sizeof(wh_secret_spec *));
    if (auth->secrets->nelts && (!auth->provider->prepare || !strcmp(auth->scheme, "none"))) {
        const wh_secret_spec *spec = APR_ARRAY_IDX(auth->secrets, 0, wh_secret_spec *);
        wh_check_mistake(k, section->server, spec->conf_file, spec->conf_line, "WH0117: ",
                WH_D_SECRET ": the scheme %s has no use for a secret", auth->scheme);
        return;
    }
    if (!auth->secrets->nelts && auth->traits->needs_secret) {
        wh_check_mistake(k, section->server, auth->file, auth->line, "WH0118: ",
                WH_D_VERIFY " %s needs at least one " WH_D_SECRET " in the same section", auth->scheme);
        return;
    }
    for (i = 0; i < auth->secrets->nelts; i++) {
        wh_secret_spec *spec = APR_ARRAY_IDX(auth->secrets, i, wh_secret_spec *);
        for (n = 0; n < i; n++) {
            const wh_secret_spec *other = APR_ARRAY_IDX(auth->secrets, n, wh_secret_spec *);
            if (!strcmp(other->id, spec->id)) {
                wh_check_mistake(k, section->server, spec->conf_file, spec->conf_line, "WH0119: ",
                        WH_D_SECRET ": the id \"%s\" is given twice (first at %s:%d): ids must differ", spec->id, other->conf_file,
                        other->conf_line);
            }
        }
        if (!k->dumping) {
            load_secret(k, auth, spec);
        }
    }
}

static void make_auth(wh_check *k, const wh_section *section)
{
    wh_dir_conf *c = section->conf;
    const char *err;

    if (!c->auth) {
        if (c->secrets) {
            const wh_secret_spec *spec = APR_ARRAY_IDX(c->secrets, 0, wh_secret_spec *);
            wh_check_mistake(k, section->server, spec->conf_file, spec->conf_line, "WH0120: ",
                    WH_D_SECRET " without " WH_D_VERIFY " in the same section: a secret belongs to a scheme");
        }
        if (wh_section_is_endpoint(section)) {
            wh_check_mistake(k, section->server, c->file, c->line, "WH0121: ",
                    "<WebhookEndpoint> \"%s\" has no " WH_D_VERIFY " (" WH_D_VERIFY " none, if nothing is to be verified)", c->name);
        }
        else if (c->name) {
            wh_check_mistake(k, section->server, c->file, c->line, "WH0122: ",
                    WH_D_NAME " \"%s\" without " WH_D_VERIFY " in the same section: there is no endpoint to be named", c->name);
        }
        return;
    }
    name_auth(k, section);
    bind_secrets(k, section);
    wh_secret_publish(c->auth, k->pconf);
    if ((err = wh_fetch_add(k->g, c->auth, k->pconf, k->ptemp)) != NULL) {
        wh_check_mistake(k, section->server, c->auth->file, c->auth->line, "WH0418: ", WH_D_VERIFY " %s: option %s", c->auth->scheme, err);
    }
    c->auth->counter = k->g->auths->nelts;
    APR_ARRAY_PUSH(k->g->auths, wh_auth *) = c->auth;
    if (!strcmp(c->auth->scheme, "none")) {
        wh_check_note(k, APLOG_WARNING, section->server, c->auth->file, c->auth->line, "WH0123: ",
             "endpoint %s verifies nothing (" WH_D_VERIFY " none): whoever reaches it is believed", c->auth->name);
    }
    else if (!c->auth->traits->protects_body) {
        wh_check_note(k, APLOG_NOTICE, section->server, c->auth->file, c->auth->line, "WH0133: ",
             "endpoint %s: scheme %s does not sign the body: who sees one request can send others; add Require ip, a password, TLS client "
             "certificates or fetch the facts back from the sender", c->auth->name, c->auth->scheme);
    }
}

/* ---- 2. WebhookUse ---- */

static const char *endpoint_names(wh_check *k, const wh_server_conf *sc)
{
    apr_array_header_t *names = apr_array_make(k->ptemp, 8, sizeof(const char *));
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(k->ptemp, sc->endpoints); hi; hi = apr_hash_next(hi)) {
        APR_ARRAY_PUSH(names, const char *) = apr_hash_this_key(hi);
    }
    return names->nelts ? apr_pstrcat(k->ptemp, "defined: ", apr_array_pstrcat(k->ptemp, names, ' '), NULL) : "none is defined";
}

static void resolve_use(wh_check *k, const wh_section *section)
{
    wh_dir_conf *c = section->conf;
    const wh_server_conf *sc = wh_conf_server(section->server);
    wh_dir_conf *used;

    if (!c->use) {
        return;
    }
    used = apr_hash_get(sc->endpoints, c->use, APR_HASH_KEY_STRING);
    if (!used) {
        wh_check_mistake(k, section->server, c->file, c->use_line, "WH0124: ",
                WH_D_USE ": there is no <WebhookEndpoint> \"%s\" in this server or the main one (%s)", c->use, endpoint_names(k, sc));
        return;
    }
    c->used = used;
    c->flat = wh_merge_dir_conf(k->pconf, used, c);
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

static const char *handler_names(wh_check *k)
{
    apr_array_header_t *names = apr_array_make(k->ptemp, 8, sizeof(const char *));
    int i;

    for (i = 0; i < k->g->handlers->nelts; i++) {
        APR_ARRAY_PUSH(names, const char *) = APR_ARRAY_IDX(k->g->handlers, i, wh_handler_def *)->name;
    }
    return names->nelts ? apr_array_pstrcat(k->ptemp, names, ' ') : "none";
}

static void resolve_rule(wh_check *k, const wh_section *section, wh_rule *rule)
{
    wh_global *g = k->g;
    apr_array_header_t *options = apr_array_make(k->ptemp, 1, sizeof(webhook_option));
    const char *type, *target, *err;
    wh_handler_def *def;

    def = apr_hash_get(g->handlers_by_name, rule->handler, APR_HASH_KEY_STRING);
    if (!def && split_inline(rule->handler, &type, &target, k->ptemp)) {
        if ((err = wh_conf_define_handler(&def, rule->handler, type, target, options, k->pconf, k->ptemp)) != NULL) {
            wh_check_mistake(k, section->server, rule->file, rule->line, "WH0125: ", WH_D_DELIVER " \"%s\": %s", rule->handler, err);
            return;
        }
        def->file = rule->file;
        def->line = rule->line;
        apr_hash_set(g->handlers_by_name, def->name, APR_HASH_KEY_STRING, def);
        APR_ARRAY_PUSH(g->handlers, wh_handler_def *) = def;
    }
    if (!def) {
        wh_check_mistake(k, section->server, rule->file, rule->line, "WH0126: ",
                WH_D_DELIVER ": there is no handler \"%s\" (named ones: %s; or one written here as TYPE:TARGET with a type of: %s)",
                rule->handler, handler_names(k), wh_conf_provider_names(WEBHOOK_HANDLER_GROUP, k->ptemp));
        return;
    }
    rule->def = def;
}

static void resolve_rules(wh_check *k, const wh_section *section)
{
    const apr_array_header_t *rules = section->conf->rules;
    int i;

    for (i = 0; rules && i < rules->nelts; i++) {
        resolve_rule(k, section, APR_ARRAY_IDX(rules, i, wh_rule *));
    }
}

/* ---- 5. the store ---- */

static void make_store(wh_check *k, int stores)
{
    wh_global *g = k->g;
    wh_store_spec *spec;
    const char *err;

    if (!g->store_set && stores) {
        if ((err = wh_store_configure(&spec, NULL, NULL, NULL, NULL, k->pconf, k->ptemp)) != NULL) {
            wh_check_mistake(k, g->main_server, "(default)", 0, "WH0132: ", WH_D_STORE " " WH_STORE_DEFAULT ": %s", err);
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
    wh_check k;

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
        wh_section_make_effective(&k, APR_ARRAY_IDX(g->sections, i, wh_section *));
    }
    for (i = 0; i < n; i++) {
        resolve_rules(&k, APR_ARRAY_IDX(g->sections, i, wh_section *));
    }
    for (i = 0; i < n; i++) {
        wh_check_judge(&k, APR_ARRAY_IDX(g->sections, i, wh_section *), &stores);
    }
    make_store(&k, stores);
    wh_fetch_locate(g, pconf);
    if (k.testing) {
        say(g);
    }
    return k.errors ? HTTP_INTERNAL_SERVER_ERROR : OK;
}
