/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h: the front of the stores. Finds a provider by the word before the colon of a WebhookStore line and keeps what it made of the
 * rest; callers then speak to the provider's table (webhook_provider.h) with spec->provider and spec->conf.
 *
 *   configuration  wh_store_configure()                                       any number of times, also under -t
 *   real start     spec->provider->init(spec->conf, uid, gid, ...)            in the parent, possibly root, before children exist
 *   after fork     spec->provider->open(&store, spec->conf, pool, ...)        dispatcher and tool: one handle, one thread
 *                  wh_group_create(&group, spec, ...)                         httpd's children: many threads (group.h)
 */
#ifndef WH_STORE_STORE_H
#define WH_STORE_STORE_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <sys/types.h>
#include "webhook_provider.h"

/** Where the queue lives when the configuration does not say; the build may choose another directory. */
#ifndef WH_STATE_DIR
#define WH_STATE_DIR "/var/lib/webhook"
#endif
#define WH_STORE_DEFAULT "sqlite:" WH_STATE_DIR "/queue.db"

/** A configured store. Configuration pool, read-only afterwards, survives fork. */
typedef struct wh_store_spec {
    const char *text; /* "sqlite:/var/lib/webhook/queue.db", as given */
    const webhook_store_provider *provider;
    const webhook_store_conf *conf;
} wh_store_spec;

/** The built-in providers, NULL-terminated: for ap_register_provider. */
extern const webhook_store_provider *const wh_store_builtins[];

/** A built-in provider by name, NULL if there is none. */
const webhook_store_provider *wh_store_builtin(const char *name);

/** How to find a provider by name (ap_lookup_provider behind it in the server). @return NULL if unknown */
typedef const webhook_store_provider *wh_store_lookup(void *baton, const char *name);

/**
 * Parse "name:target" and its options.
 * @param text NULL: WH_STORE_DEFAULT. "none" is the caller's business, not a store.
 * @param options webhook_option elements, may be NULL
 * @param lookup NULL: built-ins only
 * @return NULL or an error text from ptemp saying what was given and what is allowed
 */
const char *wh_store_configure(wh_store_spec **out, const char *text, const apr_array_header_t *options, wh_store_lookup *lookup,
                               void *baton, apr_pool_t *pconf, apr_pool_t *ptemp);

/**
 * When a job whose attempt was lost (its dispatcher died) is due again. The first three times at once; from then on after 1 s, 2 s, 4 s ...
 * at most WH_STORE_LOST_MAX: a delivery that kills every dispatcher must not do so ten times a second for ever. For providers' reclaim().
 * @param attempts attempts of the job so far, the lost one included
 */
apr_time_t wh_store_lost_due(int attempts, apr_time_t now);
#define WH_STORE_LOST_MAX apr_time_from_sec(3600)

/**
 * Who owns the store's files: for a tool started as root, which becomes that user before it opens the store (files made by root would lock
 * the server out). Meaningful for stores that are files; the target is the path behind "sqlite:".
 * @return APR_SUCCESS, or the errno of looking at the file and then at its directory
 */
apr_status_t wh_store_owner(const char *path, uid_t *uid, gid_t *gid);

/**
 * Become that user for good: supplementary groups, gid, uid. Does nothing when the process is not root or uid is 0.
 * @return APR_SUCCESS or errno; after a failure the process must not go on
 */
apr_status_t wh_store_become(uid_t uid, gid_t gid);

#endif
