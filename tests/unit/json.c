// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>

#include "lib/json.h"

struct output {
	char *text;
	size_t size;
	struct json json;
};

static void output_begin(struct output *output)
{
	json_begin(&output->json, open_memstream(&output->text, &output->size));
}

static void output_check(struct output *output, const char *want)
{
	fclose(output->json.out);
	cr_assert_str_eq(output->text, want);
	free(output->text);
}

Test(json, commas_and_nesting)
{
	struct output output;
	struct json *json = &output.json;

	output_begin(&output);
	json_object_begin(json, NULL);
	json_array_begin(json, "empty");
	json_array_end(json);
	json_object_begin(json, "none");
	json_object_end(json);
	json_array_begin(json, "a");
	json_int(json, NULL, INT64_MIN);
	json_uint(json, NULL, UINT64_MAX);
	json_object_begin(json, NULL);
	json_bool(json, "t", 1);
	json_bool(json, "f", 0);
	json_null(json, "n");
	json_object_end(json);
	json_array_begin(json, NULL);
	json_string(json, NULL, "");
	json_array_end(json);
	json_array_end(json);
	json_int(json, "last", 0);
	json_object_end(json);
	output_check(
		&output,
		"{\"empty\":[],\"none\":{},\"a\":[-9223372036854775808,"
		"18446744073709551615,{\"t\":true,\"f\":false,\"n\":null},[\"\"]],\"last\":0}");
}

Test(json, escapes)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"a\"b\\c/", "\"a\\\"b\\\\c/\""},
		{"\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""},
		{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		 "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\""},
		{"\xff", "\"\\ufffd\""},
		{"\xc3", "\"\\ufffd\""},                       /* cut off */
		{"\xc3(", "\"\\ufffd(\""},                     /* not continued */
		{"\xc0\xaf", "\"\\ufffd\\ufffd\""},            /* too long a form */
		{"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* half of a surrogate pair */
		{"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* beyond U+10FFFF */
		{"\xe2\x82", "\"\\ufffd\\ufffd\""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct output output;

		output_begin(&output);
		json_string(&output.json, NULL, rows[i].text);
		output_check(&output, rows[i].want);
	}
}

Test(json, doubles_read_back)
{
	static const struct {
		double value;
		const char *want;
	} rows[] = {
		{0, "0"},
		{1, "1"},
		{0.1, "0.1"},
		{1.0 / 3, "0.3333333333333333"},
		{0.1 + 0.2, "0.30000000000000004"},
		{-2.5, "-2.5"},
		{1e300, "1e+300"},
		{5e-324, "4.94065645841247e-324"},
		{NAN, "null"},
		{INFINITY, "null"},
		{-INFINITY, "null"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct output output;

		output_begin(&output);
		json_double(&output.json, NULL, rows[i].value);
		if (isfinite(rows[i].value)) {
			fflush(output.json.out);
			cr_assert(strtod(output.text, NULL) == rows[i].value);
		}
		output_check(&output, rows[i].want);
	}
}
