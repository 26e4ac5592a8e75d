/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * merge_sort.h - a few sorted runs of times become one: what it costs does not depend on how many
 * runs there are, unless there are two.
 */
#ifndef VNT_MERGE_SORT_H
#define VNT_MERGE_SORT_H

#include <stddef.h>
#include <stdint.h>

#define SORT_LOG  11
#define SORT_MAX  (1u << SORT_LOG) /* times */
#define SORT_SPAN (1ull << 48)     /* ns; each of them is less than that */

/* Keys: a time, and below it SORT_LOG bits of its place in the order that they come in. */
struct sorter {
	uint64_t keys[2][SORT_MAX];
};

/* The first `count` of keys[0] in order of time; those of equal time stay in their order. */
const uint64_t *sorter_run(struct sorter *sorter, size_t count);

/* The same if there are two runs, the second one from `middle` on. */
const uint64_t *sorter_join(struct sorter *sorter, size_t middle, size_t count);

#endif
