/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h: the one seam between this module and JSON.
 *
 * Reading: a document is parsed once into values that lie in a pool and point into the text they came from: strings without escapes and
 * numbers are slices of the text, nothing is converted. RFC 8259, UTF-8; what is refused beyond that is a matter of wh_json_limits.
 * jansson is the oracle of the tests. Writing: an append-only buffer; output is always valid UTF-8 JSON on one line.
 */
#ifndef WH_CORE_JSON_H
#define WH_CORE_JSON_H

#include <apr_hash.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include "webhook_provider.h"

typedef enum wh_json_type {
    WH_JSON_NULL, WH_JSON_FALSE, WH_JSON_TRUE, WH_JSON_NUMBER, WH_JSON_STRING, WH_JSON_ARRAY, WH_JSON_OBJECT
} wh_json_type;

typedef struct wh_json_member wh_json_member;

/**
 * A value. Read-only once parsed, any thread. The members are public because the schema validator walks millions of them; everybody else
 * uses the functions below.
 */
typedef struct wh_json_value {
    unsigned char type;    /* wh_json_type */
    unsigned char integer; /* number: 1 when its text has neither '.', 'e' nor 'E' */
    unsigned char nul;     /* string: 1 when it holds U+0000 (only with WH_JSON_NULS) */
    apr_uint32_t size;     /* string: bytes; number: bytes of its text; array: elements; object: members */
    apr_uint32_t start;    /* byte offset in the text where the value begins */
    apr_uint32_t end;      /* ... and the one behind its last byte: the source of a whole subtree is text[start, end) */
    union {
        const char *text;                    /* string: its UTF-8 bytes, NOT NUL-terminated; number: its text, likewise */
        const struct wh_json_value *items;   /* array: `size` values in a row */
        const wh_json_member *members;       /* object: `size` members in a row, in the order received */
    } u;
} wh_json_value;

struct wh_json_member {
    const char *name;      /* UTF-8, NOT NUL-terminated */
    apr_uint32_t name_len;
    apr_uint32_t hash;     /* wh_json_hash(name, name_len) */
    wh_json_value value;
};

/** A parsed document. */
typedef struct wh_json {
    wh_json_value root;
    webhook_slice text; /* what was parsed; must outlive the document */
} wh_json;

typedef struct wh_json_error {
    const char *reason; /* "syntax", "utf8", "bom", "nul", "surrogate", "duplicate-name", "depth", "values", "members", "name-length",
                         * "size" (4 GiB and more), "memory". Static. */
    apr_size_t offset;  /* byte offset where it was noticed: the text's length when it ends too early, the later of two equal names */
} wh_json_error;

#define WH_JSON_NULS 1       /* U+0000 in strings and names is allowed */
#define WH_JSON_DUPLICATES 2 /* of members of one name the last counts: the others are removed */
#define WH_JSON_SURROGATES 4 /* a lone surrogate escape is allowed and kept as its three bytes (generalized UTF-8) */

typedef struct wh_json_limits {
    int depth;                /* containers inside each other */
    apr_uint32_t values;      /* of all kinds, in a document of up to 1 MiB; as many more for every further MiB begun */
    apr_uint32_t members;     /* of one object */
    apr_uint32_t name_len;    /* bytes of a member's name */
    unsigned allow;           /* WH_JSON_* bits */
} wh_json_limits;

/** What a request's body is held to: depth 64, 100,000 values and as many more for every further MiB, 10,000 members an object, names of
 *  1,024 bytes, nothing allowed. */
extern const wh_json_limits wh_json_strict;
/** What a sender's JSON is held to where nobody asks for more than that it is some (a body that is passed on, JSON inside a string):
 *  everything allowed, depth 1,024, and as many values as in a request's body. */
extern const wh_json_limits wh_json_lenient;
/** Plain RFC 8259, for files of the operator and our own texts: everything allowed, depth 1,024, no other bounds. */
extern const wh_json_limits wh_json_plain;

