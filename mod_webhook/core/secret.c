/* SPDX-License-Identifier: Apache-2.0 */
/* secret.c: reading secrets; see secret.h. */
#include "core/secret.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct kept_bytes {
    unsigned char *data;
    apr_size_t len, mapped; /* mapped: 0 when the bytes lie in the pool */
} kept_bytes;

static apr_status_t cleanse(void *data)
{
    kept_bytes *k = data;

    OPENSSL_cleanse(k->data, k->len);
    if (k->mapped) {
        munmap(k->data, k->mapped);
    }
    return APR_SUCCESS;
}

/* Whole pages that are left out of core images, those that debuggers make of a live process too; the mark survives fork. */
static unsigned char *undumped(apr_size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED) {
        return NULL;
    }
    if (madvise(at, bytes, MADV_DONTDUMP) != 0) {
        munmap(at, bytes);
        return NULL;
    }
    return at;
}

unsigned char *wh_secret_room(apr_size_t len, apr_pool_t *p)
{
    kept_bytes *k = apr_palloc(p, sizeof(*k));
    apr_size_t page = (apr_size_t)sysconf(_SC_PAGESIZE);

    /* NUL behind, for APIs that want C strings; not counted. */
    k->len = len;
    k->mapped = (len + page) / page * page;
    k->data = undumped(k->mapped);
    if (!k->data) { /* no such pages left, or an old kernel: the secret is needed more than its absence from a core image */
        k->mapped = 0;
        k->data = apr_pcalloc(p, len + 1);
    }
    apr_pool_cleanup_register(p, k, cleanse, apr_pool_cleanup_null);
    return k->data;
}

unsigned char *wh_secret_keep(const void *bytes, apr_size_t len, apr_pool_t *p)
{
    unsigned char *room = wh_secret_room(len, p);

    memcpy(room, bytes, len);
    return room;
}

static void stamp_from(wh_secret_stamp *stamp, const struct stat *st)
{
    stamp->inode = st->st_ino;
    stamp->mtime = apr_time_make(st->st_mtim.tv_sec, st->st_mtim.tv_nsec / 1000);
    stamp->ctime = apr_time_make(st->st_ctim.tv_sec, st->st_ctim.tv_nsec / 1000);
    stamp->size = st->st_size;
}

int wh_secret_unchanged(const char *path, const wh_secret_stamp *stamp)
{
    struct stat st;
    wh_secret_stamp now;
    if (stat(path, &st) != 0) {
        return 0;
    }
    stamp_from(&now, &st);
    return now.inode == stamp->inode && now.mtime == stamp->mtime && now.ctime == stamp->ctime && now.size == stamp->size;
}

const char *wh_secret_accept(webhook_slice *bytes, const char **warning, apr_pool_t *p)
{
    apr_size_t i;

    if (bytes->len && bytes->data[bytes->len - 1] == '\n') {
        bytes->len--;
        if (bytes->len && bytes->data[bytes->len - 1] == '\r') {
            bytes->len--;
        }
    }
    if (!bytes->len) {
        return "is empty";
    }
    for (i = 0; i < bytes->len && apr_isspace(bytes->data[i]); i++) {
        continue;
    }
    if (i == bytes->len) {
        return "holds white space only";
    }
    if (warning && (apr_isspace(bytes->data[0]) || apr_isspace(bytes->data[bytes->len - 1])) && strncmp(bytes->data, "-----BEGIN", 10) != 0) {
        *warning = apr_pstrdup(p, "begins or ends with white space, which counts as part of the secret");
    }
    return NULL;
}

const char *wh_secret_read(webhook_slice *out, const char *path, const char **warning, wh_secret_stamp *stamp, apr_pool_t *p)
{
    char room[WH_SECRET_MAX + 1];
    apr_size_t len = 0;
    struct stat st;
    const char *err = NULL;
    int fd;

    if (warning) {
        *warning = NULL;
    }
    /* O_NONBLOCK: a FIFO in place of the file must not hang the start; it is refused below. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return apr_psprintf(p, "cannot be read: %s", strerror(errno));
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return "is not a regular file";
    }
    while (len < sizeof(room)) {
        ssize_t n = read(fd, room + len, sizeof(room) - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            err = apr_psprintf(p, "cannot be read: %s", strerror(errno));
            break;
        }
        if (n == 0) {
            break;
        }
        len += (apr_size_t)n;
    }
    close(fd);
    if (!err && len > WH_SECRET_MAX) {
        err = apr_psprintf(p, "is larger than %d bytes", WH_SECRET_MAX);
    }
    if (!err) {
        out->data = room;
        out->len = len;
        err = wh_secret_accept(out, warning, p);
    }
    if (!err) {
        out->data = (const char *)wh_secret_keep(out->data, out->len, p);
        if (stamp) {
            stamp_from(stamp, &st);
        }
        if (warning && (st.st_mode & (S_IROTH | S_IWOTH | S_IWGRP))) {
            *warning = apr_psprintf(p, "can be %s (mode %04o)", st.st_mode & S_IROTH ? "read by every user of this machine" : "changed by others than its owner",
                                    (unsigned)(st.st_mode & 07777));
        }
    }
    OPENSSL_cleanse(room, sizeof(room));
    return err;
}
