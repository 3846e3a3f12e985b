/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare.c: does the time a verification takes tell how much of a signature was right? After "dudect" (Reparaz, Balasch, Verbauwhede,
 * 2017): two classes of input in random order, the time of each call, Welch's t between the classes, over all samples and over those below
 * several percentiles, for the upper tail is the machine's and not the code's.
 *
 *   compare [SAMPLES]     one line for each path: its name, the largest |t|, "ok" or "leaks"
 *
 * The classes are a signature whose first byte is wrong and one whose last byte is wrong; for the bare comparison also a right one against
 * a wrong one. A comparison that leaves at the first difference is measured too and must be found out, else the measurement shows nothing.
 * Exit status: 0 when every |t| is below 4.5 and the leaky one is not, 1 otherwise.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "verify/scheme.h"
#include "verify/verify.h"

#define LIMIT 4.5
#define LONGEST 512

/* What is measured: a call with one of two inputs in the same place */
typedef struct path {
    const char *name;
    int leaky; /* must be found out */
    void (*call)(struct path *);
    char input[2][LONGEST];
    apr_size_t len;
    char current[LONGEST];
    unsigned char right[32];
    /* of the engine */
    const webhook_verifier_provider *provider;
    webhook_verifier *verifier;
    webhook_secret secret;
    const webhook_secret *list[1];
    webhook_secrets secrets;
    webhook_request request;
    apr_pool_t *scratch;
} path;

static volatile int sink;
static uint64_t random_state = 88172645463325252u;

static unsigned int next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned int)(random_state >> 32);
}

static uint64_t ticks(void)
{
#if defined(__x86_64__)
    unsigned int lo, hi, aux;
    __asm__ volatile("mfence\n\trdtscp\n\tlfence" : "=a"(lo), "=d"(hi), "=c"(aux) : : "memory");
    return (uint64_t)hi << 32 | lo;
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

/* ---- the paths ---- */

static void call_equal(path *p)
{
    sink = wh_equal(p->current, p->len, p->right, sizeof(p->right));
}

static void call_leaky(path *p)
{
    apr_size_t i;

    for (i = 0; i < p->len; i++) {
        sink = (int)i;
        if ((unsigned char)p->current[i] != p->right[i]) return;
    }
}

static void call_engine(path *p)
{
    webhook_verdict verdict;

    p->provider->verify(p->verifier, &p->secrets, &p->request, &verdict, p->scratch);
    sink = verdict.status;
    apr_pool_clear(p->scratch);
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "compare: %s: %s\n", what, why);
    exit(2);
}

static void bare(path *p, const char *name, void (*call)(path *), int first, int second)
{
    apr_size_t i;

    memset(p, 0, sizeof(*p));
    p->name = name;
    p->call = call;
    p->leaky = call == call_leaky;
    p->len = sizeof(p->right);
    for (i = 0; i < p->len; i++) p->right[i] = (unsigned char)next_random();
    memcpy(p->input[0], p->right, p->len);
    memcpy(p->input[1], p->right, p->len);
    if (first >= 0) p->input[0][first] ^= 1;
    if (second >= 0) p->input[1][second] ^= 1;
}

/* Another digit in its place, of the same kind: what is measured is the comparison, not the syntax */
static char other_digit(char ch)
{
    return ch == '0' ? '1' : ch == 'A' ? 'B' : ch >= '1' && ch <= '9' ? '0' : (char)(ch ^ 1) == '`' ? 'b' : (char)(ch ^ 1);
}

/*
 * @param header carries signature or token; @param start where the changeable text begins in it: behind this byte, the last such;
 * @param back the last changeable byte, counted from the end (of base64 only those that are whole bits)
 */
static void engine(path *p, const char *scheme, const char *key, const char *header, char start, int back, const char *const *options, apr_pool_t *pool)
{
    static const char body[] = "{\"id\":\"evt_1001\",\"type\":\"order.created\",\"data\":{\"amount\":4200}}";
    apr_array_header_t *list = apr_array_make(pool, 4, sizeof(webhook_option));
    apr_table_t *headers = apr_table_make(pool, 8);
    const char *err, *value, *at;
    apr_size_t i, first;
    int k;

    memset(p, 0, sizeof(*p));
    p->name = scheme;
    p->call = call_engine;
    for (; *options; options += 2) {
        webhook_option *o = apr_array_push(list);
        o->name = options[0];
        o->value = options[1];
    }
    p->provider = wh_verifier_builtin(scheme);
    if ((err = p->provider->configure(&p->verifier, p->provider, list, pool, pool)) != NULL) die(scheme, err);
    p->secret.id = "1";
    p->secret.data = (const unsigned char *)key;
    p->secret.len = strlen(key);
    if ((err = p->provider->prepare(p->verifier, &p->secret, pool)) != NULL) die(scheme, err);
    p->list[0] = &p->secret;
    p->secrets.count = 1;
    p->secrets.list = p->list;
    p->request.method = "POST";
    p->request.uri = "/in";
    p->request.url = "https://hooks.example.com/in";
    p->request.headers = headers;
    p->request.body.data = body;
    p->request.body.len = sizeof(body) - 1;
    p->request.now = apr_time_from_sec(1796000000);
    apr_pool_create(&p->scratch, pool);
    if ((err = p->provider->sign(p->verifier, &p->secret, &p->request, NULL, NULL, headers, pool)) != NULL) die(scheme, err);
    value = apr_table_get(headers, header);
    if (!value || strlen(value) >= LONGEST) die(scheme, "no such header");
    p->len = strlen(value);
    at = strrchr(value, start);
    first = at ? (apr_size_t)(at - value) + 1 : 0;
    memcpy(p->current, value, p->len + 1);
    apr_table_unset(headers, header);
    apr_table_setn(headers, header, p->current); /* changed in place from call to call */
    for (k = 0; k < 2; k++) {
        webhook_verdict verdict;
        memcpy(p->input[k], value, p->len + 1);
        i = k == 0 ? first : p->len - 1 - (apr_size_t)back;
        p->input[k][i] = other_digit(p->input[k][i]);
        p->provider->verify(p->verifier, &p->secrets, &p->request, &verdict, pool);
        if (verdict.status != 200) die(scheme, "refuses the right signature");
        memcpy(p->current, p->input[k], p->len);
        p->provider->verify(p->verifier, &p->secrets, &p->request, &verdict, pool);
        if (verdict.status != 401 || strcmp(verdict.reason, "signature-mismatch") != 0) die(scheme, "does not come as far as the comparison");
        memcpy(p->current, value, p->len);
    }
}

