/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.c: the dispatcher's side of a program that runs (see runner.h): it starts the runner, hears what that reports, stops it and reaps
 * it. What happens behind the fork is runner_process.c.
 */
#include "dispatch/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dispatch/runner_process.h"

static int hold_fd = -1;

void wh_runner_hold(int fd)
{
    hold_fd = fd;
}

apr_status_t wh_runner_start(wh_runner **out, const wh_runner_job *job, apr_pool_t *p)
{
    wh_runner *r = apr_pcalloc(p, sizeof(*r));
    sigset_t all, before;
    int ends[2], err;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return errno;
    /* No handler of the server may run in the runner. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = wh_runner_fork();
    err = errno;
    if (pid == 0)
        wh_runner_process(job, ends[1], hold_fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err;
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    r->pid = pid;
    r->fd = ends[0];
    r->pool = p;
    r->capture = job->fds ? 0 : job->capture;
    r->last.kind = WH_RUNNER_LOST;
    *out = r;
    return APR_SUCCESS;
}

/* A record or its output is complete, or the next part is wanted. @return where to read to, *room bytes; 0 room: only EOF is left */
static char *next_part(wh_runner *r, apr_size_t *room)
{
    if (!r->have_record) {
        *room = sizeof(r->in) - r->in_len;
        return (char *)&r->in + r->in_len;
    }
    *room = r->last.output_len - r->out_len;
    return (char *)(uintptr_t)r->output.data + r->out_len;
}

static void took(wh_runner *r, apr_size_t n)
{
    if (r->have_record) {
        r->out_len += n;
        r->output.len = r->out_len;
        return;
    }
    r->in_len += n;
    if (r->in_len < sizeof(r->in))
        return;
    r->in_len = 0;
    if (r->in.kind == WH_RUNNER_STARTED) {
        r->group = r->in.group;
        return;
    }
    r->have_record = 1;
    r->last = r->in;
    if (r->last.output_len > r->capture)
        r->last.output_len = (unsigned)r->capture;
    r->output.data = r->last.output_len ? apr_palloc(r->pool, r->last.output_len) : "";
    r->output.len = 0;
}

int wh_runner_read(wh_runner *r)
{
    for (;;) {
        char spill[64];
        apr_size_t room;
        char *to = next_part(r, &room);
        ssize_t n = room ? read(r->fd, to, room) : read(r->fd, spill, sizeof(spill));

        if (n > 0) {
            if (room)
                took(r, (apr_size_t)n);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        /* End of file; ECONNRESET is the same, when the runner left without reading a "stop". */
        return 1;
    }
}

static void reap(wh_runner *r)
{
    if (r->pid > 0) {
        while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        r->pid = 0;
    }
}

void wh_runner_end(wh_runner *r)
{
    /* A runner that was killed leaves its program behind (the program's own death signal reaches it alone, not its children). */
    if (!r->have_record && r->group > 0)
        kill(-r->group, SIGKILL);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    reap(r);
}

void wh_runner_stop(wh_runner *r, apr_interval_time_t kill_after)
{
    uint32_t ms = (uint32_t)(kill_after > 0 ? kill_after / 1000 : 0);

    /* A full socket would mean that many earlier stops wait to be read. */
    if (r->fd >= 0)
        (void)!send(r->fd, &ms, sizeof(ms), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void wh_runner_kill(wh_runner *r)
{
    if (r->fd >= 0)
        (void)wh_runner_read(r); /* learn the group if it is not known yet */
    if (r->group > 0 && r->pid > 0)
        kill(-r->group, SIGKILL);
    if (r->pid > 0)
        kill(r->pid, SIGKILL);
    r->have_record = 0;
    r->last.kind = WH_RUNNER_LOST;
    r->output.len = 0;
    wh_runner_end(r);
}
