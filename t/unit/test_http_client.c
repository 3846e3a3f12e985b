/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guarded client: which URLs and places it goes to, counted in sockets, and what it makes of servers that misbehave.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <curl/curl.h>

#include "core/http_client.h"
#include "core/units.h"
#include "scripted_server.h"
#include "tap.h"

static apr_pool_t *pool;
static CURLM *multi;
static server srv;

typedef struct outcome {
    int done, status;
    const char *failure, *detail, *address;
    char *body;
    apr_size_t len;
    apr_int64_t max_age;
    apr_interval_time_t retry_after;
} outcome;

static void on_done(void *baton, const wh_http_answer *a)
{
    outcome *o = baton;

    o->done++;
    o->status = a->status;
    o->failure = a->failure ? apr_pstrdup(pool, a->failure) : NULL;
    o->detail = a->detail ? apr_pstrdup(pool, a->detail) : NULL;
    o->address = apr_pstrdup(pool, a->address);
    o->body = apr_pstrmemdup(pool, a->body.data ? a->body.data : "", a->body.len);
    o->len = a->body.len;
    o->max_age = a->max_age;
    o->retry_after = a->retry_after;
}

/* As the dispatcher's loop does */
static void run(outcome *o)
{
    apr_time_t end = wh_monotonic() + apr_time_from_sec(120); /* a ceiling: nothing waits for it unless something is broken */
    int running, left;
    CURLMsg *msg;

    while (!o->done && wh_monotonic() < end) {
        curl_multi_perform(multi, &running);
        while ((msg = curl_multi_info_read(multi, &left)) != NULL) {
            webhook_curl_done *done = NULL;
            if (msg->msg != CURLMSG_DONE) continue;
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&done);
            done->done(done, (int)msg->data.result);
        }
        if (!o->done) curl_multi_poll(multi, NULL, 0, 10, NULL);
    }
}

static wh_http_conf *conf_of(const char *const *allow, const char *const *resolve, int plain)
{
    wh_http_conf *c = apr_pcalloc(pool, sizeof(*c));
    apr_array_header_t *ranges = apr_array_make(pool, 2, sizeof(wh_range)), *list = apr_array_make(pool, 2, sizeof(const char *));

    for (; allow && *allow; allow++) ok(wh_range_parse(apr_array_push(ranges), *allow, pool) == NULL, "allow %s", *allow);
    for (; resolve && *resolve; resolve++) ok(wh_http_resolve_parse(apr_array_push(list), *resolve, pool) == NULL, "resolve %s", *resolve);
    c->allow = ranges;
    c->resolve = list;
    c->timeout = apr_time_from_sec(60);
    c->connect_timeout = apr_time_from_sec(60);
    c->size = 4096;
    c->plain = plain;
    return c;
}

static outcome fetch(const wh_http_conf *conf, const char *url, int *sockets, int *denied)
{
    wh_http_client *client = wh_http_client_create(conf, multi, pool);
    outcome o;

    memset(&o, 0, sizeof(o));
    if (wh_http_begin(client, url, NULL, 4096, on_done, &o)) run(&o);
    if (sockets) *sockets = wh_http_sockets(client);
    if (denied) *denied = wh_http_denied(client);
    wh_http_client_destroy(client);
    return o;
}

static void test_urls(void)
{
    static const char *const good[] = { "https://a", "https://a/", "https://a.example:8443/b/c?d=e&f=%20", "https://[2001:db8::1]/", "https://[::1]:443/x",
        "https://192.0.2.1/", "https://A.Example/", "https://a_b.example/", "https://a?b", "https://a/@b" };
    static const char *const bad[] = { "", "a", "https:", "https://", "https:///", "https://?", "http://a/", "HTTPS://a/", "ftp://a/", "file:///a", "//a/",
        "https://u@a/", "https://u:p@a/", "https://a:b@c/", "https://a\\b/", "https://a/\\", "https://a/#b", "https://a#b", "https://a b/", "https://a/ b",
        "https://a/\n", "https://a/\x80", "https://\xc3\xa4/", "https://a%2fb/", "https://a%00/", "https://a:/", "https://a:0/", "https://a:65536/",
        "https://a:80a/", "https://a:80:80/", "https://a../", "https://.a/", "https://a./", "https://[::1/", "https://::1/", "https://[::1]x/",
        "https://[1.2.3.4]/", "https://[::1%25eth0]/", "https://a/<b>", "https://a/{b}", "https://a/`", "https://a/|", "https://a/^", "https://a/\"",
        "https://(a)/", "https://a,b/", "https://a;b/", "https://*/", " https://a/", "https://a/ " };
    static const char *const resolve_bad[] = { "", "a", "a:443", "a:443:", "a:443:b", "a:x:127.0.0.1", "a:443:127.0.0.1:", "a:443:127.0.0.1:x",
        "a:443:127.0.0.1:1:2", "a:443:::1", "a:443:[::1", "a:443:[127.0.0.1]", ":443:127.0.0.1", "a:0:127.0.0.1", "a:443:127.1", "a b:443:127.0.0.1" };
    const char *out;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) ok(wh_http_url_check(good[i], 0) == NULL, "\"%s\" may be asked for", good[i]);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) ok(wh_http_url_check(bad[i], 0) != NULL, "bad URL %d may not", (int)i);
    ok(wh_http_url_check("http://a/", 1) == NULL, "http:// with the switch");
    ok(wh_http_url_check("http://u@a/", 1) != NULL, "and nothing else with it");
    ok(wh_http_url_check(apr_pstrcat(pool, "https://a/", memset(apr_pcalloc(pool, 3000), 'x', 2999), NULL), 0) != NULL, "nor one of 3000 bytes");
    for (i = 0; i < sizeof(resolve_bad) / sizeof(resolve_bad[0]); i++) ok(wh_http_resolve_parse(&out, resolve_bad[i], pool) != NULL, "resolve=\"%s\"", resolve_bad[i]);
    ok(!wh_http_resolve_parse(&out, "a:443:[::1]", pool) && !strcmp(out, "a:443:[::1]:443"), "the port stays");
}

