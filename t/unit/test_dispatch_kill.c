/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatchers over SQLite with real programs, each killed with SIGKILL after a random while: every job is done in the end, no job ever runs
 * twice at the same time, no attempt number is used twice.
 */
#include <apr_hash.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "dispatch/dispatch.h"
#include "dispatch/handlers.h"
#include "store_fixture.h"
#include "tap.h"

static void kills(void)
{
    wh_store_spec *spec = fx_sqlite("kills", NULL);
    const char *ran = apr_pstrcat(fx_pool, fx_dir, "/ran", NULL), *err, *path;
    apr_array_header_t *handlers = apr_array_make(fx_pool, 1, sizeof(wh_handler_def *));
    apr_array_header_t *options = apr_array_make(fx_pool, 1, sizeof(webhook_option));
    webhook_option opt = { "concurrency", "3" };
    wh_dispatch_conf conf;
    wh_handler_def *def;
    webhook_result res;
    webhook_store *store;
    int cycle, n = 60, i, fd, overlaps = 0;
    unsigned dice = 7;
    const char *text;
    apr_pool_t *p;

    mkdir(ran, 0755);
    /* mkdir is the lock: an attempt that finds it while its owner lives ran at the same time as another. */
    text = apr_psprintf(fx_pool,
                        "#!/bin/sh\ncd %s\nif ! mkdir $WEBHOOK_ID 2>/dev/null; then read p < $WEBHOOK_ID/pid\n"
                        "[ -n \"$p\" ] && kill -0 $p 2>/dev/null && [ $p != $$ ] && echo \"$WEBHOOK_ID $p $$\" >> overlap; fi\n"
                        "echo $$ > $WEBHOOK_ID/pid\nsleep 0.05\necho $WEBHOOK_ID $WEBHOOK_ATTEMPT >> done\nrm -r $WEBHOOK_ID\n",
                        ran);
    path = apr_pstrcat(fx_pool, fx_dir, "/program", NULL);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    (void)!write(fd, text, strlen(text));
    fchmod(fd, 0755);
    close(fd);
    APR_ARRAY_PUSH(options, webhook_option) = opt;
    err = wh_handler_define(&def, &wh_handler_pipe, "h", path, options, fx_pool, fx_pool);
    is_str(err, NULL, "a pipe handler");
    APR_ARRAY_PUSH(handlers, wh_handler_def *) = def;

    is_int(fx_init(spec, &res), APR_SUCCESS, "a SQLite store");
    apr_pool_create(&p, fx_pool);
    store = fx_open(spec, p);
    for (i = 0; i < n; i++)
        fx_accept(spec, store, fx_small(p, NULL, "h", NULL, apr_time_now()), apr_time_now());
    memset(&conf, 0, sizeof(conf));
    conf.store = spec->provider;
    conf.store_conf = spec->conf;
    conf.handlers = handlers;
    conf.wake_fd = conf.parent_pidfd = conf.life_fd = conf.lifeline_fd = -1;
    for (cycle = 0; cycle <= 40; cycle++) {
        pid_t pid = fork();
        apr_time_t end = apr_time_now() + SECONDS(300);

        if (pid == 0)
            _exit(wh_dispatch_run(&conf, fx_pool));
        dice = dice * 1103515245u + 12345u;
        apr_sleep(20000 + (dice >> 8) % 200000);
        /* the last one may finish what is left */
        while (cycle == 40 && fx_stats(spec, store).done < n && apr_time_now() < end)
            apr_sleep(20000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    is_int(fx_stats(spec, store).done, n, "all jobs are done in the end, over %d killed dispatchers", cycle);
    {
        FILE *f = fopen(apr_pstrcat(fx_pool, ran, "/overlap", NULL), "r");
        apr_hash_t *seen = apr_hash_make(p);
        char line[200];
        int again = 0;

        while (f && fgets(line, sizeof(line), f)) {
            overlaps++;
            diag("overlap: %s", line);
        }
        if (f)
            fclose(f);
        is_int(overlaps, 0, "no job ran twice at the same time");
        f = fopen(apr_pstrcat(fx_pool, ran, "/done", NULL), "r");
        for (i = 0; f && fgets(line, sizeof(line), f); i++) {
            again += apr_hash_get(seen, line, APR_HASH_KEY_STRING) != NULL;
            apr_hash_set(seen, apr_pstrdup(p, line), APR_HASH_KEY_STRING, "");
        }
        if (f)
            fclose(f);
        is_int(again, 0, "no attempt number came twice");
        ok(i >= n, "every job's program ran to its end (%d ends for %d jobs)", i, n);
    }
    apr_pool_destroy(p);
}

int main(void)
{
    fx_begin();
    kills();
    ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "no child is left, dead or alive");
    return tap_done();
}
