/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloudevents_write.c: a delivery as a CloudEvent (see cloudevents_write.h).
 */
#include "core/cloudevents_write.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "core/encoding.h"
#include "core/units.h"

/* A path of a URI reference: what RFC 3986 allows in one stays. */
static const char *source_of(const char *endpoint, apr_pool_t *p)
{
    wh_buf b;

    wh_buf_init(&b, p, strlen(endpoint) + 24);
    wh_buf_adds(&b, "/webhook/");
    for (; *endpoint; endpoint++) {
        unsigned char c = (unsigned char)*endpoint;

        if (c < 0x80 && (apr_isalnum(c) || strchr("-._~/:@!$&()*+,;=", c)))
            wh_buf_add(&b, endpoint, 1);
        else
            wh_buf_addf(&b, "%%%02X", c);
    }
    return b.data;
}

int wh_ce_attributes(wh_ce_attribute out[WH_CE_ATTRIBUTES], const webhook_delivery *d, apr_pool_t *p)
{
    char *received = apr_palloc(p, WH_RFC3339_LEN + 1);
    int n = 0;

    wh_format_time(received, d->received);
    out[n++] = (wh_ce_attribute){ "specversion", "1.0" };
    out[n++] = (wh_ce_attribute){ "id", d->id };
    out[n++] = (wh_ce_attribute){ "source", source_of(d->endpoint, p) };
    out[n++] = (wh_ce_attribute){ "type", d->event && *d->event ? d->event : "webhook.delivery" };
    if (d->sender_id && *d->sender_id)
        out[n++] = (wh_ce_attribute){ "subject", d->sender_id };
    out[n++] = (wh_ce_attribute){ "time", received };
    out[n++] = (wh_ce_attribute){ "verified", d->verified ? "true" : "false" };
    if (d->key_id && *d->key_id)
        out[n++] = (wh_ce_attribute){ "keyid", d->key_id };
    return n;
}

/* Valid JSON without the blanks between its tokens: what is one line of a file must have no line ends. */
static void put_one_line(wh_buf *b, webhook_slice json)
{
    apr_size_t from = 0, i;
    int in_string = 0;

    for (i = 0; i < json.len; i++) {
        char c = json.data[i];

        if (in_string && c == '\\') {
            i++;
        }
        else if (c == '"') {
            in_string = !in_string;
        }
        else if (!in_string && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
            wh_buf_add(b, json.data + from, i - from);
            from = i + 1;
        }
    }
    wh_buf_add(b, json.data + from, json.len - from);
}

static void put_base64(wh_buf *b, webhook_slice body)
{
    apr_size_t len = wh_encoded_len(WH_ENC_BASE64, body.len);

    wh_json_put_name(b, "data_base64");
    wh_buf_adds(b, "\"");
    wh_buf_reserve(b, len + 2);
    wh_encode_to(b->data + b->len, WH_ENC_BASE64, (const unsigned char *)body.data, body.len);
    b->len += len;
    wh_buf_adds(b, "\"");
}

static void put_data(wh_buf *b, const webhook_delivery *d, webhook_slice body, apr_pool_t *scratch)
{
    int json = wh_json_is_type(d->content_type);
    wh_json_error err;
    wh_json *doc;

    if (!body.len)
        return;
    if (json && wh_json_parse(&doc, body, &wh_json_lenient, scratch, &err) == APR_SUCCESS) {
        wh_json_put_name(b, "data");
        put_one_line(b, body);
    }
    else if (!json && !memchr(body.data, '\0', body.len) && wh_utf8_valid(body.data, body.len)) {
        wh_json_put_name(b, "data");
        wh_json_put_string(b, body.data, body.len);
    }
    else {
        put_base64(b, body);
    }
}

void wh_ce_write(wh_buf *b, const webhook_delivery *d, webhook_slice body, apr_pool_t *scratch)
{
    wh_ce_attribute attributes[WH_CE_ATTRIBUTES];
    int n = wh_ce_attributes(attributes, d, scratch);

    wh_buf_reserve(b, body.len + body.len / 3 + 768);
    wh_buf_adds(b, "{");
    for (int i = 0; i < n; i++) {
        if (!strcmp(attributes[i].name, "verified"))
            wh_json_put_member_bool(b, "verified", d->verified);
        else
            wh_json_put_member(b, attributes[i].name, attributes[i].value);
    }
    wh_json_put_member(b, "datacontenttype", d->content_type);
    put_data(b, d, body, scratch);
    wh_buf_adds(b, "}");
}
