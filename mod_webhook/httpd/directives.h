/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directives.h: what the files with directives share. Private to httpd/: directives.c, route_directives.c,
 * server_directives.c, containers.c, dump.c.
 * Error texts are from cmd->pool, name the directive, what was given and what is allowed.
 */
#ifndef WH_HTTPD_DIRECTIVES_H
#define WH_HTTPD_DIRECTIVES_H

#include "httpd/config.h"

/** What every per-section setter does first: refuses the wrong places; the first directive of ours in a section puts the section on
 *  check_config's list. @return NULL or an error text */
const char *wh_cmd_enter(cmd_parms *cmd, wh_dir_conf *c);
/** Words "name=value" as options. @return NULL or an error text */
const char *wh_cmd_options(cmd_parms *cmd, apr_array_header_t **options, int argc, char *const argv[]);
/** A size or duration within bounds. @param what names the value in the message. @return NULL or an error text */
const char *wh_cmd_size(cmd_parms *cmd, const char *arg, apr_int64_t min, apr_int64_t max, apr_int64_t *out);
const char *wh_cmd_duration(cmd_parms *cmd, const char *what, const char *arg, apr_interval_time_t min, apr_interval_time_t max,
                            apr_interval_time_t *out);
/** Put a NULL behind the last word of a list, which does not count. */
void wh_cmd_end_list(apr_array_header_t *words);
/** What follows "kind:" or "name=" in a word; NULL if it does not begin so. */
const char *wh_cmd_behind(const char *word, const char *kind);
/** Whether an option of a scheme may carry a secret of the sender's making (verify-token=...): shown by name alone. */
int wh_cmd_is_sensitive(const char *name);

/* payload_directives.c */
const char *wh_set_content_types(cmd_parms *cmd, void *mconfig, int argc, char *const argv[]);
const char *wh_set_payload(cmd_parms *cmd, void *mconfig, const char *arg);
const char *wh_set_decode(cmd_parms *cmd, void *mconfig, int argc, char *const argv[]);
const char *wh_set_validate(cmd_parms *cmd, void *mconfig, int argc, char *const argv[]);

/* server_directives.c */
const char *wh_set_store(cmd_parms *cmd, void *mconfig, int argc, char *const argv[]);
const char *wh_set_body_memory(cmd_parms *cmd, void *mconfig, const char *arg);
const char *wh_set_log(cmd_parms *cmd, void *mconfig, int argc, char *const argv[]);
const char *wh_set_drain(cmd_parms *cmd, void *mconfig, const char *arg);

/* route_directives.c */
const char *wh_set_deliver(cmd_parms *cmd, void *mconfig, const char *args);
const char *wh_set_drop(cmd_parms *cmd, void *mconfig, const char *args);
const char *wh_set_route(cmd_parms *cmd, void *mconfig, const char *arg);
/** seen.c: what an expression of a rule finds when it is parsed; while rules are tried out, it writes down (wh_req.seen) what it is asked. */
int wh_rule_lookup(ap_expr_lookup_parms *parms);

/* containers.c */
/** <WebhookEndpoint name> and <WebhookHandler name>. */
const char *wh_endpoint_section(cmd_parms *cmd, void *mconfig, const char *arg);
const char *wh_handler_section(cmd_parms *cmd, void *mconfig, const char *arg);
/** WebhookSend, WebhookSendHeader, WebhookSendBody and WebhookRetry, inside <WebhookHandler>. */
const char *wh_set_send_header(cmd_parms *cmd, void *mconfig, const char *name, const char *value);
const char *wh_set_send_body(cmd_parms *cmd, void *mconfig, const char *type, const char *text);
const char *wh_set_send(cmd_parms *cmd, void *mconfig, int argc, char *const argv[]);
const char *wh_set_retry(cmd_parms *cmd, void *mconfig, int argc, char *const argv[]);

#endif