/* Places that are inside, however they are written: judged before a socket is made. */
static void test_places(void)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "0", "0.0.0.0", "[::1]", "[::]",
        "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fc00::1]", "10.0.0.1",
        "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "rebound.example", "mapped.example" };
    const char *resolve[3] = { apr_psprintf(pool, "rebound.example:%d:127.0.0.1", srv.port), apr_psprintf(pool, "mapped.example:%d:[::ffff:127.0.0.1]", srv.port),
                               NULL };
    static const char *const elsewhere[] = { "10.0.0.0/8", NULL };
    const wh_http_conf *conf = conf_of(elsewhere, resolve, 0), *plain = conf_of(elsewhere, resolve, 1);
    int sockets = 0, denied = 0;
    size_t i;

    for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        outcome o;
        if (!strcmp(hosts[i], "10.0.0.1")) continue; /* that one is in `allow` */
        o = fetch(conf, apr_psprintf(pool, "https://%s:%d/", hosts[i], srv.port), &sockets, &denied);
        /* some resolvers do not know the odd spellings at all */
        ok(o.done == 1 && sockets == 0 && (denied > 0 || !strcmp(o.failure, "connect")), "%s: no socket (%s)", hosts[i], o.failure ? o.failure : "none");
        if (denied) is_str(o.failure, "address-denied", "and that is said: %s", o.detail);
    }
    fetch(plain, apr_psprintf(pool, "http://127.0.0.1:%d/", srv.port), &sockets, &denied);
    ok(sockets == 0 && denied > 0, "http:// goes to addresses of `allow` alone");
    is_int(srv.connections, 0, "nobody was connected to");
}

