/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that live elsewhere, without Apache: the files of the cache, what verifiers do with them, what the dispatcher's fetcher does.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <dirent.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "core/log.h"
#include "core/units.h"
#include "dispatch/fetch.h"
#include "dispatch/loop.h"
#include "scripted_server.h"
#include "tap.h"
#include "verify/key_cache.h"
#include "verify/scheme.h"
#include "verify/verify.h"

#define SEC APR_USEC_PER_SEC
#define JWK_URL "https://keys.example/jwks"

/* P-256, made for this test; a JWK Set with it, and one with another kid */
#define JWKS(kid) "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"" kid "\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
                  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"

static apr_pool_t *pool;
static char dir[] = "/tmp/wh_keys_XXXXXX";
static int woken;
static char said[8192];

static void on_wake(void)
{
    woken++;
}

static void sink(void *baton, int level, apr_status_t rv, const char *text)
{
    (void)baton; (void)level; (void)rv;
    if (strlen(said) + strlen(text) + 2 < sizeof(said)) strcat(strcat(said, text), "\n");
}

static void empty_dir(void)
{
    DIR *d = opendir(dir);
    struct dirent *ent;

    while (d && (ent = readdir(d)) != NULL) {
        if (strcmp(ent->d_name, ".") && strcmp(ent->d_name, "..")) unlink(apr_pstrcat(pool, dir, "/", ent->d_name, NULL));
    }
    if (d) closedir(d);
}

static int files(const char *suffix)
{
    DIR *d = opendir(dir);
    struct dirent *ent;
    int n = 0;

    while (d && (ent = readdir(d)) != NULL) n += strlen(ent->d_name) > strlen(suffix) && !strcmp(ent->d_name + strlen(ent->d_name) - strlen(suffix), suffix);
    if (d) closedir(d);
    return n;
}

static void spew(const char *path, const char *data, size_t len)
{
    FILE *f = fopen(path, "w");

    ok(f && fwrite(data, 1, len, f) == len, "a file is written");
    if (f) fclose(f);
}

static const webhook_verifier_provider *provider;

static webhook_verifier *scheme(const char *name, const char *const *words)
{
    apr_array_header_t *options = apr_array_make(pool, 4, sizeof(webhook_option));
    webhook_verifier *v = NULL;
    const char *err;

    for (; *words; words++) {
        webhook_option *o = apr_array_push(options);
        const char *eq = strchr(*words, '=');
        o->name = apr_pstrmemdup(pool, *words, (size_t)(eq - *words));
        o->value = eq + 1;
    }
    provider = wh_verifier_builtin(name);
    err = provider->configure(&v, provider, options, pool, pool);
    ok(err == NULL, "scheme %s: %s", name, err ? err : "configured");
    return v;
}

/* ---- files ---- */

static void test_files(void)
{
    const char *url = "https://a.example/x?y=z", bytes[] = "one\ntwo\n\nthree\0four";
    wh_key_entry e = { .kind = WH_KIND_KEYS, .url = url, .about = "a\nb", .made = 5 * SEC, .refresh = 6, .until = 7, .count = 3, .final = 1, .reason = "tls",
                       .detail = "de\ttail", .bytes = { bytes, sizeof(bytes) - 1 } }, got;
    const char *path = wh_key_path(dir, WH_KIND_KEYS, url, WH_KEY_THERE, pool);
    struct stat st;
    char *whole;
    size_t len, i, bad = 0;
    FILE *f;

    is_int(wh_key_save(dir, WH_KEY_THERE, &e, pool), APR_SUCCESS, "saved");
    ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600, "for nobody else");
    is_int(wh_key_load(&got, dir, WH_KIND_KEYS, url, WH_KEY_THERE, pool), APR_SUCCESS, "loaded");
    ok(got.bytes.len == sizeof(bytes) - 1 && !memcmp(got.bytes.data, bytes, got.bytes.len), "the bytes");
    ok(got.made == e.made && got.refresh == 6 && got.until == 7 && got.count == 3 && got.final == 1, "the numbers");
    ok(!strcmp(got.url, url) && !strcmp(got.reason, "tls") && !strcmp(got.detail, "de?tail") && !strcmp(got.about, "a?b"), "the words, on one line each");
    is_int(wh_key_load(&got, dir, WH_KIND_KEYS, "https://a.example/x", WH_KEY_THERE, pool), APR_ENOENT, "not for another URL");
    is_int(wh_key_load(&got, dir, WH_KIND_CERTIFICATE, url, WH_KEY_THERE, pool), APR_ENOENT, "not as another kind");
    is_int(wh_key_load(&got, dir, WH_KIND_KEYS, url, WH_KEY_FAILED, pool), APR_ENOENT, "not in another state");

    f = fopen(path, "r");
    whole = apr_pcalloc(pool, 4096);
    len = f ? fread(whole, 1, 4096, f) : 0;
    if (f) fclose(f);
    for (i = 0; i < len - sizeof(bytes); i++) { /* cut anywhere in the head */
        f = fopen(path, "w");
        if (f) {
            fwrite(whole, 1, i, f);
            fclose(f);
        }
        bad += wh_key_load(&got, dir, WH_KIND_KEYS, url, WH_KEY_THERE, pool) == APR_SUCCESS;
    }
    is_int(bad, 0, "half a head is none");
    spew(path, "webhook-key 2\nkind keys\n", 24);
    ok(wh_key_load(&got, dir, WH_KIND_KEYS, url, WH_KEY_THERE, pool) != APR_SUCCESS, "nor is a version to come");
    /* what somebody copied to another name does not count there */
    is_int(wh_key_save(dir, WH_KEY_THERE, &e, pool), APR_SUCCESS, "saved over it");
    ok(rename(path, wh_key_path(dir, WH_KIND_KEYS, "https://b.example/", WH_KEY_THERE, pool)) == 0, "moved");
    ok(wh_key_load(&got, dir, WH_KIND_KEYS, "https://b.example/", WH_KEY_THERE, pool) != APR_SUCCESS, "the URL inside counts");
    empty_dir();
}

