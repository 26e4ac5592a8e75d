/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_ranges.h - ranges of time in which one bound holds, where that of the whole trace is far from it.
 *
 * Where a clock jumps nobody knows when exactly, and the bound there is as large as the jump. Times
 * before and behind it are known as well as ever: they are ranges of their own if their bounds differ from
 * that by more than a factor of two.
 */
#ifndef VNT_CLOCK_RANGES_H
#define VNT_CLOCK_RANGES_H

#include "clock_graph.h"

#define CLOCK_RANGES_MAX 32 /* if there are more, they may differ by more */

/* Of a node, in times of its root's CLOCK_MONOTONIC, one behind the other; domains are left 0. In *rows,
 * to be freed; none if one bound holds for all, or there is none. 0 or -ENOMEM. */
int clock_ranges(const struct clock_graph *graph, uint32_t node, struct range_row **rows,
		 size_t *count);

#endif
