/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: the store contract over arrays, searched from one end to the other. Each delivery has a pool of its own that goes with it.
 */
#include "store/memory_store.h"
#include "store/store.h"

#include <apr_strings.h>
#include <stddef.h>
#include <string.h>

#include "core/envelope.h"
#include "core/options.h"
#include "core/reasons.h"
#include "core/units.h"

#define DAY (APR_TIME_C(86400) * 1000000)

static const wh_option_spec memory_options[] = {
    { "rows", WH_OPT_INT, offsetof(webhook_store_conf, rows), 1, 2000000000, NULL },
    { "done", WH_OPT_DURATION, offsetof(webhook_store_conf, done), 0, 36500 * DAY, NULL },
    { "dead", WH_OPT_DURATION, offsetof(webhook_store_conf, dead), 0, 36500 * DAY, NULL },
    { NULL, WH_OPT_STRING, 0, 0, 0, NULL }
};

static const char *mem_configure(webhook_store_conf **out, const char *target, const apr_array_header_t *options, apr_pool_t *pconf,
                                 apr_pool_t *ptemp)
{
    webhook_store_conf *c = apr_pcalloc(pconf, sizeof *c);
    const char *err;

    *out = NULL;
    if (target && *target)
        return apr_psprintf(ptemp, "store memory: \"%s\" is not expected (write memory: alone)", target);
    c->rows = 10000000;
    c->done = 7 * DAY;
    c->dead = 30 * DAY;
    if (options && (err = wh_options_apply(c, memory_options, options, "store memory", ptemp)) != NULL)
        return err;
    c->state = apr_pcalloc(pconf, sizeof *c->state);
    c->state->pool = pconf;
    c->state->deliveries = apr_array_make(pconf, 64, sizeof(mem_delivery *));
    c->state->keys = apr_array_make(pconf, 64, sizeof(mem_key));
    *out = c;
    return NULL;
}

static apr_status_t mem_init(const webhook_store_conf *conf, int uid, int gid, apr_pool_t *ptemp, webhook_result *res)
{
    (void)conf, (void)uid, (void)gid, (void)ptemp, (void)res;
    return APR_SUCCESS;
}

static apr_status_t mem_open(webhook_store **out, const webhook_store_conf *conf, apr_pool_t *p, webhook_result *res)
{
    webhook_store *s = apr_pcalloc(p, sizeof *s);

    (void)res;
    s->conf = conf;
    s->m = conf->state;
    *out = s;
    return APR_SUCCESS;
}

mem_delivery *wh_mem_at(const mem_state *m, int i)
{
    return APR_ARRAY_IDX(m->deliveries, i, mem_delivery *);
}

mem_delivery *wh_mem_find(const mem_state *m, const char *id)
{
    int i;

    for (i = m->deliveries->nelts - 1; i >= 0; i--) {
        if (strcmp(wh_mem_at(m, i)->d.id, id) == 0)
            return wh_mem_at(m, i);
    }
    return NULL;
}

mem_job *wh_mem_job(const mem_delivery *d, int i)
{
    return APR_ARRAY_IDX(d->jobs, i, mem_job *);
}

static void finish_if_closed(mem_delivery *d, apr_time_t now)
{
    int i;

    d->finished = now;
    for (i = 0; i < d->jobs->nelts; i++) {
        if (wh_mem_job(d, i)->state < DONE)
            d->finished = 0;
    }
}

mem_job *wh_mem_job_add(mem_state *m, mem_delivery *d, const char *handler, apr_time_t now)
{
    mem_job *j = apr_pcalloc(d->pool, sizeof *j);

    j->job = ++m->job;
    j->handler = apr_pstrdup(d->pool, handler);
    j->created = j->due = now;
    j->rows = apr_array_make(d->pool, 4, sizeof(webhook_attempt_row));
    APR_ARRAY_PUSH(d->jobs, mem_job *) = j;
    d->finished = 0;
    return j;
}

