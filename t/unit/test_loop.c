/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatcher's loop: timers in order, watches that change while they are served, libcurl's transfers beside them.
 */
#include <apr_general.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/units.h"
#include "dispatch/loop.h"
#include "tap.h"

static webhook_loop *loop;
static const webhook_services *const sv = &wh_loop_services;
static char trail[4096];

static void note(const char *text)
{
    size_t n = strlen(trail);

    snprintf(trail + n, sizeof(trail) - n, "%s", text);
}

static void on_timer(void *baton)
{
    note(baton);
}

static void spin_until_idle(void)
{
    apr_time_t end = wh_monotonic() + apr_time_from_sec(120);

    while (wh_loop_timers(loop) && wh_monotonic() < end)
        wh_loop_once(loop, apr_time_from_sec(1));
}

static int chained;

static void on_chain(void *baton)
{
    (void)baton;
    if (++chained < 5)
        sv->timer(loop, 0, on_chain, NULL);
}

static void timers(void)
{
    int a, b, i, handles[500], wrong = 0;
    apr_time_t t0 = wh_monotonic();

    trail[0] = '\0';
    sv->timer(loop, apr_time_from_msec(400), on_timer, (void *)"c"); /* far apart: the clock goes on while they are armed */
    sv->timer(loop, apr_time_from_msec(10), on_timer, (void *)"a");
    a = sv->timer(loop, apr_time_from_msec(15), on_timer, (void *)"X");
    b = sv->timer(loop, apr_time_from_msec(200), on_timer, (void *)"b");
    ok(a > 0 && b > 0 && a != b, "handles are positive and differ");
    sv->cancel(loop, a);
    spin_until_idle();
    is_str(trail, "abc", "timers run in the order of their time, a cancelled one does not");
    ok(wh_monotonic() - t0 >= apr_time_from_msec(400), "not before their time");

    trail[0] = '\0';
    sv->timer(loop, 0, on_timer, (void *)"n");
    sv->cancel(loop, a);
    sv->cancel(loop, b);
    sv->cancel(loop, 0);
    sv->cancel(loop, -1);
    sv->cancel(loop, 0x7fffffff);
    is_int(wh_loop_timers(loop), 1, "old handles cancel nothing, even when their slot is used again");
    spin_until_idle();
    is_str(trail, "n", "the new timer ran");

    chained = 0;
    sv->timer(loop, 0, on_chain, NULL);
    wh_loop_once(loop, 0);
    ok(chained >= 1 && chained < 5, "a timer that arms itself does not keep the loop");
    spin_until_idle();
    is_int(chained, 5, "and runs on in later turns");

    for (i = 0; i < 500; i++)
        handles[i] = sv->timer(loop, apr_time_from_sec(100 + (i * 7919) % 500), on_timer, (void *)"!");
    for (i = 0; i < 500; i += 2)
        sv->cancel(loop, handles[i]);
    for (i = 1; i < 500; i += 2) {
        int n = wh_loop_timers(loop);

        sv->cancel(loop, handles[i]);
        wrong += wh_loop_timers(loop) != n - 1;
        sv->cancel(loop, handles[i]);
        wrong += wh_loop_timers(loop) != n - 1;
    }
    is_int(wrong, 0, "500 timers cancelled in mixed order, each once");
}

static int pipes[3][2];

static void on_read(int fd, int revents, void *baton)
{
    char c[8];

    ok(revents & WEBHOOK_WATCH_READ, "readable");
    (void)!read(fd, c, sizeof(c));
    note(baton);
}

/* Serving either pipe closes the other, whose event may be waiting in the same batch, and reopens its number. */
static int served[2], strangers;
static int fresh[2];

static void on_stranger(int fd, int revents, void *baton)
{
    (void)fd;
    (void)revents;
    (void)baton;
    strangers++;
}

