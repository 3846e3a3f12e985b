/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents against schemas of every kind, chosen by the first byte. Each schema is compiled in several ways that mean the same (allOf,
 * anyOf, oneOf, if, a reference, a dynamic one) and once negated: unless a bound was hit all verdicts must agree.
 */
#include <apr_strings.h>

#include "validate/schema.h"
#include "verify_fuzz.h"

static const char *const schemas[] = {
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":[\"string\",\"null\"]}},\"required\":[\"a\"]}",
    "{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"additionalProperties\":false}",
    "{\"additionalProperties\":{\"type\":\"number\",\"multipleOf\":0.01,\"minimum\":-5,\"exclusiveMaximum\":1e3}}",
    "{\"patternProperties\":{\"^a\":{\"maxLength\":2},\"b$\":{\"minLength\":1}},\"additionalProperties\":{\"type\":\"boolean\"}}",
    "{\"propertyNames\":{\"pattern\":\"^[a-c]+$\"},\"minProperties\":1,\"maxProperties\":3}",
    "{\"prefixItems\":[{\"type\":\"integer\"},{\"$ref\":\"#\"}],\"items\":{\"type\":\"string\"}}",
    "{\"items\":{\"$ref\":\"#\"},\"uniqueItems\":true,\"maxItems\":20}",
    "{\"contains\":{\"type\":\"integer\",\"minimum\":3},\"minContains\":2,\"maxContains\":3}",
    "{\"enum\":[1,2,3,4,5,6,7,8,9,10,\"a\",null,[1,{\"a\":2}],{\"a\":1,\"b\":2.0},1e2]}",
    "{\"const\":{\"a\":[1,2.0,{\"b\":null}]}}",
    "{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]},{\"type\":\"array\"}]}",
    "{\"anyOf\":[{\"properties\":{\"a\":true}},{\"properties\":{\"b\":{\"type\":\"null\"}}}],\"unevaluatedProperties\":false}",
    "{\"allOf\":[{\"prefixItems\":[true]},{\"contains\":{\"type\":\"string\"}}],\"unevaluatedItems\":{\"type\":\"integer\"}}",
    "{\"if\":{\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]},\"else\":{\"maxProperties\":2}}",
    "{\"dependentRequired\":{\"a\":[\"b\",\"c\"]},\"dependentSchemas\":{\"b\":{\"properties\":{\"c\":{\"type\":\"string\"}}}}}",
    "{\"$dynamicAnchor\":\"n\",\"type\":[\"array\",\"integer\"],\"items\":{\"$dynamicRef\":\"#n\"}}",
    "{\"pattern\":\"^(\\\\p{L}|\\\\d){1,5}$\",\"type\":\"string\"}",
    "{\"minLength\":2,\"maxLength\":4}",
    "{\"not\":{\"not\":{\"type\":\"array\",\"minItems\":2}}}",
    "{\"properties\":{\"a\":{\"format\":\"date-time\"},\"b\":{\"format\":\"uri\"},\"c\":{\"format\":\"email\"}}}",
    "{\"properties\":{\"a\":{\"format\":\"idn-hostname\"},\"b\":{\"format\":\"regex\"},\"c\":{\"format\":\"duration\"}}}",
    ("{\"$defs\":{\"t\":{\"$id\":\"http://t/\",\"$dynamicAnchor\":\"n\",\"properties\":{\"a\":{\"$dynamicRef\":\"#n\"},\"b\":true}}},"
    "\"$id\":\"http://s/\",\"$dynamicAnchor\":\"n\",\"$ref\":\"http://t/\",\"unevaluatedProperties\":false}"),
    "{\"multipleOf\":123456789012345678901234567890}",
    "{\"type\":\"integer\",\"maximum\":9007199254740993}",
    "{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}",
    "{\"$ref\":\"http://json-schema.org/draft-07/schema\"}",
};

#define SCHEMAS (sizeof(schemas) / sizeof(schemas[0]))

/* The first two are the schema itself and what it is not; the others mean the same as the first. */
static const struct {
    const char *before, *after;
} forms[] = {
    {"", ""},
    {"{\"not\":", "}"},
    {"{\"allOf\":[true,", "]}"},
    {"{\"anyOf\":[false,", "]}"},
    {"{\"oneOf\":[", ",false]}"},
    {"{\"if\":", ",\"else\":false}"},
    {"{\"$ref\":\"#/x\",\"x\":", "}"},
    {"{\"$ref\":\"#/x\",\"x\":", ",\"unevaluatedProperties\":true,\"unevaluatedItems\":true}"},
    {"{\"items\":", ",\"minItems\":1}"}, /* of the document in an array */
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))

static const wh_schema *compiled[SCHEMAS][FORMS];

static void compile_all(void)
{
    wh_schema_opts opts = {.format_assert = 1, .steps = 50000, .depth = 200};
    apr_pool_t *p = fuzz_pool();
    size_t i, k;

    for (i = 0; i < SCHEMAS; i++) {
        for (k = 0; k < FORMS; k++) {
            /* an identifier of its own makes "#" mean the schema itself wherever it stands */
            const char *body = schemas[i] + 1, *own = apr_psprintf(p, "{\"$id\":\"http://own/\"%s%s", *body == '}' ? "" : ",", body);
            const char *schema = strstr(body, "\"$id\":\"http://s/") ? schemas[i] : own;
            const char *text = apr_pstrcat(p, forms[k].before, schema, forms[k].after, NULL);
            webhook_slice slice = {text, strlen(text)};
            const char *failed = wh_schema_compile_text(&compiled[i][k], slice, "s", "http://outer/", &opts, p, p);
            check(!failed);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wh_json *doc, *inside;
    wh_json_error err;
    apr_pool_t *p;
    size_t which, k;
    int verdict = 0;

    if (!compiled[0][0]) compile_all();
    if (size < 2) return 0;
    which = data[0] % SCHEMAS;
    apr_pool_create(&p, fuzz_pool());
    if (wh_json_parse(&doc, (webhook_slice){(const char *)data + 1, size - 1}, &wh_json_plain, p, &err) == APR_SUCCESS) {
        char *array = apr_palloc(p, size + 1);
        array[0] = '[';
        memcpy(array + 1, data + 1, size - 1);
        array[size] = ']';
        check(wh_json_parse(&inside, (webhook_slice){array, size + 1}, &wh_json_plain, p, &err) == APR_SUCCESS || !strcmp(err.reason, "depth"));
        for (k = 0; k < FORMS; k++) {
            wh_schema_result r;
            int got;
            if (k + 1 == FORMS && !inside) break;
            got = wh_schema_validate(compiled[which][k], k + 1 == FORMS ? inside : doc, &r, p);
            check(got == (int)r.verdict);
            if (got == WH_SCHEMA_REFUSED) break;
            check((got == WH_SCHEMA_INVALID) == (r.count > 0));
            if (k == 1) got = got == WH_SCHEMA_VALID ? WH_SCHEMA_INVALID : WH_SCHEMA_VALID;
            if (k == 0) verdict = got;
            check(got == verdict);
        }
    }
    apr_pool_destroy(p);
    return 0;
}
