/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c: the file handler. format=json appends one envelope line per delivery to a file, format=cloudevents one structured CloudEvent;
 * format=raw makes one file per delivery with the received bytes. An attempt is done only when its bytes are on disk.
 *
 * Lines are collected by start() and written by flush(), all with one write and one sync (file_append.c).
 *
 * Names: %Y... of a json file is the time of writing; of a raw file the time of receipt, so that every attempt of a delivery means the
 * same file, which is done when it already holds these bytes.
 */
#include "dispatch/handlers.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/durable.h"
#include "core/envelope.h"
#include "core/json.h"
#include "core/log.h"
#include "core/options.h"
#include "core/reasons.h"
#include "core/units.h"
#include "dispatch/file_append.h"
#include "dispatch/file_name.h"
#include "dispatch/format.h"

#define BATCH_BYTES (8 << 20)          /* collected lines are written when they pass this, whoever is still to be started */
#define WAITING_BYTES (4 * BATCH_BYTES) /* no more are collected while another process holds the lock */
#define LOCK_RETRY apr_time_from_msec(10)
#define RAW_SLICE apr_time_from_msec(50) /* the loop's other handlers wait no longer than this for raw files */
#define DEFAULT_CONCURRENCY 256
#define RAW_PATTERN "%Y%m%dT%H%M%SZ-%{id}.%{ext}"

/* json is what envelope was called at first, and the default: files of lines. */
enum { FORMAT_JSON, FORMAT_RAW, FORMAT_ENVELOPE, FORMAT_CLOUDEVENTS };

struct webhook_handler_conf {
    const char *dir;     /* absolute, without a trailing slash except "/" itself */
    const char *pattern; /* checked file name pattern */
    const wh_slotted *slotted;  /* of a pattern with values of the delivery in it; NULL: pattern is all */
    apr_array_header_t *slots;  /* webhook_slot */
    int format;
    const char *mode_text;
    mode_t mode;
    apr_int64_t rotate; /* bytes a file may reach; 0: no rotation */
    int keep;           /* rotated files kept; 0: all */
};

/* An attempt that waits for its batch; lives in the attempt's pool. */
typedef struct item {
    struct item *next;
    webhook_attempt *attempt;
    webhook_slice line;
    apr_time_t deadline; /* monotonic */
} item;

struct webhook_handler {
    const webhook_handler_conf *conf;
    const char *name;
    webhook_loop *loop;
    const webhook_services *services;
    apr_pool_t *scratch; /* cleared per batch */
    item *first, **last;
    apr_size_t bytes;    /* of all waiting lines */
    int timer;           /* goes on with what could not be written yet; 0: none */
    int failing;         /* the last write failed: said once, and once when it is over */
    wh_append append;    /* format=json */
};

/* -------------------------------------------------------------------------------------------------------- configuration --- */

static const wh_option_spec file_options[] = {
    {"format", WH_OPT_ENUM, offsetof(webhook_handler_conf, format), 0, 0, "json|raw|envelope|cloudevents"},
    {"mode", WH_OPT_STRING, offsetof(webhook_handler_conf, mode_text), 0, 0, NULL},
    {"rotate", WH_OPT_SIZE, offsetof(webhook_handler_conf, rotate), 4096, 0, NULL},
    {"keep", WH_OPT_INT, offsetof(webhook_handler_conf, keep), 0, 9999, NULL},
    {NULL, WH_OPT_STRING, 0, 0, 0, NULL},
};

/* Not executable, not writable for everybody (who could forge deliveries), and the owner must read it to find a torn line. */
static int parse_mode(const char *text, mode_t *mode)
{
    apr_size_t len = strlen(text);
    mode_t m = 0;

    if (len < 3 || len > 4 || strspn(text, "01234567") != len)
        return 0;
    for (; *text; text++)
        m = m * 8 + (mode_t)(*text - '0');
    *mode = m;
    return (m & ~(mode_t)0664) == 0 && (m & 0600) == 0600;
}

/* The one before the file name: values of the delivery may have slashes in their text, and stand in the file name alone. */
static const char *last_slash(const char *target)
{
    const char *end = strstr(target, "%{");

    for (end = end ? end : target + strlen(target); end > target && *end != '/'; end--)
        ;
    return end;
}

