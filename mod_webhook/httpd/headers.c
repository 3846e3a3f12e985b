/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headers.c: no control character of a payload reaches a header. Our own templates refuse such values; other modules' directives take
 * texts of expressions as they are, and what they make of them depends:
 *
 *   RequestHeader set X "expr=%{webhook_json:/a}"   httpd hands it on to an application or an upstream, line ends too: the sender would
 *                                                   write headers, or whole requests, behind the gate
 *   Header set X "expr=%{webhook_json:/a}"          httpd answers 500 in place of the response: a delivery that was accepted would look
 *                                                   like one that was not, each time it is sent again
 *
 * Each such character becomes a blank, as RFC 9110 section 5.5 has it for recipients. Only where an expression asked for the payload: headers
 * that came over the network hold none.
 */
#include "httpd/request.h"

#include "http_log.h"
#include "apr_strings.h"
#include "util_filter.h"

APLOG_USE_MODULE(webhook);

static ap_filter_rec_t *clean_filter;

static int is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

/* Values are replaced, never changed in place: they may be somebody's constant. */
static void clean_table(request_rec *r, apr_table_t *headers, const char *what)
{
    const apr_array_header_t *all = apr_table_elts(headers);
    apr_table_entry_t *entry = (apr_table_entry_t *)all->elts;
    char *c;
    int i;

    for (i = 0; i < all->nelts; i++, entry++) {
        for (c = entry->val; *c && !is_control(*c); c++) {
            continue;
        }
        if (!*c) {
            continue;
        }
        entry->val = apr_pstrdup(r->pool, entry->val);
        for (c = entry->val; *c; c++) {
            *c = is_control(*c) ? ' ' : *c;
        }
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "WH0314: control characters in the %s header %s are blanks now", what, entry->key);
    }
}

static int asked_for_payload(const request_rec *r)
{
    const wh_req *wq = wh_req_find(r);
    return wq && wq->payload;
}

void wh_headers_clean_request(request_rec *r)
{
    if (asked_for_payload(r)) {
        clean_table(r, r->headers_in, "request");
    }
}

/* Below mod_headers' filter, above the one that writes the header. */
static apr_status_t clean_response(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;

    ap_remove_output_filter(f);
    if (asked_for_payload(r)) {
        clean_table(r, r->headers_out, "response");
        clean_table(r, r->err_headers_out, "response");
    }
    return ap_pass_brigade(f->next, bb);
}

void wh_headers_insert_filter(request_rec *r)
{
    const wh_req *wq = r->main ? NULL : wh_req_find(r);

    if (wq && wq->state == WH_ACCEPTED) {
        ap_add_output_filter_handle(clean_filter, NULL, r, r->connection);
    }
}

void wh_headers_register(apr_pool_t *p)
{
    (void)p;
    clean_filter = ap_register_output_filter("WEBHOOK_HEADERS", clean_response, NULL, AP_FTYPE_PROTOCOL - 1);
}
