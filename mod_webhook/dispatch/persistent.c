/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persistent.c: mode=persistent of the pipe handler: one long-lived program that gets envelope lines and answers in lines (see pipe.h).
 *
 * An attempt that was written to the program, even in part, ends only by an answer or with the program: finishing it earlier could give the
 * job to another while this program still works on it.
 */
#include "dispatch/pipe.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/envelope.h"
#include "core/json.h"
#include "core/log.h"
#include "core/reasons.h"
#include "core/units.h"
#include "dispatch/answers.h"

#define LINE_MAX_BYTES 65536 /* a longer answer is no answer */
#define ERROR_LINE_MAX 1024  /* standard error, per log message */
#define ERROR_LINES 20       /* log messages ... */
#define ERROR_PERIOD apr_time_from_sec(10) /* ... per period */
#define BACK_OFF_FIRST apr_time_from_sec(1)
#define BACK_OFF_MAX apr_time_from_sec(60)
#define CLOSE_WAIT apr_time_from_sec(1)
#define HANG_UP_WAIT apr_time_from_sec(1)
/* How long an attempt waits for a program that is being started again or does not read. With its timeout, which begins when it is written,
 * and the grace it must stay under the 60 s that leases are longer than timeouts. */
#define UNSENT_MAX apr_time_from_sec(30)

typedef struct item {
    struct item *next, **link; /* in the order started */
    wh_persistent *owner;
    webhook_attempt *attempt;
    const char *line; /* the envelope with its newline */
    apr_size_t len, off;
    int timed_out, timer;
} item;

typedef enum program_state { IDLE, RUNNING, ENDING, BACKING_OFF } program_state;

struct wh_persistent {
    const webhook_handler_conf *conf;
    const char *name;
    webhook_loop *loop;
    const webhook_services *services;
    char **env;
    apr_pool_t *run_pool; /* cleared at each start of the program */
    program_state state;
    wh_runner *runner;
    int in, out, err; /* our ends of the program's 0, 1, 2; -1: closed */
    int in_watched;
    wh_line_reader answers, errors;
    item *first, **tail;
    int restart_timer, overdue_timer, hang_up_timer, stopping, answered;
    apr_interval_time_t back_off;
    apr_time_t started, kill_at; /* monotonic; kill_at: 0 until stopped */
    const char *why, *hang_up_why; /* why it is being ended, constants */
    apr_time_t error_period;
    int error_lines;
};

static void launch(wh_persistent *h);
static void on_out(int fd, int revents, void *baton);
static void on_in(int fd, int revents, void *baton);

/* ---- attempts ---- */

static void item_finish(item *it, webhook_outcome outcome, int code, const char *reason, const char *detail,
                        apr_interval_time_t retry_after)
{
    wh_persistent *h = it->owner;
    webhook_attempt_result result;

    h->services->cancel(h->loop, it->timer);
    if ((*it->link = it->next))
        it->next->link = it->link;
    else
        h->tail = it->link;
    memset(&result, 0, sizeof(result));
    result.outcome = outcome;
    result.code = code;
    result.reason = reason;
    result.detail = detail;
    result.retry_after = retry_after;
    h->services->finish(h->loop, it->attempt, &result);
}

static item *item_find(wh_persistent *h, const char *id, apr_size_t len)
{
    item *it;

    for (it = h->first; it; it = it->next) {
        const char *have = it->attempt->lease->delivery->id;

        if (it->off == it->len && strlen(have) == len && !memcmp(have, id, len))
            return it;
    }
    return NULL;
}

/* ---- ending the program ---- */

static void close_pipe(wh_persistent *h, int *fd)
{
    if (*fd < 0)
        return;
    h->services->watch(h->loop, *fd, 0, NULL, NULL);
    close(*fd);
    *fd = -1;
}

static void gone(wh_persistent *h);

static void on_overdue(void *baton)
{
    wh_persistent *h = baton;

    h->overdue_timer = 0;
    h->services->log(h->loop, WH_LOG_WARNING, "WH0660: handler %s: the program could not be ended in time; its runner is killed", h->name);
    h->services->watch(h->loop, h->runner->fd, 0, NULL, NULL);
    wh_runner_kill(h->runner);
    gone(h);
}

