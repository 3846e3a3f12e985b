/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id.c: delivery ids. 48 bits of milliseconds and the 16 bits behind them form one 64-bit number that ascends from id to id in a
 * process; the remaining 58 bits are random in each id. Random bytes are drawn in blocks per thread, so that an id costs no system
 * call.
 */
#include "core/id.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#define RANDOM_BLOCK 480 /* bytes drawn at once: 40 ids */
#define RANDOM_PER_ID 12

/* The clock may be set back, and callers pass moments a little old: up to here the sequence goes on from the last id. A greater
 * difference means that the clock was wrong before, and ids must not stay in that future for the life of the process. */
#define BACKWARD_MAX_MS (10 * 60 * 1000)

/* milliseconds << 16 | sequence of the last id made in this process */
static uint64_t id_last;

/* A forked child must not repeat its parent's ids: how often this process became one, counted since anybody drew bytes. What _Fork() makes
 * is not counted: such children only run programs. */
static unsigned id_forks;
static pthread_once_t id_watch = PTHREAD_ONCE_INIT;
static int watching;

static __thread struct {
    unsigned forks; /* when these were drawn */
    unsigned left;
    unsigned char bytes[RANDOM_BLOCK];
} id_random;

static void forked(void)
{
    id_forks++;
}

static void watch_forks(void)
{
    watching = pthread_atfork(NULL, NULL, forked) == 0;
}

static const unsigned char *random_take(void)
{
    if (id_random.left < RANDOM_PER_ID || id_random.forks != id_forks) {
        id_random.left = 0;
        if (pthread_once(&id_watch, watch_forks) || !watching)
            return NULL;
        if (RAND_bytes(id_random.bytes, RANDOM_BLOCK) != 1) {
            ERR_clear_error();
            return NULL;
        }
        id_random.forks = id_forks;
        id_random.left = RANDOM_BLOCK;
    }
    id_random.left -= RANDOM_PER_ID;
    return id_random.bytes + id_random.left;
}

apr_status_t wh_id_make(char *out, apr_time_t now)
{
    const unsigned char *rnd = random_take();
    uint64_t ms = now > 0 ? (uint64_t)(now / 1000) & 0xffffffffffffu : 0;
    uint64_t last, next, fresh;
    unsigned step;
    unsigned char id[16];

    if (!rnd)
        return APR_EGENERAL;
    /* A new millisecond starts in the lower half of the 16 bits, so that there is room to ascend; when it is used up the carry
     * moves the id into the next millisecond, which keeps the order. */
    fresh = ms << 16 | (unsigned)(rnd[0] & 0x7f) << 8 | rnd[1];
    step = 1 + (rnd[2] & 7u);
    last = __atomic_load_n(&id_last, __ATOMIC_RELAXED);
    do {
        uint64_t last_ms = last >> 16;
        next = ms > last_ms || last_ms > ms + BACKWARD_MAX_MS ? fresh : last + step;
    } while (!__atomic_compare_exchange_n(&id_last, &last, next, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));

    for (int i = 0; i < 6; i++)
        id[i] = (unsigned char)(next >> (56 - 8 * i));
    id[6] = (unsigned char)(0x70 | (next >> 12 & 0x0f));
    id[7] = (unsigned char)(next >> 4);
    id[8] = (unsigned char)(0x80 | (next & 0x0f) << 2 | (rnd[3] & 3));
    memcpy(id + 9, rnd + 4, 7);
    wh_id_unpack(out, id);
    return APR_SUCCESS;
}

/* value of a lower-case hex digit, -1 for anything else */
static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static int is_dash(int i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

int wh_id_valid(const char *text)
{
    if (!text)
        return 0;
    for (int i = 0; i < WH_ID_LEN; i++) {
        /* a NUL is neither, so nothing behind the end is read */
        if (is_dash(i) ? text[i] != '-' : hex_digit((unsigned char)text[i]) < 0)
            return 0;
    }
    return !text[WH_ID_LEN] && text[14] == '7' && (hex_digit((unsigned char)text[19]) & 0xc) == 0x8;
}

void wh_id_pack(unsigned char out[16], const char *id)
{
    for (int i = 0, n = 0; i < 16; i++, n += 2) {
        if (is_dash(n))
            n++;
        out[i] = (unsigned char)((hex_digit((unsigned char)id[n]) * 16 + hex_digit((unsigned char)id[n + 1])) & 0xff);
    }
}

void wh_id_unpack(char *out, const unsigned char in[16])
{
    static const char digits[] = "0123456789abcdef";
    char *at = out;

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[in[i] >> 4];
        *at++ = digits[in[i] & 0xf];
    }
    *at = '\0';
}
