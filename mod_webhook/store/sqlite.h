/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite.h: the store that is one SQLite file. "sqlite:/path/queue.db" keeps
 *
 *   /path/queue.db, -wal, -shm   the database, write-ahead log and its index
 *   /path/queue.db.lock          the write lock and the life signs of lease owners (lock.h); its text marks that a store was made here
 *   /path/queue.db-bodies/xx/ID  bodies larger than body-file=, one file each, synced before their row commits
 *
 * Options of WebhookStore (all may be left out):
 *   rows=N             deliveries kept at most                                                         10000000
 *   size=SIZE          bytes of everything above at most                                               10G
 *   reserve=SIZE       part of size= that only settling may still use                                  a sixteenth of size=, at most 64M
 *   free=SIZE          free space the file system must keep; accepting stops before, settling goes on  1G
 *   done=DURATION      how long finished deliveries are kept (unrouted and dropped ones too)           7d
 *   dead=DURATION      how long deliveries with a dead job are kept                                    30d
 *   body-file=SIZE     larger bodies go to files                                                       64K
 *   lock-timeout=DUR   longest wait for the lock; then 503                                             5s
 *   wal-limit=SIZE     write-ahead log at which accepting checkpoints by itself (maintenance: half)   64M
 */
#ifndef WH_STORE_SQLITE_H
#define WH_STORE_SQLITE_H

#include <apr_pools.h>
#include "webhook_provider.h"

extern const webhook_store_provider wh_store_sqlite;

/**
 * Look for inconsistencies: SQLite's own integrity check, then the rules of the state machine over all rows (counters against rows,
 * deliveries against their jobs, leases, body files). One read transaction, safe beside a running server; time grows with the file.
 * @param problem answer: NULL when all is well, else one sentence from p about the first thing found
 * @return APR_SUCCESS when the check could be made
 */
apr_status_t wh_sqlite_check(const char *path, const char **problem, apr_pool_t *p);

#endif
