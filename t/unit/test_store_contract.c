/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_contract.c: what every store must do, asked of each built-in one. */
#include "tap.h"
#include "store_fixture.h"
#include "store/sqlite.h"

typedef struct kind {
    const char *name;
    wh_store_spec *(*make)(const char *name, const char *words);
} kind;

static wh_store_spec *make_memory(const char *name, const char *words)
{
    (void)name;
    return fx_spec("memory:", words);
}

static wh_store_spec *make_sqlite(const char *name, const char *words)
{
    return fx_sqlite(name, words ? apr_pstrcat(fx_pool, FX_PLAIN " ", words, NULL) : NULL);
}

static const kind *k;

static webhook_store *start(const char *name, const char *words, wh_store_spec **spec)
{
    webhook_result res;

    *spec = k->make(apr_pstrcat(fx_pool, k->name, "-", name, NULL), words);
    is_int(fx_init(*spec, &res), APR_SUCCESS, "%s: %s: init", k->name, name);
    if (res.detail)
        diag("%s", res.detail);
    return fx_open(*spec, fx_pool);
}

static void check_accept(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec;
    webhook_store *s = start("accept", NULL, &spec);
    fx_item *a = fx_small(fx_pool, NULL, "deploy", "audit", now), *b;
    webhook_store_stats t;
    webhook_row *r;

    is_int(fx_accept(spec, s, a, now), WEBHOOK_ACCEPT_STORED, "%s: a delivery is stored", k->name);
    is_str(a->accept.first_id, a->id, "%s: its own id is the answer", k->name);
    r = fx_get(spec, s, a->id);
    ok(r != NULL, "%s: it can be found", k->name);
    if (!r)
        return;
    is_str(r->delivery.id, a->id, "%s: id", k->name);
    is_str(r->delivery.endpoint, "github", "%s: endpoint", k->name);
    is_str(r->delivery.scheme, "github", "%s: scheme", k->name);
    is_int(r->delivery.verified, 1, "%s: verified", k->name);
    is_str(r->delivery.key_id, "1", "%s: key id", k->name);
    is_str(r->delivery.event, "push", "%s: event", k->name);
    is_str(r->delivery.sender_id, NULL, "%s: no sender's id", k->name);
    is_int(r->delivery.received, now, "%s: received", k->name);
    is_str(r->delivery.remote_addr, "192.0.2.1", "%s: address", k->name);
    is_str(r->delivery.method, "POST", "%s: method", k->name);
    is_str(r->delivery.uri, "/hooks/github?x=1", "%s: uri", k->name);
    is_str(r->delivery.content_type, "application/json", "%s: content type", k->name);
    is_mem(r->delivery.headers.data, r->delivery.headers.len, fx_headers, sizeof fx_headers - 1, "%s: headers", k->name);
    is_mem(r->delivery.body.data, r->delivery.body.len, fx_body, sizeof fx_body - 1, "%s: body", k->name);
    is_int(r->delivery.body_len, sizeof fx_body - 1, "%s: body length", k->name);
    is_str(r->delivery.body_sha256, a->sha, "%s: body digest", k->name);
    is_str(r->state, "queued", "%s: state", k->name);
    is_str(r->why, NULL, "%s: nothing to be said", k->name);
    is_int(r->jobs->nelts, 2, "%s: two jobs", k->name);
    is_str(APR_ARRAY_IDX(r->jobs, 1, webhook_job_row).handler, "audit", "%s: second job's handler", k->name);

    b = fx_make(fx_pool, "\0a\0", 3, NULL, NULL, NULL, now);
    b->d.event = b->d.key_id = b->d.content_type = NULL;
    is_int(fx_accept(spec, s, b, now), WEBHOOK_ACCEPT_STORED, "%s: unrouted is stored", k->name);
    r = fx_get(spec, s, b->id);
    is_str(r ? r->state : NULL, "unrouted", "%s: and says so", k->name);
    is_mem(r ? r->delivery.body.data : "", r ? r->delivery.body.len : 0, "\0a\0", 3, "%s: bytes with NUL", k->name);
    is_str(r ? r->delivery.event : "", NULL, "%s: NULL stays NULL", k->name);

    b = fx_make(fx_pool, "", 0, NULL, NULL, NULL, now);
    b->accept.kept_as = "dropped";
    b->accept.why = "a rule";
    b->d.headers.data = NULL;
    b->d.headers.len = 0;
    is_int(fx_accept(spec, s, b, now), WEBHOOK_ACCEPT_STORED, "%s: dropped, without body and headers", k->name);
    r = fx_get(spec, s, b->id);
    is_str(r ? r->state : NULL, "dropped", "%s: and says so", k->name);
    is_str(r ? r->why : NULL, "a rule", "%s: and why", k->name);
    ok(r && r->delivery.body.data && r->delivery.body.len == 0, "%s: an empty body is there and empty", k->name);

    is_int(fx_accept(spec, s, a, now), WEBHOOK_ACCEPT_FAILED, "%s: an id cannot be used twice", k->name);
    is_str(a->accept.result.reason, "internal", "%s: and the reason is the item's", k->name);
    t = fx_stats(spec, s);
    is_int(t.deliveries, 3, "%s: three deliveries", k->name);
    is_int(t.queued, 2, "%s: two queued jobs", k->name);
    is_int(t.unrouted, 1, "%s: one unrouted", k->name);
    is_int(t.dropped, 1, "%s: one dropped", k->name);
    is_int(t.oldest_ready, now, "%s: oldest ready", k->name);
    ok(t.bytes > 0, "%s: bytes", k->name);
    ok(!fx_get(spec, s, "019a0000-0000-7000-8000-000000000000"), "%s: an unknown id is not found", k->name);
    ok(!fx_get(spec, s, "nonsense"), "%s: nonsense is not found", k->name);
}

