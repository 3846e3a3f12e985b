/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode=persistent of the pipe handler with real programs: the protocol, its violations, deaths, restarts, stops.
 */
#include "dispatch/pipe.h"
#include "handler_harness.h"

/* $id of an envelope line in $line, in plain sh. */
#define ID_OF "id=${line#*\\\"id\\\":\\\"}; id=${id%%\\\"*}; "
#define READ_LOOP "while IFS= read -r line; do " ID_OF

static opened persistent(const char *name, const char *text, const char *words)
{
    return open_handler(&wh_handler_pipe, script(name, text), apr_pstrcat(top, "mode=persistent ", words, NULL));
}

static void protocol(void)
{
    opened o = persistent("echo", "echo $$ >> $D/pids\n" READ_LOOP
                                  "printf '%s\\n' \"$line\" >> $D/lines\n"
                                  "case $line in *answer-okmore*) echo \"ok $id thanks\";; *answer-ok*) echo \"ok $id\";; *answer-retry7*) echo \"retry $id 7\";;\n"
                                  "*answer-retry*) echo \"retry $id\";; *answer-fail*) printf 'fail %s no such\\001user\\r\\n' $id;;\n"
                                  "*answer-badretry*) echo \"retry $id soon\";;\n"
                                  "*answer-noise*) echo; echo hello; echo \"ok unknown-id\"; echo \"okay $id\"; echo \"ok $id\";; esac; done\n",
                          "");
    tried *t = run_attempt(&o, "answer-ok"), *many[4];
    int i, right = 0;

    is_int(t->result.outcome, WEBHOOK_OUTCOME_DONE, "ok: done");
    t = run_attempt(&o, "answer-retry");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RETRY, "retry: retry");
    is_str(t->result.reason, "program", "because the program says so");
    is_int(t->result.retry_after, 0, "no wish when");
    is_int(run_attempt(&o, "answer-retry7")->result.retry_after, SECONDS(7), "retry with seconds");
    t = run_attempt(&o, "answer-fail");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_DEAD, "fail: dead");
    is_str(t->result.reason, "program", "because the program says so");
    is_str(t->result.detail, "no such user", "with its words, control bytes replaced");
    t = run_attempt(&o, "answer-badretry");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RETRY, "a malformed answer: retry");
    is_str(t->result.reason, "protocol", "protocol");
    is_str(run_attempt(&o, "answer-okmore")->result.reason, "protocol", "ok takes no more words");
    logged[0] = '\0';
    is_int(run_attempt(&o, "answer-noise")->result.outcome, WEBHOOK_OUTCOME_DONE, "other lines do no harm");
    ok(strstr(logged, "hello") && strstr(logged, "unknown-id") && strstr(logged, "okay "), "they are logged");
    for (i = 0; i < 4; i++)
        many[i] = begin_attempt(&o, "answer-ok");
    for (i = 0; i < 4; i++)
        right += wait_ended(many[i]) && many[i]->result.outcome == WEBHOOK_OUTCOME_DONE;
    is_int(right, 4, "several at once");
    t = make_attempt(&o, "answer-ok \0\xff\n", 13);
    t->delivery.event = "\xff";
    start_attempt(&o, t);
    /* the body is base64 then, so this program does not recognise it */
    ok(wait_text("lines", "\"body_base64\":\"YW5zd2VyLW9rIAD/Cg==\""), "bytes that are no text come as base64");
    is_int(strtol(file_text("pids"), NULL, 10) > 0 && !strchr(strchr(file_text("pids"), '\n') + 1, '\n'), 1, "all by one program");
    wh_handler_pipe.stop(o.handler, apr_time_from_msec(200));
    wait_ended(t);
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RELEASED, "a stop releases what is not answered");
    close_handler(&o);
    ok(goes_away(pid_in("pids")), "and the program is gone");
}

static void order_and_size(void)
{
    /* answers in reverse order, after all three have come */
    opened o = persistent("reverse", "n=0; ids=\n" READ_LOOP "ids=\"$id $ids\"; n=$((n+1)); [ $n = 3 ] && for i in $ids; do echo \"ok $i\"; done; done\n",
                          "concurrency=3");
    tried *a = begin_attempt(&o, "1"), *b = begin_attempt(&o, "2"), *c = begin_attempt(&o, "3"), *t;
    size_t len = 3000000;
    char *body = apr_palloc(top, len);

    ok(wait_ended(c) && wait_ended(b) && wait_ended(a), "answers may come in any order");
    close_handler(&o);

    memset(body, 'x', len);
    o = persistent("size", READ_LOOP "echo ${#line} > $D/length; echo \"ok $id\"; done\n", "");
    t = make_attempt(&o, body, len);
    start_attempt(&o, t);
    ok(wait_ended(t) && t->result.outcome == WEBHOOK_OUTCOME_DONE, "a line of 3 MB");
    ok(strtol(file_text("length"), NULL, 10) > 3000000, "whole");
    close_handler(&o);

    /* an answer in pieces, two in one write */
    o = persistent("pieces", READ_LOOP "a=$id; IFS= read -r line; " ID_OF "printf 'o'; sleep 0.05; printf 'k %s' $a; sleep 0.05; printf '\\nok %s\\n' $id; done\n", "");
    a = begin_attempt(&o, "1");
    b = begin_attempt(&o, "2");
    ok(wait_ended(a) && wait_ended(b), "answers in pieces and together");
    close_handler(&o);

    o = persistent("endless", READ_LOOP "head -c 200000 /dev/zero | tr '\\0' y; sleep 100; done\n", "");
    t = run_attempt(&o, "1");
    is_str(t->result.reason, "protocol", "an answer without an end: protocol");
    close_handler(&o);
}

