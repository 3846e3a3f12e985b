/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump.c: httpd -t -D DUMP_WEBHOOK: the effective configuration on standard output as one JSON object on one line. webhookctl reads it,
 * so members are added and never change meaning.
 *
 *   {"webhook":1,"module":"0.2.0","server_root":"/etc/apache2","user":"www-data",
 *    "store":{"text":"sqlite:/var/lib/webhook/queue.db","options":["done=7d"],"facts":["path=...",...]},   (absent: WebhookStore none)
 *    "log":{"target":"/var/log/x.jsonl","headers":false,"body":0},                                         (absent: none)
 *    "counters":"/run/...","drain_timeout":"1h",
 *    "fetch":{"dir":"/var/lib/webhook/keys","ca":"...","timeout":"10s","connect_timeout":"5s","size":61440,"plain":false,"resolve":[...],
 *             "allow":[...],"sources":[{"endpoint":"x","keys":"https://...","fetched":"...","until":"...","failure":"tls","failures":1,
 *             "certificates":false,"confirms":false,"hosts":[...]}]},                                      (absent: nothing is fetched)
 *    "endpoints":[one for each place, see put_endpoint()],
 *    "handlers":[{"name":"billing","type":"upstream","target":"https://...","facts":[...],"concurrency":4,"timeout":"30s","capture":65536,
 *                 "retry":{"first":"10s","factor":300,"cap":"6h","within":"3d"},"file":"...","line":12}]}
 *
 * No secret is in it, and no file of one was read for it: any user who can read the configuration can have it.
 */
#include "httpd/daemon.h"
#include "httpd/directives.h"
#include "httpd/fetch.h"

#include "ap_listen.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_main.h"
#include "unixd.h"

#include <string.h>

#include "core/json.h"
#include "core/units.h"
#include "validate/inflate.h"

static void comma(wh_buf *b)
{
    char last = b->len ? b->data[b->len - 1] : '[';
    if (last != '[' && last != '{') {
        wh_buf_add(b, ",", 1);
    }
}

static void put_word(wh_buf *b, const char *text)
{
    comma(b);
    wh_json_put_string(b, text, strlen(text));
}

static void put_words(wh_buf *b, const char *name, const apr_array_header_t *words)
{
    int i;

    if (!words) {
        return;
    }
    wh_json_put_name(b, name);
    wh_buf_adds(b, "[");
    for (i = 0; i < words->nelts; i++) {
        put_word(b, APR_ARRAY_IDX(words, i, const char *));
    }
    wh_buf_adds(b, "]");
}

static void put_list(wh_buf *b, const char *name, const char *const *words)
{
    wh_json_put_name(b, name);
    wh_buf_adds(b, "[");
    for (; words && *words; words++) {
        put_word(b, *words);
    }
    wh_buf_adds(b, "]");
}

static void put_options(wh_buf *b, const apr_array_header_t *options)
{
    int i;

    wh_json_put_name(b, "options");
    wh_buf_adds(b, "[");
    for (i = 0; options && i < options->nelts; i++) {
        const webhook_option *o = &APR_ARRAY_IDX(options, i, webhook_option);
        put_word(b, apr_pstrcat(b->pool, o->name, "=", wh_cmd_is_sensitive(o->name) ? "***" : o->value, NULL));
    }
    wh_buf_adds(b, "]");
}

/* What a provider says of itself: name=value, one a line or several on one. */
static void put_facts(wh_buf *b, const char *facts)
{
    char *state, *word = apr_strtok(apr_pstrdup(b->pool, facts), "\n", &state);

    wh_json_put_name(b, "facts");
    wh_buf_adds(b, "[");
    for (; word; word = apr_strtok(NULL, "\n", &state)) {
        put_word(b, word);
    }
    wh_buf_adds(b, "]");
}

static void put_member_duration(wh_buf *b, const char *name, apr_interval_time_t t)
{
    wh_json_put_member(b, name, wh_format_duration(t, b->pool));
}

/* ---- where an endpoint is reached ---- */

static void put_url(wh_buf *b, const server_rec *s, apr_port_t port, const char *path)
{
    int https = port == 443 || (s->server_scheme && !strcmp(s->server_scheme, "https"));
    const char *protocol = ap_get_server_protocol((server_rec *)s), *host = s->server_hostname ? s->server_hostname : "localhost";

    https |= protocol && !strcmp(protocol, "https");
    if (strchr(host, ':')) {
        host = apr_pstrcat(b->pool, "[", host, "]", NULL);
    }
    if (!port || port == (https ? 443 : 80)) {
        put_word(b, apr_pstrcat(b->pool, https ? "https://" : "http://", host, path, NULL));
    }
    else {
        put_word(b, apr_psprintf(b->pool, "%s://%s:%d%s", https ? "https" : "http", host, (int)port, path));
    }
}

