/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the official suite does not ask: errors of schemas and their places, files and maps, errors of documents and their places, bounds,
 * drafts and options. What keywords mean is the suite's matter (test_schema_suite.c).
 */
#include "memory.h"
#include "tap.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "validate/schema.h"

static apr_pool_t *pool;
static char folder[] = "/tmp/wh-schema-XXXXXX";

static webhook_slice slice(const char *text)
{
    return (webhook_slice){text, strlen(text)};
}

static const wh_schema *compiled(const char *text, const wh_schema_opts *opts)
{
    const wh_schema *schema = NULL;
    const char *failed = wh_schema_compile_text(&schema, slice(text), "s", NULL, opts, pool, pool);
    if (failed) fail("%s compiles: %s", text, failed);
    return schema;
}

static wh_schema_result judged(const wh_schema *schema, const char *text)
{
    wh_schema_result result = {.verdict = WH_SCHEMA_REFUSED, .reason = "not judged"};
    wh_json_error err;
    wh_json *doc;

    if (!schema) return result;
    if (wh_json_parse(&doc, slice(text), &wh_json_plain, pool, &err)) fail("%s is JSON", text);
    else wh_schema_validate(schema, doc, &result, pool);
    return result;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(apr_pstrcat(pool, folder, "/", name, NULL), "w");
    if (!f || fputs(text, f) < 0 || fclose(f)) fail("%s can be written", name);
}

static void test_broken_schemas(void)
{
    static const struct {
        const char *schema, *error; /* error begins so */
    } rows[] = {
        {"{", "s: is no JSON: "},
        {"[]", "s#: is no schema"},
        {"\"x\"", "s#: is no schema"},
        {"{\"type\":\"strin\"}", "s#/type: is not what https://json-schema.org/draft/2020-12/schema allows there (anyOf)"},
        {"{\"properties\":{\"a/b\":{\"minLength\":-1}}}", "s#/properties/a~1b/minLength: is not what"},
        {"{\"required\":[\"a\",\"a\"]}", "s#/required: is not what https://json-schema.org/draft/2020-12/schema allows there (uniqueItems)"},
        {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"if\":1}", "s#/if: is not what http://json-schema.org/draft-07/schema"},
        {"{\"$schema\":\"http://json-schema.org/draft-04/schema#\"}", "s#/$schema: \"http://json-schema.org/draft-04/schema\" is no draft"},
        {"{\"$schema\":\"https://example.org/own\"}", "s#/$schema: refers to \"https://example.org/own\", which is neither"},
        {"{\"properties\":{\"a\":{\"pattern\":\"(a\"}}}", "s#/properties/a/pattern: the pattern \"(a\": "},
        {"{\"patternProperties\":{\"\\\\Z\":{}}}", "s#/patternProperties/%5CZ: the pattern \"\\Z\": "},
        {"{\"items\":{\"$ref\":\"#/none\"}}", "s#/items/$ref: leads nowhere: s has no \"#/none\""},
        {"{\"items\":{\"$ref\":\"#none\"}}", "s#/items/$ref: leads nowhere: s has no anchor \"none\""},
        {"{\"items\":{\"$ref\":\"#/x/%zz\"}}", "s#/items/$ref: broken escape"},
        {"{\"x\":[1],\"items\":{\"$ref\":\"#/x\"}}", "s#/items/$ref: leads to something that is no schema"},
        {"{\"items\":{\"$ref\":\"http://127.0.0.1/s.json\"}}", "s#/items/$ref: refers to \"http://127.0.0.1/s.json\", which is neither"},
        {"{\"$ref\":\"file:///etc/passwd\"}", "s#/$ref: refers to \"file:///etc/passwd\", which is neither"},
        {"{\"$ref\":\"#\"}", "s#: applies itself to the same value without end"},
        {"{\"$defs\":{\"a\":{\"anyOf\":[true,{\"not\":{\"$ref\":\"#/$defs/b\"}}]},\"b\":{\"if\":{\"$ref\":\"#/$defs/a\"},\"then\":true}},"
         "\"items\":{\"$ref\":\"#/$defs/a\"}}", "s#/"},
        {"{\"$defs\":{\"a\":{\"$anchor\":\"x\"},\"b\":{\"$anchor\":\"x\"}}}", "s#/$defs/b: the anchor \"x\" is given twice"},
        {"{\"$defs\":{\"a\":{\"$id\":\"http://a/\"},\"b\":{\"$id\":\"http://a/\"}}}", "s#/$defs/b/$id: the identifier \"http://a/\" is given twice"},
        {"{\"multipleOf\":1e-2000000000}", "s#/multipleOf: is not what https://json-schema.org/draft/2020-12/schema allows there (number-limit)"},
        {"{\"$defs\":{\"a\":{\"$id\":\"http://x/\",\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"items\":[1]}}}",
         "s#/$defs/a/items: is not what http://json-schema.org/draft-07/schema"},
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const wh_schema *schema = NULL;
        const char *failed = wh_schema_compile_text(&schema, slice(rows[i].schema), "s", NULL, NULL, pool, pool);
        ok(failed && !strncmp(failed, rows[i].error, strlen(rows[i].error)), "%s: %s", rows[i].schema, failed ? failed : "(compiled)");
    }
}

