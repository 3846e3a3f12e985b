/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern_parse.c: the grammar of ECMA-262's regular expressions with the u flag (ECMA-262, "Patterns", with its early errors), one pass,
 * recursive descent. Each production writes its translation as it goes; where two languages differ, the comment says how.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/encoding.h"
#include "core/json.h"
#include "validate/pattern_parts.h"

#define COST_MAX 1e12
#define LITERALS_PER_MARK 16
#define NONE ((apr_uint32_t)-1)

static int disjunction(wh_pattern_parse *ps, wh_pattern_cost *cost, int *alternatives, int *anchored);

static int fail(wh_pattern_parse *ps, const char *at, const char *why)
{
    if (!ps->error) {
        ps->error = why;
        ps->error_at = at;
    }
    return 0;
}

static void limit(wh_pattern_parse *ps, const char *what)
{
    if (!ps->limit) ps->limit = what;
}

static int looking_at(const wh_pattern_parse *ps, const char *text)
{
    apr_size_t len = strlen(text);

    return (apr_size_t)(ps->end - ps->at) >= len && !memcmp(ps->at, text, len);
}

static int take(wh_pattern_parse *ps, const char *text)
{
    if (!looking_at(ps, text)) return 0;
    ps->at += strlen(text);
    return 1;
}

/* one character of the pattern's text, which is UTF-8; NONE at the end and where it is not */
static apr_uint32_t next_char(wh_pattern_parse *ps)
{
    apr_size_t size;
    apr_uint32_t c = wh_utf8_char(ps->at, (apr_size_t)(ps->end - ps->at), &size);

    ps->at += size;
    return c;
}

/* exactly `digits` hexadecimal digits; NONE, and nothing taken, without them */
static apr_uint32_t hex_digits(wh_pattern_parse *ps, int digits)
{
    apr_uint32_t value = 0;
    int i;

    if (ps->end - ps->at < digits) return NONE;
    for (i = 0; i < digits; i++) {
        int v = wh_hex_digit(ps->at[i]);

        if (v < 0) return NONE;
        value = value << 4 | (apr_uint32_t)v;
    }
    ps->at += digits;
    return value;
}

/* after "\u": RegExpUnicodeEscapeSequence[+U], surrogate pairs joined */
static apr_uint32_t unicode_escape(wh_pattern_parse *ps)
{
    apr_uint32_t c, low;
    const char *back;

    if (take(ps, "{")) {
        int digits = 0;

        for (c = 0; ps->at < ps->end && wh_hex_digit(*ps->at) >= 0; ps->at++, digits++) {
            c = c << 4 | (apr_uint32_t)wh_hex_digit(*ps->at);
            if (c > 0x10ffff) return NONE;
        }
        return digits && take(ps, "}") ? c : NONE;
    }
    c = hex_digits(ps, 4);
    if (c == NONE || c < 0xd800 || c > 0xdbff) return c;
    back = ps->at;
    if (take(ps, "\\u") && (low = hex_digits(ps, 4)) != NONE && low >= 0xdc00 && low <= 0xdfff)
        return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    ps->at = back;
    return c;
}

/* After a backslash, and after the escapes that mean a set or a reference were looked for: CharacterEscape[+U], in a class "-" as well. */
static apr_uint32_t character_escape(wh_pattern_parse *ps, int in_class)
{
    char c;

    if (ps->at == ps->end) return NONE;
    c = *ps->at;
    if ((c == '/' || (c == '-' && in_class)) || (c && strchr("^$\\.*+?()[]{}|", c))) {
        ps->at++;
        return (apr_uint32_t)c;
    }
    ps->at++;
    switch (c) {
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    case 'b': return in_class ? '\b' : NONE;
    case '0': return ps->at < ps->end && *ps->at >= '0' && *ps->at <= '9' ? NONE : 0;
    case 'x': return hex_digits(ps, 2);
    case 'u': return unicode_escape(ps);
    case 'c':
        if (ps->at == ps->end) return NONE;
        c = *ps->at++;
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? (apr_uint32_t)(c & 0x1f) : NONE;
    default:
        return NONE;
    }
}

