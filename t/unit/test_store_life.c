/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store_life.c: the descriptor that shows that a lease owner lives. A process that keeps a copy of it keeps a killed dispatcher's
 * leases from being given away, and keeps nothing else: not the write lock that the dispatcher held when it was killed.
 */
#include "tap.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>

#define HANDLER "deploy"

static int reclaimed(const wh_store_spec *spec, webhook_store *s)
{
    webhook_result res;
    int count = 0;

    memset(&res, 0, sizeof res);
    if (spec->provider->reclaim(s, apr_time_now(), &count, &res) != APR_SUCCESS) {
        diag("reclaim: %s", res.detail);
        return -1;
    }
    return count;
}

/* What a runner is: a process that has only the life descriptor (and our pipe) and ends when told. */
static void runner(int life, int end)
{
    char c;
    int fd;

    for (fd = 3; fd < 256; fd++) {
        if (fd != life && fd != end)
            close(fd);
    }
    while (read(end, &c, 1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

/* A dispatcher: leases the job, starts a runner, takes the write lock for its next transaction and waits to be killed. */
static void dispatcher(const wh_store_spec *spec, int tell, int end)
{
    webhook_result res;
    webhook_store *s;
    apr_pool_t *p;
    pid_t pid;
    char ok = 'n';

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(&res, 0, sizeof res);
    apr_pool_create(&p, NULL);
    s = fx_open(spec, p);
    if (spec->provider->own(s, &res) == APR_SUCCESS && fx_lease(spec, s, HANDLER, 1, apr_time_now(), NULL)->nelts == 1
        && spec->provider->life_fd(s) >= 0) {
        pid = fork();
        if (pid == 0)
            runner(spec->provider->life_fd(s), end);
        close(end);
        if (pid > 0 && spec->provider->enter(s, &res) == APR_SUCCESS)
            ok = 'y';
    }
    if (write(tell, &ok, 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void check_life(void)
{
    wh_store_spec *spec = fx_sqlite("life", FX_PLAIN " lock-timeout=20s");
    webhook_result res;
    webhook_store *s;
    apr_array_header_t *leases;
    int tell[2], end[2], tries, got = 0;
    pid_t pid;
    char c = 'n';

    is_int(fx_init(spec, &res), APR_SUCCESS, "a store");
    if (pipe(tell) || pipe(end)) {
        ok(0, "pipes");
        return;
    }
    pid = fork();
    if (pid == 0) {
        webhook_store *mine;
        apr_pool_t *p;

        apr_pool_create(&p, NULL);
        mine = fx_open(spec, p);
        fx_accept(spec, mine, fx_small(p, "life", HANDLER, NULL, apr_time_now()), apr_time_now());
        apr_pool_destroy(p);
        close(tell[0]);
        close(end[1]);
        dispatcher(spec, tell[1], end[0]);
    }
    close(tell[1]);
    close(end[0]);
    ok(read(tell[0], &c, 1) == 1 && c == 'y', "a dispatcher has a lease, a runner and the write lock");

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    s = fx_open(spec, fx_pool);
    is_int(fx_accept(spec, s, fx_small(fx_pool, "other", HANDLER, NULL, apr_time_now()), apr_time_now()), WEBHOOK_ACCEPT_STORED,
           "after its death the write lock is free though the runner lives");
    is_int(reclaimed(spec, s), 0, "its lease is not taken back while the runner lives");
    leases = fx_lease(spec, s, HANDLER, 10, apr_time_now(), NULL);
    is_int(leases->nelts, 1, "only the other job can be leased");

    close(end[1]); /* ends the runner; it is not our child: wait for what can be seen */
    for (tries = 0; tries < 3000 && !got; tries++) {
        got = reclaimed(spec, s);
        if (!got)
            usleep(10000);
    }
    is_int(got, 1, "it is when the runner has ended");
    leases = fx_lease(spec, s, HANDLER, 10, apr_time_now(), NULL);
    ok(leases->nelts == 1 && FX_LEASE(leases, 0)->attempt == 2, "and the job is started again, as its second attempt");
    close(tell[0]);
}

/* Nobody owns anything before own(); the number is somebody else's after another own(). */
static void check_descriptor(void)
{
    wh_store_spec *spec = fx_sqlite("descriptor", NULL);
    webhook_result res;
    webhook_store *a, *b;

    fx_init(spec, &res);
    a = fx_open(spec, fx_pool);
    b = fx_open(spec, fx_pool);
    is_int(spec->provider->life_fd(a), -1, "no owner, no descriptor");
    memset(&res, 0, sizeof res);
    is_int(spec->provider->own(a, &res), APR_SUCCESS, "one owner");
    is_int(spec->provider->own(b, &res), APR_SUCCESS, "another");
    ok(spec->provider->life_fd(a) >= 0 && spec->provider->life_fd(b) >= 0 && spec->provider->life_fd(a) != spec->provider->life_fd(b),
       "each has its own descriptor");
    ok(fcntl(spec->provider->life_fd(a), F_GETFD) & FD_CLOEXEC, "which programs do not inherit");
}

int main(void)
{
    fx_begin();
    check_life();
    check_descriptor();
    return tap_done();
}
