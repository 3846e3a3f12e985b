/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window of every preset that has a time: accepted and refused second by second, 600 s on both sides of both edges, and to the
 * microsecond at the edges themselves. The bounds are read from the preset's own words (tolerance=, future=, leeway=, max-age=), not from
 * what the engine made of them. And the moment: what a copy of a request without an id is known by.
 */
#include "core/units.h"
#include "verify_fixture.h"

static apr_pool_t *p;

/* ---- the window ---- */

#define NO_BOUND APR_INT64_MAX
#define DEFAULT_TOLERANCE apr_time_from_sec(300)

typedef struct window {
    apr_interval_time_t past, future; /* ages accepted: -future <= age <= past */
    int past_open;                    /* the last moment itself is refused: exp of a token */
} window;

static const char *preset_option(const wh_verifier_info *info, const char *name)
{
    const char *const *o;
    apr_size_t n = strlen(name);

    for (o = info->options; *o; o++) {
        if (strncmp(*o, name, n) == 0 && (*o)[n] == '=') return *o + n + 1;
    }
    return NULL;
}

static apr_interval_time_t bound(const wh_verifier_info *info, const char *name, apr_interval_time_t fallback)
{
    const char *text = preset_option(info, name);
    apr_interval_time_t t;

    if (!text) return fallback;
    if (strcmp(text, "off") == 0) return NO_BOUND;
    return wh_parse_duration(text, &t) == APR_SUCCESS ? t : -1;
}

/* A token of our own making is issued and valid now, and expires 300 s later. */
static window window_of(const wh_verifier_info *info)
{
    window w = { 0, 0, 0 };

    if (strcmp(info->primitive, "jwt") == 0) {
        apr_interval_time_t leeway = bound(info, "leeway", 0), age = bound(info, "max-age", NO_BOUND);
        w.future = leeway;
        w.past = apr_time_from_sec(300) + leeway;
        w.past_open = 1;
        if (age != NO_BOUND && age + leeway < w.past) {
            w.past = age + leeway;
            w.past_open = 0;
        }
        return w;
    }
    w.past = bound(info, "tolerance", DEFAULT_TOLERANCE);
    w.future = bound(info, "future", w.past);
    return w;
}

typedef struct subject {
    const char *name;
    const webhook_verifier_provider *provider;
    const webhook_verifier *v;
    webhook_secrets secrets;
    webhook_request req;
    apr_time_t signed_at;
} subject;

static int tried, wrong;

static void try_age(const subject *s, const window *w, apr_interval_time_t age, apr_pool_t *scratch)
{
    webhook_request req = s->req;
    webhook_verdict verdict;
    webhook_reply reply;
    int replied, good = -age <= w->future && (w->past_open ? age < w->past : age <= w->past);

    req.now = s->signed_at + age;
    apr_pool_clear(scratch);
    wh_verify_request(s->provider, s->v, &s->secrets, &req, &verdict, &reply, &replied, scratch);
    tried++;
    if (good ? verdict.status == 200 : verdict.status == 401 && strcmp(verdict.reason, "timestamp-outside-window") == 0) return;
    /* two conditions of one kind may meet a token that is too old: either refuses it for its time */
    if (wrong++ < 3) {
        diag("%s: %" APR_INT64_T_FMT " us old: expected %s, got %d %s", s->name, (apr_int64_t)age, good ? "accepted" : "refused",
             verdict.status, verdict.reason ? verdict.reason : "");
    }
}

static void sweep(const subject *s, const window *w, apr_pool_t *scratch)
{
    int edge, d;

    tried = wrong = 0;
    for (edge = 0; edge < 2; edge++) {
        apr_interval_time_t at = edge ? -w->future : w->past;
        if (at == NO_BOUND || at == -NO_BOUND) { /* no bound: ten years off are as good */
            try_age(s, w, edge ? -apr_time_from_sec(315360000) : apr_time_from_sec(315360000), scratch);
            continue;
        }
        for (d = -600; d <= 600; d++) try_age(s, w, at + apr_time_from_sec(d), scratch);
        for (d = -1; d <= 1; d++) try_age(s, w, at + d, scratch);
    }
    is_int(wrong, 0, "%s: %d moments around %s", s->name, tried,
           apr_psprintf(p, "%s ahead and %s old", w->future == NO_BOUND ? "any time" : wh_format_duration(w->future, p),
                        w->past == NO_BOUND ? "any time" : wh_format_duration(w->past, p)));
}

