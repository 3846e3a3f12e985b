/* SPDX-License-Identifier: Apache-2.0 */
/* arguments.c: --name value options of the tool's commands; see arguments.h. */
#include "ctl/arguments.h"

#include <string.h>

int wh_ctl_arguments(wh_ctl *ctl, const wh_argument *table, int argc, const char *const *argv, apr_array_header_t **words)
{
    const wh_argument *a;
    int i, only_words = 0;
    const char *given;
    apr_size_t len;

    *words = apr_array_make(ctl->pool, 4, sizeof(char *));
    for (a = table; a->name; a++) {
        if (a->list) {
            *a->list = apr_array_make(ctl->pool, 4, sizeof(char *));
        }
    }
    for (i = 1; i < argc; i++) {
        if (only_words || argv[i][0] != '-' || strcmp(argv[i], "-") == 0) {
            APR_ARRAY_PUSH(*words, const char *) = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--") == 0) {
            only_words = 1;
            continue;
        }
        given = strchr(argv[i], '='); /* --name=value */
        len = given ? (apr_size_t)(given - argv[i]) : strlen(argv[i]);
        for (a = table; a->name && (strncmp(a->name, argv[i], len) != 0 || a->name[len] || (given && a->flag)); a++) {
            continue;
        }
        if (!a->name) {
            return wh_ctl_error(ctl, "%s: unknown option %s (webhookctl help)", argv[0], argv[i]);
        }
        if (a->flag) {
            *a->flag = 1;
            continue;
        }
        if (given) {
            given++;
        }
        else if (++i == argc) {
            return wh_ctl_error(ctl, "%s: %s needs a value", argv[0], argv[i - 1]);
        }
        else {
            given = argv[i];
        }
        if (a->list) {
            APR_ARRAY_PUSH(*a->list, const char *) = given;
        }
        else {
            *a->value = given;
        }
    }
    return 0;
}
