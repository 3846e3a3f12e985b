/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client.c: see http_client.h. One easy handle and one pool per exchange: they are rare, and nothing of one may be seen by the next.
 */
#include "core/http_client.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/units.h"

#define HEADERS_MAX (32 * 1024)
#define DETAIL_MAX 300
#define URL_MAX 2048
#define AGENT "mod_webhook/" WH_VERSION

struct wh_http_get {
    webhook_curl_done ended; /* first: CURLOPT_PRIVATE points here */
    wh_http_client *client;
    wh_http_get *next, **prev;
    apr_pool_t *pool;
    CURL *easy;
    struct curl_slist *headers;
    wh_http_done *done;
    void *baton;
    int plain;      /* http:// */
    apr_size_t max, room, header_bytes;
    char *data;
    apr_size_t len;
    int too_large, headers_over;
    const char *denied; /* why the last address was */
    char address[WH_ADDRESS_TEXT];
    apr_int64_t max_age, age;
    apr_interval_time_t retry_after;
    char error[CURL_ERROR_SIZE];
};

struct wh_http_client {
    const wh_http_conf *conf;
    CURLM *multi;
    struct curl_slist *resolve;
    apr_pool_t *pool;
    wh_http_get *running;
    int sockets, denied;
};

/* ---- what may be asked for ---- */

static int host_ok(const char *host, apr_size_t len)
{
    wh_address a;
    apr_size_t i, label = 0;

    if (len == 0 || len > 253) return 0;
    if (host[0] == '[') return len > 2 && host[len - 1] == ']' && memchr(host, ':', len) && wh_address_parse(&a, host + 1, len - 2);
    for (i = 0; i < len; i++) {
        if (host[i] == '.') {
            if (label == 0 || i + 1 == len) return 0;
            label = 0;
        } else if ((host[i] >= 'a' && host[i] <= 'z') || (host[i] >= 'A' && host[i] <= 'Z') || apr_isdigit(host[i]) || host[i] == '-'
                   || host[i] == '_') {
            if (++label > 63) return 0;
        } else {
            return 0;
        }
    }
    return 1;
}

const char *wh_http_url_check(const char *url, int plain)
{
    const char *host, *end, *port, *s;
    apr_int64_t n;

    if (strlen(url) > URL_MAX) return "is longer than 2048 bytes";
    if (strncmp(url, "https://", 8) == 0) host = url + 8;
    else if (strncmp(url, "http://", 7) == 0) {
        if (!plain) return "is not https";
        host = url + 7;
    } else {
        return "does not begin with https://";
    }
    for (s = host; *s; s++) {
        if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f || strchr("\"<>\\^`{|}", *s)) {
            return "holds a character that belongs escaped or has no place in a URL";
        }
        if (*s == '#') return "has a fragment";
    }
    end = host + strcspn(host, "/?");
    if (memchr(host, '@', (apr_size_t)(end - host))) return "holds a user or password";
    port = host[0] == '[' ? memchr(host, ']', (apr_size_t)(end - host)) : host;
    port = port ? memchr(port, ':', (apr_size_t)(end - port)) : NULL;
    if (!host_ok(host, (apr_size_t)((port ? port : end) - host))) return "has no valid host";
    if (port && wh_parse_int(port + 1, (apr_size_t)(end - port - 1), 1, 65535, &n) != APR_SUCCESS) return "has no valid port";
    return NULL;
}

const char *wh_http_resolve_parse(const char **out, const char *text, apr_pool_t *p)
{
    const char *host_end = strchr(text, ':'), *port_end = host_end ? strchr(host_end + 1, ':') : NULL, *end, *to;
    int bracket = port_end && port_end[1] == '[';
    wh_address a;
    apr_int64_t n;

    if (!port_end || !host_ok(text, (apr_size_t)(host_end - text)) || text[0] == '['
        || wh_parse_int(host_end + 1, (apr_size_t)(port_end - host_end - 1), 1, 65535, &n) != APR_SUCCESS) {
        return apr_psprintf(p, "\"%s\" is not HOST:PORT:ADDRESS or HOST:PORT:ADDRESS:PORT", text);
    }
    to = port_end + 1 + bracket;
    end = bracket ? strchr(to, ']') : to + strcspn(to, ":");
    if (!end || !wh_address_parse(&a, to, (apr_size_t)(end - to)) || a.bits != (bracket ? 128 : 32)) {
        return apr_psprintf(p, "\"%s\": \"%s\" does not begin with an address (IPv6 in brackets)", text, port_end + 1);
    }
    end += bracket;
    if (*end && (*end != ':' || wh_parse_int(end + 1, strlen(end + 1), 1, 65535, &n) != APR_SUCCESS)) {
        return apr_psprintf(p, "\"%s\": \"%s\" is not a port", text, end);
    }
    *out = *end ? apr_pstrdup(p, text) : apr_pstrcat(p, text, ":", apr_pstrmemdup(p, host_end + 1, (apr_size_t)(port_end - host_end - 1)), NULL);
    return NULL;
}