static void check_batch(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec;
    webhook_store *s = start("batch", NULL, &spec);
    fx_item *i[4] = { fx_small(fx_pool, "k1", "h", NULL, now), fx_small(fx_pool, "k2", "h", NULL, now), fx_small(fx_pool, "k1", "h", NULL, now),
                      fx_small(fx_pool, "k3", "h", NULL, now) };
    webhook_accept *items[4] = { &i[0]->accept, &i[1]->accept, &i[2]->accept, &i[3]->accept };
    webhook_result res;

    memset(&res, 0, sizeof res);
    i[1]->d.id = "not an id";
    is_int(spec->provider->accept(s, items, 4, now, &res), APR_SUCCESS, "%s: a batch with a bad item succeeds", k->name);
    is_int(i[0]->accept.outcome, WEBHOOK_ACCEPT_STORED, "%s: first stored", k->name);
    is_int(i[1]->accept.outcome, WEBHOOK_ACCEPT_FAILED, "%s: bad one failed", k->name);
    is_int(i[2]->accept.outcome, WEBHOOK_ACCEPT_DUPLICATE, "%s: second copy inside the batch is a duplicate", k->name);
    is_str(i[2]->accept.first_id, i[0]->id, "%s: of the first", k->name);
    is_int(i[3]->accept.outcome, WEBHOOK_ACCEPT_STORED, "%s: last stored", k->name);
    is_int(fx_stats(spec, s).deliveries, 2, "%s: two rows", k->name);
    is_int(spec->provider->accept(s, items + 1, 1, now, &res) != APR_SUCCESS, 1, "%s: nothing stored is not success", k->name);
}

static void check_turn(void)
{
    apr_time_t now = apr_time_now(), next;
    wh_store_spec *spec;
    webhook_store *s = start("turn", NULL, &spec);
    fx_item *a = fx_small(fx_pool, NULL, "h", NULL, now - SECONDS(3)), *b = fx_small(fx_pool, NULL, "h", NULL, now - SECONDS(2)),
            *c = fx_small(fx_pool, NULL, "other", NULL, now - SECONDS(1));
    apr_array_header_t *l;
    webhook_lease *first;
    webhook_row *r;
    const webhook_attempt_row *at;
    apr_int64_t token;

    fx_accept(spec, s, a, now - SECONDS(3));
    fx_accept(spec, s, b, now - SECONDS(2));
    fx_accept(spec, s, c, now - SECONDS(1));
    is_int(fx_lease(spec, s, "nobody", 4, now, &next)->nelts, 0, "%s: nothing for an unknown handler", k->name);
    is_int(next, 0, "%s: and nothing later", k->name);
    l = fx_lease(spec, s, "h", 1, now, NULL);
    is_int(l->nelts, 1, "%s: one lease when one is wanted", k->name);
    if (!l->nelts)
        return;
    first = FX_LEASE(l, 0);
    is_str(first->delivery->id, a->id, "%s: the oldest", k->name);
    is_int(first->attempt, 1, "%s: first attempt", k->name);
    is_int(first->created, now - SECONDS(3), "%s: created", k->name);
    is_str(first->handler, "h", "%s: handler", k->name);
    is_mem(first->delivery->body.data, first->delivery->body.len, fx_body, sizeof fx_body - 1, "%s: with its body", k->name);
    is_mem(first->delivery->headers.data, first->delivery->headers.len, fx_headers, sizeof fx_headers - 1, "%s: and headers", k->name);
    is_str(fx_get(spec, s, a->id)->state, "leased", "%s: state leased", k->name);
    is_int(fx_stats(spec, s).leased, 1, "%s: one leased", k->name);
    l = fx_lease(spec, s, "h", 9, now, NULL);
    is_int(l->nelts, 1, "%s: what is leased is not leased again", k->name);
    ok(FX_LEASE(l, 0)->token > first->token, "%s: tokens ascend", k->name);

    is_int(fx_settle(spec, s, first, WEBHOOK_OUTCOME_RETRY, now + SECONDS(10), now), 1, "%s: retry is applied", k->name);
    is_int(fx_settle(spec, s, first, WEBHOOK_OUTCOME_DONE, 0, now), 0, "%s: the token is used up", k->name);
    is_str(fx_get(spec, s, a->id)->state, "retry", "%s: state retry", k->name);
    is_int(fx_lease(spec, s, "h", 9, now + SECONDS(5), &next)->nelts, 0, "%s: not before it is due", k->name);
    is_int(next, now + SECONDS(10), "%s: and it is known when", k->name);
    token = first->token;
    l = fx_lease(spec, s, "h", 9, now + SECONDS(10), &next);
    is_int(l->nelts, 1, "%s: leased when due", k->name);
    if (!l->nelts)
        return;
    first = FX_LEASE(l, 0);
    is_int(first->attempt, 2, "%s: second attempt", k->name);
    ok(first->token != token, "%s: another token", k->name);
    is_int(first->created, now - SECONDS(3), "%s: created stays", k->name);
    is_int(fx_settle(spec, s, first, WEBHOOK_OUTCOME_RELEASED, 0, now + SECONDS(11)), 1, "%s: released", k->name);
    l = fx_lease(spec, s, "h", 9, now + SECONDS(11), NULL);
    is_int(l->nelts ? FX_LEASE(l, 0)->attempt : 0, 3, "%s: ready at once, number used", k->name);
    is_int(fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DEAD, 0, now + SECONDS(12)), 1, "%s: dead", k->name);
    r = fx_get(spec, s, a->id);
    is_str(r->state, "dead", "%s: state dead", k->name);
    is_str(APR_ARRAY_IDX(r->jobs, 0, webhook_job_row).reason, "exit-status", "%s: with its reason", k->name);
    is_int(APR_ARRAY_IDX(r->jobs, 0, webhook_job_row).attempts, 3, "%s: three attempts", k->name);
    is_int(APR_ARRAY_IDX(r->jobs, 0, webhook_job_row).attempt_rows->nelts, 3, "%s: all kept", k->name);
    at = &APR_ARRAY_IDX(APR_ARRAY_IDX(r->jobs, 0, webhook_job_row).attempt_rows, 1, webhook_attempt_row);
    is_str(at->outcome, "released", "%s: second was released", k->name);
    is_int(at->attempt, 2, "%s: and is number 2", k->name);
    is_int(at->code, 1, "%s: with its code", k->name);
    is_str(at->detail, "the program ended with status 1", "%s: and detail", k->name);
    is_mem(at->output.data, at->output.len, "out", 3, "%s: and output", k->name);

    l = fx_lease(spec, s, "other", 1, now, NULL);
    is_int(fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DONE, 0, now), 1, "%s: done", k->name);
    is_str(fx_get(spec, s, c->id)->state, "done", "%s: state done", k->name);
    is_int(fx_stats(spec, s).done, 1, "%s: one done", k->name);
    is_int(fx_stats(spec, s).dead, 1, "%s: one dead", k->name);
}