/* Senders whose signature lies in the body: the first accepted record that has a time */
static int from_record(subject *s, const char *name)
{
    static const char *const files[] = { "portable.json", "portable-docref.json", "made.json" };
    const wh_json_value *list;
    apr_size_t f, i;

    for (f = 0; f < 3; f++) {
        if (wh_vectors_load(&list, vector_path(files[f], p), p) != NULL) continue;
        for (i = 0; i < wh_json_size(list); i++) {
            const wh_json_value *record = wh_json_at(list, i);
            webhook_verdict verdict;
            webhook_reply reply;
            wh_vector v;
            int replied;

            if (strcmp(member_text(record, "provider", p), name) != 0 || strcmp(member_text(record, "expect", p), "accept") != 0) continue;
            if (wh_vector_prepare(&v, record, p) != NULL) continue;
            wh_verify_request(v.provider, v.verifier, &v.secrets, &v.request, &verdict, &reply, &replied, p);
            if (verdict.status != 200 || !verdict.timestamp) continue;
            s->provider = v.provider;
            s->v = v.verifier;
            s->secrets = v.secrets;
            s->req = v.request;
            s->signed_at = verdict.timestamp;
            return 1;
        }
    }
    return 0;
}

static int has_time(const wh_verifier_info *info)
{
    return preset_option(info, "timestamp") || strcmp(info->primitive, "httpsig") == 0 || strcmp(info->primitive, "jwt") == 0;
}

/* What else the senders' templates take from the request */
static void further_headers(fixture *f)
{
    apr_table_setn(headers_of(f), "x-request-id", "req-1");
    apr_table_setn(headers_of(f), "X-Lark-Request-Nonce", "nonce-1");
    apr_table_setn(headers_of(f), "PAYPAL-TRANSMISSION-ID", "transmission-1");
    f->req.uri = "/in?data.id=17";
    f->req.query = "data.id=17";
    f->req.url = "https://hooks.example.com/in?data.id=17";
}

static void test_presets(apr_pool_t *scratch)
{
    const webhook_verifier_provider *provider;
    wh_verifier_info info;
    int i, signed_afresh = 0, recorded = 0;

    for (i = 0; (provider = wh_verifier_builtins(i)) != NULL; i++) {
        fixture f;
        subject s;
        window w;

        wh_verifier_describe(provider, &info);
        if (info.generic || !has_time(&info)) continue;
        w = window_of(&info);
        s.name = info.name;
        if (configure_with_key(&f, p, &info) == NULL) {
            further_headers(&f);
            if (sign(&f, "msg-1", "thing.done") == NULL) {
                s.provider = f.provider;
                s.v = f.v;
                s.secrets = f.secrets;
                s.req = f.req;
                s.signed_at = f.req.now;
                sweep(&s, &w, scratch);
                signed_afresh++;
                continue;
            }
        }
        if (strcmp(info.name, "kinde") == 0) continue; /* its token, the body itself, need not have a time */
        if (ok(from_record(&s, info.name), "%s: a record with a time", info.name)) {
            sweep(&s, &w, scratch);
            recorded++;
        }
    }
    ok(signed_afresh >= 50 && recorded >= 3, "%d presets signed afresh, %d from records", signed_afresh, recorded);
}

/* ---- the moment ---- */

static webhook_slice moment_of(fixture *f, const char *expected)
{
    f->req.want_moment = 1;
    is_str(outcome(f), expected, "%s", expected);
    return f->verdict.moment;
}

static int same(webhook_slice a, webhook_slice b)
{
    return a.len == 32 && b.len == 32 && memcmp(a.data, b.data, 32) == 0;
}

