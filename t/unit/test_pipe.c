/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode=delivery of the pipe handler with real programs: what they see, how their end is understood, and that nothing of them survives.
 */
#include <sys/resource.h>

#include "dispatch/pipe.h"
#include "handler_harness.h"

static char *big;
#define BIG (25 * 1024 * 1024)

/* ---- configuration ---- */

static void configuration(void)
{
    static const char *const wrong[][2] = {
        { "", "" }, { "relative/path", "" }, { "/nonexistent/program", "" }, { "/etc", "" }, { "/etc/passwd", "" },
        { "/bin/sh", "mode=other" }, { "/bin/sh", "umask=8" }, { "/bin/sh", "umask=01000" }, { "/bin/sh", "umask=0x1" },
        { "/bin/sh", "fail=256" }, { "/bin/sh", "fail=-1" }, { "/bin/sh", "fail=x" }, { "/bin/sh", "fail=0" },
        { "/bin/sh", "success=3 fail=3" }, { "/bin/sh", "cwd=relative" }, { "/bin/sh", "cwd=/nonexistent" },
        { "/bin/sh", "cwd=/etc/passwd" }, { "/bin/sh", "nproc=0" }, { "/bin/sh", "nofile=2" }, { "/bin/sh", "privileges=all" },
        { "/bin/sh", "unknown=1" }, { "/bin/sh", "concurrency=0" }, { "/bin/sh", "concurrency=1025" }, { "/bin/sh", "timeout=10" },
        { "/bin/sh", "capture=17M" }, { "/bin/sh", "mode=persistent input=envelope" }, { "/bin/sh", "mode=persistent fail=3" },
        { NULL, NULL }
    };
    wh_handler_def *def;
    const char *err;
    int i;

    for (i = 0; wrong[i][0]; i++) {
        err = wh_handler_define(&def, &wh_handler_pipe, "h", wrong[i][0], options_of(wrong[i][1]), top, top);
        ok(err != NULL, "refused: \"%s\" %s: %s", wrong[i][0], wrong[i][1], err ? err : "");
    }
    err = wh_handler_define(&def, &wh_handler_pipe, "h", "/bin/sh -c 'a b' \"c d\" e\\ f", options_of(""), top, top);
    is_str(err, NULL, "a command line with quotes");
    is_int(def->concurrency, 4, "default concurrency");
    is_int(def->timeout, SECONDS(30), "default timeout");
    is_int(def->capture, 65536, "default capture");
    is_str(def->conf->command.argv[2], "a b", "single quotes");
    is_str(def->conf->command.argv[3], "c d", "double quotes");
    is_str(def->conf->command.argv[4], "e f", "backslash");
    ok(!def->conf->command.argv[5], "and no more");
    ok(strstr(wh_handler_pipe.describe(def->conf, top), "mode=delivery") != NULL, "described");
    ok(wh_handler_builtin("pipe") == &wh_handler_pipe, "found by name");
    ok(!wh_handler_builtin("nosuch"), "and nothing else is");
}

/* ---- what a program sees ---- */

