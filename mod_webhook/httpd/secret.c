/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.c: where secrets come from, and how a changed file becomes the new secret without a restart.
 *
 * Read at configuration by the parent (root, usually). A file that the server's user can read is live: each process looks at it at most
 * once a second and reads it again when it changed. The endpoint's secrets of one moment are a generation; requests hold a reference, and
 * the last one out frees it. What cannot be used (empty, unreadable, not a key) leaves the generation before in force.
 */
#include "httpd/config.h"

#include "apr_portable.h"
#include "apr_strings.h"
#include "apr_thread_proc.h"
#include "http_core.h"
#include "http_log.h"
#include "unixd.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/units.h"

APLOG_USE_MODULE(webhook);

#define PROGRAM_TIME apr_time_from_sec(10)
#define CHECK_EVERY apr_time_from_sec(1)
#define MAX_GROUPS 256

/* ---- sources ---- */

static int is_member(gid_t gid, const gid_t *groups, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        if (groups[i] == gid) {
            return 1;
        }
    }
    return 0;
}

/* Whether mode bits let the user do `want` (4 read, 1 search). Access lists are not seen: a process that cannot read finds out itself. */
static int allows(const struct stat *st, uid_t uid, const gid_t *groups, int count, unsigned want)
{
    unsigned mode = st->st_mode & 07u;

    if (st->st_uid == uid) {
        mode = (st->st_mode >> 6) & 07u;
    }
    else if (is_member(st->st_gid, groups, count)) {
        mode = (st->st_mode >> 3) & 07u;
    }
    return (mode & want) == want;
}

static int server_can_read(const char *path)
{
    uid_t uid = ap_unixd_config.user_id;
    gid_t groups[MAX_GROUPS];
    int count = MAX_GROUPS;
    char real[PATH_MAX], *slash;
    struct stat st;

    if (geteuid() != 0 || uid == 0) {
        return 1;
    }
    if (!ap_unixd_config.user_name || getgrouplist(ap_unixd_config.user_name, ap_unixd_config.group_id, groups, &count) < 0) {
        groups[0] = ap_unixd_config.group_id;
        count = 1;
    }
    if (!realpath(path, real) || stat(real, &st) != 0 || !allows(&st, uid, groups, count, 4)) {
        return 0;
    }
    while ((slash = strrchr(real, '/')) != NULL) {
        slash[slash == real] = '\0';
        if (stat(real, &st) != 0 || !allows(&st, uid, groups, count, 1)) {
            return 0;
        }
        if (slash == real) {
            break;
        }
    }
    return 1;
}

/* Read what the program writes until it ends or the time is over. @return NULL or an error text */
static const char *collect(apr_proc_t *proc, char *room, apr_size_t size, apr_size_t *len, apr_pool_t *p)
{
    apr_time_t deadline = wh_monotonic() + PROGRAM_TIME, left;
    apr_exit_why_e why = APR_PROC_EXIT;
    apr_status_t rv = APR_SUCCESS;
    int code = 0, ended = 0;
    const char *err = NULL;

    *len = 0;
    while (rv == APR_SUCCESS && !err) {
        apr_size_t n = size - *len;
        left = deadline - wh_monotonic();
        apr_file_pipe_timeout_set(proc->out, left > 0 ? left : 1);
        rv = left > 0 ? apr_file_read(proc->out, room + *len, &n) : APR_TIMEUP;
        if (rv == APR_SUCCESS && (*len += n) == size) {
            err = apr_psprintf(p, "writes more than %d bytes", WH_SECRET_MAX);
        }
    }
    apr_file_close(proc->out);
    if (!err && rv != APR_EOF && !APR_STATUS_IS_TIMEUP(rv)) {
        err = "cannot be read from";
    }
    while (!err && rv == APR_EOF && !ended) {
        ended = apr_proc_wait(proc, &code, &why, APR_NOWAIT) == APR_CHILD_DONE;
        if (!ended && wh_monotonic() > deadline) {
            break;
        }
        if (!ended) {
            apr_sleep(2000);
        }
    }
    if (!ended) {
        kill(proc->pid, SIGKILL);
        apr_proc_wait(proc, &code, &why, APR_WAIT);
        return err ? err : apr_psprintf(p, "took longer than %s", wh_format_duration(PROGRAM_TIME, p));
    }
    if (!APR_PROC_CHECK_EXIT(why) || code != 0) {
        return apr_psprintf(p, APR_PROC_CHECK_EXIT(why) ? "ended with status %d" : "was ended by signal %d", code);
    }
    return NULL;
}