static outcome ask(act a, const char *text, const char *again, const wh_http_conf *base)
{
    static const char *const allow[] = { "127.0.0.1", NULL };
    const wh_http_conf *conf = base ? base : conf_of(allow, NULL, 1);
    int sockets;
    outcome o;

    server_stop(&srv);
    server_start(&srv, a, text, again, NULL, NULL);
    o = fetch(conf, apr_psprintf(pool, "http://127.0.0.1:%d/x.pem?a=b", srv.port), &sockets, NULL);
    is_int(o.done, 1, "one end");
    is_int(sockets, 1, "one socket");
    return o;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static void test_answers(void)
{
    static const char *const allow[] = { "127.0.0.1", NULL };
    static const struct { const char *headers; int age; int retry; } ages[] = {
        { "", -1, 0 }, { "Cache-Control: max-age=600\r\n", 600, 0 }, { "cache-control: public, Max-Age=600, must-revalidate\r\nAge: 100\r\n", 500, 0 },
        { "Cache-Control: no-store\r\n", 0, 0 }, { "Cache-Control: max-age=600, no-cache\r\n", 0, 0 }, { "Cache-Control: max-age=-1\r\n", -1, 0 },
        { "Cache-Control: max-age=99999999999999\r\n", -1, 0 }, { "Cache-Control: s-max-age=5\r\n", -1, 0 }, { "Cache-Control: max-age=10\r\nAge: 20\r\n", 0, 0 },
        { "Retry-After: 7\r\n", -1, 7 },
        { "Retry-After: \t Fri, 31 Dec 2100 23:59:59 GMT \r\n", -1, 315360000 }, { "Retry-After: soon\r\n", -1, 0 } };
    wh_http_conf *slow = conf_of(allow, NULL, 1);
    outcome o;
    size_t i;

    o = ask(ACT_CLOSE, OK_HEAD "Content-Length: 2\r\n\r\nok", NULL, NULL);
    ok(o.status == 200 && o.len == 2 && !strcmp(o.body, "ok") && !o.failure, "an answer");
    is_str(o.address, "127.0.0.1", "and from where");
    ok(strstr(srv.request, "GET /x.pem?a=b HTTP/1.1\r\n") == srv.request, "what was asked");
    ok(!strstr(srv.request, "Cookie") && !strstr(srv.request, "Authorization") && !strstr(srv.request, "Accept-Encoding"), "and nothing beside");
    for (i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
        o = ask(ACT_CLOSE, apr_pstrcat(pool, OK_HEAD, ages[i].headers, "Content-Length: 0\r\n\r\n", NULL), NULL, NULL);
        is_int(o.max_age, ages[i].age, "age of \"%s\"", ages[i].headers);
        is_int(apr_time_sec(o.retry_after), ages[i].retry, "and when to come again");
    }
    o = ask(ACT_CLOSE, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", NULL, NULL);
    ok(o.status == 302 && srv.requests == 1, "a redirect is an answer");
    o = ask(ACT_CLOSE, apr_psprintf(pool, OK_HEAD "Content-Length: 5000\r\n\r\n%5000s", "x"), NULL, NULL);
    is_str(o.failure, "too-large", "a body that says it is too large");
    o = ask(ACT_REPEAT, OK_HEAD "\r\n", "0123456789abcdef0123456789abcdef", NULL);
    is_str(o.failure, "too-large", "one that does not, without end");
    o = ask(ACT_CLOSE, apr_psprintf(pool, OK_HEAD "Content-Length: 4096\r\n\r\n%4096s", "x"), NULL, NULL);
    ok(o.status == 200 && o.len == 4096, "one that just fits");
    o = ask(ACT_REPEAT, OK_HEAD, "X-Header: 0123456789abcdef\r\n", NULL);
    ok(o.failure && o.status == 0, "headers without end: %s", o.failure ? o.failure : "none");
    o = ask(ACT_CLOSE, OK_HEAD "Content-Length: 10\r\n\r\nshort", NULL, NULL);
    is_str(o.failure, "transport", "a body that ends early");
    o = ask(ACT_BLURT, "no HTTP at all\r\n\r\n", NULL, NULL);
    is_str(o.failure, "transport", "what is no HTTP");
    o = ask(ACT_RESET, "", NULL, NULL);
    is_str(o.failure, "transport", "a reset");
    o = ask(ACT_CLOSE, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08", NULL, NULL);
    ok(o.status == 200 && o.len == 3, "what is compressed stays so");
    slow->timeout = apr_time_from_sec(1);
    o = ask(ACT_SILENT, "", NULL, slow);
    is_str(o.failure, "timeout", "silence");
    o = ask(ACT_DRIP, OK_HEAD "Content-Length: 4000\r\n\r\nx", NULL, slow);
    is_str(o.failure, "timeout", "an answer that takes for ever");
}

static void test_tls(void)
{
    static const char *const allow[] = { "127.0.0.1", NULL };
    const wh_http_conf *conf = conf_of(allow, NULL, 0);
    outcome o;

    server_stop(&srv);
    server_start(&srv, ACT_BLURT, OK_HEAD "Content-Length: 0\r\n\r\n", NULL, NULL, NULL);
    o = fetch(conf, apr_psprintf(pool, "https://127.0.0.1:%d/", srv.port), NULL, NULL);
    is_str(o.failure, "tls", "no TLS, no answer");
    ok(wh_http_ca_check("/nonexistent") != NULL, "a file of authorities that is not there");
    ok(wh_http_ca_check("/dev/null") != NULL, "or empty");
}

static void test_ends(void)
{
    static const char *const allow[] = { "127.0.0.1", NULL };
    wh_http_client *client;
    wh_http_get *get;
    outcome o, other;
    int running;

    server_stop(&srv);
    server_start(&srv, ACT_SILENT, "", NULL, NULL, NULL);
    client = wh_http_client_create(conf_of(allow, NULL, 1), multi, pool);
    memset(&o, 0, sizeof(o));
    memset(&other, 0, sizeof(other));
    get = wh_http_begin(client, apr_psprintf(pool, "http://127.0.0.1:%d/", srv.port), NULL, 10, on_done, &o);
    ok(get != NULL, "begun");
    ok(wh_http_begin(client, apr_psprintf(pool, "http://127.0.0.1:%d/", srv.port), NULL, 10, on_done, &other) != NULL, "another");
    curl_multi_perform(multi, &running);
    wh_http_cancel(get);
    ok(!wh_http_begin(client, "http://u@127.0.0.1/", NULL, 10, on_done, &o), "a bad URL is not begun");
    wh_http_client_destroy(client);
    curl_multi_perform(multi, &running);
    is_int(o.done + other.done + running, 0, "what is dropped calls nobody");
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    ok(load_libssl() != 0, "libssl, for the other side");
    apr_initialize();
    apr_pool_create(&pool, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi = curl_multi_init();
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("https_proxy", "http://127.0.0.1:1/", 1);
    setenv("all_proxy", "http://127.0.0.1:1/", 1);
    server_start(&srv, ACT_CLOSE, OK_HEAD "Content-Length: 0\r\n\r\n", NULL, NULL, NULL);
    test_urls();
    test_places();
    test_answers();
    test_tls();
    test_ends();
    server_stop(&srv);
    apr_pool_destroy(pool);
    curl_multi_cleanup(multi);
    return tap_done();
}
