/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern_names.c: the names ECMA-262 knows after \p (its tables 67 to 69, which take them from Unicode's PropertyAliases.txt and
 * PropertyValueAliases.txt): exact, case-sensitive, while PCRE2 ignores case, spaces and hyphens, knows other names, and lacks the long names
 * of general categories. A name that is ECMA-262's and unknown to this machine's PCRE2 (a newer script) fails when the translation is compiled.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "validate/pattern_parts.h"

typedef struct category {
    const char *name, *abbreviation;
} category;

/* General_Category values and their aliases; each table is in strcmp's order */
static const category categories[] = {
    { "C", "C" }, { "Cased_Letter", "L&" }, { "Cc", "Cc" }, { "Cf", "Cf" }, { "Close_Punctuation", "Pe" }, { "Cn", "Cn" }, { "Co", "Co" },
    { "Combining_Mark", "M" }, { "Connector_Punctuation", "Pc" }, { "Control", "Cc" }, { "Cs", "Cs" }, { "Currency_Symbol", "Sc" },
    { "Dash_Punctuation", "Pd" }, { "Decimal_Number", "Nd" }, { "Enclosing_Mark", "Me" }, { "Final_Punctuation", "Pf" },
    { "Format", "Cf" }, { "Initial_Punctuation", "Pi" }, { "L", "L" }, { "LC", "L&" }, { "Letter", "L" }, { "Letter_Number", "Nl" },
    { "Line_Separator", "Zl" }, { "Ll", "Ll" }, { "Lm", "Lm" }, { "Lo", "Lo" }, { "Lowercase_Letter", "Ll" }, { "Lt", "Lt" },
    { "Lu", "Lu" }, { "M", "M" }, { "Mark", "M" }, { "Math_Symbol", "Sm" }, { "Mc", "Mc" }, { "Me", "Me" }, { "Mn", "Mn" },
    { "Modifier_Letter", "Lm" }, { "Modifier_Symbol", "Sk" }, { "N", "N" }, { "Nd", "Nd" }, { "Nl", "Nl" }, { "No", "No" },
    { "Nonspacing_Mark", "Mn" }, { "Number", "N" }, { "Open_Punctuation", "Ps" }, { "Other", "C" }, { "Other_Letter", "Lo" },
    { "Other_Number", "No" }, { "Other_Punctuation", "Po" }, { "Other_Symbol", "So" }, { "P", "P" }, { "Paragraph_Separator", "Zp" },
    { "Pc", "Pc" }, { "Pd", "Pd" }, { "Pe", "Pe" }, { "Pf", "Pf" }, { "Pi", "Pi" }, { "Po", "Po" }, { "Private_Use", "Co" },
    { "Ps", "Ps" }, { "Punctuation", "P" }, { "S", "S" }, { "Sc", "Sc" }, { "Separator", "Z" }, { "Sk", "Sk" }, { "Sm", "Sm" },
    { "So", "So" }, { "Space_Separator", "Zs" }, { "Spacing_Mark", "Mc" }, { "Surrogate", "Cs" }, { "Symbol", "S" },
    { "Titlecase_Letter", "Lt" }, { "Unassigned", "Cn" }, { "Uppercase_Letter", "Lu" }, { "Z", "Z" }, { "Zl", "Zl" }, { "Zp", "Zp" },
    { "Zs", "Zs" }, { "cntrl", "Cc" }, { "digit", "Nd" }, { "punct", "P" },
};

