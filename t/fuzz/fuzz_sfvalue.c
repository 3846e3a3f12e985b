/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured Fields: the first field of the input is a key, the rest a field's value. What is written again the strict way reads as the same
 * and is written the same; so is each member; nothing that could end a line of a signature base comes out.
 */
#include "verify/sfield.h"
#include "verify_fuzz.h"

static int one_line(const char *text)
{
    const char *s;

    for (s = text; *s; s++) {
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e) return 0;
    }
    return s > text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *key, *value, *again, *member, *strict;
    apr_pool_t *p;

    apr_pool_create(&p, fuzz_pool());
    key = fuzz_field(&data, &size, p);
    value = apr_pstrmemdup(p, (const char *)data, size);
    if ((strict = wh_sf_serialize(value, p)) != NULL) {
        check(one_line(strict));
        again = wh_sf_serialize(strict, p);
        check(again && strcmp(again, strict) == 0);
    }
    if ((member = wh_sf_member(value, key, p)) != NULL) {
        check(*key && one_line(member) && strstr(value, key));
        again = wh_sf_serialize(member, p);
        check(again && strcmp(again, member) == 0);
        if (strict) {
            again = wh_sf_member(strict, key, p);
            check(again && strcmp(again, member) == 0);
        }
    }
    apr_pool_destroy(p);
    return 0;
}
