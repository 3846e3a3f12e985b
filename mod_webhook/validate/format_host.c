/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_host.c: addresses, host names and mailboxes: RFC 2673 section 3.2 (dotted quad), RFC 4291 section 2.2, RFC 1123 section 2.1, RFC 5890
 * (IDNA 2008, through libidn2), RFC 5321 section 4.1.2, RFC 6531.
 */
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <idn2.h>

#include "validate/format_parts.h"

#define LABEL_MAX 63
#define NAME_MAX_OCTETS 253    /* of a name without a final dot */
#define NAME_MAX_BYTES 1024    /* of its Unicode form: 253 characters need no more; no library sees a longer one */
#define LOCAL_MAX 64

int wh_format_ipv4(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    apr_size_t i = 0;
    int part;

    for (part = 0; part < 4; part++) {
        int value = 0, digits = 0;

        if (part && (i == len || text[i++] != '.')) return 0;
        for (; i < len && wh_is_digit(text[i]) && digits < 3; i++, digits++) {
            if (digits && !value) return 0;
            value = value * 10 + (text[i] - '0');
        }
        if (!digits || value > 255) return 0;
    }
    return i == len;
}

int wh_format_ipv6(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    apr_size_t i = 0;
    int groups = 0, gap = 0;

    if (len >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 1;
        i = 2;
    }
    while (i < len) {
        apr_size_t from = i;

        while (i < len && wh_is_hex(text[i]) && i - from < 4) i++;
        if (i < len && text[i] == '.') {
            groups += 2;
            if (!wh_format_ipv4(text + from, len - from, scratch)) return 0;
            break;
        }
        if (i == from || ++groups > 8) return 0;
        if (i == len) break;
        if (text[i++] != ':' || i == len) return 0;
        if (text[i] != ':') continue;
        if (gap++) return 0;
        i++;
    }
    return gap ? groups < 8 : groups == 8;
}

