/* SPDX-License-Identifier: Apache-2.0 */
/* test_cloudevents_write.c: deliveries as CloudEvents: attributes, and the three forms of data. */
#include "tap.h"

#include <apr_general.h>
#include <apr_strings.h>

#include "core/cloudevents_write.h"
#include "core/encoding.h"

static apr_pool_t *pool;

static webhook_delivery delivery(void)
{
    webhook_delivery d = {0};

    d.id = "01890a5d-ac96-774b-bcce-b302099a8057";
    d.endpoint = "hooks.example/gitHub hooks";
    d.scheme = "github";
    d.verified = 1;
    d.key_id = "2026";
    d.event = "push";
    d.sender_id = "72d3162e";
    d.received = apr_time_from_sec(1700000000);
    d.content_type = "application/json; charset=utf-8";
    return d;
}

static const char *written(const webhook_delivery *d, const char *body, apr_size_t len)
{
    webhook_slice s = { body, len };
    wh_json_error err;
    wh_json *doc;
    wh_buf b;

    wh_buf_init(&b, pool, 16);
    wh_ce_write(&b, d, s, pool);
    s.data = b.data;
    s.len = b.len;
    ok(wh_json_parse(&doc, s, NULL, pool, &err) == APR_SUCCESS && !strpbrk(b.data, "\r\n"), "one line of JSON");
    return b.data;
}

#define HEAD "{\"specversion\":\"1.0\",\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"source\":\"/webhook/hooks.example/gitHub%20hooks\""
#define REST ",\"type\":\"push\",\"subject\":\"72d3162e\",\"time\":\"2023-11-14T22:13:20.000Z\",\"verified\":true,\"keyid\":\"2026\""

int main(void)
{
    static const char pretty[] = "{\r\n  \"ref\": \"a \\\" b\\\\\",\t\"n\": 1.500,\n \"big\":12345678901234567890}\n";
    wh_ce_attribute a[WH_CE_ATTRIBUTES];
    webhook_delivery d;
    char big[5000], *many;
    int i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    d = delivery();
    is_str(written(&d, pretty, sizeof(pretty) - 1), HEAD REST ",\"datacontenttype\":\"application/json; charset=utf-8\","
           "\"data\":{\"ref\":\"a \\\" b\\\\\",\"n\":1.500,\"big\":12345678901234567890}}", "JSON stays JSON, its numbers their text");
    is_str(written(&d, "{\"a\":", 5), HEAD REST ",\"datacontenttype\":\"application/json; charset=utf-8\",\"data_base64\":\"eyJhIjo=\"}",
           "what only says it is JSON goes as bytes");
    is_str(written(&d, "", 0), HEAD REST ",\"datacontenttype\":\"application/json; charset=utf-8\"}", "nothing is nothing");
    d.content_type = "text/plain";
    is_str(written(&d, "a\nb", 3), HEAD REST ",\"datacontenttype\":\"text/plain\",\"data\":\"a\\nb\"}", "text is a string");
    is_str(written(&d, "5", 1), HEAD REST ",\"datacontenttype\":\"text/plain\",\"data\":\"5\"}", "also when it looks like JSON");
    is_str(written(&d, "a\0b", 3), HEAD REST ",\"datacontenttype\":\"text/plain\",\"data_base64\":\"YQBi\"}", "but not with a NUL");
    d.content_type = "text/json";
    is_str(written(&d, "[1, 2]", 6), HEAD REST ",\"datacontenttype\":\"text/json\",\"data\":[1,2]}", "every subtype json is JSON");
    many = apr_palloc(pool, 300001);
    for (i = 0; i < 150000; i++) memcpy(many + 2 * i, i ? ",0" : "[0", 2);
    many[300000] = ']';
    ok(strstr(written(&d, many, 300001), "\"data_base64\":\"WzAs"), "JSON of more values than a body may have goes as bytes");
    d.content_type = NULL;
    is_str(written(&d, "\xff\xfe", 2), HEAD REST ",\"data_base64\":\"//4=\"}", "and not when it is no text");
    memset(big, 0xff, sizeof(big));
    ok(strstr(written(&d, big, sizeof(big)), wh_encode(WH_ENC_BASE64, (const unsigned char *)big, sizeof(big), pool)) != NULL, "many bytes");

    is_int(wh_ce_attributes(a, &d, pool), 8, "eight attributes");
    d.event = d.sender_id = d.key_id = NULL;
    d.verified = 0;
    d.endpoint = "caf\xc3\xa9?#%";
    is_int(wh_ce_attributes(a, &d, pool), 6, "six where the sender says nothing");
    is_str(a[2].value, "/webhook/caf%C3%A9%3F%23%25", "a source is a URI reference");
    is_str(a[3].value, "webhook.delivery", "a type there always is");
    is_str(a[5].value, "false", "nobody proven");
    return tap_done();
}