/* Values of the delivery in the name of a file: the directory is fixed, and %{id} still keeps deliveries apart. */
static const char *parse_slots(webhook_handler_conf *conf, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    wh_slotted *s;
    const char *err;

    conf->slots = apr_array_make(pconf, 2, sizeof(webhook_slot));
    if ((err = wh_slotted_parse(&s, conf->pattern, WEBHOOK_PLACE_NAME, conf->slots, pconf)) != NULL)
        return err;
    if (!wh_slotted_any(s))
        return NULL;
    if (strchr(wh_slotted_with(s, "", ptemp), '/'))
        return "a directory cannot hold a value of the delivery (%{...}): only the file name can";
    if (conf->format != FORMAT_RAW)
        return "a file name with values of the delivery (%{...}) is for format=raw, a file per delivery";
    conf->slotted = s;
    return NULL;
}

static const char *split_target(webhook_handler_conf *conf, const char *target, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const char *slash = last_slash(target);
    const char *err;
    struct stat st;

    if (*target != '/')
        return apr_psprintf(ptemp, "handler file: \"%s\" is not an absolute path", target);
    for (const char *s = target; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return "handler file: the path holds a control character";
    }
    conf->pattern = apr_pstrdup(pconf, slash + 1);
    if (conf->format == FORMAT_RAW && (!slash[1] || (!stat(target, &st) && S_ISDIR(st.st_mode)))) {
        slash = target + strlen(target);
        conf->pattern = RAW_PATTERN;
    }
    while (slash > target && slash[-1] == '/')
        slash--;
    conf->dir = slash == target ? "/" : apr_pstrmemdup(pconf, target, (apr_size_t)(slash - target));

    if (!*conf->pattern)
        return apr_psprintf(ptemp, "handler file: \"%s\" is a directory (format=json needs a file name, format=raw takes a directory)", target);
    err = parse_slots(conf, pconf, ptemp);
    if (!err)
        err = wh_file_pattern_check(conf->slotted ? wh_slotted_with(conf->slotted, "_", ptemp) : conf->pattern, conf->format == FORMAT_RAW, ptemp);
    if (err)
        return apr_pstrcat(ptemp, "handler file: ", err, NULL);
    if (strchr(conf->dir, '%'))
        return apr_psprintf(ptemp, "handler file: the directory \"%s\" holds a '%%' (conversions are allowed in the file name only)", conf->dir);
    if (stat(conf->dir, &st)) {
        if (errno == ENOENT || errno == ENOTDIR)
            return apr_psprintf(ptemp, "handler file: the directory \"%s\" does not exist", conf->dir);
    }
    else if (!S_ISDIR(st.st_mode)) {
        return apr_psprintf(ptemp, "handler file: \"%s\" is not a directory", conf->dir);
    }
    if (!wh_file_pattern_varies(conf->pattern) && !lstat(target, &st) && !S_ISREG(st.st_mode)) {
        return apr_psprintf(ptemp, "handler file: \"%s\" is %s (expected a regular file, or none yet)", target,
                            S_ISDIR(st.st_mode) ? "a directory" : S_ISLNK(st.st_mode) ? "a symbolic link" : "not a regular file");
    }
    return NULL;
}

static const char *file_configure(webhook_handler_conf **out, const char *target, const apr_array_header_t *options, apr_pool_t *pconf,
                                  apr_pool_t *ptemp)
{
    webhook_handler_conf *conf = apr_pcalloc(pconf, sizeof(*conf));
    const char *err;

    *out = NULL;
    conf->mode_text = "0640";
    err = wh_options_apply(conf, file_options, options, "handler file", ptemp);
    if (err)
        return err;
    if (!parse_mode(conf->mode_text, &conf->mode)) {
        return apr_psprintf(ptemp, "handler file: option \"mode\" cannot be \"%s\" (expected an octal mode from 0600 to 0664, the owner reading "
                            "and writing, nobody executing, others not writing)", conf->mode_text);
    }
    if (conf->rotate && conf->format == FORMAT_RAW)
        return "handler file: option \"rotate\" goes with format=json only (format=raw makes a file per delivery)";
    if (conf->format == FORMAT_ENVELOPE)
        conf->format = FORMAT_JSON;
    if (conf->keep && !conf->rotate)
        return "handler file: option \"keep\" needs option \"rotate\"";
    err = split_target(conf, target, pconf, ptemp);
    if (err)
        return err;
    *out = conf;
    return NULL;
}

