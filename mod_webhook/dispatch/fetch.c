/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c: see fetch.h. Once a second, or when woken, the directory is looked at if it changed; at most FETCHES_OPEN exchanges are open,
 * and those that requests ask for are begun at a bounded rate, so that whoever can send requests cannot make this a flood.
 *
 *   fetched, usable              kept; the want goes
 *   answered, but no such key    final: remembered for an hour and longer each time, requests are refused meanwhile; the want goes
 *   no answer, 429, 5xx          remembered with back-off, requests are told to come again; the want stays
 */
#include "dispatch/fetch.h"

#include <apr_strings.h>
#include <string.h>
#include <sys/stat.h>

#include "core/log.h"
#include "core/units.h"
#include "dispatch/crash.h"

#define FETCHES_OPEN 4
#define LOOK_EVERY apr_time_from_sec(1)
#define SWEEP_EVERY apr_time_from_sec(3600)
#define BURST 16                           /* exchanges that requests may ask for at once; then one a second */
#define KEYS_AGAIN apr_time_from_sec(60)   /* between two fetches of a key set because a key was missing */
#define BACK_OFF_FIRST apr_time_from_sec(10)
#define BACK_OFF_MAX apr_time_from_sec(600)
#define KEYS_BACK_OFF_MAX apr_time_from_sec(300)
#define FINAL_FIRST apr_time_from_sec(3600)
#define FINAL_MAX apr_time_from_sec(86400)
#define CERTIFICATE_MAX (16 * 1024)
#define WANT_CERTIFICATE_FOR apr_time_from_sec(3600)   /* a request of then is not waiting any more */
#define WANT_CONFIRM_FOR apr_time_from_sec(3 * 86400)  /* SNS: a token is good for three days */

typedef struct job {
    wh_fetcher *f;
    struct job *next;
    wh_key_kind kind;
    const char *url;
    const char *about;
    apr_pool_t *pool;
    wh_http_get *get;
} job;

/* A key set of the configuration */
typedef struct key_set {
    const char *url;
    apr_time_t next; /* wall clock: fetch then */
    apr_time_t last; /* wall clock: fetched or tried */
} key_set;

struct wh_fetcher {
    const wh_fetch_conf *conf;
    webhook_loop *loop;
    const webhook_services *services;
    apr_pool_t *pool, *scratch;
    wh_http_client *client; /* made when first needed: a loop without transfers waits without libcurl */
    job *jobs;
    int open;
    apr_array_header_t *sets; /* key_set */
    int woken, again;
    struct timespec seen;     /* of the directory */
    apr_time_t look_at, sweep_at, filled_at; /* monotonic */
    int tokens;
};

/* ---- who may want what ---- */

static int allows(const wh_fetch_source *s, wh_key_kind kind, const char *url)
{
    switch (kind) {
    case WH_KIND_KEYS: return s->needs.keys && strcmp(s->needs.keys, url) == 0;
    case WH_KIND_CERTIFICATE: return s->needs.certificates && wh_key_url_allowed(url, s->needs.hosts, NULL);
    default: return s->needs.confirms && wh_key_url_allowed(url, s->needs.hosts, s->needs.confirm_path);
    }
}

static const wh_fetch_source *source_of(const wh_fetcher *f, wh_key_kind kind, const char *url)
{
    int i;

    for (i = 0; i < f->conf->sources->nelts; i++) {
        const wh_fetch_source *s = &APR_ARRAY_IDX(f->conf->sources, i, wh_fetch_source);
        if (allows(s, kind, url)) return s;
    }
    return NULL;
}

/* A URL may be several endpoints' with different algorithms: one that can use the bytes is enough. */
static const char *judge(const wh_fetcher *f, const job *j, webhook_slice bytes, apr_time_t now, apr_time_t *until)
{
    const char *err = "is wanted by no endpoint";
    int i;

    for (i = 0; i < f->conf->sources->nelts; i++) {
        const wh_fetch_source *s = &APR_ARRAY_IDX(f->conf->sources, i, wh_fetch_source);
        if (!allows(s, j->kind, j->url)) continue;
        if ((err = wh_verifier_judge(s->verifier, j->kind, j->url, bytes, now, until, j->pool)) == NULL) return NULL;
    }
    return err;
}