/* No shell, nothing of httpd's environment; standard error stays httpd's. */
static const char *run_program(char **argv, char *room, apr_size_t size, apr_size_t *len, apr_pool_t *ptemp)
{
    static const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", NULL };
    apr_procattr_t *attr;
    apr_proc_t proc;
    apr_file_t *null;
    apr_status_t rv;
    char why[120];

    if ((rv = apr_file_open(&null, "/dev/null", APR_FOPEN_READ, 0, ptemp)) != APR_SUCCESS
        || (rv = apr_procattr_create(&attr, ptemp)) != APR_SUCCESS
        || (rv = apr_procattr_io_set(attr, APR_NO_PIPE, APR_FULL_BLOCK, APR_NO_PIPE)) != APR_SUCCESS
        || (rv = apr_procattr_child_in_set(attr, null, NULL)) != APR_SUCCESS
        || (rv = apr_procattr_cmdtype_set(attr, APR_PROGRAM)) != APR_SUCCESS
        || (rv = apr_procattr_error_check_set(attr, 1)) != APR_SUCCESS
        || (rv = apr_proc_create(&proc, argv[0], (const char *const *)argv, env, attr, ptemp)) != APR_SUCCESS) {
        return apr_psprintf(ptemp, "cannot be run: %s", apr_strerror(rv, why, sizeof(why)));
    }
    return collect(&proc, room, size, len, ptemp);
}

static const char *load_program(webhook_slice *bytes, const char *command, int real_start, const char **warning, apr_pool_t *pconf,
                                apr_pool_t *ptemp)
{
    char room[WH_SECRET_MAX + 1];
    const char *err;
    struct stat st;
    char **argv;

    if (apr_tokenize_to_argv(command, &argv, ptemp) != APR_SUCCESS || !argv[0]) {
        return "is not a command line";
    }
    if (stat(argv[0], &st) != 0) {
        return apr_psprintf(ptemp, "cannot be run: %s", strerror(errno));
    }
    if (!S_ISREG(st.st_mode) || access(argv[0], X_OK) != 0) {
        return "is not an executable file";
    }
    if (!real_start) {
        return NULL;
    }
    if ((err = run_program(argv, room, sizeof(room), &bytes->len, ptemp)) == NULL) {
        bytes->data = room;
        if ((err = wh_secret_accept(bytes, warning, ptemp)) == NULL) {
            bytes->data = (const char *)wh_secret_keep(bytes->data, bytes->len, pconf);
        }
    }
    OPENSSL_cleanse(room, sizeof(room));
    return err;
}

const char *wh_secret_load(wh_secret_spec *spec, int real_start, const char **warning, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    webhook_slice bytes = { NULL, 0 };
    const char *err = NULL, *value;

    *warning = NULL;
    if (spec->path) {
        if ((err = wh_secret_read(&bytes, spec->path, warning, &spec->stamp, pconf)) == NULL) {
            spec->live = server_can_read(spec->path);
        }
    }
    else if (!strncmp(spec->spec, "exec:", 5)) {
        err = load_program(&bytes, spec->spec + 5, real_start, warning, pconf, ptemp);
    }
    else {
        value = spec->literal ? spec->literal : getenv(spec->spec + 4);
        if (!value) {
            return "is not set";
        }
        bytes.data = value;
        bytes.len = strlen(value);
        if ((err = wh_secret_accept(&bytes, warning, ptemp)) == NULL) {
            bytes.data = (const char *)wh_secret_keep(bytes.data, bytes.len, pconf);
        }
        if (spec->literal) {
            union { const char *in; char *out; } literal;
            literal.in = spec->literal;
            OPENSSL_cleanse(literal.out, strlen(literal.out));
            spec->literal = NULL;
        }
    }
    if (!err && bytes.data) {
        spec->secret = apr_pcalloc(pconf, sizeof(*spec->secret));
        spec->secret->id = spec->id;
        spec->secret->data = (const unsigned char *)bytes.data;
        spec->secret->len = bytes.len;
        spec->secret->from = spec->from;
        spec->secret->until = spec->until;
    }
    return err;
}

/* ---- live reload ---- */

/* The secrets of one moment, index by index those of auth->secrets. */
typedef struct generation {
    webhook_secrets set;
    int refs;         /* requests that use it, and one while it is current; taken under the mutex, given back without */
    apr_pool_t *pool; /* its own, with its own allocator: requests of any thread free it. NULL: the first one, of pconf */
} generation;

typedef struct live_file {
    wh_secret_stamp stamp; /* of what is in force */
    int again;             /* changed so lately that a further change could look the same: read it once more */
    int bad;               /* what is there now cannot be used, and that was said */
    struct stat bad_stat;
} live_file;

