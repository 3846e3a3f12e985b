/* SPDX-License-Identifier: Apache-2.0 */
/* vectors.c: the tool's end of recorded requests; see verify/vectors.h. */
#include "ctl/vectors.h"

#include <stdio.h>
#include "verify/vectors.h"

int wh_ctl_vectors(const char *file, apr_pool_t *p)
{
    const char *error = NULL;
    apr_file_t *out;
    int rc;

    if (apr_file_open_stdout(&out, p) != APR_SUCCESS) return 2;
    rc = wh_vectors_run(file, out, &error, p);
    if (error) fprintf(stderr, "webhookctl: %s\n", error);
    return rc;
}