static void end_program(wh_persistent *h, apr_interval_time_t grace, const char *why)
{
    if (h->state == RUNNING) {
        h->state = ENDING;
        h->why = why;
        h->overdue_timer = h->services->timer(h->loop, grace + WH_PIPE_PATIENCE, on_overdue, h);
    } else if (h->state != ENDING) {
        return;
    }
    wh_runner_stop(h->runner, grace);
}

static void on_item_timeout(void *baton)
{
    item *it = baton;
    wh_persistent *h = it->owner;

    it->timer = 0;
    if (it->off == 0) {
        item_finish(it, WEBHOOK_OUTCOME_RETRY, 0, wh_failure_NOT_STARTED,
                    h->state == RUNNING ? "the program does not read its standard input" : "the program is not running", 0);
        return;
    }
    it->timed_out = 1;
    if (h->state == RUNNING)
        h->services->log(h->loop, WH_LOG_WARNING, "WH0661: handler %s: the program did not answer delivery %s in time and is ended", h->name,
                         it->attempt->lease->delivery->id);
    end_program(h, WH_PIPE_GRACE, "the program did not answer a delivery in time and was ended");
}

static void on_hang_up(void *baton)
{
    wh_persistent *h = baton;

    h->hang_up_timer = 0;
    end_program(h, WH_PIPE_GRACE, h->hang_up_why);
}

/* It closed a pipe. Nearly always that is how its end shows first, and its exit status, which says more, is on its way. */
static void hang_up(wh_persistent *h, const char *why)
{
    if (h->state != RUNNING || h->hang_up_timer)
        return;
    h->hang_up_why = why;
    h->hang_up_timer = h->services->timer(h->loop, HANG_UP_WAIT, on_hang_up, h);
}

static void on_restart(void *baton)
{
    wh_persistent *h = baton;

    h->restart_timer = 0;
    h->state = IDLE;
    if (h->first)
        launch(h);
}

static void back_off(wh_persistent *h)
{
    if (h->stopping) {
        h->state = IDLE;
        return;
    }
    if (!h->back_off || h->answered || wh_monotonic() - h->started > BACK_OFF_MAX)
        h->back_off = BACK_OFF_FIRST;
    else if ((h->back_off *= 2) > BACK_OFF_MAX)
        h->back_off = BACK_OFF_MAX;
    h->state = BACKING_OFF;
    h->restart_timer = h->services->timer(h->loop, h->back_off, on_restart, h);
}

/* The program has ended and everything it wrote was read: what it had goes back. */
static void gone(wh_persistent *h)
{
    wh_runner_record last = h->runner->last;
    int not_started = last.kind == WH_RUNNER_NOT_STARTED, ended_by_us = h->state == ENDING, code = 0;
    int orderly = last.kind == WH_RUNNER_ENDED && last.status == 0;
    const char *reason = wh_failure_LOST, *text = "the program's runner was killed";
    item *it, *next;

    h->services->cancel(h->loop, h->overdue_timer);
    h->services->cancel(h->loop, h->hang_up_timer);
    h->overdue_timer = h->hang_up_timer = 0;
    close_pipe(h, &h->in);
    close_pipe(h, &h->out);
    close_pipe(h, &h->err);
    if (not_started) {
        reason = wh_failure_NOT_STARTED;
        text = apr_psprintf(h->run_pool, "%s: %s", wh_runner_step(last.step), strerror(last.error));
    } else if (last.kind == WH_RUNNER_ENDED) {
        reason = WIFSIGNALED(last.status) ? wh_failure_SIGNAL : wh_failure_EXIT;
        code = WIFSIGNALED(last.status) ? -WTERMSIG(last.status) : WEXITSTATUS(last.status);
        text = apr_pstrcat(h->run_pool, "the program ended: ", wh_pipe_status_text(last.status, h->run_pool), NULL);
    }
    if (!h->stopping)
        back_off(h);
    else
        h->state = IDLE;
    for (it = h->first; it; it = next) {
        next = it->next;
        if (h->stopping)
            item_finish(it, WEBHOOK_OUTCOME_RELEASED, 0, wh_failure_STOPPED, NULL, 0);
        else if (it->timed_out)
            item_finish(it, WEBHOOK_OUTCOME_RETRY, code, wh_failure_TIMEOUT, "no answer in time; the program was ended", 0);
        else if (it->off == 0 && !not_started)
            continue; /* it never saw this one */
        else if (ended_by_us)
            item_finish(it, WEBHOOK_OUTCOME_RETRY, code, wh_failure_PROTOCOL, h->why, 0);
        else
            item_finish(it, WEBHOOK_OUTCOME_RETRY, code, reason, apr_pstrdup(it->attempt->pool, text), 0);
    }
    if (!h->stopping)
        h->services->log(h->loop, orderly && !ended_by_us ? WH_LOG_INFO : WH_LOG_WARNING,
                         "WH0662: handler %s: %s%s; started again in %d s when needed", h->name, not_started ? "cannot start: " : "", text,
                         (int)apr_time_sec(h->back_off));
    h->runner = NULL;
}