static void environment(void)
{
    opened raw = open_handler(&wh_handler_pipe, "/bin/cat /proc/self/environ", "path=/opt/x:/bin");
    const char *want, *end;
    tried *t;
    char *long_value = apr_pcalloc(top, WH_PIPE_VALUE_MAX + 2), *max_value;

    t = make_attempt(&raw, "{}", 2);
    t->lease.attempt = 7;
    start_attempt(&raw, t);
    ok(wait_ended(t), "the environment was printed");
    want = apr_psprintf(top,
                        "PATH=/opt/x:/bin\nWEBHOOK_ID=%s\nWEBHOOK_ENDPOINT=github\nWEBHOOK_HANDLER=h\nWEBHOOK_ATTEMPT=7\n"
                        "WEBHOOK_SCHEME=github\nWEBHOOK_VERIFIED=1\nWEBHOOK_KEY_ID=2026\nWEBHOOK_EVENT=push\n"
                        "WEBHOOK_SENDER_ID=72d3162e-cc78-11e3-81ab-4c9367dc0958\nWEBHOOK_RECEIVED=2023-11-14T22:13:20.123Z\n"
                        "WEBHOOK_REMOTE_ADDR=192.0.2.1\nWEBHOOK_METHOD=POST\nWEBHOOK_URI=/hooks/github?x=1&y=%%20z\n"
                        "WEBHOOK_CONTENT_TYPE=application/json\nWEBHOOK_BODY_LENGTH=2\nWEBHOOK_BODY_SHA256=%s\n",
                        t->delivery.id, t->delivery.body_sha256);
    for (end = t->result.output.data; end < t->result.output.data + t->result.output.len; end++) {
        if (!*end)
            *(char *)(uintptr_t)end = '\n';
    }
    is_str(t->result.output.data, want, "the environment is exactly the fixed one");

    memset(long_value, 'a', WH_PIPE_VALUE_MAX + 1);
    max_value = apr_pstrmemdup(top, long_value, WH_PIPE_VALUE_MAX);
    t = make_attempt(&raw, "{}", 2);
    t->delivery.uri = long_value;
    t->delivery.event = "a\nLD_PRELOAD=/x";
    t->delivery.sender_id = "tab\there";
    t->delivery.content_type = "\x7f";
    t->delivery.key_id = NULL;
    t->delivery.verified = 0;
    t->delivery.remote_addr = max_value;
    t->delivery.method = "$(id) `id` ; \"'\\ \xc3\xa4\xff -x";
    start_attempt(&raw, t);
    ok(wait_ended(t), "hostile values");
    {
        const char *at = t->result.output.data, *all_end = at + t->result.output.len;
        int n = 0, odd = 0, method = 0, addr = 0;

        for (; at < all_end; at += strlen(at) + 1, n++) {
            if (!strncmp(at, "WEBHOOK_METHOD=", 15))
                method = !strcmp(at + 15, t->delivery.method);
            else if (!strncmp(at, "WEBHOOK_REMOTE_ADDR=", 20))
                addr = !strcmp(at + 20, max_value);
            else if (strncmp(at, "WEBHOOK_", 8) && strncmp(at, "PATH=/opt/x:/bin", 17))
                odd++;
            if (!strncmp(at, "WEBHOOK_URI", 11) || !strncmp(at, "WEBHOOK_EVENT", 13) || !strncmp(at, "WEBHOOK_SENDER", 14)
                || !strncmp(at, "WEBHOOK_CONTENT", 15) || !strncmp(at, "WEBHOOK_KEY", 11))
                odd++;
        }
        is_int(odd, 0, "values with control bytes or too long are left out, nothing was injected");
        is_int(n, 12, "and everything else is there");
        ok(method, "printable bytes come through unchanged, whatever a shell would make of them");
        ok(addr, "the longest value allowed comes through");
    }
    close_handler(&raw);
}