static void test_wants(void)
{
    apr_array_header_t *list = apr_array_make(pool, 8, sizeof(wh_key_entry *));
    apr_status_t rv = APR_SUCCESS;
    int fresh, i, asked = 0;

    is_int(wh_key_want(dir, WH_KIND_CERTIFICATE, "https://a/x.pem", NULL, 1, &fresh, pool), APR_SUCCESS, "wanted");
    is_int(fresh, 1, "for the first time");
    is_int(wh_key_want(dir, WH_KIND_CERTIFICATE, "https://a/x.pem", NULL, 1, &fresh, pool), APR_SUCCESS, "wanted again");
    is_int(fresh, 0, "that was known");
    for (i = 0; i < 200; i++) {
        rv = wh_key_want(dir, WH_KIND_CERTIFICATE, apr_psprintf(pool, "https://a/%d.pem", i), NULL, 1, &fresh, pool);
        asked += rv == APR_SUCCESS;
    }
    is_int(asked, WH_KEY_WANTS_MAX - 1, "there is a bound");
    is_int(rv, APR_ENOSPC, "that is said");
    is_int(wh_key_want(dir, WH_KIND_KEYS, JWK_URL, NULL, 1, &fresh, pool), APR_SUCCESS, "the configuration's own are not shut out");
    wh_key_list(dir, WH_KEY_WANTED, 1000, list, pool);
    is_int(list->nelts, WH_KEY_WANTS_MAX + 1, "all are listed");
    empty_dir();
}

static void test_sweep(void)
{
    apr_time_t now = apr_time_now();
    wh_key_entry e = { .kind = WH_KIND_CERTIFICATE, .bytes = { "x", 1 } };
    const char *temp = apr_pstrcat(pool, dir, "/.tmp-x", NULL);
    struct timeval old[2] = { { 0, 0 }, { 0, 0 } };
    int i;

    for (i = 0; i < 80; i++) {
        e.url = apr_psprintf(pool, "https://a/%d.pem", i);
        e.made = i;
        e.until = now + SEC;
        wh_key_save(dir, WH_KEY_THERE, &e, pool);
        e.until = i < 10 ? now - 100000 * SEC : now;
        wh_key_save(dir, WH_KEY_FAILED, &e, pool);
    }
    spew(temp, "x", 1);
    utimes(temp, old);
    wh_key_sweep(dir, now, pool);
    is_int(files(".key"), 64, "certificates are bounded");
    ok(wh_key_load(&e, dir, WH_KIND_CERTIFICATE, "https://a/79.pem", WH_KEY_THERE, pool) == APR_SUCCESS
       && wh_key_load(&e, dir, WH_KIND_CERTIFICATE, "https://a/0.pem", WH_KEY_THERE, pool) != APR_SUCCESS, "the oldest go");
    is_int(files(".fail"), 70, "failures of long ago go");
    ok(access(temp, F_OK) != 0, "and what a crash left");
    empty_dir();
}