static int wait_logged(const char *text)
{
    apr_time_t end = wh_monotonic() + CEILING;

    while (!strstr(logged, text) && wh_monotonic() < end)
        wh_loop_once(loop, apr_time_from_msec(50));
    return strstr(logged, text) != NULL;
}

static void deaths(void)
{
    opened o = persistent("mortal", "echo $$ >> $D/m\n" READ_LOOP "case $line in *die*) exit 3;; *kill*) kill -9 $$;; *) echo \"ok $id\";; esac; done\n", "");
    tried *t = run_attempt(&o, "die"), *u, *v;

    is_int(t->result.outcome, WEBHOOK_OUTCOME_RETRY, "the program exits: retry");
    is_str(t->result.reason, "exit-status", "exit-status");
    is_int(t->result.code, 3, "its exit status");
    u = begin_attempt(&o, "fine");
    ok(wait_ended(u) && u->result.outcome == WEBHOOK_OUTCOME_DONE, "it is started again for the next");
    ok(u->finished - t->started >= SECONDS(1), "after a second");
    t = run_attempt(&o, "kill");
    is_str(t->result.reason, "signal", "killed by a signal");
    is_int(t->result.code, -9, "its number");
    close_handler(&o);

    /* an answer just before its death counts */
    logged[0] = '\0';
    o = persistent("lastword", READ_LOOP "echo \"ok $id\"; exit 0; done\n", "");
    t = run_attempt(&o, "1");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_DONE, "an answer right before the end counts");
    ok(wait_logged("exit status 0"), "its end is noticed");
    u = begin_attempt(&o, "2");
    v = begin_attempt(&o, "3");
    ok(wait_ended(u) && u->result.outcome == WEBHOOK_OUTCOME_DONE, "and it is started again");
    ok(wait_ended(v), "what it did not answer ends with it");
    ok(v->result.outcome == WEBHOOK_OUTCOME_RETRY && !strcmp(v->result.reason, "exit-status"), "to be retried");
    close_handler(&o);

    o = open_handler(&wh_handler_pipe, put_file("unstartable", "#!/nonexistent\n", 15, 0755), "mode=persistent");
    t = run_attempt(&o, "1");
    is_str(t->result.reason, "not-started", "a program that cannot be executed");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RETRY, "retry");
    u = begin_attempt(&o, "2");
    ok(wait_ended(u) && !strcmp(u->result.reason, "not-started"), "also at the next start");
    ok(u->finished - t->started >= SECONDS(1), "which comes after a second");
    close_handler(&o);

    /* it closes its output but lives */
    o = persistent("mute", "exec 1>&-; echo $$ > $D/mute.pid; sleep 100\n", "");
    t = run_attempt(&o, "1");
    is_str(t->result.reason, "protocol", "a program that closes its standard output: protocol");
    ok(goes_away(pid_in("mute.pid")), "it is ended");
    close_handler(&o);
    o = persistent("deaf", "exec 0<&-; echo $$ > $D/deaf.pid; sleep 100\n", "timeout=2s");
    t = run_attempt(&o, "1");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RETRY, "one that closes its standard input: retry");
    ok(goes_away(pid_in("deaf.pid")), "it is ended");
    close_handler(&o);
}

static void stuck(void)
{
    opened o = persistent("stuck", "trap '' TERM; echo $$ > $D/st1; (trap '' TERM; sleep 100) & echo $! > $D/st2\n" READ_LOOP "sleep 100; done\n",
                          "timeout=3s concurrency=2");
    tried *t = begin_attempt(&o, "1"), *u;

    wait_file("st2");
    u = begin_attempt(&o, "2");
    ok(wait_ended(t) && wait_ended(u), "a program that does not answer is ended");
    is_str(t->result.reason, "timeout", "timeout");
    is_int(u->result.outcome, WEBHOOK_OUTCOME_RETRY, "what else it had is retried (%s)", u->result.reason);
    ok(pid_in("st1") > 0 && !is_alive(pid_in("st1")), "attempts end only when the program has");
    ok(goes_away(pid_in("st2")), "and its children");
    close_handler(&o);

    /* late answers, between TERM and the end, still count */
    o = persistent("late", "trap 'echo \"ok $id\"; exit 0' TERM\n" READ_LOOP "sleep 100 & wait; done\n", "timeout=2s");
    t = run_attempt(&o, "1");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_DONE, "an answer given when told to end counts");
    close_handler(&o);
}

