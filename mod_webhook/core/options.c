/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c: reads name=value words into a structure by a table. Messages name the thing, the option, what was given and what is
 * allowed, in that order.
 */
#include "core/options.h"

#include <apr_strings.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "core/units.h"

const char *wh_options_split(apr_array_header_t **out, int argc, const char *const *argv, apr_pool_t *p)
{
    apr_array_header_t *options = apr_array_make(p, argc > 0 ? argc : 1, sizeof(webhook_option));

    *out = NULL;
    for (int i = 0; i < argc; i++) {
        const char *sep = strchr(argv[i], '=');
        webhook_option *o;

        if (!sep)
            return apr_psprintf(p, "\"%s\" is not an option (expected name=value)", argv[i]);
        if (sep == argv[i])
            return apr_psprintf(p, "\"%s\" is an option without a name (expected name=value)", argv[i]);
        o = apr_array_push(options);
        o->name = apr_pstrmemdup(p, argv[i], (apr_size_t)(sep - argv[i]));
        o->value = apr_pstrdup(p, sep + 1);
    }
    *out = options;
    return NULL;
}

/* "a, b, c": the words of an enum, or the names of a table */
static const char *word_list(const char *words, apr_pool_t *p)
{
    const char *text = "";
    apr_size_t len;

    for (; *words; words += len + (words[len] == '|')) {
        len = strcspn(words, "|");
        text = apr_pstrcat(p, text, *text ? ", " : "", apr_pstrmemdup(p, words, len), NULL);
    }
    return text;
}

static const char *spec_list(const wh_option_spec *specs, apr_pool_t *p)
{
    const char *text = "";

    for (const wh_option_spec *s = specs; s->name; s++)
        text = apr_pstrcat(p, text, *text ? ", " : "", s->name, NULL);
    return *text ? text : "none";
}

static const char *show_number(const wh_option_spec *spec, apr_int64_t n, apr_pool_t *p)
{
    switch (spec->type) {
    case WH_OPT_SIZE:
        return wh_format_size(n, p);
    case WH_OPT_DURATION:
        return wh_format_duration(n, p);
    default:
        return apr_psprintf(p, "%" APR_INT64_T_FMT, n);
    }
}

/* One of the three kinds of numbers. @return NULL or what is allowed */
static const char *parse_number(const wh_option_spec *spec, const char *text, apr_int64_t *n, apr_pool_t *p)
{
    apr_int64_t max = spec->max;
    const char *kind;
    apr_status_t rv;

    if (!max && spec->min >= 0)
        max = spec->type == WH_OPT_INT ? INT_MAX : INT64_MAX;
    switch (spec->type) {
    case WH_OPT_SIZE:
        kind = "a size such as 64K, 25M or 1G";
        rv = wh_parse_size(text, n);
        break;
    case WH_OPT_DURATION:
        kind = "a duration such as 500ms, 10s or 1h30min";
        rv = wh_parse_duration(text, n);
        break;
    default:
        kind = "a whole number";
        rv = wh_parse_int(text, strlen(text), spec->min < 0 ? INT_MIN : 0, INT_MAX, n);
        break;
    }
    if (rv == APR_SUCCESS && *n >= spec->min && *n <= max)
        return NULL;
    if (!spec->min && !spec->max)
        return apr_psprintf(p, "expected %s", kind);
    if (!spec->max && spec->min > 0)
        return apr_psprintf(p, "expected %s, at least %s", kind, show_number(spec, spec->min, p));
    return apr_psprintf(p, "expected %s, from %s to %s", kind, show_number(spec, spec->min, p), show_number(spec, max, p));
}

/* index of a word among '|'-separated ones, -1 if it is none of them */
static int find_word(const char *words, const char *text)
{
    apr_size_t len = strlen(text), n;

    for (int i = 0; *words; i++, words += n + (words[n] == '|')) {
        n = strcspn(words, "|");
        if (n == len && len && !strncasecmp(words, text, n))
            return i;
    }
    return -1;
}