static const char *const scripts[] = {
    "Adlam", "Adlm", "Aghb", "Ahom", "Anatolian_Hieroglyphs", "Arab", "Arabic", "Armenian", "Armi", "Armn", "Avestan", "Avst", "Bali",
    "Balinese", "Bamu", "Bamum", "Bass", "Bassa_Vah", "Batak", "Batk", "Beng", "Bengali", "Bhaiksuki", "Bhks", "Bopo", "Bopomofo", "Brah",
    "Brahmi", "Brai", "Braille", "Bugi", "Buginese", "Buhd", "Buhid", "Cakm", "Canadian_Aboriginal", "Cans", "Cari", "Carian",
    "Caucasian_Albanian", "Chakma", "Cham", "Cher", "Cherokee", "Chorasmian", "Chrs", "Common", "Copt", "Coptic", "Cpmn", "Cprt",
    "Cuneiform", "Cypriot", "Cypro_Minoan", "Cyrillic", "Cyrl", "Deseret", "Deva", "Devanagari", "Diak", "Dives_Akuru", "Dogr", "Dogra",
    "Dsrt", "Dupl", "Duployan", "Egyp", "Egyptian_Hieroglyphs", "Elba", "Elbasan", "Elym", "Elymaic", "Ethi", "Ethiopic", "Geor",
    "Georgian", "Glag", "Glagolitic", "Gong", "Gonm", "Goth", "Gothic", "Gran", "Grantha", "Greek", "Grek", "Gujarati", "Gujr",
    "Gunjala_Gondi", "Gurmukhi", "Guru", "Han", "Hang", "Hangul", "Hani", "Hanifi_Rohingya", "Hano", "Hanunoo", "Hatr", "Hatran", "Hebr",
    "Hebrew", "Hira", "Hiragana", "Hluw", "Hmng", "Hmnp", "Hung", "Imperial_Aramaic", "Inherited", "Inscriptional_Pahlavi",
    "Inscriptional_Parthian", "Ital", "Java", "Javanese", "Kaithi", "Kali", "Kana", "Kannada", "Katakana", "Kawi", "Kayah_Li", "Khar",
    "Kharoshthi", "Khitan_Small_Script", "Khmer", "Khmr", "Khoj", "Khojki", "Khudawadi", "Kits", "Knda", "Kthi", "Lana", "Lao", "Laoo",
    "Latin", "Latn", "Lepc", "Lepcha", "Limb", "Limbu", "Lina", "Linb", "Linear_A", "Linear_B", "Lisu", "Lyci", "Lycian", "Lydi",
    "Lydian", "Mahajani", "Mahj", "Maka", "Makasar", "Malayalam", "Mand", "Mandaic", "Mani", "Manichaean", "Marc", "Marchen",
    "Masaram_Gondi", "Medefaidrin", "Medf", "Meetei_Mayek", "Mend", "Mende_Kikakui", "Merc", "Mero", "Meroitic_Cursive",
    "Meroitic_Hieroglyphs", "Miao", "Mlym", "Modi", "Mong", "Mongolian", "Mro", "Mroo", "Mtei", "Mult", "Multani", "Myanmar", "Mymr",
    "Nabataean", "Nag_Mundari", "Nagm", "Nand", "Nandinagari", "Narb", "Nbat", "New_Tai_Lue", "Newa", "Nko", "Nkoo", "Nshu", "Nushu",
    "Nyiakeng_Puachue_Hmong", "Ogam", "Ogham", "Ol_Chiki", "Olck", "Old_Hungarian", "Old_Italic", "Old_North_Arabian", "Old_Permic",
    "Old_Persian", "Old_Sogdian", "Old_South_Arabian", "Old_Turkic", "Old_Uyghur", "Oriya", "Orkh", "Orya", "Osage", "Osge", "Osma",
    "Osmanya", "Ougr", "Pahawh_Hmong", "Palm", "Palmyrene", "Pau_Cin_Hau", "Pauc", "Perm", "Phag", "Phags_Pa", "Phli", "Phlp", "Phnx",
    "Phoenician", "Plrd", "Prti", "Psalter_Pahlavi", "Qaac", "Qaai", "Rejang", "Rjng", "Rohg", "Runic", "Runr", "Samaritan", "Samr",
    "Sarb", "Saur", "Saurashtra", "Sgnw", "Sharada", "Shavian", "Shaw", "Shrd", "Sidd", "Siddham", "SignWriting", "Sind", "Sinh",
    "Sinhala", "Sogd", "Sogdian", "Sogo", "Sora", "Sora_Sompeng", "Soyo", "Soyombo", "Sund", "Sundanese", "Sylo", "Syloti_Nagri", "Syrc",
    "Syriac", "Tagalog", "Tagb", "Tagbanwa", "Tai_Le", "Tai_Tham", "Tai_Viet", "Takr", "Takri", "Tale", "Talu", "Tamil", "Taml", "Tang",
    "Tangsa", "Tangut", "Tavt", "Telu", "Telugu", "Tfng", "Tglg", "Thaa", "Thaana", "Thai", "Tibetan", "Tibt", "Tifinagh", "Tirh",
    "Tirhuta", "Tnsa", "Toto", "Ugar", "Ugaritic", "Unknown", "Vai", "Vaii", "Vith", "Vithkuqi", "Wancho", "Wara", "Warang_Citi", "Wcho",
    "Xpeo", "Xsux", "Yezi", "Yezidi", "Yi", "Yiii", "Zanabazar_Square", "Zanb", "Zinh", "Zyyy", "Zzzz",
};

