/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheme.h: a configured scheme as the verify room sees it: where things are in a request (locators), what is signed (templates), how
 * the signature is written (syntax), what the keys are, and what else must hold. Private to mod_webhook/verify.
 *
 * Everything reachable from a webhook_verifier is made by configure() in the configuration pool and never changes afterwards; one
 * wh_vctx exists per verification, in the request's pool.
 */
#ifndef WH_VERIFY_SCHEME_H
#define WH_VERIFY_SCHEME_H

#include <apr_strings.h>
#include <openssl/evp.h>
#include "core/encoding.h"
#include "core/form.h"
#include "core/json.h"
#include "core/multipart.h"
#include "core/reasons.h"
#include "webhook_provider.h"

/* ---- algorithms ---- */

typedef enum wh_digest { WH_SHA1, WH_SHA256, WH_SHA384, WH_SHA512, WH_DIGEST_COUNT } wh_digest;

typedef enum wh_alg_kind {
    WH_ALG_DIGEST,    /* HMAC or plain hash, by the primitive */
    WH_ALG_ED25519,
    WH_ALG_ECDSA,     /* P-256, DER signature */
    WH_ALG_ECDSA_RAW, /* P-256, r and s of 32 bytes each */
    WH_ALG_RSA,       /* PKCS#1 v1.5 */
    WH_ALG_RSA_PSS    /* salt as long as the digest, MGF1 with the same digest */
} wh_alg_kind;

typedef struct wh_alg {
    const char *name;
    wh_alg_kind kind;
    wh_digest digest; /* not with Ed25519 */
} wh_alg;

/** By the name of the options, of JWT ("HS256") or of RFC 9421; NULL if unknown. */
const wh_alg *wh_alg_find(const char *name);
apr_size_t wh_digest_size(wh_digest d);
const char *wh_digest_name(wh_digest d);
int wh_digest_find(const char *name); /* -1 if unknown */

/* ---- keys ---- */

/** One key made from a secret (a JWKS gives several). */
/* What a public key is, as far as schemes use it; 0: no public key. */
typedef enum wh_key_type { WH_KEY_TYPE_NONE, WH_KEY_TYPE_RSA, WH_KEY_TYPE_P256, WH_KEY_TYPE_ED25519, WH_KEY_TYPE_OTHER } wh_key_type;

typedef struct wh_key {
    const char *id;             /* key id: the secret's, or the JWK's kid */
    const char *secret_id;      /* what the verdict reports */
    const unsigned char *raw;   /* symmetric key bytes, NULL for public keys */
    apr_size_t raw_len;
    unsigned char token_hash[32];          /* SHA-256 of raw, for tokens */
    /* HMAC (RFC 2104) after the key's block, for the digests the scheme uses: two states to copy are half the work of an EVP_MAC_CTX */
    EVP_MD_CTX *inner[WH_DIGEST_COUNT], *outer[WH_DIGEST_COUNT];
    EVP_PKEY *pkey;
    wh_key_type type;           /* of pkey */
    EVP_PKEY_CTX *vctx[2 * WH_DIGEST_COUNT]; /* verify contexts made ready: [digest] PKCS#1 or ECDSA, [COUNT + digest] PSS */
    EVP_PKEY_CTX **spare; /* a copy of each that nobody uses now, or NULL; taken and given back by atomic exchange */
    int has_private;
    int has_kid;                /* id comes from a JWK */
    apr_time_t from, until;     /* of the secret and of the certificate */
} wh_key;

typedef struct wh_keyset {
    int count;
    wh_key **list;
} wh_keyset;

typedef enum wh_key_encoding {
    WH_KEY_AUTO, WH_KEY_TEXT, WH_KEY_BASE64, WH_KEY_BASE64URL, WH_KEY_HEX, WH_KEY_SHA1, WH_KEY_PEM, WH_KEY_SPKI, WH_KEY_RAW_HEX,
    WH_KEY_RAW_BASE64, WH_KEY_JWKS
} wh_key_encoding;
#define WH_KEY_ENCODINGS "auto|text|base64|base64url|hex|sha1|pem|spki|raw-hex|raw-base64|jwks"

const char *wh_keys_prepare(const webhook_verifier *v, webhook_secret *secret, apr_pool_t *p);

/* ---- locators and templates ---- */

