/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_cache.c: see key_cache.h. Each scheme has a ring of key sets it uses, one per URL. A file is looked at no more than once a second; a
 * changed one becomes a new entry, and the last request that uses the old one frees it. Files are read outside of the lock: two threads may
 * then read the same, and the later one's entry is kept.
 */
#include "verify/key_cache.h"

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>

#include "core/log.h"
#include "core/units.h"
#include "verify/scheme.h"

#define LOOK_EVERY apr_time_from_sec(1)
#define AGAIN_AFTER apr_time_from_sec(60) /* an unknown key id makes a key set be fetched again this often at most */
#define COME_AGAIN apr_time_from_sec(5)   /* what a sender is told while a key is on its way */
#define RING_MAX 64
#define CERTIFICATE_MAX (16 * 1024)

static const char *cache_dir;
static void (*cache_wake)(void);

typedef struct ring_entry {
    struct ring_entry *next;
    wh_key_ring *ring;
    apr_pool_t *pool; /* its own, with its own allocator: requests of any thread free it */
    int refs;         /* under the mutex: requests, and one while it is in the ring */
    apr_time_t next_look; /* monotonic; under the mutex */
    wh_key_entry file;
    webhook_secret secret;
    const char *err;  /* the scheme cannot use it */
} ring_entry;

struct wh_key_ring {
    pthread_mutex_t mutex; /* made in the parent, which never takes it; each process has its own copy */
    ring_entry *first;
    int count;
};

void wh_key_cache_use(const char *dir, void (*wake)(void))
{
    cache_dir = dir;
    cache_wake = wake;
}

const char *wh_key_cache_dir(void)
{
    return cache_dir;
}

/* ---- memory ---- */

static apr_status_t ring_cleanup(void *data)
{
    wh_key_ring *ring = data;

    while (ring->first) {
        ring_entry *e = ring->first;
        ring->first = e->next;
        apr_pool_destroy(e->pool);
    }
    pthread_mutex_destroy(&ring->mutex);
    return APR_SUCCESS;
}

wh_key_ring *wh_key_ring_make(apr_pool_t *pconf)
{
    wh_key_ring *ring = apr_pcalloc(pconf, sizeof(*ring));

    pthread_mutex_init(&ring->mutex, NULL);
    apr_pool_cleanup_register(pconf, ring, ring_cleanup, apr_pool_cleanup_null);
    return ring;
}

static apr_status_t release(void *data)
{
    ring_entry *e = data;
    int last;

    pthread_mutex_lock(&e->ring->mutex);
    last = --e->refs == 0;
    pthread_mutex_unlock(&e->ring->mutex);
    if (last) apr_pool_destroy(e->pool);
    return APR_SUCCESS;
}

static int is_for(const ring_entry *e, wh_key_kind kind, const char *url)
{
    return e->file.kind == kind && strcmp(e->file.url, url) == 0;
}

/* Take the URL's entry out, put `fresh` in (NULL: nothing); also what is too much. Under the mutex. @return what came out, linked */
static ring_entry *exchange(wh_key_ring *ring, wh_key_kind kind, const char *url, ring_entry *fresh)
{
    ring_entry **at = &ring->first, *out = NULL, *e;

    while ((e = *at) != NULL) {
        if (is_for(e, kind, url) || (fresh && !e->next && ring->count >= RING_MAX)) {
            *at = e->next;
            e->next = out;
            out = e;
            ring->count--;
        } else {
            at = &e->next;
        }
    }
    if (fresh) {
        fresh->next = ring->first;
        ring->first = fresh;
        ring->count++;
    }
    return out;
}

static void put_in(wh_key_ring *ring, wh_key_kind kind, const char *url, ring_entry *fresh)
{
    ring_entry *out, *next;

    pthread_mutex_lock(&ring->mutex);
    out = exchange(ring, kind, url, fresh);
    pthread_mutex_unlock(&ring->mutex);
    for (; out; out = next) {
        next = out->next;
        release(out);
    }
}

/* Read and prepare. @return an entry with one reference, the caller's; NULL when there is no file */
static ring_entry *read_entry(const webhook_verifier *v, wh_key_ring *ring, wh_key_kind kind, const char *url)
{
    apr_pool_t *pool;
    ring_entry *e;

    if (apr_pool_create_unmanaged_ex(&pool, NULL, NULL) != APR_SUCCESS) return NULL;
    e = apr_pcalloc(pool, sizeof(*e));
    e->pool = pool;
    e->ring = ring;
    e->refs = 1;
    if (wh_key_load(&e->file, cache_dir, kind, url, WH_KEY_THERE, pool) != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return NULL;
    }
    /* A certificate is called as requests call it; the keys of a set have names of their own. */
    e->secret.id = kind == WH_KIND_KEYS ? "jwks" : e->file.url;
    e->secret.data = (const unsigned char *)e->file.bytes.data;
    e->secret.len = e->file.bytes.len;
    e->err = wh_keys_prepare(v, &e->secret, pool);
    return e;
}

