/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c: the records behind the directives: made, merged, read. Defaults are in the getters at the end and nowhere else.
 */
#include "httpd/config.h"

#include "apr_strings.h"

#define GLOBAL_KEY "mod_webhook:global"

#define DEFAULT_BODY_LIMIT (1024 * 1024)
#define DEFAULT_BODY_TIMEOUT apr_time_from_sec(20)
#define DEFAULT_BODY_MEMORY (64 * 1024)
#define DEFAULT_WINDOW apr_time_from_sec(24 * 3600)
#define DEFAULT_DRAIN apr_time_from_sec(3600)
#define DEFAULT_STATUS 202

static const char *const default_methods[] = {"POST", NULL};
static const char *const default_content_types[] = {"application/json", "+json", NULL};

void *wh_create_dir_conf(apr_pool_t *p, char *path)
{
    wh_dir_conf *c = apr_pcalloc(p, sizeof(*c));

#define WH_X(type, member, unset) c->member = (unset);
    WH_DIR_MEMBERS(WH_X)
#undef WH_X
    c->path = path;
    return c;
}

static void overlay(wh_dir_conf *out, const wh_dir_conf *outer, const wh_dir_conf *inner)
{
    *out = *inner;
#define WH_X(type, member, unset)             \
    if (inner->member == (type)(unset)) {     \
        out->member = outer->member;          \
    }
    WH_DIR_MEMBERS(WH_X)
#undef WH_X
}

/* Each side stands for itself and the endpoint it uses, so that merging is associative: httpd merges a run of sections first and puts
 * the result over the server's record afterwards. */
void *wh_merge_dir_conf(apr_pool_t *p, void *outer, void *inner)
{
    const wh_dir_conf *o = wh_conf_effective(outer), *i = wh_conf_effective(inner);
    wh_dir_conf *out = apr_palloc(p, sizeof(*out));

    overlay(out, o, i);
    out->flat = NULL;
    return out;
}

const wh_dir_conf *wh_conf_effective(const wh_dir_conf *c)
{
    return c->flat ? c->flat : c;
}

/*
 * One record per generation. Directives of a virtual host run before the hosts are merged, so the record is found through the pool of
 * the configuration; it goes with that pool.
 */
static wh_global *global_of(apr_pool_t *pconf, server_rec *s)
{
    void *found = NULL;
    wh_global *g;

    apr_pool_userdata_get(&found, GLOBAL_KEY, pconf);
    if (found) {
        return found;
    }
    g = apr_pcalloc(pconf, sizeof(*g));
    g->pconf = pconf;
    g->main_server = s;
    g->sections = apr_array_make(pconf, 16, sizeof(wh_section *));
    g->handlers_by_name = apr_hash_make(pconf);
    g->handlers = apr_array_make(pconf, 8, sizeof(wh_handler_def *));
    g->auths = apr_array_make(pconf, 8, sizeof(wh_auth *));
    g->notes = apr_array_make(pconf, 4, sizeof(wh_note));
    g->log.fd = -1;
    g->drain_max = DEFAULT_DRAIN;
    apr_pool_userdata_setn(g, GLOBAL_KEY, NULL, pconf);
    return g;
}

void *wh_create_server_conf(apr_pool_t *p, server_rec *s)
{
    wh_server_conf *sc = apr_pcalloc(p, sizeof(*sc));

    sc->endpoints = apr_hash_make(p);
    sc->body_memory = WH_UNSET;
    sc->global = global_of(p, s);
    return sc;
}

void *wh_merge_server_conf(apr_pool_t *p, void *base, void *vhost)
{
    const wh_server_conf *b = base, *v = vhost;
    wh_server_conf *out = apr_palloc(p, sizeof(*out));

    out->endpoints = apr_hash_overlay(p, v->endpoints, b->endpoints);
    out->body_memory = v->body_memory != WH_UNSET ? v->body_memory : b->body_memory;
    out->global = b->global;
    return out;
}

const wh_server_conf *wh_conf_server(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &webhook_module);
}

wh_global *wh_conf_global(const server_rec *s)
{
    return wh_conf_server(s)->global;
}

/* ---- getters ---- */

apr_off_t wh_conf_body_limit(const wh_dir_conf *c)
{
    if (c->body_limit != WH_UNSET) {
        return (apr_off_t)c->body_limit;
    }
    return c->auth && c->auth->traits->body_limit ? c->auth->traits->body_limit : DEFAULT_BODY_LIMIT;
}

apr_interval_time_t wh_conf_body_timeout(const wh_dir_conf *c)
{
    return c->body_timeout != WH_UNSET ? c->body_timeout : DEFAULT_BODY_TIMEOUT;
}

apr_size_t wh_conf_body_memory(const wh_server_conf *sc)
{
    return sc->body_memory != WH_UNSET ? (apr_size_t)sc->body_memory : DEFAULT_BODY_MEMORY;
}

int wh_conf_enforces(const wh_dir_conf *c)
{
    return c->enforce != 0;
}

/* A sender's request stays acceptable for the scheme's window; who captured one must not outlive our memory of it. */
apr_interval_time_t wh_conf_window(const wh_dir_conf *c)
{
    apr_interval_time_t twice;

    if (c->window > 0) {
        return c->window;
    }
    twice = c->auth ? 2 * c->auth->traits->window : 0;
    return twice > DEFAULT_WINDOW ? twice : DEFAULT_WINDOW;
}

int wh_conf_answer_status(const wh_dir_conf *c)
{
    if (c->answer) {
        return c->answer->status;
    }
    return c->auth && c->auth->traits->success_status ? c->auth->traits->success_status : DEFAULT_STATUS;
}

static const char *const *words(const apr_array_header_t *own, const char *const *scheme, const char *const *fallback)
{
    return own ? (const char *const *)own->elts : scheme ? scheme : fallback;
}

const char *const *wh_conf_methods(const wh_dir_conf *c)
{
    return words(c->methods, c->auth ? c->auth->traits->methods : NULL, default_methods);
}

const char *const *wh_conf_content_types(const wh_dir_conf *c)
{
    return words(c->content_types, c->auth ? c->auth->traits->content_types : NULL, default_content_types);
}

const char *wh_conf_payload_field(const wh_dir_conf *c)
{
    if (c->payload_field) {
        return c->payload_field;
    }
    return c->auth ? c->auth->traits->payload_field : NULL;
}

apr_off_t wh_conf_decoded_limit(const wh_dir_conf *c)
{
    return c->decode && c->decode->limit != WH_UNSET ? (apr_off_t)c->decode->limit : wh_conf_body_limit(c);
}

int wh_conf_signs_decoded(const wh_dir_conf *c)
{
    if (!c->decode || !c->decode->codings) {
        return 0;
    }
    return c->decode->over_decoded != WH_UNSET ? c->decode->over_decoded : c->auth && c->auth->traits->signs_decoded;
}
