/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reasons.h: the stable codes a refusal or failure carries, in the answer, the log line, the counters and the delivery log.
 * Codes are never renamed or reused; new ones are added at the end of their group. The manual lists the same table (a guard holds
 * them together).
 */
#ifndef WH_CORE_REASONS_H
#define WH_CORE_REASONS_H

/*  enumerator, code, HTTP status, title for the RFC 9457 body */
#define WH_REFUSALS(X)                                                                                          \
    X(METHOD, "method-not-allowed", 405, "This endpoint does not take this method")                             \
    X(CONTENT_TYPE, "content-type", 415, "This endpoint does not take this media type")                         \
    X(CONTENT_ENCODING, "content-encoding", 415, "This endpoint does not take this content coding")             \
    X(BODY_TOO_LARGE, "body-too-large", 413, "The body is larger than this endpoint takes")                     \
    X(BODY_TIMEOUT, "body-timeout", 408, "The body did not arrive in time")                                     \
    X(BODY_INCOMPLETE, "body-incomplete", 400, "The body ended early or its framing is broken")                 \
    X(SIGNATURE_MISSING, "signature-missing", 401, "The signature or token is missing")                         \
    X(SIGNATURE_MALFORMED, "signature-malformed", 401, "The signature or token is not well formed")             \
    X(SIGNATURE_MISMATCH, "signature-mismatch", 401, "The signature or token does not match")                   \
    X(TIMESTAMP_MISSING, "timestamp-missing", 401, "The timestamp is missing")                                  \
    X(TIMESTAMP_MALFORMED, "timestamp-malformed", 401, "The timestamp is not well formed")                      \
    X(TIMESTAMP_OUTSIDE, "timestamp-outside-window", 401, "The timestamp is outside the accepted window")       \
    X(ID_MISSING, "id-missing", 401, "The delivery id that is part of the signature is missing")                \
    X(ID_MALFORMED, "id-malformed", 400, "The delivery id is not well formed")                                  \
    X(HEADER_DUPLICATE, "header-duplicate", 400, "A header that must be unique was sent more than once")        \
    X(KEY_UNKNOWN, "key-unknown", 401, "The request names a key this endpoint does not have")                   \
    X(CLAIM_MISMATCH, "claim-mismatch", 401, "A signed claim does not have the value this endpoint requires")   \
    X(DIGEST_MISMATCH, "digest-mismatch", 401, "The body does not match its signed digest")                     \
    X(NOT_VERIFIED, "not-verified", 403, "This request was not verified for this endpoint")                     \
    X(FORBIDDEN, "forbidden", 403, "This request is not allowed here")                                          \
    X(NO_ENDPOINT, "no-endpoint", 404, "There is no webhook endpoint here")                                     \
    X(JSON_INVALID, "json-invalid", 400, "The body is not the JSON this endpoint expects")                      \
    X(JSON_UTF8, "json-utf8", 400, "The JSON is not UTF-8")                                                     \
    X(JSON_BOM, "json-bom", 400, "The JSON begins with a byte order mark")                                      \
    X(JSON_NUL, "json-nul", 400, "The JSON holds a NUL character")                                              \
    X(JSON_SURROGATE, "json-surrogate", 400, "The JSON holds half a surrogate pair")                            \
    X(JSON_DUPLICATE_NAME, "json-duplicate-name", 400, "A JSON object has two members of one name")             \
    X(JSON_DEPTH, "json-depth", 400, "The JSON is nested too deeply")                                           \
    X(JSON_VALUES, "json-values", 413, "The JSON holds too many values")                                        \
    X(JSON_MEMBERS, "json-members", 413, "A JSON object has too many members")                                  \
    X(JSON_NAME_LENGTH, "json-name-length", 413, "The name of a JSON member is too long")                       \
    X(JSON_SIZE, "json-size", 413, "The JSON is too large")                                                     \
    X(FORM_INVALID, "form-invalid", 400, "The form is not well formed")                                         \
    X(FORM_DUPLICATE, "form-duplicate", 400, "A field occurs more than once")                                   \
    X(MULTIPART_INVALID, "multipart-invalid", 400, "The multipart body is not well formed")                     \
    X(CLOUDEVENT_INVALID, "cloudevent-invalid", 400, "The request is not a valid CloudEvent")                   \
    X(CODING_INVALID, "coding-invalid", 400, "The body is not well formed in its content coding")               \
    X(DECODED_TOO_LARGE, "decoded-too-large", 413, "The decoded body is larger than this endpoint takes")       \
    X(DECODED_RATIO, "decoded-ratio", 413, "The body expands more than this endpoint takes")                    \
    X(SCHEMA_INVALID, "schema-invalid", 422, "The payload does not match the schema of this endpoint")          \
    X(SCHEMA_BUDGET, "schema-budget", 422, "Checking the payload against the schema takes too much work")       \
    X(SCHEMA_DEPTH, "schema-depth", 422, "Checking the payload against the schema nests too deeply")            \
    X(REGEX_LIMIT, "regex-limit", 422, "Matching the payload against a regular expression takes too much work") \
    X(NUMBER_LIMIT, "number-limit", 422, "A number of the payload has more digits than can be compared")        \
    X(REPLAYED, "replayed", 409, "This delivery was already received")                                          \
    X(TLS_REQUIRED, "tls-required", 403, "This endpoint takes requests over TLS only")                          \
    X(SECRET_UNAVAILABLE, "secret-unavailable", 503, "The endpoint's secret cannot be used at the moment")      \
    X(KEY_PENDING, "key-pending", 503, "The endpoint's key is being fetched")                                   \
    X(STORE_BUSY, "store-busy", 503, "The store is busy")                                                       \
    X(STORE_FULL, "store-full", 503, "The store is full")                                                       \
    X(STORE_FAILED, "store-failed", 503, "The store cannot keep deliveries at the moment")                      \
    X(EXPRESSION_FAILED, "expression-failed", 503, "A rule of this endpoint could not be evaluated")            \
    X(INTERNAL, "internal", 503, "The server cannot handle this request at the moment")

