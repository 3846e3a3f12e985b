/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c: the configuration dump, the store and secrets for the tool; see settings.h. */
#include "ctl/settings.h"

#include <apr_file_io.h>
#include <apr_lib.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/encoding.h"
#include "core/json.h"
#include "core/options.h"
#include "core/secret.h"
#include "verify/verify.h"

#define DUMP_MAX (64 * 1024 * 1024)

int wh_ctl_error(const wh_ctl *ctl, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "%s: ", ctl->program);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return WH_CTL_USAGE;
}

/* Of a whole UTF-8 sequence: C1 controls, which terminals obey as they do ESC, and what makes text read in another order than it is. */
static int is_deceptive(const char *text, apr_size_t len)
{
    const unsigned char *c = (const unsigned char *)text;

    if (len == 2) {
        return c[0] == 0xc2 && c[1] < 0xa0;
    }
    /* U+200B..F, U+2028..E, U+2060..F, U+FEFF */
    return len == 3
           && ((c[0] == 0xe2 && c[1] == 0x80 && ((c[2] >= 0x8b && c[2] <= 0x8f) || (c[2] >= 0xa8 && c[2] <= 0xae)))
               || (c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa0 && c[2] <= 0xaf) || (c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf));
}

void wh_ctl_print(const char *text, apr_size_t len, int lines)
{
    apr_size_t i, n;

    for (i = 0; i < len; i += n) {
        unsigned char c = (unsigned char)text[i];

        n = c < 0x80 ? 1 : wh_utf8_sequence(text + i, len - i);
        if (c < 0x80 ? (c >= 0x20 && c != 0x7f) || (lines && (c == '\n' || c == '\t')) : n > 0 && !is_deceptive(text + i, n)) {
            fwrite(text + i, 1, n, stdout);
        }
        else {
            printf("\\x%02x", c);
            n = 1;
        }
    }
}

void wh_ctl_say(const char *text)
{
    wh_ctl_print(text ? text : "-", text ? strlen(text) : 1, 0);
}

int wh_ctl_store_error(const wh_ctl *ctl, const webhook_result *res)
{
    return wh_ctl_error(ctl, "%s: %s", res->reason ? res->reason : "store-failed", res->detail ? res->detail : "the store cannot be used");
}

const char *wh_ctl_uri(const char *url)
{
    const char *host = strstr(url, "://"), *slash = host ? strchr(host + 3, '/') : NULL;

    return *url == '/' ? url : slash ? slash : "/";
}

static const char *slurp(webhook_slice *out, apr_file_t *f, apr_size_t max, apr_pool_t *p)
{
    wh_buf b;
    char room[16384];
    apr_status_t rv;

    wh_buf_init(&b, p, sizeof(room));
    for (;;) {
        apr_size_t n = sizeof(room);
        rv = apr_file_read(f, room, &n);
        if (rv == APR_EOF) {
            break;
        }
        if (rv != APR_SUCCESS) {
            return apr_psprintf(p, "cannot be read: %s", apr_strerror(rv, room, sizeof(room)));
        }
        if (b.len + n > max) {
            return "is too large";
        }
        wh_buf_add(&b, room, n);
    }
    out->data = b.data;
    out->len = b.len;
    return NULL;
}

const char *wh_ctl_read(webhook_slice *out, const char *path, apr_pool_t *p)
{
    apr_file_t *f;
    apr_status_t rv;
    char why[200];
    const char *err;

    rv = strcmp(path, "-") == 0 ? apr_file_open_stdin(&f, p) : apr_file_open(&f, path, APR_FOPEN_READ, 0, p);
    if (rv != APR_SUCCESS) {
        return apr_psprintf(p, "%s: %s", path, apr_strerror(rv, why, sizeof(why)));
    }
    err = slurp(out, f, DUMP_MAX, p);
    apr_file_close(f);
    return err ? apr_psprintf(p, "%s %s", path, err) : NULL;
}

const char *wh_ctl_memory_file(apr_file_t **file, apr_pool_t *p)
{
    apr_os_file_t fd = memfd_create("webhookctl", MFD_CLOEXEC);
    apr_status_t rv = fd < 0 ? errno : apr_os_file_put(file, &fd, APR_FOPEN_READ | APR_FOPEN_WRITE, p);
    char why[200];

    return rv == APR_SUCCESS ? NULL : apr_psprintf(p, "no file in memory: %s", apr_strerror(rv, why, sizeof(why)));
}

