/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable files: content, modes, what is refused, and that nothing stays behind after a failure.
 */
#include "tap.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/durable.h"

static apr_pool_t *pool;
static char dir[] = "/tmp/test_durable.XXXXXX";

static const char *in_dir(const char *name)
{
    return apr_pstrcat(pool, dir, "/", name, NULL);
}

static int entries(void)
{
    DIR *d = opendir(dir);
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n - 2;
}

static const char *content(const char *name)
{
    char *text = apr_pcalloc(pool, 4096);
    int fd = open(in_dir(name), O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, 4095);

    if (fd >= 0)
        close(fd);
    return n < 0 ? NULL : text;
}

static apr_status_t create(const char *name, const char *text, mode_t mode, int replace)
{
    webhook_slice data = { text, strlen(text) };

    return wh_durable_create(dir, name, data, mode, replace, pool);
}

static void test_create(void)
{
    static const char *const unsafe[] = { "", ".", "..", ".hidden", "a/b", "/etc/passwd", "../x", "a b", "a\nb", "\xc3\xa9", "a:b", "~" };
    webhook_slice big = { NULL, 3000000 };
    struct rlimit limit, saved;
    struct stat st;
    mode_t mask = umask(077);

    is_int(create("a.json", "one", 0640, 0), APR_SUCCESS, "a new file");
    umask(mask);
    is_str(content("a.json"), "one", "its content");
    ok(!stat(in_dir("a.json"), &st) && (st.st_mode & 07777) == 0640, "its mode, whatever the umask");
    is_int(create("a.json", "two", 0640, 0), APR_EEXIST, "it is not replaced");
    is_str(content("a.json"), "one", "indeed");
    is_int(entries(), 1, "nothing was left behind");
    is_int(create("a.json", "three", 0600, 1), APR_SUCCESS, "unless asked to");
    is_str(content("a.json"), "three", "then it is");
    ok(!stat(in_dir("a.json"), &st) && (st.st_mode & 07777) == 0600, "with the new mode");
    is_int(create("empty", "", 0600, 0), APR_SUCCESS, "an empty file");
    is_str(content("empty"), "", "is empty");
    for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
        is_int(create(unsafe[i], "x", 0600, 1), APR_EINVAL, "unsafe name %d", (int)i);
    is_int(entries(), 2, "made nothing");

    ok(symlink("/nonexistent/x", in_dir("link")) == 0, "a symbolic link");
    is_int(create("link", "x", 0600, 0), APR_EEXIST, "counts as existing");
    ok(access("/nonexistent/x", F_OK) != 0, "and is not followed");
    is_int(create("link", "x", 0600, 1), APR_SUCCESS, "or is replaced itself");
    ok(!lstat(in_dir("link"), &st) && S_ISREG(st.st_mode), "by a file");

    ok(APR_STATUS_IS_ENOENT(wh_durable_create("/nonexistent", "x", big, 0600, 0, pool)), "a missing directory");
    ok(wh_durable_create(in_dir("a.json"), "x", big, 0600, 0, pool) == ENOTDIR, "a file as directory");

    /* a file that cannot be written whole */
    big.data = apr_pcalloc(pool, big.len);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &saved);
    limit = saved;
    limit.rlim_cur = 1000000;
    setrlimit(RLIMIT_FSIZE, &limit);
    is_int(wh_durable_create(dir, "big", big, 0600, 0, pool), EFBIG, "writing fails");
    is_int(wh_durable_create(dir, "a.json", big, 0600, 1, pool), EFBIG, "also when replacing");
    setrlimit(RLIMIT_FSIZE, &saved);
    is_int(entries(), 3, "nothing is left behind");
    is_str(content("a.json"), "three", "and the old content stays");
    is_int(wh_durable_create(dir, "big", big, 0600, 0, pool), APR_SUCCESS, "with room it works");
    ok(!stat(in_dir("big"), &st) && st.st_size == 3000000, "whole");
}

static void test_names(void)
{
    char name[202];

    memset(name, 'a', sizeof(name));
    name[201] = '\0';
    ok(!wh_name_is_safe(name), "201 bytes are too many");
    name[200] = '\0';
    ok(wh_name_is_safe(name), "200 are not");
    ok(wh_name_is_safe("a"), "one");
    ok(wh_name_is_safe("-rf"), "a dash");
    ok(wh_name_is_safe("A.b_c-9"), "the alphabet");
}

static void test_write_all(void)
{
    int fds[2];
    char text[16];

    if (pipe(fds)) {
        fail("pipe");
        return;
    }
    is_int(wh_write_all(fds[1], "hello", 5), APR_SUCCESS, "written");
    is_int(read(fds[0], text, sizeof(text)), 5, "all of it");
    is_int(wh_write_all(fds[1], NULL, 0), APR_SUCCESS, "nothing to write");
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    {
        char *big = calloc(1, 1000000);
        ok(APR_STATUS_IS_EAGAIN(wh_write_all(fds[1], big, 1000000)), "a full pipe is said");
        free(big);
    }
    signal(SIGPIPE, SIG_IGN);
    close(fds[0]);
    is_int(wh_write_all(fds[1], "x", 1), EPIPE, "a closed one too");
    close(fds[1]);
    is_int(wh_write_all(-1, "x", 1), EBADF, "no descriptor");
    is_int(wh_sync_dir(dir), APR_SUCCESS, "a directory is synced");
    ok(APR_STATUS_IS_ENOENT(wh_sync_dir("/nonexistent")), "a missing one is not");
}

static int open_count(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

int main(void)
{
    int before;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (!mkdtemp(dir))
        skip_all("no temporary directory");
    before = open_count();
    test_create();
    test_names();
    test_write_all();
    is_int(open_count(), before, "no descriptor stays open");
    unlink(in_dir("a.json"));
    unlink(in_dir("empty"));
    unlink(in_dir("link"));
    unlink(in_dir("big"));
    ok(rmdir(dir) == 0, "the directory is empty again");
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
