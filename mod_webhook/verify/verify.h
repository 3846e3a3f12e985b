/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.h: the built-in verifiers. Every scheme and every sender's preset is one row of one table (presets.c), written in the options
 * of WebhookVerify: a preset can do nothing that a line of configuration could not. Each row is a webhook_verifier_provider.
 */
#ifndef WH_VERIFY_VERIFY_H
#define WH_VERIFY_VERIFY_H

#include <apr_pools.h>
#include "core/json.h"
#include "webhook_provider.h"

/** The built-in of this name, NULL if there is none. Static memory. */
const webhook_verifier_provider *wh_verifier_builtin(const char *name);

/**
 * Names that may have been meant by one that is none: names and titles that hold it, names it holds, names two letters away. Only letters and
 * digits count. For error messages.
 * @return "hubspot-v1, hubspot-v2", from p; NULL when nothing is near
 */
const char *wh_verifier_near(const char *name, apr_pool_t *p);

/** All of them, for ap_register_provider and `webhookctl schemes`: by index from 0, generic schemes first, then presets by name; NULL behind
 *  the last. Static memory. */
const webhook_verifier_provider *wh_verifier_builtins(int index);

/** What a row says about itself; all strings static, none NULL. */
typedef struct wh_verifier_info {
    const char *name;
    const char *title;          /**< the sender as people know it, "GitHub" */
    const char *primitive;      /**< none, token, hmac, hash, public-key, jwt, httpsig */
    int generic;                /**< 1: a primitive by its own name, 0: a sender's preset */
    const char *const *options; /**< NULL-terminated "name=value" words the row stands for */
    const char *variables;      /**< the sender's own options, space-separated; a trailing '?' marks optional ones; may be "" */
    const char *secret;         /**< what WebhookSecret must hold */
} wh_verifier_info;

/** @return 0 if the provider is not one of ours */
int wh_verifier_describe(const webhook_verifier_provider *provider, wh_verifier_info *info);

/**
 * The options that may be written for this scheme, by index from 0: those of its primitive, not the sender's own (info.variables).
 * @param values what may be written: "hex|base64" one of these words, "TEXT,..." a list, else a kind such as "DURATION". Static memory
 * @return 0 behind the last, or when the provider is not one of ours
 */
int wh_verifier_parameter(const webhook_verifier_provider *provider, int index, const char **name, const char **values);

/** `webhookctl schemes --json`: one JSON object per scheme with options, methods, window and what it protects. @return error text */
const char *wh_verifier_json(wh_buf *b, const webhook_verifier_provider *provider, apr_pool_t *p);

/**
 * One request through a configured scheme as the request side does it: screen(), verify(), and handshake() on whatever verify()
 * said. For the tool and tests; httpd's phases make the same calls at their own times.
 * @param reply filled when *replied is set; then the reply is the answer and the verdict only says whether the request was verified
 */
void wh_verify_request(const webhook_verifier_provider *provider, const webhook_verifier *v, const webhook_secrets *secrets,
                       const webhook_request *req, webhook_verdict *verdict, webhook_reply *reply, int *replied, apr_pool_t *p);

/**
 * What a request says of itself where nothing is verified: sender's id and event. For trying out rules, never for a request that came: the
 * verdict is made up.
 * @param handshake answer: whether it would be answered as a handshake
 * @return 0 if the provider is not one of ours: then nothing is known
 */
int wh_verifier_rehearse(const webhook_verifier_provider *provider, const webhook_verifier *v, const webhook_request *req,
                         webhook_verdict *verdict, int *handshake, apr_pool_t *p);

/** The header in which the sender says which event it is; NULL if that is elsewhere, or the provider is not one of ours. */
const char *wh_verifier_event_header(const webhook_verifier_provider *provider, const webhook_verifier *v);

#endif
