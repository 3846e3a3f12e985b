/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What WebhookVerify may say: every wrong option, value and combination is an error that names what was given, secrets that cannot be
 * used are refused without being shown, and what a scheme tells the request side (traits) is as its row says.
 */
#include <stdio.h>

#include "verify_fixture.h"

static apr_pool_t *p;

/* options on one line, for test names */
static const char *line(const char *options)
{
    char *s = apr_pstrdup(p, options), *at;

    for (at = s; *at; at++) {
        if (*at == '\n') *at = ' ';
    }
    return s;
}

static void wrong(const char *scheme, const char *options, const char *mentions)
{
    fixture f;
    const char *err = configure(&f, p, scheme, options);

    if (!ok(err && strstr(err, mentions), "%s with \"%s\" is refused: %s", scheme, line(options), mentions)) diag("%s", err ? err : "accepted");
}

static void right(const char *scheme, const char *options)
{
    fixture f;
    const char *err = configure(&f, p, scheme, options);

    if (!ok(err == NULL, "%s with \"%s\" is accepted", scheme, line(options))) diag("%s", err);
}

static void test_options(void)
{
    wrong("hmac", "", "header= or signature=");
    wrong("token", "", "where the token is");
    right("hmac", "header=X-Sig");
    right("hmac", "header=X-Sig\nprefix=sha256=\nalgorithm=sha512\nencoding=base64\nkey-encoding=base64");
    wrong("hmac", "headr=X-Sig", "\"headr\" is unknown (allowed: ");
    wrong("github", "tolerence=1h", "unknown");
    wrong("github", "refusal-status=302", "200 to 299 or 400 to 499");
    wrong("github", "refusal-status=500", "refusal-status");
    right("github", "refusal-status=202");
    wrong("square", "url-decoded=%2f", "upper-case");
    wrong("square", "url-decoded=%41", "other characters than letters");
    wrong("square", "url-decoded=%25", "escapes");
    wrong("square", "url-decoded=%2", "escapes");
    right("square", "url-decoded=%2F%3A");
    right("hubspot-v3", "url-decoded=none");
    wrong("token", "header=X-Token\nurl-decoded=%2F", "does not go with it");
    wrong("hmac", "header=X-Sig\nheader=X-Other", "header");
    wrong("hmac", "header=X-Sig\nsignature=header:X-Sig", "same thing");
    wrong("hmac", "header=X Sig", "not a header name");
    wrong("hmac", "signature=nowhere:X", "no place in a request");
    wrong("hmac", "signature=header", "needs a name");
    wrong("hmac", "signature=body:x", "takes no name");
    wrong("hmac", "header=X-Sig\nalgorithm=md5", "md5");
    wrong("hmac", "header=X-Sig\nalgorithm=ed25519", "hmac and hash take");
    wrong("hmac", "header=X-Sig\nalgorithm=sha1,sha256", "names several");
    wrong("public-key", "header=X-Sig\nalgorithm=sha256", "public-key takes");
    wrong("jwt", "header=Authorization\nalgorithm=HS256,RS256", "mixes");
    wrong("jwt", "header=Authorization\nalgorithm=none", "none");
    wrong("hmac", "header=X-Sig\nencoding=base32", "base32");
    wrong("hmac", "header=X-Sig\ntemplate={ts}.{body}", "timestamp=");
    wrong("hmac", "header=X-Sig\ntemplate={id}.{body}", "id=");
    wrong("hmac", "header=X-Sig\ntemplate={body", "without '}'");
    wrong("hmac", "header=X-Sig\ntemplate={nothing}", "no place");
    wrong("hmac", "header=X-Sig\ntemplate={secret}{body}", "scheme hash only");
    wrong("hash", "header=X-Sig", "{secret}");
    right("hash", "header=X-Sig\ntemplate={body}{secret}");
    wrong("hmac", "header=X-Sig\ntolerance=5min", "need timestamp=");
    wrong("hmac", "header=X-Sig\ntimestamp=header:X-T\ntolerance=300", "expected a duration");
    right("hmac", "header=X-Sig\ntimestamp=header:X-T\ntolerance=off");
    wrong("hmac", "header=X-Sig\nsyntax=pairs\nseparator=comma", "field=");
    wrong("hmac", "header=X-Sig\nfield=v1", "go together");
    wrong("hmac", "header=X-Sig\nsyntax=labelled\nseparator=space", "label=");
    wrong("hmac", "header=X-Sig\nsyntax=list", "needs separator=");
    wrong("hmac", "header=X-Sig\nseparator=comma", "separator= needs");
    wrong("hmac", "header=X-Sig\nsyntax=list\nseparator=pipe", "allowed are comma");
    wrong("hmac", "header=X-Sig\nlenient=everything", "allowed are");
    wrong("hmac", "header=X-Sig\nrequire=X-Version", "Header:value");
    wrong("hmac", "header=X-Sig\nrequire=X-Version: ", "Header:value");
    wrong("hmac", "header=X-Sig\ndigest-encoding=base64", "digest=");
    wrong("hmac", "header=X-Sig\nurl=hooks.example.com", "expected http");
    wrong("hmac", "header=X-Sig\nunpack=header:x", "form:NAME");
    /* options that would mean nothing */
    wrong("hmac", "header=X-Sig\nlenient=padded", "needs encoding=base64url");
    wrong("hmac", "header=X-Sig\nencoding=base64\nlenient=upper-hex", "needs encoding=hex");
    wrong("hmac", "header=X-Sig\nlenient=unpadded", "need encoding=base64");
    wrong("hmac", "header=X-Sig\nlenient=spaces", "needs separator=");
    wrong("hmac", "header=X-Sig\nlenient=bare", "needs prefix=");
    wrong("hmac", "header=X-Sig\nlenient=scheme-case", "needs prefix=");
    wrong("hmac", "header=X-Sig\nprefix=v=\nlenient=none,bare", "goes alone");
    wrong("token", "header=X-Sig\nprefix=v=\nlenient=bare", "none or scheme-case");
    wrong("jwt", "header=X-Sig\nlenient=spaces", "of a jwt");
    wrong("hmac", "header=X-Sig\ntimestamp-unit=ms", "needs timestamp=");
    wrong("hmac", "header=X-Sig\nurl-ports=on", "need {url}");
    wrong("jwt", "header=X-Sig\nclaim=aud=me\nurl-ports=on", "need {url}");
    wrong("hmac", "header=X-Sig\nkey-without-prefix=text", "needs key-prefix=");
    wrong("hmac", "header=X-Sig\nprivate-prefix=whsk_", "public keys");
    wrong("hmac", "header=X-Sig\npending-secret=/tmp/x", "store:");
    wrong("hmac", "header=X-Sig\nsyntax=keyed\nseparator=comma\nprefix=v=", "needs syntax=plain");
    /* places that no request of the scheme has */
    wrong("hmac", "header=X-Sig\ntemplate={field:t}.{body}", "needs syntax=pairs");
    wrong("hmac", "header=X-Sig\ntemplate={item:a}", "needs items=");
    wrong("hmac", "header=X-Sig\nitems=list", "needs signature=item:");
    wrong("token", "header=X-Sig\nitems=list", "needs signature=item:");
    wrong("hmac", "header=X-Sig\nkeyid=kid", "needs a token");
    wrong("hmac", "header=X-Sig\ndemand=claim:a=b", "needs a token");
    wrong("hmac", "header=X-Sig\ntemplate={var:word}.{body}", "needs var.word=");
    wrong("jwt", "header=X-Sig\nclaim=aud={var:word}", "needs var.word=");
    wrong("hmac", "header=X-Sig\ntemplate=words", "the same for all");
    wrong("hash", "header=X-Sig\ntemplate={secret}", "the same for all");
    wrong("hmac", "header=X-Sig\ndecrypt=aes-256-cbc", "needs unpack=");
    wrong("hash", "header=X-Sig\ntemplate={lower:secret}", "without lower:");
    wrong("hmac", "header=X-Sig\nstatus=500", "status");
    wrong("hmac", "header=X-Sig\nbody-limit=0", "body-limit");
    wrong("hmac", "header=X-Sig\nclaim=iss=x", "does not go with it");
    wrong("token", "header=X-Token\ntemplate={body}", "does not go with it");
    wrong("jwt", "header=A\nsyntax=pairs", "does not go with it");
    wrong("httpsig", "header=A", "does not go with it");
    wrong("none", "header=A", "does not go with it");
    wrong("jwt", "header=A\nclaim==x", "no name");
    wrong("jwt", "header=A\nclaim=h=hex:md5:{body}", "no digest of");
    wrong("hmac", "header=X\nhandshake=GET -> 200", "signed or unsigned");
    wrong("hmac", "header=X\nhandshake=unsigned GET 200", "->");
    wrong("hmac", "header=X\nhandshake=unsigned GET -> 99", "status");
    wrong("hmac", "header=X\npending-secret=relative", "absolute path");
    wrong("paypal", "", "webhook-id= is missing");
    right("paypal", "webhook-id=ABC");
    wrong("paypal", "webhook-id=ABC\nwebhook-id=DEF", "twice");
    wrong("google-pubsub", "audience=x", "email= is missing");
    right("hmac", "header=X\nvar.app=7\ntemplate={var:app}:{body}");
    right("github", "body-limit=5M\nheader=X-Mine");
    right("stripe", "tolerance=10min\nfuture=1min");
    right("none", "");
}

