/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client.h: the guarded HTTP client: GET one small document from a server that is not ours, to places nobody inside can be reached
 * through. For keys and confirmations; deliveries have their own client (dispatch/upstream.c), whose destinations the configuration names.
 *
 *   - https alone (http where the configuration says `plain` and the address is in `allow`), no redirects, no proxies, no cookies, no
 *     .netrc, no HTTP/0.9, no content decoding, no other socket than TCP
 *   - the address is judged on the socket that is about to be connected, so no name, spelling or rebinding leads inside; every request has
 *     a connection of its own
 *   - certificates are verified, against the system's authorities or the ones given
 *   - headers, body and time are bounded
 *
 * Single-threaded, driven by whoever drives the CURLM: its completions must reach webhook_curl_done in CURLOPT_PRIVATE.
 */
#ifndef WH_CORE_HTTP_CLIENT_H
#define WH_CORE_HTTP_CLIENT_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <curl/curl.h>
#include "core/address.h"
#include "webhook_provider.h"

/** How to fetch. Configuration pool, read-only. */
typedef struct wh_http_conf {
    const char *ca;                    /* file with certificates of authorities; NULL: the system's */
    const apr_array_header_t *resolve; /* const char *: "HOST:PORT:ADDRESS:PORT" in full, instead of asking DNS; may be NULL */
    const apr_array_header_t *allow;   /* wh_range: special addresses that may be connected to all the same; may be NULL */
    apr_interval_time_t timeout;       /* of the whole exchange */
    apr_interval_time_t connect_timeout;
    apr_int64_t size;                  /* bytes of a body, at most */
    int plain;                         /* http:// may be fetched, from addresses in `allow` */
} wh_http_conf;

#define WH_HTTP_TIMEOUT apr_time_from_sec(10)
#define WH_HTTP_CONNECT_TIMEOUT apr_time_from_sec(5)
#define WH_HTTP_SIZE 65536

/** How an exchange ended. Valid during the callback. */
typedef struct wh_http_answer {
    int status;               /* final status; 0: there was no answer, then failure says why */
    webhook_slice body;       /* complete */
    const char *failure;      /* NULL, or a stable code: connect, tls, timeout, transport, address-denied, too-large */
    const char *detail;       /* with failure: a sentence of printable ASCII; never the URL */
    apr_int64_t max_age;      /* seconds of Cache-Control, less Age; -1: not said; 0 also for no-cache and no-store */
    apr_interval_time_t retry_after; /* of Retry-After; 0: not said */
    char address[WH_ADDRESS_TEXT];   /* that was connected to, or denied; "" */
} wh_http_answer;

typedef void wh_http_done(void *baton, const wh_http_answer *answer);
typedef struct wh_http_client wh_http_client;
typedef struct wh_http_get wh_http_get;

/**
 * Whether this client would fetch a URL, by its text: https://HOST[:PORT][/PATH][?QUERY] of a small alphabet, on which no two parsers
 * differ: lower-case scheme, a host name of letters, digits, '-', '_' and '.' or an address, no user, no fragment, no backslash, no escape in
 * the host. @param plain http:// is allowed too @return NULL or an error text (static) to be put behind the URL
 */
const char *wh_http_url_check(const char *url, int plain);

/** Parse and check one "HOST:PORT:ADDRESS" or "HOST:PORT:ADDRESS:PORT" (an IPv6 address in brackets): connections to the first two go to the
 *  rest. @param out answer: the long form @return NULL or an error text */
const char *wh_http_resolve_parse(const char **out, const char *text, apr_pool_t *p);

/** Whether the file holds certificates libcurl will find usable. @return NULL or an error text to be put behind the name */
const char *wh_http_ca_check(const char *path);

/** @return NULL when libcurl has no memory. Ends with p or wh_http_client_destroy, before the multi handle does. */
wh_http_client *wh_http_client_create(const wh_http_conf *conf, CURLM *multi, apr_pool_t *p);

/** Drop what is under way (no callbacks) and free everything. */
void wh_http_client_destroy(wh_http_client *client);

/**
 * Begin. Ends with one call of `done`, never from inside this one. @param accept for the Accept header, NULL: any
 * @param size bytes of the body, at most; not above conf->size
 * @return NULL when the URL is none of ours or libcurl refuses
 */
wh_http_get *wh_http_begin(wh_http_client *client, const char *url, const char *accept, apr_int64_t size, wh_http_done *done, void *baton);

/** Drop one that is under way, without a callback. */
void wh_http_cancel(wh_http_get *get);

/** Sockets this client has made and been denied, for tests. */
int wh_http_sockets(const wh_http_client *client);
int wh_http_denied(const wh_http_client *client);

#endif
