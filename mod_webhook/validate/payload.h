/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h: what the body of a verified request means: JSON, the fields of a form, the parts of a multipart body, a CloudEvent, or bytes
 * that mean nothing to us. Read once, and only when something needs it.
 *
 * Where two readers of one body could see different things, it is refused: a name that occurs twice among the fields of a form, or among
 * the text fields of a multipart body, unless it ends in [] (PHP's and Rails' way to write a list); files may share a name.
 */
#ifndef WH_VALIDATE_PAYLOAD_H
#define WH_VALIDATE_PAYLOAD_H

#include <apr_pools.h>
#include <apr_tables.h>
#include "core/form.h"
#include "core/json.h"
#include "core/multipart.h"
#include "core/reasons.h"
#include "validate/cloudevents.h"
#include "webhook_provider.h"

typedef enum wh_payload_kind { WH_PAYLOAD_OPAQUE = 0, WH_PAYLOAD_JSON, WH_PAYLOAD_FORM, WH_PAYLOAD_MULTIPART } wh_payload_kind;

/** What is known of the request before its body is looked at. Everything must outlive the payload. */
typedef struct wh_payload_source {
    wh_payload_kind kind;       /* how the endpoint reads this media type (wh_media_find) */
    const char *content_type;   /* value of the header, NULL if none */
    const apr_table_t *headers; /* for CloudEvents in binary mode; NULL: never one */
    webhook_slice content;      /* the body, its content coding removed */
    wh_json_once *parsed;       /* the content parsed, by whoever wanted it first; NULL: nobody else does */
    const char *field;          /* name of the form or multipart field that holds the JSON; NULL or "": none */
} wh_payload_source;

/**
 * A payload. Read-only; lives in the pool it was read into and refers to the body. With `broken` set nothing but kind and content is
 * filled in.
 */
typedef struct wh_payload {
    wh_payload_kind kind;
    webhook_slice content;            /* the body after content decoding */
    const wh_json *json;              /* a JSON body; the JSON in a form's or multipart body's field; the data of a CloudEvent (of a batch:
                                         the whole array); NULL: there is none */
    const wh_form *form;              /* FORM; else NULL */
    const apr_array_header_t *parts;  /* MULTIPART: wh_multipart_part; else NULL */
    const wh_cloudevent *ce;          /* a CloudEvent in any mode (the first of a batch); NULL */
    const apr_array_header_t *events; /* wh_cloudevent *, all of them; NULL when it is none */
    int broken;                       /* it is not what its type says: */
    wh_refusal refusal;               /* which refusal that is, */
    const char *detail;               /* and a sentence for the log without anything of the payload but names */
} wh_payload;

/** Read a body. Never fails otherwise than by `broken`. An empty body has no JSON and no fields, and is not broken. */
void wh_payload_read(wh_payload *out, const wh_payload_source *in, apr_pool_t *p);

/**
 * A field of a form or a multipart body as text, for rules and templates: of a file `name#filename`, `name#type`, `name#size` (bytes) and
 * `name#sha256` (hexadecimal), unless a field has that very name. NULL when it is not there, occurs more than once, holds a NUL, or is a
 * file asked for by its bare name. A copy in p.
 */
const char *wh_payload_field(const wh_payload *payload, const char *name, apr_pool_t *p);

#endif
