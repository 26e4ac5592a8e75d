/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_links.h - which links between devices are real, and what pairs of clocks they make.
 *
 * A forwarding domain sees each packet enter at one device and leave at another, so that of two such
 * domains it is not plain which one was first. Of a link with packets both ways only the right
 * guess agrees with itself: the wrong one takes time spent in the domains off the wrong end. Links
 * with packets one way only count where there are no others, if they agree together.
 */
#ifndef VNT_CLOCK_LINKS_H
#define VNT_CLOCK_LINKS_H

#include "clock_graph.h"

/* Adds to the graph, whose nodes are the clocks, the pairs that the points make; says what is wrong
 * with others. Reorders the points. 0 or -ENOMEM. */
int clock_links_pairs(struct clock_points *points, struct clock_graph *graph);

#endif
