/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GitHub's own schemas (draft 07 and 2020-12), its example payloads and mutants of them: every verdict must be ajv's, with and without
 * formats. The data are made by build/schemas.sh (make -f apxs.mk schemas), which needs npm; without them this is left out.
 */
#include "tap.h"

#include <sys/stat.h>
#include <apr_general.h>
#include <apr_hash.h>
#include <apr_strings.h>

#include "validate/schema.h"
#include "validate/schema_impl.h"

/* Where ajv is the one that is wrong, by what the standards say: "schema: payload's place: keyword" would be here. */
#define MIN_VERDICTS 7000

static apr_pool_t *pool;
static const char *dir;
static apr_hash_t *schemas;
static int compiled, different;

static const wh_schema *schema_of(const char *name, int formats)
{
    const char *key = apr_pstrcat(pool, name, formats ? "+" : "", NULL), *failed;
    const wh_schema *schema = apr_hash_get(schemas, key, APR_HASH_KEY_STRING);
    wh_schema_opts opts = {.format_assert = formats};
    apr_pool_t *scratch;

    if (schema) return schema;
    apr_pool_create(&scratch, pool);
    failed = wh_schema_compile(&schema, apr_pstrcat(pool, dir, "/", name, ".json", NULL), &opts, pool, scratch);
    apr_pool_destroy(scratch);
    if (failed) diag("%s", failed);
    else compiled++;
    apr_hash_set(schemas, key, APR_HASH_KEY_STRING, schema);
    return schema;
}

static int judge_line(webhook_slice line, int *invalid, apr_pool_t *p)
{
    wh_json *doc, *payload;
    wh_json_error err;
    const wh_json_value *list;
    int n = 0;
    apr_size_t i;

    if (wh_json_parse(&doc, line, &wh_json_plain, p, &err)) return 0;
    if (wh_json_parse(&payload, wh_json_string(wh_json_get(&doc->root, "payload")), NULL, p, &err)) {
        diag("a payload is no JSON: %s", err.reason);
        different++;
        return 0;
    }
    list = wh_json_get(&doc->root, "verdicts");
    for (i = 0; i < wh_json_size(list); i++) {
        const wh_json_value *row = wh_json_at(list, i);
        const char *name = wh_json_text(wh_json_at(row, 0), p);
        int formats = wh_json_at(row, 1)->type == WH_JSON_TRUE, valid = wh_json_at(row, 2)->type == WH_JSON_TRUE;
        const wh_schema *schema = schema_of(name, formats);
        wh_schema_result result = {.verdict = WH_SCHEMA_REFUSED};

        if (schema) wh_schema_validate(schema, payload, &result, p);
        *invalid += !valid;
        n++;
        if (result.verdict == (valid ? WH_SCHEMA_VALID : WH_SCHEMA_INVALID)) continue;
        if (++different <= 20) {
            diag("%s%s: ajv says %s, we %s (%s %s)", name, formats ? " with formats" : "", valid ? "valid" : "invalid",
                 result.verdict == WH_SCHEMA_VALID ? "valid" : result.verdict == WH_SCHEMA_INVALID ? "invalid" : "refused",
                 result.count ? result.errors[0].instance : "", result.count ? result.errors[0].schema : result.reason ? result.reason : "");
        }
    }
    return n;
}

int main(int argc, const char *const *argv)
{
    int verdicts = 0, invalid = 0;
    webhook_slice text;
    const char *at, *end;
    apr_pool_t *scratch;
    struct stat st;

    (void)argc;
    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_pool_create(&scratch, pool);
    schemas = apr_hash_make(pool);
    /* BUILD/unit/this → BUILD/schemas */
    dir = getenv("WEBHOOK_SCHEMAS");
    if (!dir) {
        const char *slash = strrchr(argv[0], '/');
        dir = apr_pstrcat(pool, slash ? apr_pstrmemdup(pool, argv[0], (apr_size_t)(slash - argv[0])) : ".", "/../schemas", NULL);
    }
    if (stat(apr_pstrcat(pool, dir, "/verdicts.jsonl", NULL), &st)) {
        skip_all("no verdicts: make -f apxs.mk schemas fetches GitHub's schemas and ajv from npm");
    }
    if (wh_schema_read_file(&text, apr_pstrcat(pool, dir, "/verdicts.jsonl", NULL), pool)) {
        fail("the verdicts can be read");
        return tap_done();
    }
    for (at = text.data; at < text.data + text.len; at = end + 1) {
        end = memchr(at, '\n', (apr_size_t)(text.data + text.len - at));
        if (!end) end = text.data + text.len;
        verdicts += judge_line((webhook_slice){at, (apr_size_t)(end - at)}, &invalid, scratch);
        apr_pool_clear(scratch);
    }
    ok(verdicts >= MIN_VERDICTS && invalid > verdicts / 10 && verdicts - invalid > verdicts / 10, "%d verdicts, %d of them \"invalid\"",
       verdicts, invalid);
    ok(compiled >= 100, "%d schemas compiled", compiled);
    is_int(different, 0, "every verdict is ajv's");
    return tap_done();
}
