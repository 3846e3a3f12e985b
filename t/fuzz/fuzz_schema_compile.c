/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schemas as text: whatever is given, it compiles or there is an error with a place; compiling again says the same; what compiles judges any
 * document within its bounds, twice alike, and has errors for what is invalid.
 */
#include "validate/schema.h"
#include "verify_fuzz.h"

static const char *const docs[] = {"null", "{\"a\":1,\"b\":[\"x\",{\"a\":null}]}", "[1,[2,[3]],\"abc\",{}]", "\"2020-01-01T00:00:00Z\"", "1.50", "-12"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    webhook_slice text = {(const char *)data, size};
    wh_schema_opts opts = {.format_assert = 1, .content_assert = 1, .steps = 20000, .depth = 100};
    const wh_schema *schema = NULL, *again = NULL;
    const char *one, *two;
    apr_pool_t *p, *scratch;
    size_t i;

    apr_pool_create(&p, fuzz_pool());
    apr_pool_create(&scratch, p);
    opts.draft = size % 3 == 0 ? WH_SCHEMA_DRAFT_07 : size % 3 == 1 ? WH_SCHEMA_2019_09 : WH_SCHEMA_2020_12;
    one = wh_schema_compile_text(&schema, text, "s", NULL, &opts, p, scratch);
    apr_pool_clear(scratch); /* nothing of a schema lies there */
    check(!one == !!schema);
    check(!one || (one[0] == 's' && strstr(one, ": ")));
    two = wh_schema_compile_text(&again, text, "s", NULL, &opts, p, scratch);
    check(one ? two && !strcmp(one, two) : !two && again);
    if (schema) {
        for (i = 0; i < sizeof(docs) / sizeof(docs[0]); i++) {
            webhook_slice doc_text = {docs[i], strlen(docs[i])};
            wh_schema_result first, second;
            wh_json_error err;
            wh_json *doc;
            check(wh_json_parse(&doc, doc_text, NULL, scratch, &err) == APR_SUCCESS);
            wh_schema_validate(schema, doc, &first, scratch);
            wh_schema_validate(again, doc, &second, scratch);
            check(first.verdict == second.verdict && first.count == second.count && first.steps == second.steps);
            check(first.verdict != WH_SCHEMA_INVALID || (first.count > 0 && first.errors[0].instance[0] == '#' && first.errors[0].keyword));
            check(first.verdict != WH_SCHEMA_VALID || (first.count == 0 && !first.reason));
        }
    }
    apr_pool_destroy(p);
    return 0;
}
