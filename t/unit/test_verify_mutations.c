/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For every preset, a good recorded request is changed in at least 200 ways that its signature must notice; none may be accepted. What a
 * scheme does not cover (the body under a static token) is not changed. The verdict on the unchanged request is checked before and after:
 * a test that refuses everything proves nothing.
 *
 * The presets most used are changed at random too, 5,000 times; `make mutations` does it a million times.
 *
 *   test_verify_mutations [RANDOM CHANGES [PRESET...]]
 */
#include <apr_hash.h>
#include <apr_lib.h>

#include "verify/scheme.h"
#include "verify_fixture.h"

typedef struct subject {
    wh_vector v;
    webhook_request good;
    apr_pool_t *scratch;
    int tried, accepted;
    apr_array_header_t *headers; /* const char *: names that carry the signature, timestamp, id or key id */
} subject;

static const char *const most_used[] = { "github", "stripe", "slack", "shopify", "twilio-form", NULL };

/* xorshift64*: a million changes need more than 32 bits of state */
static unsigned int next_random(void)
{
    static apr_uint64_t state = 88172645463325252u;

    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (unsigned int)(state * 2685821657736338717u >> 33);
}

static const char *run(subject *s, const webhook_request *req, const webhook_secrets *secrets)
{
    webhook_verdict verdict;
    webhook_reply reply;
    int replied;

    wh_verify_request(s->v.provider, s->v.verifier, secrets, req, &verdict, &reply, &replied, s->scratch);
    return verdict.status == 200 ? NULL : verdict.reason;
}

static void expect_refused(subject *s, const webhook_request *req, const char *what)
{
    s->tried++;
    if (run(s, req, &s->v.secrets) == NULL) {
        if (s->accepted++ < 5) diag("%s accepts: %s", s->v.provider->name, what);
    }
    apr_pool_clear(s->scratch);
}

static void with_header(subject *s, const char *name, const char *value, const char *what)
{
    webhook_request req = s->good;
    apr_table_t *t = apr_table_copy(s->scratch, s->good.headers);

    apr_table_set(t, name, value);
    req.headers = t;
    expect_refused(s, &req, apr_psprintf(s->scratch, "%s: %s", name, what));
}

static void note_header(subject *s, const wh_locator *loc, apr_pool_t *p)
{
    int i;
    const char *name = loc->kind == WH_LOC_FAMILY ? apr_pstrcat(p, loc->name, "1", NULL)
                       : loc->kind == WH_LOC_BEARER || loc->kind == WH_LOC_BASIC ? "Authorization" : loc->name;

    if (loc->kind != WH_LOC_HEADER && loc->kind != WH_LOC_FAMILY && loc->kind != WH_LOC_BEARER && loc->kind != WH_LOC_BASIC) return;
    if (!apr_table_get(s->good.headers, name)) return;
    for (i = 0; i < s->headers->nelts; i++) {
        if (strcasecmp(APR_ARRAY_IDX(s->headers, i, const char *), name) == 0) return;
    }
    APR_ARRAY_PUSH(s->headers, const char *) = name;
}

static void note_all(subject *s, const apr_array_header_t *locs, apr_pool_t *p)
{
    int i;

    for (i = 0; locs && i < locs->nelts; i++) note_header(s, &APR_ARRAY_IDX(locs, i, wh_locator), p);
}

/* The scheme name before a token is compared without case where its sender's RFC says so. */
static apr_size_t free_prefix(subject *s, const char *name)
{
    const webhook_verifier *v = s->v.verifier;

    if (strcasecmp(name, "Authorization") != 0) return 0;
    if (v->prefix && (v->lenient & (WH_LENIENT_CASE | WH_LENIENT_BARE))) return strlen(v->prefix);
    return APR_ARRAY_IDX(v->signatures, 0, wh_locator).kind == WH_LOC_HEADER ? 0 : 7;
}

