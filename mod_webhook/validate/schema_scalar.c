/* SPDX-License-Identifier: Apache-2.0 */
/* schema_scalar.c: what schemas ask of strings and numbers; see schema_run.h. */
#include "core/encoding.h"
#include "validate/schema_run.h"

/* ---- patterns, formats ---- */

int wh_run_matches(wh_run *c, const wh_pattern *pattern, const char *text, apr_size_t len, const wh_node *n, const char *keyword,
                   const wh_json_value *at)
{
    int rc;

    if (!c->spent->ready[c->noting]) {
        wh_pattern_budget_init(&c->spent->patterns[c->noting], WH_PATTERN_STEPS_FOR(c->doc->text.len), c->p);
        c->spent->ready[c->noting] = 1;
    }
    rc = wh_pattern_match(pattern, text, len, &c->spent->patterns[c->noting]);
    return rc < 0 ? wh_run_refuse(c, "regex-limit", n, keyword, at) : rc;
}

apr_pool_t *wh_run_scratch(wh_run *c)
{
    if (!c->scratch) apr_pool_create(&c->scratch, c->p);
    return c->scratch;
}

static apr_uint32_t code_points(const wh_json_value *v)
{
    apr_uint32_t i, n = 0;

    for (i = 0; i < v->size; i++) n += ((unsigned char)v->u.text[i] & 0xc0) != 0x80;
    return n;
}

/* Draft 07, validation 8: contentEncoding and contentMediaType. @return the keyword that does not hold, or NULL */
static const char *content_failure(wh_run *c, const wh_string_rules *s, const wh_json_value *v)
{
    webhook_slice text = {v->u.text, v->size};
    wh_json_error err;
    wh_json *inner;

    if (s->base64) {
        apr_size_t max = wh_decoded_max(WH_ENC_BASE64, v->size);
        unsigned char *room = apr_palloc(wh_run_scratch(c), max + 1);
        if (wh_decode(WH_ENC_BASE64, WH_DECODE_TRAILING, v->u.text, v->size, room, max, &text.len)) return "contentEncoding";
        text.data = (const char *)room;
    }
    if (!s->media_json || wh_json_parse(&inner, text, &wh_json_lenient, wh_run_scratch(c), &err) == APR_SUCCESS) return NULL;
    return "contentMediaType";
}

static int check_meaning(wh_run *c, const wh_node *n, const wh_json_value *v)
{
    const wh_string_rules *s = n->string;
    const char *failed;
    int ok = 1;

    if (!wh_run_spend(c, v->size / 4)) return wh_run_refuse(c, "schema-budget", n, "format", v);
    if (s->scratch) apr_pool_clear(wh_run_scratch(c));
    if (s->format && !s->format(v->u.text, v->size, s->scratch ? c->scratch : NULL)) FAIL("format", v);
    failed = s->base64 || s->media_json ? content_failure(c, s, v) : NULL;
    if (failed) FAIL(failed, v);
    return ok;
}

int wh_run_string(wh_run *c, const wh_node *n, const wh_json_value *v)
{
    const wh_string_rules *s = n->string;
    int ok = 1;

    /* Bytes decide where they can: there are no more code points than bytes, and at least a quarter as many. */
    if (v->size < s->min || (s->min && v->size / 4 < s->min) || v->size > s->max) {
        apr_uint32_t length;
        if (!wh_run_spend(c, v->size / 64)) return wh_run_refuse(c, "schema-budget", n, "maxLength", v);
        length = code_points(v);
        if (length < s->min) FAIL("minLength", v);
        if (length > s->max) FAIL("maxLength", v);
    }
    if (s->pattern && !wh_run_matches(c, s->pattern, v->u.text, v->size, n, "pattern", v)) FAIL("pattern", v);
    if (s->format || s->base64 || s->media_json) MUST(check_meaning(c, n, v));
    return ok;
}

/* ---- numbers ---- */

int wh_run_number(wh_run *c, const wh_node *n, const wh_json_value *v)
{
    static const char *const keywords[BOUNDS] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};
    const wh_number_rules *rules = n->number;
    int ok = 1, i, order, holds;
    wh_decimal d;

    if (!wh_run_spend(c, v->size / 64)) return wh_run_refuse(c, "schema-budget", n, "type", v);
    if (!wh_decimal_parse(&d, v->u.text, v->size)) return wh_run_refuse(c, "number-limit", n, "type", v);
    for (i = 0; i < BOUNDS; i++) {
        if (!(rules->has & 1u << i)) continue;
        if (i == BOUND_MULTIPLE) {
            holds = wh_decimal_is_multiple(&d, &rules->bound[i]);
            if (holds < 0) return wh_run_refuse(c, "number-limit", n, "multipleOf", v);
        } else {
            order = wh_decimal_compare(&d, &rules->bound[i]);
            holds = i == BOUND_MINIMUM ? order >= 0 : i == BOUND_MAXIMUM ? order <= 0 : i == BOUND_ABOVE ? order > 0 : order < 0;
        }
        if (!holds) FAIL(keywords[i], v);
    }
    return ok;
}

int wh_run_whole(wh_run *c, const wh_node *n, const wh_json_value *v)
{
    wh_decimal d;

    c->steps += v->size / 64;
    if (!wh_decimal_parse(&d, v->u.text, v->size)) return wh_run_refuse(c, "number-limit", n, "type", v);
    return wh_decimal_is_whole(&d);
}
