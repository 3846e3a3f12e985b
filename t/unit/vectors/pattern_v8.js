// SPDX-License-Identifier: Apache-2.0
//
// What V8 says of random patterns: node pattern_v8.js SEED COUNT. First a line "S" and the subjects in hexadecimal, then a line for each
// pattern: its UTF-8 in hexadecimal ("-" for nothing), a space, and "R" when V8 rejects it, else a digit for each subject: 1 it matches.
"use strict";

let state = Number(process.argv[2]) >>> 0 || 1;
const rounds = Number(process.argv[3]) || 1000;

// xorshift32: the same patterns from the same seed everywhere
function rnd(n) {
    state ^= state << 13; state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5; state >>>= 0;
    return state % n;
}
const pick = (list) => list[rnd(list.length)];

// Nothing long, for V8 has no bound on its time. Nothing on which it is known to differ from ECMA-262 or its Unicode version from others: no character beyond U+FFFF beside another, for it
// finds \B between the halves of a pair; no combining marks (their Script_Extensions grow).
const subjects = ["", "a", "b", "ab", "ba", "aa", "aab", "abab", "abc", "a\n", "\n", "a\nb", "A", "0", "9a", "a9", "_", "-", "a-b", "]", "[", "^", "$",
    "\\", "{", "}", "{2}", "a{2}", "\u00e9", "\u00f1", "\u00a0", " ", "\t", "\u000b", "\u2028", "\ufeff", "\u180e", "\u0085", "\u017f",
    "\u212a", "\u{1f600}", "\u{1f601}", "\u{10ffff}", "\ud7ff\ue000", "\0", "a\0b", "\u0663", "\u03b1\u0391", "aaaaab"];

const chars = ["a", "b", "c", "A", "0", "9", "_", "-", "\u00e9", "\u{1f600}", "\n", " ", "/", ",", ":", "=", "!", "<", ">", "\0", "\u2028"];
const escapes = ["\\d", "\\D", "\\s", "\\S", "\\w", "\\W", "\\n", "\\t", "\\v", "\\f", "\\r", "\\0", "\\cA", "\\cj", "\\x41", "\\u0061", "\\u{1f600}",
    "\\ud83d\\ude00", "\\ud83d", "\\ude00", "\\^", "\\$", "\\\\", "\\.", "\\*", "\\+", "\\?", "\\(", "\\)", "\\[", "\\]", "\\{", "\\}", "\\|", "\\/",
    "\\p{L}", "\\p{Letter}", "\\P{Lu}", "\\p{Script=Greek}", "\\p{scx=Latin}", "\\p{ASCII}", "\\p{Any}", "\\p{Assigned}", "\\P{Assigned}", "\\p{gc=Nd}",
    "\\p{digit}", "\\p{Alphabetic}", "\\u{61}", "\\u{000061}"];
const wrong = ["\\a", "\\e", "\\A", "\\z", "\\Z", "\\G", "\\h", "\\R", "\\K", "\\N", "\\X", "\\Q", "\\E", "(?i)", "(?#x)", "(?P<n>", "(?>", "(*FAIL)",
    "a++", "a*+", "{", "}", "]", ")", "(", "[", "\\", "\\1", "\\2", "\\9", "\\00", "\\07", "\\8", "\\u", "\\u{", "\\u{110000}", "\\u{}", "\\x", "\\x4",
    "\\xg1", "\\c", "\\c1", "\\p", "\\pL", "\\p{}", "\\p{letter}", "\\p{L", "\\p{Foo}", "\\p{IsGreek}", "\\p{Greek}", "\\p{Script}", "\\p{gc=Greek}",
    "\\k", "\\k<", "\\k<n>", "\\k<m>", "\\-", "\\_", "\\ ", "\\b*", "^*", "$+", "(?=a)*", "(?!a)?", "(?<=a)+", "*", "+", "?", "{1}", "{1", "{,2}", "{2,1}",
    "a{1", "a{x}", "[b-a]", "[\\d-a]", "[a-\\w]", "[--a]", "[\\b]", "[\\B]", "[\\-]", "\\B", "\\b", "(?<n>a)", "(?<n>b)", "(?<\\u006e>a)", "(?<1>a)", "(?<>a)",
    "(?<a b>x)", "(?<$_1>a)", "(?<\u00e9>a)", "(?<\ud83d\ude00>a)", "a{0}", "a{00}", "a{02,3}", "a{9007199254740992,9007199254740993}", "[[:alpha:]]", "[]", "[^]",
    "[]]", "[^]]", "[a", "(?", "(?<", "(?:", "(?=", "(?<=a*)b", "(?<!ab|c)", "\\d-", "a|*", "||", "()", "(|a)", "(?:)", "(?<=)", "[a-]", "[-a]", "[a-a]", "(?-i:a)", "(?i:a)",
    "(?<a>x)(?<b>y)", "\\k<a>", "(?!)", "a??", "a{1,2}?", "a{2}{3}", "(?:a)??", "\ud83d\ude00{2}", ".", "..", "^", "$", "^$"];

