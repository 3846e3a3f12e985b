/* SPDX-License-Identifier: Apache-2.0 */
/* key_files.c: see key_files.h. */
#include "verify/key_files.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/durable.h"
#include "core/encoding.h"
#include "core/units.h"

#define MAGIC "webhook-key 1\n"
#define FAILURES_MAX 256
#define CERTIFICATES_MAX 64
#define URL_MAX 2048
#define HOUR apr_time_from_sec(3600)

static const char *const kinds[WH_KIND_COUNT] = { "certificate", "keys", "confirm" };
static const char *const states[] = { ".key", ".want", ".fail" };

const char *wh_key_kind_name(wh_key_kind kind)
{
    return kinds[kind];
}

static const char *file_name(wh_key_kind kind, const char *url, wh_key_state state, apr_pool_t *p)
{
    char hex[65];

    wh_sha256_hex(hex, url, strlen(url));
    return apr_pstrcat(p, kinds[kind], "-", hex, states[state], NULL);
}

const char *wh_key_path(const char *dir, wh_key_kind kind, const char *url, wh_key_state state, apr_pool_t *p)
{
    return apr_pstrcat(p, dir, "/", file_name(kind, url, state, p), NULL);
}

/* ---- one file ---- */

static const char *one_line(const char *text, apr_pool_t *p)
{
    char *copy = apr_pstrdup(p, text ? text : ""), *s;

    for (s = copy; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = '?';
    }
    return copy;
}

apr_status_t wh_key_save(const char *dir, wh_key_state state, const wh_key_entry *e, apr_pool_t *scratch)
{
    const char *head;
    webhook_slice all;
    apr_size_t hlen;
    char *data;

    head = apr_psprintf(scratch, MAGIC "kind %s\nurl %s\nabout %s\nmade %" APR_TIME_T_FMT "\nrefresh %" APR_TIME_T_FMT "\nuntil %"
                        APR_TIME_T_FMT "\ncount %d\nfinal %d\nreason %s\ndetail %s\n\n", kinds[e->kind], one_line(e->url, scratch),
                        one_line(e->about, scratch), e->made, e->refresh, e->until, e->count, e->final, one_line(e->reason, scratch),
                        one_line(e->detail, scratch));
    hlen = strlen(head);
    data = apr_palloc(scratch, hlen + e->bytes.len);
    memcpy(data, head, hlen);
    if (e->bytes.len) memcpy(data + hlen, e->bytes.data, e->bytes.len);
    all.data = data;
    all.len = hlen + e->bytes.len;
    return wh_durable_create(dir, file_name(e->kind, e->url, state, scratch), all, 0600, 1, scratch);
}

static int number(const char *text, apr_int64_t *out)
{
    return wh_parse_int(text, strlen(text), 0, APR_INT64_MAX, out) == APR_SUCCESS;
}

static int parse(wh_key_entry *e, webhook_slice text, apr_pool_t *p)
{
    const char *s = text.data, *end = text.data + text.len, *newline;
    apr_int64_t n;
    int i, known = 0;

    if (text.len < sizeof(MAGIC) - 1 || memcmp(s, MAGIC, sizeof(MAGIC) - 1) != 0) return 0;
    s += sizeof(MAGIC) - 1;
    while ((newline = memchr(s, '\n', (apr_size_t)(end - s))) != NULL && newline != s) {
        char *line = apr_pstrmemdup(p, s, (apr_size_t)(newline - s)), *value = strchr(line, ' ');
        s = newline + 1;
        if (!value) return 0;
        *value++ = '\0';
        if (strcmp(line, "kind") == 0) {
            for (i = 0; i < WH_KIND_COUNT; i++) {
                if (strcmp(kinds[i], value) == 0) {
                    e->kind = (wh_key_kind)i;
                    known |= 1;
                }
            }
        } else if (strcmp(line, "url") == 0) {
            e->url = value;
            known |= 2;
        } else if (strcmp(line, "about") == 0) {
            e->about = *value ? value : NULL;
        } else if (strcmp(line, "reason") == 0) {
            e->reason = *value ? value : NULL;
        } else if (strcmp(line, "detail") == 0) {
            e->detail = *value ? value : NULL;
            known |= 4; /* the last one: the head is whole */
        } else if (!number(value, &n)) return 0;
        else if (strcmp(line, "made") == 0) e->made = n;
        else if (strcmp(line, "refresh") == 0) e->refresh = n;
        else if (strcmp(line, "until") == 0) e->until = n;
        else if (strcmp(line, "count") == 0) e->count = n > 1000000 ? 1000000 : (int)n;
        else if (strcmp(line, "final") == 0) e->final = n != 0;
    }
    /* Without bytes, the empty line's newline may have been taken for the text's last. */
    if (newline) s = newline + 1;
    e->bytes.data = s;
    e->bytes.len = (apr_size_t)(end - s);
    return known == 7;
}

