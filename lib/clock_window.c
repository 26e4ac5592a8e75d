// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>

#include "array.h"
#include "clock_window.h"

#define TRIM_MIN  3   /* points that a window may lose */
#define TRIM_PART 100 /* or one in so many */
#define LEAST     8   /* delays of each direction that show the scatter */

enum {
	KEPT,
	REJECTED,
	ON_TRIAL
};

static double wander(double distance)
{
	return CLOCK_WANDER / 2 * distance * distance;
}

static double square(double value)
{
	return value * value;
}

double clock_window_at(const struct clock_window *window, int64_t x)
{
	return window->margin.line.at_zero +
	       window->margin.line.slope * (double)time_since(x, window->center);
}

/* The hulls of the points that are kept. 0 or -ENOMEM. */
static int build_hulls(const struct clock_run *run, struct clock_window *window, size_t first,
		       size_t end)
{
	int err = 0;

	hulls_clear(&window->hulls);
	for (size_t i = first; i < end && !err; i++) {
		const struct clock_point *point = &run->points[i];
		struct vertex vertex = {.x = (double)(point->x - window->center), .point = i};
		double slack = point->doubt_ns + wander(vertex.x);

		if (point->rejected)
			continue;
		vertex.y = (double)(point->y - run->pair->base);
		vertex.y += point->side == SIDE_ABOVE ? slack : -slack;
		err = hulls_add(&window->hulls, point->side, &vertex);
	}
	return err;
}

int clock_window_fit(const struct clock_run *run, struct clock_window *window, size_t first,
		     size_t end)
{
	int err = build_hulls(run, window, first, end);

	return err ? err : margin_fit(&window->hulls, &window->margin);
}

/* Of the points that the line is stuck between the one without which it has most room; or `end`. */
static int find_culprit(const struct clock_run *run, struct clock_window *window, size_t first,
			size_t end, size_t *culprit)
{
	const struct margin stuck = window->margin;
	double most = -INFINITY;

	*culprit = end;
	for (size_t i = 0; i < sizeof(stuck.support) / sizeof(stuck.support[0]); i++) {
		struct clock_point *point = &run->points[stuck.support[i]];
		int fits;

		if (point->counted)
			continue;
		point->rejected = ON_TRIAL;
		fits = clock_window_fit(run, window, first, end);
		point->rejected = KEPT;
		if (fits < 0)
			return fits;
		if (fits && window->margin.margin > most) {
			most = window->margin.margin;
			*culprit = stuck.support[i];
		}
	}
	return 0;
}

/* Ends the trial of points: all of them are rejected, or none. */
static void pass_sentence(const struct clock_run *run, size_t first, size_t end, int sentence)
{
	for (size_t i = first; i < end; i++) {
		if (run->points[i].rejected != ON_TRIAL)
			continue;
		run->points[i].rejected = sentence;
		run->pair->rejected += sentence == REJECTED;
	}
}

/* 1: there is a line, perhaps with points rejected; 0: there is none, or nothing says; -ENOMEM. */
static int solve_window(const struct clock_run *run, struct clock_window *window, size_t first,
			size_t end)
{
	size_t budget = TRIM_MIN + (end - first) / TRIM_PART, culprit;
	int fits = clock_window_fit(run, window, first, end);

	while (fits > 0 && window->margin.margin < 0) {
		fits = budget-- ? find_culprit(run, window, first, end, &culprit) : 1;
		if (fits || culprit == end) {
			pass_sentence(run, first, end, KEPT);
			run->pair->left_out++;
			return fits < 0 ? fits : 0;
		}
		run->points[culprit].rejected = ON_TRIAL;
		fits = clock_window_fit(run, window, first, end);
	}
	pass_sentence(run, first, end, REJECTED);
	return fits;
}

/*
 * The least delay of some packets is above the least possible one by about as much as the least delays
 * differ: that of either direction is an error of half as much.
 */
static double measure_scatter(const struct clock_run *run, const struct clock_window *window,
			      size_t first, size_t end)
{
	double least[SIDES][LEAST], sum = 0;

	for (size_t i = 0; i < SIDES * LEAST; i++)
		least[i / LEAST][i % LEAST] = INFINITY;
	for (size_t i = first; i < end; i++) {
		const struct clock_point *point = &run->points[i];
		double *delays = least[point->side];
		double delay = fabs((double)(point->y - run->pair->base) -
				    clock_window_at(window, point->x));
		size_t at;

		if (point->rejected || delay >= delays[LEAST - 1])
			continue;
		for (at = LEAST - 1; at && delays[at - 1] > delay; at--)
			delays[at] = delays[at - 1];
		delays[at] = delay;
	}
	for (size_t side = 0; side < SIDES; side++) {
		size_t last = LEAST - 1;

		while (last && !isfinite(least[side][last]))
			last--;
		sum += last ? square((least[side][last] - least[side][0]) / (double)last)
			    : square(window->margin.margin);
	}
	return sqrt(sum) / 2;
}

void clock_window_interval(const struct clock_window *window, int64_t x, double *low, double *high)
{
	double distance = (double)time_since(x, window->center);

	margin_interval(&window->hulls, &window->margin, distance, low, high);
	*low -= wander(distance);
	*high += wander(distance);
}

/* If the slope is open, all that is feasible is as likely. */
static double window_scatter(const struct clock_run *run, const struct clock_window *window,
			     size_t first, size_t end)
{
	double low, high;

	if (!window->margin.open)
		return measure_scatter(run, window, first, end);
	clock_window_interval(window, window->center, &low, &high);
	return (high - low) / sqrt(12);
}

/* Of the points that are kept: those beyond a step are not. */
static void take_extent(const struct clock_run *run, struct clock_window *window, size_t first,
			size_t end)
{
	while (run->points[first].rejected)
		first++;
	while (run->points[end - 1].rejected)
		end--;
	window->first = run->points[first].x;
	window->last = run->points[end - 1].x;
}

int clock_window_add(const struct clock_run *run, size_t first, size_t end)
{
	struct clock_pair *pair = run->pair;
	struct clock_window window = {
		.first = run->points[first].x,
		.last = run->points[end - 1].x,
		.era = run->points[first].era,
	};
	int solved;

	window.center = window.first + (window.last - window.first) / 2;
	solved = solve_window(run, &window, first, end);
	if (solved > 0) {
		take_extent(run, &window, first, end);
		window.scatter_ns = window_scatter(run, &window, first, end);
	}
	if (solved > 0 &&
	    array_reserve(&pair->windows, &pair->room, pair->count + 1, sizeof(*pair->windows)))
		solved = -ENOMEM;
	if (solved > 0)
		pair->windows[pair->count++] = window;
	else
		hulls_release(&window.hulls);
	return solved;
}

double clock_window_margin(const struct clock_run *run, struct clock_window *window, size_t first,
			   size_t end)
{
	int fits = clock_window_fit(run, window, first, end);

	return fits > 0 ? window->margin.margin : fits ? -INFINITY : INFINITY;
}
