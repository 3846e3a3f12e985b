/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_files.h: the cache of keys that live elsewhere, as files of one directory (0700, beside the store). Request processes read keys and
 * ask for missing ones, the dispatcher fetches; neither waits for the other, and a crash of either leaves nothing that the next does not
 * understand. Every file appears whole or not at all.
 *
 *   KIND-HASH.key    what was fetched
 *   KIND-HASH.want   somebody needs it
 *   KIND-HASH.fail   it could not be fetched, and until when it is not tried again
 *
 * KIND is certificate, keys or confirm, HASH the SHA-256 of the URL. Lines "name value", an empty line, the bytes.
 */
#ifndef WH_VERIFY_KEY_FILES_H
#define WH_VERIFY_KEY_FILES_H

#include <apr_tables.h>
#include "core/secret.h"
#include "webhook_provider.h"

typedef enum wh_key_kind {
    WH_KIND_CERTIFICATE, /* a certificate (PEM) that a request names by its URL */
    WH_KIND_KEYS,        /* a JWK Set whose URL the configuration names */
    WH_KIND_CONFIRM      /* nothing to keep: a URL to be visited once, because a signed request asks for it */
} wh_key_kind;
#define WH_KIND_COUNT 3

typedef enum wh_key_state { WH_KEY_THERE, WH_KEY_WANTED, WH_KEY_FAILED } wh_key_state;

/** One file. Members that a state does not need are 0 or NULL. */
typedef struct wh_key_entry {
    wh_key_kind kind;
    const char *url;
    const char *about;  /* for messages: the topic to be confirmed */
    apr_time_t made;    /* fetched, asked for, failed */
    apr_time_t refresh; /* THERE: fetch again from then on, 0: never */
    apr_time_t until;   /* THERE: not to be used from then on, 0: for ever. FAILED: not tried again before */
    int count;          /* FAILED: how often in a row */
    int final;          /* FAILED: the other side has no such key, or it is none */
    const char *reason; /* FAILED: stable code */
    const char *detail; /* FAILED: a sentence */
    webhook_slice bytes;
    wh_secret_stamp stamp; /* when read */
} wh_key_entry;

#define WH_KEY_WANTS_MAX 64          /* distinct URLs of requests that may wait at a time */
#define WH_KEY_BYTES_MAX (60 * 1024) /* of one key or key set */

const char *wh_key_kind_name(wh_key_kind kind);
const char *wh_key_path(const char *dir, wh_key_kind kind, const char *url, wh_key_state state, apr_pool_t *p);

/** Read one. What is there for another URL, or cannot be understood, is not there: APR_ENOENT. Everything in p. */
apr_status_t wh_key_load(wh_key_entry *out, const char *dir, wh_key_kind kind, const char *url, wh_key_state state, apr_pool_t *p);

/** Write one durably, over what is there. */
apr_status_t wh_key_save(const char *dir, wh_key_state state, const wh_key_entry *entry, apr_pool_t *scratch);

/**
 * Ask for a key: WANTED, durably, unless somebody has. @param fresh answer: it was not asked for before
 * @return APR_ENOSPC when too many wait already (key sets of the configuration are never too many)
 */
apr_status_t wh_key_want(const char *dir, wh_key_kind kind, const char *url, const char *about, apr_time_t now, int *fresh,
                         apr_pool_t *scratch);

void wh_key_drop(const char *dir, wh_key_kind kind, const char *url, wh_key_state state, apr_pool_t *scratch);

/** Append wh_key_entry *, at most `max`, in no order. Files that cannot be understood are skipped. */
apr_status_t wh_key_list(const char *dir, wh_key_state state, int max, apr_array_header_t *out, apr_pool_t *p);

/** Remove what has had its time: temporary files an hour old, failures a day past their end, certificates past theirs; the oldest
 *  failures and certificates above the bounds. */
void wh_key_sweep(const char *dir, apr_time_t now, apr_pool_t *scratch);

/* ---- which URLs ---- */

/**
 * Whether url is https://HOST PATH, nothing else, with HOST one of hosts ('*': one label of 3 to 63 characters of [a-z0-9-]).
 * @param path what must follow the host, to be followed by characters of a query; NULL: any path that ends in ".pem"
 */
int wh_key_url_allowed(const char *url, const char *const *hosts, const char *path);

/** Whether a name matches one of the patterns ('*' as above). */
int wh_key_name_allowed(const char *name, apr_size_t len, const char *const *patterns);

/** Scheme and host of a URL and dots for the rest, which may be a credential. */
const char *wh_key_url_masked(const char *url, apr_pool_t *p);

#endif
