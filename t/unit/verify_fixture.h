/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_fixture.h: what the tests of the verify room share: a configured scheme with secrets, a request to change, and the recorded
 * requests of t/unit/vectors.
 */
#ifndef VERIFY_FIXTURE_H
#define VERIFY_FIXTURE_H

#include <apr_general.h>
#include <apr_strings.h>
#include "tap.h"
#include "verify/vectors.h"
#include "verify/verify.h"

#define NOW_SECONDS 1796000000

typedef struct fixture {
    apr_pool_t *p;
    const webhook_verifier_provider *provider;
    webhook_verifier *v;
    apr_array_header_t *list; /* webhook_secret * */
    webhook_secrets secrets;
    webhook_request req;
    webhook_verdict verdict;
    webhook_reply reply;
    int replied;
} fixture;

/* "name=value name=value ..." separated by newlines */
TAP_UNUSED static const char *configure(fixture *f, apr_pool_t *p, const char *scheme, const char *options)
{
    apr_array_header_t *list = apr_array_make(p, 8, sizeof(webhook_option));
    char *copy = apr_pstrdup(p, options), *at = NULL, *word;

    memset(f, 0, sizeof(*f));
    f->p = p;
    f->list = apr_array_make(p, 2, sizeof(webhook_secret *));
    for (word = apr_strtok(copy, "\n", &at); word; word = apr_strtok(NULL, "\n", &at)) {
        webhook_option *o = apr_array_push(list);
        char *eq = strchr(word, '=');
        if (!eq) return "test: option without =";
        *eq = '\0';
        o->name = word;
        o->value = eq + 1;
    }
    f->provider = wh_verifier_builtin(scheme);
    if (!f->provider) return "no such scheme";
    f->req.method = "POST";
    f->req.uri = "/in";
    f->req.url = "https://hooks.example.com/in";
    f->req.headers = apr_table_make(p, 8);
    f->req.now = apr_time_from_sec(NOW_SECONDS);
    f->req.body.data = "{\"id\":\"1\"}";
    f->req.body.len = 10;
    return f->provider->configure(&f->v, f->provider, list, p, p);
}

TAP_UNUSED static const char *add_key(fixture *f, const char *id, const char *data, apr_size_t len)
{
    webhook_secret *s = apr_pcalloc(f->p, sizeof(*s));

    s->id = id;
    s->data = (const unsigned char *)data;
    s->len = len;
    APR_ARRAY_PUSH(f->list, webhook_secret *) = s;
    f->secrets.count = f->list->nelts;
    f->secrets.list = (const webhook_secret *const *)f->list->elts;
    return f->provider->prepare(f->v, s, f->p);
}

TAP_UNUSED static apr_table_t *headers_of(fixture *f)
{
    return (apr_table_t *)(apr_uintptr_t)f->req.headers;
}

/* The outcome as one word: "accepted", "handshake" or the reason */
TAP_UNUSED static const char *outcome(fixture *f)
{
    wh_verify_request(f->provider, f->v, &f->secrets, &f->req, &f->verdict, &f->reply, &f->replied, f->p);
    return f->replied ? "handshake" : f->verdict.status == 200 ? "accepted" : f->verdict.reason;
}

/* Sign the request as its sender would, with the first secret. */
TAP_UNUSED static const char *sign(fixture *f, const char *id, const char *event)
{
    if (!f->provider->sign) return "cannot sign";
    return f->provider->sign(f->v, f->secrets.count ? f->secrets.list[0] : NULL, &f->req, id, event, headers_of(f), f->p);
}

/* t/unit/vectors/NAME, wherever the test runs */
TAP_UNUSED static const char *vector_path(const char *name, apr_pool_t *p)
{
    const char *here = __FILE__, *slash = strrchr(here, '/');

    return apr_pstrcat(p, slash ? apr_pstrmemdup(p, here, (apr_size_t)(slash - here)) : ".", "/vectors/", name, NULL);
}

TAP_UNUSED static const char *member_text(const wh_json_value *object, const char *name, apr_pool_t *p)
{
    const wh_json_value *v = wh_json_get(object, name);

    return v ? wh_json_text(v, p) : NULL;
}

#endif
