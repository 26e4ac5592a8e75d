// SPDX-License-Identifier: GPL-2.0-only
/* Against an oracle that tries every line through two points. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "lib/margin.h"

#define POINTS 24
#define ROUNDS 3000

struct set {
	struct vertex points[SIDES][POINTS];
	size_t counts[SIDES];
};

static double uniform(double from, double to)
{
	return from + (to - from) * rand() / RAND_MAX;
}

/* Points on both sides of a line, or, if `mixed`, with some on the wrong side. In order of x; those above
 * the line begin `later`. */
static void make_set(struct set *set, bool mixed, double later)
{
	double slope = uniform(-1e-4, 1e-4), x;

	for (size_t side = 0; side < SIDES; side++) {
		set->counts[side] = 1 + rand() % POINTS;
		x = uniform(0, 1e8) + (side == SIDE_ABOVE ? later : 0);
		for (size_t i = 0; i < set->counts[side]; i++) {
			double away = uniform(mixed ? -3000 : 100, 20000);

			set->points[side][i] = (struct vertex){
				.x = x,
				.y = slope * x + (side == SIDE_ABOVE ? away : -away),
				.point = i * SIDES + side,
			};
			x += rand() % 8 ? uniform(0, 4e8) : 0;
		}
	}
}

static void make_hulls(const struct set *set, struct hulls *hulls)
{
	hulls_clear(hulls);
	for (size_t side = 0; side < SIDES; side++)
		for (size_t i = 0; i < set->counts[side]; i++)
			cr_assert_eq(hulls_add(hulls, side, &set->points[side][i]), 0);
}

/* Where a line of this slope is at x if it touches the points of one side. */
static double touch(const struct set *set, enum side side, double slope, double x)
{
	double best = side == SIDE_ABOVE ? INFINITY : -INFINITY;

	for (size_t i = 0; i < set->counts[side]; i++) {
		const struct vertex *point = &set->points[side][i];
		double y = point->y + slope * (x - point->x);

		best = side == SIDE_ABOVE ? fmin(best, y) : fmax(best, y);
	}
	return best;
}

static double gap(const struct set *set, double slope)
{
	return touch(set, SIDE_ABOVE, slope, 0) - touch(set, SIDE_BELOW, slope, 0);
}

struct oracle {
	double slopes[4 * POINTS * POINTS + 2];
	size_t count;
};

static void try_slopes(struct oracle *oracle, const struct set *set)
{
	oracle->count = 0;
	oracle->slopes[oracle->count++] = -MARGIN_SLOPE_MAX;
	oracle->slopes[oracle->count++] = MARGIN_SLOPE_MAX;
	for (size_t s = 0; s < SIDES; s++)
		for (size_t t = 0; t < SIDES; t++)
			for (size_t i = 0; i < set->counts[s]; i++)
				for (size_t k = 0; k < set->counts[t]; k++) {
					const struct vertex *a = &set->points[s][i];
					const struct vertex *b = &set->points[t][k];
					double slope = (b->y - a->y) / (b->x - a->x);

					if (a->x != b->x && fabs(slope) <= MARGIN_SLOPE_MAX)
						oracle->slopes[oracle->count++] = slope;
				}
}

static void check_feasible(const struct set *set, const struct hulls *hulls,
			   const struct margin *margin, const struct oracle *oracle)
{
	double low = INFINITY, high = -INFINITY;
	double x = uniform(-1e9, 3e9), lowest = INFINITY, highest = -INFINITY;

	for (size_t i = 0; i < oracle->count; i++) {
		if (gap(set, oracle->slopes[i]) < -1e-6)
			continue;
		low = fmin(low, oracle->slopes[i]);
		high = fmax(high, oracle->slopes[i]);
		lowest = fmin(lowest, touch(set, SIDE_BELOW, oracle->slopes[i], x));
		highest = fmax(highest, touch(set, SIDE_ABOVE, oracle->slopes[i], x));
	}
	cr_assert_float_eq(margin->slope_min, low, 1e-12);
	cr_assert_float_eq(margin->slope_max, high, 1e-12);
	margin_interval(hulls, margin, x, &low, &high);
	cr_assert_float_eq(low, lowest, 1e-3, "%g, not %g", low, lowest);
	cr_assert_float_eq(high, highest, 1e-3, "%g, not %g", high, highest);
}

