/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_crash.c: writers that are SIGKILLed at any moment. Each acknowledged delivery is written to a ledger after its commit returned; after
 * every cycle all of them must be in the store, and the store must be sound. One writer of four also leases, settles and reclaims.
 *
 *   STORE_CRASH_CYCLES=n   cycles (default 40)      STORE_CRASH_SEED=n
 */
#include "tap.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>

#include "store/sqlite.h"

#define WRITERS 4

static void random_step(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
}

/* One line per acknowledgement: one write(2), which a SIGKILL does not tear. */
static void writer(const wh_store_spec *spec, int ledger, int number, unsigned seed)
{
    char *body = apr_pcalloc(fx_pool, 200000);
    webhook_store *s;
    webhook_result res;
    apr_pool_t *p;

    apr_pool_create(&p, NULL);
    s = fx_open(spec, p);
    if (number == 0)
        spec->provider->own(s, &res);
    for (;;) {
        apr_pool_t *turn;
        webhook_accept *items[8];
        fx_item *made[8];
        apr_time_t now = apr_time_now();
        int n, i;

        random_step(&seed);
        n = 1 + (int)(seed >> 16) % 8;
        apr_pool_create(&turn, p);
        for (i = 0; i < n; i++) {
            random_step(&seed);
            made[i] = fx_make(turn, body, (seed >> 16) % 20 ? 700 : 100000, (seed >> 20) % 2 ? apr_psprintf(turn, "%u", seed % 500) : NULL,
                              (seed >> 22) % 5 ? "h" : NULL, (seed >> 24) % 2 ? "g" : NULL, now);
            if ((seed >> 22) % 5 == 0)
                made[i]->accept.handlers = made[i]->accept.handler_count ? made[i]->handlers : NULL;
            items[i] = &made[i]->accept;
        }
        if (spec->provider->accept(s, items, n, now, &res) == APR_SUCCESS) {
            for (i = 0; i < n; i++) {
                char line[WH_ID_LEN + 2];
                if (items[i]->outcome == WEBHOOK_ACCEPT_FAILED)
                    continue;
                memcpy(line, items[i]->first_id, WH_ID_LEN);
                line[WH_ID_LEN] = '\n';
                if (write(ledger, line, WH_ID_LEN + 1) != WH_ID_LEN + 1)
                    _exit(1);
            }
        }
        if (number == 0) {
            apr_array_header_t *l;
            int count, more;

            spec->provider->reclaim(s, now, &count, &res);
            l = fx_lease(spec, s, "h", 5, now, NULL);
            for (i = 0; i < l->nelts; i++)
                fx_settle(spec, s, FX_LEASE(l, i), (webhook_outcome)(WEBHOOK_OUTCOME_DONE + i % 4), now + 1000, now);
            random_step(&seed);
            if ((seed >> 16) % 10 == 0)
                spec->provider->maintain(s, now, &more, turn, &res);
        }
        apr_pool_destroy(turn);
    }
}

static int ledger_missing(const wh_store_spec *spec, const char *path, off_t *from, int *acked, apr_pool_t *p)
{
    webhook_store *s = fx_open(spec, p);
    char line[WH_ID_LEN + 1];
    int fd = open(path, O_RDONLY), missing = 0;

    while (pread(fd, line, sizeof line, *from) == (ssize_t)sizeof line) {
        webhook_query q;
        apr_array_header_t *rows = apr_array_make(p, 1, sizeof(webhook_row *));
        webhook_result res;

        line[WH_ID_LEN] = '\0';
        memset(&q, 0, sizeof q);
        q.id = line;
        q.limit = 1;
        if (spec->provider->list(s, &q, rows, p, &res) != APR_SUCCESS || rows->nelts != 1)
            missing++;
        ++*acked;
        *from += (off_t)sizeof line;
    }
    close(fd);
    return missing;
}

int main(void)
{
    const char *cycles_text = getenv("STORE_CRASH_CYCLES"), *seed_text = getenv("STORE_CRASH_SEED"), *problem = NULL, *ledger_path;
    int cycles = cycles_text ? (int)strtol(cycles_text, NULL, 10) : 40, cycle, i, ledger, missing = 0, acked = 0, unsound = 0;
    unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 10) : (unsigned)apr_time_now();
    wh_store_spec *spec;
    webhook_result res;
    off_t from = 0;
    apr_pool_t *p;

    fx_begin();
    diag("seed %u", seed);
    spec = fx_sqlite("crash", FX_PLAIN " lock-timeout=30s wal-limit=1M");
    ledger_path = apr_psprintf(fx_pool, "%s/ledger", fx_dir);
    is_int(fx_init(spec, &res), APR_SUCCESS, "init");
    ledger = open(ledger_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    for (cycle = 0; cycle < cycles && !missing && !unsound; cycle++) {
        pid_t pid[WRITERS];

        for (i = 0; i < WRITERS; i++) {
            random_step(&seed);
            pid[i] = fork();
            if (pid[i] == 0)
                writer(spec, ledger, i, seed);
        }
        random_step(&seed);
        usleep(15000 + (seed >> 16) % 30000);
        for (i = 0; i < WRITERS; i++) {
            kill(pid[i], SIGKILL);
            if ((seed >> i) & 1)
                usleep(1000);
        }
        for (i = 0; i < WRITERS; i++)
            waitpid(pid[i], NULL, 0);
        apr_pool_create(&p, fx_pool);
        missing += ledger_missing(spec, ledger_path, &from, &acked, p);
        apr_pool_destroy(p);
        if (cycle % 10 == 9 || cycle == cycles - 1) {
            apr_pool_create(&p, fx_pool);
            wh_sqlite_check(fx_path("crash"), &problem, p);
            if (problem) {
                diag("cycle %d: %s", cycle, problem);
                unsound++;
            }
            apr_pool_destroy(p);
        }
    }
    is_int(missing, 0, "%d cycles: none of %d acknowledged deliveries is missing", cycle, acked);
    is_int(unsound, 0, "and the store is sound");
    ok(acked >= cycles, "and there were some");
    apr_pool_create(&p, fx_pool);
    {
        webhook_store *s = fx_open(spec, p);
        int n;
        is_int(spec->provider->reclaim(s, apr_time_now(), &n, &res), APR_SUCCESS, "leases of the dead are taken back");
        is_int(fx_stats(spec, s).leased, 0, "all of them");
        wh_sqlite_check(fx_path("crash"), &problem, p);
        is_str(problem, NULL, "and the store is still sound");
    }
    apr_pool_destroy(p);
    return tap_done();
}