static void test_places(void)
{
    static const struct {
        const char *schema, *doc, *instance, *keyword, *place;
    } rows[] = {
        {"false", "1", "#", "false", "s#"},
        {"{\"type\":\"string\"}", "1", "#", "type", "s#/type"},
        {"{\"properties\":{\"a\":{\"items\":{\"minimum\":2}}}}", "{\"a\":[2,1]}", "#/a/1", "minimum", "s#/properties/a/items/minimum"},
        {"{\"required\":[\"a\"]}", "{}", "#", "required", "s#/required"},
        {"{\"properties\":{\"a\":false}}", "{\"a\":1}", "#/a", "properties", "s#/properties/a"},
        {"{\"additionalProperties\":false}", "{\"a~/%\\u00e9\":1}", "#/a~0~1%25%C3%A9", "additionalProperties", "s#/additionalProperties"},
        {"{\"patternProperties\":{\"^a\":{\"const\":1}}}", "{\"ab\":2}", "#/ab", "const", "s#/patternProperties/%5Ea/const"},
        {"{\"propertyNames\":{\"maxLength\":1}}", "{\"ab\":2}", "#/ab", "propertyNames", "s#/propertyNames"},
        {"{\"enum\":[1,\"a\"]}", "\"b\"", "#", "enum", "s#/enum"},
        {"{\"enum\":[1,\"a\"]}", "null", "#", "enum", "s#/enum"},
        {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"type\":\"null\"}}}", "1", "#", "type", "s#/$defs/a/type"},
        {"{\"oneOf\":[{\"type\":\"number\"},{\"minimum\":1}]}", "1", "#", "oneOf", "s#/oneOf"},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":2}]}", "1", "#", "anyOf", "s#/anyOf"},
        {"{\"allOf\":[{},{\"minimum\":2}]}", "1", "#", "minimum", "s#/allOf/1/minimum"},
        {"{\"not\":{}}", "1", "#", "not", "s#/not"},
        {"{\"if\":{},\"then\":{\"type\":\"null\"}}", "1", "#", "type", "s#/then/type"},
        {"{\"contains\":{\"type\":\"null\"}}", "[1]", "#", "contains", "s#/contains"},
        {"{\"contains\":true,\"minContains\":2}", "[1]", "#", "minContains", "s#/minContains"},
        {"{\"prefixItems\":[{},{\"type\":\"null\"}]}", "[1,2]", "#/1", "type", "s#/prefixItems/1/type"},
        {"{\"uniqueItems\":true}", "[1,1.0]", "#", "uniqueItems", "s#/uniqueItems"},
        {"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}", "#", "dependentRequired", "s#/dependentRequired"},
        {"{\"dependentSchemas\":{\"a\":{\"required\":[\"b\"]}}}", "{\"a\":1}", "#", "required", "s#/dependentSchemas/a/required"},
        {"{\"unevaluatedProperties\":false}", "{\"a\":1}", "#/a", "unevaluatedProperties", "s#/unevaluatedProperties"},
        {"{\"unevaluatedItems\":{\"type\":\"null\"}}", "[1]", "#/0", "type", "s#/unevaluatedItems/type"},
        {"{\"$id\":\"http://x/\",\"pattern\":\"^a\"}", "\"b\"", "#", "pattern", "s#/pattern"},
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        wh_schema_result r = judged(compiled(rows[i].schema, NULL), rows[i].doc);
        const wh_schema_error *e = &r.errors[0];
        int good = r.verdict == WH_SCHEMA_INVALID && (r.count == 1 || strstr(rows[i].keyword, "Of")) && !strcmp(e->instance, rows[i].instance)
                   && !strcmp(e->keyword, rows[i].keyword) && !strcmp(e->schema, rows[i].place) && !strcmp(r.reason, "schema");
        ok(good, "%s of %s: %s %s %s", rows[i].schema, rows[i].doc, rows[i].instance, rows[i].keyword, rows[i].place);
        if (!good) diag("%d errors, %s %s %s", r.count, r.count ? e->instance : "", r.count ? e->keyword : "", r.count ? e->schema : "");
    }
}