static void check_unstarted(void)
{
    apr_time_t now = apr_time_now(), next;
    wh_store_spec *spec;
    webhook_store *s = start("unstarted", NULL, &spec);
    fx_item *a = fx_small(fx_pool, NULL, "h", NULL, now);
    apr_array_header_t *l, *none = apr_array_make(fx_pool, 1, sizeof(webhook_lease *));
    webhook_settlement t, *list[1] = { &t };
    webhook_result res;
    webhook_row *r;

    fx_accept(spec, s, a, now);
    l = fx_lease(spec, s, "h", 1, now, NULL);
    memset(&t, 0, sizeof t);
    t.job = FX_LEASE(l, 0)->job;
    t.token = FX_LEASE(l, 0)->token;
    t.attempt = 1;
    t.outcome = WEBHOOK_OUTCOME_RELEASED;
    t.unstarted = 1;
    is_int(spec->provider->turn(s, list, 1, NULL, 0, now, none, &next, fx_pool, &res), APR_SUCCESS, "%s: given back", k->name);
    is_int(t.applied, 1, "%s: applied", k->name);
    r = fx_get(spec, s, a->id);
    is_str(r->state, "queued", "%s: never tried again", k->name);
    is_int(APR_ARRAY_IDX(r->jobs, 0, webhook_job_row).attempts, 0, "%s: number given back", k->name);
    is_int(APR_ARRAY_IDX(r->jobs, 0, webhook_job_row).attempt_rows->nelts, 0, "%s: no attempt kept", k->name);
    l = fx_lease(spec, s, "h", 1, now, NULL);
    is_int(l->nelts ? FX_LEASE(l, 0)->attempt : 0, 1, "%s: first attempt again", k->name);
}

static void check_fairness(void)
{
    apr_time_t now = apr_time_now(), next;
    wh_store_spec *spec;
    webhook_store *s = start("fair", NULL, &spec);
    apr_array_header_t *l = apr_array_make(fx_pool, 8, sizeof(webhook_lease *));
    webhook_lease_want wants[2] = { { "a", 3, SECONDS(60), 0 }, { "b", 2, SECONDS(60), 0 } };
    webhook_result res;
    int i;

    for (i = 0; i < 5; i++)
        fx_accept(spec, s, fx_small(fx_pool, NULL, "a", i < 3 ? "b" : NULL, now + i), now + i);
    is_int(spec->provider->turn(s, NULL, 0, wants, 2, now + SECONDS(1), l, &next, fx_pool, &res), APR_SUCCESS, "%s: turn for two", k->name);
    is_int(l->nelts, 5, "%s: each gets what it wants", k->name);
    is_str(FX_LEASE(l, 0)->handler, "a", "%s: in turn: a", k->name);
    is_str(FX_LEASE(l, 1)->handler, "b", "%s: b", k->name);
    is_str(FX_LEASE(l, 2)->handler, "a", "%s: a", k->name);
    is_str(FX_LEASE(l, 3)->handler, "b", "%s: b", k->name);
    is_str(FX_LEASE(l, 4)->handler, "a", "%s: a", k->name);
    is_str(FX_LEASE(l, 0)->delivery->id, FX_LEASE(l, 1)->delivery->id, "%s: oldest first for both", k->name);
}