static void on_runner(int fd, int revents, void *baton)
{
    wh_persistent *h = baton;

    (void)revents;
    if (!wh_runner_read(h->runner))
        return;
    h->services->watch(h->loop, fd, 0, NULL, NULL);
    wh_runner_end(h->runner);
    /* Answers it gave before it ended count. */
    if (h->out >= 0)
        on_out(h->out, WEBHOOK_WATCH_READ, h);
    gone(h);
}

/* ---- writing deliveries ---- */

static void watch_in(wh_persistent *h, int wanted)
{
    if (h->in < 0 || h->in_watched == wanted)
        return;
    h->in_watched = wanted;
    h->services->watch(h->loop, h->in, wanted ? WEBHOOK_WATCH_WRITE : 0, on_in, h);
}

static void pump(wh_persistent *h)
{
    item *it;

    if (h->state != RUNNING || h->in < 0)
        return;
    for (it = h->first; it; it = it->next) {
        while (it->off < it->len) {
            ssize_t n = write(h->in, it->line + it->off, it->len - it->off);

            if (n > 0) {
                if (!it->off) {
                    h->services->cancel(h->loop, it->timer);
                    it->timer = h->services->timer(h->loop, it->attempt->timeout, on_item_timeout, it);
                }
                it->off += (apr_size_t)n;
            } else if (n < 0 && errno == EAGAIN) {
                watch_in(h, 1);
                return;
            } else if (n < 0 && errno != EINTR) {
                close_pipe(h, &h->in);
                hang_up(h, "the program closed its standard input and was ended");
                return;
            }
        }
    }
    watch_in(h, 0);
}

static void on_in(int fd, int revents, void *baton)
{
    (void)fd;
    (void)revents;
    pump(baton);
}

/* ---- reading answers ---- */

static void ignore_line(wh_persistent *h, const char *line, apr_size_t len)
{
    apr_time_t now = wh_monotonic();

    if (now - h->error_period >= ERROR_PERIOD) {
        if (h->error_lines > ERROR_LINES)
            h->services->log(h->loop, WH_LOG_NOTICE, "WH0663: handler %s: %d more lines of the program were not logged", h->name,
                             h->error_lines - ERROR_LINES);
        h->error_period = now;
        h->error_lines = 0;
    }
    if (++h->error_lines <= ERROR_LINES)
        h->services->log(h->loop, WH_LOG_NOTICE, "WH0664: handler %s: the program says: %.*s", h->name,
                         (int)(len < ERROR_LINE_MAX ? len : ERROR_LINE_MAX), line);
}

static void on_answer(void *baton, const char *line, apr_size_t len)
{
    wh_persistent *h = baton;
    wh_answer said;
    apr_pool_t *p;
    item *it;

    if (len && line[len - 1] == '\r')
        len--;
    if (!len)
        return;
    /* Also when it is late, or a mistake: whose it would be cannot be known. */
    if (!wh_answer_parse(&said, line, len) || !(it = item_find(h, said.id.data, said.id.len))) {
        ignore_line(h, line, len);
        return;
    }
    h->answered = 1;
    p = it->attempt->pool;
    if (said.malformed)
        item_finish(it, WEBHOOK_OUTCOME_RETRY, 0, wh_failure_PROTOCOL,
                    apr_pstrcat(p, "malformed answer: ", wh_answer_words(line, len, p), NULL), 0);
    else if (said.outcome == WEBHOOK_OUTCOME_DONE)
        item_finish(it, said.outcome, 0, NULL, NULL, 0);
    else if (said.outcome == WEBHOOK_OUTCOME_RETRY)
        item_finish(it, said.outcome, 0, wh_failure_PROGRAM, "retry", said.retry_after);
    else
        item_finish(it, said.outcome, 0, wh_failure_PROGRAM, said.words.len ? wh_answer_words(said.words.data, said.words.len, p) : NULL, 0);
}