/* What the server's program had to say, to our standard error. */
static void pass_on(apr_file_t *words, apr_pool_t *p)
{
    webhook_slice text;
    apr_off_t start = 0;

    if (apr_file_seek(words, APR_SET, &start) == APR_SUCCESS && !slurp(&text, words, DUMP_MAX, p)) {
        fwrite(text.data, 1, text.len, stderr);
    }
}

const char *wh_ctl_run_httpd(webhook_slice *out, wh_ctl *ctl, const char *define, apr_file_t *input)
{
    static const char *const usual[] = {"apachectl", "apache2ctl", "httpd", "apache2", NULL};
    apr_pool_t *p = ctl->pool;
    apr_procattr_t *attr;
    apr_proc_t proc;
    apr_exit_why_e why;
    apr_file_t *words;
    const char **argv = apr_pcalloc(p, sizeof(*argv) * (apr_size_t)(ctl->httpd_args->nelts + 6));
    const char *err;
    int i, n, code = -1;
    apr_status_t rv = APR_ENOENT;
    char text[200];

    /* no second pipe: whoever fills one that is not read yet waits for us, while we wait for the other */
    if ((err = wh_ctl_memory_file(&words, p)) != NULL) {
        return err;
    }
    for (i = 0; rv != APR_SUCCESS && (ctl->httpd ? i == 0 : usual[i] != NULL); i++) {
        apr_procattr_create(&attr, p);
        apr_procattr_io_set(attr, APR_NO_PIPE, APR_FULL_BLOCK, APR_NO_PIPE);
        apr_procattr_child_err_set(attr, words, NULL);
        if (input) {
            apr_procattr_child_in_set(attr, input, NULL);
        }
        apr_procattr_cmdtype_set(attr, APR_PROGRAM_PATH);
        apr_procattr_error_check_set(attr, 1);
        argv[0] = ctl->httpd ? ctl->httpd : usual[i];
        for (n = 0; n < ctl->httpd_args->nelts; n++) {
            argv[n + 1] = APR_ARRAY_IDX(ctl->httpd_args, n, const char *);
        }
        argv[n + 1] = "-t";
        argv[n + 2] = "-D";
        argv[n + 3] = define;
        argv[n + 4] = NULL;
        rv = apr_proc_create(&proc, argv[0], argv, NULL, attr, p);
    }
    if (rv != APR_SUCCESS) {
        return apr_psprintf(p, "cannot run %s: %s (--httpd names the server's program, --dump a saved dump)",
                            ctl->httpd ? ctl->httpd : "apachectl, apache2ctl, httpd or apache2", apr_strerror(rv, text, sizeof(text)));
    }
    err = slurp(out, proc.out, DUMP_MAX, p);
    apr_file_close(proc.out); /* or one that says too much would wait for ever to be read */
    apr_proc_wait(&proc, &code, &why, APR_WAIT);
    if (err) {
        return apr_psprintf(p, "the output of %s %s", argv[0], err);
    }
    if (why & APR_PROC_SIGNAL) {
        pass_on(words, p);
        return apr_psprintf(p, "%s -t was ended by signal %d", argv[0], code);
    }
    if (code != 0) {
        pass_on(words, p);
        return apr_psprintf(p, "%s -t failed", argv[0]);
    }
    return NULL;
}

struct wh_json *wh_ctl_dump(wh_ctl *ctl)
{
    webhook_slice text = {NULL, 0};
    wh_json_error jerr;
    const char *err, *start, *end;

    if (ctl->dump) {
        return ctl->dump;
    }
    err = ctl->dump_file ? wh_ctl_read(&text, ctl->dump_file, ctl->pool) : wh_ctl_run_httpd(&text, ctl, "DUMP_WEBHOOK", NULL);
    if (err) {
        wh_ctl_error(ctl, "%s", err);
        return NULL;
    }
    /* apachectl wrappers may print around it */
    start = text.len ? memchr(text.data, '{', text.len) : NULL;
    end = start ? memrchr(text.data, '}', text.len) : NULL;
    if (!end) {
        wh_ctl_error(ctl, "no configuration dump: is mod_webhook loaded there?");
        return NULL;
    }
    text.len = (apr_size_t)(end - start) + 1;
    text.data = start;
    if (wh_json_parse(&ctl->dump, text, &wh_json_plain, ctl->pool, &jerr) != APR_SUCCESS) {
        wh_ctl_error(ctl, "the configuration dump is not JSON (%s at byte %" APR_SIZE_T_FMT ")", jerr.reason, jerr.offset);
        return NULL;
    }
    return ctl->dump;
}

