/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_group.c: group commit: many threads, several processes, copies at once, batches that fail, a store that is not there. */
#include "tap.h"
#include "store_fixture.h"

#include <pthread.h>
#include <sys/mman.h>

#include "core/reasons.h"
#include "store/group.h"
#include "store/sqlite.h"

#define THREADS 32

typedef struct task {
    wh_group *group;
    int count;          /* deliveries to bring */
    const char *key;    /* the same for all, NULL: none */
    const char *body;
    apr_size_t len;
    int *outcomes;      /* shared with the parent: by webhook_accept_outcome */
    int wrong;          /* answers that contradict themselves */
    char (*ids)[WH_ID_LEN + 1]; /* NULL or room for count */
} task;

static void *bring(void *data)
{
    task *t = data;
    apr_allocator_t *allocator;
    apr_pool_t *p;
    int i;

    apr_allocator_create(&allocator);
    apr_pool_create_ex(&p, NULL, NULL, allocator);
    apr_allocator_owner_set(allocator, p);
    for (i = 0; i < t->count; i++) {
        fx_item *it = fx_make(p, t->body ? t->body : fx_body, t->body ? t->len : sizeof fx_body - 1, t->key, "h", NULL, apr_time_now());
        webhook_accept_outcome o = wh_group_accept(t->group, &it->accept, p);

        __atomic_fetch_add(&t->outcomes[o], 1, __ATOMIC_RELAXED);
        if (o == WEBHOOK_ACCEPT_PENDING || o != it->accept.outcome || (o == WEBHOOK_ACCEPT_STORED && strcmp(it->accept.first_id, it->id) != 0)
            || (o == WEBHOOK_ACCEPT_FAILED && !it->accept.result.reason))
            t->wrong++;
        if (t->ids)
            memcpy(t->ids[i], it->accept.first_id, sizeof t->ids[i]);
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

/* @return wrong answers */
static int run_threads(wh_group *g, int threads, int count, const char *key, const char *body, apr_size_t len, int *outcomes)
{
    pthread_t id[THREADS];
    task t[THREADS];
    int i, wrong = 0;

    for (i = 0; i < threads; i++) {
        task one = { g, count, key, body, len, outcomes, 0, NULL };
        t[i] = one;
        pthread_create(&id[i], NULL, bring, &t[i]);
    }
    for (i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
        wrong += t[i].wrong;
    }
    return wrong;
}

static int *shared_ints(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void processes(const wh_store_spec *spec, int n, int threads, int count, const char *key, const char *body, apr_size_t len,
                      int *outcomes, uint64_t *counters, int *failed)
{
    wh_group_conf conf = { 0, 0, &counters[0], &counters[1], &counters[2], NULL };
    int i, status;

    for (i = 0; i < n; i++) {
        if (fork() == 0) {
            apr_pool_t *p;
            webhook_result res;
            wh_group *g;
            int wrong = 1;

            apr_pool_create(&p, NULL);
            if (wh_group_create(&g, spec, &conf, p, &res) == APR_SUCCESS)
                wrong = run_threads(g, threads, count, key, body, len, outcomes);
            apr_pool_destroy(p);
            _exit(wrong ? 1 : 0);
        }
    }
    *failed = 0;
    while (wait(&status) > 0)
        *failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* A store for several processes, and what they count together. */
static wh_store_spec *crowd_store(const char *name, const char *words, uint64_t **counters, int **outcomes)
{
    wh_store_spec *spec = fx_sqlite(name, apr_pstrcat(fx_pool, FX_PLAIN " lock-timeout=60s ", words, NULL));
    webhook_result res;

    *counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *outcomes = shared_ints();
    fx_init(spec, &res);
    return spec;
}

static void check_many(void)
{
    uint64_t *counters;
    int *outcomes, failed;
    wh_store_spec *spec = crowd_store("many", "", &counters, &outcomes);
    const char *problem;

    processes(spec, 3, THREADS, 40, NULL, NULL, 0, outcomes, counters, &failed);
    is_int(failed, 0, "3 processes of 32 threads bring 40 each");
    is_int(outcomes[WEBHOOK_ACCEPT_STORED], 3 * THREADS * 40, "all are stored");
    is_int(fx_stats(spec, fx_open(spec, fx_pool)).deliveries, 3 * THREADS * 40, "all are there");
    is_int(counters[1], 3 * THREADS * 40, "all are counted");
    is_int(counters[2], 0, "no errors");
    ok(counters[0] > 0 && counters[0] < counters[1] / 2, "in fewer transactions (%d for %d)", (int)counters[0], (int)counters[1]);
    is_int(wh_sqlite_check(fx_path("many"), &problem, fx_pool), APR_SUCCESS, "check");
    is_str(problem, NULL, "is content");
}

/* The log is copied and begun anew many times while all write. */
static void check_small_log(void)
{
    uint64_t *counters;
    int *outcomes, failed;
    wh_store_spec *spec = crowd_store("small", "wal-limit=1M", &counters, &outcomes);
    char *body = apr_pcalloc(fx_pool, 9000);
    const char *problem;
    struct stat st;

    processes(spec, 3, 16, 40, NULL, body, 9000, outcomes, counters, &failed);
    is_int(failed, 0, "3 processes of 16 threads bring 17 MB");
    is_int(outcomes[WEBHOOK_ACCEPT_STORED], 3 * 16 * 40, "all are stored");
    is_int(fx_stats(spec, fx_open(spec, fx_pool)).deliveries, 3 * 16 * 40, "all are there");
    stat(apr_pstrcat(fx_pool, fx_path("small"), "-wal", NULL), &st);
    ok(st.st_size < 8 * 1024 * 1024, "the log of at most 1 MiB did not grow without bounds (%ld)", (long)st.st_size);
    wh_sqlite_check(fx_path("small"), &problem, fx_pool);
    is_str(problem, NULL, "check is content");
}

static void check_copies(void)
{
    uint64_t *counters;
    int *outcomes, failed;
    wh_store_spec *spec = crowd_store("copies", "", &counters, &outcomes);
    apr_array_header_t *rows;
    webhook_store *s;
    webhook_query q;

    processes(spec, 4, 25, 10, "one and the same", NULL, 0, outcomes, counters, &failed);
    is_int(failed, 0, "4 processes bring 1000 copies at once");
    is_int(outcomes[WEBHOOK_ACCEPT_STORED], 1, "one is stored");
    is_int(outcomes[WEBHOOK_ACCEPT_DUPLICATE], 999, "the others are duplicates");
    s = fx_open(spec, fx_pool);
    memset(&q, 0, sizeof q);
    q.limit = 10;
    rows = fx_list(spec, s, &q);
    is_int(rows->nelts, 1, "one row");
    is_int(rows->nelts ? FX_ROW(rows, 0)->duplicates : -1, 999, "that knows of all of them");
}

static int count_files(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        n += e->d_type == DT_DIR ? count_files(apr_psprintf(fx_pool, "%s/%s", path, e->d_name)) : 1;
    }
    if (d)
        closedir(d);
    return n;
}

static void check_big(void)
{
    uint64_t *counters;
    int *outcomes, failed;
    wh_store_spec *spec = crowd_store("big", "", &counters, &outcomes);
    char *body = apr_pcalloc(fx_pool, 100000);
    const char *problem;

    processes(spec, 2, 8, 4, NULL, body, 100000, outcomes, counters, &failed);
    processes(spec, 2, 8, 4, "same", body, 100000, outcomes, counters, &failed);
    is_int(failed, 0, "big bodies by many threads");
    is_int(outcomes[WEBHOOK_ACCEPT_STORED], 65, "all stored, one of the copies");
    is_int(count_files(apr_pstrcat(fx_pool, fx_path("big"), "-bodies", NULL)), 65, "a file each, none left over");
    wh_sqlite_check(fx_path("big"), &problem, fx_pool);
    is_str(problem, NULL, "check is content");
}

static void check_absent(void)
{
    wh_store_spec *spec = fx_sqlite("absent", FX_PLAIN " lock-timeout=1s");
    uint64_t counters[3] = { 0, 0, 0 };
    wh_group_conf conf = { 0, 0, &counters[0], &counters[1], &counters[2], NULL };
    int outcomes[8] = { 0 };
    webhook_result res;
    apr_pool_t *p;
    wh_group *g;

    apr_pool_create(&p, fx_pool);
    is_int(wh_group_create(&g, spec, &conf, p, &res), APR_SUCCESS, "a group on a store that is not there");
    is_int(run_threads(g, 8, 5, NULL, NULL, 0, outcomes), 0, "answers everybody");
    is_int(outcomes[WEBHOOK_ACCEPT_FAILED], 40, "with failure");
    is_int(counters[2], 40, "and counts them");
    fx_init(spec, &res);
    is_int(run_threads(g, 8, 5, NULL, NULL, 0, outcomes), 0, "when it is made");
    is_int(outcomes[WEBHOOK_ACCEPT_STORED], 40, "it works");
    apr_pool_destroy(p);
}

/* A store that refuses whole batches because of one item, and cannot be entered when told so. */
struct webhook_store {
    int entered;
};
static int fake_locked, fake_calls, fake_wrong, fake_works, fake_handles;
static webhook_store *fake_first; /* the group's own */

static apr_status_t fake_close(void *data)
{
    (void)data;
    __atomic_fetch_sub(&fake_handles, 1, __ATOMIC_SEQ_CST);
    return APR_SUCCESS;
}

static apr_status_t fake_open(webhook_store **out, const webhook_store_conf *conf, apr_pool_t *p, webhook_result *res)
{
    (void)conf, (void)res;
    *out = apr_pcalloc(p, sizeof **out);
    if (__atomic_fetch_add(&fake_handles, 1, __ATOMIC_SEQ_CST) == 0)
        fake_first = *out;
    apr_pool_cleanup_register(p, *out, fake_close, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

static int fake_work_due(webhook_store *s)
{
    fake_wrong += s != fake_first;
    return 1;
}

static void fake_work(webhook_store *own)
{
    __atomic_fetch_add(&fake_wrong, own == fake_first, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&fake_works, 1, __ATOMIC_SEQ_CST);
}

static apr_status_t fake_enter(webhook_store *s, webhook_result *res)
{
    usleep(20000); /* time for others to queue up; the outcome does not depend on it */
    if (fake_locked) {
        res->rv = APR_TIMEUP;
        res->reason = "store-busy";
        res->detail = "told so";
        return APR_TIMEUP;
    }
    fake_wrong += s->entered;
    s->entered = 1;
    return APR_SUCCESS;
}

static void fake_leave(webhook_store *s)
{
    fake_wrong += !s->entered;
    s->entered = 0;
}

static apr_status_t fake_accept(webhook_store *s, webhook_accept *const *items, int count, apr_time_t now, webhook_result *res)
{
    int i, bad = 0;

    (void)now;
    fake_wrong += !s->entered;
    fake_calls++;
    for (i = 0; i < count; i++)
        bad += items[i]->handler_count == 0;
    for (i = 0; i < count; i++) {
        items[i]->outcome = bad ? WEBHOOK_ACCEPT_FAILED : WEBHOOK_ACCEPT_STORED;
        if (bad) {
            res->rv = APR_EGENERAL;
            res->reason = "internal";
            items[i]->result = *res;
        } else {
            memcpy(items[i]->first_id, items[i]->delivery->id, WH_ID_LEN + 1);
        }
    }
    return bad ? APR_EGENERAL : APR_SUCCESS;
}

static void *bring_bad(void *data)
{
    apr_pool_t *p;
    fx_item *it;

    apr_pool_create(&p, NULL);
    it = fx_small(p, NULL, NULL, NULL, apr_time_now());
    wh_group_accept(data, &it->accept, p);
    apr_pool_destroy(p);
    return NULL;
}

static apr_status_t look_around(void *baton, webhook_store *store, const webhook_store_provider *provider)
{
    ok(store && provider->accept == fake_accept, "run: gets the handle");
    is_int(store->entered, 0, "and nobody is inside");
    ++*(int *)baton;
    return APR_ENOTIMPL;
}

static void check_fake(void)
{
    static const webhook_store_provider fake = { .name = "fake", .open = fake_open, .enter = fake_enter, .leave = fake_leave, .accept = fake_accept,
                                                .work_due = fake_work_due, .work = fake_work };
    wh_store_spec spec = { "fake:", &fake, NULL };
    int outcomes[8] = { 0 }, ran = 0, i;
    pthread_t bad[4];
    webhook_result res;
    apr_pool_t *p;
    wh_group *g;

    apr_pool_create(&p, fx_pool);
    is_int(wh_group_create(&g, &spec, NULL, p, &res), APR_SUCCESS, "a group without counters");
    for (i = 0; i < 4; i++)
        pthread_create(&bad[i], NULL, bring_bad, g);
    is_int(run_threads(g, 16, 5, NULL, NULL, 0, outcomes), 0, "bad items among good ones");
    for (i = 0; i < 4; i++)
        pthread_join(bad[i], NULL);
    is_int(outcomes[WEBHOOK_ACCEPT_STORED], 80, "do not take the good ones down");
    fake_locked = 1;
    is_int(run_threads(g, 16, 2, NULL, NULL, 0, outcomes), 0, "when the lock cannot be had");
    is_int(outcomes[WEBHOOK_ACCEPT_FAILED], 32, "everybody is told");
    fake_locked = 0;
    is_int(wh_group_run(g, look_around, &ran), APR_ENOTIMPL, "run: returns what the call returned");
    is_int(ran, 1, "run: once");
    is_int(run_threads(g, 4, 2, NULL, NULL, 0, outcomes), 0, "and accepting goes on");
    is_int(outcomes[WEBHOOK_ACCEPT_STORED], 88, "for all");
    for (i = 0; i < 10000 && !__atomic_load_n(&fake_works, __ATOMIC_SEQ_CST); i++)
        usleep(1000);
    ok(__atomic_load_n(&fake_works, __ATOMIC_SEQ_CST) > 0, "the store's long work is done, on a handle of its own");
    apr_pool_destroy(p);
    is_int(fake_handles, 0, "which is closed when the group is, in the middle of it or not");
    i = fake_works;
    usleep(100000);
    is_int(fake_works, i, "and nothing works on");
    is_int(fake_wrong, 0, "enter and leave alternate, and nothing is accepted outside");
}

/* The same store, which writes apart from syncing: with its lock held nobody may wait for a sync, and nobody is told before one. */
static int sync_slow, sync_fails, sync_turn_held, sync_locked, sync_unsynced, sync_wrong, sync_syncs, sync_passes;

static apr_status_t sync_enter(webhook_store *s, webhook_result *res)
{
    apr_status_t rv = fake_enter(s, res);

    sync_locked = rv == APR_SUCCESS;
    return rv;
}

static void sync_leave(webhook_store *s)
{
    sync_locked = 0;
    fake_leave(s);
}

static apr_status_t sync_accept(webhook_store *s, webhook_accept *const *items, int count, apr_time_t now, webhook_result *res)
{
    (void)s, (void)items, (void)count, (void)now, (void)res;
    sync_wrong++; /* it would wait for a sync */
    return APR_EGENERAL;
}

static apr_status_t sync_write(webhook_store *s, webhook_accept *const *items, int count, apr_time_t now, webhook_sync *sync, webhook_result *res)
{
    apr_status_t rv = fake_accept(s, items, count, now, res);

    if (rv == APR_SUCCESS) {
        sync->number++;
        sync_unsynced++;
    }
    return rv;
}

static apr_status_t sync_turn(webhook_store *s, webhook_sync *sync)
{
    (void)s;
    sync_wrong += sync_locked + sync_turn_held + (sync->number != 0);
    sync_turn_held = sync_slow;
    return sync_slow ? APR_INCOMPLETE : APR_SUCCESS;
}

static apr_status_t sync_begin(webhook_store *s, webhook_sync *sync, webhook_result *res)
{
    (void)s, (void)res;
    sync_wrong += sync_locked + sync_turn_held + !sync->number;
    sync_turn_held = 1;
    return APR_INCOMPLETE;
}

static apr_status_t sync_end(const webhook_store_conf *conf, webhook_sync *sync, webhook_result *res)
{
    (void)conf;
    sync_wrong += sync_locked + !sync_turn_held;
    sync_turn_held = 0;
    if (!sync->number) {
        sync_passes++;
        return APR_SUCCESS;
    }
    sync_unsynced = 0;
    sync_syncs++;
    if (!sync_fails)
        return APR_SUCCESS;
    res->rv = APR_EGENERAL;
    res->reason = "store-failed";
    return APR_EGENERAL;
}

static void check_apart(void)
{
    static const webhook_store_provider apart = { .name = "apart", .open = fake_open, .enter = sync_enter, .leave = sync_leave, .accept = sync_accept,
                                                  .write = sync_write, .sync_turn = sync_turn, .sync_begin = sync_begin, .sync_end = sync_end };
    wh_store_spec spec = { "apart:", &apart, NULL };
    webhook_result res;
    int i;

    for (sync_slow = 0; sync_slow < 2; sync_slow++) {
        const char *disk = sync_slow ? "slow disk" : "fast disk";
        int outcomes[8] = { 0 };
        pthread_t bad[4];
        apr_pool_t *p;
        wh_group *g;

        fake_wrong = sync_syncs = 0;
        apr_pool_create(&p, fx_pool);
        is_int(wh_group_create(&g, &spec, NULL, p, &res), APR_SUCCESS, "%s: a group", disk);
        for (i = 0; i < 4; i++)
            pthread_create(&bad[i], NULL, bring_bad, g);
        is_int(run_threads(g, 16, 5, NULL, NULL, 0, outcomes), 0, "%s: bad items among good ones", disk);
        for (i = 0; i < 4; i++)
            pthread_join(bad[i], NULL);
        is_int(outcomes[WEBHOOK_ACCEPT_STORED], 80, "%s: do not take the good ones down", disk);
        is_int(sync_unsynced, 0, "%s: all was synced", disk);
        ok(sync_syncs > 0 && sync_syncs < 80, "%s: together (%d syncs)", disk, sync_syncs);
        sync_fails = 1;
        is_int(run_threads(g, 16, 2, NULL, NULL, 0, outcomes), 0, "%s: when the sync fails everybody is told why", disk);
        is_int(outcomes[WEBHOOK_ACCEPT_FAILED], 32, "%s: and that it has failed", disk);
        sync_fails = 0;
        fake_locked = 1;
        is_int(run_threads(g, 4, 2, NULL, NULL, 0, outcomes), 0, "%s: when the lock cannot be had", disk);
        fake_locked = 0;
        is_int(run_threads(g, 4, 2, NULL, NULL, 0, outcomes), 0, "%s: and accepting goes on", disk);
        is_int(outcomes[WEBHOOK_ACCEPT_STORED], 88, "%s: for all", disk);
        is_int(sync_wrong + fake_wrong, 0, "%s: nobody waits for a sync with the lock held", disk);
        apr_pool_destroy(p);
    }
    ok(sync_passes > 0, "a turn that nothing was written in is given back");
}

typedef struct running {
    wh_group *group;
    int inside, overlaps, calls;
} running;

static apr_status_t be_alone(void *baton, webhook_store *store, const webhook_store_provider *provider)
{
    running *r = baton;
    webhook_store_stats stats;
    webhook_result res;

    r->overlaps += __atomic_add_fetch(&r->inside, 1, __ATOMIC_SEQ_CST) != 1;
    r->calls += provider->stats(store, &stats, fx_pool, &res) == APR_SUCCESS;
    __atomic_sub_fetch(&r->inside, 1, __ATOMIC_SEQ_CST);
    return APR_SUCCESS;
}

static void *run_calls(void *data)
{
    running *r = data;
    int i;

    for (i = 0; i < 50; i++)
        wh_group_run(r->group, be_alone, r);
    return NULL;
}

static void check_run_beside_accepting(void)
{
    wh_store_spec *spec = fx_sqlite("beside", FX_PLAIN " lock-timeout=60s");
    int outcomes[8] = { 0 }, i;
    pthread_t caller[3];
    webhook_result res;
    apr_pool_t *p;
    running r;

    fx_init(spec, &res);
    apr_pool_create(&p, fx_pool);
    memset(&r, 0, sizeof r);
    wh_group_create(&r.group, spec, NULL, p, &res);
    for (i = 0; i < 3; i++)
        pthread_create(&caller[i], NULL, run_calls, &r);
    is_int(run_threads(r.group, 16, 10, NULL, NULL, 0, outcomes), 0, "accepting beside other calls");
    for (i = 0; i < 3; i++)
        pthread_join(caller[i], NULL);
    is_int(outcomes[WEBHOOK_ACCEPT_STORED], 160, "all stored");
    is_int(r.calls, 150, "all calls made");
    is_int(r.overlaps, 0, "one at a time");
    apr_pool_destroy(p);
}

int main(void)
{
    fx_begin();
    check_fake();
    check_apart();
    check_many();
    check_small_log();
    check_copies();
    check_big();
    check_absent();
    check_run_beside_accepting();
    return tap_done();
}