static void test_all_errors(void)
{
    const wh_schema *schema = compiled("{\"items\":{\"type\":\"integer\",\"minimum\":3},\"maxItems\":1}", NULL);
    wh_schema_result r = judged(schema, "[1,\"a\",5,1.5]");

    is_int(r.count, 5, "every failure is an error");
    is_str(r.errors[0].keyword, "maxItems", "... in the order found");
    is_str(r.errors[1].instance, "#/0", "...");
    is_str(r.errors[4].keyword, "minimum", "two of one value");
    ok(!r.more, "these are all");
    r = judged(schema, "[0,0,0,0,0,0,0,0,0,0,0,0]");
    is_int(r.count, WH_SCHEMA_MAX_ERRORS, "no more than the cap");
    ok(r.more, "... and that there were more");
    r = judged(schema, "[7]");
    ok(r.verdict == WH_SCHEMA_VALID && !r.count && !r.reason, "a valid document has none");
    /* a branch that failed on the way is none */
    r = judged(compiled("{\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]},\"b\":{\"type\":\"null\"}}}", NULL),
               "{\"a\":\"x\",\"b\":1}");
    ok(r.count == 1 && !strcmp(r.errors[0].instance, "#/b"), "a branch that fails is no error");
    r = judged(compiled("{\"oneOf\":[{\"properties\":{\"a\":{\"const\":1},\"b\":{\"type\":\"null\"}},\"required\":[\"c\"]},"
                        "{\"properties\":{\"a\":{\"const\":2},\"b\":{\"type\":\"null\"}}}]}", NULL), "{\"a\":2,\"b\":1}");
    ok(r.count == 2 && !strcmp(r.errors[0].keyword, "oneOf") && !strcmp(r.errors[1].instance, "#/b")
       && !strcmp(r.errors[1].schema, "s#/oneOf/1/properties/b/type"), "of alternatives, what the one that fits best misses");
    r = judged(compiled("{\"oneOf\":[true,true]}", NULL), "1");
    is_int(r.count, 1, "two that fit miss nothing");
    r = judged(compiled("{\"required\":[\"a\",\"b\",\"c\"]}", NULL), "{\"b\":1}");
    is_int(r.count, 2, "one for each name that is missing");
}

