/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.h: named points where a test build of the dispatcher kills itself. Compiled in with -DWH_CRASH_POINTS only; then the
 * environment variable WEBHOOK_CRASH_AT=name[:n] makes the n-th passing of that point (default the first) a SIGKILL.
 */
#ifndef WH_DISPATCH_CRASH_H
#define WH_DISPATCH_CRASH_H

#ifdef WH_CRASH_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wh_crash_at(const char *name)
{
    static long passes;
    const char *want = getenv("WEBHOOK_CRASH_AT");
    size_t len = strlen(name);

    if (!want || strncmp(want, name, len) || (want[len] && want[len] != ':'))
        return;
    if (++passes >= (want[len] ? strtol(want + len + 1, NULL, 10) : 1))
        kill(getpid(), SIGKILL);
}
#define WH_CRASH(name) wh_crash_at(name)

#else
#define WH_CRASH(name) ((void)0)
#endif

#endif
