/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_hash.h: the hash of members' names, behind json_read.c and wh_json_hash(). Two words of the name at a time are mixed with two
 * secret words by a multiplication to 128 bits whose halves are folded together: who does not know the secrets cannot choose names
 * that meet.
 */
#ifndef WH_CORE_JSON_HASH_H
#define WH_CORE_JSON_HASH_H

#include <apr.h>
#include <stdint.h>
#include <string.h>

typedef struct wh_json_seed {
    uint64_t a, b;
} wh_json_seed;

/** The seed of this process, drawn on first use; a forked child keeps its parent's. Never NULL, any thread. */
const wh_json_seed *wh_json_seed_get(void);

static inline uint64_t wh_json_fold(uint64_t x, uint64_t y)
{
#ifdef __SIZEOF_INT128__
    unsigned __int128 product = (unsigned __int128)x * y;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t xl = (uint32_t)x, xh = x >> 32, yl = (uint32_t)y, yh = y >> 32;
    uint64_t low = xl * yl, mid = xh * yl + (low >> 32), mid2 = xl * yh + (uint32_t)mid;

    return (mid2 << 32 | (uint32_t)low) ^ (xh * yh + (mid >> 32) + (mid2 >> 32));
#endif
}

static inline uint64_t wh_json_word(const char *s)
{
    uint64_t w;

    memcpy(&w, s, 8);
    return w;
}

/** Whether two names of one length are equal; of most names two words are all there is to compare. */
static inline int wh_json_same_name(const char *a, const char *b, apr_size_t len)
{
    uint32_t a_half, b_half, a_last, b_last;

    if (len >= 8) {
        const char *last = a + len - 8;
        for (; a < last; a += 8, b += 8) {
            if (wh_json_word(a) != wh_json_word(b))
                return 0;
        }
        return wh_json_word(last) == wh_json_word(b - (a - last)); /* overlapping */
    }
    if (len >= 4) {
        memcpy(&a_half, a, 4);
        memcpy(&b_half, b, 4);
        memcpy(&a_last, a + len - 4, 4);
        memcpy(&b_last, b + len - 4, 4);
        return a_half == b_half && a_last == b_last;
    }
    return !len || (a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1]);
}

static inline apr_uint32_t wh_json_hash_with(const wh_json_seed *seed, const char *s, apr_size_t len)
{
    uint64_t h = seed->b ^ len, x, y, left = len;
    uint32_t half;

    for (; left > 16; left -= 16, s += 16)
        h = wh_json_fold(wh_json_word(s) ^ seed->a, wh_json_word(s + 8) ^ h);
    if (left >= 8) {
        x = wh_json_word(s);
        y = wh_json_word(s + left - 8); /* overlapping: the length is in h */
    }
    else if (left >= 4) {
        memcpy(&half, s, 4);
        x = half;
        memcpy(&half, s + left - 4, 4);
        y = half;
    }
    else {
        x = left ? (uint64_t)(unsigned char)s[0] << 16 | (uint64_t)(unsigned char)s[left / 2] << 8 | (unsigned char)s[left - 1] : 0;
        y = 0;
    }
    h = wh_json_fold(x ^ seed->a, y ^ h);
    h = wh_json_fold(h ^ seed->b, seed->a);
    return (apr_uint32_t)(h ^ h >> 32);
}

#endif
