/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload_directives.c: the directives that say what a body may be and what it means: WebhookContentTypes, WebhookPayload, WebhookDecode,
 * WebhookValidate. Schemas are compiled here, in the parent, so that what is wrong with one is said with the directive's line.
 */
#include "httpd/directives.h"

#include "apr_file_info.h"
#include "apr_strings.h"
#include "http_core.h"

#include <string.h>

#include "core/units.h"
#include "validate/inflate.h"
#include "validate/media.h"
#include "validate/schema.h"

#define DEFAULT_RATIO 100
#define MAX_RATIO 1032 /* what deflate can do at most */

/* ---- WebhookContentTypes, WebhookPayload ---- */

const char *wh_set_content_types(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);
    int i, n;

    if (err) {
        return err;
    }
    if (c->content_types) {
        return WH_D_CONTENT_TYPES " is given twice in one section";
    }
    if (argc < 1) {
        return WH_D_CONTENT_TYPES " takes one or more media types";
    }
    c->content_types = apr_array_make(cmd->pool, argc + 1, sizeof(const char *));
    for (i = 0; i < argc; i++) {
        char *type = apr_pstrdup(cmd->pool, argv[i]);

        if ((err = wh_media_check(type, cmd->pool)) != NULL) {
            return apr_psprintf(cmd->pool, WH_D_CONTENT_TYPES ": \"%s\" %s", argv[i], err);
        }
        ap_str_tolower(type);
        for (n = 0; n < i; n++) {
            if (wh_media_covers(APR_ARRAY_IDX(c->content_types, n, const char *), type)) {
                return apr_psprintf(cmd->pool, WH_D_CONTENT_TYPES ": \"%s\" is never looked at behind \"%s\": the first that fits counts",
                                    argv[i], argv[n]);
            }
        }
        APR_ARRAY_PUSH(c->content_types, const char *) = type;
    }
    wh_cmd_end_list(c->content_types);
    return NULL;
}

const char *wh_set_payload(cmd_parms *cmd, void *mconfig, const char *arg)
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c), *field;

    if (err) {
        return err;
    }
    if (!ap_cstr_casecmp(arg, "body")) {
        c->payload_field = "";
        return NULL;
    }
    if ((field = wh_cmd_behind(arg, "field=")) == NULL || !*field) {
        return apr_psprintf(cmd->pool, WH_D_PAYLOAD " cannot be \"%s\" (allowed: body, field=NAME)", arg);
    }
    c->payload_field = field;
    return NULL;
}

/* ---- WebhookDecode ---- */

static const char *decode_word(cmd_parms *cmd, wh_decoding *d, const char *word)
{
    const char *value;
    apr_int64_t n;

    if (!ap_cstr_casecmp(word, "gzip")) {
        d->codings |= WH_CODING_GZIP;
        return NULL;
    }
    if (!ap_cstr_casecmp(word, "deflate")) {
        d->codings |= WH_CODING_DEFLATE;
        return NULL;
    }
    if ((value = wh_cmd_behind(word, "hmac=")) != NULL) {
        if (strcmp(value, "wire") && strcmp(value, "decoded")) {
            return apr_psprintf(cmd->pool, WH_D_DECODE ": hmac= cannot be \"%s\" (allowed: wire, decoded)", value);
        }
        d->over_decoded = *value == 'd';
        return NULL;
    }
    if ((value = wh_cmd_behind(word, "limit=")) != NULL) {
        return wh_cmd_size(cmd, value, 1, 1024 * 1024 * 1024, &d->limit)
                   ? apr_psprintf(cmd->pool, WH_D_DECODE ": limit= cannot be \"%s\" (expected a size such as 64K or 25M, up to 1G)", value)
                   : NULL;
    }
    if ((value = wh_cmd_behind(word, "ratio=")) != NULL) {
        if (wh_parse_int(value, strlen(value), 1, MAX_RATIO, &n) != APR_SUCCESS) {
            return apr_psprintf(cmd->pool, WH_D_DECODE ": ratio= cannot be \"%s\" (allowed: 1 to %d)", value, MAX_RATIO);
        }
        d->ratio = (int)n;
        return NULL;
    }
    return apr_psprintf(cmd->pool, WH_D_DECODE ": \"%s\" is not possible (allowed: gzip, deflate, hmac=wire|decoded, limit=SIZE, ratio=NUMBER; "
                        "or off alone)", word);
}

