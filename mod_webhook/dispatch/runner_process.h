/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_process.h: what runner.c needs of the process it forks (see runner.h). For the dispatch room alone.
 */
#ifndef WH_DISPATCH_RUNNER_PROCESS_H
#define WH_DISPATCH_RUNNER_PROCESS_H

#include "dispatch/runner.h"

/** fork(2) without the at-fork handlers of whatever libraries the server has loaded, where the C library can: they take locks that a
 *  resolver thread may hold. @return as fork(2) */
pid_t wh_runner_fork(void);

/**
 * Be the runner: called in the child of wh_runner_fork() with all signals blocked; leaves by _exit(2).
 * @param job what to run; this process's copy of it
 * @param control its end of the control socket
 * @param hold a descriptor to keep open until the program is gone, -1: none; all others are closed
 */
void wh_runner_process(const wh_runner_job *job, int control, int hold) __attribute__((noreturn));

#endif
