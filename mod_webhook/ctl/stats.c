/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c: commands about the store as a whole: its figures beside the server's counters, and whether it is consistent. */
#include "ctl/arguments.h"

#include <apr_strings.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/counters.h"
#include "core/json.h"
#include "core/units.h"
#include "store/sqlite.h"

#define COUNTERS_MAX (64 * 1024 * 1024)

/* The server's counters as they are now: a copy, because the server's children may write to the file while it is read here by root.
 *  @return NULL when there are none to be had */
static wh_counters *read_counters(const char *path, apr_pool_t *p)
{
    wh_counters *c = NULL;
    struct stat st;
    void *mem;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;

    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size >= sizeof(*c) && st.st_size <= COUNTERS_MAX) {
        mem = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (mem != MAP_FAILED) {
            c = apr_pmemdup(p, mem, (apr_size_t)st.st_size);
            munmap(mem, (size_t)st.st_size);
        }
    }
    close(fd);
    if (!c || c->magic != WH_COUNTERS_MAGIC || c->refusal_count != WH_REFUSAL_COUNT || c->size != (uint32_t)st.st_size || !c->endpoint_count
        || !c->handler_count || c->endpoint_count > INT_MAX || c->handler_count > INT_MAX
        || wh_counters_size((int)c->endpoint_count - 1, (int)c->handler_count - 1) != (apr_size_t)st.st_size) {
        return NULL;
    }
    return c;
}

int wh_ctl_stats(wh_ctl *ctl, int argc, const char *const *argv)
{
    const wh_argument table[] = {{NULL, NULL, NULL, NULL}};
    const webhook_store_provider *provider;
    webhook_store_stats st;
    webhook_result res = {0};
    apr_array_header_t *words;
    wh_counters *counters;
    webhook_store *store;
    apr_int64_t age;
    uint32_t i;

    if (wh_ctl_arguments(ctl, table, argc, argv, &words)) {
        return WH_CTL_USAGE;
    }
    /* before the store: that may change who we are */
    counters = ctl->store_text ? NULL : read_counters(wh_ctl_counters(ctl), ctl->pool);
    store = wh_ctl_store(ctl, &provider);
    if (!store) {
        return WH_CTL_USAGE;
    }
    if (provider->stats(store, &st, ctl->pool, &res) != APR_SUCCESS) {
        return wh_ctl_store_error(ctl, &res);
    }
    age = st.oldest_ready ? apr_time_sec(apr_time_now() - st.oldest_ready) : 0;
    age = age < 0 ? 0 : age;
    if (ctl->json) {
        wh_buf b;
        wh_buf_init(&b, ctl->pool, 4096);
        wh_buf_adds(&b, "{");
        wh_json_put_name(&b, "store");
        wh_buf_adds(&b, "{");
        wh_json_put_member_int(&b, "deliveries", st.deliveries);
        wh_json_put_member_int(&b, "queued", st.queued);
        wh_json_put_member_int(&b, "leased", st.leased);
        wh_json_put_member_int(&b, "retry", st.retry);
        wh_json_put_member_int(&b, "done", st.done);
        wh_json_put_member_int(&b, "dead", st.dead);
        wh_json_put_member_int(&b, "unrouted", st.unrouted);
        wh_json_put_member_int(&b, "dropped", st.dropped);
        wh_json_put_member_int(&b, "bytes", st.bytes);
        wh_json_put_member_int(&b, "wal_bytes", st.wal_bytes);
        wh_json_put_member_int(&b, "free_bytes", st.free_bytes);
        wh_json_put_member_int(&b, "oldest_waiting_seconds", age);
        wh_buf_adds(&b, "}");
        if (counters) {
            wh_json_put_name(&b, "counters");
            wh_counters_json(&b, counters);
        }
        wh_buf_adds(&b, "}");
        puts(b.data);
        return WH_CTL_OK;
    }
    printf("deliveries %" APR_INT64_T_FMT " (unrouted %" APR_INT64_T_FMT ", dropped %" APR_INT64_T_FMT ")\n", st.deliveries, st.unrouted,
           st.dropped);
    printf("jobs       queued %" APR_INT64_T_FMT ", leased %" APR_INT64_T_FMT ", retry %" APR_INT64_T_FMT ", done %" APR_INT64_T_FMT
           ", dead %" APR_INT64_T_FMT "\n",
           st.queued, st.leased, st.retry, st.done, st.dead);
    printf("waiting    oldest %" APR_INT64_T_FMT " s\n", age);
    printf("disk       %s used (%s of it write-ahead log), %s free\n", wh_format_size(st.bytes, ctl->pool), wh_format_size(st.wal_bytes, ctl->pool),
           wh_format_size(st.free_bytes, ctl->pool));
    for (i = 0; counters && i < counters->endpoint_count; i++) {
        wh_endpoint_counters *e = wh_counters_endpoint(counters, (int)i);
        int n;
        printf("endpoint   ");
        wh_ctl_say(e->name);
        putchar(':');
#define WH_X(member, help) printf(" " #member " %llu", (unsigned long long)e->member);
        WH_ENDPOINT_COUNTERS(WH_X)
#undef WH_X
        for (n = 0; n < WH_REFUSAL_COUNT; n++) {
            if (e->reason[n]) {
                printf(" %s %llu", wh_refusal_table[n].code, (unsigned long long)e->reason[n]);
            }
        }
        putchar('\n');
    }
    for (i = 0; counters && i < counters->handler_count; i++) {
        wh_handler_counters *h = wh_counters_handler(counters, (int)i);
        printf("handler    ");
        wh_ctl_say(h->name);
        putchar(':');
#define WH_X(member, help) printf(" " #member " %llu", (unsigned long long)h->member);
        WH_HANDLER_COUNTERS(WH_X)
#undef WH_X
        putchar('\n');
    }
    return WH_CTL_OK;
}

int wh_ctl_check(wh_ctl *ctl, int argc, const char *const *argv)
{
    const webhook_store_provider *provider;
    const char *problem = NULL, *text = ctl->store_text;
    webhook_store *store;

    if (!text && wh_ctl_dump(ctl)) {
        text = wh_json_text(wh_json_get(wh_json_get(wh_json_root(ctl->dump), "store"), "text"), ctl->pool);
    }
    store = wh_ctl_store(ctl, &provider); /* becomes the owner */
    if (!store) {
        return WH_CTL_USAGE;
    }
    if (!text || strncmp(text, "sqlite:", 7) != 0) {
        return wh_ctl_error(ctl, "check is for sqlite: stores");
    }
    if (wh_sqlite_check(text + 7, &problem, ctl->pool) != APR_SUCCESS) {
        return wh_ctl_error(ctl, "%s", problem ? problem : "the check could not be made");
    }
    puts(problem ? problem : "consistent");
    return problem ? WH_CTL_NO : WH_CTL_OK;
}
