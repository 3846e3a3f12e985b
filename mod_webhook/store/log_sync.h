/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_sync.h: who syncs the write-ahead log, and for whom. Transactions are numbered in the order in which they were written, by all processes
 * together; one sync makes everything durable that was written before it began. So a transaction gives the write lock back before it is
 * synced, the next one is written during the sync, by whatever process, and whoever finds that somebody's later sync has covered it need
 * not sync at all.
 *
 * The numbers are in memory shared by the processes forked after it was made. A process outside (an earlier generation of children, the
 * tool) has numbers of its own, and syncs too often, never too rarely: each waits for a sync that began after its own transaction.
 *
 * When a sync fails, nobody knows what reached the disk, and the kernel may forget that it did not: the log is in doubt then, every wait
 * fails, and nothing is written before wh_log_sync_heal() has written the whole log once more and synced it.
 */
#ifndef WH_STORE_LOG_SYNC_H
#define WH_STORE_LOG_SYNC_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>
#include <stdint.h>

typedef struct wh_log_sync wh_log_sync;

/** Without memory. Lives in p; what it takes later goes back with p, in the process that took it. */
wh_log_sync *wh_log_sync_create(apr_pool_t *p);

/** Have memory: shared with every process forked from now on. Does nothing when there is some; the write lock is held, or there are no
 *  other threads yet. @return an error of mmap(2) or of making the mutex */
apr_status_t wh_log_sync_map(wh_log_sync *ls);

/** With the write lock held: another transaction stands in the log whole and is not synced. @return its number, > 0 */
uint64_t wh_log_sync_wrote(wh_log_sync *ls);

/** Number of the latest transaction; 0: none was written that needs a sync. Any thread. */
uint64_t wh_log_sync_latest(const wh_log_sync *ls);

/** Whether this transaction and all before it are durable. Any thread, no wait. */
int wh_log_sync_done(const wh_log_sync *ls, uint64_t number);

/** Whether a sync has been running for longer than `limit`: a disk that does not answer. Any thread. */
int wh_log_sync_stuck(const wh_log_sync *ls, apr_interval_time_t limit);

/** Whether a sync takes longer here, of late, than writing a batch does. Any thread. */
int wh_log_sync_slow(const wh_log_sync *ls);

/**
 * Wait until it is our turn to sync, whatever was written: for who writes only then. Any thread; not with the write lock held, which may be taken
 * afterwards: nobody who holds it waits for the turn while the log is not in doubt, and it does not get so meanwhile.
 * @return APR_INCOMPLETE: ours, to end with wh_log_sync_end. APR_TIMEUP, APR_EGENERAL as below
 */
apr_status_t wh_log_sync_turn(wh_log_sync *ls, apr_time_t deadline);

/**
 * Wait until this transaction is durable or it is our turn to sync. Any thread; not with the write lock held.
 * @param deadline wh_monotonic() time after which to give up
 * @return APR_SUCCESS: it is durable. APR_INCOMPLETE: ours to sync, now, and to end with wh_log_sync_end; all others wait.
 *         APR_TIMEUP: somebody else's sync does not end. APR_EGENERAL: the log is in doubt
 */
apr_status_t wh_log_sync_begin(wh_log_sync *ls, uint64_t number, apr_time_t deadline);

/** The sync that is ours to do, of `fd`, the log, and of all that was written before this call. The same thread.
 *  @return errno of fdatasync(2); then the log is in doubt */
apr_status_t wh_log_sync_end(wh_log_sync *ls, int fd);

/** Give the turn back without a sync: nothing was written. The same thread. */
void wh_log_sync_pass(wh_log_sync *ls);

int wh_log_sync_in_doubt(const wh_log_sync *ls);

/** With the write lock held: write what the log `fd` holds (open for reading and writing) once more, so that the kernel cannot believe that it
 *  was written, and sync it. @param deadline as above @return APR_TIMEUP or errno; the log stays in doubt then */
apr_status_t wh_log_sync_heal(wh_log_sync *ls, int fd, apr_time_t deadline);

#endif