/* The entry of a URL as the file is now, with a reference for the caller */
static ring_entry *current(const webhook_verifier *v, wh_key_ring *ring, wh_key_kind kind, const char *url, apr_pool_t *p)
{
    apr_time_t now = wh_monotonic();
    ring_entry *e, *fresh;

    pthread_mutex_lock(&ring->mutex);
    for (e = ring->first; e && !is_for(e, kind, url); e = e->next) {}
    if (e) {
        e->refs++;
        if (now < e->next_look) {
            pthread_mutex_unlock(&ring->mutex);
            return e;
        }
        e->next_look = now + LOOK_EVERY; /* the others go on with it meanwhile */
    }
    pthread_mutex_unlock(&ring->mutex);
    if (e && wh_secret_unchanged(wh_key_path(cache_dir, kind, url, WH_KEY_THERE, p), &e->file.stamp)) return e;
    fresh = read_entry(v, ring, kind, url);
    if (fresh) {
        fresh->next_look = now + LOOK_EVERY;
        fresh->refs++; /* the ring's, before anyone can see it */
    }
    if (fresh || e) put_in(ring, kind, url, fresh);
    if (fresh && wh_log_is(WH_LOG_TRACE2)) {
        wh_log(WH_LOG_TRACE2, 0, "WH0840: %s %s was read from the key cache%s%s", wh_key_kind_name(kind), url, fresh->err ? ", but " : "",
               fresh->err ? fresh->err : "");
    }
    if (e) release(e);
    return fresh;
}

/* ---- asking ---- */

static apr_status_t ask(wh_key_kind kind, const char *url, const char *about, apr_time_t now, apr_pool_t *p)
{
    int fresh;
    apr_status_t rv = wh_key_want(cache_dir, kind, url, about, now, &fresh, p);

    if (rv == APR_SUCCESS && fresh) {
        if (wh_log_is(WH_LOG_TRACE2)) wh_log(WH_LOG_TRACE2, 0, "WH0841: asked for %s %s", wh_key_kind_name(kind), wh_key_url_masked(url, p));
        if (cache_wake) cache_wake();
    } else if (rv == APR_ENOSPC) {
        wh_log(WH_LOG_INFO, 0, "WH0842: %s %s is not asked for: %d others wait", wh_key_kind_name(kind), wh_key_url_masked(url, p), WH_KEY_WANTS_MAX);
    } else if (rv != APR_SUCCESS) {
        wh_log(WH_LOG_ERROR, rv, "WH0843: the key cache %s cannot be written to", cache_dir);
    }
    return rv;
}

wh_keys_state wh_key_ring_find(const webhook_verifier *v, wh_key_ring *ring, wh_key_kind kind, const char *url, apr_time_t now,
                               wh_keys_found *out, apr_pool_t *p)
{
    wh_key_entry failure;
    ring_entry *e;

    memset(out, 0, sizeof(*out));
    if (!cache_dir || !ring) return WH_KEYS_NONE;
    if ((e = current(v, ring, kind, url, p)) != NULL) {
        apr_pool_cleanup_register(p, e, release, apr_pool_cleanup_null);
        if (!e->err && (!e->file.until || now < e->file.until)) {
            out->set = e->secret.prepared;
            out->made = e->file.made;
            return WH_KEYS_THERE;
        }
        /* Spoilt on the disk, or of use to another endpoint alone: fetched again, but not in a loop. */
        if (e->err && now >= e->file.made && now - e->file.made < AGAIN_AFTER) {
            out->why = apr_psprintf(p, "what is at %s %s", url, e->err);
            return WH_KEYS_REFUSED;
        }
    }
    out->retry_after = COME_AGAIN;
    if (wh_key_load(&failure, cache_dir, kind, url, WH_KEY_FAILED, p) == APR_SUCCESS && now < failure.until) {
        out->why = apr_psprintf(p, "%s could not be fetched (%s: %s)", url, failure.reason ? failure.reason : "unknown",
                                failure.detail ? failure.detail : "no detail");
        if (failure.final) return WH_KEYS_REFUSED;
        out->retry_after = failure.until - now + COME_AGAIN;
        return WH_KEYS_PENDING;
    }
    if (ask(kind, url, NULL, now, p) != APR_SUCCESS) out->retry_after = AGAIN_AFTER;
    out->why = apr_psprintf(p, "%s is being fetched", url);
    return WH_KEYS_PENDING;
}

