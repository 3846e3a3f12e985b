/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of the delivery log: each one JSON object on one line, masked, short enough for pipes, and never a reason to wait.
 */
#include "tap.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "core/delivery_log.h"
#include "core/json.h"
#include "core/log.h"

static apr_pool_t *pool;
static int out = -1;
static off_t seen;
static int warnings;
static char last_warning[200];

#define HEADERS "Host: example.org\r\nAuthorization: Basic c2VjcmV0\r\nX-Hub-Signature-256: sha256=00ff\r\nX-GitHub-Event: push\r\n"

static webhook_delivery sample(void)
{
    webhook_delivery d = { 0 };

    d.id = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    d.endpoint = "github";
    d.scheme = "github";
    d.verified = 1;
    d.key_id = "2026";
    d.event = "push";
    d.received = INT64_C(1795465321123456);
    d.remote_addr = "192.0.2.1";
    d.method = "POST";
    d.uri = "/hooks/github?token=s3cret&a=1&flag&KEY=k3y;sig=";
    d.content_type = "application/json";
    d.headers.data = HEADERS;
    d.headers.len = sizeof(HEADERS) - 1;
    d.body.data = "{\"a\":\"gr\xc3\xbc\xc3\x9f\"}";
    d.body.len = d.body_len = 14;
    d.body_sha256 = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    return d;
}

static void sink(void *baton, int level, apr_status_t rv, const char *text)
{
    (void)baton;
    (void)level;
    (void)rv;
    warnings++;
    apr_cpystrn(last_warning, text, sizeof(last_warning));
}

/* the next line of the file, parsed; NULL at the end or when it is no JSON object */
static const wh_json_value *next_line(const char **raw)
{
    static char text[200000];
    ssize_t n = pread(out, text, sizeof(text) - 1, seen);
    char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;
    webhook_slice s;
    wh_json_error err;
    wh_json *doc;

    if (!end)
        return NULL;
    seen += end - text + 1;
    s.len = (apr_size_t)(end - text);
    s.data = apr_pstrmemdup(pool, text, s.len);
    if (raw)
        *raw = s.data;
    if (wh_json_parse(&doc, s, NULL, pool, &err) != APR_SUCCESS || wh_json_typeof(wh_json_root(doc)) != WH_JSON_OBJECT) {
        diag("%s at %d: %s", err.reason, (int)err.offset, s.data);
        return NULL;
    }
    return wh_json_root(doc);
}

static const char *member(const wh_json_value *line, const char *name)
{
    return wh_json_text(wh_json_get(line, name), pool);
}

