/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_power.c: what a power cut leaves. Several processes of threads accept, repeat and lease at once. fdatasync(2) is this program's own and
 * takes down how long the write-ahead log was when each sync began: that much of it, and no more, is sure to be on the disk when that sync has
 * returned. For every answer, duplicates and leases too, the database is then opened with only the log that was sure at that moment, and what
 * was answered must be in it.
 */
#include "tap.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "store/group.h"
#include "store/sqlite.h"

#define PROCESSES 3
#define THREADS 12
#define EACH 25
#define NOTES 4000

typedef struct note {
    char id[WH_ID_LEN + 1];
    char what; /* 's'tored, 'd'uplicate, 'l'eased */
    off_t sure; /* bytes of the log that were sure when it was said */
} note;

static struct shared {
    int stop, leaser;
    off_t sure;  /* the most that any sync that has returned had before it */
    int syncs, notes;
    note note[NOTES];
} *sh;

static int is_log(int fd)
{
    char link[64], path[512];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path);
    return n > 4 && memcmp(path + n - 4, "-wal", 4) == 0;
}

int fdatasync(int fd)
{
    struct stat st;
    int rc, log = sh && is_log(fd) && fstat(fd, &st) == 0;

    rc = (int)syscall(SYS_fdatasync, fd);
    if (rc == 0 && log) {
        off_t now = __atomic_load_n(&sh->sure, __ATOMIC_SEQ_CST);

        usleep(1000); /* a slower disk, so that more is written meanwhile */
        while (now < st.st_size && !__atomic_compare_exchange_n(&sh->sure, &now, st.st_size, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            ;
        __atomic_fetch_add(&sh->syncs, 1, __ATOMIC_RELAXED);
    }
    return rc;
}

static void say(const char *id, char what)
{
    off_t sure = __atomic_load_n(&sh->sure, __ATOMIC_SEQ_CST);
    int n = __atomic_fetch_add(&sh->notes, 1, __ATOMIC_RELAXED);

    if (n >= NOTES)
        return;
    memcpy(sh->note[n].id, id, WH_ID_LEN + 1);
    sh->note[n].what = what;
    sh->note[n].sure = sure;
}

static void *bring(void *data)
{
    wh_group *g = data;
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, NULL);
    for (i = 0; i < EACH; i++) {
        /* every process brings the same keys, so that one often answers for what another has just written */
        const char *key = i % 3 ? NULL : apr_psprintf(p, "key %d", i);
        fx_item *it = fx_make(p, fx_body, sizeof fx_body - 1, key, "h", NULL, apr_time_now());
        webhook_accept_outcome o = wh_group_accept(g, &it->accept, p);

        if (o == WEBHOOK_ACCEPT_STORED || o == WEBHOOK_ACCEPT_DUPLICATE)
            say(it->accept.first_id, o == WEBHOOK_ACCEPT_STORED ? 's' : 'd');
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

static int child(const wh_store_spec *spec)
{
    pthread_t id[THREADS];
    webhook_result res;
    apr_pool_t *p;
    wh_group *g;
    int i;

    apr_pool_create(&p, NULL);
    if (wh_group_create(&g, spec, NULL, p, &res) != APR_SUCCESS)
        return 1;
    for (i = 0; i < THREADS; i++)
        pthread_create(&id[i], NULL, bring, g);
    for (i = 0; i < THREADS; i++)
        pthread_join(id[i], NULL);
    apr_pool_destroy(p);
    return 0;
}

static int leaser(const wh_store_spec *spec)
{
    webhook_result res;
    webhook_store *s;
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, NULL);
    s = fx_open(spec, p);
    if (spec->provider->own(s, &res) != APR_SUCCESS)
        return 1;
    __atomic_store_n(&sh->leaser, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&sh->stop, __ATOMIC_SEQ_CST)) {
        apr_array_header_t *l = fx_lease(spec, s, "h", 8, apr_time_now(), NULL);

        for (i = 0; i < l->nelts; i++) {
            say(FX_LEASE(l, i)->delivery->id, 'l');
            if (i % 2)
                fx_settle(spec, s, FX_LEASE(l, i), WEBHOOK_OUTCOME_DONE, 0, apr_time_now());
        }
        usleep(200);
    }
    apr_pool_destroy(p);
    return 0;
}

static void copy(const char *from, const char *to, off_t len)
{
    static char buf[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n;

    while (len && (n = read(in, buf, len < (off_t)sizeof buf ? (size_t)len : sizeof buf)) > 0 && write(out, buf, (size_t)n) == n)
        len -= n;
    close(in);
    close(out);
}

/* Answers given when `sure` bytes were sure that are not in them. */
static int missing(off_t sure, int what[3])
{
    const char *at = fx_path("image");
    apr_array_header_t *rows;
    wh_store_spec *spec;
    apr_pool_t *p;
    webhook_store *s;
    webhook_query q;
    int i, k, bad = 0;

    fx_remove(apr_psprintf(fx_pool, "%s/image", fx_dir));
    mkdir(apr_psprintf(fx_pool, "%s/image", fx_dir), 0700);
    copy(fx_path("begun"), at, 1 << 30);
    copy(apr_pstrcat(fx_pool, fx_path("power"), "-wal", NULL), apr_pstrcat(fx_pool, at, "-wal", NULL), sure);
    spec = fx_sqlite("image", FX_PLAIN);
    apr_pool_create(&p, fx_pool);
    s = fx_open(spec, p);
    memset(&q, 0, sizeof q);
    q.limit = 100000;
    rows = fx_list(spec, s, &q);
    for (k = 0; k < sh->notes; k++) {
        const note *n = &sh->note[k];
        int found = 0;

        if (n->sure != sure)
            continue;
        for (i = 0; i < rows->nelts && !found; i++)
            found = strcmp(FX_ROW(rows, i)->delivery.id, n->id) == 0;
        if (!found) {
            bad++;
            what[n->what == 's' ? 0 : n->what == 'd' ? 1 : 2]++;
        }
    }
    apr_pool_destroy(p);
    return bad;
}

int main(void)
{
    wh_store_spec *spec;
    webhook_result res;
    int lost[3] = { 0, 0, 0 };
    int i, k, status, failed = 0, bad = 0, images = 0, said[3] = { 0, 0, 0 };
    off_t *seen;
    pid_t lease;

    fx_begin();
    spec = fx_sqlite("power", FX_PLAIN " lock-timeout=60s wal-limit=1G");
    is_int(fx_init(spec, &res), APR_SUCCESS, "a store");
    mkdir(apr_psprintf(fx_pool, "%s/begun", fx_dir), 0700);
    copy(fx_path("power"), fx_path("begun"), 1 << 30);
    sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if ((lease = fork()) == 0)
        _exit(leaser(spec));
    while (!__atomic_load_n(&sh->leaser, __ATOMIC_SEQ_CST))
        usleep(1000);
    for (i = 0; i < PROCESSES; i++) {
        if (fork() == 0)
            _exit(child(spec));
    }
    for (i = 0; i < PROCESSES; i++)
        failed += wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    __atomic_store_n(&sh->stop, 1, __ATOMIC_SEQ_CST);
    failed += waitpid(lease, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    is_int(failed, 0, "%d processes of %d threads, and one that leases", PROCESSES, THREADS);

    seen = apr_palloc(fx_pool, sizeof *seen * NOTES);
    for (k = 0; k < sh->notes && k < NOTES; k++) {
        said[sh->note[k].what == 's' ? 0 : sh->note[k].what == 'd' ? 1 : 2]++;
        for (i = 0; i < images && seen[i] != sh->note[k].sure; i++)
            ;
        if (i == images)
            seen[images++] = sh->note[k].sure;
    }
    ok(sh->notes > 0 && sh->notes < NOTES && said[0] > 500 && said[1] > 150 && said[2] > 10, "%d stored, %d duplicates, %d leased; %d syncs", said[0],
       said[1], said[2], sh->syncs);
    ok(sh->syncs < said[0] + said[1], "fewer syncs than answers");
    for (i = 0; i < images; i++)
        bad += missing(seen[i], lost);
    ok(images > 20, "the log as it was sure at %d moments", images);
    is_int(lost[0], 0, "has every delivery that was acknowledged by then");
    is_int(lost[1], 0, "and every one that a repetition was answered with");
    is_int(lost[2], 0, "and every one that was leased");
    is_int(bad, 0, "nothing is missing");
    return tap_done();
}
