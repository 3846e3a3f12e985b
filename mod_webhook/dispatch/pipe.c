/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe.c: the pipe handler: its configuration, the environment of programs, and mode=delivery (see pipe.h).
 */
#include "dispatch/pipe.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/cloudevents_write.h"
#include "core/envelope.h"
#include "core/json.h"
#include "core/log.h"
#include "core/options.h"
#include "core/reasons.h"
#include "core/units.h"
#include "dispatch/handlers.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define DEFAULT_UMASK 027
#define ENV_MAX (24 + WH_CE_ATTRIBUTES)

/* ---- configuration ---- */

typedef struct pipe_words {
    int mode, format, input, privileges;
    apr_array_header_t *success, *fail;
    const char *umask, *cwd, *path;
    int nproc, nofile;
    apr_interval_time_t cpu;
    apr_int64_t as, fsize;
} pipe_words;

static const wh_option_spec pipe_specs[] = {
    { "mode", WH_OPT_ENUM, offsetof(pipe_words, mode), 0, 0, "delivery|persistent" },
    { "format", WH_OPT_ENUM, offsetof(pipe_words, format), 0, 0, WH_FORMAT_WORDS },
    { "input", WH_OPT_ENUM, offsetof(pipe_words, input), 0, 0, "raw|envelope" }, /* what format= was called at first */
    { "success", WH_OPT_LIST, offsetof(pipe_words, success), 0, 0, NULL },
    { "fail", WH_OPT_LIST, offsetof(pipe_words, fail), 0, 0, NULL },
    { "umask", WH_OPT_STRING, offsetof(pipe_words, umask), 0, 0, NULL },
    { "cwd", WH_OPT_STRING, offsetof(pipe_words, cwd), 0, 0, NULL },
    { "path", WH_OPT_STRING, offsetof(pipe_words, path), 0, 0, NULL },
    { "nproc", WH_OPT_INT, offsetof(pipe_words, nproc), 1, 1000000, NULL },
    { "nofile", WH_OPT_INT, offsetof(pipe_words, nofile), 3, 1048576, NULL },
    { "cpu", WH_OPT_DURATION, offsetof(pipe_words, cpu), APR_USEC_PER_SEC, (apr_int64_t)86400 * APR_USEC_PER_SEC, NULL },
    { "as", WH_OPT_SIZE, offsetof(pipe_words, as), 1024 * 1024, APR_INT64_C(1) << 46, NULL },
    { "fsize", WH_OPT_SIZE, offsetof(pipe_words, fsize), 0, APR_INT64_C(1) << 46, NULL },
    { "privileges", WH_OPT_ENUM, offsetof(pipe_words, privileges), 0, 0, "drop|keep" },
    { NULL, WH_OPT_STRING, 0, 0, 0, NULL }
};

static const char *umask_parse(mode_t *mask, const char *text, apr_pool_t *p)
{
    const char *c;
    unsigned value = 0;

    for (c = text; *c >= '0' && *c <= '7' && c - text < 4; c++)
        value = value * 8 + (unsigned)(*c - '0');
    if (*c || c == text || value > 0777)
        return apr_psprintf(p, "handler pipe: umask=%s is not an octal number from 0 to 0777", text);
    *mask = (mode_t)value;
    return NULL;
}

static const char *statuses_parse(unsigned char *verdict, const apr_array_header_t *list, int outcome, const char *option, apr_pool_t *p)
{
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        const char *text = APR_ARRAY_IDX(list, i, const char *);
        apr_int64_t status;

        if (wh_parse_int(text, strlen(text), 0, 255, &status) != APR_SUCCESS)
            return apr_psprintf(p, "handler pipe: %s=%s is not an exit status from 0 to 255", option, text);
        if (verdict[status] != WEBHOOK_OUTCOME_RETRY && verdict[status] != outcome)
            return apr_psprintf(p, "handler pipe: exit status %s is in both success= and fail=", text);
        verdict[status] = (unsigned char)outcome;
    }
    return NULL;
}

