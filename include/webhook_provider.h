/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook_provider.h: the public contract of verifiers, handlers and stores.
 *
 * APR only: nothing here needs httpd.h. The built-in providers implement exactly these tables; a third-party module registers
 * its own with ap_register_provider(pool, WEBHOOK_..._GROUP, name, WEBHOOK_PROVIDER_VERSION, &table) in its register_hooks.
 *
 * Words used throughout: an endpoint receives; an accepted request is a delivery; delivery x handler is a job; one try of a job
 * is an attempt. All times are apr_time_t (microseconds since 1970, UTC), all intervals apr_interval_time_t (microseconds).
 */
#ifndef WEBHOOK_PROVIDER_H
#define WEBHOOK_PROVIDER_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEBHOOK_VERIFIER_GROUP "webhook-verifier"
#define WEBHOOK_HANDLER_GROUP "webhook-handler"
#define WEBHOOK_STORE_GROUP "webhook-store"
#define WEBHOOK_PROVIDER_VERSION "1"

/** Bytes that are not NUL-terminated. The memory belongs to whoever the containing structure names. */
typedef struct webhook_slice {
    const char *data;
    apr_size_t len;
} webhook_slice;

/**
 * What went wrong, for a caller that must decide and for a person who must understand. Filled only on failure.
 * Strings live as long as the pool given to the call that filled the result.
 */
typedef struct webhook_result {
    apr_status_t rv;                 /**< APR code, APR_EGENERAL where there is no better one */
    const char *reason;              /**< stable code of core/reasons.h, e.g. "store-full" */
    const char *detail;              /**< one sentence for the log; never a secret, never payload bytes */
    apr_interval_time_t retry_after; /**< when trying again makes sense; 0: no opinion */
} webhook_result;

/* ------------------------------------------------------------------------------------------------ options and secrets --- */

/** One name=value word of a directive, in the order written. Both strings live in the configuration pool. */
typedef struct webhook_option {
    const char *name;
    const char *value;
} webhook_option;

/**
 * One secret (or public key) of an endpoint. Immutable once published; a reload publishes a new array.
 * The bytes are cleansed when their pool goes.
 */
typedef struct webhook_secret {
    const char *id;            /**< key id reported when this secret matches; never NULL ("1", "2", ... when not given) */
    const unsigned char *data; /**< secret bytes as read, before the scheme's key encoding */
    apr_size_t len;            /**< never 0 */
    apr_time_t from;           /**< valid from this time; 0: always */
    apr_time_t until;          /**< valid before this time; 0: for ever */
    void *prepared;            /**< what the verifier's prepare() made of it (decoded key, pre-keyed context) */
} webhook_secret;

typedef struct webhook_secrets {
    int count;
    const webhook_secret *const *list;
} webhook_secrets;

/* ------------------------------------------------------------------------------------------------------- verification --- */

/** What a verifier sees of a request. Everything lives at least as long as the pool passed beside it. */
typedef struct webhook_request {
    const char *method;         /**< "POST" */
    const char *uri;            /**< path and query exactly as received */
    const char *url;            /**< absolute URL as the sender knows it (scheme, host, port, path, query) */
    const char *query;          /**< part of uri behind '?', NULL if none */
    const apr_table_t *headers; /**< request headers; repeated ones as repeated entries, case-insensitive names */
    webhook_slice body;         /**< the received bytes, transfer coding removed, nothing else changed; empty in screen() */
    apr_time_t now;             /**< wall clock of this request */
    void *parsed;               /**< the server's own: where the body's meaning is kept once somebody asked. Leave it alone; may be NULL */
    int report_only;            /**< a refusal will only be reported: say also then what the request calls its event and id */
    int want_moment;            /**< the verdict's moment is wanted: it costs a digest over what is signed */
} webhook_request;

