/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.h: starts programs for the pipe handler. Each program runs under a runner, a small process of ours that outlives nobody:
 *
 *   dispatcher --fork--> runner (own session, holds only its control socket and the program's pipes)
 *                           --fork, exec--> program (own process group; descriptors 0, 1, 2 and nothing else)
 *
 * The runner feeds standard input, collects output, enforces the time limit and reports once. When the dispatcher is gone (its end of the
 * control socket closed) it kills the program's process group at once, so that the job can be given to another dispatcher. When the
 * program has ended, what it left behind in its process group is killed too; a program that moved to a session of its own has left on
 * purpose and is not followed.
 *
 * The dispatcher may have resolver threads: between fork and exec only async-signal-safe calls are made, in memory prepared before.
 *
 * Control socket (stream, both ends in one machine and program: native structures). Dispatcher to runner: uint32 milliseconds between TERM
 * and KILL, which means "stop now". Runner to dispatcher: wh_runner_record, STARTED then ENDED or NOT_STARTED, the last followed by
 * output_len bytes; then end of file.
 */
#ifndef WH_DISPATCH_RUNNER_H
#define WH_DISPATCH_RUNNER_H

#include <apr_pools.h>
#include <apr_time.h>
#include <sys/resource.h>
#include <sys/types.h>
#include "webhook_provider.h"

#define WH_RUNNER_LIMITS 5

/** What to run; configuration pool, read-only. */
typedef struct wh_runner_command {
    char *const *argv;   /* argv[0] is an absolute path; NULL-terminated */
    const char *cwd;
    mode_t umask;
    int keep_privileges; /* 1: do not set no_new_privs (sudo and set-uid programs work) */
    int limit_count;
    struct {
        int resource;    /* RLIMIT_... */
        rlim_t value;
    } limits[WH_RUNNER_LIMITS];
} wh_runner_command;

/** How to run it this time. Must stay unchanged until wh_runner_start returns (the runner works on its copy of the memory). */
typedef struct wh_runner_job {
    const wh_runner_command *command;
    char *const *env;             /* NULL-terminated "NAME=value" */
    const int *fds;               /* the program's 0, 1 and 2, owned by the caller; NULL: the runner makes pipes for input and output */
    webhook_slice input;          /* without fds: for standard input */
    apr_size_t capture;           /* without fds: bytes of standard output and error to keep; more is read and counted */
    apr_interval_time_t timeout;  /* TERM after this; 0: never */
    apr_interval_time_t grace;    /* KILL this long after TERM */
} wh_runner_job;

typedef enum wh_runner_kind {
    WH_RUNNER_STARTED = 1, /* `group` is set */
    WH_RUNNER_ENDED,       /* `status` and the flags are set */
    WH_RUNNER_NOT_STARTED, /* `error` and `step` are set */
    WH_RUNNER_LOST         /* never sent: the runner itself was killed */
} wh_runner_kind;

typedef struct wh_runner_record {
    unsigned kind;
    int group;             /* process group of the program */
    int status;            /* as from waitpid(2) */
    int error;             /* errno */
    int timed_out;         /* it was ended because its time was over */
    int stopped;           /* it was ended because the dispatcher said so */
    unsigned step;         /* index into what wh_runner_step() names */
    unsigned output_len;   /* bytes that follow */
    apr_uint64_t output_total; /* bytes the program wrote, as far as read */
} wh_runner_record;

/** A running program as the dispatcher sees it. Lives in the pool given to wh_runner_start. */
typedef struct wh_runner {
    pid_t pid;              /* of the runner; 0 once reaped */
    int fd;                 /* control socket, non-blocking: watch for reading; -1 after wh_runner_end */
    wh_runner_record last;  /* after wh_runner_read returned 1 */
    webhook_slice output;   /* captured output */
    /* private */
    apr_pool_t *pool;
    apr_size_t capture;
    int group;
    wh_runner_record in;
    apr_size_t in_len, out_len;
    int have_record;
} wh_runner;

/**
 * Start. @return APR_SUCCESS, or errno when not even the runner could be started (no descriptors, no processes). What goes wrong later is
 * reported as WH_RUNNER_NOT_STARTED.
 */
apr_status_t wh_runner_start(wh_runner **out, const wh_runner_job *job, apr_pool_t *p);

/** Take in what the runner sent. @return 1 when it is over (`last` and `output` are valid: remove the watch, call wh_runner_end); 0: call
 *  again when readable. */
int wh_runner_read(wh_runner *r);

/** Close the descriptor and reap the runner, after wh_runner_read returned 1. */
void wh_runner_end(wh_runner *r);

/** TERM to the program's group now, KILL after `kill_after`. May be called again with a shorter time. */
void wh_runner_stop(wh_runner *r, apr_interval_time_t kill_after);

/** Without waiting for a report: KILL the program's group and the runner, close, reap; `last` says LOST. Remove the watch first. */
void wh_runner_kill(wh_runner *r);

/** "fork", "exec", "chdir", ... for record.step. */
const char *wh_runner_step(unsigned step);

/**
 * A descriptor that every runner started from now on keeps open until its program is gone; -1: none. The store shows by locks on it that
 * the dispatcher lives: kept open, a job of a killed dispatcher is not given away before its program has ended.
 */
void wh_runner_hold(int fd);

#endif
