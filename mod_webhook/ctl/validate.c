/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate.c: documents against a JSON Schema, with the engine of the module: to try a schema before a server uses it. One line per file,
 * in their order.
 */
#include "ctl/arguments.h"

#include <apr_file_info.h>
#include <apr_strings.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/reasons.h"
#include "validate/schema.h"

/* Schemas nested inside each other: the tool has a stack to itself, and files may be nested as deep as the reader goes. */
#define DEPTH (8 * 1024)

/* "URI=DIR": the last '=', since URIs may hold some and directories seldom do. @return 0 after an error was printed */
static int read_maps(wh_ctl *ctl, apr_array_header_t *maps, const apr_array_header_t *words)
{
    int i;

    for (i = 0; i < words->nelts; i++) {
        char *uri = apr_pstrdup(ctl->pool, APR_ARRAY_IDX(words, i, const char *)), *dir = strrchr(uri, '='), *path;
        wh_schema_map *map;
        apr_finfo_t info;
        if (!dir || dir == uri || !dir[1]) {
            wh_ctl_error(ctl, "--ref %s: must be URI=DIRECTORY", uri);
            return 0;
        }
        *dir++ = '\0';
        if (!strchr(uri, ':')) {
            wh_ctl_error(ctl, "--ref %s: the URI must be absolute", uri);
            return 0;
        }
        if (apr_stat(&info, dir, APR_FINFO_TYPE, ctl->pool) != APR_SUCCESS || info.filetype != APR_DIR) {
            wh_ctl_error(ctl, "--ref %s: no directory %s", uri, dir);
            return 0;
        }
        if (apr_filepath_merge(&path, NULL, dir, APR_FILEPATH_NOTRELATIVE, ctl->pool) != APR_SUCCESS) path = dir;
        map = apr_array_push(maps);
        map->prefix = uri;
        map->directory = path;
    }
    return 1;
}

static void print_json(const char *file, const wh_schema_result *r, apr_pool_t *p)
{
    wh_buf b;
    int i;

    wh_buf_init(&b, p, 256);
    wh_buf_adds(&b, "{");
    wh_json_put_member(&b, "file", file);
    wh_json_put_member_bool(&b, "valid", r->verdict == WH_SCHEMA_VALID);
    wh_json_put_member(&b, "reason", r->reason);
    if (r->count) {
        wh_json_put_name(&b, "errors");
        wh_buf_adds(&b, "[");
        for (i = 0; i < r->count; i++) {
            wh_buf_adds(&b, i ? ",{" : "{");
            wh_json_put_member(&b, "instance", r->errors[i].instance);
            wh_json_put_member(&b, "keyword", r->errors[i].keyword);
            wh_json_put_member(&b, "schema", r->errors[i].schema);
            wh_buf_adds(&b, "}");
        }
        wh_buf_adds(&b, "]");
    }
    if (r->more) wh_json_put_member_bool(&b, "more", 1);
    wh_buf_adds(&b, "}");
    puts(b.data);
}

/* @return exit code */
static int judge(const wh_ctl *ctl, const wh_schema *schema, const wh_json_limits *limits, const char *file, apr_pool_t *p)
{
    wh_schema_result result = {.verdict = WH_SCHEMA_INVALID};
    wh_json_error err = {NULL, 0};
    webhook_slice text;
    wh_json *doc;
    const char *failed = wh_ctl_read(&text, file, p);

    if (failed) {
        wh_ctl_error(ctl, "%s", failed);
        return WH_CTL_USAGE;
    }
    if (wh_json_parse(&doc, text, limits, p, &err)) {
        result.reason = wh_refusal_table[wh_refusal_of_json(err.reason)].code;
        result.count = 1;
        result.errors[0].instance = "#";
        result.errors[0].keyword = result.reason;
    } else {
        wh_schema_validate(schema, doc, &result, p);
    }
    if (ctl->json) {
        print_json(file, &result, p);
    } else if (result.verdict == WH_SCHEMA_VALID) {
        printf("valid %s\n", file);
    } else {
        printf("invalid %s %s %s\n", file, result.count ? result.errors[0].instance : "#",
               result.verdict == WH_SCHEMA_REFUSED || !result.count ? result.reason : result.errors[0].keyword);
    }
    return result.verdict == WH_SCHEMA_VALID ? WH_CTL_OK : WH_CTL_NO;
}

int wh_ctl_validate(wh_ctl *ctl, int argc, const char *const *argv)
{
    const char *file = NULL, *draft = NULL, *failed;
    wh_schema_opts opts = {.depth = DEPTH};
    apr_array_header_t *refs, *words, *maps;
    int strict = 0, i, rc = WH_CTL_OK;
    const wh_schema *schema;
    apr_pool_t *scratch;
    const wh_argument table[] = {
        {"--schema", &file, NULL, NULL}, {"--draft", &draft, NULL, NULL}, {"--ref", NULL, &refs, NULL},
        {"--format-assert", NULL, NULL, &opts.format_assert}, {"--content-assert", NULL, NULL, &opts.content_assert},
        {"--strict", NULL, NULL, &strict}, {NULL, NULL, NULL, NULL},
    };

    if (wh_ctl_arguments(ctl, table, argc, argv, &words)) return WH_CTL_USAGE;
    if (!file || !words->nelts) return wh_ctl_error(ctl, "validate needs --schema FILE and at least one file (webhookctl help)");
    if (draft && !(opts.draft = wh_schema_draft_find(draft))) {
        return wh_ctl_error(ctl, "--draft %s: must be 7, 2019-09 or 2020-12", draft);
    }
    opts.content_assert |= opts.format_assert; /* draft 07 has them in one breath: both are annotations unless asked for */
    maps = apr_array_make(ctl->pool, 4, sizeof(wh_schema_map));
    if (!read_maps(ctl, maps, refs)) return WH_CTL_USAGE;
    opts.maps = maps;
    apr_pool_create(&scratch, ctl->pool);
    failed = wh_schema_compile(&schema, file, &opts, ctl->pool, scratch);
    if (failed) return wh_ctl_error(ctl, "%s", failed);
    for (i = 0; i < words->nelts; i++) {
        int one;
        apr_pool_clear(scratch);
        one = judge(ctl, schema, strict ? NULL : &wh_json_plain, APR_ARRAY_IDX(words, i, const char *), scratch);
        if (one > rc) rc = one;
    }
    return rc;
}
