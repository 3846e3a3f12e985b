/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file handler: lines, batches, rotation, locking, and what it leaves behind when writing fails. writev(2), fdatasync(2)
 * and fsync(2) are this program's own, to count them and to make them fail.
 */
#include <apr_file_io.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "handler.h"
#include "core/json.h"
#include "dispatch/file_name.h"

static int writes, syncs, fail_sync, fail_write; /* fail_write: the next one writes half, then ENOSPC */
static unsigned chance;                          /* 1 of so many writes fails */
static unsigned seed = 1;

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    writes++;
    if (chance) {
        seed = seed * 1103515245u + 12345u;
        if ((seed >> 16) % chance == 0)
            fail_write = 1;
    }
    if (fail_write == 1) {
        struct iovec half = iov[count / 2];

        fail_write = 2;
        if (count > 1)
            return syscall(SYS_writev, fd, iov, count / 2);
        half.iov_len /= 2;
        return syscall(SYS_writev, fd, &half, 1);
    }
    if (fail_write == 2) {
        fail_write = 0;
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_writev, fd, iov, count);
}

int fdatasync(int fd)
{
    syncs++;
    if (fail_sync) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

#define F wh_handler_file
static char dir[] = "/tmp/wh_file_XXXXXX";

static const char *in_dir(const char *name)
{
    return apr_pstrcat(pool, dir, "/", name, NULL);
}

static void must(int rc)
{
    if (rc) {
        printf("Bail out! %s\n", strerror(errno));
        exit(1);
    }
}

static char *slurp(const char *path, apr_size_t *len)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 1 << 22);

    *len = f ? fread(text, 1, (1 << 22) - 1, f) : 0;
    if (f)
        fclose(f);
    return text;
}

static void spit(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    fputs(text, f);
    fclose(f);
}

static int count_files(const char *prefix)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int n = 0;

    while ((e = readdir(d)))
        n += !strncmp(e->d_name, prefix, strlen(prefix));
    closedir(d);
    return n;
}

/* lines that are whole envelopes; *broken answers the others */
static int envelopes(const char *path, int *broken)
{
    apr_size_t len;
    char *text = slurp(path, &len), *line = text, *end;
    int n = 0;

    *broken = 0;
    for (; (end = strchr(line, '\n')); line = end + 1) {
        webhook_slice s = {line, (apr_size_t)(end - line)};
        wh_json_error err;
        wh_json *doc;
        apr_pool_t *p;

        apr_pool_create(&p, pool);
        if (wh_json_parse(&doc, s, NULL, p, &err) == APR_SUCCESS && wh_json_get(wh_json_root(doc), "webhook"))
            n++;
        else
            ++*broken;
        apr_pool_destroy(p);
    }
    *broken += *line != '\0';
    free(text);
    return n;
}

static try *deliver(webhook_handler *h, const char *body)
{
    try *t = t_try(body, strlen(body));

    F.start(h, &t->attempt);
    F.flush(h);
    t_wait(t);
    return t;
}

static void test_configure(void)
{
    webhook_handler_conf *conf;
    const char *long_ones[] = {"rotate=1G", "keep=3", "mode=0600", NULL};
    static const struct { const char *target; const char *option, *option2; const char *says; } table[] = {
        {"hooks.log", NULL, NULL, "not an absolute path"},
        {"/nowhere/at/all/hooks.log", NULL, NULL, "does not exist"},
        {"@/", NULL, NULL, "is a directory"},
        {"@/sub", NULL, NULL, "is a directory"},
        {"@/link", NULL, NULL, "a symbolic link"},
        {"@/fifo", NULL, NULL, "not a regular file"},
        {"@/sub/../%x", NULL, NULL, "conversion"},
        {"@/%Y/x", NULL, NULL, "in the file name only"},
        {"@/a\nb", NULL, NULL, "control"},
        {"@/x", "format=xml", NULL, "json, raw"},
        {"@/x", "mode=0666", NULL, "octal"},
        {"@/x", "mode=0755", NULL, "octal"},
        {"@/x", "mode=0040", NULL, "octal"},
        {"@/x", "mode=rw", NULL, "octal"},
        {"@/x", "rotate=1", NULL, "rotate"},
        {"@/x", "keep=2", NULL, "needs option"},
        {"@", "format=raw", "rotate=1M", "format=json only"},
        {"@/%Y.bin", "format=raw", NULL, "%{id}"},
        {"@/x", "sync=off", NULL, "unknown"},
    };

    mkdir(in_dir("sub"), 0700);
    must(symlink("/etc/passwd", in_dir("link")));
    mkfifo(in_dir("fifo"), 0600);
    for (apr_size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const char *words[] = {table[i].option, table[i].option2, NULL};
        const char *target = *table[i].target == '@' ? apr_pstrcat(pool, dir, table[i].target + 1, NULL) : table[i].target;
        const char *err = t_configure(&F, &conf, target, words);

        ok(err && strstr(err, table[i].says), "refused: %zu %s", i, table[i].says);
        if (err && !strstr(err, table[i].says))
            diag("%s", err);
    }
    ok(!t_configure(&F, &conf, in_dir("a.log"), long_ones), "a full configuration is taken");
    is_str(F.describe(conf, pool), apr_pstrcat(pool, "path=", dir, "/a.log format=json mode=0600 rotate=1G keep=3", NULL), "... and described");
}

