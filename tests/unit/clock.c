// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>

#include "lib/clock.h"

/* Offsets of a hostile file: as far apart as numbers can be, and the shift has no negative. */
Test(clock, offsets_at_the_ends_of_the_range)
{
	const struct domain placed = {
		.boot_id = "a",
		.clock = {.method = "reference", .offset_ns = INT64_MIN},
	};
	const struct domain domain = {.boot_id = "a", .clock = {.method = "same"}};
	const struct anchor_row anchor = {.domain = 0};
	const struct clock_input input = {&domain, 1, &anchor};
	struct clock_fit fit;

	cr_assert_eq(clock_place(&input, &placed, 1, &anchor, &fit), INT64_MIN);
	cr_assert_eq(fit.offset_ns, INT64_MIN);
	cr_assert_eq(fit.bound_ns, 0);
}
