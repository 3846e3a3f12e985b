/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which URLs may be fetched, against libcurl's own reading of them: what passes here must mean the same there. Ranges and resolve= beside.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <curl/curl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/http_client.h"
#include "verify/key_files.h"

static apr_pool_t *pool;

static void must(int holds, const char *what, const char *url)
{
    if (holds) return;
    fprintf(stderr, "%s: %s\n", what, url);
    abort();
}

/* One part of the URL as libcurl has it; NULL when there is none */
static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
    char *out = NULL;
    return curl_url_get(u, what, &out, flags) == CURLUE_OK ? out : NULL;
}

static void same_meaning(const char *url, const char *const *hosts)
{
    CURLU *u = curl_url();
    wh_address address;
    char *scheme, *host, *user, *password, *fragment, *port;

    must(u && curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK, "libcurl does not take it", url);
    scheme = part(u, CURLUPART_SCHEME, 0);
    host = part(u, CURLUPART_HOST, 0);
    user = part(u, CURLUPART_USER, 0);
    password = part(u, CURLUPART_PASSWORD, 0);
    fragment = part(u, CURLUPART_FRAGMENT, 0);
    port = part(u, CURLUPART_PORT, 0);
    must(scheme && !strcmp(scheme, "https") && host && !user && !password && !fragment, "it is more than it seems", url);
    /* addresses it writes in a way of its own (2130706433 is 127.0.0.1): those are judged when they are connected to */
    if (url[8] == '[' || wh_address_parse(&address, host, strlen(host))) must(!hosts, "an address", url);
    else must(!strncasecmp(url + 8, host, strlen(host)) && strchr("/?:", url[8 + strlen(host)]) != NULL, "libcurl goes to another host", url);
    if (hosts) must(!port && wh_key_name_allowed(host, strlen(host), hosts), "libcurl goes to a host that is not allowed", url);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const hosts[] = { "sns.*.amazonaws.com", "sns.*.amazonaws.com.cn", NULL };
    const char *url, *out;
    wh_range range;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    if (size > 4096) return 0;
    apr_pool_clear(pool);
    url = apr_pstrmemdup(pool, (const char *)data, size);
    if (wh_http_url_check(url, 0) == NULL) same_meaning(url, NULL);
    if (wh_key_url_allowed(url, hosts, NULL)) {
        must(wh_http_url_check(url, 0) == NULL, "allowed, but not to be fetched", url);
        must(!strchr(url, '?') && !strstr(url, "/."), "more than a path", url);
        same_meaning(url, hosts);
    }
    if (wh_key_url_allowed(url, hosts, "/?Action=ConfirmSubscription&")) {
        must(wh_http_url_check(url, 0) == NULL, "allowed, but not to be fetched", url);
        same_meaning(url, hosts);
    }
    if (wh_http_resolve_parse(&out, url, pool) == NULL) must(wh_http_resolve_parse(&out, out, pool) == NULL, "the long form is none", url);
    if (wh_range_parse(&range, url, pool) == NULL) must(wh_range_has(&range, &range.net), "a range without its first", url);
    (void)wh_key_url_masked(url, pool);
    return 0;
}
