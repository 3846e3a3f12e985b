/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.c: the upstream handler: each attempt is one HTTP request over the loop's curl multi handle, with the received bytes as
 * its body; what the other side answers decides the attempt.
 *
 *   2xx                                 done
 *   408 425 429 5xx, broken exchanges   retry, not before Retry-After
 *   other 3xx and 4xx                   dead (redirects are not followed: a destination is configured, never told)
 *
 * The other side is not trusted: headers, body and time are bounded, redirects, proxies from the environment, .netrc, cookies, HTTP/0.9
 * and content decoding are off, certificates are always verified. The destination is written in the configuration and may be any
 * address; open_socket() is where an address would be looked at if destinations ever came from a request.
 *
 * Easy handles are kept and reset between attempts; connections live in the multi handle. Both die with the dispatcher, so a new
 * configuration never meets a connection made under the old one's certificates.
 */
#include "dispatch/handlers.h"

#include <apr_strings.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/envelope.h"
#include "core/log.h"
#include "core/reasons.h"
#include "core/units.h"
#include "dispatch/upstream_conf.h"

#define HEADERS_MAX (64 * 1024)       /* bytes of response headers, those of 1xx answers included */
#define DISCARD_MAX (1024 * 1024)     /* bytes of a response read beyond what is kept, so that its connection can be used again */
#define DETAIL_MAX 300
#define RETRY_AFTER_MAX 100           /* bytes of the header's value */

/* One request. Lives as long as the handler; `attempt` is set while it runs. */
typedef struct transfer {
    webhook_curl_done done; /* first: CURLOPT_PRIVATE points here */
    webhook_handler *h;
    struct transfer *next, **prev; /* among the running or, next alone, the free ones */
    CURL *easy;
    webhook_attempt *attempt;
    struct curl_slist *headers;
    char *kept;             /* beginning of the response, from the attempt's pool */
    apr_size_t kept_len, kept_room;
    int status;             /* of the last status line */
    apr_size_t header_bytes;
    apr_size_t discarded;
    int cut;                /* this side ended the transfer because the response was longer than worth reading */
    int headers_over;       /* ... because of its headers */
    char retry_after[RETRY_AFTER_MAX + 1];
    char error[CURL_ERROR_SIZE];
} transfer;

struct webhook_handler {
    const webhook_handler_conf *conf;
    const char *name;
    webhook_loop *loop;
    const webhook_services *services;
    apr_pool_t *pool;
    transfer *running, *unused;
};

/* ----------------------------------------------------------------------------------------------------------- callbacks --- */

/* libcurl's own sockets would be inherited by the commands the dispatcher starts. */
static curl_socket_t open_socket(void *baton, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)baton;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int header_is(const char *line, size_t len, const char *name, size_t nlen)
{
    return len > nlen && !strncasecmp(line, name, nlen) && line[nlen] == ':';
}

/* "HTTP/1.1 200 ...", "HTTP/2 200": the status, or 0. libcurl calls many other things that begin with HTTP a 200. */
static int status_of(const char *line, size_t len)
{
    size_t at = 6;

    if (len < 12 || !isdigit((unsigned char)line[5]))
        return 0;
    if (line[at] == '.' && isdigit((unsigned char)line[at + 1]))
        at += 2;
    if (len < at + 5 || line[at] != ' ' || !strchr(" \r\n", line[at + 4]))
        return 0;
    for (int i = 1; i <= 3; i++) {
        if (!isdigit((unsigned char)line[at + (size_t)i]))
            return 0;
    }
    return (line[at + 1] - '0') * 100 + (line[at + 2] - '0') * 10 + (line[at + 3] - '0');
}

static size_t header_arrived(char *line, size_t size, size_t count, void *baton)
{
    transfer *t = baton;
    size_t len = size * count, vlen;
    const char *value;

    if (len > HEADERS_MAX - t->header_bytes) {
        t->headers_over = 1;
        return 0;
    }
    t->header_bytes += len;
    if (len > 5 && !memcmp(line, "HTTP/", 5)) {
        t->status = status_of(line, len);
        t->retry_after[0] = '\0'; /* a new answer begins, the last one was a 1xx */
    }
    else if (header_is(line, len, "retry-after", 11)) {
        value = line + 12;
        vlen = len - 12;
        while (vlen && (*value == ' ' || *value == '\t')) {
            value++;
            vlen--;
        }
        while (vlen && strchr("\r\n \t", value[vlen - 1]))
            vlen--;
        if (vlen <= RETRY_AFTER_MAX && !memchr(value, 0, vlen)) {
            memcpy(t->retry_after, value, vlen);
            t->retry_after[vlen] = '\0';
        }
    }
    return len;
}

