/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_reader.h: what the parts of the JSON reader share: json_read.c (documents, containers, scalars), json_string.c (strings that are
 * more than plain ASCII), json_names.c (members of one name).
 */
#ifndef WH_CORE_JSON_READER_H
#define WH_CORE_JSON_READER_H

#include <apr_pools.h>
#include <stdint.h>
#include "core/json.h"
#include "core/json_hash.h"

#define WH_JSON_NO_FRAME SIZE_MAX

/** One parse. Lives as long as wh_json_parse() runs. */
typedef struct wh_json_reader {
    const unsigned char *text, *end;
    const wh_json_limits *limits;
    const wh_json_seed *seed;
    apr_pool_t *pool;
    apr_uint64_t values_left;
    apr_uint64_t members_bytes; /* as many as one object's members may take on the stack */
    char *stack;              /* `first` of wh_json_parse(), or malloc()ed */
    char *first;
    apr_size_t top, room;
    apr_size_t frame;         /* innermost open container; WH_JSON_NO_FRAME */
    int depth;
    const char *reason;       /* of failure, with where */
    const unsigned char *where;
} wh_json_reader;

/** Always NULL, so that `return wh_json_fail(...)` ends a step. */
static inline const unsigned char *wh_json_fail(wh_json_reader *r, const char *reason, const unsigned char *where)
{
    r->reason = reason;
    r->where = where;
    return NULL;
}

/** Make room for `len` more bytes on the stack. @return 0 when there is no memory */
int wh_json_grow(wh_json_reader *r, apr_size_t len);

/** Room on top. @return NULL with the reason set when there is no memory; good until the next push */
static inline void *wh_json_push(wh_json_reader *r, apr_size_t len, const unsigned char *at)
{
    void *made;

    if (r->room - r->top < len && !wh_json_grow(r, len)) {
        wh_json_fail(r, "memory", at);
        return NULL;
    }
    made = r->stack + r->top;
    r->top += len;
    return made;
}

/** json_string.c: a string with escapes or more than ASCII in it; its text begins at `start`, the first byte that is not plain is at `at`.
 *  @return behind the closing quote, NULL with the reason set */
const unsigned char *wh_json_read_long(wh_json_reader *r, const unsigned char *start, const unsigned char *at, const char **text,
                                       apr_uint32_t *len, unsigned char *nul);

/** json_names.c: refuse or drop members of one name. The members are the last thing on the stack, from `base`.
 *  @param n how many; less when some were dropped. @return 0 when refused */
int wh_json_settle_names(wh_json_reader *r, apr_size_t base, apr_size_t *n);

#endif
