/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.h: IP addresses and ranges as bytes: what a connection may be made to, decided on the address the socket is given and never
 * on a name or a spelling of it.
 */
#ifndef WH_CORE_ADDRESS_H
#define WH_CORE_ADDRESS_H

#include <apr_pools.h>
#include <sys/socket.h>

/** An IPv4 or IPv6 address in network byte order. An IPv4-mapped IPv6 address (::ffff:0:0/96) stays IPv6 here; comparisons see through it. */
typedef struct wh_address {
    int bits; /* 32 or 128 */
    unsigned char bytes[16];
} wh_address;

/** "10.0.0.0/8", "2001:db8::/32"; a bare address is a range of one. */
typedef struct wh_range {
    wh_address net;
    int prefix; /* 0 to net.bits */
} wh_range;

#define WH_ADDRESS_TEXT 46 /* bytes of the longest spelling, with its NUL */

/** Dotted quad or RFC 4291 text and nothing else: no brackets, no zone, no octal, hexadecimal or shortened IPv4. @return 1 or 0 */
int wh_address_parse(wh_address *out, const char *text, apr_size_t len);

/** The address of an AF_INET or AF_INET6 socket address; @return 0 for every other family. */
int wh_address_of(wh_address *out, const struct sockaddr *sa);

/** Canonical spelling (RFC 5952). out: WH_ADDRESS_TEXT bytes. */
void wh_address_format(char *out, const wh_address *a);

/** Parse a range. Bits behind the prefix must be zero: "10.1.2.3/8" is a mistake. @return NULL or an error text from p */
const char *wh_range_parse(wh_range *out, const char *text, apr_pool_t *p);

/**
 * Whether the address lies in the range. IPv4-mapped addresses, and ranges inside ::ffff:0:0/96, are their IPv4 selves on both sides;
 * otherwise an IPv6 range holds no IPv4 address (::/0 neither) and the other way round.
 */
int wh_range_has(const wh_range *range, const wh_address *a);

/**
 * Why an address is no place on the public Internet: "loopback", "private", ... , static; NULL if it is one. IPv6 is public in 2000::/3
 * alone, and there not where an IPv4 address is embedded (6to4, Teredo): what such an address leads to is decided elsewhere.
 * Registries: IANA special-purpose IPv4 and IPv6 (RFC 6890 and its updates).
 */
const char *wh_address_special(const wh_address *a);

#endif
