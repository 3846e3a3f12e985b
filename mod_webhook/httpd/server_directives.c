/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_directives.c: directives of the whole server: the store, the delivery log, memory and time. They write to the one record of
 * the generation, so all but WebhookBodyMemory belong to the main server.
 */
#include "httpd/directives.h"

#include "ap_provider.h"
#include "apr_strings.h"
#include "http_core.h"

#include <string.h>

#include "core/units.h"

/* What a server-wide setter does first. */
static const char *enter_main(cmd_parms *cmd)
{
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const webhook_store_provider *lookup_store(void *baton, const char *name)
{
    (void)baton;
    return ap_lookup_provider(WEBHOOK_STORE_GROUP, name, WEBHOOK_PROVIDER_VERSION);
}

const char *wh_set_store(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    wh_global *g = wh_conf_global(cmd->server);
    const char *err = enter_main(cmd), *path, *text;
    wh_store_spec *spec;

    (void)mconfig;
    if (err) {
        return err;
    }
    if (g->store_set) {
        return WH_D_STORE " is given twice: there is one store";
    }
    if (argc < 1) {
        return WH_D_STORE " takes sqlite:PATH and its options, or none";
    }
    g->store_set = 1;
    if (!ap_cstr_casecmp(argv[0], "none")) {
        g->store_none = 1;
        return argc == 1 ? NULL : WH_D_STORE " none has no options";
    }
    if ((err = wh_cmd_options(cmd, &g->store_options, argc - 1, argv + 1)) != NULL) {
        return err;
    }
    text = argv[0];
    if ((path = wh_cmd_behind(text, "sqlite:")) != NULL && *path) {
        text = apr_pstrcat(cmd->pool, "sqlite:", ap_server_root_relative(cmd->pool, path), NULL);
    }
    if ((err = wh_store_configure(&spec, text, g->store_options, lookup_store, NULL, cmd->pool, cmd->temp_pool)) != NULL) {
        return apr_pstrcat(cmd->pool, WH_D_STORE ": ", err, NULL);
    }
    g->store_spec = spec;
    return NULL;
}

const char *wh_set_body_memory(cmd_parms *cmd, void *mconfig, const char *arg)
{
    wh_server_conf *sc = ap_get_module_config(cmd->server->module_config, &webhook_module);
    const char *err = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    (void)mconfig;
    return err ? err : wh_cmd_size(cmd, arg, 1024, 64 * 1024 * 1024, &sc->body_memory);
}

const char *wh_set_log(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    wh_global *g = wh_conf_global(cmd->server);
    const char *err = enter_main(cmd), *value;
    int i;

    (void)mconfig;
    if (err) {
        return err;
    }
    if (g->log_target) {
        return WH_D_LOG " is given twice: there is one delivery log";
    }
    if (argc < 1 || !*argv[0] || !strcmp(argv[0], "|")) {
        return WH_D_LOG " takes a file or \"|program\", then headers and body=SIZE if wanted";
    }
    g->log_target = *argv[0] == '|' ? argv[0] : ap_server_root_relative(cmd->pool, argv[0]);
    for (i = 1; i < argc; i++) {
        if (!ap_cstr_casecmp(argv[i], "headers")) {
            g->log.with_headers = 1;
        }
        else if ((value = wh_cmd_behind(argv[i], "body=")) != NULL) {
            if (wh_parse_size(value, &g->log.body_max) != APR_SUCCESS || g->log.body_max > 1024 * 1024) {
                return apr_psprintf(cmd->pool, WH_D_LOG ": body= cannot be \"%s\" (expected a size up to 1M)", value);
            }
        }
        else {
            return apr_psprintf(cmd->pool, WH_D_LOG ": \"%s\" is not an option (allowed: headers, body=SIZE)", argv[i]);
        }
    }
    return NULL;
}

const char *wh_set_drain(cmd_parms *cmd, void *mconfig, const char *arg)
{
    const char *err = enter_main(cmd);

    (void)mconfig;
    return err ? err : wh_cmd_duration(cmd, "the time", arg, apr_time_from_sec(1), apr_time_from_sec(7 * 86400),
                                   &wh_conf_global(cmd->server)->drain_max);
}