static const char *file_describe(const webhook_handler_conf *conf, apr_pool_t *p)
{
    const char *text = apr_psprintf(p, "path=%s/%s format=%s mode=%04o", strcmp(conf->dir, "/") ? conf->dir : "", conf->pattern,
                                    conf->format == FORMAT_RAW ? "raw" : conf->format == FORMAT_CLOUDEVENTS ? "cloudevents" : "json",
                                    (unsigned)conf->mode);

    if (conf->rotate)
        text = apr_pstrcat(p, text, " rotate=", wh_format_size(conf->rotate, p), NULL);
    return conf->keep ? apr_psprintf(p, "%s keep=%d", text, conf->keep) : text;
}

/* -------------------------------------------------------------------------------------------------------- open and ends --- */

static void warn(void *baton, const char *text)
{
    webhook_handler *h = baton;

    h->services->log(h->loop, WH_LOG_WARNING, "%s", text);
}

static apr_status_t file_open(webhook_handler **out, const webhook_handler_conf *conf, const char *name, webhook_loop *loop,
                              const webhook_services *services, apr_pool_t *p, webhook_result *res)
{
    webhook_handler *h = apr_pcalloc(p, sizeof(*h));
    apr_status_t rv = apr_pool_create(&h->scratch, p);

    *out = NULL;
    if (rv != APR_SUCCESS) {
        res->rv = rv;
        res->reason = wh_failure_FILE;
        res->detail = "no memory";
        return rv;
    }
    h->conf = conf;
    h->name = apr_pstrdup(p, name);
    h->loop = loop;
    h->services = services;
    h->last = &h->first;
    h->append.handler = h->name;
    h->append.dir = conf->dir;
    h->append.pattern = conf->pattern;
    h->append.mode = conf->mode;
    h->append.rotate = conf->rotate;
    h->append.keep = conf->keep;
    h->append.warn = warn;
    h->append.warn_baton = h;
    h->append.fd = -1;
    *out = h;
    return APR_SUCCESS;
}

/* End the oldest waiting attempt; its pool and the item go. */
static void finish_first(webhook_handler *h, const webhook_attempt_result *result)
{
    item *it = h->first;

    h->first = it->next;
    if (!h->first)
        h->last = &h->first;
    h->bytes -= it->line.len;
    h->services->finish(h->loop, it->attempt, result);
}

static void say_failed(webhook_handler *h, const char *detail)
{
    if (!h->failing)
        h->services->log(h->loop, WH_LOG_ERROR, "WH0700: handler %s: %s", h->name, detail);
    h->failing = 1;
}

static void say_works(webhook_handler *h)
{
    if (h->failing)
        h->services->log(h->loop, WH_LOG_NOTICE, "WH0701: handler %s: writes again", h->name);
    h->failing = 0;
}

static void retry_first(webhook_handler *h, const char *detail)
{
    webhook_attempt_result r = {.outcome = WEBHOOK_OUTCOME_RETRY, .reason = wh_failure_FILE};

    r.detail = apr_pstrdup(h->first->attempt->pool, detail);
    finish_first(h, &r);
}

static const char *describe_error(webhook_handler *h, const char *what, const char *name, apr_status_t rv)
{
    char text[120];

    return apr_psprintf(h->scratch, "cannot %s %s/%s: %s", what, h->conf->dir, name, apr_strerror(rv, text, sizeof(text)));
}

static void file_flush(webhook_handler *h);

static void timer_fired(void *baton)
{
    webhook_handler *h = baton;

    h->timer = 0;
    file_flush(h);
}

static void go_on_after(webhook_handler *h, apr_interval_time_t after)
{
    if (!h->timer)
        h->timer = h->services->timer(h->loop, after, timer_fired, h);
}

/* ---------------------------------------------------------------------------------------------------------- json lines --- */

/* Another process holds the lock: those whose time is over end, the others wait. */
static void wait_for_lock(webhook_handler *h)
{
    webhook_attempt_result r = {.outcome = WEBHOOK_OUTCOME_RETRY, .reason = wh_failure_TIMEOUT,
                                .detail = "another process holds the lock on the file"};
    apr_time_t now = wh_monotonic();
    item **at = &h->first;

    while (*at) {
        item *it = *at;

        if (it->deadline > now) {
            at = &it->next;
            continue;
        }
        *at = it->next;
        h->bytes -= it->line.len;
        h->services->finish(h->loop, it->attempt, &r);
    }
    h->last = at;
    if (h->first)
        go_on_after(h, LOCK_RETRY);
}

