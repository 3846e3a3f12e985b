/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upstream handler against a server that misbehaves in every way a table can name: what goes over the wire, and what each answer
 * makes of the attempt.
 */
#include <curl/curl.h>
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/wait.h>

#include "tap.h"
#include "handler.h"
#include "scripted_server.h"

#define U wh_handler_upstream
#define OK200 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static char dir[] = "/tmp/wh_upstream_XXXXXX";
static server srv;

static const char *in_dir(const char *name)
{
    return apr_pstrcat(pool, dir, "/", name, NULL);
}

static const char *url(const char *scheme, const char *path)
{
    return apr_psprintf(pool, "%s://127.0.0.1:%d%s", scheme, srv.port, path);
}

static void end_handler(webhook_handler *h)
{
    U.stop(h, 0);
    U.close(h);
}

/* one attempt of its own handler */
static try *attempt_with(const char *target, const char *const *words, apr_interval_time_t timeout)
{
    webhook_handler *h = t_open(&U, target, words);
    try *t = t_try("{\"a\":1}", 7);

    if (timeout)
        t->attempt.timeout = timeout;
    U.start(h, &t->attempt);
    ok(t_wait(t), "the attempt ended");
    end_handler(h);
    return t;
}

static void test_configure(void)
{
    webhook_handler_conf *conf;
    const char *full[] = {"method=PUT", "connect-timeout=2s", "idle-timeout=7s", "header=Authorization: Bearer s3cret", "header=X-A: 1, 2", "forward=Content-Type,X-GitHub-*", "http2=off", NULL};
    static const struct { const char *target, *option, *says; } table[] = {
        {"ftp://h/", NULL, "not a URL"}, {"h/x", NULL, "not a URL"}, {"http://", NULL, "not a URL"}, {"file:///etc/passwd", NULL, "not a URL"},
        {"http://h:99999/", NULL, "not a URL"}, {"http://u@h/", NULL, "user name"}, {"http://u:s3cret@h/", NULL, "header="}, {"http://u:s3cret@h:x/", NULL, "not a URL"},
        {"http://h/#a", NULL, "fragment"}, {"http://h/a b", NULL, "blank"}, {"http://h/\r\nX: y", NULL, "control"},
        {"http://h/", "method=GET", "POST, PUT, PATCH"}, {"http://h/", "connect-timeout=5", "duration"}, {"http://h/", "connect-timeout=0s", "at least"},
        {"http://h/", "header=NoColon", "Name: value"}, {"http://h/", "header=Bad Name: x", "Name: value"}, {"http://h/", "header=X-A: s3cret\r\nX: y", "control"},
        {"http://h/", "header=Host: x", "cannot set"}, {"http://h/", "header=content-length: 3", "cannot set"}, {"http://h/", "header=Transfer_Encoding: x", "cannot set"},
        {"http://h/", "header=Connection: close", "cannot set"}, {"http://h/", "header=X-Delivery-Attempt: 3", "cannot set"},
        {"http://h/", "forward=Host", "never passed"}, {"http://h/", "forward=X*Y", "cannot hold"}, {"http://h/", "forward=X:Y", "cannot hold"},
        {"http://h/", "ca=/dev/null", "https"}, {"https://h/", "ca=/nowhere", "does not exist"}, {"https://h/", "ca=ca.pem", "absolute"},
        {"https://h/", "ca=/dev/null", "no PEM certificate"}, {"https://h/", "cert=/dev/null", "need each other"},
        {"http://h/", "unix=run/x", "absolute"}, {"http://h/", "verify=off", "unknown"},
    };

    for (apr_size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const char *words[] = {table[i].option, NULL};
        const char *err = t_configure(&U, &conf, table[i].target, words);

        ok(err && strstr(err, table[i].says) && !strstr(err, "s3cret"), "refused: %zu %s", i, table[i].says);
        if (!err || !strstr(err, table[i].says))
            diag("%s", err ? err : "taken");
    }
    ok(!t_configure(&U, &conf, "https://h/p?token=s3cret", full), "a full configuration is taken");
    is_str(U.describe(conf, pool), "url=https://h/p?... method=PUT connect-timeout=2s idle-timeout=7s forward=Content-Type,X-GitHub-* header=Authorization header=X-A http2=off",
           "... and described without secrets");
}

