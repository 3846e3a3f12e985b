/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_bench.c: how many deliveries a second the SQLite store takes by itself, with processes of threads behind a group each, as httpd's children
 * do; then how fast they can be leased and settled. Not a test.
 *
 *   store_bench DIRECTORY [processes=2] [threads=32] [seconds=5] [body=7700] [batch=64] [preload=0] [preload_body=1000] [handler=deploy]
 *               [lease=100000] [repeat=1] [options=...]
 *
 * preload puts that many deliveries (with a job and a key each) into the store first. Prints accepts per second, the mean batch, and latency
 * (seconds=0: does not accept), then how fast up to lease jobs were leased and settled. repeat fills and leases that often.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/encoding.h"
#include "core/id.h"
#include "core/log.h"
#include "core/options.h"
#include "core/units.h"
#include "store/group.h"

#define LATENCIES 200000

typedef struct shared {
    uint64_t commits, items, errors, stored;
    uint64_t begun; /* processes that are ready */
    int go;
    uint64_t latencies;
    int latency[LATENCIES];
} shared;

typedef struct setup {
    int processes, threads, seconds, body, batch, preload, lease, repeat;
    const char *handlers[1];
    wh_store_spec *spec;
    shared *sh;
    char *bytes;
    apr_time_t end;
    wh_group *group;
} setup;

static void on_log(void *baton, int level, apr_status_t rv, const char *text)
{
    (void)baton, (void)rv;
    if (level <= WH_LOG_WARNING)
        fprintf(stderr, "%s\n", text);
}

static void make(setup *u, webhook_accept *a, webhook_delivery *d, char *id, char *sha, unsigned char *key, apr_time_t now)
{
    static const char headers[] = "Host: hooks.example.org\r\nUser-Agent: GitHub-Hookshot/0123456\r\nAccept: */*\r\n"
                                  "X-GitHub-Event: push\r\nX-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\n"
                                  "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\r\n"
                                  "Content-Type: application/json\r\nContent-Length: 7700\r\n";

    memset(a, 0, sizeof *a);
    memset(d, 0, sizeof *d);
    wh_id_make(id, now);
    wh_sha256(key, id, WH_ID_LEN);
    wh_sha256_hex(sha, u->bytes, (apr_size_t)u->body);
    d->id = id;
    d->endpoint = d->scheme = "github";
    d->verified = 1;
    d->key_id = "1";
    d->event = "push";
    d->sender_id = "72d3162e-cc78-11e3-81ab-4c9367dc0958";
    d->received = now;
    d->remote_addr = "192.0.2.1";
    d->method = "POST";
    d->uri = "/hooks/github";
    d->content_type = "application/json";
    d->headers.data = headers;
    d->headers.len = sizeof headers - 1;
    d->body.data = u->bytes;
    d->body.len = (apr_size_t)u->body;
    d->body_len = u->body;
    d->body_sha256 = sha;
    a->delivery = d;
    a->handlers = u->handlers;
    a->handler_count = 1;
    a->dedupe_key = key;
    a->dedupe_window = APR_TIME_C(86400) * 1000000;
}

static void *work(void *data)
{
    setup *u = data;
    apr_allocator_t *allocator;
    apr_pool_t *p;

    apr_allocator_create(&allocator);
    apr_pool_create_ex(&p, NULL, NULL, allocator);
    while (!__atomic_load_n(&u->sh->go, __ATOMIC_ACQUIRE))
        usleep(1000);
    while (wh_monotonic() < u->end) {
        char id[WH_ID_LEN + 1], sha[65];
        unsigned char key[32];
        webhook_delivery d;
        webhook_accept a;
        apr_time_t t;
        uint64_t n;

        make(u, &a, &d, id, sha, key, apr_time_now());
        t = wh_monotonic();
        if (wh_group_accept(u->group, &a, p) == WEBHOOK_ACCEPT_STORED)
            __atomic_fetch_add(&u->sh->stored, 1, __ATOMIC_RELAXED);
        else
            fprintf(stderr, "not stored: %s %s\n", a.result.reason, a.result.detail);
        n = __atomic_fetch_add(&u->sh->latencies, 1, __ATOMIC_RELAXED);
        u->sh->latency[n % LATENCIES] = (int)(wh_monotonic() - t);
        apr_pool_clear(p);
    }
    return NULL;
}

