/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of members: the hash by which they are found and told apart, names made to meet, and members of one name.
 */
#include "json_text.h"

#include <apr_general.h>
#include <stdlib.h>

#include "core/json_hash.h"

/* Names of `kind`, number i, of 28 bytes or fewer. */
static int hostile_name(char *out, int kind, int i)
{
    switch (kind) {
    case 0: /* in a row */
        return sprintf(out, "%d", i);
    case 1: /* all of one hash where h = h * 31 + c, and *33 with other pairs */
        for (int k = 0; k < 14; k++)
            memcpy(out + 2 * k, i >> k & 1 ? "Aa" : "BB", 2);
        return 28;
    case 2:
        for (int k = 0; k < 14; k++)
            memcpy(out + 2 * k, i >> k & 1 ? "Ez" : "FY", 2);
        return 28;
    case 3: /* one bit, at a place of each word */
        memset(out, 'a', 16);
        out[i % 16] = (char)('b' + i / 16 % 20);
        out[(i / 320) % 16] = (char)('B' + i / 5120);
        return 16;
    case 4: /* halves exchanged */
        sprintf(out, "%08d%08d", i % 100, i / 100);
        return 16;
    case 5: /* only the lengths of runs differ */
        memset(out, 'a', 28);
        out[i % 28] = 'b';
        out[i / 28 % 28] = 'c';
        out[i / 784 % 28] = 'd';
        return 28;
    default:
        return sprintf(out, "%06x", i * 40503 & 0xffffff);
    }
}

/* What a table of names like the reader's would look like: the seed is another in every run, a good hash good with all. */
static void test_flood(void)
{
    enum { NAMES = 10000, PLACES = 32768 };
    char (*names)[32] = calloc(NAMES, sizeof(*names));
    apr_uint32_t *hashes = calloc(NAMES, sizeof(*hashes));
    unsigned short *table = calloc(PLACES, sizeof(*table));

    for (int kind = 0; kind < 7; kind++) {
        int longest = 0, equal = 0, n = 0, total = 0;
        memset(table, 0, PLACES * sizeof(*table));
        for (int i = 0; i < NAMES; i++) {
            int len = hostile_name(names[n], kind, i), steps = 0, again = 0;
            apr_uint32_t at;
            names[n][len] = '\0';
            hashes[n] = wh_json_hash(names[n], (apr_size_t)len);
            for (at = hashes[n] % PLACES; table[at]; at = (at + 1) % PLACES, steps++) {
                again |= !strcmp(names[table[at] - 1], names[n]);
                equal += hashes[table[at] - 1] == hashes[n] && !again;
            }
            if (again)
                continue;
            table[at] = (unsigned short)++n;
            total += steps;
            if (steps > longest)
                longest = steps;
        }
        ok(n > 2000 && equal <= 2, "%d names of kind %d: %d meet", n, kind, equal);
        ok(longest < 100 && total < n, "the longest way in a table is %d, all %d", longest, total);
    }
    free(names);
    free(hashes);
    free(table);
}

static void test_hash(void)
{
    char bytes[64];
    int same = 0, wrong = 0;
    const wh_json_seed other = { wh_json_seed_get()->a ^ 1, wh_json_seed_get()->b };

    ok(wh_json_seed_get()->a != 0 || wh_json_seed_get()->b != 0, "a seed was drawn");
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7 + 1);
    for (apr_size_t len = 0; len <= 48; len++) {
        apr_uint32_t h = wh_json_hash(bytes, len);
        same += h == wh_json_hash_with(&other, bytes, len);
        same += h == wh_json_hash(bytes, len + 1);
        wrong += h != wh_json_hash(bytes, len);
        for (apr_size_t i = 0; i < len; i++) { /* every byte counts */
            bytes[i] ^= 0x20;
            same += h == wh_json_hash(bytes, len);
            bytes[i] ^= 0x20;
        }
    }
    is_int(wrong, 0, "a name has one hash");
    is_int(same, 0, "another seed, length or byte another one");
}

/* Members of one name: the last counts, in its place. */
static void test_duplicates(void)
{
    const wh_json_value *root;
    wh_json *doc;

    is_str(reason_of(slice("{\"a\":1,\"b\":2,\"\\u0061\":3,\"c\":4,\"a\":5,\"b\":6,\"d\":7}"), &wh_json_plain, &doc, NULL), NULL, "members of one name");
    root = wh_json_root(doc);
    is_int(wh_json_size(root), 4, "one each is left");
    is_str(wh_json_text(wh_json_get(root, "a"), pool), "5", "the last");
    is_str(wh_json_text(wh_json_get(root, "b"), pool), "6", "of each");
    ok(root->u.members[0].name[0] == 'c' && root->u.members[1].name[0] == 'a' && root->u.members[2].name[0] == 'b' && root->u.members[3].name[0] == 'd',
       "in the order of the last ones");
    for (int count = 90; count <= 5000; count = count == 90 ? 96 : count == 96 ? 97 : count * 7) {
        webhook_slice first = named((apr_size_t)count, "n"), text;
        int wrong = 0;
        apr_size_t offset;
        text = slice(apr_pstrcat(pool, apr_pstrmemdup(pool, first.data, first.len - 1), ",\"other\":1,", "\"n7\":7,\"\\u006e7\":8,\"n9\":9}", NULL));
        is_str(reason_of(text, NULL, &doc, &offset), "duplicate-name", "%d and more members", count);
        is_int(offset, first.len - 1 + 11, "noticed at the second of that name");
        is_str(reason_of(text, &wh_json_plain, &doc, NULL), NULL, "in a file");
        root = wh_json_root(doc);
        is_int(wh_json_size(root), count + 1, "one of each is left");
        is_str(wh_json_text(wh_json_get(root, "n7"), pool), "8", "the last");
        is_str(wh_json_text(wh_json_get(root, "n9"), pool), "9", "the last");
        for (int i = 0; i < count; i++)
            wrong += !wh_json_get(root, apr_psprintf(pool, "n%d", i));
        is_int(wrong, 0, "all others too");
        is_str(reason_of(named((apr_size_t)count, "n"), NULL, &doc, NULL), NULL, "without them it is taken");
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_flood();
    test_hash();
    test_duplicates();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