static void test_bounds(void)
{
    /* two ways down at each level: 2^n visits */
    const wh_schema *twice = compiled("{\"items\":{\"$ref\":\"#\"},\"allOf\":[{\"items\":{\"$ref\":\"#\"}}]}", NULL);
    const wh_schema *plain = compiled("{\"items\":{\"$ref\":\"#\"}}", NULL);
    wh_schema_opts few = {.steps = 100, .depth = 10};
    const wh_schema *never = compiled("{\"not\":{\"items\":{\"type\":\"null\"}}}", &few);
    char nest[2001];
    wh_schema_result r;
    int i;

    for (i = 0; i < 1000; i++) nest[i] = '[', nest[1000 + i] = ']';
    nest[2000] = '\0';
    r = judged(plain, nest);
    ok(r.verdict == WH_SCHEMA_REFUSED && !strcmp(r.reason, "schema-depth"), "deeper than schemas may be nested");
    ok(r.count == 1 && !strncmp(r.errors[0].instance, "#/0/0", 5), "... and where");
    memcpy(nest + 40, nest + 1960, 41);
    r = judged(plain, nest);
    ok(r.verdict == WH_SCHEMA_VALID, "forty deep");
    r = judged(twice, nest);
    ok(r.verdict == WH_SCHEMA_REFUSED && !strcmp(r.reason, "schema-budget"), "exponentially many visits end");
    ok(r.steps <= WH_SCHEMA_STEPS + 1000, "... within the budget");
    r = judged(never, "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
                      "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]");
    ok(r.verdict == WH_SCHEMA_REFUSED, "a bound below \"not\" does not become \"valid\"");
    r = judged(compiled("{\"anyOf\":[{\"not\":{\"pattern\":\"^(a+)+$\"}},{\"pattern\":\"^(a|a)*$\"}]}", NULL),
               "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"");
    ok(r.verdict == WH_SCHEMA_REFUSED && !strcmp(r.reason, "regex-limit"), "an evil pattern is a refusal, also below \"not\"");
    r = judged(compiled("{\"minimum\":1}", NULL), "1e99999999999");
    ok(r.verdict == WH_SCHEMA_REFUSED && !strcmp(r.reason, "number-limit"), "a number that cannot be");
    r = judged(compiled("{\"type\":\"number\"}", NULL), "1e99999999999");
    ok(r.verdict == WH_SCHEMA_VALID, "... where nobody looks at it");
    r = judged(compiled("{\"type\":\"integer\"}", NULL), "1e400");
    ok(r.verdict == WH_SCHEMA_VALID, "1e400 is an integer");
}

/* As deep as schemas go, every kind of frame among it, on the stack of a small thread. */
static void *judge_deep(void *baton)
{
    wh_schema_result *r = baton;
    char nest[601];
    int i;

    for (i = 0; i < 300; i++) nest[i] = '[', nest[300 + i] = ']';
    nest[600] = '\0';
    *r = judged(compiled("{\"anyOf\":[{\"oneOf\":[{\"if\":{\"items\":{\"$ref\":\"#\"},\"unevaluatedItems\":false}}]}],\"unevaluatedItems\":false}", NULL), nest);
    return NULL;
}

static void test_stack(void)
{
    wh_schema_result result = {.verdict = WH_SCHEMA_VALID};
    pthread_attr_t attr;
    pthread_t thread;
#if defined(__SANITIZE_ADDRESS__)
    const size_t stack = 2 * 1024 * 1024; /* frames are larger then */
#else
    const size_t stack = 256 * 1024;
#endif

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack);
    if (pthread_create(&thread, &attr, judge_deep, &result)) fail("a thread");
    else pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    ok(result.verdict == WH_SCHEMA_REFUSED && !strcmp(result.reason, "schema-depth"), "as deep as it goes, in 256 KiB of stack");
}

