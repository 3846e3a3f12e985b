/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and ranges: spellings, special ranges and their edges, and Python's ipaddress as the oracle over random pairs (where there is a
 * python3): 20000 of them, WEBHOOK_PAIRS=1000000 for the long run.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <netinet/in.h>
#include <stdint.h>

#include "core/address.h"
#include "tap.h"

static apr_pool_t *pool;

static wh_address address(const char *text)
{
    wh_address a;

    if (!wh_address_parse(&a, text, strlen(text))) {
        diag("%s is not an address", text);
        memset(&a, 0, sizeof(a));
    }
    return a;
}

static void test_spellings(void)
{
    static const char *const good[] = { "0.0.0.0", "255.255.255.255", "192.0.2.1", "::", "::1", "2001:db8::1", "2001:DB8:0:0:0:0:0:1",
        "::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "fe80::1" };
    static const char *const bad[] = { "", "1", "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "01.2.3.4", "1.2.3.4.5", "1.2.3.256", "1.2.3",
        " 1.2.3.4", "1.2.3.4 ", "1.2.3.4\n", "[::1]", "::1%eth0", "fe80::1%1", "1::2::3", ":::", "12345::", "::g", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "localhost", "1.2.3.4/8", "::ffff:1.2.3", "-1.2.3.4", "+1.2.3.4", "1..3.4" };
    wh_address a;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) ok(wh_address_parse(&a, good[i], strlen(good[i])), "\"%s\" is an address", good[i]);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) ok(!wh_address_parse(&a, bad[i], strlen(bad[i])), "\"%s\" is none", bad[i]);
    ok(!wh_address_parse(&a, "1.2.3.4\0", 8), "nor is one with a NUL");
}

static void test_ranges(void)
{
    static const char *const bad[] = { "", "/", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/032", "1.2.3.4/ 8", "1.2.3.4/8 ", "10.1.0.0/8", "::1/64",
        "::/129", "1.2.3.4/255.0.0.0", "a/8", "::/0x8", "10.0.0.0/08", "10.0.0.0/8/8" };
    static const struct { const char *range, *in, *out; } table[] = {
        { "10.0.0.0/8", "10.255.255.255", "11.0.0.0" }, { "10.0.0.0/8", "10.0.0.0", "9.255.255.255" }, { "192.0.2.128/25", "192.0.2.128", "192.0.2.127" },
        { "192.0.2.1", "192.0.2.1", "192.0.2.2" }, { "0.0.0.0/0", "8.8.8.8", "::1" }, { "::/0", "2001:db8::1", "8.8.8.8" },
        { "2001:db8::1", "2001:db8::1", "2001:db8::2" }, { "2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::" },
        { "10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3" }, { "::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3" },
        { "::ffff:0:0/96", "1.2.3.4", "::1.2.3.4" }, { "::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2" }, { "64:ff9b::/96", "64:ff9b::7f00:1", "127.0.0.1" },
        { "127.0.0.1", "127.0.0.1", "::7f00:1" }, { "127.0.0.0/31", "127.0.0.1", "127.0.0.2" }, { "::1", "::1", "::" } };
    wh_range r;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) ok(wh_range_parse(&r, bad[i], pool) != NULL, "\"%s\" is no range", bad[i]);
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        wh_address in = address(table[i].in), out = address(table[i].out);
        ok(wh_range_parse(&r, table[i].range, pool) == NULL, "%s is a range", table[i].range);
        ok(wh_range_has(&r, &in), "%s holds %s", table[i].range, table[i].in);
        ok(!wh_range_has(&r, &out), "and not %s", table[i].out);
    }
}