static void test_accepted(void)
{
    static const char *const handlers[] = { "deploy", "archive" };
    wh_delivery_log log = { out, 0, 0, 0, NULL, NULL, NULL };
    webhook_delivery d = sample();
    const wh_json_value *line, *headers;
    const char *raw;

    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_STORED, d.id, handlers, 2, NULL, 202, pool);
    line = next_line(&raw);
    is_str(raw,
           "{\"time\":\"2026-11-23T20:22:01.123Z\",\"log\":\"accepted\",\"id\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\",\"endpoint\":\"github\","
           "\"scheme\":\"github\",\"verified\":true,\"key_id\":\"2026\",\"event\":\"push\",\"remote_addr\":\"192.0.2.1\",\"method\":\"POST\","
           "\"uri\":\"/hooks/github?token=***\\u0026a=1\\u0026flag\\u0026KEY=***;sig=***\",\"content_type\":\"application/json\",\"body_length\":14,"
           "\"body_sha256\":\"015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862\",\"status\":202,"
           "\"handlers\":[\"deploy\",\"archive\"]}",
           "accepted");

    log.invalid = "schema-invalid #/a type";
    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_STORED, d.id, handlers, 2, NULL, 202, pool);
    line = next_line(&raw);
    is_str(member(line, "invalid"), "schema-invalid #/a type", "taken though it is not valid");
    log.invalid = NULL;
    log.with_headers = 1;
    log.body_max = 100;
    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_REQUEUED, "017f22e2-79b0-7cc3-98c4-dc0c0c073980", NULL, 0, "unrouted", 200, pool);
    line = next_line(&raw);
    is_str(member(line, "log"), "duplicate", "requeued: a duplicate");
    is_str(member(line, "requeued"), "true", "that was requeued");
    is_str(member(line, "first_id"), "017f22e2-79b0-7cc3-98c4-dc0c0c073980", "of that delivery");
    is_str(member(line, "kept_as"), "unrouted", "kept as");
    is_str(member(line, "status"), "200", "answered");
    is_str(member(line, "body"), "{\"a\":\"gr\xc3\xbc\xc3\x9f\"}", "the body");
    headers = wh_json_get(line, "headers");
    is_int(wh_json_size(headers), 4, "headers");
    is_str(wh_json_text(wh_json_at(wh_json_at(headers, 0), 1), pool), "example.org", "plain ones");
    is_str(wh_json_text(wh_json_at(wh_json_at(headers, 1), 1), pool), "***", "masked ones");
    is_str(wh_json_text(wh_json_at(wh_json_at(headers, 2), 1), pool), "***", "signatures too");
    ok(!strstr(raw, "c2VjcmV0") && !strstr(raw, "00ff") && !strstr(raw, "s3cret") && !strstr(raw, "k3y"), "no secret is in the line");
    {
        static const char *const credentials[] = { "a", "ho*", NULL };

        log.credentials = credentials;
        wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_STORED, d.id, handlers, 1, NULL, 202, pool);
        log.credentials = NULL;
        line = next_line(&raw);
        is_str(wh_json_text(wh_json_at(wh_json_at(wh_json_get(line, "headers"), 0), 1), pool), "***", "what the scheme reads is masked");
        is_str(member(line, "uri"), "/hooks/github?token=***&a=***&flag&KEY=***;sig=***", "in the query too");
    }

    log.body_max = 9;
    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_STORED, d.id, handlers, 1, NULL, 202, pool);
    line = next_line(NULL);
    is_str(member(line, "body"), "{\"a\":\"gr", "a cut body ends with a whole character");
    is_str(member(line, "body_cut"), "true", "and says so");
    d.body.data = "\xff\0\1";
    d.body.len = d.body_len = 3;
    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_DUPLICATE, d.id, NULL, 0, NULL, 202, pool);
    line = next_line(NULL);
    is_str(member(line, "body_base64"), "/wAB", "a binary body");
    is_str(member(line, "first_id"), NULL, "no other id");

    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_FAILED, d.id, NULL, 0, NULL, 503, pool);
    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_PENDING, d.id, NULL, 0, NULL, 503, pool);
    log.fd = -1;
    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_STORED, d.id, NULL, 0, NULL, 202, pool);
    wh_dlog_accepted(NULL, &d, WEBHOOK_ACCEPT_STORED, d.id, NULL, 0, NULL, 202, pool);
    ok(!next_line(NULL), "nothing else is written");
}

static void test_refused(void)
{
    wh_delivery_log log = { out, 0, 1, 100, NULL, NULL, NULL };
    webhook_delivery d = sample(), nothing = { 0 };
    const wh_json_value *line;

    wh_dlog_refused(&log, &d, 401, "signature-mismatch", "a \"detail\"\nof two lines", pool);
    line = next_line(NULL);
    is_str(member(line, "log"), "refused", "refused");
    is_str(member(line, "status"), "401", "status");
    is_str(member(line, "reason"), "signature-mismatch", "reason");
    is_str(member(line, "detail"), "a \"detail\"\nof two lines", "detail");
    is_int(wh_json_size(wh_json_get(line, "headers")), 4, "headers when asked for");
    ok(!wh_json_get(line, "body") && !wh_json_get(line, "body_base64"), "never the body");
    wh_dlog_refused(&log, &nothing, 404, "no-endpoint", NULL, pool);
    line = next_line(NULL);
    is_str(member(line, "reason"), "no-endpoint", "nothing known but the reason");
    ok(member(line, "time") != NULL, "and the time");
    ok(!wh_json_get(line, "verified"), "no verdict is claimed");
    d.uri = "/\xff\xfe\x01\"<script>";
    d.event = "\xe2\x80\xa8";
    wh_dlog_refused(&log, &d, 400, "x", NULL, pool);
    line = next_line(NULL);
    is_str(member(line, "uri"), "/\xc3\xbf\xc3\xbe\x01\"<script>", "any bytes make a valid line");
}

