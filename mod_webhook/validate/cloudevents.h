/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloudevents.h: CloudEvents 1.0 in the three content modes of the HTTP protocol binding (CloudEvents HTTP Protocol Binding 1.0.2, JSON
 * Event Format 1.0.2): structured (application/cloudevents+json), batched (application/cloudevents-batch+json), and binary (ce-* headers
 * beside the data). The required attributes must be there and be what the specification says; extensions are attributes like others.
 */
#ifndef WH_VALIDATE_CLOUDEVENTS_H
#define WH_VALIDATE_CLOUDEVENTS_H

#include <apr_pools.h>
#include <apr_tables.h>
#include "core/json.h"

#define WH_CE_TYPE "application/cloudevents+json"
#define WH_CE_BATCH_TYPE "application/cloudevents-batch+json"
/** Most events of one batch. */
#define WH_CE_MAX_EVENTS 10000

typedef struct wh_ce_attribute {
    const char *name;  /* lower case */
    const char *value; /* UTF-8 without control characters */
} wh_ce_attribute;

/** One event. Lives in the pool it was read into, refers to the body and the headers. */
typedef struct wh_cloudevent {
    const char *id, *source, *type;       /* never NULL */
    apr_array_header_t *attributes;       /* wh_ce_attribute, all, specversion and the three above among them */
    const wh_json *json;                  /* its data as JSON; NULL when there is none or it is something else */
    webhook_slice data;                   /* its data: the body (binary), decoded (data_base64), or the bytes of the member `data` */
} wh_cloudevent;

/** An attribute by name ("type", "subject", "datacontenttype", an extension's); NULL if it is not there. */
const char *wh_cloudevent_get(const wh_cloudevent *ce, const char *name);

/** Whether these headers make a request an event in binary mode: ce-specversion, and a media type that is not CloudEvents' own. */
int wh_cloudevent_is_binary(const apr_table_t *headers, const char *content_type);

/**
 * Read an event in binary mode.
 * @param json the body parsed, or NULL
 * @return NULL, or what is wrong with it (constant or from p, nothing of the payload but names)
 */
const char *wh_cloudevent_binary(wh_cloudevent **out, const apr_table_t *headers, const char *content_type, webhook_slice body,
                                 const wh_json *json, apr_pool_t *p);

/** Read an event in structured mode, or all of a batch (appends wh_cloudevent * to `events`). Return value as above. */
const char *wh_cloudevent_structured(apr_array_header_t *events, const wh_json *doc, apr_pool_t *p);
const char *wh_cloudevent_batch(apr_array_header_t *events, const wh_json *doc, apr_pool_t *p);

#endif
