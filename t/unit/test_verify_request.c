/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts in detail: reasons, key ids, ids and events, secrets that come and go, windows to the second, repeated headers, lengths, ids
 * that must not shift, and the round trip through sign() for every scheme that can sign. Nothing secret may be in what a verdict says.
 */
#include <openssl/hmac.h>
#include "core/encoding.h"
#include "verify_fixture.h"

static apr_pool_t *p;

static fixture signed_github(void)
{
    fixture f;

    configure(&f, p, "github", "");
    add_key(&f, "2026", "It's a Secret to Everybody", 26);
    add_key(&f, "2025", "old secret", 10);
    f.req.body.data = "Hello, World!";
    f.req.body.len = 13;
    apr_table_setn(headers_of(&f), "X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    apr_table_setn(headers_of(&f), "X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    apr_table_setn(headers_of(&f), "X-GitHub-Event", "push");
    return f;
}

static void test_github(void)
{
    fixture f = signed_github();
    apr_size_t len;
    char *hex;

    is_str(outcome(&f), "accepted", "github's published value");
    is_str(f.verdict.key_id, "2026", "the key that matched");
    is_str(f.verdict.sender_id, "72d3162e-cc78-11e3-81ab-4c9367dc0958", "delivery id");
    ok(!f.verdict.sender_id_signed, "which is not signed");
    is_str(f.verdict.event, "push", "event");

    f.secrets.list++;
    f.secrets.count = 1;
    is_str(outcome(&f), "signature-mismatch", "the other secret alone does not match");
    is_int(f.verdict.status, 401, "401");
    ok(f.verdict.key_id == NULL && f.verdict.sender_id == NULL && f.verdict.event == NULL, "a refusal names no key, id or event");
    ok(f.verdict.detail && !strstr(f.verdict.detail, "757107ea") && !strstr(f.verdict.detail, "old secret"), "nor a signature or secret");
    f.secrets.count = 0;
    is_str(outcome(&f), "secret-unavailable", "without a secret it is 503");
    ok(f.verdict.status == 503 && f.verdict.retry_after > 0, "with Retry-After");

    f = signed_github();
    apr_table_unset(headers_of(&f), "X-Hub-Signature-256");
    is_str(outcome(&f), "signature-missing", "no signature");
    apr_table_setn(headers_of(&f), "X-Hub-Signature-256", "");
    is_str(outcome(&f), "signature-malformed", "empty signature");
    apr_table_setn(headers_of(&f), "X-Hub-Signature-256", "sha256=");
    is_str(outcome(&f), "signature-malformed", "prefix alone");
    apr_table_setn(headers_of(&f), "X-Hub-Signature-256", "sha1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    is_str(outcome(&f), "signature-malformed", "another algorithm's prefix");
    apr_table_setn(headers_of(&f), "X-Hub-Signature", "sha1=757107ea0eb2509fc211221cce984b8a37570b6d");
    apr_table_unset(headers_of(&f), "X-Hub-Signature-256");
    is_str(outcome(&f), "signature-missing", "the SHA-1 header does not count");

    /* CVE-2024-21491: a prefix of the right digest, and every other length */
    hex = apr_palloc(p, 200);
    for (len = 0; len <= 64; len++) {
        f = signed_github();
        memset(hex, 'a', 130);
        memcpy(hex, "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", 64);
        hex[2 * len] = '\0';
        apr_table_setn(headers_of(&f), "X-Hub-Signature-256", apr_pstrcat(p, "sha256=", hex, NULL));
        is_str(outcome(&f), len == 32 ? "accepted" : "signature-malformed", "a signature of %d bytes", (int)len);
    }

    f = signed_github();
    apr_table_addn(headers_of(&f), "x-hub-signature-256", "sha256=00");
    is_str(outcome(&f), "header-duplicate", "two signatures");
    is_int(f.verdict.status, 400, "400");
    f = signed_github();
    apr_table_mergen(headers_of(&f), "x-hub-signature-256", "sha256=00");
    is_str(outcome(&f), "header-duplicate", "two signatures that the server made one");
    f = signed_github();
    apr_table_addn(headers_of(&f), "X-GitHub-Event", "ping");
    is_str(outcome(&f), "accepted", "two events are no reason to refuse");
    ok(f.verdict.event == NULL, "but then there is none");

    f = signed_github();
    f.req.body.data = "Hello, World! ";
    f.req.body.len = 14;
    is_str(outcome(&f), "signature-mismatch", "one more byte");
}

static void test_validity(void)
{
    fixture f = signed_github();
    webhook_secret *s = APR_ARRAY_IDX(f.list, 0, webhook_secret *);

    s->from = f.req.now;
    s->until = f.req.now + 1;
    s->prepared = NULL;
    is_str(f.provider->prepare(f.v, s, p), NULL, "a secret with a validity");
    is_str(outcome(&f), "accepted", "valid from now on");
    f.req.now--;
    is_str(outcome(&f), "signature-mismatch", "not valid a moment earlier");
    f.req.now += 2;
    is_str(outcome(&f), "signature-mismatch", "nor later");
    f.secrets.count = 1;
    is_str(outcome(&f), "secret-unavailable", "no secret valid at all");
}

static void test_window(void)
{
    static const int ages[] = { -301, -300, -1, 0, 1, 299, 300, 301, 86400 };
    fixture f;
    apr_size_t i;
    apr_time_t signed_at;

    configure(&f, p, "slack", "");
    add_key(&f, "1", "8f742231b10e8888abcd99yyyzzz85a5", 32);
    is_str(sign(&f, NULL, NULL), NULL, "slack: signed");
    signed_at = f.req.now;
    for (i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
        f.req.now = signed_at + apr_time_from_sec(ages[i]);
        is_str(outcome(&f), ages[i] >= -300 && ages[i] <= 300 ? "accepted" : "timestamp-outside-window", "%d seconds old", ages[i]);
    }
    f.req.now = signed_at;
    ok(f.verdict.status == 401, "401");
}

static void test_timestamp_spellings(void)
{
    static const char *const bad[] = { "", " 1796000000", "1796000000 ", "+1796000000", "-1796000000", "01796000000", "1796000000.0",
                                       "1.796e9", "0x6b0d0900", "1796000000x", "99999999999999999999", "9223372036854775808", "1796000000,1796000000",
                                       "\xd9\xa1\xd9\xa7", "now", "1796000000000" };
    fixture f;
    apr_size_t i;

    configure(&f, p, "slack", "tolerance=off");
    add_key(&f, "1", "8f742231b10e8888abcd99yyyzzz85a5", 32);
    sign(&f, NULL, NULL);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *reason;
        apr_table_set(headers_of(&f), "X-Slack-Request-Timestamp", bad[i]);
        reason = outcome(&f);
        ok(strcmp(reason, "timestamp-malformed") == 0, "timestamp \"%s\" is not one (%s)", bad[i], reason);
    }
    apr_table_unset(headers_of(&f), "X-Slack-Request-Timestamp");
    is_str(outcome(&f), "timestamp-missing", "no timestamp");
}

static void test_ids(void)
{
    static const char *const bad[] = { "a.1", "msg 1", "msg\t", "msg/1", "m\xc3\xab", "a,b", "msg_1, msg_1" };
    fixture f;
    apr_size_t i;
    char *longest = apr_palloc(p, 300);

    configure(&f, p, "standard-webhooks", "");
    add_key(&f, "1", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 38);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(sign(&f, bad[i], NULL) != NULL, "an id \"%s\" is not signed", bad[i]);
        sign(&f, "msg_1", NULL);
        apr_table_set(headers_of(&f), "webhook-id", bad[i]);
        is_str(outcome(&f), strstr(bad[i], ", ") ? "header-duplicate" : "id-malformed", "nor accepted");
        is_int(f.verdict.status, 400, "400");
    }
    memset(longest, 'x', 256);
    longest[256] = '\0';
    sign(&f, "msg_1", NULL);
    apr_table_set(headers_of(&f), "webhook-id", longest);
    is_str(outcome(&f), "id-malformed", "256 bytes are too many");
    is_str(sign(&f, longest + 1, NULL), NULL, "255 can be signed");
    is_str(outcome(&f), "accepted", "and are accepted");
    ok(f.verdict.sender_id_signed, "a signed id is said to be");
    apr_table_unset(headers_of(&f), "webhook-id");
    is_str(outcome(&f), "id-missing", "no id");
}

