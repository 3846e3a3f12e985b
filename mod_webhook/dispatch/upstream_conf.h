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
 * Added: X-Delivery-Id, -Attempt, -Handler, -Endpoint, -Verified (true or false), -Event and -Key-Id where there is one (not X-Webhook-*:
 * those the gate vouches for, so an upstream that runs this module itself would remove them as spoofed);
 * Idempotency-Key (the delivery's id) unless the sender's own is passed or one is configured. header= replaces a passed one of that name.
 */
#ifndef WH_DISPATCH_UPSTREAM_CONF_H
#define WH_DISPATCH_UPSTREAM_CONF_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <curl/curl.h>
#include "webhook_provider.h"

struct webhook_handler_conf {
    const char *url;
    const char *shown;   /* the URL for people: its query, which may hold a token, masked */
    int tls;             /* https */
    const char *method;
    apr_interval_time_t connect_timeout;
    apr_interval_time_t idle_timeout;  /* nothing moves for this long; 0: the attempt's timeout alone */
    apr_array_header_t *headers;       /* webhook_option: fixed ones, name and value checked */
    apr_array_header_t *forward;       /* const char *: names and prefixes ending in '*'; NULL: all but what is refused */
    const char *ca, *cert, *key, *unix_path;
    int http2;
    int method_index;
};

/** The provider's configure(). */
const char *wh_upstream_configure(webhook_handler_conf **out, const char *target, const apr_array_header_t *options, apr_pool_t *pconf,
                                  apr_pool_t *ptemp);
const char *wh_upstream_describe(const webhook_handler_conf *conf, apr_pool_t *p);

/**
 * The request's header list for libcurl; the caller frees it, also on failure. @param why answer: on failure a sentence (from p) that
 * names the header, never its value. @return APR_SUCCESS, APR_EINVAL (a value cannot be sent) or APR_ENOMEM
 */
apr_status_t wh_upstream_headers(struct curl_slist **list, const char **why, const webhook_handler_conf *conf, const char *handler_name,
                                 const webhook_lease *lease, apr_pool_t *p);

/** Whether a received header of this name is passed on by this configuration (what Connection names apart). */
int wh_upstream_forwards(const webhook_handler_conf *conf, const char *name, apr_size_t len);

#endif