typedef enum wh_refusal {
#define WH_X(e, code, status, title) WH_REFUSAL_##e,
    WH_REFUSALS(WH_X)
#undef WH_X
    WH_REFUSAL_COUNT
} wh_refusal;

typedef struct wh_refusal_info {
    const char *code;
    int status;
    const char *title;
} wh_refusal_info;

/** The table, indexed by wh_refusal. Constant. */
extern const wh_refusal_info wh_refusal_table[WH_REFUSAL_COUNT];

/** Index of a code, or -1 (a third-party provider's own code is counted as `internal`). */
int wh_refusal_find(const char *code);

/** The refusal for a reason of wh_json_parse(): "syntax" is json-invalid, "memory" internal, all others json- and the reason. */
wh_refusal wh_refusal_of_json(const char *reason);

/* Failure codes of attempts (jobs), same discipline; no HTTP status. */
#define WH_FAILURES(X)                                                                 \
    X(EXIT, "exit-status", "the program ended with a status that is not success")      \
    X(SIGNAL, "signal", "the program was ended by a signal")                           \
    X(TIMEOUT, "timeout", "the attempt took longer than its timeout")                  \
    X(NOT_STARTED, "not-started", "the program could not be started")                  \
    X(PROTOCOL, "protocol", "the persistent program did not answer as agreed")         \
    X(PROGRAM, "program", "the persistent program said so")                            \
    X(HTTP_STATUS, "http-status", "the upstream answered with this status")            \
    X(CONNECT, "connect", "no connection to the upstream")                             \
    X(TLS, "tls", "the upstream's TLS identity could not be verified")                 \
    X(TRANSPORT, "transport", "the exchange with the upstream broke")                  \
    X(FILE, "file-write", "the file could not be written durably")                     \
    X(HEADER_VALUE, "header-value", "a value cannot be sent as a header")              \
    X(STOPPED, "stopped", "the server was stopped during the attempt")                 \
    X(LOST, "lost", "the dispatcher or its lease ended during the attempt")            \
    X(EXPIRED, "expired", "the retry period is over")                                  \
    X(BODY_LOST, "body-lost", "the delivery's body file cannot be read")               \
    X(TEMPLATE_VALUE, "bad-template-value", "a template gave a value that cannot stand in its place") \
    X(TEMPLATE_MISSING, "no-template-value", "the job was made without a value for a template")

#define WH_X(e, code, text) extern const char wh_failure_##e[];
WH_FAILURES(WH_X)
#undef WH_X

#endif
