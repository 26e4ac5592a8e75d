// SPDX-License-Identifier: GPL-2.0-only
/* The sampling rate against a load: so many packets a second, each of which costs something to look at
 * and something more to keep. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "lib/budget.h"
#include "lib/sample.h"

#define LOOK_NS 30.0
#define KEEP_NS 100.0
#define STEP_NS 100000000ull

static struct budget budget;
static uint64_t now_ns, run_ns;

static double kept(void)
{
	return ((double)budget.threshold + 1) / 0x1p32;
}

static double cost(double packets_per_second)
{
	return packets_per_second * (LOOK_NS + kept() * KEEP_NS) / 1e9;
}

static void run(double packets_per_second, int looks)
{
	for (int i = 0; i < looks; i++) {
		now_ns += STEP_NS;
		run_ns += cost(packets_per_second) * STEP_NS;
		budget_look(&budget, now_ns, run_ns);
	}
}

static void start(double limit, uint32_t ceiling)
{
	now_ns = 1;
	run_ns = 0;
	budget_start(&budget, limit, ceiling, now_ns);
}

Test(budget, no_limit_changes_nothing)
{
	start(0, VNT_SAMPLE_ALL);
	run(1e9, 100);
	cr_assert(eq(u32, budget.threshold, VNT_SAMPLE_ALL));
}

Test(budget, what_is_cheap_is_kept)
{
	start(0.02, VNT_SAMPLE_ALL);
	run(100e3, 100); /* 1.3 % */
	cr_assert(eq(u32, budget.threshold, VNT_SAMPLE_ALL));
	cr_assert(not(budget.exhausted));
}

Test(budget, a_heavy_load_gets_under_the_limit_within_a_second_and_stays)
{
	start(0.05, VNT_SAMPLE_ALL);
	run(1e6, 10);
	for (int i = 0; i < 300; i++) {
		run(1e6, 1);
		cr_assert(le(dbl, cost(1e6), 0.05), "look %d", i);
	}
	cr_assert(gt(dbl, kept(), 0.05), "room that is there is used: %f", kept());
	cr_assert(not(budget.exhausted));
}

Test(budget, the_rate_comes_back_and_not_above_what_was_asked_for)
{
	const uint32_t ceiling = vnt_sample_threshold(4);

	start(0.05, ceiling);
	run(2e6, 50);
	cr_assert(lt(u32, budget.threshold, ceiling));
	run(1e3, 200);
	cr_assert(eq(u32, budget.threshold, ceiling));
}

Test(budget, when_looking_alone_costs_too_much_it_says_so)
{
	start(0.01, VNT_SAMPLE_ALL);
	run(1e6, 50); /* 3 % */
	cr_assert(eq(u32, budget.threshold, BUDGET_FLOOR));
	cr_assert(budget.exhausted);
	run(10e3, 200);
	cr_assert(eq(u32, budget.threshold, VNT_SAMPLE_ALL));
}

Test(budget, a_lower_ceiling_than_the_floor_is_kept)
{
	start(0.01, 100);
	run(1e6, 50);
	cr_assert(eq(u32, budget.threshold, 100));
}
