/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatcher over the memory store with a handler made for the test. The store's table is wrapped, so that its calls can fail, hang
 * or be looked at.
 */
#include <signal.h>
#include <sys/syscall.h>

#include "dispatch_harness.h"

static void all_done(void)
{
    scene s = scene_begin();
    wh_handler_counters *c = wh_counters_handler(s.counters, 0);
    int i;

    for (i = 0; i < 50; i++)
        deliver(&s, "slow-done", 'a');
    fake.leave_after = 50;
    is_int(dispatch(&s), 0, "it leaves in order");
    is_int(fx_stats(s.spec, s.store).done, 50, "50 jobs are done");
    is_int(fake.started, 50, "each was started once");
    is_int(fake.open_max, 4, "four at a time");
    ok(fake.flushed > 0 && fake.flushed <= fake.started, "flush after the starts of a turn");
    is_int(fake.closed, 1, "the handler was closed");
    is_int(c->attempts, 50, "counted: attempts");
    is_int(c->done, 50, "counted: done");
    ok(c->busy_usec >= 50 * 20000, "counted: time");
    ok(hook.turns < 150, "settling and leasing share transactions (%d for 50 jobs)", hook.turns);
    scene_end(&s);

    s = scene_begin();
    s.def.concurrency = 1;
    for (i = 0; i < 26; i++)
        deliver(&s, "slow-done", (char)('a' + i));
    fake.leave_after = 26;
    is_int(dispatch(&s), 0, "concurrency 1");
    is_int(fake.open_max, 1, "never two at a time");
    is_str(fake.order, "abcdefghijklmnopqrstuvwxyz", "in the order they came");
    scene_end(&s);
}

static void outcomes(void)
{
    scene s = scene_begin();
    wh_handler_counters *c = wh_counters_handler(s.counters, 0);
    fx_item *ahead;
    const char *done = deliver(&s, "done", 'a'), *retry = deliver(&s, "retry", 'b'), *dead = deliver(&s, "dead", 'c');
    const webhook_job_row *j;
    apr_time_t before = apr_time_now();

    fake.leave_after = 3;
    dispatch(&s);
    j = job_of(&s, done);
    is_str(j->state, "done", "done");
    is_int(attempt_of(j, 0)->output.len, 4, "with its output");
    j = job_of(&s, retry);
    is_str(j->state, "retry", "retry");
    is_str(j->reason, "exit-status", "with its reason");
    ok(j->due >= before + SECONDS(1) && j->due <= apr_time_now() + SECONDS(10), "due within the policy");
    is_int(attempt_of(j, 0)->code, 3, "and code");
    is_str(attempt_of(j, 0)->detail, "as told", "and detail");
    j = job_of(&s, dead);
    is_str(j->state, "dead", "dead");
    is_int(c->retried, 1, "counted: retried");
    is_int(c->dead, 1, "counted: dead");
    ok(strstr(logged, "<5>WH0614") != NULL, "a dead letter is logged");
    ok(strstr(logged, "<6>WH0615") != NULL, "a retry is logged");
    ok(!strstr(logged, "<4>") && !strstr(logged, "<3>"), "neither is a warning");
    scene_end(&s);

    s = scene_begin();
    s.def.retry.within = 0;
    retry = deliver(&s, "retry", 'a');
    fake.leave_after = 1;
    dispatch(&s);
    j = job_of(&s, retry);
    is_str(j->state, "dead", "a retry that the policy gives up is dead");
    is_str(j->reason, "exit-status", "its reason stays that of the attempt");
    is_str(attempt_of(j, 0)->detail, "as told; expired after 1 attempt", "its detail says so");
    scene_end(&s);

    s = scene_begin();
    s.def.retry.first = s.def.retry.cap = SECONDS(1);
    retry = deliver(&s, "flaky", 'a');
    fake.leave_after = 2;
    dispatch(&s);
    j = job_of(&s, retry);
    is_str(j->state, "done", "a second attempt is made when it is due");
    is_int(j->attempts, 2, "with the next number");
    ok(attempt_of(j, 1)->started - attempt_of(j, 0)->ended >= SECONDS(1), "not before");
    scene_end(&s);

    s = scene_begin();
    ahead = fx_small(s.pool, NULL, "h", NULL, apr_time_now() + SECONDS(31536000));
    fx_accept(s.spec, s.store, ahead, ahead->d.received);
    deliver(&s, "done", 'a');
    fake.leave_after = 1;
    dispatch(&s);
    ok(job_of(&s, ahead->id)->due <= apr_time_now() + wh_retry_default.cap, "accepted by a clock that was set back since: due within the cap");
    scene_end(&s);
}