static void on_out(int fd, int revents, void *baton)
{
    wh_persistent *h = baton;
    int too_long, open;

    (void)revents;
    open = wh_read_lines(fd, &h->answers, on_answer, h, &too_long);
    if (too_long)
        end_program(h, WH_PIPE_GRACE, "the program wrote an answer without an end and was ended");
    if (!open) {
        close_pipe(h, &h->out);
        hang_up(h, "the program closed its standard output and was ended");
    }
}

static void on_error_line(void *baton, const char *line, apr_size_t len)
{
    ignore_line(baton, line, len);
}

static void on_err(int fd, int revents, void *baton)
{
    wh_persistent *h = baton;
    int too_long;

    (void)revents;
    if (!wh_read_lines(fd, &h->errors, on_error_line, h, &too_long))
        close_pipe(h, &h->err);
}

/* ---- starting ---- */

static void close_all(int pipes[3][2])
{
    int i;

    for (i = 0; i < 3; i++) {
        if (pipes[i][0] >= 0)
            close(pipes[i][0]);
        if (pipes[i][1] >= 0)
            close(pipes[i][1]);
    }
}

static void launch_failed(wh_persistent *h, apr_status_t rv)
{
    item *it, *next;

    h->answered = 0;
    back_off(h);
    h->services->log(h->loop, WH_LOG_WARNING, "WH0665: handler %s: the program cannot be started: %s", h->name, strerror(rv));
    for (it = h->first; it; it = next) {
        next = it->next;
        item_finish(it, WEBHOOK_OUTCOME_RETRY, 0, wh_failure_NOT_STARTED, apr_pstrdup(it->attempt->pool, strerror(rv)), 0);
    }
}

static void launch(wh_persistent *h)
{
    int pipes[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } }, theirs[3];
    wh_runner_job job;
    apr_status_t rv = APR_SUCCESS;
    int i;

    apr_pool_clear(h->run_pool);
    h->started = wh_monotonic();
    for (i = 0; i < 3 && rv == APR_SUCCESS; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) != 0)
            rv = errno;
    }
    if (rv == APR_SUCCESS) {
        theirs[0] = pipes[0][0];
        theirs[1] = pipes[1][1];
        theirs[2] = pipes[2][1];
        memset(&job, 0, sizeof(job));
        job.command = &h->conf->command;
        job.env = h->env;
        job.fds = theirs;
        job.grace = WH_PIPE_GRACE;
        rv = wh_runner_start(&h->runner, &job, h->run_pool);
    }
    if (rv != APR_SUCCESS) {
        close_all(pipes);
        launch_failed(h, rv);
        return;
    }
    for (i = 0; i < 3; i++)
        close(theirs[i]);
    h->in = pipes[0][1];
    h->out = pipes[1][0];
    h->err = pipes[2][0];
    (void)fcntl(h->in, F_SETFL, O_NONBLOCK);
    (void)fcntl(h->out, F_SETFL, O_NONBLOCK);
    (void)fcntl(h->err, F_SETFL, O_NONBLOCK);
    h->in_watched = 0;
    h->answers.len = h->errors.len = 0;
    h->answers.skipping = h->errors.skipping = 0;
    h->answered = 0;
    h->why = NULL;
    h->state = RUNNING;
    h->services->watch(h->loop, h->out, WEBHOOK_WATCH_READ, on_out, h);
    h->services->watch(h->loop, h->err, WEBHOOK_WATCH_READ, on_err, h);
    h->services->watch(h->loop, h->runner->fd, WEBHOOK_WATCH_READ, on_runner, h);
    pump(h);
}

/* ---- the handler ---- */