static void test_special(void)
{
    static const char *const special[] = { "0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255",
        "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::2", "::10.0.0.1", "::8.8.8.8",
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1",
        "2001::1", "2001:0:4136:e378::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "4000::1", "5f00::1",
        "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "1fff::1" };
    static const char *const fine[] = { "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.0.1",
        "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "2600::1", "2a00:1450::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2001:db7:ffff::1", "2001:db9::1", "3ffe::1" };
    struct sockaddr_in6 in6;
    struct sockaddr unix_sa;
    wh_address a;
    size_t i;

    for (i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        a = address(special[i]);
        ok(wh_address_special(&a) != NULL, "%s is special: %s", special[i], wh_address_special(&a) ? wh_address_special(&a) : "no");
    }
    for (i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        a = address(fine[i]);
        ok(!wh_address_special(&a), "%s is public", fine[i]);
    }
    memset(&in6, 0, sizeof(in6));
    in6.sin6_family = AF_INET6;
    in6.sin6_addr = in6addr_loopback;
    ok(wh_address_of(&a, (const struct sockaddr *)&in6) && wh_address_special(&a), "a socket's address");
    memset(&unix_sa, 0, sizeof(unix_sa));
    unix_sa.sa_family = AF_UNIX;
    ok(!wh_address_of(&a, &unix_sa), "and none of a UNIX socket");
}

/* The lists are written again here, as IANA's registries have them, and looked up by another program's code. */
static const char oracle[] =
    "import ipaddress as ip, random, sys\n"
    "r = random.Random(int(sys.argv[2]))\n"
    "v4 = [ip.ip_network(n) for n in '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24'\n"
    "      ' 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4'.split()]\n"
    "v6 = [ip.ip_network(n) for n in '2001::/23 2001:db8::/32 2002::/16 3fff::/20'.split()]\n"
    "unicast = ip.ip_network('2000::/3')\n"
    "def special(a):\n"
    "    if a.version == 4: return any(a in n for n in v4)\n"
    "    return a not in unicast or any(a in n for n in v6)\n"
    "def plain(a): return getattr(a, 'ipv4_mapped', None) or a\n"
    "def address(near):\n"
    "    k = r.random()\n"
    "    if k < .15: a = ip.IPv4Address(r.getrandbits(32))\n"
    "    elif k < .3: a = ip.IPv6Address(r.getrandbits(128))\n"
    "    elif k < .4: a = ip.IPv6Address((0xffff << 32) | r.getrandbits(32))\n"
    "    elif k < .5: a = ip.IPv6Address((0x2000 << 112) | r.getrandbits(125))\n"
    "    elif k < .6: a = r.choice(v4 + v6)[0] + r.choice([0, 1]) - r.choice([0, 0])\n"
    "    elif k < .7:\n"
    "        n = r.choice(v4 + v6); a = n[-1] if r.random() < .5 else n[0]\n"
    "        d = r.choice([-1, 0, 1]); i = int(a) + d\n"
    "        a = type(a)(i) if 0 <= i <= int(type(a)(2 ** a.max_prefixlen - 1)) else a\n"
    "    else:\n"
    "        i = int(near) ^ (1 << r.randrange(near.max_prefixlen)) if r.random() < .7 else int(near)\n"
    "        a = type(near)(i)\n"
    "    if a.version == 4 and r.random() < .2: a = ip.IPv6Address((0xffff << 32) | int(a))\n"
    "    return a\n"
    "near = ip.IPv4Address('10.0.0.1'); out = []\n"
    "for _ in range(int(sys.argv[1])):\n"
    "    near = address(near); a = address(near)\n"
    "    net = ip.ip_network((near, r.randrange(near.max_prefixlen + 1)), strict=False)\n"
    "    other, n = plain(a), net\n"
    "    if net.version == 6 and net.prefixlen >= 96 and net[0].ipv4_mapped:\n"
    "        n = ip.ip_network((net[0].ipv4_mapped, net.prefixlen - 96))\n"
    "    has = other.version == n.version and other in n\n"
    "    sys.stdout.write('%s %s %d %d\\n' % (a, net, has, special(a)))\n";

static void test_oracle(void)
{
    const char *pairs = getenv("WEBHOOK_PAIRS"), *seed = getenv("WEBHOOK_SEED");
    char script[] = "/tmp/wh_oracle_XXXXXX", line[256], a_text[64], range_text[64];
    int fd, has, special, count = 0, wrong = 0;
    FILE *in;

    if (system("python3 -c 'import ipaddress' >/dev/null 2>&1") != 0) {
        ok(1, "# SKIP no python3 to ask");
        return;
    }
    fd = mkstemp(script);
    ok(fd >= 0 && write(fd, oracle, sizeof(oracle) - 1) == (ssize_t)sizeof(oracle) - 1, "the oracle's script");
    close(fd);
    in = popen(apr_psprintf(pool, "python3 %s %d %d", script, pairs ? atoi(pairs) : 20000, seed ? atoi(seed) : 7), "r");
    while (in && fgets(line, sizeof(line), in)) {
        wh_address a;
        wh_range r;
        if (sscanf(line, "%63s %63s %d %d", a_text, range_text, &has, &special) != 4 || !wh_address_parse(&a, a_text, strlen(a_text))
            || wh_range_parse(&r, range_text, pool) != NULL || wh_range_has(&r, &a) != has || (wh_address_special(&a) != NULL) != special) {
            if (wrong++ < 10) diag("not as the oracle says: %s", line);
        }
        if (++count % 1000 == 0) apr_pool_clear(pool);
    }
    if (in) pclose(in);
    unlink(script);
    ok(count >= (pairs ? atoi(pairs) : 20000) && wrong == 0, "%d pairs as Python says, %d differ", count, wrong);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_spellings();
    test_ranges();
    test_special();
    test_oracle();
    return tap_done();
}
