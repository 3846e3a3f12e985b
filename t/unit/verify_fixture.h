/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_fixture.h: what the tests of the verify room share: a configured scheme with secrets, a request to change, and the recorded
 * requests of t/unit/vectors.
 */
#ifndef VERIFY_FIXTURE_H
#define VERIFY_FIXTURE_H

#include <apr_general.h>
#include <apr_strings.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
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

/* A private key in PEM, one of each type for the whole program */
TAP_UNUSED static const char *private_pem(const char *type, apr_size_t *len)
{
    static char kept[3][4096];
    char *at = kept[type[0] == 'R' ? 2 : type[1] == 'C'], *data;

    if (!*at) {
        EVP_PKEY *pkey = strcmp(type, "RSA") == 0 ? EVP_RSA_gen(2048) : strcmp(type, "EC") == 0 ? EVP_EC_gen("P-256")
                         : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        BIO *bio = BIO_new(BIO_s_mem());

        PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
        *len = (apr_size_t)BIO_get_mem_data(bio, &data);
        if (*len < sizeof(kept[0])) memcpy(at, data, *len);
        BIO_free(bio);
        EVP_PKEY_free(pkey);
    }
    *len = strlen(at);
    return at;
}

/* A sender's preset with a key "key-1" of the right kind, and a body as the sender's where the scheme looks into it. @return error text */
TAP_UNUSED static const char *configure_with_key(fixture *f, apr_pool_t *p, const wh_verifier_info *info)
{
    static const char *const types[] = { "ED25519", "EC", "RSA" };
    static const char *const texts[] = { "a secret of some length", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "6C17F86FC9DDBB05BCBC1329BF70E0DB",
                                         "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" };
    const char *err = "no key fits", *options = "";
    int k;

    if (strcmp(info->name, "paypal") == 0) options = "webhook-id=1";
    if (strcmp(info->name, "google-pubsub") == 0) options = "audience=https://a\nemail=b@c";
    if (strcmp(info->name, "zoho-desk") == 0) options = "org-id=1\nwebhook-id=2";
    if (strcmp(info->primitive, "public-key") == 0) options = *options ? "webhook-id=1\nkey-encoding=auto" : "key-encoding=auto";
    for (k = 0; k < 7 && err; k++) {
        apr_size_t len = 0;
        const char *data = k < 3 ? private_pem(types[k], &len) : texts[k - 3];

        if ((err = configure(f, p, info->name, options)) != NULL) return err;
        /* keys of the wrong kind are refused; text also fits where PEM was meant for public keys only */
        if (k < 3 && strcmp(info->primitive, "public-key") != 0 && strcmp(info->primitive, "jwt") != 0) {
            err = "not for this scheme";
            continue;
        }
        err = add_key(f, "key-1", data, k < 3 ? len : strlen(data));
    }
    if (strcmp(info->name, "linear") == 0) {
        f->req.body.data = "{\"webhookTimestamp\":1796000000000}"; /* its time is in the body, where the sender puts it */
        f->req.body.len = strlen(f->req.body.data);
    }
    return err;
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
