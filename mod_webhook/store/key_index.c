/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_index.c: open addressing with linear steps. A slot is 64 bits, written at once: 31 of the hash, which also choose the place, a one that
 * tells it from an empty slot, and the low 32 of the row number. Nothing is removed alone: rows that are gone leave when the table is made anew for more room.
 */
#include "store/key_index.h"

#include <stdlib.h>
#include <string.h>

#include "store/mapping.h"

#define HEAD_BYTES 4096
#define SLOTS_FIRST 1024
#define MAP_MAX ((apr_size_t)1 << 30)
#define STALE_MIN 256
#define MAP_MIN ((apr_size_t)1 << 20)

typedef struct head {
    uint64_t slots;      /* in use, a power of two; 0: empty index, memory untouched */
    uint64_t used;       /* slots taken */
    uint64_t file;
    int64_t last;        /* rows up to here are known */
    int64_t high;        /* the highest row ever added: row numbers are read back from their low 32 bits against it */
    uint64_t unfinished; /* somebody is moving slots */
    uint64_t pending;    /* slots taken since the last rows were known */
    uint64_t stale;      /* slots of transactions that were rolled back: their rows' numbers are given out again, so nothing tells them apart */
} head;

struct wh_key_index {
    head *head;
    uint64_t *slot;
    uint64_t slots_max;
    wh_mapping memory;
};

wh_key_index *wh_key_index_create(apr_pool_t *p)
{
    wh_key_index *ix = apr_pcalloc(p, sizeof *ix);

    wh_mapping_init(&ix->memory, p);
    return ix;
}

apr_status_t wh_key_index_map(wh_key_index *ix, apr_size_t max_keys)
{
    apr_size_t bytes = MAP_MAX, wanted = max_keys + max_keys / 2;
    if (ix->head)
        return APR_SUCCESS;
    if (max_keys)
        for (bytes = SLOTS_FIRST * sizeof(uint64_t); bytes < wanted * sizeof(uint64_t) && bytes < MAP_MAX;)
            bytes *= 2;
    for (;; bytes /= 2) {
        if (wh_mapping_take(&ix->memory, HEAD_BYTES + bytes) == APR_SUCCESS)
            break;
        if (bytes <= MAP_MIN)
            return APR_ENOMEM;
    }
    ix->head = ix->memory.at;
    ix->slot = (uint64_t *)(void *)((char *)ix->memory.at + HEAD_BYTES);
    ix->slots_max = bytes / sizeof(uint64_t);
    return APR_SUCCESS;
}

void wh_key_index_clear(wh_key_index *ix)
{
    head *h = ix->head;

    h->unfinished = 1;
    memset(ix->slot, 0, h->slots * sizeof *ix->slot);
    h->used = 0;
    h->last = h->high = 0;
    h->pending = h->stale = 0;
    h->unfinished = 0;
}

void wh_key_index_for(wh_key_index *ix, uint64_t file)
{
    head *h = ix->head;

    h->stale += h->pending;
    h->pending = 0;
    /* Reading the list again costs what it is long, so it comes after as many adds; before it, hours of a full disk would fill the table. */
    if (h->file != file || h->unfinished || (h->stale > STALE_MIN && h->stale > h->slots / 4))
        wh_key_index_clear(ix);
    h->file = file;
}

int64_t wh_key_index_last(const wh_key_index *ix)
{
    return ix->head->last;
}

void wh_key_index_known(wh_key_index *ix, int64_t row)
{
    if (row > ix->head->last) {
        ix->head->last = row;
        ix->head->pending = 0;
    }
}

static uint32_t mark_of(uint64_t hash)
{
    return (uint32_t)hash | 1;
}

static int64_t row_of(const head *h, uint64_t slot)
{
    return h->high - (int64_t)(uint32_t)((uint32_t)h->high - (uint32_t)slot);
}

static void put(wh_key_index *ix, uint64_t slot)
{
    uint64_t mask = ix->head->slots - 1, i = slot >> 33 & mask;

    while (ix->slot[i])
        i = (i + 1) & mask;
    ix->slot[i] = slot;
    ix->head->used++;
}

/* Make the table anew with the rows from `first` on, twice as large if they still fill half of it. */
static int make_room(wh_key_index *ix, int64_t first)
{
    head *h = ix->head;
    uint64_t old = h->slots, n = 0, kept = 0, i, *rows;
    int forgot = 0;

    if (old == 0) {
        h->slots = SLOTS_FIRST < ix->slots_max ? SLOTS_FIRST : ix->slots_max;
        return 0;
    }
    rows = malloc((h->used + 1) * sizeof *rows);
    if (!rows)
        abort(); /* as APR's pools do: the other way is to take a duplicate for new */
    for (i = 0; i < old; i++)
        if (ix->slot[i] && row_of(h, ix->slot[i]) >= first)
            rows[n++] = ix->slot[i];
    if (n > old / 2 && old * 2 > ix->slots_max) {
        /* No more room: the newest rows stay. */
        first = h->high - (int64_t)(old / 3);
        forgot = 1;
    }
    h->unfinished = 1;
    memset(ix->slot, 0, old * sizeof *ix->slot);
    h->used = 0;
    if (n > old / 2 && !forgot)
        h->slots = old * 2;
    for (i = 0; i < n; i++) {
        if (row_of(h, rows[i]) >= first) {
            put(ix, rows[i]);
            kept++;
        }
    }
    h->unfinished = 0;
    free(rows);
    return forgot && kept < n;
}

int wh_key_index_add(wh_key_index *ix, uint64_t hash, int64_t row, int64_t first)
{
    head *h = ix->head;
    int forgot = 0;

    if (row > h->high)
        h->high = row;
    if (h->used >= h->slots / 3 * 2)
        forgot = make_room(ix, first);
    put(ix, (uint64_t)mark_of(hash) << 32 | (uint32_t)row);
    h->pending++;
    return forgot;
}

int wh_key_index_next(const wh_key_index *ix, uint64_t hash, uint64_t *at, int64_t *row)
{
    const head *h = ix->head;
    uint64_t mask = h->slots - 1, i;

    if (h->slots == 0)
        return 0;
    for (i = *at ? *at : mark_of(hash) >> 1 & mask; ix->slot[i & mask]; i++) {
        if (ix->slot[i & mask] >> 32 == mark_of(hash)) {
            *row = row_of(h, ix->slot[i & mask]);
            *at = i + 1;
            return 1;
        }
    }
    return 0;
}