int wh_mem_again(mem_delivery *d, const char *handler, job_state only, apr_time_t now, int *seen)
{
    int i, made = 0;

    for (i = 0; i < d->jobs->nelts; i++) {
        mem_job *j = wh_mem_job(d, i);

        if (handler && strcmp(j->handler, handler) != 0)
            continue;
        ++*seen;
        if (j->state < DONE || (only == DEAD && j->state != DEAD))
            continue;
        j->state = RETRY;
        j->created = j->due = now;
        j->reason = NULL;
        d->finished = 0;
        made++;
    }
    return made;
}

static int any_dead(const mem_delivery *d)
{
    int i, n = 0;

    for (i = 0; i < d->jobs->nelts; i++)
        n += wh_mem_job(d, i)->state == DEAD;
    return n;
}

const char *wh_mem_text(apr_pool_t *p, const char *text)
{
    return text ? apr_pstrdup(p, text) : NULL;
}

static webhook_slice copy_slice(apr_pool_t *p, webhook_slice in)
{
    webhook_slice out = { "", 0 };

    if (in.len) {
        out.data = apr_pmemdup(p, in.data, in.len);
        out.len = in.len;
    }
    return out;
}

webhook_slice wh_mem_shape(apr_pool_t *p, webhook_slice shape)
{
    return shape.data ? copy_slice(p, shape) : shape;
}

apr_status_t wh_mem_copy(webhook_delivery *to, const webhook_delivery *from, int with_body, apr_pool_t *p)
{
    webhook_slice body = { NULL, 0 };
    apr_status_t rv = APR_SUCCESS;

    *to = *from;
    to->id = apr_pstrdup(p, from->id);
    to->endpoint = apr_pstrdup(p, from->endpoint);
    to->scheme = apr_pstrdup(p, from->scheme);
    to->key_id = wh_mem_text(p, from->key_id);
    to->event = wh_mem_text(p, from->event);
    to->sender_id = wh_mem_text(p, from->sender_id);
    to->remote_addr = apr_pstrdup(p, from->remote_addr);
    to->method = apr_pstrdup(p, from->method);
    to->uri = apr_pstrdup(p, from->uri);
    to->content_type = wh_mem_text(p, from->content_type);
    to->body_sha256 = apr_pstrdup(p, from->body_sha256);
    to->headers.data = to->body.data = NULL;
    to->headers.len = to->body.len = 0;
    to->body_file = NULL;
    if (with_body) {
        to->headers = copy_slice(p, from->headers);
        rv = wh_delivery_body(from, &body, p);
        to->body = copy_slice(p, body);
    }
    return rv;
}

/* -------------------------------------------------------------------------------------------------------------- accept --- */

static apr_status_t fail(webhook_result *res, apr_status_t rv, wh_refusal reason, const char *detail)
{
    res->rv = rv;
    res->reason = wh_refusal_table[reason].code;
    res->detail = detail;
    res->retry_after = APR_TIME_C(60) * 1000000;
    return rv;
}

static mem_key *key_find(const mem_state *m, const unsigned char *key)
{
    int i;

    for (i = 0; i < m->keys->nelts; i++) {
        mem_key *k = &APR_ARRAY_IDX(m->keys, i, mem_key);
        apr_size_t same = 0;

        while (same < sizeof k->key && k->key[same] == key[same])
            same++;
        if (same == sizeof k->key)
            return k;
    }
    return NULL;
}

/* The requeued jobs may have died of what the templates gave before. */
static void shape_again(mem_delivery *d, const webhook_accept *item)
{
    int i, k;

    for (i = 0; item->shapes && i < d->jobs->nelts; i++) {
        mem_job *j = wh_mem_job(d, i);

        for (k = 0; k < item->handler_count && j->state <= RETRY; k++) {
            if (item->shapes[k].data && !strcmp(item->handlers[k], j->handler))
                j->shape = wh_mem_shape(d->pool, item->shapes[k]);
        }
    }
}

/* @return 1 when the item was answered from the delivery seen before */
static int accept_known(mem_state *m, webhook_accept *item, const mem_key *key, apr_time_t now)
{
    mem_delivery *d = wh_mem_find(m, key->id);
    int seen = 0;

    if (d && item->handler_count > 0 && d->jobs->nelts == 0)
        return 0;
    apr_cpystrn(item->first_id, key->id, sizeof item->first_id);
    item->outcome = WEBHOOK_ACCEPT_DUPLICATE;
    if (!d)
        return 1;
    d->duplicates++;
    if (item->handler_count > 0 && any_dead(d)) {
        wh_mem_again(d, NULL, DEAD, now, &seen);
        shape_again(d, item);
        item->outcome = WEBHOOK_ACCEPT_REQUEUED;
    }
    return 1;
}

