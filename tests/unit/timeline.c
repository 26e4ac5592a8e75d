// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/timeline.h"

static uint64_t map(const struct timeline *timeline, uint64_t time_ns)
{
	size_t near = rand() % (timeline->count + 3);

	return timeline_map(timeline, &near, time_ns);
}

Test(timeline, empty_leaves_times_alone)
{
	const struct timeline timeline = {0};

	cr_assert_eq(map(&timeline, 0), 0);
	cr_assert_eq(map(&timeline, UINT64_MAX), UINT64_MAX);
}

Test(timeline, a_constant_shift_ends_at_the_ends_of_the_range)
{
	static const struct {
		int64_t shift_ns;
		uint64_t time_ns, expect;
	} rows[] = {
		{5, 10, 15},
		{-5, 10, 5},
		{-15, 10, 0},
		{INT64_MIN, INT64_MAX, 0},
		{INT64_MAX, UINT64_MAX, UINT64_MAX},
		{INT64_MIN, UINT64_MAX, INT64_MAX},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct timeline timeline = {0};

		cr_assert_eq(timeline_set(&timeline, 0, rows[i].shift_ns, 0), 0);
		cr_assert_eq(map(&timeline, rows[i].time_ns), rows[i].expect, "row %zu", i);
		timeline_release(&timeline);
	}
}

Test(timeline, between_two_knots_and_beyond)
{
	struct timeline timeline = {0};

	cr_assert_eq(timeline_add(&timeline, 1000, 5000), 0);
	cr_assert_eq(timeline_add(&timeline, 2000, 6500), 0);
	cr_assert_eq(timeline_add(&timeline, 3000, 7000), 0);
	cr_assert_eq(map(&timeline, 1000), 5000);
	cr_assert_eq(map(&timeline, 1500), 5750);
	cr_assert_eq(map(&timeline, 2000), 6500);
	cr_assert_eq(map(&timeline, 2500), 6750);
	cr_assert_eq(map(&timeline, 900), 4850);
	cr_assert_eq(map(&timeline, 5000), 8000);
	timeline_shift(&timeline, -5000);
	cr_assert_eq(map(&timeline, 1500), 750);
	timeline_release(&timeline);
}

/* As it should be, in real numbers, from the knots alone. */
static long double expected(const uint64_t *from, const uint64_t *to, size_t count,
			    uint64_t time_ns)
{
	size_t i = 0;

	while (i + 2 < count && from[i + 1] <= time_ns)
		i++;
	return to[i] + ((long double)time_ns - from[i]) * ((long double)to[i + 1] - to[i]) /
			       ((long double)from[i + 1] - from[i]);
}

Test(timeline, random_knots_are_met_and_order_is_kept)
{
	enum {
		KNOTS = 50
	};
	uint64_t from[KNOTS], to[KNOTS];

	srand(1);
	for (int round = 0; round < 200; round++) {
		struct timeline timeline = {0}, copy = {0};
		uint64_t before = 0;

		for (int i = 0; i < KNOTS; i++) {
			uint64_t step = 1 + (uint64_t)rand() % 100000000;

			from[i] = i ? from[i - 1] + step : 1000000000000;
			to[i] = i ? to[i - 1] + step * (rand() % 20000) / 10000 : 5;
			cr_assert_eq(timeline_add(&timeline, from[i], to[i]), 0);
		}
		cr_assert_eq(timeline_copy(&copy, &timeline), 0);
		for (uint64_t t = from[0]; t < from[KNOTS - 1] + 1000; t += rand() % 1000000) {
			long double exact = expected(from, to, KNOTS, t);
			uint64_t have = map(&timeline, t);

			cr_assert(have <= exact + 0.001L && have > exact - 1.001L, "%lu for %Lf",
				  have, exact);
			cr_assert_geq(have, before);
			cr_assert_eq(map(&copy, t), have);
			before = have;
		}
		for (int i = 0; i < KNOTS; i++)
			cr_assert_eq(map(&timeline, from[i]), to[i]);
		timeline_release(&timeline);
		timeline_release(&copy);
	}
}

Test(timeline, a_jump_forward_is_a_jump_and_one_back_a_halt)
{
	struct timeline timeline = {0};

	cr_assert_eq(timeline_add(&timeline, 1000, 1000), 0);
	cr_assert_eq(timeline_add(&timeline, 2000, 9000000), 0);
	cr_assert_eq(timeline_add(&timeline, 3000, 5000), 0);
	cr_assert_eq(timeline_add(&timeline, 4000, 9000500), 0);
	cr_assert_eq(map(&timeline, 1100), 1200);
	cr_assert_eq(map(&timeline, 1999), 2998);
	cr_assert_eq(map(&timeline, 2000), 9000000);
	cr_assert_eq(map(&timeline, 3000), 9000000);
	cr_assert_eq(map(&timeline, 4000), 9000500);
	timeline_release(&timeline);
}

Test(timeline, extreme_knots_overflow_nothing)
{
	static const uint64_t ends[] = {0, 1, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
	const size_t count = sizeof(ends) / sizeof(ends[0]);

	for (size_t i = 0; i < count * count * count; i++) {
		struct timeline timeline = {0};

		cr_assert_eq(timeline_add(&timeline, 0, ends[i % count]), 0);
		cr_assert_eq(timeline_add(&timeline, 1, ends[i / count % count]), 0);
		cr_assert_eq(timeline_add(&timeline, UINT64_MAX, ends[i / count / count]), 0);
		for (size_t k = 1; k < count; k++)
			cr_assert(map(&timeline, ends[k]) >= map(&timeline, ends[k - 1]));
		timeline_release(&timeline);
	}
}

Test(timeline, a_line_of_one_slope)
{
	struct timeline timeline = {0};

	cr_assert_eq(timeline_set(&timeline, 1000000, 500, -0.25), 0);
	cr_assert_eq(map(&timeline, 1000000), 1000500);
	cr_assert_eq(map(&timeline, 1000400), 1000800);
	cr_assert_eq(map(&timeline, 999600), 1000200);
	timeline_release(&timeline);
}
