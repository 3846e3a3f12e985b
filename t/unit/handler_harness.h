/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of handlers: a temporary directory with scripts in it, a handler opened on a loop, attempts made up and started, their
 * results kept. Stands where the dispatcher would.
 */
#ifndef HANDLER_HARNESS_H
#define HANDLER_HARNESS_H

#include <apr_general.h>
#include <apr_strings.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/encoding.h"
#include "core/log.h"
#include "core/reasons.h"
#include "core/units.h"
#include "dispatch/dispatch.h"
#include "dispatch/handlers.h"
#include "dispatch/loop.h"
#include "tap.h"

#define SECONDS(n) apr_time_from_sec(n)
#define CEILING SECONDS(60) /* how long anything here may take before it counts as hanging; shorter than what programs here sleep */

typedef struct tried {
    webhook_attempt attempt; /* first */
    webhook_lease lease;
    webhook_delivery delivery;
    apr_pool_t *pool;        /* the result's copy too */
    int ended;
    apr_time_t started, finished;
    webhook_attempt_result result;
} tried;

static apr_pool_t *top;
static webhook_loop *loop;
static char dir[] = "/tmp/wh-handler-XXXXXX";
static char logged[65536];
static int ended_count;

TAP_UNUSED static void log_sink(void *baton, int level, apr_status_t rv, const char *text)
{
    size_t n = strlen(logged);

    (void)baton;
    (void)rv;
    snprintf(logged + n, sizeof(logged) - n, "<%d>%s\n", level, text);
}

TAP_UNUSED static void on_ended(void *baton, webhook_attempt *attempt, const webhook_attempt_result *r)
{
    tried *t = (tried *)attempt;

    (void)baton;
    t->ended++;
    ended_count++;
    t->finished = wh_monotonic();
    t->result = *r;
    t->result.reason = r->reason ? apr_pstrdup(t->pool, r->reason) : NULL;
    t->result.detail = r->detail ? apr_pstrdup(t->pool, r->detail) : NULL;
    t->result.output.data = apr_pstrmemdup(t->pool, r->output.len ? r->output.data : "", r->output.len);
    apr_pool_destroy(t->attempt.pool);
}

TAP_UNUSED static void harness_begin(void)
{
    apr_initialize();
    apr_pool_create(&top, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(dir))
        exit(1);
    chmod(dir, 0755);
    wh_log_set(log_sink, NULL, WH_LOG_DEBUG);
    if (wh_loop_create(&loop, on_ended, NULL, top) != APR_SUCCESS)
        exit(1);
}

