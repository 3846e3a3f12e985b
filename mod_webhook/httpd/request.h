/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h: what our phases know of one request, and the functions they call on each other. One wh_req per endpoint a request reached,
 * in r->request_config, allocated from r->pool; internal redirects find it again through r->prev and share it.
 *
 * The phases, in httpd's order:
 *
 *   post_read_request    spoofed X-Webhook-* headers out; after an internal redirect: variables and replayed body in again
 *   access_checker       TLS, method, content coding and media type, declared length, required headers, timestamp: nothing of the body is read
 *   check_authn          AuthType Webhook: body, signature, WebhookValidate
 *   fixups               the same where nobody asked yet; the refusal again where one is (Satisfy Any ignores the earlier one)
 *   insert_filter        the replay filter, where a body was verified; the filter over the response's headers
 *   handler              the last gate: nothing runs behind a gate, and nothing is accepted, without a verdict for this very endpoint;
 *                        handshakes are answered; rules, templates, the store, the answer
 *   insert_error_filter  the form of a refusal: problem+json, unless the admin's ErrorDocument wins
 *
 * No phase writes to the client but the handler; the others answer with a status and leave the form to insert_error_filter, so that
 * every way through httpd's core (Satisfy Any, authz, ErrorDocument) ends in one form.
 */
#ifndef WH_HTTPD_REQUEST_H
#define WH_HTTPD_REQUEST_H

#include "httpd/config.h"

#include "apr_mmap.h"

#include "core/json.h"
#include "core/reasons.h"
#include "validate/payload.h"

typedef enum wh_verdict_state {
    WH_UNDECIDED = 0,
    WH_ACCEPTED,
    WH_HANDSHAKE, /* only the reply is to be sent; the request may be unsigned */
    WH_REFUSED
} wh_verdict_state;

typedef struct wh_body {
    webhook_slice data;          /* the received bytes, contiguous: memory, or a mapping of the temporary file; lives with r->pool */
    apr_off_t len;
    apr_mmap_t *map;             /* of the temporary file (nameless, closed again), or NULL */
    int complete;                /* EOS was seen */
} wh_body;

typedef struct wh_req {
    request_rec *r;              /* the request that was verified */
    const wh_dir_conf *conf;     /* effective settings */
    const ap_conf_vector_t *dir_config; /* what conf was made of */
    const wh_auth *auth;
    wh_endpoint_counters *count; /* of the endpoint; NULL without counters */
    char id[WEBHOOK_ID_LEN + 1]; /* request id = delivery id */
    apr_time_t now;
    wh_verdict_state state;
    webhook_request request;     /* what the verifier sees; body set once it is read */
    webhook_verdict verdict;
    webhook_reply reply;         /* with WH_HANDSHAKE */
    wh_refusal refusal;          /* refused: which */
    int status;                  /* refused: HTTP status; AP_FILTER_ERROR when a filter answered by itself */
    const char *reason;          /* refused: code */
    const char *detail;
    apr_interval_time_t retry_after;
    int unenforced;              /* WebhookEnforce Off: accepted although verification refused it; status, reason and detail say why */
    const wh_dir_conf *screened; /* the settings under which the gates before the body were passed; NULL: not yet */
    int body_taken;              /* the body was read under another endpoint: this one can never verify it */
    int body_read;               /* reading began */
    int passed;                  /* handed on to another handler: errors from here on are its own */
    const apr_table_t *headers_in; /* as received, when ours were set since; NULL: r->headers_in still is */
    wh_body body;
    wh_json_once json;           /* the body parsed, once somebody asked: the verifier or the payload */
    wh_payload_kind kind;        /* how the body is read, by its media type */
    webhook_slice content;       /* the body without its content coding, once `decoded` */
    int decoded;
    const apr_array_header_t *validated; /* the WebhookValidate lines it was held against */
    const char *invalid;         /* what a line with `report` let pass: reason code, pointer, keyword; NULL */
    const char *pointer, *keyword; /* refused by a schema: where and by what; NULL */
    const wh_payload *payload;   /* what it means, once somebody asked; payload.c's */
    int payload_wanted;          /* by a rule or the like, for which a broken one is a refusal */
    struct wh_pattern_budget *matching; /* what regular expressions of rules may still cost; NULL: none was asked */
    apr_array_header_t *seen;    /* const char *: what expressions asked of the request and got, for who wants to know; NULL: nobody */
} wh_req;

