/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h: the library's only way to speak. The glue sends it to httpd's error log, the tool to standard error, tests to a buffer.
 *
 * Messages begin with a unique tag "WHnnnn: ". The levels have httpd's numbers (syslog's, then trace) so that the glue passes them on.
 */
#ifndef WH_CORE_LOG_H
#define WH_CORE_LOG_H

#include <apr_errno.h>
#include <stdarg.h>

#define WH_LOG_ERROR 3   /* an operator must act */
#define WH_LOG_WARNING 4 /* degraded */
#define WH_LOG_NOTICE 5
#define WH_LOG_INFO 6    /* life cycle, client mistakes */
#define WH_LOG_DEBUG 7   /* a line per delivery */
#define WH_LOG_TRACE1 8
#define WH_LOG_TRACE2 9

/**
 * Where messages go. Process-wide: set once per process before any thread runs, by the glue (child_init, dispatcher) or the tool.
 * `text` is complete, without a newline, tag included; not escaped.
 */
typedef void wh_log_sink(void *baton, int level, apr_status_t rv, const char *text);

void wh_log_set(wh_log_sink *sink, void *baton, int max_level);

/** Whether a message of this level would be printed: guards costly arguments. */
int wh_log_is(int level);

/** Log one message (at most 2 KiB, longer ones are cut). rv 0: no APR error to name. Any thread. */
void wh_log(int level, apr_status_t rv, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void wh_logv(int level, apr_status_t rv, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

#endif
