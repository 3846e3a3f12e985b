/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c: keys that live elsewhere, seen from the configuration: how to fetch (WebhookFetch), for whom (the schemes that need it), and
 * where the cache of them is: the directory "keys" beside the store, which the server's user makes and owns.
 */
#include "httpd/fetch.h"

#include "apr_strings.h"
#include "http_core.h"
#include "http_log.h"
#include "unixd.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/options.h"
#include "core/units.h"
#include "httpd/directives.h"
#include "httpd/request.h"
#include "store/files.h"
#include "verify/key_cache.h"

APLOG_USE_MODULE(webhook);

typedef struct words {
    const char *dir, *ca;
    apr_array_header_t *resolve, *allow;
    apr_interval_time_t timeout, connect_timeout;
    apr_int64_t size;
    int plain;
} words;

#define O(name, type, member, min, max) { name, type, offsetof(words, member), min, max, NULL }
static const wh_option_spec specs[] = {
    O("dir", WH_OPT_STRING, dir, 0, 0),
    O("ca", WH_OPT_STRING, ca, 0, 0),
    O("resolve", WH_OPT_LIST, resolve, 0, 0),
    O("allow", WH_OPT_LIST, allow, 0, 0),
    O("timeout", WH_OPT_DURATION, timeout, APR_USEC_PER_SEC / 10, apr_time_from_sec(300)),
    O("connect-timeout", WH_OPT_DURATION, connect_timeout, APR_USEC_PER_SEC / 10, apr_time_from_sec(300)),
    O("size", WH_OPT_SIZE, size, 1024, WH_KEY_BYTES_MAX),
    O("plain", WH_OPT_BOOL, plain, 0, 0),
    { NULL, WH_OPT_STRING, 0, 0, 0, NULL },
};
#undef O

static const char *set_lists(wh_http_conf *http, const words *w, apr_pool_t *p)
{
    apr_array_header_t *ranges;
    const char *err;
    int i;

    http->resolve = w->resolve;
    for (i = 0; w->resolve && i < w->resolve->nelts; i++) {
        if ((err = wh_http_resolve_parse(&APR_ARRAY_IDX(w->resolve, i, const char *), APR_ARRAY_IDX(w->resolve, i, const char *), p)) != NULL) {
            return apr_pstrcat(p, WH_D_FETCH ": resolve: ", err, NULL);
        }
    }
    if (!w->allow) {
        return NULL;
    }
    ranges = apr_array_make(p, w->allow->nelts, sizeof(wh_range));
    for (i = 0; i < w->allow->nelts; i++) {
        if ((err = wh_range_parse(apr_array_push(ranges), APR_ARRAY_IDX(w->allow, i, const char *), p)) != NULL) {
            return apr_pstrcat(p, WH_D_FETCH ": allow: ", err, NULL);
        }
    }
    http->allow = ranges;
    return NULL;
}

const char *wh_set_fetch(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    wh_global *g = wh_conf_global(cmd->server);
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_array_header_t *options = NULL;
    words w = { .timeout = WH_HTTP_TIMEOUT, .connect_timeout = WH_HTTP_CONNECT_TIMEOUT, .size = WH_KEY_BYTES_MAX };
    wh_http_conf *http = &g->fetch.http;

    (void)mconfig;
    if (err) {
        return err;
    }
    if (g->fetch_set) {
        return WH_D_FETCH " is given twice: it is one for all endpoints";
    }
    if (argc < 1) {
        return WH_D_FETCH " takes options: dir=, ca=, resolve=, allow=, timeout=, connect-timeout=, size=, plain=";
    }
    g->fetch_set = 1;
    if ((err = wh_cmd_options(cmd, &options, argc, argv)) != NULL
        || (err = wh_options_apply(&w, specs, options, WH_D_FETCH, cmd->pool)) != NULL
        || (err = set_lists(http, &w, cmd->pool)) != NULL) {
        return err;
    }
    if (w.dir) {
        g->fetch.dir = ap_server_root_relative(cmd->pool, w.dir);
    }
    if (w.ca) {
        http->ca = ap_server_root_relative(cmd->pool, w.ca);
        if ((err = wh_http_ca_check(http->ca)) != NULL) {
            return apr_pstrcat(cmd->pool, WH_D_FETCH ": ca: ", http->ca, " ", err, NULL);
        }
    }
    if (w.plain && !http->allow) {
        return WH_D_FETCH ": plain=on fetches over http:// from addresses in allow= alone, and there is none";
    }
    http->timeout = w.timeout;
    http->connect_timeout = w.connect_timeout;
    http->size = w.size;
    http->plain = w.plain;
    return NULL;
}

