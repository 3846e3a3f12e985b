/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim_order.c: preloaded into httpd, puts into one order what must happen in one order: a request's bytes are read from a socket, its
 * row is written to the store's write-ahead log, files are synced, the answer's bytes are written to a socket. Text lines appended to
 * $WEBHOOK_ORDER.log; the numbers come from a counter in $WEBHOOK_ORDER.count, a file mapped by all processes:
 *
 *   N read PID TID MARK       bytes with "mark-XXXXXXXX." have been read from a socket
 *   N row PID TID MARK        bytes with it have been written to a file whose name ends in -wal
 *   N synced PID TID B PATH   fsync or fdatasync of PATH, which began at number B, returned 0
 *   N answer PID TID ID       bytes with "id":"ID" are about to be written to a socket
 *
 * Numbers are taken after a read, after a file was written, before a sync begins, after it has returned, and before a socket is written:
 * where two of them are ordered by cause the numbers are ordered so too, and a number taken late can only make the module look worse.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MARK "mark-"
#define MARK_LEN 13 /* with its eight digits; a full stop follows */
#define ID "\"id\":\""
#define ID_LEN 36
#define FDS 1024

static unsigned long *counter;
static int out = -1;
static char carry[FDS][MARK_LEN]; /* the last bytes read from each socket: a mark may come in two parts */
static size_t carried[FDS];

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_readv)(int, const struct iovec *, int);
static ssize_t (*real_recv)(int, void *, size_t, int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);

static void load(void)
{
    const char *base = getenv("WEBHOOK_ORDER");
    char path[4096];
    int fd;

    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_read = dlsym(RTLD_NEXT, "read");
    *(void **)&real_readv = dlsym(RTLD_NEXT, "readv");
    *(void **)&real_recv = dlsym(RTLD_NEXT, "recv");
    *(void **)&real_write = dlsym(RTLD_NEXT, "write");
    *(void **)&real_writev = dlsym(RTLD_NEXT, "writev");
    *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    *(void **)&real_send = dlsym(RTLD_NEXT, "send");
    *(void **)&real_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
    if (!base) {
        return;
    }
    snprintf(path, sizeof(path), "%s.count", base);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, 4096) != 0) {
        abort();
    }
    counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    snprintf(path, sizeof(path), "%s.log", base);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    /* far from the numbers that httpd expects for its own */
    out = fcntl(fd, F_DUPFD_CLOEXEC, 900);
    close(fd);
    if (counter == MAP_FAILED || out < 0) {
        abort();
    }
}

static void ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
}

