/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directives.c: what each directive accepts, and the table of all. A setter checks what one line alone can tell (httpd then names the
 * line); what needs the rest of the configuration is check.c's.
 *
 * None has an OR_ bit and each setter refuses .htaccess itself: AllowOverrideList would let a name through whatever its bits say.
 */
#include "httpd/directives.h"
#include "httpd/fetch.h"

#include "ap_provider.h"
#include "apr_lib.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_log.h"

#include <openssl/crypto.h>
#include <string.h>

#include "core/options.h"
#include "core/units.h"
#include "validate/media.h"
#include "verify/verify.h"

APLOG_USE_MODULE(webhook);

#define MAX_NAME (WH_COUNTER_NAME - 1)

/* The section a directive stands in, NULL in the server context. */
static const ap_directive_t *container_of(const cmd_parms *cmd)
{
    const ap_directive_t *d;

    for (d = cmd->directive->parent; d; d = d->parent) {
        if (*d->directive == '<' && ap_cstr_casecmp(d->directive, "<VirtualHost") != 0) {
            return d;
        }
    }
    return NULL;
}

const char *wh_cmd_enter(cmd_parms *cmd, wh_dir_conf *c)
{
    const char *err = ap_check_cmd_context(cmd, NOT_IN_HTACCESS | NOT_IN_LIMIT);
    wh_section *section;

    if (err) {
        return err;
    }
    if (c->words) {
        return apr_psprintf(cmd->pool, "%s is not allowed in <WebhookHandler> (allowed: " WH_D_SEND ", " WH_D_SEND_HEADER ", " WH_D_SEND_BODY ", " WH_D_RETRY ")", cmd->cmd->name);
    }
    if (!c->file) {
        section = apr_pcalloc(cmd->pool, sizeof(*section));
        section->server = cmd->server;
        section->conf = c;
        section->container = container_of(cmd);
        section->directive = section->container ? section->container->directive : NULL;
        c->file = section->container ? section->container->filename : cmd->directive->filename;
        c->line = section->container ? section->container->line_num : cmd->directive->line_num;
        APR_ARRAY_PUSH(wh_conf_global(cmd->server)->sections, wh_section *) = section;
    }
    return NULL;
}

static const char *twice(const cmd_parms *cmd, const char *file, int line)
{
    return apr_psprintf(cmd->pool, "%s is given twice in one section (first at %s:%d)", cmd->cmd->name, file, line);
}

const char *wh_cmd_options(cmd_parms *cmd, apr_array_header_t **options, int argc, char *const argv[])
{
    const char *err = wh_options_split(options, argc, (const char *const *)argv, cmd->pool);
    return err ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", err, NULL) : NULL;
}

const char *wh_cmd_size(cmd_parms *cmd, const char *arg, apr_int64_t min, apr_int64_t max, apr_int64_t *out)
{
    if (wh_parse_size(arg, out) != APR_SUCCESS || *out < min || *out > max) {
        return apr_psprintf(cmd->pool, "%s cannot be \"%s\" (expected a size such as 64K, 25M or 1G, from %s to %s)", cmd->cmd->name, arg,
                            wh_format_size(min, cmd->pool), wh_format_size(max, cmd->pool));
    }
    return NULL;
}

const char *wh_cmd_duration(cmd_parms *cmd, const char *what, const char *arg, apr_interval_time_t min, apr_interval_time_t max,
                               apr_interval_time_t *out)
{
    if (wh_parse_duration(arg, out) != APR_SUCCESS || *out < min || *out > max) {
        return apr_psprintf(cmd->pool, "%s: %s cannot be \"%s\" (expected a duration such as 500ms, 10s or 1h30min, from %s to %s)",
                            cmd->cmd->name, what, arg, wh_format_duration(min, cmd->pool), wh_format_duration(max, cmd->pool));
    }
    return NULL;
}

