// SPDX-License-Identifier: GPL-2.0-only
/* Clocks of known truth: bench-clock has the exact numbers, this what must never happen. */
#include <criterion/criterion.h>
#include <string.h>

#include "clock_scene.h"

#define SEEDS     2
#define MESHES    8
#define SECONDS   20  /* of longer scenes so much is enough */
#define TOLERANCE 1.5 /* of the target, with so few seeds */
#define PATH                                                            \
	{                                                               \
		.base = 10, .rate = 500, .queue = 10, .queue_odds = 0.5 \
	}

static double p99(const struct scene_result *result)
{
	return result->errors[result->count * 99 / 100];
}

Test(clock_scenes, errors_are_small_and_bounds_hold)
{
	for (const struct scene *row = scenes; row->name; row++) {
		struct scene scene = *row;

		if (scene.seconds > SECONDS)
			scene.seconds = SECONDS;
		for (int seed = 1; seed <= SEEDS; seed++) {
			struct scene_result result;

			scene_run(&scene, seed, &result);
			cr_assert_eq(result.missed, 0, "%s", scene.name);
			cr_assert_eq(result.unbounded, 0, "%s", scene.name);
			cr_assert_eq(result.not_fitted, 0, "%s", scene.name);
			cr_assert_eq(result.count, (scene.hosts - 1) * SCENE_TICKS);
			if (scene.target > 0)
				cr_assert_leq(p99(&result), scene.target * TOLERANCE, "%s: %g us",
					      scene.name, p99(&result));
			scene_result_release(&result);
		}
	}
}

/* What a scene that goes wrong looks like: as many hosts not bounded and not fitted by packets, none
 * out of bounds, and a line in the log. */
static const struct {
	struct scene scene;
	size_t unbounded;
	size_t not_fitted;
	double error; /* largest at the 99th percentile, in us */
	const char *line;
	bool better; /* but in the moment of a jump bounds are as good as ever */
} odd[] = {
	{{"one way", 10, 2, PATH}, 1, 1, 1e9, "'h0' and 'h1' went one way only"},
	{{"one way, and CLOCK_REALTIME is set", 10, 2, PATH, .wall_us = -5e5},
	 1,
	 1,
	 1e9,
	 "'h1': CLOCK_REALTIME jumped 1 time, by 500.0 ms at most: taken as it was before"},
	{{"one way, and asleep", 60, 2, PATH, .sleep_s = 20},
	 1,
	 1,
	 1e9,
	 "'h1': CLOCK_REALTIME jumped 1 time, by 20.0"},
	{{"no matter that CLOCK_REALTIME is set", 10, 2, PATH, PATH, .wall_us = 5e5}, 0, 0, 1, ""},
	{{"no anchors", 10, 2, PATH, PATH, .unanchored = true}, 1, 0, 1000, "'h1': "},
	{{"two groups", 10, 4, PATH, PATH, .apart = true},
	 2,
	 2,
	 2000,
	 "'h3': packets connect it with 'h2', but not with 'h0'"},
	{{"a step", 20, 2, PATH, PATH, .step_us = 500}, 0, 0, 1, "'h0' and 'h1' show 1 step", true},
	{{"a step back", 20, 2, PATH, PATH, .step_us = -500},
	 0,
	 0,
	 1,
	 "'h0' and 'h1' show 1 step",
	 true},
	{{"a step at the end", 20, 2, PATH, PATH, .step_us = 60, .jump_at = 0.97},
	 0,
	 0,
	 1,
	 "'h0' and 'h1' show 1 step",
	 true},
	{{"a step at the beginning", 20, 2, PATH, PATH, .step_us = -500, .jump_at = 0.1},
	 0,
	 0,
	 1,
	 "'h0' and 'h1' show 1 step",
	 true},
	{{"asleep", 60, 2, PATH, PATH, .sleep_s = 20}, 0, 0, 1, "'h0' and 'h1' show 1 step", true},
	{{"a guest that is paused", 20, 2, PATH, PATH, .sleep_s = 2, .unaware = true},
	 0,
	 0,
	 1,
	 "'h0' and 'h1' show 1 step",
	 true},
	{{"a guest that moves", 20, 2, PATH, PATH, .sleep_s = 0.05, .unaware = true,
	  .moved_ppm = 30},
	 0,
	 0,
	 1,
	 "'h0' and 'h1' show 1 step",
	 true},
	{{"a path that lies", 10, 4, PATH, PATH, .mesh = 1, .liar_us = 300},
	 0,
	 0,
	 1,
	 "'h1' and 'h2' contradict those of other domains by"},
	{{"times that are early now and then", 10, 2, PATH, PATH, .early_odds = 1e-3},
	 0,
	 0,
	 1,
	 "'h0' and 'h1' had 8 impossible times: left out of the estimate"},
	{{"times that are early often", 40, 2, PATH, PATH, .early_odds = 0.02},
	 1,
	 1,
	 1e9,
	 "'h0' and 'h1' contradict each other in 30 of 30 windows: left out"},
	{{"times that are early everywhere", 10, 2, PATH, PATH, .early_odds = 0.3},
	 1,
	 1,
	 1e9,
	 "'h0' and 'h1' contradict each other: no clock is taken from them"},
	{{"a packet each way", 10, 2, {.base = 10, .rate = -1}, {.base = 10, .rate = -1}},
	 0,
	 0,
	 1000,
	 ""},
	{{"a burst each way",
	  1,
	  2,
	  {.base = 10, .rate = -200, .to = 0.4},
	  {.base = 10, .rate = -200, .from = 0.6}},
	 0,
	 0,
	 100,
	 ""},
	{{"too few packets",
	  100,
	  2,
	  {.base = 10, .rate = -1, .to = 0.1},
	  {.base = 10, .rate = -1, .from = 0.9}},
	 1,
	 1,
	 1e9,
	 "'h0' and 'h1' are too few"},
};

