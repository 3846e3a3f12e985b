/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes: the first byte picks a preset with handshakes, or (0) takes the first field as a rule to compile. Then fields for method,
 * query and a header's value; the rest is the body. No reply header may hold a control byte.
 */
#include "verify_fuzz.h"

static fuzz_scheme schemes[] = {
    { .name = "hmac", .key = "fuzz secret" }, { .name = "meta", .key = "fuzz secret", .options = { "verify-token=word" } }, { .name = "websub", .key = "fuzz secret" },
    { .name = "braintree", .key = "fuzz secret", .key_id = "pk" }, { .name = "x-twitter", .key = "fuzz secret" }, { .name = "monday", .key = "fuzz secret" },
    { .name = "azure-event-grid", .key = "fuzz secret" }, { .name = "cloudevents", .key = "fuzz secret" }, { .name = "msgraph", .key = "fuzz secret" },
    { .name = "woocommerce", .key = "fuzz secret" }, { .name = "dropbox", .key = "fuzz secret" }, { .name = "asana", .key = "fuzz secret" },
    { .name = "notion", .key = "fuzz secret" }, { .name = "okta", .key = "fuzz secret" }, { .name = "lark", .key = "fuzz secret" },
};

static int clean(void *baton, const char *name, const char *value)
{
    (void)baton;
    (void)name;
    for (; *value; value++) check((unsigned char)*value >= 0x20 && *value != 0x7f);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "aeg-event-type", "WebHook-Request-Origin", "WebHook-Request-Rate", "X-Hook-Secret", "x-okta-verification-challenge" };
    fuzz_scheme own, *s;
    webhook_request req;
    webhook_verdict verdict;
    webhook_reply reply;
    apr_table_t *t;
    apr_pool_t *p;
    const char *value;
    size_t which, i;

    if (size == 0) return 0;
    which = data[0] % (sizeof(schemes) / sizeof(schemes[0]));
    data++, size--;
    apr_pool_create(&p, fuzz_pool());
    s = &schemes[which];
    if (which == 0) {
        apr_array_header_t *options = apr_array_make(p, 2, sizeof(webhook_option));
        webhook_option *o = apr_array_push(options);
        const char *err;
        o->name = "header";
        o->value = "X-Sig";
        o = apr_array_push(options);
        o->name = "handshake";
        o->value = fuzz_field(&data, &size, p);
        memset(&own, 0, sizeof(own));
        own.key = "fuzz secret";
        own.provider = wh_verifier_builtin("hmac");
        err = own.provider->configure(&own.v, own.provider, options, p, p);
        if (err) {
            apr_pool_destroy(p);
            return 0;
        }
        s = &own;
    } else {
        fuzz_configure(s);
    }
    memset(&req, 0, sizeof(req));
    req.method = fuzz_field(&data, &size, p);
    req.uri = apr_pstrcat(p, "/in?", fuzz_field(&data, &size, p), NULL);
    value = fuzz_field(&data, &size, p);
    t = apr_table_make(p, 6);
    for (i = 0; *value && i < 5; i++) apr_table_addn(t, names[i], value);
    req.headers = t;
    req.body.data = (const char *)data;
    req.body.len = size;
    fuzz_run(s, &req, 0, p);
    memset(&reply, 0, sizeof(reply));
    memset(&verdict, 0, sizeof(verdict));
    verdict.status = 200; /* and as if it had been verified */
    if (s->provider->handshake(s->v, &s->secrets, &req, &verdict, &reply, p)) {
        check(reply.status >= 200 && reply.status < 500);
        if (reply.headers) apr_table_do(clean, NULL, reply.headers, NULL);
    }
    apr_pool_destroy(p);
    return 0;
}
