/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes beyond the recorded ones: who is answered, who is not, what a stranger may not get signed, and secrets that arrive by
 * handshake and are kept for the operator.
 */
#include <apr_file_io.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/encoding.h"
#include "verify_fixture.h"

static apr_pool_t *p;

static void start(fixture *f, const char *scheme, const char *options, const char *secret)
{
    is_str(configure(f, p, scheme, options), NULL, "%s is configured", scheme);
    if (secret) is_str(add_key(f, "pk", secret, strlen(secret)), NULL, "%s takes the secret", scheme);
}

static void get(fixture *f, const char *query)
{
    f->req.method = "GET";
    f->req.query = query;
    f->req.uri = apr_pstrcat(p, "/in?", query, NULL);
    f->req.body.data = "";
    f->req.body.len = 0;
}

static void body(fixture *f, const char *text)
{
    f->req.body.data = text;
    f->req.body.len = strlen(text);
}

static void reply_is(fixture *f, int status, const char *text, const char *what)
{
    if (!is_str(outcome(f), "handshake", "%s: answered", what)) return;
    is_int(f->reply.status, status, "%s: status", what);
    is_mem(f->reply.body.data, f->reply.body.len, text, strlen(text), "%s: body", what);
}

static void test_verified(void)
{
    fixture f;

    start(&f, "slack", "", "secret");
    body(&f, "{\"type\":\"url_verification\",\"challenge\":\"<b>x\\u0000\"}");
    sign(&f, NULL, NULL);
    is_str(outcome(&f), "accepted", "slack: a body that is no JSON is a delivery, not a handshake");
    body(&f, "{\"type\":\"url_verification\",\"challenge\":\"a\\\"b\"}");
    is_str(outcome(&f), "signature-mismatch", "slack: not answered with a wrong signature");
    sign(&f, NULL, NULL);
    reply_is(&f, 200, "{\"challenge\":\"a\\\"b\"}", "slack");
    body(&f, "{\"type\":\"event_callback\",\"challenge\":\"x\"}");
    sign(&f, NULL, NULL);
    is_str(outcome(&f), "accepted", "slack: other types are deliveries");

    start(&f, "twitch", "", "secret");
    body(&f, "{\"challenge\":\"abc\"}");
    apr_table_set(headers_of(&f), "Twitch-Eventsub-Message-Type", "webhook_callback_verification");
    is_str(outcome(&f), "signature-missing", "twitch: not without a signature");
    sign(&f, "id-1", NULL);
    reply_is(&f, 200, "abc", "twitch");
    is_str(f.reply.content_type, "text/plain", "twitch: as plain text");
    apr_table_set(headers_of(&f), "Twitch-Eventsub-Message-Type", "notification");
    is_str(outcome(&f), "accepted", "twitch: a notification is a delivery");

    start(&f, "okta", "", "my-key");
    get(&f, "");
    apr_table_set(headers_of(&f), "x-okta-verification-challenge", "c1");
    is_str(outcome(&f), "signature-missing", "okta: not without Authorization");
    apr_table_set(headers_of(&f), "Authorization", "my-key");
    reply_is(&f, 200, "{\"verification\":\"c1\"}", "okta");
}

