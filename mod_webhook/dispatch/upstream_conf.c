/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_conf.c: checks an upstream's configuration and makes the headers of its requests. Nothing that could end a header line
 * early gets past here: libcurl sends what it is given.
 */
#include "dispatch/upstream_conf.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/cloudevents_write.h"
#include "core/encode_for.h"
#include "core/envelope.h"
#include "core/options.h"
#include "core/units.h"

#define URL_MAX 4096
#define METHODS "POST|PUT|PATCH"

static const char *const method_names[] = {"POST", "PUT", "PATCH"};

/* Belong to a connection or a message of its own, or are ours. '-' stands for '_' too; a '*' at the end for any rest. */
static const char *const never[] = {
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "host",
    "content-length", "expect", "x-delivery-id", "x-delivery-attempt", "x-delivery-handler", "x-delivery-endpoint",
    "x-delivery-event", "x-delivery-verified", "x-delivery-key-id", NULL,
};

/* Meant for us or said about us. */
static const char *const when_named[] = {
    "authorization", "cookie", "cookie2", "proxy-*", "accept-encoding", "forwarded", "x-forwarded-*", "x-real-ip", "via", NULL,
};

/* -------------------------------------------------------------------------------------------------------------- headers --- */

static int is_token_char(char c)
{
    return apr_isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static int is_token(const char *s, apr_size_t len)
{
    for (apr_size_t i = 0; i < len; i++) {
        if (!is_token_char(s[i]))
            return 0;
    }
    return len > 0;
}

static int same_name(const char *a, const char *b, apr_size_t len)
{
    for (apr_size_t i = 0; i < len; i++) {
        char x = a[i] == '_' ? '-' : (char)apr_tolower(a[i]), y = b[i] == '_' ? '-' : (char)apr_tolower(b[i]);

        if (x != y)
            return 0;
    }
    return 1;
}

/* Whether a name matches "name" or "prefix*". */
static int name_matches(const char *name, apr_size_t len, const char *pattern)
{
    apr_size_t plen = strlen(pattern);

    if (plen && pattern[plen - 1] == '*')
        return len >= plen - 1 && same_name(name, pattern, plen - 1);
    return len == plen && same_name(name, pattern, len);
}

static int in_list(const char *const *list, const char *name, apr_size_t len)
{
    for (; *list; list++) {
        if (name_matches(name, len, *list))
            return 1;
    }
    return 0;
}

int wh_upstream_forwards(const webhook_handler_conf *conf, const char *name, apr_size_t len)
{
    if (!is_token(name, len) || in_list(never, name, len))
        return 0;
    if (!conf->forward)
        return !in_list(when_named, name, len);
    for (int i = 0; i < conf->forward->nelts; i++) {
        const char *want = APR_ARRAY_IDX(conf->forward, i, const char *);

        if (name_matches(name, len, want) && (!strchr(want, '*') || !in_list(when_named, name, len)))
            return 1;
    }
    return 0;
}

/* Whether one of the received Connection headers names this one as its own. */
static int connection_names(webhook_slice lines, const char *name, apr_size_t len)
{
    webhook_slice n, v;
    apr_size_t at = 0;

    while (wh_headers_next(lines, &at, &n, &v)) {
        const char *s = v.data, *end = v.data + v.len;

        if (n.len != 10 || strncasecmp(n.data, "connection", 10))
            continue;
        while (s < end) {
            const char *word;

            while (s < end && (*s == ',' || *s == ' ' || *s == '\t'))
                s++;
            for (word = s; s < end && *s != ',' && *s != ' ' && *s != '\t'; s++)
                ;
            if ((apr_size_t)(s - word) == len && same_name(word, name, len))
                return 1;
        }
    }
    return 0;
}

typedef struct maker {
    struct curl_slist **list;
    const char **why;
    apr_pool_t *p;
} maker;

static apr_status_t add(maker *m, const char *name, apr_size_t nlen, const char *value, apr_size_t vlen)
{
    struct curl_slist *longer;

    if (!wh_fits_header(value, vlen)) {
        *m->why = apr_psprintf(m->p, "the value for the header %.*s holds a control character", (int)nlen, name);
        return APR_EINVAL;
    }
    /* "Name;" is how libcurl is told of an empty value; "Name:" would mean to send none of its own */
    longer = curl_slist_append(*m->list, apr_pstrcat(m->p, apr_pstrmemdup(m->p, name, nlen), vlen ? ": " : ";",
                                                     apr_pstrmemdup(m->p, value, vlen), NULL));
    if (!longer) {
        *m->why = "no memory";
        return APR_ENOMEM;
    }
    *m->list = longer;
    return APR_SUCCESS;
}

static apr_status_t add_text(maker *m, const char *name, const char *value)
{
    return value ? add(m, name, strlen(name), value, strlen(value)) : APR_SUCCESS;
}

/* Take one of libcurl's own headers out of the request. */
static apr_status_t without(maker *m, const char *name_colon)
{
    struct curl_slist *longer = curl_slist_append(*m->list, name_colon);

    if (!longer) {
        *m->why = "no memory";
        return APR_ENOMEM;
    }
    *m->list = longer;
    return APR_SUCCESS;
}

static int is_fixed(const webhook_handler_conf *conf, const char *name, apr_size_t len)
{
    for (int i = 0; i < conf->headers->nelts; i++) {
        const char *fixed = APR_ARRAY_IDX(conf->headers, i, webhook_option).name;

        if (strlen(fixed) == len && same_name(fixed, name, len))
            return 1;
    }
    return 0;
}

static int is_word(webhook_slice s, const char *word)
{
    return s.len == strlen(word) && same_name(s.data, word, s.len);
}

/* The attributes of the binary form; the sender's own were not passed. */
static apr_status_t add_attributes(maker *m, const webhook_handler_conf *conf, const webhook_delivery *d)
{
    wh_ce_attribute attributes[WH_CE_ATTRIBUTES];
    int n = wh_ce_attributes(attributes, d, m->p);
    apr_status_t rv = APR_SUCCESS;

    for (int i = 0; i < n && rv == APR_SUCCESS; i++) {
        const char *name = apr_pstrcat(m->p, "ce-", attributes[i].name, NULL), *value = attributes[i].value;

        if (!is_fixed(conf, name, strlen(name)))
            rv = add_text(m, name, wh_encode_for_ce_header(value, strlen(value), m->p));
    }
    return rv;
}

apr_status_t wh_upstream_headers(struct curl_slist **list, const char **why, const webhook_handler_conf *conf,
                                 const apr_array_header_t *configured, const webhook_attempt *attempt, apr_pool_t *p)
{
    const webhook_lease *lease = attempt->lease;
    const webhook_delivery *d = lease->delivery;
    maker m = {list, why, p};
    int has_type = is_fixed(conf, "content-type", 12), has_agent = is_fixed(conf, "user-agent", 10);
    int has_key = is_fixed(conf, "idempotency-key", 15);
    webhook_slice name, value;
    apr_status_t rv = APR_SUCCESS;
    apr_size_t at = 0;

    *list = NULL;
    *why = NULL;
    for (int i = 0; rv == APR_SUCCESS && i < configured->nelts; i++) {
        const webhook_option *o = &APR_ARRAY_IDX(configured, i, webhook_option);

        rv = add_text(&m, o->name, o->value);
    }
    while (rv == APR_SUCCESS && wh_headers_next(d->headers, &at, &name, &value)) {
        if (!wh_upstream_forwards(conf, name.data, name.len) || is_fixed(conf, name.data, name.len)
            || connection_names(d->headers, name.data, name.len)
            || (conf->format == WH_FORMAT_CE_BINARY && name.len > 3 && same_name(name.data, "ce-", 3)))
            continue;
        has_type |= is_word(name, "content-type");
        has_agent |= is_word(name, "user-agent");
        has_key |= is_word(name, "idempotency-key");
        rv = add(&m, name.data, name.len, value.data, value.len);
    }
    if (rv == APR_SUCCESS && conf->format == WH_FORMAT_CE_BINARY) {
        if (!has_type)
            rv = add_text(&m, "Content-Type", d->content_type);
        has_type |= d->content_type != NULL;
        if (rv == APR_SUCCESS)
            rv = add_attributes(&m, conf, d);
    }
    if (rv == APR_SUCCESS)
        rv = add_text(&m, "X-Delivery-Id", d->id);
    if (rv == APR_SUCCESS)
        rv = add_text(&m, "X-Delivery-Attempt", apr_itoa(p, lease->attempt));
    if (rv == APR_SUCCESS)
        rv = add_text(&m, "X-Delivery-Handler", attempt->handler_name);
    if (rv == APR_SUCCESS)
        rv = add_text(&m, "X-Delivery-Endpoint", d->endpoint);
    if (rv == APR_SUCCESS)
        rv = add_text(&m, "X-Delivery-Verified", d->verified ? "true" : "false");
    if (rv == APR_SUCCESS)
        rv = add_text(&m, "X-Delivery-Event", d->event);
    if (rv == APR_SUCCESS)
        rv = add_text(&m, "X-Delivery-Key-Id", d->key_id);
    if (rv == APR_SUCCESS && !has_key)
        rv = add_text(&m, "Idempotency-Key", d->id);
    if (rv == APR_SUCCESS && !has_agent)
        rv = add_text(&m, "User-Agent", "mod_webhook");
    /* libcurl would name a form's type where the sender named none, and wait for a 100 that many servers never send */
    if (rv == APR_SUCCESS && !has_type)
        rv = without(&m, "Content-Type:");
    return rv == APR_SUCCESS ? without(&m, "Expect:") : rv;
}

/* -------------------------------------------------------------------------------------------------------- configuration --- */

static const wh_option_spec upstream_options[] = {
    {"method", WH_OPT_ENUM, offsetof(webhook_handler_conf, method_index), 0, 0, METHODS},
    {"connect-timeout", WH_OPT_DURATION, offsetof(webhook_handler_conf, connect_timeout), APR_USEC_PER_SEC / 1000, 0, NULL},
    {"idle-timeout", WH_OPT_DURATION, offsetof(webhook_handler_conf, idle_timeout), APR_USEC_PER_SEC, 0, NULL},
    {"header", WH_OPT_LIST, 0, 0, 0, NULL}, /* for the list of what is allowed; read by take_headers() */
    {"format", WH_OPT_ENUM, offsetof(webhook_handler_conf, format_index), 0, 0, WH_FORMAT_WORDS},
    {"body", WH_OPT_STRING, offsetof(webhook_handler_conf, body_text), 0, 0, NULL},
    {"body-type", WH_OPT_STRING, offsetof(webhook_handler_conf, body_type), 0, 0, NULL},
    {"forward", WH_OPT_LIST, offsetof(webhook_handler_conf, forward), 0, 0, NULL},
    {"ca", WH_OPT_STRING, offsetof(webhook_handler_conf, ca), 0, 0, NULL},
    {"cert", WH_OPT_STRING, offsetof(webhook_handler_conf, cert), 0, 0, NULL},
    {"key", WH_OPT_STRING, offsetof(webhook_handler_conf, key), 0, 0, NULL},
    {"unix", WH_OPT_STRING, offsetof(webhook_handler_conf, unix_path), 0, 0, NULL},
    {"http2", WH_OPT_BOOL, offsetof(webhook_handler_conf, http2), 0, 0, NULL},
    {NULL, WH_OPT_STRING, 0, 0, 0, NULL},
};

/* header= entries go to conf->headers, the others to *rest. A header's value may be a secret: no message repeats it. */
static const char *take_headers(webhook_handler_conf *conf, const apr_array_header_t *options, apr_array_header_t **rest,
                                apr_pool_t *pconf, apr_pool_t *ptemp)
{
    *rest = apr_array_make(ptemp, 8, sizeof(webhook_option));
    for (int i = 0; options && i < options->nelts; i++) {
        const webhook_option *o = &APR_ARRAY_IDX(options, i, webhook_option);
        const char *colon = strchr(o->value, ':'), *value, *err;
        apr_size_t len;
        webhook_option *h;

        if (strcmp(o->name, "header")) {
            APR_ARRAY_PUSH(*rest, webhook_option) = *o;
            continue;
        }
        if (!colon || !is_token(o->value, (apr_size_t)(colon - o->value)))
            return "handler upstream: option \"header\" must be \"Name: value\", the name of letters, digits and dashes";
        len = (apr_size_t)(colon - o->value);
        if (in_list(never, o->value, len))
            return apr_psprintf(ptemp, "handler upstream: option \"header\" cannot set %.*s, which is the module's or the HTTP library's own", (int)len, o->value);
        for (value = colon + 1; *value == ' ' || *value == '\t'; value++)
            ;
        if (!wh_fits_header(value, strlen(value)))
            return apr_psprintf(ptemp, "handler upstream: option \"header\": the value of %.*s holds a control character", (int)len, o->value);
        h = apr_array_push(conf->headers);
        h->name = apr_pstrmemdup(pconf, o->value, len);
        h->value = apr_pstrdup(pconf, value);
        if ((err = wh_upstream_parse_header(conf, h->name, value, pconf, ptemp)) != NULL)
            return err;
    }
    return NULL;
}

/* What goes out in place of the received bytes. */
static const char *check_body(webhook_handler_conf *conf, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const char *type = wh_format_type(conf->format), *err;
    webhook_option *h;

    if (!conf->body_text != !conf->body_type)
        return "handler upstream: options \"body\" and \"body-type\" need each other";
    if (conf->body_text && conf->format_index >= 0)
        return "handler upstream: a body of its own and option \"format\" exclude each other";
    if (conf->body_text) {
        type = conf->body_type;
        if (!wh_fits_header(type, strlen(type)))
            return "handler upstream: the type of the body holds a control character";
        if ((err = wh_upstream_parse_body(conf, type, conf->body_text, pconf, ptemp)) != NULL)
            return err;
    }
    if (!type)
        return NULL;
    if (is_fixed(conf, "content-type", 12))
        return "handler upstream: the type of the body is given twice: by option \"header\" and by the body's own or the format's";
    h = apr_array_push(conf->headers);
    h->name = "Content-Type";
    h->value = apr_pstrdup(pconf, type);
    APR_ARRAY_PUSH(conf->header_slots, const wh_slotted *) = NULL;
    if (!conf->forward)
        conf->forward = apr_array_make(ptemp, 1, sizeof(const char *)); /* none: it was said of another body */
    return NULL;
}

static const char *check_forward(webhook_handler_conf *conf, apr_pool_t *ptemp)
{
    apr_array_header_t *list = conf->forward;

    if (!list)
        return NULL;
    for (int i = 0; i < list->nelts; i++) {
        const char *name = APR_ARRAY_IDX(list, i, const char *);
        const char *star;

        while (*name == ' ')
            name++;
        APR_ARRAY_IDX(list, i, const char *) = name;
        star = strchr(name, '*');
        if (list->nelts == 1 && (!strcasecmp(name, "all") || !strcmp(name, "*"))) {
            conf->forward = NULL;
            return NULL;
        }
        if (list->nelts == 1 && !strcasecmp(name, "none")) {
            list->nelts = 0;
            return NULL;
        }
        if (!is_token(name, strlen(name)) || (star && star[1])) {
            return apr_psprintf(ptemp, "handler upstream: option \"forward\" cannot hold \"%s\" (allowed: all, none, or header names "
                                "separated by commas, each with one '*' at its end or none)", name);
        }
        if (!star && in_list(never, name, strlen(name)))
            return apr_psprintf(ptemp, "handler upstream: option \"forward\" cannot hold %s, which is never passed on", name);
    }
    return NULL;
}

static const char *check_url(webhook_handler_conf *conf, const char *target, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    static const struct { CURLUPart part; const char *what; } refused[] = {
        {CURLUPART_USER, "a user name (write option header=\"Authorization: ...\" instead)"},
        {CURLUPART_PASSWORD, "a password (write option header=\"Authorization: ...\" instead)"},
        {CURLUPART_FRAGMENT, "a fragment"},
    };
    const char *err = NULL, *query;
    char *part = NULL;
    CURLU *u;
    CURLUcode rc;

    /* the URL itself, which may hold a token, is not repeated beyond the query */
    query = strchr(target, '?');
    conf->shown = query ? apr_pstrcat(pconf, apr_pstrmemdup(pconf, target, (apr_size_t)(query - target)), "?...", NULL)
                        : apr_pstrdup(pconf, target);
    if ((err = wh_upstream_parse_url(conf, target, &target, pconf, ptemp)) != NULL)
        return err;
    for (const char *s = target; *s; s++) {
        if ((unsigned char)*s <= 0x20 || *s == 0x7f)
            return "handler upstream: the URL holds a blank or a control character";
    }
    if (strlen(target) > URL_MAX)
        return apr_psprintf(ptemp, "handler upstream: the URL is longer than %d bytes", URL_MAX);
    u = curl_url();
    if (!u)
        return "handler upstream: no memory";
    rc = curl_url_set(u, CURLUPART_URL, target, 0);
    for (apr_size_t i = 0; !rc && !err && i < sizeof(refused) / sizeof(*refused); i++) {
        if (!curl_url_get(u, refused[i].part, &part, 0)) {
            err = apr_psprintf(ptemp, "handler upstream: the URL holds %s", refused[i].what);
            curl_free(part);
        }
    }
    if (!rc && !err) {
        rc = curl_url_get(u, CURLUPART_SCHEME, &part, 0);
        if (!rc) {
            conf->tls = !strcasecmp(part, "https");
            if (!conf->tls && strcasecmp(part, "http"))
                rc = CURLUE_UNSUPPORTED_SCHEME;
            curl_free(part);
        }
    }
    /* curl also takes one slash, or three, which people write by mistake */
    if (!rc && !err && (strncmp(target + strcspn(target, ":"), "://", 3) || target[strcspn(target, ":") + 3] == '/'))
        rc = CURLUE_MALFORMED_INPUT;
    if (!rc && !err) {
        rc = curl_url_get(u, CURLUPART_HOST, &part, 0);
        if (!rc && !*part)
            rc = CURLUE_NO_HOST;
        if (!rc)
            curl_free(part);
    }
    curl_url_cleanup(u);
    if (rc) {
        /* what did not parse may have a password anywhere */
        const char *at = strchr(target, '@');

        return apr_psprintf(ptemp, "handler upstream: \"%s\" is not a URL this handler can use: %s (expected http://host[:port]/path or https://...)",
                            at ? "..." : conf->shown, curl_url_strerror(rc));
    }
    conf->url = apr_pstrdup(pconf, target);
    return err;
}

/* A missing file is a mistake. One that cannot be read is said in the dispatcher, whose user counts: configtest may run as another. */
static const char *check_pem(const char *option, const char *path, int want_key, apr_pool_t *ptemp)
{
    const char *err = NULL;
    struct stat st;
    BIO *bio;

    if (*path != '/')
        return apr_psprintf(ptemp, "handler upstream: option \"%s\" cannot be \"%s\" (expected an absolute path)", option, path);
    if (stat(path, &st) && (errno == ENOENT || errno == ENOTDIR))
        return apr_psprintf(ptemp, "handler upstream: option \"%s\": \"%s\" does not exist", option, path);
    bio = BIO_new_file(path, "r");
    if (!bio) {
        ERR_clear_error();
        return NULL;
    }
    if (want_key) {
        static char no_passphrase[] = ""; /* a given one keeps OpenSSL from asking at the terminal */
        EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_passphrase);

        if (!key)
            err = apr_psprintf(ptemp, "handler upstream: option \"%s\": \"%s\" holds no PEM private key without a passphrase", option, path);
        EVP_PKEY_free(key);
    }
    else {
        X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);

        if (!cert)
            err = apr_psprintf(ptemp, "handler upstream: option \"%s\": \"%s\" holds no PEM certificate", option, path);
        X509_free(cert);
    }
    BIO_free(bio);
    ERR_clear_error();
    return err;
}

