/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every recorded request through the engine: those on which the senders' own SDKs and their documentation agree (portable*.json), those
 * made from the documentation for the other presets (made.json), keys written in parts (keys.json), and the handshakes with their exact
 * replies. Every preset must occur.
 */
#include <apr_hash.h>

#include "verify_fixture.h"

static apr_hash_t *seen; /* presets with an accepted request */

static void run_file(const char *name, apr_pool_t *p)
{
    const wh_json_value *list = NULL;
    const char *err = wh_vectors_load(&list, vector_path(name, p), p);
    apr_size_t i, right = 0, unusable = 0;
    apr_pool_t *scratch;

    if (!ok(err == NULL, "%s can be read", name)) {
        diag("%s", err);
        return;
    }
    apr_pool_create(&scratch, p);
    for (i = 0; i < wh_json_size(list); i++) {
        const wh_json_value *record = wh_json_at(list, i);
        wh_vector v;
        webhook_verdict verdict;
        webhook_reply reply;
        int replied, accept;

        apr_pool_clear(scratch);
        accept = strcmp(member_text(record, "expect", scratch), "accept") == 0;
        if ((err = wh_vector_prepare(&v, record, scratch)) != NULL) {
            unusable++;
            diag("%s: %s", v.id, err);
            continue;
        }
        wh_verify_request(v.provider, v.verifier, &v.secrets, &v.request, &verdict, &reply, &replied, scratch);
        if ((verdict.status == 200) == accept && verdict.status != 503) right++;
        else diag("%s: expected %s, got %d %s: %s", v.id, accept ? "accept" : "reject", verdict.status, verdict.reason, verdict.detail);
        if (verdict.status == 200) apr_hash_set(seen, v.provider->name, APR_HASH_KEY_STRING, "");
    }
    is_int(unusable, 0, "%s: every record can be run", name);
    is_int(right, wh_json_size(list), "%s: every verdict is as recorded", name);
    apr_pool_destroy(scratch);
}

/* Members of `want` must be in `have`, whatever their order and white space. */
static int same_json(const char *want, webhook_slice have, apr_pool_t *p)
{
    webhook_slice w = { want, strlen(want) };
    wh_json *a, *b;
    wh_json_error err;
    apr_size_t i;

    if (wh_json_parse(&a, w, NULL, p, &err) != APR_SUCCESS || wh_json_parse(&b, have, NULL, p, &err) != APR_SUCCESS) return 0;
    if (wh_json_size(wh_json_root(a)) != wh_json_size(wh_json_root(b))) return 0;
    for (i = 0; i < wh_json_size(wh_json_root(a)); i++) {
        const wh_json_member *m = &wh_json_root(a)->u.members[i];
        const wh_json_value *other = wh_json_member_get(wh_json_root(b), m->name, m->name_len, m->hash);
        if (!other || strcmp(wh_json_text(&m->value, p), wh_json_text(other, p)) != 0) return 0;
    }
    return 1;
}

static void check_reply(const char *id, const webhook_reply *reply, const wh_json_value *want, apr_pool_t *p)
{
    const char *body = member_text(want, "body", p);
    const wh_json_value *headers = wh_json_get(want, "headers");
    apr_size_t i;

    is_str(apr_itoa(p, reply->status), member_text(want, "status", p), "%s: status", id);
    if (body && body[0] == '{') ok(same_json(body, reply->body, p), "%s: body", id);
    else is_mem(reply->body.data, reply->body.len, body, strlen(body), "%s: body", id);
    for (i = 0; i < wh_json_size(headers); i++) {
        const wh_json_member *m = &headers->u.members[i];
        const char *name = apr_pstrmemdup(p, m->name, m->name_len);
        const char *value = strcasecmp(name, "content-type") == 0 ? reply->content_type : reply->headers ? apr_table_get(reply->headers, name) : NULL;
        is_str(value, wh_json_text(&m->value, p), "%s: %s", id, name);
    }
}

static void run_handshakes(apr_pool_t *p)
{
    const wh_json_value *list = NULL;
    const char *err = wh_vectors_load(&list, vector_path("handshakes.json", p), p);
    apr_size_t i;

    ok(err == NULL, "handshakes.json can be read");
    for (i = 0; !err && i < wh_json_size(list); i++) {
        const wh_json_value *record = wh_json_at(list, i), *want = wh_json_get(record, "response");
        const char *id = member_text(record, "id", p), *status = member_text(want, "status", p);
        wh_vector v;
        webhook_verdict verdict;
        webhook_reply reply;
        int replied;

        /* Answered by the ordinary answer or kept for the operator: tested in test_verify_handshake.c. */
        if (strcmp(id, "adyen/ack") == 0 || strcmp(id, "notion/verification_token") == 0) continue;
        err = wh_vector_prepare(&v, record, p);
        if (!ok(err == NULL, "%s can be run", id)) {
            diag("%s", err);
            err = NULL;
            continue;
        }
        wh_verify_request(v.provider, v.verifier, &v.secrets, &v.request, &verdict, &reply, &replied, p);
        if (strcmp(status, "401") == 0) {
            ok(!replied && verdict.status == 401, "%s: refused, not answered", id);
        } else if (ok(replied, "%s: answered", id)) {
            check_reply(id, &reply, want, p);
        } else {
            diag("%d %s: %s", verdict.status, verdict.reason, verdict.detail);
        }
    }
}

int main(void)
{
    apr_pool_t *p;
    const webhook_verifier_provider *provider;
    wh_verifier_info info;
    int i, missing = 0;

    apr_initialize();
    apr_pool_create(&p, NULL);
    seen = apr_hash_make(p);
    run_file("portable.json", p);
    run_file("portable-docref.json", p);
    run_file("made.json", p);
    run_file("keys.json", p);
    run_handshakes(p);
    for (i = 0; (provider = wh_verifier_builtins(i)) != NULL; i++) {
        wh_verifier_describe(provider, &info);
        if (info.generic || apr_hash_get(seen, info.name, APR_HASH_KEY_STRING)) continue;
        missing++;
        diag("no accepted request for %s", info.name);
    }
    is_int(missing, 0, "every preset has an accepted request among the records");
    apr_pool_destroy(p);
    return tap_done();
}