static void test_unverified(void)
{
    fixture f;

    start(&f, "meta", "verify-token=my word", "secret");
    get(&f, "hub.mode=subscribe&hub.verify_token=my+word&hub.challenge=1158201444");
    reply_is(&f, 200, "1158201444", "meta");
    is_str(apr_table_get(f.reply.headers, "X-Content-Type-Options"), "nosniff", "meta: nosniff");
    get(&f, "hub.mode=subscribe&hub.verify_token=my+word&hub.challenge=%3Cscript%3E");
    is_int((outcome(&f), f.reply.status), 403, "meta: a challenge is no page");
    get(&f, "hub.mode=subscribe&hub.verify_token=&hub.challenge=1");
    is_int((outcome(&f), f.reply.status), 403, "meta: an empty word");
    get(&f, "hub.mode=subscribe&hub.verify_token=my+word&hub.verify_token=my+word&hub.challenge=1");
    is_int((outcome(&f), f.reply.status), 403, "meta: two words");
    get(&f, "x=1");
    is_str(outcome(&f), "signature-missing", "meta: other GETs are refused");
    start(&f, "meta", "", "secret");
    get(&f, "hub.mode=subscribe&hub.verify_token=&hub.challenge=1");
    is_int((outcome(&f), f.reply.status), 403, "meta: no word configured, none matches");

    start(&f, "websub", "topic=https://example.org/feed", "secret");
    get(&f, "hub.mode=subscribe&hub.topic=https%3A%2F%2Fexample.org%2Ffeed&hub.challenge=abc");
    reply_is(&f, 200, "abc", "websub");
    get(&f, "hub.mode=subscribe&hub.topic=https%3A%2F%2Fevil.example%2Ffeed&hub.challenge=abc");
    is_int((outcome(&f), f.reply.status), 404, "websub: another topic");

    start(&f, "msgraph", "", "state");
    f.req.query = "validationToken=Validation%3A+Testing%20client";
    f.req.uri = "/in?validationToken=x";
    body(&f, "");
    reply_is(&f, 200, "Validation: Testing client", "msgraph");
    is_str(f.reply.content_type, "text/plain", "msgraph: as plain text");

    start(&f, "monday", "", "secret");
    body(&f, "{\"challenge\":\"c\",\"event\":{}}");
    is_str(outcome(&f), "signature-missing", "monday: a challenge beside other members is refused");
    body(&f, "{\"challenge\":\"c\"}");
    reply_is(&f, 200, "{\"challenge\":\"c\"}", "monday");

    start(&f, "trello", "", "secret");
    f.req.method = "HEAD";
    body(&f, "");
    reply_is(&f, 200, "", "trello");

    start(&f, "woocommerce", "", "secret");
    body(&f, "webhook_id=12");
    reply_is(&f, 200, "", "woocommerce");
    body(&f, "webhook_id=12x&a=b");
    is_str(outcome(&f), "signature-missing", "woocommerce: other unsigned bodies are refused");
    body(&f, "webhook_id=12");
    apr_table_set(headers_of(&f), "X-WC-Webhook-Signature", "AAAA");
    is_str(outcome(&f), "signature-malformed", "woocommerce: a ping with a signature is no ping");

    start(&f, "cloudevents", "", "secret");
    f.req.method = "OPTIONS";
    body(&f, "");
    is_str(outcome(&f), "signature-missing", "cloudevents: OPTIONS without an origin");
    apr_table_set(headers_of(&f), "WebHook-Request-Origin", "a.example\x01");
    reply_is(&f, 200, "", "cloudevents");
    ok(apr_table_get(f.reply.headers, "WebHook-Allowed-Origin") == NULL, "cloudevents: an origin with a control byte is not echoed");
    ok(apr_table_get(f.reply.headers, "WebHook-Allowed-Rate") == NULL, "cloudevents: no rate asked, none given");
    start(&f, "cloudevents", "handshake=off", "secret");
    f.req.method = "OPTIONS";
    apr_table_set(headers_of(&f), "WebHook-Request-Origin", "a.example");
    is_str(outcome(&f), "signature-missing", "handshake=off answers none");
}

/* A MAC over a stranger's text must never be a MAC over a delivery. */
static void test_oracle(void)
{
    fixture f;

    start(&f, "x-twitter", "", "secret");
    get(&f, "crc_token=%7B%22for_user_id%22%3A%221%22%7D");
    is_str(outcome(&f), "signature-missing", "x: no MAC over a JSON body");
    get(&f, "crc_token=abc_DEF-123%2B%2F%3D");
    is_str(outcome(&f), "handshake", "x: a token gets one");
    start(&f, "braintree", "", "private");
    get(&f, "bt_challenge=PG5vdGlmaWNhdGlvbj4K");
    is_str(outcome(&f), "signature-missing", "braintree: no MAC over a payload");
    get(&f, "bt_challenge=20f9f8ed05f77439fe955c977e4c8a53");
    is_str(outcome(&f), "handshake", "braintree: a challenge gets one");
    ok(strncmp(f.reply.body.data, "pk|", 3) == 0, "braintree: behind the public key");
}

static void test_delivered_secret(void)
{
    char dir[] = "/tmp/wh-handshake-XXXXXX", data[64] = "";
    const char *path;
    fixture f;
    struct stat st;
    apr_file_t *file;
    apr_size_t len = sizeof(data) - 1;

    ok(mkdtemp(dir) != NULL, "a directory");
    path = apr_pstrcat(p, dir, "/asana.key", NULL);
    start(&f, "asana", "", "other");
    apr_table_set(headers_of(&f), "X-Hook-Secret", "5a0e9b");
    is_str(outcome(&f), "signature-missing", "asana: nowhere to keep the secret, so no answer");

    start(&f, "asana", apr_pstrcat(p, "pending-secret=", path, NULL), NULL);
    apr_table_set(headers_of(&f), "X-Hook-Secret", "5a0e9b");
    reply_is(&f, 200, "", "asana");
    is_str(apr_table_get(f.reply.headers, "X-Hook-Secret"), "5a0e9b", "asana: the secret goes back");
    ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600, "asana: kept with mode 0600");
    if (apr_file_open(&file, path, APR_FOPEN_READ, 0, p) == APR_SUCCESS) {
        apr_file_read(file, data, &len);
        apr_file_close(file);
    }
    is_str(data, "5a0e9b", "asana: the secret itself");
    apr_table_set(headers_of(&f), "X-Hook-Secret", "evil");
    is_str(outcome(&f), "signature-missing", "asana: a second handshake does not replace it");
    apr_table_unset(headers_of(&f), "X-Hook-Secret");
    apr_table_set(headers_of(&f), "X-Hook-Signature", "00");
    ok(strcmp(outcome(&f), "accepted") != 0, "asana: the kept secret does not count by itself");
    unlink(path);

    path = apr_pstrcat(p, dir, "/notion.key", NULL);
    start(&f, "notion", apr_pstrcat(p, "pending-secret=", path, NULL), NULL);
    body(&f, "{\"verification_token\":\"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl\"}");
    reply_is(&f, 200, "", "notion");
    ok(stat(path, &st) == 0 && st.st_size == 50, "notion: kept");
    unlink(path);
    rmdir(dir);
}

