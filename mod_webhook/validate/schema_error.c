/* SPDX-License-Identifier: Apache-2.0 */
/* schema_error.c: places as text, for errors in schemas and in documents. Values have no parents: a place is found again by its offsets. */
#include "validate/schema_run.h"

#include <stdarg.h>
#include <string.h>
#include <apr_strings.h>

/* A token of a JSON pointer as RFC 6901, section 6 wants it in a URI fragment. */
static void put_token(wh_buf *b, const char *name, apr_size_t len)
{
    static const char hex[] = "0123456789ABCDEF";
    apr_size_t i;

    for (i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)name[i];
        if (ch == '~') {
            wh_buf_add(b, "~0", 2);
        } else if (ch == '/') {
            wh_buf_add(b, "~1", 2);
        } else if ((ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') || (ch && strchr("-._!$&'()*+,;=:@?", ch))) {
            wh_buf_add(b, (const char *)&name[i], 1);
        } else {
            char escape[3] = {'%', hex[ch >> 4], hex[ch & 15]};
            wh_buf_add(b, escape, 3);
        }
    }
}

static int holds(const wh_json_value *outer, const wh_json_value *inner)
{
    return outer->start <= inner->start && inner->end <= outer->end;
}

const char *wh_schema_pointer(const wh_json *doc, const wh_json_value *value, apr_pool_t *p)
{
    const wh_json_value *at = &doc->root;
    apr_uint32_t i;
    wh_buf b;

    wh_buf_init(&b, p, 64);
    wh_buf_add(&b, "#", 1);
    while (at != value) {
        const wh_json_value *next = NULL;
        if (at->type == WH_JSON_OBJECT) {
            for (i = 0; i < at->size && !next; i++) {
                const wh_json_member *m = &at->u.members[i];
                if (!holds(&m->value, value)) continue;
                next = &m->value;
                wh_buf_add(&b, "/", 1);
                put_token(&b, m->name, m->name_len);
            }
        } else if (at->type == WH_JSON_ARRAY) {
            for (i = 0; i < at->size && !next; i++) {
                if (!holds(&at->u.items[i], value)) continue;
                next = &at->u.items[i];
                wh_buf_addf(&b, "/%u", (unsigned)i);
            }
        }
        if (!next) break;
        at = next;
    }
    return b.data;
}

void *wh_schema_fail(wh_compiler *c, const wh_schema_doc *doc, const wh_json_value *at, const char *fmt, ...)
{
    const char *text;
    va_list args;

    if (c->error) return NULL;
    va_start(args, fmt);
    text = apr_pvsprintf(c->ptemp, fmt, args);
    va_end(args);
    c->error = apr_pstrcat(c->p, doc->name, at ? wh_schema_pointer(doc->json, at, c->ptemp) : "", ": ", text, NULL);
    return NULL;
}

/* ---- notes and bounds ---- */

void wh_run_note(wh_run *c, const wh_node *n, const char *keyword, const wh_json_value *at)
{
    wh_schema_error *e;

    if (c->refused) return;
    if (c->result->count == WH_SCHEMA_MAX_ERRORS) {
        c->result->more = 1;
        c->quiet = 1;
        return;
    }
    e = &c->result->errors[c->result->count++];
    e->keyword = keyword;
    e->at = at;
    e->of = n;
}

void wh_run_tell(wh_run *c)
{
    int i;

    for (i = 0; i < c->result->count; i++) {
        wh_schema_error *e = &c->result->errors[i];
        const wh_node *n = e->of;
        const char *place = wh_schema_pointer(n->resource->doc->json, n->source, c->p);
        e->instance = wh_schema_pointer(c->doc, e->at, c->p);
        e->schema = n->refused ? apr_pstrcat(c->p, n->resource->doc->name, place, NULL)
                               : apr_pstrcat(c->p, n->resource->doc->name, place, "/", e->keyword, NULL);
    }
}

int wh_run_refuse(wh_run *c, const char *reason, const wh_node *n, const char *keyword, const wh_json_value *at)
{
    if (c->refused) return 0;
    if (!c->noting) wh_run_note(c, n, keyword, at); /* the one place to tell: where the verdict was given up */
    c->refused = reason;
    c->limit = 0;
    c->quiet = 1;
    return 0;
}

/*
 * Which alternative was meant, nobody knows; what helps is what the one that fits best misses. Not for alternatives inside of alternatives:
 * the keyword has to do there.
 */
void wh_run_explain(wh_run *c, const wh_node_list *list, const wh_json_value *v)
{
    wh_schema_result *all = c->result, *best = &c->spare[0], *one = &c->spare[1];
    int k, least = 0, score;
    apr_uint32_t i;

    if (c->explaining || c->quiet) return;
    c->explaining = 1;
    for (i = 0; i < list->count && !c->refused; i++) {
        one->count = 0;
        c->result = one;
        wh_run_visit(c, list->nodes[i], v, NULL);
        if (c->refused) break;
        c->quiet = 0; /* the cap of one alternative is not that of all */
        /* A value that is not the one expected mostly says that another alternative was meant. */
        for (k = score = 0; k < one->count; k++) {
            const char *keyword = one->errors[k].keyword;
            score += strcmp(keyword, "const") && strcmp(keyword, "enum") ? 1 : WH_SCHEMA_MAX_ERRORS;
        }
        if (score && (!least || score < least)) {
            wh_schema_result *worse = best;
            least = score;
            best = one;
            one = worse;
        }
    }
    c->explaining = 0;
    c->result = all;
    if (!least) return;
    for (k = 0; k < best->count && all->count < WH_SCHEMA_MAX_ERRORS; k++) all->errors[all->count++] = best->errors[k];
}
