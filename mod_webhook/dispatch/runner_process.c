/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_process.c: the runner itself, from its fork to its exit: it starts the program, feeds and supervises it and reports (see runner.h).
 * All of this runs after a fork in a process that may have had threads, and makes async-signal-safe calls only: no malloc, no stdio, no APR.
 */
#include "dispatch/runner_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a program's children may still write after it has ended. */
#define COLLECT_USEC 200000

/* How long a killed program may take to vanish before an abandoned runner stops waiting for it (it then hangs in the kernel). */
#define VANISH_USEC 1000000

enum { STEP_RUNNER = 0, STEP_PIPE, STEP_FORK, STEP_CHDIR, STEP_LIMIT, STEP_PRIVILEGES, STEP_EXEC, STEP_INPUT, STEP_MEMORY, STEP_COUNT };
static const char *const step_names[STEP_COUNT] = {
    "starting the runner", "pipe", "fork", "chdir", "setrlimit", "no_new_privs", "exec", "feeding standard input", "memory"
};

/* Descriptors in the runner, moved to fixed places so that one close_range closes all others. */
enum { FD_CONTROL = 3, FD_HOLD, FD_IN, FD_OUT, FD_ERR, FD_END };

const char *wh_runner_step(unsigned step)
{
    return step < STEP_COUNT ? step_names[step] : "unknown step";
}

pid_t wh_runner_fork(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    return _Fork();
#else
    return fork();
#endif
}

typedef struct state {
    const wh_runner_job *job;
    pid_t pid;                   /* of the program, also its group */
    int in, out, failure;        /* pipe ends, -1: closed */
    apr_size_t fed;
    char *kept;
    wh_runner_record record;
    int exited, terminated, killed, abandoned;
    int64_t over_at, kill_at, collect_until, give_up_at; /* monotonic microseconds, 0: none */
} state;

static int64_t clock_usec(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void on_sigchld(int sig)
{
    (void)sig; /* its arrival ends ppoll */
}

static void close_from(int first)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0) == 0)
        return;
#endif
    {
        struct rlimit rl;
        int fd, end = 1 << 20;

        if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < (rlim_t)end)
            end = (int)rl.rlim_cur;
        for (fd = first; fd < end; fd++)
            close(fd);
    }
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* the dispatcher is gone, nobody wants to know */
        data += n;
        len -= (size_t)n;
    }
}

static void report(state *s, unsigned kind)
{
    s->record.kind = kind;
    send_all(FD_CONTROL, (const char *)&s->record, sizeof(s->record));
    if (kind != WH_RUNNER_STARTED && s->record.output_len)
        send_all(FD_CONTROL, s->kept, s->record.output_len);
}

static void __attribute__((noreturn)) not_started(state *s, unsigned step, int err)
{
    s->record.step = step;
    s->record.error = err;
    report(s, WH_RUNNER_NOT_STARTED);
    _exit(0);
}

/* Take the descriptors worth keeping to their places and close everything else the dispatcher had open. */
static int arrange_descriptors(const wh_runner_job *job, int control, int hold)
{
    int from[FD_END - FD_CONTROL], i, null;

    from[0] = control;
    from[1] = hold;
    for (i = 0; i < 3; i++)
        from[2 + i] = job->fds ? job->fds[i] : -1;
    /* First above all places, then into them: no move may overwrite one that is still to be moved. */
    for (i = 0; i < FD_END - FD_CONTROL; i++) {
        if (from[i] >= 0 && (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FD_END)) < 0)
            return 0;
    }
    for (i = 0; i < FD_END - FD_CONTROL; i++) {
        if (from[i] < 0)
            close(FD_CONTROL + i);
        else if (dup3(from[i], FD_CONTROL + i, O_CLOEXEC) < 0)
            return 0;
    }
    close_from(FD_END);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return 0;
    for (i = 0; i < 3; i++) {
        if (dup2(null, i) < 0)
            return 0;
    }
    if (null > 2)
        close(null);
    return 1;
}

static void __attribute__((noreturn)) fail_exec(int failure, unsigned step)
{
    int what[2];

    what[0] = (int)step;
    what[1] = errno;
    (void)!write(failure, what, sizeof(what));
    _exit(127);
}