static void insert_sorted(mem_state *m, mem_delivery *d)
{
    int i;

    APR_ARRAY_PUSH(m->deliveries, mem_delivery *) = d;
    for (i = m->deliveries->nelts - 1; i > 0 && strcmp(wh_mem_at(m, i - 1)->d.id, d->d.id) > 0; i--)
        APR_ARRAY_IDX(m->deliveries, i, mem_delivery *) = wh_mem_at(m, i - 1);
    APR_ARRAY_IDX(m->deliveries, i, mem_delivery *) = d;
}

static mem_key *key_known(mem_state *m, const unsigned char *key, apr_time_t now)
{
    mem_key *found = key ? key_find(m, key) : NULL;

    return found && found->expires > now ? found : NULL;
}

static void remember(mem_state *m, const unsigned char *name, const char *id, apr_time_t expires)
{
    mem_key *key = key_find(m, name);

    if (!key)
        key = apr_array_push(m->keys);
    memcpy(key->key, name, sizeof key->key);
    memmove(key->id, id, sizeof key->id);
    key->expires = expires;
}

/* Whether its key, or else the id it claims, is remembered. */
static int is_known(mem_state *m, webhook_accept *item, apr_time_t now)
{
    const mem_key *key = key_known(m, item->dedupe_key, now);
    char first[sizeof key->id];

    if (key || !item->dedupe_claim)
        return key && accept_known(m, item, key, now);
    key = key_known(m, item->dedupe_claim, now);
    if (!key || !accept_known(m, item, key, now))
        return 0;
    memcpy(first, key->id, sizeof first);
    if (item->dedupe_key)
        remember(m, item->dedupe_key, first, now + item->dedupe_window); /* may move the keys */
    return 1;
}

static void accept_one(webhook_store *s, webhook_accept *item, apr_time_t now)
{
    mem_state *m = s->m;
    mem_delivery *d;
    apr_pool_t *p;
    int i;

    if (is_known(m, item, now))
        return;
    item->outcome = WEBHOOK_ACCEPT_FAILED;
    if (m->deliveries->nelts >= s->conf->rows) {
        fail(&item->result, APR_ENOSPC, WH_REFUSAL_STORE_FULL, "the store memory: has reached rows=");
        return;
    }
    if (!wh_id_valid(item->delivery->id) || wh_mem_find(m, item->delivery->id)) {
        fail(&item->result, APR_EINVAL, WH_REFUSAL_INTERNAL, "this delivery cannot be kept in the store memory:");
        return;
    }
    apr_pool_create(&p, m->pool);
    d = apr_pcalloc(p, sizeof *d);
    d->pool = p;
    if (wh_mem_copy(&d->d, item->delivery, 1, p) != APR_SUCCESS) {
        apr_pool_destroy(p);
        fail(&item->result, APR_EGENERAL, WH_REFUSAL_STORE_FAILED, "the body's file cannot be read");
        return;
    }
    d->kept_as = item->kept_as && strcmp(item->kept_as, "dropped") == 0 ? "dropped" : "unrouted";
    d->why = item->handler_count == 0 ? apr_pstrdup(p, item->why) : NULL;
    d->jobs = apr_array_make(p, 4, sizeof(mem_job *));
    for (i = 0; i < item->handler_count; i++) {
        mem_job *j = wh_mem_job_add(m, d, item->handlers[i], now);

        if (item->shapes)
            j->shape = wh_mem_shape(p, item->shapes[i]);
    }
    finish_if_closed(d, now);
    insert_sorted(m, d);
    if (item->dedupe_key)
        remember(m, item->dedupe_key, item->delivery->id, now + item->dedupe_window);
    if (item->dedupe_claim)
        remember(m, item->dedupe_claim, item->delivery->id, now + item->dedupe_window);
    apr_cpystrn(item->first_id, item->delivery->id, sizeof item->first_id);
    item->outcome = WEBHOOK_ACCEPT_STORED;
}