/* After a backslash: \d \D \s \S \w \W \p{…} \P{…}. @return 1 taken, 0 something else (or an error) */
static int class_escape(wh_pattern_parse *ps, int in_class)
{
    const char *name, *close, *property;
    char c = ps->at < ps->end ? *ps->at : '\0';

    if (c && strchr("dDsSwW", c)) {
        ps->at++;
        wh_pattern_emit_set(ps, c, in_class);
        return 1;
    }
    if (c != 'p' && c != 'P') return 0;
    name = ps->at + 2;
    close = ps->end - ps->at > 2 && ps->at[1] == '{' ? memchr(name, '}', (apr_size_t)(ps->end - name)) : NULL;
    property = close ? wh_pattern_property(name, (apr_size_t)(close - name), ps->p) : NULL;
    if (!property) return fail(ps, ps->at, "\\p takes {Property} or {Property=Value} by Unicode's exact names");
    /* Assigned, which PCRE2 lacks, is what is not unassigned */
    if (*property == '^') {
        property++;
        c = c == 'p' ? 'P' : 'p';
    }
    wh_pattern_emit(ps, c == 'p' ? "\\p{" : "\\P{");
    wh_pattern_emit(ps, property);
    wh_pattern_emit(ps, "}");
    ps->at = close + 1;
    return 1;
}

/* one end of a range. @param c the character, NONE when it was a set, which is written already */
static int class_atom(wh_pattern_parse *ps, apr_uint32_t *c)
{
    const char *at = ps->at;

    if (!take(ps, "\\")) {
        *c = next_char(ps);
        return *c != NONE || fail(ps, at, "the pattern is not UTF-8");
    }
    *c = NONE;
    if (class_escape(ps, 1)) return 1;
    *c = character_escape(ps, 1);
    return *c != NONE || fail(ps, at, "no such escape");
}

/* after "[" */
static int character_class(wh_pattern_parse *ps)
{
    const char *open = ps->at - 1;
    int negated = take(ps, "^");

    /* PCRE2's own [] does not even match zero times, and [^] is not its language */
    if (take(ps, "]")) {
        wh_pattern_emit(ps, negated ? "[\\x{0}-\\x{10ffff}]" : "(?:(?!))");
        return 1;
    }
    wh_pattern_emit(ps, negated ? "[^" : "[");
    while (ps->at < ps->end && *ps->at != ']') {
        const char *at = ps->at;
        apr_uint32_t first, last;

        if (!class_atom(ps, &first)) return 0;
        if (!looking_at(ps, "-") || (ps->end - ps->at > 1 && ps->at[1] == ']')) {
            if (first != NONE) wh_pattern_emit_char(ps, first);
            continue;
        }
        ps->at++;
        if (ps->at == ps->end) break;
        if (first != NONE) wh_pattern_emit_char(ps, first);
        wh_pattern_emit(ps, "-");
        if (!class_atom(ps, &last)) return 0;
        if (first == NONE || last == NONE) return fail(ps, at, "a range has characters for its ends");
        if (first > last) return fail(ps, at, "the ends of a range are in the wrong order");
        wh_pattern_emit_char(ps, last);
    }
    if (!take(ps, "]")) return fail(ps, open, "[ is not closed");
    wh_pattern_emit(ps, "]");
    return 1;
}

/* after "<" of a group or of \k: the name as UTF-8, to after ">". NULL: not a name */
static const char *group_name(wh_pattern_parse *ps, apr_size_t *len)
{
    const char *at, *close = memchr(ps->at, '>', (apr_size_t)(ps->end - ps->at));
    char *name, *n;

    if (!close) return NULL;
    name = n = apr_palloc(ps->p, (apr_size_t)(close - ps->at) + 1);
    while (ps->at < close) {
        apr_uint32_t c;

        at = ps->at;
        if (!take(ps, "\\")) {
            if (next_char(ps) == NONE) return NULL;
            while (at < ps->at) *n++ = *at++;
            continue;
        }
        c = take(ps, "u") ? unicode_escape(ps) : NONE;
        if (c == NONE || (c >= 0xd800 && c <= 0xdfff)) return NULL;
        /* never longer than its escape */
        if (c >= 0x10000) *n++ = (char)(0xf0 | c >> 18);
        if (c >= 0x800) *n++ = (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3f) : 0xe0 | c >> 12);
        if (c >= 0x80) *n++ = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6);
        *n++ = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    /* an escape may have run past it */
    if (ps->at != close) return NULL;
    ps->at++;
    *n = '\0';
    *len = (apr_size_t)(n - name);
    return wh_pattern_is_name(ps, name, *len) ? name : NULL;
}

/*
 * The capturing groups of the whole pattern, which a reference may precede. Malformed parts are left to the parse proper; what matters is that
 * a well-formed pattern is counted right.
 */
