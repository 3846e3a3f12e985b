/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_bench.c: what reading a payload and holding it to a schema costs. Not a test.
 *
 *   schema_bench DIRECTORY [milliseconds=300]
 *
 * With the directory of build/schemas.sh: GitHub's example payloads against the schema of their event ("push", "stream") and against the
 * union of all ("union"). A line each: name, payloads, mean bytes, nanoseconds a payload; build/bench/ajv.js prints the same for JSON.parse
 * and ajv. Then what needs no directory ("-"): "evil N microseconds", the worst of known-evil patterns with hostile strings; "hostile N
 * microseconds", the worst of schemas and documents made for each other's harm. Processor time; the best of many short turns counts, of
 * the evil ones too, since a turn may be interrupted.
 */
#include <apr_general.h>
#include <apr_hash.h>
#include <apr_strings.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "validate/schema.h"

typedef struct job {
    webhook_slice text;
    const wh_schema *schema;
    const char *name;
} job;

static apr_pool_t *pool;
static const char *dir;
static int milliseconds = 300;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static const wh_schema *compile_text(const char *text, const wh_schema_opts *opts)
{
    const wh_schema *schema = NULL;
    const char *failed = wh_schema_compile_text(&schema, (webhook_slice){text, strlen(text)}, "s", NULL, opts, pool, pool);

    if (failed) {
        fprintf(stderr, "schema_bench: %s\n", failed);
        exit(1);
    }
    return schema;
}

static const wh_schema *compile_file(const char *name)
{
    const wh_schema *schema = NULL;
    const char *failed = wh_schema_compile(&schema, apr_pstrcat(pool, dir, "/", name, ".json", NULL), NULL, pool, pool);

    if (failed) {
        fprintf(stderr, "schema_bench: %s\n", failed);
        exit(1);
    }
    return schema;
}

static wh_schema_verdict run(const job *j, apr_pool_t *scratch)
{
    wh_schema_verdict verdict = WH_SCHEMA_INVALID;
    wh_schema_result result;
    wh_json_error err;
    wh_json *doc;

    apr_pool_clear(scratch);
    if (!wh_json_parse(&doc, j->text, NULL, scratch, &err)) verdict = wh_schema_validate(j->schema, doc, &result, scratch);
    return verdict;
}

static void measure(const char *what, const apr_array_header_t *jobs, const char *only, const wh_schema *schema)
{
    apr_array_header_t *work = apr_array_make(pool, jobs->nelts, sizeof(job));
    double best = 1e18, end = now_ns() + milliseconds * 1e6, begin;
    apr_size_t bytes = 0;
    apr_pool_t *scratch;
    int i, k, times, all = 0;

    apr_pool_create(&scratch, pool);
    for (i = 0; i < jobs->nelts; i++) {
        job j = APR_ARRAY_IDX(jobs, i, job);
        if (only && (all || strcmp(j.name, only))) continue;
        if (schema) j.schema = schema;
        bytes += j.text.len;
        all++;
        if (run(&j, scratch) == WH_SCHEMA_VALID) APR_ARRAY_PUSH(work, job) = j;
    }
    if (!work->nelts) return;
    times = 200 / work->nelts + 1;
    do {
        begin = now_ns();
        for (k = 0; k < times; k++) {
            for (i = 0; i < work->nelts; i++) run(&APR_ARRAY_IDX(work, i, job), scratch);
        }
        begin = (now_ns() - begin) / times / work->nelts;
        if (begin < best) best = begin;
    } while (now_ns() < end);
    printf("%s %d %lu %.0f\n", what, work->nelts, (unsigned long)(bytes / (apr_size_t)all), best);
    apr_pool_destroy(scratch);
}

static void measure_payloads(void)
{
    apr_array_header_t *jobs = apr_array_make(pool, 400, sizeof(job));
    apr_hash_t *schemas = apr_hash_make(pool);
    char *path = apr_pstrcat(pool, dir, "/verdicts.jsonl", NULL), *line = NULL;
    FILE *f = fopen(path, "r");
    const wh_schema *all;
    size_t room = 0;
    ssize_t len;

    if (!f) {
        perror(path);
        exit(1);
    }
    while ((len = getline(&line, &room, f)) > 0) {
        const wh_json_value *verdicts;
        wh_json_error err;
        wh_json *doc;
        apr_size_t i;
        apr_pool_t *p;
        apr_pool_create(&p, pool);
        if (wh_json_parse(&doc, (webhook_slice){line, (apr_size_t)len}, &wh_json_plain, p, &err)) break;
        verdicts = wh_json_get(&doc->root, "verdicts");
        for (i = 0; wh_json_typeof(wh_json_get(&doc->root, "example")) == WH_JSON_TRUE && i < wh_json_size(verdicts); i++) {
            const wh_json_value *row = wh_json_at(verdicts, i);
            const char *name = wh_json_text(wh_json_at(row, 0), pool);
            webhook_slice text = wh_json_string(wh_json_get(&doc->root, "payload"));
            job j = {{apr_pstrmemdup(pool, text.data, text.len), text.len}, NULL, name};
            if (strncmp(name, "07-", 3) || !strcmp(name, "07-all") || wh_json_at(row, 1)->type == WH_JSON_TRUE) continue;
            if (wh_json_at(row, 2)->type != WH_JSON_TRUE) break;
            j.schema = apr_hash_get(schemas, name, APR_HASH_KEY_STRING);
            if (!j.schema) apr_hash_set(schemas, name, APR_HASH_KEY_STRING, j.schema = compile_file(name));
            APR_ARRAY_PUSH(jobs, job) = j;
            break;
        }
        apr_pool_destroy(p);
    }
    free(line);
    fclose(f);
    all = compile_file("07-all");
    measure("push", jobs, "07-push", NULL);
    measure("stream", jobs, NULL, NULL);
    measure("union", jobs, NULL, all);
    measure("push-union", jobs, "07-push", all);
}