static const char *add_list(apr_array_header_t **list, const char *text, apr_pool_t *p)
{
    apr_size_t len;

    if (!*list)
        *list = apr_array_make(p, 4, sizeof(const char *));
    for (;; text += len + 1) {
        len = strcspn(text, ",");
        if (!len)
            return "expected words separated by commas, none of them empty";
        APR_ARRAY_PUSH(*list, const char *) = apr_pstrmemdup(p, text, len);
        if (!text[len])
            return NULL;
    }
}

/* Set one member. @return NULL or what is allowed */
static const char *set_option(void *target, const wh_option_spec *spec, const char *text, apr_pool_t *p)
{
    void *member = (char *)target + spec->offset;
    apr_int64_t n = 0;
    const char *err;
    int word;

    switch (spec->type) {
    case WH_OPT_STRING:
        if (!*text)
            return "expected a value";
        *(const char **)member = text;
        return NULL;
    case WH_OPT_SIZE:
        if (!(err = parse_number(spec, text, &n, p)))
            *(apr_int64_t *)member = n;
        return err;
    case WH_OPT_DURATION:
        if (!(err = parse_number(spec, text, &n, p)))
            *(apr_interval_time_t *)member = n;
        return err;
    case WH_OPT_INT:
        if (!(err = parse_number(spec, text, &n, p)))
            *(int *)member = (int)n;
        return err;
    case WH_OPT_BOOL:
        word = find_word("off|on", text);
        if (word < 0)
            return "allowed: on, off";
        *(int *)member = word;
        return NULL;
    case WH_OPT_ENUM:
        word = find_word(spec->words, text);
        if (word < 0)
            return apr_psprintf(p, "allowed: %s", word_list(spec->words, p));
        *(int *)member = word;
        return NULL;
    case WH_OPT_LIST:
        return add_list((apr_array_header_t **)member, text, p);
    }
    return "the option's type is not known";
}

/* rest NULL: an option that is not in the table is an error */
static const char *read_options(void *target, const wh_option_spec *specs, const apr_array_header_t *options,
                                apr_array_header_t *rest, const char *what, apr_pool_t *p)
{
    int count = 0;
    char *seen;

    while (specs[count].name)
        count++;
    seen = apr_pcalloc(p, (apr_size_t)count + 1);
    for (int i = 0; options && i < options->nelts; i++) {
        const webhook_option *o = &APR_ARRAY_IDX(options, i, webhook_option);
        const char *err;
        int n = 0;

        while (n < count && strcmp(specs[n].name, o->name))
            n++;
        if (n == count) {
            if (!rest)
                return apr_psprintf(p, "%s: option \"%s\" is unknown (allowed: %s)", what, o->name, spec_list(specs, p));
            APR_ARRAY_PUSH(rest, webhook_option) = *o;
            continue;
        }
        /* the first of a list replaces the default that the target came with, the others are added */
        if (specs[n].type == WH_OPT_LIST && !seen[n])
            *(apr_array_header_t **)(void *)((char *)target + specs[n].offset) = NULL;
        else if (specs[n].type != WH_OPT_LIST && seen[n])
            return apr_psprintf(p, "%s: option \"%s\" is given twice", what, o->name);
        seen[n] = 1;
        err = set_option(target, &specs[n], o->value, p);
        if (err)
            return apr_psprintf(p, "%s: option \"%s\" cannot be \"%s\" (%s)", what, o->name, o->value, err);
    }
    return NULL;
}

const char *wh_options_apply(void *target, const wh_option_spec *specs, const apr_array_header_t *options, const char *what,
                             apr_pool_t *p)
{
    return read_options(target, specs, options, NULL, what, p);
}

const char *wh_options_take(void *target, const wh_option_spec *specs, const apr_array_header_t *options, apr_array_header_t **rest,
                            const char *what, apr_pool_t *p)
{
    *rest = apr_array_make(p, options && options->nelts ? options->nelts : 1, sizeof(webhook_option));
    return read_options(target, specs, options, *rest, what, p);
}
