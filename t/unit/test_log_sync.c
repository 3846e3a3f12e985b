/* SPDX-License-Identifier: Apache-2.0 */
/* test_log_sync.c: who syncs for whom; processes that die, hang or fail during a sync. fdatasync(2) is this program's own. */
#include "tap.h"

#include <apr_general.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/units.h"
#include "store/log_sync.h"

#define SOON (wh_monotonic() + 200000)
#define LATE (wh_monotonic() + 60000000)

static apr_pool_t *pool;
static int calls, fail_with, fail_times;
static wh_log_sync *writes; /* somebody writes to it while the next sync runs */

int fdatasync(int fd)
{
    calls++;
    if (writes)
        wh_log_sync_wrote(writes);
    writes = NULL;
    if (fail_times > 0) {
        fail_times--;
        errno = fail_with;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static int make_file(const char *text)
{
    char path[] = "/tmp/log_sync_XXXXXX";
    int fd = mkstemp(path);

    unlink(path);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        exit(1);
    return fd;
}

static wh_log_sync *make(void)
{
    wh_log_sync *ls = wh_log_sync_create(pool);

    is_int(wh_log_sync_map(ls), APR_SUCCESS, "memory");
    is_int(wh_log_sync_map(ls), APR_SUCCESS, "once");
    return ls;
}

static void check_numbers(void)
{
    wh_log_sync *ls = make();
    int fd = make_file("log");
    uint64_t a, b;

    calls = 0;
    is_int(wh_log_sync_latest(ls), 0, "nothing was written");
    is_int(wh_log_sync_begin(ls, 0, SOON), APR_SUCCESS, "nothing to wait for");
    a = wh_log_sync_wrote(ls);
    ok(a > 0 && a == wh_log_sync_latest(ls) && !wh_log_sync_done(ls, a), "one was written");
    is_int(wh_log_sync_begin(ls, a, SOON), APR_INCOMPLETE, "ours to sync");
    b = wh_log_sync_wrote(ls);
    ok(b > a, "another is written before it begins");
    writes = ls;
    is_int(wh_log_sync_end(ls, fd), APR_SUCCESS, "synced, while a third is written");
    ok(wh_log_sync_done(ls, b), "the first two are durable");
    ok(!wh_log_sync_done(ls, b + 1), "the third is not");
    is_int(wh_log_sync_begin(ls, b, SOON), APR_SUCCESS, "nobody has to sync for the second");
    is_int(wh_log_sync_turn(ls, SOON), APR_INCOMPLETE, "a turn before anything is written");
    is_int(wh_log_sync_wrote(ls), b + 2, "a fourth");
    is_int(wh_log_sync_end(ls, fd), APR_SUCCESS, "synced");
    ok(wh_log_sync_done(ls, b + 2), "for all");
    is_int(wh_log_sync_turn(ls, SOON), APR_INCOMPLETE, "a turn");
    wh_log_sync_pass(ls);
    is_int(wh_log_sync_turn(ls, SOON), APR_INCOMPLETE, "given back, and another");
    wh_log_sync_pass(ls);
    is_int(calls, 2, "two syncs for four");
    close(fd);
}

/* A process that dies in its sync, and one that hangs in it. */
static void check_processes(void)
{
    wh_log_sync *ls = make();
    int fd = make_file("log"), status, *begun = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t a = wh_log_sync_wrote(ls);
    pid_t pid;

    if ((pid = fork()) == 0)
        _exit(wh_log_sync_begin(ls, a, LATE) == APR_INCOMPLETE ? 7 : 0);
    waitpid(pid, &status, 0);
    is_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7, "a process dies in its sync");
    ok(!wh_log_sync_done(ls, a), "nothing is durable by that");
    is_int(wh_log_sync_begin(ls, a, LATE), APR_INCOMPLETE, "the next one syncs");
    is_int(wh_log_sync_end(ls, fd), APR_SUCCESS, "and it is");
    ok(!wh_log_sync_stuck(ls, 0), "nothing runs");

    a = wh_log_sync_wrote(ls);
    if ((pid = fork()) == 0) {
        *begun = wh_log_sync_begin(ls, a, LATE) == APR_INCOMPLETE;
        pause();
        _exit(0);
    }
    while (!__atomic_load_n(begun, __ATOMIC_SEQ_CST))
        usleep(1000);
    is_int(wh_log_sync_begin(ls, a, SOON), APR_TIMEUP, "a process hangs in its sync: no endless wait");
    ok(wh_log_sync_stuck(ls, 1000), "and it shows");
    ok(!wh_log_sync_stuck(ls, apr_time_from_sec(3600)), "by how long it has been");
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    ok(!wh_log_sync_stuck(ls, 1000), "killed: nothing runs any more");
    is_int(wh_log_sync_begin(ls, a, LATE), APR_INCOMPLETE, "killed: the next one syncs");
    is_int(wh_log_sync_end(ls, fd), APR_SUCCESS, "and it is durable");
    ok(!wh_log_sync_stuck(ls, 0), "nothing runs");
    close(fd);
}

static void check_doubt(void)
{
    static const char text[] = "what the log holds";
    wh_log_sync *ls = make();
    int fd = make_file(text);
    char back[64] = "";
    uint64_t a = wh_log_sync_wrote(ls), b;

    is_int(wh_log_sync_begin(ls, a, SOON), APR_INCOMPLETE, "ours to sync");
    fail_with = EIO;
    fail_times = 1;
    is_int(wh_log_sync_end(ls, fd), EIO, "fails");
    ok(wh_log_sync_in_doubt(ls) && !wh_log_sync_done(ls, a), "in doubt, not durable");
    b = wh_log_sync_wrote(ls);
    calls = 0;
    is_int(wh_log_sync_begin(ls, b, SOON), APR_EGENERAL, "nobody else is told otherwise");
    is_int(wh_log_sync_begin(ls, a, SOON), APR_EGENERAL, "nor the same again");
    is_int(wh_log_sync_turn(ls, SOON), APR_EGENERAL, "nor is there a turn");
    is_int(calls, 0, "by a sync that the kernel would let succeed");
    fail_with = ENOSPC;
    fail_times = 2;
    is_int(wh_log_sync_heal(ls, fd, SOON), ENOSPC, "healing fails");
    ok(wh_log_sync_in_doubt(ls), "still in doubt");
    fail_times = 1;
    is_int(wh_log_sync_heal(ls, fd, SOON), APR_SUCCESS, "a sync that tells of the old failure is tried again");
    ok(!wh_log_sync_in_doubt(ls) && wh_log_sync_done(ls, b), "healed: all is durable");
    is_int(pread(fd, back, sizeof back - 1, 0), sizeof text - 1, "as long as it was");
    is_str(back, text, "and what it was");
    is_int(wh_log_sync_heal(ls, fd, SOON), APR_SUCCESS, "nothing to heal");
    close(fd);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    check_numbers();
    check_processes();
    check_doubt();
    apr_pool_destroy(pool);
    return tap_done();
}
