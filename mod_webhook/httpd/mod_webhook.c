/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_webhook.c: the module record and what hangs on httpd's hooks: a table of contents. What the module does is in the files named
 * behind each line; httpd calls modules by this file's name (<IfModule mod_webhook.c>).
 */
#include "httpd/config.h"
#include "httpd/request.h"

#include "ap_provider.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_status.h"

#include "verify/verify.h"

/* Built-in verifiers, handlers and stores come the way a third-party module's would. */
static void register_providers(apr_pool_t *p)
{
    const webhook_verifier_provider *v;
    const webhook_handler_provider *const *h;
    const webhook_store_provider *const *s;
    int i;

    for (i = 0; (v = wh_verifier_builtins(i)) != NULL; i++) {
        ap_register_provider(p, WEBHOOK_VERIFIER_GROUP, v->name, WEBHOOK_PROVIDER_VERSION, v);
    }
    for (h = wh_handler_builtins; *h; h++) {
        ap_register_provider(p, WEBHOOK_HANDLER_GROUP, (*h)->name, WEBHOOK_PROVIDER_VERSION, *h);
    }
    for (s = wh_store_builtins; *s; s++) {
        ap_register_provider(p, WEBHOOK_STORE_GROUP, (*s)->name, WEBHOOK_PROVIDER_VERSION, *s);
    }
}

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    APR_OPTIONAL_HOOK(ap, status_hook, wh_status_hook, NULL, NULL, APR_HOOK_MIDDLE); /* status.c */
    wh_expr_log_items(pconf);
    return wh_daemon_pre_config(pconf, plog, ptemp);
}

static void child_init(apr_pool_t *pchild, server_rec *s)
{
    wh_daemon_child_init(pchild, s); /* first: closes what a worker must not hold */
    wh_secret_child_init(pchild, s);
    wh_accept_child_init(pchild, s);
}

static void register_hooks(apr_pool_t *p)
{
    /* mod_security reads the body in its own fixups hook. */
    static const char *const before_body_readers[] = { "mod_security2.c", NULL };

    register_providers(p);

    /* configuration: check.c, dump.c, rehearse.c */
    ap_hook_check_config(wh_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(wh_dump_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(wh_rehearse, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_open_logs(wh_check_say_notes, NULL, NULL, APR_HOOK_LAST);

    /* processes: daemon.c. First, before mod_ssl reads private keys and before any thread. */
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_open_logs(wh_daemon_open_logs, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(wh_daemon_post_config, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_FIRST);

    /* requests: gate.c, in the order they run */
    ap_hook_post_read_request(wh_hook_post_read, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_check_access(wh_hook_access, NULL, NULL, APR_HOOK_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authn(wh_hook_authn, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(wh_hook_fixups, NULL, before_body_readers, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_filter(wh_hook_insert_filter, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(wh_hook_handler, NULL, NULL, APR_HOOK_REALLY_FIRST);

    /* what a payload must not bring into headers: headers.c */
    ap_hook_insert_filter(wh_headers_insert_filter, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(wh_headers_insert_filter, NULL, NULL, APR_HOOK_MIDDLE);
    wh_headers_register(p);

    /* one way to refuse: refuse.c */
    ap_hook_insert_error_filter(wh_hook_insert_error_filter, NULL, NULL, APR_HOOK_LAST);
    ap_hook_note_auth_failure(wh_hook_note_auth_failure, NULL, NULL, APR_HOOK_MIDDLE);
    wh_refuse_register(p);

    /* filters, authorization, expressions: replay.c, vars.c, expr.c, template.c */
    wh_replay_register(p);
    wh_vars_register(p);
    wh_expr_register();
    wh_templates_register();
}

AP_DECLARE_MODULE(webhook) = {
    STANDARD20_MODULE_STUFF,
    wh_create_dir_conf,
    wh_merge_dir_conf,
    wh_create_server_conf,
    wh_merge_server_conf,
    wh_directives,
    register_hooks,
#if defined(AP_MODULE_FLAG_NONE)
    AP_MODULE_FLAG_NONE
#endif
};