/** What a verifier answers. Strings from the pool passed to the call, or constants. */
typedef struct webhook_verdict {
    int status;              /**< 200 accepted; 400 401 403 503 refused */
    const char *reason;      /**< refused: stable code of core/reasons.h ("signature-mismatch", ...) */
    const char *detail;      /**< refused: sentence for the log, e.g. "X-Hub-Signature-256 is not sha256=<64 hex digits>" */
    const char *key_id;      /**< accepted: id of the secret that matched; NULL where the scheme has none */
    const char *sender_id;   /**< the sender's own id of this event, NULL if none; set when found, also unsigned ones */
    int sender_id_signed;    /**< whether the signature covers sender_id */
    const char *event;       /**< the sender's event name, NULL if none */
    apr_time_t timestamp;    /**< signed (or stated) time, 0 if the scheme has none */
    int timestamp_signed;    /**< whether the signature covers timestamp */
    /** Accepted without a sender_id that is signed, and the signature covers a time and the body: a digest of all that is signed, the same for every
     *  copy of this request whatever else was changed in it. {NULL, 0}: a copy cannot be told from a second event. */
    webhook_slice moment;
    apr_interval_time_t retry_after; /**< with 503 */
} webhook_verdict;

/** The answer to a handshake request, given instead of accepting a delivery. */
typedef struct webhook_reply {
    int status;
    const char *content_type; /**< NULL with an empty body */
    webhook_slice body;
    const apr_table_t *headers; /**< further response headers, may be NULL */
    const char *note;         /**< for the error log, with endpoint and id, whether or not there is an answer; no credentials. May be NULL */
} webhook_reply;

/** What the request side must know of a configured scheme before it reads a body. Constant after configure(). */
typedef struct webhook_scheme_traits {
    const char *const *required_headers; /**< NULL-terminated; refused with 401 before the body when missing. May be NULL */
    const char *const *methods;          /**< NULL-terminated; methods its sender uses. NULL: POST only */
    const char *const *content_types;    /**< NULL-terminated media types its sender uses ("application/json", "*" any; with "=json" and the
                                              like behind it as in WebhookContentTypes). NULL: JSON types */
    apr_off_t body_limit;                /**< its sender's maximum in bytes; 0: the default */
    int success_status;                  /**< status its sender insists on; 0: the default (202) */
    int needs_secret;                    /**< at least one WebhookSecret is required */
    int protects_body;                   /**< 0: the signature does not cover the body */
    apr_interval_time_t window;          /**< how long a signed request stays acceptable; 0: for ever */
    int empty_refusal_body;              /**< its sender wants refusals with an empty body (Xero) */
    int refusal_status;                  /**< answer to what does not verify, instead of the verdict's 400, 401 or 403: 200 to 299, then with
                                              an empty body, or 400 to 499; 0: the verdict's */
    const char *success_body;            /**< what its sender wants acknowledgements to say, text/plain; "": nothing (Xero, Airtable); NULL: the
                                              delivery's id will do */
    const char *const *credentials;      /**< NULL-terminated names of headers and query parameters that hold a signature or token, NAME* for
                                              all that begin so: masked in logs. May be NULL */
    const char *payload_field;           /**< field of a form or multipart body that its sender puts the JSON into; NULL: none */
    int signs_decoded;                   /**< with a Content-Encoding its signature covers the decoded bytes */
} webhook_scheme_traits;

/** A configured scheme: the provider's own structure, allocated from the configuration pool, read-only afterwards. */
typedef struct webhook_verifier webhook_verifier;

typedef struct webhook_verifier_provider webhook_verifier_provider;
struct webhook_verifier_provider {
    const char *name; /**< scheme or preset name as written in WebhookVerify */
    const void *data; /**< the provider's own, e.g. the preset's row */

    /**
     * At configuration, in the parent, also under -t. Parse the options of WebhookVerify.
     * @return NULL or an error text (from ptemp) saying what was given and what is allowed.
     */
    const char *(*configure)(webhook_verifier **out, const webhook_verifier_provider *self, const apr_array_header_t *options,
                             apr_pool_t *pconf, apr_pool_t *ptemp);