static int sent(const char *line)
{
    return strstr(srv.request, apr_pstrcat(pool, "\r\n", line, "\r\n", NULL)) != NULL;
}

static void test_request(void)
{
    static const char received[] =
        "Host: hooks.example.org\r\nContent-Type: application/json\r\nUser-Agent: Sender/1\r\nX-Sig: sha256=ab\r\nX-Sig: second\r\nX-Empty: \r\n"
        "Content-Length: 7\r\nTransfer-Encoding: chunked\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\nExpect: 100-continue\r\nUpgrade: h2c\r\n"
        "Authorization: Basic s3cret\r\nCookie: s3cret\r\nProxy-Authorization: s3cret\r\nX-Forwarded-For: 1.2.3.4\r\nX_Forwarded_Host: evil\r\nVia: 1.1 x\r\nForwarded: for=x\r\n"
        "Accept-Encoding: gzip\r\nX-Delivery-Verified: true\r\nX_delivery_Event: evil\r\nX-Webhook-Signature: theirs\r\nwebhook-id: msg_1\r\n";
    static const char *const wanted[] = {
        "Content-Type: application/json", "User-Agent: Sender/1", "X-Sig: sha256=ab", "X-Sig: second", "X-Empty:", "Content-Length: 7", "X-Webhook-Signature: theirs",
        "webhook-id: msg_1", "X-Delivery-Attempt: 3", "X-Delivery-Handler: h", "X-Delivery-Endpoint: github", "X-Delivery-Verified: false", "X-Delivery-Event: push", "X-Delivery-Key-Id: 2026", NULL,
    };
    static const char *const unwanted[] = {
        "hooks.example.org", "s3cret", "chunked", "X-Mine", "TE: trailers", "Expect", "Upgrade", "1.2.3.4", "evil", "Via", "Forwarded", "Accept-Encoding", "Verified: true", "Connection", NULL,
    };
    static const char *const explicit_words[] = {"forward=Authorization,X-S*", "header=X-Sig: mine", "header=Idempotency-Key: k", "method=PATCH", NULL};
    static const char *const none[] = {"forward=none", NULL};
    webhook_handler *h;
    try *t;
    char nul[] = "by\0tes\n";

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    server_start(&srv, ACT_ANSWER, OK200, NULL, NULL, NULL);
    h = t_open(&U, url("http", "/a/../b?c=d"), NULL);
    t = t_try(nul, 7);
    t->d.headers.data = received;
    t->d.headers.len = sizeof(received) - 1;
    t->d.verified = 0;
    t->lease.attempt = 3;
    U.start(h, &t->attempt);
    ok(t_wait(t), "a plain request ends");
    is_int(t->outcome, WEBHOOK_OUTCOME_DONE, "... done (%s %s)", t->reason, t->detail);
    is_int(t->code, 200, "... with its status");
    is_mem(t->output, t->output_len, "ok", 2, "... and the response");
    ok(!strncmp(srv.request, "POST /a/../b?c=d HTTP/1.1\r\n", 27), "the request line is as configured");
    for (int i = 0; wanted[i]; i++)
        ok(sent(wanted[i]), "sent: %s", wanted[i]);
    for (int i = 0; unwanted[i]; i++)
        ok(!strstr(srv.request, unwanted[i]), "not sent: %s", unwanted[i]);
    ok(sent(apr_pstrcat(pool, "X-Delivery-Id: ", t->id, NULL)) && sent(apr_pstrcat(pool, "Idempotency-Key: ", t->id, NULL)), "the id, twice");
    is_mem(srv.request + srv.request_len - 7, 7, nul, 7, "the body is as received");
    t_free(t);

    for (int i = 0; i < 10; i++) {
        t = t_try("", 0);
        t->d.headers.len = 0;
        U.start(h, &t->attempt);
        t_wait(t);
        t_free(t);
    }
    is_int(srv.requests, 11, "ten more requests");
    is_int(srv.connections, 1, "... over the same connection");
    ok(sent("Content-Length: 0") && !strstr(srv.request, "Content-Type"), "an empty body of no type");
    ok(sent("User-Agent: mod_webhook"), "a name of our own where the sender gave none");

    t = t_try("x", 1);
    t->d.event = "push\r\nX-Evil: 1";
    U.start(h, &t->attempt);
    ok(t->ended && t->outcome == WEBHOOK_OUTCOME_DEAD && !strcmp(t->reason, "header-value"), "an event with a line break is a dead letter");
    ok(strstr(t->detail, "X-Delivery-Event") && !strstr(t->detail, "Evil"), "... said without the value");
    t_free(t);
    t = t_try("x", 1);
    t->d.headers.data = "X-A: a\001b\r\n";
    t->d.headers.len = strlen(t->d.headers.data);
    U.start(h, &t->attempt);
    ok(t->ended && t->outcome == WEBHOOK_OUTCOME_DEAD, "a received control character too");
    t_free(t);
    is_int(srv.requests, 11, "... neither was sent");

    t = t_try("gone", 4);
    t->d.body.data = NULL;
    t->d.body.len = 0;
    t->d.body_file = in_dir("nobody");
    U.start(h, &t->attempt);
    ok(t->ended && t->outcome == WEBHOOK_OUTCOME_DEAD && !strcmp(t->reason, "body-lost"), "a body that is gone");
    t_free(t);
    end_handler(h);

    h = t_open(&U, url("http", "/"), explicit_words);
    t = t_try("x", 1);
    t->d.headers.data = received;
    t->d.headers.len = sizeof(received) - 1;
    U.start(h, &t->attempt);
    t_wait(t);
    ok(!strncmp(srv.request, "PATCH / ", 8), "another method");
    ok(sent("Authorization: Basic s3cret"), "a credential passes when it is named");
    ok(sent("X-Sig: mine") && !strstr(srv.request, "sha256=ab") && !strstr(srv.request, "X-Empty"), "a configured header replaces the received one; others stay");
    ok(sent("Idempotency-Key: k"), "the configured key stands");
    t_free(t);
    end_handler(h);
    h = t_open(&U, url("http", "/"), none);
    t = t_try("x", 1);
    U.start(h, &t->attempt);
    t_wait(t);
    ok(!strstr(srv.request, "X-GitHub") && !strstr(srv.request, "Content-Type") && sent("X-Delivery-Event: push"), "forward=none leaves ours");
    t_free(t);
    end_handler(h);
    server_stop(&srv);
}

