/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rehearse.c: httpd -t -D WEBHOOK_ROUTE: which rules of an endpoint match a request that never came, and why. Expressions live in httpd, so
 * they are tried in httpd: with the very configuration, by the code that routes real requests, without a server that runs. No secret is
 * read, nothing is stored, answered or sent. webhookctl route is the way to use it.
 *
 * On standard input: one line of JSON, then the body, body_length bytes:
 *
 *   {"webhook_route":1,"endpoint":"github","method":"POST","uri":"/hooks/github","event":"push","sender_id":"...",
 *    "headers":[["X-Kind","a"],...],"body_length":123}
 *
 * The endpoint is a name, or the path of a place. All but endpoint and body_length may be left out. On standard output, on one line:
 *
 *   {"webhook_route":1,"endpoint":"github","path":"/hooks/github","event":"push","sender_id":"...","outcome":"delivered",
 *    "handlers":["deploy"],"why":"...","reason":"...","status":422,
 *    "rules":[{"directive":"WebhookDeliver","handler":"deploy","expr":"...","default":true,"file":"...","line":12,"result":"matches",
 *              "error":"...","seen":["webhook_json('/ref') is \"refs/heads/main\""]}]}
 *
 * outcome is delivered, dropped, unrouted, refused (reason and status say how) or handshake; result is matches, "does not match", failed
 * or "not looked at". When the question itself makes no sense: {"webhook_route":1,"error":"..."}.
 */
#include "httpd/request.h"

#include "ap_expr.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_main.h"
#include "http_protocol.h"
#include "http_request.h"

#include <string.h>
#include <unistd.h>

#include "core/json.h"
#include "verify/verify.h"

#define HEAD_MAX (1024 * 1024)

typedef struct rehearsal {
    apr_pool_t *p;
    wh_buf out;
    int rules;
    wh_req *wq;
} rehearsal;

/* ---- what is asked ---- */

/* @return NULL or an error text */
static const char *read_head(apr_file_t *in, const wh_json **head, apr_pool_t *p)
{
    wh_json_error jerr;
    webhook_slice text;
    wh_json *doc;
    wh_buf line;
    char c;

    wh_buf_init(&line, p, 1024);
    while (apr_file_getc(&c, in) == APR_SUCCESS && c != '\n') {
        if (line.len == HEAD_MAX) {
            return "the first line is too long";
        }
        wh_buf_add(&line, &c, 1);
    }
    text.data = line.data;
    text.len = line.len;
    if (wh_json_parse(&doc, text, NULL, p, &jerr) != APR_SUCCESS || !wh_json_get(wh_json_root(doc), "webhook_route")) {
        return "standard input does not begin with a request (webhookctl route makes one)";
    }
    *head = doc;
    return NULL;
}

static const char *read_body(apr_file_t *in, const wh_json *head, webhook_slice *body, apr_pool_t *p)
{
    apr_int64_t len;
    char *data;

    if (!wh_json_int(wh_json_get(wh_json_root(head), "body_length"), &len) || len < 0 || len > 1024 * 1024 * 1024) {
        return "body_length is missing or too large";
    }
    data = apr_palloc(p, (apr_size_t)len + 1);
    body->data = data;
    body->len = (apr_size_t)len;
    return len && apr_file_read_full(in, data, body->len, NULL) != APR_SUCCESS ? "the body is shorter than body_length" : NULL;
}

static const char *asked_for(const wh_json *head, const char *name, apr_pool_t *p)
{
    return wh_json_text(wh_json_get(wh_json_root(head), name), p);
}

static int same_settings(const wh_dir_conf *a, const wh_dir_conf *b)
{
    return a->rules == b->rules && a->drops == b->drops && a->route == b->route && a->validate == b->validate && a->methods == b->methods
           && a->content_types == b->content_types && a->payload_field == b->payload_field && a->decode == b->decode;
}

/* A place by its path, else by the name of its endpoint. @return NULL or an error text */
static const char *find_place(const wh_global *g, const char *name, const wh_section **found, apr_pool_t *p)
{
    const char *paths = "";
    int i, pass, ambiguous = 0;

    *found = NULL;
    /* by path; places of that endpoint; its definition, which no place uses */
    for (pass = 0; pass < 3 && !*found; pass++) {
        for (i = 0; i < g->sections->nelts; i++) {
            const wh_section *s = APR_ARRAY_IDX(g->sections, i, const wh_section *);
            int definition = s->directive && !strcmp(s->directive, WH_D_ENDPOINT);

            if (!s->effective || !s->effective->auth || s->effective->gate == 1 || definition != (pass == 2)
                || strcmp(name, pass == 0 ? (s->conf->path ? s->conf->path : "") : s->effective->auth->name)) {
                continue;
            }
            paths = apr_pstrcat(p, paths, *paths ? ", " : "", s->conf->path ? s->conf->path : "the server itself", NULL);
            ambiguous |= *found && !same_settings((*found)->effective, s->effective);
            *found = *found ? *found : s;
        }
    }
    if (!*found) {
        return apr_psprintf(p, "there is no endpoint \"%s\" that keeps what it accepts", name);
    }
    return ambiguous ? apr_psprintf(p, "\"%s\" has other rules in other places: name one (%s)", name, paths) : NULL;
}