    /** Constant facts about a configured scheme. */
    const webhook_scheme_traits *(*traits)(const webhook_verifier *v);

    /**
     * Decode one secret and build what verify() needs per secret (secret->prepared). Called at configuration and at each reload;
     * p lives as long as the secret. Register cleanups on p for foreign memory.
     * @return NULL or an error text without the secret ("is not base64").
     */
    const char *(*prepare)(const webhook_verifier *v, webhook_secret *secret, apr_pool_t *p);

    /**
     * Look at the headers alone, before the body is read: presence and syntax of what the scheme needs, timestamp window.
     * Any thread. Leaves verdict->status 0 when nothing speaks against reading the body. May be NULL.
     */
    void (*screen)(const webhook_verifier *v, const webhook_request *req, webhook_verdict *verdict, apr_pool_t *p);

    /**
     * Decide over the received bytes. Any thread, no locks, constant time over all secrets; fills every field it can.
     * Anything unexpected is a refusal.
     */
    void (*verify)(const webhook_verifier *v, const webhook_secrets *secrets, const webhook_request *req, webhook_verdict *verdict,
                   apr_pool_t *p);

    /**
     * Handshake: does this (already verified, where the scheme signs handshakes) request want a fixed answer?
     * @return 1 and a filled reply, or 0. May be NULL.
     */
    int (*handshake)(const webhook_verifier *v, const webhook_secrets *secrets, const webhook_request *req,
                     const webhook_verdict *verdict, webhook_reply *reply, apr_pool_t *p);

    /**
     * Make the headers a sender of this scheme would send for req (method, url, body, now). Used by webhookctl and for signing
     * out. Adds to `headers`. @return NULL or an error text. NULL pointer: the scheme cannot sign.
     */
    const char *(*sign)(const webhook_verifier *v, const webhook_secret *secret, const webhook_request *req, const char *sender_id,
                        const char *event, apr_table_t *headers, apr_pool_t *p);
};

/* --------------------------------------------------------------------------------------------------------- deliveries --- */

#define WEBHOOK_ID_LEN 36 /**< characters of a delivery id: a UUID version 7 in its usual text form, lower case */

/** One accepted request. Immutable. Strings are never NULL unless said. */
typedef struct webhook_delivery {
    const char *id;           /**< WEBHOOK_ID_LEN characters */
    const char *endpoint;     /**< name of the endpoint */
    const char *scheme;       /**< scheme or preset that verified it */
    int verified;             /**< 0: WebhookVerify none or report-only */
    const char *key_id;       /**< which secret matched; NULL */
    const char *event;        /**< sender's event name; NULL */
    const char *sender_id;    /**< sender's own id; NULL */
    apr_time_t received;
    const char *remote_addr;  /**< client address as httpd sees it (after mod_remoteip) */
    const char *method;
    const char *uri;          /**< path and query as received */
    const char *content_type; /**< NULL if none was sent */
    webhook_slice headers;    /**< received header lines, "Name: value\r\n" each, in order, bytes as received */
    webhook_slice body;       /**< received bytes; data NULL when body_file is used instead */
    apr_off_t body_len;       /**< bytes of the body wherever it is */
    const char *body_file;    /**< absolute path of the file holding the body, NULL when it is in `body` */
    const char *body_sha256;  /**< 64 lower-case hex digits */
} webhook_delivery;

/* -------------------------------------------------------------------------------------------------------------- store --- */

typedef enum webhook_accept_outcome {
    WEBHOOK_ACCEPT_PENDING = 0,
    WEBHOOK_ACCEPT_STORED,    /**< a new delivery, durable */
    WEBHOOK_ACCEPT_DUPLICATE, /**< seen within the window: first_id is the delivery that counts; nothing new */
    WEBHOOK_ACCEPT_REQUEUED,  /**< seen, and its dead jobs were made ready again under the first id */
    WEBHOOK_ACCEPT_FAILED     /**< not durable: see result */
} webhook_accept_outcome;

