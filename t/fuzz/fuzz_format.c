/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats: the first byte chooses one, the rest is judged by it and by those it must agree with. Text that is not UTF-8 is judged too: a check
 * may say anything of it, but not read past it.
 */
#include <apr_general.h>
#include <apr_pools.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "validate/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri",
    "uri-reference", "iri", "iri-reference", "uuid", "uri-template", "json-pointer", "relative-json-pointer", "regex" };

/* what is of the first is of the second */
static const char *const implied[][2] = { { "uri", "uri-reference" }, { "uri", "iri" }, { "uri-reference", "iri-reference" }, { "iri", "iri-reference" },
    { "email", "idn-email" } };

#define COUNT(list) (sizeof(list) / sizeof(list[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    const char *name;
    char *text;
    apr_pool_t *p;
    size_t i;
    int valid;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    if (size == 0) return 0;
    name = names[data[0] % COUNT(names)];
    data++;
    size--;
    /* of exactly its size, for the sanitizer to see what is read behind it */
    text = malloc(size ? size : 1);
    if (!text) return 0;
    memcpy(text, data, size);
    apr_pool_create(&p, pool);
    valid = wh_format_find(name, 202012)(text, size, p);
    if (valid != 0 && valid != 1) abort();
    for (i = 0; i < COUNT(implied); i++)
        if (valid && !strcmp(implied[i][0], name) && !wh_format_find(implied[i][1], 202012)(text, size, p)) abort();
    apr_pool_destroy(p);
    free(text);
    return 0;
}