static apr_status_t mem_accept(webhook_store *s, webhook_accept *const *items, int count, apr_time_t now, webhook_result *res)
{
    int i, kept = 0;

    for (i = 0; i < count; i++) {
        accept_one(s, items[i], now);
        kept += items[i]->outcome != WEBHOOK_ACCEPT_FAILED;
    }
    if (kept)
        return APR_SUCCESS;
    *res = items[0]->result;
    return res->rv;
}

/* ---------------------------------------------------------------------------------------------------------------- turn --- */

static apr_status_t mem_own(webhook_store *s, webhook_result *res)
{
    (void)res;
    if (!s->owner)
        s->owner = ++s->m->owners;
    return APR_SUCCESS;
}

static void attempt_add(mem_delivery *d, mem_job *j, const webhook_settlement *t, const char *outcome)
{
    webhook_attempt_row *a = apr_array_push(j->rows);

    a->attempt = t->attempt;
    a->started = t->started;
    a->ended = t->ended;
    a->outcome = outcome;
    a->code = t->code;
    a->reason = wh_mem_text(d->pool, t->reason);
    a->detail = wh_mem_text(d->pool, t->detail);
    a->output = copy_slice(d->pool, t->output);
}

static mem_job *job_find(mem_state *m, apr_int64_t job, mem_delivery **of)
{
    int i, k;

    for (i = 0; i < m->deliveries->nelts; i++) {
        for (k = 0; k < wh_mem_at(m, i)->jobs->nelts; k++) {
            *of = wh_mem_at(m, i);
            if (wh_mem_job(*of, k)->job == job)
                return wh_mem_job(*of, k);
        }
    }
    return NULL;
}

static void settle_one(mem_state *m, webhook_settlement *t, apr_time_t now)
{
    static const char *const words[] = { "", "done", "retry", "dead", "released" };
    mem_delivery *d;
    mem_job *j = job_find(m, t->job, &d);

    t->applied = j && j->state == LEASED && j->token == t->token;
    if (!t->applied)
        return;
    j->token = 0;
    j->due = now;
    j->reason = wh_mem_text(d->pool, t->reason);
    switch (t->outcome) {
    case WEBHOOK_OUTCOME_DONE:
        j->state = DONE;
        break;
    case WEBHOOK_OUTCOME_RETRY:
        j->state = RETRY;
        j->due = t->due;
        break;
    case WEBHOOK_OUTCOME_DEAD:
        j->state = DEAD;
        break;
    default:
        if (t->unstarted && j->attempts > 0)
            j->attempts--;
        j->state = j->attempts ? RETRY : QUEUED;
        break;
    }
    if (!(t->outcome == WEBHOOK_OUTCOME_RELEASED && t->unstarted))
        attempt_add(d, j, t, words[t->outcome]);
    if (j->state >= DONE)
        finish_if_closed(d, now);
}

/* The job of this handler that is due longest; NULL if none is. *next: earliest time later than now */
static mem_job *oldest_due(const mem_state *m, const webhook_lease_want *want, apr_time_t now, mem_delivery **of, apr_time_t *next)
{
    mem_job *best = NULL;
    int i, k;

    for (i = 0; i < m->deliveries->nelts; i++) {
        for (k = 0; k < wh_mem_at(m, i)->jobs->nelts; k++) {
            mem_job *j = wh_mem_job(wh_mem_at(m, i), k);

            if (j->state > RETRY || strcmp(j->handler, want->handler) != 0)
                continue;
            if (want->wait_max > 0 && j->due - now > want->wait_max)
                j->due = now + want->wait_max; /* the clock was set back */
            if (j->due > now) {
                if (!*next || j->due < *next)
                    *next = j->due;
            } else if (!best || j->due < best->due) {
                best = j;
                *of = wh_mem_at(m, i);
            }
        }
    }
    return best;
}