static void descriptors_and_state(void)
{
    opened o;
    tried *t;
    int leak = open("/etc/passwd", O_RDONLY), i; /* deliberately without CLOEXEC */

    for (i = 100; i < 110; i++)
        dup2(leak, i);
    o = open_handler(&wh_handler_pipe, "/bin/ls /proc/self/fd", "");
    t = run_attempt(&o, "x");
    is_str(t->result.output.data, "0\n1\n2\n3\n", "descriptors 0, 1, 2 (and ls's own of the directory)");
    close_handler(&o);
    for (i = 100; i < 110; i++)
        close(i);
    close(leak);

    /* Odd signal state in the dispatcher must not reach the program. */
    {
        sigset_t set, old;

        sigfillset(&set);
        sigprocmask(SIG_BLOCK, &set, &old);
        signal(SIGUSR1, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        o = open_handler(&wh_handler_pipe, "/bin/grep -E ^(SigBlk|SigIgn|NoNewPrivs): /proc/self/status", "");
        t = run_attempt(&o, "x");
        is_str(t->result.output.data, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nNoNewPrivs:\t1\n",
               "no signal blocked or ignored, no_new_privs set");
        close_handler(&o);
        signal(SIGUSR1, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        sigprocmask(SIG_SETMASK, &old, NULL);
    }
    o = open_handler(&wh_handler_pipe, "/bin/grep ^NoNewPrivs: /proc/self/status", "privileges=keep");
    is_str(run_attempt(&o, "x")->result.output.data, "NoNewPrivs:\t0\n", "privileges=keep");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe, script("state", "umask; pwd -P; ulimit -n; ulimit -t; ulimit -f; ulimit -v\n"), "");
    ok(!strncmp(run_attempt(&o, "x")->result.output.data, "0027\n/\n", 7), "default umask 027 and directory /");
    close_handler(&o);
    o = open_handler(&wh_handler_pipe, apr_pstrcat(top, dir, "/state", NULL),
                     apr_psprintf(top, "umask=0077 cwd=%s nofile=50 cpu=1500ms fsize=1M as=512M nproc=10000", dir));
    t = run_attempt(&o, "x");
    is_str(t->result.output.data, apr_psprintf(top, "0077\n%s\n50\n2\n2048\n524288\n", dir), "umask, cwd and limits as configured");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe, apr_pstrcat(top, script("args", "printf '<%s>' \"$@\"\n"), " 'a b' -x \"$HOME `id`\" ''", NULL), "");
    is_str(run_attempt(&o, "x")->result.output.data, "<a b><-x><$HOME `id`><>", "arguments reach the program as written, no shell");
    close_handler(&o);
    o = open_handler(&wh_handler_pipe, script("groups", "echo $$ $(cut -d' ' -f5,6 /proc/$$/stat)\n"), "");
    t = run_attempt(&o, "x");
    {
        int pid, group, session;

        ok(sscanf(t->result.output.data, "%d %d %d", &pid, &group, &session) == 3 && pid == group && session != getsid(0)
               && group != getpgrp(),
           "the program leads a process group of its own, in another session");
    }
    close_handler(&o);
}

static void input(void)
{
    opened o = open_handler(&wh_handler_pipe, "/usr/bin/sha256sum", "concurrency=8"), env;
    char sha[65];
    tried *t, *many[8];
    int i, right = 0;

    t = make_attempt(&o, big, BIG);
    start_attempt(&o, t);
    ok(wait_ended(t), "25 MiB on standard input");
    wh_sha256_hex(sha, big, BIG);
    ok(!strncmp(t->result.output.data, sha, 64), "byte for byte");
    t = make_attempt(&o, "a\0b\xff\n", 5);
    start_attempt(&o, t);
    wait_ended(t);
    wh_sha256_hex(sha, "a\0b\xff\n", 5);
    ok(!strncmp(t->result.output.data, sha, 64), "NUL and other bytes too");
    t = make_attempt(&o, "", 0);
    start_attempt(&o, t);
    wait_ended(t);
    ok(!strncmp(t->result.output.data, "e3b0c44298fc1c149afbf4c8996fb924", 32), "an empty body is an empty input");

    t = make_attempt(&o, NULL, 0);
    t->delivery.body.data = NULL;
    t->delivery.body_file = put_file("body", big, 1000000, 0600);
    t->delivery.body_len = 1000000;
    start_attempt(&o, t);
    wait_ended(t);
    wh_sha256_hex(sha, big, 1000000);
    ok(!strncmp(t->result.output.data, sha, 64), "a body from its file");
    t = make_attempt(&o, NULL, 0);
    t->delivery.body_file = "/nonexistent/body";
    t->delivery.body_len = 5;
    start_attempt(&o, t);
    is_int(t->result.outcome, WEBHOOK_OUTCOME_DEAD, "a body file that is gone: dead");
    is_str(t->result.reason, "body-lost", "with its reason");

    for (i = 0; i < 8; i++)
        many[i] = begin_attempt(&o, apr_psprintf(top, "body %d", i));
    for (i = 0; i < 8; i++) {
        wait_ended(many[i]);
        wh_sha256_hex(sha, apr_psprintf(top, "body %d", i), 6);
        right += !strncmp(many[i]->result.output.data, sha, 64);
    }
    is_int(right, 8, "eight programs at once, each with its own body");
    close_handler(&o);

    env = open_handler(&wh_handler_pipe, "/bin/cat", "input=envelope");
    t = run_attempt(&env, "{\"a\":1}");
    ok(!strncmp(t->result.output.data, "{\"webhook\":1,\"id\":\"", 19) && strstr(t->result.output.data, "\"body\":\"{\\\"a\\\":1}\"")
           && strstr(t->result.output.data, "\"attempt\":1") && t->result.output.data[t->result.output.len - 1] == '\n'
           && strchr(t->result.output.data, '\n') == t->result.output.data + t->result.output.len - 1,
       "input=envelope: one line of JSON");
    close_handler(&env);

    o = open_handler(&wh_handler_pipe, script("noread", "exec 0<&-; echo closed; exit 0\n"), "");
    t = make_attempt(&o, big, BIG);
    start_attempt(&o, t);
    ok(wait_ended(t) && t->result.outcome == WEBHOOK_OUTCOME_DONE, "a program may close its input unread");
    is_str(t->result.output.data, "closed\n", "and go on");
    close_handler(&o);
    o = open_handler(&wh_handler_pipe, "/bin/sleep 0.1", "");
    t = make_attempt(&o, big, BIG);
    start_attempt(&o, t);
    ok(wait_ended(t) && t->result.outcome == WEBHOOK_OUTCOME_DONE, "or never read it");
    close_handler(&o);
}

