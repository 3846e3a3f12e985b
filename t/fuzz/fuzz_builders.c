/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical forms: the first byte picks the scheme; fields are the URI and a header's value; the rest is the body. */
#include "verify_fuzz.h"

static fuzz_scheme schemes[] = {
    { .name = "twilio-form", .key = "fuzz secret" }, { .name = "plivo-v3", .key = "fuzz secret" }, { .name = "contentful", .key = "fuzz secret" },
    { .name = "gitea-form", .key = "fuzz secret" }, { .name = "dropbox-sign", .key = "fuzz secret" }, { .name = "mailgun", .key = "fuzz secret" },
    { .name = "adyen-payments", .key = "6C17F86FC9DDBB05BCBC1329BF70E0DB" }, { .name = "twilio-json", .key = "fuzz secret" },
    { .name = "hmac", .key = "fuzz secret", .options = { "header=X-Sig", "template={atlassian}{crc32}{path}{host}{query-string?}" } },
    { .name = "hmac", .key = "fuzz secret", .options = { "header=X-Sig", "template={sns}" } },
    { .name = "mercadopago", .key = "fuzz secret" },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    webhook_request req;
    apr_table_t *t;
    apr_pool_t *p;
    const char *value;
    size_t which;

    if (size == 0) return 0;
    which = data[0] % (sizeof(schemes) / sizeof(schemes[0]));
    data++, size--;
    fuzz_configure(&schemes[which]);
    apr_pool_create(&p, fuzz_pool());
    memset(&req, 0, sizeof(req));
    req.uri = apr_pstrcat(p, "/", fuzz_field(&data, &size, p), NULL);
    value = fuzz_field(&data, &size, p);
    t = apr_table_make(p, 12);
    apr_table_addn(t, "X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    apr_table_addn(t, "X-Plivo-Signature-V3", "gYyPR5AANj8OOoRkbPblAEYkZGkM95OOgTHpEfaDqqY=");
    apr_table_addn(t, "X-Plivo-Signature-V3-Nonce", value);
    apr_table_addn(t, "x-contentful-signature", "6d33901bf195eaf73cc0f4f948519a0bfdf0c58ee67822e4b26bbec13e23025f");
    apr_table_addn(t, "x-contentful-signed-headers", value);
    apr_table_addn(t, "x-contentful-timestamp", "1796000000000");
    apr_table_addn(t, "X-Gitea-Signature", "59df0fcb65ee33456dec4e4e45082d2dfbed40c39c77924838fe28b115bced4e");
    apr_table_addn(t, "X-Sig", "59df0fcb65ee33456dec4e4e45082d2dfbed40c39c77924838fe28b115bced4e");
    apr_table_addn(t, "x-signature", "ts=1796000000,v1=59df0fcb65ee33456dec4e4e45082d2dfbed40c39c77924838fe28b115bced4e");
    apr_table_addn(t, "x-request-id", value);
    apr_table_addn(t, "Content-Type", which == 4 ? "multipart/form-data; boundary=XyZ" : "application/x-www-form-urlencoded");
    req.headers = t;
    req.body.data = (const char *)data;
    req.body.len = size;
    fuzz_run(&schemes[which], &req, 0, p);
    apr_pool_destroy(p);
    return 0;
}
