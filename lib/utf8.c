// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>

#include "utf8.h"

/* Rows of RFC 3629, section 4: ranges of the first and second byte; the others are 80 to bf. */
static const struct {
	unsigned char first_low, first_high, second_low, second_high;
	size_t length;
} utf8_rows[] = {
	{0x01, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
	{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
	{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

size_t utf8_length(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;

	for (size_t i = 0; i < sizeof(utf8_rows) / sizeof(utf8_rows[0]); i++) {
		size_t length = utf8_rows[i].length;

		if (bytes[0] < utf8_rows[i].first_low || bytes[0] > utf8_rows[i].first_high)
			continue;
		if (length == 1)
			return 1;
		if (bytes[1] < utf8_rows[i].second_low || bytes[1] > utf8_rows[i].second_high)
			return 0;
		for (size_t k = 2; k < length; k++) {
			if (bytes[k] < 0x80 || bytes[k] > 0xbf)
				return 0;
		}
		return length;
	}
	return 0;
}

/* ASCII control characters, DEL, and U+0080 to U+009f. */
static bool is_control(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;

	return bytes[0] < 0x20 || bytes[0] == 0x7f || (bytes[0] == 0xc2 && bytes[1] < 0xa0);
}

void utf8_clean(char *text)
{
	while (*text) {
		size_t length = utf8_length(text);

		if (!length || is_control(text))
			*text++ = '?';
		else
			text += length;
	}
}

size_t utf8_columns(const char *text)
{
	size_t columns = 0;

	for (; *text; text++)
		columns += (*text & 0xc0) != 0x80;
	return columns;
}