const char *wh_http_ca_check(const char *path)
{
    X509_STORE *store = X509_STORE_new();
    int ok = store && X509_STORE_load_file(store, path) == 1;

    X509_STORE_free(store);
    ERR_clear_error();
    return ok ? NULL : "cannot be read or holds no certificate";
}

/* ---- callbacks ---- */

static int allowed(const wh_http_conf *conf, const wh_address *a)
{
    int i;

    for (i = 0; conf->allow && i < conf->allow->nelts; i++) {
        if (wh_range_has(&APR_ARRAY_IDX(conf->allow, i, wh_range), a)) return 1;
    }
    return 0;
}

/* libcurl is about to connect to this very address: the last moment, and the only one that no name can deceive. */
static curl_socket_t open_socket(void *baton, curlsocktype purpose, struct curl_sockaddr *address)
{
    wh_http_get *get = baton;
    wh_http_client *client = get->client;
    const char *why = NULL;
    wh_address a;
    int fd;

    if (purpose != CURLSOCKTYPE_IPCXN || !wh_address_of(&a, &address->addr)) {
        why = "not an Internet address";
        get->address[0] = '\0';
    } else {
        wh_address_format(get->address, &a);
        if (!allowed(client->conf, &a)) why = get->plain ? "not in allow=, as http:// demands" : wh_address_special(&a);
    }
    if (why) {
        client->denied++;
        get->denied = why;
        return CURL_SOCKET_BAD;
    }
    get->denied = NULL;
    fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0) client->sockets++;
    return fd;
}

/* "max-age=600" among the directives of Cache-Control (RFC 9111 section 5.2) */
static apr_int64_t cache_age(const char *value, apr_size_t len)
{
    apr_int64_t age = -1, n;

    while (len) {
        apr_size_t part = 0, digits = 0;
        while (len && (*value == ' ' || *value == '\t' || *value == ',')) {
            value++;
            len--;
        }
        while (part < len && value[part] != ',') part++;
        if ((part >= 8 && strncasecmp(value, "no-store", 8) == 0) || (part >= 8 && strncasecmp(value, "no-cache", 8) == 0)) return 0;
        if (part > 8 && strncasecmp(value, "max-age=", 8) == 0) {
            while (8 + digits < part && apr_isdigit(value[8 + digits])) digits++;
            if (wh_parse_int(value + 8, digits, 0, 1000000000, &n) == APR_SUCCESS) age = n;
        }
        value += part;
        len -= part;
    }
    return age;
}

static size_t header_arrived(char *line, size_t size, size_t count, void *baton)
{
    wh_http_get *get = baton;
    size_t len = size * count, name;
    const char *value, *end, *copy;
    apr_int64_t n;

    if (len > HEADERS_MAX - get->header_bytes) {
        get->headers_over = 1;
        return 0;
    }
    get->header_bytes += len;
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) { /* a new answer begins, the last one was a 1xx */
        get->max_age = -1;
        get->age = 0;
        get->retry_after = 0;
        return len;
    }
    if ((value = memchr(line, ':', len)) == NULL) return len;
    name = (size_t)(value - line);
    /* Only around the value: the blanks inside a date are part of it. */
    for (value++, end = line + len; value < end && apr_isspace(*value); value++) {}
    while (end > value && apr_isspace(end[-1])) end--;
    copy = apr_pstrmemdup(get->pool, value, (apr_size_t)(end - value));
    if (name == 13 && strncasecmp(line, "cache-control", name) == 0) get->max_age = cache_age(copy, strlen(copy));
    else if (name == 3 && strncasecmp(line, "age", name) == 0) get->age = wh_parse_int(copy, strlen(copy), 0, 1000000000, &n) == APR_SUCCESS ? n : 0;
    else if (name == 11 && strncasecmp(line, "retry-after", name) == 0) {
        if (wh_parse_retry_after(copy, apr_time_now(), &get->retry_after) != APR_SUCCESS) get->retry_after = 0;
    }
    return len;
}

