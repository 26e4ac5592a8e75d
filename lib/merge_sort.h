/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * merge_sort.h - a few sorted runs of events become one: what it costs does not depend on how many
 * runs there are.
 */
#ifndef VNT_MERGE_SORT_H
#define VNT_MERGE_SORT_H

#include <stddef.h>
#include <stdint.h>

#include "event.h"

#define SORT_LOG  12
#define SORT_MAX  (1u << SORT_LOG) /* events */
#define SORT_SPAN (1ull << 48)     /* ns; from the first to the last one less than that */

struct sorter {
	uint64_t keys[2][SORT_MAX];
};

/* The events of `in`, none of them earlier than first_ns, to `out` in order of time; those of equal time
 * stay in their order. */
void sorter_run(struct sorter *sorter, uint64_t first_ns, const struct vnt_event *in, size_t count,
		struct vnt_event *out);

#endif