static void output(void)
{
    opened o = open_handler(&wh_handler_pipe, script("flood", "head -c 10000000 /dev/zero | tr '\\0' x; echo err >&2\n"), "capture=1000");
    tried *t = run_attempt(&o, "x");

    is_int(t->result.outcome, WEBHOOK_OUTCOME_DONE, "10 MB of output do not block the program");
    is_int(t->result.output.len, 1000, "capture= bytes are kept");
    is_int(strspn(t->result.output.data, "x"), 1000, "the first ones");
    ok(t->result.detail && strstr(t->result.detail, "10000004 bytes"), "the rest is counted (%s)", t->result.detail);
    close_handler(&o);
    o = open_handler(&wh_handler_pipe, script("both", "echo out; echo err >&2; echo out2\n"), "");
    is_str(run_attempt(&o, "x")->result.output.data, "out\nerr\nout2\n", "standard output and error together, in order");
    close_handler(&o);
    o = open_handler(&wh_handler_pipe, script("none", "echo out\n"), "capture=0");
    t = run_attempt(&o, "x");
    is_int(t->result.output.len, 0, "capture=0 keeps nothing");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_DONE, "and is no failure");
    close_handler(&o);
}

/* ---- how it ends ---- */

static void outcomes(void)
{
    static const struct {
        const char *text;
        int outcome, code;
        const char *reason;
    } table[] = {
        { "exit 0", WEBHOOK_OUTCOME_DONE, 0, NULL },
        { "exit 1", WEBHOOK_OUTCOME_RETRY, 1, "exit-status" },
        { "exit 75", WEBHOOK_OUTCOME_RETRY, 75, "exit-status" },
        { "exit 65", WEBHOOK_OUTCOME_DEAD, 65, "exit-status" },
        { "exit 78", WEBHOOK_OUTCOME_DEAD, 78, "exit-status" },
        { "exit 10", WEBHOOK_OUTCOME_DONE, 10, NULL },
        { "exit 255", WEBHOOK_OUTCOME_RETRY, 255, "exit-status" },
        { "kill -SEGV $$", WEBHOOK_OUTCOME_RETRY, -SIGSEGV, "signal" },
        { "kill -KILL $$", WEBHOOK_OUTCOME_RETRY, -SIGKILL, "signal" },
        { "kill -TERM $$", WEBHOOK_OUTCOME_RETRY, -SIGTERM, "signal" },
    };
    size_t i;
    opened o;
    tried *t;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        o = open_handler(&wh_handler_pipe, script(apr_psprintf(top, "outcome%d", (int)i), table[i].text), "success=0,10 fail=65,78");
        t = run_attempt(&o, "x");
        is_int(t->result.outcome, table[i].outcome, "%s: outcome", table[i].text);
        is_int(t->result.code, table[i].code, "%s: code", table[i].text);
        is_str(t->result.reason, table[i].reason, "%s: reason", table[i].text);
        close_handler(&o);
    }
    o = open_handler(&wh_handler_pipe, script("default65", "exit 65"), "");
    is_int(run_attempt(&o, "x")->result.outcome, WEBHOOK_OUTCOME_RETRY, "without fail= no exit status is permanent");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe, put_file("badexec", "#!/nonexistent/interpreter\n", 27, 0755), "");
    t = run_attempt(&o, "x");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RETRY, "a program that cannot be executed: retry");
    is_str(t->result.reason, "not-started", "not-started");
    is_str(t->result.detail, "exec: No such file or directory", "saying why");
    unlink(apr_pstrcat(top, dir, "/badexec", NULL));
    t = run_attempt(&o, "x");
    is_str(t->result.detail, "exec: No such file or directory", "a program removed since configuration");
    close_handler(&o);
    if (geteuid() == 0) {
        mkdir(apr_pstrcat(top, dir, "/cwd", NULL), 0755);
        o = open_handler(&wh_handler_pipe, "/bin/true", apr_pstrcat(top, "cwd=", dir, "/cwd", NULL));
        rmdir(apr_pstrcat(top, dir, "/cwd", NULL));
        is_str(run_attempt(&o, "x")->result.detail, "chdir: No such file or directory", "a working directory removed since");
        close_handler(&o);
    } else {
        skip("needs no particular user, but keeps the count");
    }
    o = open_handler(&wh_handler_pipe, script("fat", "exec head -c 3000000 /dev/zero > $D/fat.out"), "fsize=1M");
    is_int(run_attempt(&o, "x")->result.code, -SIGXFSZ, "fsize= ends a program that writes more");
    close_handler(&o);
    o = open_handler(&wh_handler_pipe, script("burn", "while :; do :; done"), "cpu=1s");
    t = run_attempt(&o, "x");
    ok(t->result.code == -SIGXCPU || t->result.code == -SIGKILL, "cpu= ends a program that only computes (code %d)", t->result.code);
    close_handler(&o);
}

