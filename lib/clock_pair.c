// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock_window.h"

#define HALF_MAX_NS (8 * CLOCK_STEP_NS) /* half a window at most */
#define FEW         20                  /* points of either side */
#define CHUNK       32                  /* points that are looked at for plausibility */
#define NEIGHBOURS  3                   /* windows to each side that may bound a place best */

static double square(double value)
{
	return value * value;
}

/* The first point at x or later. */
static size_t find_point(const struct clock_run *run, int64_t x)
{
	size_t first = 0, end = run->count;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (run->points[middle].x < x)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

/* Few of either kind, or one kind all before the other, which leaves the slope open. */
static bool says_little(const struct clock_run *run, size_t first, size_t end)
{
	size_t counts[SIDES] = {0}, turns = 0;

	for (size_t i = first; i < end; i++) {
		counts[run->points[i].side]++;
		turns += i > first && run->points[i].side != run->points[i - 1].side;
		if (counts[SIDE_BELOW] >= FEW && counts[SIDE_ABOVE] >= FEW && turns > 1)
			return false;
	}
	return true;
}

/* Where a difference that steps does so: what comes before has less and less room the later that is, what
 * comes behind has more and more. */
static size_t find_jump(const struct clock_run *run, size_t first, size_t end)
{
	struct clock_window window = {.center = run->points[first].x};
	size_t least = first + 1, most = end - 1;

	while (least < most) {
		size_t middle = least + (most - least) / 2;
		double before = clock_window_margin(run, &window, first, middle);

		if (clock_window_margin(run, &window, middle, end) >= before)
			most = middle;
		else
			least = middle + 1;
	}
	hulls_release(&window.hulls);
	return least;
}

/* One window around x, and one to either side of the step if that does not work out. */
static int fit_around(const struct clock_run *run, int64_t x, size_t *before_first,
		      size_t *before_end)
{
	int64_t half = CLOCK_STEP_NS;
	size_t first, end, left_out = run->pair->left_out;
	int solved;

	do {
		first = find_point(run, x - half);
		end = find_point(run, x + half);
	} while (says_little(run, first, end) && (half *= 2) <= HALF_MAX_NS);
	if (first == end || (first == *before_first && end == *before_end))
		return 0;
	*before_first = first;
	*before_end = end;
	solved = clock_window_add(run, first, end);
	if (!solved && run->pair->left_out > left_out) {
		size_t jump = find_jump(run, first, end);

		run->pair->left_out = left_out;
		solved = clock_window_add(run, first, jump);
		if (solved >= 0)
			solved = clock_window_add(run, jump, end);
	}
	return solved < 0 ? solved : 0;
}

static int fit_run(const struct clock_run *run)
{
	size_t first = SIZE_MAX, end = SIZE_MAX, next = 0;
	int64_t x;
	int err = 0;

	if (!run->count)
		return 0;
	x = run->points[0].x;
	while (next < run->count && !err) {
		if (run->points[next].x - x > CLOCK_STEP_NS)
			x = run->points[next].x;
		x += CLOCK_STEP_NS;
		err = fit_around(run, x, &first, &end);
		next = find_point(run, x);
		/* The last window reaches to the end. */
		if (next < run->count && run->points[run->count - 1].x < x + CLOCK_STEP_NS)
			break;
	}
	return err;
}

/* Is there a difference that both windows allow half-way between them? */
static bool agree(const struct clock_window *a, const struct clock_window *b)
{
	int64_t x = a->center + (b->center - a->center) / 2;
	double low[2], high[2];

	clock_window_interval(a, x, &low[0], &high[0]);
	clock_window_interval(b, x, &low[1], &high[1]);
	return low[0] <= high[1] && low[1] <= high[0];
}

/* Is it beyond all lines of the window? Then the step is between the two. */
static bool contradicts(const struct clock_window *window, const struct clock_point *point,
			double y)
{
	double low, high;

	clock_window_interval(window, point->x, &low, &high);
	return point->side == SIDE_BELOW ? y - point->doubt_ns > high : y + point->doubt_ns < low;
}

/* Most points fit on both sides of a step. It is behind the last one that does not on the one side, and before
 * the first one that does not on the other. */
static void find_step(const struct clock_run *run, struct clock_window *window)
{
	const struct clock_window *next = window + 1;
	int64_t from = window->center, to = next->center;

	for (size_t i = find_point(run, window->center); i < run->count; i++) {
		const struct clock_point *point = &run->points[i];
		double y = (double)time_since(point->y, run->pair->base);

		if (point->x > next->center)
			break;
		if (point->rejected)
			continue;
		if (contradicts(next, point, y))
			from = point->x;
		if (to == next->center && contradicts(window, point, y))
			to = point->x;
	}
	window->step_from = from < to ? from : to;
	window->step_to = from < to ? to : from;
}

/* Begins an era at each step. Windows without one between them disagree by what they are wrong, too. */
static void compare_windows(const struct clock_run *run)
{
	struct clock_pair *pair = run->pair;
	uint32_t era = 0, before_era = pair->windows[0].era;
	double sum = 0, differences = 0;
	size_t count = 0;

	for (size_t i = 0; i < pair->count; i++) {
		struct clock_window *window = &pair->windows[i];
		struct clock_window *before = &pair->windows[i ? i - 1 : 0];
		bool slept = window->era != before_era;
		bool stepped = slept || !agree(before, window);
		int64_t middle = before->center + (window->center - before->center) / 2;

		before_era = window->era;
		before->step_from = before->last;
		before->step_to = window->first;
		if (stepped && !slept)
			find_step(run, before);
		era += stepped;
		window->era = era;
		sum += square(window->scatter_ns);
		if (!i || stepped)
			continue;
		differences +=
			square(clock_window_at(window, middle) - clock_window_at(before, middle));
		count++;
	}
	sum /= (double)pair->count;
	pair->scatter_ns = sqrt(sum + (count ? differences / (double)count : 0));
}

static int compare_centers(const void *left, const void *right)
{
	const struct clock_window *a = left, *b = right;

	return (a->center > b->center) - (a->center < b->center);
}

int clock_pair_fit(struct clock_pair *pair, struct clock_point *points, size_t count)
{
	struct clock_run run = {.pair = pair};
	int err = 0;

	pair->base = points[count / 2].y;
	for (size_t i = 0; i < count && !err; i += run.count) {
		run.points = &points[i];
		for (run.count = 0; i + run.count < count; run.count++)
			if (run.points[run.count].era != run.points[0].era)
				break;
		err = fit_run(&run);
	}
	for (size_t i = 0; i < count; i++)
		pair->points[points[i].side]++;
	if (err || !pair->count)
		return err;
	qsort(pair->windows, pair->count, sizeof(*pair->windows), compare_centers);
	run.points = points;
	run.count = count;
	compare_windows(&run);
	return 0;
}

int clock_plausible(struct clock_point *points, size_t count)
{
	struct clock_pair pair = {.base = count ? points[0].y : 0};
	struct clock_window window = {0};
	size_t fit = 0, misfit = 0;
	int fits = 0;

	for (size_t i = 0; i < count && fits >= 0; i += CHUNK) {
		const struct clock_run run = {&pair, points, count};
		size_t end = count - i < CHUNK ? count : i + CHUNK;

		window.center = points[i].x;
		fits = clock_window_fit(&run, &window, i, end);
		fit += fits > 0 && window.margin.margin >= 0;
		misfit += fits > 0 && window.margin.margin < 0;
	}
	hulls_release(&window.hulls);
	return fits < 0 ? fits : misfit <= fit;
}

/* The last window whose center is not behind x, or the first one. */
static size_t find_window(const struct clock_pair *pair, int64_t x)
{
	size_t first = 0, end = pair->count;

	while (end - first > 1) {
		size_t middle = first + (end - first) / 2;

		if (pair->windows[middle].center <= x)
			first = middle;
		else
			end = middle;
	}
	return first;
}

bool clock_pair_step(const struct clock_pair *pair, size_t at, int64_t *from, int64_t *to)
{
	const struct clock_window *a = &pair->windows[at], *b = a + 1;

	if (at + 1 >= pair->count || a->era == b->era)
		return false;
	*from = a->step_from > a->center ? a->step_from : a->center;
	*to = a->step_to < b->center ? a->step_to : b->center;
	return true;
}

/* Straight from where the first window ends to where the next one begins, so that time never goes back. */
static double across_step(const struct clock_window *window, const struct clock_window *next,
			  const int64_t ends[2], int64_t x)
{
	double before, behind;

	if (x <= ends[0] || x >= ends[1])
		return clock_window_at(x <= ends[0] ? window : next, x);
	before = clock_window_at(window, ends[0]);
	behind = clock_window_at(next, ends[1]);
	return before + (behind - before) * (double)(x - ends[0]) / (double)(ends[1] - ends[0]);
}

double clock_pair_at(const struct clock_pair *pair, int64_t x)
{
	size_t at = find_window(pair, x);
	const struct clock_window *window = &pair->windows[at], *next = window + 1;
	int64_t from, to;

	if (at + 1 == pair->count || x < window->center)
		return clock_window_at(window, x);
	if (clock_pair_step(pair, at, &from, &to))
		return across_step(window, next, (const int64_t[]){from, to}, x);
	return window->margin.line.at_zero +
	       (next->margin.line.at_zero - window->margin.line.at_zero) *
		       (double)time_since(x, window->center) /
		       (double)(next->center - window->center);
}

/* What the two windows around a step allow, from the lower one to the higher one. */
static struct clock_bounds bounds_of_step(const struct clock_pair *pair, size_t at,
					  const int64_t x[2])
{
	struct clock_bounds bounds;

	for (size_t i = 0; i < 2; i++) {
		double low, high;

		clock_window_interval(&pair->windows[at], x[i], &bounds.low[i], &bounds.high[i]);
		clock_window_interval(&pair->windows[at + 1], x[i], &low, &high);
		bounds.low[i] = fmin(bounds.low[i], low);
		bounds.high[i] = fmax(bounds.high[i], high);
	}
	return bounds;
}

/* One window's interval is convex, so that what it allows at both ends bounds all between. */
static struct clock_bounds bounds_of_era(const struct clock_pair *pair, size_t at,
					 const int64_t x[2])
{
	size_t first = at > NEIGHBOURS ? at - NEIGHBOURS : 0;
	struct clock_bounds bounds = {{-INFINITY, -INFINITY}, {INFINITY, INFINITY}};

	for (size_t i = first; i < pair->count && i <= at + NEIGHBOURS; i++) {
		double low[2], high[2];

		if (pair->windows[i].era != pair->windows[at].era)
			continue;
		for (size_t end = 0; end < 2; end++)
			clock_window_interval(&pair->windows[i], x[end], &low[end], &high[end]);
		if (low[0] + low[1] > bounds.low[0] + bounds.low[1])
			memcpy(bounds.low, low, sizeof(low));
		if (high[0] + high[1] < bounds.high[0] + bounds.high[1])
			memcpy(bounds.high, high, sizeof(high));
	}
	/* Windows from far away need not agree here: the nearest one does with itself. */
	if (bounds.low[0] > bounds.high[0] || bounds.low[1] > bounds.high[1])
		for (size_t end = 0; end < 2; end++)
			clock_window_interval(&pair->windows[at], x[end], &bounds.low[end],
					      &bounds.high[end]);
	return bounds;
}

struct clock_bounds clock_pair_bounds(const struct clock_pair *pair, int64_t from, int64_t to)
{
	const int64_t x[2] = {from, to};
	int64_t middle = time_plus(from, time_since(to, from) / 2), step_from, step_to;
	size_t at = find_window(pair, middle);

	if (clock_pair_step(pair, at, &step_from, &step_to)) {
		if (middle >= step_from && middle <= step_to)
			return bounds_of_step(pair, at, x);
		at += middle > step_to;
	}
	return bounds_of_era(pair, at, x);
}

double clock_pair_away(const struct clock_pair *pair, int64_t x)
{
	size_t at = find_window(pair, x);
	const struct clock_window *window = &pair->windows[at];
	double away =
		fmax((double)time_since(window->first, x), (double)time_since(x, window->last));

	if (at + 1 < pair->count)
		away = fmin(away, fmax((double)time_since(window[1].first, x),
				       (double)time_since(x, window[1].last)));
	return fmax(away, 0);
}

void clock_pair_release(struct clock_pair *pair)
{
	for (size_t i = 0; i < pair->count; i++)
		hulls_release(&pair->windows[i].hulls);
	free(pair->windows);
	*pair = (struct clock_pair){0};
}
