/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_link.c: once all nodes are there: no schema may apply itself to the same value for ever; nodes that only refer are taken out of
 * the way; each node learns which values it can judge without a visit; dynamic anchors get their tables.
 */
#include "validate/schema_impl.h"

typedef void slot_fn(wh_node **slot, void *baton);

static void visit_slot(wh_node **slot, slot_fn *fn, void *baton)
{
    if (*slot) fn(slot, baton);
}

static void visit_list(const wh_node_list *list, slot_fn *fn, void *baton)
{
    apr_uint32_t i;

    for (i = 0; i < list->count; i++) visit_slot(&list->nodes[i], fn, baton);
}

/* Schemas for the very value that the node is for. */
static void visit_in_place(wh_node *n, slot_fn *fn, void *baton)
{
    wh_any_rules *a = n->any;
    apr_uint32_t i;

    for (i = 0; n->object && i < n->object->ndepends; i++) visit_slot(&n->object->depends[i].node, fn, baton);
    if (!a) return;
    visit_slot(&a->ref, fn, baton);
    visit_slot(&a->plain, fn, baton);
    visit_list(&a->all, fn, baton);
    visit_list(&a->any, fn, baton);
    visit_list(&a->one, fn, baton);
    visit_slot(&a->not_, fn, baton);
    visit_slot(&a->if_, fn, baton);
    visit_slot(&a->then_, fn, baton);
    visit_slot(&a->else_, fn, baton);
}

static void visit_inner(wh_node *n, slot_fn *fn, void *baton)
{
    apr_uint32_t i;

    visit_slot(&n->unevaluated_props, fn, baton);
    visit_slot(&n->unevaluated_items, fn, baton);
    if (n->array) {
        visit_list(&n->array->prefix, fn, baton);
        visit_slot(&n->array->items, fn, baton);
        visit_slot(&n->array->contains, fn, baton);
    }
    if (!n->object) return;
    for (i = 0; n->object->table && i <= n->object->mask; i++) visit_slot(&n->object->table[i].node, fn, baton);
    for (i = 0; i < n->object->npatterns; i++) visit_slot(&n->object->patterns[i].node, fn, baton);
    visit_slot(&n->object->additional, fn, baton);
    visit_slot(&n->object->names, fn, baton);
}

/* ---- loops ---- */

enum { NEW, OPEN, DONE };

typedef struct loop_step {
    wh_node *node;
    int leave;
} loop_step;

static void push_step(wh_node **slot, void *baton)
{
    apr_array_header_t *stack = baton;
    APR_ARRAY_PUSH(stack, loop_step) = (loop_step){*slot, 0};
}

/* Depth first with a stack of its own: a chain of references may be as long as the file. */
static void find_loops(wh_compiler *c)
{
    apr_array_header_t *stack = apr_array_make(c->ptemp, 64, sizeof(loop_step));
    apr_hash_t *states = apr_hash_make(c->ptemp);
    static const int open = OPEN, done = DONE;
    int i;

    for (i = 0; i < c->all->nelts; i++) {
        APR_ARRAY_PUSH(stack, loop_step) = (loop_step){APR_ARRAY_IDX(c->all, i, wh_node *), 0};
        while (stack->nelts) {
            loop_step *top = apr_array_pop(stack);
            wh_node *n = top->node;
            const int *state = apr_hash_get(states, &n->source, sizeof(n->source));
            if (top->leave) {
                apr_hash_set(states, &n->source, sizeof(n->source), &done);
                continue;
            }
            if (state == &done) continue;
            if (state == &open) {
                wh_schema_fail(c, n->resource->doc, n->source, "applies itself to the same value without end");
                return;
            }
            apr_hash_set(states, &n->source, sizeof(n->source), &open);
            APR_ARRAY_PUSH(stack, loop_step) = (loop_step){n, 1};
            visit_in_place(n, push_step, stack);
        }
    }
}

/* ---- shortcuts ---- */

static int only_refers(const wh_node *n)
{
    const wh_any_rules *a = n->any;

    if (!a || !a->ref || n->object || n->array || n->string || n->number || n->unevaluated_props || n->unevaluated_items) return 0;
    if (n->types != TYPE_ALL || a->dynamic >= 0 || a->plain || a->enumeration || a->constant) return 0;
    return !a->all.count && !a->any.count && !a->one.count && !a->not_ && !a->if_;
}

static void shorten(wh_node **slot, void *baton)
{
    (void)baton;
    while (only_refers(*slot)) *slot = (*slot)->any->ref; /* ends: there are no loops */
}

static void judge(wh_node *n, int dynamic)
{
    unsigned busy = 0, alone = 0;

    if (n->object || n->unevaluated_props) busy |= TYPE_BIT(WH_JSON_OBJECT);
    if (n->array || n->unevaluated_items) busy |= TYPE_BIT(WH_JSON_ARRAY);
    if (n->string) busy |= TYPE_BIT(WH_JSON_STRING);
    if (n->number) busy |= TYPE_NUMBER;
    if (n->any) busy = TYPE_ALL;
    n->busy = (unsigned char)busy;
    /* With dynamic references a visit enters the node's resource. */
    if (n->any || dynamic) return;
    if (n->object && !n->unevaluated_props) alone |= TYPE_BIT(WH_JSON_OBJECT);
    if (n->array && !n->unevaluated_items) alone |= TYPE_BIT(WH_JSON_ARRAY);
    if (n->string) alone |= TYPE_BIT(WH_JSON_STRING);
    n->alone = (unsigned char)alone;
}

/* By number of the anchor, where each resource leads. */
static void fill_dynamic(wh_compiler *c)
{
    apr_hash_index_t *hi, *di;

    for (hi = apr_hash_first(c->ptemp, c->resources); hi; hi = apr_hash_next(hi)) {
        wh_resource *r = apr_hash_this_val(hi);
        if (!r->entered) continue;
        r->dynamic = apr_pcalloc(c->p, apr_hash_count(c->dynamics) * sizeof(*r->dynamic));
        for (di = apr_hash_first(c->ptemp, c->dynamics); di; di = apr_hash_next(di)) {
            const char *name = apr_hash_this_key(di);
            const int *number = apr_hash_this_val(di);
            const wh_anchor *a = apr_hash_get(r->anchors, name, APR_HASH_KEY_STRING);
            const wh_json_value *target = *name ? (a && a->dynamic ? a->value : NULL) : r->is_recursive ? r->root : NULL;
            if (target) r->dynamic[*number] = apr_hash_get(c->nodes, &target, sizeof(target));
        }
    }
}

void wh_schema_link(wh_compiler *c, wh_schema *schema)
{
    int i;

    schema->dynamic = apr_hash_count(c->dynamics) != 0;
    find_loops(c);
    if (c->error) return;
    for (i = 0; i < c->all->nelts; i++) {
        wh_node *n = APR_ARRAY_IDX(c->all, i, wh_node *);
        judge(n, schema->dynamic);
        /* With dynamic references a node in between counts: its resource is entered. */
        if (schema->dynamic) continue;
        visit_in_place(n, shorten, NULL);
        visit_inner(n, shorten, NULL);
    }
    if (schema->dynamic) fill_dynamic(c);
    else shorten(&schema->root, NULL);
}
