/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h: reading secrets, the same way in the server and in the tool. No function here ever puts a secret into a message.
 */
#ifndef WH_CORE_SECRET_H
#define WH_CORE_SECRET_H

#include <apr_file_info.h>
#include <apr_pools.h>
#include "webhook_provider.h"

#define WH_SECRET_MAX 65536 /* bytes of a secret, key or key set in a file */

/** What a file looked like when it was read: a change of any of these means reading it again. */
typedef struct wh_secret_stamp {
    apr_ino_t inode;
    apr_time_t mtime, ctime;
    apr_off_t size;
} wh_secret_stamp;

/**
 * Read a secret from a regular file: one trailing newline (LF or CRLF) is not part of it, other white space is. The bytes are in p and
 * are cleansed when p goes.
 * @param warning answer, NULL if none: others may read it or others than the owner change it, outer white space. A sentence about the file, from p
 * @param stamp answer, may be NULL
 * @return NULL, or an error text from p: missing, unreadable, not a regular file, too large, empty, white space only
 */
const char *wh_secret_read(webhook_slice *out, const char *path, const char **warning, wh_secret_stamp *stamp, apr_pool_t *p);

/** The rules for content alone, for bytes that came another way (environment, program, directive). @return as above */
const char *wh_secret_accept(webhook_slice *bytes, const char **warning, apr_pool_t *p);

/**
 * Room for len bytes of a secret, all zero with a zero behind; cleansed when p goes. In pages of its own, which core images leave out
 * (MADV_DONTDUMP), so for what is kept, not for every request. Children that are forked have it too.
 */
unsigned char *wh_secret_room(apr_size_t len, apr_pool_t *p);

/** Copy bytes into such room. */
unsigned char *wh_secret_keep(const void *bytes, apr_size_t len, apr_pool_t *p);

/** Stat alone. @return 1 if the file still looks as it did */
int wh_secret_unchanged(const char *path, const wh_secret_stamp *stamp);

#endif
