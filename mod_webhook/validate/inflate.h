/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inflate.h: content codings of a request body (RFC 9110 section 8.4.1): gzip (RFC 1952, one member) and deflate (RFC 1950). What comes out
 * is bounded before anything is decoded, whatever goes in: by a size, and by a ratio to the body's own. Exactly one coded text is taken:
 * bytes behind its end, further members and preset dictionaries are refused. zlib does the work.
 */
#ifndef WH_VALIDATE_INFLATE_H
#define WH_VALIDATE_INFLATE_H

#include <apr_pools.h>
#include "webhook_provider.h"

#define WH_CODING_GZIP 0x1
#define WH_CODING_DEFLATE 0x2

/** The ratio counts beyond this much output: short texts of few different characters shrink more than any. */
#define WH_INFLATE_FLOOR 65536

/** What a Content-Encoding header names. @return a WH_CODING_ bit; 0 for NULL, "" and identity; -1 for anything else, lists included */
int wh_coding_find(const char *header);

typedef enum wh_inflate_outcome {
    WH_INFLATE_DONE = 0,
    WH_INFLATE_BROKEN,    /* no such text, cut, damaged, or something behind its end */
    WH_INFLATE_TOO_LARGE, /* more than `size` */
    WH_INFLATE_RATIO,     /* more than `ratio` times what came */
    WH_INFLATE_MEMORY
} wh_inflate_outcome;

typedef struct wh_inflate_limits {
    apr_size_t size; /* most bytes of output */
    int ratio;       /* most bytes of output for one of input, beyond WH_INFLATE_FLOOR */
} wh_inflate_limits;

/**
 * Decode. Memory in use is never more than twice the smaller limit, and what is not used is given back.
 * @param out answer; lives as long as p
 * @param detail answer, when it is not done: a constant sentence for the log
 */
wh_inflate_outcome wh_inflate(webhook_slice *out, int coding, webhook_slice in, const wh_inflate_limits *limits, apr_pool_t *p,
                              const char **detail);

#endif