static void test_batch(void)
{
    webhook_handler *h = t_open(&F, in_dir("batch.log"), NULL);
    try *t[300];
    int good = 0, broken;
    struct stat st;
    mode_t old = umask(077);

    writes = syncs = 0;
    for (int i = 0; i < 300; i++) {
        t[i] = t_try("{\"a\":\n1}", 8);
        F.start(h, &t[i]->attempt);
    }
    is_int(t[0]->ended, 0, "nothing is done before it is written");
    F.flush(h);
    for (int i = 0; i < 300; i++) {
        good += t[i]->ended == 1 && t[i]->outcome == WEBHOOK_OUTCOME_DONE;
        t_free(t[i]);
    }
    umask(old);
    is_int(good, 300, "300 deliveries are done");
    is_int(writes, 1, "... with one write");
    is_int(syncs, 1, "... and one sync");
    is_int(envelopes(in_dir("batch.log"), &broken), 300, "300 envelopes");
    is_int(broken, 0, "nothing else");
    stat(in_dir("batch.log"), &st);
    is_int(st.st_mode & 07777, 0640, "the mode asked for, whatever the umask");
    F.close(h);
}

static void test_failures(void)
{
    webhook_handler *h = t_open(&F, in_dir("fail.log"), NULL);
    try *t = deliver(h, "{}"), *two[2];
    apr_size_t len, before;
    int broken, errors = log_lines[WH_LOG_ERROR];
    char *text = slurp(in_dir("fail.log"), &before);
    FILE *f;

    free(text);
    t_free(t);
    for (int kind = 0; kind < 2; kind++) {
        if (kind)
            fail_sync = 1;
        else
            fail_write = 1;
        for (int i = 0; i < 2; i++) {
            two[i] = t_try("{}", 2);
            F.start(h, &two[i]->attempt);
        }
        F.flush(h);
        fail_sync = fail_write = 0;
        for (int i = 0; i < 2; i++) {
            is_int(two[i]->outcome, WEBHOOK_OUTCOME_RETRY, "%s: retry", kind ? "failed sync" : "full disk");
            is_str(two[i]->reason, "file-write", "... with its reason");
            ok(strstr(two[i]->detail, kind ? "Input/output error" : "No space left"), "... and cause: %s", two[i]->detail);
            t_free(two[i]);
        }
        free(slurp(in_dir("fail.log"), &len));
        is_int(len, before, "... and the file is as it was");
    }
    is_int(log_lines[WH_LOG_ERROR], errors + 1, "a lasting failure is said once");
    t = deliver(h, "{}");
    is_int(t->outcome, WEBHOOK_OUTCOME_DONE, "it goes on");
    t_free(t);

    f = fopen(in_dir("fail.log"), "a");
    fputs("{\"webhook\":1,\"id\":\"torn", f);
    fclose(f);
    t = deliver(h, "{}");
    is_int(t->outcome, WEBHOOK_OUTCOME_DONE, "after a torn line");
    is_int(envelopes(in_dir("fail.log"), &broken), 3, "... every record is whole");
    is_int(broken, 1, "... but the torn one");
    t_free(t);

    rename(in_dir("fail.log"), in_dir("fail.log.1"));
    t = deliver(h, "{}");
    is_int(envelopes(in_dir("fail.log"), &broken), 1, "a renamed file is left alone, a new one made");
    t_free(t);
    unlink(in_dir("fail.log"));
    must(symlink(in_dir("victim"), in_dir("fail.log")));
    t = deliver(h, "{}");
    ok(t->outcome == WEBHOOK_OUTCOME_RETRY && strstr(t->detail, "symbolic link"), "a symbolic link is not followed");
    is_int(count_files("victim"), 0, "... nothing appears behind it");
    t_free(t);
    unlink(in_dir("fail.log"));
    mkfifo(in_dir("fail.log"), 0600);
    t = deliver(h, "{}");
    ok(t->outcome == WEBHOOK_OUTCOME_RETRY && strstr(t->detail, "not a regular file"), "a FIFO is refused");
    t_free(t);
    unlink(in_dir("fail.log"));
    mkdir(in_dir("fail.log"), 0700);
    t = deliver(h, "{}");
    is_int(t->outcome, WEBHOOK_OUTCOME_RETRY, "a directory is refused: %s", t->detail);
    t_free(t);
    rmdir(in_dir("fail.log"));
    t = deliver(h, "{}");
    is_int(t->outcome, WEBHOOK_OUTCOME_DONE, "and all is well again");
    t_free(t);
    F.close(h);

    mkdir(in_dir("gone"), 0700);
    h = t_open(&F, in_dir("gone/x.log"), NULL);
    rmdir(in_dir("gone"));
    t = deliver(h, "{}");
    ok(t->outcome == WEBHOOK_OUTCOME_RETRY && strstr(t->detail, "No such file"), "a directory that went away: %s", t->detail);
    t_free(t);
    mkdir(in_dir("gone"), 0700);
    t = deliver(h, "{}");
    is_int(t->outcome, WEBHOOK_OUTCOME_DONE, "... and came back");
    t_free(t);
    F.close(h);
}

