/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VNT_UTF8_H
#define VNT_UTF8_H

#include <stddef.h>

/* Bytes of the UTF-8 character that `text` (0-terminated) begins with; 0 if it begins with no valid
 * one (RFC 3629, section 4) or is empty. */
size_t utf8_length(const char *text);

#endif