/* ---- a request that never came ---- */

static conn_rec *make_connection(server_rec *s, apr_pool_t *p)
{
    conn_rec *c = apr_pcalloc(p, sizeof(*c));

    c->pool = p;
    c->base_server = s;
    c->conn_config = ap_create_conn_config(p);
    c->notes = apr_table_make(p, 4);
    c->bucket_alloc = apr_bucket_alloc_create(p);
    c->keepalive = AP_CONN_CLOSE;
    c->client_ip = c->local_ip = apr_pstrdup(p, "127.0.0.1");
    if (apr_sockaddr_info_get(&c->client_addr, "127.0.0.1", APR_INET, 1024, 0, p) != APR_SUCCESS
        || apr_sockaddr_info_get(&c->local_addr, "127.0.0.1", APR_INET, s->port ? s->port : 80, 0, p) != APR_SUCCESS) {
        return NULL;
    }
    return c;
}

static void set_headers(request_rec *r, const wh_json *head, const webhook_slice *body, const wh_auth *auth)
{
    const wh_json_value *list = wh_json_get(wh_json_root(head), "headers");
    const char *event = asked_for(head, "event", r->pool), *name;
    apr_size_t i;

    for (i = 0; i < wh_json_size(list); i++) {
        const wh_json_value *pair = wh_json_at(list, i);
        const char *key = wh_json_text(wh_json_at(pair, 0), r->pool), *value = wh_json_text(wh_json_at(pair, 1), r->pool);
        if (key && value) {
            apr_table_mergen(r->headers_in, key, value);
        }
    }
    if (!apr_table_get(r->headers_in, "Content-Type")) {
        apr_table_setn(r->headers_in, "Content-Type", "application/json");
    }
    if (!apr_table_get(r->headers_in, "Host")) {
        apr_table_setn(r->headers_in, "Host", r->hostname);
    }
    apr_table_setn(r->headers_in, "Content-Length", apr_psprintf(r->pool, "%" APR_SIZE_T_FMT, body->len));
    /* what the sender would have sent with this event, for rules that look there */
    name = event ? wh_verifier_event_header(auth->provider, auth->verifier) : NULL;
    if (name && !apr_table_get(r->headers_in, name)) {
        apr_table_setn(r->headers_in, name, event);
    }
}

static request_rec *make_request(const wh_section *place, const wh_json *head, const webhook_slice *body, apr_pool_t *p)
{
    conn_rec *c = make_connection(place->server, p);
    const char *method = asked_for(head, "method", p), *uri = asked_for(head, "uri", p);
    request_rec *r = c ? ap_create_request(c) : NULL;

    if (!r) {
        return NULL;
    }
    r->method = method ? method : "POST";
    r->method_number = ap_method_number_of(r->method);
    r->protocol = apr_pstrdup(p, "HTTP/1.1");
    r->proto_num = HTTP_VERSION(1, 1);
    r->hostname = place->server->server_hostname ? place->server->server_hostname : "localhost";
    r->request_time = apr_time_now();
    uri = uri && *uri == '/' ? uri : place->conf->path && *place->conf->path == '/' ? place->conf->path : "/";
    r->the_request = apr_pstrcat(p, r->method, " ", uri, " ", r->protocol, NULL);
    ap_parse_uri(r, uri);
    /* where it would be without an Alias: there need not be a file, and httpd counts on a name */
    r->filename = r->canonical_filename = apr_pstrcat(p, ap_document_root(r), r->uri, NULL);
    set_headers(r, head, body, place->effective->auth);
    return r;
}

/* As wh_req_verify() leaves it behind, but for the signature. @return OK or the status of a refusal */
static int rehearse_request(wh_req *wq, const wh_json *head, const webhook_slice *body, int *handshake)
{
    const char *event = asked_for(head, "event", wq->r->pool), *sender_id = asked_for(head, "sender_id", wq->r->pool);
    int rc;

    wq->body.data = *body;
    wq->body.len = (apr_off_t)body->len;
    wq->body.complete = wq->body_read = 1;
    wq->screened = wq->conf;
    if ((rc = wh_req_screen_form(wq)) != OK) {
        return rc;
    }
    if ((rc = wh_req_signed_body(wq, &wq->request.body)) != OK) {
        return rc;
    }
    wh_verifier_rehearse(wq->auth->provider, wq->auth->verifier, &wq->request, &wq->verdict, handshake, wq->r->pool);
    wq->verdict.status = HTTP_OK;
    if (event) {
        wq->verdict.event = event;
    }
    if (sender_id) {
        wq->verdict.sender_id = sender_id;
    }
    wq->state = WH_ACCEPTED;
    wh_vars_export(wq, wq->r);
    return wh_req_validate(wq);
}

/* ---- what is told ---- */