static void test_urls(void)
{
    static const char *const hosts[] = { "sns.*.amazonaws.com", "sns.*.amazonaws.com.cn", NULL };
    static const char path[] = "/?Action=ConfirmSubscription&";
    static const char *const good[] = { "https://sns.us-east-1.amazonaws.com/x.pem", "https://sns.cn-north-1.amazonaws.com.cn/a/b-c_d.pem" };
    static const char *const bad[] = { "https://sns.us-east-1.amazonaws.com/x%2e.pem", "https://sns.us-east-1.amazonaws.com//./x.pem", "https://sns.us-east-1.amazonaws.com/a/../x.pem",
        "https://sns.us-east-1.amazonaws.com/x~.pem", "https://sns.us-east-1.amazonaws.com/x.pem/", "https://sns.us-east-1.amazonaws.com/x.PEM" };
    static const char *const visits_bad[] = { "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&", "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&Token=a",
        "https://sns.us-east-1.amazonaws.com/?Token=a&Action=ConfirmSubscription&", "https://sns.us-east-1.amazonaws.com/x?Action=ConfirmSubscription&Token=a",
        "https://evil.example/?Action=ConfirmSubscription&Token=a", "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=a/b",
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=a b", "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=a#" };
    size_t i;

    for (i = 0; i < 2; i++) ok(wh_key_url_allowed(good[i], hosts, NULL), "%s", good[i]);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) ok(!wh_key_url_allowed(bad[i], hosts, NULL), "not %s", bad[i]);
    ok(wh_key_url_allowed("https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:x&Token=a", hosts, path), "a confirmation");
    for (i = 0; i < sizeof(visits_bad) / sizeof(visits_bad[0]); i++) ok(!wh_key_url_allowed(visits_bad[i], hosts, path), "not %s", visits_bad[i]);
    is_str(wh_key_url_masked("https://u:p@h.example:1/x?Token=a", pool), "https://h.example:1/...", "masked");
    is_str(wh_key_url_masked("https://h.example", pool), "https://h.example/...", "masked");
}

/* ---- in a verification ---- */

static void put_set(const char *url, const char *text, apr_time_t made, apr_time_t until)
{
    wh_key_entry e = { .kind = WH_KIND_KEYS, .url = url, .made = made, .until = until, .bytes = { text, strlen(text) } };

    is_int(wh_key_save(dir, WH_KEY_THERE, &e, pool), APR_SUCCESS, "a key set is put there");
}

static void put_failure(const char *url, apr_time_t made, apr_time_t until, int final)
{
    wh_key_entry e = { .kind = WH_KIND_KEYS, .url = url, .made = made, .until = until, .final = final, .count = 1, .reason = "tls", .detail = "broken" };

    is_int(wh_key_save(dir, WH_KEY_FAILED, &e, pool), APR_SUCCESS, "a failure is put there");
}

static int kid_is(const wh_keys_found *found, const char *kid)
{
    return found->set && found->set->count == 1 && !strcmp(found->set->list[0]->id, kid);
}

