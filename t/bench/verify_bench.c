/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_bench.c: what a verification costs beside the bare operation it cannot do without: one digest over the body for what has a shared secret,
 * one verification of a signature over the body for public keys, as `openssl speed` times them. Measured in turns in one process, so that what
 * else the machine does falls on both. Not a test.
 *
 *   verify_bench [rounds=41] [only=SCHEME]
 *
 * Prints "SCHEME SECRETS BYTES RATIO MIN MAX NANOSECONDS" a line, RATIO being the median over the rounds; SECRETS is how many the endpoint has,
 * of which the last one made the signature: several cost one digest of the body each.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/options.h"
#include "verify/verify.h"

#define SECRETS_MAX 4
#define ROUNDS_MAX 501

typedef struct subject {
    const char *scheme, *options, *digest; /* digest: the bare operation's; NULL with a key */
    const char *key;                       /* type of key pair; NULL: shared secrets */
    int secrets;
} subject;

static const subject subjects[] = {
    { "github", "", "SHA256", NULL, 1 },
    { "github", "", "SHA256", NULL, 3 },
    { "stripe", "", "SHA256", NULL, 1 },
    { "slack", "", "SHA256", NULL, 1 },
    { "shopify", "", "SHA256", NULL, 1 },
    { "standard-webhooks", "", "SHA256", NULL, 1 },
    { "hmac", "header=X-Sig\ntemplate={ts}.{body}\ntimestamp=header:X-Time\nalgorithm=sha512", "SHA512", NULL, 1 },
    { "discord", "", NULL, "ED25519", 1 },
    { "public-key", "header=X-Sig\nalgorithm=ecdsa-p256-sha256\nencoding=base64", "SHA256", "EC", 1 },
    { "public-key", "header=X-Sig\nalgorithm=rsa-sha256\nencoding=base64", "SHA256", "RSA", 1 },
    { "public-key", "header=X-Sig\nalgorithm=rsa-pss-sha256\nencoding=base64", "SHA256", "RSA", 1 },
};
static const size_t sizes[] = { 1024, 8192, 1048576 };

typedef struct bench {
    apr_pool_t *pool, *scratch;
    const webhook_verifier_provider *provider;
    webhook_verifier *verifier;
    webhook_secret secret[SECRETS_MAX];
    const webhook_secret *list[SECRETS_MAX];
    webhook_secrets secrets;
    webhook_request req;
    /* the bare operation */
    const EVP_MD *md;
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *pctx;
    unsigned char sig[512];
    size_t sig_len;
} bench;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "verify_bench: %s: %s\n", what, why);
    exit(1);
}

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts); /* others run on this machine too */
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static char *pem_of(EVP_PKEY *pkey, apr_pool_t *p)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data, *copy;
    long len;

    PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
    len = BIO_get_mem_data(bio, &data);
    copy = apr_pstrmemdup(p, data, (apr_size_t)len);
    BIO_free(bio);
    return copy;
}

static void make_key(bench *b, const subject *s)
{
    b->pkey = !strcmp(s->key, "RSA") ? EVP_RSA_gen(2048) : !strcmp(s->key, "EC") ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!b->pkey)
        die(s->scheme, "no key");
}

/* The bare operation for a key: what openssl speed does, a prepared context that verifies one signature again and again, and the digest. */
static void bare_key(bench *b, const subject *s)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int md_len = 0;

    b->sig_len = sizeof b->sig;
    if (!s->digest) {
        if (EVP_DigestSignInit(ctx, NULL, NULL, NULL, b->pkey) != 1
            || EVP_DigestSign(ctx, b->sig, &b->sig_len, (const unsigned char *)b->req.body.data, b->req.body.len) != 1)
            die(s->scheme, "cannot sign");
    } else {
        EVP_PKEY_CTX *sign = EVP_PKEY_CTX_new(b->pkey, NULL);

        EVP_Digest(b->req.body.data, b->req.body.len, md, &md_len, b->md, NULL);
        if (EVP_PKEY_sign_init(sign) != 1 || EVP_PKEY_CTX_set_signature_md(sign, b->md) != 1
            || (strstr(s->options, "pss") && EVP_PKEY_CTX_set_rsa_padding(sign, RSA_PKCS1_PSS_PADDING) != 1)
            || EVP_PKEY_sign(sign, b->sig, &b->sig_len, md, md_len) != 1)
            die(s->scheme, "cannot sign");
        EVP_PKEY_CTX_free(sign);
        b->pctx = EVP_PKEY_CTX_new(b->pkey, NULL);
        if (EVP_PKEY_verify_init(b->pctx) != 1 || EVP_PKEY_CTX_set_signature_md(b->pctx, b->md) != 1
            || (strstr(s->options, "pss") && EVP_PKEY_CTX_set_rsa_padding(b->pctx, RSA_PKCS1_PSS_PADDING) != 1))
            die(s->scheme, "cannot verify");
    }
    EVP_MD_CTX_free(ctx);
}

static void bare(bench *b)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int len;
    int i;

    if (b->pkey && !b->md) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        if (EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, b->pkey) != 1
            || EVP_DigestVerify(ctx, b->sig, b->sig_len, (const unsigned char *)b->req.body.data, b->req.body.len) != 1)
            die("bare", "not verified");
        EVP_MD_CTX_free(ctx);
        return;
    }
    for (i = 0; i < b->secrets.count; i++)
        EVP_Digest(b->req.body.data, b->req.body.len, md, &len, b->md, NULL);
    if (b->pctx && EVP_PKEY_verify(b->pctx, b->sig, b->sig_len, md, len) != 1)
        die("bare", "not verified");
}

