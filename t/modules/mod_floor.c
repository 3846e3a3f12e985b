/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_floor.c: the floor of the benchmark: a handler that reads the request's body as handlers do and answers 204. What any module
 * that looks at a body costs at least.
 */
#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"

static int floor_handler(request_rec *r)
{
    apr_bucket_brigade *bb;
    int eos = 0;

    if (!r->handler || strcmp(r->handler, "floor") != 0) {
        return DECLINED;
    }
    bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    while (!eos) {
        apr_bucket *b;
        apr_status_t rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ, HUGE_STRING_LEN);
        if (rv != APR_SUCCESS) {
            return ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
        }
        for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
            const char *data;
            apr_size_t len;
            if (APR_BUCKET_IS_EOS(b)) {
                eos = 1;
            }
            else if (!APR_BUCKET_IS_METADATA(b) && apr_bucket_read(b, &data, &len, APR_BLOCK_READ) != APR_SUCCESS) {
                return HTTP_BAD_REQUEST;
            }
        }
        apr_brigade_cleanup(bb);
    }
    r->status = HTTP_NO_CONTENT;
    return OK;
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_handler(floor_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(floor) = {
    STANDARD20_MODULE_STUFF,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    register_hooks,
#if defined(AP_MODULE_FLAG_NONE)
    AP_MODULE_FLAG_NONE
#endif
};
