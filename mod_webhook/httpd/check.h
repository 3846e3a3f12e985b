/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h: what the files that look at the whole configuration share (check.c, enclosure.c, judge.c). All of it runs in check_config.
 */
#ifndef WH_HTTPD_CHECK_H
#define WH_HTTPD_CHECK_H

#include "httpd/config.h"

/** One run of check_config. */
typedef struct wh_check {
    wh_global *g;
    apr_pool_t *pconf, *ptemp;
    int errors;
    int dumping; /* only looked at: secrets are not read */
    int testing; /* -t */
    int real;    /* the configuration that will be served; not the first of httpd's two passes */
} wh_check;

/** A mistake: said at once, with the place. @param tag the message's own, "WHnnnn: " */
void wh_check_mistake(wh_check *k, server_rec *s, const char *file, int line, const char *tag, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/** A warning or notice: said by -t, and at a real start once the error log is open. @param level APLOG_... */
void wh_check_note(wh_check *k, int level, server_rec *s, const char *file, int line, const char *tag, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));

/* ---- enclosure.c ---- */

/** <WebhookEndpoint>: no place of its own. */
int wh_section_is_endpoint(const wh_section *section);

/** A section that is a place in a tree of paths: what encloses it can be told. Patterns and conditions cannot. */
int wh_section_is_place(const wh_section *section);

/** Whether httpd may merge `inner` over `outer` for some request; no use where a mistake must not go unseen. */
int wh_section_may_enclose(const wh_section *outer, const wh_section *inner);

/** Sets section->effective: the section over those that surely enclose it, in httpd's order. */
void wh_section_make_effective(wh_check *k, wh_section *section);

/* ---- judge.c ---- */

/** Says what is wrong with a section. @param stores set to 1 when it is an endpoint that keeps deliveries, else left as it is */
void wh_check_judge(wh_check *k, const wh_section *section, int *stores);

#endif
