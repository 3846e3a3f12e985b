/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h: what webhookctl knows of a server: its store, endpoints and secrets, read from the server's own configuration dump
 * (httpd -t -D DUMP_WEBHOOK), so that the tool and the server can never disagree.
 */
#ifndef WH_CTL_SETTINGS_H
#define WH_CTL_SETTINGS_H

#include <apr_file_io.h>
#include <apr_hash.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include "store/store.h"
#include "webhook_provider.h"

/** Exit codes of the tool. */
#define WH_CTL_OK 0
#define WH_CTL_NO 1    /* the answer is no: refused, not found, not 2xx */
#define WH_CTL_USAGE 2 /* unusable arguments or settings */

typedef struct wh_ctl {
    apr_pool_t *pool;
    const char *program;              /* argv[0]'s last part, for messages */
    const char *httpd;                /* --httpd; NULL: look for one */
    apr_array_header_t *httpd_args;   /* const char *: -d -f -D words to pass on */
    const char *dump_file;            /* --dump FILE instead of running httpd */
    const char *store_text;           /* --store, overrides the dump */
    int json;                         /* --json */
    struct wh_json *dump;             /* parsed, on demand */
    apr_hash_t *credentials;          /* what wh_ctl_credentials() found out: endpoint -> const char *const *, or an empty list */
} wh_ctl;

/** An endpoint as the tool uses it. */
typedef struct wh_ctl_endpoint {
    const char *name;
    const char *scheme;
    apr_array_header_t *options;      /* webhook_option */
    apr_array_header_t *urls;         /* const char * */
    apr_array_header_t *secret_ids;   /* const char * */
    apr_array_header_t *secret_specs; /* const char *: "file:/path", "env:NAME", "inline", "exec:..." */
} wh_ctl_endpoint;

/** Print "webhookctl: text" to standard error. @return WH_CTL_USAGE */
int wh_ctl_error(const wh_ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** The parsed dump. @return NULL after an error was printed */
struct wh_json *wh_ctl_dump(wh_ctl *ctl);

/**
 * Run the server's configuration test with a define and take what it prints on standard output. Its own words go to our standard error
 * when it fails.
 * @param input its standard input, an open file at its beginning; NULL: ours
 * @return error text
 */
const char *wh_ctl_run_httpd(webhook_slice *out, wh_ctl *ctl, const char *define, apr_file_t *input);

/** A file without a name that others could open; it leaves nothing on a disk. Lives in p. @return error text */
const char *wh_ctl_memory_file(apr_file_t **file, apr_pool_t *p);

/** Open the store, having become its owner when root. @param provider answer
 *  @return NULL after an error was printed */
webhook_store *wh_ctl_store(wh_ctl *ctl, const webhook_store_provider **provider);

/** Path of the server's counters, NULL if there are none. */
const char *wh_ctl_counters(wh_ctl *ctl);

/** An endpoint by name. @return NULL after an error was printed */
wh_ctl_endpoint *wh_ctl_find_endpoint(wh_ctl *ctl, const char *name);

/** The names the endpoint's scheme reads its signature or token from (webhook_scheme_traits.credentials), as far as the dump was read
 *  and tells. Looked for once. @return an empty list if nothing is known */
const char *const *wh_ctl_credentials(wh_ctl *ctl, const char *endpoint);

/**
 * A secret as the command line or the dump names it: "file:PATH", "env:NAME" or a literal, "inline:TEXT" for one that begins like
 * these. "id=NAME " in front replaces `id`.
 * @return error text; the secret is not prepared yet
 */
const char *wh_ctl_secret(webhook_secret **out, const char *spec, const char *id, apr_pool_t *p);

/** Whole file, or standard input for "-". @return error text */
const char *wh_ctl_read(webhook_slice *out, const char *path, apr_pool_t *p);

/** Path and query of a URL, or of what is a path already; "/" where there is none. Points into `url`. */
const char *wh_ctl_uri(const char *url);

/** Print text from the network or the store for a terminal: control bytes, C1 controls, bytes that are no UTF-8 and characters that
 *  change the direction of text become \xNN; newline and tab stay when `lines`. */
void wh_ctl_print(const char *text, apr_size_t len, int lines);

/** The same for a text on one line; NULL is "-". */
void wh_ctl_say(const char *text);

/** Print what the store said. @return WH_CTL_USAGE */
int wh_ctl_store_error(const wh_ctl *ctl, const webhook_result *res);

/* Commands. argv[0] is the command's name. @return exit code */
typedef int wh_ctl_command(wh_ctl *ctl, int argc, const char *const *argv);
wh_ctl_command wh_ctl_send, wh_ctl_verify, wh_ctl_sign, wh_ctl_schemes;                              /* requests.c */
wh_ctl_command wh_ctl_list, wh_ctl_show, wh_ctl_replay, wh_ctl_tail;                             /* queue.c */
wh_ctl_command wh_ctl_stats, wh_ctl_check;                                                       /* stats.c */
wh_ctl_command wh_ctl_route;                                                                     /* route.c */
wh_ctl_command wh_ctl_validate;                                                                  /* validate.c */

#endif
