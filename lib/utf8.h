/* SPDX-License-Identifier: GPL-2.0-only */
/* utf8.h - names come from files that nobody vouches for. Text is 0-terminated. */
#ifndef VNT_UTF8_H
#define VNT_UTF8_H

#include <stddef.h>

/* Bytes of the UTF-8 character that `text` begins with; 0 if it begins with no valid one (RFC 3629,
 * section 4) or is empty. */
size_t utf8_length(const char *text);

/* Replaces what is no character, and what a terminal would obey, by question marks. */
void utf8_clean(char *text);
size_t utf8_columns(const char *text); /* characters in clean text */

#endif
