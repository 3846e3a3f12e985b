/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_fuzz.h: what the fuzz targets of the verify room share. The input is cut at newlines (bytes 0x0a) into fields; schemes are configured
 * once. No target knows a way to make a MAC, so nothing it sends may be accepted.
 */
#ifndef VERIFY_FUZZ_H
#define VERIFY_FUZZ_H

#include <apr_general.h>
#include <apr_strings.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "verify/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_UNUSED __attribute__((unused))

typedef struct fuzz_scheme {
    const char *name;
    const char *options[6]; /* "name=value" */
    const char *key_id, *key;
    const webhook_verifier_provider *provider;
    webhook_verifier *v;
    webhook_secret secret;
    const webhook_secret *list[1];
    webhook_secrets secrets;
} fuzz_scheme;

FUZZ_UNUSED static apr_pool_t *fuzz_pool(void)
{
    static apr_pool_t *p;

    if (!p) {
        apr_initialize();
        apr_pool_create(&p, NULL);
    }
    return p;
}

FUZZ_UNUSED static void check(int good)
{
    if (!good) abort();
}

FUZZ_UNUSED static void fuzz_configure(fuzz_scheme *s)
{
    apr_pool_t *p = fuzz_pool();
    apr_array_header_t *options = apr_array_make(p, 6, sizeof(webhook_option));
    int i;

    if (s->v) return;
    for (i = 0; i < 6 && s->options[i]; i++) {
        webhook_option *o = apr_array_push(options);
        const char *eq = strchr(s->options[i], '=');
        o->name = apr_pstrmemdup(p, s->options[i], (apr_size_t)(eq - s->options[i]));
        o->value = eq + 1;
    }
    s->provider = wh_verifier_builtin(s->name);
    check(s->provider && s->provider->configure(&s->v, s->provider, options, p, p) == NULL);
    s->secret.id = s->key_id ? s->key_id : "1";
    s->secret.data = (const unsigned char *)s->key;
    s->secret.len = strlen(s->key);
    check(s->provider->prepare(s->v, &s->secret, p) == NULL);
    s->list[0] = &s->secret;
    s->secrets.count = 1;
    s->secrets.list = s->list;
}

/* Next field as a string without NUL; "" behind the last */
FUZZ_UNUSED static const char *fuzz_field(const uint8_t **data, size_t *size, apr_pool_t *p)
{
    const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
    size_t len = end ? (size_t)(end - *data) : *size;
    const char *text = apr_pstrmemdup(p, (const char *)*data, len);

    *data += end ? len + 1 : len;
    *size -= end ? len + 1 : len;
    return text;
}

/* Run; the verdict must be a refusal, complete and harmless. */
FUZZ_UNUSED static void fuzz_run(fuzz_scheme *s, webhook_request *req, int may_accept, apr_pool_t *p)
{
    webhook_verdict verdict;
    webhook_reply reply;
    int replied;

    req->now = apr_time_from_sec(1796000000);
    if (!req->method) req->method = "POST";
    if (!req->uri) req->uri = "/in";
    if (!req->url) req->url = apr_pstrcat(p, "https://hooks.example.com", req->uri, NULL);
    req->query = strchr(req->uri, '?') ? strchr(req->uri, '?') + 1 : NULL;
    memset(&reply, 0, sizeof(reply));
    wh_verify_request(s->provider, s->v, &s->secrets, req, &verdict, &reply, &replied, p);
    check(verdict.status == 200 || (verdict.status >= 400 && verdict.reason && verdict.detail));
    check(may_accept || verdict.status != 200);
    check(verdict.status == 200 || !verdict.key_id);
    check(!verdict.detail || !strstr(verdict.detail, s->key));
    check(!replied || (reply.status >= 200 && reply.status < 500));
}

#endif