const char *wh_set_decode(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);
    wh_decoding *d;
    int i;

    if (err) {
        return err;
    }
    if (c->decode) {
        return WH_D_DECODE " is given twice in one section";
    }
    d = apr_pcalloc(cmd->pool, sizeof(*d));
    d->over_decoded = WH_UNSET;
    d->limit = WH_UNSET;
    d->ratio = DEFAULT_RATIO;
    c->decode = d;
    if (argc == 1 && !ap_cstr_casecmp(argv[0], "off")) {
        return NULL;
    }
    for (i = 0; i < argc; i++) {
        if ((err = decode_word(cmd, d, argv[i])) != NULL) {
            return err;
        }
    }
    return d->codings ? NULL : WH_D_DECODE " takes gzip, deflate or both (or off)";
}

/* ---- WebhookValidate ---- */

static const char *add_reference(cmd_parms *cmd, wh_schema_opts *opts, const char *value)
{
    apr_array_header_t *maps = opts->maps ? apr_array_copy(cmd->temp_pool, opts->maps) : apr_array_make(cmd->temp_pool, 2, sizeof(wh_schema_map));
    const char *split = strrchr(value, '=');
    wh_schema_map *map = apr_array_push(maps);
    apr_finfo_t info;

    if (!split || split == value || !split[1] || !memchr(value, ':', (apr_size_t)(split - value))) {
        return apr_psprintf(cmd->pool, WH_D_VALIDATE ": ref= cannot be \"%s\" (expected URI=DIRECTORY, such as "
                            "ref=https://schemas.example/=conf/schemas)", value);
    }
    map->prefix = apr_pstrmemdup(cmd->pool, value, (apr_size_t)(split - value));
    map->directory = ap_server_root_relative(cmd->pool, split + 1);
    if (!map->directory || apr_stat(&info, map->directory, APR_FINFO_TYPE, cmd->temp_pool) != APR_SUCCESS || info.filetype != APR_DIR) {
        return apr_psprintf(cmd->pool, WH_D_VALIDATE ": ref=: \"%s\" is not a directory", split + 1);
    }
    opts->maps = maps;
    return NULL;
}

static const char *validate_word(cmd_parms *cmd, wh_validation *v, wh_schema_opts *opts, const char *word)
{
    const char *value;

    if (!ap_cstr_casecmp(word, "report")) {
        v->report = 1;
        return NULL;
    }
    if ((value = wh_cmd_behind(word, "schema=")) != NULL && *value) {
        v->file = ap_server_root_relative(cmd->pool, value);
        return v->file ? NULL : apr_psprintf(cmd->pool, WH_D_VALIDATE ": schema= cannot be \"%s\" (expected the path of a file)", value);
    }
    if ((value = wh_cmd_behind(word, "event=")) != NULL && *value) {
        v->event = value;
        return NULL;
    }
    if ((value = wh_cmd_behind(word, "draft=")) != NULL) {
        opts->draft = wh_schema_draft_find(value);
        return opts->draft ? NULL : apr_psprintf(cmd->pool, WH_D_VALIDATE ": draft= cannot be \"%s\" (allowed: 2020-12, 2019-09, 7)", value);
    }
    if ((value = wh_cmd_behind(word, "format=")) != NULL) {
        opts->format_assert = !strcmp(value, "assert");
        return opts->format_assert || !strcmp(value, "annotate")
                   ? NULL : apr_psprintf(cmd->pool, WH_D_VALIDATE ": format= cannot be \"%s\" (allowed: annotate, assert)", value);
    }
    if ((value = wh_cmd_behind(word, "content=")) != NULL) {
        opts->content_assert = !strcmp(value, "assert");
        return opts->content_assert || !strcmp(value, "annotate")
                   ? NULL : apr_psprintf(cmd->pool, WH_D_VALIDATE ": content= cannot be \"%s\" (allowed: annotate, assert)", value);
    }
    if ((value = wh_cmd_behind(word, "ref=")) != NULL) {
        return add_reference(cmd, opts, value);
    }
    return apr_psprintf(cmd->pool, WH_D_VALIDATE ": \"%s\" is not possible (allowed behind json: schema=FILE, event=NAME, report, draft=, "
                        "format=, content=, ref=URI=DIRECTORY)", word);
}