/** One request's wish to be stored. Owned by the waiting thread, which blocks until `outcome` is decided. */
typedef struct webhook_accept {
    const webhook_delivery *delivery;
    int handler_count;                /**< jobs to make; 0: kept as `kept_as` */
    const char *const *handlers;      /**< handler names */
    const webhook_slice *shapes;      /**< NULL, or one per handler: what the handler's templates gave for this delivery, kept with the
                                           job and given back with each lease; opaque to the store. data NULL: that handler has none.
                                           With REQUEUED they take the place of what the requeued jobs had */
    const char *kept_as;              /**< "unrouted" or "dropped" when handler_count is 0 */
    const char *why;                  /**< what made it so, for people: the rule that dropped it; NULL */
    const unsigned char *dedupe_key;  /**< 32 bytes (SHA-256 of the idempotency key), NULL: no deduplication */
    const unsigned char *dedupe_claim; /**< 32 bytes of a second key, of an id that the sender gives but does not sign; NULL: none. A delivery known
                                           by it is a copy too, and its dedupe_key is remembered with it. One that is known by its dedupe_key
                                           leaves no claim: whoever repeats a request could occupy the id of one that is still to come */
    apr_interval_time_t dedupe_window;
    /* answers */
    webhook_accept_outcome outcome;
    char first_id[WEBHOOK_ID_LEN + 1]; /**< id to answer with: the new one or the first delivery's */
    webhook_result result;             /**< with FAILED; strings live as long as the store's configuration */
    int staged;                        /**< the store's own mark: zero it, then leave it alone */
} webhook_accept;

/** What the dispatcher could start now for one handler. */
typedef struct webhook_lease_want {
    const char *handler;
    int max;                        /**< free slots, > 0 */
    apr_interval_time_t lease_time; /**< longer than any attempt of this handler may run */
    apr_interval_time_t wait_max;   /**< no job of this handler waits longer: a due time further ahead was written before the clock was set
                                         back, and becomes now + wait_max; 0: not looked at */
} webhook_lease_want;

/** A job on lease. Lives in the pool given to lease(). */
typedef struct webhook_lease {
    apr_int64_t job;
    apr_int64_t token;   /**< fencing token, unique for every lease ever given by this store */
    int attempt;         /**< 1 for the first; counted when leased */
    apr_time_t created;  /**< when the job was made or last replayed: start of the retry period */
    const char *handler;
    const webhook_delivery *delivery;
    webhook_slice shape; /**< as accepted (webhook_accept.shapes), also after a replay; data NULL: none was given, or replay() made the job */
} webhook_lease;

typedef enum webhook_outcome {
    WEBHOOK_OUTCOME_DONE = 1,
    WEBHOOK_OUTCOME_RETRY,   /**< try again at settlement.due */
    WEBHOOK_OUTCOME_DEAD,    /**< dead letter */
    WEBHOOK_OUTCOME_RELEASED /**< interrupted by a stop: ready at once, the attempt number stays used */
} webhook_outcome;

/** How one attempt ended. */
typedef struct webhook_settlement {
    apr_int64_t job;
    apr_int64_t token;
    int attempt;
    webhook_outcome outcome;
    int unstarted;       /**< with RELEASED: leased but never started, the attempt number is given back, no attempt is recorded */
    apr_time_t due;      /**< with RETRY */
    apr_time_t started;
    apr_time_t ended;
    int code;            /**< exit status, minus the signal number, or HTTP status; 0 if none */
    const char *reason;  /**< NULL when done; stable code otherwise */
    const char *detail;  /**< NULL or one sentence */
    webhook_slice output; /**< captured output or response, capped by the handler; may be empty */
    int applied;         /**< answer: 1 if the token still held the lease, 0 if it was fenced off */
} webhook_settlement;