static void __attribute__((noreturn)) exec_program(const wh_runner_job *job, const int fds[3], int failure, pid_t runner)
{
    const wh_runner_command *c = job->command;
    /* What the kernel takes, all zero whatever its layout: SIG_DFL, no flags, no mask. The C library's sigaction() keeps two signals for
     * itself, and posix_spawn() of some parent may have left those ignored. */
    static const unsigned char dfl[256];
    sigset_t none;
    int i;

    setpgid(0, 0);
    /* Should the runner be killed, the program goes too. It may have died before this was set. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != runner)
        _exit(127);
    for (i = 1; i < NSIG; i++)
        (void)syscall(SYS_rt_sigaction, i, dfl, NULL, (size_t)(NSIG - 1) / 8);
    for (i = 0; i < 3; i++) {
        if (dup2(fds[i], i) < 0)
            fail_exec(failure, STEP_PIPE);
    }
    if (chdir(c->cwd) != 0)
        fail_exec(failure, STEP_CHDIR);
    umask(c->umask);
    for (i = 0; i < c->limit_count; i++) {
        struct rlimit rl;

        if (getrlimit(c->limits[i].resource, &rl) != 0)
            fail_exec(failure, STEP_LIMIT);
        if (rl.rlim_max == RLIM_INFINITY || rl.rlim_max > c->limits[i].value)
            rl.rlim_max = c->limits[i].value;
        rl.rlim_cur = rl.rlim_max;
        if (setrlimit(c->limits[i].resource, &rl) != 0)
            fail_exec(failure, STEP_LIMIT);
    }
    if (!c->keep_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) != 0)
        fail_exec(failure, STEP_PRIVILEGES);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(c->argv[0], c->argv, job->env);
    fail_exec(failure, STEP_EXEC);
}

static void start_program(state *s)
{
    int in[2] = { -1, -1 }, out[2] = { -1, -1 }, failure[2], fds[3];
    pid_t self = getpid();

    if (pipe2(failure, O_CLOEXEC) != 0)
        not_started(s, STEP_PIPE, errno);
    if (s->job->fds) {
        fds[0] = FD_IN;
        fds[1] = FD_OUT;
        fds[2] = FD_ERR;
    } else {
        if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
            not_started(s, STEP_PIPE, errno);
        (void)fcntl(in[1], F_SETFL, O_NONBLOCK);
        (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
        fds[0] = in[0];
        fds[1] = fds[2] = out[1];
    }
    s->pid = wh_runner_fork();
    if (s->pid < 0)
        not_started(s, STEP_FORK, errno);
    if (s->pid == 0)
        exec_program(s->job, fds, failure[1], self);
    setpgid(s->pid, s->pid); /* also done by the child: whoever is first */
    close(failure[1]);
    if (s->job->fds) {
        close(FD_IN);
        close(FD_OUT);
        close(FD_ERR);
    } else {
        close(in[0]);
        close(out[1]);
    }
    s->failure = failure[0];
    s->in = in[1];
    s->out = out[0];
    s->record.group = (int)s->pid;
    report(s, WH_RUNNER_STARTED);
}

static void end_program(state *s, int64_t now, int64_t grace)
{
    if (s->exited || s->killed)
        return;
    if (!s->terminated && grace > 0) {
        kill(-s->pid, SIGTERM);
        s->terminated = 1;
        s->kill_at = now + grace;
        return;
    }
    if (s->terminated && now + grace < s->kill_at)
        s->kill_at = now + grace;
    if (grace <= 0 || now >= s->kill_at) {
        kill(-s->pid, SIGKILL);
        s->killed = 1;
        s->kill_at = 0;
    }
}

static void feed(state *s)
{
    const webhook_slice *in = &s->job->input;

    while (s->fed < in->len) {
        ssize_t n = write(s->in, in->data + s->fed, in->len - s->fed);

        if (n >= 0) {
            s->fed += (apr_size_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN)
            return;
        if (errno != EPIPE) { /* EFAULT: the mapped body file became shorter. The program must not take a part for the whole. */
            s->record.step = STEP_INPUT;
            s->record.error = errno;
            end_program(s, clock_usec(), 0);
        }
        break; /* a program may close its input unread */
    }
    close_end(&s->in);
}

/* Bounded per call, so that a program that never stops writing cannot keep the runner from its other duties. */
static void collect(state *s)
{
    char spill[16384];
    int turns;

    for (turns = 0; turns < 16; turns++) {
        apr_size_t room = s->job->capture - s->record.output_len;
        ssize_t n = room ? read(s->out, s->kept + s->record.output_len, room) : read(s->out, spill, sizeof(spill));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_end(&s->out);
            return;
        }
        if (room)
            s->record.output_len += (unsigned)n;
        s->record.output_total += (apr_uint64_t)n;
    }
}

/* Left unreaped until its group is dealt with: as long as the zombie is there, the group's number cannot be somebody else's. */
static void notice_exit(state *s, int64_t now)
{
    siginfo_t si;

    si.si_pid = 0;
    if (s->exited || waitid(P_PID, (id_t)s->pid, &si, WEXITED | WNOHANG | WNOWAIT) != 0 || si.si_pid != s->pid)
        return;
    s->exited = 1;
    s->collect_until = now + COLLECT_USEC;
    close_end(&s->in);
}

