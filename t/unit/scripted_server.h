/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loopback HTTP server that says what it is told to, well-formed or not: one thread, one connection at a time, the last request kept.
 * TLS through libssl as libcurl has loaded it (nothing else here links it).
 */
#ifndef T_SCRIPTED_SERVER_H
#define T_SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef enum act {
    ACT_ANSWER,      /* read a request, send `text`, wait for the next one */
    ACT_CLOSE,       /* ... then close */
    ACT_RESET,       /* accept, wait for the first byte, reset */
    ACT_RESET_AFTER, /* read a request, send `text`, reset */
    ACT_SILENT,      /* read a request, say nothing */
    ACT_DRIP,        /* read a request, send `text`, then its last byte for ever, slowly */
    ACT_REPEAT,      /* read a request, send `text`, then `again` for ever */
    ACT_BLURT        /* send `text` without having read anything, then close */
} act;

typedef struct server {
    int listener, port, stop[2];
    pthread_t thread;
    act act;
    const char *text, *again;
    SSL_CTX *tls; /* NULL: plain */
    char request[1 << 16];
    size_t request_len;
    int requests, connections; /* read after server_stop() or when an attempt ended */
} server;

/* libssl's functions, by name */
#define LIBSSL(X) X(SSL_new) X(SSL_free) X(SSL_set_fd) X(SSL_accept) X(SSL_read) X(SSL_write) X(SSL_CTX_new) X(SSL_CTX_free) X(TLS_server_method) \
    X(SSL_CTX_use_certificate) X(SSL_CTX_use_PrivateKey) X(SSL_CTX_set_verify) X(SSL_CTX_get_cert_store) X(SSL_pending)
#define X(f) static __typeof__(f) *p_##f;
LIBSSL(X)
#undef X

static int load_libssl(void)
{
    void *lib = dlopen("libssl.so.3", RTLD_NOW);

#define X(f) *(void **)&p_##f = lib ? dlsym(lib, #f) : NULL; if (!p_##f) return 0;
    LIBSSL(X)
#undef X
    return 1;
}

typedef struct wire {
    server *s;
    int fd;
    SSL *ssl;
} wire;

/* wait until the peer can be read, or 0 when the server is told to stop */
static int wire_ready(wire *w)
{
    struct pollfd p[2] = {{w->fd, POLLIN, 0}, {w->s->stop[0], POLLIN, 0}};

    if (w->ssl && p_SSL_pending(w->ssl))
        return 1;
    return poll(p, 2, -1) > 0 && !p[1].revents;
}

static long wire_read(wire *w, char *buf, size_t room)
{
    return w->ssl ? p_SSL_read(w->ssl, buf, (int)room) : (long)recv(w->fd, buf, room, 0);
}

static int wire_write(wire *w, const char *data, size_t len)
{
    while (len) {
        struct pollfd p[2] = {{w->fd, POLLOUT, 0}, {w->s->stop[0], POLLIN, 0}};
        long n;

        if (poll(p, 2, -1) <= 0 || p[1].revents)
            return 0;
        n = w->ssl ? p_SSL_write(w->ssl, data, (int)len) : (long)send(w->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0)
            return 0;
        data += n;
        len -= (size_t)n;
    }
    return 1;
}

/* one request with its Content-Length body */
static int wire_request(wire *w)
{
    server *s = w->s;
    size_t len = 0, want = 0;

    for (;;) {
        char *end;
        long n;

        end = len ? strstr(s->request, "\r\n\r\n") : NULL; /* until then the last request stays to be looked at */
        if (end && !want) {
            const char *cl = strcasestr(s->request, "\r\ncontent-length:");

            want = (size_t)(end + 4 - s->request) + (cl && cl < end ? strtoul(cl + 17, NULL, 10) : 0);
        }
        if (want && len >= want) {
            s->request_len = len;
            s->requests++;
            return 1;
        }
        if (len + 1 >= sizeof(s->request) || !wire_ready(w))
            return 0;
        n = wire_read(w, s->request + len, sizeof(s->request) - 1 - len);
        if (n <= 0)
            return 0;
        len += (size_t)n;
        s->request[len] = '\0';
    }
}

static void wire_reset(int fd)
{
    struct linger l = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static void wire_talk(wire *w)
{
    server *s = w->s;
    size_t len = s->text ? strlen(s->text) : 0;
    struct timespec slow = {0, 20000000};

    if (s->act == ACT_RESET) {
        wire_ready(w); /* a reset that comes before the peer has noticed that it is connected would be a failed connection */
        wire_reset(w->fd);
        return;
    }
    if (s->act == ACT_BLURT) {
        wire_write(w, s->text, len);
        return;
    }
    while (wire_request(w)) {
        if (s->act == ACT_SILENT) {
            wire_ready(w);
            return;
        }
        if (!wire_write(w, s->text, len))
            return;
        if (s->act == ACT_RESET_AFTER)
            wire_reset(w->fd);
        if (s->act == ACT_CLOSE || s->act == ACT_RESET_AFTER)
            return;
        while (s->act == ACT_DRIP && wire_write(w, s->text + len - 1, 1))
            nanosleep(&slow, NULL);
        while (s->act == ACT_REPEAT && wire_write(w, s->again, strlen(s->again)))
            ;
        if (s->act != ACT_ANSWER)
            return;
    }
}

static void *server_main(void *baton)
{
    server *s = baton;

    for (;;) {
        struct pollfd p[2] = {{s->listener, POLLIN, 0}, {s->stop[0], POLLIN, 0}};
        wire w = {s, -1, NULL};

        if (poll(p, 2, -1) <= 0)
            continue;
        if (p[1].revents)
            return NULL;
        w.fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (w.fd < 0)
            continue;
        s->connections++;
        if (s->tls) {
            w.ssl = p_SSL_new(s->tls);
            p_SSL_set_fd(w.ssl, w.fd);
        }
        if (!w.ssl || p_SSL_accept(w.ssl) == 1)
            wire_talk(&w);
        if (w.ssl)
            p_SSL_free(w.ssl);
        close(w.fd);
    }
}

/* path NULL: TCP on a free port of 127.0.0.1 */
static void server_start(server *s, act a, const char *text, const char *again, SSL_CTX *tls, const char *path)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(in);
    int failed;

    memset(s, 0, sizeof(*s));
    s->act = a;
    s->text = text;
    s->again = again;
    s->tls = tls;
    s->listener = socket(path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (path) {
        snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
        failed = bind(s->listener, (struct sockaddr *)&un, sizeof(un));
    }
    else {
        failed = bind(s->listener, (struct sockaddr *)&in, sizeof(in)) || getsockname(s->listener, (struct sockaddr *)&in, &len);
        s->port = ntohs(in.sin_port);
    }
    if (failed || listen(s->listener, 16) || pipe(s->stop) || pthread_create(&s->thread, NULL, server_main, s)) {
        printf("Bail out! no server: %s\n", strerror(errno));
        exit(1);
    }
}

static void server_stop(server *s)
{
    close(s->stop[1]);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->listener);
}

#endif
