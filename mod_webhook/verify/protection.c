/* SPDX-License-Identifier: Apache-2.0 */
/* protection.c: what the signature of a configured scheme covers: the body, the id, the time. */
#include "verify/scheme.h"

#include <string.h>

/* Whether what the locator finds is covered by the signature */
static int is_signed(const webhook_verifier *v, const wh_locator *loc)
{
    int i;

    if (v->primitive == WH_NONE || v->primitive == WH_TOKEN) return 0;
    if (loc->kind == WH_LOC_CLAIM) return 1;
    if (v->traits.protects_body && (loc->kind == WH_LOC_JSON || loc->kind == WH_LOC_FORM || loc->kind == WH_LOC_MULTIPART)) return 1;
    for (i = 0; v->message && i < v->message->count; i++) {
        const wh_part *part = &v->message->parts[i];
        if (part->has_loc && (part->loc.kind == WH_LOC_ID || strcmp(part->loc.text, loc->text) == 0)) return 1;
    }
    return 0;
}

void wh_scheme_protection(webhook_verifier *v)
{
    int i, k;

    if (v->message && v->message->uses_body) v->traits.protects_body = 1;
    if (v->has_digest && v->digest_loc.kind == WH_LOC_QUERY && v->message->uses_url) v->traits.protects_body = 1;
    if (v->has_digest && v->message && is_signed(v, &v->digest_loc)) v->traits.protects_body = 1;
    if (v->primitive == WH_HTTPSIG) v->traits.protects_body = v->need_digest;
    for (i = 0; i < v->claims->nelts; i++) {
        const wh_claim_rule *rule = &APR_ARRAY_IDX(v->claims, i, wh_claim_rule);
        for (k = 0; k < rule->alternatives->nelts; k++) {
            if (rule->hashed && APR_ARRAY_IDX(rule->alternatives, k, wh_template *)->uses_body) v->traits.protects_body = 1;
        }
    }
    if (v->primitive == WH_JWT && APR_ARRAY_IDX(v->signatures, 0, wh_locator).kind == WH_LOC_BODY) v->traits.protects_body = 1;
    v->id_signed = v->id_locs->nelts > 0;
    for (i = 0; i < v->id_locs->nelts; i++) {
        if (!is_signed(v, &APR_ARRAY_IDX(v->id_locs, i, wh_locator))) v->id_signed = 0;
    }
    /* The id of the first of several items does not name the delivery as a whole. */
    if (v->items) v->id_signed = 0;
    v->ts_signed = v->primitive == WH_JWT || v->primitive == WH_HTTPSIG || (v->message && v->message->uses_ts);
    for (i = 0; i < v->ts_locs->nelts; i++) {
        if (is_signed(v, &APR_ARRAY_IDX(v->ts_locs, i, wh_locator))) v->ts_signed = 1;
    }
    for (i = 0; v->message && i < v->message->count; i++) { /* whose builder insists on a signed timestamp */
        if (v->message->parts[i].has_loc && v->message->parts[i].loc.kind == WH_LOC_CONTENTFUL) v->ts_signed = 1;
    }
    for (i = 0; v->primitive == WH_HASH && i < v->message->count; i++) {
        if (v->message->parts[i].has_loc && v->message->parts[i].loc.kind == WH_LOC_SECRET) v->extensible = i + 1 < v->message->count;
    }
    v->has_moment = v->ts_signed && v->traits.protects_body && !v->items;
}
