/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c: the table of the formats, and the checks of those that are a line of grammar.
 */
#include <string.h>

#include "core/encoding.h"
#include "validate/format_parts.h"
#include "validate/pattern.h"

/* RFC 9562 (4122) section 4: the text form alone, of any version and variant */
static int format_uuid(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    apr_size_t i;

    if (len != 36) return 0;
    for (i = 0; i < len; i++) {
        int dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : !wh_is_hex(text[i])) return 0;
    }
    return 1;
}

/* RFC 6901 section 3 */
static int format_json_pointer(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    apr_size_t i;

    if (len && text[0] != '/') return 0;
    for (i = 0; i < len; i++)
        if (text[i] == '~' && (i + 1 == len || (text[i + 1] != '0' && text[i + 1] != '1'))) return 0;
    return 1;
}

/* draft-handrews-relative-json-pointer-01 section 3 */
static int format_relative_json_pointer(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    apr_size_t digits = 0;

    while (digits < len && wh_is_digit(text[digits])) digits++;
    if (!digits || (digits > 1 && text[0] == '0')) return 0;
    if (len - digits == 1 && text[digits] == '#') return 1;
    return format_json_pointer(text + digits, len - digits, scratch);
}

static int format_regex(const char *text, apr_size_t len, apr_pool_t *scratch)
{
    return !wh_pattern_check(text, len, scratch);
}

#define SINCE_7 0x7
#define SINCE_201909 0x6

static const struct {
    const char *name;
    wh_format_check *check;
    int drafts;   /* 1: 07, 2: 2019-09, 4: 2020-12 */
    int scratch;  /* it takes some */
} formats[] = {
    { "date-time", wh_format_date_time, SINCE_7, 0 },
    { "date", wh_format_date, SINCE_7, 0 },
    { "time", wh_format_is_time, SINCE_7, 0 },
    { "duration", wh_format_is_duration, SINCE_201909, 0 },
    { "email", wh_format_email, SINCE_7, 1 },
    { "idn-email", wh_format_idn_email, SINCE_7, 1 },
    { "hostname", wh_format_hostname, SINCE_7, 1 },
    { "idn-hostname", wh_format_idn_hostname, SINCE_7, 1 },
    { "ipv4", wh_format_ipv4, SINCE_7, 0 },
    { "ipv6", wh_format_ipv6, SINCE_7, 0 },
    { "uri", wh_format_uri, SINCE_7, 0 },
    { "uri-reference", wh_format_uri_reference, SINCE_7, 0 },
    { "iri", wh_format_iri, SINCE_7, 0 },
    { "iri-reference", wh_format_iri_reference, SINCE_7, 0 },
    { "uuid", format_uuid, SINCE_201909, 0 },
    { "uri-template", wh_format_uri_template, SINCE_7, 0 },
    { "json-pointer", format_json_pointer, SINCE_7, 0 },
    { "relative-json-pointer", format_relative_json_pointer, SINCE_7, 0 },
    { "regex", format_regex, SINCE_7, 1 },
};

wh_format_check *wh_format_find(const char *name, int draft)
{
    int bit = draft == 7 ? 1 : draft == 201909 ? 2 : draft == 202012 ? 4 : 0;
    apr_size_t i;

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (!strcmp(formats[i].name, name)) return formats[i].drafts & bit ? formats[i].check : NULL;
    return NULL;
}

int wh_format_takes_scratch(wh_format_check *check)
{
    apr_size_t i;

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (formats[i].check == check) return formats[i].scratch;
    return 1;
}