/* A clock that was set back: what was to wait ten seconds does not wait a year. */
static void check_clock_set_back(void)
{
    const apr_interval_time_t year = SECONDS(365 * 86400), cap = SECONDS(21600);
    apr_time_t ahead = apr_time_now() + year, now = apr_time_now(), next;
    wh_store_spec *spec;
    webhook_store *s = start("clock", NULL, &spec);
    fx_item *first = fx_small(fx_pool, NULL, "h", "other", ahead), *second = fx_small(fx_pool, NULL, "h", NULL, ahead);
    webhook_lease_want want = { "h", 2, SECONDS(60), cap };
    apr_array_header_t *l;
    webhook_result res;

    fx_accept(spec, s, first, ahead);
    l = fx_lease(spec, s, "h", 1, ahead, NULL);
    is_int(l->nelts, 1, "%s: clock: leased", k->name);
    is_int(fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_RETRY, ahead + SECONDS(10), ahead), 1, "%s: clock: to be tried again", k->name);
    fx_accept(spec, s, second, ahead);
    apr_array_clear(l);
    is_int(spec->provider->turn(s, NULL, 0, &want, 1, now, l, &next, fx_pool, &res), APR_SUCCESS, "%s: clock: a turn a year earlier", k->name);
    is_int(l->nelts, 0, "%s: clock: nothing is due at once", k->name);
    is_int(next, now + cap, "%s: clock: but within the longest wait", k->name);
    is_int(APR_ARRAY_IDX(fx_get(spec, s, first->id)->jobs, 0, webhook_job_row).due, now + cap, "%s: clock: and that is what is kept", k->name);
    is_int(APR_ARRAY_IDX(fx_get(spec, s, first->id)->jobs, 1, webhook_job_row).due, ahead, "%s: clock: another handler's policy is its own", k->name);
    is_int(spec->provider->turn(s, NULL, 0, &want, 1, now + cap - 1, l, &next, fx_pool, &res), APR_SUCCESS, "%s: clock: later", k->name);
    is_int(l->nelts, 0, "%s: clock: time once brought forward stays", k->name);
    is_int(spec->provider->turn(s, NULL, 0, &want, 1, now + cap, l, &next, fx_pool, &res), APR_SUCCESS, "%s: clock: at that time", k->name);
    is_int(l->nelts, 2, "%s: clock: both are leased", k->name);
    want.handler = "other";
    want.wait_max = 0;
    is_int(spec->provider->turn(s, NULL, 0, &want, 1, now, l, &next, fx_pool, &res), APR_SUCCESS, "%s: clock: without a longest wait", k->name);
    is_int(next, ahead, "%s: clock: a due time is what it is", k->name);
}

static void check_duplicates(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec;
    webhook_store *s = start("dup", NULL, &spec);
    fx_item *a = fx_small(fx_pool, "key", "h", "g", now), *b = fx_small(fx_pool, "key", "h", "g", now), *c;
    apr_array_header_t *l;
    webhook_row *r;

    is_int(fx_accept(spec, s, a, now), WEBHOOK_ACCEPT_STORED, "%s: first", k->name);
    is_int(fx_accept(spec, s, b, now), WEBHOOK_ACCEPT_DUPLICATE, "%s: copy", k->name);
    is_str(b->accept.first_id, a->id, "%s: answered with the first id", k->name);
    is_int(fx_get(spec, s, a->id)->duplicates, 1, "%s: counted", k->name);
    ok(!fx_get(spec, s, b->id), "%s: and not kept", k->name);

    l = fx_lease(spec, s, "h", 1, now, NULL);
    is_int(fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DEAD, 0, now), 1, "%s: one job dies", k->name);
    l = fx_lease(spec, s, "g", 1, now, NULL);
    is_int(fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DONE, 0, now), 1, "%s: the other is done", k->name);
    c = fx_small(fx_pool, "key", "h", "g", now + SECONDS(5));
    is_int(fx_accept(spec, s, c, now + SECONDS(5)), WEBHOOK_ACCEPT_REQUEUED, "%s: a copy brings it back", k->name);
    is_str(c->accept.first_id, a->id, "%s: under the first id", k->name);
    r = fx_get(spec, s, a->id);
    is_str(APR_ARRAY_IDX(r->jobs, 0, webhook_job_row).state, "retry", "%s: the dead job waits", k->name);
    is_str(APR_ARRAY_IDX(r->jobs, 1, webhook_job_row).state, "done", "%s: the done one stays done", k->name);
    is_int(r->duplicates, 2, "%s: two copies", k->name);
    l = fx_lease(spec, s, "h", 1, now + SECONDS(5), NULL);
    is_int(l->nelts ? FX_LEASE(l, 0)->attempt : 0, 2, "%s: with the next number", k->name);
    is_int(l->nelts ? FX_LEASE(l, 0)->created : 0, now + SECONDS(5), "%s: and a new retry period", k->name);

    c = fx_small(fx_pool, "key", "h", NULL, now + SECONDS(90000));
    is_int(fx_accept(spec, s, c, now + SECONDS(90000)), WEBHOOK_ACCEPT_STORED, "%s: after the window it is new", k->name);
    is_str(c->accept.first_id, c->id, "%s: with its own id", k->name);
    b = fx_small(fx_pool, "key", "h", NULL, now + SECONDS(90001));
    is_int(fx_accept(spec, s, b, now + SECONDS(90001)), WEBHOOK_ACCEPT_DUPLICATE, "%s: and is the first from then on", k->name);
    is_str(b->accept.first_id, c->id, "%s: its id", k->name);

    a = fx_small(fx_pool, "dropped", NULL, NULL, now);
    a->accept.kept_as = "dropped";
    b = fx_small(fx_pool, "dropped", NULL, NULL, now);
    c = fx_small(fx_pool, "dropped", "h", NULL, now);
    is_int(fx_accept(spec, s, a, now), WEBHOOK_ACCEPT_STORED, "%s: dropped", k->name);
    is_int(fx_accept(spec, s, b, now), WEBHOOK_ACCEPT_DUPLICATE, "%s: dropped again", k->name);
    is_int(fx_accept(spec, s, c, now), WEBHOOK_ACCEPT_STORED, "%s: wanted now: a new delivery", k->name);
    is_str(c->accept.first_id, c->id, "%s: under its own id", k->name);
    b = fx_small(fx_pool, "dropped", "h", NULL, now);
    is_int(fx_accept(spec, s, b, now), WEBHOOK_ACCEPT_DUPLICATE, "%s: which owns the key", k->name);
    is_str(b->accept.first_id, c->id, "%s: from then on", k->name);
}