/* One compiled schema for all lines that say the same. */
static const char *compile(cmd_parms *cmd, wh_validation *v, const wh_schema_opts *opts)
{
    wh_global *g = wh_conf_global(cmd->server);
    const char *key = apr_psprintf(cmd->pool, "%d %d %d %s", opts->draft, opts->format_assert, opts->content_assert, v->file), *err;
    int i;

    /* A dump reads no files: whoever can read the configuration can have it. */
    if (ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_DUMP || ap_exists_config_define("DUMP_WEBHOOK")) {
        return NULL;
    }
    for (i = 0; opts->maps && i < opts->maps->nelts; i++) {
        const wh_schema_map *map = &APR_ARRAY_IDX(opts->maps, i, wh_schema_map);
        key = apr_pstrcat(cmd->pool, key, "\n", map->prefix, "\n", map->directory, NULL);
    }
    if (!g->schemas) {
        g->schemas = apr_hash_make(g->pconf);
    }
    if ((v->schema = apr_hash_get(g->schemas, key, APR_HASH_KEY_STRING)) != NULL) {
        return NULL;
    }
    if ((err = wh_schema_compile(&v->schema, v->file, opts, cmd->pool, cmd->temp_pool)) != NULL) {
        return apr_pstrcat(cmd->pool, WH_D_VALIDATE ": ", err, NULL);
    }
    apr_hash_set(g->schemas, key, APR_HASH_KEY_STRING, v->schema);
    return NULL;
}

static const char *check_validation(cmd_parms *cmd, const wh_dir_conf *c, const wh_validation *v, const wh_schema_opts *opts)
{
    int i;

    if (!v->file && (opts->draft || opts->format_assert || opts->content_assert || opts->maps)) {
        return WH_D_VALIDATE ": draft=, format=, content= and ref= say how a schema is read, and there is no schema=";
    }
    for (i = 0; i < c->validate->nelts; i++) {
        const wh_validation *other = APR_ARRAY_IDX(c->validate, i, const wh_validation *);

        if (v->event ? other->event && !strcmp(other->event, v->event) : !other->event) {
            return v->event ? apr_psprintf(cmd->pool, WH_D_VALIDATE ": the event \"%s\" has a line already (%s:%d)", v->event, other->conf_file,
                                           other->conf_line)
                            : apr_psprintf(cmd->pool, WH_D_VALIDATE ": there is a line without event= already (%s:%d)", other->conf_file,
                                           other->conf_line);
        }
    }
    return NULL;
}

const char *wh_set_validate(cmd_parms *cmd, void *mconfig, int argc, char *const argv[])
{
    wh_dir_conf *c = mconfig;
    const char *err = wh_cmd_enter(cmd, c);
    wh_schema_opts opts = {0};
    wh_validation *v;
    int i;

    if (err) {
        return err;
    }
    if (argc == 1 && !ap_cstr_casecmp(argv[0], "off")) {
        if (c->validate) {
            return WH_D_VALIDATE " off: there is another line in this section";
        }
        c->validate = apr_array_make(cmd->pool, 1, sizeof(wh_validation *));
        return NULL;
    }
    if (argc < 1 || ap_cstr_casecmp(argv[0], "json")) {
        return apr_psprintf(cmd->pool, WH_D_VALIDATE " cannot be \"%s\" (allowed: json and its options, off)", argc < 1 ? "" : argv[0]);
    }
    if (c->validate && c->validate->nelts == 0) {
        return WH_D_VALIDATE ": off is in this section already";
    }
    v = apr_pcalloc(cmd->pool, sizeof(*v));
    v->conf_file = cmd->directive->filename;
    v->conf_line = cmd->directive->line_num;
    v->text = "json";
    for (i = 1; i < argc; i++) {
        if ((err = validate_word(cmd, v, &opts, argv[i])) != NULL) {
            return err;
        }
        v->text = apr_pstrcat(cmd->pool, v->text, " ", argv[i], NULL);
    }
    if (!c->validate) {
        c->validate = apr_array_make(cmd->pool, 2, sizeof(wh_validation *));
    }
    if ((err = check_validation(cmd, c, v, &opts)) != NULL || (v->file && (err = compile(cmd, v, &opts)) != NULL)) {
        return err;
    }
    APR_ARRAY_PUSH(c->validate, wh_validation *) = v;
    return NULL;
}
