/* SPDX-License-Identifier: Apache-2.0 */
/*
 * requests.c: commands about single requests: send, sign, verify, schemes. Same engine and code path as the module.
 */
#include "ctl/arguments.h"
#include "ctl/vectors.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "core/id.h"
#include "core/json.h"
#include "core/options.h"
#include "core/units.h"
#include "verify/verify.h"

#define ANSWER_MAX (1024 * 1024)

/* A name that is no scheme, with those that may have been meant. @return WH_CTL_USAGE */
static int unknown_scheme(wh_ctl *ctl, const char *name)
{
    const char *meant = wh_verifier_near(name, ctl->pool);
    return wh_ctl_error(ctl, "unknown scheme \"%s\" (%s%s%swebhookctl schemes lists all)", name, meant ? "near: " : "", meant ? meant : "",
                        meant ? "; " : "");
}

/* A scheme with its secrets, ready to verify or sign. */
typedef struct prepared {
    const webhook_verifier_provider *provider;
    webhook_verifier *verifier;
    webhook_secrets secrets;
} prepared;

static int prepare(wh_ctl *ctl, prepared *out, const char *scheme, const apr_array_header_t *options, const apr_array_header_t *specs,
                   const apr_array_header_t *ids)
{
    const char *err;
    webhook_secret **list;
    int i;

    out->provider = wh_verifier_builtin(scheme);
    if (!out->provider) {
        return unknown_scheme(ctl, scheme);
    }
    err = out->provider->configure(&out->verifier, out->provider, options, ctl->pool, ctl->pool);
    if (err) {
        return wh_ctl_error(ctl, "%s", err);
    }
    if (out->provider->traits(out->verifier)->needs_secret && !specs->nelts) {
        return wh_ctl_error(ctl, "scheme %s needs --secret", scheme);
    }
    list = apr_pcalloc(ctl->pool, sizeof(*list) * (apr_size_t)(specs->nelts + 1));
    for (i = 0; i < specs->nelts; i++) {
        const char *id = ids ? APR_ARRAY_IDX(ids, i, const char *) : apr_itoa(ctl->pool, i + 1);
        err = wh_ctl_secret(&list[i], APR_ARRAY_IDX(specs, i, const char *), id, ctl->pool);
        if (!err && out->provider->prepare) {
            err = out->provider->prepare(out->verifier, list[i], ctl->pool);
            err = err ? apr_pstrcat(ctl->pool, "the secret ", err, NULL) : NULL;
        }
        if (err) {
            return wh_ctl_error(ctl, "%s", err);
        }
    }
    out->secrets.count = specs->nelts;
    out->secrets.list = (const webhook_secret *const *)list;
    return 0;
}

/* "Name: value" words into a table. */
static int add_headers(wh_ctl *ctl, apr_table_t *table, const apr_array_header_t *words)
{
    int i;
    for (i = 0; i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *), *colon = strchr(word, ':'), *value;
        if (!colon || colon == word || strpbrk(word, "\r\n")) {
            return wh_ctl_error(ctl, "--header \"%s\" is not 'Name: value'", word);
        }
        for (value = colon + 1; *value == ' ' || *value == '\t'; value++) {
            continue;
        }
        apr_table_addn(table, apr_pstrmemdup(ctl->pool, word, (apr_size_t)(colon - word)), value);
    }
    return 0;
}

static int make_request(wh_ctl *ctl, webhook_request *req, const char *method, const char *url, const char *body_file, const char *now,
                        apr_table_t *headers)
{
    const char *err, *query;
    apr_int64_t seconds;

    memset(req, 0, sizeof(*req));
    req->method = method ? method : "POST";
    req->url = url ? url : "https://localhost/";
    req->uri = url ? wh_ctl_uri(url) : "/";
    query = strchr(req->uri, '?');
    req->query = query ? query + 1 : NULL;
    req->headers = headers;
    req->now = apr_time_now();
    req->body.data = "";
    if (now) {
        if (wh_parse_int(now, strlen(now), 0, APR_INT64_C(253402300799), &seconds) != APR_SUCCESS) {
            return wh_ctl_error(ctl, "--now takes seconds since 1970, not \"%s\"", now);
        }
        req->now = apr_time_from_sec(seconds);
    }
    if (body_file && (err = wh_ctl_read(&req->body, body_file, ctl->pool)) != NULL) {
        return wh_ctl_error(ctl, "%s", err);
    }
    return 0;
}

/* Split "SCHEME name=value..." */
static int scheme_words(wh_ctl *ctl, const char *command, const apr_array_header_t *words, const char **scheme, apr_array_header_t **options)
{
    const char *err;
    if (!words->nelts) {
        return wh_ctl_error(ctl, "%s: which scheme? (webhookctl schemes lists them)", command);
    }
    *scheme = APR_ARRAY_IDX(words, 0, const char *);
    err = wh_options_split(options, words->nelts - 1, (const char *const *)words->elts + 1, ctl->pool);
    return err ? wh_ctl_error(ctl, "%s: %s", command, err) : 0;
}