/** Filter and page of list(). Unset members are NULL or 0. */
typedef struct webhook_query {
    const char *id;       /**< exact delivery id */
    const char *endpoint;
    const char *event;
    const char *handler;  /**< with a job of this handler */
    const char *state;    /**< queued, leased, retry, done, dead, unrouted, dropped */
    apr_time_t since;     /**< received at or after */
    apr_time_t before;    /**< received before */
    const char *after_id; /**< older than this delivery (newest first paging) or newer with `ascending` */
    int ascending;
    int limit;            /**< rows, 1 to 1000 */
    int with_body;        /**< load headers and body too */
    int with_jobs;        /**< load jobs (and, with_attempts, their attempts) */
    int with_attempts;
    int with_shapes;      /**< with_jobs: load what was frozen for them too */
} webhook_query;

typedef struct webhook_attempt_row {
    int attempt;
    apr_time_t started, ended;
    const char *outcome; /**< done, retry, dead, released, lost (owner died or lease expired) */
    int code;
    const char *reason, *detail; /**< may be NULL */
    webhook_slice output;
} webhook_attempt_row;

typedef struct webhook_job_row {
    apr_int64_t job;
    const char *handler;
    const char *state; /**< queued (never tried), leased, retry, done, dead */
    int attempts;
    apr_time_t due;
    const char *reason; /**< of the last failure; NULL */
    const apr_array_header_t *attempt_rows; /**< webhook_attempt_row, oldest first; NULL unless asked for */
    webhook_slice shape; /**< data NULL: none, or not asked for */
} webhook_job_row;

typedef struct webhook_row {
    webhook_delivery delivery;
    const char *state;  /**< unrouted, dropped, or over its jobs: dead if any is dead, else leased, retry, queued, else done */
    const char *why;    /**< why no handler got it when it was accepted (webhook_accept.why); NULL */
    int duplicates;     /**< copies answered with this id */
    const apr_array_header_t *jobs; /**< webhook_job_row; NULL unless asked for */
} webhook_row;

typedef struct webhook_store_stats {
    apr_int64_t deliveries;
    apr_int64_t queued, leased, retry, done, dead; /**< jobs */
    apr_int64_t unrouted, dropped;                 /**< deliveries */
    apr_int64_t bytes;                             /**< database, write-ahead log and body files */
    apr_int64_t wal_bytes;
    apr_int64_t free_bytes;                        /**< on the file system */
    apr_time_t oldest_ready;                       /**< due time of the oldest job that waits; 0 if none */
} webhook_store_stats;

/** A store's parsed WebhookStore line: the provider's own structure, configuration pool, read-only. */
typedef struct webhook_store_conf webhook_store_conf;

/** An open store: one per process (opened after fork), used by one thread at a time (the caller serialises). */
typedef struct webhook_store webhook_store;

/** What one or more write() left to be made durable: the store's own business, kept by the caller. */
typedef struct webhook_sync {
    apr_uint64_t number;
    int fd;
} webhook_sync;

/**
 * All calls return APR_SUCCESS only when the change is durable, and fill `res` otherwise. A failed store heals by itself: each
 * call tries again to open what is missing. No call waits longer than the store's lock timeout.
 */