static void standard_error(void)
{
    opened o = persistent("noisy", READ_LOOP "echo complaint >&2; i=0; while [ $i -lt 200 ]; do echo line$i >&2; i=$((i+1)); done; echo \"ok $id\"; done\n", "");
    const char *at;
    int n = 0;
    apr_time_t end;

    logged[0] = '\0';
    is_int(run_attempt(&o, "1")->result.outcome, WEBHOOK_OUTCOME_DONE, "a program that talks a lot on standard error");
    ok(wait_logged("complaint"), "its lines are logged");
    end = wh_monotonic() + apr_time_from_msec(300);
    while (wh_monotonic() < end)
        wh_loop_once(loop, apr_time_from_msec(50));
    for (at = logged; (at = strstr(at, "WH0664")); at++)
        n++;
    ok(n > 0 && n <= 20, "but not all of them (%d)", n);
    close_handler(&o);
}

static void leaving(void)
{
    opened o;
    tried *t;
    int i;

    /* it has a second to leave; not enough when the machine stands still just then */
    for (i = 0; i < 10 && !*file_text("bye"); i++) {
        o = persistent("graceful", "echo $$ > $D/g1\n" READ_LOOP "echo \"ok $id\"; done; echo bye > $D/bye\n", "");
        run_attempt(&o, "1");
        close_handler(&o);
    }
    is_str(file_text("bye"), "bye\n", "closing is end of input first: the program can leave in order");
    ok(!is_alive(pid_in("g1")), "it has");

    o = persistent("stays", "trap '' TERM; echo $$ > $D/g2\n" READ_LOOP "echo \"ok $id\"; done; sleep 100\n", "");
    run_attempt(&o, "1");
    close_handler(&o);
    ok(pid_in("g2") > 0 && goes_away(pid_in("g2")), "one that stays is killed");

    o = persistent("backing", "exit 1\n", "");
    run_attempt(&o, "1");
    t = begin_attempt(&o, "2");
    is_int(t->ended, 0, "an attempt waits for the restart");
    wh_handler_pipe.stop(o.handler, apr_time_from_msec(200));
    is_int(t->ended, 1, "a stop does not wait for it");
    is_int(t->result.outcome, WEBHOOK_OUTCOME_RELEASED, "released");
    close_handler(&o);
}

static void abandoned(void)
{
    const char *path = script("orphan", "trap '' TERM; (trap '' TERM; sleep 100) & echo $! > $D/po2; echo $$ > $D/po1; while read -r line; do :; done; sleep 100\n");
    apr_interval_time_t took = SECONDS(2);
    int i;

    /* the machine may stand still for a while: not always */
    for (i = 0; i < 10 && took >= SECONDS(2); i++) {
        apr_time_t t0;
        pid_t pid;

        unlink(apr_pstrcat(top, dir, "/po1", NULL));
        unlink(apr_pstrcat(top, dir, "/po2", NULL));
        pid = fork();
        if (pid == 0) {
            opened o;

            wh_loop_create(&loop, on_ended, NULL, top);
            o = open_handler(&wh_handler_pipe, path, "mode=persistent");
            begin_attempt(&o, "x");
            for (;;)
                wh_loop_once(loop, SECONDS(1));
        }
        ok(wait_file("po1"), "a persistent program of another dispatcher runs");
        kill(pid, SIGKILL);
        t0 = wh_monotonic();
        waitpid(pid, NULL, 0);
        ok(pid_in("po1") > 0 && goes_away(pid_in("po1")) && pid_in("po2") > 0 && goes_away(pid_in("po2")), "it is gone with its children after that was killed");
        took = wh_monotonic() - t0;
    }
    ok(took < SECONDS(2), "within two seconds");
}

int main(void)
{
    int fds;

    harness_begin();
    fds = count_fds();
    protocol();
    order_and_size();
    deaths();
    stuck();
    standard_error();
    leaving();
    abandoned();
    ok(no_children(), "no child is left, dead or alive");
    is_int(count_fds(), fds, "no descriptor is left");
    is_int(wh_loop_watches(loop), 0, "no watch is left");
    is_int(wh_loop_timers(loop), 0, "no timer is left");
    return harness_end();
}