struct wh_live_secrets {
    const wh_auth *auth;
    pthread_mutex_t mutex; /* made in the parent, which never takes it; each process has its own copy */
    apr_time_t next;       /* wh_monotonic() of the next look */
    int looking;           /* one thread is at it */
    generation *current;
    live_file *files;      /* written by the thread that is looking alone */
};

void wh_secret_publish(wh_auth *auth, apr_pool_t *pconf)
{
    int i, live = 0, n = auth->secrets ? auth->secrets->nelts : 0;
    webhook_secrets *set = apr_pcalloc(pconf, sizeof(*set));
    const webhook_secret **list = apr_pcalloc(pconf, sizeof(*list) * (apr_size_t)(n + 1));

    for (i = 0; i < n; i++) {
        const wh_secret_spec *spec = APR_ARRAY_IDX(auth->secrets, i, wh_secret_spec *);
        if (!spec->secret) {
            continue;
        }
        list[set->count++] = spec->secret;
        live |= spec->live;
    }
    set->list = list;
    auth->loaded = set;
    if (!live || set->count != n) {
        return;
    }
    auth->live = apr_pcalloc(pconf, sizeof(*auth->live));
    auth->live->auth = auth;
    auth->live->files = apr_pcalloc(pconf, sizeof(live_file) * (apr_size_t)n);
    for (i = 0; i < n; i++) {
        auth->live->files[i].stamp = APR_ARRAY_IDX(auth->secrets, i, wh_secret_spec *)->stamp;
    }
    auth->live->current = apr_pcalloc(pconf, sizeof(generation));
    auth->live->current->set = *set;
    auth->live->current->refs = 1;
    pthread_mutex_init(&auth->live->mutex, NULL);
}

void wh_secret_child_init(apr_pool_t *pchild, server_rec *s)
{
    apr_array_header_t *auths = wh_conf_global(s)->auths;
    int i, n;

    (void)pchild;
    for (i = 0; i < auths->nelts; i++) {
        const wh_auth *auth = APR_ARRAY_IDX(auths, i, wh_auth *);
        for (n = 0; auth->live && n < auth->secrets->nelts; n++) {
            wh_secret_spec *spec = APR_ARRAY_IDX(auth->secrets, n, wh_secret_spec *);
            /* The parent went by mode bits; this process knows. A file that is away for the moment stays live. */
            if (spec->live && access(spec->path, R_OK) != 0 && errno == EACCES) {
                spec->live = 0;
                ap_log_error(APLOG_MARK, APLOG_DEBUG, errno, auth->server, "WH0180: endpoint %s: %s is read again at the next restart only",
                             auth->name, spec->spec);
            }
        }
    }
}

static apr_status_t release(void *data)
{
    generation *gen = data;

    /* Whoever takes one finds another there, the current one's: the last to go is alone. */
    if (__atomic_sub_fetch(&gen->refs, 1, __ATOMIC_ACQ_REL) == 0 && gen->pool) {
        apr_pool_destroy(gen->pool);
    }
    return APR_SUCCESS;
}

/* Say once per change of the file why it does not count. */
static void say_bad(const wh_auth *auth, const wh_secret_spec *spec, live_file *file, const char *err)
{
    struct stat st;

    if (stat(spec->path, &st) != 0) {
        memset(&st, 0, sizeof(st));
    }
    if (file->bad && file->bad_stat.st_ino == st.st_ino && file->bad_stat.st_size == st.st_size
        && file->bad_stat.st_ctim.tv_sec == st.st_ctim.tv_sec && file->bad_stat.st_ctim.tv_nsec == st.st_ctim.tv_nsec) {
        return;
    }
    file->bad = 1;
    file->bad_stat = st;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, auth->server, "WH0181: endpoint %s: secret \"%s\": %s %s; the secret read before stays in force",
                 auth->name, spec->id, spec->spec, err);
}

static const char *prepare(const wh_auth *auth, webhook_secret *secret, apr_pool_t *p)
{
    secret->prepared = NULL;
    return auth->provider->prepare ? auth->provider->prepare(auth->verifier, secret, p) : NULL;
}