typedef enum wh_loc_kind {
    WH_LOC_HEADER, WH_LOC_FAMILY, WH_LOC_QUERY, WH_LOC_FORM, WH_LOC_MULTIPART, WH_LOC_JSON, WH_LOC_ITEM, WH_LOC_FIELD, WH_LOC_CLAIM,
    WH_LOC_VAR, WH_LOC_BASIC, WH_LOC_BODY, WH_LOC_PAYLOAD, WH_LOC_METHOD, WH_LOC_URL, WH_LOC_URI, WH_LOC_PATH, WH_LOC_HOST,
    WH_LOC_QUERY_STRING, WH_LOC_TS, WH_LOC_ID, WH_LOC_KEYID, WH_LOC_SECRET, WH_LOC_CRC32, WH_LOC_FORM_SORTED, WH_LOC_PLIVO,
    WH_LOC_CONTENTFUL, WH_LOC_SNS, WH_LOC_ATLASSIAN, WH_LOC_KID, WH_LOC_BEARER
} wh_loc_kind;

typedef struct wh_locator {
    wh_loc_kind kind;
    const char *text;          /* as written, for messages */
    const char *name;          /* header, field, variable ... name; family: text before '#' */
    const char *const *path;   /* json, item, claim: member names or indexes, NULL-terminated */
    const char *slot;          /* "@id" behind a signature locator: only the key of this id, where there is one */
    int lower;                 /* lower:PLACE, its letters A to Z in lower case */
} wh_locator;

/** @return NULL or an error text */
const char *wh_locator_compile(wh_locator *out, const char *text, apr_pool_t *p);
/** "a.b.c" or a JSON Pointer as member names; NULL when it is empty or broken. */
const char *const *wh_path_compile(const char *text, apr_pool_t *p);
const wh_json_value *wh_path_walk(const wh_json_value *v, const char *const *path);
/** Compile "a,b,c" (alternatives in order). */
const char *wh_locators_compile(apr_array_header_t **out, const apr_array_header_t *words, apr_pool_t *p);

typedef struct wh_part {
    const char *literal;  /* before the value (all of it when loc is unused) */
    apr_size_t literal_len;
    int has_loc;
    wh_locator loc;
    int optional;         /* {?before|loc|after}: all three or nothing; {loc?}: absent is empty */
    const char *before, *after;
    char stop;            /* first byte of the literal that follows, which the value must not contain; 0: none */
} wh_part;

typedef struct wh_template {
    const char *text;
    int count;
    const wh_part *parts;
    int uses_body, uses_url, uses_id, uses_ts, uses_secret, uses_builder;
} wh_template;

#define WH_TEMPLATE_MAX_PARTS 64

const char *wh_template_compile(wh_template **out, const char *text, apr_pool_t *p);

/** One run of bytes of a resolved template; the key's own parts are filled in per key. */
typedef struct wh_piece {
    enum { WH_PIECE_DATA, WH_PIECE_SECRET, WH_PIECE_KEYID } kind;
    webhook_slice data;
} wh_piece;

typedef struct wh_message {
    int count;
    wh_piece *pieces;
} wh_message;

/* ---- claims and further conditions ---- */

typedef struct wh_claim_rule {
    const char *name;
    const char *const *path;
    int may_be_missing_without_body;      /* "name?=" */
    int present_only;                     /* "name" alone */
    int hashed;                           /* value is enc:alg:template */
    wh_encoding encoding;
    wh_digest digest;
    const apr_array_header_t *alternatives; /* wh_template *, any of them */
} wh_claim_rule;

typedef struct wh_required_header {
    const char *name;
    const char *value;
} wh_required_header;

typedef struct wh_condition {
    wh_locator loc;
    enum { WH_COND_PRESENT, WH_COND_ABSENT, WH_COND_EQUALS, WH_COND_CHARSET, WH_COND_MEMBERS } kind;
    const wh_template *value;
    int charset; /* WH_COND_CHARSET: 0 hex, 1 token */
    apr_size_t members;
} wh_condition;

/** PLACE=TEXT|TEXT: the value there must be one of these. */
typedef struct wh_demand {
    wh_locator loc;
    const apr_array_header_t *values; /* const char * */
} wh_demand;