/* A key that is proven and an id that is only claimed. */
static webhook_accept_outcome bring(const wh_store_spec *spec, webhook_store *s, const char *key, const char *claim, apr_time_t now, fx_item **out)
{
    unsigned char *hash = apr_palloc(fx_pool, 32);

    *out = fx_small(fx_pool, key, "h", NULL, now);
    wh_sha256(hash, claim, strlen(claim));
    (*out)->accept.dedupe_claim = hash;
    return fx_accept(spec, s, *out, now);
}

static void check_claims(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec;
    webhook_store *s = start("claims", NULL, &spec);
    fx_item *first, *it;

    is_int(bring(spec, s, "moment 1", "event 1", now, &first), WEBHOOK_ACCEPT_STORED, "%s: claims: the first", k->name);
    is_int(bring(spec, s, "moment 1", "event 2", now, &it), WEBHOOK_ACCEPT_DUPLICATE, "%s: claims: a copy that calls itself another", k->name);
    is_str(it->accept.first_id, first->id, "%s: claims: with the first one's id", k->name);
    is_int(bring(spec, s, "moment 2", "event 2", now, &it), WEBHOOK_ACCEPT_STORED, "%s: claims: and the other one is not thereby known", k->name);
    is_int(bring(spec, s, "moment 3", "event 1", now, &it), WEBHOOK_ACCEPT_DUPLICATE, "%s: claims: signed anew", k->name);
    is_str(it->accept.first_id, first->id, "%s: claims: with the first one's id", k->name);
    is_int(bring(spec, s, "moment 3", "event 3", now, &it), WEBHOOK_ACCEPT_DUPLICATE, "%s: claims: a copy of that", k->name);
    is_str(it->accept.first_id, first->id, "%s: claims: is one of the first", k->name);
    is_int(bring(spec, s, "moment 4", "event 3", now, &it), WEBHOOK_ACCEPT_STORED, "%s: claims: the third event is new", k->name);
    is_int(bring(spec, s, NULL, "event 3", now, &it), WEBHOOK_ACCEPT_DUPLICATE, "%s: claims: by the claim alone", k->name);
    is_int(bring(spec, s, "moment 5", "event 1", now + SECONDS(86402), &it), WEBHOOK_ACCEPT_STORED, "%s: claims: for as long as the window", k->name);
    is_int(fx_stats(spec, s).deliveries, 4, "%s: claims: four deliveries", k->name);
}

static void check_replay(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec;
    webhook_store *s = start("replay", NULL, &spec);
    fx_item *a = fx_small(fx_pool, NULL, "h", "g", now), *u = fx_small(fx_pool, NULL, NULL, NULL, now);
    apr_array_header_t *l;
    webhook_result res;
    int n;

    fx_accept(spec, s, a, now);
    fx_accept(spec, s, u, now);
    is_int(spec->provider->replay(s, a->id, NULL, now, &n, &res), APR_SUCCESS, "%s: replay of unfinished", k->name);
    is_int(n, 0, "%s: makes nothing", k->name);
    l = fx_lease(spec, s, "h", 1, now, NULL);
    fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DONE, 0, now);
    is_int(spec->provider->replay(s, a->id, "g", now, &n, &res), APR_SUCCESS, "%s: replay for an unfinished handler", k->name);
    is_int(n, 0, "%s: makes nothing", k->name);
    is_int(spec->provider->replay(s, a->id, NULL, now + 7, &n, &res), APR_SUCCESS, "%s: replay of all", k->name);
    is_int(n, 1, "%s: the finished one", k->name);
    l = fx_lease(spec, s, "h", 1, now + 7, NULL);
    is_int(l->nelts ? FX_LEASE(l, 0)->attempt : 0, 2, "%s: next attempt number", k->name);
    is_str(l->nelts ? FX_LEASE(l, 0)->delivery->id : "", a->id, "%s: same delivery", k->name);
    is_int(l->nelts ? FX_LEASE(l, 0)->created : 0, now + 7, "%s: new retry period", k->name);
    is_int(spec->provider->replay(s, u->id, NULL, now, &n, &res), APR_SUCCESS, "%s: replay of unrouted", k->name);
    is_int(n, 0, "%s: has no jobs", k->name);
    is_int(spec->provider->replay(s, u->id, "new", now, &n, &res), APR_SUCCESS, "%s: replay to a new handler", k->name);
    is_int(n, 1, "%s: makes a job", k->name);
    is_str(fx_get(spec, s, u->id)->state, "queued", "%s: which is queued", k->name);
    is_int(fx_stats(spec, s).unrouted, 0, "%s: no longer unrouted", k->name);
    is_int(spec->provider->replay(s, "019a0000-0000-7000-8000-000000000000", NULL, now, &n, &res), APR_NOTFOUND, "%s: unknown id", k->name);
}