int wh_key_ring_again(const char *url, apr_time_t made, apr_time_t now, apr_pool_t *p)
{
    wh_key_entry failure;

    if (!cache_dir || (made <= now && now - made < AGAIN_AFTER)) return 0;
    if (wh_key_load(&failure, cache_dir, WH_KIND_KEYS, url, WH_KEY_FAILED, p) == APR_SUCCESS
        && (now < failure.until || (failure.made <= now && now - failure.made < AGAIN_AFTER))) return 0;
    return ask(WH_KIND_KEYS, url, NULL, now, p) == APR_SUCCESS;
}

apr_status_t wh_key_confirm(const char *url, const char *about, apr_time_t now, apr_pool_t *p)
{
    return cache_dir ? ask(WH_KIND_CONFIRM, url, about, now, p) : APR_ENOTIMPL;
}

/* ---- judging what was fetched ---- */

int wh_verifier_needs(const webhook_verifier_provider *provider, const webhook_verifier *v, wh_fetch_needs *needs)
{
    memset(needs, 0, sizeof(*needs));
    if (provider->verify != wh_scheme_verify || !v->ring) return 0;
    needs->keys = v->jwks;
    needs->certificates = v->keyid_hosts ? v->fetch : 0;
    needs->confirms = v->confirm;
    needs->hosts = v->keyid_hosts;
    needs->confirm_path = v->confirm_path;
    needs->names = v->certificate_names;
    return needs->keys || needs->certificates || needs->confirms;
}

static int has_name(X509 *cert, const char *const *patterns)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int i, found = 0, dns = 0;

    for (i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS) continue;
        dns = 1;
        found |= wh_key_name_allowed((const char *)ASN1_STRING_get0_data(name->d.dNSName), (apr_size_t)ASN1_STRING_length(name->d.dNSName), patterns);
    }
    GENERAL_NAMES_free(names);
    if (!dns) { /* RFC 6125 section 6.4.4: the common name counts where there are no others */
        X509_NAME *subject = X509_get_subject_name(cert);
        int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
        const ASN1_STRING *cn = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
        if (cn && X509_NAME_get_index_by_NID(subject, NID_commonName, at) < 0) {
            found = wh_key_name_allowed((const char *)ASN1_STRING_get0_data(cn), (apr_size_t)ASN1_STRING_length(cn), patterns);
        }
    }
    return found;
}

/*
 * The file holds the signing certificate alone, as its sender publishes it, so there is no chain to follow; that it is the sender's says
 * the verified TLS connection it came over. Its own names and times are looked at all the same.
 */
static const char *judge_certificate(const webhook_verifier *v, webhook_slice bytes)
{
    BIO *bio = bytes.len <= CERTIFICATE_MAX ? BIO_new_mem_buf(bytes.data, (int)bytes.len) : NULL;
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    const char *err = NULL;

    if (!cert) err = "is not a certificate (PEM)";
    else if (v->certificate_names && !has_name(cert, v->certificate_names)) err = "is a certificate for another name than the sender's";
    else if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0) err = "is a certificate that is not valid yet";
    else if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0) err = "is a certificate that has expired";
    X509_free(cert);
    BIO_free(bio);
    ERR_clear_error();
    return err;
}

const char *wh_verifier_judge(const webhook_verifier *v, wh_key_kind kind, const char *url, webhook_slice bytes, apr_time_t now,
                              apr_time_t *until, apr_pool_t *p)
{
    webhook_secret secret = { .id = url, .data = (const unsigned char *)bytes.data, .len = bytes.len };
    const wh_keyset *set;
    const char *err;
    int i;

    (void)now;
    *until = 0;
    if (kind == WH_KIND_CERTIFICATE && (err = judge_certificate(v, bytes)) != NULL) return err;
    if ((err = wh_keys_prepare(v, &secret, p)) != NULL) return err;
    set = secret.prepared;
    if (kind == WH_KIND_CERTIFICATE) *until = set->list[0]->until;
    for (i = 0; i < set->count; i++) {
        if (set->list[i]->pkey) return NULL;
    }
    return "holds no public key"; /* a shared secret that is published is none */
}