typedef struct wh_reply_part {
    const char *literal;
    enum { WH_REPLY_LITERAL, WH_REPLY_RAW, WH_REPLY_JSON, WH_REPLY_HMAC } kind;
    wh_locator loc;
    wh_digest digest;
    wh_encoding encoding;
} wh_reply_part;

typedef struct wh_handshake_rule {
    int needs_signature;
    int stores;                      /* the located value is the secret: written to pending-secret */
    wh_locator store_loc;
    const char *method;
    const apr_array_header_t *conditions; /* wh_condition */
    int status;
    const char *content_type;
    const apr_array_header_t *headers;    /* wh_reply_header */
    const apr_array_header_t *body;       /* wh_reply_part */
    int confirms;                    /* the located URL is to be visited: asked of who fetches */
    wh_locator confirm_loc;
    int passes;                      /* nothing is answered: the operator is told, the request goes its way */
} wh_handshake_rule;

typedef struct wh_reply_header {
    const char *name;
    const apr_array_header_t *value; /* wh_reply_part */
} wh_reply_header;

/* ---- the scheme ---- */

typedef enum wh_primitive { WH_NONE, WH_TOKEN, WH_HMAC, WH_HASH, WH_PUBLIC_KEY, WH_JWT, WH_HTTPSIG } wh_primitive;
typedef enum wh_syntax { WH_SYN_PLAIN, WH_SYN_LIST, WH_SYN_PAIRS, WH_SYN_LABELLED, WH_SYN_METHOD, WH_SYN_KEYED } wh_syntax;
typedef enum wh_time_unit { WH_UNIT_S, WH_UNIT_MS, WH_UNIT_RFC3339, WH_UNIT_AUTO } wh_time_unit;

#define WH_LENIENT_UPPER 0x1      /* upper-hex: upper-case hex digits */
#define WH_LENIENT_TRAILING 0x2   /* noncanonical: non-zero trailing bits in base64 */
#define WH_LENIENT_UNPADDED 0x4   /* unpadded: base64 without padding */
#define WH_LENIENT_PADDED 0x8     /* padded: base64url with padding */
#define WH_LENIENT_REPEAT 0x10    /* repeated: the signature header may be sent several times */
#define WH_LENIENT_BARE 0x20      /* bare: a signature without its prefix or label */
#define WH_LENIENT_SPACES 0x40    /* spaces: blanks behind a separator */
#define WH_LENIENT_CASE 0x80      /* scheme-case: prefix compared without case */

typedef struct wh_preset {
    webhook_verifier_provider provider; /* first member: the provider is the row */
    wh_primitive primitive;
    int generic;
    const char *title;
    const char *secret;
    const char *vars; /* names of the sender's own options, '?' behind optional ones */
    const char *const *options;
} wh_preset;

extern const wh_preset wh_preset_rows[];
extern const int wh_preset_count;

struct webhook_verifier {
    const wh_preset *preset;
    wh_primitive primitive;
    webhook_scheme_traits traits;
    EVP_MD *md[WH_DIGEST_COUNT];

    apr_array_header_t *signatures; /* wh_locator, all that are present count */
    wh_syntax syntax;
    char separator;
    const char *prefix;
    const char *field; /* pairs: wanted name; labelled: wanted label */
    wh_encoding encoding;
    int lenient;
    apr_array_header_t *algorithms;      /* wh_named_alg */
    int has_alg_by;
    wh_locator alg_by;                   /* where the request names one of the algorithms */

    wh_template *message;
    wh_key_encoding key_encoding;
    const char *key_prefix, *private_prefix;
    int key_bare_text;                   /* a secret without key_prefix is text */
    int has_keyid;
    wh_locator keyid;
    const char *const *keyid_hosts;      /* the key id must be an https URL of one of these hosts and end in .pem */
    const char *jwks;                    /* https URL of a JWK Set whose keys count beside the secrets; NULL */
    int fetch;                           /* certificates the key id names: 0 not fetched, 1 fetched, 2 fetched where there is no secret */
    const char *const *certificate_names; /* what a fetched certificate may be called */
    int confirm;                         /* URLs of handshakes with confirm: are visited */
    const char *confirm_path;            /* how their path and query begin */
    struct wh_key_ring *ring;            /* keys fetched; NULL: this scheme fetches none */
    apr_array_header_t *demands;         /* wh_demand: what must hold besides the signature */

