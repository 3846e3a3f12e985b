/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders: what is taken in its strict form must come out of the encoder again; no byte beyond the promised room is written.
 * First byte: encoding and flags; the rest is the text.
 */
#include <apr_general.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const wh_encoding encs[] = { WH_ENC_HEX, WH_ENC_BASE64, WH_ENC_BASE64URL };
    const char *text = (const char *)data + 1;
    apr_size_t len, out_len, max;
    unsigned char *out;
    wh_encoding enc;
    int flags;

    if (!size)
        return 0;
    enc = encs[(data[0] & 0xf) % 3];
    flags = data[0] >> 4;
    len = size - 1;
    max = wh_decoded_max(enc, len);
    out = malloc(max ? max : 1);
    check(out != NULL);
    if (wh_decode(enc, flags, text, len, out, max, &out_len) == APR_SUCCESS) {
        char *again = malloc(wh_encoded_len(enc, out_len) + 1);
        unsigned char *back = malloc(max ? max : 1);
        apr_size_t n, back_len;

        check(out_len <= max && again && back);
        n = wh_encode_to(again, enc, out, out_len);
        check(n == wh_encoded_len(enc, out_len) && strlen(again) == n);
        if (!flags)
            check(n == len && !memcmp(again, text, n));
        check(wh_decode(enc, 0, again, n, back, max, &back_len) == APR_SUCCESS);
        check(back_len == out_len && !memcmp(back, out, out_len));
        free(again);
        free(back);
    }
    else {
        check(out_len == 0);
    }
    free(out);

    /* the block-wise check and the one by sequences agree */
    {
        apr_size_t i = 0, n = 0;
        while (i < len && (n = wh_utf8_sequence(text + i, len - i)))
            i += n;
        check(wh_utf8_valid(text, len) == (i == len));
    }
    return 0;
}