static void put_server_urls(wh_buf *b, const server_rec *s, const char *path)
{
    const server_addr_rec *a, *before;
    const ap_listen_rec *l, *seen;

    if (s->port) {
        put_url(b, s, s->port, path); /* ServerName says how it wants to be called */
        return;
    }
    if (s->is_virtual) {
        for (a = s->addrs; a; a = a->next) {
            /* "*" is one address for each family */
            for (before = s->addrs; before != a && before->host_port != a->host_port; before = before->next) {
                continue;
            }
            if (a->host_port && before == a) {
                put_url(b, s, a->host_port, path);
            }
        }
        if (s->addrs && s->addrs->host_port) {
            return;
        }
    }
    for (l = ap_listeners; l; l = l->next) {
        for (seen = ap_listeners; seen != l && seen->bind_addr->port != l->bind_addr->port; seen = seen->next) {
            continue;
        }
        if (seen == l) {
            put_url(b, s, l->bind_addr->port, path);
        }
    }
}

/* A guess: httpd does not know its own outside. Places of the main server are those of its virtual hosts too. */
static void put_urls(wh_buf *b, const wh_section *section)
{
    const char *path = section->container ? section->conf->path : "/";
    const server_rec *s;

    wh_json_put_name(b, "urls");
    wh_buf_adds(b, "[");
    if (path && *path == '/' && (!section->container || !ap_cstr_casecmp(section->directive, "<Location"))) {
        put_server_urls(b, section->server, path);
        for (s = section->server->is_virtual ? NULL : section->server->next; s; s = s->next) {
            put_server_urls(b, s, path);
        }
    }
    wh_buf_adds(b, "]");
}

/* ---- the parts ---- */

static void put_secrets(wh_buf *b, const wh_auth *auth)
{
    int i;

    wh_json_put_name(b, "secrets");
    wh_buf_adds(b, "[");
    for (i = 0; i < auth->secrets->nelts; i++) {
        const wh_secret_spec *spec = APR_ARRAY_IDX(auth->secrets, i, wh_secret_spec *);
        comma(b);
        wh_buf_adds(b, "{");
        wh_json_put_member(b, "id", spec->id);
        /* arguments of a program may be secret */
        wh_json_put_member(b, "spec", strncmp(spec->spec, "exec:", 5) ? spec->spec
                                                                      : apr_pstrmemdup(b->pool, spec->spec, strcspn(spec->spec, " \t")));
        if (spec->from) {
            wh_json_put_member_time(b, "from", spec->from);
        }
        if (spec->until) {
            wh_json_put_member_time(b, "until", spec->until);
        }
        wh_buf_adds(b, "}");
    }
    wh_buf_adds(b, "]");
}

void wh_dump_rule(wh_buf *b, const wh_rule *rule)
{
    wh_json_put_member(b, "handler", rule->handler);
    wh_json_put_member(b, "expr", rule->expr_text);
    if (rule->otherwise) {
        wh_json_put_member_bool(b, "default", 1);
    }
    wh_json_put_member(b, "file", rule->file);
    wh_json_put_member_int(b, "line", rule->line);
}

static void put_rules(wh_buf *b, const char *name, const apr_array_header_t *rules)
{
    int i;

    wh_json_put_name(b, name);
    wh_buf_adds(b, "[");
    for (i = 0; rules && i < rules->nelts; i++) {
        const wh_rule *rule = APR_ARRAY_IDX(rules, i, wh_rule *);
        comma(b);
        wh_buf_adds(b, "{");
        wh_dump_rule(b, rule);
        wh_buf_adds(b, "}");
    }
    wh_buf_adds(b, "]");
}

/* What a body may be and what it means; members that say nothing are left out. */
static void put_payload(wh_buf *b, const wh_dir_conf *c)
{
    const char *field = wh_conf_payload_field(c);
    const wh_decoding *d = c->decode;
    int i;

    if (field && *field) {
        wh_json_put_member(b, "payload_field", field);
    }
    if (d && d->codings) {
        wh_json_put_name(b, "decode");
        wh_buf_adds(b, "{");
        wh_json_put_name(b, "codings");
        wh_buf_adds(b, "[");
        if (d->codings & WH_CODING_GZIP) {
            put_word(b, "gzip");
        }
        if (d->codings & WH_CODING_DEFLATE) {
            put_word(b, "deflate");
        }
        wh_buf_adds(b, "]");
        wh_json_put_member(b, "hmac", wh_conf_signs_decoded(c) ? "decoded" : "wire");
        wh_json_put_member_int(b, "limit", wh_conf_decoded_limit(c));
        wh_json_put_member_int(b, "ratio", d->ratio);
        wh_buf_adds(b, "}");
    }
    if (c->validate && c->validate->nelts) {
        wh_json_put_name(b, "validate");
        wh_buf_adds(b, "[");
        for (i = 0; i < c->validate->nelts; i++) {
            put_word(b, APR_ARRAY_IDX(c->validate, i, const wh_validation *)->text);
        }
        wh_buf_adds(b, "]");
    }
}