/* gate.c: the phases. Hook order matters where said.
 *   post_read_request  wh_hook_post_read           APR_HOOK_FIRST
 *   access_checker     wh_hook_access              APR_HOOK_FIRST, AP_AUTH_INTERNAL_PER_CONF
 *   check_authn        wh_hook_authn               APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF
 *   fixups             wh_hook_fixups              APR_HOOK_REALLY_FIRST, before mod_security2.c (which would read the body away)
 *   insert_filter      wh_hook_insert_filter       APR_HOOK_MIDDLE
 *   handler            wh_hook_handler             APR_HOOK_REALLY_FIRST: other modules' handlers at APR_HOOK_FIRST come after the gate
 *   insert_error_filter wh_hook_insert_error_filter APR_HOOK_LAST
 *   note_auth_failure  wh_hook_note_auth_failure   APR_HOOK_MIDDLE
 */
int wh_hook_access(request_rec *r);
int wh_hook_authn(request_rec *r);
int wh_hook_fixups(request_rec *r);
int wh_hook_post_read(request_rec *r);
int wh_hook_handler(request_rec *r);
void wh_hook_insert_filter(request_rec *r);

/* verdict.c: one verdict per request and endpoint */
/** The endpoint settings in force for this request; NULL without any, ->auth NULL: no endpoint. */
const wh_dir_conf *wh_conf_here(const request_rec *r);
/** The record of this request for the endpoint in force here (by its configuration alone), made on first use; a sub-request finds that of the
 *  request it belongs to, with the settings of that. NULL: no endpoint here. */
wh_req *wh_req_get(request_rec *r);
/** The record if there is one, looking at r, r->main and r->prev; never creates. For variables and logs. */
wh_req *wh_req_find(const request_rec *r);
/** The gates before the body (once for each place the request comes to). @return OK or an HTTP status (wq->reason set). */
int wh_req_screen(wh_req *wq);
/** The record of a request under these settings, which nobody else has yet: for wh_req_get() and for rehearsals. */
wh_req *wh_req_make(request_rec *r, const wh_dir_conf *conf);
/** Of the gates before the body those that every scheme has: method, media type, length. @return as wh_req_screen() */
int wh_req_screen_form(wh_req *wq);
/** Verify once (memoised): screens, reads the body. @return OK or an HTTP status (wq->reason set). */
int wh_req_verify(wh_req *wq);
/** Whether the request is known to be its sender's: accepted, by a scheme that verifies, and not merely let pass. */
int wh_req_proven(const wh_req *wq);
/** Whether an acceptance also counts for this sub-request: a verdict is shared by all places of one endpoint, and this one may demand TLS or
 *  a valid payload, or enforce what another did not. */
int wh_req_holds(const wh_req *wq, const request_rec *r);
/** The headers as they were received. */
const apr_table_t *wh_req_headers(const wh_req *wq);

/* payload.c: what the body means */
/** The payload, read on first use; `broken` says that it is not what its type says. Never NULL once the request is verified; NULL before
 *  and when it was refused. Lives with the request. */
const wh_payload *wh_req_payload(wh_req *wq);
/** The same for who decides about a broken one himself: not counted as asking. */
const wh_payload *wh_req_payload_read(wh_req *wq);
/** The JSON in it; NULL when there is none. */
const wh_json *wh_req_json(wh_req *wq);
/** A payload that something asked for and that is broken is a refusal, whatever came of the asking: to be called after rules and the like.
 *  @return OK or the status of the refusal */
int wh_req_payload_check(wh_req *wq);

/** The bytes the signature covers: those received, or those decoded. Only after the body was read. @return OK or a refusal's status */
int wh_req_signed_body(wh_req *wq, webhook_slice *out);

/* validate.c */
/** Hold the payload of a verified request against WebhookValidate, once. @return OK or the status of the refusal */
int wh_req_validate(wh_req *wq);

/* transport.c: WebhookRequireTLS (tls: may be NULL). @return NULL, or what speaks against the way the request came (r->pool) */
const char *wh_tls_fault(request_rec *r, const wh_tls *tls);

/* body.c: spool */
/** Read the whole body once, within limit and time. @return OK or a refusal's status (and wq->reason set) */
int wh_body_read(wh_req *wq);
/** child_init: finds the directory for temporary files. */
void wh_body_child_init(apr_pool_t *pchild);

/* replay.c: the filter that gives the verified bytes to whoever reads next */
void wh_replay_register(apr_pool_t *p);
/** Put the filter in, once per request_rec; a second reader after an internal redirect starts at the first byte again. */
void wh_replay_insert(wh_req *wq, request_rec *r);

/* headers.c: control characters of a payload, in headers that other modules' expressions make */
/** Blanks in their places in the request's headers, for whoever gets them next: before any handler. */
void wh_headers_clean_request(request_rec *r);
/** insert_filter and insert_error_filter: the same for the response's headers, as late as can be. */
void wh_headers_insert_filter(request_rec *r);
void wh_headers_register(apr_pool_t *p); /* the filter behind it */