static key_set *set_of(wh_fetcher *f, const char *url)
{
    int i;

    for (i = 0; i < f->sets->nelts; i++) {
        key_set *set = &APR_ARRAY_IDX(f->sets, i, key_set);
        if (strcmp(set->url, url) == 0) return set;
    }
    return NULL;
}

static int is_open(const wh_fetcher *f, wh_key_kind kind, const char *url)
{
    const job *j;

    for (j = f->jobs; j; j = j->next) {
        if (j->kind == kind && strcmp(j->url, url) == 0) return 1;
    }
    return 0;
}

/* For messages: the path of a confirmation is a credential. */
static const char *shown(wh_key_kind kind, const char *url, apr_pool_t *p)
{
    return kind == WH_KIND_CONFIRM ? wh_key_url_masked(url, p) : url;
}

/* ---- how one ends ---- */

static void failed(wh_fetcher *f, const job *j, const char *reason, const char *detail, int final, apr_interval_time_t retry_after)
{
    wh_key_entry e = { .kind = j->kind, .url = j->url, .about = j->about, .reason = reason, .detail = detail }, before;
    apr_interval_time_t wait = final ? FINAL_FIRST : BACK_OFF_FIRST;
    apr_interval_time_t max = final ? FINAL_MAX : j->kind == WH_KIND_KEYS ? KEYS_BACK_OFF_MAX : BACK_OFF_MAX;
    apr_time_t now = apr_time_now();
    key_set *set = j->kind == WH_KIND_KEYS ? set_of(f, j->url) : NULL;
    apr_status_t rv;
    int i;

    /* The configuration's own key sets are tried for ever. */
    if (set && final) {
        final = 0;
        wait = BACK_OFF_FIRST;
        max = KEYS_BACK_OFF_MAX;
    }
    if (wh_key_load(&before, f->conf->dir, j->kind, j->url, WH_KEY_FAILED, j->pool) == APR_SUCCESS) e.count = before.count;
    for (i = 0; i < e.count && wait < max; i++) wait *= final ? 2 : 3;
    if (wait > max) wait = max;
    if (!final && retry_after > wait) wait = retry_after < FINAL_FIRST ? retry_after : FINAL_FIRST;
    e.count++;
    e.made = now;
    e.until = now + wait;
    e.final = final;
    if (set) {
        set->last = now;
        set->next = e.until;
    }
    /* Once per row of failures, for whoever must act; each one for whoever looks closer. */
    wh_log(final ? WH_LOG_NOTICE : e.count == 1 ? WH_LOG_WARNING : WH_LOG_INFO, 0, "WH0680: %s %s could not be fetched (%s: %s); %s %s%s",
           wh_key_kind_name(j->kind), shown(j->kind, j->url, j->pool), reason, detail, final ? "not tried again for" : "tried again after",
           wh_format_duration(wait - wait % APR_USEC_PER_SEC, j->pool), e.count > 1 ? apr_psprintf(j->pool, " (failure %d)", e.count) : "");
    if ((rv = wh_key_save(f->conf->dir, WH_KEY_FAILED, &e, j->pool)) != APR_SUCCESS) {
        wh_log(WH_LOG_ERROR, rv, "WH0681: the key cache %s cannot be written to", f->conf->dir);
        if (!set) wh_key_drop(f->conf->dir, j->kind, j->url, WH_KEY_WANTED, j->pool); /* or it would be fetched again and again */
    }
    if (final || set) wh_key_drop(f->conf->dir, j->kind, j->url, WH_KEY_WANTED, j->pool);
}