/* Names go into headers, logs, metrics and the user name: visible ASCII without what those would have to quote. */
static const char *name_of(cmd_parms *cmd, const char *what, const char *arg)
{
    const char *c;

    for (c = arg; *c > 0x20 && *c < 0x7f && !strchr("\"'\\<>,;", *c); c++) {
        continue;
    }
    if (*c || c == arg || c - arg > MAX_NAME) {
        return apr_psprintf(cmd->pool, "%s: \"%s\" cannot be %s (expected 1 to %d visible ASCII characters without quotes, backslash, "
                            "<, >, comma and semicolon)", cmd->cmd->name, arg, what, MAX_NAME);
    }
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const ap_list_provider_names_t *)a)->provider_name, ((const ap_list_provider_names_t *)b)->provider_name);
}

const char *wh_conf_provider_names(const char *group, apr_pool_t *p)
{
    apr_array_header_t *names = ap_list_provider_names(p, group, WEBHOOK_PROVIDER_VERSION);
    apr_array_header_t *words = apr_array_make(p, names->nelts + 1, sizeof(const char *));
    int i;

    if (!names->nelts) {
        return "none is loaded";
    }
    qsort(names->elts, (apr_size_t)names->nelts, (apr_size_t)names->elt_size, compare_names);
    for (i = 0; i < names->nelts; i++) {
        APR_ARRAY_PUSH(words, const char *) = APR_ARRAY_IDX(names, i, ap_list_provider_names_t).provider_name;
        if (i + 1 < names->nelts) {
            APR_ARRAY_PUSH(words, const char *) = ", ";
        }
    }
    return apr_array_pstrcat(p, words, '\0');
}

/* ---- what makes an endpoint ---- */

int wh_cmd_is_sensitive(const char *name)
{
    return strcmp(name, "pending-secret") != 0 && (strstr(name, "secret") || strstr(name, "token") || strstr(name, "password"));
}

/*
 * Secrets written into the configuration itself are taken out of httpd's tree: mod_info shows that to whoever may see the page.
 */
static void hide_arguments(cmd_parms *cmd)
{
    char *args = apr_pstrdup(cmd->pool, "(not shown)");
    union { const char *in; char *out; } shown;

    shown.in = cmd->directive->args;
    if (shown.out) {
        OPENSSL_cleanse(shown.out, strlen(shown.out));
    }
    cmd->directive->args = args;
}

static const char *set_verify(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);
    const char *const *type;
    wh_auth *auth;
    int i;

    if (err) {
        return err;
    }
    if (c->auth) {
        return twice(cmd, c->auth->file, c->auth->line);
    }
    if (argc < 1) {
        return WH_D_VERIFY " takes a scheme and its options";
    }
    auth = apr_pcalloc(cmd->pool, sizeof(*auth));
    auth->scheme = argv[0];
    auth->file = cmd->directive->filename;
    auth->line = cmd->directive->line_num;
    auth->server = cmd->server;
    auth->counter = -1;
    auth->provider = ap_lookup_provider(WEBHOOK_VERIFIER_GROUP, argv[0], WEBHOOK_PROVIDER_VERSION);
    if (!auth->provider) {
        const char *meant = wh_verifier_near(argv[0], cmd->temp_pool);
        return apr_psprintf(cmd->pool, WH_D_VERIFY ": scheme \"%s\" is unknown (%s%s%sallowed: %s)", argv[0], meant ? "near: " : "",
                            meant ? meant : "", meant ? "; " : "", wh_conf_provider_names(WEBHOOK_VERIFIER_GROUP, cmd->temp_pool));
    }
    if ((err = wh_cmd_options(cmd, &auth->options, argc - 1, argv + 1)) != NULL) {
        return err;
    }
    if ((err = auth->provider->configure(&auth->verifier, auth->provider, auth->options, cmd->pool, cmd->temp_pool)) != NULL) {
        return apr_pstrcat(cmd->pool, WH_D_VERIFY ": ", err, NULL);
    }
    auth->traits = auth->provider->traits(auth->verifier);
    for (type = auth->traits->content_types; type && *type; type++) {
        if ((err = wh_media_check(*type, cmd->temp_pool)) != NULL) {
            return apr_psprintf(cmd->pool, WH_D_VERIFY ": content-types: \"%s\" %s", *type, err);
        }
    }
    c->auth = auth;
    for (i = 0; i < auth->options->nelts; i++) {
        if (wh_cmd_is_sensitive(APR_ARRAY_IDX(auth->options, i, webhook_option).name)) {
            hide_arguments(cmd);
            break;
        }
    }
    return NULL;
}

