/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_bench.c: what reading JSON costs, a byte, beside jansson (JSON_DECODE_ANY | JSON_REJECT_DUPLICATES) over the same texts in the same run.
 * Not a test.
 *
 *   json_bench [write=DIRECTORY] [milliseconds=300] [FILE ...]
 *
 * Without files the texts are made here: webhooks as GitHub writes them (a push in one line; one with many commits), one indented as Stripe
 * does, one of escapes and more than ASCII, and objects of 10,000 members whose names are any or made to meet in a table. A line each:
 * name, bytes, nanoseconds a byte of the reader and of jansson, and bytes of memory a byte. Processor time is measured, and the best of
 * many short turns counts; the two take turns, so that what else the machine does falls on both. With write= the texts are left in
 * files of these names.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(WH_ORACLE)
#include <jansson.h>
#endif

#include "core/json.h"

#define REPO "https://api.github.com/repos/Codertocat/Hello-World"

static void put_urls(wh_buf *b, const char *base, const char *const *names)
{
    for (; *names; names++) {
        wh_json_put_name(b, apr_psprintf(b->pool, "%s_url", *names));
        wh_json_put_string(b, "", 0);
        b->len--;
        wh_buf_addf(b, "%s/%s{/number}\"", base, *names);
    }
}

static void put_user(wh_buf *b, const char *member, const char *login)
{
    static const char *const urls[] = { "followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events",
                                        "received_events", NULL };

    wh_json_put_name(b, member);
    wh_buf_adds(b, "{");
    wh_json_put_member(b, "login", login);
    wh_json_put_member_int(b, "id", 21031067);
    wh_json_put_member(b, "node_id", "MDQ6VXNlcjIxMDMxMDY3");
    wh_json_put_member(b, "avatar_url", "https://avatars1.githubusercontent.com/u/21031067?v=4");
    wh_json_put_member(b, "gravatar_id", "");
    wh_json_put_member(b, "url", "https://api.github.com/users/Codertocat");
    wh_json_put_member(b, "html_url", "https://github.com/Codertocat");
    put_urls(b, "https://api.github.com/users/Codertocat", urls);
    wh_json_put_member(b, "type", "User");
    wh_json_put_member_bool(b, "site_admin", 0);
    wh_buf_adds(b, "}");
}

static void put_person(wh_buf *b, const char *member)
{
    wh_json_put_name(b, member);
    wh_buf_adds(b, "{");
    wh_json_put_member(b, "name", "Codertocat");
    wh_json_put_member(b, "email", "21031067+Codertocat@users.noreply.github.com");
    wh_json_put_member(b, "username", "Codertocat");
    wh_buf_adds(b, "}");
}

static void put_commit(wh_buf *b, int i)
{
    wh_buf_adds(b, b->data[b->len - 1] == '[' ? "{" : ",{");
    wh_json_put_member(b, "id", apr_psprintf(b->pool, "%08xb5f9d5b9b1a3e2f6a0d11b8e2d%08x", 0x6113728fu + (unsigned)i, (unsigned)i));
    wh_json_put_member(b, "tree_id", apr_psprintf(b->pool, "%08xc43cc4a3b3d1a1b2f3c7d3e4f5%08x", 0x1a5b5f4eu * (unsigned)(i + 1), (unsigned)i));
    wh_json_put_member_bool(b, "distinct", 1);
    wh_json_put_member(b, "message", apr_psprintf(b->pool, "Update page %d\n\nSee \"docs\" for more.", i));
    wh_json_put_member(b, "timestamp", "2019-05-15T15:20:30+02:00");
    wh_json_put_member(b, "url", apr_psprintf(b->pool, "https://github.com/Codertocat/Hello-World/commit/%08x", (unsigned)i));
    put_person(b, "author");
    put_person(b, "committer");
    wh_json_put_name(b, "added");
    wh_buf_adds(b, "[],");
    wh_json_put_string(b, "removed", 7);
    wh_buf_addf(b, ":[],\"modified\":[\"docs/page-%d.md\"]}", i);
}