static void lost_bodies(void)
{
    scene s = scene_begin();
    fx_item *i = fx_small(s.pool, NULL, "h", NULL, apr_time_now());
    const webhook_job_row *j;

    i->d.event = "done";
    i->d.body.data = NULL;
    i->d.body.len = 0;
    i->d.body_file = "/nonexistent/body";
    fx_accept(s.spec, s.store, i, apr_time_now());
    deliver(&s, "close", 'b');
    dispatch(&s);
    j = job_of(&s, i->id);
    if (j && !strcmp(j->state, "dead"))
        is_str(j->reason, "body-lost", "a body file that is gone: dead with its reason");
    else
        skip("the memory store keeps bodies itself");
    is_int(fake.started, 1 + (j && strcmp(j->state, "dead")), "its handler never saw it");
    scene_end(&s);
}

static void store_away(void)
{
    scene s = scene_begin();
    int i;

    for (i = 0; i < 20; i++)
        deliver(&s, i % 2 ? "slow-done" : "done", 'a');
    hook.fail_owns = 2;
    hook.fail_turns = 2;
    hook.fail_settles = 3;
    fake.leave_after = 20;
    is_int(dispatch(&s), 0, "a store that fails now and then");
    is_int(fx_stats(s.spec, s.store).done, 20, "every settlement arrives in the end");
    is_int(fake.started, 20, "nothing was tried twice");
    is_int(s.counters->store_errors, 7, "the failures are counted");
    ok(!strstr(logged, "<4>"), "short troubles are no warning");
    is_int(wh_counters_handler(s.counters, 0)->fenced, 0, "nothing was fenced");
    scene_end(&s);

    s = scene_begin();
    deliver(&s, "done", 'a');
    deliver(&s, "close", 'b');
    hook.fail_settles = 7; /* 50 100 200 400 800 1600 3200 ms */
    dispatch(&s);
    is_int(fx_stats(s.spec, s.store).done, 2, "a store away for seconds");
    ok(strstr(logged, "<4>WH0610") != NULL, "is a warning");
    ok(strstr(logged, "<5>WH0611") != NULL, "its return is told");
    scene_end(&s);
}

static void fenced(void)
{
    scene s = scene_begin();
    const char *id = deliver(&s, "close", 'a');
    const webhook_job_row *j;

    hook.steal = 1;
    dispatch(&s);
    j = job_of(&s, id);
    is_int(wh_counters_handler(s.counters, 0)->fenced, 1, "a result whose lease was lost is counted");
    is_int(wh_counters_handler(s.counters, 0)->done, 0, "and not recorded");
    ok(j && strcmp(j->state, "done"), "the job is as its new owner wants it (%s)", j ? j->state : "?");
    is_str(attempt_of(j, 0)->outcome, "lost", "its attempt is lost");
    scene_end(&s);
}

static void drains(void)
{
    scene s = scene_begin();
    const char *ids[6];
    int i, queued = 0;

    s.def.concurrency = 2;
    for (i = 0; i < 6; i++)
        ids[i] = deliver(&s, i == 1 ? "close" : "slow-done", (char)('a' + i));
    is_int(dispatch(&s), 0, "a drain while attempts are open");
    is_str(job_of(&s, ids[0])->state, "done", "what was open is finished");
    is_str(job_of(&s, ids[1])->state, "done", "all of it");
    for (i = 2; i < 6; i++)
        queued += !strcmp(job_of(&s, ids[i])->state, "queued") && job_of(&s, ids[i])->attempts == 0;
    is_int(queued, 4, "the rest was not touched");
    is_int(fake.stopped, 0, "nothing was stopped");
    scene_end(&s);

    s = scene_begin();
    for (i = 0; i < 4; i++)
        ids[i] = deliver(&s, "done", 'a');
    hook.close_after_lease = lifeline[1];
    lifeline[1] = -1;
    is_int(dispatch(&s), 0, "a drain between lease and start");
    is_int(fake.started, 0, "nothing was started");
    for (i = queued = 0; i < 4; i++)
        queued += !strcmp(job_of(&s, ids[i])->state, "queued") && job_of(&s, ids[i])->attempts == 0
            && job_of(&s, ids[i])->attempt_rows->nelts == 0;
    is_int(queued, 4, "the jobs are back with their attempt numbers");
    is_int(wh_counters_handler(s.counters, 0)->attempts, 0, "no attempt is counted");
    scene_end(&s);

    s = scene_begin();
    fake.fail_open = 1;
    deliver(&s, "done", 'a');
    s.conf.drain_max = apr_time_from_msec(100);
    close_lifeline();
    is_int(dispatch(&s), 0, "a drain with a handler that cannot be opened");
    is_int(fx_stats(s.spec, s.store).queued, 1, "its job waits");
    scene_end(&s);

    s = scene_begin();
    deliver(&s, "hold", 'a');
    ids[0] = deliver(&s, "close", 'b');
    s.conf.drain_max = SECONDS(2);
    is_int(dispatch(&s), 0, "a drain that takes too long becomes a stop");
    is_int(fake.stopped, 1, "the handler was told");
    is_int(wh_counters_handler(s.counters, 0)->released, 1, "its attempt is released");
    is_str(job_of(&s, ids[0])->state, "done", "what could finish did");
    scene_end(&s);
}

