/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h: what the directives become. Everything is allocated from pconf and immutable after check_config; request-time merges are
 * allocated from r->pool by httpd.
 *
 * Three kinds of records:
 *   wh_global      one per configuration generation: handlers, store, log, all sections seen. Hangs on the main server's wh_server_conf.
 *   wh_server_conf per virtual host: what a vhost may say for all of its endpoints.
 *   wh_dir_conf    per section (<Location>, <Directory>..., <WebhookEndpoint>): the endpoint's settings. Members are unset (NULL, WH_UNSET)
 *                  until written; defaults are applied by the wh_conf_* getters alone.
 *
 * Merging: plain members: the inner section wins. Whole records (never mixed member by member): `auth` (WebhookVerify with its
 * WebhookSecret lines), `rules` (WebhookDeliver lines), `drops` (WebhookDrop lines), `methods`, `content_types`, `decode`, `validate`
 * (WebhookValidate lines), `answer`, `tls`, `duplicates` with `window`. A section with WebhookUse takes what it does not say itself from
 * the named endpoint, before what enclosing sections say: check_config makes that record once (`flat`), and every merge takes it in place
 * of the section.
 */
#ifndef WH_HTTPD_CONFIG_H
#define WH_HTTPD_CONFIG_H

#include "httpd.h"
#include "http_config.h"
#include "ap_expr.h"
#include "apr_hash.h"

#include "core/counters.h"
#include "core/delivery_log.h"
#include "core/secret.h"
#include "dispatch/dispatch.h"
#include "store/store.h"
#include "webhook_provider.h"

#define WH_UNSET (-1)

/* Directive names: defined once, used by the table, by messages and by the manual's guard. */
#define WH_D_VERIFY "WebhookVerify"
#define WH_D_SECRET "WebhookSecret"
#define WH_D_DELIVER "WebhookDeliver"
#define WH_D_DROP "WebhookDrop"
#define WH_D_ROUTE "WebhookRoute"
#define WH_D_GATE "WebhookGate"
#define WH_D_USE "WebhookUse"
#define WH_D_NAME "WebhookName"
#define WH_D_METHODS "WebhookMethods"
#define WH_D_CONTENT_TYPES "WebhookContentTypes"
#define WH_D_PAYLOAD "WebhookPayload"
#define WH_D_DECODE "WebhookDecode"
#define WH_D_VALIDATE "WebhookValidate"
#define WH_D_BODY_LIMIT "WebhookBodyLimit"
#define WH_D_BODY_TIMEOUT "WebhookBodyTimeout"
#define WH_D_ANSWER "WebhookAnswer"
#define WH_D_DUPLICATES "WebhookDuplicates"
#define WH_D_ENFORCE "WebhookEnforce"
#define WH_D_REQUIRE_TLS "WebhookRequireTLS"
#define WH_D_STORE "WebhookStore"
#define WH_D_BODY_MEMORY "WebhookBodyMemory"
#define WH_D_LOG "WebhookLog"
#define WH_D_DRAIN_TIMEOUT "WebhookDrainTimeout"
#define WH_D_FETCH "WebhookFetch"
#define WH_D_SEND "WebhookSend"
#define WH_D_RETRY "WebhookRetry"
#define WH_D_SEND_HEADER "WebhookSendHeader"
#define WH_D_SEND_BODY "WebhookSendBody"
#define WH_D_ENDPOINT "<WebhookEndpoint"
#define WH_D_HANDLER "<WebhookHandler"


typedef enum wh_route { WH_ROUTE_ALL = 0, WH_ROUTE_FIRST = 1 } wh_route;
typedef enum wh_duplicates { WH_DUPLICATES_ANSWER = 0, WH_DUPLICATES_REJECT, WH_DUPLICATES_OFF } wh_duplicates;

/** One WebhookSecret line. */
typedef struct wh_secret_spec {
    const char *id;    /* given, or "1", "2", ... */
    const char *spec;  /* "file:/path", "env:NAME", "exec:/path ...", or "inline" (the literal is not kept here) */
    const char *path;  /* of file: (absolute), else NULL */
    const char *literal; /* inline: until check_config has taken it, then NULL and wiped; else NULL */
    apr_time_t from, until;
    webhook_secret *secret; /* loaded at configuration; NULL under a mere dump, and exec: at anything but a real start */
    wh_secret_stamp stamp;  /* of file: as it was read */
    int live;          /* file: readable by the server's user: reloaded when it changes */
    const char *conf_file;
    int conf_line;
} wh_secret_spec;