static void test_ring(void)
{
    static const char *const words[] = { "header=Authorization", "algorithm=ES256", "jwks=" JWK_URL, NULL };
    webhook_verifier *v = scheme("jwt", words);
    wh_key_ring *ring = wh_key_ring_make(pool);
    apr_time_t now = apr_time_now();
    wh_keys_found found;
    wh_fetch_needs needs;
    apr_pool_t *request;
    int i;

    ok(wh_verifier_needs(provider, v, &needs) && !strcmp(needs.keys, JWK_URL) && !needs.certificates && !needs.confirms, "what it needs");
    apr_pool_create(&request, pool);
    wh_key_cache_use(NULL, NULL);
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now, &found, request), WH_KEYS_NONE, "nothing where nothing is fetched");
    wh_key_cache_use(dir, on_wake);
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now, &found, request), WH_KEYS_PENDING, "asked for");
    ok(found.retry_after > 0 && found.why, "come again");
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now, &found, request), WH_KEYS_PENDING, "still");
    is_int(woken, 1, "one wake");
    put_failure(JWK_URL, now - SEC, now + 20 * SEC, 0);
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now, &found, request), WH_KEYS_PENDING, "a failure");
    ok(found.retry_after >= 20 * SEC && strstr(found.why, "tls: broken"), "come again later: %s", found.why);
    put_failure(JWK_URL, now - SEC, now + 20 * SEC, 1);
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now, &found, request), WH_KEYS_REFUSED, "a final one");
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now + 60 * SEC, &found, request), WH_KEYS_PENDING, "is forgotten in time");
    wh_key_drop(dir, WH_KIND_KEYS, JWK_URL, WH_KEY_FAILED, pool);

    put_set(JWK_URL, JWKS("one"), now, now + 100 * SEC);
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now, &found, request), WH_KEYS_THERE, "there");
    ok(kid_is(&found, "one") && found.made == now, "the key");
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now + 101 * SEC, &found, request), WH_KEYS_PENDING, "not beyond its time");
    put_set(JWK_URL, JWKS("two"), now, 0);
    for (i = 0; i < 300 && wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now, &found, request) == WH_KEYS_THERE && kid_is(&found, "one"); i++) usleep(10000);
    ok(kid_is(&found, "two"), "a new file counts soon");
    put_set(JWK_URL, "{\"keys\":[]}", now - 5 * SEC, 0);
    for (i = 0; i < 300 && wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now, &found, request) == WH_KEYS_THERE; i++) usleep(10000);
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now, &found, request), WH_KEYS_REFUSED, "one of no use is not asked for in a loop");
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now + 60 * SEC, &found, request), WH_KEYS_PENDING, "but again in a minute");
    apr_pool_clear(request);
    unlink(wh_key_path(dir, WH_KIND_KEYS, JWK_URL, WH_KEY_THERE, pool));
    usleep(1100000);
    is_int(wh_key_ring_find(v, ring, WH_KIND_KEYS, JWK_URL, now, &found, request), WH_KEYS_PENDING, "one that went is not there");

    for (i = 0; i < 200; i++) { /* more URLs than the ring holds */
        const char *url = apr_psprintf(pool, "https://keys.example/%d", i);
        wh_key_entry e = { .kind = WH_KIND_KEYS, .url = url, .made = now, .bytes = { JWKS("n"), sizeof(JWKS("n")) - 1 } };
        wh_key_save(dir, WH_KEY_THERE, &e, pool);
        if (wh_key_ring_find(v, ring, WH_KIND_KEYS, url, now, &found, request) != WH_KEYS_THERE) break;
    }
    is_int(i, 200, "many of them");
    apr_pool_destroy(request);
    empty_dir();

    woken = 0;
    is_int(wh_key_ring_again(JWK_URL, now - 30 * SEC, now, pool), 0, "half a minute is too soon to ask again");
    put_failure(JWK_URL, now - 30 * SEC, now - 20 * SEC, 0);
    is_int(wh_key_ring_again(JWK_URL, now - 90 * SEC, now, pool), 0, "also when it failed then");
    put_failure(JWK_URL, now - 90 * SEC, now - 20 * SEC, 0);
    is_int(wh_key_ring_again(JWK_URL, now - 90 * SEC, now, pool), 1, "a minute is not");
    is_int(woken, 1, "woken");
    wh_key_cache_use(NULL, NULL);
    is_int(wh_key_ring_again(JWK_URL, now - 90 * SEC, now, pool), 0, "nothing where nothing is fetched");
    is_int(wh_key_confirm(JWK_URL, NULL, now, pool), APR_ENOTIMPL, "nor visited");
    empty_dir();
}

/* ---- the fetcher ---- */

static server srv;
static webhook_loop *loop;

static void no_finish(void *baton, webhook_attempt *attempt, const webhook_attempt_result *result)
{
    (void)baton; (void)attempt; (void)result;
}

static wh_fetch_conf *fetch_conf(const webhook_verifier *v)
{
    wh_fetch_conf *c = apr_pcalloc(pool, sizeof(*c));
    apr_array_header_t *ranges = apr_array_make(pool, 1, sizeof(wh_range));
    wh_fetch_source *s;

    wh_range_parse(apr_array_push(ranges), "127.0.0.1", pool);
    c->dir = dir;
    c->http.allow = ranges;
    c->http.timeout = c->http.connect_timeout = 60 * SEC;
    c->http.size = WH_KEY_BYTES_MAX;
    c->http.plain = 1;
    c->sources = apr_array_make(pool, 1, sizeof(wh_fetch_source));
    s = apr_array_push(c->sources);
    s->endpoint = "e";
    s->verifier = v;
    wh_verifier_needs(provider, v, &s->needs);
    return c;
}