static void test_attempt(void)
{
    wh_delivery_log log = { out, 0, 1, 100, NULL, NULL, NULL };
    webhook_delivery d = sample();
    webhook_lease lease = { 7, 8, 3, 0, "deploy", &d, { NULL, 0 } };
    webhook_settlement s = { 0 };
    const wh_json_value *line;

    s.job = 7;
    s.attempt = 3;
    s.applied = 1;
    s.outcome = WEBHOOK_OUTCOME_RETRY;
    s.started = d.received;
    s.ended = d.received + 1500000;
    s.due = d.received + apr_time_from_sec(60);
    s.code = -9;
    s.reason = "signal";
    s.detail = "killed";
    s.output.data = "secret output";
    s.output.len = 13;
    wh_dlog_attempt(&log, &lease, &s, pool);
    line = next_line(NULL);
    is_str(member(line, "log"), "attempt", "an attempt");
    is_str(member(line, "handler"), "deploy", "handler");
    is_str(member(line, "job"), "7", "job");
    is_str(member(line, "attempt"), "3", "number");
    is_str(member(line, "outcome"), "retry", "outcome");
    is_str(member(line, "duration_ms"), "1500", "duration");
    is_str(member(line, "code"), "-9", "code");
    is_str(member(line, "due"), "2026-11-23T20:23:01.123Z", "due");
    is_str(member(line, "reason"), "signal", "reason");
    is_str(member(line, "output_length"), "13", "output by its length alone");
    ok(!wh_json_get(line, "headers") && !wh_json_get(line, "body"), "nothing of the request");
    ok(!next_line(NULL), "one line");

    s.outcome = WEBHOOK_OUTCOME_DEAD;
    wh_dlog_attempt(&log, &lease, &s, pool);
    is_str(member(next_line(NULL), "log"), "attempt", "the last attempt");
    is_str(member(next_line(NULL), "log"), "dead", "and its dead letter");
    s.outcome = WEBHOOK_OUTCOME_DONE;
    s.reason = s.detail = NULL;
    s.code = 0;
    wh_dlog_attempt(&log, &lease, &s, pool);
    is_str(member(next_line(NULL), "outcome"), "done", "a good attempt");
    is_str(member(next_line(NULL), "log"), "done", "and the job's end");
    s.applied = 0;
    wh_dlog_attempt(&log, &lease, &s, pool);
    is_str(member(next_line(NULL), "applied"), "false", "a result that came too late");
    ok(!next_line(NULL), "ends no job");
    s.outcome = WEBHOOK_OUTCOME_RELEASED;
    s.unstarted = 1;
    wh_dlog_attempt(&log, &lease, &s, pool);
    ok(!next_line(NULL), "what was not started is no attempt");
    s.unstarted = 0;
    wh_dlog_attempt(&log, &lease, &s, pool);
    is_str(member(next_line(NULL), "outcome"), "released", "what was stopped is one");
}

/* read one line from a pipe into the file, so that next_line() sees it; its length */
static int from_pipe(int fd)
{
    static char text[70000];
    ssize_t n = read(fd, text, sizeof(text));

    if (n > 0 && write(out, text, (size_t)n) != n)
        return -1;
    return (int)n;
}

