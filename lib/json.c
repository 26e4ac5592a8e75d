// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "utf8.h"

static void json_quote(struct json *json, const char *text)
{
	static const char short_escapes[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
						{'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};

	putc('"', json->out);
	while (*text) {
		size_t length = utf8_length(text);
		char escape = 0;

		for (size_t i = 0; i < sizeof(short_escapes) / sizeof(short_escapes[0]); i++) {
			if (*text == short_escapes[i][0])
				escape = short_escapes[i][1];
		}
		if (escape)
			fprintf(json->out, "\\%c", escape);
		else if (!length)
			fputs("\\ufffd", json->out);
		else if ((unsigned char)*text < 0x20)
			fprintf(json->out, "\\u%04x", *text);
		else
			fwrite(text, 1, length, json->out);
		text += length ? length : 1;
	}
	putc('"', json->out);
}

/* What comes before every value: a comma unless it is the first, and its key. */
static void json_value(struct json *json, const char *key)
{
	uint64_t here = 1ull << (json->depth % JSON_DEPTH_MAX);

	if (json->filled & here)
		putc(',', json->out);
	json->filled |= here;
	if (key) {
		json_quote(json, key);
		putc(':', json->out);
	}
}

static void json_open(struct json *json, const char *key, char bracket)
{
	json_value(json, key);
	putc(bracket, json->out);
	json->depth++;
	json->filled &= ~(1ull << (json->depth % JSON_DEPTH_MAX));
}

static void json_close(struct json *json, char bracket)
{
	putc(bracket, json->out);
	json->depth--;
}

void json_begin(struct json *json, FILE *out)
{
	*json = (struct json){.out = out};
}

void json_object_begin(struct json *json, const char *key)
{
	json_open(json, key, '{');
}

void json_object_end(struct json *json)
{
	json_close(json, '}');
}

void json_array_begin(struct json *json, const char *key)
{
	json_open(json, key, '[');
}

void json_array_end(struct json *json)
{
	json_close(json, ']');
}

void json_string(struct json *json, const char *key, const char *text)
{
	json_value(json, key);
	json_quote(json, text);
}

void json_int(struct json *json, const char *key, int64_t value)
{
	json_value(json, key);
	fprintf(json->out, "%" PRId64, value);
}

void json_uint(struct json *json, const char *key, uint64_t value)
{
	json_value(json, key);
	fprintf(json->out, "%" PRIu64, value);
}

void json_null(struct json *json, const char *key)
{
	json_value(json, key);
	fputs("null", json->out);
}

void json_bool(struct json *json, const char *key, int value)
{
	json_value(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json_double(struct json *json, const char *key, double value)
{
	char text[32], *comma;

	json_value(json, key);
	if (!isfinite(value)) {
		fputs("null", json->out);
		return;
	}
	/* 15 digits are never too many; 17 always tell two doubles apart. */
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	comma = strchr(text, ','); /* of the locale */
	if (comma)
		*comma = '.';
	fputs(text, json->out);
}