static void on_either(int fd, int revents, void *baton)
{
    int me = *(int *)baton, other = !me;
    char c;

    (void)revents;
    served[me]++;
    (void)!read(fd, &c, 1);
    if (served[other])
        return;
    sv->watch(loop, pipes[other][0], 0, NULL, NULL);
    close(pipes[other][0]);
    if (pipe(fresh) != 0)
        return;
    sv->watch(loop, fresh[0], WEBHOOK_WATCH_READ, on_stranger, NULL);
}

static void on_write(int fd, int revents, void *baton)
{
    if (revents & WEBHOOK_WATCH_WRITE)
        note(baton);
    sv->watch(loop, fd, 0, NULL, NULL);
}

static void watches(void)
{
    int i, number[2] = { 0, 1 };

    trail[0] = '\0';
    for (i = 0; i < 3; i++)
        (void)!pipe(pipes[i]);
    sv->watch(loop, pipes[2][0], WEBHOOK_WATCH_READ, on_read, (void *)"x");
    sv->watch(loop, pipes[2][0], WEBHOOK_WATCH_READ, on_read, (void *)"y");
    is_int(wh_loop_watches(loop), 1, "a second watch of a descriptor replaces the first");
    (void)!write(pipes[2][1], "1", 1);
    wh_loop_once(loop, apr_time_from_sec(60));
    is_str(trail, "y", "the replacing callback is called");
    sv->watch(loop, pipes[2][0], 0, NULL, NULL);
    sv->watch(loop, pipes[2][0], 0, NULL, NULL);
    sv->watch(loop, -1, WEBHOOK_WATCH_READ, on_read, NULL);
    sv->watch(loop, 100000, 0, NULL, NULL);
    is_int(wh_loop_watches(loop), 0, "removing twice, or what was never there, does nothing");
    (void)!write(pipes[2][1], "1", 1);
    wh_loop_once(loop, 0);
    is_str(trail, "y", "no callback after removal");

    sv->watch(loop, pipes[2][1], WEBHOOK_WATCH_WRITE, on_write, (void *)"w");
    wh_loop_once(loop, apr_time_from_sec(60));
    is_str(trail, "yw", "writable");
    close(pipes[2][0]);
    sv->watch(loop, pipes[2][1], WEBHOOK_WATCH_WRITE, on_write, (void *)"e");
    wh_loop_once(loop, apr_time_from_sec(60));
    is_str(trail, "ywe", "a writer hears that its reader is gone");

    for (i = 0; i < 2; i++) {
        sv->watch(loop, pipes[i][0], WEBHOOK_WATCH_READ, on_either, &number[i]);
        (void)!write(pipes[i][1], "1", 1);
    }
    wh_loop_once(loop, apr_time_from_sec(60));
    is_int(served[0] + served[1], 1, "a callback that removes another's watch is obeyed at once");
    is_int(strangers, 0, "an event of the old descriptor does not reach the new one of the same number");
    sv->watch(loop, pipes[served[0] ? 0 : 1][0], 0, NULL, NULL);
    (void)!write(fresh[1], "1", 1);
    wh_loop_once(loop, apr_time_from_sec(60));
    is_int(strangers, 1, "its own event does");
    sv->watch(loop, fresh[0], 0, NULL, NULL);
    is_int(wh_loop_watches(loop), 0, "nothing is left");
}

static int many_seen;

static void on_many(int fd, int revents, void *baton)
{
    char c;

    (void)revents;
    (void)baton;
    (void)!read(fd, &c, 1);
    many_seen++;
    sv->watch(loop, fd, 0, NULL, NULL);
}

static void many(void)
{
    struct rlimit rl;
    int i, n = 2000, fds[2000][2], turns = 0;

    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max < 8192 ? rl.rlim_max : 8192;
    setrlimit(RLIMIT_NOFILE, &rl);
    if (rl.rlim_cur < 4100)
        n = ((int)rl.rlim_cur - 100) / 2;
    for (i = 0; i < n; i++) {
        if (pipe(fds[i]) != 0)
            break;
        sv->watch(loop, fds[i][0], WEBHOOK_WATCH_READ, on_many, NULL);
        (void)!write(fds[i][1], "1", 1);
    }
    n = i;
    while (many_seen < n && turns++ < 10000)
        wh_loop_once(loop, apr_time_from_msec(100));
    is_int(many_seen, n, "%d descriptors at once, numbers over 1024", n);
    for (i = 0; i < n; i++) {
        close(fds[i][0]);
        close(fds[i][1]);
    }
}