#define SHAPE_IS(slice, text, what) is_mem((slice).data ? (slice).data : "(none)", (slice).data ? (slice).len : 6, text, strlen(text), \
                                           "%s: shape: " what, k->name)

static webhook_lease *lease_of(const wh_store_spec *spec, webhook_store *s, const char *handler, apr_time_t now)
{
    apr_array_header_t *l = fx_lease(spec, s, handler, 1, now, NULL);
    static webhook_lease none;

    ok(l->nelts == 1, "%s: shape: a job for %s is leased", k->name, handler);
    return l->nelts ? FX_LEASE(l, 0) : &none;
}

static void check_shapes(void)
{
    apr_time_t now = apr_time_now();
    webhook_slice first[2] = { { "{\"a\":1}", 7 }, { NULL, 0 } }, second[2] = { { "{\"a\":2}", 7 }, { NULL, 0 } };
    wh_store_spec *spec;
    webhook_store *s = start("shapes", "done=0 dead=0", &spec);
    fx_item *a = fx_small(fx_pool, "key", "chat", "raw", now), *b = fx_small(fx_pool, "key", "chat", "raw", now + 1);
    apr_array_header_t *rows;
    webhook_result res;
    webhook_lease *l;
    webhook_query q;
    int n, more;

    a->accept.shapes = first;
    is_int(fx_accept(spec, s, a, now), WEBHOOK_ACCEPT_STORED, "%s: shape: stored", k->name);
    l = lease_of(spec, s, "raw", now);
    SHAPE_IS(l->shape, "(none)", "a handler without has none");
    fx_settle(spec, s, l, WEBHOOK_OUTCOME_DONE, 0, now);
    l = lease_of(spec, s, "chat", now);
    SHAPE_IS(l->shape, "{\"a\":1}", "the first lease has it");
    fx_settle(spec, s, l, WEBHOOK_OUTCOME_RETRY, now, now);
    l = lease_of(spec, s, "chat", now);
    SHAPE_IS(l->shape, "{\"a\":1}", "and the second");
    fx_settle(spec, s, l, WEBHOOK_OUTCOME_DEAD, 0, now);
    memset(&res, 0, sizeof res);
    spec->provider->replay(s, a->id, "chat", now, &n, &res);
    is_int(n, 1, "%s: shape: replayed", k->name);
    l = lease_of(spec, s, "chat", now);
    SHAPE_IS(l->shape, "{\"a\":1}", "a replay keeps it");
    fx_settle(spec, s, l, WEBHOOK_OUTCOME_DEAD, 0, now);

    b->accept.shapes = second;
    is_int(fx_accept(spec, s, b, now + 1), WEBHOOK_ACCEPT_REQUEUED, "%s: shape: the sender brings it again", k->name);
    memset(&q, 0, sizeof q);
    q.with_jobs = q.with_shapes = 1;
    rows = fx_list(spec, s, &q);
    is_int(rows->nelts, 1, "%s: shape: still one delivery", k->name);
    SHAPE_IS(APR_ARRAY_IDX(FX_ROW(rows, 0)->jobs, 0, webhook_job_row).shape, "{\"a\":2}", "its dead job takes the new one");
    SHAPE_IS(APR_ARRAY_IDX(FX_ROW(rows, 0)->jobs, 1, webhook_job_row).shape, "(none)", "where there is one");
    q.with_shapes = 0;
    SHAPE_IS(APR_ARRAY_IDX(FX_ROW(fx_list(spec, s, &q), 0)->jobs, 0, webhook_job_row).shape, "(none)", "listed only when asked for");
    l = lease_of(spec, s, "chat", now + 1);
    SHAPE_IS(l->shape, "{\"a\":2}", "and its lease has it");
    fx_settle(spec, s, l, WEBHOOK_OUTCOME_DONE, 0, now);

    spec->provider->replay(s, a->id, "other", now, &n, &res);
    l = lease_of(spec, s, "other", now + 1);
    SHAPE_IS(l->shape, "(none)", "a job that a replay made has none");
    fx_settle(spec, s, l, WEBHOOK_OUTCOME_DONE, 0, now);
    is_int(spec->provider->maintain(s, now + SECONDS(1), &more, fx_pool, &res), APR_SUCCESS, "%s: shape: retention", k->name);
    is_int(fx_stats(spec, s).deliveries, 0, "%s: shape: goes with its delivery", k->name);
    if (!strcmp(k->name, "sqlite")) {
        const char *problem = "?";

        wh_sqlite_check(fx_path("sqlite-shapes"), &problem, fx_pool);
        is_str(problem, NULL, "%s: shape: nothing stays behind", k->name);
    }
}

