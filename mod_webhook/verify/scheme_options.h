/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheme_options.h: the options of WebhookVerify as they are written: which there are, which primitive knows which, and a preset's own with the
 * administrator's over them. What they mean is scheme.c's. Used at configuration only, by scheme.c alone.
 */
#ifndef WH_VERIFY_SCHEME_OPTIONS_H
#define WH_VERIFY_SCHEME_OPTIONS_H

#include "core/options.h"
#include "verify/scheme.h"

/** The simple options, read but not understood: strings and lists from the pool the options came from, enums as the index of their word. */
typedef struct wh_scheme_raw {
    apr_array_header_t *signature, *lenient, *algorithm, *keyid_host, *certificate_name, *timestamp, *id, *event, *components, *methods, *content_types;
    const char *header, *prefix, *separator, *field, *label, *algorithm_by, *template, *key_prefix, *private_prefix, *keyid, *tolerance,
               *future, *digest, *unpack, *payload_field, *items, *url, *url_decoded, *tag, *pending_secret, *answer_body, *jwks, *confirm_path;
    int syntax, encoding, key_encoding, key_bare, unit, digest_algorithm, digest_encoding, url_ports, body_digest, status, refusal_body, refusal_status, fetch, confirm,
        signed_body, decrypt;
    apr_interval_time_t leeway, max_age;
    apr_int64_t body_limit;
} wh_scheme_raw;

/** Reads simple options into a wh_scheme_raw (wh_options_apply). */
extern const wh_option_spec wh_scheme_specs[];

/**
 * What the directive says over what the row says: simple options into `plain`, those that may be repeated into `many` (webhook_option both),
 * variables into v->vars. @return NULL or an error text from ptemp
 */
const char *wh_scheme_merge(webhook_verifier *v, const apr_array_header_t *options, apr_array_header_t *plain, apr_array_header_t *many,
                            apr_pool_t *pconf, apr_pool_t *ptemp);
/** Whether the options, all read, go together (scheme_check.c). @return NULL or an error text */
const char *wh_scheme_check(const webhook_verifier *v, const wh_scheme_raw *r, apr_pool_t *p);
/** A variable of the row that must be given and is not, from p; NULL: none. */
const char *wh_scheme_missing(const webhook_verifier *v, apr_pool_t *p);

#endif