static size_t body_arrived(char *data, size_t size, size_t count, void *baton)
{
    transfer *t = baton;
    apr_size_t len = size * count, keep = t->attempt->capture - t->kept_len;

    if (keep > len)
        keep = len;
    if (keep > t->kept_room - t->kept_len) {
        apr_size_t room = t->kept_room ? t->kept_room : 1024;
        char *longer;

        while (room < t->kept_len + keep)
            room *= 2;
        if (room > t->attempt->capture)
            room = t->attempt->capture;
        longer = apr_palloc(t->attempt->pool, room);
        if (t->kept_len)
            memcpy(longer, t->kept, t->kept_len);
        t->kept = longer;
        t->kept_room = room;
    }
    if (keep)
        memcpy(t->kept + t->kept_len, data, keep);
    t->kept_len += keep;
    t->discarded += len - keep;
    if (t->discarded > DISCARD_MAX) {
        t->cut = 1;
        return 0;
    }
    return len;
}

/* ------------------------------------------------------------------------------------------------------------- results --- */

/* What libcurl says, for a log line: printable ASCII, bounded. */
static const char *clean(const char *text, apr_pool_t *p)
{
    apr_size_t len = strlen(text);
    char *copy = apr_pstrmemdup(p, text, len < DETAIL_MAX ? len : DETAIL_MAX);

    for (char *s = copy; *s; s++) {
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
            *s = '?';
    }
    return copy;
}

static const char *reason_of(CURLcode code, int connected)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return wh_failure_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return connected ? wh_failure_TIMEOUT : wh_failure_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
        return wh_failure_TLS;
    default:
        return wh_failure_TRANSPORT;
    }
}

static void judge_failure(transfer *t, CURLcode code, webhook_attempt_result *r)
{
    apr_pool_t *p = t->attempt->pool;
    curl_off_t connected = 0;

    curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connected);
    r->outcome = WEBHOOK_OUTCOME_RETRY;
    r->reason = reason_of(code, connected > 0);
    if (t->headers_over)
        r->detail = apr_psprintf(p, "the response headers are longer than %d bytes", HEADERS_MAX);
    else if (*t->error)
        r->detail = apr_psprintf(p, "%s: %s", curl_easy_strerror(code), clean(t->error, p));
    else
        r->detail = curl_easy_strerror(code);
}

static void judge_status(transfer *t, int status, webhook_attempt_result *r)
{
    apr_interval_time_t after;

    r->code = status;
    r->output.data = t->kept;
    r->output.len = t->kept_len;
    if (status >= 200 && status < 300) {
        r->outcome = WEBHOOK_OUTCOME_DONE;
        return;
    }
    r->reason = wh_failure_HTTP_STATUS;
    r->detail = apr_psprintf(t->attempt->pool, "the upstream answered %d", status);
    if (status >= 300 && status < 500 && status != 408 && status != 425 && status != 429) {
        r->outcome = WEBHOOK_OUTCOME_DEAD;
        return;
    }
    r->outcome = WEBHOOK_OUTCOME_RETRY;
    if (*t->retry_after && wh_parse_retry_after(t->retry_after, apr_time_now(), &after) == APR_SUCCESS)
        r->retry_after = after;
}

/* Take the transfer out of the loop's hands and let go of all that is the attempt's. */
static webhook_attempt *release(transfer *t)
{
    webhook_handler *h = t->h;
    webhook_attempt *attempt = t->attempt;

    curl_multi_remove_handle(h->services->curl_multi(h->loop), t->easy);
    curl_easy_reset(t->easy); /* it points into the attempt's pool and the header list */
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    t->kept = NULL;
    t->attempt = NULL;
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->prev = NULL;
    t->next = h->unused;
    h->unused = t;
    return attempt;
}

static void transfer_done(webhook_curl_done *self, int result)
{
    transfer *t = (transfer *)self;
    webhook_handler *h = t->h;
    webhook_attempt_result r = {.outcome = WEBHOOK_OUTCOME_RETRY};
    CURLcode code = (CURLcode)result;
    long status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_WRITE_ERROR && t->cut)
        code = CURLE_OK;
    if (code == CURLE_OK && (status < 200 || status != t->status)) {
        r.reason = wh_failure_TRANSPORT; /* 101 without having been asked, say */
        r.detail = status == t->status ? "the upstream gave no final answer" : "the upstream's status line is malformed";
    }
    else if (code == CURLE_OK) {
        judge_status(t, (int)status, &r);
    }
    else {
        judge_failure(t, code, &r);
    }
    h->services->finish(h->loop, release(t), &r);
}