static int count_groups(wh_pattern_parse *ps)
{
    int in_class = 0;
    const char *begin = ps->at;

    for (; ps->at < ps->end; ps->at++) {
        const char *at = ps->at, *name;
        apr_size_t len;

        if (*at == '\\') {
            if (ps->at + 1 < ps->end) ps->at++;
        } else if (in_class) {
            in_class = *at != ']';
        } else if (*at == '[') {
            in_class = 1;
        } else if (*at == '(' && !looking_at(ps, "(?")) {
            ps->groups++;
        } else if (*at == '(' && looking_at(ps, "(?<") && !looking_at(ps, "(?<=") && !looking_at(ps, "(?<!")) {
            ps->groups++;
            ps->at += 3;
            name = group_name(ps, &len);
            if (!name) return fail(ps, at, "(?< is not followed by a name and >");
            /* "format": "regex" brings a sender here, with as many names as fit into a body */
            if (!ps->names) ps->names = apr_hash_make_custom(ps->p, wh_json_hash_key);
            if (apr_hash_get(ps->names, name, (apr_ssize_t)len)) return fail(ps, at, "two groups have one name");
            apr_hash_set(ps->names, name, (apr_ssize_t)len, (const void *)(apr_uintptr_t)ps->groups);
            ps->at--;
        }
    }
    ps->at = begin;
    return 1;
}

/* In a group of its own: PCRE2's JIT does not take a repeated reference to what is unset as the interpreter does, and so each turn is charged. */
static void reference(wh_pattern_parse *ps, unsigned group, wh_pattern_cost *cost)
{
    wh_pattern_emit(ps, "(?:");
    wh_pattern_mark(ps, WH_MARK_BACKREF);
    if (ps->emitting) wh_pattern_emit(ps, apr_psprintf(ps->p, "\\g{%u}", group));
    wh_pattern_mark(ps, WH_MARK_PLAIN);
    wh_pattern_emit(ps, ")");
    cost->unbounded = 1;
}

static void spend(wh_pattern_cost *cost, double paths, double work)
{
    cost->paths = paths < COST_MAX ? paths : COST_MAX;
    cost->work = work < COST_MAX ? work : COST_MAX;
}

/* what an atom was, for its quantifier and its marks */
typedef enum atom_kind { ATOM_NONE, ATOM_ASSERTION, ATOM_CHAR, ATOM_REFERENCE, ATOM_GROUP } atom_kind;

/* after "\", outside a class */
static atom_kind atom_escape(wh_pattern_parse *ps, wh_pattern_cost *cost)
{
    const char *at = ps->at - 1;
    apr_uint32_t c;

    if (ps->at < ps->end && *ps->at >= '1' && *ps->at <= '9') {
        unsigned group = 0;

        for (; ps->at < ps->end && *ps->at >= '0' && *ps->at <= '9'; ps->at++)
            if (group <= ps->groups) group = group * 10 + (unsigned)(*ps->at - '0');
        if (group > ps->groups) return fail(ps, at, "there is no group of that number"), ATOM_NONE;
        reference(ps, group, cost);
        return ATOM_REFERENCE;
    }
    if (take(ps, "k")) {
        apr_size_t len;
        const char *name = take(ps, "<") ? group_name(ps, &len) : NULL;
        void *group = name && ps->names ? apr_hash_get(ps->names, name, (apr_ssize_t)len) : NULL;

        if (!group) return fail(ps, at, "\\k takes <name> of a group there is"), ATOM_NONE;
        reference(ps, (unsigned)(apr_uintptr_t)group, cost);
        return ATOM_REFERENCE;
    }
    if (class_escape(ps, 0)) return ATOM_CHAR;
    c = character_escape(ps, 0);
    if (c == NONE) return fail(ps, at, "no such escape"), ATOM_NONE;
    wh_pattern_emit_char(ps, c);
    return ATOM_CHAR;
}