static apr_status_t mem_turn(webhook_store *s, webhook_settlement *const *settled, int settled_count, const webhook_lease_want *wants,
                             int want_count, apr_time_t now, apr_array_header_t *leases, apr_time_t *next_due, apr_pool_t *p,
                             webhook_result *res)
{
    int i, round, left = 1;

    *next_due = 0;
    for (i = 0; i < settled_count; i++)
        settle_one(s->m, settled[i], now);
    if (want_count)
        mem_own(s, res);
    for (round = 0; left; round++) {
        left = 0;
        for (i = 0; i < want_count; i++) {
            mem_delivery *d = NULL;
            mem_job *j = oldest_due(s->m, &wants[i], now, &d, next_due);
            webhook_delivery *copied;
            webhook_lease *l;

            if (!j || round >= wants[i].max)
                continue;
            left = 1;
            j->state = LEASED;
            j->token = ++s->m->token;
            j->owner = s->owner;
            j->leased = now;
            j->until = now + wants[i].lease_time;
            j->attempts++;
            l = apr_pcalloc(p, sizeof *l);
            l->job = j->job;
            l->token = j->token;
            l->attempt = j->attempts;
            l->created = j->created;
            l->handler = wants[i].handler;
            l->shape = wh_mem_shape(p, j->shape);
            copied = apr_pcalloc(p, sizeof *copied);
            wh_mem_copy(copied, &d->d, 1, p);
            l->delivery = copied;
            APR_ARRAY_PUSH(leases, webhook_lease *) = l;
        }
    }
    return APR_SUCCESS;
}

static apr_status_t mem_reclaim(webhook_store *s, apr_time_t now, int *count, webhook_result *res)
{
    int i, k;

    (void)res;
    *count = 0;
    for (i = 0; i < s->m->deliveries->nelts; i++) {
        mem_delivery *d = wh_mem_at(s->m, i);

        for (k = 0; k < d->jobs->nelts; k++) {
            mem_job *j = wh_mem_job(d, k);
            webhook_settlement t;

            if (j->state != LEASED || j->until >= now)
                continue;
            memset(&t, 0, sizeof t);
            t.attempt = j->attempts;
            t.started = j->leased;
            t.ended = now;
            t.reason = wh_failure_LOST;
            attempt_add(d, j, &t, "lost");
            j->state = RETRY;
            j->token = 0;
            j->due = wh_store_lost_due(j->attempts, now);
            j->reason = wh_failure_LOST;
            ++*count;
        }
    }
    return APR_SUCCESS;
}

static apr_status_t mem_maintain(webhook_store *s, apr_time_t now, int *more, apr_pool_t *scratch, webhook_result *res)
{
    mem_state *m = s->m;
    int i, kept = 0;

    (void)scratch, (void)res;
    *more = 0;
    for (i = 0; i < m->deliveries->nelts; i++) {
        mem_delivery *d = wh_mem_at(m, i);

        if (d->finished && d->finished < now - (any_dead(d) ? s->conf->dead : s->conf->done))
            apr_pool_destroy(d->pool);
        else
            APR_ARRAY_IDX(m->deliveries, kept++, mem_delivery *) = d;
    }
    m->deliveries->nelts = kept;
    for (i = kept = 0; i < m->keys->nelts; i++) {
        if (APR_ARRAY_IDX(m->keys, i, mem_key).expires > now)
            APR_ARRAY_IDX(m->keys, kept++, mem_key) = APR_ARRAY_IDX(m->keys, i, mem_key);
    }
    m->keys->nelts = kept;
    return APR_SUCCESS;
}

static const char *mem_describe(const webhook_store_conf *conf, apr_pool_t *p)
{
    return apr_psprintf(p, "rows=%d\ndone=%s\ndead=%s\n", conf->rows, wh_format_duration(conf->done, p), wh_format_duration(conf->dead, p));
}

const webhook_store_provider wh_store_memory = {
    .name = "memory",
    .configure = mem_configure,
    .init = mem_init,
    .open = mem_open,
    .accept = mem_accept,
    .own = mem_own,
    .turn = mem_turn,
    .reclaim = mem_reclaim,
    .maintain = mem_maintain,
    .list = wh_mem_list,
    .replay = wh_mem_replay,
    .stats = wh_mem_stats,
    .waiting_handlers = wh_mem_waiting,
    .describe = mem_describe,
};