static void test_tokens(void)
{
    fixture f;

    configure(&f, p, "token", "header=X-Token");
    add_key(&f, "a", "first token", 11);
    add_key(&f, "b", "second token", 12);
    apr_table_set(headers_of(&f), "X-Token", "second token");
    is_str(outcome(&f), "accepted", "a token");
    is_str(f.verdict.key_id, "b", "its key id");
    apr_table_set(headers_of(&f), "X-Token", "second token ");
    is_str(outcome(&f), "signature-mismatch", "compared whole");
    apr_table_set(headers_of(&f), "X-Token", "");
    is_str(outcome(&f), "signature-malformed", "empty");
    apr_table_addn(headers_of(&f), "X-Token", "second token");
    is_str(outcome(&f), "header-duplicate", "twice");
    apr_table_unset(headers_of(&f), "X-Token");
    is_str(outcome(&f), "signature-missing", "none");
}

static void test_generic(void)
{
    fixture f;

    configure(&f, p, "hmac", "header=X-Sig\ntemplate={method} {uri}\\n{header:X-Nonce}.{ts}.{body}\ntimestamp=header:X-T\ntimestamp-unit=ms\n"
              "algorithm=sha384\nencoding=base64url\nprefix=v9 \nrequire=X-Version:3\nid=header:X-Nonce");
    add_key(&f, "1", "secret", 6);
    apr_table_set(headers_of(&f), "X-Nonce", "n-1");
    is_str(sign(&f, NULL, NULL), NULL, "a scheme of one's own can sign");
    is_str(outcome(&f), "accepted", "and verify");
    ok(f.verdict.sender_id_signed, "a header that is part of the template is signed");
    apr_table_set(headers_of(&f), "X-Nonce", "n.1");
    is_str(outcome(&f), "signature-malformed", "a value must not hold the separator that follows it");
    apr_table_set(headers_of(&f), "X-Nonce", "n-1");
    f.req.method = "PUT";
    is_str(outcome(&f), "signature-mismatch", "another method");
    f.req.method = "POST";
    apr_table_set(headers_of(&f), "X-Version", "4");
    is_str(outcome(&f), "signature-malformed", "a required header with another value");
    apr_table_unset(headers_of(&f), "X-Version");
    is_str(outcome(&f), "signature-missing", "or without it");
    configure(&f, p, "none", "");
    is_str(outcome(&f), "accepted", "none accepts");
    ok(f.verdict.key_id == NULL, "without a key");
}