typedef struct transfer {
    webhook_curl_done done; /* first */
    CURL *easy;
    int ended, result;
} transfer;

static void on_done(webhook_curl_done *self, int result)
{
    transfer *t = (transfer *)self;

    t->ended = 1;
    t->result = result;
    curl_multi_remove_handle(sv->curl_multi(loop), t->easy);
}

static void transfers(void)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(sin);
    transfer t = { { on_done }, NULL, 0, 0 };
    apr_time_t end = wh_monotonic() + apr_time_from_sec(120);
    int s = socket(AF_INET, SOCK_STREAM, 0), p[2];
    char url[64];

    /* bound but not listening: refused */
    bind(s, (struct sockaddr *)&sin, sizeof(sin));
    getsockname(s, (struct sockaddr *)&sin, &len);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(sin.sin_port));
    ok(sv->curl_multi(loop) != NULL, "a multi handle is made when asked for");
    ok(sv->curl_multi(loop) == sv->curl_multi(loop), "and shared");
    t.easy = curl_easy_init();
    curl_easy_setopt(t.easy, CURLOPT_URL, url);
    curl_easy_setopt(t.easy, CURLOPT_PRIVATE, &t);
    curl_easy_setopt(t.easy, CURLOPT_NOSIGNAL, 1L);
    curl_multi_add_handle(sv->curl_multi(loop), t.easy);
    while (!t.ended && wh_monotonic() < end)
        wh_loop_once(loop, apr_time_from_sec(1));
    is_int(t.result, CURLE_COULDNT_CONNECT, "its completion comes through CURLOPT_PRIVATE");
    curl_easy_cleanup(t.easy);
    close(s);

    trail[0] = '\0';
    (void)!pipe(p);
    sv->watch(loop, p[0], WEBHOOK_WATCH_READ, on_read, (void *)"p");
    (void)!write(p[1], "1", 1);
    wh_loop_once(loop, apr_time_from_sec(60));
    is_str(trail, "p", "descriptors are served beside libcurl");
    sv->watch(loop, p[0], 0, NULL, NULL);
    sv->timer(loop, apr_time_from_msec(5), on_timer, (void *)"t");
    spin_until_idle();
    is_str(trail, "pt", "timers too");
}

static void sink(void *baton, int level, apr_status_t rv, const char *text)
{
    (void)rv;
    snprintf(baton, 100, "%d %s", level, text);
}

static void on_finish(void *baton, webhook_attempt *attempt, const webhook_attempt_result *result)
{
    note(baton);
    is_str(attempt->handler_name, "h", "finish passes the attempt");
    is_int(result->outcome, WEBHOOK_OUTCOME_DONE, "and the result");
}

int main(void)
{
    webhook_attempt attempt = { .handler_name = "h" };
    webhook_attempt_result result = { .outcome = WEBHOOK_OUTCOME_DONE };
    char logged[100] = "";
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    is_int(wh_loop_create(&loop, on_finish, (void *)"F", p), APR_SUCCESS, "created");
    timers();
    watches();
    many();
    transfers();
    trail[0] = '\0';
    sv->finish(loop, &attempt, &result);
    is_str(trail, "F", "finish reaches the dispatcher");
    wh_log_set(sink, logged, WH_LOG_INFO);
    sv->log(loop, WH_LOG_INFO, "WH9999: %s", "text");
    is_str(logged, "6 WH9999: text", "log reaches the log");
    apr_pool_destroy(p);
    apr_terminate();
    return tap_done();
}
