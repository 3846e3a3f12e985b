/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is JSON and what is not: a corpus in the manner of JSONTestSuite (names begin with y: RFC 8259 takes it, n: it does not, i: it leaves
 * it open), each case by the rules for a request's body and by those for the operator's files, with the reason of a refusal.
 */
#include "tap.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <stdlib.h>

#include "core/json.h"

typedef struct row {
    const char *name, *text;
    apr_size_t len;
    const char *strict, *plain; /* reason, NULL: taken */
} row;

#define Y(name, text) { name, text, sizeof(text) - 1, NULL, NULL }
#define N(name, text) { name, text, sizeof(text) - 1, "syntax", "syntax" }
#define NX(name, text, reason) { name, text, sizeof(text) - 1, reason, reason }
#define N_HALF(name, text) { name, text, sizeof(text) - 1, "surrogate", "syntax" } /* half a pair is noticed before what follows */
#define I(name, text, strict) { name, text, sizeof(text) - 1, strict, NULL } /* only a body's rules refuse it */

static const row rows[] = {
    /* arrays */
    Y("y_array_arraysWithSpaces", "[[]   ]"),
    Y("y_array_empty-string", "[\"\"]"),
    Y("y_array_empty", "[]"),
    Y("y_array_ending_with_newline", "[\"a\"]\n"),
    Y("y_array_false", "[false]"),
    Y("y_array_heterogeneous", "[null, 1, \"1\", {}]"),
    Y("y_array_null", "[null]"),
    Y("y_array_with_1_and_newline", "[1\n]"),
    Y("y_array_with_leading_space", " [1]"),
    Y("y_array_with_several_null", "[1,null,null,null,2]"),
    Y("y_array_with_trailing_space", "[2] "),
    N("n_array_1_true_without_comma", "[1 true]"),
    NX("n_array_a_invalid_utf8", "[a\xe5]", "syntax"),
    N("n_array_colon_instead_of_comma", "[\"\": 1]"),
    N("n_array_comma_after_close", "[\"\"],"),
    N("n_array_comma_and_number", "[,1]"),
    N("n_array_double_comma", "[1,,2]"),
    N("n_array_double_extra_comma", "[\"x\",,]"),
    N("n_array_extra_close", "[\"x\"]]"),
    N("n_array_extra_comma", "[\"\",]"),
    N("n_array_incomplete", "[\"x\""),
    N("n_array_incomplete_invalid_value", "[x"),
    N("n_array_inner_array_no_comma", "[3[4]]"),
    NX("n_array_invalid_utf8", "[\xff]", "syntax"),
    N("n_array_items_separated_by_semicolon", "[1:2]"),
    N("n_array_just_comma", "[,]"),
    N("n_array_just_minus", "[-]"),
    N("n_array_missing_value", "[   , \"\"]"),
    N("n_array_newlines_unclosed", "[\"a\",\n4\n,1,"),
    N("n_array_number_and_comma", "[1,]"),
    N("n_array_number_and_several_commas", "[1,,]"),
    N("n_array_spaces_vertical_tab_formfeed", "[\"\x0b" "a\"\\f]"),
    N("n_array_star_inside", "[*]"),
    N("n_array_unclosed", "[\"\""),
    N("n_array_unclosed_trailing_comma", "[1,"),
    N("n_array_unclosed_with_new_lines", "[1,\n1\n,1"),
    N("n_array_unclosed_with_object_inside", "[{}"),
    N("n_incomplete_false", "[fals]"),
    N("n_incomplete_null", "[nul]"),
    N("n_incomplete_true", "[tru]"),
    NX("n_multidigit_number_then_00", "123\0", "nul"),
    /* numbers */
    Y("y_number", "[123e65]"),
    Y("y_number_0e+1", "[0e+1]"),
    Y("y_number_0e1", "[0e1]"),
    Y("y_number_after_space", "[ 4]"),
    Y("y_number_double_close_to_zero", "[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]\n"),
    Y("y_number_int_with_exp", "[20e1]"),
    Y("y_number_minus_zero", "[-0]"),
    Y("y_number_negative_int", "[-123]"),
    Y("y_number_negative_one", "[-1]"),
    Y("y_number_negative_zero", "[-0]"),
    Y("y_number_real_capital_e", "[1E22]"),
    Y("y_number_real_capital_e_neg_exp", "[1E-2]"),
    Y("y_number_real_capital_e_pos_exp", "[1E+2]"),
    Y("y_number_real_exponent", "[123e45]"),
    Y("y_number_real_fraction_exponent", "[123.456e78]"),
    Y("y_number_real_neg_exp", "[1e-2]"),
    Y("y_number_real_pos_exponent", "[1e+2]"),
    Y("y_number_simple_int", "[123]"),
    Y("y_number_simple_real", "[123.456789]"),
    Y("i_number_double_huge_neg_exp", "[123.456e-789]"),
    Y("i_number_huge_exp", "[0.4e00669999999999999999999999999999999999999999999999999999999999999999969999999006]"),
    Y("i_number_neg_int_huge_exp", "[-1e+9999]"),
    Y("i_number_pos_double_huge_exp", "[1.5e+9999]"),
    Y("i_number_real_neg_overflow", "[-123123e100000]"),
    Y("i_number_real_pos_overflow", "[123123e100000]"),
    Y("i_number_real_underflow", "[123e-10000000]"),
    Y("i_number_too_big_neg_int", "[-123123123123123123123123123123]"),
    Y("i_number_too_big_pos_int", "[100000000000000000000]"),
    Y("i_number_very_big_negative_int", "[-237462374673276894279832749832423479823246327846]"),
    N("n_number_++", "[++1234]"),
    N("n_number_+1", "[+1]"),
    N("n_number_+Inf", "[+Inf]"),
    N("n_number_-01", "[-01]"),
    N("n_number_-1.0.", "[-1.0.]"),
    N("n_number_-2.", "[-2.]"),
    N("n_number_-NaN", "[-NaN]"),
    N("n_number_.-1", "[.-1]"),
    N("n_number_.2e-3", "[.2e-3]"),
    N("n_number_0.1.2", "[0.1.2]"),
    N("n_number_0.3e+", "[0.3e+]"),
    N("n_number_0.3e", "[0.3e]"),
    N("n_number_0.e1", "[0.e1]"),
    N("n_number_0_capital_E+", "[0E+]"),
    N("n_number_0_capital_E", "[0E]"),
    N("n_number_0e+", "[0e+]"),
    N("n_number_0e", "[0e]"),
    N("n_number_1.0e+", "[1.0e+]"),
    N("n_number_1.0e-", "[1.0e-]"),
    N("n_number_1.0e", "[1.0e]"),
    N("n_number_1_000", "[1 000.0]"),
    N("n_number_1eE2", "[1eE2]"),
    N("n_number_2.e+3", "[2.e+3]"),
    N("n_number_2.e-3", "[2.e-3]"),
    N("n_number_2.e3", "[2.e3]"),
    N("n_number_9.e+", "[9.e+]"),
    N("n_number_Inf", "[Inf]"),
    N("n_number_NaN", "[NaN]"),
    N("n_number_U+FF11_fullwidth_digit_one", "[\xef\xbc\x91]"),
    N("n_number_expression", "[1+2]"),
    N("n_number_hex_1_digit", "[0x1]"),
    N("n_number_hex_2_digits", "[0x42]"),
    N("n_number_infinity", "[Infinity]"),
    N("n_number_invalid+-", "[0e+-1]"),
    N("n_number_invalid-negative-real", "[-123.123foo]"),
    N("n_number_invalid-utf-8-in-bigger-int", "[123\xe5]"),
    N("n_number_invalid-utf-8-in-exponent", "[1e1\xe5]"),
    N("n_number_invalid-utf-8-in-int", "[0\xe5]\n"),
    N("n_number_minus_infinity", "[-Infinity]"),
    N("n_number_minus_sign_with_trailing_garbage", "[-foo]"),
    N("n_number_minus_space_1", "[- 1]"),
    N("n_number_neg_int_starting_with_zero", "[-012]"),
    N("n_number_neg_real_without_int_part", "[-.123]"),
    N("n_number_neg_with_garbage_at_end", "[-1x]"),
    N("n_number_real_garbage_after_e", "[1ea]"),
    N("n_number_real_with_invalid_utf8_after_e", "[1e\xe5]"),
    N("n_number_real_without_fractional_part", "[1.]"),
    N("n_number_starting_with_dot", "[.123]"),
    N("n_number_with_alpha", "[1.2a-3]"),
    N("n_number_with_alpha_char", "[1.8011670033376514H-308]"),
    N("n_number_with_leading_zero", "[012]"),
    N("n_number_minus_at_end", "-"),
    N("n_number_dot_at_end", "1."),
    N("n_number_e_at_end", "1e"),
    N("n_number_sign_at_end", "1e-"),
    /* objects */
    Y("y_object", "{\"asd\":\"sdf\", \"dfg\":\"fgh\"}"),
    Y("y_object_basic", "{\"asd\":\"sdf\"}"),
    Y("y_object_empty", "{}"),
    Y("y_object_empty_key", "{\"\":0}"),
    Y("y_object_extreme_numbers", "{ \"min\": -1.0e+28, \"max\": 1.0e+28 }"),
    Y("y_object_long_strings", "{\"x\":[{\"id\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}], \"id\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}"),
    Y("y_object_simple", "{\"a\":[]}"),
    Y("y_object_string_unicode", "{\"title\":\"\\u041f\\u043e\\u043b\\u0442\\u043e\\u0440\\u0430 \\u0417\\u0435\\u043c\\u043b\\u0435\\u043a\\u043e\\u043f\\u0430\" }"),
    Y("y_object_with_newlines", "{\n\"a\": \"b\"\n}"),
    I("y_object_duplicated_key", "{\"a\":\"b\",\"a\":\"c\"}", "duplicate-name"),
    I("y_object_duplicated_key_and_value", "{\"a\":\"b\",\"a\":\"b\"}", "duplicate-name"),
    I("y_object_escaped_null_in_key", "{\"foo\\u0000bar\": 42}", "nul"),
    N("n_object_bad_value", "[\"x\", truth]"),
    N("n_object_bracket_key", "{[: \"x\"}\n"),
    N("n_object_comma_instead_of_colon", "{\"x\", null}"),
    N("n_object_double_colon", "{\"x\"::\"b\"}"),
    N("n_object_emoji", "{\xf0\x9f\x87\xa8\xf0\x9f\x87\xad}"),
    N("n_object_garbage_at_end", "{\"a\":\"a\" 123}"),
    N("n_object_key_with_single_quotes", "{key: 'value'}"),
    NX("n_object_lone_continuation_byte_in_key_and_trailing_comma", "{\"\xb9\":\"0\",}", "utf8"),
    N("n_object_missing_colon", "{\"a\" b}"),
    N("n_object_missing_key", "{:\"b\"}"),
    N("n_object_missing_semicolon", "{\"a\" \"b\"}"),
    N("n_object_missing_value", "{\"a\":"),
    N("n_object_no-colon", "{\"a\""),
    N("n_object_non_string_key", "{1:1}"),
    N("n_object_non_string_key_but_huge_number_instead", "{9999E9999:1}"),
    N("n_object_repeated_null_null", "{null:null,null:null}"),
    N("n_object_several_trailing_commas", "{\"id\":0,,,,,}"),
    N("n_object_single_quote", "{'a':0}"),
    N("n_object_trailing_comma", "{\"id\":0,}"),
    N("n_object_trailing_comment", "{\"a\":\"b\"}/**/"),
    N("n_object_trailing_comment_open", "{\"a\":\"b\"}/**//"),
    N("n_object_trailing_comment_slash_open", "{\"a\":\"b\"}//"),
    N("n_object_two_commas_in_a_row", "{\"a\":\"b\",,\"c\":\"d\"}"),
    N("n_object_unquoted_key", "{a: \"b\"}"),
    N("n_object_unterminated-value", "{\"a\":\"a"),
    N("n_object_with_single_string", "{ \"foo\" : \"bar\", \"a\" }"),
    N("n_object_with_trailing_garbage", "{\"a\":\"b\"}#"),
    N("n_object_closed_as_array", "{\"a\":1]"),
    N("n_array_closed_as_object", "[1}"),
    N("n_single_space", " "),
    /* strings */
    Y("y_string_1_2_3_bytes_UTF-8_sequences", "[\"\\u0060\\u012a\\u12AB\"]"),
    Y("y_string_accepted_surrogate_pair", "[\"\\uD801\\udc37\"]"),
    Y("y_string_accepted_surrogate_pairs", "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]"),
    Y("y_string_allowed_escapes", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
    Y("y_string_backslash_and_u_escaped_zero", "[\"\\\\u0000\"]"),
    Y("y_string_backslash_doublequotes", "[\"\\\"\"]"),
    Y("y_string_comments", "[\"a/*b*/c/*d//e\"]"),
    Y("y_string_double_escape_a", "[\"\\\\a\"]"),
    Y("y_string_double_escape_n", "[\"\\\\n\"]"),
    Y("y_string_escaped_control_character", "[\"\\u0012\"]"),
    Y("y_string_escaped_noncharacter", "[\"\\uFFFF\"]"),
    Y("y_string_in_array", "[\"asd\"]"),
    Y("y_string_last_surrogates_1_and_2", "[\"\\uDBFF\\uDFFF\"]"),
    Y("y_string_nbsp_uescaped", "[\"new\\u00A0line\"]"),
    Y("y_string_nonCharacterInUTF-8_U+10FFFF", "[\"\xf4\x8f\xbf\xbf\"]"),
    Y("y_string_nonCharacterInUTF-8_U+FFFF", "[\"\xef\xbf\xbf\"]"),
    I("y_string_null_escape", "[\"\\u0000\"]", "nul"),
    Y("y_string_one-byte-utf-8", "[\"\\u002c\"]"),
    Y("y_string_pi", "[\"\xcf\x80\"]"),
    Y("y_string_reservedCharacterInUTF-8_U+1BFFF", "[\"\xf0\x9b\xbf\xbf\"]"),
    Y("y_string_simple_ascii", "[\"asd \"]"),
    Y("y_string_space", "\" \""),
    Y("y_string_surrogates_U+1D11E", "[\"\\uD834\\uDd1e\"]"),
    Y("y_string_three-byte-utf-8", "[\"\\u0821\"]"),
    Y("y_string_two-byte-utf-8", "[\"\\u0123\"]"),
    Y("y_string_u+2028_line_sep", "[\"\xe2\x80\xa8\"]"),
    Y("y_string_u+2029_par_sep", "[\"\xe2\x80\xa9\"]"),
    Y("y_string_uEscape", "[\"\\u0061\\u30af\\u30EA\\u30b9\"]"),
    Y("y_string_uescaped_newline", "[\"new\\u000Aline\"]"),
    Y("y_string_unescaped_char_delete", "[\"\x7f\"]"),
    Y("y_string_unicode", "[\"\\uA66D\"]"),
    Y("y_string_unicode_U+1FFFE_nonchar", "[\"\\uD83F\\uDFFE\"]"),
    Y("y_string_unicode_U+200B_ZERO_WIDTH_SPACE", "[\"\\u200B\"]"),
    Y("y_string_unicode_U+FDD0_nonchar", "[\"\\uFDD0\"]"),
    Y("y_string_utf8", "[\"\xe2\x82\xac\xf0\x9d\x84\x9e\"]"),
    Y("y_string_with_del_character", "[\"a\x7f" "a\"]"),
    I("i_string_1st_surrogate_but_2nd_missing", "[\"\\uDADA\"]", "surrogate"),
    I("i_string_1st_valid_surrogate_2nd_invalid", "[\"\\uD888\\u1234\"]", "surrogate"),
    I("i_object_key_lone_2nd_surrogate", "{\"\\uDFAA\":0}", "surrogate"),
    I("i_string_incomplete_surrogate_and_escape_valid", "[\"\\uD800\\n\"]", "surrogate"),
    I("i_string_incomplete_surrogate_pair", "[\"\\uDd1ea\"]", "surrogate"),
    I("i_string_incomplete_surrogates_escape_valid", "[\"\\uD800\\uD800\\n\"]", "surrogate"),
    I("i_string_invalid_lonely_surrogate", "[\"\\ud800\"]", "surrogate"),
    I("i_string_invalid_surrogate", "[\"\\ud800abc\"]", "surrogate"),
    I("i_string_inverted_surrogates_U+1D11E", "[\"\\uDd1e\\uD834\"]", "surrogate"),
    I("i_string_two_second_surrogates", "[\"\\uDC00\\uDC01\"]", "surrogate"),
    I("i_string_lone_second_surrogate", "[\"\\uDFAA\"]", "surrogate"),
    NX("i_string_UTF-8_invalid_sequence", "[\"\xe6\x97\xa5\xd1\x88\xfa\"]", "utf8"),
    NX("i_string_UTF8_surrogate_U+D800", "[\"\xed\xa0\x80\"]", "utf8"),
    NX("i_string_invalid_utf-8", "[\"\xff\"]", "utf8"),
    NX("i_string_iso_latin_1", "[\"\xe9\"]", "utf8"),
    NX("i_string_lone_utf8_continuation_byte", "[\"\x81\"]", "utf8"),
    NX("i_string_not_in_unicode_range", "[\"\xf4\xbf\xbf\xbf\"]", "utf8"),
    NX("i_string_overlong_sequence_2_bytes", "[\"\xc0\xaf\"]", "utf8"),
    NX("i_string_overlong_sequence_3_bytes", "[\"\xe0\x80\xaf\"]", "utf8"),
    NX("i_string_overlong_sequence_4_bytes", "[\"\xf0\x80\x80\xaf\"]", "utf8"),
    NX("i_string_overlong_sequence_6_bytes", "[\"\xfc\x83\xbf\xbf\xbf\xbf\"]", "utf8"),
    NX("i_string_truncated-utf-8", "[\"\xe0\xff\"]", "utf8"),
    NX("i_string_cut_2", "[\"\xc3\"]", "utf8"),
    NX("i_string_cut_3", "[\"\xe2\x82\"]", "utf8"),
    NX("i_string_cut_4", "[\"\xf0\x9f\x98\"]", "utf8"),
    NX("i_string_cut_by_the_end", "[\"\xf0\x9f\x98", "utf8"),
    N("i_string_UTF-16LE_with_BOM", "\xff\xfe[\0\"\0\xe9\0\"\0]\0"),
    NX("i_string_utf16BE_no_BOM", "\0[\0\"\0\xe9\0\"\0]", "nul"),
    NX("i_string_utf16LE_no_BOM", "[\0\"\0\xe9\0\"\0]\0", "nul"),
    NX("i_structure_UTF-8_BOM_empty_object", "\xef\xbb\xbf{}", "bom"),
    NX("n_structure_BOM_no_data", "\xef\xbb\xbf", "bom"),
    N("n_structure_incomplete_UTF8_BOM", "\xef\xbb{}"),
    N_HALF("n_string_1_surrogate_then_escape_u", "[\"\\uD800\\u\"]"),
    N_HALF("n_string_1_surrogate_then_escape_u1", "[\"\\uD800\\u1\"]"),
    N_HALF("n_string_1_surrogate_then_escape_u1x", "[\"\\uD800\\u1x\"]"),
    N("n_string_accentuated_char_no_quotes", "[\xc3\xa9]"),
    NX("n_string_backslash_00", "[\"\\\0\"]", "syntax"),
    N("n_string_escape_x", "[\"\\x00\"]"),
    N("n_string_escaped_backslash_bad", "[\"\\\\\\\"]"),
    N("n_string_escaped_ctrl_char_tab", "[\"\\\t\"]"),
    N("n_string_escaped_emoji", "[\"\\\xf0\x9f\x8c\x80\"]"),
    N("n_string_incomplete_escape", "[\"\\\"]"),
    N("n_string_incomplete_escaped_character", "[\"\\u00A\"]"),
    N_HALF("n_string_incomplete_surrogate", "[\"\\uD834\\uDd\"]"),
    N_HALF("n_string_incomplete_surrogate_escape_invalid", "[\"\\uD800\\uD800\\x\"]"),
    N("n_string_invalid-utf-8-in-escape", "[\"\\u\xe5\"]"),
    N("n_string_invalid_backslash_esc", "[\"\\a\"]"),
    N("n_string_invalid_unicode_escape", "[\"\\uqqqq\"]"),
    N("n_string_invalid_utf8_after_escape", "[\"\\\xe5\"]"),
    N("n_string_leading_uescaped_thinspace", "[\\u0020\"asd\"]"),
    N("n_string_no_quotes_with_bad_escape", "[\\n]"),
    N("n_string_single_doublequote", "\""),
    N("n_string_single_quote", "['single quote']"),
    N("n_string_single_string_no_double_quotes", "abc"),
    N("n_string_start_escape_unclosed", "[\"\\"),
    NX("n_string_unescaped_ctrl_char", "[\"a\0a\"]", "nul"),
    N("n_string_unescaped_newline", "[\"new\nline\"]"),
    N("n_string_unescaped_tab", "[\"\t\"]"),
    N("n_string_unescaped_1f", "[\"0123456789abcdef\x1f\"]"),
    N("n_string_unicode_CapitalU", "\"\\UA66D\""),
    N("n_string_with_trailing_garbage", "\"\"x"),
    /* structure */
    Y("y_structure_lonely_false", "false"),
    Y("y_structure_lonely_int", "42"),
    Y("y_structure_lonely_negative_real", "-0.1"),
    Y("y_structure_lonely_null", "null"),
    Y("y_structure_lonely_string", "\"asd\""),
    Y("y_structure_lonely_true", "true"),
    Y("y_structure_string_empty", "\"\""),
    Y("y_structure_trailing_newline", "[\"a\"]\n"),
    Y("y_structure_true_in_array", "[true]"),
    Y("y_structure_whitespace_array", " [] "),
    N("n_structure_angle_bracket_.", "<.>"),
    N("n_structure_angle_bracket_null", "[<null>]"),
    N("n_structure_array_trailing_garbage", "[1]x"),
    N("n_structure_array_with_extra_array_close", "[1]]"),
    N("n_structure_array_with_unclosed_string", "[\"asd]"),
    N("n_structure_ascii-unicode-identifier", "a\xc3\xa5"),
    N("n_structure_capitalized_True", "[True]"),
    N("n_structure_close_unopened_array", "1]"),
    N("n_structure_comma_instead_of_closing_brace", "{\"x\": true,"),
    N("n_structure_double_array", "[][]"),
    N("n_structure_end_array", "]"),
    N("n_structure_lone-invalid-utf-8", "\xe5"),
    N("n_structure_lone-open-bracket", "["),
    N("n_structure_no_data", ""),
    NX("n_structure_null-byte-outside-string", "[\0]", "nul"),
    N("n_structure_number_with_trailing_garbage", "2@"),
    N("n_structure_object_followed_by_closing_object", "{}}"),
    N("n_structure_object_unclosed_no_value", "{\"\":"),
    N("n_structure_object_with_comment", "{\"a\":/*comment*/\"b\"}"),
    N("n_structure_object_with_trailing_garbage", "{\"a\": true} \"x\""),
    N("n_structure_open_array_apostrophe", "['"),
    N("n_structure_open_array_comma", "[,"),
    N("n_structure_open_array_open_object", "[{"),
    N("n_structure_open_array_open_string", "[\"a"),
    N("n_structure_open_array_string", "[\"a\""),
    N("n_structure_open_object", "{"),
    N("n_structure_open_object_close_array", "{]"),
    N("n_structure_open_object_comma", "{,"),
    N("n_structure_open_object_open_array", "{["),
    N("n_structure_open_object_open_string", "{\"a"),
    N("n_structure_open_object_string_with_apostrophes", "{'a'"),
    N("n_structure_open_open", "[\"\\{[\"\\{[\"\\{[\"\\{"),
    N("n_structure_single_eacute", "\xe9"),
    N("n_structure_single_star", "*"),
    N("n_structure_trailing_#", "{\"a\":\"b\"}#{}"),
    N("n_structure_U+2060_word_joined", "[\xe2\x81\xa0]"),
    N("n_structure_uescaped_LF_before_string", "[\\u000A\"\"]"),
    N("n_structure_unclosed_array", "[1"),
    N("n_structure_unclosed_array_partial_null", "[ false, nul"),
    N("n_structure_unclosed_array_unfinished_false", "[ true, fals"),
    N("n_structure_unclosed_array_unfinished_true", "[ false, tru"),
    N("n_structure_unclosed_object", "{\"asd\":\"asd\""),
    N("n_structure_unicode-identifier", "\xc3\xa5"),
    N("n_structure_UTF8_BOM_no_data_in_array", "[\xef\xbb\xbf]"),
    N("n_structure_whitespace_U+2060_word_joiner", "[\xe2\x81\xa0]"),
    N("n_structure_whitespace_formfeed", "[\x0c]"),
    N("n_structure_nbsp", "[\xc2\xa0]"),
};

static const char *result(const row *c, const wh_json_limits *limits, apr_pool_t *p, apr_size_t *offset)
{
    /* a copy of exactly this length: a byte beyond is seen by the sanitizer */
    char *copy = malloc(c->len ? c->len : 1);
    webhook_slice text = { copy, c->len };
    wh_json_error err = { NULL, 0 };
    wh_json *doc = NULL;
    apr_status_t rv;

    if (c->len)
        memcpy(copy, c->text, c->len);
    rv = wh_json_parse(&doc, text, limits, p, &err);
    free(copy);
    *offset = err.offset;
    return rv == APR_SUCCESS && doc ? NULL : rv == APR_EINVAL && !doc && err.reason ? err.reason : "wrong refusal";
}

/* Without its last byte no document that ends in a bracket or a quote is one. */
static int cut_is_refused(const row *c, apr_pool_t *p)
{
    row cut = *c;
    apr_size_t offset;

    while (cut.len && strchr(" \n", cut.text[cut.len - 1]))
        cut.len--;
    if (!cut.len || !strchr("]}\"", cut.text[cut.len - 1]))
        return 1;
    cut.len--;
    return result(&cut, &wh_json_plain, p, &offset) != NULL && offset == cut.len;
}

int main(void)
{
    apr_pool_t *pool;
    apr_size_t offset;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const row *c = &rows[i];
        int taken = c->plain == NULL;
        is_str(result(c, NULL, pool, &offset), c->strict, "%s, as a body", c->name);
        ok(offset <= c->len, "%s: the offset is inside", c->name);
        is_str(result(c, &wh_json_plain, pool, &offset), c->plain, "%s, as a file", c->name);
        ok(c->name[0] == 'i' || taken == (c->name[0] == 'y'), "%s: as RFC 8259 says", c->name);
        if (taken)
            ok(cut_is_refused(c, pool), "%s: cut it is none", c->name);
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