static void test_rotation(void)
{
    const char *words[] = {"rotate=4K", "keep=3", NULL}, *body = "{\"x\":\"0123456789012345678901234567890123456789\"}";
    webhook_handler *h = t_open(&F, in_dir("rot.log"), words);
    char *big = calloc(1, 6001);
    struct stat st;
    int over = 0, broken, total = 0, n = 0;
    DIR *d;
    struct dirent *e;
    try *t;

    for (int i = 0; i < 20; i++) {
        t = deliver(h, body);
        n += t->outcome == WEBHOOK_OUTCOME_DONE;
        t_free(t);
        stat(in_dir("rot.log"), &st);
        over += st.st_size > 4096;
    }
    is_int(n, 20, "20 deliveries around rotations");
    is_int(over, 0, "the file never passes its limit");
    d = opendir(dir);
    while ((e = readdir(d))) {
        if (!strncmp(e->d_name, "rot.log", 7)) {
            total += envelopes(in_dir(e->d_name), &broken);
            over += broken;
        }
    }
    closedir(d);
    is_int(total, 20, "... and every line is in one of them");
    is_int(over, 0, "... whole");
    memset(big, 'x', 6000);
    t = deliver(h, big);
    ok(t->outcome == WEBHOOK_OUTCOME_DONE, "a line over the limit is written");
    t_free(t);
    t = deliver(h, body);
    t_free(t);
    spit(in_dir("rot.log.20010101T000000Z-x"), "not ours");
    for (int i = 0; i < 200; i++) {
        try *b[5];

        for (int k = 0; k < 5; k++) {
            b[k] = t_try(body, strlen(body));
            F.start(h, &b[k]->attempt);
        }
        F.flush(h);
        for (int k = 0; k < 5; k++)
            t_free(b[k]);
    }
    is_int(count_files("rot.log."), 3 + 1, "keep= leaves three rotated files, and what is not one of them");
    F.close(h);

    spit(in_dir("ord.log.20260101T000000Z"), "1");
    spit(in_dir("ord.log.20260101T000000Z-2"), "3");
    spit(in_dir("ord.log.20260101T000000Z-10"), "4");
    spit(in_dir("ord.log.20260101T000000Z-1"), "2");
    spit(in_dir("ord.log.20250101T000000Z-11"), "0");
    is_int(wh_file_prune(dir, "ord.log", 2, pool), 0, "prune");
    ok(!access(in_dir("ord.log.20260101T000000Z-2"), F_OK) && !access(in_dir("ord.log.20260101T000000Z-10"), F_OK)
       && count_files("ord.log") == 2, "the newest two stay, -10 after -2");
    free(big);
}