static void test_pipe(void)
{
    wh_delivery_log log = { -1, 1, 1, 100000, NULL, NULL, NULL };
    webhook_delivery d = sample();
    static const char *names[300];
    const wh_json_value *line;
    char *headers, *body, *uri;
    int fds[2], n, headers_seen;

    if (pipe(fds)) {
        fail("pipe");
        return;
    }
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    log.fd = fds[1];
    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_STORED, d.id, NULL, 0, NULL, 202, pool);
    from_pipe(fds[0]);
    line = next_line(NULL);
    ok(member(line, "body") != NULL && !wh_json_get(line, "cut"), "a short line is whole");

    body = apr_palloc(pool, 50000);
    memset(body, 'b', 50000);
    d.body.data = body;
    d.body.len = d.body_len = 50000;
    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_STORED, d.id, NULL, 0, NULL, 202, pool);
    n = from_pipe(fds[0]);
    line = next_line(NULL);
    ok(n <= PIPE_BUF, "a long body: %d bytes", n);
    is_str(member(line, "cut"), "true", "cut");
    ok(!wh_json_get(line, "body"), "without the body");
    is_int(wh_json_size(wh_json_get(line, "headers")), 4, "with the headers");

    headers = apr_pstrdup(pool, "");
    for (int i = 0; i < 60; i++)
        headers = apr_psprintf(pool, "%sX-Header-%d: %.*s\r\n", headers, i, i * 5, body);
    d.headers.data = headers;
    d.headers.len = strlen(headers);
    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_STORED, d.id, NULL, 0, NULL, 202, pool);
    n = from_pipe(fds[0]);
    line = next_line(NULL);
    headers_seen = (int)wh_json_size(wh_json_get(line, "headers"));
    ok(n <= PIPE_BUF && n > PIPE_BUF / 2, "many headers: %d bytes", n);
    ok(headers_seen > 10 && headers_seen < 60, "as many as fit (%d)", headers_seen);
    is_str(member(line, "cut"), "true", "and it is said");

    uri = apr_palloc(pool, 8001);
    memset(uri, '\x01', 8000);
    uri[8000] = '\0';
    d.uri = d.event = d.sender_id = d.endpoint = d.key_id = d.scheme = d.content_type = d.remote_addr = d.method = uri;
    for (int i = 0; i < 300; i++)
        names[i] = uri;
    wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_STORED, uri, names, 300, uri, 202, pool);
    n = from_pipe(fds[0]);
    line = next_line(NULL);
    ok(n > 0 && n <= PIPE_BUF, "everything at its worst: %d bytes", n);
    is_str(member(line, "handler_count"), "300", "handlers are counted");
    is_str(member(line, "id"), d.id, "the id is whole");
    wh_dlog_refused(&log, &d, 400, uri, uri, pool);
    n = from_pipe(fds[0]);
    line = next_line(NULL);
    ok(n > 0 && n <= PIPE_BUF && line, "a refusal at its worst: %d bytes", n);

    /* nobody reads: lines are dropped, said once, and the caller goes on */
    warnings = 0;
    wh_log_set(sink, NULL, WH_LOG_WARNING);
    d = sample();
    for (int i = 0; i < 2000; i++)
        wh_dlog_accepted(&log, &d, WEBHOOK_ACCEPT_STORED, d.id, NULL, 0, NULL, 202, pool);
    is_int(warnings, 1, "a full pipe is said once");
    ok(!strncmp(last_warning, "WH0901: ", 8), "with its tag");
    n = from_pipe(fds[0]);
    ok(n > PIPE_BUF, "the pipe held lines");
    for (n = 0; next_line(NULL); n++)
        ;
    ok(n > 10, "whole ones (%d)", n);
    {
        char rest;
        ok(pread(out, &rest, 1, seen) == 0, "and nothing but whole ones");
    }
    close(fds[0]);
    wh_dlog_refused(&log, &d, 400, "x", NULL, pool);
    is_int(warnings, 1, "a closed pipe is not said again within the minute");
    close(fds[1]);
    wh_dlog_refused(&log, &d, 400, "x", NULL, pool);
    pass("nor does a closed descriptor hurt");
    wh_log_set(NULL, NULL, 0);
}

static void test_log(void)
{
    char *text = apr_palloc(pool, 5001);

    warnings = 0;
    wh_log(WH_LOG_ERROR, 0, "nobody %s", "listens");
    is_int(warnings, 0, "no sink, no message");
    wh_log_set(sink, NULL, WH_LOG_INFO);
    ok(wh_log_is(WH_LOG_INFO) && !wh_log_is(WH_LOG_DEBUG), "levels");
    wh_log(WH_LOG_DEBUG, 0, "too %s", "fine");
    is_int(warnings, 0, "below the level nothing comes");
    wh_log(WH_LOG_INFO, APR_EGENERAL, "WH0000: %d %s", 42, "x");
    is_str(last_warning, "WH0000: 42 x", "a message");
    memset(text, 'x', 5000);
    text[5000] = '\0';
    wh_log(WH_LOG_ERROR, 0, "%s", text);
    is_int(warnings, 2, "a long one comes too");
    wh_log_set(NULL, NULL, WH_LOG_TRACE2);
    ok(!wh_log_is(WH_LOG_ERROR), "off again");
}

int main(void)
{
    char path[] = "/tmp/test_delivery_log.XXXXXX";
    int fd;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    signal(SIGPIPE, SIG_IGN);
    fd = mkstemp(path);
    out = fd < 0 ? -1 : open(path, O_RDWR | O_APPEND);
    unlink(path);
    if (out < 0)
        skip_all("no temporary file");
    test_log();
    test_accepted();
    test_refused();
    test_attempt();
    test_pipe();
    close(out);
    close(fd);
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