typedef struct webhook_store_provider {
    const char *name; /**< word before the colon in WebhookStore */

    /** At configuration. @param target text behind the colon. @return NULL or an error text. */
    const char *(*configure)(webhook_store_conf **out, const char *target, const apr_array_header_t *options, apr_pool_t *pconf,
                             apr_pool_t *ptemp);

    /** In the parent at a real start, possibly as root: create directories and files owned by uid/gid (-1: as they are) and bring
     *  the schema up to date. Runs before any child exists. */
    apr_status_t (*init)(const webhook_store_conf *conf, int uid, int gid, apr_pool_t *ptemp, webhook_result *res);

    /** After fork, as the server's user. Never fails for reasons that may heal: those surface in the calls. Closed by p's cleanup. */
    apr_status_t (*open)(webhook_store **out, const webhook_store_conf *conf, apr_pool_t *p, webhook_result *res);

    /** One transaction for all items; sets each item's outcome and, unless FAILED, first_id. Answers non-success only when nothing
     *  was stored (then every item is FAILED). Duplicates inside one batch count too. */
    apr_status_t (*accept)(webhook_store *s, webhook_accept *const *items, int count, apr_time_t now, webhook_result *res);

    /** Become a lease owner for the life of this process (its death is seen by the others). Once per process, before lease(). */
    apr_status_t (*own)(webhook_store *s, webhook_result *res);

    /**
     * Settle finished attempts, then lease due jobs, in one transaction. `settled` or `wants` may be empty (count 0).
     * Appends webhook_lease pointers to `leases`, fairly over the wanted handlers, oldest due first. Leases alone, without a
     * settlement in the same turn, need not survive a power cut (only the death of any process): the attempt is then repeated. What is leased
     * is durable as a delivery.
     * @param next_due answer: earliest future due time over the wanted handlers, 0 if none
     */
    apr_status_t (*turn)(webhook_store *s, webhook_settlement *const *settled, int settled_count, const webhook_lease_want *wants,
                         int want_count, apr_time_t now, apr_array_header_t *leases, apr_time_t *next_due, apr_pool_t *p,
                         webhook_result *res);

    /** Make jobs ready again whose lease expired or whose owner is dead; records a `lost` attempt. @param count answer */
    apr_status_t (*reclaim)(webhook_store *s, apr_time_t now, int *count, webhook_result *res);

    /** One bounded step of retention, checkpointing, orphan sweeping. @param more answer: call again soon */
    apr_status_t (*maintain)(webhook_store *s, apr_time_t now, int *more, apr_pool_t *scratch, webhook_result *res);

    /** Newest first (or as the query says). Appends webhook_row pointers. */
    apr_status_t (*list)(webhook_store *s, const webhook_query *q, apr_array_header_t *rows, apr_pool_t *p, webhook_result *res);

    /** New attempt of the delivery's jobs: finished ones of `handler` (NULL: of all handlers); for a handler without a job one is
     *  made, without a shape. Jobs that there are keep theirs. @param count answer: jobs made ready. APR_NOTFOUND if there is no such delivery. */
    apr_status_t (*replay)(webhook_store *s, const char *id, const char *handler, apr_time_t now, int *count, webhook_result *res);

    apr_status_t (*stats)(webhook_store *s, webhook_store_stats *stats, apr_pool_t *scratch, webhook_result *res);

    /** Handlers that have unfinished jobs: appends const char * names (for "no longer configured" warnings). */
    apr_status_t (*waiting_handlers)(webhook_store *s, apr_array_header_t *names, apr_pool_t *p, webhook_result *res);

    /** Facts for the configuration dump: name=value lines ("path=/var/lib/webhook/queue.db"), never secret. */
    const char *(*describe)(const webhook_store_conf *conf, apr_pool_t *p);

    /** Do what accept() needs for one item and what need not wait for the others (writing a big body to its file). Any thread, before
     *  the item is queued; accept() finishes or undoes it, and does it itself where it was not done. On failure the item is FAILED.
     *  May be NULL. */
    apr_status_t (*stage)(const webhook_store_conf *conf, webhook_accept *item, apr_pool_t *scratch);

    /** Wait for the exclusive access that accept() needs, so that the caller can collect more items meanwhile. On success any number
     *  of accept() may follow, whatever they answer, and leave() must, within milliseconds: every other process waits. May be NULL. */
    apr_status_t (*enter)(webhook_store *s, webhook_result *res);

    /** Give back what enter() took. NULL where that is. */
    void (*leave)(webhook_store *s);

    /** accept() in two steps, so that a caller can prepare its next batch, and other processes write theirs, during the sync. write() does all
     *  that accept() does, any number of times between enter() and leave(), but what it answers may only be told when sync_begin() says APR_SUCCESS or, after APR_INCOMPLETE, sync_end()
     *  does. When these fail every item has failed, though it may still be found later. accept() does not go with them: it waits for a
     *  sync itself. All four or none are NULL. @param sync { 0, -1 } before the first */
    apr_status_t (*write)(webhook_store *s, webhook_accept *const *items, int count, apr_time_t now, webhook_sync *sync, webhook_result *res);

    /** Wait, no longer than the lock timeout and without the exclusive access of enter(), until what was written is durable (APR_SUCCESS) or it
     *  is the caller's turn to make it so (APR_INCOMPLETE: sync_end() must follow at once, everybody waits for it). */
    apr_status_t (*sync_begin)(webhook_store *s, webhook_sync *sync, webhook_result *res);

    /** Before enter() and write(): where syncs are so slow that what comes meanwhile had better become one batch, wait for the turn to sync at
     *  once. APR_INCOMPLETE: it is ours, and sync_end() must follow, whatever comes of writing; else go on as if it had not been called. */
    apr_status_t (*sync_turn)(webhook_store *s, webhook_sync *sync);

    /** Any thread, also while another uses the handle. */
    apr_status_t (*sync_end)(const webhook_store_conf *conf, webhook_sync *sync, webhook_result *res);

    /** Whether accepting has left work behind that takes long and need not wait for the dispatcher: work() is to be called soon. Cheap. */
    int (*work_due)(webhook_store *s);

    /** Do it, beside whatever else goes on, on a handle of its own that the caller opens and closes, in a thread of its own. Both may be NULL. */
    void (*work)(webhook_store *own);

    /** The descriptor by whose locks the others see that this owner lives; -1: none. A child process that keeps a copy of it open keeps the
     *  owner alive: what runs a command does, so that the jobs of a killed dispatcher are not given away while its commands still run.
     *  May change from call to call. May be NULL. */
    int (*life_fd)(const webhook_store *s);
} webhook_store_provider;