/* The key must be the certificate's: otherwise every handshake would fail, with a message about neither. */
static const char *check_pair(const webhook_handler_conf *conf, apr_pool_t *ptemp)
{
    static char no_passphrase[] = "";
    BIO *cb = BIO_new_file(conf->cert, "r"), *kb = BIO_new_file(conf->key, "r");
    X509 *cert = cb ? PEM_read_bio_X509_AUX(cb, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = kb ? PEM_read_bio_PrivateKey(kb, NULL, NULL, no_passphrase) : NULL;
    const char *err = NULL;

    if (cert && key && X509_check_private_key(cert, key) != 1)
        err = apr_psprintf(ptemp, "handler upstream: the key in \"%s\" does not belong to the certificate in \"%s\"", conf->key, conf->cert);
    EVP_PKEY_free(key);
    X509_free(cert);
    BIO_free(kb);
    BIO_free(cb);
    ERR_clear_error();
    return err;
}

static const char *check_tls(const webhook_handler_conf *conf, apr_pool_t *ptemp)
{
    const char *err = NULL;

    if ((conf->ca || conf->cert || conf->key) && !conf->tls)
        return "handler upstream: options \"ca\", \"cert\" and \"key\" need an https URL";
    if (!conf->cert != !conf->key)
        return "handler upstream: options \"cert\" and \"key\" need each other";
    if (conf->ca)
        err = check_pem("ca", conf->ca, 0, ptemp);
    if (!err && conf->cert)
        err = check_pem("cert", conf->cert, 0, ptemp);
    if (!err && conf->key)
        err = check_pem("key", conf->key, 1, ptemp);
    return err || !conf->cert ? err : check_pair(conf, ptemp);
}

const char *wh_upstream_configure(webhook_handler_conf **out, const char *target, const apr_array_header_t *options, apr_pool_t *pconf,
                                  apr_pool_t *ptemp)
{
    webhook_handler_conf *conf = apr_pcalloc(pconf, sizeof(*conf));
    apr_array_header_t *rest, *forward;
    const char *err;

    *out = NULL;
    conf->connect_timeout = apr_time_from_sec(5);
    conf->http2 = 1;
    conf->headers = apr_array_make(pconf, 4, sizeof(webhook_option));
    conf->header_slots = apr_array_make(pconf, 4, sizeof(const wh_slotted *));
    conf->slots = apr_array_make(pconf, 4, sizeof(webhook_slot));
    conf->format_index = -1;
    err = take_headers(conf, options, &rest, pconf, ptemp);
    if (!err)
        err = wh_options_apply(conf, upstream_options, rest, "handler upstream", ptemp);
    if (!err && conf->format_index > 0)
        conf->format = (wh_format)conf->format_index;
    if (!err)
        err = check_body(conf, pconf, ptemp);
    if (!err)
        err = check_forward(conf, ptemp);
    if (!err)
        err = check_url(conf, target, pconf, ptemp);
    if (!err)
        err = check_tls(conf, ptemp);
    if (err)
        return err;
    if (conf->unix_path) {
        if (*conf->unix_path != '/' || strlen(conf->unix_path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
            return apr_psprintf(ptemp, "handler upstream: option \"unix\" cannot be \"%s\" (expected an absolute path of at most %d bytes)", conf->unix_path,
                                (int)sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
        }
        conf->unix_path = apr_pstrdup(pconf, conf->unix_path);
    }
    /* wh_options_apply made its list in ptemp */
    if (conf->forward) {
        forward = apr_array_make(pconf, conf->forward->nelts + 1, sizeof(const char *));
        for (int i = 0; i < conf->forward->nelts; i++)
            APR_ARRAY_PUSH(forward, const char *) = apr_pstrdup(pconf, APR_ARRAY_IDX(conf->forward, i, const char *));
        conf->forward = forward;
    }
    conf->body_type = apr_pstrdup(pconf, conf->body_type);
    conf->body_text = NULL; /* was the caller's */
    conf->ca = apr_pstrdup(pconf, conf->ca);
    conf->cert = apr_pstrdup(pconf, conf->cert);
    conf->key = apr_pstrdup(pconf, conf->key);
    conf->method = method_names[conf->method_index];
    *out = conf;
    return NULL;
}

const char *wh_upstream_describe(const webhook_handler_conf *conf, apr_pool_t *p)
{
    const char *text = apr_psprintf(p, "url=%s method=%s connect-timeout=%s", conf->shown, conf->method, wh_format_duration(conf->connect_timeout, p));

    if (conf->idle_timeout)
        text = apr_pstrcat(p, text, " idle-timeout=", wh_format_duration(conf->idle_timeout, p), NULL);
    if (conf->body)
        text = apr_pstrcat(p, text, " body-type=", conf->body_type, NULL);
    else if (conf->format != WH_FORMAT_RAW)
        text = apr_pstrcat(p, text, " format=", wh_format_names[conf->format], NULL);
    text = apr_pstrcat(p, text, " forward=", conf->forward ? conf->forward->nelts ? apr_array_pstrcat(p, conf->forward, ',') : "none" : "all", NULL);
    /* names alone: a value may be a secret */
    for (int i = 0; i < conf->headers->nelts; i++)
        text = apr_pstrcat(p, text, " header=", APR_ARRAY_IDX(conf->headers, i, webhook_option).name, NULL);
    if (conf->tls)
        text = apr_pstrcat(p, text, " http2=", conf->http2 ? "on" : "off", NULL);
    if (conf->ca)
        text = apr_pstrcat(p, text, " ca=", conf->ca, NULL);
    if (conf->cert)
        text = apr_pstrcat(p, text, " cert=", conf->cert, " key=", conf->key, NULL);
    return conf->unix_path ? apr_pstrcat(p, text, " unix=", conf->unix_path, NULL) : text;
}