static unsigned long number(void)
{
    return __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static void put(const char *line, int len)
{
    if (real_write(out, line, (size_t)len) != len) {
        abort();
    }
}

static void note(unsigned long n, const char *what, const char *text, int len)
{
    char line[4400];
    put(line, snprintf(line, sizeof(line), "%lu %s %ld %ld %.*s\n", n, what, (long)getpid(), (long)syscall(SYS_gettid), len, text));
}

static int is_socket(int fd)
{
    struct stat st;
    return out >= 0 && fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void marks_in(const char *what, const char *data, size_t len)
{
    const char *at = data, *end = data + len;

    while ((at = memmem(at, (size_t)(end - at), MARK, sizeof(MARK) - 1)) && end - at > MARK_LEN) {
        if (at[MARK_LEN] == '.') {
            note(number(), what, at, MARK_LEN);
        }
        at++;
    }
}

static void have_read(int fd, const char *data, ssize_t len)
{
    char seam[2 * MARK_LEN + 2];
    size_t n, head;
    int err = errno;

    if (len <= 0 || fd >= FDS || !is_socket(fd)) {
        errno = err;
        return;
    }
    head = (size_t)len < MARK_LEN ? (size_t)len : MARK_LEN;
    memcpy(seam, carry[fd], carried[fd]);
    memcpy(seam + carried[fd], data, head);
    if (carried[fd]) {
        marks_in("read", seam, carried[fd] + head); /* too short for a whole mark of either side's own and the stop behind it */
    }
    marks_in("read", data, (size_t)len);
    n = (size_t)len < MARK_LEN ? (size_t)len : MARK_LEN;
    memcpy(carry[fd], data + len - n, n);
    carried[fd] = n;
    errno = err;
}

static void will_write(int fd, const struct iovec *iov, size_t count)
{
    char text[4096];
    const char *at;
    size_t i, len = 0;
    int err = errno;

    if (is_socket(fd)) {
        for (i = 0; i < count && len < sizeof(text); i++) {
            size_t n = iov[i].iov_len < sizeof(text) - len ? iov[i].iov_len : sizeof(text) - len;
            memcpy(text + len, iov[i].iov_base, n);
            len += n;
        }
        at = memmem(text, len, ID, sizeof(ID) - 1);
        if (at && text + len - at >= (long)sizeof(ID) - 1 + ID_LEN) {
            note(number(), "answer", at + sizeof(ID) - 1, ID_LEN);
        }
    }
    errno = err;
}

static void path_of(int fd, char *path, size_t size)
{
    char link[64];
    ssize_t n;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, size - 1);
    path[n < 0 ? 0 : n] = '\0';
}

static int sync_with(int (*real)(int), int fd)
{
    char path[4096];
    unsigned long began, ended;
    int rc, err;

    if (out < 0) {
        return real(fd);
    }
    path_of(fd, path, sizeof(path));
    began = number();
    rc = real(fd);
    err = errno;
    ended = number();
    if (rc == 0) {
        char text[4200];
        note(ended, "synced", text, snprintf(text, sizeof(text), "%lu %s", began, path));
    }
    errno = err;
    return rc;
}

int fsync(int fd)
{
    ready();
    return sync_with(real_fsync, fd);
}

int fdatasync(int fd)
{
    ready();
    return sync_with(real_fdatasync, fd);
}

ssize_t read(int fd, void *buf, size_t len)
{
    ssize_t n;
    ready();
    n = real_read(fd, buf, len);
    have_read(fd, buf, n);
    return n;
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    ssize_t n;
    ready();
    n = real_recv(fd, buf, len, flags);
    if (!(flags & MSG_PEEK)) {
        have_read(fd, buf, n);
    }
    return n;
}

ssize_t readv(int fd, const struct iovec *iov, int count)
{
    ssize_t n, left;
    int i;
    ready();
    n = left = real_readv(fd, iov, count);
    for (i = 0; i < count && left > 0; i++) {
        ssize_t part = left < (ssize_t)iov[i].iov_len ? left : (ssize_t)iov[i].iov_len;
        have_read(fd, iov[i].iov_base, part);
        left -= part;
    }
    return n;
}

ssize_t write(int fd, const void *buf, size_t len)
{
    struct iovec iov = {(void *)(size_t)buf, len};
    ready();
    will_write(fd, &iov, 1);
    return real_write(fd, buf, len);
}

static ssize_t put_row(int fd, const void *buf, size_t len, off_t at)
{
    ssize_t n;
    ready();
    n = real_pwrite(fd, buf, len, at);
    if (n > 0 && out >= 0 && memmem(buf, (size_t)n, MARK, sizeof(MARK) - 1)) {
        char path[4096];
        int err = errno;
        path_of(fd, path, sizeof(path));
        if (strlen(path) > 4 && !strcmp(path + strlen(path) - 4, "-wal")) {
            marks_in("row", buf, (size_t)n);
        }
        errno = err;
    }
    return n;
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    return put_row(fd, buf, len, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off_t at)
{
    return put_row(fd, buf, len, at);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    ready();
    will_write(fd, iov, (size_t)count);
    return real_writev(fd, iov, count);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    struct iovec iov = {(void *)(size_t)buf, len};
    ready();
    will_write(fd, &iov, 1);
    return real_send(fd, buf, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    ready();
    will_write(fd, msg->msg_iov, msg->msg_iovlen);
    return real_sendmsg(fd, msg, flags);
}