static void process(setup *u)
{
    wh_group_conf conf = { u->batch, 0, &u->sh->commits, &u->sh->items, &u->sh->errors, NULL };
    pthread_t *threads = calloc((size_t)u->threads, sizeof *threads);
    webhook_result res;
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, NULL);
    if (wh_group_create(&u->group, u->spec, &conf, p, &res) != APR_SUCCESS)
        exit(1);
    u->end = wh_monotonic() + (apr_time_t)u->seconds * 1000000 + 300000;
    for (i = 0; i < u->threads; i++)
        pthread_create(&threads[i], NULL, work, u);
    __atomic_fetch_add(&u->sh->begun, 1, __ATOMIC_RELEASE);
    for (i = 0; i < u->threads; i++)
        pthread_join(threads[i], NULL);
    apr_pool_destroy(p);
    free(threads);
}

static void preload(setup *u, apr_pool_t *p)
{
    enum { BATCH = 500 };
    static char ids[BATCH][WH_ID_LEN + 1], shas[BATCH][65];
    static unsigned char keys[BATCH][32];
    static webhook_delivery d[BATCH];
    static webhook_accept a[BATCH];
    static webhook_accept *list[BATCH];
    webhook_result res;
    webhook_store *s;
    int i, n, more;
    apr_pool_t *scratch;

    apr_pool_create(&scratch, p);
    u->spec->provider->open(&s, u->spec->conf, scratch, &res);
    for (n = 0; n < u->preload; n += BATCH) {
        for (i = 0; i < BATCH; i++) {
            make(u, &a[i], &d[i], ids[i], shas[i], keys[i], apr_time_now());
            list[i] = &a[i];
        }
        if (u->spec->provider->accept(s, list, BATCH, apr_time_now(), &res) != APR_SUCCESS) {
            fprintf(stderr, "preload: %s\n", res.detail);
            exit(1);
        }
    }
    u->spec->provider->maintain(s, apr_time_now(), &more, scratch, &res);
    apr_pool_destroy(scratch);
}