static int load_path(wh_key_entry *out, const char *path, apr_pool_t *p)
{
    webhook_slice text;

    memset(out, 0, sizeof(*out));
    return wh_secret_read(&text, path, NULL, &out->stamp, p) == NULL && parse(out, text, p);
}

apr_status_t wh_key_load(wh_key_entry *out, const char *dir, wh_key_kind kind, const char *url, wh_key_state state, apr_pool_t *p)
{
    if (!load_path(out, wh_key_path(dir, kind, url, state, p), p) || out->kind != kind || strcmp(out->url, url) != 0) return APR_ENOENT;
    return APR_SUCCESS;
}

void wh_key_drop(const char *dir, wh_key_kind kind, const char *url, wh_key_state state, apr_pool_t *scratch)
{
    unlink(wh_key_path(dir, kind, url, state, scratch));
}

/* ---- the directory ---- */

static int ends_with(const char *name, const char *suffix)
{
    apr_size_t n = strlen(name), m = strlen(suffix);

    return n > m && strcmp(name + n - m, suffix) == 0;
}

/* Of the state, and of no kind but this when it is not -1 */
static int count_files(const char *dir, wh_key_state state)
{
    DIR *d = opendir(dir);
    struct dirent *ent;
    int n = 0;

    while (d && (ent = readdir(d)) != NULL) n += ent->d_name[0] != '.' && ends_with(ent->d_name, states[state]);
    if (d) closedir(d);
    return n;
}

apr_status_t wh_key_want(const char *dir, wh_key_kind kind, const char *url, const char *about, apr_time_t now, int *fresh,
                         apr_pool_t *scratch)
{
    wh_key_entry e = { .kind = kind, .url = url, .about = about, .made = now };

    *fresh = 0;
    if (access(wh_key_path(dir, kind, url, WH_KEY_WANTED, scratch), F_OK) == 0) return APR_SUCCESS;
    if (kind != WH_KIND_KEYS && count_files(dir, WH_KEY_WANTED) >= WH_KEY_WANTS_MAX) return APR_ENOSPC;
    *fresh = 1;
    return wh_key_save(dir, WH_KEY_WANTED, &e, scratch);
}

apr_status_t wh_key_list(const char *dir, wh_key_state state, int max, apr_array_header_t *out, apr_pool_t *p)
{
    DIR *d = opendir(dir);
    struct dirent *ent;

    if (!d) return errno;
    while (out->nelts < max && (ent = readdir(d)) != NULL) {
        wh_key_entry *e;
        if (ent->d_name[0] == '.' || !ends_with(ent->d_name, states[state])) continue;
        e = apr_palloc(p, sizeof(*e));
        /* The name is the URL's hash, or somebody put it there by hand. */
        if (load_path(e, apr_pstrcat(p, dir, "/", ent->d_name, NULL), p) && strcmp(file_name(e->kind, e->url, state, p), ent->d_name) == 0) {
            APR_ARRAY_PUSH(out, wh_key_entry *) = e;
        }
    }
    closedir(d);
    return APR_SUCCESS;
}

/* Remove the oldest above `max` of one state and kind (-1: any) */
static void bound(const char *dir, const apr_array_header_t *list, wh_key_state state, int kind, int max, apr_pool_t *scratch)
{
    int i, left = 0;

    for (i = 0; i < list->nelts; i++) {
        const wh_key_entry *e = APR_ARRAY_IDX(list, i, wh_key_entry *);
        left += e != NULL && (kind < 0 || (int)e->kind == kind);
    }
    for (; left > max; left--) {
        int oldest = -1;
        for (i = 0; i < list->nelts; i++) {
            const wh_key_entry *e = APR_ARRAY_IDX(list, i, wh_key_entry *);
            if (e && (kind < 0 || (int)e->kind == kind) && (oldest < 0 || e->made < APR_ARRAY_IDX(list, oldest, wh_key_entry *)->made)) oldest = i;
        }
        if (oldest < 0) break;
        wh_key_drop(dir, APR_ARRAY_IDX(list, oldest, wh_key_entry *)->kind, APR_ARRAY_IDX(list, oldest, wh_key_entry *)->url, state, scratch);
        APR_ARRAY_IDX(list, oldest, wh_key_entry *) = NULL;
    }
}