static void mutate_header(subject *s, const char *name)
{
    const char *good = apr_pstrdup(s->headers->pool, apr_table_get(s->good.headers, name));
    apr_size_t len = strlen(good), i, from = free_prefix(s, name), step = len > 400 ? len / 400 + 1 : 1;

    for (i = from; i < len; i += step) {
        char *value = apr_pstrdup(s->scratch, good);
        value[i] = (char)(value[i] ^ (1 << (i % 6)));
        if (value[i] < 0x20) value[i] = '#';
        with_header(s, name, value, "one byte changed");
        value = apr_pstrdup(s->scratch, good);
        if ((value[i] >= 'a' && value[i] <= 'z') || (value[i] >= 'A' && value[i] <= 'Z')) {
            value[i] ^= 0x20;
            with_header(s, name, value, "case of one letter");
        }
        with_header(s, name, apr_pstrcat(s->scratch, apr_pstrmemdup(s->scratch, good, i), "0", good + i, NULL), "one byte inserted");
        /* blanks behind a separator are optional where the sender writes them */
        if (good[i] == ' ' && (s->v.verifier->lenient & WH_LENIENT_SPACES)) continue;
        if (good[i] != good[i + 1] || i + 1 == len) { /* removing one of two equal bytes is the same as removing the other */
            with_header(s, name, apr_pstrcat(s->scratch, apr_pstrmemdup(s->scratch, good, i), good + i + 1, NULL), "one byte removed");
        }
    }
    for (i = from; i < len; i += step) with_header(s, name, apr_pstrmemdup(s->scratch, good, i), "cut short");
    with_header(s, name, "", "empty");
    with_header(s, name, apr_pstrcat(s->scratch, good, good, NULL), "twice in a row");
    with_header(s, name, apr_pstrcat(s->scratch, good, "=", NULL), "with padding");
    with_header(s, name, apr_pstrcat(s->scratch, good, "\n", NULL), "newline behind");
    with_header(s, name, apr_pstrcat(s->scratch, "sha1=", good, NULL), "another scheme's prefix");
    with_header(s, name, apr_pstrcat(s->scratch, "0x", good, NULL), "0x in front");
    if (!(s->v.verifier->lenient & WH_LENIENT_REPEAT)) {
        webhook_request req = s->good;
        apr_table_t *t = apr_table_copy(s->scratch, s->good.headers);
        apr_table_addn(t, name, good);
        req.headers = t;
        expect_refused(s, &req, apr_psprintf(s->scratch, "%s sent twice", name));
        with_header(s, name, apr_pstrcat(s->scratch, good, ", ", good, NULL), "folded from two lines");
    }
    {
        webhook_request req = s->good;
        apr_table_t *t = apr_table_copy(s->scratch, s->good.headers);
        apr_table_unset(t, name);
        req.headers = t;
        expect_refused(s, &req, apr_psprintf(s->scratch, "%s missing", name));
    }
}

/* Which bytes of the body the signature sees as they are */
static int raw_body(const subject *s)
{
    const webhook_verifier *v = s->v.verifier;
    int i;

    if (!v->traits.protects_body) return 0;
    if (v->has_digest || v->primitive == WH_JWT || v->primitive == WH_HTTPSIG) return 1;
    for (i = 0; i < v->message->count; i++) {
        if (v->message->parts[i].has_loc && (v->message->parts[i].loc.kind == WH_LOC_BODY || v->message->parts[i].loc.kind == WH_LOC_CONTENTFUL)) return 1;
    }
    return 0;
}

static void with_body(subject *s, const char *data, apr_size_t len, const char *what)
{
    webhook_request req = s->good;

    req.body.data = data;
    req.body.len = len;
    expect_refused(s, &req, what);
}

static void mutate_body(subject *s)
{
    webhook_slice b = s->good.body;
    apr_size_t i;
    char *copy;

    for (i = 0; i < b.len && i < 200; i++) {
        copy = apr_pmemdup(s->scratch, b.data, b.len);
        copy[i] = (char)(copy[i] ^ (1 << (i % 8)));
        with_body(s, copy, b.len, "a byte of the body changed");
    }
    for (i = 0; i < b.len && i < 50; i++) with_body(s, b.data, i, "body cut short");
    copy = apr_palloc(s->headers->pool, b.len + 4);
    memcpy(copy, b.data, b.len);
    memcpy(copy + b.len, "\r\n \0", 4);
    with_body(s, copy, b.len + 1, "CR behind the body");
    with_body(s, copy, b.len + 2, "CRLF behind the body");
    copy[b.len] = '\n';
    with_body(s, copy, b.len + 1, "LF behind the body");
    copy[b.len] = ' ';
    with_body(s, copy, b.len + 1, "blank behind the body");
    copy[b.len] = '\0';
    with_body(s, copy, b.len + 1, "NUL behind the body");
    copy = apr_pstrcat(s->headers->pool, "\xef\xbb\xbf", apr_pstrmemdup(s->headers->pool, b.data, b.len), NULL);
    with_body(s, copy, b.len + 3, "byte order mark");
}