function classAtom() {
    return rnd(3) ? pick(["a", "b", "c", "z", "0", "9", "_", ".", "*", "$", "(", "[", "{", ":", "\u00e9", "\u{1f600}", "\n", "^", "-", "|"]) : pick(escapes);
}

function charClass() {
    let s = rnd(3) ? "[" : "[^";
    for (let n = rnd(4); n > 0; n--) s += rnd(4) ? classAtom() : classAtom() + "-" + classAtom();
    return s + "]";
}

function atom(depth, groups) {
    const kind = rnd(24);
    if (kind < 8) return pick(chars);
    if (kind < 11) return pick(escapes);
    if (kind < 13) return ".";
    if (kind < 15) return charClass();
    if (kind < 17 && depth < 4) { groups.n++; return "(" + disjunction(depth + 1, groups) + ")"; }
    if (kind < 18 && depth < 4) return "(?:" + disjunction(depth + 1, groups) + ")";
    if (kind < 19 && depth < 4) return pick(["(?=", "(?!", "(?<=", "(?<!"]) + disjunction(depth + 1, groups) + ")";
    if (kind < 20) return pick(["^", "$", "\\b", "\\B"]);
    if (kind < 21 && groups.refs) return "\\" + (1 + rnd(groups.n + 1));
    if (kind < 22 && rnd(3) === 0) return pick(wrong);
    return pick(chars);
}

function disjunction(depth, groups) {
    let s = "";
    for (let alternatives = 1 + (rnd(4) === 0 ? 1 + rnd(2) : 0); alternatives > 0; alternatives--) {
        for (let n = rnd(4); n > 0; n--) {
            s += atom(depth, groups);
            if (rnd(4) === 0) s += pick(["*", "+", "?", "{2}", "{0,2}", "{1,}", "{0}", "*?", "+?", "??", "{1,2}?"]);
        }
        if (alternatives > 1) s += "|";
    }
    return s;
}

function random() {
    switch (rnd(8)) {
    case 0: {   // soup
        let s = "";
        for (let n = 1 + rnd(5); n > 0; n--) s += pick(rnd(2) ? wrong : rnd(2) ? escapes : chars);
        return s;
    }
    case 1: {   // one thing wrong in something right
        const s = disjunction(0, { n: 0, refs: false });
        const at = rnd(s.length + 1);
        return rnd(2) ? s.slice(0, at) + pick(wrong) + s.slice(at) : s.slice(0, at) + s.slice(at + 1);
    }
    default:
        return disjunction(0, { n: 0, refs: rnd(4) === 0 });
    }
}

const hex = (s) => Buffer.from(s, "utf8").toString("hex") || "-";
// half of a surrogate pair has no UTF-8
const whole = (s) => !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(s);

const out = ["S " + subjects.map(hex).join(" ")];
for (let i = 0; i < rounds; i++) {
    let pattern = random();
    while (!whole(pattern)) pattern = random();
    let re;
    try {
        re = new RegExp(pattern, "u");
    } catch (e) {
        out.push(hex(pattern) + " R");
        continue;
    }
    out.push(hex(pattern) + " " + subjects.map((s) => re.test(s) ? "1" : "0").join(""));
}
process.stdout.write(out.join("\n") + "\n");
