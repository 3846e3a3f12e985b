/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_pipe.c: a pipe handler's program for the kill loops: sink_pipe DIR [MILLISECONDS]. Appends to DIR/pipe.log
 *
 *   start ID ATTEMPT PID NANOSECONDS
 *   body ID ATTEMPT <standard input, which the load generator keeps on one line>
 *   end ID ATTEMPT PID NANOSECONDS
 *   overlap ID ATTEMPT PID          another attempt of the same delivery is running at this moment
 *
 * and stays for up to 20 (or that many) milliseconds in between so that kills find attempts in flight. Each line begins with a newline of
 * its own too: a SIGKILL may cut a write short, and what follows must not be taken for its end. An open-file-description lock on a byte chosen by the
 * delivery id shows overlaps; the kernel releases it however this process ends.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int out;

static void put(const char *line, size_t len)
{
    /* one write on an O_APPEND descriptor: lines of several processes never mix */
    if (write(out, line, len) != (ssize_t)len) {
        _exit(70);
    }
}

static void event(const char *what, const char *id, const char *attempt)
{
    char line[256];
    struct timespec ts;
    int n;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    n = snprintf(line, sizeof(line), "\n%s %s %s %ld %lld\n", what, id, attempt, (long)getpid(),
                 (long long)ts.tv_sec * 1000000000LL + ts.tv_nsec);
    put(line, (size_t)n);
}

int main(int argc, char **argv)
{
    static char buf[70000];
    const char *id = getenv("WEBHOOK_ID"), *attempt = getenv("WEBHOOK_ATTEMPT");
    char path[4096];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    struct timespec pause = {0, 0};
    size_t len = 0, n = 0;
    unsigned long long hash = 0xcbf29ce484222325ULL;
    const char *c;
    long most = argc == 3 ? strtol(argv[2], NULL, 10) : 20;
    int fd;

    if (argc < 2 || argc > 3 || most < 1 || most > 10000 || !id || !attempt) {
        return 64;
    }
    snprintf(path, sizeof(path), "%s/pipe.log", argv[1]);
    out = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    snprintf(path, sizeof(path), "%s/pipe.lock", argv[1]);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (out < 0 || fd < 0) {
        return 71;
    }
    for (c = id; *c; c++) { /* FNV-1a over all of it: ids of one millisecond differ in their end only */
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3ULL;
    }
    lock.l_start = (off_t)(hash >> 2);
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        event("overlap", id, attempt);
    }
    event("start", id, attempt);
    n = (size_t)snprintf(buf, sizeof(buf), "\nbody %s %s ", id, attempt);
    while (n + len + 1 < sizeof(buf)) {
        ssize_t got = read(0, buf + n + len, sizeof(buf) - n - len - 1);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    most = (long)((unsigned)getpid() * 2654435761u % (unsigned)(most * 1000)); /* microseconds */
    pause.tv_sec = most / 1000000;
    pause.tv_nsec = most % 1000000 * 1000;
    nanosleep(&pause, NULL);
    buf[n + len] = '\n';
    put(buf, n + len + 1);
    event("end", id, attempt);
    return 0;
}