static void test_big_body(void)
{
    char *body = malloc(50000);
    webhook_handler *h;
    FILE *f;
    try *t;

    memset(body, 'b', 50000);
    f = fopen(in_dir("body"), "w");
    fwrite(body, 1, 50000, f);
    fclose(f);
    server_start(&srv, ACT_ANSWER, OK200, NULL, NULL, NULL);
    h = t_open(&U, url("http", "/"), NULL);
    t = t_try(body, 50000);
    t->d.body.data = NULL;
    t->d.body.len = 0;
    t->d.body_file = in_dir("body");
    U.start(h, &t->attempt);
    t_wait(t);
    is_int(t->outcome, WEBHOOK_OUTCOME_DONE, "a body from a file");
    is_mem(srv.request + srv.request_len - 50000, 50000, body, 50000, "... arrives whole");
    t_free(t);
    end_handler(h);
    server_stop(&srv);
    free(body);
}

static void test_statuses(void)
{
    static const struct { const char *head; webhook_outcome outcome; int code; apr_interval_time_t after; } table[] = {
        {"200 OK", WEBHOOK_OUTCOME_DONE, 200, 0}, {"202 A", WEBHOOK_OUTCOME_DONE, 202, 0}, {"299 A", WEBHOOK_OUTCOME_DONE, 299, 0},
        {"300 A", WEBHOOK_OUTCOME_DEAD, 300, 0}, {"301 M\r\nLocation: http://127.0.0.1:1/", WEBHOOK_OUTCOME_DEAD, 301, 0}, {"304 N", WEBHOOK_OUTCOME_DEAD, 304, 0},
        {"307 M\r\nLocation: /again", WEBHOOK_OUTCOME_DEAD, 307, 0}, {"400 B", WEBHOOK_OUTCOME_DEAD, 400, 0}, {"401 U\r\nWWW-Authenticate: Basic", WEBHOOK_OUTCOME_DEAD, 401, 0},
        {"404 N", WEBHOOK_OUTCOME_DEAD, 404, 0}, {"410 G", WEBHOOK_OUTCOME_DEAD, 410, 0}, {"417 E", WEBHOOK_OUTCOME_DEAD, 417, 0}, {"499 X", WEBHOOK_OUTCOME_DEAD, 499, 0},
        {"408 T", WEBHOOK_OUTCOME_RETRY, 408, 0}, {"425 E", WEBHOOK_OUTCOME_RETRY, 425, 0}, {"429 T\r\nRetry-After: 120", WEBHOOK_OUTCOME_RETRY, 429, apr_time_from_sec(120)},
        {"500 I", WEBHOOK_OUTCOME_RETRY, 500, 0}, {"503 S\r\nretry-after:7 ", WEBHOOK_OUTCOME_RETRY, 503, apr_time_from_sec(7)},
        {"503 S\r\nRetry-After: -5", WEBHOOK_OUTCOME_RETRY, 503, 0}, {"503 S\r\nRetry-After: soon", WEBHOOK_OUTCOME_RETRY, 503, 0}, {"503 S\r\nRetry-After:", WEBHOOK_OUTCOME_RETRY, 503, 0},
        {"503 S\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT", WEBHOOK_OUTCOME_RETRY, 503, 0}, {"599 X", WEBHOOK_OUTCOME_RETRY, 599, 0},
        {"404 N\r\nRetry-After: 7", WEBHOOK_OUTCOME_DEAD, 404, 0},
    };
    try *t;

    for (apr_size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const char *text = apr_psprintf(pool, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", table[i].head);

        server_start(&srv, ACT_ANSWER, text, NULL, NULL, NULL);
        t = attempt_with(url("http", "/"), NULL, 0);
        is_int(t->outcome, table[i].outcome, "status %.3s", table[i].head);
        is_int(t->code, table[i].code, "... its code");
        is_str(t->reason, table[i].outcome == WEBHOOK_OUTCOME_DONE ? "" : "http-status", "... its reason");
        is_int(t->retry_after, table[i].after, "... its delay");
        is_int(srv.requests, 1, "... asked once");
        t_free(t);
        server_stop(&srv);
    }
    server_start(&srv, ACT_ANSWER, "HTTP/1.1 503 S\r\nRetry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n", NULL, NULL, NULL);
    t = attempt_with(url("http", "/"), NULL, 0);
    ok(t->retry_after > apr_time_from_sec(86400), "a date far away is passed to the retry policy, which cuts it");
    t_free(t);
    server_stop(&srv);
    server_start(&srv, ACT_ANSWER, "HTTP/1.1 103 Early Hints\r\nRetry-After: 99\r\n\r\nHTTP/1.1 503 S\r\nContent-Length: 0\r\n\r\n", NULL, NULL, NULL);
    t = attempt_with(url("http", "/"), NULL, 0);
    ok(t->code == 503 && !t->retry_after, "what an interim answer said does not count");
    t_free(t);
    server_stop(&srv);
}

static void test_hostile(void)
{
    static char huge[300000];
    apr_interval_time_t brief = apr_time_from_sec(1);
    const struct { const char *name; act act; const char *text, *again; apr_interval_time_t timeout; webhook_outcome outcome; const char *reason; int code; } table[] = {
        {"reset at once", ACT_RESET, NULL, NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"reset in the headers", ACT_RESET_AFTER, "HTTP/1.1 200 OK\r\nContent-", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"closed without an answer", ACT_CLOSE, "", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"silence", ACT_SILENT, NULL, NULL, brief, WEBHOOK_OUTCOME_RETRY, "timeout", 0},
        {"dripping headers", ACT_DRIP, "HTTP/1.1 200 OK\r\nX-A: a", NULL, brief, WEBHOOK_OUTCOME_RETRY, "timeout", 0},
        {"dripping body", ACT_DRIP, "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\na", NULL, brief, WEBHOOK_OUTCOME_RETRY, "timeout", 0},
        {"bad status line", ACT_CLOSE, "HTTP/x 200 OK\r\n\r\n", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"a status of two digits", ACT_CLOSE, "HTTP/1.1 20 OK\r\n\r\n", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"a status of four digits", ACT_CLOSE, "HTTP/1.1 2000 OK\r\n\r\n", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"no version", ACT_CLOSE, "HTTP 200 OK\r\n\r\n", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"a good interim, a bad final status line", ACT_CLOSE, "HTTP/1.1 103 E\r\n\r\nHTTP 200 OK\r\n\r\n", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"no reason phrase", ACT_CLOSE, "HTTP/1.1 204\r\n\r\n", NULL, 0, WEBHOOK_OUTCOME_DONE, "", 204},
        {"HTTP/1.0", ACT_CLOSE, "HTTP/1.0 200 OK\r\n\r\nto the end", NULL, 0, WEBHOOK_OUTCOME_DONE, "", 200},
        {"trailers", ACT_CLOSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: HTTP\r\n\r\n", NULL, 0, WEBHOOK_OUTCOME_DONE, "", 200},
        {"HTTP/0.9", ACT_CLOSE, "hello", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"not HTTP, unasked", ACT_BLURT, "220 mail ESMTP\r\n", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"a flood of interim answers", ACT_REPEAT, "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"endless headers", ACT_REPEAT, "HTTP/1.1 200 OK\r\n", "X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"one huge header", ACT_CLOSE, huge, NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"endless chunks", ACT_REPEAT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "10\r\n0123456789abcdef\r\n", 0, WEBHOOK_OUTCOME_DONE, "", 200},
        {"endless body of a refusal", ACT_REPEAT, "HTTP/1.1 410 Gone\r\n\r\n", "0123456789abcdef", 0, WEBHOOK_OUTCOME_DEAD, "http-status", 410},
        {"shorter than it says", ACT_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"longer than it says", ACT_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\noklonger", NULL, 0, WEBHOOK_OUTCOME_DONE, "", 200},
        {"two lengths", ACT_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"bad chunk", ACT_CLOSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", NULL, 0, WEBHOOK_OUTCOME_RETRY, "transport", 0},
        {"gzip is not unpacked", ACT_CLOSE, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", NULL, 0, WEBHOOK_OUTCOME_DONE, "", 200},
        {"an upgrade nobody asked for", ACT_CLOSE, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", NULL, brief, WEBHOOK_OUTCOME_RETRY, NULL, 0},
    };

    memset(huge, 'h', sizeof(huge) - 1);
    memcpy(huge, "HTTP/1.1 200 OK\r\nX-A: ", 22);
    for (apr_size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        try *t;

        server_start(&srv, table[i].act, table[i].text, table[i].again, NULL, NULL);
        t = attempt_with(url("http", "/"), NULL, table[i].timeout);
        is_int(t->outcome, table[i].outcome, "%s", table[i].name);
        if (table[i].reason)
            is_str(t->reason, table[i].reason, "... its reason (%s)", t->detail);
        is_int(t->code, table[i].code, "... its code");
        ok(t->output_len <= 65536, "... kept at most what was asked for");
        t_free(t);
        server_stop(&srv);
    }
}

static void test_capture(void)
{
    static const apr_size_t caps[] = {0, 1, 1000, 1024, 3000, 5000};
    char *text = apr_palloc(pool, 4200);
    apr_size_t head = (apr_size_t)snprintf(text, 4200, "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n");

    for (int i = 0; i < 4000; i++)
        text[head + (apr_size_t)i] = (char)('a' + i % 26);
    text[head + 4000] = '\0';
    server_start(&srv, ACT_ANSWER, text, NULL, NULL, NULL);
    for (int i = 0; i < 6; i++) {
        webhook_handler *h = t_open(&U, url("http", "/"), NULL);
        try *t = t_try("x", 1);

        t->attempt.capture = caps[i];
        U.start(h, &t->attempt);
        t_wait(t);
        is_mem(t->output, t->output_len, text + head, caps[i] < 4000 ? caps[i] : 4000, "the first %d bytes of the response", (int)caps[i]);
        t_free(t);
        end_handler(h);
    }
    is_int(srv.connections, 1, "... and the connection is used again");
    server_stop(&srv);
}

static void test_connect(void)
{
    const char *soon[] = {"connect-timeout=200ms", NULL}, *idle[] = {"idle-timeout=1s", NULL};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), full[4];
    try *t;

    bind(lfd, (struct sockaddr *)&in, sizeof(in));
    getsockname(lfd, (struct sockaddr *)&in, &len);
    srv.port = ntohs(in.sin_port);
    t = attempt_with(url("http", "/"), NULL, 0);
    ok(t->outcome == WEBHOOK_OUTCOME_RETRY && !strcmp(t->reason, "connect"), "nobody listens: %s", t->detail);
    t_free(t);
    /* a full queue: the kernel lets further connections wait */
    listen(lfd, 0);
    for (int i = 0; i < 4; i++) {
        full[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(full[i], (struct sockaddr *)&in, sizeof(in)) && errno != EINPROGRESS)
            diag("connect: %s", strerror(errno));
    }
    t = attempt_with(url("http", "/"), soon, apr_time_from_sec(20));
    ok(t->outcome == WEBHOOK_OUTCOME_RETRY && !strcmp(t->reason, "connect"), "nobody accepts: %s", t->detail);
    t_free(t);
    for (int i = 0; i < 4; i++)
        close(full[i]);
    close(lfd);
    t = attempt_with("http://a-label-of-more-than-sixty-three-characters-is-no-name-that-could-be-asked-for.test/", NULL, 0);
    ok(t->outcome == WEBHOOK_OUTCOME_RETRY && !strcmp(t->reason, "connect"), "no such host: %s", t->detail);
    t_free(t);
    server_start(&srv, ACT_SILENT, NULL, NULL, NULL, NULL);
    t = attempt_with(url("http", "/"), idle, PATIENCE);
    ok(t->outcome == WEBHOOK_OUTCOME_RETRY && !strcmp(t->reason, "timeout"), "idle-timeout ends a silence: %s", t->detail);
    t_free(t);
    server_stop(&srv);
}

static void test_unix(void)
{
    const char *path = in_dir("sock");
    const char *words[] = {apr_pstrcat(pool, "unix=", path, NULL), NULL};
    try *t;

    server_start(&srv, ACT_ANSWER, OK200, NULL, NULL, path);
    t = attempt_with("http://app.internal/hook", words, 0);
    is_int(t->outcome, WEBHOOK_OUTCOME_DONE, "over a unix socket");
    ok(sent("Host: app.internal"), "... with the URL's host");
    t_free(t);
    server_stop(&srv);
    unlink(path);
    t = attempt_with("http://app.internal/hook", words, 0);
    ok(t->outcome == WEBHOOK_OUTCOME_RETRY && !strcmp(t->reason, "connect"), "a socket that is not there: %s", t->detail);
    t_free(t);
}

static void test_stop(void)
{
    webhook_handler *h;
    try *t[3];
    int sockets = 0, inherited = 0;
    DIR *d;
    struct dirent *e;
    apr_time_t until = wh_monotonic() + PATIENCE;

    server_start(&srv, ACT_SILENT, NULL, NULL, NULL, NULL);
    h = t_open(&U, url("http", "/"), NULL);
    for (int i = 0; i < 3; i++) {
        t[i] = t_try("x", 1);
        U.start(h, &t[i]->attempt);
    }
    while (!__atomic_load_n(&srv.requests, __ATOMIC_RELAXED) && wh_monotonic() < until)
        wh_loop_once(loop, apr_time_from_msec(10));
    d = opendir("/proc/self/fd");
    while (d && (e = readdir(d))) {
        struct sockaddr_in in;
        socklen_t len = sizeof(in);
        int fd = (int)strtol(e->d_name, NULL, 10);

        if (e->d_name[0] != '.' && !getpeername(fd, (struct sockaddr *)&in, &len) && in.sin_family == AF_INET && ntohs(in.sin_port) == srv.port) {
            sockets++;
            inherited += !(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        }
    }
    if (d)
        closedir(d);
    ok(sockets > 0, "attempts are open on %d sockets", sockets);
    is_int(inherited, 0, "... none of which a command would inherit");
    U.stop(h, 0);
    for (int i = 0; i < 3; i++) {
        ok(t[i]->ended == 1 && t[i]->outcome == WEBHOOK_OUTCOME_RELEASED && !strcmp(t[i]->reason, "stopped"), "a stop releases %d", i);
        t_free(t[i]);
    }
    U.close(h);
    server_stop(&srv);
}

/* ----------------------------------------------------------------------------------------------------------------- TLS --- */

static EVP_PKEY *new_key(void)
{
    return EVP_EC_gen("P-256");
}

/* signed by issuer's key, or by itself; days: of validity from now, negative: over */
static X509 *new_cert(EVP_PKEY *key, const char *cn, const char *san, X509 *issuer, EVP_PKEY *issuer_key, int days)
{
    static long serial;
    X509 *c = X509_new();
    X509_NAME *name = X509_get_subject_name(c);
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509_set_version(c, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c), -86400L * 10);
    X509_gmtime_adj(X509_getm_notAfter(c), 86400L * days);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(c, issuer ? X509_get_subject_name(issuer) : name);
    X509_set_pubkey(c, key);
    X509V3_set_ctx(&ctx, issuer ? issuer : c, c, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints, san ? "CA:FALSE" : "critical,CA:TRUE");
    X509_add_ext(c, ext, -1);
    X509_EXTENSION_free(ext);
    if (san) {
        ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, san);
        X509_add_ext(c, ext, -1);
        X509_EXTENSION_free(ext);
    }
    X509_sign(c, issuer_key ? issuer_key : key, EVP_sha256());
    return c;
}

static void save(const char *name, X509 *cert, EVP_PKEY *key)
{
    FILE *f = fopen(in_dir(name), "w");

    if (cert)
        PEM_write_X509(f, cert);
    if (key)
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

static SSL_CTX *tls_server(X509 *cert, EVP_PKEY *key, X509 *client_ca)
{
    SSL_CTX *ctx = p_SSL_CTX_new(p_TLS_server_method());

    p_SSL_CTX_use_certificate(ctx, cert);
    p_SSL_CTX_use_PrivateKey(ctx, key);
    if (client_ca) {
        X509_STORE_add_cert(p_SSL_CTX_get_cert_store(ctx), client_ca);
        p_SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return ctx;
}

static void test_tls(void)
{
    EVP_PKEY *ca_key = new_key(), *key = new_key(), *client_key = new_key();
    X509 *ca = new_cert(ca_key, "throw-away CA", NULL, NULL, NULL, 10);
    X509 *good = new_cert(key, "good", "IP:127.0.0.1", ca, ca_key, 10);
    X509 *other = new_cert(key, "127.0.0.1", "DNS:example.org", ca, ca_key, 10);
    X509 *old = new_cert(key, "old", "IP:127.0.0.1", ca, ca_key, -1);
    X509 *self = new_cert(key, "self", "IP:127.0.0.1", NULL, NULL, 10);
    X509 *client = new_cert(client_key, "client", "DNS:client", ca, ca_key, 10);
    const char *with_ca[] = {apr_pstrcat(pool, "ca=", in_dir("ca.pem"), NULL), NULL, NULL, NULL};
    const struct { const char *name; X509 *cert; const char *const *words; X509 *client_ca; webhook_outcome outcome; } table[] = {
        {"our own CA", good, with_ca, NULL, WEBHOOK_OUTCOME_DONE},
        {"a CA nobody knows", good, NULL, NULL, WEBHOOK_OUTCOME_RETRY},
        {"another name", other, with_ca, NULL, WEBHOOK_OUTCOME_RETRY},
        {"an expired certificate", old, with_ca, NULL, WEBHOOK_OUTCOME_RETRY},
        {"a self-signed certificate", self, with_ca, NULL, WEBHOOK_OUTCOME_RETRY},
        {"no client certificate", good, with_ca, ca, WEBHOOK_OUTCOME_RETRY},
    };
    webhook_handler_conf *conf;
    const char *err;
    SSL_CTX *ctx;
    try *t;

    save("ca.pem", ca, NULL);
    save("client.pem", client, NULL);
    save("client.key", NULL, client_key);
    save("other.key", NULL, key);
    for (apr_size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        ctx = tls_server(table[i].cert, key, table[i].client_ca);
        server_start(&srv, ACT_ANSWER, OK200, NULL, ctx, NULL);
        t = attempt_with(url("https", "/"), table[i].words, 0);
        is_int(t->outcome, table[i].outcome, "TLS: %s: %s", table[i].name, t->detail);
        if (table[i].outcome == WEBHOOK_OUTCOME_RETRY && !table[i].client_ca)
            is_str(t->reason, "tls", "... its reason");
        is_int(srv.requests, table[i].outcome == WEBHOOK_OUTCOME_DONE, "... nothing is sent to whom is not known");
        t_free(t);
        server_stop(&srv);
        p_SSL_CTX_free(ctx);
    }
    with_ca[1] = apr_pstrcat(pool, "cert=", in_dir("client.pem"), NULL);
    with_ca[2] = apr_pstrcat(pool, "key=", in_dir("client.key"), NULL);
    ctx = tls_server(good, key, ca);
    server_start(&srv, ACT_ANSWER, OK200, NULL, ctx, NULL);
    t = attempt_with(url("https", "/"), with_ca, 0);
    is_int(t->outcome, WEBHOOK_OUTCOME_DONE, "TLS: with a client certificate: %s", t->detail);
    t_free(t);
    server_stop(&srv);
    p_SSL_CTX_free(ctx);
    with_ca[2] = apr_pstrcat(pool, "key=", in_dir("other.key"), NULL);
    err = t_configure(&U, &conf, "https://h/", with_ca);
    ok(err && strstr(err, "does not belong"), "a key that is not the certificate's is refused");

    with_ca[1] = NULL;
    server_start(&srv, ACT_BLURT, "this is not TLS at all, but long enough to be a record\r\n", NULL, NULL, NULL);
    t = attempt_with(url("https", "/"), with_ca, 0);
    ok(t->outcome == WEBHOOK_OUTCOME_RETRY && !strcmp(t->reason, "tls"), "garbage instead of TLS: %s", t->detail);
    t_free(t);
    server_stop(&srv);
    server_start(&srv, ACT_ANSWER, "HTTP/1.1 301 M\r\nContent-Length: 0\r\n\r\n", NULL, NULL, NULL);
    t = attempt_with(url("https", "/"), with_ca, apr_time_from_msec(500));
    is_int(t->outcome, WEBHOOK_OUTCOME_RETRY, "a plain server is not talked to in the clear: %s", t->detail);
    is_int(srv.requests, 0, "... it got no request");
    t_free(t);
    server_stop(&srv);
    X509_free(ca);
    X509_free(good);
    X509_free(other);
    X509_free(old);
    X509_free(self);
    X509_free(client);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    EVP_PKEY_free(client_key);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* libssl writes with write(2) */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    t_begin();
    if (!mkdtemp(dir) || !load_libssl()) {
        printf("Bail out! no directory or no libssl\n");
        return 1;
    }
    test_configure();
    test_request();
    test_big_body();
    test_statuses();
    test_hostile();
    test_capture();
    test_connect();
    test_unix();
    test_stop();
    test_tls();
    if (fork() == 0)
        execlp("rm", "rm", "-rf", dir, (char *)NULL);
    wait(NULL);
    apr_pool_destroy(pool);
    curl_global_cleanup();
    return tap_done();
}
