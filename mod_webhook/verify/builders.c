/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builders.c: the five canonical forms no flat template can express.
 *
 *   {form-sorted}  Twilio: parameters sorted by name, name and value one after the other, repeated values once each
 *   {plivo}        Plivo v3: URL without query, '?', sorted query, '.', sorted parameters
 *   {contentful}   method, path with its query escaped, the headers named in x-contentful-signed-headers, body; one per line
 *   {sns}          Amazon SNS: the members that count by Type, "Name\nValue\n" each
 *   {atlassian}    Atlassian Connect's query string hash: method, path, sorted query
 */
#include "verify/scheme.h"

#include <apr_lib.h>
#include <stdlib.h>
#include <string.h>

/* Order of UTF-16 code units, which is JavaScript's: characters beyond U+FFFF come before U+E000 to U+FFFF. */
static int rank(unsigned char ch)
{
    return ch >= 0xf0 ? ch - 2 : ch == 0xee || ch == 0xef ? ch + 0x10 : ch;
}

static int compare_slices(webhook_slice a, webhook_slice b)
{
    apr_size_t i, n = a.len < b.len ? a.len : b.len;

    for (i = 0; i < n; i++) {
        if (a.data[i] != b.data[i]) return rank((unsigned char)a.data[i]) < rank((unsigned char)b.data[i]) ? -1 : 1;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static int compare_pairs(const void *x, const void *y)
{
    const wh_form_pair *a = x, *b = y;
    int by_name = compare_slices(a->name, b->name);

    return by_name ? by_name : compare_slices(a->value, b->value);
}

static wh_form_pair *sorted(const wh_form *form, apr_pool_t *p)
{
    wh_form_pair *list = apr_pmemdup(p, form->pairs, (apr_size_t)form->count * sizeof(*list) + (form->count ? 0 : 1));

    qsort(list, (size_t)form->count, sizeof(*list), compare_pairs);
    return list;
}

static wh_found done(const wh_buf *b, webhook_slice *out)
{
    out->data = b->data ? b->data : "";
    out->len = b->len;
    return WH_FOUND;
}

static wh_found form_sorted(wh_vctx *c, webhook_slice *out)
{
    const wh_form *form = wh_ctx_form(c); /* whatever the media type says: a body must not escape the signature by its label */
    wh_form_pair *list;
    wh_buf b;
    int i;

    if (!form) return WH_BROKEN;
    wh_buf_init(&b, c->p, c->req->body.len + 1);
    if (form->count) {
        list = sorted(form, c->p);
        for (i = 0; i < form->count; i++) {
            /* Nothing stands between a name and its value in what is signed; at least the sign between them must be there. */
            if (list[i].bare) return WH_BROKEN;
            if (i && compare_pairs(&list[i - 1], &list[i]) == 0) continue;
            wh_buf_add(&b, list[i].name.data, list[i].name.len);
            wh_buf_add(&b, list[i].value.data, list[i].value.len);
        }
    }
    return done(&b, out);
}

static wh_found plivo(wh_vctx *c, webhook_slice *out)
{
    const char *url = wh_ctx_url(c), *mark = strchr(url, '?');
    int has_form = strcmp(c->req->method, "GET") != 0 && c->req->body.len > 0, i;
    const wh_form *form = has_form ? wh_ctx_form(c) : NULL;
    wh_form query;
    webhook_slice qtext = { mark ? mark + 1 : "", mark ? strlen(mark + 1) : 0 };
    wh_form_pair *list;
    wh_buf b;

    if ((has_form && !form) || wh_form_parse(&query, qtext, c->p) != APR_SUCCESS) return WH_BROKEN;
    has_form = form && form->count > 0;
    wh_buf_init(&b, c->p, strlen(url) + c->req->body.len + 3);
    wh_buf_add(&b, url, mark ? (apr_size_t)(mark - url) : strlen(url));
    if (query.count || has_form) wh_buf_add(&b, "?", 1);
    if (query.count) {
        list = sorted(&query, c->p);
        for (i = 0; i < query.count; i++) {
            if (i) wh_buf_add(&b, "&", 1);
            wh_buf_add(&b, list[i].name.data, list[i].name.len);
            wh_buf_add(&b, "=", 1);
            wh_buf_add(&b, list[i].value.data, list[i].value.len);
        }
        if (has_form) wh_buf_add(&b, ".", 1);
    }
    if (has_form) {
        list = sorted(form, c->p);
        for (i = 0; i < form->count; i++) {
            wh_buf_add(&b, list[i].name.data, list[i].name.len);
            wh_buf_add(&b, list[i].value.data, list[i].value.len);
        }
    }
    return done(&b, out);
}

static void put_escape(wh_buf *b, unsigned char ch)
{
    static const char digits[] = "0123456789ABCDEF";
    char esc[3] = { '%', digits[ch >> 4], digits[ch & 15] };

    wh_buf_add(b, esc, 3);
}

/* ECMAScript's encodeURIComponent (keep is its unreserved marks) and encodeURI (reserved marks too) */
static void put_uri(wh_buf *b, const char *s, apr_size_t len, const char *keep)
{
    apr_size_t i;

    for (i = 0; i < len; i++) {
        if (apr_isalnum(s[i]) || (s[i] && strchr(keep, s[i]))) wh_buf_add(b, s + i, 1);
        else put_escape(b, (unsigned char)s[i]);
    }
}

#define KEEP_COMPONENT "-_.!~*'()"
#define KEEP_URI KEEP_COMPONENT ";/?:@&=+$,#"

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static wh_found contentful(wh_vctx *c, webhook_slice *out)
{
    wh_locator loc = { .kind = WH_LOC_HEADER, .text = "header:x-contentful-signed-headers", .name = "x-contentful-signed-headers" };
    const char *list = wh_value_text(c, &loc), *uri = c->req->uri, *mark;
    apr_array_header_t *names = apr_array_make(c->p, 8, sizeof(const char *));
    int i, lists_itself = 0, lists_time = 0;
    char *at, *name, *copy;
    webhook_slice value;
    wh_buf b, q;

    if (!list || !uri) return WH_ABSENT;
    copy = apr_pstrdup(c->p, list);
    for (name = apr_strtok(copy, ",", &at); name; name = apr_strtok(NULL, ",", &at)) {
        char *s;
        apr_collapse_spaces(name, name);
        for (s = name; *s; s++) *s = (char)apr_tolower(*s);
        lists_itself |= strcmp(name, loc.name) == 0;
        lists_time |= strcmp(name, "x-contentful-timestamp") == 0;
        APR_ARRAY_PUSH(names, const char *) = name;
    }
    /* A list that does not sign itself could be cut down by anyone. */
    if (!lists_itself || !lists_time || names->nelts > 64) return WH_BROKEN;
    qsort(names->elts, (size_t)names->nelts, sizeof(const char *), compare_text);

    wh_buf_init(&b, c->p, c->req->body.len + 1024);
    wh_buf_adds(&b, c->req->method);
    wh_buf_add(&b, "\n", 1);
    mark = strchr(uri, '?');
    wh_buf_init(&q, c->p, strlen(uri) * 3 + 1);
    wh_buf_add(&q, uri, mark ? (apr_size_t)(mark - uri) : strlen(uri));
    if (mark && mark[1]) {
        wh_buf_add(&q, "?", 1);
        put_uri(&q, mark + 1, strcspn(mark + 1, "?"), KEEP_COMPONENT); /* its SDK splits at every '?' and keeps the second part */
    }
    put_uri(&b, q.data, q.len, KEEP_URI);
    wh_buf_add(&b, "\n", 1);
    for (i = 0; i < names->nelts; i++) {
        wh_locator h = { .kind = WH_LOC_HEADER, .text = "", .name = APR_ARRAY_IDX(names, i, const char *) };
        wh_found found = wh_value(c, &h, &value);
        if (found != WH_FOUND) return found == WH_ABSENT ? WH_BROKEN : found;
        while (value.len && (*value.data == ' ' || *value.data == '\t')) value.data++, value.len--;
        while (value.len && (value.data[value.len - 1] == ' ' || value.data[value.len - 1] == '\t')) value.len--;
        if (i) wh_buf_add(&b, ";", 1);
        wh_buf_adds(&b, h.name);
        wh_buf_add(&b, ":", 1);
        wh_buf_add(&b, value.data, value.len);
    }
    wh_buf_add(&b, "\n", 1);
    wh_buf_add(&b, c->req->body.data, c->req->body.len);
    return done(&b, out);
}

static wh_found sns(wh_vctx *c, webhook_slice *out)
{
    static const struct {
        const char *name;
        int in_notification, in_confirmation, may_lack;
    } members[] = { { "Message", 1, 1, 0 }, { "MessageId", 1, 1, 0 }, { "Subject", 1, 0, 1 }, { "SubscribeURL", 0, 1, 0 },
                    { "Timestamp", 1, 1, 0 }, { "Token", 0, 1, 0 }, { "TopicArn", 1, 1, 0 }, { "Type", 1, 1, 0 } };
    const wh_json *json = wh_ctx_json(c);
    const wh_json_value *root = json ? wh_json_root(json) : NULL;
    webhook_slice type;
    int notification;
    apr_size_t i;
    wh_buf b;

    if (!root) return WH_ABSENT;
    type = wh_json_string(wh_json_get(root, "Type"));
    if (type.len == 12 && memcmp(type.data, "Notification", 12) == 0) notification = 1;
    else if ((type.len == 24 && memcmp(type.data, "SubscriptionConfirmation", 24) == 0)
             || (type.len == 23 && memcmp(type.data, "UnsubscribeConfirmation", 23) == 0)) notification = 0;
    else return WH_BROKEN;
    wh_buf_init(&b, c->p, c->req->body.len + 64);
    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const wh_json_value *v = wh_json_get(root, members[i].name);
        webhook_slice text;
        if (!(notification ? members[i].in_notification : members[i].in_confirmation)) continue;
        if (!v || wh_json_typeof(v) == WH_JSON_NULL) {
            if (members[i].may_lack) continue;
            return WH_ABSENT;
        }
        if (wh_json_typeof(v) != WH_JSON_STRING) return WH_BROKEN;
        text = wh_json_string(v);
        wh_buf_adds(&b, members[i].name);
        wh_buf_add(&b, "\n", 1);
        if (text.len) wh_buf_add(&b, text.data, text.len);
        wh_buf_add(&b, "\n", 1);
    }
    return done(&b, out);
}

#define KEEP_RFC3986 "-_.~"

static wh_found atlassian(wh_vctx *c, webhook_slice *out)
{
    const char *uri = c->req->uri ? c->req->uri : "/", *base = apr_table_get(c->v->vars, "base-path"), *s;
    apr_size_t plen = strcspn(uri, "?"), blen = base ? strlen(base) : 0, i;
    const wh_form *query = wh_ctx_query(c);
    wh_form_pair *list;
    wh_form encoded;
    wh_buf b;
    int k, first = 1;

    if (!query) return WH_BROKEN;
    if (blen && plen >= blen && strncmp(uri, base, blen) == 0) {
        uri += blen;
        plen -= blen;
    }
    wh_buf_init(&b, c->p, strlen(uri) * 3 + 64);
    for (s = c->req->method; *s; s++) {
        char ch = (char)apr_toupper(*s);
        wh_buf_add(&b, &ch, 1);
    }
    wh_buf_add(&b, "&", 1);
    while (plen > 1 && uri[plen - 1] == '/') plen--;
    if (plen == 0) wh_buf_add(&b, "/", 1);
    for (i = 0; i < plen; i++) {
        if (uri[i] == '&') put_escape(&b, '&'); /* the separator must not come from the path */
        else wh_buf_add(&b, uri + i, 1);
    }
    wh_buf_add(&b, "&", 1);
    if (query->count) {
        list = apr_palloc(c->p, (apr_size_t)query->count * sizeof(*list));
        encoded.count = 0;
        for (k = 0; k < query->count; k++) {
            wh_buf n, v;
            if (query->pairs[k].name.len == 3 && memcmp(query->pairs[k].name.data, "jwt", 3) == 0) continue;
            wh_buf_init(&n, c->p, query->pairs[k].name.len * 3 + 1);
            wh_buf_init(&v, c->p, query->pairs[k].value.len * 3 + 1);
            put_uri(&n, query->pairs[k].name.data, query->pairs[k].name.len, KEEP_RFC3986);
            put_uri(&v, query->pairs[k].value.data, query->pairs[k].value.len, KEEP_RFC3986);
            done(&n, &list[encoded.count].name);
            done(&v, &list[encoded.count].value);
            encoded.count++;
        }
        qsort(list, (size_t)encoded.count, sizeof(*list), compare_pairs);
        for (k = 0; k < encoded.count; k++) {
            if (k && compare_slices(list[k - 1].name, list[k].name) == 0) {
                wh_buf_add(&b, ",", 1); /* values of one name are joined */
            } else {
                if (!first) wh_buf_add(&b, "&", 1);
                wh_buf_add(&b, list[k].name.data, list[k].name.len);
                wh_buf_add(&b, "=", 1);
            }
            first = 0;
            wh_buf_add(&b, list[k].value.data, list[k].value.len);
        }
    }
    return done(&b, out);
}

wh_found wh_build(wh_vctx *c, wh_loc_kind kind, webhook_slice *out)
{
    switch (kind) {
    case WH_LOC_FORM_SORTED: return form_sorted(c, out);
    case WH_LOC_PLIVO: return plivo(c, out);
    case WH_LOC_CONTENTFUL: return contentful(c, out);
    case WH_LOC_SNS: return sns(c, out);
    case WH_LOC_ATLASSIAN: return atlassian(c, out);
    default: return WH_ABSENT;
    }
}