static void limit_add(wh_runner_command *c, int resource, apr_int64_t value)
{
    c->limits[c->limit_count].resource = resource;
    c->limits[c->limit_count++].value = (rlim_t)value;
}

static const char *program_check(const char *path, apr_pool_t *p)
{
    struct stat st;

    if (path[0] != '/')
        return apr_psprintf(p, "handler pipe: program \"%s\" must be given with its absolute path", path);
    if (stat(path, &st) != 0)
        return apr_psprintf(p, "handler pipe: no such program: \"%s\" (%s)", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
        return apr_psprintf(p, "handler pipe: \"%s\" is not an executable file", path);
    return NULL;
}

/* Arguments with slots. The program itself is never chosen by a delivery. */
static const char *arguments_parse(webhook_handler_conf *conf, apr_pool_t *pconf)
{
    char *const *argv = conf->command.argv;
    const wh_slotted **all;
    const char *err;
    int i, n;

    for (n = 0; argv[n]; n++)
        ;
    all = apr_pcalloc(pconf, sizeof(*all) * (apr_size_t)(n + 1));
    conf->slots = apr_array_make(pconf, 4, sizeof(webhook_slot));
    for (i = 0; i < n; i++) {
        wh_slotted *one;

        if (!strstr(argv[i], "%{"))
            continue;
        if (!i)
            return "handler pipe: the program itself cannot hold a value of the delivery (%{...}): only its arguments can";
        if ((err = wh_slotted_parse(&one, argv[i], WEBHOOK_PLACE_ARGUMENT, conf->slots, pconf)))
            return apr_pstrcat(pconf, "handler pipe: ", err, NULL);
        all[i] = one;
        conf->arguments = all;
    }
    if (conf->arguments && conf->mode == WH_PIPE_PERSISTENT)
        return "handler pipe: a persistent program is started before any delivery is there: its arguments cannot hold %{...}";
    return NULL;
}

static const char *pipe_configure(webhook_handler_conf **out, const char *target, const apr_array_header_t *options, apr_pool_t *pconf,
                                  apr_pool_t *ptemp)
{
    webhook_handler_conf *conf = apr_pcalloc(pconf, sizeof(*conf));
    pipe_words words;
    struct stat st;
    char **argv;
    const char *err;

    memset(&words, 0, sizeof(words));
    words.input = words.format = -1;
    words.cwd = "/";
    words.path = DEFAULT_PATH;
    words.fsize = -1;
    if ((err = wh_options_apply(&words, pipe_specs, options, "handler pipe", ptemp)))
        return err;

    if (apr_tokenize_to_argv(target, &argv, pconf) != APR_SUCCESS || !argv[0] || !argv[0][0])
        return apr_psprintf(ptemp, "handler pipe: \"%s\" is not a command line: the absolute path of a program and its arguments", target);
    conf->command.argv = argv;
    conf->mode = words.mode;
    if ((err = arguments_parse(conf, pconf)) || (err = program_check(argv[0], ptemp)))
        return err;
    conf->target = apr_pstrdup(pconf, target);
    if (words.input >= 0 && words.format >= 0)
        return "handler pipe: format= and input= are the same: give format= alone";
    if (words.format < 0)
        words.format = words.input;

    if (conf->mode == WH_PIPE_PERSISTENT && (words.success || words.fail || words.input >= 0))
        return "handler pipe: success=, fail= and input= are for mode=delivery; a persistent program gets envelopes and answers in lines";
    if (conf->mode == WH_PIPE_PERSISTENT && words.format >= 0 && words.format != WH_FORMAT_ENVELOPE && words.format != WH_FORMAT_CLOUDEVENTS)
        return "handler pipe: a persistent program gets lines (format= allowed with mode=persistent: envelope, cloudevents)";
    conf->format = words.format >= 0 ? (wh_format)words.format : conf->mode == WH_PIPE_PERSISTENT ? WH_FORMAT_ENVELOPE : WH_FORMAT_RAW;
    memset(conf->verdict, WEBHOOK_OUTCOME_RETRY, sizeof(conf->verdict));
    if (!words.success)
        conf->verdict[0] = WEBHOOK_OUTCOME_DONE;
    if ((err = statuses_parse(conf->verdict, words.success, WEBHOOK_OUTCOME_DONE, "success", ptemp))
        || (err = statuses_parse(conf->verdict, words.fail, WEBHOOK_OUTCOME_DEAD, "fail", ptemp)))
        return err;

    conf->command.umask = DEFAULT_UMASK;
    if (words.umask && (err = umask_parse(&conf->command.umask, words.umask, ptemp)))
        return err;
    if (words.cwd[0] != '/' || stat(words.cwd, &st) != 0 || !S_ISDIR(st.st_mode))
        return apr_psprintf(ptemp, "handler pipe: cwd=%s is not the absolute path of a directory", words.cwd);
    conf->command.cwd = apr_pstrdup(pconf, words.cwd);
    conf->path = apr_pstrdup(pconf, words.path);
    conf->command.keep_privileges = words.privileges;
    if (words.nproc)
        limit_add(&conf->command, RLIMIT_NPROC, words.nproc);
    if (words.nofile)
        limit_add(&conf->command, RLIMIT_NOFILE, words.nofile);
    if (words.cpu)
        limit_add(&conf->command, RLIMIT_CPU, (words.cpu + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC);
    if (words.as)
        limit_add(&conf->command, RLIMIT_AS, words.as);
    if (words.fsize >= 0)
        limit_add(&conf->command, RLIMIT_FSIZE, words.fsize);
    *out = conf;
    return NULL;
}

static const char *pipe_describe(const webhook_handler_conf *conf, apr_pool_t *p)
{
    return apr_psprintf(p, "program=%s\nmode=%s\nformat=%s\ncwd=%s\numask=%04o\npath=%s\nprivileges=%s\n", conf->target,
                        conf->mode == WH_PIPE_PERSISTENT ? "persistent" : "delivery", wh_format_names[conf->format], conf->command.cwd,
                        (unsigned)conf->command.umask, conf->path, conf->command.keep_privileges ? "keep" : "drop");
}

/* ---- the environment ---- */

static void env_put(char **env, int *n, const char *name, const char *value, apr_pool_t *p)
{
    const char *c;

    if (!value)
        return;
    for (c = value; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f || c - value >= WH_PIPE_VALUE_MAX)
            return;
    }
    env[(*n)++] = apr_pstrcat(p, name, "=", value, NULL);
}

static char **env_make(const webhook_handler_conf *conf, const webhook_attempt *attempt, apr_pool_t *p)
{
    const webhook_delivery *d = attempt->lease->delivery;
    char **env = apr_pcalloc(p, sizeof(char *) * ENV_MAX);
    char received[WH_RFC3339_LEN + 1];
    int n = 0;

    wh_format_time(received, d->received);
    /* The administrator's own and unlimited; everything below comes, or may come, from a request. */
    env[n++] = apr_pstrcat(p, "PATH=", conf->path, NULL);
    env_put(env, &n, "WEBHOOK_ID", d->id, p);
    env_put(env, &n, "WEBHOOK_ENDPOINT", d->endpoint, p);
    env_put(env, &n, "WEBHOOK_HANDLER", attempt->handler_name, p);
    env_put(env, &n, "WEBHOOK_ATTEMPT", apr_itoa(p, attempt->lease->attempt), p);
    env_put(env, &n, "WEBHOOK_SCHEME", d->scheme, p);
    env_put(env, &n, "WEBHOOK_VERIFIED", d->verified ? "1" : "0", p);
    env_put(env, &n, "WEBHOOK_KEY_ID", d->key_id, p);
    env_put(env, &n, "WEBHOOK_EVENT", d->event, p);
    env_put(env, &n, "WEBHOOK_SENDER_ID", d->sender_id, p);
    env_put(env, &n, "WEBHOOK_RECEIVED", received, p);
    env_put(env, &n, "WEBHOOK_REMOTE_ADDR", d->remote_addr, p);
    env_put(env, &n, "WEBHOOK_METHOD", d->method, p);
    env_put(env, &n, "WEBHOOK_URI", d->uri, p);
    env_put(env, &n, "WEBHOOK_CONTENT_TYPE", d->content_type, p);
    env_put(env, &n, "WEBHOOK_BODY_LENGTH", apr_psprintf(p, "%" APR_OFF_T_FMT, d->body_len), p);
    env_put(env, &n, "WEBHOOK_BODY_SHA256", d->body_sha256, p);
    if (conf->format == WH_FORMAT_CE_BINARY) {
        wh_ce_attribute attributes[WH_CE_ATTRIBUTES];
        int i, count = wh_ce_attributes(attributes, d, p);

        for (i = 0; i < count; i++) {
            char *name = apr_pstrcat(p, "CE_", attributes[i].name, NULL);

            for (char *c = name; *c; c++)
                *c = (char)apr_toupper(*c);
            env_put(env, &n, name, attributes[i].value, p);
        }
    }
    return env;
}

/* ---- the arguments ---- */

/* This delivery's command. @return NULL, or why there is none (then *how says what kind of failure it is) */
static const char *arguments_fill(wh_runner_command *out, wh_filled *how, const webhook_handler_conf *conf, const webhook_lease *lease,
                                  apr_pool_t *p)
{
    const wh_json *shape = wh_shape_open(lease->shape, p);
    int i, n, options = 1;
    const char *why;
    char **argv;
    wh_buf b;

    *how = WH_FILLED_BAD;
    for (n = 0; conf->command.argv[n]; n++)
        ;
    argv = apr_pcalloc(p, sizeof(*argv) * (apr_size_t)(n + 1));
    for (i = 0; i < n; i++) {
        argv[i] = conf->command.argv[i];
        if (!conf->arguments[i]) {
            options &= strcmp(argv[i], "--") != 0;
            continue;
        }
        wh_buf_init(&b, p, 64);
        *how = wh_slotted_fill(&b, conf->arguments[i], shape, &why);
        if (*how != WH_FILLED)
            return why;
        *how = WH_FILLED_BAD;
        if (b.len > WH_PIPE_ARGUMENT_MAX)
            return apr_psprintf(p, "argument %d of the program would be longer than %d bytes", i, WH_PIPE_ARGUMENT_MAX);
        if (options && *b.data == '-' && *wh_slotted_prefix(conf->arguments[i]) != '-')
            return apr_psprintf(p, "argument %d of the program would begin with '-' and be taken for an option (write -- before it)", i);
        argv[i] = b.data;
    }
    *out = conf->command;
    out->argv = argv;
    return NULL;
}

/* ---- a program per delivery ---- */

typedef struct running {
    struct running *next, **link;
    webhook_handler *handler;
    webhook_attempt *attempt;
    wh_runner *runner;
    int timer;
} running;

struct webhook_handler {
    const webhook_handler_conf *conf;
    webhook_loop *loop;
    const webhook_services *services;
    running *open;
    int stopping;
    wh_persistent *persistent; /* mode=persistent */
};

const char *wh_pipe_status_text(int status, apr_pool_t *p)
{
    if (WIFSIGNALED(status))
        return apr_psprintf(p, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return apr_psprintf(p, "exit status %d", WEXITSTATUS(status));
}

void wh_pipe_body_lost(webhook_loop *loop, const webhook_services *services, webhook_attempt *attempt, apr_status_t rv)
{
    webhook_attempt_result result;
    char text[120];

    memset(&result, 0, sizeof(result));
    /* No memory or no descriptors will pass; a file that is gone will not come back. */
    result.outcome = APR_STATUS_IS_ENOMEM(rv) || APR_STATUS_IS_EMFILE(rv) || APR_STATUS_IS_ENFILE(rv) ? WEBHOOK_OUTCOME_RETRY
                                                                                                       : WEBHOOK_OUTCOME_DEAD;
    result.reason = wh_failure_BODY_LOST;
    result.detail = apr_pstrdup(attempt->pool, apr_strerror(rv, text, sizeof(text)));
    services->finish(loop, attempt, &result);
}

static void classify(webhook_attempt_result *result, const running *run)
{
    const wh_runner *r = run->runner;
    const wh_runner_record *rec = &r->last;
    apr_pool_t *p = run->attempt->pool;

    memset(result, 0, sizeof(*result));
    result->outcome = WEBHOOK_OUTCOME_RETRY;
    result->output = r->output;
    if (rec->kind == WH_RUNNER_ENDED)
        result->code = WIFSIGNALED(rec->status) ? -WTERMSIG(rec->status) : WEXITSTATUS(rec->status);

    if (rec->stopped || (run->handler->stopping && rec->kind != WH_RUNNER_ENDED)) {
        /* Whatever it answered to a TERM it did not choose, it may not have done its work. */
        result->outcome = WEBHOOK_OUTCOME_RELEASED;
        result->reason = wh_failure_STOPPED;
    } else if (rec->kind == WH_RUNNER_NOT_STARTED) {
        result->reason = wh_failure_NOT_STARTED;
        result->detail = apr_psprintf(p, "%s: %s", wh_runner_step(rec->step), strerror(rec->error));
    } else if (rec->kind != WH_RUNNER_ENDED) {
        result->reason = wh_failure_LOST;
        result->detail = "the runner of the program was killed";
    } else if (rec->error) {
        result->reason = wh_failure_BODY_LOST;
        result->detail = apr_psprintf(p, "%s: %s", wh_runner_step(rec->step), strerror(rec->error));
    } else if (rec->timed_out) {
        result->reason = wh_failure_TIMEOUT;
        result->detail = apr_psprintf(p, "ended after %s: %s", wh_format_duration(run->attempt->timeout, p),
                                      wh_pipe_status_text(rec->status, p));
    } else if (WIFSIGNALED(rec->status)) {
        result->reason = wh_failure_SIGNAL;
        result->detail = wh_pipe_status_text(rec->status, p);
    } else {
        result->outcome = (webhook_outcome)run->handler->conf->verdict[WEXITSTATUS(rec->status)];
        if (result->outcome != WEBHOOK_OUTCOME_DONE) {
            result->reason = wh_failure_EXIT;
            result->detail = wh_pipe_status_text(rec->status, p);
        }
    }
    if (rec->kind == WH_RUNNER_ENDED && rec->output_total > rec->output_len)
        result->detail = apr_psprintf(p, "%s%soutput cut, %" APR_UINT64_T_FMT " bytes in all", result->detail ? result->detail : "",
                                      result->detail ? "; " : "", rec->output_total);
}

static void run_over(running *run)
{
    webhook_handler *h = run->handler;
    webhook_attempt_result result;

    h->services->cancel(h->loop, run->timer);
    if ((*run->link = run->next))
        run->next->link = run->link;
    classify(&result, run);
    h->services->finish(h->loop, run->attempt, &result);
}

static void on_report(int fd, int revents, void *baton)
{
    running *run = baton;

    (void)revents;
    if (!wh_runner_read(run->runner))
        return;
    run->handler->services->watch(run->handler->loop, fd, 0, NULL, NULL);
    wh_runner_end(run->runner);
    run_over(run);
}

/* The runner should have reported long ago: it is stopped, or waits for a program that hangs in the kernel. */
static void on_overdue(void *baton)
{
    running *run = baton;
    webhook_handler *h = run->handler;

    run->timer = 0;
    h->services->log(h->loop, WH_LOG_WARNING, "WH0650: the runner of a program of handler %s does not report; it is killed",
                     run->attempt->handler_name);
    h->services->watch(h->loop, run->runner->fd, 0, NULL, NULL);
    wh_runner_kill(run->runner);
    run_over(run);
}

static void pipe_start(webhook_handler *h, webhook_attempt *attempt)
{
    const webhook_delivery *d = attempt->lease->delivery;
    webhook_attempt_result result;
    wh_runner_job job;
    wh_filled how;
    running *run;
    apr_status_t rv;

    if (h->persistent) {
        wh_persistent_start(h->persistent, attempt);
        return;
    }
    memset(&job, 0, sizeof(job));
    rv = wh_delivery_body(d, &job.input, attempt->pool);
    if (rv != APR_SUCCESS) {
        wh_pipe_body_lost(h->loop, h->services, attempt, rv);
        return;
    }
    if (wh_format_type(h->conf->format))
        job.input = wh_format_line(h->conf->format, attempt, job.input);
    job.command = &h->conf->command;
    if (h->conf->arguments) {
        wh_runner_command *command = apr_palloc(attempt->pool, sizeof(*command));
        const char *why = arguments_fill(command, &how, h->conf, attempt->lease, attempt->pool);

        if (why) {
            wh_format_failed(&result, how, why);
            h->services->finish(h->loop, attempt, &result);
            return;
        }
        job.command = command;
    }
    job.env = env_make(h->conf, attempt, attempt->pool);
    job.capture = attempt->capture;
    job.timeout = attempt->timeout;
    job.grace = WH_PIPE_GRACE;

    run = apr_pcalloc(attempt->pool, sizeof(*run));
    run->handler = h;
    run->attempt = attempt;
    rv = wh_runner_start(&run->runner, &job, attempt->pool);
    if (rv != APR_SUCCESS) {
        memset(&result, 0, sizeof(result));
        result.outcome = WEBHOOK_OUTCOME_RETRY;
        result.reason = wh_failure_NOT_STARTED;
        result.detail = apr_psprintf(attempt->pool, "%s: %s", wh_runner_step(0), strerror(rv));
        h->services->finish(h->loop, attempt, &result);
        return;
    }
    run->next = h->open;
    if (run->next)
        run->next->link = &run->next;
    run->link = &h->open;
    h->open = run;
    attempt->handler_data = run;
    run->timer = h->services->timer(h->loop, attempt->timeout + WH_PIPE_GRACE + WH_PIPE_PATIENCE, on_overdue, run);
    h->services->watch(h->loop, run->runner->fd, WEBHOOK_WATCH_READ, on_report, run);
}

static void pipe_stop(webhook_handler *h, apr_interval_time_t kill_after)
{
    running *run;

    h->stopping = 1;
    if (h->persistent) {
        wh_persistent_stop(h->persistent, kill_after);
        return;
    }
    for (run = h->open; run; run = run->next)
        wh_runner_stop(run->runner, kill_after);
}

static void pipe_close(webhook_handler *h)
{
    running *run;

    if (h->persistent)
        wh_persistent_close(h->persistent);
    /* Only when a stop ran out of time: the dispatcher has settled these already, their attempts' memory still stands. */
    for (run = h->open; run; run = run->next) {
        h->services->cancel(h->loop, run->timer);
        h->services->watch(h->loop, run->runner->fd, 0, NULL, NULL);
        wh_runner_kill(run->runner);
    }
    h->open = NULL;
}

static apr_status_t pipe_open(webhook_handler **out, const webhook_handler_conf *conf, const char *name, webhook_loop *loop,
                              const webhook_services *services, apr_pool_t *p, webhook_result *res)
{
    webhook_handler *h = apr_pcalloc(p, sizeof(*h));
    apr_status_t rv = APR_SUCCESS;

    h->conf = conf;
    h->loop = loop;
    h->services = services;
    if (conf->mode == WH_PIPE_PERSISTENT)
        rv = wh_persistent_open(&h->persistent, conf, name, loop, services, p);
    if (rv != APR_SUCCESS) {
        res->rv = rv;
        res->reason = wh_failure_NOT_STARTED;
        res->detail = "the persistent program cannot be prepared";
        return rv;
    }
    *out = h;
    return APR_SUCCESS;
}

static const apr_array_header_t *pipe_slots(const webhook_handler_conf *conf)
{
    return conf->slots;
}

const webhook_handler_provider wh_handler_pipe = {
    .name = "pipe",
    .configure = pipe_configure,
    .open = pipe_open,
    .start = pipe_start,
    .stop = pipe_stop,
    .close = pipe_close,
    .describe = pipe_describe,
    .slots = pipe_slots,
};