/** WebhookVerify with its secrets: what makes a section an endpoint. Shared by all requests, read-only but for `current`. */
typedef struct wh_auth {
    const char *name;   /* endpoint name: <WebhookEndpoint name>, WebhookName, else server name + path */
    const char *scheme; /* as written */
    const webhook_verifier_provider *provider;
    webhook_verifier *verifier;
    const webhook_scheme_traits *traits;
    apr_array_header_t *options; /* webhook_option, as written, for the dump */
    apr_array_header_t *secrets; /* wh_secret_spec * */
    const webhook_secrets *loaded; /* what check_config loaded; live reloads publish through httpd/secret.c */
    int counter;        /* index of the endpoint's counter block */
    const char *file;
    int line;
    server_rec *server; /* where it was defined */
    struct wh_live_secrets *live; /* httpd/secret.c's; NULL when nothing reloads */
} wh_auth;

/** One WebhookDeliver or WebhookDrop line. */
typedef struct wh_rule {
    const char *handler;        /* name or inline text; NULL: WebhookDrop */
    const wh_handler_def *def;  /* resolved in check_config; NULL: WebhookDrop */
    int otherwise;              /* "default": counts when no rule without it matched */
    ap_expr_info_t *expr;       /* NULL: always */
    const char *expr_text;      /* as written, NULL */
    const char *file;
    int line;
} wh_rule;

/** One WebhookDecode line: which content codings are undone. */
typedef struct wh_decoding {
    int codings;           /* WH_CODING_ bits of validate/inflate.h; 0: off */
    int over_decoded;      /* the signature covers the decoded bytes: 1 yes, 0 no, WH_UNSET: what the scheme says */
    apr_int64_t limit;     /* most bytes after decoding; WH_UNSET: the body's limit */
    int ratio;
} wh_decoding;

/** One WebhookValidate line. */
typedef struct wh_validation {
    const char *event;     /* of which event; NULL: of all that no other line names */
    const char *file;      /* of the schema; NULL: any JSON */
    const struct wh_schema *schema;
    int report;            /* log and count only */
    const char *text;      /* options as written, for the dump */
    const char *conf_file;
    int conf_line;
} wh_validation;

typedef struct wh_answer {
    int status;               /* 200 to 299 */
    const char *content_type; /* NULL: application/json with {"id":...} */
    const char *body;         /* NULL: the default body; "" : empty */
} wh_answer;

/** WebhookRequireTLS: refuse what did not come over TLS. */
typedef struct wh_tls {
    int required;
    apr_array_header_t *proxies;     /* apr_ipsubnet_t *: peers that are believed about their clients; NULL: none */
    apr_array_header_t *proxy_texts; /* const char *, as written */
} wh_tls;

/*
 * What merges: type, member, unset value. One list makes the declaration, the unset record and the merge, so that none can be forgotten.
 *   auth           WebhookVerify and WebhookSecret
 *   rules, drops   wh_rule *: WebhookDeliver, WebhookDrop
 *   methods        const char *, with a NULL behind the last
 *   content_types  the same; lower case, as validate/media.h has them
 *   validate       wh_validation *; empty: off
 *   payload_field  name of the field with the JSON; "": the body itself
 *   gate           0 or 1
 *   enforce        0: report only, requests that fail verification pass, marked as unverified; 1
 *   route          wh_route
 *   duplicates     wh_duplicates; window belongs to it and is set with it: 0 is the default window
 */
#define WH_DIR_MEMBERS(X)                               \
    X(wh_auth *, auth, NULL)                            \
    X(apr_array_header_t *, rules, NULL)                \
    X(apr_array_header_t *, drops, NULL)                \
    X(wh_answer *, answer, NULL)                        \
    X(apr_array_header_t *, methods, NULL)              \
    X(apr_array_header_t *, content_types, NULL)        \
    X(const char *, payload_field, NULL)                \
    X(wh_decoding *, decode, NULL)                      \
    X(apr_array_header_t *, validate, NULL)             \
    X(int, gate, WH_UNSET)                              \
    X(int, enforce, WH_UNSET)                           \
    X(wh_tls *, tls, NULL)                              \
    X(int, route, WH_UNSET)                             \
    X(int, duplicates, WH_UNSET)                        \
    X(apr_interval_time_t, window, WH_UNSET)            \
    X(apr_interval_time_t, body_timeout, WH_UNSET)      \
    X(apr_int64_t, body_limit, WH_UNSET)