static webhook_slice made_push(int commits, apr_pool_t *p)
{
    static const char *const urls[] = {
        "forks", "keys", "collaborators", "teams", "hooks", "issue_events", "events", "assignees", "branches", "tags", "blobs", "git_tags",
        "git_refs", "trees", "statuses", "languages", "stargazers", "contributors", "subscribers", "subscription", "commits", "git_commits",
        "comments", "issue_comment", "contents", "compare", "merges", "archive", "downloads", "issues", "pulls", "milestones",
        "notifications", "labels", "releases", "deployments", NULL };
    static const char *const flags[] = { "fork", "private", "has_issues", "has_projects", "has_downloads", "has_wiki", "has_pages", "archived",
                                         "disabled", NULL };
    static const char *const counts[] = { "created_at", "pushed_at", "size", "stargazers_count", "watchers_count", "forks_count",
                                          "open_issues_count", "forks", "open_issues", "watchers", "stargazers", NULL };
    webhook_slice s;
    wh_buf b;

    wh_buf_init(&b, p, 8192);
    wh_buf_adds(&b, "{");
    wh_json_put_member(&b, "ref", "refs/heads/main");
    wh_json_put_member(&b, "before", "6113728f27ae82c7b1a177c8d03f9e96e0adf246");
    wh_json_put_member(&b, "after", "0000000000000000000000000000000000000000");
    wh_json_put_name(&b, "repository");
    wh_buf_adds(&b, "{");
    wh_json_put_member_int(&b, "id", 186853002);
    wh_json_put_member(&b, "node_id", "MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=");
    wh_json_put_member(&b, "name", "Hello-World");
    wh_json_put_member(&b, "full_name", "Codertocat/Hello-World");
    put_user(&b, "owner", "Codertocat");
    put_urls(&b, REPO, urls);
    for (int i = 0; flags[i]; i++)
        wh_json_put_member_bool(&b, flags[i], i % 2);
    for (int i = 0; counts[i]; i++)
        wh_json_put_member_int(&b, counts[i], i < 2 ? 1557933565 + i : i % 3);
    wh_buf_adds(&b, ",\"language\":null,\"mirror_url\":null,\"license\":null}");
    put_person(&b, "pusher");
    put_user(&b, "sender", "Codertocat");
    wh_buf_adds(&b, ",\"created\":false,\"deleted\":false,\"forced\":false,\"base_ref\":null");
    wh_json_put_member(&b, "compare", "https://github.com/Codertocat/Hello-World/compare/6113728f27ae...000000000000");
    wh_json_put_name(&b, "commits");
    wh_buf_adds(&b, "[");
    for (int i = 0; i < commits; i++)
        put_commit(&b, i);
    wh_buf_adds(&b, "],\"head_commit\":null}");
    s.data = b.data;
    s.len = b.len;
    return s;
}

/* Two blanks a level, one member a line. */
static webhook_slice indented(webhook_slice in, apr_pool_t *p)
{
    webhook_slice s;
    wh_buf b;
    int level = 0, string = 0;

    wh_buf_init(&b, p, in.len * 2);
    for (apr_size_t i = 0; i < in.len; i++) {
        char c = in.data[i];
        if (!string && (c == '}' || c == ']'))
            wh_buf_addf(&b, "\n%*s", 2 * --level, "");
        wh_buf_add(&b, &c, 1);
        if (c == '"' && in.data[i - 1] != '\\')
            string = !string;
        if (string)
            continue;
        level += c == '{' || c == '[';
        if (c == '{' || c == '[' || c == ',')
            wh_buf_addf(&b, "\n%*s", 2 * level, "");
        if (c == ':')
            wh_buf_adds(&b, " ");
    }
    s.data = b.data;
    s.len = b.len;
    return s;
}

static webhook_slice made_words(apr_pool_t *p)
{
    static const char *const words[] = { "Grüße", "世界", "здравствуйте", "tab\there", "a \"quote\"", "https:\\/\\/example.org\\/a", "\xf0\x9f\x98\x80" };
    webhook_slice s;
    wh_buf b;

    wh_buf_init(&b, p, 8192);
    wh_buf_adds(&b, "{\"messages\":[");
    for (int i = 0; i < 100; i++) {
        wh_buf_adds(&b, i ? ",{" : "{");
        wh_json_put_member_int(&b, "id", i);
        wh_json_put_member(&b, "text", apr_psprintf(p, "%s %s %s", words[i % 7], words[i * 3 % 7], words[i * 5 % 7]));
        wh_json_put_name(&b, "raw");
        wh_buf_adds(&b, "\"caf\\u00e9 \\ud83d\\ude00 \\/\"}");
    }
    wh_buf_adds(&b, "]}");
    s.data = b.data;
    s.len = b.len;
    return s;
}

