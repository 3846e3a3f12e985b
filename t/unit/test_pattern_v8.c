/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ECMA-262 patterns against a reference implementation: random patterns, most of them wrong somewhere or odd, and what V8 says of each over 49
 * subjects (vectors/pattern_v8.js; node when there is one). WEBHOOK_SEED and WEBHOOK_PATTERNS make other and longer runs.
 */
#include <apr_general.h>
#include <apr_pools.h>
#include <unistd.h>

#include "tap.h"
#include "validate/pattern.h"

#define SUBJECTS 49
#define SHOWN 10

typedef struct subject {
    char *text;
    apr_size_t len;
} subject;

static int hex(char c)
{
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* in place, to a space or the end of the line. @return its bytes; *next is behind it */
static apr_size_t unhex(char *text, char **next)
{
    apr_size_t n = 0;
    char *in = text;

    if (*in == '-') in++;
    for (; *in && *in != ' ' && *in != '\n'; in += 2) text[n++] = (char)(hex(in[0]) << 4 | hex(in[1]));
    *next = *in == ' ' ? in + 1 : in;
    return n;
}

static void show(const char *what, const char *pattern, apr_size_t len, const char *detail)
{
    char text[400], *t = text;
    apr_size_t i;

    for (i = 0; i < len && t < text + sizeof(text) - 8; i++) {
        unsigned char c = (unsigned char)pattern[i];

        if (c >= ' ' && c < 0x7f) *t++ = (char)c;
        else t += snprintf(t, 6, "<%02x>", c);
    }
    *t = '\0';
    diag("%s: %s (%s)", what, text, detail);
}

int main(void)
{
    const char *seed = getenv("WEBHOOK_SEED"), *rounds = getenv("WEBHOOK_PATTERNS");
    char *line = NULL, *command, *at, *texts;
    subject subjects[SUBJECTS];
    size_t size = 0;
    int n = 0, i, patterns = 0, both = 0, equal = 0, rejected = 0, loose = 0, limits = 0, strict = 0, exhausted = 0, shown = 0;
    apr_pool_t *pool, *p;
    FILE *node;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (system("node --version >/dev/null 2>&1")) skip_all("no node here, so no V8 to ask");
    if (asprintf(&command, "node t/unit/vectors/pattern_v8.js %lu %lu", seed ? strtoul(seed, NULL, 10) : 20261126ul,
                 rounds ? strtoul(rounds, NULL, 10) : 30000ul) < 0)
        return 1;
    node = popen(command, "r");
    if (!node || getline(&line, &size, node) < 3 || line[0] != 'S') {
        ok(0, "V8 answers");
        return tap_done();
    }
    at = texts = strdup(line + 2);
    for (n = 0; n < SUBJECTS && *at && *at != '\n'; n++) {
        subjects[n].text = at;
        subjects[n].len = unhex(at, &at);
    }
    is_int(n, SUBJECTS, "the subjects");
    while (getline(&line, &size, node) > 0) {
        char *pattern = line, *verdict, *end;
        const char *error, *invalid;
        apr_size_t len = unhex(line, &verdict);
        wh_pattern *re;
        wh_pattern_budget budget;
        int good = 1;

        end = verdict + strlen(verdict);
        if (end > verdict && end[-1] == '\n') *--end = '\0';
        patterns++;
        apr_pool_create(&p, pool);
        error = wh_pattern_compile(&re, pattern, len, p);
        invalid = wh_pattern_check(pattern, len, p);
        if (*verdict == 'R') {
            rejected++;
            if (error && invalid) goto next;
            loose++;
            if (shown++ < SHOWN) show("V8 rejects", pattern, len, "");
            goto next;
        }
        if (invalid) {
            strict++;
            if (shown++ < SHOWN) show("V8 accepts", pattern, len, invalid);
            goto next;
        }
        if (error) {
            limits++;
            goto next;
        }
        both++;
        for (i = 0; i < SUBJECTS && good; i++) {
            int match;

            wh_pattern_budget_init(&budget, WH_PATTERN_STEPS, p);
            match = wh_pattern_match(re, subjects[i].text, subjects[i].len, &budget);
            if (match < 0) exhausted++;
            else if (match != verdict[i] - '0') {
                good = 0;
                if (shown++ < SHOWN) {
                    char detail[80];

                    snprintf(detail, sizeof(detail), "subject %d, V8 says %c", i, verdict[i]);
                    show("verdicts differ", pattern, len, detail);
                }
            }
        }
        equal += good;
    next:
        apr_pool_destroy(p);
    }
    pclose(node);
    free(command);
    free(texts);
    free(line);
    diag("%d patterns: V8 rejects %d; beyond the engine %d; compared %d", patterns, rejected, limits, both);
    ok(patterns >= (rounds ? 1 : 30000), "all patterns came (%d)", patterns);
    is_int(loose, 0, "V8 rejects and we accept");
    is_int(strict, 0, "V8 accepts and our grammar does not");
    is_int(both - equal, 0, "verdicts differ");
    /* the odd one really does need its millions of turns, on six characters */
    ok(exhausted * 1000 < both, "few matches exhaust their budget (%d)", exhausted);
    ok(both > patterns / 20, "enough were compared (%d)", both);
    ok(limits * 20 < both, "few are beyond the engine (%d)", limits);
    apr_pool_destroy(pool);
    return tap_done();
}