/* ---- the figures ---- */

typedef struct welch {
    double n[2], mean[2], m2[2];
} welch;

static void add(welch *w, int class, double x)
{
    double delta = x - w->mean[class];

    w->n[class]++;
    w->mean[class] += delta / w->n[class];
    w->m2[class] += delta * (x - w->mean[class]);
}

static double t_of(const welch *w)
{
    double spread;

    if (w->n[0] < 1000 || w->n[1] < 1000) return 0;
    spread = w->m2[0] / (w->n[0] - 1) / w->n[0] + w->m2[1] / (w->n[1] - 1) / w->n[1];
    return spread > 0 ? fabs(w->mean[0] - w->mean[1]) / sqrt(spread) : w->mean[0] == w->mean[1] ? 0 : INFINITY;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The largest |t| over all samples and over those below each threshold. Thresholds come from samples of their own. */
static double measure(path *p, long samples)
{
    static const double keep[] = { 0.50, 0.75, 0.90, 0.99 };
    enum { CUTS = sizeof(keep) / sizeof(keep[0]), WARM = 10000 };
    static uint64_t warm[WARM];
    uint64_t cut[CUTS];
    welch all, below[CUTS];
    double t;
    long i;
    int k;

    memset(&all, 0, sizeof(all));
    memset(below, 0, sizeof(below));
    for (i = -WARM; i < samples; i++) {
        int class = (int)(next_random() & 1);
        uint64_t start, took;

        memcpy(p->current, p->input[class], p->len);
        start = ticks();
        p->call(p);
        took = ticks() - start;
        if (i < 0) {
            warm[i + WARM] = took;
            if (i == -1) {
                qsort(warm, WARM, sizeof(warm[0]), ascending);
                for (k = 0; k < (int)CUTS; k++) cut[k] = warm[(int)(keep[k] * WARM)];
            }
            continue;
        }
        add(&all, class, (double)took);
        for (k = 0; k < (int)CUTS; k++) {
            if (took <= cut[k]) add(&below[k], class, (double)took);
        }
    }
    t = t_of(&all);
    for (k = 0; k < (int)CUTS; k++) t = fmax(t, t_of(&below[k]));
    return t;
}

int main(int argc, char **argv)
{
    static const char *const plain[] = { NULL };
    static const char *const token[] = { "header", "X-Token", NULL };
    static const char *const jwt[] = { "header", "X-Signature", "claim", "sha256=hex:sha256:{body}", NULL };
    static path paths[8];
    char *end = NULL;
    long samples = argc > 1 ? strtol(argv[1], &end, 10) : 1000000;
    apr_pool_t *pool;
    int i, n = 0, bad = 0;

    if (samples < 10000 || (end && *end)) {
        fprintf(stderr, "usage: compare [SAMPLES], at least 10000\n");
        return 2;
    }
    apr_initialize();
    apr_pool_create(&pool, NULL);
    bare(&paths[n++], "leaky: first, last byte wrong", call_leaky, 0, 31);
    bare(&paths[n++], "equal: first, last byte wrong", call_equal, 0, 31);
    bare(&paths[n++], "equal: right, first byte wrong", call_equal, -1, 0);
    bare(&paths[n++], "equal: right, last byte wrong", call_equal, -1, 31);
    engine(&paths[n++], "github", "a secret", "X-Hub-Signature-256", '=', 0, plain, pool);
    engine(&paths[n++], "slack", "a secret", "X-Slack-Signature", '=', 0, plain, pool);
    engine(&paths[n++], "token", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF", "X-Token", '\n', 0, token, pool);
    engine(&paths[n++], "jwt", "a secret of thirty-two characters", "X-Signature", '.', 1, jwt, pool);
    for (i = 0; i < n; i++) {
        double t = measure(&paths[i], samples);
        int wrong = paths[i].leaky ? t < LIMIT : t >= LIMIT;

        printf("%-32s |t| %8.2f  %s\n", paths[i].name, t, t >= LIMIT ? "leaks" : "ok");
        fflush(stdout);
        if (wrong) bad = 1;
    }
    printf("%s: %ld samples each, limit %.1f\n", bad ? "not shown" : "constant time", samples, LIMIT);
    apr_pool_destroy(pool);
    return bad;
}
