/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containers.c: <WebhookEndpoint name> and <WebhookHandler name>. Each fills a private per-section vector with ap_walk_config, as
 * mod_authn_core's <AuthnProviderAlias> does, and keeps the one record of ours in it. Directives of other modules would go into that
 * vector too and be lost: "Require ip" in an endpoint would protect nothing. They are refused.
 */
#include "httpd/directives.h"

#include "ap_provider.h"
#include "apr_lib.h"
#include "apr_strings.h"
#include "http_core.h"

#include <string.h>

#include "core/options.h"

/* A <WebhookHandler> under construction. */
struct wh_handler_words {
    const char *name;
    wh_handler_def *def;
    wh_retry_policy retry;
    int send_line, retry_line;
};

/* The one word between "<WebhookX" and ">". */
static const char *section_name(cmd_parms *cmd, const char *arg, const char **name)
{
    const char *end = ap_strrchr_c(arg, '>'), *words, *c;

    if (!end) {
        return apr_pstrcat(cmd->pool, cmd->cmd->name, "> directive missing closing '>'", NULL);
    }
    words = apr_pstrmemdup(cmd->pool, arg, (apr_size_t)(end - arg));
    *name = ap_getword_conf(cmd->pool, &words);
    for (c = *name; apr_isalnum(*c) || (*c && strchr("._-", *c)); c++) {
        continue;
    }
    if (!**name || *words || *c || c - *name >= WH_COUNTER_NAME) {
        return apr_psprintf(cmd->pool, "%s> takes one name of letters, digits, dots, hyphens and underscores, up to %d characters",
                            cmd->cmd->name, WH_COUNTER_NAME - 1);
    }
    return NULL;
}

/* Run the section's directives over the given record of ours. */
static const char *walk(cmd_parms *cmd, wh_dir_conf *c)
{
    ap_conf_vector_t *vector = ap_create_per_dir_config(cmd->pool);
    int override = cmd->override;
    ap_directive_t *d;
    const char *err;

    for (d = cmd->directive->first_child; d; d = d->next) {
        if (ap_cstr_casecmpn(d->directive, "Webhook", 7) != 0) {
            cmd->err_directive = d;
            return apr_psprintf(cmd->pool, "%s is not allowed in %s> (allowed: Webhook... directives)", d->directive, cmd->cmd->name);
        }
    }
    ap_set_module_config(vector, &webhook_module, c);
    cmd->override = ACCESS_CONF;
    err = ap_walk_config(cmd->directive->first_child, cmd, vector);
    cmd->override = override;
    return err;
}

const char *wh_endpoint_section(cmd_parms *cmd, void *mconfig, const char *arg)
{
    wh_server_conf *sc = ap_get_module_config(cmd->server->module_config, &webhook_module);
    const char *err = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT), *name;
    const wh_dir_conf *other;
    wh_section *section;
    wh_dir_conf *c;

    (void)mconfig;
    if (err || (err = section_name(cmd, arg, &name)) != NULL) {
        return err;
    }
    if ((other = apr_hash_get(sc->endpoints, name, APR_HASH_KEY_STRING)) != NULL) {
        return apr_psprintf(cmd->pool, "<WebhookEndpoint> \"%s\" is defined twice (first at %s:%d)", name, other->file, other->line);
    }
    c = wh_create_dir_conf(cmd->pool, NULL);
    c->name = name;
    c->file = cmd->directive->filename;
    c->line = cmd->directive->line_num;
    section = apr_pcalloc(cmd->pool, sizeof(*section));
    section->server = cmd->server;
    section->conf = c;
    section->directive = WH_D_ENDPOINT;
    section->container = cmd->directive;
    APR_ARRAY_PUSH(sc->global->sections, wh_section *) = section;
    apr_hash_set(sc->endpoints, name, APR_HASH_KEY_STRING, c);
    return walk(cmd, c);
}

