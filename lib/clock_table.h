/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_table.h - clocks that the user gives, one line to each domain:
 *
 *   OFFSET_NS DRIFT_PPM BOUND_NS AT_NS NAME
 *
 * A time of the domain with the offset added is one of the reference when that is AT_NS; from there on
 * the domain loses DRIFT_PPM. BOUND_NS may be "unbounded". Empty lines and those that begin with # are
 * skipped.
 */
#ifndef VNT_CLOCK_TABLE_H
#define VNT_CLOCK_TABLE_H

#include <stdio.h>

#include "trace.h"

#define CLOCK_TABLE_REASON_MAX 128

struct clock_row {
	char name[65];
	struct clock_fit fit; /* method "file" */
	uint64_t at_ns;
};

/* All zero is empty. */
struct clock_table {
	struct clock_row *rows;
	size_t count;
	size_t room;
};

/* 0; -EINVAL with one line in `reason` (CLOCK_TABLE_REASON_MAX bytes); -ENOMEM; -errno of reading. */
int clock_table_read(struct clock_table *table, FILE *file, char *reason);

/* The row of this name, or NULL. */
const struct clock_row *clock_table_find(const struct clock_table *table, const char *name);
void clock_table_release(struct clock_table *table);

#endif
