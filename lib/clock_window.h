/* SPDX-License-Identifier: GPL-2.0-only */
/* clock_window.h - one window of a pair: which line fits its points, and how well; for clock_pair.c. */
#ifndef VNT_CLOCK_WINDOW_H
#define VNT_CLOCK_WINDOW_H

#include "clock_pair.h"

/* A part of the points of a pair, all of one era. */
struct clock_run {
	struct clock_pair *pair;
	struct clock_point *points;
	size_t count;
};

/* From the pair's base, at x: the line, and all that is feasible if the drift changes as it may. */
double clock_window_at(const struct clock_window *window, int64_t x);
void clock_window_interval(const struct clock_window *window, int64_t x, double *low, double *high);

/* Fits a line to the points from `first` to `end` that are kept. 1: they say where it is, or that there is
 * none; 0: one kind is missing; -ENOMEM. */
int clock_window_fit(const struct clock_run *run, struct clock_window *window, size_t first,
		     size_t end);

/* The same: the margin; INFINITY if a kind is missing, -INFINITY if there is no memory. */
double clock_window_margin(const struct clock_run *run, struct clock_window *window, size_t first,
			   size_t end);

/* Adds a window of these points to the pair, and rejects those that are to blame that there is no line. 1,
 * or 0: there is none, which the pair counts, or one kind is missing; -ENOMEM. */
int clock_window_add(const struct clock_run *run, size_t first, size_t end);

#endif