static const char *member(const wh_json_value *object, const char *name, apr_pool_t *p)
{
    return wh_json_text(wh_json_get(object, name), p);
}

static apr_array_header_t *option_words(const wh_json_value *list, apr_pool_t *p, const char **err)
{
    apr_size_t i, n = list && wh_json_typeof(list) == WH_JSON_ARRAY ? wh_json_size(list) : 0;
    const char **words = apr_pcalloc(p, sizeof(*words) * (n + 1));
    apr_array_header_t *options = NULL;
    for (i = 0; i < n; i++) {
        const char *word = wh_json_text(wh_json_at(list, i), p);
        words[i] = word ? word : ""; /* refused below: a dump may be anybody's file */
    }
    *err = wh_options_split(&options, (int)n, words, p);
    return options;
}

webhook_store *wh_ctl_store(wh_ctl *ctl, const webhook_store_provider **provider)
{
    const char *text = ctl->store_text, *err = NULL;
    apr_array_header_t *options = NULL;
    wh_store_spec *spec;
    webhook_store *store;
    webhook_result res = {0};

    if (!text) {
        const wh_json_value *store_of_dump;
        if (!wh_ctl_dump(ctl)) {
            return NULL;
        }
        store_of_dump = wh_json_get(wh_json_root(ctl->dump), "store");
        text = member(store_of_dump, "text", ctl->pool);
        if (!text || strcmp(text, "none") == 0) {
            wh_ctl_error(ctl, "that server has no store");
            return NULL;
        }
        options = option_words(wh_json_get(store_of_dump, "options"), ctl->pool, &err);
    }
    if (!err) {
        err = wh_store_configure(&spec, text, options, NULL, NULL, ctl->pool, ctl->pool);
    }
    if (err) {
        wh_ctl_error(ctl, "store %s: %s", text, err);
        return NULL;
    }
    if (geteuid() == 0 && strncmp(text, "sqlite:", 7) == 0) {
        uid_t uid;
        gid_t gid;
        apr_status_t rv = wh_store_owner(text + 7, &uid, &gid);
        char why[200];
        if (rv == APR_SUCCESS) {
            rv = wh_store_become(uid, gid);
        }
        if (rv != APR_SUCCESS) {
            wh_ctl_error(ctl, "store %s: %s", text, apr_strerror(rv, why, sizeof(why)));
            return NULL;
        }
    }
    if (spec->provider->open(&store, spec->conf, ctl->pool, &res) != APR_SUCCESS) {
        wh_ctl_error(ctl, "store %s: %s", text, res.detail ? res.detail : "cannot be opened");
        return NULL;
    }
    *provider = spec->provider;
    return store;
}

const char *wh_ctl_counters(wh_ctl *ctl)
{
    return wh_ctl_dump(ctl) ? member(wh_json_root(ctl->dump), "counters", ctl->pool) : NULL;
}

wh_ctl_endpoint *wh_ctl_find_endpoint(wh_ctl *ctl, const char *name)
{
    const wh_json_value *list, *e = NULL, *words;
    apr_pool_t *p = ctl->pool;
    wh_ctl_endpoint *ep;
    const char *err = NULL;
    apr_size_t i;

    if (!wh_ctl_dump(ctl)) {
        return NULL;
    }
    list = wh_json_get(wh_json_root(ctl->dump), "endpoints");
    for (i = 0; list && i < wh_json_size(list); i++) {
        const char *got = member(wh_json_at(list, i), "name", p);
        if (got && strcmp(got, name) == 0) {
            e = wh_json_at(list, i);
            break;
        }
    }
    /* an unnamed endpoint is called server name + path: the path alone will do when it is unique */
    for (i = 0; !e && list && i < wh_json_size(list); i++) {
        const char *path = member(wh_json_at(list, i), "path", p);
        if (path && (strcmp(path, name) == 0 || (strrchr(path, '/') && strcmp(strrchr(path, '/') + 1, name) == 0))) {
            e = wh_json_at(list, i);
        }
    }
    if (!e) {
        wh_ctl_error(ctl, "there is no endpoint \"%s\" (webhookctl endpoints lists them)", name);
        return NULL;
    }
    ep = apr_pcalloc(p, sizeof(*ep));
    ep->name = member(e, "name", p);
    ep->scheme = member(e, "scheme", p);
    ep->options = option_words(wh_json_get(e, "options"), p, &err);
    ep->urls = apr_array_make(p, 2, sizeof(char *));
    ep->secret_ids = apr_array_make(p, 2, sizeof(char *));
    ep->secret_specs = apr_array_make(p, 2, sizeof(char *));
    words = wh_json_get(e, "urls");
    for (i = 0; words && i < wh_json_size(words); i++) {
        APR_ARRAY_PUSH(ep->urls, const char *) = wh_json_text(wh_json_at(words, i), p);
    }
    words = wh_json_get(e, "secrets");
    for (i = 0; words && i < wh_json_size(words); i++) {
        APR_ARRAY_PUSH(ep->secret_ids, const char *) = member(wh_json_at(words, i), "id", p);
        APR_ARRAY_PUSH(ep->secret_specs, const char *) = member(wh_json_at(words, i), "spec", p);
    }
    if (err || !ep->scheme) {
        wh_ctl_error(ctl, "endpoint \"%s\" in the dump: %s", name, err ? err : "no scheme");
        return NULL;
    }
    return ep;
}

