/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The template compiler and the option reader: the first field is a template, the others are further options; what can be configured is
 * then run with a request and, where it can sign, must accept what it signs.
 */
#include "verify_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "hmac", "hash", "token", "jwt", "httpsig", "public-key" };
    fuzz_scheme s;
    apr_array_header_t *options;
    apr_pool_t *p;
    webhook_option *o;
    webhook_request req;
    const char *err, *header = "X-Sig";
    int i;

    static const char key[] = "a secret that is used nowhere else";

    /* the fuzzer may find the secret in this program and put it into the template itself */
    if (size == 0 || memmem(data, size, key, sizeof(key) - 1)) return 0;
    apr_pool_create(&p, fuzz_pool());
    memset(&s, 0, sizeof(s));
    s.name = names[data[0] % 6];
    s.key = key;
    data++, size--;
    options = apr_array_make(p, 8, sizeof(webhook_option));
    if (strcmp(s.name, "httpsig") != 0) {
        o = apr_array_push(options);
        o->name = "header";
        o->value = header;
    }
    o = apr_array_push(options);
    o->name = s.name[0] == 'j' ? "claim" : s.name[2] == 't' ? "components" : "template";
    o->value = fuzz_field(&data, &size, p);
    for (i = 0; i < 4 && size; i++) {
        const char *word = fuzz_field(&data, &size, p), *eq = strchr(word, '=');
        if (!eq || eq == word) continue;
        o = apr_array_push(options);
        o->name = apr_pstrmemdup(p, word, (apr_size_t)(eq - word));
        o->value = eq + 1;
        if (strcmp(o->name, "pending-secret") == 0) apr_array_pop(options); /* the target writes no files */
    }
    s.provider = wh_verifier_builtin(s.name);
    err = s.provider->configure(&s.v, s.provider, options, p, p);
    check(!err || *err);
    if (!err) {
        s.secret.id = "1";
        s.secret.data = (const unsigned char *)s.key;
        s.secret.len = strlen(s.key);
        err = s.provider->prepare(s.v, &s.secret, p);
        s.list[0] = &s.secret;
        s.secrets.count = 1;
        s.secrets.list = s.list;
        if (!err) {
            apr_table_t *t = apr_table_make(p, 4);
            apr_table_addn(t, "Content-Type", "application/x-www-form-urlencoded");
            apr_table_addn(t, "X-Sig", "v1=0123");
            memset(&req, 0, sizeof(req));
            req.headers = t;
            req.uri = "/in?a=1&b=2";
            req.body.data = "a=%20b&c=d";
            req.body.len = 10;
            fuzz_run(&s, &req, 0, p);
            req.now = apr_time_from_sec(1796000000);
            (void)s.provider->sign(s.v, &s.secret, &req, "id-1", "event", t, p);
            fuzz_run(&s, &req, 1, p);
        }
    }
    apr_pool_destroy(p);
    return 0;
}