void wh_cmd_end_list(apr_array_header_t *words)
{
    APR_ARRAY_PUSH(words, const char *) = NULL;
    words->nelts--;
}

const char *wh_cmd_behind(const char *word, const char *kind)
{
    apr_size_t n = strlen(kind);
    return strncmp(word, kind, n) == 0 ? word + n : NULL;
}

static const char *secret_option(cmd_parms *cmd, wh_secret_spec *spec, const char *word)
{
    const char *value;

    if ((value = wh_cmd_behind(word, "id=")) != NULL) {
        spec->id = value;
        return name_of(cmd, "the id of a secret", value);
    }
    if ((value = wh_cmd_behind(word, "from=")) != NULL || (value = wh_cmd_behind(word, "until=")) != NULL) {
        apr_time_t *t = *word == 'f' ? &spec->from : &spec->until;
        if (wh_parse_time(value, strlen(value), t) != APR_SUCCESS || *t <= 0) {
            return apr_psprintf(cmd->pool, WH_D_SECRET ": \"%s\" is not a time (expected RFC 3339, such as 2027-01-31T00:00:00Z)", word);
        }
        return NULL;
    }
    return apr_pstrcat(cmd->pool, WH_D_SECRET ": one of the words before the secret is not an option (allowed: id=, from=, until=)", NULL);
}

static const char *secret_source(cmd_parms *cmd, wh_secret_spec *spec, const char *word)
{
    const char *rest;

    if ((rest = wh_cmd_behind(word, "file:")) != NULL) {
        spec->path = *rest ? ap_server_root_relative(cmd->pool, rest) : NULL;
        if (!spec->path) {
            return WH_D_SECRET ": file: needs the path of a file";
        }
        spec->spec = apr_pstrcat(cmd->pool, "file:", spec->path, NULL);
        return NULL;
    }
    if ((rest = wh_cmd_behind(word, "env:")) != NULL) {
        spec->spec = word;
        return *rest ? NULL : WH_D_SECRET ": env: needs the name of a variable";
    }
    if ((rest = wh_cmd_behind(word, "exec:")) != NULL) {
        spec->spec = word;
        return *rest == '/' ? NULL : WH_D_SECRET ": exec: needs the absolute path of a program, and its arguments if any, in one pair of quotes";
    }
    spec->spec = "inline";
    spec->literal = wh_cmd_behind(word, "inline:") ? wh_cmd_behind(word, "inline:") : word;
    hide_arguments(cmd);
    if (spec->literal == word) {
        /* "flie:/etc/key" taken as a literal would only show as signatures that never match */
        for (rest = word; apr_isalpha(*rest); rest++) {
            continue;
        }
        if (*word == '/' || (rest > word && *rest == ':' && rest[1] == '/')) {
            return WH_D_SECRET ": this looks like a path or a kind of secret that is unknown (allowed: file:PATH, env:NAME, exec:PROGRAM, "
                               "inline:TEXT)";
        }
    }
    return NULL;
}

static const char *set_secret(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);
    wh_secret_spec *spec;
    int i;

    if (err) {
        return err;
    }
    if (argc < 1) { /* also for "": httpd ends the words there */
        return WH_D_SECRET " takes file:PATH, env:NAME, exec:PROGRAM or the secret itself; before it id=, from= and until= if wanted";
    }
    spec = apr_pcalloc(cmd->pool, sizeof(*spec));
    spec->conf_file = cmd->directive->filename;
    spec->conf_line = cmd->directive->line_num;
    /* The source first: an inline secret is out of the tree before anything can fail. */
    if ((err = secret_source(cmd, spec, argv[argc - 1])) != NULL) {
        return err;
    }
    for (i = 0; i < argc - 1; i++) {
        if ((err = secret_option(cmd, spec, argv[i])) != NULL) {
            return err;
        }
    }
    if (spec->from && spec->until && spec->from >= spec->until) {
        return WH_D_SECRET ": from= must be before until=";
    }
    if (!c->secrets) {
        c->secrets = apr_array_make(cmd->pool, 2, sizeof(wh_secret_spec *));
    }
    APR_ARRAY_PUSH(c->secrets, wh_secret_spec *) = spec;
    if (!spec->id) {
        spec->id = apr_itoa(cmd->pool, c->secrets->nelts);
    }
    return NULL;
}