/* Whether to try it again: the machine may stand still for a while, and what is out of time is cut, but not ten times. */
static int again(int *tries, int good, const char *name)
{
    if (!good && ++*tries < 10)
        return 1;
    ok(good, "%s", name);
    return 0;
}

static int released(scene *s, const char *id)
{
    const webhook_job_row *j = job_of(s, id);
    const webhook_attempt_row *a = j ? attempt_of(j, 0) : NULL;

    return a && !strcmp(a->outcome, "released");
}

static void stop_open(void)
{
    int tries = 0, good;

    do {
        scene s = scene_begin();
        const char *a = deliver(&s, "hold", 'a');

        deliver(&s, "done", 'b');
        hook.fail_settles = 2;
        fake.die_after = apr_time_from_msec(300);
        is_int(dispatch(&s), 0, "a stop with an open attempt");
        good = apr_time_now() - died < SECONDS(3) && released(&s, a);
        is_int(fake.stopped, 1, "the handler was told");
        ok(fake.kill_after > 0 && fake.kill_after <= SECONDS(2), "and how long it has until KILL");
        if (good) {
            ok(job_of(&s, a)->due <= apr_time_now(), "its attempt is ready at once");
            is_int(job_of(&s, a)->attempts, 1, "the attempt number stays used");
        }
        scene_end(&s);
    } while (again(&tries, good, "it leaves within three seconds, and its attempt is released"));
}

static void stop_deaf(void)
{
    int tries = 0, good;

    do {
        scene s = scene_begin();
        const char *a = deliver(&s, "hold", 'a');

        fake.deaf = 1;
        fake.die_after = apr_time_from_msec(300);
        is_int(dispatch(&s), 0, "a handler that does not stop does not keep the dispatcher");
        good = apr_time_now() - died < SECONDS(4) && released(&s, a) && fake.closed == 1;
        scene_end(&s);
    } while (again(&tries, good, "its attempt is released by force within four seconds, and the handler closed"));
}

static void stop_hung(void)
{
    int tries = 0, good;

    do {
        scene s = scene_begin();
        int status = -1, hung[2];
        char c;
        pid_t pid;

        deliver(&s, "slow-done", 'a');
        hook.hang_turn = 1;
        (void)!pipe2(hung, O_CLOEXEC);
        hook.hung = hung[1];
        pid = fork();
        if (pid == 0) {
            close_life();
            close_lifeline();
            s.conf.lifeline_fd = -1;
            _exit(dispatch(&s));
        }
        close(hung[1]);
        is_int(read(hung[0], &c, 1), 1, "a store call hangs for ever");
        close(hung[0]);
        close_life();
        waitpid(pid, &status, 0);
        good = apr_time_now() - died < SECONDS(5);
        is_int(status, 0, "that does not keep the dispatcher");
        scene_end(&s);
    } while (again(&tries, good, "it left within five seconds"));
}

static void stops(void)
{
    scene s = scene_begin();
    const char *b;

    deliver(&s, "hold", 'a');
    hook.close_after_lease = -1;
    b = deliver(&s, "done", 'b');
    fake.leave_after = 0;
    /* closed before it starts: stop with nothing open */
    close_life();
    is_int(dispatch(&s), 0, "a stop before anything began");
    is_int(fake.started, 0, "nothing is started");
    is_str(job_of(&s, b)->state, "queued", "jobs stay queued");
    scene_end(&s);

    s = scene_begin();
    deliver(&s, "hold", 'a');
    fake.deaf = 1;
    {
        int fd;
        pid_t pid = fork();

        if (pid == 0)
            for (;;)
                pause();
        fd = (int)syscall(SYS_pidfd_open, pid, 0);
        s.conf.parent_pidfd = fd;
        kill(pid, SIGKILL);
        if (fd < 0) { /* no such call here (valgrind, a strict sandbox): then life alone tells */
            skip("a pidfd: no pidfd_open here");
            skip("the parent is dead: no pidfd_open here");
        }
        else {
            ok(1, "a pidfd");
            is_int(dispatch(&s), 0, "the parent is dead");
        }
        waitpid(pid, NULL, 0);
        close(fd);
    }
    scene_end(&s);

    stop_open();
    stop_deaf();
    stop_hung();
}

