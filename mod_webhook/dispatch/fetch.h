/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.h: the dispatcher's part of keys that live elsewhere: fetches what verify/key_files.h says is wanted, keeps key sets of the
 * configuration fresh, visits confirmations. All state is in those files, so that a killed dispatcher's work is its successor's.
 */
#ifndef WH_DISPATCH_FETCH_H
#define WH_DISPATCH_FETCH_H

#include "core/http_client.h"
#include "verify/key_cache.h"
#include "webhook_provider.h"

/** Whose keys: what a scheme of the configuration needs. A want that no source allows is dropped, whoever wrote it. */
typedef struct wh_fetch_source {
    const char *endpoint;       /* for messages */
    const webhook_verifier *verifier; /* judges what comes */
    wh_fetch_needs needs;
} wh_fetch_source;

/** Configuration pool, read-only. */
typedef struct wh_fetch_conf {
    const char *dir;                   /* of the key cache; exists */
    wh_http_conf http;
    apr_array_header_t *sources;       /* wh_fetch_source */
} wh_fetch_conf;

/* How long a key set is used, by what its server says (Cache-Control), within bounds; it is fetched again after four fifths of that, and
 * used for a day longer when that fails. */
#define WH_KEYS_AGE_DEFAULT apr_time_from_sec(3600)
#define WH_KEYS_AGE_MIN apr_time_from_sec(300)
#define WH_KEYS_AGE_MAX apr_time_from_sec(86400)
#define WH_KEYS_STALE apr_time_from_sec(86400)

typedef struct wh_fetcher wh_fetcher;

/** Begin in a loop. Never fails for reasons that may heal. Ends with wh_fetch_close, before the loop does. */
wh_fetcher *wh_fetch_open(const wh_fetch_conf *conf, webhook_loop *loop, const webhook_services *services, apr_pool_t *p);

/** Somebody may want something: look in the next turn. */
void wh_fetch_wake(wh_fetcher *f);

/** Begin what is due. Cheap when nothing is. */
void wh_fetch_turn(wh_fetcher *f);

/** How long the loop may wait for this. */
apr_interval_time_t wh_fetch_wait(const wh_fetcher *f);

/** Drop what is under way; it stays wanted. */
void wh_fetch_close(wh_fetcher *f);

#endif