/* Signatures inside the body: only the characters of the value itself are changed, JSON around it may be spelled in many ways. */
static void mutate_inner(subject *s)
{
    static const char *const names[] = { "hmacSignature\":\"", "\"signature\":\"", "event_hash\": \"", "\"Signature\": \"", "bt_signature=",
                                         "passcode\":\"", "clientState\":\"", NULL };
    webhook_slice b = s->good.body;
    char *text = apr_pstrmemdup(s->headers->pool, b.data, b.len);
    const char *at = NULL;
    const char *next;
    apr_size_t start, i;
    int k, bit, bits = s->v.verifier->primitive == WH_TOKEN ? 30 : 5;

    for (k = 0; names[k] && !at; k++) {
        if ((at = strstr(text, names[k])) != NULL) at += strlen(names[k]);
    }
    if (!at) return;
    /* the last of several pairs is the one whose key the endpoint has */
    while ((next = strstr(at, "%7C")) != NULL) at = next + 3;
    start = (apr_size_t)(at - text);
    for (i = start; i < b.len && (apr_isalnum(text[i]) || strchr("+/=_- ", text[i])) && text[i] != '&'; i++) {
        for (bit = 0; bit < bits; bit++) {
            char *copy = apr_pmemdup(s->scratch, b.data, b.len), ch = (char)(bits == 5 ? copy[i] ^ (1 << bit) : 'A' + bit);
            if (!apr_isalnum(ch) && !strchr("+/=_-", ch)) ch = (char)(copy[i] == 'A' + bit ? 'Z' : 'A' + bit);
            if (copy[i] == '\0' || ch == copy[i]) continue;
            copy[i] = ch;
            with_body(s, copy, b.len, "a character of the inner signature changed");
        }
    }
}

static void mutate_query(subject *s)
{
    static const char *const changes[] = { "", "?", "?secret=", "?sig=", "?access_token=", "?secret=The+token", "?secret=the+token%00",
                                           "?secret=the+token&secret=the+token", "?secret=the%20token%20", NULL };
    const webhook_verifier *v = s->v.verifier;
    const wh_locator *loc = &APR_ARRAY_IDX(v->signatures, 0, wh_locator);
    apr_size_t i, len = s->good.query ? strlen(s->good.query) : 0, skip = loc->name ? strlen(loc->name) + 1 : 0;
    int k, bit;

    if (loc->kind != WH_LOC_QUERY || !len) return;
    for (k = 0; changes[k]; k++) {
        webhook_request req = s->good;
        req.uri = changes[k][0] ? apr_pstrcat(s->scratch, "/in", changes[k], NULL) : "/in";
        req.query = changes[k][0] ? changes[k] + 1 : NULL;
        expect_refused(s, &req, changes[k]);
    }
    for (i = skip; i < len; i++) {
        for (bit = 0; bit < 26; bit++) {
            webhook_request req = s->good;
            char *q = apr_pstrdup(s->scratch, s->good.query);
            char ch = (char)('a' + (bit + (int)i) % 26);
            if (q[i] == ch || q[i] == '+') continue;
            q[i] = ch;
            req.query = q;
            req.uri = apr_pstrcat(s->scratch, "/in?", q, NULL);
            expect_refused(s, &req, "a character of the query changed");
        }
    }
}

static void mutate_url(subject *s)
{
    static const char *const urls[] = { "https://evil.example/", "http://hooks.example.com/in", "https://hooks.example.com/in/", "", NULL };
    const webhook_verifier *v = s->v.verifier;
    int k;

    if (!v->message || !v->message->uses_url) return;
    for (k = 0; urls[k]; k++) {
        webhook_request req = s->good;
        req.url = urls[k];
        expect_refused(s, &req, urls[k]);
    }
}

