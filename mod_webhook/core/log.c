/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c: formats a message into the stack and hands it to the process's sink. The settings are written once per process before any
 * thread runs, so reading them needs no lock.
 */
#include "core/log.h"

#include <errno.h>
#include <stdio.h>

#define LOG_TEXT_MAX 2048

static wh_log_sink *log_sink;
static void *log_baton;
static int log_level = -1;

void wh_log_set(wh_log_sink *sink, void *baton, int max_level)
{
    log_sink = sink;
    log_baton = baton;
    log_level = sink ? max_level : -1;
}

int wh_log_is(int level)
{
    return level <= log_level;
}

void wh_logv(int level, apr_status_t rv, const char *fmt, va_list ap)
{
    char text[LOG_TEXT_MAX + 1];
    int saved = errno;

    if (!wh_log_is(level))
        return;
    if (vsnprintf(text, sizeof(text), fmt, ap) >= 0)
        log_sink(log_baton, level, rv, text);
    /* callers log on failure paths and look at errno afterwards */
    errno = saved;
}

void wh_log(int level, apr_status_t rv, const char *fmt, ...)
{
    va_list ap;

    if (!wh_log_is(level))
        return;
    va_start(ap, fmt);
    wh_logv(level, rv, fmt, ap);
    va_end(ap);
}