/* A secret of the next generation: from the file if it changed and can be used, else the one in force. @return NULL: not even that */
static const webhook_secret *next_secret(struct wh_live_secrets *live, int i, const webhook_secret *old, int *fresh, apr_pool_t *p)
{
    const wh_auth *auth = live->auth;
    const wh_secret_spec *spec = APR_ARRAY_IDX(auth->secrets, i, wh_secret_spec *);
    live_file *file = &live->files[i];
    webhook_secret *secret = apr_pmemdup(p, old, sizeof(*old));
    wh_secret_stamp stamp;
    webhook_slice bytes;
    const char *err;

    if (!spec->live) {
        return old;
    }
    if (file->again || !wh_secret_unchanged(spec->path, &file->stamp)) {
        if ((err = wh_secret_read(&bytes, spec->path, NULL, &stamp, p)) == NULL) {
            if (bytes.len == old->len && !CRYPTO_memcmp(bytes.data, old->data, bytes.len)) {
                err = prepare(auth, secret, p);
            }
            else {
                secret->data = (const unsigned char *)bytes.data;
                secret->len = bytes.len;
                if ((err = prepare(auth, secret, p)) == NULL) {
                    *fresh = 1;
                    ap_log_error(APLOG_MARK, APLOG_INFO, 0, auth->server, "WH0182: endpoint %s: secret \"%s\" was read again from %s", auth->name,
                                 spec->id, spec->spec);
                }
            }
        }
        if (!err) {
            file->stamp = stamp;
            file->bad = 0;
            file->again = stamp.mtime > apr_time_now() - 2 * CHECK_EVERY;
            return secret;
        }
        say_bad(auth, spec, file, err);
    }
    secret->data = wh_secret_keep(old->data, old->len, p);
    secret->len = old->len;
    return prepare(auth, secret, p) == NULL ? secret : NULL;
}

/* One thread at a time. @return the next generation, NULL when nothing changed */
static generation *look(struct wh_live_secrets *live)
{
    const webhook_secrets *old = &live->current->set;
    const webhook_secret **list;
    int i, changed = 0, fresh = 0;
    generation *gen;
    apr_pool_t *pool;

    for (i = 0; i < old->count && !changed; i++) {
        const wh_secret_spec *spec = APR_ARRAY_IDX(live->auth->secrets, i, wh_secret_spec *);
        changed = spec->live && (live->files[i].again || !wh_secret_unchanged(spec->path, &live->files[i].stamp));
    }
    if (!changed || apr_pool_create_unmanaged_ex(&pool, NULL, NULL) != APR_SUCCESS) {
        return NULL;
    }
    gen = apr_pcalloc(pool, sizeof(*gen));
    list = apr_pcalloc(pool, sizeof(*list) * (apr_size_t)(old->count + 1));
    for (i = 0; i < old->count; i++) {
        if ((list[i] = next_secret(live, i, old->list[i], &fresh, pool)) == NULL) {
            fresh = 0;
            break;
        }
    }
    if (!fresh) {
        apr_pool_destroy(pool);
        return NULL;
    }
    gen->set.count = old->count;
    gen->set.list = list;
    gen->refs = 1;
    gen->pool = pool;
    return gen;
}

static const webhook_secrets *current_of(struct wh_live_secrets *live, apr_pool_t *p)
{
    apr_time_t now = wh_monotonic();
    generation *gen, *before = NULL;

    pthread_mutex_lock(&live->mutex);
    if (!live->looking && now >= live->next) {
        live->looking = 1;
        pthread_mutex_unlock(&live->mutex);
        gen = look(live); /* the others go on with the current ones meanwhile */
        pthread_mutex_lock(&live->mutex);
        if (gen) {
            before = live->current;
            live->current = gen;
        }
        live->next = now + CHECK_EVERY;
        live->looking = 0;
    }
    gen = live->current;
    __atomic_add_fetch(&gen->refs, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&live->mutex);
    apr_pool_cleanup_register(p, gen, release, apr_pool_cleanup_null);
    if (before) {
        release(before);
    }
    return &gen->set;
}

static int is_valid_at(const webhook_secret *secret, apr_time_t now)
{
    return (!secret->from || now >= secret->from) && (!secret->until || now < secret->until);
}

const webhook_secrets *wh_secrets_now(const wh_auth *auth, apr_time_t now, apr_pool_t *p)
{
    const webhook_secrets *all = auth->live ? current_of(auth->live, p) : auth->loaded;
    const webhook_secret **list;
    webhook_secrets *valid;
    int i;

    for (i = 0; i < all->count && is_valid_at(all->list[i], now); i++) {
        continue;
    }
    if (i == all->count) {
        return all;
    }
    valid = apr_pcalloc(p, sizeof(*valid));
    valid->list = list = apr_pcalloc(p, sizeof(*list) * (apr_size_t)all->count);
    for (i = 0; i < all->count; i++) {
        if (is_valid_at(all->list[i], now)) {
            list[valid->count++] = all->list[i];
        }
    }
    return valid;
}
