/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery ids: form, order over threads and clock steps, uniqueness over threads and forks, packing.
 */
#include "tap.h"

#include <apr_general.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/id.h"

#define THREADS 4
#define PER_THREAD 20000

static char ids[THREADS][PER_THREAD][WH_ID_LEN + 1];

static void *make_many(void *arg)
{
    char (*mine)[WH_ID_LEN + 1] = arg;

    for (int i = 0; i < PER_THREAD; i++) {
        if (wh_id_make(mine[i], apr_time_now()) != APR_SUCCESS)
            mine[i][0] = '\0';
    }
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void test_form(void)
{
    static const struct {
        const char *text;
        int valid;
    } rows[] = {
        { "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", 1 }, /* RFC 9562 appendix A.6 */
        { "017F22E2-79B0-7CC3-98C4-DC0C0C07398F", 0 },
        { "017f22e2-79b0-4cc3-98c4-dc0c0c07398f", 0 }, /* version */
        { "017f22e2-79b0-7cc3-18c4-dc0c0c07398f", 0 }, /* variant */
        { "017f22e2-79b0-7cc3-c8c4-dc0c0c07398f", 0 },
        { "017f22e2-79b0-7cc3-b8c4-dc0c0c07398f", 1 },
        { "017f22e279b07cc398c4dc0c0c07398f", 0 },
        { "017f22e2-79b0-7cc3-98c4-dc0c0c07398", 0 },
        { "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0", 0 },
        { "017f22e2-79b0-7cc3-98c4-dc0c0c07398g", 0 },
        { "017f22e2079b007cc3098c40dc0c0c07398f", 0 },
        { "-17f22e2-79b0-7cc3-98c4-dc0c0c07398f", 0 },
        { "", 0 },
        { NULL, 0 },
    };
    unsigned char packed[16];
    char back[WH_ID_LEN + 1];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is_int(wh_id_valid(rows[i].text), rows[i].valid, "validity of '%s'", rows[i].text ? rows[i].text : "(null)");
    wh_id_pack(packed, rows[0].text);
    is_mem(packed, 16, "\x01\x7f\x22\xe2\x79\xb0\x7c\xc3\x98\xc4\xdc\x0c\x0c\x07\x39\x8f", 16, "packed as RFC 9562 appendix A.6");
    wh_id_unpack(back, packed);
    is_str(back, rows[0].text, "and back");
}

static void test_time(void)
{
    const apr_time_t t = APR_TIME_C(0x017f22e279b0) * 1000; /* 2022-02-22T19:22:22Z, the RFC's example */
    char id[WH_ID_LEN + 1], last[WH_ID_LEN + 1] = "";
    int bad = 0;

    is_int(wh_id_make(id, t + 999), APR_SUCCESS, "made for a moment");
    ok(!strncmp(id, "017f22e2-79b0-7", 15), "with its milliseconds: %s", id);
    ok(wh_id_valid(id), "valid");
    /* far more than the sequence has room for in a millisecond */
    for (int i = 0; i < 100000; i++) {
        if (wh_id_make(id, t) || strcmp(id, last) <= 0 || !wh_id_valid(id))
            bad++;
        memcpy(last, id, sizeof(id));
    }
    is_int(bad, 0, "100000 ids of one millisecond ascend");
    wh_id_make(id, t - apr_time_from_sec(60));
    ok(strcmp(id, last) > 0, "a clock set back by a minute does not break the order");
    wh_id_make(id, t - apr_time_from_sec(3600));
    ok(strcmp(id, last) < 0, "after an hour the clock is believed");
    wh_id_make(id, t + apr_time_from_sec(1));
    ok(!strncmp(id, "017f22e2-7d98-7", 15), "and forward again: %s", id);
    is_int(wh_id_make(id, -5), APR_SUCCESS, "a negative time");
    ok(wh_id_valid(id), "makes a valid id");
    is_int(wh_id_make(id, INT64_MAX), APR_SUCCESS, "and so does the last one");
    ok(wh_id_valid(id), "%s", id);
}

static void test_threads(void)
{
    pthread_t t[THREADS];
    int disorder = 0, same = 0, invalid = 0;
    char (*all)[WH_ID_LEN + 1] = ids[0];

    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, make_many, ids[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        for (int k = 0; k < PER_THREAD; k++) {
            invalid += !wh_id_valid(ids[i][k]);
            disorder += k && strcmp(ids[i][k - 1], ids[i][k]) >= 0;
        }
    }
    qsort(all, THREADS * PER_THREAD, sizeof(all[0]), by_text);
    for (int i = 1; i < THREADS * PER_THREAD; i++) {
        /* the ordered part alone: two ids never share it within a process */
        unsigned char a[16], b[16];
        wh_id_pack(a, all[i - 1]);
        wh_id_pack(b, all[i]);
        same += !memcmp(a, b, 8) && a[8] >> 2 == b[8] >> 2;
    }
    is_int(invalid, 0, "ids of %d threads are valid", THREADS);
    is_int(disorder, 0, "each thread's ascend");
    is_int(same, 0, "no two have the same milliseconds and sequence");
}

static void test_fork(void)
{
    char mine[WH_ID_LEN + 1], theirs[WH_ID_LEN + 1] = "";
    const apr_time_t t = apr_time_now();
    int fds[2], status = -1;
    ssize_t n;
    pid_t pid;

    wh_id_make(mine, t); /* so that there are bytes left to inherit */
    if (pipe(fds)) {
        fail("pipe");
        return;
    }
    pid = fork();
    if (!pid) {
        char id[WH_ID_LEN + 1];
        wh_id_make(id, t);
        _exit(write(fds[1], id, sizeof(id)) != sizeof(id));
    }
    wh_id_make(mine, t);
    n = read(fds[0], theirs, sizeof(theirs));
    waitpid(pid, &status, 0);
    is_int(n, sizeof(theirs), "the child made an id");
    is_int(status, 0, "and left");
    ok(strncmp(mine + 24, theirs + 24, 12), "its random part is its own");
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    apr_initialize();
    test_form();
    test_time();
    test_threads();
    test_fork();
    return tap_done();
}
