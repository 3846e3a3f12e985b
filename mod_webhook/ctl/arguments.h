/* SPDX-License-Identifier: Apache-2.0 */
/* arguments.h: options of the tool's commands (--name value, --name=value, --name), by table. */
#ifndef WH_CTL_ARGUMENTS_H
#define WH_CTL_ARGUMENTS_H

#include <apr_tables.h>
#include "ctl/settings.h"

typedef struct wh_argument {
    const char *name;          /* "--limit"; NULL ends the table */
    const char **value;        /* a single value */
    apr_array_header_t **list; /* or several, const char * */
    int *flag;                 /* or none */
} wh_argument;

/** Words that are no options are appended to *words. @return 0, or WH_CTL_USAGE after an error was printed */
int wh_ctl_arguments(wh_ctl *ctl, const wh_argument *table, int argc, const char *const *argv, apr_array_header_t **words);

#endif