apr_status_t wh_persistent_open(wh_persistent **out, const webhook_handler_conf *conf, const char *name, webhook_loop *loop,
                                const webhook_services *services, apr_pool_t *p)
{
    wh_persistent *h = apr_pcalloc(p, sizeof(*h));

    h->conf = conf;
    h->name = apr_pstrdup(p, name);
    h->loop = loop;
    h->services = services;
    h->in = h->out = h->err = -1;
    h->tail = &h->first;
    h->env = apr_pcalloc(p, sizeof(char *) * 3);
    h->env[0] = apr_pstrcat(p, "PATH=", conf->path, NULL);
    h->env[1] = apr_pstrcat(p, "WEBHOOK_HANDLER=", name, NULL);
    h->answers.room = LINE_MAX_BYTES;
    h->answers.data = apr_palloc(p, h->answers.room);
    h->errors.room = ERROR_LINE_MAX;
    h->errors.data = apr_palloc(p, h->errors.room);
    apr_pool_create(&h->run_pool, p);
    *out = h;
    return APR_SUCCESS;
}

void wh_persistent_start(wh_persistent *h, webhook_attempt *attempt)
{
    const webhook_delivery *d = attempt->lease->delivery;
    webhook_slice body;
    item *it;
    apr_status_t rv = wh_delivery_body(d, &body, attempt->pool);

    if (rv != APR_SUCCESS) {
        wh_pipe_body_lost(h->loop, h->services, attempt, rv);
        return;
    }
    body = wh_format_line(h->conf->format, attempt, body);
    it = apr_pcalloc(attempt->pool, sizeof(*it));
    it->owner = h;
    it->attempt = attempt;
    it->line = body.data;
    it->len = body.len;
    it->link = h->tail;
    *h->tail = it;
    h->tail = &it->next;
    attempt->handler_data = it;
    it->timer = h->services->timer(h->loop, attempt->timeout < UNSENT_MAX ? attempt->timeout : UNSENT_MAX, on_item_timeout, it);
    if (h->state == IDLE)
        launch(h);
    else if (!h->in_watched)
        pump(h);
}

void wh_persistent_stop(wh_persistent *h, apr_interval_time_t kill_after)
{
    item *it, *next;

    h->stopping = 1;
    h->kill_at = wh_monotonic() + kill_after;
    if (h->restart_timer)
        h->services->cancel(h->loop, h->restart_timer);
    h->restart_timer = 0;
    if (h->state == BACKING_OFF)
        h->state = IDLE;
    close_pipe(h, &h->in);
    for (it = h->first; it; it = next) {
        next = it->next;
        if (it->off == 0 || h->state == IDLE)
            item_finish(it, WEBHOOK_OUTCOME_RELEASED, 0, wh_failure_STOPPED, NULL, 0);
    }
    end_program(h, kill_after, "stopped");
}

/* Wait for the runner's end of file without the loop. @return 1 when it is over */
static int wait_for_end(wh_persistent *h, apr_interval_time_t patience)
{
    apr_time_t until = wh_monotonic() + patience;

    for (;;) {
        apr_time_t left = until - wh_monotonic();
        struct pollfd pfd = { h->runner->fd, POLLIN, 0 };

        if (wh_runner_read(h->runner))
            return 1;
        if (left <= 0)
            return 0;
        (void)poll(&pfd, 1, (int)(left / 1000) + 1);
    }
}

void wh_persistent_close(wh_persistent *h)
{
    int over;

    if (h->restart_timer)
        h->services->cancel(h->loop, h->restart_timer);
    if (!h->runner)
        return;
    /* End of its input is its sign to leave; then as at a stop. Its last words on the pipes have no reader any more. */
    close_pipe(h, &h->in);
    h->services->cancel(h->loop, h->overdue_timer);
    h->services->cancel(h->loop, h->hang_up_timer);
    h->services->watch(h->loop, h->runner->fd, 0, NULL, NULL);
    over = wait_for_end(h, h->stopping ? h->kill_at + CLOSE_WAIT / 10 - wh_monotonic() : CLOSE_WAIT);
    if (!over && !h->stopping) {
        wh_runner_stop(h->runner, CLOSE_WAIT / 2);
        over = wait_for_end(h, CLOSE_WAIT);
    }
    if (over)
        wh_runner_end(h->runner);
    else
        wh_runner_kill(h->runner);
    close_pipe(h, &h->out);
    close_pipe(h, &h->err);
    h->runner = NULL;
    h->state = IDLE;
}