/* ------------------------------------------------------------------------------------------------------------ handlers --- */

/** A handler's parsed WebhookSend line: the provider's own structure, configuration pool, read-only. */
typedef struct webhook_handler_conf webhook_handler_conf;

/** A handler inside the dispatcher: the provider's own structure, lives from open() to close(). */
typedef struct webhook_handler webhook_handler;

/** What one attempt works on; the dispatcher owns it until the handler calls services->finish(). */
typedef struct webhook_attempt {
    const webhook_lease *lease;     /**< delivery, attempt number */
    const char *handler_name;
    apr_interval_time_t timeout;    /**< from WebhookSend; the handler enforces it */
    apr_size_t capture;             /**< bytes of output or response to keep */
    apr_pool_t *pool;               /**< dies after finish() */
    void *handler_data;             /**< the handler's own */
} webhook_attempt;

/** How the handler says an attempt ended. Strings from attempt->pool or constants. */
typedef struct webhook_attempt_result {
    webhook_outcome outcome;          /**< DONE, RETRY, DEAD or RELEASED */
    int code;
    const char *reason;
    const char *detail;
    webhook_slice output;
    apr_interval_time_t retry_after;  /**< with RETRY: what the other side asked for; 0: the retry policy alone */
} webhook_attempt_result;

#define WEBHOOK_WATCH_READ 1
#define WEBHOOK_WATCH_WRITE 2

/**
 * What the dispatcher's loop offers a handler. Single-threaded: every callback runs in the loop; none may block for longer than a
 * local disk write. `loop` is the first argument of every call.
 */