static const char *const binaries[] = {
    "AHex", "ASCII", "ASCII_Hex_Digit", "Alpha", "Alphabetic", "Any", "Assigned", "Bidi_C", "Bidi_Control", "Bidi_M", "Bidi_Mirrored",
    "CI", "CWCF", "CWCM", "CWKCF", "CWL", "CWT", "CWU", "Case_Ignorable", "Cased", "Changes_When_Casefolded", "Changes_When_Casemapped",
    "Changes_When_Lowercased", "Changes_When_NFKC_Casefolded", "Changes_When_Titlecased", "Changes_When_Uppercased", "DI", "Dash",
    "Default_Ignorable_Code_Point", "Dep", "Deprecated", "Dia", "Diacritic", "EBase", "EComp", "EMod", "EPres", "Emoji",
    "Emoji_Component", "Emoji_Modifier", "Emoji_Modifier_Base", "Emoji_Presentation", "Ext", "ExtPict", "Extended_Pictographic",
    "Extender", "Gr_Base", "Gr_Ext", "Grapheme_Base", "Grapheme_Extend", "Hex", "Hex_Digit", "IDC", "IDS", "IDSB", "IDST",
    "IDS_Binary_Operator", "IDS_Trinary_Operator", "ID_Continue", "ID_Start", "Ideo", "Ideographic", "Join_C", "Join_Control", "LOE",
    "Logical_Order_Exception", "Lower", "Lowercase", "Math", "NChar", "Noncharacter_Code_Point", "Pat_Syn", "Pat_WS", "Pattern_Syntax",
    "Pattern_White_Space", "QMark", "Quotation_Mark", "RI", "Radical", "Regional_Indicator", "SD", "STerm", "Sentence_Terminal",
    "Soft_Dotted", "Term", "Terminal_Punctuation", "UIdeo", "Unified_Ideograph", "Upper", "Uppercase", "VS", "Variation_Selector",
    "White_Space", "XIDC", "XIDS", "XID_Continue", "XID_Start", "space",
};

typedef struct wanted {
    const char *name;
    apr_size_t len;
} wanted;

/* the first member of an entry is its name, of a category as of a plain list */
static int compare(const void *key, const void *entry)
{
    const wanted *w = key;
    const char *name = *(const char *const *)entry;
    int order = strncmp(w->name, name, w->len);

    return order ? order : -(name[w->len] != '\0');
}

#define FIND(table, key) bsearch(key, table, sizeof(table) / sizeof(table[0]), sizeof(table[0]), compare)

static const char *category_of(const wanted *w)
{
    const category *c = FIND(categories, w);

    return c ? c->abbreviation : NULL;
}

const char *wh_pattern_property(const char *name, apr_size_t len, apr_pool_t *p)
{
    const char *equals = memchr(name, '=', len);
    const char *const *found, *prefix;
    wanted w = { name, len };
    apr_size_t key;

    /* names are ASCII letters, digits and _: a NUL among them must not end a comparison early */
    if (len == 0 || memchr(name, '\0', len)) return NULL;
    if (!equals) {
        const char *abbreviation = category_of(&w);

        if (abbreviation) return abbreviation;
        found = FIND(binaries, &w);
        if (!found) return NULL;
        return !strcmp(*found, "Assigned") ? "^Cn" : *found;
    }
    key = (apr_size_t)(equals - name);
    w.name = equals + 1;
    w.len = len - key - 1;
#define IS(text) (key == sizeof(text) - 1 && !memcmp(name, text, sizeof(text) - 1))
    if (IS("gc") || IS("General_Category")) return category_of(&w);
    if (IS("sc") || IS("Script")) prefix = "sc:";
    else if (IS("scx") || IS("Script_Extensions")) prefix = "scx:";
    else return NULL;
#undef IS
    found = FIND(scripts, &w);
    return found ? apr_pstrcat(p, prefix, *found, NULL) : NULL;
}

static apr_status_t free_code(void *code)
{
    pcre2_code_free(code);
    return APR_SUCCESS;
}

static apr_status_t free_match(void *match)
{
    pcre2_match_data_free(match);
    return APR_SUCCESS;
}

int wh_pattern_is_name(wh_pattern_parse *ps, const char *name, apr_size_t len)
{
    static const char identifier[] = "\\A[\\p{IDS}$_][\\p{IDC}$\\x{200c}\\x{200d}]*+\\z";
    apr_size_t i;

    for (i = 0; i < len; i++) {
        char c = name[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '$' || (i && c >= '0' && c <= '9'))) break;
    }
    if (i == len) return len > 0;
    if ((unsigned char)name[i] < 0x80) return 0;
    /* The Unicode tables are PCRE2's. Compiled once for all names: a sender's "format": "regex" may have very many. */
    if (!ps->name_code) {
        int error;
        PCRE2_SIZE at;

        ps->name_code = pcre2_compile((PCRE2_SPTR)identifier, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &at, NULL);
        if (!ps->name_code) return 0;
        apr_pool_cleanup_register(ps->p, ps->name_code, free_code, apr_pool_cleanup_null);
        ps->name_match = pcre2_match_data_create(1, NULL);
        if (!ps->name_match) return 0;
        apr_pool_cleanup_register(ps->p, ps->name_match, free_match, apr_pool_cleanup_null);
    }
    return ps->name_match && pcre2_match(ps->name_code, (PCRE2_SPTR)name, len, 0, PCRE2_NO_UTF_CHECK, ps->name_match, NULL) > 0;
}