static void test_files(void)
{
    wh_schema_map list[2] = {{"https://example.org/s/", folder}, {"https://example.org/s/deep", NULL}};
    apr_array_header_t *maps = apr_array_make(pool, 2, sizeof(wh_schema_map));
    wh_schema_opts opts = {.maps = maps};
    const wh_schema *schema = NULL;
    const char *failed, *main_file = apr_pstrcat(pool, folder, "/main.json", NULL);
    static const char *const out[] = {"https://example.org/s/../x", "https://example.org/s/deep/%2e%2e/types.json", "https://example.org/s/deep/..%2ftypes.json",
                                      "https://example.org/s/a%00b", "https://example.org/s/none", "https://example.org/sx",
                                      "https://example.org/s/main.json?x"};
    size_t i;

    mkdir(apr_pstrcat(pool, folder, "/other", NULL), 0700);
    list[1].directory = apr_pstrcat(pool, folder, "/other", NULL);
    APR_ARRAY_PUSH(maps, wh_schema_map) = list[0];
    APR_ARRAY_PUSH(maps, wh_schema_map) = list[1];
    write_file("main.json", "{\"$id\":\"https://example.org/s/main\",\"properties\":{\"a\":{\"$ref\":\"types#/$defs/n\"},"
                            "\"b\":{\"$ref\":\"deep/b.json\"},\"c\":{\"$ref\":\"deeper\"}}}");
    write_file("types.json", "{\"$defs\":{\"n\":{\"type\":\"integer\"}}}");
    write_file("deeper", "{\"type\":\"boolean\"}");
    write_file("other/b.json", "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"items\":[{\"type\":\"null\"}]}");
    failed = wh_schema_compile(&schema, main_file, &opts, pool, pool);
    ok(!failed, "references to mapped files: %s", failed ? failed : "");
    ok(judged(schema, "{\"a\":1,\"b\":[null],\"c\":true}").verdict == WH_SCHEMA_VALID, "... lead there");
    ok(judged(schema, "{\"a\":1.5}").verdict == WH_SCHEMA_INVALID, "a name without \".json\"");
    ok(judged(schema, "{\"b\":[1]}").verdict == WH_SCHEMA_INVALID, "the longest prefix counts, and a file has its own draft");
    ok(judged(schema, "{\"c\":1}").verdict == WH_SCHEMA_INVALID, "a prefix ends at a segment");
    for (i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
        failed = wh_schema_compile_text(&schema, slice(apr_psprintf(pool, "{\"$ref\":\"%s\"}", out[i])), "s", NULL, &opts, pool, pool);
        ok(failed && !strncmp(failed, "s#/$ref: refers to ", 19) && !strstr(failed, "types.json "), "%s: %s", out[i], failed ? failed : "(compiled)");
    }
    failed = wh_schema_compile(&schema, apr_pstrcat(pool, folder, "/none.json", NULL), NULL, pool, pool);
    ok(failed && strstr(failed, "/none.json: cannot be opened"), "no such file: %s", failed ? failed : "");
    failed = wh_schema_compile(&schema, folder, NULL, pool, pool);
    ok(failed != NULL, "a directory: %s", failed ? failed : "");
    alarm(300);
    failed = mkfifo(apr_pstrcat(pool, folder, "/fifo", NULL), 0600) ? "" : wh_schema_compile(&schema, apr_pstrcat(pool, folder, "/fifo", NULL), NULL, pool, pool);
    alarm(0);
    ok(failed && strstr(failed, "/fifo: is no regular file"), "what would wait for a writer: %s", failed ? failed : "");
    write_file("broken.json", "{\"type\":1}");
    failed = wh_schema_compile_text(&schema, slice("{\"$ref\":\"https://example.org/s/broken\"}"), "s", NULL, &opts, pool, pool);
    ok(failed && strstr(failed, "/broken.json#/type: is not what"), "an error in a file referred to has that file's name: %s", failed ? failed : "");
    failed = wh_schema_compile(&schema, main_file, NULL, pool, pool);
    ok(failed && strstr(failed, "/main.json#/properties/a/$ref: refers to"), "not mapped, not read: %s", failed ? failed : "");
}

