/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.c: lays out, recognises and shows the counters in shared memory.
 *
 *   wh_counters | wh_endpoint_counters × endpoint_count | wh_handler_counters × handler_count
 *
 * Every part is a multiple of 8 bytes long, so all counters are aligned as long as the mapping is. Children write to the mapping, so
 * names are read as fields of WH_COUNTER_NAME bytes, never as strings.
 */
#include "core/counters.h"

#include <string.h>

#define LAYOUT_VERSION 1
#define OTHER "(other)"

_Static_assert(sizeof(wh_counters) % 8 == 0, "endpoint blocks would not be aligned");
_Static_assert(sizeof(wh_endpoint_counters) % 8 == 0, "the next block would not be aligned");
_Static_assert(sizeof(wh_handler_counters) % 8 == 0, "the next block would not be aligned");

apr_size_t wh_counters_size(int endpoints, int handlers)
{
    return sizeof(wh_counters) + ((apr_size_t)endpoints + 1) * sizeof(wh_endpoint_counters)
           + ((apr_size_t)handlers + 1) * sizeof(wh_handler_counters);
}

static wh_endpoint_counters *endpoints_of(wh_counters *c)
{
    return (wh_endpoint_counters *)(void *)(c + 1);
}

static wh_handler_counters *handlers_of(wh_counters *c)
{
    return (wh_handler_counters *)(void *)(endpoints_of(c) + c->endpoint_count);
}

/* the field a name is kept in: cut, and filled with NUL bytes */
static void make_name(char out[WH_COUNTER_NAME], const char *name)
{
    apr_size_t len = strlen(name);

    memset(out, 0, WH_COUNTER_NAME);
    memcpy(out, name, len < WH_COUNTER_NAME - 1 ? len : WH_COUNTER_NAME - 1);
}

static int same_name(const char field[WH_COUNTER_NAME], const char *name)
{
    char want[WH_COUNTER_NAME];

    make_name(want, name);
    return !memcmp(field, want, WH_COUNTER_NAME);
}

int wh_counters_match(const void *mem, apr_size_t size, const char *const *endpoints, int n_endpoints, const char *const *handlers,
                      int n_handlers)
{
    const wh_counters *c = mem;
    const wh_endpoint_counters *e;
    const wh_handler_counters *h;

    /* the size is right before anything behind the header is looked at */
    if (!mem || size < sizeof(*c) || size != wh_counters_size(n_endpoints, n_handlers))
        return 0;
    if (c->magic != WH_COUNTERS_MAGIC || c->version != LAYOUT_VERSION || c->size != size
        || c->endpoint_count != (uint32_t)n_endpoints + 1 || c->handler_count != (uint32_t)n_handlers + 1
        || c->refusal_count != WH_REFUSAL_COUNT)
        return 0;
    e = (const wh_endpoint_counters *)(const void *)(c + 1);
    for (int i = 0; i <= n_endpoints; i++) {
        if (!same_name(e[i].name, i < n_endpoints ? endpoints[i] : OTHER))
            return 0;
    }
    h = (const wh_handler_counters *)(const void *)(e + n_endpoints + 1);
    for (int i = 0; i <= n_handlers; i++) {
        if (!same_name(h[i].name, i < n_handlers ? handlers[i] : OTHER))
            return 0;
    }
    return 1;
}

void wh_counters_init(void *mem, apr_size_t size, const char *const *endpoints, int n_endpoints, const char *const *handlers,
                      int n_handlers)
{
    wh_counters *c = mem;

    memset(mem, 0, size);
    c->magic = WH_COUNTERS_MAGIC;
    c->version = LAYOUT_VERSION;
    c->size = (uint32_t)size;
    c->endpoint_count = (uint32_t)n_endpoints + 1;
    c->handler_count = (uint32_t)n_handlers + 1;
    c->refusal_count = WH_REFUSAL_COUNT;
    c->started = (uint64_t)apr_time_now();
    for (int i = 0; i <= n_endpoints; i++)
        make_name(endpoints_of(c)[i].name, i < n_endpoints ? endpoints[i] : OTHER);
    for (int i = 0; i <= n_handlers; i++)
        make_name(handlers_of(c)[i].name, i < n_handlers ? handlers[i] : OTHER);
}

