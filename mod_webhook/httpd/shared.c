/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared.c: the counters' shared memory: a file in the runtime directory mapped by the parent before any fork, so that workers,
 * dispatchers of all generations and the command-line tool see the same numbers. Where no file can be made (a runtime directory that
 * is not writable) the memory is anonymous and the tool sees the store's figures alone.
 */
#include "httpd/daemon.h"

#include "http_log.h"
#include "mpm_common.h"
#include "apr_strings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/encoding.h"

APLOG_USE_MODULE(webhook);

const char *wh_counters_file(apr_pool_t *p)
{
    /* Several servers may share a runtime directory: their pid files tell them apart. */
    const char *pid_file = ap_server_root_relative(p, ap_pid_fname ? ap_pid_fname : DEFAULT_PIDLOG);
    char digest[65];

    pid_file = pid_file ? pid_file : "";
    wh_sha256_hex(digest, pid_file, strlen(pid_file));
    return ap_runtime_dir_relative(p, apr_psprintf(p, "webhook-counters-%.8s", digest));
}

static void *map_file(const char *path, apr_size_t size)
{
    void *mem = MAP_FAILED;
    int fd;

    /* Always a file of our own making: whatever is left of an earlier run is only unlinked, never opened. */
    unlink(path);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return NULL;
    }
    /* posix_fallocate: a full file system must fail here, not as SIGBUS in a worker. */
    if (posix_fallocate(fd, 0, (off_t)size) == 0) {
        mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    close(fd);
    if (mem == MAP_FAILED) {
        unlink(path);
        return NULL;
    }
    return mem;
}

apr_status_t wh_counters_map(wh_global *g, wh_retained *kept, apr_pool_t *ptemp)
{
    int i, n_endpoints = g->auths->nelts, n_handlers = g->handlers->nelts;
    const char **endpoints = apr_pcalloc(ptemp, sizeof(*endpoints) * (apr_size_t)(n_endpoints + 1));
    const char **handlers = apr_pcalloc(ptemp, sizeof(*handlers) * (apr_size_t)(n_handlers + 1));
    apr_size_t size = wh_counters_size(n_endpoints, n_handlers);
    void *mem;

    for (i = 0; i < n_endpoints; i++) {
        endpoints[i] = APR_ARRAY_IDX(g->auths, i, wh_auth *)->name;
    }
    for (i = 0; i < n_handlers; i++) {
        handlers[i] = APR_ARRAY_IDX(g->handlers, i, wh_handler_def *)->name;
    }
    if (kept->counters
        && wh_counters_match(kept->counters, kept->counters_size, endpoints, n_endpoints, handlers, n_handlers)) {
        g->counters = kept->counters;
        g->counters_path = kept->counters_path[0] ? apr_pstrdup(g->pconf, kept->counters_path) : NULL;
        WH_COUNT(g->counters, generation, 1);
        return APR_SUCCESS;
    }
    if (kept->counters) {
        /* Workers of the old generation keep their own mapping of the old layout until they end. */
        munmap(kept->counters, kept->counters_size);
        kept->counters = NULL;
    }
    g->counters_path = wh_counters_file(g->pconf);
    mem = strlen(g->counters_path) < sizeof(kept->counters_path) ? map_file(g->counters_path, size) : NULL;
    if (!mem) {
        ap_log_error(APLOG_MARK, APLOG_INFO, errno, g->main_server,
                     "WH0450: counters are not in a file (%s): webhookctl stats shows the store alone", g->counters_path);
        g->counters_path = NULL;
        mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (mem == MAP_FAILED) {
            return errno;
        }
    }
    wh_counters_init(mem, size, endpoints, n_endpoints, handlers, n_handlers);
    kept->counters = mem;
    kept->counters_size = size;
    apr_cpystrn(kept->counters_path, g->counters_path ? g->counters_path : "", sizeof(kept->counters_path));
    g->counters = mem;
    return APR_SUCCESS;
}

void wh_counters_unlink(wh_retained *kept)
{
    if (kept->counters_path[0]) {
        unlink(kept->counters_path);
        kept->counters_path[0] = '\0';
    }
}
