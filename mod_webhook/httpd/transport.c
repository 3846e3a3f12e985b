/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.c: WebhookRequireTLS: whether a request came to us over TLS. Either this connection is TLS; or its other end is a proxy that the
 * configuration trusts, by the address of the connection itself (what mod_remoteip makes of it is the client's), and the proxy says
 * that its client used TLS:
 *
 *   X-Forwarded-Proto: https
 *   Forwarded: for=192.0.2.7;proto=https         (RFC 7239)
 *
 * What such a proxy says counts more than its own connection to us: plain HTTP that was encrypted on its last few metres is not what the
 * directive asks for. Both headers are read, and all of what they say must be https: who is not sure which of them a proxy writes and
 * which it passes on from its client is on the safe side. From anybody else the headers mean nothing.
 */
#include "httpd/request.h"

#include "http_log.h"
#include "http_ssl.h"
#include "apr_lib.h"
#include "apr_network_io.h"
#include "apr_strings.h"

#include <arpa/inet.h>
#include <string.h>

#include "core/units.h"

APLOG_USE_MODULE(webhook);

/* ---- configuration ---- */

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". A bare address is one address, and bits behind the mask are a mistake. */
static const char *add_proxy(wh_tls *tls, const char *text, apr_pool_t *p)
{
    unsigned char bytes[16], *part = bytes;
    const char *slash = strchr(text, '/');
    char *address = apr_pstrmemdup(p, text, slash ? (apr_size_t)(slash - text) : strlen(text));
    apr_ipsubnet_t *subnet;
    apr_int64_t bits;
    int family, i, max, at = 0;

    family = inet_pton(AF_INET, address, bytes) == 1 ? AF_INET : inet_pton(AF_INET6, address, bytes) == 1 ? AF_INET6 : AF_UNSPEC;
    max = family == AF_INET ? 32 : 128;
    bits = max;
    if (family == AF_UNSPEC || (slash && wh_parse_int(slash + 1, strlen(slash + 1), 1, max, &bits) != APR_SUCCESS)) {
        return apr_psprintf(p, "\"%s\" is not an address (expected 192.0.2.1, 192.0.2.0/24, 2001:db8::1 or 2001:db8::/32)", text);
    }
    for (i = (int)bits; i < max; i++) {
        if (part[i / 8] & (0x80 >> i % 8)) {
            return apr_psprintf(p, "\"%s\" has bits behind its mask: one address is meant without a mask, a network with zeros behind it", text);
        }
    }
    /* IPv4 in IPv6 clothes: connections are compared as IPv4. */
    if (family == AF_INET6 && bits >= 96 && !memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12)) {
        at = 12;
        bits -= 96;
        family = AF_INET;
        inet_ntop(AF_INET, bytes + at, address = apr_palloc(p, INET6_ADDRSTRLEN), INET6_ADDRSTRLEN);
    }
    if (apr_ipsubnet_create(&subnet, address, apr_psprintf(p, "%d", (int)bits), p) != APR_SUCCESS) {
        return apr_psprintf(p, "\"%s\" is not a network this system knows", text);
    }
    APR_ARRAY_PUSH(tls->proxies, apr_ipsubnet_t *) = subnet;
    APR_ARRAY_PUSH(tls->proxy_texts, const char *) = text;
    return NULL;
}

const char *wh_tls_parse(wh_tls **out, int argc, char *const argv[], apr_pool_t *p)
{
    wh_tls *tls = apr_pcalloc(p, sizeof(*tls));
    const char *err, *word;
    char *at;
    int i;

    *out = tls;
    if (argc == 1 && (!ap_cstr_casecmp(argv[0], "on") || !ap_cstr_casecmp(argv[0], "off"))) {
        tls->required = !ap_cstr_casecmp(argv[0], "on");
        return NULL;
    }
    tls->required = 1;
    tls->proxies = apr_array_make(p, 4, sizeof(apr_ipsubnet_t *));
    tls->proxy_texts = apr_array_make(p, 4, sizeof(const char *));
    for (i = 0; i < argc; i++) {
        if (strncmp(argv[i], "proxy=", 6)) {
            return apr_psprintf(p, "\"%s\" is not possible (allowed: On, Off, or proxy=ADDRESS[/BITS],... once or several times)", argv[i]);
        }
        for (word = apr_strtok(apr_pstrdup(p, argv[i] + 6), ",", &at); word; word = apr_strtok(NULL, ",", &at)) {
            if ((err = add_proxy(tls, word, p)) != NULL) {
                return apr_pstrcat(p, "proxy=: ", err, NULL);
            }
        }
    }
    if (!tls->proxies->nelts) {
        return "takes On, Off, or proxy=ADDRESS[/BITS],... for the proxies that end TLS in front of this server";
    }
    return NULL;
}

