/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.c: the meaning of a verified body (validate/payload.h), read when the first of us asks: a rule, a template, WebhookValidate. A
 * gate without any of these never comes here. A content coding (WebhookDecode) is undone for that alone, unless the signature covers the
 * decoded bytes: what is kept, replayed and delivered is what was received.
 */
#include "httpd/request.h"

#include "http_log.h"
#include "apr_strings.h"

#include "validate/inflate.h"

APLOG_USE_MODULE(webhook);

/* @return 1, or 0 with what to refuse it with */
static int decode(wh_req *wq, wh_refusal *refusal, const char **detail)
{
    static const wh_refusal refusals[] = { /* wh_inflate_outcome */
        WH_REFUSAL_INTERNAL, WH_REFUSAL_CODING_INVALID, WH_REFUSAL_DECODED_TOO_LARGE, WH_REFUSAL_DECODED_RATIO, WH_REFUSAL_INTERNAL,
    };
    const wh_decoding *d = wq->conf->decode;
    wh_inflate_limits limits;
    wh_inflate_outcome outcome;
    int coding;

    if (wq->decoded) {
        return 1;
    }
    coding = d && d->codings && wq->body.len > 0 ? wh_coding_find(apr_table_get(wh_req_headers(wq), "Content-Encoding")) : 0;
    if (coding == 0) {
        wq->content = wq->body.data;
        wq->decoded = 1;
        return 1;
    }
    limits.size = (apr_size_t)wh_conf_decoded_limit(wq->conf);
    limits.ratio = d->ratio;
    outcome = coding > 0 && (coding & d->codings) ? wh_inflate(&wq->content, coding, wq->body.data, &limits, wq->r->pool, detail)
                                                  : WH_INFLATE_BROKEN;
    if (outcome != WH_INFLATE_DONE) {
        if (!*detail) {
            *detail = "another coding than the endpoint takes";
        }
        *refusal = refusals[outcome];
        return 0;
    }
    wq->decoded = 1;
    ap_log_rerror(APLOG_MARK, APLOG_TRACE2, 0, wq->r, "WH0312: endpoint %s: %" APR_OFF_T_FMT " bytes decoded to %" APR_SIZE_T_FMT,
                  wq->auth->name, wq->body.len, wq->content.len);
    return 1;
}

int wh_req_signed_body(wh_req *wq, webhook_slice *out)
{
    const char *detail = NULL;
    wh_refusal refusal;

    *out = wq->body.data;
    if (!wh_conf_signs_decoded(wq->conf)) {
        return OK;
    }
    if (!decode(wq, &refusal, &detail)) {
        return wh_refuse(wq, refusal, detail);
    }
    *out = wq->content;
    return OK;
}

const wh_payload *wh_req_payload_read(wh_req *wq)
{
    static const char *const kinds[] = { "opaque", "json", "form", "multipart" }; /* wh_payload_kind */
    wh_payload_source in = {0};
    wh_payload *made;

    if (wq->payload || wq->state != WH_ACCEPTED) {
        return wq->state == WH_ACCEPTED ? wq->payload : NULL;
    }
    made = apr_pcalloc(wq->r->pool, sizeof(*made));
    wq->payload = made;
    made->kind = wq->kind;
    made->content = wq->body.data;
    if (!decode(wq, &made->refusal, &made->detail)) {
        made->broken = 1;
        return made;
    }
    in.kind = wq->kind;
    in.headers = wh_req_headers(wq);
    in.content_type = apr_table_get(in.headers, "Content-Type");
    in.content = wq->content;
    in.parsed = &wq->json;
    in.field = wh_conf_payload_field(wq->conf);
    wh_payload_read(made, &in, wq->r->pool);
    ap_log_rerror(APLOG_MARK, APLOG_TRACE2, 0, wq->r, "WH0313: endpoint %s: payload read as %s%s%s", wq->auth->name, kinds[made->kind],
                  made->ce ? ", a CloudEvent" : "", made->broken ? ", broken" : "");
    return made;
}

const wh_payload *wh_req_payload(wh_req *wq)
{
    wq->payload_wanted = 1;
    return wh_req_payload_read(wq);
}

const wh_json *wh_req_json(wh_req *wq)
{
    const wh_payload *payload = wh_req_payload(wq);
    return payload ? payload->json : NULL;
}

int wh_req_payload_check(wh_req *wq)
{
    if (wq->state == WH_REFUSED) {
        return wq->status;
    }
    if (wq->payload_wanted && wq->payload && wq->payload->broken) {
        return wh_refuse(wq, wq->payload->refusal, wq->payload->detail);
    }
    return OK;
}
