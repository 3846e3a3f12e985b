/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim_clock.c: preloaded into httpd, sets the clock that mod_webhook reads: $WEBHOOK_CLOCK is a file of 8 bytes, mapped by all processes,
 * with the time in microseconds since 1970; 0 is the real time. httpd itself and the libraries keep the real clock, for their timeouts
 * are compared with the kernel's. So a request recorded at one moment can be judged at exactly that moment.
 */
#include <apr_time.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const volatile apr_time_t *set_to;
static apr_time_t (*real_now)(void);

static void __attribute__((constructor)) load(void)
{
    const char *path = getenv("WEBHOOK_CLOCK");
    int fd;

    *(void **)&real_now = dlsym(RTLD_NEXT, "apr_time_now");
    if (!path || !real_now) return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    set_to = mmap(NULL, sizeof(*set_to), PROT_READ, MAP_SHARED, fd, 0);
    if (set_to == MAP_FAILED) abort();
    close(fd);
}

apr_time_t apr_time_now(void)
{
    Dl_info caller;
    apr_time_t now = set_to ? *set_to : 0;

    if (now && dladdr(__builtin_return_address(0), &caller) && strstr(caller.dli_fname, "mod_webhook")) return now;
    return real_now ? real_now() : 0;
}