static void warnings(void)
{
    scene s = scene_begin();
    fx_item *i = fx_small(s.pool, NULL, "gone", NULL, apr_time_now());

    fx_accept(s.spec, s.store, i, apr_time_now());
    deliver(&s, "close", 'a');
    dispatch(&s);
    ok(strstr(logged, "<4>WH0619") && strstr(logged, "handler gone"), "jobs of a handler that is not configured: a warning");
    is_int(fx_stats(s.spec, s.store).queued, 1, "they wait");
    scene_end(&s);
}

/* Rows come while it waits; the byte may come from another process. */
static void wakes(void)
{
    scene s = scene_begin();
    int wake[2];
    char c;
    pid_t pid;

    (void)!pipe2(wake, O_CLOEXEC | O_NONBLOCK);
    s.conf.wake_fd = wake[0];
    deliver(&s, "done", 'a');
    fake.leave_after = 1;
    pid = fork();
    if (pid == 0) {
        int n;

        for (n = 0; n < 5000; n++)
            (void)!write(wake[1], "w", 1);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    close(wake[1]);
    is_int(dispatch(&s), 0, "5000 wake bytes at once, then their end");
    is_int(fx_stats(s.spec, s.store).done, 1, "no harm done");
    ok(read(wake[0], &c, 1) <= 0, "they were read");
    close(wake[0]);
    scene_end(&s);
}

/* ---- a store that makes up leases, for endurance ---- */

static struct {
    apr_int64_t made, settled, wrong;
    apr_int64_t stop_at;
    long rss_early, rss_late;
} flood;

static long rss_kib(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static apr_status_t flood_turn(webhook_store *st, webhook_settlement *const *settled, int settled_count, const webhook_lease_want *wants,
                               int want_count, apr_time_t now, apr_array_header_t *leases, apr_time_t *next_due, apr_pool_t *p,
                               webhook_result *res)
{
    static char body[7700];
    int i, n;

    (void)st;
    (void)res;
    *next_due = 0;
    for (i = 0; i < settled_count; i++) {
        settled[i]->applied = 1;
        flood.settled++;
        flood.wrong += settled[i]->token != settled[i]->job * 3 || settled[i]->output.len != 4;
    }
    if (!flood.rss_early && flood.settled > flood.stop_at / 10)
        flood.rss_early = rss_kib();
    if (flood.settled >= flood.stop_at)
        close_lifeline();
    for (i = 0; i < want_count && flood.settled < flood.stop_at; i++) {
        for (n = 0; n < wants[i].max; n++) {
            webhook_lease *l = apr_pcalloc(p, sizeof(*l));
            webhook_delivery *d = apr_pcalloc(p, sizeof(*d));

            d->id = "01890000-0000-7000-8000-000000000000";
            d->endpoint = d->scheme = d->method = "x";
            d->event = flood.made % 3 ? "done" : flood.made % 2 ? "retry" : "dead";
            d->uri = "/z";
            d->remote_addr = "192.0.2.1";
            d->body_sha256 = "";
            d->body.data = apr_pmemdup(p, body, sizeof(body));
            d->body.len = sizeof(body);
            d->body_len = sizeof(body);
            l->job = ++flood.made;
            l->token = l->job * 3;
            l->attempt = 1;
            l->created = now;
            l->handler = "h";
            l->delivery = d;
            APR_ARRAY_PUSH(leases, webhook_lease *) = l;
        }
    }
    return APR_SUCCESS;
}

static void endurance(void)
{
    scene s = scene_begin();
    apr_time_t t0 = apr_time_now();

    wh_log_set(NULL, NULL, 0);
    memset(&flood, 0, sizeof(flood));
    flood.stop_at = 200000;
    wrapped.turn = flood_turn;
    s.def.concurrency = 32;
    is_int(dispatch(&s), 0, "200,000 attempts");
    flood.rss_late = rss_kib();
    is_int(flood.settled, flood.made, "each was settled once");
    is_int(flood.wrong, 0, "with its own token and output");
    ok(flood.rss_late <= flood.rss_early + flood.rss_early / 10, "memory stays flat (%ld KiB after a tenth, %ld KiB at the end)",
       flood.rss_early, flood.rss_late);
    diag("%d attempts per second without a store", (int)(flood.settled * 1000 / ((apr_time_now() - t0) / 1000 + 1)));
    wh_log_set(log_sink, NULL, WH_LOG_DEBUG);
    scene_end(&s);
}

int main(void)
{
    fx_begin();
    wh_log_set(log_sink, NULL, WH_LOG_DEBUG);
    all_done();
    outcomes();
    lost_bodies();
    store_away();
    fenced();
    drains();
    stops();
    warnings();
    wakes();
    endurance();
    ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "no child is left, dead or alive");
    return tap_done();
}
