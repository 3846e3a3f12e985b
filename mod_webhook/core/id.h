/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id.h: delivery ids: UUID version 7 (RFC 9562 section 5.7) in lower-case text. Time-ordered, unique without coordination:
 * 48 bits of milliseconds, 16 bits that begin at random in each millisecond and ascend, 58 random bits (RFC 9562 section 6.2, method 2).
 * Within one process they ascend strictly, over all threads, as long as the clock is not set back by more than ten minutes.
 */
#ifndef WH_CORE_ID_H
#define WH_CORE_ID_H

#include <apr_time.h>

#define WH_ID_LEN 36

/** Make an id for a moment. Any thread. @param out WH_ID_LEN + 1 bytes. @return APR_SUCCESS or the random source's failure. */
apr_status_t wh_id_make(char *out, apr_time_t now);

/** Whether the text is an id in exactly this form (lower case, version 7, RFC variant). */
int wh_id_valid(const char *text);

/** Pack into / unpack from 16 bytes (the store's key form). The id to pack must be valid (wh_id_valid). */
void wh_id_pack(unsigned char out[16], const char *id);
void wh_id_unpack(char *out, const unsigned char in[16]);

#endif