/* @return the error text of prepare */
static const char *secret_error(const char *scheme, const char *options, const char *data, apr_size_t len)
{
    fixture f;
    const char *err = configure(&f, p, scheme, options);

    return err ? err : add_key(&f, "1", data, len);
}

static void bad_secret(const char *scheme, const char *options, const char *data, const char *mentions)
{
    const char *err = secret_error(scheme, options, data, strlen(data));

    if (!ok(err && strstr(err, mentions), "%s: secret \"%s\" %s", scheme, line(data), mentions)) diag("%s", err ? err : "accepted");
    if (err && strlen(data) > 7) ok(strstr(err, data) == NULL, "%s: and is not in the message", scheme);
}

static void test_secrets(void)
{
    static const char short_rsa[] = "-----BEGIN PUBLIC KEY-----\n"
        "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDHl2QpvZwPEQDWcrx/6bOEHrnZ\n"
        "-----END PUBLIC KEY-----\n";

    ok(secret_error("github", "", "", 0) != NULL, "an empty secret is an error");
    ok(secret_error("token", "header=X", "", 0) != NULL, "also for tokens");
    bad_secret("standard-webhooks", "", "whsec_", "is empty behind \"whsec_\"");
    bad_secret("standard-webhooks", "", "whsec_!!!notbase64", "is not base64");
    bad_secret("adyen-payments", "", "xyzxyzxyz", "is not hexadecimal");
    bad_secret("fusionauth", "", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "takes a shared secret");
    bad_secret("discord", "", "0123456789", "Ed25519");
    bad_secret("discord", "", "zzzzzzzzzzzzzz", "is not hexadecimal");
    bad_secret("travis", "", "no pem at all!!", "base64");
    bad_secret("travis", "", short_rsa, "PEM");
    bad_secret("plaid", "", "{\"keys\":[]}", "holds no key");
    bad_secret("plaid", "", "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", "holds no key");
    bad_secret("plaid", "", "{\"no\":\"jwks\"}", "neither a JWK");
    bad_secret("plaid", "", "{broken json....", "is not JSON");
    bad_secret("plaid", "", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}", "broken key");
    bad_secret("travis", "", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAyDmd4hdd/xq1rRLEm5+7S2uGbqQUal5hV1LLZBjdO6s=\n-----END PUBLIC KEY-----\n",
               "another type");
    ok(secret_error("openai", "", "plain text", 10) == NULL, "openai takes text without the prefix");
    ok(secret_error("standard-webhooks", "", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 32) == NULL, "the prefix may be missing");
    ok(secret_error("stripe", "", "whsec_anything at all", 21) == NULL, "stripe's prefix is part of the secret");
}