static const char *const *find_credentials(wh_ctl *ctl, const char *endpoint)
{
    const wh_json_value *list = ctl->dump ? wh_json_get(wh_json_root(ctl->dump), "endpoints") : NULL;
    apr_size_t i;

    for (i = 0; list && i < wh_json_size(list); i++) {
        const wh_json_value *e = wh_json_at(list, i);
        const char *name = member(e, "name", ctl->pool), *scheme = member(e, "scheme", ctl->pool), *err = NULL;
        const webhook_verifier_provider *provider = scheme ? wh_verifier_builtin(scheme) : NULL;
        apr_array_header_t *options;
        webhook_verifier *verifier;

        if (!name || strcmp(name, endpoint) != 0 || !provider) {
            continue;
        }
        options = option_words(wh_json_get(e, "options"), ctl->pool, &err);
        if (!err && !provider->configure(&verifier, provider, options, ctl->pool, ctl->pool)) {
            return provider->traits(verifier)->credentials;
        }
    }
    return NULL;
}

const char *const *wh_ctl_credentials(wh_ctl *ctl, const char *endpoint)
{
    static const char *const none[] = {NULL};
    const char *const *found;

    if (!ctl->credentials) {
        ctl->credentials = apr_hash_make(ctl->pool);
    }
    found = apr_hash_get(ctl->credentials, endpoint, APR_HASH_KEY_STRING);
    if (!found) {
        found = find_credentials(ctl, endpoint);
        found = found ? found : none;
        apr_hash_set(ctl->credentials, apr_pstrdup(ctl->pool, endpoint), APR_HASH_KEY_STRING, found);
    }
    return found;
}

const char *wh_ctl_secret(webhook_secret **out, const char *spec, const char *id, apr_pool_t *p)
{
    webhook_secret *s = apr_pcalloc(p, sizeof(*s));
    webhook_slice bytes;
    const char *err, *warning = NULL;

    if (strncmp(spec, "id=", 3) == 0 && strchr(spec, ' ')) { /* as the directive has it: "id=2026 file:..." */
        apr_size_t len = strcspn(spec + 3, " ");
        if (len == 0) {
            return "id= in front of a secret needs a name";
        }
        id = apr_pstrmemdup(p, spec + 3, len);
        spec += 3 + len;
        spec += strspn(spec, " ");
    }
    if (strncmp(spec, "file:", 5) == 0) {
        err = wh_secret_read(&bytes, spec + 5, &warning, NULL, p);
    }
    else if (strncmp(spec, "env:", 4) == 0) {
        const char *value = getenv(spec + 4);
        if (!value) {
            return apr_psprintf(p, "the environment has no %s", spec + 4);
        }
        bytes.data = value;
        bytes.len = strlen(value);
        err = wh_secret_accept(&bytes, &warning, p);
        spec = "the secret in the environment";
    }
    else {
        bytes.data = strncmp(spec, "inline:", 7) == 0 ? spec + 7 : spec;
        bytes.len = strlen(bytes.data);
        err = bytes.len ? NULL : "is empty";
        spec = "the secret";
    }
    if (err) {
        return apr_psprintf(p, "%s %s", spec, err);
    }
    s->id = id;
    s->data = wh_secret_keep(bytes.data, bytes.len, p);
    s->len = bytes.len;
    *out = s;
    return NULL;
}