const char *wh_handler_section(cmd_parms *cmd, void *mconfig, const char *arg)
{
    wh_global *g = wh_conf_global(cmd->server);
    const char *err = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    const wh_handler_def *other;
    struct wh_handler_words words;
    wh_dir_conf *c;

    (void)mconfig;
    memset(&words, 0, sizeof(words));
    words.retry = wh_retry_default;
    if (err || (err = section_name(cmd, arg, &words.name)) != NULL) {
        return err;
    }
    if (!strcmp(words.name, WH_DROP)) {
        return "<WebhookHandler>: \"" WH_DROP "\" is what " WH_D_DELIVER " says to drop deliveries, and cannot be the name of a handler";
    }
    if ((other = apr_hash_get(g->handlers_by_name, words.name, APR_HASH_KEY_STRING)) != NULL) {
        return apr_psprintf(cmd->pool, "<WebhookHandler> \"%s\" is defined twice (first at %s:%d): names of handlers are those of the whole "
                            "server, not of a virtual host", words.name, other->file, other->line);
    }
    c = wh_create_dir_conf(cmd->pool, NULL);
    c->words = &words;
    if ((err = walk(cmd, c)) != NULL) {
        return err;
    }
    if (!words.def) {
        return apr_psprintf(cmd->pool, "<WebhookHandler> \"%s\" has no " WH_D_SEND, words.name);
    }
    words.def->retry = words.retry;
    words.def->file = cmd->directive->filename;
    words.def->line = cmd->directive->line_num;
    apr_hash_set(g->handlers_by_name, words.def->name, APR_HASH_KEY_STRING, words.def);
    APR_ARRAY_PUSH(g->handlers, wh_handler_def *) = words.def;
    return NULL;
}

/* Options of built-in handlers that are paths: below ServerRoot when they are relative. */
static apr_array_header_t *absolute_options(const apr_array_header_t *options, apr_pool_t *p)
{
    static const char *const paths[] = { "ca", "cert", "key", "unix", "cwd", NULL };
    apr_array_header_t *out = apr_array_copy(p, options);
    int i, n;

    for (i = 0; i < out->nelts; i++) {
        webhook_option *o = &APR_ARRAY_IDX(out, i, webhook_option);
        for (n = 0; paths[n]; n++) {
            if (!strcmp(o->name, paths[n]) && strchr(o->value, '/')) {
                o->value = ap_server_root_relative(p, o->value);
            }
        }
    }
    return out;
}

const char *wh_conf_define_handler(wh_handler_def **out, const char *name, const char *type, const char *target,
                                   const apr_array_header_t *options, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const webhook_handler_provider *provider = ap_lookup_provider(WEBHOOK_HANDLER_GROUP, type, WEBHOOK_PROVIDER_VERSION);

    if (!provider) {
        return apr_psprintf(pconf, "handler type \"%s\" is unknown (allowed: %s)", type,
                            wh_conf_provider_names(WEBHOOK_HANDLER_GROUP, ptemp));
    }
    if (provider == wh_handler_builtin(type)) {
        options = absolute_options(options, pconf);
        if (!strcmp(type, "file") && *target) {
            const char *full = ap_server_root_relative(pconf, target);
            /* the merge takes a final slash away, which would make a directory a file */
            target = full && target[strlen(target) - 1] == '/' && full[strlen(full) - 1] != '/' ? apr_pstrcat(pconf, full, "/", NULL) : full;
            if (!target) {
                return "handler file: the target is not a path";
            }
        }
    }
    return wh_handler_define(out, provider, name, target, options, pconf, ptemp);
}

const char *wh_set_send(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    struct wh_handler_words *words = ((wh_dir_conf *)mconfig)->words;
    apr_array_header_t *options;
    const char *err;

    if (!words) {
        return WH_D_SEND " is allowed in <WebhookHandler> only";
    }
    if (words->def) {
        return apr_psprintf(cmd->pool, WH_D_SEND " is given twice (first on line %d): a handler has one destination", words->send_line);
    }
    if (argc < 2) {
        return WH_D_SEND " takes a type and a target, and options if wanted";
    }
    if ((err = wh_options_split(&options, argc - 2, (const char *const *)argv + 2, cmd->pool)) == NULL) {
        err = wh_conf_define_handler(&words->def, words->name, argv[0], argv[1], options, cmd->pool, cmd->temp_pool);
    }
    words->send_line = cmd->directive->line_num;
    return err ? apr_pstrcat(cmd->pool, WH_D_SEND ": ", err, NULL) : NULL;
}

const char *wh_set_retry(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    struct wh_handler_words *words = ((wh_dir_conf *)mconfig)->words;
    apr_array_header_t *options;
    const char *err;

    if (!words) {
        return WH_D_RETRY " is allowed in <WebhookHandler> only";
    }
    if (words->retry_line) {
        return apr_psprintf(cmd->pool, WH_D_RETRY " is given twice (first on line %d)", words->retry_line);
    }
    words->retry_line = cmd->directive->line_num;
    if ((err = wh_options_split(&options, argc, (const char *const *)argv, cmd->pool)) == NULL) {
        err = wh_retry_parse(&words->retry, options, cmd->pool);
    }
    return err ? apr_pstrcat(cmd->pool, WH_D_RETRY ": ", err, NULL) : NULL;
}
