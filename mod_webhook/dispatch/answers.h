/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answers.h: what a program in mode=persistent writes (pipe.h): lines out of a pipe, answers out of lines.
 */
#ifndef WH_DISPATCH_ANSWERS_H
#define WH_DISPATCH_ANSWERS_H

#include <apr_pools.h>
#include "webhook_provider.h"

/** Lines of one pipe. The owner gives `data` and `room`; the rest begins at 0. */
typedef struct wh_line_reader {
    char *data;
    apr_size_t len, room; /* a line of `room` bytes or more is too long */
    int skipping;         /* the rest of a line that was too long */
} wh_line_reader;

/** One line without its newline; of one that is too long, its first `room` bytes. Valid during the call. */
typedef void wh_line_cb(void *baton, const char *line, apr_size_t len);

/**
 * Read what is there and call back per line.
 * @param fd non-blocking
 * @param too_long set to whether a line was longer than the reader has room for
 * @return 0 at the end of the stream; 1: call again when it is readable
 */
int wh_read_lines(int fd, wh_line_reader *r, wh_line_cb *cb, void *baton, int *too_long);

/** ok ID | retry ID [SECONDS] | fail ID WORDS... */
typedef struct wh_answer {
    webhook_outcome outcome;         /* DONE, RETRY or DEAD */
    webhook_slice id;                /* into the line, like words */
    webhook_slice words;             /* of fail */
    apr_interval_time_t retry_after; /* of retry; 0: not said */
    int malformed;                   /* there is more behind the id than belongs there; only id is set */
} wh_answer;

/** @param line without its line end. @return 1: an answer, perhaps a malformed one; 0: something else */
int wh_answer_parse(wh_answer *a, const char *line, apr_size_t len);

/** What a program wrote as the detail of an attempt: cut, control bytes made spaces. */
const char *wh_answer_words(const char *text, apr_size_t len, apr_pool_t *p);

#endif