static void flush_lines(webhook_handler *h)
{
    static const webhook_attempt_result done = {.outcome = WEBHOOK_OUTCOME_DONE};

    while (h->first) {
        struct iovec *lines;
        int count = 0, written, busy;
        const char *err;

        apr_pool_clear(h->scratch);
        lines = apr_palloc(h->scratch, sizeof(*lines) * WH_APPEND_LINES);
        for (const item *it = h->first; it && count < WH_APPEND_LINES; it = it->next, count++) {
            union { const char *in; char *out; } bytes = { it->line.data }; /* writev only reads them */

            lines[count].iov_base = bytes.out;
            lines[count].iov_len = it->line.len;
        }
        err = wh_append_lines(&h->append, lines, count, &written, &busy, h->scratch);
        if (written)
            say_works(h);
        while (written--)
            finish_first(h, &done);
        if (busy) {
            wait_for_lock(h);
            return;
        }
        if (err) {
            say_failed(h, err);
            while (h->first)
                retry_first(h, err);
        }
    }
}

/* ----------------------------------------------------------------------------------------------------------- raw files --- */

/* Whether the file holds exactly these bytes, durably. @return 1, 0 (others, or no regular file), or -1 with errno */
static int holds(const char *path, webhook_slice body)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    apr_size_t at = 0;
    struct stat st;
    char buf[16384];
    int same = 0, err;

    if (fd < 0)
        return errno == ELOOP ? 0 : -1;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (apr_uint64_t)st.st_size == body.len) {
        same = 1;
        while (same == 1 && at < body.len) {
            ssize_t n = read(fd, buf, sizeof(buf));

            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                same = n < 0 ? -1 : 0;
            else if ((apr_size_t)n > body.len - at || memcmp(buf, body.data + at, (size_t)n))
                same = 0;
            else
                at += (apr_size_t)n;
        }
        if (same == 1 && fsync(fd))
            same = -1;
    }
    err = errno;
    close(fd);
    errno = err;
    return same;
}

/* The pattern with this delivery's values in it. What they hold was checked: they bring no conversions and no slashes. */
static const char *fill_pattern(const webhook_handler_conf *conf, const webhook_lease *lease, wh_filled *how, const char **why, apr_pool_t *p)
{
    char probe[WH_FILE_NAME_MAX + 1];
    wh_buf b;

    *how = WH_FILLED;
    if (!conf->slotted)
        return conf->pattern;
    wh_buf_init(&b, p, 128);
    *how = wh_slotted_fill(&b, conf->slotted, wh_shape_open(lease->shape, p), why);
    if (*how == WH_FILLED && wh_file_name_expand(probe, b.data, lease->delivery->received, lease->delivery) != APR_SUCCESS) {
        *how = WH_FILLED_BAD;
        *why = apr_psprintf(p, "the values would make a file name that begins with a dot or is longer than %d bytes", WH_FILE_NAME_MAX);
    }
    return b.data;
}

/* @return NULL or what went wrong; *name is set as soon as it is known */
static const char *write_raw(webhook_handler *h, const char *pattern, const webhook_delivery *d, webhook_slice body, char *name)
{
    apr_status_t rv = wh_file_name_expand(name, pattern, d->received, d);
    const char *path;

    if (rv != APR_SUCCESS)
        return describe_error(h, "name", pattern, rv);
    rv = wh_durable_create(h->conf->dir, name, body, h->conf->mode, 0, h->scratch);
    if (rv == APR_SUCCESS)
        return NULL;
    if (!APR_STATUS_IS_EEXIST(rv))
        return describe_error(h, "write", name, rv);
    path = apr_pstrcat(h->scratch, h->conf->dir, "/", name, NULL);
    switch (holds(path, body)) {
    case 1: /* an earlier attempt wrote it and could not say so; it may not have come as far as syncing the directory */
        rv = wh_sync_dir(h->conf->dir);
        return rv == APR_SUCCESS ? NULL : describe_error(h, "sync the directory of", name, rv);
    case 0:
        return apr_psprintf(h->scratch, "%s exists with other content", path);
    default:
        return describe_error(h, "read", name, errno);
    }
}

static void body_lost(webhook_handler *h, webhook_attempt *attempt, apr_status_t rv)
{
    webhook_attempt_result r = {.reason = wh_failure_BODY_LOST};
    char text[120];

    /* gone stays gone; anything else may heal */
    r.outcome = APR_STATUS_IS_ENOENT(rv) ? WEBHOOK_OUTCOME_DEAD : WEBHOOK_OUTCOME_RETRY;
    r.detail = apr_psprintf(attempt->pool, "cannot read the body: %s", apr_strerror(rv, text, sizeof(text)));
    h->services->finish(h->loop, attempt, &r);
}

