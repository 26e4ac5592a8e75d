/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json.h - writes JSON (RFC 8259), on one line.
 *
 * Every function takes the key the value goes by in the object around it; NULL in an array and for
 * the outermost value. Write errors stay in the stream: see ferror(3).
 */
#ifndef VNT_JSON_H
#define VNT_JSON_H

#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 64

struct json {
	FILE *out;
	unsigned int depth;
	uint64_t filled; /* bit n: something was written at depth n */
};

void json_begin(struct json *json, FILE *out);
void json_object_begin(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array_begin(struct json *json, const char *key);
void json_array_end(struct json *json);

/* Bytes that are not UTF-8 become U+FFFD. */
void json_string(struct json *json, const char *key, const char *text);
void json_int(struct json *json, const char *key, int64_t value);
void json_uint(struct json *json, const char *key, uint64_t value);
void json_null(struct json *json, const char *key);
void json_bool(struct json *json, const char *key, int value);

/* The shortest text that reads back as the same number; null if it is not finite. */
void json_double(struct json *json, const char *key, double value);

#endif
