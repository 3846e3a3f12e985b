/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_name.c: expands the file handler's name patterns, and names, finds and removes rotated files.
 */
#include "dispatch/file_name.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/durable.h"

#define CONVERSIONS "YmdjHMSFUVWGuws"
#define STAMP_LEN 16 /* YYYYMMDDTHHMMSSZ */
#define ROTATED_MAX 9999

static int is_plain(char c)
{
    return apr_isalnum(c) || c == '.' || c == '_' || c == '-';
}

const char *wh_file_pattern_check(const char *pattern, int per_delivery, apr_pool_t *p)
{
    char probe[WH_FILE_NAME_MAX + 1];
    webhook_delivery d = {.id = "00000000-0000-7000-8000-000000000000"};
    int has_id = 0;

    if (!*pattern)
        return "the file name is empty";
    if (*pattern == '.')
        return apr_psprintf(p, "the file name \"%s\" begins with a dot", pattern);
    for (const char *s = pattern; *s; s++) {
        if (*s != '%') {
            if (!is_plain(*s))
                return apr_psprintf(p, "the file name \"%s\" holds a character that is none of A-Z a-z 0-9 . _ -", pattern);
            continue;
        }
        s++;
        if (*s && strchr(CONVERSIONS, *s))
            continue;
        if (*s == '{' && per_delivery && (!strncmp(s, "{id}", 4) || !strncmp(s, "{ext}", 5))) {
            has_id |= s[1] == 'i';
            s = strchr(s, '}');
            continue;
        }
        return apr_psprintf(p, "the file name \"%s\" holds a conversion that is not allowed (allowed: %%Y %%m %%d %%j %%H %%M %%S %%F %%U "
                            "%%V %%W %%G %%u %%w %%s%s)", pattern, per_delivery ? " %{id} %{ext}" : "; with format=raw also %{id} %{ext}");
    }
    if (per_delivery && !has_id)
        return apr_psprintf(p, "the file name \"%s\" has no %%{id}, which keeps the deliveries apart", pattern);
    if (wh_file_name_expand(probe, pattern, apr_time_from_sec(1700000000), &d) != APR_SUCCESS)
        return apr_psprintf(p, "the file name \"%s\" is longer than %d bytes", pattern, WH_FILE_NAME_MAX);
    return NULL;
}

int wh_file_pattern_varies(const char *pattern)
{
    return strchr(pattern, '%') != NULL;
}

const char *wh_file_extension(const char *content_type)
{
    apr_size_t len = content_type ? strcspn(content_type, "; \t") : 0;

    if ((len == 16 && !strncasecmp(content_type, "application/json", len))
        || (len > 5 && !strncasecmp(content_type + len - 5, "+json", 5)))
        return "json";
    if ((len > 5 && !strncasecmp(content_type, "text/", 5))
        || (len == 33 && !strncasecmp(content_type, "application/x-www-form-urlencoded", len)))
        return "txt";
    return "bin";
}

static apr_status_t add(char *out, apr_size_t *at, const char *text, apr_size_t len)
{
    if (len > WH_FILE_NAME_MAX - *at)
        return APR_ENAMETOOLONG;
    memcpy(out + *at, text, len);
    *at += len;
    return APR_SUCCESS;
}

/* @return its length, 0 for a conversion that is not allowed */
static apr_size_t format_time(char *out, apr_size_t room, char conversion, const struct tm *tm)
{
    switch (conversion) { /* literals, so that the compiler checks them */
#define CASE(c, form) case c: return strftime(out, room, form, tm)
        CASE('Y', "%Y");
        CASE('m', "%m");
        CASE('d', "%d");
        CASE('j', "%j");
        CASE('H', "%H");
        CASE('M', "%M");
        CASE('S', "%S");
        CASE('F', "%F");
        CASE('U', "%U");
        CASE('V', "%V");
        CASE('W', "%W");
        CASE('G', "%G");
        CASE('u', "%u");
        CASE('w', "%w");
#undef CASE
    default:
        return 0;
    }
}

