/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h: a store that lives in the process and is gone with it: for unit tests, and as the shortest description of what a store does.
 * "memory:" takes the options rows=N, done=DURATION and dead=DURATION. All handles opened on one configuration are the same store; the
 * caller serialises them. Nothing in it is durable, and nothing in it survives a fork but a copy.
 */
#ifndef WH_STORE_MEMORY_H
#define WH_STORE_MEMORY_H

#include "webhook_provider.h"

extern const webhook_store_provider wh_store_memory;

#endif
