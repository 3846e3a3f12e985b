/* SPDX-License-Identifier: Apache-2.0 */
/* store.c: from the words of a WebhookStore line to a provider and its configuration. */
#include "store/store.h"

#include <apr_strings.h>
#include <string.h>

#include "store/memory.h"
#include "store/sqlite.h"

const webhook_store_provider *const wh_store_builtins[] = { &wh_store_sqlite, &wh_store_memory, NULL };

const webhook_store_provider *wh_store_builtin(const char *name)
{
    int i;

    for (i = 0; wh_store_builtins[i]; i++) {
        if (strcmp(wh_store_builtins[i]->name, name) == 0)
            return wh_store_builtins[i];
    }
    return NULL;
}

static const char *builtin_names(apr_pool_t *p)
{
    const char *names = "";
    int i;

    for (i = 0; wh_store_builtins[i]; i++)
        names = apr_pstrcat(p, names, *names ? ", " : "", wh_store_builtins[i]->name, ":", NULL);
    return names;
}

const char *wh_store_configure(wh_store_spec **out, const char *text, const apr_array_header_t *options, wh_store_lookup *lookup,
                               void *baton, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    wh_store_spec *spec = apr_pcalloc(pconf, sizeof *spec);
    webhook_store_conf *conf = NULL;
    const char *colon, *name, *err;

    *out = NULL;
    if (!text)
        text = WH_STORE_DEFAULT;
    colon = strchr(text, ':');
    if (!colon || colon == text)
        return apr_psprintf(ptemp, "\"%s\" does not name a store (expected type:target, e.g. " WH_STORE_DEFAULT "; built in: %s)", text,
                            builtin_names(ptemp));
    name = apr_pstrmemdup(ptemp, text, (apr_size_t)(colon - text));
    spec->provider = lookup ? lookup(baton, name) : wh_store_builtin(name);
    if (!spec->provider)
        return apr_psprintf(ptemp, "the store type \"%s\" of \"%s\" is unknown (built in: %s others come with their modules)", name, text,
                            builtin_names(ptemp));
    err = spec->provider->configure(&conf, colon + 1, options, pconf, ptemp);
    if (err)
        return err;
    spec->text = apr_pstrdup(pconf, text);
    spec->conf = conf;
    *out = spec;
    return NULL;
}

apr_time_t wh_store_lost_due(int attempts, apr_time_t now)
{
    const int at_once = 3, steps = 12; /* 2^12 s is more than the most */
    apr_interval_time_t delay;
    int n = attempts - at_once - 1;

    if (n < 0)
        return now;
    n = n < steps ? n : steps;
    delay = apr_time_from_sec((apr_time_t)1 << n);
    return now + (delay < WH_STORE_LOST_MAX ? delay : WH_STORE_LOST_MAX);
}
