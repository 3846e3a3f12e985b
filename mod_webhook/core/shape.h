/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape.h: texts of the configuration with slots in them, and the values that a delivery puts there.
 *
 *   https://billing.internal/stripe?type=%{webhook_urlenc:%{webhook_json:/type}}
 *   \____________ literal _____________/ \_____________ slot __________________/
 *
 * A slot is `%{NAME}` or `%{function:argument}`, arguments again text with slots; it is an expression of the server in front and means
 * nothing here but its own text. When a delivery is accepted, each slot of a handler is evaluated and the values are frozen as one JSON
 * object, the job's shape:
 *
 *   {"%{webhook_urlenc:%{webhook_json:/type}}":"invoice.paid", "%{webhook_json:/id}":["longer than 65536 bytes"]}
 *
 * by the slot's text: a string, or, where the slot gave nothing that can be used, an array of one sentence that says why. What is literal is
 * never frozen: a token written into a URL or a header stays in the configuration, and may change while jobs wait.
 */
#ifndef WH_CORE_SHAPE_H
#define WH_CORE_SHAPE_H

#include "core/json.h"
#include "webhook_provider.h"

#define WH_SLOT_TEXT_MAX 2048      /* bytes of a slot as written */
#define WH_SHAPE_VALUE_MAX 1048576 /* bytes of one slot's value */

/** A text with slots: literal pieces and slots in turn. Read-only once parsed. */
typedef struct wh_slotted wh_slotted;

/**
 * Parse a text of the configuration.
 * @param place what its slots are for; in WEBHOOK_PLACE_NAME %{id} and %{ext} are no slots but text
 * @param slots webhook_slot: its slots are appended; may be NULL
 * @return NULL or an error text from p ("%{...} is not closed", ...)
 */
const char *wh_slotted_parse(wh_slotted **out, const char *text, webhook_place place, apr_array_header_t *slots, apr_pool_t *p);

/** Whether it has a slot. */
int wh_slotted_any(const wh_slotted *s);

/** "in a URL", "in a header", ... for messages. */
const char *wh_place_name(webhook_place place);

/** The literal text in front of the first slot; the whole text where there is none. */
const char *wh_slotted_prefix(const wh_slotted *s);

/** The text with every slot replaced by the same word: to look at the whole at configuration, or for people. */
const char *wh_slotted_with(const wh_slotted *s, const char *word, apr_pool_t *p);

/** How a shape came out. */
typedef enum wh_filled {
    WH_FILLED,          /* in the buffer */
    WH_FILLED_MISSING,  /* the job was made without a value for this slot: by a replay, or before the slot was configured */
    WH_FILLED_BAD       /* the delivery gave the slot no value that can be used */
} wh_filled;

/** A lease's shape, parsed. @return NULL when there is none or it is damaged: every slot is missing then */
const wh_json *wh_shape_open(webhook_slice shape, apr_pool_t *p);

/** Append the text with its slots filled. @param shape of wh_shape_open, may be NULL @param why answer, unless FILLED: a sentence from b's
 *  pool that names the slot, never a value */
wh_filled wh_slotted_fill(wh_buf *b, const wh_slotted *s, const wh_json *shape, const char **why);

/* ---- writing a shape ---- */

/** `"text":"value"`, or `"text":["why"]` with value NULL; the buffer holds what comes after '{'. A value that is not UTF-8 or longer than
 *  WH_SHAPE_VALUE_MAX is written as one that cannot be used. */
void wh_shape_put(wh_buf *b, const char *slot, const char *value, const char *why);

/** Whether a slot reads something that is shown to nobody: credentials in headers, members called token, secret, password...; names that are
 *  the scheme's credentials (webhook_scheme_traits.credentials, may be NULL); the query as a whole. */
int wh_slot_is_sensitive(const char *text, const char *const *credentials);

/* ---- the syntax of one slot, for who checks it ---- */

/** Take `%{NAME}` or `%{function:argument}` apart. @param argument answer: {NULL,0} for a variable @return 0 when it is neither */
int wh_slot_split(const char *text, apr_size_t len, webhook_slice *name, webhook_slice *argument);

/** Length of the slot at the start of text (which begins with "%{"); 0 when it is not closed. */
apr_size_t wh_slot_len(const char *text, apr_size_t len);

#endif
