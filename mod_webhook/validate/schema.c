/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c: schemas from files and texts; see schema.h. */
#include "validate/schema_impl.h"
#include "validate/schema_uri.h"

#include <string.h>
#include <apr_file_info.h>
#include <apr_strings.h>

/* Places that a dynamic reference may lead to once its resource is entered. @return 1 when there were new ones */
static int add_dynamic_targets(wh_compiler *c)
{
    int before = c->all->nelts;
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(c->ptemp, c->resources); hi; hi = apr_hash_next(hi)) {
        wh_resource *r = apr_hash_this_val(hi);
        apr_hash_index_t *di;
        if (!r->entered) continue;
        for (di = apr_hash_first(c->ptemp, c->dynamics); di; di = apr_hash_next(di)) {
            const char *name = apr_hash_this_key(di);
            const wh_anchor *a = apr_hash_get(r->anchors, name, APR_HASH_KEY_STRING);
            if (*name ? a && a->dynamic : r->is_recursive) {
                wh_schema_node(c, *name ? a->value : r->root, r, *name ? "$dynamicRef" : "$recursiveRef");
            }
        }
    }
    return c->all->nelts > before;
}

static const char *compile(const wh_schema **out, webhook_slice text, const char *name, const char *base, const wh_schema_opts *opts,
                           int is_meta, apr_pool_t *p, apr_pool_t *ptemp)
{
    static const wh_schema_opts defaults;
    wh_schema *schema = apr_pcalloc(p, sizeof(*schema));
    wh_resource *root;
    wh_compiler c;
    int i = 0;

    memset(&c, 0, sizeof(c));
    c.p = p;
    c.ptemp = ptemp;
    c.opts = opts ? opts : &defaults;
    c.is_meta = is_meta;
    c.resources = apr_hash_make(ptemp);
    c.places = apr_hash_make(ptemp);
    c.nodes = apr_hash_make(ptemp);
    c.dynamics = apr_hash_make(ptemp);
    c.metas = apr_hash_make(ptemp);
    c.all = apr_array_make(ptemp, 256, sizeof(wh_node *));
    c.embedded = apr_array_make(ptemp, 4, sizeof(wh_resource *));

    root = wh_schema_add(&c, text, name, base, c.opts->draft ? c.opts->draft : WH_SCHEMA_2020_12);
    if (root) schema->root = wh_schema_node(&c, root->root, root, "false");
    do {
        for (; i < c.all->nelts && !c.error; i++) wh_schema_compile_node(&c, APR_ARRAY_IDX(c.all, i, wh_node *));
    } while (!c.error && apr_hash_count(c.dynamics) && add_dynamic_targets(&c));
    schema->steps = c.opts->steps ? c.opts->steps : WH_SCHEMA_STEPS;
    schema->depth = c.opts->depth ? c.opts->depth : WH_SCHEMA_DEPTH;
    if (!c.error) wh_schema_link(&c, schema);
    if (c.error) return c.error;
    *out = schema;
    return NULL;
}

const wh_schema *wh_schema_meta(wh_compiler *c, const char *uri, const wh_schema_doc *doc, const wh_json_value *at)
{
    const wh_schema *meta = apr_hash_get(c->metas, uri, APR_HASH_KEY_STRING);
    char *ref, *text;
    wh_schema_opts opts = *c->opts;
    const char *failed;

    if (meta) return meta;
    /* The meta-schema is compiled as what any schema would be that refers to it: so it is found like all others, built in or mapped. */
    ref = apr_psprintf(c->ptemp, "{\"$ref\":\"%s\"}", uri);
    text = strpbrk(ref + 9, "\\\"") == strrchr(ref, '"') ? ref : NULL;
    if (!text) return wh_schema_fail(c, doc, at, "the URI of the meta-schema is none");
    opts.format_assert = opts.content_assert = 0;
    opts.steps = 0;
    opts.depth = 16 * 1024;
    failed = compile(&meta, (webhook_slice){text, strlen(text)}, uri, "", &opts, 1, c->ptemp, c->ptemp);
    if (failed) return wh_schema_fail(c, doc, at, "its meta-schema: %s", failed);
    apr_hash_set(c->metas, uri, APR_HASH_KEY_STRING, meta);
    return meta;
}

const char *wh_schema_compile_text(const wh_schema **out, webhook_slice text, const char *name, const char *base,
                                   const wh_schema_opts *opts, apr_pool_t *p, apr_pool_t *ptemp)
{
    return compile(out, text, name, base ? base : "", opts, 0, p, ptemp);
}

const char *wh_schema_compile(const wh_schema **out, const char *file, const wh_schema_opts *opts, apr_pool_t *p, apr_pool_t *ptemp)
{
    webhook_slice text;
    const char *failed = wh_schema_read_file(&text, file, p);
    char *path = NULL;

    if (failed) return apr_pstrcat(p, file, ": ", failed, NULL);
    if (apr_filepath_merge(&path, NULL, file, APR_FILEPATH_NOTRELATIVE, p) != APR_SUCCESS) path = apr_pstrdup(p, file);
    return compile(out, text, path, wh_uri_of_file(path, p), opts, 0, p, ptemp);
}

int wh_schema_draft_of(const wh_schema *schema)
{
    return schema->root->resource->dialect.draft;
}

int wh_schema_draft_find(const char *name)
{
    if (!strcmp(name, "7") || !strcmp(name, "07") || !strcmp(name, "draft-07")) return WH_SCHEMA_DRAFT_07;
    if (!strcmp(name, "2019-09")) return WH_SCHEMA_2019_09;
    return strcmp(name, "2020-12") ? 0 : WH_SCHEMA_2020_12;
}