/* The worst of some jobs, each taken at its best. */
static void worst(const char *what, const apr_array_header_t *jobs)
{
    double slowest = 0;
    apr_pool_t *scratch;
    int i, k, at = 0;

    apr_pool_create(&scratch, pool);
    for (i = 0; i < jobs->nelts; i++) {
        double best = 1e18;
        for (k = 0; k < 5; k++) {
            double begin = now_ns();
            run(&APR_ARRAY_IDX(jobs, i, job), scratch);
            begin = now_ns() - begin;
            if (begin < best) best = begin;
        }
        if (best > slowest) slowest = best, at = i;
    }
    printf("%s %d %.0f %s\n", what, jobs->nelts, slowest / 1e3, APR_ARRAY_IDX(jobs, at, job).name);
    apr_pool_destroy(scratch);
}

static void measure_evil(void)
{
    static const char *const patterns[] = {
        "^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(a*)*$", "^(a*a*)*$", "(.*a){20}", "^(([a-z])+.)+[A-Z]([a-z])+$", "^([a-zA-Z0-9])+(([a-z]+)*)+!$",
        "(x+x+)+y", "^(.+)+$z", "(a?){30}a{30}", "^((a+)*b?)*c$", "(\\\\w+\\\\s?)+$", "^(\\\\d+)*\\\\D$", "(a+)+b(a+)+c", "^(?:a+|b+|ab)+$",
        "([^,]*,){15}x", "(.*)*(.*)*(.*)*!", "^(a(b(c*)*)*)*d$", "(?=(a+)+b)a",
    };
    static const char fills[] = "a1, x";
    apr_array_header_t *jobs = apr_array_make(pool, 200, sizeof(job));
    size_t i, k, n;

    for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        const wh_schema *schema = compile_text(apr_psprintf(pool, "{\"items\":{\"pattern\":\"%s\"}}", patterns[i]), NULL);
        for (k = 0; k < sizeof(fills) - 1; k++) {
            for (n = 30; n <= 300000; n *= 10) {
                char *text = apr_palloc(pool, n + 10);
                job j = {{text, n + 5}, schema, patterns[i]};
                memset(text, fills[k], n + 5);
                memcpy(text, "[\"", 2);
                memcpy(text + n + 2, "!\"]", 3);
                APR_ARRAY_PUSH(jobs, job) = j;
            }
        }
    }
    worst("evil", jobs);
}

static void measure_hostile(void)
{
    static const struct {
        const char *schema, *head, *item, *tail;
        int times;
    } rows[] = {
        {"{\"items\":{\"$ref\":\"#\"},\"allOf\":[{\"items\":{\"$ref\":\"#\"}}]}", "", "[", "", 60},
        {"{\"uniqueItems\":true}", "[0", ",[[]]", "]", 45000},
        {"{\"uniqueItems\":true}", "[0", ",{\"a\":1.0e5}", "]", 45000},
        {"{\"additionalProperties\":{\"enum\":[1,2,3,4,5,6,7,8,9,10,11,12]}}", "[0", ",{\"a\":11}", "]", 40000},
        {"{\"items\":{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]},{\"minProperties\":3}]}}", "[0", ",{\"c\":1}", "]", 40000},
        {"{\"unevaluatedItems\":false,\"anyOf\":[{\"prefixItems\":[true]},{\"items\":true}]}", "[0", ",1", "]", 90000},
        {"{\"items\":{\"multipleOf\":0.0123456789}}", "[0", ",1.2345678901234567890", "]", 40000},
        {"{\"items\":{\"anyOf\":[{\"maxLength\":1},{\"minLength\":9}]}}", "[0", ",\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\"", "]", 40000},
        {"{\"$dynamicAnchor\":\"n\",\"items\":{\"$dynamicRef\":\"#n\"},\"not\":{\"minItems\":99999}}", "[0", ",[]", "]", 60000},
        {"{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}", "{\"allOf\":[{}", ",{\"not\":{}}", "]}", 20000},
    };
    apr_array_header_t *jobs = apr_array_make(pool, 20, sizeof(job));
    size_t i;
    int k;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        job j = {{NULL, 0}, compile_text(rows[i].schema, NULL), rows[i].schema};
        wh_buf b;
        wh_buf_init(&b, pool, 1024);
        wh_buf_adds(&b, rows[i].head);
        for (k = 0; k < rows[i].times; k++) wh_buf_adds(&b, rows[i].item);
        if (!*rows[i].tail) {
            for (k = 0; k < rows[i].times; k++) wh_buf_adds(&b, "]");
        }
        wh_buf_adds(&b, rows[i].tail);
        j.text = (webhook_slice){b.data, b.len};
        APR_ARRAY_PUSH(jobs, job) = j;
    }
    worst("hostile", jobs);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: schema_bench DIRECTORY|- [milliseconds]\n");
        return 2;
    }
    dir = argv[1];
    if (argc > 2) milliseconds = atoi(argv[2]);
    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (strcmp(dir, "-")) measure_payloads();
    measure_evil();
    measure_hostile();
    return 0;
}
