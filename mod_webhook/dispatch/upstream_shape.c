/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_shape.c: the parts of an upstream request that come from templates and formats: URL, configured headers, body.
 *
 * Scheme, host and port are always the configuration's: the first slot of a URL may stand behind the '/' or '?' that ends them. What a
 * value could still do, another path by dots or a second header by a line end, is looked at in the filled text, once more after the encoders.
 */
#include "dispatch/upstream_conf.h"

#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "core/cloudevents_write.h"
#include "core/encode_for.h"

#define VALUE_MAX 8192 /* bytes of a configured header's value */

static int any(const wh_slotted *s)
{
    return s && wh_slotted_any(s);
}

/* ------------------------------------------------------------------------------------------------------ configuration --- */

const char *wh_upstream_parse_url(webhook_handler_conf *conf, const char *target, const char **plain, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const char *err, *prefix, *authority;
    wh_slotted *s;

    *plain = target;
    if ((err = wh_slotted_parse(&s, target, WEBHOOK_PLACE_URL, conf->slots, pconf)) != NULL)
        return apr_pstrcat(ptemp, "handler upstream: ", err, NULL);
    if (!any(s))
        return NULL;
    prefix = wh_slotted_prefix(s);
    authority = strstr(prefix, "://");
    if (!authority || authority[3 + strcspn(authority + 3, "/?#\\")] == '\0')
        return "handler upstream: the URL holds a value of the delivery (%{...}) before its path: scheme, host and port are the configuration's alone";
    conf->url_slots = s;
    conf->path_at = (apr_size_t)(authority + 3 - prefix) + strcspn(authority + 3, "/?#\\");
    *plain = wh_slotted_with(s, "x", ptemp);
    return NULL;
}

const char *wh_upstream_parse_header(webhook_handler_conf *conf, const char *name, const char *value, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const char *err;
    wh_slotted *s;

    if ((err = wh_slotted_parse(&s, value, WEBHOOK_PLACE_HEADER, conf->slots, pconf)) != NULL)
        return apr_psprintf(ptemp, "handler upstream: header %s: %s", name, err);
    APR_ARRAY_PUSH(conf->header_slots, const wh_slotted *) = any(s) ? s : NULL;
    conf->header_has_slots |= any(s);
    return NULL;
}

static int is_type(const char *type, const char *want)
{
    apr_size_t len = strcspn(type, "; \t");

    return len == strlen(want) && !strncasecmp(type, want, len);
}

/* Every slot stands for one whole JSON value, or the body would change its structure with what is in it. */
static int is_json_template(const wh_slotted *s, apr_pool_t *ptemp)
{
    static const char *const values[] = { "\"\"", "0" };

    for (int i = 0; i < 2; i++) {
        webhook_slice text;
        wh_json_error err;
        wh_json *doc;

        text.data = wh_slotted_with(s, values[i], ptemp);
        text.len = strlen(text.data);
        if (wh_json_parse(&doc, text, NULL, ptemp, &err) != APR_SUCCESS)
            return 0;
    }
    return 1;
}

const char *wh_upstream_parse_body(webhook_handler_conf *conf, const char *type, const char *text, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    apr_size_t len = strcspn(type, "; \t");
    webhook_place place;
    const char *err;
    wh_slotted *s;

    if (is_type(type, "application/json") || (len > 5 && !strncasecmp(type + len - 5, "+json", 5)))
        place = WEBHOOK_PLACE_JSON;
    else if (is_type(type, "application/x-www-form-urlencoded"))
        place = WEBHOOK_PLACE_FORM;
    else if (is_type(type, "text/plain"))
        place = WEBHOOK_PLACE_TEXT;
    else
        return apr_psprintf(ptemp, "handler upstream: a body of type \"%s\" cannot be made (allowed: application/json and types ending in +json, "
                            "application/x-www-form-urlencoded, text/plain)", type);
    if ((err = wh_slotted_parse(&s, text, place, conf->slots, pconf)) != NULL)
        return apr_pstrcat(ptemp, "handler upstream: the body: ", err, NULL);
    if (place == WEBHOOK_PLACE_JSON && !is_json_template(s, ptemp))
        return "handler upstream: the body is not JSON when a value stands in each place of %{...} (the values bring their own quotes: write "
               "{\"name\":%{webhook_jsonenc:...}})";
    conf->body = s;
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------------ a request --- */

static wh_filled fill_headers(wh_upstream_message *m, const webhook_handler_conf *conf, const wh_json *shape, const char **why, apr_pool_t *p)
{
    apr_array_header_t *headers;

    m->headers = conf->headers;
    if (!conf->header_has_slots)
        return WH_FILLED;
    m->headers = headers = apr_array_copy(p, conf->headers);
    for (int i = 0; i < headers->nelts; i++) {
        const wh_slotted *s = APR_ARRAY_IDX(conf->header_slots, i, const wh_slotted *);
        webhook_option *h = &APR_ARRAY_IDX(headers, i, webhook_option);
        wh_filled how;
        wh_buf b;

        if (!s)
            continue;
        wh_buf_init(&b, p, 128);
        how = wh_slotted_fill(&b, s, shape, why);
        if (how != WH_FILLED)
            return how;
        if (b.len > VALUE_MAX || !wh_fits_header(b.data, b.len)) {
            *why = apr_psprintf(p, "the header %s would be longer than %d bytes or hold a control character", h->name, VALUE_MAX);
            return WH_FILLED_BAD;
        }
        h->value = b.data;
    }
    return WH_FILLED;
}

wh_filled wh_upstream_fill(wh_upstream_message *m, const webhook_handler_conf *conf, const webhook_attempt *attempt, webhook_slice received,
                           const char **why)
{
    apr_pool_t *p = attempt->pool;
    const wh_json *shape = conf->slots->nelts ? wh_shape_open(attempt->lease->shape, p) : NULL;
    wh_filled how;
    wh_buf b;

    m->url = conf->url;
    if (conf->url_slots) {
        wh_buf_init(&b, p, 256);
        how = wh_slotted_fill(&b, conf->url_slots, shape, why);
        if (how != WH_FILLED)
            return how;
        if (b.len > WH_UPSTREAM_URL_MAX || !wh_fits_path(b.data + conf->path_at, b.len - conf->path_at)) {
            *why = apr_psprintf(p, "the URL would be longer than %d bytes or lead to another path (\".\" or \"..\" alone between slashes)",
                                WH_UPSTREAM_URL_MAX);
            return WH_FILLED_BAD;
        }
        m->url = b.data;
    }
    how = fill_headers(m, conf, shape, why, p);
    if (how != WH_FILLED)
        return how;
    if (!conf->body) {
        m->body = wh_format_body(conf->format, attempt, received);
        return WH_FILLED;
    }
    wh_buf_init(&b, p, 1024);
    how = wh_slotted_fill(&b, conf->body, shape, why);
    m->body.data = b.data;
    m->body.len = b.len;
    return how;
}
