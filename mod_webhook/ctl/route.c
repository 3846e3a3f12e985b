/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c: the command that tries the rules of an endpoint on a body. Rules are httpd's expressions, so the server's own program evaluates
 * them (-t -D WEBHOOK_ROUTE; httpd/rehearse.c describes what goes in and what comes out); here the question is asked and the answer told.
 */
#include "ctl/arguments.h"

#include <apr_file_info.h>
#include <apr_strings.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"

/* @return 0, or WH_CTL_USAGE after an error was printed */
static int put_headers(wh_ctl *ctl, wh_buf *b, const apr_array_header_t *words)
{
    int i;

    wh_json_put_name(b, "headers");
    wh_buf_adds(b, "[");
    for (i = 0; i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *), *colon = strchr(word, ':'), *value;

        if (!colon || colon == word || strpbrk(word, "\r\n")) {
            return wh_ctl_error(ctl, "--header \"%s\" is not 'Name: value'", word);
        }
        value = colon + 1 + strspn(colon + 1, " \t");
        wh_buf_adds(b, i ? ",[" : "[");
        wh_json_put_string(b, word, (apr_size_t)(colon - word));
        wh_buf_adds(b, ",");
        wh_json_put_string(b, value, strlen(value));
        wh_buf_adds(b, "]");
    }
    wh_buf_adds(b, "]");
    return 0;
}

