/* SPDX-License-Identifier: GPL-2.0-only */
/* format.h - how a report is printed: one row per format. */
#ifndef VNT_FORMAT_H
#define VNT_FORMAT_H

#include <stdio.h>

#include "report.h"

struct format {
	const char *name;
	int (*print)(const struct report *report, FILE *out); /* 0 or -errno */
};

extern const struct format formats[]; /* ends with a NULL name */

const struct format *format_find(const char *name); /* NULL if there is none */

#endif
