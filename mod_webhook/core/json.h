/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h: the one seam between this module and any JSON library. Nothing outside core/json*.c knows which reader is behind it (jansson: json_read.c).
 *
 * Reading: a document is parsed once, strictly (RFC 8259, UTF-8, no duplicate names, no NUL, depth and size bounded), and lives in a
 * pool. Writing: an append-only buffer; output is always valid UTF-8 JSON on one line.
 */
#ifndef WH_CORE_JSON_H
#define WH_CORE_JSON_H

#include <apr_pools.h>
#include <apr_tables.h>
#include "webhook_provider.h"

typedef struct wh_json wh_json;             /* a parsed document */
typedef struct wh_json_value wh_json_value; /* a value inside one */

typedef enum wh_json_type {
    WH_JSON_NULL, WH_JSON_FALSE, WH_JSON_TRUE, WH_JSON_NUMBER, WH_JSON_STRING, WH_JSON_ARRAY, WH_JSON_OBJECT
} wh_json_type;

typedef struct wh_json_error {
    const char *reason; /* "syntax", "utf8", "nul", "duplicate-name", "depth" (beyond 64), "values" (beyond 1048576), "number" (whole
                         * numbers beyond 64 bits, exponents beyond double), "memory" */
    apr_size_t offset;  /* byte offset where it was noticed */
} wh_json_error;

/** Parse. The document (freed with p) may refer to `text`, which must outlive it. @return APR_EINVAL with `err` filled */
apr_status_t wh_json_parse(wh_json **out, webhook_slice text, apr_pool_t *p, wh_json_error *err);
const wh_json_value *wh_json_root(const wh_json *doc);

/* All of these take a NULL value as an absent one. */
wh_json_type wh_json_typeof(const wh_json_value *v); /* NULL value: WH_JSON_NULL */
/** String bytes (may hold any UTF-8 but NUL); {NULL,0} for other types. */
webhook_slice wh_json_string(const wh_json_value *v);
/** Number as its text ("1.50" stays "1.50"; only "-0" is read as "0"); NULL for other types. */
const char *wh_json_number(const wh_json_value *v, apr_pool_t *p);
const wh_json_value *wh_json_get(const wh_json_value *object, const char *name); /* NULL if absent or no object */
const wh_json_value *wh_json_at(const wh_json_value *array, apr_size_t index);
apr_size_t wh_json_size(const wh_json_value *v); /* members or elements */
/** Walk an object's members in the order received. Start with *iter NULL. @return the member with *name set, NULL at the end */
const wh_json_value *wh_json_next(const wh_json_value *object, void **iter, const char **name);

/** A compiled JSON Pointer (RFC 6901). */
typedef struct wh_json_pointer wh_json_pointer;
/** @return NULL or an error text ("must begin with '/'", "~ must be followed by 0 or 1") */
const char *wh_json_pointer_compile(wh_json_pointer **out, const char *text, apr_pool_t *p);
const wh_json_value *wh_json_pointer_get(const wh_json *doc, const wh_json_pointer *ptr);

/** Scalar as text (a copy in p) for rules: string as is, number as written, true/false as words; NULL for null, arrays, objects,
 *  missing. */
const char *wh_json_text(const wh_json_value *v, apr_pool_t *p);

/* ---- writing ---- */

/** Growing text in a pool; `max` 0 means no limit, else appending past it sets `overflow` and drops the rest. */
typedef struct wh_buf {
    apr_pool_t *pool;
    char *data;      /* NUL-terminated after every call */
    apr_size_t len, room, max; /* max counts without the NUL; set it after wh_buf_init */
    int overflow;
} wh_buf;

void wh_buf_init(wh_buf *b, apr_pool_t *p, apr_size_t room);
/** Make room for `len` more bytes at once, where the caller knows how much will come. Does not look at `max`. */
void wh_buf_reserve(wh_buf *b, apr_size_t len);
void wh_buf_add(wh_buf *b, const char *data, apr_size_t len);
void wh_buf_adds(wh_buf *b, const char *text);
void wh_buf_addf(wh_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** A JSON string with quotes; bytes that are not UTF-8 are read as ISO-8859-1; <, >, & and U+2028/9 are escaped too so that the text
 *  is harmless inside HTML. */
void wh_json_put_string(wh_buf *b, const char *data, apr_size_t len);
/** `"name":` with a leading comma unless the last byte is `{` or `[`. */
void wh_json_put_name(wh_buf *b, const char *name);
/** `"name":"value"`; with value NULL nothing is written. */
void wh_json_put_member(wh_buf *b, const char *name, const char *value);
void wh_json_put_member_int(wh_buf *b, const char *name, apr_int64_t value);
void wh_json_put_member_bool(wh_buf *b, const char *name, int value);
void wh_json_put_member_time(wh_buf *b, const char *name, apr_time_t t);

#endif