const char *wh_fetch_add(wh_global *g, const wh_auth *auth, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    wh_fetch_source *source;
    wh_fetch_needs needs;
    const char *err;

    if (!wh_verifier_needs(auth->provider, auth->verifier, &needs)) {
        return NULL;
    }
    if (needs.certificates == 2 && auth->secrets->nelts) {
        needs.certificates = 0;
    }
    if (needs.keys && (err = wh_http_url_check(needs.keys, g->fetch.http.plain)) != NULL) {
        return apr_psprintf(ptemp, "jwks=%s %s%s", needs.keys, err,
                            strncmp(needs.keys, "http://", 7) ? "" : " (" WH_D_FETCH " plain=on allow=ADDRESS takes that too)");
    }
    if (!needs.keys && !needs.certificates && !needs.confirms) {
        return NULL;
    }
    if (!g->fetch.sources) {
        g->fetch.sources = apr_array_make(pconf, 4, sizeof(wh_fetch_source));
    }
    source = apr_array_push(g->fetch.sources);
    source->endpoint = auth->name;
    source->verifier = auth->verifier;
    source->needs = needs;
    return NULL;
}

int wh_fetch_needed(const wh_global *g)
{
    return g->fetch.sources && g->fetch.sources->nelts;
}

void wh_fetch_locate(wh_global *g, apr_pool_t *pconf)
{
    const char *facts, *path, *end;

    if (!g->fetch.http.timeout) { /* no WebhookFetch */
        g->fetch.http.timeout = WH_HTTP_TIMEOUT;
        g->fetch.http.connect_timeout = WH_HTTP_CONNECT_TIMEOUT;
        g->fetch.http.size = WH_KEY_BYTES_MAX;
    }
    if (g->fetch.dir) {
        return;
    }
    g->fetch.dir = WH_STATE_DIR "/keys";
    facts = g->store && g->store->describe ? g->store->describe(g->store_conf, pconf) : NULL;
    if (facts && !strncmp(facts, "path=/", 6)) {
        path = facts + 5;
        end = path + strcspn(path, "\n");
        while (end > path && end[-1] != '/') {
            end--;
        }
        g->fetch.dir = apr_pstrcat(pconf, apr_pstrmemdup(pconf, path, (apr_size_t)(end - path)), "keys", NULL);
    }
}

/* ---- the directory ---- */

/* With the parents that are missing. Runs as the server's user, so no link planted by that user leads where it could not go itself. */
static apr_status_t make_directory(void *baton, webhook_result *res)
{
    static const char *const none[] = { NULL };
    const char *dir = baton, *err;
    struct stat st;
    apr_pool_t *p;

    if (apr_pool_create(&p, NULL) != APR_SUCCESS) {
        return APR_ENOMEM;
    }
    errno = 0;
    err = wh_files_prepare(dir, none, -1, -1, p);
    if (!err && (lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) || access(dir, W_OK) != 0)) {
        err = "it must be a directory of the server's user alone (mode 0700)";
    }
    if (err) {
        res->rv = APR_EACCES;
        res->reason = "store-failed";
        res->detail = err;
        return APR_EACCES;
    }
    apr_pool_destroy(p);
    return APR_SUCCESS;
}

void wh_fetch_prepare(wh_global *g, apr_pool_t *ptemp)
{
    static const char *const none[] = { NULL };
    int uid = geteuid() == 0 ? (int)ap_unixd_config.user_id : -1, gid = geteuid() == 0 ? (int)ap_unixd_config.group_id : -1;
    union { const char *in; void *out; } dir = { g->fetch.dir };
    webhook_result res = {0};
    struct stat st;

    wh_key_cache_use(NULL, NULL);
    if (!wh_fetch_needed(g)) {
        return;
    }
    if (wh_files_as(uid, gid, make_directory, dir.out, ptemp, &res) != APR_SUCCESS && uid > 0 && lstat(g->fetch.dir, &st) != 0) {
        /* Where that user may make nothing, nobody but root has put anything either. */
        const char *err = wh_files_prepare(g->fetch.dir, none, uid, gid, ptemp);
        memset(&res, 0, sizeof(res));
        if (err) {
            res.rv = APR_EACCES;
            res.detail = err;
        }
        else {
            wh_files_as(uid, gid, make_directory, dir.out, ptemp, &res);
        }
    }
    if (res.rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, res.rv, g->main_server,
                     "WH0417: the key cache %s cannot be used: %s; endpoints that need it answer 503 until this is mended", g->fetch.dir,
                     res.detail ? res.detail : "no detail");
        return;
    }
    wh_key_cache_use(g->fetch.dir, wh_daemon_wake);
}

