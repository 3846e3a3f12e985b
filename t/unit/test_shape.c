/* SPDX-License-Identifier: Apache-2.0 */
/* test_shape.c: slots are found, values frozen and put back; what is missing or bad is told apart and never guessed. */
#include "tap.h"

#include <apr_general.h>
#include <apr_strings.h>

#include "core/shape.h"

static apr_pool_t *pool;

static wh_slotted *parse(const char *text, apr_array_header_t *slots)
{
    wh_slotted *s = NULL;
    const char *err = wh_slotted_parse(&s, text, WEBHOOK_PLACE_TEXT, slots, pool);

    is_str(err, NULL, "%s parses", text);
    return s;
}

static void check_parse(void)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        { "a%{", "not closed" }, { "%{webhook_json:/a", "not closed" }, { "%{webhook_urlenc:%{webhook_json:/a}", "not closed" },
        { "%{}", "is no value" }, { "%{:/a}", "is no value" }, { "%{1a}", "is no value" }, { "%{a b}", "is no value" },
        { "%{:req('a'):}", "is no value" }, { "%{webhook_json('/a')}", "is no value" }, { "%{webhook_json:/a\\}}", "backslash" },
        { "%{webhook_json:/a\nb}", "control character" }, { "%{webhook_json:/\xff}", "not UTF-8" },
    };
    apr_array_header_t *slots = apr_array_make(pool, 4, sizeof(webhook_slot));
    char deep[200] = "";
    wh_slotted *s = parse("https://h/a?x=%{webhook_urlenc:%{webhook_json:/type}}&y=%{WEBHOOK_ID}.", slots);
    const char *err;

    is_int(slots->nelts, 2, "two slots");
    is_str(APR_ARRAY_IDX(slots, 0, webhook_slot).text, "%{webhook_urlenc:%{webhook_json:/type}}", "the outer one is the slot");
    is_str(APR_ARRAY_IDX(slots, 1, webhook_slot).text, "%{WEBHOOK_ID}", "and the next");
    is_int(APR_ARRAY_IDX(slots, 1, webhook_slot).place, WEBHOOK_PLACE_TEXT, "with its place");
    is_str(wh_slotted_prefix(s), "https://h/a?x=", "prefix");
    is_str(wh_slotted_with(s, "*", pool), "https://h/a?x=*&y=*.", "with a word");
    s = parse("100% {literal} } %", slots);
    is_int(slots->nelts, 2, "no slots in a text without");
    is_str(wh_slotted_prefix(s), "100% {literal} } %", "which is all prefix");
    ok(!wh_slotted_any(s), "and none are counted");
    is_str(wh_slotted_parse(&s, "%Y-%{id}-%{webhook_nameenc:x}.%{ext}", WEBHOOK_PLACE_NAME, slots, pool), NULL, "the pattern of a name");
    is_int(slots->nelts, 3, "has one slot");
    is_str(wh_slotted_with(s, "*", pool), "%Y-%{id}-*.%{ext}", "and its conversions");
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        err = wh_slotted_parse(&s, bad[i].text, WEBHOOK_PLACE_URL, NULL, pool);
        ok(err && strstr(err, bad[i].error), "refused: %s", err ? err : bad[i].text);
    }
    for (int i = 0; i < 17; i++)
        strcat(deep, "%{f:");
    strcat(deep, "}}}}}}}}}}}}}}}}}");
    err = wh_slotted_parse(&s, deep, WEBHOOK_PLACE_URL, NULL, pool);
    ok(err && strstr(err, "nested deeper than 16"), "too deep: %s", err ? err : "taken");
}

/* What an encoder promises is looked at again: a shape that was tampered with changes no structure. */
static void check_places(void)
{
    static const struct {
        webhook_place place;
        const char *value;
        int fits;
    } values[] = {
        { WEBHOOK_PLACE_URL, "a%2Fb", 1 }, { WEBHOOK_PLACE_URL, "a/b", 0 }, { WEBHOOK_PLACE_URL, "a&b=c", 0 }, { WEBHOOK_PLACE_URL, "a b", 0 },
        { WEBHOOK_PLACE_FORM, "a%26", 1 }, { WEBHOOK_PLACE_FORM, "a&", 0 }, { WEBHOOK_PLACE_HEADER, "x\ty", 1 },
        { WEBHOOK_PLACE_HEADER, "x\r\nSet-Cookie: a=b", 0 }, { WEBHOOK_PLACE_NAME, "a_2Fb", 1 }, { WEBHOOK_PLACE_NAME, "a/b", 0 },
        { WEBHOOK_PLACE_NAME, "%Y", 0 }, { WEBHOOK_PLACE_ARGUMENT, "a\n-b", 1 }, { WEBHOOK_PLACE_TEXT, "a\n", 1 },
    };

    for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
        wh_slotted *s = NULL;
        webhook_slice frozen;
        const char *why;
        wh_buf b, out;

        wh_slotted_parse(&s, "<%{A}>", values[i].place, NULL, pool);
        wh_buf_init(&b, pool, 64);
        wh_buf_init(&out, pool, 64);
        wh_buf_adds(&b, "{");
        wh_shape_put(&b, "%{A}", values[i].value, NULL);
        wh_buf_adds(&b, "}");
        frozen.data = b.data;
        frozen.len = b.len;
        is_int(wh_slotted_fill(&out, s, wh_shape_open(frozen, pool), &why), values[i].fits ? WH_FILLED : WH_FILLED_BAD, "place: value %u", i);
    }
}

