/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP signatures: fields are Signature-Input, Signature, Content-Digest and the URI; the rest is the body. */
#include "verify_fuzz.h"

static fuzz_scheme schemes[] = {
    { .name = "httpsig", .key = "fuzz secret", .key_id = "k1" },
    { .name = "httpsig", .key = "fuzz secret", .key_id = "k1", .options = { "components=none", "body-digest=off", "tolerance=off" } },
    { .name = "httpsig", .key_id = "k1", .options = { "algorithm=ed25519,ecdsa-p256-sha256,rsa-pss-sha512", "components=none", "body-digest=off", "tolerance=off" },
      .key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4wL2uqi2miwp1VCjrXn37jcMDlau\nzVaFnE8e6st9MssIseP2sNJ22zemubJgfzfPwANgtGrEH1adh1MgBrkkMA==\n-----END PUBLIC KEY-----\n" },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    webhook_request req;
    apr_table_t *t;
    apr_pool_t *p;
    size_t which;
    const char *uri;

    if (size == 0) return 0;
    which = data[0] % (sizeof(schemes) / sizeof(schemes[0]));
    data++, size--;
    fuzz_configure(&schemes[which]);
    apr_pool_create(&p, fuzz_pool());
    memset(&req, 0, sizeof(req));
    t = apr_table_make(p, 6);
    apr_table_addn(t, "Signature-Input", fuzz_field(&data, &size, p));
    apr_table_addn(t, "Signature", fuzz_field(&data, &size, p));
    apr_table_addn(t, "Content-Digest", fuzz_field(&data, &size, p));
    apr_table_addn(t, "Content-Type", "application/json");
    uri = fuzz_field(&data, &size, p);
    req.uri = apr_pstrcat(p, "/", uri, NULL);
    req.headers = t;
    req.body.data = (const char *)data;
    req.body.len = size;
    fuzz_run(&schemes[which], &req, 0, p);
    apr_pool_destroy(p);
    return 0;
}