static void serve(act a, const char *text)
{
    if (srv.port) server_stop(&srv);
    server_start(&srv, a, text, NULL, NULL, NULL);
}

static void a_turn(wh_fetcher *f)
{
    wh_fetch_turn(f);
    wh_loop_once(loop, 20000);
}

/* Turn the loop until the file is there, or not there any more; at most for a ceiling that nothing waits for unless something is broken */
static int until_file(wh_fetcher *f, const char *path, int there)
{
    apr_time_t end = wh_monotonic() + 120 * SEC;

    while ((access(path, F_OK) == 0) != there && wh_monotonic() < end) a_turn(f);
    return (access(path, F_OK) == 0) == there;
}

/* Turn it for a while in which nothing is to happen */
static void a_while(wh_fetcher *f)
{
    int i;

    for (i = 0; i < 60; i++) a_turn(f);
}

static void test_fetcher(void)
{
    const char *words[] = { "header=Authorization", "algorithm=ES256", NULL, NULL }, *url, *key, *fail, *want;
    webhook_verifier *v;
    wh_fetch_conf *conf;
    wh_key_entry e;
    wh_fetcher *f;
    apr_time_t first;
    int before, fresh, i;

    serve(ACT_CLOSE, "HTTP/1.1 503 Later\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
    url = apr_psprintf(pool, "http://127.0.0.1:%d/jwks", srv.port);
    words[2] = apr_psprintf(pool, "jwks=%s", url);
    v = scheme("jwt", words);
    conf = fetch_conf(v);
    key = wh_key_path(dir, WH_KIND_KEYS, url, WH_KEY_THERE, pool);
    fail = wh_key_path(dir, WH_KIND_KEYS, url, WH_KEY_FAILED, pool);
    want = wh_key_path(dir, WH_KIND_KEYS, url, WH_KEY_WANTED, pool);
    wh_loop_create(&loop, no_finish, NULL, pool);

    f = wh_fetch_open(conf, loop, &wh_loop_services, pool);
    ok(until_file(f, fail, 1), "a failure is written down");
    is_int(wh_key_load(&e, dir, WH_KIND_KEYS, url, WH_KEY_FAILED, pool), APR_SUCCESS, "as one");
    ok(e.until - e.made >= 60 * SEC && !e.final && e.count == 1, "with the time the server asked for");
    a_while(f);
    is_int(srv.requests, 1, "and not tried again before");
    wh_fetch_close(f);
    f = wh_fetch_open(conf, loop, &wh_loop_services, pool);
    a_while(f);
    is_int(srv.requests, 1, "not by its successor either");
    wh_fetch_close(f);

    first = e.until - e.made;
    e.until = apr_time_now() - SEC;
    e.count = 4;
    wh_key_save(dir, WH_KEY_FAILED, &e, pool);
    serve(ACT_CLOSE, "HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n");
    /* the server has another port now: the same URL, at this one */
    url = apr_psprintf(pool, "http://127.0.0.1:%d/jwks", srv.port);
    words[2] = apr_psprintf(pool, "jwks=%s", url);
    v = scheme("jwt", words);
    conf = fetch_conf(v);
    key = wh_key_path(dir, WH_KIND_KEYS, url, WH_KEY_THERE, pool);
    fail = wh_key_path(dir, WH_KIND_KEYS, url, WH_KEY_FAILED, pool);
    want = wh_key_path(dir, WH_KIND_KEYS, url, WH_KEY_WANTED, pool);
    e.url = url;
    wh_key_save(dir, WH_KEY_FAILED, &e, pool);
    wh_key_want(dir, WH_KIND_KEYS, url, NULL, apr_time_now(), &fresh, pool);
    f = wh_fetch_open(conf, loop, &wh_loop_services, pool);
    for (i = 0; i < 3000 && wh_key_load(&e, dir, WH_KIND_KEYS, url, WH_KEY_FAILED, pool) == APR_SUCCESS && e.count < 5; i++) a_turn(f);
    is_int(wh_key_load(&e, dir, WH_KIND_KEYS, url, WH_KEY_FAILED, pool), APR_SUCCESS, "a configured set that is not there");
    ok(!e.final && e.count == 5 && e.until - e.made <= 300 * SEC && e.until - e.made > first, "is asked for again, ever more seldom");
    ok(until_file(f, want, 0), "the want has had its answer");
    wh_fetch_close(f);

    empty_dir();
    srv.act = ACT_CLOSE;
    srv.text = apr_psprintf(pool, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: %d\r\n\r\n%s", (int)strlen(JWKS("one")), JWKS("one"));
    f = wh_fetch_open(conf, loop, &wh_loop_services, pool);
    ok(until_file(f, key, 1), "a key set is fetched at start");
    is_int(wh_key_load(&e, dir, WH_KIND_KEYS, url, WH_KEY_THERE, pool), APR_SUCCESS, "and kept");
    is_int((e.refresh - e.made) / SEC, 240, "max-age has a lower bound");
    is_int((e.until - e.made) / SEC, 300 + 86400, "and a day's grace");
    ok(e.bytes.len == strlen(JWKS("one")) && !memcmp(e.bytes.data, JWKS("one"), e.bytes.len), "the bytes");
    before = srv.requests;
    wh_key_want(dir, WH_KIND_KEYS, url, NULL, apr_time_now(), &fresh, pool);
    ok(until_file(f, want, 0), "a want right after is taken away");
    a_while(f);
    is_int(srv.requests, before, "but not served");
    wh_fetch_close(f);
    e.made -= 120 * SEC;
    wh_key_save(dir, WH_KEY_THERE, &e, pool);
    f = wh_fetch_open(conf, loop, &wh_loop_services, pool);
    wh_key_want(dir, WH_KIND_KEYS, url, NULL, apr_time_now(), &fresh, pool);
    wh_fetch_wake(f);
    ok(until_file(f, want, 0), "two minutes later too");
    for (i = 0; i < 3000 && __atomic_load_n(&srv.requests, __ATOMIC_RELAXED) == before; i++) a_turn(f);
    is_int(srv.requests, before + 1, "and served");
    wh_fetch_close(f);

    /* wants that nobody may have */
    f = wh_fetch_open(conf, loop, &wh_loop_services, pool);
    wh_key_want(dir, WH_KIND_KEYS, "http://127.0.0.1:1/other", NULL, apr_time_now(), &fresh, pool);
    wh_key_want(dir, WH_KIND_CERTIFICATE, "https://sns.us-east-1.amazonaws.com/x.pem", NULL, apr_time_now(), &fresh, pool);
    wh_key_want(dir, WH_KIND_CONFIRM, url, NULL, apr_time_now(), &fresh, pool);
    said[0] = '\0';
    wh_fetch_wake(f);
    for (i = 0; i < 3000 && files(".want"); i++) a_turn(f);
    is_int(files(".want"), 0, "a want of no endpoint is dropped");
    ok(strstr(said, "WH0686"), "and that is said");
    is_int(srv.requests, before + 1, "nothing was fetched for it");
    wh_fetch_close(f);
    server_stop(&srv);
    wh_loop_destroy(loop);
    empty_dir();
}

static void test_judging(void)
{
    static const char *const words[] = { "header=Authorization", "algorithm=ES256", "jwks=" JWK_URL, NULL };
    static const char *const none[] = { NULL };
    static const struct { const char *text; int good; } table[] = {
        { JWKS("a"), 1 }, { "", 0 }, { "{", 0 }, { "[]", 0 }, { "{\"keys\":[]}", 0 }, { "{\"keys\":{}}", 0 }, { "null", 0 }, { "<html>", 0 },
        { "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}", 0 }, { "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", 0 },
        { "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0 } };
    webhook_verifier *v = scheme("jwt", words);
    apr_time_t until;
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        webhook_slice s = { table[i].text, strlen(table[i].text) };
        const char *err = wh_verifier_judge(v, WH_KIND_KEYS, JWK_URL, s, apr_time_now(), &until, pool);
        is_int(err == NULL, table[i].good, "\"%.40s\": %s", table[i].text, err ? err : "usable");
    }
    v = scheme("aws-sns", none);
    ok(wh_verifier_judge(v, WH_KIND_CERTIFICATE, "u", (webhook_slice){ "x", 1 }, apr_time_now(), &until, pool) != NULL, "no certificate");
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    apr_initialize();
    apr_pool_create(&pool, NULL);
    ok(mkdtemp(dir) != NULL && load_libssl(), "a directory");
    wh_log_set(sink, NULL, WH_LOG_INFO);
    test_files();
    test_wants();
    test_sweep();
    test_urls();
    test_ring();
    test_judging();
    test_fetcher();
    empty_dir();
    rmdir(dir);
    wh_log_set(NULL, NULL, 0);
    apr_pool_destroy(pool);
    return tap_done();
}