/* ---- nothing survives ---- */

static void timeouts(void)
{
    opened o = open_handler(&wh_handler_pipe, script("slow", "echo begun; sleep 100\n"), "timeout=2s");
    tried *t = run_attempt(&o, "x");

    is_int(t->result.outcome, WEBHOOK_OUTCOME_RETRY, "a program that takes too long: retry");
    is_str(t->result.reason, "timeout", "timeout");
    is_int(t->result.code, -SIGTERM, "ended by TERM");
    is_str(t->result.output.data, "begun\n", "what it wrote is kept");
    ok(t->finished - t->started >= SECONDS(2), "not before its time");
    ok(t->finished - t->started < SECONDS(2) + WH_PIPE_GRACE, "and without waiting for KILL");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe,
                     script("stubborn", "trap '' TERM; echo $$ > $D/s1; (trap '' TERM; sleep 100) & echo $! > $D/s2; sleep 100; sleep 100\n"),
                     "timeout=2s");
    t = run_attempt(&o, "x");
    is_int(t->result.code, -SIGKILL, "one that ignores TERM is killed");
    ok(t->finished - t->started >= WH_PIPE_GRACE, "after the grace");
    ok(goes_away(pid_in("s1")) && pid_in("s1") > 0, "it is gone");
    ok(goes_away(pid_in("s2")) && pid_in("s2") > 0, "and its children are");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe, script("polite", "trap 'exit 0' TERM; sleep 100 & wait\n"), "timeout=300ms");
    t = run_attempt(&o, "x");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RETRY, "exit 0 because of TERM is not success");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe, script("stopped", "kill -STOP $$\n"), "timeout=2s");
    t = run_attempt(&o, "x");
    is_int(t->result.code, -SIGKILL, "a stopped program is killed as well");
    close_handler(&o);
}

