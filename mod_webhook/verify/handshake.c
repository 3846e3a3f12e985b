/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake.c: requests a sender makes to see whether the endpoint is ours, answered from a rule:
 *
 *   signed|unsigned METHOD condition ... -> STATUS [media/type] [+Header:value] ... [body]
 *
 * Conditions: PLACE (present), !PLACE (absent), PLACE=template, PLACE~hex, PLACE~token (a value of these characters only, 1 to 1024),
 * members=N (the JSON body has exactly N members), store:PLACE (the value there is the secret: it is kept for the operator), confirm:PLACE
 * (the URL there is to be visited; without confirm=on the operator is told and the rule answers nothing). "pass" in place of a status
 * answers nothing either: the operator is told that the request came, and it goes its way.
 * In the body and in header values: {PLACE} as is, {q:PLACE} as a JSON string, {hmac-hex:PLACE} and {hmac-base64:PLACE} with the first
 * secret, {{ for a brace. A blank in a header value is written as '_'.
 *
 * An unsigned rule answers only what the request itself brought, so a stranger learns nothing; where the answer is a MAC, the rule limits
 * what may be signed to characters no payload of the sender consists of, else the endpoint would sign deliveries for anyone.
 */
#include "verify/scheme.h"

#include <apr_file_info.h>
#include <apr_lib.h>
#include <string.h>
#include "core/durable.h"
#include "core/log.h"
#include "verify/key_cache.h"

static const char *next_word(const char **s, apr_pool_t *p)
{
    const char *start;

    while (**s == ' ') (*s)++;
    start = *s;
    while (**s && **s != ' ') (*s)++;
    return *s > start ? apr_pstrmemdup(p, start, (apr_size_t)(*s - start)) : NULL;
}

static const char *compile_reply(const apr_array_header_t **out, const char *text, apr_pool_t *p)
{
    apr_array_header_t *parts = apr_array_make(p, 4, sizeof(wh_reply_part));
    const char *s = text;

    while (*s) {
        char *literal = apr_palloc(p, strlen(s) + 1), *at = literal;
        wh_reply_part *part = apr_array_push(parts);
        const char *end, *inner, *err;

        memset(part, 0, sizeof(*part));
        while (*s && !(*s == '{' && s[1] != '{')) {
            if (*s == '{') s++;
            *at++ = *s++;
        }
        *at = '\0';
        part->literal = literal;
        part->kind = WH_REPLY_LITERAL;
        if (!*s) break;
        if ((end = strchr(s, '}')) == NULL) return apr_psprintf(p, "\"%s\": '{' without '}'", text);
        inner = apr_pstrmemdup(p, s + 1, (apr_size_t)(end - s - 1));
        part->kind = WH_REPLY_RAW;
        if (strncmp(inner, "q:", 2) == 0) {
            part->kind = WH_REPLY_JSON;
            inner += 2;
        } else if (strncmp(inner, "hmac-hex:", 9) == 0) {
            part->kind = WH_REPLY_HMAC;
            part->encoding = WH_ENC_HEX;
            inner += 9;
        } else if (strncmp(inner, "hmac-base64:", 12) == 0) {
            part->kind = WH_REPLY_HMAC;
            part->encoding = WH_ENC_BASE64;
            inner += 12;
        }
        if ((err = wh_locator_compile(&part->loc, inner, p)) != NULL) return err;
        s = end + 1;
    }
    *out = parts;
    return NULL;
}

static const char *compile_condition(wh_handshake_rule *rule, apr_array_header_t *conditions, const char *word, apr_pool_t *p)
{
    wh_condition *cond;
    const char *mark, *err;

    if (strncmp(word, "store:", 6) == 0) {
        rule->stores = 1;
        return wh_locator_compile(&rule->store_loc, word + 6, p);
    }
    if (strncmp(word, "confirm:", 8) == 0) {
        rule->confirms = 1;
        return wh_locator_compile(&rule->confirm_loc, word + 8, p);
    }
    cond = apr_array_push(conditions);
    memset(cond, 0, sizeof(*cond));
    if (strncmp(word, "members=", 8) == 0) {
        if (!apr_isdigit(word[8]) || word[9]) return "members= takes one digit";
        cond->kind = WH_COND_MEMBERS;
        cond->members = (apr_size_t)(word[8] - '0');
        return NULL;
    }
    if (word[0] == '!') {
        cond->kind = WH_COND_ABSENT;
        return wh_locator_compile(&cond->loc, word + 1, p);
    }
    if ((mark = strchr(word, '~')) != NULL) {
        cond->kind = WH_COND_CHARSET;
        cond->charset = strcmp(mark + 1, "token") == 0;
        if (!cond->charset && strcmp(mark + 1, "hex") != 0) return apr_psprintf(p, "\"%s\": allowed behind '~': hex, token", word);
    } else if ((mark = strchr(word, '=')) != NULL) {
        wh_template *t;
        cond->kind = WH_COND_EQUALS;
        if ((err = wh_template_compile(&t, mark + 1, p)) != NULL) return err;
        cond->value = t;
    }
    return wh_locator_compile(&cond->loc, mark ? apr_pstrmemdup(p, word, (apr_size_t)(mark - word)) : word, p);
}

const char *wh_handshake_compile(wh_handshake_rule *out, const char *text, apr_pool_t *p)
{
    apr_array_header_t *conditions = apr_array_make(p, 4, sizeof(wh_condition)), *headers = apr_array_make(p, 2, sizeof(wh_reply_header));
    const char *arrow = strstr(text, " -> "), *s, *word, *err;

    memset(out, 0, sizeof(*out));
    if (!arrow) return apr_psprintf(p, "handshake \"%s\" has no \" -> \"", text);
    s = apr_pstrmemdup(p, text, (apr_size_t)(arrow - text));
    word = next_word(&s, p);
    if (!word || (strcmp(word, "signed") != 0 && strcmp(word, "unsigned") != 0)) {
        return apr_psprintf(p, "handshake \"%s\" must begin with signed or unsigned", text);
    }
    out->needs_signature = strcmp(word, "signed") == 0;
    if ((out->method = next_word(&s, p)) == NULL) return apr_psprintf(p, "handshake \"%s\" names no method", text);
    while ((word = next_word(&s, p)) != NULL) {
        if ((err = compile_condition(out, conditions, word, p)) != NULL) return apr_psprintf(p, "handshake \"%s\": %s", text, err);
    }
    s = arrow + 4;
    word = next_word(&s, p);
    if (out->confirms && !out->needs_signature) return apr_psprintf(p, "handshake \"%s\": confirm: needs signed", text);
    if (word && strcmp(word, "pass") == 0) {
        if (!out->needs_signature || next_word(&s, p)) return apr_psprintf(p, "handshake \"%s\": pass needs signed, and nothing behind it", text);
        out->passes = 1;
        word = "200";
    }
    if (!word || strlen(word) != 3 || strspn(word, "0123456789") != 3 || word[0] < '2' || word[0] > '4') {
        return apr_psprintf(p, "handshake \"%s\": neither a status from 200 to 499 nor pass behind \"->\"", text);
    }
    out->status = (word[0] - '0') * 100 + (word[1] - '0') * 10 + (word[2] - '0');
    while (*s == ' ') s++;
    if (apr_isalpha(*s) && strcspn(s, " ") > strcspn(s, "/")) out->content_type = next_word(&s, p);
    for (;;) {
        wh_reply_header *h;
        char *colon, *line, *at;
        while (*s == ' ') s++;
        if (*s != '+') break;
        s++;
        line = apr_pstrdup(p, next_word(&s, p));
        if ((colon = line ? strchr(line, ':') : NULL) == NULL) return apr_psprintf(p, "handshake \"%s\": +Name:value", text);
        h = apr_array_push(headers);
        h->name = apr_pstrmemdup(p, line, (apr_size_t)(colon - line));
        for (at = colon + 1; *at; at++) {
            if (*at == '_') *at = ' ';
        }
        if ((err = compile_reply(&h->value, colon + 1, p)) != NULL) return apr_psprintf(p, "handshake \"%s\": %s", text, err);
    }
    if ((err = compile_reply(&out->body, s, p)) != NULL) return apr_psprintf(p, "handshake \"%s\": %s", text, err);
    out->conditions = conditions;
    out->headers = headers;
    return NULL;
}

static int charset_holds(int token, webhook_slice s)
{
    apr_size_t i;

    if (s.len == 0 || s.len > 1024) return 0;
    for (i = 0; i < s.len; i++) {
        char ch = s.data[i];
        int ok = token ? apr_isalnum(ch) || (ch && strchr("-._~+/=", ch)) : apr_isxdigit(ch) && !apr_isupper(ch);
        if (!ok) return 0;
    }
    return 1;
}

static int condition_holds(wh_vctx *c, const wh_condition *cond)
{
    webhook_slice have, want;
    wh_found found;

    if (cond->kind == WH_COND_MEMBERS) {
        const wh_json *json = wh_ctx_json(c);
        const wh_json_value *root = json ? wh_json_root(json) : NULL;
        return root && wh_json_typeof(root) == WH_JSON_OBJECT && wh_json_size(root) == cond->members;
    }
    if (cond->kind == WH_COND_ABSENT && cond->loc.kind == WH_LOC_JSON) { /* a member that is no text is there, too: Discord's event */
        const wh_json *json = wh_ctx_json(c);
        return !json || !wh_path_walk(wh_json_root(json), cond->loc.path);
    }
    found = wh_value(c, &cond->loc, &have);
    switch (cond->kind) {
    case WH_COND_PRESENT: return found == WH_FOUND;
    case WH_COND_ABSENT: return found == WH_ABSENT;
    case WH_COND_CHARSET: return found == WH_FOUND && charset_holds(cond->charset, have);
    default:
        /* A condition may hold a secret word (hub.verify_token): compared like one, and never true when the word is empty. */
        return found == WH_FOUND && wh_template_text(c, cond->value, &want) && wh_equal(have.data, have.len, want.data, want.len);
    }
}

static int needs_body(const wh_locator *loc)
{
    return loc->kind == WH_LOC_JSON || loc->kind == WH_LOC_FORM || loc->kind == WH_LOC_MULTIPART || loc->kind == WH_LOC_BODY
           || loc->kind == WH_LOC_PAYLOAD;
}

static int rule_matches(wh_vctx *c, const wh_handshake_rule *rule, int without_body)
{
    int i;

    if (strcmp(rule->method, c->req->method) != 0) return 0;
    for (i = 0; i < rule->conditions->nelts; i++) {
        const wh_condition *cond = &APR_ARRAY_IDX(rule->conditions, i, wh_condition);
        if (without_body && (cond->kind == WH_COND_MEMBERS || needs_body(&cond->loc))) continue;
        if (!condition_holds(c, cond)) return 0;
    }
    return 1;
}

int wh_handshake_possible(wh_vctx *c)
{
    int i;

    for (i = 0; i < c->v->handshakes->nelts; i++) {
        const wh_handshake_rule *rule = &APR_ARRAY_IDX(c->v->handshakes, i, wh_handshake_rule);
        if (!rule->needs_signature && rule_matches(c, rule, 1)) return 1;
    }
    return 0;
}

/* First key of the endpoint, for answers that prove we hold it */
static const wh_key *first_key(const webhook_secrets *secrets)
{
    const wh_keyset *set = secrets && secrets->count ? secrets->list[0]->prepared : NULL;

    return set && set->count ? set->list[0] : NULL;
}

/* @return NULL when something needed is not there */
static const char *render(wh_vctx *c, const apr_array_header_t *parts, const wh_key *key, apr_size_t *len)
{
    wh_buf b;
    int i;

    wh_buf_init(&b, c->p, 128);
    for (i = 0; i < parts->nelts; i++) {
        const wh_reply_part *part = &APR_ARRAY_IDX(parts, i, wh_reply_part);
        webhook_slice s;
        wh_buf_adds(&b, part->literal);
        if (part->kind == WH_REPLY_LITERAL) continue;
        if (part->loc.kind == WH_LOC_KEYID && !c->keyid_text) {
            if (!key) return NULL;
            s.data = key->id;
            s.len = strlen(key->id);
        } else if (wh_value(c, &part->loc, &s) != WH_FOUND || s.len > 8192) {
            return NULL;
        }
        if (part->kind == WH_REPLY_RAW) {
            wh_buf_add(&b, s.data, s.len);
        } else if (part->kind == WH_REPLY_JSON) {
            wh_json_put_string(&b, s.data, s.len);
        } else {
            unsigned char md[EVP_MAX_MD_SIZE];
            const wh_alg *alg = APR_ARRAY_IDX(c->v->algorithms, 0, wh_named_alg).alg;
            if (!key || alg->kind != WH_ALG_DIGEST || !wh_mac_one(key, alg->digest, wh_message_of(s, c->p), md)) return NULL;
            wh_buf_adds(&b, wh_encode(part->encoding, md, wh_digest_size(alg->digest), c->p));
        }
    }
    *len = b.len;
    return b.data ? b.data : "";
}

static int store_secret(wh_vctx *c, const wh_handshake_rule *rule)
{
    const char *path = c->v->pending_secret, *slash = path ? strrchr(path, '/') : NULL;
    webhook_slice secret;
    apr_status_t rv;

    if (!slash || wh_value(c, &rule->store_loc, &secret) != WH_FOUND || !charset_holds(1, secret)) return 0;
    /* An existing file is never replaced: the first delivery wins, anyone could send a second. */
    rv = wh_durable_create(slash == path ? "/" : apr_pstrmemdup(c->p, path, (apr_size_t)(slash - path)), slash + 1, secret, 0600, 0, c->p);
    if (rv != APR_SUCCESS) {
        wh_log(WH_LOG_ERROR, rv, "WH0800: the secret a handshake delivered could not be kept in %s", path);
        return 0;
    }
    wh_log(WH_LOG_NOTICE, 0, "WH0801: a handshake delivered a secret, kept in %s; it counts once WebhookSecret names it", path);
    return 1;
}

/*
 * The sender wants a URL visited, and has signed that. @return 1 when the visit is durably asked for. Else the operator is told; the URL
 * is a credential, so what is told is where to find it.
 */
static int confirm(wh_vctx *c, const wh_handshake_rule *rule, webhook_reply *reply)
{
    webhook_slice value;
    const char *url, *about = c->v->demands->nelts ? wh_value_text(c, &APR_ARRAY_IDX(c->v->demands, 0, wh_demand).loc) : NULL;
    apr_status_t rv;

    if (wh_value(c, &rule->confirm_loc, &value) != WH_FOUND || memchr(value.data, '\0', value.len)) return 0;
    url = apr_pstrmemdup(c->p, value.data, value.len);
    if (!wh_key_url_allowed(url, c->v->keyid_hosts, c->v->confirm_path)) {
        reply->note = apr_psprintf(c->p, "a confirmation is asked for at an address this scheme does not visit (%s)", rule->confirm_loc.text);
        return 0;
    }
    if (!c->v->confirm) {
        reply->note = apr_psprintf(c->p, "a confirmation is asked for at %s (whole in the body's %s: it is a credential); to visit it is yours, or "
                                   "confirm=on's", wh_key_url_masked(url, c->p), rule->confirm_loc.text);
        return 0;
    }
    if ((rv = wh_key_confirm(url, about, c->req->now, c->p)) != APR_SUCCESS) {
        reply->note = apr_psprintf(c->p, "the confirmation at %s cannot be asked for%s; to visit it is yours (%s)", wh_key_url_masked(url, c->p),
                                   rv == APR_ENOSPC ? ", too many wait" : "", rule->confirm_loc.text);
        return 0;
    }
    reply->note = apr_psprintf(c->p, "a confirmation is asked for at %s and will be visited", wh_key_url_masked(url, c->p));
    return 1;
}

int wh_handshake_expected(wh_vctx *c)
{
    int i;

    for (i = 0; i < c->v->handshakes->nelts; i++) {
        const wh_handshake_rule *rule = &APR_ARRAY_IDX(c->v->handshakes, i, wh_handshake_rule);
        if (!rule->passes && (!rule->confirms || c->v->confirm) && rule_matches(c, rule, 0)) return 1;
    }
    return 0;
}

int wh_handshake(const webhook_verifier *v, const webhook_secrets *secrets, const webhook_request *req, const webhook_verdict *verdict,
                 webhook_reply *reply, apr_pool_t *p)
{
    webhook_verdict scratch;
    wh_vctx *c;
    int i, k;

    if (v->handshakes->nelts == 0) return 0;
    c = wh_vctx_make(v, req, &scratch, p);
    c->secrets = secrets;
    for (i = 0; i < v->handshakes->nelts; i++) {
        const wh_handshake_rule *rule = &APR_ARRAY_IDX(v->handshakes, i, wh_handshake_rule);
        const wh_key *key = first_key(secrets);
        apr_table_t *headers = NULL;
        const char *body;
        apr_size_t len;

        if (rule->needs_signature && verdict->status != 200) continue;
        if (!rule_matches(c, rule, 0)) continue;
        if (rule->passes) {
            reply->note = apr_psprintf(p, "%s came; nothing is done about it here", verdict->event ? verdict->event : "a notice of the sender");
            continue;
        }
        if (rule->confirms && !confirm(c, rule, reply)) continue;
        body = render(c, rule->body, key, &len);
        if (!body || (rule->stores && !store_secret(c, rule))) continue;
        for (k = 0; k < rule->headers->nelts; k++) {
            const wh_reply_header *h = &APR_ARRAY_IDX(rule->headers, k, wh_reply_header);
            apr_size_t hlen, j;
            const char *value = render(c, h->value, key, &hlen);
            if (!value) continue;
            for (j = 0; j < hlen && (unsigned char)value[j] >= 0x20 && value[j] != 0x7f; j++) {}
            if (j != hlen || hlen > 1024) continue; /* nothing that could begin a header of its own */
            if (!headers) headers = apr_table_make(p, 2);
            apr_table_addn(headers, h->name, value);
        }
        reply->status = rule->status;
        reply->content_type = len ? (rule->content_type ? rule->content_type : "text/plain") : NULL;
        reply->body.data = body;
        reply->body.len = len;
        reply->headers = headers;
        return 1;
    }
    return 0;
}