static void test_moment(void)
{
    fixture f;
    webhook_slice first, other;
    const char *sig;

    configure(&f, p, "slack", "");
    add_key(&f, "old", "0123456789", 10);
    add_key(&f, "new", "9876543210", 10);
    is_str(sign(&f, NULL, NULL), NULL, "slack: signed");
    f.req.body.data = "{\"id\":\"1\"}";
    first = moment_of(&f, "accepted");
    ok(first.len == 32 && f.verdict.timestamp_signed && !f.verdict.sender_id, "no id: there is a moment");
    apr_table_setn(headers_of(&f), "X-Other", "1");
    f.req.now += apr_time_from_sec(60);
    f.req.uri = f.req.url = "/elsewhere?x=1";
    other = moment_of(&f, "accepted");
    ok(same(first, other), "a copy has the same, whatever else was changed, and later");
    f.req.want_moment = 0;
    outcome(&f);
    ok(f.verdict.moment.len == 0, "none where nobody asks");
    f.req.now -= apr_time_from_sec(60);

    /* the same text signed with another key of the endpoint */
    f.secrets.list++;
    f.secrets.count = 1;
    sign(&f, NULL, NULL);
    other = moment_of(&f, "accepted");
    is_str(f.verdict.key_id, "new", "the other key");
    ok(same(first, other), "which key it was makes no difference");
    f.req.now += apr_time_from_sec(1);
    sign(&f, NULL, NULL);
    other = moment_of(&f, "accepted");
    ok(other.len == 32 && !same(first, other), "a second later is another moment");
    sig = apr_table_get(headers_of(&f), "X-Slack-Signature");
    f.req.body.data = "{\"id\":\"2\"}";
    sign(&f, NULL, NULL);
    ok(strcmp(sig, apr_table_get(headers_of(&f), "X-Slack-Signature")) != 0, "another body, another signature");
    ok(!same(other, moment_of(&f, "accepted")), "and another moment");
    f.req.body.data = "{\"id\":\"3\"}";
    ok(moment_of(&f, "signature-mismatch").len == 0, "none for what is refused");

    configure(&f, p, "slack", "");
    add_key(&f, "1", "0123456789", 10);
    f.req.body.data = "{\"event_id\":\"Ev1\"}";
    f.req.body.len = strlen(f.req.body.data);
    sign(&f, NULL, NULL);
    ok(moment_of(&f, "accepted").len == 0 && f.verdict.sender_id, "none where there is an id");

    /* an id that anyone could change is no reason to take a copy for another event */
    configure(&f, p, "sanity", "");
    add_key(&f, "1", "0123456789", 10);
    sign(&f, "first", NULL);
    first = moment_of(&f, "accepted");
    is_str(f.verdict.sender_id, "first", "sanity: an id");
    ok(first.len == 32 && !f.verdict.sender_id_signed, "which is not signed: there is a moment");
    apr_table_set(headers_of(&f), "idempotency-key", "second");
    ok(same(first, moment_of(&f, "accepted")), "the same under another id");
    is_str(f.verdict.sender_id, "second", "which the verdict names");

    /* nor is one that may be beside what is signed: Zendesk's body is the operator's, its id may be a ticket's */
    configure(&f, p, "zendesk", "");
    add_key(&f, "1", "0123456789", 10);
    sign(&f, NULL, NULL);
    first = moment_of(&f, "accepted");
    ok(first.len == 32 && f.verdict.sender_id && !f.verdict.sender_id_signed, "zendesk: an id that may be unsigned: there is a moment");
    f.req.now += apr_time_from_sec(1);
    sign(&f, NULL, NULL);
    ok(!same(first, moment_of(&f, "accepted")), "the same id a second later is another event");

    configure(&f, p, "clickup", "");
    add_key(&f, "1", "0123456789", 10);
    sign(&f, NULL, NULL);
    ok(moment_of(&f, "accepted").len == 0, "none where no time is signed");
    configure(&f, p, "token", "header=X-Token\ntimestamp=header:X-Time");
    add_key(&f, "1", "0123456789", 10);
    sign(&f, NULL, NULL);
    apr_table_setn(headers_of(&f), "X-Time", "1796000000");
    ok(moment_of(&f, "accepted").len == 0 && f.verdict.timestamp && !f.verdict.timestamp_signed, "nor where it is only stated");
    configure(&f, p, "hmac", "header=X-Sig\ntemplate={ts}\ntimestamp=header:X-Time");
    add_key(&f, "1", "0123456789", 10);
    sign(&f, NULL, NULL);
    ok(moment_of(&f, "accepted").len == 0 && f.verdict.timestamp_signed, "nor where the body is not covered");

    /* parts without a separator: bytes moved from the URL to the body are the same signed text, and the same moment */
    configure(&f, p, "hmac", "header=X-Sig\ntemplate={uri}{body}{ts}\ntimestamp=header:X-Time");
    add_key(&f, "1", "0123456789", 10);
    f.req.uri = "/in?a=1";
    f.req.body.data = "23";
    f.req.body.len = 2;
    sign(&f, NULL, NULL);
    first = moment_of(&f, "accepted");
    f.req.uri = "/in?a=12";
    f.req.body.data = "3";
    f.req.body.len = 1;
    ok(same(first, moment_of(&f, "accepted")), "shifted parts are still a copy");

    configure(&f, p, "rfc9421", "");
    add_key(&f, "k", "0123456789", 10);
    is_str(sign(&f, NULL, NULL), NULL, "rfc9421: signed");
    first = moment_of(&f, "accepted");
    ok(first.len == 32, "message signatures have one");
    ok(same(first, moment_of(&f, "accepted")), "the same for a copy");
}

int main(void)
{
    apr_pool_t *scratch;

    apr_initialize();
    apr_pool_create(&p, NULL);
    apr_pool_create(&scratch, NULL);
    test_presets(scratch);
    test_moment();
    apr_pool_destroy(scratch);
    apr_pool_destroy(p);
    return tap_done();
}
