/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file handler's name patterns: what is taken, what it becomes, and that nothing unsafe gets through.
 */
#include <apr_general.h>
#include <apr_pools.h>

#include "tap.h"
#include "dispatch/file_name.h"

static apr_pool_t *pool;

static void test_patterns(void)
{
    static const struct { const char *pattern; int raw; const char *want; } table[] = {
        {"hooks.log", 0, "hooks.log"},
        {"%Y%m%d.log", 0, "20261123.log"},
        {"%F-%H%M%S_%j.json", 0, "2026-11-23-202201_327.json"},
        {"%G-W%V-%u%w%U%W", 0, "2026-W48-114747"},
        {"%s", 0, "1795465321"},
        {"%{id}", 1, "018f0000-0000-7000-8000-000000000000"},
        {"%Y-%{id}.%{ext}", 1, "2026-018f0000-0000-7000-8000-000000000000.json"},
        {"", 0, NULL}, {".x", 0, NULL}, {"a b", 0, NULL}, {"a/b", 0, NULL}, {"%", 0, NULL}, {"%%", 0, NULL}, {"%T", 0, NULL},
        {"%n", 0, NULL}, {"%Ey", 0, NULL}, {"%{id}", 0, NULL}, {"x%Y", 1, NULL}, {"%{id", 1, NULL}, {"%{event}%{id}", 1, NULL},
        {"\xc3\xa4", 0, NULL},
    };
    webhook_delivery d = {.id = "018f0000-0000-7000-8000-000000000000", .content_type = "application/json"};
    char out[WH_FILE_NAME_MAX + 1], longest[2 * WH_FILE_NAME_MAX];

    for (apr_size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const char *err = wh_file_pattern_check(table[i].pattern, table[i].raw, pool);

        if (!table[i].want) {
            ok(err, "pattern \"%s\" is refused", table[i].pattern);
            continue;
        }
        ok(!err && wh_file_name_expand(out, table[i].pattern, apr_time_from_sec(1795465321), &d) == APR_SUCCESS, "pattern \"%s\" is taken", table[i].pattern);
        is_str(out, table[i].want, "... and expands");
    }
    memset(longest, 'a', sizeof(longest));
    longest[WH_FILE_NAME_MAX] = '\0';
    ok(!wh_file_pattern_check(longest, 0, pool), "a name of the greatest length");
    memset(longest, 'a', WH_FILE_NAME_MAX + 1);
    longest[WH_FILE_NAME_MAX + 1] = '\0';
    ok(wh_file_pattern_check(longest, 0, pool), "one byte more is refused");
    is_int(wh_file_name_expand(out, "%Y", apr_time_from_sec(253402300800), NULL), APR_EINVAL, "the year 10000 makes no name");
    is_str(wh_file_extension("application/vnd.x+json; charset=utf-8"), "json", "+json");
    is_str(wh_file_extension("TEXT/xml"), "txt", "text");
    is_str(wh_file_extension("application/x-www-form-urlencoded"), "txt", "form");
    is_str(wh_file_extension("application/jsonx"), "bin", "no json");
    is_str(wh_file_extension(NULL), "bin", "none");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_patterns();
    apr_pool_destroy(pool);
    return tap_done();
}