static size_t body_arrived(char *data, size_t size, size_t count, void *baton)
{
    wh_http_get *get = baton;
    size_t len = size * count;

    if (len > get->max - get->len) {
        get->too_large = 1;
        return 0;
    }
    if (get->len + len > get->room) {
        apr_size_t room = get->room ? get->room * 2 : 4096;
        char *longer;
        while (room < get->len + len) room *= 2;
        longer = apr_palloc(get->pool, room);
        if (get->len) memcpy(longer, get->data, get->len);
        get->data = longer;
        get->room = room;
    }
    if (len) memcpy(get->data + get->len, data, len);
    get->len += len;
    return len;
}

/* ---- the end of one ---- */

static void release(wh_http_get *get)
{
    curl_multi_remove_handle(get->client->multi, get->easy);
    curl_easy_cleanup(get->easy);
    curl_slist_free_all(get->headers);
    *get->prev = get->next;
    if (get->next) get->next->prev = get->prev;
    apr_pool_destroy(get->pool);
}

static const char *clean(const char *text, apr_pool_t *p)
{
    char *copy = apr_pstrndup(p, text, DETAIL_MAX), *s;

    for (s = copy; *s; s++) {
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e) *s = '?';
    }
    return copy;
}

static const char *code_of(CURLcode rc)
{
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT: return "connect";
    case CURLE_OPERATION_TIMEDOUT: return "timeout";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS: return "tls";
    default: return "transport";
    }
}

static void exchange_ended(webhook_curl_done *self, int result)
{
    wh_http_get *get = (wh_http_get *)self;
    wh_http_answer answer;
    CURLcode rc = (CURLcode)result;
    long status = 0;

    memset(&answer, 0, sizeof(answer));
    curl_easy_getinfo(get->easy, CURLINFO_RESPONSE_CODE, &status);
    memcpy(answer.address, get->address, sizeof(answer.address));
    answer.max_age = get->max_age;
    if (answer.max_age > 0) answer.max_age = get->age < answer.max_age ? answer.max_age - get->age : 0;
    answer.retry_after = get->retry_after;
    if (get->too_large || rc == CURLE_FILESIZE_EXCEEDED) {
        answer.failure = "too-large";
        answer.detail = apr_psprintf(get->pool, "the answer is larger than %" APR_SIZE_T_FMT " bytes", get->max);
    } else if (get->headers_over) {
        answer.failure = "too-large";
        answer.detail = apr_psprintf(get->pool, "the answer's headers are larger than %d bytes", HEADERS_MAX);
    } else if (get->denied && rc != CURLE_OK) {
        answer.failure = "address-denied";
        answer.detail = apr_psprintf(get->pool, "the address %s is not connected to: %s", *get->address ? get->address : "of the host",
                                     get->denied);
    } else if (rc != CURLE_OK) {
        answer.failure = code_of(rc);
        answer.detail = *get->error ? apr_pstrcat(get->pool, curl_easy_strerror(rc), ": ", clean(get->error, get->pool), NULL)
                                    : curl_easy_strerror(rc);
    } else if (status < 200 || status > 599) {
        answer.failure = "transport";
        answer.detail = "there was no final answer";
    } else {
        answer.status = (int)status;
        answer.body.data = get->data;
        answer.body.len = get->len;
    }
    get->done(get->baton, &answer);
    release(get);
}

/* ---- beginning ---- */

static long milliseconds(apr_interval_time_t t)
{
    apr_int64_t ms = apr_time_as_msec(t);

    return ms < 1 ? 1 : ms > 0x7fffffff ? 0x7fffffff : (long)ms;
}

/* The first option that libcurl refuses stops the rest: without one of these there is no request. */
#define SET(option, value)                                                              \
    do {                                                                                \
        if (rc == CURLE_OK) rc = curl_easy_setopt(get->easy, (option), (value));        \
    } while (0)

