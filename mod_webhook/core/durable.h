/* SPDX-License-Identifier: Apache-2.0 */
/*
 * durable.h: files that are there after a power cut: write, fsync, rename, fsync of the directory. All descriptors are close-on-exec.
 */
#ifndef WH_CORE_DURABLE_H
#define WH_CORE_DURABLE_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <sys/types.h>
#include "webhook_provider.h"

/** Write all bytes, going on after short writes and EINTR. @return APR_SUCCESS or errno as apr_status_t */
apr_status_t wh_write_all(int fd, const char *data, apr_size_t len);

/** fsync a directory. */
apr_status_t wh_sync_dir(const char *path);

/** Prefix of temporary names: what a crash in between leaves in the directory, to be swept. */
#define WH_DURABLE_TEMP ".tmp-"

/**
 * Create dir/name with these bytes, durably: temporary name in the same directory (O_EXCL, O_NOFOLLOW, mode), write, fsync, rename
 * (never replacing an existing file unless `replace`: then APR_EEXIST), fsync the directory. On failure nothing is left behind
 * (with `replace`, the new content may be when only the directory's fsync failed). `mode` holds whatever the umask is.
 * `name` must be one safe component (wh_name_is_safe), else APR_EINVAL.
 */
apr_status_t wh_durable_create(const char *dir, const char *name, webhook_slice data, mode_t mode, int replace, apr_pool_t *scratch);

/** One path component of [A-Za-z0-9._-], not beginning with '.', 1 to 200 bytes. */
int wh_name_is_safe(const char *name);

#endif
