/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_pair.h - the difference of two raw clocks over a trace, from the packets between them.
 *
 * In windows of 5 s that overlap by half, longer where packets are few, the difference is a line: the
 * one of maximum margin is the estimate, all feasible ones are the bound. A crystal drifts, by at
 * most CLOCK_WANDER; every bound allows for that, and for what the anchors leave in doubt. From
 * window to window the estimate is interpolated.
 *
 * Windows that no line fits lose the points that are to blame, few at most; then they are split;
 * then they are left out. Where windows contradict each other the difference has stepped, and in
 * between it is anywhere from the one side to the other.
 */
#ifndef VNT_CLOCK_PAIR_H
#define VNT_CLOCK_PAIR_H

#include "clock_match.h"

#define CLOCK_STEP_NS 2500000000ll /* from one window to the next */
#define CLOCK_WANDER  2e-17        /* change of drift, in 1/ns: 0.02 ppm each second */

struct clock_window {
	int64_t center; /* x where the line is best known */
	int64_t first;  /* x of its points */
	int64_t last;
	uint32_t era;
	struct hulls hulls; /* x from the center, y from the base */
	struct margin margin;
	double scatter_ns;
	int64_t step_from; /* x of a step before the next window: not before this, ... */
	int64_t step_to;   /* ... and not behind this */
};

struct clock_pair {
	uint32_t a;
	uint32_t b;
	int64_t base; /* an y that is near to all */
	struct clock_window *windows;
	size_t count;
	size_t room;
	uint64_t rejected; /* points */
	size_t left_out;   /* windows */
	size_t points[SIDES];
	double scatter_ns; /* standard error of the estimate */
	bool by_counter;   /* fitted to more than packets: clock_tsc.h */
};

/* Could these points, in order of x, be of one difference? False if most of them contradict each
 * other, few at a time. 0, 1 or -ENOMEM. */
int clock_plausible(struct clock_point *points, size_t count);

/* Fits windows to points in order of x, and marks those that it rejects. 0 or -ENOMEM. */
int clock_pair_fit(struct clock_pair *pair, struct clock_point *points, size_t count);

/* The estimate at x, from the base. There is at least one window. */
double clock_pair_at(const struct clock_pair *pair, int64_t x);

/* Lines that bound the difference between two times: where they are at both, from the base. */
struct clock_bounds {
	double low[2];
	double high[2];
};

struct clock_bounds clock_pair_bounds(const struct clock_pair *pair, int64_t from, int64_t to);

/* The difference stepped, or may have, in this range: between window `at` and the next. */
bool clock_pair_step(const struct clock_pair *pair, size_t at, int64_t *from, int64_t *to);

/* How far x is from all that windows cover. */
double clock_pair_away(const struct clock_pair *pair, int64_t x);

void clock_pair_release(struct clock_pair *pair);

#endif