/* refuse.c: the one way to refuse */
/** Decide a refusal (state, status, reason, headers, variables, counters, one log line, delivery log). @return the status to answer with */
int wh_refuse(wh_req *wq, wh_refusal refusal, const char *detail);
/** The same with a provider's verdict or a store's result. */
int wh_refuse_verdict(wh_req *wq, const webhook_verdict *v);
int wh_refuse_result(wh_req *wq, const webhook_result *res);
/** The same for a request without an endpoint. */
int wh_refuse_request(request_rec *r, wh_refusal refusal, const char *detail);
void wh_hook_insert_error_filter(request_rec *r);
int wh_hook_note_auth_failure(request_rec *r, const char *auth_type);
void wh_refuse_register(apr_pool_t *p); /* the filter behind it */

/* route.c: which handlers a verified request goes to, and with which values */
typedef enum wh_rule_result { WH_RULE_MATCHED, WH_RULE_NO_MATCH, WH_RULE_FAILED, WH_RULE_UNUSED } wh_rule_result;
/** What became of one rule, as it is decided; err: why it failed. */
typedef void wh_route_report(void *baton, const wh_rule *rule, wh_rule_result result, const char *err);
typedef struct wh_routing {
    apr_array_header_t *handlers; /* const char *: names, each once, in the order of the rules */
    apr_array_header_t *rules;    /* const wh_rule *: the rule that chose the handler of the same index */
    const webhook_slice *shapes;  /* of wh_templates_freeze(), by the index of their handlers */
    const char *kept_as;          /* without handlers: "unrouted" or "dropped", else NULL */
    const char *why;              /* without handlers: one sentence, with the rule that dropped it; else NULL. Lives with r->pool */
    wh_route_report *report;      /* in: told of each rule; may be NULL */
    void *baton;
} wh_routing;
/** Evaluate the rules of wq->conf for a verified request, then the templates of the handlers. Zero `to` before, but for report and baton.
 *  @return OK, or a refusal: no delivery may be lost to an expression that could not be evaluated, or to a payload that is not what it says */
int wh_route_choose(wh_req *wq, request_rec *r, wh_routing *to);

/* accept.c: store, answer */
int wh_accept(wh_req *wq, request_rec *r);
/** Send the handshake's reply. */
int wh_accept_handshake(wh_req *wq, request_rec *r);
/** child_init: opens the store for this process; calls wh_body_child_init too. */
void wh_accept_child_init(apr_pool_t *pchild, server_rec *s);

/* vars.c: variables, notes, authorization by event and key */
/** Registers the authorization providers webhook-event and webhook-key. */
void wh_vars_register(apr_pool_t *p);
typedef struct wh_variable {
    const char *name;
    const char *(*get)(const wh_req *wq); /* NULL: it has no value */
} wh_variable;
/** The variable of this name (any case); NULL if there is none. */
const wh_variable *wh_vars_find(const char *name);
/** Set WEBHOOK_* in subprocess_env and notes of r. */
void wh_vars_export(wh_req *wq, request_rec *r);
/** For gated requests: the X-Webhook-* request headers, Content-Length instead of Transfer-Encoding. */
void wh_vars_gate_headers(wh_req *wq, request_rec *r);
/** Remove what a client must not say for us: X-Webhook-Verified and the like, any case, '_' for '-'. */
void wh_vars_remove_spoofed(request_rec *r);

/* expr.c: what expressions can ask of a request */
/** Registers functions and operators of expressions. */
void wh_expr_register(void);
/** pre_config: items of LogFormat, when mod_log_config is there. */
void wh_expr_log_items(apr_pool_t *pconf);

/* template.c: values of a delivery in what handlers send */
/** Evaluate the templates of these handlers for a verified request. @return one shape per handler (data NULL: it has no templates) from r->pool;
 *  NULL when none has. A value that cannot be had is frozen as such: the job dies of it, the delivery does not */
const webhook_slice *wh_templates_freeze(wh_req *wq, request_rec *r, const char *const *handlers, int count);
/** The encoders as functions of expressions. */
void wh_templates_register(void);

/* daemon.c: sentinel, dispatcher, shared things */
void wh_daemon_wake(void); /* one byte to the dispatcher; never blocks */
int wh_daemon_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp);
int wh_daemon_open_logs(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);
int wh_daemon_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);
void wh_daemon_child_init(apr_pool_t *pchild, server_rec *s);
/** mod_status hook */
int wh_status_hook(request_rec *r, int flags);

#endif