/* ---- the dump ---- */

static void put_list(wh_buf *b, const char *name, const char *const *list, int count)
{
    int i;

    wh_json_put_name(b, name);
    wh_buf_adds(b, "[");
    for (i = 0; list && i < count && list[i]; i++) {
        wh_buf_adds(b, i ? "," : "");
        wh_json_put_string(b, list[i], strlen(list[i]));
    }
    wh_buf_adds(b, "]");
}

static void put_source(wh_buf *b, const wh_global *g, const wh_fetch_source *s)
{
    wh_key_entry e;

    wh_buf_adds(b, "{");
    wh_json_put_member(b, "endpoint", s->endpoint);
    if (s->needs.keys) {
        wh_json_put_member(b, "keys", s->needs.keys);
        /* whoever may look into the cache also sees how it is */
        if (wh_key_load(&e, g->fetch.dir, WH_KIND_KEYS, s->needs.keys, WH_KEY_THERE, b->pool) == APR_SUCCESS) {
            wh_json_put_member_time(b, "fetched", e.made);
            wh_json_put_member_time(b, "until", e.until);
        }
        if (wh_key_load(&e, g->fetch.dir, WH_KIND_KEYS, s->needs.keys, WH_KEY_FAILED, b->pool) == APR_SUCCESS) {
            wh_json_put_member(b, "failure", e.reason);
            wh_json_put_member_int(b, "failures", e.count);
        }
    }
    wh_json_put_member_bool(b, "certificates", s->needs.certificates != 0);
    wh_json_put_member_bool(b, "confirms", s->needs.confirms);
    if (s->needs.hosts) {
        put_list(b, "hosts", s->needs.hosts, 1000);
    }
    wh_buf_adds(b, "}");
}

void wh_fetch_dump(wh_buf *b, const wh_global *g)
{
    const wh_http_conf *http = &g->fetch.http;
    char text[WH_ADDRESS_TEXT];
    int i;

    if (!wh_fetch_needed(g)) {
        return;
    }
    wh_json_put_name(b, "fetch");
    wh_buf_adds(b, "{");
    wh_json_put_member(b, "dir", g->fetch.dir);
    wh_json_put_member(b, "ca", http->ca);
    wh_json_put_member(b, "timeout", wh_format_duration(http->timeout, b->pool));
    wh_json_put_member(b, "connect_timeout", wh_format_duration(http->connect_timeout, b->pool));
    wh_json_put_member_int(b, "size", http->size);
    wh_json_put_member_bool(b, "plain", http->plain);
    put_list(b, "resolve", http->resolve ? (const char *const *)(const void *)http->resolve->elts : NULL,
             http->resolve ? http->resolve->nelts : 0);
    wh_json_put_name(b, "allow");
    wh_buf_adds(b, "[");
    for (i = 0; http->allow && i < http->allow->nelts; i++) {
        const wh_range *range = &APR_ARRAY_IDX(http->allow, i, wh_range);
        const char *word;
        wh_address_format(text, &range->net);
        word = apr_psprintf(b->pool, "%s/%d", text, range->prefix);
        wh_buf_adds(b, i ? "," : "");
        wh_json_put_string(b, word, strlen(word));
    }
    wh_buf_adds(b, "]");
    wh_json_put_name(b, "sources");
    wh_buf_adds(b, "[");
    for (i = 0; i < g->fetch.sources->nelts; i++) {
        wh_buf_adds(b, i ? "," : "");
        put_source(b, g, &APR_ARRAY_IDX(g->fetch.sources, i, wh_fetch_source));
    }
    wh_buf_adds(b, "]}");
}