static void leftovers(void)
{
    opened o;
    tried *t;

    o = open_handler(&wh_handler_pipe, script("holder", "sleep 100 & echo $! > $D/h1; echo out; exit 0\n"), "");
    t = run_attempt(&o, "x");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_DONE, "a background child that holds standard output does not hang the attempt");
    is_str(t->result.output.data, "out\n", "its output is there");
    ok(t->finished - t->started < CEILING, "it took no longer than it had to");
    ok(pid_in("h1") > 0 && goes_away(pid_in("h1")), "the child is gone");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe, script("quiet", "sleep 100 >/dev/null 2>&1 </dev/null & echo $! > $D/q1; exit 3\n"), "");
    t = run_attempt(&o, "x");
    is_int(t->result.code, 3, "a background child with its own output");
    ok(pid_in("q1") > 0 && goes_away(pid_in("q1")), "is gone as well");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe, script("forks", "for i in 1 2 3 4 5 6 7 8; do (sleep 100 & sleep 100) & done; sleep 100\n"),
                     "timeout=200ms");
    t = run_attempt(&o, "x");
    is_str(t->result.reason, "timeout", "a program with many children");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe, script("daemon", "export D; setsid sh -c 'echo $$ > $D/d1; exec sleep 100' & while [ ! -s $D/d1 ]; do sleep 0.01; done\n"), "");
    t = run_attempt(&o, "x");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_DONE, "a program may start a daemon");
    ok(is_alive(pid_in("d1")), "one that moved to a session of its own is left alone");
    if (pid_in("d1") > 0)
        kill(pid_in("d1"), SIGKILL);
    close_handler(&o);
}

static void stops(void)
{
    opened o = open_handler(&wh_handler_pipe, script("long", "echo $$ > $D/l1; trap '' TERM; sleep 100; sleep 100\n"), "");
    tried *t = begin_attempt(&o, "x"), *u;
    apr_time_t t0;

    wait_file("l1");
    t0 = wh_monotonic();
    wh_handler_pipe.stop(o.handler, apr_time_from_msec(300));
    ok(wait_ended(t), "a stop ends a running program");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RELEASED, "released");
    is_str(t->result.reason, "stopped", "stopped");
    ok(wh_monotonic() - t0 >= apr_time_from_msec(300), "KILL came after the time given");
    ok(goes_away(pid_in("l1")), "it is gone");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe, script("long2", "echo $$ > $D/l2; sleep 100\n"), "");
    u = begin_attempt(&o, "x");
    wait_file("l2");
    close_handler(&o);
    ok(goes_away(pid_in("l2")), "closing with an open attempt kills its program");
    is_int(u->ended, 0, "and does not report it");
}

static int count_processes(const char *needle)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d))) {
        char path[300], text[4096];
        ssize_t got, i;
        int fd;

        snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
        if (e->d_name[0] < '0' || e->d_name[0] > '9' || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
            continue;
        got = read(fd, text, sizeof(text) - 1);
        close(fd);
        for (i = 0; i < got; i++) {
            if (!text[i])
                text[i] = ' ';
        }
        text[got > 0 ? got : 0] = '\0';
        n += strstr(text, needle) != NULL;
    }
    if (d)
        closedir(d);
    return n;
}

/* A dispatcher of its own, killed in the middle. */
static void abandoned(void)
{
    const char *path = script("orphan", "echo $$ > $D/o1; trap '' TERM; (trap '' TERM; sleep 100) & echo $! > $D/o2; sleep 100; sleep 100\n");
    apr_interval_time_t took = SECONDS(2);
    int i;

    /* the machine may stand still for a while: not always */
    for (i = 0; i < 10 && took >= SECONDS(2); i++) {
        apr_time_t t0;
        pid_t pid;

        unlink(apr_pstrcat(top, dir, "/o1", NULL));
        unlink(apr_pstrcat(top, dir, "/o2", NULL));
        pid = fork();
        if (pid == 0) {
            opened o;

            wh_loop_create(&loop, on_ended, NULL, top);
            o = open_handler(&wh_handler_pipe, path, "");
            begin_attempt(&o, "x");
            for (;;)
                wh_loop_once(loop, SECONDS(1));
        }
        ok(wait_file("o2"), "a program of another dispatcher runs");
        kill(pid, SIGKILL);
        t0 = wh_monotonic();
        waitpid(pid, NULL, 0);
        ok(pid_in("o1") > 0 && goes_away(pid_in("o1")) && pid_in("o2") > 0 && goes_away(pid_in("o2")), "it is gone with its children after the dispatcher was killed");
        took = wh_monotonic() - t0;
    }
    ok(took < SECONDS(2), "within two seconds");
}