static void keep(wh_fetcher *f, const job *j, const wh_http_answer *a, apr_time_t now, apr_time_t until)
{
    wh_key_entry e = { .kind = j->kind, .url = j->url, .made = now, .until = until, .bytes = a->body };
    key_set *set = j->kind == WH_KIND_KEYS ? set_of(f, j->url) : NULL;
    apr_status_t rv;

    if (j->kind == WH_KIND_KEYS) {
        apr_interval_time_t age = a->max_age < 0 ? WH_KEYS_AGE_DEFAULT : apr_time_from_sec(a->max_age);
        if (age < WH_KEYS_AGE_MIN) age = WH_KEYS_AGE_MIN;
        if (age > WH_KEYS_AGE_MAX) age = WH_KEYS_AGE_MAX;
        e.refresh = now + age / 5 * 4;
        e.until = now + age + WH_KEYS_STALE;
    }
    WH_CRASH("before-key");
    if ((rv = wh_key_save(f->conf->dir, WH_KEY_THERE, &e, j->pool)) != APR_SUCCESS) {
        failed(f, j, "file-write", "the key cache cannot be written to", 0, 0);
        wh_log(WH_LOG_ERROR, rv, "WH0682: the key cache %s cannot be written to", f->conf->dir);
        return;
    }
    if (set) {
        set->last = now;
        set->next = e.refresh;
    }
    WH_CRASH("after-key");
    wh_key_drop(f->conf->dir, j->kind, j->url, WH_KEY_FAILED, j->pool);
    wh_key_drop(f->conf->dir, j->kind, j->url, WH_KEY_WANTED, j->pool);
    wh_log(WH_LOG_INFO, 0, "WH0683: %s %s was fetched from %s: %" APR_SIZE_T_FMT " bytes%s%s", wh_key_kind_name(j->kind), j->url, a->address,
           a->body.len, e.refresh ? ", again in " : "", e.refresh ? wh_format_duration(e.refresh - now, j->pool) : "");
}

static void judge_answer(wh_fetcher *f, const job *j, const wh_http_answer *a)
{
    apr_time_t now = apr_time_now(), until = 0;
    const char *err;

    if (a->failure) {
        failed(f, j, a->failure, a->detail, strcmp(a->failure, "too-large") == 0, 0);
    } else if (a->status >= 500 || a->status == 429 || a->status == 408 || a->status == 425) {
        failed(f, j, "http-status", apr_psprintf(j->pool, "status %d", a->status), 0, a->retry_after);
    } else if (j->kind == WH_KIND_CONFIRM ? a->status < 200 || a->status > 299 : a->status != 200) {
        failed(f, j, "http-status", apr_psprintf(j->pool, a->status >= 300 && a->status < 400 ? "status %d, and redirects are not followed"
                                                                                               : "status %d", a->status), 1, 0);
    } else if (j->kind == WH_KIND_CONFIRM) {
        wh_key_drop(f->conf->dir, j->kind, j->url, WH_KEY_FAILED, j->pool);
        wh_key_drop(f->conf->dir, j->kind, j->url, WH_KEY_WANTED, j->pool);
        wh_log(WH_LOG_NOTICE, 0, "WH0684: the confirmation at %s was visited%s%s", wh_key_url_masked(j->url, j->pool), j->about ? " for " : "",
               j->about ? j->about : "");
    } else if ((err = judge(f, j, a->body, now, &until)) != NULL) {
        failed(f, j, "unusable", apr_pstrcat(j->pool, "what came ", err, NULL), 1, 0);
    } else {
        keep(f, j, a, now, until);
    }
}

static void unlink_job(wh_fetcher *f, job *j)
{
    job **at;

    for (at = &f->jobs; *at != j; at = &(*at)->next) {}
    *at = j->next;
    f->open--;
    f->woken = 1; /* others may have waited for the place */
}

static void exchange_done(void *baton, const wh_http_answer *answer)
{
    job *j = baton;
    wh_fetcher *f = j->f;

    judge_answer(f, j, answer);
    unlink_job(f, j);
    apr_pool_destroy(j->pool);
}

