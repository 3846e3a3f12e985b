/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c: our section of mod_status: what every endpoint received and every handler did. Names come from the configuration and are
 * escaped all the same; the machine-readable form (?auto) has one "Name: value" line per counter.
 */
#include "httpd/request.h"

#include "http_core.h"
#include "http_protocol.h"
#include "mod_status.h"
#include "apr_lib.h"
#include "apr_strings.h"

APLOG_USE_MODULE(webhook);

#define FMT "%" APR_UINT64_T_FMT

static uint64_t read_counter(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* A name in a "Name: value" line: white space, colons and control bytes become '_', so that the line still splits in one way. */
static const char *auto_name(apr_pool_t *p, const char *name)
{
    char *out = apr_pstrdup(p, name), *c;
    for (c = out; *c; c++) {
        if (apr_iscntrl(*c) || apr_isspace(*c) || *c == ':') {
            *c = '_';
        }
    }
    return out;
}

static void print_auto(request_rec *r, wh_counters *c)
{
    uint32_t i;
    int n;

    ap_rprintf(r, "WebhookCommits: " FMT "\nWebhookCommitted: " FMT "\nWebhookStoreErrors: " FMT "\nWebhookDispatcherStarts: " FMT "\n",
               read_counter(&c->commits), read_counter(&c->commit_items), read_counter(&c->store_errors),
               read_counter(&c->dispatcher_starts));
    for (i = 0; i < c->endpoint_count; i++) {
        wh_endpoint_counters *e = wh_counters_endpoint(c, (int)i);
        const char *name = auto_name(r->pool, e->name);
#define WH_X(member, help) ap_rprintf(r, "WebhookEndpoint[%s]." #member ": " FMT "\n", name, read_counter(&e->member));
        WH_ENDPOINT_COUNTERS(WH_X)
#undef WH_X
        for (n = 0; n < WH_REFUSAL_COUNT; n++) {
            uint64_t count = read_counter(&e->reason[n]);
            if (count) {
                ap_rprintf(r, "WebhookEndpoint[%s].refused.%s: " FMT "\n", name, wh_refusal_table[n].code, count);
            }
        }
    }
    for (i = 0; i < c->handler_count; i++) {
        wh_handler_counters *h = wh_counters_handler(c, (int)i);
        const char *name = auto_name(r->pool, h->name);
#define WH_X(member, help) ap_rprintf(r, "WebhookHandler[%s]." #member ": " FMT "\n", name, read_counter(&h->member));
        WH_HANDLER_COUNTERS(WH_X)
#undef WH_X
    }
}

static void print_html(request_rec *r, wh_counters *c)
{
    uint32_t i;
    int n;

    ap_rputs("<hr />\n<h2>Webhooks</h2>\n", r);
    ap_rprintf(r, "<dl><dt>" FMT " deliveries in " FMT " commits, " FMT " store errors, " FMT " dispatcher starts</dt></dl>\n",
               read_counter(&c->commit_items), read_counter(&c->commits), read_counter(&c->store_errors),
               read_counter(&c->dispatcher_starts));
    ap_rputs("<table border=\"0\"><tr><th>Endpoint</th>", r);
#define WH_X(member, help) ap_rputs("<th title=\"" help "\">" #member "</th>", r);
    WH_ENDPOINT_COUNTERS(WH_X)
#undef WH_X
    ap_rputs("<th>reasons</th></tr>\n", r);
    for (i = 0; i < c->endpoint_count; i++) {
        wh_endpoint_counters *e = wh_counters_endpoint(c, (int)i);
        ap_rvputs(r, "<tr><td>", ap_escape_html(r->pool, e->name), "</td>", NULL);
#define WH_X(member, help) ap_rprintf(r, "<td>" FMT "</td>", read_counter(&e->member));
        WH_ENDPOINT_COUNTERS(WH_X)
#undef WH_X
        ap_rputs("<td>", r);
        for (n = 0; n < WH_REFUSAL_COUNT; n++) {
            uint64_t count = read_counter(&e->reason[n]);
            if (count) {
                ap_rprintf(r, "%s " FMT "<br />", wh_refusal_table[n].code, count);
            }
        }
        ap_rputs("</td></tr>\n", r);
    }
    ap_rputs("</table>\n<table border=\"0\"><tr><th>Handler</th>", r);
#define WH_X(member, help) ap_rputs("<th title=\"" help "\">" #member "</th>", r);
    WH_HANDLER_COUNTERS(WH_X)
#undef WH_X
    ap_rputs("</tr>\n", r);
    for (i = 0; i < c->handler_count; i++) {
        wh_handler_counters *h = wh_counters_handler(c, (int)i);
        ap_rvputs(r, "<tr><td>", ap_escape_html(r->pool, h->name), "</td>", NULL);
#define WH_X(member, help) ap_rprintf(r, "<td>" FMT "</td>", read_counter(&h->member));
        WH_HANDLER_COUNTERS(WH_X)
#undef WH_X
        ap_rputs("</tr>\n", r);
    }
    ap_rputs("</table>\n", r);
}

int wh_status_hook(request_rec *r, int flags)
{
    wh_counters *c = wh_conf_global(r->server)->counters;
    if (!c) {
        return OK;
    }
    if (flags & AP_STATUS_SHORT) {
        print_auto(r, c);
    }
    else {
        print_html(r, c);
    }
    return OK;
}
