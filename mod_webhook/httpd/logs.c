/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs.c: where words go: the library's messages to httpd's error log, and the delivery log's file or program.
 */
#include "httpd/daemon.h"

#include "http_log.h"
#include "apr_portable.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/log.h"

APLOG_USE_MODULE(webhook);

/* httpd escapes control bytes in %s itself (ap_escape_errorlog_item), so the library's text goes through as it is. */
static void to_error_log(void *baton, int level, apr_status_t rv, const char *text)
{
    ap_log_error(APLOG_MARK, level, rv, (server_rec *)baton, "%s", text);
}

void wh_logs_library(server_rec *s)
{
    wh_log_set(to_error_log, s, ap_get_server_module_loglevel(s, APLOG_MODULE_INDEX));
}

static apr_status_t close_log(void *data)
{
    wh_delivery_log *log = data;
    if (log->fd != -1 && !log->is_pipe) {
        close(log->fd);
    }
    log->fd = -1;
    return APR_SUCCESS;
}

int wh_logs_open(wh_global *g, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const char *target = g->log_target;

    g->log.fd = -1;
    if (!target) {
        return OK;
    }
    if (*target == '|') {
        piped_log *pl = ap_open_piped_log(pconf, target + 1);
        apr_os_file_t fd;
        if (!pl || apr_os_file_get(&fd, ap_piped_log_write_fd(pl)) != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, g->main_server, "WH0451: WebhookLog: cannot start \"%s\"", target + 1);
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        g->log.fd = fd;
        g->log.is_pipe = 1;
    }
    else {
        g->log.fd = open(target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
        g->log.is_pipe = 0;
        if (g->log.fd < 0) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, errno, g->main_server, "WH0452: WebhookLog: cannot open %s", target);
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    apr_pool_cleanup_register(pconf, &g->log, close_log, apr_pool_cleanup_null);
    return OK;
}