static void test_options(void)
{
    wh_schema_opts draft7 = {.draft = WH_SCHEMA_DRAFT_07}, formats = {.format_assert = 1};
    wh_schema_opts content = {.draft = WH_SCHEMA_DRAFT_07, .content_assert = 1};
    const char *items = "{\"items\":[{\"type\":\"null\"}]}";
    char *many;
    int i;
    const char *media = "{\"contentEncoding\":\"base64\",\"contentMediaType\":\"application/json\"}";
    const wh_schema *schema;

    is_int(wh_schema_draft_find("7"), WH_SCHEMA_DRAFT_07, "draft 7");
    is_int(wh_schema_draft_find("2019-09"), WH_SCHEMA_2019_09, "draft 2019-09");
    is_int(wh_schema_draft_find("draft-04"), 0, "no draft");
    schema = compiled(items, &draft7);
    ok(judged(schema, "[1]").verdict == WH_SCHEMA_INVALID, "items is a list in draft 07");
    if (schema) is_int(wh_schema_draft_of(schema), WH_SCHEMA_DRAFT_07, "... and it says so");
    ok(judged(compiled("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"prefixItems\":[{\"type\":\"null\"}]}", &draft7),
              "[1]").verdict == WH_SCHEMA_INVALID, "$schema wins");
    ok(judged(compiled("{\"format\":\"ipv4\"}", NULL), "\"x\"").verdict == WH_SCHEMA_VALID, "format is an annotation");
    ok(judged(compiled("{\"format\":\"ipv4\"}", &formats), "\"x\"").verdict == WH_SCHEMA_INVALID, "... unless asked");
    ok(judged(compiled("{\"format\":\"own\"}", &formats), "\"x\"").verdict == WH_SCHEMA_VALID, "a format nobody knows");
    ok(judged(compiled(media, &draft7), "\"{\"").verdict == WH_SCHEMA_VALID, "content is an annotation");
    ok(judged(compiled(media, &content), "\"e30=\"").verdict == WH_SCHEMA_VALID, "... or holds: {} in base64");
    is_str(judged(compiled(media, &content), "\"e30\"").errors[0].keyword, "contentEncoding", "... or not: no base64");
    is_str(judged(compiled(media, &content), "\"ew==\"").errors[0].keyword, "contentMediaType", "... or not: no JSON in it");
    many = apr_palloc(pool, 300004);
    for (i = 0; i < 150000; i++) memcpy(many + 2 + 2 * i, "0,", 2);
    memcpy(many, "\"[", 2);
    memcpy(many + 300001, "]\"", 3);
    is_str(judged(compiled("{\"contentMediaType\":\"application/json\"}", &content), many).errors[0].keyword, "contentMediaType",
           "... or not: more values in it than a body may have");
}

static void test_values(void)
{
    /* beyond a few values there is a table */
    const wh_schema *many = compiled("{\"enum\":[1,2,3,4,5,6,7,8,9,10,\"a\",[1,{\"x\":1,\"y\":2}],null,1e2,123456789012345678901234567890]}", NULL);
    const wh_schema *unique = compiled("{\"uniqueItems\":true}", NULL);

    ok(judged(many, "[1.0,{\"y\":2.0,\"x\":1}]").verdict == WH_SCHEMA_VALID, "equal by value, members in any order");
    ok(judged(many, "100").verdict == WH_SCHEMA_VALID, "100 is 1e2");
    ok(judged(many, "12345678901234567890123456789e1").verdict == WH_SCHEMA_VALID, "thirty digits");
    ok(judged(many, "123456789012345678901234567891").verdict == WH_SCHEMA_INVALID, "... and another thirty");
    ok(judged(many, "[1,{\"x\":1}]").verdict == WH_SCHEMA_INVALID, "a member less");
    ok(judged(many, "false").verdict == WH_SCHEMA_INVALID, "false is not 0 nor null");
    ok(judged(unique, "[1,2,3,4,5,6,7,8,9,10,11,\"1\",true,[1],{\"a\":1},{\"a\":2}]").verdict == WH_SCHEMA_VALID, "many that differ");
    ok(judged(unique, "[1,2,3,4,5,6,7,8,9,10,11,{\"a\":1,\"b\":[0]},{\"b\":[0.0],\"a\":1}]").verdict == WH_SCHEMA_INVALID, "many, two alike");
    ok(judged(compiled("{\"minLength\":2,\"maxLength\":2}", NULL), "\"\\ud83d\\ude00\\u00e9\"").verdict == WH_SCHEMA_VALID, "length in characters");
    /* a name goes on behind a NUL: it is none of the keywords, and nothing behind the keyword's own text is looked at */
    ok(judged(compiled("{\"type\\u0000\":\"null\",\"not\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\":true}", NULL), "1").verdict
       == WH_SCHEMA_VALID, "a keyword and a NUL is no keyword");
}

