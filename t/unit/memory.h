/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h: how much memory a piece of code keeps, for tests of bounds. A sanitizer's heap and quarantine make the figures useless there. */
#ifndef WH_TEST_MEMORY_H
#define WH_TEST_MEMORY_H

#include <apr.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Bytes of data this process has mapped. */
static apr_size_t mapped(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    if (!f || fscanf(f, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
        abort();
    fclose(f);
    return pages * (apr_size_t)sysconf(_SC_PAGESIZE);
}

/* Bytes in use since `before`: APR takes its blocks from malloc() or from the system, as it was built. */
typedef struct usage {
    apr_size_t heap, mapped;
} usage;

static usage in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    usage u = { m.uordblks + m.hblkhd, mapped() };

    return u;
}

static apr_size_t used_since(usage before)
{
    usage now = in_use();
    apr_size_t heap = now.heap > before.heap ? now.heap - before.heap : 0, more = now.mapped > before.mapped ? now.mapped - before.mapped : 0;

    return heap > more ? heap : more;
}

#endif