static void mutate_time(subject *s)
{
    const webhook_verifier *v = s->v.verifier;
    apr_time_t away = 3 * (v->traits.window + apr_time_from_sec(3600)) + apr_time_from_sec(86400);
    webhook_request req = s->good;
    int past = 0, future = 0;

    if (v->primitive == WH_JWT) {
        past = 0;
        future = v->max_age != 0;
    } else if (v->ts_locs->nelts || v->primitive == WH_HTTPSIG) {
        past = v->future >= 0; /* clock earlier than the timestamp */
        future = v->tolerance >= 0;
    }
    req.now = s->good.now + away;
    if (future) expect_refused(s, &req, "clock far behind the window");
    req.now = s->good.now - away;
    if (past) expect_refused(s, &req, "clock far before the window");
}

/* Another secret of the same form */
static void mutate_secrets(subject *s)
{
    webhook_secrets none = { 0, NULL };

    s->tried++;
    if (run(s, &s->good, &none) == NULL) {
        s->accepted++;
        diag("%s accepts without any secret", s->v.provider->name);
    }
    apr_pool_clear(s->scratch);
}

/* What a scheme that signs sorted fields sees of a form; NULL when it is none. */
static const char *sorted_fields(webhook_slice body, apr_pool_t *p)
{
    wh_form form;
    const char *lines[64], *all = "";
    int i, k;

    if (wh_form_parse(&form, body, p) != APR_SUCCESS || form.count > 64) return NULL;
    for (i = 0; i < form.count; i++) {
        const wh_form_pair *pair = &form.pairs[i];
        const char *line = apr_pstrcat(p, wh_encode(WH_ENC_HEX, (const unsigned char *)pair->name.data, pair->name.len, p), " ",
                                       wh_encode(WH_ENC_HEX, (const unsigned char *)pair->value.data, pair->value.len, p), "\n", NULL);
        for (k = i; k > 0 && strcmp(lines[k - 1], line) > 0; k--) lines[k] = lines[k - 1];
        lines[k] = line;
    }
    for (i = 0; i < form.count; i++) {
        if (!i || strcmp(lines[i], lines[i - 1]) != 0) all = apr_pstrcat(p, all, lines[i], NULL); /* a field repeated whole counts once */
    }
    return all;
}

static int sorted_body(const subject *s)
{
    const wh_template *m = s->v.verifier->message;
    int i;

    for (i = 0; m && i < m->count; i++) {
        if (m->parts[i].has_loc && m->parts[i].loc.kind == WH_LOC_FORM_SORTED) return 1;
    }
    return 0;
}

/* One to four bytes of the body changed, one cut out or put in. What says the same in another spelling (a blank for '+') is no change. */
static void change_body(subject *s)
{
    webhook_slice good = s->good.body, b;
    char *copy = apr_palloc(s->scratch, good.len + 1);
    apr_size_t at = next_random() % good.len, changes = 1 + next_random() % 4;

    b.data = copy;
    b.len = good.len;
    memcpy(copy, good.data, good.len);
    switch (next_random() % 8) {
    case 0:
        memmove(copy + at, copy + at + 1, good.len - at - 1);
        b.len--;
        break;
    case 1:
        memmove(copy + at + 1, copy + at, good.len - at);
        copy[at] = (char)next_random();
        b.len++;
        break;
    default:
        while (changes--) copy[next_random() % good.len] = (char)next_random();
    }
    if (b.len == good.len && memcmp(copy, good.data, b.len) == 0) return;
    if (sorted_body(s)) {
        const char *now = sorted_fields(b, s->scratch);
        if (now && strcmp(now, sorted_fields(good, s->scratch)) == 0) return;
    }
    with_body(s, copy, b.len, "random bytes of the body");
}

static void mutate_randomly(subject *s, int rounds)
{
    int body = s->good.body.len > 0 && (raw_body(s) || sorted_body(s));

    while (rounds-- > 0 && s->headers->nelts) {
        const char *name = APR_ARRAY_IDX(s->headers, (int)(next_random() % (unsigned int)s->headers->nelts), const char *);
        const char *good = apr_table_get(s->good.headers, name);
        apr_size_t len = strlen(good), from = free_prefix(s, name), changes = 1 + next_random() % 4;
        char *value;
        if (body && next_random() % 2) {
            change_body(s);
            continue;
        }
        value = apr_pstrdup(s->scratch, good);
        if (len <= from) continue;
        while (changes--) value[from + next_random() % (len - from)] = (char)(0x21 + next_random() % 94);
        if (next_random() % 8 == 0) value[from + next_random() % (len - from)] = '\0';
        if (strcmp(value, good) != 0) with_header(s, name, value, "random bytes");
    }
}