/* ---- what a sender makes of a schema costs is paid for, in steps and in memory ---- */

/* {"0":0,"1":0,...} with the members in an order of its own, `last` as the value of the last name */
static void put_object(wh_buf *b, int members, int order, int last)
{
    wh_buf_adds(b, "{");
    for (int i = 0; i < members; i++) {
        int name = (i * order) % members;
        wh_buf_addf(b, "%s\"%d\":%d", i ? "," : "", name, name == members - 1 ? last : 0);
    }
    wh_buf_adds(b, "}");
}

static void test_work(void)
{
    const wh_schema *unique = compiled("{\"uniqueItems\":true}", NULL);
    wh_schema_result r;
    wh_buf doc, schema;

    wh_buf_init(&doc, pool, 1 << 20);
    wh_buf_adds(&doc, "[");
    for (int i = 0; i < 8; i++) {
        wh_buf_adds(&doc, i ? "," : "");
        put_object(&doc, 4099, 1 + 512 * i, i);
    }
    wh_buf_adds(&doc, "]");
    r = judged(unique, doc.data);
    ok(r.verdict == WH_SCHEMA_VALID && r.steps > 8 * 4099 && r.steps < 16 * 4099, "few large values are compared by their hashes, at the price of those: %d steps",
       (int)r.steps);
    wh_buf_init(&doc, pool, 1 << 20);
    put_object(&doc, 4099, 2048, 7);
    wh_buf_init(&schema, pool, 1 << 20);
    wh_buf_adds(&schema, "{\"const\":");
    put_object(&schema, 4099, 1, 8);
    wh_buf_adds(&schema, "}");
    r = judged(compiled(schema.data, NULL), doc.data);
    ok(r.verdict != WH_SCHEMA_VALID && r.steps > 100000, "looking for members that stand elsewhere is paid for: %d steps", (int)r.steps);
}

/* Places deep in a document have long names: of all the failures of all the alternatives, only what is told may cost that. */
static void test_memory(void)
{
    wh_schema_result r;
    wh_buf schema, doc;
    wh_json_error err;
    apr_pool_t *own;
    usage before;
    wh_json *json;
    int i;

    wh_buf_init(&schema, pool, 8192);
    wh_buf_adds(&schema, "{\"additionalProperties\":{\"$ref\":\"#\"},\"items\":{\"anyOf\":[");
    for (i = 0; i < 200; i++) wh_buf_addf(&schema, "%s{\"maximum\":0}", i ? "," : "");
    wh_buf_adds(&schema, "]}}");
    wh_buf_init(&doc, pool, 65536);
    for (i = 0; i < 60; i++) wh_buf_addf(&doc, "{\"%01000d\":", i);
    wh_buf_adds(&doc, "[1,1,1,1,1,1,1,1,1,1]");
    for (i = 0; i < 60; i++) wh_buf_adds(&doc, "}");
    ok(wh_json_parse(&json, slice(doc.data), NULL, pool, &err) == APR_SUCCESS, "a deep document with long names");
    apr_pool_create(&own, NULL);
    before = in_use();
    wh_schema_validate(compiled(schema.data, NULL), json, &r, own);
    ok(r.verdict == WH_SCHEMA_INVALID && r.count == WH_SCHEMA_MAX_ERRORS && strlen(r.errors[9].instance) > 60000, "its failures");
    ok(used_since(before) < 16 * 1024 * 1024, "... take %d KiB", (int)((used_since(before)) / 1024));
    apr_pool_destroy(own);
}

int main(void)
{
    static const char *const files[] = {"/main.json", "/types.json", "/deeper", "/broken.json", "/fifo", "/other/b.json", "/other", ""};
    size_t i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (!mkdtemp(folder)) return 1;
    test_broken_schemas();
    test_places();
    test_all_errors();
    test_bounds();
    test_stack();
    test_files();
    test_options();
    test_values();
    test_work();
    test_memory();
    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) remove(apr_pstrcat(pool, folder, files[i], NULL));
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
