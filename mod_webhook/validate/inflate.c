/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.c: see inflate.h. */
#include "validate/inflate.h"

#include <apr_cstr.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#define FIRST_ROOM 16384
#define WINDOW 15
#define GZIP_ONLY 16 /* added to the window: zlib wants gzip's header and trailer */

int wh_coding_find(const char *header)
{
    if (!header || !*header || apr_cstr_casecmp(header, "identity") == 0) return 0;
    /* RFC 9110 section 8.4.1.3: a recipient takes x-gzip for gzip */
    if (apr_cstr_casecmp(header, "gzip") == 0 || apr_cstr_casecmp(header, "x-gzip") == 0) return WH_CODING_GZIP;
    if (apr_cstr_casecmp(header, "deflate") == 0) return WH_CODING_DEFLATE;
    return -1;
}

/* Outside of pools, which could only grow by copies that stay. */
typedef struct room {
    char *data;
    apr_size_t len, size, max;
} room;

static apr_status_t free_room(void *data)
{
    room *r = data;

    free(r->data);
    r->data = NULL;
    return APR_SUCCESS;
}

static int resize(room *r, apr_size_t size)
{
    char *data = realloc(r->data, size ? size : 1);

    if (!data) return 0;
    r->data = data;
    r->size = size;
    return 1;
}

static int grow(room *r)
{
    apr_size_t size = r->size > r->max / 2 ? r->max : 2 * r->size;

    if (r->size == 0) size = r->max < FIRST_ROOM ? r->max : FIRST_ROOM;
    return resize(r, size);
}

/* One byte more than is allowed is room to see that there is more. */
static apr_size_t bound(webhook_slice in, const wh_inflate_limits *limits, int *by_ratio)
{
    apr_size_t ratio = (apr_size_t)(limits->ratio > 0 ? limits->ratio : 1);
    apr_size_t most = in.len > (apr_size_t)-1 / ratio ? (apr_size_t)-1 : in.len * ratio;

    if (most < WH_INFLATE_FLOOR) most = WH_INFLATE_FLOOR;
    *by_ratio = most < limits->size;
    return *by_ratio ? most : limits->size;
}

static wh_inflate_outcome run(z_stream *z, room *r, webhook_slice in, int by_ratio, const char **detail)
{
    apr_size_t taken = 0;
    int rc = Z_OK;

    while (rc != Z_STREAM_END) {
        uInt in_now, out_now;

        if (r->len == r->max) {
            *detail = by_ratio ? "it expands to more than the ratio allows" : "it expands to more than the limit";
            return by_ratio ? WH_INFLATE_RATIO : WH_INFLATE_TOO_LARGE;
        }
        if (r->len == r->size && !grow(r)) {
            *detail = "no memory for the decoded body";
            return WH_INFLATE_MEMORY;
        }
        in_now = in.len - taken > (1u << 30) ? 1u << 30 : (uInt)(in.len - taken);
        out_now = r->size - r->len > (1u << 30) ? 1u << 30 : (uInt)(r->size - r->len);
        z->next_in = (const Bytef *)in.data + taken;
        z->avail_in = in_now;
        z->next_out = (Bytef *)r->data + r->len;
        z->avail_out = out_now;
        rc = inflate(z, Z_NO_FLUSH);
        taken += in_now - z->avail_in;
        r->len += out_now - z->avail_out;
        if (rc == Z_MEM_ERROR) {
            *detail = "no memory to decode the body";
            return WH_INFLATE_MEMORY;
        }
        if (rc == Z_BUF_ERROR || (rc == Z_OK && taken == in.len && z->avail_out > 0)) {
            *detail = "it ends early";
            return WH_INFLATE_BROKEN;
        }
        if (rc != Z_OK && rc != Z_STREAM_END) {
            *detail = rc == Z_NEED_DICT ? "it needs a dictionary" : "it is damaged, or no text of that coding";
            return WH_INFLATE_BROKEN;
        }
    }
    /* a byte that was only room to notice it */
    if (r->len == r->max) {
        *detail = by_ratio ? "it expands to more than the ratio allows" : "it expands to more than the limit";
        return by_ratio ? WH_INFLATE_RATIO : WH_INFLATE_TOO_LARGE;
    }
    if (taken != in.len) {
        *detail = "there is something behind its end";
        return WH_INFLATE_BROKEN;
    }
    return WH_INFLATE_DONE;
}

wh_inflate_outcome wh_inflate(webhook_slice *out, int coding, webhook_slice in, const wh_inflate_limits *limits, apr_pool_t *p,
                              const char **detail)
{
    room *r = apr_pcalloc(p, sizeof(*r));
    wh_inflate_outcome outcome;
    int by_ratio;
    z_stream z;

    r->max = bound(in, limits, &by_ratio) + 1;
    apr_pool_cleanup_register(p, r, free_room, apr_pool_cleanup_null);
    memset(&z, 0, sizeof(z));
    if (inflateInit2(&z, coding == WH_CODING_GZIP ? WINDOW + GZIP_ONLY : WINDOW) != Z_OK) {
        *detail = "no memory to decode the body";
        return WH_INFLATE_MEMORY;
    }
    outcome = run(&z, r, in, by_ratio, detail);
    inflateEnd(&z);
    if (outcome != WH_INFLATE_DONE) {
        free_room(r);
        return outcome;
    }
    if (r->len < r->size / 2) (void)resize(r, r->len);
    out->data = r->data;
    out->len = r->len;
    return WH_INFLATE_DONE;
}
