/* SPDX-License-Identifier: GPL-2.0-only */
/* clock_curve.h - from the raw times of a group to the timeline of CLOCK_MONOTONIC of one of its clocks. */
#ifndef VNT_CLOCK_CURVE_H
#define VNT_CLOCK_CURVE_H

#include "clock_graph.h"
#include "timeline.h"

/* To the root of a node's group. The graph was solved. 0 or -ENOMEM. */
int clock_curve(const struct clock_graph *graph, uint32_t node, struct timeline *timeline);

#endif