    apr_array_header_t *ts_locs, *id_locs, *event_locs; /* wh_locator, first present */
    wh_time_unit unit;
    apr_interval_time_t tolerance, future; /* < 0: unlimited */
    int id_signed, ts_signed;            /* whether the signature covers the id wherever it is, the timestamp */
    int extensible;                      /* a plain digest with the secret before the body: see engine.c */
    int has_moment;                      /* a copy of a request without a signed id can be told: time and body are signed */

    apr_array_header_t *required;        /* wh_required_header */
    int has_digest;
    wh_locator digest_loc;
    wh_digest digest_alg;
    wh_encoding digest_encoding;
    int has_unpack;
    wh_locator unpack;
    EVP_CIPHER *cipher;                  /* what is unpacked is encrypted with it; NULL: it is not */
    const char *const *items;            /* path of the array of which every element must verify */
    const char *url;                     /* configured external URL, NULL: the request's */
    int url_has_path;
    int url_ports;                       /* try with and without the default port */
    const char *url_decoded;             /* escapes, "%3A%2F", that the sender may have decoded in what it signs; NULL */
    apr_table_t *vars;

    /* jwt */
    apr_array_header_t *claims;          /* wh_claim_rule */
    apr_interval_time_t leeway, max_age; /* max_age 0: none */
    /* httpsig */
    apr_array_header_t *components;      /* const char * */
    const char *label, *tag;
    int need_digest;

    apr_array_header_t *handshakes;      /* wh_handshake_rule */
    int open_handshake;                  /* one of them answers unsigned requests */
    const char *pending_secret;          /* file that takes a secret delivered by a handshake */
};

typedef struct wh_named_alg {
    const char *label; /* how the request calls it */
    const wh_alg *alg;
} wh_named_alg;

/* ---- one verification ---- */

typedef struct wh_candidate {
    const unsigned char *bytes;
    apr_size_t len;
    const wh_alg *alg;  /* NULL: the scheme's only one */
    const char *keyid;  /* NULL: any key */
    int keyid_soft;     /* keyid is a slot: any key when no key has this id */
} wh_candidate;

#define WH_MAX_CANDIDATES 32
#define WH_MAX_FIELDS 16

typedef struct wh_field {
    const char *name;
    webhook_slice value;
} wh_field;

typedef struct wh_vctx {
    const webhook_verifier *v;
    const webhook_request *req;
    webhook_verdict *verdict;
    apr_pool_t *p;
    int headers_only; /* screen(): the body is not there yet */
    int failed;       /* a library had no memory for what was to be computed: whatever is refused then, it is not the sender's fault */

    int n_candidates, n_fields; /* of the arrays at the end */
    webhook_slice ts_text, id_text; /* id_text holds nothing but a signed id's characters */
    int have_ts, have_id;
    const wh_message *matched; /* what the signature that matched covers */
    const char *keyid_text;
    const char *kid;  /* of a token's header */
    apr_time_t keys_made; /* when the key set in use was fetched; 0: none was */
    const char *pending;  /* why a key set is not there yet, when verification goes on with the secrets at hand; NULL */
    apr_interval_time_t pending_for;
    const char *url; /* variant in force */

    const webhook_secrets *secrets; /* for what is encrypted; NULL: nothing is */
    const wh_json *json;
    wh_form query, form;
    apr_array_header_t *parts;
    webhook_slice payload;
    signed char json_state, query_state, form_state, parts_state, payload_state; /* 0 not tried, 1 there, -1 not to be had */
    const wh_json *claims;
    const wh_json_value *item;

    /* not zeroed by wh_vctx_make() */
    wh_candidate candidates[WH_MAX_CANDIDATES];
    wh_field fields[WH_MAX_FIELDS];
} wh_vctx;

/** A context for one look at one request; from p, as are the texts it gives. @param verdict zeroed here, filled by whoever looks */
wh_vctx *wh_vctx_make(const webhook_verifier *v, const webhook_request *req, webhook_verdict *verdict, apr_pool_t *p);

typedef enum wh_found { WH_ABSENT = 0, WH_FOUND = 1, WH_TWICE = -1, WH_BROKEN = -2 } wh_found;

