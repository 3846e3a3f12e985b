/* SPDX-License-Identifier: Apache-2.0 */
/* mapping.c: anonymous shared mappings. */
#include "store/mapping.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static apr_status_t unmap(void *data)
{
    wh_mapping *m = data;

    /* A child that is told to stop at once empties its pools while threads may still use the memory; for it, exit() does this. */
    if (m->pid == getpid())
        wh_mapping_drop(m);
    return APR_SUCCESS;
}

void wh_mapping_init(wh_mapping *m, apr_pool_t *p)
{
    m->at = NULL;
    apr_pool_cleanup_register(p, m, unmap, apr_pool_cleanup_null);
}

apr_status_t wh_mapping_take(wh_mapping *m, apr_size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return errno;
    madvise(at, bytes, MADV_DONTDUMP); /* much of it may be address space only: a core would carry it all */
    m->at = at;
    m->bytes = bytes;
    m->pid = getpid();
    return APR_SUCCESS;
}

void wh_mapping_drop(wh_mapping *m)
{
    if (m->at)
        munmap(m->at, m->bytes);
    m->at = NULL;
}