static const char *set_name(cmd_parms *cmd, void *mconfig, const char *arg)
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);

    if (!err) {
        err = name_of(cmd, "the name of an endpoint", arg);
    }
    if (!err && c->name) {
        err = apr_psprintf(cmd->pool, WH_D_NAME ": this section is already named \"%s\"", c->name);
    }
    c->name = arg;
    return err;
}

static const char *set_use(cmd_parms *cmd, void *mconfig, const char *arg)
{
    wh_dir_conf *c = mconfig;
    const ap_directive_t *container = container_of(cmd);
    const char *err;

    if (container && !ap_cstr_casecmp(container->directive, WH_D_ENDPOINT)) {
        return WH_D_USE " is not allowed in <WebhookEndpoint>: an endpoint cannot be made of another";
    }
    if ((err = wh_cmd_enter(cmd, c)) != NULL) {
        return err;
    }
    if (c->use) {
        return apr_psprintf(cmd->pool, WH_D_USE ": this section already uses \"%s\" (line %d)", c->use, c->use_line);
    }
    c->use = arg;
    c->use_line = cmd->directive->line_num;
    return NULL;
}

static const char *set_gate(cmd_parms *cmd, void *mconfig, int on)
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);

    if (!err) {
        c->gate = on != 0;
    }
    return err;
}

/* ---- what is let in ---- */

/* In sections and endpoints alone: who switches enforcement off names the place. */
static const char *set_enforce(cmd_parms *cmd, void *mconfig, int on)
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);

    if (!err) {
        c->enforce = on != 0;
    }
    return err;
}

static const char *set_require_tls(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);

    if (!err && (err = wh_tls_parse(&c->tls, argc, argv, cmd->pool)) != NULL) {
        err = apr_pstrcat(cmd->pool, WH_D_REQUIRE_TLS ": ", err, NULL);
    }
    return err;
}

static int is_token_char(int c)
{
    return apr_isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static const char *set_methods(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c), *m;
    int i;

    if (err) {
        return err;
    }
    if (c->methods) {
        return WH_D_METHODS " is given twice in one section";
    }
    if (argc < 1) {
        return WH_D_METHODS " takes one or more methods";
    }
    c->methods = apr_array_make(cmd->pool, argc + 1, sizeof(const char *));
    for (i = 0; i < argc; i++) {
        for (m = argv[i]; is_token_char((unsigned char)*m) && !apr_islower(*m); m++) {
            continue;
        }
        if (*m || m == argv[i] || !strcmp(argv[i], "TRACE") || !strcmp(argv[i], "CONNECT")) {
            return apr_psprintf(cmd->pool, WH_D_METHODS ": \"%s\" is not possible (expected names such as POST, PUT or GET, in upper case; "
                                "not TRACE or CONNECT)", argv[i]);
        }
        APR_ARRAY_PUSH(c->methods, const char *) = argv[i];
    }
    wh_cmd_end_list(c->methods);
    return NULL;
}

/* A body is mapped whole to be verified; beyond 1 GiB that is no webhook. */
static const char *set_body_limit(cmd_parms *cmd, void *mconfig, const char *arg)
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);
    return err ? err : wh_cmd_size(cmd, arg, 1, 1024 * 1024 * 1024, &c->body_limit);
}

static const char *set_body_timeout(cmd_parms *cmd, void *mconfig, const char *arg)
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);
    return err ? err : wh_cmd_duration(cmd, "the time", arg, apr_time_from_msec(100), apr_time_from_sec(3600), &c->body_timeout);
}