static void put_texts(wh_buf *b, const char *name, const apr_array_header_t *texts)
{
    int i;

    wh_json_put_name(b, name);
    wh_buf_adds(b, "[");
    for (i = 0; i < texts->nelts; i++) {
        const char *text = APR_ARRAY_IDX(texts, i, const char *);
        wh_buf_adds(b, i ? "," : "");
        wh_json_put_string(b, text, strlen(text));
    }
    wh_buf_adds(b, "]");
}

static void report(void *baton, const wh_rule *rule, wh_rule_result result, const char *err)
{
    static const char *const words[] = {"matches", "does not match", "failed", "not looked at"}; /* wh_rule_result */
    rehearsal *k = baton;
    wh_buf *b = &k->out;

    wh_buf_adds(b, k->rules++ ? ",{" : "{");
    wh_json_put_member(b, "directive", rule->handler ? WH_D_DELIVER : WH_D_DROP);
    wh_json_put_member(b, "handler", rule->handler);
    wh_json_put_member(b, "expr", rule->expr_text);
    if (rule->otherwise) {
        wh_json_put_member_bool(b, "default", 1);
    }
    wh_json_put_member(b, "file", rule->file);
    wh_json_put_member_int(b, "line", rule->line);
    wh_json_put_member(b, "result", words[result]);
    wh_json_put_member(b, "error", err);
    put_texts(b, "seen", k->wq->seen);
    wh_buf_adds(b, "}");
    k->wq->seen->nelts = 0;
}

static void put_outcome(rehearsal *k, int rc, int handshake, const wh_routing *to)
{
    wh_buf *b = &k->out;
    const char *outcome = rc != OK ? "refused" : handshake ? "handshake" : to->kept_as ? to->kept_as : "delivered";

    wh_json_put_member(b, "event", k->wq->verdict.event);
    wh_json_put_member(b, "sender_id", k->wq->verdict.sender_id);
    wh_json_put_member(b, "outcome", outcome);
    if (to->handlers && rc == OK) {
        put_texts(b, "handlers", to->handlers);
    }
    if (rc != OK) {
        wh_json_put_member_int(b, "status", rc);
        wh_json_put_member(b, "reason", k->wq->reason);
        wh_json_put_member(b, "why", k->wq->detail);
    }
    else {
        wh_json_put_member(b, "why", to->why);
    }
}

static const char *rehearse(rehearsal *k, wh_global *g)
{
    const wh_section *place;
    const wh_json *head = NULL;
    webhook_slice body = {NULL, 0};
    wh_routing to = {0};
    const char *err, *name;
    request_rec *r;
    apr_file_t *in;
    int rc, handshake = 0;

    if (isatty(STDIN_FILENO) || apr_file_open_flags_stdin(&in, APR_FOPEN_BUFFERED, k->p) != APR_SUCCESS) {
        return "the request comes on standard input (webhookctl route makes one)";
    }
    if ((err = read_head(in, &head, k->p)) != NULL || (err = read_body(in, head, &body, k->p)) != NULL) {
        return err;
    }
    if ((name = asked_for(head, "endpoint", k->p)) == NULL) {
        return "which endpoint?";
    }
    if ((err = find_place(g, name, &place, k->p)) != NULL) {
        return err;
    }
    if ((r = make_request(place, head, &body, k->p)) == NULL) {
        return "cannot make up a connection";
    }
    k->wq = wh_req_make(r, place->effective);
    k->wq->seen = apr_array_make(k->p, 8, sizeof(const char *));
    wh_json_put_member(&k->out, "endpoint", k->wq->auth->name);
    wh_json_put_member(&k->out, "path", place->conf->path);
    wh_json_put_name(&k->out, "rules");
    wh_buf_adds(&k->out, "[");
    rc = rehearse_request(k->wq, head, &body, &handshake);
    if (rc == OK && !handshake) {
        to.report = report;
        to.baton = k;
        k->wq->seen->nelts = 0; /* what WebhookValidate's choice of a schema may have asked is no rule's */
        rc = wh_route_choose(k->wq, r, &to);
    }
    if (rc == OK && to.handlers) {
        /* their values are of no interest; that one of them cannot be read from the payload is */
        wh_templates_freeze(k->wq, r, (const char *const *)to.handlers->elts, to.handlers->nelts);
        rc = wh_req_payload_check(k->wq);
    }
    wh_buf_adds(&k->out, "]");
    put_outcome(k, rc, handshake, &to);
    return NULL;
}

void wh_rehearse(apr_pool_t *pconf, server_rec *s)
{
    wh_global *g = wh_conf_global(s);
    rehearsal k = {0};
    apr_file_t *out;
    const char *err;

    if (!ap_exists_config_define("WEBHOOK_ROUTE") || apr_file_open_stdout(&out, pconf) != APR_SUCCESS) {
        return;
    }
    g->log.fd = -1; /* a refusal is told here, and nowhere else */
    k.p = pconf;
    wh_buf_init(&k.out, pconf, 4096);
    wh_buf_adds(&k.out, "{\"webhook_route\":1");
    if ((err = rehearse(&k, g)) != NULL) {
        wh_json_put_member(&k.out, "error", err);
    }
    wh_buf_adds(&k.out, "}\n");
    apr_file_write_full(out, k.out.data, k.out.len, NULL);
    apr_file_flush(out);
}