static void test_lock(void)
{
    webhook_handler *h = t_open(&F, in_dir("lock.log"), NULL);
    try *t = deliver(h, "{}"), *late, *u;
    int fd = open(in_dir("lock.log"), O_RDWR | O_CLOEXEC);
    int broken;

    t_free(t);
    flock(fd, LOCK_EX);
    t = t_try("{}", 2);
    late = t_try("{}", 2);
    late->attempt.timeout = 1;
    F.start(h, &t->attempt);
    F.start(h, &late->attempt);
    F.flush(h);
    ok(t_wait(late) && late->outcome == WEBHOOK_OUTCOME_RETRY && !strcmp(late->reason, "timeout"), "the lock is not waited for longer than the attempt may take");
    is_int(t->ended, 0, "the other one still waits");
    u = t_try("{}", 2);
    F.start(h, &u->attempt);
    F.flush(h);
    flock(fd, LOCK_UN);
    ok(t_wait(t) && t->outcome == WEBHOOK_OUTCOME_DONE, "done when the lock is free");
    ok(t_wait(u) && u->outcome == WEBHOOK_OUTCOME_DONE, "... and who joined it");
    is_int(envelopes(in_dir("lock.log"), &broken), 3, "three lines");
    t_free(t);
    t_free(late);
    t_free(u);

    flock(fd, LOCK_EX);
    t = t_try("{}", 2);
    F.start(h, &t->attempt);
    F.flush(h);
    F.stop(h, 0);
    ok(t->ended == 1 && t->outcome == WEBHOOK_OUTCOME_RELEASED && !strcmp(t->reason, "stopped"), "a stop releases");
    is_int(wh_loop_timers(loop), 0, "... and leaves no timer");
    t_free(t);
    close(fd);
    F.close(h);
}

/* Two processes append to one rotating file while every fourth write fails half way: what was said to be done is there, once. */
static void test_two_writers(void)
{
    enum { BATCHES = 60, LINES = 5 };
    const char *words[] = {"rotate=16K", NULL};
    int fds[2], done[2] = {0, 0}, total = 0, broken = 0, b;
    struct dirent *e;
    DIR *d;

    for (int child = 0; child < 2; child++) {
        pid_t pid;

        if (pipe(fds))
            exit(1);
        pid = fork();
        if (!pid) {
            webhook_handler *h;
            int n = 0;

            wh_loop_create(&loop, t_finish, NULL, pool); /* not the parent's descriptors */
            h = t_open(&F, in_dir("two.log"), words);
            seed = (unsigned)child + 7;
            chance = 4;
            for (int i = 0; i < BATCHES; i++) {
                try *t[LINES];

                for (int k = 0; k < LINES; k++) {
                    t[k] = t_try("{\"some\":\"thing\"}", 16);
                    F.start(h, &t[k]->attempt);
                }
                F.flush(h);
                for (int k = 0; k < LINES; k++) {
                    t_wait(t[k]);
                    n += t[k]->outcome == WEBHOOK_OUTCOME_DONE;
                    t_free(t[k]);
                }
            }
            F.close(h);
            if (write(fds[1], &n, sizeof(n)) != sizeof(n))
                _exit(1);
            _exit(0);
        }
        close(fds[1]);
        done[child] = -fds[0];
    }
    for (int child = 0; child < 2; child++) {
        int n = 0, fd = -done[child];

        if (read(fd, &n, sizeof(n)) != sizeof(n))
            n = -1;
        close(fd);
        done[child] = n;
        wait(NULL);
    }
    ok(done[0] > 0 && done[1] > 0 && done[0] < BATCHES * LINES, "two writers, some batches failed (%d, %d)", done[0], done[1]);
    d = opendir(dir);
    while ((e = readdir(d))) {
        if (!strncmp(e->d_name, "two.log", 7)) {
            total += envelopes(in_dir(e->d_name), &b);
            broken += b;
        }
    }
    closedir(d);
    is_int(total, done[0] + done[1], "... every line that was done is there, and no other");
    is_int(broken, 0, "... whole");
}