wh_endpoint_counters *wh_counters_endpoint(wh_counters *c, int index)
{
    if (!c)
        return NULL;
    if (index < 0 || (uint32_t)index >= c->endpoint_count)
        index = (int)c->endpoint_count - 1;
    return endpoints_of(c) + index;
}

wh_handler_counters *wh_counters_handler(wh_counters *c, int index)
{
    if (!c)
        return NULL;
    if (index < 0 || (uint32_t)index >= c->handler_count)
        index = (int)c->handler_count - 1;
    return handlers_of(c) + index;
}

int wh_counters_find_endpoint(wh_counters *c, const char *name)
{
    int last = c ? (int)c->endpoint_count - 1 : -1;

    for (int i = 0; name && i < last; i++) {
        if (same_name(endpoints_of(c)[i].name, name))
            return i;
    }
    return last;
}

int wh_counters_find_handler(wh_counters *c, const char *name)
{
    int last = c ? (int)c->handler_count - 1 : -1;

    for (int i = 0; name && i < last; i++) {
        if (same_name(handlers_of(c)[i].name, name))
            return i;
    }
    return last;
}

uint64_t wh_counters_attempts(wh_counters *c, int n_endpoints, int n_handlers)
{
    wh_handler_counters *h;
    uint64_t sum = 0;

    if (!c)
        return 0;
    h = (wh_handler_counters *)(void *)(endpoints_of(c) + n_endpoints + 1);
    for (int i = 0; i <= n_handlers; i++)
        sum += __atomic_load_n(&h[i].attempts, __ATOMIC_RELAXED);
    return sum;
}

static void put_count(wh_buf *b, const char *name, const uint64_t *counter)
{
    wh_json_put_member_int(b, name, (apr_int64_t)__atomic_load_n(counter, __ATOMIC_RELAXED));
}

static void put_block_name(wh_buf *b, const char name[WH_COUNTER_NAME])
{
    wh_buf_adds(b, b->data[b->len - 1] == '{' ? "" : ",");
    wh_json_put_string(b, name, strnlen(name, WH_COUNTER_NAME));
    wh_buf_adds(b, ":{");
}

void wh_counters_json(wh_buf *b, wh_counters *c)
{
    wh_buf_adds(b, "{");
    if (c) {
        wh_json_put_member_time(b, "started", (apr_time_t)__atomic_load_n(&c->started, __ATOMIC_RELAXED));
        put_count(b, "generation", &c->generation);
        put_count(b, "commits", &c->commits);
        put_count(b, "commit_items", &c->commit_items);
        put_count(b, "store_errors", &c->store_errors);
        put_count(b, "dispatcher_starts", &c->dispatcher_starts);
    }
    wh_json_put_name(b, "endpoints");
    wh_buf_adds(b, "{");
    for (uint32_t i = 0; c && i < c->endpoint_count; i++) {
        wh_endpoint_counters *e = endpoints_of(c) + i;
        put_block_name(b, e->name);
#define WH_X(n, help) put_count(b, #n, &e->n);
        WH_ENDPOINT_COUNTERS(WH_X)
#undef WH_X
        wh_json_put_name(b, "reasons");
        wh_buf_adds(b, "{");
        for (int r = 0; r < WH_REFUSAL_COUNT; r++) {
            if (__atomic_load_n(&e->reason[r], __ATOMIC_RELAXED))
                put_count(b, wh_refusal_table[r].code, &e->reason[r]);
        }
        wh_buf_adds(b, "}}");
    }
    wh_buf_adds(b, "}");
    wh_json_put_name(b, "handlers");
    wh_buf_adds(b, "{");
    for (uint32_t i = 0; c && i < c->handler_count; i++) {
        wh_handler_counters *h = handlers_of(c) + i;
        put_block_name(b, h->name);
#define WH_X(n, help) put_count(b, #n, &h->n);
        WH_HANDLER_COUNTERS(WH_X)
#undef WH_X
        wh_buf_adds(b, "}");
    }
    wh_buf_adds(b, "}}");
}
