/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verify_memory.c: each allocation of the cryptographic library fails in turn, alone or with all that follow, while a request is
 * verified: the right request is accepted or it is our fault (internal), a changed one is never accepted, and nobody is told that his
 * signature is wrong because our memory was short. (One allocation of Ed25519's has no sign at all when it alone fails: once is let pass.)
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "verify_fixture.h"

static long countdown; /* the allocation that fails; 0: none */
static int and_later, failures;

static int fails(void)
{
    if (!countdown || (countdown > 1 && countdown--)) return 0;
    if (!and_later) countdown = 0;
    failures++;
    return 1;
}

static void *take(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return fails() ? NULL : malloc(size);
}

static void *change(void *old, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return fails() ? NULL : realloc(old, size);
}

static void give(void *old, const char *file, int line)
{
    (void)file, (void)line;
    free(old);
}

static const struct {
    const char *scheme, *options, *key; /* a kind of private_pem(), or text */
} cases[] = {
    { "hmac", "header=X-Sig\nencoding=hex", "secret" },
    { "hmac", "header=X-Sig\nencoding=hex\ntemplate={header:X-Time}.{body}\ntimestamp=header:X-Time", "secret" },
    { "hash", "header=X-Sig\nencoding=hex\ntemplate={secret}{body}", "secret" },
    { "token", "header=X-Sig", "secret" },
    { "github", "", "secret" },
    { "standard-webhooks", "", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" },
    { "public-key", "header=X-Sig\nalgorithm=ed25519\nencoding=hex", "ED25519" },
    { "public-key", "header=X-Sig\nalgorithm=ecdsa-p256\nencoding=base64", "EC" },
    { "public-key", "header=X-Sig\nalgorithm=ecdsa-p256-raw\nencoding=base64", "EC" },
    { "public-key", "header=X-Sig\nalgorithm=rsa-sha256\nencoding=base64", "RSA" },
    { "public-key", "header=X-Sig\nalgorithm=rsa-pss-sha256\nencoding=base64", "RSA" },
    { "jwt", "header=X-Token\nalgorithm=HS256\nclaim=body=hex:sha256:{body}", "secret" },
    { "jwt", "header=X-Token\nalgorithm=RS256\nclaim=body=hex:sha256:{body}", "RSA" },
    { "jwt", "header=X-Token\nalgorithm=PS256\nclaim=body=hex:sha256:{body}", "RSA" },
    { "jwt", "header=X-Token\nalgorithm=ES256\nclaim=body=hex:sha256:{body}", "EC" },
    { "jwt", "header=X-Token\nalgorithm=EdDSA\nclaim=body=hex:sha256:{body}", "ED25519" },
    { "httpsig", "algorithm=hmac-sha256", "secret" },
    { "httpsig", "algorithm=ed25519", "ED25519" },
    { "httpsig", "algorithm=ecdsa-p256-sha256", "EC" },
    { "httpsig", "algorithm=rsa-v1_5-sha256", "RSA" },
};

/* The scheme with its key and a signed request, nothing used yet. */
static const char *make(fixture *f, int i, int changed, apr_pool_t *p)
{
    const char *err = configure(f, p, cases[i].scheme, cases[i].options), *key = cases[i].key;
    apr_size_t len = strlen(key);

    if (err) return err;
    if (!strcmp(key, "RSA") || !strcmp(key, "EC") || !strcmp(key, "ED25519")) key = private_pem(key, &len);
    if ((err = add_key(f, "1", key, len)) != NULL) return err;
    if ((err = sign(f, "msg_1", "event")) != NULL) return err;
    if (changed && !strcmp(cases[i].scheme, "token")) apr_table_set(headers_of(f), "X-Sig", "other");
    if (changed) f->req.body.data = "{\"id\":\"2\"}";
    return NULL;
}

static void sweep(int i, int changed, int later, apr_pool_t *pool)
{
    const char *usual = NULL, *why = NULL;
    int n, wrong = 0, ours = 0, plain = 0, silent = !later && !strcmp(cases[i].key, "ED25519");

    for (n = 0; n < 20000; n++) {
        apr_pool_t *p;
        const char *err, *got;
        fixture f;

        apr_pool_create(&p, pool);
        if ((err = make(&f, i, changed, p)) != NULL) {
            fail("%s %s: %s", cases[i].scheme, cases[i].options, err);
            apr_pool_destroy(p);
            return;
        }
        if (!n) (void)outcome(&f); /* what the library makes once a process is made here */
        failures = 0;
        and_later = later;
        countdown = n;
        got = outcome(&f);
        countdown = 0;
        if (!n) {
            usual = apr_pstrdup(pool, got);
        } else if (!strcmp(got, "internal")) {
            ours += f.verdict.status >= 500;
        } else if (strcmp(got, usual)) {
            wrong++;
            if (!strcmp(got, "accepted")) silent = 0;
            why = apr_psprintf(pool, "%s at allocation %d", got, n);
        } else {
            plain++;
        }
        apr_pool_destroy(p);
        if (n && !failures) break;
    }
    is_str(usual, changed ? usual : "accepted", "%s %s: without failures", cases[i].scheme, cases[i].key);
    if (changed) ok(strcmp(usual, "accepted") != 0, "%s %s: without failures, changed: %s", cases[i].scheme, cases[i].key, usual);
    ok(wrong <= silent && wrong + ours + plain == n, "%s %s: %d allocations fail%s: %d times our fault, %d times as ever%s%s", cases[i].scheme, cases[i].key, n - 1,
       later ? " with all behind" : "", ours, plain - 1, why ? ", or else: " : "", why ? why : "");
}

int main(void)
{
    apr_pool_t *pool;
    unsigned i;

    if (CRYPTO_set_mem_functions(take, change, give) != 1) return 1;
    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sweep((int)i, 0, 0, pool);
        sweep((int)i, 0, 1, pool);
        sweep((int)i, 1, 0, pool);
        sweep((int)i, 1, 1, pool);
    }
    apr_pool_destroy(pool);
    return tap_done();
}
