/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate.c: WebhookValidate at request time. A verified request whose payload is not what the endpoint demands is refused before rules,
 * store or a gated application see it; a line with `report` only says so, in the error log, the delivery log and the counters.
 */
#include "httpd/request.h"

#include "http_log.h"
#include "apr_strings.h"

#include <string.h>

#include "validate/media.h"
#include "validate/schema.h"

APLOG_USE_MODULE(webhook);

/* Pointers hold names that the sender chose. */
#define MAX_POINTER 512

static const wh_validation *line_of(const apr_array_header_t *lines, const char *event)
{
    const wh_validation *found = NULL;
    int i;

    for (i = 0; i < lines->nelts; i++) {
        const wh_validation *v = APR_ARRAY_IDX(lines, i, const wh_validation *);
        if (!v->event) {
            found = found ? found : v;
        }
        else if (event && !strcmp(v->event, event)) {
            return v;
        }
    }
    return found;
}

/* For an event without a line of its own, where there is none for the others: it must be JSON, and that is only reported where all is. */
static int reports_only(const apr_array_header_t *lines)
{
    int i;

    for (i = 0; i < lines->nelts; i++) {
        if (!APR_ARRAY_IDX(lines, i, const wh_validation *)->report) {
            return 0;
        }
    }
    return 1;
}

/* Refuse, or let pass with a note. */
static int fail(wh_req *wq, int report, wh_refusal refusal, const char *detail)
{
    if (!report) {
        return wh_refuse(wq, refusal, detail);
    }
    if (!wq->invalid) {
        wq->invalid = apr_pstrcat(wq->r->pool, wh_refusal_table[refusal].code, detail ? " " : "", detail, NULL);
        WH_COUNT(wq->count, invalid, 1);
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, wq->r, "WH0310: not valid, reported only: endpoint=%s id=%s %s", wq->auth->name, wq->id,
                      wq->invalid);
    }
    return OK;
}

/* What the documents of one payload share: the bounds, and how much is said about them. */
typedef struct judging {
    wh_schema_spent spent;
    int told;          /* errors in the log */
    const char *place; /* of the document in the payload; NULL: it is the payload */
} judging;

static const char *short_pointer(const char *pointer, apr_pool_t *p)
{
    return strlen(pointer) <= MAX_POINTER ? pointer : apr_pstrcat(p, apr_pstrmemdup(p, pointer, MAX_POINTER), "...", NULL);
}

static const char *place_of(const judging *j, const wh_schema_error *e, apr_pool_t *p)
{
    return short_pointer(j->place ? apr_pstrcat(p, j->place, e->instance + 1, NULL) : e->instance, p);
}

static int against_schema(wh_req *wq, const wh_validation *line, const wh_json *doc, judging *j)
{
    request_rec *r = wq->r;
    wh_schema_result result, *res = &result;
    const char *pointer = NULL, *keyword = NULL;
    int i, refusal;

    if (wh_schema_validate_part(line->schema, doc, &j->spent, res, r->pool) == WH_SCHEMA_VALID) {
        return OK;
    }
    for (i = 0; i < res->count && j->told < WH_SCHEMA_MAX_ERRORS; i++, j->told++) {
        const wh_schema_error *e = &res->errors[i];
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "WH0311: endpoint %s id=%s: %s %s (%s)%s", wq->auth->name, wq->id, place_of(j, e, r->pool),
                      e->keyword, e->schema, res->more && i + 1 == res->count ? "; there are more" : "");
    }
    if (res->count > 0) {
        pointer = place_of(j, &res->errors[0], r->pool);
        keyword = res->errors[0].keyword;
    }
    if (res->verdict == WH_SCHEMA_INVALID) {
        if (!line->report) {
            wq->pointer = pointer;
            wq->keyword = keyword;
        }
        return fail(wq, line->report, WH_REFUSAL_SCHEMA_INVALID, pointer ? apr_pstrcat(r->pool, pointer, " ", keyword, NULL) : NULL);
    }
    refusal = wh_refusal_find(res->reason);
    return fail(wq, line->report, refusal < 0 ? WH_REFUSAL_SCHEMA_BUDGET : (wh_refusal)refusal,
                pointer ? apr_pstrcat(r->pool, "at ", pointer, NULL) : NULL);
}

static int one(wh_req *wq, const char *event, const wh_json *doc, judging *j)
{
    const apr_array_header_t *lines = wq->conf->validate;
    const wh_validation *line = line_of(lines, event);

    if (!doc) {
        return fail(wq, line ? line->report : reports_only(lines), WH_REFUSAL_JSON_INVALID,
                    j->place ? apr_pstrcat(wq->r->pool, "there is no JSON at ", j->place, NULL) : "there is no JSON in it");
    }
    return line && line->schema ? against_schema(wq, line, doc, j) : OK;
}

int wh_req_validate(wh_req *wq)
{
    const wh_payload *payload;
    const char *event = wq->verdict.event;
    const wh_validation *line;
    judging j;
    int i, rc;

    if (wq->state != WH_ACCEPTED || wq->validated == wq->conf->validate) {
        return wq->state == WH_REFUSED ? wq->status : OK;
    }
    wq->validated = wq->conf->validate;
    if (!wq->conf->validate || wq->conf->validate->nelts == 0) {
        return OK;
    }
    payload = wh_req_payload_read(wq);
    if (!event && payload->ce) {
        event = payload->ce->type;
    }
    if (payload->broken) {
        line = line_of(wq->conf->validate, event);
        return fail(wq, line ? line->report : reports_only(wq->conf->validate), payload->refusal, payload->detail);
    }
    memset(&j, 0, sizeof(j));
    /* Of a batch each event for itself, within bounds for all of them: there may be thousands. */
    if (payload->events && wh_media_is(apr_table_get(wh_req_headers(wq), "Content-Type"), WH_CE_BATCH_TYPE)) {
        for (i = 0; i < payload->events->nelts; i++) {
            const wh_cloudevent *ce = APR_ARRAY_IDX(payload->events, i, const wh_cloudevent *);
            j.place = apr_psprintf(wq->r->pool, "#/%d/data", i);
            if ((rc = one(wq, ce->type, ce->json, &j)) != OK) {
                return rc;
            }
        }
        return OK;
    }
    return one(wq, event, payload->json, &j);
}