typedef struct wh_dir_conf {
#define WH_X(type, member, unset) type member;
    WH_DIR_MEMBERS(WH_X)
#undef WH_X
    /* The rest describes one section and is never merged: after a merge it is the innermost section's. */
    const char *file;      /* where the section was written; NULL until a directive of ours was seen in it */
    int line;
    const char *path;      /* section's path, NULL in the server context */
    const char *name;      /* WebhookName, or the name of a <WebhookEndpoint> */
    const char *use;       /* WebhookUse: endpoint name */
    int use_line;
    apr_array_header_t *secrets;    /* wh_secret_spec *: bound to auth in check_config, in whatever order they were written */
    const struct wh_dir_conf *used; /* resolved in check_config */
    const struct wh_dir_conf *flat; /* this section over the one it uses; NULL: without WebhookUse */
    struct wh_handler_words *words; /* inside <WebhookHandler>: directives.c's */
} wh_dir_conf;

typedef struct wh_server_conf {
    apr_hash_t *endpoints;   /* name -> wh_dir_conf *, of <WebhookEndpoint> in this server (vhosts see the main server's too) */
    apr_int64_t body_memory; /* WebhookBodyMemory; WH_UNSET */
    struct wh_global *global; /* same pointer in every server of a generation */
} wh_server_conf;

/** A section of the configuration with a directive of ours: what check_config walks over. */
typedef struct wh_section {
    server_rec *server;
    wh_dir_conf *conf;
    const char *directive;         /* "<Location", ..., "<WebhookEndpoint"; NULL: server context */
    const ap_directive_t *container; /* its node in the configuration tree, NULL in the server context */
    const wh_dir_conf *effective;  /* made in check_config: over every section that surely encloses it; never NULL then */
} wh_section;

typedef struct wh_global {
    apr_pool_t *pconf;
    server_rec *main_server;
    apr_array_header_t *sections;   /* wh_section * */
    apr_hash_t *handlers_by_name;   /* name -> wh_handler_def * */
    apr_array_header_t *handlers;   /* wh_handler_def *, named and inline, in order */
    apr_array_header_t *auths;      /* wh_auth *, in order; index = counter index */
    int store_set;                  /* WebhookStore was written */
    int store_none;                 /* WebhookStore none */
    const wh_store_spec *store_spec; /* NULL: no store; the three below are its parts */
    const webhook_store_provider *store;
    const webhook_store_conf *store_conf;
    const char *store_text;         /* "sqlite:/absolute/path" */
    apr_array_header_t *store_options; /* webhook_option, as written, for the dump; may be NULL */
    int delivers;                   /* a store and a dispatcher are needed: some endpoint is not a gate, or jobs may wait */
    const char *log_target;         /* WebhookLog: absolute path, or "|program"; NULL: off */
    wh_delivery_log log;            /* opened in open_logs */
    apr_interval_time_t drain_max;  /* WebhookDrainTimeout; default 1 h */
    int fetch_set;                  /* WebhookFetch was written */
    wh_fetch_conf fetch;            /* what it says, and which endpoints have keys that live elsewhere (sources NULL: none) */
    const char *counters_path;      /* file behind the counters, NULL: anonymous memory */
    wh_counters *counters;          /* mapped in post_config */
    apr_hash_t *schemas;            /* compiled ones by file and options: wh_schema *; NULL without any */
    apr_array_header_t *notes;      /* wh_note: what check_config wants said once the error log is open */
} wh_global;

extern module AP_MODULE_DECLARE_DATA webhook_module;

/* ---- config.c: create, merge, getters (defaults live here and nowhere else) ---- */
void *wh_create_dir_conf(apr_pool_t *p, char *path);
void *wh_merge_dir_conf(apr_pool_t *p, void *outer, void *inner);
void *wh_create_server_conf(apr_pool_t *p, server_rec *s);
void *wh_merge_server_conf(apr_pool_t *p, void *base, void *vhost);

/** Never NULL once the module is loaded; the same for all servers of a generation. */
wh_global *wh_conf_global(const server_rec *s);
const wh_server_conf *wh_conf_server(const server_rec *s);

/** The endpoint settings in force for a merged per-dir record: WebhookUse resolved. Allocates nothing. Never NULL; ->auth NULL means: no
 *  endpoint here. */