/* {"encrypt": base64 of vector and AES-256-CBC}, the key being the secret's SHA-256 */
static const char *encrypted(const char *text, const char *secret)
{
    unsigned char key[32], *out = apr_palloc(p, 16 + strlen(text) + 32);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n, last;

    EVP_Digest(secret, strlen(secret), key, NULL, EVP_sha256(), NULL);
    memcpy(out, "0123456789abcdef", 16);
    EVP_EncryptInit_ex2(ctx, EVP_aes_256_cbc(), key, out, NULL);
    EVP_EncryptUpdate(ctx, out + 16, &n, (const unsigned char *)text, (int)strlen(text));
    EVP_EncryptFinal_ex(ctx, out + 16 + n, &last);
    EVP_CIPHER_CTX_free(ctx);
    return wh_encode(WH_ENC_BASE64, out, (apr_size_t)(16 + n + last), p);
}

static void test_encrypted(void)
{
    static const char challenge[] = "{\"challenge\":\"c1\",\"token\":\"t\",\"type\":\"url_verification\"}";
    static const char event[] = "{\"schema\":\"2.0\",\"header\":{\"event_id\":\"ev1\",\"event_type\":\"im.message.receive_v1\",\"token\":\"t\"}}";
    const char *text;
    char *broken;
    fixture f;
    apr_size_t i;
    int answered = 0;

    start(&f, "lark", "verification-token=t", "an encrypt key");
    body(&f, apr_psprintf(p, "{\"encrypt\":\"%s\"}", encrypted(challenge, "an encrypt key")));
    reply_is(&f, 200, "{\"challenge\":\"c1\"}", "lark: an encrypted challenge");
    body(&f, apr_psprintf(p, "{\"encrypt\":\"%s\"}", encrypted(challenge, "another key")));
    is_str(outcome(&f), "signature-missing", "lark: encrypted with another key");
    body(&f, apr_psprintf(p, "{\"encrypt\":\"%s\"}", encrypted("{\"challenge\":\"c1\",\"token\":\"u\",\"type\":\"url_verification\"}", "an encrypt key")));
    is_str(outcome(&f), "signature-missing", "lark: with another token");
    body(&f, challenge);
    reply_is(&f, 200, "{\"challenge\":\"c1\"}", "lark: a plain one");
    body(&f, "{\"challenge\":\"c1\",\"type\":\"url_verification\"}");
    is_str(outcome(&f), "signature-missing", "lark: a plain one without the token");
    body(&f, apr_psprintf(p, "{\"encrypt\":\"%s\"}", encrypted(event, "an encrypt key")));
    is_str(outcome(&f), "signature-missing", "lark: an event must be signed, whoever encrypted it");
    apr_table_set(headers_of(&f), "X-Lark-Request-Nonce", "n");
    sign(&f, NULL, NULL);
    is_str(outcome(&f), "accepted", "lark: signed");
    is_str(f.verdict.sender_id, "ev1", "lark: the id inside");
    ok(f.verdict.sender_id_signed, "lark: which is signed");
    is_str(f.verdict.event, "im.message.receive_v1", "lark: the event inside");

    /* the second of two keys, as while one takes the other's place */
    start(&f, "lark", "", "an older key");
    add_key(&f, "new", "an encrypt key", 14);
    body(&f, apr_psprintf(p, "{\"encrypt\":\"%s\"}", encrypted(challenge, "an encrypt key")));
    reply_is(&f, 200, "{\"challenge\":\"c1\"}", "lark: any key of the endpoint, and no token where none is named");

    /* whatever is not base64 of whole blocks that end in a padding and hold an object is nothing */
    text = encrypted(challenge, "an encrypt key");
    for (i = 0; i < strlen(text); i += 3) {
        broken = apr_pstrdup(p, text);
        broken[i] = broken[i] == 'A' ? 'B' : 'A';
        body(&f, apr_psprintf(p, "{\"encrypt\":\"%s\"}", broken));
        answered += strcmp(outcome(&f), "handshake") == 0 && strstr(f.reply.body.data, "c1") == NULL;
        broken = apr_pstrmemdup(p, text, i);
        body(&f, apr_psprintf(p, "{\"encrypt\":\"%s\"}", broken));
        answered += strcmp(outcome(&f), "signature-missing") != 0;
    }
    is_int(answered, 0, "lark: nothing else is answered");
    body(&f, "{\"encrypt\":1}");
    is_str(outcome(&f), "signature-missing", "lark: a number is nothing encrypted");
    body(&f, "{\"encrypt\":\"MDEyMzQ1Njc4OWFiY2RlZg==\"}");
    is_str(outcome(&f), "signature-missing", "lark: a vector alone is nothing");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&p, NULL);
    test_verified();
    test_unverified();
    test_oracle();
    test_delivered_secret();
    test_encrypted();
    apr_pool_destroy(p);
    return tap_done();
}