static void test_raw(void)
{
    const char *words[] = {"format=raw", "mode=0600", NULL}, *named[] = {"format=raw", NULL};
    webhook_handler *h;
    char body[5000], *text;
    const char *path;
    apr_size_t len;
    struct stat st;
    try *t, *again, *many[20];
    int n = 0;

    mkdir(in_dir("raw"), 0700);
    h = t_open(&F, in_dir("raw"), words);
    for (apr_size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)(i * 7);
    t = t_try(body, sizeof(body));
    F.start(h, &t->attempt);
    is_int(t->ended, 0, "raw: nothing before flush");
    F.flush(h);
    is_int(t->outcome, WEBHOOK_OUTCOME_DONE, "raw: done");
    path = apr_psprintf(pool, "%s/raw/20261123T202201Z-%s.json", dir, t->id);
    is_str(t->output, path, "... and says where it is");
    text = slurp(path, &len);
    is_mem(text, len, body, sizeof(body), "... with the received bytes");
    free(text);
    stat(path, &st);
    is_int(st.st_mode & 07777, 0600, "... and the mode");

    again = t_try(body, sizeof(body));
    again->d.id = t->id;
    again->lease.attempt = 2;
    F.start(h, &again->attempt);
    F.flush(h);
    is_int(again->outcome, WEBHOOK_OUTCOME_DONE, "a second attempt finds its file");
    t_free(again);
    for (int kind = 0; kind < 3; kind++) { /* other byte, shorter, longer */
        body[4999] ^= kind == 0;
        again = t_try(body, sizeof(body) - (kind == 1));
        body[4999] ^= kind == 0;
        if (kind == 2)
            must(truncate(path, 4000));
        if (kind == 0)
            spit(path, "other");
        again->d.id = t->id;
        F.start(h, &again->attempt);
        F.flush(h);
        ok(again->outcome == WEBHOOK_OUTCOME_RETRY && strstr(again->detail, "other content"), "a file with other content is not replaced (%d)", kind);
        t_free(again);
    }
    t_free(t);

    t = t_try("", 0);
    t->d.body.data = NULL;
    t->d.content_type = NULL;
    F.start(h, &t->attempt);
    F.flush(h);
    ok(t->outcome == WEBHOOK_OUTCOME_DONE && !stat(t->output, &st) && st.st_size == 0 && strstr(t->output, ".bin"), "an empty body is an empty file");
    t_free(t);

    spit(in_dir("body"), "from a file");
    t = t_try("from a file", 11);
    t->d.body.data = NULL;
    t->d.body.len = 0;
    t->d.body_file = in_dir("body");
    F.start(h, &t->attempt);
    F.flush(h);
    text = slurp(t->output, &len);
    is_str(text, "from a file", "a body that is in a file");
    free(text);
    t_free(t);
    t = t_try("gone", 4);
    t->d.body.data = NULL;
    t->d.body.len = 0;
    t->d.body_file = in_dir("nobody");
    F.start(h, &t->attempt);
    F.flush(h);
    ok(t->outcome == WEBHOOK_OUTCOME_DEAD && !strcmp(t->reason, "body-lost"), "a body that is gone");
    t_free(t);

    t = t_try("x", 1);
    t->d.id = "../../etc/passwd";
    F.start(h, &t->attempt);
    F.flush(h);
    ok(t->outcome == WEBHOOK_OUTCOME_RETRY, "an id that is no file name makes no file");
    t_free(t);
    F.close(h);

    h = t_open(&F, in_dir("raw/x-%{id}"), named);
    for (int i = 0; i < 20; i++) {
        many[i] = t_try("many", 4);
        F.start(h, &many[i]->attempt);
    }
    F.flush(h);
    for (int i = 0; i < 20; i++) {
        n += t_wait(many[i]) && many[i]->outcome == WEBHOOK_OUTCOME_DONE && !access(many[i]->output, F_OK);
        t_free(many[i]);
    }
    is_int(n, 20, "many raw files, over several turns of the loop if they take long");
    is_int(wh_loop_timers(loop), 0, "... no timer is left");
    F.close(h);
}

int main(void)
{
    t_begin();
    if (!mkdtemp(dir))
        return 1;
    test_configure();
    test_batch();
    test_failures();
    test_rotation();
    test_lock();
    test_two_writers();
    test_raw();
    if (fork() == 0)
        execlp("rm", "rm", "-rf", dir, (char *)NULL);
    wait(NULL);
    apr_pool_destroy(pool);
    return tap_done();
}
