/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers.c: the table of built-in handlers, and how a WebhookSend line becomes a handler.
 */
#include "dispatch/handlers.h"

#include <apr_strings.h>
#include <stddef.h>
#include <string.h>

#include "core/options.h"
#include "dispatch/dispatch.h"

#define DEFAULT_CONCURRENCY 4
#define DEFAULT_TIMEOUT apr_time_from_sec(30)
#define DEFAULT_CAPTURE (64 * 1024)

const webhook_handler_provider *const wh_handler_builtins[] = { &wh_handler_file, &wh_handler_pipe, &wh_handler_upstream, NULL };

const webhook_handler_provider *wh_handler_builtin(const char *name)
{
    int i;

    for (i = 0; wh_handler_builtins[i]; i++) {
        if (!strcmp(wh_handler_builtins[i]->name, name))
            return wh_handler_builtins[i];
    }
    return NULL;
}

/* The options every handler has; the dispatcher enforces them. A timeout over a day would keep a lease for as long after a crash. */
static const wh_option_spec common_specs[] = {
    { "concurrency", WH_OPT_INT, offsetof(wh_handler_def, concurrency), 1, 1024, NULL },
    { "timeout", WH_OPT_DURATION, offsetof(wh_handler_def, timeout), 100 * 1000, (apr_int64_t)86400 * APR_USEC_PER_SEC, NULL },
    { "capture", WH_OPT_SIZE, offsetof(wh_handler_def, capture), 0, 16 * 1024 * 1024, NULL },
    { NULL, WH_OPT_STRING, 0, 0, 0, NULL }
};

const char *wh_handler_define(wh_handler_def **out, const webhook_handler_provider *provider, const char *name, const char *target,
                              const apr_array_header_t *options, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    wh_handler_def *def = apr_pcalloc(pconf, sizeof(*def));
    const char *what = apr_pstrcat(ptemp, "handler ", provider->name, NULL);
    webhook_handler_conf *conf = NULL;
    apr_array_header_t *rest;
    const char *err;

    def->name = apr_pstrdup(pconf, name);
    def->provider = provider;
    def->target = apr_pstrdup(pconf, target);
    def->concurrency = provider->default_concurrency > 0 ? provider->default_concurrency : DEFAULT_CONCURRENCY;
    def->timeout = DEFAULT_TIMEOUT;
    def->capture = DEFAULT_CAPTURE;
    def->retry = wh_retry_default;
    if ((err = wh_options_take(def, common_specs, options, &rest, what, ptemp)))
        return err;
    if ((err = provider->configure(&conf, target, rest, pconf, ptemp)))
        return err;
    def->conf = conf;
    *out = def;
    return NULL;
}
