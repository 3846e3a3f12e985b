/* SPDX-License-Identifier: Apache-2.0 */
/* test_key_index.c: the index of idempotency keys by itself: every row is found, room is made, and forked processes see one table. */
#include <apr_general.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/key_index.h"
#include "tap.h"

static apr_pool_t *pool;

static uint64_t hash_of(int64_t row)
{
    return (uint64_t)row * 0x9e3779b97f4a7c15u >> 3;
}

static int finds(const wh_key_index *ix, uint64_t hash, int64_t row)
{
    uint64_t at = 0;
    int64_t found;

    while (wh_key_index_next(ix, hash, &at, &found))
        if (found == row)
            return 1;
    return 0;
}

static int missing(const wh_key_index *ix, int64_t from, int64_t to)
{
    int n = 0;

    for (; from <= to; from++)
        n += !finds(ix, hash_of(from), from);
    return n;
}

static void check_growth(void)
{
    wh_key_index *ix = wh_key_index_create(pool);
    uint64_t at = 0;
    int64_t row;
    int forgot = 0, wrong = 0;

    is_int(wh_key_index_map(ix, 0), APR_SUCCESS, "memory");
    wh_key_index_for(ix, 7);
    is_int(wh_key_index_next(ix, 1, &at, &row), 0, "an empty index finds nothing");
    is_int(wh_key_index_last(ix), 0, "and knows no row");
    for (row = 1; row <= 200000; row++)
        forgot += wh_key_index_add(ix, hash_of(row), row, 1);
    is_int(forgot, 0, "200,000 rows, none forgotten");
    is_int(missing(ix, 1, 200000), 0, "all are found");
    for (row = 300001; row <= 400000; row++) {
        int64_t found;
        at = 0;
        wrong += wh_key_index_next(ix, hash_of(row), &at, &found) && found > 200000;
    }
    is_int(wrong, 0, "what was never added is at most confused with what was");
    wh_key_index_known(ix, 200000);
    wh_key_index_known(ix, 100000);
    is_int(wh_key_index_last(ix), 200000, "rows once known stay known");
    for (; row <= 1400000; row++)
        wh_key_index_add(ix, hash_of(row), row, row - 150000);
    wh_key_index_known(ix, 1400000);
    is_int(missing(ix, 1400000 - 150000, 1400000), 0, "rows that exist are found while older ones go");
    wh_key_index_for(ix, 7);
    is_int(wh_key_index_last(ix), 1400000, "the same file: nothing changes");
    wh_key_index_for(ix, 8);
    is_int(wh_key_index_last(ix), 0, "another file: nothing is known");
    is_int(missing(ix, 1399000, 1400000), 1001, "nor found");
}

static void check_numbers(void)
{
    static const int64_t rows[] = { 1, 2, 0xffffffff, 0x100000000, 0x100000001, 0x1fffffffe };
    wh_key_index *ix = wh_key_index_create(pool);
    int i, n = 0;

    wh_key_index_map(ix, 1000);
    wh_key_index_for(ix, 1);
    for (i = 2; i < 6; i++)
        wh_key_index_add(ix, 0, rows[i], 1);
    for (i = 2; i < 6; i++)
        n += finds(ix, 0, rows[i]);
    is_int(n, 4, "row numbers beyond 32 bits, all with one hash");
    ok(!finds(ix, 0, 1), "are not confused with those 2^32 before");
}

static void check_full(void)
{
    wh_key_index *ix = wh_key_index_create(pool);
    int64_t row;
    int forgot = 0;

    wh_key_index_map(ix, 500);
    wh_key_index_for(ix, 1);
    for (row = 1; row <= 5000; row++)
        forgot += wh_key_index_add(ix, hash_of(row), row, 1);
    ok(forgot > 0, "too small an index says so");
    is_int(missing(ix, 4800, 5000), 0, "and keeps the newest");
    ok(missing(ix, 1, 1000) > 900, "the oldest are forgotten");
}

/* A disk that is full for hours: transaction after transaction is rolled back, each adds the same row numbers with other keys. */
static void check_rolled_back(void)
{
    wh_key_index *ix = wh_key_index_create(pool);
    int64_t row, turn;
    int forgot = 0;

    wh_key_index_map(ix, 5000);
    wh_key_index_for(ix, 1);
    for (row = 1; row <= 1000; row++)
        wh_key_index_add(ix, hash_of(row), row, 1);
    wh_key_index_known(ix, 1000);
    alarm(300); /* a table without an empty slot would be searched for ever */
    for (turn = 0; turn < 5000; turn++) {
        wh_key_index_for(ix, 1);
        if (!wh_key_index_last(ix)) { /* forgotten: its user reads the list again */
            for (row = 1; row <= 1000; row++)
                forgot += wh_key_index_add(ix, hash_of(row), row, 1);
            wh_key_index_known(ix, 1000);
        }
        for (row = 1001; row <= 1010; row++)
            forgot += wh_key_index_add(ix, hash_of(row * 10000 + turn), row, 1);
    }
    alarm(0);
    is_int(missing(ix, 1, 1000), 0, "what was rolled back does not crowd out what is there");
    is_int(forgot, 0, "and nothing is forgotten for it");
}

static void check_processes(void)
{
    wh_key_index *ix = wh_key_index_create(pool);
    int64_t row;
    pid_t pid;
    int status = -1;

    wh_key_index_map(ix, 0);
    wh_key_index_for(ix, 1);
    pid = fork();
    if (pid == 0) {
        for (row = 1; row <= 5000; row++)
            wh_key_index_add(ix, hash_of(row), row, 1);
        wh_key_index_known(ix, 5000);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    is_int(status, 0, "a forked process adds");
    is_int(missing(ix, 1, 5000), 0, "and this one finds");
    is_int(wh_key_index_last(ix), 5000, "and knows");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    check_growth();
    check_numbers();
    check_full();
    check_rolled_back();
    check_processes();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
