/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhookctl.c: the command-line tool: options common to all commands, the table of commands, help.
 */
#include "ctl/settings.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <curl/curl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/json.h"

#ifndef WH_VERSION
#define WH_VERSION "unknown"
#endif

static wh_ctl_command endpoints_command, version_command, help_command;

static const struct command {
    const char *name;
    wh_ctl_command *run;
    const char *synopsis;
    const char *help;
} commands[] = {
    {"send", wh_ctl_send, "ENDPOINT [--url URL] [--id ID] [--event NAME] [--secret SPEC] [--method M] [--header 'N: V']... FILE|-",
     "sign a body as the endpoint's sender would, POST it, show the answer"},
    {"sign", wh_ctl_sign, "SCHEME [option=value]... --secret SPEC [--method M] [--url URL] [--id ID] [--event NAME] [--now T] [--body FILE|-]",
     "print the headers a sender of this scheme would send"},
    {"verify", wh_ctl_verify,
     "SCHEME [option=value]... --secret SPEC... [--method M] [--url URL] [--header 'N: V']... [--now T] [--body FILE|-] | --vectors FILE",
     "check a request as the module would: accepted, or refused and why"},
    {"schemes", wh_ctl_schemes, "[NAME]", "schemes and presets with their parameters"},
    {"endpoints", endpoints_command, "", "endpoints of the server's configuration"},
    {"route", wh_ctl_route,
     "--endpoint NAME [--conf FILE] [--header 'N: V']... [--event E] [--id ID] [--method M] [--url URL] FILE|-",
     "try the endpoint's rules on a body: which match and why, and who would get it"},
    {"list", wh_ctl_list,
     "[--endpoint E] [--state S] [--handler H] [--event V] [--since T] [--before T] [--after ID] [--oldest] [--limit N]",
     "deliveries, newest first"},
    {"show", wh_ctl_show, "ID [--body] [--unmasked]",
     "one delivery with its jobs, attempts and headers; --body prints the received bytes alone; --json --unmasked shows credentials"},
    {"replay", wh_ctl_replay, "ID [--handler H]", "a new attempt of a delivery's jobs, with the same delivery id"},
    {"tail", wh_ctl_tail, "[--endpoint E] [--lines N] [--once]", "deliveries as they come in"},
    {"stats", wh_ctl_stats, "", "the store's figures and the server's counters"},
    {"check", wh_ctl_check, "", "look for inconsistencies in the store"},
    {"validate", wh_ctl_validate,
     "--schema FILE [--draft 7|2019-09|2020-12] [--ref URI=DIR]... [--format-assert] [--content-assert] [--strict] FILE...",
     "documents against a JSON Schema: valid, or invalid with place and keyword"},
    {"version", version_command, "", "version of this tool"},
    {"help", help_command, "", "this text"},
};

static void print_help(FILE *f)
{
    size_t i;
    fprintf(f, "usage: webhookctl [option]... COMMAND [argument]...\n\n");
    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        fprintf(f, "  %s %s\n      %s\n", commands[i].name, commands[i].synopsis, commands[i].help);
    }
    fprintf(f, "\nOptions:\n"
               "  --httpd PROGRAM   the server's program (default: apachectl, apache2ctl, httpd or apache2)\n"
               "  -d ROOT, -f FILE, -D NAME   passed on to it: which configuration\n"
               "  --dump FILE       a saved configuration dump (PROGRAM -t -D DUMP_WEBHOOK >FILE) instead\n"
               "  --store TEXT      a store without any configuration, \"sqlite:/var/lib/webhook/queue.db\"\n"
               "  --json            machine-readable output, one JSON object a line\n"
               "\nExit status: 0 yes, 1 no (refused, not found, not 2xx), 2 unusable arguments or settings.\n");
}

static int help_command(wh_ctl *ctl, int argc, const char *const *argv)
{
    print_help(stdout);
    return WH_CTL_OK;
}

static int version_command(wh_ctl *ctl, int argc, const char *const *argv)
{
    printf("webhookctl %s\n", WH_VERSION);
    return WH_CTL_OK;
}