/*
 * {"name":"github","path":"/hooks/github","section":"Location","server":"www.example.org","virtual":true,"urls":[...],"file":"...","line":3,
 *  "scheme":"github","options":[...],"secrets":[{"id":"1","spec":"file:/..."}],"gate":false,"enforce":true,
 *  "require_tls":false,"tls_proxies":["192.0.2.1"],
 *  "drops":[{"expr":"...","file":"...","line":4}],"rules":[{"handler":"...","expr":"...","default":true,"file":"...","line":5}],"route":"all",
 *  "methods":["POST"],"content_types":[...],"payload_field":"payload",
 *  "decode":{"codings":["gzip"],"hmac":"wire","limit":1048576,"ratio":100},"validate":["json schema=push.json event=push"],
 *  "body_limit":1048576,"body_memory":65536,"body_timeout":"20s","answer":{"status":202},"duplicates":"answer",
 *  "window":"1d"}
 */
static void put_endpoint(wh_buf *b, const wh_section *section)
{
    static const char *const routes[] = { "all", "first" };
    static const char *const duplicates[] = { "answer", "reject", "off" };
    const wh_dir_conf *c = section->effective;
    const wh_auth *auth = c->auth;
    const webhook_scheme_traits *traits = auth->traits;
    int how = c->duplicates == WH_UNSET ? WH_DUPLICATES_ANSWER : c->duplicates;

    comma(b);
    wh_buf_adds(b, "{");
    wh_json_put_member(b, "name", auth->name);
    wh_json_put_member(b, "path", section->conf->path);
    wh_json_put_member(b, "section", section->directive ? section->directive + 1 : "server");
    wh_json_put_member(b, "server", section->server->server_hostname);
    wh_json_put_member_bool(b, "virtual", section->server->is_virtual);
    put_urls(b, section);
    wh_json_put_member(b, "file", section->conf->file);
    wh_json_put_member_int(b, "line", section->conf->line);
    wh_json_put_member(b, "scheme", auth->scheme);
    put_options(b, auth->options);
    put_secrets(b, auth);
    wh_json_put_member_bool(b, "gate", c->gate == 1);
    wh_json_put_member_bool(b, "enforce", wh_conf_enforces(c));
    wh_json_put_member_bool(b, "require_tls", c->tls && c->tls->required);
    if (c->tls && c->tls->proxies) {
        put_words(b, "tls_proxies", c->tls->proxy_texts);
    }
    put_rules(b, "drops", c->drops);
    put_rules(b, "rules", c->rules);
    wh_json_put_member(b, "route", routes[c->route == WH_ROUTE_FIRST]);
    put_list(b, "methods", wh_conf_methods(c));
    put_list(b, "content_types", wh_conf_content_types(c));
    put_payload(b, c);
    wh_json_put_member_int(b, "body_limit", wh_conf_body_limit(c));
    wh_json_put_member_int(b, "body_memory", (apr_int64_t)wh_conf_body_memory(wh_conf_server(section->server)));
    put_member_duration(b, "body_timeout", wh_conf_body_timeout(c));
    wh_json_put_name(b, "answer");
    wh_buf_adds(b, "{");
    wh_json_put_member_int(b, "status", wh_conf_answer_status(c));
    if (c->answer) {
        wh_json_put_member(b, "content_type", c->answer->content_type);
    }
    wh_json_put_member(b, "body", c->answer && c->answer->body ? c->answer->body : traits->success_body);
    wh_buf_adds(b, "}");
    wh_json_put_member(b, "duplicates", duplicates[how]);
    if (how != WH_DUPLICATES_OFF) {
        put_member_duration(b, "window", wh_conf_window(c));
    }
    wh_buf_adds(b, "}");
}