Test(clock_scenes, what_goes_wrong_is_said)
{
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		const char *name = odd[i].scene.name;
		struct scene_result result;

		scene_run(&odd[i].scene, 1, &result);
		cr_assert_eq(result.missed, 0, "%s: %zu missed", name, result.missed);
		cr_assert_eq(result.unbounded, odd[i].unbounded, "%s", name);
		cr_assert_eq(result.not_fitted, odd[i].not_fitted, "%s", name);
		cr_assert_leq(p99(&result), odd[i].error, "%s: %g us", name, p99(&result));
		cr_assert(strstr(result.log, odd[i].line), "%s: '%s'", name, result.log);
		cr_assert(odd[i].not_fitted || !strstr(result.log, "jumped"), "%s: '%s'", name,
			  result.log);
		cr_assert(!odd[i].better || result.better >= result.count * 99 / 100, "%s: %zu",
			  name, result.better);
		scene_result_release(&result);
	}
}

/* Counters of guests: how many hosts' clocks are from them, and the largest bound. */
static const struct {
	struct scene scene;
	size_t counted;
	double bound; /* in us */
	const char *line;
} counters[] = {
	{{"shown", 10, 4, PATH, PATH, .vms = VMS_SHOWN}, 3, 1.2, ""},
	{{"shown by a host that is not the reference", 10, 4, PATH, PATH, .mesh = 1,
	  .vms = VMS_SHOWN, .vms_by = 2},
	 3,
	 1.5,
	 ""},
	{{"by few packets",
	  10,
	  2,
	  {.base = 900, .rate = -3},
	  {.base = 50, .rate = -3},
	  .vms = VMS_SHOWN},
	 1,
	 1.2,
	 ""},
	{{"of guests that talk to each other", 10, 8, PATH, PATH, .mesh = 1, .vms = VMS_SHOWN},
	 7,
	 1.2,
	 ""},
	{{"on slow paths one way",
	  10,
	  3,
	  {.base = 500, .rate = 300},
	  PATH,
	  .mesh = 1,
	  .vms = VMS_SHOWN},
	 2,
	 1.2,
	 ""},
	{{"of one that NTP slews", 20, 2, PATH, PATH, .slew_ppm = 50, .vms = VMS_SHOWN}, 1, 4, ""},
	{{"of strangers", 10, 2, PATH, PATH, .vms = VMS_STRANGERS}, 0, 12, ""},
	{{"of twins", 10, 2, PATH, PATH, .vms = VMS_TWINS},
	 0,
	 12,
	 "'h0' and 'h1' fit the time stamp counters of 2 virtual machines: none is taken"},
	{{"that do not count evenly", 10, 2, PATH, PATH, .vms = VMS_UNSTEADY}, 0, 12, ""},
	{{"that are set", 20, 2, PATH, PATH, .vms = VMS_CHANGED},
	 1,
	 12,
	 "counter that 'h0' and 'h1' share was set 1 time"},
	{{"of a guest whose clock is set", 20, 2, PATH, PATH, .step_us = 500, .vms = VMS_SHOWN},
	 1,
	 510,
	 "'h0' and 'h1' show 1 step"},
};

Test(clock_scenes, counters_of_guests)
{
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		const char *name = counters[i].scene.name;

		for (int seed = 1; seed <= SEEDS; seed++) {
			struct scene_result result;

			scene_run(&counters[i].scene, seed, &result);
			cr_assert_eq(result.missed, 0, "%s: %zu missed", name, result.missed);
			cr_assert_eq(result.unbounded + result.not_fitted, 0, "%s", name);
			cr_assert_eq(result.counted, counters[i].counted, "%s: %zu", name,
				     result.counted);
			if (counters[i].counted)
				cr_assert_leq(p99(&result), 0.5, "%s: %g us", name, p99(&result));
			cr_assert_leq(result.bound, counters[i].bound, "%s: %g us", name,
				      result.bound);
			cr_assert(strstr(result.log, counters[i].line), "%s: '%s'", name,
				  result.log);
			scene_result_release(&result);
		}
	}
}

/* Of a mesh all paths count: that must be better than a tree of some of them. */
Test(clock_scenes, a_mesh_is_better_than_its_tree)
{
	double sums[2] = {0};

	for (const struct scene *scene = scenes; scene->name; scene++) {
		for (int seed = 1; seed <= MESHES && scene->mesh > 0; seed++) {
			struct scene_result result;

			scene_run(scene, seed, &result);
			sums[scene->tree] += p99(&result);
			scene_result_release(&result);
		}
	}
	cr_assert_gt(sums[true], sums[false] * 1.3, "%g us, %g us", sums[true], sums[false]);
}
