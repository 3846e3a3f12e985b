/* SPDX-License-Identifier: Apache-2.0 */
/* address.c: see address.h. The system's own parser reads the text, what is ours is comparing prefixes and the list of special ranges. */
#include "core/address.h"

#include <apr_strings.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "core/units.h"

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

int wh_address_parse(wh_address *out, const char *text, apr_size_t len)
{
    char copy[WH_ADDRESS_TEXT];

    if (len == 0 || len >= sizeof(copy) || memchr(text, '\0', len)) return 0;
    memcpy(copy, text, len);
    copy[len] = '\0';
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, copy, out->bytes) == 1) {
        out->bits = 32;
        return 1;
    }
    if (inet_pton(AF_INET6, copy, out->bytes) == 1) {
        out->bits = 128;
        return 1;
    }
    return 0;
}

int wh_address_of(wh_address *out, const struct sockaddr *sa)
{
    memset(out, 0, sizeof(*out));
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        memcpy(out->bytes, &in.sin_addr, 4);
        out->bits = 32;
        return 1;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        memcpy(out->bytes, &in6.sin6_addr, 16);
        out->bits = 128;
        return 1;
    }
    return 0;
}

void wh_address_format(char *out, const wh_address *a)
{
    if (!inet_ntop(a->bits == 32 ? AF_INET : AF_INET6, a->bytes, out, WH_ADDRESS_TEXT)) *out = '\0';
}

static int same_bits(const unsigned char *a, const unsigned char *b, int bits)
{
    int whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, (size_t)whole) != 0) return 0;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

const char *wh_range_parse(wh_range *out, const char *text, apr_pool_t *p)
{
    const char *slash = strchr(text, '/');
    apr_size_t len = slash ? (apr_size_t)(slash - text) : strlen(text);
    apr_int64_t prefix;
    int i;

    if (!wh_address_parse(&out->net, text, len)) {
        return apr_psprintf(p, "\"%s\" is not an address or a range such as 192.0.2.0/24 or 2001:db8::/32", text);
    }
    out->prefix = out->net.bits;
    if (!slash) return NULL;
    if ((slash[1] == '0' && slash[2]) || wh_parse_int(slash + 1, strlen(slash + 1), 0, out->net.bits, &prefix) != APR_SUCCESS) {
        return apr_psprintf(p, "\"%s\": the prefix is not a number from 0 to %d", text, out->net.bits);
    }
    out->prefix = (int)prefix;
    for (i = out->prefix; i < out->net.bits; i++) {
        if (out->net.bytes[i / 8] & (0x80 >> i % 8)) {
            return apr_psprintf(p, "\"%s\" has bits set behind its prefix", text);
        }
    }
    return NULL;
}

/* The IPv4 address inside a mapped one */
static wh_address plain(const wh_address *a)
{
    wh_address v4;

    if (a->bits == 32 || memcmp(a->bytes, mapped, sizeof(mapped)) != 0) return *a;
    memset(&v4, 0, sizeof(v4));
    v4.bits = 32;
    memcpy(v4.bytes, a->bytes + 12, 4);
    return v4;
}

int wh_range_has(const wh_range *range, const wh_address *a)
{
    wh_address address = plain(a), net = range->net;
    int prefix = range->prefix;

    if (net.bits == 128 && prefix >= 96) {
        net = plain(&range->net);
        if (net.bits == 32) prefix -= 96;
    }
    return address.bits == net.bits && same_bits(address.bytes, net.bytes, prefix);
}

typedef struct special {
    const char *why;
    int prefix;
    unsigned char bytes[16];
} special;

static const special v4_ranges[] = {
    { "unspecified", 8, { 0 } },
    { "private", 8, { 10 } },
    { "shared", 10, { 100, 64 } },
    { "loopback", 8, { 127 } },
    { "link-local", 16, { 169, 254 } },
    { "private", 12, { 172, 16 } },
    { "reserved", 24, { 192, 0, 0 } },
    { "documentation", 24, { 192, 0, 2 } },
    { "6to4 relay", 24, { 192, 88, 99 } },
    { "private", 16, { 192, 168 } },
    { "benchmarking", 15, { 198, 18 } },
    { "documentation", 24, { 198, 51, 100 } },
    { "documentation", 24, { 203, 0, 113 } },
    { "multicast", 4, { 224 } },
    { "reserved", 4, { 240 } },
};

/* First match counts. */
static const special v6_ranges[] = {
    { "loopback", 128, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } },
    { "unspecified", 128, { 0 } },
    { "IPv4-mapped", 96, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff } },
    { "IPv4-translated", 96, { 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff } },
    { "IPv4-compatible", 96, { 0 } },
    { "NAT64", 96, { 0, 0x64, 0xff, 0x9b } },
    { "NAT64", 48, { 0, 0x64, 0xff, 0x9b, 0, 1 } },
    { "Teredo", 32, { 0x20, 0x01, 0, 0 } },
    { "reserved", 23, { 0x20, 0x01, 0 } },
    { "documentation", 32, { 0x20, 0x01, 0x0d, 0xb8 } },
    { "6to4", 16, { 0x20, 0x02 } },
    { "documentation", 20, { 0x3f, 0xff } },
    { "private", 7, { 0xfc } },
    { "link-local", 10, { 0xfe, 0x80 } },
    { "site-local", 10, { 0xfe, 0xc0 } },
    { "multicast", 8, { 0xff } },
};

static const char *find(const special *list, apr_size_t n, const wh_address *a)
{
    apr_size_t i;

    for (i = 0; i < n; i++) {
        if (same_bits(a->bytes, list[i].bytes, list[i].prefix)) return list[i].why;
    }
    return NULL;
}

const char *wh_address_special(const wh_address *a)
{
    const char *why;

    if (a->bits == 32) return find(v4_ranges, sizeof(v4_ranges) / sizeof(v4_ranges[0]), a);
    if (a->bits != 128) return "unknown";
    why = find(v6_ranges, sizeof(v6_ranges) / sizeof(v6_ranges[0]), a);
    /* Global unicast is 2000::/3 (RFC 4291 section 2.4); what is beyond has not been given out. */
    return why ? why : (a->bytes[0] & 0xe0) == 0x20 ? NULL : "reserved";
}