/* ---- beginning ---- */

static void begin(wh_fetcher *f, wh_key_kind kind, const char *url, const char *about)
{
    apr_pool_t *pool;
    job *j;

    if (!f->client) f->client = wh_http_client_create(&f->conf->http, f->services->curl_multi(f->loop), f->pool);
    if (apr_pool_create(&pool, f->pool) != APR_SUCCESS) return;
    j = apr_pcalloc(pool, sizeof(*j));
    j->f = f;
    j->pool = pool;
    j->kind = kind;
    j->url = apr_pstrdup(pool, url);
    j->about = about ? apr_pstrdup(pool, about) : NULL;
    j->get = f->client ? wh_http_begin(f->client, j->url, kind == WH_KIND_KEYS ? "application/jwk-set+json, application/json" : NULL,
                                       kind == WH_KIND_CERTIFICATE ? CERTIFICATE_MAX : WH_KEY_BYTES_MAX, exchange_done, j)
                       : NULL;
    if (!j->get) {
        failed(f, j, "transport", "the request could not be begun", 0, 0);
        apr_pool_destroy(pool);
        return;
    }
    if (wh_log_is(WH_LOG_TRACE2)) wh_log(WH_LOG_TRACE2, 0, "WH0685: fetching %s %s", wh_key_kind_name(kind), shown(kind, url, pool));
    j->next = f->jobs;
    f->jobs = j;
    f->open++;
    WH_CRASH("fetching");
}

static int take_token(wh_fetcher *f)
{
    apr_time_t now = wh_monotonic();
    apr_int64_t more = apr_time_sec(now - f->filled_at);

    if (more > 0) {
        f->tokens = f->tokens + more > BURST ? BURST : f->tokens + (int)more;
        f->filled_at = now;
    }
    if (f->tokens <= 0) return 0;
    f->tokens--;
    return 1;
}

/* A want of the directory. @return 1 when it has to be looked at again without a change there */
static int want(wh_fetcher *f, const wh_key_entry *e, apr_time_t now)
{
    wh_key_entry failure;
    key_set *set;

    if (!source_of(f, e->kind, e->url)) {
        wh_log(WH_LOG_NOTICE, 0, "WH0686: %s %s is wanted, but by no endpoint of this configuration", wh_key_kind_name(e->kind),
               shown(e->kind, e->url, f->scratch));
        wh_key_drop(f->conf->dir, e->kind, e->url, WH_KEY_WANTED, f->scratch);
        return 0;
    }
    if (is_open(f, e->kind, e->url)) return 1;
    if (e->kind == WH_KIND_KEYS) {
        set = set_of(f, e->url);
        if (now >= set->last && now - set->last < KEYS_AGAIN) wh_key_drop(f->conf->dir, e->kind, e->url, WH_KEY_WANTED, f->scratch);
        else set->next = now; /* the want goes when it was tried */
        return 1;
    }
    if (now - e->made > (e->kind == WH_KIND_CONFIRM ? WANT_CONFIRM_FOR : WANT_CERTIFICATE_FOR)) {
        wh_log(WH_LOG_WARNING, 0, "WH0687: %s %s is given up", wh_key_kind_name(e->kind), shown(e->kind, e->url, f->scratch));
        wh_key_drop(f->conf->dir, e->kind, e->url, WH_KEY_WANTED, f->scratch);
        return 0;
    }
    if (wh_key_load(&failure, f->conf->dir, e->kind, e->url, WH_KEY_FAILED, f->scratch) == APR_SUCCESS && now < failure.until) {
        if (failure.final) wh_key_drop(f->conf->dir, e->kind, e->url, WH_KEY_WANTED, f->scratch);
        return !failure.final;
    }
    if (f->open < FETCHES_OPEN && take_token(f)) begin(f, e->kind, e->url, e->about);
    return 1;
}

