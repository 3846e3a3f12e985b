/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe.h: the handler that gives deliveries to programs, and its contract with them.
 *
 * A program is started without a shell: the target is split into words (quotes group, a backslash escapes), the first is an absolute path.
 * It runs as the server's user in a process group of its own, with descriptors 0, 1 and 2 only, all signals at their defaults, the
 * configured umask, working directory and resource limits, and exactly this environment:
 *
 *   PATH                    path= or /usr/local/bin:/usr/bin:/bin
 *   WEBHOOK_ID              delivery id                      WEBHOOK_RECEIVED        2026-11-23T20:22:01.123Z
 *   WEBHOOK_ENDPOINT        endpoint                         WEBHOOK_REMOTE_ADDR     192.0.2.1
 *   WEBHOOK_HANDLER         handler                          WEBHOOK_METHOD          POST
 *   WEBHOOK_ATTEMPT         1, 2, ...                        WEBHOOK_URI             path and query as received
 *   WEBHOOK_SCHEME          github                           WEBHOOK_CONTENT_TYPE    as received
 *   WEBHOOK_VERIFIED        1 or 0                           WEBHOOK_BODY_LENGTH     bytes
 *   WEBHOOK_KEY_ID          which secret matched             WEBHOOK_BODY_SHA256     64 hex digits
 *   WEBHOOK_EVENT           sender's event name              WEBHOOK_SENDER_ID       sender's own id
 *
 * Values are the bytes as received or they are absent: a variable without a value, with a control byte (0x00-0x1f, 0x7f) in its value or
 * longer than WH_PIPE_VALUE_MAX is not set. (Cut or rewritten values would look like received ones.)
 *
 * With format=cloudevents-binary the attributes of the CloudEvent come too: CE_ID, CE_SOURCE, CE_TYPE, ... (core/cloudevents_write.h).
 *
 * Arguments may have slots (core/shape.h): each stays one argument, whatever its value. A value that would make the argument begin with '-'
 * is refused unless the argument itself is written so or stands behind "--", as is one longer than WH_PIPE_ARGUMENT_MAX.
 *
 * mode=delivery (default): one program per delivery; the body, in the format asked for (dispatch/format.h; all but raw as one line), on
 * standard input; standard output and error are kept together in the attempt, up to capture=. Exit status in success= (default 0): done;
 * in fail= (default none): dead; anything else, a signal, the timeout: retry. On a timeout or a stop the process group gets TERM, then KILL.
 * After the program has ended, what it left in its process group is killed.
 *
 * mode=persistent: one program; each delivery is an envelope line on its standard input, each answer a line on its standard output, in any
 * order, for at most concurrency= deliveries at a time:
 *
 *   ok ID | retry ID [SECONDS] | fail ID WORDS...
 *
 * A delivery not answered in time means that the program is stuck: it is ended, and what it had is retried. A program that ends is started
 * again after 1 s, then 2 s, ... 60 s (from 1 s again once it has answered). Standard error goes to the error log, line by line.
 */
#ifndef WH_DISPATCH_PIPE_H
#define WH_DISPATCH_PIPE_H

#include "dispatch/format.h"
#include "dispatch/runner.h"
#include "webhook_provider.h"

#define WH_PIPE_VALUE_MAX 8192
#define WH_PIPE_ARGUMENT_MAX 65536 /* the kernel takes 128 KiB for one, and a quarter of the stack's limit for all */

/* TERM to KILL when an attempt took too long; on a stop the dispatcher says how long. */
#define WH_PIPE_GRACE apr_time_from_sec(5)
/* When even KILL had no effect for this long, the attempt is given up. */
#define WH_PIPE_PATIENCE apr_time_from_sec(10)

enum wh_pipe_mode { WH_PIPE_DELIVERY = 0, WH_PIPE_PERSISTENT };

struct webhook_handler_conf {
    const char *target;
    const char *path;
    int mode;
    wh_format format;
    const wh_slotted *const *arguments; /* by index in command.argv; NULL: the argument is fixed. NULL: all are */
    apr_array_header_t *slots;          /* webhook_slot, of all arguments */
    unsigned char verdict[256]; /* webhook_outcome by exit status */
    wh_runner_command command;
};

/* mode=persistent (persistent.c); each as the entry of webhook_handler_provider. */
typedef struct wh_persistent wh_persistent;
apr_status_t wh_persistent_open(wh_persistent **out, const webhook_handler_conf *conf, const char *name, webhook_loop *loop,
                                const webhook_services *services, apr_pool_t *p);
void wh_persistent_start(wh_persistent *h, webhook_attempt *attempt);
void wh_persistent_stop(wh_persistent *h, apr_interval_time_t kill_after);
void wh_persistent_close(wh_persistent *h);

/** "exit status 3" or "signal 9 (Killed)". */
const char *wh_pipe_status_text(int status, apr_pool_t *p);

/** The delivery's body could not be had: ends the attempt, dead when the file is gone or damaged, else retry. */
void wh_pipe_body_lost(webhook_loop *loop, const webhook_services *services, webhook_attempt *attempt, apr_status_t rv);

#endif