static void print_member(const char *name, const char *value)
{
    if (value) {
        printf(" %s=", name);
        wh_ctl_print(value, strlen(value), 0);
    }
}

/* @param handshake status the request would be answered with instead of being a delivery; 0: it is none */
static void print_verdict(wh_ctl *ctl, const webhook_verdict *v, int handshake)
{
    if (ctl->json) {
        wh_buf b;
        wh_buf_init(&b, ctl->pool, 256);
        wh_buf_adds(&b, "{");
        wh_json_put_member_bool(&b, "accepted", v->status == 200);
        wh_json_put_member(&b, "reason", v->status == 200 ? NULL : v->reason);
        wh_json_put_member(&b, "detail", v->status == 200 ? NULL : v->detail);
        wh_json_put_member(&b, "key_id", v->key_id);
        wh_json_put_member(&b, "sender_id", v->sender_id);
        wh_json_put_member(&b, "event", v->event);
        if (handshake) {
            wh_json_put_member_int(&b, "handshake", handshake);
        }
        wh_buf_adds(&b, "}");
        puts(b.data);
        return;
    }
    if (v->status == 200) {
        printf("accepted");
        print_member("key", v->key_id);
        print_member("id", v->sender_id);
        print_member("event", v->event);
    }
    else {
        printf("refused %s", v->reason ? v->reason : "internal");
        if (v->detail) {
            printf(" (");
            wh_ctl_print(v->detail, strlen(v->detail), 0);
            printf(")");
        }
    }
    if (handshake) {
        printf(" handshake=%d", handshake);
    }
    putchar('\n');
}

int wh_ctl_verify(wh_ctl *ctl, int argc, const char *const *argv)
{
    const char *method = NULL, *url = NULL, *now = NULL, *body = NULL, *vectors = NULL, *scheme;
    apr_array_header_t *secrets, *header_words, *words, *options;
    const wh_argument table[] = {{"--secret", NULL, &secrets, NULL}, {"--header", NULL, &header_words, NULL}, {"--method", &method, NULL, NULL},
                                 {"--url", &url, NULL, NULL},        {"--now", &now, NULL, NULL},              {"--body", &body, NULL, NULL},
                                 {"--vectors", &vectors, NULL, NULL}, {NULL, NULL, NULL, NULL}};
    apr_table_t *headers = apr_table_make(ctl->pool, 8);
    webhook_verdict verdict = {0};
    webhook_reply reply = {0};
    webhook_request req;
    prepared scheme_ready;
    int replied = 0;

    if (wh_ctl_arguments(ctl, table, argc, argv, &words)) {
        return WH_CTL_USAGE;
    }
    if (vectors) {
        return words->nelts ? wh_ctl_error(ctl, "verify --vectors FILE takes nothing else") : wh_ctl_vectors(vectors, ctl->pool);
    }
    if (scheme_words(ctl, "verify", words, &scheme, &options) || prepare(ctl, &scheme_ready, scheme, options, secrets, NULL)
        || add_headers(ctl, headers, header_words) || make_request(ctl, &req, method, url, body, now, headers)) {
        return WH_CTL_USAGE;
    }
    verdict.reason = wh_ctl_signed_body(&req, scheme_ready.provider->traits(scheme_ready.verifier), ctl->pool);
    if (!verdict.reason) {
        wh_verify_request(scheme_ready.provider, scheme_ready.verifier, &scheme_ready.secrets, &req, &verdict, &reply, &replied, ctl->pool);
    }
    print_verdict(ctl, &verdict, replied ? reply.status : 0);
    return verdict.status == 200 ? WH_CTL_OK : WH_CTL_NO;
}