static void flush_raw(webhook_handler *h)
{
    apr_time_t until = wh_monotonic() + RAW_SLICE;

    while (h->first) {
        webhook_attempt *attempt = h->first->attempt;
        webhook_attempt_result done = {.outcome = WEBHOOK_OUTCOME_DONE};
        char name[WH_FILE_NAME_MAX + 1] = "";
        const char *err, *pattern, *why;
        webhook_slice body;
        wh_filled how;
        apr_status_t rv;

        apr_pool_clear(h->scratch);
        pattern = fill_pattern(h->conf, attempt->lease, &how, &why, attempt->pool);
        if (how != WH_FILLED) {
            wh_format_failed(&done, how, why);
            finish_first(h, &done);
            continue;
        }
        rv = wh_delivery_body(attempt->lease->delivery, &body, attempt->pool);
        if (rv != APR_SUCCESS) {
            h->first = h->first->next;
            if (!h->first)
                h->last = &h->first;
            body_lost(h, attempt, rv);
            continue;
        }
        err = write_raw(h, pattern, attempt->lease->delivery, body, name);
        if (err) {
            say_failed(h, err);
            retry_first(h, err);
        }
        else {
            say_works(h);
            /* where it went, for who asks the store */
            done.output.data = apr_pstrcat(attempt->pool, h->conf->dir, "/", name, NULL);
            done.output.len = strlen(done.output.data);
            if (done.output.len > attempt->capture)
                done.output.len = attempt->capture;
            finish_first(h, &done);
        }
        if (h->first && wh_monotonic() >= until) {
            go_on_after(h, apr_time_from_msec(1));
            return;
        }
    }
}

/* ------------------------------------------------------------------------------------------------------------ provider --- */

static void file_flush(webhook_handler *h)
{
    if (h->timer)
        h->services->cancel(h->loop, h->timer);
    h->timer = 0;
    if (h->conf->format == FORMAT_RAW)
        flush_raw(h);
    else
        flush_lines(h);
}

static void file_start(webhook_handler *h, webhook_attempt *attempt)
{
    const webhook_delivery *d = attempt->lease->delivery;
    item *it = apr_pcalloc(attempt->pool, sizeof(*it));
    webhook_slice body;
    apr_status_t rv;

    it->attempt = attempt;
    it->deadline = wh_monotonic() + attempt->timeout;
    if (h->conf->format != FORMAT_RAW) {
        if (h->bytes > BATCH_BYTES)
            file_flush(h);
        if (h->bytes > WAITING_BYTES) {
            webhook_attempt_result r = {.outcome = WEBHOOK_OUTCOME_RETRY, .reason = wh_failure_FILE,
                                        .detail = "too much waits for another process's lock on the file"};

            h->services->finish(h->loop, attempt, &r);
            return;
        }
        rv = wh_delivery_body(d, &body, attempt->pool);
        if (rv != APR_SUCCESS) {
            body_lost(h, attempt, rv);
            return;
        }
        it->line = wh_format_line(h->conf->format == FORMAT_CLOUDEVENTS ? WH_FORMAT_CLOUDEVENTS : WH_FORMAT_ENVELOPE, attempt, body);
        h->bytes += it->line.len;
    }
    *h->last = it;
    h->last = &it->next;
}

static void file_stop(webhook_handler *h, apr_interval_time_t kill_after)
{
    static const webhook_attempt_result released = {.outcome = WEBHOOK_OUTCOME_RELEASED, .reason = wh_failure_STOPPED};

    (void)kill_after;
    if (h->timer)
        h->services->cancel(h->loop, h->timer);
    h->timer = 0;
    while (h->first)
        finish_first(h, &released);
}

static void file_close(webhook_handler *h)
{
    if (h->timer)
        h->services->cancel(h->loop, h->timer);
    h->timer = 0;
    wh_append_close(&h->append);
}

static const apr_array_header_t *file_slots(const webhook_handler_conf *conf)
{
    return conf->slots;
}

const webhook_handler_provider wh_handler_file = {
    .name = "file",
    .configure = file_configure,
    .open = file_open,
    .start = file_start,
    .flush = file_flush,
    .stop = file_stop,
    .close = file_close,
    .default_concurrency = DEFAULT_CONCURRENCY,
    .describe = file_describe,
    .slots = file_slots,
};