static int has(const char *const *list, const char *word)
{
    for (; list && *list; list++) {
        if (strcasecmp(*list, word) == 0) return 1;
    }
    return 0;
}

static void test_traits(void)
{
    fixture f;
    const webhook_scheme_traits *t;
    const webhook_verifier_provider *provider;
    int i;

    is_str(configure(&f, p, "github", ""), NULL, "github");
    t = f.provider->traits(f.v);
    ok(t->body_limit == 25 * 1024 * 1024, "github: 25 MiB");
    ok(has(t->content_types, "application/json") && has(t->content_types, "application/x-www-form-urlencoded"), "github: JSON and forms");
    ok(has(t->required_headers, "X-Hub-Signature-256") && !has(t->required_headers, "X-GitHub-Delivery"), "github: required headers");
    ok(t->methods == NULL && t->needs_secret && t->protects_body && t->window == 0, "github: POST, a secret, body protected, no window");
    configure(&f, p, "standard-webhooks", "");
    t = f.provider->traits(f.v);
    ok(has(t->required_headers, "webhook-id") && has(t->required_headers, "webhook-timestamp"), "standard-webhooks: id and timestamp required");
    ok(t->window == apr_time_from_sec(600), "standard-webhooks: 5 minutes both ways");
    configure(&f, p, "xero", "");
    t = f.provider->traits(f.v);
    ok(t->success_status == 200 && t->empty_refusal_body, "xero: exactly 200, refused with an empty body");
    is_str(t->success_body, "", "xero: and acknowledged with one");
    configure(&f, p, "xero", "answer-body=id");
    is_str(f.provider->traits(f.v)->success_body, NULL, "xero: unless told otherwise");
    configure(&f, p, "dropbox-sign", "");
    is_str(f.provider->traits(f.v)->success_body, "Hello API Event Received", "dropbox-sign: the words its sender waits for");
    configure(&f, p, "monday", "");
    t = f.provider->traits(f.v);
    ok(t->required_headers == NULL && !t->protects_body, "monday: its challenge comes unsigned, its body is not protected");
    configure(&f, p, "meta", "");
    t = f.provider->traits(f.v);
    ok(has(t->methods, "GET") && has(t->methods, "POST"), "meta: GET for the challenge");
    configure(&f, p, "trello", "");
    ok(has(f.provider->traits(f.v)->methods, "HEAD"), "trello: HEAD");
    configure(&f, p, "none", "");
    t = f.provider->traits(f.v);
    ok(!t->needs_secret && !t->protects_body, "none: no secret, nothing protected");
    configure(&f, p, "asana", "pending-secret=/nowhere/asana");
    ok(!f.provider->traits(f.v)->needs_secret, "asana: no secret needed while it is to be delivered");

    for (i = 0; (provider = wh_verifier_builtins(i)) != NULL; i++) {
        wh_buf b;
        const char *err;
        webhook_slice text;
        wh_json *doc;
        wh_json_error jerr;
        wh_buf_init(&b, p, 512);
        err = wh_verifier_json(&b, provider, p);
        text.data = b.data;
        text.len = b.len;
        ok(err == NULL && wh_json_parse(&doc, text, NULL, p, &jerr) == APR_SUCCESS, "%s describes itself", provider->name);
        ok(wh_verifier_builtin(provider->name) == provider, "%s is found by its name", provider->name);
        ok(i < 7 || !wh_verifier_builtins(i + 1) || strcmp(provider->name, wh_verifier_builtins(i + 1)->name) < 0, "%s is in order", provider->name);
    }
    ok(wh_verifier_builtin("nobody") == NULL && wh_verifier_builtin(NULL) == NULL, "an unknown name gives none");
}