/* ------------------------------------------------------------------------------------------------------------- starting --- */

static transfer *take_transfer(webhook_handler *h)
{
    transfer *t = h->unused;

    if (!t) {
        t = apr_pcalloc(h->pool, sizeof(*t));
        t->h = h;
        t->done.done = transfer_done;
        t->easy = curl_easy_init();
        if (!t->easy)
            return NULL; /* rare enough to leave the structure to the pool */
    }
    else {
        h->unused = t->next;
    }
    t->next = h->running;
    if (t->next)
        t->next->prev = &t->next;
    t->prev = &h->running;
    h->running = t;
    t->kept_len = t->kept_room = t->header_bytes = t->discarded = 0;
    t->cut = t->headers_over = t->status = 0;
    t->retry_after[0] = t->error[0] = '\0';
    return t;
}

/* libcurl takes milliseconds as long; 0 would mean its own default or no bound at all. */
static long milliseconds(apr_interval_time_t t)
{
    apr_int64_t ms = apr_time_as_msec(t);

    return ms < 1 ? 1 : ms > 0x7fffffff ? 0x7fffffff : (long)ms;
}

/* The first option that libcurl refuses stops the rest: an attempt without one of these must not be made. */
#define SET(option, value)                                      \
    do {                                                        \
        if (rc == CURLE_OK)                                     \
            rc = curl_easy_setopt(t->easy, (option), (value));  \
    } while (0)

static CURLcode set_bounds(transfer *t, const webhook_handler_conf *conf)
{
    CURLcode rc = CURLE_OK;
    apr_interval_time_t timeout = t->attempt->timeout;

    SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, conf->tls ? "https" : "http");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, conf->tls ? "https" : "http"); /* none cannot be said; redirects are off below */
#else
    SET(CURLOPT_PROTOCOLS, (long)(conf->tls ? CURLPROTO_HTTPS : CURLPROTO_HTTP));
    SET(CURLOPT_REDIR_PROTOCOLS, (long)(conf->tls ? CURLPROTO_HTTPS : CURLPROTO_HTTP));
#endif
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_MAXREDIRS, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_ACCEPT_ENCODING, NULL);
    SET(CURLOPT_TIMEOUT_MS, milliseconds(timeout));
    SET(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(conf->connect_timeout < timeout ? conf->connect_timeout : timeout));
    if (conf->idle_timeout) {
        SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(CURLOPT_LOW_SPEED_TIME, (long)apr_time_sec(conf->idle_timeout));
    }
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_HEADERFUNCTION, header_arrived);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, body_arrived);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_ERRORBUFFER, t->error);
    SET(CURLOPT_PRIVATE, &t->done);
    return rc;
}

