/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclosure.c: which section of the configuration lies in which, and what each says over those that surely enclose it. httpd merges per
 * request; what can be told without one is told here, for check.c.
 */
#include "httpd/check.h"

#include "apr_strings.h"
#include "http_core.h"

#include <string.h>

int wh_section_is_endpoint(const wh_section *section)
{
    return section->directive && !strcmp(section->directive, WH_D_ENDPOINT);
}

static int is_directive(const wh_section *section, const char *name)
{
    return section->directive && !ap_cstr_casecmp(section->directive, name);
}

int wh_section_is_place(const wh_section *section)
{
    return (is_directive(section, "<Location") || is_directive(section, "<Directory")) && section->conf->path && section->conf->path[0] == '/'
           && !strpbrk(section->conf->path, "*?[") && section->container->args[strspn(section->container->args, " \t\"'")] != '~';
}

static int path_encloses(const char *outer, const char *inner)
{
    apr_size_t n = strlen(outer);

    return !strncmp(outer, inner, n) && (outer[n - 1] == '/' || inner[n] == '/' || inner[n] == '\0');
}

/* What httpd surely merges below `inner`: a shorter path of the same kind, or the section it is written in. */
static int encloses(const wh_section *outer, const wh_section *inner)
{
    const ap_directive_t *d;

    if (outer == inner || !outer->container || wh_section_is_endpoint(outer) || (outer->server != inner->server && outer->server->is_virtual)) {
        return 0;
    }
    for (d = inner->container ? inner->container->parent : NULL; d; d = d->parent) {
        if (d == outer->container) {
            return 1;
        }
    }
    return wh_section_is_place(outer) && wh_section_is_place(inner) && !ap_cstr_casecmp(outer->directive, inner->directive)
           && path_encloses(outer->conf->path, inner->conf->path);
}

int wh_section_may_enclose(const wh_section *outer, const wh_section *inner)
{
    if (outer == inner || wh_section_is_endpoint(outer) || (outer->server != inner->server && outer->server->is_virtual)) {
        return 0;
    }
    return !wh_section_is_place(outer) || !wh_section_is_place(inner) || ap_cstr_casecmp(outer->directive, inner->directive) != 0;
}

/*
 * httpd's order: directories by their depth, locations as they are written, those of the main server first. So a location that is written
 * behind another counts more, though its path be shorter.
 */
static int goes_before(const wh_section *x, const wh_section *y)
{
    if (is_directive(x, "<Directory") && is_directive(y, "<Directory") && strlen(x->conf->path) != strlen(y->conf->path)) {
        return strlen(x->conf->path) < strlen(y->conf->path);
    }
    return !x->server->is_virtual && y->server->is_virtual;
}

void wh_section_make_effective(wh_check *k, wh_section *section)
{
    wh_dir_conf *base = ap_get_module_config(section->server->lookup_defaults, &webhook_module);
    apr_array_header_t *order;
    int i, n;

    if (wh_section_is_endpoint(section)) {
        section->effective = section->conf;
        return;
    }
    section->effective = base;
    if (!section->container) {
        return;
    }
    order = apr_array_make(k->ptemp, 4, sizeof(wh_section *));
    for (i = 0; i < k->g->sections->nelts; i++) {
        wh_section *other = APR_ARRAY_IDX(k->g->sections, i, wh_section *);
        if (other != section && !encloses(other, section)) {
            continue;
        }
        APR_ARRAY_PUSH(order, wh_section *) = other;
        for (n = order->nelts - 1; n > 0 && goes_before(other, APR_ARRAY_IDX(order, n - 1, wh_section *)); n--) {
            APR_ARRAY_IDX(order, n, wh_section *) = APR_ARRAY_IDX(order, n - 1, wh_section *);
        }
        APR_ARRAY_IDX(order, n, wh_section *) = other;
    }
    for (i = 0; i < order->nelts; i++) {
        base = wh_merge_dir_conf(k->pconf, base, APR_ARRAY_IDX(order, i, wh_section *)->conf);
    }
    section->effective = base;
}
