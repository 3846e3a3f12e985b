/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content codings: the first byte chooses coding and limits; the rest is decoded, or is the text that is coded and decoded again. Nothing
 * that comes out is larger than the limits allow; with a byte more behind it or one less nothing comes out.
 */
#define ZLIB_CONST
#include <zlib.h>
#include "validate/inflate.h"
#include "verify_fuzz.h"

static webhook_slice coded(const uint8_t *data, size_t size, int coding, apr_pool_t *p)
{
    webhook_slice out = { NULL, 0 };
    unsigned char *bytes;
    z_stream z;

    memset(&z, 0, sizeof(z));
    check(deflateInit2(&z, 1, Z_DEFLATED, coding == WH_CODING_GZIP ? 31 : 15, 1, Z_DEFAULT_STRATEGY) == Z_OK);
    out.len = deflateBound(&z, size) + 32;
    bytes = apr_palloc(p, out.len + 1);
    z.next_in = data;
    z.avail_in = (uInt)size;
    z.next_out = bytes;
    z.avail_out = (uInt)out.len;
    check(deflate(&z, Z_FINISH) == Z_STREAM_END);
    bytes[z.total_out] = 0;
    out.data = (const char *)bytes;
    out.len = z.total_out;
    deflateEnd(&z);
    return out;
}

static void decode(const uint8_t *data, size_t size, int coding, const wh_inflate_limits *limits, apr_pool_t *p)
{
    webhook_slice in = { (const char *)data, size }, out = { NULL, 0 };
    const char *detail = NULL;

    if (wh_inflate(&out, coding, in, limits, p, &detail) == WH_INFLATE_DONE) {
        check(out.len <= limits->size && (out.len <= WH_INFLATE_FLOOR || out.len <= size * (apr_size_t)limits->ratio));
    } else {
        check(detail && !out.data);
    }
}

static void there_and_back(const uint8_t *data, size_t size, int coding, apr_pool_t *p)
{
    webhook_slice in = coded(data, size, coding, p), out = { NULL, 0 };
    wh_inflate_limits limits = { size, 1000 };
    const char *detail = NULL;

    check(wh_inflate(&out, coding, in, &limits, p, &detail) == WH_INFLATE_DONE && out.len == size);
    check(size == 0 || memcmp(out.data, data, size) == 0);
    in.len++;
    check(wh_inflate(&out, coding, in, &limits, p, &detail) == WH_INFLATE_BROKEN);
    in.len -= 2;
    check(wh_inflate(&out, coding, in, &limits, p, &detail) == WH_INFLATE_BROKEN);
    if (size) {
        in.len++;
        limits.size = size - 1;
        check(wh_inflate(&out, coding, in, &limits, p, &detail) == WH_INFLATE_TOO_LARGE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wh_inflate_limits limits = { 1 << 18, 100 };
    apr_pool_t *p;
    int how = size ? *data : 0, coding = how & 1 ? WH_CODING_DEFLATE : WH_CODING_GZIP;

    apr_pool_create(&p, fuzz_pool());
    if (size) {
        data++;
        size--;
    }
    if (how & 2) limits.size = 64;
    if (how & 4) limits.ratio = 1;
    if (how & 8) there_and_back(data, size, coding, p);
    else decode(data, size, coding, &limits, p);
    apr_pool_destroy(p);
    return 0;
}
