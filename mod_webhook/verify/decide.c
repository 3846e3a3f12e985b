/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide.c: what the request side asks of a configured scheme: its traits, a look at the headers before the body is read, and the
 * decision over the received bytes.
 */
#include "verify/scheme.h"

#include <stddef.h>
#include <string.h>

const webhook_scheme_traits *wh_scheme_traits(const webhook_verifier *v)
{
    return &v->traits;
}

static wh_vctx *make_context(const webhook_verifier *v, const webhook_request *req, webhook_verdict *verdict, apr_pool_t *p)
{
    wh_vctx *c = apr_palloc(p, sizeof(*c));

    memset(c, 0, offsetof(wh_vctx, candidates));
    memset(verdict, 0, sizeof(*verdict));
    c->v = v;
    c->req = req;
    c->verdict = verdict;
    c->p = p;
    return c;
}

/* Whether the signature can be read from the headers (and the URL) alone */
static int in_headers(const webhook_verifier *v)
{
    int i;

    for (i = 0; i < v->signatures->nelts; i++) {
        wh_loc_kind kind = APR_ARRAY_IDX(v->signatures, i, wh_locator).kind;
        if (kind != WH_LOC_HEADER && kind != WH_LOC_FAMILY && kind != WH_LOC_QUERY && kind != WH_LOC_BASIC
            && kind != WH_LOC_BEARER) return 0;
    }
    return v->signatures->nelts > 0;
}

static int time_in_headers(const webhook_verifier *v)
{
    wh_loc_kind kind;

    if (v->ts_locs->nelts == 0) return 0;
    kind = APR_ARRAY_IDX(v->ts_locs, 0, wh_locator).kind;
    return kind == WH_LOC_HEADER || kind == WH_LOC_QUERY || (kind == WH_LOC_FIELD && in_headers(v));
}

void wh_scheme_screen(const webhook_verifier *v, const webhook_request *req, webhook_verdict *verdict, apr_pool_t *p)
{
    wh_vctx *c = make_context(v, req, verdict, p);

    if (v->primitive == WH_NONE) return;
    c->headers_only = 1;
    if (v->open_handshake && wh_handshake_possible(c)) return;
    if (!wh_common_before(c)) return;
    if (v->primitive == WH_HTTPSIG) {
        wh_httpsig_screen(c);
    } else if (v->primitive == WH_JWT) {
        wh_jwt_screen(c);
    } else if (v->primitive == WH_TOKEN) {
        webhook_slice token;
        wh_found found = in_headers(v) && !v->items ? wh_value_first(c, v->signatures, &token, NULL) : WH_FOUND;
        if (found == WH_ABSENT) wh_deny(c, WH_REFUSAL_SIGNATURE_MISSING, "%s is missing", APR_ARRAY_IDX(v->signatures, 0, wh_locator).text);
        else if (found == WH_TWICE) wh_deny(c, WH_REFUSAL_HEADER_DUPLICATE, "the token is there more than once");
        else if (found == WH_BROKEN) wh_deny(c, WH_REFUSAL_SIGNATURE_MALFORMED, "the token is not written as this scheme writes it");
    } else {
        if (in_headers(v) && !wh_signatures_collect(c)) return;
        if (time_in_headers(v) && !wh_timestamp_check(c)) return;
        if (v->message->uses_id && APR_ARRAY_IDX(v->id_locs, 0, wh_locator).kind == WH_LOC_HEADER) wh_id_restrict(c);
    }
}

void wh_scheme_verify(const webhook_verifier *v, const webhook_secrets *secrets, const webhook_request *req, webhook_verdict *verdict,
                      apr_pool_t *p)
{
    wh_vctx *c = make_context(v, req, verdict, p);

    switch (v->primitive) {
    case WH_NONE:
        wh_accept_verdict(c, NULL);
        break;
    case WH_JWT:
        wh_jwt_verify(c, secrets);
        break;
    case WH_HTTPSIG:
        wh_httpsig_verify(c, secrets);
        break;
    default:
        wh_engine_verify(c, secrets);
        break;
    }
    wh_key_awaited(c);
    /* Whatever was forgotten above is a refusal. */
    if (verdict->status == 0) wh_deny(c, WH_REFUSAL_INTERNAL, "the scheme came to no decision");
    if (verdict->status != 200) {
        verdict->key_id = verdict->sender_id = verdict->event = NULL;
        verdict->sender_id_signed = verdict->timestamp_signed = 0;
        verdict->moment.data = NULL;
        verdict->moment.len = 0;
        if (req->report_only) wh_name_request(c);
        if (verdict->status == 503 && !verdict->retry_after) verdict->retry_after = 30 * APR_USEC_PER_SEC;
    }
}

const char *wh_scheme_event_header(const webhook_verifier *v)
{
    const wh_locator *loc = v->event_locs && v->event_locs->nelts ? &APR_ARRAY_IDX(v->event_locs, 0, wh_locator) : NULL;

    return loc && loc->kind == WH_LOC_HEADER ? loc->name : NULL;
}

int wh_scheme_rehearse(const webhook_verifier *v, const webhook_request *req, webhook_verdict *verdict, apr_pool_t *p)
{
    wh_vctx *c = make_context(v, req, verdict, p);

    wh_accept_verdict(c, NULL);
    return wh_handshake_expected(c);
}