static void test_key_ids(void)
{
    fixture f;

    configure(&f, p, "pusher", "");
    add_key(&f, "k1", "first", 5);
    add_key(&f, "k2", "second", 6);
    is_str(sign(&f, NULL, NULL), NULL, "pusher: signed with k1");
    is_str(outcome(&f), "accepted", "accepted");
    is_str(f.verdict.key_id, "k1", "as k1");
    apr_table_set(headers_of(&f), "X-Pusher-Key", "k2");
    is_str(outcome(&f), "signature-mismatch", "a key id selects its own secret");
    apr_table_set(headers_of(&f), "X-Pusher-Key", "k3");
    is_str(outcome(&f), "key-unknown", "an unknown one");
}

static void test_digest_urls(void)
{
    static const char *const bad[] = { "http://sns.us-east-1.amazonaws.com/x.pem", "https://sns.us-east-1.amazonaws.com.evil.example/x.pem",
        "https://evil.example/x.pem", "https://sns.us-east-1.amazonaws.com/x.txt", "https://user@sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com:443/x.pem", "https://sns.us-east-1.amazonaws.com/x.pem?y", "https://sns.us-east-1.amazonaws.com/x.pem#y",
        "https://sns.us-east-1.amazonaws.com\\@evil.example/x.pem", "https://SNS.us-east-1.amazonaws.com/x.pem", "https://sns..amazonaws.com/x.pem",
        "https://sns.a.amazonaws.com/x.pem", "https://sns.us-east-1.amazonaws.com./x.pem", "https://sns.us-east-1.amazonaws.com%2f.evil.example/x.pem",
        "https://sns.s3.us-east-1.amazonaws.com/x.pem", "https://s3.amazonaws.com/sns/x.pem", "//sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com/.pem", "https://sns.us-east-1.amazonaws.com/%2e%2e/x.pem", "ftp://sns.us-east-1.amazonaws.com/x.pem" };
    static const char cert[] = "-----BEGIN PUBLIC KEY-----\n"
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsA4tYTMARfzz2/nuJSEo\nj4mIBlA8XwCPq7v5MnOUqOgtGNrWAxByDR7a5RbPva6Ur7DmY3sdL4J2F0flu4oJ\n"
        "+9w7S+ld+1E5T2eAIPVkJAYAQ6urAoUFi3tJjgvA8iaWwYKBR//5tDfUTZaYmHDg\nCjmyErEMChupilKuGZ1mmpstEfkA533+dQS4Qxqx6qcB+eHZmjZSPKHRZ3DY8oZ+\n"
        "2xgR1oX/pqUFZemspI7bcpVPMxBNM95o0lhEUCpFCIvieTZCKAXqCmsB6k7k0Q2n\nlqGIieWfS/A4thpvrjXojRcVnFe9zKm6odTp36qh0XpPBpnCN4U3jByE+tOTwgDp\n"
        "kQIDAQAB\n-----END PUBLIC KEY-----\n";
    apr_size_t i;
    fixture f;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *json;
        configure(&f, p, "aws-sns", "");
        add_key(&f, bad[i], cert, strlen(cert)); /* even a key provisioned under that name must not count */
        json = apr_psprintf(p, "{\"Type\":\"Notification\",\"Message\":\"m\",\"MessageId\":\"1\",\"Timestamp\":\"2026-11-30T00:53:20.000Z\",\"TopicArn\":\"t\","
                            "\"SignatureVersion\":\"2\",\"SigningCertURL\":\"%s\",\"Signature\":\"AAAA\"}",
                            bad[i][5] == '\\' || strchr(bad[i], '\\') ? "https://sns.us-east-1.amazonaws.com\\\\@evil.example/x.pem" : bad[i]);
        f.req.body.data = json;
        f.req.body.len = strlen(json);
        is_str(outcome(&f), "key-unknown", "no key from %s", bad[i]);
    }
}