static void sweep_state(const char *dir, wh_key_state state, apr_time_t now, apr_pool_t *scratch)
{
    apr_array_header_t *list = apr_array_make(scratch, 32, sizeof(wh_key_entry *));
    int i;

    wh_key_list(dir, state, 4096, list, scratch);
    for (i = 0; i < list->nelts; i++) {
        const wh_key_entry *e = APR_ARRAY_IDX(list, i, wh_key_entry *);
        if (e->until && now > e->until + 24 * HOUR) {
            wh_key_drop(dir, e->kind, e->url, state, scratch);
            APR_ARRAY_IDX(list, i, wh_key_entry *) = NULL;
        }
    }
    bound(dir, list, state, state == WH_KEY_THERE ? (int)WH_KIND_CERTIFICATE : -1, state == WH_KEY_THERE ? CERTIFICATES_MAX : FAILURES_MAX,
          scratch);
}

void wh_key_sweep(const char *dir, apr_time_t now, apr_pool_t *scratch)
{
    DIR *d = opendir(dir);
    struct dirent *ent;
    struct stat st;

    while (d && (ent = readdir(d)) != NULL) {
        if (strncmp(ent->d_name, WH_DURABLE_TEMP, strlen(WH_DURABLE_TEMP)) == 0 && fstatat(dirfd(d), ent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0
            && apr_time_from_sec(st.st_mtime) < now - HOUR) {
            unlinkat(dirfd(d), ent->d_name, 0);
        }
    }
    if (d) closedir(d);
    sweep_state(dir, WH_KEY_THERE, now, scratch);
    sweep_state(dir, WH_KEY_FAILED, now, scratch);
}

/* ---- which URLs ---- */

static int name_matches(const char *h, const char *end, const char *w)
{
    while (*w && h < end) {
        if (*w == '*') {
            const char *start = h;
            while (h < end && ((*h >= 'a' && *h <= 'z') || apr_isdigit(*h) || *h == '-')) h++;
            if (h - start < 3 || h - start > 63) return 0;
            w++;
        } else if (*w == *h) {
            w++;
            h++;
        } else {
            return 0;
        }
    }
    return !*w && h == end;
}

int wh_key_name_allowed(const char *name, apr_size_t len, const char *const *patterns)
{
    for (; patterns && *patterns; patterns++) {
        if (name_matches(name, name + len, *patterns)) return 1;
    }
    return 0;
}

int wh_key_url_allowed(const char *url, const char *const *hosts, const char *path)
{
    const char *host, *end;
    apr_size_t len, lead;

    if (strncmp(url, "https://", 8) != 0 || strlen(url) > URL_MAX) return 0;
    host = url + 8;
    end = host + strcspn(host, "/?#@:\\% \t");
    if (*end != '/' || !wh_key_name_allowed(host, (apr_size_t)(end - host), hosts)) return 0;
    len = strlen(end);
    if (!path) {
        return len >= 6 && strspn(end, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-") == len
               && strcmp(end + len - 4, ".pem") == 0 && !strstr(end, "/.");
    }
    lead = strlen(path);
    return len > lead && strncmp(end, path, lead) == 0
           && strspn(end + lead, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789=&:._%+~-") == len - lead;
}

const char *wh_key_url_masked(const char *url, apr_pool_t *p)
{
    const char *host = strstr(url, "://"), *end, *at;
    apr_size_t lead;

    host = host ? host + 3 : url;
    lead = (apr_size_t)(host - url);
    end = host + strcspn(host, "/?#");
    while ((at = memchr(host, '@', (apr_size_t)(end - host))) != NULL) host = at + 1; /* a user and password, too */
    return apr_pstrcat(p, apr_pstrmemdup(p, url, lead), apr_pstrmemdup(p, host, (apr_size_t)(end - host)), "/...", NULL);
}