static void whole(bench *b)
{
    webhook_verdict verdict;

    memset(&verdict, 0, sizeof verdict);
    b->provider->verify(b->verifier, &b->secrets, &b->req, &verdict, b->scratch);
    if (verdict.status != 200)
        die(b->provider->name, verdict.detail);
    apr_pool_clear(b->scratch);
}

static double time_of(bench *b, void (*what)(bench *), int times)
{
    double begun = now_ns();
    int i;

    for (i = 0; i < times; i++)
        what(b);
    return (now_ns() - begun) / times;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void measure(const subject *s, size_t size, int rounds, apr_pool_t *parent)
{
    apr_array_header_t *options;
    double ratio[ROUNDS_MAX], one;
    char *copy, *last, *word, *body;
    const char *err;
    apr_table_t *headers;
    bench b;
    size_t k;
    int i, times;

    memset(&b, 0, sizeof b);
    apr_pool_create(&b.pool, parent);
    apr_pool_create(&b.scratch, b.pool);
    body = apr_palloc(b.pool, size + 1);
    for (k = 0; k < size; k++)
        body[k] = (char)(' ' + (k * 7 + k / 95) % 95);
    body[0] = '"', body[size - 1] = '"';
    b.req.method = "POST";
    b.req.uri = "/in";
    b.req.url = "https://hooks.example.org/in";
    b.req.now = apr_time_from_sec(1796000000);
    b.req.body.data = body;
    b.req.body.len = size;
    headers = apr_table_make(b.pool, 12);
    apr_table_set(headers, "Host", "hooks.example.org");
    apr_table_set(headers, "User-Agent", "Sender/1.0");
    apr_table_set(headers, "Content-Type", "application/json");
    b.req.headers = headers;
    if (s->digest)
        b.md = EVP_MD_fetch(NULL, s->digest, NULL);

    options = apr_array_make(b.pool, 8, sizeof(webhook_option));
    copy = apr_pstrdup(b.pool, s->options);
    for (word = apr_strtok(copy, "\n", &last); word; word = apr_strtok(NULL, "\n", &last)) {
        webhook_option *o = apr_array_push(options);
        char *eq = strchr(word, '=');
        *eq = '\0';
        o->name = word;
        o->value = eq + 1;
    }
    if (s->key) {
        webhook_option *o = apr_array_push(options);
        o->name = "key-encoding";
        o->value = "auto";
        make_key(&b, s);
    }
    b.provider = wh_verifier_builtin(s->scheme);
    if (!b.provider)
        die(s->scheme, "no such scheme");
    if ((err = b.provider->configure(&b.verifier, b.provider, options, b.pool, b.pool)) != NULL)
        die(s->scheme, err);
    b.secrets.count = s->secrets;
    b.secrets.list = b.list;
    for (i = 0; i < s->secrets; i++) {
        const char *data = s->key ? pem_of(b.pkey, b.pool) : !strcmp(s->scheme, "standard-webhooks") ? "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
                                                           : apr_psprintf(b.pool, "a secret of some length, number %d", i);
        b.secret[i].id = apr_itoa(b.pool, i + 1);
        b.secret[i].data = (const unsigned char *)data;
        b.secret[i].len = strlen(data);
        b.list[i] = &b.secret[i];
        if ((err = b.provider->prepare(b.verifier, &b.secret[i], b.pool)) != NULL)
            die(s->scheme, err);
    }
    if ((err = b.provider->sign(b.verifier, &b.secret[s->secrets - 1], &b.req, "72d3162e-cc78-11e3-81ab-4c9367dc0958", "push", headers, b.pool)) != NULL)
        die(s->scheme, err);
    if (s->key)
        bare_key(&b, s);

    one = time_of(&b, whole, 3);
    times = (int)(1e6 / (one > 1 ? one : 1)) + 1; /* a millisecond at a time */
    for (i = 0; i < rounds; i++) {
        double mine, floor;
        if (i % 2) {
            mine = time_of(&b, whole, times);
            floor = time_of(&b, bare, times);
        } else {
            floor = time_of(&b, bare, times);
            mine = time_of(&b, whole, times);
        }
        ratio[i] = mine / floor;
        one = i ? (mine < one ? mine : one) : mine;
    }
    qsort(ratio, (size_t)rounds, sizeof ratio[0], by_size);
    printf("%s%s%s %d %zu %.3f %.3f %.3f %.0f\n", s->scheme, s->key && s->digest ? "-" : "", s->key && s->digest ? (strstr(s->options, "pss") ? "rsa-pss" : !strcmp(s->key, "EC") ? "ecdsa" : "rsa") : "",
           s->secrets, size, ratio[rounds / 2], ratio[0], ratio[rounds - 1], one);
    EVP_PKEY_CTX_free(b.pctx);
    EVP_PKEY_free(b.pkey);
    EVP_MD_free((EVP_MD *)b.md);
    apr_pool_destroy(b.pool);
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    int rounds = 41, arg;
    apr_pool_t *p;
    size_t i, k;

    for (arg = 1; arg < argc; arg++) {
        if (!strncmp(argv[arg], "rounds=", 7))
            rounds = atoi(argv[arg] + 7);
        else if (!strncmp(argv[arg], "only=", 5))
            only = argv[arg] + 5;
        else
            die(argv[arg], "not known");
    }
    if (rounds < 1 || rounds > ROUNDS_MAX)
        die("rounds", "1 to 501");
    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof subjects / sizeof subjects[0]; i++)
        for (k = 0; k < sizeof sizes / sizeof sizes[0] && (!only || !strcmp(only, subjects[i].scheme)); k++)
            measure(&subjects[i], sizes[k], rounds, p);
    apr_pool_destroy(p);
    apr_terminate();
    return 0;
}