static void look(wh_fetcher *f, apr_time_t now)
{
    apr_array_header_t *wants;
    struct stat st;
    int i;

    if (stat(f->conf->dir, &st) != 0) memset(&st, 0, sizeof(st));
    if (!f->again && st.st_mtim.tv_sec == f->seen.tv_sec && st.st_mtim.tv_nsec == f->seen.tv_nsec) return;
    f->seen = st.st_mtim;
    /* A change so lately that a further one could look the same */
    f->again = apr_time_from_sec(st.st_mtim.tv_sec) > now - 2 * LOOK_EVERY;
    wants = apr_array_make(f->scratch, 8, sizeof(wh_key_entry *));
    wh_key_list(f->conf->dir, WH_KEY_WANTED, 2 * WH_KEY_WANTS_MAX, wants, f->scratch);
    for (i = 0; i < wants->nelts; i++) f->again |= want(f, APR_ARRAY_IDX(wants, i, const wh_key_entry *), now);
}

void wh_fetch_turn(wh_fetcher *f)
{
    apr_time_t mono = wh_monotonic(), now;
    int i;

    if (!f->woken && mono < f->look_at) return;
    f->woken = 0;
    f->look_at = mono + LOOK_EVERY;
    now = apr_time_now();
    if (mono >= f->sweep_at) {
        f->sweep_at = mono + SWEEP_EVERY;
        wh_key_sweep(f->conf->dir, now, f->scratch);
    }
    look(f, now);
    for (i = 0; i < f->sets->nelts; i++) {
        key_set *set = &APR_ARRAY_IDX(f->sets, i, key_set);
        /* further away than it can have been set: the clock was */
        if (set->next > now + WH_KEYS_AGE_MAX) set->next = now;
        if (now >= set->next && f->open < FETCHES_OPEN && !is_open(f, WH_KIND_KEYS, set->url)) begin(f, WH_KIND_KEYS, set->url, NULL);
    }
    apr_pool_clear(f->scratch);
}

void wh_fetch_wake(wh_fetcher *f)
{
    f->woken = 1;
}

apr_interval_time_t wh_fetch_wait(const wh_fetcher *f)
{
    apr_time_t now = wh_monotonic();

    return f->woken || f->look_at <= now ? 0 : f->look_at - now;
}

/* ---- life ---- */

static void add_set(wh_fetcher *f, const char *url)
{
    wh_key_entry e;
    key_set *set;

    if (!url || set_of(f, url)) return;
    set = apr_array_push(f->sets);
    memset(set, 0, sizeof(*set));
    set->url = url;
    if (wh_key_load(&e, f->conf->dir, WH_KIND_KEYS, url, WH_KEY_THERE, f->scratch) == APR_SUCCESS) {
        set->next = e.refresh;
        set->last = e.made;
    }
    if (wh_key_load(&e, f->conf->dir, WH_KIND_KEYS, url, WH_KEY_FAILED, f->scratch) == APR_SUCCESS) {
        set->last = e.made;
        if (e.until > set->next) set->next = e.until;
    }
}

wh_fetcher *wh_fetch_open(const wh_fetch_conf *conf, webhook_loop *loop, const webhook_services *services, apr_pool_t *p)
{
    wh_fetcher *f = apr_pcalloc(p, sizeof(*f));
    int i;

    f->conf = conf;
    f->loop = loop;
    f->services = services;
    apr_pool_create(&f->pool, p);
    apr_pool_create(&f->scratch, f->pool);
    f->sets = apr_array_make(f->pool, 4, sizeof(key_set));
    f->tokens = BURST;
    f->filled_at = wh_monotonic();
    f->woken = f->again = 1;
    for (i = 0; i < conf->sources->nelts; i++) add_set(f, APR_ARRAY_IDX(conf->sources, i, wh_fetch_source).needs.keys);
    apr_pool_clear(f->scratch);
    return f;
}

void wh_fetch_close(wh_fetcher *f)
{
    if (f->client) wh_http_client_destroy(f->client);
    f->client = NULL;
    f->jobs = NULL;
    apr_pool_destroy(f->pool);
}