/* after "(": its mark is at *mark until the caller knows better */
static atom_kind group(wh_pattern_parse *ps, wh_pattern_cost *cost, apr_size_t *mark, int *alternatives)
{
    const char *open = ps->at - 1;
    atom_kind kind = ATOM_GROUP;
    int anchored;
    apr_size_t len;

    if (++ps->depth > WH_PATTERN_NESTING) return fail(ps, open, "groups are nested too deeply"), ATOM_NONE;
    if (take(ps, "?:")) wh_pattern_emit(ps, "(?:");
    else if (take(ps, "?=")) wh_pattern_emit(ps, "(?="), kind = ATOM_ASSERTION;
    else if (take(ps, "?!")) wh_pattern_emit(ps, "(?!"), kind = ATOM_ASSERTION;
    else if (take(ps, "?<=")) wh_pattern_emit(ps, "(?<="), kind = ATOM_ASSERTION;
    else if (take(ps, "?<!")) wh_pattern_emit(ps, "(?<!"), kind = ATOM_ASSERTION;
    else if (!looking_at(ps, "?")) wh_pattern_emit(ps, "("), ps->groups_open++;
    else if (take(ps, "?<") && group_name(ps, &len)) wh_pattern_emit(ps, "("), ps->groups_open++;
    else return fail(ps, open, "no such kind of group"), ATOM_NONE;
    if (ps->groups_open > WH_PATTERN_COUNT) limit(ps, "more than 65535 groups");
    *mark = ps->out_len;
    if (!disjunction(ps, cost, alternatives, &anchored)) return ATOM_NONE;
    if (!take(ps, ")")) return fail(ps, open, "( is not closed"), ATOM_NONE;
    wh_pattern_emit(ps, ")");
    ps->depth--;
    return kind;
}

static atom_kind atom(wh_pattern_parse *ps, wh_pattern_cost *cost, apr_size_t *mark, int *alternatives)
{
    const char *at = ps->at;
    apr_uint32_t c;

    if (take(ps, "^") || take(ps, "$") || take(ps, "\\b") || take(ps, "\\B")) {
        char text[3] = { at[0], ps->at - at > 1 ? at[1] : '\0', '\0' };

        wh_pattern_emit(ps, text);
        return ATOM_ASSERTION;
    }
    if (take(ps, "(")) return group(ps, cost, mark, alternatives);
    if (take(ps, ".")) {
        wh_pattern_emit(ps, "[^\\n\\r\\x{2028}\\x{2029}]");
        return ATOM_CHAR;
    }
    if (take(ps, "[")) return character_class(ps) ? ATOM_CHAR : ATOM_NONE;
    if (take(ps, "\\")) return atom_escape(ps, cost);
    c = next_char(ps);
    if (c == NONE) return fail(ps, at, "the pattern is not UTF-8"), ATOM_NONE;
    if (c < 0x80 && c && strchr("*+?{}])", (int)c)) {
        fail(ps, at, c == ']' || c == '}' || c == ')' ? "nothing opens what is closed here" : "there is nothing to repeat");
        return ATOM_NONE;
    }
    wh_pattern_emit_char(ps, c);
    return ATOM_CHAR;
}

/* A count of any length: its value up to WH_PATTERN_COUNT + 1. Comparing is by text, for both may be beyond. */
static int count(wh_pattern_parse *ps, unsigned *value, const char **digits, apr_size_t *len)
{
    const char *at = ps->at;

    for (*value = 0; ps->at < ps->end && *ps->at >= '0' && *ps->at <= '9'; ps->at++)
        if (*value <= WH_PATTERN_COUNT) *value = *value * 10 + (unsigned)(*ps->at - '0');
    if (ps->at == at) return 0;
    while (at + 1 < ps->at && *at == '0') at++;
    *digits = at;
    *len = (apr_size_t)(ps->at - at);
    if (*value > WH_PATTERN_COUNT) {
        *value = WH_PATTERN_COUNT;
        limit(ps, "a count over 65535");
    }
    return 1;
}

#define FOREVER ((unsigned)-1)

/* @return 1 a quantifier, 0 none; an error is in ps */
static int quantifier(wh_pattern_parse *ps, unsigned *min, unsigned *max)
{
    const char *at = ps->at, *low, *high;
    apr_size_t low_len, high_len;

    *min = *max = 1;
    if (take(ps, "*")) *min = 0, *max = FOREVER;
    else if (take(ps, "+")) *max = FOREVER;
    else if (take(ps, "?")) *min = 0;
    else if (take(ps, "{")) {
        if (!count(ps, min, &low, &low_len)) return fail(ps, at, "{ is not followed by a count");
        *max = *min;
        if (take(ps, ",")) {
            if (!count(ps, max, &high, &high_len)) *max = FOREVER;
            else if (low_len > high_len || (low_len == high_len && memcmp(low, high, low_len) > 0))
                return fail(ps, at, "the counts are in the wrong order");
        }
        if (!take(ps, "}")) return fail(ps, at, "{ is not closed");
    } else {
        return 0;
    }
    take(ps, "?");
    return 1;
}

static unsigned weight(unsigned times)
{
    unsigned n = 0;

    while (1u << n < times) n++;
    return n;
}

