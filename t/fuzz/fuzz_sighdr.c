/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signature headers of every syntax: the first byte picks the scheme, then one field each for the signature, a second line of it, the
 * timestamp, the id, the key id; the rest is the body. A MAC cannot be guessed; a token can, since the fuzzer watches comparisons: it may be
 * accepted where it was said, and nowhere else.
 */
#include <strings.h>

#include "verify_fuzz.h"

static fuzz_scheme schemes[] = {
    { .name = "github", .key = "fuzz secret" },
    { .name = "stripe", .key = "fuzz secret" },
    { .name = "standard-webhooks", .key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" },
    { .name = "hmac", .key = "fuzz secret", .options = { "header=X-Sig", "syntax=list", "separator=comma", "lenient=repeated,spaces,upper-hex", "prefix=v1=" } },
    { .name = "hmac", .key = "fuzz secret", .options = { "header=X-Sig", "syntax=keyed", "separator=ampersand", "encoding=base64url", "lenient=padded,noncanonical" } },
    { .name = "hmac", .key = "fuzz secret", .options = { "signature=header*:X-Sig-#", "encoding=base64", "lenient=unpadded,bare", "prefix=x" } },
    { .name = "websub", .key = "fuzz secret" },
    { .name = "pusher", .key = "fuzz secret", .key_id = "k1" },
    { .name = "paddle", .key = "fuzz secret" },
    { .name = "twitch", .key = "fuzz secret" },
    { .name = "discord", .key = "c8399de2175dff1ab5ad12c49b9fbb4b6b866ea4146a5e615752cb6418dd3bab" },
    { .name = "box", .key = "fuzz secret" },
    { .name = "token", .key = "fuzz secret 123456", .options = { "signature=bearer,basic,header:X-Token" } },
};
static const char *const headers[] = { "X-Hub-Signature-256", "Stripe-Signature", "webhook-signature", "X-Sig", "X-Sig", "X-Sig-1", "X-Hub-Signature",
                                       "X-Pusher-Signature", "Paddle-Signature", "Twitch-Eventsub-Message-Signature", "X-Signature-Ed25519",
                                       "BOX-SIGNATURE-PRIMARY", "Authorization" };

/* Whether a header says the token as it is; Basic says it in base64, which nobody guesses twice. */
static int says_token(const char *value, const char *token)
{
    return strstr(value, token) != NULL || strncasecmp(value, "basic ", 6) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const more[][2] = { { "webhook-timestamp", "webhook-id" }, { "X-Signature-Timestamp", "X-Pusher-Key" },
                                           { "Twitch-Eventsub-Message-Timestamp", "Twitch-Eventsub-Message-Id" }, { "BOX-DELIVERY-TIMESTAMP", "X-Sig-2" } };
    size_t n = sizeof(schemes) / sizeof(schemes[0]), which, i;
    webhook_request req;
    apr_table_t *t;
    apr_pool_t *p;
    const char *first, *second, *ts, *id;

    if (size == 0) return 0;
    which = data[0] % n;
    data++, size--;
    fuzz_configure(&schemes[which]);
    apr_pool_create(&p, fuzz_pool());
    memset(&req, 0, sizeof(req));
    t = apr_table_make(p, 12);
    first = fuzz_field(&data, &size, p);
    apr_table_addn(t, headers[which], first);
    second = fuzz_field(&data, &size, p);
    if (*second) apr_table_addn(t, headers[which], second);
    ts = fuzz_field(&data, &size, p);
    id = fuzz_field(&data, &size, p);
    for (i = 0; i < 4; i++) {
        apr_table_addn(t, more[i][0], ts);
        apr_table_addn(t, more[i][1], id);
    }
    apr_table_addn(t, "BOX-SIGNATURE-VERSION", "1");
    apr_table_addn(t, "BOX-SIGNATURE-ALGORITHM", "HmacSHA256");
    req.headers = t;
    req.body.data = (const char *)data;
    req.body.len = size;
    fuzz_run(&schemes[which], &req, !strcmp(schemes[which].name, "token") && says_token(first, schemes[which].key), p);
    apr_pool_destroy(p);
    return 0;
}