static int endpoints_command(wh_ctl *ctl, int argc, const char *const *argv)
{
    const wh_json_value *list, *e, *urls;
    apr_size_t i;

    if (!wh_ctl_dump(ctl)) {
        return WH_CTL_USAGE;
    }
    list = wh_json_get(wh_json_root(ctl->dump), "endpoints");
    for (i = 0; list && i < wh_json_size(list); i++) {
        const char *name, *scheme, *url;
        e = wh_json_at(list, i);
        urls = wh_json_get(e, "urls");
        name = wh_json_text(wh_json_get(e, "name"), ctl->pool);
        scheme = wh_json_text(wh_json_get(e, "scheme"), ctl->pool);
        url = urls && wh_json_size(urls) ? wh_json_text(wh_json_at(urls, 0), ctl->pool) : NULL;
        if (ctl->json) {
            wh_buf b;
            wh_buf_init(&b, ctl->pool, 256);
            wh_buf_adds(&b, "{");
            wh_json_put_member(&b, "name", name);
            wh_json_put_member(&b, "scheme", scheme);
            wh_json_put_member(&b, "url", url);
            puts(apr_pstrcat(ctl->pool, b.data, "}", NULL));
        }
        else {
            printf("%-32s %-20s %s\n", name, scheme, url ? url : "-");
        }
    }
    return WH_CTL_OK;
}

static void to_stderr(void *baton, int level, apr_status_t rv, const char *text)
{
    char why[200];
    fprintf(stderr, "%s: %s%s%s\n", (const char *)baton, text, rv ? ": " : "", rv ? apr_strerror(rv, why, sizeof(why)) : "");
}

/* Options before the command, and --json anywhere, are common to all. @return index of the command's name, or -1 */
static int common_options(wh_ctl *ctl, int argc, const char *const *argv)
{
    int i;
    for (i = 1; i < argc; i++) {
        const char *a = argv[i];
        int with_value = strcmp(a, "--httpd") == 0 || strcmp(a, "--dump") == 0 || strcmp(a, "--store") == 0 || strcmp(a, "-d") == 0
                         || strcmp(a, "-f") == 0 || strcmp(a, "-D") == 0;
        if (strcmp(a, "--json") == 0) {
            ctl->json = 1;
            continue;
        }
        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
            print_help(stdout);
            exit(WH_CTL_OK);
        }
        if (a[0] != '-') {
            return i;
        }
        if (!with_value) {
            wh_ctl_error(ctl, "unknown option %s (webhookctl help)", a);
            return -1;
        }
        if (++i == argc) {
            wh_ctl_error(ctl, "%s needs a value", a);
            return -1;
        }
        if (strcmp(a, "--httpd") == 0) {
            ctl->httpd = argv[i];
        }
        else if (strcmp(a, "--dump") == 0) {
            ctl->dump_file = argv[i];
        }
        else if (strcmp(a, "--store") == 0) {
            ctl->store_text = argv[i];
        }
        else {
            APR_ARRAY_PUSH(ctl->httpd_args, const char *) = a;
            APR_ARRAY_PUSH(ctl->httpd_args, const char *) = argv[i];
        }
    }
    print_help(stderr);
    return -1;
}

int main(int argc, const char *const *argv, const char *const *env)
{
    wh_ctl ctl = {0};
    const char **rest;
    int at, n = 0, rc;
    size_t i;

    if (apr_app_initialize(&argc, &argv, &env) != APR_SUCCESS) {
        return WH_CTL_USAGE;
    }
    atexit(apr_terminate);
    curl_global_init(CURL_GLOBAL_ALL);
    apr_pool_create(&ctl.pool, NULL);
    ctl.program = "webhookctl";
    ctl.httpd_args = apr_array_make(ctl.pool, 4, sizeof(char *));
    wh_log_set(to_stderr, apr_pstrdup(ctl.pool, ctl.program), WH_LOG_WARNING);
    at = common_options(&ctl, argc, argv);
    if (at < 0) {
        return WH_CTL_USAGE;
    }
    rest = apr_pcalloc(ctl.pool, sizeof(*rest) * (apr_size_t)(argc - at + 1));
    for (; at < argc; at++) {
        if (strcmp(argv[at], "--json") == 0) {
            ctl.json = 1;
        }
        else {
            rest[n++] = argv[at];
        }
    }
    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, rest[0]) == 0) {
            rc = commands[i].run(&ctl, n, rest);
            if (fflush(stdout) != 0) {
                rc = WH_CTL_USAGE;
            }
            return rc;
        }
    }
    return wh_ctl_error(&ctl, "unknown command \"%s\" (webhookctl help)", rest[0]);
}
