/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: the first byte picks the scheme; the first field is the token; the rest is the body. */
#include "verify_fuzz.h"

static fuzz_scheme schemes[] = {
    { .name = "netlify", .key = "fuzz secret" }, { .name = "livekit", .key = "fuzz secret", .key_id = "APIx1" },
    { .name = "messagebird", .key = "fuzz secret" }, { .name = "monday", .key = "fuzz secret" }, { .name = "qstash", .key = "fuzz secret" },
    { .name = "atlassian-connect", .key = "fuzz secret" },
    { .name = "plaid", .key = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k1\",\"x\":\"4wL2uqi2miwp1VCjrXn37jcMDlauzVaFnE8e6st9Mss\",\"y\":\"CLHj9rDSdts3prmyYH83z8ADYLRqxB9WnYdTIAa5JDA\"}" },
};
static const char *const headers[] = { "X-Webhook-Signature", "Authorization", "MessageBird-Signature-JWT", "Authorization", "Upstash-Signature",
                                       "Authorization", "Plaid-Verification" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    webhook_request req;
    apr_table_t *t;
    apr_pool_t *p;
    size_t which;

    if (size == 0) return 0;
    which = data[0] % (sizeof(schemes) / sizeof(schemes[0]));
    data++, size--;
    fuzz_configure(&schemes[which]);
    apr_pool_create(&p, fuzz_pool());
    memset(&req, 0, sizeof(req));
    t = apr_table_make(p, 2);
    apr_table_addn(t, headers[which], fuzz_field(&data, &size, p));
    req.headers = t;
    req.body.data = (const char *)data;
    req.body.len = size;
    fuzz_run(&schemes[which], &req, 0, p);
    apr_pool_destroy(p);
    return 0;
}