/* The slope is feasible, and a little less of it is not; returns the room it has. */
static double check_nearest(const struct set *set, const struct margin *margin)
{
	double slope = margin->line.slope;

	if (slope != 0)
		cr_assert_lt(gap(set, slope - copysign(1e-9, slope)), 0);
	cr_assert_geq(gap(set, slope), -1e-6);
	return fmax(gap(set, slope), 0);
}

static void check(const struct set *set, const struct hulls *hulls)
{
	struct oracle oracle;
	struct margin margin;
	double best = -INFINITY;
	bool open;

	try_slopes(&oracle, set);
	for (size_t i = 0; i < oracle.count; i++)
		best = fmax(best, gap(set, oracle.slopes[i]));
	open = best - gap(set, MARGIN_SLOPE_MAX) < 1e-9 ||
	       best - gap(set, -MARGIN_SLOPE_MAX) < 1e-9;
	cr_assert(margin_fit(hulls, &margin));
	cr_assert_eq(margin.open, open);
	if (open && best >= 0)
		best = check_nearest(set, &margin);
	cr_assert_float_eq(margin.margin, best / 2, 1e-5, "%g, not %g", margin.margin, best / 2);
	cr_assert_float_eq(touch(set, SIDE_ABOVE, margin.line.slope, 0) - margin.line.at_zero,
			   margin.margin, 1e-5);
	if (margin.margin > 0)
		check_feasible(set, hulls, &margin, &oracle);
}

Test(margin, separable_points)
{
	struct hulls hulls = {0};
	struct set set;

	srand(1);
	for (int round = 0; round < ROUNDS; round++) {
		make_set(&set, false, 0);
		make_hulls(&set, &hulls);
		check(&set, &hulls);
	}
	hulls_release(&hulls);
}

/* A burst one way, then one the other way: every slope is open on one side. */
Test(margin, one_kind_of_points_behind_the_other)
{
	struct hulls hulls = {0};
	struct set set;

	srand(3);
	for (int round = 0; round < ROUNDS / 3; round++) {
		make_set(&set, false, 4e8 * POINTS);
		make_hulls(&set, &hulls);
		check(&set, &hulls);
	}
	hulls_release(&hulls);
}

static double best_without(const struct set *set, enum side side, size_t point)
{
	struct set less = *set;
	struct oracle oracle;
	double best = -INFINITY;

	less.counts[side]--;
	for (size_t i = point; i < less.counts[side]; i++)
		less.points[side][i] = less.points[side][i + 1];
	try_slopes(&oracle, &less);
	for (size_t i = 0; i < oracle.count; i++)
		best = fmax(best, gap(&less, oracle.slopes[i]));
	return best;
}

/* If any one point is to blame, it is one of those that the line is stuck between. */
static void check_support(const struct set *set, const struct margin *margin)
{
	double best = margin->margin * 2 + 1e-3;

	for (size_t side = 0; side < SIDES; side++) {
		for (size_t i = 0; i < set->counts[side]; i++) {
			bool named = false;

			for (size_t k = 0; k < 3 * SIDES; k++)
				named |= margin->support[k] == set->points[side][i].point;
			if (!named)
				cr_assert_leq(best_without(set, side, i), best);
		}
	}
}

Test(margin, points_that_contradict_each_other)
{
	struct hulls hulls = {0};
	struct margin margin;
	struct set set;

	srand(2);
	for (int round = 0; round < ROUNDS / 20; round++) {
		make_set(&set, true, 0);
		make_hulls(&set, &hulls);
		check(&set, &hulls);
		cr_assert(margin_fit(&hulls, &margin));
		if (margin.margin < 0)
			check_support(&set, &margin);
	}
	hulls_release(&hulls);
}

Test(margin, one_kind_of_points_says_nothing)
{
	const struct vertex points[] = {{0, 0, 0}, {1e9, 5, 1}};
	struct hulls hulls = {0};
	struct margin margin;

	cr_assert_not(margin_fit(&hulls, &margin));
	for (size_t i = 0; i < 2; i++)
		cr_assert_eq(hulls_add(&hulls, SIDE_ABOVE, &points[i]), 0);
	cr_assert_not(margin_fit(&hulls, &margin));
	hulls_release(&hulls);
}