/* What the manual says of presets comes from here */
static void test_facts(void)
{
    static const struct {
        const char *scheme, *member, *value;
    } facts[] = {
        { "github", "protects_body", "true" }, { "github", "id_signed", "false" }, { "github", "timestamp_signed", NULL },
        { "github", "body_limit", "26214400" }, { "github", "uses_url", "false" }, { "github", "signs", "{body}" },
        { "stripe", "timestamp_signed", "true" }, { "stripe", "tolerance_seconds", "300" }, { "stripe", "id_signed", "true" },
        { "linear", "timestamp_signed", "true" }, { "contentful", "timestamp_signed", "true" }, { "square", "uses_url", "true" },
        { "plivo-v3", "uses_url", "true" }, { "qstash", "uses_url", "true" }, { "plaid", "max_age_seconds", "300" },
        { "aws-sns", "tolerance_seconds", NULL }, { "aws-sns", "future_seconds", "300" }, { "xero", "empty_refusal_body", "true" },
        { "mercadopago", "protects_body", "false" }, { "gitlab-token", "timestamp_signed", NULL }, { "rfc9421", "timestamp_signed", "true" },
        { "slack", "moment", "true" }, { "plaid", "moment", "true" }, { "github", "moment", "false" }, { "mailgun", "moment", "false" },
        { "dropbox-sign", "moment", "false" },
        /* several items: the first one's id is not the delivery's */
        { "adyen-payments", "id_signed", "false" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        webhook_slice text;
        wh_json_error jerr;
        wh_json *doc = NULL;
        wh_buf b;

        wh_buf_init(&b, p, 512);
        wh_verifier_json(&b, wh_verifier_builtin(facts[i].scheme), p);
        text.data = b.data;
        text.len = b.len;
        if (wh_json_parse(&doc, text, NULL, p, &jerr) != APR_SUCCESS) {
            ok(0, "%s: JSON", facts[i].scheme);
            continue;
        }
        is_str(member_text(wh_json_root(doc), facts[i].member, p), facts[i].value, "%s: %s", facts[i].scheme, facts[i].member);
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&p, NULL);
    test_options();
    test_secrets();
    test_traits();
    test_facts();
    apr_pool_destroy(p);
    return tap_done();
}