static void check_reclaim_and_retention(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec;
    webhook_store *s = start("reclaim", "done=1h dead=2h", &spec);
    fx_item *a = fx_small(fx_pool, "x", "h", NULL, now), *b = fx_small(fx_pool, NULL, "h", NULL, now + 1),
            *u = fx_small(fx_pool, NULL, NULL, NULL, now), *q = fx_small(fx_pool, NULL, "later", NULL, now);
    apr_array_header_t *l, *names = apr_array_make(fx_pool, 4, sizeof(const char *));
    const webhook_attempt_row *at;
    webhook_result res;
    webhook_row *r;
    int n, more;

    fx_accept(spec, s, a, now);
    fx_accept(spec, s, b, now + 1);
    fx_accept(spec, s, u, now);
    fx_accept(spec, s, q, now);
    is_int(spec->provider->own(s, &res), APR_SUCCESS, "%s: own", k->name);
    l = fx_lease(spec, s, "h", 2, now + 2, NULL);
    is_int(spec->provider->waiting_handlers(s, names, fx_pool, &res), APR_SUCCESS, "%s: handlers with work", k->name);
    is_int(names->nelts, 2, "%s: leased and waiting ones", k->name);
    is_int(spec->provider->reclaim(s, now + SECONDS(59), &n, &res), APR_SUCCESS, "%s: reclaim before expiry", k->name);
    is_int(n, 0, "%s: takes nothing", k->name);
    is_int(spec->provider->reclaim(s, now + SECONDS(61), &n, &res), APR_SUCCESS, "%s: reclaim after expiry", k->name);
    is_int(n, 2, "%s: takes both", k->name);
    is_int(fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DONE, 0, now), 0, "%s: the old token is fenced off", k->name);
    r = fx_get(spec, s, a->id);
    is_str(r->state, "retry", "%s: state retry", k->name);
    at = &APR_ARRAY_IDX(APR_ARRAY_IDX(r->jobs, 0, webhook_job_row).attempt_rows, 0, webhook_attempt_row);
    is_str(at->outcome, "lost", "%s: a lost attempt is kept", k->name);
    is_str(at->reason, "lost", "%s: with its reason", k->name);
    l = fx_lease(spec, s, "h", 2, now + SECONDS(61), NULL);
    is_int(FX_LEASE(l, 0)->attempt, 2, "%s: next number", k->name);
    fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DONE, 0, now + SECONDS(62));
    fx_settle(spec, s, FX_LEASE(l, 1), WEBHOOK_OUTCOME_DEAD, 0, now + SECONDS(62));

    is_int(spec->provider->maintain(s, now + SECONDS(3600), &more, fx_pool, &res), APR_SUCCESS, "%s: maintain", k->name);
    is_int(fx_stats(spec, s).deliveries, 4, "%s: nothing is old yet", k->name);
    is_int(spec->provider->maintain(s, now + SECONDS(3600 + 70), &more, fx_pool, &res), APR_SUCCESS, "%s: maintain later", k->name);
    is_int(more, 0, "%s: one step was enough", k->name);
    ok(!fx_get(spec, s, a->id), "%s: the done one is gone", k->name);
    ok(!fx_get(spec, s, u->id), "%s: the unrouted one too", k->name);
    ok(fx_get(spec, s, b->id) != NULL, "%s: the dead one is kept longer", k->name);
    a = fx_small(fx_pool, "x", "h", NULL, now + SECONDS(3680));
    is_int(fx_accept(spec, s, a, now + SECONDS(3680)), WEBHOOK_ACCEPT_DUPLICATE, "%s: the key outlives the row", k->name);
    is_int(spec->provider->maintain(s, now + SECONDS(7200 + 70), &more, fx_pool, &res), APR_SUCCESS, "%s: maintain even later", k->name);
    ok(!fx_get(spec, s, b->id), "%s: gone at last", k->name);
    ok(fx_get(spec, s, q->id) != NULL, "%s: what waits stays however old", k->name);
    is_int(fx_stats(spec, s).deliveries, 1, "%s: one left", k->name);
}

/* A delivery that kills whoever works on it. */
static void check_poison(void)
{
    static const int waits[] = {0, 0, 0, 1, 2, 4};
    apr_time_t now = apr_time_now();
    wh_store_spec *spec;
    webhook_store *s = start("poison", NULL, &spec);
    fx_item *a = fx_small(fx_pool, NULL, "h", NULL, now);
    webhook_result res;
    int i, n;

    fx_accept(spec, s, a, now);
    is_int(spec->provider->own(s, &res), APR_SUCCESS, "%s: own", k->name);
    for (i = 0; i < (int)(sizeof(waits) / sizeof(waits[0])); i++) {
        now += SECONDS(200);
        is_int(fx_lease(spec, s, "h", 1, now, NULL)->nelts, 1, "%s: leased", k->name);
        now += SECONDS(61);
        spec->provider->reclaim(s, now, &n, &res);
        is_int(APR_ARRAY_IDX(fx_get(spec, s, a->id)->jobs, 0, webhook_job_row).due - now, SECONDS(waits[i]), "%s: due %d s after loss %d", k->name,
               waits[i], i + 1);
    }
    is_int(wh_store_lost_due(13, 0), SECONDS(512), "%s: doubling", k->name);
    is_int(wh_store_lost_due(1000000, 0), SECONDS(3600), "%s: at most an hour", k->name);
}