int wh_ctl_sign(wh_ctl *ctl, int argc, const char *const *argv)
{
    const char *method = NULL, *url = NULL, *now = NULL, *body = NULL, *id = NULL, *event = NULL, *scheme, *err;
    apr_array_header_t *secrets, *header_words, *words, *options;
    const wh_argument table[] = {{"--secret", NULL, &secrets, NULL}, {"--header", NULL, &header_words, NULL}, {"--method", &method, NULL, NULL},
                                 {"--url", &url, NULL, NULL},        {"--now", &now, NULL, NULL},              {"--body", &body, NULL, NULL},
                                 {"--id", &id, NULL, NULL},          {"--event", &event, NULL, NULL},          {NULL, NULL, NULL, NULL}};
    apr_table_t *headers = apr_table_make(ctl->pool, 8), *made = apr_table_make(ctl->pool, 8);
    const apr_table_entry_t *e;
    webhook_request req;
    prepared ready;
    int i;

    if (wh_ctl_arguments(ctl, table, argc, argv, &words) || scheme_words(ctl, "sign", words, &scheme, &options)
        || prepare(ctl, &ready, scheme, options, secrets, NULL) || add_headers(ctl, headers, header_words)
        || make_request(ctl, &req, method, url, body, now, headers)) {
        return WH_CTL_USAGE;
    }
    if (!ready.provider->sign || !ready.secrets.count) {
        return wh_ctl_error(ctl, "scheme %s cannot sign%s", scheme, ready.secrets.count ? "" : " without --secret");
    }
    err = ready.provider->sign(ready.verifier, ready.secrets.list[0], &req, id, event, made, ctl->pool);
    if (err) {
        return wh_ctl_error(ctl, "%s", err);
    }
    e = (const apr_table_entry_t *)apr_table_elts(made)->elts;
    for (i = 0; i < apr_table_elts(made)->nelts; i++) {
        printf("%s: %s\n", e[i].key, e[i].val);
    }
    return WH_CTL_OK;
}

/* A word as one writes it in a configuration */
static const char *config_word(const char *text, apr_pool_t *p)
{
    wh_buf b;

    if (*text && !strpbrk(text, " \t\"'\\")) {
        return text;
    }
    wh_buf_init(&b, p, strlen(text) + 8);
    wh_buf_adds(&b, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            wh_buf_add(&b, "\\", 1);
        }
        wh_buf_add(&b, text, 1);
    }
    wh_buf_adds(&b, "\"");
    return b.data;
}

/* One scheme for people: the line it stands for, and what may be written behind its name */
static void print_scheme(wh_ctl *ctl, const webhook_verifier_provider *provider, const wh_verifier_info *info)
{
    const char *name, *values, *own;
    apr_size_t len;
    int i;

    printf("%s: %s\nsecret: %s\n\n", info->name, info->title, info->secret);
    if (!info->generic) {
        printf("stands for\n  WebhookVerify %s", info->primitive);
        for (i = 0; info->options[i]; i++) {
            printf(" \\\n      %s", config_word(info->options[i], ctl->pool));
        }
        for (own = info->variables; *own; own += len + (own[len] == ' ')) {
            len = strcspn(own, " ");
            printf(" \\\n      var.%.*s=...", (int)(len - (own[len - 1] == '?')), own);
        }
        printf("\n\n");
    }
    printf("takes\n");
    for (own = info->variables; *own; own += len + (own[len] == ' ')) {
        len = strcspn(own, " ");
        printf("  %-20.*s %s\n", (int)(len - (own[len - 1] == '?')), own, own[len - 1] == '?' ? "TEXT" : "TEXT, must be given");
    }
    for (i = 0; wh_verifier_parameter(provider, i, &name, &values); i++) {
        printf("  %-20s %s\n", name, values);
    }
    if (info->generic) {
        printf("  %-20s %s\n", "var.NAME", "TEXT, for {var:NAME}");
    }
}

int wh_ctl_schemes(wh_ctl *ctl, int argc, const char *const *argv)
{
    const webhook_verifier_provider *provider;
    const wh_argument table[] = {{NULL, NULL, NULL, NULL}};
    apr_array_header_t *words;
    const char *err = NULL;
    int found = 0, i;

    if (wh_ctl_arguments(ctl, table, argc, argv, &words)) {
        return WH_CTL_USAGE;
    }
    for (i = 0; (provider = wh_verifier_builtins(i)) != NULL; i++) {
        const char *wanted = words->nelts ? APR_ARRAY_IDX(words, 0, const char *) : NULL;
        wh_verifier_info info;
        wh_buf b;
        if (wanted && strcmp(wanted, provider->name) != 0) {
            continue;
        }
        found = 1;
        if (ctl->json) {
            wh_buf_init(&b, ctl->pool, 512);
            err = wh_verifier_json(&b, provider, ctl->pool);
            if (err) {
                return wh_ctl_error(ctl, "%s", err);
            }
            puts(b.data);
        }
        else if (wh_verifier_describe(provider, &info) && wanted) {
            print_scheme(ctl, provider, &info);
        }
        else {
            printf("%-28s %-10s %s\n", info.name, info.primitive, info.title);
        }
    }
    if (!found) {
        unknown_scheme(ctl, APR_ARRAY_IDX(words, 0, const char *));
        return WH_CTL_NO;
    }
    return WH_CTL_OK;
}

static size_t keep_answer(char *data, size_t size, size_t count, void *baton)
{
    wh_buf_add(baton, data, size * count);
    return size * count;
}

