/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim_malloc.c: preloaded into httpd: memory that runs out now and then. Every n-th allocation fails, where n is the number that the file
 * named by WEBHOOK_TEST_MALLOC begins with (8 bytes, in the order of the machine; 0: none fails) at that moment. The second 8 bytes count
 * the failures, the third the allocations of all processes: with a count of its own, each new child of one parent would fail at the same
 * place for ever. The C library's own entry points are used, so nothing has to be looked up, which would allocate.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static uint64_t *shared;

__attribute__((constructor)) static void open_shared(void)
{
    const char *path = getenv("WEBHOOK_TEST_MALLOC");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at;

    if (fd < 0)
        return;
    at = mmap(NULL, 24, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        shared = at;
}

static int fails(void)
{
    uint64_t every = shared ? __atomic_load_n(shared, __ATOMIC_RELAXED) : 0;

    if (!every || __atomic_add_fetch(shared + 2, 1, __ATOMIC_RELAXED) % every)
        return 0;
    __atomic_add_fetch(shared + 1, 1, __ATOMIC_RELAXED);
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}
