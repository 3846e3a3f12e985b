/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers.h: the built-in handler providers.
 */
#ifndef WH_DISPATCH_HANDLERS_H
#define WH_DISPATCH_HANDLERS_H

#include "webhook_provider.h"

/** dispatch/file.c: JSON lines or one raw file per delivery. */
extern const webhook_handler_provider wh_handler_file;
/** dispatch/pipe.c: a program per delivery, or (mode=persistent) one program for all. Its contract with programs is in dispatch/pipe.h. */
extern const webhook_handler_provider wh_handler_pipe;
/** dispatch/upstream.c: an HTTP API. */
extern const webhook_handler_provider wh_handler_upstream;

#endif