/* POST it. @return HTTP status, 0 after an error was printed */
static long post(wh_ctl *ctl, const webhook_request *req, const apr_table_t *headers, wh_buf *answer)
{
    const apr_array_header_t *entries = apr_table_elts(headers);
    const apr_table_entry_t *e = (const apr_table_entry_t *)entries->elts;
    struct curl_slist *list = NULL;
    char why[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    CURLcode rc;
    long status = 0;
    int i;

    if (!curl) {
        wh_ctl_error(ctl, "no memory");
        return 0;
    }
    for (i = 0; i < entries->nelts; i++) {
        list = curl_slist_append(list, apr_pstrcat(ctl->pool, e[i].key, ": ", e[i].val, NULL));
    }
    list = curl_slist_append(list, "Expect:");
    curl_easy_setopt(curl, CURLOPT_URL, req->url);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, req->body.data);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, req->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "webhookctl");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    rc = curl_easy_perform(curl);
    if (rc != CURLE_OK) {
        wh_ctl_error(ctl, "%s: %s", req->url, why[0] ? why : curl_easy_strerror(rc));
    }
    else {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    }
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
    return status;
}

int wh_ctl_send(wh_ctl *ctl, int argc, const char *const *argv)
{
    const char *method = NULL, *url = NULL, *id = NULL, *event = NULL, *err;
    apr_array_header_t *secrets, *header_words, *words, *ids = NULL;
    const wh_argument table[] = {{"--secret", NULL, &secrets, NULL}, {"--header", NULL, &header_words, NULL}, {"--method", &method, NULL, NULL},
                                 {"--url", &url, NULL, NULL},        {"--id", &id, NULL, NULL},                {"--event", &event, NULL, NULL},
                                 {NULL, NULL, NULL, NULL}};
    apr_table_t *headers = apr_table_make(ctl->pool, 8);
    char made_id[WH_ID_LEN + 1];
    wh_ctl_endpoint *ep;
    webhook_request req;
    prepared ready;
    wh_buf answer;
    long status;

    if (wh_ctl_arguments(ctl, table, argc, argv, &words)) {
        return WH_CTL_USAGE;
    }
    if (words->nelts != 2) {
        return wh_ctl_error(ctl, "send: an endpoint and a file (or - for standard input)");
    }
    ep = wh_ctl_find_endpoint(ctl, APR_ARRAY_IDX(words, 0, const char *));
    if (!ep) {
        return WH_CTL_USAGE;
    }
    if (!secrets->nelts && ep->secret_specs->nelts) {
        const char *spec = APR_ARRAY_IDX(ep->secret_specs, 0, const char *);
        if (strncmp(spec, "file:", 5) != 0 && strncmp(spec, "env:", 4) != 0) {
            return wh_ctl_error(ctl, "the secret of \"%s\" is not in a file or in the environment: give it with --secret", ep->name);
        }
        APR_ARRAY_PUSH(secrets, const char *) = spec;
        ids = ep->secret_ids;
    }
    if (!url) {
        url = ep->urls->nelts ? APR_ARRAY_IDX(ep->urls, 0, const char *) : NULL;
    }
    if (!url) {
        return wh_ctl_error(ctl, "the URL of \"%s\" cannot be told from the configuration: give it with --url", ep->name);
    }
    if (!id) {
        if (wh_id_make(made_id, apr_time_now()) != APR_SUCCESS) {
            return wh_ctl_error(ctl, "no random bytes");
        }
        id = made_id;
    }
    if (prepare(ctl, &ready, ep->scheme, ep->options, secrets, ids) || add_headers(ctl, headers, header_words)
        || make_request(ctl, &req, method, url, APR_ARRAY_IDX(words, 1, const char *), NULL, headers)) {
        return WH_CTL_USAGE;
    }
    if (!apr_table_get(headers, "Content-Type")) {
        apr_table_setn(headers, "Content-Type", "application/json");
    }
    if (ready.provider->sign) {
        err = ready.provider->sign(ready.verifier, ready.secrets.count ? ready.secrets.list[0] : NULL, &req, id, event, headers, ctl->pool);
        if (err) {
            return wh_ctl_error(ctl, "%s", err);
        }
    }
    wh_buf_init(&answer, ctl->pool, 1024);
    answer.max = ANSWER_MAX;
    status = post(ctl, &req, headers, &answer);
    if (!status) {
        return WH_CTL_USAGE;
    }
    if (ctl->json) {
        wh_buf b;
        wh_buf_init(&b, ctl->pool, 1024);
        wh_buf_adds(&b, "{");
        wh_json_put_member_int(&b, "status", status);
        wh_json_put_name(&b, "body");
        wh_json_put_string(&b, answer.data, answer.len);
        wh_buf_adds(&b, "}");
        puts(b.data);
    }
    else {
        printf("HTTP %ld\n", status);
        wh_ctl_print(answer.data, answer.len, 1);
        if (answer.len && answer.data[answer.len - 1] != '\n') {
            putchar('\n');
        }
    }
    return status >= 200 && status < 300 ? WH_CTL_OK : WH_CTL_NO;
}