apr_status_t wh_file_name_expand(char *out, const char *pattern, apr_time_t t, const webhook_delivery *d)
{
    time_t secs = (time_t)apr_time_sec(t);
    struct tm tm;
    apr_size_t at = 0;
    apr_status_t rv;

    /* a year beyond these would bring signs and a fifth digit into the name */
    if (t < 0 || !gmtime_r(&secs, &tm) || tm.tm_year > 9999 - 1900)
        return APR_EINVAL;
    for (const char *s = pattern; *s; s++) {
        char text[32];
        const char *from = text;
        apr_size_t len;

        if (*s != '%') {
            from = s;
            len = 1;
        }
        else if (*++s == '{') {
            if (!d)
                return APR_EINVAL;
            from = s[1] == 'i' ? d->id : wh_file_extension(d->content_type);
            len = strlen(from);
            s = strchr(s, '}');
        }
        else if (*s == 's') {
            len = (apr_size_t)snprintf(text, sizeof(text), "%lld", (long long)secs); /* strftime's would use the local zone */
        }
        else {
            len = format_time(text, sizeof(text), *s, &tm);
            if (!len)
                return APR_EINVAL;
        }
        rv = add(out, &at, from, len);
        if (rv != APR_SUCCESS)
            return rv;
    }
    out[at] = '\0';
    return wh_name_is_safe(out) ? APR_SUCCESS : APR_EINVAL;
}

/* ------------------------------------------------------------------------------------------------------- rotated files --- */

/* Never over an existing file, whoever made it: a rotated file is somebody's only copy. */
static int rename_new(const char *from, const char *to)
{
    struct stat st;

#ifdef RENAME_NOREPLACE
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
#endif
    /* file systems without it: the lock the caller holds keeps other dispatchers out */
    if (!lstat(to, &st))
        return EEXIST;
    return rename(from, to) ? errno : 0;
}

apr_status_t wh_file_rotate(const char *dir, const char *name, apr_time_t now, apr_pool_t *scratch)
{
    const char *from = apr_pstrcat(scratch, dir, "/", name, NULL);
    time_t secs = (time_t)apr_time_sec(now);
    char stamp[STAMP_LEN + 1];
    struct tm tm;
    int err = EEXIST;

    if (!gmtime_r(&secs, &tm) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm) != STAMP_LEN)
        return APR_EINVAL;
    for (int n = 0; n <= ROTATED_MAX && err == EEXIST; n++)
        err = rename_new(from, n ? apr_psprintf(scratch, "%s.%s-%d", from, stamp, n) : apr_psprintf(scratch, "%s.%s", from, stamp));
    return err ? err : wh_sync_dir(dir);
}

typedef struct rotated {
    const char *name;
    const char *stamp; /* inside name */
    int n;
} rotated;

/* "name.YYYYMMDDTHHMMSSZ[-n]" and nothing else: what is removed must be ours */
static int parse_rotated(rotated *r, const char *entry, const char *name)
{
    static const char form[] = "ddddddddTddddddZ";
    apr_size_t len = strlen(name);
    const char *s;

    if (strncmp(entry, name, len) || entry[len] != '.')
        return 0;
    s = entry + len + 1;
    for (int i = 0; i < STAMP_LEN; i++) {
        if (form[i] == 'd' ? !apr_isdigit(s[i]) : s[i] != form[i])
            return 0;
    }
    r->name = entry;
    r->stamp = s;
    r->n = 0;
    s += STAMP_LEN;
    if (!*s)
        return 1;
    if (*s++ != '-' || !apr_isdigit(*s) || *s == '0')
        return 0;
    for (; apr_isdigit(*s) && r->n <= ROTATED_MAX; s++)
        r->n = r->n * 10 + (*s - '0');
    return !*s;
}

/* newest first */
static int compare_rotated(const void *va, const void *vb)
{
    const rotated *a = va, *b = vb;
    int c = strncmp(b->stamp, a->stamp, STAMP_LEN);

    return c ? c : b->n - a->n;
}

apr_status_t wh_file_prune(const char *dir, const char *name, int keep, apr_pool_t *scratch)
{
    apr_array_header_t *found = apr_array_make(scratch, 16, sizeof(rotated));
    apr_status_t rv = APR_SUCCESS;
    struct dirent *e;
    DIR *d = opendir(dir); /* glibc and musl open it close-on-exec */

    if (!d)
        return errno;
    while ((e = readdir(d))) {
        rotated r;

        if (parse_rotated(&r, e->d_name, name)) {
            const char *copy = apr_pstrdup(scratch, r.name);

            r.stamp = copy + (r.stamp - r.name);
            r.name = copy;
            APR_ARRAY_PUSH(found, rotated) = r;
        }
    }
    closedir(d);
    if (found->nelts <= keep)
        return APR_SUCCESS;
    qsort(found->elts, (size_t)found->nelts, sizeof(rotated), compare_rotated);
    for (int i = keep; i < found->nelts; i++) {
        const char *path = apr_pstrcat(scratch, dir, "/", APR_ARRAY_IDX(found, i, rotated).name, NULL);

        if (unlink(path) && errno != ENOENT && rv == APR_SUCCESS)
            rv = errno;
    }
    return rv;
}
