/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reasons.c: the tables of reasons.h as data.
 */
#include "core/reasons.h"

#include <stddef.h>
#include <string.h>

const wh_refusal_info wh_refusal_table[WH_REFUSAL_COUNT] = {
#define WH_X(e, code, status, title) { code, status, title },
    WH_REFUSALS(WH_X)
#undef WH_X
};

int wh_refusal_find(const char *code)
{
    if (!code)
        return -1;
    for (int i = 0; i < WH_REFUSAL_COUNT; i++) {
        if (!strcmp(code, wh_refusal_table[i].code))
            return i;
    }
    return -1;
}

wh_refusal wh_refusal_of_json(const char *reason)
{
    for (int i = WH_REFUSAL_JSON_INVALID + 1; i <= WH_REFUSAL_JSON_SIZE; i++) {
        if (!strcmp(reason, wh_refusal_table[i].code + sizeof("json-") - 1))
            return (wh_refusal)i;
    }
    return strcmp(reason, "memory") ? WH_REFUSAL_JSON_INVALID : WH_REFUSAL_INTERNAL;
}

#define WH_X(e, code, text) const char wh_failure_##e[] = code;
WH_FAILURES(WH_X)
#undef WH_X