/** Value at a locator. Never refuses by itself. Slices live as long as the request. */
wh_found wh_value(wh_vctx *c, const wh_locator *loc, webhook_slice *out);
/** First present of several. *which tells which one. */
wh_found wh_value_first(wh_vctx *c, const apr_array_header_t *locs, webhook_slice *out, const wh_locator **which);
/** Value as a string without NUL bytes in it; NULL when absent or not printable. */
const char *wh_value_text(wh_vctx *c, const wh_locator *loc);
/** JSON document a `json:` locator reads (unpacked when the scheme says so); NULL if there is none. */
const wh_json *wh_ctx_json(wh_vctx *c);
const wh_form *wh_ctx_query(wh_vctx *c);
const wh_form *wh_ctx_form(wh_vctx *c);
/** The external URL for this request, and its variant with or without the default port (NULL if there is none). */
const char *wh_ctx_url(wh_vctx *c);
const char *wh_url_other_port(const char *url, apr_pool_t *p);
/** The URL with these escapes decoded behind the host; NULL when it holds none of them. @param escapes "%3A%2F", upper-case digits */
const char *wh_url_decoded(const char *url, const char *escapes, apr_pool_t *p);

/** Refuse. Always returns 0 so that `return wh_deny(...)` ends a check. */
int wh_deny(wh_vctx *c, wh_refusal refusal, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* sigheader.c: @return 1, or 0 after wh_deny */
int wh_signatures_collect(wh_vctx *c);
int wh_fields_parse(wh_vctx *c, webhook_slice value, char separator, int spaces);

/* template.c: room for what a template resolves to, and a message that is one run of bytes */
wh_message *wh_message_room(const wh_template *t, apr_pool_t *p);
wh_message *wh_message_of(webhook_slice bytes, apr_pool_t *p);
/* @return 1, or 0 after wh_deny */
int wh_template_resolve(wh_vctx *c, const wh_template *t, wh_message *m);
/** The resolved message as one run of bytes. */
webhook_slice wh_message_join(const wh_message *m, const wh_key *key, apr_pool_t *p);
/** Resolve and join a template that needs no key. @return 0 when something it needs is absent; never denies */
int wh_template_text(wh_vctx *c, const wh_template *t, webhook_slice *out);

/* timestamp.c: @return 1, or 0 after wh_deny. Sets ts_text and verdict->timestamp */
int wh_timestamp_check(wh_vctx *c);
int wh_time_parse(const char *text, apr_size_t len, wh_time_unit unit, apr_time_t *out);
/** Window of the scheme around now. */
int wh_time_within(wh_vctx *c, apr_time_t t);
const char *wh_time_format(wh_time_unit unit, apr_time_t t, apr_pool_t *p);

/* decrypt.c */
/** What is encrypted with one of the endpoint's keys: a JSON object, from c->p. @return 1, or 0 when no key gives one */
int wh_decrypt(wh_vctx *c, webhook_slice text, webhook_slice *out);

/* builders.c: @return WH_FOUND, WH_ABSENT or WH_BROKEN */
wh_found wh_build(wh_vctx *c, wh_loc_kind kind, webhook_slice *out);

/* public_key.c */
/** Whether sig is the public key's signature. `digest` is the message's digest (not used by Ed25519, which wants msg).
 *  @return 1 yes; 0 no; -1: there was no memory to tell, the caller sets wh_vctx.failed */
int wh_public_verify(const wh_key *key, const wh_alg *alg, const unsigned char *digest, webhook_slice msg, const unsigned char *sig,
                     apr_size_t sig_len);

/* engine.c */
void wh_engine_verify(wh_vctx *c, const webhook_secrets *secrets);
int wh_mac_one(const wh_key *key, wh_digest d, const wh_message *m, unsigned char out[EVP_MAX_MD_SIZE]);
/** Constant-time equality of two runs of public length. */
int wh_equal(const void *a, apr_size_t alen, const void *b, apr_size_t blen);
/** Digest of a run of pieces. @return 1; 0: no memory, like wh_mac_one and wh_hash_bytes */
int wh_hash_message(const webhook_verifier *v, wh_digest d, const wh_message *m, const wh_key *key, unsigned char out[EVP_MAX_MD_SIZE]);
int wh_hash_bytes(const webhook_verifier *v, wh_digest d, const void *data, apr_size_t len, unsigned char out[EVP_MAX_MD_SIZE]);
int wh_alg_fits_key(const wh_alg *alg, const wh_key *key);
int wh_key_valid(const wh_key *key, apr_time_t now);
/** Whether a value that is not well formed is two header lines, which httpd has made one. */
int wh_folded(const wh_locator *loc, webhook_slice value);
/** No key of this name: refuse, or have the key set fetched again first. Always 0. */
int wh_key_missing(wh_vctx *c, const char *text);
/** A verdict was made while a key set is on its way: a mismatch may be no mismatch. */
void wh_key_awaited(wh_vctx *c);
/** What demand= asks for. @return 1, or 0 after wh_deny */
int wh_demands_hold(wh_vctx *c);
/** Keys usable now, those of one id when the scheme selects by key id; 0 after wh_deny. */
int wh_keys_usable(wh_vctx *c, const webhook_secrets *secrets, const wh_key ***out, int *count);
/** id, event, digest and required headers: what every primitive has in common. */
int wh_common_before(wh_vctx *c);
int wh_digest_check(wh_vctx *c);
void wh_accept_verdict(wh_vctx *c, const wh_key *key);
/** Event and sender's id of the request, believed or not. */
void wh_name_request(wh_vctx *c);
int wh_id_restrict(wh_vctx *c);

/* jwt.c, httpsig.c, handshake.c, sign.c, keys.c */
void wh_jwt_verify(wh_vctx *c, const webhook_secrets *secrets);
int wh_jwt_screen(wh_vctx *c);
const char *wh_claim_compile(wh_claim_rule *out, const char *text, apr_pool_t *p);
void wh_httpsig_verify(wh_vctx *c, const webhook_secrets *secrets);
int wh_httpsig_screen(wh_vctx *c);
const char *wh_handshake_compile(wh_handshake_rule *out, const char *text, apr_pool_t *p);
int wh_handshake(const webhook_verifier *v, const webhook_secrets *secrets, const webhook_request *req, const webhook_verdict *verdict,
                 webhook_reply *reply, apr_pool_t *p);
/** Whether an unsigned request could be a handshake, from its headers alone. */
int wh_handshake_possible(wh_vctx *c);
/** Whether a handshake would be answered if the request were verified. Answers nothing, stores nothing. */
int wh_handshake_expected(wh_vctx *c);
const char *wh_sign(const webhook_verifier *v, const webhook_secret *secret, const webhook_request *req, const char *sender_id,
                    const char *event, apr_table_t *headers, apr_pool_t *p);
/* httpsig.c, for sign.c */
const char *wh_httpsig_sign(const webhook_verifier *v, const wh_key *key, const webhook_request *req, apr_table_t *headers, apr_pool_t *p);
const char *wh_jwt_sign(wh_vctx *c, const wh_key *key, const char *sender_id, const char **token);
const char *wh_private_sign(const wh_key *key, const wh_alg *alg, const webhook_verifier *v, webhook_slice msg, unsigned char **sig,
                            apr_size_t *len, apr_pool_t *p);
/* scheme_options.c */
/** The option of this index that the row's primitive knows, and what may be written for it. @return 0 behind the last */
int wh_scheme_parameter(const wh_preset *row, int index, const char **name, const char **values);

/* protection.c */
/** Once everything else is configured: traits.protects_body, id_signed, ts_signed, has_moment, extensible. */
void wh_scheme_protection(webhook_verifier *v);

/* scheme.c: the provider functions every row shares */
const char *wh_scheme_configure(webhook_verifier **out, const webhook_verifier_provider *self, const apr_array_header_t *options,
                                apr_pool_t *pconf, apr_pool_t *ptemp);
const webhook_scheme_traits *wh_scheme_traits(const webhook_verifier *v);
/** Behind wh_verifier_rehearse(). @return whether a handshake would be answered */
int wh_scheme_rehearse(const webhook_verifier *v, const webhook_request *req, webhook_verdict *verdict, apr_pool_t *p);
const char *wh_scheme_event_header(const webhook_verifier *v);
void wh_scheme_screen(const webhook_verifier *v, const webhook_request *req, webhook_verdict *verdict, apr_pool_t *p);
void wh_scheme_verify(const webhook_verifier *v, const webhook_secrets *secrets, const webhook_request *req, webhook_verdict *verdict,
                      apr_pool_t *p);

#endif