static void test_sign_all(void)
{
    const webhook_verifier_provider *provider;
    wh_verifier_info info;
    int i, done = 0, declined = 0;

    for (i = 0; (provider = wh_verifier_builtins(i)) != NULL; i++) {
        const char *err;
        fixture f;
        wh_verifier_describe(provider, &info);
        if (info.generic) continue;
        if ((err = configure_with_key(&f, p, &info)) != NULL) {
            fail("%s: a key can be made", info.name);
            diag("%s", err);
            continue;
        }
        err = sign(&f, "msg-1", "thing.done");
        if (err) {
            declined++;
            ok(strstr(err, "not in a header") || strstr(err, "is missing") || strstr(err, "part of the signature"), "%s: says why it cannot sign: %s", info.name, err);
            continue;
        }
        done++;
        if (strcmp(info.name, "twilio-json") == 0) continue; /* its URL must carry the body's digest */
        is_str(outcome(&f), "accepted", "%s: what it signs it accepts", info.name);
        is_str(f.verdict.key_id, "key-1", "%s: and names the key", info.name);
    }
    ok(done >= 95, "%d presets sign, %d say why not", done, declined);
}

/* What the server keeps beside the request is filled by whoever parses the body first, and used by all others. */
/* httpd makes one header of two, with ", " between them: where the scheme has no such thing in one, the reason says what it was. */
static void test_folded(void)
{
    static const struct {
        const char *scheme, *options, *key, *header, *expected;
    } cases[] = {
        { "stripe", "", "a key", "Stripe-Signature", "header-duplicate" },
        { "standard-webhooks", "", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "webhook-signature", "header-duplicate" },
        { "standard-webhooks", "", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "webhook-id", "header-duplicate" },
        { "standard-webhooks", "", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "webhook-timestamp", "header-duplicate" },
        { "docusign", "", "a key", "X-DocuSign-Signature-1", "header-duplicate" },
        { "box", "", "a key", "BOX-SIGNATURE-VERSION", "header-duplicate" },
        { "box", "", "a key", "BOX-DELIVERY-TIMESTAMP", "header-duplicate" },
        { "pusher", "", "a key", "X-Pusher-Key", "header-duplicate" },
        { "netlify", "", "a key", "X-Webhook-Signature", "header-duplicate" },
        { "postmark-basic", "", "user:password", "Authorization", "header-duplicate" },
        /* these write it themselves */
        { "workos", "", "a key", "WorkOS-Signature", "timestamp-malformed" },
        { "rfc9421", "", "a key", "Signature", "signature-malformed" },
        { "gitlab-token", "", "a key", "X-Gitlab-Token", "signature-mismatch" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *scheme = cases[i].scheme, *name = cases[i].header;
        fixture f;
        is_str(configure(&f, p, scheme, cases[i].options), NULL, "%s: configured", scheme);
        add_key(&f, "k", cases[i].key, strlen(cases[i].key));
        is_str(sign(&f, "msg_1", NULL), NULL, "%s: signed", scheme);
        is_str(outcome(&f), "accepted", "%s: accepted", scheme);
        apr_table_mergen(headers_of(&f), name, apr_pstrdup(p, apr_table_get(headers_of(&f), name)));
        is_str(outcome(&f), cases[i].expected, "%s: %s twice is %s", scheme, name, cases[i].expected);
    }
}

/* An event of a subaccount is signed twice: with its own key, and with that of the account above it. */
static void test_mailgun_parent(void)
{
    static const char own[] = "0c7c8ae8b3cf2d03e7bdaf5bcf3b1a7fab8a7d1f13b1a4a5f2e0c8d3e8d6a0f1";
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int len;
    const char *hex;
    fixture f;

    HMAC(EVP_sha256(), "parent key", 10, (const unsigned char *)"1796000000token1", 16, md, &len);
    hex = wh_encode(WH_ENC_HEX, md, len, p);
    configure(&f, p, "mailgun", "");
    add_key(&f, "parent", "parent key", 10);
    f.req.body.data = apr_psprintf(p, "{\"signature\":{\"timestamp\":\"1796000000\",\"token\":\"token1\",\"signature\":\"%s\",\"parent-signature\":\"%s\"}}",
                                   own, hex);
    f.req.body.len = strlen(f.req.body.data);
    is_str(outcome(&f), "accepted", "mailgun: the parent's key is enough");
    is_str(f.verdict.sender_id, "token1", "mailgun: the token is the id");
    f.req.body.data = apr_psprintf(p, "{\"signature\":{\"timestamp\":\"1796000000\",\"token\":\"token2\",\"signature\":\"%s\",\"parent-signature\":\"%s\"}}",
                                   own, hex);
    is_str(outcome(&f), "signature-mismatch", "mailgun: with another token neither is good");
}

static void test_parsed_once(void)
{
    static const char body[] = "{\"id\":\"evt_1\",\"type\":\"charge.succeeded\"}", other[] = "{\"id\":\"evt_2\"}";
    wh_json_once once = { 0 };
    webhook_slice text = { other, sizeof(other) - 1 };
    fixture f;

    is_str(configure(&f, p, "token", "header=X-Token\nid=json:id\nevent=json:type"), NULL, "a scheme that reads JSON");
    is_str(add_key(&f, "1", "a secret of some length, thirty-two bytes", 41), NULL, "its secret");
    apr_table_setn(headers_of(&f), "X-Token", "a secret of some length, thirty-two bytes");
    f.req.body.data = body;
    f.req.body.len = sizeof(body) - 1;
    f.req.parsed = &once;
    is_str(outcome(&f), "accepted", "accepted");
    is_str(f.verdict.sender_id, "evt_1", "with the id");
    ok(once.doc && once.text.data == body && once.text.len == sizeof(body) - 1, "its document is kept for others");
    is_str(wh_json_text(wh_json_get(wh_json_root(once.doc), "type"), p), "charge.succeeded", "as it is");

    /* a document that is there is the one that counts: it was parsed from these very bytes */
    memset(&once, 0, sizeof(once));
    wh_json_get_once(&once, text, p);
    once.text = f.req.body;
    is_str(outcome(&f), "accepted", "again");
    is_str(f.verdict.sender_id, "evt_2", "it is not parsed twice");

    /* that of another text is not */
    once.text = text;
    is_str(outcome(&f), "accepted", "again");
    is_str(f.verdict.sender_id, "evt_1", "another text's is parsed");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&p, NULL);
    test_github();
    test_validity();
    test_window();
    test_timestamp_spellings();
    test_ids();
    test_tokens();
    test_generic();
    test_key_ids();
    test_digest_urls();
    test_sign_all();
    test_folded();
    test_mailgun_parent();
    test_parsed_once();
    apr_pool_destroy(p);
    return tap_done();
}
