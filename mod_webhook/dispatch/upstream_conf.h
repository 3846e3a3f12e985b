/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_conf.h: the upstream handler's configuration and the headers of its requests.
 *
 *   upstream URL [method=POST|PUT|PATCH] [connect-timeout=5s] [idle-timeout=…] [header="Name: value"]… [forward=all|none|NAME,PREFIX*,…]
 *                [ca=FILE] [cert=FILE key=FILE] [unix=PATH] [http2=on|off]
 *
 * idle-timeout ends an attempt on which nothing moves; libcurl averages over some seconds, so it may take about 6 s longer. The attempt's
 * own timeout (of WebhookSend) is exact and always set.
 *
 * ca= is instead of the system's CAs, not beside them. unix= connects there; the URL still names host and path.
 *
 * forward=all (the default) passes what the sender sent, so that an existing receiver behind the queue can still check the signature
 * itself, but for
 *   - what belongs to one connection or one message (RFC 9110 section 7.6.1: Connection and what it names, Transfer-Encoding, TE, Trailer,
 *     Upgrade, Keep-Alive, Proxy-Connection; Host, Content-Length, Expect) and our own X-Delivery-* names below: never passed;
 *   - credentials and what proxies in front of us said (Authorization, Cookie, Proxy-*, Accept-Encoding, Forwarded, X-Forwarded-*,
 *     X-Real-IP, Via): passed only when forward= spells the name out.
 * Names are compared without case and with '_' as '-', as CGI-like upstreams will read them.
 *
 * format= (dispatch/format.h) and a body template change the body. Then nothing of what the sender sent fits it, and forward=none is the
 * default; with cloudevents-binary the bytes stay and ce-* headers are added in place of the sender's.
 *
 * Added: X-Delivery-Id, -Attempt, -Handler, -Endpoint, -Verified (true or false), -Event and -Key-Id where there is one (not X-Webhook-*:
 * those the gate vouches for, so an upstream that runs this module itself would remove them as spoofed);
 * Idempotency-Key (the delivery's id) unless the sender's own is passed or one is configured. header= replaces a passed one of that name.
 */
#ifndef WH_DISPATCH_UPSTREAM_CONF_H
#define WH_DISPATCH_UPSTREAM_CONF_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <curl/curl.h>
#include "dispatch/format.h"
#include "webhook_provider.h"

#define WH_UPSTREAM_URL_MAX 8192 /* bytes, with the values of a delivery in it */

struct webhook_handler_conf {
    const char *url;
    const char *shown;   /* the URL for people: its query, which may hold a token, masked */
    int tls;             /* https */
    const char *method;
    apr_interval_time_t connect_timeout;
    apr_interval_time_t idle_timeout;  /* nothing moves for this long; 0: the attempt's timeout alone */
    apr_array_header_t *headers;       /* webhook_option: fixed ones, name and value checked */
    apr_array_header_t *header_slots;  /* const wh_slotted *, one per header; NULL: its value is fixed */
    int header_has_slots;
    const wh_slotted *url_slots;       /* NULL: url is all */
    apr_size_t path_at;                /* where path or query begin in a URL with slots */
    const wh_slotted *body;            /* made from a template; NULL: what format says */
    const char *body_type, *body_text; /* as configured */
    wh_format format;
    int format_index;
    apr_array_header_t *slots;         /* webhook_slot, of all of these */
    apr_array_header_t *forward;       /* const char *: names and prefixes ending in '*'; NULL: all but what is refused */
    const char *ca, *cert, *key, *unix_path;
    int http2;
    int method_index;
};

/** The provider's configure(). */
const char *wh_upstream_configure(webhook_handler_conf **out, const char *target, const apr_array_header_t *options, apr_pool_t *pconf,
                                  apr_pool_t *ptemp);
const char *wh_upstream_describe(const webhook_handler_conf *conf, apr_pool_t *p);

/** What is particular to one request. */
typedef struct wh_upstream_message {
    const char *url;
    const apr_array_header_t *headers; /* webhook_option: the configured ones, filled */
    webhook_slice body;
} wh_upstream_message;

/**
 * Make it from the configuration, what was frozen for the job, and the received body. All from attempt->pool.
 * @param why answer, unless FILLED: a sentence without values
 */
wh_filled wh_upstream_fill(wh_upstream_message *m, const webhook_handler_conf *conf, const webhook_attempt *attempt, webhook_slice received,
                           const char **why);

/* Texts of the configuration that may have slots; each appends to conf->slots. @return NULL or an error text */
/** @param plain answer: the URL with a letter in each slot, to be checked like any other */
const char *wh_upstream_parse_url(webhook_handler_conf *conf, const char *target, const char **plain, apr_pool_t *pconf, apr_pool_t *ptemp);
const char *wh_upstream_parse_header(webhook_handler_conf *conf, const char *name, const char *value, apr_pool_t *pconf, apr_pool_t *ptemp);
const char *wh_upstream_parse_body(webhook_handler_conf *conf, const char *type, const char *text, apr_pool_t *pconf, apr_pool_t *ptemp);

/**
 * The request's header list for libcurl; the caller frees it, also on failure. @param why answer: on failure a sentence (from p) that
 * names the header, never its value. @param configured conf->headers or what wh_upstream_fill made of them. @return APR_SUCCESS, APR_EINVAL (a value cannot be sent) or APR_ENOMEM
 */
apr_status_t wh_upstream_headers(struct curl_slist **list, const char **why, const webhook_handler_conf *conf,
                                 const apr_array_header_t *configured, const webhook_attempt *attempt, apr_pool_t *p);

/** Whether a received header of this name is passed on by this configuration (what Connection names apart). */
int wh_upstream_forwards(const webhook_handler_conf *conf, const char *name, apr_size_t len);

#endif