/* Lease and settle as the dispatcher does, 64 at a time. @return how many; *took grows by the time it took */
static int lease_and_settle(setup *u, apr_time_t *took, apr_pool_t *p)
{
    webhook_lease_want want = { u->handlers[0], 64, APR_TIME_C(60) * 1000000, 0 };
    webhook_settlement *list[64], settled[64];
    webhook_result res;
    webhook_store *s;
    apr_pool_t *scratch, *handle;
    apr_time_t begun, next;
    int n = 0, i, count = 0;

    apr_pool_create(&handle, p);
    apr_pool_create(&scratch, p);
    u->spec->provider->open(&s, u->spec->conf, handle, &res);
    u->spec->provider->own(s, &res);
    begun = wh_monotonic();
    do {
        apr_array_header_t *leases;

        apr_pool_clear(scratch);
        leases = apr_array_make(scratch, 64, sizeof(webhook_lease *));
        if (u->spec->provider->turn(s, list, count, &want, n < u->lease, apr_time_now(), leases, &next, scratch, &res) != APR_SUCCESS) {
            fprintf(stderr, "turn: %s\n", res.detail);
            exit(1);
        }
        count = leases->nelts;
        for (i = 0; i < count; i++) {
            const webhook_lease *l = APR_ARRAY_IDX(leases, i, webhook_lease *);
            memset(&settled[i], 0, sizeof settled[i]);
            settled[i].job = l->job;
            settled[i].token = l->token;
            settled[i].attempt = l->attempt;
            settled[i].outcome = WEBHOOK_OUTCOME_DONE;
            list[i] = &settled[i];
        }
        n += count;
    } while (count);
    *took += wh_monotonic() - begun;
    apr_pool_destroy(handle);
    return n;
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static double cpu_seconds(void)
{
    struct rusage r;

    getrusage(RUSAGE_CHILDREN, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static const char *option(int argc, char **argv, const char *name, const char *fallback)
{
    size_t len = strlen(name);
    int i;

    for (i = 2; i < argc; i++) {
        if (strncmp(argv[i], name, len) == 0 && argv[i][len] == '=')
            return argv[i] + len + 1;
    }
    return fallback;
}

static int number(int argc, char **argv, const char *name, const char *fallback)
{
    return (int)strtol(option(argc, argv, name, fallback), NULL, 10);
}

static void accept_rate(setup *u)
{
    double cpu = cpu_seconds();
    uint64_t count;
    int i;

    for (i = 0; i < u->processes; i++) {
        if (fork() == 0) {
            process(u);
            _exit(0);
        }
    }
    while (__atomic_load_n(&u->sh->begun, __ATOMIC_ACQUIRE) < (uint64_t)u->processes)
        usleep(1000);
    __atomic_store_n(&u->sh->go, 1, __ATOMIC_RELEASE);
    while (wait(NULL) > 0)
        ;
    cpu = cpu_seconds() - cpu;
    count = u->sh->latencies < LATENCIES ? u->sh->latencies : LATENCIES;
    qsort(u->sh->latency, count, sizeof(int), by_value);
    printf("accepts %.0f/s, batch %.1f, cpu %.1f us each, p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", (double)u->sh->stored / u->seconds,
           u->sh->commits ? (double)u->sh->items / (double)u->sh->commits : 0.0, u->sh->stored ? cpu * 1e6 / (double)u->sh->stored : 0.0,
           count ? u->sh->latency[count / 2] / 1e3 : 0.0, count ? u->sh->latency[count * 99 / 100] / 1e3 : 0.0,
           count ? u->sh->latency[count - 1] / 1e3 : 0.0);
}

int main(int argc, char **argv)
{
    apr_array_header_t *options;
    const char *words[16], *err;
    char *last, *w;
    webhook_result res;
    apr_pool_t *pool;
    int i, n = 0, leased = 0;
    apr_time_t took = 0;
    setup u;

    if (argc < 2) {
        fprintf(stderr, "usage: store_bench DIRECTORY [name=value ...]\n");
        return 2;
    }
    apr_initialize();
    apr_pool_create(&pool, NULL);
    wh_log_set(on_log, NULL, WH_LOG_WARNING);
    memset(&u, 0, sizeof u);
    u.processes = number(argc, argv, "processes", "2");
    u.threads = number(argc, argv, "threads", "32");
    u.seconds = number(argc, argv, "seconds", "5");
    u.body = number(argc, argv, "body", "7700");
    u.batch = number(argc, argv, "batch", "64");
    u.preload = number(argc, argv, "preload", "0");
    u.handlers[0] = option(argc, argv, "handler", "deploy");
    u.lease = number(argc, argv, "lease", "100000");
    u.repeat = number(argc, argv, "repeat", "1");
    for (w = apr_strtok(apr_pstrdup(pool, option(argc, argv, "options", "free=0 size=1T rows=100000000")), " ", &last); w && n < 16;
         w = apr_strtok(NULL, " ", &last))
        words[n++] = w;
    err = wh_options_split(&options, n, words, pool);
    if (!err)
        err = wh_store_configure(&u.spec, apr_pstrcat(pool, "sqlite:", argv[1], "/queue.db", NULL), options, NULL, NULL, pool, pool);
    if (err) {
        fprintf(stderr, "%s\n", err);
        return 2;
    }
    u.bytes = malloc((size_t)u.body + 1);
    for (i = 0; i < u.body; i++)
        u.bytes[i] = (char)('a' + i % 26);
    u.sh = mmap(NULL, sizeof *u.sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (u.spec->provider->init(u.spec->conf, -1, -1, pool, &res) != APR_SUCCESS) {
        fprintf(stderr, "%s\n", res.detail);
        return 2;
    }
    if (u.preload) {
        int body = u.body;
        u.body = number(argc, argv, "preload_body", "1000") < body ? number(argc, argv, "preload_body", "1000") : body;
        preload(&u, pool);
        u.body = body;
    }
    if (u.seconds)
        accept_rate(&u);
    for (i = 0; i < u.repeat && u.lease; i++) {
        if (i && u.preload)
            preload(&u, pool);
        leased += lease_and_settle(&u, &took, pool);
    }
    if (leased)
        printf("lease+settle %.0f/s\n", leased * 1e6 / (double)took);
    return 0;
}