TAP_UNUSED static void remove_tree(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char name[4200];

    while (d && (e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        if (unlink(name) != 0)
            remove_tree(name);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

TAP_UNUSED static int harness_end(void)
{
    remove_tree(dir);
    apr_pool_destroy(top);
    apr_terminate();
    return tap_done();
}

/* A file in the directory; text may hold anything. @return its path */
TAP_UNUSED static const char *put_file(const char *name, const char *text, size_t len, mode_t mode)
{
    const char *path = apr_pstrcat(top, dir, "/", name, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    if (fd < 0 || write(fd, text, len) != (ssize_t)len || fchmod(fd, mode) != 0)
        exit(1);
    close(fd);
    return path;
}

/* A shell script; in its text the directory is ${0%/...}, so write $D. @return its path */
TAP_UNUSED static const char *script(const char *name, const char *text)
{
    const char *all = apr_pstrcat(top, "#!/bin/sh\nD=", dir, "\n", text, NULL);

    return put_file(name, all, strlen(all), 0755);
}

TAP_UNUSED static const char *file_text(const char *name)
{
    const char *path = apr_pstrcat(top, dir, "/", name, NULL);
    struct stat st;
    char *text;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return "";
    fstat(fd, &st);
    text = apr_pcalloc(top, (apr_size_t)st.st_size + 1);
    if (read(fd, text, (size_t)st.st_size) != st.st_size)
        text[0] = '\0';
    close(fd);
    return text;
}

/* "a=1 b=2" as options; values without spaces. */
TAP_UNUSED static apr_array_header_t *options_of(const char *words)
{
    apr_array_header_t *options = apr_array_make(top, 4, sizeof(webhook_option));
    char *state, *word, *text = apr_pstrdup(top, words);

    for (word = apr_strtok(text, " ", &state); word; word = apr_strtok(NULL, " ", &state)) {
        webhook_option *o = apr_array_push(options);
        char *eq = strchr(word, '=');

        *eq = '\0';
        o->name = word;
        o->value = eq + 1;
    }
    return options;
}

typedef struct opened {
    wh_handler_def *def;
    webhook_handler *handler;
    apr_pool_t *pool;
} opened;

/* Define and open; a problem ends the test program. */
TAP_UNUSED static opened open_handler(const webhook_handler_provider *provider, const char *target, const char *words)
{
    webhook_result res;
    opened o;
    const char *err;

    apr_pool_create(&o.pool, top);
    err = wh_handler_define(&o.def, provider, "h", target, options_of(words), top, top);
    if (err || provider->open(&o.handler, o.def->conf, o.def->name, loop, &wh_loop_services, o.pool, &res) != APR_SUCCESS) {
        diag("cannot open %s: %s", target, err ? err : "open failed");
        exit(1);
    }
    return o;
}

TAP_UNUSED static void close_handler(opened *o)
{
    o->def->provider->close(o->handler);
    apr_pool_destroy(o->pool);
}

/* An attempt that is not started yet: change its delivery before start_attempt. */
TAP_UNUSED static tried *make_attempt(const opened *o, const char *body, size_t len)
{
    static int serial;
    apr_pool_t *p;
    char sha[65];
    tried *t;

    apr_pool_create(&p, top);
    t = apr_pcalloc(p, sizeof(*t));
    t->pool = p;
    apr_pool_create(&t->attempt.pool, top);
    wh_sha256_hex(sha, body, len);
    t->delivery.id = apr_psprintf(p, "01890000-0000-7000-8000-%012d", ++serial);
    t->delivery.endpoint = "github";
    t->delivery.scheme = "github";
    t->delivery.verified = 1;
    t->delivery.key_id = "2026";
    t->delivery.event = "push";
    t->delivery.sender_id = "72d3162e-cc78-11e3-81ab-4c9367dc0958";
    t->delivery.received = apr_time_from_sec(1700000000) + 123456;
    t->delivery.remote_addr = "192.0.2.1";
    t->delivery.method = "POST";
    t->delivery.uri = "/hooks/github?x=1&y=%20z";
    t->delivery.content_type = "application/json";
    t->delivery.headers.data = "Content-Type: application/json\r\n";
    t->delivery.headers.len = strlen(t->delivery.headers.data);
    t->delivery.body.data = body;
    t->delivery.body.len = len;
    t->delivery.body_len = (apr_off_t)len;
    t->delivery.body_sha256 = apr_pstrdup(p, sha);
    t->lease.job = serial;
    t->lease.attempt = 1;
    t->lease.handler = "h";
    t->lease.delivery = &t->delivery;
    t->attempt.lease = &t->lease;
    t->attempt.handler_name = "h";
    t->attempt.timeout = o->def->timeout;
    t->attempt.capture = (apr_size_t)o->def->capture;
    return t;
}

TAP_UNUSED static void start_attempt(const opened *o, tried *t)
{
    t->started = wh_monotonic();
    o->def->provider->start(o->handler, &t->attempt);
}

TAP_UNUSED static tried *begin_attempt(const opened *o, const char *body)
{
    tried *t = make_attempt(o, body, strlen(body));

    start_attempt(o, t);
    return t;
}

TAP_UNUSED static int wait_ended(const tried *t)
{
    apr_time_t end = wh_monotonic() + CEILING;

    while (!t->ended && wh_monotonic() < end)
        wh_loop_once(loop, SECONDS(1));
    return t->ended == 1;
}

/* Run the loop until the file in the directory has some text. */
TAP_UNUSED static int wait_file(const char *name)
{
    apr_time_t end = wh_monotonic() + CEILING;

    while (!*file_text(name) && wh_monotonic() < end)
        wh_loop_once(loop, apr_time_from_msec(10));
    return *file_text(name) != '\0';
}

/* Run the loop until the file in the directory has that in it. */
TAP_UNUSED static int wait_text(const char *name, const char *text)
{
    apr_time_t end = wh_monotonic() + CEILING;

    while (!strstr(file_text(name), text) && wh_monotonic() < end)
        wh_loop_once(loop, apr_time_from_msec(10));
    return strstr(file_text(name), text) != NULL;
}

TAP_UNUSED static tried *run_attempt(const opened *o, const char *body)
{
    tried *t = begin_attempt(o, body);

    wait_ended(t);
    return t;
}

/* Whether a process exists and is not a zombie. */
TAP_UNUSED static int is_alive(pid_t pid)
{
    char path[64], line[256] = "";
    const char *state;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (read(fd, line, sizeof(line) - 1) <= 0)
        line[0] = '\0';
    close(fd);
    state = strrchr(line, ')');
    return state && state[1] == ' ' && state[2] != 'Z' && state[2] != 'X';
}

/* Wait until it is gone, at most for the ceiling. @return 1 if it went */
TAP_UNUSED static int goes_away(pid_t pid)
{
    apr_time_t end = wh_monotonic() + CEILING;

    while (is_alive(pid) && wh_monotonic() < end)
        apr_sleep(5000);
    return !is_alive(pid);
}

TAP_UNUSED static pid_t pid_in(const char *name)
{
    return (pid_t)strtol(file_text(name), NULL, 10);
}

/* No child is left, not even a dead one. */
TAP_UNUSED static int no_children(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

TAP_UNUSED static int count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

#endif