static CURLcode set_request(transfer *t, const webhook_handler_conf *conf, const char *url, webhook_slice body)
{
    CURLcode rc = CURLE_OK;

    SET(CURLOPT_URL, url);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    SET(CURLOPT_POSTFIELDS, body.len ? body.data : ""); /* not copied; NULL would make libcurl read from stdin */
    if (strcmp(conf->method, "POST"))
        SET(CURLOPT_CUSTOMREQUEST, conf->method);
    SET(CURLOPT_HTTPHEADER, t->headers);
    if (conf->unix_path)
        SET(CURLOPT_UNIX_SOCKET_PATH, conf->unix_path);
    SET(CURLOPT_HTTP_VERSION, (long)(conf->tls && conf->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    /* rather wait for the first connection's ALPN than open one per attempt */
    SET(CURLOPT_PIPEWAIT, (long)(conf->tls && conf->http2));
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (conf->ca) {
        SET(CURLOPT_CAINFO, conf->ca);
        SET(CURLOPT_CAPATH, NULL); /* instead of the system's, not beside them */
    }
    if (conf->cert) {
        SET(CURLOPT_SSLCERT, conf->cert);
        SET(CURLOPT_SSLKEY, conf->key);
    }
    return rc;
}

static void finish_with(webhook_handler *h, webhook_attempt *attempt, webhook_outcome outcome, const char *reason, const char *detail)
{
    webhook_attempt_result r = {.outcome = outcome, .reason = reason, .detail = detail};

    h->services->finish(h->loop, attempt, &r);
}

static void upstream_start(webhook_handler *h, webhook_attempt *attempt)
{
    const webhook_delivery *d = attempt->lease->delivery;
    struct curl_slist *headers = NULL;
    const char *why;
    webhook_slice received;
    wh_upstream_message m;
    wh_filled how;
    transfer *t;
    CURLcode rc;
    CURLMcode mrc;
    char text[120];
    apr_status_t rv = wh_delivery_body(d, &received, attempt->pool);

    if (rv != APR_SUCCESS) {
        /* gone stays gone; anything else may heal */
        finish_with(h, attempt, APR_STATUS_IS_ENOENT(rv) ? WEBHOOK_OUTCOME_DEAD : WEBHOOK_OUTCOME_RETRY, wh_failure_BODY_LOST,
                    apr_psprintf(attempt->pool, "cannot read the body: %s", apr_strerror(rv, text, sizeof(text))));
        return;
    }
    how = wh_upstream_fill(&m, h->conf, attempt, received, &why);
    if (how != WH_FILLED) {
        webhook_attempt_result r;

        wh_format_failed(&r, how, why);
        h->services->finish(h->loop, attempt, &r);
        return;
    }
    rv = wh_upstream_headers(&headers, &why, h->conf, m.headers, attempt, attempt->pool);
    if (rv != APR_SUCCESS) {
        curl_slist_free_all(headers);
        if (rv == APR_EINVAL)
            finish_with(h, attempt, WEBHOOK_OUTCOME_DEAD, wh_failure_HEADER_VALUE, why);
        else
            finish_with(h, attempt, WEBHOOK_OUTCOME_RETRY, wh_failure_TRANSPORT, why);
        return;
    }
    t = take_transfer(h);
    if (!t) {
        curl_slist_free_all(headers);
        finish_with(h, attempt, WEBHOOK_OUTCOME_RETRY, wh_failure_TRANSPORT, "no memory");
        return;
    }
    t->attempt = attempt;
    t->headers = headers;
    rc = set_bounds(t, h->conf);
    if (rc == CURLE_OK)
        rc = set_request(t, h->conf, m.url, m.body);
    if (rc != CURLE_OK) {
        h->services->log(h->loop, WH_LOG_ERROR, "WH0731: handler %s: cannot prepare the request: %s", h->name, curl_easy_strerror(rc));
        finish_with(h, release(t), WEBHOOK_OUTCOME_RETRY, reason_of(rc, 0), curl_easy_strerror(rc));
        return;
    }
    mrc = curl_multi_add_handle(h->services->curl_multi(h->loop), t->easy);
    if (mrc != CURLM_OK)
        finish_with(h, release(t), WEBHOOK_OUTCOME_RETRY, wh_failure_TRANSPORT, curl_multi_strerror(mrc));
}

/* ------------------------------------------------------------------------------------------------------------ provider --- */

static void warn_unreadable(webhook_handler *h, const char *option, const char *path)
{
    if (path && access(path, R_OK)) {
        char text[120];

        h->services->log(h->loop, WH_LOG_ERROR, "WH0730: handler %s: option \"%s\": %s cannot be read by the server's user: %s", h->name,
                         option, path, apr_strerror(errno, text, sizeof(text)));
    }
}

static apr_status_t upstream_open(webhook_handler **out, const webhook_handler_conf *conf, const char *name, webhook_loop *loop,
                                  const webhook_services *services, apr_pool_t *p, webhook_result *res)
{
    webhook_handler *h = apr_pcalloc(p, sizeof(*h));

    *out = NULL;
    if (!services->curl_multi(loop)) {
        res->rv = APR_EGENERAL;
        res->reason = wh_failure_TRANSPORT;
        res->detail = "no HTTP client";
        return res->rv;
    }
    h->conf = conf;
    h->name = apr_pstrdup(p, name);
    h->loop = loop;
    h->services = services;
    h->pool = p;
    /* not a reason to give up: attempts fail and are retried, and heal with the file's mode */
    warn_unreadable(h, "ca", conf->ca);
    warn_unreadable(h, "cert", conf->cert);
    warn_unreadable(h, "key", conf->key);
    *out = h;
    return APR_SUCCESS;
}

static void upstream_stop(webhook_handler *h, apr_interval_time_t kill_after)
{
    (void)kill_after;
    while (h->running)
        finish_with(h, release(h->running), WEBHOOK_OUTCOME_RELEASED, wh_failure_STOPPED, NULL);
}

static void upstream_close(webhook_handler *h)
{
    transfer *t;

    while ((t = h->unused)) {
        h->unused = t->next;
        curl_easy_cleanup(t->easy);
    }
}

static const apr_array_header_t *upstream_slots(const webhook_handler_conf *conf)
{
    return conf->slots;
}

const webhook_handler_provider wh_handler_upstream = {
    .name = "upstream",
    .configure = wh_upstream_configure,
    .open = upstream_open,
    .start = upstream_start,
    .stop = upstream_stop,
    .close = upstream_close,
    .describe = wh_upstream_describe,
    .slots = upstream_slots,
};