/* ---- requests ---- */

/* What the headers say, over all of their lines and elements. */
typedef struct said {
    int https, other;
} said;

static void say(said *s, const char *value, apr_size_t len)
{
    while (len && apr_isspace(*value)) {
        value++;
        len--;
    }
    while (len && apr_isspace(value[len - 1])) {
        len--;
    }
    if (len == 5 && !ap_cstr_casecmpn(value, "https", 5)) {
        s->https++;
    }
    else {
        s->other++;
    }
}

static int read_proto(void *baton, const char *name, const char *value)
{
    apr_size_t n;

    (void)name;
    for (;; value += n + 1) {
        n = strcspn(value, ",");
        say(baton, value, n);
        if (!value[n]) {
            return 1;
        }
    }
}

/*
 * Forwarded: elements with ',' between them, pairs with ';' between them, a value is a token or a quoted string. Of the elements the last
 * is the proxy's own, and it must say how it was reached; those before it are other proxies', or anybody's, and may be silent.
 */
static int read_forwarded(void *baton, const char *name, const char *value)
{
    said *s = baton;
    int proto = 0;

    (void)name;
    for (;;) {
        const char *key, *text;
        apr_size_t key_len, len;

        value += strspn(value, " \t");
        key = value;
        key_len = strcspn(value, "=;, \t");
        value += key_len;
        if (*value == '=') {
            value++;
            if (*value == '"') {
                text = ++value;
                while (*value && *value != '"') {
                    value += *value == '\\' && value[1] ? 2 : 1;
                }
                len = (apr_size_t)(value - text);
                if (!*value) {
                    s->other++;
                    return 1;
                }
                value++;
            }
            else {
                text = value;
                len = strcspn(value, ";, \t");
                value += len;
            }
            if (key_len == 5 && !ap_cstr_casecmpn(key, "proto", 5)) {
                proto = 1;
                say(s, text, len);
            }
        }
        value += strspn(value, " \t");
        if (*value == ';') {
            value++;
        }
        else if (*value == ',') {
            value++;
            proto = 0;
        }
        else {
            if (*value || !proto) {
                s->other++;
            }
            return 1;
        }
    }
}

static int is_trusted(const wh_tls *tls, const conn_rec *c)
{
    int i;

    for (i = 0; tls->proxies && i < tls->proxies->nelts; i++) {
        if (apr_ipsubnet_test(APR_ARRAY_IDX(tls->proxies, i, apr_ipsubnet_t *), c->client_addr)) {
            return 1;
        }
    }
    return 0;
}

/* The streams of HTTP/2 are connections of their own behind the real one. */
static conn_rec *real_connection(request_rec *r)
{
    return r->connection->master ? r->connection->master : r->connection;
}

const char *wh_tls_fault(request_rec *r, const wh_tls *tls)
{
    conn_rec *c = real_connection(r);
    said s = {0, 0};

    if (!tls || !tls->required) {
        return NULL;
    }
    if (is_trusted(tls, c)) {
        apr_table_do(read_proto, &s, r->headers_in, "X-Forwarded-Proto", NULL);
        apr_table_do(read_forwarded, &s, r->headers_in, "Forwarded", NULL);
        if (s.other) {
            return apr_psprintf(r->pool, "the proxy %s does not say that all of the way was TLS", c->client_ip);
        }
        if (s.https) {
            return NULL;
        }
    }
    return ap_ssl_conn_is_ssl(c) ? NULL : apr_psprintf(r->pool, "the connection from %s is not TLS", c->client_ip);
}