/* An object of as many members as may be: names at random, or those of one hash where a hash is made by multiplying with 31. */
static webhook_slice made_names(int meet, apr_pool_t *p)
{
    apr_uint32_t random = 1;
    webhook_slice s;
    wh_buf b;

    wh_buf_init(&b, p, 400000);
    wh_buf_adds(&b, "{");
    for (int i = 0; i < 10000; i++) {
        char name[29];
        for (int k = 0; k < 14; k++) {
            random = random * 1664525u + 1013904223u;
            if (meet)
                memcpy(name + 2 * k, i >> k & 1 ? "Aa" : "BB", 2);
            else
                memcpy(name + 2 * k, (char[2]){ (char)('a' + (random >> 27) % 26), (char)('A' + (random >> 20) % 26) }, 2);
        }
        name[28] = '\0';
        wh_json_put_member_int(&b, name, i);
    }
    wh_buf_adds(&b, "}");
    s.data = b.data;
    s.len = b.len;
    return s;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double turn_reader(webhook_slice s, int times, apr_pool_t *p)
{
    double begin = now();

    for (int i = 0; i < times; i++) {
        wh_json_error err;
        wh_json *doc;
        if (wh_json_parse(&doc, s, NULL, p, &err) != APR_SUCCESS) {
            fprintf(stderr, "%s at byte %lu\n", err.reason, (unsigned long)err.offset);
            exit(1);
        }
        apr_pool_clear(p);
    }
    return (now() - begin) / times / (double)s.len;
}

static double turn_oracle(webhook_slice s, int times)
{
#if defined(WH_ORACLE)
    double begin = now();

    for (int i = 0; i < times; i++) {
        json_error_t err;
        json_t *doc = json_loadb(s.data, s.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &err);
        if (!doc) {
            fprintf(stderr, "jansson: %s\n", err.text);
            exit(1);
        }
        json_decref(doc);
    }
    return (now() - begin) / times / (double)s.len;
#else
    (void)s, (void)times;
    return 0;
#endif
}

/* Bytes a value, its name and its children take. */
static double memory_of(const wh_json_value *v)
{
    double sum = v->type == WH_JSON_OBJECT ? v->size * sizeof(wh_json_member) : v->type == WH_JSON_ARRAY ? v->size * sizeof(wh_json_value) : 0;

    for (apr_uint32_t i = 0; v->type >= WH_JSON_ARRAY && i < v->size; i++)
        sum += memory_of(v->type == WH_JSON_OBJECT ? &v->u.members[i].value : &v->u.items[i]);
    return sum;
}

static void measure(const char *name, webhook_slice s, int milliseconds, apr_pool_t *pool)
{
    double end = now() + milliseconds * 1e6, reader = 0, oracle = 0, t;
    int times = (int)(500000 / s.len) + 4;
    wh_json_error err;
    apr_pool_t *p;
    wh_json *doc;

    apr_pool_create(&p, pool);
    do {
        t = turn_reader(s, times, p);
        reader = reader > 0 && reader < t ? reader : t;
        t = turn_oracle(s, times / 10 + 1);
        oracle = oracle > 0 && oracle < t ? oracle : t;
    } while (now() < end);
    if (wh_json_parse(&doc, s, NULL, p, &err) != APR_SUCCESS)
        exit(1);
    printf("%s %lu %.3f %.3f %.2f\n", name, (unsigned long)s.len, reader, oracle, memory_of(wh_json_root(doc)) / (double)s.len);
    fflush(stdout);
}

static webhook_slice slurp(const char *path, apr_pool_t *p)
{
    webhook_slice s = { NULL, 0 };
    FILE *f = fopen(path, "rb");
    char *room;
    long size;

    if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)) {
        perror(path);
        exit(2);
    }
    room = apr_palloc(p, (apr_size_t)size + 1);
    s.data = room;
    s.len = fread(room, 1, (size_t)size, f);
    fclose(f);
    return s;
}

int main(int argc, char **argv)
{
    const char *write_to = NULL;
    int milliseconds = 300, files = 0;
    apr_pool_t *pool;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "write=", 6))
            write_to = argv[i] + 6;
        else if (!strncmp(argv[i], "milliseconds=", 13))
            milliseconds = atoi(argv[i] + 13);
        else
            files++;
    }
    if (files) {
        for (int i = 1; i < argc; i++) {
            if (!strchr(argv[i], '='))
                measure(argv[i], slurp(argv[i], pool), milliseconds, pool);
        }
    }
    else {
        struct {
            const char *name;
            webhook_slice text;
        } made[] = { { "push", made_push(1, pool) },
                     { "indented", indented(made_push(0, pool), pool) },
                     { "words", made_words(pool) },
                     { "push-1800-commits", made_push(1800, pool) },
                     { "names-at-random", made_names(0, pool) },
                     { "names-made-to-meet", made_names(1, pool) } };
        for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
            if (write_to) {
                FILE *f = fopen(apr_pstrcat(pool, write_to, "/", made[i].name, ".json", NULL), "wb");
                if (!f || fwrite(made[i].text.data, 1, made[i].text.len, f) != made[i].text.len || fclose(f)) {
                    perror(write_to);
                    return 2;
                }
            }
            measure(made[i].name, made[i].text, milliseconds, pool);
        }
    }
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}
