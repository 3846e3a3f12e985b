/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_index.h: where in the store's list of idempotency keys a key may stand: a hash table in memory, so that the list itself is only ever
 * appended to. A table on disk that is ordered by hash would cost every delivery a page of its own, read and written.
 *
 * The index is a hint. It may name rows that hold another key or that are gone (a transaction that was rolled back, rows that expired): who
 * asks compares with the row. It must name every row that is there: rows up to `last` are in it, later ones are added before asking.
 *
 * The memory is shared by the processes that are forked after it was made, about 12 bytes a key, taken as it fills. Whoever uses it holds the
 * store's write lock: there is no other. A process killed inside a call leaves an index that the next call finds unusable and empties.
 */
#ifndef WH_STORE_KEY_INDEX_H
#define WH_STORE_KEY_INDEX_H

#include <apr_pools.h>
#include <stdint.h>

typedef struct wh_key_index wh_key_index;

/** An index without memory. Lives in p; what it takes later goes back with p, in the process that took it. */
wh_key_index *wh_key_index_create(apr_pool_t *p);

/**
 * Have memory: shared with every process forked from now on. Does nothing when there is some.
 * @param max_keys the most it will ever hold; 0: as many as fit into 1 GiB of address space, or less where that is refused
 * @return APR_ENOMEM
 */
apr_status_t wh_key_index_map(wh_key_index *ix, apr_size_t max_keys);

/** A transaction begins: forget everything if the index was left unfinished, is about another file, or holds too much of transactions that were
 *  begun and rows of which were never known. @param file a number that tells files apart */
void wh_key_index_for(wh_key_index *ix, uint64_t file);
void wh_key_index_clear(wh_key_index *ix);

/** All rows up to this one are known; 0 in an empty index. */
int64_t wh_key_index_last(const wh_key_index *ix);
/** Say that: rows are committed. */
void wh_key_index_known(wh_key_index *ix, int64_t row);

/**
 * Add a row (> 0), committed or not. @param first the oldest row that still exists: older ones are dropped when room is needed
 * @return 1 if rows had to be forgotten that may still exist, for want of room
 */
int wh_key_index_add(wh_key_index *ix, uint64_t hash, int64_t row, int64_t first);

/** Rows that may hold this hash, one a call, in no order. Start with *at = 0. @return 0 when there is no further one */
int wh_key_index_next(const wh_key_index *ix, uint64_t hash, uint64_t *at, int64_t *row);

#endif
