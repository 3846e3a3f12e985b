/* SPDX-License-Identifier: Apache-2.0 */
/* test_secret.c: secrets from files: what counts as the secret, what is refused, and what is said about the file without a word of the secret. */
#include <apr_general.h>
#include <apr_strings.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/secret.h"
#include "tap.h"

static apr_pool_t *pool;
static char file[] = "/tmp/wh-secret-XXXXXX";

static void put(const char *text, mode_t mode)
{
    FILE *f = fopen(file, "w");

    if (!f || fputs(text, f) < 0 || fclose(f) || chmod(file, mode)) fail("%s can be written", file);
}

static const char *warning_of(mode_t mode)
{
    const char *warning = NULL, *err;
    webhook_slice s;

    put("s3cret\n", mode);
    err = wh_secret_read(&s, file, &warning, NULL, pool);
    if (err) fail("mode %04o is read: %s", (unsigned)mode, err);
    ok(!warning || !strstr(warning, "s3cret"), "mode %04o: %s", (unsigned)mode, warning ? warning : "no warning");
    return warning;
}

int main(void)
{
    static const struct { const char *text, *secret, *err; } rows[] = {
        { "a", "a", NULL }, { "a\n", "a", NULL }, { "a\r\n", "a", NULL }, { "a\n\n", "a\n", NULL }, { " a", " a", NULL }, { "", NULL, "is empty" },
        { "\n", NULL, "is empty" }, { " \t\n", NULL, "holds white space only" },
    };
    const char *warning;
    wh_secret_stamp stamp;
    webhook_slice s;
    size_t i;
    int fd;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if ((fd = mkstemp(file)) < 0) return 1;
    close(fd);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *err;
        put(rows[i].text, 0600);
        err = wh_secret_read(&s, file, &warning, NULL, pool);
        is_str(err, rows[i].err, "row %d", (int)i);
        if (!err) is_mem(s.data, s.len, rows[i].secret, strlen(rows[i].secret), "... the secret");
    }
    ok(!warning_of(0600) && !warning_of(0640) && !warning_of(0440), "the owner's, perhaps for its group to read");
    ok((warning = warning_of(0644)) != NULL && strstr(warning, "can be read by every user"), "others may read it");
    ok((warning = warning_of(0660)) != NULL && strstr(warning, "can be changed by others"), "the group may change it");
    ok((warning = warning_of(0602)) != NULL && strstr(warning, "can be changed by others"), "everybody may change it");
    put("one", 0600);
    ok(!wh_secret_read(&s, file, NULL, &stamp, pool) && wh_secret_unchanged(file, &stamp), "a file that stays as it is");
    put("three", 0600);
    ok(!wh_secret_unchanged(file, &stamp), "one that changed");
    is_str(wh_secret_read(&s, "/dev/null", NULL, NULL, pool), "is not a regular file", "a device");
    unlink(file);
    ok(strncmp(wh_secret_read(&s, file, NULL, NULL, pool), "cannot be read", 14) == 0 && !wh_secret_unchanged(file, &stamp), "one that is gone");
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
