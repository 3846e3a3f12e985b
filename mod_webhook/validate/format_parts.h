/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_parts.h: between the files of the formats; everybody else goes through wh_format_find.
 */
#ifndef WH_VALIDATE_FORMAT_PARTS_H
#define WH_VALIDATE_FORMAT_PARTS_H

#include "core/encoding.h"
#include "validate/format.h"

/* format_time.c */
wh_format_check wh_format_date, wh_format_is_time, wh_format_date_time, wh_format_is_duration;
/* format_host.c */
wh_format_check wh_format_ipv4, wh_format_ipv6, wh_format_hostname, wh_format_idn_hostname, wh_format_email, wh_format_idn_email;
/* format_uri.c */
wh_format_check wh_format_uri, wh_format_uri_reference, wh_format_iri, wh_format_iri_reference, wh_format_uri_template;

static inline int wh_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline int wh_is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static inline int wh_is_hex(char c) { return wh_hex_digit(c) >= 0; }

#endif
