/* SPDX-License-Identifier: Apache-2.0 */
/* vectors.c: recorded requests (verify/vectors.h) through the engine, and what the server does to a body before it verifies. */
#include "ctl/vectors.h"

#include <stdio.h>
#include "core/reasons.h"
#include "validate/inflate.h"
#include "verify/vectors.h"
#include "verify/verify.h"

#define DECODED_MAX (64 << 20)
#define DECODED_RATIO 100 /* WebhookDecode's own */

const char *wh_ctl_signed_body(webhook_request *req, const webhook_scheme_traits *traits, apr_pool_t *p)
{
    const wh_inflate_limits limits = { DECODED_MAX, DECODED_RATIO };
    const char *detail = NULL;
    int coding;

    if (!traits->signs_decoded || req->body.len == 0) return NULL;
    coding = wh_coding_find(apr_table_get(req->headers, "Content-Encoding"));
    if (coding == 0) return NULL;
    if (coding < 0) return wh_refusal_table[WH_REFUSAL_CONTENT_ENCODING].code;
    switch (wh_inflate(&req->body, coding, req->body, &limits, p, &detail)) {
    case WH_INFLATE_DONE: return NULL;
    case WH_INFLATE_TOO_LARGE: return wh_refusal_table[WH_REFUSAL_DECODED_TOO_LARGE].code;
    case WH_INFLATE_RATIO: return wh_refusal_table[WH_REFUSAL_DECODED_RATIO].code;
    default: return wh_refusal_table[WH_REFUSAL_CODING_INVALID].code;
    }
}

int wh_ctl_vectors(const char *file, apr_pool_t *p)
{
    const wh_json_value *list;
    const char *err = wh_vectors_load(&list, file, p), *reason;
    apr_pool_t *scratch;
    apr_size_t i;
    int rc = 0;

    if (err) {
        fprintf(stderr, "webhookctl: %s\n", err);
        return 2;
    }
    apr_pool_create(&scratch, p);
    for (i = 0; i < wh_json_size(list); i++) {
        wh_vector v;
        webhook_verdict verdict;
        webhook_reply reply;
        int replied;

        apr_pool_clear(scratch);
        err = wh_vector_prepare(&v, wh_json_at(list, i), scratch);
        if (err) {
            printf("%s refused unusable: %s\n", v.id ? v.id : "?", err);
            rc = 2;
            continue;
        }
        reason = wh_ctl_signed_body(&v.request, v.provider->traits(v.verifier), scratch);
        if (!reason) {
            wh_verify_request(v.provider, v.verifier, &v.secrets, &v.request, &verdict, &reply, &replied, scratch);
            reason = verdict.status == 200 ? NULL : verdict.reason;
        }
        if (reason) printf("%s refused %s\n", v.id, reason);
        else printf("%s accepted\n", v.id);
    }
    apr_pool_destroy(scratch);
    return rc;
}
