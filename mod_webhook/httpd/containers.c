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
#include "core/shape.h"

/* A <WebhookHandler> under construction. */
struct wh_handler_words {
    const char *name;
    wh_handler_def *def;
    wh_retry_policy retry;
    int retry_line;
    const ap_directive_t *send, *body; /* where they were written; NULL: not yet */
    const char *type, *target;
    apr_array_header_t *options;       /* webhook_option, those of the other directives among them */
    apr_array_header_t *lines;         /* const ap_directive_t *, one per option */
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

/* Whether a message speaks of this option: by the header's name, the body, or a slot in its value. */
static int is_about(const char *err, const webhook_option *o, apr_pool_t *p)
{
    const char *slot = strstr(o->value, "%{");

    if (!strcmp(o->name, "header")) {
        if (strstr(err, apr_pstrcat(p, " ", apr_pstrmemdup(p, o->value, strcspn(o->value, ":")), NULL))) {
            return 1;
        }
    }
    else if (strstr(err, "the body") || strstr(err, "a body") || strstr(err, "\"body\"")) {
        return !strncmp(o->name, "body", 4);
    }
    for (; slot; slot = strstr(slot + 2, "%{")) {
        apr_size_t len = wh_slot_len(slot, strlen(slot));

        if (strstr(err, len ? apr_pstrmemdup(p, slot, len) : slot)) {
            return 1;
        }
    }
    return 0;
}

/*
 * All words of the handler are known. A mistake is reported for the directive it is in: the one whose option or slot the message repeats,
 * else WebhookSend.
 */
static const char *define(cmd_parms *cmd, struct wh_handler_words *words)
{
    const char *err = wh_conf_define_handler(&words->def, words->name, words->type, words->target, words->options, cmd->pool, cmd->temp_pool);
    int i;

    if (!err) {
        return NULL;
    }
    cmd->err_directive = words->send;
    for (i = 0; i < words->options->nelts; i++) {
        const webhook_option *o = &APR_ARRAY_IDX(words->options, i, webhook_option);
        const ap_directive_t *line = APR_ARRAY_IDX(words->lines, i, const ap_directive_t *);

        if (line != words->send && is_about(err, o, cmd->temp_pool)) {
            cmd->err_directive = line;
        }
    }
    return apr_pstrcat(cmd->pool, cmd->err_directive->directive, ": ", err, NULL);
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
    words.options = apr_array_make(cmd->pool, 8, sizeof(webhook_option));
    words.lines = apr_array_make(cmd->pool, 8, sizeof(const ap_directive_t *));
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
    if (!words.send) {
        return apr_psprintf(cmd->pool, "<WebhookHandler> \"%s\" has no " WH_D_SEND, words.name);
    }
    if ((err = define(cmd, &words)) != NULL) {
        return err;
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

/* Below ServerRoot when it is relative. Values of deliveries ("%{...}") stay as they are written: their slashes are none of a path. */
static const char *absolute_path(const char *target, apr_pool_t *p)
{
    const char *values = strstr(target, "%{"), *full;
    apr_size_t path = values ? (apr_size_t)(values - target) : strlen(target);
    int directory;

    while (values && path && target[path - 1] != '/') {
        path--;
    }
    directory = path && target[path - 1] == '/';
    full = ap_server_root_relative(p, apr_pstrmemdup(p, target, path));
    if (!full) {
        return NULL;
    }
    /* the merge takes a final slash away, which would make a directory a file */
    return apr_pstrcat(p, full, directory && full[strlen(full) - 1] != '/' ? "/" : "", target + path, NULL);
}

const char *wh_conf_define_handler(wh_handler_def **out, const char *name, const char *type, const char *target,
                                   const apr_array_header_t *options, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const webhook_handler_provider *provider = ap_lookup_provider(WEBHOOK_HANDLER_GROUP, type, WEBHOOK_PROVIDER_VERSION);
    const char *err;

    if (!provider) {
        return apr_psprintf(pconf, "handler type \"%s\" is unknown (allowed: %s)", type,
                            wh_conf_provider_names(WEBHOOK_HANDLER_GROUP, ptemp));
    }
    if (provider == wh_handler_builtin(type)) {
        options = absolute_options(options, pconf);
        if (!strcmp(type, "file") && *target) {
            target = absolute_path(target, pconf);
            if (!target) {
                return "handler file: the target is not a path";
            }
        }
    }
    err = wh_handler_define(out, provider, name, target, options, pconf, ptemp);
    return err ? err : wh_templates_compile(*out, pconf, ptemp);
}

static void add_option(const cmd_parms *cmd, struct wh_handler_words *words, const char *name, const char *value)
{
    webhook_option *o = apr_array_push(words->options);

    o->name = name;
    o->value = value;
    APR_ARRAY_PUSH(words->lines, const ap_directive_t *) = cmd->directive;
}

const char *wh_set_send(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    struct wh_handler_words *words = ((wh_dir_conf *)mconfig)->words;
    apr_array_header_t *options;
    const char *err;
    int i;

    if (!words) {
        return WH_D_SEND " is allowed in <WebhookHandler> only";
    }
    if (words->send) {
        return apr_psprintf(cmd->pool, WH_D_SEND " is given twice (first on line %d): a handler has one destination", words->send->line_num);
    }
    if (argc < 2) {
        return WH_D_SEND " takes a type and a target, and options if wanted";
    }
    if ((err = wh_options_split(&options, argc - 2, (const char *const *)argv + 2, cmd->pool)) != NULL) {
        return apr_pstrcat(cmd->pool, WH_D_SEND ": ", err, NULL);
    }
    for (i = 0; i < options->nelts; i++) {
        const webhook_option *o = &APR_ARRAY_IDX(options, i, webhook_option);
        add_option(cmd, words, o->name, o->value);
    }
    words->send = cmd->directive;
    words->type = argv[0];
    words->target = argv[1];
    return NULL;
}

/* What an upstream takes, other handlers refuse by their own lists of options. */
const char *wh_set_send_header(cmd_parms *cmd, void *mconfig, const char *name, const char *value)
{
    struct wh_handler_words *words = ((wh_dir_conf *)mconfig)->words;
    const char *c;

    if (!words) {
        return WH_D_SEND_HEADER " is allowed in <WebhookHandler> only";
    }
    for (c = name; apr_isalnum(*c) || *c == '-' || *c == '_'; c++) {
        continue;
    }
    if (*c || c == name) {
        return apr_psprintf(cmd->pool, WH_D_SEND_HEADER ": \"%s\" is not the name of a header (expected letters, digits, '-' and '_', no colon)", name);
    }
    add_option(cmd, words, "header", apr_pstrcat(cmd->pool, name, ": ", value, NULL));
    return NULL;
}

const char *wh_set_send_body(cmd_parms *cmd, void *mconfig, const char *type, const char *text)
{
    struct wh_handler_words *words = ((wh_dir_conf *)mconfig)->words;

    if (!words) {
        return WH_D_SEND_BODY " is allowed in <WebhookHandler> only";
    }
    if (words->body) {
        return apr_psprintf(cmd->pool, WH_D_SEND_BODY " is given twice (first on line %d)", words->body->line_num);
    }
    words->body = cmd->directive;
    add_option(cmd, words, "body-type", type);
    add_option(cmd, words, "body", text);
    return NULL;
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