static void hear(state *s, int64_t now)
{
    uint32_t ms;
    ssize_t n = recv(FD_CONTROL, &ms, sizeof(ms), MSG_DONTWAIT);

    if (n == (ssize_t)sizeof(ms)) {
        notice_exit(s, now); /* one that has just ended by itself keeps its result */
        s->record.stopped |= !s->exited;
        end_program(s, now, (int64_t)ms * 1000);
    } else if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
        /* The dispatcher is gone and its jobs will be given to another at once: no time for a TERM. */
        s->abandoned = 1;
        s->give_up_at = now + VANISH_USEC;
        end_program(s, now, 0);
    }
}

static void hear_failure(state *s)
{
    int what[2];
    ssize_t n = read(s->failure, what, sizeof(what));

    if (n < 0 && errno == EINTR)
        return;
    close_end(&s->failure);
    if (n == (ssize_t)sizeof(what)) {
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        not_started(s, (unsigned)what[0], what[1]);
    }
}

/* The next moment something must be done, as a ppoll timeout; NULL: only events matter. */
static struct timespec *next_deadline(const state *s, int64_t now, struct timespec *ts)
{
    int64_t at = s->exited ? s->collect_until : s->abandoned ? s->give_up_at : s->kill_at ? s->kill_at
               : s->terminated || s->killed ? 0 : s->over_at;

    if (!at)
        return NULL;
    at = at > now ? at - now : 0;
    ts->tv_sec = (time_t)(at / 1000000);
    ts->tv_nsec = (long)(at % 1000000) * 1000;
    return ts;
}

/* @return 0 when there is nothing left to wait for */
static int supervise(state *s, const sigset_t *waiting)
{
    int64_t now = clock_usec();
    struct pollfd pfd[4];
    struct timespec ts;
    int n = 0, in_at = -1, out_at = -1, failure_at = -1;

    notice_exit(s, now);
    if (s->exited && s->failure < 0 && (s->abandoned || s->out < 0 || now >= s->collect_until))
        return 0;
    if (s->abandoned && now >= s->give_up_at)
        return 0;
    if (!s->exited && !s->terminated && !s->killed && s->over_at && now >= s->over_at) {
        s->record.timed_out = 1;
        end_program(s, now, s->job->grace);
    }
    if (s->kill_at && now >= s->kill_at)
        end_program(s, now, 0);

    pfd[n].fd = s->abandoned ? -1 : FD_CONTROL;
    pfd[n++].events = POLLIN;
    if (s->failure >= 0) {
        failure_at = n;
        pfd[n].fd = s->failure;
        pfd[n++].events = POLLIN;
    }
    if (s->in >= 0) {
        in_at = n;
        pfd[n].fd = s->in;
        pfd[n++].events = POLLOUT;
    }
    if (s->out >= 0) {
        out_at = n;
        pfd[n].fd = s->out;
        pfd[n++].events = POLLIN;
    }
    if (ppoll(pfd, (nfds_t)n, next_deadline(s, now, &ts), waiting) <= 0)
        return 1;
    if (pfd[0].revents)
        hear(s, clock_usec());
    if (failure_at >= 0 && pfd[failure_at].revents)
        hear_failure(s);
    if (in_at >= 0 && pfd[in_at].revents && s->in >= 0)
        feed(s);
    if (out_at >= 0 && pfd[out_at].revents)
        collect(s);
    return 1;
}

void wh_runner_process(const wh_runner_job *job, int control, int hold)
{
    static state s; /* its own copy since the fork */
    struct sigaction sa;
    sigset_t waiting;
    struct timespec tick = { 0, 20 * 1000 * 1000 };
    int status = 0;

    memset(&s, 0, sizeof(s));
    s.job = job;
    s.in = s.out = s.failure = -1;
    setsid();
    if (!arrange_descriptors(job, control, hold))
        _exit(1);
    prctl(PR_SET_NAME, "wh-runner");
    /* Everything stays blocked but SIGCHLD, which may arrive in ppoll only. */
    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_sigchld;
    sigaction(SIGCHLD, &sa, NULL);
    sa.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &sa, NULL);
    sigfillset(&waiting);
    sigdelset(&waiting, SIGCHLD);

    if (!job->fds && job->capture) {
        s.kept = mmap(NULL, job->capture, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (s.kept == MAP_FAILED)
            not_started(&s, STEP_MEMORY, errno);
    }
    s.over_at = job->timeout > 0 ? clock_usec() + job->timeout : 0;
    start_program(&s);
    if (s.in >= 0)
        feed(&s);
    while (supervise(&s, &waiting))
        ;
    kill(-s.pid, SIGKILL);
    while (waitpid(s.pid, &status, s.abandoned ? WNOHANG : 0) != s.pid) {
        if (s.abandoned && clock_usec() >= s.give_up_at)
            break;
        (void)ppoll(NULL, 0, &tick, &waiting);
    }
    s.record.status = status;
    if (!s.abandoned)
        report(&s, WH_RUNNER_ENDED);
    _exit(0);
}
