/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h: whose a store's files are. A server starts as root but serves as somebody else; what root does for it inside a directory
 * that somebody else can write must not be led astray by links planted there. So root only makes the directory and hands over what
 * root itself once made; everything else is done in a short-lived process that has become the server's user.
 */
#ifndef WH_STORE_FILES_H
#define WH_STORE_FILES_H

#include <apr_pools.h>
#include <sys/types.h>
#include "webhook_provider.h"

/**
 * Make the directory (0700, parents 0755) and give it, and those of `files` that exist and belong to root, to uid/gid. Without
 * root's rights, or with uid -1, nothing changes hands. A directory that everybody may write is refused.
 * @param files NULL-terminated paths directly inside dir
 * @return NULL or an error text from p
 */
const char *wh_files_prepare(const char *dir, const char *const *files, int uid, int gid, apr_pool_t *p);

/**
 * Call fn as that user: in a forked child when this process is root and uid is another's, else directly. The result's strings come back
 * in p; res->reason must be one of core/reasons.h.
 */
typedef apr_status_t wh_files_call(void *baton, webhook_result *res);
apr_status_t wh_files_as(int uid, int gid, wh_files_call *fn, void *baton, apr_pool_t *p, webhook_result *res);

#endif