static CURLcode set_options(wh_http_get *get, const char *url)
{
    const wh_http_client *client = get->client;
    const wh_http_conf *conf = client->conf;
    CURLcode rc = CURLE_OK;

    SET(CURLOPT_URL, url);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, get->plain ? "http" : "https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "https"); /* none cannot be said; redirects are off below */
#else
    SET(CURLOPT_PROTOCOLS, (long)(get->plain ? CURLPROTO_HTTP : CURLPROTO_HTTPS));
    SET(CURLOPT_REDIR_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_MAXREDIRS, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_ACCEPT_ENCODING, NULL);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_TIMEOUT_MS, milliseconds(conf->timeout));
    SET(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(conf->connect_timeout < conf->timeout ? conf->connect_timeout : conf->timeout));
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)get->max);
    /* A connection of its own, or one that someone else's judgement opened could be used again. */
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_FORBID_REUSE, 1L);
    /* not CURLOPT_RESOLVE: that would tell the multi handle, and with it every delivery */
    SET(CURLOPT_CONNECT_TO, client->resolve);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
    if (conf->ca) {
        SET(CURLOPT_CAINFO, conf->ca);
        SET(CURLOPT_CAPATH, NULL); /* instead of the system's, not beside them */
    }
    SET(CURLOPT_HTTPHEADER, get->headers);
    SET(CURLOPT_USERAGENT, AGENT);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, get);
    SET(CURLOPT_HEADERFUNCTION, header_arrived);
    SET(CURLOPT_HEADERDATA, get);
    SET(CURLOPT_WRITEFUNCTION, body_arrived);
    SET(CURLOPT_WRITEDATA, get);
    SET(CURLOPT_ERRORBUFFER, get->error);
    SET(CURLOPT_PRIVATE, &get->ended);
    return rc;
}

wh_http_get *wh_http_begin(wh_http_client *client, const char *url, const char *accept, apr_int64_t size, wh_http_done *done, void *baton)
{
    apr_pool_t *pool;
    wh_http_get *get;

    if (wh_http_url_check(url, client->conf->plain) != NULL || apr_pool_create(&pool, client->pool) != APR_SUCCESS) return NULL;
    get = apr_pcalloc(pool, sizeof(*get));
    get->pool = pool;
    get->client = client;
    get->ended.done = exchange_ended;
    get->done = done;
    get->baton = baton;
    get->plain = strncmp(url, "http://", 7) == 0;
    get->max = (apr_size_t)(size < client->conf->size ? size : client->conf->size);
    get->max_age = -1;
    get->headers = curl_slist_append(NULL, accept ? apr_pstrcat(pool, "Accept: ", accept, NULL) : "Accept: */*");
    get->easy = get->headers ? curl_easy_init() : NULL;
    if (!get->easy || set_options(get, url) != CURLE_OK || curl_multi_add_handle(client->multi, get->easy) != CURLM_OK) {
        curl_easy_cleanup(get->easy);
        curl_slist_free_all(get->headers);
        apr_pool_destroy(pool);
        return NULL;
    }
    get->next = client->running;
    if (get->next) get->next->prev = &get->next;
    get->prev = &client->running;
    client->running = get;
    return get;
}

void wh_http_cancel(wh_http_get *get)
{
    release(get);
}

static apr_status_t cleanup(void *data)
{
    wh_http_client *client = data;

    while (client->running) release(client->running);
    curl_slist_free_all(client->resolve);
    client->resolve = NULL;
    return APR_SUCCESS;
}

void wh_http_client_destroy(wh_http_client *client)
{
    apr_pool_destroy(client->pool);
}

wh_http_client *wh_http_client_create(const wh_http_conf *conf, CURLM *multi, apr_pool_t *p)
{
    wh_http_client *client;
    apr_pool_t *pool;
    int i, ok;

    if (!multi || apr_pool_create(&pool, p) != APR_SUCCESS) return NULL;
    client = apr_pcalloc(pool, sizeof(*client));
    client->pool = pool;
    client->conf = conf;
    client->multi = multi;
    for (i = 0, ok = 1; ok && conf->resolve && i < conf->resolve->nelts; i++) {
        struct curl_slist *more = curl_slist_append(client->resolve, APR_ARRAY_IDX(conf->resolve, i, const char *));
        ok = more != NULL;
        if (more) client->resolve = more;
    }
    /* Before the pools of exchanges go: what they hold is libcurl's until then. */
    apr_pool_pre_cleanup_register(pool, client, cleanup);
    if (!ok) {
        apr_pool_destroy(pool);
        return NULL;
    }
    return client;
}

int wh_http_sockets(const wh_http_client *client)
{
    return client->sockets;
}

int wh_http_denied(const wh_http_client *client)
{
    return client->denied;
}