/**
 * Parse. The document is allocated from p and refers to `text`, which must outlive it. Memory is bounded by the limits, whatever the shape.
 * @param limits NULL: wh_json_strict
 * @return APR_EINVAL (APR_ENOMEM with "memory") with `err` filled
 */
apr_status_t wh_json_parse(wh_json **out, webhook_slice text, const wh_json_limits *limits, apr_pool_t *p, wh_json_error *err);
const wh_json_value *wh_json_root(const wh_json *doc);

/** A text that several may want parsed, parsed once; all zero at first. Not for several threads at once. */
typedef struct wh_json_once {
    int tried;
    webhook_slice text; /* which, by its place in memory */
    wh_json *doc;       /* NULL: it is not JSON as wh_json_strict has it, see error */
    wh_json_error error;
} wh_json_once;
/** Whether a media type says JSON, parameters aside: any whose subtype is json or ends in +json (CloudEvents JSON format 1.0.2, section 3.1).
 *  @param type value of a Content-Type header; NULL: no */
int wh_json_is_type(const char *type);

/** The document of `text`, parsed (wh_json_strict) unless `once` has it. @param p lives as long as `once`. @return NULL, and once->error */
const wh_json *wh_json_get_once(wh_json_once *once, webhook_slice text, apr_pool_t *p);

/** Hash of a member's name, seeded once per process at random (a forked child keeps its parent's seed). */
apr_uint32_t wh_json_hash(const char *name, apr_size_t len);

/** The same as an apr_hashfunc_t, for apr_hash_make_custom(): APR's own hash can be made to meet by whoever chooses the keys. */
unsigned int wh_json_hash_key(const char *key, apr_ssize_t *len);

/* All of these take a NULL value as an absent one. */
wh_json_type wh_json_typeof(const wh_json_value *v); /* NULL value: WH_JSON_NULL */
/** String bytes; {NULL,0} for other types. Not NUL-terminated. */
webhook_slice wh_json_string(const wh_json_value *v);
/** Number as its text, exactly ("1.50", "-0", "1e400"), NUL-terminated in p; NULL for other types. */
const char *wh_json_number(const wh_json_value *v, apr_pool_t *p);
/** Whole numbers within 64 bits, as written without fraction and exponent. @return 0 when it is none */
int wh_json_int(const wh_json_value *v, apr_int64_t *out);
const wh_json_value *wh_json_get(const wh_json_value *object, const char *name); /* NULL if absent or no object */
const wh_json_value *wh_json_member_get(const wh_json_value *object, const char *name, apr_size_t len, apr_uint32_t hash);
const wh_json_value *wh_json_at(const wh_json_value *array, apr_size_t index);
apr_size_t wh_json_size(const wh_json_value *v); /* members or elements */
/** The source of a value, as received: exact numbers, order, blanks. */
webhook_slice wh_json_source(const wh_json *doc, const wh_json_value *v);

/** A compiled JSON Pointer (RFC 6901). */
typedef struct wh_json_pointer wh_json_pointer;
/** @return NULL or an error text ("must begin with '/'", "~ must be followed by 0 or 1") */
const char *wh_json_pointer_compile(wh_json_pointer **out, const char *text, apr_pool_t *p);
const wh_json_value *wh_json_pointer_get(const wh_json *doc, const wh_json_pointer *ptr);
/** As compile, but a segment `*` stands for every element of an array or every member of an object; at most 4 of them. */
const char *wh_json_pointer_compile_list(wh_json_pointer **out, const char *text, apr_pool_t *p);
/** Append every value the pointer reaches (const wh_json_value *), in document order, to `found`, at most `max` more.
 *  @return 0 when there would have been more */
int wh_json_pointer_list(const wh_json *doc, const wh_json_pointer *ptr, apr_array_header_t *found, int max);

/** Scalar as text (a copy in p) for rules: string as is ("" when it holds a NUL), number as written, true/false as words; NULL for null,
 *  arrays, objects, missing. */
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