const wh_dir_conf *wh_conf_effective(const wh_dir_conf *c);

apr_off_t wh_conf_body_limit(const wh_dir_conf *c);           /* own, else the scheme's, else 1 MiB */
apr_interval_time_t wh_conf_body_timeout(const wh_dir_conf *c); /* 20 s */
apr_size_t wh_conf_body_memory(const wh_server_conf *sc);     /* 64 KiB */
apr_interval_time_t wh_conf_window(const wh_dir_conf *c);     /* max(24 h, twice the scheme's window) */
int wh_conf_answer_status(const wh_dir_conf *c);              /* own, else the scheme's, else 202 */
const char *const *wh_conf_methods(const wh_dir_conf *c);       /* own, else the scheme's, else POST; NULL-terminated */
const char *const *wh_conf_content_types(const wh_dir_conf *c); /* own, else the scheme's, else JSON; NULL-terminated */
int wh_conf_enforces(const wh_dir_conf *c);                   /* 1 */
apr_off_t wh_conf_decoded_limit(const wh_dir_conf *c);        /* WebhookDecode's own, else the body's */
int wh_conf_signs_decoded(const wh_dir_conf *c);              /* whether bodies are decoded before they are verified */
const char *wh_conf_payload_field(const wh_dir_conf *c);      /* own, else the scheme's; NULL or "": none */

/* ---- directives.c, containers.c; their own business is in directives.h ---- */
extern const command_rec wh_directives[];
/** Make a handler of type and target; file targets are resolved against ServerRoot. @return NULL or an error text */
const char *wh_conf_define_handler(wh_handler_def **out, const char *name, const char *type, const char *target,
                                   const apr_array_header_t *options, apr_pool_t *pconf, apr_pool_t *ptemp);
/** template.c: compile what the handler's configuration holds of deliveries into def->templates. @return NULL or an error text from pconf that
 *  repeats the slot at fault */
const char *wh_templates_compile(wh_handler_def *def, apr_pool_t *pconf, apr_pool_t *ptemp);
/** Names of a provider group, "a, b, c", for messages. */
const char *wh_conf_provider_names(const char *group, apr_pool_t *p);

/* ---- transport.c ---- */
/** The words of WebhookRequireTLS. @return NULL or an error text without the directive's name */
const char *wh_tls_parse(wh_tls **out, int argc, char *const argv[], apr_pool_t *p);

/* ---- check.c ---- */
/** A warning or notice about the configuration. */
typedef struct wh_note {
    int level;
    server_rec *server;
    const char *text; /* with tag, vhost, file and line */
} wh_note;

/** check_config hook: resolves names, loads secrets, reports everything wrong with vhost, file and line. */
int wh_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);
/** open_logs hook, last: says check_config's notes once, at a real start, into the error log. (-t says them at once.) */
int wh_check_say_notes(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

/* ---- dump.c ---- */
/** test_config hook: -D DUMP_WEBHOOK prints the effective configuration as JSON without secrets; the format is described in dump.c. */
void wh_dump_config(apr_pool_t *pconf, server_rec *s);

/* ---- rehearse.c ---- */
/** test_config hook: -D WEBHOOK_ROUTE tries the rules of an endpoint on a request that is read from standard input; the formats are
 *  described in rehearse.c. */
void wh_rehearse(apr_pool_t *pconf, server_rec *s);

/* ---- secret.c ---- */
/**
 * Read what a WebhookSecret says into spec->secret (not prepared) and spec->live.
 * @param real_start exec: runs only then; else it is only looked at and spec->secret stays NULL
 * @param warning answer, NULL if none (permissions, outer white space)
 * @return NULL or an error text without the secret
 */
const char *wh_secret_load(wh_secret_spec *spec, int real_start, const char **warning, apr_pool_t *pconf, apr_pool_t *ptemp);
/** All secrets of an endpoint were loaded and prepared: make what live reloading needs. */
void wh_secret_publish(wh_auth *auth, apr_pool_t *pconf);
/** The secrets to verify with now: valid by time, live files re-read when they changed (stat at most once a second per process). The
 *  array lives at least as long as p; its count may be 0 (none is valid at this moment). Any thread. */
const webhook_secrets *wh_secrets_now(const wh_auth *auth, apr_time_t now, apr_pool_t *p);
/** child_init: what secret.c needs per process. */
void wh_secret_child_init(apr_pool_t *pchild, server_rec *s);

#endif