/* Every place with an endpoint, and definitions that no place uses. */
static void put_endpoints(wh_buf *b, const wh_global *g)
{
    int i, n, used;

    wh_json_put_name(b, "endpoints");
    wh_buf_adds(b, "[");
    for (i = 0; i < g->sections->nelts; i++) {
        const wh_section *section = APR_ARRAY_IDX(g->sections, i, wh_section *);
        used = section->effective->auth == NULL;
        if (section->directive && !strcmp(section->directive, WH_D_ENDPOINT)) {
            for (n = 0; n < g->sections->nelts && !used; n++) {
                used = APR_ARRAY_IDX(g->sections, n, wh_section *)->conf->used == section->conf;
            }
        }
        if (!used) {
            put_endpoint(b, section);
        }
    }
    wh_buf_adds(b, "]");
}

/* A URL may hold a password, and a token in its query. */
static const char *shown_target(const char *target, apr_pool_t *p)
{
    const char *host = strstr(target, "://"), *query, *at;

    if (!host) {
        return target;
    }
    if ((query = strchr(host, '?')) != NULL) {
        target = apr_pstrcat(p, apr_pstrmemdup(p, target, (apr_size_t)(query - target)), "?...", NULL);
        host = strstr(target, "://");
    }
    host += 3;
    at = memchr(host, '@', strcspn(host, "/?#"));
    return at ? apr_pstrcat(p, apr_pstrmemdup(p, target, (apr_size_t)(host - target)), "***", at, NULL) : target;
}

static void put_handlers(wh_buf *b, const wh_global *g)
{
    int i;

    wh_json_put_name(b, "handlers");
    wh_buf_adds(b, "[");
    for (i = 0; i < g->handlers->nelts; i++) {
        const wh_handler_def *def = APR_ARRAY_IDX(g->handlers, i, wh_handler_def *);
        comma(b);
        wh_buf_adds(b, "{");
        wh_json_put_member(b, "name", def->name);
        wh_json_put_member(b, "type", def->provider->name);
        wh_json_put_member(b, "target", shown_target(def->target, b->pool));
        if (def->provider->describe) {
            put_facts(b, def->provider->describe(def->conf, b->pool));
        }
        wh_json_put_member_int(b, "concurrency", def->concurrency);
        put_member_duration(b, "timeout", def->timeout);
        wh_json_put_member_int(b, "capture", def->capture);
        wh_json_put_name(b, "retry");
        wh_buf_adds(b, "{");
        put_member_duration(b, "first", def->retry.first);
        wh_json_put_member_int(b, "factor", def->retry.factor_percent);
        put_member_duration(b, "cap", def->retry.cap);
        put_member_duration(b, "within", def->retry.within);
        wh_buf_adds(b, "}");
        wh_json_put_member(b, "file", def->file);
        wh_json_put_member_int(b, "line", def->line);
        wh_buf_adds(b, "}");
    }
    wh_buf_adds(b, "]");
}

void wh_dump_config(apr_pool_t *pconf, server_rec *s)
{
    const wh_global *g = wh_conf_global(s);
    apr_file_t *out;
    wh_buf b;

    if (!ap_exists_config_define("DUMP_WEBHOOK") || apr_file_open_stdout(&out, pconf) != APR_SUCCESS) {
        return;
    }
    wh_buf_init(&b, pconf, 4096);
    wh_buf_adds(&b, "{");
    wh_json_put_member_int(&b, "webhook", 1);
    wh_json_put_member(&b, "module", WH_VERSION);
    wh_json_put_member(&b, "server_root", ap_server_root);
    wh_json_put_member(&b, "user", ap_unixd_config.user_name);
    if (g->store_spec) {
        wh_json_put_name(&b, "store");
        wh_buf_adds(&b, "{");
        wh_json_put_member(&b, "text", g->store_text);
        put_options(&b, g->store_options);
        if (g->store->describe) {
            put_facts(&b, g->store->describe(g->store_conf, pconf));
        }
        wh_buf_adds(&b, "}");
    }
    if (g->log_target) {
        wh_json_put_name(&b, "log");
        wh_buf_adds(&b, "{");
        wh_json_put_member(&b, "target", g->log_target);
        wh_json_put_member_bool(&b, "headers", g->log.with_headers);
        wh_json_put_member_int(&b, "body", g->log.body_max);
        wh_buf_adds(&b, "}");
    }
    wh_json_put_member(&b, "counters", wh_counters_file(pconf));
    put_member_duration(&b, "drain_timeout", g->drain_max);
    wh_fetch_dump(&b, g);
    put_endpoints(&b, g);
    put_handlers(&b, g);
    wh_buf_adds(&b, "}\n");
    apr_file_write_full(out, b.data, b.len, NULL);
    apr_file_flush(out);
}