static void mutate(const wh_json_value *record, int rounds, apr_pool_t *p)
{
    subject s;
    const char *err, *why;
    const webhook_verifier *v;
    int i;

    memset(&s, 0, sizeof(s));
    if ((err = wh_vector_prepare(&s.v, record, p)) != NULL) {
        fail("%s can be prepared", s.v.id ? s.v.id : "a record");
        diag("%s", err);
        return;
    }
    v = s.v.verifier;
    s.good = s.v.request;
    apr_pool_create(&s.scratch, p);
    s.headers = apr_array_make(p, 4, sizeof(const char *));
    if (v->primitive == WH_HTTPSIG) {
        APR_ARRAY_PUSH(s.headers, const char *) = "Signature";
        APR_ARRAY_PUSH(s.headers, const char *) = "Content-Digest";
    }
    note_all(&s, v->signatures, p);
    if (v->message && v->message->uses_ts) note_all(&s, v->ts_locs, p);
    if (v->message && v->message->uses_id) note_all(&s, v->id_locs, p);
    if (v->has_keyid) note_header(&s, &v->keyid, p);
    why = run(&s, &s.good, &s.v.secrets);
    ok(why == NULL, "%s: the recorded request is accepted", s.v.id);
    if (why) diag("%s", why);
    for (i = 0; i < s.headers->nelts; i++) mutate_header(&s, APR_ARRAY_IDX(s.headers, i, const char *));
    if (raw_body(&s)) mutate_body(&s);
    if (s.headers->nelts == 0) mutate_inner(&s);
    mutate_query(&s);
    mutate_url(&s);
    mutate_time(&s);
    mutate_secrets(&s);
    mutate_randomly(&s, s.tried < 200 && rounds < 200 ? 200 : rounds);
    ok(s.tried >= 200, "%s: at least 200 changes (%d)", s.v.id, s.tried);
    is_int(s.accepted, 0, "%s: none accepted", s.v.id);
    ok(run(&s, &s.good, &s.v.secrets) == NULL, "%s: and still accepted unchanged", s.v.id);
    apr_pool_destroy(s.scratch);
}

static int is_among(const char *name, const char *const *list, int count)
{
    int i;

    for (i = 0; (count < 0 || i < count) && list[i]; i++) {
        if (strcmp(list[i], name) == 0) return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const files[] = { "portable.json", "portable-docref.json", "made.json" };
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5000, f;
    const char *const *only = argc > 2 ? (const char *const *)argv + 2 : NULL;
    apr_hash_t *done;
    apr_pool_t *p, *each;

    apr_initialize();
    apr_pool_create(&p, NULL);
    done = apr_hash_make(p);
    for (f = 0; f < 3; f++) {
        const wh_json_value *list = NULL;
        const char *err = wh_vectors_load(&list, vector_path(files[f], p), p);
        apr_size_t i;
        ok(err == NULL, "%s can be read", files[f]);
        for (i = 0; !err && i < wh_json_size(list); i++) {
            const wh_json_value *record = wh_json_at(list, i);
            const char *name = member_text(record, "provider", p), *body = member_text(record, "body", p);
            if (only && !is_among(name, only, argc - 2)) continue;
            /* the first good request with a body, or any for schemes that have none */
            if (strcmp(member_text(record, "expect", p), "accept") != 0 || apr_hash_get(done, name, APR_HASH_KEY_STRING)) continue;
            if (!*body && strcmp(name, "google-calendar") != 0) continue;
            apr_hash_set(done, name, APR_HASH_KEY_STRING, "");
            apr_pool_create(&each, p);
            mutate(record, only || is_among(name, most_used, -1) ? rounds : 0, each);
            apr_pool_destroy(each);
        }
    }
    if (!only) {
        wh_verifier_info info;
        const webhook_verifier_provider *provider;
        int i, missing = 0;
        for (i = 0; (provider = wh_verifier_builtins(i)) != NULL; i++) {
            wh_verifier_describe(provider, &info);
            if (info.generic || apr_hash_get(done, info.name, APR_HASH_KEY_STRING)) continue;
            missing++;
            diag("nothing to change for %s", info.name);
        }
        is_int(missing, 0, "every preset was put to the test");
    }
    apr_pool_destroy(p);
    return tap_done();
}