/* ---- what is answered ---- */

static const char *set_answer(cmd_parms *cmd, void *mconfig, const char *status, const char *type, const char *body)
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);
    apr_int64_t n;
    wh_answer *answer;

    if (err) {
        return err;
    }
    if (wh_parse_int(status, strlen(status), 200, 299, &n) != APR_SUCCESS) {
        return apr_psprintf(cmd->pool, WH_D_ANSWER ": status cannot be \"%s\" (allowed: 200 to 299)", status);
    }
    if (type && (strchr(type, '*') || *type == '+' || wh_media_check(apr_pstrmemdup(cmd->temp_pool, type, strcspn(type, "; =")), cmd->temp_pool))) {
        return apr_psprintf(cmd->pool, WH_D_ANSWER ": \"%s\" is not a media type (expected one such as text/plain)", type);
    }
    if (type && !body) {
        return WH_D_ANSWER ": a media type needs a body behind it (\"\" for an empty one)";
    }
    if ((n == 204 || n == 205) && body && *body) {
        return apr_psprintf(cmd->pool, WH_D_ANSWER ": a %s answer has no body", status);
    }
    answer = apr_pcalloc(cmd->pool, sizeof(*answer));
    answer->status = (int)n;
    answer->content_type = type;
    answer->body = n == 204 || n == 205 ? "" : body;
    c->answer = answer;
    return NULL;
}

static const char *set_duplicates(cmd_parms *cmd, void *mconfig, const char *how, const char *option)
{
    static const char *const words[] = { "answer", "reject", "off" }; /* wh_duplicates */
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c), *window;
    int i;

    if (err) {
        return err;
    }
    for (i = 0; i < 3 && ap_cstr_casecmp(how, words[i]); i++) {
        continue;
    }
    if (i == 3) {
        return apr_psprintf(cmd->pool, WH_D_DUPLICATES " cannot be \"%s\" (allowed: answer, reject, off)", how);
    }
    c->duplicates = i;
    c->window = 0;
    if (!option) {
        return NULL;
    }
    if ((window = wh_cmd_behind(option, "window=")) == NULL || i == WH_DUPLICATES_OFF) {
        return apr_psprintf(cmd->pool, WH_D_DUPLICATES ": \"%s\" is not possible (allowed: window=, with answer and reject)", option);
    }
    return wh_cmd_duration(cmd, "window=", window, apr_time_from_sec(1), (apr_interval_time_t)366 * 86400 * APR_USEC_PER_SEC, &c->window);
}

/* Inside sections and, as defaults for them, in a server. */
#define ANYWHERE (RSRC_CONF | ACCESS_CONF)