static void runner_killed(void)
{
    opened o = open_handler(&wh_handler_pipe, script("widow", "echo $PPID > $D/w1; (sleep 100) & echo $! > $D/w2; echo $$ > $D/w3; sleep 100\n"), "");
    tried *t = begin_attempt(&o, "x");

    wait_file("w3");
    kill(pid_in("w1"), SIGKILL);
    ok(wait_ended(t), "the attempt ends when its runner is killed");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RETRY, "retry");
    is_str(t->result.reason, "lost", "lost");
    ok(goes_away(pid_in("w3")) && goes_away(pid_in("w2")), "the program and its children are gone");
    close_handler(&o);
}

/* What shows that the dispatcher lives is kept open by runners, not by programs. */
static void held(void)
{
    opened o = open_handler(&wh_handler_pipe, script("list", "ls /proc/$$/fd; echo $$ > $D/held; while [ ! -e $D/seen ]; do sleep 0.01; done\n"), "");
    int ends[2];
    char c;
    tried *t;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        exit(1);
    wh_runner_hold(ends[1]);
    t = begin_attempt(&o, "x");
    wh_runner_hold(-1);
    close(ends[1]);
    wait_file("held");
    ok(read(ends[0], &c, 1) < 0 && errno == EAGAIN, "the held descriptor is open while the program runs");
    put_file("seen", "", 0, 0644);
    wait_ended(t);
    ok(!strstr(t->result.output.data, "3\n4") && !strstr(t->result.output.data, "4\n"), "the program does not have it");
    ok(read(ends[0], &c, 1) == 0, "it is closed afterwards");
    close(ends[0]);
    close_handler(&o);
}

static void exhaustion(void)
{
    opened o = open_handler(&wh_handler_pipe, "/bin/true", "");
    struct rlimit rl, low;
    tried *t;

    getrlimit(RLIMIT_NOFILE, &rl);
    low = rl;
    low.rlim_cur = (rlim_t)(open("/dev/null", O_RDONLY | O_CLOEXEC));
    close((int)low.rlim_cur);
    setrlimit(RLIMIT_NOFILE, &low);
    t = begin_attempt(&o, "x");
    setrlimit(RLIMIT_NOFILE, &rl);
    wait_ended(t);
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RETRY, "no descriptors: retry");
    is_str(t->result.reason, "not-started", "not-started");
    t = run_attempt(&o, "x");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_DONE, "and it works again afterwards");
    close_handler(&o);
}

int main(void)
{
    int fds;

    harness_begin();
    big = malloc(BIG);
    if (!big)
        return 1;
    {
        unsigned x = 1;
        size_t i;

        for (i = 0; i < BIG; i++)
            big[i] = (char)((x = x * 1103515245u + 12345u) >> 16);
    }
    fds = count_fds();
    configuration();
    environment();
    descriptors_and_state();
    input();
    output();
    outcomes();
    timeouts();
    leftovers();
    stops();
    abandoned();
    runner_killed();
    held();
    exhaustion();
    ok(no_children(), "no child is left, dead or alive");
    is_int(count_fds(), fds, "no descriptor is left");
    is_int(wh_loop_watches(loop), 0, "no watch is left");
    is_int(wh_loop_timers(loop), 0, "no timer is left");
    is_int(count_processes(dir), 0, "no process of any script is left");
    free(big);
    return harness_end();
}