static void check_fill(void)
{
    wh_slotted *s = parse("a=%{A}&b=%{B:%{C}}.", NULL);
    const wh_json *doc;
    webhook_slice frozen;
    const char *why;
    wh_buf b, out;

    wh_buf_init(&b, pool, 64);
    wh_buf_adds(&b, "{");
    wh_shape_put(&b, "%{A}", "one \"two\" \xe2\x82\xac", NULL);
    wh_shape_put(&b, "%{B:%{C}}", "", NULL);
    wh_shape_put(&b, "%{BAD}", NULL, "could not be had");
    wh_shape_put(&b, "%{LATIN}", "caf\xe9", NULL);
    wh_shape_put(&b, "%{LONG}", memset(apr_pcalloc(pool, WH_SHAPE_VALUE_MAX + 2), 'x', WH_SHAPE_VALUE_MAX + 1), NULL);
    wh_buf_adds(&b, "}");
    frozen.data = b.data;
    frozen.len = b.len;
    doc = wh_shape_open(frozen, pool);
    ok(doc != NULL, "a shape opens");

    wh_buf_init(&out, pool, 16);
    is_int(wh_slotted_fill(&out, s, doc, &why), WH_FILLED, "filled");
    is_str(out.data, "a=one \"two\" \xe2\x82\xac&b=.", "with the values");

    is_int(wh_slotted_fill(&out, parse("%{Z}", NULL), doc, &why), WH_FILLED_MISSING, "a slot the job has no value for");
    is_str(why, "the job was made without a value for %{Z}", "says so");
    is_int(wh_slotted_fill(&out, s, NULL, &why), WH_FILLED_MISSING, "no shape at all");
    is_int(wh_slotted_fill(&out, parse("%{BAD}", NULL), doc, &why), WH_FILLED_BAD, "a slot without a usable value");
    is_str(why, "the value of %{BAD} could not be had", "says why");
    is_int(wh_slotted_fill(&out, parse("%{LATIN}", NULL), doc, &why), WH_FILLED_BAD, "not UTF-8");
    is_str(why, "the value of %{LATIN} is not UTF-8", "says so");
    is_int(wh_slotted_fill(&out, parse("%{LONG}", NULL), doc, &why), WH_FILLED_BAD, "too long");
    ok(strstr(why, "is longer than 1048576 bytes") != NULL, "says so: %s", why);

    frozen.len = 5;
    ok(!wh_shape_open(frozen, pool), "a damaged shape does not open");
    frozen.data = NULL;
    ok(!wh_shape_open(frozen, pool), "nor does none");
    frozen.data = "{\"%{A}\":5,\"%{B:%{C}}\":[]}";
    frozen.len = strlen(frozen.data);
    doc = wh_shape_open(frozen, pool);
    is_int(wh_slotted_fill(&out, s, doc, &why), WH_FILLED_BAD, "a value of another type is no value");
    is_str(why, "the value of %{A} cannot be used", "and says so");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    check_parse();
    check_places();
    check_fill();
    static const char *const credentials[] = { "x-doorbell", "knock", NULL };
    ok(wh_slot_is_sensitive("%{req:Authorization}", NULL) && wh_slot_is_sensitive("%{webhook_json:/api_key}", NULL)
       && !wh_slot_is_sensitive("%{webhook_json:/ref}", credentials), "slots that are shown to nobody");
    ok(wh_slot_is_sensitive("%{webhook_urlenc:%{req:X-Doorbell}}", credentials) && !wh_slot_is_sensitive("%{req:X-Doorbell}", NULL)
       && !wh_slot_is_sensitive("%{req:X-Doorbells}", credentials), "among them what the scheme reads");
    ok(wh_slot_is_sensitive("%{webhook_urlenc:%{QUERY_STRING}}", NULL), "and the query");
    return tap_done();
}