static void check_list(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec;
    webhook_store *s = start("list", NULL, &spec);
    apr_array_header_t *rows, *l;
    const char *ids[7];
    webhook_query q;
    int i;

    for (i = 0; i < 7; i++) {
        fx_item *it = fx_small(fx_pool, NULL, i == 6 ? NULL : i % 2 ? "odd" : "even", NULL, now + SECONDS(i));
        it->d.endpoint = i < 3 ? "one" : "two";
        it->d.event = i == 4 ? "ping" : i == 5 ? NULL : "push";
        ids[i] = it->id;
        fx_accept(spec, s, it, now + SECONDS(i));
    }
    l = fx_lease(spec, s, "even", 1, now + SECONDS(9), NULL);
    fx_settle(spec, s, FX_LEASE(l, 0), WEBHOOK_OUTCOME_DEAD, 0, now + SECONDS(9));
    l = fx_lease(spec, s, "odd", 1, now + SECONDS(9), NULL);
#define ASK(field, value, count, top, what)                                                          \
    do {                                                                                             \
        memset(&q, 0, sizeof q);                                                                     \
        q.limit = 100;                                                                               \
        q.field = value;                                                                             \
        rows = fx_list(spec, s, &q);                                                                 \
        is_int(rows->nelts, count, "%s: %s: count", k->name, what);                                  \
        is_str(rows->nelts ? FX_ROW(rows, 0)->delivery.id : NULL, top, "%s: %s: first", k->name, what); \
    } while (0)
    ASK(limit, 3, 3, ids[6], "newest first");
    ASK(ascending, 1, 7, ids[0], "oldest first");
    ASK(endpoint, "one", 3, ids[2], "endpoint");
    ASK(endpoint, "none", 0, NULL, "unknown endpoint");
    ASK(event, "ping", 1, ids[4], "event");
    ASK(handler, "even", 3, ids[4], "handler");
    ASK(state, "dead", 1, ids[0], "dead");
    ASK(state, "leased", 1, ids[1], "leased");
    ASK(state, "queued", 4, ids[5], "queued");
    ASK(state, "unrouted", 1, ids[6], "unrouted");
    ASK(state, "done", 0, NULL, "done");
    ASK(state, "nonsense", 0, NULL, "nonsense");
    ASK(since, now + SECONDS(4), 3, ids[6], "since");
    ASK(before, now + SECONDS(4), 4, ids[3], "before");
    ASK(after_id, ids[3], 3, ids[2], "page");
    ok(rows->nelts && !FX_ROW(rows, 0)->jobs, "%s: jobs only when asked for", k->name);
    ok(rows->nelts && !FX_ROW(rows, 0)->delivery.body.data, "%s: body only when asked for", k->name);
    memset(&q, 0, sizeof q);
    q.limit = 2;
    q.ascending = 1;
    q.after_id = ids[3];
    rows = fx_list(spec, s, &q);
    is_int(rows->nelts, 2, "%s: page forwards", k->name);
    is_str(rows->nelts ? FX_ROW(rows, 0)->delivery.id : NULL, ids[4], "%s: from the next on", k->name);
}

static void check_limits_and_describe(void)
{
    apr_time_t now = apr_time_now();
    wh_store_spec *spec;
    webhook_store *s = start("limit", "rows=2", &spec);
    fx_item *a = fx_small(fx_pool, "a", "h", NULL, now), *b = fx_small(fx_pool, "b", "h", NULL, now), *c = fx_small(fx_pool, "c", "h", NULL, now);

    fx_accept(spec, s, a, now);
    fx_accept(spec, s, b, now);
    is_int(fx_accept(spec, s, c, now), WEBHOOK_ACCEPT_FAILED, "%s: full", k->name);
    is_str(c->accept.result.reason, "store-full", "%s: says so", k->name);
    ok(c->accept.result.retry_after > 0, "%s: and when to come again", k->name);
    c = fx_small(fx_pool, "a", "h", NULL, now);
    is_int(fx_accept(spec, s, c, now), WEBHOOK_ACCEPT_DUPLICATE, "%s: duplicates need no room", k->name);
    ok(fx_lease(spec, s, "h", 1, now, NULL)->nelts == 1, "%s: and leasing goes on", k->name);
    ok(strstr(spec->provider->describe(spec->conf, fx_pool), "rows=2\n") != NULL, "%s: describe", k->name);
}

int main(void)
{
    static const kind kinds[] = { { "sqlite", make_sqlite }, { "memory", make_memory } };
    unsigned i;

    fx_begin();
    for (i = 0; i < 2; i++) {
        k = &kinds[i];
        check_accept();
        check_batch();
        check_claims();
        check_turn();
        check_unstarted();
        check_fairness();
        check_clock_set_back();
        check_duplicates();
        check_replay();
        check_shapes();
        check_reclaim_and_retention();
        check_poison();
        check_list();
        check_limits_and_describe();
    }
    return tap_done();
}