static double power(double base, unsigned times)
{
    double value = 1;

    while (times-- && value < COST_MAX) {
        value *= base;
        if (base <= 1) break;
    }
    return value;
}

/* what the quantifier of one atom costs, and where its marks go: from is where the atom's translation begins */
static void repeat(wh_pattern_parse *ps, atom_kind kind, apr_size_t from, unsigned min, unsigned max, wh_pattern_cost *cost)
{
    if (kind == ATOM_GROUP) {
        if (max == FOREVER || cost->runs) {
            cost->unbounded = 1;
        } else if (max == 0) {
            spend(cost, 1, 0);
        } else {
            spend(cost, power(cost->paths + (min < max), max), cost->work * max);
        }
        return;
    }
    /* A fixed count is charged before it is tried, for it may fail at its last character; of a run the callout behind it sees the length. */
    if (min > LITERALS_PER_MARK) wh_pattern_mark_at(ps, from, weight(min));
    if (min != max) {
        wh_pattern_mark_at(ps, from, WH_MARK_PLAIN);
        wh_pattern_mark(ps, WH_MARK_PLAIN);
    }
    if (max == FOREVER) {
        cost->runs++;
        spend(cost, cost->paths, cost->work + min);
    } else {
        spend(cost, cost->paths * (max - min + 1), cost->work + max);
    }
}

static int term(wh_pattern_parse *ps, wh_pattern_cost *whole)
{
    wh_pattern_cost cost = { 1, 1, 0, 0 };
    const char *at, *quantified;
    apr_size_t from, since, mark = 0;
    unsigned min, max;
    int alternatives = 0;
    atom_kind kind;

    if (ps->since_mark >= LITERALS_PER_MARK) wh_pattern_mark(ps, WH_MARK_PLAIN);
    from = ps->out_len;
    since = ps->since_mark;
    kind = atom(ps, &cost, &mark, &alternatives);
    if (kind == ATOM_NONE) return 0;
    if (kind == ATOM_CHAR) ps->since_mark++;
    at = quantified = ps->at;
    if (quantifier(ps, &min, &max)) {
        if (kind == ATOM_ASSERTION) return fail(ps, at, "an assertion cannot be repeated");
        if (ps->emitting) {
            /* a count is written anew: without leading zeros, within the engine's limit */
            const char *lazy = ps->at[-1] == '?' && ps->at - quantified > 1 ? "?" : "";

            if (max == FOREVER) wh_pattern_emit(ps, apr_psprintf(ps->p, "{%u,}%s", min, lazy));
            else wh_pattern_emit(ps, apr_psprintf(ps->p, "{%u,%u}%s", min, max, lazy));
        }
        repeat(ps, kind, from, min, max, &cost);
    } else {
        if (ps->error) return 0;
        /* a group that is gone through once, one way, needs no callout of its own */
        if (kind == ATOM_GROUP && alternatives == 1) {
            wh_pattern_unmark_at(ps, mark);
            ps->since_mark += since;
        }
    }
    spend(whole, whole->paths * cost.paths, whole->work + cost.work);
    whole->runs += cost.runs;
    whole->unbounded |= cost.unbounded;
    return 1;
}

/* to ")" or the end. @param anchored answer: whether every alternative begins with ^ */
static int disjunction(wh_pattern_parse *ps, wh_pattern_cost *cost, int *alternatives, int *anchored)
{
    *anchored = 1;
    *alternatives = 0;
    *cost = (wh_pattern_cost){ 0, 0, 0, 0 };
    do {
        wh_pattern_cost one = { 1, 0, 0, 0 };

        if ((*alternatives)++) wh_pattern_emit(ps, "|");
        wh_pattern_mark(ps, WH_MARK_PLAIN);
        if (!looking_at(ps, "^")) *anchored = 0;
        while (ps->at < ps->end && *ps->at != '|' && *ps->at != ')')
            if (!term(ps, &one)) return 0;
        spend(cost, cost->paths + one.paths, cost->work + one.work);
        cost->runs += one.runs;
        cost->unbounded |= one.unbounded;
    } while (take(ps, "|"));
    return 1;
}

int wh_pattern_parse_text(wh_pattern_parse *ps)
{
    int alternatives;

    ps->start = ps->at;
    if (!count_groups(ps) || !disjunction(ps, &ps->cost, &alternatives, &ps->anchored)) return 0;
    if (ps->at < ps->end) return fail(ps, ps->at, "nothing opens what is closed here");
    return 1;
}
