/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_cache.h: keys that live elsewhere, in a process that verifies: the files of key_files.h, prepared for a scheme and kept in memory.
 * Nothing here waits for the network: what is missing is asked for, and the sender told to come again. Private to verify/, but for
 * wh_key_cache_use and what a scheme needs fetched, which the glue asks.
 */
#ifndef WH_VERIFY_KEY_CACHE_H
#define WH_VERIFY_KEY_CACHE_H

#include "verify/key_files.h"
#include "webhook_provider.h"

struct wh_keyset;

/**
 * Where the files are, and how to wake who fetches them. Per process: the parent sets it before it makes others. Without it nothing is
 * asked for. @param dir NULL, or lives until the next call @param wake any thread; may be NULL
 */
void wh_key_cache_use(const char *dir, void (*wake)(void));
/** The directory, or NULL. */
const char *wh_key_cache_dir(void);

/* ---- what a scheme needs; for the glue ---- */

typedef struct wh_fetch_needs {
    const char *keys;               /* URL of a JWK Set; NULL */
    int certificates;               /* 1: certificates that requests name; 2: the same, but only without a secret */
    int confirms;                   /* URLs that requests ask to be visited */
    const char *const *hosts;       /* NULL-terminated patterns of hosts for certificates and confirmations */
    const char *confirm_path;       /* how path and query of a confirmation begin */
    const char *const *names;       /* NULL-terminated patterns: a certificate must have one of these names; NULL: any */
} wh_fetch_needs;

/** @return 0 when the provider is not one of the built-in rows or nothing has to be fetched */
int wh_verifier_needs(const webhook_verifier_provider *provider, const webhook_verifier *v, wh_fetch_needs *needs);

/**
 * Whether fetched bytes are a key the scheme can use; for who fetches. @param until answer: for how long at most, 0: for ever
 * @return NULL or an error text from p
 */
const char *wh_verifier_judge(const webhook_verifier *v, wh_key_kind kind, const char *url, webhook_slice bytes, apr_time_t now,
                              apr_time_t *until, apr_pool_t *p);

/* ---- in a verification ---- */

typedef enum wh_keys_state { WH_KEYS_NONE, WH_KEYS_THERE, WH_KEYS_PENDING, WH_KEYS_REFUSED } wh_keys_state;

typedef struct wh_keys_found {
    const struct wh_keyset *set; /* THERE: lives as long as the pool given */
    apr_time_t made;             /* THERE: when it was fetched */
    apr_interval_time_t retry_after; /* PENDING */
    const char *why;             /* PENDING and REFUSED: a sentence from the pool */
} wh_keys_found;

typedef struct wh_key_ring wh_key_ring;

/** What one scheme has in memory. Configuration pool; also cleans up. */
wh_key_ring *wh_key_ring_make(apr_pool_t *pconf);

/** Find the keys of a URL; asks for them when they are missing. Any thread. NONE: nothing is fetched in this process. */
wh_keys_state wh_key_ring_find(const webhook_verifier *v, wh_key_ring *ring, wh_key_kind kind, const char *url, apr_time_t now,
                               wh_keys_found *out, apr_pool_t *p);

/** A key set is there but not the key: ask for it anew, if it is older than a minute and that was not tried meanwhile.
 *  @return 1 when it is worth coming again */
int wh_key_ring_again(const char *url, apr_time_t made, apr_time_t now, apr_pool_t *p);

/** Ask for a URL to be visited. @return APR_SUCCESS when that is durable */
apr_status_t wh_key_confirm(const char *url, const char *about, apr_time_t now, apr_pool_t *p);

#endif