/* The question as a file, which the server's program may read when it likes. */
static const char *make_input(apr_file_t **file, const wh_buf *head, const webhook_slice *body, apr_pool_t *p)
{
    const char *err = wh_ctl_memory_file(file, p);
    apr_off_t start = 0;
    apr_status_t rv;
    char why[200];

    if (err) {
        return err;
    }
    rv = apr_file_write_full(*file, head->data, head->len, NULL);
    if (rv == APR_SUCCESS && body->len) {
        rv = apr_file_write_full(*file, body->data, body->len, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_file_seek(*file, APR_SET, &start);
    }
    return rv == APR_SUCCESS ? NULL : apr_psprintf(p, "no room for the request: %s", apr_strerror(rv, why, sizeof(why)));
}

static const char *member(const wh_json_value *object, const char *name, apr_pool_t *p)
{
    return wh_json_text(wh_json_get(object, name), p);
}

/* "matches         WebhookDeliver deploy webhook_json('/ref') == 'x' (/etc/x.conf:12)", and below it what the expression saw */
static void print_rule(const wh_json_value *rule, apr_pool_t *p)
{
    const char *handler = member(rule, "handler", p), *expr = member(rule, "expr", p), *error = member(rule, "error", p);
    const wh_json_value *seen = wh_json_get(rule, "seen");
    apr_size_t i;

    printf("%-14s  %s", member(rule, "result", p), member(rule, "directive", p));
    if (handler) {
        putchar(' ');
        wh_ctl_say(handler);
    }
    if (expr || wh_json_get(rule, "default")) {
        putchar(' ');
        wh_ctl_say(expr ? expr : "default");
    }
    printf(" (");
    wh_ctl_say(member(rule, "file", p));
    printf(":%s)\n", member(rule, "line", p));
    for (i = 0; i < wh_json_size(seen); i++) {
        printf("                  ");
        wh_ctl_say(wh_json_text(wh_json_at(seen, i), p));
        putchar('\n');
    }
    if (error) {
        printf("                  error: ");
        wh_ctl_say(error);
        putchar('\n');
    }
}

static void print_outcome(const wh_json_value *answer, apr_pool_t *p)
{
    const char *why = member(answer, "why", p), *reason = member(answer, "reason", p);
    const wh_json_value *handlers = wh_json_get(answer, "handlers");
    apr_size_t i;

    wh_ctl_say(member(answer, "outcome", p));
    if (reason) {
        printf(" %s %s", member(answer, "status", p), reason);
    }
    for (i = 0; i < wh_json_size(handlers); i++) {
        printf("%s", i ? ", " : " to ");
        wh_ctl_say(wh_json_text(wh_json_at(handlers, i), p));
    }
    if (why) {
        printf(": ");
        wh_ctl_say(why);
    }
    putchar('\n');
}

/* @return exit code */
static int tell(wh_ctl *ctl, webhook_slice text)
{
    const char *start = text.len ? memchr(text.data, '{', text.len) : NULL, *end, *error, *outcome;
    const wh_json_value *answer, *rules;
    wh_json_error jerr;
    wh_json *doc;
    apr_size_t i;

    /* apachectl wrappers may print around it */
    end = start ? memrchr(text.data, '}', text.len) : NULL;
    text.data = start;
    text.len = end ? (apr_size_t)(end - start) + 1 : 0;
    if (!end || wh_json_parse(&doc, text, &wh_json_plain, ctl->pool, &jerr) != APR_SUCCESS
        || !wh_json_get(wh_json_root(doc), "webhook_route")) {
        return wh_ctl_error(ctl, "no answer from the server's program: is mod_webhook loaded there, of this version?");
    }
    answer = wh_json_root(doc);
    if ((error = member(answer, "error", ctl->pool)) != NULL) {
        return wh_ctl_error(ctl, "route: %s", error);
    }
    outcome = member(answer, "outcome", ctl->pool);
    if (!outcome) {
        return wh_ctl_error(ctl, "route: the answer has no outcome");
    }
    if (ctl->json) {
        printf("%.*s\n", (int)text.len, text.data);
    }
    else {
        rules = wh_json_get(answer, "rules");
        for (i = 0; i < wh_json_size(rules); i++) {
            print_rule(wh_json_at(rules, i), ctl->pool);
        }
        print_outcome(answer, ctl->pool);
    }
    return strcmp(outcome, "delivered") ? WH_CTL_NO : WH_CTL_OK;
}

int wh_ctl_route(wh_ctl *ctl, int argc, const char *const *argv)
{
    const char *endpoint = NULL, *conf = NULL, *event = NULL, *id = NULL, *method = NULL, *url = NULL, *err;
    apr_array_header_t *headers, *words;
    const wh_argument table[] = {{"--endpoint", &endpoint, NULL, NULL}, {"--conf", &conf, NULL, NULL},  {"--header", NULL, &headers, NULL},
                                 {"--event", &event, NULL, NULL},       {"--id", &id, NULL, NULL},      {"--method", &method, NULL, NULL},
                                 {"--url", &url, NULL, NULL},           {NULL, NULL, NULL, NULL}};
    webhook_slice body, answer = {NULL, 0};
    apr_file_t *input;
    wh_buf head;

    if (wh_ctl_arguments(ctl, table, argc, argv, &words)) {
        return WH_CTL_USAGE;
    }
    if (words->nelts != 1 || !endpoint) {
        return wh_ctl_error(ctl, "route: --endpoint NAME and a file (or - for standard input)");
    }
    if (ctl->dump_file) {
        return wh_ctl_error(ctl, "route: rules are tried by the server's program, a saved dump will not do");
    }
    if ((err = wh_ctl_read(&body, APR_ARRAY_IDX(words, 0, const char *), ctl->pool)) != NULL) {
        return wh_ctl_error(ctl, "%s", err);
    }
    if (conf) {
        char *whole;
        /* a relative name is the caller's, not the server's */
        if (apr_filepath_merge(&whole, NULL, conf, APR_FILEPATH_NATIVE, ctl->pool) != APR_SUCCESS) {
            return wh_ctl_error(ctl, "route: --conf %s is no path", conf);
        }
        APR_ARRAY_PUSH(ctl->httpd_args, const char *) = "-f";
        APR_ARRAY_PUSH(ctl->httpd_args, const char *) = whole;
    }
    wh_buf_init(&head, ctl->pool, 1024);
    wh_buf_adds(&head, "{");
    wh_json_put_member_int(&head, "webhook_route", 1);
    wh_json_put_member(&head, "endpoint", endpoint);
    wh_json_put_member(&head, "event", event);
    wh_json_put_member(&head, "sender_id", id);
    wh_json_put_member(&head, "method", method);
    wh_json_put_member(&head, "uri", url ? wh_ctl_uri(url) : NULL);
    if (put_headers(ctl, &head, headers)) {
        return WH_CTL_USAGE;
    }
    wh_json_put_member_int(&head, "body_length", (apr_int64_t)body.len);
    wh_buf_adds(&head, "}\n");
    if ((err = make_input(&input, &head, &body, ctl->pool)) != NULL
        || (err = wh_ctl_run_httpd(&answer, ctl, "WEBHOOK_ROUTE", input)) != NULL) {
        return wh_ctl_error(ctl, "%s", err);
    }
    return tell(ctl, answer);
}