typedef struct webhook_loop webhook_loop;
typedef void webhook_watch_cb(int fd, int revents, void *baton);
typedef void webhook_timer_cb(void *baton);
typedef struct webhook_services {
    /** Watch a descriptor; replaces an earlier watch of the same fd. events 0 removes it (before closing the fd). */
    void (*watch)(webhook_loop *loop, int fd, int events, webhook_watch_cb *cb, void *baton);
    /** One-shot timer on the monotonic clock; returns a handle for cancel, > 0. */
    int (*timer)(webhook_loop *loop, apr_interval_time_t after, webhook_timer_cb *cb, void *baton);
    void (*cancel)(webhook_loop *loop, int timer);
    /** The attempt ended; attempt->pool is gone when this returns. Settled in the loop's next turn. */
    void (*finish)(webhook_loop *loop, webhook_attempt *attempt, const webhook_attempt_result *result);
    /** Log to the server's error log. level as in core/log.h. The text begins with a tag of the handler's own. */
    void (*log)(webhook_loop *loop, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
    /** The loop's curl multi handle (CURLM *), shared by all handlers that speak HTTP; completions go to the easy handle's
     *  CURLOPT_PRIVATE, which must point to a webhook_curl_done. */
    void *(*curl_multi)(webhook_loop *loop);
} webhook_services;

/** First member of what CURLOPT_PRIVATE points to. `result` is a CURLcode. The callee removes the easy handle. */
typedef struct webhook_curl_done {
    void (*done)(struct webhook_curl_done *self, int result);
} webhook_curl_done;

/** Where a value of a delivery goes to: says which encoders it must have passed. */
typedef enum webhook_place {
    WEBHOOK_PLACE_URL = 1,  /**< path or query of a URL, behind a fixed authority */
    WEBHOOK_PLACE_HEADER,   /**< value of a header */
    WEBHOOK_PLACE_JSON,     /**< a whole value inside JSON text */
    WEBHOOK_PLACE_FORM,     /**< name or value inside application/x-www-form-urlencoded text */
    WEBHOOK_PLACE_TEXT,     /**< plain text */
    WEBHOOK_PLACE_NAME,     /**< part of a file name */
    WEBHOOK_PLACE_ARGUMENT  /**< part of one argument of a program */
} webhook_place;

/** A slot of a configured text: "%{webhook_json:/id}", an expression whose value is frozen when a delivery is accepted. */
typedef struct webhook_slot {
    const char *text;
    webhook_place place;
} webhook_slot;

typedef struct webhook_handler_provider {
    const char *name; /**< word behind WebhookSend, and before the colon of an inline handler */

    /** At configuration. @param target what follows the type: command line, file name, URL. @param options those that are not
     *  common to all handlers (concurrency, timeout and capture are the dispatcher's). @return NULL or an error text. */
    const char *(*configure)(webhook_handler_conf **out, const char *target, const apr_array_header_t *options, apr_pool_t *pconf,
                             apr_pool_t *ptemp);

    /** In the dispatcher, after privileges are dropped. p lives as long as the handler. */
    apr_status_t (*open)(webhook_handler **out, const webhook_handler_conf *conf, const char *name, webhook_loop *loop,
                         const webhook_services *services, apr_pool_t *p, webhook_result *res);

    /** Start an attempt; ends with services->finish(), at once or later. At most `concurrency` are open at a time. */
    void (*start)(webhook_handler *h, webhook_attempt *attempt);

    /** All attempts leased in this turn were started: write what was batched. May be NULL. */
    void (*flush)(webhook_handler *h);

    /** Stop now: finish every open attempt with RELEASED (or its result if it just ended). Commands get TERM now and KILL at
     *  `kill_at` (monotonic loop timer is the handler's own business). */
    void (*stop)(webhook_handler *h, apr_interval_time_t kill_after);

    /** No attempts are open; free what is left. */
    void (*close)(webhook_handler *h);

    /** How many attempts to keep open when the configuration does not say; 0: the dispatcher's default (4). For handlers that work
     *  in batches this is the batch. */
    int default_concurrency;

    /** Facts for the configuration dump, never secret. */
    const char *(*describe)(const webhook_handler_conf *conf, apr_pool_t *p);

    /** The slots of this configuration's texts (webhook_slot). They are checked and compiled at configuration, evaluated when a delivery is
     *  accepted for this handler, and come back with each of its leases as lease->shape: a JSON object of string values by slot
     *  text; an array in place of a string says in words why there is no value (core/shape.h). NULL, as an answer too: has none. */
    const apr_array_header_t *(*slots)(const webhook_handler_conf *conf);
} webhook_handler_provider;

#ifdef __cplusplus
}
#endif

#endif