/* letters, digits, hyphens: RFC 1123; neither end a hyphen */
static int is_ldh_label(const char *label, apr_size_t len)
{
    apr_size_t i;

    if (!len || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-') return 0;
    for (i = 0; i < len; i++)
        if (!wh_is_alpha(label[i]) && !wh_is_digit(label[i]) && label[i] != '-') return 0;
    return 1;
}

/* RFC 5893 section 1.4: a name is a Bidi name when one of its characters is of class R, AL or AN. Those classes have ranges of their own, with
 * the combining marks and the extended Arabic digits (EN) in between. */
static int is_right_to_left(apr_uint32_t c)
{
    if (c < 0x590 || (c >= 0x6f0 && c <= 0x6f9)) return 0;
    return c <= 0x8ff || (c >= 0xfb1d && c <= 0xfdff) || (c >= 0xfe70 && c <= 0xfeff) || (c >= 0x10800 && c <= 0x10fff)
           || (c >= 0x1e800 && c <= 0x1efff);
}

/* permitted in IDNA and of no direction: neither class L nor EN */
static int is_neutral(apr_uint32_t c)
{
    return c == '-' || c == 0xb7 || c == 0x2b9 || c == 0x2ba || (c >= 0x2c6 && c <= 0x2cf) || c == 0x2ec || c == 0x375 || c == 0x30fb;
}

typedef struct host {
    apr_size_t octets;        /* of the labels in ASCII, with a dot before each but the first */
    unsigned labels;
    int right_to_left;        /* a label is */
    int not_for_bidi;         /* a label is left to right and may not stand beside one that is not */
    int digits_mixed;         /* a right-to-left label has European and Arabic digits */
    int mail;                 /* a mailbox's: normalised first, and what an ASCII mailbox may have it may have as well */
    apr_pool_t *scratch;
} host;

/* The directions of a label in Unicode. libidn2 has judged those that are right to left themselves, but for RFC 5893's rule 4 on digits. */
static void directions(host *h, const char *label, apr_size_t len)
{
    const char *start = label;
    apr_uint32_t c = 0;
    apr_size_t size;
    int right = 0, european = 0, arabic = 0, undirected = 0;

    for (; len; label += size, len -= size) {
        c = wh_utf8_char(label, len, &size);
        if (!size) break;
        european |= (c >= '0' && c <= '9') || (c >= 0x6f0 && c <= 0x6f9);
        arabic |= (c >= 0x660 && c <= 0x669) || (c >= 0x10d30 && c <= 0x10d39);
        right |= is_right_to_left(c);
        if (label == start) undirected = european || is_neutral(c);
    }
    if (right) {
        h->right_to_left = 1;
        h->digits_mixed |= european && arabic;
    } else {
        h->not_for_bidi |= undirected || is_neutral(c);
    }
}

/* an A-label, which must be what its U-label encodes to (RFC 5891 section 5.4) */
static int is_a_label(host *h, const char *label, apr_size_t len)
{
    char *lower = apr_pstrmemdup(h->scratch, label, len), *c;
    uint8_t *again = NULL;
    char *unicode = NULL;
    int valid;

    for (c = lower; *c; c++) *c = (char)apr_tolower(*c);
    valid = idn2_register_u8(NULL, (const uint8_t *)lower, &again, 0) == IDN2_OK
            && idn2_to_unicode_8z8z(lower, &unicode, 0) == IDN2_OK;
    if (valid) directions(h, unicode, strlen(unicode));
    idn2_free(again);
    idn2_free(unicode);
    return valid;
}

static int is_u_label(host *h, const char *label, apr_size_t len, apr_size_t *octets)
{
    const char *terminated = apr_pstrmemdup(h->scratch, label, len);
    uint8_t *ascii = NULL;
    int valid;

    if (memchr(label, '\0', len)) return 0;
    valid = idn2_register_u8((const uint8_t *)terminated, NULL, &ascii, h->mail ? IDN2_NFC_INPUT : 0) == IDN2_OK;
    if (valid) {
        *octets = strlen((const char *)ascii);
        directions(h, label, len);
    }
    idn2_free(ascii);
    return valid;
}

static int is_label(host *h, const char *label, apr_size_t len, int unicode)
{
    apr_size_t i, octets = len;
    int ascii = 1;

    for (i = 0; i < len; i++)
        if ((unsigned char)label[i] & 0x80) ascii = 0;
    if (ascii) {
        if (!is_ldh_label(label, len)) return 0;
        if (len >= 4 && label[2] == '-' && label[3] == '-') {
            /* reserved (RFC 5890 section 2.3.1) but for one prefix; plain host names may have them */
            if (apr_tolower(label[0]) == 'x' && apr_tolower(label[1]) == 'n') {
                if (!is_a_label(h, label, len)) return 0;
            } else if (unicode && !h->mail) {
                return 0;
            }
        } else {
            directions(h, label, len);
        }
    } else if (!unicode || !is_u_label(h, label, len, &octets)) {
        return 0;
    }
    h->octets += octets + (h->labels++ ? 1 : 0);
    return octets <= LABEL_MAX && h->octets <= NAME_MAX_OCTETS;
}

/* bytes of a full stop: of ASCII or, in Unicode names, of RFC 3490 section 3.1 */
static apr_size_t full_stop(const char *text, apr_size_t len, int unicode)
{
    if (text[0] == '.') return 1;
    if (!unicode || len < 3) return 0;
    return !memcmp(text, "\343\200\202", 3) || !memcmp(text, "\357\274\216", 3) || !memcmp(text, "\357\275\241", 3) ? 3 : 0;
}

static int is_host(const char *text, apr_size_t len, int unicode, int mail, apr_pool_t *scratch)
{
    host h = { .mail = mail, .scratch = scratch };
    apr_size_t i, from = 0, stop;

    if (!len || len > NAME_MAX_BYTES) return 0;
    for (i = 0; i < len; i += stop ? stop : 1) {
        stop = full_stop(text + i, len - i, unicode);
        if (!stop) continue;
        if (!is_label(&h, text + from, i - from, unicode)) return 0;
        from = i + stop;
    }
    return is_label(&h, text + from, len - from, unicode) && !(h.right_to_left && h.not_for_bidi) && !h.digits_mixed;
}

int wh_format_hostname(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    return is_host(text, len, 0, 0, scratch);
}

int wh_format_idn_hostname(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    return is_host(text, len, 1, 0, scratch);
}

static int is_atext(char c)
{
    return wh_is_alpha(c) || wh_is_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Local-part (RFC 5321 section 4.1.2): dot-string or quoted-string, in RFC 6531 with characters beyond ASCII. @return its bytes, 0: none */
static apr_size_t local_part(const char *text, apr_size_t len, int unicode)
{
    apr_size_t i = 0;

    if (len && text[0] == '"') {
        for (i = 1; i < len && text[i] != '"'; i++) {
            if (text[i] == '\\' && ++i == len) return 0;
            if ((unsigned char)text[i] & 0x80 ? !unicode : text[i] < ' ' || text[i] > '~') return 0;
        }
        return i < len ? i + 1 : 0;
    }
    for (; i < len && text[i] != '@'; i++) {
        if (text[i] == '.') {
            if (!i || text[i - 1] == '.' || i + 1 == len || text[i + 1] == '@') return 0;
        } else if ((unsigned char)text[i] & 0x80 ? !unicode : !is_atext(text[i])) {
            return 0;
        }
    }
    return i;
}

/* [192.0.2.1], [IPv6:2001:db8::1]; the general form has no tag registered */
static int is_address_literal(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    static const char tag[] = "IPv6:";

    if (len < 2 || text[len - 1] != ']') return 0;
    text++;
    len -= 2;
    if (len > sizeof(tag) - 1 && !strncasecmp(text, tag, sizeof(tag) - 1))
        return wh_format_ipv6(text + sizeof(tag) - 1, len - (sizeof(tag) - 1), scratch);
    return wh_format_ipv4(text, len, scratch);
}

static int is_mailbox(const char *text, apr_size_t len, int unicode, apr_pool_t *scratch)
{
    apr_size_t local = local_part(text, len, unicode);

    if (!local || local > LOCAL_MAX || len - local < 2 || text[local] != '@') return 0;
    text += local + 1;
    len -= local + 1;
    return text[0] == '[' ? is_address_literal(text, len, scratch) : is_host(text, len, unicode, unicode, scratch);
}

int wh_format_email(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    return is_mailbox(text, len, 0, scratch);
}

int wh_format_idn_email(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    return is_mailbox(text, len, 1, scratch);
}