const command_rec wh_directives[] = {
    AP_INIT_TAKE_ARGV(WH_D_VERIFY, set_verify, NULL, ANYWHERE, "how requests are verified: a scheme and its options"),
    AP_INIT_TAKE_ARGV(WH_D_SECRET, set_secret, NULL, ANYWHERE, "a secret of the scheme: [id=] [from=] [until=] file:PATH, env:NAME, exec:PROGRAM"),
    AP_INIT_RAW_ARGS(WH_D_DELIVER, wh_set_deliver, NULL, ANYWHERE, "a handler deliveries go to, and an expression that says which ones, or default"),
    AP_INIT_RAW_ARGS(WH_D_DROP, wh_set_drop, NULL, ANYWHERE, "an expression that says which deliveries are acknowledged and go nowhere"),
    AP_INIT_TAKE1(WH_D_ROUTE, wh_set_route, NULL, ANYWHERE, "all or first: whether every matching rule counts"),
    AP_INIT_FLAG(WH_D_GATE, set_gate, NULL, ANYWHERE, "On: verified requests go to the section's own handler, nothing is stored"),
    AP_INIT_TAKE1(WH_D_USE, set_use, NULL, ACCESS_CONF, "name of a <WebhookEndpoint> whose settings count here"),
    AP_INIT_TAKE1(WH_D_NAME, set_name, NULL, ANYWHERE, "name of the endpoint"),
    AP_INIT_FLAG(WH_D_ENFORCE, set_enforce, NULL, ACCESS_CONF, "Off: what fails verification is reported and let pass as unverified"),
    AP_INIT_TAKE_ARGV(WH_D_REQUIRE_TLS, set_require_tls, NULL, ANYWHERE, "On, Off, or proxy=ADDRESSES: only requests that came over TLS"),
    AP_INIT_TAKE_ARGV(WH_D_METHODS, set_methods, NULL, ANYWHERE, "methods that are let in"),
    AP_INIT_TAKE_ARGV(WH_D_CONTENT_TYPES, wh_set_content_types, NULL, ANYWHERE, "media types that are let in"),
    AP_INIT_TAKE1(WH_D_PAYLOAD, wh_set_payload, NULL, ANYWHERE, "body, or field=NAME: where the JSON is"),
    AP_INIT_TAKE_ARGV(WH_D_DECODE, wh_set_decode, NULL, ANYWHERE, "content codings that are undone: gzip, deflate; hmac= limit= ratio="),
    AP_INIT_TAKE_ARGV(WH_D_VALIDATE, wh_set_validate, NULL, ANYWHERE, "what payloads must be: json, and schema=FILE event=NAME report ..."),
    AP_INIT_TAKE1(WH_D_BODY_LIMIT, set_body_limit, NULL, ANYWHERE, "largest body"),
    AP_INIT_TAKE1(WH_D_BODY_TIMEOUT, set_body_timeout, NULL, ANYWHERE, "time for the whole body to arrive"),
    AP_INIT_TAKE123(WH_D_ANSWER, set_answer, NULL, ANYWHERE, "status of the acknowledgement, and a media type and body in place of ours"),
    AP_INIT_TAKE12(WH_D_DUPLICATES, set_duplicates, NULL, ANYWHERE, "answer, reject or off, and window=DURATION"),
    AP_INIT_RAW_ARGS(WH_D_ENDPOINT, wh_endpoint_section, NULL, RSRC_CONF, "a named endpoint for " WH_D_USE),

    AP_INIT_RAW_ARGS(WH_D_HANDLER, wh_handler_section, NULL, RSRC_CONF, "a named handler for " WH_D_DELIVER),
    AP_INIT_TAKE_ARGV(WH_D_SEND, wh_set_send, NULL, ACCESS_CONF, "where the handler sends deliveries: type, target, options"),
    AP_INIT_TAKE2(WH_D_SEND_HEADER, wh_set_send_header, NULL, ACCESS_CONF, "a header of the requests to an upstream: name and value"),
    AP_INIT_TAKE2(WH_D_SEND_BODY, wh_set_send_body, NULL, ACCESS_CONF, "the body of the requests to an upstream: media type and text"),
    AP_INIT_TAKE_ARGV(WH_D_RETRY, wh_set_retry, NULL, ACCESS_CONF, "when the handler tries again: first= factor= cap= within="),

    AP_INIT_TAKE_ARGV(WH_D_STORE, wh_set_store, NULL, RSRC_CONF, "where deliveries are kept: sqlite:PATH and options, or none"),
    AP_INIT_TAKE1(WH_D_BODY_MEMORY, wh_set_body_memory, NULL, RSRC_CONF, "bytes of a body kept in memory before a temporary file is used"),
    AP_INIT_TAKE_ARGV(WH_D_LOG, wh_set_log, NULL, RSRC_CONF, "the delivery log: a file or \"|program\", headers, body=SIZE"),
    AP_INIT_TAKE_ARGV(WH_D_FETCH, wh_set_fetch, NULL, RSRC_CONF, "how keys that live elsewhere are fetched: ca=FILE, allow=ADDRESS and others"),
    AP_INIT_TAKE1(WH_D_DRAIN_TIMEOUT, wh_set_drain, NULL, RSRC_CONF, "how long attempts may go on after a graceful restart"),
    { NULL }
};
